"""The rows of the spreadsheets that were read, with their addresses and the issues of cells."""

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
from sharekit.core.columns import EncodedColumn, with_unit
from sharekit.core.fields import FIELDS
from sharekit.core.html import table

from .formats.raw_sheet import Blob, RawSheet, column_letter
from .headers import ambiguous_columns, find_header, match, normalize

#: A field's name, or an array with one for each row.
Field = str | NDArray[np.object_]
#: Normalized headers that may be over a decision or over the present state of a share.
_STATE_HEADERS: Final = {"status", "memberstatus"}
_MEMBER_STATES: Final = frozenset(MEMBER_STATES)


@dataclass(frozen=True)
class Source:
    """One sheet of a file, read or skipped.

    Attributes
    ----------
    file : str
        The path as it was given, or ``standard input``.
    sheet : str
        Name of the sheet; empty for csv, tsv and parquet.
    sha256, size : str, int
        SHA-256 and length in bytes of the whole file, of the very bytes that were read.
    format : str
        ``xlsx``, ``xlsm``, ``xlsb``, ``xls``, ``ods``, ``csv``, ``tsv`` or ``parquet``, by content.
    header_row : int
        1-based row of the header; 0 if none was found and the sheet was skipped.
    rows, blank_rows : int
        Number of rows read, and of blank rows below the header that were skipped.
    hidden : bool
        Whether the sheet is hidden.
    columns, letters : Mapping[str, str]
        Field -> header as it is in the sheet, and field -> column letter.
    encoding : str
        Encoding of the text (csv and tsv only).
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
    """Every row of the input, as it was read, with its address.

    Attributes
    ----------
    rows : DataFrame
        Indexed by ``row_key`` (0, 1, 2 … in the input's order). Columns: ``file`` and ``sheet``
        (category), ``row`` (int64, as the spreadsheet numbers it), ``source`` (int32, position in
        ``sources``), the fields of a share, :data:`sharekit.core.fields.FIELDS` (str, ``""`` for
        blank, nothing repaired) and every original column as ``input.<header>`` (str).
    sources : tuple of Source
        The sheets, in the order they were read.
    cell_issues : DataFrame
        What the text alone does not show, found while reading. Columns: ``rule`` (a name in
        :data:`sharekit.core.rules.RULES`), ``row_key`` (int64, -1 for a whole sheet), ``source``
        (int32), ``field`` (str, ``""`` for none), ``value`` (str, what to show as the cell's
        value) and ``detail`` (str, what to add to the rule's message).
    encoded : Mapping of str to EncodedColumn
        Dictionary-encoded fields; the checks use them instead of encoding the columns again.
    """

    rows: pd.DataFrame
    sources: tuple[Source, ...]
    cell_issues: pd.DataFrame
    encoded: Mapping[str, EncodedColumn] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        files = len({source.file for source in self.sources})
        sheets = sum(1 for source in self.sources if source.header_row)
        where = f"{with_unit(sheets, 'sheet')} of {with_unit(files, 'file')}"
        return f"<Inventory: {with_unit(len(self), 'row')} from {where}>"

    def _repr_html_(self) -> str:
        head = self.rows[["file", "sheet", "row", *FIELDS]].head(5).astype("str")
        sheets = pd.DataFrame([_summary(source) for source in self.sources])
        summary = table(sheets, title=f"Inventory: {with_unit(len(self), 'row')}")
        return summary + table(head, title="The first rows")

    def cell_addresses(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Return the address of a field's cell in each row's sheet, such as ``B17``.

        Parameters
        ----------
        rows : DataFrame
            Any selection of this inventory's rows; only ``source`` and ``row`` are used.
        field : str or array of str
            One of :data:`sharekit.core.fields.FIELDS`, or one for each row.

        Returns
        -------
        Series of str
            With the index of ``rows``; ``""`` where the sheet has no column for the field.
        """
        letters = self._per_source("letters", rows, field)
        return (letters + rows["row"].astype("str")).where(letters != "", "")

    def column_headers(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Return the header over a field in each row's sheet; ``""`` where there is none."""
        return self._per_source("columns", rows, field)

    def _per_source(self, attribute: str, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        asked = np.array([field], dtype=object) if isinstance(field, str) else field
        codes, fields = pd.factorize(asked)
        texts = [[getattr(source, attribute).get(f, "") for f in fields] for source in self.sources]
        taken = np.array(texts, dtype=object)[rows["source"].to_numpy(), codes]
        return pd.Series(taken, index=rows.index, dtype="str")


def _summary(source: Source) -> dict[str, object]:
    columns = ", ".join(f"{name} ← {header}" for name, header in source.columns.items())
    return {
        "file": source.file,
        "sheet": source.sheet,
        "rows": source.rows,
        "columns found": columns or "no header found, skipped",
    }


@dataclass(frozen=True)
class SheetRows:
    """The rows of one sheet below its header.

    Attributes
    ----------
    rows : ndarray of int64
        0-based row in the sheet of each row kept.
    cells : tuple of pyarrow.ChunkedArray
        The columns of ``raw``, at those rows.
    names, fields : tuple of str, Mapping of str to int
        A unique name for each column, and field -> column.
    defaults : Mapping of str to str
        Field -> default, where the sheet has no column for the field.
    state_columns : tuple of str
        Headers of columns that were set aside because they hold images' states, not decisions.
    ambiguous : Mapping of str to list of int
        Field -> further columns that could mean it.
    unused_defaults : tuple of str
        Fields with a default that the sheet's own column overrides.
    """

    source: Source
    raw: RawSheet
    rows: NDArray[np.int64]
    cells: tuple[pa.ChunkedArray, ...]
    names: tuple[str, ...]
    fields: Mapping[str, int]
    defaults: Mapping[str, str] = field(default_factory=dict)
    state_columns: tuple[str, ...] = ()
    ambiguous: Mapping[str, list[int]] = field(default_factory=dict)
    unused_defaults: tuple[str, ...] = ()


def find_rows(
    blob: Blob, raw: RawSheet, mapping: Mapping[str, str], defaults: Mapping[str, str]
) -> SheetRows:
    """Find the header of a sheet and take the filled rows below it; no header, no rows."""
    header = find_header(raw, mapping)
    if header is None:
        return SheetRows(_source(blob, raw), raw, np.empty(0, np.int64), (), (), {})
    start = header.row + 1
    cells = tuple(column.slice(start) for column in raw.cells)
    keep = _filled(cells, header.fields["image_id"])
    keep[[row - start for row, _ in raw.metadata.uncalculated if row >= start]] = True
    blank = len(keep) - int(keep.sum())
    if blank:
        cells = tuple(column.filter(pa.array(keep)) for column in cells)
    fields, states = _set_states_aside(cells, header.names, mapping, dict(header.fields))
    source = _source(blob, raw, header.row + 1, len(keep) - blank, blank, header.names, fields)
    given = {name: text for name, text in defaults.items() if text}
    return SheetRows(
        source,
        raw,
        np.flatnonzero(keep) + start,
        cells,
        header.names,
        fields,
        defaults={name: text for name, text in given.items() if name not in fields},
        state_columns=states,
        ambiguous=ambiguous_columns(header.names, mapping, fields),
        unused_defaults=tuple(name for name in given if name in fields),
    )


def rows_below(
    blob: Blob, raw: RawSheet, row: int, names: tuple[str, ...], fields: Mapping[str, int]
) -> SheetRows:
    """Take every row, blank ones too, below a header whose 0-based row is known."""
    cells = tuple(column.slice(row + 1) for column in raw.cells)
    rows = np.arange(row + 1, raw.height)
    source = _source(blob, raw, row + 1, len(rows), 0, names, fields)
    return SheetRows(source, raw, rows, cells, names, fields)


def _filled(columns: tuple[pa.ChunkedArray, ...], image_id: int) -> NDArray[np.bool_]:
    """Return True for each row with any text but white space."""
    filled = ~is_blank(columns[image_id])
    # Other columns are read only in rows without an image ID, which are few in a list of shares.
    rest = np.flatnonzero(~filled)
    if rest.size:
        positions = pa.array(rest)
        blank = [is_blank(column.take(positions)) for column in columns]
        filled[rest] = ~np.logical_and.reduce(blank)
    return filled


def is_blank(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return True for each text that is nothing but white space."""
    empty = pc.equal(column, "")
    return np.asarray(pc.or_(empty, pc.utf8_is_space(column)), dtype=bool)


def _set_states_aside(
    cells: tuple[pa.ChunkedArray, ...],
    names: tuple[str, ...],
    mapping: Mapping[str, str],
    fields: dict[str, int],
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Skip columns with a status header that hold only states; return them by header, too."""
    skipped: list[int] = []
    while "status" in fields and _holds_states(
        cells[fields["status"]], names[fields["status"]], mapped="status" in mapping
    ):
        skipped.append(fields["status"])
        if mapping.get("status"):
            fields = {name: column for name, column in fields.items() if name != "status"}
        else:
            fields = match(names, mapping, skipped)
    return fields, tuple(names[column] for column in skipped)


def _holds_states(column: pa.ChunkedArray, header: str, *, mapped: bool) -> bool:
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(pc.unique(column))).to_pylist()
    words = {word for word in texts if word}
    # A listing of members prints pending beside accepted and rejected: the shares' present states.
    listed = not mapped and normalize(header) in _STATE_HEADERS and PENDING in words
    return bool(words) and (words <= IMAGE_STATES or (listed and words <= _MEMBER_STATES))


def _source(
    blob: Blob,
    raw: RawSheet,
    header_row: int = 0,
    rows: int = 0,
    blank_rows: int = 0,
    names: tuple[str, ...] = (),
    fields: Mapping[str, int] | None = None,
) -> Source:
    columns = fields or {}
    return Source(
        file=blob.file,
        sheet=raw.sheet,
        sha256=blob.sha256,
        size=len(blob.data),
        format=raw.format,
        header_row=header_row,
        rows=rows,
        blank_rows=blank_rows,
        hidden=raw.hidden,
        columns={name: names[column] for name, column in columns.items()},
        letters={n: column_letter(raw.first_column + column) for n, column in columns.items()},
        encoding=raw.encoding,
    )
