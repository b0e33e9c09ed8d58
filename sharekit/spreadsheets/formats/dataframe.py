r"""DataFrames, Arrow tables and lists of records, read as one sheet each: no file, but a name.

In place of a file's bytes stands the frame's text: the csv that pandas writes of it with
``frame.to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")`` when every value is the
text of :mod:`.columns`. Frames with equal texts so have equal hashes, whatever their dtypes.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from sharekit.core.columns import STR
from sharekit.core.errors import UsageError
from sharekit.spreadsheets.headers import match, unique_names
from sharekit.spreadsheets.input import Limits

from .columns import (
    NESTED,
    Column,
    arrow_column,
    object_column,
    record_columns,
    sheet_of,
    value_text,
)
from .dtypes import MAX_CATEGORIES, dtype_name
from .per_text import written_out
from .raw_sheet import TEXT, Content, RawSheet

#: What users call a value of such a type, and what to give instead.
_INSTEAD: Final = {
    "Series": "one column only; give the DataFrame that it is from, or read_inventory(series."
    "to_frame())",
    "Index": "no DataFrame; give read_inventory(index.to_frame(index=False))",
    "MultiIndex": "no DataFrame; give read_inventory(index.to_frame(index=False))",
    "Styler": "what displays a DataFrame; give that one: read_inventory(styler.data)",
    "DataFrameGroupBy": "a DataFrame in groups; give the whole one: read_inventory(grouped.obj)",
    "SeriesGroupBy": "a column in groups; give the whole DataFrame: read_inventory(df)",
    "LazyFrame": "not read yet; give read_inventory(lazy.collect())",
    "recarray": "an array; give read_inventory(pandas.DataFrame(array))",
    "ndarray": "an array without headers; give read_inventory(pandas.DataFrame(array, columns="
    '["image_id", "project_id", "status"]))',
    "ExcelFile": "an open workbook; give its path: read_inventory(path)",
    "Inventory": "an inventory already; give it to sharekit.check",
    "NoneType": "nothing to read; give a path, a DataFrame or a list of records",
}
#: Methods by which others' frames become pandas'.
_CONVERSIONS: Final = ("to_pandas", "toPandas", "compute")


@runtime_checkable
class ArrowStream(Protocol):
    """A table that any library can read: of Arrow, polars, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


Frame = pd.DataFrame | ArrowStream | Sequence[Mapping[str, object]]


def read_frame(data: object, name: str, limits: Limits | None = None) -> tuple[Content, RawSheet]:
    """Read a DataFrame, an Arrow table or a list of records as one sheet.

    Raises
    ------
    UsageError
        It is none of them, or its rows or columns have no names of their own.
    """
    if isinstance(data, pd.DataFrame):
        form, columns, labels = "dataframe", _pandas_columns(data, name), _labels(data, name)
    elif isinstance(data, pd.Series | pd.Index):
        raise not_readable(data)
    elif isinstance(data, ArrowStream):
        form, columns = "table", _table_columns(data, name)
        labels = pd.RangeIndex(len(columns[0].texts) if columns else 0)
    else:
        records = _records(data, name)
        (limits or Limits()).check_dimensions(
            name, "", len(records) + 1, len(set(itertools.chain.from_iterable(records))),
            sum(map(len, records)),
        )  # fmt: skip
        columns = [
            replace(column, dtype=dtype_name(pd.Series(column.values)))
            for column in record_columns(records)
        ]
        form, labels = "records", pd.RangeIndex(len(records))
    _check_names([column.name for column in columns], name)
    return _content(name, columns), sheet_of(form, columns, labels)


def not_readable(data: object) -> UsageError:
    """Return the error for a value that is no inventory, with the nearest right call.

    >>> print(not_readable({"images": [{"id": "9afb…"}], "next": ""}))
    A dict is no list of records; give the list in it: read_inventory(data['images']).
    """
    kind = type(data).__name__
    what = f"A{'n' if kind[0] in 'aeiouAEIOU' else ''} {kind} is"
    if isinstance(data, Mapping):
        return UsageError(f"{what} no list of records; give {_call_for_mapping(data)}.")
    for known in type(data).__mro__:
        if known.__name__ in _INSTEAD:
            return UsageError(f"{what} {_INSTEAD[known.__name__]}.")
    for method in _CONVERSIONS:
        if hasattr(data, method):
            return UsageError(f"{what} no DataFrame of pandas; give read_inventory(x.{method}()).")
    return UsageError(
        f"{what} no inventory; give a path, a file object, a DataFrame or a list of records."
    )


def _call_for_mapping(data: Mapping[Any, object]) -> str:
    held = [(key, value) for key, value in data.items() if isinstance(value, list)]
    for key, value in held:
        if value and isinstance(value[0], Mapping):
            return f"the list in it: read_inventory(data[{key!r}])"
    columns = data and all(isinstance(value, NESTED) for value in data.values())
    return "read_inventory(pandas.DataFrame(data))" if columns else "read_inventory([data])"


# -- pandas ------------------------------------------------------------------------------------
def _pandas_columns(frame: pd.DataFrame, name: str) -> list[Column]:
    if isinstance(frame.columns, pd.MultiIndex):
        raise UsageError(
            f"The columns of {name} have {frame.columns.nlevels} levels (MultiIndex); join their "
            'names first: df.columns = df.columns.map(lambda names: " ".join(map(str, names))).'
        )
    _check_names([value_text(header) for header in frame.columns], name)
    return [_pandas_column(value_text(header), frame[header]) for header in frame.columns]


