"""The dtype that a column had where it came from, as a word; and values made of texts by it.

An inventory holds texts. With the word beside them, a user's own columns come back as they were,
also from a ledger, and what is hashed and checked is the texts alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

from sharekit.core.columns import STR, as_arrow

#: Beyond so many categories, those that no row has are forgotten.
MAX_CATEGORIES: Final = 1000
_CATEGORY: Final = re.compile(r"(ordered )?category of (.+)")
_OBJECTS: Final = "object of "
#: What a column of Python's objects may hold besides texts -> how to read one of them.
_READ: Final[dict[str, Callable[[str], object]]] = {
    "boolean": {"True": True, "False": False}.__getitem__, "integer": int, "floating": float,
    "decimal": Decimal, "date": dt.date.fromisoformat, "datetime": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat, "UUID": UUID,
}  # fmt: skip
#: pandas' dtypes of times and numbers that are called otherwise in Arrow.
_TIMES: Final = re.compile(
    r"(?:datetime64|timestamp)\[(\w+)(?:, (?:tz=|UTC(?=[+-]))?([\w/+:-]+))?\]"
)
_DECIMALS: Final = re.compile(r"decimal128\((\d+), (-?\d+)\)")
_ARROW: Final = "[pyarrow]"
_TEXTS: Final = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null,
)  # fmt: skip


def dtype_name(values: pd.Series) -> str:
    """Return the dtype of a column by its name, and for objects what they are.

    >>> dtype_name(pd.Series([1, 2])), dtype_name(pd.Series(["a"], dtype="category"))[:11]
    ('int64', 'category of')
    >>> dtype_name(pd.Series([dt.date(2026, 7, 1), None], dtype="object"))
    'object of date'
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        order = "ordered " if dtype.ordered else ""
        return f"{order}category of {dtype_name(pd.Series(dtype.categories))}"
    if not pd.api.types.is_object_dtype(dtype):
        return str(dtype)
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "mixed" and values.dropna().map(lambda value: isinstance(value, UUID)).all():
        kind = "UUID"
    return f"{_OBJECTS}{kind}" if kind in _READ else "object"


def arrow_dtype_name(kind: pa.DataType) -> str:
    """Return the name of the dtype that pandas has for values of Arrow.

    >>> arrow_dtype_name(pa.float64()), arrow_dtype_name(pa.timestamp("us", "UTC"))
    ('float64', 'datetime64[us, UTC]')
    >>> arrow_dtype_name(pa.date32())
    'date32[day][pyarrow]'
    """
    if pa.types.is_dictionary(kind):
        order = "ordered " if kind.ordered else ""
        return f"{order}category of {arrow_dtype_name(kind.value_type)}"
    if any(test(kind) for test in _TEXTS):
        return "str"
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        name = str(kind).replace("timestamp", "datetime64").replace("duration", "timedelta64")
        return name.replace("tz=", "")
    if pa.types.is_primitive(kind) and not pa.types.is_temporal(kind):
        return str(np.dtype(kind.to_pandas_dtype()))
    return f"{kind}{_ARROW}"


def restore(texts: pd.Series, name: str, categories: Sequence[str] = ()) -> pd.Series:
    """Return the values that texts stand for by the name of their dtype; texts if they are none.

    Whole numbers and truth values of which some are missing get the nullable dtype.

    >>> restore(pd.Series(["7", None], dtype=STR), "int64").tolist()
    [7, <NA>]
    >>> restore(pd.Series(["x"], dtype=STR), "int64").tolist()
    ['x']
    """
    try:
        values = _values(texts, name, categories)
    except (ArithmeticError, KeyError, TypeError, ValueError, pa.ArrowException):
        return texts  # a dtype without such a road back, or a ledger that was changed by hand
    dtype = values.dtype  # which is said, because of texts pandas makes one of its own
    made: pd.Series = pd.Series(values, texts.index, dtype, texts.name, copy=False)
    return made


def _values(texts: pd.Series, name: str, categories: Sequence[str]) -> Any:
    if name in ("", "str", "string", "object"):
        dtype: Any = name or STR
        return texts.astype(STR if name == "str" else dtype).array
    if name.startswith(_OBJECTS):
        return _objects(texts, _READ[name.removeprefix(_OBJECTS)])
    if found := _CATEGORY.fullmatch(name):
        return _categorical(texts, found[2], categories, ordered=bool(found[1]))
    kind, _, of = name.removesuffix("]").partition("[")
    if kind == "period":
        return pd.PeriodIndex(texts.astype(object), freq=of).array
    unit: Any = of
    if kind == "timedelta64":
        return pd.to_timedelta(texts.astype(object)).dt.as_unit(unit).array
    return _of_arrow(as_arrow(texts), name)


def _objects(texts: pd.Series, read: Callable[[str], object]) -> Any:
    made = np.empty(len(texts), dtype=object)
    given = texts.notna().to_numpy()
    made[given] = [read(text) for text in texts[given]]
    return made


def _of_arrow(texts: pa.ChunkedArray, name: str) -> Any:
    of_arrow, plain = name.endswith(_ARROW), name.removesuffix(_ARROW)
    nullable = plain[:1] in "IUF" or plain == "boolean"
    values = _cast(texts, _arrow_type(plain.lower() if nullable else plain))
    if of_arrow:
        return pd.arrays.ArrowExtensionArray(values)
    counted = pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)
    if counted and values.null_count and not nullable:
        nullable = True
        name = "boolean" if name == "bool" else name.replace("int", "Int").replace("uI", "UI")
    if nullable:
        dtype: Any = pd.api.types.pandas_dtype(name)
        return dtype.__from_arrow__(values)
    return values.to_pandas().array


def _arrow_type(name: str) -> pa.DataType:
    if found := _TIMES.fullmatch(name):
        return pa.timestamp(found[1], found[2])  # of pandas' UTC+02:00, Arrow knows the offset
    if found := _DECIMALS.fullmatch(name):
        return pa.decimal128(int(found[1]), int(found[2]))
    kind = pa.type_for_alias(name)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise ValueError(name)  # their texts are no way back
    return kind


def _cast(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(kind):
        try:  # the unit says how many digits Arrow reads, and pandas writes more of them
            return texts.cast(pa.timestamp("us", kind.tz)).cast(kind)
        except pa.ArrowInvalid:
            return texts.cast(pa.timestamp("ns", kind.tz)).cast(kind)
    if pa.types.is_duration(kind):
        return pa.chunked_array([pa.array(pd.to_timedelta(texts.to_pandas()), kind)])
    if pa.types.is_time(kind):
        times = [None if t is None else dt.time.fromisoformat(t) for t in texts.to_pylist()]
        return pa.chunked_array([pa.array(times, kind)])
    return texts.cast(kind)


def _categorical(
    texts: pd.Series, of: str, known: Sequence[str], *, ordered: bool
) -> pd.Categorical:
    names = pd.Index([*known] or sorted(texts.dropna().unique()), dtype=STR)
    codes = names.get_indexer(pd.Index(texts))
    if ((codes < 0) & texts.notna().to_numpy()).any():
        raise ValueError(of)  # a text that is none of the categories
    categories = restore(pd.Series(names), of)
    index = pd.Index(categories, dtype=categories.dtype)
    return pd.Categorical.from_codes(codes, categories=index, ordered=ordered)
