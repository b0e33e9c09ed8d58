"""What the text of a cell does not show: types, formulas, merges, formats, letters that deceive.

They become the rows of :attr:`.Inventory.cell_issues`, named by the rules of
:data:`sharekit.core.rules.RULES`.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.actions import ACCEPTED, ACTIONS, SHARE
from sharekit.core.columns import STR
from sharekit.core.fields import FIELDS, GRAMMARS, ID_FIELDS

from .contradictions import disagreeing_titles, title_against_default
from .formats import per_text as pc
from .formats.raw_sheet import TEXT, RawSheet, as_text, column_letter, take, type_rule
from .formats.workbooks.links import ids_in
from .formats.workbooks.number_formats import displayed_text
from .headers import address_of_id, empty_formulas, header_too_deep, rows_above_header, says_no
from .inventory import SheetRows
from .repeated_headers import ANY_ID
from .row_issues import find_row_issues, find_sheet_notes
from .vocabulary import STATUS_WORDS, STOPS, TRUE_WORDS, says

#: Fields in which only text is safe: a number is a damaged ID, TRUE is no decision.
TEXT_FIELDS: Final = (*ID_FIELDS, "status")
#: What a number, date, time, duration or truth value prints as. The only hexadecimal IDs that do
#: consist of digits (and one e), so cells are hardly ever read a second time for their types.
_NOT_TEXT: Final = (
    r"\A(?:-?(?:0|[1-9][0-9]*)?(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|(?i:true|false)"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T].*)?|[0-9]{1,3}:[0-9]{2}.*|-?P[0-9T].*)\z"
)
#: Texts to which no rule here applies: nothing, or hexadecimal digits with a letter among them.
_SAFE: Final = dict.fromkeys(ID_FIELDS, r"(?:[0-9a-f-]*[a-df][0-9a-f-]*)?") | {
    "status": "|".join(["", *ACTIONS])
}
#: Fields whose crossed-out values would be sent all the same; nobody acts on a name.
_STRIKE_FIELDS: Final = tuple(field for field in FIELDS if field != "name")
#: Ranges that a finding names.
_MAX_RANGES: Final = 5
_DAY: Final = r"\A(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4})"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d|\d+:\d\d|-?P")
_ERROR: Final = (
    r"\A(?:Err:[0-9]{3}|#(?:N/A|DIV/0!|NAME\?|NULL!|NUM!|REF!|VALUE!|GETTING_DATA|SPILL!|CALC!"
    r"|FIELD!|BLOCKED!|CONNECT!|UNKNOWN!|BUSY!|ERROR!))\z"
)
_SEVERAL_IDS: Final = rf"(?s:(?:{ANY_ID}).*(?:{ANY_ID}))"
#: Letters drawn like a hexadecimal digit, or nearly so: Cyrillic and Greek ones, and our own.
_LATIN_HOMOGLYPHS: Final = "OolI"
_HOMOGLYPHS: Final = str.maketrans(
    "\u0430\u0410\u0412\u0432\u0441\u0421\u0435\u0415\u0501\u0500\u03b1\u0391\u0392\u03f2\u03f9\u0395"
    "\u0417\u0437\u041e\u043e\u03bf\u039f\u0431\u042c\u044c",
    "aabbcceeddaabcce3300006bb",
) | str.maketrans(_LATIN_HOMOGLYPHS, "0011")
#: Invisible characters that reverse the order in which letters are shown, or prevent that.
_BIDI_MARKS: Final = re.compile("[\u061c\u200f\u202a-\u202e\u2066-\u2069]")

#: Columns of :attr:`.Inventory.cell_issues`.
_COLUMNS: Final[dict[str, str | pd.StringDtype[Any]]] = {
    "rule": STR,
    "row_key": "int64",
    "source": "int32",
    "field": STR,
    "value": STR,
    "detail": STR,
}


@dataclass(frozen=True)
class CellIssues:
    """Cells of one field to which a rule applies.

    Attributes
    ----------
    rule : str
        The rule's name.
    keys : ndarray of int64
        ``row_key`` of each cell; -1 stands for a whole sheet.
    field : str
        The field, or "" for whole rows and sheets.
    values, details : iterable of str
        As in :attr:`.Inventory.cell_issues`; empty if they are blank for all cells.
    """

    rule: str
    keys: NDArray[np.int64]
    field: str = ""
    values: Iterable[str] = ()
    details: Iterable[str] = ()

    def to_frame(self, source: int | NDArray[np.integer], first_key: int = 0) -> pd.DataFrame:
        """Return them as rows of :attr:`.Inventory.cell_issues`."""
        columns: dict[str, object] = {
            "rule": self.rule,
            "row_key": self.keys + first_key,
            "source": source,
            "field": self.field,
            "value": list(self.values) or "",
            "detail": list(self.details) or "",
        }
        index = pd.RangeIndex(len(self.keys))
        return pd.DataFrame(
            {name: pd.Series(columns[name], index, dtype) for name, dtype in _COLUMNS.items()}
        )


def find_cell_issues(sheet: SheetRows, source: int, first_key: int) -> pd.DataFrame:
    """Return the issues of one sheet.

    Parameters
    ----------
    sheet : SheetRows
        The rows of the sheet.
    source : int
        Position of the sheet in :attr:`.Inventory.sources`.
    first_key : int
        The ``row_key`` of the sheet's first row.
    """
    suspects: dict[str, _Suspects] = {}
    for field, column in sheet.fields.items():
        texts = sheet.cells[column]
        if field in _SAFE:
            safe = pc.match_substring_regex(texts, rf"\A(?:{_SAFE[field]})\z")
            suspects[field] = _Suspects.of(texts, pc.invert(safe))
        else:
            suspects[field] = _Suspects.of(texts, pc.starts_with(texts, "#"))
    of_rows = _frames(_row_issues(sheet, suspects), source, first_key)
    return concat([*of_rows, *_frames(_sheet_issues(sheet), source)])


def unsafe_cells(
    sheet: SheetRows, safe: Mapping[str, Collection[str]], acted_on: Collection[str]
) -> pd.DataFrame:
    """Return the issues of cells whose text is not what a person sees there.

    Parameters
    ----------
    sheet : SheetRows
        The rows of the sheet; ``row_key`` of the result counts them.
    safe : Mapping of str to collection of str
        The fields in which only text is safe, each with the texts that need no closer look.
    acted_on : collection of str
        The fields whose values would count all the same where they are crossed out.
    """
    suspects = {
        field: _Suspects.of(texts, pc.invert(pc.is_in(texts, pa.array(known, TEXT))))
        for field, known in safe.items()
        if field in sheet.fields
        for texts in [sheet.cells[sheet.fields[field]]]
    }
    hits = itertools.chain(
        _wrong_types(sheet, suspects),
        _errors(suspects),
        _uncalculated(sheet),
        _merged(sheet),
        _displayed_otherwise(sheet),
        _crossed_out(sheet, acted_on),
    )
    return concat(_frames(hits))


def concat(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join frames of issues; without any, the result is empty and has the same columns."""
    nothing = CellIssues("", np.empty(0, np.int64)).to_frame(0)
    return pd.concat(frames or [nothing], ignore_index=True)


