"""Columns: text that is encoded once for all checks, actions, first cases and look-ups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .actions import (
    ABSENT,
    DECISION_OF_ACTION,
    MEMBER,
    MEMBER_STATES,
    OWNER,
    OWNER_ACTIONS,
    SHARE,
    SKIP,
    UNSHARE,
)
from .fields import SHARE_KEY

_Class = TypeVar("_Class", bound=type)
#: The dtype of every column of text, in each version of pandas: what pandas 3 calls ``str``.
STR: Final = pd.StringDtype("pyarrow", na_value=np.nan)
#: Rows, labels or cells that a message names one by one.
NAMED: Final = 3
#: Whether a shallow copy is one of its own, whatever options say.
_COPIES_ON_WRITE: Final = int(pd.__version__.partition(".")[0]) > 2


@dataclass(frozen=True, eq=False)
class EncodedColumn:
    """A dictionary-encoded column of text.

    Attributes
    ----------
    codes : ndarray of unsigned integers, as narrow as possible
        For each row the position of its value in ``categories``.
    categories : Series of str
        The distinct values.
    source : pyarrow.Array or ChunkedArray
        The column that was encoded.

    Examples
    --------
    >>> names = pd.Series(["b", "a", "b"], dtype="str")
    >>> column = EncodedColumn.encode(names)
    >>> column.codes.tolist(), column.categories.tolist()
    ([0, 1, 0], ['b', 'a'])
    >>> EncodedColumn.encode(names.str.upper(), column) is column
    False
    """

    codes: NDArray[np.unsignedinteger]
    categories: pd.Series
    source: pa.Array | pa.ChunkedArray = field(repr=False)
    _matches: dict[str, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def encode(cls, values: pd.Series, known: EncodedColumn | None = None) -> EncodedColumn:
        """Encode a column; return ``known`` if it already encodes the same buffer."""
        source = pa.array(values)
        if known is not None and _buffer_identity(known.source) == _buffer_identity(source):
            return known
        codes, categories = pd.factorize(values)
        narrow = codes.astype(np.min_scalar_type(len(categories)))
        narrow.setflags(write=False)  # whoever holds the column cannot change what is planned
        return cls(narrow, pd.Series(categories, dtype=STR), source)

    def recode(self, categories: pd.Series, values: pd.Series) -> EncodedColumn:
        """Replace the distinct values, some of them by the same; ``values`` is the new column."""
        again = EncodedColumn.encode(categories)
        return EncodedColumn(again.codes[self.codes], again.categories, pa.array(values))

    def isin(self, texts: Collection[str]) -> NDArray[np.bool_]:
        """Return True for each row whose value is one of these.

        >>> EncodedColumn.encode(pd.Series(["b", "a", "b"], dtype="str")).isin(["b"]).tolist()
        [True, False, True]
        """
        hits: NDArray[np.bool_] = self.categories.isin(texts).to_numpy(dtype=bool)[self.codes]
        return hits

    def fullmatch(self, grammar: str) -> NDArray[np.bool_]:
        """Return True for each distinct value that matches a grammar; each is matched once."""
        if grammar not in self._matches:
            hits = pc.match_substring_regex(pa.array(self.categories), rf"\A(?:{grammar})\z")
            self._matches[grammar] = np.asarray(hits, dtype=bool)
        return self._matches[grammar]


def _buffer_identity(texts: pa.Array | pa.ChunkedArray) -> list[tuple[int, ...]]:
    """Return where texts are stored: Arrow never changes them there, so a change is elsewhere."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    return [
        (len(chunk), chunk.offset, *(b.address if b else 0 for b in chunk.buffers()))
        for chunk in chunks
    ]


class _HandedOut:
    """A frame that a frozen value holds: whoever reads it gets a copy, so edits stay outside.

    Shallow copies cost microseconds for a million rows: pandas copies a column when it is written
    to, pandas 2 where it is told to. Numbers that are written into a column's ``array`` go into all
    shallow copies, into deep ones they do not, which cost milliseconds. What is encoded or hashed
    of a column stays valid for its copies, which share its texts in any case.
    """

    def __init__(self, name: str, made: cached_property[Any] | None, *, deep: bool) -> None:
        self._name, self._made, self._deep = name, made, deep
        self.__doc__ = getattr(made, "__doc__", None)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        values = vars(instance)
        if self._name not in values and self._made is not None:
            values[self._name] = self._made.func(instance)
        if self._name not in values:
            raise AttributeError(self._name)
        return own_copy(values[self._name], deep=self._deep)

    def __set__(self, instance: Any, frame: Any) -> None:
        vars(instance)[self._name] = own_copy(frame, deep=self._deep)


