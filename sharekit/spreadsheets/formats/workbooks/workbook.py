"""xlsx, xlsm, xlsb and ods, read by ``fastexcel`` as text; typed cells only where asked for.

What can be known, by format: types, error cells, hidden sheets in all of them; hidden rows and
columns, merged cells, formulas without a saved result and number formats that display another text
in xlsx, xlsm and ods. What would take every reader long, or what programs would read differently,
is refused before the values are read.
"""

from __future__ import annotations

import copy
import functools
import io
import logging
import posixpath
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, Any, Final
from xml.etree import ElementTree
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharekit.core.errors import SpreadsheetError
from sharekit.core.html import escape_html, shorten
from sharekit.spreadsheets.input import Limits, list_formats

from ..cell_types import CellTypes, reader_errors
from ..raw_sheet import (
    Blob,
    DamagedError,
    DialectError,
    RawSheet,
    SheetMetadata,
    damage_error,
    padded,
    password_error,
    text_column,
)
from .links import Link
from .links import sheet_links as sheet_hyperlinks
from .number_formats import TextFormats
from .ods import read_ods_styles, scan_ods
from .strikes import StrikeFinder, Strikes, struck_texts
from .xlsb import scan_xlsb, sheet_links
from .xlsx import (
    LAST_ROW,
    SheetScan,
    elements,
    local_name,
    parse_xlsx,
    read_styles,
    scan_xlsx,
)

#: Given a workbook's sheet names, the positions of those to read.
Choice = Callable[[Sequence[str]], list[int]]

#: Deflate cannot do better than this, whatever an archive claims.
_BEST_RATIO: Final = 1032
#: Smaller parts may be packed at any ratio: they cannot fill the memory.
_SMALL_PART: Final = 64 << 20
#: Added to a part's size, so that zipfile does not stop there if the archive tells a wrong one.
_BEYOND: Final = 1 << 40
_CHUNK: Final = 1 << 20
_HEAD: Final = 4096
#: What the readers load when they open a workbook, before any sheet.
_LOADED: Final = re.compile(
    r"(?:.*/)?(?:sharedStrings|styles|workbook)\.(?:xml|bin)", re.IGNORECASE
)
_DECLARED: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)")
_ENCODED: Final = re.compile(rb"""<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]*)["']""")
#: What XML is written in; Python knows more encodings, some of which are no text.
_ENCODINGS: Final = frozenset({b"utf-8", b"utf8", b"utf-16", b"us-ascii", b"iso-8859-1"})
#: The name under which an OpenDocument keeps what its formulas refer to elsewhere.
_CACHED: Final = re.compile(r"'.*'#\$?.", re.DOTALL)
_ATTRIBUTES: Final = rb"""(?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*?"""
#: The root of the table of texts, its texts with their prefix, and what changes the vocabulary.
_STRINGS: Final = re.compile(rb"<([\w.-]+:)?sst" + _ATTRIBUTES + rb"\s*/?>")
_STRING: Final = re.compile(rb"<((?:[\w.-]+:)?)(?:si|t|r)[\s>/]")
_REDECLARED: Final = re.compile(rb"<[\w:.-]+" + _ATTRIBUTES + rb"\s+xmlns")
_LONGEST_TAG: Final = 4096
_ERRORS: Final = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
    "GettingData": "#GETTING_DATA",
}
#: What is not read of a sheet's appearance in xlsb.
_UNREAD: Final = "number formats, hidden rows and columns, merged cells, links, crossed-out text"
_DURATION: Final = re.compile(r'DurationIso\("([^"]*)"\)')
_ERROR_NAME: Final = re.compile(r"Error\((\w+)\)")

# The reader logs chart sheets as warnings; with no handler, Python would print them to stderr.
logging.getLogger("calamine").addHandler(logging.NullHandler())


