"""Types of the cloud APIs' responses. A response that does not match counts as no response.

Any server can be at an address, so nothing from a response is used before it has passed here, and
texts that people read are shortened and stripped of control characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

import msgspec

from sharekit.core.errors import UnfitResponseError
from sharekit.core.html import escape_invisible

#: Characters of the longest reason, and of the longest name or ID that is only passed on.
_REASON, _NAME = 1_000, 200
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=_NAME)]
#: A job ID becomes a part of a URL.
JobId = Annotated[str, msgspec.Meta(pattern=r"^[\w.:-]{0,128}\Z")]
Number = (
    Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
    | Annotated[str, msgspec.Meta(pattern=r"^\d{0,15}(\.\d{1,9})?\Z")]
)
Size = (
    Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    | Annotated[str, msgspec.Meta(pattern=r"^\d{0,12}\Z")]
)
_IMAGE: Final = {
    "owner": NotRequired[str | None],
    "name": NotRequired[str | None],
    "__whole_image": NotRequired[bool | str | None],
    "min_disk": NotRequired[Size | None],
    "visibility": NotRequired[str | None],
    "__system__cmkid": NotRequired[str | None],
}
#: One image looked up, and one in a listing.
Image = TypedDict("Image", {"id": NotRequired[Id], **_IMAGE})  # type: ignore[misc] # as below
#: One key could not be a Python name.
ImageInList = TypedDict("ImageInList", {"id": Id, **_IMAGE})  # type: ignore[misc]


class Page(TypedDict):
    """A page of a listing of images."""

    images: list[ImageInList]
    next: NotRequired[str | None]


class Membership(TypedDict):
    """The state of an image for a project that it is shared with."""

    status: Id
    image_id: NotRequired[Id | None]
    member_id: NotRequired[Id | None]


class Member(TypedDict):
    """One project that an image is shared with."""

    member_id: Id
    status: Id
    image_id: NotRequired[Id | None]
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class Members(TypedDict):
    """All projects that an image is shared with."""

    members: list[Member]
    next: NotRequired[str | None]


class Billing(TypedDict):
    """Purpose and size of a vault."""

    object_type: NotRequired[str | None]
    protect_type: NotRequired[str | None]
    status: NotRequired[str | None]
    size: NotRequired[Number | None]
    used: NotRequired[Number | None]


class Vault(TypedDict):
    """One backup vault."""

    id: Id
    name: NotRequired[str | None]
    billing: NotRequired[Billing | None]


class Vaults(TypedDict):
    """A page of a listing of backup vaults; ``count`` is the number of all."""

    vaults: list[Vault]
    count: NotRequired[int | None]


class VaultAlone(TypedDict):
    """One backup vault looked up."""

    vault: Vault


class Result(TypedDict):
    """The result of a job for one image."""

    image_id: NotRequired[str]
    project_id: NotRequired[str | None]
    status: NotRequired[str | None]


class Entities(TypedDict):
    """The images of a job, or the error of the whole job."""

    results: NotRequired[list[Result] | None]
    error_code: NotRequired[str | int | None]
    addition_error_msg: NotRequired[str | None]


class Job(TypedDict):
    """The state of a job."""

    status: Id
    job_id: NotRequired[str | None]
    entities: NotRequired[Entities | Literal[""] | None]
    error_code: NotRequired[str | int | None]
    fail_reason: NotRequired[str | None]


class Project(TypedDict):
    """A project in which an account has a role."""

    id: Id
    name: NotRequired[str | None]
    enabled: NotRequired[bool]


class Projects(TypedDict):
    """All projects in which an account has a role."""

    projects: list[Project]


class Changed(TypedDict):
    """The response to a changing request: a job (batch) or the new status (native)."""

    job_id: NotRequired[JobId | None]
    status: NotRequired[Id | None]
    image_id: NotRequired[Id | None]
    member_id: NotRequired[Id | None]


# msgspec prepares a type when it first meets it, and crashes if two threads do so at once; so all
# are prepared here, while one thread imports this module.
for _kind in (Image, Page, Membership, Members, Vaults, VaultAlone, Job, Projects, Changed):
    msgspec.json.Decoder(_kind)


def validated(body: Mapping[str, Any], kind: Any, url: str) -> Mapping[str, Any]:
    """Return the body of a response if it matches a type.

    Raises
    ------
    UnfitResponseError
        If it does not match; it is then never read as an empty result.
    """
    try:
        msgspec.convert(body, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        reason = sanitize(error).replace("Object missing required field", "it lacks")
        raise UnfitResponseError(
            f"{url} sent a response that does not fit ({reason}): it may not be that service. "
            "Check the endpoint in clouds.yaml."
        ) from None
    return body


def _check_names(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name twice in one object")


def parse_json(content: bytes) -> Mapping[str, Any] | None:
    """Return a JSON object; None for anything else, and for one that says two things by one name.

    >>> parse_json(b'{"a": 1}'), parse_json(b"[1]"), parse_json(b"<html>")
    ({'a': 1}, None, None)
    >>> parse_json(b'{"status": "accepted", "status": "pending"}')
    """
    try:
        body = msgspec.json.decode(content)
        json.loads(content, object_pairs_hook=_check_names)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def sanitize(text: object, limit: int = _REASON) -> str:
    r"""Return a text as it may appear in a message: on one line, without control characters, short.

    >>> sanitize(" a\n<b>\x1b[31m"), sanitize("long " * 4, 8)
    ('a <b>␛[31m', 'long lon…')
    """
    line = escape_invisible(" ".join(str(text)[: 4 * limit].split()))
    return line if len(line) <= limit else f"{line[:limit]}…"


def sanitize_name(text: object) -> str:
    """Return a name or an ID as it may appear in a message."""
    return sanitize(text, _NAME)
