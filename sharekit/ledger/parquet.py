"""DataFrames as bytes and back, for the ledger: Parquet, compressed, every column kept exactly."""

from __future__ import annotations

import io
import json
import math
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sharekit.core.columns import STR, NumberedTexts
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.frame_schemas import FrameSchema

from .events import CONTROL

#: Rows that become Python objects at one time.
_BATCH: Final = 50_000
#: Key in the file's metadata: all columns in order, and the stored column that each duplicate has.
_COLUMNS: Final = b"sharekit.columns"
_Columns = tuple[list[str], dict[str, str]]
#: Limits on a frame's columns, cells, and bytes once unpacked. A million rows stay far below.
_MAX_COLUMNS: Final = 20_000
_MAX_CELLS: Final = 1 << 28
_MAX_BYTES: Final = 6 << 30
#: Texts that are stored once for many rows may unpack to this many bytes for each cell of the
#: frame, and to so many in any case. A cell of a spreadsheet holds 32,767 characters, few hold 256.
_CELL_BYTES: Final = 256
_MIN_BYTES: Final = 64 << 20
#: Distinct texts of a column are counted among so many of its rows, to see if a dictionary pays.
_SAMPLE: Final = 20_000
_REPEATED: Final = 0.97
#: Largest dictionary of a column, in bytes: about 400,000 IDs.
_DICTIONARY: Final = 16 << 20
MEDIA_TYPE = "application/vnd.apache.parquet"


class FrameError(ValueError):
    """Bytes that are not a frame of ours, or not of the schema; the message says why."""


def to_bytes(frame: pd.DataFrame) -> bytes:
    """Return the frame, with its index if that has a name, as one Parquet file.

    An original column of the input that equals an earlier column is stored once; the file's
    metadata names the duplicates.

    >>> schema = FrameSchema({"a": "str"})
    >>> from_bytes(to_bytes(pd.DataFrame({"a": ["x", ""]})), schema)["a"].tolist()
    ['x', '']
    """
    table, schema = _as_table(frame)
    duplicates = _duplicate_columns(table)
    names, kept = table.column_names, [n for n in table.column_names if n not in duplicates]
    table = table.select(kept).replace_schema_metadata(
        {**schema.metadata, _COLUMNS: json.dumps([names, duplicates])}
    )
    stored = pa.schema([schema.field(name) for name in kept], table.schema.metadata)
    numbers = [field.name for field in stored if _is_whole_number(field.type)]
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", dictionary_pagesize_limit=_DICTIONARY,
        write_statistics=False,  # frames are read whole, and to find extremes costs a fifth
        use_dictionary=[n for n in kept if _is_repeated(table.column(n), stored.field(n).type)],
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        store_schema=False,
    ) as writer:  # fmt: skip
        writer.write_table(table)
        # Texts that are numbered are stored, and read again, as any others.
        facts = stored.metadata | {b"ARROW:schema": b64encode(stored.serialize())}
        writer.add_key_value_metadata(facts)
    return sink.getvalue()


def _as_table(frame: pd.DataFrame) -> tuple[pa.Table, pa.Schema]:
    """Return a frame whose numbered texts stay so, and its schema with texts in their place."""
    blank = pd.Series(pd.array(pa.nulls(len(frame), pa.large_string()), dtype=STR), frame.index)
    columns = {str(name): frame[name].array for name in frame}
    texts = {n: a.numbered for n, a in columns.items() if isinstance(a, NumberedTexts)}
    held = {name: values for name, values in texts.items() if values is not None}
    plain = frame.assign(**dict.fromkeys(held, blank))
    table = pa.Table.from_pandas(plain, preserve_index=frame.index.name is not None)
    schema = table.schema
    for name, values in held.items():
        table = table.set_column(schema.get_field_index(name), name, values)
    return table, schema


def _is_repeated(column: pa.ChunkedArray, kind: pa.DataType) -> bool:
    """Return True if texts occur several times; to number IDs that do not only costs time."""
    if not _is_text(kind) or column.null_count == len(column):
        return bool(pa.types.is_dictionary(kind))
    if len(column) > _SAMPLE:
        positions = np.random.default_rng(0).integers(0, len(column), _SAMPLE)
        column = column.take(pa.array(np.sort(positions)))
    return len(column.unique()) < _REPEATED * len(column)


def _duplicate_columns(table: pa.Table) -> dict[str, str]:
    """Name the original columns that equal an earlier one, such as the field that they became."""
    duplicates: dict[str, str] = {}
    kept: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        candidates = kept if name.startswith(INPUT_PREFIX) else ()
        twin = next((k for k in candidates if column.equals(table.column(k))), None)
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


