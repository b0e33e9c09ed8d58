"""xlsx, xlsm, xlsb and ods, read by ``fastexcel`` as text; typed cells only where asked for.

What can be known, by format: types, error cells, hidden sheets, rows and columns, and merged cells
in all of them; formulas without a saved result in xlsx, xlsm and ods (xlsb always saves one).
"""

from __future__ import annotations

import functools
import io
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from zipfile import ZipFile

import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharekit.core.errors import SpreadsheetError
from sharekit.spreadsheets.input import Limits

from . import fine_print
from .archives import check_archive
from .cell_types import Typed
from .damage import cell_of_text, explained, is_damage, missing_text
from .oddities import odd_spot, odd_text
from .opened import Workbook, archive_format, check_box, check_twice, look
from .raw_sheet import Blob, RawSheet, SheetMetadata, padded, text_column
from .xlsx import Glance

#: Given a workbook's sheet names, the positions of those to read.
Choice = Callable[[Sequence[str]], list[int]]

_ERRORS: Final = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
    "GettingData": "#GETTING_DATA",
}
_CORRECT: Final = (
    "open it in a spreadsheet program, correct it there, save it again as .xlsx, and use the new "
    "file."
)
_DURATION: Final = re.compile(r'DurationIso\("([^"]*)"\)')
_ERROR_NAME: Final = re.compile(r"Error\((\w+)\)")

# The reader logs chart sheets as warnings; with no handler, Python would print them to stderr.
logging.getLogger("calamine").addHandler(logging.NullHandler())


def read_workbook(blob: Blob, choose: Choice, limits: Limits | None = None) -> list[RawSheet]:
    """Read the chosen sheets of an xlsx, xlsm, xlsb or ods.

    Raises
    ------
    SpreadsheetError
        The bytes are damaged, encrypted, an archive of something else, or beyond the limits.
    """
    limits = limits or Limits()
    try:
        with ZipFile(io.BytesIO(blob.data)) as archive:
            check_archive(archive, blob.file, limits)
            book = Workbook(blob, archive_format(blob, archive), archive, limits)
            return _read_sheets(book, choose)
    except SpreadsheetError:
        raise
    except BaseException as error:
        if not is_damage(error):
            raise
        raise explained(error, blob.file) from error


def _read_sheets(book: Workbook, choose: Choice) -> list[RawSheet]:
    """Read the chosen sheets; if the table of texts is refused, say which cell it is."""
    try:
        chosen = choose([book.names[index] for index in book.shown])
        return [_read_or_tell(book, book.shown[index]) for index in chosen]
    except SpreadsheetError:
        raise
    except BaseException as error:
        told = _told(_odd_text, book) if is_damage(error) else ""
        if not told:
            raise
        raise SpreadsheetError(f"{book.blob.file}: {told}; {_CORRECT}") from error


def _odd_text(book: Workbook) -> str:
    name = fine_print.related_member(book.archive, "sharedStrings")
    if not name:
        return ""
    with book.part(name) as stream:
        place, told = odd_text(stream)
    for number, (member, _) in enumerate(book.members if told else [], start=1):
        if cell := cell_of_text(book.archive, book.blob.file, member, place):
            return f"cell {cell} of sheet number {number} {told}"
    return f"one of its texts {told}" if told else ""


def _told(look: Callable[..., str], book: Workbook, *where: int) -> str:
    """Take a second look at an xlsx, which may fail for the same reason as the first one."""
    if book.format not in ("xlsx", "xlsm"):
        return ""
    try:
        return look(book, *where)
    except BaseException as error:
        if not is_damage(error):
            raise
        return ""


def _read_or_tell(book: Workbook, index: int) -> RawSheet:
    """Read a sheet; if it is refused for its content, say which cell it is, if a look tells."""
    try:
        return _read_sheet(book, index)
    except SpreadsheetError:
        raise
    except BaseException as error:
        told = _told(_odd_spot, book, index) if is_damage(error) else ""
        if not told:
            raise
        where = f"{book.blob.file} (sheet {book.names[index]})"
        raise SpreadsheetError(f"{where}: {told}; {_CORRECT}") from error


def _odd_spot(book: Workbook, index: int) -> str:
    with book.part(book.members[index][0]) as stream:
        return odd_spot(stream)


