"""What stands elsewhere in a workbook against a row's decision: titles, names, sheets left out."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.actions import ACCEPTED, ACTIONS, REJECTED, SHARE, UNSHARE
from sharekit.core.columns import STR
from sharekit.core.fields import ID_FIELDS, PROJECT_ID, UUID, UUID_LENGTH
from sharekit.core.html import shorten

from .formats import per_text as pc
from .formats.raw_sheet import TEXT, take
from .headers import SEARCHED_ROWS, says_no, shows_state, state_columns, wrapped
from .inventory import SheetRows
from .repeated_headers import ANY_ID
from .row_issues import CLOSING, RowHits, rows_without_share
from .vocabulary import (
    AS_IS_WORDS,
    CLEAR_DECISIONS,
    DENIALS,
    EARLIER_WORDS,
    FINAL_WORDS,
    OFF_WORDS,
    QUOTES,
    RECORD_WORDS,
    STATE_WORDS,
    STATUS_WORDS,
    TITLE_WORDS,
    TRUE_WORDS,
    VOID_WORDS,
    pattern_of,
    plain_text,
    says,
)

#: The actions that a title speaks against if it names one.
_OPPOSED: Final = {
    ACCEPTED: frozenset({REJECTED, UNSHARE}),
    REJECTED: frozenset({ACCEPTED, SHARE}),
    UNSHARE: frozenset({ACCEPTED, SHARE}),
}
#: What another sheet must not say of a share; the two roles of a share do not contradict.
_CONFLICTS: Final = {
    ACCEPTED: {REJECTED, UNSHARE},
    REJECTED: {ACCEPTED, UNSHARE},
    SHARE: {UNSHARE},
    UNSHARE: {ACCEPTED, REJECTED, SHARE},
}
#: Columns that tell what two sheets say of a share.
_TOLD: Final = ("row", "action", "source", "row_told", "column_told", "action_told")
_NOTHING: Final[frozenset[str]] = frozenset()
_DOUBT: Final = pattern_of(VOID_WORDS | EARLIER_WORDS | RECORD_WORDS)
_NEUTRAL: Final = pattern_of(TITLE_WORDS)
_DECIDES: Final = pattern_of(frozenset(w for w, a in CLEAR_DECISIONS.items() if a in _OPPOSED))
_OF_DECISIONS: Final = pattern_of(TITLE_WORDS | STATE_WORDS | {"images"})
_DENIED: Final = re.compile(
    rf"(?:{pattern_of(DENIALS).pattern})\s*(?:(?:{_OF_DECISIONS.pattern})\s*)*\0"
)
#: Parts of a title that speak for themselves: what is in brackets, and behind a dash.
_PARTS: Final = re.compile(r"\s[-\u2013\u2014]\s|[()\[\]{}\uff08\uff09\u3010\u3011]")
_VERSION: Final = re.compile(r"(?i)(?<![a-z])(?:v|ver|version|rev)[\s._-]*([0-9]{1,3})(?![0-9])")
#: Words such as yes and no, which decide only by what they answer, and all others.
_ANSWERS: Final = frozenset(STATUS_WORDS.keys() - CLEAR_DECISIONS.keys())
_ANY_ANSWER: Final = "|".join(map(re.escape, sorted(_ANSWERS, key=len, reverse=True)))
_ANY_CLEAR: Final = "|".join(map(re.escape, sorted(CLEAR_DECISIONS, key=len, reverse=True)))
#: Signs that tell of a change, or of an answer, where they stand in a remark: "no -> accepted".
_CHANGES: Final = re.compile(r"[:\uff1a\u2192\u21d2]|[-=]+>")
#: "Yes or no", in which "no" denies nothing.
_EITHER: Final = re.compile(rf"(?<!\w)(?:{_ANY_ANSWER})\s+(?:\w+\s+)?(?:{_ANY_ANSWER})(?!\w)")
#: What a legend says of a word: "yes = reject", "No: the image is accepted".
_MEANS: Final = re.compile(
    rf"(?<!\w)({_ANY_ANSWER}|{_ANY_CLEAR})[\s\"']*"
    r"(?P<sign>=+>?|:|-+>|[\u2192\u21d2\uff1a]|means|heißt|bedeutet|signifie|significa)[\s\"']*"
    rf"(?P<before>(?:\w+\s+){{0,3}}?)(?:(?P<clear>{_ANY_CLEAR})(?!\w)|(?P<answer>{_ANY_ANSWER})(?!\s*\w))"
)
#: Words of a title; with words that nobody here knows it is shorter.
_TITLE_WORDS: Final = 12
_LOOSE_WORDS: Final = 6
#: Cells of a line above a table, such as "Draft" and a date.
_LINE_CELLS: Final = 2
#: Rows without an ID that are looked at one by one.
_MAX_TITLES: Final = 20_000
_MAX_LEGENDS: Final = 200
_DIGITS: Final = 32
_ID_LENGTHS: Final = (UUID_LENGTH, _DIGITS)
Positions = NDArray[np.int64]


# -- what a title says ---------------------------------------------------------------------------
@functools.lru_cache(1 << 12)
def set_aside_word(title: str) -> str:
    """Return the word by which a title says that what is below does not count, or is a record.

    All other words must say nothing: an "Old Navy" is no old list. A part in brackets speaks for
    the whole, and "Images" is the list itself only at the beginning.

    >>> set_aside_word("Change log"), set_aside_word("Freigaben (alt)"), set_aside_word("Shares")
    ('log', 'alt', '')
    >>> set_aside_word("Example Corp"), set_aside_word("Backup images"), set_aside_word("Old Navy")
    ('', '', '')
    """
    for part in (title, *_PARTS.split(title)):
        text = re.sub(r"\Aimages?\b", "", plain_text(part))
        found = _DOUBT.search(text)
        if found and not _NEUTRAL.sub(" ", _DOUBT.sub(" ", text)).strip():
            return found[0]
    return ""


def earlier_version(name: str, names: Collection[str]) -> str:
    """Return the version in a sheet's name if another of the names is of a later one, or it is 1.

    >>> earlier_version("EU v2", ["EU v2", "EU v3"]), earlier_version("EU v3", ["EU v2", "EU v3"])
    ('v2', '')
    >>> earlier_version("Shares v1", ["Shares v1"]), earlier_version("EU v1", ["EU v1", "Shares"])
    ('v1', '')
    """
    version = _VERSION.search(name)
    if not version:
        return ""
    stem = plain_text(_VERSION.sub(" ", name))
    later = (_VERSION.search(n) for n in names if plain_text(_VERSION.sub(" ", n)) == stem)
    first = int(version[1]) < 2 and not _NEUTRAL.sub(" ", stem).strip()
    newer = any(other and int(other[1]) > int(version[1]) for other in later)
    return version[0] if first or newer else ""


@functools.lru_cache(1 << 12)
def forbidden(title: str, *, loose: bool = False) -> frozenset[str]:
    """Return the actions that a title speaks against.

    Parameters
    ----------
    title : str
        A line without a share, or a sheet's name.
    loose : bool
        Whether a title that speaks against acceptance may have words that nobody here knows.

    >>> sorted(forbidden("To be rejected:")), sorted(forbidden("Do not accept"))
    (['accepted', 'share'], ['accepted'])
    >>> forbidden("Current state") == set(ACTIONS), forbidden("Accept or reject")
    (True, frozenset())
    """
    text = plain_text(title)
    if len(text.split()) > _TITLE_WORDS:
        return _NOTHING
    if set_aside_word(title):
        return frozenset(ACTIONS)
    said = {CLEAR_DECISIONS[word] for word in _DECIDES.findall(text)}
    if len(said) != 1:
        return _NOTHING
    marked = _DECIDES.sub("\0", text)
    denied = _DENIED.search(marked)
    against = frozenset(said) if denied else _OPPOSED[min(said)]
    rest = _OF_DECISIONS.sub(" ", _DENIED.sub(" ", marked).replace("\0", " "))
    if not rest.strip():
        return against
    unclear = says(rest, DENIALS) or "=" in title or len(text.split()) > _LOOSE_WORDS
    return against if loose and ACCEPTED in against and not unclear else _NOTHING


@functools.lru_cache(1 << 12)
def turned_words(text: str) -> frozenset[str]:
    """Return the words of decisions to which a text gives another meaning than they have here.

    If "yes" means something else, so does every other answer.

    >>> "no" in turned_words("yes = reject"), sorted(turned_words("accepted = rejected"))
    (True, ['accepted', 'rejected'])
    >>> turned_words("Yes = accept, no = not accepted") or turned_words("accepted = no objection")
    frozenset()
    >>> turned_words("changed: no -> yes")
    frozenset()
    """
    turned: set[str] = set()
    for said in _MEANS.finditer(text.lower()):
        word, meaning = said[1], said["clear"] or said["answer"]
        opposite = STATUS_WORDS[word] in _CONFLICTS[STATUS_WORDS[meaning]]
        answers = len(_ANSWERS & {word, meaning})
        if answers < 2 and opposite != says(said["before"], DENIALS):
            turned |= _ANSWERS if answers else {word, meaning} if "=" in said["sign"] else set()
    return frozenset(turned)


def _turned_by_header(name: str) -> frozenset[str]:
    """Return the words that mean something else below a header, such as yes below "Reject?".

    >>> "yes" in _turned_by_header("Reject (yes/no)"), _turned_by_header("Accept (yes/no)")
    (True, frozenset())
    """
    if _MEANS.search(name.lower()):
        return turned_words(name)
    text = _EITHER.sub(" ", plain_text(name))
    said = {CLEAR_DECISIONS[word] for word in _DECIDES.findall(text)}
    denied = _DENIED.search(_DECIDES.sub("\0", text))
    refuses = len(said) == 1 and (said != {ACCEPTED} or denied is not None)
    return _ANSWERS if refuses or says_no(name) == TRUE_WORDS else _NOTHING


def _legends(sheet: SheetRows) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what gives words another meaning: the header, cells of the first rows, notes."""
    name = sheet.names[sheet.fields["status"]]
    yield f'the header reads "{shorten(name, 40)}"', _turned_by_header(name)
    notes = sheet.rows[rows_without_share(sheet)[:_MAX_LEGENDS]].tolist()
    columns = [take(column, notes).to_pylist() for column in sheet.raw.cells] if notes else []
    below = zip(notes, zip(*columns, strict=True), strict=True)
    for row, texts in [*enumerate(sheet.raw.head(SEARCHED_ROWS)), *below]:
        filled = [(column, text.strip()) for column, text in enumerate(texts) if text.strip()]
        if len(filled) == _LINE_CELLS:
            filled.append((filled[0][0], ": ".join(text for _, text in filled)))
        for column, text in filled:
            remark = sheet.source.header_row <= row and row not in notes
            if words := turned_words(_CHANGES.sub(";", text) if remark else text):
                yield _reads(sheet, row, column, text), words


