"""A workbook before its values are read: its archive, its sheets, and what a look at them tells.

What would take every reader long, or what programs would read differently, is refused here.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import Final
from zipfile import ZipFile

import fastexcel
import pyarrow as pa

from sharekit.core.errors import SpreadsheetError
from sharekit.spreadsheets.input import Limits

from . import fine_print, ods
from .archives import Measured, password_error
from .number_formats import Disguises, by_style, declares
from .raw_sheet import Blob, filled_rows
from .twice import (
    has_foreign_texts,
    may_have_foreign_texts,
    repeated_cell,
    repeated_row,
    spliced_cell,
)
from .xlsb import format_codes, read_xlsb
from .xlsx import LAST_ROW, Glance, extent, glance

#: A sheet with so many bytes for each of its cells is no empty frame.
_BYTES_A_CELL: Final = 2
#: The name under which an OpenDocument keeps what its formulas refer to elsewhere.
_CACHED: Final = re.compile(r"'.*'#\$?.", re.DOTALL)
_COMPARE: Final = "open it in a spreadsheet program, save it again, and compare the two"


@dataclass(frozen=True)
class Workbook:
    """An opened workbook: its archive, and both readers on the same bytes."""

    blob: Blob
    format: str
    archive: ZipFile
    limits: Limits

    @functools.cached_property
    def fast(self) -> fastexcel.ExcelReader:
        """The reader that gives every cell as text."""
        if self.format == "ods" and len(self.content) > self.limits.sheets:
            self._refuse_sheets(len(self.content))
        return fastexcel.read_excel(self.blob.data)

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of all sheets, in the order of their tabs."""
        names = list(self.fast.sheet_names)
        if len(names) > self.limits.sheets:
            self._refuse_sheets(len(names))
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise SpreadsheetError(
                f"{self.blob.file} has two sheets named {name}, so one would be read for both; "
                "rename one of them in a spreadsheet program, and save it."
            )
        return names

    @functools.cached_property
    def shown(self) -> list[int]:
        """Positions of the sheets that people have tabs for: not copies of other workbooks'."""
        names = list(enumerate(self.names))
        return [i for i, name in names if self.format != "ods" or not _CACHED.match(name)]

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
    def foreign(self) -> bool:
        """Whether the table of texts has some that programs pass over, and readers do not."""
        name = fine_print.related_member(self.archive, "sharedStrings")
        if not name:
            return False
        with self.part(name) as stream:
            if not may_have_foreign_texts(stream):
                return False
        with self.part(name) as stream:
            return has_foreign_texts(stream)

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
        """The fine print of an OpenDocument's sheets."""
        with self.part("content.xml") as stream:
            seen = ods.glance_ods(stream)
        if seen.repeated:
            held = f"repeats a cell, row or column {seen.repeated} times"
            told = f"{self.blob.file} {held}, which programs read differently; {_COMPARE}."
            raise SpreadsheetError(told)
        if seen.tag:
            raise _endless(self.blob.file, seen.tag)
        if seen.spliced:
            told = "holds character data sections (CDATA), which no spreadsheet program writes"
            raise SpreadsheetError(f"{self.blob.file} {told} and programs differ on; {_COMPARE}.")
        if seen.blanks > self.limits.strings_bytes:
            held = f"holds texts of {seen.blanks:,} blanks"
            raise self.limits.refusal("strings_bytes", self.blob.file, held, "delete them")
        if seen.exact or seen.most > self.limits.cells // 16:
            with self.part("content.xml") as stream:
                sheets = ods.read_ods(stream)
        else:
            sheets = [Glance() for _ in seen.from_first_column]
        for sheet, first in zip(sheets, seen.from_first_column, strict=False):
            sheet.first = 0 if first else None
        for number, sheet in enumerate(sheets, start=1):
            box = sheet.bottom, sheet.right, sheet.filled
            self.limits.check_dimensions(self.blob.file, str(number), *box)
            self.limits.check_repetition(self.blob.file, str(number), sheet.written, sheet.filled)
            _check_clear(f"{self.blob.file} (sheet {number})", sheet)
        return sheets

    def part(self, name: str) -> Measured:
        """Open a part of the archive."""
        return Measured(self.archive, name, self.blob.file)


