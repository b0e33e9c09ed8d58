"""A workbook under construction: its look, its tables, what of a value a cell cannot hold.

Every text is written as a text cell, so nothing becomes a formula, a number or a link to elsewhere;
there is no formula in the workbook at all. Links lead to other cells of the same workbook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from numpy.typing import NDArray
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.outcomes import OUTCOMES, tint
from sharekit.spreadsheets.writing import fast_xlsx
from sharekit.spreadsheets.writing.fast_xlsx import ColumnFormat, LongSheet
from sharekit.spreadsheets.writing.safe_cells import TRUNCATED, truncate, truncate_frame

from . import words

#: Excel's own limits: rows under a header, columns.
ROWS, COLUMNS = 1_048_575, 16_384
#: Outcome -> fill: a pale tint of its colour.
TINTS: Final = {name: tint(outcome.color) for name, outcome in OUTCOMES.items()}
#: Word of a coloured column -> fill.
FILLS: Final = TINTS | {name: TINTS[outcome] for name, outcome in words.LOOKS.items()}
INK, _MUTED, _HEAD, RULE, _LINK = "#1F2933", "#5B6773", "#22384D", "#D5DAE0", "#0B5CAD"
_FONT: Final = {"font_name": "Calibri", "font_size": 11, "font_color": INK}
_STYLES: Final[dict[str, dict[str, Any]]] = {
    "text": {},
    "number": {"align": "right", "indent": 1, "num_format": "#,##0"},
    "plain": {"align": "right", "indent": 1, "num_format": "0"},
    "head": {"bold": True, "font_color": "white", "bg_color": _HEAD, "valign": "vcenter"},
    "title": {"bold": True, "font_size": 18},
    "section": {"bold": True, "font_size": 12, "bottom": 1, "bottom_color": RULE},
    "lead": {"font_size": 12, "text_wrap": True},
    "name": {"font_color": _MUTED},
    "wrapped": {"text_wrap": True},
    "link": {"font_color": _LINK},
    "way": {"font_color": _LINK, "align": "right", "indent": 1, "num_format": "#,##0"},
    "story": {"bold": True, "bg_color": "#EEF1F4"},
}
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "default_format_properties": _FONT,
}
#: A fixed date for a record that has none: the oldest a zip file can hold.
EPOCH: Final = datetime(1980, 1, 1, tzinfo=UTC)
#: Rows whose texts decide how wide a column is, and the narrowest and widest it can become.
_SAMPLE, _NARROW, _WIDE, _WIDEST = 500, 6, 44, 90
#: Height of a line of text.
LINE: Final = 15
#: Points that A4 has between these margins, across and down; points of a digit's width, and of a
#: column besides.
_UPRIGHT, _LYING, _DIGIT, _GAP = (523, 748), (770, 502), 5.25, 3.75
#: What sticks out by so much of a page is drawn in, up to so many pages.
_DRAWN_IN, _PAGES = 0.4, 20
#: Numbers that are names, so without thousands separators; words that are coloured.
_PLAIN: Final = frozenset({"row", "row_key", "header_row"})
_COLOURED: Final = frozenset({"outcome", "result", "result_was", "result_now"})


@dataclass
class Book:
    """A workbook being written: its formats, what had to be cut, and rows to be put in later."""

    book: xlsxwriter.Workbook
    formats: dict[str, Format]
    later: bool
    cuts: list[tuple[str, str]] = field(default_factory=list)
    long: list[LongSheet] = field(default_factory=list)

    def sheet(self, name: str, *, portrait: bool = False) -> Worksheet:
        """Add a sheet, set up for A4, as wide as the page."""
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(9)
        sheet.set_portrait() if portrait else sheet.set_landscape()
        sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.7)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&A&RPage &P of &N")
        return sheet


def draw_in(sheet: Worksheet, widths: Iterable[int], height: float) -> None:
    """Let a sheet that sticks out by a few lines, in points, end with the page before."""
    across, down = _UPRIGHT if sheet.orientation else _LYING
    scale = min(1.0, across / sum(_DIGIT * width + _GAP for width in widths))
    whole = int(pages := height * scale / down)
    if 1 <= whole <= _PAGES and pages - whole <= _DRAWN_IN:
        sheet.fit_to_pages(1, whole)


def make(path: Path, title: str, created: datetime, content: Callable[[Book], None]) -> None:
    """Write a workbook whose sheets ``content`` adds; the same content gives the same cells."""
    fast_xlsx.write_workbook(path, partial(_lay_out, title, created, content))


def _lay_out(
    title: str, created: datetime, content: Callable[[Book], None], path: Path, *, later: bool
) -> list[LongSheet]:
    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        book.set_properties({"title": title, "created": created})
        styles = _STYLES | {f"is {name}": {"bg_color": tint} for name, tint in FILLS.items()}
        common = _FONT | {"valign": "top"}
        formats = {name: book.add_format(common | own) for name, own in styles.items()}
        out = Book(book, formats, later)
        content(out)
    return out.long


def table(
    out: Book, name: str, frame: pd.DataFrame, ways: Mapping[str, Mapping[int, str]] | None = None
) -> list[Worksheet]:
    """Write a frame on a sheet of its own, and on ``<name> (2)`` … what does not fit.

    ``ways`` are, for a column, positions of rows and the place of the workbook they lead to.
    """
    sheets = []
    for part, start in enumerate(range(0, max(len(frame), 1), ROWS), start=1):
        sheet = out.sheet(name if part == 1 else f"{name} ({part})")
        sheets.append(sheet)
        piece = words.texts(frame.iloc[start : start + ROWS])
        widths = _widths(sheet, [piece], _WIDE)
        end = fill(out, sheet, piece, top=0, ways=None if start else ways)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        if name == "Rows":  # on paper, all columns together would be too small to be read
            last = list(piece.columns).index("observed")
            sheet.print_area(0, 0, end - 1, last)
            widths = {n: width for n, width in widths.items() if n <= last}
        draw_in(sheet, widths.values(), LINE * (end + 1))
        sheet.autofilter(0, 0, end - 1, max(min(frame.shape[1], COLUMNS) - 1, 0))
    return sheets


def stack(out: Book, sheet: Worksheet, tables: Mapping[str, pd.DataFrame], none: str = "") -> None:
    """Write small tables below each other, each under its title; ``none`` in place of rows."""
    sheet.hide_gridlines(2)
    plain = {title: words.texts(frame) for title, frame in tables.items()}
    widths = _widths(sheet, list(plain.values()), _WIDEST)
    row, height = 0, 0
    for title, frame in plain.items():
        sheet.write_string(row, 0, truncate(title), out.formats["section"])
        if frame.empty:
            sheet.write_string(row + 1, 0, none, out.formats["name"])
            row += 3
        else:
            heights = _heights(frame, widths)
            row = fill(out, sheet, frame, top=row + 1, heights=heights) + 1
            height += LINE * sum(lines - 1 for lines in heights)
    if widths:
        draw_in(sheet, widths.values(), height + LINE * row)


def fill(
    out: Book,
    sheet: Worksheet,
    frame: pd.DataFrame,
    top: int,
    ways: Mapping[str, Mapping[int, str]] | None = None,
    heights: Sequence[int] = (),
) -> int:
    """Write header and rows from row ``top`` (0 is the first) on; return the row after them."""
    frame = _fit(out, sheet.get_name(), frame, top)
    sheet.set_row(top, 20)
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{ROWS + 1}"})
    for row, lines in enumerate(heights, top + 1):
        sheet.set_row(row, LINE * lines)
    for number, header in enumerate(frame.columns):
        sheet.write_string(top, number, truncate(header), out.formats["head"])
    looks = [_look(out, frame[name], wrapped=top > 0, way=name in (ways or {})) for name in frame]
    columns = {name: number for number, name in enumerate(frame.columns)}
    links = {
        (top + 1 + row, columns[name]): place
        for name, places in (ways or {}).items()
        for row, place in places.items()
    }
    if top:
        fast_xlsx.write_cells(sheet, frame, looks, top, links)
    else:
        out.long += fast_xlsx.add_rows(sheet, sheet.index + 1, frame, looks, links, later=out.later)
    return top + 1 + len(frame)


def _look(out: Book, column: pd.Series, *, wrapped: bool, way: bool) -> ColumnFormat:
    if pd.api.types.is_numeric_dtype(column.dtype):
        usual = "way" if way else "plain" if column.name in _PLAIN else "number"
        return ColumnFormat(out.formats[usual])
    if column.name in _COLOURED:
        return ColumnFormat(
            out.formats["text"], {name: out.formats[f"is {name}"] for name in FILLS}
        )
    original = str(column.name).startswith(INPUT_PREFIX)
    return ColumnFormat(out.formats["name" if original else "wrapped" if wrapped else "text"])


def _heights(frame: pd.DataFrame, widths: Mapping[int, int]) -> list[int]:
    """Return how many lines of text each row needs: no program tells it to another."""
    lines = [lines_of(frame[name], widths[n]) for n, name in enumerate(frame.columns)]
    most: list[int] = np.maximum.reduce(lines).tolist()
    return most


def lines_of(texts: pd.Series | Sequence[str], width: int) -> NDArray[np.int64]:
    """Return how many lines texts need in a column of this width (digits), ten at the most."""
    lines: NDArray[np.int64] = np.minimum(_lengths(texts) // (width * 1.15) + 1, 10).astype("int64")
    return lines


def _lengths(texts: pd.Series | Sequence[str]) -> NDArray[np.int64]:
    plain = texts.astype("str").array if isinstance(texts, pd.Series) else texts
    told = pc.utf8_length(pa.array(plain, pa.large_string()))
    return np.asarray(pc.fill_null(told, 0), dtype=np.int64)


def _widths(sheet: Worksheet, frames: list[pd.DataFrame], widest: int) -> dict[int, int]:
    """Make columns as wide as their header and their first texts need."""
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


def _fit(out: Book, sheet: str, frame: pd.DataFrame, top: int) -> pd.DataFrame:
    """Cut what Excel cannot hold, and note where."""
    if frame.shape[1] > COLUMNS:
        out.cuts.append((sheet, f"columns {COLUMNS + 1:,} to {frame.shape[1]:,} are left out"))
        frame = frame.iloc[:, :COLUMNS]
    frame, cuts = truncate_frame(frame)
    for row, column in cuts:
        cell = xl_rowcol_to_cell(row + top + 1, column)
        out.cuts.append((f"{sheet}!{cell}", f"{frame.columns[column]}: {TRUNCATED}"))
    return frame


def pairs(told: Iterable[tuple[str, str]], *names: str) -> pd.DataFrame:
    """Return pairs of texts as a frame with these two columns."""
    return pd.DataFrame(list(told), columns=list(names), dtype="str")
