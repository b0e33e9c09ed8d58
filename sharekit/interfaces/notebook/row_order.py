"""Which rows the panel's grid shows, and in which order: filters of columns, sort and groups.

Pure functions over columns of texts; a column with few different values is looked at by those.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.interfaces.review_filters import Positions

Mask = NDArray[np.bool_]
#: Rows of which the first are looked at to tell whether a column has few different values.
_PROBED: Final = 20_000
#: Bytes that are compared at once where a long column is sorted.
_WORD: Final = 8


@dataclass(frozen=True)
class ColumnFilter:
    """What a column's value has to be: to hold a text, to be one of some, in a range, or empty.

    Attributes
    ----------
    column : str
        The column.
    kind : str
        ``text``, ``values``, ``range``, ``empty`` or ``filled``.
    values : tuple of str
        The text; the values; or the least and the greatest value, ``""`` for none. A range whose
        ends are numbers compares numbers, any other compares texts.
    """

    column: str
    kind: Literal["text", "values", "range", "empty", "filled"]
    values: tuple[str, ...] = ()


class Column:
    """A column of texts, with what is derived from it once: its different values, and its order.

    >>> column = Column(pd.Series(["b", "a", "b"], dtype="str"))
    >>> column.is_short, column.words, column.codes.tolist()
    (True, ['a', 'b'], [1, 0, 1])
    """

    def __init__(self, values: pd.Series) -> None:
        texts = pa.array(values)
        self.texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        self._ranks: NDArray[np.int64] | None = None

    @cached_property
    def is_short(self) -> bool:
        """Whether the column has so few different values that they can be listed."""
        head = self.texts[:_PROBED]
        return len(head) < _PROBED or len(pc.unique(head)) < _PROBED / 4

    @cached_property
    def _coded(self) -> tuple[pa.Array, NDArray[np.int32]]:
        """The different values, ascending, and the place of each row's among them."""
        coded = self.texts.dictionary_encode()
        order = np.asarray(pc.sort_indices(coded.dictionary))
        places = _places(order)[coded.indices.to_numpy(zero_copy_only=False)]
        return coded.dictionary.take(pa.array(order)), places.astype("int32")

    @cached_property
    def words(self) -> list[str]:
        """The different values, ascending."""
        return list(map(str, self._coded[0].to_pylist()))

    @property
    def codes(self) -> NDArray[np.int32]:
        """The place of each row's value among :attr:`words`."""
        return self._coded[1]

    def mask(self, wanted: ColumnFilter) -> Mask:
        """Return True for each row that a filter shows."""
        if not self.is_short:
            return _matches(self.texts, wanted)
        return np.asarray(_matches(self._coded[0], wanted)[self.codes], dtype=bool)

    def ranks(self) -> NDArray[np.int64]:
        """Return numbers that are in the order of the values."""
        if self._ranks is None:
            self._ranks = self.codes.astype("int64") if self.is_short else _rank(self.texts)
        return self._ranks

    def sizes(self, shown: Positions) -> Mapping[str, int]:
        """Count some rows by their value, the most frequent first."""
        counts = np.bincount(self.codes[shown], minlength=len(self.words))
        order = np.argsort(-counts, kind="stable")
        return {self.words[place]: int(counts[place]) for place in order}

    def take(self, positions: Positions) -> list[str]:
        """Return the values of some rows."""
        return [str(text) for text in self.texts.take(pa.array(positions)).to_pylist()]


def _matches(texts: pa.Array, wanted: ColumnFilter) -> Mask:
    if wanted.kind == "values":
        found = pc.is_in(texts, pa.array(wanted.values, texts.type))
    elif wanted.kind == "text":
        found = pc.match_substring(texts, wanted.values[0], ignore_case=True)
    elif wanted.kind == "range":
        return _in_range(texts, *wanted.values)
    else:
        empty = pc.equal(pc.utf8_trim_whitespace(texts), "")
        found = empty if wanted.kind == "empty" else pc.invert(empty)
    return np.asarray(pc.fill_null(found, fill_value=False), dtype=bool)


def _in_range(texts: pa.Array, least: str, greatest: str) -> Mask:
    ends = pd.to_numeric(pd.Series([least, greatest]), errors="coerce")
    values = pd.Series(texts.to_pandas())
    if all(pd.notna(end) or not text for end, text in zip(ends, (least, greatest), strict=True)):
        numbers = pd.to_numeric(values, errors="coerce")
        low, high = ends.fillna({0: -np.inf, 1: np.inf})
        return numbers.between(low, high).to_numpy()
    inside = values != ""
    inside &= values >= least
    if greatest:
        # A day or a month as the end holds what lies in it.
        inside &= values <= greatest + "\U0010ffff"
    return inside.to_numpy(dtype=bool)


