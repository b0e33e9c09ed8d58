"""``findings.xlsx``: the analyst's own sheets, bad cells marked, and a list that leads to them.

The copy holds values, not formulas, so that it shows what was checked and calculates nothing. The
original is only read. What openpyxl does not know (pictures, charts, macros) is not in the copy.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import openpyxl
import pandas as pd
from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from sharekit.checks.check import COLUMNS, Findings
from sharekit.core.errors import InputError
from sharekit.core.html import plain
from sharekit.spreadsheets.formats.raw_sheet import column_letter
from sharekit.spreadsheets.input import STANDARD_INPUT, load
from sharekit.spreadsheets.inventory import Source
from sharekit.spreadsheets.writing.safe_cells import escape_cell
from sharekit.spreadsheets.writing.template import print_wide

from . import xlsx

#: Beyond these openpyxl takes minutes: bytes of XML in the workbook, lines of findings.
LARGEST, MOST = 64 << 20, 20_000
#: Comments on one sheet; Excel becomes slow with more. The colours go on.
COMMENTS: Final = 1_000
#: The longest comment that can still be read.
_COMMENT: Final = 600
_WIDTHS: Final = {
    "mark": 12, "cell": 8, "sheet": 14, "row": 7, "column": 18, "value": 38, "message": 44,
    "suggestion": 44, "rule": 22, "file": 28, "raw value": 42,
}  # fmt: skip
#: A page of so many digits' width can be read.
_PRINTABLE: Final = 260
_FAILURES: Final = (
    InvalidFileException, zipfile.BadZipFile, SyntaxError, ValueError, TypeError, KeyError,
    IndexError, AttributeError, NotImplementedError, OSError,
)  # fmt: skip


@dataclass(frozen=True)
class _Mark:
    """How a severity looks; three marks that also a grey print tells apart."""

    word: str
    fill: str
    line: Literal["medium", "mediumDashed", "dotted", "hair"]
    ink: str


_MARKS: Final = {
    "error": _Mark("✖ error", "F9D2B8", "medium", "B34700"),
    "warning": _Mark("▲ warning", "FFF3C4", "mediumDashed", "8A6D00"),
    "repair": _Mark("✎ repair", "D9EEFA", "dotted", "2B6C99"),
    "info": _Mark("ℹ info", "E8EAED", "hair", "616E7C"),
}
_RANK: Final = {name: rank for rank, name in enumerate(_MARKS)}


def write(findings: Findings, path: Path) -> None:
    """Write the findings, and a marked copy of the sheets where that is possible.

    A copy is made of one xlsx or xlsm file of moderate size. Otherwise the workbook holds the
    findings only, and says why on its sheet ``About``.

    Raises
    ------
    InputError
        The file has changed since it was checked, or is gone.
    """
    book, why = _copy(findings)
    if book is not None:
        try:
            _fill(book, findings)
            book.save(path)
        except _FAILURES as error:
            path.unlink(missing_ok=True)
            book, why = None, _broken(error)
    if book is None:
        about = _about(findings, f"The sheets themselves are not in this workbook: {why}.")
        xlsx.tables({"Findings": _listed(findings)}, {"About": about}, path)


def _copy(findings: Findings) -> tuple[Workbook | None, str]:
    """Return the analyst's workbook, or why there is none."""
    sources = {source.file: source for source in findings.inventory.sources}
    if len(sources) != 1:
        return None, "they come from several files"
    [source] = sources.values()
    if source.format not in ("xlsx", "xlsm") or source.file in ("-", STANDARD_INPUT):
        return (
            None,
            f"only xlsx and xlsm files are copied, and this is {source.format or 'a stream'}",
        )
    if len(findings.frame) > MOST:
        return None, f"there are more than {MOST:,} findings"
    blob = load(source.file)
    if blob.sha256 != source.sha256:
        raise InputError(f"{source.file} has changed since it was checked; check it again.")
    try:
        with zipfile.ZipFile(io.BytesIO(blob.data)) as parts:
            if sum(part.file_size for part in parts.infolist()) > LARGEST:
                return None, f"the workbook is longer than {LARGEST >> 20} MB, unpacked"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is not in the copy, About tells
            return openpyxl.load_workbook(
                io.BytesIO(blob.data), data_only=True, rich_text=True, keep_links=False
            ), ""
    except _FAILURES as error:
        return None, _broken(error)


def _broken(error: BaseException) -> str:
    return f"they cannot be copied ({str(error).partition(chr(10))[0][:120]})"


