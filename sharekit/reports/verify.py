"""A ledger against its own hashes, its counts against its rows, reports against the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, Final

from sharekit import reports as reporting
from sharekit.audits.audit import verify_audit
from sharekit.audits.storage import holds_audit
from sharekit.core.errors import LedgerError, SharekitError, UsageError
from sharekit.core.provenance import __version__
from sharekit.ledger import integrity, parquet, signatures
from sharekit.ledger.earlier import Earlier, head_in
from sharekit.ledger.integrity import Problem
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.schema import OUTCOME_COLUMNS, PLAN_COLUMNS
from sharekit.ledger.storage import is_ledger, surplus
from sharekit.plans.approval import Demand, unproven, unsigned
from sharekit.runs.request_log import KINDS
from sharekit.runs.run import Run, load_run

from .merged_runs import order_runs
from .report import report_source, split_ledgers

#: Events that bear on an outcome.
_TELLING: Final = frozenset({*KINDS, "observed", "looked"})
#: Rows that are named one by one; more are counted.
_NAMED: Final = 20
#: What is said of a csv that is not what the ledger says now.
_NO_HEAD: Final = (
    "a csv names no state of the ledger, so it was changed, or made from an earlier state: verify "
    "the xlsx, html or json made with it"
)
#: What a finding of ours means for the verdict.
_CHANGED, _UNPROVEN, _NOTE = "changed", "unproven", "note"
_Graded = tuple[str, Problem]
_UNFIT: Final = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, OSError,
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Whether a run's record is as it was written, and as good as was asked for.

    ``problems`` are pairs of where and what, and so are ``notes``, of what is no fault: a report
    that was made from an earlier state of the ledger, an approval that did not count. ``head`` is
    the hash of the last event. ``unproven`` are those of the problems that say that something was
    not signed or sealed as demanded, though nothing was changed.
    """

    events: int
    head: str
    problems: tuple[tuple[str, str], ...]
    unproven: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def word(self) -> str:
        """``intact``, ``UNPROVEN`` or, where anything was changed, ``TAMPERED``."""
        if self.intact:
            return "intact"
        return "UNPROVEN" if set(self.problems) <= set(self.unproven) else "TAMPERED"


def verify(
    ledger: str | PathLike[str],
    *reports: str | PathLike[str],
    signers: str | PathLike[str] | None = None,
    reviewers: int = 1,
) -> Verdict:
    """Check a ledger, of a run or an audit, and report files made from it, for any change.

    Parameters
    ----------
    ledger : path
        The run's file.
    *reports : path
        Report files (xlsx, html, csv, json), each compared with a fresh one; if it names the head
        of an earlier state of the one ledger, with one made from that. Further ledgers may
        stand among them, of runs that follow on this one (`retry`, `undo`): then each is checked,
        and that each holds the hash of the one it follows on; reports are those over all of them.
    signers : path, optional
        OpenSSH's allowed-signers file: then each submission must have as many approvals, signed
        by their reviewers, as it demanded, and the run be sealed by somebody in that file. Further
        approvals that are not signed so are noted.
    reviewers : int
        So many at least must have signed, whatever the submission demanded.

    Returns
    -------
    Verdict

    Raises
    ------
    LedgerError
        If the file is no ledger at all.
    UsageError
        If a report does not exist or is of no kind we make, or signatures cannot be checked.

    Examples
    --------
    >>> verify("run.ledger", "audit.xlsx").intact  # doctest: +SKIP
    True
    """
    for report in reports:
        if not Path(report).is_file():
            raise UsageError(f"{report}: there is no such file.")
    ledgers, files = split_ledgers([Path(one) for one in (ledger, *reports)])
    try:
        with ExitStack() as stack:
            books = [stack.enter_context(Ledger.open(one, checked=False)) for one in ledgers]
            demand = None if signers is None else Demand(reviewers, signers)
            graded = list(_guarded(books, files, demand))
            problems, unproven, notes = (
                tuple(problem for grade, problem in graded if grade in grades)
                for grades in ((_CHANGED, _UNPROVEN), (_UNPROVEN,), (_NOTE,))
            )
            events = sum(book.length for book in books)
            return Verdict(events, _head(books), problems, unproven, notes)
    except LedgerError as error:
        if not is_ledger(ledger):
            raise
        return Verdict(0, "", (("file", str(error)),))


def _head(books: Sequence[Ledger]) -> str:
    """Return the head of the last run."""
    try:
        return order_runs(books)[-1].ledger.head
    except SharekitError:
        return ""


def _guarded(
    books: Sequence[Ledger], reports: Sequence[Path], demand: Demand | None
) -> Iterator[_Graded]:
    found = 0
    for book in books:
        for grade, (where, what) in _one(book, demand):
            found += grade != _NOTE
            yield grade, (f"{book.path.name}, {where}" if len(books) > 1 else where, what)
    try:
        told = report_source(*books) if reports or len(books) > 1 else None
    except (*_UNFIT, SharekitError) as error:
        if not found:
            yield _CHANGED, _unfit(error)
        return
    for report in reports:
        if told is None:
            continue
        differing = reporting.differences(told, report)
        if differing and len(books) == 1 and not found:
            if note := _of_earlier(books[0], report):
                yield _NOTE, (report.name, note)
                continue
            if report.suffix.lower() == ".csv":
                yield _NOTE, (report.name, _NO_HEAD)
        yield from ((_CHANGED, one) for one in differing)