def archive_format(blob: Blob, archive: ZipFile) -> str:
    """Tell what kind of workbook an archive is; SpreadsheetError if it is none."""
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


def look(book: Workbook, index: int) -> Glance:
    """Find the fine print and the size of a sheet before it is read."""
    if book.format == "ods":
        return replace(book.content[index], errors=True)
    member, _ = book.members[index]
    with book.part(member) as stream:
        if book.format == "xlsb":
            return read_xlsb(stream, book.disguises.afresh())
        seen = glance(stream, book.limits.merges)
    if book.foreign:
        told = "holds texts of another vocabulary, which programs count differently"
        raise SpreadsheetError(f"{book.blob.file} {told}; {_COMPARE}.")
    _check_honest(book, index, seen)
    if not seen.plain:
        with book.part(member) as stream:
            if cell := spliced_cell(stream):
                seen.unclear = f"{cell} has markup in the midst of its value"
                _check_clear(f"{book.blob.file} (sheet {book.names[index]})", seen)
    if not seen.plain or book.disguises:
        with book.part(member) as stream:
            seen = fine_print.read_xlsx(stream, book.disguises.afresh())
        _check_clear(f"{book.blob.file} (sheet {book.names[index]})", seen)
    return seen


def _check_clear(where: str, seen: Glance) -> None:
    if seen.unclear:
        raise SpreadsheetError(f"{where}: {seen.unclear}, so programs differ; {_COMPARE}.")


def _check_honest(book: Workbook, index: int, seen: Glance) -> None:
    """Refuse what takes every reader long and no spreadsheet program writes."""
    where = f"{book.blob.file} (sheet {book.names[index]})"
    if seen.tag:
        raise _endless(where, seen.tag)
    if seen.merges > book.limits.merges:
        held = f"merges cells more than {book.limits.merges:,} times"
        raise book.limits.refusal("merges", where, held, "unmerge them")
    if seen.right > book.limits.columns:
        book.limits.check_dimensions(book.blob.file, book.names[index], 1, seen.right)


def _endless(where: str, tag: int) -> SpreadsheetError:
    return SpreadsheetError(
        f"{where} has a tag of {tag:,} bytes or more, which no spreadsheet program writes; it may "
        "be an attack, so ask where it comes from."
    )


def check_twice(
    book: Workbook, index: int, seen: Glance, batch: pa.RecordBatch, errors: int
) -> None:
    """Refuse a sheet with rows that no spreadsheet has, or with cells that hide each other."""
    _check_end(book, index, batch.num_rows)
    twice = seen.twice
    if seen.rows > filled_rows(batch.columns, batch.num_rows):
        with book.part(book.members[index][0]) as stream:
            twice = repeated_row(stream)
    read = errors + sum(len(column) - column.null_count for column in batch.columns)
    if not twice and seen.values > read:
        with book.part(book.members[index][0]) as stream:
            twice = repeated_cell(stream)
    if twice:
        raise SpreadsheetError(
            f"{book.blob.file} (sheet {book.names[index]}) gives {twice} twice, so one of the two "
            f"would be lost; {_COMPARE}."
        )


def _check_end(book: Workbook, index: int, bottom: int) -> None:
    """Refuse a sheet that is longer than sheets are; before a reader makes room for the rows."""
    if bottom > LAST_ROW:
        raise SpreadsheetError(
            f"{book.blob.file} (sheet {book.names[index]}) has a row {bottom:,}, but a sheet ends "
            f"at row {LAST_ROW:,}, so nobody would see it; {_COMPARE}."
        )


def check_box(book: Workbook, index: int, seen: Glance) -> None:
    """Refuse a sheet whose size would fill the memory; before a reader makes room for it."""
    _check_end(book, index, seen.bottom)
    box = seen.lowest * seen.right
    dense = box <= book.limits.cells and seen.size > box * _BYTES_A_CELL
    if seen.right > book.limits.columns or (box > book.limits.cells // 4 and not dense):
        book.limits.check_dimensions(book.blob.file, book.names[index], *_extent(book, index, seen))


def _extent(book: Workbook, index: int, seen: Glance) -> tuple[int, int, int]:
    """Height, width and number of the cells that take memory; blank ones do not."""
    if not seen.size:
        return seen.bottom, seen.right, seen.filled
    with book.part(book.members[index][0]) as stream:
        return extent(stream)
