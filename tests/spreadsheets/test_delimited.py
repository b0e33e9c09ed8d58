"""csv and tsv: encodings, delimiters, ragged lines, and rows counted as spreadsheets count."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from sharekit.checks.check import check
from sharekit.core.errors import SpreadsheetError, UsageError
from sharekit.interfaces.cli.main import cli
from sharekit.spreadsheets.formats import delimited
from sharekit.spreadsheets.formats.raw_sheet import Blob
from sharekit.spreadsheets.input import Limits
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.workbooks import DIGITS, IMAGE, OTHER, PROJECT, by_csv

HEADER = ["Image ID", "Project ID", "Status", "Name"]
NAME = "Prüfstand für Öltemperatur, größer als 40 °C – €"
ROWS = [HEADER, [IMAGE, PROJECT, "accepted", NAME]]


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "cp1252",
    ],
)
def test_encodings_are_found_out(encoding: str, tmp_path: Path) -> None:
    """What Excel and scripts save is decoded, marked or not, and named in the source."""
    inventory = read_inventory(by_csv(tmp_path / "a.csv", ROWS, encoding=encoding))
    assert inventory.rows["name"].tolist() == [NAME]
    assert inventory.sources[0].columns["image_id"] == "Image ID"
    assert inventory.sources[0].encoding in {encoding, encoding.removesuffix("-le")}


def test_an_odd_delimiter_is_found_or_asked_for(tmp_path: Path) -> None:
    """A colon is found out; what no program writes is refused with the way to name it."""
    path = tmp_path / "a.csv"
    lines = "ID{0}Project ID{0}Status\n%s{0}%s{0}accepted\n" % (IMAGE, PROJECT)  # noqa: UP031
    for delimiter in ":^~":
        path.write_text(lines.format(delimiter), encoding="utf-8")
        row = read_inventory(path).rows[["image_id", "project_id", "status"]].values.tolist()
        assert row == [[IMAGE, PROJECT, "accepted"]]
    path.write_text(lines.format("/"), encoding="utf-8")
    with pytest.raises(SpreadsheetError, match="first line such as sep="):
        read_inventory(path)
    path.write_text("sep=/\n" + lines.format("/"), encoding="utf-8")
    assert read_inventory(path).rows["project_id"].tolist() == [PROJECT]


def test_bytes_of_no_known_encoding_lose_no_id(tmp_path: Path) -> None:
    """One odd byte in a name does not cost the list."""
    path = tmp_path / "a.csv"
    path.write_bytes(f"ID,Name\n{IMAGE},a".encode() + b"\x81\xff\xfe\n" + f"{OTHER},b\n".encode())
    assert read_inventory(path).rows["image_id"].tolist() == [IMAGE, OTHER]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found_out(delimiter: str, tmp_path: Path) -> None:
    """The header decides, though a title above holds more of the other delimiters."""
    title = [f"Shares{other * 7}" for other in ",;\t|" if other != delimiter]
    path = by_csv(tmp_path / "a.csv", [title, *ROWS], delimiter=delimiter)
    inventory = read_inventory(path)
    assert inventory.rows[["image_id", "project_id", "status", "name"]].values.tolist() == [
        [IMAGE, PROJECT, "accepted", NAME]
    ]
    assert inventory.sources[0].format == ("tsv" if delimiter == "\t" else "csv")


def test_the_separator_hint_of_excel_is_no_row(tmp_path: Path) -> None:
    """A first line "sep=;" is obeyed, and row numbers are those Excel shows."""
    path = tmp_path / "a.csv"
    path.write_text(f"sep=^\nID^Project ID\n{IMAGE}^{PROJECT}\n", encoding="utf-8")
    rows = read_inventory(path).rows
    assert rows["project_id"].tolist() == [PROJECT]
    assert rows["row"].tolist() == [2]


def test_one_column_is_a_table_too(tmp_path: Path) -> None:
    """A bare list of IDs under a header needs no delimiter."""
    path = tmp_path / "a.txt"
    path.write_text(f"ID\r\n{IMAGE}\r\n\r\n{OTHER}", encoding="utf-8")
    rows = read_inventory(path).rows
    assert rows["image_id"].tolist() == [IMAGE, OTHER]
    assert rows["row"].tolist() == [2, 4]


def test_rows_are_records(tmp_path: Path) -> None:
    """Line breaks in quotes and blank lines count as they do in a spreadsheet."""
    rows = [["A title\nover two lines"], [], HEADER, [IMAGE, PROJECT, "accepted", "a\nb"], ROWS[1]]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows))
    assert inventory.rows["row"].tolist() == [4, 5]
    assert inventory.rows["name"].tolist() == ["a\nb", NAME]


def test_ragged_lines_lose_nothing(tmp_path: Path) -> None:
    """Short lines end in blanks; longer ones keep their surplus under a letter."""
    rows = [["ID", "Project ID"], [IMAGE], [OTHER, PROJECT, "", "surplus"]]
    frame = read_inventory(by_csv(tmp_path / "a.csv", rows)).rows
    assert frame["project_id"].tolist() == ["", PROJECT]
    assert frame["input.(column D)"].tolist() == ["", "surplus"]


def test_long_lists_of_changing_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are taken in batches; a column that begins late is blank before."""
    monkeypatch.setattr("sharekit.spreadsheets.formats.delimited._BATCH", 3)
    rows = [["ID"], *[[IMAGE]] * 5, [OTHER, "x", "y"], *[[IMAGE]] * 4]
    frame = read_inventory(by_csv(tmp_path / "a.csv", rows)).rows
    assert frame["row"].tolist() == list(range(2, 12))
    assert frame["input.(column C)"].tolist() == [""] * 5 + ["y"] + [""] * 4


