"""Files that cannot be read: one sentence that names the file and the next step."""

from __future__ import annotations

import gzip
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from sharekit.core.errors import InputError, SpreadsheetError
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.workbooks import (
    IMAGE,
    PROJECT,
    by_csv,
    by_hand_xlsb,
    by_odfpy,
    by_openpyxl,
    by_pyarrow,
    by_xlwt,
)

#: What Python and the readers say of damage, which means nothing to an analyst.
READERS_WORDS = (
    r"unpack(?!s to)|index|sector|marker|codec|CRC|calamine|Xml|magic|decompress|Error|thrift"
)
ROWS = [["image_id", "project_id"], [IMAGE, PROJECT]]


def refused(path: Path) -> str:
    """The message of the refusal, which must be one line that names the file."""
    with pytest.raises(SpreadsheetError) as caught:
        read_inventory(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    """A missing file, a directory and an impossible name are told apart."""
    for path, what in (
        (tmp_path / "none.xlsx", "does not exist"),
        (tmp_path, "is a directory"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(InputError, match=what) as caught:
            read_inventory(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"<html><table><tr><td>ID</td></tr></table>", "HTML"),
        (b'\n <?xml version="1.0"?><Workbook/>', "XML"),
        (gzip.compress(b"ID\n1\n", mtime=0), "gzip"),
        (b"\x7fELF\x02\x01\x01" + bytes(64), "neither a spreadsheet nor text"),
        (b"\xff\xfeI\x00D", "cannot|neither|no header"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Excel 97-2003"),
        (b"PK\x03\x04 no archive", "is cut off"),
        (b"PAR1 no parquet", "cannot be read as parquet"),
    ],
)
def test_other_things_than_spreadsheets(data: bytes, what: str, tmp_path: Path) -> None:
    """What people give by mistake is recognised by its bytes, not by its name."""
    path = tmp_path / "shares.xlsx"
    path.write_bytes(data)
    with pytest.raises(SpreadsheetError, match=what):
        read_inventory(path)
    refused(path)


def test_archives_of_something_else(tmp_path: Path) -> None:
    """A zip, a text document and a workbook without sheets are no workbooks."""
    for members in (
        {"a.txt": "x"},
        {"[Content_Types].xml": "<Types/>", "word/document.xml": "<x/>"},
        {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<x/>"},
    ):
        path = tmp_path / "shares.xlsx"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        assert "not a workbook" in refused(path)
    path = by_openpyxl(tmp_path / "a.xlsx", ROWS)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as new:
        for item in old.infolist():
            if "sheet1" not in item.filename:
                new.writestr(item, old.read(item))
    assert "cannot be read as a workbook" in refused(tmp_path / "b.xlsx")


def test_password_protected_workbooks(tmp_path: Path) -> None:
    """An encrypted workbook is called so."""
    path = by_openpyxl(tmp_path / "a.xlsx", ROWS)
    with path.open("rb") as source, (tmp_path / "b.xlsx").open("wb") as target:
        OOXMLFile(source).encrypt("secret", target)
    assert "password-protected" in refused(tmp_path / "b.xlsx")
    path = by_odfpy(tmp_path / "a.ods", ROWS)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.ods", "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == "META-INF/manifest.xml":
                data = data.replace(
                    b"</manifest:manifest>", b"<manifest:encryption-data/></manifest:manifest>"
                )
            new.writestr(item, data)
    assert "password-protected" in refused(tmp_path / "b.ods")


def test_sheets_without_any_cell(tmp_path: Path) -> None:
    """An empty workbook is called empty."""
    for write, name in ((by_openpyxl, "a.xlsx"), (by_xlwt, "a.xls"), (by_odfpy, "a.ods")):
        assert "no cells" in refused(write(tmp_path / name, []))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.xlsx", by_openpyxl),
        ("a.xls", by_xlwt),
        ("a.ods", by_odfpy),
        ("a.parquet", by_pyarrow),
    ],
)
def test_damaged_files_end_in_a_sentence(name: str, write: object, tmp_path: Path) -> None:
    """However a file is cut or overwritten, it is read or refused; nothing else escapes."""
    whole = write(tmp_path / name, ROWS).read_bytes()
    path = tmp_path / f"damaged-{name}"
    chance = random.Random(7)
    told = []
    for turn in range(60):
        data = bytearray(whole)
        if turn % 2:
            del data[chance.randrange(1, len(data)) :]
        else:
            for _ in range(chance.choice([1, 8, 64])):
                data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            read_inventory(path)
            told.append("")
        except InputError as error:
            told.append(str(error).removeprefix(str(path)))
    assert told.count("") < 40
    assert [words for words in told if re.search(READERS_WORDS, words)] == []


@pytest.mark.parametrize(
    ("name", "write", "ours"),
    [
        ("a.xlsx", by_openpyxl, "workbooks.workbook.scan_xlsx"),
        ("a.xlsx", by_openpyxl, "workbooks.xlsx._Tags.rows"),
        ("a.xlsx", by_openpyxl, "workbooks.workbook.archive_format"),
        ("a.xlsx", by_openpyxl, "workbooks.workbook._with_errors"),
        ("a.ods", by_odfpy, "workbooks.workbook.scan_ods"),
        ("a.xlsb", by_hand_xlsb, "workbooks.workbook.scan_xlsb"),
        ("a.xls", by_xlwt, "workbooks.xls._read_sheet"),
        ("a.parquet", by_pyarrow, "parquet.arrow_column"),
        ("a.csv", by_csv, "delimited._columns"),
    ],
)
@pytest.mark.parametrize("error", [IndexError, KeyError, ValueError, AttributeError, TypeError])
def test_a_mistake_of_our_own_is_no_damage(
    name: str,
    write: Callable[[Path, list[list[str]]], Path],
    ours: str,
    error: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error in the package itself comes out as what it is, not as a damaged file."""
    path = write(tmp_path / name, ROWS)

    def mistaken(*_: object, **__: object) -> None:
        raise error("planted")

    monkeypatch.setattr(f"sharekit.spreadsheets.formats.{ours}", mistaken)
    with pytest.raises(error, match="planted"):
        read_inventory(path)
