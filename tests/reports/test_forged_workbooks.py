"""Workbooks that lie to the eye are found or called not comparable; honest ones stay intact."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import Font

import sharekit
from sharekit.reports.report import write
from sharekit.reports.verification.compare import compare_files
from sharekit.reports.verification.saved_workbook import NotComparableError
from tests.reports.records import record
from tests.reports.test_reports import FORMULAS, MARKUP, poisoned

Parts = dict[str, bytes]
Forge = Callable[[Parts], object]
ROWS, SUMMARY = "xl/worksheets/sheet4.xml", "xl/worksheets/sheet1.xml"
BOOK, LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
TYPES, PACKAGE, STYLES = "[Content_Types].xml", "_rels/.rels", "xl/styles.xml"
OFFICE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
SHEETS = b"application/vnd.openxmlformats-officedocument.spreadsheetml."
#: The cell of an outcome, and its column.
CELL, SAYS = re.compile(rb'<c r="H2" s="(\d+)" t="inlineStr"><is><t>(\w+)</t></is></c>'), b"failed"
NUMBER = re.compile(rb'<c r="C2" s="(\d+)"><v>(\d+)</v></c>')


def replaced(part: str, old: bytes, new: bytes) -> Forge:
    """Replace a text of a part, once."""

    def forge(parts: Parts) -> None:
        assert old in parts[part], old
        parts[part] = parts[part].replace(old, new, 1)

    return forge


def cell(new: bytes, place: re.Pattern[bytes] = CELL) -> Forge:
    """Write another cell in the place of one; ``STYLE`` and ``NUMBER`` stand for what it had."""

    def forge(parts: Parts) -> None:
        match = place.search(parts[ROWS])
        assert match
        parts[ROWS] = parts[ROWS].replace(
            match[0], new.replace(b"STYLE", match[1]).replace(b"NUMBER", match[2]), 1
        )

    return forge


def both(*steps: Forge) -> Forge:
    """Forge in several steps."""
    return lambda parts: [step(parts) for step in steps]


def added(
    name: str, content: bytes, owner: str = "", role: bytes = b"", mode: bytes = b""
) -> Forge:
    """Add a part, and a relation to it if a part is to have one."""

    def forge(parts: Parts) -> None:
        if content:
            parts[name] = content
        if owner:
            link = b'<Relationship Id="rId99" Type="%s" Target="/%s"%s/></Relationships>'
            new = link % (role, name.encode(), mode)
            parts[owner] = parts[owner].replace(b"</Relationships>", new)

    return forge


def changed_copy(parts: Parts, name: str) -> bytes:
    """A part in which every outcome is another one."""
    return parts[name].replace(b"<t>confirmed</t>", b"<t>failed</t>")


def styled(style: bytes, formats: bytes = b"") -> Forge:
    """Give the number of a row a style of its own."""

    def forge(parts: Parts) -> None:
        count = re.search(rb'<cellXfs count="(\d+)">', parts[STYLES])
        assert count
        parts[STYLES] = parts[STYLES].replace(b"</cellXfs>", style + b"</cellXfs>")
        if formats:
            parts[STYLES] = re.sub(rb"<numFmts.*?</numFmts>", b"", parts[STYLES])
            parts[STYLES] = parts[STYLES].replace(b"<fonts", formats + b"<fonts", 1)
        match = NUMBER.search(parts[ROWS])
        assert match
        new = b'<c r="C2" s="%s"><v>%s</v></c>' % (count[1], match[2])
        parts[ROWS] = parts[ROWS].replace(match[0], new)

    return forge


def xf(number: int, more: bytes = b"") -> bytes:
    """A style with a number format of Excel's own, or of a number from 164 on."""
    return b'<xf numFmtId="%d" fontId="0" fillId="0" borderId="0" xfId="0">%s</xf>' % (number, more)


def elsewhere(parts: Parts) -> None:
    """A second table of rows where only the relations lead to."""
    parts["xl/shown/sheet4.xml"] = changed_copy(parts, ROWS)
    replaced(LINKS, b"worksheets/sheet4.xml", b"shown/sheet4.xml")(parts)


