"""Rows that are not what they seem: no share, a second header, columns shifted, rows swallowed.

What is wrong with a row becomes a line of :attr:`.Inventory.cell_issues`, as for cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.actions import ACCEPTED, ACTIONS, REJECTED, SHARE, STATUSES, UNSHARE
from sharekit.core.columns import list_some, numbered
from sharekit.core.fields import ID_FIELDS
from sharekit.core.html import shorten

from .formats import per_text as pc
from .formats.per_text import is_numbered
from .formats.raw_sheet import TEXT, RawSheet, Records, column_letter, take
from .headers import normalize, tells_of_past
from .inventory import SheetRows, is_blank
from .repeated_headers import ANY_ID, are_keys, is_header
from .vocabulary import (
    CLEAR_DECISIONS,
    CONSENTS,
    PAST_REMARKS,
    RECORD_WORDS,
    STATE_HEADERS,
    STATUS_WORDS,
    STOPS,
    headers_of,
    says,
)

#: Fields of which a share has at least one.
_TELLING: Final = (*ID_FIELDS, "status")
_DASHED_ID: Final = r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: Characters of a run that may be a damaged ID: no word and no year is so long and has digits.
_DAMAGED_ID: Final = re.compile(r"(?i)(?=[a-z-]*[0-9])[0-9a-z-]{12,}|[0-9]{5,}")
#: Words of rows that count or end a list.
CLOSING: Final = re.compile(
    r"(?i)\W*(?:(?:grand|sub)?\s*totals?|sums?|count|average|gesamt|summe|anzahl|somme|nombre|suma"
    r"|合计|总计|小计|end|ende|fin)\b"
)
_COUNT: Final = re.compile(r"[0-9]{0,4}")
_LINE: Final = re.compile(r"[-=_+:\s\u2013\u2014\u2500]+")
_HAS_ID: Final = re.compile(ANY_ID)
#: Lengths of image IDs, with dashes and without; nothing else has to be searched for one.
_ID_LENGTHS: Final = (36, 32)
_DECISIONS: Final = pa.array(sorted(STATUS_WORDS), TEXT)
#: Rows without an ID and a decision that are looked at one by one, from the end of the sheet.
_MAX_CLOSING: Final = 1000
#: What headers of decisions and states contain; short words are in many others.
_DECISION_KEYS: Final = frozenset(
    key
    for word in (*headers_of("status")[0], *STATE_HEADERS, "state")
    if len(key := normalize(word)) >= 5 or not key.isascii()
)
_OPPOSITE: Final = {ACCEPTED: REJECTED, REJECTED: ACCEPTED, SHARE: UNSHARE, UNSHARE: SHARE}
#: Remarks that begin like a decision ("REJECT!! see mail", "Please reject", "To be rejected"), or
#: with a word such as "ignore" -> the words of decisions that they speak against.
_REMARKS: Final = {
    r"(?i)\A[^\pL\pN]*(?:(?:please|to|be|must|should|bitte)\s+){0,3}"
    rf"(?:{'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})(?:\PL|\z)": against
    for words, against in [
        *(
            (
                [word for word, meant in CLEAR_DECISIONS.items() if meant == action],
                [word for word, meant in STATUS_WORDS.items() if meant == opposite],
            )
            for action, opposite in _OPPOSITE.items()
        ),
        # Beside a rejection "outdated" is a reason for it.
        (STOPS - CONSENTS, [w for w, meant in STATUS_WORDS.items() if meant in (ACCEPTED, SHARE)]),
    ]
}
#: Shorter words (yes, ok, no, x) tick a row off as often as they decide on it.
_MIN_DECISION: Final = 6
#: One by one, because a single byte is found a hundred times as fast as any of two.
_LINE_BREAKS: Final = (re.compile(b"\n"), re.compile(b"\r"))
#: What separates the columns of a text file that a spreadsheet program may have opened.
_SEPARATORS: Final = (",", ";", "\t", "|")

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class RowHits:
    """Rows that break a rule: their positions, and for each what to add to the message."""

    rule: str
    positions: Positions
    details: Sequence[str] = ()
    field: str = ""

    @classmethod
    def of(cls, rule: str, details: Mapping[int, str]) -> RowHits:
        """Return hits of rows by their positions, each with what to add to the message."""
        positions = sorted(details)
        return cls(rule, np.array(positions, np.int64), [details[i] for i in positions])

    def without(self, positions: Positions) -> RowHits:
        """Return the hits in other rows."""
        kept = ~np.isin(self.positions, positions)
        return replace(
            self, positions=self.positions[kept], details=list(compress(self.details, kept))
        )


def find_row_issues(sheet: SheetRows) -> Iterator[RowHits]:
    """Find rows that are not what they seem."""
    if not sheet.rows.size:
        return
    swallowing = _swallowing_rows(sheet)
    yield swallowing
    shifted = _surplus_cells(sheet)
    yield shifted.without(swallowing.positions)
    faulty = np.concatenate([swallowing.positions, shifted.positions])
    elsewhere = _decisions_elsewhere(sheet)
    yield elsewhere.without(faulty)
    yield _opposite_remarks(sheet).without(np.concatenate([faulty, elsewhere.positions]))
    others = np.setdiff1d(rows_without_share(sheet), faulty)
    yield RowHits("no-share", others)
    undecided = np.setdiff1d(undecided_rows(sheet), np.concatenate([faulty, others]))
    yield RowHits("not-decided", undecided, field="status")


def find_sheet_notes(sheet: SheetRows) -> Iterator[tuple[str, str]]:
    """Return the rules of rows that concern a whole sheet, each with what to show."""
    records = sheet.raw.records
    if sheet.repeated_headers:
        yield "header-repeated", join_rows(sheet.raw.row_names(sheet.repeated_headers))
    others = [*sheet.other_headers, *_glued_headers(sheet)]
    if others:
        yield "second-header", join_rows(sheet.raw.row_names(sorted(others)))
    if records is None:
        return
    if above := _swallowed_above(sheet, records):
        yield "stray-quotation-mark", above
    if (short := np.setdiff1d(_short_rows(sheet, records), rows_without_share(sheet))).size:
        yield "fewer-fields", join_rows((sheet.rows[short] + 1).tolist())


#: Rows that are named one by one; the rest are counted.
_MAX_ROWS: Final = 5


def join_rows(numbers: Sequence[object]) -> str:
    """Name rows of a sheet, the first ones one by one.

    >>> join_rows([4]), join_rows([1, 2, 3, 4, 5, 6, 7])
    ('row 4', 'rows 1, 2, 3, 4, 5 and 2 more')
    """
    return f"row{'s' * (len(numbers) > 1)} {list_some(numbers, limit=_MAX_ROWS)}"


# -- rows that are no share --------------------------------------------------------------------


def rows_without_share(sheet: SheetRows) -> Positions:
    """Return the positions of rows that are no share: totals, notes and signatures."""
    return np.union1d(_remarks(sheet), _closing_rows(sheet))


def _remarks(sheet: SheetRows) -> Positions:
    """Return the positions of rows that hold nothing or a remark where a share has its IDs.

    Nothing stands in any column of IDs and of the decision, and no ID anywhere else; or nothing
    but a remark in the column of image IDs, where the sheet has other columns for IDs and
    decisions. A cell that is blank for another reason, as a merged one is, proves nothing.
    """
    if not sheet.rows.size:
        return sheet.rows
    image = sheet.cells[sheet.fields["image_id"]]
    others = [sheet.cells[sheet.fields[f]] for f in _TELLING[1:] if f in sheet.fields]
    positions = np.flatnonzero(is_blank((others or [image])[0]))
    for column in others[1:]:
        positions = positions[is_blank(take(column, positions))]
    if not positions.size:
        return positions
    positions = np.setdiff1d(positions, _blank_otherwise(sheet))
    texts = take(image, positions).to_pylist()
    remarks = [not text.strip() or (bool(others) and _is_remark(text)) for text in texts]
    positions = positions[np.array(remarks, dtype=bool)]
    ids = [pc.match_substring_regex(take(column, positions), ANY_ID) for column in sheet.cells]
    with_id = np.logical_or.reduce([np.asarray(hit, dtype=bool) for hit in ids])
    return np.asarray(positions[~with_id], np.int64)


def _closing_rows(sheet: SheetRows) -> Positions:
    """Return the positions of rows with counts, notes below the list, and lines drawn with dashes.

    They hold no ID anywhere, nothing that may be left of one, and no decision.
    """
    status = sheet.fields.get("status")
    if status is None or not sheet.rows.size:
        return np.empty(0, np.int64)
    lengths = np.asarray(pc.binary_length(sheet.cells[sheet.fields["image_id"]]))
    rows = np.flatnonzero((lengths != _ID_LENGTHS[0]) & (lengths != _ID_LENGTHS[1]))
    if not rows.size:
        return rows
    words = pc.utf8_lower(pc.utf8_trim_whitespace(take(sheet.cells[status], rows)))
    rows = rows[~np.asarray(pc.is_in(words, _DECISIONS), dtype=bool)][-_MAX_CLOSING:]
    cells = [take(column, rows).to_pylist() for column in sheet.cells]
    texts = {row: [t.strip() for t in own] for row, *own in zip(rows.tolist(), *cells, strict=True)}
    texts = {row: own for row, own in texts.items() if not any(_HAS_ID.search(t) for t in own)}
    last = next((i for i in range(len(sheet.rows) - 1, -1, -1) if i not in texts), -1)
    gaps = np.flatnonzero(np.diff(sheet.rows) > 1) + 1
    below = int(min(gaps[gaps > last], default=len(sheet.rows)))
    otherwise = set(_blank_otherwise(sheet).tolist())
    closing = [
        row
        for row, own in texts.items()
        if _is_closing(sheet, own, after=row > last, apart=row >= below, otherwise=row in otherwise)
    ]
    return np.array(closing, np.int64)


def _is_closing(
    sheet: SheetRows, texts: Sequence[str], *, after: bool, apart: bool, otherwise: bool
) -> bool:
    telling = [texts[sheet.fields[field]] for field in _TELLING if field in sheet.fields]
    if any(_DAMAGED_ID.search(text) for text in telling):
        return False
    if CLOSING.match(telling[0]):
        return True
    if otherwise:
        return False
    first = next((text for text in texts if text), "")
    counts = all(_COUNT.fullmatch(text) for text in telling)
    drawn = not any(character.isalnum() for text in texts for character in text)
    dashes = drawn and all(_LINE.fullmatch(text) for text in telling)
    return dashes or (counts and after) or apart or bool(CLOSING.match(first))


def undecided_rows(sheet: SheetRows) -> NDArray[np.int64]:
    """Return the positions of rows that nobody has decided, in a list that shows shares' states."""
    if not sheet.shows_states or not sheet.rows.size:
        return np.empty(0, np.int64)
    positions = np.flatnonzero(is_blank(sheet.cells[sheet.fields["status"]]))
    return np.setdiff1d(positions, _blank_otherwise(sheet))


