"""csv and tsv: encoding and delimiter are detected, the standard library parses the records.

A file whose records all have as many fields, and whose quotation marks stand where they belong,
reads the same in Arrow, in a tenth of the time.

Rows are numbered by record, as a spreadsheet program numbers them when it opens the file; a first
line ``sep=;`` (Excel's own hint) is no row.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TextIO

import charset_normalizer
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from sharekit.core.errors import SpreadsheetError, UsageError
from sharekit.spreadsheets.headers import SEARCHED_ROWS, find_header
from sharekit.spreadsheets.input import Limits, list_formats

from .raw_sheet import TEXT, Blob, RawSheet, Records, constant

_DELIMITERS: Final = (",", ";", "\t", "|")
#: Tried if no other delimiter gives a header; never a space, which every text contains.
_RARE: Final = (":", "^", "~", "\x1f")
_HINT: Final = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE | re.DOTALL)
_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
#: What spreadsheets and scripts save if not Unicode; a guess among all encodings is often wrong.
_LEGACY: Final = ["cp1252", "cp1250", "cp1251", "cp1253", "cp932", "gb18030", "big5", "cp949"]
_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"
_FOREIGN: Final = re.compile("[^\\x00-\\x7f]")
_END: Final = "\x1a"
#: The first line of a table as commands print it.
_DRAWN: Final = re.compile(r"\s*\+(?:[-=]{3,}\+)+\s*\n\s*\|")
_BATCH: Final = 1 << 16
_SAMPLE: Final = 1 << 16
#: Arrow reads so many bytes at a time; a record must fit into them.
_BLOCK: Final = 1 << 24
#: A text with more zero bytes than one in this many is UTF-16 or UTF-32; with fewer, it is damaged.
_ZEROS: Final = 20
#: Number of characters beyond which a line is no line of a list.
_LONGEST: Final = 1 << 22
#: A line without a field is a record of none, but Arrow fills it up with empty ones.
_BLANK_LINES: Final = (b"\n\n", b"\n\r\n")
_EVEN_WIDTH: Final = 2


def read_delimited(
    blob: Blob, columns: Mapping[str, str], limits: Limits | None = None, encoding: str = ""
) -> list[RawSheet]:
    """Read a csv or tsv as one sheet; ``columns`` helps to tell the delimiter.

    A byte order mark decides the encoding; without one ``encoding`` does, or it is detected.

    Raises
    ------
    SpreadsheetError
        It is no text, a quotation mark above the first row or in the header is not closed, or it is
        beyond the limits.
    """
    limits = limits or Limits()
    given = encoding
    encoding = _encoding_of_mark(blob) or given or _encoding(blob)
    try:
        with _open(blob, encoding) as text:
            if _DRAWN.match(text.read(_SAMPLE)):
                raise _drawn_table_error(blob.file)
        with _open(blob, encoding) as text:
            delimiter = _hinted_delimiter(text) or _delimiter(text, columns, limits)
        sheet = _even_sheet(blob, encoding, delimiter, limits)
        sheet = sheet or _any_sheet(blob, encoding, delimiter, limits)
    except csv.Error as error:
        raise _open_quote_error(blob, encoding, delimiter) from error
    except UnicodeError as error:
        raise (
            _wrong_encoding_error(blob.file, given) if given else _not_text_error(blob.file)
        ) from error
    if sheet.records and sheet.records.broken >= 0:
        header = find_header(sheet, columns)
        if header is None or header.row >= sheet.records.broken:
            raise _open_quote_error(blob, encoding, delimiter)
    guessed = not given and not encoding.startswith("utf")
    return [replace(sheet, encoding=encoding, guessed=guessed)]


def _any_sheet(blob: Blob, encoding: str, delimiter: str, limits: Limits) -> RawSheet:
    """Read records of any length, as the standard library parses them."""
    with _open(blob, encoding) as text:
        hinted = bool(_hinted_delimiter(text))
        number = itertools.count()
        lines = (line for line, _ in zip(_lines(text, blob.file), number, strict=False))
        broken: list[int] = []
        widths: list[NDArray[np.int32]] = []
        cells = _columns(_records(lines, delimiter, broken), blob.file, limits, widths)
    fields = np.concatenate([np.empty(0, np.int32), *widths])
    records = Records(fields, delimiter, next(number), int(hinted), *broken)
    return RawSheet("", _kind(delimiter), cells, records=records)


def _records(lines: Iterator[str], delimiter: str, broken: list[int]) -> Iterator[list[str]]:
    """Yield records; from one with a wrong quotation mark on, as programs read them.

    The mark is not closed, or not doubled. The number of that record is added to ``broken``.
    """
    held: list[str] = []

    def keep() -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield line

    reader = csv.reader(keep(), delimiter=delimiter, strict=True)
    for number in itertools.count():
        held.clear()
        try:
            record = next(reader, None)
        except csv.Error:
            broken.append(number)
            break
        if record is None:
            return
        yield record
    yield from csv.reader(itertools.chain([*held], lines), delimiter=delimiter)


def _even_sheet(blob: Blob, encoding: str, delimiter: str, limits: Limits) -> RawSheet | None:
    """Read a table of several columns by Arrow; None where Arrow might read it otherwise."""
    data = _without_end(blob.data, encoding).removeprefix(codecs.BOM_UTF8)
    lines = data.count(b"\n")
    with _open(blob, encoding) as text:
        width = len(next(csv.reader(_lines(text, blob.file), delimiter=delimiter), ()))
        text.seek(0)
        hinted = _hinted_delimiter(text)
    if (
        not encoding.startswith("utf-8")
        or not _EVEN_WIDTH <= width <= limits.columns
        or hinted
        or any(mark in data for mark in (b"\0", *_BLANK_LINES))
        or data.count(b"\r") != data.count(b"\r\n")
        or not _are_quotes_plain(np.frombuffer(data, np.uint8), ord(delimiter))
    ):
        return None
    types = {str(i): TEXT for i in range(width)}
    parse = pacsv.ParseOptions(
        delimiter=delimiter, newlines_in_values=b'"' in data, ignore_empty_lines=False
    )
    batches, height = [], 0
    try:
        for batch in pacsv.open_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(column_names=list(types), block_size=_BLOCK, use_threads=False),
            parse,
            pacsv.ConvertOptions(column_types=types, strings_can_be_null=False),
        ):
            height += len(batch)
            limits.check_dimensions(blob.file, "", height, width, height * width)
            batches.append(batch)
    except pa.ArrowInvalid:  # records of other lengths, a long line, or no UTF-8
        return None
    table = pa.Table.from_batches(batches)
    records = Records(np.full(height, width, np.int32), delimiter, lines + (data[-1:] != b"\n"))
    return RawSheet("", _kind(delimiter), tuple(table.columns), records=records)


def _are_quotes_plain(letters: NDArray[np.uint8], delimiter: int) -> bool:
    """Return True if each quotation mark opens a field, closes one, or is doubled within one.

    Counted from the start every second mark closes. A doubled one closes and opens at once.
    """
    marks = np.flatnonzero(letters == ord('"'))
    if len(marks) % 2:
        return False
    around = np.array([delimiter, *b'\r\n"'], np.uint8)
    opening, closing = marks[::2], marks[1::2]
    before = letters[opening[opening > 0] - 1]
    after = letters[closing[closing < len(letters) - 1] + 1]
    return bool(np.isin(before, around).all() and np.isin(after, around).all())


def _kind(delimiter: str) -> str:
    return "tsv" if delimiter == "\t" else "csv"


def check_encoding(name: str) -> None:
    """Raise UsageError unless ``name`` is blank or an encoding of text that Python knows."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name or "utf-8")
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"There is no encoding {name!r}; name one such as utf-8, cp1252, cp1251 or gb18030."
        ) from error


