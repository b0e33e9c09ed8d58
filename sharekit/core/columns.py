"""Columns of texts as their distinct values, numbered once and used wherever values are judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .actions import ABSENT, MEMBER, MEMBER_STATES, OWNER, OWNER_ACTIONS, SHARE, UNSHARE


@dataclass(frozen=True, eq=False)
class Coded:
    """A column as its distinct values, and for each row which of them it has.

    Attributes
    ----------
    codes : ndarray of unsigned integers, as short as they can be
        One for each row: a position in ``words``.
    words : Series of str
        The distinct values.
    texts : pyarrow.Array or ChunkedArray
        The very column that was numbered.

    Examples
    --------
    >>> names = pd.Series(["b", "a", "b"], dtype="str")
    >>> coded = Coded.of(names)
    >>> coded.codes.tolist(), coded.words.tolist()
    ([0, 1, 0], ['b', 'a'])
    >>> Coded.of(names, coded) is coded, Coded.of(names.str.upper(), coded) is coded
    (True, False)
    """

    codes: NDArray[np.unsignedinteger]
    words: pd.Series
    texts: pa.Array | pa.ChunkedArray = field(repr=False)
    _having: dict[str, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, values: pd.Series, known: Coded | None = None) -> Coded:
        """Number the distinct values of a column, unless ``known`` says them of the very same."""
        texts = pa.array(values)
        if known is not None and _memory(known.texts) == _memory(texts):
            return known
        codes, words = pd.factorize(values)
        short = np.min_scalar_type(len(words))
        return cls(codes.astype(short), pd.Series(words, dtype="str"), texts)

    def with_words(self, words: pd.Series, values: pd.Series) -> Coded:
        """Put other values in place of the distinct ones, some of them equal: now the column's."""
        again = Coded.of(words)
        return Coded(again.codes[self.codes], again.words, pa.array(values))

    def among(self, texts: Collection[str]) -> NDArray[np.bool_]:
        """Tell for each row whether its value is one of these.

        >>> Coded.of(pd.Series(["b", "a", "b"], dtype="str")).among(["b", "c"]).tolist()
        [True, False, True]
        """
        hits: NDArray[np.bool_] = self.words.isin(texts).to_numpy(dtype=bool)[self.codes]
        return hits

    def having(self, grammar: str) -> NDArray[np.bool_]:
        """Tell which of the distinct values are wholly of a grammar; each is looked at once."""
        if grammar not in self._having:
            hits = pc.match_substring_regex(pa.array(self.words), rf"\A(?:{grammar})\z")
            self._having[grammar] = np.asarray(hits, dtype=bool)
        return self._having[grammar]


def _memory(texts: pa.Array | pa.ChunkedArray) -> list[tuple[int, ...]]:
    """Where texts are kept: Arrow never changes them there, so that a change is another place."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    return [
        (len(chunk), chunk.offset, *(b.address if b else 0 for b in chunk.buffers()))
        for chunk in chunks
    ]


def is_owner_action(status: pd.Series) -> pd.Series:
    """Return True for each action that is the owner's.

    >>> is_owner_action(pd.Series(["accepted", "unshare"])).tolist()
    [False, True]
    """
    return status.isin(OWNER_ACTIONS)


def describe_amount(status: pd.Series, number: int) -> str:
    """Format a count with its unit: "2 images" for decisions, "4 shares" for owners' actions.

    >>> describe_amount(pd.Series(["accepted"]), 2)
    '2 images'
    >>> describe_amount(pd.Series(["accepted", "share"]), 1)
    '1 share'
    """
    what = "share" if is_owner_action(status).any() else "image"
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def roles(status: pd.Series) -> pd.Series:
    """Return the role that takes each action, ``member`` or ``owner``.

    >>> roles(pd.Series(["accepted", "unshare"])).tolist()
    ['member', 'owner']
    """
    named = pd.Series(MEMBER, index=status.index, dtype="str")
    return named.mask(is_owner_action(status), OWNER)


def are_satisfied(status: pd.Series, state: pd.Series) -> pd.Series:
    """Return :func:`~sharekit.core.actions.is_satisfied` of each row.

    >>> are_satisfied(pd.Series(["share", "share"]), pd.Series(["pending", "absent"])).tolist()
    [True, False]
    """
    good = status == state
    if not is_owner_action(status).any():
        return good
    good |= (status == SHARE) & state.isin(MEMBER_STATES)
    return good | ((status == UNSHARE) & (state == ABSENT))


def first_case(cases: Mapping[str, object], default: str = "") -> pd.api.extensions.ExtensionArray:
    """Return for each row the name of the first case, a mask of the rows, that applies to it.

    >>> list(first_case({"big": pd.Series([True, False]), "odd": np.array([True, False])}, "-"))
    ['big', '-']
    """
    masks = [np.asarray(mask, dtype=bool) for mask in cases.values()]
    codes = np.full(len(masks[0]), len(masks))
    for code, mask in reversed(list(enumerate(masks))):
        codes[mask] = code
    return pd.array([*cases, default], dtype="str").take(codes)


def join_lines(
    rows: pd.DataFrame, lines: pd.DataFrame, key: list[str], missing: Mapping[str, object]
) -> pd.DataFrame:
    """Return for each row the line with the same key, with the rows' index.

    A key has at most one line. Where there is none, columns have the values in ``missing``.

    >>> rows = pd.DataFrame({"id": ["b", "c"]}, index=[7, 9])
    >>> lines = pd.DataFrame({"id": ["a", "b"], "state": ["old", "new"]})
    >>> join_lines(rows, lines, ["id"], {"state": "none"})["state"].to_dict()
    {7: 'new', 9: 'none'}
    """
    joined = rows[key].merge(lines, on=key, how="left").set_axis(rows.index)
    return joined.fillna(dict(missing)) if missing else joined
