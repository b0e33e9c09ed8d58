"""``audit.xlsx``: the whole record as a workbook that anybody can filter, sort and print.

Every text is written as a text cell, so nothing becomes a formula, a number or a link; there is no
formula in the workbook at all. Characters that XML forbids are stored in the notation Excel itself
uses for them (``_x0000_``), so a reader gets back exactly what was in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
import xlsxwriter
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from .. import spec
from ..record import INPUT, Record
from ..spreadsheets import bulk
from ..spreadsheets.bulk import LongSheet, Look
from ..spreadsheets.saving import CUT, fitted, fitting
from . import words
from .words import SHADES, TITLE

#: Excel's own limits: rows under a header, columns.
ROWS, COLUMNS = 1_048_575, 16_384
#: Outcome -> fill: pale tints of ``words.SHADES``.
TINTS: Final = {
    "confirmed": "#CDEBE1",
    "already": "#D9EEFA",
    "claimed": "#FAF3B8",
    "contradicted": "#F2D9E8",
    "failed": "#F9D2B8",
    "blocked": "#FCE4B6",
    "skipped": "#E8EAED",
    "duplicate": "#E8EAED",
    "unknown": "#C9CDD3",
    "pending": "#D3E3F5",
}
_INK, _MUTED, _HEAD, _RULE = "#1F2933", "#5B6773", "#22384D", "#D5DAE0"
_FONT: Final = {"font_name": "Calibri", "font_size": 11, "font_color": _INK}
_STYLES: Final[dict[str, dict[str, Any]]] = {
    "text": {},
    "number": {"align": "right", "indent": 1, "num_format": "#,##0"},
    "plain": {"align": "right", "indent": 1, "num_format": "0"},
    "head": {"bold": True, "font_color": "white", "bg_color": _HEAD, "valign": "vcenter"},
    "title": {"bold": True, "font_size": 18},
    "section": {"bold": True, "font_size": 12, "bottom": 1, "bottom_color": _RULE},
    "lead": {"font_size": 12, "text_wrap": True},
    "name": {"font_color": _MUTED},
}
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "default_format_properties": _FONT,
}
#: A fixed date for a record that has none: the oldest a zip file can hold.
_EPOCH: Final = datetime(1980, 1, 1, tzinfo=UTC)
#: Rows whose texts decide how wide a column is, and the narrowest and widest it can become.
_SAMPLE, _NARROW, _WIDE, _WIDEST = 500, 6, 60, 110
#: Numbers that are names, so without thousands separators; words that are coloured.
_PLAIN: Final = frozenset({"row", "row_key", "header_row"})
_COLOURED: Final = frozenset({"outcome"})


@dataclass
class _Book:
    """A workbook being written: its formats, what had to be cut, and rows to be put in later."""

    book: xlsxwriter.Workbook
    formats: dict[str, Format]
    later: bool
    cuts: list[tuple[str, str]] = field(default_factory=list)
    long: list[LongSheet] = field(default_factory=list)

    def sheet(self, name: str) -> Worksheet:
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&A&RPage &P of &N")
        return sheet


def write(record: Record, path: Path) -> None:
    """Write the workbook; the same record gives the same cells, on every machine.

    Sheets: ``Summary``, ``Rows`` (``Rows (2)`` … beyond Excel's 1,048,575 rows), ``Findings``,
    ``Chunks``, ``Approval``, ``Timeline``, ``Environment``, ``Glossary``. A text longer than Excel
    allows is cut, says so at its end, and is listed on ``Environment``.
    """
    _make(path, TITLE, _created(record), lambda out: _audit(out, record))


def tables(long: Mapping[str, pd.DataFrame], small: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write frames as sheets of their names; the small ones without filter."""

    def content(out: _Book) -> None:
        for name, frame in long.items():
            _table(out, name, frame)
        for name, frame in small.items():
            _stack(out, name, {name: frame})

    _make(path, next(iter(long)), _EPOCH, content)


def _audit(out: _Book, record: Record) -> None:
    _summary(out, record)
    _table(out, "Rows", record.rows)
    _table(out, "Findings", record.findings)
    _table(out, "Chunks", _chunks(record))
    approvals = _first(record.approvals, "at", "reviewer", "valid", "images", "note")
    reviews = _first(record.reviews, "at", "reviewer", "planned", "decided", "reason")
    decided = {"Approvals": approvals, "Decisions changed in review": reviews}
    _stack(out, "Approval", decided, "None.")
    _table(out, "Timeline", record.timeline)
    _environment(out, record)
    _glossary(out)


def _make(path: Path, title: str, created: datetime, content: Callable[[_Book], None]) -> None:
    bulk.make(path, partial(_lay_out, title, created, content))


def _lay_out(
    title: str, created: datetime, content: Callable[[_Book], None], path: Path, *, later: bool
) -> list[LongSheet]:
    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        book.set_properties({"title": title, "created": created})
        styles = _STYLES | {f"is {name}": {"bg_color": tint} for name, tint in TINTS.items()}
        common = _FONT | {"valign": "top"}
        formats = {name: book.add_format(common | own) for name, own in styles.items()}
        out = _Book(book, formats, later)
        content(out)
    return out.long


def _created(record: Record) -> datetime:
    try:
        return datetime.fromisoformat(record.created).astimezone(UTC)
    except ValueError:
        return _EPOCH


# -- tables ------------------------------------------------------------------------------------
def _table(out: _Book, name: str, frame: pd.DataFrame) -> None:
    """Write a frame on a sheet of its own, and on ``<name> (2)`` … what does not fit."""
    for part, start in enumerate(range(0, max(len(frame), 1), ROWS), start=1):
        sheet = out.sheet(name if part == 1 else f"{name} ({part})")
        piece = words.texts(frame.iloc[start : start + ROWS])
        _widths(sheet, [piece], _WIDE)
        end = _fill(out, sheet, piece, top=0)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        if name == "Rows":  # on paper, all columns together would be too small to be read
            sheet.print_area(0, 0, end - 1, list(piece.columns).index("reason"))
        sheet.autofilter(0, 0, end - 1, max(min(frame.shape[1], COLUMNS) - 1, 0))


def _stack(out: _Book, name: str, tables: Mapping[str, pd.DataFrame], nothing: str = "") -> None:
    """Write several small tables below each other, each under its title."""
    sheet = out.sheet(name)
    sheet.hide_gridlines(2)
    plain = {title: words.texts(frame) for title, frame in tables.items()}
    _widths(sheet, list(plain.values()), _WIDEST)
    row = 0
    for title, frame in plain.items():
        sheet.write_string(row, 0, title, out.formats["section"])
        if frame.empty:
            sheet.write_string(row + 1, 0, nothing, out.formats["name"])
            row += 3
        else:
            row = _fill(out, sheet, frame, top=row + 1) + 1


def _fill(out: _Book, sheet: Worksheet, frame: pd.DataFrame, top: int) -> int:
    """Write header and rows from row ``top`` (0 is the first) on; return the row after them."""
    frame = _fit(out, sheet.get_name(), frame, top)
    sheet.set_row(top, 20)
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{ROWS + 1}"})
    for number, header in enumerate(frame.columns):
        sheet.write_string(top, number, fitting(header), out.formats["head"])
    looks = [_look(out, frame[name]) for name in frame.columns]
    if top:
        bulk.put_cells(sheet, frame, looks, top)
    else:
        out.long += bulk.put(sheet, len(out.book.worksheets()), frame, looks, later=out.later)
    return top + 1 + len(frame)


def _look(out: _Book, column: pd.Series) -> Look:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return Look(out.formats["plain" if column.name in _PLAIN else "number"])
    if column.name in _COLOURED:
        return Look(out.formats["text"], {name: out.formats[f"is {name}"] for name in TINTS})
    return Look(out.formats["name" if str(column.name).startswith(INPUT) else "text"])


def _widths(sheet: Worksheet, frames: list[pd.DataFrame], widest: int) -> None:
    """Make columns as wide as their header and their first texts need."""
    widths: dict[int, int] = {}
    for frame in frames:
        sample = frame.head(_SAMPLE).astype("str")
        for number, name in enumerate(frame.columns[:COLUMNS]):
            longest = sample[name].str.len().max() if len(sample) else 0
            width = max(len(name) + 4, int(longest) + 2, widths.get(number, _NARROW))
            widths[number] = min(width, widest)
    for number, width in widths.items():
        sheet.set_column(number, number, width)


def _fit(out: _Book, sheet: str, frame: pd.DataFrame, top: int) -> pd.DataFrame:
    """Cut what Excel cannot hold, and note where."""
    if frame.shape[1] > COLUMNS:
        out.cuts.append((sheet, f"columns {COLUMNS + 1:,} to {frame.shape[1]:,} are left out"))
        frame = frame.iloc[:, :COLUMNS]
    frame, cuts = fitted(frame)
    for row, column in cuts:
        cell = xl_rowcol_to_cell(row + top + 1, column)
        out.cuts.append((f"{sheet}!{cell}", f"{frame.columns[column]}: {CUT}"))
    return frame


# -- sheets ------------------------------------------------------------------------------------
def _summary(out: _Book, record: Record) -> None:
    sheet = out.sheet("Summary")
    sheet.hide_gridlines(2)
    for number, width in enumerate((26, 16, 104)):
        sheet.set_column(number, number, width)
    sheet.set_portrait()
    sheet.fit_to_pages(1, 1)
    sheet.set_row(0, 30)
    sheet.write_string(0, 0, TITLE, out.formats["title"])
    sheet.set_row(1, 36)
    sheet.merge_range(1, 0, 1, 2, words.headline(record), out.formats["lead"])
    row = 3
    for title, lines in _sections(record).items():
        for number, text in enumerate((title, "", "")):
            sheet.write(row, number, text, out.formats["section"])
        for line in lines:
            row += 1
            _line(out, sheet, row, line)
        if title == "Outcomes":
            total = row
        row += 2
    sheet.insert_chart(row, 0, _chart(out, total, len(record.counts)))


def _line(out: _Book, sheet: Worksheet, row: int, line: tuple[str, str | int, str]) -> None:
    name, value, meaning = line
    style = out.formats[f"is {name}" if name in TINTS else "name"]
    sheet.write_string(row, 0, name, style)
    if isinstance(value, int):
        sheet.write_number(row, 1, value, out.formats["number"])
    else:
        sheet.write_string(row, 1, fitting(value), out.formats["text"])
    if meaning:
        sheet.write_string(row, 2, meaning, out.formats["text"])


def _sections(record: Record) -> dict[str, list[tuple[str, str | int, str]]]:
    """Return the Summary: title -> lines of name, value and meaning."""
    sources = record.sources
    counts: list[tuple[str, str | int, str]] = [
        (name, count, spec.OUTCOMES[name]) for name, count in record.counts.items()
    ]
    return {
        "The run": [(name, value, "") for name, value in words.facts(record).items()],
        "Input": [
            (file, rows, f"rows on sheet {sheet!r}; SHA-256 of the file {sha256}")
            for file, rows, sheet, sha256 in zip(
                *(sources[name].tolist() for name in ("file", "rows", "sheet", "sha256")),
                strict=True,
            )
        ],
        "Outcomes": [*counts, ("all rows", sum(record.counts.values()), "")],
        "Requests": [
            (name, count, words.REQUESTS.get(name, "")) for name, count in record.requests.items()
        ],
    }


def _chart(out: _Book, total: int, outcomes: int) -> Chart:
    """Return a bar chart of the outcomes; ``total`` is the row (from 0) that holds their sum."""
    chart = out.book.add_chart({"type": "bar"})
    first = total - outcomes
    chart.add_series(
        {
            "categories": ["Summary", first, 0, total - 1, 0],
            "values": ["Summary", first, 1, total - 1, 1],
            "points": [{"fill": {"color": SHADES[name]}} for name in spec.OUTCOMES],
            "data_labels": {"value": True, "num_format": "#,##0"},
            "gap": 40,
        }
    )
    chart.set_title({"name": "Rows by outcome", "name_font": {"size": 12, "color": _INK}})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "line": {"none": True}, "num_font": {"color": _INK}})
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
    chart.set_size({"width": 900, "height": 360})
    chart.set_chartarea({"border": {"color": _RULE}})
    return chart


def _chunks(record: Record) -> pd.DataFrame:
    """Return the chunks with an empty cell where no HTTP status came."""
    return record.chunks.assign(http=record.chunks["http"].astype("str").replace("0", ""))


def _first(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Return the frame with these columns before the others."""
    return frame[[*names, *(name for name in frame.columns if name not in names)]]


def _environment(out: _Book, record: Record) -> None:
    tables = {
        "Environment": _pairs(record.environment.items(), "name", "value"),
        "Sources": record.sources,
        "Values this workbook cannot hold in full": _pairs(out.cuts, "cell", "what"),
    }
    _stack(out, "Environment", tables, "None.")


def _glossary(out: _Book) -> None:
    tables = {title: _pairs(pairs, "word", "meaning") for title, pairs in words.GLOSSARY.items()}
    _stack(out, "Glossary", tables)


def _pairs(pairs: Iterable[tuple[str, str]], *names: str) -> pd.DataFrame:
    return pd.DataFrame(list(pairs), columns=list(names), dtype="str")
