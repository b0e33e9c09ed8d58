"""Formats that other packages read: entry points of the group ``sharekit.formats``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from itertools import zip_longest
from pathlib import PurePath
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.errors import SpreadsheetError

from ..input import FORMATS
from .raw_sheet import TEXT, Blob, RawSheet, SheetMetadata, as_text

GROUP: Final = "sharekit.formats"
#: What such an entry point names: a file's bytes -> the rows of each sheet, by its name. A cell is
#: a text, a number, a date, a truth value, or None.
Reader = Callable[[bytes], Mapping[str, Iterable[Sequence[object]]]]
#: Number of rows and of columns of a sheet beyond which it is refused.
Check = Callable[[str, str, int, int], None]


def find_reader(file: str) -> EntryPoint | None:
    """Return the entry point that is called like a file's suffix, unless that is one of ours."""
    suffix = PurePath(file).suffix[1:].lower()
    if suffix in {"", *(form.name for form in FORMATS)}:
        return None
    return next(iter(entry_points(group=GROUP, name=suffix)), None)


@dataclass(frozen=True)
class _Rows:
    rows: Sequence[Sequence[object]]

    def __call__(self, positions: NDArray[np.int64]) -> Iterable[Sequence[object]]:
        return (["" if v is None else v for v in self.rows[i]] for i in positions.tolist())


def read_further(
    blob: Blob, point: EntryPoint, choose: Callable[[Sequence[str]], list[int]], check: Check
) -> list[RawSheet]:
    """Read the chosen sheets of a file by another package.

    Raises
    ------
    SpreadsheetError
        The package cannot be loaded, cannot read the file, or returns something else than rows.
    """
    try:
        reader: Reader = point.load()
        sheets = [(str(name), [tuple(row) for row in rows])
                  for name, rows in reader(blob.data).items()]  # fmt: skip
    except Exception as error:  # of code that is not ours
        raise SpreadsheetError(
            f"{blob.file} cannot be read by {point.value}, which is for .{point.name} files "
            f"({type(error).__name__}: {error}); correct the file, or remove that package."
        ) from error
    names = [name for name, _ in sheets]
    return [_sheet(blob, point, names, *sheets[i], check) for i in choose(names)]


def _sheet(
    blob: Blob, point: EntryPoint, names: Sequence[str], name: str,
    rows: Sequence[Sequence[object]], check: Check,
) -> RawSheet:  # fmt: skip
    width = max(map(len, rows), default=0)
    check(blob.file, name, len(rows), width)
    columns = list(zip_longest(*rows)) if rows else []
    texts = ([as_text(v) if v is not None else "" for v in column] for column in columns)
    return RawSheet(
        sheet=name,
        format=point.name,
        cells=tuple(pa.chunked_array([pa.array(column, TEXT)]) for column in texts),
        metadata=SheetMetadata(unread="hidden rows, number formats, crossed-out text"),
        typed=_Rows([[*row, *[None] * (width - len(row))] for row in rows]),
        siblings=tuple(names),
    )
