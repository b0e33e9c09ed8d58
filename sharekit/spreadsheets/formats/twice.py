"""Rows and cells that an xlsx sheet gives twice: programs keep one, and not all the same one.

Counts tell whether there can be any; only then is the sheet searched for the first one.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import IO, Final
from xml.etree import ElementTree

from .xlsx import Glance, blocks

_ROW: Final = re.compile(rb'<row r="([0-9]+)"')
#: A cell that is not empty for certain, and its row.
_CELL: Final = re.compile(rb'<c r="([A-Z]{1,3}([0-9]+))"(?:[^>]*[^>/])?>(?!</c>)')
#: A comment or character data within a value, or an entity in the number of a shared text.
_SPLICED: Final = re.compile(
    rb"<(?:[\w.-]+:)?v(?:\s[^<>]*)?>[^<]*<[!?]"
    rb"""|<(?:[\w.-]+:)?c(?>[^<>]*?\st\s*=\s*["']s["'])[^<>]*+>\s*"""
    rb"<(?:[\w.-]+:)?v(?:\s[^<>]*)?>[^<&]*&"
)
_PLACE: Final = re.compile(rb"""<(?:[\w.-]+:)?c\s[^<>]*?\br\s*=\s*["']([A-Z]+[0-9]+)["']""")
_SPACES: Final = re.compile(rb"""\sxmlns(:[\w.-]+)?\s*=\s*["']([^"']*)["']""")
_TEXTS: Final = re.compile(rb"<([\w.-]+:)(?:si|t|r)[\s>/]")
_HEAD: Final = 4096
_TAG: Final = 256
_CHUNK: Final = 1 << 20
#: Longer than any text of a cell.
_LONGEST: Final = 1 << 18
#: A value right behind another one.
_VALUES: Final = re.compile(rb"</(?:v|is)>\s*<(?:v|is)[\s/>]")


def spliced_cell(stream: IO[bytes]) -> str:
    """Name the first value with markup in its midst, of which readers drop a part, or ``""``."""
    text = b""
    while chunk := stream.read(_CHUNK):
        text = text[-_LONGEST:] + chunk
        if found := _SPLICED.search(text):
            places = _PLACE.findall(text, 0, found.end())
            return f"cell {places[-1].decode()}" if places else "a cell"
    return ""


def may_have_foreign_texts(stream: IO[bytes]) -> bool:
    """Whether a table of texts may have any of another vocabulary; one look, and no parsing.

    No element is passed over by a program unless some tag names more vocabularies.
    """
    text = stream.read(_HEAD)
    end = text.find(b">", text.find(b"sst"))
    spaces = _SPACES.findall(text[:end])
    own = {prefix[1:] for prefix, space in spaces if b"spreadsheetml" in space}
    known = {own_prefix + b":" for own_prefix in own if own_prefix}
    text = text[end:]
    while text:
        # IDs have no such letter, and one letter is found ten times as fast.
        if b"x" in text and b"xmlns" in text:
            return True
        if len(own) < len(spaces) and set(_TEXTS.findall(text)) - known:
            return True
        chunk = stream.read(_CHUNK)
        text = text[-_TAG:] + chunk if chunk else b""
    return False


def has_foreign_texts(stream: IO[bytes]) -> bool:
    """Whether a table of texts has any of another vocabulary, which readers count like its own."""
    for event, element in ElementTree.iterparse(stream, ("start", "end")):  # noqa: S314
        space, _, name = element.tag.rpartition("}")
        if name in ("si", "t", "r") and "spreadsheetml" not in space:
            return True
        if event == "end" and name == "si":
            element.clear()
    return False


def repeated_row(stream: IO[bytes]) -> str:
    """Name the first row that a plain sheet gives twice; ``""`` if there is none."""
    known: set[bytes] = set()
    for block in blocks(stream, Glance()):
        for number in _ROW.findall(block):
            if number in known:
                return f"row {int(number):,}"
            known.add(number)
    return ""


def repeated_cell(stream: IO[bytes]) -> str:
    """Name the first cell that a plain sheet gives twice; ``""`` if there is none.

    A row with cells in two distant places is named as a whole.
    """
    known: set[bytes] = set()
    for block in blocks(stream, Glance()):
        if second := _VALUES.search(block):
            found = _CELL.findall(block, 0, second.start())
            return f"the value of cell {found[-1][0].decode()}" if found else "a value"
        found = _CELL.findall(block)
        if len(set(found)) < len(found):
            return next(f"cell {cell.decode()}" for (cell, _), n in Counter(found).items() if n > 1)
        rows = {row for _, row in found}
        if again := rows & known:
            return f"row {min(map(int, again)):,}"
        known |= rows
    return ""
