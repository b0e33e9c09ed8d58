"""Every kind of event: what its body holds, what it means, and what it does to a run.

A ledger may come from anybody, with hashes that fit. Every body that is read from one is decoded
here first, so that nothing further on meets a missing key, a wrong type or an endless number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

import msgspec
import msgspec.inspect

from sharekit.core import frame_schemas
from sharekit.core.columns import with_unit
from sharekit.core.frame_schemas import FrameSchema
from sharekit.core.html import escape_invisible
from sharekit.core.provenance import ENVIRONMENT

from .hashing import canonical_json

#: Control characters that nobody types into a text: of them all, not tabs and line breaks.
_CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
CONTROL: Final = re.compile(f"[{_CONTROLS}]")
#: Counts and sizes: what fits in a column of whole numbers, and in a float.
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Number = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
#: What people or clouds have said: of all control characters, tabs and line breaks alone.
Text = Annotated[str, msgspec.Meta(pattern=rf"^[^{_CONTROLS}]*\Z")]
#: One that says something.
Said = Annotated[str, msgspec.Meta(pattern=rf"^[^{_CONTROLS}]+\Z")]
#: What program or machine something is; in a line.
Label = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]+\Z")]
#: A code of the cloud's, or of ours; in a line.
Code = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z", max_length=250)]
#: The name of an encoding.
Encoding = Annotated[str, msgspec.Meta(pattern=r"^[\w .:-]*\Z", max_length=100)]
#: The status of a response; 0 where there was none.
Http = Annotated[int, msgspec.Meta(ge=0, le=999)]
#: The address of a service; "" where there is none.
Address = Annotated[str, msgspec.Meta(pattern=r"(?i)^(?:https?://\S+)?\Z")]
_ARMOUR: Final = r"^-----BEGIN {0}-----\s+U1NIU0lH[\w+/=\s]+-----END {0}-----\s*\Z"
#: A signature as OpenSSH writes it.
Signature = Annotated[str, msgspec.Meta(pattern=_ARMOUR.format("SSH SIGNATURE"))]
#: SHA-256, in hex.
Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
#: The SHA-256 under which bytes are stored in the ledger.
BlobHash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z", title="blob")]
#: A step of a path in a tree of hashes, as :func:`sharekit.ledger.hashing.tree_paths` writes it.
Step = Annotated[str, msgspec.Meta(pattern=r"^[<>][0-9a-f]{64}\Z")]
_TIME: Final = re.compile(r"^(?:19|2\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z\Z")
#: ISO 8601, UTC, to the microsecond.
Time = Annotated[str, msgspec.Meta(pattern=_TIME.pattern)]
#: The fields of bodies, and of an approval given ahead in one, that hold a time.
_TIMES: Final = frozenset({"at", "taken_at", "judged_at"})
#: The name of a format; a package beside sharekit may read others than its own.
Form = Annotated[str, msgspec.Meta(pattern=r"^[^\s\x00]+\Z", max_length=100)]
#: A name of a file or a person. No program accepts one that holds a NUL.
Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*\Z", max_length=10_000)]
Texts = list[str]
Counts = dict[str, Count]


def _body(**fields: Any) -> Any:
    """Return the type of a body from the types of its fields; it may hold further ones."""
    return TypedDict("Body", fields)  # type: ignore[operator]  # mypy wants literal fields


# -- bodies ----------------------------------------------------------------------------------------
#: What a body of any kind may be asked for, also of one that is not known here.
_ANY: Final = _body(chunk=NotRequired[str | int], images=NotRequired[Count | Texts])
#: The program and the machine that write an event.
_ENVIRONMENT: Final = dict.fromkeys(ENVIRONMENT, NotRequired[Label])
#: A sheet that was read: the fields of :class:`sharekit.spreadsheets.inventory.Source`.
_SHEET: Final = _body(
    file=Name, sheet=str, sha256=Hash, size=Count, format=Form, header_row=Count, rows=Count,
    blank_rows=Count, hidden=bool, columns=dict[str, str], letters=dict[str, str],
    encoding=Encoding, index_name=NotRequired[str], index_dtype=NotRequired[str],
    dtypes=NotRequired[dict[str, str]], categories=NotRequired[dict[str, list[str]]],
)  # fmt: skip
#: An approval given ahead, as `StandingApproval` is written.
STANDING: Final = _body(
    policies_sha256=Hash, until=Annotated[str, msgspec.Meta(pattern=r"^2\d\d\d-\d\d-\d\d\Z")],
    max_images=Count, reviewer=Name, at=Time, note=Text, signature=NotRequired[Signature],
)  # fmt: skip
#: A reviewer's approval of the plans of a fleet: of all that the tree with this root covers.
_FLEET_APPROVAL: Final = {
    "reviewer": Name, "fingerprint": Hash, "parts": Count, "images": Count, "note": Text,
    "after": Hash, "signature": NotRequired[Signature],
}  # fmt: skip
#: A part of a fleet: the hashes of its ledger's first event and of its plan, and that plan.
_PART: Final = _body(name=Name, created=Hash, planned=Hash, fingerprint=Hash, rows=Count,
                     images=Count)  # fmt: skip
#: A sign-in to one project; an administrator's that acts for it is one to the project ``acts_as``.
_ACCOUNT: Final = _body(
    cloud=Said, project_id=Said, region=Code, ims=Address, image=Address, account=Text,
    warnings=NotRequired[list[Text]], acts_as=NotRequired[str],
)  # fmt: skip
#: Policies with their bound values, as `Policies` describes them.
_POLICIES: Final = _body(
    policies=list[_body(name=Name, then=str, reason=Text, by=NotRequired[str],  # type: ignore[misc]  # made by a function
                        when=NotRequired[list[dict[str, Any]]])],
    otherwise=str,
)  # fmt: skip
_PLAN_SETTINGS: Final = _body(
    chunk_size=Number, max_images=Count | None,
    strict=bool, planner=NotRequired[Name], confirmed=NotRequired[Texts],
)  # fmt: skip
_SNAPSHOT: Final = _body(
    taken_at=Time, states=Counts, members_blob=BlobHash, vaults_blob=BlobHash,
    projects_blob=BlobHash, owned_blob=NotRequired[BlobHash],
)  # fmt: skip
#: Fields of events about a request: how it ended, and how it was answered.
_ENDED: Final = {"chunk": Said, "code": NotRequired[Code], "reason": NotRequired[Text]}
_ANSWERED: Final = {**_ENDED, "http": NotRequired[Http], "request_id": NotRequired[Code]}
_REQUEST: Final = _body(**_ENDED)
_RESPONSE: Final = _body(**_ANSWERED)
_JOB_ENDED: Final = _body(**_ENDED, status=Said, results=NotRequired[dict[str, bool]])
#: Shares: each of the images with each of the projects.
_BLOCK: Final = {"images": Texts, "projects": Texts}


# -- texts of the timeline -------------------------------------------------------------------------
Body = Mapping[str, Any]


def signed_part(approved: Body) -> Body:
    """Return what an approval's signature covers: what was given ahead, for a fleet, or itself."""
    part: Body = approved.get("standing") or approved.get("fleet") or approved
    return part


