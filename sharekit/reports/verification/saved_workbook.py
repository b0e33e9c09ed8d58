"""A report's workbook that a program saved again, compared as a spreadsheet program shows it.

Programs follow the relations of a package from ``_rels/.rels`` on, and so does this module. It
reads only packages of known parts, each referenced once, in the plain markup that programs write.
Anything else might be shown otherwise than it is read here, so it is not comparable.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

# Expat itself limits the expansion of entities (2.4.1 and later), and here none may be declared.
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from openpyxl.styles.numbers import BUILTIN_FORMATS

from sharekit.core.errors import InputError
from sharekit.core.html import escape_invisible

from ..wording import quoted, text_difference
from .workbook_markup import MAIN, odd_attribute, oddity

#: A text is a text, and a number a number.
Value = str | float
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_CORE: Final = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/"
_MICROSOFT: Final = "http://schemas.microsoft.com/office/"
_RELATION: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TYPES: Final = "[Content_Types].xml"
_TYPE: Final = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_SHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_DRAWN: Final = "application/vnd.openxmlformats-officedocument.drawing"


class _Role(NamedTuple):
    """A role of a part: which name it has, which part refers to it, and its type if that counts."""

    name: str
    owner: str
    content: str = ""


#: The parts of a report, and those that Excel, LibreOffice, openpyxl or a company's labels add.
_ROLES: Final = {
    _OFFICE + "officeDocument": _Role(r"xl/workbook\.xml", "", _SHEET + "sheet.main+xml"),
    _OFFICE + "worksheet": _Role(
        r"xl/worksheets/sheet\d+\.xml", r"xl/workbook\.xml", _SHEET + "worksheet+xml"
    ),
    _OFFICE + "sharedStrings": _Role(
        r"xl/sharedStrings\.xml", r"xl/workbook\.xml", _SHEET + "sharedStrings+xml"
    ),
    _OFFICE + "styles": _Role(r"xl/styles\.xml", r"xl/workbook\.xml", _SHEET + "styles+xml"),
    _OFFICE + "theme": _Role(r"xl/theme/theme1\.xml", r"xl/workbook\.xml"),
    _OFFICE + "drawing": _Role(
        r"xl/drawings/drawing\d+\.xml", r"xl/worksheets/.*", _DRAWN + "+xml"
    ),
    _OFFICE + "chart": _Role(
        r"xl/charts/chart\d+\.xml", r"xl/drawings/.*", _DRAWN + "ml.chart+xml"
    ),
    _MICROSOFT + "2011/relationships/chartStyle": _Role(r"xl/charts/style\d+\.xml", "xl/charts/.*"),
    _MICROSOFT + "2011/relationships/chartColorStyle": _Role(
        r"xl/charts/colors\d+\.xml", "xl/charts/.*"
    ),
    _OFFICE + "printerSettings": _Role(r"xl/printerSettings/\w+\.bin", r"xl/worksheets/.*"),
    _OFFICE + "extended-properties": _Role(r"docProps/app\.xml", ""),
    _OFFICE + "custom-properties": _Role(r"docProps/custom\.xml", ""),
    _CORE + "core-properties": _Role(r"docProps/core\.xml", ""),
    _OFFICE + "customXml": _Role(r"customXml/item\d+\.xml", r"|xl/workbook\.xml"),
    _OFFICE + "customXmlProps": _Role(r"customXml/itemProps\d+\.xml", r"customXml/.*"),
    _MICROSOFT + "2017/10/relationships/person": _Role(
        r"xl/persons/person\d*\.xml", r"xl/workbook\.xml"
    ),
    _MICROSOFT + "2020/02/relationships/classificationlabels": _Role(
        r"docMetadata/LabelInfo\.xml", ""
    ),
}
_TARGET: Final = re.compile(r"[\w./-]+", re.ASCII)
#: Names that a report defines: what is filtered, and what is printed.
_FILTER: Final = "_xlnm._FilterDatabase"
_NAMES: Final = frozenset({_FILTER, "_xlnm.Print_Titles", "_xlnm.Print_Area"})
_PRINTED: Final = re.compile(r"('[^'\"]+'|[\w.]+)!\$[A-Z0-9]+(\$[0-9]+)?(:\$[A-Z0-9]+(\$[0-9]+)?)?")
#: What a sheet may have beside its cells without showing any of them otherwise.
_HARMLESS: Final = frozenset(
    "sheetPr dimension sheetViews sheetFormatPr cols sheetData autoFilter mergeCells phoneticPr "
    "sheetProtection hyperlinks printOptions pageMargins pageSetup headerFooter rowBreaks "
    "colBreaks ignoredErrors drawing".split()
)
#: What a sheet may have more than once.
_SEVERAL: Final = frozenset({"cols", "conditionalFormatting"})
_PRINTED_TEXTS: Final = frozenset(
    "oddHeader oddFooter evenHeader evenFooter firstHeader firstFooter".split()
)
_SHAPES: Final = frozenset("sp pic grpSp cxnSp contentPart AlternateContent".split())
_ADDRESS: Final = re.compile("([A-Z]{1,3})([1-9][0-9]{0,6})")
_INTEGER: Final = re.compile("[0-9]{1,9}")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
#: The first thing in a part, if it is there at all.
_DECLARATION: Final = re.compile(
    rb"""(?i)\A(?:\xef\xbb\xbf)?<\?xml version=["']1.0["'](?: encoding=["']utf-8["'])?"""
    rb"""(?: standalone=["']\w+["'])?\s*\?>"""
)
#: Characters that XML forbids, as Excel writes them.
_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")
#: Properties of a cell: its address, style and type.
_PROPERTIES: Final = frozenset({"r", "s", "t"})
#: A row of this many points, or a column of this many digits, or less, shows nothing to be read.
_THIN: Final = {"ht": 6.0, "defaultRowHeight": 6.0, "width": 3.0, "defaultColWidth": 3.0}
_TRUE: Final = frozenset({"1", "true", "on"})
_FALSE: Final = frozenset({"0", "false", "off"})
_STYLES: Final = ("numFmts", "cellXfs", "cellStyleXfs")
#: No program makes a workbook that unpacks to more than so many times its report, and so much.
_GROWTH, _SLACK = 20, 64 << 20


