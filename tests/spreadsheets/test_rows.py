"""Rows that are not what they seem: no share, a second header, columns shifted, rows swallowed."""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharekit.checks.check import check
from sharekit.checks.findings import Findings, left_out_rows
from sharekit.spreadsheets.formats.raw_sheet import Blob
from sharekit.spreadsheets.inventory import find_rows
from sharekit.spreadsheets.mistaken_ids import NOTHING
from sharekit.spreadsheets.reading import _inventory, read_inventory, read_sheets
from tests.spreadsheets.workbooks import (
    IMAGE,
    OTHER,
    PROJECT,
    Rows,
    by_csv,
    by_hand_xlsb,
    by_odfpy,
    by_openpyxl,
    by_pyarrow,
    by_xlwt,
)

HEADER = ["Image ID", "Project ID", "Remark", "Status"]
FIRST = [IMAGE, PROJECT, "as agreed", "accepted"]
SECOND = [OTHER, PROJECT, "outdated", "rejected"]


def _rules(findings: Findings, severity: str = "") -> list[str]:
    frame = findings.frame
    return frame.loc[
        frame["severity"].isin([severity] if severity else ["error", "info"]), "rule"
    ].tolist()


@pytest.mark.parametrize("write", [by_csv, by_openpyxl])
def test_rows_that_are_no_share_are_left_out(
    write: Callable[[Path, Rows], Path], tmp_path: Path
) -> None:
    """Totals, signatures and notes end as skipped, with one finding for the sheet."""
    rows = [HEADER, FIRST, SECOND, ["", "", "2 images", ""], ["Total", "", "", ""],
            ["Approved by: J. Smith", "", "", ""]]  # fmt: skip
    suffix = "csv" if write is by_csv else "xlsx"
    findings = check(read_inventory(write(tmp_path / f"a.{suffix}", rows)))
    assert findings.rows["disposition"].tolist() == ["planned"] * 2 + ["skipped"] * 3
    assert findings.frame[["rule", "value"]].to_numpy().tolist() == [["no-share", "rows 4, 5, 6"]]
    assert left_out_rows(findings)["rule"].to_dict() == dict.fromkeys([2, 3, 4], "no-share")


@pytest.mark.parametrize(
    "rows",
    [
        [["Total", "", "", "2"]],
        [["2", "", "", ""]],
        [["", "Total", "", "2"]],
        [["Summe", "1", "", "2"]],
        [["---", "---", "---", "---"]],
        [[""] * 4, ["Legend", "", "", ""], ["accepted", "the share is taken", "", ""]],
        [[""] * 4, ["Notes:", "", "", ""], ["", "Signature:", "", ""], ["", "", "", "1 May 2026"]],
    ],
)
def test_counts_and_notes_below_a_list_are_left_out(rows: Rows, tmp_path: Path) -> None:
    """Counts in columns of decisions, as tables have them, legends and signatures are no shares."""
    findings = check(read_inventory(by_openpyxl(tmp_path / "a.xlsx", [HEADER, FIRST, *rows])))
    assert findings.rows["disposition"].tolist()[0] == "planned"
    assert set(findings.rows["disposition"].tolist()[1:]) == {"skipped"}
    assert _rules(findings) == ["no-share"]


@pytest.mark.parametrize(
    "row",
    [["Total", "", "", "accepted"], ["9afbc1d2", PROJECT, "", ""], ["1234567", "", "", ""],
     ["tbd", PROJECT, "", "accepted"], ["", PROJECT, "Total", ""]],
)  # fmt: skip
def test_what_may_be_a_share_is_no_note(row: list[str], tmp_path: Path) -> None:
    """A row with a decision, an ID or a part of one is an error, below a blank row, too."""
    rows: Rows = [HEADER, FIRST, [""] * 4, row]
    findings = check(read_inventory(by_csv(tmp_path / "a.csv", rows)))
    assert findings.rows["disposition"].tolist() == ["planned", "blocked"]


def test_a_damaged_share_is_no_remark(tmp_path: Path) -> None:
    """A row with half an ID, a lone word for an image, or an ID in another column is an error."""
    rows = [HEADER, FIRST, ["8659ccbc-9f60 5047", "", "", ""], ["web01", "", "", ""],
            ["", "", OTHER, ""], ["", PROJECT, "", ""], ["Total", "", "", "accepted"]]  # fmt: skip
    findings = check(read_inventory(by_csv(tmp_path / "a.csv", rows)))
    assert findings.rows["disposition"].tolist() == ["planned"] + ["blocked"] * 5


