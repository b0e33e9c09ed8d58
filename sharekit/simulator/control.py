"""The simulator's own control plane, for tests: look at everything, change it in mid-run."""

from __future__ import annotations

from typing import Any

from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.errors import InputError
from sharekit.simulator.answers import Answer, AnswerError, ok
from sharekit.simulator.calls import Call
from sharekit.simulator.faults import Faults
from sharekit.simulator.seed import Seed


def state(call: Call) -> Answer:
    """``GET /simulator/state``: members, effective changes, counters, and the log."""
    world = call.world
    members = [
        {
            "image_id": image,
            "project_id": project,
            "status": share.status,
            "changes": world.changes[image, project],
        }
        for image in world.images
        for project, share in world.shares(image).items()
    ]
    changes = [
        {"image_id": image, "project_id": project, "changes": number}
        for (image, project), number in world.changes.items()
        if number
    ]
    body = {
        "members": members,
        "changes": changes,
        "requests": dict(world.requests),
        "jobs": len(world.jobs),
        "unauthorised": world.unauthorised,
        "log": [vars(entry) for entry in world.log],
        "faults": vars(call.chaos.faults),
    }
    return ok(body)


def seed(call: Call) -> Answer:
    """``POST /simulator/seed``: begin anew with the seed in the body, and without faults."""
    try:
        call.world.load(Seed.from_json(call.body))
    except InputError as error:
        raise _refused(str(error)) from error
    call.chaos.replace(Faults())
    return ok({})


def faults(call: Call) -> Answer:
    """``POST /simulator/faults``: replace the faults; the body is an object of them."""
    try:
        call.chaos.replace(Faults(**_object(call)))
    except (TypeError, InputError) as error:
        raise _refused(str(error)) from error
    return ok(vars(call.chaos.faults))


def members(call: Call) -> Answer:
    """``POST /simulator/members``: ``{image_id, project_id, status}``, or delete an image.

    ``status`` ``absent`` withdraws the share. Without ``project_id`` the image is deleted.
    None of this counts as an effective change, nor does it stand in the log.
    """
    body = _object(call)
    image_id, project_id = body.get("image_id", ""), body.get("project_id", "")
    status, world = body.get("status", ""), call.world
    if image_id not in world.images:
        raise _refused(f"There is no image {image_id}.")
    if not project_id:
        return ok({"changed": world.delete_image(image_id)})
    before = world.changes[image_id, project_id]
    if status == ABSENT:
        changed = world.withdraw(image_id, project_id)
    elif status in MEMBER_STATES and project_id in world.projects:
        changed = world.add_share(image_id, project_id, status)
        changed = changed or world.set_status(image_id, project_id, status)
    else:
        raise _refused("The project or the status does not exist.")
    world.changes[image_id, project_id] = before
    return ok({"changed": changed})


def _object(call: Call) -> dict[str, Any]:
    if not isinstance(call.json, dict):
        raise _refused("The body must be a JSON object.")
    body: dict[str, Any] = call.json
    return body


def _refused(message: str) -> AnswerError:
    return AnswerError(ok({"error": message}, 400))
