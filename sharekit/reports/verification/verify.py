"""Verify a ledger against its hashes, its outcomes against its events, reports against both."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Final

import pandas as pd

from sharekit.audits.audit import verify_audit
from sharekit.audits.results import Audit
from sharekit.audits.storage import holds_audit
from sharekit.core.columns import with_unit
from sharekit.core.errors import LedgerError, LedgerUnreadableError, SharekitError, UsageError
from sharekit.core.frame_schemas import PROJECTS
from sharekit.core.html import table
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.provenance import (
    ENVIRONMENT,
    REPORT_FORMAT,
    __version__,
    distinct_people,
    is_older,
)
from sharekit.core.rules import RULE_SET
from sharekit.ledger import integrity, signatures
from sharekit.ledger.events import signed_part
from sharekit.ledger.file import is_ledger, trailing_bytes
from sharekit.ledger.integrity import Problem
from sharekit.ledger.ledger import Ledger
from sharekit.plans.approval import (
    ApprovalRequirement,
    insufficient_approvals,
    invalid_signatures,
    valid_approvals,
)
from sharekit.plans.plan import HasLedger, Plan, ledger_path, read_plan
from sharekit.plans.replay import followed_differences, plan_problems, step_problems
from sharekit.plans.storage import refuse_fleet
from sharekit.runs.requests.log import RequestLog
from sharekit.runs.requests.replay import SIGN_IN, run_problems

from ..merged_runs import order_runs
from ..report import Source, report_source, split_ledgers
from ..run_record import Record
from .compare import differences, have_same_values
from .earlier_states import earlier_states
from .saved_workbook import NotComparableError

_log = logging.getLogger("sharekit.reports")

#: Events that are listed one by one; more are counted.
_LISTED: Final = 20
#: How far a clock may be fast.
_CLOCK_STEP: Final = timedelta(days=1)
#: Rows, and states of a ledger, that a report which names no state is compared with at most.
_SEARCHED_ROWS, _SEARCHED_STATES = 10_000_000, 200
_OTHER_VERSION: Final = (
    "made by another version: its values are those of the ledger, its bytes are not those that "
    "this version writes"
)
_TOO_MANY: Final = (
    "differs, and a csv names no state of the ledger: it was compared with {} of {} earlier states "
    "that it may have been made from. Verify the xlsx, html or json that was made with it"
)
#: What a problem means for the verdict.
CHANGED, UNPROVEN, NOTE = "changed", "unproven", "note"
Graded = tuple[str, Problem]
#: A run's plan, and its requests, followed through all events; nothing where it was not read.
_Followed = list[tuple[Plan, RequestLog]]


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether a run's record is as it was written, and signed as demanded.

    Attributes
    ----------
    events : int
        Number of events in the ledgers.
    head : str
        Hash of the last event.
    problems : tuple of pairs
        Where something is wrong, and what.
    unproven : tuple of pairs
        Those of the problems that lack a signature or seal, though nothing was changed.
    notes : tuple of pairs
        What is no fault: a report made from an earlier state of the ledger, an approval that did
        not count.
    """

    events: int
    head: str
    problems: tuple[Problem, ...]
    unproven: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def label(self) -> str:
        """``intact``, ``UNPROVEN`` or, where anything was changed, ``TAMPERED``."""
        if self.intact:
            return "intact"
        return "UNPROVEN" if set(self.problems) <= set(self.unproven) else "TAMPERED"

    def __repr__(self) -> str:
        counted = ((self.problems, "problem"), (self.notes, "note"))
        numbers = [with_unit(len(pairs), unit) for pairs, unit in counted if pairs]
        return f"<Verdict: {', '.join([self.label, with_unit(self.events, 'event'), *numbers])}>"

    def _repr_html_(self) -> str:
        lines = [("problem", *pair) for pair in self.problems] + [
            ("note", *pair) for pair in self.notes
        ]
        return table(pd.DataFrame(lines, columns=["is", "where", "what"]), title=repr(self)[1:-1])