def _frames(found: Iterable[CellIssues], source: int = 0, first_key: int = 0) -> list[pd.DataFrame]:
    return [issues.to_frame(source, first_key) for issues in found if issues.keys.size]


def _sheet_issues(sheet: SheetRows) -> Iterator[CellIssues]:
    """Find what concerns a whole sheet; ``row_key`` is -1."""
    for rule, field, value in _sheet_notes(sheet):
        yield CellIssues(rule, np.array([-1]), field, [value])


def _sheet_notes(sheet: SheetRows) -> Iterator[tuple[str, str, str]]:
    raw, source = sheet.raw, sheet.source
    if not source.header_row:
        if sheet.doubt:
            yield "sheet-set-aside", "", f"{source.sheet} ({sheet.doubt})"
            return
        address = header_too_deep(raw) or (address_of_id(raw) if sheet.likely else sheet.ids_at)
        if address:
            yield "sheet-skipped", "", f"{source.sheet} {address}"
        else:
            yield "sheet-without-header", "", source.sheet
        return
    if above := rows_above_header(raw, source.header_row, sheet.fields):
        yield "rows-above-header", "image_id", above
    for rule, note in find_sheet_notes(sheet):
        yield rule, "", note
    if sheet.doubt:
        yield "sheet-doubtful", "", f"{source.sheet} ({sheet.doubt})".strip()
    if raw.guessed:
        yield "encoding-guessed", "", raw.encoding
    if source.hidden:
        yield "hidden-sheet", "", source.sheet
    if raw.metadata.unread:
        yield "appearance-unread", "", raw.metadata.unread
    yield from _column_notes(sheet)