def _read_sheet(book: Workbook, index: int) -> RawSheet:
    seen = look(book, index)
    name = book.names[index]
    check_box(book, index, seen)
    try:
        batch, errors, hidden = _values(book, index, seen)
    except fastexcel.FastExcelError as error:
        raise _missing_text(book, index, error) or error from error
    check_twice(book, index, seen, batch, len(errors))
    grid = RawSheet(
        sheet=name,
        format=book.format,
        cells=(),
        hidden=hidden,
        siblings=tuple(book.names[i] for i in book.shown),
    )
    if not batch.num_columns:
        return grid
    in_xml = book.format in ("xlsx", "xlsm")
    typed = Typed(book.blob, index, book.members[index][0] if in_xml else "")
    first = _first_column(seen, batch.num_columns, typed)
    note = seen.note
    cells = tuple(text_column(column) for column in batch.columns)
    spots = [_error_spot(error) for error in errors]
    spots += [(row, column - first, text) for row, column, text in note.errors]
    return replace(
        grid,
        cells=_lengthened(_with_errors(cells, spots), note),
        first_column=first,
        typed=functools.partial(typed, first_column=first, height=batch.num_rows),
        metadata=note,
    )


def _values(
    book: Workbook, index: int, seen: Glance
) -> tuple[pa.RecordBatch, list[fastexcel.CellError], bool]:
    """Read a sheet as text: its columns, its error cells, and whether it is hidden."""
    # Without a header and with nothing skipped, row numbers stay those of the sheet.
    how: dict[str, Any] = {"header_row": None, "skip_rows": 0, "dtypes": "string"}
    if book.format in ("xlsx", "xlsm") and not seen.errors:
        # A quarter less CPU and memory, but it drops error cells without a word.
        return book.fast.load_sheet_eager(index, **how), [], book.members[index][1]
    sheet = book.fast.load_sheet(index, **how)
    hidden = sheet.visible != "visible"
    if not sheet.width:
        return pa.RecordBatch.from_pylist([]), [], hidden
    if not seen.errors:
        return sheet.to_arrow(), [], hidden
    batch, errors = sheet.to_arrow_with_errors()
    return batch, errors.errors if errors else [], hidden


def _missing_text(book: Workbook, index: int, error: Exception) -> SpreadsheetError | None:
    if "shared strings" not in str(error) or book.format not in ("xlsx", "xlsm"):
        return None
    file, strings = book.blob.file, fine_print.related_member(book.archive, "sharedStrings")
    cell = missing_text(book.archive, file, book.members[index][0], strings)
    if not cell:
        return None
    return SpreadsheetError(
        f"{file} (sheet {book.names[index]}): cell {cell} refers to a text that the workbook does "
        "not hold; open it in a spreadsheet program, fill in the cell, save it again, and use the "
        "new file."
    )


def _first_column(seen: Glance, width: int, typed: Typed) -> int:
    """0-based column in which the fast reader begins; it leaves out blank ones."""
    first, last = seen.first, seen.last
    if first == 0:
        return 0
    if first is not None and last is not None and last - first + 1 == width:
        return first
    return typed.first_column


def _error_spot(error: fastexcel.CellError) -> tuple[int, int, str]:
    if duration := _DURATION.search(error.detail):  # of an OpenDocument; its type tells more
        return (*error.position, duration[1])
    name = _ERROR_NAME.search(error.detail)
    text = _ERRORS.get(name[1], f"#{name[1].upper()}!") if name else "#ERROR!"
    return (*error.position, text)


def _with_errors(
    cells: tuple[pa.ChunkedArray, ...], spots: list[tuple[int, int, str]]
) -> tuple[pa.ChunkedArray, ...]:
    """Put the error's text where the reader left a blank that would look legal."""
    changed = list(cells)
    for column in sorted({column for _, column, _ in spots}):
        texts = {row: text for row, place, text in spots if place == column}
        mask = np.zeros(len(cells[column]), dtype=bool)
        mask[list(texts)] = True
        values = pa.array([texts[row] for row in sorted(texts)], cells[column].type)
        changed[column] = pc.replace_with_mask(cells[column], pa.array(mask), values)
    return tuple(changed)


def _lengthened(
    cells: tuple[pa.ChunkedArray, ...], note: SheetMetadata
) -> tuple[pa.ChunkedArray, ...]:
    """Add the rows at the end whose formulas have no saved result; readers stop before them."""
    height = max((row + 1 for row, _ in note.uncalculated), default=0)
    return tuple(padded(column, height) for column in cells)
