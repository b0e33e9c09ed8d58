"""A run that follows on another: back to the state before, or once more what did not succeed.

Both make a new plan in a new ledger, which is reviewed, approved and submitted like any other. The
rows keep their addresses in the first input, and the new ledger names the first one by its head.
"""

from __future__ import annotations

from itertools import count
from os import PathLike
from pathlib import Path

import pandas as pd

from sharekit.checks.check import check
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state import snapshot
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import ABSENT, ACCEPTED, PENDING, SHARE, STATUSES, UNSHARE
from sharekit.core.api import CHUNK_SIZE
from sharekit.core.columns import are_satisfied, is_owner_action
from sharekit.core.errors import LedgerError, PlanError
from sharekit.core.fields import FIELDS
from sharekit.core.outcomes import RETRYABLE
from sharekit.ledger.ledger import Ledger
from sharekit.plans.plan import Plan, plan
from sharekit.spreadsheets.inventory import Inventory

from .run import KEY, Run, load_run

_OPPOSITE = {SHARE: UNSHARE, UNSHARE: SHARE}
#: What an owner's act leaves behind where nobody looked.
_LEFT = {SHARE: PENDING, UNSHARE: ABSENT}
_ISSUE = ("rule", "row_key", "source", "field", "value", "detail")


def undo(
    run: str | PathLike[str],
    ledger: str | PathLike[str],
    clouds: Clouds,
    *,
    chunk_size: int = CHUNK_SIZE,
    max_images: int | None = None,
) -> Plan:
    """Plan the way back: every image that a run changed, to the state that was recorded before.

    Those are the images that the cloud showed as wanted afterwards, and those whose job succeeded
    and that could not be read back. Only what is still as the run left it is planned, and sent: a
    share that somebody decided anew meanwhile stays. What cannot be undone is blocked, row by row:
    no call brings a share back to pending. A run that was never finished may still change more:
    submit it first. What an owner shared is taken back, and the other way round; a share that
    comes back is pending, whatever the project had decided on it.

    Parameters
    ----------
    run : path
        The ledger of the run to undo.
    ledger : path
        The new run's file, which must not exist yet.
    clouds : Clouds
        Access to the projects, to see how the images are now.
    chunk_size, max_images : int
        As for :func:`sharekit.plan`.

    Raises
    ------
    PlanError
        The run changed nothing, or the plan is too large.
    LedgerError
        There is no such ledger, or the new one exists.

    Examples
    --------
    >>> undo("run.ledger", "back.ledger", connect("otc")).counts["planned"]  # doctest: +SKIP
    412
    """
    first, head = _read(run)
    chosen = first.rows.index[_changed(first)]
    if chosen.empty:
        raise PlanError(f"{run}: the run changed nothing, so there is nothing to undo.")
    rows = _rows(first, chosen)
    seen = snapshot.take(clouds, rows)
    inventory = _inventory(first, rows, _way_back(first, chosen, rows, seen))
    findings = check(inventory, seen=seen, strict=first.plan.findings.strict)
    origin = {"follows": head, "follows as": f"undo of {Path(run).name}"}
    return plan(findings, ledger, chunk_size=chunk_size, max_images=max_images, origin=origin)


def retry(
    run: str | PathLike[str],
    ledger: str | PathLike[str],
    clouds: Clouds | None = None,
    *,
    chunk_size: int = CHUNK_SIZE,
    max_images: int | None = None,
) -> Plan:
    """Plan once more what failed, was contradicted, or stayed unknown.

    Parameters are those of :func:`undo`; without ``clouds``, ``submit`` looks first.

    Raises
    ------
    PlanError
        There is nothing to try again, or the plan is too large.
    LedgerError
        There is no such ledger, or the new one exists.

    Examples
    --------
    >>> retry("run.ledger", "again.ledger").counts["planned"]  # doctest: +SKIP
    7
    """
    first, head = _read(run)
    chosen = first.rows.index[first.rows["outcome"].isin(RETRYABLE)]
    if chosen.empty:
        raise PlanError(f"{run}: no row failed or stayed unknown, so there is nothing to retry.")
    inventory = _inventory(first, _rows(first, chosen), [])
    findings = check(inventory, clouds, strict=first.plan.findings.strict)
    origin = {"follows": head, "follows as": f"retry of {Path(run).name}"}
    return plan(findings, ledger, chunk_size=chunk_size, max_images=max_images, origin=origin)