def read_workbook(blob: Blob, choose: Choice, limits: Limits | None = None) -> list[RawSheet]:
    """Read the chosen sheets of an xlsx, xlsm, xlsb or ods.

    Raises
    ------
    SpreadsheetError
        The bytes are damaged, encrypted, an archive of something else, or beyond the limits.
    """
    limits = limits or Limits()
    try:
        with _open_archive(blob.data) as archive:
            check_archive(archive, blob.file, limits)
            workbook = Workbook(blob, archive_format(blob, archive), archive, limits)
            visible_sheets = workbook.visible_sheets
            chosen = choose([workbook.names[index] for index in visible_sheets])
            return [_read_sheet(workbook, visible_sheets[index]) for index in chosen]
    # Only what our own checks and the parsers of zip and XML raise over bytes.
    except (DamagedError, BadZipFile, ElementTree.ParseError, EOFError, zlib.error) as error:
        raise _explain(error, blob.file) from error


def _open_archive(data: bytes) -> ZipFile:
    try:
        return ZipFile(io.BytesIO(data))
    except (ValueError, struct.error, NotImplementedError, OverflowError, OSError) as error:
        raise DamagedError(str(error)) from error


def _explain(error: Exception, file: str) -> SpreadsheetError:
    if "not a zip file" in str(error):
        return SpreadsheetError(f"{file} is cut off: its end is missing; copy or download it anew.")
    return damage_error(file, str(error))


