"""DataFrames as bytes and back, for the ledger: Parquet, compressed, every column kept exactly."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sharekit.core.errors import LedgerError
from sharekit.core.shapes import Shape

#: Rows that become Python objects at one time.
_LINES = 50_000
#: Key in the file's metadata: all columns in order, and which of them stand for another.
_SAME: Final = b"sharekit.columns"
_Told = tuple[list[str], dict[str, str]]
#: The most columns, cells, and bytes once unpacked, of a frame; a million rows stay far below.
_WIDEST: Final = 20_000
_CELLS: Final = 1 << 28
_UNPACKED: Final = 6 << 30
MEDIA_TYPE = "application/vnd.apache.parquet"


def to_bytes(frame: pd.DataFrame) -> bytes:
    """Return the frame, with its index if that has a name, as one Parquet file.

    A column that equals an earlier one is kept once; the file's metadata says which they are.

    >>> from_bytes(to_bytes(pd.DataFrame({"a": ["x", ""]})), Shape({"a": "str"}))["a"].tolist()
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


def from_bytes(content: bytes, shape: Shape) -> pd.DataFrame:
    """Return the frame that :func:`to_bytes` stored, if it is of a shape.

    Raises
    ------
    LedgerError
        If it is not, or would take more memory than any honest frame.
    """
    try:
        table = _whole(content)
        return _framed(table, shape)
    except (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise LedgerError(f"The ledger is damaged: a frame in it is not as it must be ({why}).") \
            from None  # fmt: skip


def _whole(content: bytes) -> pa.Table:
    """Read a frame's columns, after a look at what it says of its size."""
    file = pq.ParquetFile(pa.BufferReader(content), memory_map=False)
    said = file.metadata
    names, same = msgspec.json.decode((said.metadata or {}).get(_SAME, b""), type=_Told)
    if len(names) > _WIDEST or len(set(names)) < len(names) or len(names) * said.num_rows > _CELLS:
        raise ValueError(f"{len(names)} columns of {said.num_rows} rows")
    groups = [said.row_group(i) for i in range(said.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    # Texts that are stored once for many rows may take any memory; we never store them so.
    if any("DICTIONARY" in code for chunk in chunks for code in chunk.encodings):
        raise ValueError("it is packed in a way that sharekit does not use")
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if not 0 <= size <= _UNPACKED or any(chunk.total_uncompressed_size < 0 for chunk in chunks):
        raise ValueError(f"it unpacks to {size} bytes")
    table = file.read()
    stored = set(table.column_names)
    columns = [same.get(name, name) for name in names]
    if missing := [name for name in columns if name not in stored]:
        raise ValueError(f"it lacks the column {missing[0]!r}")
    return pa.table([table.column(name) for name in columns], names=names) if names else table


def _framed(table: pa.Table, shape: Shape) -> pd.DataFrame:
    kinds = dict(shape.columns)
    if shape.more:
        kinds |= {
            n: "str?" if shape.gaps else "str"
            for n in table.column_names
            if n.startswith(shape.more)
        }
    if shape.key:
        kinds["row_key"] = "int"
    if missing := kinds.keys() - set(table.column_names):
        raise ValueError(f"it lacks the column {min(missing)!r}")
    kept = table.select([name for name in table.column_names if name in kinds])
    for name, column in zip(kept.column_names, kept.columns, strict=True):
        kind = kinds[name]
        if not _FITS[kind](column.type) or (column.null_count and kind not in _NULLS):
            raise ValueError(f"its column {name!r} is no {kind}")
    # Not the types that the file names: only these, and of those only what is ours.
    numbers = {name: "Int64" for name, kind in kinds.items() if kind == "Int"}
    bare = [
        (f.name, pa.large_string() if pa.types.is_null(f.type) else f.type)
        for f in kept.schema
        if f.name not in numbers
    ]
    plain = kept.drop_columns([*numbers]).cast(pa.schema(bare))
    frame: pd.DataFrame = plain.to_pandas()
    for name in numbers:
        column = kept.column(name)
        values = column.fill_null(0).to_numpy()
        frame[name] = pd.arrays.IntegerArray(values, column.is_null().to_numpy())
    frame = frame[kept.column_names] if numbers else frame
    return frame.set_index("row_key") if shape.key else frame


def _repeats(kind: pa.DataType) -> bool:
    return pa.types.is_dictionary(kind) and _is_text(kind.value_type)


def _is_text(kind: pa.DataType) -> bool:
    # A column without any value has no type of its own; where texts must be there, none is missing.
    return bool(
        pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    )


def _is_whole(kind: pa.DataType) -> bool:
    return bool(kind in (pa.int32(), pa.int64()))


_FITS: Final[dict[str, Callable[[pa.DataType], bool]]] = {
    "str": _is_text, "str?": _is_text, "category": _repeats, "int": _is_whole,
    "Int": lambda kind: bool(kind == pa.int64()), "float": pa.types.is_floating,
}  # fmt: skip
#: Kinds of columns in which a value may be missing.
_NULLS: Final = ("str?", "Int")
