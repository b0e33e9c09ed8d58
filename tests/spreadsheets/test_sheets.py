"""Sheets, headers, hidden and merged cells: which rows are read, and what is said about them."""

from __future__ import annotations

import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xlsxwriter
import xlwt
from click.testing import CliRunner
from odf.opendocument import OpenDocumentSpreadsheet, load
from odf.style import Style, TableColumnProperties, TableRowProperties
from odf.table import Table, TableColumn, TableRow

import sharekit
from sharekit.core.columns import EncodedColumn
from sharekit.core.errors import InputError, SpreadsheetError, UsageError
from sharekit.core.fields import FIELDS
from sharekit.interfaces.cli.main import cli
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.corpus.make import line, ods, typed
from tests.spreadsheets.workbooks import (
    IMAGE,
    OTHER,
    PROJECT,
    Formula,
    Rows,
    by_csv,
    by_odfpy,
    by_openpyxl,
    by_xlsxwriter,
    by_xlwt,
    convert,
)

HEADER = ["image_id", "project_id", "status"]
ROW = [IMAGE, PROJECT, "accepted"]


def book_of(path: Path, **sheets: Rows) -> Path:
    """A workbook of several sheets."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def marked(inventory: Inventory, rule: str) -> pd.DataFrame:
    """The cells' issues of one rule."""
    return inventory.cell_issues[inventory.cell_issues["rule"] == rule]


