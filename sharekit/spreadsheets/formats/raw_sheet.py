"""One sheet as plain text, whatever program wrote it: what all format readers hand over."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.errors import SpreadsheetError

from .per_text import written_out

_PART: Final = re.compile(r"for file '([\w/.\[\]-]+)'")
TEXT: Final = pa.large_string()
#: What the rows of a JSON file are, which have neither numbers nor labels.
_NOUNS: Final = {"json": "record", "jsonl": "line"}
#: ``(top, left, bottom, right)``, 0-based and inclusive.
Area = tuple[int, int, int, int]


@dataclass
class AreaList:
    """Areas of cells, each with a note; cells one below the other with one note are one area."""

    items: list[tuple[Area, str]] = field(default_factory=list)
    _last: dict[tuple[int, str], int] = field(default_factory=dict)

    def add(self, row: int, column: int, note: str) -> None:
        """Add a cell; cells come in the order of rows."""
        index = self._last.get((column, note), -1)
        if index >= 0:
            (top, left, bottom, right), _ = self.items[index]
            if bottom == row - 1:
                self.items[index] = ((top, left, row, right), note)
                return
        self._last[column, note] = len(self.items)
        self.items.append(((row, column, row, column), note))


class DamagedError(Exception):
    """A file is not what its format demands; the message says what is wrong."""


class DialectError(Exception):
    """A sheet is as no spreadsheet program writes it, so that programs read it differently."""


def damage_error(file: str, message: str) -> SpreadsheetError:
    """Say in one sentence what a reader of workbooks means by an error, and what to do."""
    part = _PART.search(message)
    reason = f"its part {part[1]} is damaged" if part else "it is damaged or lacks a part"
    return SpreadsheetError(
        f"{file} cannot be read as a workbook ({reason}); "
        "open it in a spreadsheet program, save it again as .xlsx, and use the new file."
    )


def password_error(file: str) -> SpreadsheetError:
    """Explain that a file is encrypted."""
    return SpreadsheetError(
        f"{file} is password-protected; save a copy without a password and use that."
    )


@dataclass(frozen=True)
class Blob:
    """A file's bytes and the path as it was given."""

    file: str
    data: bytes = field(repr=False)

    @functools.cached_property
    def sha256(self) -> str:
        """Digest of the very bytes that are read."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data)


@dataclass(frozen=True)
class Content:
    """What is no file, such as a DataFrame: its name, and digest and length of its text."""

    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class SheetMetadata:
    """What a sheet tells besides its values; rows and columns are 0-based from the sheet's corner.

    Attributes
    ----------
    hidden_rows, hidden_columns : array, tuple of (first, last)
        Rows and ranges of columns that nobody sees.
    merged : tuple of Area
        Merged ranges.
    uncalculated : tuple of (row, column)
        Formulas without a saved result.
    errors : tuple of (row, column, text)
        Error cells, with the text that stands in place of what the fast reader gives.
    display_differs : tuple of (Area, number format)
        Text cells whose number format displays another text.
    struck : tuple of (Area, note)
        Cells that are crossed out; the note says which part of the text, ``""`` for all of it.
    may_be_struck : tuple of Area
        Cells that a conditional format may cross out; whether it does is not known.
    links : tuple of (Area, target)
        Hyperlinks of cells whose target holds an ID.
    empty_formulas : tuple of (row, column)
        Formulas that show nothing or were never calculated, where the format does not tell which.
    comments : tuple of str
        Addresses of the cells that have a comment.
    unread : str
        What of a sheet's appearance is not read in this format, in words; ``""`` if all is.
    """

    hidden_rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    merged: tuple[Area, ...] = ()
    uncalculated: tuple[tuple[int, int], ...] = ()
    errors: tuple[tuple[int, int, str], ...] = ()
    hidden_columns: tuple[tuple[int, int], ...] = ()
    display_differs: tuple[tuple[Area, str], ...] = ()
    struck: tuple[tuple[Area, str], ...] = ()
    may_be_struck: tuple[Area, ...] = ()
    links: tuple[tuple[Area, str], ...] = ()
    empty_formulas: tuple[tuple[int, int], ...] = ()
    comments: tuple[str, ...] = ()
    unread: str = ""


@dataclass(frozen=True, eq=False)
class Records:
    """The records of a csv or tsv file, one for each row of its sheet.

    Attributes
    ----------
    widths : ndarray of int
        Number of fields of each record.
    delimiter : str
        What separates the fields.
    lines : int
        Number of lines that all records take; texts in quotation marks may have several.
    lines_before : int
        Number of lines before the first record: 1 for a hint such as ``sep=;``.
    broken : int
        The first record with a quotation mark that is not closed, or not doubled; -1 if none has.
    """

    widths: NDArray[np.int32]
    delimiter: str
    lines: int
    lines_before: int = 0
    broken: int = -1

    @property
    def span_lines(self) -> bool:
        """Whether any record takes more than one line."""
        return self.lines != len(self.widths)


@dataclass(frozen=True)
class RawSheet:
    """One sheet as text, before its header is searched.

    Attributes
    ----------
    cells : tuple of pyarrow.ChunkedArray
        One per column, of :data:`TEXT` without nulls; element *i* stands in row *i* + 1.
    first_column : int
        0-based position of ``cells[0]`` in the sheet.
    typed : callable or None
        Sorted 0-based rows -> for each, its cells as Python values, aligned with ``cells``. None
        where the format has text only.
    siblings : tuple of str
        The names of all sheets of the workbook.
    guessed : bool
        Whether the encoding is a guess.
    records : Records or None
        The records of a csv or tsv file.
    labels : Index or None
        What the rows below the first are called, where they have names instead of numbers.
    numbers : ndarray of int64 or None
        The 1-based number of each row, where they are not 1, 2, 3 …: of some rows of a larger file.
    nested : frozenset of int
        Columns in which any cell holds several values.
    dtypes : tuple of (str, sequence of str)
        Of each column what it was, and its categories; none where the format has text only.
    """

    sheet: str
    format: str
    cells: tuple[pa.ChunkedArray, ...]
    first_column: int = 0
    hidden: bool = False
    metadata: SheetMetadata = SheetMetadata()
    typed: Callable[[NDArray[np.int64]], Iterable[Sequence[object]]] | None = None
    siblings: tuple[str, ...] = ()
    encoding: str = ""
    guessed: bool = False
    records: Records | None = None
    labels: pd.Index | None = None
    numbers: NDArray[np.int64] | None = None
    nested: frozenset[int] = frozenset()
    dtypes: tuple[tuple[str, Sequence[str]], ...] = ()

    @property
    def may_be_shifted(self) -> bool:
        """Whether a text without quotation marks may have shifted values into other columns.

        So it does in a text file, and in what a program may have read from one.
        """
        return self.records is not None or self.labels is not None or self.format == "parquet"

    @property
    def height(self) -> int:
        """Number of rows, counted from the sheet's first."""
        return len(self.cells[0]) if self.cells else 0

    def head(self, rows: int) -> Iterator[tuple[str, ...]]:
        """Yield the first rows as tuples of text."""
        return zip(*(column.slice(0, rows).to_pylist() for column in self.cells), strict=True)

    def address(self, row: int, column: int) -> str:
        """Name a cell by its 0-based row and column among ``cells``."""
        if self.labels is None:
            number = row + 1 if self.numbers is None else self.numbers[row]
            return f"{column_letter(self.first_column + column)}{number}"
        header = self.cells[column][0].as_py()
        return place(self.format, self.labels[row - 1], header) if row else f"column {header!r}"

    def row_names(self, numbers: Iterable[int]) -> list[object]:
        """Return what rows are called, by their 1-based numbers."""
        if self.labels is None:
            return [n if self.numbers is None else int(self.numbers[n - 1]) for n in numbers]
        return ["of headers" if number == 1 else self.labels[number - 2] for number in numbers]


