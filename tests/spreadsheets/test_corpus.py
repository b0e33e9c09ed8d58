"""Odd workbooks that are kept, and random ones: the fast reader against slow, type-aware ones."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from sharekit.checks.check import check
from sharekit.core.fields import ID_FIELDS
from sharekit.spreadsheets.formats.raw_sheet import DialectError
from sharekit.spreadsheets.formats.workbooks.xlsx import SheetScan, parse_xlsx, scan_xlsx
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.corpus.make import MAIN, STRICT, make
from tests.spreadsheets.workbooks import IMAGE, OTHER, PROJECT

CORPUS = Path(__file__).parent / "corpus"
XLSX = sorted(CORPUS.glob("*.xlsx"))


def cells(inventory: Inventory, rule: str) -> list[str]:
    """Addresses of the cells that a rule marks."""
    marks = inventory.cell_issues[
        (inventory.cell_issues["rule"] == rule) & (inventory.cell_issues["row_key"] >= 0)
    ]
    rows = inventory.rows.loc[marks["row_key"]]
    found = inventory.cell_addresses(rows, marks["field"].to_numpy(object))
    return sorted(found)


def test_the_corpus_is_what_its_script_writes(tmp_path: Path) -> None:
    """The committed workbooks come from the script beside them, byte for byte, and are small."""
    make(tmp_path)
    kept = {path.name: path.read_bytes() for path in CORPUS.iterdir() if path.suffix != ".py"
            and path.is_file()}  # fmt: skip
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept.keys() == made.keys()
    # The version of the parquet writer stands in its files.
    stable = [name for name in kept if not name.endswith((".parquet", ".xlsb"))]
    assert [name for name in stable if kept[name] != made[name]] == []
    assert sum(map(len, kept.values())) < 400_000


def known(path: Path) -> io.BytesIO:
    """The same workbook in the namespace of the transitional kind: openpyxl knows no other."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(made, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name).replace(STRICT.encode(), MAIN.encode()))
    return made


@pytest.mark.filterwarnings("ignore:Workbook contains no default style")
@pytest.mark.parametrize("path", XLSX, ids=lambda path: path.name)
def test_every_id_is_as_openpyxl_sees_it_or_an_error(path: Path) -> None:
    """Text is the same text; whatever else stands in an ID's cell is marked with its address."""
    inventory = read_inventory(path)
    marks = inventory.cell_issues[inventory.cell_issues["row_key"] >= 0]
    spoiled = set(zip(marks["row_key"], marks["field"], strict=True))
    book = openpyxl.load_workbook(known(path), data_only=True)
    for field in (*ID_FIELDS, "status"):
        places = inventory.cell_addresses(inventory.rows, field)
        rows = inventory.rows[["sheet", field]].itertuples()
        for (key, sheet, text), place in zip(rows, places, strict=True):
            value = book[sheet][place].value if place else None
            if isinstance(value, str) and not value.startswith("#"):
                # As stored, _x0041_ is no legal ID; openpyxl never decodes it, the reader mostly.
                shown = {told.replace("\r\n", "\n") for told in (value, unescape(value))}
                assert text.replace("\r\n", "\n") in shown, (path, place)
            elif isinstance(value, (bool, int, float, str, dt.date, dt.time, dt.timedelta)):
                assert (key, field) in spoiled, (path.name, place, value)
            else:
                assert text == ""


def both(data: bytes) -> tuple[SheetScan, SheetScan | None]:
    """The same sheet by the scan and by the parser; None if that refuses it."""
    scan = scan_xlsx(io.BytesIO(data), 1 << 20)
    try:
        return scan, parse_xlsx(io.BytesIO(data))
    except DialectError:
        return scan, None


def agree(quick: SheetScan, exact: SheetScan | None) -> None:
    """What both say of a sheet that looks plain must be the same."""
    assert exact is not None
    assert np.array_equal(quick.metadata.hidden_rows, exact.metadata.hidden_rows)
    assert quick.metadata.uncalculated == exact.metadata.uncalculated
    assert set(quick.metadata.merged) == set(exact.metadata.merged)
    assert quick.metadata.hidden_columns == exact.metadata.hidden_columns
    assert (quick.bottom, quick.right) == (exact.bottom, exact.right)
    assert (quick.filled, quick.merges) == (exact.filled, exact.merges)


