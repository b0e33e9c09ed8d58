"""What a person sees of a workbook beyond the values of its cells, and what a program may change.

A look is a set of facts for each sheet, each a short sentence. Made anew, a report has none of the
facts that hide, add or show otherwise; so a fact that only the given workbook has is a difference.
What was lost (a link, a filter's arrows) is none, but for a chart.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

# Entity expansion is bounded by expat itself (2.4.1 and later).
from xml.etree import ElementTree
from xml.parsers import expat

import openpyxl
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils.cell import rows_from_range

#: What parts of a workbook may be to each other. Comments, pictures, macros and tables are not it.
_RELATIONS: Final = frozenset(
    ("officeDocument", "core-properties", "extended-properties", "custom-properties", "thumbnail",
     "worksheet", "styles", "theme", "sharedStrings", "drawing", "chart", "chartStyle",
     "chartColorStyle", "hyperlink", "printerSettings", "calcChain", "sheetMetadata", "customXml",
     "customXmlProps", "classificationlabels"),
)  # fmt: skip
#: What a sheet may consist of.
_PARTS: Final = frozenset(
    ("sheetPr", "dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData", "autoFilter",
     "mergeCells", "phoneticPr", "hyperlinks", "printOptions", "pageMargins", "pageSetup",
     "headerFooter", "rowBreaks", "colBreaks", "ignoredErrors", "drawing"),
)  # fmt: skip
_MARGINAL: Final = re.compile(r"(odd|even|first)(Header|Footer)")
#: Fonts and sizes inside a header or footer, which programs add of their own accord.
_DRESS: Final = re.compile(r'&"[^"]*"|&K[0-9A-F]{6}|&\d+|\s+')
_TRUE: Final = frozenset({"1", "true", "on"})
#: Points or digits below which a row or column cannot be read.
_THIN: Final = 2.0
#: Cells of a sheet that are named for showing their values otherwise.
_NAMED: Final = 100
_PIECE: Final = 1 << 20

#: Sheet, or ``""`` for the whole -> what is to be seen there.
Look = dict[str, set[str]]
#: How cells can be dressed: number format, font, size, colour, ground.
Dress = tuple[str, ...]


def differing(given: Path, fresh: Path) -> Iterator[tuple[str, str]]:
    """Yield sheet (or ``""``) and what a person sees there that a report made anew does not show.

    Raises
    ------
    ValueError, OSError, KeyError
        If a workbook cannot be read.
    """
    try:
        with zipfile.ZipFile(given) as says, zipfile.ZipFile(fresh) as should:
            allowed = frozenset(_dresses(should, _related(should)))
            one, two = _look(says, allowed), _look(should, allowed)
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise ValueError(str(error)) from None
    cells = openpyxl.load_workbook(fresh, read_only=True)
    for fact in sorted(two[""]):  # made anew, a chart leaves its values to the cells
        if range_ := fact.removeprefix(_DRAWS) if fact.startswith(_DRAWS) else "":
            two[""] |= set(_drawn(cells, range_))
    cells.close()
    for sheet, facts in one.items():
        yield from ((sheet, fact) for fact in sorted(facts - two.get(sheet, set())))
    yield from (
        ("", f"lacks this: {fact}") for fact in sorted(two[""] - one[""])
        if fact.startswith((_DRAWS, _TEXT))
    )  # fmt: skip


_DRAWS, _TEXT, _POINT = "a chart draws ", "a chart or drawing says ", "a chart holds "


def _drawn(book: openpyxl.Workbook, cells: str) -> Iterator[str]:
    sheet, _, area = cells.rpartition("!")
    places = [cell for line in rows_from_range(area) for cell in line]
    tab = book[sheet]
    for number, place in enumerate(places):
        yield f"{_POINT}“{tab[place].value}” as point {number + 1} of {cells}"


def _look(book: zipfile.ZipFile, allowed: frozenset[Dress]) -> Look:
    related = _related(book)
    look: Look = {"": set(_odd_relations(book))}
    sheets = dict(_sheets(book, related))
    odd = {
        str(number): _told(dress)
        for number, dress in enumerate(_dresses(book, related))
        if dress not in allowed
    }
    for name, part in sheets.items():
        with book.open(part) as file:
            look[name] = _Sheet(odd).read(file)
    look[""] |= set(_names(book, list(sheets)))
    for part in book.namelist():
        if part.endswith(".xml") and part.startswith(("xl/charts/", "xl/drawings/")):
            look[""] |= set(_in_drawing(book, part))
        elif part.endswith("haredStrings.xml"):
            look[""] |= _runs(book, part)
    return look


# -- the whole ---------------------------------------------------------------------------------
def _tree(book: zipfile.ZipFile, part: str) -> ElementTree.Element:
    return ElementTree.fromstring(book.read(part))  # noqa: S314 - see the import


def _related(book: zipfile.ZipFile) -> dict[str, tuple[str, str]]:
    """Return what belongs to the workbook: id -> kind and part."""
    root = _tree(book, "xl/_rels/workbook.xml.rels")
    return {
        one.attrib["Id"]: (
            one.attrib["Type"].rpartition("/")[2],
            posixpath.normpath(posixpath.join("/xl", one.attrib["Target"]))[1:],
        )
        for one in root
    }


def _odd_relations(book: zipfile.ZipFile) -> Iterator[str]:
    for part in book.namelist():
        if part.endswith(".rels"):
            for one in _tree(book, part):
                kind = one.attrib["Type"].rpartition("/")[2]
                if kind not in _RELATIONS:
                    yield f"holds something that no report has ({kind}: {one.attrib['Target']})"


def _sheets(
    book: zipfile.ZipFile, related: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    root = _tree(book, "xl/workbook.xml")
    for sheet in root.iterfind("{*}sheets/{*}sheet"):
        key = next(v for k, v in sheet.attrib.items() if k.endswith("}id"))
        yield sheet.attrib["name"], related[key][1]


def _names(book: zipfile.ZipFile, sheets: list[str]) -> Iterator[str]:
    """Yield what is printed of sheets, where that is not all."""
    root = _tree(book, "xl/workbook.xml")
    for one in root.iterfind("{*}definedNames/{*}definedName"):
        name = one.attrib["name"].removeprefix("_xlnm.")
        if name in ("Print_Area", "Print_Titles"):
            sheet = sheets[int(one.attrib["localSheetId"])]
            yield f"of sheet {sheet} is printed: {_bare(one.text or '')} ({name})"


def _dresses(book: zipfile.ZipFile, related: Mapping[str, tuple[str, str]]) -> list[Dress]:
    part = next(part for kind, part in related.values() if kind == "styles")
    root = _tree(book, part)
    own = {one.attrib["numFmtId"]: one.attrib["formatCode"]
           for one in root.iterfind("{*}numFmts/{*}numFmt")}  # fmt: skip
    fonts = [_font(font) for font in root.iterfind("{*}fonts/{*}font")]
    fills = [_fill(fill) for fill in root.iterfind("{*}fills/{*}fill")]
    return [
        (
            own.get(number := xf.get("numFmtId", "0")) or BUILTIN_FORMATS.get(int(number), number),
            *fonts[int(xf.get("fontId", "0"))],
            fills[int(xf.get("fillId", "0"))],
        )
        for xf in root.iterfind("{*}cellXfs/{*}xf")
    ]


def _font(font: ElementTree.Element) -> tuple[str, str, str]:
    name, size = font.find("{*}name"), font.find("{*}sz")
    return (
        "" if name is None else name.get("val", ""),
        "" if size is None else f"{float(size.get('val', '0')):g}",
        _colour(font.find("{*}color")),
    )


def _fill(fill: ElementTree.Element) -> str:
    pattern = fill.find("{*}patternFill")
    if pattern is None:
        return "a blend"
    kind = pattern.get("patternType", "none")
    return kind if kind != "solid" else _colour(pattern.find("{*}fgColor"))


def _colour(colour: ElementTree.Element | None) -> str:
    if colour is None:
        return ""
    known = colour.get("rgb", "")[-6:].lower()
    return known or " ".join(f"{key} {value}" for key, value in sorted(colour.items()))


def _told(dress: Dress) -> str:
    number, font, size, ink, ground = dress
    return f"format {number!r}, {font} {size}, {ink or 'no colour'} on {ground or 'none'}"


def _bare(place: str) -> str:
    return place.replace("'", "").replace("$", "").removeprefix("#")


def _in_drawing(book: zipfile.ZipFile, part: str) -> Iterator[str]:
    root = _tree(book, part)
    for one in root.iter():
        kind = one.tag.rpartition("}")[2]
        if kind in ("sp", "pic", "cxnSp", "contentPart") and part.startswith("xl/drawings/"):
            yield f"holds a shape or picture ({part})"
        elif kind == "t" and one.text:
            yield f"{_TEXT}“{one.text}”"
        elif kind in ("numRef", "strRef"):
            cells = _bare(getattr(one.find("{*}f"), "text", None) or "")
            yield _DRAWS + cells
            for point in one.iterfind("*/{*}pt"):
                value = getattr(point.find("{*}v"), "text", None)
                yield f"{_POINT}“{value}” as point {int(point.get('idx', '0')) + 1} of {cells}"
        elif kind in ("numLit", "strLit"):
            yield "a chart holds values of its own"
        code = one.get("formatCode") or (one.text if kind == "formatCode" else None)
        if code not in (None, "General", "#,##0", "0"):
            yield f"a chart shows its numbers as {code!r}"


def _runs(book: zipfile.ZipFile, part: str) -> set[str]:
    odd: set[str] = set()

    def start(name: str, _: Mapping[str, str]) -> None:
        if name.rpartition(" ")[2] in ("rPr", "rPh"):
            odd.add("holds texts whose parts look different from each other")

    with book.open(part) as file:
        _parsed(file, start)
    return odd


def _parsed(
    file: IO[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    while piece := file.read(_PIECE):
        parser.Parse(piece, False)  # noqa: FBT003 - takes no keyword
    parser.Parse(b"", True)  # noqa: FBT003


# -- a sheet -----------------------------------------------------------------------------------
@dataclass
class _Sheet:
    """Reads a sheet piece by piece; ``odd`` are looks of cells that a report does not have."""

    odd: Mapping[str, str]

    def read(self, file: IO[bytes]) -> set[str]:
        self._facts: set[str] = set()
        self._row = self._depth = self._shown = 0
        self._corner = self._marginal = self._words = ""
        _parsed(file, self._start, self._end, self._text)
        return self._facts

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        kind = name.rpartition(" ")[2]
        if kind == "c":
            style = attributes.get("s", "0")
            if style in self.odd and self._shown < _NAMED:
                self._shown += 1
                where = attributes.get("r", f"a cell of row {self._row}")
                self._facts.add(f"{where} is shown otherwise ({self.odd[style]})")
        elif kind == "row":
            self._row = int(attributes.get("r", self._row + 1))
            if _hidden(attributes, "ht"):
                self._facts.add(f"row {self._row} is hidden")
        elif kind not in ("v", "is", "t"):
            self._other(kind, attributes)

    def _other(self, kind: str, told: dict[str, str]) -> None:
        if self._depth == 2 and kind not in _PARTS:
            self._facts.add(f"holds something that no report has ({kind})")
        elif _MARGINAL.fullmatch(kind):
            self._marginal, self._words = kind, ""
        elif kind == "sheetView":
            self._corner = told.get("topLeftCell", "A1")
        self._facts |= set(_fact(kind, told, self._corner))

    def _text(self, text: str) -> None:
        if self._marginal:
            self._words += text

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._marginal and name.rpartition(" ")[2] == self._marginal:
            if words := _DRESS.sub("", self._words):
                self._facts.add(f"“{words}” stands at the edge of each page ({self._marginal})")
            self._marginal = ""


def _fact(kind: str, told: Mapping[str, str], corner: str) -> Iterator[str]:
    """Yield what an element of a sheet, other than a row or a cell, says about its look."""
    if kind == "col" and _hidden(told, "width"):
        yield f"columns {told['min']} to {told['max']} are hidden"
    elif kind == "hyperlink":
        cells = told["ref"].partition(":")[0]
        if "location" in told:  # what leads out of the workbook is told by its relations
            yield f"{cells} leads to {_bare(told['location'])}"
        if "tooltip" in told:
            yield f"{cells} says “{told['tooltip']}” when pointed at"
    elif kind == "mergeCell":
        yield f"{told['ref']} is one cell"
    elif kind == "pane" and told.get("state", "").startswith("frozen"):
        split = [f"{float(told.get(way, '0')):g}" for way in ("xSplit", "ySplit")]
        yield f"{split[0]} columns and {split[1]} rows from {corner} on stand fixed"
    else:
        yield from _odd(kind, told)


def _odd(kind: str, told: Mapping[str, str]) -> Iterator[str]:
    """Yield what no report of ours has."""
    if kind in ("filterColumn", "sortState"):
        yield "a filter or an order is set, so not all rows are to be seen as they are"
    elif kind in ("rPr", "rPh"):
        yield "holds texts whose parts look different from each other"
    elif kind == "sheetView" and told.get("showZeros", "1") not in _TRUE:
        yield "noughts are not shown"
    elif kind == "sheetFormatPr" and (
        told.get("zeroHeight") in _TRUE or _hidden(told, "defaultColWidth")
    ):
        yield "rows or columns are hidden unless said otherwise"


def _hidden(told: Mapping[str, str], size: str) -> bool:
    return told.get("hidden") in _TRUE or float(told.get(size, "9")) < _THIN