def second_workbook(parts: Parts) -> None:
    """The package begins with another workbook than at the usual place."""
    parts["xl/other.xml"] = parts[BOOK]
    replaced(PACKAGE, b"xl/workbook.xml", b"xl/other.xml")(parts)


def swapped(parts: Parts) -> None:
    """Two sheets have each other's names."""
    book = parts[BOOK].replace(b'name="Decisions"', b'name="?"')
    book = book.replace(b'name="Findings"', b'name="Decisions"')
    parts[BOOK] = book.replace(b'name="?"', b'name="Findings"')


def utf_16(parts: Parts) -> None:
    """The rows are in an encoding that no program writes."""
    text = changed_copy(parts, ROWS).decode().replace("UTF-8", "UTF-16")
    parts[ROWS] = text.encode("utf-16")


def alternate(parts: Parts) -> None:
    """The rows are in an alternative that only some programs take."""
    start, end = parts[ROWS].index(b"<sheetData>"), parts[ROWS].index(b"</sheetData>") + 12
    mc = b'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    rows = parts[ROWS][start:end]
    parts[ROWS] = (
        parts[ROWS][:start]
        + b'<mc:AlternateContent %s><mc:Choice Requires="x">%s</mc:Choice><mc:Fallback>%s'
        % (mc, changed_copy({"": rows}, ""), rows)
        + b"</mc:Fallback></mc:AlternateContent>"
        + parts[ROWS][end:]
    )


def last_row_first(parts: Parts) -> None:
    """The last row stands before the others."""
    rows = re.findall(rb"<row .*?</row>", parts[ROWS], re.DOTALL)
    parts[ROWS] = parts[ROWS].replace(b"".join(rows), b"".join([rows[-1], *rows[:-1]]))


