"""A run that follows another: undo restores the states before, retry repeats what did not succeed.

Both make a new plan in a new ledger, which is reviewed, approved and submitted like any other. The
rows keep their addresses in the first input, and the new ledger names the first one by its head.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from os import PathLike
from pathlib import Path

import pandas as pd

from sharekit.checks.check import check
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.snapshot import Snapshot, take_snapshot
from sharekit.core.actions import ABSENT, ACCEPTED, MEMBER, OWNER, PENDING, SHARE, STATUSES, UNSHARE
from sharekit.core.cloud_api import CHUNK_SIZE
from sharekit.core.columns import (
    STR,
    acting_project,
    action_keys,
    are_satisfied,
    is_owner_action,
    join_lines,
)
from sharekit.core.errors import LedgerError, PlanError
from sharekit.core.fields import ACTION_KEY, FIELDS
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import clean_frames
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.outcomes import RETRYABLE
from sharekit.ledger.ledger import Ledger
from sharekit.plans.followed import RETRY, UNDO, EarlierRun, read_followed, without_undone
from sharekit.plans.plan import HasLedger, Plan, ledger_path, plan
from sharekit.plans.steps import standing
from sharekit.spreadsheets.cell_issues import CellIssues, concat
from sharekit.spreadsheets.inventory import Inventory

from .status import Run, followed_run, load_run

_OPPOSITE = {SHARE: UNSHARE, UNSHARE: SHARE}
#: The state that an owner's action leaves behind where it was not read back.
_RESULT = {SHARE: PENDING, UNSHARE: ABSENT}


@clean_frames
@checks_arguments
@shows_progress("planning how to undo")
def undo(
    run: HasLedger | str | PathLike[str],
    ledger: str | PathLike[str],
    clouds: Clouds,
    *,
    chunk_size: int = CHUNK_SIZE,
    max_images: int | None = None,
    progress: bool = True,
) -> Plan:
    """Plan to set every image that a run changed back to the state recorded before.

    Those are the images that the cloud showed as wanted afterwards, and those whose job succeeded
    and that could not be read back. A share is planned, and sent, only while it is as the run left
    it: what somebody decided since stays. What cannot be undone is blocked, row by row: where a
    project has the native call, it sets a share back to pending, and the batch call cannot. A run
    that is not finished may still change more: submit it first. What an owner shared is withdrawn,
    and the other way round; a share that comes back is pending, whatever the project had decided on
    it. Where a reviewer had decided on a share, a finding names the person and the reason.

    Parameters
    ----------
    run : Run or path
        The run to undo, or its ledger.
    ledger : path
        The new run's file, which must not exist yet.
    clouds : Clouds
        Access to the projects, to read the present states.
    chunk_size, max_images, progress
        As for :func:`sharekit.plan`.

    Returns
    -------
    Plan
        A run of its own, to be approved and submitted.

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
    run = ledger_path(run)
    first, earlier, decided = _read(run, UNDO)
    chosen = first.rows.index[_changed(first)]
    if chosen.empty:
        raise PlanError(f"{run}: the run changed nothing, so there is nothing to undo.")
    rows = _rows(first, chosen)
    present = take_snapshot(clouds, rows)
    was_decided = _decided_by_reviewers(decided.reindex(chosen).set_axis(rows.index), rows)
    issues = [*_restore_previous(first, chosen, rows, present), was_decided]
    planned = first.plan.findings
    findings = check(
        _inventory(first, rows, issues), snapshot=present,
        strict=planned.strict, confirm=planned.confirmed,
    )  # fmt: skip
    follows = replace(earlier, lines=without_undone(earlier.lines, rows))
    return plan(findings, ledger, chunk_size=chunk_size, max_images=max_images, follows=follows)


@clean_frames
@checks_arguments
@shows_progress("planning a retry")
def retry(
    run: HasLedger | str | PathLike[str],
    ledger: str | PathLike[str],
    clouds: Clouds | None = None,
    *,
    chunk_size: int = CHUNK_SIZE,
    max_images: int | None = None,
    progress: bool = True,
) -> Plan:
    """Plan again what failed, was contradicted, or stayed unknown.

    What a reviewer decided otherwise than the inventory is carried over, with person and reason.
    Parameters are those of :func:`undo`; without ``clouds``, only ``submit`` reads the states.

    Returns
    -------
    Plan
        A run of its own, to be approved and submitted.

    Raises
    ------
    PlanError
        There is nothing to retry, or the plan is too large.
    LedgerError
        There is no such ledger, or the new one exists.

    Examples
    --------
    >>> retry("run.ledger", "again.ledger").counts["planned"]  # doctest: +SKIP
    7
    """
    run = ledger_path(run)
    first, earlier, decided = _read(run, RETRY)
    chosen = first.rows.index[first.rows["outcome"].isin(RETRYABLE)]
    if chosen.empty:
        raise PlanError(f"{run}: no row failed or stayed unknown, so there is nothing to retry.")
    rows = _rows(first, chosen)
    issues = _restore_decided(first, chosen, rows, decided)
    to_pending = rows[rows["status"] == PENDING]  # of an undo that is retried
    issues.append(_issues("undo-to-pending", to_pending, to_pending["status"]))
    inventory = _inventory(first, rows, issues)
    planned = first.plan.findings
    findings = check(inventory, clouds, strict=planned.strict, confirm=planned.confirmed)
    return plan(findings, ledger, chunk_size=chunk_size, max_images=max_images, follows=earlier)


