"""The review sheet: decisions come back to the rows they were made for, or not at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from sharekit.core.errors import InputError
from sharekit.spreadsheets.writing.review_sheet import (
    FACTS,
    STANDING,
    read_review,
    write_review,
)
from tests.spreadsheets.workbooks import convert

PLAN = "0f" * 32
COUNT = 6


@pytest.fixture
def rows() -> pd.DataFrame:
    """A plan's rows whose keys have gaps, with cells that would be formulas or errors."""
    keys = pd.Index([2 * i + 1 for i in range(COUNT)], name="row_key")
    frame = pd.DataFrame(
        {
            "file": "shares.xlsx",
            "sheet": "S",
            "row": range(2, COUNT + 2),
            "image_id": [f"9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a1{i}" for i in range(COUNT)],
            "project_id": "1" * 32,
            "project_name": "web",
            "status": "accepted",
            "vault_id": "",
            "name": ["=1+1", "#N/A", "a\x01b", "_x0041_", "x" * 40_000, "a\r\nb"],
            "owner": "@SUM(A1)",
            "before": "pending",
            "disposition": "planned",
            "findings": "",
        },
        index=keys,
    )
    return frame.astype({c: "str" for c in frame.columns if c != "row"})


def edited(path: Path, edit: Callable[[Worksheet], None]) -> Path:
    """The review after a person has worked on it."""
    book = openpyxl.load_workbook(path)
    edit(book["Review"])
    book.save(path)
    return path


def place(sheet: Worksheet, line: int, name: str) -> openpyxl.cell.Cell:
    """The cell of a line under a header."""
    names = [cell.value for cell in sheet[1]]
    return sheet.cell(line, names.index(name) + 1)


def decide(line: int, decision: str, reason: str = "") -> Callable[[Worksheet], None]:
    """An edit that decides on one line."""

    def edit(sheet: Worksheet) -> None:
        place(sheet, line, "decision").value = decision
        place(sheet, line, "reason").value = reason

    return edit


def again(sheet: Worksheet, decision: str) -> None:
    """Append a copy of the first line, its texts as texts, with a decision."""
    sheet.append([cell.value for cell in sheet[2]])
    for cell in sheet[sheet.max_row]:
        cell.data_type = "s"
    place(sheet, sheet.max_row, "decision").value = decision


def own(sheet: Worksheet, header: str | None, *values: str) -> None:
    """Add a column of a person's own, with values from line 4 on."""
    column = sheet.max_column + 1
    for line, value in enumerate((header, None, None, *values), start=1):
        sheet.cell(line, column).value = value


def test_a_crossed_out_decision_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A reviewer who crosses out a decision has taken it back; the sheet says where."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)

    def edit(sheet: Worksheet) -> None:
        decide(3, "reject", "not ours")(sheet)
        place(sheet, 3, "decision").font = Font(strike=True)

    with pytest.raises(InputError, match=r"3.*the value is crossed out"):
        read_review(edited(path, edit), rows, fingerprint=PLAN)


