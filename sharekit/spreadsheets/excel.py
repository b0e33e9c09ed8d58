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
from dataclasses import dataclass, replace
from typing import Any, Final
from zipfile import ZipFile

import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import SpreadsheetError
from . import fine_print, opendocument
from .archives import Measured, check_archive, password_error
from .binary import format_codes, read_xlsb
from .damage import cell_of_text, explained, is_damage, missing_text
from .formats import Disguises, by_style, declares
from .glance import LAST_ROW, Glance, extent, glance, repeated_row
from .grid import Blob, FinePrint, Grid, filled_rows, padded, text_column
from .limits import Limits
from .oddities import odd_spot, odd_text
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
#: A sheet with so many bytes for each of its cells is no empty frame.
_BYTES_A_CELL: Final = 2
_COMPARE: Final = "open it in a spreadsheet program, save it again, and compare the two"
_CORRECT: Final = (
    "open it in a spreadsheet program, correct it there, save it again as .xlsx, and use the new "
    "file."
)
_ERROR_NAME: Final = re.compile(r"Error\((\w+)\)")

# The reader logs chart sheets as warnings; with no handler, Python would print them to stderr.
logging.getLogger("calamine").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class _Workbook:
    """An opened workbook: its archive, and both readers on the same bytes."""

    blob: Blob
    format: str
    archive: ZipFile
    limits: Limits

    @functools.cached_property
    def fast(self) -> fastexcel.ExcelReader:
        if self.format == "ods" and len(self.content) > self.limits.sheets:
            self._refuse_sheets(len(self.content))
        return fastexcel.read_excel(self.blob.data)

    @functools.cached_property
    def names(self) -> list[str]:
        names = list(self.fast.sheet_names)
        if len(names) > self.limits.sheets:
            self._refuse_sheets(len(names))
        return names

    def _refuse_sheets(self, count: int) -> None:
        held = f"holds {count:,} sheets"
        raise self.limits.refusal("sheets", self.blob.file, held, "split it into several")

    @functools.cached_property
    def members(self) -> list[tuple[str, bool]]:
        """The sheets' parts, and whether they are hidden (which only an xlsx tells here)."""
        kind = "bin" if self.format == "xlsb" else "xml"
        members = fine_print.sheet_members(self.archive, kind)
        if len({name for name, _ in members}) < len(members):
            raise SpreadsheetError(
                f"{self.blob.file} shows the same sheet under two names; open it in a spreadsheet "
                "program, save it again, and use the new file."
            )
        return members

    @functools.cached_property
    def disguises(self) -> Disguises:
        """The number formats that show text otherwise than it is."""
        name = fine_print.related_member(self.archive, "styles")
        if not name:
            return Disguises()
        with self.part(name) as stream:
            if self.format == "xlsb":
                return Disguises(by_style(format_codes(stream.read())))
            if not declares(stream):
                return Disguises()
        with self.part(name) as stream:
            return fine_print.read_styles(stream)

    @functools.cached_property
    def content(self) -> list[Glance]:
        with self.part("content.xml") as stream:
            seen = opendocument.glance_ods(stream)
        if seen.repeated:
            held = f"repeats a cell, row or column {seen.repeated} times"
            told = f"{self.blob.file} {held}, which programs read differently; {_COMPARE}."
            raise SpreadsheetError(told)
        if seen.blanks > self.limits.strings_bytes:
            held = f"holds texts of {seen.blanks:,} blanks"
            raise self.limits.refusal("strings_bytes", self.blob.file, held, "delete them")
        if seen.exact:
            with self.part("content.xml") as stream:
                sheets = opendocument.read_ods(stream)
        else:
            sheets = [Glance() for _ in seen.from_first_column]
        for sheet, first in zip(sheets, seen.from_first_column, strict=False):
            sheet.first = 0 if first else None
        for number, sheet in enumerate(sheets, start=1):
            box = sheet.bottom, sheet.right, sheet.filled
            self.limits.check_box(self.blob.file, str(number), *box)
            self.limits.check_runs(self.blob.file, str(number), sheet.written, sheet.filled)
        return sheets

    def part(self, name: str) -> Measured:
        return Measured(self.archive, name, self.blob.file)


def read_workbook(blob: Blob, choose: Choice, limits: Limits | None = None) -> list[Grid]:
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
            book = _Workbook(blob, _archive_format(blob, archive), archive, limits)
            return _read_sheets(book, choose)
    except SpreadsheetError:
        raise
    except BaseException as error:
        if not is_damage(error):
            raise
        raise explained(error, blob.file) from error


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


def _read_sheets(book: _Workbook, choose: Choice) -> list[Grid]:
    """Read the chosen sheets; if the table of texts is refused, say which cell it is."""
    try:
        return [_read_or_tell(book, index) for index in choose(book.names)]
    except SpreadsheetError:
        raise
    except BaseException as error:
        told = _told(_odd_text, book) if is_damage(error) else ""
        if not told:
            raise
        raise SpreadsheetError(f"{book.blob.file}: {told}; {_CORRECT}") from error