def _column_notes(sheet: SheetRows) -> Iterator[tuple[str, str, str]]:
    raw, header_row = sheet.raw, sheet.source.header_row
    for field, column in sheet.fields.items():
        position = column + raw.first_column
        if any(start <= position <= end for start, end in raw.metadata.hidden_columns):
            yield "hidden-column", field, sheet.names[column]
        if empty := empty_formulas(raw, header_row, column):
            yield "formula-ambiguous", field, empty
        if field in _STRIKE_FIELDS and _is_struck(raw, header_row - 1, position):
            yield "crossed-out", field, sheet.names[column]
    if ranges := may_be_struck(sheet, _STRIKE_FIELDS):
        yield "crossed-out-by-condition", "", ranges
    for header in sheet.state_columns:
        yield "column-holds-image-state", "status", header
    for field, value in sheet.defaults.items():
        yield "default-used", field, value
    if title := title_against_default(sheet):
        yield "default-contradicted", "", title
    for field in sheet.unused_defaults:
        yield "default-unused", field, ""


@dataclass(frozen=True)
class _Suspects:
    """The cells of a column that are worth a closer look: their positions and their texts."""

    positions: NDArray[np.int64]
    texts: pa.ChunkedArray

    @classmethod
    def of(cls, column: pa.ChunkedArray, chosen: object) -> _Suspects:
        positions = np.flatnonzero(np.asarray(chosen, dtype=bool))
        return cls(positions, take(column, positions))

    def matching(self, pattern: str) -> NDArray[np.bool_]:
        """Tell which of the texts contain a pattern."""
        return np.asarray(pc.match_substring_regex(self.texts, pattern), dtype=bool)

    def only(self, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[str]]:
        """Return positions and texts of some of them."""
        return self.positions[chosen], self.texts.filter(pa.array(chosen)).to_pylist()


def _row_issues(sheet: SheetRows, suspects: Mapping[str, _Suspects]) -> Iterator[CellIssues]:
    text_fields = {field: suspects[field] for field in TEXT_FIELDS if field in suspects}
    yield from _wrong_types(sheet, text_fields)
    yield from _errors(suspects)
    yield from _several_ids(suspects)
    yield from _deceiving_letters(suspects)
    yield from _disagreeing_columns(sheet)
    yield from _uncalculated(sheet)
    yield from _merged(sheet)
    yield from _displayed_otherwise(sheet)
    yield from _crossed_out(sheet, _STRIKE_FIELDS)
    yield from _linked_elsewhere(sheet)
    for hits in (*find_row_issues(sheet), disagreeing_titles(sheet)):
        yield CellIssues(hits.rule, hits.positions, hits.field, details=hits.details)
    yield CellIssues("hidden-row", _positions(sheet, sheet.raw.metadata.hidden_rows))


def _errors(suspects: Mapping[str, _Suspects]) -> Iterator[CellIssues]:
    for field, cells in suspects.items():
        positions, texts = cells.only(cells.matching(_ERROR))
        yield CellIssues("error-cell", positions, field, texts)


def _several_ids(suspects: Mapping[str, _Suspects]) -> Iterator[CellIssues]:
    for field in ID_FIELDS:
        if field in suspects:
            positions, texts = suspects[field].only(suspects[field].matching(_SEVERAL_IDS))
            numbers = [len(re.findall(ANY_ID, text)) for text in texts]
            details = [f"{number} IDs" for number in numbers]
            yield CellIssues("several-ids", positions, field, texts, details)


def _deceiving_letters(suspects: Mapping[str, _Suspects]) -> Iterator[CellIssues]:
    """Find IDs that would be valid but for letters of another alphabet, or invisible marks."""
    for field in ID_FIELDS:
        if field not in suspects:
            continue
        cells = suspects[field]
        foreign = ~np.asarray(pc.string_is_ascii(cells.texts), bool)
        positions, texts = cells.only(foreign | cells.matching(f"[{_LATIN_HOMOGLYPHS}]"))
        for rule, find in (("homoglyph", find_homoglyph), ("bidi-mark", find_bidi_mark)):
            details = [find(text, GRAMMARS[field]) for text in texts]
            hits = [i for i, detail in enumerate(details) if detail]
            yield CellIssues(
                rule, positions[hits], field, [texts[i] for i in hits], [details[i] for i in hits]
            )