def follow_up_path(run: str | PathLike[str], kind: str) -> Path:
    """Return the path of a run that follows: ``run-retry.ledger``, or that with a number.

    A ledger that follows the run as it is now is found again; any other is left alone.

    >>> follow_up_path("run.ledger", "retry").name  # doctest: +SKIP
    'run-retry.ledger'
    """
    path = Path(run)
    with Ledger.open(path) as ledger:
        head = ledger.head
    for number in count(1):
        beside = path.with_name(f"{path.stem}-{kind}{f'-{number}' if number > 1 else ''}.ledger")
        if not beside.exists() or _follows(beside, head):
            return beside
    raise AssertionError


def _follows(path: Path, head: str) -> bool:
    try:
        with Ledger.open(path, verify_chain=False) as ledger:
            followed = followed_run(ledger)
    except LedgerError:
        return False
    return followed is not None and followed.head == head


def _changed(first: Run) -> pd.Series:
    """Return True for rows that a run changed, as far as is known: sent, and shown or claimed."""
    rows, actions = first.rows, first.plan.rows["status"]
    shown = rows["outcome"].isin(["confirmed", "contradicted"]) & are_satisfied(
        actions, rows["observed"]
    )
    return (shown | (rows["outcome"] == "claimed")) & ~are_satisfied(actions, rows["before"])


def _restore_previous(
    first: Run, chosen: pd.Index, rows: pd.DataFrame, present: Snapshot
) -> list[pd.DataFrame]:
    """Set the action of rows to the state before; return what cannot be undone as it was."""
    outcomes = first.rows.loc[chosen].set_axis(rows.index)
    actions, before = rows["status"], outcomes["before"]
    by_owner = is_owner_action(actions)
    # A share was left as it was read back: whoever has decided on it since has moved it.
    was_read = by_owner & (outcomes["observed"] != "")
    left = outcomes["observed"].where(was_read, actions.replace(_RESULT))
    opposite = actions.map(_OPPOSITE).where(by_owner, before)
    current = _current_state(rows, present)
    projects = present.projects
    native = projects.loc[projects["api"] == "native", "project_id"]
    to_pending = ~by_owner & (before == PENDING) & rows["project_id"].isin(native)
    possible = by_owner | before.isin(STATUSES) | to_pending
    moved = possible & (current != "") & (current != left) & ~are_satisfied(opposite, current)
    moved &= acting_project(rows).isin(projects["project_id"])
    decided = by_owner & before.isin(STATUSES)
    rows["status"] = opposite.where(possible, actions)
    rows["vault_id"] = rows["vault_id"].where(rows["status"] == ACCEPTED, "")
    was_moved = "the run left it " + left + ", now it is " + current
    return [
        _issues("undo-pending", rows[~possible], actions),
        _issues("undo-to-pending", rows[to_pending], actions),
        _issues("undo-state-changed", rows[moved], actions, was_moved),
        _issues("undo-decided", rows[decided], actions, "it was " + before),
    ]


def _current_state(rows: pd.DataFrame, present: Snapshot) -> pd.Series:
    """Return the present state of rows: of a share by its project, of an owner's by the owner."""
    views = [present.members.assign(side=MEMBER), present.owned.assign(side=OWNER)]
    known = pd.concat([view[[*ACTION_KEY, "state"]] for view in views if len(view)] or views)
    return join_lines(action_keys(rows), known, ACTION_KEY, {"state": ""})["state"]


def _read(run: str | PathLike[str], kind: str) -> tuple[Run, EarlierRun, pd.DataFrame]:
    """Read a run, what a run that follows carries over, and what reviewers decided row by row."""
    with Ledger.open(run) as ledger:
        return load_run(ledger), read_followed(ledger, kind), standing(ledger)


def _rows(first: Run, chosen: pd.Index) -> pd.DataFrame:
    """Return rows of the first inventory under new keys, with the values that were sent."""
    rows = first.plan.findings.inventory.rows.loc[chosen].copy()
    for name in FIELDS:
        rows[name] = first.plan.rows.loc[chosen, name].astype(STR)
    return rows.set_axis(pd.RangeIndex(len(rows), name="row_key"))


def _restore_decided(
    first: Run, chosen: pd.Index, rows: pd.DataFrame, decided: pd.DataFrame
) -> list[pd.DataFrame]:
    """Give cells that a reviewer decided on back what the inventory holds; return their issues."""
    inventory, keys = first.plan.findings.inventory, pd.Series(rows.index, index=chosen)
    issues = []
    for field, part in {"status": "decision", "vault_id": "vault_id"}.items():
        own = chosen.intersection(decided.index[decided[part] != ""])
        rows.loc[keys[own], field] = inventory.rows.loc[own, field].to_numpy()
        lines = inventory.cell_issues
        lines = lines[(lines["field"] == field) & lines["row_key"].isin(own)]
        issues.append(lines.assign(row_key=keys[lines["row_key"]].to_numpy()))
    return issues


def _decided_by_reviewers(decided: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return an issue of each row whose decision was a reviewer's."""
    decided = decided[decided["decision"].fillna("") != ""]
    reason = (": " + decided["reason"]).where(decided["reason"] != "", "")
    return _issues("undo-reviewed", rows.loc[decided.index], rows["status"], decided["by"] + reason)


def _issues(
    rule: str, rows: pd.DataFrame, values: pd.Series, details: pd.Series | None = None
) -> pd.DataFrame:
    """Return an issue of each row's decision."""
    texts: Iterable[str] = [] if details is None else details.loc[rows.index]
    keys = rows.index.to_numpy("int64")
    issues = CellIssues(rule, keys, "status", values.loc[rows.index], texts)
    return issues.to_frame(rows["source"].to_numpy())


def _inventory(first: Run, rows: pd.DataFrame, issues: list[pd.DataFrame]) -> Inventory:
    return Inventory(rows, first.plan.findings.inventory.sources, concat(issues))
