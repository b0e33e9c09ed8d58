"""parquet, read by ``pyarrow``; the column names stand as if in row 1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import SpreadsheetError
from .grid import TEXT, Blob, Grid, text_column


def read_parquet(blob: Blob) -> list[Grid]:
    """Read a parquet file as one sheet.

    Raises
    ------
    SpreadsheetError
        The bytes are damaged or encrypted.
    """
    try:
        table = pq.read_table(pa.BufferReader(blob.data))
    except (pa.ArrowException, OSError) as error:
        raise SpreadsheetError(
            f"{blob.file} cannot be read as parquet ({str(error).partition(chr(10))[0]}); "
            "write it again and use the new file."
        ) from error

    def typed(rows: NDArray[np.int64]) -> Iterator[tuple[object, ...]]:
        chosen = table.take(pa.array(rows - 1))
        return zip(*(column.to_pylist() for column in chosen.columns), strict=True)

    columns = zip(table.column_names, table.columns, strict=True)
    return [
        Grid(
            sheet="",
            format="parquet",
            cells=tuple(_under_header(name, column) for name, column in columns),
            typed=typed,
        )
    ]


def _under_header(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([name], TEXT), *_as_text(column).chunks])


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return text_column(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # Lists, structs and bytes that are no text: nothing an ID could be, but shown all the same.
        texts = ["" if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, TEXT)])
