"""The review sheet: a workbook in which a person decides on each row of a plan.

Each row carries a key made from the plan's fingerprint and the row's IDs. Decisions are matched by
key alone, so sorting, filtering or deleting rows cannot move one to another image. Changes in any
other column are rejected, because they would be silently ignored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

from sharekit.core.actions import DECISION_OF_ACTION, DECISIONS, SKIP
from sharekit.core.columns import STR, has_text, list_some, needs_reason
from sharekit.core.errors import InputError, UsageError
from sharekit.core.html import escape_invisible, shorten
from sharekit.core.rules import RULES
from sharekit.spreadsheets.vocabulary import (
    FALSE_WORDS,
    NO_DECISION,
    NO_USE,
    TRUE_WORDS,
    read_decision,
    says_why,
)

from ..cell_issues import may_be_struck, unsafe_cells
from ..formats.raw_sheet import TEXT, Blob, RawSheet, column_letter
from ..headers import SEARCHED_ROWS, normalize
from ..input import load
from ..inventory import SheetRows, rows_below
from ..reading import read_sheets
from .fast_xlsx import (
    MAX_ROWS,
    OPTIONS,
    ColumnFormat,
    LongSheet,
    add_rows,
    fit_to_page,
    write_workbook,
)
from .safe_cells import (
    HEADER_COLOR,
    TRUNCATED,
    plain_text,
    save_new,
    truncate,
    truncate_frame,
)

AS_PLANNED: Final = "as planned"
CHOICES: Final = (AS_PLANNED, *DECISIONS, SKIP)
#: Columns that show the decision that stands on a row -> the same in a review's rows.
STANDING: Final = {"decided": "decision", "decided_by": "by", "decision_reason": "reason"}
#: Column -> width. The facts follow the three columns that a reviewer works with.
FACTS: Final = {
    "decided": 12,
    "decided_by": 16,
    "decision_reason": 24,
    "disposition": 12,
    "findings": 36,
    "image_id": 37,
    "project_id": 33,
    "project_name": 24,
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
#: Disposition -> fill; color-blind people can tell them apart, and each is behind its word.
_COLORS: Final = {
    "blocked": "#F8D7C4",
    "planned": "#D6E8F7",
    "already": "#E7E7E7",
    "duplicate": "#FFF3C4",
}
_FORMATS: Final[dict[str, dict[str, object]]] = {
    "text": {"num_format": "@"},
    "input": {"num_format": "@", "bg_color": "#FFFBE6", "border": 1, "border_color": "#D9D3B8"},
    "header": {"bold": True, "font_color": "white", "bg_color": f"#{HEADER_COLOR}"},
    "note": {"text_wrap": True},
    "wrapped": {"num_format": "@", "text_wrap": True},
    **{word: {"num_format": "@", "bg_color": color} for word, color in _COLORS.items()},
}
_NOTES: Final = (
    "Choose a decision in the column decision; 'as planned' leaves the row as it is.",
    "The columns decided, decided_by and decision_reason show what a person has decided before.",
    "Write a reason beside each row that is rejected, skipped, or decided against the inventory or "
    "another person.",
    "accept and reject change the decision; skip leaves the share as it is in the cloud.",
    "share and unshare are for rows in which the owner of an image shares it.",
    "You can sort, filter and delete rows: each decision belongs to its key.",
    "A deleted row stays as planned; a row that is crossed out is refused.",
    "Comments, and columns of your own, are not read as decisions.",
    "Do not change keys, IDs or other facts: such a sheet is rejected.",
)
_READ_ME: Final = "Read me"
#: Number of lines a row's height is limited to.
_MAX_LINES: Final = 8
#: Cells named one by one in a note, and in an error.
_MAX_NOTED: Final = 50
_MAX_NAMED: Final = 5
#: Columns that the reviewer fills in, with the texts that need no closer look.
_INPUT: Final = {"decision": ("", *CHOICES), "reason": ("",)}
_READ: Final = ("key", *_INPUT, *FACTS)
#: Columns in which crossing out a cell means the row, or what is decided on it.
_STRUCK: Final = (
    "key", *_INPUT, *STANDING, "image_id", "project_id", "name", "status", "vault_id",
)  # fmt: skip
_CROSSED_OUT: Final = (
    "Remove the strikethrough; if the row is not to be sent, decide skip and write a reason "
    "(a deleted row stays as planned)"
)
#: Column -> what to do if its text was changed.
_REMEDIES: Final = {
    "image_id": "restore the ID, because another image needs a row in the inventory and a new plan",
    "project_id": "restore the ID, because another project needs a row in the inventory and a new "
    "plan",
    "status": "restore it, and choose what you want in the column decision",
    "vault_id": "restore it; a vault is chosen in the inventory or in the notebook's panel",
}
_RESTORE: Final = "restore it; only the columns decision and reason are read"
_Mask = NDArray[np.bool_] | pd.Series


def write_review(rows: pd.DataFrame, path: str | os.PathLike[str], *, fingerprint: str) -> Path:
    """Write a plan's rows as a workbook in which a person decides on each.

    Parameters
    ----------
    rows : DataFrame
        Indexed by ``row_key``; columns ``file, sheet, row, image_id, project_id, project_name,
        status, vault_id, name, owner, before, disposition, findings``, written as
        text; and those of a review's decisions, ``decision, by, reason``, if there are any.
    path : path
        The file to write; it must not exist yet.
    fingerprint : str
        The plan's fingerprint; :func:`read_review` rejects a sheet written for another plan.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        The path is taken or cannot be written to.
    """
    facts = pd.DataFrame({name: _fact(rows, name) for name in FACTS}, rows.index)
    facts = facts.astype(STR).fillna("")
    fixed = {"key": review_keys(rows, fingerprint), "decision": AS_PLANNED, "reason": ""}
    frame = pd.DataFrame(fixed, index=rows.index).join(facts)
    frame, truncated = truncate_frame(frame.astype(STR))

    def lay_out(path: Path, *, later: bool) -> list[LongSheet]:
        with xlsxwriter.Workbook(str(path), OPTIONS) as workbook:
            formats = {
                name: workbook.add_format({"valign": "top"} | own) for name, own in _FORMATS.items()
            }
            columns = _column_formats(formats)
            long = []
            for number, start in enumerate(range(0, max(len(frame), 1), MAX_ROWS), start=1):
                part = frame.iloc[start : start + MAX_ROWS]
                name = "Review" if number == 1 else f"Review ({number})"
                sheet = workbook.add_worksheet(name)
                _lay_out(sheet, formats, max(len(part), 1))
                counts = _line_counts(part)
                long += add_rows(sheet, number, part, columns, line_counts=counts, later=later)
            _write_notes(workbook.add_worksheet(_READ_ME), formats, fingerprint, truncated)
        return long

    return save_new(lambda temporary: write_workbook(temporary, lay_out), path)


def _fact(rows: pd.DataFrame, name: str) -> pd.Series:
    nothing = pd.Series("", rows.index, dtype=STR)
    return rows.get(STANDING[name], nothing) if name in STANDING else rows[name]


def _line_counts(rows: pd.DataFrame) -> pd.Series[int]:
    """Return the wrapped line count of each row; Excel does not compute it on opening."""
    # Widths are in digits; letters are narrower, by 15 % in findings.
    lines = rows["findings"].str.len() // (FACTS["findings"] * 1.15) + 1
    return lines.clip(upper=_MAX_LINES).astype("int64")


def _column_formats(formats: Mapping[str, Format]) -> list[ColumnFormat]:
    special = {
        "decision": ColumnFormat(formats["input"]),
        "reason": ColumnFormat(formats["input"]),
        "findings": ColumnFormat(formats["wrapped"]),
        "disposition": ColumnFormat(formats["text"], {word: formats[word] for word in _COLORS}),
    }
    return [special.get(name, ColumnFormat(formats["text"])) for name in _WIDTHS]


def _lay_out(sheet: Worksheet, formats: Mapping[str, Format], rows: int) -> None:
    names = list(_WIDTHS)
    last = len(names) - 1
    for column, (name, width) in enumerate(_WIDTHS.items()):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, name, formats["header"])
    sheet.set_row(0, 20)
    sheet.freeze_panes(1, 3)
    sheet.autofilter(0, 0, rows, last)
    sheet.ignore_errors({"number_stored_as_text": f"A1:{column_letter(last)}{rows + 1}"})
    fit_to_page(sheet)
    sheet.repeat_rows(0)
    # On paper nobody needs the key, and with all facts the text would be too small to read.
    decision = names.index("decision")
    sheet.print_area(0, decision, rows, names.index("before"))
    choices = {
        "validate": "list",
        "source": list(CHOICES),
        "error_title": "Please choose",
        "error_message": f"Choose one of: {', '.join(CHOICES)}.",
    }
    sheet.data_validation(1, decision, rows, decision, choices)


def _write_notes(
    sheet: Worksheet,
    formats: Mapping[str, Format],
    fingerprint: str,
    truncated: Sequence[tuple[int, int]],
) -> None:
    sheet.set_column(0, 0, 100)
    sheet.hide_gridlines(2)
    fit_to_page(sheet)
    notes = [*_NOTES, f"Plan: {fingerprint}"]
    if truncated:
        cells = [xl_rowcol_to_cell(row % MAX_ROWS + 1, column) for row, column in truncated]
        named = ", ".join(cells[:_MAX_NOTED]) + (" …" if len(cells) > _MAX_NOTED else "")
        notes.append(f"{len(cells):,} texts were {TRUNCATED}: {named}.")
    for row, note in enumerate(notes):
        sheet.write_string(row, 0, note, formats["note"])


def review_keys(rows: pd.DataFrame, fingerprint: str) -> pd.Series[str]:
    """Return a key for each row: its number, and 12 hexadecimal digits of plan, row and IDs.

    The digits are SipHash with the fingerprint as its key. They protect against mistakes, not
    against forgery: whoever may fill in the sheet may decide.
    """
    number = pa.array(rows.index.to_numpy(np.int64)).cast(TEXT)
    parts = [number, *(pa.array(rows[name]).cast(TEXT) for name in ("image_id", "project_id"))]
    texts = pc.binary_join_element_wise(*parts, pa.scalar("|", TEXT))
    hash_key = f"{fingerprint:0<16.16}"
    # All texts differ, so looking for equal ones first (categorize) would only cost time.
    hashes = pd.util.hash_array(np.asarray(texts, object), hash_key=hash_key, categorize=False)
    digits = np.frombuffer(hashes.astype(">u8").tobytes().hex().encode(), "S16").astype("S12")
    ends = pa.array(digits.astype("U12"), TEXT)
    dash, nothing = pa.scalar("-", TEXT), pa.scalar("", TEXT)
    keys = pc.binary_join_element_wise(pa.scalar("r", TEXT), number, dash, ends, nothing)
    return pd.Series(pd.array(keys, dtype=STR), index=rows.index)


def read_review(
    sheet: FilledSheet | str | os.PathLike[str], rows: pd.DataFrame, *, fingerprint: str,
    asked: pd.Series | None = None, reviewer: str = "",
    said: Callable[[pd.Index], pd.DataFrame] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Read the decisions in a review sheet that :func:`write_review` wrote for the same plan.

    Parameters
    ----------
    sheet : FilledSheet or path
        The workbook, or the same table in any other format that can be read.
    rows : DataFrame
        The plan's rows, as they were given to :func:`write_review`, with the decisions that stand
        now; in ``stood``, whether one stood already when the plan was made.
    fingerprint : str
        The plan's fingerprint.
    asked : Series, optional
        The action that the inventory asks for, by ``row_key``; with it, a decision that needs a
        reason has to have one.
    reviewer : str
        Who decides in the sheet.
    said : callable, optional
        Returns all that was ever decided on some rows, ``decision, by, reason`` by ``row_key``, a
        line for each time: a sheet may be older than a decision.

    Returns
    -------
    DataFrame
        Indexed by ``row_key`` in ascending order: ``decision`` (``accept``, ``reject``, ``share``,
        ``unshare`` or ``skip``) and ``reason``, both str; ``seen``, whether the sheet shows the
        decision that stands. Rows left as planned, and rows deleted, are not in it.

    Raises
    ------
    InputError
        A key is unknown, belongs to another plan, or has two decisions; a fact was changed; a
        decision is no known word; a decision or reason is no text, or is not the text that its
        cell displays; a reason is missing, or stands without a decision; another column holds
        another decision; something is crossed out; the sheet has no keys.
    """
    if not isinstance(sheet, FilledSheet):
        sheet = FilledSheet.read(sheet)
    row_keys = _row_keys(sheet, rows, fingerprint)
    decisions = _decisions(sheet, row_keys)
    sheet.reject((decisions == "") & has_text(sheet.rows["reason"]), "reason", NO_USE)
    _check_facts(sheet, row_keys, rows)
    facts = {name: _fact(rows, name).fillna("") for name in STANDING}
    facts["stood"] = rows.get("stood", pd.Series(data=False, index=rows.index))
    held = pd.DataFrame(facts).loc[row_keys.to_numpy()].set_axis(decisions.index)
    stale = _check_standing(sheet, row_keys, held, said)
    _check_own_columns(sheet, decisions, held["decided"])
    if asked is not None:
        others = held["decided"].where(held["decided_by"] != reviewer, "")
        asks = asked.take(row_keys.to_numpy()).set_axis(decisions.index)
        needed = (decisions != "") & needs_reason(decisions, asks, others)
        problem = (
            "needs a reason that says why, because the row is rejected, skipped or decided against "
            "the inventory or another person; write it beside the decision"
        )
        sheet.reject(needed & ~says_why(sheet.rows["reason"]), "decision", problem)
    taken = pd.DataFrame(
        {
            "row_key": row_keys, "decision": decisions, "reason": sheet.rows["reason"],
            "seen": ~stale,
        }
    )  # fmt: skip
    chosen = taken[taken["decision"] != ""].drop_duplicates("row_key")
    return chosen.set_index("row_key").sort_index()


