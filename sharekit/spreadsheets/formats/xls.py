"""xls (Excel 97-2003), read by ``xlrd``, which knows types, errors, hidden rows and merges exactly.

A formula that was never calculated looks like one that shows nothing: both have an empty text for
a result, which no other cell has.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import xlrd
from numpy.typing import NDArray

from sharekit.core.errors import SpreadsheetError
from sharekit.spreadsheets.input import Limits

from .archives import password_error
from .number_formats import Disguises, by_style
from .raw_sheet import TEXT, Area, Blob, RawSheet, SheetMetadata, as_text
from .workbook import Choice

_DAMAGE: Final = (
    xlrd.XLRDError,
    xlrd.compdoc.CompDocError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    struct.error,
)
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
    if _ENCRYPTED in blob.data:
        raise password_error(blob.file)
    try:
        # xlrd prints what it tolerates; it must not reach the shell.
        book = xlrd.open_workbook(
            file_contents=blob.data, formatting_info=True, logfile=io.StringIO()
        )
        names = book.sheet_names()
        if len(names) > limits.sheets:
            raise limits.refusal("sheets", blob.file, f"holds {len(names):,} sheets", "split it")
        sheets = [book.sheet_by_index(i) for i in choose(names)]
        for sheet in sheets:
            limits.check_dimensions(blob.file, sheet.name, sheet.nrows, sheet.ncols)
        return [_read_sheet(sheet, book, names) for sheet in sheets]
    except SpreadsheetError:
        raise
    except _DAMAGE as error:
        if "encrypted" in str(error):
            raise password_error(blob.file) from error
        other = "Can't find workbook" in str(error)
        reason = "it is another program's document" if other else "it is damaged or cut off"
        raise SpreadsheetError(
            f"{blob.file} cannot be read as an Excel 97-2003 workbook ({reason}); "
            "open it in a spreadsheet program, save it as .xlsx, and use the new file."
        ) from error


@dataclass(frozen=True)
class _Typed:
    sheet: Any
    datemode: int

    def column(self, index: int) -> list[object]:
        pairs = zip(self.sheet.col_types(index), self.sheet.col_values(index), strict=True)
        return [self.value(kind, value) for kind, value in pairs]

    def value(self, kind: int, value: Any) -> object:
        if kind in (xlrd.XL_CELL_TEXT, xlrd.XL_CELL_NUMBER):
            return value
        if kind == xlrd.XL_CELL_BOOLEAN:
            return bool(value)
        if kind == xlrd.XL_CELL_ERROR:
            return xlrd.error_text_from_code.get(value, "#ERROR!")
        if kind == xlrd.XL_CELL_DATE:
            return self.date(value)
        return ""

    def date(self, value: float) -> object:
        try:
            return xlrd.xldate_as_datetime(value, self.datemode)
        except (xlrd.xldate.XLDateError, OverflowError, ValueError):
            return value

    def __call__(self, rows: NDArray[np.int64]) -> Iterator[list[object]]:
        for row in rows.tolist():
            pairs = zip(self.sheet.row_types(row), self.sheet.row_values(row), strict=True)
            yield [self.value(kind, value) for kind, value in pairs]


def _read_sheet(sheet: Any, book: Any, names: list[str]) -> RawSheet:
    typed = _Typed(sheet, book.datemode)
    columns = [[as_text(v) for v in typed.column(index)] for index in range(sheet.ncols)]
    columns_hidden = tuple(
        (i, i) for i, info in sheet.colinfo_map.items() if info.hidden or not info.width
    )
    merged = tuple((top, left, end - 1, to - 1) for top, end, left, to in sheet.merged_cells)
    note = SheetMetadata(
        np.array(_hidden(sheet), np.int64),
        merged,
        hidden_columns=columns_hidden,
        display_differs=_shown(sheet, book),
        empty_formulas=tuple(_silent(sheet)),
    )
    return RawSheet(
        sheet=sheet.name,
        format="xls",
        cells=tuple(pa.chunked_array([pa.array(column, TEXT)]) for column in columns),
        hidden=sheet.visibility != 0,
        metadata=note,
        typed=typed,
        siblings=tuple(names),
    )


def _shown(sheet: Any, book: Any) -> tuple[tuple[Area, str], ...]:
    """Cells of text under a number format that shows another text."""
    codes = (book.format_map[style.format_key].format_str for style in book.xf_list)
    disguises = Disguises(by_style(codes))
    if disguises:
        for column in range(sheet.ncols):
            for row, kind in enumerate(sheet.col_types(column)):
                if kind == xlrd.XL_CELL_TEXT:
                    disguises.note(row, column, str(sheet.cell_xf_index(row, column)))
    return tuple(disguises.areas)


def _hidden(sheet: Any) -> list[int]:
    """Rows that nobody sees: hidden, of no height, or not mentioned where that means hidden."""
    told = sheet.rowinfo_map
    hidden = {row for row, info in told.items() if info.hidden or _is_flat(info)}
    if sheet.default_row_hidden:
        hidden |= set(range(sheet.nrows)) - told.keys()
    return sorted(hidden)


def _is_flat(info: Any) -> bool:
    return not info.height and not info.has_default_height


def _silent(sheet: Any) -> Iterator[tuple[int, int]]:
    for column in range(sheet.ncols):
        pairs = zip(sheet.col_types(column), sheet.col_values(column), strict=True)
        for row, (kind, value) in enumerate(pairs):
            if kind == xlrd.XL_CELL_TEXT and not value:
                yield row, column