def next_to(run: str | PathLike[str], kind: str) -> Path:
    """Where a run that follows goes: ``run-retry.ledger``, or that with a number.

    A ledger that follows on the run as it is now is found again; any other is passed by.

    >>> next_to("run.ledger", "retry").name  # doctest: +SKIP
    'run-retry.ledger'
    """
    path = Path(run)
    with Ledger.open(path) as book:
        head = book.head
    for number in count(1):
        beside = path.with_name(f"{path.stem}-{kind}{f'-{number}' if number > 1 else ''}.ledger")
        if not beside.exists() or _follows(beside, head):
            return beside
    raise AssertionError


def _follows(path: Path, head: str) -> bool:
    try:
        with Ledger.open(path, checked=False) as book:
            first = book.last("created")
    except LedgerError:
        return False
    return first is not None and first.body.get("follows") == head


def _changed(first: Run) -> pd.Series:
    """Which rows a run changed, as far as anybody can know: sent, and shown or said to be done."""
    rows, acts = first.rows, first.plan.rows["status"]
    shown = rows["outcome"].isin(["confirmed", "contradicted"]) & are_satisfied(
        acts, rows["observed"]
    )
    return (shown | (rows["outcome"] == "claimed")) & ~are_satisfied(acts, rows["before"])


def _way_back(
    first: Run, chosen: pd.Index, rows: pd.DataFrame, seen: Snapshot
) -> list[pd.DataFrame]:
    """Set the status of rows to the state before; return what cannot be, or only in part."""
    told = first.rows.loc[chosen].set_axis(rows.index)
    before, offered = told["before"], is_owner_action(rows["status"])
    # A share is left as it was seen: whoever has decided on it since has moved it.
    left = told["observed"].where(offered & (told["observed"] != ""), rows["status"].replace(_LEFT))
    back = rows["status"].map(_OPPOSITE).where(offered, before)
    now = _now(rows, seen)
    acting = rows["project_id"].mask(offered, rows["owner"])
    possible = offered | before.isin(STATUSES)
    moved = possible & (now != "") & (now != left) & ~are_satisfied(back, now)
    moved &= acting.isin(seen.projects["project_id"])
    decided = offered & before.isin(STATUSES)
    acted = rows["status"]
    rows["status"] = back.where(possible, rows["status"])
    rows["vault_id"] = rows["vault_id"].where(rows["status"] == ACCEPTED, "")
    return [
        _issues("undo-pending", rows[~possible], acted),
        _issues("undo-moved", rows[moved], acted, "the run left it " + left + ", now it is " + now),
        _issues("undo-decided", rows[decided], acted, "it was " + before),
    ]


def _now(rows: pd.DataFrame, seen: Snapshot) -> pd.Series:
    """What rows show now: a share by its project, what an owner offered by the owner."""
    views = [seen.members.assign(offered=False), seen.owned.assign(offered=True)]
    known = pd.concat([view[[*KEY, "offered", "state"]] for view in views if len(view)] or views)
    asked = rows[KEY].assign(offered=is_owner_action(rows["status"]))
    found = asked.merge(known, on=[*KEY, "offered"], how="left")
    return found["state"].fillna("").set_axis(rows.index)


def _read(run: str | PathLike[str]) -> tuple[Run, str]:
    with Ledger.open(run) as book:
        return load_run(book), book.head


def _rows(first: Run, chosen: pd.Index) -> pd.DataFrame:
    """Rows of the first inventory under new keys, with the values that were sent."""
    rows = first.plan.findings.inventory.rows.loc[chosen].copy()
    for name in FIELDS:
        rows[name] = first.plan.rows.loc[chosen, name].astype("str")
    return rows.set_axis(pd.RangeIndex(len(rows), name="row_key"))


def _issues(
    rule: str, rows: pd.DataFrame, values: pd.Series, details: pd.Series | None = None
) -> pd.DataFrame:
    """Return a line of :attr:`.Inventory.cell_issues` for each row, about its decision."""
    return pd.DataFrame(
        {
            "rule": rule,
            "row_key": rows.index.to_numpy("int64"),
            "source": rows["source"],
            "field": "status",
            "value": values.loc[rows.index],
            "detail": "" if details is None else details.loc[rows.index],
        }
    )


def _inventory(first: Run, rows: pd.DataFrame, issues: list[pd.DataFrame]) -> Inventory:
    inventory = first.plan.findings.inventory
    empty = inventory.cell_issues[list(_ISSUE)].head(0)
    joined = pd.concat([empty, *issues], ignore_index=True).astype(empty.dtypes)
    return Inventory(rows, inventory.sources, joined)
