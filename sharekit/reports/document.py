"""A report before it has a format: its sentences, tables and charts, and its links.

:mod:`.run_document` and :mod:`.audit_document` make one; the modules of :mod:`.render` write it. A
workbook shows all of it: the sections on one sheet, each table and each sheet of notes on its own.
A page shows the sections, the notes, and the first lines of the tables that have page columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

#: Rows, and lines of any other table or section, that a page shows at most.
ROWS, LINES = 1_000, 200


class Target(NamedTuple):
    """The target of a link: a line of a table.

    ``line`` counts the lines of the table from 0, and -1 is its header; ``column`` is one of the
    table, ``""`` the first one.
    """

    table: str
    line: int = -1
    column: str = ""


class Line(NamedTuple):
    """A line of a section; its name and value lead to the target."""

    name: str
    value: str | int = ""
    meaning: str = ""
    target: Target | None = None


class Curve(NamedTuple):
    """How a number grew: seconds since the start, and the number reached then."""

    color: str
    seconds: Sequence[float]
    numbers: Sequence[int]


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves by name, all from one start (text), with a description for those who cannot see."""

    curves: Mapping[str, Curve]
    start: str
    description: str


@dataclass(frozen=True, eq=False)
class Section:
    """Lines below a title, which a person reads first.

    ``bars`` is the title of a bar chart of the values, ``""`` for none. If the last line is the
    ``total`` of the others, it has no bar, and a workbook has a chart, too. ``color`` is the word
    whose colour the bars have, where the names of the lines have none.
    """

    title: str
    lines: Sequence[Line]
    note: str = ""
    bars: str = ""
    color: str = ""
    total: bool = False
    chart: Chart | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table on a page.

    Attributes
    ----------
    title : str
        Its header.
    text, detail : str
        The columns of the frame that it shows, the second one below the first and smaller.
    style : str
        ``id``, ``detail-id`` (only the detail is one), ``value`` (wrapped anywhere), ``time``,
        ``short`` (never wrapped) or ``word``, which has a colour.
    link : bool
        Whether the text leads to the line's target in the column ``link``, if it has one.
    bars : tuple of (str, str)
        Parts of a bar in place of text: columns of numbers, and words that have a colour.
    """

    title: str
    text: str = ""
    detail: str = ""
    style: str = ""
    link: bool = False
    bars: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """A frame under a header.

    Attributes
    ----------
    name, frame : str and DataFrame
        Its name, and every line and column of it.
    note, page_note : str
        What it is for, and what a page says instead.
    links : mapping
        For a column the numbers of lines, and the targets of their links.
    choices : mapping
        For a column the only values that may be entered.
    printed_through : str
        The last column that is printed; ``""``: all are.
    columns : tuple of Column
        What a page shows; without any, it shows nothing of the table.
    shown : callable
        Returns the lines that a page shows; their index counts the lines of ``frame`` from 0.
    empty : str
        A sentence in place of a table without lines.
    """

    name: str
    frame: pd.DataFrame
    note: str = ""
    page_note: str = ""
    links: Mapping[str, Mapping[int, Target]] = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    printed_through: str = ""
    columns: tuple[Column, ...] = ()
    shown: Callable[[], pd.DataFrame] = pd.DataFrame
    empty: str = "None."


@dataclass(frozen=True, eq=False)
class Notes:
    """Small tables below each other, each below its title; ``note`` says what they are for.

    With ``cuts``, a workbook adds a list of the values that it cannot hold in full.
    """

    name: str
    tables: Mapping[str, pd.DataFrame]
    note: str = ""
    cuts: bool = False
    portrait: bool = True


@dataclass(frozen=True, eq=False)
class RowsInParts:
    """A report of more rows than fit into memory: those of a csv or parquet file alone.

    Attributes
    ----------
    frames : callable
        Yields the rows, frame by frame; all frames have the same columns.
    values : mapping
        What a parquet file's metadata hold.
    """

    frames: Callable[[], Iterator[pd.DataFrame]]
    values: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ReportDocument:
    """Everything that a report says, whatever its format.

    Attributes
    ----------
    title, headline : str
        What the report is, and what became of the run or audit in a sentence or two.
    fingerprint : str
        Of the plan or the audit.
    created : str
        When the run began or the audit was made: ISO 8601.
    colors : mapping
        Every word that has a colour -> ``#rrggbb``.
    origin : str
        What the report was made from, in a sentence.
    rows : DataFrame
        The lines of a csv file.
    values, arrays : mapping
        What a json file holds: values by name, then frames as arrays of objects.
    sections, sheets : callable
        Make the sections, the first of which says what identifies the run or audit, and the tables
        and notes in the order of a workbook. They are called for a page or a workbook alone.
    page_order : sequence of str
        Names of the tables and notes that a page shows, in its order.
    inventory : callable, optional
        Makes what a workbook holds in place of all this: an inventory to begin with.
    """

    title: str
    headline: str
    fingerprint: str
    created: str
    colors: Mapping[str, str]
    origin: str
    rows: pd.DataFrame
    values: Mapping[str, Any]
    arrays: Mapping[str, pd.DataFrame]
    sections: Callable[[], Sequence[Section]]
    sheets: Callable[[], Sequence[Table | Notes]]
    page_order: Sequence[str]
    inventory: Callable[[], Sequence[Table | Notes]] | None = None

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the rows as one frame."""
        yield self.rows
