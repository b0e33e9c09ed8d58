"""A ledger against its own hashes, its counts against its rows, reports against the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from . import reporting, spec
from .errors import SharekitError, UsageError
from .ledger import Ledger
from .outcomes import totals
from .recording import record_of
from .run import load_run
from .schema import GENESIS, OUTCOME_COLUMNS, PLAN_COLUMNS, digest, event_hash


@dataclass(frozen=True)
class Verdict:
    """Whether a run's record is as it was written.

    ``problems`` are pairs of where and what; ``head`` is the hash of the last event.
    """

    events: int
    head: str
    problems: tuple[tuple[str, str], ...]

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(ledger: str | PathLike[str], *reports: str | PathLike[str]) -> Verdict:
    """Check a ledger, and report files made from it, for any change.

    Parameters
    ----------
    ledger : path
        The run's file.
    *reports : path
        Report files (xlsx, html, csv, json), each compared with a fresh one.

    Returns
    -------
    Verdict

    Raises
    ------
    LedgerError
        If the file is no ledger at all.
    UsageError
        If a report does not exist or is of no kind we make.

    Examples
    --------
    >>> verify("run.ledger", "audit.xlsx").intact  # doctest: +SKIP
    True
    """
    for report in reports:
        if not Path(report).is_file():
            raise UsageError(f"{report}: there is no such file.")
    with Ledger.open(ledger) as book:
        problems = list(_guarded(book, reports))
        return Verdict(book.length, book.head, tuple(problems))


def _guarded(book: Ledger, reports: tuple[str | PathLike[str], ...]) -> Iterator[tuple[str, str]]:
    try:
        yield from _chain(book)
        yield from _blobs(book)
        yield from _rows(book)
        yield from _counts(book)
        record = record_of(book) if reports else None
    except SharekitError as error:
        yield "ledger", str(error)
        return
    except (KeyError, ValueError, TypeError, IndexError) as error:
        # A ledger changed by hand can hold anything; what it cannot do is to pass.
        yield "ledger", f"its contents do not fit together ({type(error).__name__}: {error})"
        return
    for report in reports:
        if record is not None:
            yield from reporting.differences(record, Path(report))


def _chain(book: Ledger) -> Iterator[tuple[str, str]]:
    before = GENESIS
    for number, (seq, at, kind, body, prev, link) in enumerate(book.raw_events(), 1):
        if seq != number:
            yield f"event {number}", f"missing; the next one there is {seq}"
            return
        if prev != before:
            yield f"event {seq}", "does not follow on the event before it"
        if event_hash(seq, at, kind, body, prev) != link:
            yield f"event {seq}", f"its contents were changed ({kind})"
        before = link


def _blobs(book: Ledger) -> Iterator[tuple[str, str]]:
    named = set()
    for seq, _, _, body, _, _ in book.raw_events():
        for name, value in json.loads(body).items():
            if name in _BLOB_FIELDS:
                named.add(value)
                try:
                    book.get(value)
                except SharekitError:
                    yield f"event {seq}", f"its {name} {value[:12]}… is missing or was changed"
    for name in sorted(book.blob_names() - named):
        yield f"blob {name[:12]}…", "belongs to no event"


_BLOB_FIELDS = frozenset(
    {"blob", "rows_blob", "marks_blob", "findings_blob", "members", "vaults", "projects"}
)


def _rows(book: Ledger) -> Iterator[tuple[str, str]]:
    for kind, columns, field in (
        ("planned", PLAN_COLUMNS, "rows_digest"),
        ("settled", OUTCOME_COLUMNS, "digest"),
    ):
        event = book.last(kind)
        if event is not None and digest(book.read_rows(columns)) != event.body[field]:
            yield "table rows", f"differs from what event {event.seq} ({kind}) recorded"


def _counts(book: Ledger) -> Iterator[tuple[str, str]]:
    run = load_run(book)
    said = book.last("inventory")
    if said is not None and said.body["rows"] != len(run.rows):
        yield "rows", f"{len(run.rows)} outcomes for {said.body['rows']} input rows"
    event = book.last("settled")
    if event is None:
        return
    stored = totals((line[0] for line in book.read_rows(["outcome"])), spec.OUTCOMES)
    if stored != event.body["counts"]:
        yield "table rows", f"its counts are not those of event {event.seq}"
    later = [e for e in book.events("intent", "answer", "observed") if e.seq > event.seq]
    if not later and run.counts != event.body["counts"]:
        yield f"event {event.seq}", "its counts do not follow from the events before it"
