"""What an earlier run decided on the same shares, for the plan that follows it.

Shares are known by image, project and side, so the new workbook may have other rows in another
order. What a person decided in a review is carried over, with the person and the reason; what the
inventory itself said is only compared with the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from sharekit.checks.cell_rules import statuses
from sharekit.core import frame_schemas
from sharekit.core.actions import DECISIONS, SKIP
from sharekit.core.columns import STR, action_keys, join_lines
from sharekit.core.fields import ACTION_KEY
from sharekit.core.files import shown_name
from sharekit.ledger.events import FollowedRun
from sharekit.ledger.ledger import Ledger

from .steps import FIELDS, standing
from .storage import read_earlier, read_stored_plan

#: What a plan is to the run whose decisions it takes over.
NEW_PLAN, UNDO, RETRY = FOLLOWING = ("new plan", "undo", "retry")
_CARRIED: Final = ["decision", "reason", "vault_id", "by", "run"]
#: Dispositions of a row by which its share was, or is, as the row says.
_ACTED: Final = ("planned", "already", "duplicate")


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """A run that a new plan follows.

    Attributes
    ----------
    followed : FollowedRun
        Its ledger.
    fingerprint : str
        The fingerprint of its plan.
    lines : DataFrame
        :data:`sharekit.core.frame_schemas.EARLIER`: what it, and the runs that it followed,
        decided; what counts for a share comes first.
    """

    followed: FollowedRun
    fingerprint: str
    lines: pd.DataFrame


def read_followed(ledger: Ledger, kind: str = NEW_PLAN) -> EarlierRun:
    """Read what the run of a ledger decided; ``kind`` says what the new plan is to it.

    Raises
    ------
    LedgerError
        The ledger holds no run.
    """
    stored = read_stored_plan(ledger)
    rows, inventory = stored.rows, stored.findings.inventory.rows
    decided = standing(ledger).reindex(rows.index).fillna("")
    submitted = ledger.last_event("submit_started")
    lines = action_keys(rows).assign(
        asked=statuses(inventory["status"]),
        **{name: decided[name] for name in (*FIELDS, "by")},
        run=shown_name(ledger.path.name),
        action=decided["decision"].map(dict(DECISIONS) | {SKIP: SKIP}).fillna(""),
    )
    if submitted is not None:
        own = (lines["action"] == "") & rows["disposition"].isin(_ACTED)
        approved = f"{submitted.body.get('reviewer') or 'nobody'}, who approved its inventory"
        lines["action"] = lines["action"].mask(own, rows["status"])
        own &= lines["by"] == ""
        lines["by"] = lines["by"].mask(own, approved)
        says = "so says row " + rows["row"].astype(STR) + " of " + inventory["file"].astype(STR)
        lines["reason"] = lines["reason"].mask(own, says + _note(ledger))
    before = read_earlier(ledger)
    followed = FollowedRun(ledger.head, kind, shown_name(ledger.path.name))
    # Of several rows of a share, the one that acted says what became of it.
    acted = rows["disposition"].isin(_ACTED)
    rank = (~acted).astype("int64") * 2 + (lines["action"] == "")
    lines = lines.loc[rank.sort_values(kind="stable").index]
    if before is not None:
        lines = _with_origin(lines, before)
        acted_on = lines.drop_duplicates(ACTION_KEY)
        acted_on = acted_on.loc[acted_on["action"] != "", ACTION_KEY].assign(known=True)
        old = join_lines(before, acted_on, ACTION_KEY, {})["known"].isna()
        lines = pd.concat([lines, before[old]])
    names = list(frame_schemas.EARLIER.names)
    lines = lines.reindex(columns=names, fill_value="").astype(STR).reset_index(drop=True)
    return EarlierRun(followed, stored.fingerprint, lines)


def without_undone(lines: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of an earlier run, but for the shares that rows are to undo.

    What is undone is not what the run decided; its other decisions hold for plans that follow.
    """
    undone = action_keys(rows).assign(undone=True).drop_duplicates(ACTION_KEY)
    return lines[join_lines(lines, undone, ACTION_KEY, {})["undone"].isna()]


def _with_origin(lines: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Name the run, person and reason that first decided what a run kept as it was."""
    first = before[before["action"] != ""].drop_duplicates(ACTION_KEY)
    facts = ["action", "by", "reason", "run"]
    was = join_lines(lines, first[[*ACTION_KEY, *facts]], ACTION_KEY, dict.fromkeys(facts, ""))
    anew = (lines["decision"] != "") & (lines[["by", "reason"]] != was[["by", "reason"]]).any(
        axis=1
    )
    kept = (lines["action"] != "") & (lines["action"] == was["action"]) & ~anew
    # A share is one run's, with all its lines.
    shares = kept.groupby([lines[name] for name in ACTION_KEY]).transform("any")
    masks = {"by": kept, "reason": kept, "run": shares}
    return lines.assign(**{n: lines[n].mask(mask, was[n]) for n, mask in masks.items()})


def _note(ledger: Ledger) -> str:
    """Return what the last reviewer noted when approving, as the end of a reason."""
    approved = ledger.last_event("approved")
    note = approved.body["note"] if approved else ""
    return f" ({note})" if note else ""


def carry_over(earlier: EarlierRun, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the decisions of an earlier run for new rows: :data:`FIELDS`, ``by`` and ``run``.

    A row that asks the same as a row did then takes its decision, or has none as that had none. A
    row that asks otherwise takes what was decided on the share, if that was one thing.
    """
    lines = earlier.lines
    if not ((lines["decision"] != "") | (lines["vault_id"] != "")).any():
        return pd.DataFrame(columns=_CARRIED, index=rows.index[:0], dtype=STR)
    new = action_keys(rows).assign(asked=rows["status"])
    # Lines of older runs on a share are there to be compared with, not to be carried over.
    lines = lines.merge(
        lines.drop_duplicates(ACTION_KEY)[[*ACTION_KEY, "run"]], on=[*ACTION_KEY, "run"]
    )
    same = lines.drop_duplicates([*ACTION_KEY, "asked"])
    exact = join_lines(new, same, [*ACTION_KEY, "asked"], {})[_CARRIED]
    several = same.groupby(ACTION_KEY)["decision"].transform("nunique") > 1
    other = join_lines(new, same[~several].drop_duplicates(ACTION_KEY), ACTION_KEY, {})[_CARRIED]
    carried = exact.where(exact["decision"].notna(), other).fillna("").astype(STR)
    return carried[(carried[["decision", "vault_id"]] != "").any(axis="columns")]
