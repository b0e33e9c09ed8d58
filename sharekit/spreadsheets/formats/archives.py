"""Looking into a zip archive before anything else unpacks it.

What an archive says about its sizes is checked against the limits first and against the bytes
afterwards: the readers that follow believe every size they are told, or none.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from isal import igzip_lib, isal_zlib

from sharekit.core.errors import SpreadsheetError
from sharekit.core.html import visible
from sharekit.spreadsheets.input import Limits

_Damaged: Final[type[Exception]] = igzip_lib.IsalError  # type: ignore[assignment]  # its stub
#: Deflate cannot do better than this, whatever an archive claims.
_BEST_RATIO: Final = 1032
#: From here on, the ratio counts.
_LARGE: Final = 64 << 20
_FAR: Final = 1 << 40
_CHUNK: Final = 1 << 20
_HEAD: Final = 4096
#: What the readers load when they open a workbook, before any sheet.
_LOADED: Final = re.compile(
    r"(?:.*/)?(?:sharedStrings|styles|workbook)\.(?:xml|bin)", re.IGNORECASE
)
_DECLARED: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)")


class _Inflating:
    """A deflated part as a stream; ISA-L takes half the time of the zlib that zipfile uses."""

    def __init__(self, archive: ZipFile, info: ZipInfo) -> None:
        packed = copy.copy(info)
        packed.compress_type, packed.file_size = ZIP_STORED, info.compress_size
        del packed.CRC  # that of the text, not of these bytes
        self._packed = archive.open(packed)
        self._inflate = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS)
        self._expected, self._crc = info.CRC, 0

    def read(self, size: int = -1) -> bytes:
        """Read on: some bytes, none at the end; EOFError or BadZipFile if it is damaged."""
        text = b""
        while not text and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._packed.read(_CHUNK)
            try:
                text = self._inflate.decompress(packed, max(size, 0))
            except _Damaged as error:
                raise BadZipFile(str(error)) from None
            if not packed and not text and not self._inflate.eof:
                raise EOFError("it ends too early")
        self._crc = isal_zlib.crc32(text, self._crc)
        if not text and self._crc != self._expected:
            raise BadZipFile("a checksum is wrong")
        return text

    def close(self) -> None:
        """Close the stream of packed bytes."""
        self._packed.close()


class Measured:
    """A part of an archive as a stream that is no longer than the archive says."""

    def __init__(self, archive: ZipFile, name: str, file: str) -> None:
        info = archive.getinfo(name)
        self._stream = _opened(archive, info)
        self._left = info.file_size
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Read on; SpreadsheetError if more comes than was told."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise SpreadsheetError(
                f"{self._file} tells a wrong size of what is packed in it; open it in a "
                "spreadsheet program, save it again, and use the new file."
            )
        return data

    def __enter__(self) -> IO[bytes]:
        return self  # type: ignore[return-value]  # read() is all that is asked of it

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _opened(archive: ZipFile, info: ZipInfo) -> _Inflating | IO[bytes]:
    if info.compress_type == ZIP_DEFLATED:
        return _Inflating(archive, info)
    lenient = copy.copy(info)
    lenient.file_size += _FAR  # zipfile stops at this size, whatever more there is
    return archive.open(lenient)


def check_archive(archive: ZipFile, file: str, limits: Limits) -> None:
    """Refuse an archive that would unpack to too much, lies about it, or declares entities."""
    infos = archive.infolist()
    if any(info.flag_bits & 1 for info in infos):
        raise password_error(file)
    if len(infos) > limits.parts:
        raise limits.refusal("parts", file, f"holds {len(infos):,} parts", "save it anew")
    twice = [name for name, times in Counter(archive.namelist()).items() if times > 1]
    if twice:
        raise SpreadsheetError(
            f"{file} holds the part {twice[0]} twice, so programs would read it differently; "
            "open it in a spreadsheet program, save it again, and use the new file."
        )
    total = sum(info.file_size for info in infos)
    if total > limits.inflated_bytes:
        raise limits.refusal("inflated_bytes", file, f"unpacks to {total:,} bytes", "split it")
    for info in infos:
        _check_part(archive, info, file, limits)


def _check_part(archive: ZipFile, info: ZipInfo, file: str, limits: Limits) -> None:
    ratio = info.file_size // max(info.compress_size, 1)
    if info.file_size > _LARGE and ratio > limits.ratio:
        raise limits.refusal(
            "ratio",
            file,
            f"holds a part ({visible(info.filename[:60])}) that unpacks to {ratio:,} times its "
            "size",
            "it may be an attack, so ask where it comes from",
        )
    strings = "sharedstrings" in info.filename.lower()
    if strings and info.file_size > limits.strings_bytes:
        held = f"holds {info.file_size:,} bytes of texts"
        raise limits.refusal("strings_bytes", file, held, "split it")
    if info.filename.endswith((".xml", ".rels")):
        with archive.open(info) as stream:
            refuse_declarations(stream.read(_HEAD), file)
    if _LOADED.fullmatch(info.filename) and info.compress_size * _BEST_RATIO > limits.strings_bytes:
        with Measured(archive, info.filename, file) as stream:
            while stream.read(_CHUNK):
                pass


def refuse_declarations(head: bytes, file: str) -> None:
    """Refuse XML that declares a document type: no workbook does, and entities come with it."""
    if _DECLARED.search(head):
        raise SpreadsheetError(
            f"{file} declares XML entities, which no workbook does; it may be an attack, so ask "
            "where it comes from."
        )


def password_error(file: str) -> SpreadsheetError:
    """Explain that a file is encrypted."""
    return SpreadsheetError(
        f"{file} is password-protected; save a copy without a password and use that."
    )
