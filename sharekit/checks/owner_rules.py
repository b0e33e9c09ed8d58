"""Rules of owners' actions: who owns the image, whom it may be shared with, and its state."""

from __future__ import annotations

import pandas as pd

from sharekit.clouds.cloud import NO_MEMBERS
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import SHARE
from sharekit.core.cloud_api import MAX_PROJECTS, MAX_PROJECTS_FULL_ECS
from sharekit.core.columns import STR, are_satisfied, join_lines
from sharekit.core.fields import PROJECT_ID, SHARE_KEY

from .cloud_rules import check_full_ecs, check_region
from .hits import NO_KEYS, Keys, RuleHits, fullmatch
from .row_rules import SharePairs


def check_owners(
    rows: pd.DataFrame, pairs: SharePairs, snapshot: Snapshot | None, skipped: Keys = NO_KEYS
) -> tuple[list[RuleHits], pd.DataFrame]:
    """Check owners' actions; sets ``owner`` (who acts), ``before`` and ``whole_image``.

    The owner is the project that the cloud names, or without a cloud the row itself; it is never
    guessed. ``skipped`` rows do not count against any limit.

    Returns
    -------
    hits : list of RuleHits
        What is wrong with them.
    new : DataFrame
        The rows that would share an image with one more project, for :func:`check_limits`;
        ``have`` is the number of projects that it is shared with.
    """
    known = rows[pairs.legal & pairs.by_owner]
    if known.empty:
        return [], known.assign(have=0)
    if snapshot is None:
        named = fullmatch(known["owner"], PROJECT_ID)
        facts = {"owner": known["owner"], "state": "", "members": 0}
        state = pd.DataFrame(facts, known.index)
        acting = named
        hits = [RuleHits.where(~named, "owner-unknown", "owner")]
    else:
        state = _join_owned(known, snapshot)
        acting, hits = _acting_owners(known, state, snapshot)
        rows.loc[known.index, "before"] = state["state"]
        hits.append(check_full_ecs(rows, known, state))
    acting_keys = known.index[acting]
    rows.loc[acting_keys, "owner"] = state.loc[acting_keys, "owner"]
    known, state = rows.loc[acting_keys], state.loc[acting_keys]
    itself = known["owner"] == known["project_id"]
    hits.append(RuleHits.where(itself, "share-with-owner", "project_id"))
    if snapshot is not None:
        hits += _check_images(known, state, snapshot)
    counted = known[~itself & ~known.index.isin(skipped)]
    if snapshot is not None:  # each plain OpenStack has a quota of its own; its refusal tells
        counted = counted[~_is_native(counted, snapshot)]
    state = state.loc[counted.index]
    offered = (counted["status"] == SHARE) & ~are_satisfied(counted["status"], state["state"])
    return hits, counted.assign(have=state["members"].astype("int64"))[offered]


def _join_owned(known: pd.DataFrame, snapshot: Snapshot) -> pd.DataFrame:
    owned = snapshot.owned.drop_duplicates(SHARE_KEY)
    texts = [name for name in owned.columns if name not in (*SHARE_KEY, "members", "size")]
    missing = {**dict.fromkeys(texts, ""), "unread": "no cloud was asked about it"}
    return join_lines(known, owned, SHARE_KEY, {"members": 0, "size": 0, **missing})


def _acting_owners(
    known: pd.DataFrame, state: pd.DataFrame, snapshot: Snapshot
) -> tuple[pd.Series, list[RuleHits]]:
    """Return which rows' owner can act: it signed in, and the row names no other project."""
    signed_in = set(snapshot.projects["project_id"])
    named, actual = fullmatch(known["owner"], PROJECT_ID), state["owner"]
    no_access = named & ~known["owner"].isin(signed_in)
    unshareable = (known["status"] == SHARE) & _is_closed(known, state, snapshot)
    unread = ~no_access & (state["unread"] != "") & ~unshareable
    other = named & ~no_access & ~unread & (actual != "") & (actual != known["owner"])
    unknown = ~no_access & ~unread & ~other & ~actual.isin(signed_in)
    acting = actual.isin(signed_in) & ~other & ~no_access & ~unread
    reason = ("it is " + actual + ", which no cloud that was named gives access to").where(
        actual != "", "no project that was asked shows such an image"
    )
    return acting, [
        RuleHits.where(no_access, "no-credentials", "owner"),
        RuleHits.where(unread, "not-looked-up", "image_id", state["unread"]),
        RuleHits.where(other, "not-owned", "owner"),
        RuleHits.where(unknown, "owner-unknown", "owner", reason),
        check_region(known[acting], actual[acting], snapshot),
    ]


def _check_images(known: pd.DataFrame, state: pd.DataFrame, snapshot: Snapshot) -> list[RuleHits]:
    satisfied = are_satisfied(known["status"], state["state"])
    to_share = (known["status"] == SHARE) & ~satisfied
    closed, reason = _is_closed(known, state, snapshot), "it is " + state["visibility"]
    return [
        RuleHits.where(satisfied, "already", "status"),
        RuleHits.where(closed & to_share, "not-shareable", "image_id", reason),
        RuleHits.where(to_share & (state["key"] != ""), "encrypted", "image_id"),
    ]


def _is_closed(known: pd.DataFrame, state: pd.DataFrame, snapshot: Snapshot) -> pd.Series:
    """Return True for images that cannot be shared, and whose members nobody is shown.

    Glance shares only images whose visibility is "shared"; IMS shares private ones, too.
    """
    visibility = state["visibility"]
    acting = known.assign(owner=state["owner"])
    native = _is_native(acting, snapshot) & ~visibility.isin(["shared", ""])
    return native | visibility.isin(NO_MEMBERS)


def _is_native(known: pd.DataFrame, snapshot: Snapshot) -> pd.Series:
    """Return True for rows whose owner has no service but Glance."""
    apis = snapshot.projects.set_index("project_id")["api"]
    return known["owner"].map(apis) == "native"


def count_offers(new: pd.DataFrame) -> pd.Series:
    """Return with how many projects each image would be shared."""
    return new.drop_duplicates(SHARE_KEY).groupby("image_id").size()


def check_limits(new: pd.DataFrame, everywhere: pd.Series | None = None) -> RuleHits:
    """Find images that would reach too many projects: those that have it, and those asked for.

    ``everywhere`` counts the latter where rows that are checked apart ask for more of them.
    """
    asked = count_offers(new)
    if everywhere is not None:
        asked = everywhere.reindex(asked.index).fillna(asked)
    more, have = new["image_id"].map(asked).astype("int64"), new["have"]
    limit = pd.Series(MAX_PROJECTS, new.index)
    limit = limit.mask(new["whole_image"] == "true", MAX_PROJECTS_FULL_ECS)
    numbers = (column.astype(STR) for column in (have, more, limit))
    detail = next(numbers) + " have it, " + next(numbers) + " are to get it, "
    detail += next(numbers) + " is the limit"
    return RuleHits.where(have + more > limit, "too-many-projects", "project_id", detail)