def repacked(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The same archive with its members changed."""
    target = path.with_name("changed" + path.suffix)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            new.writestr(item, change(item.filename, old.read(item)))
    return target


def test_all_sheets_and_files_make_one_inventory(tmp_path: Path) -> None:
    """Rows keep the order of files and sheets; a column that a sheet lacks is blank there."""
    book = book_of(
        tmp_path / "a.xlsx",
        One=[HEADER, ROW],
        Notes=[["nothing to see"]],
        Two=[["Status", "Ticket", "Image ID", "Project ID"], ["rejected", "T-1", OTHER, PROJECT]],
    )
    table = by_csv(tmp_path / "b.csv", [[*HEADER, "Ticket"], [*ROW, "T-2"]])
    inventory = read_inventory(book, table)
    rows = inventory.rows
    assert rows.index.tolist() == [0, 1, 2]
    assert rows.index.name == "row_key"
    assert rows["file"].tolist() == [str(book), str(book), str(table)]
    assert rows["sheet"].tolist() == ["One", "Two", ""]
    assert rows["image_id"].tolist() == [IMAGE, OTHER, IMAGE]
    assert rows["input.Ticket"].tolist() == ["", "T-1", "T-2"]
    assert inventory.cell_addresses(rows, "image_id").tolist() == ["A2", "C2", "A2"]
    assert [source.header_row for source in inventory.sources] == [1, 0, 1, 1]
    assert rows["source"].tolist() == [0, 2, 3]
    note = marked(inventory, "sheet-without-header")
    assert note[["row_key", "source", "value"]].values.tolist() == [[-1, 1, "Notes"]]


def test_the_schema_is_what_is_promised(tmp_path: Path) -> None:
    """Types of all columns, and of the cells' issues, hold with and without issues."""
    for status in ("accepted", True):
        path = book_of(tmp_path / f"{status}.xlsx", S=[HEADER, [IMAGE, PROJECT, status]])
        inventory = read_inventory(path)
        types = inventory.rows.dtypes.astype(str)
        assert types[["file", "sheet"]].tolist() == ["category", "category"]
        assert types[["row", "source"]].tolist() == ["int64", "int32"]
        assert set(types.drop(["file", "sheet", "row", "source"])) == {"str"}
        assert list(inventory.rows.columns[4:12]) == list(FIELDS)
        assert inventory.cell_issues.dtypes.astype(str).tolist() == [
            "str",
            "int64",
            "int32",
            "str",
            "str",
            "str",
        ]
        assert not inventory.rows.isna().any(axis=None)


def test_fields_and_input_columns_share_their_memory(tmp_path: Path) -> None:
    """A field is the input column itself, not a copy of it."""
    rows = read_inventory(by_openpyxl(tmp_path / "a.xlsx", [HEADER, ROW])).rows

    codes = [EncodedColumn.encode(rows[name]).codes for name in ("image_id", "input.image_id")]
    assert np.shares_memory(*codes)


def test_named_sheets_only(tmp_path: Path) -> None:
    """Only the sheets that are named are read, whatever the case of their letters."""
    path = book_of(tmp_path / "a.xlsx", One=[HEADER, ROW], Two=[HEADER, ROW, ROW])
    assert len(read_inventory(path, sheet="two")) == 2
    assert len(read_inventory(path, sheet=["One", "Two"])) == 3


def test_a_sheet_that_is_not_there(tmp_path: Path) -> None:
    """The message lists the sheets there are."""
    path = book_of(tmp_path / "a.xlsx", One=[HEADER, ROW], Two=[HEADER, ROW])
    for wanted in ("Three", ["One", "Three"]):
        with pytest.raises(InputError, match=r"Three.*One, Two"):
            read_inventory(path, sheet=wanted)
    with pytest.raises(InputError, match="have no sheets"):
        read_inventory(by_csv(tmp_path / "a.csv", [HEADER, ROW]), sheet="One")


def test_a_named_sheet_without_header_is_refused(tmp_path: Path) -> None:
    """Naming a sheet says that it matters, so leaving it out would be wrong."""
    path = book_of(tmp_path / "a.xlsx", One=[HEADER, ROW], Two=[["Picture", "Room"], [1, 2]])
    with pytest.raises(SpreadsheetError, match=r"sheet Two.*Picture, Room.*columns={"):
        read_inventory(path, sheet=["One", "Two"])


def test_no_header_anywhere(tmp_path: Path) -> None:
    """The message tells what was seen, what is expected, and the way out."""
    path = by_csv(tmp_path / "a.csv", [["Picture", "Room"], ["x", "y"]])
    with pytest.raises(SpreadsheetError, match=r"Picture, Room.*image_id.*columns={"):
        read_inventory(path)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (["ID", "Name", "Status"], {"image_id": "ID", "name": "Name", "status": "Status"}),
        (
            ["Image ID", "Member ID", "Status"],
            {"image_id": "Image ID", "project_id": "Member ID", "status": "Status"},
        ),
        (
            ["ID", "Image ID", "Project", "Project ID"],
            {"image_id": "Image ID", "project_id": "Project ID"},
        ),
        (
            [" IMAGE-UUID * ", "tenant.id:", "New Status", "CBR vault ID", "Full-ECS image"],
            {
                "image_id": " IMAGE-UUID * ",
                "project_id": "tenant.id:",
                "status": "New Status",
                "vault_id": "CBR vault ID",
                "whole_image": "Full-ECS image",
            },
        ),
        (
            ["image", "__whole_image", "Shared by", "Region", "Image name", "Status", "Decision"],
            {
                "image_id": "image",
                "status": "Decision",
                "whole_image": "__whole_image",
                "region": "Region",
                "name": "Image name",
                "owner": "Shared by",
            },
        ),
        (
            ["ID", "Name", "Disk Format", "Container Format", "Visibility", "Project"],
            {"image_id": "ID", "name": "Name", "owner": "Project"},
        ),
    ],
)
def test_headers_are_known_by_their_synonyms(
    headers: list[str], found: dict[str, str], tmp_path: Path
) -> None:
    """The more specific header wins, wherever it stands; the rest stays as input."""
    for order in (1, -1):
        ordered = headers[::order]
        path = by_openpyxl(tmp_path / f"{order}.xlsx", [ordered, ["x"] * len(headers)])
        inventory = read_inventory(path)
        assert dict(inventory.sources[0].columns) == found
        assert [f"input.{h}" for h in ordered] == list(inventory.rows.columns[12:])


def test_the_header_row_is_the_one_that_names_most(tmp_path: Path) -> None:
    """A legend above that also says "ID" is not taken for the header."""
    rows = [["ID", "means the image"], [], [None, *HEADER], [None, *ROW]]
    inventory = read_inventory(by_openpyxl(tmp_path / "a.xlsx", rows))
    assert inventory.sources[0].header_row == 3
    assert inventory.cell_addresses(inventory.rows, "image_id").tolist() == ["B4"]


@pytest.mark.parametrize("write", [by_openpyxl, by_xlsxwriter, by_xlwt, by_odfpy])
def test_a_table_may_begin_anywhere(write: Callable[[Path, Rows], Path], tmp_path: Path) -> None:
    """Column letters and row numbers are the sheet's, though the table begins at D5."""
    suffix = {by_xlwt: "xls", by_odfpy: "ods"}.get(write, "xlsx")
    rows = [[], [], [], [], [None] * 3 + HEADER, [None] * 3 + ROW]
    inventory = read_inventory(write(tmp_path / f"a.{suffix}", rows))
    assert inventory.cell_addresses(inventory.rows, "status").tolist() == ["F6"]