class NotComparableError(InputError):
    """A file is no workbook that sharekit or a known spreadsheet program writes."""


class UnreadableError(Exception):
    """A file is no workbook, or a damaged one."""


@contextlib.contextmanager
def library_errors() -> Iterator[None]:
    """Raise what the libraries say of a damaged workbook as :class:`UnreadableError`."""
    try:
        yield
    except (
        ElementTree.ParseError, zipfile.BadZipFile, zlib.error, EOFError, OSError,
    ) as error:  # fmt: skip
        raise UnreadableError(escape_invisible(str(error).partition("\n")[0])) from error


def is_plain_archive(archive: zipfile.ZipFile) -> bool:
    """Return True if an archive has nothing before, behind or twice, and is packed as usual."""
    infos = archive.infolist()
    return (
        not archive.comment
        and min((info.header_offset for info in infos), default=0) == 0
        and len({info.filename.casefold() for info in infos}) == len(infos)
        and not any(info.flag_bits & 1 for info in infos)
        and {info.compress_type for info in infos} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    )


def workbook_differences(report: Path, fresh: Path) -> Iterator[tuple[str, str]]:
    """Yield where a workbook shows something else than a fresh one, and what.

    Raises
    ------
    NotComparableError
        If it is no workbook that sharekit or a known program writes.
    UnreadableError
        If it is damaged, or none at all.
    """
    with library_errors(), zipfile.ZipFile(report) as given, zipfile.ZipFile(fresh) as wanted:
        sizes = [sum(info.file_size for info in one.infolist()) for one in (given, wanted)]
        if not is_plain_archive(given) or sizes[0] > _GROWTH * sizes[1] + _SLACK:
            raise NotComparableError("its parts are packed as no spreadsheet program does it")
        shown, should = _Workbook(given), _Workbook(wanted)
        yield from (fact for fact in shown.facts if fact not in should.facts)
        for name in shown.sheets:
            if name not in should.sheets:
                yield f"sheet {quoted(name)}", "is not part of the report"
        usual = frozenset(should.formats)
        for name, part in should.sheets.items():
            if name not in shown.sheets:
                yield name, "the sheet is missing"
                continue
            one = _Sheet(shown, shown.sheets[name], usual)
            two = _Sheet(should, part, usual)
            yield from ((f"{name}!{cell}", what) for cell, what in _cell_differences(one, two))
            known = set(two.facts)
            yield from ((name, what) for what in one.facts if what not in known)