def _is_remark(text: str) -> bool:
    several = len(text.split()) > 1
    return (several or bool(CLOSING.match(text))) and not _DAMAGED_ID.search(text)


def _blank_otherwise(sheet: SheetRows) -> Positions:
    """Return the positions of rows with a cell that has no text, but is not simply empty."""
    metadata, raw = sheet.raw.metadata, sheet.raw
    columns = {sheet.fields[f] + raw.first_column for f in _TELLING if f in sheet.fields}
    rows = {
        row for row, column in (*metadata.uncalculated, *metadata.empty_formulas)
        if column in columns
    }  # fmt: skip
    chosen = np.isin(sheet.rows, [*rows])
    for top, left, bottom, right in metadata.merged:
        # The cells below the first one of a merge of rows; a title over several columns is none.
        if bottom > top and any(left <= column <= right for column in columns):
            chosen |= (sheet.rows >= top) & (sheet.rows <= bottom)
    return np.flatnonzero(chosen)


# -- columns that are shifted ------------------------------------------------------------------
def header_width(sheet: SheetRows) -> int:
    """Return the number of columns up to the last one with a header."""
    texts = [column[sheet.source.header_row - 1].as_py() for column in sheet.raw.cells]
    return max((i for i, text in enumerate(texts, start=1) if text.strip()), default=0)


