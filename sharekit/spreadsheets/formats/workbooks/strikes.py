"""Crossed-out cells: which styles, texts, tables and conditional formats of an xlsx strike them.

A person who crosses out an ID or a decision has taken it back, so the text alone says the opposite
of what is meant. Cells are looked at only in workbooks in which something strikes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.compute as pc

from ..raw_sheet import Area, AreaList, column_index

#: Notes of struck cells: all of the text is struck, or a part of it.
WHOLE, PART = "", "a part of its text"
_OFF: Final = frozenset({"0", "false", "off"})
_FALSE: Final = frozenset({"0", "false"})
_LAST_COLUMN: Final = 16_384
#: More texts or styles than this are not searched by a pattern that names each of them.
_MOST_NAMED: Final = 200
#: Ranges of conditions that are kept of one sheet.
_MOST_RANGES: Final = 1000

#: Tags of rows, and of cells with the reference to a text that follows.
_ROW_OR_CELL: Final = re.compile(
    rb"""<row (?P<row>[^>]*)>|<c r="(?P<column>[A-Z]+)(?P<number>[0-9]+)"(?P<cell>[^>]*)>"""
    rb"""(?:<v[^>]*>(?P<text>[0-9]{1,9})<)?"""
)
_STYLE: Final = re.compile(rb"""\ss\s*=\s*["']0*([0-9]+)["']""")
_CUSTOM: Final = re.compile(rb"""\scustomFormat\s*=\s*["'](?:1|true)["']""")
_SHARED: Final = re.compile(rb"""\st\s*=\s*["']s["']""")
_ENTITY: Final = r"<(?:row|c) [^>]*&"
_CONDITION: Final = re.compile(
    rb"<(?:[\w.-]+:)?conditionalFormatting\b(?:[^>]*[^/>])?>"
    rb".*?</(?:[\w.-]+:)?conditionalFormatting\s*>",
    re.DOTALL,
)
_FORMAT: Final = re.compile(rb"""\sdxfId\s*=\s*["']0*([0-9]+)["']""")
_STRIKE: Final = re.compile(
    rb"""<(?:[\w.-]+:)?strike\b(?![^>]*\sval\s*=\s*["'](?:0|false|off)["'])"""
)
_RANGES: Final = re.compile(rb"""\ssqref\s*=\s*["']([^"']*)["']|sqref\s*>([^<]*)<""")
_RANGE: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})(?::\$?([A-Z]{1,3})\$?([0-9]{1,7}))?")


@dataclass(frozen=True)
class Strikes:
    """What strikes cells in a workbook.

    Attributes
    ----------
    styles : frozenset of int
        Styles of cells, by their position in the list of all.
    texts : Mapping of int to str
        Shared texts of which letters are struck, by position: :data:`WHOLE` or :data:`PART`.
    conditions : frozenset of int
        Formats that conditions and tables put on cells, by position.
    tables : Mapping of str to frozenset of str
        Style of tables -> the elements of a table that it strikes.
    """

    styles: frozenset[int] = frozenset()
    texts: Mapping[int, str] = field(default_factory=dict)
    conditions: frozenset[int] = frozenset()
    tables: Mapping[str, frozenset[str]] = field(default_factory=dict)


