"""xlsx, xlsm, xlsb and ods, read by ``fastexcel`` as text; typed cells only where asked for.

What can be known, by format: types, error cells and hidden sheets in all of them; hidden rows,
merged cells and formulas without a saved result in xlsx, xlsm and ods, not in xlsb.
"""

from __future__ import annotations

import functools
import io
import logging
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import python_calamine

from ..errors import SpreadsheetError
from . import fine_print
from .grid import Blob, FinePrint, Grid, padded, text_column
from .typed import Typed

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
_ERROR_NAME: Final = re.compile(r"Error\((\w+)\)")

# The reader logs chart sheets as warnings; with no handler, Python would print them to stderr.
logging.getLogger("calamine").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class _Workbook:
    """An opened workbook: its archive, and both readers on the same bytes."""

    blob: Blob
    format: str
    archive: ZipFile

    @functools.cached_property
    def fast(self) -> fastexcel.ExcelReader:
        return fastexcel.read_excel(self.blob.data)

    @functools.cached_property
    def members(self) -> list[str]:
        return fine_print.sheet_members(self.archive)

    @functools.cached_property
    def content(self) -> list[FinePrint]:
        if not fine_print.ods_needs_reading(self.archive.read("content.xml")):
            return [FinePrint()] * len(self.fast.sheet_names)
        with self.archive.open("content.xml") as stream:
            return fine_print.read_ods(stream)


def read_workbook(blob: Blob, choose: Choice) -> list[Grid]:
    """Read the chosen sheets of an xlsx, xlsm, xlsb or ods.

    Raises
    ------
    SpreadsheetError
        The bytes are damaged, encrypted, or an archive of something else.
    """
    try:
        with ZipFile(io.BytesIO(blob.data)) as archive:
            book = _Workbook(blob, _archive_format(blob, archive), archive)
            return [_read_sheet(book, index) for index in choose(book.fast.sheet_names)]
    except SpreadsheetError:
        raise
    except python_calamine.PasswordError:
        raise password_error(blob.file) from None
    except BaseException as error:
        if not _is_damage(error):
            raise
        reason = str(error).partition("\n")[0].removeprefix("calamine error: ") or "it is damaged"
        raise SpreadsheetError(
            f"{blob.file} cannot be read as a workbook ({reason}); "
            "open it in a spreadsheet program, save it again as .xlsx, and use the new file."
        ) from error


def password_error(file: str) -> SpreadsheetError:
    """Explain that a file is encrypted."""
    return SpreadsheetError(
        f"{file} is password-protected; save a copy without a password and use that."
    )


def _is_damage(error: BaseException) -> bool:
    # Rust panics arrive as a BaseException whose class cannot be imported.
    return type(error).__name__ == "PanicException" or isinstance(
        error,
        (
            fastexcel.FastExcelError,
            python_calamine.CalamineError,
            BadZipFile,
            ParseError,
            EOFError,
            LookupError,
            NotImplementedError,
            RuntimeError,
            StopIteration,
            ValueError,
            OSError,
            zlib.error,
        ),
    )


def _archive_format(blob: Blob, archive: ZipFile) -> str:
    names = set(archive.namelist())
    if any(name.endswith("xl/workbook.bin") for name in names):
        return "xlsb"
    if "[Content_Types].xml" in names and any(name.startswith("xl/") for name in names):
        types = archive.read("[Content_Types].xml")
        return "xlsm" if b"macroEnabled" in types else "xlsx"
    if "content.xml" in names and b"spreadsheet" in _member(archive, "mimetype"):
        if b"encryption-data" in _member(archive, "META-INF/manifest.xml"):
            raise password_error(blob.file)
        return "ods"
    raise SpreadsheetError(
        f"{blob.file} is a zip archive, but not a workbook; give an xlsx, xlsm, xlsb, xls, ods, "
        "csv, tsv or parquet file."
    )


def _member(archive: ZipFile, name: str) -> bytes:
    return archive.read(name) if name in archive.namelist() else b""


def _read_sheet(book: _Workbook, index: int) -> Grid:
    member = book.members[index] if book.format in ("xlsx", "xlsm") else ""
    typed = Typed(book.blob, index, member)
    # Without a header and with nothing skipped, row numbers stay those of the sheet.
    sheet = book.fast.load_sheet(index, header_row=None, skip_rows=0, dtypes="string")
    grid = Grid(
        sheet=sheet.name,
        format=book.format,
        cells=(),
        hidden=sheet.visible != "visible",
        siblings=tuple(book.fast.sheet_names),
    )
    if not sheet.width:
        return grid
    seen = _look(book, index, typed)
    batch, errors = sheet.to_arrow_with_errors() if seen.errors else (sheet.to_arrow(), None)
    cells = tuple(text_column(column) for column in batch.columns)
    spots = [_error_spot(error) for error in errors.errors] if errors else []
    spots += [(row, column - seen.first_column, text) for row, column, text in seen.note.errors]
    return replace(
        grid,
        cells=_lengthened(_with_errors(cells, spots), seen.note),
        first_column=seen.first_column,
        typed=functools.partial(typed, first_column=seen.first_column, height=batch.num_rows),
        fine_print=seen.note,
    )


@dataclass(frozen=True)
class _Seen:
    note: FinePrint
    first_column: int
    errors: bool = True


def _look(book: _Workbook, index: int, typed: Typed) -> _Seen:
    if book.format == "ods":
        return _Seen(book.content[index], typed.first_column)
    if book.format == "xlsb":
        return _Seen(FinePrint(merged=typed.merged), typed.first_column)
    with book.archive.open(book.members[index]) as stream:
        seen = fine_print.glance(stream)
    note = FinePrint()
    if seen.exact:
        with book.archive.open(book.members[index]) as stream:
            note = fine_print.read_xlsx(stream)
    note = replace(note, merged=typed.merged) if seen.merged else note
    return _Seen(note, 0 if seen.from_first_column else typed.first_column, seen.errors)


def _error_spot(error: fastexcel.CellError) -> tuple[int, int, str]:
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


def _lengthened(cells: tuple[pa.ChunkedArray, ...], note: FinePrint) -> tuple[pa.ChunkedArray, ...]:
    """Add the rows at the end whose formulas have no saved result; readers stop before them."""
    height = max((row + 1 for row, _ in note.unvalued), default=0)
    return tuple(padded(column, height) for column in cells)