def test_a_reviewer_may_decide_on_a_row_that_was_left_out(tmp_path: Path) -> None:
    """A decision makes a row ask for something again, and then it needs its IDs."""
    rows = [HEADER, FIRST, ["", "", "a note", ""]]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows))
    decisions = pd.DataFrame({"decision": ["accept"], "vault_id": [""]}, index=[1])
    findings = check(inventory, decisions=decisions)
    assert findings.rows["disposition"].tolist() == ["planned", "blocked"]
    assert "no-share" not in _rules(findings)


def _check_text(path: Path, *lines: str) -> Findings:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return check(read_inventory(path))


def _of_rule(findings: Findings, rule: str) -> pd.DataFrame:
    return findings.frame[findings.frame["rule"] == rule]


GOOD = f"{IMAGE},{PROJECT},as agreed,accepted"
TOP = "image_id,project_id,remark,status"


def test_a_separator_within_a_text_shifts_no_decision(tmp_path: Path) -> None:
    """A row with more fields than the header is an error that names the surplus cell."""
    shifted = f"{OTHER},{PROJECT},asked the owner, yes,rejected"
    findings = _check_text(tmp_path / "a.csv", TOP, GOOD, shifted)
    assert findings.rows["disposition"].tolist() == ["planned", "blocked"]
    message = _of_rule(findings, "surplus-fields")["message"].item()
    assert 'E3 holds "rejected"' in message
    assert "a comma within a text" in message


@pytest.mark.parametrize(
    "lines",
    [
        [TOP, f"{GOOD},,,"],
        [f"{TOP},", f"{GOOD},"],
        [f",{TOP}", f"0,{GOOD}"],
        [f"{TOP},,", f"{GOOD},,seen by Ann"],
        [TOP, f'{IMAGE},{PROJECT},"asked, yes",accepted'],
    ],
)
def test_trailing_blanks_and_nameless_columns_shift_nothing(
    lines: list[str], tmp_path: Path
) -> None:
    """What programs add to every line, pandas' index and notes in a square file are no error."""
    findings = _check_text(tmp_path / "a.csv", *lines)
    assert findings.rows["disposition"].tolist() == ["planned"]
    assert findings.frame.empty


def test_programs_that_end_each_line_in_a_separator_hide_no_shift(tmp_path: Path) -> None:
    """The field that a trailing separator adds is not taken for a column of its own."""
    shifted = f"{OTHER},{PROJECT},asked, yes,rejected,"
    findings = _check_text(tmp_path / "a.csv", f"{TOP},", f"{GOOD},", shifted)
    assert findings.rows["disposition"].tolist() == ["planned", "blocked"]


def test_another_decision_without_a_header_is_an_error_in_a_workbook(tmp_path: Path) -> None:
    """A shifted row that was opened and saved as a workbook; notes beside a table are none."""
    rows = [HEADER, [*FIRST, "done, ok"], [OTHER, PROJECT, "asked", "yes", "rejected"]]
    findings = check(read_inventory(by_openpyxl(tmp_path / "a.xlsx", rows)))
    assert findings.rows["disposition"].tolist() == ["planned", "blocked"]
    assert "E3" in _of_rule(findings, "surplus-fields")["message"].item()


@pytest.mark.parametrize(
    "shifted",
    [
        f"{OTHER},{PROJECT},asked, yes,rejected",
        f"{OTHER},{PROJECT},accepted,yes,rejected",
        f"{OTHER},{PROJECT},accepted,rejected",
    ],
)
def test_a_blank_field_at_the_end_hides_no_shift(shifted: str, tmp_path: Path) -> None:
    """A decision that slipped into the next column contradicts the one that is read."""
    findings = _check_text(tmp_path / "a.csv", f"{TOP},note", f"{GOOD},", shifted, f"{GOOD},")
    assert findings.rows["disposition"].tolist()[:2] == ["planned", "blocked"]
    assert "decision-elsewhere" in _rules(findings, "error")


