"""What stands in a workbook's XML besides the values: hidden rows, lost results, merged cells.

The readers that are fast drop all of this. Two looks keep it cheap: a search of the inflated bytes
for words without which there is nothing to find, and only then an exact pass by an XML parser.
(xlsb keeps these in binary records that no library here reads; see :mod:`.excel`.)
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, NamedTuple

# Entity expansion is bounded by expat itself (2.4.1 and later).
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np

from .grid import Area, FinePrint
from .values import column_index

_CHUNK: Final = 1 << 20
#: Longer than any word searched for, so that none is missed between two chunks.
_OVERLAP: Final = 1024
#: A formula that no value follows: only then does a sheet with formulas need the exact reading.
_LOST: Final = re.compile(
    rb"(?:</f>|<f(?: [^<>]*)?/>)(?:[^<]|<[^v]|<v/|<v(?: [^<>]*)?><|<v [^<>]*/>)"
)
_FIRST_COLUMN: Final = re.compile(rb'<c r="A\d+"[^>/]*>\s*<(?:is>|v>[^<])')
_CELL: Final = re.compile("([A-Z]+)([0-9]+)")
_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_CALC: Final = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_ODS_WORDS: Final = (
    b"table:visibility=",
    b"table:formula=",
    b'-spanned="',
    b'value-type="error"',
)
#: A sheet's last possible row; OpenDocument repeats a hidden row up to here.
_LAST_ROW: Final = 1_048_576


@dataclass(frozen=True)
class Glance:
    """What the bytes of an xlsx sheet may hold; False is certain, True may be a false alarm."""

    exact: bool
    errors: bool
    merged: bool
    from_first_column: bool


def sheet_members(archive: ZipFile) -> list[str]:
    """Names of the members that hold the sheets of an xlsx, in the order of its tabs."""
    package = _relations(archive, "_rels/.rels", "")
    workbook = next(target for kind, target in package.values() if kind == "officeDocument")
    folder, name = posixpath.split(workbook)
    relations = _relations(archive, f"{folder}/_rels/{name}.rels", folder)
    with archive.open(workbook) as stream:
        sheets = [e for e in ElementTree.parse(stream).iter() if _local(e.tag) == "sheet"]  # noqa: S314
    links = [next(v for k, v in e.attrib.items() if k.endswith("}id")) for e in sheets]
    return [relations[link][1] for link in links]


def _relations(archive: ZipFile, member: str, folder: str) -> dict[str, tuple[str, str]]:
    with archive.open(member) as stream:
        root = ElementTree.parse(stream).getroot()  # noqa: S314
    return {
        link.attrib["Id"]: (
            posixpath.basename(link.attrib["Type"]),
            posixpath.normpath(posixpath.join("/", folder, link.attrib["Target"])).lstrip("/"),
        )
        for link in root
    }


def glance(stream: IO[bytes]) -> Glance:
    """Search a sheet's XML for the words that would make a closer look worth its time."""
    exact = errors = merged = from_first = False
    part, tail = "head", b""
    while chunk := stream.read(_CHUNK):
        text = tail + chunk
        tail = text[-_OVERLAP:]
        if part == "head":
            start = text.find(b"<sheetData")
            # A prefixed vocabulary (<x:sheetData) is legal and rare: look closely at once.
            exact |= start < 0 and b":sheetData" in text
            if start >= 0:
                part, text = "cells", text[start + len(b"<sheetData") :]
                from_first = _FIRST_COLUMN.search(text) is not None
        if part == "cells":
            end = text.find(b"</sheetData>")
            cells = text if end < 0 else text[:end]
            exact = exact or b"hidden=" in cells or _LOST.search(cells) is not None
            # Every error's text begins with this; one rare letter is found at once.
            errors = errors or b"#" in cells
            if end >= 0:
                part, text = "rest", text[end:]
        if part == "rest":
            merged = merged or b"mergeCell" in text
    return Glance(exact, errors or exact, merged or part != "rest", from_first)