def from_bytes(content: bytes, schema: FrameSchema, rows: int | None = None) -> pd.DataFrame:
    """Return the frame that :func:`to_bytes` stored; ``rows`` are those of the inventory.

    Raises
    ------
    FrameError
        If it does not conform to the schema, or would take more memory than any honest frame.
    """
    try:
        return _conform(_read_bounded(content), schema, rows)
    except (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError) as error:
        raise FrameError(str(error).partition("\n")[0]) from None


def unknown_column(content: bytes, schema: FrameSchema) -> str:
    """Return a column of a stored frame that its schema does not have, ``""`` if there is none."""
    try:
        names = pq.read_schema(pa.BufferReader(content)).names
    except (pa.ArrowException, OSError):
        return "(it is no frame)"
    known = {*schema.kinds, *(["row_key"] if schema.indexed else ())}
    odd = [name for name in names if name not in known]
    if schema.extra_prefix:
        odd = [name for name in odd if not name.startswith(schema.extra_prefix)]
    return next(iter(odd), "")


def _read_bounded(content: bytes) -> pa.Table:
    """Read all columns, once the file's metadata has shown that they are of a reasonable size."""
    file = pq.ParquetFile(pa.BufferReader(content), memory_map=False)
    metadata, schema = file.metadata, file.schema_arrow
    encoded = (metadata.metadata or {}).get(_COLUMNS, b"")
    names, duplicates = msgspec.json.decode(encoded, type=_Columns)
    cells = len(names) * metadata.num_rows
    if len(names) > _MAX_COLUMNS or len(set(names)) < len(names) or cells > _MAX_CELLS:
        raise FrameError(f"{len(names)} columns of {metadata.num_rows} rows")
    if odd := [field.name for field in schema if not _is_known(field.type)]:
        raise FrameError(f"its column {odd[0]!r} is of a type that no frame has")
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    if foreign := {code for chunk in chunks for code in chunk.encodings} - _ENCODINGS:
        raise FrameError(f"it has the encoding {min(foreign)}, which sharekit does not write")
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if not 0 <= size <= _MAX_BYTES or any(chunk.total_uncompressed_size < 0 for chunk in chunks):
        raise FrameError(f"it unpacks to {size} bytes")
    # Texts that are stored once for many rows may take any memory, so they are read as numbers
    # and a dictionary, and become texts only once their size is known.
    numbered = {
        chunk.path_in_schema for chunk in chunks if any("DICTIONARY" in c for c in chunk.encodings)
    }
    texts = [field.name for field in schema if _is_text(field.type) and field.name in numbered]
    file = pq.ParquetFile(
        pa.BufferReader(content), memory_map=False, metadata=metadata, read_dictionary=texts
    )
    table = _unpack(file.read(), texts, cells)
    stored = set(table.column_names)
    columns = [duplicates.get(name, name) for name in names]
    if missing := [name for name in columns if name not in stored]:
        raise FrameError(f"it lacks the column {missing[0]!r}")
    return pa.table([table.column(name) for name in columns], names=names) if names else table


def _unpack(table: pa.Table, texts: Sequence[str], cells: int) -> pa.Table:
    """Turn numbered texts into texts, if all of them have a reasonable size together."""
    size = sum(
        pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
        for column in table.columns
        if pa.types.is_dictionary(column.type)
        for chunk in column.chunks
    )
    if size > min(_MAX_BYTES, max(_MIN_BYTES, _CELL_BYTES * cells)):
        raise FrameError(f"it unpacks to {size} bytes")
    for name in texts:
        column = table.column(name).cast(pa.large_string())
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _conform(table: pa.Table, schema: FrameSchema, rows: int | None) -> pd.DataFrame:
    stored, kinds = set(table.column_names), schema.kinds
    added = {name: schema.dtypes[name] for name in schema.later if name not in stored}
    if schema.extra_prefix:
        extra = [name for name in table.column_names if name.startswith(schema.extra_prefix)]
        kinds |= dict.fromkeys(extra, "str?" if schema.nullable_extra else "str")
    if schema.indexed:
        kinds["row_key"] = "int" if schema.rows == "own" else "key"
    if missing := kinds.keys() - stored - added.keys():
        raise FrameError(f"it lacks the column {min(missing)!r}")
    kept = table.select([name for name in table.column_names if name in kinds])
    for name, column in zip(kept.column_names, kept.columns, strict=True):
        kind = kinds[name]
        if not _FITS[kind](column.type) or (column.null_count and kind not in _NULLABLE):
            raise FrameError(f"its column {name!r} is not of the kind {kind}")
        if odd := _odd_value(column, kind, schema.values.get(name), rows):
            raise FrameError(f"its column {name!r} holds {odd}")
        if name == "reason" and "decision" in kinds and _holds_control(column):
            raise FrameError("its column 'reason' holds a control character")
    _check_lines(kept, schema, rows)
    frame = _to_pandas(kept, {n for n in kept.column_names if kinds[n] in ("Int", "Key")})
    for name, dtype in added.items():
        empty = _EMPTY.get(kinds[name], "")
        frame[name] = pd.Series(empty, index=frame.index, dtype=dtype)
    return frame.set_index("row_key") if schema.indexed else frame