def test_blank_and_repeated_headers_get_names(tmp_path: Path) -> None:
    """No original column is lost or overwritten; a column of nothing is left out."""
    rows = [
        ["Ticket", "", "image_id", "Ticket", "Ticket (2)", "", ""],
        ["a", "b", IMAGE, "c", "d", "", "e"],
    ]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows))
    assert inventory.rows.filter(like="input.").iloc[0].to_dict() == {
        "input.Ticket": "a",
        "input.(column B)": "b",
        "input.image_id": IMAGE,
        "input.Ticket (2)": "c",
        "input.Ticket (2) (2)": "d",
        "input.(column G)": "e",
    }


def test_columns_are_mapped_by_name(tmp_path: Path) -> None:
    """A mapping beats every synonym, and "" takes a column out of the game."""
    rows = [["Image ID", "AMI", "Status"], [OTHER, IMAGE, "accepted"]]
    path = by_csv(tmp_path / "a.csv", rows)
    mapped = read_inventory(path, columns={"image_id": "ami", "status": ""})
    assert mapped.rows["image_id"].tolist() == [IMAGE]
    assert mapped.rows["status"].tolist() == [""]
    with pytest.raises(InputError, match=r"'Nope'.*status.*Image ID, AMI, Status"):
        read_inventory(path, columns={"status": "Nope"})
    with pytest.raises(SpreadsheetError, match="'Nope' to map image_id"):
        read_inventory(path, columns={"image_id": "Nope"})


def test_wrong_fields_are_named() -> None:
    """A field that does not exist is a mistake of the call, told with the fields there are."""
    for options in ({"columns": {"image": "x"}}, {"defaults": {"image": "x"}}):
        with pytest.raises(UsageError, match=r"'image'.*image_id"):
            read_inventory("a.csv", **options)
    with pytest.raises(UsageError, match="default"):
        read_inventory("a.csv", defaults={"image_id": IMAGE})
    with pytest.raises(UsageError, match="file"):
        read_inventory()


def test_defaults_fill_missing_columns_only(tmp_path: Path) -> None:
    """A default stands for a column that is missing, never for a blank cell, and is marked."""
    one = by_csv(tmp_path / "one.csv", [["ID"], [IMAGE]])
    two = by_csv(tmp_path / "two.csv", [["ID", "Project ID"], [OTHER, ""]])
    inventory = read_inventory(one, two, defaults={"project_id": PROJECT, "vault_id": ""})
    assert inventory.rows["project_id"].tolist() == [PROJECT, ""]
    used = marked(inventory, "default-used")
    assert used[["row_key", "source", "field", "value"]].values.tolist() == [
        [-1, 0, "project_id", PROJECT]
    ]
    assert inventory.cell_addresses(inventory.rows, "project_id").tolist() == ["", "B2"]


def test_the_state_of_an_image_is_no_decision(tmp_path: Path) -> None:
    """A status column of states is passed over for a default, or for the next candidate."""
    rows = [["ID", "Name", "Status"], [IMAGE, "x", "active"], [OTHER, "y", "Queued"]]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows), defaults={"status": "rejected"})
    assert inventory.rows["status"].tolist() == ["rejected", "rejected"]
    assert inventory.rows["input.Status"].tolist() == ["active", "Queued"]
    state = marked(inventory, "column-holds-image-state")
    assert state[["row_key", "field", "value"]].values.tolist() == [[-1, "status", "Status"]]
    rows = [[*row, word] for row, word in zip(rows, ["Action", "accept", "reject"], strict=True)]
    inventory = read_inventory(by_csv(tmp_path / "b.csv", rows))
    assert inventory.rows["status"].tolist() == ["accept", "reject"]
    inventory = read_inventory(tmp_path / "a.csv", columns={"status": "Status"})
    assert inventory.rows["status"].tolist() == ["", ""]


def test_a_column_with_one_decision_is_a_decision(tmp_path: Path) -> None:
    """States mixed with decisions are left for the checks to judge."""
    rows = [["ID", "Decision"], [IMAGE, "pending"], [OTHER, "accepted"]]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows))
    assert inventory.rows["status"].tolist() == ["pending", "accepted"]
    assert inventory.cell_issues.empty


