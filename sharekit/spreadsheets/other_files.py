"""Files that are something else than a spreadsheet, by their first bytes or by their name."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sharekit.core.errors import SpreadsheetError

from .formats.raw_sheet import Blob
from .input import OLE, ZIP, list_formats

#: Bytes in which the first ones that are no white space are looked for.
HEAD: Final = 4096
_SAVE_AGAIN: Final = "open it in a spreadsheet program, save it as .xlsx, and use the new file"
_UNLABELLED: Final = "save a copy under a label without encryption, and use that"
#: First bytes -> what the file is, and what to do if it is not simply to give another one. Tags
#: and headers of mails are looked for in any case.
_KINDS: Final = (
    (rb"%PDF", "a PDF", ""),
    (rb"\x1f\x8b", "a gzip archive", ""),
    (rb"7z\xbc\xaf\x27\x1c|Rar!|BZh[1-9]|\xfd7zXZ", "an archive", "unpack it first"),
    (
        rb"(?i)(?:[\w-]+:[^\n]*\n(?:[ \t]+[^\n]*\n)*){0,20}?mime-version\s*:",
        "a web page in one file (MHTML), which some portals and Excel give the suffix .xls",
        _SAVE_AGAIN,
    ),
    (
        rb"(?is)<\?xml\b.*?(?:progid=\"Excel\.Sheet\"|urn:schemas-microsoft-com:office:spreadsheet)",
        "an XML spreadsheet of Excel 2003",
        _SAVE_AGAIN,
    ),
    (rb"(?is)<\?xml\b.*?<office:document\b", "a flat OpenDocument file (XML)", _SAVE_AGAIN),
    (
        rb"(?is)<(?:!doctype\s+html|html|head|body|meta|style|table|div|font)\b"
        rb"|<\?xml\b[^<]*<(?:!doctype\s+html|html)\b|<!--.*?<(?:html|table)\b",
        "HTML (a web page, to which some portals give the suffix .xls)",
        _SAVE_AGAIN,
    ),
    (b"<", "XML", ""),
    (rb"\{\\rtf", "a text document (RTF)", ""),
    (rb"\[InternetShortcut\]", "a link to a web page", "download what it leads to"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "run git lfs pull first"),
    (rb"\.pfile", "encrypted by a sensitivity label", _UNLABELLED),
    (rb"\x89PNG", "a picture", ""),
    (rb"\xff\xd8\xff", "a picture", ""),
    (rb"SQLite format 3", "a database", ""),
)
#: Names of lock files: what Excel, and what LibreOffice, keeps beside a workbook that is open.
_LOCKS: Final = (re.compile(r"~\$(.+)"), re.compile(r"\.~lock\.(.+)#"))
#: Parts of an encrypted workbook that a sensitivity label leaves there, and a password does not.
_LABELLED: Final = tuple(
    name.encode("utf-16-le")
    for name in ("DRMEncryptedTransform", "DRMEncryptedDataSpace", "\tDRMContent")
)


def check_is_table(blob: Blob) -> None:
    """Raise SpreadsheetError for a file that its first bytes show to be something else."""
    head = head_of(blob.data)
    for pattern, kind, advice in _KINDS:
        if re.match(pattern, head):
            what = advice or f"give an {list_formats()} file"
            raise SpreadsheetError(f"{blob.file} is {kind}, not a spreadsheet; {what}.")


def check_is_unlabelled(blob: Blob) -> None:
    """Raise SpreadsheetError for a workbook that a sensitivity label has encrypted."""
    if any(name in blob.data for name in _LABELLED):
        raise SpreadsheetError(
            f"{blob.file} is encrypted by a sensitivity label (rights management), so only the "
            f"people that it names can open it; {_UNLABELLED}."
        )


def without_lock_files(
    files: Sequence[str | os.PathLike[str]],
) -> tuple[list[str | os.PathLike[str]], list[str]]:
    """Return the files to read, and the lock files among them that a pattern may have matched.

    Raises
    ------
    SpreadsheetError
        There is nothing but lock files.
    """
    locks = [os.fspath(file) for file in files if _is_lock_file(Path(file))]
    others = [file for file in files if os.fspath(file) not in locks]
    if locks and not others:
        raise SpreadsheetError(
            f"{locks[0]} is the lock file that a spreadsheet program keeps while somebody has the "
            f"workbook open; give {locked_file(locks[0])} itself, once it is saved and closed."
        )
    return others, locks


def locked_file(lock: str) -> str:
    """Return the path of the file that a lock file is for.

    >>> locked_file("team/~$shares.xlsx"), locked_file(".~lock.shares.ods#")
    ('team/shares.xlsx', 'shares.ods')
    """
    path = Path(lock)
    matches = [pattern.fullmatch(path.name) for pattern in _LOCKS]
    return next((str(path.with_name(match[1])) for match in matches if match), lock)


def _is_lock_file(path: Path) -> bool:
    if not any(pattern.fullmatch(path.name) for pattern in _LOCKS) or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return not stream.read(len(ZIP)).startswith((ZIP, OLE))
    except OSError:  # Windows lets nobody read it while the workbook is open
        return True


def head_of(data: bytes) -> bytes:
    """Return the first bytes that are no white space, as UTF-8 if a byte order mark tells so."""
    head = data[:HEAD]
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if head.startswith(mark):
            head = head.removeprefix(mark).decode(encoding, "ignore").encode("utf-8", "ignore")
    return head.removeprefix(codecs.BOM_UTF8).lstrip()
