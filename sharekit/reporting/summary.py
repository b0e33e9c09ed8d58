"""What is read first in ``audit.xlsx``: Summary, and By outcome, where its numbers lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from xlsxwriter.chart import Chart
from xlsxwriter.worksheet import Worksheet

from .. import spec
from ..record import Record
from ..spreadsheets.saving import fitting
from . import book, words
from .book import FILLS, INK, RULE, Book
from .stories import Stories
from .words import SHADES, TITLE

#: Rows that By outcome lists, shared out among the stories; lines of a section of Summary.
LISTED: Final = 1_000
_LINES: Final = 200
#: Columns of By outcome that come from Rows.
_COLUMNS: Final = (
    "file", "sheet", "row", "image_id", "project_id", "chunk", "request_id", "reason",
)  # fmt: skip
_WIDTHS: Final = (14, 24, 12, 8, 38, 34, 8, 42, 50)
#: Widths of Summary's columns, and rows that its chart covers.
_NAME, _VALUE, _MEANING, _CHART_ROWS = 22, 12, 88, 14
#: Requests that stand on Chunks, in a column of their own; the others are only counted.
_ATTEMPTS: Final = "'Chunks'!I1"
_COUNTED: Final = {
    "submit": "; the column attempts of Chunks adds up to them",
    "retried": "; attempts beyond the first, on Chunks",
}
_ONLY: Final = "; counted only, none has a row of its own"
#: Name, value, meaning, and the place that the value leads to.
Line = tuple[str, str | int, str, str]


def place(position: int) -> str:
    """Return where a row of the record stands, its position counted from 0.

    >>> place(0)
    "'Rows'!A2"
    """
    part, row = divmod(position, book.ROWS)
    return f"'{_rows_sheet(part)}'!A{row + 2}"


def _rows_sheet(part: int) -> str:
    return f"Rows ({part + 1})" if part else "Rows"


@dataclass(frozen=True)
class Charted:
    """The section of a summary that has a chart: the lines but for its last one, the total."""

    section: str
    title: str
    shades: tuple[str, ...]


def write(out: Book, record: Record, told: Stories) -> None:
    """Write ``Summary``: what became of the run, on a page or two, each number with its way."""
    shades = tuple(SHADES[name] for name in spec.OUTCOMES)
    chart = Charted("Outcomes", "Rows by outcome", shades)
    lay_out(out, TITLE, words.headline(record), _sections(record, told), chart)


def lay_out(
    out: Book, title: str, headline: str, sections: Mapping[str, list[Line]], chart: Charted
) -> None:
    """Write ``Summary`` from its sections: title -> lines."""
    sheet = out.sheet("Summary", portrait=True)
    sheet.hide_gridlines(2)
    for number, width in enumerate((_NAME, _VALUE, _MEANING)):
        sheet.set_column(number, number, width)
    sheet.set_row(0, 30)
    sheet.write_string(0, 0, title, out.formats["title"])
    sheet.set_row(1, 36)
    sheet.merge_range(1, 0, 1, 2, headline, out.formats["lead"])
    row = 3
    for name, lines in sections.items():
        for number, text in enumerate((name, "", "")):
            sheet.write(row, number, text, out.formats["section"])
        for line in lines:
            row += 1
            _line(out, sheet, row, line)
        row += 2
        if name == chart.section:
            sheet.insert_chart(row - 1, 0, _chart(out, row - 2, chart))
            row += _CHART_ROWS


def _line(out: Book, sheet: Worksheet, row: int, line: Line) -> None:
    name, value, meaning, way = line
    style = f"is {name}" if name in FILLS else "link" if way else "name"
    if way:
        sheet.write_url(row, 0, f"internal:{way}", out.formats[style], fitting(name))
        sheet.write_url(row, 1, f"internal:{way}", string="–")
    sheet.write_string(row, 0, fitting(name), out.formats[style])
    if isinstance(value, int):
        sheet.write_number(row, 1, value, out.formats["way" if way else "number"])
    else:
        sheet.write_string(row, 1, fitting(value), out.formats["text"])
    if meaning:
        lines = book.lines_of(pd.Series([meaning], dtype="str"), _MEANING)
        sheet.set_row(row, book.LINE * int(lines[0]))
        sheet.write_string(row, 2, fitting(meaning), out.formats["wrapped"])


def _sections(record: Record, told: Stories) -> dict[str, list[Line]]:
    """Return the Summary: title -> its lines."""
    starts = _starts(told)
    first = dict(zip(reversed(told.table["outcome"].tolist()), reversed(starts), strict=True))
    everything = len(record.rows)
    counts = [(n, count, spec.OUTCOMES[n], first.get(n, "")) for n, count in record.counts.items()]
    sections: dict[str, list[Line]] = {
        "The run": [(name, value, "", "") for name, value in words.facts(record).items()],
        **_runs(record),
        "Outcomes": [*counts, ("all rows", everything, "", place(0))],
        "What is open, and why": [
            (one["outcome"], one["rows"], _why(one), starts[one["story"]])
            for one in words.lines(told.open().head(_LINES))
        ] or [("nothing", 0, "every row is settled", "")],
        "Before and after": [
            (one["outcome"], one["rows"], words.story(one), starts[number])
            for number, one in enumerate(words.lines(told.table))
            if one["outcome"] != "blocked"
        ][:_LINES],
        "Input": _input(record),
        "Requests": [
            (name, count, words.REQUESTS.get(name, "") + _COUNTED.get(name, _ONLY),
             _ATTEMPTS if name in _COUNTED else "")
            for name, count in record.requests.items()
        ],
        "The other sheets": [
            (name, "", text, f"'{name}'!A1") for name, text in words.SHEETS.items()
        ],
    }  # fmt: skip
    return sections


def _runs(record: Record) -> dict[str, list[Line]]:
    """Tell of each of several runs how many rows it settled, and what proves it."""
    return {
        f"Run {one['run']}: {one['what']}": [
            ("ledger", one["ledger"], "", ""),
            ("finished", "yes" if one["finished"] else "no", "", ""),
            ("approved by", one["approved"], "", ""),
            ("rows", one["rows"], "in its inventory", ""),
            ("settled", one["settled"], "rows whose final outcome it gave", "'Rows'!A1"),
            ("fingerprint", one["fingerprint"], "", ""),
            ("head", f"{one['head']} ({words.counted(one['events'], 'event')})", "", ""),
        ]
        for one in (words.runs(record) if len(record.runs) else [])
    }


def _why(one: Mapping[str, str]) -> str:
    reason = f"{one['reason']} ({one['code']})" if one["code"] else one["reason"]
    return " – ".join(filter(None, (reason, one["next"])))


def _input(record: Record) -> list[Line]:
    rows, sources = record.rows, record.sources
    stands = rows[["file", "sheet"]].reset_index(drop=True).drop_duplicates()
    first = dict(zip(stands.itertuples(index=False, name=None), stands.index, strict=True))
    columns = (sources[name].tolist() for name in ("file", "sheet", "rows", "sha256"))
    return [
        (file, count, f"rows on sheet {sheet!r}; SHA-256 of the file {sha256}",
         place(first[file, sheet]) if (file, sheet) in first else "")
        for file, sheet, count, sha256 in zip(*columns, strict=True)
    ]  # fmt: skip


def _starts(told: Stories) -> list[str]:
    """Return where each story begins on By outcome: a line for itself, its rows, an empty one."""
    _, shares = told.listed(LISTED)
    lines = [0, *(shares + 2).cumsum().tolist()]
    return [f"'By outcome'!A{line + 2}" for line in lines[:-1]]


def by_outcome(out: Book, rows: pd.DataFrame, told: Stories) -> None:
    """Write ``By outcome``: the first rows of each story, with the way to their place in Rows."""
    sheet = out.sheet("By outcome")
    for number, width in enumerate(_WIDTHS):
        sheet.set_column(number, number, width)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    for number, name in enumerate(("see", *_COLUMNS)):
        sheet.write_string(0, number, name, out.formats["head"])
    places, shares = told.listed(LISTED)
    listed, line, at = rows[list(_COLUMNS)].take(places), 1, 0
    settled = 0
    for one, share in zip(words.lines(told.table), shares.tolist(), strict=True):
        line = _heading(out, sheet, line, one, share)
        lines = listed.iloc[at : at + share].itertuples(index=False, name=None)
        piece = zip(places[at : at + share].tolist(), lines, strict=True)
        line, at = _members(out, sheet, line, piece) + 1, at + share
        settled = settled if one["outcome"] in spec.GOOD else line
    # On paper what is settled would stand twice: it is in Rows.
    sheet.print_area(0, 0, max(settled - 2, 1), len(_COLUMNS))


def _heading(out: Book, sheet: Worksheet, line: int, one: Mapping[str, Any], share: int) -> int:
    told = f"{one['outcome']} {one['code']}".strip()
    text = f"{told}: {words.counted(one['rows'], 'row')} · {words.story(one)}"
    for column in range(len(_COLUMNS) + 1):
        sheet.write_blank(line, column, None, out.formats["story"])
    if share < one["rows"]:
        text += f" · the first {words.number(share)} stand here; for all of them filter"
        text += f" Rows by outcome {one['outcome']}"
        sheet.write_url(line, 0, "internal:'Rows'!H1", out.formats["story"], "–")
    sheet.write_string(line, 0, fitting(text), out.formats["story"])
    return line + 1


def _members(
    out: Book, sheet: Worksheet, line: int, rows: Iterable[tuple[int, tuple[str | int, ...]]]
) -> int:
    for position, cells in rows:
        way = place(position)
        lines = book.lines_of(pd.Series([str(cells[-1])], dtype="str"), _WIDTHS[-1])
        if lines[0] > 1:
            sheet.set_row(line, book.LINE * int(lines[0]))
        sheet.write_url(line, 0, f"internal:{way}", out.formats["link"], way.replace("'", ""))
        for column, cell in enumerate(cells, 1):
            if isinstance(cell, int):
                sheet.write_number(line, column, cell, out.formats["plain"])
            elif cell:
                look = "wrapped" if column == len(_COLUMNS) else "text"
                sheet.write_string(line, column, fitting(cell), out.formats[look])
        line += 1
    return line


def _chart(out: Book, total: int, told: Charted) -> Chart:
    """Return a bar chart of lines; ``total`` is the row (from 0) that holds their sum."""
    chart = out.book.add_chart({"type": "bar"})
    first = total - len(told.shades)
    chart.add_series(
        {
            "categories": ["Summary", first, 0, total - 1, 0],
            "values": ["Summary", first, 1, total - 1, 1],
            "points": [{"fill": {"color": shade}} for shade in told.shades],
            "data_labels": {"value": True, "num_format": "#,##0"},
            "gap": 40,
        }
    )
    chart.set_title({"name": told.title, "name_font": {"size": 12, "color": INK}})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "line": {"none": True}, "num_font": {"color": INK}})
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
    chart.set_size({"width": 860, "height": 270})
    chart.set_chartarea({"border": {"color": RULE}})
    return chart