class SizeCheckedStream:
    """A part of an archive as a stream that is no longer than the archive says."""

    def __init__(self, archive: ZipFile, name: str, file: str) -> None:
        try:
            info = archive.getinfo(name)
        except KeyError as error:
            raise DamagedError(f"the part {name} is missing") from error
        self._stream = _open_part(archive, info)
        self._left = info.file_size
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Read on; raise SpreadsheetError if more comes than the archive says."""
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


def _open_part(archive: ZipFile, info: ZipInfo) -> IO[bytes]:
    lenient = copy.copy(info)
    lenient.file_size += _BEYOND
    try:
        return archive.open(lenient)
    except (ValueError, struct.error, OSError) as error:
        raise DamagedError(str(error)) from error


def check_archive(archive: ZipFile, file: str, limits: Limits) -> None:
    """Refuse an archive that would unpack to too much, lies about it, or declares entities."""
    infos = archive.infolist()
    if any(info.flag_bits & 1 for info in infos):
        raise password_error(file)
    if any(info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in infos):
        raise DamagedError("a part is packed in a way that workbooks are not")
    if len(infos) > limits.parts:
        raise limits.refusal("parts", file, f"holds {len(infos):,} parts", "save it anew")
    repeated = [name for name, times in Counter(archive.namelist()).items() if times > 1]
    if repeated:
        raise SpreadsheetError(
            f"{file} holds the part {escape_html(shorten(repeated[0]))} twice, so programs would "
            "read it differently; open it in a spreadsheet program, save it again, and use the new "
            "file."
        )
    total = sum(info.file_size for info in infos)
    if total > limits.inflated_bytes:
        raise limits.refusal("inflated_bytes", file, f"unpacks to {total:,} bytes", "split it")
    for info in infos:
        _check_part(archive, info, file, limits)


def _check_part(archive: ZipFile, info: ZipInfo, file: str, limits: Limits) -> None:
    ratio = info.file_size // max(info.compress_size, 1)
    if info.file_size > _SMALL_PART and ratio > limits.ratio:
        raise limits.refusal(
            "ratio",
            file,
            f"holds a part ({escape_html(shorten(info.filename))}) that unpacks to {ratio:,} times "
            "its size",
            "it may be an attack, so ask where it comes from",
        )
    if "sharedstrings" in info.filename.lower() and info.file_size > limits.strings_bytes:
        held = f"holds {info.file_size:,} bytes of texts"
        raise limits.refusal("strings_bytes", file, held, "split it")
    if info.filename.endswith((".xml", ".rels")):
        with _open_part(archive, info) as stream:
            _check_declarations(stream.read(_HEAD), file)
    if _LOADED.fullmatch(info.filename) and info.compress_size * _BEST_RATIO > limits.strings_bytes:
        with SizeCheckedStream(archive, info.filename, file) as part:
            while part.read(_CHUNK):
                pass


def _check_declarations(head: bytes, file: str) -> None:
    """Refuse XML that declares a document type: no workbook does, and entities come with it."""
    if _DECLARED.search(head):
        raise SpreadsheetError(
            f"{file} declares XML entities, which no workbook does; it may be an attack, so ask "
            "where it comes from."
        )
    encoded = _ENCODED.match(head)
    if encoded and encoded[1].lower() not in _ENCODINGS:
        raise DamagedError(f"XML is written as {encoded[1]!r}")


def archive_format(blob: Blob, archive: ZipFile) -> str:
    """Return the kind of workbook that an archive is; raise SpreadsheetError if it is none."""
    names = set(archive.namelist())
    if any(name.endswith("xl/workbook.bin") for name in names):
        return "xlsb"
    if "[Content_Types].xml" in names and any(name.startswith("xl/") for name in names):
        types = _read_part(archive, blob.file, "[Content_Types].xml")
        return "xlsm" if b"macroEnabled" in types else "xlsx"
    if "content.xml" in names and b"spreadsheet" in _read_part(archive, blob.file, "mimetype"):
        manifest = _read_part(archive, blob.file, "META-INF/manifest.xml")
        if b"encryption-data" in manifest:
            raise password_error(blob.file)
        return "ods"
    raise SpreadsheetError(
        f"{blob.file} is a zip archive, but not a workbook; give an {list_formats()} file."
    )


def _read_part(archive: ZipFile, file: str, name: str) -> bytes:
    """Return a part that is small in every workbook; nothing if there is none."""
    if name not in archive.namelist():
        return b""
    with SizeCheckedStream(archive, name, file) as stream:
        return b"".join(iter(lambda: stream.read(_CHUNK), b""))


@dataclass(frozen=True)
class Workbook:
    """An opened workbook: its archive, and the fast reader on the same bytes."""

    blob: Blob
    format: str
    archive: ZipFile
    limits: Limits

    @functools.cached_property
    def reader(self) -> fastexcel.ExcelReader:
        """The reader that gives every cell as text; it unpacks all sheets of an OpenDocument."""
        if self.format == "ods" and len(self.ods_scans) > self.limits.sheets:
            raise self._too_many_sheets(len(self.ods_scans))
        with reader_errors(self.blob.file):
            return fastexcel.read_excel(self.blob.data)

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of all sheets, in the order of their tabs."""
        names = list(self.reader.sheet_names)
        if len(names) > self.limits.sheets:
            raise self._too_many_sheets(len(names))
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise SpreadsheetError(
                f"{self.blob.file} has two sheets named {name}, so one would be read for both; "
                "rename one of them in a spreadsheet program, and save it."
            )
        return names

    def _too_many_sheets(self, count: int) -> SpreadsheetError:
        held = f"holds {count:,} sheets"
        return self.limits.refusal("sheets", self.blob.file, held, "split it into several")

    @functools.cached_property
    def visible_sheets(self) -> list[int]:
        """Positions of the sheets that people have tabs for: not copies of other workbooks'."""
        names = enumerate(self.names)
        return [i for i, name in names if self.format != "ods" or not _CACHED.match(name)]

    @property
    def is_xlsx(self) -> bool:
        """Whether the sheets are XML as xlsx has it."""
        return self.format in ("xlsx", "xlsm")

    def part(self, name: str) -> SizeCheckedStream:
        """Open a part of the archive."""
        return SizeCheckedStream(self.archive, name, self.blob.file)

    @functools.cached_property
    def relations(self) -> tuple[str, dict[str, tuple[str, str]]]:
        """The name of the workbook's own part, and ID -> (role, name) of those it relates to."""
        package = self._relations("")
        main = [name for role, name in package.values() if role == "officeDocument"]
        if not main:
            raise DamagedError("no part is called the workbook")
        return main[0], self._relations(main[0])

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if part and relations not in self.archive.namelist():
            return {}
        with self.part(relations) as stream:
            root = ElementTree.parse(stream).getroot()  # noqa: S314 - bounded by expat itself
        return {
            link.get("Id", ""): (
                posixpath.basename(link.get("Type", "")),
                posixpath.normpath(posixpath.join("/", folder, link.get("Target", ""))).lstrip("/"),
            )
            for link in root
        }

    def related_part(self, role: str) -> str:
        """Name the part that has a role, such as styles; ``""`` if none has."""
        names = set(self.archive.namelist())
        parts = (name for kind, name in self.relations[1].values() if kind == role)
        return next((name for name in parts if name in names), "")

    @functools.cached_property
    def sheet_parts(self) -> list[tuple[str, bool]]:
        """The sheets' parts, and whether they are hidden (which only an xlsx tells here)."""
        main, relations = self.relations
        if self.is_xlsx:
            with self.part(main) as stream:
                root = ElementTree.parse(stream)  # noqa: S314 - bounded by expat itself
            sheets = [e for e in root.iter() if local_name(e.tag) == "sheet"]
            links = [(_link(e), e.get("state", "visible") != "visible") for e in sheets]
        else:
            data = _read_part(self.archive, self.blob.file, main)
            links = [(link, False) for link in sheet_links(data)]
        if not all(link in relations for link, _ in links):
            raise DamagedError("a sheet has no part")
        parts = [(relations[link][1], hidden) for link, hidden in links]
        if len({name for name, _ in parts}) < len(parts):
            raise SpreadsheetError(
                f"{self.blob.file} shows the same sheet under two names; open it in a spreadsheet "
                "program, save it again, and use the new file."
            )
        return parts

    def sheet_part(self, index: int) -> tuple[str, bool]:
        """Return the part of a sheet, and whether it is hidden."""
        if index >= len(self.sheet_parts):
            raise DamagedError("a sheet has no part")
        return self.sheet_parts[index]

    @functools.cached_property
    def styles(self) -> tuple[TextFormats, Strikes]:
        """The number formats that display another text, and what crosses out cells."""
        name = self.related_part("styles")
        if not name:
            return TextFormats(), Strikes()
        with self.part(name) as stream:
            return read_styles(stream)

    @functools.cached_property
    def texts(self) -> _TextTable:
        """What the table of texts holds besides plain texts."""
        name = self.related_part("sharedStrings")
        if not name:
            return _TextTable()
        with self.part(name) as stream:
            texts = _scan_texts(stream)
        if not texts.may_strike:
            return texts
        with self.part(name) as stream:
            return replace(texts, struck=struck_texts(elements(stream, "si")))

    def find_strikes(self, part: str) -> StrikeFinder:
        """Return a finder of struck cells for a sheet, with what its tables strike."""
        strikes = replace(self.styles[1], texts=self.texts.struck)
        finder = StrikeFinder(strikes)
        for target in self._related(part, "table") if strikes.conditions else ():
            with self.part(target) as stream:
                finder.add_table(ElementTree.parse(stream).getroot())  # noqa: S314 - bounded by expat itself
        return finder

    def find_comments(self, part: str) -> tuple[str, ...]:
        """Return the addresses of a sheet's cells that have a comment, old or new ones."""
        found: dict[str, None] = {}
        for target in self._related(part, "comments", "threadedComment"):
            with self.part(target) as stream:
                comments = elements(stream, "comment", "threadedComment")
                found |= dict.fromkeys(comment.get("ref", "") for comment in comments)
        return tuple(ref for ref in found if re.fullmatch("[A-Z]{1,3}[0-9]{1,7}", ref))

    def _related(self, part: str, *roles: str) -> list[str]:
        """Return the parts that are there and that a part relates to in some roles."""
        names = set(self.archive.namelist())
        return [t for kind, t in self._relations(part).values() if kind in roles and t in names]

    def find_links(self, part: str) -> Iterator[Link]:
        """Yield the hyperlinks of a sheet whose target holds an ID; formulas are not looked at."""
        folder, name = posixpath.split(part)
        links = posixpath.join(folder, "_rels", f"{name}.rels")
        if links not in self.archive.namelist():
            return
        with self.part(links) as stream:
            root = ElementTree.parse(stream).getroot()  # noqa: S314 - bounded by expat itself
        targets = {
            link.get("Id", ""): link.get("Target", "")
            for link in root
            if posixpath.basename(link.get("Type", "")) == "hyperlink"
        }
        if targets:
            with self.part(part) as stream:
                yield from sheet_hyperlinks(stream, targets)

    @functools.cached_property
    def ods_scans(self) -> list[SheetScan]:
        """The scans of an OpenDocument's sheets, which are all in one part."""
        file, limits = self.blob.file, self.limits
        has_styles = "styles.xml" in self.archive.namelist()
        with self.part("styles.xml") if has_styles else io.BytesIO() as stream:
            styles = read_ods_styles(stream) if has_styles else None
        with self.part("content.xml") as stream, _as_refusal(file):
            scans, blanks = scan_ods(stream, styles)
        if blanks > limits.strings_bytes:
            held = f"holds texts of {blanks:,} blanks"
            raise limits.refusal("strings_bytes", file, held, "delete them")
        for number, scan in enumerate(scans, start=1):
            limits.check_dimensions(file, str(number), scan.bottom, scan.right, scan.filled)
            limits.check_repetition(file, str(number), scan.written, scan.filled)
        return scans


