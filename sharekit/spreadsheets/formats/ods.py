"""OpenDocument sheets: what the fast reader drops of ``content.xml``, by one pass of a parser."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import IO, Final, NamedTuple
from xml.etree import ElementTree

from .number_formats import literal_format
from .raw_sheet import DamagedError, DialectError, column_letter
from .xlsx import LAST_ROW, CheckedXml, SheetScan, elements, is_zero_size, local_name

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CALC: Final = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
#: Character data sections, which readers drop.
_DROPPED: Final = re.compile(rb"<!\[CDATA\[")
#: How LibreOffice keeps a truth value that it has read from another format.
_TRUTH: Final = re.compile(r"(?:of:)?=(TRUE|FALSE)\(\)")
#: Cells of one run that are noted one by one.
_LONGEST_RUN: Final = 100_000
_UNITS: Final = "abcdefghijklmnopqrstuvwxyz%"


def scan_ods(stream: IO[bytes]) -> tuple[list[SheetScan], int]:
    """Scan every sheet (OpenDocument 1.3, 9.1), and count the blanks that texts unfold to.

    A few bytes (``<text:s text:c="2000000000"/>``) may stand for millions of blanks.

    Raises
    ------
    DialectError
        Programs would read the document differently.
    """
    scans: list[SheetScan] = []
    flat_styles: set[str] = set()
    sheet, blanks = _OdsSheet(flat_styles), 0
    names = ("table", "table-row", "table-column", "style")
    for element in elements(CheckedXml(stream, _DROPPED), *names):
        kind = local_name(element.tag)
        if kind == "style" and any(map(_is_flat, element)):
            flat_styles.add(element.get(f"{_STYLE}name", ""))
        elif kind == "table":
            scans.append(sheet.scan)
            blanks += sheet.blanks
            sheet = _OdsSheet(flat_styles)
        elif kind == "table-column":
            sheet.add_column(element)
        elif kind == "table-row":
            sheet.add_row(element)
    return scans, blanks


class _Run(NamedTuple):
    """A cell, or a run of equal ones, in an OpenDocument row."""

    column: int
    length: int
    cell: ElementTree.Element


class _OdsSheet:
    """What was gathered of one sheet so far."""

    def __init__(self, flat_styles: set[str]) -> None:
        self.scan = SheetScan()
        self.row = self.column = self.blanks = 0
        self._flat_styles = flat_styles

    def add_column(self, element: ElementTree.Element) -> None:
        repeated = _repeated(element, "columns")
        if self._is_hidden(element):
            self.scan.hidden_columns.append((self.column, self.column + repeated - 1))
        self.column += repeated

    def add_row(self, element: ElementTree.Element) -> None:
        repeated = _repeated(element, "rows")
        if self._is_hidden(element):
            self.scan.hidden.extend(range(self.row, min(self.row + repeated, LAST_ROW)))
        for run in _runs(element):
            self._add_run(repeated, run)
        self.row += repeated

    def _is_hidden(self, element: ElementTree.Element) -> bool:
        """Return True if nobody sees a row or column: hidden, filtered out, or of no size."""
        visibility = element.get(f"{_TABLE}visibility")
        style = element.get(f"{_TABLE}style-name")
        return visibility in {"collapse", "filter"} or style in self._flat_styles

    def _add_run(self, rows: int, run: _Run) -> None:
        column, length, cell = run
        scan, row = self.scan, self.row
        typed = f"{_OFFICE}value-type" in cell.attrib
        if len(cell) or typed:
            scan.written += 1
            scan.filled += rows * length
            scan.bottom = max(scan.bottom, row + rows)
            scan.right = max(scan.right, column + length)
            self.blanks += sum(_count(blank, f"{_TEXT}c") for blank in cell.iter(f"{_TEXT}s"))
        if typed and len(cell) and column == 0:
            scan.first = 0
        if cell.get(f"{_CALC}value-type") == "error":
            scan.error_cells.append((row, column, "".join(cell.itertext())))
        elif f"{_TABLE}formula" in cell.attrib and _is_uncalculated(cell):
            scan.uncalculated.extend(_addresses(row, rows, run))
        elif truth := _truth(cell):
            scan.error_cells.extend((*spot, truth) for spot in _addresses(row, rows, run))
        elif _is_untyped(cell):
            address = f"{column_letter(column)}{row + 1}"
            raise DialectError(f"cell {address} shows a text that is not marked as one")
        displayed = _differing_text(cell)
        if displayed is not None:
            area = row, column, row + rows - 1, column + length - 1
            scan.display_differs.append((area, literal_format(displayed)))
        down, across = (
            _count(cell, f"{_TABLE}number-{way}-spanned") for way in ("rows", "columns")
        )
        if down > 1 or across > 1:
            scan.merged[(row, column, row + down - 1, column + across - 1)] = None


def _runs(row: ElementTree.Element) -> Iterator[_Run]:
    column = 0
    for cell in row:
        if local_name(cell.tag) in {"table-cell", "covered-table-cell"}:
            length = _repeated(cell, "columns")
            yield _Run(column, length, cell)
            column += length


def _repeated(element: ElementTree.Element, way: str) -> int:
    """Return how often a cell, row or column is repeated."""
    times = _count(element, f"{_TABLE}number-{way}-repeated")
    if times < 1:
        raise DialectError(f"it repeats a cell, row or column {times} times")
    return times


def _count(element: ElementTree.Element, name: str) -> int:
    """Return an attribute that counts something; 1 without it."""
    text = element.get(name, "1")
    if not re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text):
        raise DamagedError(f"{text[:40]!r} is no number")
    return int(text)


def _is_flat(properties: ElementTree.Element) -> bool:
    """Return True if a style gives a row no height, or a column no width."""
    sizes = (properties.get(f"{_STYLE}{name}") for name in ("row-height", "column-width"))
    return any(size and is_zero_size(size.rstrip(_UNITS)) for size in sizes)


def _differing_text(cell: ElementTree.Element) -> str | None:
    """Return the text that a cell displays if it holds another one; None if they are the same."""
    held = cell.get(f"{_OFFICE}string-value")
    if held is None or not len(cell):
        return None
    lines = ("".join(e.itertext()) for e in cell if local_name(e.tag) == "p")
    displayed = "\n".join(lines)
    return None if "".join(displayed.split()) == "".join(held.split()) else displayed


def _is_uncalculated(cell: ElementTree.Element) -> bool:
    """Return True if a formula has no saved result.

    A saved result of no letters still has a value attribute or a paragraph.
    """
    kind = cell.get(f"{_OFFICE}value-type")
    return kind is None or (
        kind == "string" and f"{_OFFICE}string-value" not in cell.attrib and not len(cell)
    )


def _addresses(row: int, rows: int, run: _Run) -> Iterator[tuple[int, int]]:
    """Yield the cells of a run, but not without end."""
    cells = ((row + i, run.column + j) for i in range(rows) for j in range(run.length))
    return itertools.islice(cells, _LONGEST_RUN)


def _truth(cell: ElementTree.Element) -> str:
    """Return TRUE or FALSE for what LibreOffice keeps as a number and shows as a word."""
    formula = _TRUTH.fullmatch(cell.get(f"{_TABLE}formula", ""))
    shown = "".join(cell.itertext())
    return formula[1] if formula and not any(letter.isdigit() for letter in shown) else ""


def _is_untyped(cell: ElementTree.Element) -> bool:
    """Return True if a cell shows a text that most readers drop, since it has no type."""
    if f"{_OFFICE}value-type" in cell.attrib or local_name(cell.tag) != "table-cell":
        return False
    return any(local_name(e.tag) == "p" and "".join(e.itertext()).strip() for e in cell)
