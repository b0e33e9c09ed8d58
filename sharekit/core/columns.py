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
_EQUALITY: Final = ("eq", "ne")
#: Rows, labels or cells that a message names one by one.
NAMED: Final = 3
#: Whether a shallow copy is one of its own, whatever options say.
_COPIES_ON_WRITE: Final = int(pd.__version__.partition(".")[0]) > 2


@dataclass(frozen=True, eq=False)
class EncodedColumn:
    """A dictionary-encoded column of text.

    Attributes
    ----------
    codes : ndarray of integers
        For each row the position of its value in ``categories``.
    categories : Series of str
        The distinct values.

    Examples
    --------
    >>> column = EncodedColumn.encode(pd.Series(["b", "a", "b"], dtype="str"))
    >>> column.codes.tolist(), column.categories.tolist()
    ([0, 1, 0], ['b', 'a'])
    >>> EncodedColumn.encode(column.to_series()).categories.tolist()
    ['b', 'a']
    """

    codes: NDArray[np.integer]
    categories: pd.Series
    _matches: dict[str, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def encode(cls, values: pd.Series) -> EncodedColumn:
        """Encode a column, which costs nothing where its texts are numbered already."""
        known = values.array.column if isinstance(values.array, NumberedTexts) else None
        return known or cls.of(numbered(pa.array(values)))

    @classmethod
    def of(cls, values: pa.DictionaryArray) -> EncodedColumn:
        """Return a column of :func:`numbered` texts."""
        return cls(np.asarray(values.indices), pd.Series(pd.array(values.dictionary, dtype=STR)))

    def recode(self, categories: pd.Series) -> EncodedColumn:
        """Replace the distinct values, some of them by the same."""
        again = EncodedColumn.encode(categories)
        return EncodedColumn(again.codes[self.codes], again.categories)

    def to_series(self, index: pd.Index | None = None) -> pd.Series:
        """Return the texts as a column of a frame, which stay numbered."""
        texts = as_arrow(self.categories).combine_chunks()
        held = pa.DictionaryArray.from_arrays(pa.array(self.codes, pa.int32()), texts)
        return pd.Series(NumberedTexts.of(held), index, copy=False)

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


def numbered(texts: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Return each distinct text of a column once, and its number for each row; nulls are ``""``.

    >>> numbered(pa.chunked_array([["b", "a"], ["b", None]])).indices.to_pylist()
    [0, 1, 0, 2]
    """
    chunked = texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts])
    if not pa.types.is_dictionary(chunked.type):
        chunks = chunked.dictionary_encode().chunks  # of one dictionary
    else:
        chunks = [
            pa.DictionaryArray.from_arrays(chunk.indices.cast(pa.int32()), chunk.dictionary)
            for chunk in chunked.chunks
        ]
        if len(chunks) > 1:
            chunks = pa.chunked_array(chunks).unify_dictionaries().chunks
    empty = pa.array([], pa.large_string())
    indices = pa.concat_arrays([chunk.indices for chunk in chunks] or [pa.array([], pa.int32())])
    # What is not used is left out: nobody may take it for a text of the column.
    distinct = chunks[0].dictionary.cast(pa.large_string()) if chunks else empty
    encoded = distinct.dictionary_encode()
    if len(encoded.dictionary) < len(distinct):
        indices, distinct = encoded.indices.take(indices), encoded.dictionary
    if indices.null_count:
        distinct = pa.concat_arrays([distinct, pa.array([""], pa.large_string())])
        blank = pc.index(distinct, "").as_py()
        indices = indices.fill_null(pa.scalar(blank, pa.int32()))
    used = np.zeros(len(distinct), bool)
    used[np.asarray(indices)] = True
    if not used.all():
        numbers = (np.cumsum(used) - 1).astype(np.int32)
        indices, distinct = pa.array(numbers[np.asarray(indices)]), distinct.filter(pa.array(used))
    return pa.DictionaryArray.from_arrays(indices, distinct)


def numbered_constant(text: str, rows: int) -> pa.DictionaryArray:
    """Return the same text for each of so many rows, as :func:`numbered`.

    >>> numbered_constant("a", 2).to_pylist()
    ['a', 'a']
    """
    return pa.DictionaryArray.from_arrays(
        np.zeros(rows, np.int32), pa.array([text][:rows], pa.large_string())
    )


class NumberedTexts(STR.construct_array_type()):  # type: ignore[misc]
    """A column of text as pandas has it, which holds each distinct text once, and their numbers.

    Nothing tells it from any other column of text. Where pandas does more with it than is defined
    here, its texts are written out for that, and kept by nobody. What is written into it makes it
    a column that holds each row's text, and so does a selection of fewer rows than distinct texts.
    """

    _held: pa.ChunkedArray
    _cache: dict[str, Any]

    @classmethod
    def of(cls, values: pa.DictionaryArray) -> NumberedTexts:
        """Return a column of :func:`numbered` texts."""
        return cls._holding(pa.chunked_array([values]))

    @classmethod
    def _holding(cls, held: pa.ChunkedArray) -> NumberedTexts:
        if pa.types.is_dictionary(held.type):
            held = held if held.num_chunks == 1 else pa.chunked_array([held.combine_chunks()])
            if len(held) < len(held.chunk(0).dictionary):
                held = held.cast(pa.large_string())
        made = cls.__new__(cls)
        made._dtype, made._pa_array = STR, held
        return made

    @property
    def column(self) -> EncodedColumn | None:
        """The numbers and the distinct texts; None where each row's text is held."""
        if "column" not in self._cache and pa.types.is_dictionary(self._held.type):
            self._cache["column"] = EncodedColumn.of(self._held.chunk(0))
        known: EncodedColumn | None = self._cache.get("column")
        return known

    @property
    def numbered(self) -> pa.ChunkedArray | None:
        """The same as Arrow holds it; None where each row's text is held."""
        return self._held if pa.types.is_dictionary(self._held.type) else None

    @property
    def _pa_array(self) -> pa.ChunkedArray:
        return self._held.cast(pa.large_string())

    @_pa_array.setter
    def _pa_array(self, values: pa.ChunkedArray) -> None:
        self._held, self._cache = values, {}

    def __len__(self) -> int:
        return len(self._held)

    def __reduce__(self) -> tuple[object, ...]:
        return pd.array, (self._pa_array, STR)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, slice):
            return self._holding(self._held[item])
        item = pd.api.indexers.check_array_indexer(self, item)
        if isinstance(item, np.ndarray):
            return self.take(np.flatnonzero(item) if item.dtype == bool else item)
        if pd.api.types.is_integer(item):
            text = self._held[int(item)].as_py()
            return self._dtype.na_value if text is None else text
        return super().__getitem__(item)

    def take(self, indices: Any, *args: Any, **options: Any) -> Any:
        """Return the texts at some positions."""
        positions = np.asarray(indices, np.int64)
        if positions.min(initial=0) >= 0 and positions.max(initial=-1) < len(self):
            return self._holding(self._held.take(pa.array(positions)))
        return super().take(indices, *args, **options)

    def copy(self) -> NumberedTexts:
        """Return a column that is written to apart from this one."""
        made = self._holding(self._held)
        made._cache = self._cache
        return made

    def view(self, dtype: Any = None) -> Any:
        """Return the same texts."""
        return self.copy() if dtype is None else super().view(dtype)

    def isna(self) -> NDArray[np.bool_]:
        """Return where a text is missing: nowhere while they are numbered."""
        return np.zeros(len(self), bool) if self.column else super().isna()

    def isin(self, values: Any) -> NDArray[np.bool_]:
        """Return which of the texts are among others."""
        return self.column.isin(values) if self.column else super().isin(values)

    def factorize(self, *args: Any, **options: Any) -> Any:
        """Return numbers of the texts, in the order in which they come, and the texts."""
        if self.column is None:
            return super().factorize(*args, **options)
        codes, used = pd.factorize(self.column.codes)
        return codes, self.column.categories.array.take(used)

    def to_numpy(self, dtype: Any = None, *args: Any, **options: Any) -> Any:
        """Return the texts as objects of Python, one for each distinct text."""
        if self.column is None or dtype not in (None, object):
            return super().to_numpy(dtype, *args, **options)
        return self.column.categories.to_numpy(object)[self.column.codes]

    def _cmp_method(self, other: Any, op: Callable[[Any, Any], Any]) -> Any:
        own, theirs = self.column, other.column if isinstance(other, NumberedTexts) else None
        if own is None or not (isinstance(other, str) or (theirs and op.__name__ in _EQUALITY)):
            return super()._cmp_method(other, op)
        if theirs is None:
            return np.asarray(op(own.categories.array, other), bool)[own.codes]
        numbers = pc.index_in(as_arrow(own.categories), value_set=as_arrow(theirs.categories))
        return op(np.asarray(numbers.fill_null(-1))[own.codes], theirs.codes)


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
        vars(instance)[self._name] = own_copy(frame)


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


def replace_where(values: pd.Series, mask: NDArray[np.bool_], replacements: pd.Series) -> pd.Series:
    """Return a column of text with others where a mask is True; pandas' setting is slower.

    >>> names = pd.Series(["b", "a", "b"])
    >>> replace_where(names, np.array([True, False, True]), pd.Series(["c", "d"])).tolist()
    ['c', 'a', 'd']
    """
    new = as_arrow(replacements).combine_chunks()
    made = pc.replace_with_mask(as_arrow(values), pa.array(mask), new)
    return pd.Series(pd.array(made, dtype=STR), index=values.index)


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
    codes = np.full(len(masks[0]), len(masks), np.int32)
    for code, mask in reversed(list(enumerate(masks))):
        codes[mask] = code
    names = pa.array([*cases, default], pa.large_string())
    return NumberedTexts.of(pa.DictionaryArray.from_arrays(codes, names))


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
