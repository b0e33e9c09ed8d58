"""Responses of a cloud that is unfriendly rather than down: well formed, and not to be relied on.

Each behaviour is a fault of :class:`~sharekit.simulator.faults.Faults`. The services know nothing
of them: here their query is changed before they work, or their response afterwards.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from .request import RequestContext
from .responses import Response, ResponseError, json_response, keystone_error

_IMAGES = ("GET /v2/images", "GET /v2/cloudimages")
_VAULTS = "GET /v3/<project_id>/vaults"
_LISTS = (*_IMAGES, _VAULTS)
_IMAGE = "GET /v2/images/<image_id>"
_MEMBERS, _MEMBER = f"{_IMAGE}/members", f"{_IMAGE}/members/<project_id>"
_BATCH = tuple(f"{method} /v1/cloudimages/members" for method in ("PUT", "POST", "DELETE"))
_JOBS = ("GET /v1/cloudimages/job/<job_id>", "GET /v1/<project_id>/jobs/<job_id>")
_SIGN_IN = "POST /v3/auth/tokens"
#: Routes of the identity service, and of those that anybody may ask.
_OPEN = (
    *(f"GET {path}" for path in ("/", "/v3", "/v3/auth/tokens", "/v3/auth/projects")),
    "GET /v3/projects", "GET /image", _SIGN_IN,
)  # fmt: skip
#: Values of these names are IDs.
_IDS = ("id", "image_id", "member_id", "owner", "project_id")
_INVENTED = "0ddba11e-{:04x}-4000-8000-000000000bad"


def handle(context: RequestContext, label: str, work: Callable[[], Response]) -> Response:
    """Handle a request as the faults want it; ``label`` is its method and route."""
    strikes = context.injector.should_fail
    context.state.lag = context.injector.faults.lag
    _refuse(context, label)
    address = context.path, context.query_string
    if label in _LISTS:
        query = _query(context)
        goes_on = "marker" in query or query.get("offset", "0") != "0"
        if goes_on and strikes("broken_page"):
            raise context.glance(500, "The server has either erred or is incapable of this.")
        _change_query(context, label)
    if label in _IMAGES and strikes("shuffled_pages"):
        response = _shuffled(context, work)
    elif label in _IMAGES and context.injector.faults.wrong_images:
        response = _some_accepted(context, work)
    else:
        response = work()
    if label == _SIGN_IN and _is_revoked(context, json.loads(response.body)["token"]):
        raise keystone_error(401, "The request you have made requires authentication.")
    if label in _BATCH and strikes("no_job_id"):
        return json_response({})
    if context.method != "GET" or response.content_type != "application/json":
        return response
    body = _distorted(context, label, json.loads(response.body))
    response = replace(response, body=json.dumps(body).encode())
    looks = label in (_IMAGE, _MEMBERS, _MEMBER) and strikes("cached_looks")
    if looks or (label in _IMAGES and strikes("cached_lists")):
        return context.state.cache.setdefault(address, response)
    return response


def _distorted(context: RequestContext, label: str, body: dict[str, Any]) -> dict[str, Any]:
    if label in _IMAGES:
        body = _page(context, body)
    elif label in (_IMAGE, _MEMBERS, _MEMBER):
        body = _lookup(context, label, body)
    elif label in _JOBS:
        body = _job(context, body)
    if cap := int(context.injector.faults.page_cap):
        body = _capped(body, cap)
    if label not in _OPEN and context.injector.should_fail("upper_case"):
        body = _upper(body)
    return body


def _refuse(context: RequestContext, label: str) -> None:
    strikes, faults = context.injector.should_fail, context.injector.faults
    if faults.revoke_after and label not in _OPEN:
        project = {"project": {"id": context.caller.project_id}}
        if _is_revoked(context, project):
            raise context.unauthorised()
    if label in (_MEMBERS, _MEMBER):
        if strikes("forbid_members"):
            raise context.glance(403, "You are not authorized to complete get_members action.")
        if strikes("hide_members"):
            raise context.glance(404, "No such members.")
    if label == _IMAGE and strikes("hide_images"):
        raise context.glance(404, "No such image.")
    if label in (_IMAGE, _MEMBERS, _MEMBER):
        _fail_for_good(context)
    if label == f"POST {_MEMBERS.removeprefix('GET ')}" and faults.member_quota:
        shares = context.images.shares(context.path.split("/")[-2])
        if len(shares) >= faults.member_quota:
            raise context.glance(
                413,
                "The limit has been exceeded on the number of allowed image members for this "
                f"image. Attempted: {len(shares) + 1}, Maximum: {faults.member_quota:g}",
            )


def _is_chosen(image_id: str, rate: float) -> bool:
    """Return True for a part of all images; their IDs tell which."""
    return zlib.crc32(image_id.encode()) / 2**32 < rate


def _fail_for_good(context: RequestContext) -> None:
    """Refuse to show some images, the same ones every time."""
    image_id = context.path.partition("/v2/images/")[2].partition("/")[0]
    faults = context.injector.faults
    if _is_chosen(image_id, faults.broken_images):
        raise context.glance(500, "The server has either erred or is incapable of this.")
    if _is_chosen(image_id, faults.refused_images):
        raise context.unauthorised()
    if _is_chosen(image_id, faults.busy_images):
        raise context.glance(429, "Too many requests.")
    if _is_chosen(image_id, faults.page_images):
        raise ResponseError(Response(200, b"<html><h1>Welcome</h1>", content_type="text/html"))
    if _is_chosen(image_id, faults.moved_images):
        raise ResponseError(Response(302, headers=(("Location", "https://elsewhere.example/"),)))


def _is_revoked(context: RequestContext, token: dict[str, Any]) -> bool:
    """Return True if the token is one of the seed's first project, and that was shut out."""
    after, state = context.injector.faults.revoke_after, context.state
    first = next(iter(state.identity.projects), "")
    return 0 < after < state.requests.total() and token.get("project", {}).get("id") == first


