"""IDs of something else: what putting dashes in, or taking them out, would make look legal.

32 digits are an image ID without its dashes only where a header says that they are an image's, and
never if another cell names them as a project's; nor is an image's ID a project's. Two IDs in each
other's cell are left to the rule that reports them as swapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.fields import PROJECT_ID, UUID, UUID_LENGTH
from sharekit.core.rules import FORMAT_RULE

from .cell_issues import CellIssues
from .formats import per_text as pc
from .formats.raw_sheet import TEXT, take
from .headers import wrapped
from .inventory import SheetRows

_UNDASHED_LENGTH: Final = 32
_OF_PROJECT: Final = "it is the ID of a project"
_OF_IMAGE: Final = "it is the ID of an image"
_UNCLEAR: Final = (
    "32 digits without dashes may be any ID, and the header does not say that it is an image's; "
    "if it is, name the column as the one of image_id"
)
Positions = NDArray[np.int64]


class KnownIds(NamedTuple):
    """IDs, digits alone, that rows of another inventory name as an image's or a project's."""

    images: Sequence[str] = ()
    projects: Sequence[str] = ()


NOTHING: Final = KnownIds()


def find_mistaken_ids(
    sheets: Sequence[SheetRows], first_keys: Sequence[int], beyond: KnownIds = NOTHING
) -> Iterator[pd.DataFrame]:
    """Yield the issues of all sheets; an ID that one of them names as a project's is known to all.

    Parameters
    ----------
    sheets : sequence of SheetRows
        The sheets of the inventory.
    first_keys : sequence of int
        The ``row_key`` of each sheet's first row.
    beyond : KnownIds
        What is known from elsewhere.
    """
    # Honest IDs have another length, which is found out much faster than what the input knows.
    candidates = [
        {
            "image_id": _matching(sheet, "image_id", PROJECT_ID, _UNDASHED_LENGTH),
            "vault_id": _matching(sheet, "vault_id", PROJECT_ID, _UNDASHED_LENGTH),
            "project_id": _matching(sheet, "project_id", UUID, UUID_LENGTH),
        }
        for sheet in sheets
    ]
    if not any(len(cells) for of_sheet in candidates for cells in of_sheet.values()):
        return
    images = pa.concat_arrays([
        pa.array(beyond.images, TEXT), _known(sheets, "image_id", UUID)
    ])  # fmt: skip
    projects = pa.concat_arrays([
        pa.array(beyond.projects, TEXT), _known(sheets, "project_id", PROJECT_ID),
        _known(sheets, "owner", PROJECT_ID),
    ])  # fmt: skip
    for source, (sheet, cells) in enumerate(zip(sheets, candidates, strict=True)):
        swapped = np.intersect1d(cells["image_id"], cells["project_id"])
        for field, all_positions in cells.items():
            positions = np.setdiff1d(all_positions, swapped)
            digits = _digits(_texts(sheet, field, positions))
            others = images if field == "project_id" else projects
            known = np.asarray(pc.is_in(digits, others), dtype=bool)
            mistaken = known | (field == "image_id" and sheet.vague_image_ids)
            kind = _OF_IMAGE if field == "project_id" else _OF_PROJECT
            details = np.where(known, kind, _UNCLEAR)[mistaken].tolist()
            keys = positions[mistaken]
            values = _texts(sheet, field, keys).to_pylist()
            if keys.size:
                issues = CellIssues(FORMAT_RULE[field], keys, field, values, details)
                yield issues.to_frame(source, first_keys[source])


def _matching(sheet: SheetRows, field: str, grammar: str, length: int) -> Positions:
    """Return the positions of the cells with such an ID, bare or wrapped."""
    if field not in sheet.fields:
        return np.empty(0, np.int64)
    column = sheet.cells[sheet.fields[field]]
    lengths = np.asarray(pc.binary_length(column))
    legal = UUID_LENGTH if length == _UNDASHED_LENGTH else _UNDASHED_LENGTH
    positions = np.flatnonzero((lengths >= length) & (lengths != legal))
    texts = take(column, positions)
    legal_ids = np.asarray(pc.match_substring_regex(texts, wrapped(grammar)), dtype=bool)
    return np.asarray(positions[legal_ids], np.int64)


def _texts(sheet: SheetRows, field: str, positions: Positions) -> pa.ChunkedArray:
    if not positions.size:
        return pa.chunked_array([], TEXT)
    return take(sheet.cells[sheet.fields[field]], positions)


def _digits(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the digits of IDs, without dashes and what is around them."""
    return pc.replace_substring_regex(pc.utf8_lower(texts), "[^0-9a-f]", "")


def _known(sheets: Sequence[SheetRows], field: str, grammar: str) -> pa.Array:
    """Return the digits of the legal IDs that all sheets hold or are given for a field."""
    parts = [pa.array([sheet.defaults.get(field, "") for sheet in sheets], TEXT)]
    columns = [sheet.cells[sheet.fields[field]] for sheet in sheets if field in sheet.fields]
    parts += [pc.unique(column) for column in columns]
    return known_digits(pa.chunked_array(parts, TEXT), grammar)


def known_digits(words: pa.ChunkedArray, grammar: str) -> pa.Array:
    """Return the digits of the texts that are legal IDs, bare or wrapped."""
    words = words.combine_chunks()
    digits = _digits(words.filter(pc.match_substring_regex(words, wrapped(grammar))))
    # Without any letter it is a number that a spreadsheet has damaged, and no ID.
    return digits.filter(pc.match_substring_regex(digits, "[a-f]"))