def _cell_differences(shown: _Sheet, should: _Sheet) -> Iterator[tuple[str, str]]:
    """Yield the cells that differ, row by row."""
    given, wanted = shown.rows(), should.rows()
    one, two = next(given, None), next(wanted, None)
    while one or two:
        number = min(row[0] for row in (one, two) if row)
        says = one[1] if one and one[0] == number else {}
        asked = two[1] if two and two[0] == number else {}
        if says != asked:
            for cell in dict.fromkeys([*asked, *says]):
                if says.get(cell) != asked.get(cell):
                    yield cell, _difference(says.get(cell, ""), asked.get(cell, ""))
        if one and one[0] == number:
            one = next(given, None)
        if two and two[0] == number:
            two = next(wanted, None)


def _difference(given: Value, wanted: Value) -> str:
    one, two = (f"{value:.15g}" if isinstance(value, float) else value for value in (given, wanted))
    if one == two:
        kinds = ["a number" if isinstance(value, float) else "a text" for value in (given, wanted)]
        return f"says {quoted(one)} as {kinds[0]}, should say it as {kinds[1]}"
    return text_difference(one, two)


# -- the package -------------------------------------------------------------------------------
class _Workbook:
    """A package: its sheets by name, its shared texts, number formats by style, and oddities."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.facts: list[tuple[str, str]] = []
        relations = self._walk()
        self.sheets = self._read_sheets(relations["xl/workbook.xml"])
        parts = {part for part, _ in relations["xl/workbook.xml"].values()}
        self.formats = self._read_formats() if "xl/styles.xml" in parts else []
        self.texts = list(self._read_texts()) if "xl/sharedStrings.xml" in parts else []
        for part in (part for part in relations if part.startswith("xl/drawings/")):
            if any(_local(element) in _SHAPES for element in self.tree(part).iter()):
                self.facts.append((part, "holds a shape or picture; a report has none"))
        for part in (part for part in relations if part.startswith("xl/charts/chart")):
            texts = (element.text for element in self.tree(part).iter() if _local(element) == "t")
            self.facts += [("a chart", f"says {quoted(text)}") for text in texts if text]

    def open(self, part: str) -> IO[bytes]:
        """Open a part whose markup leaves nothing to interpret."""
        return _PlainXml(self.archive.open(part), part)  # type: ignore[return-value] # read() is all that is asked of it

    def tree(self, part: str) -> Element:
        """Parse a whole part."""
        with self.archive.open(part) as stream:
            return ElementTree.parse(_PlainXml(stream, part)).getroot()  # noqa: S314 - see the import

    def known_tree(self, part: str) -> Element:
        """Parse a whole part, of the markup that known programs write."""
        root = self.tree(part)
        _refuse(part, oddity(root))
        return root

    def _walk(self) -> dict[str, dict[str, tuple[str, str]]]:
        """Follow all relations; return for each part the relations that it has, by their ID."""
        left = set(self.archive.namelist())
        if _TYPES not in left:
            raise NotComparableError(f"it has no part {_TYPES}")
        left.discard(_TYPES)
        types, walked, owners = self._content_types(), {}, [""]
        for owner in owners:
            links = posixpath.join(*_split(owner, "_rels"))
            walked[owner] = self._relations(owner, links) if links in left else {}
            left.discard(links)
            for part, role in walked[owner].values():
                if part not in left:
                    raise NotComparableError(f"{part} is missing, or referenced more than once")
                left.discard(part)
                owners.append(part)
                content = types.get(f"/{part}".casefold(), types.get(part.rpartition(".")[2], ""))
                if _ROLES[role].content not in ("", content):
                    raise NotComparableError(f"{part} is said to be {quoted(content)}")
        if left:
            raise NotComparableError(f"no part refers to {quoted(min(left))}")
        if "xl/workbook.xml" not in walked:
            raise NotComparableError("no relation names the workbook")
        return walked

    def _relations(self, owner: str, links: str) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for link in self.tree(links):
            name, kind, target = (link.get(key, "") for key in ("Id", "Type", "Target"))
            if link.get("TargetMode", "Internal") != "Internal":
                self.facts.append((links, "holds a link to elsewhere; a report has none"))
                continue
            part = posixpath.normpath(posixpath.join("/", posixpath.dirname(owner), target))[1:]
            role = _ROLES.get(kind)
            fits = role and re.fullmatch(role.name, part) and re.fullmatch(role.owner, owner)
            if link.tag != _RELATION or name in found or not fits or not _TARGET.fullmatch(target):
                what = f"{posixpath.basename(kind)} at {target}"
                raise NotComparableError(f"{links} refers to a part unknown there: {quoted(what)}")
            found[name] = part, kind
        return found

    def _content_types(self) -> dict[str, str]:
        """Return the type of each part, and of each ending of names."""
        types: dict[str, str] = {}
        for element in self.tree(_TYPES):
            key = element.get("PartName", element.get("Extension", "")).casefold()
            if key in types or element.tag not in (f"{_TYPE}Default", f"{_TYPE}Override"):
                raise NotComparableError(f"{_TYPES} tells the type of {quoted(key)} twice")
            types[key] = element.get("ContentType", "")
        return types

    def _read_sheets(self, relations: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Return the part of each sheet by its name, in order; note what hides a sheet."""
        root = self.known_tree("xl/workbook.xml")
        lists = root.findall(f"{MAIN}sheets")
        sheets = lists[0].findall(f"{MAIN}sheet") if lists else []
        listed = sum(_local(element) in ("sheet", "sheets") for element in root.iter())
        names = [sheet.get("name", "") for sheet in sheets]
        links = [relations.get(sheet.get(f"{{{_OFFICE[:-1]}}}id", "")) for sheet in sheets]
        parts = [link[0] for link in links if link and link[1] == f"{_OFFICE}worksheet"]
        linked = {part for part, kind in relations.values() if kind == f"{_OFFICE}worksheet"}
        if (
            listed != len(sheets) + 1
            or len({name.casefold() for name in names}) != len(names)
            or len(set(parts)) != len(sheets)
            or set(parts) != linked
        ):
            raise NotComparableError("its list of sheets and its parts do not agree")
        for name, sheet in zip(names, sheets, strict=True):
            if sheet.get("state", "visible") != "visible":
                self.facts.append((name, "the sheet is hidden"))
        for element in root.iter():
            if _local(element) == "definedName":
                self._note_name(element.get("name", ""), element.text or "")
            if element.get("showSheetTabs", "1") in _FALSE:
                self.facts.append(("the workbook", "hides the tabs of its sheets"))
        return dict(zip(names, parts, strict=True))

    def _note_name(self, name: str, text: str) -> None:
        if name not in _NAMES:
            what = f"defines the name {quoted(name)}; a report does not"
            self.facts.append(("the workbook", what))
        elif name == _FILTER or not all(map(_PRINTED.fullmatch, text.split(","))):
            plain = text.replace("'", "")
            what = f"defines {name} as {quoted(plain)}; a report does not"
            self.facts.append(("the workbook", what))

    def _read_formats(self) -> list[str]:
        """Return the number format of each style that a cell can have."""
        root = self.known_tree("xl/styles.xml")
        listed = [e for e in root.iter() if _local(e) in _STYLES]
        own, styles, parents = (root.find(f"{MAIN}{name}") for name in _STYLES)
        formats, cells = ([] if one is None else list(one) for one in (own, styles))
        declared = {e.get("numFmtId", ""): e.get("formatCode", "") for e in formats}
        if (
            len(listed) != sum(one is not None for one in (own, styles, parents))
            or {e.tag for e in formats} - {f"{MAIN}numFmt"}
            or {e.tag for e in cells} - {f"{MAIN}xf"}
            or len(declared) != len(formats)
        ):
            raise NotComparableError("xl/styles.xml gives a number format twice")
        builtin = {str(number): code for number, code in BUILTIN_FORMATS.items()}
        codes = declared | builtin
        for number in declared.keys() & builtin.keys():  # programs differ over which of them counts
            if declared[number] != builtin[number]:
                codes[number] = f"{builtin[number]} or {declared[number]}"
        named = () if parents is None else parents
        others = [codes.get(style.get("numFmtId", "0"), "unknown") for style in named]
        return [_format(style, codes, others) for style in cells]

    def _read_texts(self) -> Iterator[str]:
        with self.open("xl/sharedStrings.xml") as stream:
            for _, element in _children(stream, "sst"):
                if element.tag != f"{MAIN}si":
                    raise NotComparableError(f"xl/sharedStrings.xml holds {_tag(element)}")
                yield _text(element)


