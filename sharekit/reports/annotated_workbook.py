"""``findings.xlsx``: the analyst's own sheets with bad cells marked, and a list that links to them.

The copy holds values, not formulas, so that it shows what was checked and calculates nothing. The
original is only read. Pictures, charts and macros, which openpyxl cannot copy, are not in it.
"""

from __future__ import annotations

import io
import logging
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
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
from openpyxl.worksheet.page import PageMargins
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from sharekit.checks.findings import COLUMNS, Findings
from sharekit.core.columns import STR
from sharekit.core.errors import InputError
from sharekit.core.html import escape_invisible
from sharekit.spreadsheets.formats.raw_sheet import column_letter
from sharekit.spreadsheets.input import STANDARD_INPUT, load
from sharekit.spreadsheets.writing.safe_cells import escape_cell

from .document import Notes, Table
from .render import xlsx

_log = logging.getLogger("sharekit.reports")

#: Limits beyond which openpyxl takes minutes: bytes of the unpacked workbook, number of findings.
MAX_BYTES, MAX_FINDINGS = 64 << 20, 20_000
#: Comments on one sheet; Excel becomes slow with more. Further cells are only coloured.
MAX_COMMENTS: Final = 1_000
#: Characters of the longest comment that can still be read.
_COMMENT_LENGTH: Final = 600
_WIDTHS: Final = {
    "mark": 12, "cell": 8, "sheet": 14, "row": 7, "column": 18, "value": 38, "message": 44,
    "suggestion": 44, "rule": 22, "file": 28, "raw value": 42,
}  # fmt: skip
_ABOUT_WIDTHS: Final = {"what": 32, "meaning": 100}
#: Digits across a page that can still be read.
_PRINTABLE_WIDTH: Final = 260
#: What openpyxl raises on reading or saving a workbook that it does not understand.
_OPENPYXL_ERRORS: Final = (
    InvalidFileException, zipfile.BadZipFile, SyntaxError, ValueError, TypeError, LookupError,
    AttributeError, NotImplementedError, OSError,
)  # fmt: skip


class _NotCopiedError(Exception):
    """The sheets are not in the workbook of the findings; the text says why."""


@dataclass(frozen=True)
class _SeverityStyle:
    """How a severity looks; the frames also tell severities apart in a grey print."""

    label: str
    fill: str
    frame: Literal["medium", "mediumDashed", "dotted", "hair"]
    color: str
    meaning: str


_STYLES: Final = {
    "error": _SeverityStyle(
        "✖ error", "F9D2B8", "medium", "B34700",
        "the row is blocked until it is mended; cell with a thick frame",
    ),
    "warning": _SeverityStyle(
        "▲ warning", "FFF3C4", "mediumDashed", "8A6D00",
        "look at it; the row goes on; cell with a dashed frame",
    ),
    "repair": _SeverityStyle(
        "✎ repair", "D9EEFA", "dotted", "2B6C99",
        "mended beyond doubt, as listed; the file was not changed; dotted frame",
    ),
    "info": _SeverityStyle("ℹ info", "E8EAED", "hair", "616E7C", "for your information"),
}  # fmt: skip
_RANK: Final = {name: rank for rank, name in enumerate(_STYLES)}


def write(findings: Findings, path: Path) -> None:
    """Write the findings, and a marked copy of the sheets where that is possible.

    A copy is made of one xlsx or xlsm file of moderate size. Otherwise the workbook holds the
    findings only, and its sheet ``About`` says why.

    Raises
    ------
    InputError
        The file has changed since it was checked, or is gone.
    """
    try:
        workbook = _open_copy(findings)
        _annotate(workbook, findings)
        with _library_errors():
            _save(workbook, path)
    except _NotCopiedError as reason:
        _log.info("%s: the sheets are not copied: %s", path, reason)
        about = _about(findings, f"The sheets themselves are not in this workbook: {reason}.")
        notes = Notes("About", {"About": about}, portrait=False)
        xlsx.write_sheets([Table("Findings", _finding_list(findings)), notes], path, "Findings")


def _open_copy(findings: Findings) -> Workbook:
    """Return the analyst's workbook to be annotated."""
    sources = {source.file: source for source in findings.inventory.sources}
    if len(sources) != 1:
        raise _NotCopiedError("they come from several files")
    [source] = sources.values()
    if source.format not in ("xlsx", "xlsm") or source.file in ("-", STANDARD_INPUT):
        raise _NotCopiedError(
            f"only xlsx and xlsm files are copied, and this is {source.format or 'a stream'}"
        )
    if not Path(source.file).is_file():
        raise _NotCopiedError(f"there is no file {source.file} to copy")
    if len(findings.frame) > MAX_FINDINGS:
        raise _NotCopiedError(f"there are more than {MAX_FINDINGS:,} findings")
    file = load(source.file)
    if file.sha256 != source.sha256:
        raise InputError(f"{source.file} has changed since it was checked; check it again.")
    with _library_errors(), zipfile.ZipFile(io.BytesIO(file.data)) as parts:
        size = sum(part.file_size for part in parts.infolist())
    if size > MAX_BYTES:
        raise _NotCopiedError(f"the workbook is longer than {MAX_BYTES >> 20} MB, unpacked")
    with _library_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About says what is not in the copy
        return openpyxl.load_workbook(
            io.BytesIO(file.data), data_only=True, rich_text=True, keep_links=False
        )


