"""The decisions of a review sheet that a person has filled in: taken as they are seen, or refused.

Decisions are taken by key alone. Nothing else may have been changed: whoever changes a fact in the
sheet expects something of it, and nothing would come of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import DECISIONS, STATUS_WORDS
from sharekit.core.errors import InputError
from sharekit.core.rules import RULES

from .formats.raw_sheet import TEXT, Blob, RawSheet, column_letter
from .headers import SEARCHED_ROWS, normal
from .marks import doubts
from .part import Part, below_header
from .reading import load, read_grids
from .review_sheet import CHOICES, FACTS, keys_of
from .saving import fitting, plain_text

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
    part = below_header(blob, grid, start, tuple(names), places)
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


def _refuse_unseen(sheet: _Sheet, part: Part) -> None:
    """Refuse what an inventory is refused for: cells that a person sees otherwise."""
    found = doubts(part, _FOR_DECIDING)
    for (rule, field), cells in found.groupby(["rule", "field"], sort=False):
        told = RULES[str(rule)]
        bad = np.isin(np.arange(len(sheet.lines)), cells["row_key"])
        what = f"({field}): {told.message}. {told.suggestion.rstrip('.')}"
        sheet.refuse(bad, str(field), what)


def _row_keys(sheet: _Sheet, rows: pd.DataFrame, fingerprint: str) -> pd.Series[int]:
    known = keys_of(rows, fingerprint)
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
    return plain_text(found) != plain_text(fitting(written))