def test_a_decision_for_an_owner_is_none_in_a_list_of_one_row(tmp_path: Path) -> None:
    """A column of another field holds no decisions, however few rows there are."""
    top = "image_id,project_id,status,owner"
    findings = _check_text(tmp_path / "a.csv", top, f"{IMAGE},{PROJECT},accepted,rejected")
    assert _rules(findings, "error") == ["decision-elsewhere"]


def test_earlier_decisions_in_a_column_of_their_own_are_none_of_that(tmp_path: Path) -> None:
    """States, earlier decisions and remarks that speak of them are honest columns."""
    top = "image_id,project_id,status,previous decision,first answer,remark"
    lines = [f"{IMAGE},{PROJECT},accepted,rejected,rejected,rejected in May",
             f"{OTHER},{PROJECT},rejected,,accepted,accepted by mistake"]  # fmt: skip
    findings = _check_text(tmp_path / "a.csv", top, *lines)
    assert findings.rows["disposition"].tolist() == ["planned"] * 2


def test_rows_with_fewer_fields_are_told_once(tmp_path: Path) -> None:
    """One info names the rows; what is missing at the end is blank."""
    lines = ["image_id,project_id,status,remark", f"{IMAGE},{PROJECT},accepted", "Total"]
    findings = _check_text(tmp_path / "a.csv", *lines)
    assert findings.rows["disposition"].tolist() == ["planned", "skipped"]
    assert _of_rule(findings, "fewer-fields")["value"].tolist() == ["row 2"]


def test_columns_that_every_record_leaves_out_are_told_once(tmp_path: Path) -> None:
    """A file without its last columns gets one info, too; a separator behind a header none."""
    lines = [f"{IMAGE},{PROJECT},accepted", f"{OTHER},{PROJECT},rejected"]
    findings = _check_text(tmp_path / "a.csv", "image_id,project_id,status,vault_id,name", *lines)
    assert findings.rows["disposition"].tolist() == ["planned"] * 2
    assert _of_rule(findings, "fewer-fields")["value"].tolist() == ["rows 2, 3"]
    assert _check_text(tmp_path / "b.csv", "image_id,project_id,status,,", *lines).frame.empty


FORMATS = [
    (by_csv, "csv"), (by_openpyxl, "xlsx"), (by_odfpy, "ods"), (by_xlwt, "xls"),
    (by_hand_xlsb, "xlsb"), (by_pyarrow, "parquet"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "suffix"), FORMATS)
def test_the_same_header_again_is_no_row(
    write: Callable[[Path, Rows], Path], suffix: str, tmp_path: Path
) -> None:
    """Printed pages and files one after the other: reading goes on below the repeated header."""
    again = ["\ufeffImage-ID", "project_id", "Remark", "STATUS"]
    rows = [HEADER, FIRST, again, SECOND, HEADER]
    findings = check(read_inventory(write(tmp_path / f"a.{suffix}", rows)))
    assert findings.rows["row"].tolist() == [2, 4]
    assert findings.rows["disposition"].tolist() == ["planned"] * 2
    assert _of_rule(findings, "header-repeated")["value"].tolist() == ["rows 3, 5"]


@pytest.mark.parametrize(("write", "suffix"), FORMATS)
@pytest.mark.parametrize(
    "other",
    [
        ["Image ID", "Project ID", "Status", "Remark"],
        ["Project ID", "Image ID", "Remark", "Status"],
        ["Image ID", "Project ID", "Status", "Decision"],
        ["Image ID", "Project ID", "Remark", ""],
        ["Tenant", "Verdict", "Image", ""],
    ],
)
def test_another_header_blocks_its_sheet(
    write: Callable[[Path, Rows], Path], suffix: str, other: list[str], tmp_path: Path
) -> None:
    """Of stacked tables with other columns, or in another order, nothing is sent."""
    rows = [HEADER, FIRST, other, [OTHER, PROJECT, "accepted", "rejected"]]
    findings = check(read_inventory(write(tmp_path / f"a.{suffix}", rows)))
    assert findings.rows["disposition"].tolist() == ["blocked"] * 2
    assert _of_rule(findings, "second-header")["value"].tolist() == ["row 3"]


