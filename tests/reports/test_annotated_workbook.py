"""Findings as a workbook: the analyst's own sheets, marked, and nothing else about them changed."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill

from sharekit.checks.check import check
from sharekit.checks.findings import COLUMNS, Findings
from sharekit.core.columns import STR
from sharekit.core.errors import InputError
from sharekit.reports import annotated_workbook
from sharekit.reports.report import write_findings
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.workbooks import IMAGE, PROJECT

VALUES = [
    ["Shares to accept"],
    [],
    ["image_id", "project_id", "status", "vault_id", "Comment", "Price"],
    [IMAGE, PROJECT, "accepted", "", "=1+1", 1234.5],
    [IMAGE.upper(), PROJECT, "rejected", "", "_x0041_\x01".replace("\x01", ""), 0.25],
    ["nonsense", PROJECT, "perhaps", "", "+cmd|' /C calc'!A0", 7],
    [IMAGE[:-1] + "f", "", "accepted", "", "für Köln", None],
]


@pytest.fixture
def shares(tmp_path: Path) -> Path:
    """A workbook with formats, a comment, a formula, two sheets and cells that look alive."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Q3 'own'"
    for number, line in enumerate(VALUES, start=1):
        for place, value in enumerate(line, start=1):
            cell = sheet.cell(number, place, value)
            if isinstance(value, str):
                cell.data_type, cell.number_format = "s", "@"
    sheet["F4"].number_format = "#,##0.00 €"
    sheet["A6"].comment = Comment("ask Ms Ito", "A. Kühn")
    sheet["G4"] = "=F4*2"
    sheet["E5"].fill = PatternFill("solid", fgColor="00FF00")
    sheet.column_dimensions["A"].width = 51
    sheet.freeze_panes = "A4"
    book.create_sheet("Notes")["A1"] = "nothing here"
    path = tmp_path / "shares.xlsx"
    book.save(path)
    return path


def checked(path: Path) -> Findings:
    """What the checks say."""
    return check(read_inventory(path))


def test_bad_cells_are_marked_and_the_rest_is_as_it_was(shares: Path, tmp_path: Path) -> None:
    """Every cell with a finding has its colour, frame and reason; every other cell its own look."""
    before = shares.read_bytes()
    findings = checked(shares)
    book = openpyxl.load_workbook(write_findings(findings, tmp_path / "findings.xlsx"))
    own, copy = openpyxl.load_workbook(shares)["Q3 'own'"], book["Q3 'own'"]
    bad = set(findings.frame["cell"]) - {""}
    assert {"A5", "A6", "C6", "B7"} <= bad
    for line in own.iter_rows():
        for cell in line:
            twin = copy[cell.coordinate]
            assert twin.number_format == cell.number_format
            assert twin.data_type != "f"
            if cell.data_type != "f":
                assert twin.value == cell.value
            if cell.coordinate in bad:
                assert twin.comment is not None
            else:
                assert twin.fill.fgColor.rgb == cell.fill.fgColor.rgb
    assert copy["A6"].fill.fgColor.rgb != copy["A5"].fill.fgColor.rgb
    assert copy["A6"].border.left.style != copy["A5"].border.left.style
    assert copy["A6"].comment.text.startswith("✖ error: ")
    assert "ask Ms Ito" in copy["A6"].comment.text
    assert copy.column_dimensions["A"].width == 51
    assert copy.freeze_panes == "A4"
    assert shares.read_bytes() == before


def test_what_lies_under_a_merge_is_told_where_people_look(tmp_path: Path) -> None:
    """The top left cell of a merge has the colour and the reasons of all cells below it."""
    book = openpyxl.Workbook()
    for line in (["Image ID", "Project ID", "Status"], [IMAGE, PROJECT, "accepted"]):
        book.active.append(line)
    book.active.append([None, PROJECT, "rejected"])
    book.active.merge_cells("A2:A3")
    book.save(tmp_path / "a.xlsx")
    path = write_findings(checked(tmp_path / "a.xlsx"), tmp_path / "findings.xlsx")
    cell = openpyxl.load_workbook(path)["Sheet"]["A2"]
    assert cell.fill.fgColor.rgb == "00F9D2B8"
    assert "image_id is empty" in cell.comment.text
    assert "the cell is merged" in cell.comment.text


def test_the_list_comes_first_and_leads_to_the_cells(shares: Path, tmp_path: Path) -> None:
    """Each finding with a cell has a link to it, errors before warnings before repairs."""
    findings = checked(shares)
    book = openpyxl.load_workbook(write_findings(findings, tmp_path / "findings.xlsx"))
    assert book.sheetnames == ["Findings", "About", "Q3 'own'", "Notes"]
    assert book.active.title == "Findings"
    lines = [[cell.value for cell in line] for line in book["Findings"].iter_rows(min_row=2)]
    links = {cell.value: cell.hyperlink.location for line in book["Findings"].iter_rows()
             for cell in line if cell.hyperlink}  # fmt: skip
    assert len(lines) == len(findings.frame)
    assert links["A6"] == "'Q3 ''own'''!A6"
    assert set(links) >= set(findings.frame["cell"]) - {""}
    words = [str(line[0]).split()[1] for line in lines]
    assert words == sorted(words, key=["error", "warning", "repair", "info"].index)


