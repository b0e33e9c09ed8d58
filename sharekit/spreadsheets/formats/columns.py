"""Columns of values of any type as a sheet: every value becomes the text that a person would type.

Nothing (None, NaN, NaT, NA) becomes a blank. The values themselves stay at hand, because a number
or a date where an ID belongs is an error, whatever its text looks like.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import numbers
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.columns import numbered

from .dtypes import arrow_dtype_name
from .per_text import is_numbered
from .raw_sheet import TEXT, RawSheet, take, text_column

#: Values that hold others. A cell holds one value, so none of them can be an ID or a decision.
NESTED: Final = (Mapping, list, tuple, set, frozenset, np.ndarray)
#: Whole numbers up to this are exact in a float.
_EXACT: Final = 1 << 53
#: Bits of a number that Python writes in decimal digits without being asked twice.
_LONGEST: Final = 10_000


class Number(str):
    """A number as it was written, with every digit."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class Column:
    """A column: its name, its values, and the text of each; ``nested`` if any holds several.

    ``dtype`` and ``categories`` say what it was, for :func:`.dtypes.restore`; ``""`` is not known.
    """

    name: str
    values: pa.ChunkedArray | Sequence[object]
    texts: pa.ChunkedArray
    nested: bool = False
    dtype: str = ""
    categories: Sequence[str] = ()

    def take(self, positions: NDArray[np.int64]) -> list[object]:
        """Return some of the values as Python's own."""
        if isinstance(self.values, pa.ChunkedArray):
            taken: list[object] = self.values.take(pa.array(positions)).to_pylist()
            return taken
        found = (self.values[i] for i in positions.tolist())
        return [Decimal(value) if isinstance(value, Number) else value for value in found]


def arrow_column(name: str, values: pa.Array | pa.ChunkedArray) -> Column:
    """Make a column of what Arrow holds.

    >>> arrow_column("n", pa.array([7.0, 0.5, None, float("nan")])).texts.to_pylist()
    ['7', '0.5', '', '']
    >>> arrow_column("t", pa.array([True, None])).texts.to_pylist()
    ['True', '']
    """
    chunked = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    kind = chunked.type
    nested = pa.types.is_nested(kind) and chunked.null_count < len(chunked)
    texts = _as_text(chunked)
    texts = pa.chunked_array([numbered(texts)]) if is_numbered(texts) else text_column(texts)
    plain = any(test(getattr(kind, "value_type", kind)) for test in _TEXTS)
    return Column(name, texts if plain else chunked, texts, nested, arrow_dtype_name(kind))


def object_column(name: str, values: Sequence[object]) -> Column:
    """Make a column of Python's values, which may be of several types.

    >>> object_column("id", ["9a", None, 7, float("nan"), pd.NA]).texts.to_pylist()
    ['9a', '', '7', '', '']
    """
    try:
        texts = pa.array(values, TEXT, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeError):
        nested = any(isinstance(value, NESTED) for value in values)
        return Column(name, values, pa.chunked_array([_texts_of(values)], TEXT), nested)
    return Column(name, values, text_column(texts))


def sheet_of(
    form: str, columns: Sequence[Column], labels: pd.Index | None = None
) -> RawSheet:  # fmt: skip
    """Return columns as a sheet; their names stand as if in row 1."""
    cells = tuple(_below(column.name, column.texts) for column in columns)
    others = [None if column.values is column.texts else column for column in columns]

    def typed(rows: NDArray[np.int64]) -> Iterator[tuple[object, ...]]:
        return zip(*(
            take(texts, rows).to_pylist() if column is None else column.take(rows - 1)
            for column, texts in zip(others, cells, strict=True)
        ), strict=True)  # fmt: skip

    return RawSheet(
        sheet="",
        format=form,
        cells=cells,
        typed=typed,
        labels=labels,
        nested=frozenset(i for i, column in enumerate(columns) if column.nested),
        dtypes=tuple((column.dtype, column.categories) for column in columns if column.dtype),
    )