@pytest.mark.parametrize("path", XLSX, ids=lambda path: path.name)
def test_the_scan_agrees_with_the_parser(path: Path) -> None:
    """On every sheet of the corpus, the scan says the same or asks for the parser."""
    with zipfile.ZipFile(path) as archive:
        sheets = [archive.read(n) for n in archive.namelist() if "worksheets/sheet" in n]
    scans = [both(sheet) for sheet in sheets]
    for quick, exact in scans:
        if quick.plain:
            agree(quick, exact)
    odd = ("bare.xlsx", "places.xlsx", "strings.xlsx")  # rich text in cells is not plain
    assert any(quick.plain for quick, _ in scans) or path.name in odd


def _cell(place: str, kind: str) -> str:
    return {
        "text": f'<c r="{place}" t="inlineStr"><is><t>hidden="1" #</t></is></c>',
        "number": f'<c r="{place}" s="1"><v>7</v></c>',
        "blank": f'<c r="{place}" s="1"/>',
        "lost": f'<c r="{place}"><f>A1&lt;2</f></c>',
        "lost too": f'<c r="{place}" t="n"><f ca="1">B2</f><v/></c>',
        "shared": f'<c r="{place}"><f t="shared" si="0"/><v></v></c>',
        "empty": f'<c r="{place}" t="str"><f>""</f><v></v></c>',
        "result": f'<c r="{place}" t="str"><f>""</f><v>x</v></c>',
        "quoted": f"<c r='{place}'><v>1</v></c>",
        "bare": "<c><v>1</v></c>",
    }[kind]


KINDS = ["text", "number", "blank", "lost", "lost too", "shared", "empty", "result"]
CELLS = st.dictionaries(
    st.sampled_from(["A", "B", "Z", "AA", "XFD"]), st.sampled_from(KINDS), max_size=3
)
LINES = st.tuples(
    st.sampled_from(
        [
            "",
            ' hidden="1"',
            ' ht="0" customHeight="1"',
            ' ht="3" hidden="true"',
            ' hidden="0"',
            " hidden='1'",
        ]
    ),
    CELLS,
)
SHEETS = st.dictionaries(st.integers(1, 1_048_576), LINES, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    SHEETS,
    st.sampled_from(["", "x:"]),
    st.sampled_from(["", "quoted", "bare", "comment", "cdata"]),
    st.booleans(),
)
def test_the_scan_agrees_on_any_sheet(
    sheet: dict[int, tuple[str, dict[str, str]]], prefix: str, odd: str, merged: bool
) -> None:
    """Random sheets, in plain XML and in odd: the same fine print, or a call for the parser."""
    order = {name: place for place, name in enumerate(["A", "B", "Z", "AA", "XFD"])}
    rows = []
    for number, (more, found) in sheet.items():
        line = [_cell(f"{c}{number}", found[c]) for c in sorted(found, key=order.__getitem__)]
        line += [_cell(f"C{number}", odd)] if odd in ("quoted", "bare") else []
        rows.append(f'<row r="{number}"{more}>{"".join(line)}</row>')
    if odd == "comment":
        rows.append('<!-- <row r="9" hidden="1"></row> -->')
    if odd == "cdata":
        rows.append('<row r="1048576"><c r="A1048576" t="str"><v><![CDATA[<f></f>]]></v></c></row>')
    after = '<mergeCells count="1"><mergeCell ref="A1:B2"/></mergeCells>' * merged
    columns = '<cols><col min="2" max="3" hidden="1"/><col min="5" max="5" width="0"/></cols>'
    body = f"{columns}<sheetData>{''.join(rows)}</sheetData>{after}"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    if prefix and odd not in ("comment", "cdata"):
        body = (
            body.replace("</", "</\0")
            .replace("<", f"<{prefix}")
            .replace(f"<{prefix}/\0", f"</{prefix}")
        )
        text = f'<x:worksheet xmlns:x="{main}">{body}</x:worksheet>'
    else:
        text = f'<worksheet xmlns="{main}">{body}</worksheet>'
    quick, exact = both(text.encode())
    assert not (quick.plain and odd and (rows if odd not in ("quoted", "bare") else sheet))
    if quick.plain:
        agree(quick, exact)


