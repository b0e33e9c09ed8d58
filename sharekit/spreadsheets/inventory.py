"""What reading spreadsheets gives: the rows, where each stood, and what only the reader saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import IMAGE_STATES, MEMBER_STATES, PENDING
from sharekit.core.columns import Coded
from sharekit.core.fields import FIELDS
from sharekit.core.html import table

from .formats.raw_sheet import Blob, RawSheet, column_letter
from .headers import find_header, match, normal, rivals

#: A field's name, or an array with one for each row.
Field = str | NDArray[np.object_]


@dataclass(frozen=True)
class Source:
    """One sheet that was looked at.

    Attributes
    ----------
    file : str
        The path as it was given, or ``standard input``.
    sheet : str
        Name of the sheet; empty for csv, tsv and parquet.
    sha256, size : str, int
        Digest and length in bytes of the whole file, taken from the very bytes that were read.
    format : str
        ``xlsx``, ``xlsm``, ``xlsb``, ``xls``, ``ods``, ``csv``, ``tsv`` or ``parquet``, by content.
    header_row : int
        1-based row of the header; 0 if none was found and the sheet was left out.
    rows, blank_rows : int
        Rows read, and wholly blank rows below the header that were passed over.
    hidden : bool
        Whether the sheet is hidden.
    columns, letters : Mapping[str, str]
        Field -> header text as it stands there, and field -> column letter.
    encoding : str
        How text was decoded (csv and tsv only).
    """

    file: str
    sheet: str
    sha256: str
    size: int
    format: str
    header_row: int
    rows: int
    blank_rows: int
    hidden: bool
    columns: Mapping[str, str] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Inventory:
    """Every row of the input, untouched, with its address.

    Attributes
    ----------
    rows : DataFrame
        Indexed by ``row_key`` (0, 1, 2 … in the input's order). Columns: ``file`` and ``sheet``
        (category), ``row`` (int64, as the spreadsheet numbers it), ``source`` (int32, position in
        ``sources``), the fields of a share, ``fields.FIELDS`` (str, ``""`` for blank, nothing
        repaired) and every original column as ``input.<header>`` (str).
    sources : tuple of Source
        The sheets, in the order they were read.
    marks : DataFrame
        What the text alone does not show: ``rule`` (a name in :data:`sharekit.core.rules.RULES`),
        ``row_key`` (int64, -1 for a whole sheet), ``source`` (int32), ``field`` (str, ``""`` for
        none), ``value`` (str).
    coded : Mapping[str, Coded]
        Fields as they were numbered while reading, to save the checks from doing it again.
    """

    rows: pd.DataFrame
    sources: tuple[Source, ...]
    marks: pd.DataFrame
    coded: Mapping[str, Coded] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        files = len({source.file for source in self.sources})
        sheets = sum(1 for source in self.sources if source.header_row)
        return f"<Inventory: {len(self):,} rows from {sheets} sheets of {files} files>"

    def _repr_html_(self) -> str:
        head = self.rows[["file", "sheet", "row", *FIELDS]].head(5).astype("str")
        sheets = pd.DataFrame([_summary(source) for source in self.sources])
        found = table(sheets, title=f"Inventory: {len(self):,} rows")
        return found + table(head, title="The first rows")

    def cell_addresses(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Where the value of a field stands in its sheet, such as ``B17``.

        Parameters
        ----------
        rows : DataFrame
            Any selection of this inventory's rows; only ``source`` and ``row`` are looked at.
        field : str or array of str
            One of :data:`sharekit.core.fields.FIELDS`, or one for each row.

        Returns
        -------
        Series of str
            With the index of ``rows``; ``""`` where the sheet has no column for the field.
        """
        letters = self._names("letters", rows, field)
        return (letters + rows["row"].astype("str")).where(letters != "", "")

    def column_headers(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Return the header over a field in each row's sheet; ``""`` where there is none."""
        return self._names("columns", rows, field)

    def _names(self, kind: str, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        one = np.array([field], dtype=object) if isinstance(field, str) else field
        codes, fields = pd.factorize(one)
        names = [[getattr(source, kind).get(f, "") for f in fields] for source in self.sources]
        taken = np.array(names, dtype=object)[rows["source"].to_numpy(), codes]
        return pd.Series(taken, index=rows.index, dtype="str")


def _summary(source: Source) -> dict[str, object]:
    found = ", ".join(f"{name} ← {header}" for name, header in source.columns.items())
    return {
        "file": source.file,
        "sheet": source.sheet,
        "rows": source.rows,
        "columns found": found or "no header found, not read",
    }


_STATE_HEADERS: Final = {"status", "memberstatus"}
_MEMBER_STATES: Final = frozenset(MEMBER_STATES)


@dataclass(frozen=True)
class SheetRows:
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


def take_rows(
    blob: Blob, grid: RawSheet, columns: Mapping[str, str], defaults: Mapping[str, str]
) -> SheetRows:
    """Find the header of a sheet and take the rows below it; none if there is no header."""
    header = find_header(grid, columns)
    if header is None:
        return SheetRows(_source(blob, grid), grid, np.empty(0, np.int64), (), (), {}, {})
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
    return SheetRows(source, grid, rows, below, header.names, fields, used, states, others, unused)


def rows_below(
    blob: Blob, grid: RawSheet, row: int, names: tuple[str, ...], fields: Mapping[str, int]
) -> SheetRows:
    """Take every row below a header that is known (0-based), blank ones too."""
    cells = tuple(column.slice(row + 1) for column in grid.cells)
    rows = np.arange(row + 1, grid.height)
    source = _source(blob, grid, row + 1, len(rows), 0, names, fields)
    return SheetRows(source, grid, rows, cells, names, fields, {})


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