def _link(sheet: ElementTree.Element) -> str:
    return next((v for k, v in sheet.attrib.items() if k.endswith("}id")), "")


@dataclass(frozen=True)
class _TextTable:
    """What a workbook's table of texts holds besides plain texts.

    Attributes
    ----------
    foreign : bool
        Whether it may have texts that programs pass over, and readers do not.
    may_strike : bool
        Whether letters of some text may be struck.
    struck : Mapping of int to str
        The texts of which letters are struck, by position.
    """

    foreign: bool = False
    may_strike: bool = False
    struck: Mapping[int, str] = field(default_factory=dict)


def _scan_texts(stream: IO[bytes]) -> _TextTable:
    """Find whether all texts are of the vocabulary that their table is of, and any strike."""
    text = stream.read(_HEAD)
    root = _STRINGS.search(text)
    if root is None:
        return _TextTable(foreign=bool(text))
    own, several = root[1] or b"", root[0].count(b"xmlns") > 1
    text = text[root.end() :]
    may_strike = False
    while text:
        # IDs have no such letters, and a search for one letter is ten times as fast.
        if b"x" in text and b"xmlns" in text and _REDECLARED.search(text):
            return _TextTable(foreign=True)
        if several and set(_STRING.findall(text)) - {own}:
            return _TextTable(foreign=True)
        may_strike = may_strike or (b"k" in text and b"strike" in text)
        chunk = stream.read(_CHUNK)
        text = text[-_LONGEST_TAG:] + chunk if chunk else b""
    return _TextTable(may_strike=may_strike)


