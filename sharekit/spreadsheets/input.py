"""Read a file's bytes, once and whole; the formats they can have, and limits on what they ask."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol, runtime_checkable

from sharekit.core.errors import InputError, SpreadsheetError, UsageError
from sharekit.core.files import shown_name

from .formats.raw_sheet import Blob, column_letter

#: Name of ``-`` in messages and reports.
STANDARD_INPUT: Final = "standard input"
#: First bytes of each kind of file that is read; what has none of them is read as text.
ZIP: Final = b"PK\x03\x04"
OLE: Final = b"\xd0\xcf\x11\xe0"
PARQUET: Final = b"PAR1"
PLAIN_TEXT: Final = b""


class Format(NamedTuple):
    """A format that is read: its name, its files' first bytes, and if they can have sheets."""

    name: str
    magic: bytes
    has_sheets: bool


FORMATS: Final = (
    Format("xlsx", ZIP, has_sheets=True),
    Format("xlsm", ZIP, has_sheets=True),
    Format("xlsb", ZIP, has_sheets=True),
    Format("xls", OLE, has_sheets=True),
    Format("ods", ZIP, has_sheets=True),
    Format("csv", PLAIN_TEXT, has_sheets=False),
    Format("tsv", PLAIN_TEXT, has_sheets=False),
    Format("parquet", PARQUET, has_sheets=False),
    Format("json", PLAIN_TEXT, has_sheets=False),
    Format("jsonl", PLAIN_TEXT, has_sheets=False),
)


def list_formats(conjunction: str = "or", *, has_sheets: bool | None = None) -> str:
    """Return the names of the formats (only those that can have sheets, or cannot).

    >>> list_formats()
    'xlsx, xlsm, xlsb, xls, ods, csv, tsv, parquet, json or jsonl'
    >>> list_formats("and", has_sheets=False)
    'csv, tsv, parquet, json and jsonl'
    """
    *others, last = (
        form.name for form in FORMATS if has_sheets is None or form.has_sheets == has_sheets
    )
    return f"{', '.join(others)} {conjunction} {last}"


#: Kinds of files that are not read, and what to do instead.
_NO_FILES: Final = (
    (stat.S_ISDIR, "is a directory; name the spreadsheets in it."),
    (stat.S_ISFIFO, "is a pipe, not a file; save it as a file, or send it to standard input (-)."),
    (stat.S_ISSOCK, "is a socket, not a file; save the spreadsheet as a file."),
    (stat.S_ISCHR, "is a device, not a file; name a spreadsheet."),
    (stat.S_ISBLK, "is a device, not a file; name a spreadsheet."),
)
_MIB: Final = 1 << 20


@runtime_checkable
class HasRead(Protocol):
    """A file that is open for reading, of bytes or text."""

    def read(self, size: int = -1, /) -> bytes | str:
        """Read so many bytes or characters."""


@dataclass(frozen=True)
class Limits:
    """The most that one spreadsheet may hold; every list of shares stays far below.

    A million rows of fifty columns pass. A file beyond a limit is rejected before it is unpacked.

    Attributes
    ----------
    file_bytes : int
        Size of the file.
    piped_bytes : int
        Bytes read from standard input or a file object, which may never end.
    json_bytes : int
        Size of a JSON file, whose objects take many times as much memory.
    inflated_bytes : int
        Size of all parts of a workbook once unpacked, or of the text of a parquet file.
    strings_bytes : int
        Size of a workbook's table of shared strings once unpacked; readers hold it in memory.
    ratio : int
        Ratio of unpacked to packed size of a part larger than 64 MiB.
    parts, sheets, columns : int
        Number of files in a workbook, of its sheets, and of columns of one sheet.
    merges : int
        Number of merged ranges of a sheet.
    cells : int
        Height times width of a sheet, from its first to its last cell; blank cells count, since
        they take memory as well. Of more than a quarter of it, one cell in twenty must be filled;
        of more than a sixteenth, one cell in twenty must be written out and not be a repetition
        of its neighbour (OpenDocument).

    Examples
    --------
    >>> Limits(sheets=3).sheets
    3
    """

    file_bytes: int = 2048 * _MIB
    piped_bytes: int = 512 * _MIB
    json_bytes: int = 512 * _MIB
    inflated_bytes: int = 4096 * _MIB
    strings_bytes: int = 512 * _MIB
    ratio: int = 250
    parts: int = 20_000
    sheets: int = 1_000
    columns: int = 16_384
    merges: int = 100_000
    cells: int = 64 * _MIB

    def __post_init__(self) -> None:
        for name, limit in vars(self).items():
            if not isinstance(limit, Integral) or limit < 0:
                raise UsageError(f"Limits({name}={limit!r:.40}): a limit is a whole number.")

    def check_size(self, file: str, size: int) -> None:
        """Refuse a file that is too long.

        Raises
        ------
        SpreadsheetError
            It has more than ``file_bytes``.
        """
        if size > self.file_bytes:
            raise self.refusal("file_bytes", file, f"has {size:,} bytes", "split it into several")

    def check_dimensions(
        self, file: str, sheet: str, height: int, width: int, filled: int | None = None
    ) -> None:
        """Refuse a sheet whose rows and columns would fill the memory.

        Raises
        ------
        SpreadsheetError
            The limit that it is beyond, and what to do.
        """
        location = f"{file} (sheet {sheet})" if sheet else file
        cells = height * width
        if width > self.columns:
            raise self.refusal(
                "columns", location, f"has {width:,} columns", "delete those not needed"
            )
        sparse = filled is not None and cells > self.cells // 4 and filled * 20 < cells
        if cells > self.cells or sparse:
            corner = f"{column_letter(width - 1)}{height}"
            count = f" though it holds only {filled:,} cells" if sparse else ""
            remedy = "delete the rows and columns beyond the list, and save"
            raise self.refusal("cells", location, f"reaches to cell {corner}{count}", remedy)

    def check_repetition(self, file: str, sheet: str, written: int, filled: int) -> None:
        """Refuse a sheet that mostly repeats a few cells.

        Raises
        ------
        SpreadsheetError
            It would be a bomb: many cells from little that is written.
        """
        if filled > self.cells // 16 and written * 20 < filled:
            raise self.refusal(
                "cells",
                f"{file} (sheet {sheet})",
                f"repeats {written:,} cells into {filled:,}",
                "delete those beyond the list, and save",
            )

    def refusal(self, name: str, location: str, excess: str, remedy: str) -> SpreadsheetError:
        """Word the error for what is beyond a limit.

        Returns
        -------
        SpreadsheetError
            It names the limit and says what to do; nothing is raised.
        """
        limit: int = getattr(self, name)
        return SpreadsheetError(
            f"{location} {excess}, which is beyond the limit ({name}={limit}); {remedy}, or raise "
            "it:",
            in_python=f"limits=sharekit.Limits({name}=NUMBER).",
            in_shell=f"--limit {name}=NUMBER.",
        )


