"""Which rows a call means: keys, or a True or False for each row, and nothing else.

A wrong guess here would decide on other rows than the person meant, so whatever can be read in two
ways is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.columns import NAMED, list_some, with_unit
from sharekit.core.errors import UsageError
from sharekit.core.fields import INPUT_PREFIX

#: Which rows a call means: their keys or labels, True or False for each row, or a frame of them.
Rows = (
    Iterable[int] | list[str] | Iterable[Mapping[str, object]] | pd.Series | pd.Index | pd.DataFrame
)
#: Keys of rows, ascending, each once.
RowKeys = NDArray[np.int64]

_HOW: Final = (
    "name rows by their keys, which are whole numbers and the index of the plan's rows, or by a "
    "True or False for each row"
)
#: How rows are named so that nothing else can be meant.
_NAME_ROWS: Final = "use review.rows, review.plan.rows or review.to_frame() with their own index"
_NAME_LABELS: Final = "use review.to_frame() with its own index"
_COUNTS: Final = (
    f"may only count its own lines, so it does not say which rows it means: {_NAME_ROWS}"
)
#: Name of the labels of an input whose own index is called ``row_key``, too.
INPUT_KEY: Final = f"{INPUT_PREFIX}row_key"


class RowCount(int):
    """The number of rows that a step is about, which shows itself with what became of them.

    ``notes`` are sentences on what a person wrote and that was not read.

    >>> RowCount(3, "reject"), RowCount(3, "reject") == 3
    (<3 rows: reject>, True)
    """

    what: str
    notes: tuple[str, ...]

    def __new__(cls, number: int, what: str, notes: Iterable[str] = ()) -> RowCount:
        """Count rows, and say in a word or two what became of them."""
        made = super().__new__(cls, number)
        made.what, made.notes = what, tuple(notes)
        return made

    def __repr__(self) -> str:
        counted = f"{with_unit(self, 'row')}: {self.what}"
        return f"<{' '.join([counted, *self.notes])}>"

    __str__ = int.__repr__


def select_keys(rows: object, count: int) -> RowKeys:
    """Return the keys of the rows that a caller means, of a plan with ``count`` rows.

    Raises
    ------
    UsageError
        They are neither keys nor a mask, a mask has another length, there is no such row, or a row
        is named twice.

    Examples
    --------
    >>> select_keys([2, 0], 3).tolist()
    [0, 2]
    >>> mask = pd.Series([False, True], index=pd.Index([0, 2], name="row_key"))
    >>> select_keys(mask, 3).tolist()
    [2]
    """
    given = _keys_of_series(rows, count) if isinstance(rows, pd.Series) else rows
    if isinstance(rows, pd.Index) and len(rows) and rows.name != "row_key":
        raise UsageError(f"This Index {_COUNTS}.")
    if isinstance(given, str):
        raise UsageError(f"A text names no rows: name labels in a list, such as [{given!r:.60}].")
    if isinstance(given, (bytes, Mapping, pd.DataFrame, pd.MultiIndex)):
        raise UsageError(f"A {type(given).__name__} names no rows: {_HOW}.")
    values = _as_array(given)
    kind = pd.api.types.infer_dtype(values, skipna=False) if len(values) else "integer"
    if kind == "boolean":
        if len(values) != count:
            raise UsageError(
                f"A mask needs True or False for each of the {count:,} rows, and this one has "
                f"{len(values):,}: make it from the plan's rows."
            )
        return np.flatnonzero(values.astype(bool))
    if kind != "integer":
        raise UsageError(f"Rows cannot be named by {_described(kind)}: {_HOW}.")
    return _validated(values, count)


def names_rows(index: pd.Index, labels: pd.Index | None) -> bool:
    """Return True if an index holds labels of the DataFrame read, and does not count other lines.

    A frame that was sorted, filtered and numbered anew has numbers without a name, which would mean
    other rows. So numbers need the name of the labels; only labels that nobody counts go without.

    >>> labels = pd.Index([7, 0], name="ticket")
    >>> names_rows(labels[1:], labels), names_rows(pd.RangeIndex(1), labels)
    (True, False)
    """
    if labels is None:
        return False
    counts = pd.api.types.is_numeric_dtype(index)
    return bool(index.name == labels.name or (index.name is None and not counts))


def keys_of_labels(rows: object, labels: pd.Index | None) -> object:
    """Return rows by their keys where a caller names them by labels of the DataFrame read.

    What is named ``row_key`` is a key already, and a mask without an index means all rows in order;
    both stay as they are, and so does what does not say that it holds labels. A list of numbers
    says neither, so it is refused where a number is the label of one row and the key of another.

    Raises
    ------
    UsageError
        No row has such a label, or a number may be a label or a key.

    Examples
    --------
    >>> keys_of_labels(["b"], pd.Index(["a", "b"])).tolist()
    [1]
    >>> keys_of_labels(pd.Series([True], index=["b"]), pd.Index(["a", "b"])).to_dict()
    {1: True}
    """
    if labels is None:
        return rows
    keyed = "row_key" in _names(rows)
    if keyed and labels.name == INPUT_KEY and isinstance(rows, pd.Series):
        raise UsageError(f"row_key is the index of your DataFrame, too: {_NAME_LABELS}.")
    if not isinstance(rows, pd.Series | pd.Index) or (keyed and labels.name == INPUT_KEY):
        _refuse_ambiguous(rows, labels)
    if keyed or isinstance(rows, str | bytes | Mapping | pd.DataFrame | pd.MultiIndex):
        return rows
    values = rows if isinstance(rows, pd.Series) else pd.Series(_as_array(rows), dtype="object")
    kind = pd.api.types.infer_dtype(values, skipna=True)
    # 1.0 and True equal the label 1, but nobody means it by them.
    odd = kind.startswith(("mixed", "floating")) and kind != labels.inferred_type
    if odd or (values.dtype == object and not values.map(pd.api.types.is_hashable).all()):
        return rows  # no label, and refused as a key
    if kind == "boolean":
        if not isinstance(rows, pd.Series) or not names_rows(rows.index, labels):
            return rows
        return rows.set_axis(pd.Index(_positions(rows.index, labels), name="row_key"))
    of_input = True
    if isinstance(rows, pd.Index):
        of_input = names_rows(rows, labels)
    elif isinstance(rows, pd.Series):
        of_input = rows.name == labels.name or _is_plain(rows)
    # A column or an index of another table stays as it is, and is refused as keys.
    return _positions(pd.Index(values), labels) if of_input and len(values) else rows


def _names(rows: object) -> list[object]:
    """Return the names of a Series and of its index, or of an Index."""
    if isinstance(rows, pd.Series):
        return [rows.name, rows.index.name]
    return [rows.name] if isinstance(rows, pd.Index) else []


def _refuse_ambiguous(rows: object, labels: pd.Index) -> None:
    """Refuse numbers of which one is the label of a row and the key of another row."""
    no_rows = isinstance(rows, str | bytes | Mapping | pd.DataFrame)
    counts = pd.api.types.is_numeric_dtype(labels.dtype) or labels.inferred_type == "decimal"
    if no_rows or not counts:
        return
    values = pd.Series(_as_array(rows), dtype="object")
    if not pd.api.types.is_list_like(values) or pd.api.types.infer_dtype(values) not in (
        "integer", "floating", "mixed-integer-float",
    ):  # fmt: skip
        return
    keys = np.arange(len(labels))
    of_other_rows = labels[np.asarray(labels != keys)]
    if (values.isin(keys) & values.isin(of_other_rows)).any():
        raise UsageError(
            "A number here may be the label of one row and the key of another. Name rows by an "
            "Index: review.rows.index[…] holds keys, and the index of review.to_frame() labels."
        )


def _positions(named: pd.Index, labels: pd.Index) -> RowKeys:
    if not labels.is_unique:
        raise UsageError(f"Several rows have the same index label: {_HOW}.")
    keys = labels.get_indexer(named)
    if (keys < 0).any():
        unknown = named[keys < 0]
        shown = list_some([*map(repr, unknown[:NAMED].tolist())], len(unknown))
        raise UsageError(
            f"No row of the DataFrame that was read has the index label {shown}. Keys of rows are "
            "an Index named row_key."
        )
    return np.asarray(keys, dtype=np.int64)


def _as_array(rows: Any) -> NDArray[Any]:
    try:
        values = rows if hasattr(rows, "dtype") else list(rows)
    except TypeError:
        raise UsageError(f"{rows!r:.40} names no rows: {_HOW}.") from None
    if not hasattr(values, "dtype"):
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    if getattr(values, "ndim", 1) != 1:
        raise UsageError(f"A table or a single value names no rows: {_HOW}.")
    # An array with missing values becomes one of objects, and is refused as a mixture.
    return np.asarray(values, dtype=None if isinstance(values, np.ndarray | pd.Index) else object)


def _validated(values: NDArray[Any], count: int) -> RowKeys:
    unknown = [key for key in values if not 0 <= key < count] if values.dtype == object else (
        values[(values < 0) | (values >= count)].tolist()
    )  # fmt: skip
    if unknown:
        raise UsageError(
            f"There is no row with key {list_some(unknown)}: the keys of this plan are 0 to "
            f"{count - 1:,}."
        )
    keys, counts = np.unique(values.astype(np.int64), return_counts=True)
    if len(keys) < len(values):
        raise UsageError(
            f"The key {keys[counts > 1][0]} is named twice, as in a mask of 0 and 1: "
            "name each row once, or pass a mask of True and False."
        )
    return keys


def _is_plain(rows: pd.Series) -> bool:
    """Return True for a Series that is a list: without names, and with values beside its count."""
    counted = rows.index.name is None and rows.index.equals(pd.RangeIndex(len(rows)))
    return rows.name is None and counted and not np.array_equal(rows.to_numpy(), rows.index)


def _keys_of_series(rows: pd.Series, count: int) -> object:
    """Return the index of a mask's true rows, or the keys that a Series lists."""
    index, unnamed = rows.index, rows.index.name != "row_key"
    if pd.api.types.infer_dtype(rows, skipna=False) == "boolean":
        if len(rows) and unnamed:
            raise UsageError(
                f"The index of this mask {_COUNTS}; or pass its .to_numpy(), if it has a line for "
                "each row in the plan's order."
            )
        if rows.isna().any():
            raise UsageError("A mask needs True or False for each row, and this one has gaps.")
        if index.duplicated().any():
            raise UsageError("A mask names some row twice: make it from the plan's rows.")
        keys = index[rows.to_numpy(dtype=bool)]
        select_keys(index, count)  # a mask of other keys is of another table
        return keys
    # A column of another table, such as the numbers of a sheet's rows, is no list of keys.
    same = not unnamed and np.array_equal(rows.to_numpy(), index.to_numpy())
    if not (rows.name == "row_key" or _is_plain(rows) or same):
        raise UsageError(
            f"The Series {rows.name!r} may mean its values or its index: pass its .index, whose "
            "values are the keys."
        )
    return rows.array


def _described(kind: str) -> str:
    names = {"string": "texts", "floating": "numbers with a decimal point", "mixed": "a mixture"}
    if kind.startswith("mixed-integer"):
        return "a mixture of numbers and other values"
    return names.get(kind, f"values of the kind {kind}")
