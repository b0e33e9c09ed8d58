"""What stands in a workbook's XML besides the values: hidden rows, lost results, merged cells.

The readers that are fast drop all of this. Two looks keep it cheap: a search of the inflated bytes
(for xlsx see :mod:`.glance`), and only where that is not enough an exact pass by an XML parser.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import IO, Final

# Entity expansion is bounded by expat itself (2.4.1 and later).
from xml.etree import ElementTree
from zipfile import ZipFile

from .number_formats import Disguises, by_style
from .raw_sheet import Area, column_index, column_letter
from .xlsb import sheet_links
from .xlsx import Glance, is_nothing, lost_result

_CELL: Final = re.compile("([A-Z]+)([0-9]+)")
_YES: Final = frozenset({"1", "true"})
_TEXTS: Final = frozenset({"s", "str", "inlineStr"})
_VALUES: Final = frozenset({"n", "b", "e", "d"})
_VOCABULARIES: Final = frozenset({
    "{http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "{http://purl.oclc.org/ooxml/spreadsheetml/main",
})  # fmt: skip
_PLACE: Final = re.compile("[0-9]{1,9}")


def sheet_members(archive: ZipFile, kind: str = "xml") -> list[tuple[str, bool]]:
    """Name the members that hold the sheets of an xlsx or xlsb, in the order of its tabs.

    Beside each name stands whether the sheet is hidden, as far as an xlsx tells.
    """
    workbook, relations = _links(archive)
    with archive.open(workbook) as stream:
        if kind == "bin":
            links = [(link, False) for link in sheet_links(stream.read())]
        else:
            sheets = [e for e in ElementTree.parse(stream).iter() if local(e.tag) == "sheet"]  # noqa: S314
            links = [
                (next(v for k, v in e.attrib.items() if k.endswith("}id")), _is_hidden(e))
                for e in sheets
            ]
    return [(relations[link][1], hidden) for link, hidden in links]


def related_member(archive: ZipFile, role: str) -> str:
    """Name the member of an xlsx or xlsb that has a role, such as styles; ``""`` if none has."""
    _, relations = _links(archive)
    names = set(archive.namelist())
    found = (t for kind, t in relations.values() if kind == role and t in names)
    return next(found, "")


def _links(archive: ZipFile) -> tuple[str, dict[str, tuple[str, str]]]:
    """Name the workbook's own member, and what it relates to."""
    package = _relations(archive, "_rels/.rels", "")
    workbook = next(target for role, target in package.values() if role == "officeDocument")
    folder, name = posixpath.split(workbook)
    return workbook, _relations(archive, f"{folder}/_rels/{name}.rels", folder)


def _is_hidden(sheet: ElementTree.Element) -> bool:
    return sheet.get("state", "visible") != "visible"


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


def read_xlsx(stream: IO[bytes], disguises: Disguises | None = None) -> Glance:
    """The same as :func:`.glance`, by an XML parser, of any xlsx sheet (ECMA-376, 18.3.1)."""
    seen = Glance(errors=True)
    disguises = disguises or Disguises()
    number, known, flat = -1, set[int](), False
    names = ("row", "mergeCell", "col", "conditionalFormatting", "sheetFormatPr", "sheetData")
    tables = 0
    for element in elements(stream, *names):
        if local(element.tag) == "row":
            number = int(element.get("r", number + 2)) - 1
            seen.twice = f"row {number + 1:,}" if number in known else seen.twice
            known.add(number)
            _read_row(element, number, seen, disguises)
            if flat and not element.get("ht") and seen.hidden[-1:] != [number]:
                seen.hidden.append(number)
        elif local(element.tag) == "sheetData":
            tables += 1
            seen.twice = seen.twice or ("its table of cells" if tables > 1 else "")
        elif local(element.tag) == "sheetFormatPr":
            flat = element.get("zeroHeight") in _YES
        elif local(element.tag) == "conditionalFormatting":
            _read_condition(element, disguises)
        elif local(element.tag) == "mergeCell":
            seen.merged[_area(element.attrib["ref"])] = None
        elif element.get("hidden") in _YES or is_nothing(element.get("width", "")):
            ends = int(element.attrib["min"]) - 1, int(element.attrib["max"]) - 1
            seen.hidden_columns.append(ends)
    seen.shown = disguises.areas
    return seen