def _surplus_cells(sheet: SheetRows) -> RowHits:
    """Find rows with text beyond the last header, which means that their columns are shifted.

    In a workbook, and where all records of a file are as long as its header, nothing shifts;
    there a cell without a header counts if it holds another decision than the row.
    """
    width = header_width(sheet)
    nameless = [i for i, name in enumerate(sheet.names) if name == _letter_name(sheet, i)]
    filled = {i: np.flatnonzero(~is_blank(sheet.cells[i])) for i in nameless}
    records = sheet.raw.records
    if records is None or _is_rectangular(sheet, records):
        return _other_decisions(sheet, {i: rows for i, rows in filled.items() if rows.size})
    beyond = {i: rows for i, rows in filled.items() if i >= width and rows.size}
    cells: dict[int, str] = {}
    for column, rows in sorted(beyond.items(), reverse=True):
        texts = take(sheet.cells[column], rows).to_pylist()
        cells |= {
            row: f'{_address(sheet, row, column)} holds "{shorten(text, 40)}"'
            for row, text in zip(rows.tolist(), texts, strict=True)
        }
    mark = {"\t": "a tab", ",": "a comma", ";": "a semicolon"}.get(
        records.delimiter, f'"{records.delimiter}"'
    )
    cause = f"; {mark} within a text without quotation marks is the likely cause"
    lines = _first_lines(sheet.raw) if cells and records.span_lines else None
    return RowHits.of(
        "surplus-fields",
        {row: _in_file(sheet, row, lines) + text + cause for row, text in cells.items()},
    )


