"""Compare a report with one made anew from the same ledger, to the last cell."""

from __future__ import annotations

import contextlib
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, zip_longest
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

# Expat itself limits the expansion of entities (2.4.1 and later).
from xml.etree import ElementTree
from xml.parsers import expat

import fastexcel
import numpy as np
import pandas as pd
import pyarrow as pa
from openpyxl.styles.numbers import BUILTIN_FORMATS
from xlsxwriter.utility import xl_rowcol_to_cell

from sharekit.audits.results import Audit
from sharekit.core.columns import with_unit
from sharekit.core.errors import InputError
from sharekit.core.html import escape_invisible

from .report import FORMATS, make_document, report_format
from .run_record import Record

#: Differences that are listed one by one; the rest is counted.
LIMIT: Final = 50
#: How reports name the head of their ledger: ``"head": "…"`` in json, ``… (12 events)`` in html
#: and xlsx.
_HEAD: Final = re.compile(
    rb'"head": "([0-9a-f]{64})"|([0-9a-f]{64}) \([0-9][^()<>]{0,20} events?\)'
)
#: Bytes read at a time, and bytes of one block that are searched again with the next.
_BLOCK, _OVERLAP = 1 << 20, 128
#: Characters of a text that are quoted.
_QUOTED: Final = 80
#: A row lower than this many points, or a column narrower than this many digits, shows nothing.
_THIN: Final = 2.0
_TRUE: Final = frozenset({"1", "true", "on"})
#: Elements of a sheet that no report has, since each can display something else than the values.
_FOREIGN: Final = {
    "f": "holds a formula; a report has none",
    "conditionalFormatting": "holds a conditional format; a report has none",
}

#: Where a report differs, and how.
Difference = tuple[str, str]


class _UnreadableError(Exception):
    """The file to compare is no workbook, or a damaged one."""


@contextlib.contextmanager
def _library_errors() -> Iterator[None]:
    """Raise what the libraries say of a damaged workbook as :class:`_UnreadableError`."""
    try:
        yield
    except (
        fastexcel.FastExcelError, expat.ExpatError, ElementTree.ParseError, zipfile.BadZipFile,
        zlib.error, EOFError, OSError,
    ) as error:  # fmt: skip
        raise _UnreadableError(escape_invisible(str(error).partition("\n")[0])) from error


def differences(source: Record | Audit, path: str | PathLike[str]) -> list[Difference]:
    """Return where and how a report differs from what the run or audit says.

    A ``.csv``, ``.json`` or ``.html`` is compared byte for byte, and the first line that differs is
    named. An ``.xlsx`` is equal if all its parts are. Otherwise, since Excel rewrites a file that
    is merely saved, the values of all cells are compared, and what hides or replaces them: hidden
    sheets, rows and columns, number formats and conditional formats. Formulas, sheets added or
    removed and links out of the workbook are always differences. So is an unreadable file.

    Raises
    ------
    UsageError
        If no report has this suffix.
    InputError
        If there is no such file.
    """
    report = Path(path)
    suffix = report_format(report)
    if not report.is_file():
        raise InputError(f"{report}: there is no such file; name a report that was made.")
    with TemporaryDirectory(prefix="sharekit-") as scratch:
        fresh = Path(scratch) / f"fresh{suffix}"
        FORMATS[suffix](make_document(source), fresh)
        return compare_files(report, fresh)


def compare_files(report: Path, fresh: Path) -> list[Difference]:
    """Return where a report differs from one that was made just now; see :func:`differences`."""
    if _same_bytes(report, fresh):
        return []
    if fresh.suffix != ".xlsx":
        return _limited(report.name, _in_lines(report, fresh))
    return [] if _same_parts(report, fresh) else _limited(report.name, _in_workbook(report, fresh))


def _same_bytes(report: Path, fresh: Path) -> bool:
    if report.stat().st_size != fresh.stat().st_size:
        return False
    with report.open("rb") as given, fresh.open("rb") as wanted:
        return _same_content(given, wanted)


def _same_parts(report: Path, fresh: Path) -> bool:
    try:
        with _library_errors(), zipfile.ZipFile(report) as given, zipfile.ZipFile(fresh) as wanted:
            names = given.namelist()
            return names == wanted.namelist() and all(
                _same_content(_entry(given, name), _entry(wanted, name)) for name in names
            )
    except _UnreadableError:
        return False


def _same_content(given: IO[bytes], wanted: IO[bytes]) -> bool:
    while block := given.read(_BLOCK):
        if block != wanted.read(_BLOCK):
            return False
    return not wanted.read(1)


def _limited(name: str, differing: Iterator[Difference]) -> list[Difference]:
    listed = list(islice(differing, LIMIT))
    rest = sum(1 for _ in differing)
    return [*listed, (name, with_unit(rest, "further difference"))] if rest else listed


