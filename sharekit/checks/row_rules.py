"""Rules of rows seen together: duplicates, conflicts, and whether a row needs a vault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.actions import ACCEPTED, ACTIONS, OWNER_ACTIONS, REJECTED, ROLES, UNSHARE
from sharekit.core.columns import EncodedColumn
from sharekit.core.fields import PROJECT_ID, UUID

from .hits import Keys, RuleHits

#: Pair numbers up to so many times the number of rows are counted in a table, not by hashing,
#: which takes a fifth of the time.
_DENSE: Final = 4
#: Row keys and a field -> the address of each row's cell, as text.
Addresses = Callable[[Keys, str], "pd.Series[str]"]


@dataclass(frozen=True, eq=False)
class SharePairs:
    """The (image, project) pairs of the rows.

    Attributes
    ----------
    legal : ndarray of bool
        Whether a row's image and project ID have a legal form.
    numbers : ndarray of int64
        A number for each distinct pair.
    status : EncodedColumn
        The action that each row asks for.
    by_owner : ndarray of bool
        Whether that is an owner's action.
    """

    legal: NDArray[np.bool_]
    numbers: NDArray[np.int64]
    status: EncodedColumn
    by_owner: NDArray[np.bool_]


def pair_rows(encoded: Mapping[str, EncodedColumn]) -> SharePairs:
    """Number the (image, project) pairs of rows; each distinct ID is matched once."""
    images, projects, status = (encoded[n] for n in ("image_id", "project_id", "status"))
    legal = images.fullmatch(UUID)[images.codes]
    legal &= projects.fullmatch(PROJECT_ID)[projects.codes]
    numbers = images.codes.astype(np.int64) * len(projects.categories) + projects.codes
    return SharePairs(legal, numbers, status, status.isin(OWNER_ACTIONS))


def check_vault_need(rows: pd.DataFrame, encoded: Mapping[str, EncodedColumn]) -> list[RuleHits]:
    """Find vaults that are missing, and those nobody needs, which are dropped from the rows.

    Whether an image needs a vault is taken from the inventory; the cloud is asked elsewhere.
    """
    status, empty = encoded["status"], encoded["vault_id"].isin([""])
    whole = encoded["whole_image"].isin(["true"])
    missing = np.flatnonzero(status.isin([ACCEPTED]) & empty & whole)
    hits = [RuleHits("vault-missing", missing, "vault_id")]
    needless = np.flatnonzero(status.isin([REJECTED, *OWNER_ACTIONS]) & ~empty)
    if needless.size:
        # Row keys count from 0, so they are positions.
        values = rows["vault_id"].copy()
        hits.append(RuleHits("vault-for-rejection", needless, "vault_id", values))
        rows.loc[needless, "vault_id"] = ""
    return hits


def find_duplicates(
    rows: pd.DataFrame, pairs: SharePairs, blocked: pd.Series, skipped: Keys, addresses: Addresses
) -> tuple[list[RuleHits], pd.Series]:
    """Find duplicates and conflicts; return the hits and, by duplicate, the row that carries it.

    Two rows are duplicates if they decide the same share (image, project) in the same way (status,
    vault); otherwise they are in conflict. The first row that nothing blocks carries the others.
    ``addresses`` names rows in the messages. An owner may share what the project decides on in the
    same run, but not take it back.
    """
    carried_by = pd.Series(np.nan, index=rows.index, dtype="float64")
    valid = pairs.legal & pairs.status.isin(ACTIONS)
    valid[skipped] = False  # row keys count from 0, so they are positions
    live = np.flatnonzero(valid)
    numbers = _action_numbers(pairs, live)
    repeated = _repeated(numbers)
    several = rows.take(live[repeated])
    if several.empty:
        return [], carried_by
    share = pd.Series(numbers[repeated], index=several.index)
    codes, _ = pd.factorize(several["status"] + "|" + several["vault_id"])
    decision = pd.Series(codes, index=share.index)
    conflict = decision.groupby(share).transform("nunique") > 1
    free = share[~conflict & ~blocked[share.index]]
    carriers = free.drop_duplicates()
    first = free.map(pd.Series(carriers.index, index=carriers.to_numpy()))
    duplicates = first[first != first.index]
    carried_by[duplicates.index] = duplicates
    carrier = addresses(duplicates.to_numpy("int64"), "image_id") + " carries it"
    detail = carrier.set_axis(duplicates.index)
    return [
        _conflicts(several[conflict], share[conflict], decision[conflict], addresses),
        RuleHits("duplicate", duplicates.index.to_numpy("int64"), "image_id", detail=detail),
    ], carried_by


def _repeated(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return True for each number that comes more than once."""
    if numbers.max(initial=0) > _DENSE * len(numbers):
        return pd.Series(numbers).duplicated(keep=False).to_numpy(dtype=bool)
    repeated: NDArray[np.bool_] = (np.bincount(numbers) > 1)[numbers]
    return repeated


def _action_numbers(pairs: SharePairs, live: Keys) -> NDArray[np.int64]:
    """Number what rows act on: the owner's role apart from the member's, but for taking back."""
    numbers, by_owner = pairs.numbers[live], pairs.by_owner[live]
    if not by_owner.any():
        return numbers
    taken_back = numbers[pairs.status.isin([UNSHARE])[live]]
    in_both_roles = np.isin(numbers, np.intersect1d(taken_back, numbers[~by_owner]))
    return numbers * len(ROLES) + (by_owner & ~in_both_roles)


def _conflicts(
    rows: pd.DataFrame, share: pd.Series, decision: pd.Series, addresses: Addresses
) -> RuleHits:
    """Name for each row the first one that decides the same share differently."""
    differs = decision != decision.groupby(share).transform("first")
    keys = pd.Series(rows.index, index=rows.index)
    first = keys.groupby(share).transform("first")
    first_differing = keys[differs].groupby(share[differs]).first().reindex(share).to_numpy()
    other = pd.Series(first.where(differs, first_differing), dtype="int64")
    other_rows = rows.loc[other]
    vault = (" with vault " + other_rows["vault_id"]).where(other_rows["vault_id"] != "", "")
    where = addresses(other.to_numpy("int64"), "status").set_axis(other_rows.index)
    detail = (other_rows["status"] + vault + " in " + where).set_axis(rows.index)
    return RuleHits("conflict", keys.to_numpy("int64"), "status", detail=detail)
