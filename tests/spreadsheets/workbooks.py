"""The same small sheet written by programs that do not know each other, for tests of the reader."""

from __future__ import annotations

import csv
import datetime as dt
import io
import struct
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.teletype import addTextToElement
from odf.text import P

IMAGE = "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10"
OTHER = "0d7f9c52-3b1e-4f86-9d55-8a2f4c6e1b03"
PROJECT = "edc89b490d7d4392898e19b2deb34797"
DIGITS = "12345678901234567890123456789012"
NUMBER = 1.2345678901234568e31


@dataclass(frozen=True)
class Error:
    """An error cell."""

    text: str = "#N/A"


@dataclass(frozen=True)
class Formula:
    """A formula, with the result that was saved with it, if any."""

    text: str
    result: str | None = None


Cell = str | float | bool | dt.datetime | Error | Formula | None
Rows = Sequence[Sequence[Cell]]


def by_openpyxl(path: Path, rows: Rows) -> Path:
    """openpyxl: never saves results of formulas."""
    book = openpyxl.Workbook()
    sheet = book.active
    for number, row in enumerate(rows, start=1):
        for column, value in enumerate(row, start=1):
            if value is None:
                continue
            cell = sheet.cell(number, column)
            if isinstance(value, Error):
                cell.value = value.text
                cell.data_type = "e"
            elif isinstance(value, Formula):
                cell.value = value.text
            else:
                cell.value = value
                cell.data_type = "s" if isinstance(value, str) else cell.data_type
    book.save(path)
    return path


def by_xlsxwriter(path: Path, rows: Rows) -> Path:
    """xlsxwriter: shared strings, results of formulas as given."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Sheet")
        date = book.add_format({"num_format": "yyyy-mm-dd"})
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                match value:
                    case str():
                        sheet.write_string(number, column, value)
                    case bool():
                        sheet.write_boolean(number, column, value)
                    case dt.datetime():
                        sheet.write_datetime(number, column, value, date)
                    case float() | int():
                        sheet.write_number(number, column, value)
                    case Error(text):
                        sheet.write_formula(number, column, "=NA()", None, text)
                    case Formula(text, result):
                        sheet.write_formula(number, column, text, None, result or "")
    return path


def by_xlwt(path: Path, rows: Rows) -> Path:
    """xlwt: Excel 97-2003."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sheet")
    date = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if isinstance(value, Error):
                sheet.row(number).set_cell_error(column, 0x2A)  # xlwt spells "#N/A" otherwise
            elif isinstance(value, dt.datetime):
                sheet.write(number, column, value, date)
            elif value is not None:
                sheet.write(number, column, value)
    book.save(str(path))
    return path


def by_odfpy(path: Path, rows: Rows) -> Path:
    """odfpy: OpenDocument; never saves results of formulas."""
    document = OpenDocumentSpreadsheet()
    table = Table(name="Sheet")
    for row in rows:
        line = TableRow()
        for value in row:
            line.addElement(_odf_cell(value))
        table.addElement(line)
    document.spreadsheet.addElement(table)
    document.save(str(path))
    return path


def _odf_cell(value: Cell) -> TableCell:
    match value:
        case None:
            return TableCell()
        case bool():
            return TableCell(valuetype="boolean", booleanvalue=str(value).lower())
        case float() | int():
            return TableCell(valuetype="float", value=repr(value))
        case dt.datetime():
            return TableCell(valuetype="date", datevalue=value.isoformat())
        case Formula(text, None):
            return TableCell(formula=f"of:{text}")
        case Formula(text, result):
            cell = TableCell(valuetype="string", formula=f"of:{text}")
        case Error(text):
            cell, result = TableCell(valuetype="string"), text
        case _:
            cell, result = TableCell(valuetype="string"), value
    paragraph = P()
    addTextToElement(paragraph, result)
    cell.addElement(paragraph)
    return cell


_CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
    'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    'relationships+xml"/><Override PartName="/xl/workbook.bin" ContentType="application/vnd.'
    'ms-excel.sheet.binary.macroEnabled.main"/><Override PartName="/xl/worksheets/sheet1.bin" '
    'ContentType="application/vnd.ms-excel.worksheet"/></Types>'
)
_RELATION = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/'
    '2006/relationships/{kind}" Target="{target}"/></Relationships>'
)


def by_hand_xlsb(path: Path, rows: Rows) -> Path:
    """The smallest xlsb, record by record (MS-XLSB 2.4); no library writes the format."""
    book = _record(131) + _record(143)
    book += _record(156, struct.pack("<II", 0, 1) + _wide("rId1") + _wide("Sheet"))
    book += _record(144) + _record(132)
    width = max(map(len, rows))
    sheet = _record(129) + _record(148, struct.pack("<4I", 0, len(rows) - 1, 0, width - 1))
    sheet += _record(145)
    for number, row in enumerate(rows):
        sheet += _record(0, struct.pack("<IIH3xI", number, 0, 300, 0))
        sheet += b"".join(_xlsb_cell(column, value) for column, value in enumerate(row))
    sheet += _record(146) + _record(130)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _CONTENT_TYPES)
        target = _RELATION.format(kind="officeDocument", target="xl/workbook.bin")
        archive.writestr("_rels/.rels", target)
        archive.writestr("xl/workbook.bin", book)
        target = _RELATION.format(kind="worksheet", target="worksheets/sheet1.bin")
        archive.writestr("xl/_rels/workbook.bin.rels", target)
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    return path


def _record(kind: int, body: bytes = b"") -> bytes:
    return _varint(kind) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def _wide(text: str) -> bytes:
    raw = text.encode("utf-16-le")
    return struct.pack("<I", len(raw) // 2) + raw


def _xlsb_cell(column: int, value: Cell) -> bytes:
    place = struct.pack("<II", column, 0)
    match value:
        case None:
            return b""
        case bool():
            return _record(4, place + bytes([value]))
        case float() | int():
            return _record(5, place + struct.pack("<d", value))
        case Error():
            return _record(3, place + b"\x2a")
        case _:
            return _record(6, place + _wide(str(value)))


def by_pyarrow(path: Path, rows: Rows) -> Path:
    """parquet; the first row names the columns."""
    header, *body = rows
    columns = [pa.array(list(column)) for column in zip(*body, strict=True)]
    pq.write_table(pa.table(columns, names=list(header)), path)
    return path


def by_csv(path: Path, rows: Rows, *, encoding: str = "utf-8", delimiter: str = ",") -> Path:
    """The standard library: csv."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def by_libreoffice(path: Path, rows: Rows) -> Path:
    """LibreOffice Calc: takes what xlsxwriter wrote, calculates, saves in the suffix's format."""
    source = by_xlsxwriter(path.with_name("source.xlsx"), rows)
    return convert(source, path)


def convert(source: Path, path: Path) -> Path:
    """Let LibreOffice save a file in another format, with a profile of its own."""
    folder = path.parent / "converted"
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={(path.parent / 'profile').as_uri()}",
            "--headless",
            "--convert-to",
            path.suffix[1:],
            "--outdir",
            str(folder),
            str(source),
        ],
        check=True,
        capture_output=True,
        timeout=180,
    )
    return (folder / f"{source.stem}{path.suffix}").replace(path)


Writer = Callable[[Path, Rows], Path]
#: Suffix -> who writes it.
WRITERS: dict[str, tuple[str, Writer]] = {
    "openpyxl": ("xlsx", by_openpyxl),
    "xlsxwriter": ("xlsx", by_xlsxwriter),
    "xlwt": ("xls", by_xlwt),
    "odfpy": ("ods", by_odfpy),
    "xlsb": ("xlsb", by_hand_xlsb),
}
