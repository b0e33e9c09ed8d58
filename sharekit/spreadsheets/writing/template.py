"""An empty workbook for shares, in which a spreadsheet program cannot damage an ID."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.page import PageMargins
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from sharekit.core.actions import ACTIONS
from sharekit.core.rules import RULES

from .safe_cells import save_new

HEADER_FONT: Final = Font(name="Calibri", size=11, bold=True, color="FFFFFF")
HEADER_FILL: Final = PatternFill("solid", fgColor="1F4E79")
#: Light tints that stay apart for colour-blind eyes; the word stands beside or in the cell.
_FILLS: Final = {
    name: PatternFill("solid", fgColor=tint)
    for name, tint in {
        "planned": "D6E8F7", "repair": "D9EEFA", "warning": "FFF3C4", "error": "F9D2B8",
    }.items()
}  # fmt: skip
LAST_ROW: Final = 1_048_576


class _Column(NamedTuple):
    field: str
    width: int
    must: str
    meaning: str
    grammar: str
    example: str
    choices: tuple[str, ...] = ()


_COLUMNS: Final = (
    _Column(
        "image_id",
        38,
        "always",
        "The shared image.",
        "A UUID: 8-4-4-4-12 hexadecimal digits, lower case.",
        "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10",
    ),
    _Column(
        "project_id",
        34,
        "always",
        "The project that accepts or rejects, so your own; or the one you share with.",
        "32 hexadecimal digits, no dashes.",
        "edc89b490d7d4392898e19b2deb34797",
    ),
    _Column(
        "status",
        12,
        "always",
        "The decision.",
        "accepted or rejected; of the image's owner share or unshare.",
        "accepted",
        ACTIONS,
    ),
    _Column(
        "vault_id",
        38,
        "to accept a full-ECS image",
        "The backup vault that takes the image.",
        "A UUID, as the backup service shows it.",
        "0d7f9c52-3b1e-4f86-9d55-8a2f4c6e1b03",
    ),
    _Column(
        "whole_image",
        14,
        "no",
        "Whether it is a full-ECS image; the cloud's own word is looked up where it can be.",
        "true or false.",
        "true",
        ("true", "false"),
    ),
    _Column("region", 12, "no", "The region, if the list spans several.", "Text.", "eu-de"),
    _Column("name", 26, "no", "The image's name, for those who read the list.", "Text.", "build-7"),
    _Column(
        "owner",
        34,
        "no",
        "The project that shares the image; to share, the cloud is asked where it is empty.",
        "32 hexadecimal digits, no dashes.",
        "5a1f0e2bd3c84c7e9f60718293a4b5c6",
    ),
)


def write_template(path: str | os.PathLike[str]) -> Path:
    """Write an empty workbook for shares: columns, notes, drop-downs, an example, every rule.

    Parameters
    ----------
    path : path
        Where to, usually ending in ``.xlsx``; nothing may be there yet.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        The path is taken or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_template(Path(folder, "shares.xlsx")).name
    'shares.xlsx'
    """
    book = Workbook()
    _fill_shares(book.worksheets[0])
    _fill_notes(book.create_sheet("Read me"))
    _fill_example(book.create_sheet("Example"))
    _fill_rules(book.create_sheet("Rules"))
    return save_new(book.save, path)


def style_header(sheet: Worksheet, row: int = 1) -> None:
    """Make a row look like a header."""
    for cell in sheet[row]:
        cell.font, cell.fill = HEADER_FONT, HEADER_FILL
        cell.alignment = Alignment(vertical="top")


def print_wide(sheet: Worksheet) -> None:
    """Let a sheet print on pages of its full width, the header on each."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    sheet.page_margins = PageMargins(left=0.3, right=0.3, top=0.4, bottom=0.6)
    if (footer := sheet.oddFooter) is not None:
        footer.left.text, footer.right.text = "&A", "Page &P of &N"
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = "1:1"


def add_choices(sheet: Worksheet, column: str, choices: tuple[str, ...], last_row: int) -> None:
    """Give the cells of a column below the header a drop-down that admits nothing else."""
    rule = DataValidation(
        type="list",
        formula1=f'"{",".join(choices)}"',
        allow_blank=True,
        showErrorMessage=True,
        errorTitle="Please choose",
        error=f"Choose one of: {', '.join(choices)}.",
    )
    rule.add(f"{column}2:{column}{last_row}")
    sheet.add_data_validation(rule)