def _fill(book: Workbook, findings: Findings) -> None:
    frame = findings.frame
    known = {sheet.title: sheet for sheet in book.worksheets}
    uncommented = 0
    for name, lines in frame[frame["cell"] != ""].groupby("sheet", sort=False):
        if str(name) in known:
            uncommented += _mark(known[str(name)], lines)
    headers = {source.sheet: source.header_row for source in findings.inventory.sources}
    for sheet in book.worksheets:
        sheet.sheet_view.tabSelected = False
        _fit_page(sheet, headers.get(sheet.title, 0))
    told = ["The sheets after this one are a copy, values only, of what was checked; pictures, "
            "charts and macros are not in it. The original was not touched."]  # fmt: skip
    if uncommented:
        told.append(f"{uncommented:,} marked cells have no comment: a sheet takes {COMMENTS:,}.")
    _list(book.create_sheet(_free("Findings", book), 0), _listed(findings), known)
    _tell(book.create_sheet(_free("About", book), 1), _about(findings, *told))
    book.active = 0


def _free(name: str, book: Workbook) -> str:
    taken = {title.casefold() for title in book.sheetnames}
    tries = (name if n == 1 else f"{name} ({n})" for n in range(1, len(taken) + 3))
    return next(title for title in tries if title.casefold() not in taken)


# -- the analyst's sheets ----------------------------------------------------------------------
def _mark(sheet: Worksheet, lines: pd.DataFrame) -> int:
    """Colour the cells of one sheet and say in comments why; return how many have none."""
    # Under a merge nobody would see a colour: there the top left cell tells it.
    anchors = {
        cell.coordinate: area.coord.partition(":")[0]
        for area in sheet.merged_cells.ranges
        for row in sheet[area.coord]
        for cell in row
    }
    shown = lines["cell"].map(lambda address: anchors.get(address, address))
    ranked = lines.assign(cell=shown, rank=lines["severity"].map(_RANK))
    ranked = ranked.sort_values("rank", kind="stable")
    cells = list(ranked.groupby("cell", sort=False))
    for number, (address, found) in enumerate(cells):
        cell = sheet[str(address)]
        mark = _MARKS[found["severity"].iloc[0]]
        side = Side(mark.line, mark.ink)
        cell.fill = PatternFill("solid", fgColor=mark.fill)
        cell.border = Border(left=side, right=side, top=side, bottom=side)
        if number < COMMENTS and isinstance(cell, Cell):
            _comment(cell, found)
    return max(len(cells) - COMMENTS, 0)


def _fit_page(sheet: Worksheet, header: int) -> None:
    """Print a sheet in its full width, unless its owner has said how or it would be too small."""
    setup, told = sheet.page_setup, sheet.sheet_properties.pageSetUpPr
    sizes = sheet.column_dimensions.values()
    wide = sum(float(size.width) * ((size.max or 1) - (size.min or 1) + 1) for size in sizes)
    own = sheet.print_area or setup.scale or (told and told.fitToPage)
    if own or wide > _PRINTABLE:
        return
    setup.orientation, setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    if header and not sheet.print_title_rows:
        sheet.print_title_rows = f"{header}:{header}"


