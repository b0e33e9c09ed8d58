"""The rows of a plan with a reviewer's decisions on them, and what each row is to become."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from sharekit.checks.cell_rules import statuses
from sharekit.core.actions import ACTIONS, DECISION_OF_ACTION, DECISIONS
from sharekit.core.columns import STR, are_satisfied, is_owner_action
from sharekit.plans.decisions import review_rows
from sharekit.plans.plan import Plan

from .review_filters import Positions

STATES: Final = ("planned", "already", "blocked", "duplicate", "skipped")
#: States of a row in which a decision alone says what becomes of it.
_FREE: Final = ("planned", "already", "skipped")
#: Columns of the rows that a reviewer fills -> columns of the decisions.
_DECIDED: Final = {"decision": "decision", "reason": "reason", "vault": "vault_id", "by": "by"}
#: What the state of a row is derived from.
_STATE_INPUTS: Final = ["decision", "asked", "status", "disposition", "before"]


def review_frame(plan: Plan, changes: pd.DataFrame) -> pd.DataFrame:
    """Return every row of a plan with the decisions on it; see :attr:`.ReviewState.rows`."""
    rows = review_rows(plan)
    rows["asked"] = statuses(plan.findings.inventory.rows["status"])
    return _decide(rows, changes)


def with_changes(rows: pd.DataFrame, changes: pd.DataFrame, keys: Positions) -> pd.DataFrame:
    """Return the rows with new decisions on some of them, by key; the given frame stays as it is.

    ``changes`` are all decisions that hold, of which only those on ``keys`` are new.
    """
    decided = _decide(rows.take(keys), changes)
    columns = {}
    for name in (*_DECIDED, "wanted", "state"):
        if not decided[name].equals(rows[name].take(keys)):  # copying a long column takes time
            values = rows[name].array.copy()
            values[keys] = decided[name].array
            columns[name] = pd.Series(values, index=rows.index)
    return rows.assign(**columns)


def _decide(rows: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    decided = changes.reindex(rows.index, fill_value="").astype(STR)
    rows = rows.assign(**{name: decided[source] for name, source in _DECIDED.items()})
    # A few combinations fill all rows, so the state of each is derived once.
    code = np.zeros(len(rows), dtype="int64")
    for name in _STATE_INPUTS:
        codes, values = pd.factorize(rows[name])
        code = code * len(values) + codes
    which, _ = pd.factorize(code)
    first = np.flatnonzero(~pd.Series(code).duplicated())
    derived = derive_state(rows[_STATE_INPUTS].take(first))
    columns = {name: pd.Series(v.array.take(which), rows.index) for name, v in derived.items()}
    return rows.assign(**columns)


def derive_state(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the decision and the state that each row has now: ``wanted``, ``state``.

    A decision on a row that nothing blocked takes effect at once; whether a blocked row can be
    sent now is only known when the plan is made again.
    """
    decision, planned = rows["decision"], rows["disposition"]
    known = rows["asked"].isin(DECISION_OF_ACTION) | (planned == "planned")
    wanted = decision.where(decision != "", as_decision(rows["asked"].where(known, "")))
    before = as_decision(rows["status"]).where(planned != "skipped", "skip")
    changed = (wanted != before) & (wanted != "")
    free = changed & planned.isin(_FREE)
    state = planned.mask(changed & (wanted == "skip"), "skipped")
    state = state.mask(free & (wanted != "skip"), "planned")
    actions = wanted.map(DECISIONS).fillna("").astype(STR)
    state = state.mask(free & are_satisfied(actions, rows["before"]), "already")
    wrong_role = changed & (actions != "") & is_wrong_role(rows["asked"], actions)
    return {"wanted": wanted, "state": state.mask(wrong_role, "blocked").astype(STR)}


def is_wrong_role(asked: pd.Series, actions: pd.Series | str) -> pd.Series:
    """Return True where an action is not for the role that a row asks to act.

    An owner shares and takes back; the project it is shared with accepts and rejects.

    >>> is_wrong_role(pd.Series(["accepted", "share", ""]), "share").tolist()
    [True, False, False]
    """
    if isinstance(actions, str):
        actions = pd.Series(actions, index=asked.index)
    return asked.isin(ACTIONS) & (is_owner_action(asked) != is_owner_action(actions))


def as_decision(status: pd.Series) -> pd.Series:
    """Return the decision that each status stands for."""
    # A status without a decision of its own, such as an unknown word, stays as it is.
    return status.map(DECISION_OF_ACTION).fillna(status).astype(STR)