def _read_row(row: ElementTree.Element, number: int, seen: Glance, disguises: Disguises) -> None:
    if not seen.unclear and any(map(_is_foreign, row.iter())):
        seen.unclear = f"row {number + 1:,} holds elements of another vocabulary"
    if row.get("hidden") in _YES or is_nothing(row.get("ht", "")):
        seen.hidden.append(number)
    column, filled = -1, set[int]()
    for cell in row:
        known, place, below = _place(cell.get("r", "").upper())
        column = place if known else column + 1
        if len(cell):
            seen.filled += 1
            if column in filled:
                seen.twice = f"cell {column_letter(column)}{number + 1}"
            filled.add(column)
            if not seen.unclear and (odd := _unclear(cell)):
                seen.unclear = f"cell {column_letter(column)}{number + 1} {odd}"
            # Readers put a cell where its own address says, whatever row it is written in.
            seen.bottom = max(seen.bottom, number + 1, below + 1)
            seen.right = max(seen.right, column + 1)
        if lost_result(cell):
            seen.unvalued.append((number, column))
        if disguises and cell.get("t") in _TEXTS:
            disguises.note(number, column, cell.get("s", "0"))


def _is_foreign(element: ElementTree.Element) -> bool:
    """Whether readers take an element for a cell's that programs pass over."""
    space, _, name = element.tag.rpartition("}")
    return bool(space) and space not in _VOCABULARIES and name in {"row", "c", "v", "is", "t"}


def _unclear(cell: ElementTree.Element) -> str:
    """Say why programs read a cell's value differently; ``""`` if they do not."""
    held = [child for child in cell if local(child.tag) in {"v", "is"}]
    if len(held) > 1:
        return "has more than one value"
    kind, text = cell.get("t", "n"), (held[0].text or "") if held else ""
    if kind == "s" and text and not _PLACE.fullmatch(text):
        return f"refers to a text by {text[:20]!r}, which is no number"
    odd = kind in _VALUES and text != text.strip()
    return f"holds {text[:40]!r}, with white space around the value" if odd else ""


def _read_condition(element: ElementTree.Element, disguises: Disguises) -> None:
    """Note where a condition puts a number format on cells; whether it is met is not known."""
    for rule in element:
        code = disguises.conditional.get(rule.get("dxfId", ""))
        if code is not None:
            places = element.get("sqref", "").split()
            disguises.areas.extend((_area(place), code) for place in places)


def read_styles(stream: IO[bytes]) -> Disguises:
    """Read the number formats that disguise text from an xlsx's styles (ECMA-376, 18.8)."""
    codes: dict[str, str] = {}
    fresh: list[tuple[str, str]] = []
    numbers: list[str] = []
    cells: list[str] = []
    conditions: list[str] = []
    names = ("numFmt", "numFmts", "xf", "cellStyleXfs", "cellXfs", "dxf")
    for element in elements(stream, *names):
        name = local(element.tag)
        if name == "numFmt":
            fresh.append((element.get("numFmtId", ""), element.get("formatCode", "")))
        elif name == "xf":
            numbers.append(element.get("numFmtId", ""))
        elif name == "dxf":
            conditions.append(fresh.pop()[1] if fresh else "")
        else:
            codes |= fresh
            cells = numbers if name == "cellXfs" else cells
            fresh, numbers = [], []
    return Disguises(by_style(codes.get(number, "") for number in cells), by_style(conditions))


def _area(reference: str) -> Area:
    corners = reference.replace("$", "").split(":")
    (_, left, top), (_, right, bottom) = _place(corners[0]), _place(corners[-1])
    return (top, left, bottom, right)


def _place(address: str) -> tuple[bool, int, int]:
    """Whether it is an address, and its 0-based column and row."""
    found = _CELL.fullmatch(address)
    return (True, column_index(found[1]), int(found[2]) - 1) if found else (False, 0, 0)


def elements(stream: IO[bytes], *names: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of these names as they end, and forget each one afterwards."""
    path: list[ElementTree.Element] = []
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):  # noqa: S314
        if event == "start":
            path.append(element)
            continue
        path.pop()
        if local(element.tag) in names:
            yield element
            if path:
                path[-1].clear()


def local(tag: str) -> str:
    """Name of an element without its namespace."""
    return tag.rpartition("}")[2]
