"""Files that are something else are named, and say what to do instead."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import sharekit
from sharekit.core.errors import SpreadsheetError
from tests.spreadsheets.workbooks import by_openpyxl, by_xlwt

IMAGE = "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10"
PROJECT = "edc89b490d7d4392898e19b2deb34797"
ROWS = [["Image ID", "Project ID", "Decision"], [IMAGE, PROJECT, "accepted"]]
MHTML = (
    "MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\n"
    'Content-Type: multipart/related; boundary="----=_NextPart_01D1"\r\n\r\n'
    "------=_NextPart_01D1\r\nContent-Type: text/html\r\n\r\n<table><tr><td>Image ID</td></tr>"
)
SAVED_BY_A_BROWSER = (
    "From: <Saved by Blink>\r\nSnapshot-Content-Location: https://console/shares\r\n"
    "Subject: =?utf-8?Q?Shares?=\r\nDate: Fri, 27 Nov 2026 10:00:00 -0000\r\n" + MHTML
)
HTML = "<table border=1><tr><th>Image ID</th></tr></table>"
XML_2003 = (
    '<?xml version="1.0"?>\r\n<?mso-application progid="Excel.Sheet"?>\r\n'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>'
)
FLAT = '<?xml version="1.0" encoding="UTF-8"?>\n<office:document xmlns:office="urn:x"/>'


def refusal(path: Path) -> str:
    """Return the message that a file is refused with."""
    with pytest.raises(SpreadsheetError) as caught:
        sharekit.read_inventory(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (MHTML, "MHTML"),
        (SAVED_BY_A_BROWSER, "MHTML"),
        (HTML, "HTML"),
        ("\n<!-- exported -->\n<HTML><body>" + HTML, "HTML"),
        ('<html xmlns:x="urn:schemas-microsoft-com:office:excel">' + HTML, "HTML"),
        ('<?xml version="1.0"?><!DOCTYPE html><html>' + HTML, "HTML"),
        (XML_2003, "XML spreadsheet of Excel 2003"),
        (FLAT, "flat OpenDocument"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_pages_saved_as_xls(tmp_path: Path, text: str, kind: str, encoding: str) -> None:
    """What portals give the suffix .xls is named, and can be saved as a workbook."""
    path = tmp_path / "shares.xls"
    path.write_text(text, encoding=encoding, newline="")
    message = refusal(path)
    assert kind in message
    assert "save it as .xlsx" in message


def test_a_text_document_is_no_json(tmp_path: Path) -> None:
    """RTF begins with a brace, as JSON does, and is named."""
    path = tmp_path / "shares.csv"
    path.write_text(r"{\rtf1\ansi Shares}", encoding="utf-8")
    assert "text document (RTF)" in refusal(path)


def test_a_csv_may_have_colons(tmp_path: Path) -> None:
    """A list that begins with lines such as headers of a mail is still a list."""
    path = tmp_path / "shares.csv"
    lines = ["From: Ada", "Subject: shares", *(",".join(row) for row in ROWS)]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert len(sharekit.read_inventory(path)) == 1


@pytest.mark.parametrize("name", ["DRMEncryptedTransform", "\tDRMContent"])
def test_a_sensitivity_label(tmp_path: Path, name: str) -> None:
    """A workbook that a label encrypts is not called protected by a password."""
    entries = ["\x06DataSpaces", name, "EncryptedPackage"]
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
    for entry in entries:
        data += entry.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2) + bytes(62)
    path = tmp_path / "shares.xlsx"
    path.write_bytes(data)
    message = refusal(path)
    assert "sensitivity label" in message
    assert "save a copy under a label without encryption" in message
    assert "password" not in message


def test_lock_files_of_a_pattern_are_skipped(tmp_path: Path) -> None:
    """A lock file among others is left out with a note; alone it is named."""
    path = by_openpyxl(tmp_path / "shares.xlsx", ROWS)
    lock = tmp_path / "~$shares.xlsx"
    lock.write_bytes(b"\x03Ada" + b" " * 51 + "Ada".encode("utf-16-le") + bytes(105))
    findings = sharekit.check(sharekit.read_inventory(*sorted(tmp_path.glob("*.xlsx"))))
    assert findings.rows["disposition"].tolist() == ["planned"]
    assert findings.frame[["severity", "rule", "file", "value"]].to_numpy().tolist() == [
        ["info", "lock-file", str(lock), ""]
    ]
    other = tmp_path / "~$other.xlsx"  # of a workbook that is not read: no note about another one
    lock.rename(other)
    findings = sharekit.check(sharekit.read_inventory(path, other))
    assert findings.frame[["file", "sheet"]].to_numpy().tolist() == [[str(other), ""]]
    other.rename(lock)
    message = refusal(lock)
    assert "lock file" in message
    assert f"give {path} itself" in message


@pytest.mark.parametrize("write", [by_openpyxl, by_xlwt])
def test_a_workbook_named_like_a_lock_file_is_read(tmp_path: Path, write: object) -> None:
    """The content decides, not the name."""
    path = write(tmp_path / "~$shares.xlsx", ROWS)  # type: ignore[operator]
    assert len(sharekit.read_inventory(path)) == 1
