"""Every kind of event: what its body holds, what it means, and what it does to a run.

A ledger may come from anybody, with hashes that fit. Every body that is read from one is decoded
here first, so that nothing further on meets a missing key, a wrong type or an endless number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

import msgspec

from sharekit.core.outcomes import OUTCOMES

#: Counts and sizes: what fits in a column of whole numbers, and in a float.
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
#: SHA-256, in hex.
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
#: ISO 8601, UTC, to the microsecond.
Time = Annotated[
    str, msgspec.Meta(pattern=r"^(?:19|2\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$")
]
#: A name of a file or a person. No program accepts one that holds a NUL.
Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$", max_length=10_000)]
Texts = list[str]
Counts = dict[str, Count]
#: The number of rows of each outcome; every outcome is named.
Outcomes = msgspec.defstruct("Outcomes", [(name, Count) for name in OUTCOMES])


# -- bodies; the names of their fields say what they hold ------------------------------------------
class AnyEvent(TypedDict):
    """What an event of any kind may hold, also of a kind that is not known here."""

    chunk: NotRequired[str | int]
    images: NotRequired[Count | Texts]


Created = TypedDict(
    "Created",
    {
        "sharekit": NotRequired[str],
        "schema": NotRequired[str],
        "follows": NotRequired[str],
        "follows as": NotRequired[str],
    },
)


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


class InventoryRead(TypedDict):  # noqa: D101
    rows: Count
    sources: list[Sheet]
    rows_blob: Hash
    marks_blob: Hash


class Snapshot(TypedDict):  # noqa: D101
    taken_at: Time
    states: Counts
    members: Hash
    vaults: Hash
    projects: Hash
    owned: NotRequired[Hash]


class PlanSettings(TypedDict):  # noqa: D101
    chunk_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
    max_images: Count | None
    strict: bool
    planner: NotRequired[Name]


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


class Account(TypedDict):
    """A sign-in to one project."""

    cloud: str
    project_id: str
    region: str
    ims: str
    image: str
    account: str
    warnings: NotRequired[Texts]


class Submitting(TypedDict):  # noqa: D101
    clouds: list[Account]
    settings: dict[str, Any]
    reviewers: NotRequired[Count]


class Preflight(TypedDict):  # noqa: D101
    blob: Hash
    counts: Counts


class RequestEvent(TypedDict):
    """What every event about a request holds."""

    chunk: str
    api: NotRequired[str]
    http: NotRequired[Count]
    code: NotRequired[str]
    reason: NotRequired[str]
    job_id: NotRequired[str]
    request_id: NotRequired[str]
    results: NotRequired[dict[str, bool]]


class Intent(RequestEvent):  # noqa: D101
    images: Texts
    shared_with: NotRequired[Texts]
    attempt: Count
    method: str
    url: str


class JobEnded(RequestEvent):  # noqa: D101
    status: str


class Split(RequestEvent):  # noqa: D101
    into: list[tuple[str, Texts]]
    shared_with: NotRequired[list[Texts]]
    kept: NotRequired[Texts]
    kept_with: NotRequired[Texts]
    why: str


class RequestCounts(TypedDict):
    """The requests since the last event of this kind."""

    requests: dict[Literal["submit", "poll", "read", "retried"], Count]


class Observed(TypedDict):  # noqa: D101
    blob: Hash
    images: Count


class Unreadable(TypedDict):  # noqa: D101
    project_id: str
    reason: str


class Stopped(TypedDict):  # noqa: D101
    why: str
    by: NotRequired[str]


class Settled(TypedDict):  # noqa: D101
    counts: Outcomes  # type: ignore[valid-type]  # made above from the list of outcomes
    digest: Hash


class Finished(TypedDict):  # noqa: D101
    rows: Count


class Sealed(TypedDict):  # noqa: D101
    events: Count
    head: Hash
    signature: NotRequired[str]


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


# -- texts of the timeline -------------------------------------------------------------------------
Body = Mapping[str, Any]


def _reason(body: Body) -> str:
    return ": ".join(filter(None, (str(body.get("code", "")), str(body.get("reason", "")))))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)


def _signed(body: Body) -> str:
    return ", signed" if body.get("signature") else ""


def _job(body: Body) -> str:
    return f", job {body['job_id']}" if body.get("job_id") else ""


@dataclass(frozen=True)
class EventKind:
    """One kind of event.

    ``body`` is the type of its body, which may hold more; ``meaning`` says what it records;
    ``text`` gives its line in a report's timeline. ``blobs`` are the fields that name a blob.
    ``voids`` is True if an earlier approval does not hold after it, ``ends`` if nothing but a seal
    may follow, ``once`` if a ledger holds it once only.
    """

    body: Any
    meaning: str
    text: Callable[[Body], str] = _reason
    blobs: tuple[str, ...] = ()
    voids: bool = False
    ends: bool = False
    once: bool = False


_SNAPSHOT_BLOBS: Final = ("members", "vaults", "projects", "owned")
EVENTS: Final[Mapping[str, EventKind]] = {
    "created": EventKind(
        Created, "the ledger was created, by this version of sharekit on this machine",
        lambda b: f"sharekit {b.get('sharekit', '')}", once=True,
    ),
    "inventory": EventKind(
        InventoryRead, "the rows of the inventory, and the sheets they were read from",
        lambda b: f"{b['rows']} rows from {len(b['sources'])} sheets",
        blobs=("rows_blob", "marks_blob"), once=True,
    ),
    "snapshot": EventKind(
        Snapshot, "what the clouds showed when the plan was made",
        lambda b: f"the cloud before the plan: {_counts(b['states'])}", blobs=_SNAPSHOT_BLOBS,
    ),
    "seen": EventKind(
        Snapshot, "what the clouds showed right before sending",
        lambda b: f"the cloud before sending: {_counts(b['states'])}", blobs=_SNAPSHOT_BLOBS,
    ),
    "planned": EventKind(
        Planned, "every row's place in the plan, the findings, and the plan's fingerprint",
        lambda b: f"{b['planned']} images in {b['chunks']} chunks, {b['blocked']} blocked",
        blobs=("rows_blob", "findings_blob"), voids=True,
    ),
    "reviewed": EventKind(
        Reviewed, "a reviewer's decisions, imported from a review sheet",
        lambda b: f"{b['decisions']} decisions taken from {b['file']}", blobs=("blob",),
    ),
    "decided": EventKind(
        Decided, "a reviewer's decisions on some rows",
        lambda b: f"{b['rows']} rows decided by {b['reviewer'] or 'a reviewer'}",
        blobs=("blob",), voids=True,
    ),
    "undone": EventKind(
        Undone, "the last decisions were taken back",
        lambda b: f"step {b['seq']} taken back by {b['reviewer'] or 'a reviewer'}", voids=True,
    ),
    "revoked": EventKind(
        Revoked, "an approval was taken back",
        lambda b: f"{b['reviewer']} took the approval back {b['note']}".rstrip(), voids=True,
    ),
    "approved": EventKind(
        Approved, "a reviewer approved the plan of this fingerprint",
        lambda b: f"by {b['reviewer']}, fingerprint {b['fingerprint'][:12]}{_signed(b)}",
    ),
    "submitting": EventKind(
        Submitting, "a call of `submit` began, with these sign-ins and settings",
        lambda b: f"with {len(b['clouds'])} sign-ins",
    ),
    "looked": EventKind(
        Preflight, "the preflight: shares that need not or must not be sent are excluded, and a "
        "request that has no other share with them; the next preflight may find otherwise",
        lambda b: f"last look before sending: {_counts(b['counts']) or 'nothing changed'}",
        blobs=("blob",),
    ),
    "intent": EventKind(
        Intent, "a request is about to leave; its images stand here before it does",
        lambda b: f"{b['method']} {b['url']}, attempt {b['attempt']}",
    ),
    "dropped": EventKind(
        RequestEvent, "not sent: the cloud refuses this project or vault altogether"
    ),
    "split": EventKind(
        Split, "its images go on in smaller or new requests",
        lambda b: f"into {len(b['into'])}: {b['why']}",
    ),
    "answer": EventKind(
        RequestEvent, "the cloud took it on; the job's ID is here before it is polled",
        lambda b: f"HTTP {b.get('http', 0)}{_job(b)}",
    ),
    "again": EventKind(
        RequestEvent, "it did not leave, or a passing fault: to be sent once more"
    ),
    "refused": EventKind(RequestEvent, "the cloud said no, for good"),
    "lost": EventKind(
        RequestEvent, "it left and no answer came: nobody knows, so the cloud is read back"
    ),
    "job-done": EventKind(
        JobEnded, "the job ended well, but for the images it names", lambda b: f"{b['status']}"
    ),
    "job-failed": EventKind(JobEnded, "the job failed, but for the images it names"),
    "late": EventKind(
        RequestEvent, "the job did not end in time: nobody knows, so the cloud is read back"
    ),
    "resumed": EventKind(
        RequestEvent, "taken up by another call of `submit`: its job is asked again"
    ),
    "counted": EventKind(
        RequestCounts, "how many requests this call has sent",
        lambda b: f"requests of this call: {_counts(b['requests'])}",
    ),
    "observed": EventKind(
        Observed, "what the clouds showed of the shares that were sent",
        lambda b: f"{b['images']} images read back", blobs=("blob",),
    ),
    "unreadable": EventKind(
        Unreadable, "a project refused to be read back",
        lambda b: f"project {b['project_id']} cannot be read back: {b['reason']}",
    ),
    "stopped": EventKind(Stopped, "the call ended early", lambda b: str(b["why"])),
    "settled": EventKind(
        Settled, "every row's outcome was written", lambda b: _counts(b["counts"])
    ),
    "finished": EventKind(
        Finished, "no row can change by submitting again",
        lambda b: f"all {b['rows']} rows have their outcome", ends=True,
    ),
    "sealed": EventKind(
        Sealed, "the head of the finished run was signed",
        lambda b: f"head {b['head'][:12]} of {b['events']} events, signed",
    ),
    "surveyed": EventKind(Surveyed, "one listing of an audit", blobs=("blob",)),
    "compared": EventKind(
        Compared, "the earlier audit or run that an audit was compared with", blobs=("blob",)
    ),
    "audited": EventKind(
        Audited, "an audit's rows, counts and fingerprint",
        blobs=("rows_blob", "findings_blob", "blob"), ends=True,
    ),
}  # fmt: skip
#: The fields of bodies that name a blob.
BLOB_FIELDS: Final = frozenset(field for kind in EVENTS.values() for field in kind.blobs)
#: Kinds of events after which an earlier approval does not hold.
VOIDING_EVENTS: Final = tuple(name for name, kind in EVENTS.items() if kind.voids)

# The validator lays out a type when it first meets it, and crashes if two threads do so at once;
# so all are laid out here, while one thread imports this module.
for _body in (AnyEvent, *(kind.body for kind in EVENTS.values())):
    msgspec.json.Decoder(_body)


def decode_body(kind: object, at: object, text: object) -> dict[str, Any]:
    """Return the body of an event, checked against its kind.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong.

    >>> decode_body("stopped", "2026-01-01T00:00:00Z", '{"why": 1}')
    Traceback (most recent call last):
    ...
    ValueError: Expected `str`, got `int` - at `$.why`
    """
    try:
        msgspec.convert([kind, at, text], tuple[str, Time, str])
        datetime.fromisoformat(str(at))
        body: dict[str, Any] = msgspec.json.decode(str(text))
        msgspec.convert(body, AnyEvent)
        if kind in EVENTS:
            msgspec.convert(body, EVENTS[str(kind)].body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return body


def describe(kind: str, body: Body) -> str:
    """Return an event's line in a timeline.

    >>> describe("finished", {"rows": 12}), describe("lost", {"reason": "timed out"})
    ('all 12 rows have their outcome', 'timed out')
    """
    return EVENTS[kind].text(body) if kind in EVENTS else _reason(body)


@dataclass(frozen=True)
class FollowedRun:
    """The run that another one follows on.

    ``head`` is the head of its ledger at that time, ``kind`` what the new run does with it
    (``undo`` or ``retry``), ``ledger`` the file name of its ledger.
    """

    head: str
    kind: str
    ledger: str

    @property
    def label(self) -> str:
        """Such as ``undo of run.ledger``."""
        return f"{self.kind} of {self.ledger}" if self.kind else ""

    def to_body(self) -> dict[str, str]:
        """Return what the event `created` holds of it."""
        return {"follows": self.head, "follows as": self.label}

    @classmethod
    def from_body(cls, body: Body) -> FollowedRun | None:
        """Read it from the body of `created`; None for a run that follows on none.

        >>> FollowedRun.from_body(FollowedRun("0f", "undo", "a of b.ledger").to_body())
        FollowedRun(head='0f', kind='undo', ledger='a of b.ledger')
        """
        if not body.get("follows"):
            return None
        kind, _, ledger = str(body.get("follows as", "")).partition(" of ")
        return cls(str(body["follows"]), kind, ledger)
