"""OpenDocument sheets: what the fast reader drops of ``content.xml``, by one pass of a parser."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import IO, Final, NamedTuple
from xml.etree import ElementTree

from sharekit.core.html import shorten

from ..raw_sheet import AreaList, DamagedError, DialectError, column_letter
from .links import formula_link, ids_in
from .number_formats import literal_format
from .strikes import PART, WHOLE, area_of
from .xlsx import LAST_ROW, CheckedXml, SheetScan, elements, is_zero_size, local_name

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_XLINK: Final = "{http://www.w3.org/1999/xlink}"
_CALC: Final = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
#: The name of a sheet in the reference to a cell.
_SHEET_NAME: Final = re.compile(r"""(?:\$?(?:'[^']*'|[^.':]*))?\.(?=\$?[A-Z])""")
#: Character data sections, which readers drop.
_DROPPED: Final = re.compile(rb"<!\[CDATA\[")
#: How LibreOffice keeps a truth value that it has read from another format.
_TRUTH: Final = re.compile(r"(?:of:)?=(TRUE|FALSE)\(\)")
#: Cells of one run that are noted one by one.
_LONGEST_RUN: Final = 100_000
_UNITS: Final = "abcdefghijklmnopqrstuvwxyz%"


class OdsStyles:
    """The styles of an OpenDocument, by family and name, for what crosses out text in them."""

    def __init__(self) -> None:
        self._own: dict[tuple[str, str], tuple[bool | None, str, tuple[str, ...]]] = {}
        self._defaults: dict[str, bool] = {}
        #: Whether any style strikes; without one, no cell is looked at.
        self.any_strikes = False

    def add(self, style: ElementTree.Element) -> None:
        """Add a style, or the default style of a family."""
        family = style.get(f"{_STYLE}family", "")
        struck = next((s for e in style for s in [_line_through(e)] if s is not None), None)
        self.any_strikes = self.any_strikes or bool(struck)
        if local_name(style.tag) == "default-style":
            self._defaults[family] = bool(struck)
            return
        maps = (e.get(f"{_STYLE}apply-style-name", "") for e in style)
        parent = style.get(f"{_STYLE}parent-style-name", "")
        self._own[family, style.get(f"{_STYLE}name", "")] = (
            struck,
            parent,
            tuple(filter(None, maps)),
        )

    def strikes(self, family: str, name: str) -> bool | None:
        """Return whether a style strikes; None if it and those it is made of do not say."""
        for _ in range(len(self._own) + 1):
            own, parent, _maps = self._own.get((family, name), (None, "", ()))
            if own is not None:
                return own
            if not parent:
                break
            name = parent
        return self._defaults.get(family)

    def may_strike(self, name: str) -> bool:
        """Return True if a cell's style strikes under a condition."""
        maps = self._own.get(("table-cell", name), (None, "", ()))[2]
        return any(self.strikes("table-cell", style) for style in maps)

    def struck_part(self, cell: ElementTree.Element, style: str) -> str | None:
        """Return whether a cell's text is struck as a whole or in part; None if it is not."""
        of_cell = bool(self.strikes("table-cell", style or "Default"))
        paragraphs = [e for e in cell if local_name(e.tag) == "p"]
        if not paragraphs:
            return WHOLE if of_cell else None
        letters = {struck for e in paragraphs for struck in self._letters(e, of_cell)}
        return None if True not in letters else PART if False in letters else WHOLE

    def _letters(self, text: ElementTree.Element, struck: bool) -> Iterator[bool]:  # noqa: FBT001 - the state so far
        """Yield for each run of visible letters whether it is struck."""
        family = "paragraph" if local_name(text.tag) == "p" else "text"
        own = self.strikes(family, text.get(f"{_TEXT}style-name", ""))
        inner = struck if own is None else own
        if (text.text or "").strip():
            yield inner
        for element in text:
            if local_name(element.tag) != "annotation":
                yield from self._letters(element, inner)
            if (element.tail or "").strip():
                yield inner


def _line_through(properties: ElementTree.Element) -> bool | None:
    """Return whether a style's properties strike text; None if they do not say."""
    values = (properties.get(f"{_STYLE}text-line-through-{way}") for way in ("style", "type"))
    said = [value != "none" for value in values if value is not None]
    return all(said) if said else None


def read_ods_styles(stream: IO[bytes]) -> OdsStyles:
    """Read the styles that have names for people, which those of the cells are made of."""
    styles, pending = OdsStyles(), list[ElementTree.Element]()
    names = ("style", "default-style", "styles", "automatic-styles")
    for element in elements(stream, *names):
        if local_name(element.tag) in {"style", "default-style"}:
            pending.append(element)
            continue
        if local_name(element.tag) == "styles":
            for style in pending:
                styles.add(style)
        pending.clear()
    return styles


