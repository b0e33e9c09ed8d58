"""Every format, by every program at hand: the same sheet gives the same rows."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharekit.core.fields import FIELDS
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.workbooks import (
    DIGITS,
    IMAGE,
    NUMBER,
    OTHER,
    PROJECT,
    WRITERS,
    Error,
    Formula,
    Rows,
    by_csv,
    by_hand_xlsb,
    by_libreoffice,
    by_openpyxl,
    by_pyarrow,
    by_xlsxwriter,
    by_xlwt,
    convert,
)

HEADER = ["Image ID", "Project ID", "Status", "Remark"]
SHEET: Rows = [
    ["Shares of July"],
    [],
    HEADER,
    [IMAGE, PROJECT, "accepted", "first"],
    [OTHER, DIGITS, "rejected"],
    [],
    [f" {IMAGE.upper()}\u00a0", PROJECT, "Accept", "=1+1"],
]
WHEN = dt.datetime(2026, 7, 1, 9, 30)
TYPED: Rows = [
    HEADER,
    [IMAGE, NUMBER, True, 7.0],
    [OTHER, PROJECT, WHEN, WHEN],
    [DIGITS, DIGITS, "accepted", True],
]
everywhere = pytest.mark.parametrize("program", WRITERS)


def written(program: str, folder: Path, rows: Rows) -> Path:
    """The sheet as that program writes it."""
    suffix, write = WRITERS[program]
    return write(folder / f"shares.{suffix}", rows)


def seen(inventory: Inventory) -> list[tuple[str, str, str]]:
    """The marks of rows as (rule, field, address)."""
    marks = inventory.cell_issues[inventory.cell_issues["row_key"] >= 0]
    rows = inventory.rows.loc[marks["row_key"]]
    return sorted(
        (mark.rule, mark.field, inventory.cell_addresses(rows.iloc[[i]], mark.field).iloc[0])
        for i, mark in enumerate(marks.itertuples())
    )


@everywhere
def test_rows_fields_and_addresses_are_the_same_in_every_format(
    program: str, tmp_path: Path
) -> None:
    """Titles and blank rows shift nothing, and no value is changed on the way."""
    inventory = read_inventory(written(program, tmp_path, SHEET))
    rows = inventory.rows
    assert rows["row"].tolist() == [4, 5, 7]
    assert rows["image_id"].tolist() == [IMAGE, OTHER, f" {IMAGE.upper()}\u00a0"]
    assert rows["project_id"].tolist() == [PROJECT, DIGITS, PROJECT]
    assert rows["status"].tolist() == ["accepted", "rejected", "Accept"]
    assert rows["input.Remark"].tolist() == ["first", "", "=1+1"]
    assert inventory.cell_addresses(rows, "project_id").tolist() == ["B4", "B5", "B7"]
    assert inventory.column_headers(rows, "project_id").unique().tolist() == ["Project ID"]
    assert inventory.cell_addresses(rows, "vault_id").tolist() == ["", "", ""]
    assert set(inventory.cell_issues["rule"]) <= {"appearance-unread"}
    source = inventory.sources[0]
    assert (source.format, source.header_row, source.rows, source.blank_rows) == (
        WRITERS[program][0],
        3,
        3,
        1,
    )


@everywhere
def test_cells_that_are_no_text_are_found_by_type(program: str, tmp_path: Path) -> None:
    """Numbers, dates and truth values in text columns are marked; digits typed as text are not."""
    rows = TYPED
    if program == "xlsb":  # dates are numbers with a style, and this file has no styles
        rows = [[0.5 if cell is WHEN else cell for cell in row] for row in TYPED]
    inventory = read_inventory(written(program, tmp_path, rows))
    third = "number-cell" if program == "xlsb" else "date-cell"
    assert seen(inventory) == sorted(
        [
            ("number-cell", "project_id", "B2"),
            ("boolean-cell", "status", "C2"),
            (third, "status", "C3"),
        ]
    )
    values = inventory.cell_issues.set_index("rule")["value"]
    if program != "xlsb":
        assert values["number-cell"].startswith("1.23456789012345")
        assert values["date-cell"] == "2026-07-01 09:30:00"
    assert values["boolean-cell"] == "TRUE"


@pytest.mark.parametrize("program", ["openpyxl", "xlsxwriter", "xlwt", "xlsb"])
def test_an_error_cell_is_no_blank(program: str, tmp_path: Path) -> None:
    """An error in a field's column shows its text and is marked with its address."""
    rows = [HEADER, [IMAGE, Error(), "accepted"], [Error(), PROJECT, "accepted", Error()]]
    inventory = read_inventory(written(program, tmp_path, rows))
    assert inventory.rows["project_id"].tolist() == ["#N/A", PROJECT]
    assert inventory.rows["input.Remark"].tolist() == ["", "#N/A"]
    assert seen(inventory) == [
        ("error-cell", "image_id", "A3"),
        ("error-cell", "project_id", "B2"),
    ]


@pytest.mark.parametrize("program", ["openpyxl", "odfpy"])
def test_a_formula_without_result_is_no_blank(program: str, tmp_path: Path) -> None:
    """Rows of formulas that nobody calculated are rows, below the last value as well."""
    lost = Formula("=CONCATENATE([.Z1];1)" if program == "odfpy" else "=Z1&1")
    rows = [HEADER, [IMAGE, PROJECT, "accepted", lost], [OTHER, lost], [lost, lost, lost]]
    inventory = read_inventory(written(program, tmp_path, rows))
    assert inventory.rows["row"].tolist() == [2, 3, 4]
    assert inventory.rows["image_id"].tolist() == [IMAGE, OTHER, ""]
    assert seen(inventory) == [
        ("formula-without-value", "image_id", "A4"),
        ("formula-without-value", "project_id", "B3"),
        ("formula-without-value", "project_id", "B4"),
        ("formula-without-value", "status", "C4"),
    ]


