"""IDs that a spreadsheet program counted up, because somebody dragged a cell down or across.

Excel and LibreOffice count the decimal digits at the end of a text, with a carry into the digits
before them; LibreOffice counts those at the beginning if the end is a letter. Scripts count
hexadecimal digits. The IDs of a cloud are drawn at random, so of two that differ by one such step
at least one was never given to anything; steps of ten, or of any other length, are told by three.
The order of rows does not matter: lists get sorted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import MEMBER_STATES, UNSHARE
from sharekit.core.columns import STR, EncodedColumn
from sharekit.core.fields import GRAMMARS, ID_FIELDS, PROJECT_ID, UUID

from .hits import RuleHits
from .row_rules import Addresses

#: Fields whose IDs are compared with each other, in the order of a row's cells, and their form.
_FORMS: Final = {name: GRAMMARS[name] for name in ID_FIELDS} | {"owner": PROJECT_ID}
_LENGTHS: Final = {UUID: 36, PROJECT_ID: 32}
#: Where the first and the last 16 digits of an ID stand: 64 bits, which no two random IDs share.
_HEADS: Final = {UUID: (("<u8", 0), ("<u4", 9), ("<u4", 14)),
                 PROJECT_ID: (("<u8", 0), ("<u4", 8), ("<u4", 12))}  # fmt: skip
_TAILS: Final = {UUID: (("<u4", 19), ("<u8", 24), ("<u4", 32)),
                 PROJECT_ID: (("<u4", 16), ("<u8", 20), ("<u4", 28))}  # fmt: skip
#: Odd numbers to mix the parts of those digits with (of xxHash).
_MIX: Final = tuple(map(np.uint64, (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)))
#: Members of a series are at most so far apart, where rows between them were deleted.
_FARTHEST: Final = 1000
_LAST_DIGITS: Final = re.compile("[0-9]+$")
#: Digits at the beginning: all of them, or those before the first dash of a UUID.
_FIRST_DIGITS: Final = (re.compile("([0-9]+)(.*[a-f])"), re.compile("([0-9]{1,8})(.*[a-f])"))


class CountedIds(NamedTuple):
    """IDs, digits alone, that were counted up.

    ``origins`` names for each its neighbour in the series, ``cells`` where each comes first.
    """

    origins: Mapping[str, str]
    cells: Mapping[str, str]


def check_counted_up(
    rows: pd.DataFrame,
    encoded: Mapping[str, EncodedColumn],
    snapshot: Snapshot | None,
    addresses: Addresses,
    counted: CountedIds | None = None,
) -> list[RuleHits]:
    """Find IDs that were counted up from another one, unless a cloud shows that they exist.

    The first ID of a series is taken for the one that was copied, if the rows are in its order.
    A share that its owner sees can be taken back whatever its IDs are. ``counted`` are the series
    where rows that are checked apart belong to them, too.
    """
    if counted is None:
        texts = {*itertools.chain.from_iterable(find_series(_alike(encoded)))}
        counted = trace(first_cells(encoded, addresses, texts), shown_ids(snapshot))
    if not counted.origins:
        return []
    found = _occurrences(encoded, counted.origins)
    status, before = (
        rows[name].take(found["row"].to_numpy("int64")) for name in ("status", "before")
    )
    taken_back = (status == UNSHARE) & before.isin(MEMBER_STATES)
    found = found[~(taken_back.to_numpy(dtype=bool) & (found["field"] == "project_id"))]
    hits = []
    for field, group in found.groupby("field", sort=False):
        keys = group["row"].to_numpy("int64")
        cells = group["text"].map(counted.origins).map(counted.cells).set_axis(keys)
        detail = ("compare it with " + cells).astype(STR)
        hits.append(RuleHits("counted-up", keys, str(field), detail=detail))
    return hits


def trace(first: pd.DataFrame, shown: Collection[str]) -> CountedIds:
    """Return which IDs were counted up.

    Parameters
    ----------
    first : DataFrame
        Of :func:`first_cells`: ``text`` and ``cell`` of IDs, in the order in which they come.
    shown : collection of str
        The IDs, digits alone, of what a cloud shows.
    """
    order = dict(zip(first["text"], range(len(first)), strict=True))
    origins = _origins(find_series(order), order, shown)
    return CountedIds(origins, dict(zip(first["text"], first["cell"], strict=True)))


def first_cells(
    encoded: Mapping[str, EncodedColumn], addresses: Addresses, texts: Collection[str]
) -> pd.DataFrame:
    """Return where some IDs (digits alone) come first: ``text, row, field, cell``."""
    first = _occurrences(encoded, texts).drop_duplicates("text").assign(cell="")
    for field, group in first.groupby("field"):
        cells = addresses(group["row"].to_numpy("int64"), str(field))
        first.loc[group.index, "cell"] = cells.to_numpy(object)
    return first


def _alike(encoded: Mapping[str, EncodedColumn]) -> set[str]:
    """Return the IDs, digits alone, that share their first or last 16 with another.

    Those that are equal to one of another field are among them, too.
    """
    fields, codes, heads, tails = [], [], [], []
    for field, form in _FORMS.items():
        legal = np.flatnonzero(encoded[field].fullmatch(form))
        if legal.size:
            head, tail = _ends(encoded[field].categories, legal, form)
            fields.append(field)
            codes.append(legal)
            heads.append(head)
            tails.append(tail)
    if not fields:
        return set()
    chosen = _repeated(np.concatenate(heads)) | _repeated(np.concatenate(tails))
    parts = np.split(chosen, np.cumsum([len(part) for part in codes])[:-1])
    return {
        text
        for field, code, part in zip(fields, codes, parts, strict=True)
        for text in _digits(encoded[field].categories.take(code[part]))
    }


def _occurrences(encoded: Mapping[str, EncodedColumn], texts: Collection[str]) -> pd.DataFrame:
    """Return where some IDs (digits alone) stand, by row: ``text, row, field``."""
    found = []
    for field, form in _FORMS.items() if texts else ():
        column = encoded[field]
        digits = _digits(column.categories)
        wanted = column.fullmatch(form) & digits.isin(texts).to_numpy(dtype=bool)
        rows = np.flatnonzero(wanted[column.codes])
        own = digits.take(column.codes[rows]).to_numpy(dtype=object)
        found.append(pd.DataFrame({"text": own, "row": rows, "field": field}))
    if not found:
        return pd.DataFrame({"text": [], "row": [], "field": []})
    # Stable: in the order of the fields.
    return pd.concat(found).sort_values("row", kind="stable", ignore_index=True)


def _digits(ids: pd.Series) -> pd.Series:
    return ids.str.replace("-", "", regex=False)


def _ends(
    texts: pd.Series, chosen: NDArray[np.int64], form: str
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the first and the last 16 digits of IDs, each mixed into a number.

    The last ones are 0 unless LibreOffice would count at the beginning of the ID.
    """
    values = pa.array(texts)
    values = values if len(chosen) == len(texts) else values.take(pa.array(chosen))
    table = _fixed_width(values, _LENGTHS[form])
    at_beginning = (table[:, 0] <= ord("9")) & (table[:, -1] > ord("9"))
    tail = np.zeros(len(table), np.uint64)
    if at_beginning.any():
        tail[at_beginning] = _mixed(table[at_beginning], _TAILS[form])
    return _mixed(table, _HEADS[form]), tail