def find_plan(sheet: FilledSheet, rows: pd.DataFrame, fingerprints: Sequence[str]) -> str:
    """Return the one of several plans of the same rows that a review sheet was written for.

    If it was written for none of them, return the first; reading it says what is wrong.
    """
    keys = set(sheet.rows["key"].head(1))
    known = (name for name in fingerprints if keys & set(review_keys(rows, name)))
    return next(known, fingerprints[0])


@dataclass(frozen=True)
class FilledSheet:
    """A review sheet that was filled in.

    Attributes
    ----------
    file : str
        The path of the workbook.
    letters : Mapping of str to str
        Column name -> column letter.
    rows : DataFrame
        The columns of the review as text; ``_row`` is the row in the sheet, and ``_sheet`` is what
        addresses begin with (a long review has several sheets).
    own : Mapping of str to str
        Column of ``rows`` -> letter, for the columns that a person has added.
    headers : Mapping of str to str
        Column of ``rows`` -> header of the same columns.
    notes : tuple of str
        Sentences on what the sheet holds and is not read.
    """

    file: str
    letters: Mapping[str, str]
    rows: pd.DataFrame
    own: Mapping[str, str]
    headers: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> FilledSheet:
        """Read every review sheet of a workbook as one.

        Raises
        ------
        InputError
            There is none; its sheets differ in their columns; or what a person filled in is no
            text, is not what the cell displays, is crossed out or has no key.
        """
        return _read_sheet(os.fspath(path))

    @property
    def row_numbers(self) -> pd.Series[str]:
        """The number of each row of the plan that is in the sheet, whatever the plan was."""
        return self.rows["key"].str.split("-").str[0]

    def reject(self, mask: _Mask, column: str, problem: str) -> None:
        """Raise InputError with the addresses of a column's cells in some rows, if any."""
        rows = self.rows[mask]
        if rows.empty:
            return
        named = rows.head(_MAX_NAMED)
        cells = [
            f"{sheet}{self.letters.get(column) or self.own[column]}{row}"
            for sheet, row in zip(named["_sheet"], named["_row"], strict=True)
        ]
        named_cells = list_some(cells, len(rows), _MAX_NAMED)
        raise InputError(f"{self.file}: {named_cells} {problem}.")