# -- titles over rows ----------------------------------------------------------------------------
def disagreeing_titles(sheet: SheetRows) -> RowHits:
    """Find rows whose decision is another than a title over them names, up to the next title."""
    hits: dict[int, str] = {}
    if "status" in sheet.fields and sheet.rows.size:
        heading = _heading(sheet)
        between = ((row, *(own if own[1] else heading)) for row, *own in _titles_between(sheet))
        titles = [(-1, *heading), *between]
        ends = [row for row, _, _ in titles[1:]] + [len(sheet.rows)]
        spans = [
            (row, end, label, {word for word, a in STATUS_WORDS.items() if a in against})
            for (row, label, against), end in zip(titles, ends, strict=True)
        ]
        spans += [(-1, len(sheet.rows), label, {*words}) for label, words in _legends(sheet)]
        column = sheet.cells[sheet.fields["status"]]
        for row, end, label, words in spans:
            if words:
                below = pc.utf8_trim(column.slice(row + 1, end - row - 1), QUOTES)
                below = pc.utf8_lower(pc.utf8_trim_whitespace(below))
                said = np.asarray(pc.is_in(below, pa.array(sorted(words), TEXT)), dtype=bool)
                hits |= dict.fromkeys((np.flatnonzero(said) + row + 1).tolist(), label)
    return replace(RowHits.of("title-disagrees", hits), field="status")


