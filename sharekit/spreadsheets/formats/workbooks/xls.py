"""xls (Excel 97-2003), read by ``xlrd``, which knows types, errors, hidden rows and merges exactly.

A formula that was never calculated looks like one that shows nothing: both have an empty text for
a result, which no other cell has. Number formats that display another text are not read: a warning
for each sheet says so.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import xlrd
from numpy.typing import NDArray

from sharekit.core.errors import SpreadsheetError
from sharekit.spreadsheets.input import Limits
from sharekit.spreadsheets.other_files import check_is_unlabelled

from ..raw_sheet import TEXT, Blob, RawSheet, SheetMetadata, as_text, password_error
from .links import Link, ids_in
from .workbook import Choice

_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")


def read_xls(blob: Blob, choose: Choice, limits: Limits | None = None) -> list[RawSheet]:
    """Read the chosen sheets of an xls.

    Raises
    ------
    SpreadsheetError
        The bytes are damaged, encrypted (a password-protected xlsx has this envelope as well), or
        another program's document, or beyond the limits.
    """
    limits = limits or Limits()
    check_is_unlabelled(blob)
    if _ENCRYPTED in blob.data:
        raise password_error(blob.file)
    workbook = _open(blob)
    names = workbook.sheet_names()
    if len(names) > limits.sheets:
        raise limits.refusal("sheets", blob.file, f"holds {len(names):,} sheets", "split it")
    sheets = [workbook.sheet_by_index(i) for i in choose(names)]
    for sheet in sheets:
        limits.check_dimensions(blob.file, sheet.name, sheet.nrows, sheet.ncols)
    return [_read_sheet(sheet, workbook.datemode, names) for sheet in sheets]


def _open(blob: Blob) -> Any:
    """Let ``xlrd`` read all sheets; whatever it raises over the bytes is damage."""
    try:
        # xlrd prints what it tolerates; it must not reach the shell.
        return xlrd.open_workbook(
            file_contents=blob.data, formatting_info=True, logfile=io.StringIO()
        )
    except Exception as error:
        if "encrypted" in str(error):
            raise password_error(blob.file) from error
        other = "Can't find workbook" in str(error)
        reason = "it is another program's document" if other else "it is damaged or cut off"
        raise SpreadsheetError(
            f"{blob.file} cannot be read as an Excel 97-2003 workbook ({reason}); "
            "open it in a spreadsheet program, save it as .xlsx, and use the new file."
        ) from error


@dataclass(frozen=True)
class _CellTypes:
    """The cells of a sheet as Python values."""

    sheet: Any
    datemode: int

    def column(self, index: int) -> list[object]:
        pairs = zip(self.sheet.col_types(index), self.sheet.col_values(index), strict=True)
        return [self._value(kind, value) for kind, value in pairs]

    def _value(self, kind: int, value: Any) -> object:
        if kind in (xlrd.XL_CELL_TEXT, xlrd.XL_CELL_NUMBER):
            return value
        if kind == xlrd.XL_CELL_BOOLEAN:
            return bool(value)
        if kind == xlrd.XL_CELL_ERROR:
            return xlrd.error_text_from_code.get(value, "#ERROR!")
        if kind == xlrd.XL_CELL_DATE:
            return self._date(value)
        return ""

    def _date(self, value: float) -> object:
        try:
            return xlrd.xldate_as_datetime(value, self.datemode)
        except (xlrd.xldate.XLDateError, OverflowError, ValueError):
            return value

    def __call__(self, rows: NDArray[np.int64]) -> Iterator[list[object]]:
        for row in rows.tolist():
            pairs = zip(self.sheet.row_types(row), self.sheet.row_values(row), strict=True)
            yield [self._value(kind, value) for kind, value in pairs]


def _read_sheet(sheet: Any, datemode: int, names: list[str]) -> RawSheet:
    typed = _CellTypes(sheet, datemode)
    columns = [[as_text(v) for v in typed.column(index)] for index in range(sheet.ncols)]
    hidden_columns = (i for i, info in sheet.colinfo_map.items() if info.hidden or not info.width)
    merged = ((top, left, end - 1, to - 1) for top, end, left, to in sheet.merged_cells)
    return RawSheet(
        sheet=sheet.name,
        format="xls",
        cells=tuple(pa.chunked_array([pa.array(column, TEXT)]) for column in columns),
        hidden=sheet.visibility != 0,
        metadata=SheetMetadata(
            np.array(_hidden_rows(sheet), np.int64),
            tuple(merged),
            hidden_columns=tuple((i, i) for i in hidden_columns),
            links=tuple(_links(sheet)),
            empty_formulas=tuple(_empty_formulas(sheet)),
            unread="number formats, crossed-out text, links made by formulas",
        ),
        typed=typed,
        siblings=tuple(names),
    )


def _links(sheet: Any) -> Iterator[Link]:
    for link in sheet.hyperlink_list:
        target = f"{link.url_or_path or ''}#{link.textmark or ''}"
        if ids_in(target):
            yield (link.frowx, link.fcolx, link.lrowx, link.lcolx), target


def _hidden_rows(sheet: Any) -> list[int]:
    """Return the rows that nobody sees: hidden, of no height, or not mentioned if that hides."""
    described = sheet.rowinfo_map
    hidden = {row for row, info in described.items() if info.hidden or _is_flat(info)}
    if sheet.default_row_hidden:
        hidden |= set(range(sheet.nrows)) - described.keys()
    return sorted(hidden)


def _is_flat(info: Any) -> bool:
    return not info.height and not info.has_default_height


def _empty_formulas(sheet: Any) -> Iterator[tuple[int, int]]:
    for column in range(sheet.ncols):
        pairs = zip(sheet.col_types(column), sheet.col_values(column), strict=True)
        for row, (kind, value) in enumerate(pairs):
            if kind == xlrd.XL_CELL_TEXT and not value:
                yield row, column