@contextmanager
def _library_errors() -> Iterator[None]:
    """Raise what openpyxl says of a workbook as :class:`_NotCopiedError`."""
    try:
        yield
    except _OPENPYXL_ERRORS as error:
        message = str(error).partition("\n")[0][:120]
        raise _NotCopiedError(f"they cannot be copied ({message})") from error


def _annotate(workbook: Workbook, findings: Findings) -> None:
    frame = findings.frame
    own = {sheet.title: sheet for sheet in workbook.worksheets}
    uncommented = 0
    for name, findings_of_sheet in frame[frame["cell"] != ""].groupby("sheet", sort=False):
        if str(name) in own:
            uncommented += _mark_cells(own[str(name)], findings_of_sheet)
    headers = {source.sheet: source.header_row for source in findings.inventory.sources}
    for sheet in workbook.worksheets:
        sheet.sheet_view.tabSelected = False
        _fit_page(sheet, headers.get(sheet.title, 0))
    notes = ["The sheets after this one are a copy, values only, of what was checked; pictures, "
             "charts and macros are not in it. The original was not touched."]  # fmt: skip
    if uncommented:
        notes.append(
            f"{uncommented:,} marked cells have no comment: a sheet takes {MAX_COMMENTS:,}."
        )
    listing = workbook.create_sheet(_free_name("Findings", workbook), 0)
    _write_findings(listing, _finding_list(findings), own)
    about = workbook.create_sheet(_free_name("About", workbook), 1)
    _write_table(about, _about(findings, *notes), _ABOUT_WIDTHS)
    workbook.active = 0


def _free_name(name: str, workbook: Workbook) -> str:
    taken = {title.casefold() for title in workbook.sheetnames}
    tries = (name if n == 1 else f"{name} ({n})" for n in range(1, len(taken) + 3))
    return next(title for title in tries if title.casefold() not in taken)


# -- the analyst's sheets ----------------------------------------------------------------------
def _mark_cells(sheet: Worksheet, findings: pd.DataFrame) -> int:
    """Colour cells of a sheet and comment on the reason; return how many have no comment."""
    # Nobody would see a colour under a merge, so the top left cell of the merge is marked.
    anchors = {
        cell.coordinate: area.coord.partition(":")[0]
        for area in sheet.merged_cells.ranges
        for row in sheet[area.coord]
        for cell in row
    }
    visible = findings["cell"].map(lambda address: anchors.get(address, address))
    ranked = _by_severity(findings.assign(cell=visible))
    cells = list(ranked.groupby("cell", sort=False))
    for number, (address, findings_of_cell) in enumerate(cells):
        cell = sheet[str(address)]
        style = _STYLES[findings_of_cell["severity"].iloc[0]]
        side = Side(style.frame, style.color)
        cell.fill = PatternFill("solid", fgColor=style.fill)
        cell.border = Border(left=side, right=side, top=side, bottom=side)
        if number < MAX_COMMENTS and isinstance(cell, Cell):
            _comment(cell, findings_of_cell)
    return max(len(cells) - MAX_COMMENTS, 0)


def _by_severity(findings: pd.DataFrame) -> pd.DataFrame:
    """Return findings with the worst first; those of one severity keep their order."""
    ranks = findings["severity"].map(_RANK).to_numpy()
    return findings.iloc[ranks.argsort(kind="stable")]


def _fit_page(sheet: Worksheet, header: int) -> None:
    """Fit a print to the sheet's width, unless its owner has set how or it would be too small."""
    setup, properties = sheet.page_setup, sheet.sheet_properties.pageSetUpPr
    sizes = sheet.column_dimensions.values()
    width = sum(float(size.width) * ((size.max or 1) - (size.min or 1) + 1) for size in sizes)
    own = sheet.print_area or setup.scale or (properties and properties.fitToPage)
    if own or width > _PRINTABLE_WIDTH:
        return
    setup.orientation, setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    if header and not sheet.print_title_rows:
        sheet.print_title_rows = f"{header}:{header}"


