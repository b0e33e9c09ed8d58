"""A ledger by itself: its file, its chain, its blobs, and what must follow on what.

Everything here needs only SHA-256 and JSON, so that a stranger can do the same without sharekit:
docs/explanation/check_ledger.py does, and must come to the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sharekit.core.errors import LedgerError
from sharekit.core.outcomes import UNSETTLED
from sharekit.core.provenance import REPORT_FORMAT

from . import parquet
from .events import (
    BLOB_FIELDS,
    EVENTS,
    VOIDING_EVENTS,
    encode_body,
    frame_schema,
    unknown_field,
)
from .hashing import chain_errors, digest
from .ledger import Event, Ledger

#: Where something is wrong, and what.
Problem = tuple[str, str]
#: Characters of a time to the microsecond.
_DATED: Final = len("2026-01-01T00:00:00.000000Z")
#: Kind of an event that ends a ledger -> what had happened by then.
_ENDS: Final = {
    "finished": "run was finished", "audit_recorded": "audit was recorded",
    "fleet_finished": "fleet was finished",
}  # fmt: skip
#: Kinds of events that are about one request each.
_OF_REQUESTS: Final = {
    name for name, kind in EVENTS.items() if "chunk" in kind.body.__annotations__
}
#: What the first event of a ledger holds besides who made it.
CREATED_FIELDS: Final = ("schema", "report_format")


def examine(ledger: Ledger) -> tuple[list[Problem], list[Problem]]:
    """Return what shows, from the ledger alone, that it was changed; and what was added to it.

    What was added are events, fields of bodies and columns of frames that this version does not
    write. They are proof of a change, unless a later version made the ledger.

    Raises
    ------
    LedgerError
        If the database cannot be read at all.
    """
    errors = [("file", f"the database reports an error: {error}") for error in _file_errors(ledger)]
    if chain := list(chain_errors(ledger.raw_events())):
        return errors + chain, []  # events that were changed are no measure for the rest
    events, unknown = _read_events(ledger, errors)
    errors += _check_beginning(ledger, events)
    errors += _check_blobs(ledger, events)
    errors += _check_approvals(events)
    errors += _check_end(events)
    return errors, [] if errors else list(_additions(ledger, events, unknown))


def _read_events(ledger: Ledger, errors: list[Problem]) -> tuple[list[Event], Mapping[int, str]]:
    """Return all events, and the names of unknown fields by the numbers of their events.

    Those of single requests come without their bodies, which no other check needs here: a million
    images take room. ``errors`` gets those that are not in the one spelling of JSON, as others can
    hold a name twice.
    """
    events, unknown = [], {}
    for event, (*_, text, _, _) in zip(ledger.iter_events(), ledger.raw_events(), strict=True):
        where = f"event {event.seq} ({event.kind})"
        if len(event.at) != _DATED:
            errors.append((where, "is not dated to the microsecond, as sharekit does"))
        if encode_body(event.kind, event.body) != text:
            errors.append((where, "is not in canonical JSON, so sharekit did not write it"))
        if event.kind in EVENTS and (name := unknown_field(event.kind, event.body)):
            unknown[event.seq] = name
        plain = event.kind in _OF_REQUESTS and BLOB_FIELDS.isdisjoint(event.body)
        events.append(event._replace(body={}) if plain else event)
    return events, unknown


def _additions(
    ledger: Ledger, events: list[Event], unknown: Mapping[int, str]
) -> Iterator[Problem]:
    for event in events:
        where = f"event {event.seq} ({event.kind})"
        if event.kind not in EVENTS:
            yield where, "is of a kind that sharekit does not write"
            continue
        if name := unknown.get(event.seq, ""):
            yield where, f"holds a field that sharekit does not write there: {name!r:.80}"
        for field in sorted(BLOB_FIELDS & event.body.keys()):
            schema = frame_schema(event.kind, field, event.body)
            if name := parquet.unknown_column(ledger.get_blob(event.body[field]), schema):
                what = f"has a column that sharekit does not write: {name!r:.80}"
                yield f"{where}, {field}", what


def schema_digest(ledger: Ledger) -> str:
    """Return the SHA-256 of all tables, indexes and triggers: what the database forbids."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    return digest(ledger.fetch(query))


