"""Save workbooks completely or not at all, never over another file; fit texts into cells."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sharekit.core.columns import STR
from sharekit.core.errors import InputError

#: Excel's limit for the text of a cell, in UTF-16 code units.
MAX_CELL: Final = 32_767
#: Note on a longer text.
TRUNCATED: Final = f"cut to the {MAX_CELL:,} characters a cell can hold"
#: Fill of header cells, in every workbook.
HEADER_COLOR: Final = "1F4E79"
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
#: Characters that XML cannot hold.
_IMPOSSIBLE: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")


def save_new(save: Callable[[Path], object], path: str | os.PathLike[str]) -> Path:
    """Save a workbook to a path that is free, by way of a temporary file beside it.

    Raises
    ------
    InputError
        The path is taken, its directory is missing, or it cannot be written to.
    """
    target = Path(path)
    temporary = target.with_name(f".sharekit-{secrets.token_hex(8)}")
    try:
        _check_free(target)
        temporary.touch(mode=0o600, exist_ok=False)  # from the start only its owner can read it
        save(temporary)
        temporary.replace(target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}); choose another path."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return target


def _check_free(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target} exists already; choose another name or move it away.")
    if not target.parent.is_dir():
        raise InputError(f"There is no directory {target.parent}; create it first.")


def truncate(text: str) -> str:
    """Return the text, shortened to Excel's limit with a note if it is longer."""
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * MAX_CELL:
        return text
    note = f" … [{TRUNCATED}; all of it: {len(units) // 2:,}]"
    return units[: 2 * (MAX_CELL - len(note))].decode("utf-16-le", "ignore") + note


def truncate_frame(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """Shorten the texts of a frame that no cell can hold.

    Returns
    -------
    frame : DataFrame
        The same frame if no text is too long.
    cells : list of (int, int)
        0-based row and column of each text that was shortened.
    """
    cells: list[tuple[int, int]] = []
    for column, name in enumerate(frame.columns):
        if pd.api.types.is_numeric_dtype(frame[name].dtype):
            continue
        # A text has no more UTF-16 units than bytes of UTF-8.
        sizes = pc.binary_length(pa.array(frame[name]).cast(pa.large_string()))
        long = np.flatnonzero(pc.fill_null(sizes, 0).to_numpy() > MAX_CELL)
        if not len(long):
            continue
        texts = frame[name].to_numpy(dtype=object, copy=True)
        rows = [int(row) for row in long if truncate(texts[row]) != texts[row]]
        if rows:
            texts[rows] = [truncate(texts[row]) for row in rows]
            frame = frame.assign(**{name: pd.Series(texts, frame.index, dtype=STR)})
            cells += [(row, column) for row in rows]
    return frame, cells


def plain_text(text: str) -> str:
    r"""Return a text without what spreadsheet programs change or drop when they save a workbook.

    They change line ends and escapes, and drop characters that XML cannot hold.

    >>> plain_text(" a\r\nb\x01_x005F_x0041_ ")
    'a\nb_x0041_'
    """
    text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _IMPOSSIBLE.sub("", text).strip()


def escape_cell(text: str) -> str:
    r"""Return a text as openpyxl must write it, so that readers get the same text back.

    >>> escape_cell("a\x01b"), escape_cell("_x0041_")
    ('a_x0001_b', '_x005F_x0041_')
    """
    text = text.replace("_x", "_x005F_x") if _ESCAPED.search(text) else text
    return _IMPOSSIBLE.sub(lambda match: f"_x{ord(match[0]):04X}_", truncate(text))