def test_the_copy_is_read_as_the_original(shares: Path, tmp_path: Path) -> None:
    """Mended in the copy and read again, the rows are those of the analyst's own file."""
    findings = checked(shares)
    again = read_inventory(write_findings(findings, tmp_path / "findings.xlsx"))
    columns = ["sheet", "row", "image_id", "project_id", "status", "input.Comment"]
    first, second = (i.rows[columns].astype(STR) for i in (findings.inventory, again))
    pd.testing.assert_frame_equal(first, second)


def test_a_changed_file_is_refused(shares: Path, tmp_path: Path) -> None:
    """Findings are never painted on something else than what was checked."""
    findings = checked(shares)
    book = openpyxl.load_workbook(shares)
    book.worksheets[0]["A4"] = "other"
    book.save(shares)
    with pytest.raises(InputError, match="has changed since it was checked"):
        write_findings(findings, tmp_path / "findings.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["shares.xlsx"]


@pytest.mark.parametrize("why", ["several files", "this is csv", "more than 1 findings", "64 MB"])
def test_where_no_copy_is_made_the_workbook_says_so(
    shares: Path, tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other formats, several files and long lists give the findings alone, and the reason."""
    files = [shares]
    if why in ("several files", "this is csv"):
        table = tmp_path / "more.csv"
        pd.DataFrame(VALUES[3:], columns=VALUES[2]).to_csv(table, index=False)
        files = [table] if why == "this is csv" else [shares, table]
    elif why == "64 MB":
        monkeypatch.setattr(annotated_workbook, "MAX_BYTES", 100)
        why = "longer than"
    else:
        monkeypatch.setattr(annotated_workbook, "MAX_FINDINGS", 1)
    findings = check(read_inventory(*files))
    book = openpyxl.load_workbook(write_findings(findings, tmp_path / "findings.xlsx"))
    assert book.sheetnames == ["Findings", "About"]
    assert book["Findings"].max_row == len(findings.frame) + 1
    told = [str(cell.value) for line in book["About"].iter_rows() for cell in line]
    assert any(why in text for text in told), told


def test_the_copy_prints_in_its_width(tmp_path: Path) -> None:
    """A sheet without print settings of its own fits the page's width; one that has some keeps."""
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("Own"), book.create_sheet("Wide")):
        for line in (["Title"], ["image_id", "project_id", "status"], [IMAGE, PROJECT, "?"]):
            sheet.append(line)
    book["Own"].print_area, book["Wide"].column_dimensions["A"].width = "A1:B3", 255
    book["Wide"].column_dimensions["B"].width = 100
    book.save(tmp_path / "shares.xlsx")
    made = write_findings(checked(tmp_path / "shares.xlsx"), tmp_path / "findings.xlsx")
    copy = openpyxl.load_workbook(made)
    assert copy["Sheet"].sheet_properties.pageSetUpPr.fitToPage
    assert copy["Sheet"].print_title_rows == "$2:$2"
    for name in ("Own", "Wide"):
        assert not copy[name].sheet_properties.pageSetUpPr.fitToPage
        assert copy[name].print_title_rows is None
    assert copy["Findings"].print_area.startswith("'Findings'!$A$1:$H$")


def test_comments_end_somewhere(
    shares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit cells are coloured without a comment, the graver ones keep theirs."""
    monkeypatch.setattr(annotated_workbook, "MAX_COMMENTS", 1)
    book = openpyxl.load_workbook(write_findings(checked(shares), tmp_path / "findings.xlsx"))
    sheet = book["Q3 'own'"]
    noted = [cell for line in sheet.iter_rows() for cell in line if cell.comment]
    assert [cell.comment.text[:7] for cell in noted if cell.comment.author == "sharekit"] == [
        "✖ error"
    ]
    assert sheet["A5"].fill.fgColor.rgb.endswith("D9EEFA")


def test_our_own_faults_are_not_taken_for_an_odd_workbook(
    shares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An IndexError of our own code while cells are marked comes out as it is."""

    def faulty(*_: object) -> None:
        raise IndexError("planted")

    monkeypatch.setattr(annotated_workbook, "_mark_cells", faulty)
    with pytest.raises(IndexError, match="planted"):
        write_findings(checked(shares), tmp_path / "findings.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["shares.xlsx"]


@pytest.mark.parametrize("name", ["findings.csv", "findings.json"])
def test_findings_as_a_table(shares: Path, tmp_path: Path, name: str) -> None:
    """The other forms hold every finding with every value as it was."""
    findings = checked(shares)
    path = write_findings(findings, tmp_path / name)
    if path.suffix == ".json":
        back = pd.DataFrame(json.loads(path.read_text("utf-8")))
    else:
        back = pd.read_csv(path, dtype=STR, keep_default_na=False)
    wanted = findings.in_shell().frame[list(COLUMNS)]
    assert back.astype(STR).to_numpy().tolist() == wanted.astype(STR).to_numpy().tolist()


def test_what_cannot_be_seen_is_spelled_out(tmp_path: Path) -> None:
    """A character that turns the writing round stands there as its number, the raw value beside."""
    raw = f"\u202e{IMAGE[:-1]}\x07"
    path = tmp_path / "shares.csv"
    path.write_text(f"image_id,project_id,status\n{raw},{PROJECT},accepted\n", encoding="utf-8")
    book = openpyxl.load_workbook(write_findings(checked(path), tmp_path / "findings.xlsx"))
    names, *lines = book["Findings"].iter_rows(values_only=True)
    line = next(line for line in lines if line[names.index("row")] in (2, "2"))
    assert line[names.index("value")] == f"[U+202E]{IMAGE[:-1]}␇"
    assert "_x0007_" in line[names.index("raw value")] or raw == line[names.index("raw value")]