def _reason(body: Body) -> str:
    return ": ".join(filter(None, (str(body.get("code", "")), str(body.get("reason", "")))))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)


def _carried(body: Body) -> str:
    return f", carried over from {body['carried_from']}" if "carried_from" in body else ""


@dataclass(frozen=True)
class EventKind:
    """One kind of event.

    ``body`` is the type of its body, which may hold more; ``meaning`` says what it records;
    ``text`` gives its line in a report's timeline. ``voids`` is True if an earlier approval does
    not hold after it, ``ends`` if nothing but a seal may follow, ``once`` if a ledger holds it once
    only.
    """

    body: Any
    meaning: str
    text: Callable[[Body], str] = _reason
    voids: bool = False
    ends: bool = False
    once: bool = False

    @property
    def blobs(self) -> list[str]:
        """The fields that name a blob."""
        types = self.body.__annotations__.items()
        return [name for name, kind in types if kind in (BlobHash, NotRequired[BlobHash])]


EVENTS: Final[Mapping[str, EventKind]] = {
    "created": EventKind(
        _body(
            **_ENVIRONMENT, schema=NotRequired[Hash], report_format=NotRequired[Count],
            follows=NotRequired[Hash], follows_kind=NotRequired[Said],
            follows_ledger=NotRequired[Name],
        ),
        "the ledger was created, by this version of sharekit on this machine",
        lambda b: f"sharekit {b.get('sharekit', '')}", once=True,
    ),
    "inventory_read": EventKind(
        _body(
            rows=Count,
            sources=list[_SHEET],  # type: ignore[valid-type]  # made by a function
            rows_blob=BlobHash,
            cell_issues_blob=BlobHash,
        ),
        "the rows of the inventory, and the sheets they were read from",
        lambda b: f"{with_unit(b['rows'], 'row')} from {with_unit(len(b['sources']), 'sheet')}",
        once=True,
    ),
    "snapshot_taken": EventKind(
        _SNAPSHOT, "what the clouds showed when the plan was made",
        lambda b: f"the cloud before the plan: {_counts(b['states'])}",
    ),
    "preflight_snapshot": EventKind(
        _SNAPSHOT, "what the clouds showed right before sending",
        lambda b: f"the cloud before sending: {_counts(b['states'])}",
    ),
    "planned": EventKind(
        _body(planned=Count, chunks=Count, blocked=Count, fingerprint=Hash, rule_set=Count,
              rows_blob=BlobHash, findings_blob=BlobHash, settings=_PLAN_SETTINGS,
              earlier_blob=NotRequired[BlobHash], findings=NotRequired[Counts],
              **dict.fromkeys(("rows", "already", "duplicates", "skipped"), NotRequired[Count])),
        "every row's place in the plan, the findings, and the plan's fingerprint",
        lambda b: f"{with_unit(b['planned'], 'image')} in {with_unit(b['chunks'], 'chunk')}, "
        f"{b['blocked']:,} blocked",
        voids=True,
    ),
    "review_imported": EventKind(
        _body(reviewer=Name, file=Name, decisions=Count, blob=BlobHash, of=NotRequired[Hash],
              sha256=NotRequired[Hash]),
        "a reviewer's decisions, imported from a review sheet",
        lambda b: f"{with_unit(b['decisions'], 'decision')} taken from {b['file']}",
    ),
    "decided": EventKind(
        _body(reviewer=Name, rows=Count, blob=BlobHash, of=NotRequired[Hash],
              carried_from=NotRequired[Name],
              policies=NotRequired[_POLICIES], policies_sha256=NotRequired[Hash],
              judged_at=NotRequired[Time], matched=NotRequired[list[tuple[str, str, Count]]]),
        "a reviewer's decisions on rows: made by hand, by policies, or in the run that this run "
        "follows",
        lambda b: f"{with_unit(b['rows'], 'row')} decided by {b['reviewer'] or 'a reviewer'}"
        f"{_carried(b)}" + (", by policies" if "policies" in b else ""),
        voids=True,
    ),
    "decision_undone": EventKind(
        _body(seq=Count, reviewer=Name),
        "a step of decisions was undone",
        lambda b: f"step {b['seq']} taken back by {b['reviewer'] or 'a reviewer'}", voids=True,
    ),
    "approval_revoked": EventKind(
        _body(reviewer=Name, note=Text, fingerprint=NotRequired[Hash]),
        "an approval was revoked",
        lambda b: f"{b['reviewer']} took the approval back {b['note']}".rstrip(), voids=True,
    ),
    "approved": EventKind(
        _body(reviewer=Name, fingerprint=Hash, images=Count, note=Text, after=Hash,
              signature=NotRequired[Signature], standing=NotRequired[STANDING],
              fleet=NotRequired[_body(**_FLEET_APPROVAL, path=list[Step])]),
        "a reviewer approved the plan of this fingerprint, the fleet that it is part of, or ahead "
        "what certain policies decide",
        lambda b: f"by {b['reviewer']}, fingerprint {b['fingerprint'][:12]}"
        + (f", ahead until {b['standing']['until']}" if "standing" in b else "")
        + (f", in the fleet {b['fleet']['fingerprint'][:12]}" if "fleet" in b else "")
        + (", signed" if signed_part(b).get("signature") else ""),
    ),
    "submit_started": EventKind(
        _body(
            clouds=list[_ACCOUNT],  # type: ignore[valid-type]  # made by a function
            settings=dict[str, float],
            reviewers=NotRequired[Number], reviewer=NotRequired[str],
            refused=NotRequired[dict[str, Text]],
            environment=NotRequired[_body(**_ENVIRONMENT)],
        ),
        "a call of `submit` began, with these sign-ins and settings",
        lambda b: f"with {with_unit(len(b['clouds']), 'sign-in')}",
    ),
    "preflight_checked": EventKind(
        _body(blob=BlobHash, counts=Counts),
        "the preflight excluded shares that need not or must not be sent, and requests that had "
        "no other shares; the next preflight may include them again",
        lambda b: f"last look before sending: {_counts(b['counts']) or 'nothing changed'}",
    ),
    "intent": EventKind(
        _body(chunk=Said, api=NotRequired[Said], **_BLOCK, attempt=Count, method=Said, url=Said,
              body=NotRequired[dict[str, str | int | bool | Texts | None] | None]),
        "a request is about to be sent; all that it will carry is written here first: method, URL, "
        "images, projects, and the rest of its body",
        lambda b: f"{b['method']} {b['url']}, attempt {b['attempt']}",
    ),
    "skipped_after_refusal": EventKind(
        _REQUEST,
        "the request was not sent, because the cloud refuses this project, vault or image",
    ),
    "split": EventKind(
        _body(
            chunk=Said,
            into=list[_body(chunk=str, **_BLOCK)],  # type: ignore[misc]  # made by a function
            kept=list[_body(**_BLOCK)],  # type: ignore[misc]
            why=Said,
        ),
        "the images of the request were moved to smaller or new requests",
        lambda b: f"into {len(b['into'])}: {b['why']}",
    ),
    "answer": EventKind(
        _body(**_ANSWERED, job_id=NotRequired[str]),
        "the cloud accepted the request; the job's ID is written here before the job is polled",
        lambda b: f"HTTP {b.get('http', 0)}"
        + (f", job {b['job_id']}" if b.get("job_id") else ""),
    ),
    "retry_scheduled": EventKind(
        _RESPONSE, "the request was not sent, or met a temporary fault; it will be sent again"
    ),
    "refused": EventKind(_RESPONSE, "the cloud refused the request permanently"),
    "response_lost": EventKind(
        _REQUEST, "the request was sent and no response came; reading back decides its outcome"
    ),
    "job_done": EventKind(
        _JOB_ENDED, "the job succeeded, except for the images that it names",
        lambda b: f"{b['status']}",
    ),
    "job_failed": EventKind(_JOB_ENDED, "the job failed, except for the images that it names"),
    "job_timed_out": EventKind(
        _REQUEST,
        "the job did not end in time, or nobody may ask for it; reading back decides its outcome",
    ),
    "resumed": EventKind(
        _REQUEST, "another call of `submit` took the request over and polls its job"
    ),
    "requests_counted": EventKind(
        _body(requests=dict[Literal["submit", "poll", "read", "retried"], Count]),
        "the number of requests that this call of `submit` has sent",
        lambda b: f"requests of this call: {_counts(b['requests'])}",
    ),
    "read_back": EventKind(
        _body(blob=BlobHash, images=Count),
        "the states of the sent shares as the clouds showed them, or why they did not",
        lambda b: f"{with_unit(b['images'], 'image')} looked at",
    ),
    "read_back_denied": EventKind(
        _body(project_id=Said, reason=Said, code=NotRequired[Code]),
        "a project could not be read back",
        lambda b: f"project {b['project_id']} cannot be read back: {b['reason']}",
    ),
    "stopped": EventKind(
        _body(why=Said, by=NotRequired[Said]), "the call of `submit` ended early",
        lambda b: str(b["why"]),
    ),
    "outcomes_recorded": EventKind(
        _body(counts=Counts, blob=BlobHash),
        "the outcome of every row was written", lambda b: _counts(b["counts"])
    ),
    "finished": EventKind(
        _body(rows=Count, counts=NotRequired[Counts]),
        "no row can change by submitting again",
        lambda b: f"{with_unit(b['rows'], 'row')} with a final outcome", ends=True,
    ),
    "sealed": EventKind(
        _body(events=Count, head=Hash, signature=NotRequired[Signature]),
        "the head of the finished run was signed",
        lambda b: f"head {b['head'][:12]} of {with_unit(b['events'], 'event')}, signed", once=True,
    ),
    "cloud_listed": EventKind(
        _body(what=str, taken_at=Time, blob=BlobHash, lines=NotRequired[Count]),
        "one listing of an audit"
    ),
    "baseline_loaded": EventKind(
        _body(name=Name, kind=str, at=Time, head=Hash, complete_projects=Texts,
              complete_owners=Texts, blob=BlobHash),
        "the earlier audit or run that an audit was compared with"
    ),
    "audit_recorded": EventKind(
        _body(counts=Counts, drift=Count, fingerprint=Hash, rule_set=Count, rows_blob=BlobHash,
              findings_blob=NotRequired[BlobHash], blob=NotRequired[BlobHash],
              policies=NotRequired[_POLICIES], policies_sha256=NotRequired[Hash],
              violations=NotRequired[Count], not_judged=NotRequired[Count]),
        "an audit's rows, counts and fingerprint, and the policies it tested", ends=True,
    ),
    "fleet_planned": EventKind(
        _body(by=str, rows=Count, images=Count, fingerprint=Hash,
              parts=list[_PART],  # type: ignore[valid-type]  # made by a function
              sources=list[tuple[Name, str]], follows=NotRequired[Hash],
              replaces=NotRequired[str]),
        "the plans of a fleet's parts, and the root of the tree of their hashes",
        lambda b: f"{with_unit(b['images'], 'share')} in {with_unit(len(b['parts']), 'part')}",
    ),
    "fleet_approved": EventKind(
        _body(**_FLEET_APPROVAL), "a reviewer approved the plans of all parts of a fleet",
        lambda b: f"by {b['reviewer']}, fingerprint {b['fingerprint'][:12]}"
        + (", signed" if b.get("signature") else ""),
    ),
    "fleet_finished": EventKind(
        _body(parts=list[_body(name=Name, head=Hash, events=Count, sealed=bool)]),  # type: ignore[misc]
        "every part of a fleet is finished, with these heads",
        lambda b: with_unit(len(b["parts"]), "part"), ends=True,
    ),
}  # fmt: skip
#: Fields of sentences: errors, and what people have typed.
_PROSE: Final = frozenset({"reason", "why", "note", "status", "refused", "warnings", "account"})
#: The fields of bodies that name a blob.
BLOB_FIELDS: Final = frozenset(field for kind in EVENTS.values() for field in kind.blobs)
#: Kinds of events after which an earlier approval does not hold.
VOIDING_EVENTS: Final = tuple(name for name, kind in EVENTS.items() if kind.voids)

