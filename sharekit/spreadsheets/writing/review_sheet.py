"""The review as a workbook in which a person decides, written and read back.

Each row carries a key made from the plan's fingerprint and the row's IDs. Decisions are taken by
key alone, so sorting, filtering or deleting rows in between cannot move one to another image.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from numpy.typing import NDArray
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from sharekit.core.actions import DECISIONS, STATUS_WORDS
from sharekit.core.errors import InputError
from sharekit.core.rules import RULES

from ..cell_issues import unsafe_cells
from ..formats.raw_sheet import TEXT, Blob, RawSheet, column_letter
from ..headers import SEARCHED_ROWS, normal
from ..input import load
from ..inventory import SheetRows, rows_below
from ..reading import read_grids
from . import fast_xlsx
from .fast_xlsx import ColumnFormat, LongSheet
from .safe_cells import CUT, plain_text, save_new, truncate, truncate_frame

AS_PLANNED: Final = "as planned"
CHOICES: Final = (AS_PLANNED, *DECISIONS, "skip")
#: Column -> width; the facts follow the three columns that a reviewer works with.
FACTS: Final = {
    "disposition": 12,
    "findings": 36,
    "image_id": 37,
    "project_id": 33,
    "status": 10,
    "before": 10,
    "vault_id": 40,
    "name": 30,
    "owner": 36,
    "file": 28,
    "sheet": 16,
    "row": 8,
}
_WIDTHS: Final = {"key": 18, "decision": 12, "reason": 24} | FACTS
#: Disposition -> fill; they stay apart for colour-blind eyes, and each stands behind its word.
_COLOURS: Final = {
    "blocked": "#F8D7C4",
    "planned": "#D6E8F7",
    "already": "#E7E7E7",
    "duplicate": "#FFF3C4",
}
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_STYLES: Final[dict[str, dict[str, object]]] = {
    "text": {"num_format": "@"},
    "input": {"num_format": "@", "bg_color": "#FFFBE6", "border": 1, "border_color": "#D9D3B8"},
    "head": {"bold": True, "font_color": "white", "bg_color": "#1F4E79"},
    "note": {"text_wrap": True},
    "whole": {"num_format": "@", "text_wrap": True},
    **{word: {"num_format": "@", "bg_color": colour} for word, colour in _COLOURS.items()},
}
#: Rows under a header; more go on to a further sheet.
_ROWS: Final = 1_048_575
_NOTES: Final = (
    "Choose a decision in the column of that name; 'as planned' leaves the row as it is.",
    "accept and reject change the decision; skip leaves the share untouched.",
    "share and unshare are for rows in which the owner of an image shares it.",
    "Sorting, filtering and deleting rows is safe: each decision belongs to its key.",
    "A deleted row stays as planned. Change no key and no ID: such a sheet is refused.",
)
#: A row becomes no higher than so many lines.
_HIGHEST: Final = 8
#: Cells that are named one by one, in a note.
_LISTED: Final = 50


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
        The plan's; a sheet written for another plan is refused by :func:`.read_review`.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        The path is taken or cannot be written to.
    """
    facts = rows[list(FACTS)].astype("str").fillna("")
    fixed = {"key": review_keys(rows, fingerprint), "decision": AS_PLANNED, "reason": ""}
    frame = pd.DataFrame(fixed, index=rows.index).join(facts)
    frame, cuts = truncate_frame(frame.astype("str"))

    def lay_out(path: Path, *, later: bool) -> list[LongSheet]:
        with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
            looks = {
                name: book.add_format({"valign": "top"} | own) for name, own in _STYLES.items()
            }
            long = []
            for part, start in enumerate(range(0, max(len(frame), 1), _ROWS), start=1):
                sheet = book.add_worksheet("Review" if part == 1 else f"Review ({part})")
                piece = frame.iloc[start : start + _ROWS]
                _prepare(sheet, looks, max(len(piece), 1))
                long += fast_xlsx.add_rows(
                    sheet, part, piece, _looks(looks), lines=_lines(piece), later=later
                )
            _explain(book.add_worksheet("Read me"), looks, fingerprint, cuts)
        return long

    return save_new(lambda temporary: fast_xlsx.write_workbook(temporary, lay_out), path)


