"""Policies applied to the plan of a ledger: the facts they judge, and the step that they record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from os import PathLike
from typing import Any, Final

import pandas as pd

from sharekit.checks.cell_rules import statuses
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import DECISION_OF_ACTION
from sharekit.core.columns import STR, first_difference, is_owner_action, join_lines
from sharekit.core.fields import SHARE_KEY
from sharekit.core.frame_schemas import public_names
from sharekit.ledger.ledger import Event, Ledger
from sharekit.spreadsheets.row_frames import own_labels

from ..decisions import open_for_decisions, person
from ..plan import HasLedger, Plan, ledger_path, read_plan
from ..steps import FIELDS, decision_of, list_steps
from .policy import Policies, PolicyResult, evaluate, from_description

#: Facts that the cloud showed; without a snapshot, or a line in it, there is none.
OBSERVED: Final = ("owner", "name", "visibility", "whole_image", "size", "before")
#: Facts that the inventory names.
_INVENTORY: Final = ("file", "sheet", "image_id", "project_id", "vault_id", "region")


def policy_rows(plan: Plan) -> pd.DataFrame:
    """Return the facts of every row that a policy can judge, as texts, by ``row_key``.

    They are ``file, sheet, image_id, project_id, vault_id, region``; ``asked``, the inventory's own
    decision; what the cloud showed when the plan was made (``owner, name, visibility, whole_image,
    size, before``); and the columns of the input, under ``input.`` and their headers, and where
    :func:`.public_names` says so under their headers. An owner or a name that only the inventory
    claims is no fact of the cloud: those are ``input.`` columns. Nothing here depends on decisions.
    """
    inventory = plan.findings.inventory.rows
    facts = {name: inventory[name].astype(STR) for name in ("file", "sheet")}
    facts |= {name: plan.rows[name] for name in _INVENTORY[2:]}
    asked = statuses(inventory["status"])
    facts["asked"] = asked.map(DECISION_OF_ACTION).fillna(asked).astype(STR)
    facts |= _observed(plan, asked)
    own = public_names(inventory.columns)
    facts |= {name: inventory[name].fillna("").astype(STR) for name in own}
    facts |= {shown: facts[name] for name, shown in own.items()}
    return pd.DataFrame(facts, index=plan.rows.index)


def _observed(plan: Plan, asked: pd.Series) -> dict[str, pd.Series]:
    snapshot = plan.findings.snapshot
    nothing = pd.Series("", index=plan.rows.index, dtype=STR)
    if snapshot is None:
        return dict.fromkeys(OBSERVED, nothing)
    by_owner = is_owner_action(asked)
    lines = join_lines(plan.rows, _lines(snapshot), SHARE_KEY, {}).astype(STR).fillna("")
    owned = join_lines(plan.rows, _images(snapshot), ["image_id"], {}).astype(STR).fillna("")
    named = [name for name in OBSERVED if name in owned]
    return {
        **{name: lines[name].where(~by_owner, owned[name]) for name in named},
        "before": plan.rows["before"],
    }


def _lines(snapshot: Snapshot) -> pd.DataFrame:
    # Members are listed by visibility: nothing else than shared images is among them.
    shared = snapshot.members["state"].isin(["accepted", "pending", "rejected"])
    members = snapshot.members.assign(visibility="shared")
    members["visibility"] = members["visibility"].where(shared, "")
    return members.drop_duplicates(SHARE_KEY)


def _images(snapshot: Snapshot) -> pd.DataFrame:
    return snapshot.owned.drop(columns="project_id").drop_duplicates("image_id")


def apply_policies(
    plan: HasLedger | str | PathLike[str], policies: Policies, *, reviewer: str = "",
    record: bool = True,
) -> PolicyResult:  # fmt: skip
    """Decide by policies, as one step in the ledger of a plan.

    What a person has decided on a row stands; what an earlier policy has decided does not. A row
    that no policy decides any more is as the inventory says.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    policies : Policies
        The policies, in order.
    reviewer : str
        Who applies them; without it, the user of this machine.
    record : bool
        Whether the step is written. Without it, the result is only shown.

    Raises
    ------
    UsageError
        A condition names a column that the rows lack.
    PlanError
        The plan is approved, or requests were sent already.
    """
    at = datetime.now(UTC)
    if not record:
        with Ledger.open(ledger_path(plan)) as ledger:
            return _result(ledger, policies, at)[0]
    with open_for_decisions(ledger_path(plan)) as ledger:
        result, step = _result(ledger, policies, at)
        if step.empty:
            return result
        with ledger.transaction():
            ledger.append("decided", _body(policies, result, at) | {
                "reviewer": person(reviewer), "rows": len(step), "blob": ledger.put_frame(step),
            })  # fmt: skip
    return result


def _body(policies: Policies, result: PolicyResult, at: datetime) -> dict[str, Any]:
    lines = result.matched.itertuples(index=False, name=None)
    return {
        "policies": policies.describe(),
        "policies_sha256": policies.fingerprint,
        "judged_at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "matched": [[str(policy), str(then), int(rows)] for policy, then, rows in lines],
    }


def _result(ledger: Ledger, policies: Policies, at: datetime) -> tuple[PolicyResult, pd.DataFrame]:
    """Return what policies decide, and the step that they make of it."""
    plan = read_plan(ledger)
    result = evaluate(policies, policy_rows(plan), at, own_labels(plan.findings.inventory))
    by_person, by_policy = standing(ledger)
    kept = result.decisions[~result.decisions.index.isin(by_person)]
    result = replace(result, decisions=kept)
    withdrawn = by_policy.difference(kept.index).difference(by_person)
    step = kept.assign(vault_id=None)
    if len(withdrawn):
        nothing = {"decision": "", "reason": "", "policy": "", "vault_id": None}
        step = pd.concat([step, pd.DataFrame(nothing, index=withdrawn)])
    return result, step[[*FIELDS, "policy"]].astype(STR).sort_index().rename_axis("row_key")


def standing(ledger: Ledger) -> tuple[pd.Index, pd.Index]:
    """Return the keys of the rows that a person decided on last, and those that a policy did."""
    last = policy_of(ledger)
    return last.index[last == ""], last.index[last != ""]


def policy_of(ledger: Ledger) -> pd.Series:
    """Return the policy that decided last on each decided row, ``""`` for a person."""
    parts = []
    for event in list_steps(ledger):
        step = decision_of(ledger, event)
        decided = step[step["decision"].notna()]
        names = decided["policy"] if "policy" in decided else pd.Series("", index=decided.index)
        parts.append(pd.DataFrame({"decision": decided["decision"], "policy": names}))
    if not parts:
        return pd.Series(dtype=STR).rename_axis("row_key")
    together = pd.concat(parts)
    last = together[~together.index.duplicated(keep="last")]
    return last.loc[last["decision"] != "", "policy"].astype(STR).sort_index()


def step_errors(ledger: Ledger, event: Event) -> list[str]:
    """Return where a recorded step of policies differs from what these policies decide.

    What a function or a mask chose cannot be derived again, nor what follows it in the list.
    """
    if missing := {"policies_sha256", "judged_at"} - event.body.keys():
        return [f"lacks the {min(missing)} of its policies"]
    described: Mapping[str, Any] = event.body["policies"]
    policies = from_description(described)
    errors = []
    if policies.fingerprint != event.body["policies_sha256"]:
        errors.append("names another SHA-256 than its policies have")
    if any(policy.get("by") == "python" for policy in described["policies"]):
        return errors
    at = datetime.fromisoformat(event.body["judged_at"])
    if at > datetime.fromisoformat(event.at):
        errors.append("counts ages to a time after its own")
    step = decision_of(ledger, event)
    nobody = step["policy"] == ""
    if (step["decision"].fillna("") != "")[nobody].any() or step["vault_id"].notna().any():
        errors.append("decides what no policy decides")
    with Ledger.open(ledger.path, verify_chain=False, until=event.prev) as before:
        result, derived = _result(before, policies, at)
    if first_difference(step.fillna(""), derived.fillna(""), [*FIELDS, "policy"]):
        errors.append("decides rows otherwise than its policies decide them")
    if event.body.get("matched") != _body(policies, result, at)["matched"]:
        errors.append("says that its policies matched other numbers of rows")
    return errors
