"""Long sheets at the speed of columns: the rows that go into a workbook xlsxwriter has laid out.

xlsxwriter makes everything but the rows: sheets, styles, widths, filters, validations. It is called
once a cell, though, which for a million rows of 25 columns is 90 seconds of CPU (openpyxl: 310).
Here whole columns are joined to XML by pyarrow instead, 7 seconds for the same. The writers built
on Rust take 8 to 10, but each is one person's, young, and cannot colour cells by their value beside
further sheets. A workbook that is not laid out as expected raises :class:`UnknownLayoutError`; its
maker then writes cell by cell.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Protocol
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from ..formats.raw_sheet import TEXT, column_letter

#: What XML cannot hold as it is, or what Excel would take for its own notation of a character.
_SPECIAL: Final = r"[&<>\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]|_x[0-9A-Fa-f]{4}_"
_ESCAPED: Final = "_x[0-9A-Fa-f]{4}_"
_CONTROL: Final = r"[\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]"
_CONTROLS: Final = "".join(map(chr, [*range(9), *range(11, 32), 0xFFFE, 0xFFFF]))
_EDGES: Final = r"\A\s|\s\z"
_LAYOUT: Final = re.compile(
    r'(?P<head>.*?)<dimension ref="[A-Z0-9:]+"/>(?P<looks>.*<sheetData>)'
    r'(?P<top><row r="1".*?</row>)(?P<model>.*)(?P<tail></sheetData>.*)',
    re.DOTALL,
)
_MODEL: Final = re.compile(r'<c r="([A-Z]+)(\d+)" s="(\d+)"/>')
#: Points of a line.
LINE: Final = 15
#: Rows joined at once: few enough to stay in the processor's cache.
_BATCH: Final = 8_192
#: A part as large as this needs the long form of the zip directory, which Excel dislikes otherwise.
_LONG_PART: Final = 1 << 31


class UnknownLayoutError(Exception):
    """The workbook does not look as xlsxwriter writes it today."""


#: Row and column of a cell, from 0 -> the place it leads to, as in ``'Rows (2)'!A17``.
Links = Mapping[tuple[int, int], str]


@dataclass(frozen=True)
class ColumnFormat:
    """How a column's cells look: in general, and where they hold one of some words."""

    usual: Format
    words: Mapping[str, Format] = field(default_factory=dict)

    @property
    def formats(self) -> tuple[Format, ...]:
        """All of them, the usual one first."""
        return (self.usual, *self.words.values())


@dataclass(frozen=True, eq=False)
class LongSheet:
    """Rows (from row 2 on) for a sheet that holds its header only; ``position`` counts from 1.

    ``links`` are cells (row and column from 0) that lead to another place of the workbook;
    ``lines`` says how high each row is, if not all are of one line.
    """

    position: int
    columns: Sequence[pa.ChunkedArray]
    looks: Sequence[ColumnFormat]
    links: Links = field(default_factory=dict)
    lines: pa.Array | None = None

    @property
    def part(self) -> str:
        """The sheet's name inside the workbook's file."""
        return f"xl/worksheets/sheet{self.position}.xml"

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0]) if self.columns else 0

    @property
    def size(self) -> int:
        """No less than the bytes of XML that the rows can become."""
        cells = self.rows * (len(self.columns) * 64 + 32)
        return int(cells + 8 * sum(column.nbytes for column in self.columns))


class Layout(Protocol):
    """What writes a workbook to a path, but not (if ``later``) the rows that it returns."""

    def __call__(self, path: Path, *, later: bool) -> Sequence[LongSheet]:
        """Write the workbook."""


def write_workbook(path: Path, lay_out: Layout) -> None:
    """Write a workbook by its layout, then put the long sheets' rows in.

    If xlsxwriter should come to write sheets in a way that is not known here, the workbook is laid
    out again with every cell written by itself: slower, and the same cells.
    """
    bare = path.with_name(f"{path.name}.layout")
    bare.touch()  # if it cannot be, xlsxwriter would leave its scratch files behind
    try:
        insert_rows(bare, path, lay_out(bare, later=True))
    except UnknownLayoutError:
        lay_out(path, later=False)
    except FileCreateError as error:
        cause = error.args[0] if error.args else None
        raise cause if isinstance(cause, OSError) else OSError(str(error)) from error
    finally:
        bare.unlink(missing_ok=True)