def _pandas_column(name: str, values: pd.Series) -> Column:
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = _pandas_column(name, pd.Series(values.cat.categories)).texts.combine_chunks()
        codes = pa.array(values.cat.codes, mask=np.asarray(values.cat.codes == -1))
        indices = codes.cast(pa.int32())
        texts = arrow_column(name, pa.DictionaryArray.from_arrays(indices, categories)).texts
        few = categories.to_pylist() if len(categories) <= MAX_CATEGORIES else ()
        return Column(name, values.array, texts, dtype=dtype_name(values), categories=few)
    return replace(_plain_column(name, values), dtype=dtype_name(values))


def _plain_column(name: str, values: pd.Series) -> Column:
    if values.dtype != object:
        try:
            held = pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            held = None  # a type that Arrow does not know, such as complex numbers
        # Periods and intervals are numbers to Arrow.
        if held is not None and not isinstance(held.type, pa.BaseExtensionType):
            return arrow_column(name, held)
    return object_column(name, values.astype(object).tolist())


def _labels(frame: pd.DataFrame, name: str) -> pd.Index:
    """Return the index, which names the rows in findings and reports."""
    index = frame.index
    if isinstance(index, pd.MultiIndex):
        raise UsageError(
            f"The index of {name} has {index.nlevels} levels (MultiIndex); make them columns: "
            "read_inventory(df.reset_index())."
        )
    headers = [value_text(header) for header in frame.columns]
    if index.name is not None and _names_a_field(str(index.name), headers):
        raise UsageError(
            f"The index of {name} is {index.name!r}, and only columns are read; make it one: "
            "read_inventory(df.reset_index())."
        )
    if isinstance(index, pd.CategoricalIndex):
        index = index.astype(index.categories.dtype)
    texts = index.astype(STR) if index.inferred_type == "string" else index
    if texts.dtype == object:
        texts = pd.Index([value_text(label) for label in index])
    anew = "give the rows new ones: read_inventory(df.reset_index(drop=True))"
    if index.hasnans:
        raise UsageError(f"The index of {name} has missing labels; {anew}.")
    twice = texts[texts.duplicated()]  # is_unique of pandas 2 is that of what this is a slice of
    if len(twice):
        raise UsageError(
            f"The index of {name} has the label {_shown(twice[0])} more than once, so it does not "
            f"tell its rows apart; {anew}."
        )
    return index


def _shown(label: object) -> str:
    return repr(label) if isinstance(label, str) else value_text(label)


def texts_of(values: pd.Series | pd.Index) -> pa.ChunkedArray:
    """Return any column, or the labels of rows, as texts; ``""`` where there is nothing."""
    texts: pa.ChunkedArray = written_out(_pandas_column("", pd.Series(values)).texts)
    return texts


def _names_a_field(label: str, headers: Sequence[str]) -> bool:
    """Return True if the name of an index stands for a field that no column has."""
    known = match(unique_names(headers), {})
    return any(field not in known for field in match(unique_names([label]), {}))


# -- Arrow and records ---------------------------------------------------------------------------
def _table_columns(data: ArrowStream, name: str) -> list[Column]:
    try:
        table = pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise not_readable(data) from error
    _check_names(table.column_names, name)
    columns = zip(table.column_names, table.columns, strict=True)
    return [arrow_column(header, values) for header, values in columns]


def _records(data: object, name: str) -> list[Mapping[object, object]]:
    if not isinstance(data, list | tuple | Iterator):
        raise not_readable(data)
    records = list(data)
    for number, record in enumerate(records):
        if isinstance(record, Mapping):
            continue
        kind = type(record).__name__
        if isinstance(record, list | tuple):
            call = 'pandas.DataFrame(rows, columns=["image_id", "project_id", "status"])'
        else:
            call = "*data"  # paths or frames
        raise UsageError(
            f"Item {number} of {name} is a {kind} and no record (a dict); give "
            f"read_inventory({call})."
        )
    return records


def _check_names(names: Sequence[str], name: str) -> None:
    twice = [header for header in dict.fromkeys(names) if names.count(header) > 1]
    if twice:
        raise UsageError(
            f"{name} has the column {twice[0]!r} twice, so it is not clear which one counts; "
            "rename or drop one: df.loc[:, ~df.columns.duplicated()] keeps the first."
        )


# -- the text of a frame ------------------------------------------------------------------------
class _Hasher(io.RawIOBase):
    """A file that keeps the digest and the length of what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sha, self.size = hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self.sha.update(view)
        self.size += view.nbytes
        return view.nbytes


def _content(name: str, columns: Sequence[Column]) -> Content:
    sink = _Hasher()
    if columns:
        schema = pa.schema([(column.name, TEXT) for column in columns])
        texts = [written_out(column.texts) for column in columns]
        table = pa.Table.from_arrays(texts, schema=schema)
        csv.write_csv(table, sink, csv.WriteOptions(quoting_style="all_valid"))
    return Content(name, sink.sha.hexdigest(), sink.size)