def _heading(sheet: SheetRows) -> tuple[str, frozenset[str]]:
    """Return the nearest line above the header, or the sheet's name, that speaks against actions.

    Above a table an approval is the document's, a number beside a word counts rows, lines of
    three cells are other tables, and words for both decisions say what may be written.
    """
    found: list[tuple[str, frozenset[str]]] = []
    lines = [*enumerate(sheet.raw.head(sheet.source.header_row - 1))]
    for row, texts in reversed(lines):
        filled = [(i, text) for i, text in enumerate(texts) if text.strip()]
        if len(filled) > _LINE_CELLS and row < lines[-1][0]:
            break
        for column, text in filled[:1] if len(filled) <= _LINE_CELLS else ():
            against = forbidden(text)
            of_all = len(against) == len(ACTIONS) and not column
            approval = REJECTED in against and says(text, FINAL_WORDS)
            if against and (of_all or not (approval or _counts(text) or len(filled) > 1)):
                found.append((_reads(sheet, row, column, text), against))
    said = {against for _, against in found if len(against) < len(ACTIONS)}
    if found and len(said) < 2:
        return found[0]
    name, stem = sheet.source.sheet, Path(sheet.source.file).stem
    against = forbidden(name or stem, loose=True)
    if set_aside_word(name or stem):
        against = against if sheet.doubt and says(name, OFF_WORDS) else _NOTHING
    if name:
        return f'the sheet is named "{name}"', against
    return f'the file is named "{stem}"', against if ACCEPTED in against else _NOTHING