#: What is forged, how, and what is said of it.
FORGED: dict[str, tuple[Forge, str]] = {
    # the package
    "another workbook": (second_workbook, "refers to a part unknown there"),
    "two workbooks": (
        added(BOOK, b"", PACKAGE, OFFICE + b"officeDocument"),
        "referenced more than once",
    ),
    "a sheet elsewhere": (elsewhere, "refers to a part unknown there"),
    "a sheet by two relations": (
        added(ROWS, b"", LINKS, OFFICE + b"worksheet"),
        "referenced more than once",
    ),
    "a part without a reference": (
        added("xl/worksheets/sheet99.xml", b"<x/>"),
        "no part refers to",
    ),
    "a part of another case": (
        lambda p: p.update({ROWS.replace("sheet4", "Sheet4"): changed_copy(p, ROWS)}),
        "packed",
    ),
    "a part by a backslash": (
        lambda p: p.update({ROWS.replace("/", "\\"): changed_copy(p, ROWS)}),
        "no part refers to",
    ),
    "a missing part": (lambda p: p.pop("xl/worksheets/sheet7.xml"), "missing"),
    "a sheet of another file": (
        added("evil/sheet.xml", b"", LINKS, OFFICE + b"worksheet", b' TargetMode="External"'),
        "link to elsewhere",
    ),
    "an image on the network": (
        added(
            "x.png",
            b"",
            "xl/drawings/_rels/drawing1.xml.rels",
            OFFICE + b"image",
            b' TargetMode="External"',
        ),
        "link to elsewhere",
    ),
    "another workbook's values": (
        added("xl/externalLinks/externalLink1.xml", b"<x/>", LINKS, OFFICE + b"externalLink"),
        "externalLink",
    ),
    "a picture": (
        added(
            "xl/media/image1.png", b"x", "xl/drawings/_rels/drawing1.xml.rels", OFFICE + b"image"
        ),
        "image",
    ),
    "notes over cells": (
        added(
            "xl/comments1.xml", b"<x/>", "xl/worksheets/_rels/sheet1.xml.rels", OFFICE + b"comments"
        ),
        "comments",
    ),
    "a macro": (
        added(
            "xl/vbaProject.bin",
            b"x",
            LINKS,
            b"http://schemas.microsoft.com/office/2006/relationships/vbaProject",
        ),
        "vbaProject",
    ),
    "a pivot table": (
        added(
            "xl/pivotTables/pivotTable1.xml",
            b"<x/>",
            "xl/worksheets/_rels/sheet1.xml.rels",
            OFFICE + b"pivotTable",
        ),
        "pivotTable",
    ),
    "texts drawn on a chart": (
        lambda p: p.update(
            {
                "xl/charts/_rels/chart1.xml.rels": p[PACKAGE].split(b"<Relationship ")[0]
                + b'<Relationship Id="a" Type="%schartUserShapes" ' % OFFICE
                + b'Target="../drawings/drawing2.xml"/></Relationships>',
                "xl/drawings/drawing2.xml": b"<x/>",
            }
        ),
        "chartUserShapes",
    ),
    "a sheet said to be another kind": (
        replaced(TYPES, SHEETS + b"worksheet+xml", SHEETS + b"dialogsheet+xml"),
        "is said to be",
    ),
    "a type told twice": (
        replaced(
            TYPES, b"</Types>", b'<Override PartName="/xl/Styles.xml" ContentType="x"/></Types>'
        ),
        "twice",
    ),
    # the workbook
    "two lists of sheets": (
        replaced(
            BOOK,
            b"<sheets>",
            b'<sheets><sheet name="Rows" sheetId="9" r:id="rId5"/></sheets><sheets>',
        ),
        "list of sheets",
    ),
    "a sheet under two names": (
        replaced(BOOK, b"</sheets>", b'<sheet name="More" sheetId="9" r:id="rId4"/></sheets>'),
        "list of sheets",
    ),
    "sheets with each other's names": (swapped, "Decisions!"),
    "a sheet that is gone": (
        replaced(BOOK, b'<sheet name="Chunks" sheetId="7" r:id="rId7"/>', b""),
        "list of sheets",
    ),
    "a hidden sheet": (
        replaced(BOOK, b'name="Findings"', b'name="Findings" state="hidden"'),
        "the sheet is hidden",
    ),
    "a very hidden sheet": (
        replaced(BOOK, b'name="Findings"', b'name="Findings" state="veryHidden"'),
        "the sheet is hidden",
    ),
    "a defined name": (
        replaced(
            BOOK,
            b"</definedNames>",
            b'<definedName name="total">Rows!$A$1</definedName></definedNames>',
        ),
        "defines the name “total”",
    ),
    "a hidden name with a formula": (
        replaced(
            BOOK,
            b"</definedNames>",
            b'<definedName name="_xlnm.Auto_Open" hidden="1">1+1</definedName></definedNames>',
        ),
        "_xlnm.Auto_Open",
    ),
    "tabs that are hidden": (
        replaced(BOOK, b"<workbookView ", b'<workbookView showSheetTabs="0" '),
        "hides the tabs",
    ),
    # the table of rows
    "two tables of rows": (
        replaced(
            ROWS,
            b"</sheetData>",
            b'</sheetData><sheetData><row r="2"><c r="A2"><v>1</v></c></row></sheetData>',
        ),
        "twice",
    ),
    "an empty second table": (replaced(ROWS, b"<sheetData>", b"<sheetData/><sheetData>"), "twice"),
    "rows of an alternative": (alternate, "AlternateContent"),
    "a row twice": (
        replaced(
            ROWS,
            b"</sheetData>",
            b'<row r="2"><c r="H2" t="str"><v>failed</v></c></row></sheetData>',
        ),
        "row “2” is not in its place",
    ),
    "rows in another order": (last_row_first, "says nothing"),
    "a row without a number": (replaced(ROWS, b'<row r="2"', b"<row"), "is not in its place"),
    "a row beside the table": (
        replaced(ROWS, b"</sheetData>", b'</sheetData><row r="99"><c r="A99"><v>1</v></c></row>'),
        "holds row",
    ),
    "a cell twice": (
        cell(
            b'<c r="H2" s="STYLE" t="str"><v>confirmed</v></c><c r="H2" t="str"><v>failed</v></c>'
        ),
        "H2”? is not in its place",
    ),
    "a cell in another row": (cell(b'<c r="H3" t="str"><v>failed</v></c>'), "not in its place"),
    "a cell without an address": (cell(b'<c t="str"><v>failed</v></c>'), "not in its place"),
    "cells of another vocabulary": (
        cell(b'<x:c xmlns:x="urn:x" r="H2" t="str"><x:v>confirmed</x:v></x:c>'),
        "not in its place",
    ),
    # the value of a cell
    "another text": (cell(b'<c r="H2" t="inlineStr"><is><t>failed</t></is></c>'), "says “failed”"),
    "another text in runs": (
        cell(b'<c r="H2" t="inlineStr"><is><r><t>fai</t></r><r><rPr/><t>led</t></r></is></c>'),
        "says “failed”",
    ),
    "a pronunciation in its place": (
        cell(b'<c r="H2" t="inlineStr"><is><t/><rPh sb="0" eb="1"><t>confirmed</t></rPh></is></c>'),
        "a text has markup",
    ),
    "another text of a formula's kind": (
        cell(b'<c r="H2" t="str"><v>failed</v></c>'),
        "says “failed”",
    ),
    "two values": (
        cell(b'<c r="H2" t="str"><v>confirmed</v><v>failed</v></c>'),
        "more than one value",
    ),
    "a text and a value": (
        cell(b'<c r="H2" t="inlineStr"><v>0</v><is><t>confirmed</t></is></c>'),
        "more than one value",
    ),
    "a shared text that is not there": (cell(b'<c r="H2" t="s"><v>0</v></c>'), "none of its kind"),
    "a shared text of another": (
        both(
            cell(b'<c r="H2" t="s"><v>1</v></c>'),
            added(
                "xl/sharedStrings.xml",
                b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>'
                b"confirmed</t></si><si><t>failed</t></si></sst>",
                LINKS,
                OFFICE + b"sharedStrings",
            ),
            replaced(
                TYPES,
                b"</Types>",
                b'<Override PartName="/xl/sharedStrings.xml" ContentType="'
                + SHEETS
                + b'sharedStrings+xml"/></Types>',
            ),
        ),
        "says “failed”",
    ),
    "a formula with a result": (
        cell(b'<c r="H2" t="str"><f>"failed"</f><v>confirmed</v></c>'),
        "holds a formula",
    ),
    "a formula without a result": (
        cell(b'<c r="H2"><f t="array" ref="H2">NOW()</f></c>'),
        "holds a formula",
    ),
    "a truth value": (cell(b'<c r="H2" t="b"><v>1</v></c>'), "says “TRUE”"),
    "an error": (cell(b'<c r="H2" t="e"><v>#N/A</v></c>'), "says “#N/A”"),
    "a number as text": (cell(b'<c r="C2" t="str"><v>NUMBER</v></c>', NUMBER), "as a text"),
    "another number": (cell(b'<c r="C2"><v>2.0000001</v></c>', NUMBER), "says “2.0000001”"),
    "a date in words": (cell(b'<c r="C2" t="d"><v>1900-01-02</v></c>', NUMBER), "none of its kind"),
    "a picture in a cell": (cell(b'<c r="H2" vm="1" t="str"><v>confirmed</v></c>'), "properties"),
    "characters in their codes": (
        cell(b'<c r="H2" t="str"><v>_x0066_ailed</v></c>'),
        "says “failed”",
    ),
    "a comment in a value": (cell(b'<c r="H2" t="str"><v>con<!-- -->firmed</v></c>'), "markup"),
    "a verbatim section in a value": (
        cell(b'<c r="H2" t="str"><v><![CDATA[failed]]></v></c>'),
        "markup",
    ),
    "an instruction in a value": (cell(b'<c r="H2" t="str"><v>con<?x y?>firmed</v></c>'), "markup"),
    "an entity": (
        both(
            replaced(ROWS, b"?>", b'?><!DOCTYPE x [<!ENTITY o "failed">]>'),
            cell(b'<c r="H2" t="str"><v>&o;</v></c>'),
        ),
        "markup",
    ),
    "another encoding": (utf_16, "markup"),
    "another vocabulary": (
        replaced(
            ROWS,
            b"schemas.openxmlformats.org/spreadsheetml/2006/main",
            b"purl.oclc.org/ooxml/spreadsheetml/main",
        ),
        "begins with",
    ),
    # what a program displays of it
    "a format that displays another number": (
        styled(
            xf(164),
            b'<numFmts count="1"><numFmt numFmtId="164" formatCode="&quot;7&quot;"/></numFmts>',
        ),
        "number format",
    ),
    "a usual format that is another": (
        styled(
            xf(1), b'<numFmts count="1"><numFmt numFmtId="1" formatCode="&quot;7&quot;"/></numFmts>'
        ),
        "number format",
    ),
    "a format that is given twice": (
        styled(
            xf(164),
            b'<numFmts count="2"><numFmt numFmtId="164" formatCode="0"/>'
            b'<numFmt numFmtId="164" formatCode=";;;"/></numFmts>',
        ),
        "twice",
    ),
    "a date of a number": (styled(xf(14)), "number format"),
    "a percentage of a number": (styled(xf(9)), "number format"),
    "a number that is repeated": (styled(xf(1, b'<alignment horizontal="fill"/>')), "repeated"),
    "a style that there is not": (
        cell(b'<c r="H2" s="999" t="str"><v>confirmed</v></c>'),
        "a style that there is not",
    ),
    "two lists of styles": (replaced(STYLES, b"<cellXfs", b"<cellXfs/><cellXfs"), "twice"),
    "a hidden row": (replaced(ROWS, b'<row r="2"', b'<row r="2" hidden="1"'), "row 2 is hidden"),
    "a row without height": (
        replaced(ROWS, b'<row r="2"', b'<row r="2" ht="0" customHeight="1"'),
        "row 2 is hidden",
    ),
    "rows without height": (
        replaced(ROWS, b"<sheetFormatPr ", b'<sheetFormatPr zeroHeight="1" '),
        "hidden by default",
    ),
    "rows of a low height": (
        replaced(ROWS, b'defaultRowHeight="15"', b'defaultRowHeight="0.5" customHeight="1"'),
        "hidden by default",
    ),
    "a hidden column": (
        replaced(ROWS, b'<col min="8"', b'<col hidden="true" min="8"'),
        "columns 8 to 8 are hidden",
    ),
    "a column without width": (
        lambda p: p.update(
            {ROWS: re.sub(rb'(<col min="8"[^>]*width=")[\d.]+', rb"\g<1>0.1", p[ROWS])}
        ),
        "columns 8 to 8 are hidden",
    ),
    "columns without width": (
        replaced(ROWS, b"<sheetFormatPr ", b'<sheetFormatPr defaultColWidth="0" '),
        "hidden by default",
    ),
    "cells under a merge": (
        replaced(
            ROWS, b"</sheetData>", b'</sheetData><mergeCells><mergeCell ref="G2:H9"/></mergeCells>'
        ),
        "merges G2:H9",
    ),
    "a filter": (
        replaced(
            ROWS,
            b'<autoFilter ref="A1:',
            b'<autoFilter><filterColumn colId="1"/></autoFilter><x ref="A1:',
        ),
        "filtered",
    ),
    "rows above a frozen pane": (
        replaced(ROWS, b"<sheetView ", b'<sheetView topLeftCell="A9" '),
        "out of reach",
    ),
    "zeros that are not shown": (
        replaced(SUMMARY, b"<sheetView ", b'<sheetView showZeros="0" '),
        "zeros",
    ),
    "a condition": (
        replaced(ROWS, b"</sheetData>", b'</sheetData><conditionalFormatting sqref="H2"/>'),
        "conditional format",
    ),
    "a condition among extensions": (
        replaced(ROWS, b"</worksheet>", b"<extLst><ext/></extLst></worksheet>"),
        "holds extLst",
    ),
    "another view": (
        replaced(ROWS, b"</sheetData>", b"</sheetData><customSheetViews/>"),
        "customSheetViews",
    ),
    "a table over cells": (
        replaced(ROWS, b"</worksheet>", b"<tableParts/></worksheet>"),
        "tableParts",
    ),
    "a shape over cells": (
        replaced("xl/drawings/drawing1.xml", b"<xdr:graphicFrame", b"<xdr:sp/><xdr:graphicFrame"),
        "shape or picture",
    ),
    "a style of a style": (
        lambda p: p.update(
            {
                STYLES: re.sub(
                    rb"(<cellStyleXfs[^>]*>.*?)(</cellStyleXfs>.*?<cellXfs[^>]*>.*?</cellXfs>)",
                    lambda m: m[1] + xf(2) + m[2].replace(b' xfId="0"', b' xfId="1"'),
                    p[STYLES],
                    count=1,
                    flags=re.DOTALL,
                )
            }
        ),
        "number format 'General, 0.00'",
    ),
    "a number of Excel's own for a usual format": (
        styled(xf(9), b'<numFmts count="1"><numFmt numFmtId="9" formatCode="0"/></numFmts>'),
        "number format '0% or 0'",
    ),
    "the title of a chart": (
        replaced("xl/charts/chart1.xml", b"<a:t>", b"<a:t>failed "),
        "a chart: says “failed ",
    ),
    "a text on printed pages": (
        replaced(ROWS, b"<oddFooter>", b"<oddHeader>failed</oddHeader><oddFooter>"),
        "prints “failed”",
    ),
    "a name with a formula": (
        lambda p: p.update(
            {BOOK: re.sub(rb'(Print_Area"[^>]*>)[^<]*', rb'\g<1>IF(1,"x")', p[BOOK], count=1)}
        ),
        "Print_Area",
    ),
    "another range of a filter": (
        lambda p: p.update(
            {BOOK: re.sub(rb"(_FilterDatabase[^>]*>[^<]*\$)\d+<", rb"\g<1>9<", p[BOOK], count=1)}
        ),
        "_FilterDatabase",
    ),
    "rows that are frozen": (replaced(ROWS, b'ySplit="1"', b'ySplit="13"'), "a pane of 13 rows"),
    "columns that are frozen": (
        replaced(ROWS, b'ySplit="1"', b'xSplit="30" ySplit="1"'),
        "a pane of 1 rows and 30 columns",
    ),
}