def created_body(ledger: Ledger, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a new ledger's first event: who made it, and in which formats."""
    return {**environment, "schema": schema_digest(ledger), "report_format": REPORT_FORMAT}


def _file_errors(ledger: Ledger) -> Iterator[str]:
    for (line,) in ledger.fetch("PRAGMA integrity_check(5)"):
        if line != "ok":
            yield str(line).splitlines()[-1]


def _check_beginning(ledger: Ledger, events: list[Event]) -> Iterator[Problem]:
    if not events or events[0].kind != "created":
        yield "event 1", "does not say which version created the ledger"
    elif events[0].body.get("schema") != schema_digest(ledger):
        yield "schema", "its tables, indexes or triggers are not those it was created with"
    kinds = {event.kind for event in events} - {"created", "sealed"}
    if len({kind.startswith("fleet_") for kind in kinds}) > 1:
        yield "events", "are those of a fleet and of a run, which no ledger has together"
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
        if name not in locations and not _is_named_later(ledger, name):
            yield label, "belongs to no event: it was added, or its event was cut off"
        elif unchanged and not sound[name]:
            yield label, f"has the media type {media_type!r}, not {parquet.MEDIA_TYPE!r}"
    for name, location in locations.items():
        if name not in sound:
            yield location, f"names blob {name[:12]}…, which is missing"
        elif not sound[name]:
            yield location, f"names blob {name[:12]}…, whose contents were changed"


def _is_named_later(ledger: Ledger, name: object) -> bool:
    """Return True if an event names a blob that was written since the ledger was opened."""
    query = "SELECT 1 FROM events WHERE seq > ? AND instr(body, ?) LIMIT 1"
    return bool(ledger.fetch(query, (ledger.event_count, str(name))))


def _is_unchanged(ledger: Ledger, name: object) -> bool:
    try:
        ledger.get_blob(str(name))
    except LedgerError:
        return False
    return True


def _check_approvals(events: list[Event]) -> Iterator[Problem]:
    """Yield requests without an approval of the plan, and what changes the plan after one."""
    approved: Any = None
    fingerprint: Any = ""
    sent = False
    for event in events:
        where = f"event {event.seq} ({event.kind})"
        if event.kind in VOIDING_EVENTS:
            approved = None
            if sent:
                yield where, "changes the plan or its approval after a request was sent"
        if event.kind == "planned":
            fingerprint = event.body["fingerprint"]
        elif event.kind == "approved":
            approved = event.body["fingerprint"]
        elif event.kind == "intent":
            sent = True
            if approved != fingerprint:
                yield where, "sends what was not approved"


def _check_end(events: list[Event]) -> Iterator[Problem]:
    """Yield an end that comes too early, what follows on the end, and an end that is missing."""
    settled: Event | None = None
    end: Event | None = None
    for event in events:
        where = f"event {event.seq} ({event.kind})"
        sealed = {"head": event.prev, "events": event.seq - 1}
        if event.kind == "sealed" and not (end and sealed.items() <= event.body.items()):
            yield where, "is the seal of another head, or of no end"
        if event.kind == "outcomes_recorded":
            settled = event
        elif event.kind == "finished" and not _is_complete(settled, event):
            yield where, "comes before every row has its outcome"
        if end is not None and event.kind != "sealed":
            noun = _ENDS[end.kind]
            yield where, f"comes after the {noun}"
        end = event if event.kind in EVENTS and EVENTS[event.kind].ends else end
    if settled is not None and end is None and _must_be_finished(events, settled):
        yield (
            f"event {events[-1].seq}",
            "every row was settled here, but no `finished` follows: the end was cut off",
        )


def _is_complete(settled: Event | None, finished: Event) -> bool:
    """Return True if the event before it recorded a final outcome for each of its rows."""
    if settled is None or settled.seq != finished.seq - 1 or _open_rows(settled):
        return False
    return bool(sum(settled.body["counts"].values()) == finished.body["rows"])


def _open_rows(settled: Event) -> int:
    return sum(settled.body["counts"].get(name, 0) for name in UNSETTLED)


def _must_be_finished(events: list[Event], settled: Event) -> bool:
    # What contradicts its job is looked at once more by another call.
    is_open = _open_rows(settled) or settled.body["counts"].get("contradicted", 0)
    return events[settled.seq - 2].kind != "stopped" and not is_open