def test_a_listing_of_members_holds_states(tmp_path: Path) -> None:
    """Pending beside accepted under "Status" is where shares stand; a mapping says otherwise."""
    rows = [
        ["Image ID", "Member ID", "Status"],
        [IMAGE, PROJECT, "pending"],
        [OTHER, PROJECT, "accepted"],
    ]
    file = by_csv(tmp_path / "a.csv", rows)
    assert read_inventory(file).rows["status"].tolist() == ["", ""]
    mapped = read_inventory(file, columns={"status": "Status"})
    assert mapped.rows["status"].tolist() == ["pending", "accepted"]
    given = read_inventory(file, columns={"status": ""}, defaults={"status": "rejected"})
    assert given.rows["status"].tolist() == ["rejected", "rejected"]


def test_a_default_that_a_column_overrules_is_told(tmp_path: Path) -> None:
    """Where a sheet has the column itself, the default is not used, and a mark says so."""
    rows = [["Image ID", "Decision"], [IMAGE, "accepted"]]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows), defaults={"status": "rejected"})
    assert inventory.rows["status"].tolist() == ["accepted"]
    assert marked(inventory, "default-unused")["field"].tolist() == ["status"]


@pytest.mark.parametrize(
    ("field", "value"), [("status", "maybe"), ("project_id", "xyz"), ("vault_id", "1-2")]
)
def test_a_default_must_be_legal(tmp_path: Path, field: str, value: str) -> None:
    """A default that no row could have is refused at once, by its name."""
    with pytest.raises(UsageError, match=f"default for {field}"):
        read_inventory(tmp_path / "a.csv", defaults={field: value})


@pytest.mark.parametrize(
    ("header", "cells", "found"),
    [
        (["Image ID", "Image ID"], [IMAGE, OTHER], [f"Image ID (2): {OTHER}"]),
        (["ID", "Image ID"], ["17", IMAGE], []),
        (["Image ID", "UUID"], [IMAGE, IMAGE.upper()], []),
        (["Image ID", "Status", "Action"], [IMAGE, "accepted", "Reject"], ["Action: Reject"]),
        (["Image ID", "Status", "Action"], [IMAGE, "accepted", "yes"], []),
        (["Image ID", "Project ID", "Project"], [IMAGE, PROJECT, "payments"], []),
    ],
)
def test_columns_that_disagree_are_marked(
    tmp_path: Path, header: list[str], cells: list[str], found: list[str]
) -> None:
    """A second column that could be meant is marked where it plainly says something else."""
    inventory = read_inventory(by_csv(tmp_path / "a.csv", [header, cells]))
    assert marked(inventory, "columns-disagree")["value"].tolist() == found


def hide_in_xlsx(path: Path) -> Path:
    """A filtered row, a hidden column, and two hidden sheets."""
    with xlsxwriter.Workbook(path) as book:
        for name in ("Shown", "Hidden", "Deep"):
            sheet = book.add_worksheet(name)
            for number, row in enumerate([HEADER, ROW, ROW, ROW]):
                sheet.write_row(number, 0, row)
        first, second, _ = book.worksheets()
        first.set_column("C:C", None, None, {"hidden": True})
        first.autofilter("A1:C4")
        first.set_row(2, None, None, {"hidden": True})
        second.hide()
    deep = openpyxl.load_workbook(path)  # old releases of xlsxwriter hide a sheet in one way alone
    deep["Deep"].sheet_state = "veryHidden"
    deep.save(path)
    return path


def hide_in_xls(path: Path) -> Path:
    """The same by xlwt."""
    book = xlwt.Workbook()
    for name, visibility in (("Shown", 0), ("Hidden", 1), ("Deep", 2)):
        sheet = book.add_sheet(name)
        sheet.visibility = visibility
        for number, row in enumerate([HEADER, ROW, ROW, ROW]):
            for column, text in enumerate(row):
                sheet.write(number, column, text)
        sheet.row(2).hidden = name == "Shown"
    book.save(str(path))
    return path


@pytest.mark.parametrize(("suffix", "hide"), [("xlsx", hide_in_xlsx), ("xls", hide_in_xls)])
def test_hidden_rows_and_sheets_count_and_are_marked(
    suffix: str, hide: Callable[[Path], Path], tmp_path: Path
) -> None:
    """What a filter hides is read all the same, and said."""
    inventory = read_inventory(hide(tmp_path / f"a.{suffix}"))
    assert len(inventory) == 9
    hidden = inventory.rows.loc[marked(inventory, "hidden-row")["row_key"]]
    assert hidden[["sheet", "row"]].astype(str).values.tolist() == [["Shown", "3"]]
    sheets = marked(inventory, "hidden-sheet")
    assert sheets[["row_key", "source", "value"]].values.tolist() == [
        [-1, 1, "Hidden"],
        [-1, 2, "Deep"],
    ]
    assert [source.hidden for source in inventory.sources] == [False, True, True]