def _comment(cell: Cell, findings: pd.DataFrame) -> None:
    texts = [
        f"{_STYLES[severity].label}: {message}. {suggestion}".strip()
        for severity, message, suggestion in findings[
            ["severity", "message", "suggestion"]
        ].itertuples(index=False)
    ]
    own = [cell.comment.text] if cell.comment else []
    text = escape_cell("\n\n".join([*texts, *own])[:_COMMENT_LENGTH])
    cell.comment = Comment(text, "sharekit", height=40 + 18 * (len(text) // 38 + 1), width=300)


# -- our own -----------------------------------------------------------------------------------
def _finding_list(findings: Findings) -> pd.DataFrame:
    """Return the findings as people read them, the worst first, else in the order of the rows.

    Where a value has characters that cannot be seen, they are spelled out, and a last column has
    the value as it is.
    """
    frame = findings.frame[list(COLUMNS)]
    labels = {name: style.label for name, style in _STYLES.items()}
    letters = frame["cell"].str.extract("^([A-Z]+)", expand=False).fillna("") + ": "
    # Without its column's letter, a name in this list could be taken for a header when it is read.
    column = frame["column"].where(frame["cell"] == "", letters + frame["column"])
    listed = frame.assign(mark=frame["severity"].map(labels).astype(STR), column=column)
    if frame["file"].nunique() < 2:
        listed = listed.drop(columns="file")
    spelled = _spell_out(frame["value"])
    differs = spelled != frame["value"]
    if differs.any():
        raw = frame["value"].where(differs, "")
        listed = listed.assign(**{"value": spelled, "raw value": raw})
    return _by_severity(listed)[[name for name in _WIDTHS if name in listed]]


def _spell_out(values: pd.Series) -> pd.Series:
    """Spell out characters that cannot be seen; only texts beyond plain ASCII can have any."""
    unusual = values.str.contains("[^ -~]", regex=True)
    if not unusual.any():
        return values
    return values.where(~unusual, values[unusual].map(escape_invisible).astype(STR))


def _about(findings: Findings, *notes: str) -> pd.DataFrame:
    files = {source.file: source.sha256 for source in findings.inventory.sources}
    pairs = [
        *((f"{count:,}", name) for name, count in findings.counts.items()),
        *((style.label, style.meaning) for style in _STYLES.values()),
        *((file, f"SHA-256 {sha256}") for file, sha256 in files.items()),
        *(("Note", note) for note in notes),
    ]
    return pd.DataFrame(pairs, columns=["what", "meaning"], dtype=STR)


def _write_findings(sheet: Worksheet, frame: pd.DataFrame, own_sheets: Collection[str]) -> None:
    columns = {name: number for number, name in enumerate(frame.columns, start=1)}
    _write_table(sheet, frame, _WIDTHS)
    for number, line in enumerate(frame.to_dict("records"), start=2):
        # Programs that open a workbook do not all make rows as high as their texts.
        lines = max(len(str(value)) // _WIDTHS[str(name)] + 1 for name, value in line.items())
        sheet.row_dimensions[number].height = 15 * min(lines, 8)
        if line["sheet"] in own_sheets and line["row"]:
            address = line["cell"] or f"A{line['row']}"
            _write_link(sheet.cell(number, columns["cell"]), line["sheet"], address)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{column_letter(len(columns) - 1)}{len(frame) + 1}"
    # With the columns after the suggestion a print would be too small to be read.
    sheet.print_area = f"A1:{column_letter(columns['suggestion'] - 1)}{len(frame) + 1}"


def _write_link(cell: Cell | MergedCell, sheet: str, address: str) -> None:
    _write_text(cell, address)
    quoted = sheet.replace("'", "''")
    cell.font = Font(name="Calibri", color="0B5CAD", underline="single")
    cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"'{quoted}'!{address}")


def _write_table(sheet: Worksheet, frame: pd.DataFrame, widths: Mapping[str, int]) -> None:
    """Write a frame under a header; a severity in the first column is coloured."""
    fills = {style.label: style.fill for style in _STYLES.values()}
    for column, name in enumerate(frame.columns, start=1):
        header = sheet.cell(1, column, name)
        header.font = Font(name="Calibri", bold=True, color="FFFFFF")
        header.fill = PatternFill("solid", fgColor="22384D")
        sheet.column_dimensions[column_letter(column - 1)].width = widths[name]
    for number, line in enumerate(frame.itertuples(index=False, name=None), start=2):
        for column, value in enumerate(line, start=1):
            _write_text(sheet.cell(number, column), value)
        if line[0] in fills:
            sheet.cell(number, 1).fill = PatternFill("solid", fgColor=fills[line[0]])
    sheet.sheet_view.showGridLines = False
    _print_wide(sheet)


def _write_text(cell: Cell | MergedCell, value: object) -> None:
    """Write a value so that a text stays a text, whatever it begins with."""
    cell.alignment = Alignment(horizontal="left", vertical="top", wrap_text=True)
    if isinstance(value, int):
        cell.value = value or None  # a finding of a whole sheet has no row
        return
    cell.value = escape_cell(str(value))
    cell.data_type, cell.number_format = "s", "@"


def _save(workbook: Workbook, path: Path) -> None:
    """Write a workbook in one piece.

    By itself openpyxl leaves an archive open on a full disk, which fails once more, and loudly,
    when Python forgets it.
    """
    content = io.BytesIO()
    workbook.save(content)
    path.write_bytes(content.getbuffer())


def _print_wide(sheet: Worksheet) -> None:
    """Print a sheet fitted to the width of a page, with the header on each page."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    sheet.page_margins = PageMargins(left=0.3, right=0.3, top=0.4, bottom=0.6)
    if (footer := sheet.oddFooter) is not None:
        footer.left.text, footer.right.text = "&A", "Page &P of &N"
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = "1:1"
