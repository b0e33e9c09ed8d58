"""A report as a workbook that anybody can filter, sort and print.

Every text is written as a text cell, so nothing becomes a formula, a number or a link to elsewhere;
there is no formula in the workbook at all. Links lead to other cells of the same workbook.
Characters that XML forbids are stored in the notation Excel itself uses for them (``_x0000_``), so
that a reader gets back exactly what was in the ledger. A text longer than Excel allows is cut, says
so at its end, and is listed among the notes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from numpy.typing import NDArray
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from sharekit.core.columns import STR
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.outcomes import tint
from sharekit.reports.document import Line, Notes, ReportDocument, Section, Table, Target
from sharekit.reports.wording import as_text, pairs
from sharekit.spreadsheets.writing import fast_xlsx
from sharekit.spreadsheets.writing.fast_xlsx import ColumnFormat, LongSheet
from sharekit.spreadsheets.writing.safe_cells import TRUNCATED, truncate, truncate_frame

#: Excel's own limits: rows under a header, columns.
ROWS, COLUMNS = 1_048_575, 16_384
INK, _MUTED, _HEAD, RULE, _LINK = "#1F2933", "#5B6773", "#22384D", "#D5DAE0", "#0B5CAD"
_FONT: Final = {"font_name": "Calibri", "font_size": 11, "font_color": INK, "valign": "top"}
_NUMBER: Final = {"align": "right", "indent": 1, "num_format": "#,##0"}
_STYLES: Final[dict[str, dict[str, Any]]] = {
    "text": {},
    "number": _NUMBER,
    "plain": _NUMBER | {"num_format": "0"},
    "head": {"bold": True, "font_color": "white", "bg_color": _HEAD, "valign": "vcenter"},
    "title": {"bold": True, "font_size": 18},
    "section": {"bold": True, "font_size": 12, "bottom": 1, "bottom_color": RULE},
    "lead": {"font_size": 12, "text_wrap": True},
    "name": {"font_color": _MUTED},
    "wrapped": {"text_wrap": True},
    "link": {"font_color": _LINK},
    "number link": _NUMBER | {"font_color": _LINK},
}
_OPTIONS: Final = {**fast_xlsx.OPTIONS, "default_format_properties": _FONT}
#: A fixed date for a report that has none: the oldest a zip file can hold.
EPOCH: Final = datetime(1980, 1, 1, tzinfo=UTC)
#: Rows whose texts decide how wide a column is, and the narrowest and widest it can become, in a
#: table and in notes.
_SAMPLE, _NARROW, _WIDE, _WIDEST = 500, 6, 44, 90
#: Widths of a summary's columns, and rows that its chart covers.
_SUMMARY_WIDTHS, _CHART_ROWS = (22, 12, 88), 14
#: Points of a line of text, and most lines of a cell that are shown.
_LINE, _MOST_LINES = 15, 10
#: Numbers that are names, so without thousands separators; columns whose words are coloured.
_NAMES: Final = frozenset({"row", "row_key", "header_row"})
_COLORED: Final = frozenset({"outcome", "result", "result_was", "result_now"})
_OTHER_SHEETS: Final = "The other sheets"


@dataclass
class _Workbook:
    """A workbook being written: its formats, what had to be cut, and rows to be put in later."""

    workbook: xlsxwriter.Workbook
    formats: dict[str, Format]
    colors: Mapping[str, str]
    #: Format of each coloured word.
    words: dict[str, Format]
    #: Name of each table -> its columns.
    columns: dict[str, list[str]]
    later: bool
    cuts: list[tuple[str, str]] = field(default_factory=list)
    long: list[LongSheet] = field(default_factory=list)

    def add_sheet(self, name: str, *, portrait: bool = False) -> Worksheet:
        """Add a sheet that is printed on A4, as wide as the page."""
        sheet = self.workbook.add_worksheet(name)
        sheet.set_paper(9)
        sheet.set_portrait() if portrait else sheet.set_landscape()
        sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.7)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&A&RPage &P of &N")
        return sheet

    def address(self, target: Target) -> str:
        """Return where a target is: in a table of several sheets on the one that holds its line."""
        part, row = divmod(max(target.line, 0), ROWS)
        name = f"{target.table} ({part + 1})" if part else target.table
        column = self.columns[target.table].index(target.column) if target.column else 0
        return f"'{name}'!{xl_col_to_name(column)}{row + (1 if target.line < 0 else 2)}"


def write(document: ReportDocument, path: Path, like: zipfile.ZipFile | None = None) -> bool:
    """Write the workbook; the same document gives the same cells, on every machine.

    A table continues on ``<name> (2)`` … beyond Excel's 1,048,575 rows. With ``like``, a workbook,
    nothing is written, and True returned if that has the very same parts.
    """
    try:
        created = datetime.fromisoformat(document.created).astimezone(UTC)
    except ValueError:
        created = EPOCH
    if document.inventory is not None:
        return write_sheets(
            document.inventory(), path, document.title, created, document.colors, like=like
        )
    sections, sheets = [*document.sections()], document.sheets()
    notes = [Line(sheet.name, "", sheet.note, Target(sheet.name)) for sheet in sheets if sheet.note]
    if notes:
        sections.append(Section(_OTHER_SHEETS, notes))

    def summary(out: _Workbook) -> None:
        _summary(out, document.title, document.headline, sections)

    return write_sheets(sheets, path, document.title, created, document.colors, summary, like)


def write_sheets(
    sheets: Sequence[Table | Notes],
    path: Path,
    title: str,
    created: datetime = EPOCH,
    colors: Mapping[str, str] = MappingProxyType({}),
    summary: Callable[[_Workbook], None] = lambda _: None,
    like: zipfile.ZipFile | None = None,
) -> bool:
    """Write a workbook of tables and notes, after a summary if there is one.

    ``like`` is that of :func:`write`.
    """

    def lay_out(path: Path, *, later: bool) -> list[LongSheet]:
        with xlsxwriter.Workbook(str(path), _OPTIONS) as workbook:
            workbook.set_properties({"title": title, "created": created})
            formats = {name: workbook.add_format(_FONT | own) for name, own in _STYLES.items()}
            words = {
                word: workbook.add_format(_FONT | {"bg_color": tint(color)})
                for word, color in colors.items()
            }
            columns = {
                one.name: one.frame.columns.tolist() for one in sheets if isinstance(one, Table)
            }
            out = _Workbook(workbook, formats, colors, words, columns, later)
            summary(out)
            _write_sheets(out, sheets)
        return out.long

    return fast_xlsx.write_workbook(path, lay_out, like)


def _write_sheets(out: _Workbook, sheets: Sequence[Table | Notes]) -> None:
    last = []  # what was cut is known at the end
    for sheet in sheets:
        if isinstance(sheet, Table):
            _table(out, sheet)
            continue
        worksheet = out.add_sheet(sheet.name, portrait=sheet.portrait)
        if sheet.cuts:
            last.append((worksheet, sheet))
        else:
            _notes(out, worksheet, sheet.tables)
    for worksheet, sheet in last:
        cuts = {"Values this workbook cannot hold in full": pairs(out.cuts, "cell", "what")}
        _notes(out, worksheet, {**sheet.tables, **cuts})


# -- the summary -------------------------------------------------------------------------------
def _summary(out: _Workbook, title: str, headline: str, sections: Sequence[Section]) -> None:
    sheet = out.add_sheet("Summary", portrait=True)
    sheet.hide_gridlines(2)
    for number, width in enumerate(_SUMMARY_WIDTHS):
        sheet.set_column(number, number, width)
    sheet.set_row(0, 30)
    sheet.write_string(0, 0, title, out.formats["title"])
    sheet.set_row(1, 36)
    sheet.merge_range(1, 0, 1, 2, headline, out.formats["lead"])
    row = 3
    for section in sections:
        for number, text in enumerate((section.title, "", "")):
            sheet.write(row, number, text, out.formats["section"])
        first = row + 1
        for row, line in enumerate(section.lines, first):
            _line(out, sheet, row, line)
        row += 2
        if section.bars and section.total:
            colors = [out.colors[line.name] for line in section.lines[:-1]]
            sheet.insert_chart(row - 1, 0, _chart(out, section.bars, first, row - 3, colors))
            row += _CHART_ROWS


def _line(out: _Workbook, sheet: Worksheet, row: int, line: Line) -> None:
    link = None if line.target is None else f"internal:{out.address(line.target)}"
    usual = out.formats["link" if link else "name"]
    style = out.words.get(line.name, usual)
    if link:
        sheet.write_url(row, 0, link, style, truncate(line.name))
        sheet.write_url(row, 1, link, string="–")
    sheet.write_string(row, 0, truncate(line.name), style)
    if isinstance(line.value, int):
        sheet.write_number(row, 1, line.value, out.formats["number link" if link else "number"])
    else:
        sheet.write_string(row, 1, truncate(line.value), out.formats["text"])
    if line.meaning:
        sheet.set_row(row, _LINE * int(_line_counts([line.meaning], _SUMMARY_WIDTHS[2])[0]))
        sheet.write_string(row, 2, truncate(line.meaning), out.formats["wrapped"])


def _chart(out: _Workbook, title: str, first: int, last: int, colors: Sequence[str]) -> Chart:
    """Return a bar chart of the lines of a summary from one row to another."""
    chart = out.workbook.add_chart({"type": "bar"})
    chart.add_series(
        {
            "categories": ["Summary", first, 0, last, 0],
            "values": ["Summary", first, 1, last, 1],
            "points": [{"fill": {"color": color}} for color in colors],
            "data_labels": {"value": True, "num_format": "#,##0"},
            "gap": 40,
        }
    )
    chart.set_title({"name": title, "name_font": {"size": 12, "color": INK}})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "line": {"none": True}, "num_font": {"color": INK}})
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
    chart.set_size({"width": 860, "height": 270})
    chart.set_chartarea({"border": {"color": RULE}})
    return chart


# -- tables and notes --------------------------------------------------------------------------
def _table(out: _Workbook, table: Table) -> None:
    """Write a table on a sheet of its own, and on further ones what does not fit."""
    for part, start in enumerate(range(0, max(len(table.frame), 1), ROWS), start=1):
        sheet = out.add_sheet(table.name if part == 1 else f"{table.name} ({part})")
        frame = as_text(table.frame.iloc[start : start + ROWS])
        columns = frame.columns.tolist()
        _set_widths(sheet, [frame], _WIDE)
        end = _fill(out, sheet, frame, links={} if start else table.links)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        if table.printed_through:  # on paper, all columns together would be too small to be read
            sheet.print_area(0, 0, end - 1, columns.index(table.printed_through))
        sheet.autofilter(0, 0, end - 1, max(min(len(columns), COLUMNS) - 1, 0))
        for name, choices in table.choices.items():
            sheet.data_validation(1, columns.index(name), ROWS, columns.index(name), {
                "validate": "list", "source": list(choices), "error_title": "Please choose",
                "error_message": f"Choose one of: {', '.join(choices)}.",
            })  # fmt: skip


def _notes(out: _Workbook, sheet: Worksheet, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write small tables below each other, each under its title."""
    sheet.hide_gridlines(2)
    frames = {title: as_text(frame) for title, frame in tables.items()}
    widths = _set_widths(sheet, list(frames.values()), _WIDEST)
    row = 0
    for title, frame in frames.items():
        sheet.write_string(row, 0, truncate(title), out.formats["section"])
        if frame.empty:
            sheet.write_string(row + 1, 0, "None.", out.formats["name"])
            row += 3
        else:
            counts = [_line_counts(frame[name], widths[n]) for n, name in enumerate(frame)]
            for number, lines in enumerate(np.maximum.reduce(counts).tolist(), row + 2):
                sheet.set_row(number, _LINE * lines)
            row = _fill(out, sheet, frame, top=row + 1) + 1