def test_hidden_rows_in_opendocument(tmp_path: Path) -> None:
    """Filtered and repeated rows are found in ods as well, behind repeated blank ones."""
    path = by_odfpy(tmp_path / "a.ods", [HEADER, ROW, [], ROW, ROW])
    document = load(str(path))
    lines = document.getElementsByType(TableRow)
    lines[2].setAttribute("numberrowsrepeated", "3")
    lines[3].setAttribute("visibility", "filter")
    lines[3].setAttribute("numberrowsrepeated", "2")
    document.save(str(path))
    inventory = read_inventory(path)
    assert inventory.rows["row"].tolist() == [2, 6, 7, 8]
    assert marked(inventory, "hidden-row")["row_key"].tolist() == [1, 2]


@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_libreoffice_hides_as_we_read(tmp_path: Path) -> None:
    """Hidden rows and sheets survive LibreOffice's own formats."""
    source = hide_in_xlsx(tmp_path / "a.xlsx")
    for suffix in ("ods", "xls", "xlsx"):
        inventory = read_inventory(convert(source, tmp_path / f"b.{suffix}"))
        assert marked(inventory, "hidden-row")["row_key"].tolist() == [1]
        assert marked(inventory, "hidden-sheet")["value"].tolist() == ["Hidden", "Deep"]


def test_what_an_ods_keeps_of_other_files_is_no_sheet(tmp_path: Path) -> None:
    """Formulas that refer elsewhere leave a copy of what is there; nobody has a tab for it."""
    cells = line(*HEADER), line(*ROW)
    kept = "'file:///there/other.ods'#$Shares"
    extra = f'</table:table><table:table table:name="{kept}">{"".join(cells)}'
    path = ods(tmp_path / "a.ods", "".join(cells) + extra)
    inventory = read_inventory(path)
    assert inventory.rows["sheet"].tolist() == ["T0"]
    with pytest.raises(InputError, match="its sheets are T0"):
        read_inventory(path, sheet=kept)


def test_truth_and_time_in_an_ods_of_libreoffice_are_called_so(tmp_path: Path) -> None:
    """TRUE is kept there as a formula that gives 1, a time as a duration; a 1 that shows 1 is 1."""
    truth = (
        '<table:table-cell table:formula="of:={}()" office:value-type="float" office:value="{}">'
        "<text:p>{}</text:p></table:table-cell>"
    )
    cells = (truth.format("TRUE", 1, "WAHR"), truth.format("FALSE", 0, "FALSE"),
             truth.format("TRUE", 1, "1.00"), typed("time", "PT06H00M00S", "06:00"))  # fmt: skip
    rows = [line(IMAGE, PROJECT, cell) for cell in cells]
    twice = line(IMAGE, PROJECT, cells[0], more=' table:number-rows-repeated="2"')
    inventory = read_inventory(ods(tmp_path / "a.ods", "".join([line(*HEADER), *rows, twice])))
    marks = inventory.cell_issues.sort_values("row_key")
    assert marks[["rule", "value"]].values.tolist() == [
        ["boolean-cell", "TRUE"], ["boolean-cell", "FALSE"], ["number-cell", "1"],
        ["date-cell", "06:00:00"], ["boolean-cell", "TRUE"], ["boolean-cell", "TRUE"],
    ]  # fmt: skip


