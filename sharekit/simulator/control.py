"""The simulator's own control plane, for tests: look at everything, change it in mid-run."""

from __future__ import annotations

from typing import Any

from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.errors import InputError

from .faults import Faults
from .request import RequestContext
from .responses import Response, ResponseError, error_response, json_response
from .seed import Seed


def state(context: RequestContext) -> Response:
    """``GET /simulator/state``: members, effective changes, counters, and the log."""
    cloud = context.state
    members = [
        {
            "image_id": image,
            "project_id": project,
            "status": share.status,
            "changes": context.images.changes[image, project],
        }
        for image in context.images.by_id
        for project, share in context.images.shares(image).items()
    ]
    changes = [
        {"image_id": image, "project_id": project, "changes": number}
        for (image, project), number in context.images.changes.items()
        if number
    ]
    body = {
        "members": members,
        "changes": changes,
        "requests": dict(cloud.requests),
        "jobs": len(cloud.jobs.by_id),
        "unauthorised": cloud.identity.unauthorised,
        "log": [vars(entry) for entry in cloud.log],
        "faults": vars(context.injector.faults),
    }
    return json_response(body)


def seed(context: RequestContext) -> Response:
    """``POST /simulator/seed``: begin anew with the seed in the body, and without faults."""
    try:
        context.state.load(Seed.from_json(context.get_data()))
    except InputError as error:
        raise _refused(str(error)) from error
    context.injector.replace(Faults())
    return json_response({})


def faults(context: RequestContext) -> Response:
    """``POST /simulator/faults``: replace the faults; the body is an object of them."""
    try:
        context.injector.replace(Faults(**_object(context)))
    except (TypeError, InputError) as error:
        raise _refused(str(error)) from error
    return json_response(vars(context.injector.faults))


def members(context: RequestContext) -> Response:
    """``POST /simulator/members``: ``{image_id, project_id, status}``, or delete an image.

    ``status`` ``absent`` withdraws the share. Without ``project_id`` the image is deleted.
    None of this counts as an effective change, nor does it stand in the log.
    """
    body = _object(context)
    image_id, project_id = body.get("image_id", ""), body.get("project_id", "")
    status, cloud = body.get("status", ""), context.state
    if image_id not in context.images.by_id:
        raise _refused(f"There is no image {image_id}.")
    if not project_id:
        return json_response({"changed": context.images.delete(image_id)})
    before = context.images.changes[image_id, project_id]
    if status == ABSENT:
        changed = context.images.withdraw(image_id, project_id)
    elif status in MEMBER_STATES and project_id in cloud.identity.projects:
        changed = context.images.add_share(image_id, project_id, status)
        changed = changed or context.images.set_status(image_id, project_id, status)
    else:
        raise _refused("The project or the status does not exist.")
    context.images.changes[image_id, project_id] = before
    return json_response({"changed": changed})


def _object(context: RequestContext) -> dict[str, Any]:
    if not isinstance(context.json, dict):
        raise _refused("The body must be a JSON object.")
    body: dict[str, Any] = context.json
    return body


def _refused(message: str) -> ResponseError:
    return error_response({"error": message}, 400)
