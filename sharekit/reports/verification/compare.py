"""Compare a report with one made anew from the same ledger, to the last cell."""

from __future__ import annotations

import contextlib
import csv
import html
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice, zip_longest
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

from sharekit.core.columns import with_unit
from sharekit.core.errors import InputError
from sharekit.core.html import escape_invisible

from ..document import ReportDocument
from ..render import xlsx
from ..report import FORMATS, Source, make_document, report_format
from ..wording import QUOTED, first_difference, quoted, text_difference
from .saved_workbook import (
    NotComparableError,
    UnreadableError,
    is_plain_archive,
    library_errors,
    workbook_differences,
)

#: Differences that are listed one by one; the rest is counted.
LIMIT: Final = 50
#: How reports name the head of their ledger: ``"head": "…"`` in json, ``… (12 events)`` in html
#: and xlsx.
_HEAD: Final = re.compile(
    rb'"head": "([0-9a-f]{64})"|([0-9a-f]{64}) \([0-9][^()<>]{0,20} events?\)'
)
#: Bytes read at a time, and bytes of one block that are searched again with the next.
_BLOCK, _OVERLAP = 1 << 20, 128
_OTHER_BYTES: Final = (
    "has not the bytes that this version writes, and parquet is compared by nothing else: make the "
    "report again from the ledger, and compare the two"
)
#: Where a report differs, and how.
Difference = tuple[str, str]


def differences(source: Source, path: str | PathLike[str]) -> list[Difference]:
    """Return where and how a report differs from what the run or audit says.

    A ``.csv``, ``.json`` or ``.html`` is compared byte for byte, and the first line that differs is
    named; a ``.parquet`` is equal, or proves nothing. An ``.xlsx`` is equal if all its parts are.
    Otherwise, since Excel rewrites a file that is merely saved, the values of all cells are
    compared as programs show them, and what hides or replaces values: hidden sheets, rows and
    columns, merged cells, number formats, conditional formats. Formulas, sheets added or removed,
    other names, shapes and links out of the workbook are always differences. So is an unreadable
    file.

    Raises
    ------
    NotComparableError
        If a workbook is of parts or markup that no known spreadsheet program writes, or a
        ``.parquet`` has other bytes.
    UsageError
        If no report has this suffix.
    InputError
        If there is no such file.
    """
    report = Path(path)
    suffix = report_format(report)
    if not report.is_file():
        raise InputError(f"{report}: there is no such file; name a report that was made.")
    with TemporaryDirectory(prefix="sharekit-") as scratch:
        fresh = Path(scratch) / f"fresh{suffix}"
        document = make_document(source, fresh)
        if isinstance(document, ReportDocument) and _has_all_parts(report, document, fresh):
            return []
        FORMATS[suffix](document, fresh)
        return compare_files(report, fresh)


def _has_all_parts(report: Path, document: ReportDocument, fresh: Path) -> bool:
    """Return True if a workbook has the parts of one made anew, which is packed for nobody."""
    if fresh.suffix != ".xlsx":
        return False
    with contextlib.suppress(UnreadableError), library_errors(), zipfile.ZipFile(report) as given:
        return is_plain_archive(given) and xlsx.write(document, fresh, given)
    return False


def compare_files(report: Path, fresh: Path) -> list[Difference]:
    """Return where a report differs from one that was made just now; see :func:`differences`."""
    if _same_bytes(report, fresh):
        return []
    if fresh.suffix == ".parquet":
        raise NotComparableError(_OTHER_BYTES)
    if fresh.suffix != ".xlsx":
        return _limited(report.name, _in_lines(report, fresh))
    return [] if _same_parts(report, fresh) else _limited(report.name, _in_workbook(report, fresh))


def _same_bytes(report: Path, fresh: Path) -> bool:
    if report.stat().st_size != fresh.stat().st_size:
        return False
    with report.open("rb") as given, fresh.open("rb") as wanted:
        return _same_content(given, wanted)


def _same_parts(report: Path, fresh: Path) -> bool:
    try:
        with library_errors(), zipfile.ZipFile(report) as given, zipfile.ZipFile(fresh) as wanted:
            names = given.namelist()
            return (
                is_plain_archive(given)
                and names == wanted.namelist()
                and all(_same_content(given.open(name), wanted.open(name)) for name in names)
            )
    except UnreadableError:
        return False


def _same_content(given: IO[bytes], wanted: IO[bytes]) -> bool:
    while block := given.read(_BLOCK):
        if block != wanted.read(_BLOCK):
            return False
    return not wanted.read(1)


def _limited(name: str, differing: Iterator[Difference]) -> list[Difference]:
    listed = list(islice(differing, LIMIT))
    rest = sum(1 for _ in differing)
    return [*listed, (name, with_unit(rest, "further difference"))] if rest else listed


# -- text --------------------------------------------------------------------------------------
def _in_lines(report: Path, fresh: Path) -> Iterator[Difference]:
    """Yield the first line that differs."""
    with report.open("rb") as given, fresh.open("rb") as wanted:
        for number, (says, should) in enumerate(zip_longest(given, wanted), start=1):
            if says != should:
                yield f"{report.name}, line {number}", _line_difference(says, should)
                return


