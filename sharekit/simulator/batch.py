"""The IMS extension: many images in one call (IMS-members), with the rules for each refusal."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sharekit.core.actions import ABSENT, ACCEPTED, PENDING, STATUSES
from sharekit.core.api import MAX_PROJECTS, MAX_PROJECTS_FULL_ECS
from sharekit.simulator.answers import Answer, AnswerError, ims_error, ok
from sharekit.simulator.calls import Call
from sharekit.simulator.seed import DEFAULT_KEY
from sharekit.simulator.world import Job, LogEntry

_UPDATE, _ADD, _REMOVE = (f"ims{verb}ImageMembersJob" for verb in ("Update", "Add", "Delete"))
Fault = tuple[str, str]


def decide(call: Call) -> Answer:
    """``PUT /v1/cloudimages/members``: accept or reject images shared with the caller's project.

    Answers ``{"job_id": …}``. A request with one bad image is refused as a whole, and the message
    does not say which image it is; with the setting ``refuse_in_job`` the job fails instead.
    """
    body = _body(call, ("project_id", "status"))
    project_id, status = body["project_id"], body["status"]
    if not isinstance(status, str) or status not in STATUSES:
        raise ims_error(400, "IMG.0001", "The status must be accepted or rejected.")
    if project_id != call.caller.project_id:
        raise ims_error(400, "IMG.0108", "The project_id is not that of the token.")
    if call.chaos.strikes("flow"):
        raise ims_error(400, "IMG.0060", "Too many tasks are running; try again later.")
    images: list[str] = body["images"]
    fault = next(filter(None, (_image_fault(call, image, project_id) for image in images)), None)
    vault_id = str(body.get("vault_id") or "")
    if fault is None and status == ACCEPTED:
        fault = call.world.vault_fault(vault_id, images, project_id)
    return _start(call, _UPDATE, images, [project_id], status, fault, vault_id)


def share(call: Call) -> Answer:
    """``POST /v1/cloudimages/members``: the owner shares images with projects."""
    return _as_owner(call, _ADD, PENDING)


def withdraw(call: Call) -> Answer:
    """``DELETE /v1/cloudimages/members``: the owner takes shares back."""
    return _as_owner(call, _REMOVE, ABSENT)


def _as_owner(call: Call, kind: str, status: str) -> Answer:
    body = _body(call, ("projects",))
    projects = body["projects"]
    if not _texts(projects) or not set(projects) <= call.world.projects.keys():
        raise ims_error(400, "IMG.0030", "The project does not exist.")
    if call.chaos.strikes("flow"):
        raise ims_error(400, "IMG.0060", "Too many tasks are running; try again later.")
    new = projects if kind == _ADD else []
    fault = next(filter(None, (_owner_fault(call, i, new) for i in body["images"])), None)
    return _start(call, kind, body["images"], projects, status, fault)


def _body(call: Call, needed: tuple[str, ...]) -> dict[str, Any]:
    if not call.caller.may_write:
        raise ims_error(403, "IMG.0026", "You do not have the right to perform this operation.")
    if not call.body:
        raise ims_error(400, "IMG.0007", "The request body is empty.")
    body = call.json
    if not isinstance(body, dict) or not _texts(body.get("images")) or set(needed) - body.keys():
        fields = ", ".join(("images", *needed))
        raise ims_error(400, "IMG.0001", f"The request needs {fields} in a JSON object.")
    return body


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _image_fault(call: Call, image_id: str, project_id: str) -> Fault | None:
    image = call.world.images.get(image_id)
    if image is None:
        return "IMG.0027", "The image does not exist."
    if image.owner == project_id:
        return "IMG.0047", "The owner cannot decide on a share of its own image."
    if image.visibility == "public":
        return "IMG.0089", "A public image has no members."
    if call.world.share(image_id, project_id) is None:
        return "IMG.0144", "The image cannot be found."
    return None


def _owner_fault(call: Call, image_id: str, new: list[str]) -> Fault | None:
    """Why an owner's image spoils a request; ``new`` are the projects it is to be shared with."""
    image = call.world.images.get(image_id)
    if image is None:
        return "IMG.0027", "The image does not exist."
    most = MAX_PROJECTS_FULL_ECS if image.whole_image else MAX_PROJECTS
    many = bool(new) and len({*new, *call.world.shares(image_id)}) > most
    checks = (
        (image.owner != call.caller.project_id, "IMG.0047", "Only the owner can share an image."),
        (image.visibility != "shared", "IMG.0076", "The image cannot be shared."),
        (new and image.key == DEFAULT_KEY, "IMG.0098", "It is encrypted with the default key."),
        (image.owner in new, "IMG.0106", "An image cannot be shared with its owner."),
        (many and image.whole_image, "IMG.0135", "Too many projects share the full-ECS image."),
        (many, "IMG.0106", "Too many projects share the image."),
    )
    return next(((code, message) for bad, code, message in checks if bad), None)


def _start(
    call: Call, kind: str, images: list[str], projects: list[str], status: str,
    fault: Fault | None, vault_id: str = "",
) -> Answer:  # fmt: skip
    settings = call.world.settings
    if fault is not None and not settings.refuse_in_job:
        raise _refused(fault)
    path = call.request.path
    entry = LogEntry(call.request_id, call.request.method, path, images, projects, status)
    job = Job(
        id=uuid4().hex,
        kind=kind,
        owner=call.caller.project_id,
        images=images,
        projects=projects,
        status=status,
        seconds=settings.job_seconds,
        entry=call.world.record(entry),
        doomed=_doom(call, images, fault),
        vault_id=vault_id,
        unlucky=_unlucky(call, kind, images, projects),
        hang=call.chaos.strikes("job_hang"),
        lie=call.chaos.strikes("lie"),
        results_hidden=call.chaos.strikes("no_results"),
    )
    call.world.start_job(job)
    return ok({"job_id": job.id})


def _refused(fault: Fault) -> AnswerError:
    return ims_error(400, *fault)


def _doom(call: Call, images: list[str], fault: Fault | None) -> dict[str, str]:
    if fault is not None:
        return dict.fromkeys(images, fault[0])
    if call.chaos.strikes("job_fail"):
        return dict.fromkeys(images, "IMG.0046")
    return {image: "IMG.0046" for image in images if call.chaos.strikes("job_partial")}


def _unlucky(call: Call, kind: str, images: list[str], projects: list[str]) -> set[tuple[str, str]]:
    """Shares that fail alone although their image does not: only owners have several of them."""
    if kind == _UPDATE:
        return set()
    pairs = ((image, project) for image in images for project in projects)
    return {pair for pair in pairs if call.chaos.strikes("job_partial")}
