"""Policies as a test of the present state: what every share should be, and what it is.

In a review a policy decides; in an audit its decision says what a share that meets its conditions
has to be: ``accept`` accepted, ``reject`` rejected, ``unshare`` not there at all. A share that is
otherwise is a violation. ``leave`` and ``skip`` are content with every state. The first policy that
matches counts, as in a review.

Only shares that a cloud shows are tested, each once. A share of which a policy asks what is not
known, such as the time of a share that was not looked up, is not judged, and listed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from sharekit.checks.cell_rules import statuses
from sharekit.clouds.state.survey import Survey
from sharekit.core.actions import DECISION_OF_ACTION, DECISIONS, MEMBER_STATES
from sharekit.core.columns import STR, are_satisfied, join_lines
from sharekit.core.errors import UsageError
from sharekit.core.fields import SHARE_KEY
from sharekit.core.frame_schemas import AUDIT_ROWS, POLICY_CHECK, public_names
from sharekit.plans.policies.policy import Policies, PolicyResult, evaluate

#: Columns that hold times, or are counted from one: each costs a call for each share.
_TIMES: Final = frozenset({"shared_at", "decided_at", "age_days"})
#: Facts that the listing of a project shows beside the rows of an audit.
_LISTED: Final = ("visibility", "whole_image")
#: Facts that a review knows, and an audit does not.
_UNKNOWN: Final = ("vault_id", "size")


def check_policies(rows: pd.DataFrame, survey: Survey, policies: Policies) -> pd.DataFrame:
    """Return every share that violates a policy, and every one that was not judged.

    Parameters
    ----------
    rows : DataFrame
        The rows of an audit.
    survey : Survey
        What the audit was made from; ages are counted to its time.
    policies : Policies
        Conditions on :func:`facts`.

    Returns
    -------
    DataFrame
        :data:`~.frame_schemas.POLICY_CHECK`, violations first: ``verdict`` is ``violation`` or
        ``not-judged``, ``missing`` the column that was not known.

    Raises
    ------
    UsageError
        A condition names a column that there is not, or a policy is a function.
    """
    shares, result = judge_shares(rows, survey, policies)
    should = result.decisions["decision"].map(DECISIONS).dropna().astype(STR)
    state = shares["observed"].loc[should.index]
    wrong = should[~are_satisfied(should, state).to_numpy(dtype=bool)]
    unread = _unread(rows, shares)
    keys = wrong.index.append([result.undecided.index, unread])
    texts = {
        "verdict": ["violation"] * len(wrong) + ["not-judged"] * (len(keys) - len(wrong)),
        "policy": [*result.decisions["policy"].loc[wrong.index], *result.undecided["policy"],
                   *[""] * len(unread)],
        "should": [*wrong, *[""] * (len(keys) - len(wrong))],
        "missing": [*[""] * len(wrong), *result.undecided["column"], *["observed"] * len(unread)],
    }  # fmt: skip
    lines = rows.loc[keys].reset_index(drop=True)
    lines = lines.assign(**{name: pd.Series(values, dtype=STR) for name, values in texts.items()})
    return lines[[*POLICY_CHECK.names]]


def judge_shares(
    rows: pd.DataFrame, survey: Survey, policies: Policies
) -> tuple[pd.DataFrame, PolicyResult]:
    """Return the shares that a cloud shows, each once, and what policies say of them."""
    shares = _present(rows)
    at = datetime.fromisoformat(survey.taken_at)
    return shares, evaluate(policies, facts(shares, survey), at)


def check_columns(policies: Policies, own: list[str]) -> None:
    """Refuse, before a cloud is read, what :func:`check_policies` would refuse.

    ``own`` are the columns of the input as an inventory names them.
    """
    if any(policy.rows is not None for policy in policies.policies):
        raise UsageError(
            "An audit tests conditions alone: a policy of a function or a mask cannot be tested "
            "again from the ledger."
        )
    columns = [*AUDIT_ROWS.names, *own]
    empty = pd.DataFrame({name: pd.Series(dtype=STR) for name in columns})
    nothing = pd.DataFrame(columns=[*SHARE_KEY, *_LISTED, "cloud", "region"], dtype=STR)
    known = facts(empty, Survey("", nothing, nothing, nothing, nothing))
    evaluate(policies, known)


def needs_times(policies: Policies) -> bool:
    """Return True if a policy asks for the time of a share, or for its age."""
    return any(
        condition.column.strip().casefold() in _TIMES
        for policy in policies.policies
        for condition in policy.conditions
    )


def facts(shares: pd.DataFrame, survey: Survey) -> pd.DataFrame:
    """Return what policies can judge of shares, as texts: the rows of an audit and more.

    Beside the columns of an audit's rows they are ``before`` (as ``observed``, the state) and
    ``asked`` (the inventory's decision), as in a review; ``visibility, whole_image, cloud,
    region``; and the columns of the input as in a review. A share that no row of the inventory
    names has none of the latter.
    """
    texts = {str(name): shares[name].astype(STR).fillna("") for name in shares.columns}
    texts["row"] = texts["row"].mask(texts["file"] == "", "")
    texts["before"] = texts["observed"]
    asked = statuses(texts["status"])
    texts["asked"] = asked.map(DECISION_OF_ACTION).fillna(asked).astype(STR)
    listed = survey.shares.drop_duplicates(SHARE_KEY)
    lines = join_lines(shares, listed, SHARE_KEY, {})
    texts |= {name: lines[name].astype(STR).fillna("") for name in _LISTED}
    projects = survey.projects.drop_duplicates("project_id").set_index("project_id")
    for name in ("cloud", "region"):
        texts[name] = shares["project_id"].map(projects[name]).astype(STR).fillna("")
    # What shows its members is shared.
    shared = texts["observed"].isin(MEMBER_STATES)
    texts["visibility"] = texts["visibility"].mask(shared, "shared")
    texts |= {name: pd.Series("", index=shares.index, dtype=STR) for name in _UNKNOWN}
    texts |= {shown: texts[name] for name, shown in public_names(shares.columns).items()}
    return pd.DataFrame(texts, index=shares.index)


def _present(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each share that a cloud shows once: the row that stands for its duplicates."""
    shares = rows[rows["observed"].isin(MEMBER_STATES)]
    spare = shares["result"].isin(["duplicate", "faulty"]).to_numpy()
    shares = shares.take(np.argsort(spare, kind="stable"))
    return shares.drop_duplicates(SHARE_KEY).sort_index()


def _unread(rows: pd.DataFrame, shares: pd.DataFrame) -> pd.Index:
    """Return the rows of shares whose state is not known, each share once."""
    unread = rows[rows["result"] == "unread"].drop_duplicates(SHARE_KEY)
    known = pd.MultiIndex.from_frame(shares[SHARE_KEY])
    return unread.index[~pd.MultiIndex.from_frame(unread[SHARE_KEY]).isin(known)]