def _query(context: RequestContext) -> dict[str, str]:
    return dict(parse_qsl(context.query_string.decode()))


def _change_query(context: RequestContext, label: str) -> None:
    """Change what is asked for, before anybody has read it."""
    strikes, faults = context.injector.should_fail, context.injector.faults
    query = _query(context)
    if faults.page_cap and query.get("limit", "1").isdecimal():
        query["limit"] = str(min(int(query.get("limit", 25)), int(faults.page_cap)))
    if strikes("ignore_marker"):
        query = {k: v for k, v in query.items() if k not in ("marker", "offset")}
    if strikes("ignore_state") and "member_status" in query:
        query["member_status"] = "all"
    if strikes("wrong_state") and "member_status" in query:
        accepted = query["member_status"] == "accepted"
        query["member_status"] = "pending" if accepted else "rejected"
    if strikes("ignore_filters"):
        # IMS wants a visibility beside the status.
        dropped = {"owner", "__imagetype"} | ({"visibility"} if label == _IMAGES[0] else set())
        query = {k: v for k, v in query.items() if k not in dropped}
        query |= {"member_status": "all"} if "member_status" in query else {}
    context.query_string = urlencode(query).encode()


def _shuffled(context: RequestContext, work: Callable[[], Response]) -> Response:
    """Return the page that comes after the marker in an order of this request alone."""
    query = _query(context)
    marker, limit = query.pop("marker", ""), int(query.pop("limit", 25))
    context.query_string = urlencode({**query, "limit": 1000}).encode()
    response = work()
    body = json.loads(response.body)
    images = body["images"]
    random.Random(context.state.requests.total()).shuffle(images)  # noqa: S311 - repeatable
    after = [n + 1 for n, image in enumerate(images) if image["id"] == marker]
    begin = after[0] if after else 0
    body = {"images": images[begin : begin + limit]}
    return replace(response, body=json.dumps(body).encode())


def _some_accepted(context: RequestContext, work: Callable[[], Response]) -> Response:
    """Return a listing in which some images are accepted that are pending."""
    query, rate = _query(context), context.injector.faults.wrong_images
    body, state = json.loads(work().body), query.get("member_status")
    if state == "pending":
        body["images"] = [i for i in body["images"] if not _is_chosen(i["id"], rate)]
    elif state == "accepted" and "marker" not in query:
        context.query_string = urlencode(
            query | {"member_status": "pending", "limit": 1000}
        ).encode()
        pending = json.loads(work().body)["images"]
        body["images"][:0] = [i for i in pending if _is_chosen(i["id"], rate)]
    return json_response(body)


def _page(context: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    strikes = context.injector.should_fail
    query = _query(context)
    lost = context.injector.faults.lost_images
    body["images"] = [image for image in body["images"] if not _is_chosen(image["id"], lost)]

    def link(**changes: str) -> str:
        return f"{context.path.removeprefix('/image').removeprefix('/ims')}?" + urlencode(
            query | changes
        )

    if "pause" not in query and strikes("empty_page"):
        return {**body, "images": [], "next": link(pause="1")}
    if "again" not in query and strikes("repeated_page"):
        return {**body, "next": link(again="1")}
    if body.get("next"):  # what was changed holds for one page alone
        body["next"] = body["next"].replace("&pause=1", "").replace("&again=1", "")
    if strikes("endless_pages"):
        query.pop("marker", "")
        return {**body, "next": link(turn=str(context.state.requests.total()))}
    return body


def _lookup(context: RequestContext, label: str, body: dict[str, Any]) -> dict[str, Any]:
    strikes = context.injector.should_fail
    if label == _MEMBERS and strikes("empty_members"):
        return body | {"members": []}
    other = {"id" if label == _IMAGE else "image_id": _INVENTED.format(1)}
    if strikes("other_image"):
        body = (
            {"members": [m | other for m in body["members"]]}
            if label == _MEMBERS
            else (body | other)
        )
    if label == _MEMBER and strikes("other_member"):
        body["member_id"] = "0ddba11" * 4 + "0bad"
    for member in body.get("members", [body] if label == _MEMBER else []):
        if strikes("unknown_state"):
            member["status"] = "revoked"
    return body


def _job(context: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    strikes = context.injector.should_fail
    results = body["entities"].get("results")
    if results is not None and strikes("foreign_results"):
        words = ("success", "failed")
        body["entities"]["results"] = results + [
            {"image_id": _INVENTED.format(n), "project_id": "0" * 32, "status": word}
            for n, word in enumerate(words)
        ]
    if strikes("other_job"):
        body["job_id"] = "0ddba11" * 4 + "0bad"
    if body["status"] == "FAIL" and strikes("empty_reason"):
        body |= {"error_code": None, "fail_reason": " ()"}
    return body


def _capped(body: dict[str, Any], cap: int) -> dict[str, Any]:
    if "members" in body:
        return body | {"members": body["members"][:cap]}
    return {k: v for k, v in body.items() if k not in ("next", "count")}


def _upper(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _upper(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_upper(v, name) for v in value]
    return value.upper() if name in _IDS and isinstance(value, str) else value
