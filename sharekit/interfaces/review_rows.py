"""What a reviewer sees of a plan: rows with decisions, numbers, vaults, one row in full."""

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

from .review_filters import Page, cut

#: What a share's status is called as a decision.
WORD: Final = {act: word for word, act in DECISIONS.items()}
STATES: Final = ("planned", "already", "blocked", "duplicate", "skipped")
#: States of a row in which a decision alone says what becomes of it.
_FREE: Final = ("planned", "already", "skipped")
_VAULT: Final = ["vault_id", "name", "free"]
_OF_ROW: Final = ["row", "image_id", "project_id", "name", "status", "vault_id"]
_OF_RUN: Final = ["code", "reason", "before", "claimed", "observed", "last_chunk", "job_id"]


def frame(plan: Plan, changes: pd.DataFrame, deciders: pd.Series) -> pd.DataFrame:
    """Every row of a plan with the decisions taken; see :attr:`.View.frame`."""
    rows = view(plan)
    rows["asked"] = statuses(plan.findings.inventory.rows["status"])
    for name, source in (("decision", "decision"), ("reason", "reason"), ("vault", "vault_id")):
        rows[name] = pd.Series("", index=rows.index, dtype="str")
        rows.loc[changes.index, name] = changes[source]
    rows["by"] = deciders.reindex(changes.index).reindex(rows.index).fillna("").astype("str")
    # A few combinations fill all rows: each is looked at once.
    seen = ["decision", "asked", "status", "disposition", "before"]
    code = np.zeros(len(rows), dtype="int64")
    for name in seen:
        one, kinds = pd.factorize(rows[name])
        code = code * len(kinds) + one
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    few = standing(rows[seen].take(first))
    return rows.assign(**{n: pd.Series(v.array.take(which), rows.index) for n, v in few.items()})


def standing(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """What rows are to become now, and whether they go: ``wanted``, ``state``.

    A decision on a row that was free to go is followed at once; whether one that a check blocked
    may go now is only known when the plan is made anew.
    """
    decision, planned = rows["decision"], rows["disposition"]
    asked = _word(rows["asked"].where(rows["asked"].isin(WORD) | (planned == "planned"), ""))
    wanted = decision.where(decision != "", asked)
    was = _word(rows["status"]).where(planned != "skipped", "skip")
    changed = (wanted != was) & (wanted != "")
    free = changed & planned.isin(_FREE)
    state = planned.mask(changed & (wanted == "skip"), "skipped")
    state = state.mask(free & (wanted != "skip"), "planned")
    acts = wanted.map(DECISIONS).fillna("").astype("str")
    state = state.mask(free & are_satisfied(acts, rows["before"]), "already")
    wrong = (
        changed
        & (is_owner_action(acts) != is_owner_action(rows["asked"]))
        & rows["asked"].isin(ACTIONS)
    )
    return {"wanted": wanted, "state": state.mask(wrong & (acts != ""), "blocked").astype("str")}


def _word(status: pd.Series) -> pd.Series:
    # A status that is not for a reviewer to give, such as a new share, is its own word.
    return status.map(WORD).fillna(status).astype("str")


def outcomes(run: Run, outcome: str, number: int, size: int) -> Page:
    """One page of a run's rows with an outcome; see :meth:`.View.outcomes`."""
    places = np.flatnonzero((run.rows["outcome"] == outcome).to_numpy())
    number, pages, shown = cut(places, number, size)
    told = run.plan.rows[_OF_ROW].take(shown).join(run.rows[_OF_RUN].take(shown))
    where = run.plan.findings.inventory.rows[["file", "sheet"]].take(shown).astype("str")
    return Page(where.join(told), number, pages, len(places))


def counts(plan: Plan, by_project: pd.Series) -> dict[str, int]:
    """Rows by what becomes of them, as decided now; images, chunks and calls as planned."""
    by = by_project.reset_index(name="rows")
    planned = by[by["state"] == "planned"].groupby("wanted")["rows"].sum()
    of_state = by.groupby("state")["rows"].sum()
    return {
        "rows": len(plan.rows),
        **{word: int(planned.get(word, 0)) for word in DECISIONS},
        **{name: int(of_state.get(name, 0)) for name in STATES[1:]},
        "projects": int(by["project_id"].nunique()),
        "images": int(plan.chunks["images"].sum()),
        "chunks": len(plan.chunks),
        "calls": _calls(plan),
    }


def _calls(plan: Plan) -> int:
    seen = plan.findings.snapshot
    if seen is None:
        return len(plan.chunks)
    native = seen.projects.loc[seen.projects["api"] == "native", "project_id"]
    single = plan.chunks["project_id"].isin(native)
    return int(plan.chunks.loc[single, "images"].sum() + (~single).sum())


def row(plan: Plan, rows: pd.DataFrame, key: int) -> dict[str, Any]:
    """All about one row: ``facts``, ``input`` (original columns), ``findings``, ``request``."""
    inventory, found = plan.findings.inventory.rows, plan.findings.frame
    original = inventory.loc[key]
    share = [str(rows.at[key, name]) for name in ("image_id", "project_id")]
    chunk = int(plan.rows.loc[[key], "chunk"].fillna(0).iloc[0])
    sent = plan.requests(chunk) if chunk else ()
    return {
        "facts": {name: str(value) for name, value in rows.loc[key].items()},
        "input": {
            n.removeprefix(INPUT_PREFIX): str(original[n])
            for n in inventory.columns
            if n.startswith(INPUT_PREFIX)
        },
        "findings": found[found["row_key"] == key].to_dict("records"),
        "request": next((r for r in sent if all(one in json.dumps(r) for one in share)), None),
    }


def vaults(plan: Plan, project_id: str) -> pd.DataFrame:
    """Return a project's vaults that can take a full-ECS image: ``vault_id, name, free``."""
    seen = plan.findings.snapshot
    if seen is None:
        return pd.DataFrame(columns=_VAULT)
    fits = suitable(seen.vaults) & (seen.vaults["project_id"] == project_id)
    return seen.vaults.loc[fits, _VAULT].sort_values("free", ascending=False)


def curl(requests: Iterable[Mapping[str, Any]]) -> str:
    """Requests as lines for the shell; the token stays the caller's own variable."""
    return "\n".join(
        f"curl -X {r['method']} {shlex.quote(r['url'])} "
        f'-H "X-Auth-Token: $OS_TOKEN"{_sent(r["body"])}'
        for r in requests
    )


def _sent(body: Mapping[str, Any] | None) -> str:
    told = shlex.quote(json.dumps(body))
    return "" if body is None else f' -H "Content-Type: application/json" -d {told}'


def not_sent(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the rows that a plan does not send: ``disposition, why, rows``."""
    rest = rows.loc[rows["disposition"] != "planned", ["disposition", "findings"]]
    first = rest["findings"].str.split(";").str[0]
    why = first.where(rest["disposition"] == "blocked", "").fillna("").astype("str")
    sizes = rest.assign(why=why).groupby(["disposition", "why"]).size()
    return sizes.rename("rows").reset_index().sort_values("rows", ascending=False)