class StrikeFinder:
    """The struck cells of one sheet, as its XML is read from the beginning to the end.

    Attributes
    ----------
    cells : AreaList
        Struck cells, each area with :data:`WHOLE` or :data:`PART`.
    ranges : dict of Area to None
        Cells that a condition may strike.
    """

    def __init__(self, strikes: Strikes | None = None) -> None:
        self.cells = AreaList()
        self.ranges: dict[Area, None] = {}
        self._strikes = strikes or Strikes()
        self._by_default = 0 in self._strikes.styles
        self._columns: list[tuple[int, int]] = []
        self._quick = self._pattern()

    @property
    def is_looking(self) -> bool:
        """Whether any cell may be struck by its style or its shared text."""
        return bool(self._strikes.styles or self._strikes.texts)

    def _pattern(self) -> str:
        """Return a pattern of RE2 without which no cell of a block is struck; "" for any block."""
        styles, texts = self._strikes.styles, self._strikes.texts
        if self._by_default or len(styles) > _MOST_NAMED or len(texts) > _MOST_NAMED:
            return ""
        parts = []
        if styles:
            names = "|".join(map(str, sorted(styles)))
            parts.append(rf"""<(?:c|row) [^>]*\ss\s*=\s*["']0*(?:{names})["']""")
        if texts:
            parts.append(rf"<v[^>]*>(?:{'|'.join(map(str, sorted(texts)))})<")
        return "|".join(parts)

    def add_column(self, first: int, last: int, style: str) -> None:
        """Note columns (0-based) whose cells have a style unless they or their row have one."""
        if style.isdecimal() and int(style) in self._strikes.styles:
            self._columns.append((first, last))

    def scan_block(self, block: bytes) -> bool:
        """Find the struck cells in rows of the plain dialect; False if it is another."""
        if not self.is_looking:
            return True
        if b"&" in block and contains(block, _ENTITY):
            return False
        if self._columns or not self._quick or contains(block, self._quick):
            self._scan_cells(block)
        return True

    def _scan_cells(self, block: bytes) -> None:
        row_style: int | None = None
        for match in _ROW_OR_CELL.finditer(block):
            attributes = match["row"]
            if attributes is not None:
                style = _STYLE.search(b" " + attributes)
                row_style = int(style[1]) if style and _CUSTOM.search(attributes) else None
                continue
            attributes = match["cell"]
            if attributes.endswith(b"/"):
                continue
            style = _STYLE.search(attributes)
            text = int(match["text"]) if match["text"] and _SHARED.search(attributes) else -1
            column = column_index(match["column"].decode())
            self.add_cell(
                int(match["number"]) - 1, column, int(style[1]) if style else None, row_style, text
            )

    def add_cell(
        self, row: int, column: int, style: int | None, row_style: int | None, text: int = -1
    ) -> None:
        """Add a cell if its style strikes it, or else the row's, or else the column's; or its text.

        Programs differ about cells without a style of their own: some show them as the row is.
        """
        if text in self._strikes.texts:
            self.cells.add(row, column, self._strikes.texts[text])
            return
        if style is None:
            style = row_style
        if style is not None:
            struck = style in self._strikes.styles
        else:
            struck = self._by_default or any(a <= column <= b for a, b in self._columns)
        if struck:
            self.cells.add(row, column, WHOLE)

    def add_element(
        self, row: int, column: int, cell: ElementTree.Element, row_style: str | None
    ) -> None:
        """Do the same for a cell that a parser has read."""
        inline = next((child for child in cell if _name(child) == "is"), None)
        note = struck_part(inline) if inline is not None else None
        if note is not None:
            self.cells.add(row, column, note)
        elif self.is_looking:
            value = next((child.text or "" for child in cell if _name(child) == "v"), "")
            shared = cell.get("t") == "s" and value.isdecimal()
            styles = (_number(cell.get("s")), _number(row_style))
            self.add_cell(row, column, *styles, int(value) if shared else -1)

    def add_conditions(self, text: bytes) -> None:
        """Note the ranges of conditional formats, as the XML describes them, that may strike."""
        for match in _CONDITION.finditer(text):
            formats = {int(number) for number in _FORMAT.findall(match[0])}
            if formats & self._strikes.conditions or _STRIKE.search(match[0]):
                for one, other in _RANGES.findall(match[0]):
                    self.add_ranges((one or other).decode(errors="replace"))

    def add_ranges(self, references: str) -> None:
        """Note ranges, written with blanks between them, that a condition may strike."""
        for reference in references.upper().split():
            if (area := area_of(reference)) and len(self.ranges) < _MOST_RANGES:
                self.ranges[area] = None

    def add_table(self, table: ElementTree.Element) -> None:
        """Add what the style of a table strikes (ECMA-376, 18.5.1 and 18.8.40).

        The formats of its columns are those of rows to come, and stripes depend on what is shown,
        so they are told as what a condition may strike.
        """
        area = area_of(table.get("ref", ""))
        if area is None:
            return
        top, left, bottom, right = area
        top += _count(table, "headerRowCount", 1)
        bottom -= _count(table, "totalsRowCount", 0)
        style = next((e for e in table.iter() if _name(e) == "tableStyleInfo"), None)
        name = style.get("name", "") if style is not None else ""
        struck = self._strikes.tables.get(name, frozenset())
        shown = {
            name.removeprefix("show").lower()
            for name, value in (style.attrib.items() if style is not None else ())
            if value not in _FALSE
        }
        body = (top, left, bottom, right)
        for element in struck:
            if element == "wholeTable":
                self.cells.items.append((body, WHOLE))
            elif element in {"firstColumn", "lastColumn"} and element.lower() in shown:
                at = left if element == "firstColumn" else right
                self.cells.items.append(((top, at, bottom, at), WHOLE))
            elif element.endswith("Stripe") and f"{_stripes(element)}stripes" in shown:
                self.ranges[body] = None
        columns = (e for e in table.iter() if _name(e) == "tableColumn")
        for number, column in enumerate(columns):
            if _number(column.get("dataDxfId")) in self._strikes.conditions:
                self.ranges[top, left + number, bottom, left + number] = None


