"""What an earlier audit or run showed, and what has changed since then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import pandas as pd

from sharekit.clouds.state.survey import Survey
from sharekit.core import frame_schemas
from sharekit.core.actions import ABSENT, MEMBER_STATES, PENDING
from sharekit.core.columns import STR, first_case
from sharekit.core.fields import SHARE_KEY
from sharekit.core.provenance import shifted
from sharekit.runs.status import Run

from . import meanings

#: How far the clock of a cloud may be slow; a share that it dates before the baseline is not new.
_CLOCKS_DIFFER: Final = timedelta(days=1)
#: The form of a time in a response.
TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
#: What an audit can be compared with.
AUDIT, RUN = BASELINES = ("audit", "run")


@dataclass(frozen=True, eq=False)
class Baseline:
    """What an earlier audit or run showed.

    Attributes
    ----------
    name : str
        The ledger's file name, without its folder.
    kind : str
        ``audit`` or ``run``.
    at : str
        When it was taken: UTC, ISO 8601.
    head : str
        The head of its ledger.
    shares : DataFrame
        The shares it showed (:data:`~.frame_schemas.BASELINE`); those that an audit could not read
        have no state and the result ``unread``.
    complete_projects : tuple of str
        The projects of which it shows every share; a run has none.
    complete_owners : tuple of str
        The projects of which it shows everything that they shared with others.
    """

    name: str
    kind: str
    at: str
    head: str
    shares: pd.DataFrame
    complete_projects: tuple[str, ...] = ()
    complete_owners: tuple[str, ...] = ()


def from_audit(name: str, head: str, rows: pd.DataFrame, survey: Survey) -> Baseline:
    """Return the baseline that an audit's rows give; it also knows what could not be read."""
    sides = (("project", survey.shares), ("owner", survey.outgoing))
    names = list(frame_schemas.BASELINE.names)
    unread = [
        frame[frame["state"] == ""].assign(seen_by=side, result="unread").reindex(columns=names)
        for side, frame in sides
    ]
    # Of one type before they are joined: pandas 2 warns where a column has no value in one of them.
    shares = pd.concat([frame.astype(STR) for frame in (distinct_shares(rows), *unread)])
    shares = shares.drop_duplicates(SHARE_KEY, ignore_index=True)
    projects, owners = tuple(survey.complete_projects), tuple(survey.complete_owners)
    return Baseline(name, AUDIT, survey.taken_at, head, shares, projects, owners)


def from_run(name: str, head: str, at: str, run: Run) -> Baseline:
    """Return the baseline that a run gives: it knows nothing but its own rows."""
    outcomes = run.rows
    state = outcomes["observed"].where(outcomes["observed"] != "", outcomes["before"])
    shares = run.plan.rows[[*SHARE_KEY, "status", "owner", "name"]]
    shares = shares.assign(state=state, seen_by="project")
    shares = shares[shares["state"] != ""].drop_duplicates(SHARE_KEY, ignore_index=True)
    cases = {
        "agrees": shares["state"] == shares["status"],
        "undecided": shares["state"] == PENDING,
        "absent": shares["state"] == ABSENT,
    }
    shares["result"] = first_case(cases, "differs")
    return Baseline(name, RUN, at, head, shares[list(frame_schemas.BASELINE.names)].astype(STR))


def distinct_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each share that an audit's rows show once, with its state and result."""
    shares = rows[rows["observed"] != ""].rename(columns={"observed": "state"})
    # Of several rows of one share, the one that stands for its duplicates counts.
    rank = shares["result"].isin(["duplicate", "faulty"]).astype("int8")
    order = np.argsort(rank.to_numpy(), kind="stable")
    shares = shares[list(frame_schemas.BASELINE.names)].take(order)
    return shares.drop_duplicates(SHARE_KEY, ignore_index=True)


def diff(baseline: Baseline | None, rows: pd.DataFrame, survey: Survey) -> pd.DataFrame:
    """Return what changed between a baseline and an audit's rows (:data:`~.frame_schemas.CHANGES`).

    A share counts as new only if the baseline would have shown it and the cloud does not date it
    before, and as gone only if the survey would show it.
    """
    if baseline is None:
        return frame_schemas.CHANGES.make_frame()
    joined = baseline.shares.merge(
        distinct_shares(rows), on=SHARE_KEY, how="outer", suffixes=("_was", "_now")
    )
    shared = rows[[*SHARE_KEY, "shared_at"]].drop_duplicates(SHARE_KEY)
    joined = joined.merge(shared, on=SHARE_KEY, how="left").astype(STR).fillna("")
    joined["change"] = _changes(joined, baseline, survey)
    joined = joined[joined["change"] != ""]
    for name in ("name", "owner"):
        newer = joined[f"{name}_now"]
        joined[name] = newer.where(newer != "", joined[f"{name}_was"])
    joined = joined.rename(columns={"state_was": "was", "state_now": "now"})
    order = joined["change"].map({name: n for n, name in enumerate(meanings.CHANGES)})
    joined = joined.iloc[np.argsort(order.to_numpy(), kind="stable")]
    return joined[list(frame_schemas.CHANGES.names)].reset_index(drop=True).astype(STR)


def _changes(
    joined: pd.DataFrame, baseline: Baseline, survey: Survey
) -> pd.api.extensions.ExtensionArray:
    """Return the name of each share's change, ``""`` for none."""
    was, now = (joined[f"state_{end}"].isin(MEMBER_STATES) for end in ("was", "now"))
    # Would the baseline have shown the share, and does the survey?
    known = joined["state_was"] != ""
    known |= joined["project_id"].isin(baseline.complete_projects)
    known |= joined["owner_now"].isin(baseline.complete_owners)
    known &= joined["result_was"] != "unread"
    surveyed = joined["project_id"].isin(survey.complete_projects)
    by_owner = joined["seen_by_was"] == "owner"
    surveyed |= by_owner & joined["owner_was"].isin(survey.complete_owners)
    unread = pd.concat([frame.loc[frame["state"] == "", SHARE_KEY]
                        for frame in (survey.shares, survey.outgoing)])  # fmt: skip
    surveyed &= ~pd.MultiIndex.from_frame(joined[SHARE_KEY]).isin(pd.MultiIndex.from_frame(unread))
    since = joined["shared_at"]
    old = since.str.fullmatch(TIME) & (since < shifted(baseline.at, -_CLOCKS_DIFFER))
    moved = was & now & (joined["state_was"] != joined["state_now"])
    same = was & now & ~moved
    agreed, agrees = (joined[f"result_{end}"].isin(meanings.GOOD) for end in ("was", "now"))
    cases = {
        "newly-shared": ~was & now & known & ~old,
        "gone": was & ~now & surveyed,
        "not-told": was & ~now,
        "decided": moved & (joined["state_was"] == PENDING),
        "undecided-again": moved & (joined["state_now"] == PENDING),
        "decided-otherwise": moved,
        "now-agrees": same & ~agreed & agrees,
        "now-drifts": same & agreed & ~agrees,
    }
    return first_case(cases)
