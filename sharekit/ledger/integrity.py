"""A ledger by itself: its file, its chain, its blobs, its rows, and what must follow on what.

Everything here needs only SHA-256 and JSON, so that a stranger can do the same without sharekit:
docs/evidence.md has a script for it, which must come to the same verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sharekit.core.outcomes import OUTCOMES, UNSETTLED

from . import parquet
from .ledger import Event, Ledger
from .schema import OUTCOME_COLUMNS, PLAN_COLUMNS, broken, digest

#: Where, and what is wrong there.
Problem = tuple[str, str]
#: The fields of an event's body that name a blob.
BLOB_FIELDS: Final = frozenset(
    {"blob", "rows_blob", "marks_blob", "findings_blob", "members", "vaults", "projects", "owned"}
)
#: What a ledger begins with.
_ONCE: Final = frozenset({"created", "inventory"})
#: After these nothing comes but a seal: the end of a run, and of an audit.
_ENDS: Final = ("finished", "audited")
#: What voids an approval when it comes after it.
_VOIDING: Final = frozenset({"planned", "decided", "undone", "revoked"})


def problems(book: Ledger) -> Iterator[Problem]:
    """Yield everything that shows, from the ledger alone, that it is not as it was written.

    Raises
    ------
    LedgerError
        If the database cannot be read at all.
    """
    for fault in book.faults():
        yield "file", f"the database finds fault with it: {fault}"
    chain = list(broken(book.raw_events()))
    yield from chain
    if chain:
        return  # what its events say is no measure for the rest
    events = book.events()
    yield from _beginning(book, events)
    yield from _blobs(book, events)
    yield from _order(events)
    yield from _rows(book, events)


def last(events: list[Event], kind: str) -> Event | None:
    """Return the latest event of a kind."""
    return next((event for event in reversed(events) if event.kind == kind), None)


def _beginning(book: Ledger, events: list[Event]) -> Iterator[Problem]:
    if not events or events[0].kind != "created":
        yield "event 1", "does not say by what the ledger was created"
    elif events[0].body.get("schema") != book.schema():
        yield "schema", "its tables, indexes or triggers are not those it was created with"
    begun: set[str] = set()
    for event in events:
        if event.kind in _ONCE & begun:
            yield f"event {event.seq} ({event.kind})", "comes a second time: a ledger begins once"
        begun.add(event.kind)


def _blobs(book: Ledger, events: list[Event]) -> Iterator[Problem]:
    names: dict[str, str] = {}
    for event in events:
        for field in sorted(BLOB_FIELDS & event.body.keys()):
            names.setdefault(event.body[field], f"event {event.seq} ({event.kind}), {field}")
    sound = {}
    for name, media_type, whole in book.blobs():
        sound[name] = whole and media_type == parquet.MEDIA_TYPE
        if name not in names:
            yield f"blob {name[:12]}…", "belongs to no event: it was added, or its event cut off"
        elif whole and not sound[name]:
            yield f"blob {name[:12]}…", f"says it is {media_type!r}, not {parquet.MEDIA_TYPE!r}"
    for name, place in names.items():
        if name not in sound:
            yield place, f"names blob {name[:12]}…, which is missing"
        elif not sound[name]:
            yield place, f"names blob {name[:12]}…, whose contents were changed"


def _order(events: list[Event]) -> Iterator[Problem]:
    approved: Any = None
    fingerprint: Any = ""
    finish: Event | None = None
    for event in events:
        if event.kind in _VOIDING:
            approved = None
        if event.kind == "planned":
            fingerprint = event.body["fingerprint"]
        elif event.kind == "approved":
            approved = event.body["fingerprint"]
        elif event.kind == "intent" and approved != fingerprint:
            yield f"event {event.seq} (intent)", "sends what was not approved"
        if event.kind == "sealed" and event.body["head"] != event.prev:
            yield f"event {event.seq} (sealed)", "is the seal of another head"
        if finish is not None and event.kind != "sealed":
            yield f"event {event.seq} ({event.kind})", "comes after the run was finished" \
                if finish.kind == "finished" else "comes after the audit was done"  # fmt: skip
        finish = event if event.kind in _ENDS else finish
    settled = last(events, "settled")
    if settled is not None and finish is None and _is_end(events, settled):
        yield f"event {events[-1].seq}", "every row was settled here, but no `finished` follows: " \
            "the end was cut off"  # fmt: skip


def _is_end(events: list[Event], settled: Event) -> bool:
    before = events[settled.seq - 2].kind
    return before != "stopped" and not any(settled.body["counts"][name] for name in UNSETTLED)


def _rows(book: Ledger, events: list[Event]) -> Iterator[Problem]:
    # An audit plans nothing, and says so.
    planned = last(events, "planned") or last(events, "audited")
    settled = last(events, "settled")
    if planned and digest(book.read_rows(PLAN_COLUMNS)) != planned.body["rows_digest"]:
        yield "table rows", f"is not what event {planned.seq} ({planned.kind}) recorded as the plan"
    stored = book.read_rows(OUTCOME_COLUMNS)
    if settled is None:
        for row, *told in stored:
            if told != ["pending", *[None] * (len(OUTCOME_COLUMNS) - 2)]:
                yield f"table rows, row_key {row}", f"says {told[0]!r}, but no event settled it: " \
                    "it was changed, or the end of the events cut off"  # fmt: skip
                return
        return
    counts: Counter[str] = Counter()
    if digest(stored, lambda batch: _count(counts, batch)) != settled.body["digest"]:
        yield "table rows", f"is not what event {settled.seq} (settled) recorded"
    if {name: counts[name] for name in OUTCOMES} != settled.body["counts"]:
        yield "table rows", f"has other counts than event {settled.seq} (settled)"


def _count(counts: Counter[str], lines: Iterable[Sequence[Any]]) -> None:
    counts.update(line[1] for line in lines)
