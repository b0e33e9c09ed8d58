"""Rows of ``audit.xlsx`` in groups: those that went the same way, then those of one request.

``Rows`` keeps the input's order, so what belongs to a number is scattered there. Here it stands
together, each row with the way to its place in ``Rows``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from xlsxwriter.worksheet import Worksheet

from sharekit.core.outcomes import FINAL_OK
from sharekit.spreadsheets.writing.safe_cells import truncate

from . import book, words
from .book import Book
from .run_record import Record
from .stories import Stories

SHEET: Final = "By outcome and chunk"
#: Rows that are listed: shared out among the stories; of chunks, whole ones from the first on.
LISTED: Final = 1_000
CHUNKED: Final = 5_000
#: Columns that come from Rows.
_COLUMNS: Final = (
    "file", "sheet", "row", "image_id", "project_id", "chunk", "request_id", "reason",
)  # fmt: skip
_WIDTHS: Final = (14, 24, 12, 8, 38, 34, 8, 42, 50)
#: A row to be listed: its position, how many lines of text it needs, its cells.
_Line = tuple[int, int, tuple[str | int, ...]]


def place(position: int) -> str:
    """Return where a row of the record stands, its position counted from 0.

    >>> place(0)
    "'Rows'!A2"
    """
    part, row = divmod(position, book.ROWS)
    return f"'{_rows_sheet(part)}'!A{row + 2}"


def _rows_sheet(part: int) -> str:
    return f"Rows ({part + 1})" if part else "Rows"


def starts(told: Stories) -> list[str]:
    """Return where each story begins: a line for itself, its rows, an empty one."""
    return [_at(line) for line in _lines(told)[:-1]]


def areas(told: Stories) -> list[str]:
    """Return where the rows of each story stand; where not all are listed, as :func:`starts`."""
    ends = zip(_lines(told)[:-1], told.table["rows"].tolist(), _shares(told), strict=True)
    return [
        _at(line + 1, line + rows) if rows == share else _at(line) for line, rows, share in ends
    ]


def _at(line: int, last: int = 0) -> str:
    """Name a line, counted from 0, or all to another."""
    return f"'{SHEET}'!A{line + 1}" + (f":A{last + 1}" if last > line else "")


def _shares(told: Stories) -> list[int]:
    return [int(share) for share in told.listed(LISTED)[1]]


def _lines(told: Stories) -> list[int]:
    return [1, *(np.array(_shares(told), dtype="int64") + 2).cumsum() + 1]


@dataclass(frozen=True, eq=False)
class Requests:
    """The chunks whose rows are listed.

    ``chunks`` has a line for each, parts of a split one after it: as ``Record.chunks``, and
    ``rows``, ``line`` (where it begins, counted from 0) and ``last`` (its last row's, or that of
    its parts). ``places`` are the positions of their rows, chunk by chunk.
    """

    chunks: pd.DataFrame
    places: NDArray[np.int64]

    def ways(self) -> dict[str, str]:
        """Return for each chunk where its rows, or those of its parts, stand."""
        known = zip(*(self.chunks[name] for name in ("chunk", "line", "last")), strict=True)
        return {name: _at(line, last) for name, line, last in known}


def requests(record: Record, told: Stories) -> Requests:
    """Put the rows of one request together, as far as there is room."""
    chunks = record.chunks.drop_duplicates("chunk").reset_index(drop=True)
    names = chunks["chunk"].tolist()
    chunks = chunks.take(sorted(range(len(names)), key=lambda n: _key(names[n])))
    number = pd.Index(chunks["chunk"]).get_indexer(pd.Index(record.rows["chunk"]))
    counts = np.bincount(number[number >= 0], minlength=len(chunks)).astype("int64")
    room = int(np.searchsorted(counts.cumsum(), CHUNKED, side="right"))
    chunks, counts = chunks.head(room), counts[:room]
    ends = (counts + 2).cumsum() + _lines(told)[-1]
    lines = ends - counts - 2
    places = np.flatnonzero((number >= 0) & (number < room))
    return Requests(
        chunks.assign(rows=counts, line=lines, last=_lasts(chunks["chunk"].tolist(), ends - 2)),
        places[np.argsort(number[places], kind="stable")],
    )


def _key(name: str) -> list[tuple[int, str]]:
    """Order chunks by their numbers: 2 before 10, 7 before 7.1 before 7.1.2, runs apart."""
    parts = name.replace(":", ".").split(".")
    return [(int(part) if part.isascii() and part.isdecimal() else -1, part) for part in parts]


def _lasts(names: list[str], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each chunk the last line of it or, where it was split, of its last part."""
    lasts, whole = ends.copy(), [f"{name}." for name in names]
    open_: list[int] = []
    for n, name in enumerate(names):
        while open_ and not name.startswith(whole[open_[-1]]):
            open_.pop()
        lasts[open_] = ends[n]
        open_.append(n)
    return lasts


