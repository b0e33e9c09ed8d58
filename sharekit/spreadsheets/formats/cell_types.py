"""The types of single cells: a look at the rows in doubt, or a slower reading of the whole sheet.

Text is what the fast reader gives; whether a cell *is* text only its type tells. In xlsx the few
rows in doubt are cut out of the sheet's XML. Whatever looks unusual there, and every other format,
goes through ``python_calamine``, which knows the types of all cells and takes longer.
"""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np
import python_calamine
from numpy.typing import NDArray

from .raw_sheet import Area, Blob, column_index

_CHUNK: Final = 1 << 20
#: More rows than this, and a part of the sheet's, cost more to cut out than a whole reading.
_FEW: Final = 200
_PART: Final = 50


@dataclass(frozen=True)
class Typed:
    """Typed cells of one sheet; ``member`` names its XML in the archive, ``""`` if it has none."""

    blob: Blob
    index: int
    member: str = ""

    @functools.cached_property
    def sheet(self) -> python_calamine.CalamineSheet:
        """The slower reading, done when first needed."""
        workbook = python_calamine.load_workbook(io.BytesIO(self.blob.data))
        return workbook.get_sheet_by_index(self.index)

    @property
    def first_column(self) -> int:
        """0-based column in which the readers' first column stands."""
        return self.sheet.start[1] if self.sheet.start else 0

    @property
    def merged(self) -> tuple[Area, ...]:
        """Merged ranges, as far as the format tells them."""
        areas = self.sheet.merged_cell_ranges or []
        return tuple((*start, *end) for start, end in areas)

    def __call__(
        self, rows: NDArray[np.int64], first_column: int, height: int
    ) -> Iterator[list[object]]:
        """Yield the cells of some sorted rows, from a column on, as Python values."""
        if self.member and len(rows) <= _FEW + height // _PART:
            found = self._cut(rows)
            if found is not None:
                return (cells[first_column:] for cells in found)
        return self._read(rows)

    def _read(self, rows: NDArray[np.int64]) -> Iterator[list[object]]:
        wanted = np.zeros(rows.max(initial=-1) + 1, dtype=bool)
        wanted[rows] = True
        found = itertools.compress(self.sheet.iter_rows(), wanted)
        # Rows past the last value exist only for formulas without one.
        yield from itertools.islice(itertools.chain(found, itertools.repeat([])), len(rows))

    def _cut(self, rows: NDArray[np.int64]) -> list[list[object]] | None:
        with ZipFile(io.BytesIO(self.blob.data)) as archive, archive.open(self.member) as stream:
            try:
                return [_values(row) for row in _fragments(stream, rows + 1)]
            except (LookupError, ValueError, ElementTree.ParseError):
                return None


def _fragments(stream: IO[bytes], numbers: NDArray[np.int64]) -> Iterator[bytes]:
    """Yield the content of rows by their numbers; LookupError where the XML is not plain."""
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
                    raise LookupError(number)
                text, at = text[keep:] + chunk, 0
        yield text[text.index(b">", start) + 1 : end]
        at = end


def _values(row: bytes) -> list[object]:
    """Cells from column A on: a float, a truth value, or ``""`` for any kind of text."""
    values: list[object] = []
    for cell in ElementTree.fromstring(b"<row>%b</row>" % row):  # noqa: S314
        place = column_index(cell.attrib["r"])
        values += [""] * (place + 1 - len(values))
        kind, text = cell.get("t", "n"), cell.findtext("v", "")
        if kind == "n" and text:
            values[place] = float(text)
        elif kind == "b":
            values[place] = text in ("1", "true")
        elif kind == "d":
            raise LookupError(kind)
    return values