def add_rows(
    sheet: Worksheet,
    position: int,
    frame: pd.DataFrame,
    looks: Sequence[ColumnFormat],
    links: Links | None = None,
    lines: pd.Series[int] | None = None,
    *,
    later: bool,
) -> list[LongSheet]:
    """Put a frame below the header of a sheet: ``later``, as what is returned, or cell by cell.

    Parameters
    ----------
    sheet : Worksheet
        Its header is written, in row 1, and nothing else.
    position : int
        Which sheet of the workbook it is, from 1.
    frame : DataFrame
        Text, written as text cells (``""``: no cell), and ``int64`` or ``Int64``, written as
        numbers (missing: no cell).
    looks : sequence of ColumnFormat
        One for each column.
    links : mapping, optional
        Cells that lead to another place of the workbook.
    lines : Series of int64, optional
        How many lines high each row is.
    """
    if not later or frame.empty:
        for row, count in enumerate([] if lines is None else lines, start=1):
            if count > 1:
                sheet.set_row(row, LINE * count)
        write_cells(sheet, frame, looks, links=links)
        return []
    for row in range(max((len(look.formats) for look in looks), default=0)):
        for place, look in enumerate(looks):
            if row < len(look.formats):
                sheet.write_blank(row + 1, place, None, look.formats[row])
    columns = [_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    return [LongSheet(position, columns, looks, links or {}, _lines(lines))]


def write_cells(
    sheet: Worksheet,
    frame: pd.DataFrame,
    looks: Sequence[ColumnFormat],
    top: int = 0,
    links: Links | None = None,
) -> None:
    """Write a frame cell by cell below row ``top`` (0 is the first)."""
    links = links or {}
    columns = [frame.iloc[:, place].tolist() for place in range(frame.shape[1])]
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    writers = [sheet.write_number if is_number else sheet.write_string for is_number in numeric]
    # In its constant-memory mode xlsxwriter wants one row after the other.
    for row, cells in enumerate(zip(*columns, strict=True), start=top + 1):
        for number, (cell, write, look) in enumerate(zip(cells, writers, looks, strict=True)):
            if (row, number) in links:
                sheet.write_url(row, number, f"internal:{links[row, number]}", string="–")
            if cell is not pd.NA and cell != "":
                write(row, number, cell, look.words.get(cell, look.usual))


def insert_rows(source: Path, target: Path, sheets: Sequence[LongSheet]) -> None:
    """Copy a workbook and put the rows of its long sheets in place of the models.

    The same rows give the same bytes with the same zlib.

    Raises
    ------
    UnknownLayoutError
        The workbook is not laid out as expected.
    """
    long = {sheet.part: sheet for sheet in sheets}
    # Level 1 costs a third of the usual level's CPU for a tenth more bytes.
    with (
        zipfile.ZipFile(source) as given,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made,
    ):
        if not long.keys() <= set(given.namelist()):
            raise UnknownLayoutError(f"no {', '.join(long)}")
        for part in given.infolist():
            if part.filename not in long:
                made.writestr(part, given.read(part))
                continue
            sheet = long[part.filename]
            with made.open(part.filename, "w", force_zip64=sheet.size > _LONG_PART) as stream:
                _write(stream, given.read(part).decode(), sheet)


def _write(stream: IO[bytes], text: str, sheet: LongSheet) -> None:
    layout = _LAYOUT.fullmatch(text)
    models = _MODEL.findall(layout["model"]) if layout else []
    if layout is None or len(models) != sum(len(look.formats) for look in sheet.looks):
        raise UnknownLayoutError(sheet.part)
    corner = f"{column_letter(max(len(sheet.columns), 1) - 1)}{sheet.rows + 1}"
    ids = {(letters, int(row)): int(style) for letters, row, style in models}
    styles = [
        [ids[column_letter(place), row + 2] for row in range(len(look.formats))]
        for place, look in enumerate(sheet.looks)
    ]
    before = f'{layout["head"]}<dimension ref="A1:{corner}"/>{layout["looks"]}{layout["top"]}'
    stream.write(before.encode())
    for piece in _rows(sheet, styles):
        stream.write(piece)
    stream.write(_linked(layout["tail"], sheet).encode())


def _linked(tail: str, sheet: LongSheet) -> str:
    """Return the end of a sheet's XML with its links, which stand before the page's margins."""
    if not sheet.links:
        return tail
    rest, margins, end = tail.partition("<pageMargins")
    if not margins or "<hyperlinks" in rest or "<printOptions" in rest:
        raise UnknownLayoutError(sheet.part)
    lines = [
        f'<hyperlink ref="{column_letter(column)}{row + 1}" location={quoteattr(place)}/>'
        for (row, column), place in sheet.links.items()
    ]
    return f"{rest}<hyperlinks>{''.join(lines)}</hyperlinks>{margins}{end}"


def _rows(sheet: LongSheet, styles: Sequence[Sequence[int]]) -> Iterator[memoryview]:
    """Yield the XML of the rows, a batch at a time."""
    for start in range(0, sheet.rows, _BATCH):
        length = min(_BATCH, sheet.rows - start)
        numbers = pa.array(np.arange(start + 2, start + 2 + length)).cast(TEXT)
        begin = _fixed('">') if sheet.lines is None else _high(sheet.lines.slice(start, length))
        pieces: list[pa.Array | pa.Scalar] = [_fixed('<row r="'), numbers, begin]
        for place, (column, look) in enumerate(zip(sheet.columns, sheet.looks, strict=True)):
            values = column.slice(start, length).combine_chunks()
            head = _fixed(f'<c r="{column_letter(place)}')
            if pa.types.is_integer(values.type):
                open_ = _fixed(f'" s="{styles[place][0]}"><v>')
                cell = [head, numbers, open_, values.cast(TEXT), _fixed("</v></c>")]
                if values.null_count:
                    whole = pc.binary_join_element_wise(*cell, _fixed(""))
                    cell = [pc.fill_null(whole, "")]
                pieces += cell
            else:
                pieces += _text_cells(head, numbers, values, look, styles[place])
        pieces += [_fixed("</row>"), _fixed("")]
        yield memoryview(pc.binary_join_element_wise(*pieces).buffers()[2])


def _high(lines: pa.Array) -> pa.Array:
    """Return what ends the opening tags of rows that are so many lines high."""
    points = pc.multiply(lines, LINE).cast(TEXT)
    high = (_fixed('" ht="'), points, _fixed('" customHeight="1">'), _fixed(""))
    return pc.if_else(pc.greater(lines, 1), pc.binary_join_element_wise(*high), _fixed('">'))


def _lines(lines: pd.Series[int] | None) -> pa.Array | None:
    return None if lines is None else pa.array(lines.to_numpy("int64"))


def _text_cells(
    head: pa.Scalar, numbers: pa.Array, values: pa.Array, look: ColumnFormat, styles: Sequence[int]
) -> list[pa.Array | pa.Scalar]:
    """Return what joined makes the cells of one column; a word that repeats is built once."""
    encoded = values.dictionary_encode()
    words = encoded.dictionary
    if len(words) * 4 > len(values) and not look.words and not pc.any(pc.equal(words, "")).as_py():
        return [head, numbers, _opening(values, styles[0]), escape_texts(values), _CLOSING]
    ids = dict(zip(look.words, styles[1:], strict=True))
    opening = _opening(words, styles[0])
    if ids:
        usual = opening.as_py()
        other = {i: usual.replace(f's="{styles[0]}"', f's="{i}"') for i in ids.values()}
        names = words.to_pylist()
        opening = pa.array([other[ids[n]] if n in ids else usual for n in names], TEXT)
    rests = pc.binary_join_element_wise(opening, escape_texts(words), _CLOSING, _fixed(""))
    cells = pc.binary_join_element_wise(head, numbers, rests.take(encoded.indices), _fixed(""))
    return [pc.if_else(pc.equal(values, ""), _fixed(""), cells)]


def _opening(values: pa.Array, style: int) -> pa.Scalar:
    edged = pc.any(pc.match_substring_regex(values, _EDGES)).as_py()
    space = ' xml:space="preserve"' if edged else ""
    return _fixed(f'" s="{style}" t="inlineStr"><is><t{space}>')


def _fixed(text: str) -> pa.Scalar:
    return pa.scalar(text, TEXT)


_CLOSING: Final = _fixed("</t></is></c>")


def escape_texts(values: pa.Array) -> pa.Array:
    r"""Return texts as XML holds them, with Excel's ``_xHHHH_`` for what XML cannot hold.

    >>> escape_texts(pa.array(["a<b", "\x01", "_x0041_"], TEXT)).to_pylist()
    ['a&lt;b', '_x0001_', '_x005F_x0041_']
    """
    if not pc.any(pc.match_substring_regex(values, _SPECIAL)).as_py():
        return values
    literal = pc.match_substring_regex(values, _ESCAPED)
    if pc.any(literal).as_py():
        values = pc.if_else(literal, pc.replace_substring(values, "_x", "_x005F_x"), values)
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        values = pc.replace_substring(values, mark, entity)
    if pc.any(pc.match_substring_regex(values, _CONTROL)).as_py():
        for character in _CONTROLS:
            values = pc.replace_substring(values, character, f"_x{ord(character):04X}_")
    return values


def _column(series: pd.Series) -> pa.ChunkedArray:
    array = pa.array(series)
    if not pa.types.is_integer(array.type):
        array = pc.fill_null(array.cast(TEXT), "")
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