def test_nothing_is_inferred(tmp_path: Path) -> None:
    """NA, zeros in front and exponents stay the text that they are."""
    rows = [["ID", "Project ID", "Name"], ["000012", "1e31", "NA"], ["null", "TRUE", "1/2"]]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows))
    assert inventory.rows[["image_id", "project_id", "name"]].values.tolist() == rows[1:]
    assert inventory.cell_issues.empty


def test_errors_exported_as_text_are_errors(tmp_path: Path) -> None:
    """What a spreadsheet exports for an error cell is marked as one."""
    rows = [["ID", "Vault"], [IMAGE, "#N/A"], [OTHER, "#N/A or so"], [OTHER, "Err:522"]]
    marks = read_inventory(by_csv(tmp_path / "a.csv", rows)).cell_issues
    assert marks[["rule", "row_key", "field", "value"]].values.tolist() == [
        ["error-cell", 0, "vault_id", "#N/A"],
        ["error-cell", 2, "vault_id", "Err:522"],
    ]


def test_an_open_quotation_mark_swallows_no_rows(tmp_path: Path) -> None:
    """Rows above the one with a mark that is not closed, or not doubled, are read; all from it on
    are an error with their lines. A mark that is not closed in the header is refused.
    """  # noqa: D205
    path, head = tmp_path / "a.csv", "Image ID,Project ID,Remark,Decision\n"
    good = f"{IMAGE},{'a' * 32},x,accepted\n"
    for line in (
        f'{IMAGE},{"b" * 32},"open,accepted\n',
        f'{IMAGE},{"b" * 32},"15" disk,accepted\n',
    ):
        path.write_text(head + good + line + good.replace("a" * 32, "c" * 32), encoding="utf-8")
        findings = check(read_inventory(path))
        assert findings.rows["disposition"][0] == "planned"
        assert set(findings.rows["disposition"][1:]) == {"blocked"}
        stray = findings.frame[findings.frame["rule"] == "stray-quotation-mark"]
        assert stray["message"].str.contains("lines 3 to 4 of the file").all()
    path.write_text(head.replace("Remark", '"Remark') + good, encoding="utf-8")
    with pytest.raises(SpreadsheetError, match=r"line 2.*quotation mark"):
        read_inventory(path)


def test_an_encoding_that_was_guessed_is_said(tmp_path: Path) -> None:
    """A file in an old code page is read, with one finding; one in Unicode has none."""
    for encoding, told in (("cp1252", ["encoding-guessed"]), ("utf-8", [])):
        path = tmp_path / f"{encoding}.csv"
        path.write_text(f"image_id,project_id,status,name\n{IMAGE},p,accepted,Grüße\n", encoding)
        assert read_inventory(path).cell_issues["rule"].tolist() == told


def test_a_formula_that_only_quotes_an_id_is_the_id(tmp_path: Path) -> None:
    """="…" is how people keep spreadsheet programs from damaging IDs in a csv file."""
    path = tmp_path / "a.csv"
    line = f'"=""{IMAGE}""","=""{DIGITS}""",accepted'
    path.write_text(f"image_id,project_id,status\n{line}\n", encoding="utf-8")
    findings = check(read_inventory(path))
    assert findings.rows.loc[0, ["image_id", "project_id"]].tolist() == [IMAGE, DIGITS]
    assert set(findings.frame["rule"]) == {"repaired-braces"}


def test_an_encoding_may_be_named(tmp_path: Path) -> None:
    """What would be guessed wrongly is read as it is said to be written, without a warning."""
    path = tmp_path / "a.csv"
    for encoding, name in (("cp1251", "Снимок"), ("gb18030", "镜像")):
        path.write_text(f"image_id,project_id,status,name\n{IMAGE},{PROJECT},,{name}\n", encoding)
        inventory = read_inventory(path, encoding=encoding)
        assert inventory.rows["name"].tolist() == [name]
        assert inventory.cell_issues.empty
    with pytest.raises(SpreadsheetError, match="nothing in utf-8; name another"):
        read_inventory(path, encoding="utf-8")
    for wrong in ("klingon", "rot13"):
        with pytest.raises(UsageError, match=wrong):
            read_inventory(path, encoding=wrong)
    done = CliRunner().invoke(cli, ["check", str(path), "--encoding", "gb18030", "--json"])
    assert "encoding-guessed" not in done.output
    assert "missing" in CliRunner().invoke(cli, ["check", str(path)]).output


