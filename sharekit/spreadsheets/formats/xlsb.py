"""The fine print of xlsb: the few binary records of a sheet that the fast reader passes over.

A record is a number, a length and its bytes (MS-XLSB 2.1.4). Every formula has a saved result here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Final

from .number_formats import Disguises
from .raw_sheet import column_letter
from .xlsx import Glance

_ROW: Final = 0
_BLANK: Final = 1
#: Cells with a value, and formulas with a result (MS-XLSB 2.4.31 and following).
_CELLS: Final = frozenset(range(2, 12))
#: Those of them that hold text: stored here, shared, and a formula's.
_TEXTS: Final = frozenset({6, 7, 8})
#: A number format, a style of cells, and where those of cells begin and end (MS-XLSB 2.4).
_FORMAT, _STYLE, _STYLES, _END = 44, 47, 617, 618
_COLUMN: Final = 60
_SHEET: Final = 156
_MERGED: Final = 176
_PAIR: Final = struct.Struct("<II")
_QUAD: Final = struct.Struct("<IIII")
_LONG: Final = struct.Struct("<I")
_SHORT: Final = struct.Struct("<H")
_NUMBER_FORMAT: Final = struct.Struct("<HI")
_STYLE_FORMAT: Final = struct.Struct("<HH")


def read_xlsb(stream: IO[bytes], disguises: Disguises | None = None) -> Glance:
    """Hidden rows and columns, merged and disguised cells and the extent of an xlsb sheet."""
    seen = Glance(errors=True)
    row, rows = 0, set[int]()
    columns, filled = set[int](), set[int]()
    disguises = disguises or Disguises()
    data = stream.read()
    for kind, start, length in _records(data):
        if kind in _CELLS:
            column = _LONG.unpack_from(data, start)[0]
            if column in filled:
                seen.twice = f"cell {column_letter(column)}{row + 1}"
            filled.add(column)
            columns.add(column)
            seen.filled += 1
            seen.bottom = max(seen.bottom, row + 1)
            if kind in _TEXTS and disguises:
                column, style = _PAIR.unpack_from(data, start)
                disguises.note(row, column, str(style & 0xFFFFFF))
        elif kind == _ROW and length >= 12:
            row = _LONG.unpack_from(data, start)[0]
            seen.twice = f"row {row + 1:,}" if row in rows else seen.twice
            rows.add(row)
            filled.clear()
            flat = not _SHORT.unpack_from(data, start + 8)[0] and data[start + 11] & 0x20
            if data[start + 11] & 0x10 or flat:  # fDyZero, or nothing for a height of its own
                seen.hidden.append(row)
        elif kind == _COLUMN and length >= 18 and _is_hidden(data, start):
            seen.hidden_columns.append(_PAIR.unpack_from(data, start))
        elif kind == _MERGED and length >= 16:
            top, bottom, left, right = _QUAD.unpack_from(data, start)
            seen.merged[(top, left, bottom, right)] = None
    if columns:
        seen.first, seen.last, seen.right = min(columns), max(columns), max(columns) + 1
    seen.shown = disguises.areas
    return seen


def _is_hidden(data: bytes, start: int) -> bool:
    """Whether columns are hidden, or so narrow that nobody sees them (BrtColInfo)."""
    return bool(data[start + 16] & 1) or not _LONG.unpack_from(data, start + 8)[0]


def format_codes(styles: bytes) -> list[str]:
    """Return the number format of each style of cells, in order; ``""`` for those built in."""
    codes: dict[int, str] = {}
    cells: list[int] = []
    inside = False
    for kind, start, _ in _records(styles):
        if kind == _FORMAT:
            number, length = _NUMBER_FORMAT.unpack_from(styles, start)
            text = start + _NUMBER_FORMAT.size
            codes[number] = styles[text : text + 2 * length].decode("utf-16-le", "replace")
        elif kind == _STYLE and inside:
            cells.append(_STYLE_FORMAT.unpack_from(styles, start)[1])
        elif kind in (_STYLES, _END):
            inside = kind == _STYLES
    return [codes.get(number, "") for number in cells]


def sheet_links(workbook: bytes) -> list[str]:
    """IDs of the relations that lead to the sheets, in the order of the tabs."""
    links = []
    for kind, start, _ in _records(workbook):
        if kind == _SHEET:
            count = _LONG.unpack_from(workbook, start + 8)[0]
            links.append(workbook[start + 12 : start + 12 + 2 * count].decode("utf-16-le"))
    return links


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each record, where its bytes start, and how many they are."""
    at, end = 0, len(data)
    while at < end:
        kind = data[at]
        at += 1
        if kind & 128 and at < end:
            kind = kind & 127 | data[at] << 7
            at += 1
        length = shift = 0
        while at < end:
            part = data[at]
            at += 1
            length |= (part & 127) << shift
            shift += 7
            if part < 128 or shift > 21:
                break
        if at + length > end:
            return
        yield kind, at, length
        at += length