def _of_earlier(book: Ledger, report: Path) -> str:
    """Return from which earlier state of a sound ledger a report was made; ``""`` if from none."""
    head = head_in(report)
    if not head or head == book.head or not book.holds(head):
        return ""
    try:
        with Earlier.open(book.path, checked=False) as past:
            if not past.cut_at(head) or reporting.differences(report_source(past), report):
                return ""
            return f"made from an earlier state (event {past.length} of {book.length}), and as then"
    except (*_UNFIT, SharekitError):
        return ""


def _one(book: Ledger, demand: Demand | None) -> Iterator[_Graded]:
    """Check a ledger alone. One that was changed by hand can hold anything, but not pass."""
    found = 0
    try:
        for problem in _in_ledger(book):
            found += 1
            yield _CHANGED, problem
        for grade, problem in chain(_signatures(book, demand) if demand else (), _odd(book)):
            found += grade != _NOTE
            yield grade, problem
    except UsageError:
        raise
    except (*_UNFIT, SharekitError) as error:
        if not found:
            yield _CHANGED, _unfit(error)


def _unfit(error: Exception) -> Problem:
    if isinstance(error, SharekitError):
        return "ledger", str(error)
    return "ledger", f"its contents do not fit together ({type(error).__name__}: {error})"


def _in_ledger(book: Ledger) -> Iterator[Problem]:
    alone = list(integrity.problems(book))
    yield from alone
    places = {where for where, _ in alone}
    if places - {"table rows"}:
        return
    yield from verify_audit(book) if holds_audit(book) else _outcomes(book)


def _signatures(book: Ledger, demand: Demand) -> Iterator[_Graded]:
    planned, sealed = book.last("planned"), book.last("sealed")
    signers, lacks = demand.signers, list(unproven(book, demand))
    assert signers is not None  # noqa: S101 - for mypy: without them nobody asks
    for event, lack in lacks:
        where = "approvals" if event is None else f"event {event.seq} ({event.kind})"
        yield _UNPROVEN, (where, lack)
    if planned is not None and not lacks:
        for at, what in unsigned(book, planned.body["fingerprint"], signers):
            yield _NOTE, (f"approval of {at}", f"{what}; it was not needed")
    if sealed is None:
        yield _UNPROVEN, ("seal", "there is none, so the end may have been cut off")
    elif why := signatures.fault(sealed.body, signers, signatures.SEAL):
        changed = signatures.misfits(sealed.body, signatures.SEAL)
        yield _CHANGED if changed else _UNPROVEN, (f"event {sealed.seq} (sealed)", why)


def _odd(book: Ledger) -> Iterator[_Graded]:
    """Surplus bytes, and events dated before the one before them: honest clocks are set, too."""
    if more := surplus(book.path):
        yield _NOTE, ("file", f"{more:,} bytes stand after the end of the database; unread")
    before, told = "", 0
    for seq, at, *_ in book.raw_events():
        if str(at) < before:
            told += 1
            if told <= _NAMED:
                what = f"is dated {at}, the one before it {before}: a clock was set back, or " \
                    "somebody wrote them"  # fmt: skip
                yield _NOTE, (f"event {seq}", what)
        before = str(at)
    if told > _NAMED:
        yield _NOTE, ("events", f"{told - _NAMED:,} more are dated before the one before them")


def _outcomes(book: Ledger) -> Iterator[Problem]:
    """What follows from the events, row by row, against what the ledger holds."""
    run, events = load_run(book), book.events()
    said = integrity.last(events, "inventory")
    if said is not None and said.body["rows"] != len(run.rows):
        yield "rows", f"{len(run.rows)} outcomes for {said.body['rows']} input rows"
    plan = parquet.lines(run.plan.rows.reset_index(), PLAN_COLUMNS)
    yield from _differing(run, PLAN_COLUMNS, plan, book)
    settled = integrity.last(events, "settled")
    if settled is None or any(e.kind in _TELLING for e in events[settled.seq :]):
        return
    if run.counts != settled.body["counts"]:
        yield f"event {settled.seq} (settled)", "its counts do not follow from the events before it"
    if events[0].body["sharekit"] == __version__:  # another version may word a reason otherwise
        yield from _differing(run, OUTCOME_COLUMNS, run.outcome_lines(), book)


def _differing(
    run: Run, columns: tuple[str, ...], should: Iterable[tuple[object, ...]], book: Ledger
) -> Iterator[Problem]:
    # Side by side, both by their keys: a million rows of either are too much to be held.
    stored, other, differing = book.read_rows(columns), None, 0
    for line in should:
        key: Any = line[0]
        while other is None or other[0] < key:
            other = next(stored, (math.inf,))
        if other == line:
            continue
        differing += 1
        if differing <= _NAMED:
            yield from _told(f"table rows, {_place(run, key)}", columns, line, other)
    if differing > _NAMED:
        yield "table rows", f"{differing - _NAMED:,} more rows differ"


def _told(
    where: str, columns: tuple[str, ...], line: tuple[Any, ...], other: tuple[Any, ...]
) -> Iterator[Problem]:
    if other[0] != line[0]:
        yield where, "is missing"
        return
    for name, wanted, told in zip(columns, line, other, strict=True):
        if wanted != told:
            yield f"{where}, {name}", f"says {told!r}, should say {wanted!r}"


def _place(run: Run, row_key: Any) -> str:
    source = run.plan.findings.inventory.rows.loc[row_key]
    sheet = ", ".join(filter(None, (str(source["file"]), str(source["sheet"]))))
    return f"row_key {row_key} ({sheet}, row {source['row']})"