def test_the_end_of_file_of_old_programs_is_no_row(tmp_path: Path) -> None:
    """A control character Z at the very end is passed over; elsewhere it stays what it is."""
    path = tmp_path / "a.csv"
    text = f"image_id,project_id,status\n{IMAGE},{PROJECT},accepted"
    for end in ("\n\x1a", "\x1a", "\r\n\x1a\r\n"):
        for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
            path.write_bytes((text + end).encode(encoding))
            assert check(read_inventory(path)).frame.empty, encoding
    path.write_bytes(text.encode("utf-16") + b"\x1a")  # as `copy /a` adds it
    assert check(read_inventory(path)).frame.empty
    path.write_text(f"{text}\n\x1a\n{OTHER},{PROJECT},accepted\n", encoding="utf-8")
    assert read_inventory(path).rows["row"].tolist() == [2, 3, 4]


def test_a_table_drawn_for_the_screen_is_called_so(tmp_path: Path) -> None:
    """What commands print without `-f csv` is refused with what to do, not read with its lines."""
    path = tmp_path / "a.txt"
    line = f"+{'-' * 38}+{'-' * 34}+\n"
    path.write_text(f"{line}| Image ID | Project ID |\n{line}| {IMAGE} | {PROJECT} |\n{line}")
    with pytest.raises(SpreadsheetError, match=r"drawn with lines for the screen.*-f csv"):
        read_inventory(path)


def test_quotation_marks_around_a_word_are_taken_off(tmp_path: Path) -> None:
    """As around IDs, with a word for each repair; what is left must still mean something."""
    quoted = [
        [IMAGE, PROJECT, "accepted", text] for text in ('"yes"', "\u201cNo\u201d", '""', "'?'")
    ]
    path = by_csv(tmp_path / "a.csv", [[*HEADER[:3], "whole_image"], *quoted])
    findings = check(read_inventory(path))
    assert findings.rows["whole_image"].tolist() == ["true", "false", "", ""]
    told = findings.frame[findings.frame["column"] == "whole_image"]
    assert told[["rule", "cell"]].values.tolist() == [
        *[["repaired-braces", cell] for cell in ("D2", "D3", "D4")], ["whole-image-unclear", "D5"],
    ]  # fmt: skip
    path = by_csv(tmp_path / "a.csv", [HEADER, [IMAGE, PROJECT, '"Rejected"', "n"]])
    findings = check(read_inventory(path))
    assert findings.rows["status"].tolist() == ["rejected"]
    assert set(findings.frame["rule"]) == {"repaired-braces", "repaired-case"}


def test_one_file_twice_is_not_told_to_lose_rows(tmp_path: Path) -> None:
    """Rows read twice from the same bytes are told apart from rows that stand there twice."""
    row = [IMAGE, PROJECT, "accepted", ""]
    path = by_csv(tmp_path / "a.csv", [HEADER, row])
    frame = check(read_inventory(path, path)).frame
    assert frame[["row_key", "rule"]].values.tolist() == [[1, "same-file-twice"]]
    path = by_csv(tmp_path / "b.csv", [HEADER, row, row])
    frame = check(read_inventory(path)).frame
    assert frame[["row_key", "rule"]].values.tolist() == [[1, "duplicate"]]


@given(st.text(st.sampled_from('ab,"\n\r é\x1a'), max_size=40), st.sampled_from(["", "\ufeff"]))
@example('a,b\n"1\r\n2",""""\n', "")
@example('a,b\n"1,2\n', "")
@example("a,b\n\n", "")
@example('a,b\n1,2"3"\n', "")
@example('"a"b,c\n', "")
@example("a,b\r1,2", "")
def test_the_fast_reader_reads_the_same_or_leaves_it(text: str, mark: str) -> None:
    """Whatever a file holds, Arrow gives the records of the standard library, or is not asked."""
    blob = Blob("a.csv", (mark + text).encode())
    encoding = "utf-8-sig" if mark else "utf-8"
    fast = delimited._even_sheet(blob, encoding, ",", Limits())
    if fast is None:
        return
    slow = delimited._any_sheet(blob, encoding, ",", Limits())
    assert [c.to_pylist() for c in fast.cells] == [c.to_pylist() for c in slow.cells]
    assert fast.records is not None
    assert slow.records is not None
    assert fast.records.widths.tolist() == slow.records.widths.tolist()
    assert fast.records.lines == slow.records.lines
    assert slow.records.broken < 0


def test_even_records_take_the_fast_way() -> None:
    """A plain table, and one with text in quotation marks, is read by Arrow."""
    for text in ("a,b\n1,2\n", 'a,b\n"1,\n2","""3"""\n'):
        blob = Blob("a.csv", text.encode())
        assert delimited._even_sheet(blob, "utf-8", ",", Limits()) is not None
