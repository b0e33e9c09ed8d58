"""DataFrames as bytes and back, for the ledger: Parquet, compressed, every column kept exactly."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MEDIA_TYPE = "application/vnd.apache.parquet"


def to_bytes(frame: pd.DataFrame) -> bytes:
    """Return the frame, with its index if that has a name, as one Parquet file.

    >>> from_bytes(to_bytes(pd.DataFrame({"a": ["x", ""]})))["a"].tolist()
    ['x', '']
    """
    table = pa.Table.from_pandas(frame, preserve_index=frame.index.name is not None)
    sink = io.BytesIO()
    # Most columns are IDs, nearly all different: dictionaries would only cost time and room.
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    return sink.getvalue()


def from_bytes(content: bytes) -> pd.DataFrame:
    """Return the frame that :func:`to_bytes` stored."""
    frame: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
    return frame
