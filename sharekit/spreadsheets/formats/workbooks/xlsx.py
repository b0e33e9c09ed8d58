"""Sheets of xlsx: what their XML tells besides the values that the fast reader gives.

Spreadsheet programs write one plain dialect: rows and cells in ascending order, each with its
address as the first attribute. :func:`scan_xlsx` checks with a few array operations on each MiB
that a sheet keeps to it: 0.6 s for a million rows of eight columns. A sheet in any other XML goes
through a parser, :func:`parse_xlsx`, in 40 s; it refuses what programs read differently.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

# Entity expansion is bounded by expat itself (2.4.1 and later).
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from sharekit.core.html import shorten

from ..raw_sheet import (
    Area,
    DamagedError,
    DialectError,
    SheetMetadata,
    column_index,
    column_letter,
)
from .links import Link, formula_link, formula_links
from .number_formats import TextFormats, altering_styles
from .strikes import StrikeFinder, Strikes, StyleCollector, contains

LAST_ROW: Final = 1_048_576
_LAST_COLUMN: Final = 16_384
_CHUNK: Final = 1 << 20
#: A row longer than this is left to the parser.
_LONGEST_ROW: Final = 64 * _CHUNK
#: No honest tag of a row or cell is nearly as long.
_LONGEST_TAG: Final = 1 << 16
#: Longer than any text of a cell, so that none is missed between two chunks.
_OVERLAP: Final = 1 << 18
#: Longer than any tag behind the rows that matters.
_TAIL_TAG: Final = 4096
_YES: Final = frozenset({"1", "true", b"1", b"true"})

#: The vocabulary's declaration, with its prefix if it has one; ClosedXML writes <x:row>.
_MAIN: Final = re.compile(rb"""xmlns(:[\w.-]+)?\s*=\s*["'][^"']*spreadsheetml/(?:2006/)?main["']""")
_VOCABULARIES: Final = frozenset({
    "{http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "{http://purl.oclc.org/ooxml/spreadsheetml/main",
})  # fmt: skip
_COL: Final = re.compile(rb"<col\s([^>]*)>")
#: Rows are hidden unless they say how high they are.
_NO_HEIGHT: Final = re.compile(rb"""<sheetFormatPr[^>]*\szeroHeight\s*=\s*["'](?:1|true)["']""")
_ATTRIBUTE: Final = re.compile(rb"""([\w:]+)\s*=\s*["']([^"']*)["']""")
_MERGED: Final = re.compile(rb'<mergeCell ref="([A-Z]+)([0-9]+)(?::([A-Z]+)([0-9]+))?"\s*/?>')
_MERGE: Final = re.compile(rb"<mergeCell\s[^>]*>")

#: The tags of rows in the plain dialect, by their first letter, and those that a cell holds. Rich
#: text in a cell is left to the parser: its ``<r>`` is no ``<row r="…">``.
_ROW_TAG, _CELL_TAG, _VALUE_TAG, _INLINE_TAG, _FORMULA_TAG, _TEXT_TAG = b"rcvift"
_TAGS, _HOLDS = np.zeros((2, 256), bool)
_TAGS[[*b"rcvift"]] = _HOLDS[[*b"vift"]] = True
#: The tag of a text whose outer blanks count.
_SPACED: Final = b'<t xml:space="preserve">'
_ROW_START: Final = np.uint64(int.from_bytes(b'row r="', "little"))
_CELL_START: Final = np.uint64(int.from_bytes(b'c r="', "little"))
#: Behind the last tag of a block.
_NO_TAG: Final = np.zeros(2, np.uint8)
#: Room behind a block, so that eight bytes can be read from any place in it.
_PADDING: Final = bytes(40)

#: An error cell, or an entity that may spell one.
_ERROR: Final = re.compile(rb"""\st\s*=\s*["']e["']|&#""")
_TEXT_TYPE: Final = re.compile(rb"""\st\s*=\s*["']str["']""")
#: The tag of a row that may be hidden, or of no height; and those that are for certain.
_MAY_HIDE: Final = r"""<row [^>]*(?:hidden|\sht\s*=\s*["']0)"""
_HIDDEN: Final = re.compile(
    rb"""<row r="([0-9]+)"(?=[^>]*\s(?:hidden\s*=\s*["'](?:1|true)["']"""
    rb"""|ht\s*=\s*["']0+(?:\.0*)?["']))"""
)
_ROW_ENTITY: Final = re.compile(rb"<row [^>]*&")
#: Values with white space at an end, and references to shared texts that are no plain numbers:
#: readers take the one for text, and the other for blank or for the first of all texts.
_ODD_VALUE: Final = (
    r"<(?:v>(?:[ \t\r\n]|[^<]*[ \t\r\n]<)"
    r"""|c [^>]*\bt\s*=\s*["']s["'][^>]*>\s*(?:<f[^<]*(?:</f>)?)?<v>(?:[0-9]{10}|[0-9]*[^0-9<]))"""
)
#: Eight bytes at once: "0" in each, what carries a byte above 9 to its highest bit, that bit.
_ZEROS, _CARRY, _HIGH = (
    np.uint64(int.from_bytes(bytes([byte]) * 8, "little")) for byte in (0x30, 0x76, 0x80)
)
#: Eight digits to a number in three steps: pairs, fours, all (the usual trick with one word).
_DIGITS: Final = tuple(
    tuple(map(np.uint64, step))
    for step in (
        (0x0F0F0F0F0F0F0F0F, 10 << 8 | 1, 8),
        (0x00FF00FF00FF00FF, 100 << 16 | 1, 16),
        (0x0000FFFF0000FFFF, 10_000 << 32 | 1, 32),
    )
)

_CELL: Final = re.compile("([A-Z]+)([0-9]+)")
_TEXTS: Final = frozenset({"s", "str", "inlineStr"})
_VALUES: Final = frozenset({"n", "b", "e", "d"})
_REFERENCE: Final = re.compile("[0-9]{1,9}")
#: What readers drop in the midst of a value: character data, or a number spelled by entities.
DROPPED_VALUE: Final = re.compile(
    rb"<(?:[\w.-]+:)?v(?:\s[^<>]*)?>[^<]*<[!?]"
    rb"""|<(?:[\w.-]+:)?c(?>[^<>]*?\st\s*=\s*["']s["'])[^<>]*+>\s*"""
    rb"<(?:[\w.-]+:)?v(?:\s[^<>]*)?>[^<&]*&"
)


@dataclass
class SheetScan:
    """What the markup of a sheet tells, before its values are read.

    Attributes
    ----------
    plain : bool
        True as long as the sheet keeps to the plain dialect; if not, only a parser knows the rest.
    errors : bool
        True if there may be error cells.
    first, last : int or None
        0-based first and last column with a value; None if no cell shows its value plainly.
    bottom, right, filled : int
        Last row and column (1-based) and number of the cells that are not certainly blank.
    written : int
        In an OpenDocument, the filled cells without their repetitions.
    merges : int
        Number of merged ranges; those beyond the limit are not kept.
    """

    plain: bool = True
    errors: bool = False
    first: int | None = None
    last: int | None = None
    bottom: int = 0
    right: int = 0
    filled: int = 0
    written: int = 0
    merges: int = 0
    hidden: list[int] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    uncalculated: list[tuple[int, int]] = field(default_factory=list)
    merged: dict[Area, None] = field(default_factory=dict)
    error_cells: list[tuple[int, int, str]] = field(default_factory=list)
    display_differs: list[tuple[Area, str]] = field(default_factory=list)
    struck: list[tuple[Area, str]] = field(default_factory=list)
    may_be_struck: dict[Area, None] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def metadata(self) -> SheetMetadata:
        """The same, as all formats tell it."""
        return SheetMetadata(
            np.array(self.hidden, np.int64),
            tuple(self.merged),
            tuple(self.uncalculated),
            tuple(self.error_cells),
            hidden_columns=tuple(self.hidden_columns),
            display_differs=tuple(self.display_differs),
            struck=tuple(self.struck),
            may_be_struck=tuple(self.may_be_struck),
            links=tuple(self.links),
            comments=tuple(self.comments),
        )

    def add_value_columns(self, first: int, last: int) -> None:
        """Widen the range of columns with a value."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)


def scan_xlsx(
    stream: IO[bytes], merge_limit: int, strikes: StrikeFinder | None = None
) -> SheetScan:
    """Scan the XML of a sheet, some rows at a time, until it leaves the plain dialect."""
    scan, strikes = SheetScan(), strikes or StrikeFinder()
    rows = _RowScanner(scan)
    for block in _row_blocks(stream, scan, merge_limit, strikes):
        rows.read(block)
        scan.plain = scan.plain and strikes.scan_block(block)
        if b"HYPERLINK(" in block:
            scan.links += formula_links(block)
        if not scan.plain:
            break
    scan.struck, scan.may_be_struck = strikes.cells.items, strikes.ranges
    return scan


def _row_blocks(
    stream: IO[bytes], scan: SheetScan, merge_limit: int, strikes: StrikeFinder
) -> Iterator[bytes]:
    """Yield whole rows; head and tail of the sheet have none and are read here."""
    text = b""
    while (start := text.find(b"sheetData")) < 0 and len(text) < _LONGEST_ROW:
        chunk = stream.read(_CHUNK)
        if not chunk:
            break
        text += chunk
    prefix = _read_head(text[: max(start, 0)], scan, strikes)
    text = text[start + len(b"sheetData") :] if start >= 0 else b""
    while b">" not in text and (chunk := stream.read(_CHUNK)):
        text += chunk
    if not scan.plain or re.match(rb"\s*/>", text):
        _read_tail(stream, text, scan, merge_limit, strikes)
        return
    text = text[text.find(b">") + 1 :]
    row_end, rows_end = b"</%brow>" % prefix, b"</%bsheetData>" % prefix
    begin, close = b"<" + prefix, b"</" + prefix
    searched, end = 0, -1
    while end < 0:
        chunk = stream.read(_CHUNK)
        text += chunk
        cut = text.rfind(row_end, searched) + len(row_end)
        end = text.find(rows_end, max(cut, searched) if cut >= len(row_end) else searched)
        if end < 0 and cut < len(row_end):
            if not chunk or len(text) >= _LONGEST_ROW:
                scan.plain = False
                return
            searched = max(0, len(text) - len(rows_end))
            continue
        cut = end if end >= 0 else cut
        block, text, searched = text[:cut], text[cut:], 0
        yield block.replace(close, b"</").replace(begin, b"<") if prefix else block
    _read_tail(stream, text.replace(begin, b"<"), scan, merge_limit, strikes, begin)


def _read_head(head: bytes, scan: SheetScan, strikes: StrikeFinder) -> bytes:
    """Find the prefix of all names, and the columns that are hidden or struck."""
    prefixes = set(_MAIN.findall(head))
    prefix = max(prefixes, default=b"")[1:] + b":" if any(prefixes) else b""
    scan.plain = len(prefixes) == 1 and head.endswith(b"<" + prefix) and b"<!" not in head
    scan.plain &= _NO_HEIGHT.search(head) is None
    head = head.replace(b"<" + prefix, b"<")
    scan.plain &= len(_COL.findall(head)) <= _LAST_COLUMN
    for match in _COL.finditer(head) if scan.plain else ():
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        hidden = attributes.get(b"hidden") in _YES
        hidden = hidden or is_zero_size(attributes.get(b"width", b""))
        style = attributes.get(b"style", b"")
        if hidden or style:
            ends = (attributes.get(name, b"") for name in (b"min", b"max"))
            first, last = map(_number, ends)
            strikes.add_column(first - 1, last - 1, style.decode())
            if hidden:
                scan.hidden_columns.append((first - 1, last - 1))
    return prefix


def _read_tail(
    stream: IO[bytes],
    text: bytes,
    scan: SheetScan,
    merge_limit: int,
    strikes: StrikeFinder,
    begin: bytes = b"<",
) -> None:
    """Find the merged cells and the conditions that strike, which stand behind the rows."""
    conditions = b""
    while text and scan.plain:
        merges, count = _MERGED.findall(text), len(_MERGE.findall(text))
        scan.plain &= len(merges) == count and b"<!" not in text and b"<sheetData" not in text
        scan.merges += count
        if scan.merges > merge_limit:
            return
        for left, top, right, bottom in dict.fromkeys(merges):
            corner = (int(top) - 1, column_index(left.decode()))
            other = (int(bottom) - 1, column_index(right.decode())) if right else corner
            scan.merged[(*corner, *other)] = None
        keep = text.rfind(b"<", max(0, len(text) - _TAIL_TAG))
        chunk = stream.read(_CHUNK)
        rest = text[keep:] if keep >= 0 and chunk else b""
        if conditions or b"conditionalFormatting" in text:
            conditions += text[: len(text) - len(rest)]
            scan.plain &= len(conditions) <= _LONGEST_ROW
        text = (rest + chunk).replace(begin, b"<") if chunk else b""
    strikes.add_conditions(conditions)


class _RowScanner:
    """The scan through the rows of a sheet, a block of whole rows at a time."""

    def __init__(self, scan: SheetScan) -> None:
        self.scan = scan
        self.last_row = 0

    def read(self, block: bytes) -> None:
        """Take in a block; ``scan.plain`` becomes False if it is not in the plain dialect."""
        scan = self.scan
        tags = _Tags(block)
        scan.plain = tags.known and not (b"x" in block and b"xmlns" in block)
        scan.plain = scan.plain and (tags.has_short_numbers() or not contains(block, _ODD_VALUE))
        scan.plain = scan.plain and self._read_cells(tags)
        if not scan.plain:
            return
        scan.errors = scan.errors or (b"#" in block and bool(_ERROR.search(block)))
        if b"h" in block and contains(block, _MAY_HIDE):
            scan.hidden += [int(number) - 1 for number in _HIDDEN.findall(block)]
            scan.plain = _ROW_ENTITY.search(block) is None

    def _read_cells(self, tags: _Tags) -> bool:
        """Note where the cells of a block are; return False if they are not in plain order."""
        rows, row_words, masks = tags.rows()
        if not tags.cells.size:
            return not tags.holders and (not rows.size or self._is_next(rows))
        if not rows.size:
            return False
        starts = np.searchsorted(tags.cells, np.flatnonzero(tags.kinds == _ROW_TAG))
        if not self._is_next(rows) or starts[0]:
            return False
        counts = np.diff(starts, append=tags.cells.size)
        columns = tags.columns(np.repeat(row_words, counts), np.repeat(masks, counts))
        if columns is None:
            return False
        ascending = np.diff(columns) > 0
        ends = starts[1:] - 1
        ascending[ends[(ends >= 0) & (ends < ascending.size)]] = True
        return bool(ascending.all()) and self._read_contents(tags, np.repeat(rows, counts), columns)

    def _is_next(self, rows: NDArray[np.int64]) -> bool:
        """Return True if the rows stand in ascending order below those before."""
        before, self.last_row = self.last_row, int(rows[-1])
        return bool(rows[0] > before and (np.diff(rows) > 0).all())

    def _read_contents(
        self, tags: _Tags, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> bool:
        """Note which cells have content; return False if one has two values."""
        scan = self.scan
        held = tags.cells + 1
        filled = _HOLDS[tags.kinds[held]]
        last = int(np.flatnonzero(filled)[-1]) if filled.any() else -1
        if last < 0:
            return not tags.holders
        scan.filled += int(np.count_nonzero(filled))
        scan.bottom = int(rows[last])
        scan.right = max(scan.right, int(columns[filled].max()) + 1)
        formula = tags.kinds[held] == _FORMULA_TAG
        held += formula
        value, inline = tags.kinds[held] == _VALUE_TAG, tags.kinds[held] == _INLINE_TAG
        if tags.holders != np.count_nonzero(value) + np.count_nonzero(inline):
            return False
        value &= tags.have_text(held, b"<v>")
        certain = value
        if inline.any():
            texts = tags.have_text(held + 1, b"<t>") | tags.have_text(held + 1, _SPACED)
            certain = value | (inline & texts)
        if certain.any():
            valued = columns[certain]
            scan.add_value_columns(int(valued.min()), int(valued.max()))
        for cell in np.flatnonzero(formula & ~value).tolist():
            # An empty result of type "str" is a formula that gave "" and was saved as such.
            if not _TEXT_TYPE.search(tags.cell_tag(cell)):
                scan.uncalculated.append((int(rows[cell]) - 1, int(columns[cell])))
        return True


class _Tags:
    """The opening tags of a block of rows as arrays: where each begins, and of which kind it is."""

    def __init__(self, block: bytes) -> None:
        self.block = block + _PADDING
        self.letters = np.frombuffer(self.block, np.uint8)
        #: Eight bytes from any place on, as one number.
        self.words = np.ndarray(len(self.block) - 7, "<u8", self.block, 0, (1,))
        opens = (self.letters[:-1] == ord("<")) & (self.letters[1:] != ord("/"))
        starts = np.flatnonzero(opens)
        kinds = self.letters[starts + 1]
        ends = [len(block)] * 2
        self.known = bool(_TAGS[kinds].all())
        self.known &= not (np.diff(starts, append=ends) > _LONGEST_TAG).any()
        #: Behind the last tag stand two of no kind, so that each has two that follow.
        self.starts, self.kinds = np.append(starts, ends), np.append(kinds, _NO_TAG)
        self.cells = np.flatnonzero(self.kinds == _CELL_TAG)
        self.values = np.flatnonzero(self.kinds == _VALUE_TAG)
        #: How many values there are, in a cell or outside of any.
        self.holders = self.values.size + int(np.count_nonzero(self.kinds == _INLINE_TAG))

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the numbers of the rows, how they are spelled, and the bits that this takes.

        A row without a plain number gets the number 0, which no ascending order has.
        """
        starts = self.starts[self.kinds == _ROW_TAG]
        words = self.words[starts + 8]
        end = _first_other(words)
        plain = (self.words[starts + 1] << np.uint64(8)) == (_ROW_START << np.uint64(8))
        plain &= _is_byte(words, end, '"') & (words.astype(np.uint8) != ord("0"))
        numbers = words << (np.uint64(64) - np.bitwise_count((end >> np.uint64(7)) - np.uint64(1)))
        for bits, factor, shift in _DIGITS:
            numbers = ((numbers & bits) * factor) >> shift
        mask = (end << np.uint64(1)) - np.uint64(1)
        return np.where(plain, numbers, 0).astype(np.int64), words & mask, mask

    def columns(
        self, row_words: NDArray[np.uint64], masks: NDArray[np.uint64]
    ) -> NDArray[np.int64] | None:
        """Return the 0-based columns of the cells; None unless each stands in its own row."""
        starts = self.starts[self.cells]
        words = self.words[starts + 1]
        plain = (words << np.uint64(24)) == (_CELL_START << np.uint64(24))
        columns = np.zeros(len(starts), np.int64)
        digits, is_letter = starts + len('<c r="'), plain
        for bits in (40, 48, 56):
            letter = (words >> np.uint64(bits)).astype(np.uint8)
            is_letter = is_letter & (letter >= ord("A")) & (letter <= ord("Z"))
            if not is_letter.any():
                break
            columns = np.where(is_letter, columns * 26 + letter - (ord("A") - 1), columns)
            digits += is_letter
        plain &= (columns > 0) & ((self.words[digits] & masks) == row_words)
        return columns - 1 if bool(plain.all()) and columns.max() <= _LAST_COLUMN else None

    def has_short_numbers(self) -> bool:
        """Return True if no value is anything but up to seven digits.

        So it is in sheets that refer to a table of texts, and takes a third of the time of a
        regular expression.
        """
        starts = self.starts[self.values]
        words = self.words[starts + len("<v>")]
        short = _is_byte(words, _first_other(words), "<") & (self.letters[starts + 2] == ord(">"))
        return bool(short.all())

    def have_text(self, tags: NDArray[np.int64], tag: bytes) -> NDArray[np.bool_]:
        """Return True where a tag is this one, by its last two letters, and text follows."""
        starts = self.starts[tags]
        text: NDArray[np.bool_] = self.letters[starts + len(tag)] != ord("<")
        for place in (len(tag) - 1, 2):
            text &= self.letters[starts + place] == tag[place]
        return text

    def cell_tag(self, cell: int) -> bytes:
        """Return the opening tag of a cell."""
        start = int(self.starts[self.cells[cell]])
        return self.block[start : self.block.find(b">", start)]


def _first_other(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the highest bit of the first of eight bytes that is no digit; 0 if all are."""
    differ = words ^ _ZEROS
    others: NDArray[np.uint64] = (differ + _CARRY | differ) & _HIGH
    return others & (~others + np.uint64(1))


def _is_byte(words: NDArray[np.uint64], bit: NDArray[np.uint64], letter: str) -> NDArray[np.bool_]:
    """Return True where the byte with this highest bit is a letter."""
    lowest = bit >> np.uint64(7)
    equal: NDArray[np.bool_] = (words & lowest * np.uint64(255)) == lowest * np.uint64(ord(letter))
    equal &= bit != 0
    return equal


def is_zero_size(size: bytes | str) -> bool:
    """Return True if a width or height is zero, so that nobody sees the column or row.

    >>> is_zero_size("0"), is_zero_size(b"0.0"), is_zero_size("0.5"), is_zero_size("")
    (True, True, False, False)
    """
    try:
        return float(size) == 0
    except ValueError:
        return False


class CheckedXml:
    """XML on its way to the parser, refused where readers drop a part of it or never end.

    Parameters
    ----------
    stream : IO[bytes]
        The XML.
    dropped : re.Pattern
        What readers drop.
    """

    def __init__(self, stream: IO[bytes], dropped: re.Pattern[bytes]) -> None:
        self._stream, self._dropped, self._tail = stream, dropped, b""
        self._chunk = io.BytesIO()

    def read(self, size: int = -1) -> bytes:
        """Read on; raise DialectError over what is refused."""
        # The parser is fed little at a time: elements that wait in memory make it half as fast.
        piece = self._chunk.read(size)
        if piece:
            return piece
        chunk = self._stream.read(_CHUNK)
        self._check(self._tail + chunk)
        self._tail = (self._tail + chunk)[-_OVERLAP:]
        self._chunk = io.BytesIO(chunk)
        return self._chunk.read(size)

    def _check(self, text: bytes) -> None:
        if self._dropped.search(text):
            raise DialectError("a value has markup in its midst")
        for start in range(0, len(text) - _LONGEST_TAG, _LONGEST_TAG):
            if text.find(b">", start, start + _LONGEST_TAG) < 0:
                tag = text.rfind(b"<", 0, start + 1)
                if tag >= 0 and text.find(b">", tag, start) < 0:
                    raise DialectError(f"it has a tag of more than {_LONGEST_TAG:,} bytes")


def parse_xlsx(
    stream: IO[bytes],
    formats: TextFormats | None = None,
    merge_limit: int = 1 << 20,
    strikes: StrikeFinder | None = None,
) -> SheetScan:
    """Do the same as :func:`scan_xlsx` by an XML parser, for any sheet (ECMA-376, 18.3.1).

    Raises
    ------
    DialectError
        Programs would read the sheet differently.
    """
    parsed = _ParsedSheet(formats or TextFormats(), strikes or StrikeFinder())
    names = ("row", "mergeCell", "col", "conditionalFormatting", "sheetFormatPr", "sheetData")
    for element in elements(CheckedXml(stream, DROPPED_VALUE), *names):
        name = local_name(element.tag)
        if name == "row":
            parsed.add_row(element)
        elif name == "sheetData":
            parsed.end_of_rows()
        elif name == "sheetFormatPr":
            parsed.default_hidden = element.get("zeroHeight") in _YES
        elif name == "conditionalFormatting":
            parsed.add_condition(element)
        elif name == "mergeCell":
            parsed.scan.merges += 1
            if parsed.scan.merges <= merge_limit:
                parsed.scan.merged[_area(element.get("ref", ""))] = None
        else:
            parsed.add_columns(element)
    parsed.scan.display_differs = parsed.formats.areas.items
    parsed.scan.struck = parsed.strikes.cells.items
    parsed.scan.may_be_struck = parsed.strikes.ranges
    return parsed.scan


class _ParsedSheet:
    """What :func:`parse_xlsx` has gathered of a sheet so far."""

    def __init__(self, formats: TextFormats, strikes: StrikeFinder) -> None:
        self.scan = SheetScan(plain=False, errors=True)
        self.formats, self.strikes = formats, strikes
        self.row, self.rows = -1, set[int]()
        self.default_hidden = False
        self.tables = self.column_count = 0

    def add_row(self, element: ElementTree.Element) -> None:
        scan = self.scan
        self.row = row = _number(element.get("r", str(self.row + 2))) - 1
        if row in self.rows:
            raise DialectError(f"row {row + 1:,} is given twice")
        self.rows.add(row)
        if any(map(_is_foreign, element.iter())):
            raise DialectError(f"row {row + 1:,} holds elements of another vocabulary")
        height = element.get("ht", "")
        hidden = element.get("hidden") in _YES or is_zero_size(height)
        if hidden or (self.default_hidden and not height):
            scan.hidden.append(row)
        style = element.get("s") if element.get("customFormat") in _YES else None
        column, filled = -1, set[int]()
        for cell in element:
            column = self._column(cell, column)
            if len(cell):
                if column in filled:
                    raise DialectError(f"cell {self._address(column)} is given twice")
                filled.add(column)
                self._check_value(cell, column)
                scan.filled += 1
                scan.bottom = max(scan.bottom, row + 1)
                scan.right = max(scan.right, column + 1)
                if self.strikes.is_looking or cell.get("t") == "inlineStr":
                    self.strikes.add_element(row, column, cell, style)
                formula = next((e.text or "" for e in cell if local_name(e.tag) == "f"), "")
                scan.links += formula_link((row, column), formula)
            if is_uncalculated(cell):
                scan.uncalculated.append((row, column))
            if self.formats and cell.get("t") in _TEXTS:
                self.formats.add_cell(row, column, cell.get("s", "0"))

    def _column(self, cell: ElementTree.Element, before: int) -> int:
        """Return the column of a cell: that of its address, or else the next one."""
        address = cell.get("r", "").upper()
        parts = _CELL.fullmatch(address)
        if parts is None:
            return before + 1
        if int(parts[2]) != self.row + 1 and len(cell):
            raise DialectError(f"cell {address} stands in row {self.row + 1:,}")
        return column_index(parts[1])

    def _address(self, column: int) -> str:
        return f"{column_letter(column)}{self.row + 1}"

    def _check_value(self, cell: ElementTree.Element, column: int) -> None:
        """Refuse a cell whose value programs read differently."""
        values = [child for child in cell if local_name(child.tag) in {"v", "is"}]
        if len(values) > 1:
            raise DialectError(f"cell {self._address(column)} has more than one value")
        kind, text = cell.get("t", "n"), (values[0].text or "") if values else ""
        if kind == "s" and text and not _REFERENCE.fullmatch(text):
            reason = f"refers to a text by {text[:20]!r}, which is no number"
            raise DialectError(f"cell {self._address(column)} {reason}")
        if kind in _VALUES and text != text.strip():
            reason = f"holds {shorten(text, 40)!r}, with white space around the value"
            raise DialectError(f"cell {self._address(column)} {reason}")

    def end_of_rows(self) -> None:
        self.tables += 1
        if self.tables > 1:
            raise DialectError("it has two tables of cells")

    def add_condition(self, element: ElementTree.Element) -> None:
        """Add the cells that a condition may give a number format; if it holds is not known."""
        self.strikes.add_conditions(ElementTree.tostring(element))
        for rule in element:
            code = self.formats.conditional.get(rule.get("dxfId", ""))
            if code is not None:
                areas = map(_area, element.get("sqref", "").split())
                self.formats.areas.items.extend((area, code) for area in areas)

    def add_columns(self, element: ElementTree.Element) -> None:
        self.column_count += 1
        if self.column_count > _LAST_COLUMN:
            raise DialectError(f"it describes more than {_LAST_COLUMN:,} columns")
        hidden = element.get("hidden") in _YES or is_zero_size(element.get("width", ""))
        style = element.get("style", "")
        if hidden or style:
            first, last = (_number(element.get(name, "")) for name in ("min", "max"))
            self.strikes.add_column(first - 1, last - 1, style)
            if hidden:
                self.scan.hidden_columns.append((first - 1, last - 1))


def is_uncalculated(cell: ElementTree.Element) -> bool:
    """Return True if a cell is a formula without a saved result."""
    parts = {local_name(child.tag): child.text or "" for child in cell}
    return "f" in parts and not parts.get("v") and cell.get("t") != "str"


def _is_foreign(element: ElementTree.Element) -> bool:
    """Return True if readers take an element for a cell's that programs pass over."""
    space, _, name = element.tag.rpartition("}")
    return bool(space) and space not in _VOCABULARIES and name in {"row", "c", "v", "is", "t"}


def read_styles(stream: IO[bytes]) -> tuple[TextFormats, Strikes]:
    """Read from styles (ECMA-376, 18.8) the number formats that alter text, and what strikes."""
    codes: dict[str, str] = {}
    fresh: list[tuple[str, str]] = []
    numbers: list[str] = []
    cells: list[str] = []
    conditions: list[str] = []
    strikes = StyleCollector()
    for element in elements(stream, "numFmt", "numFmts", *StyleCollector.NAMES):
        name = local_name(element.tag)
        if name == "numFmt":
            fresh.append((element.get("numFmtId", ""), element.get("formatCode", "")))
        elif name == "xf":
            numbers.append(element.get("numFmtId", ""))
        elif name == "dxf":
            conditions.append(fresh.pop()[1] if fresh else "")
        elif name in {"numFmts", "cellStyleXfs", "cellXfs"}:
            codes |= fresh
            cells = numbers if name == "cellXfs" else cells
            fresh, numbers = [], []
        strikes.add(element)
    styles = altering_styles(codes.get(number, "") for number in cells)
    return TextFormats(styles, altering_styles(conditions)), strikes.strikes()


def _area(reference: str) -> Area:
    corners = [_CELL.fullmatch(c) for c in reference.upper().replace("$", "").split(":")]
    if not all(corners):
        raise DamagedError(f"{shorten(reference, 40)!r} is no range of cells")
    ends = [(int(corner[2]) - 1, column_index(corner[1])) for corner in corners if corner]
    return (*ends[0], *ends[-1])


def _number(text: str | bytes) -> int:
    """Return a row or column number; raise DamagedError if it is none."""
    digits = text if isinstance(text, str) else text.decode("latin-1")
    if not re.fullmatch(r"[0-9]{1,18}", digits):
        raise DamagedError(f"{shorten(digits, 40)!r} is no number")
    return int(digits)


def elements(stream: IO[bytes] | CheckedXml, *names: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of these names as they end, and forget each one afterwards."""
    path: list[ElementTree.Element] = []
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):  # noqa: S314 - read() is all it asks of a stream
        if event == "start":
            path.append(element)
            continue
        path.pop()
        if local_name(element.tag) in names:
            yield element
            if path:
                path[-1].clear()


def local_name(tag: str) -> str:
    """Return the name of an element without its namespace."""
    return tag.rpartition("}")[2]
