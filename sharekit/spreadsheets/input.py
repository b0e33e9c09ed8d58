"""A file's bytes, read once and whole, and the limits on what a file may ask for."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sharekit.core.errors import InputError, SpreadsheetError

from .formats.raw_sheet import Blob, column_letter

#: What ``-`` is called wherever people read of it.
STANDARD_INPUT: Final = "standard input"
_KINDS: Final = (
    (stat.S_ISDIR, "is a directory; name the spreadsheets in it."),
    (stat.S_ISFIFO, "is a pipe, not a file; save it as a file, or send it to standard input (-)."),
    (stat.S_ISSOCK, "is a socket, not a file; save the spreadsheet as a file."),
    (stat.S_ISCHR, "is a device, not a file; name a spreadsheet."),
    (stat.S_ISBLK, "is a device, not a file; name a spreadsheet."),
)


_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """The most that one spreadsheet may hold; whatever is honest and useful stays far below.

    A million rows of fifty columns pass. What does not is refused before it takes the memory.

    Attributes
    ----------
    file_bytes : int
        Size of the file itself.
    piped_bytes : int
        Length of what comes from standard input; it may never end, and is held in memory.
    inflated_bytes : int
        Size of all parts of a workbook together once unpacked, or of a parquet file's text.
    strings_bytes : int
        Size of a workbook's table of texts once unpacked; readers hold all of it in memory.
    ratio : int
        How many times its packed size a part may unpack to, if it is larger than 64 MiB.
    parts, sheets, columns : int
        Files inside a workbook, its sheets, and columns of one sheet.
    merges : int
        How often a sheet merges cells.
    cells : int
        Height times width of a sheet, from its corner to its last cell; blank ones count, since
        they take memory as well. Above a quarter of it, one cell in twenty must be filled; above
        a sixteenth, no more than twenty cells may be told by repeating one (OpenDocument).

    Examples
    --------
    >>> Limits(sheets=3).sheets
    3
    """

    file_bytes: int = 2048 * _MIB
    piped_bytes: int = 512 * _MIB
    inflated_bytes: int = 4096 * _MIB
    strings_bytes: int = 512 * _MIB
    ratio: int = 250
    parts: int = 20_000
    sheets: int = 1_000
    columns: int = 16_384
    merges: int = 100_000
    cells: int = 64 * _MIB

    def check_size(self, file: str, size: int) -> None:
        """Refuse a file that is too long to be read at all."""
        if size > self.file_bytes:
            raise self.refusal("file_bytes", file, f"has {size:,} bytes", "split it into several")

    def check_dimensions(
        self, file: str, sheet: str, height: int, width: int, filled: int | None = None
    ) -> None:
        """Refuse a sheet whose corner-to-corner size would fill the memory."""
        where = f"{file} (sheet {sheet})" if sheet else file
        cells = height * width
        if width > self.columns:
            raise self.refusal(
                "columns", where, f"has {width:,} columns", "delete those not needed"
            )
        thin = filled is not None and cells > self.cells // 4 and filled * 20 < cells
        if cells > self.cells or thin:
            corner = f"{column_letter(width - 1)}{height}"
            held = f" though it holds only {filled:,} cells" if thin else ""
            remedy = "delete the rows and columns beyond the list, and save"
            raise self.refusal("cells", where, f"stretches to cell {corner}{held}", remedy)

    def check_repetition(self, file: str, sheet: str, written: int, filled: int) -> None:
        """Refuse a sheet that is little more than repetitions of a few cells."""
        if filled > self.cells // 16 and written * 20 < filled:
            raise self.refusal(
                "cells",
                f"{file} (sheet {sheet})",
                f"repeats {written:,} cells into {filled:,}",
                "delete those beyond the list, and save",
            )

    def refusal(self, name: str, where: str, what: str, remedy: str) -> SpreadsheetError:
        """Say what is too much, how much would be allowed, and what to do."""
        limit: int = getattr(self, name)
        return SpreadsheetError(
            f"{where} {what}, more than is read; {remedy}, or raise the limit "
            f"({name}={limit}; --limit in the shell, limits=Limits(…) in Python)."
        )


def load(file: str | os.PathLike[str], limits: Limits | None = None) -> Blob:
    """Read a file's bytes, or standard input's for ``-``, once and for reading only."""
    name = os.fspath(file)
    data = read_bytes(name, limits or Limits())
    return Blob(STANDARD_INPUT if name == "-" else name, data)


def read_bytes(name: str, limits: Limits) -> bytes:
    """Read a file, or standard input for ``-``, for reading only.

    Raises
    ------
    InputError
        There is no such file, it may not be read, is no file, or changes while it is read.
    SpreadsheetError
        It is longer than the limits allow.
    """
    if name == "-":
        return _piped(sys.stdin.buffer, limits)
    try:
        # Without waiting: a pipe that nobody writes to would never open.
        with open(name, "rb", opener=_opener) as file:
            return _settled(file, name, limits)
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist; check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a directory; name the spreadsheets in it.") from error
    except PermissionError as error:
        if Path(name).is_dir():
            raise InputError(f"{name} is a directory; name the spreadsheets in it.") from error
        raise InputError(f"{name} may not be read; ask for the right to read it.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read ({error}); check the path.") from error


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _settled(file: BinaryIO, name: str, limits: Limits) -> bytes:
    before = os.fstat(file.fileno())
    for is_kind, what in _KINDS:
        if is_kind(before.st_mode):
            raise InputError(f"{name} {what}")
    limits.check_size(name, before.st_size)
    data = _at_most(file, name, limits)
    after = os.fstat(file.fileno())
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not same or len(data) != after.st_size:
        raise InputError(
            f"{name} changed while it was read; wait until it is saved, then read it again."
        )
    return data


def _piped(file: BinaryIO, limits: Limits) -> bytes:
    data = file.read(limits.piped_bytes + 1)
    if len(data) > limits.piped_bytes:
        held = f"has more than {limits.piped_bytes:,} bytes"
        raise limits.refusal("piped_bytes", STANDARD_INPUT, held, "save it as a file and name that")
    return data


def _at_most(file: BinaryIO, name: str, limits: Limits) -> bytes:
    data = file.read(limits.file_bytes + 1)
    limits.check_size(name, len(data))
    return data
