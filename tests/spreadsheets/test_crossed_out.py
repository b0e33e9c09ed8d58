"""Crossed-out cells: an error with its address, in whichever way a format says that they are."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from odf import style, table, teletype, text
from odf.opendocument import OpenDocumentSpreadsheet
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Font, NamedStyle
from openpyxl.styles.differential import DifferentialStyle

from sharekit.checks.check import check
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.corpus.make import HEADER, data, row, xlsx
from tests.spreadsheets.workbooks import IMAGE, OTHER, PROJECT, convert

STRIKE = Font(strike=True)
ROWS = [(IMAGE, PROJECT, "accepted"), (OTHER, PROJECT, "rejected"), (IMAGE, PROJECT, "accepted")]


def struck(path: Path) -> list[str]:
    """The cells of a file that are errors because they are crossed out, and nothing else is."""
    frame = check(read_inventory(path)).frame
    assert set(frame["rule"]) <= {"crossed-out", "crossed-out-by-condition", "duplicate"}
    return frame.loc[frame["rule"] == "crossed-out", "cell"].tolist()


def ranges(path: Path) -> list[str]:
    """The ranges that the one warning about conditions names."""
    frame = check(read_inventory(path)).frame.query("rule == 'crossed-out-by-condition'")
    assert set(frame["severity"]) <= {"warning"}
    return [part for value in frame["value"] for part in value.split(", ")]


def workbook(path: Path, change: Callable[[openpyxl.Workbook], object]) -> Path:
    """Three shares, in a workbook that was changed by openpyxl."""
    book = openpyxl.Workbook()
    for line in (HEADER, *ROWS):
        book.active.append(line)
    change(book)
    book.save(path)
    return path


def cells(*addresses: str, font: Font = STRIKE) -> Callable[[openpyxl.Workbook], None]:
    """A change that gives cells a font."""

    def change(book: openpyxl.Workbook) -> None:
        for address in addresses:
            book.active[address].font = font

    return change


def named(book: openpyxl.Workbook) -> None:
    """Give a cell a named style that strikes."""
    book.active["C3"].style = NamedStyle("Dropped", font=STRIKE)


def test_a_style_that_strikes_is_an_error(tmp_path: Path) -> None:
    """A struck cell of a field is named, by its own style or a named one; other cells are not."""
    path = tmp_path / "a.xlsx"
    assert struck(workbook(path, cells("A3", "B3", "C3", "A4", "C2"))) == [
        "C2", "A3", "B3", "C3", "A4"]  # fmt: skip
    assert struck(workbook(path, named)) == ["C3"]
    assert struck(workbook(path, cells("D1", "D2", "A9"))) == []
    assert struck(workbook(path, cells("A2", font=Font(strike=False, bold=True)))) == []
    findings = check(read_inventory(workbook(path, cells("C2", "A4"))))
    assert findings.rows["disposition"].tolist() == ["blocked", "planned", "blocked"]


def test_a_header_that_is_crossed_out_blocks_its_sheet(tmp_path: Path) -> None:
    """A column that somebody crossed out at its head holds no longer; nothing of it is sent."""
    findings = check(read_inventory(workbook(tmp_path / "a.xlsx", cells("C1"))))
    assert findings.frame[["rule", "field", "value"]].to_numpy().tolist()[0] == [
        "crossed-out", "status", "Status"]  # fmt: skip
    assert set(findings.rows["disposition"]) == {"blocked"}


def test_struck_cells_of_any_dialect_are_found(tmp_path: Path) -> None:
    """The parser finds the same cells as the scan of plain XML: by style, row, column or prefix."""
    styles = (
        '<fonts><font/><font><b/><strike/></font></fonts><cellStyleXfs><xf fontId="0"/><xf '
        'fontId="1"/></cellStyleXfs><cellXfs><xf fontId="0"/><xf fontId="1"/><xf fontId="0" '
        'xfId="1" applyFont="0"/></cellXfs>'
    )
    inline = '<c r="{}"{} t="inlineStr"><is><t>{}</t></is></c>'

    def line(number: int, attributes: str = "", of_cell: str = "") -> str:
        values = zip("ABC", ROWS[0], strict=True)
        filled = (inline.format(f"{c}{number}", of_cell, value) for c, value in values)
        return f'<row r="{number}"{attributes}>{"".join(filled)}</row>'

    lines = [
        row(1, *HEADER),
        line(2),
        line(3, of_cell=' s="1"'),
        line(4, of_cell=" s='2'"),
        line(5, ' s="1" customFormat="1"'),
        line(6, ' s="1" customFormat="1"', ' s="0"'),
        line(7, ' s="1"'),
    ]
    column = '<cols><col min="3" max="3" width="9" style="1"/></cols>'
    expected = ["A3", "B3", "C3", "A4", "B4", "C4", "A5", "B5", "C5"]
    for comment in ("", "<!-- not plain -->"):
        path = xlsx(tmp_path / "a.xlsx", data(comment, *lines), styles=styles)
        assert struck(path) == expected
        path = xlsx(tmp_path / "a.xlsx", data(comment, *lines, before=column), styles=styles)
        assert struck(path) == ["C2", *expected, "C7"]


def test_rich_text_that_is_struck_is_an_error(tmp_path: Path) -> None:
    """Struck letters count, all of them or a part; blanks do not, nor another cell's equal text."""
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet, strike, bold = book.add_worksheet(), *map(book.add_format, (
            {"font_strikeout": True}, {"bold": True}))  # fmt: skip
        for number, line in enumerate([HEADER, *ROWS, *ROWS]):
            sheet.write_row(number, 0, line)
        sheet.write_rich_string("A2", strike, IMAGE[:5], strike, IMAGE[5:])
        sheet.write_rich_string("C3", strike, "un", bold, "share")
        sheet.write_rich_string("C4", bold, "accepted", strike, "  ")
        sheet.write_rich_string("C5", bold, "accep", "ted")
    frame = check(read_inventory(tmp_path / "a.xlsx")).frame.query("rule == 'crossed-out'")
    assert frame["cell"].tolist() == ["A2", "C3"]
    assert frame["message"].str.contains("a part of its text").tolist() == [False, True]

    def rich(book: openpyxl.Workbook) -> None:
        part = TextBlock(InlineFont(strike=True), "accept")
        book.active["C2"] = CellRichText(part, TextBlock(InlineFont(b=True), "ed"))

    assert struck(workbook(tmp_path / "b.xlsx", rich)) == ["C2"]