def load(file: str | os.PathLike[str], limits: Limits | None = None) -> Blob:
    """Read a file, or standard input for ``-``, for reading only.

    Raises
    ------
    InputError
        The file does not exist, may not be read, is no file, or changes while it is read.
    SpreadsheetError
        The file is longer than the limits allow.
    """
    name, limits = os.fspath(file), limits or Limits()
    if name == "-":
        if sys.stdin is None:
            raise InputError("Standard input is closed; name a file, or send one to it.")
        return Blob(STANDARD_INPUT, _read_piped(sys.stdin.buffer, STANDARD_INPUT, limits))
    text = name.strip()
    is_data = "\n" in text or text[:1] + text[-1:] in ("[]", "{}")
    if is_data and not os.access(name, os.F_OK):
        raise InputError("This text is data and no path: give it as io.StringIO(text).")
    try:
        with _open(name) as stream:
            return Blob(shown_name(name), _read_unchanged(stream, name, limits))
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist; check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a directory; name the spreadsheets in it.") from error
    except PermissionError as error:
        if Path(name).is_dir():
            raise InputError(f"{name} is a directory; name the spreadsheets in it.") from error
        raise InputError(f"{name} may not be read; ask for permission to read it.") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error}); check the path.") from error


def _open(name: str) -> BinaryIO:
    try:
        # Without waiting: a pipe that nobody writes to would never open.
        return open(name, "rb", opener=_opener)
    except ValueError as error:  # a null byte, or a letter that no file's name can hold
        raise InputError(f"{name!r} is no name of a file ({error}); check the path.") from error


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read_unchanged(stream: BinaryIO, name: str, limits: Limits) -> bytes:
    before = os.fstat(stream.fileno())
    for is_kind, what in _NO_FILES:
        if is_kind(before.st_mode):
            raise InputError(f"{name} {what}")
    limits.check_size(name, before.st_size)
    data = stream.read(before.st_size + 1)  # no room for more is asked for: it may not be there
    after = os.fstat(stream.fileno())
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not same or len(data) != after.st_size:
        raise InputError(
            f"{name} changed while it was read; wait until it is saved, then read it again."
        )
    return data


def load_content(
    content: bytes | bytearray | memoryview | HasRead, name: str,
    limits: Limits | None = None,
) -> Blob:  # fmt: skip
    """Return the bytes of a file that is in memory, or open already, from where it stands.

    Raises
    ------
    InputError
        It is closed, or not open for reading.
    SpreadsheetError
        It is longer than the limits allow.
    """
    name, limits = shown_name(name), limits or Limits()
    if isinstance(content, bytes | bytearray | memoryview):
        limits.check_size(name, len(content))
        return Blob(name, bytes(content))
    try:
        return Blob(name, _read_piped(getattr(content, "buffer", content), name, limits))
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read ({error}); open it for reading.") from error


def _read_piped(stream: HasRead, name: str, limits: Limits) -> bytes:
    read = stream.read(limits.piped_bytes + 1)
    data = read.encode() if isinstance(read, str) else read
    if len(data) > limits.piped_bytes:
        excess = f"has more than {limits.piped_bytes:,} bytes"
        raise limits.refusal("piped_bytes", name, excess, "save it as a file and name that")
    return data
