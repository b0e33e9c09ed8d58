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

from sharekit.core.columns import STR
from sharekit.core.frame_schemas import FrameSchema

#: Rows that become Python objects at one time.
_BATCH: Final = 50_000
#: Key in the file's metadata: all columns in order, and the stored column that each duplicate has.
_COLUMNS: Final = b"sharekit.columns"
_Columns = tuple[list[str], dict[str, str]]
#: Limits on a frame's columns, cells, and bytes once unpacked. A million rows stay far below.
_MAX_COLUMNS: Final = 20_000
_MAX_CELLS: Final = 1 << 28
_MAX_BYTES: Final = 6 << 30
MEDIA_TYPE = "application/vnd.apache.parquet"


class FrameError(ValueError):
    """Bytes that are not a frame of ours, or not of the schema; the message says why."""


def to_bytes(frame: pd.DataFrame) -> bytes:
    """Return the frame, with its index if that has a name, as one Parquet file.

    A column that equals an earlier one is stored once; the file's metadata names the duplicates.

    >>> schema = FrameSchema({"a": "str"})
    >>> from_bytes(to_bytes(pd.DataFrame({"a": ["x", ""]})), schema)["a"].tolist()
    ['x', '']
    """
    table = pa.Table.from_pandas(frame, preserve_index=frame.index.name is not None)
    duplicates = _duplicate_columns(table)
    table = table.drop_columns(list(duplicates)).replace_schema_metadata(
        {**table.schema.metadata, _COLUMNS: json.dumps([table.column_names, duplicates])}
    )
    sink = io.BytesIO()
    # Most columns are IDs, nearly all different: dictionaries would only cost time and space.
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    return sink.getvalue()


def _duplicate_columns(table: pa.Table) -> dict[str, str]:
    """Name the columns that equal an earlier one, as an ID's original column equals its field."""
    duplicates: dict[str, str] = {}
    kept: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        twin = next((k for k in kept if column.equals(table.column(k))), None)
        if twin is None:
            kept.append(name)
        else:
            duplicates[name] = twin
    return duplicates


def iter_rows(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yield rows as tuples of plain values, missing ones as None; few of them at a time in memory.

    >>> list(iter_rows(pd.DataFrame({"a": ["x", None], "b": [1, 2]}), ["b", "a"]))
    [(1, 'x'), (2, None)]
    """
    table = pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def from_bytes(content: bytes, schema: FrameSchema) -> pd.DataFrame:
    """Return the frame that :func:`to_bytes` stored.

    Raises
    ------
    FrameError
        If it does not conform to the schema, or would take more memory than any honest frame.
    """
    try:
        table = _read_bounded(content)
        return _conform(table, schema)
    except (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError) as error:
        raise FrameError(str(error).partition("\n")[0]) from None


def _read_bounded(content: bytes) -> pa.Table:
    """Read all columns, once the file's metadata has shown that they are of a reasonable size."""
    file = pq.ParquetFile(pa.BufferReader(content), memory_map=False)
    metadata = file.metadata
    encoded = (metadata.metadata or {}).get(_COLUMNS, b"")
    names, duplicates = msgspec.json.decode(encoded, type=_Columns)
    cells = len(names) * metadata.num_rows
    if len(names) > _MAX_COLUMNS or len(set(names)) < len(names) or cells > _MAX_CELLS:
        raise FrameError(f"{len(names)} columns of {metadata.num_rows} rows")
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    # Texts that are stored once for many rows may take any memory; we never store them so.
    if any("DICTIONARY" in code for chunk in chunks for code in chunk.encodings):
        raise FrameError("it has a dictionary encoding, which sharekit does not write")
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if not 0 <= size <= _MAX_BYTES or any(chunk.total_uncompressed_size < 0 for chunk in chunks):
        raise FrameError(f"it unpacks to {size} bytes")
    table = file.read()
    stored = set(table.column_names)
    columns = [duplicates.get(name, name) for name in names]
    if missing := [name for name in columns if name not in stored]:
        raise FrameError(f"it lacks the column {missing[0]!r}")
    return pa.table([table.column(name) for name in columns], names=names) if names else table


def _conform(table: pa.Table, schema: FrameSchema) -> pd.DataFrame:
    kinds = dict(schema.columns)
    if schema.extra_prefix:
        extra = [name for name in table.column_names if name.startswith(schema.extra_prefix)]
        kinds |= dict.fromkeys(extra, "str?" if schema.nullable_extra else "str")
    if schema.indexed:
        kinds["row_key"] = "int"
    if missing := kinds.keys() - set(table.column_names):
        raise FrameError(f"it lacks the column {min(missing)!r}")
    kept = table.select([name for name in table.column_names if name in kinds])
    for name, column in zip(kept.column_names, kept.columns, strict=True):
        kind = kinds[name]
        if not _FITS[kind](column.type) or (column.null_count and kind not in _NULLABLE):
            raise FrameError(f"its column {name!r} is not of the kind {kind}")
    frame = _to_pandas(kept, {name for name, kind in kinds.items() if kind == "Int"})
    return frame.set_index("row_key") if schema.indexed else frame


def _to_pandas(table: pa.Table, nullable: set[str]) -> pd.DataFrame:
    """Convert columns by their own types, not by those that the file's metadata names."""
    types = [
        (f.name, pa.large_string() if pa.types.is_null(f.type) else f.type)
        for f in table.schema
        if f.name not in nullable
    ]
    texts = {pa.string(): STR, pa.large_string(): STR}.get
    others = table.drop_columns([*nullable]).cast(pa.schema(types))
    frame: pd.DataFrame = others.to_pandas(types_mapper=texts)
    for name in nullable:
        column = table.column(name)
        values = column.fill_null(0).to_numpy()
        frame[name] = pd.arrays.IntegerArray(values, column.is_null().to_numpy())
    return frame[table.column_names] if nullable else frame


def _is_repeated_text(kind: pa.DataType) -> bool:
    return pa.types.is_dictionary(kind) and _is_text(kind.value_type)


def _is_text(kind: pa.DataType) -> bool:
    # A column without any value has no type of its own; in a frame without rows nothing is missing.
    return bool(
        pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    )


def _is_whole_number(kind: pa.DataType) -> bool:
    return bool(kind in (pa.int32(), pa.int64()))


_FITS: Final[dict[str, Callable[[pa.DataType], bool]]] = {
    "str": _is_text, "str?": _is_text, "category": _is_repeated_text, "int": _is_whole_number,
    "Int": lambda kind: bool(kind == pa.int64()), "float": pa.types.is_floating,
}  # fmt: skip
_NULLABLE: Final = ("str?", "Int")