def own_copy(frame: pd.DataFrame, *, deep: bool = False) -> pd.DataFrame:
    """Return a copy that can be written to without changing the frame, as cheaply as can be."""
    return frame.copy(deep=deep or (not _COPIES_ON_WRITE and not pd.options.mode.copy_on_write))


def choose(frame: pd.DataFrame, mask: pd.Series | NDArray[np.bool_]) -> pd.DataFrame:
    """Return the rows where a mask is True: their texts are copied only if it leaves some out.

    >>> choose(pd.DataFrame({"a": [1, 2]}), np.array([False, True]))["a"].tolist()
    [2]
    """
    return own_copy(frame) if np.asarray(mask, dtype=bool).all() else frame[mask]


def hands_out_copies(*names: str, deep: bool = False) -> Callable[[_Class], _Class]:
    """Return a decorator of a frozen dataclass, some of whose fields are frames.

    What a caller writes into a frame that was handed out changes the caller's copy alone; with
    ``deep`` also what is written into the arrays of its columns.

    >>> @hands_out_copies("rows")
    ... @dataclass(frozen=True)
    ... class Value:
    ...     rows: pd.DataFrame
    >>> value = Value(pd.DataFrame({"status": ["accepted"]}))
    >>> rows = value.rows
    >>> rows.loc[0, "status"] = "rejected"
    >>> value.rows.loc[0, "status"]
    'accepted'
    """

    def decorate(made: _Class) -> _Class:
        for name in names:
            setattr(made, name, _HandedOut(name, vars(made).get(name), deep=deep))
        return made

    return decorate


def needs_reason(
    decision: pd.Series, asked: pd.Series, others: pd.Series | None = None
) -> pd.Series:
    """Return True for each decision that must not be taken without a reason of its own.

    Those are every rejection, every row that is skipped, what the inventory does not ask for, and
    what turns back the decision of another person that stands (``others``, ``""`` for none).

    >>> said = pd.Series(["accept", "accept", "reject", "skip", ""])
    >>> needs_reason(said, pd.Series(["accepted", "rejected"] * 2 + ["rejected"])).tolist()
    [False, True, True, True, False]
    >>> others = pd.Series(["reject", "accept", "", "", "accept"])
    >>> needs_reason(said, pd.Series(["accepted"] * 4 + ["rejected"]), others).tolist()
    [True, False, True, True, True]
    """
    asks = asked.map(DECISION_OF_ACTION).fillna("")
    needed = (decision != "") & ((asks != decision) | decision.isin(["reject", SKIP]))
    if others is None:
        return needed
    return needed | ((others != "") & (others != decision.where(decision != "", asks)))


def has_text(values: pd.Series) -> pd.Series:
    """Return True for each text in which a person sees something; missing ones have none.

    >>> has_text(pd.Series(["why", " \u200b", None], dtype="str")).tolist()
    [True, False, False]
    """
    return contains(values, r"[^\s\p{Z}\p{C}]")


def as_arrow(values: pd.Series) -> pa.ChunkedArray:
    """Return a column of text as Arrow holds it, of one type in each version of pandas.

    >>> as_arrow(pd.Series(["9af", None])).to_pylist()
    ['9af', None]
    """
    array = pa.array(values)
    chunked = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return chunked.cast(pa.large_string())


def contains(values: pd.Series, pattern: str) -> pd.Series:
    r"""Return True for each text in which one of Arrow's expressions (RE2) is found.

    >>> contains(pd.Series(["9af", "", None]), r"\A[0-9a-f]+\z").tolist()
    [True, False, False]
    """
    hits = pc.match_substring_regex(as_arrow(values), pattern)
    return pd.Series(np.asarray(pc.fill_null(hits, fill_value=False), dtype=bool), values.index)


def replace_all(values: pd.Series, pattern: str, text: str) -> pd.Series:
    r"""Replace what one of Arrow's expressions (RE2) finds; ``\1`` is its first group.

    >>> replace_all(pd.Series(["(9af)"]), r"^\((.*)\)$", r"\1").tolist()
    ['9af']
    """
    replaced = pc.replace_substring_regex(as_arrow(values), pattern, text)
    return pd.Series(pd.array(replaced, dtype=STR), values.index)