def _open(blob: Blob, encoding: str) -> TextIO:
    data = _without_end(blob.data, encoding)
    return io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="")


def _without_end(data: bytes, encoding: str) -> bytes:
    """Cut off the Ctrl-Z with which old programs end a text; it is no row."""
    name = codecs.lookup(encoding).name.removesuffix("-sig")
    if name in ("utf-16", "utf-32"):
        name += "-be" if data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) else "-le"
    end, *lines = (f"{_END}{line}".encode(name) for line in ("", "\r\n", "\n"))
    if len(data) % len(end):  # added as one byte to a text of wide letters
        data = data.removesuffix(_END.encode())
    while data.endswith((end, *lines)):
        data = data[: data.rindex(end)]
    return data


def _hinted_delimiter(text: TextIO) -> str:
    """Read the delimiter from the hint in the first line; without a hint, go back to the start."""
    hint = _HINT.fullmatch(text.readline(_LONGEST))
    if not hint:
        text.seek(0)
    return hint[1] if hint else ""


def _delimiter(text: TextIO, columns: Mapping[str, str], limits: Limits) -> str:
    """Choose the delimiter under which a header names the most fields, else makes most columns."""
    sample = text.read(_SAMPLE)

    def score(delimiter: str) -> tuple[int, int]:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        records = itertools.islice(reader, SEARCHED_ROWS)
        cells = _columns(record[: limits.columns] for record in records)
        header = find_header(RawSheet("", "csv", cells), columns)
        return len(header.fields) if header else 0, len(cells)

    usual = {delimiter: score(delimiter) for delimiter in _DELIMITERS}
    best = max(usual, key=usual.__getitem__)
    return best if usual[best][0] else max((best, *_RARE), key=lambda d: score(d)[0])


