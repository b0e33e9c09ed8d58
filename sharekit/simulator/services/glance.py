"""Glance v2 as observed: images and their members, one call for one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_OID, uuid5

from sharekit.core.actions import ABSENT, ACCEPTED, MEMBER_STATES, PENDING
from sharekit.simulator.request import RequestContext
from sharekit.simulator.responses import Response, json_response
from sharekit.simulator.seed import Image
from sharekit.simulator.state import Membership, api_time, utcnow

PAGE = 25
PAGE_MAX = 1000
_VISIBILITIES = ("public", "private", "shared", "community", "all")


def versions(context: RequestContext) -> Response:
    """``GET /image``: where the image API is."""
    links = [{"rel": "self", "href": f"{context.base}/image/v2/"}]
    known = (("v2.17", "CURRENT"), ("v2.16", "SUPPORTED"), ("v2.0", "SUPPORTED"))
    return json_response(
        {"versions": [{"id": i, "status": s, "links": links} for i, s in known]}, 300
    )


def listing(context: RequestContext) -> Response:
    """``GET /v2/images``: newest first, 25 a page, ``next`` as a relative path."""
    not_a_number = context.glance(400, "limit param must be an integer")
    limit = min(context.number("limit", PAGE, not_a_number), PAGE_MAX)
    page = _page(context, _filter(context), limit)
    body: dict[str, Any] = {
        "images": [document(context, image) for image in page],
        "first": _link(context, {}),
        "schema": "/v2/schemas/images",
    }
    if page and len(page) == limit:
        body["next"] = _link(context, {"marker": page[-1].id})
    return json_response(body)


def _page(context: RequestContext, wanted: Callable[[Image], bool], limit: int) -> list[Image]:
    marker = context.args.get("marker", "")
    try:
        return context.images.listing(context.caller.project_id, wanted, marker, limit)
    except KeyError:
        raise context.glance(400, f"Could not find marker image {marker}") from None


def _link(context: RequestContext, changes: dict[str, str]) -> str:
    query = {k: v for k, v in context.args.items() if k != "marker"} | changes
    return f"/v2/images?{urlencode(query)}" if query else "/v2/images"


def _filter(context: RequestContext) -> Callable[[Image], bool]:
    args, me = context.args, context.caller.project_id
    visibility = args.get("visibility", "all")
    member_status = args.get("member_status", ACCEPTED)
    if visibility not in _VISIBILITIES:
        raise context.glance(400, f"Invalid visibility value: {visibility}")
    if member_status not in (*MEMBER_STATES, "all"):
        raise context.glance(400, f"Invalid status: {member_status}")
    hidden = args.get("os_hidden", "false").lower() == "true"
    ids = args.get("id", "")
    chosen = set(ids.removeprefix("in:").split(",")) if ids else None
    exact = [(f, args[f]) for f in ("owner", "name", "status") if f in args]

    def wanted(image: Image) -> bool:
        share = None if image.owner == me else context.images.share(image.id, me)
        return (
            image.hidden == hidden
            and visibility in ("all", image.visibility)
            # The owner finds its own shares under every member status.
            and (share is None or member_status in ("all", share.status))
            and (chosen is None or image.id in chosen)
            and all(getattr(image, name) == value for name, value in exact)
        )

    return wanted


def document(context: RequestContext, image: Image) -> dict[str, Any]:
    """Return an image as both image APIs print it; without any member status."""
    body: dict[str, Any] = {
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "status": image.status,
        "visibility": image.visibility,
        "os_hidden": image.hidden,
        "size": image.size,
        "min_disk": image.min_disk,
        "min_ram": 0,
        "disk_format": "qcow2",
        "container_format": "bare",
        "protected": False,
        "tags": [],
        "created_at": image.created_at,
        "updated_at": image.created_at,
        "file": f"/v2/images/{image.id}/file",
        "self": f"/v2/images/{image.id}",
        "schema": "/v2/schemas/image",
    }
    if image.whole_image and not context.state.settings.native_only:
        body["__whole_image"] = "true"
    if image.key and not context.state.settings.native_only:
        # The key's ID, which does not tell whether it is the default one.
        body["__system__cmkid"] = str(uuid5(NAMESPACE_OID, image.key))
    return body


def show(context: RequestContext, image_id: str) -> Response:
    """``GET /v2/images/{image_id}``; 404 for everything the caller cannot see."""
    return json_response(document(context, _visible(context, image_id)))


def members(context: RequestContext, image_id: str) -> Response:
    """``GET /v2/images/{image_id}/members``: all for owner and administrator, else the caller."""
    image = _visible(context, image_id)
    if image.visibility == "public":
        raise context.glance(403, "Public images do not have members.")
    me, everybody = context.caller.project_id, context.caller.is_admin
    shares = context.images.shares(image_id).items()
    shown = [_member(image_id, p, s) for p, s in shares if everybody or me in (image.owner, p)]
    return json_response({"members": shown, "schema": "/v2/schemas/members"})


def member(context: RequestContext, image_id: str, project_id: str) -> Response:
    """``GET /v2/images/{image_id}/members/{project_id}``."""
    return json_response(_member(image_id, project_id, _share(context, image_id, project_id)))


def decide(context: RequestContext, image_id: str, project_id: str) -> Response:
    """``PUT /v2/images/{image_id}/members/{project_id}``: accept or reject, at once.

    The member itself and an administrator 200; the owner 403, for itself 404; anyone else 404; a
    reader 403.
    """
    image = _visible(context, image_id)
    share = _share(context, image_id, project_id)
    is_owner = context.caller.project_id == image.owner and not context.caller.is_admin
    if is_owner or not context.caller.may_write:
        raise context.glance(403, "You are not authorized to complete modify_member action.")
    status = context.json.get("status") if isinstance(context.json, dict) else None
    if status not in MEMBER_STATES:
        raise context.glance(400, "Status must be pending, accepted or rejected.")
    if status == ACCEPTED and not context.state.settings.native_only:
        _store(context, image)
    entry = context.log_change([image_id], [project_id], status)
    entry.effective = int(share.status != status)
    response = json_response(_member(image_id, project_id, replace(share, status=status)))
    _change(context, partial(context.images.set_status, image_id, project_id, status))
    return response


def _change(context: RequestContext, change: Callable[[], object]) -> None:
    """Make a change now, or after the lag."""
    if context.state.lag:
        context.state.change_late(change)
    else:
        change()


def _store(context: RequestContext, image: Image) -> None:
    vault_id, project_id = str(context.json.get("vault_id") or ""), context.caller.project_id
    if fault := context.state.vault_fault(vault_id, [image.id], project_id):
        raise context.glance(400, f"{fault[0]}: {fault[1]}")
    context.state.vaults.store(image, project_id, vault_id)


def add(context: RequestContext, image_id: str) -> Response:
    """``POST /v2/images/{image_id}/members``: the owner shares the image."""
    image = _owned(context, image_id)
    project_id = context.json.get("member") if isinstance(context.json, dict) else None
    if not isinstance(project_id, str) or not project_id:
        raise context.glance(400, "Member to be added not specified")
    if image.visibility != "shared":
        raise context.glance(403, "Only shared images have members.")
    if context.images.share(image_id, project_id) is not None:
        raise context.glance(409, f"Image member {project_id} already exists for image {image_id}")
    _change(context, partial(context.images.add_share, image_id, project_id))
    context.log_change([image_id], [project_id], PENDING).effective = 1
    now = api_time(utcnow())
    return json_response(_member(image_id, project_id, Membership(PENDING, now, now)))


def withdraw(context: RequestContext, image_id: str, project_id: str) -> Response:
    """``DELETE /v2/images/{image_id}/members/{project_id}``: the owner takes the share back."""
    _owned(context, image_id)
    if context.images.share(image_id, project_id) is None:
        raise context.glance(
            404, f"{project_id} not found in the member list of the image {image_id}."
        )
    _change(context, partial(context.images.withdraw, image_id, project_id))
    context.log_change([image_id], [project_id], ABSENT).effective = 1
    return Response(204)


def _visible(context: RequestContext, image_id: str) -> Image:
    image = context.images.by_id.get(image_id)
    caller = context.caller
    if image is None or not (caller.is_admin or context.images.can_see(image, caller.project_id)):
        raise context.glance(404, f"No image found with ID {image_id}")
    return image


def _owned(context: RequestContext, image_id: str) -> Image:
    image = _visible(context, image_id)
    if image.owner != context.caller.project_id or not context.caller.may_write:
        raise context.glance(403, "You are not permitted to manage the members of this image.")
    return image


def _share(context: RequestContext, image_id: str, project_id: str) -> Membership:
    image = _visible(context, image_id)
    share = context.images.share(image_id, project_id)
    mine = context.caller.is_admin or context.caller.project_id in (image.owner, project_id)
    if share is None or not mine:
        raise context.glance(
            404, f"{project_id} not found in the member list of the image {image_id}."
        )
    return share


def _member(image_id: str, project_id: str, share: Membership) -> dict[str, str]:
    return {
        "member_id": project_id,
        "image_id": image_id,
        "status": share.status,
        "created_at": share.created_at,
        "updated_at": share.updated_at,
        "schema": "/v2/schemas/member",
    }
