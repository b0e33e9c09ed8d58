"""A link that leads to another ID than its cell shows is a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import A, P

import sharekit

IMAGE = "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10"
OTHER = "0d7f9c52-3b1e-4f86-9d55-8a2f4c6e1b03"
PROJECT = "edc89b490d7d4392898e19b2deb34797"
PAGE = f"https://console.example/?project={PROJECT[::-1]}#/images/detail?id="
HEADER = ["Image ID", "Project ID", "Decision"]
#: What the image's cell shows, and where its link leads.
ROWS = [
    (IMAGE, PAGE + IMAGE),
    (OTHER, PAGE + IMAGE),
    (OTHER.upper(), PAGE + OTHER),
    (OTHER, "mailto:ada@example.com"),
]


def by_openpyxl(path: Path) -> Path:
    """Write relations and, for the part behind #, a location."""
    book = openpyxl.Workbook()
    page: Any = book.active
    page.append(HEADER)
    for row, (image, target) in enumerate(ROWS, start=2):
        page.append([image, PROJECT, "accepted"])
        page.cell(row, 1).hyperlink = target
    book.save(path)
    return path


def by_xlsxwriter(path: Path, *, formulas: bool = False, odd: bool = False) -> Path:
    """Write links, or formulas that make them; an odd number format leaves the plain dialect."""
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, HEADER)
        for row, (image, target) in enumerate(ROWS, start=1):
            if formulas:
                page.write_formula(row, 0, f'=HYPERLINK("{target}","{image}")', None, image)
            else:
                page.write_url(row, 0, target, string=image)
            page.write_row(row, 1, [PROJECT, "accepted"])
        if odd:
            page.write_string(1, 5, "x", book.add_format({"num_format": '@" more"'}))
    return path


def by_odfpy(path: Path, *, formulas: bool = False) -> Path:
    """Write anchors in the texts of cells, or formulas."""
    document = OpenDocumentSpreadsheet()
    table = Table(name="Shares")
    for image, target in [("Image ID", ""), *ROWS]:
        row = TableRow()
        texts = [image, PROJECT, "accepted"] if target else HEADER
        for text in texts:
            linked = text == image and target
            cell = TableCell(valuetype="string", stringvalue=text)
            if linked and formulas:
                cell.setAttribute("formula", f'of:=HYPERLINK("{target}";"{text}")')
            paragraph = P()
            if linked and not formulas:
                paragraph.addElement(A(href=target, text=text))
            else:
                paragraph.addText(text)
            cell.addElement(paragraph)
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.save(str(path))
    return path


@pytest.mark.parametrize(
    "form", ["openpyxl", "xlsxwriter", "formulas", "parsed", "ods", "ods-formulas"]
)
def test_links_to_other_ids(tmp_path: Path, form: str) -> None:
    """The row whose link leads elsewhere has a warning with both IDs; the others have none."""
    path = tmp_path / ("shares.ods" if "ods" in form else "shares.xlsx")
    write = {
        "openpyxl": by_openpyxl,
        "xlsxwriter": by_xlsxwriter,
        "formulas": lambda path: by_xlsxwriter(path, formulas=True),
        "parsed": lambda path: by_xlsxwriter(path, formulas=True, odd=True),
        "ods": by_odfpy,
        "ods-formulas": lambda path: by_odfpy(path, formulas=True),
    }
    frame = sharekit.check(sharekit.read_inventory(write[form](path))).frame
    frame = frame[frame["rule"] == "link-differs"]
    assert frame[["severity", "cell", "value"]].to_numpy().tolist() == [["warning", "A3", OTHER]]
    assert f"(it leads to {IMAGE})" in frame["message"].iloc[0]
