"""DataFrames as bytes and back, for the ledger: Parquet, compressed, every column kept exactly."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

#: Rows that become Python objects at one time.
_LINES = 50_000
#: Key in the file's metadata: all columns in order, and which of them stand for another.
_SAME: Final = b"sharekit.columns"
MEDIA_TYPE = "application/vnd.apache.parquet"


@contextlib.contextmanager
def steady_memory() -> Iterator[None]:
    """Let pyarrow take memory from the system's allocator while this lasts.

    Its own one asks for huge pages, which for short-lived columns of a million texts costs the
    kernel up to a fifth of all CPU time.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def to_bytes(frame: pd.DataFrame) -> bytes:
    """Return the frame, with its index if that has a name, as one Parquet file.

    A column that equals an earlier one is kept once; the file's metadata says which they are.

    >>> from_bytes(to_bytes(pd.DataFrame({"a": ["x", ""]})))["a"].tolist()
    ['x', '']
    """
    table = pa.Table.from_pandas(frame, preserve_index=frame.index.name is not None)
    same = _repeated(table)
    table = table.drop_columns(list(same)).replace_schema_metadata(
        {**table.schema.metadata, _SAME: json.dumps([table.column_names, same])}
    )
    sink = io.BytesIO()
    # Most columns are IDs, nearly all different: dictionaries would only cost time and room.
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    return sink.getvalue()


def _repeated(table: pa.Table) -> dict[str, str]:
    """Name the columns that equal an earlier one, as an ID's original column does its field."""
    same: dict[str, str] = {}
    kept: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        twin = next((k for k in kept if column.equals(table.column(k))), None)
        if twin is None:
            kept.append(name)
        else:
            same[name] = twin
    return same


def lines(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yield rows as tuples of plain values, missing ones as None; few of them at a time in memory.

    >>> list(lines(pd.DataFrame({"a": ["x", None], "b": [1, 2]}), ["b", "a"]))
    [(1, 'x'), (2, None)]
    """
    table = pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
    for batch in table.to_batches(max_chunksize=_LINES):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def from_bytes(content: bytes) -> pd.DataFrame:
    """Return the frame that :func:`to_bytes` stored."""
    table = pq.read_table(io.BytesIO(content))
    names, same = json.loads(table.schema.metadata[_SAME])
    columns = [table.column(same.get(name, name)) for name in names]
    whole = pa.table(dict(zip(names, columns, strict=True))) if names else table
    frame: pd.DataFrame = whole.replace_schema_metadata(table.schema.metadata).to_pandas()
    return frame