#: Kind of event -> the type of its body, what reads that from JSON, and the fields of `_ANY` that
#: the type does not have. The validator lays out a type when it first meets it, and crashes if two
#: threads do so at once; so all are laid out here, while one thread imports this module.
_SHAPES: Final = {
    name: (
        kind.body, msgspec.json.Decoder(kind.body).decode,
        frozenset(_ANY.__annotations__) - kind.body.__annotations__.keys(),
    )
    for name, kind in EVENTS.items()
}  # fmt: skip
_OTHER: Final = _ANY, msgspec.json.Decoder(_ANY).decode, frozenset[str]()
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder(order="sorted").encode


def _is_plain(kind: msgspec.inspect.Type) -> bool:
    """Return True for texts, whole numbers, truth values, and lists and dicts of these."""
    inspect = msgspec.inspect
    if isinstance(kind, inspect.ListType):
        return _is_plain(kind.item_type)
    if isinstance(kind, inspect.DictType):
        return _is_plain(kind.value_type)
    if isinstance(kind, inspect.UnionType):
        return all(map(_is_plain, kind.types))
    plain = inspect.StrType | inspect.IntType | inspect.BoolType | inspect.NoneType
    return isinstance(kind, plain)


#: Kinds of events with plain fields alone, and those: msgspec writes them as `json` does, in a
#: fifth of the time. It spells floats otherwise.
_PLAIN: Final = {
    name: frozenset(kind.body.__annotations__)
    for name, kind in EVENTS.items()
    if all(_is_plain(field.type) for field in msgspec.inspect.type_info(kind.body).fields)  # type: ignore[attr-defined]  # of a TypedDict
}