def flat_xls(path: Path) -> Path:
    """An xls with a row and a column of no size, and a row of the default height."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Flat")
    for number, cells in enumerate([HEADER, ROW, ROW]):
        for place, cell in enumerate(cells):
            sheet.write(number, place, cell)
    sheet.row(1).height, sheet.row(1).height_mismatch = 0, True
    sheet.col(2).width = 0
    book.save(str(path))
    return path


def flat_ods(path: Path) -> Path:
    """The same as an ods: sizes stand in styles."""
    by_odfpy(path, [HEADER, ROW, ROW])
    document = load(str(path))
    for family, name in (("row", "height"), ("column", "width")):
        style = Style(name=f"flat-{family}", family=f"table-{family}")
        made = TableRowProperties if family == "row" else TableColumnProperties
        style.addElement(made(**{f"{family}{name}": "0.00cm"}))
        document.automaticstyles.addElement(style)
    table = document.getElementsByType(Table)[0]
    document.getElementsByType(TableRow)[1].setAttribute("stylename", "flat-row")
    table.insertBefore(TableColumn(numbercolumnsrepeated=2), table.firstChild)
    table.insertBefore(TableColumn(stylename="flat-column"), table.childNodes[1])
    document.save(str(path))
    return path


@pytest.mark.parametrize("made", [flat_xls, flat_ods])
def test_sizes_of_nothing_hide_in_other_formats(
    made: Callable[[Path], Path], tmp_path: Path
) -> None:
    """A row without height and a column without width are told like hidden ones."""
    inventory = read_inventory(made(tmp_path / f"a.{made.__name__[5:]}"))
    assert len(inventory) == 2
    assert marked(inventory, "hidden-row")["row_key"].tolist() == [0]
    assert marked(inventory, "hidden-column")["field"].tolist() == ["status"]


def test_formulas_of_an_xls_that_show_nothing_are_named(tmp_path: Path) -> None:
    """Never calculated or of nothing: an xls does not tell, so a person is asked to look."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Old")
    lost = xlwt.Formula('"a"&"b"')
    for number, cells in enumerate([HEADER, ROW, [IMAGE, lost, "accepted"], [lost, lost, lost]]):
        for place, cell in enumerate(cells):
            sheet.write(number, place, cell)
    book.save(str(tmp_path / "a.xls"))
    inventory = read_inventory(tmp_path / "a.xls")
    assert inventory.rows["row"].tolist() == [2, 3]
    told = marked(inventory, "formula-ambiguous")[["field", "value"]].values.tolist()
    assert told == [["image_id", "A4"], ["project_id", "B3, B4"], ["status", "C4"]]


def test_merged_cells_are_marked_below_the_first(tmp_path: Path) -> None:
    """Cells that a merge leaves blank are marked with the value beside them; titles are not."""
    path = book_of(
        tmp_path / "a.xlsx",
        S=[["Title"], HEADER, [IMAGE, PROJECT, "accepted"], [OTHER], [IMAGE, PROJECT, "accepted"]],
    )
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    for area in ("A1:C1", "B3:C4"):
        sheet.merge_cells(area)
    book.save(path)
    merged = marked(read_inventory(path), "merged-cell")
    assert sorted(merged[["row_key", "field", "value"]].values.tolist()) == [
        [0, "status", PROJECT],
        [1, "project_id", PROJECT],
        [1, "status", PROJECT],
    ]


@pytest.mark.slow
@pytest.mark.needs("soffice")
def test_merged_cells_in_other_formats(tmp_path: Path) -> None:
    """Merges are told by xls and ods too."""
    path = book_of(tmp_path / "a.xlsx", S=[HEADER, ROW, [OTHER, None, "accepted"]])
    book = openpyxl.load_workbook(path)
    book.worksheets[0].merge_cells("B2:B3")
    book.save(path)
    for suffix in ("ods", "xls"):
        inventory = read_inventory(convert(path, tmp_path / f"b.{suffix}"))
        merged = marked(inventory, "merged-cell")
        assert merged[["row_key", "field", "value"]].values.tolist() == [[1, "project_id", PROJECT]]


def test_rows_of_white_space_are_blank(tmp_path: Path) -> None:
    """Blanks and no-break spaces fill no row; a lone remark does."""
    rows = [HEADER, ROW, [" ", "\u00a0", "\t"], ["", "", ""], ["", "", "x"], ROW]
    inventory = read_inventory(by_openpyxl(tmp_path / "a.xlsx", rows))
    assert inventory.rows["row"].tolist() == [2, 5, 6]
    assert inventory.sources[0].blank_rows == 2


def test_a_header_without_rows(tmp_path: Path) -> None:
    """A list without rows is refused in a friendly sentence; beside others it may be."""
    empty = by_csv(tmp_path / "a.csv", [HEADER, ["", "", ""]])
    with pytest.raises(InputError, match="no rows") as caught:
        read_inventory(empty)
    assert not isinstance(caught.value, SpreadsheetError)
    assert len(read_inventory(empty, by_csv(tmp_path / "b.csv", [HEADER, ROW]))) == 1


def test_a_wrong_dimension_hides_nothing(tmp_path: Path) -> None:
    """The dimension that a sheet claims is not believed."""
    path = by_openpyxl(tmp_path / "a.xlsx", [HEADER, ROW, ROW])

    def shrink(name: str, data: bytes) -> bytes:
        return re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:A1"', data)

    inventory = read_inventory(repacked(path, shrink))
    assert inventory.rows["row"].tolist() == [2, 3]
    assert inventory.rows["status"].tolist() == ["accepted", "accepted"]