def _letter_name(sheet: SheetRows, column: int) -> str:
    return f"(column {column_letter(sheet.raw.first_column + column)})"


def _address(sheet: SheetRows, position: int, column: int) -> str:
    return sheet.raw.address(int(sheet.rows[position]), column)


def _is_rectangular(sheet: SheetRows, records: Records) -> bool:
    widths = records.widths
    return bool((widths[sheet.rows] == widths[sheet.source.header_row - 1]).all())


def _other_decisions(sheet: SheetRows, filled: dict[int, Positions]) -> RowHits:
    """Find cells without a header that hold another decision than their row."""
    hits: dict[int, str] = {}
    for column, rows in filled.items():
        words = take(sheet.cells[column], rows)
        long = pc.greater_equal(pc.utf8_length(words), _MIN_DECISION)
        for row in rows[np.asarray(long, dtype=bool)].tolist():
            text = sheet.cells[column][row].as_py()
            decision = STATUS_WORDS.get(text.strip().lower(), "")
            if decision and decision != _decision(sheet, row):
                hits[row] = (
                    f'{_address(sheet, row, column)} holds "{text.strip()}" without a header'
                )
    return RowHits.of("surplus-fields", hits)


def _decision(sheet: SheetRows, position: int) -> str:
    column = sheet.fields.get("status")
    text = (
        sheet.defaults.get("status", "")
        if column is None
        else sheet.cells[column][position].as_py()
    )
    word = text.strip().lower()
    return STATUS_WORDS.get(word, word)