def place(form: str, row: object, header: str = "") -> str:
    """Name a cell, or without a header a row, of what has no addresses such as B17.

    >>> place("dataframe", 17, "Image ID"), place("dataframe", "vm-3")
    ("loc[17, 'Image ID']", "loc['vm-3']")
    >>> place("records", 16, "Image ID"), place("jsonl", 4, "id")
    ("[16]['Image ID']", 'line 4, id')
    """
    if form in _NOUNS:
        return f"{_NOUNS[form]} {row}" + (f", {header}" if header else "")
    label = str(row) if isinstance(row, numbers.Number) else repr(str(row))
    if form == "records":
        return f"[{label}]" + (f"[{header!r}]" if header else "")
    cell = f"[{label}, {header!r}]" if header else f"[{label}]"
    return f"loc{cell}" if form == "dataframe" else cell


def text_column(values: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """Make a column of :data:`TEXT` without nulls, sharing memory where it can."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    return pa.chunked_array([_without_nulls(chunk.cast(TEXT)) for chunk in chunks], TEXT)


def _without_nulls(values: pa.Array) -> pa.Array:
    """Replace nulls by blanks, without a copy where no text lies hidden under a null."""
    if not values.null_count:
        return values
    _, ends, text = values.buffers()
    offsets = np.frombuffer(ends, np.int64)[values.offset : values.offset + len(values) + 1]
    blank = np.asarray(values.is_null(), dtype=bool)
    if (offsets[1:][blank] != offsets[:-1][blank]).any():
        return values.fill_null("")
    return pa.Array.from_buffers(TEXT, len(values), [None, ends, text], offset=values.offset)


def take(column: pa.ChunkedArray, positions: NDArray[np.int64]) -> pa.ChunkedArray:
    """Return the texts at some positions, in their order, written out.

    Arrow would join all chunks to take from them.
    """
    ends = np.cumsum([len(chunk) for chunk in column.chunks], dtype=np.int64)
    bounds = [0, *np.searchsorted(positions, ends).tolist()]
    chosen = [
        written_out(chunk.take(pa.array(positions[first:last] - end + len(chunk))))
        for chunk, end, (first, last) in zip(column.chunks, ends, pairwise(bounds), strict=True)
        if last > first
    ]
    return pa.chunked_array(chosen, TEXT)


def constant(value: str, length: int) -> pa.Array:
    """Return an array with the same text everywhere."""
    return pa.repeat(pa.scalar(value, TEXT), length)


def padded(column: pa.ChunkedArray, length: int) -> pa.ChunkedArray:
    """Lengthen a column with blanks at its end."""
    missing = length - len(column)
    return column if missing <= 0 else pa.chunked_array([*column.chunks, constant("", missing)])


def column_letter(index: int) -> str:
    """Name a 0-based column as spreadsheets do.

    Examples
    --------
    >>> column_letter(0), column_letter(25), column_letter(26), column_letter(16383)
    ('A', 'Z', 'AA', 'XFD')
    """
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def as_text(value: object) -> str:
    """Return a value as a spreadsheet shows it in a wide cell.

    Examples
    --------
    >>> as_text(12.0), as_text(1.5e31), as_text(True)
    ('12', '1.5E+31', 'TRUE')
    >>> as_text(dt.datetime(2026, 7, 1))
    '2026-07-01 00:00:00'
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e16
        return str(int(value)) if whole else repr(value).upper()
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)


def type_rule(value: object) -> str:
    """Return the rule that a value of another type than text breaks; ``""`` for text.

    Examples
    --------
    >>> type_rule(12), type_rule(True), type_rule("12")
    ('number-cell', 'boolean-cell', '')
    """
    if isinstance(value, bool):
        return "boolean-cell"
    if isinstance(value, (int, float, Decimal)):
        return "number-cell"
    if isinstance(value, (dt.date, dt.time, dt.timedelta)):
        return "date-cell"
    return ""


def column_index(address: str) -> int:
    """0-based column of a cell address.

    Examples
    --------
    >>> column_index("A1"), column_index("AB17")
    (0, 27)
    """
    index = 0
    for letter in address:
        if letter.isdigit():
            break
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1