def _disagreeing_columns(sheet: SheetRows) -> Iterator[CellIssues]:
    """Find rows in which other columns that could be meant for a field hold other values."""
    for field in TEXT_FIELDS:
        columns = sheet.ambiguous.get(field, ())
        refusals = _refusals(sheet) if field == "status" else {}
        known = field in sheet.fields or field in sheet.defaults
        if not known or not (columns or refusals):
            continue
        if field in sheet.fields:
            used = _normalized(sheet.cells[sheet.fields[field]], field)
        else:
            given = sheet.defaults[field].strip().lower()
            used = pa.scalar(STATUS_WORDS.get(given, given), TEXT)
        values: dict[int, list[str]] = defaultdict(list)
        consents = pc.is_in(used, pa.array([ACCEPTED, SHARE], TEXT))
        decided = pc.not_equal(used, "")
        hits = {
            i: pc.and_(said, decided if says(sheet.names[i], STOPS) else consents)
            for i, said in refusals.items()
        }
        for column in columns:
            other = _normalized(sheet.cells[column], field)
            hits[column] = pc.and_(pc.not_equal(other, ""), pc.not_equal(used, other))
        for column, differ in hits.items():
            cells = _Suspects.of(sheet.cells[column], differ)
            for position, text in zip(
                cells.positions.tolist(), cells.texts.to_pylist(), strict=True
            ):
                values[position].append(f"{sheet.names[column]}: {text}")
        texts = [", ".join(values[position]) for position in sorted(values)]
        yield CellIssues("columns-disagree", np.array(sorted(values), np.int64), field, texts)


def _refusals(sheet: SheetRows) -> dict[int, pa.ChunkedArray]:
    """Return columns of yes and no, such as "Cancelled", and where they say no to a share.

    The day on which it was called off says no, too.
    """
    refusals = {}
    for i in sheet.refusing:
        no, words = says_no(sheet.names[i]), pc.utf8_lower(pc.utf8_trim_whitespace(sheet.cells[i]))
        refusals[i] = pc.is_in(words, pa.array([*no], TEXT))
        if no == TRUE_WORDS:
            refusals[i] = pc.or_(refusals[i], pc.match_substring_regex(words, _DAY))
    return refusals


def _normalized(column: pa.ChunkedArray, field: str) -> pa.ChunkedArray:
    """Return the ID or decision that each text means; "" where it is neither."""
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    if field != "status":
        digits = pc.replace_substring(lower, "-", "")
        return pc.if_else(pc.match_substring_regex(digits, r"\A[0-9a-f]{32}\z"), digits, "")
    words, meanings = zip(*STATUS_WORDS.items(), strict=True)
    numbers = pc.index_in(lower, pa.array(words, TEXT))
    return pc.fill_null(pc.take(pa.array(meanings, TEXT), numbers), "")


def _wrong_types(sheet: SheetRows, suspects: Mapping[str, _Suspects]) -> Iterator[CellIssues]:
    """Look up the type of every cell whose text could be a number, a date or a truth value."""
    if sheet.raw.typed is None:
        return
    doubtful = {f: cells.positions[cells.matching(_NOT_TEXT)] for f, cells in suspects.items()}
    rows = np.unique(np.concatenate([np.empty(0, np.int64), *doubtful.values()]))
    if not rows.size:
        return
    typed = dict(zip(rows.tolist(), sheet.raw.typed(sheet.rows[rows]), strict=True))
    for field, positions in doubtful.items():
        column = sheet.fields[field]
        hits: dict[str, dict[int, str]] = defaultdict(dict)
        for position in positions.tolist():
            cells = typed[position]
            value = cells[column] if column < len(cells) else ""
            rule, text = _type_issue(value, sheet.cells[column][position].as_py())
            hits[rule][position] = text
        for rule, values in hits.items():
            if rule:
                yield CellIssues(rule, np.array([*values]), field, values.values())