def _counts(text: str) -> bool:
    """Return True for a count such as "Rejected: 3"; a year is none."""
    return any(len(number) != 4 for number in re.findall("[0-9]+", text))


def _titles_between(sheet: SheetRows) -> Iterator[tuple[int, str, frozenset[str]]]:
    """Yield the titles among the rows: their positions, what they read, what they speak against."""
    image, status = sheet.fields["image_id"], sheet.fields["status"]
    telling = {sheet.fields[f] for f in (*ID_FIELDS, "status") if f in sheet.fields}
    lengths = np.asarray(pc.binary_length(sheet.cells[image]))
    rows = np.flatnonzero(~np.isin(lengths, _ID_LENGTHS))
    if "project_id" in sheet.fields and rows.size:
        projects = pc.binary_length(take(sheet.cells[sheet.fields["project_id"]], rows))
        rows = rows[np.asarray(projects) != _DIGITS]
    rows = rows[:_MAX_TITLES]
    if not rows.size:
        return
    notes = {*rows_without_share(sheet).tolist()}
    cells = (take(column, rows).to_pylist() for column in sheet.cells)
    for row, *texts in zip(rows.tolist(), *cells, strict=True):
        column = next((i for i, text in enumerate(texts) if text.strip()), len(texts))
        if (column > image and column not in telling) or any(re.search(ANY_ID, t) for t in texts):
            continue
        text = texts[column]
        if column and texts[status].strip().lower() in STATUS_WORDS:
            continue  # a share without its IDs
        against = forbidden(text, loose=True)
        if column == status and shows_state(text):
            against = frozenset(ACTIONS)
        short = len(text.split()) <= _LOOSE_WORDS and not CLOSING.match(text)
        if against or (row in notes and short):
            yield row, _reads(sheet, int(sheet.rows[row]), column, text), against


def _reads(sheet: SheetRows, row: int, column: int, text: str) -> str:
    return f'{sheet.raw.address(row, column)} reads "{shorten(" ".join(text.split()), 40)}"'


def title_against_default(sheet: SheetRows) -> str:
    """Return the sheet's name, a line or a header that speaks against the given decision."""
    given = sheet.defaults.get("status", "").strip().lower()
    action = STATUS_WORDS.get(given, given)
    if not action:
        return ""
    column = sheet.cells[sheet.fields["image_id"]]
    others = np.flatnonzero(~np.isin(np.asarray(pc.utf8_length(column)), _ID_LENGTHS))
    lines = [text for row in sheet.raw.head(sheet.source.header_row - 1) for text in row]
    lines += take(column, others[:_MAX_TITLES]).to_pylist()
    names = [sheet.source.sheet, Path(sheet.source.file).stem, *sheet.names]
    titles = [*(n for n in names if says(n, OFF_WORDS) or not set_aside_word(n)), *lines]
    found = (text for text in titles if action in forbidden(text, loose=True))
    return next((" ".join(text.split()) for text in found), "")


# -- sheets that were left out -------------------------------------------------------------------
def disagreeing_sheets(sheets: Sequence[SheetRows]) -> Iterator[tuple[int, RowHits]]:
    """Find rows whose share another sheet of the workbook decides otherwise, that sends nothing.

    It was left out, or lacks a column: without decisions a name such as "Rejected" is one.

    Yields
    ------
    int, RowHits
        The position of a sheet that is read, and its rows.
    """
    needed = {"project_id", "status"}
    read = [bool(s.source.rows) and needed <= {*s.fields, *s.defaults} for s in sheets]
    for file in {sheet.source.file for sheet in sheets}:
        own = [i for i, sheet in enumerate(sheets) if sheet.source.file == file and sheet.raw.cells]
        told = [_statements(sheets[i]).assign(source=i) for i in own if not read[i]]
        if not told:
            continue
        others = pd.concat(told)
        for source in (i for i in own if read[i]):
            sheet = sheets[source]
            shares = _shares(sheet, sheet.fields.get("status"))
            shares = shares[shares["image"].isin(others["image"]) & (shares["action"] != "")]
            both = shares.merge(others, on="image", suffixes=("", "_told"))
            same = (both["project"] == both["project_told"]) | (both["project_told"] == "")
            both = both[same & (both["action"] != both["action_told"])]
            columns = (both[name] for name in _TOLD)
            yield source, RowHits.of("sheet-disagrees", {
                row: _describe(sheets[other], told_row, column, told_action)
                for row, action, other, told_row, column, told_action in zip(*columns, strict=True)
                if action in _CONFLICTS.get(told_action, _OPPOSED[REJECTED])
            })  # fmt: skip