def _below(name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray:
    below = texts.chunk(0) if is_numbered(texts) else numbered(texts)
    return pa.chunked_array([pa.array([name], TEXT).dictionary_encode(), below])


def record_columns(records: Sequence[Mapping[Any, object]]) -> list[Column]:
    """Return a column for each key of any record, in the order in which the keys come.

    >>> [column.texts.to_pylist() for column in record_columns([{"a": 1}, {"b": None}])]
    [['1', ''], ['', '']]
    """
    keys = dict.fromkeys(itertools.chain.from_iterable(records))
    return [object_column(value_text(key), _values_of(records, key)) for key in keys]


def _values_of(records: Sequence[Mapping[Any, object]], key: object) -> list[object]:
    """Return what each record has under a key, or None; quick where all are plain and have it."""
    if set(map(type, records)) == {dict}:
        with contextlib.suppress(KeyError):
            return list(map(operator.itemgetter(key), records))
    return [record.get(key) for record in records]


def value_text(value: object) -> str:
    """Return one value as text; ``""`` for nothing.

    >>> [value_text(value) for value in (None, 12.0, 1e20, True, dt.date(2026, 7, 1), {"a": 1})]
    ['', '12', '1e+20', 'True', '2026-07-01', '{"a": 1}']
    """
    if isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode("utf-8")
    elif isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
    elif isinstance(value, NESTED):
        text = _nested_text(value)
    elif isinstance(value, Decimal):
        text = "" if value.is_nan() else str(value)
    elif value is None or pd.isna(value):  # type: ignore[call-overload]  # any scalar
        text = ""
    elif isinstance(value, bool | np.bool_):
        text = str(bool(value))
    elif isinstance(value, numbers.Integral):
        text = str(int(value)) if int(value).bit_length() < _LONGEST else hex(value)
    elif isinstance(value, float | np.floating):
        text = _float_text(float(value))
    else:
        text = value.isoformat(sep=" ") if isinstance(value, dt.datetime) else str(value)
    return text


def _float_text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)


def _nested_text(value: object) -> str:
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, or a circle
        return f"({type(value).__name__})"


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(map(value_text, value))
    return dict(value) if isinstance(value, Mapping) else value_text(value)


def _texts_of(values: Sequence[object]) -> pa.Array:
    return pa.array([value_text(value) for value in values], TEXT)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts of Arrow's values; nulls stay nulls."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.chunked_array([
            pa.DictionaryArray.from_arrays(
                chunk.indices, _as_text(pa.chunked_array([chunk.dictionary])).combine_chunks()
            )
            for chunk in column.chunks
        ], pa.dictionary(kind.index_type, TEXT))  # fmt: skip
    if pa.types.is_boolean(kind):
        return pc.if_else(column, pa.scalar("True", TEXT), pa.scalar("False", TEXT))
    if pa.types.is_floating(kind):
        return _float_texts(column.cast(pa.float32()) if pa.types.is_float16(kind) else column)
    if pa.types.is_timestamp(kind):
        texts = column.to_pandas().astype(str)
        return pc.if_else(column.is_valid(), pa.array(texts, TEXT, from_pandas=True), None)
    plain = any(test(kind) for test in _WRITTEN_BY_ARROW)
    return column.cast(TEXT) if plain else pa.chunked_array([_texts_of(column.to_pylist())], TEXT)


_TEXTS: Final = (pa.types.is_string, pa.types.is_large_string)
#: Kinds of values whose texts Arrow writes as Python does.
_WRITTEN_BY_ARROW: Final = (
    *_TEXTS, pa.types.is_null, pa.types.is_integer, pa.types.is_date32,
)  # fmt: skip


def _float_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    column = pc.if_else(pc.is_nan(column), None, column)
    exact = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), float(_EXACT)))
    whole = pc.if_else(exact, column, 0).cast(pa.int64()).cast(TEXT)
    return pc.if_else(exact, whole, column.cast(TEXT))