def write(out: Book, record: Record, told: Stories, sent: Requests) -> None:
    """Write the sheet: each story, then each chunk, with the first or all of its rows."""
    sheet = out.sheet(SHEET)
    for number, width in enumerate(_WIDTHS):
        sheet.set_column(number, number, width)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    for number, name in enumerate(("see", *_COLUMNS)):
        sheet.write_string(0, number, name, out.formats["head"])
    places, shares = told.listed(LISTED)
    rows, line, settled = _Rows(record.rows, places), 1, 0
    for one, share in zip(words.lines(told.table), shares.tolist(), strict=True):
        line = _story(out, sheet, line, one, share)
        line = _members(out, sheet, line, rows.next(share)) + 1
        settled = settled if one["outcome"] in FINAL_OK else line
    rows = _Rows(record.rows, sent.places)
    for chunk in words.lines(sent.chunks):
        _heading(out, sheet, line, _request(chunk))
        line = _members(out, sheet, line + 1, rows.next(chunk["rows"])) + 1
    # On paper all else would stand twice: it is in Rows and Chunks.
    sheet.print_area(0, 0, max(settled - 2, 1), len(_COLUMNS))
    open_ = ~told.table["outcome"].isin(FINAL_OK).to_numpy(dtype=bool)
    reasons = record.rows["reason"].take(places[np.repeat(open_, shares)])
    more = book.lines_of(reasons, _WIDTHS[-1]).sum() - len(reasons)
    book.draw_in(sheet, _WIDTHS, book.LINE * float(settled + more))


class _Rows:
    """Rows to be listed, piece by piece."""

    def __init__(self, rows: pd.DataFrame, places: NDArray[np.int64]) -> None:
        taken = rows[list(_COLUMNS)].take(places)
        high = book.lines_of(taken["reason"], _WIDTHS[-1]).tolist()
        cells = taken.itertuples(index=False, name=None)
        self._lines = zip(places.tolist(), high, cells, strict=True)

    def next(self, number: int) -> Iterator[_Line]:
        """Yield the next so many: the position, how many lines of text it needs, the cells."""
        return (next(self._lines) for _ in range(number))


def _request(chunk: Mapping[str, Any]) -> str:
    facts = {"": chunk["status"], "state": chunk["state"], "HTTP": chunk["http"] or "",
             "job": chunk["job_id"], "request": chunk["request_id"]}  # fmt: skip
    told = [f"{name} {value}".strip() for name, value in facts.items() if value]
    parts = ["its parts follow"] if chunk["state"] == "split" else []
    head = f"chunk {chunk['chunk']}: {words.counted(chunk['images'], 'share')}"
    return " · ".join([head, *told, *parts])


def _heading(out: Book, sheet: Worksheet, line: int, text: str, way: str = "") -> None:
    for column in range(len(_COLUMNS) + 1):
        sheet.write_blank(line, column, None, out.formats["story"])
    if way:
        sheet.write_url(line, 0, f"internal:{way}", out.formats["story"], "–")
    sheet.write_string(line, 0, truncate(text), out.formats["story"])


def _story(out: Book, sheet: Worksheet, line: int, one: Mapping[str, Any], share: int) -> int:
    told = f"{one['outcome']} {one['code']}".strip()
    text, way = f"{told}: {words.counted(one['rows'], 'row')} · {words.story(one)}", ""
    if share < one["rows"]:
        text += f" · the first {words.number(share)} stand here; for all of them filter"
        text += f" Rows by outcome {one['outcome']}"
        way = "'Rows'!H1"
    _heading(out, sheet, line, text, way)
    return line + 1


def _members(out: Book, sheet: Worksheet, line: int, rows: Iterator[_Line]) -> int:
    for position, high, cells in rows:
        way = place(position)
        if high > 1:
            sheet.set_row(line, book.LINE * high)
        sheet.write_url(line, 0, f"internal:{way}", out.formats["link"], way.replace("'", ""))
        for column, cell in enumerate(cells, 1):
            if isinstance(cell, int):
                sheet.write_number(line, column, cell, out.formats["plain"])
            elif cell:
                look = "wrapped" if column == len(_COLUMNS) else "text"
                sheet.write_string(line, column, truncate(cell), out.formats[look])
        line += 1
    return line
