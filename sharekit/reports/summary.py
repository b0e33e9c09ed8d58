"""What is read first in ``audit.xlsx``: Summary, whose numbers lead to their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from xlsxwriter.chart import Chart
from xlsxwriter.worksheet import Worksheet

from sharekit.core.outcomes import OUTCOMES
from sharekit.spreadsheets.writing.safe_cells import truncate

from . import book, groups, words
from .book import FILLS, INK, RULE, Book
from .run_record import Record
from .stories import Stories
from .words import SHADES, TITLE

#: Lines of a section.
_LINES: Final = 200
#: The section that is of no use on paper, so it is the last one and not printed.
_SHEETS: Final = "The other sheets"
#: Widths of Summary's columns, and rows that its chart covers.
_NAME, _VALUE, _MEANING, _CHART_ROWS = 22, 12, 88, 14
#: Requests that stand on Chunks, in a column of their own; the others are only counted.
_ATTEMPTS: Final = "'Chunks'!I1"
_COUNTED: Final = {
    "submit": "; the column attempts of Chunks adds up to them",
    "retried": "; attempts beyond the first, on Chunks",
}
_ONLY: Final = "; what each call of submit counted stands on Timeline, as event counted"
#: Name, value, meaning, and the place that the value leads to.
Line = tuple[str, str | int, str, str]


@dataclass(frozen=True)
class Charted:
    """The section of a summary that has a chart: the lines but for its last one, the total."""

    section: str
    title: str
    shades: tuple[str, ...]


def write(out: Book, record: Record, told: Stories) -> None:
    """Write ``Summary``: what became of the run, on a page or two, each number with its way."""
    shades = tuple(SHADES[name] for name in OUTCOMES)
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
    row, more = 3, 36  # the first two lines are higher than others
    for name, lines in sections.items():
        if name == _SHEETS:
            sheet.print_area(0, 0, row - 2, 2)
            book.draw_in(sheet, (_NAME, _VALUE, _MEANING), book.LINE * (row - 1) + more)
        for number, text in enumerate((name, "", "")):
            sheet.write(row, number, text, out.formats["section"])
        for line in lines:
            row += 1
            more += _line(out, sheet, row, line)
        row += 2
        if name == chart.section:
            sheet.insert_chart(row - 1, 0, _chart(out, row - 2, chart))
            row += _CHART_ROWS


def _line(out: Book, sheet: Worksheet, row: int, line: Line) -> int:
    """Write a line; returns how many points higher it is than others."""
    name, value, meaning, way = line
    style = f"is {name}" if name in FILLS else "link" if way else "name"
    if way:
        sheet.write_url(row, 0, f"internal:{way}", out.formats[style], truncate(name))
        sheet.write_url(row, 1, f"internal:{way}", string="–")
    sheet.write_string(row, 0, truncate(name), out.formats[style])
    if isinstance(value, int):
        sheet.write_number(row, 1, value, out.formats["way" if way else "number"])
    else:
        sheet.write_string(row, 1, truncate(value), out.formats["text"])
    if not meaning:
        return 0
    height = book.LINE * int(book.lines_of([meaning], _MEANING)[0])
    sheet.set_row(row, height)
    sheet.write_string(row, 2, truncate(meaning), out.formats["wrapped"])
    return height - book.LINE


def _sections(record: Record, told: Stories) -> dict[str, list[Line]]:
    """Return the Summary: title -> its lines."""
    starts, areas = groups.starts(told), groups.areas(told)
    first = dict(zip(reversed(told.table["outcome"].tolist()), reversed(starts), strict=True))
    everything, counted = len(record.rows), _first_count(record.timeline)
    counts = [
        (n, count, OUTCOMES[n].meaning, first.get(n, "")) for n, count in record.counts.items()
    ]
    sections: dict[str, list[Line]] = {
        "The run": [(name, value, "", "") for name, value in words.facts(record).items()],
        **_runs(record),
        "Outcomes": [*counts, ("all rows", everything, "", groups.place(0))],
        "What is open, and why": [
            (one["outcome"], one["rows"], _why(one), starts[one["story"]])
            for one in words.lines(told.open().head(_LINES))
        ] or [("nothing", 0, "every row is settled", "")],
        "Before and after": [
            (one["outcome"], one["rows"], words.story(one), areas[number])
            for number, one in enumerate(words.lines(told.table))
            if one["outcome"] != "blocked"
        ][:_LINES],
        "Input": _input(record),
        "Requests": [
            (name, count, words.REQUESTS.get(name, "") + _COUNTED.get(name, _ONLY),
             _ATTEMPTS if name in _COUNTED else counted if count else "")
            for name, count in record.requests.items()
        ],
        _SHEETS: [
            (name, "", text, f"'{name}'!A1") for name, text in words.SHEETS.items()
            if name != "Decisions" or len(record.reviews)
        ],
    }  # fmt: skip
    return sections


def _first_count(timeline: pd.DataFrame) -> str:
    """Return where Timeline says first how many requests a call of submit made."""
    at = np.flatnonzero((timeline["event"].head(book.ROWS) == "counted").to_numpy(dtype=bool))
    return f"'Timeline'!A{at[0] + 2}" if len(at) else ""


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
        (file, count, f"rows{of}; SHA-256 of the file {sha256}",
         groups.place(first[file, sheet]) if (file, sheet) in first else "")
        for file, sheet, count, sha256 in zip(*columns, strict=True)
        for of in [f" on sheet {sheet!r}" if sheet else ""]
    ]  # fmt: skip


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