def _decisions_elsewhere(sheet: SheetRows) -> RowHits:
    """Find rows with another decision than their own in a column of something else.

    A text with a separator and without quotation marks shifts it there, and a blank field at the
    end of the row hides that. What stands in rows that are short, or whose decision begins with a
    blank, may be any clear decision; elsewhere in a text file it is one of the API's own words.
    In a workbook only a decision that begins with a blank tells of a text file it was opened from.
    """
    status = sheet.fields.get("status")
    if status is None:
        return RowHits.of("decision-elsewhere", {})
    records = sheet.raw.records
    blank = np.asarray(pc.starts_with(sheet.cells[status], " "), dtype=bool)
    doubtful = np.flatnonzero(blank) if blank.any() and not blank.all() else np.empty(0, np.int64)
    if len(sheet.rows) == 1:
        doubtful = np.flatnonzero(blank)
    if records is not None:
        doubtful = np.union1d(doubtful, _short_rows(sheet, records))
    taken = {column for field, column in sheet.fields.items() if field in _TELLING}
    hits: dict[int, str] = {}
    for column in sorted({*range(len(sheet.names))} - taken - {*sheet.ambiguous.get("status", ())}):
        if not _is_about_decisions(sheet.names[column]):
            hits |= _foreign_decisions(sheet, column, doubtful)
    return RowHits.of("decision-elsewhere", hits)


def _foreign_decisions(sheet: SheetRows, column: int, doubtful: Positions) -> dict[int, str]:
    rows = doubtful
    if sheet.raw.may_be_shifted:
        eight = pc.equal(pc.binary_length(sheet.cells[column]), len("accepted"))
        plain = np.flatnonzero(np.asarray(eight, dtype=bool))
        words = pc.utf8_lower(take(sheet.cells[column], plain))
        plain = plain[np.asarray(pc.is_in(words, pa.array(STATUSES, TEXT)), dtype=bool)]
        # A column that holds decisions in most rows is a column of decisions, whatever its name.
        of_field = column in sheet.fields.values()
        rows = np.union1d(rows, plain) if of_field or 2 * len(plain) <= len(sheet.rows) else rows
    hits: dict[int, str] = {}
    texts = take(sheet.cells[column], rows).to_pylist()
    for row, text in zip(rows.tolist(), texts, strict=True):
        word = text.strip().lower()
        decision = STATUS_WORDS.get(word, "") if len(word) >= _MIN_DECISION else ""
        if decision and decision != (own := _decision(sheet, row)) and own in ACTIONS:
            hits[row] = f'{_address(sheet, row, column)} holds "{text.strip()}"'
    return hits


def _opposite_remarks(sheet: SheetRows) -> RowHits:
    """Find rows beside whose decision a remark begins like the opposite one, or like none."""
    status = sheet.fields.get("status")
    if not sheet.rows.size or (status is None and "status" not in sheet.defaults):
        return RowHits.of("remark-disagrees", {})
    taken = {column for field, column in sheet.fields.items() if field in _TELLING}
    taken.update(sheet.ambiguous.get("status", ()))
    hits: dict[int, str] = {}
    for column, name in enumerate(sheet.names):
        if column in taken or _is_about_decisions(name) or tells_of_past(name):
            continue
        remarks = numbered(sheet.cells[column])  # many are repeated
        for pattern, against in _REMARKS.items():
            said = np.asarray(pc.match_substring_regex(remarks.dictionary, pattern), dtype=bool)
            rows = np.flatnonzero(said[np.asarray(remarks.indices)])
            if status is not None:
                own = pc.utf8_lower(pc.utf8_trim_whitespace(take(sheet.cells[status], rows)))
                rows = rows[np.asarray(pc.is_in(own, pa.array(against, TEXT)), dtype=bool)]
            elif _decision(sheet, 0) not in against:
                continue
            texts = take(sheet.cells[column], rows).to_pylist()
            hits |= {
                row: f'{_address(sheet, row, column)} holds "{shorten(text.strip(), 40)}"'
                for row, text in zip(rows.tolist(), texts, strict=True)
            }
    return RowHits.of("remark-disagrees", hits)


def _is_about_decisions(name: str) -> bool:
    key = normalize(name)
    return any(word in key for word in _DECISION_KEYS) or says(name, PAST_REMARKS | RECORD_WORDS)


