"""A ledger by itself: its file, its chain, its blobs, its rows, and what must follow on what.

Everything here needs only SHA-256 and JSON, so that a stranger can do the same without sharekit:
docs/evidence.md has a script for it, which must come to the same verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sharekit.core.errors import LedgerError
from sharekit.core.outcomes import OUTCOMES, UNSETTLED

from . import parquet
from .events import BLOB_FIELDS, EVENTS, VOIDING_EVENTS
from .hashing import chain_errors, digest
from .ledger import Event, Ledger
from .tables import FORMAT, OUTCOME_COLUMNS, PLAN_COLUMNS

#: Where something is wrong, and what.
Problem = tuple[str, str]


def problems(ledger: Ledger) -> Iterator[Problem]:
    """Yield everything that shows, from the ledger alone, that it was changed.

    Raises
    ------
    LedgerError
        If the database cannot be read at all.
    """
    for error in _file_errors(ledger):
        yield "file", f"the database reports an error: {error}"
    errors = list(chain_errors(ledger.raw_events()))
    yield from errors
    if errors:
        return  # events that were changed are no measure for the rest
    events = ledger.list_events()
    yield from _check_beginning(ledger, events)
    yield from _check_blobs(ledger, events)
    yield from _check_order(events)
    yield from _check_rows(ledger, events)


def last_event(events: list[Event], kind: str) -> Event | None:
    """Return the latest event of a kind."""
    return next((event for event in reversed(events) if event.kind == kind), None)


def schema_digest(ledger: Ledger) -> str:
    """Return the SHA-256 of all tables, indexes and triggers: what the database forbids."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    return digest(ledger.fetch(query))


def _file_errors(ledger: Ledger) -> Iterator[str]:
    for (line,) in ledger.fetch("PRAGMA integrity_check(5)"):
        if line != "ok":
            yield str(line).splitlines()[-1]
    ((version,),) = ledger.fetch("PRAGMA user_version")
    if version != FORMAT:
        yield f"format {version}, not {FORMAT}"


def _check_beginning(ledger: Ledger, events: list[Event]) -> Iterator[Problem]:
    if not events or events[0].kind != "created":
        yield "event 1", "does not say which version created the ledger"
    elif events[0].body.get("schema") != schema_digest(ledger):
        yield "schema", "its tables, indexes or triggers are not those it was created with"
    begun: set[str] = set()
    for event in events:
        if event.kind in begun and EVENTS[event.kind].once:
            yield f"event {event.seq} ({event.kind})", "comes a second time: a ledger begins once"
        if event.kind in EVENTS:
            begun.add(event.kind)


def _check_blobs(ledger: Ledger, events: list[Event]) -> Iterator[Problem]:
    locations: dict[str, str] = {}
    for event in events:
        for field in sorted(BLOB_FIELDS & event.body.keys()):
            locations.setdefault(event.body[field], f"event {event.seq} ({event.kind}), {field}")
    sound = {}
    for name, media_type in ledger.fetch("SELECT sha256, media_type FROM blobs"):
        unchanged, label = _is_unchanged(ledger, name), f"blob {name!s:.12}…"
        sound[name] = unchanged and media_type == parquet.MEDIA_TYPE
        if name not in locations:
            yield label, "belongs to no event: it was added, or its event was cut off"
        elif unchanged and not sound[name]:
            yield label, f"has the media type {media_type!r}, not {parquet.MEDIA_TYPE!r}"
    for name, location in locations.items():
        if name not in sound:
            yield location, f"names blob {name[:12]}…, which is missing"
        elif not sound[name]:
            yield location, f"names blob {name[:12]}…, whose contents were changed"


def _is_unchanged(ledger: Ledger, name: object) -> bool:
    try:
        ledger.get_blob(str(name))
    except LedgerError:
        return False
    return True


def _check_order(events: list[Event]) -> Iterator[Problem]:
    approved: Any = None
    fingerprint: Any = ""
    end: Event | None = None
    for event in events:
        if event.kind in VOIDING_EVENTS:
            approved = None
        if event.kind == "planned":
            fingerprint = event.body["fingerprint"]
        elif event.kind == "approved":
            approved = event.body["fingerprint"]
        elif event.kind == "intent" and approved != fingerprint:
            yield f"event {event.seq} (intent)", "sends what was not approved"
        if event.kind == "sealed" and event.body["head"] != event.prev:
            yield f"event {event.seq} (sealed)", "is the seal of another head"
        if end is not None and event.kind != "sealed":
            noun = "run was finished" if end.kind == "finished" else "audit was recorded"
            yield f"event {event.seq} ({event.kind})", f"comes after the {noun}"
        end = event if event.kind in EVENTS and EVENTS[event.kind].ends else end
    settled = last_event(events, "outcomes_recorded")
    if settled is not None and end is None and _must_be_finished(events, settled):
        yield (
            f"event {events[-1].seq}",
            "every row was settled here, but no `finished` follows: the end was cut off",
        )


def _must_be_finished(events: list[Event], settled: Event) -> bool:
    before = events[settled.seq - 2].kind
    return before != "stopped" and not any(settled.body["counts"][name] for name in UNSETTLED)


def _check_rows(ledger: Ledger, events: list[Event]) -> Iterator[Problem]:
    # An audit plans nothing: its event holds the digest of no rows.
    planned = last_event(events, "planned") or last_event(events, "audit_recorded")
    settled = last_event(events, "outcomes_recorded")
    if planned and digest(ledger.read_rows(PLAN_COLUMNS)) != planned.body["rows_digest"]:
        yield "table rows", f"is not what event {planned.seq} ({planned.kind}) recorded as the plan"
    stored = ledger.read_rows(OUTCOME_COLUMNS)
    if settled is None:
        pending = ["pending", *[None] * (len(OUTCOME_COLUMNS) - 2)]
        for row, *outcome in stored:
            if outcome != pending:
                yield (
                    f"table rows, row_key {row}",
                    f"says {outcome[0]!r}, but no event settled it: it was changed, or the end of "
                    "the events was cut off",
                )
                return
        return
    counts: Counter[str] = Counter()
    recorded = digest(stored, lambda batch: counts.update(str(row[1]) for row in batch))
    if recorded != settled.body["digest"]:
        yield "table rows", f"is not what event {settled.seq} (settled) recorded"
    if {name: counts[name] for name in OUTCOMES} != settled.body["counts"]:
        yield "table rows", f"has other counts than event {settled.seq} (settled)"
