"""Rows put into a workbook as columns: the same cells as if each had been written by itself."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from sharekit.core.columns import STR
from sharekit.core.errors import InputError
from sharekit.reports.render import xlsx
from sharekit.reports.run_document import run_document
from sharekit.reports.verification.compare import differences
from sharekit.spreadsheets.formats.raw_sheet import TEXT
from sharekit.spreadsheets.writing import fast_xlsx, review_sheet
from sharekit.spreadsheets.writing.review_sheet import read_review, write_review
from tests.reports.records import record, rows

NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
#: What could come alive, break XML, or be taken for Excel's own notation.
HOSTILE = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "|cmd", "＝1", "'=1",
    "=cmd|' /C calc'!A0", "<v>&amp;</v>", "]]>", "\x00\x01\x1f", "\ufffe", "_x0041_",
    "my_xml", " edged ", "\u202egpj", "🙂", "#N/A", "TRUE", "1e5",
)  # fmt: skip


def cells(path: Path, part: str) -> list[tuple[str | None, ...]]:
    """Return every cell of a sheet: address, style, type, text and whether blanks are kept."""
    with zipfile.ZipFile(path) as book:
        root = ElementTree.fromstring(book.read(f"xl/worksheets/{part}.xml"))
    found = []
    for cell in root.iter(f"{NAMESPACE}c"):
        text = "".join(piece.text or "" for piece in cell.iter() if piece is not cell)
        found.append((cell.get("r"), cell.get("s"), cell.get("t"), text))
    return found


def hostile(count: int) -> pd.DataFrame:
    """Return rows with every outcome whose free texts are hostile, some of them unique."""
    cycle = [HOSTILE[i % len(HOSTILE)] for i in range(count)]
    unique = [f"{text}{i}" if i % 3 else "" for i, text in enumerate(cycle)]
    return rows(count, reason=cycle, **{"input.Comment": unique, "input.=1+1": cycle})


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the layout that xlsxwriter writes one that is not known."""

    def refuse(*_: object) -> None:
        raise fast_xlsx.UnknownLayoutError

    monkeypatch.setattr(fast_xlsx, "insert_rows", refuse)


@pytest.mark.parametrize("count", [1, 3, 9_000])
def test_columns_make_the_cells_that_single_writing_makes(
    tmp_path: Path, count: int, request: pytest.FixtureRequest
) -> None:
    """Address, style, type and text of every cell are the same by either way, whatever the text."""
    it = record(table=hostile(count))
    xlsx.write(run_document(it), tmp_path / "fast.xlsx")
    request.getfixturevalue("unknown")
    xlsx.write(run_document(it), tmp_path / "slow.xlsx")
    for part in ("sheet2", "sheet3", "sheet5", "sheet6", "sheet7", "sheet4"):
        fast, slow = cells(tmp_path / "fast.xlsx", part), cells(tmp_path / "slow.xlsx", part)
        assert fast == slow, part
    assert len({style for _, style, _, _ in fast}) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fast.xlsx", "slow.xlsx"]


def test_either_way_passes_for_the_other(tmp_path: Path, unknown: None) -> None:
    """A report written cell by cell still is what the record says."""
    it = record(table=hostile(40))
    xlsx.write(run_document(it), tmp_path / "audit.xlsx")
    assert differences(it, tmp_path / "audit.xlsx") == []


@given(st.lists(st.text(st.sampled_from("_x0F41<&>\r\n\t \ufffeA") | st.characters(codec="utf-8"))))
def test_any_text_survives_the_escape(texts: list[str]) -> None:
    """What Excel's own reading rule makes of an escaped text is the text."""
    made = fast_xlsx.escape_texts(pa.array(texts, TEXT)).to_pylist()
    for text, escaped in zip(texts, made, strict=True):
        stored = ElementTree.fromstring(f"<t>{escaped}</t>").text or ""
        found = re.sub("_x([0-9A-Fa-f]{4})_", lambda one: chr(int(one[1], 16)), stored)
        assert found == text