def _line_difference(says: bytes | None, should: bytes | None) -> str:
    if says is None or should is None:
        return "the report ends too early" if says is None else "the report goes on too long"
    start = max(first_difference(says, should) - QUOTED // 2, 0)
    end = start + 2 * QUOTED
    one, two = (line[start:end].decode("utf-8", "backslashreplace") for line in (says, should))
    if b'name="generator"' in says and b'name="generator"' in should:
        return f"made by other versions: {quoted(one)}; these are {quoted(two)}"
    return text_difference(one, two)


# -- values of text ----------------------------------------------------------------------------
def have_same_values(source: Source, path: str | PathLike[str]) -> bool:
    """Return True if a text report says just what a fresh one does, in other bytes.

    Other versions of sharekit and of its libraries may write blanks, quotes and escapes otherwise.
    Scripts and styles must be the same, byte for byte.
    """
    report = Path(path)
    if report_format(report) not in _VALUES:
        return False
    with TemporaryDirectory(prefix="sharekit-") as scratch:
        fresh = Path(scratch) / f"fresh{report_format(report)}"
        FORMATS[fresh.suffix](make_document(source, fresh), fresh)
        try:
            texts = [path.read_bytes().decode() for path in (report, fresh)]
            values = [_VALUES[fresh.suffix](text) for text in texts]
        except (ValueError, RecursionError, csv.Error):
            return False
    return values[0] == values[1]


def _html_values(text: str) -> list[tuple[str, str]]:
    """Return tags and texts without differences that no program shows; scripts as they are."""
    values = []
    for number, part in enumerate(_HTML_PARTS.split(text)):
        blanks = re.sub(r"[ \t\r\n\f]+", " ", part)
        is_tag = number % 2 == 1
        if is_tag and part.startswith(("<script", "<style")):
            values.append(("script", part))
        elif _GENERATOR.fullmatch(part):
            values.append(("generator", ""))
        elif _LOOSE.search(_REFERENCE.sub("", part[1:-1] if is_tag else part)):
            raise ValueError("a browser may take it for the beginning of a tag, or of a comment")
        elif is_tag:  # what is escaped in a tag stays so, or it could end there
            values.append(("tag", _REFERENCE.sub(_as_escaped_here, blanks)))
        else:
            values.append(("text", html.unescape(blanks)))
    return values


def _as_escaped_here(reference: re.Match[str]) -> str:
    return html.escape(html.unescape(reference[0]))


def _json_values(text: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name comes twice")
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=unique)
    return json.dumps(value, sort_keys=True)  # 1 is no 1.0, and not true


def _csv_values(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


#: Scripts and styles as a whole, then tags; what stands between them is text.
_HTML_PARTS: Final = re.compile(r"(<(?:script|style)\b.*?</(?:script|style)>|<[^<>]*>)", re.DOTALL)
#: The references that escape a text; browsers read others otherwise in attributes than in texts.
_REFERENCE: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos|nbsp);")
#: What no page of a report holds unescaped, in texts and in tags.
_LOOSE: Final = re.compile("[<>&]")
_GENERATOR: Final = re.compile(r'<meta name="generator" content="[^"<>]*">')
_VALUES: Final[Mapping[str, Callable[[str], object]]] = {
    ".html": _html_values, ".json": _json_values, ".csv": _csv_values,
}  # fmt: skip


# -- workbooks ---------------------------------------------------------------------------------
def _in_workbook(report: Path, fresh: Path) -> Iterator[Difference]:
    found = False
    try:
        for where, what in workbook_differences(report, fresh):
            found = True
            yield f"{report.name}, {where}", escape_invisible(what)
    except UnreadableError as error:
        yield report.name, f"cannot be read as a workbook ({error})"
    except NotComparableError as error:
        what = (
            f"cannot be compared: {error}. Make the report again from the ledger, and look at that "
            "one"
        )
        if not found:
            raise NotComparableError(what) from None
        yield report.name, what


# -- the ledger's state that a report was made from --------------------------------------------
def head_of_report(report: Path) -> str:
    """Return the head of the ledger that a report names, ``""`` if it names none."""
    with contextlib.suppress(UnreadableError), library_errors():
        if report.suffix.lower() != ".xlsx":
            with report.open("rb") as file:
                return _head_in(file)
        with zipfile.ZipFile(report) as parts:
            for name in parts.namelist() if is_plain_archive(parts) else ():
                if name.endswith(".xml"):
                    with parts.open(name) as part:
                        head = _head_in(part)
                    if head:
                        return head
    return ""


def _head_in(file: IO[bytes]) -> str:
    tail = b""
    for block in iter(partial(file.read, _BLOCK), b""):
        if match := _HEAD.search(tail + block):
            return (match[1] or match[2]).decode()
        tail = block[-_OVERLAP:]
    return ""
