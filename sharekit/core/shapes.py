"""What a ledger may hold, as data: the body of each event, and the columns of each frame.

A ledger may come from anybody, with hashes that fit. Everything that is read from one passes here
first, so that nothing further on meets a missing key, a wrong type or a number without end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

import msgspec

from .fields import FIELDS
from .outcomes import OUTCOMES

#: Counts and sizes: what fits in a column of whole numbers, and in a float.
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
#: SHA-256, in hex.
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
#: ISO 8601, UTC, to the microsecond.
Time = Annotated[
    str, msgspec.Meta(pattern=r"^(?:19|2\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$")
]
#: No program takes a name that holds an end of text.
Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$", max_length=10_000)]
Texts = list[str]
Counts = dict[str, Count]
#: Outcome to number of rows, each of them named.
Outcomes = msgspec.defstruct("Outcomes", [(name, Count) for name in OUTCOMES])


class Sheet(TypedDict):
    """A sheet that was read: the fields of :class:`sharekit.spreadsheets.inventory.Source`."""

    file: Name
    sheet: str
    sha256: str
    size: Count
    format: str
    header_row: Count
    rows: Count
    blank_rows: Count
    hidden: bool
    columns: dict[str, str]
    letters: dict[str, str]
    encoding: str


class Account(TypedDict):
    """A sign-in."""

    cloud: str
    project_id: str
    region: str
    ims: str
    image: str
    account: str
    warnings: NotRequired[Texts]


class PlanSettings(TypedDict):
    """What a plan was made with."""

    chunk_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
    max_images: Count | None
    strict: bool
    planner: NotRequired[Name]


class Requests(TypedDict):
    """Requests since the last time they were counted."""

    requests: dict[Literal["submit", "poll", "read", "retried"], Count]


class Every(TypedDict):
    """What any event may tell, also one of a kind that is not known here."""

    chunk: NotRequired[str | int]
    images: NotRequired[Count | Texts]


class Created(TypedDict):  # noqa: D101 - the names of the fields tell
    sharekit: NotRequired[str]
    schema: NotRequired[str]
    follows: NotRequired[str]


class InventoryRead(TypedDict):  # noqa: D101
    rows: Count
    sources: list[Sheet]
    rows_blob: Hash
    marks_blob: Hash


class Looked(TypedDict):  # noqa: D101
    taken_at: Time
    states: Counts
    members: Hash
    vaults: Hash
    projects: Hash
    owned: NotRequired[Hash]


class Planned(TypedDict):  # noqa: D101
    planned: Count
    chunks: Count
    blocked: Count
    fingerprint: Hash
    rows_digest: Hash
    rows_blob: Hash
    findings_blob: Hash
    settings: PlanSettings


class Reviewed(TypedDict):  # noqa: D101
    reviewer: Name
    file: Name
    decisions: Count
    blob: Hash


class Decided(TypedDict):  # noqa: D101
    reviewer: Name
    rows: Count
    blob: Hash


class Undone(TypedDict):  # noqa: D101
    seq: Count
    reviewer: Name


class Revoked(TypedDict):  # noqa: D101
    reviewer: Name
    note: str


class Approved(TypedDict):  # noqa: D101
    reviewer: Name
    fingerprint: Hash
    images: Count
    note: str
    after: Hash
    signature: NotRequired[str]


class Submitting(TypedDict):  # noqa: D101
    clouds: list[Account]
    settings: dict[str, Any]
    reviewers: NotRequired[Count]


class BlobCounts(TypedDict):  # noqa: D101
    blob: Hash
    counts: Counts


class Observed(TypedDict):  # noqa: D101
    blob: Hash
    images: Count


class Unreadable(TypedDict):  # noqa: D101
    project_id: str
    reason: str


class Stopped(TypedDict):  # noqa: D101
    why: str


class Settled(TypedDict):  # noqa: D101
    counts: Outcomes  # type: ignore[valid-type]  # made above from the spec's own list
    digest: Hash


class Finished(TypedDict):  # noqa: D101
    rows: Count


class Sealed(TypedDict):  # noqa: D101
    events: Count
    head: Hash
    signature: NotRequired[str]


class Piece(TypedDict):
    """What any event about a request tells."""

    chunk: str
    api: NotRequired[str]
    http: NotRequired[Count]
    code: NotRequired[str]
    reason: NotRequired[str]
    job_id: NotRequired[str]
    request_id: NotRequired[str]
    results: NotRequired[dict[str, bool]]


class Intent(Piece):  # noqa: D101
    images: Texts
    shared_with: NotRequired[Texts]
    attempt: Count
    method: str
    url: str


class Done(Piece):  # noqa: D101
    status: str


class Split(Piece):  # noqa: D101
    into: list[tuple[str, Texts]]
    shared_with: NotRequired[list[Texts]]
    kept: NotRequired[Texts]
    kept_with: NotRequired[Texts]
    why: str


class Surveyed(TypedDict):  # noqa: D101
    what: str
    taken_at: Time
    blob: Hash


class Compared(TypedDict):  # noqa: D101
    name: Name
    kind: str
    at: Time
    head: Hash
    whole: Texts
    owners: Texts
    blob: Hash


class Audited(TypedDict):  # noqa: D101
    counts: Counts
    drift: Count
    fingerprint: Hash
    rows_digest: Hash
    rows_blob: Hash
    findings_blob: NotRequired[Hash]
    blob: NotRequired[Hash]


#: Kind of event -> what its body must hold. More may stand there.
EVENTS: Final[Mapping[str, Any]] = {
    "created": Created,
    "inventory": InventoryRead,
    "snapshot": Looked,
    "seen": Looked,
    "planned": Planned,
    "reviewed": Reviewed,
    "decided": Decided,
    "undone": Undone,
    "revoked": Revoked,
    "approved": Approved,
    "submitting": Submitting,
    "looked": BlobCounts,
    "counted": Requests,
    "observed": Observed,
    "unreadable": Unreadable,
    "stopped": Stopped,
    "settled": Settled,
    "finished": Finished,
    "sealed": Sealed,
    "surveyed": Surveyed,
    "compared": Compared,
    "audited": Audited,
    "intent": Intent,
    "split": Split,
    "job-done": Done,
    "job-failed": Done,
    **dict.fromkeys(("answer", "dropped", "again", "refused", "lost", "late", "resumed"), Piece),
}


# The validator lays out a type when it first meets it, and crashes if two threads do so at once;
# so all are laid out here, while one thread imports this.
for _kind in (Every, *EVENTS.values()):
    msgspec.json.Decoder(_kind)


def body_of(kind: object, at: object, text: object) -> dict[str, Any]:
    """Return the body of an event that is as it must be.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong.

    >>> body_of("stopped", "2026-01-01T00:00:00Z", '{"why": 1}')
    Traceback (most recent call last):
    ...
    ValueError: Expected `str`, got `int` - at `$.why`
    """
    try:
        msgspec.convert([kind, at, text], tuple[str, Time, str])
        datetime.fromisoformat(str(at))
        body: dict[str, Any] = msgspec.json.decode(str(text))
        msgspec.convert(body, Every)
        if kind in EVENTS:
            msgspec.convert(body, EVENTS[str(kind)])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return body


@dataclass(frozen=True)
class Shape:
    """The columns of a frame, and of what kind each is.

    ``str`` is text (``str?`` may be missing), ``category`` repeated text, ``int`` and ``float``
    numbers, ``Int`` whole numbers that may be missing. ``key`` says that the column ``row_key``
    is the index. Columns that begin with ``more`` are texts (missing ones only where ``gaps`` says
    so) and kept; no others are.
    """

    columns: Mapping[str, str]
    key: bool = False
    more: str = ""
    gaps: bool = False


def _texts(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "str")


_FIELDS: Final = dict.fromkeys(FIELDS, "str")
ROWS: Final = Shape(
    {"file": "category", "sheet": "category", "row": "int", "source": "int", **_FIELDS},
    key=True, more="input.",
)  # fmt: skip
CELL_ISSUES: Final = Shape({**_texts("rule field value detail"), "row_key": "int", "source": "int"})
_CHECKED: Final = {"source": "int", "row": "int", **_FIELDS, **_texts("before disposition"),
                   "carried_by": "Int"}  # fmt: skip
CHECKED: Final = Shape(_CHECKED, key=True)
PLAN: Final = Shape({**_CHECKED, "chunk": "Int"}, key=True)
FINDINGS: Final = Shape(
    {**_texts("field rule severity file sheet column cell value message suggestion"),
     "row_key": "int", "row": "int"}
)  # fmt: skip
MEMBERS: Final = Shape(
    {**_texts("project_id image_id state owner name whole_image"), "size": "int"}
)
VAULTS: Final = Shape(
    {
        **_texts("project_id vault_id name object_type protect_type status"),
        "free": "float",
        "resources": "int",
    }
)
PROJECTS: Final = Shape(_texts("project_id cloud region api ims image account vaults"))
OFFERED: Final = Shape(
    {**_texts("project_id image_id state owner name whole_image visibility key"), "size": "int",
     "members": "int"}
)  # fmt: skip
LOOKS: Final = Shape(_texts("project_id image_id side before outcome code reason moved"), key=True)
STATES: Final = Shape(_texts("project_id image_id side state"))
REVIEWED: Final = Shape(_texts("decision reason"), key=True)
DECISIONS: Final = Shape(dict.fromkeys(("decision", "reason", "vault_id"), "str?"), key=True)
#: The frames of a survey, by name.
SURVEY: Final[Mapping[str, Shape]] = {
    "shares": Shape(
        _texts("project_id image_id state owner name whole_image image_created_at shared_at "
               "decided_at looked")
    ),
    "owned": Shape(_texts("owner image_id name image_created_at")),
    "outgoing": Shape(_texts("owner image_id name image_created_at project_id state shared_at "
                             "decided_at")),
    "projects": Shape(_texts("project_id cloud region api account code reason owner_code "
                             "owner_reason")),
}  # fmt: skip
EARLIER: Final = Shape(_texts("project_id image_id state result seen_by owner name"))
AUDIT: Final = Shape(
    {**_texts("file sheet image_id project_id status result code reason observed seen_by name "
              "owner image_created_at shared_at decided_at carried_by"), "row": "int",
     "age_days": "Int"},
    key=True, more="input.", gaps=True,
)  # fmt: skip