def _rank(texts: pa.Array) -> NDArray[np.int64]:
    """Rank a long column by the first bytes that differ, and only ties by the whole text."""
    ends = pc.min_max(texts).as_py()
    least, greatest = (str(ends[name] or "").encode() for name in ("min", "max"))
    pairs = enumerate(zip(least, greatest, strict=False))
    begin = next((place for place, (a, b) in pairs if a != b), min(len(least), len(greatest)))
    heads = pc.binary_slice(texts.cast(pa.large_binary()), begin, begin + _WORD)
    words = np.array(heads.to_numpy(zero_copy_only=False), dtype=f"S{_WORD}")
    keys = words.view(">u8").astype("uint64")
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = order[tied]
    order[tied] = rows[np.asarray(pc.sort_indices(texts.take(pa.array(rows))))]
    return _places(order)


def _places(order: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each element in an order."""
    places = np.empty(len(order), dtype="int64")
    places[order] = np.arange(len(order))
    return places


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines of a grid: rows in their order, and where they are grouped, a line for each group.

    Attributes
    ----------
    rows : array of int
        Positions of the rows that the filters show, group by group, in their order.
    groups : tuple of str
        The value of each group; none where rows are not grouped.
    starts : array of int
        Where each group begins in ``rows``, and the number of all rows at the end.
    """

    rows: Positions
    groups: tuple[str, ...]
    starts: Positions

    def of_group(self, number: int) -> Positions:
        """Return the rows of a group."""
        return self.rows[self.starts[number] : self.starts[number + 1]]

    def begins(self, opened: Collection[str]) -> Positions:
        """Return the line at which each group begins if these are open, and the number of lines."""
        if not self.groups:
            return np.array([0, len(self.rows)])
        sizes = np.diff(self.starts)
        shown = np.array([group in opened for group in self.groups])
        return np.append(0, np.cumsum(1 + np.where(shown, sizes, 0)))

    def between(self, first: int, last: int, opened: Collection[str]) -> list[tuple[int, int]]:
        """Return some lines: of a row ``(-1, position)``, of a group ``(number, rows)``.

        >>> lines = arrange(2, [], group=Column(pd.Series(["b", "a"], dtype="str")))
        >>> lines.between(0, 9, ["a"])
        [(0, 1), (-1, 1), (1, 1)]
        """
        if not self.groups:
            return [(-1, int(row)) for row in self.rows[max(first, 0) : max(last, 0)]]
        begins = self.begins(opened)
        numbers = np.arange(max(first, 0), min(last, int(begins[-1])))
        of = np.searchsorted(begins, numbers, side="right") - 1
        inside = numbers - begins[of]
        rows = self.rows[np.minimum(self.starts[of] + inside - 1, len(self.rows) - 1)]
        sizes = np.diff(self.starts)[of]
        return [
            (int(group), int(size)) if not place else (-1, int(row))
            for group, place, row, size in zip(of, inside, rows, sizes, strict=True)
        ]


def shown_rows(
    count: int, filters: Sequence[ColumnFilter], column: Callable[[str], Column]
) -> Mask:
    """Return True for each of so many rows that all filters show."""
    masks = [column(wanted.column).mask(wanted) for wanted in filters]
    return np.logical_and.reduce(masks) if masks else np.ones(count, dtype=bool)


def arrange(
    count: int, masks: Sequence[Mask], *, sort: Column | None = None, descending: bool = False,
    group: Column | None = None,
) -> Lines:  # fmt: skip
    """Put the rows that all masks show in order, and into groups; in both, what is equal stays.

    >>> column = Column(pd.Series(["b", "a", "b"], dtype="str"))
    >>> arrange(3, [], sort=column, descending=True).rows.tolist()
    [0, 2, 1]
    """
    rows = np.flatnonzero(np.logical_and.reduce(masks)) if masks else np.arange(count)
    if sort is not None:
        ranks = sort.ranks()[rows]
        rows = rows[np.argsort(-ranks if descending else ranks, kind="stable")]
    if group is None or not group.is_short:
        return Lines(rows, (), np.array([0, len(rows)]))
    codes = group.codes[rows]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    groups = tuple(group.words[code] for code in found)
    return Lines(rows[order], groups, np.append(starts, len(rows)))
