"""Rows that are not what they seem: no share, a second header, columns shifted, rows swallowed.

What is wrong with a row becomes a line of :attr:`.Inventory.cell_issues`, as for cells.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.fields import ID_FIELDS

from .inventory import SheetRows, is_blank

#: Fields of which a share has at least one.
_TELLING: Final = (*ID_FIELDS, "status")
#: An ID of any kind within a text, however it is written.
_ANY_ID: Final = (
    r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b"
)
#: Characters of a run that may be a damaged ID: no word and no year is so long and has digits.
_DAMAGED_ID: Final = re.compile(r"(?i)(?=[a-z-]*[0-9])[0-9a-z-]{12,}|[0-9]{5,}")
#: Words of rows that count or end a list.
_CLOSING: Final = re.compile(
    r"(?i)\W*(?:(?:grand|sub)?\s*totals?|sums?|count|average|gesamt|summe|anzahl|total\s+g[ée]n[ée]ral|"
    r"somme|nombre|suma|合计|总计|小计|end|ende|fin)\b"
)


def rows_without_share(sheet: SheetRows) -> NDArray[np.int64]:
    """Return the positions of rows that are no share: totals, notes and signatures.

    Nothing stands in any column of IDs and of the decision, and no ID anywhere else; or nothing
    but a remark in the column of image IDs, where the sheet has other columns for IDs and
    decisions. A cell that is blank for another reason, as a merged one is, proves nothing.
    """
    if not sheet.rows.size:
        return sheet.rows
    image = sheet.cells[sheet.fields["image_id"]]
    others = [sheet.cells[sheet.fields[f]] for f in _TELLING[1:] if f in sheet.fields]
    positions = np.flatnonzero(is_blank((others or [image])[0]))
    for column in others[1:]:
        positions = positions[is_blank(column.take(pa.array(positions)))]
    if not positions.size:
        return positions
    positions = np.setdiff1d(positions, _blank_otherwise(sheet))
    texts = image.take(pa.array(positions)).to_pylist()
    remarks = [not text.strip() or (bool(others) and _is_remark(text)) for text in texts]
    positions = positions[np.array(remarks, dtype=bool)]
    rows = pa.array(positions)
    ids = [pc.match_substring_regex(column.take(rows), _ANY_ID) for column in sheet.cells]
    with_id = np.logical_or.reduce([np.asarray(hit, dtype=bool) for hit in ids])
    return np.asarray(positions[~with_id], np.int64)


def undecided_rows(sheet: SheetRows) -> NDArray[np.int64]:
    """Return the positions of rows that nobody has decided, in a list that shows shares' states."""
    if not sheet.shows_states or not sheet.rows.size:
        return np.empty(0, np.int64)
    positions = np.flatnonzero(is_blank(sheet.cells[sheet.fields["status"]]))
    return np.setdiff1d(positions, _blank_otherwise(sheet))


def _is_remark(text: str) -> bool:
    several = len(text.split()) > 1
    return (several or bool(_CLOSING.match(text))) and not _DAMAGED_ID.search(text)


def _blank_otherwise(sheet: SheetRows) -> NDArray[np.int64]:
    """Return the positions of rows with a cell that has no text, but is not simply empty."""
    metadata, raw = sheet.raw.metadata, sheet.raw
    columns = {sheet.fields[f] + raw.first_column for f in _TELLING if f in sheet.fields}
    rows = {
        row for row, column in (*metadata.uncalculated, *metadata.empty_formulas)
        if column in columns
    }  # fmt: skip
    chosen = np.isin(sheet.rows, [*rows])
    for top, left, bottom, right in metadata.merged:
        # The cells below the first one of a merge of rows; a title over several columns is none.
        if bottom > top and any(left <= column <= right for column in columns):
            chosen |= (sheet.rows >= top) & (sheet.rows <= bottom)
    return np.flatnonzero(chosen)
