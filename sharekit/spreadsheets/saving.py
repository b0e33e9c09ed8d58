"""Saving workbooks: whole or not at all, never over another file, and with text that stays text."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from openpyxl import Workbook

from ..errors import InputError

#: ECMA-376 (18.4.8 and annex): XML cannot hold these, and a cell no more than so many characters.
_IMPOSSIBLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_LONGEST: Final = 32_767
_CUT: Final = " …(cut)"


def save_new(book: Workbook, path: str | os.PathLike[str]) -> Path:
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
        with temporary.open("xb") as stream:
            book.save(stream)
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


def cell_text(value: object) -> str:
    r"""Return the text as a workbook can hold it, so that reading gives back what is shown here.

    Examples
    --------
    >>> cell_text("a\x01b"), cell_text("_x0041_")
    ('a\ufffdb', '_x005F_x0041_')
    """
    text = _IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", str(value)).replace("\r\n", "\n")
    text = _ESCAPE.sub("_x005F_", text.replace("\r", "\n"))
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(_CUT)] + _CUT
