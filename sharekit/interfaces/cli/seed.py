"""A simulated cloud for somebody's own workbook, so that they can rehearse with it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sharekit.core.actions import SHARE
from sharekit.core.columns import STR, replace_all
from sharekit.core.fields import FIELDS, ID_FIELDS, PROJECT_ID, SHARE_KEY, UUID
from sharekit.simulator.seed import Image, Project, Seed, Share, Vault, invented_id, operators
from sharekit.spreadsheets.reading import read_inventory
from sharekit.spreadsheets.vocabulary import STATUS_WORDS, TRUE_WORDS

#: Characters that people paste around an ID.
_AROUND = "{} \u00a0\u200b\ufeff"
#: A UUID without its dashes.
_UNDASHED = r"^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$"


def seed_from_workbook(path: str | Path) -> Seed:
    """Return a cloud in which every row of a workbook with valid IDs is a pending share.

    The images of rows that share them exist, and are shared with nobody yet. Owners that the
    workbook does not name are invented; every vault it names is a server backup vault with room.
    Rows whose IDs cannot be repaired are left out: their images are unknown to the cloud.

    Raises
    ------
    InputError
        If the workbook cannot be read.
    """
    inventory = read_inventory(path)
    issues = inventory.cell_issues
    numbers = issues.loc[issues["rule"] == "number-cell", "row_key"]
    return seed_from_rows(inventory.rows[~inventory.rows.index.isin(numbers)])


def seed_from_rows(rows: pd.DataFrame) -> Seed:
    """Return the cloud for rows with columns of :data:`sharekit.core.fields.FIELDS`, all text."""
    fields = [f for f in FIELDS if f in rows.columns]
    table = rows[fields].astype(STR).fillna("").apply(lambda column: column.str.strip())
    # A mistyped ID means an image that exists, so the rehearsal has it under its right spelling.
    for name in ID_FIELDS:
        if name in fields:
            table[name] = table[name].str.strip(_AROUND).str.lower()
    table["image_id"] = replace_all(table["image_id"], _UNDASHED, r"\1-\2-\3-\4-\5")
    legal = table["image_id"].str.fullmatch(UUID)
    legal &= table["project_id"].str.fullmatch(PROJECT_ID)
    table = table[legal]
    table = table.assign(**{f: "" for f in FIELDS if f not in fields})
    images = table.drop_duplicates("image_id")
    whole = table["whole_image"].str.lower().isin(TRUE_WORDS) & (table["whole_image"] != "")
    whole_ids = set(table.loc[whole | (table["vault_id"] != ""), "image_id"])
    consumers = table["project_id"].unique()
    stranger = invented_id("owner")
    receivers = table.groupby("image_id")["project_id"].agg(set).to_dict()
    owners = images["owner"].where(images["owner"].str.fullmatch(PROJECT_ID), stranger)
    seeded = tuple(
        Image(
            id=image_id,
            # A project that receives an image cannot be its owner.
            owner=stranger if owner in receivers[image_id] else owner,
            name=name,
            whole_image=image_id in whole_ids,
        )
        for image_id, owner, name in zip(images["image_id"], owners, images["name"], strict=True)
    )
    # What is to be shared is not shared yet.
    offered = table["status"].str.lower().map(STATUS_WORDS) == SHARE
    pairs = table[~offered].drop_duplicates(SHARE_KEY)
    users, keys = operators()
    return Seed(
        projects=_projects([*consumers, *sorted({i.owner for i in seeded} - set(consumers))]),
        users=users,
        keys=keys,
        images=seeded,
        shares=tuple(map(Share, pairs["image_id"], pairs["project_id"])),
        vaults=_vaults(table),
    )


def _projects(ids: list[str]) -> tuple[Project, ...]:
    return tuple(Project(p, f"project-{p[:8]}-{n}") for n, p in enumerate(ids, start=1))


def _vaults(table: pd.DataFrame) -> tuple[Vault, ...]:
    legal = table[table["vault_id"].str.fullmatch(UUID)].drop_duplicates("vault_id")
    pairs = zip(legal["vault_id"], legal["project_id"], strict=True)
    return tuple(Vault(v, p, f"vault-{v[:8]}", size=10_000_000) for v, p in pairs)
