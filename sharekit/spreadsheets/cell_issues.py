"""What only the reader saw of a sheet, as rows of :attr:`.Inventory.marks`."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import ACTIONS, STATUS_WORDS
from sharekit.core.columns import Coded
from sharekit.core.fields import GRAMMARS, ID_FIELDS

from .formats.number_formats import shown
from .formats.raw_sheet import TEXT, as_text, type_rule
from .headers import (
    empty_formulas,
    header_too_deep,
    ids_in_skipped_sheet,
    rows_above_header,
)
from .inventory import SheetRows

#: Fields in which only text is safe: a number is a damaged ID, TRUE is no decision.
TEXT_FIELDS: Final = (*ID_FIELDS, "status")
#: What a number, a date, a time, a duration or a truth value prints as. No hex ID but one made of
#: digits (and one e) does, so the typed reading is rarely needed; numbers have no leading zero.
_TYPED: Final = (
    r"\A(?:-?(?:0|[1-9][0-9]*)?(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|(?i:true|false)"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T].*)?|[0-9]{1,3}:[0-9]{2}.*|-?P[0-9T].*)\z"
)
#: What most cells hold, and what no rule here has anything to say of: nothing, or hex with letters.
_PLAIN: Final = dict.fromkeys(ID_FIELDS, r"(?:[0-9a-f-]*[a-df][0-9a-f-]*)?") | {
    "status": "|".join(["", *ACTIONS])
}
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d|\d+:\d\d|-?P")
_ERROR: Final = (
    r"\A(?:Err:[0-9]{3}|#(?:N/A|DIV/0!|NAME\?|NULL!|NUM!|REF!|VALUE!|GETTING_DATA|SPILL!|CALC!"
    r"|FIELD!|BLOCKED!|CONNECT!|UNKNOWN!|BUSY!|ERROR!))\z"
)
#: Cyrillic and Greek letters drawn like a hexadecimal digit, or nearly so.
_LIKE: Final = str.maketrans(
    "\u0430\u0410\u0412\u0432\u0441\u0421\u0435\u0415\u0501\u0500\u03b1\u0391\u0392\u03f2\u03f9\u0395"
    "\u0417\u0437\u041e\u043e\u03bf\u039f\u0431\u042c\u044c",
    "aabbcceeddaabcce3300006bb",
) | str.maketrans("OolI", "0011")
#: Invisible marks that turn the order of letters around, or shield them from that.
_TURNS: Final = re.compile("[\u061c\u200f\u202a-\u202e\u2066-\u2069]")
#: The letters of our own alphabet among them.
_LATIN: Final = "[OolI]"


@dataclass(frozen=True)
class _Mark:
    rule: str
    positions: NDArray[np.int64]
    field: str
    values: list[str]


def find_cell_issues(
    part: SheetRows, source: int, first_key: int, coded: Mapping[str, Coded]
) -> pd.DataFrame:
    """Everything the reader saw in one sheet; ``first_key`` is the ``row_key`` of its first row.

    ``coded`` are the :data:`TEXT_FIELDS` of all sheets that have them.
    """
    rows = slice(first_key, first_key + part.source.rows)
    odd: dict[str, _Odd] = {}
    for field, place in part.fields.items():
        if known := coded.get(field):
            plain = known.having(_PLAIN[field])[known.codes[rows]]
            odd[field] = _odd(part.cells[place], ~plain)
        else:
            odd[field] = _hashed(part.cells[place])
    frames = [
        _frame(mark.rule, mark.positions + first_key, source, mark.field, mark.values)
        for mark in _row_marks(part, odd)
        if mark.positions.size
    ]
    frames += [
        _frame(rule, np.array([-1]), source, field, [value])
        for rule, field, value in _sheet_marks(part)
    ]
    return pd.concat(frames, ignore_index=True) if frames else _frame("", np.empty(0), 0, "", [])


def unsafe_cells(part: SheetRows, known: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """Every cell of one sheet whose text is not what a person sees there, as marks.

    ``known`` names the fields in which only text is safe, each with texts that are beyond doubt.
    ``row_key`` counts the rows of ``part``.
    """
    odd = {
        field: _unlike(part.cells[part.fields[field]], texts)
        for field, texts in known.items()
        if field in part.fields
    }
    looks = (_types(part, odd), _errors(odd), _unvalued(part), _merged(part), _disguised(part))
    frames = [
        _frame(mark.rule, mark.positions, 0, mark.field, mark.values)
        for mark in itertools.chain(*looks)
        if mark.positions.size
    ]
    return pd.concat(frames, ignore_index=True) if frames else _frame("", np.empty(0), 0, "", [])


def _frame(
    rule: str, keys: NDArray[np.generic], source: int, field: str, values: list[str]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rule": pd.Series(rule, index=range(len(keys)), dtype="str"),
            "row_key": keys.astype(np.int64),
            "source": np.full(len(keys), source, np.int32),
            "field": pd.Series(field, index=range(len(keys)), dtype="str"),
            "value": pd.Series(values, index=range(len(keys)), dtype="str"),
        }
    )


def _sheet_marks(part: SheetRows) -> Iterator[tuple[str, str, str]]:
    if not part.source.header_row:
        yield _without_header(part)
        return
    if above := rows_above_header(part.grid, part.source.header_row, part.fields):
        yield "rows-above-header", "image_id", above
    if part.grid.guessed:
        yield "encoding-guessed", "", part.grid.encoding
    if part.source.hidden:
        yield "hidden-sheet", "", part.source.sheet
    yield from _column_marks(part)
    for header in part.state_columns:
        yield "state-column", "status", header
    for field, value in part.defaults.items():
        yield "default-used", field, value
    for field in part.unused:
        yield "default-unused", field, ""


def _column_marks(part: SheetRows) -> Iterator[tuple[str, str, str]]:
    for field, place in part.fields.items():
        column = place + part.grid.first_column
        if any(start <= column <= end for start, end in part.grid.metadata.hidden_columns):
            yield "hidden-column", field, part.names[place]
        if silent := empty_formulas(part.grid, part.source.header_row, place):
            yield "formula-empty", field, silent


def _without_header(part: SheetRows) -> tuple[str, str, str]:
    spot = header_too_deep(part.grid) or ids_in_skipped_sheet(part.grid)
    name = part.source.sheet
    return ("sheet-unread", "", f"{name} {spot}") if spot else ("sheet-without-header", "", name)


@dataclass(frozen=True)
class _Odd:
    """The cells of a column that a closer look is worth: where they are, and what they say."""

    positions: NDArray[np.int64]
    texts: pa.ChunkedArray

    def matching(self, pattern: str) -> NDArray[np.bool_]:
        """Tell which of them have a pattern."""
        return np.asarray(pc.match_substring_regex(self.texts, pattern), dtype=bool)


def _hashed(column: pa.ChunkedArray) -> _Odd:
    return _odd(column, np.asarray(pc.starts_with(column, "#"), dtype=bool))


def _unlike(column: pa.ChunkedArray, texts: Collection[str]) -> _Odd:
    return _odd(column, ~np.asarray(pc.is_in(column, pa.array(texts, TEXT)), dtype=bool))


def _odd(column: pa.ChunkedArray, chosen: NDArray[np.bool_]) -> _Odd:
    positions = np.flatnonzero(chosen)
    return _Odd(positions, column.take(pa.array(positions)))


def _row_marks(part: SheetRows, odd: Mapping[str, _Odd]) -> Iterator[_Mark]:
    yield from _types(part, {field: odd[field] for field in TEXT_FIELDS if field in odd})
    yield from _errors(odd)
    yield from _look_alikes(odd)
    yield from _rivals(part)
    yield from _unvalued(part)
    yield from _merged(part)
    yield from _disguised(part)
    hidden = np.flatnonzero(np.isin(part.rows, part.grid.metadata.hidden_rows))
    yield _Mark("hidden-row", hidden, "", [""] * hidden.size)


def _errors(odd: Mapping[str, _Odd]) -> Iterator[_Mark]:
    for field, cells in odd.items():
        hit = cells.matching(_ERROR)
        texts = cells.texts.filter(pa.array(hit)).to_pylist()
        yield _Mark("error-cell", cells.positions[hit], field, texts)


def _look_alikes(odd: Mapping[str, _Odd]) -> Iterator[_Mark]:
    """Find IDs that would be legal but for letters of another alphabet, or marks nobody sees."""
    for field in ID_FIELDS:
        if field not in odd:
            continue
        ascii_only = np.asarray(pc.string_is_ascii(odd[field].texts), bool)
        suspect = ~ascii_only | odd[field].matching(_LATIN)
        foreign = odd[field].positions[suspect]
        texts = odd[field].texts.filter(pa.array(suspect)).to_pylist()
        for rule, name in (("look-alike", find_homoglyph), ("direction-mark", find_bidi_mark)):
            told = {i: told for i, text in zip(foreign.tolist(), texts, strict=True)
                    if (told := name(text, GRAMMARS[field]))}  # fmt: skip
            yield _Mark(rule, np.array([*told], np.int64), field, [*told.values()])


def _rivals(part: SheetRows) -> Iterator[_Mark]:
    """Look where another column that could be meant says something else, and says it plainly."""
    for field in (*ID_FIELDS, "status"):
        for place in part.rivals.get(field, ()):
            mine, other = (_meant(part.cells[c], field) for c in (part.fields[field], place))
            differ = np.asarray(pc.and_(pc.not_equal(other, ""), pc.not_equal(mine, other)))
            positions = np.flatnonzero(differ)
            texts = part.cells[place].take(pa.array(positions)).to_pylist()
            values = [f"{part.names[place]}: {text}" for text in texts]
            yield _Mark("columns-disagree", positions, field, values)


def _meant(column: pa.ChunkedArray, field: str) -> pa.ChunkedArray:
    """Reduce values to what they mean; blank where they are no ID and no decision."""
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    if field != "status":
        bare = pc.replace_substring(plain, "-", "")
        return pc.if_else(pc.match_substring_regex(bare, r"\A[0-9a-f]{32}\z"), bare, "")
    words, meanings = zip(*STATUS_WORDS.items(), strict=True)
    places = pc.index_in(plain, pa.array(words, TEXT))
    return pc.fill_null(pc.take(pa.array(meanings, TEXT), places), "")


def _types(part: SheetRows, odd: Mapping[str, _Odd]) -> Iterator[_Mark]:
    """Look at the type of every cell whose text could be a number, a date or a truth value."""
    if part.grid.typed is None:
        return
    fields = {field: part.fields[field] for field in odd}
    exact = part.grid.exact_numbers
    doubtful = {field: _doubtful(odd[field], exact=exact) for field in fields}
    places = np.unique(np.concatenate([np.empty(0, np.int64), *doubtful.values()]))
    if not places.size:
        return
    typed = dict(zip(places.tolist(), part.grid.typed(part.rows[places]), strict=True))
    for field, column in fields.items():
        found = defaultdict(list)
        for position in doubtful[field].tolist():
            cells = typed[position]
            value = cells[column] if column < len(cells) else ""
            rule, text = _judged(value, part.cells[column][position].as_py())
            found[rule].append((position, text))
        for rule, hits in found.items():
            if rule:
                yield _Mark(rule, np.array([p for p, _ in hits]), field, [v for _, v in hits])


def _judged(value: object, text: str) -> tuple[str, str]:
    """Name the mark for a typed value, and what to show of it, given how its text reads."""
    rule = type_rule(value)
    if rule == "number-cell" and _DATE.match(text):
        return "date-cell", text  # a date is a number that is shown as one
    if rule == "number-cell" and text in ("TRUE", "FALSE"):
        return "boolean-cell", text  # so is a truth value in an ods
    return rule, as_text(value)


def _doubtful(odd: _Odd, *, exact: bool) -> NDArray[np.int64]:
    """Find the cells that may hold a number, a date or a truth value; only their types tell."""
    hits, long = odd.matching(_TYPED), odd.matching(r"\A[1-9][0-9]{19,}\z")
    if exact:
        hits |= long
    elif long.any():
        # A number cell prints the exact value of its 53 bits; hardly any ID made of digits is one.
        texts = odd.texts.filter(pa.array(long)).dictionary_encode().combine_chunks()
        numbers = [int(float(text)) == int(text) for text in texts.dictionary.to_pylist()]
        hits[long] = np.array(numbers, bool)[texts.indices.to_numpy()]
    return odd.positions[hits]


def _unvalued(part: SheetRows) -> Iterator[_Mark]:
    spots = np.array(part.grid.metadata.uncalculated, np.int64).reshape(-1, 2)
    for field, column in part.fields.items():
        rows = spots[spots[:, 1] == column + part.grid.first_column, 0]
        positions = _positions(part, rows)
        yield _Mark("formula-without-value", positions, field, [""] * positions.size)


def _merged(part: SheetRows) -> Iterator[_Mark]:
    """Mark the cells that a merge leaves without a value of their own, or whose value it hides."""
    shift = part.grid.first_column
    for field, column in part.fields.items():
        place = column + shift
        positions: list[int] = []
        values: list[str] = []
        for top, left, bottom, right in part.grid.metadata.merged:
            if left <= place <= right:
                start, end = np.searchsorted(part.rows, [top + (place == left), bottom + 1])
                text = _text_at(part, top, left - shift)
                positions += range(start, end)
                values += [text] * (end - start)
        places = np.array(positions, np.int64)
        own = np.array(part.cells[column].take(pa.array(places)).to_pylist(), object)
        covered = own != ""
        yield _Mark("covered-cell", places[covered], field, own[covered].tolist())
        yield _Mark(
            "merged-cell", places[~covered], field, list(np.array(values, object)[~covered])
        )


def _disguised(part: SheetRows) -> Iterator[_Mark]:
    """Mark the cells whose number format shows a person another text than they hold."""
    for field, column in part.fields.items():
        place = column + part.grid.first_column
        told: dict[int, str] = {}
        for (top, left, bottom, right), code in part.grid.metadata.display_differs:
            if left <= place <= right:
                start, end = np.searchsorted(part.rows, [top, bottom + 1])
                texts = part.cells[column].slice(start, end - start).to_pylist()
                for position, text in enumerate(texts, int(start)):
                    seen = shown(code, text) if text else ""
                    if seen != text.strip():
                        told[position] = f'shows "{seen}"'
        yield _Mark("shown-otherwise", np.array([*told], np.int64), field, [*told.values()])


def _text_at(part: SheetRows, row: int, column: int) -> str:
    inside = 0 <= column < len(part.grid.cells) and row < part.grid.height
    return part.grid.cells[column][row].as_py() if inside else ""


def _positions(part: SheetRows, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places, among the rows kept, of rows of the sheet."""
    return np.flatnonzero(np.isin(part.rows, rows))