def is_owner_action(status: pd.Series) -> pd.Series:
    """Return True for each action that is the owner's.

    >>> is_owner_action(pd.Series(["accepted", "unshare"])).tolist()
    [False, True]
    """
    return status.isin(OWNER_ACTIONS)


def with_unit(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> with_unit(1, "row"), with_unit(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_some(names: Sequence[object], count: int | None = None, limit: int = NAMED) -> str:
    """Return the first of some names, and how many others there are.

    ``count`` is the number of all, if ``names`` are not all of them.

    >>> list_some([1, 2]), list_some("abcdef"), list_some(["C2"], count=1200)
    ('1, 2', 'a, b, c and 3 more', 'C2 and 1,199 more')
    """
    shown = names[:limit]
    rest = (len(names) if count is None else count) - len(shown)
    return ", ".join(map(str, shown)) + (f" and {rest:,} more" if rest > 0 else "")


def describe_amount(status: pd.Series, number: int) -> str:
    """Format a count with its unit: "2 images" for decisions, "4 shares" for owners' actions.

    >>> describe_amount(pd.Series(["accepted"]), 2)
    '2 images'
    >>> describe_amount(pd.Series(["accepted", "share"]), 1)
    '1 share'
    """
    return with_unit(number, "share" if is_owner_action(status).any() else "image")


def roles(status: pd.Series) -> pd.Series:
    """Return the role that takes each action, ``member`` or ``owner``.

    >>> roles(pd.Series(["accepted", "unshare"])).tolist()
    ['member', 'owner']
    """
    named = pd.Series(MEMBER, index=status.index, dtype=STR)
    return named.mask(is_owner_action(status), OWNER)


def action_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what identifies the action of each row: :data:`~sharekit.core.fields.ACTION_KEY`."""
    return rows[SHARE_KEY].assign(side=roles(rows["status"]))


def acting_project(rows: pd.DataFrame) -> pd.Series:
    """Return the project that takes each row's action: the owner, or the one that decides."""
    return rows["project_id"].mask(is_owner_action(rows["status"]), rows["owner"])


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
    return pd.array([*cases, default], dtype=STR).take(codes)


def is_among(texts: pd.Series, values: pd.Series) -> pd.Series:
    """Return True for texts that are among others; pandas makes a list of those, which is slow.

    >>> is_among(pd.Series(["a", "b"], dtype=STR), pd.Series(["b"], dtype=STR)).tolist()
    [False, True]
    """
    found = pc.is_in(pa.array(texts), value_set=pa.array(values))
    return pd.Series(np.asarray(found), texts.index, dtype=bool)


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


def look_up(keys: pd.Series, texts: pd.Series) -> pd.Series:
    """Return for each key its text, by the index of the texts; ``""`` where there is none.

    >>> look_up(pd.Series(["b", "c", "b"]), pd.Series(["old"], ["b"])).tolist()
    ['old', '', 'old']
    """
    places = pc.index_in(as_arrow(keys), value_set=as_arrow(pd.Series(texts.index, dtype=STR)))
    found = pc.fill_null(as_arrow(texts).take(places), "")
    return pd.Series(pd.array(found, dtype=STR), keys.index)


def first_difference(recorded: pd.DataFrame, derived: pd.DataFrame, names: Iterable[str]) -> str:
    """Return in one phrase where two frames differ; ``""`` if they do not.

    Values are compared, with the index: what has no value has no type either.

    >>> first_difference(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}), ["a"])
    'line 1, a: 1, not 2'
    >>> first_difference(pd.DataFrame({"a": []}), pd.DataFrame({"a": []}, dtype="str"), ["a"])
    ''
    """
    if len(recorded) != len(derived):
        return f"{len(recorded):,} lines, not {len(derived):,}"
    if not recorded.index.equals(derived.index):
        return "other rows, or another order"
    for name in names:
        if name not in recorded or name not in derived:
            return f"it lacks the column {name}"
        pairs = [_comparable(frame[name]) for frame in (recorded, derived)]
        differs = np.flatnonzero((pairs[0] != pairs[1]).to_numpy(dtype=bool))
        if len(differs):
            was, is_now = (
                frame[name].iloc[differs[:1]].tolist()[0] for frame in (recorded, derived)
            )
            return f"line {differs[0] + 1:,}, {name}: {was!r:.80}, not {is_now!r:.80}"
    return ""


def _comparable(column: pd.Series) -> pd.Series:
    """Return a column with a value for those that are missing, which no other value equals."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype("Float64").fillna(np.inf if column.dtype == float else -1.5)
    return column.astype(STR).fillna("\0")