def scan_ods(stream: IO[bytes], styles: OdsStyles | None = None) -> tuple[list[SheetScan], int]:
    """Scan every sheet (OpenDocument 1.3, 9.1), and count the blanks that texts unfold to.

    A few bytes (``<text:s text:c="2000000000"/>``) may stand for millions of blanks.

    Raises
    ------
    DialectError
        Programs would read the document differently.
    """
    scans: list[SheetScan] = []
    flat_styles: set[str] = set()
    styles = styles or OdsStyles()
    sheet, blanks = _OdsSheet(flat_styles, styles), 0
    names = ("table", "table-row", "table-column", "style", "conditional-format")
    for element in elements(CheckedXml(stream, _DROPPED), *names):
        kind = local_name(element.tag)
        if kind == "style":
            styles.add(element)
            if any(map(_is_flat, element)):
                flat_styles.add(element.get(f"{_STYLE}name", ""))
        elif kind == "table":
            scans.append(sheet.end())
            blanks += sheet.blanks
            sheet = _OdsSheet(flat_styles, styles)
        elif kind == "table-column":
            sheet.add_column(element)
        elif kind == "table-row":
            sheet.add_row(element)
        elif kind == "conditional-format":
            sheet.add_condition(element)
    return scans, blanks


class _Run(NamedTuple):
    """A cell, or a run of equal ones, in an OpenDocument row."""

    column: int
    length: int
    cell: ElementTree.Element


class _OdsSheet:
    """What was gathered of one sheet so far."""

    def __init__(self, flat_styles: set[str], styles: OdsStyles) -> None:
        self.scan = SheetScan()
        self.row = self.column = self.blanks = 0
        self._flat_styles, self._styles = flat_styles, styles
        self._column_styles: list[tuple[int, str]] = []
        self._mapped = AreaList()

    def add_column(self, element: ElementTree.Element) -> None:
        repeated = _repeated(element, "columns")
        if self._is_hidden(element):
            self.scan.hidden_columns.append((self.column, self.column + repeated - 1))
        self.column += repeated
        style = element.get(f"{_TABLE}default-cell-style-name", "")
        self._column_styles.append((self.column, style))

    def add_row(self, element: ElementTree.Element) -> None:
        repeated = _repeated(element, "rows")
        if self._is_hidden(element):
            self.scan.hidden.extend(range(self.row, min(self.row + repeated, LAST_ROW)))
        row_style = element.get(f"{_TABLE}default-cell-style-name", "")
        for run in _runs(element):
            self._add_run(repeated, run)
            if self._styles.any_strikes and len(run.cell):
                self._add_strike(repeated, run, row_style)
        self.row += repeated

    def _add_strike(self, rows: int, run: _Run, row_style: str) -> None:
        """Note a cell that its style, or else its row's or its column's, crosses out."""
        style = run.cell.get(f"{_TABLE}style-name") or row_style or self._column_style(run.column)
        area = self.row, run.column, self.row + rows - 1, run.column + run.length - 1
        note = self._styles.struck_part(run.cell, style)
        if note is not None:
            self.scan.struck.append((area, note))
        elif self._styles.may_strike(style):
            if rows == run.length == 1:
                self._mapped.add(self.row, run.column, "")
            else:
                self.scan.may_be_struck[area] = None

    def end(self) -> SheetScan:
        """Return the scan, with the cells that their style may strike."""
        self.scan.may_be_struck |= dict.fromkeys(area for area, _ in self._mapped.items)
        return self.scan

    def _column_style(self, column: int) -> str:
        return next((style for end, style in self._column_styles if column < end), "")

    def add_condition(self, element: ElementTree.Element) -> None:
        """Note the cells that a conditional format may cross out."""
        names = (e.get(f"{_CALC}apply-style-name", "") for e in element)
        if any(self._styles.strikes("table-cell", name) for name in names if name):
            for reference in element.get(f"{_CALC}target-range-address", "").split():
                area = area_of(_SHEET_NAME.sub("", reference))
                if area:
                    self.scan.may_be_struck[area] = None

    def _is_hidden(self, element: ElementTree.Element) -> bool:
        """Return True if nobody sees a row or column: hidden, filtered out, or of no size."""
        visibility = element.get(f"{_TABLE}visibility")
        style = element.get(f"{_TABLE}style-name")
        return visibility in {"collapse", "filter"} or style in self._flat_styles

    def _add_links(self, rows: int, run: _Run) -> None:
        """Note the links of a cell that hold an ID, be they anchors or made by its formula."""
        targets = [anchor.get(f"{_XLINK}href", "") for anchor in run.cell.iter(f"{_TEXT}a")]
        if "HYPERLINK(" in (formula := run.cell.get(f"{_TABLE}formula", "")):
            targets += [target for _, target in formula_link((self.row, run.column), formula)]
        last = self.row + rows - 1, run.column + run.length - 1
        area = self.row, run.column, *last
        self.scan.links.extend((area, target) for target in targets if ids_in(target))

    def _add_run(self, rows: int, run: _Run) -> None:
        column, length, cell = run
        scan, row = self.scan, self.row
        typed = f"{_OFFICE}value-type" in cell.attrib
        if len(cell) or typed:
            scan.written += 1
            scan.filled += rows * length
            scan.bottom = max(scan.bottom, row + rows)
            scan.right = max(scan.right, column + length)
            self._add_links(rows, run)
            if cell.find(f"{_OFFICE}annotation") is not None:
                scan.comments.append(f"{column_letter(column)}{row + 1}")
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
        raise DamagedError(f"{shorten(text, 40)!r} is no number")
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
