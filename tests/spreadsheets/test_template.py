"""The empty workbook: what a spreadsheet program makes of it, and what is read from it."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from sharekit.checks.check import check
from sharekit.core.errors import InputError
from sharekit.core.fields import FIELDS
from sharekit.core.rules import RULES
from sharekit.spreadsheets.reading import read_inventory
from sharekit.spreadsheets.writing.template import write_template
from tests.spreadsheets.workbooks import DIGITS, IMAGE, convert


def test_an_untouched_template_has_no_rows(tmp_path: Path) -> None:
    """Neither the header nor the example on the second page is taken for a share."""
    path = write_template(tmp_path / "shares.xlsx")
    with pytest.raises(InputError, match="no rows"):
        read_inventory(path)


def test_a_filled_template_is_read_completely(tmp_path: Path) -> None:
    """Every field has its column, and digits typed into it stay text."""
    path = write_template(tmp_path / "shares.xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    values = [IMAGE, DIGITS, "accepted", IMAGE, "true", "eu-de", "n", DIGITS]
    for column, value in enumerate(values, start=1):
        sheet.cell(2, column, value)
    book.save(path)
    inventory = read_inventory(path)
    assert inventory.rows[list(FIELDS)].values.tolist() == [values]
    assert set(inventory.cell_issues["rule"]) == {"sheet-without-header"}
    assert list(inventory.sources[0].columns) == list(FIELDS)


def test_drop_downs_notes_and_text_columns(tmp_path: Path) -> None:
    """The sheet itself keeps people and programs from damaging a share."""
    book = openpyxl.load_workbook(write_template(tmp_path / "shares.xlsx"))
    sheet, notes, example, rules_sheet = book.worksheets
    rules = {str(rule.sqref): rule.formula1 for rule in sheet.data_validations.dataValidation}
    assert rules == {
        "C2:C1048576": '"accepted,rejected,share,unshare"',
        "E2:E1048576": '"true,false"',
    }
    assert sheet.freeze_panes == "A2"
    for cell in sheet[1]:
        assert cell.comment.text
        assert sheet.column_dimensions[cell.column_letter].number_format == "@"
    assert [notes.title, example.title] == ["Read me", "Example"]
    assert [row[0].value for row in rules_sheet.iter_rows(min_row=2)] == list(RULES)


def test_the_example_says_what_becomes_of_its_rows(tmp_path: Path) -> None:
    """Under plain headers, each row of the example ends as its last column says."""
    book = openpyxl.load_workbook(write_template(tmp_path / "a.xlsx"))
    sheet = book["Example"]
    for cell in sheet[1]:
        cell.value = cell.value.removesuffix(" (example)")
    book.remove(book["Shares"])
    book.save(tmp_path / "b.xlsx")
    rows = check(read_inventory(tmp_path / "b.xlsx")).rows["disposition"]
    told = [cell.value.partition(":")[0].partition(" ")[0] for cell in sheet["F"][1:]]
    words = {"planned": "planned", "repaired": "planned", "a": "duplicate", "blocked": "blocked"}
    assert rows.tolist() == [words[word] for word in told]


@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_another_program_keeps_the_text_format(tmp_path: Path) -> None:
    """Saved again by LibreOffice, the columns are text still and the drop-downs are there."""
    again = convert(write_template(tmp_path / "a.xlsx"), tmp_path / "b.xlsx")
    sheet = openpyxl.load_workbook(again).worksheets[0]
    assert sheet.column_dimensions["A"].number_format == "@"
    assert len(sheet.data_validations.dataValidation) == 2


def test_nothing_is_overwritten_or_left_behind(tmp_path: Path) -> None:
    """A taken path and a missing directory are refused, and no scrap of a file stays."""
    path = tmp_path / "shares.xlsx"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_template(path)
    assert path.read_text() == "mine"
    with pytest.raises(InputError, match="directory"):
        write_template(tmp_path / "none" / "shares.xlsx")
    with pytest.raises(InputError, match="cannot be written"):
        write_template(tmp_path / ("x" * 260 + ".xlsx"))
    assert [p.name for p in tmp_path.iterdir()] == ["shares.xlsx"]
