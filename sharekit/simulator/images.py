"""Glance v2 as observed: images and their members, one call for one image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_OID, uuid5

from sharekit.core.actions import ABSENT, ACCEPTED, MEMBER_STATES, PENDING
from sharekit.simulator.answers import Answer, ok
from sharekit.simulator.calls import Call
from sharekit.simulator.seed import Image
from sharekit.simulator.world import LogEntry, Membership

PAGE = 25
PAGE_MAX = 1000
_VISIBILITIES = ("public", "private", "shared", "community", "all")


def versions(call: Call) -> Answer:
    """``GET /image``: where the image API is."""
    links = [{"rel": "self", "href": f"{call.base}/image/v2/"}]
    known = (("v2.17", "CURRENT"), ("v2.16", "SUPPORTED"), ("v2.0", "SUPPORTED"))
    return ok({"versions": [{"id": i, "status": s, "links": links} for i, s in known]}, 300)


def listing(call: Call) -> Answer:
    """``GET /v2/images``: newest first, 25 a page, ``next`` as a relative path."""
    limit = _limit(call)
    page = _page(call, _filter(call), limit)
    body: dict[str, Any] = {
        "images": [document(call, image) for image in page],
        "first": _link(call, {}),
        "schema": "/v2/schemas/images",
    }
    if page and len(page) == limit:
        body["next"] = _link(call, {"marker": page[-1].id})
    return ok(body)


def _limit(call: Call) -> int:
    text = call.args.get("limit", str(PAGE))
    if not text.isdecimal():
        raise call.glance(400, "limit param must be an integer")
    return min(int(text), PAGE_MAX)


def _page(call: Call, wanted: Callable[[Image], bool], limit: int) -> list[Image]:
    marker = call.args.get("marker", "")
    try:
        return call.world.listing(call.caller.project_id, wanted, marker, limit)
    except KeyError:
        raise call.glance(400, f"Could not find marker image {marker}") from None


def _link(call: Call, changes: dict[str, str]) -> str:
    query = {k: v for k, v in call.args.items() if k != "marker"} | changes
    return f"/v2/images?{urlencode(query)}" if query else "/v2/images"


def _filter(call: Call) -> Callable[[Image], bool]:
    args, me = call.args, call.caller.project_id
    visibility = args.get("visibility", "all")
    member_status = args.get("member_status", ACCEPTED)
    if visibility not in _VISIBILITIES:
        raise call.glance(400, f"Invalid visibility value: {visibility}")
    if member_status not in (*MEMBER_STATES, "all"):
        raise call.glance(400, f"Invalid status: {member_status}")
    hidden = args.get("os_hidden", "false").lower() == "true"
    ids = args.get("id", "")
    chosen = set(ids.removeprefix("in:").split(",")) if ids else None
    exact = [(f, args[f]) for f in ("owner", "name", "status") if f in args]

    def wanted(image: Image) -> bool:
        share = None if image.owner == me else call.world.share(image.id, me)
        return (
            image.hidden == hidden
            and visibility in ("all", image.visibility)
            # The owner finds its own shares under every member status.
            and (share is None or member_status in ("all", share.status))
            and (chosen is None or image.id in chosen)
            and all(getattr(image, name) == value for name, value in exact)
        )

    return wanted


def document(call: Call, image: Image) -> dict[str, Any]:
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
    if image.whole_image and not call.world.settings.native_only:
        body["__whole_image"] = "true"
    if image.key and not call.world.settings.native_only:
        # The key's ID, which does not tell whether it is the default one.
        body["__system__cmkid"] = str(uuid5(NAMESPACE_OID, image.key))
    return body


def show(call: Call, image_id: str) -> Answer:
    """``GET /v2/images/{image_id}``; 404 for everything the caller cannot see."""
    return ok(document(call, _visible(call, image_id)))


def members(call: Call, image_id: str) -> Answer:
    """``GET /v2/images/{image_id}/members``: all for the owner, itself for a member."""
    image = _visible(call, image_id)
    if image.visibility == "public":
        raise call.glance(403, "Public images do not have members.")
    me = call.caller.project_id
    found = call.world.shares(image_id).items()
    shown = [_member(image_id, p, s) for p, s in found if me in (image.owner, p)]
    return ok({"members": shown, "schema": "/v2/schemas/members"})


def member(call: Call, image_id: str, project_id: str) -> Answer:
    """``GET /v2/images/{image_id}/members/{project_id}``."""
    return ok(_member(image_id, project_id, _share(call, image_id, project_id)))


def decide(call: Call, image_id: str, project_id: str) -> Answer:
    """``PUT /v2/images/{image_id}/members/{project_id}``: accept or reject, at once.

    The member itself 200; the owner 403, for itself 404; anyone else 404; a reader 403.
    """
    image = _visible(call, image_id)
    share = _share(call, image_id, project_id)
    if call.caller.project_id == image.owner or not call.caller.may_write:
        raise call.glance(403, "You are not authorized to complete modify_member action.")
    status = call.json.get("status") if isinstance(call.json, dict) else None
    if status not in MEMBER_STATES:
        raise call.glance(400, "Status must be pending, accepted or rejected.")
    if status == ACCEPTED and not call.world.settings.native_only:
        _store(call, image)
    entry = _log(call, image_id, project_id, status)
    before = share.status
    call.world.set_status(image_id, project_id, status)
    entry.effective = int(before != status)
    return ok(_member(image_id, project_id, share))


def _store(call: Call, image: Image) -> None:
    vault_id, project_id = str(call.json.get("vault_id") or ""), call.caller.project_id
    if fault := call.world.vault_fault(vault_id, [image.id], project_id):
        raise call.glance(400, f"{fault[0]}: {fault[1]}")
    call.world.store(image.id, project_id, vault_id)


def add(call: Call, image_id: str) -> Answer:
    """``POST /v2/images/{image_id}/members``: the owner shares the image."""
    image = _owned(call, image_id)
    project_id = call.json.get("member") if isinstance(call.json, dict) else None
    if not isinstance(project_id, str) or not project_id:
        raise call.glance(400, "Member to be added not specified")
    if image.visibility != "shared":
        raise call.glance(403, "Only shared images have members.")
    if not call.world.add_share(image_id, project_id):
        raise call.glance(409, f"Image member {project_id} already exists for image {image_id}")
    _log(call, image_id, project_id, PENDING).effective = 1
    return ok(_member(image_id, project_id, call.world.shares(image_id)[project_id]))


def withdraw(call: Call, image_id: str, project_id: str) -> Answer:
    """``DELETE /v2/images/{image_id}/members/{project_id}``: the owner takes the share back."""
    _owned(call, image_id)
    if not call.world.withdraw(image_id, project_id):
        raise call.glance(
            404, f"{project_id} not found in the member list of the image {image_id}."
        )
    _log(call, image_id, project_id, ABSENT).effective = 1
    return Answer(204)


def _log(call: Call, image_id: str, project_id: str, status: str) -> LogEntry:
    method, path = call.request.method, call.request.path
    entry = LogEntry(call.request_id, method, path, [image_id], [project_id], status)
    return call.world.record(entry)


def _visible(call: Call, image_id: str) -> Image:
    image = call.world.images.get(image_id)
    if image is None or not call.world.can_see(image, call.caller.project_id):
        raise call.glance(404, f"No image found with ID {image_id}")
    return image


def _owned(call: Call, image_id: str) -> Image:
    image = _visible(call, image_id)
    if image.owner != call.caller.project_id or not call.caller.may_write:
        raise call.glance(403, "You are not permitted to manage the members of this image.")
    return image


def _share(call: Call, image_id: str, project_id: str) -> Membership:
    image = _visible(call, image_id)
    share = call.world.share(image_id, project_id)
    if share is None or call.caller.project_id not in (image.owner, project_id):
        raise call.glance(
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
