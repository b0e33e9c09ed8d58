"""Is this report what the record says? Made again, and compared to the last cell."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import fastexcel
import numpy as np
import pandas as pd
import pyarrow as pa
from xlsxwriter.utility import xl_rowcol_to_cell

from sharekit.audits.audit import Audit
from sharekit.core.errors import InputError
from sharekit.core.html import plain

from . import looks
from .files import form, writer_of
from .run_record import Record
from .words import counted

#: Differences named one by one; the rest is counted.
LIMIT: Final = 50
#: A formula in a sheet, whatever its namespace is called. Our own workbooks hold none.
_FORMULA: Final = re.compile(rb"<(?:[\w.-]+:)?f[\s/>]")
#: A link that leads out of the workbook. Our own lead to its cells.
_ELSEWHERE: Final = re.compile(rb"TargetMode\s*=\s*[\"']External")
_UNREADABLE: Final = (
    fastexcel.FastExcelError, zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError,
)  # fmt: skip
_PIECE, _SHOWN = 1 << 20, 80

Difference = tuple[str, str]


def differences(told: Record | Audit, path: str | PathLike[str]) -> list[Difference]:
    """Return where a report differs from what the run or audit says, as pairs of where and what.

    ``.csv``, ``.json`` and ``.html`` are compared byte for byte, and the first line that differs
    is named. An ``.xlsx`` of which every part is the same is the same. Else, since Excel rewrites a
    file that is merely saved, every cell of every sheet is compared, and what decides which texts
    and rows a person sees (:mod:`~sharekit.reports.looks`). A formula is always a difference,
    even where it shows the right value, and so is a link out of the workbook, and a sheet that was
    hidden, added or removed. An unreadable file is a difference.

    Raises
    ------
    UsageError
        If no report has this suffix.
    InputError
        If there is no such file.
    """
    report = Path(path)
    suffix = form(report)
    if not report.is_file():
        raise InputError(f"{report}: there is no such file; name a report that was made.")
    with TemporaryDirectory(prefix="sharekit-") as scratch:
        fresh = Path(scratch) / f"fresh{suffix}"
        writer_of(told, suffix)(fresh)
        return compared(report, fresh)


def compared(report: Path, fresh: Path) -> list[Difference]:
    """Return where a report differs from one that was made just now; see :func:`differences`."""
    if _same_bytes(report, fresh):
        return []
    workbook = fresh.suffix == ".xlsx"
    if workbook and _same_parts(report, fresh):
        return []
    found = _in_workbook(report, fresh) if workbook else _in_lines(report, fresh)
    return _limited(report.name, found)


def _same_bytes(left: Path, right: Path) -> bool:
    if left.stat().st_size != right.stat().st_size:
        return False
    with left.open("rb") as one, right.open("rb") as two:
        return all(piece == two.read(_PIECE) for piece in iter(lambda: one.read(_PIECE), b""))


def _same_parts(report: Path, fresh: Path) -> bool:
    try:
        with zipfile.ZipFile(report) as one, zipfile.ZipFile(fresh) as two:
            names = one.namelist()
            return names == two.namelist() and all(_same(one, two, name) for name in names)
    except _UNREADABLE:
        return False


def _same(one: zipfile.ZipFile, two: zipfile.ZipFile, name: str) -> bool:
    with one.open(name) as left, two.open(name) as right:
        while piece := left.read(_PIECE):
            if piece != right.read(_PIECE):
                return False
        return not right.read(1)


def _limited(name: str, found: Iterator[Difference]) -> list[Difference]:
    listed = [difference for difference, _ in zip(found, range(LIMIT), strict=False)]
    rest = sum(1 for _ in found)
    return [*listed, (name, f"{counted(rest, 'further difference')}")] if rest else listed


# -- text --------------------------------------------------------------------------------------
def _in_lines(report: Path, fresh: Path) -> Iterator[Difference]:
    """Yield the first line that differs."""
    with report.open("rb") as given, fresh.open("rb") as wanted:
        for number, (says, should) in enumerate(zip_longest(given, wanted), start=1):
            if says != should:
                yield f"{report.name}, line {number}", _line(says, should)
                return


def _first(says: Sequence[object], should: Sequence[object]) -> int:
    """Return where two texts part."""
    pairs = enumerate(zip(says, should, strict=False))
    return next((n for n, (one, two) in pairs if one != two), min(len(says), len(should)))


def _line(says: bytes | None, should: bytes | None) -> str:
    if says is None or should is None:
        return "the report ends too early" if says is None else "the report goes on too long"
    if b'name="generator"' in says and b'name="generator"' in should:
        return f"made by other versions: {_around(says, 0)}; these are {_around(should, 0)}"
    at = _first(says, should)
    one, two = _around(says, at), _around(should, at)
    if one == two:  # they differ in what cannot be seen: ends of lines, blanks, invisible signs
        one, two = _spelled(says, at), _spelled(should, at)
    return f"says {one}, should say {two}"


def _around(line: bytes, at: int) -> str:
    start = max(at - _SHOWN // 2, 0)
    return _quoted(line[start : start + _SHOWN + 40].decode("utf-8", "replace").strip())


def _spelled(line: bytes, at: int) -> str:
    start = max(at - 20, 0)
    return ascii(line[start : start + _SHOWN])[1:]


def _spelled_text(says: str, should: str) -> tuple[str, str]:
    start = max(_first(says, should) - 20, 0)
    one, two = (ascii(text[start : start + _SHOWN]) for text in (says, should))
    return one, two


def _quoted(text: str) -> str:
    text = plain(text)
    return f"“{text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}”" if text else "nothing"


# -- workbooks ---------------------------------------------------------------------------------
def _in_workbook(report: Path, fresh: Path) -> Iterator[Difference]:
    try:
        given = fastexcel.read_excel(report)
        formulas = list(_parts_with(report, _FORMULA, "xl/worksheets/", ".xml"))
        elsewhere = list(_parts_with(report, _ELSEWHERE, "xl/worksheets/_rels/", ".rels"))
    except _UNREADABLE as error:
        yield report.name, f"cannot be read as a workbook ({str(error).splitlines()[0]})"
        return
    wanted = fastexcel.read_excel(fresh)
    yield from ((f"{report.name}, {part}", "holds a formula; a report has none")
                for part in formulas)  # fmt: skip
    yield from ((f"{report.name}, {part}", "holds a link to elsewhere; a report has none")
                for part in elsewhere)  # fmt: skip
    for name in given.sheet_names:
        if name not in wanted.sheet_names:
            yield f"{report.name}, sheet {_quoted(name)}", "is not part of the report"
    for name in wanted.sheet_names:
        where = f"{report.name}, {name}"
        if name not in given.sheet_names:
            yield where, "the sheet is missing"
        else:
            yield from _in_sheet(where, given, wanted, name)
    yield from _looks(report, fresh)


def _looks(report: Path, fresh: Path) -> Iterator[Difference]:
    try:
        for sheet, what in looks.differing(report, fresh):
            yield f"{report.name}, {sheet}" if sheet else report.name, plain(what)
    except (*_UNREADABLE, LookupError) as error:
        yield report.name, f"what it looks like cannot be read ({plain(error)})"


def _parts_with(report: Path, what: re.Pattern[bytes], folder: str, suffix: str) -> Iterator[str]:
    """Yield the parts of the file that hold something."""
    with zipfile.ZipFile(report) as parts:
        if damaged := parts.testzip():
            raise zipfile.BadZipFile(f"{damaged} is damaged")
        for part in parts.namelist():
            if part.startswith(folder) and part.endswith(suffix):
                with parts.open(part) as file:
                    tail = b""
                    while piece := file.read(_PIECE):
                        if what.search(tail + piece):
                            yield part
                            break
                        tail = piece[-64:]


def _in_sheet(
    where: str, given: fastexcel.ExcelReader, wanted: fastexcel.ExcelReader, name: str
) -> Iterator[Difference]:
    try:
        (says, hidden), (should, _) = _cells(given, name), _cells(wanted, name)
    except _UNREADABLE as error:
        yield where, f"cannot be read ({str(error).splitlines()[0]})"
        return
    if hidden:
        yield where, "the sheet is hidden"
    shape = (max(len(says), len(should)), max(says.shape[1], should.shape[1]))
    for number in range(shape[1]):
        one, two = _column(says, number, shape[0]), _column(should, number, shape[0])
        for row in np.flatnonzero((one != two).to_numpy()):
            cell = xl_rowcol_to_cell(int(row), number)
            pair = _quoted(one[row]), _quoted(two[row])
            if pair[0] == pair[1]:
                pair = _spelled_text(one[row], two[row])
            what = f"says {pair[0]}, should say {pair[1]}"
            yield f"{where}!{cell}", what


def _cells(book: fastexcel.ExcelReader, name: str) -> tuple[pd.DataFrame, bool]:
    """Return every cell of a sheet as text, error values included, and whether it is hidden."""
    sheet = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
    batch, errors = sheet.to_arrow_with_errors()
    frame = pa.Table.from_batches([batch]).to_pandas().fillna("").astype("str")
    for error in errors.errors if errors else []:
        frame.iat[error.position] = error.detail
    return frame, sheet.visible != "visible"


def _column(frame: pd.DataFrame, number: int, length: int) -> pd.Series:
    if number >= frame.shape[1]:
        return pd.Series("", index=range(length), dtype="str")
    return frame.iloc[:, number].reindex(range(length), fill_value="")
