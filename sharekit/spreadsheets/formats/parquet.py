"""parquet, read by ``pyarrow``; the column names stand as if in row 1."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sharekit.core.errors import SpreadsheetError
from sharekit.spreadsheets.input import Limits

from .columns import arrow_column, sheet_of
from .dtypes import arrow_dtype_name
from .raw_sheet import Blob, RawSheet


def read_parquet(blob: Blob, limits: Limits | None = None) -> list[RawSheet]:
    """Read a parquet file as one sheet.

    Raises
    ------
    SpreadsheetError
        The bytes are damaged or encrypted, or beyond the limits.
    """
    limits = limits or Limits()
    try:
        file = pq.ParquetFile(pa.BufferReader(blob.data))
        limits.check_dimensions(
            blob.file, "", file.metadata.num_rows + 1, file.metadata.num_columns
        )
        types = file.schema_arrow.types
        # A repeated text is stored once, and stays so until the length of all texts is checked.
        texts = [file.schema.column(i) for i in range(file.metadata.num_columns)]
        names = [column.path for column in texts if column.physical_type == "BYTE_ARRAY"]
        file = pq.ParquetFile(pa.BufferReader(blob.data), read_dictionary=names)
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise parquet_error(blob.file, error) from error
    length = sum(map(_length, table.columns))
    if length > limits.inflated_bytes:
        held = f"holds {length:,} bytes of text"
        raise limits.refusal("inflated_bytes", blob.file, held, "split it")

    named, columns = list(zip(table.column_names, types, strict=True)), table.columns
    del table  # so that each column is freed once its texts are numbered
    return [
        sheet_of("parquet", [
            replace(arrow_column(name, columns.pop(0)), dtype=arrow_dtype_name(kind))
            for name, kind in named
        ])
    ]  # fmt: skip


def parquet_error(file: str, error: Exception) -> SpreadsheetError:
    """Say in one sentence why a file cannot be read as parquet."""
    locked = "encrypt" in str(error).lower()
    reason = "it is encrypted" if locked else "it is damaged or cut off"
    return SpreadsheetError(
        f"{file} cannot be read as parquet ({reason}); write it again and use the new file."
    )


def _length(column: pa.ChunkedArray) -> int:
    """Bytes that a column of repeated texts takes when each is written out."""
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return 0
    return sum(
        pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices.drop_null())).as_py() or 0
        for chunk in column.chunks
    )


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string,
                                       pa.types.is_binary, pa.types.is_large_binary))  # fmt: skip
