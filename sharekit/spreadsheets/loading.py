"""A file's bytes, read once, whole, and never from something that is no file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Final

from sharekit.core.errors import InputError

from .limits import Limits

#: What ``-`` is called wherever people read of it.
STANDARD_INPUT: Final = "standard input"
_KINDS: Final = (
    (stat.S_ISDIR, "is a directory; name the spreadsheets in it."),
    (stat.S_ISFIFO, "is a pipe, not a file; save it as a file, or send it to standard input (-)."),
    (stat.S_ISSOCK, "is a socket, not a file; save the spreadsheet as a file."),
    (stat.S_ISCHR, "is a device, not a file; name a spreadsheet."),
    (stat.S_ISBLK, "is a device, not a file; name a spreadsheet."),
)


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