@contextmanager
def _as_refusal(where: str) -> Iterator[None]:
    """Refuse a sheet that programs would read differently."""
    try:
        yield
    except DialectError as error:
        raise SpreadsheetError(
            f"{where} was not written by a spreadsheet program, and programs would read it "
            f"differently: {error}; open it in one, save it anew, and compare the two."
        ) from error


def _scan_sheet(workbook: Workbook, index: int) -> SheetScan:
    """Find the extent of a sheet and all but its values; refuse what would fill the memory."""
    if workbook.format == "ods":
        if index >= len(workbook.ods_scans):
            raise DamagedError("a sheet has no table")
        return replace(workbook.ods_scans[index], errors=True)
    where = f"{workbook.blob.file} (sheet {workbook.names[index]})"
    with _as_refusal(where):
        scan = _scan_part(workbook, workbook.sheet_part(index)[0])
    limits = workbook.limits
    if scan.merges > limits.merges:
        held = f"merges cells more than {limits.merges:,} times"
        raise limits.refusal("merges", where, held, "unmerge them")
    if scan.bottom > LAST_ROW:
        raise SpreadsheetError(
            f"{where} has a row {scan.bottom:,}, but a sheet ends at row {LAST_ROW:,}, so nobody "
            "would see it; open it in a spreadsheet program, save it anew, and compare the two."
        )
    dimensions = scan.bottom, scan.right, scan.filled
    limits.check_dimensions(workbook.blob.file, workbook.names[index], *dimensions)
    return scan


def _scan_part(workbook: Workbook, part: str) -> SheetScan:
    """Scan a sheet of a format whose sheets are parts of their own."""
    if not workbook.is_xlsx:
        with workbook.part(part) as stream:
            return scan_xlsb(stream)
    if workbook.texts.foreign:
        raise DialectError("the workbook holds texts of another vocabulary")
    merge_limit, formats = workbook.limits.merges, workbook.styles[0]
    if not formats:
        with workbook.part(part) as stream:
            scan = scan_xlsx(stream, merge_limit, workbook.find_strikes(part))
        if scan.plain:
            return scan
    with workbook.part(part) as stream:
        return parse_xlsx(stream, formats.for_sheet(), merge_limit, workbook.find_strikes(part))