def _read_sheet(file: str) -> FilledSheet:
    blob = load(file)
    found = [(raw, *_find_header(raw)) for raw in read_sheets(blob)]
    sheets = [_filled_sheet(blob, raw, number, names) for raw, number, names in found if names]
    others = [raw.sheet for raw, _, names in found if not names and raw.height]
    if not sheets:
        raise InputError(
            f"{file} has no header with key and decision, so it is no review sheet; "
            "write a new one and copy the decisions into it."
        )
    notes = [note for sheet in sheets for note in sheet.notes]
    if others := [name for name in others if name != _READ_ME]:
        notes.append(f"{file}: other sheets are not read ({_listed(others)}).")
    if len(sheets) == 1:
        return replace(sheets[0], notes=tuple(notes))
    letters, own = sheets[0].letters, {n: c for sheet in sheets for n, c in sheet.own.items()}
    headers = {n: header for sheet in sheets for n, header in sheet.headers.items()}
    if any(sheet.letters != letters for sheet in sheets):
        raise InputError(f"{file}: its sheets differ in their columns; arrange them alike.")
    rows = pd.concat([sheet.rows for sheet in sheets], ignore_index=True)
    rows[list(own)] = rows[list(own)].fillna("")
    return FilledSheet(file, letters, rows, own, headers, tuple(notes))