def _split(part: str, folder: str) -> tuple[str, str, str]:
    head, tail = posixpath.split(part)
    return head, folder, f"{tail}.rels"


def _format(style: Element, codes: Mapping[str, str], parents: Sequence[str]) -> str:
    """Return the number format of a style, and what else some programs take for it."""
    own = codes.get(style.get("numFmtId", "0"), "unknown")
    number = style.get("xfId", "0")
    known = _INTEGER.fullmatch(number) and int(number) < len(parents)
    named = parents[int(number)] if known else "General"
    others = [named] if named not in ("General", own) else []
    if any(element.get("horizontal") == "fill" for element in style.iter()):
        others.append("repeated")
    return ", ".join([own, *others])


def _refuse(part: str, odd: str) -> None:
    if odd:
        raise NotComparableError(f"{part} holds {odd}, as no known program writes it")


class _PlainXml:
    """The bytes of a part; refused where programs might take them for different texts."""

    def __init__(self, stream: IO[bytes], part: str) -> None:
        self._stream, self._part, self._before = stream, part, b""

    def read(self, size: int = -1) -> bytes:
        """Read on; raise NotComparableError over declarations, comments and other encodings."""
        data = self._stream.read(size)
        text = self._before + data if self._before else _DECLARATION.sub(b"", data, count=1)
        if any(mark in text for mark in (b"<!", b"<?", b"\0")):
            raise NotComparableError(f"{self._part} has markup that no spreadsheet program writes")
        self._before = data[-1:]
        return data

    def __enter__(self) -> _PlainXml:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _children(stream: IO[bytes], root: str) -> Iterator[tuple[int, Element]]:
    """Yield the children of a part's root as they end, and a sheet's rows, with their depth."""
    path: list[Element] = []
    for event, element in ElementTree.iterparse(stream, ("start", "end")):  # noqa: S314 - see the import
        if event == "start":
            path.append(element)
            if len(path) == 1 and element.tag != f"{MAIN}{root}":
                raise NotComparableError(f"a part begins with {_tag(element)}")
            if len(path) == 1:
                _refuse("a part", odd_attribute(element))
            continue
        path.pop()
        if len(path) == 1 or (len(path) == 2 and path[1].tag == f"{MAIN}sheetData"):
            yield len(path), element
            path[-1].clear()