def _type_issue(value: object, text: str) -> tuple[str, str]:
    """Return the rule for a typed value ("" for text) and what to show of the value."""
    rule = type_rule(value)
    if rule == "number-cell" and _DATE.match(text):
        return "date-cell", text  # a date is a number with a date's format
    if rule == "number-cell" and text in ("TRUE", "FALSE"):
        return "boolean-cell", text  # as is a truth value in ods
    return rule, as_text(value)


def _uncalculated(sheet: SheetRows) -> Iterator[CellIssues]:
    spots = np.array(sheet.raw.metadata.uncalculated, np.int64).reshape(-1, 2)
    for field, column in sheet.fields.items():
        rows = spots[spots[:, 1] == column + sheet.raw.first_column, 0]
        yield CellIssues("formula-without-value", _positions(sheet, rows), field)


def _merged(sheet: SheetRows) -> Iterator[CellIssues]:
    """Find cells under a merge: without a value of their own, or with one that nobody sees."""
    for field, column in sheet.fields.items():
        position = column + sheet.raw.first_column
        hidden: dict[int, str] = {}
        blank: dict[int, str] = {}
        for top, left, bottom, right in sheet.raw.metadata.merged:
            if left <= position <= right:
                first = top + (position == left)  # the top left cell shows its value
                start, end = np.searchsorted(sheet.rows, [first, bottom + 1])
                texts = sheet.cells[column].slice(start, end - start).to_pylist()
                value = _text_at(sheet, top, left - sheet.raw.first_column)
                hidden |= {i: text for i, text in enumerate(texts, int(start)) if text}
                blank |= {i: value for i, text in enumerate(texts, int(start)) if not text}
        for rule, hits in (("hidden-by-merge", hidden), ("merged-cell", blank)):
            yield CellIssues(rule, np.array([*hits], np.int64), field, hits.values())


def _displayed_otherwise(sheet: SheetRows) -> Iterator[CellIssues]:
    """Find cells whose number format displays a text that the cell does not contain."""
    for field, column in sheet.fields.items():
        position = column + sheet.raw.first_column
        displayed: dict[int, tuple[str, str]] = {}
        for (top, left, bottom, right), code in sheet.raw.metadata.display_differs:
            if left <= position <= right:
                start, end = np.searchsorted(sheet.rows, [top, bottom + 1])
                texts = sheet.cells[column].slice(start, end - start).to_pylist()
                for i, text in enumerate(texts, int(start)):
                    display = displayed_text(code, text) if text else ""
                    if display != text.strip():
                        displayed[i] = text, f'shows "{display}"'
        values, details = zip(*displayed.values(), strict=True) if displayed else ((), ())
        positions = np.array([*displayed], np.int64)
        yield CellIssues("display-differs", positions, field, values, details)


def _crossed_out(sheet: SheetRows, fields: Collection[str]) -> Iterator[CellIssues]:
    """Find cells whose text, or a part of it, is crossed out."""
    struck = sheet.raw.metadata.struck
    if not struck:
        return
    areas = np.array([area for area, _ in struck], np.int64)
    notes = np.array([note for _, note in struck], dtype=object)
    for field, column in sheet.fields.items():
        if field not in fields:
            continue
        position = column + sheet.raw.first_column
        for note in sorted(set(notes.tolist())):
            chosen = areas[(notes == note) & (areas[:, 1] <= position) & (areas[:, 3] >= position)]
            changes = np.zeros(len(sheet.rows) + 1, np.int64)
            np.add.at(changes, np.searchsorted(sheet.rows, chosen[:, 0]), 1)
            np.add.at(changes, np.searchsorted(sheet.rows, chosen[:, 2] + 1), -1)
            cells = _Suspects.of(sheet.cells[column], np.cumsum(changes[:-1]) > 0)
            positions, texts = cells.only(cells.matching(r"\S"))
            details = [note] * len(texts) if note else ()
            yield CellIssues("crossed-out", positions, field, texts, details)