def find_homoglyph(text: str, grammar: str) -> str:
    """Name the letters that only look like digits, if the text is an ID but for them.

    Examples
    --------
    >>> find_homoglyph("9\N{CYRILLIC SMALL LETTER A}f", "[0-9a-f]{3}")
    '9\u0430f: character 2 is CYRILLIC SMALL LETTER A, not a'
    >>> find_homoglyph("9lf", "[0-9a-f]{3}")
    '9lf: character 2 is LATIN SMALL LETTER L, not 1'
    >>> find_homoglyph("9af", "[0-9a-f]{3}")
    ''
    >>> find_homoglyph("\N{CYRILLIC SMALL LETTER ZHE}", "[0-9a-f]")
    ''
    """
    latin = unicodedata.normalize("NFKC", text.translate(_LIKE)).lower()
    bare = latin.strip()
    if len(latin) != len(text) or not _is_id(bare, grammar):
        return ""
    pairs = enumerate(zip(text, latin, strict=True))
    odd = [i for i, (letter, meant) in pairs if letter.lower() != meant and not letter.isspace()]
    first = odd[0] if odd else len(text)
    if not odd:
        return ""
    name = unicodedata.name(text[first], f"U+{ord(text[first]):04X}")
    more = f" ({len(odd)} such letters)" if len(odd) > 1 else ""
    return f"{text}: character {first + 1} is {name}, not {latin[first]}{more}"


def find_bidi_mark(text: str, grammar: str) -> str:
    """Name the first direction mark, if the text is an ID but for such marks.

    Examples
    --------
    >>> find_bidi_mark("\u202e9af", "[0-9a-f]{3}")
    '\u202e9af: character 1 is RIGHT-TO-LEFT OVERRIDE'
    >>> find_bidi_mark("9af", "[0-9a-f]{3}"), find_bidi_mark("\u202ewhat", "[0-9a-f]{3}")
    ('', '')
    """
    found = _TURNS.search(text)
    if not found or not _is_id(_TURNS.sub("", text).strip().lower(), grammar):
        return ""
    return f"{text}: character {found.start() + 1} is {unicodedata.name(found[0])}"


def _is_id(text: str, grammar: str) -> bool:
    return bool(re.fullmatch(grammar, text) or re.fullmatch(r"[0-9a-f]{32}", text.replace("-", "")))
