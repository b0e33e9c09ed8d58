"""What is wrong with a workbook that no reader can open, in words for people."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

import fastexcel
import python_calamine

from sharekit.core.errors import SpreadsheetError

from .archives import Measured, password_error

_CHUNK: Final = 1 << 20
#: Longer than any tag searched for.
_TAG: Final = 4096
_TEXT: Final = re.compile(rb"<(?:[\w.-]+:)?si[\s>/]")
#: A cell that refers to the table of texts.
_SHARED: Final = re.compile(
    rb"""<(?:[\w.-]+:)?c\s(?=[^>]*\st=["']s["'])[^>]*?r=["']([A-Z]+[0-9]+)["'][^>]*>\s*"""
    rb"<(?:[\w.-]+:)?v>([^<]*)<"
)
_PART: Final = re.compile(r"for file '([\w/.\[\]-]+)'")


def is_damage(error: BaseException) -> bool:
    """Tell what a reader raises over a damaged workbook from what means something else."""
    # Rust panics arrive as a BaseException whose class cannot be imported.
    return type(error).__name__ == "PanicException" or isinstance(
        error,
        (
            fastexcel.FastExcelError,
            python_calamine.CalamineError,
            BadZipFile,
            ParseError,
            EOFError,
            LookupError,
            NotImplementedError,
            RuntimeError,
            StopIteration,
            ValueError,
            OSError,
            zlib.error,
        ),
    )


def explained(error: BaseException, file: str) -> SpreadsheetError:
    """Say in one sentence what a reader's error means, and what to do."""
    told = str(error)
    if isinstance(error, python_calamine.PasswordError):
        return password_error(file)
    if isinstance(error, BadZipFile) and "not a zip file" in told:
        return SpreadsheetError(f"{file} is cut off: its end is missing; copy or download it anew.")
    part = _PART.search(told)
    reason = f"its part {part[1]} is damaged" if part else "it is damaged or lacks a part"
    return SpreadsheetError(
        f"{file} cannot be read as a workbook ({reason}); "
        "open it in a spreadsheet program, save it again as .xlsx, and use the new file."
    )


def missing_text(archive: ZipFile, file: str, member: str, strings: str) -> str:
    """Address of the first cell of a sheet's part whose text the table does not hold, or ``""``.

    ``strings`` is the name of the table's part, ``""`` if there is none.
    """
    count = sum(1 for _ in _found(archive, strings, file, _TEXT)) if strings else 0
    for match in _found(archive, member, file, _SHARED):
        number = match[2].strip()
        if not number.isdigit() or int(number) >= count:
            return match[1].decode()
    return ""


def cell_of_text(archive: ZipFile, file: str, member: str, place: int) -> str:
    """Address of the first cell of a sheet's part that shows a text of the table, or ``""``."""
    for match in _found(archive, member, file, _SHARED):
        if match[2].strip() == b"%d" % place:
            return match[1].decode()
    return ""


def _found(
    archive: ZipFile, member: str, file: str, pattern: re.Pattern[bytes]
) -> Iterator[re.Match[bytes]]:
    with Measured(archive, member, file) as stream:
        text = b""
        while chunk := stream.read(_CHUNK):
            text += chunk
            end = 0
            for match in pattern.finditer(text):
                end = match.end()
                yield match
            text = text[max(end, len(text) - _TAG) :]
