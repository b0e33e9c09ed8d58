"""Rows seen together, and against the cloud: vaults, duplicates, conflicts, states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import (
    ABSENT,
    ACCEPTED,
    ACTIONS,
    OWNER_ACTIONS,
    REJECTED,
    ROLES,
    SHARE,
    STATUSES,
    UNSHARE,
)
from sharekit.core.columns import Coded
from sharekit.core.fields import PROJECT_ID, UUID

from .cell_rules import Found, Keys, keys_of, matches
from .vault_rules import vault_kinds

#: Numbers so close to each other are counted in a table, which takes a fifth of the time.
_DENSE: Final = 4
#: Row keys -> where they stand, as an array of text.
Places = Callable[[Keys, str], npt.NDArray[np.object_]]


@dataclass(frozen=True, eq=False)
class Shares:
    """Which rows name an image and a project in legal form, a number for each such pair, the act.

    ``offered`` says which acts are the owner's.
    """

    legal: npt.NDArray[np.bool_]
    numbers: npt.NDArray[np.int64]
    status: Coded
    offered: npt.NDArray[np.bool_]


def shares_of(images: Coded, projects: Coded, status: Coded) -> Shares:
    """Look at each distinct image, project and status once, and number the pairs."""
    legal = images.having(UUID)[images.codes]
    legal &= projects.having(PROJECT_ID)[projects.codes]
    numbers = images.codes.astype(np.int64) * len(projects.words) + projects.codes
    return Shares(legal, numbers, status, status.among(OWNER_ACTIONS))


def vault_rules(rows: pd.DataFrame, coded: Mapping[str, Coded]) -> list[Found]:
    """Vaults by the inventory's own word; a vault for a rejection is dropped from the row."""
    without, whole = coded["vault_id"].among([""]), coded["whole_image"].among(["true"])
    missing = np.flatnonzero(coded["status"].among([ACCEPTED]) & without & whole)
    found = [Found("vault-missing", missing, "vault_id")]
    needless = np.flatnonzero(coded["status"].among([REJECTED, *OWNER_ACTIONS]) & ~without)
    if needless.size:
        # Row keys count from 0, so they are positions.
        found.append(Found("vault-for-rejection", needless, "vault_id", rows["vault_id"].copy()))
        rows.loc[needless, "vault_id"] = ""
    return found


def cloud_rules(rows: pd.DataFrame, shares: Shares, seen: Snapshot) -> list[Found]:
    """Compare decisions with the clouds; fills ``before``, and believes the cloud on full-ECS."""
    known = rows[shares.legal & ~shares.offered]
    projects = seen.projects.set_index("project_id")
    has_cloud = known["project_id"].isin(projects.index)
    found = [_found("no-credentials", ~has_cloud, "project_id")]
    known = known[has_cloud]
    state = _looked_up(known, seen)
    own = state["owner"] == known["project_id"]
    # A project is no member of its own images: what listings show there is what others decided.
    rows.loc[known.index, "before"] = state["state"].where(~own, "")
    gone = (state["state"] == ABSENT) & ~own
    # Whoever wrote something else may have meant the owner's side, which needs no share there.
    offered = _only_now(rows, known, shares)
    undecidable = gone & known["status"].isin(STATUSES)
    wanted = state["state"] == known["status"]
    regions = known["project_id"].map(projects["region"]).fillna("").astype("str")
    elsewhere = (known["region"] != "") & (regions != "") & (known["region"] != regions)
    owner = (known["owner"] != "") & (state["owner"] != "") & (known["owner"] != state["owner"])
    owner &= matches(known["owner"], PROJECT_ID)
    found += [
        _found("own-image", own, "image_id"),
        Found("not-shared", keys_of(undecidable), "image_id", detail=offered),
        _found("region-differs", elsewhere, "region"),
        _found("already", wanted & ~own, "status"),
        _found("owner-differs", owner & ~own, "owner"),
    ]
    live = ~own & ~gone
    return found + _full_ecs(rows, known[live], state[live]) + vault_kinds(known[live], seen)


def _only_now(rows: pd.DataFrame, known: pd.DataFrame, shares: Shares) -> pd.Series:
    """Say where another row of the same run is about to share what a row decides on."""
    numbers = pd.Series(shares.numbers, index=rows.index)
    offered = numbers[shares.legal & (rows["status"] == SHARE).to_numpy(dtype=bool)]
    said = pd.Series("", index=known.index, dtype="str")
    here = numbers[known.index].isin(offered)
    return said.mask(here, "another row shares it in this very run: decide in the run after it")


