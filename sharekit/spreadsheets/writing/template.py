"""The template: an empty workbook for shares in which spreadsheet programs keep IDs intact."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from sharekit.core.actions import ACTIONS
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.rules import RULES, in_shell

from .safe_cells import HEADER_COLOR, save_new

#: Tints that color-blind people can tell apart; the cell or the one beside it has the word.
_TINTS: Final = {
    "planned": "#D6E8F7",
    "repair": "#D9EEFA",
    "warning": "#FFF3C4",
    "error": "#F9D2B8",
}
_LAST_ROW: Final = 1_048_575


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


@checks_arguments
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
    return save_new(_save, path)


class _Book:
    """The workbook, with its formats, each of them made once."""

    def __init__(self) -> None:
        self.content = BytesIO()  # written in one piece: a full disk is an error of the system
        self.workbook = xlsxwriter.Workbook(self.content, {"in_memory": True})
        header = {"bold": True, "font_color": "white", "bg_color": f"#{HEADER_COLOR}"}
        self.header = self.workbook.add_format({**header, "valign": "top"})
        self.text = self.format()
        self.wrapped = self.format(text_wrap=True, valign="top")

    def format(self, **options: object) -> Format:
        """Return a format of text."""
        return self.workbook.add_format({"num_format": "@", **options})

    def add_sheet(self, name: str, heads: list[str], widths: Sequence[int]) -> Worksheet:
        """Return a new sheet with its header, that prints on the width of a page."""
        sheet = self.workbook.add_worksheet(name)
        sheet.write_row(0, 0, heads, self.header)
        for index, width in enumerate(widths):
            sheet.set_column(index, index, width)
        sheet.freeze_panes(1, 0)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.3, right=0.3, top=0.4, bottom=0.6)
        sheet.set_footer("&L&A&RPage &P of &N")
        sheet.repeat_rows(0)
        return sheet


def _save(path: Path) -> None:
    book = _Book()
    _fill_shares(book)
    _fill_notes(book)
    _fill_example(book)
    _fill_rules(book)
    book.workbook.close()
    path.write_bytes(book.content.getbuffer())


def _add_choices(sheet: Worksheet, column: int, choices: tuple[str, ...]) -> None:
    """Restrict the cells of a column below the header to the choices of a drop-down list."""
    sheet.data_validation(
        1, column, _LAST_ROW, column,
        {
            "validate": "list",
            "source": list(choices),
            "error_title": "Please choose",
            "error_message": f"Choose one of: {', '.join(choices)}.",
        },
    )  # fmt: skip


def _fill_shares(book: _Book) -> None:
    heads = [column.field for column in _COLUMNS]
    sheet = book.add_sheet("Shares", heads, ())
    for index, column in enumerate(_COLUMNS):
        note = f"{column.meaning}\n{column.how}\nNeeded: {column.needed}."
        sheet.write_comment(0, index, note, {"author": "sharekit", "height": 110, "width": 300})
        # The format of the column applies to every cell that is filled in later.
        sheet.set_column(index, index, column.width, book.text)
        if column.choices:
            _add_choices(sheet, index, column.choices)


def _fill_notes(book: _Book) -> None:
    # No row here may look like a header, or the example would be read as a share.
    widths = (22, 48, 36, 16, 38)
    heads = ["Column", "What it is", "How it is written", "Needed", "Example"]
    sheet = book.add_sheet("Read me", heads, widths)
    sheet.hide_gridlines(2)
    for index, column in enumerate(_COLUMNS):
        name = f"{xl_col_to_name(index)} ({column.field})"
        _write_wrapped(
            book, sheet, index + 1, widths,
            (name, column.meaning, column.how, column.needed, column.example),
        )  # fmt: skip
    for number, line in enumerate(
        (
            "One row is one share: one image for one project. Blank rows are skipped.",
            "The columns are formatted as text: as numbers, IDs of digits would lose digits.",
            "Paste values only (Ctrl+Shift+V) to keep the text format.",
            "Rejected images leave the image list; servers can still be created from them.",
            "share and unshare are for an image's owner; the project is the one it is shared with.",
            "You can add columns of your own; every report keeps them.",
        ),
        start=len(_COLUMNS) + 2,
    ):
        sheet.write_string(number, 0, line)


def _fill_example(book: _Book) -> None:
    # With these headers the sheet is not read as a list of shares: examples must never be sent.
    heads = [f"{column.field} (example)" for column in _COLUMNS[:5]]
    sheet = book.add_sheet("Example", [*heads, "what happens to it"], (38, 34, 17, 38, 23, 46))
    sheet.hide_gridlines(2)
    valid = [column.example for column in _COLUMNS[:5]]
    image, project = valid[:2]
    other, third, fourth = (image[:-2] + end for end in ("22", "a3", "f4"))
    fills = {name: book.format(bg_color=tint) for name, tint in _TINTS.items()}
    examples = (
        ([other, project, "accepted", "", "", "planned: sent after approval"], "planned"),
        ([*valid, "planned: a full-ECS image goes into a backup vault"], "planned"),
        ([third.upper(), project, "Reject", "", "", "repaired and planned"], "repair"),
        ([other, project, "accepted", "", "", "a duplicate of row 2: sent once"], "warning"),
        ([image[:-1], project, "accepted", "", "", "blocked: a digit is missing"], "error"),
        ([image, "", "accepted", "", "", "blocked: no project"], "error"),
        ([image, project, "maybe", "", "", "blocked: no decision"], "error"),
        ([fourth, project, "accepted", "", "true", "blocked: a full-ECS image, no vault"], "error"),
    )
    for row, (cells, kind) in enumerate(examples, start=1):
        for index, text in enumerate(cells[:-1]):
            sheet.write_string(row, index, text, book.text)
        sheet.write_string(row, len(cells) - 1, cells[-1], fills[kind])


def _fill_rules(book: _Book) -> None:
    widths = (22, 10, 56, 64)
    heads = ["rule", "severity", "what is wrong", "what to do"]
    sheet = book.add_sheet("Rules", heads, widths)
    sheet.hide_gridlines(2)
    fills = {
        name: book.format(bg_color=tint, text_wrap=True, valign="top")
        for name, tint in _TINTS.items()
    }
    for row, rule in enumerate(RULES.values(), start=1):
        message = rule.message.replace("{field}", "the field")
        suggestion = in_shell(rule.suggestion.replace("{field}", "FIELD"))
        cells = (rule.name, rule.severity, message, suggestion)
        _write_wrapped(book, sheet, row, widths, cells)
        sheet.write_string(row, 1, rule.severity, fills.get(rule.severity, book.wrapped))
    sheet.autofilter(0, 0, len(RULES), len(widths) - 1)


def _write_wrapped(
    book: _Book, sheet: Worksheet, row: int, widths: Sequence[int], cells: Sequence[str]
) -> None:
    """Write texts with the height they need, which some programs do not find out on opening."""
    lines = (len(text) / width for text, width in zip(cells, widths, strict=True))
    # Words break before a line's end: a line holds about 95 % of a column's width.
    sheet.set_row(row, 15 * (int(max(lines) / 0.95) + 1))
    for index, text in enumerate(cells):
        sheet.write_string(row, index, text, book.wrapped)
