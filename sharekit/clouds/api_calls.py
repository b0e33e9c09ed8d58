"""Chunks as the API calls that change the cloud: method, URL and body, in batches or one by one.

A chunk has ``images``, ``projects``, ``status`` and ``vault_id``, and its ``project_id`` is the
project that sends it: the owner, or the one of ``projects`` that decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from sharekit.core.actions import OWNER_ACTIONS, SHARE, UNSHARE

#: Method, URL and body (None for no body).
Call = tuple[str, str, dict[str, Any] | None]


def batch_call(chunk: Mapping[str, Any], base: str) -> Call:
    """Return the batch call for a chunk (IMS-members, IMS-sharing).

    >>> batch_call({"images": ["a"], "project_id": "p", "status": "rejected", "vault_id": ""},
    ...            "https://ims.example")
    ('PUT', 'https://ims.example/v1/cloudimages/members', {'images': ['a'], 'project_id': 'p', \
'status': 'rejected'})
    >>> batch_call({"images": ["a", "b"], "projects": ["q"], "status": "unshare"}, "")
    ('DELETE', '/v1/cloudimages/members', {'images': ['a', 'b'], 'projects': ['q']})
    """
    url, images = f"{base}/v1/cloudimages/members", list(chunk["images"])
    if chunk["status"] in OWNER_ACTIONS:
        body = {"images": images, "projects": list(chunk["projects"])}
        return "POST" if chunk["status"] == SHARE else "DELETE", url, body
    return "PUT", url, {"images": images, "project_id": chunk["project_id"]} | _decision(chunk)


def native_calls(chunk: Mapping[str, Any], base: str) -> Iterator[Call]:
    """Yield the native calls for a chunk, one for each share (Glance).

    >>> list(native_calls({"images": ["a"], "projects": ["q"], "status": "share"}, ""))
    [('POST', '/v2/images/a/members', {'member': 'q'})]
    """
    for image, project in product(chunk["images"], chunk["projects"]):
        url = f"{base}/v2/images/{image}/members"
        if chunk["status"] == SHARE:
            yield "POST", url, {"member": project}
        elif chunk["status"] == UNSHARE:
            yield "DELETE", f"{url}/{project}", None
        else:
            yield "PUT", f"{url}/{project}", _decision(chunk)


def intent_fields(call: Call) -> dict[str, Any]:
    """Return what an intent holds of a call: ``method``, ``url`` and ``body``.

    Images and projects stand beside these in any intent, so its body does not repeat them.

    >>> intent_fields(("PUT", "/v1", {"images": ["a"], "project_id": "p", "status": "rejected"}))
    {'method': 'PUT', 'url': '/v1', 'body': {'project_id': 'p', 'status': 'rejected'}}
    """
    method, url, body = call
    if body is not None:
        body = {name: value for name, value in body.items() if name not in ("images", "projects")}
    return {"method": method, "url": url, "body": body}


def is_noop(call: Call, http: int) -> bool:
    """Return True if an error status of a native call means that there was nothing to change.

    Glance responds 409 to sharing with a member, and 404 to withdrawing from none (observed).
    """
    batch = call[1].endswith("/v1/cloudimages/members")
    return not batch and (call[0], http) in (("POST", 409), ("DELETE", 404))


def _decision(chunk: Mapping[str, Any]) -> dict[str, Any]:
    vault = {"vault_id": chunk["vault_id"]} if chunk["vault_id"] else {}
    return {"status": chunk["status"], **vault}