def area_of(reference: str) -> Area | None:
    """Return the cells that a reference names; None if it is none.

    >>> area_of("B2:$C$10"), area_of("A1"), area_of("#REF!")
    ((1, 1, 9, 2), (0, 0, 0, 0), None)
    """
    match = _RANGE.fullmatch(reference)
    if match is None:
        return None
    corner = int(match[2]) - 1, column_index(match[1])
    other = (int(match[4]) - 1, column_index(match[3])) if match[3] else corner
    return (*map(min, corner, other), *map(max, corner, other))  # type: ignore[return-value]  # four numbers


def is_strike_on(properties: ElementTree.Element) -> bool:
    """Return True if a font, or the properties of a run of text, strike."""
    return any(_name(e) == "strike" and e.get("val", "1") not in _OFF for e in properties)


def struck_part(text: ElementTree.Element) -> str | None:
    """Return whether a text is struck as a whole or in part; None if no letter of it is."""
    struck, plain = False, False
    for run in text:
        kind = _name(run)
        if kind not in {"r", "t"}:
            continue  # how a text is pronounced is no part of it
        letters = "".join(run.itertext()) if kind == "r" else run.text or ""
        if letters.strip():
            is_struck = any(_name(e) == "rPr" and is_strike_on(e) for e in run)
            struck, plain = struck or is_struck, plain or not is_struck
    return (PART if plain else WHOLE) if struck else None


def struck_texts(texts: Iterable[ElementTree.Element]) -> dict[int, str]:
    """Return those of the shared texts of which letters are struck, by position."""
    notes = ((number, struck_part(text)) for number, text in enumerate(texts))
    return {number: note for number, note in notes if note is not None}


class StyleCollector:
    """The styles of a workbook (ECMA-376, 18.8), element by element, for what strikes in them."""

    NAMES: Final = ("font", "fonts", "xf", "cellStyleXfs", "cellXfs", "dxf", "tableStyle")

    def __init__(self) -> None:
        self._pending: list[bool] = []
        self._fonts: list[bool] = []
        self._xfs: list[tuple[int, int, bool]] = []
        self._named: list[bool] = []
        self._styles: frozenset[int] = frozenset()
        self._conditions: list[bool] = []
        self._tables: dict[str, list[tuple[str, int]]] = {}

    def add(self, element: ElementTree.Element) -> None:
        """Take in an element of :attr:`NAMES` at its end."""
        match _name(element):
            case "font":
                self._pending.append(is_strike_on(element))
            case "fonts":
                self._fonts, self._pending = self._pending, []
            case "dxf":
                self._conditions.append(any(self._pending))
                self._pending = []
            case "xf":
                font, named = (_number(element.get(n)) or 0 for n in ("fontId", "xfId"))
                self._xfs.append((font, named, element.get("applyFont") in _FALSE))
            case "cellStyleXfs":
                self._named = [self._is_struck(font) for font, _, _ in self._xfs]
                self._xfs = []
            case "cellXfs":
                self._styles = frozenset(self._struck_styles())
                self._xfs = []
            case "tableStyle":
                self._tables[element.get("name", "")] = [
                    (part.get("type", ""), _number(part.get("dxfId")) or 0) for part in element
                ]

    def _is_struck(self, font: int) -> bool:
        return font < len(self._fonts) and self._fonts[font]

    def _struck_styles(self) -> Iterator[int]:
        for number, (font, named, of_named) in enumerate(self._xfs):
            # Where a style does not apply its font, some programs show that of the named style.
            by_name = of_named and named < len(self._named) and self._named[named]
            if by_name or self._is_struck(font):
                yield number

    def strikes(self) -> Strikes:
        """Return what strikes."""
        conditions = frozenset(i for i, struck in enumerate(self._conditions) if struck)
        tables = {
            name: frozenset(kind for kind, number in parts if number in conditions)
            for name, parts in self._tables.items()
        }
        return Strikes(
            self._styles, {}, conditions, {n: kinds for n, kinds in tables.items() if kinds}
        )


def _stripes(element: str) -> str:
    return "row" if "Row" in element else "column"


def _count(element: ElementTree.Element, name: str, default: int) -> int:
    number = _number(element.get(name))
    return default if number is None else number


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 10 else None


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def contains(block: bytes, pattern: str) -> bool:
    """Return True if RE2 finds the pattern in the bytes, in linear time."""
    ends = pa.py_buffer(bytes(4) + len(block).to_bytes(4, "little"))  # where it begins and ends
    text = pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(block)])
    return bool(pc.match_substring_regex(text, pattern)[0].as_py())