def test_a_condition_that_may_strike_is_a_warning(tmp_path: Path) -> None:
    """The range is named where it meets a field's rows; a condition that only colours is not."""

    def conditions(book: openpyxl.Workbook) -> None:
        for where, font in {"A3:B9": STRIKE, "D2:D9": STRIKE, "C2:C4": Font(color="FF0000"),
                            "C1 A1": STRIKE}.items():  # fmt: skip
            rule = Rule(type="expression", formula=["TRUE"], dxf=DifferentialStyle(font=font))
            book.active.conditional_formatting.add(where, rule)

    path = workbook(tmp_path / "a.xlsx", conditions)
    assert ranges(path) == ["A3:B9"]
    assert struck(path) == []
    other = (
        '<extLst><ext xmlns:x14="x14"><x14:conditionalFormattings><x14:conditionalFormatting '
        'xmlns:xm="xm"><x14:cfRule type="expression"><xm:f>TRUE</xm:f><x14:dxf><font><strike/>'
        "</font></x14:dxf></x14:cfRule><xm:sqref>C2:C3</xm:sqref></x14:conditionalFormatting>"
        "</x14:conditionalFormattings></ext></extLst>"
    )
    for comment in ("", "<!-- not plain -->"):
        sheet = data(row(1, *HEADER), row(2, *ROWS[0]), after=comment + other)
        assert ranges(xlsx(tmp_path / "b.xlsx", sheet)) == ["C2:C3"]


@pytest.mark.parametrize(
    ("element", "shown", "expected", "warned"),
    [
        ("wholeTable", "", ["A2", "B2", "C2", "A3", "B3", "C3"], 0),
        ("lastColumn", 'showLastColumn="1"', ["C2", "C3"], 0),
        ("lastColumn", 'showLastColumn="0"', [], 0),
        ("secondRowStripe", 'showRowStripes="1"', [], 1),
        ("headerRow", "", [], 0),
    ],
)
def test_the_style_of_a_table_may_strike(
    tmp_path: Path, element: str, shown: str, expected: list[str], warned: int
) -> None:
    """What a table's style strikes for certain is an error; stripes are a warning."""
    styles = (
        "<fonts><font/></fonts><cellXfs><xf/></cellXfs><dxfs><dxf><font><strike/></font></dxf>"
        f'</dxfs><tableStyles><tableStyle name="Ours"><tableStyleElement type="{element}" '
        'dxfId="0"/></tableStyle></tableStyles>'
    )
    sheet = data(*(row(number, *line) for number, line in enumerate([HEADER, *ROWS], 1)))
    path = xlsx(tmp_path / "a.xlsx", sheet, styles=styles)
    with zipfile.ZipFile(path, "a") as archive:
        sheet_name = next(n for n in archive.namelist() if "worksheets/" in n)
        folder, name = sheet_name.rsplit("/", 1)
        archive.writestr(
            f"{folder}/_rels/{name}.rels",
            '<Relationships><Relationship Id="r" Type="http://x/table" Target="../table1.xml"/>'
            "</Relationships>",
        )
        archive.writestr(
            f"{folder.rsplit('/', 1)[0]}/table1.xml",
            f'<table ref="A1:C3"><tableStyleInfo name="Ours" {shown}/></table>',
        )
    assert struck(path) == expected
    assert len(ranges(path)) == warned


