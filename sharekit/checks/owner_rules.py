"""Rows of the owner's side: who owns the image, whom it may be shared with, and how it stands."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import SHARE
from sharekit.core.api import MAX_PROJECTS, MAX_PROJECTS_FULL_ECS
from sharekit.core.columns import are_satisfied
from sharekit.core.fields import PROJECT_ID

from .cell_rules import Found, Keys, keys_of, matches
from .row_rules import Shares

_KEY = ["project_id", "image_id"]
_NONE = np.array([], dtype=np.int64)


def owner_rules(
    rows: pd.DataFrame, shares: Shares, seen: Snapshot | None, skipped: Keys = _NONE
) -> list[Found]:
    """Check what owners are to do; fills ``owner`` (who acts), ``before`` and ``whole_image``.

    The owner is the one that the cloud names, or without a cloud the row itself; never a guess.
    Rows that were ``skipped`` do not count against any limit.
    """
    mine = rows[shares.legal & shares.offered]
    if mine.empty:
        return []
    if seen is None:
        named = matches(mine["owner"], PROJECT_ID)
        state = pd.DataFrame({"owner": mine["owner"].where(named, ""), "members": 0}, mine.index)
        found = [Found("owner-unknown", keys_of(~named), "owner")]
    else:
        state = _looked_up(mine, seen)
        found = _owners(mine, state, seen)
        rows.loc[mine.index, "before"] = state["state"]
        found += _full_ecs(rows, mine, state)
    acting = mine.index[state["acting"] if "acting" in state else state["owner"] != ""]
    rows.loc[acting, "owner"] = state.loc[acting, "owner"]
    mine, state = rows.loc[acting], state.loc[acting]
    itself = mine["owner"] == mine["project_id"]
    found.append(Found("share-with-owner", keys_of(itself), "project_id"))
    if seen is not None:
        found += _images(mine, state, seen)
    counted = mine[~itself & ~mine.index.isin(skipped)]
    return [*found, *_limits(counted, state.loc[counted.index])]


def _looked_up(mine: pd.DataFrame, seen: Snapshot) -> pd.DataFrame:
    owned = seen.owned.drop_duplicates(_KEY)
    state = mine[_KEY].merge(owned, on=_KEY, how="left").set_axis(mine.index)
    numbers = dict.fromkeys(("members", "size"), 0)
    texts = {name: "" for name in owned.columns if name not in (*_KEY, *numbers)}
    return state.fillna(numbers | texts)


def _owners(mine: pd.DataFrame, state: pd.DataFrame, seen: Snapshot) -> list[Found]:
    """Who acts: the project that owns the image, if it signed in and is not said to be another."""
    there = set(seen.projects["project_id"])
    named, truth = matches(mine["owner"], PROJECT_ID), state["owner"]
    signed_in = mine["owner"].isin(there)
    other = named & signed_in & (truth != mine["owner"])
    unknown = ~named & ~truth.isin(there)
    state["acting"] = truth.isin(there) & ~other & ~(named & ~signed_in)
    said = ("it is " + truth + ", which no cloud that was named gives access to").where(
        truth != "", "no project that was asked shows such an image"
    )
    regions = truth.map(seen.projects.set_index("project_id")["region"]).fillna("").astype("str")
    elsewhere = (mine["region"] != "") & (regions != "") & (mine["region"] != regions)
    return [
        Found("no-credentials", keys_of(named & ~signed_in), "owner"),
        Found("not-owned", keys_of(other), "owner"),
        Found("owner-unknown", keys_of(unknown), "owner", detail=said),
        Found("region-differs", keys_of(elsewhere & state["acting"]), "region"),
    ]


def _full_ecs(rows: pd.DataFrame, mine: pd.DataFrame, state: pd.DataFrame) -> list[Found]:
    said, truth = mine["whole_image"], state["whole_image"]
    told = truth[truth != ""]
    rows.loc[told.index, "whole_image"] = told
    differs = (said != "") & (truth != "") & (said != truth)
    return [Found("full-ecs-differs", keys_of(differs), "whole_image")]


def _images(mine: pd.DataFrame, state: pd.DataFrame, seen: Snapshot) -> list[Found]:
    offered = mine["status"] == SHARE
    native = mine["owner"].map(seen.projects.set_index("project_id")["api"]) == "native"
    # Glance shares only what is set to be; IMS shares private images, but no public ones.
    shown = state["visibility"]
    closed = (native & ~shown.isin(["shared", ""])) | (shown == "public")
    there = are_satisfied(mine["status"], state["state"])
    closed &= offered & ~there
    return [
        Found("already", keys_of(there), "status"),
        Found("not-shareable", keys_of(closed), "image_id", detail="it is " + shown),
        Found("encrypted", keys_of(offered & ~there & (state["key"] != "")), "image_id"),
    ]


def _limits(mine: pd.DataFrame, state: pd.DataFrame) -> list[Found]:
    """More projects than an image may reach: those that have it, and those that are asked for."""
    before = state["state"] if "state" in state else pd.Series("", mine.index)
    new = mine[(mine["status"] == SHARE) & ~are_satisfied(mine["status"], before)]
    asked = new.drop_duplicates(_KEY).groupby("image_id").size()
    more = new["image_id"].map(asked).fillna(0).astype("int64")
    have = state.loc[new.index, "members"].astype("int64")
    most = pd.Series(MAX_PROJECTS, new.index)
    most = most.mask(new["whole_image"] == "true", MAX_PROJECTS_FULL_ECS)
    said = have.astype("str") + " have it, " + more.astype("str") + " are to get it, "
    detail = said + most.astype("str") + " is the limit"
    return [Found("too-many-projects", keys_of(have + more > most), "project_id", detail=detail)]
