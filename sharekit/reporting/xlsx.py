"""``audit.xlsx``: the whole record as a workbook that anybody can filter, sort and print.

Every text is written as a text cell, so nothing becomes a formula, a number or a link; there is no
formula in the workbook at all. Characters that XML forbids are stored in the notation Excel itself
uses for them (``_x0000_``), so a reader gets back exactly what was in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xlsxwriter
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from .. import spec
from ..record import INPUT, Record
from . import words
from .words import SHADES, TITLE

#: Excel's own limits: UTF-16 units in a cell, rows under a header, columns.
CELL, ROWS, COLUMNS = 32_767, 1_048_575, 16_384
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
_CUT: Final = f"cut to the {CELL:,} characters a cell can hold"
#: Numbers that are names, so without thousands separators; words that are coloured.
_PLAIN: Final = frozenset({"row", "row_key", "header_row"})
_COLOURED: Final = frozenset({"outcome"})


@dataclass
class _Book:
    """A workbook being written, its formats, and what had to be cut."""

    book: xlsxwriter.Workbook
    formats: dict[str, Format]
    cuts: list[tuple[str, str]] = field(default_factory=list)

    def sheet(self, name: str) -> Worksheet:
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&A&RPage &P of &N")
        return sheet


def write(record: Record, path: Path) -> None:
    """Write the workbook; the same record gives the same cells, on every machine.

    Sheets: ``Summary``, ``Rows`` (``Rows 2`` … beyond Excel's 1,048,575 rows), ``Findings``,
    ``Chunks``, ``Approval``, ``Timeline``, ``Environment``, ``Glossary``. A text longer than Excel
    allows is cut, says so at its end, and is listed on ``Environment``.
    """
    with _opened(path, TITLE, _created(record)) as out:
        _summary(out, record)
        _table(out, "Rows", record.rows)
        _table(out, "Findings", record.findings)
        _table(out, "Chunks", _chunks(record))
        _stack(
            out,
            "Approval",
            {
                "Approvals": _first(record.approvals, "at", "reviewer", "valid", "images", "note"),
                "Decisions changed in review": _first(
                    record.reviews, "at", "reviewer", "planned", "decided", "reason"
                ),
            },
            "None.",
        )
        _table(out, "Timeline", record.timeline)
        _environment(out, record)
        _glossary(out)


def table(name: str, frame: pd.DataFrame, path: Path) -> None:
    """Write one frame as a workbook with one sheet of that name."""
    with _opened(path, name, _EPOCH) as out:
        _table(out, name, frame)


@contextmanager
def _opened(path: Path, title: str, created: datetime) -> Iterator[_Book]:
    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        book.set_properties({"title": title, "created": created})
        styles = _STYLES | {f"is {name}": {"bg_color": tint} for name, tint in TINTS.items()}
        common = _FONT | {"valign": "top"}
        yield _Book(book, {name: book.add_format(common | own) for name, own in styles.items()})


def _created(record: Record) -> datetime:
    try:
        return datetime.fromisoformat(record.created).astimezone(UTC)
    except ValueError:
        return _EPOCH


# -- tables ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Column:
    """How one column is written: the call, the cells, the format of a value (``None``: others)."""

    write: Callable[..., int]
    cells: list[Any]
    formats: dict[Any, Format]


def _table(out: _Book, name: str, frame: pd.DataFrame) -> None:
    """Write a frame on a sheet of its own, and on ``<name> 2`` … what does not fit."""
    for part, start in enumerate(range(0, max(len(frame), 1), ROWS), start=1):
        sheet = out.sheet(name if part == 1 else f"{name} {part}")
        piece = words.texts(frame.iloc[start : start + ROWS])
        _widths(sheet, [piece], _WIDE)
        end = _fill(out, sheet, piece, top=0)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
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
        sheet.write_string(top, number, _cut(header), out.formats["head"])
    columns = [_column(out, sheet, frame[name]) for name in frame.columns]
    # xlsxwriter has no bulk call, and in its constant-memory mode wants one row after the other.
    lines = zip(*(column.cells for column in columns), strict=True)
    for row, cells in enumerate(lines, start=top + 1):
        for number, (cell, column) in enumerate(zip(cells, columns, strict=True)):
            if cell != "":
                style = column.formats.get(cell) or column.formats[None]
                column.write(row, number, cell, style)
    return top + 1 + len(frame)


def _column(out: _Book, sheet: Worksheet, column: pd.Series) -> _Column:
    formats: dict[Any, Format] = {None: out.formats["text"]}
    if pd.api.types.is_numeric_dtype(column.dtype):
        formats[None] = out.formats["plain" if column.name in _PLAIN else "number"]
        return _Column(sheet.write_number, column.tolist(), formats)
    if column.name in _COLOURED:
        formats |= {name: out.formats[f"is {name}"] for name in TINTS}
    elif str(column.name).startswith(INPUT):
        formats[None] = out.formats["name"]
    return _Column(sheet.write_string, column.tolist(), formats)


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
    for number, name in enumerate(frame.columns):
        if pd.api.types.is_numeric_dtype(frame[name].dtype):
            continue
        # A character is one or two of the units that Excel counts.
        long = np.flatnonzero(frame[name].str.len().to_numpy() > CELL // 2)
        short = frame[name].iloc[long].map(_cut)
        rows = long[(short != frame[name].iloc[long]).to_numpy()]
        if len(rows):
            frame = frame.assign(**{name: frame[name].where(~frame.index.isin(short.index), short)})
            at = [xl_rowcol_to_cell(int(row) + top + 1, number) for row in rows]
            out.cuts += [(f"{sheet}!{cell}", f"{name}: {_CUT}") for cell in at]
    return frame


def _cut(text: str) -> str:
    """Return the text as it is, or shortened to Excel's limit with a mark that says so."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * CELL:
        return text
    mark = f" … [{_CUT}; all of it: {len(units) // 2:,}]"
    return units[: 2 * (CELL - len(mark))].decode("utf-16-le", "ignore") + mark


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
        sheet.write_string(row, 1, _cut(value), out.formats["text"])
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
