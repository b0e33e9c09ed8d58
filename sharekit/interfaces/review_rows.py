"""What a reviewer sees of a plan: rows with decisions, counts, vaults, one row in full."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from sharekit.checks.cell_rules import statuses
from sharekit.checks.vault_rules import suitable
from sharekit.core.actions import ACTIONS, DECISIONS
from sharekit.core.columns import are_satisfied, is_owner_action
from sharekit.core.fields import INPUT_PREFIX
from sharekit.plans.decisions import view
from sharekit.plans.plan import Plan
from sharekit.runs.run import Run

from .review_filters import Page, Positions, paginate

#: The decision that stands for each action.
DECISION_OF_STATUS: Final = {action: decision for decision, action in DECISIONS.items()}
STATES: Final = ("planned", "already", "blocked", "duplicate", "skipped")
#: States of a row in which a decision alone says what becomes of it.
_FREE: Final = ("planned", "already", "skipped")
#: Columns of the rows that a reviewer fills -> columns of the decisions.
_DECIDED: Final = {"decision": "decision", "reason": "reason", "vault": "vault_id", "by": "by"}
#: What the state of a row is derived from.
_STATE_INPUTS: Final = ["decision", "asked", "status", "disposition", "before"]
_VAULT: Final = ["vault_id", "name", "free"]
_OF_PLAN: Final = ["row", "image_id", "project_id", "name", "status", "vault_id"]
_OF_RUN: Final = ["code", "reason", "before", "claimed", "observed", "last_chunk", "job_id"]


def review_frame(plan: Plan, changes: pd.DataFrame) -> pd.DataFrame:
    """Return every row of a plan with the decisions on it; see :attr:`.ReviewState.rows`."""
    rows = view(plan)
    rows["asked"] = statuses(plan.findings.inventory.rows["status"])
    return _decide(rows, changes)


def with_changes(rows: pd.DataFrame, changes: pd.DataFrame, keys: Positions) -> pd.DataFrame:
    """Return the rows with new decisions on some of them, by key; the given frame stays as it is.

    ``changes`` are all decisions that hold, of which only those on ``keys`` are new.
    """
    decided = _decide(rows.take(keys), changes)
    columns = {}
    for name in (*_DECIDED, "wanted", "state"):
        values = rows[name].array.copy()
        values[keys] = decided[name].array
        columns[name] = pd.Series(values, index=rows.index)
    return rows.assign(**columns)


def _decide(rows: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    decided = changes.reindex(rows.index).fillna("").astype("str")
    rows = rows.assign(**{name: decided[source] for name, source in _DECIDED.items()})
    # A few combinations fill all rows, so the state of each is derived once.
    code = np.zeros(len(rows), dtype="int64")
    for name in _STATE_INPUTS:
        codes, values = pd.factorize(rows[name])
        code = code * len(values) + codes
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    derived = derive_state(rows[_STATE_INPUTS].take(first))
    columns = {name: pd.Series(v.array.take(which), rows.index) for name, v in derived.items()}
    return rows.assign(**columns)


def derive_state(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what rows are to become now, and whether they are sent: ``wanted``, ``state``.

    A decision on a row that nothing blocked takes effect at once; whether a blocked row can be
    sent now is only known when the plan is made again.
    """
    decision, planned = rows["decision"], rows["disposition"]
    known = rows["asked"].isin(DECISION_OF_STATUS) | (planned == "planned")
    wanted = decision.where(decision != "", _as_decision(rows["asked"].where(known, "")))
    before = _as_decision(rows["status"]).where(planned != "skipped", "skip")
    changed = (wanted != before) & (wanted != "")
    free = changed & planned.isin(_FREE)
    state = planned.mask(changed & (wanted == "skip"), "skipped")
    state = state.mask(free & (wanted != "skip"), "planned")
    actions = wanted.map(DECISIONS).fillna("").astype("str")
    state = state.mask(free & are_satisfied(actions, rows["before"]), "already")
    wrong_role = changed & (actions != "") & is_wrong_role(rows["asked"], actions)
    return {"wanted": wanted, "state": state.mask(wrong_role, "blocked").astype("str")}


def is_wrong_role(asked: pd.Series, actions: pd.Series | str) -> pd.Series:
    """Return True where an action is not for the role that a row asks to act.

    An owner shares and takes back; the project it is shared with accepts and rejects.

    >>> is_wrong_role(pd.Series(["accepted", "share", ""]), "share").tolist()
    [True, False, False]
    """
    if isinstance(actions, str):
        actions = pd.Series(actions, index=asked.index)
    return asked.isin(ACTIONS) & (is_owner_action(asked) != is_owner_action(actions))