def _read_sheet(workbook: Workbook, index: int) -> RawSheet:
    scan = _scan_sheet(workbook, index)
    batch, errors, hidden = _read_values(workbook, index, scan)
    sheet = RawSheet(
        sheet=workbook.names[index],
        format=workbook.format,
        cells=(),
        hidden=hidden,
        siblings=tuple(workbook.names[i] for i in workbook.visible_sheets),
    )
    if not batch.num_columns:
        return sheet
    part = workbook.sheet_part(index)[0] if workbook.is_xlsx else ""
    types = CellTypes(workbook.blob, index, part)
    first = _first_column(scan, batch.num_columns, types)
    metadata = scan.metadata
    if part:
        links = *metadata.links, *workbook.find_links(part)
        comments = workbook.find_comments(part)
        metadata = replace(metadata, links=links, comments=comments)
    if workbook.format == "xlsb":
        metadata = replace(metadata, unread=_UNREAD)
    cells = tuple(text_column(column) for column in batch.columns)
    spots = [_error_cell(error) for error in errors]
    spots += [(row, column - first, text) for row, column, text in metadata.errors]
    return replace(
        sheet,
        cells=_lengthened(_with_errors(cells, spots), metadata),
        first_column=first,
        typed=functools.partial(types, first_column=first, height=batch.num_rows),
        metadata=metadata,
    )


def _read_values(
    workbook: Workbook, index: int, scan: SheetScan
) -> tuple[pa.RecordBatch, list[fastexcel.CellError], bool]:
    """Read a sheet as text: its columns, its error cells, and whether it is hidden."""
    # Without a header and with nothing skipped, row numbers stay those of the sheet.
    options: dict[str, Any] = {"header_row": None, "skip_rows": 0, "dtypes": "string"}
    reader = workbook.reader
    if workbook.is_xlsx and not scan.errors:
        hidden = workbook.sheet_part(index)[1]
        # A quarter less CPU and memory, but it drops error cells without a word.
        with reader_errors(workbook.blob.file):
            return reader.load_sheet_eager(index, **options), [], hidden
    with reader_errors(workbook.blob.file):
        sheet = reader.load_sheet(index, **options)
        hidden = sheet.visible != "visible"
        if not sheet.width:
            return pa.RecordBatch.from_pylist([]), [], hidden
        if not scan.errors:
            return sheet.to_arrow(), [], hidden
        batch, errors = sheet.to_arrow_with_errors()
    return batch, errors.errors if errors else [], hidden


def _first_column(scan: SheetScan, width: int, types: CellTypes) -> int:
    """Return the 0-based column in which the fast reader begins; it leaves out blank ones."""
    first, last = scan.first, scan.last
    if first == 0:
        return 0
    if first is not None and last is not None and last - first + 1 == width:
        return first
    return types.first_column


def _error_cell(error: fastexcel.CellError) -> tuple[int, int, str]:
    if duration := _DURATION.search(error.detail):  # of an OpenDocument; its type tells more
        return (*error.position, duration[1])
    name = _ERROR_NAME.search(error.detail)
    text = _ERRORS.get(name[1], f"#{name[1].upper()}!") if name else "#ERROR!"
    return (*error.position, text)


def _with_errors(
    cells: tuple[pa.ChunkedArray, ...], spots: list[tuple[int, int, str]]
) -> tuple[pa.ChunkedArray, ...]:
    """Put the error's text where the reader left a blank that would look legal."""
    changed = list(cells)
    for column in sorted({column for _, column, _ in spots}):
        texts = {row: text for row, other, text in spots if other == column}
        mask = np.zeros(len(cells[column]), dtype=bool)
        mask[list(texts)] = True
        values = pa.array([texts[row] for row in sorted(texts)], cells[column].type)
        changed[column] = pc.replace_with_mask(cells[column], pa.array(mask), values)
    return tuple(changed)


def _lengthened(
    cells: tuple[pa.ChunkedArray, ...], metadata: SheetMetadata
) -> tuple[pa.ChunkedArray, ...]:
    """Add the rows at the end whose formulas have no saved result; readers stop before them."""
    height = max((row + 1 for row, _ in metadata.uncalculated), default=0)
    return tuple(padded(column, height) for column in cells)