def _mixed(table: NDArray[np.uint8], words: Iterable[tuple[str, int]]) -> NDArray[np.uint64]:
    """Return a number for each line, made of the words that stand at some places of it."""
    mixed = np.zeros(len(table), np.uint64)
    for factor, (kind, place) in zip(_MIX, words, strict=True):
        mixed += np.ndarray(len(table), kind, table, place, table.strides[:1]) * factor
    return mixed


def _fixed_width(texts: pa.Array | pa.ChunkedArray, length: int) -> NDArray[np.uint8]:
    """Return ASCII texts of one length as a table of bytes, a line for each text."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    parts = []
    for chunk in chunks:
        _, ends, text = chunk.cast(pa.large_string()).buffers()
        start = int(np.frombuffer(ends, np.int64)[chunk.offset]) if len(chunk) else 0
        data = np.frombuffer(text or b"", np.uint8)
        parts.append(data[start : start + len(chunk) * length].reshape(-1, length))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _repeated(numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return True for each number, but 0, that comes more than once."""
    ordered = np.sort(numbers)
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    several = several[several != 0]
    # By sorting: the other way overflows on unsigned numbers in numpy 2.0.
    return np.isin(numbers, several, kind="sort")


def shown_ids(snapshot: Snapshot | None) -> set[str]:
    """Return the IDs, digits alone, of everything that a cloud shows."""
    if snapshot is None:
        return set()
    members = snapshot.members[snapshot.members["state"].isin(MEMBER_STATES)]
    owned = snapshot.owned[snapshot.owned["owner"] != ""]
    columns = [
        members["image_id"], members["owner"], owned["image_id"], owned["owner"],
        snapshot.vaults["vault_id"], snapshot.projects["project_id"],
    ]  # fmt: skip
    return set(_digits(pd.concat(columns))) - {""}


