"""A second header inside the data: stacked tables, files one after the other, printed pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.fields import GRAMMARS, MANDATORY_FIELDS, UUID_LENGTH

from .formats import per_text as pc
from .formats.raw_sheet import TEXT, RawSheet, take
from .headers import (
    Header,
    is_plain,
    is_vague,
    known_keys,
    match,
    normalize,
    tells_of_past,
    unique_names,
)
from .vocabulary import DECISION_WORDS

#: An image, project or vault ID within a text, however it is written.
ANY_ID: Final = r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b"
#: Fields whose headers stand over a list of shares; "Name" and "Owner" stand over many lists.
_STRONG: Final = (*GRAMMARS, "status")
_FIRST_DASH: Final = r"(?s)\A\C{8}-"
#: Letters and no digits, as a header has and an ID has not.
_WORDS: Final = r"^[^0-9]*\pL[^0-9]*$"
#: Up to so many rows without an image ID are looked at one by one, which takes a tenth of a second.
_FEW: Final = 1000


def find_repeated(
    raw: RawSheet, header: Header, mapping: Mapping[str, str], filled: NDArray[np.bool_]
) -> tuple[list[int], list[int]]:
    """Return the 0-based rows below a header that are headers, too: the same one, and others.

    The same header has the same columns in the same order: the same texts, or other words for the
    same field. States are never the same as decisions, nor is what a remark may make another thing.
    A header's second line, before any row,
    may be in another language, or say more of some columns.

    Parameters
    ----------
    raw : RawSheet
        The sheet.
    header : Header
        The header that its rows are read by.
    mapping : Mapping of str to str
        Field -> header, as the user gave it.
    filled : ndarray of bool
        For each row below the header whether it has any text.
    """
    start = header.row + 1
    image = raw.cells[header.fields["image_id"]].slice(start)
    ids = _are_ids(image)
    rows = np.flatnonzero(filled & ~ids) + start
    foreign = _foreign_headers(raw, header, rows, ids)
    if len(rows) > _FEW:
        taken = [take(column, rows) for column in raw.cells]
        rows = rows[np.logical_or.reduce([are_keys(column, header.names) for column in taken])]
    first = int(np.argmax(filled)) + start if filled.any() else -1
    same: list[int] = []
    others: list[int] = []
    cells = zip(*(take(column, rows).to_pylist() for column in raw.cells), strict=True)
    for row, texts in zip(rows.tolist(), cells, strict=True):
        if is_header(texts, mapping, header.names):
            names = unique_names(texts, raw.first_column)
            repeated = _is_same(names, header, mapping, translated=row == first)
            (same if repeated else others).append(row)
    return same, sorted({*others, *foreign} - {*same})


def _foreign_headers(
    raw: RawSheet, header: Header, rows: NDArray[np.int64], ids: NDArray[np.bool_]
) -> list[int]:
    """Return the rows between shares with words, all different, where IDs and decisions belong.

    They are headers in words that nobody here knows: what is below may mean something else.
    """
    columns = [header.fields[field] for field in MANDATORY_FIELDS if field in header.fields]
    if "status" not in header.fields or not ids.any():
        return []
    first, last = np.flatnonzero(ids)[[0, -1]] + header.row + 1
    rows = rows[(rows > first) & (rows < last)]
    texts = [take(raw.cells[column], rows) for column in columns]
    words = [np.asarray(pc.match_substring_regex(column, _WORDS), dtype=bool) for column in texts]
    candidates = np.flatnonzero(np.logical_and.reduce(words))
    return [
        int(rows[i])
        for i in candidates.tolist()
        for cells in [[column[i].as_py().strip().lower() for column in texts]]
        if len(set(cells)) == len(cells) and not DECISION_WORDS.keys() & {*cells}
    ]


def is_header(texts: Sequence[str], mapping: Mapping[str, str], known: Sequence[str] = ()) -> bool:
    """Return True for a row that reads as a header; ``known`` are headers of the same sheet.

    Examples
    --------
    >>> is_header(["Member ID", "Image ID", "Verdict"], {})
    True
    >>> is_header(["Total", "2"], {}), is_header(["Action", "Owner", "Due"], {})
    (False, False)
    """
    keys = [normalize(text) for text in texts]
    filled = [key for key in keys if key]
    if not filled or any(re.search(ANY_ID, text) for text in texts):
        return False
    if len(known) and set(filled) <= {normalize(name) for name in known}:
        return len(filled) > 1 or len(known) == 1
    names = unique_names(texts)
    fields = match(names, mapping) | match(names, {})
    strong = [field for field in _STRONG if field in fields]
    clear = "image_id" in fields and not is_vague(names, fields["image_id"], "image_id")
    return len(strong) > 1 or (clear and len(filled) > 1)


def _is_same(
    names: Sequence[str], header: Header, mapping: Mapping[str, str], *, translated: bool
) -> bool:
    fields = match(names, mapping)
    columns = {column: field for field, column in header.fields.items()}
    equal = [
        normalize(name) == normalize(known)
        or (fields.get(field) == i and _means_the_same(names, header.names, i, field))
        for i, (name, known) in enumerate(zip(names, header.names, strict=True))
        for field in [columns.get(i, "")]
    ]
    if translated and fields.items() <= header.fields.items():
        void = any(tells_of_past(names[i]) for i in columns if not equal[i])
        return all(equal[column] for column in fields.values()) and not void
    return all(equal)


def _means_the_same(names: Sequence[str], known: Sequence[str], column: int, field: str) -> bool:
    """Return True if two headers of one field stand over the same kind of values."""
    clear = not (is_vague(names, column, field) or is_vague(known, column, field))
    return is_plain(names[column]) and is_plain(known[column]) and (clear or field != "status")


def _are_ids(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return True for texts with the length and the first dash of an image ID, which is quick."""
    long = pc.equal(pc.binary_length(column), UUID_LENGTH)
    dashed = pc.match_substring_regex(column, _FIRST_DASH)
    return np.asarray(pc.and_(long, dashed), dtype=bool)


def are_keys(column: pa.ChunkedArray, known: Sequence[str]) -> NDArray[np.bool_]:
    """Return True for texts that are a header's without any remark, or one of those given."""
    plain = pc.replace_substring_regex(pc.utf8_normalize(column, "NFKD"), r"[^\pL\pN]+", "")
    keys = known_keys() | {normalize(name) for name in known}
    return np.asarray(pc.is_in(pc.utf8_lower(plain), pa.array(sorted(keys), TEXT)), dtype=bool)