def _short_rows(sheet: SheetRows, records: Records) -> Positions:
    return np.flatnonzero(records.widths[sheet.rows] < header_width(sheet))


def _glued_headers(sheet: SheetRows) -> list[int]:
    """Return the rows that end in another file's header, because no line break ended the row."""
    records, width = sheet.raw.records, header_width(sheet)
    if records is None or width == len(sheet.cells):
        return []
    tail = sheet.cells[width:]
    known = np.logical_or.reduce([are_keys(column, sheet.names[:width]) for column in tail])
    numbers = []
    for position in np.flatnonzero(known).tolist():
        texts = [column[position].as_py() for column in tail]
        if is_header(["", *texts], {}, sheet.names[:width]) or is_header(["image_id", *texts], {}):
            numbers.append(int(sheet.rows[position]) + 1)
    return numbers


# -- rows within quotation marks -----------------------------------------------------------------
def _swallowing_rows(sheet: SheetRows) -> RowHits:
    """Find rows with a text that holds further rows, because a quotation mark opens it."""
    records, width = sheet.raw.records, header_width(sheet)
    known = {sheet.fields[field] for field in _TELLING if field in sheet.fields}
    breaks = {
        i: _with_breaks(column)
        for i, column in enumerate(sheet.cells)
        if (records.span_lines if records else i not in known)
    }
    breaks = {i: rows for i, rows in breaks.items() if rows.size}
    ids = {sheet.fields[field] for field in ID_FIELDS if field in sheet.fields}
    hits: dict[int, int] = {}
    for column, rows in breaks.items():
        texts = take(sheet.cells[column], rows)
        chosen = _holds_rows(texts, width, records, of_ids=column in ids)
        hits |= dict.fromkeys(rows[chosen].tolist(), column)
    if records is not None:
        hits |= _too_long(sheet, records, breaks) | _within_a_line(sheet, records)
    lines = _first_lines(sheet.raw) if hits and records is not None else None
    told = {row: _range(sheet, row, column, lines) for row, column in hits.items()}
    if records is not None and records.broken >= 0:
        first = int(_first_lines(sheet.raw)[records.broken])
        last = records.lines + records.lines_before
        rest = f"lines {first} to {last} of the file, in the first of which one is not closed"
        told |= dict.fromkeys(np.flatnonzero(sheet.rows >= records.broken).tolist(), rest)
    return RowHits.of("stray-quotation-mark", told)


def _with_breaks(column: pa.ChunkedArray) -> Positions:
    """Return the positions of texts with a line break; bytes are searched first, which is quick."""
    texts = (chunk.dictionary if is_numbered(chunk) else chunk for chunk in column.chunks)
    buffers = [chunk.buffers()[2] for chunk in texts]
    if not any(mark.search(buffer) for buffer in buffers if buffer for mark in _LINE_BREAKS):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.asarray(pc.match_substring_regex(column, r"[\r\n]"), dtype=bool))


def _holds_rows(
    texts: pa.ChunkedArray, width: int, records: Records | None, *, of_ids: bool
) -> NDArray[np.bool_]:
    """Return True for texts with an image ID, or as many separators as a row.

    A separator before a blank is punctuation, and an ID in the midst of a line without a separator
    is named in a remark. In a workbook both are needed, and a cell of several IDs is not a row.
    """
    separators = _SEPARATORS if records is None else (records.delimiter,)
    counts = [
        pc.subtract(pc.count_substring(texts, mark), pc.count_substring(texts, f"{mark} "))
        for mark in separators
    ]
    marks = np.max([np.asarray(count) for count in counts], axis=0)
    as_row = marks >= max(width - 1, 1)
    if records is None:
        any_id = np.asarray(pc.match_substring_regex(texts, ANY_ID), dtype=bool)
        return np.asarray((marks >= max(width - 1, 2)) & any_id, dtype=bool)
    mark = re.escape(records.delimiter)
    patterns = (_on_a_line(ANY_ID, mark + r"\S"), rf"(?m)^\W*(?:{ANY_ID})",
                rf"(?m)^\W*(?:{_DASHED_ID})|{_on_a_line(_DASHED_ID, mark)}")  # fmt: skip
    beside, first, dashed = (
        np.asarray(pc.match_substring_regex(texts, pattern), dtype=bool) for pattern in patterns
    )
    hits = as_row | beside | (first & (marks > 0)) | (dashed & (not of_ids))
    return np.asarray(hits, dtype=bool)