def _find_header(raw: RawSheet) -> tuple[int, list[str]]:
    for number, row in enumerate(raw.head(SEARCHED_ROWS)):
        names = [normalize(cell) for cell in row]
        if "key" in names and "decision" in names:
            return number, names
    return 0, []


def _filled_sheet(blob: Blob, raw: RawSheet, header: int, names: Sequence[str]) -> FilledSheet:
    columns = {name: names.index(normalize(name)) for name in _READ if normalize(name) in names}
    repeated = [name for name in columns if names.count(normalize(name)) > 1]
    if repeated:
        raise InputError(f"{blob.file} has more than one column {repeated[0]}; keep one of them.")
    below = rows_below(blob, raw, header, tuple(names), columns)
    own = {f"_own {c}": c for c in range(len(below.cells)) if c not in columns.values()}
    rows = pd.DataFrame(
        {n: pd.array(below.cells[c], dtype=STR) for n, c in (columns | own).items()}
    )
    for name in _INPUT:
        rows[name] = rows[name] if name in rows else pd.Series("", rows.index, dtype=STR)
    rows["key"] = rows["key"].str.strip()
    rows["_sheet"] = f"{raw.sheet}!" if raw.sheet else ""
    rows["_row"] = below.rows + 1
    letters = {name: column_letter(c + raw.first_column) for name, c in own.items()}
    headers = {name: raw.cells[c][header].as_py().strip() for name, c in own.items()}
    sheet = FilledSheet(blob.file, below.source.letters, rows, letters, headers)
    sheet = replace(sheet, notes=tuple(_notes(sheet, below)))
    _check_input_cells(sheet, below)
    for name in _INPUT:
        without_key = (rows["key"] == "") & has_text(rows[name])
        sheet.reject(without_key, name, f"has a {name} but no key; clear it")
    keyed = rows["key"] != ""
    return sheet if keyed.all() else replace(sheet, rows=rows[keyed])


