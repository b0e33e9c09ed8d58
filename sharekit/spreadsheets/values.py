"""Typed cell values as a person would read them, and the mark each type earns."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal


def as_text(value: object) -> str:
    """Print a value as a spreadsheet shows it in a wide cell.

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
    """Name the mark for a value that is no text; ``""`` for text.

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