def _lines(rows: pd.DataFrame) -> pd.Series[int]:
    """How many lines each row needs; letters are narrower than the digits of a width."""
    lines = rows["findings"].str.len() // (FACTS["findings"] * 1.15) + 1
    return lines.clip(upper=_HIGHEST).astype("int64")


def _looks(formats: Mapping[str, Format]) -> list[ColumnFormat]:
    words = {word: formats[word] for word in _COLOURS}
    kinds = {"decision": ColumnFormat(formats["input"]), "reason": ColumnFormat(formats["input"])}
    kinds["findings"] = ColumnFormat(formats["whole"])
    kinds["disposition"] = ColumnFormat(formats["text"], words)
    return [kinds.get(name, ColumnFormat(formats["text"])) for name in _WIDTHS]


def _prepare(sheet: Worksheet, formats: Mapping[str, Format], rows: int) -> None:
    names = list(_WIDTHS)
    for place, (name, width) in enumerate(_WIDTHS.items()):
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, name, formats["head"])
    sheet.set_row(0, 20)
    sheet.freeze_panes(1, 3)
    sheet.autofilter(0, 0, rows, len(names) - 1)
    sheet.ignore_errors({"number_stored_as_text": f"A1:{column_letter(len(names) - 1)}{rows + 1}"})
    _print_wide(sheet)
    sheet.repeat_rows(0)
    # On paper nobody needs the key, and the further facts would make the rest too small to read.
    sheet.print_area(0, names.index("decision"), rows, names.index("before"))
    place = names.index("decision")
    sheet.data_validation(
        1, place, rows, place,
        {"validate": "list", "source": list(CHOICES), "error_title": "Please choose",
         "error_message": f"Choose one of: {', '.join(CHOICES)}."},
    )  # fmt: skip


def _print_wide(sheet: Worksheet) -> None:
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.set_margins(left=0.3, right=0.3, top=0.4, bottom=0.6)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&RPage &P of &N")


def _explain(
    sheet: Worksheet, formats: Mapping[str, Format], fingerprint: str, cuts: list[tuple[int, int]]
) -> None:
    sheet.set_column(0, 0, 100)
    sheet.hide_gridlines(2)
    _print_wide(sheet)
    cells = [xl_rowcol_to_cell(row % _ROWS + 1, column) for row, column in cuts]
    shown = ", ".join(cells[:_LISTED]) + (" …" if len(cells) > _LISTED else "")
    told = [f"{len(cells):,} texts were {CUT}: {shown}."] if cells else []
    for row, line in enumerate((*_NOTES, f"Plan: {fingerprint}", *told)):
        sheet.write_string(row, 0, line, formats["note"])


def review_keys(rows: pd.DataFrame, fingerprint: str) -> pd.Series[str]:
    """Name each row of a plan: its number, and 12 hexadecimal digits of plan, row and IDs.

    The digits are SipHash with the fingerprint as its key. They guard against slips, not against
    forgery: whoever may fill in the sheet may decide.
    """
    number = pa.array(rows.index.to_numpy(np.int64)).cast(TEXT)
    parts = [number, *(pa.array(rows[name]).cast(TEXT) for name in ("image_id", "project_id"))]
    texts = pc.binary_join_element_wise(*parts, pa.scalar("|", TEXT))
    hash_key = f"{fingerprint:0<16.16}"
    # All texts differ, so that looking for equal ones first would only cost time.
    hashes = pd.util.hash_array(np.asarray(texts, object), hash_key=hash_key, categorize=False)
    digits = np.frombuffer(hashes.astype(">u8").tobytes().hex().encode(), "S16").astype("S12")
    ends = pa.array(digits.astype("U12"), TEXT)
    pieces = (pa.scalar("r", TEXT), number, pa.scalar("-", TEXT), ends, pa.scalar("", TEXT))
    keys = pc.binary_join_element_wise(*pieces)
    return pd.Series(pd.array(keys, dtype="str"), index=rows.index)


