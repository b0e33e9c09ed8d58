"""The template: an empty workbook for shares in which spreadsheet programs keep IDs intact."""

from __future__ import annotations

import os
from functools import partial
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
from sharekit.core.rules import RULES, in_shell

from .safe_cells import HEADER_COLOR, save_new, save_workbook

_HEADER_FONT: Final = Font(name="Calibri", size=11, bold=True, color="FFFFFF")
_HEADER_FILL: Final = PatternFill("solid", fgColor=HEADER_COLOR)
#: Tints that color-blind people can tell apart; the cell or the one beside it has the word.
_TINTS: Final = {"planned": "D6E8F7", "repair": "D9EEFA", "warning": "FFF3C4", "error": "F9D2B8"}
_FILLS: Final = {name: PatternFill("solid", fgColor=tint) for name, tint in _TINTS.items()}
_LAST_ROW: Final = 1_048_576


class _Column(NamedTuple):
    """A column of the template: ``how`` its values are written, and when they are needed."""

    field: str
    width: int
    meaning: str
    how: str
    example: str
    needed: str = "no"
    choices: tuple[str, ...] = ()


_UUID: Final = "A UUID: 8-4-4-4-12 hexadecimal digits, lower case."
_PROJECT: Final = "32 hexadecimal digits, no dashes."
# fmt: off
_COLUMNS: Final = (
    _Column("image_id", 38, "The shared image.", _UUID,
            "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10", "always"),
    _Column("project_id", 34,
            "The project that accepts or rejects, usually your own; or the one you share with.",
            _PROJECT, "edc89b490d7d4392898e19b2deb34797", "always"),
    _Column("status", 12, "The decision.",
            "accepted or rejected; share or unshare if you own the image.",
            "accepted", "always", ACTIONS),
    _Column("vault_id", 38, "The backup vault that takes the image.",
            "A UUID, as the backup service shows it.",
            "0d7f9c52-3b1e-4f86-9d55-8a2f4c6e1b03", "to accept a full-ECS image"),
    _Column("whole_image", 14, "Whether it is a full-ECS image; the cloud is asked where possible.",
            "true or false.", "true", choices=("true", "false")),
    _Column("region", 12, "The region, if the list spans several.", "Text.", "eu-de"),
    _Column("name", 26, "The image's name, for people who read the list.", "Text.", "build-7"),
    _Column("owner", 34,
            "The project that owns the image; if it is empty, the cloud is asked before sharing.",
            _PROJECT, "5a1f0e2bd3c84c7e9f60718293a4b5c6"),
)
# fmt: on


def write_template(path: str | os.PathLike[str]) -> Path:
    """Write an empty workbook for shares: columns, notes, drop-downs, examples, all rules.

    Parameters
    ----------
    path : path
        The file to write, usually ending in ``.xlsx``; it must not exist yet.

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
    >>> import pathlib, tempfile
    >>> import sharekit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sharekit.template(pathlib.Path(folder, "shares.xlsx")).name
    'shares.xlsx'
    """
    workbook = Workbook()
    _fill_shares(workbook.worksheets[0])
    _fill_notes(workbook.create_sheet("Read me"))
    _fill_example(workbook.create_sheet("Example"))
    _fill_rules(workbook.create_sheet("Rules"))
    return save_new(partial(save_workbook, workbook), path)


def style_header(sheet: Worksheet, row: int = 1) -> None:
    """Format a row as a header."""
    for cell in sheet[row]:
        cell.font, cell.fill = _HEADER_FONT, _HEADER_FILL
        cell.alignment = Alignment(vertical="top")


