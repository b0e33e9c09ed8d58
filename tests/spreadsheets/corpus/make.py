# ruff: noqa: E501
"""Write the corpus of odd workbooks: ``python -m tests.spreadsheets.corpus.make`` (the files are committed).

Each is legal, or at least opens in a spreadsheet program, and does something that programs seldom
do. They are cut by hand where no library writes the oddity, so that nothing in them is by accident.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import xlwt

from tests.spreadsheets.workbooks import DIGITS, IMAGE, OTHER, PROJECT, by_hand_xlsb

HERE = Path(__file__).parent
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
START = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
HEADER = ["Image ID", "Project ID", "Status", "Remark"]
#: Styles by number: general, date, percentage, text, leading zeros, a date of one's own, elapsed.
STYLES = f"""{START}<styleSheet xmlns="{MAIN}"><numFmts count="3">
<numFmt numFmtId="164" formatCode="00000000000000000000000000000000"/>
<numFmt numFmtId="165" formatCode="[$-407]d/\\ mmm\\ yy;@"/><numFmt numFmtId="166" formatCode="[h]:mm"/>
</numFmts><fonts count="1"><font/></fonts><fills count="1"><fill><patternFill patternType="none"/></fill></fills><borders count="1"><border/>
</borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="7"><xf numFmtId="0"/>
<xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="10" applyNumberFormat="1"/>
<xf numFmtId="49" applyNumberFormat="1"/><xf numFmtId="164" applyNumberFormat="1"/>
<xf numFmtId="165" applyNumberFormat="1"/><xf numFmtId="166" applyNumberFormat="1"/></cellXfs>
</styleSheet>"""


def pack(path: Path, members: dict[str, str | bytes], *, plain: tuple[str, ...] = ()) -> Path:
    """Write a zip archive whose bytes depend on its members alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2026, 7, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if name in plain else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def relations(**links: tuple[str, str]) -> str:
    """Relations: ID -> (kind, target)."""
    lines = "".join(
        f'<Relationship Id="{key}" Type="{LINKS}/{kind}" Target="{target}"/>'
        for key, (kind, target) in links.items()
    )
    return f'{START}<Relationships xmlns="{PACKAGE}">{lines}</Relationships>'