def _lines(text: TextIO, file: str) -> Iterator[str]:
    """Yield lines; refuse one that is too long for a list, or holds a NUL character."""
    for number, line in enumerate(iter(lambda: text.readline(_LONGEST), ""), start=1):
        if len(line) == _LONGEST and line[-1] not in "\r\n":
            raise SpreadsheetError(
                f"{file} has a line {number} of more than {_LONGEST:,} characters, so it is no "
                "list; give a csv file with one row per line."
            )
        if "\x00" in line:
            raise SpreadsheetError(
                f"{file}: line {number} holds a NUL character, which no text does; delete it, or "
                "save the file anew."
            )
        yield line


def _open_quote_error(blob: Blob, encoding: str, delimiter: str) -> SpreadsheetError:
    """Name the lines of the record that cannot be parsed; only then are they looked for."""
    with _open(blob, encoding) as text:
        before = int(bool(_hinted_delimiter(text)))
        reader = csv.reader(_lines(text, blob.file), delimiter=delimiter, strict=True)
        first = 0
        with contextlib.suppress(csv.Error):
            while True:
                first = reader.line_num
                next(reader)
        first, last = first + before + 1, reader.line_num + before
    where = f"lines {first} to {last}" if last > first else f"line {first}"
    return SpreadsheetError(
        f"{blob.file} cannot be read beyond line {last}; in {where} a quotation mark is not closed "
        "or not doubled, so correct or delete it."
    )


def _columns(
    records: Iterable[list[str]],
    file: str = "",
    limits: Limits | None = None,
    widths: list[NDArray[np.int32]] | None = None,
) -> tuple[pa.ChunkedArray, ...]:
    """Turn records of any length into columns, one batch at a time; add their lengths to widths."""
    columns: list[list[pa.Array]] = []
    height = filled = 0
    source = iter(records)
    while batch := list(itertools.islice(source, _BATCH)):
        lengths = np.fromiter(map(len, batch), np.int32, len(batch))
        if limits:
            filled += int(lengths.sum())
            width = max(len(columns), int(lengths.max()))
            limits.check_dimensions(file, "", height + len(batch), width, filled)
        if widths is not None:
            widths.append(lengths)
        arrays = [pa.array(c, TEXT) for c in itertools.zip_longest(*batch, fillvalue="")]
        columns += [[constant("", height)] for _ in range(len(arrays) - len(columns))]
        for index, chunks in enumerate(columns):
            chunks.append(arrays[index] if index < len(arrays) else constant("", len(batch)))
        height += len(batch)
    return tuple(pa.chunked_array(chunks) for chunks in columns)


def _encoding_of_mark(blob: Blob) -> str:
    return next((name for mark, name in _BOMS if blob.data.startswith(mark)), "")


def _encoding(blob: Blob) -> str:
    data = blob.data
    sample = data[:_SAMPLE]
    if sample.count(0) * _ZEROS > len(sample):
        return _wide_encoding(blob)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        _refuse_damaged(blob)
        return _legacy_encoding(data)
    return "utf-8"


def _refuse_damaged(blob: Blob) -> None:
    """Refuse a file that is UTF-8 but for some bytes: any other encoding would mangle the rest."""
    text = blob.data.decode("utf-8", "replace")
    bad = text.count(_UNKNOWN)
    if len(_FOREIGN.findall(text)) > 2 * bad:
        line = text.count("\n", 0, text.index(_UNKNOWN)) + 1
        raise SpreadsheetError(
            f"{blob.file}: line {line} holds bytes that are no UTF-8, though the rest of the file "
            "is; mend that line, or save the file anew as UTF-8."
        )


def _wide_encoding(blob: Blob) -> str:
    """Detect UTF-16 and UTF-32 without a mark: Latin text has zeros in most of its upper bytes."""
    sample = blob.data[:_SAMPLE]
    zeros = tuple(sample[offset::4].count(0) > len(sample) // 8 for offset in range(4))
    names: dict[tuple[bool, ...], str] = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    if zeros not in names:
        raise _not_text_error(blob.file)
    return names[zeros]


def _legacy_encoding(data: bytes) -> str:
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_SAMPLE]
    guess = charset_normalizer.from_bytes(telling, cp_isolation=_LEGACY).best()
    # Most texts of Western Europe read the same in several encodings; Excel writes cp1252.
    same = [guess.encoding, *guess.could_be_from_charset] if guess else ["cp1252"]
    encoding = "cp1252" if "cp1252" in same else same[0]
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        # Every byte means something in Latin-1, so nothing is lost; IDs are ASCII in any case.
        return "latin-1"
    return encoding


def _drawn_table_error(file: str) -> SpreadsheetError:
    return SpreadsheetError(
        f"{file} is a table drawn with lines for the screen; ask the program for a list instead "
        "(openstack … -f csv), and use that."
    )


def _wrong_encoding_error(file: str, encoding: str) -> SpreadsheetError:
    return SpreadsheetError(
        f"{file} holds bytes that mean nothing in {encoding}; name another encoding, or none."
    )


def _not_text_error(file: str) -> SpreadsheetError:
    return SpreadsheetError(
        f"{file} is neither a spreadsheet nor text; give an {list_formats()} file."
    )