def _odd_value(
    column: pa.ChunkedArray, kind: str, known: Collection[str] | None, rows: int | None
) -> str:
    """Return a text that is not in a closed list, or a number out of range; ``""`` if none is."""
    if _is_whole_number(column.type):
        ends = pc.min_max(column).as_py()
        least, most = _RANGES.get(kind, _RANGES["int"])
        most = rows - 1 if rows is not None and kind in ("key", "Key") else most
        odd = [n for n in ends.values() if n is not None and not least <= n <= max(most, least)]
        return f"the number {odd[0]}" if odd else ""
    if known is None or pa.types.is_null(column.type):
        return ""
    strange = column.filter(pc.invert(pc.is_in(column, pa.array([*known], column.type))))
    strange = strange.drop_null()
    return f"{strange[0].as_py()!r:.80}" if len(strange) else ""


def _holds_control(column: pa.ChunkedArray) -> bool:
    texts = column.cast(pa.large_string())
    return bool(pc.any(pc.match_substring_regex(texts, CONTROL.pattern)).as_py())


def _check_lines(table: pa.Table, schema: FrameSchema, rows: int | None) -> None:
    """Refuse a line that comes twice, and rows that are not those of the inventory."""
    if schema.indexed:
        keys = table.column("row_key").to_numpy()
        every = len(keys) if rows is None else rows
        if schema.rows == "every" and (len(keys) != every or (keys != np.arange(every)).any()):
            raise FrameError("its rows are not those of the inventory")
        if not pd.Index(keys).is_unique or (keys < 0).any():
            raise FrameError("its column 'row_key' names a row twice, or none")
    if "row_key" in schema.unique:
        keys = table.column("row_key").to_numpy()
        if (keys < 0).any():
            raise FrameError("its column 'row_key' names no row")
        if (keys[1:] > keys[:-1]).all():
            return
    numbers = []
    # Most images and rows come once, so that the other columns are seldom looked at.
    for name in sorted(schema.unique, key=lambda name: name not in ("image_id", "row_key")):
        encoded = table.column(name).combine_chunks().dictionary_encode()
        if len(encoded.dictionary) == len(table):
            return
        numbers.append(np.asarray(encoded.indices))
    if numbers and pd.DataFrame(dict(enumerate(numbers))).duplicated().any():
        raise FrameError(f"it has two lines with the same {', '.join(schema.unique)}")


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


def _is_category(kind: pa.DataType) -> bool:
    return pa.types.is_dictionary(kind) and _is_text(kind.value_type)


def _is_text(kind: pa.DataType) -> bool:
    # A column without any value has no type of its own; in a frame without rows nothing is missing.
    return bool(
        pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    )


def _is_whole_number(kind: pa.DataType) -> bool:
    return bool(kind in (pa.int32(), pa.int64()))


def _is_known(kind: pa.DataType) -> bool:
    return any(fits(kind) for fits in _FITS.values())


#: Encodings of the columns that we write. With any other, a file could unpack to any size.
_ENCODINGS: Final = frozenset(
    {"PLAIN", "RLE", "BIT_PACKED", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "DELTA_BINARY_PACKED"}
)
_FITS: Final[dict[str, Callable[[pa.DataType], bool]]] = {
    "str": _is_text, "str?": _is_text, "category": _is_category, "int": _is_whole_number,
    "Int": lambda kind: bool(kind == pa.int64()), "key": _is_whole_number,
    "Key": lambda kind: bool(kind == pa.int64()), "float": pa.types.is_floating,
    "label": lambda kind: _is_whole_number(kind) or _is_text(kind),
}  # fmt: skip
_NULLABLE: Final = ("str?", "Int", "Key")
#: Kind -> the least and the largest number. Counts are at least 0, -1 where they are not known.
_RANGES: Final = {"int": (-1, 1 << 53), "label": (-(1 << 53), 1 << 53)}
#: Kind -> the value of a column that was added later; texts are empty.
_EMPTY: Final = {"str?": None, "Int": None, "Key": None, "int": 0, "key": -1, "float": math.nan}
