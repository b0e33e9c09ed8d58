"""csv, json and parquet: every row with what became of it, for programs.

JSON holds raw values; CSV is read by spreadsheets, so cells that a spreadsheet would calculate are
made harmless.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from sharekit.reports.document import ReportDocument, RowsInParts

#: What makes a spreadsheet calculate a cell, or run a program (DDE), after any quotes before it.
_ACTIVE: Final = r"[=+\-@|\t\r\n＝＋－＠]"
_BOM: Final = "\ufeff".encode()
#: Rows turned to JSON or CSV at once: bounds the memory, not the speed.
_BATCH: Final = 50_000


def write_json(document: ReportDocument, path: Path) -> None:
    """Write one JSON object: the document's values, then its frames as arrays.

    An array has one object a line, so that a difference is found by its line.
    """
    values = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document.values.items()]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("{\n" + ",\n".join(values))
        for name, frame in document.arrays.items():
            file.write(f',\n"{name}": ')
            json_array(frame, file)
        file.write("\n}\n")


def write_parquet(document: ReportDocument | RowsInParts, path: Path) -> None:
    """Write the rows of a csv as they are, for programs; the metadata hold the document's values.

    The same rows have the same bytes, with one version of pyarrow.
    """
    values = {"sharekit": json.dumps(document.values)}
    with ExitStack() as stack:
        writer = None
        for frame in document.frames():
            table = pa.Table.from_pandas(frame, preserve_index=False)
            table = table.replace_schema_metadata(values)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
                stack.enter_context(writer)
            writer.write_table(table)


def escape(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put one ``'`` before every text that a spreadsheet would take for a formula.

    A text that already begins with quotes before such a character gets one more, so that
    :func:`unescape` gives back exactly what was there.

    >>> escape(pa.chunked_array([["=1+1", "'=1", "a=b", "-5", ""]])).to_pylist()
    ["'=1+1", "''=1", 'a=b', "'-5", '']
    """
    return pc.replace_substring_regex(column, rf"\A('*{_ACTIVE})", r"'\1")


def unescape(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Undo :func:`escape`.

    >>> unescape(pa.chunked_array([["'=1+1", "''=1", "'quoted'"]])).to_pylist()
    ['=1+1', "'=1", "'quoted'"]
    """
    return pc.replace_substring_regex(column, rf"\A'('*{_ACTIVE})", r"\1")


def csv_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as :func:`write_csv` does."""
    write_csv([frame], path)


def write_csv(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write frames of the same columns as CSV, in UTF-8.

    Commas separate the cells, texts are quoted, nothing is empty, and lines end with LF. The file
    begins with a byte order mark: without it Excel takes UTF-8 for the local code page and shows
    ``Ã¤`` for ``ä``; pandas, R's readr and LibreOffice drop it (Python's own ``csv``
    wants ``encoding="utf-8-sig"``). Text is escaped by :func:`escape`.
    """
    with path.open("wb") as file:
        file.write(_BOM)
        how = pyarrow.csv.WriteOptions()
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            for start in range(0, max(len(frame), 1), _BATCH):
                columns = [
                    column if pa.types.is_integer(column.type) else _cells(column)
                    for column in table.slice(start, _BATCH).columns
                ]
                pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), file, how)
                how = pyarrow.csv.WriteOptions(include_header=False)


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = escape(column.cast(pa.large_string()))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)


def json_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as a JSON array of objects, one a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        json_array(frame, file)
        file.write("\n")


def json_array(frame: pd.DataFrame, file: TextIO) -> None:
    """Write a frame as a JSON array of objects, one a line, values as they are."""
    file.write("[")
    for start in range(0, len(frame), _BATCH):
        file.write(",\n" if start else "\n")
        file.write(_objects(frame.iloc[start : start + _BATCH]))
    file.write("\n]")


def _objects(rows: pd.DataFrame) -> str:
    text = rows.to_json(orient="records", lines=True, force_ascii=False)
    # Line feeds inside values are escaped, so each one left stands between two rows.
    return text.rstrip("\n").replace("\n", ",\n").replace("\\/", "/")