def test_a_prefixed_vocabulary_is_looked_at_as_closely(tmp_path: Path) -> None:
    """Hidden rows are found when a program writes <x:row> for <row>."""
    path = hide_in_xlsx(tmp_path / "a.xlsx")

    def prefixed(name: str, data: bytes) -> bytes:
        if "worksheets/" not in name or name.endswith(".rels"):
            return data
        text = re.sub(rb"<(/?)(\w)", rb"<\1x:\2", data)
        return text.replace(b"xmlns=", b"xmlns:x=", 1).replace(b"<?x:xml", b"<?xml")

    inventory = read_inventory(repacked(path, prefixed), sheet="Shown")
    assert marked(inventory, "hidden-row")["row_key"].tolist() == [1]
    assert len(inventory) == 3


def test_words_between_two_chunks_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the inflated bytes are cut, the cheap look sees what there is."""
    path = hide_in_xlsx(tmp_path / "a.xlsx")
    for size in (1, 7, 16, 100, 333):
        monkeypatch.setattr("sharekit.spreadsheets.formats.workbooks.xlsx._CHUNK", size)
        inventory = read_inventory(path, sheet="Shown")
        assert marked(inventory, "hidden-row")["row_key"].tolist() == [1]


def test_macros_are_told_by_the_format(tmp_path: Path) -> None:
    """An xlsm is read like an xlsx, under its own name for it."""
    path = by_openpyxl(tmp_path / "a.xlsx", [HEADER, ROW])

    def macro(name: str, data: bytes) -> bytes:
        return data.replace(
            b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
            b"application/vnd.ms-excel.sheet.macroEnabled.main+xml",
        )

    assert read_inventory(repacked(path, macro)).sources[0].format == "xlsm"


def test_the_bytes_are_hashed_and_left_alone(tmp_path: Path) -> None:
    """Each source carries the digest and size of its file, which stays as it was."""
    path = by_openpyxl(tmp_path / "misnamed.csv", [HEADER, ROW])
    before = path.read_bytes()
    path.chmod(0o444)
    source = read_inventory(path).sources[0]
    assert source.sha256 == hashlib.sha256(before).hexdigest()
    assert source.size == len(before)
    assert source.format == "xlsx"
    assert path.read_bytes() == before


@pytest.mark.parametrize("write", [by_csv, by_openpyxl])
def test_standard_input(
    write: Callable[[Path, Rows], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash reads bytes from standard input, text or workbook."""
    data = write(tmp_path / "a", [HEADER, ROW]).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    inventory = read_inventory("-")
    assert inventory.rows["image_id"].tolist() == [IMAGE]
    assert inventory.sources[0].file == "standard input"


def test_addresses_follow_any_selection(tmp_path: Path) -> None:
    """A selection in another order gets its own addresses, on its own index."""
    one = book_of(tmp_path / "a.xlsx", S=[HEADER, ROW, ROW])
    two = book_of(tmp_path / "b.xlsx", S=[HEADER[::-1], ROW[::-1]])
    inventory = read_inventory(one, two)
    some = inventory.rows.loc[[2, 0]]
    addresses = inventory.cell_addresses(some, "image_id")
    assert addresses.to_dict() == {2: "C2", 0: "A2"}
    assert inventory.cell_addresses(some.iloc[:0], "image_id").empty


def test_the_notebook_shows_no_markup_of_the_data(tmp_path: Path) -> None:
    """Names from the sheet are shown, never run, and cannot turn the line around."""
    name = "<img src=x onerror=alert(1)>\u202e"
    path = by_csv(tmp_path / "a.csv", [[*HEADER, "name", name], [*ROW, name, ""]])
    inventory = read_inventory(path)
    shown = inventory._repr_html_()
    assert "<img" not in shown
    assert "\u202e" not in shown
    assert "[U+202E]" in shown
    assert repr(inventory) == "<Inventory: 1 row from 1 sheet of 1 file>"
    assert len(inventory) == 1


@pytest.mark.slow
def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    """A long list keeps every row in its place, with its one damaged cell found."""
    count = 100_000
    digits = np.random.default_rng(1).integers(0, 1 << 32, (count, 4))
    images = [f"{a:08x}-{b >> 16:04x}-{b & 65535:04x}-{c >> 16:04x}-{c & 65535:04x}{d:08x}"
              for a, b, c, d in digits.tolist()]  # fmt: skip
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        for number, image in enumerate(images, start=1):
            sheet.write_string(number, 0, image)
            sheet.write(number, 1, 12 if number == 77_777 else PROJECT)
            sheet.write_string(number, 2, "accepted")
    inventory = read_inventory(path)
    assert inventory.rows["image_id"].tolist() == images
    assert inventory.rows["row"].tolist() == list(range(2, count + 2))
    damaged = marked(inventory, "number-cell")
    assert damaged[["row_key", "field", "value"]].values.tolist() == [[77_776, "project_id", "12"]]