@checks_arguments
@shows_progress("verifying")
def verify(
    ledger: HasLedger | str | PathLike[str],
    *reports: str | PathLike[str],
    signers: str | PathLike[str] | None = None,
    reviewers: int = 1,
    progress: bool = True,
) -> Verdict:
    """Check a ledger, of a run or an audit, and report files made from it, for any change.

    Parameters
    ----------
    ledger : path
        The run's file.
    *reports : path
        Report files (xlsx, html, csv, json, parquet). Each is compared with a fresh one; a report
        that names the head of an earlier state of the one ledger is compared with one made from
        that state. The ledgers of runs that follow on this one (`retry`, `undo`) may be among them:
        then each is checked, and that it holds the hash of the one it follows; the reports are
        those over all of them.
    signers : path, optional
        OpenSSH's allowed-signers file. With it, each submission must have as many approvals, signed
        by their reviewers, as it demanded, and somebody in that file must have sealed the run.
        Further approvals that are not signed so are noted.
    reviewers : int
        Number of signed approvals required at least, whatever the submission demanded.
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    Verdict

    Raises
    ------
    LedgerError
        If the file is no ledger at all.
    UsageError
        If a report does not exist or has an unknown suffix, or signatures cannot be checked.

    Examples
    --------
    >>> verify("run.ledger", "audit.xlsx").intact  # doctest: +SKIP
    True
    """
    ledger = ledger_path(ledger)
    for report in reports:
        if not Path(report).is_file():
            raise UsageError(f"{report}: there is no such file.")
    paths, files = split_ledgers([Path(path) for path in (ledger, *reports)])
    try:
        with ExitStack() as stack:
            ledgers = [stack.enter_context(Ledger.open(path, verify_chain=False)) for path in paths]
            for one in ledgers:
                if one.last_event("planned") is None:
                    refuse_fleet(one)
            required = None if signers is None else ApprovalRequirement(reviewers, signers)
            verdict = _verdict(ledgers, list(_check_all(ledgers, files, required)))
    except LedgerUnreadableError:
        raise
    except LedgerError as error:
        if not is_ledger(ledger):
            raise
        verdict = Verdict(0, "", (("file", str(error)),))
    _log.info("%s: %s, %d problems", ledger, verdict.label, len(verdict.problems))
    return verdict


def _verdict(ledgers: Sequence[Ledger], graded: Sequence[Graded]) -> Verdict:
    try:
        head = order_runs(ledgers)[-1].ledger.head
    except SharekitError:
        head = ""
    return grade_verdict(sum(ledger.event_count for ledger in ledgers), head, graded)


def grade_verdict(events: int, head: str, graded: Sequence[Graded]) -> Verdict:
    """Return the verdict on what was found, each with its grade."""
    problems, unproven, notes = (
        tuple(problem for grade, problem in graded if grade in grades)
        for grades in ((CHANGED, UNPROVEN), (UNPROVEN,), (NOTE,))
    )
    return Verdict(events, head, problems, unproven, notes)


def _check_all(
    ledgers: Sequence[Ledger], reports: Sequence[Path], required: ApprovalRequirement | None
) -> Iterator[Graded]:
    faulty, followed = False, _Followed()
    for ledger in ledgers:
        keeps = followed if reports and len(ledgers) == 1 else None
        for grade, (where, what) in check_ledger(ledger, required, keeps):
            faulty |= grade != NOTE
            yield grade, (f"{ledger.path.name}, {where}" if len(ledgers) > 1 else where, what)
    if not reports and len(ledgers) == 1:
        return
    try:
        if not faulty:
            yield from ((CHANGED, problem) for problem in _followed(ledgers))
        source = report_source(*ledgers, followed=followed.pop() if followed else (None, None))
    except SharekitError as error:
        if not faulty:
            yield CHANGED, ("ledger", str(error))
        return
    for report in reports:
        earlier = ledgers[0] if len(ledgers) == 1 and not faulty else None
        yield from check_report(source, report, earlier)
    if reports:
        yield from ((NOTE, note) for ledger in ledgers for note in _unsigned(ledger))


def _followed(ledgers: Sequence[Ledger]) -> Iterator[Problem]:
    """Yield where a run says otherwise than the run that it follows what had been decided."""
    links = order_runs(ledgers) if len(ledgers) > 1 else []
    for link in links[1:]:
        for where, what in followed_differences(link.ledger, links[link.follows - 1].ledger):
            yield f"{link.file_name}, {where}", what


def check_report(source: Source, report: Path, ledger: Ledger | None) -> Iterator[Graded]:
    """Check a report; with the sound ``ledger`` of it, against its earlier states as well."""
    grade, differing = _compare(source, report)
    if differing and grade == CHANGED and ledger is not None and isinstance(source, Record | Audit):
        states = earlier_states(ledger, report)
        affordable = _SEARCHED_ROWS // max(1, len(source.rows))
        searched = states[: max(1, min(_SEARCHED_STATES, affordable))]
        notes = (_agreement(ledger, report, state) for state in searched)
        if note := next(filter(None, notes), ""):
            yield NOTE, (report.name, note)
            return
        if len(searched) < len(states):
            yield UNPROVEN, (report.name, _TOO_MANY.format(len(searched), len(states)))
            return
    yield from ((grade, difference) for difference in differing)