def _on_a_line(found: str, mark: str) -> str:
    return rf"(?:{found})[^\r\n]*{mark}|{mark}[^\r\n]*(?:{found})"


def _too_long(sheet: SheetRows, records: Records, breaks: dict[int, Positions]) -> dict[int, int]:
    """Find records of several lines that are longer than the header and than most records."""
    if not breaks:
        return {}
    widths = records.widths[sheet.rows]
    single = np.setdiff1d(np.arange(len(widths)), np.concatenate([*breaks.values()]))
    usual = int(records.widths[sheet.source.header_row - 1])
    usual = max(usual, int(np.bincount(widths[single]).argmax())) if single.size else usual
    return {
        row: column
        for column, rows in breaks.items()
        for row in rows[widths[rows] > usual].tolist()
    }


def _within_a_line(sheet: SheetRows, records: Records) -> dict[int, int]:
    """Find texts such as ``,accepted,`` in a record that lacks just these fields."""
    short = _short_rows(sheet, records)
    missing = header_width(sheet) - records.widths[sheet.rows[short]]
    hits: dict[int, int] = {}
    for column, cells in enumerate(sheet.cells):
        texts = take(cells, short)
        count = np.asarray(pc.count_substring(texts, records.delimiter))
        edge = pc.or_(
            pc.starts_with(texts, records.delimiter), pc.ends_with(texts, records.delimiter)
        )
        found = short[np.asarray(edge, dtype=bool) & (count >= missing)]
        hits |= dict.fromkeys(found.tolist(), column)
    return hits


def _swallowed_above(sheet: SheetRows, records: Records) -> str:
    """Return the lines of texts above the header, or in it, that hold rows."""
    if not records.span_lines:
        return ""
    height = sheet.source.header_row
    width = header_width(sheet)
    rows: set[int] = set()
    for column in sheet.raw.cells:
        head = column.slice(0, height)
        positions = _with_breaks(head)
        chosen = _holds_rows(take(head, positions), width, records, of_ids=False)
        rows |= set(positions[chosen].tolist())
    lines = _first_lines(sheet.raw) if rows else np.empty(0, np.int64)
    return ", ".join(_lines(lines, row) for row in sorted(rows))


def _first_lines(raw: RawSheet) -> Positions:
    """Return the first line of each record and, at the end, the line behind the last."""
    lines = np.ones(raw.height, np.int64)
    for column in raw.cells:
        for mark, sign in (("\n", 1), ("\r", 1), ("\r\n", -1)):
            lines += sign * np.asarray(pc.count_substring(column, mark), np.int64)
    before = raw.records.lines_before if raw.records else 0
    return np.concatenate([[0], np.cumsum(lines)]) + before + 1


def _lines(lines: Positions, record: int) -> str:
    first, last = int(lines[record]), int(lines[record + 1]) - 1
    return f"lines {first} to {last}" if last > first else f"line {first}"


def _in_file(sheet: SheetRows, position: int, lines: Positions | None) -> str:
    return "" if lines is None else f"{_lines(lines, int(sheet.rows[position]))} of the file, "


def _range(sheet: SheetRows, position: int, column: int, lines: Positions | None) -> str:
    where = _in_file(sheet, position, lines)
    text = " ".join(sheet.cells[column][position].as_py().split())
    return f'{where}{_address(sheet, position, column)} begins with "{shorten(text, 40)}"'