def test_the_reader_of_ods_knows_nested_tables_apart(tmp_path: Path) -> None:
    """Several sheets of one OpenDocument keep their own hidden rows."""
    document = OpenDocumentSpreadsheet()
    for name in ("One", "Two"):
        part = load(str(by_odfpy(tmp_path / f"{name}.ods", [HEADER, ROW, ROW])))
        table = part.getElementsByType(Table)[0]
        table.setAttribute("name", name)
        if name == "Two":
            table.getElementsByType(TableRow)[1].setAttribute("visibility", "collapse")
        document.spreadsheet.addElement(table)
    document.save(str(tmp_path / "a.ods"))
    inventory = read_inventory(tmp_path / "a.ods")
    assert marked(inventory, "hidden-row")["row_key"].tolist() == [2]


def test_an_empty_result_that_was_saved_is_a_blank(tmp_path: Path) -> None:
    """A formula that gave "" is no formula without a result, as Excel saves the two."""
    path = by_openpyxl(tmp_path / "a.xlsx", [[*HEADER, "Vault"], [*ROW, Formula('=""')]])
    assert marked(read_inventory(path), "formula-without-value")["field"].tolist() == ["vault_id"]

    def saved(name: str, data: bytes) -> bytes:
        return data.replace(b'<c r="D2">', b'<c r="D2" t="str">')

    inventory = read_inventory(repacked(path, saved))
    assert inventory.rows["vault_id"].tolist() == [""]
    assert inventory.cell_issues.empty


def test_shares_above_the_header_block_their_sheet(tmp_path: Path) -> None:
    """A list that was sorted with its header is no clean list of the rest: cells are named."""
    third = OTHER.replace("0", "1")
    rows = [["Shares"], ROW, [f' {{"{OTHER.upper()}"}}', PROJECT, "rejected"]]
    rows += [["1.2E+31", PROJECT, "accepted"], HEADER, [third, PROJECT, "accepted"]]
    for path in (by_csv(tmp_path / "a.csv", rows), by_openpyxl(tmp_path / "a.xlsx", rows)):
        findings = sharekit.check(read_inventory(path))
        line = findings.frame.iloc[0]
        assert line[["rule", "severity", "value"]].tolist() == [
            "rows-above-header", "error", "A2, A3, A4",
        ]  # fmt: skip
        assert findings.rows["disposition"].tolist() == ["blocked"]
    title = [["Run", "17"], ["Project", PROJECT], HEADER, [third, PROJECT, "accepted"]]
    assert sharekit.check(read_inventory(by_csv(tmp_path / "b.csv", title))).frame.empty


def test_a_sheet_left_out_with_shares_is_a_warning(tmp_path: Path) -> None:
    """Beside a good sheet, one without header is named if it holds an ID or a header too deep."""
    book = book_of(
        tmp_path / "a.xlsx",
        Good=[HEADER, ROW],
        Prose=[["nothing"], [f"see {IMAGE} above"]],
        Projects=[["Project ID", "Name"], [PROJECT, "one"]],
        Bare=[["x"], [None, IMAGE.replace("-", "")]],
        Deep=[*[["text"]] * 60, HEADER, ["…"]],
    )
    marks = read_inventory(book).cell_issues
    assert marks[["rule", "value"]].values.tolist() == [
        ["sheet-without-header", "Prose"],
        ["sheet-without-header", "Projects"],
        ["sheet-skipped", "Bare B2"],
        ["sheet-skipped", "Deep A61"],
    ]
    shown = CliRunner().invoke(cli, ["check", str(book)])
    assert "Bare B2" in shown.output
    assert "Deep A61" in shown.output


def test_a_header_too_deep_is_told_with_its_cell(tmp_path: Path) -> None:
    """That only the first rows are searched is said, with a mapping and without."""
    path = by_csv(tmp_path / "a.csv", [*[["text"]] * 60, HEADER, ROW])
    for columns in ({}, {"image_id": "image_id"}):
        with pytest.raises(SpreadsheetError, match=r"in A61, but only the first 50 rows"):
            read_inventory(path, columns=columns)
    path = by_csv(tmp_path / "b.csv", [["text"]] * 60)
    with pytest.raises(SpreadsheetError, match="in the first 50 rows"):
        read_inventory(path)
