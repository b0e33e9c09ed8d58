"""What clouds answer, as types: what is of another type is no answer at all.

A server may be anything that sits at an address. Nothing it says is used before it has passed here,
and the texts that people get to see are short and plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

import msgspec

from sharekit.core.errors import NoResponseError
from sharekit.core.html import plain

#: Longest text of a reason, and of a name or ID that is only passed on.
_REASON, _NAME = 1_000, 200
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=_NAME)]
#: It becomes a part of an address.
JobId = Annotated[str, msgspec.Meta(pattern=r"^[\w.:-]{0,128}$")]
Number = (
    Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
    | Annotated[str, msgspec.Meta(pattern=r"^\d{0,15}(\.\d{1,9})?$")]
)
Size = (
    Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    | Annotated[str, msgspec.Meta(pattern=r"^\d{0,12}$")]
)
_MORE: Final = {
    "owner": NotRequired[str | None],
    "name": NotRequired[str | None],
    "__whole_image": NotRequired[bool | str | None],
    "min_disk": NotRequired[Size | None],
    "visibility": NotRequired[str | None],
    "__system__cmkid": NotRequired[str | None],
}
#: One image, and one in a listing.
Image = TypedDict("Image", _MORE)  # type: ignore[misc] # one key could not be a Python name
Listed = TypedDict("Listed", {"id": Id, **_MORE})  # type: ignore[misc]


class Page(TypedDict):
    """A page of a listing of images."""

    images: list[Listed]
    next: NotRequired[str | None]


class Membership(TypedDict):
    """How an image stands with a project."""

    status: Id


class Member(TypedDict):
    """One project that an image is shared with."""

    member_id: Id
    status: Id
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class Members(TypedDict):
    """All of them."""

    members: list[Member]


class Billing(TypedDict):
    """What a vault is for, and its room."""

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
    """A page of them."""

    vaults: list[Vault]


class Result(TypedDict):
    """What a job says of one image."""

    image_id: NotRequired[str]
    project_id: NotRequired[str | None]
    status: NotRequired[str | None]


class Entities(TypedDict):
    """What a job was about."""

    results: NotRequired[list[Result] | None]
    error_code: NotRequired[str | int | None]
    addition_error_msg: NotRequired[str | None]


class Job(TypedDict):
    """A job when it was looked at."""

    status: Id
    entities: NotRequired[Entities | Literal[""] | None]
    error_code: NotRequired[str | int | None]
    fail_reason: NotRequired[str | None]


class Project(TypedDict):
    """A project that an account has a role in."""

    id: Id
    name: NotRequired[str | None]
    enabled: NotRequired[bool]


class Projects(TypedDict):
    """All of them."""

    projects: list[Project]


class Changed(TypedDict):
    """The answer to a changing call: a job (batch) or the new status (native)."""

    job_id: NotRequired[JobId | None]
    status: NotRequired[Id | None]


# The validator lays out a type when it first meets it, and crashes if two threads do so at once;
# so all are laid out here, while one thread imports this.
for _kind in (Image, Page, Membership, Members, Vaults, Job, Projects, Changed):
    msgspec.json.Decoder(_kind)


def fitting(body: Mapping[str, Any], kind: Any, url: str) -> Mapping[str, Any]:
    """Return the body of an answer that is of a kind.

    Raises
    ------
    NoResponseError
        If it is not: then it says nothing, least of all that there is nothing.
    """
    try:
        msgspec.convert(body, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        why = brief(error).replace("Object missing required field", "it lacks")
        raise NoResponseError(
            f"{url} gave an answer that does not fit ({why}): it may not be that service. Check it."
        ) from None
    return body


def decoded(content: bytes) -> Mapping[str, Any] | None:
    """Return a JSON object; None for anything else.

    >>> decoded(b'{"a": 1}'), decoded(b"[1]"), decoded(b"<html>")
    ({'a': 1}, None, None)
    """
    try:
        body = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def brief(text: object, most: int = _REASON) -> str:
    r"""Return a text as it may stand in a message: plain, on one line, and not too long.

    >>> brief(" a\n<b>\x1b[31m"), brief("long " * 4, 8)
    ('a <b>␛[31m', 'long lon…')
    """
    line = plain(" ".join(str(text)[: 4 * most].split()))
    return line if len(line) <= most else f"{line[:most]}…"


def name(text: object) -> str:
    """As :func:`brief`, of a name or an ID."""
    return brief(text, _NAME)
