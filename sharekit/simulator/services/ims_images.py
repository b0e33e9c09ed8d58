"""``GET /v2/cloudimages``: the listing of the IMS extension."""

from __future__ import annotations

from collections.abc import Callable

from sharekit.core.actions import ACCEPTED, MEMBER_STATES
from sharekit.core.cloud_api import PAGE_SIZE
from sharekit.simulator.request import RequestContext
from sharekit.simulator.responses import Response, ims_error, json_response
from sharekit.simulator.seed import Image

from .glance import document

PAGE_MAX = 1000
_TYPES = ("gold", "private", "shared", "market")
_EXACT = ("id", "owner", "name", "status")


def listing(context: RequestContext) -> Response:
    """Return a page of images, newest first; the listing has no link to the next page.

    ``member_status`` needs ``visibility=shared``. Without it, shares appear once accepted.
    """
    not_a_number = ims_error(400, "IMG.0001", "The limit must be an integer.")
    limit = min(context.number("limit", PAGE_SIZE, not_a_number), PAGE_MAX)
    marker = context.args.get("marker", "")
    wanted = _filter(context)
    try:
        page = context.images.listing(context.caller.project_id, wanted, marker, limit)
    except KeyError:
        raise ims_error(400, "IMG.0027", "The marker is no image.") from None
    return json_response({"images": [_document(context, image) for image in page]})


def _filter(context: RequestContext) -> Callable[[Image], bool]:
    args, me = context.args, context.caller.project_id
    member_status, visibility = args.get("member_status"), args.get("visibility")
    if member_status is not None and visibility != "shared":
        raise ims_error(400, "IMG.0001", "member_status needs visibility=shared.")
    if member_status not in (None, "all", *MEMBER_STATES):
        raise ims_error(400, "IMG.0001", "The member_status is invalid.")
    kind = args.get("__imagetype")
    if kind not in (None, *_TYPES):
        raise ims_error(400, "IMG.0024", "The imagetype is invalid.")
    exact = [(name, args[name]) for name in _EXACT if name in args]
    whole = args.get("__whole_image")
    status = member_status or ACCEPTED

    def wanted(image: Image) -> bool:
        share = None if image.owner == me else context.images.share(image.id, me)
        return (
            not image.hidden
            and visibility in (None, image.visibility)
            and (share is None or status in ("all", share.status))
            and kind in (None, _kind(image, me))
            and whole in (None, str(image.whole_image).lower())
            and all(getattr(image, name) == value for name, value in exact)
        )

    return wanted


def _kind(image: Image, me: str) -> str:
    if image.visibility == "public":
        return "gold"
    return "private" if image.owner == me else "shared"


def _document(context: RequestContext, image: Image) -> dict[str, object]:
    return document(context, image) | {
        "__imagetype": _kind(image, context.caller.project_id),
        "__image_size": str(image.size),
        "__os_type": "Linux",
        "__isregistered": "true",
        "virtual_env_type": "FusionCompute",
    }