def test_a_saved_result_counts_as_the_value(tmp_path: Path) -> None:
    """A formula whose result was saved reads like text."""
    rows = [HEADER, [Formula("=Z1", IMAGE), PROJECT, "accepted"]]
    inventory = read_inventory(by_xlsxwriter(tmp_path / "shares.xlsx", rows))
    assert inventory.rows["image_id"].tolist() == [IMAGE]
    assert inventory.cell_issues.empty


def test_parquet_counts_from_under_a_header(tmp_path: Path) -> None:
    """The first record is row 2, nulls are blanks, and a numeric column is marked by its type."""
    rows = [["image_id", "tenant", "n"], [IMAGE, 7, [1]], [None, None, None], [OTHER, 8, [2, 3]]]
    inventory = read_inventory(by_pyarrow(tmp_path / "shares.parquet", rows))
    assert inventory.rows["row"].tolist() == [2, 4]
    assert inventory.rows["project_id"].tolist() == ["7", "8"]
    assert inventory.rows["input.n"].tolist() == ["[1]", "[2, 3]"]
    assert seen(inventory) == [
        ("number-cell", "project_id", "B2"),
        ("number-cell", "project_id", "B4"),
    ]


def test_text_in_parquet_is_text_whatever_its_digits(tmp_path: Path) -> None:
    """Digits in a text or dictionary column are no number."""
    frame = pd.DataFrame({"ID": [IMAGE, OTHER], "Project": pd.Categorical([DIGITS, PROJECT])})
    frame.to_parquet(tmp_path / "shares.parquet")
    inventory = read_inventory(tmp_path / "shares.parquet")
    assert inventory.rows["project_id"].tolist() == [DIGITS, PROJECT]
    assert inventory.cell_issues.empty


@pytest.mark.parametrize("suffix", ["xlsx", "xls", "ods"])
@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_libreoffice_writes_what_is_read(suffix: str, tmp_path: Path) -> None:
    """What LibreOffice saves gives the same rows, types, errors and addresses."""
    rows = [
        *SHEET,
        [IMAGE, NUMBER, "accepted"],
        [Formula("=NA()"), PROJECT, WHEN],
        [Formula('="x"&"y"'), PROJECT, "accepted"],
    ]
    inventory = read_inventory(by_libreoffice(tmp_path / f"shares.{suffix}", rows))
    assert inventory.sources[0].format == suffix
    assert inventory.rows["row"].tolist() == [4, 5, 7, 8, 9, 10]
    assert inventory.rows["image_id"].tolist() == [
        IMAGE,
        OTHER,
        f" {IMAGE.upper()}\u00a0",
        IMAGE,
        "#N/A",
        "xy",
    ]
    assert seen(inventory) == [
        ("date-cell", "status", "C9"),
        ("error-cell", "image_id", "A9"),
        ("number-cell", "project_id", "B8"),
    ]


@pytest.mark.parametrize("suffix", ["xlsx", "ods"])
@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_cells_that_refer_to_each_other_are_errors(suffix: str, tmp_path: Path) -> None:
    """A circle of formulas has no value, calculated or not, and each of its cells is named."""
    rows = [["ID", "Project ID"], [Formula("=A3"), PROJECT], [Formula("=A2"), PROJECT]]
    source = by_openpyxl(tmp_path / "source.xlsx", rows)
    assert seen(read_inventory(source)) == [
        ("formula-without-value", "image_id", place) for place in ("A2", "A3")
    ]
    found = seen(read_inventory(convert(source, tmp_path / f"a.{suffix}")))
    assert found == [("error-cell", "image_id", place) for place in ("A2", "A3")]


@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_the_xlsb_of_these_tests_is_one(tmp_path: Path) -> None:
    """LibreOffice, which knows nothing of us, reads the same rows from the binary workbook."""
    source = by_hand_xlsb(tmp_path / "shares.xlsb", SHEET)
    other = convert(source, tmp_path / "other.xlsx")
    ours, theirs = read_inventory(source).rows, read_inventory(other).rows
    pd.testing.assert_frame_equal(
        ours.drop(columns=["file", "sheet"]), theirs.drop(columns=["file", "sheet"])
    )


# What XML 1.0 and the formats themselves cannot carry unchanged is left out of the alphabet, and
# so are texts of blanks alone, which openpyxl writes in a way that lets readers drop them.
TEXTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="_"), max_size=12
).filter(lambda text: not text or bool(text.strip()))
IDS = st.text("0123456789abcdefe-", min_size=1, max_size=36)
INVENTORIES = st.lists(
    st.tuples(IDS, *[st.one_of(TEXTS, IDS)] * (len(FIELDS) - 1)), min_size=1, max_size=8
)


@settings(max_examples=25, deadline=None)
@given(INVENTORIES)
def test_any_text_survives_any_two_writers(lines: list[tuple[str, ...]]) -> None:
    """Whatever text stands in the cells is read back exactly, by four formats alike."""
    rows = [list(FIELDS), *map(list, lines)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            by_openpyxl(Path(folder, "a.xlsx"), rows),
            by_xlsxwriter(Path(folder, "b.xlsx"), rows),
            by_xlwt(Path(folder, "c.xls"), rows),
            by_csv(Path(folder, "d.csv"), rows),
        ]
        # The status column may happen to hold states only; here the cells are the subject.
        read = [read_inventory(path, columns={"status": ""}).rows for path in paths]
    for frame in read:
        for field in set(FIELDS) - {"status"}:
            place = FIELDS.index(field)
            assert frame[field].tolist() == [line[place] for line in lines]
        assert frame["input.status"].tolist() == [line[2] for line in lines]