# -- text --------------------------------------------------------------------------------------
def _in_lines(report: Path, fresh: Path) -> Iterator[Difference]:
    """Yield the first line that differs."""
    with report.open("rb") as given, fresh.open("rb") as wanted:
        for number, (says, should) in enumerate(zip_longest(given, wanted), start=1):
            if says != should:
                yield f"{report.name}, line {number}", _line_difference(says, should)
                return


def _line_difference(says: bytes | None, should: bytes | None) -> str:
    if says is None or should is None:
        return "the report ends too early" if says is None else "the report goes on too long"
    start = max(_first_difference(says, should) - _QUOTED // 2, 0)
    end = start + 2 * _QUOTED
    one, two = (line[start:end].decode("utf-8", "backslashreplace") for line in (says, should))
    if b'name="generator"' in says and b'name="generator"' in should:
        return f"made by other versions: {_quoted(one)}; these are {_quoted(two)}"
    return _says(one, two)


def _first_difference(says: Sequence[object], should: Sequence[object]) -> int:
    """Return the position of the first difference of two texts."""
    pairs = enumerate(zip(says, should, strict=False))
    return next((n for n, (one, two) in pairs if one != two), min(len(says), len(should)))


def _says(given: str, wanted: str) -> str:
    """Describe how two texts differ; where only invisible characters do, they are spelled out."""
    one, two = _quoted(given), _quoted(wanted)
    if one == two:
        start = max(_first_difference(given, wanted) - 20, 0)
        one, two = (ascii(text[start : start + _QUOTED]) for text in (given, wanted))
    return f"says {one}, should say {two}"


def _quoted(text: str) -> str:
    text = escape_invisible(text.strip())
    return f"“{text if len(text) <= _QUOTED else text[:_QUOTED] + '…'}”" if text else "nothing"


# -- workbooks ---------------------------------------------------------------------------------
def _in_workbook(report: Path, fresh: Path) -> Iterator[Difference]:
    try:
        with _library_errors():
            given, wanted = fastexcel.read_excel(report), fastexcel.read_excel(fresh)
        for name in given.sheet_names:
            if name not in wanted.sheet_names:
                yield f"{report.name}, sheet {_quoted(name)}", "is not part of the report"
        for name in wanted.sheet_names:
            where = f"{report.name}, {name}"
            if name in given.sheet_names:
                yield from _in_sheet(where, given, wanted, name)
            else:
                yield where, "the sheet is missing"
        for where, what in _in_parts(report, fresh):
            yield f"{report.name}, {where}", escape_invisible(what)
    except _UnreadableError as error:
        yield report.name, f"cannot be read as a workbook ({error})"


def _in_sheet(
    where: str, given: fastexcel.ExcelReader, wanted: fastexcel.ExcelReader, name: str
) -> Iterator[Difference]:
    (says, hidden), (should, _) = _cells(given, name), _cells(wanted, name)
    if hidden:
        yield where, "the sheet is hidden"
    lines, columns = (range(max(says.shape[axis], should.shape[axis])) for axis in (0, 1))
    says, should = (frame.reindex(lines, fill_value="") for frame in (says, should))
    says, should = (frame.reindex(columns=columns, fill_value="") for frame in (says, should))
    # Column by column, as people read what changed.
    for column, row in np.argwhere((says != should).to_numpy().T).tolist():
        cell = xl_rowcol_to_cell(row, column)
        yield f"{where}!{cell}", _says(str(says.iat[row, column]), str(should.iat[row, column]))


def _cells(workbook: fastexcel.ExcelReader, name: str) -> tuple[pd.DataFrame, bool]:
    """Return every cell of a sheet as text, error values included, and whether it is hidden."""
    with _library_errors():
        sheet = workbook.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
        batch, errors = sheet.to_arrow_with_errors()
    frame = pa.Table.from_batches([batch]).to_pandas().fillna("").astype("str")
    for error in errors.errors if errors else []:
        frame.iat[error.position] = error.detail
    return frame.set_axis(range(frame.shape[1]), axis="columns"), sheet.visible != "visible"


# -- what decides whether and how a value is displayed -----------------------------------------
def _in_parts(report: Path, fresh: Path) -> Iterator[Difference]:
    """Yield where a sheet hides or displays something otherwise than a report does."""
    with _library_errors(), zipfile.ZipFile(report) as given, zipfile.ZipFile(fresh) as wanted:
        formats, usual = _number_formats(given), set(_number_formats(wanted).values())
        parts = _sheet_parts(given)
        names = given.namelist()
        trees = {
            name: _xml(given, name)
            for name in names
            if name.startswith("xl/worksheets/_rels/") and name.endswith(".rels")
        }
    for name, tree in trees.items():
        if any(relation.get("TargetMode") == "External" for relation in tree):
            yield name, "holds a link to elsewhere; a report has none"
    for name in names:
        if name in parts or (name.startswith("xl/worksheets/") and name.endswith(".xml")):
            for what in _SheetScan(formats, usual).read(report, name):
                yield parts.get(name, name), what


def _entry(workbook: zipfile.ZipFile, part: str) -> IO[bytes]:
    try:
        return workbook.open(part)
    except KeyError as error:
        raise _UnreadableError(f"its part {part} is missing") from error
    except RuntimeError as error:  # encrypted, or packed in a way that zipfile does not know
        raise _UnreadableError(escape_invisible(str(error))) from error


def _xml(workbook: zipfile.ZipFile, part: str) -> ElementTree.Element:
    with _entry(workbook, part) as file:
        return ElementTree.fromstring(file.read())  # noqa: S314 - see the import


def _related(workbook: zipfile.ZipFile) -> dict[str, tuple[str, str]]:
    """Return the parts that belong to the workbook: relation's ID -> type, name of the part."""
    return {
        relation.get("Id", ""): (
            relation.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/xl", relation.get("Target", "")))[1:],
        )
        for relation in _xml(workbook, "xl/_rels/workbook.xml.rels")
    }


def _sheet_parts(workbook: zipfile.ZipFile) -> dict[str, str]:
    """Return part -> name of the sheet, for every sheet that the workbook lists."""
    related = _related(workbook)
    return {
        part: sheet.get("name", "")
        for sheet in _xml(workbook, "xl/workbook.xml").iterfind("{*}sheets/{*}sheet")
        for key, value in sheet.items()
        if key.endswith("}id")
        for _, part in [related.get(value, ("", ""))]
    }


def _number_formats(workbook: zipfile.ZipFile) -> dict[str, str]:
    """Return the number format of each style that a cell can have, by the style's number."""
    part = next((part for kind, part in _related(workbook).values() if kind == "styles"), "")
    root = _xml(workbook, part)
    codes = {str(number): code for number, code in BUILTIN_FORMATS.items()} | {
        own.get("numFmtId", ""): own.get("formatCode", "")
        for own in root.iterfind("{*}numFmts/{*}numFmt")
    }
    styles = (style.get("numFmtId", "0") for style in root.iterfind("{*}cellXfs/{*}xf"))
    return {str(number): codes.get(code, code) for number, code in enumerate(styles)}


class _SheetScan:
    """Reads a sheet element by element; ``usual`` are the number formats of a report."""

    def __init__(self, formats: Mapping[str, str], usual: set[str]) -> None:
        self._formats = formats
        self._usual = {style for style, code in formats.items() if code in usual}
        self._facts: list[str] = []

    def read(self, workbook: Path, part: str) -> Iterator[str]:
        """Yield each fact that a report does not have, one sentence each."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        with _library_errors(), zipfile.ZipFile(workbook) as archive, _entry(archive, part) as file:
            for block in iter(partial(file.read, _BLOCK), b""):
                parser.Parse(block, False)  # noqa: FBT003 - takes no keyword
                yield from self._facts
                self._facts.clear()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        kind = name.rpartition(" ")[2]
        if kind == "c":
            style = attributes.get("s", "0")
            if style not in self._usual:
                code = self._formats.get(style, "unknown")
                cell = attributes.get("r", "a cell")
                self._facts.append(f"{cell} is displayed with the number format {code!r}")
        elif kind == "row":
            if _is_hidden(attributes, "ht"):
                self._facts.append(f"row {attributes.get('r', '')} is hidden")
        elif kind == "col":
            if _is_hidden(attributes, "width"):
                columns = f"{attributes.get('min')} to {attributes.get('max')}"
                self._facts.append(f"columns {columns} are hidden")
        elif kind == "sheetFormatPr":
            if attributes.get("zeroHeight") in _TRUE or _is_hidden(attributes, "defaultColWidth"):
                self._facts.append("rows or columns are hidden by default")
        elif kind in _FOREIGN:
            self._facts.append(_FOREIGN[kind])


def _is_hidden(attributes: Mapping[str, str], size: str) -> bool:
    if attributes.get("hidden") in _TRUE:
        return True
    try:
        return float(attributes.get(size, "9")) < _THIN
    except ValueError:  # no size at all: a program takes its default
        return False


# -- the ledger's state that a report was made from --------------------------------------------
def head_of_report(report: Path) -> str:
    """Return the head of the ledger that a report names, ``""`` if it names none."""
    with contextlib.suppress(_UnreadableError), _library_errors():
        if report.suffix.lower() != ".xlsx":
            with report.open("rb") as file:
                return _head_in(file)
        with zipfile.ZipFile(report) as parts:
            for name in parts.namelist():
                if name.endswith(".xml"):
                    with _entry(parts, name) as part:
                        head = _head_in(part)
                    if head:
                        return head
    return ""


def _head_in(file: IO[bytes]) -> str:
    tail = b""
    for block in iter(partial(file.read, _BLOCK), b""):
        if match := _HEAD.search(tail + block):
            return (match[1] or match[2]).decode()
        tail = block[-_OVERLAP:]
    return ""
