"""A reviewer's decisions on the rows of a plan, before anything is sent.

Decisions are events of the ledger, each on disk before the call returns, keyed by row. They do not
change the plan: :func:`replan` does, under a new fingerprint. An approval fixes the rows until it
is revoked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sharekit.checks.findings import left_out_rows
from sharekit.core import actions, frame_schemas
from sharekit.core.errors import LedgerError, PlanError, UsageError
from sharekit.core.fields import VAULT_SHAPE
from sharekit.ledger.ledger import Event, Ledger
from sharekit.spreadsheets.writing.review_sheet import read_review

from .approval import latest_approval, pending_decisions, plan_event
from .plan import HasLedger, Plan, ledger_path, read_plan, replan_with
from .storage import LOG, row_count

#: The columns of :func:`review_rows`.
_REVIEW_COLUMNS: Final = [
    "file", "sheet", "row", "image_id", "project_id", "status", "vault_id", "name", "owner",
    "before", "disposition", "findings",
]  # fmt: skip
#: What a reviewer may decide on a row; ``""`` is what the inventory says.
DECISIONS: Final = ("", *actions.DECISIONS, "skip")
#: The parts of a decision; a step leaves those that it does not name as they were.
FIELDS: Final = frame_schemas.DECISIONS.names


def review_rows(plan: Plan) -> pd.DataFrame:
    """Return every row of a plan as a reviewer sees it, with its findings as one text."""
    findings = plan.findings.frame
    findings = findings[
        (findings["row_key"] >= 0) & findings["severity"].isin(["error", "warning", "repair"])
    ]
    left_out = left_out_rows(plan.findings).rename_axis("row_key").reset_index()
    findings = pd.concat([findings[["row_key", "rule", "message"]], left_out])
    texts = (findings["rule"] + ": " + findings["message"]).set_axis(findings["row_key"])
    several = texts.index.duplicated(keep=False)
    joined = texts[several].groupby(level=0).agg("; ".join)
    texts = pd.concat([texts[~several], joined]).astype("str")
    rows = plan.rows.copy()
    for name in ("file", "sheet"):
        rows[name] = plan.findings.inventory.rows[name].astype("str")
    rows["findings"] = texts.reindex(rows.index).fillna("").astype("str")
    return rows[_REVIEW_COLUMNS]


# -- steps -----------------------------------------------------------------------------------------
def decide(
    plan: HasLedger | str | PathLike[str],
    rows: Sequence[int],
    *,
    decision: str | None = None,
    reason: str | None = None,
    vault_id: str | None = None,
    reviewer: str = "",
) -> Event:
    """Write one step of decisions into the ledger; :func:`replan` puts it into the plan.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    rows : sequence of int
        Keys of rows (the index of ``plan.rows``), wherever they are in a sorted or filtered view.
    decision : str, optional
        ``accept`` or ``reject``, ``share`` or ``unshare`` where the owner acts, ``skip``, or ``""``
        for what the inventory says; None leaves it as it was.
    reason, vault_id : str, optional
        The reason, and the vault for a full-ECS image; None leaves them as they were.
    reviewer : str
        The name of the person who decides, for the report.

    Returns
    -------
    Event
        The step; :func:`undo` takes the last one back.

    Raises
    ------
    UsageError
        There is no such row or no such decision, or nothing is decided.
    PlanError
        The plan is approved, or requests were sent already.
    LedgerError
        There is no such ledger, another process is using it, or it cannot be written.

    Examples
    --------
    >>> decide("run.ledger", [17, 18], decision="skip", reason="owner left")  # doctest: +SKIP
    """
    given = {"decision": decision, "reason": reason, "vault_id": vault_id}
    decided = {name: value.strip() for name, value in given.items() if value is not None}
    _validate(decided, rows)
    keys = pd.Index(np.unique(np.asarray(rows, dtype="int64")), name="row_key")
    frame = pd.DataFrame({name: decided.get(name) for name in FIELDS}, index=keys, dtype="str")
    with open_for_decisions(ledger_path(plan)) as ledger:
        if keys[0] < 0 or keys[-1] >= row_count(ledger):
            raise UsageError(f"{ledger.path} has no row with key {keys[0]} … {keys[-1]}.")
        with ledger.transaction():
            body = {
                "reviewer": reviewer.strip(),
                "rows": len(keys),
                "of": plan_event(ledger)["fingerprint"],
                "blob": ledger.put_frame(frame),
            }
            return ledger.append("decided", body)


def undo(plan: HasLedger | str | PathLike[str], *, reviewer: str = "") -> int:
    """Take the last step of decisions back; return the number of its rows, 0 if there is none.

    Raises
    ------
    PlanError
        The plan is approved, or requests were sent already.

    Examples
    --------
    >>> undo("run.ledger")  # doctest: +SKIP
    1
    """
    with open_for_decisions(ledger_path(plan)) as ledger:
        if not undoable(ledger):
            return 0
        last = steps(ledger)[-1]
        ledger.append("undone", {"seq": last.seq, "reviewer": reviewer.strip()})
        return int(last.body["rows"])


def replan(plan: HasLedger | str | PathLike[str]) -> Plan:
    """Plan again with every decision taken so far; without a new one the plan stays the same.

    Raises
    ------
    PlanError
        The plan is approved, is larger than it may be, or requests were sent already.

    Examples
    --------
    >>> replan("run.ledger").fingerprint[:12]  # doctest: +SKIP
    'a61f0b2c9d4e'
    """
    path = ledger_path(plan)
    with Ledger.open(path) as ledger:
        if not pending_decisions(ledger):
            return read_plan(ledger)
    with open_for_decisions(path) as ledger, ledger.transaction():
        return replan_with(ledger, decisions(ledger))


def import_sheet(path: Path, sheet: Path, reviewer: str) -> None:
    """Import the decisions of a review workbook, and plan again."""
    with Ledger.open(path, write=True) as ledger:
        _check_nothing_sent(ledger)
        current = read_plan(ledger)
        decided = read_review(sheet, review_rows(current), fingerprint=current.fingerprint)
        if decided.empty:
            return
        decided.index.name = "row_key"
        with ledger.transaction():
            ledger.append(
                "reviewed",
                {
                    "reviewer": reviewer,
                    "file": sheet.name,
                    "sha256": hashlib.sha256(sheet.read_bytes()).hexdigest(),
                    "decisions": len(decided),
                    "of": current.fingerprint,
                    "blob": ledger.put_frame(decided),
                },
            )
            replan_with(ledger, decisions(ledger))
        LOG.info("imported %d decisions from %s", len(decided), sheet)


@contextmanager
def open_for_decisions(path: Path) -> Iterator[Ledger]:
    """Open a ledger whose plan may still be changed.

    Raises
    ------
    PlanError
        The plan is approved, or requests were sent already.
    """
    with Ledger.open(path, write=True) as ledger:
        _check_nothing_sent(ledger)
        approval = latest_approval(ledger, plan_event(ledger)["fingerprint"])
        if approval is not None:
            raise PlanError(
                f"{path}: {approval.reviewer} has approved this plan, so its rows are fixed. "
                "Take the approval back to decide otherwise."
            )
        yield ledger


# -- what was decided ------------------------------------------------------------------------------
def decisions(ledger: Ledger) -> pd.DataFrame:
    """Return every decision that holds, :data:`FIELDS` by ``row_key``, ``""`` for none.

    The latest step on each row and field counts, except for steps that were taken back.
    """
    parts = [decision_of(ledger, event) for event in steps(ledger)]
    none = pd.DataFrame({name: pd.Series(dtype="str") for name in FIELDS}).rename_axis("row_key")
    frame = pd.concat([none.astype("str"), *parts])
    if len(parts) > 1:
        frame = frame.groupby(level=0).last()
    frame = frame.astype("str").fillna("").rename_axis("row_key")
    return frame[(frame != "").any(axis="columns")].sort_index()


def decided_by(ledger: Ledger) -> pd.Series:
    """Return who decided last on each row, by ``row_key``; ``""`` if no name was given."""
    names = [
        pd.Series(str(event.body["reviewer"]), index=decision_of(ledger, event).index, dtype="str")
        for event in steps(ledger)
    ]
    together = pd.concat([pd.Series(dtype="str"), *names])
    last: pd.Series = together[~together.index.duplicated(keep="last")]
    return last.rename_axis("row_key")


def undoable(ledger: Ledger) -> int:
    """Return how many steps can be taken back; an imported sheet cannot."""
    kinds = [event.kind for event in reversed(steps(ledger))]
    return kinds.index("reviewed") if "reviewed" in kinds else len(kinds)


def steps(ledger: Ledger) -> list[Event]:
    """Return every step of decisions that was not taken back, in order."""
    events = ledger.list_events("reviewed", "decided", "undone")
    undone = {event.body["seq"] for event in events if event.kind == "undone"}
    return [event for event in events if event.kind != "undone" and event.seq not in undone]


def decision_of(ledger: Ledger, step: Event) -> pd.DataFrame:
    """Return what one step decided: :data:`FIELDS` by ``row_key``, missing where it left them."""
    schema = frame_schemas.REVIEWED if step.kind == "reviewed" else frame_schemas.DECISIONS
    decided = ledger.get_frame(step.body["blob"], schema).reindex(columns=FIELDS)
    keys, known = decided.index, decided["decision"].dropna().isin(DECISIONS)
    inside = ((keys >= 0) & (keys < row_count(ledger))).all()
    if not (keys.is_unique and known.all() and inside):
        raise LedgerError(
            f"{ledger.path} is damaged: event {step.seq} holds an impossible decision."
        )
    return decided


def _validate(decided: dict[str, str], rows: Sequence[int]) -> None:
    if len(rows) == 0 or not decided:
        raise UsageError("Name at least one row, and a decision, a reason or a vault for it.")
    if decided.get("decision", "") not in DECISIONS:
        raise UsageError(
            f"{decided['decision']!r} is no decision: accept, reject, share, unshare, skip, or '' "
            "for what the inventory says."
        )
    vault = decided.get("vault_id", "")
    if vault and not pd.Series([vault], dtype="str").str.fullmatch(VAULT_SHAPE).all():
        raise UsageError(f"{vault!r} is not the ID of a vault.")


def _check_nothing_sent(ledger: Ledger) -> None:
    if ledger.last_event("intent") is not None:
        raise PlanError(
            f"{ledger.path}: requests were sent already, so the plan can no longer change."
        )