def _notes(sheet: FilledSheet, below: SheetRows) -> Iterator[str]:
    """Yield what a person may have meant as a decision, and that is not read as one."""
    where = sheet.file + (f", {_listed([below.raw.sheet])}" if below.raw.sheet else "")
    filled = [name for name in sheet.own if has_text(sheet.rows[name]).any()]
    if filled:
        columns = [f"{sheet.headers[name]} ({sheet.own[name]})".strip() for name in filled]
        yield (
            f"{where}: only decision and reason are read, and not the columns {_listed(columns)}."
        )
    texts = sheet.rows[sheet.rows["key"] == ""].drop(columns=["_sheet", "_row"])
    if (texts != "").any(axis=None):
        rows = sheet.rows.loc[texts.index[(texts != "").any(axis="columns")], "_row"]
        yield f"{where}: rows without a key are not read ({_listed(rows)})."
    if comments := below.raw.metadata.comments:
        yield f"{where}: comments are not read as decisions ({_listed(comments)})."
    if ranges := may_be_struck(below, _STRUCK):
        yield (
            f"{where}: a conditional format may cross out {ranges}, and such rows are taken as any "
            "others; decide skip where a row is not to be sent."
        )
    if below.raw.metadata.unread:
        rule = RULES["appearance-unread"]
        yield f"{where}: {rule.message} ({below.raw.metadata.unread})."


