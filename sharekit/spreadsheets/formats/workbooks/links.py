"""Hyperlinks of cells whose target holds an ID: a person follows them to look at an image.

Links stay as they are when a cell is filled down or typed anew, so that the page that a person
looked at may be another image's than the one that the cell names.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import IO, Final
from urllib.parse import unquote

from ..raw_sheet import Area, column_index

_CHUNK: Final = 1 << 20
_ID: Final = re.compile(
    r"(?i)(?<![0-9a-f])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32})(?![0-9a-f])"
)
_TAG: Final = re.compile(rb"<(?:[\w.-]+:)?hyperlink\s[^>]*>")
_ATTRIBUTE: Final = re.compile(rb"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_RANGE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::([A-Z]{1,3})([0-9]{1,7}))?")
#: A cell of the plain dialect whose formula is a link to a text that is written out.
_FORMULA: Final = re.compile(
    rb'<c r="([A-Z]+)([0-9]+)"[^>]*><f[^>]*>([^<]*\bHYPERLINK\([^<]*)</f>', re.IGNORECASE
)
_TARGET: Final = re.compile(r'(?i)\bHYPERLINK\(\s*"((?:[^"]|"")*)"')

Link = tuple[Area, str]


def ids_in(target: str) -> list[str]:
    """Return the IDs that the target of a link holds, in lower case.

    >>> ids_in("https://console/#/image?id=9AFBC1D2-7E07-4A3D-9C1B-2F0A6F3F5A10&region=eu-de")
    ['9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10']
    """
    return [found.lower() for found in _ID.findall(unquote(target))]


def sheet_links(stream: IO[bytes], targets: Mapping[str, str]) -> Iterator[Link]:
    """Yield the links behind the rows of a sheet in XML; ``targets`` is by ID of a relation."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        text = rest + chunk
        if b"hyperlink" in text:
            for tag in _TAG.findall(text):
                yield from _link(tag, targets)
        # A tag that goes on in the next chunk is kept; one that ended is not seen twice.
        start = text.rfind(b"<")
        rest = text[start:] if start >= 0 and b">" not in text[start:] else b""


def _link(tag: bytes, targets: Mapping[str, str]) -> Iterator[Link]:
    attributes = {
        name.decode(): html.unescape((double or single).decode("utf-8", "replace"))
        for name, double, single in _ATTRIBUTE.findall(tag)
    }
    relation = next((value for name, value in attributes.items() if name.endswith(":id")), "")
    target = f"{targets.get(relation, '')}#{attributes.get('location', '')}"
    cells = _RANGE.fullmatch(attributes.get("ref", "").replace("$", ""))
    if cells and ids_in(target):
        top, left = int(cells[2]) - 1, column_index(cells[1])
        bottom = int(cells[4]) - 1 if cells[4] else top
        yield (top, left, bottom, column_index(cells[3]) if cells[3] else left), target


def formula_links(block: bytes) -> Iterator[Link]:
    """Yield the links that formulas make in rows of the plain dialect."""
    for column, row, formula in _FORMULA.findall(block):
        position = int(row) - 1, column_index(column.decode())
        yield from formula_link(position, html.unescape(formula.decode("utf-8", "replace")))


def formula_link(position: tuple[int, int], formula: str) -> Iterator[Link]:
    """Yield the link that the formula of a cell makes, if its target is written out."""
    target = _TARGET.search(formula)
    if target and ids_in(target[1]):
        row, column = position
        yield (row, column, row, column), target[1]