def _fill(
    out: _Workbook,
    sheet: Worksheet,
    frame: pd.DataFrame,
    top: int = 0,
    links: Mapping[str, Mapping[int, Target]] = MappingProxyType({}),
) -> int:
    """Write header and rows from row ``top`` (0 is the first) on; return the row after them."""
    frame = _truncate(out, sheet.get_name(), frame, top)
    sheet.set_row(top, 20)
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{ROWS + 1}"})
    columns = frame.columns.tolist()
    for number, name in enumerate(columns):
        sheet.write_string(top, number, truncate(name), out.formats["head"])
    formats = [_format(out, frame[name], wrapped=top > 0, linked=name in links) for name in columns]
    addresses = {
        (top + 1 + line, columns.index(name)): out.address(target)
        for name, targets in links.items()
        for line, target in targets.items()
    }
    if top:
        fast_xlsx.write_cells(sheet, frame, formats, top, addresses)
    else:
        position = sheet.index + 1
        out.long += fast_xlsx.add_rows(sheet, position, frame, formats, addresses, later=out.later)
    return top + 1 + len(frame)


def _format(out: _Workbook, column: pd.Series, *, wrapped: bool, linked: bool) -> ColumnFormat:
    name = str(column.name)
    if pd.api.types.is_numeric_dtype(column.dtype):
        usual = "number link" if linked else "plain" if name in _NAMES else "number"
        return ColumnFormat(out.formats[usual])
    if name in _COLORED:
        return ColumnFormat(out.formats["text"], out.words)
    original = name.startswith(INPUT_PREFIX)
    return ColumnFormat(out.formats["name" if original else "wrapped" if wrapped else "text"])