# -- a sheet -----------------------------------------------------------------------------------
class _Sheet:
    """A sheet, read row by row; what it hides or holds besides its values is noted meanwhile."""

    def __init__(self, book: _Workbook, part: str, usual: frozenset[str]) -> None:
        self._book, self._part = book, part
        self._odd = {str(n): code for n, code in enumerate(book.formats) if code not in usual}
        self._styles = len(book.formats)
        self._seen: list[str] = []
        self.facts: list[str] = []

    def rows(self) -> Iterator[tuple[int, dict[str, Value]]]:
        """Yield the number of each row and its cells that show anything."""
        before = 0
        with self._book.open(self._part) as stream:
            for depth, element in _children(stream, "worksheet"):
                if depth == 1:
                    self._read_section(element)
                    continue
                number = element.get("r", "")
                known = element.tag == f"{MAIN}row" and _INTEGER.fullmatch(number)
                if not known or int(number) <= before or "sheetData" in self._seen:
                    raise self._error(f"row {quoted(number)} is not in its place, or there twice")
                before = int(number)
                _refuse(self._part, odd_attribute(element))
                if _is_hidden(element, "ht"):
                    self.facts.append(f"row {number} is hidden")
                yield before, self._cells(element, number)

    def _error(self, what: str) -> NotComparableError:
        return NotComparableError(f"{self._part}: {what}")

    def _cells(self, row: Element, number: str) -> dict[str, Value]:
        cells: dict[str, Value] = {}
        before = (0, "")
        for cell in row:
            address = cell.get("r", "")
            match = _ADDRESS.fullmatch(address)
            place = (len(match[1]), match[1]) if match else before
            if cell.tag != f"{MAIN}c" or not match or match[2] != number or place <= before:
                raise self._error(f"cell {quoted(address)} is not in its place")
            before = place
            if not len(cell):
                continue
            if not _PROPERTIES.issuperset(cell.keys()):
                raise self._error(f"cell {address} has properties that no report has")
            value = self._value(cell, address)
            if value != "":
                cells[address] = value
                self._check_style(cell.get("s", "0"), address)
        return cells

    def _check_style(self, style: str, address: str) -> None:
        if style in self._odd:
            code = self._odd[style]
            self.facts.append(f"{address} is displayed with the number format {code!r}")
        elif not _INTEGER.fullmatch(style) or (self._styles and int(style) >= self._styles):
            raise self._error(f"cell {address} has a style that there is not")

    def _value(self, cell: Element, address: str) -> Value:
        """Return what a cell shows; a formula is noted, and its saved result returned."""
        parts = list(cell)
        if parts[0].tag == f"{MAIN}f":
            self.facts.append(f"{address} holds a formula; a report has none")
            del parts[0]
        if not parts:
            return ""
        kind, value = cell.get("t", "n"), parts[0]
        if (
            len(parts) > 1
            or odd_attribute(value)
            or value.tag != f"{MAIN}{'is' if kind == 'inlineStr' else 'v'}"
        ):
            raise self._error(f"cell {address} has more than one value, or none of its kind")
        if kind == "inlineStr":
            return _text(value)
        text = value.text or ""
        if len(value):
            raise self._error(f"cell {address} has markup in its value")
        if kind == "s" and _INTEGER.fullmatch(text) and int(text) < len(self._book.texts):
            return self._book.texts[int(text)]
        if kind == "n" and _NUMBER.fullmatch(text):
            return float(text)
        if kind == "b" and text in ("0", "1"):
            return ("FALSE", "TRUE")[int(text)]
        if kind in ("str", "e") or (kind in ("n", "s") and not text):
            return _displayed(text)
        raise self._error(f"cell {address} has a value that is none of its kind")

    def _read_section(self, element: Element) -> None:
        """Note what an element beside the rows hides; refuse one that is there twice."""
        name = _local(element)
        if element.tag != f"{MAIN}{name}" or (name in self._seen and name not in _SEVERAL):
            raise self._error(f"{_tag(element)} is not in its place, or there twice")
        self._seen.append(name)
        note = self.facts.append
        if name == "conditionalFormatting":
            note("holds a conditional format; a report has none")
        elif name not in _HARMLESS:
            note(f"holds {name}; a report has none")
        else:
            _refuse(self._part, oddity(element))
        for part in element.iter():
            self._read_detail(part, _local(part))

    def _read_detail(self, part: Element, kind: str) -> None:
        note = self.facts.append
        if kind == "col" and _is_hidden(part, "width"):
            note(f"columns {part.get('min')} to {part.get('max')} are hidden")
        elif kind == "sheetFormatPr" and (
            part.get("zeroHeight") in _TRUE
            or any(_is_hidden(part, size) for size in ("defaultColWidth", "defaultRowHeight"))
        ):
            note("rows or columns are hidden by default")
        elif kind == "mergeCell":
            note(f"merges {part.get('ref')}, so that only the first of them is shown")
        elif kind in ("filterColumn", "sortState"):
            note("is filtered or sorted")
        elif kind in _PRINTED_TEXTS and part.text:
            note(f"prints {quoted(part.text)} on its pages")
        elif kind == "sheetView":
            self._read_view(part)

    def _read_view(self, view: Element) -> None:
        if view.get("showZeros", "1") in _FALSE:
            self.facts.append("does not show zeros")
        for pane in view.iter(f"{MAIN}pane"):
            rows, columns = (_number(pane.get(split, "0")) for split in ("ySplit", "xSplit"))
            self.facts.append(f"has a pane of {rows:g} rows and {columns:g} columns")
            if view.get("topLeftCell", "A1") != "A1":
                self.facts.append(f"cells before {view.get('topLeftCell')} are out of reach")