def _origins(
    series: Iterable[list[str]], order: Mapping[str, int], shown: Collection[str]
) -> dict[str, str]:
    """Return for each ID that was counted up its neighbour in the series, the earlier one of two.

    ``order`` says where each ID comes first. Those that are ``shown`` exist; without one, the first
    does, unless the order of the series was lost, so that nobody can tell which was copied.
    """
    origins: dict[str, str] = {}
    for members in series:
        in_order = sorted(members, key=order.__getitem__)
        real = [text for text in in_order if text in shown]
        if not real and in_order in (members, members[::-1]):
            real = in_order[:1]
        for i, text in enumerate(members):
            if text not in real:
                neighbours = members[max(i - 1, 0) : i] + members[i + 1 : i + 2]
                origins[text] = min(neighbours, key=order.__getitem__)
    return origins


def find_series(texts: Collection[str]) -> list[list[str]]:
    """Return the IDs that were counted, each series in ascending order.

    A series has two neighbours at least, or three if letters are counted, which only scripts do,
    or if the step is not one: one wrong digit is a slip. Further IDs that differ in the same digits
    belong to it.

    Examples
    --------
    >>> find_series({"a1b098", "a1b099", "a1b100", "c2b098"})
    [['a1b098', 'a1b099', 'a1b100']]
    >>> find_series({"c9", "d0", "cb", "ca", "12f", "13f", "a2", "b2", "fa", "fb"})
    [['12f', '13f'], ['c9', 'ca', 'cb']]
    >>> find_series({"a1b010", "a1b020", "a1b030", "c2b010", "c2b020"})
    [['a1b010', 'a1b020', 'a1b030']]
    """
    parent = {text: text for text in texts}
    counted = set()
    for text in texts:
        pairs = [(text, other) for other in _following(text)]
        second, third = (_plus(text, number) for number in (1, 2))
        if third in parent:
            pairs += [(text, second), (second, third)]
        for one, other in pairs:
            if one in parent and other in parent:
                counted.add(one)
                _join(parent, one, other)
    ordered = sorted(texts)
    for members in _even_steps(texts):
        counted.update(members)
        _join(parent, members[0], members[1])
        _join(parent, members[1], members[2])
    for text, other in itertools.pairwise(ordered):
        letters = enumerate(zip(text, other, strict=False))
        start = next((i for i, (one, two) in letters if one != two), 0)
        ends = text[start:], other[start:]
        if all(map(str.isdecimal, ends)) and int(ends[1]) - int(ends[0]) <= _FARTHEST:
            _join(parent, text, other)
    series: dict[str, list[str]] = {}
    for text in ordered:
        series.setdefault(_root(parent, text), []).append(text)
    roots = {_root(parent, text) for text in counted}
    return [members for root, members in series.items() if root in roots]


def _following(text: str) -> Iterator[str]:
    """Yield what comes after an ID where a spreadsheet program counts its last or first digits."""
    if last := _LAST_DIGITS.search(text):
        yield text[: last.start()] + _next_number(last[0])
    else:
        first = (pattern.fullmatch(text) for pattern in _FIRST_DIGITS)
        yield from (_next_number(match[1]) + match[2] for match in first if match)


def _even_steps(texts: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Yield three IDs each that begin alike and end in numbers with one step between them.

    Of those that end in a letter LibreOffice counts the decimal number at the beginning.
    """
    by_end = [text[::-1] for text in texts if not text[-1].isdecimal()]
    for ordered, turn in ((sorted(texts), 1), (sorted(by_end), -1)):
        for three in zip(ordered, ordered[1:], ordered[2:], strict=False):
            same = next((i for i, own in enumerate(zip(*three, strict=True)) if len({*own}) > 1), 0)
            if same < len(three[0]) // 2:
                continue
            ends = [text[same:][::turn] for text in three]
            bases = [10] * all(map(str.isdecimal, ends)) + [16] * (turn > 0)
            numbers = ([int(end, base) for end in ends] for base in bases)
            if any(two - one == last - two for one, two, last in map(sorted, numbers)):
                yield three[0][::turn], three[1][::turn], three[2][::turn]


def _plus(text: str, number: int) -> str:
    return f"{int(text, 16) + number:0{len(text)}x}"


def _next_number(digits: str) -> str:
    return str(int(digits) + 1).zfill(len(digits))


def _join(parent: dict[str, str], text: str, other: str) -> None:
    parent[_root(parent, text)] = _root(parent, other)


def _root(parent: dict[str, str], text: str) -> str:
    while parent[text] != text:
        parent[text] = text = parent[parent[text]]
    return text