def _linked_elsewhere(sheet: SheetRows) -> Iterator[CellIssues]:
    """Find IDs with a link to a page of another one."""
    for field, column in sheet.fields.items():
        if field not in ID_FIELDS:
            continue
        position, others = column + sheet.raw.first_column, dict[int, tuple[str, str]]()
        for (top, left, bottom, right), target in sheet.raw.metadata.links:
            linked = [i for i in ids_in(target) if re.fullmatch(GRAMMARS[field], i)]
            if linked and left <= position <= right:
                start, end = np.searchsorted(sheet.rows, [top, bottom + 1])
                texts = sheet.cells[column].slice(start, end - start).to_pylist()
                for i, text in enumerate(texts, int(start)):
                    shown = ids_in(text)
                    if shown and not set(shown) & set(linked):
                        others[i] = text, f"it leads to {linked[0]}"
        values, details = zip(*others.values(), strict=True) if others else ((), ())
        yield CellIssues("link-differs", np.array([*others], np.int64), field, values, details)


def _is_struck(raw: RawSheet, row: int, position: int) -> bool:
    """Return True if a cell is crossed out, such as a header whose column holds no longer."""
    areas = (area for area, _ in raw.metadata.struck)
    return any(t <= row <= b and left <= position <= r for t, left, b, r in areas)


def may_be_struck(sheet: SheetRows, fields: Collection[str]) -> str:
    """Return the ranges that a condition may cross out, where values of some fields stand."""
    if not sheet.rows.size:
        return ""
    own = [sheet.fields[f] + sheet.raw.first_column for f in fields if f in sheet.fields]
    first, last = int(sheet.rows[0]), int(sheet.rows[-1])
    ranges = [
        f"{column_letter(left)}{top + 1}"
        + (f":{column_letter(right)}{bottom + 1}" if (top, left) != (bottom, right) else "")
        for top, left, bottom, right in sheet.raw.metadata.may_be_struck
        if any(left <= column <= right for column in own) and top <= last and bottom >= first
    ]
    more = " …" if len(ranges) > _MAX_RANGES else ""
    return ", ".join(ranges[:_MAX_RANGES]) + more


def _text_at(sheet: SheetRows, row: int, column: int) -> str:
    inside = 0 <= column < len(sheet.raw.cells) and row < sheet.raw.height
    return sheet.raw.cells[column][row].as_py() if inside else ""


def _positions(sheet: SheetRows, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions, among the rows kept, of rows of the sheet."""
    return np.flatnonzero(np.isin(sheet.rows, rows))


def find_homoglyph(text: str, grammar: str) -> str:
    r"""Name the first letter that only looks like a digit, if the text is an ID but for such.

    Examples
    --------
    >>> find_homoglyph("9\N{CYRILLIC SMALL LETTER A}f", "[0-9a-f]{3}")
    'character 2 is CYRILLIC SMALL LETTER A, not a'
    >>> find_homoglyph("9lf", "[0-9a-f]{3}")
    'character 2 is LATIN SMALL LETTER L, not 1'
    >>> find_homoglyph("9af", "[0-9a-f]{3}")
    ''
    """
    latin = unicodedata.normalize("NFKC", text.translate(_HOMOGLYPHS)).lower()
    if len(latin) != len(text) or not _is_id(latin.strip(), grammar):
        return ""
    pairs = enumerate(zip(text, latin, strict=True))
    wrong = [i for i, (letter, digit) in pairs if letter.lower() != digit and not letter.isspace()]
    if not wrong:
        return ""
    first = wrong[0]
    name = unicodedata.name(text[first], f"U+{ord(text[first]):04X}")
    more = f" ({len(wrong)} such letters)" if len(wrong) > 1 else ""
    return f"character {first + 1} is {name}, not {latin[first]}{more}"


def find_bidi_mark(text: str, grammar: str) -> str:
    r"""Name the first invisible direction mark, if the text is an ID but for such marks.

    Examples
    --------
    >>> find_bidi_mark("\N{RIGHT-TO-LEFT OVERRIDE}9af", "[0-9a-f]{3}")
    'character 1 is RIGHT-TO-LEFT OVERRIDE'
    >>> find_bidi_mark("9af", "[0-9a-f]{3}")
    ''
    """
    mark = _BIDI_MARKS.search(text)
    if not mark or not _is_id(_BIDI_MARKS.sub("", text).strip().lower(), grammar):
        return ""
    return f"character {mark.start() + 1} is {unicodedata.name(mark[0])}"


def _is_id(text: str, grammar: str) -> bool:
    return bool(re.fullmatch(grammar, text) or re.fullmatch(r"[0-9a-f]{32}", text.replace("-", "")))