#: Places where markup may hide something: the part, a text there, and the text with ``ATTRIBUTE``.
PLACES = {
    "row": (ROWS, b'<row r="2"', b'<row ATTRIBUTE r="2"'),
    "col": (ROWS, b'<col min="8"', b'<col ATTRIBUTE min="8"'),
    "sheetFormatPr": (ROWS, b"<sheetFormatPr ", b"<sheetFormatPr ATTRIBUTE "),
    "sheetView": (ROWS, b"<sheetView ", b"<sheetView ATTRIBUTE "),
    "worksheet": (ROWS, b"<worksheet ", b"<worksheet ATTRIBUTE "),
    "autoFilter": (ROWS, b"<autoFilter ", b"<autoFilter ATTRIBUTE "),
    "hyperlink": (SUMMARY, b"<hyperlink ", b"<hyperlink ATTRIBUTE "),
    "t": (ROWS, b"<is><t>confirmed", b"<is><t ATTRIBUTE>confirmed"),
    "sheet": (BOOK, b"<sheet ", b"<sheet ATTRIBUTE "),
    "workbookPr": (BOOK, b"<workbookPr ", b"<workbookPr ATTRIBUTE "),
    "workbookView": (BOOK, b"<workbookView ", b"<workbookView ATTRIBUTE "),
    "xf": (STYLES, b"<xf ", b"<xf ATTRIBUTE "),
    "alignment": (STYLES, b"<alignment ", b"<alignment ATTRIBUTE "),
    "cell": (ROWS, b'<c r="H2"', b'<c ATTRIBUTE r="H2"'),
}
#: Values that some program may take for true, though none writes them.
TRUTHS = ("1", "true", "2", "01", " 1 ", "t", "True", "yes", "on", "-1", "1.0", "")
HIDING = {
    "row": "hidden",
    "col": "hidden",
    "sheetFormatPr": "zeroHeight",
}
#: What shows something otherwise, or is none of what programs write.
ATTRIBUTES = [
    *((place, f'{name}="{value}"') for place, name in HIDING.items() for value in TRUTHS),
    *(("sheetView", f'showZeros="{value}"') for value in ("0", "f", "00", "no", "false")),
    *(("row", f'ht="{value}"') for value in ("2", "6", "0,0", "nan", "0pt", "-1", "1e-9", "")),
    *(("sheetFormatPr", f'defaultColWidth="{value}"') for value in ("2", "3", "nan", "1e-9")),
    *(("row", one) for one in ('outlineLevel="1"', 'collapsed="1"', 'ph="1"', 'x="1"')),
    *(("col", one) for one in ('outlineLevel="1"', 'collapsed="1"', 'phonetic="1"')),
    *(("sheetView", f'{one}="1"') for one in ("showFormulas", "rightToLeft", "workbookViewId2")),
    ("sheetView", 'zoomScale="10"'),
    ("sheetView", 'showRowColHeaders="0"'),
    ("sheetFormatPr", 'baseColWidth="1"'),
    ("sheetFormatPr", 'outlineLevelRow="1"'),
    ("worksheet", 'xmlns:q="urn:q" q:x="1"'),
    ("autoFilter", 'blank="1"'),
    ("hyperlink", 'tooltip="failed"'),
    ("t", 'x="1"'),
    ("cell", 'ph="1"'),
    *(
        ("sheet", f'xmlns:q="{space}" q:id="rId6"')
        for space in ("http://purl.oclc.org/ooxml/officeDocument/relationships", "urn:q")
    ),
    ("sheet", 'id="rId6"'),
    ("workbookPr", 'date1904="1"'),
    *(("workbookView", f'visibility="{value}"') for value in ("hidden", "veryHidden", "x")),
    *(("workbookView", f'tabRatio="{value}"') for value in ("0", "1", "00600")),
    ("workbookView", 'minimized="1"'),
    ("xf", 'x="1"'),
    ("alignment", 'textRotation="90"'),
    ("alignment", 'shrinkToFit="1"'),
    ("alignment", 'readingOrder="2"'),
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that nobody has touched."""
    (path,) = write(record(12), tmp_path_factory.mktemp("fresh") / "audit.xlsx")
    return path


def parts_of(path: Path) -> Parts:
    """Unpack a workbook."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(parts: Parts, path: Path) -> Path:
    """Pack a workbook."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def said(path: Path, fresh: Path) -> str:
    """What is said of a workbook; nothing if it is intact."""
    try:
        return "\n".join(": ".join(pair) for pair in compare_files(path, fresh))
    except NotComparableError as error:
        return f"audit.xlsx {error}"


@pytest.mark.parametrize("what", FORGED)
def test_every_forged_workbook_is_found_or_not_comparable(
    fresh: Path, tmp_path: Path, what: str
) -> None:
    """What a program might show otherwise than the ledger says never passes for intact."""
    forge, told = FORGED[what]
    parts = parts_of(fresh)
    forge(parts)
    assert re.search(told, said(pack(parts, tmp_path / fresh.name), fresh)), said(
        tmp_path / fresh.name, fresh
    )


@pytest.mark.parametrize(("place", "attribute"), ATTRIBUTES)
def test_an_attribute_that_hides_or_that_nobody_writes_is_found(
    fresh: Path, tmp_path: Path, place: str, attribute: str
) -> None:
    """What a program may take for "hidden" or "too small", or what none writes, is not intact."""
    part, old, new = PLACES[place]
    parts = parts_of(fresh)
    replaced(part, old, new.replace(b"ATTRIBUTE", attribute.encode()))(parts)
    assert said(pack(parts, tmp_path / fresh.name), fresh)


@pytest.mark.parametrize(
    ("place", "attribute"),
    [
        *((place, f'{name}="{no}"') for place, name in HIDING.items() for no in ("0", "false")),
        ("row", 'ht="15.75" spans="1:21" thickBot="1"'),
        ("row", 'xmlns:x="http://schemas.microsoft.com/office/spreadsheetml/2009/9/ac" '
         'x:dyDescent="0.25"'),
        ("sheetView", 'zoomScale="85" zoomScaleNormal="85" showZeros="1"'),
        ("workbookView", 'tabRatio="600" firstSheet="0" activeTab="3"'),
        ("alignment", 'textRotation="0" shrinkToFit="false"'),
        ("t", 'xml:space="preserve"'),
    ],
)  # fmt: skip
def test_an_attribute_that_programs_write_is_intact(
    fresh: Path, tmp_path: Path, place: str, attribute: str
) -> None:
    """What Excel, LibreOffice and openpyxl write without hiding anything is no difference."""
    part, old, new = PLACES[place]
    parts = parts_of(fresh)
    replaced(part, old, new.replace(b"ATTRIBUTE", attribute.encode()))(parts)
    assert said(pack(parts, tmp_path / fresh.name), fresh) == ""


def test_a_text_too_small_to_be_read_is_not_comparable(fresh: Path, tmp_path: Path) -> None:
    """A font of one point hides a text, in a style as in a run of the text."""
    parts = parts_of(fresh)
    replaced(STYLES, b'<sz val="11"/>', b'<sz val="1"/>')(parts)
    assert "“sz”" in said(pack(parts, tmp_path / fresh.name), fresh)
    parts = parts_of(fresh)
    cell(
        b'<c r="H2" s="STYLE" t="inlineStr"><is><r><rPr><sz val="1"/></rPr>'
        b"<t>NUMBER</t></r></is></c>"
    )(parts)
    assert "“sz”" in said(pack(parts, tmp_path / fresh.name), fresh)


def test_bytes_around_the_parts(fresh: Path, tmp_path: Path) -> None:
    """Two workbooks in one file, a part twice and a note behind the parts are not comparable."""
    parts, path = parts_of(fresh), tmp_path / fresh.name
    path.write_bytes(fresh.read_bytes() * 2)
    assert "packed" in said(path, fresh)
    with zipfile.ZipFile(pack(parts, path), "a") as archive:
        archive.comment = b"a note"
    assert "packed" in said(path, fresh)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b""
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(ROWS, changed_copy(parts, ROWS))
    assert "packed" in said(path, fresh)


def libreoffice(path: Path, folder: Path) -> Path:
    """Open a workbook in LibreOffice and save it."""
    home = f"-env:UserInstallation={(folder / 'home').as_uri()}"
    command = ["soffice", home, "--headless", "--convert-to", "xlsx", "--outdir", str(folder)]
    subprocess.run([*command, str(path)], check=True, capture_output=True, timeout=120)
    return folder / path.name


def by_openpyxl(path: Path, folder: Path) -> Path:
    """Open a workbook in openpyxl and save it."""
    openpyxl.load_workbook(path).save(folder / path.name)
    return folder / path.name


@pytest.mark.parametrize(
    "save", [by_openpyxl, pytest.param(libreoffice, marks=pytest.mark.needs("soffice"))]
)
def test_what_a_program_saved_is_intact(tmp_path: Path, save: Callable[[Path, Path], Path]) -> None:
    """Texts that look like formulas or markup, line ends and odd characters survive a program."""
    it = poisoned(FORMULAS + MARKUP + ("a_x0041_b", " outer blanks ", "\r\n", "é\N{GRINNING FACE}"))
    (path,) = write(it, tmp_path / "audit.xlsx")
    (tmp_path / "saved").mkdir()
    saved = save(path, tmp_path / "saved")
    assert saved.read_bytes() != path.read_bytes()
    assert said(saved, path) == ""


def test_parts_in_another_order_and_packing(fresh: Path, tmp_path: Path) -> None:
    """How the parts are ordered and packed says nothing."""
    parts = dict(reversed(parts_of(fresh).items()))
    assert said(pack(parts, tmp_path / fresh.name), fresh) == ""


def test_a_white_font_is_not_found(fresh: Path, tmp_path: Path) -> None:
    """The documentation says so: a workbook that passes may have another appearance."""
    book = openpyxl.load_workbook(fresh)
    book["Rows"]["H2"].font = Font(color="FFFFFFFF")
    book.save(tmp_path / fresh.name)
    assert said(tmp_path / fresh.name, fresh) == ""


def test_not_comparable_is_not_intact(finished_run: Path, tmp_path: Path) -> None:
    """A workbook that cannot be compared proves nothing; `verify` says so and what to do."""
    path = tmp_path / "audit.xlsx"
    pack(parts_of(finished_run / "audit.xlsx") | {"xl/more.xml": b"<x/>"}, path)
    verdict = sharekit.verify(finished_run / "run.ledger", path)
    [(where, what)] = verdict.problems
    assert (verdict.intact, verdict.label, where) == (False, "UNPROVEN", "audit.xlsx")
    assert what == (
        "cannot be compared: no part refers to “xl/more.xml”. Make the report again from the "
        "ledger, and look at that one"
    )