def test_the_sheet_says_how_large_it_is(tmp_path: Path) -> None:
    """The dimension, the filter and the print title cover the rows that were put in."""
    xlsx.write(run_document(record(45)), tmp_path / "audit.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "audit.xlsx", read_only=True)["Rows"]
    assert sheet.calculate_dimension() == "A1:AA46"
    sheet = openpyxl.load_workbook(tmp_path / "audit.xlsx")["Rows"]
    assert sheet.auto_filter.ref == "A1:AA46"
    assert sheet.print_title_rows == "$1:$1"


def test_a_missing_directory_is_no_file(tmp_path: Path) -> None:
    """What xlsxwriter raises where it cannot write is the usual error, and nothing stays."""
    with pytest.raises(OSError, match="No such file"):
        xlsx.write(run_document(record(1)), tmp_path / "no" / "audit.xlsx")


def test_a_long_review_has_several_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions come back from every sheet, and a bad one is named with its sheet."""
    monkeypatch.setattr(review_sheet, "MAX_ROWS", 4)
    plan = rows(10)[["file", "sheet", "row", "image_id", "project_id", "status", "vault_id"]]
    extra = ("project_name", "name", "owner", "before", "disposition", "findings")
    plan = plan.assign(**dict.fromkeys(extra, "=1"))
    path = write_review(plan, tmp_path / "r.xlsx", fingerprint="0f" * 32)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Review", "Review (2)", "Review (3)", "Read me"]
    book["Review (2)"]["B2"], book["Review (3)"]["B3"] = "reject", "skip"
    book.save(path)
    taken = read_review(path, plan, fingerprint="0f" * 32)
    assert taken["decision"].to_dict() == {4: "reject", 9: "skip"}
    book["Review (2)"]["B2"] = "perhaps"
    book.save(path)
    with pytest.raises(InputError, match=r"Review \(2\)!B2 is no decision"):
        read_review(path, plan, fingerprint="0f" * 32)


def test_a_review_is_printed_so_that_it_can_be_read(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Long findings make rows higher, by either way of writing; the key is not on paper."""
    plan = rows(3)[["file", "sheet", "row", "image_id", "project_id", "status", "vault_id"]]
    extra = dict.fromkeys(("project_name", "name", "owner", "before", "disposition"), "")
    plan = plan.assign(**extra, findings=["", "short", "far too long for a line " * 4])
    write_review(plan, tmp_path / "fast.xlsx", fingerprint="0f" * 32)
    request.getfixturevalue("unknown")
    write_review(plan, tmp_path / "slow.xlsx", fingerprint="0f" * 32)
    for name in ("fast.xlsx", "slow.xlsx"):
        sheet = openpyxl.load_workbook(tmp_path / name)["Review"]
        assert [sheet.row_dimensions[row].height for row in (2, 3, 4)] == [None, None, 45]
        assert sheet["H4"].alignment.wrap_text
        assert sheet.print_area == "'Review'!$B$1:$M$4"
    assert cells(tmp_path / "fast.xlsx", "sheet1") == cells(tmp_path / "slow.xlsx", "sheet1")


@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_another_program_opens_it(tmp_path: Path) -> None:
    """LibreOffice shows every hostile text as it is (but for what it cannot hold itself)."""
    it = record(table=hostile(60))
    xlsx.write(run_document(it), tmp_path / "audit.xlsx")
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless",
         "--convert-to", "ods", "--outdir", str(tmp_path), str(tmp_path / "audit.xlsx")],
        check=True, capture_output=True,
    )  # fmt: skip
    found = pd.read_excel(tmp_path / "audit.ods", sheet_name="Rows", dtype=STR,
                          engine="calamine", keep_default_na=False)  # fmt: skip
    tame = [i for i, text in enumerate(it.rows["reason"]) if text.isprintable()]
    assert len(tame) > 30
    shown = found["reason"].iloc[tame].fillna("").str.strip().tolist()
    assert shown == it.rows["reason"].iloc[tame].str.strip().tolist()