def read_xlsx(stream: IO[bytes]) -> FinePrint:
    """Hidden rows, and formulas without a saved result, of one xlsx sheet (ECMA-376, 18.3.1)."""
    hidden: list[int] = []
    unvalued: list[tuple[int, int]] = []
    number = -1
    for row in _elements(stream, "row"):
        number = int(row.get("r", number + 2)) - 1
        if row.get("hidden") in {"1", "true"}:
            hidden.append(number)
        column = -1
        for cell in row:
            found = _CELL.fullmatch(cell.get("r", ""))
            column = column_index(found[0]) if found else column + 1
            if _lost_result(cell):
                unvalued.append((number, column))
    return FinePrint(np.array(hidden, np.int64), unvalued=tuple(unvalued))


def _lost_result(cell: ElementTree.Element) -> bool:
    # An empty result of type "str" is a formula that gave "" and was saved as such.
    parts = {_local(child.tag): child.text or "" for child in cell}
    return "f" in parts and not parts.get("v") and cell.get("t") != "str"


class _Spot(NamedTuple):
    """A cell, or a run of equal ones, in an OpenDocument row."""

    column: int
    element: ElementTree.Element


def ods_needs_reading(content: bytes) -> bool:
    """Whether an OpenDocument's content holds anything that :func:`read_ods` would find."""
    return any(word in content for word in _ODS_WORDS)


def read_ods(stream: IO[bytes]) -> list[FinePrint]:
    """Hidden rows, lost results, error cells and merges of every sheet (OpenDocument 1.3, 9.1)."""
    sheets: list[FinePrint] = []
    sheet = _OdsSheet([], [], [], [])
    number = 0
    for element in _elements(stream, "table", "table-row"):
        if _local(element.tag) == "table":
            sheets.append(sheet.finished())
            sheet, number = _OdsSheet([], [], [], []), 0
            continue
        repeated = int(element.get(f"{_TABLE}number-rows-repeated", "1"))
        if element.get(f"{_TABLE}visibility") in {"collapse", "filter"}:
            sheet.hidden.append(np.arange(number, min(number + repeated, _LAST_ROW)))
        for spot in _spots(element):
            sheet.note(number, spot)
        number += repeated
    return sheets


def _spots(row: ElementTree.Element) -> Iterator[_Spot]:
    column = 0
    for cell in row:
        if _local(cell.tag) in {"table-cell", "covered-table-cell"}:
            yield _Spot(column, cell)
            column += int(cell.get(f"{_TABLE}number-columns-repeated", "1"))


class _OdsSheet(NamedTuple):
    hidden: list[np.ndarray[tuple[int], np.dtype[np.int64]]]
    merged: list[Area]
    unvalued: list[tuple[int, int]]
    errors: list[tuple[int, int, str]]

    def note(self, row: int, spot: _Spot) -> None:
        column, cell = spot
        if cell.get(f"{_CALC}value-type") == "error":
            self.errors.append((row, column, "".join(cell.itertext())))
        elif f"{_TABLE}formula" in cell.attrib and f"{_OFFICE}value-type" not in cell.attrib:
            self.unvalued.append((row, column))
        down = int(cell.get(f"{_TABLE}number-rows-spanned", "1"))
        across = int(cell.get(f"{_TABLE}number-columns-spanned", "1"))
        if down > 1 or across > 1:
            self.merged.append((row, column, row + down - 1, column + across - 1))

    def finished(self) -> FinePrint:
        hidden = np.concatenate([np.empty(0, np.int64), *self.hidden])
        return FinePrint(hidden, tuple(self.merged), tuple(self.unvalued), tuple(self.errors))


def _elements(stream: IO[bytes], *names: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of these names as they end, and forget each one afterwards."""
    path: list[ElementTree.Element] = []
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):  # noqa: S314
        if event == "start":
            path.append(element)
            continue
        path.pop()
        if _local(element.tag) in names:
            yield element
            if path:
                path[-1].clear()


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