def _odd_text(book: _Workbook) -> str:
    name = fine_print.related_member(book.archive, "sharedStrings")
    if not name:
        return ""
    with book.part(name) as stream:
        place, told = odd_text(stream)
    for number, (member, _) in enumerate(book.members if told else [], start=1):
        if cell := cell_of_text(book.archive, book.blob.file, member, place):
            return f"cell {cell} of sheet number {number} {told}"
    return f"one of its texts {told}" if told else ""


def _told(look: Callable[..., str], book: _Workbook, *where: int) -> str:
    """Take a second look at an xlsx, which may fail for the same reason as the first one."""
    if book.format not in ("xlsx", "xlsm"):
        return ""
    try:
        return look(book, *where)
    except BaseException as error:
        if not is_damage(error):
            raise
        return ""


def _read_or_tell(book: _Workbook, index: int) -> Grid:
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


def _odd_spot(book: _Workbook, index: int) -> str:
    with book.part(book.members[index][0]) as stream:
        return odd_spot(stream)


def _read_sheet(book: _Workbook, index: int) -> Grid:
    seen = _look(book, index)
    name = book.names[index]
    _check_end(book, index, seen.bottom)
    box = seen.lowest * seen.right
    dense = box <= book.limits.cells and seen.size > box * _BYTES_A_CELL
    if seen.right > book.limits.columns or (box > book.limits.cells // 4 and not dense):
        book.limits.check_box(book.blob.file, name, *_extent(book, index, seen))
    try:
        batch, errors, hidden = _values(book, index, seen)
    except fastexcel.FastExcelError as error:
        raise _missing_text(book, index, error) or error from error
    _check_rows(book, index, seen, batch)
    grid = Grid(sheet=name, format=book.format, cells=(), hidden=hidden, siblings=tuple(book.names))
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
        fine_print=note,
    )


def _values(
    book: _Workbook, index: int, seen: Glance
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


def _missing_text(book: _Workbook, index: int, error: Exception) -> SpreadsheetError | None:
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


def _look(book: _Workbook, index: int) -> Glance:
    """Find the fine print and the size of a sheet before it is read."""
    if book.format == "ods":
        return replace(book.content[index], errors=True)
    member, _ = book.members[index]
    with book.part(member) as stream:
        if book.format == "xlsb":
            return read_xlsb(stream, book.disguises.afresh())
        seen = glance(stream, book.limits.merges)
    _check_honest(book, index, seen)
    if not seen.plain or book.disguises:
        with book.part(member) as stream:
            seen = fine_print.read_xlsx(stream, book.disguises.afresh())
    return seen


def _check_honest(book: _Workbook, index: int, seen: Glance) -> None:
    """Refuse what takes every reader long and no spreadsheet program writes."""
    where = f"{book.blob.file} (sheet {book.names[index]})"
    if seen.tag:
        raise SpreadsheetError(
            f"{where} has a tag of {seen.tag:,} bytes or more, which no spreadsheet program "
            "writes; it may be an attack, so ask where it comes from."
        )
    if seen.merges > book.limits.merges:
        held = f"merges cells more than {book.limits.merges:,} times"
        raise book.limits.refusal("merges", where, held, "unmerge them")
    if seen.right > book.limits.columns:
        book.limits.check_box(book.blob.file, book.names[index], 1, seen.right)


def _check_rows(book: _Workbook, index: int, seen: Glance, batch: pa.RecordBatch) -> None:
    """Refuse a sheet with rows that no spreadsheet has, or that would hide each other."""
    _check_end(book, index, batch.num_rows)
    twice = seen.twice
    if seen.rows > filled_rows(batch.columns, batch.num_rows):
        with book.part(book.members[index][0]) as stream:
            twice = repeated_row(stream)
    if twice:
        raise SpreadsheetError(
            f"{book.blob.file} (sheet {book.names[index]}) gives row {twice:,} twice, so one of "
            f"the two would be lost; {_COMPARE}."
        )


def _check_end(book: _Workbook, index: int, bottom: int) -> None:
    """Refuse a sheet that is longer than sheets are; before a reader makes room for the rows."""
    if bottom > LAST_ROW:
        raise SpreadsheetError(
            f"{book.blob.file} (sheet {book.names[index]}) has a row {bottom:,}, but a sheet ends "
            f"at row {LAST_ROW:,}, so nobody would see it; {_COMPARE}."
        )


def _extent(book: _Workbook, index: int, seen: Glance) -> tuple[int, int, int]:
    """Height, width and number of the cells that take memory; blank ones do not."""
    if not seen.size:
        return seen.bottom, seen.right, seen.filled
    with book.part(book.members[index][0]) as stream:
        return extent(stream)


def _first_column(seen: Glance, width: int, typed: Typed) -> int:
    """0-based column in which the fast reader begins; it leaves out blank ones."""
    first, last = seen.first, seen.last
    if first == 0:
        return 0
    if first is not None and last is not None and last - first + 1 == width:
        return first
    return typed.first_column


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