def _listed(names: Iterable[object]) -> str:
    """Return names that a person has written, for a message."""
    return list_some([shorten(escape_invisible(name)) for name in names], limit=_MAX_NAMED)


def _check_own_columns(sheet: FilledSheet, decisions: pd.Series[str], held: pd.Series[str]) -> None:
    """Reject a decision in a column of a person's own, where the row is decided otherwise."""
    if not sheet.own:
        return
    asked = sheet.rows["status"] if "status" in sheet.rows else pd.Series("", decisions.index)
    planned = held.where(held != "", asked.map(DECISION_OF_ACTION).fillna("").astype(STR))
    taken = decisions.where(decisions != "", planned)
    for name in sheet.own:
        ticked = _of_header(sheet.headers[name])
        codes, words = pd.factorize(sheet.rows[name])
        said = [_read(word) or "" if not ticked else _ticked(word, ticked) for word in words]
        column = pd.Series(said, dtype=object).take(codes).set_axis(decisions.index)
        problem = (
            "reads as another decision than the row has, and only the column decision is read; "
            "decide there, or delete this column"
        )
        sheet.reject((column != "") & (column != taken), name, problem)


def _of_header(header: str) -> str:
    """Return the decision that each mark below a header stands for, as below ``Skip?``."""
    word = header.strip(" ?!.:*").casefold()
    if word in TRUE_WORDS | FALSE_WORDS:
        return ""
    return "reject" if word == "veto" else _read(word) or ""


def _ticked(word: str, decision: str) -> str:
    return "" if word.strip().casefold() in FALSE_WORDS else decision


def _check_input_cells(sheet: FilledSheet, below: SheetRows) -> None:
    """Reject decisions and reasons that a person sees otherwise, as in an inventory."""
    issues = unsafe_cells(below, _INPUT, _STRUCK)
    for (name, field), cells in issues.groupby(["rule", "field"], sort=False):
        rule = RULES[str(name)]
        mask = np.isin(np.arange(len(sheet.rows)), cells["row_key"])
        remedy = _CROSSED_OUT if name == "crossed-out" else rule.suggestion.rstrip(".")
        problem = f"({field}): {rule.message}. {remedy}"
        sheet.reject(mask, str(field), problem)


