"""What the images and projects of rows are called, who owns the images, and what told it.

A name is shown only if the cloud, a sign-in, ``clouds.yaml`` or the input told it; what the cloud
shows goes before what the input says. Names are no part of what is sent, or of a fingerprint.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import pandas as pd

from sharekit.clouds.registry import CLOUDS_YAML, ENTRY, SIGN_IN
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.clouds.state.survey import Survey
from sharekit.core.columns import STR, look_up
from sharekit.core.fields import INPUT_PREFIX, PROJECT_ID
from sharekit.core.html import escape_invisible, shorten
from sharekit.spreadsheets.headers import normalize
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.vocabulary import headers_of

from .hits import fullmatch

#: What told the name or the owner of an image.
CLOUD, INVENTORY = "cloud", "inventory"
#: What tells a project's name, the most reliable first.
_SOURCES: Final = (SIGN_IN, CLOUDS_YAML, INVENTORY, ENTRY)
_HEADERS: Final = frozenset(normalize(h) for part in headers_of("project_name") for h in part)
#: Characters of a project's name, and digits of its ID, in a narrow table.
_NAME_WIDTH, _ID_DIGITS = 40, 8


def row_names(
    inventory: Inventory, rows: pd.DataFrame, snapshot: Snapshot | None
) -> dict[str, pd.Series]:
    """Return :data:`~sharekit.core.fields.NAMES` of each row; ``""`` where nothing told it.

    Parameters
    ----------
    inventory : Inventory
        What was read.
    rows : DataFrame
        Its rows as checked: ``image_id, project_id, name, owner``, by ``row_key``.
    snapshot : Snapshot or None
        What the clouds showed.
    """
    columns: dict[str, pd.Series] = {}
    for fact in ("name", "owner"):
        shown = look_up(rows["image_id"], _images(snapshot, fact))
        own = rows[fact]
        source = own.mask(own != "", INVENTORY)
        columns[fact] = shown.where(shown != "", own)
        columns[f"{fact}_source"] = source.mask(shown != "", CLOUD)
    names = project_names(inventory.rows, rows["project_id"], snapshot)
    return columns | names_of(rows["project_id"], names)


def names_of(projects: pd.Series, names: pd.DataFrame) -> dict[str, pd.Series]:
    """Return ``project_name, project_name_source`` of each project; see :func:`project_names`."""
    return {f"project_{fact}": look_up(projects, names[fact]) for fact in names}


def _images(snapshot: Snapshot | None, fact: str) -> pd.Series:
    """Return a fact of the images that the clouds showed, by ``image_id``."""
    if snapshot is None:
        return pd.Series([], pd.Index([], dtype=STR), dtype=STR)
    images = pd.concat([frame[["image_id", fact]] for frame in (snapshot.members, snapshot.owned)])
    images = images[images[fact] != ""].drop_duplicates("image_id")
    return images.set_index("image_id")[fact]


def project_names(
    own: pd.DataFrame, ids: pd.Series, shown: Snapshot | Survey | None
) -> pd.DataFrame:
    """Return the projects whose name is known, by ``project_id``: ``name, name_source``.

    Parameters
    ----------
    own : DataFrame
        Rows with the input's own columns; one of project names counts where it gives a project one
        name only.
    ids : Series
        The project of each of these rows.
    shown : Snapshot, Survey or None
        What the clouds showed.
    """
    parts = [
        pd.DataFrame({"project_id": ids, "name": own[header].astype(STR).fillna("").str.strip()})
        for header in map(str, own)
        if header.startswith(INPUT_PREFIX)
        and normalize(header.removeprefix(INPUT_PREFIX)) in _HEADERS
    ]
    told = pd.concat([pd.DataFrame(columns=["project_id", "name"], dtype=STR), *parts])
    told = told[(told["name"] != "") & fullmatch(told["project_id"], PROJECT_ID)]
    told = told.drop_duplicates().drop_duplicates("project_id", keep=False)
    names = told.assign(name_source=INVENTORY).astype(STR)  # pandas 2 warns where it is empty
    if shown is not None:
        projects = shown.projects
        names = pd.concat([names, projects.loc[projects["name"] != "", list(names)]])
    rank = names["name_source"].map({name: rank for rank, name in enumerate(_SOURCES)})
    names = names.take(rank.to_numpy().argsort(kind="stable"))
    return names.drop_duplicates("project_id").set_index("project_id").astype(STR)


def project_labels(rows: pd.DataFrame) -> dict[str, str]:
    """Return what the projects of rows are called where there is little room, by ``project_id``.

    A long name is cut, and where two names look the same, the ID's beginning stands behind each.
    Projects without a name (``project_name``) are left out.

    >>> ids, names = ["0a" * 16, "0b" * 16, "0c" * 16], ["web", "web", "db"]
    >>> project_labels(pd.DataFrame({"project_id": ids, "project_name": names})).values()
    dict_values(['web (0a0a0a0a…)', 'web (0b0b0b0b…)', 'db'])
    """
    named = rows.loc[rows["project_name"] != "", ["project_id", "project_name"]].drop_duplicates()
    names = dict(named.itertuples(index=False, name=None))
    shown = {p: shorten(escape_invisible(name), _NAME_WIDTH) for p, name in names.items()}
    often = Counter(name.casefold() for name in shown.values())
    return {
        project: f"{name} ({project[:_ID_DIGITS]}…)" if often[name.casefold()] > 1 else name
        for project, name in shown.items()
    }
