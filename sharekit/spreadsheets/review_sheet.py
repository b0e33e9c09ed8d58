"""The review as a workbook in which a person decides; :mod:`.decided` takes it back in.

Each row carries a key made from the plan's fingerprint and the row's IDs. Decisions are taken by
key alone, so sorting, filtering or deleting rows in between cannot move one to another image.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from sharekit.core.actions import DECISIONS

from . import bulk
from .bulk import LongSheet, Look
from .formats.raw_sheet import TEXT, column_letter
from .saving import CUT, fitted, save_new

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
    fixed = {"key": keys_of(rows, fingerprint), "decision": AS_PLANNED, "reason": ""}
    frame = pd.DataFrame(fixed, index=rows.index).join(facts)
    frame, cuts = fitted(frame.astype("str"))

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
                long += bulk.put(
                    sheet, part, piece, _looks(looks), lines=_lines(piece), later=later
                )
            _explain(book.add_worksheet("Read me"), looks, fingerprint, cuts)
        return long

    return save_new(lambda temporary: bulk.make(temporary, lay_out), path)


def _lines(rows: pd.DataFrame) -> pd.Series[int]:
    """How many lines each row needs; letters are narrower than the digits of a width."""
    lines = rows["findings"].str.len() // (FACTS["findings"] * 1.15) + 1
    return lines.clip(upper=_HIGHEST).astype("int64")


def _looks(formats: Mapping[str, Format]) -> list[Look]:
    words = {word: formats[word] for word in _COLOURS}
    kinds = {"decision": Look(formats["input"]), "reason": Look(formats["input"])}
    kinds["findings"] = Look(formats["whole"])
    kinds["disposition"] = Look(formats["text"], words)
    return [kinds.get(name, Look(formats["text"])) for name in _WIDTHS]


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


def keys_of(rows: pd.DataFrame, fingerprint: str) -> pd.Series[str]:
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
