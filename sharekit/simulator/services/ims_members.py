"""The IMS extension: many images in one call (IMS-members), with the rules for each refusal."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sharekit.core.actions import ABSENT, ACCEPTED, PENDING, STATUSES
from sharekit.core.cloud_api import MAX_PROJECTS, MAX_PROJECTS_FULL_ECS
from sharekit.simulator.request import RequestContext
from sharekit.simulator.responses import Response, ims_error, json_response
from sharekit.simulator.seed import DEFAULT_KEY
from sharekit.simulator.state import Job

_UPDATE, _ADD, _REMOVE = (f"ims{verb}ImageMembersJob" for verb in ("Update", "Add", "Delete"))
Fault = tuple[str, str]


def decide(context: RequestContext) -> Response:
    """``PUT /v1/cloudimages/members``: accept or reject images shared with the caller's project.

    Answers ``{"job_id": …}``. A request with one bad image is refused as a whole, and the message
    does not say which image it is; with the setting ``refuse_in_job`` the job fails instead.
    """
    body = _body(context, ("project_id", "status"))
    project_id, status = body["project_id"], body["status"]
    if not isinstance(status, str) or status not in STATUSES:
        raise ims_error(400, "IMG.0001", "The status must be accepted or rejected.")
    if project_id != context.caller.project_id:
        raise ims_error(400, "IMG.0108", "The project_id is not that of the token.")
    if context.injector.should_fail("flow_control"):
        raise ims_error(400, "IMG.0060", "Too many tasks are running; try again later.")
    images: list[str] = body["images"]
    fault = next(filter(None, (_image_fault(context, image, project_id) for image in images)), None)
    vault_id = str(body.get("vault_id") or "")
    if fault is None and status == ACCEPTED:
        fault = context.state.vault_fault(vault_id, images, project_id)
    return _start(context, _UPDATE, images, [project_id], status, fault, vault_id)


def share(context: RequestContext) -> Response:
    """``POST /v1/cloudimages/members``: the owner shares images with projects."""
    return _as_owner(context, _ADD, PENDING)


def withdraw(context: RequestContext) -> Response:
    """``DELETE /v1/cloudimages/members``: the owner takes shares back."""
    return _as_owner(context, _REMOVE, ABSENT)


def _as_owner(context: RequestContext, kind: str, status: str) -> Response:
    body = _body(context, ("projects",))
    projects = body["projects"]
    if not _texts(projects) or not set(projects) <= context.state.identity.projects.keys():
        raise ims_error(400, "IMG.0030", "The project does not exist.")
    if context.injector.should_fail("flow_control"):
        raise ims_error(400, "IMG.0060", "Too many tasks are running; try again later.")
    new = projects if kind == _ADD else []
    fault = next(filter(None, (_owner_fault(context, i, new) for i in body["images"])), None)
    return _start(context, kind, body["images"], projects, status, fault)


def _body(context: RequestContext, needed: tuple[str, ...]) -> dict[str, Any]:
    if not context.caller.may_write:
        raise ims_error(403, "IMG.0026", "You do not have the right to perform this operation.")
    if not context.get_data():
        raise ims_error(400, "IMG.0007", "The request body is empty.")
    body = context.json
    if not isinstance(body, dict) or not _texts(body.get("images")) or set(needed) - body.keys():
        fields = ", ".join(("images", *needed))
        raise ims_error(400, "IMG.0001", f"The request needs {fields} in a JSON object.")
    return body


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _image_fault(context: RequestContext, image_id: str, project_id: str) -> Fault | None:
    image = context.images.by_id.get(image_id)
    if image is None:
        return "IMG.0027", "The image does not exist."
    if image.owner == project_id:
        return "IMG.0047", "The owner cannot decide on a share of its own image."
    if image.visibility == "public":
        return "IMG.0089", "A public image has no members."
    if context.images.share(image_id, project_id) is None:
        return "IMG.0144", "The image cannot be found."
    return None


def _owner_fault(context: RequestContext, image_id: str, new: list[str]) -> Fault | None:
    """Why an owner's image spoils a request; ``new`` are the projects it is to be shared with."""
    image = context.images.by_id.get(image_id)
    if image is None:
        return "IMG.0027", "The image does not exist."
    most = MAX_PROJECTS_FULL_ECS if image.whole_image else MAX_PROJECTS
    many = bool(new) and len({*new, *context.images.shares(image_id)}) > most
    checks = (
        (
            image.owner != context.caller.project_id,
            "IMG.0047",
            "Only the owner can share an image.",
        ),
        (image.visibility != "shared", "IMG.0076", "The image cannot be shared."),
        (new and image.key == DEFAULT_KEY, "IMG.0098", "It is encrypted with the default key."),
        (image.owner in new, "IMG.0106", "An image cannot be shared with its owner."),
        (many and image.whole_image, "IMG.0135", "Too many projects share the full-ECS image."),
        (many, "IMG.0106", "Too many projects share the image."),
    )
    return next(((code, message) for failed, code, message in checks if failed), None)


def _start(
    context: RequestContext, kind: str, images: list[str], projects: list[str], status: str,
    fault: Fault | None, vault_id: str = "",
) -> Response:  # fmt: skip
    settings = context.state.settings
    if fault is not None and not settings.refuse_in_job:
        raise ims_error(400, *fault)
    job = Job(
        id=uuid4().hex,
        kind=kind,
        owner=context.caller.project_id,
        images=images,
        projects=projects,
        status=status,
        seconds=settings.job_seconds,
        entry=context.log_change(images, projects, status),
        failing=_failing_images(context, images, fault),
        vault_id=vault_id,
        partly_failing=_failing_shares(context, kind, images, projects),
        never_ends=context.injector.should_fail("job_hang"),
        false_success=context.injector.should_fail("false_success"),
        results_hidden=context.injector.should_fail("no_results"),
    )
    context.state.jobs.start(job)
    return json_response({"job_id": job.id})


def _failing_images(
    context: RequestContext, images: list[str], fault: Fault | None
) -> dict[str, str]:
    if fault is not None:
        return dict.fromkeys(images, fault[0])
    if context.injector.should_fail("job_fail"):
        return dict.fromkeys(images, "IMG.0046")
    return {image: "IMG.0046" for image in images if context.injector.should_fail("job_partial")}


def _failing_shares(
    context: RequestContext, kind: str, images: list[str], projects: list[str]
) -> set[tuple[str, str]]:
    """Shares that fail alone although their image does not: only owners have several of them."""
    if kind == _UPDATE:
        return set()
    pairs = ((image, project) for image in images for project in projects)
    return {pair for pair in pairs if context.injector.should_fail("job_partial")}