FRAGMENTS = st.lists(
    st.sampled_from(
        ['<row r="1">', '<row r="2">', "</row>", '<c r="A1">', '<c r="B1" t="s">', '<c r="A2"/>',
         '<c r="AB2" t="str">', "</c>", "<v>1</v>", "<v> 1</v>", "<v></v>", "<v/>", "<f>A1</f>",
         "<f/>", "<is><t>x</t></is>", "<is><t/></is>", "<!-- -->", "<c>", "<v>x</v>", "&#49;", "é",
         "<v>1234567</v>",
         "<v>9876543210</v>", "<v>1&#50;</v>", '<row r="1048577">', '<row r="12345678">',
         '<c r="XFD1048577">', '<v xml:space="preserve">1</v>', '<t xml:space="preserve">x</t>']
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(FRAGMENTS)
@example(['<row r="1">', "<is><t>x</t></is>", "</row>"])
@example(['<row r="1">', "<is><t>x</t></is>", '<c r="A1">', "</c>", "</row>"])
@example(['<row r="1">', "<v>1</v>", '<c r="A2"/>', "</row>"])
def test_no_sheet_is_plain_that_the_parser_refuses(fragments: list[str]) -> None:
    """Whatever the scan takes for plain is well-formed and refused by nobody, or is no XML."""
    body = f"<sheetData>{''.join(fragments)}</sheetData>"
    data = f'<worksheet xmlns="{MAIN}">{body}</worksheet>'.encode()
    try:
        quick, exact = both(data)
    except ElementTree.ParseError:
        return
    if quick.plain:
        agree(quick, exact)


def test_letters_that_only_look_alike_are_errors() -> None:
    """No ID with a foreign letter or a direction mark passes, and the letter is named."""
    inventory = read_inventory(CORPUS / "letters.xlsx")
    issues = inventory.cell_issues.query("rule == 'homoglyph'")
    blocked = check(inventory).frame.query("severity == 'error'")["cell"].tolist()
    assert {"A20", "A21", "A26", "A31", "A32"} <= set(blocked)
    assert len(issues) == 5
    assert issues["detail"].iloc[0] == "character 11 is CYRILLIC SMALL LETTER IE, not e"
    # The value is the cell's whole text, and nothing but that.
    texts = [inventory.rows.at[key, field] for key, field in issues[["row_key", "field"]].values]
    assert issues["value"].tolist() == texts
    assert cells(inventory, "bidi-mark") == ["A22", "A28"]
    details = inventory.cell_issues.query("rule == 'bidi-mark'")["detail"].tolist()
    assert details[0] == "character 1 is RIGHT-TO-LEFT OVERRIDE"
    assert {"A22", "A28"} <= set(blocked)


def test_what_merges_hide_and_columns_hide_is_said() -> None:
    """A value under a merge is an error with its address; a hidden column of IDs is a warning."""
    inventory = read_inventory(CORPUS / "odd.ods")
    assert cells(inventory, "hidden-by-merge") == ["A14"]
    marks = read_inventory(CORPUS / "places.xlsx").cell_issues
    assert marks.loc[marks["rule"] == "hidden-column", "field"].tolist() == ["project_id"]


def test_a_number_of_any_length_in_parquet_is_a_number() -> None:
    """Whole numbers of more than 53 bits are no text either."""
    inventory = read_inventory(CORPUS / "typed.parquet")
    assert cells(inventory, "number-cell") == ["B2", "B3", "D2", "D4"]


def test_ids_survive_rich_text_phonetics_and_escapes() -> None:
    """Runs are joined, phonetic runs left out, escapes decoded, in shared and inline strings."""
    rows = read_inventory(CORPUS / "strings.xlsx").rows
    assert rows["image_id"].tolist() == [IMAGE, OTHER, IMAGE, IMAGE, IMAGE]
    assert rows["project_id"].tolist()[:4] == [PROJECT] * 4
    assert rows["status"].tolist() == ["accepted"] * 5
