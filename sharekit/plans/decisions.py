"""A person decides otherwise than the inventory, row by row, before anything is sent.

Decisions are events of the ledger, each on disk before the call returns, keyed by row. They do not
change the plan: :func:`remake` does, under a new fingerprint. Once a plan is approved its rows are
fixed until the approval is taken back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from sharekit.core import actions, frame_schemas
from sharekit.core.errors import LedgerError, PlanError, UsageError
from sharekit.core.fields import VAULT_SHAPE
from sharekit.ledger.ledger import Event, Ledger
from sharekit.spreadsheets.writing.review_sheet import read_review

from . import approval
from .plan import Plan, length, load_from, replan

if TYPE_CHECKING:
    from collections.abc import Iterator

_VIEW = ["file", "sheet", "row", "image_id", "project_id", "status", "vault_id"]
_MORE = ["name", "owner", "before", "disposition", "findings"]
#: What a person may decide on a row; ``""`` is as the inventory says.
DECISIONS: Final = ("", *actions.DECISIONS, "skip")
#: What a decision consists of; what a step does not name it leaves as it was.
FIELDS: Final = ("decision", "reason", "vault_id")


def view(plan: Plan) -> pd.DataFrame:
    """Every row of a plan as a reviewer sees it; with what was found in it."""
    found = plan.findings.frame
    found = found[(found["row_key"] >= 0) & found["severity"].isin(["error", "warning", "repair"])]
    texts = (found["rule"] + ": " + found["message"]).set_axis(found["row_key"])
    several = texts.index.duplicated(keep=False)
    joined = texts[several].groupby(level=0).agg("; ".join)
    texts = pd.concat([texts[~several], joined]).astype("str")
    rows = plan.rows.copy()
    for name in ("file", "sheet"):
        rows[name] = plan.findings.inventory.rows[name].astype("str")
    rows["findings"] = texts.reindex(rows.index).fillna("").astype("str")
    return rows[[*_VIEW, *_MORE]]


def decide(
    plan: Plan | str | PathLike[str],
    rows: Sequence[int],
    *,
    decision: str | None = None,
    reason: str | None = None,
    vault_id: str | None = None,
    reviewer: str = "",
) -> Event:
    """Write one step of deciding into the ledger; the plan holds it once it is made anew.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    rows : sequence of int
        Keys of rows (the index of ``plan.rows``), wherever they stand in a sorted or filtered view.
    decision : str, optional
        ``accept`` or ``reject``, ``share`` or ``unshare`` where the owner acts, ``skip``, or ``""``
        for as the inventory says; None leaves it.
    reason, vault_id : str, optional
        Why, and the vault for a full-ECS image; None leaves them.
    reviewer : str
        Who decides, for the report.

    Returns
    -------
    Event
        Its ``seq`` names the step.

    Raises
    ------
    UsageError
        No such row, no such decision, or nothing to write.
    PlanError
        The plan is approved, or requests were sent already.
    LedgerError
        There is no such ledger, another process is using it, or it cannot be written.

    Examples
    --------
    >>> decide("run.ledger", [17, 18], decision="skip", reason="owner left")  # doctest: +SKIP
    """
    given = {"decision": decision, "reason": reason, "vault_id": vault_id}
    told = {name: value.strip() for name, value in given.items() if value is not None}
    _understood(told, rows)
    keys = pd.Index(np.unique(np.asarray(rows, dtype="int64")), name="row_key")
    told_of = pd.DataFrame({name: told.get(name) for name in FIELDS}, index=keys, dtype="str")
    with changing(_path(plan)) as book:
        if keys[0] < 0 or keys[-1] >= length(book):
            raise UsageError(f"{book.path} has no row with key {keys[0]} … {keys[-1]}.")
        with book.transaction():
            return book.append(
                "decided",
                {
                    "reviewer": reviewer.strip(),
                    "rows": len(keys),
                    "of": approval.planned(book)["fingerprint"],
                    "blob": book.put_frame(told_of),
                },
            )


def undo(plan: Plan | str | PathLike[str], *, reviewer: str = "") -> int:
    """Take the last step of deciding back; returns how many rows it concerned, 0 for none.

    Raises
    ------
    PlanError
        The plan is approved, or requests were sent already.

    Examples
    --------
    >>> undo("run.ledger")  # doctest: +SKIP
    1
    """
    with changing(_path(plan)) as book:
        if not steps_of(book):
            return 0
        last = steps(book)[-1]
        book.append("undone", {"seq": last.seq, "reviewer": reviewer.strip()})
        return int(last.body["rows"])


def remake(plan: Plan | str | PathLike[str]) -> Plan:
    """Make the plan anew with every decision taken so far; the same plan if there is none new.

    Raises
    ------
    PlanError
        The plan is approved, is larger than it may be, or requests were sent already.

    Examples
    --------
    >>> remake("run.ledger").fingerprint[:12]  # doctest: +SKIP
    'a61f0b2c9d4e'
    """
    with Ledger.open(_path(plan)) as book:
        if not approval.stale(book):
            return load_from(book)
    with changing(_path(plan)) as book, book.transaction():
        return replan(book, decisions(book))


def decisions(book: Ledger) -> pd.DataFrame:
    """Every decision that holds: ``decision, reason, vault_id``, ``""`` for none, by ``row_key``.

    The last word on each of them counts; a step that was taken back does not.
    """
    parts = [step(book, event) for event in steps(book)]
    none = pd.DataFrame({name: pd.Series(dtype="str") for name in FIELDS}).rename_axis("row_key")
    both = pd.concat([none.astype("str"), *parts])
    if len(parts) > 1:
        both = both.groupby(level=0).last()
    both = both.astype("str").fillna("").rename_axis("row_key")
    return both[(both != "").any(axis="columns")].sort_index()


def deciders(book: Ledger) -> pd.Series:
    """Who decided last on each row, by ``row_key``; ``""`` for nobody by name."""
    names = [
        pd.Series(str(event.body["reviewer"]), index=step(book, event).index, dtype="str")
        for event in steps(book)
    ]
    both = pd.concat([pd.Series(dtype="str"), *names])
    last: pd.Series = both[~both.index.duplicated(keep="last")]
    return last.rename_axis("row_key")


def take_sheet(path: Path, sheet: Path, reviewer: str) -> None:
    """Take the decisions of a review workbook, and make the plan anew."""
    with Ledger.open(path, write=True) as book:
        _unsent(book)
        current = load_from(book)
        taken = read_review(sheet, view(current), fingerprint=current.fingerprint)
        if taken.empty:
            return
        taken.index.name = "row_key"
        with book.transaction():
            book.append(
                "reviewed",
                {
                    "reviewer": reviewer,
                    "file": sheet.name,
                    "sha256": hashlib.sha256(sheet.read_bytes()).hexdigest(),
                    "decisions": len(taken),
                    "of": current.fingerprint,
                    "blob": book.put_frame(taken),
                },
            )
            replan(book, decisions(book))


@contextmanager
def changing(path: Path) -> Iterator[Ledger]:
    """Open a ledger whose plan may still be changed.

    Raises
    ------
    PlanError
        The plan is approved, or requests were sent already.
    """
    with Ledger.open(path, write=True) as book:
        _unsent(book)
        yes = approval.approval_of(book, approval.planned(book)["fingerprint"])
        if yes is not None:
            raise PlanError(
                f"{path}: {yes.reviewer} has approved this plan, so its rows are fixed. "
                "Take the approval back to decide otherwise."
            )
        yield book


def steps_of(book: Ledger) -> int:
    """How many steps of deciding can be taken back; a sheet that was taken is not one."""
    kinds = [event.kind for event in reversed(steps(book))]
    return kinds.index("reviewed") if "reviewed" in kinds else len(kinds)


def steps(book: Ledger) -> list[Event]:
    """Every step of deciding that was not taken back, in order."""
    events = book.list_events("reviewed", "decided", "undone")
    gone = {event.body["seq"] for event in events if event.kind == "undone"}
    return [event for event in events if event.kind != "undone" and event.seq not in gone]


def step(book: Ledger, event: Event) -> pd.DataFrame:
    """What one step decided: :data:`FIELDS` by ``row_key``, missing where it left them alone."""
    shape = frame_schemas.REVIEWED if event.kind == "reviewed" else frame_schemas.DECISIONS
    taken = book.get_frame(event.body["blob"], shape).reindex(columns=FIELDS)
    keys, known = taken.index, taken["decision"].dropna().isin(DECISIONS)
    if not (keys.is_unique and known.all() and keys.isin(range(length(book))).all()):
        raise LedgerError(f"{book.path} is damaged: event {event.seq} decides what it cannot.")
    return taken


def _understood(told: dict[str, str], rows: Sequence[int]) -> None:
    if len(rows) == 0 or not told:
        raise UsageError("Name at least one row, and a decision, a reason or a vault for it.")
    if told.get("decision", "") not in DECISIONS:
        raise UsageError(
            f"{told['decision']!r} is no decision: accept, reject, share, unshare, skip, or '' for "
            "as planned."
        )
    vault = told.get("vault_id", "")
    if vault and not pd.Series([vault], dtype="str").str.fullmatch(VAULT_SHAPE).all():
        raise UsageError(f"{vault!r} is not the ID of a vault.")


def _unsent(book: Ledger) -> None:
    if book.last_event("intent") is not None:
        raise PlanError(
            f"{book.path}: requests were sent already, so the plan can no longer change."
        )


def _path(plan: Plan | str | PathLike[str]) -> Path:
    return plan.path if isinstance(plan, Plan) else Path(plan)