def xlsx(
    path: Path,
    *sheets: str,
    strings: str = "",
    styles: str = "",
    properties: str = "",
    names: tuple[str, ...] = (),
    states: tuple[str, ...] = (),
    main: str = MAIN,
) -> Path:
    """Write a workbook from what stands inside each ``<worksheet>``."""
    kinds = ["chartsheet" if "<drawing" in sheet else "worksheet" for sheet in sheets]
    tabs = "".join(
        f'<sheet name="{names[i] if names else f"S{i + 1}"}" sheetId="{i + 1}" r:id="rId{i + 1}"'
        f"{states[i] if states else ''}/>"
        for i in range(len(sheets))
    )
    links = {f"rId{i + 1}": (kind, f"{kind}s/sheet{i + 1}.xml") for i, kind in enumerate(kinds)}
    links |= {"styles": ("styles", "styles.xml"), "strings": ("sharedStrings", "sharedStrings.xml")}
    types = "".join(
        f'<Override PartName="/xl/{kind}s/sheet{i + 1}.xml" ContentType="application/vnd.'
        f'openxmlformats-officedocument.spreadsheetml.{kind}+xml"/>'
        for i, kind in enumerate(kinds)
    )
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": f'{START}<Types xmlns="http://schemas.openxmlformats.org/package/'
        '2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        'package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/styles.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>'
        '<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-'
        f'officedocument.spreadsheetml.sharedStrings+xml"/>{types}</Types>',
        "_rels/.rels": relations(rId1=("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'{START}<workbook xmlns="{main}" xmlns:r="{LINKS}">{properties}'
        f"<sheets>{tabs}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(**links),
        "xl/styles.xml": f'{START}<styleSheet xmlns="{main}">{styles}</styleSheet>'
        if styles
        else STYLES.replace(MAIN, main),
        "xl/sharedStrings.xml": f'{START}<sst xmlns="{main}">{strings}</sst>',
    }
    for i, (kind, sheet) in enumerate(zip(kinds, sheets, strict=True)):
        members[f"xl/{kind}s/sheet{i + 1}.xml"] = (
            f'{START}<{kind} xmlns="{main}" xmlns:r="{LINKS}">{sheet}</{kind}>'
        )
        if kind == "chartsheet":
            drawing = relations(rId1=("drawing", "../drawings/drawing1.xml"))
            members[f"xl/chartsheets/_rels/sheet{i + 1}.xml.rels"] = drawing
            members["xl/drawings/drawing1.xml"] = f'{START}<wsDr xmlns="{DRAWING}"/>'
    return pack(path, members)


def text(ref: str, value: str, style: int = 0) -> str:
    """An inline string."""
    return (
        f'<c r="{ref}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t>'
        "</is></c>"
    )


def value(ref: str, number: str, kind: str = "n", style: int = 0, formula: str = "") -> str:
    """A cell with a stored value, and perhaps its formula."""
    told = f"<f>{escape(formula)}</f>" if formula else ""
    return f'<c r="{ref}" s="{style}" t="{kind}">{told}<v>{escape(number)}</v></c>'


def row(number: int, *cells: str, more: str = "") -> str:
    """A row from cells, which are text unless they are XML; placed from column A on."""
    done = "".join(
        cell if cell.startswith("<c ") or not cell else text(f"{'ABCDEFGH'[i]}{number}", cell)
        for i, cell in enumerate(cells)
    )
    return f'<row r="{number}"{more}>{done}</row>'


def data(*rows: str, after: str = "", before: str = "") -> str:
    """What stands in a worksheet around its rows."""
    return f"{before}<sheetData>{''.join(rows)}</sheetData>{after}"


def plain(number: int, image: str = IMAGE, project: str = PROJECT, remark: str = "") -> str:
    """A row with nothing odd about it."""
    return row(number, image, project, "accepted", remark)


def strings_of_all_kinds(folder: Path) -> None:
    """Rich text, phonetic runs, escapes, white space; shared, inline, and as a formula's result."""
    strings = (
        f"<si><r><t>{IMAGE[:9]}</t></r><r><rPr><b/></rPr><t>{IMAGE[9:]}</t></r></si>"
        f'<si><t>{PROJECT}</t><rPh sb="0" eb="1"><t>カナ</t></rPh><phoneticPr fontId="0"/></si>'
        "<si><t>_x0061_ccepted</t></si>"
        "<si><t>_x005F_x0041_ stays</t></si>"
        '<si><t xml:space="preserve">  two\nlines_x000D_\n </t></si>'
        f"<si><r><t>{OTHER[:5]}</t></r><rPh sb='0' eb='1'><t>ふ</t></rPh><r><t>{OTHER[5:]}</t></r></si>"
        "<si/><si><t></t></si><si><t>_x00e9_ _xZZZZ_ _x004_ a_x0042_c</t></si>"
    )
    shared = [value(f"{c}2", str(i), "s") for i, c in enumerate("ABCD")]
    others = [value(f"{c}3", i, "s") for c, i in zip("ABCD", "5126", strict=True)]
    third = [value(f"{c}4", i, "s") for c, i in zip("ABCD", "0124", strict=True)]
    inline = (
        f'<c r="A5" t="inlineStr"><is><r><t>{IMAGE[:3]}</t></r><r><t>{IMAGE[3:]}</t></r></is></c>',
        f'<c r="B5" t="inlineStr"><is><t>{PROJECT}</t><rPh sb="0" eb="1"><t>カ</t></rPh></is></c>',
        text("C5", "_x0061_ccepted"),
        text("D5", "_x005F_x0041_"),
    )
    results = (
        value("A6", IMAGE, "str", formula="A2"),
        value("B6", PROJECT.replace("e", "_x0065_"), "str", formula="B2"),
        value("C6", "accepted", "str", formula='"accepted"'),
        value("D6", "8", "s"),
    )
    body = (row(2, *shared), row(3, *others), row(4, *third), row(5, *inline), row(6, *results))
    xlsx(folder / "strings.xlsx", data(row(1, *HEADER), *body), strings=strings)


def types_of_all_kinds(folder: Path, name: str = "types", properties: str = "") -> None:
    """Numbers, percentages, dates, elapsed times, truth values and errors where text belongs."""
    rows = [
        row(2, IMAGE, value("B2", "1.2345678901234568E+31"), "accepted"),
        row(3, IMAGE, value("B3", "12345678901234567890123456789012", style=3), "accepted"),
        row(4, IMAGE, value("B4", "44200", style=1), value("C4", "1", "b")),
        row(5, IMAGE, value("B5", "0.5", style=2), value("C5", "44200.5", style=5)),
        row(6, IMAGE, value("B6", "7", style=4), value("C6", "0.25", style=6)),
        row(7, value("A7", "#N/A", "e"), value("B7", "#REF!", "e", formula="#REF!"), "accepted"),
        row(8, IMAGE, value("B8", "2026-07-01T09:30:00", "d", style=1), "accepted"),
        row(9, IMAGE, value("B9", "#NUM!", "e"), value("C9", "1E+2")),
        row(10, IMAGE, text("B10", DIGITS, 3), "accepted", value("D10", "44200", style=1)),
        row(11, IMAGE, value("B11", "-0"), value("C11", "1.5E-7")),
        row(12, IMAGE, value("B12", "100000000000000000000000000000"), value("C12", "0", "b")),
    ]
    xlsx(folder / f"{name}.xlsx", data(row(1, *HEADER), *rows), properties=properties)


def formulas(folder: Path) -> None:
    """With and without a saved result, shared, of an array, circular, empty, and an error."""
    rows = [
        row(2, value("A2", IMAGE, "str", formula="Z1"), PROJECT, "accepted"),
        row(3, '<c r="A3"><f>Z1</f></c>', PROJECT, "accepted"),
        row(4, IMAGE, '<c r="B4"><f>B4</f><v></v></c>', '<c r="C4"><f/></c>'),
        row(5, IMAGE, '<c r="B5" t="str"><f>""</f><v></v></c>', "accepted"),
        row(6, IMAGE, '<c r="B6"><f t="shared" ref="B6:B7" si="0">Z1</f><v>0</v></c>', "accepted"),
        row(7, IMAGE, '<c r="B7"><f t="shared" si="0"/><v>0</v></c>', "accepted"),
        row(8, IMAGE, '<c r="B8"><f t="array" ref="B8">Z1</f><v/></c>', "accepted"),
        row(9, IMAGE, '<c r="B9" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "accepted"),
        row(10, IMAGE, PROJECT, '<c r="C10" t="b"><f>TRUE()</f><v>1</v></c>'),
        row(12, "", "", '<c r="C12"><f>Z9</f></c>'),
    ]
    xlsx(folder / "formulas.xlsx", data(row(1, *HEADER), *rows))


def places(folder: Path) -> None:
    """A wrong dimension, panes, filters, merges, hidden rows and columns, a stretched range."""
    before = (
        '<dimension ref="A1:A1"/><sheetViews><sheetView workbookViewId="0"><pane ySplit="4" '
        'topLeftCell="A5" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        '<cols><col min="2" max="2" width="9" hidden="1"/></cols>'
    )
    after = '<autoFilter ref="A4:D9"/><mergeCells count="3"><mergeCell ref="A1:D1"/>'
    after += '<mergeCell ref="B6:B7"/><mergeCell ref="C8:D8"/></mergeCells>'
    rows = [
        row(1, "Shares of July"),
        row(4, *HEADER),
        plain(5),
        row(6, IMAGE, PROJECT, "accepted", more=' hidden="1"'),
        row(7, OTHER, "", "rejected", more=' ht="0" hidden="true" customHeight="1"'),
        row(8, IMAGE, PROJECT, "accepted", "under a merge"),
        row(9, "<c r='A9'/>", more=' hidden="0"'),
        row(20, '<c r="A20" s="3"/>', '<c r="D20" s="3"/>', more=' hidden="1"'),
        row(1048576, '<c r="A1048576" s="3"/>', '<c r="XFD1048576" s="3"/>'),
    ]
    xlsx(folder / "places.xlsx", data(*rows, before=before, after=after))
    bare = (
        "<row><c t='inlineStr'><is><t>{}</t></is></c><c t='inlineStr'><is><t>{}</t></is></c></row>"
    )
    rows = [
        bare.format("Image ID", "Project ID"),
        bare.format(IMAGE, PROJECT),
        f"<row r='5' hidden='1'>{text('A5', OTHER)}<c t='inlineStr'><is><t>{DIGITS}</t></is></c></row>",
        "<row hidden='true'><c r='B6'><v>17</v></c></row>",
    ]
    xlsx(folder / "bare.xlsx", data(*rows))


def tabs(folder: Path) -> None:
    """A chart among the sheets, hidden sheets, names that need escapes, no order of files."""
    one = data(row(1, *HEADER), plain(2))
    two = data(row(1, *HEADER), plain(2, OTHER), row(3, IMAGE, value("B3", "12"), "accepted"))
    hidden = data(row(1, *HEADER), row(2, IMAGE, PROJECT, "rejected", more=' hidden="1"'))
    xlsx(
        folder / "tabs.xlsx", one, '<drawing r:id="rId1"/>', two, hidden,
        names=("A &amp; B", "Chart", "&lt;2&gt;", "Ende"),
        states=("", "", "", ' state="veryHidden"'),
    )  # fmt: skip
    xlsx(folder / "strict.xlsx", data(row(1, *HEADER), plain(2)), main=STRICT)


def letters(folder: Path) -> None:
    """Characters that nobody sees, that turn the line around, and that look like others."""
    tricks = (
        IMAGE.replace("e", "\u0435"),
        IMAGE.replace("a", "\u0430"),
        f"\u202e{IMAGE}",
        f"\u200b{IMAGE}\ufeff",
        f"\u00a0{IMAGE}\n",
        f"{IMAGE[:8]}\u2011{IMAGE[9:]}",
        "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in IMAGE),
        f"{IMAGE}\n{OTHER}",
        f"\u2066{IMAGE}\u2069",
        f"{IMAGE[:10]}\u00ad{IMAGE[10:]}",
        IMAGE.upper(),
        IMAGE.replace("0", "O"),
        IMAGE.replace("1", "l"),
    )
    rows = [row(i, IMAGE, PROJECT, "accepted", trick) for i, trick in enumerate(tricks, start=2)]
    rows += [plain(i, trick) for i, trick in enumerate(tricks, start=20)]
    xlsx(folder / "letters.xlsx", data(row(1, *HEADER), *rows))


def wide(folder: Path) -> None:
    """200 columns, of which four matter, and headers twice."""
    heads = [f"Note {i % 150}" for i in range(200)]
    heads[20], heads[77], heads[121], heads[199] = "Image ID", "Project ID", "Status", "Image ID"
    line = [f"n{i}" for i in range(200)]
    line[20], line[77], line[121], line[199] = IMAGE, PROJECT, "accepted", OTHER
    rows = [
        f'<row r="{n}">'
        + "".join(text(f"{_letters(i)}{n}", c) for i, c in enumerate(cells))
        + "</row>"
        for n, cells in ((3, heads), (4, line))
    ]
    xlsx(folder / "wide.xlsx", data(*rows))


def _letters(index: int) -> str:
    return chr(64 + index // 26) * (index >= 26) + chr(65 + index % 26)


ODS = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:calcext="urn:org:'
    'documentfoundation:names:experimental:calc:xmlns:calcext:1.0" office:version="1.3">'
    '<office:body><office:spreadsheet>{}</office:spreadsheet></office:body>'
    "</office:document-content>"
)  # fmt: skip


def ods(path: Path, *tables: str) -> Path:
    """Write an OpenDocument workbook from what stands in each table."""
    sheets = "".join(
        f'<table:table table:name="T{i}">{t}</table:table>' for i, t in enumerate(tables)
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
        "</manifest:manifest>"
    )
    members = {
        "mimetype": kind,
        "content.xml": ODS.format(sheets),
        "META-INF/manifest.xml": manifest,
    }
    return pack(path, members, plain=("mimetype",))  # type: ignore[arg-type]


def said(text: str, more: str = "") -> str:
    """An OpenDocument cell of text."""
    return f'<table:table-cell office:value-type="string"{more}><text:p>{text}</text:p></table:table-cell>'


def typed(kind: str, stored: str, shown: str) -> str:
    """An OpenDocument cell with a stored value that is shown otherwise."""
    name = {"float": "value", "percentage": "value", "currency": "value"}.get(kind, f"{kind}-value")
    return (
        f'<table:table-cell office:value-type="{kind}" office:{name}="{stored}"><text:p>{shown}'
        "</text:p></table:table-cell>"
    )


def line(*cells: str, more: str = "") -> str:
    """An OpenDocument row; plain text becomes cells."""
    inside = "".join(c if c.startswith("<") else said(c) for c in cells)
    return f"<table:table-row{more}>{inside}</table:table-row>"


def opendocuments(folder: Path) -> None:
    """Types, spans, several paragraphs, spaces as elements, notes, repeats, covered values."""
    rows = [
        line(*HEADER),
        line(IMAGE, typed("float", "1.2345678901234568E+31", "1.23E+31"), "accepted"),
        line(IMAGE, typed("percentage", "0.5", "50%"), typed("boolean", "true", "WAHR")),
        line(IMAGE, typed("date", "2026-07-01", "01.07.26"), typed("time", "PT09H30M00S", "09:30")),
        line(IMAGE, typed("currency", "7", "7 €"), "accepted"),
        line(said(f"{IMAGE[:4]}<text:span>{IMAGE[4:]}</text:span>"), PROJECT, "accepted",
             said("a<text:s text:c='3'/>b<text:tab/>c<text:line-break/>d</text:p><text:p>e")),
        line(said(f"{IMAGE}</text:p><text:p>{OTHER}"), PROJECT, "accepted"),
        line(f'<table:table-cell office:value-type="string" office:string-value="{IMAGE}"/>',
             said(PROJECT, ' table:number-columns-repeated="1"'), "accepted"),
        line('<table:table-cell office:value-type="string"><office:annotation><text:p>a note'
             f"</text:p></office:annotation><text:p>{OTHER}</text:p></table:table-cell>",
             PROJECT, "accepted"),
        line(IMAGE, PROJECT, "accepted", more=' table:number-rows-repeated="3"'),
        line(said(IMAGE, ' table:number-rows-spanned="2"'), PROJECT, "accepted"),
        line(f"<table:covered-table-cell office:value-type='string'><text:p>{OTHER}</text:p>"
             "</table:covered-table-cell>", PROJECT, "accepted"),
        line('<table:table-cell table:number-columns-repeated="16384"/>',
             more=' table:number-rows-repeated="1048560" table:visibility="collapse"'),
    ]  # fmt: skip
    ods(folder / "odd.ods", "".join(rows))
    filtered = ' table:visibility="filter"'
    grouped = (
        f"<table:table-header-rows>{line(*HEADER)}</table:table-header-rows><table:table-row-group>"
        f"{line(IMAGE, PROJECT, 'accepted')}{line(OTHER, PROJECT, 'rejected', more=filtered)}"
        f"</table:table-row-group>{line(IMAGE, DIGITS, 'accepted')}"
    )
    ods(folder / "grouped.ods", line("nothing here"), grouped)


def others(folder: Path) -> None:
    """An xls with 1904 dates, xlsb with errors, csv of several makes, parquet of odd types."""
    book = xlwt.Workbook()
    book.dates_1904 = True
    sheet = book.add_sheet("Old & new")
    date = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    percent = xlwt.easyxf(num_format_str="0.00%")
    for column, head in enumerate(HEADER):
        sheet.write(1, column, head)
    sheet.write(2, 0, IMAGE)
    sheet.write(2, 1, 1.2345678901234568e31)
    sheet.write(2, 2, 44200.5, date)
    sheet.write(3, 0, (IMAGE, xlwt.easyfont("bold on")) and IMAGE)
    sheet.write_rich_text(3, 1, [PROJECT[:5], (PROJECT[5:], xlwt.easyfont("bold on"))])
    sheet.write(3, 2, True)
    sheet.write(4, 1, 0.5, percent)
    sheet.row(4).set_cell_error(0, 0x2A)
    sheet.write_merge(5, 6, 0, 0, OTHER)
    sheet.write(5, 1, PROJECT)
    sheet.write(6, 1, DIGITS)
    sheet.row(6).hidden = True
    book.save(str(folder / "old.xls"))
    by_hand_xlsb(
        folder / "binary.xlsb",
        [["Title"], [], HEADER, [IMAGE, PROJECT, "accepted"], [OTHER, 12.0, True], [None, DIGITS]],
    )
    table = pa.table(
        {
            "Image ID": pa.array([IMAGE, None, OTHER]).dictionary_encode(),
            "Project ID": pa.array([12345678901234567890, 7, None], pa.uint64()),
            "Status": pa.array([True, False, None]),
            "vault_id": pa.array([1.5, None, 1e31]),
            "Remark": pa.array([b"raw", b"\xff", None]),
        }
    )
    pq.write_table(table, folder / "typed.parquet")
    lines = f'sep=;\r\nImage ID;Project ID;Status;Remark\r\n{IMAGE};{PROJECT};accepted;"zwei\nZeilen"\r\n'
    lines += f'\r\n{OTHER};1,23457E+31;WAHR;"ein ""Wort"" für Größe"\r\n'
    (folder / "german.csv").write_bytes(lines.encode("cp1252"))
    (folder / "unicode.txt").write_bytes(
        lines.partition("\n")[2].replace(";", "\t").encode("utf-16")
    )


def make(folder: Path) -> None:
    """Write the whole corpus into a folder."""
    strings_of_all_kinds(folder)
    types_of_all_kinds(folder)
    types_of_all_kinds(folder, "types1904", '<workbookPr date1904="1"/>')
    formulas(folder)
    places(folder)
    tabs(folder)
    letters(folder)
    wide(folder)
    opendocuments(folder)
    others(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