def _truncate(out: _Workbook, sheet: str, frame: pd.DataFrame, top: int) -> pd.DataFrame:
    """Cut what Excel cannot hold, and note where."""
    if frame.shape[1] > COLUMNS:
        out.cuts.append((sheet, f"columns {COLUMNS + 1:,} to {frame.shape[1]:,} are left out"))
        frame = frame.iloc[:, :COLUMNS]
    frame, cuts = truncate_frame(frame)
    for row, column in cuts:
        cell = xl_rowcol_to_cell(row + top + 1, column)
        out.cuts.append((f"{sheet}!{cell}", f"{frame.columns[column]}: {TRUNCATED}"))
    return frame


def _set_widths(sheet: Worksheet, frames: Sequence[pd.DataFrame], widest: int) -> dict[int, int]:
    """Make columns as wide as their header and their first texts need; return the widths."""
    widths: dict[int, int] = {}
    for frame in frames:
        sample = frame.head(_SAMPLE)
        for number, name in enumerate(frame.columns[:COLUMNS]):
            longest = int(_lengths(sample[name]).max(initial=0))
            width = max(len(name) + 4, longest + 2, widths.get(number, _NARROW))
            widths[number] = min(width, widest)
    for number, width in widths.items():
        sheet.set_column(number, number, width)
    return widths


def _line_counts(texts: pd.Series | Sequence[str], width: int) -> NDArray[np.int64]:
    """Return how many lines texts need in a column of this width (digits), within bounds.

    Row heights must be set, because Excel does not compute them when it opens a workbook. A letter
    is narrower than a digit by about 15 % (Calibri).
    """
    lines = np.minimum(_lengths(texts) // (width * 1.15) + 1, _MOST_LINES)
    return np.asarray(lines, dtype=np.int64)


def _lengths(texts: pd.Series | Sequence[str]) -> NDArray[np.int64]:
    plain = texts.astype(STR).array if isinstance(texts, pd.Series) else texts
    lengths = pc.utf8_length(pa.array(plain, pa.large_string()))
    return np.asarray(pc.fill_null(lengths, 0), dtype=np.int64)