@pytest.mark.parametrize("glue", ["", "\ufeff"])
def test_a_header_behind_a_last_line_without_a_break_is_one(glue: str, tmp_path: Path) -> None:
    """Files put together where the first one does not end its last line."""
    lines = [TOP, GOOD + glue + "project_id,image_id,status,remark",
             f"{PROJECT},{OTHER},rejected,accepted"]  # fmt: skip
    findings = _check_text(tmp_path / "a.csv", *lines)
    assert set(findings.rows["disposition"]) == {"blocked"}
    assert "second-header" in _rules(findings, "error")


def test_a_second_line_of_a_header_is_no_other_table(tmp_path: Path) -> None:
    """A header in two languages, line below line."""
    rows = [["Image ID", "Project ID", "Note", "Decision"],
            ["Image-Kennung", "Projekt-ID", "Bemerkung", "Entscheidung"], FIRST]  # fmt: skip
    findings = check(read_inventory(by_csv(tmp_path / "a.csv", rows)))
    assert findings.rows["disposition"].tolist() == ["planned"]


def test_many_rows_without_an_id_hide_no_header(tmp_path: Path) -> None:
    """Among thousands of rows with names for images a second header is found as well."""
    rows = [HEADER, *[[f"web{i}", PROJECT, "", "accepted"] for i in range(1500)],
            ["Project ID", "Image ID", "Remark", "Status"], SECOND]  # fmt: skip
    findings = check(read_inventory(by_csv(tmp_path / "a.csv", rows)))
    assert _of_rule(findings, "second-header")["value"].tolist() == ["row 1502"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([TOP, GOOD, f'{OTHER},{PROJECT},",accepted', f'{IMAGE},{PROJECT},",rejected', GOOD],
         "lines 3 to 4"),
        ([TOP, f'{OTHER},{PROJECT},"see,accepted', GOOD, f'{IMAGE},{PROJECT},owner",rejected'],
         "lines 2 to 4"),
        ([TOP, f'"{OTHER},{PROJECT},see,accepted', f'{IMAGE},{PROJECT},x,rejected"'],
         "lines 2 to 3"),
        (["sep=,", TOP, f'{OTHER},{PROJECT},"a', 'b",accepted', f'{OTHER},{PROJECT},",accepted',
          f'{IMAGE},{PROJECT},",rejected'], "lines 5 to 6"),
        ([TOP, f'{OTHER},{PROJECT},",accepted,"'], "line 2"),
        (["project_id,image_id,remark,status,note", f'{PROJECT},{IMAGE},,accepted,"x',
          f'{PROJECT}",{OTHER},,rejected,'], "lines 2 to 3"),
    ],
)  # fmt: skip
def test_a_stray_quotation_mark_is_an_error_that_names_its_lines(
    lines: list[str], told: str, tmp_path: Path
) -> None:
    """Ditto marks, quotes at line starts and in the last column; no row in the range is planned."""
    findings = _check_text(tmp_path / "a.csv", *lines)
    stray = _of_rule(findings, "stray-quotation-mark")
    assert told + " of the file" in stray["message"].item()
    assert findings.rows.loc[stray["row_key"], "disposition"].tolist() == ["blocked"]


def test_honest_line_breaks_pass(tmp_path: Path) -> None:
    """Remarks of several lines, with commas, an ID in their midst, and single quotes pass."""
    text = f"Dear all,\nplease, as agreed, accept\r\nsee {OTHER} too\nthanks, Ann"
    lines = [TOP, f'{IMAGE},{PROJECT},"{text}",accepted',
             f"{OTHER},{PROJECT},'tis ok 15\" disk,rejected"]  # fmt: skip
    findings = _check_text(tmp_path / "a.csv", *lines)
    assert findings.rows["disposition"].tolist() == ["planned"] * 2
    assert findings.frame.empty


def test_rows_swallowed_above_or_in_the_header_block_the_sheet(tmp_path: Path) -> None:
    """A quotation mark in a title that closes in a row further down."""
    lines = ['"Shares of May', TOP, GOOD, f'"x,{PROJECT},y,accepted', TOP, GOOD]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([*lines[:3], 'end"', *lines[4:]]) + "\n", encoding="utf-8")
    findings = check(read_inventory(path))
    assert findings.rows["disposition"].tolist() == ["blocked"]
    assert _of_rule(findings, "stray-quotation-mark")["value"].tolist() == ["lines 1 to 4"]