def _unsigned(ledger: Ledger) -> Iterator[Problem]:
    """Yield a note if anybody who can write the ledger can have written its approvals."""
    planned = ledger.last_event("planned")
    approvals = [] if planned is None else valid_approvals(ledger, planned.body["fingerprint"])
    names = distinct_people(one.reviewer for one in approvals if not one.signature)
    if names:
        yield (
            "approvals",
            f"not signed: that {', '.join(names)} approved is said by the ledger alone",
        )


def _compare(source: Source, report: Path) -> tuple[str, list[Problem]]:
    """Return what a report says otherwise; one that nobody can compare proves nothing."""
    try:
        differing = differences(source, report)
        if differing and have_same_values(source, report):
            return NOTE, [(report.name, _OTHER_VERSION)]
    except NotComparableError as error:
        return UNPROVEN, [(report.name, str(error))]
    return CHANGED, differing


def _agreement(ledger: Ledger, report: Path, head: str) -> str:
    """Return a note if a report agrees with an earlier state of a sound ledger, else ``""``."""
    with Ledger.open(ledger.path, verify_chain=False, until=head) as past:
        try:
            source = report_source(past)
        except SharekitError:  # no plan yet
            return ""
        grade, differing = _compare(source, report)
        if differing and grade != NOTE:
            return ""
        events = f"event {past.event_count} of {ledger.event_count}"
        return f"made from an earlier state ({events}), and as then"


# -- one ledger --------------------------------------------------------------------------------
def check_ledger(
    ledger: Ledger, required: ApprovalRequirement | None, followed: _Followed | None = None
) -> Iterator[Graded]:
    """Check one ledger; whatever a tampered one contains is a problem, not an exception.

    ``followed`` takes what :func:`.run_problems` has read of the run.
    """
    faulty = False
    try:
        for grade, problem in _problems(ledger, required, followed):
            faulty |= grade != NOTE
            yield grade, problem
    except (UsageError, LedgerUnreadableError):
        raise
    except SharekitError as error:
        if not faulty:
            yield CHANGED, ("ledger", str(error))


def _problems(
    ledger: Ledger, required: ApprovalRequirement | None, followed: _Followed | None
) -> Iterator[Graded]:
    broken, added = integrity.examine(ledger)
    yield from ((CHANGED, problem) for problem in broken)
    if not broken:
        yield from _other_version(ledger, added)
        yield from _times(ledger)
        yield from _times_of_looks(ledger)
        yield from ((CHANGED, problem) for problem in _replayed(ledger, followed))
    yield from _other_rules(ledger)
    if required is not None:
        yield from _signatures(ledger, required)
    yield from ((NOTE, problem) for problem in _notes(ledger, checked=required is not None))
    if not broken:
        yield from ((NOTE, problem) for problem in _other_sign_ins(ledger))


def _other_version(ledger: Ledger, added: list[Problem]) -> Iterator[Graded]:
    """Yield what this version does not write; a later one may, so that it then proves nothing."""
    created = ledger.last_event("created")
    made_by = str(created.body.get("sharekit", "")) if created else ""
    grade = CHANGED if is_older(made_by) else UNPROVEN
    if made_by != __version__:
        what = f"says that sharekit {made_by!r:.40} made it, and this is {__version__}: " + (
            "the wording of messages was not compared"
            if grade == CHANGED
            else "verify it with that version"
        )
        yield NOTE if grade == CHANGED else grade, ("event 1 (created)", what)
    elif created and created.body.get("report_format") != REPORT_FORMAT:
        yield CHANGED, ("event 1 (created)", "names another format of reports than its version")
    elif created and not created.body.keys() >= {*ENVIRONMENT}:
        yield CHANGED, ("event 1 (created)", "does not say by whom and with what it was made")
    yield from ((grade, problem) for problem in added)


def _other_rules(ledger: Ledger) -> Iterator[Graded]:
    """Yield where findings were not made again; a number that is not known here proves nothing."""
    for event in ledger.list_events("planned", "audit_recorded"):
        number = event.body["rule_set"]
        if number != RULE_SET:
            grade = NOTE if 0 < number < RULE_SET else UNPROVEN
            what = f"was made with rule set {number}, not {RULE_SET}: its findings were not checked"
            yield grade, (f"event {event.seq} ({event.kind})", what)


def _replayed(ledger: Ledger, followed: _Followed | None) -> Iterator[Problem]:
    """Yield where an audit, or the plan and the run, cannot be made again from the ledger."""
    if holds_audit(ledger):
        yield from verify_audit(ledger)
        return
    if ledger.last_event("fleet_planned") is not None:
        return  # its parts have the plans, and no ledger has events of a fleet and of a run
    plan = read_plan(ledger)
    yield from step_problems(ledger)
    yield from plan_problems(ledger, plan)
    yield from run_problems(ledger, plan, followed)