def _describe(left_out: SheetRows, position: int, column: int, action: str) -> str:
    sheet = left_out.aside or left_out
    row = int(sheet.rows[position]) if sheet.fields else position
    place = f'sheet "{sheet.source.sheet}", {sheet.raw.address(row, column)}'
    return f"{place} holds {action}" if action else f"it is in {place}"


def _statements(left_out: SheetRows) -> pd.DataFrame:
    """Return the shares of a sheet with their actions; "" where its name speaks against them.

    States under a name such as "As is" are no decisions.
    """
    sheet = left_out.aside or left_out
    name = sheet.source.sheet
    if not sheet.fields:
        return _without_header(sheet)
    status = {sheet.fields.get("status", -1), *sheet.ambiguous.get("status", ())} - {-1}
    if set_aside_word(name) and says(name, AS_IS_WORDS):
        status -= {*state_columns(sheet.names)}
    sheet = replace(sheet, defaults={f: t for f, t in sheet.defaults.items() if f != "status"})
    told = pd.concat([_shares(sheet, column) for column in status or {None}])
    off = says(name, OFF_WORDS) or not set_aside_word(name)
    if ACCEPTED in forbidden(name, loose=True) and off:
        return told
    return told[told["action"] != ""]


def _shares(sheet: SheetRows, status: int | None) -> pd.DataFrame:
    """Return the rows with an image ID: digits of image and project, action and its column."""
    image, project = sheet.fields["image_id"], sheet.fields.get("project_id")
    frame = pd.DataFrame({
        "row": np.arange(len(sheet.rows)),
        "image": _digits(sheet.cells[image]),
        "project": sheet.defaults.get("project_id", "")
        if project is None
        else _digits(sheet.cells[project]),
        "action": sheet.defaults.get("status", "")
        if status is None
        else _words(sheet.cells[status]),
        "column": image if status is None else status,
    })  # fmt: skip
    frame = frame[frame["image"].str.len() == _DIGITS]
    return frame.assign(action=frame["action"].map(STATUS_WORDS).fillna("").astype(STR))


def _without_header(sheet: SheetRows) -> pd.DataFrame:
    """Return what a sheet without a header says: an image ID and a decision in one row."""
    with_id = [pc.match_substring_regex(column, wrapped(UUID)) for column in sheet.raw.cells]
    rows = np.flatnonzero(np.logical_or.reduce([np.asarray(hit, dtype=bool) for hit in with_id]))
    cells = (take(column, rows).to_pylist() for column in sheet.raw.cells)
    lines = [
        (row, ids[0], project, CLEAR_DECISIONS[word], column)
        for row, *texts in zip(rows.tolist(), *cells, strict=True)
        for ids in [[re.sub("[^0-9a-f]", "", t.lower()) for t in texts if _is(UUID, t)]]
        for project in [t.lower() for t in texts if _is(PROJECT_ID, t)] or [""]
        for column, word in enumerate(text.strip().lower() for text in texts)
        if ids and word in CLEAR_DECISIONS
    ]
    frame = pd.DataFrame(lines, columns=["row", "image", "project", "action", "column"])
    return frame.astype({"image": STR, "project": STR, "action": STR})


def _is(grammar: str, text: str) -> bool:
    return re.fullmatch(grammar, text.strip().strip("{}\"'").lower()) is not None


def _digits(column: pa.ChunkedArray) -> Any:
    digits = pc.replace_substring_regex(pc.utf8_lower(column), "[^0-9a-f]", "")
    return pd.array(digits, dtype=STR)


def _words(column: pa.ChunkedArray) -> Any:
    return pd.array(pc.utf8_lower(pc.utf8_trim_whitespace(column)), dtype=STR)