@pytest.mark.parametrize("gap", [";", "\n", ", ", " and ", "/"])
def test_several_ids_in_a_cell_are_called_so(gap: str, tmp_path: Path) -> None:
    """One error says so and how to split them, in place of a wrong format."""
    rows = [HEADER, [f"{IMAGE}{gap}{OTHER}", PROJECT, "", "accepted"],
            [IMAGE, f"{PROJECT}{gap}{PROJECT[::-1]}", "", "accepted"]]  # fmt: skip
    findings = check(read_inventory(by_openpyxl(tmp_path / "a.xlsx", rows)))
    assert findings.frame[["rule", "field"]].to_numpy().tolist() == [
        ["several-ids", "image_id"],
        ["several-ids", "project_id"],
    ]
    assert "2 IDs" in findings.frame["message"][0]
    assert "a row of its own" in findings.frame["suggestion"][0]


_CELL = st.sampled_from(
    ["", "as agreed", '"', '"x', 'x"', '15" disk', '""', "a, b", '"a, b"', "'x'"]
)


@settings(deadline=None, max_examples=75)
@given(
    st.lists(
        st.tuples(_CELL, _CELL, st.sampled_from(["accepted", "rejected"])), min_size=2, max_size=7
    ),
    st.permutations(range(5)),
    st.sampled_from([",", ";", "\t"]),
)
def test_no_written_row_is_lost_to_quotation_marks(
    rows: list[tuple[str, str, str]], order: list[int], delimiter: str
) -> None:
    """Every line is read as it was written, or an error names it."""
    names = ["image_id", "project_id", "remark", "note", "status"]
    lines = [delimiter.join(names[i] for i in order)]
    for number, (remark, note, status) in enumerate(rows):
        cells = [str(uuid.UUID(int=(number + 1) << 70)), PROJECT, remark, note, status]
        lines.append(delimiter.join(cells[i] for i in order))
    text = "\n".join(lines) + "\n"
    blob = Blob("a.csv", text.encode())
    sheets = [find_rows(blob, raw, {}, {}) for raw in read_sheets(blob)]
    findings = check(_inventory(sheets, (), NOTHING))
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    ends = [0, *(reader.line_num for _ in reader)]
    named: set[int] = set()
    frame = findings.frame[findings.frame["severity"] == "error"]
    for message, row in zip(frame["message"], frame["row"], strict=True):
        found = re.search(r"lines? ([0-9]+)(?: to ([0-9]+))? of the file", message)
        first, last = (found[1], found[2] or found[1]) if found else (ends[row - 1] + 1, ends[row])
        named |= set(range(int(first), int(last) + 1))  # a record's number, unless lines are named
    read = findings.rows[findings.rows["disposition"] == "planned"]
    for number, (_, _, status) in enumerate(rows):
        image = str(uuid.UUID(int=(number + 1) << 70))
        planned = read.loc[read["image_id"] == image, "status"].tolist()
        assert planned == [status] or (not planned and number + 2 in named), lines


def test_a_header_in_unknown_words_blocks_the_sheet(tmp_path: Path) -> None:
    """Words that nobody knows, all different, between shares are a header: all below may differ."""
    lines = [TOP, GOOD, "Bildchen,Vorhaben,Notiz,Ist", f"{OTHER},{PROJECT},x,accepted"]
    findings = _check_text(tmp_path / "a.csv", *lines)
    assert _of_rule(findings, "second-header")["severity"].tolist() == ["error"]
    assert "planned" not in findings.rows["disposition"].tolist()
    (tmp_path / "b.csv").write_text(
        f"Image ID,Decision\n{IMAGE},accepted\nBild,Ist\n{OTHER},rejected\n"
    )
    given = read_inventory(tmp_path / "b.csv", defaults={"project_id": PROJECT})
    assert "planned" not in check(given).rows["disposition"].tolist()


@pytest.mark.parametrize("line", ["tbd,tbd,tbd,tbd", "see mail,Payments,x,accepted", "x,,,"])
def test_an_odd_row_between_shares_is_no_header(line: str, tmp_path: Path) -> None:
    """A row with the same word everywhere, with a decision, or with gaps blocks itself alone."""
    findings = _check_text(tmp_path / "a.csv", TOP, GOOD, line, f"{OTHER},{PROJECT},x,rejected")
    assert _of_rule(findings, "second-header").empty
    assert findings.rows["disposition"].tolist().count("planned") == 2