def _signatures(ledger: Ledger, required: ApprovalRequirement) -> Iterator[Graded]:
    planned, sealed = ledger.last_event("planned"), ledger.last_event("sealed")
    signers, lacks = required.signers, list(insufficient_approvals(ledger, required))
    assert signers is not None  # noqa: S101 - for mypy: without them nobody asks
    for event, lack in lacks:
        where = "approvals" if event is None else f"event {event.seq} ({event.kind})"
        yield UNPROVEN, (where, lack)
    if planned is not None and not lacks:
        for at, what in invalid_signatures(ledger, planned.body["fingerprint"], signers):
            yield NOTE, (f"approval of {at}", f"{what}; it was not needed")
    if sealed is None:
        yield UNPROVEN, ("seal", "there is none, so the end may have been cut off")
    elif fault := signatures.signature_error(sealed.body, signers, signatures.SEAL):
        changed = signatures.signs_other_content(sealed.body, signatures.SEAL)
        yield CHANGED if changed else UNPROVEN, (f"event {sealed.seq} (sealed)", fault)


def _times(ledger: Ledger) -> Iterator[Graded]:
    """Yield events dated before their predecessor, or in the future: clocks are set, too.

    A clock that was set back is a note: an honest one may have been fast by any time. What is dated
    in the future of whoever verifies proves nothing.
    """
    tomorrow = datetime.now(UTC) + _CLOCK_STEP
    odd: list[Graded] = []
    before: datetime | None = None
    for seq, at, *_ in ledger.raw_events():
        now = datetime.fromisoformat(at)
        back = before - now if before is not None else timedelta()
        if now == before:  # a ledger dates no two events alike
            odd.append((CHANGED, (f"event {seq}", f"is dated {at}, as the one before it is")))
        if back > timedelta():
            what = f"is dated {at}, {back} before the one before it: a clock was set back"
            odd.append((NOTE, (f"event {seq}", what)))
        if now > tomorrow:
            odd.append((UNPROVEN, (f"event {seq}", f"is dated {at}, which is in the future")))
        before = now
    yield from odd[:_LISTED]
    for grade in sorted({grade for grade, _ in odd[_LISTED:]}):
        count = sum(one == grade for one, _ in odd[_LISTED:])
        yield grade, ("events", f"{count:,} more have such dates")


def _times_of_looks(ledger: Ledger) -> Iterator[Graded]:
    """Yield where clouds were read in the future, or before the call of submit that read them."""
    tomorrow, began = datetime.now(UTC) + _CLOCK_STEP, datetime.max.replace(tzinfo=UTC)
    looks = ("snapshot_taken", "preflight_snapshot", "cloud_listed")
    for event in ledger.list_events("submit_started", *looks):
        at = datetime.fromisoformat(event.at)
        if event.kind == "submit_started":
            began = at
            continue
        taken = datetime.fromisoformat(event.body["taken_at"])
        # If it was recorded before the call began, a clock was set back in between.
        early = event.kind == "preflight_snapshot" and taken + _CLOCK_STEP < began <= at
        if early or taken > tomorrow:
            what = f"is dated {event.at}, and read the clouds at {event.body['taken_at']}"
            yield UNPROVEN, (f"event {event.seq} ({event.kind})", what)


def _notes(ledger: Ledger, *, checked: bool) -> Iterator[Problem]:
    """Yield trailing bytes, and signatures that were not checked."""
    if trailing := trailing_bytes(ledger.path):
        yield "file", f"{trailing:,} bytes stand after the end of the database; unread"
    for event in ledger.list_events("approved", "sealed") if not checked else ():
        if signed_part(event.body).get("signature"):
            what = "its signature was not checked: name the allowed signers"
            yield f"event {event.seq} ({event.kind})", what


def _other_sign_ins(ledger: Ledger) -> Iterator[Problem]:
    """Yield where a call signed in otherwise than the plan that was looked at and approved."""
    taken = ledger.last_event("snapshot_taken")
    if taken is None:
        return
    projects = ledger.get_frame(taken.body["projects_blob"], PROJECTS)
    planned = {str(one["project_id"]): one for one in projects.to_dict("records")}
    for event in ledger.list_events("submit_started"):
        for account in event.body["clouds"]:
            then = planned.get(account["project_id"], {})
            account = {"acts_as": "", **account}  # noqa: PLW2901
            other = [name for name in SIGN_IN if then.get(name, account[name]) != account[name]]
            if other and not then["unread"]:
                was, now = then[other[0]], account[other[0]]
                what = f"was planned with {other[0]} {was!r:.80}, not {now!r:.80}"
                where = f"event {event.seq} ({event.kind})"
                yield where, f"project {account['project_id']} {what}"
