"""The last look before sending: which planned shares need nothing any more, or must not be sent."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from sharekit.checks.cloud_rules import check_members, check_operators
from sharekit.checks.findings import Findings
from sharekit.checks.hits import RuleHits
from sharekit.checks.owner_rules import check_limits, check_owners
from sharekit.checks.row_rules import pair_rows
from sharekit.checks.vault_rules import check_capacity
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.columns import STR, EncodedColumn, acting_project, are_satisfied, choose, roles
from sharekit.core.fields import ACTION_KEY, MANDATORY_FIELDS, SHARE_KEY
from sharekit.core.rules import RULES, severity
from sharekit.plans.plan import Plan

from .requests.log import RequestLog, find_requests

#: What a last look at a planned row depends on.
_LOOKED_AT: Final = [*MANDATORY_FIELDS, "vault_id", "whole_image", "region", "owner", "before"]


def waiting_rows(plan: Plan, log: RequestLog) -> pd.DataFrame:
    """Return the planned rows whose shares were not sent yet, with the ``side`` that acts."""
    waiting = [(request, (request.planned,)) for request in log.in_state("planned", "excluded")]
    rows = plan.rows
    rows = choose(rows[_LOOKED_AT], find_requests(rows, waiting) >= 0)
    return rows.assign(side=roles(rows["status"]))


def evaluate_preflight(
    planned: pd.DataFrame, snapshot: Snapshot, findings: Findings, *, is_undo: bool
) -> pd.DataFrame:
    """Return what a fresh snapshot says of planned rows: their state, and if they are excluded.

    Of a project that could not be read nothing is excluded, and nothing may be sent: its rows have
    the reason alone.

    Parameters
    ----------
    planned : DataFrame
        From :func:`waiting_rows`.
    snapshot : Snapshot
        What the clouds show now.
    findings : Findings
        Those of the plan: whether warnings count as errors, and which rules were confirmed.
    is_undo : bool
        Whether the run undoes another one: what somebody has decided since is not undone.
    """
    unread = acting_project(planned).map(snapshot.projects.set_index("project_id")["unread"])
    shut_out = unread.fillna("").astype(STR) != ""
    everything, planned = planned, choose(planned, ~shut_out)
    fresh = planned.copy()
    encoded = {name: EncodedColumn.encode(fresh[name]) for name in (*SHARE_KEY, "status")}
    pairs = pair_rows(encoded)
    hits = check_members(fresh, pairs, snapshot)
    of_owners, new = check_owners(fresh, pairs, snapshot)
    hits += [*of_owners, check_limits(new), check_operators(fresh, pairs, snapshot)]
    errors = _errors(hits, findings)
    already = are_satisfied(planned["status"], fresh["before"])
    blocked = np.concatenate([np.empty(0, np.int64), *(hit.keys for hit in errors)])
    to_send = ~fresh.index.isin(blocked) & ~already
    errors += _errors(check_capacity(choose(fresh, to_send), snapshot), findings)
    preflight = planned[ACTION_KEY].assign(
        before=fresh["before"], outcome="", code="", reason="", moved=""
    )
    preflight["outcome"] = preflight["outcome"].where(~already, "already")
    for hit in reversed(errors):  # the first rule of the table has the last word
        detail = "" if hit.detail is None else " (" + hit.detail.reindex(hit.keys) + ")"
        preflight.loc[hit.keys, "outcome"] = "blocked"
        preflight.loc[hit.keys, "code"] = hit.rule
        preflight.loc[hit.keys, "reason"] = RULES[hit.rule].message + detail
    moved = (planned["before"] != "") & (fresh["before"] != "")
    moved &= planned["before"] != fresh["before"]
    preflight["moved"] = planned["before"].where(moved, "")
    if is_undo:
        undecided = moved & (preflight["outcome"] == "")
        rule, columns = RULES["undo-state-changed"], ["outcome", "code", "reason"]
        preflight.loc[undecided, columns] = ["blocked", rule.name, rule.message]
    preflight = preflight.reindex(everything.index, fill_value="")
    preflight[ACTION_KEY] = everything[ACTION_KEY]
    preflight.loc[shut_out, "reason"] = unread[shut_out]
    preflight.loc[shut_out, "code"] = "not-looked-up"
    return preflight.astype(STR)


def count_preflight(preflight: pd.DataFrame) -> dict[str, int]:
    """Return the number of shares of each outcome, and of those that ``moved`` since the plan."""
    counts = {str(k): int(v) for k, v in preflight["outcome"].value_counts().items() if k}
    return counts | {"moved": int((preflight["moved"] != "").sum())}


def _errors(hits: list[RuleHits], findings: Findings) -> list[RuleHits]:
    rate = partial(severity, strict=findings.strict, confirmed=findings.confirmed)
    return [hit for hit in hits if rate(hit.rule) == "error"]
