"""What an xlsx sheet's bytes tell in one pass of regular expressions.

An XML parser needs twenty seconds for a million rows; this needs one. It knows XML as spreadsheet
programs write it, and says so where it meets anything else: then the parser reads the sheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final
from xml.etree import ElementTree

import numpy as np

from . import patterns
from .raw_sheet import Area, SheetMetadata, column_index

_CHUNK: Final = 1 << 20
#: A row longer than this is left to the parser.
_LONGEST: Final = 64 * _CHUNK
#: The vocabulary's declaration, with its prefix if it has one; ClosedXML writes <x:row>.
_MAIN: Final = re.compile(rb"""xmlns(:[\w.-]+)?\s*=\s*["'][^"']*spreadsheetml/(?:2006/)?main["']""")
_COLUMN: Final = re.compile(rb'<c r="([A-Z]{1,3})[0-9]')
#: A cell that holds a value for certain.
_FILLED: Final = (
    rb'<c r="(%s)[0-9]+"[^>]*[^>/]>\s*(?:<f[^<]*(?:/>|</f>))?\s*<(?:v>[^<]|is><t[^>]*[^>/]?>[^<])'
)
_CELL_ROW: Final = re.compile(rb'<c r="[A-Z]{1,3}([0-9]+)"')
_ROW: Final = re.compile(rb'<row r="([0-9]+)"')
_HIDDEN: Final = re.compile(rb"""<row r="([0-9]+)"[^>&]*?\shidden\s*=\s*["'](1|true)["']""")
#: A formula that no value follows; only a sheet that has one needs a closer look.
_LOST: Final = re.compile(
    rb"(?:</f>|<f(?: [^<>]*)?/>)(?:[^<]|<[^v]|<v/|<v(?: [^<>]*)?><|<v [^<>]*/>)"
)
#: An error cell, or an entity that may spell one.
_ERROR: Final = re.compile(rb"""\st\s*=\s*["']e["']|&#""")
_CELL: Final = re.compile(rb'<c r="([A-Z]{1,3})([0-9]+)"([^>]*)>')
_COL: Final = re.compile(rb"<col\s([^>]*)>")
#: Rows are hidden unless they say how high they are.
_NO_HEIGHT: Final = re.compile(rb"""<sheetFormatPr[^>]*\szeroHeight\s*=\s*["'](?:1|true)["']""")
#: A height of nothing, and the row that has it.
_NO_ROOM: Final = re.compile(rb"""ht\s*=\s*["']0""")
_FLAT: Final = re.compile(rb"""<row r="([0-9]+)"[^>&]*?\sht\s*=\s*["']0+(?:\.0*)?["'][^>]*>""")
_ATTRIBUTE: Final = re.compile(rb"""([\w:]+)\s*=\s*["']([^"']*)["']""")
_MERGED: Final = re.compile(rb'<mergeCell ref="([A-Z]+)([0-9]+)(?::([A-Z]+)([0-9]+))?"\s*/?>')
_MERGE: Final = re.compile(rb"<mergeCell\s[^>]*>")
#: A cell that is not empty for certain.
_NOT_BLANK: Final = re.compile(rb'<c r="([A-Z]{1,3})([0-9]{1,7})"(?:[^>]*[^>/])?>(?!</c>)')
#: Longer than any tag behind the rows that matters.
_TAG: Final = 4096
#: No tag of a cell or row is nearly as long.
_LONG: Final = 1 << 16
_YES: Final = frozenset({b"1", b"true"})
LAST_ROW: Final = 1_048_576
_LAST_COLUMN: Final = 16_384


@dataclass
class Glance:
    """What was seen of a sheet.

    Attributes
    ----------
    plain : bool
        Whether everything looked as expected; if not, only a parser knows the fine print.
    errors : bool
        Whether there may be error cells.
    first, last : int or None
        0-based first and last column with a value, as far as seen: None, or too far inside, where
        no cell shows its value plainly.
    bottom, right, filled, size : int
        The last row and column of any cell (1-based), blank ones too. Rows out of order may stand
        lower, but their numbers have no more digits. Then the number of cells, which only a parser
        counts, and the bytes between the rows' beginning and end, which only the glance does.
    written : int
        In an OpenDocument, the filled cells without their repetitions.
    tag, merges : int
        Bytes of a tag that is too long to be honest, else 0; how often cells are merged.
    rows, values : int
        No more rows than these have content, no more cells than these a value (0: not counted).
    twice : str
        A row or cell that is given twice, such as ``row 7`` or ``cell B7``.
    unclear : str
        Which cell programs read differently, and why.
    shown : list of (Area, str)
        Cells of text under a number format that shows another text, with that format.
    """

    plain: bool = True
    errors: bool = False
    first: int | None = None
    last: int | None = None
    bottom: int = 0
    right: int = 0
    filled: int = 0
    written: int = 0
    size: int = 0
    tag: int = 0
    merges: int = 0
    rows: int = 0
    values: int = 0
    twice: str = ""
    unclear: str = ""
    hidden: list[int] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    unvalued: list[tuple[int, int]] = field(default_factory=list)
    merged: dict[Area, None] = field(default_factory=dict)
    error_cells: list[tuple[int, int, str]] = field(default_factory=list)
    shown: list[tuple[Area, str]] = field(default_factory=list)

    @property
    def lowest(self) -> int:
        """No row stands below this one: the first digit of ``bottom``, and nines."""
        text = str(self.bottom)
        return min(int(text[0] + "9" * (len(text) - 1)), LAST_ROW)

    @property
    def note(self) -> SheetMetadata:
        """The fine print, if ``plain``."""
        return SheetMetadata(
            np.array(self.hidden, np.int64),
            tuple(self.merged),
            tuple(self.unvalued),
            tuple(self.error_cells),
            hidden_columns=tuple(self.hidden_columns),
            display_differs=tuple(self.shown),
        )


def glance(stream: IO[bytes], merges: int = 1 << 20) -> Glance:
    """Look once through the XML of an xlsx sheet, a few rows at a time, up to so many merges."""
    seen = Glance(merges=-merges)
    look = _Look(seen)
    for block in blocks(stream, seen):
        seen.tag = seen.tag or long_tag(block)
        if seen.tag:
            break
        look.at(block)
    seen.merges += merges
    return seen


def extent(stream: IO[bytes]) -> tuple[int, int, int]:
    """Last row, last column (1-based) and number of the cells that are not certainly blank."""
    bottom = right = filled = 0
    for block in blocks(stream, Glance()):
        found = _NOT_BLANK.findall(block)
        if not found:
            continue
        names, numbers = map(set, zip(*found, strict=True))
        right = max(right, *(column_index(name.decode()) + 1 for name in names))
        bottom = max(bottom, *map(int, numbers))
        filled += len(found)
    return bottom, right, filled


def blocks(stream: IO[bytes], seen: Glance) -> Iterator[bytes]:
    """Yield whole rows; head and tail of the sheet have none and are looked at here."""
    text = b""
    while (start := text.find(b"sheetData")) < 0 and len(text) < _LONGEST:
        chunk = stream.read(_CHUNK)
        if not chunk:
            break
        text += chunk
    prefix = _head(text[: max(start, 0)], seen)
    text = text[start + len(b"sheetData") :] if start >= 0 else b""
    while b">" not in text and (chunk := stream.read(_CHUNK)):
        text += chunk
    if re.match(rb"\s*/>", text):
        _rest(stream, text, seen)
        return
    row, last = b"</%brow>" % prefix, b"</%bsheetData>" % prefix
    begin, close = b"<" + prefix, b"</" + prefix
    fresh = 0
    while True:
        chunk = stream.read(_CHUNK)
        text += chunk
        cut = text.rfind(row, fresh) + len(row)
        end = text.find(last, max(cut, fresh) if cut >= len(row) else fresh)
        cut = end if end >= 0 else cut
        if end < 0 and cut < len(row) and chunk and len(text) < _LONGEST:
            fresh = max(0, len(text) - len(last))
            continue
        if end < 0 and (not chunk or cut < len(row)):
            seen.plain, cut = False, len(text)
        block, text, fresh = text[:cut], text[cut:], 0
        yield block.replace(close, b"</").replace(begin, b"<") if prefix else block
        if end >= 0 or not chunk:
            break
    _rest(stream, text.replace(begin, b"<") if prefix else text, seen, begin)


def _head(head: bytes, seen: Glance) -> bytes:
    """Find the prefix of all names, and the hidden columns."""
    found = set(_MAIN.findall(head))
    prefix = max(found, default=b"")[1:] + b":" if any(found) else b""
    plain = len(found) == 1 and head.endswith(b"<" + prefix) and b"<!" not in head
    seen.plain &= plain and _NO_HEIGHT.search(head) is None
    count = len(_COL.findall(head))
    if count > _LAST_COLUMN:
        seen.right = count
        return b""
    for match in _COL.finditer(head.replace(b"<" + prefix, b"<") if prefix else head):
        told = dict(_ATTRIBUTE.findall(match[1]))
        if plain and (told.get(b"hidden") in _YES or is_nothing(told.get(b"width", b""))):
            seen.hidden_columns.append((int(told[b"min"]) - 1, int(told[b"max"]) - 1))
    return prefix if plain else b""


def _rest(stream: IO[bytes], text: bytes, seen: Glance, begin: bytes = b"<") -> None:
    """Find the merged cells, which stand behind the rows."""
    while text:
        found, count = _MERGED.findall(text), len(_MERGE.findall(text))
        seen.plain &= len(found) == count and b"<!" not in text
        seen.merges += count
        seen.plain &= b"<sheetData" not in text
        if seen.merges > 0:
            return
        for left, top, right, bottom in dict.fromkeys(found):
            corner = (int(top) - 1, column_index(left.decode()))
            other = (int(bottom) - 1, column_index(right.decode())) if right else corner
            seen.merged[(*corner, *other)] = None
        keep = text.rfind(b"<", max(0, len(text) - _TAG))
        chunk = stream.read(_CHUNK)
        text = (text[keep:] if keep >= 0 else b"") + chunk if chunk else b""
        text = text.replace(begin, b"<")


class _Look:
    """The search through the rows, with what it has learnt about their width."""

    def __init__(self, seen: Glance) -> None:
        self.seen = seen
        self.odd = re.compile(b"<")
        self.quick = ""
        #: As in a sheet of texts, which are kept in a table and referred to by number.
        self.digits_only = True
        self.narrow()

    def narrow(self) -> None:
        """Expect no row or column much beyond those seen; the first that comes is looked at."""
        columns, rows = patterns.up_to(self.seen.right), patterns.numbers(self.seen.lowest).encode()
        self.odd = re.compile(
            rb'<(?:row(?! r="%b")|c(?! r="%b%b")[\s/>]|[!?])' % (rows, columns, rows)
        )
        beyond = patterns.without_lookahead(self.seen.right, self.seen.lowest)
        unclear = patterns.MORE_THAN_DIGITS if self.digits_only else patterns.UNCLEAR
        self.quick = f"{beyond}|{unclear}" if beyond else ""

    def at(self, block: bytes) -> None:
        """Take in a block of whole rows."""
        seen = self.seen
        seen.size += len(block)
        seen.values += patterns.count_pairs(block, b"<v") + (
            patterns.count_pairs(block, b"<i") if b"i" in block else 0
        )
        seen.errors = seen.errors or (b"#" in block and bool(_ERROR.search(block)))
        self.lower(block)
        if not self.quick or patterns.matches(block, self.quick):
            while seen.plain and (found := self.odd.search(block)):
                self.odd_one(block, found[0])
            seen.plain = seen.plain and not patterns.matches(block, patterns.UNCLEAR)
            choice = self.quick and self.digits_only
            if choice and patterns.matches(block, patterns.MORE_THAN_DIGITS):
                self.digits_only = False
                self.narrow()
        if not seen.plain:
            return
        seen.plain = not _holds(block, b"x", b"xmlns")
        self.columns(block)
        if b"h" in block:
            self.hidden(block)
        if _holds(block, b"f", b"<f"):
            self.formulas(block)

    def lower(self, block: bytes) -> None:
        """Expect rows as low as the block's last one, so that only rows out of order are odd."""
        last, known = block.rfind(b'<row r="'), self.seen.lowest
        if found := _ROW.match(block, last) if last >= 0 else None:
            self.seen.bottom = max(self.seen.bottom, int(found[1]))
            self.seen.plain &= self.seen.bottom <= LAST_ROW
            self.seen.rows += _rows(block, int(found[1]))
        if self.seen.lowest != known:
            self.narrow()

    def odd_one(self, block: bytes, found: bytes) -> None:
        """See whether the block is odd, or only wider or lower than those before."""
        seen = self.seen
        known = seen.bottom, seen.right
        if found.startswith(b"<row"):
            seen.bottom = max([seen.bottom, *map(int, _ROW.findall(block))])
        elif found.startswith(b"<c"):
            columns = {column_index(name.decode()) + 1 for name in set(_COLUMN.findall(block))}
            seen.right = max([seen.right, *columns])
            # A cell may say that it stands in another row than the one it is written in.
            seen.bottom = max([seen.bottom, *map(int, set(_CELL_ROW.findall(block)))])
            if seen.first != 0:
                self.filled(block, b"[A-Z]{1,3}")
        wider = (seen.bottom, seen.right) != known
        seen.plain &= wider and seen.right <= _LAST_COLUMN and seen.bottom <= LAST_ROW
        self.narrow()

    def columns(self, block: bytes) -> None:
        """See whether a value stands left of those before."""
        if self.seen.first is None:
            self.filled(block, b"[A-Z]{1,3}")
        elif self.seen.first > 0:
            self.filled(block, patterns.up_to(self.seen.first))

    def filled(self, block: bytes, columns: bytes) -> None:
        names = set(re.findall(_FILLED % columns, block))
        places = [column_index(name.decode()) for name in names]
        if places:
            ends = [place for place in (self.seen.first, self.seen.last) if place is not None]
            self.seen.first = min([*ends, *places])
            self.seen.last = max([*ends, *places])

    def hidden(self, block: bytes) -> None:
        flat = _FLAT if _NO_ROOM.search(block) else None
        if b"hidden" not in block and not flat:
            return
        found = {match.start(): int(match[1]) - 1 for match in _HIDDEN.finditer(block)}
        if flat:
            found |= {match.start(): int(match[1]) - 1 for match in flat.finditer(block)}
        self.seen.hidden += [row for _, row in sorted(found.items())]
        # A value that needs decoding first is left to the parser.
        self.seen.plain &= re.search(rb"<row [^>]*&[^>]*>", block) is None

    def formulas(self, block: bytes) -> None:
        """Note the cells whose formulas have no result."""
        for match in _LOST.finditer(block):
            start = block.rfind(b"<c ", 0, match.start())
            cell = _CELL.match(block, start) if start >= 0 else None
            end = block.find(b"</c>", match.start())
            if cell is None or end < 0 or block.find(b"</c>", start, match.start()) >= 0:
                self.seen.plain = False
                return
            if _is_lost(block[start : end + 4], cell[3]):
                place = column_index(cell[1].decode())
                self.seen.unvalued.append((int(cell[2]) - 1, place))


def is_nothing(size: bytes | str) -> bool:
    """Whether a width or height is zero, so that nobody sees the column or row.

    >>> is_nothing("0"), is_nothing(b"0.0"), is_nothing("0.5"), is_nothing("")
    (True, True, False, False)
    """
    try:
        return float(size) == 0
    except ValueError:
        return False


def long_tag(block: bytes) -> int:
    """Find a tag so long that a stretch of the block is nothing else; its length, or 0."""
    for start in range(0, len(block), _LONG):
        if len(block) - start >= _LONG and block.find(b">", start, start + _LONG) < 0:
            tag = block.rfind(b"<", 0, start)
            if tag >= 0 and block.find(b">", tag, start) < 0:
                end = block.find(b">", start)
                return (end if end >= 0 else len(block)) - tag
    return 0


def _rows(block: bytes, last: int) -> int:
    """Count the rows of a block, or more, but never fewer."""
    first = _ROW.search(block)
    rows = last - int(first[1]) + 1 if first else 0
    # Each row with content spells the word twice.
    return rows if patterns.count_letter(block, b"w") == 2 * rows else block.count(b"<row")


def _holds(block: bytes, letter: bytes, word: bytes) -> bool:
    # Rows of plain XML seldom have the letter, and one letter is found ten times as fast.
    return letter in block and word in block


def _is_lost(cell: bytes, attributes: bytes) -> bool:
    if b"<v" not in cell and b" t" not in attributes:
        return True
    try:
        element = ElementTree.fromstring(cell)  # noqa: S314
    except ElementTree.ParseError:  # a prefix that is declared elsewhere
        return b't="str"' not in attributes and re.search(rb"<v[^>]*[^>/]?>[^<]", cell) is None
    return lost_result(element)


def lost_result(cell: ElementTree.Element) -> bool:
    """Whether a cell is a formula without a saved result.

    An empty result of type "str" is a formula that gave "" and was saved as such.
    """
    parts = {child.tag.rpartition("}")[2]: child.text or "" for child in cell}
    return "f" in parts and not parts.get("v") and cell.get("t") != "str"