def _text(element: Element) -> str:
    """Return the text of a cell, from all its runs; one with its pronunciation is refused."""
    parts = [part for part in element if part.tag != f"{MAIN}phoneticPr"]
    runs = [list(part) if part.tag == f"{MAIN}r" else [part] for part in parts]
    texts = [part for run in runs for part in run if part.tag != f"{MAIN}rPr"]
    plain = all(part.tag == f"{MAIN}t" and not len(part) for part in texts)
    if not plain or (len(parts) > 1 and any(part.tag == f"{MAIN}t" for part in parts)):
        raise NotComparableError("a text has markup that no spreadsheet program writes")
    for part in (part for run in runs for part in run):
        _refuse("a text", odd_attribute(part) if part.tag == f"{MAIN}t" else oddity(part))
    return _displayed("".join(part.text or "" for part in texts))


def _displayed(text: str) -> str:
    r"""Return a text as it is displayed: without Excel's escapes, with one kind of line end.

    >>> _displayed("_x0041__x000D_\n_x005F_x0041_")
    'A\n_x0041_'
    """
    if "_x" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _is_hidden(element: Element, size: str) -> bool:
    if element.get("hidden", "0") in _TRUE:
        return True
    return _number(element.get(size, "99")) <= _THIN[size]


def _number(text: str) -> float:
    return float(text) if _NUMBER.fullmatch(text) else 0.0


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _tag(element: Element) -> str:
    return f"an element {quoted(_local(element))}"