def _as_decision(status: pd.Series) -> pd.Series:
    # A status without a decision of its own, such as an unknown word, stays as it is.
    return status.map(DECISION_OF_STATUS).fillna(status).astype("str")


def outcome_page(run: Run, outcome: str, number: int, size: int) -> Page:
    """Return one page of a run's rows with an outcome; see :meth:`.ReviewRun.outcomes`."""
    positions = np.flatnonzero((run.rows["outcome"] == outcome).to_numpy())
    number, pages, shown = paginate(positions, number, size)
    source = run.plan.findings.inventory.rows[["file", "sheet"]].take(shown).astype("str")
    rows = source.join(run.plan.rows[_OF_PLAN].take(shown)).join(run.rows[_OF_RUN].take(shown))
    return Page(rows, number, pages, len(positions))


def counts(plan: Plan, by_project: pd.Series) -> dict[str, int]:
    """Count rows by what becomes of them, as decided now; images, chunks and calls as planned."""
    sizes = by_project.reset_index(name="rows")
    planned = sizes[sizes["state"] == "planned"].groupby("wanted")["rows"].sum()
    of_state = sizes.groupby("state")["rows"].sum()
    return {
        "rows": len(plan.rows),
        **{word: int(planned.get(word, 0)) for word in DECISIONS},
        **{name: int(of_state.get(name, 0)) for name in STATES[1:]},
        "projects": int(sizes["project_id"].nunique()),
        "images": int(plan.chunks["images"].sum()),
        "chunks": len(plan.chunks),
        "calls": _calls(plan),
    }


def _calls(plan: Plan) -> int:
    snapshot = plan.findings.snapshot
    if snapshot is None:
        return len(plan.chunks)
    native = snapshot.projects.loc[snapshot.projects["api"] == "native", "project_id"]
    single = plan.chunks["project_id"].isin(native)
    return int(plan.chunks.loc[single, "images"].sum() + (~single).sum())


def row_details(plan: Plan, rows: pd.DataFrame, key: int) -> dict[str, Any]:
    """Return ``facts``, ``input`` (original columns), ``findings``, ``request`` of one row."""
    findings = plan.findings.frame
    original = plan.findings.inventory.rows.loc[key]
    share = [str(rows.at[key, name]) for name in ("image_id", "project_id")]
    chunk = int(plan.rows.loc[[key], "chunk"].fillna(0).iloc[0])
    requests = plan.requests(chunk) if chunk else ()
    return {
        "facts": {name: str(value) for name, value in rows.loc[key].items()},
        "input": {
            name.removeprefix(INPUT_PREFIX): str(original[name])
            for name in original.index
            if name.startswith(INPUT_PREFIX)
        },
        "findings": findings[findings["row_key"] == key].to_dict("records"),
        "request": next((r for r in requests if all(i in json.dumps(r) for i in share)), None),
    }


def vaults(plan: Plan, project_id: str) -> pd.DataFrame:
    """Return a project's vaults that can take a full-ECS image: ``vault_id, name, free``."""
    snapshot = plan.findings.snapshot
    if snapshot is None:
        return pd.DataFrame(columns=_VAULT)
    fits = suitable(snapshot.vaults) & (snapshot.vaults["project_id"] == project_id)
    return snapshot.vaults.loc[fits, _VAULT].sort_values("free", ascending=False)


def curl(requests: Iterable[Mapping[str, Any]]) -> str:
    """Return requests as lines for the shell; the token stays a variable of the caller's shell."""
    return "\n".join(
        f"curl -X {r['method']} {shlex.quote(r['url'])} "
        f'-H "X-Auth-Token: $OS_TOKEN"{_curl_body(r["body"])}'
        for r in requests
    )


def _curl_body(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    return f' -H "Content-Type: application/json" -d {shlex.quote(json.dumps(body))}'


def not_sent(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the rows that a plan does not send: ``disposition, why, rows``."""
    rest = rows.loc[rows["disposition"] != "planned", ["disposition", "findings"]]
    first = rest["findings"].str.split(";").str[0]
    why = first.where(rest["disposition"] == "blocked", "").fillna("").astype("str")
    sizes = rest.assign(why=why).groupby(["disposition", "why"]).size()
    return sizes.rename("rows").reset_index().sort_values("rows", ascending=False)
