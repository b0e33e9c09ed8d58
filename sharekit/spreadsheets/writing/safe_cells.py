"""Saving workbooks: whole or not at all, never over another file, and what a cell can hold."""

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

from sharekit.core.errors import InputError

#: Excel's own limit: UTF-16 units in a cell.
CELL: Final = 32_767
#: What is said of a text beyond it.
CUT: Final = f"cut to the {CELL:,} characters a cell can hold"
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
#: What XML cannot hold as it is.
_IMPOSSIBLE: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")


def save_new(save: Callable[[Path], object], path: str | os.PathLike[str]) -> Path:
    """Save a workbook to a path that is still free, by way of a file beside it.

    Raises
    ------
    InputError
        The path is taken, its directory is missing, or it cannot be written to.
    """
    target = Path(path)
    temporary = target.with_name(f".sharekit-{secrets.token_hex(8)}")
    try:
        _check_free(target)
        temporary.touch(mode=0o600, exist_ok=False)  # only its owner reads it, from the start
        save(temporary)
        temporary.replace(target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror}); choose another place."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return target


def _check_free(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target} exists already; choose another name or move it away.")
    if not target.parent.is_dir():
        raise InputError(f"There is no directory {target.parent}; make it first.")


def truncate(text: str) -> str:
    """Return the text as it is, or shortened to Excel's limit with a mark that says so."""
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * CELL:
        return text
    mark = f" … [{CUT}; all of it: {len(units) // 2:,}]"
    return units[: 2 * (CELL - len(mark))].decode("utf-16-le", "ignore") + mark


def truncate_frame(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """Shorten the texts that no cell can hold.

    Returns
    -------
    frame : DataFrame
        The same one if nothing had to be done.
    cuts : list of (int, int)
        Row and column, from 0, of each text that was shortened.
    """
    cuts: list[tuple[int, int]] = []
    for place, name in enumerate(frame.columns):
        if pd.api.types.is_numeric_dtype(frame[name].dtype):
            continue
        # A text has no more UTF-16 units than bytes of UTF-8.
        sizes = pc.binary_length(pa.array(frame[name]).cast(pa.large_string()))
        long = np.flatnonzero(pc.fill_null(sizes, 0).to_numpy() > CELL)
        if not len(long):
            continue
        texts = frame[name].to_numpy(dtype=object, copy=True)
        rows = [int(row) for row in long if truncate(texts[row]) != texts[row]]
        if rows:
            texts[rows] = [truncate(texts[row]) for row in rows]
            frame = frame.assign(**{name: pd.Series(texts, frame.index, dtype="str")})
            cuts += [(row, place) for row in rows]
    return frame, cuts


def plain_text(text: str) -> str:
    r"""Return a text without what programs change or drop when they save a workbook.

    That is line ends, escapes, and what XML cannot hold.

    >>> plain_text(" a\r\nb\x01_x005F_x0041_ ")
    'a\nb_x0041_'
    """
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _IMPOSSIBLE.sub("", text).strip()


def escape_cell(text: str) -> str:
    r"""Return a text as a cell of openpyxl's must hold it, so that readers get back what it was.

    >>> escape_cell("a\x01b"), escape_cell("_x0041_")
    ('a_x0001_b', '_x005F_x0041_')
    """
    text = text.replace("_x", "_x005F_x") if _ESCAPED.search(text) else text
    return _IMPOSSIBLE.sub(lambda found: f"_x{ord(found[0]):04X}_", truncate(text))
