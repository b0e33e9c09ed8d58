"""The types of single cells: a look at the rows in doubt, or a slower reading of the whole sheet.

Text is what the fast reader gives; whether a cell *is* text only its type tells. In xlsx the few
rows in doubt are cut out of the sheet's XML. Whatever looks unusual there, and every other format,
goes through ``python_calamine``, which knows the types of all cells and takes longer.
"""

from __future__ import annotations

import functools
import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final
from xml.etree import ElementTree
from zipfile import ZipFile

import fastexcel
import numpy as np
import python_calamine
from numpy.typing import NDArray

from .raw_sheet import Blob, DialectError, column_index, damage_error, password_error

_CHUNK: Final = 1 << 20
#: More rows than this, and a part of the sheet's, cost more to cut out than a whole reading.
_FEW: Final = 200
_PART: Final = 50
_ADDRESS: Final = re.compile(r"[A-Z]{1,3}[0-9]+")
_NUMBER: Final = re.compile(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")


@contextmanager
def reader_errors(file: str) -> Iterator[None]:
    """Say in one sentence what the readers in Rust raise; for their calls alone."""
    try:
        yield
    except python_calamine.PasswordError as error:
        raise password_error(file) from error
    except (fastexcel.FastExcelError, python_calamine.CalamineError, OSError) as error:
        raise damage_error(file, str(error)) from error
    except BaseException as error:
        # Rust panics arrive as a BaseException whose class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise damage_error(file, "") from error


@dataclass(frozen=True)
class CellTypes:
    """Typed cells of one sheet; ``part`` names its XML in the archive, ``""`` if it has none."""

    blob: Blob
    index: int
    part: str = ""

    @functools.cached_property
    def sheet(self) -> python_calamine.CalamineSheet:
        """The slower reading, done when first needed."""
        with reader_errors(self.blob.file):
            workbook = python_calamine.load_workbook(io.BytesIO(self.blob.data))
            return workbook.get_sheet_by_index(self.index)

    @property
    def first_column(self) -> int:
        """0-based column in which the readers' first column stands."""
        return self.sheet.start[1] if self.sheet.start else 0

    def __call__(
        self, rows: NDArray[np.int64], first_column: int, height: int
    ) -> Iterator[list[object]]:
        """Yield the cells of some sorted rows, from a column on, as Python values."""
        if self.part and len(rows) <= _FEW + height // _PART:
            cut = self._cut(rows)
            if cut is not None:
                return (cells[first_column:] for cells in cut)
        return self._read(rows)

    def _read(self, rows: NDArray[np.int64]) -> Iterator[list[object]]:
        wanted = np.zeros(rows.max(initial=-1) + 1, dtype=bool)
        wanted[rows] = True
        cells = itertools.compress(self.sheet.iter_rows(), wanted)
        # Rows past the last value exist only for formulas without one.
        yield from itertools.islice(itertools.chain(cells, itertools.repeat([])), len(rows))

    def _cut(self, rows: NDArray[np.int64]) -> list[list[object]] | None:
        """Cut some rows out of the XML; return None if it is not plain enough for that."""
        with ZipFile(io.BytesIO(self.blob.data)) as archive, archive.open(self.part) as stream:
            try:
                return [_values(row) for row in _fragments(stream, rows + 1)]
            except (DialectError, ElementTree.ParseError):
                return None


def _fragments(stream: IO[bytes], numbers: NDArray[np.int64]) -> Iterator[bytes]:
    """Yield the content of rows by their numbers; raise DialectError where XML is not plain."""
    text, at = b"", 0
    for number in numbers.tolist():
        begin, end = b'<row r="%d"' % number, -1
        while end < 0:
            start = text.find(begin, at)
            end = text.find(b"</row>", start) if start >= 0 else -1
            if end < 0:
                keep = start if start >= 0 else max(at, len(text) - len(begin))
                chunk = stream.read(_CHUNK)
                # Comments and character data could hold what looks like a row.
                if not chunk or b"<!" in chunk:
                    raise DialectError("a row cannot be cut out")
                text, at = text[keep:] + chunk, 0
        yield text[text.index(b">", start) + 1 : end]
        at = end


def _values(row: bytes) -> list[object]:
    """Return cells from column A on: a float, a truth value, or ``""`` for any kind of text."""
    values: list[object] = []
    for cell in ElementTree.fromstring(b"<row>%b</row>" % row):  # noqa: S314
        address = cell.get("r", "")
        kind, text = cell.get("t", "n"), cell.findtext("v", "")
        number = kind == "n" and bool(text)
        if not _ADDRESS.fullmatch(address) or kind == "d" or (number and not _is_number(text)):
            raise DialectError("a cell is not plain")
        column = column_index(address)
        values += [""] * (column + 1 - len(values))
        if number:
            values[column] = float(text)
        elif kind == "b":
            values[column] = text in ("1", "true")
    return values


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
