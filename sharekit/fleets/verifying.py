"""Verifies a fleet: its own ledger, each part by itself, and that they belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sharekit.core.errors import LedgerError, LedgerUnreadableError, UsageError
from sharekit.core.monitoring.progress import report
from sharekit.ledger.events import Body
from sharekit.ledger.hashing import tree_paths
from sharekit.ledger.integrity import Problem
from sharekit.ledger.ledger import Event, Ledger
from sharekit.plans.approval import ApprovalRequirement
from sharekit.reports.verification.verify import (
    CHANGED,
    NOTE,
    Graded,
    Verdict,
    check_ledger,
    check_report,
    grade_verdict,
)

from .records import report_source
from .storage import PART_LEDGER, fleet_plan, open_fleet, open_part, read_fleet, read_part


def verify_fleet(
    folder: Path, reports: Sequence[Path], required: ApprovalRequirement | None
) -> Verdict:
    """Check the ledgers of a fleet and of its parts, and reports over all of them."""
    for path in reports:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file.")
    graded: list[Graded] = []
    with open_fleet(folder, verify_chain=False) as ledger:
        head, events = ledger.head, ledger.event_count
        graded += _named(ledger.path, check_ledger(ledger, required))
        if not _faulty(graded):
            graded += _named(ledger.path, ((CHANGED, problem) for problem in _check_order(ledger)))
        parts = [] if _faulty(graded) else fleet_plan(ledger).body["parts"]
        for number, part in enumerate(parts, 1):
            report("verifying the parts", number, len(parts))
            path = folder / PART_LEDGER.format(part["name"])
            try:
                with open_part(folder, part, verify_chain=False) as own:
                    events += own.event_count
                    found = list(check_ledger(own, required))
                    found += [] if _faulty(found) else _check_part(own, part, ledger)
            except LedgerUnreadableError:
                raise
            except LedgerError as error:
                found = [(CHANGED, ("ledger", error.what))]
            graded += _named(path, found)
    if reports and not _faulty(graded):
        source = report_source(read_fleet(folder))
        graded += [one for path in reports for one in check_report(source, path, None)]
    return grade_verdict(events, head, graded)


def _faulty(graded: Sequence[Graded]) -> bool:
    return any(grade == CHANGED for grade, _ in graded)


def _named(path: Path, graded: Iterator[Graded] | Sequence[Graded]) -> list[Graded]:
    return [(grade, (f"{path.name}, {where}", what)) for grade, (where, what) in graded]


def _check_order(ledger: Ledger) -> Iterator[Problem]:
    """Yield what no call writes into a fleet's ledger: other plans' roots, approvals of others."""
    first: Event | None = None
    plan: dict[str, Any] = {}
    for event in ledger.list_events("fleet_planned", "fleet_approved", "fleet_finished"):
        where, body = f"event {event.seq} ({event.kind})", event.body
        if event.kind == "fleet_planned":
            first, plan = first or event, body
            if body["fingerprint"] != tree_paths(sorted(p["planned"] for p in body["parts"]))[0]:
                yield where, "its fingerprint is not that of its parts' plans"
            if any(
                body[name] != sum(p[name] for p in body["parts"]) for name in ("rows", "images")
            ):
                yield where, "counts other rows or images than its parts have"
            if _identities(body) != _identities(first.body):
                yield where, "has other parts than the fleet was planned with"
        elif event.kind == "fleet_approved":
            asked = {name: plan.get(name) for name in ("fingerprint", "images")}
            if not asked.items() <= body.items() or body["parts"] != len(plan.get("parts", ())):
                yield where, "approves another plan than the latest one"
            if body["after"] != event.prev:
                yield where, "was given for another ledger, or at another place in it"
        elif [part["name"] for part in body["parts"]] != [name for name, _ in _identities(plan)]:
            yield where, "names other parts than the fleet has"


def _identities(plan: Body) -> list[tuple[str, str]]:
    return [(part["name"], part["created"]) for part in plan.get("parts", ())]


def _check_part(ledger: Ledger, part: Mapping[str, Any], fleet: Ledger) -> Iterator[Graded]:
    """Check that a sound part is as the fleet's ledger says, and has its approvals."""
    events = ledger.list_events("planned", "approval_revoked")
    plans = {event.hash: event.body.get("fingerprint") for event in events}
    if plans.get(part["planned"]) != part["fingerprint"]:
        yield CHANGED, ("planned", "it has not the plan that the fleet's ledger names")
    now = read_part(part["name"], ledger)
    if now.planned != part["planned"]:
        yield (
            NOTE,
            ("planned", "its plan, or its approval, has changed since the fleet was approved"),
        )
    given = [event.body for event in fleet.list_events("fleet_approved")]
    for event in ledger.list_events("approved"):
        approved = dict(event.body.get("fleet", {}))
        approved.pop("path", None)
        if approved and approved not in given:
            what = "copies an approval that the fleet's ledger does not hold"
            yield CHANGED, (f"event {event.seq} (approved)", what)
    lacking = {
        one["reviewer"]
        for one in given
        if one["fingerprint"] == fleet_plan(fleet).body["fingerprint"]
    }
    lacking -= {one.reviewer for one in now.approvals}
    if lacking and not now.sends_nothing and now.planned == part["planned"]:
        what = f"lacks the approval of {', '.join(sorted(lacking))}: approve the fleet once more"
        yield NOTE, ("approvals", what)
    ended = fleet.last_event("fleet_finished")
    for end in () if ended is None else ended.body["parts"]:
        if end["name"] == part["name"] and not ledger.has_event(end["head"]):
            yield (
                CHANGED,
                ("end", "it has not the end that the fleet's ledger names: it was cut off"),
            )
