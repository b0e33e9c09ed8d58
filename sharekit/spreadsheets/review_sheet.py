"""The review as a workbook: out to a person, and the decisions back in.

Each row carries a key made from the plan's fingerprint and the row's IDs. Decisions are taken by
key alone, so sorting, filtering or deleting rows in between cannot move one to another image.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell.cell import Cell
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Alignment, PatternFill
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from .. import spec
from ..errors import InputError
from .grid import Grid, column_letter
from .headers import SEARCHED_ROWS, normal
from .reading import load, read_grids
from .saving import cell_text, save_new
from .template import HEADER_FILL, HEADER_FONT, add_choices, print_wide

AS_PLANNED: Final = "as planned"
_CHOICES: Final = (AS_PLANNED, "accept", "reject", "skip")
#: What people write -> the decision; "" leaves the row as planned.
_WORDS: Final = (
    {"": "", "as planned": "", "planned": "", "as plan": "", "default": ""}
    | {word: "accept" for word, status in spec.STATUS_WORDS.items() if status == "accepted"}
    | {word: "reject" for word, status in spec.STATUS_WORDS.items() if status == "rejected"}
    | {"accepted": "accept", "rejected": "reject"}
    | dict.fromkeys(("skip", "skipped", "leave", "leave out", "ignore", "hold", "later"), "skip")
)
#: Column -> width; the facts follow the three columns that a reviewer works with.
_FACTS: Final = {
    "disposition": 14,
    "findings": 60,
    "image_id": 40,
    "project_id": 36,
    "status": 11,
    "before": 11,
    "vault_id": 40,
    "name": 30,
    "owner": 36,
    "file": 28,
    "sheet": 16,
    "row": 8,
}
_WIDTHS: Final = {"key": 22, "decision": 14, "reason": 36} | _FACTS
#: Colours that stay apart for colour-blind eyes; each stands beside its word.
_COLOURS: Final = {
    "blocked": "F8D7C4",
    "planned": "D6E8F7",
    "already": "E7E7E7",
    "duplicate": "FFF3C4",
}
_NOTES: Final = (
    "Choose a decision in the column of that name; 'as planned' leaves the row as it is.",
    "accept and reject change the decision; skip leaves the share untouched.",
    "Sorting, filtering and deleting rows is safe: each decision belongs to its key.",
    "A deleted row stays as planned. Change no key and no ID: such a sheet is refused.",
)
#: What is read back; the other facts are for the reader only.
_READ: Final = ["key", "decision", "reason", "image_id", "project_id"]
_SHOWN: Final = 5


def write_review(rows: pd.DataFrame, path: str | os.PathLike[str], *, fingerprint: str) -> Path:
    """Write a plan's rows as a workbook in which a person decides on each.

    Parameters
    ----------
    rows : DataFrame
        Indexed by ``row_key``; columns ``file, sheet, row, image_id, project_id, status, vault_id,
        name, owner, before, disposition, findings``, printed as text.
    path : path
        Where to; nothing may be there yet.
    fingerprint : str
        The plan's; a sheet written for another plan is refused by :func:`read_review`.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        The path is taken or cannot be written to.
    """
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Review"
    _prepare(sheet, len(rows) + 1)
    sheet.append([_header(sheet, name) for name in _WIDTHS])
    facts = rows[list(_FACTS)].astype("str").fillna("")
    fixed = {"key": _keys(rows, fingerprint), "decision": AS_PLANNED, "reason": ""}
    frame = pd.DataFrame(fixed, index=rows.index).join(facts)
    for values in frame.itertuples(index=False, name=None):
        sheet.append([_text_cell(sheet, value) for value in values])
    notes = book.create_sheet("Read me")
    notes.column_dimensions["A"].width = 100
    for line in (*_NOTES, f"Plan: {fingerprint}"):
        notes.append([_text_cell(notes, line)])
    return save_new(book, path)


def read_review(
    path: str | os.PathLike[str], rows: pd.DataFrame, *, fingerprint: str
) -> pd.DataFrame:
    """Take the decisions out of a review that :func:`write_review` wrote for the same plan.

    Parameters
    ----------
    path : path
        The workbook (or the same table in any other format that can be read).
    rows : DataFrame
        The plan's rows, as they were given to :func:`write_review`.
    fingerprint : str
        The plan's.

    Returns
    -------
    DataFrame
        Indexed by ``row_key`` in ascending order: ``decision`` (``accept``, ``reject`` or ``skip``)
        and ``reason``, both str. Rows left as planned, and rows deleted, are not in it.

    Raises
    ------
    InputError
        A key is unknown or from another plan, occurs twice with different decisions, or stands
        beside a changed ID; a decision is no known word; the sheet has no keys.
    """
    sheet = _find_sheet(os.fspath(path))
    row_keys = _row_keys(sheet, rows, fingerprint)
    decisions = _decisions(sheet, row_keys)
    _refuse_changed_ids(sheet, row_keys, rows)
    taken = pd.DataFrame(
        {"row_key": row_keys, "decision": decisions, "reason": sheet.lines["reason"]}
    )
    chosen = taken[taken["decision"] != ""].drop_duplicates("row_key")
    return chosen.set_index("row_key").sort_index()


def _prepare(sheet: Worksheet, last_row: int) -> None:
    names = list(_WIDTHS)
    for index, width in enumerate(_WIDTHS.values(), start=1):
        sheet.column_dimensions[get_column_letter(index)].width = width
    sheet.freeze_panes = "D2"
    print_wide(sheet)
    area = f"A1:{get_column_letter(len(names))}{last_row}"
    sheet.auto_filter.ref = area
    add_choices(sheet, get_column_letter(names.index("decision") + 1), _CHOICES, max(2, last_row))
    letter = get_column_letter(names.index("disposition") + 1)
    for word, colour in _COLOURS.items():
        look = DifferentialStyle(fill=PatternFill("solid", bgColor=colour))
        rule = Rule(type="expression", dxf=look, formula=[f'${letter}1="{word}"'])
        sheet.conditional_formatting.add(area, rule)


def _header(sheet: Worksheet, name: str) -> Cell:
    cell = _text_cell(sheet, name)
    cell.font, cell.fill, cell.alignment = HEADER_FONT, HEADER_FILL, Alignment(vertical="top")
    return cell


def _text_cell(sheet: Worksheet, value: object) -> Cell:
    cell = Cell(sheet, 1, 1, cell_text(value))
    # Otherwise "=1+1" would be a formula, and "#N/A" an error.
    cell.data_type, cell.number_format = "s", "@"
    return cell


def _keys(rows: pd.DataFrame, fingerprint: str) -> pd.Series[str]:
    parts = zip(rows.index, rows["image_id"], rows["project_id"], strict=True)
    keys = [_key(fingerprint, row, image, project) for row, image, project in parts]
    return pd.Series(keys, index=rows.index, dtype="str")


def _key(fingerprint: str, row: object, image: str, project: str) -> str:
    digest = hashlib.sha256(f"{fingerprint}|{row}|{image}|{project}".encode()).hexdigest()
    return f"r{row}-{digest[:12]}"


@dataclass(frozen=True)
class _Sheet:
    """A review that came back: ``lines`` as text, with ``line``, the row in the sheet."""

    file: str
    letters: Mapping[str, str]
    lines: pd.DataFrame

    def refuse(self, bad: pd.Series[bool], column: str, what: str) -> None:
        """Name the cells of a column that are bad, if any are."""
        lines = self.lines.loc[bad, "line"]
        if lines.empty:
            return
        cells = ", ".join(f"{self.letters[column]}{line}" for line in lines.head(_SHOWN))
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise InputError(f"{self.file}: {cells}{more} {what}.")


def _find_sheet(file: str) -> _Sheet:
    for grid in read_grids(load(file)):
        for number, row in enumerate(grid.head(SEARCHED_ROWS)):
            names = [normal(cell) for cell in row]
            if "key" in names and "decision" in names:
                return _take(file, grid, number + 1, names)
    raise InputError(
        f"{file} has no header with key and decision, so it is no review sheet; "
        "write one anew and copy the decisions into it."
    )


def _take(file: str, grid: Grid, start: int, names: Sequence[str]) -> _Sheet:
    places = {c: names.index(normal(c)) for c in _READ if normal(c) in names}
    letters = {c: column_letter(grid.first_column + place) for c, place in places.items()}
    cells = {c: grid.cells[place].slice(start).to_pylist() for c, place in places.items()}
    lines = pd.DataFrame(cells, dtype="str").reindex(columns=_READ, fill_value="")
    lines["key"] = lines["key"].str.strip()
    lines["line"] = np.arange(start, grid.height) + 1
    sheet = _Sheet(file, letters, lines)
    astray = (lines["key"] == "") & (lines["decision"].str.strip() != "")
    sheet.refuse(astray, "decision", "has a decision but no key; clear it")
    return _Sheet(file, letters, lines[lines["key"] != ""])


def _row_keys(sheet: _Sheet, rows: pd.DataFrame, fingerprint: str) -> pd.Series[int]:
    known = _keys(rows, fingerprint)
    found = sheet.lines["key"].map(pd.Series(known.index, index=known.to_numpy()))
    what = (
        "holds a key of another plan (taking a sheet makes a new one); "
        "write a review sheet of this plan and decide there"
    )
    sheet.refuse(found.isna(), "key", what)
    return found.astype(np.int64)


def _decisions(sheet: _Sheet, row_keys: pd.Series[int]) -> pd.Series[str]:
    said = sheet.lines["decision"].str.split().str.join(" ").str.casefold()
    meant = said.map(_WORDS)
    what = f"is no decision; choose one of {', '.join(_CHOICES)}"
    sheet.refuse(meant.isna(), "decision", what)
    several = meant.groupby(row_keys).transform("nunique") > 1
    what = "decides differently on the same key; keep one row for each key"
    sheet.refuse(several, "decision", what)
    return meant.astype("str")


def _refuse_changed_ids(sheet: _Sheet, row_keys: pd.Series[int], rows: pd.DataFrame) -> None:
    for field in ("image_id", "project_id"):
        if field not in sheet.letters:
            continue
        written = rows[field].reindex(row_keys).map(cell_text).str.replace("_x005F_", "_")
        same = sheet.lines[field].str.strip().to_numpy() == written.str.strip().to_numpy()
        what = (
            f"differs from the plan's {field}; restore the ID, because another image needs a row "
            "in the inventory and a new plan"
        )
        sheet.refuse(pd.Series(~same, sheet.lines.index), field, what)
