"""Rules of vaults: whether those that rows name can take full-ECS images: kind, state, room.

The room that is needed is known only in part (the images' least disk). So what is found to be too
little is certain, while a vault that passes may still turn out to be too small.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import ACCEPTED
from sharekit.core.cloud_api import (
    VAULT_OBJECT_TYPE,
    VAULT_PROTECT_TYPE,
    VAULT_RESOURCES,
    VAULT_STATUS,
)
from sharekit.core.columns import STR, join_lines
from sharekit.core.fields import SHARE_KEY

from .hits import Keys, RuleHits

_VAULT_KEY: Final = ["project_id", "vault_id"]


def check_vaults(known: pd.DataFrame, snapshot: Snapshot) -> list[RuleHits]:
    """Look up each row's vault: whether there is one, of the right kind, in working order."""
    asked = known[(known["vault_id"] != "") & (known["status"] == ACCEPTED)]
    if asked.empty:
        return []
    readings = snapshot.projects.set_index("project_id")["vaults"]
    reading = asked["project_id"].map(readings).fillna("").astype(STR)
    vaults = _join_vaults(asked, snapshot)
    exists = vaults["status"].notna()
    wrong_type = exists & (
        (vaults["object_type"] != VAULT_OBJECT_TYPE)
        | (vaults["protect_type"] != VAULT_PROTECT_TYPE)
    )
    closed = exists & ~wrong_type & (vaults["status"] != VAULT_STATUS)
    state = "it is " + vaults["status"][closed].astype(STR)
    full = exists & ~wrong_type & ~closed & (vaults["resources"] >= VAULT_RESOURCES)
    held = vaults["resources"][full].astype("int64").astype(STR) + " servers"
    return [
        RuleHits.where(~exists & ~reading.isin(["read", ""]), "vault-unread", "vault_id", reading),
        RuleHits.where(~exists & (reading == "read"), "vault-unknown", "vault_id"),
        RuleHits.where(wrong_type, "vault-wrong-type", "vault_id"),
        RuleHits.where(closed, "vault-unavailable", "vault_id", state),
        RuleHits.where(full, "vault-resource-limit", "vault_id", held),
    ]


def suitable(vaults: pd.DataFrame) -> pd.Series:
    """Return True for each vault of a snapshot that takes full-ECS images, if there is room."""
    return (
        (vaults["object_type"] == VAULT_OBJECT_TYPE)
        & (vaults["protect_type"] == VAULT_PROTECT_TYPE)
        & (vaults["status"] == VAULT_STATUS)
        & (vaults["resources"] < VAULT_RESOURCES)
    )


def check_capacity(to_send: pd.DataFrame, snapshot: Snapshot) -> list[RuleHits]:
    """Find full-ECS images that their vault has no room for, alone or after those before them.

    Parameters
    ----------
    to_send : DataFrame
        The rows that would be sent and that nothing else blocks, in their order: the fields of
        :data:`sharekit.core.fields.FIELDS`, indexed by ``row_key``.
    snapshot : Snapshot
        Gives the room of vaults and the size of images.
    """
    full_ecs = (to_send["status"] == ACCEPTED) & (to_send["whole_image"] == "true")
    asked = to_send[full_ecs & (to_send["vault_id"] != "")]
    if asked.empty:
        return []
    free = _join_vaults(asked, snapshot)["free"]
    if free.isna().all():
        return []
    free = free.fillna(np.inf).clip(lower=0)
    sizes = snapshot.members[[*SHARE_KEY, "size"]].drop_duplicates(SHARE_KEY)
    size = join_lines(asked, sizes, SHARE_KEY, {"size": 0})["size"]
    alone = size > free
    # In the order of the rows, so that it is predictable who gets the room.
    vault = asked.groupby(_VAULT_KEY, sort=False).ngroup()
    so_far = size.where(~alone, 0).groupby(vault).cumsum()
    after = ~alone & (size > 0) & (so_far > free)
    return [
        _lacks_room("vault-too-small", "it needs", size[alone], free),
        _lacks_room("vault-overcommitted", "with them it would need", so_far[after], free),
    ]


def extend_to_duplicates(hits: list[RuleHits], carried_by: pd.Series) -> list[RuleHits]:
    """Return hits with the duplicates of their rows (``carried_by``: row key -> its carrier)."""
    if not carried_by.notna().any():
        return hits
    return [_extend(h, carried_by) for h in hits]


def _extend(hits: RuleHits, carried_by: pd.Series) -> RuleHits:
    duplicates = carried_by[carried_by.isin(hits.keys)]
    keys: Keys = np.append(hits.keys, duplicates.index.to_numpy("int64"))
    detail = hits.detail
    if detail is not None:
        of_duplicates = detail.reindex(duplicates).set_axis(duplicates.index)
        detail = pd.concat([detail, of_duplicates]).astype(STR)
    return replace(hits, keys=keys, detail=detail)


def _join_vaults(asked: pd.DataFrame, snapshot: Snapshot) -> pd.DataFrame:
    return join_lines(asked, snapshot.vaults.drop_duplicates(_VAULT_KEY), _VAULT_KEY, {})


def _lacks_room(rule: str, needs: str, need: pd.Series, free: pd.Series) -> RuleHits:
    """Return the hits of rows that need so many GB of a vault with less room."""
    room = free[need.index].round(1).astype(STR).str.removesuffix(".0")
    size = need.astype("int64").astype(STR)
    detail = (f"{needs} at least " + size + " GB, and " + room + " GB are free").astype(STR)
    return RuleHits(rule, need.index.to_numpy("int64"), "vault_id", detail=detail)