def _fill_shares(sheet: Worksheet) -> None:
    sheet.title = "Shares"
    sheet.append([column.field for column in _COLUMNS])
    style_header(sheet)
    sheet.freeze_panes = "A2"
    print_wide(sheet)
    for index, column in enumerate(_COLUMNS, start=1):
        letter = get_column_letter(index)
        note = f"{column.meaning}\n{column.grammar}\nNeeded: {column.must}."
        sheet[f"{letter}1"].comment = Comment(note, "sharekit", height=110, width=300)
        # The column's own format covers every cell that is still to come.
        sheet.column_dimensions[letter].number_format = "@"
        sheet.column_dimensions[letter].width = column.width
        if column.choices:
            add_choices(sheet, letter, column.choices, LAST_ROW)


def _fill_notes(sheet: Worksheet) -> None:
    # Nothing here may look like a header row, or the example would be taken for a share.
    sheet.append(["Where", "What it is", "How it is written", "Needed", "Example"])
    for index, column in enumerate(_COLUMNS, start=1):
        where = f"Column {get_column_letter(index)} ({column.field})"
        sheet.append([where, column.meaning, column.grammar, column.must, column.example])
    sheet.append([])
    for line in (
        "One row is one share: one image for one project. Blank rows do no harm.",
        "The columns are formatted as text: otherwise IDs made of digits would lose some of them.",
        "Paste values only (Ctrl+Shift+V), so that the text format stays.",
        "Rejected images leave the image list; servers can still be created from them.",
        "share and unshare are for the owner of an image; the project is whom it is shared with.",
        "Further columns of your own are welcome and are kept in every report.",
    ):
        sheet.append([line])
    _lay_out(sheet, (22, 48, 36, 16, 38), len(_COLUMNS) + 1)
    _wrap(sheet, len(_COLUMNS) + 1)


def _fill_example(sheet: Worksheet) -> None:
    # With these headers the sheet is no list of shares: what it shows must never be sent.
    sheet.append([f"{column.field} (example)" for column in _COLUMNS[:5]] + ["what becomes of it"])
    good = [column.example for column in _COLUMNS[:5]]
    image, project = good[:2]
    other, third, fourth = (image[:-2] + end for end in ("22", "a3", "f4"))
    for line, mark in (
        ([other, project, "accepted", "", "", "planned: sent once it is approved"], "planned"),
        ([*good, "planned: a full-ECS image goes into a backup vault"], "planned"),
        ([third.upper(), project, "Reject", "", "", "repaired beyond doubt; planned"], "repair"),
        ([other, project, "accepted", "", "", "a duplicate: the first row carries it"], "warning"),
        ([image[:-1], project, "accepted", "", "", "blocked: a digit is missing"], "error"),
        ([image, "", "accepted", "", "", "blocked: no project"], "error"),
        ([image, project, "maybe", "", "", "blocked: no decision"], "error"),
        ([fourth, project, "accepted", "", "true", "blocked: a full-ECS image, no vault"], "error"),
    ):
        sheet.append(line)
        sheet.cell(sheet.max_row, len(line)).fill = _FILLS[mark]
    _lay_out(sheet, (38, 34, 17, 38, 23, 46), sheet.max_row)


def _fill_rules(sheet: Worksheet) -> None:
    sheet.append(["rule", "severity", "what it says", "what to do"])
    for rule in RULES.values():
        message = rule.message.replace("{field}", "the field")
        sheet.append(
            [rule.name, rule.severity, message, rule.suggestion.replace("{field}", "FIELD")]
        )
        sheet.cell(sheet.max_row, 2).fill = _FILLS.get(rule.severity, PatternFill())
    _lay_out(sheet, (22, 10, 56, 64), sheet.max_row)
    _wrap(sheet, sheet.max_row)
    sheet.auto_filter.ref = sheet.dimensions


def _wrap(sheet: Worksheet, last_row: int) -> None:
    """Make rows as high as their texts; programs that open a workbook do not all do it."""
    sizes = [
        sheet.column_dimensions[get_column_letter(n + 1)].width for n in range(sheet.max_column)
    ]
    for number, row in enumerate(sheet.iter_rows(min_row=2, max_row=last_row), start=2):
        filled = (len(str(cell.value or "")) / size for cell, size in zip(row, sizes, strict=True))
        sheet.row_dimensions[number].height = 15 * (int(max(filled) / 0.95) + 1)
        for cell in row:
            cell.alignment = Alignment(vertical="top", wrap_text=True)


def _lay_out(sheet: Worksheet, widths: tuple[int, ...], last_row: int) -> None:
    style_header(sheet)
    print_wide(sheet)
    sheet.freeze_panes = "A2"
    sheet.sheet_view.showGridLines = False
    for index, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(index)].width = width
    for row in sheet.iter_rows(min_row=2, max_row=last_row):
        for cell in row:
            cell.number_format = "@"
