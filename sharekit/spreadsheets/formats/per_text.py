"""Arrow's functions (``pyarrow.compute``) for columns whose texts are numbered.

What is asked of a text is asked once of each distinct one, and the answer given to its rows; of
what else a column holds, and of columns beside the first, the functions are Arrow's own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def __getattr__(name: str) -> Callable[..., Any]:
    return partial(_per_text, getattr(pc, name))


def _per_text(function: Callable[..., Any], column: Any, *others: Any, **options: Any) -> Any:
    others = tuple(written_out(other) for other in others)
    if not is_numbered(column):
        return function(column, *others, **options)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if function is pc.unique:
        parts = [chunk.dictionary.take(chunk.indices.unique()) for chunk in chunks]
        return function(pa.chunked_array(parts, column.type.value_type))
    return pa.chunked_array([
        _for_rows(function(chunk.dictionary, *others, **options), chunk.indices)
        for chunk in chunks
    ] or [function(pa.array([], column.type.value_type), *others, **options)])  # fmt: skip


def _for_rows(of_texts: pa.Array, indices: pa.Array) -> pa.Array:
    if pa.types.is_large_string(of_texts.type):
        return pa.DictionaryArray.from_arrays(indices, of_texts)
    if pa.types.is_boolean(of_texts.type):  # which numpy takes in a third of the time
        return pa.array(np.asarray(of_texts, dtype=bool)[np.asarray(indices)])
    return of_texts.take(indices)


def is_numbered(column: object) -> bool:
    """Return True for a column of distinct texts and a number for each row."""
    kind = getattr(column, "type", None)
    return isinstance(kind, pa.DictionaryType) and not isinstance(column, pa.Scalar)


def written_out(column: Any) -> Any:
    """Return a column with the text of each row; everything else as it is.

    >>> written_out(pa.array(["b", "b"]).dictionary_encode()).to_pylist()
    ['b', 'b']
    """
    return column.cast(column.type.value_type) if is_numbered(column) else column