@pytest.mark.parametrize("name", ["key", "reason", "image_id", "project_id", "name", "status"])
def test_what_is_crossed_out_is_not_taken_silently(
    name: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """A row that a person crosses out is refused, with advice that does leave it out."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)

    def edit(sheet: Worksheet) -> None:
        decide(3, "reject", "not ours")(sheet)
        place(sheet, 3, name).font = Font(strike=True)

    with pytest.raises(InputError, match=rf"3 \({name}\).*crossed out.*decide skip"):
        read_review(edited(path, edit), rows, fingerprint=PLAN)


def test_own_columns_that_say_the_same_are_allowed(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A remark decides nothing, and a word that says what the row says does no harm."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)

    def edit(sheet: Worksheet) -> None:
        decide(4, "skip", "why")(sheet)
        own(sheet, "Ann", "later", "yes", "looked at, reject next time?")

    taken = read_review(edited(path, edit), rows, fingerprint=PLAN)
    assert taken["decision"].to_dict() == {5: "skip"}


def test_an_untouched_review_decides_nothing(rows: pd.DataFrame, tmp_path: Path) -> None:
    """Every row is as planned until somebody says otherwise."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    taken = read_review(path, rows, fingerprint=PLAN)
    assert taken.empty
    assert list(taken.columns) == ["decision", "reason", "seen"]
    assert taken.index.name == "row_key"
    assert str(taken.index.dtype) == "int64"


def test_decisions_follow_their_row(rows: pd.DataFrame, tmp_path: Path) -> None:
    """Turned upside down and with lines deleted, each decision still meets its own image."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)

    def work(sheet: Worksheet) -> None:
        decide(2, "reject", "too old")(sheet)
        decide(4, " SKIP ")(sheet)
        decide(7, "Approve")(sheet)
        lines = [[c.value for c in line] for line in sheet.iter_rows(min_row=2)]
        for number, line in enumerate(reversed(lines), start=2):
            for column, value in enumerate(line, start=1):
                sheet.cell(number, column).value = value
                sheet.cell(number, column).data_type = "s"
        sheet.delete_rows(3)

    taken = read_review(edited(path, work), rows, fingerprint=PLAN)
    assert taken["decision"].to_dict() == {1: "reject", 5: "skip", 11: "accept"}
    assert taken["reason"].to_dict() == {1: "too old", 5: "", 11: ""}


def test_blank_decisions_leave_a_row_as_planned(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A cleared decision and a cleared line mean nothing."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)

    def clear(sheet: Worksheet) -> None:
        place(sheet, 2, "decision").value = None
        for cell in sheet[3]:
            cell.value = None

    assert read_review(edited(path, clear), rows, fingerprint=PLAN).empty


def test_no_cell_is_a_formula(rows: pd.DataFrame, tmp_path: Path) -> None:
    """Every cell is text, in text format, whatever it begins with."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    sheet = openpyxl.load_workbook(path)["Review"]
    cells = [cell for line in sheet.iter_rows(min_row=2) for cell in line if cell.value]
    assert {cell.data_type for cell in cells} == {"s"}
    assert {cell.number_format for cell in cells} == {"@"}
    assert place(sheet, 2, "name").value == "=1+1"


def test_the_sheet_is_made_for_sorting_and_filtering(rows: pd.DataFrame, tmp_path: Path) -> None:
    """Drop-down, filter and frozen header are there, and no protection that forbids them."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    sheet = openpyxl.load_workbook(path)["Review"]
    (rule,) = sheet.data_validations.dataValidation
    assert rule.formula1 == '"as planned,accept,reject,share,unshare,skip"'
    assert str(rule.sqref) == f"B2:B{COUNT + 1}"
    assert sheet.auto_filter.ref == f"A1:S{COUNT + 1}"
    assert sheet.freeze_panes == "D2"
    assert not sheet.protection.sheet


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda s: setattr(s["A3"], "value", "r99-0123456789ab"), "A3 holds a key"),
        (lambda s: setattr(s["A3"], "value", None), "B3 has a decision but no key"),
        (decide(5, "maybe"), "B5 is no decision"),
        (
            lambda s: setattr(place(s, 4, "image_id"), "value", "0" * 36),
            r"I4 differs from the plan's image_id",
        ),
        (
            lambda s: setattr(place(s, 4, "project_id"), "value", None),
            r"J4 differs from the plan's project_id",
        ),
        (lambda s: setattr(s["C5"], "value", "not ours"), "C5 is a reason without a decision"),
        (decide(5, "", "not ours"), "C5 is a reason without a decision"),
        (lambda s: setattr(s["C9"], "value", "not ours"), "C9 has a reason but no key"),
        (lambda s: own(s, "Decision Ann", "reject"), "T4 reads as another decision"),
        (lambda s: own(s, "Remark", "nicht annehmen, later", "No"), "T5 reads as another decision"),
        (lambda s: own(s, None, "skip"), "T4 reads as another decision"),
        (
            lambda s: again(s, "skip"),
            rf"Review!B2, Review!B{COUNT + 2} decides differently",
        ),
    ],
)
def test_a_sheet_that_contradicts_the_plan_is_refused(
    edit: Callable[[Worksheet], None], said: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """Foreign keys, changed IDs, unknown words and contradictions are named with their cells."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    with pytest.raises(InputError, match=said):
        read_review(edited(path, edit), rows, fingerprint=PLAN)


def test_the_review_of_another_plan_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A key holds for one fingerprint only."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    with pytest.raises(InputError, match="of another plan") as caught:
        read_review(path, rows, fingerprint="1e" * 32)
    assert "Review!A2, Review!A3, Review!A4, Review!A5, Review!A6 and 1 more" in str(caught.value)


def test_the_same_decision_twice_is_one(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A copied line that says the same does no harm."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)

    def copy(sheet: Worksheet) -> None:
        decide(2, "skip")(sheet)
        again(sheet, "skip")

    taken = read_review(edited(path, copy), rows, fingerprint=PLAN)
    assert taken["decision"].to_dict() == {1: "skip"}


def test_another_table_is_no_review(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A file without keys is refused, and nothing existing is overwritten."""
    path = tmp_path / "r.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no review sheet"):
        read_review(path, rows, fingerprint=PLAN)
    with pytest.raises(InputError, match="exists already"):
        write_review(rows, path, fingerprint=PLAN)


UNVALUED = "the formula has no saved result"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("decision", '="skip"', UNVALUED),
        ("reason", "=B3", UNVALUED),
        ("key", "=A3", UNVALUED),
        ("vault_id", "=A3", UNVALUED),
        ("decision", "#N/A", "the cell holds a spreadsheet error"),
        ("decision", 4711, "the cell holds a number"),
        ("reason", 4711, "the cell holds a number"),
        ("vault_id", 4711, "differs from the plan's vault_id"),
        ("reason", dt.datetime(2026, 7, 1), "the cell holds a date"),
        ("decision", True, "the cell holds TRUE or FALSE"),
        ("decision", None, "the cell is merged and has no value"),
    ],
)
def test_what_is_no_text_decides_nothing(
    column: str, value: object, said: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """A formula without its result, a number, a merge: refused with sheet and cell, never blank."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)

    def work(sheet: Worksheet) -> None:
        cell = place(sheet, 4, column)
        cell.number_format = "General"
        cell.value = value
        if value is None:
            decide(3, "skip", "why")(sheet)
            above = place(sheet, 3, column).coordinate
            sheet.merge_cells(f"{above}:{cell.coordinate}")

    letter = place(openpyxl.load_workbook(path)["Review"], 4, column).column_letter
    with pytest.raises(InputError, match=rf"Review!{letter}4 .*{said}"):
        read_review(edited(path, work), rows, fingerprint=PLAN)


@pytest.mark.parametrize("column", list(FACTS))
def test_a_changed_fact_is_refused(column: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    """Whatever is not for deciding must be as it was written: nothing would come of a change."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    cells: list[str] = []

    def work(sheet: Worksheet) -> None:
        sheet.delete_rows(2)
        cell = place(sheet, 3, column)
        cell.value = "rejected" if column == "status" else "not a vault"
        cells.append(cell.coordinate)

    edited(path, work)
    said = "is not what was decided" if column in STANDING else f"differs from the plan's {column}"
    with pytest.raises(InputError, match=f"Review!{cells[0]} {said}"):
        read_review(path, rows, fingerprint=PLAN)


def test_two_columns_of_decisions_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    """Which of them counts is not guessed."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    edit = edited(path, lambda sheet: setattr(sheet["T1"], "value", "Decision"))
    with pytest.raises(InputError, match="more than one column decision"):
        read_review(edit, rows, fingerprint=PLAN)


@pytest.mark.parametrize("suffix", ["xlsx", "ods", "csv"])
@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_a_review_saved_by_libreoffice_comes_back(
    suffix: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """Whatever program and format the reviewer saves in, the decisions are the same."""
    path = write_review(rows, tmp_path / "r.xlsx", fingerprint=PLAN)
    again = convert(edited(path, decide(3, "reject", "no")), tmp_path / f"s.{suffix}")
    taken = read_review(again, rows, fingerprint=PLAN)
    assert taken[["decision", "reason"]].to_dict("index") == {
        3: {"decision": "reject", "reason": "no"}
    }
