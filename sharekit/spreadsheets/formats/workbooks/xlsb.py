"""Sheets of xlsb: the order of their tabs, and how far each stretches.

A record is a number, a length and its bytes (MS-XLSB 2.1.4). Hidden rows, merged cells and number
formats are not read: a warning for each sheet says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Final

from ..raw_sheet import DamagedError, DialectError, column_letter
from .xlsx import SheetScan

#: Records of a row, of cells with a value (MS-XLSB 2.4.31 and following), and of a sheet's tab.
_ROW: Final = 0
_CELLS: Final = frozenset(range(2, 12))
_SHEET: Final = 156
_NUMBER: Final = struct.Struct("<I")


def scan_xlsb(stream: IO[bytes]) -> SheetScan:
    """Find how far a sheet stretches.

    Raises
    ------
    DialectError
        A row or a cell is given twice.
    """
    scan = SheetScan(errors=True)
    row, rows = 0, set[int]()
    filled = set[int]()
    for kind, record in _records(stream.read()):
        if kind == _ROW:
            row = _number(record, 0)
            if row in rows:
                raise DialectError(f"row {row + 1:,} is given twice")
            rows.add(row)
            filled.clear()
        elif kind in _CELLS:
            column = _number(record, 0)
            if column in filled:
                raise DialectError(f"cell {column_letter(column)}{row + 1} is given twice")
            filled.add(column)
            scan.add_value_columns(column, column)
            scan.filled += 1
            scan.bottom = max(scan.bottom, row + 1)
    scan.right = 0 if scan.last is None else scan.last + 1
    return scan


def sheet_links(workbook: bytes) -> list[str]:
    """Return the IDs of the relations that lead to the sheets, in the order of the tabs."""
    links = []
    for kind, record in _records(workbook):
        if kind == _SHEET:
            length = _number(record, 8)
            links.append(record[12 : 12 + 2 * length].decode("utf-16-le", "replace"))
    return links


def _number(record: bytes, at: int) -> int:
    if len(record) < at + _NUMBER.size:
        raise DamagedError("a record is too short")
    return int(_NUMBER.unpack_from(record, at)[0])


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each record."""
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
        yield kind, data[at : at + length]
        at += length
