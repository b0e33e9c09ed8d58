"""Whether the vaults named in rows can take the full-ECS images: kind, state, room.

The room that is needed is known only in part (the images' least disk), so what is
found here is certain to be too little, while a vault that passes may still turn out to be.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.api import VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE, VAULT_RESOURCES, VAULT_STATUS

from .cell_rules import Found, Keys, keys_of

_KEY = ["project_id", "vault_id"]
_IMAGE = ["project_id", "image_id"]


def vault_kinds(known: pd.DataFrame, seen: Snapshot) -> list[Found]:
    """Look each row's vault up: whether there is one, of the right kind, in working order."""
    asked = known[(known["vault_id"] != "") & (known["status"] == "accepted")]
    if asked.empty:
        return []
    read = asked["project_id"].map(seen.projects.set_index("project_id")["vaults"]).fillna("")
    unread = (read != "read") & (read != "")
    why = Found("vault-unread", keys_of(unread), "vault_id", detail=read[unread].astype("str"))
    there = _looked_up(asked[read == "read"], seen)
    unknown = there["_merge"] == "left_only"
    wrong = ~unknown & (
        (there["object_type"] != VAULT_OBJECT_TYPE) | (there["protect_type"] != VAULT_PROTECT_TYPE)
    )
    closed = ~unknown & ~wrong & (there["status"] != VAULT_STATUS)
    state = "it is " + there["status"][closed].astype("str")
    crowded = ~unknown & ~wrong & ~closed & (there["resources"] >= VAULT_RESOURCES)
    held = there["resources"][crowded].astype("int64").astype("str") + " servers"
    return [
        why,
        Found("vault-unknown", keys_of(unknown), "vault_id"),
        Found("vault-wrong-type", keys_of(wrong), "vault_id"),
        Found("vault-unavailable", keys_of(closed), "vault_id", detail=state),
        Found("vault-crowded", keys_of(crowded), "vault_id", detail=held),
    ]


def suitable(vaults: pd.DataFrame) -> pd.Series:
    """Say of each vault of a snapshot whether it takes full-ECS images, if there is room."""
    return (
        (vaults["object_type"] == VAULT_OBJECT_TYPE)
        & (vaults["protect_type"] == VAULT_PROTECT_TYPE)
        & (vaults["status"] == VAULT_STATUS)
        & (vaults.get("resources", -1) < VAULT_RESOURCES)
    )


def vault_room(going: pd.DataFrame, seen: Snapshot) -> list[Found]:
    """Find full-ECS images that their vault has no room for, alone or after those before them.

    Parameters
    ----------
    going : DataFrame
        The rows that would be sent and that nothing else blocks, in their order: the fields of
        :data:`sharekit.core.fields.FIELDS`, indexed by ``row_key``.
    seen : Snapshot
        Gives the room of vaults and the size of images.
    """
    taking = (going["status"] == "accepted") & (going["whole_image"] == "true")
    asked = going[taking & (going["vault_id"] != "")]
    there = _looked_up(asked, seen) if len(asked) else asked
    if there.empty or not there["free"].notna().any():
        return []
    sizes = seen.members[["project_id", "image_id", "size"]].drop_duplicates(_IMAGE)
    size = asked[_IMAGE].merge(sizes, on=_IMAGE, how="left")["size"].fillna(0)
    size.index = there.index
    free = there["free"].fillna(np.inf).clip(lower=0)
    alone = size > free
    # In the order of the rows, so that it is predictable who gets the room.
    vault = there.groupby(_KEY, sort=False).ngroup()
    so_far = size.where(~alone, 0).groupby(vault).cumsum()
    after = ~alone & (size > 0) & (so_far > free)
    return [
        _short("vault-too-small", alone, size, free, "it needs {}"),
        _short("vault-filled", after, so_far, free, "with them it would need {}"),
    ]


def with_copies(found: list[Found], carried: pd.Series) -> list[Found]:
    """Say the same of the rows that these rows carry (``carried``: row key to its carrier)."""
    if not carried.notna().any():
        return found
    return [_spread(f, carried) for f in found]


def _spread(found: Found, carried: pd.Series) -> Found:
    copies = carried[carried.isin(found.keys)]
    keys: Keys = np.append(found.keys, copies.index.to_numpy("int64"))
    detail = found.detail
    if detail is not None:
        of_copies = detail.reindex(copies).set_axis(copies.index)
        detail = pd.concat([detail, of_copies]).astype("str")
    return replace(found, keys=keys, detail=detail)


def _looked_up(asked: pd.DataFrame, seen: Snapshot) -> pd.DataFrame:
    vaults = seen.vaults.drop_duplicates(_KEY)
    if "resources" not in vaults:
        vaults = vaults.assign(resources=-1)
    there = asked[_KEY].merge(vaults, on=_KEY, how="left", indicator=True)
    there.index = asked.index
    return there


def _short(rule: str, hit: pd.Series, needed: pd.Series, free: pd.Series, words: str) -> Found:
    before, _, after = words.partition("{}")
    need = needed[hit].astype("int64").astype("str")
    room = free[hit].round(1).astype("str").str.removesuffix(".0")
    detail = f"{before}at least " + need + f" GB{after}, and " + room + " GB are free"
    return Found(rule, keys_of(hit), "vault_id", detail=detail.astype("str"))