def _comment(cell: Cell | MergedCell, found: pd.DataFrame) -> None:
    said = zip(found["severity"], found["message"], found["suggestion"], strict=True)
    texts = [f"{_MARKS[severity].word}: {what}. {todo}".strip() for severity, what, todo in said]
    own = [cell.comment.text] if cell.comment else []
    text = escape_cell("\n\n".join([*texts, *own])[:_COMMENT])
    cell.comment = Comment(text, "sharekit", height=40 + 18 * (len(text) // 38 + 1), width=300)


# -- our own -----------------------------------------------------------------------------------
def _listed(findings: Findings) -> pd.DataFrame:
    """Return the findings as people read them, the graver first within the order of the rows.

    Where a value holds what cannot be seen, it is spelled out, and a last column has it as it is.
    """
    frame = findings.frame[list(COLUMNS)]
    words = {name: mark.word for name, mark in _MARKS.items()}
    letters = frame["cell"].str.extract("^([A-Z]+)", expand=False).fillna("") + ": "
    # With its letter a header is no header any more to whoever reads this workbook.
    column = frame["column"].where(frame["cell"] == "", letters + frame["column"])
    listed = frame.assign(mark=frame["severity"].map(words).astype("str"), column=column)
    if frame["file"].nunique() < 2:
        listed = listed.drop(columns="file")
    seen = _spelled(frame["value"])
    odd = seen != frame["value"]
    if odd.any():
        listed = listed.assign(**{"value": seen, "raw value": frame["value"].where(odd, "")})
    order = frame["severity"].map(_RANK).to_numpy().argsort(kind="stable")
    return listed.iloc[order][[name for name in _WIDTHS if name in listed]]


def _spelled(values: pd.Series) -> pd.Series:
    """Spell out characters that cannot be seen; only texts beyond plain ASCII can hold any."""
    odd = values.str.contains("[^ -~]", regex=True)
    return values if not odd.any() else values.where(~odd, values[odd].map(plain).astype("str"))


def _about(findings: Findings, *notes: str) -> pd.DataFrame:
    files: dict[str, Source] = {source.file: source for source in findings.inventory.sources}
    counts = findings.counts
    pairs: Iterable[tuple[str, str]] = (
        *((f"{count:,}", name) for name, count in counts.items()),
        *((mark.word, _MEANINGS[name]) for name, mark in _MARKS.items()),
        *((file, f"SHA-256 {source.sha256}") for file, source in files.items()),
        *(("Note", note) for note in notes),
    )
    return pd.DataFrame(pairs, columns=["what", "meaning"], dtype="str")


_MEANINGS: Final = {
    "error": "the row is blocked until it is mended; cell with a thick frame",
    "warning": "look at it; the row goes on; cell with a dashed frame",
    "repair": "mended beyond doubt, as listed; the file was not changed; dotted frame",
    "info": "for your information",
}


def _list(sheet: Worksheet, frame: pd.DataFrame, known: Mapping[str, object]) -> None:
    places = {name: place for place, name in enumerate(frame.columns)}
    _header(sheet, list(frame.columns))
    for number, line in enumerate(frame.itertuples(index=False, name=None), start=2):
        severity = str(line[0]).rpartition(" ")[2]
        # Programs that open a workbook do not all make rows as high as their texts.
        told = zip(places, line, strict=True)
        lines = (len(str(value)) // _WIDTHS[name] + 1 for name, value in told)
        sheet.row_dimensions[number].height = 15 * min(max(lines), 8)
        for place, value in enumerate(line, start=1):
            _text(sheet.cell(number, place), value)
        sheet.cell(number, 1).fill = PatternFill("solid", fgColor=_MARKS[severity].fill)
        title, row = line[places["sheet"]], line[places["row"]]
        if title in known and row:
            where = line[places["cell"]] or f"A{row}"
            quoted = title.replace("'", "''")
            cell = sheet.cell(number, places["cell"] + 1)
            _text(cell, where)
            cell.font = Font(name="Calibri", color="0B5CAD", underline="single")
            cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"'{quoted}'!{where}")
    sheet.sheet_view.showGridLines = False
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{column_letter(len(places) - 1)}{len(frame) + 1}"
    # With all columns, nobody could read the print.
    sheet.print_area = f"A1:{column_letter(places['suggestion'])}{len(frame) + 1}"
    for place, name in enumerate(frame.columns):
        sheet.column_dimensions[column_letter(place)].width = _WIDTHS[name]


def _tell(sheet: Worksheet, frame: pd.DataFrame) -> None:
    _header(sheet, list(frame.columns))
    for number, line in enumerate(frame.itertuples(index=False, name=None), start=2):
        for place, value in enumerate(line, start=1):
            _text(sheet.cell(number, place), value)
        for mark in _MARKS.values():
            if line[0] == mark.word:
                sheet.cell(number, 1).fill = PatternFill("solid", fgColor=mark.fill)
    sheet.sheet_view.showGridLines = False
    for letter, width in zip("AB", (32, 100), strict=True):
        sheet.column_dimensions[letter].width = width


def _header(sheet: Worksheet, names: list[str]) -> None:
    for place, name in enumerate(names, start=1):
        cell = sheet.cell(1, place, name)
        cell.font = Font(name="Calibri", bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor="22384D")
    print_wide(sheet)


def _text(cell: Cell | MergedCell, value: object) -> None:
    """Write a value so that a text stays text, whatever it begins with."""
    cell.alignment = Alignment(horizontal="left", vertical="top", wrap_text=True)
    if isinstance(value, int):
        cell.value = value or None  # a whole sheet has no row
        return
    cell.value = escape_cell(str(value))
    cell.data_type, cell.number_format = "s", "@"