def _row_keys(sheet: FilledSheet, rows: pd.DataFrame, fingerprint: str) -> pd.Series[int]:
    known = review_keys(rows, fingerprint)
    keys = sheet.rows["key"]
    # Most sheets come back in the order in which they were written; only others are looked up.
    expected = np.arange(len(keys)) % max(len(known), 1)
    row_keys = pd.Series(known.index[expected], keys.index, dtype="Int64")
    moved = keys.to_numpy() != known.to_numpy()[expected]
    by_key = pd.Series(known.index, index=known.to_numpy())
    row_keys[moved] = keys[moved].map(by_key).astype("Int64")
    problem = (
        "holds a key of another plan (importing a review sheet makes a new plan); "
        "write a review sheet of this plan and decide there"
    )
    sheet.reject(row_keys.isna(), "key", problem)
    return row_keys.astype(np.int64)


def _decisions(sheet: FilledSheet, row_keys: pd.Series[int]) -> pd.Series[str]:
    codes, words = pd.factorize(sheet.rows["decision"])
    decisions = pd.Series([_read(word) for word in words], dtype=object).take(codes)
    decisions = decisions.set_axis(sheet.rows.index)
    sheet.reject(decisions.isna(), "decision", NO_DECISION)
    several = decisions.groupby(row_keys).transform("nunique") > 1
    problem = "decides differently on the same key; keep one row for each key"
    sheet.reject(several, "decision", problem)
    return decisions.astype(STR)


def _read(word: str) -> str | None:
    try:
        return read_decision(word)
    except UsageError:
        return None


def _check_facts(sheet: FilledSheet, row_keys: pd.Series[int], rows: pd.DataFrame) -> None:
    """Reject a sheet in which a fact differs from the plan's."""
    keys = row_keys.to_numpy()
    in_order = np.array_equal(keys, rows.index)
    positions = None if in_order else pa.array(rows.index.get_indexer(pd.Index(keys)))
    for field in FACTS:
        if field not in sheet.letters or field in STANDING:
            continue
        written = pc.fill_null(pa.array(rows[field]).cast(TEXT), "")
        written = written if positions is None else written.take(positions)
        read = pa.array(sheet.rows[field]).cast(TEXT)
        differ = pa.array(np.flatnonzero(np.asarray(pc.not_equal(read, written), dtype=bool)))
        pairs = zip(read.take(differ).to_pylist(), written.take(differ).to_pylist(), strict=True)
        changed = np.zeros(len(read), dtype=bool)
        changed[differ] = [_is_changed(*pair) for pair in pairs]
        problem = f"differs from the plan's {field}; {_REMEDIES.get(field, _RESTORE)}"
        sheet.reject(changed, field, problem)


def _check_standing(
    sheet: FilledSheet, row_keys: pd.Series[int], held: pd.DataFrame,
    said: Callable[[pd.Index], pd.DataFrame] | None,
) -> pd.Series[bool]:  # fmt: skip
    """Return True where a sheet does not show the decision that stands; reject what never stood."""
    stale = pd.Series("decided" not in sheet.letters, held.index)
    for name, part in STANDING.items():
        if name not in sheet.letters:
            continue
        shown = sheet.rows[name]
        other = np.flatnonzero((shown != held[name]).to_numpy(bool))
        pairs = zip(shown.take(other), held[name].take(other), strict=True)
        other = other[[_is_changed(*pair) for pair in pairs]] if len(other) else other
        stale.iloc[other] = True
        texts = shown.take(other)
        cleared = held["stood"].take(other) & (name == "decided")
        texts = texts[(texts != "") | cleared]
        if said is not None and len(texts):
            keys = row_keys[texts.index]
            ever = said(pd.Index(keys))[part].dropna()
            known = {(key, plain_text(truncate(text))) for key, text in ever.items()}
            there = zip(keys, texts.map(plain_text), strict=True)
            texts = texts[[pair not in known for pair in there]]
        problem = f"is not what was decided on the row; {_RESTORE}"
        sheet.reject(sheet.rows.index.isin(texts.index), name, problem)
    return stale


def _is_changed(read: str, written: str) -> bool:
    """Return True if two texts differ in more than what programs change when they save."""
    return plain_text(read) != plain_text(truncate(written))