def print_wide(sheet: Worksheet) -> None:
    """Print a sheet fitted to the width of a page, with the header on each page."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    sheet.page_margins = PageMargins(left=0.3, right=0.3, top=0.4, bottom=0.6)
    if (footer := sheet.oddFooter) is not None:
        footer.left.text, footer.right.text = "&A", "Page &P of &N"
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = "1:1"


def _add_choices(sheet: Worksheet, column: str, choices: tuple[str, ...], last_row: int) -> None:
    """Restrict the cells of a column below the header to the choices of a drop-down list."""
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
        note = f"{column.meaning}\n{column.how}\nNeeded: {column.needed}."
        sheet[f"{letter}1"].comment = Comment(note, "sharekit", height=110, width=300)
        # The format of the column applies to every cell that is filled in later.
        sheet.column_dimensions[letter].number_format = "@"
        sheet.column_dimensions[letter].width = column.width
        if column.choices:
            _add_choices(sheet, letter, column.choices, _LAST_ROW)


def _fill_notes(sheet: Worksheet) -> None:
    # No row here may look like a header, or the example would be read as a share.
    sheet.append(["Column", "What it is", "How it is written", "Needed", "Example"])
    for index, column in enumerate(_COLUMNS, start=1):
        name = f"{get_column_letter(index)} ({column.field})"
        sheet.append([name, column.meaning, column.how, column.needed, column.example])
    sheet.append([])
    for line in (
        "One row is one share: one image for one project. Blank rows are skipped.",
        "The columns are formatted as text, because IDs of digits would lose digits as numbers.",
        "Paste values only (Ctrl+Shift+V) to keep the text format.",
        "Rejected images leave the image list; servers can still be created from them.",
        "share and unshare are for an image's owner; the project is the one it is shared with.",
        "You can add columns of your own; every report keeps them.",
    ):
        sheet.append([line])
    _lay_out(sheet, (22, 48, 36, 16, 38), len(_COLUMNS) + 1)
    _wrap(sheet, len(_COLUMNS) + 1)


def _fill_example(sheet: Worksheet) -> None:
    # With these headers the sheet is not read as a list of shares: examples must never be sent.
    sheet.append([f"{column.field} (example)" for column in _COLUMNS[:5]] + ["what happens to it"])
    valid = [column.example for column in _COLUMNS[:5]]
    image, project = valid[:2]
    other, third, fourth = (image[:-2] + end for end in ("22", "a3", "f4"))
    for cells, kind in (
        ([other, project, "accepted", "", "", "planned: sent after approval"], "planned"),
        ([*valid, "planned: a full-ECS image goes into a backup vault"], "planned"),
        ([third.upper(), project, "Reject", "", "", "repaired and planned"], "repair"),
        ([other, project, "accepted", "", "", "a duplicate of row 2: sent once"], "warning"),
        ([image[:-1], project, "accepted", "", "", "blocked: a digit is missing"], "error"),
        ([image, "", "accepted", "", "", "blocked: no project"], "error"),
        ([image, project, "maybe", "", "", "blocked: no decision"], "error"),
        ([fourth, project, "accepted", "", "true", "blocked: a full-ECS image, no vault"], "error"),
    ):
        sheet.append(cells)
        sheet.cell(sheet.max_row, len(cells)).fill = _FILLS[kind]
    _lay_out(sheet, (38, 34, 17, 38, 23, 46), sheet.max_row)


def _fill_rules(sheet: Worksheet) -> None:
    sheet.append(["rule", "severity", "what is wrong", "what to do"])
    for rule in RULES.values():
        message = rule.message.replace("{field}", "the field")
        suggestion = in_shell(rule.suggestion.replace("{field}", "FIELD"))
        sheet.append([rule.name, rule.severity, message, suggestion])
        sheet.cell(sheet.max_row, 2).fill = _FILLS.get(rule.severity, PatternFill())
    _lay_out(sheet, (22, 10, 56, 64), sheet.max_row)
    _wrap(sheet, sheet.max_row)
    sheet.auto_filter.ref = sheet.dimensions


def _wrap(sheet: Worksheet, last_row: int) -> None:
    """Set the height of rows to their texts, which some programs do not do on opening."""
    sizes = [
        sheet.column_dimensions[get_column_letter(n + 1)].width for n in range(sheet.max_column)
    ]
    for number, row in enumerate(sheet.iter_rows(min_row=2, max_row=last_row), start=2):
        lines = (len(str(cell.value or "")) / size for cell, size in zip(row, sizes, strict=True))
        # Words break before a line's end: a line holds about 95 % of a column's width.
        sheet.row_dimensions[number].height = 15 * (int(max(lines) / 0.95) + 1)
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