def _looked_up(known: pd.DataFrame, seen: Snapshot) -> pd.DataFrame:
    state = known[["project_id", "image_id"]].merge(
        seen.members, on=["project_id", "image_id"], how="left"
    )
    state.index = known.index
    return state.fillna({"state": ABSENT, "owner": "", "whole_image": ""})


def _full_ecs(rows: pd.DataFrame, known: pd.DataFrame, state: pd.DataFrame) -> list[Found]:
    said, truth = known["whole_image"], state["whole_image"]
    differs = (said != "") & (truth != "") & (said != truth)
    told = truth[truth != ""]
    found = [_found("full-ecs-differs", differs, "whole_image")]
    rows.loc[told.index, "whole_image"] = told
    # Where the sheet says so too, the row has its finding already.
    missing = (truth == "true") & (said != "true")
    missing &= (known["status"] == "accepted") & (known["vault_id"] == "")
    missing &= state["state"] != known["status"]
    return [*found, Found("vault-missing", keys_of(missing), "vault_id", None, "the cloud says so")]


def twice(
    rows: pd.DataFrame, shares: Shares, blocked: pd.Series, skipped: Keys, places: Places
) -> tuple[list[Found], pd.Series]:
    """Find duplicates and conflicts; returns them and, for each duplicate, the row carrying it.

    A share is (image, project); its decision is (status, vault). The first row that nothing
    blocks carries the others. ``places`` names rows by their keys and a field, for the messages.
    The owner may share what the project decides on, but not take it back at the same time.
    """
    carried = pd.Series(np.nan, index=rows.index, dtype="float64")
    valid = shares.legal & shares.status.among(ACTIONS)
    valid[skipped] = False  # row keys count from 0, so they are positions
    live = np.flatnonzero(valid)
    acts = _acts(shares, live)
    repeated = _repeated(acts)
    several = rows.take(live[repeated])
    if several.empty:
        return [], carried
    share = pd.Series(acts[repeated], index=several.index)
    decision, _ = pd.factorize(several["status"] + "|" + several["vault_id"])
    decided = pd.Series(decision, index=share.index)
    conflict = decided.groupby(share).transform("nunique") > 1
    free = share[~conflict & ~blocked[share.index]]
    carriers = free.drop_duplicates()
    first = free.map(pd.Series(carriers.index, index=carriers.to_numpy()))
    doubles = first[first != first.index]
    carried[doubles.index] = doubles
    carriers_at = places(doubles.to_numpy("int64"), "image_id")
    carrier = pd.Series(carriers_at + " carries it", index=doubles.index, dtype="str")
    return [
        _conflicts(several[conflict], share[conflict], decided[conflict], places),
        Found("duplicate", doubles.index.to_numpy("int64"), "image_id", detail=carrier),
    ], carried


def _repeated(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which numbers come more than once."""
    if numbers.max(initial=0) > _DENSE * len(numbers):
        return pd.Series(numbers).duplicated(keep=False).to_numpy(dtype=bool)
    repeated: npt.NDArray[np.bool_] = (np.bincount(numbers) > 1)[numbers]
    return repeated


def _acts(shares: Shares, live: Keys) -> npt.NDArray[np.int64]:
    """Number what rows act on: the owner's side apart from the member's, but for taking back."""
    numbers, owner = shares.numbers[live], shares.offered[live]
    if not owner.any():
        return numbers
    back = numbers[shares.status.among([UNSHARE])[live]]
    both = np.isin(numbers, np.intersect1d(back, numbers[~owner]))
    return numbers * len(ROLES) + (owner & ~both)


def _conflicts(rows: pd.DataFrame, share: pd.Series, decided: pd.Series, places: Places) -> Found:
    """Name for each row the first one that decides the same share otherwise."""
    first = decided.groupby(share).transform("first")
    otherwise = decided != first
    keys = pd.Series(rows.index, index=rows.index)
    head = keys.groupby(share).transform("first")
    rival = keys[otherwise].groupby(share[otherwise]).first().reindex(share).to_numpy()
    other = pd.Series(head.where(otherwise, rival), dtype="int64")
    theirs = rows.loc[other]
    vault = (" with vault " + theirs["vault_id"]).where(theirs["vault_id"] != "", "")
    said = theirs["status"] + vault + " in " + places(other.to_numpy("int64"), "status")
    detail = pd.Series(said.to_numpy(), index=rows.index, dtype="str")
    return Found("conflict", keys.to_numpy("int64"), "status", detail=detail)


def _found(rule: str, mask: pd.Series, field: str) -> Found:
    return Found(rule, keys_of(mask), field)