def matches(kind: Any, body: object) -> bool:
    """Return True if a body is of a type that :func:`_body` has made."""
    try:
        msgspec.convert(body, kind)
    except msgspec.ValidationError:
        return False
    return True


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
    if not (isinstance(kind, str) and isinstance(text, str)):
        raise ValueError("its kind or its body is no text")  # noqa: TRY004 - the ledger is damaged
    try:
        body: dict[str, Any] = _decode(text)
        msgspec.convert(body, _SHAPES.get(kind, _OTHER)[0])
        _check_rest(kind, at, body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return body


def encode_body(kind: str, body: Body) -> str:
    """Return the canonical JSON of a body.

    Raises
    ------
    TypeError, ValueError
        If it holds what JSON does not.

    >>> encode_body("stopped", {"why": "é"})
    '{"why":"é"}'
    """
    if body.keys() <= _PLAIN.get(kind, frozenset()):
        with suppress(TypeError):  # numbers of numpy, and the like
            return _encode(body).decode()
    return canonical_json(body)


def check_event(kind: str, at: str, text: str, body: Body) -> None:
    """Check that an event which is about to be written, of a body and its text, can be read again.

    Raises
    ------
    ValueError
        As :func:`decode_body`.
    """
    try:
        _SHAPES.get(kind, _OTHER)[1](text.encode())
        _check_rest(kind, at, body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _check_rest(kind: str, at: object, body: Body) -> None:
    """Check the times, and what a kind does not name and all others have in common."""
    if not (isinstance(at, str) and _TIME.fullmatch(at)):
        raise ValueError(f"{at!r:.80} is no time in UTC, as ISO 8601 writes it")
    datetime.fromisoformat(at)
    if not _SHAPES.get(kind, _OTHER)[2].isdisjoint(body):
        msgspec.convert(body, _ANY)
    if kind in _PLAIN:  # without times, and without what may have some
        return
    for fields in (body, body.get("standing")):
        if isinstance(fields, dict) and not _TIMES.isdisjoint(fields):
            for name in _TIMES & fields.keys():
                datetime.fromisoformat(str(fields[name]))


def spelled_out(body: Any, name: str = "") -> Any:
    r"""Return a body in which sentences of people and clouds show control characters as pictures.

    >>> spelled_out({"note": "a\x07\tb", "file": "\x07"})
    {'note': 'a␇\tb', 'file': '\x07'}
    """
    if isinstance(body, Mapping):
        inner = body.items()
        return {key: spelled_out(value, name if name in _PROSE else key) for key, value in inner}
    if isinstance(body, list):
        return [spelled_out(value, name) for value in body]
    return printable(body) if name in _PROSE and isinstance(body, str) else body


def printable(text: str) -> str:
    """Return a text in which control characters but tabs and line breaks are pictures of them."""
    return CONTROL.sub(lambda found: escape_invisible(found[0]), text)


def unknown_field(kind: str, body: Body) -> str:
    """Return a name in a body that sharekit does not write there, ``""`` if there is none.

    >>> unknown_field("stopped", {"why": "x", "who": "y"}), unknown_field("stopped", {"why": "x"})
    ('who', '')
    """
    if body.keys() <= _PLAIN.get(kind, frozenset()):
        return ""  # none of these fields has names of its own
    known = msgspec.json.decode(msgspec.json.encode(msgspec.convert(body, EVENTS[kind].body)))
    return next((name for name, value in body.items() if known.get(name, ...) != value), "")


def frame_schema(kind: str, name: str, body: Body) -> FrameSchema:
    """Return the schema of the frame that an event of a kind names in a field of its body."""
    if kind == "cloud_listed":
        return frame_schemas.SURVEY.get(body["what"], FrameSchema({}))
    if "policies" in body and kind == "decided":
        return frame_schemas.POLICY_DECISIONS
    return _FRAMES.get((kind, name)) or frame_schemas.SNAPSHOT[name.removesuffix("_blob")]


_FRAMES: Final = {
    ("inventory_read", "rows_blob"): frame_schemas.INVENTORY_ROWS,
    ("inventory_read", "cell_issues_blob"): frame_schemas.CELL_ISSUES,
    ("planned", "rows_blob"): frame_schemas.STORED_PLAN,
    ("planned", "findings_blob"): frame_schemas.FINDINGS,
    ("planned", "earlier_blob"): frame_schemas.EARLIER,
    ("review_imported", "blob"): frame_schemas.REVIEWED,
    ("decided", "blob"): frame_schemas.DECISIONS,
    ("preflight_checked", "blob"): frame_schemas.PREFLIGHT,
    ("read_back", "blob"): frame_schemas.READ_BACK,
    ("outcomes_recorded", "blob"): frame_schemas.OUTCOMES,
    ("baseline_loaded", "blob"): frame_schemas.BASELINE,
    ("audit_recorded", "rows_blob"): frame_schemas.AUDIT_ROWS,
    ("audit_recorded", "findings_blob"): frame_schemas.FINDINGS,
    ("audit_recorded", "blob"): frame_schemas.CHECKED_ROWS,
}


def describe(kind: str, body: Body) -> str:
    """Return an event's line in a timeline.

    >>> describe("finished", {"rows": 12}), describe("response_lost", {"reason": "timed out"})
    ('12 rows with a final outcome', 'timed out')
    """
    return EVENTS[kind].text(body) if kind in EVENTS else _reason(body)


@dataclass(frozen=True)
class FollowedRun:
    """The run that another one follows on.

    ``head`` is the head of its ledger at that time, ``kind`` what the new run does with it
    (``undo``, ``retry`` or ``new plan``), ``ledger`` the file name of its ledger.
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
        return {
            "follows": self.head, "follows_kind": self.kind, "follows_ledger": self.ledger,
        }  # fmt: skip

    @classmethod
    def from_body(cls, body: Body) -> FollowedRun | None:
        """Read it from the body of `created`; None for a run that follows on none.

        >>> FollowedRun.from_body(FollowedRun("0f", "undo", "a of b.ledger").to_body())
        FollowedRun(head='0f', kind='undo', ledger='a of b.ledger')
        """
        if not body.get("follows"):
            return None
        return cls(*(str(body.get(f, "")) for f in ("follows", "follows_kind", "follows_ledger")))
