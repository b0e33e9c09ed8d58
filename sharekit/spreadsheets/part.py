"""One sheet's share of an inventory: the rows below its header, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import IMAGE_STATES, MEMBER_STATES, PENDING

from .formats.raw_sheet import Blob, RawSheet, column_letter
from .headers import find_header, match, normal, rivals
from .inventory import Source

_STATE_HEADERS: Final = {"status", "memberstatus"}
_MEMBER_STATES: Final = frozenset(MEMBER_STATES)


@dataclass(frozen=True)
class Part:
    """The rows of one sheet.

    Attributes
    ----------
    rows : ndarray of int64
        0-based place in the sheet of each row kept.
    cells : tuple of pyarrow.ChunkedArray
        The columns of the grid, at those rows.
    names, fields : tuple of str, Mapping[str, int]
        A unique name per column, and field -> column.
    defaults : Mapping[str, str]
        The defaults that stand in for a missing column here.
    state_columns : tuple of str
        Headers of columns that hold a state and so are no decision.
    rivals : Mapping[str, list of int]
        Further columns that could mean a field.
    unused : tuple of str
        Fields with a default that this sheet's own column overrules.
    """

    source: Source
    grid: RawSheet
    rows: NDArray[np.int64]
    cells: tuple[pa.ChunkedArray, ...]
    names: tuple[str, ...]
    fields: Mapping[str, int]
    defaults: Mapping[str, str]
    state_columns: tuple[str, ...] = ()
    rivals: Mapping[str, list[int]] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def make_part(
    blob: Blob, grid: RawSheet, columns: Mapping[str, str], defaults: Mapping[str, str]
) -> Part:
    """Find the header of a sheet and take the rows below it; none if there is no header."""
    header = find_header(grid, columns)
    if header is None:
        return Part(_source(blob, grid), grid, np.empty(0, np.int64), (), (), {}, {})
    start = header.row + 1
    below = tuple(column.slice(start) for column in grid.cells)
    keep = _filled(below, header.fields["image_id"])
    unvalued = [row - start for row, _ in grid.metadata.uncalculated if row >= start]
    keep[unvalued] = True
    blank = len(keep) - int(keep.sum())
    if blank:
        below = tuple(column.filter(pa.array(keep)) for column in below)
    fields, states = _decisions(below, header.names, columns, dict(header.fields))
    source = _source(blob, grid, header.row + 1, len(keep) - blank, blank, header.names, fields)
    used = {f: text for f, text in defaults.items() if text and f not in fields}
    unused = tuple(f for f, text in defaults.items() if text and f in fields)
    rows = np.flatnonzero(keep) + start
    others = rivals(header.names, columns, fields)
    return Part(source, grid, rows, below, header.names, fields, used, states, others, unused)


def below_header(
    blob: Blob, grid: RawSheet, row: int, names: tuple[str, ...], fields: Mapping[str, int]
) -> Part:
    """Take every row below a header that is known (0-based), blank ones too."""
    cells = tuple(column.slice(row + 1) for column in grid.cells)
    rows = np.arange(row + 1, grid.height)
    source = _source(blob, grid, row + 1, len(rows), 0, names, fields)
    return Part(source, grid, rows, cells, names, fields, {})


def _filled(columns: tuple[pa.ChunkedArray, ...], image_id: int) -> NDArray[np.bool_]:
    """Tell rows with anything in them; one that holds only white space looks blank, and is."""
    keep = np.ones(len(columns[image_id]), dtype=bool)
    doubtful = np.flatnonzero(_may_be_white(columns[image_id]))
    if doubtful.size:
        places = pa.array(doubtful)
        white = [_is_white(column.take(places)) for column in columns]
        keep[doubtful[np.logical_and.reduce(white)]] = False
    return keep


def _may_be_white(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Tell the cells that do not begin with a letter, digit or sign of ASCII: hardly any."""
    found = [np.empty(0, dtype=bool)]
    for chunk in column.chunks:
        _, ends, text = chunk.buffers()
        places = np.frombuffer(ends, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        letters = np.frombuffer(text if text and text.size else b" ", np.uint8)
        first = letters[np.minimum(places[:-1], len(letters) - 1)]
        found.append((places[1:] == places[:-1]) | (first <= ord(" ")) | (first > ord("~")))
    return np.concatenate(found)


def _is_white(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    empty = pc.equal(column, "")
    return np.asarray(pc.or_(empty, pc.utf8_is_space(column)), dtype=bool)


def _decisions(
    cells: tuple[pa.ChunkedArray, ...],
    names: tuple[str, ...],
    columns: Mapping[str, str],
    fields: dict[str, int],
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Pass over columns headed as a status that hold only the images' states."""
    passed: list[int] = []
    while "status" in fields and _holds_states(
        cells[fields["status"]], names[fields["status"]], given="status" in columns
    ):
        passed.append(fields["status"])
        if columns.get("status"):
            fields = {field: place for field, place in fields.items() if field != "status"}
        else:
            fields = match(names, columns, passed)
    return fields, tuple(names[place] for place in passed)


def _holds_states(column: pa.ChunkedArray, header: str, *, given: bool) -> bool:
    words = pc.utf8_lower(pc.utf8_trim_whitespace(pc.unique(column))).to_pylist()
    said = {word for word in words if word}
    # A listing of members prints pending beside accepted and rejected: where shares stand now.
    listed = not given and normal(header) in _STATE_HEADERS and PENDING in said
    return bool(said) and (said <= IMAGE_STATES or (listed and said <= _MEMBER_STATES))


def _source(
    blob: Blob,
    grid: RawSheet,
    header_row: int = 0,
    rows: int = 0,
    blank_rows: int = 0,
    names: tuple[str, ...] = (),
    fields: Mapping[str, int] | None = None,
) -> Source:
    found = fields or {}
    return Source(
        file=blob.file,
        sheet=grid.sheet,
        sha256=blob.sha256,
        size=len(blob.data),
        format=grid.format,
        header_row=header_row,
        rows=rows,
        blank_rows=blank_rows,
        hidden=grid.hidden,
        columns={field: names[place] for field, place in found.items()},
        letters={f: column_letter(grid.first_column + place) for f, place in found.items()},
        encoding=grid.encoding,
    )
