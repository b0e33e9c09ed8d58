"""Cells that show a person another text than they hold: an error with its address, everywhere."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
import xlwt
from openpyxl.formatting.rule import Rule
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.styles.numbers import NumberFormat

from sharekit.checks.check import check
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.corpus import make
from tests.spreadsheets.corpus.make import HEADER, data, plain, xlsx
from tests.spreadsheets.workbooks import IMAGE, PROJECT, by_hand_xlsb, convert

#: Number format -> what it makes of a text; None: the text itself.
CODES = {
    '@"1"': f"{IMAGE}1",
    '"X"@': f"X{IMAGE}",
    ';;;"text"': "text",
    ";;;": "",
    "@@": IMAGE * 2,
    '[Red]@"f"': f"{IMAGE}f",
    r"0.00;[Blue]@\1": f"{IMAGE}1",
    "0;-0;0;@": None,
    "0.00": None,
    "_-* #,##0_-;_-@_-": None,
    '"a number"0': None,
    "General": None,
}
EXPECTED = {f"A{row}": text for row, text in enumerate(CODES.values(), 2) if text is not None}


def disguised(path: Path) -> dict[str, str]:
    """Cell -> what a person sees in it, as the findings tell; the value is the cell's own."""
    frame = check(read_inventory(path)).frame.query("rule == 'display-differs'")
    assert set(frame["severity"]) <= {"error"}
    assert set(frame["value"]) <= {IMAGE, PROJECT, "accepted"}
    told = frame["message"].str.extract(r'\(shows "(.*)"\)$')[0]
    return dict(zip(frame["cell"], told, strict=True))


def workbook(path: Path) -> Path:
    """One share under each number format."""
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    for row, code in enumerate(CODES, 2):
        book.active.append([IMAGE, PROJECT, "accepted"])
        book.active.cell(row, 1).number_format = code
    book.save(path)
    return path


def test_a_number_format_that_shows_another_text_is_an_error(tmp_path: Path) -> None:
    """Each cell under such a format is named with what it shows; harmless formats are not."""
    path = workbook(tmp_path / "a.xlsx")
    assert disguised(path) == EXPECTED
    findings = check(read_inventory(path))
    blocked = findings.rows["disposition"] == "blocked"
    assert blocked.sum() == len(EXPECTED)


def test_a_condition_may_show_another_text_too(tmp_path: Path) -> None:
    """A format that a condition puts on cells is an error wherever the condition may hold."""
    book = openpyxl.Workbook()
    for line in (HEADER, *[[IMAGE, PROJECT, "accepted"]] * 3):
        book.active.append(line)
    style = DifferentialStyle(numFmt=NumberFormat(numFmtId=200, formatCode=';;;"hidden"'))
    rule = Rule(type="expression", formula=["TRUE"], dxf=style)
    book.active.conditional_formatting.add("B3:B4 D1:D9", rule)
    book.save(tmp_path / "a.xlsx")
    assert disguised(tmp_path / "a.xlsx") == {"B3": "hidden", "B4": "hidden"}


def test_old_and_binary_workbooks_are_a_warning(tmp_path: Path) -> None:
    """What is not read of each sheet of an xls or xlsb is told once, and other formats say none."""
    book = xlwt.Workbook()
    for name in ("One", "Two"):
        sheet = book.add_sheet(name)
        for number, line in enumerate([HEADER, [IMAGE, PROJECT, "accepted"]]):
            for column, cell in enumerate(line):
                sheet.write(number, column, cell, xlwt.easyxf(num_format_str='@"1"'))
    book.save(str(tmp_path / "a.xls"))
    by_hand_xlsb(tmp_path / "a.xlsb", [HEADER, [IMAGE, PROJECT, "accepted"]])
    unread = {
        "a.xls": ["number formats, crossed-out text, links made by formulas"] * 2,
        "a.xlsb": [
            "number formats, hidden rows and columns, merged cells, links, crossed-out text"
        ],
    }
    for name, values in unread.items():
        frame = check(read_inventory(tmp_path / name)).frame
        warnings = frame[frame["rule"] == "appearance-unread"]
        assert warnings["value"].tolist() == values
        assert set(warnings["severity"]) == {"warning"}
    rules = read_inventory(workbook(tmp_path / "a.xlsx")).cell_issues["rule"]
    assert "appearance-unread" not in set(rules)


@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_libreoffice_shows_what_the_findings_say(tmp_path: Path) -> None:
    """An OpenDocument holds what LibreOffice itself showed; so this is what the formats mean."""
    shown = disguised(convert(workbook(tmp_path / "a.xlsx"), tmp_path / "a.ods"))
    assert shown == EXPECTED


def test_what_has_no_height_or_width_is_hidden(tmp_path: Path) -> None:
    """Rows and columns of size 0, and rows of the default height where that hides them."""
    flat, odd = ' ht="0" customHeight="1"', "<!-- odd -->"
    narrow = '<cols><col min="2" max="2" width="0" customWidth="1"/></cols>'
    rows = [make.row(1, *HEADER), make.row(2, IMAGE, PROJECT, "accepted", more=flat), plain(3)]
    for comment in ("", odd):
        path = xlsx(tmp_path / "a.xlsx", data(comment, *rows, before=narrow))
        marks = read_inventory(path).cell_issues
        assert marks.loc[marks["rule"] == "hidden-row", "row_key"].tolist() == [0]
        assert marks.loc[marks["rule"] == "hidden-column", "field"].tolist() == ["project_id"]
    default = '<sheetFormatPr defaultRowHeight="15" zeroHeight="1"/>'
    high = make.row(4, IMAGE, PROJECT, "accepted", more=' ht="15" customHeight="1"')
    path = xlsx(
        tmp_path / "a.xlsx", data(make.row(1, *HEADER), plain(2), plain(3), high, before=default)
    )
    marks = read_inventory(path).cell_issues
    assert marks.loc[marks["rule"] == "hidden-row", "row_key"].tolist() == [0, 1]