def document(path: Path) -> Path:
    """An OpenDocument by odfpy with struck cells of each kind."""
    document = OpenDocumentSpreadsheet()
    line = {"textlinethroughstyle": "solid", "textlinethroughtype": "single"}
    base = style.Style(name="Dropped", family="table-cell")
    base.addElement(style.TextProperties(attributes=line))
    document.styles.addElement(base)
    unstruck = {"textlinethroughstyle": "none"}
    kinds_of = [("child", "Dropped", {}), ("own", "Default", line), ("off", "Dropped", unstruck)]
    for name, parent, properties in kinds_of:
        made = style.Style(name=name, family="table-cell", parentstylename=parent)
        made.addElement(style.TextProperties(attributes=properties))
        document.automaticstyles.addElement(made)
    run = style.Style(name="T1", family="text")
    run.addElement(style.TextProperties(attributes=line))
    document.automaticstyles.addElement(run)
    mapped = style.Style(name="mapped", family="table-cell")
    mapped.addElement(style.Map(condition="cell-content()=1", applystylename="Dropped"))
    document.automaticstyles.addElement(mapped)
    sheet = table.Table(name="Sheet")
    sheet.addElement(table.TableColumn(numbercolumnsrepeated=2))
    sheet.addElement(table.TableColumn(defaultcellstylename="own"))
    of_rows = [HEADER[:3], ROWS[0], ROWS[0], ROWS[0], ROWS[0]]
    kinds = [("off",) * 3, ("off", "child", ""), ("own", "off", "off"), ("", "", "off"),
             ("mapped", "T1", "off")]  # fmt: skip
    for number, (values, names) in enumerate(zip(of_rows, kinds, strict=True)):
        row_style = {"defaultcellstylename": "own"} if number == 3 else {}
        line_of = table.TableRow(**row_style)
        for value, name in zip(values, names, strict=True):
            more = {"stylename": name} if name and name != "T1" else {}
            cell = table.TableCell(valuetype="string", **more)
            paragraph = text.P()
            if name == "T1":
                span = text.Span(stylename="T1")
                teletype.addTextToElement(span, value[:4])
                paragraph.addElement(span)
                paragraph.addText(value[4:])
            else:
                teletype.addTextToElement(paragraph, value)
            cell.addElement(paragraph)
            line_of.addElement(cell)
        sheet.addElement(line_of)
    document.spreadsheet.addElement(sheet)
    document.save(str(path))
    return path


def test_opendocument_says_it_in_styles_too(tmp_path: Path) -> None:
    """Own and inherited styles, those of rows and columns, spans of text, and conditions."""
    path = document(tmp_path / "a.ods")
    assert struck(path) == ["B2", "C2", "A3", "A4", "B4", "B5"]
    assert ranges(path) == ["A5"]


@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_libreoffice_means_the_same(tmp_path: Path) -> None:
    """What LibreOffice saves anew as an OpenDocument has the same struck cells and ranges."""

    def change(book: openpyxl.Workbook) -> None:
        cells("A3", "C2")(book)
        rule = Rule(type="expression", formula=["FALSE"], dxf=DifferentialStyle(font=STRIKE))
        book.active.conditional_formatting.add("B2:B4", rule)

    path = workbook(tmp_path / "a.xlsx", change)
    for saved in (path, convert(path, tmp_path / "b.ods")):
        assert struck(saved) == ["C2", "A3"]
        assert ranges(saved) == ["B2:B4"]


def test_a_struck_header_blocks_every_row_beside_a_struck_cell(tmp_path: Path) -> None:
    """A rule that concerns a sheet and one of its cells blocks all rows of the sheet."""
    path = workbook(tmp_path / "a.xlsx", cells("B1", "B3"))
    findings = check(read_inventory(path))
    assert set(findings.rows["disposition"]) == {"blocked"}
    struck_rows = findings.frame.query("rule == 'crossed-out'").set_index("row_key")
    assert struck_rows["value"].to_dict() == {-1: HEADER[1], 1: PROJECT}
