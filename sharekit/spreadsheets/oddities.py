"""Which cell makes a reader refuse a sheet: a second, slow look, once it has been refused."""

from __future__ import annotations

import re
from typing import IO, Final

#: A sheet's XML is looked through so far; beyond it, the sheet is all that is named.
_MOST: Final = 64 << 20
_PREFIX: Final = rb"<(?:[\w.-]+:)?"
_PLACES: Final = re.compile(
    _PREFIX + rb"(?:(?P<kind>mergeCell|dimension)\s[^>]*?\bref=[\"'](?P<ref>[^\"']*)[\"']"
    rb"|c\s(?P<head>[^>]*?)(?:/>|>(?P<body>.*?)</(?:[\w.-]+:)?c>))",
    re.DOTALL,
)
_ATTRIBUTE: Final = re.compile(rb"\b([rt])=[\"']([^\"']*)[\"']")
_VALUE: Final = re.compile(_PREFIX + rb"v(?:\s[^>]*)?>(.*?)</", re.DOTALL)
_AREA: Final = re.compile(rb"\$?[A-Z]{1,3}\$?[1-9][0-9]{0,6}(?::\$?[A-Z]{1,3}\$?[1-9][0-9]{0,6})?")
_NUMBER: Final = re.compile(rb"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*")
_TYPES: Final = frozenset({b"n", b"s", b"b", b"e", b"str", b"inlineStr", b"d"})
_NAMES: Final = {b"mergeCell": "merged cells", b"dimension": "the sheet's own note of its size"}
#: What XML 1.0 allows in no way, not even by number.
_CONTROL: Final = re.compile(rb"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));"
                             rb"|[\x00-\x08\x0b\x0c\x0e-\x1f]", re.IGNORECASE)  # fmt: skip


def odd_spot(stream: IO[bytes]) -> str:
    """Say which cell of a sheet's XML is odd, and how; ``""`` if none is found.

    Examples
    --------
    >>> import io
    >>> odd_spot(io.BytesIO(b'<row r="2"><c r="B2"><v>9afb</v></c></row>'))
    "cell B2 is said to be a number, but holds '9afb'"
    >>> odd_spot(io.BytesIO(b'<mergeCell ref="A1:?"/>'))
    "merged cells are given as 'A1:?', which is no range"
    """
    for found in _PLACES.finditer(stream.read(_MOST)):
        if found["kind"]:
            if not _AREA.fullmatch(found["ref"]):
                name = _NAMES[found["kind"]]
                verb = "are" if name.endswith("cells") else "is"
                return f"{name} {verb} given as {_shown(found['ref'])}, which is no range"
        elif told := _odd_cell(dict(_ATTRIBUTE.findall(found["head"])), found["body"] or b""):
            return told
    return ""


def _odd_cell(attributes: dict[bytes, bytes], body: bytes) -> str:
    name = f"cell {_plain(attributes.get(b'r', b'without an address'))}"
    kind = attributes.get(b"t", b"n")
    if kind not in _TYPES:
        return f"{name} is of a type {_shown(kind)} that does not exist"
    if _CONTROL.search(body):
        return f"{name} holds a control character, which no text may hold"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return f"{name} holds bytes that are no UTF-8"
    value = _VALUE.search(body)
    if kind == b"n" and value and value[1].strip() and not _NUMBER.fullmatch(value[1]):
        return f"{name} is said to be a number, but holds {_shown(value[1])}"
    return ""


def _plain(data: bytes) -> str:
    return " ".join(data.decode("utf-8", "replace").split())[:40]


def _shown(data: bytes) -> str:
    return repr(_plain(data))