_DECIDED: Final = {act: word for word, act in DECISIONS.items()}
#: What people write -> the decision; "" leaves the row as planned.
_WORDS: Final = (
    {"": "", "as planned": "", "planned": "", "as plan": "", "default": ""}
    | {word: _DECIDED[act] for word, act in STATUS_WORDS.items()}
    | dict.fromkeys(("skip", "skipped", "leave", "leave out", "ignore", "hold", "later"), "skip")
)
#: Columns for the person, with what needs no closer look in them.
_FOR_DECIDING: Final = {"decision": ("", *CHOICES), "reason": ("",)}
_READ: Final = ("key", *_FOR_DECIDING, *FACTS)
#: What to do about a fact that was changed; for every other one it is as for these.
_INSTEAD: Final = {
    "image_id": "restore the ID, because another image needs a row in the inventory and a new plan",
    "project_id": "restore the ID, because another project needs a row in the inventory and a new "
    "plan",
    "status": "restore it, and say what you want in the column decision",
    "vault_id": "restore it; a vault is chosen in the inventory or in the notebook's panel",
}
_RESTORE: Final = "restore it; only the columns decision and reason are read"
#: Which of the lines.
Marked = NDArray[np.bool_] | pd.Series
#: Cells that are named one by one, in a refusal.
_SHOWN: Final = 5


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
        beside a fact that was changed; a decision is no known word, or like a reason no text; a
        cell holds another text than it shows; the sheet has no keys.
    """
    sheet = _find_sheet(os.fspath(path))
    row_keys = _row_keys(sheet, rows, fingerprint)
    decisions = _decisions(sheet, row_keys)
    _refuse_changed(sheet, row_keys, rows)
    taken = pd.DataFrame(
        {"row_key": row_keys, "decision": decisions, "reason": sheet.lines["reason"]}
    )
    chosen = taken[taken["decision"] != ""].drop_duplicates("row_key")
    return chosen.set_index("row_key").sort_index()


@dataclass(frozen=True)
class _Sheet:
    """A review that came back: ``lines`` as text, with ``_line``, the row in the sheet.

    A long review has several sheets; ``_tab`` is what a cell's name begins with.
    """

    file: str
    letters: Mapping[str, str]
    lines: pd.DataFrame

    def refuse(self, bad: Marked, column: str, what: str) -> None:
        """Name the cells of a column that are bad, if any are."""
        lines = self.lines[bad]
        if lines.empty:
            return
        shown = lines.head(_SHOWN)
        cells = ", ".join(
            f"{tab}{self.letters[column]}{line}"
            for tab, line in zip(shown["_tab"], shown["_line"], strict=True)
        )
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise InputError(f"{self.file}: {cells}{more} {what}.")


def _find_sheet(file: str) -> _Sheet:
    blob = load(file)
    parts = [
        _take(blob, grid, number, names)
        for grid in read_grids(blob)
        for number, names in [_header(grid)]
        if names
    ]
    if not parts:
        raise InputError(
            f"{file} has no header with key and decision, so it is no review sheet; "
            "write one anew and copy the decisions into it."
        )
    if len(parts) == 1:
        return parts[0]
    letters = parts[0].letters
    if any(part.letters != letters for part in parts):
        raise InputError(f"{file}: its sheets differ in their columns; arrange them alike.")
    lines = pd.concat([part.lines for part in parts], ignore_index=True)
    return _Sheet(file, letters, lines)


def _header(grid: RawSheet) -> tuple[int, list[str]]:
    for number, row in enumerate(grid.head(SEARCHED_ROWS)):
        names = [normal(cell) for cell in row]
        if "key" in names and "decision" in names:
            return number, names
    return 0, []


def _take(blob: Blob, grid: RawSheet, start: int, names: Sequence[str]) -> _Sheet:
    places = {c: names.index(normal(c)) for c in _READ if normal(c) in names}
    letters = {c: column_letter(grid.first_column + place) for c, place in places.items()}
    twice = [c for c in places if names.count(normal(c)) > 1]
    if twice:
        raise InputError(f"{blob.file} has more than one column {twice[0]}; leave one of them.")
    part = rows_below(blob, grid, start, tuple(names), places)
    lines = pd.DataFrame({c: pd.array(part.cells[p], dtype="str") for c, p in places.items()})
    for name in _FOR_DECIDING:
        lines[name] = lines[name] if name in lines else pd.Series("", lines.index, dtype="str")
    lines["key"] = lines["key"].str.strip()
    lines["_tab"] = f"{grid.sheet}!" if grid.sheet else ""
    lines["_line"] = part.rows + 1
    sheet = _Sheet(blob.file, letters, lines)
    _refuse_unseen(sheet, part)
    astray = (lines["key"] == "") & (lines["decision"].str.strip() != "")
    sheet.refuse(astray, "decision", "has a decision but no key; clear it")
    keyed = lines["key"] != ""
    return sheet if keyed.all() else _Sheet(blob.file, letters, lines[keyed])


def _refuse_unseen(sheet: _Sheet, part: SheetRows) -> None:
    """Refuse what an inventory is refused for: cells that a person sees otherwise."""
    found = unsafe_cells(part, _FOR_DECIDING)
    for (rule, field), cells in found.groupby(["rule", "field"], sort=False):
        told = RULES[str(rule)]
        bad = np.isin(np.arange(len(sheet.lines)), cells["row_key"])
        what = f"({field}): {told.message}. {told.suggestion.rstrip('.')}"
        sheet.refuse(bad, str(field), what)


def _row_keys(sheet: _Sheet, rows: pd.DataFrame, fingerprint: str) -> pd.Series[int]:
    known = review_keys(rows, fingerprint)
    keys = sheet.lines["key"]
    # Most sheets come back in the order in which they went; only the others are looked up.
    same = np.arange(len(keys)) % max(len(known), 1)
    found = pd.Series(known.index[same], keys.index, dtype="Int64")
    astray = keys.to_numpy() != known.to_numpy()[same]
    elsewhere = keys[astray].map(pd.Series(known.index, index=known.to_numpy()))
    found[astray] = elsewhere.astype("Int64")
    what = (
        "holds a key of another plan (taking a sheet makes a new one); "
        "write a review sheet of this plan and decide there"
    )
    sheet.refuse(found.isna(), "key", what)
    return found.astype(np.int64)


def _decisions(sheet: _Sheet, row_keys: pd.Series[int]) -> pd.Series[str]:
    codes, words = pd.factorize(sheet.lines["decision"])
    said = pd.Series(words, dtype="str").str.split().str.join(" ").str.casefold()
    meant = pd.Series(said.map(_WORDS).to_numpy()[codes], sheet.lines.index)
    what = f"is no decision; choose one of {', '.join(CHOICES)}"
    sheet.refuse(meant.isna(), "decision", what)
    several = meant.groupby(row_keys).transform("nunique") > 1
    what = "decides differently on the same key; keep one row for each key"
    sheet.refuse(several, "decision", what)
    return meant.astype("str")


def _refuse_changed(sheet: _Sheet, row_keys: pd.Series[int], rows: pd.DataFrame) -> None:
    """Compare every fact with the plan's, as texts."""
    keys = row_keys.to_numpy()
    at = (
        None
        if np.array_equal(keys, rows.index)
        else pa.array(rows.index.get_indexer(pd.Index(keys)))
    )
    for field in FACTS:
        if field not in sheet.letters:
            continue
        written = pc.fill_null(pa.array(rows[field]).cast(TEXT), "")
        written = written if at is None else written.take(at)
        found = pa.array(sheet.lines[field]).cast(TEXT)
        odd = pa.array(np.flatnonzero(np.asarray(pc.not_equal(found, written), dtype=bool)))
        pairs = zip(found.take(odd).to_pylist(), written.take(odd).to_pylist(), strict=True)
        bad = np.zeros(len(found), dtype=bool)
        bad[odd] = [_changed(*pair) for pair in pairs]
        what = f"differs from the plan's {field}; {_INSTEAD.get(field, _RESTORE)}"
        sheet.refuse(bad, field, what)


def _changed(found: str, written: str) -> bool:
    """Say whether two texts differ in more than what programs change when they save."""
    return plain_text(found) != plain_text(truncate(written))
