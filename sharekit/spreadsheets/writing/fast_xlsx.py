"""Write long sheets column by column into a workbook that xlsxwriter has laid out.

xlsxwriter writes everything but the rows: sheets, styles, widths, filters, validations. It is
called once for each cell, though, which for a million rows of 25 columns takes 90 seconds of CPU
(openpyxl: 310). Here pyarrow joins whole columns to XML, which takes 7 seconds. The writers built
on Rust take 8 to 10, but each is young, has a single maintainer, and cannot color cells by their
value beside further sheets. If xlsxwriter's layout is not the expected one,
:class:`UnknownLayoutError` is raised and the workbook is written cell by cell.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from ..formats.raw_sheet import TEXT, column_letter

#: What XML cannot hold as it is, or what Excel would read as its own notation of a character.
_SPECIAL: Final = r"[&<>\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]|_x[0-9A-Fa-f]{4}_"
_ESCAPED: Final = "_x[0-9A-Fa-f]{4}_"
_CONTROL: Final = r"[\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]"
_CONTROLS: Final = "".join(map(chr, [*range(9), *range(11, 32), 0xFFFE, 0xFFFF]))
_EDGES: Final = r"\A\s|\s\z"
#: A sheet as xlsxwriter writes it: a header in row 1, and blank cells that show the styles.
_LAYOUT: Final = re.compile(
    r'(?P<head>.*?)<dimension ref="[A-Z0-9:]+"/>(?P<formats>.*<sheetData>)'
    r'(?P<top><row r="1".*?</row>)(?P<samples>.*)(?P<tail></sheetData>.*)',
    re.DOTALL,
)
_SAMPLE: Final = re.compile(r'<c r="([A-Z]+)(\d+)" s="(\d+)"/>')
#: Options of a workbook that is written row by row and never turns a text into something else.
OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
#: Number of rows below a header; more go to a further sheet.
MAX_ROWS: Final = 1_048_575
#: Height of a line in points.
LINE: Final = 15
#: Number of rows joined at once: few enough to stay in the processor's cache.
_BATCH: Final = 8_192
#: From this size on, a part gets the long form of the zip directory; Excel warns of it in others.
_LONG_PART: Final = 1 << 31


class UnknownLayoutError(Exception):
    """xlsxwriter has written a sheet in another way than expected."""


#: 0-based row and column of a cell -> the cell it links to, as in ``'Rows (2)'!A17``.
Links = Mapping[tuple[int, int], str]


@dataclass(frozen=True)
class ColumnFormat:
    """The format of a column's cells: a default, and one for each of some values."""

    default: Format
    by_value: Mapping[str, Format] = field(default_factory=dict)

    @property
    def formats(self) -> tuple[Format, ...]:
        """All formats, the default first."""
        return (self.default, *self.by_value.values())


@dataclass(frozen=True, eq=False)
class LongSheet:
    """Rows, from row 2 on, for a sheet with nothing but its header.

    Attributes
    ----------
    position : int
        1-based position of the sheet in the workbook.
    columns, formats : sequence
        The columns of the rows, and the format of each.
    links : mapping
        Cells that link to another cell of the workbook.
    line_counts : pyarrow.Array, optional
        Height of each row in lines; without it, every row is one line high.
    """

    position: int
    columns: Sequence[pa.ChunkedArray]
    formats: Sequence[ColumnFormat]
    links: Links = field(default_factory=dict)
    line_counts: pa.Array | None = None

    @property
    def part(self) -> str:
        """Name of the sheet's part in the workbook's file."""
        return f"xl/worksheets/sheet{self.position}.xml"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0

    @property
    def size(self) -> int:
        """Upper bound of the size of the rows' XML in bytes."""
        cells = self.rows * (len(self.columns) * 64 + 32)
        return int(cells + 8 * sum(column.nbytes for column in self.columns))


class Layout(Protocol):
    """A function that writes a workbook, except for the rows that it returns."""

    def __call__(self, path: Path, *, later: bool) -> Sequence[LongSheet]:
        """Write the workbook; if not ``later``, with all rows."""


def fit_to_page(sheet: Worksheet) -> None:
    """Print a sheet on A4 in landscape, fitted to the width of a page, with page numbers."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.set_margins(left=0.3, right=0.3, top=0.4, bottom=0.6)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&RPage &P of &N")


def write_workbook(path: Path, lay_out: Layout, like: zipfile.ZipFile | None = None) -> bool:
    """Write a workbook's layout, then insert the rows of its long sheets.

    If a version of xlsxwriter writes sheets in a way that is not known here, the workbook is
    written again cell by cell: slower, with the same cells. With ``like``, a workbook, nothing is
    written, and True returned if that has the very same parts.
    """
    bare = path.with_name(f"{path.name}.layout")
    bare.touch()  # where this fails, xlsxwriter would leave its temporary files behind
    try:
        sheets = lay_out(bare, later=True)
        if like is not None:
            return _has_parts(like, bare, sheets)
        insert_rows(bare, path, sheets)
    except UnknownLayoutError:
        if like is None:
            lay_out(path, later=False)
    except FileCreateError as error:
        cause = error.args[0] if error.args else None
        raise cause if isinstance(cause, OSError) else OSError(str(error)) from error
    finally:
        bare.unlink(missing_ok=True)
    return False


def add_rows(
    sheet: Worksheet,
    position: int,
    frame: pd.DataFrame,
    formats: Sequence[ColumnFormat],
    links: Links | None = None,
    line_counts: pd.Series[int] | None = None,
    *,
    later: bool,
) -> list[LongSheet]:
    """Write a frame below the header of a sheet, or return its rows to be inserted later.

    Parameters
    ----------
    sheet : Worksheet
        Its header is in row 1; there is nothing else in it.
    position : int
        1-based position of the sheet in the workbook.
    frame : DataFrame
        Text, written as text cells (``""``: no cell), and ``int64`` or ``Int64``, written as
        numbers (missing: no cell).
    formats : sequence of ColumnFormat
        One for each column.
    links : mapping, optional
        Cells that link to another cell of the workbook.
    line_counts : Series of int64, optional
        Height of each row in lines.
    later : bool
        Return the rows instead of writing them.
    """
    if not later or frame.empty:
        for row, count in enumerate([] if line_counts is None else line_counts, start=1):
            if count > 1:
                sheet.set_row(row, LINE * count)
        write_cells(sheet, frame, formats, links=links)
        return []
    # Blank cells below the header, one for each format: they tell its number in the file.
    for row in range(max((len(column.formats) for column in formats), default=0)):
        for number, column in enumerate(formats):
            if row < len(column.formats):
                sheet.write_blank(row + 1, number, None, column.formats[row])
    columns = [_column(frame.iloc[:, number]) for number in range(frame.shape[1])]
    counts = None if line_counts is None else pa.array(line_counts.to_numpy("int64"))
    return [LongSheet(position, columns, formats, links or {}, counts)]


def write_cells(
    sheet: Worksheet,
    frame: pd.DataFrame,
    formats: Sequence[ColumnFormat],
    top: int = 0,
    links: Links | None = None,
) -> None:
    """Write a frame cell by cell below a row (``top``, from 0)."""
    links = links or {}
    columns = [frame.iloc[:, number].tolist() for number in range(frame.shape[1])]
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    writers = [sheet.write_number if is_number else sheet.write_string for is_number in numeric]
    # In its constant-memory mode xlsxwriter needs the rows in their order.
    for row, cells in enumerate(zip(*columns, strict=True), start=top + 1):
        for number, (cell, write, form) in enumerate(zip(cells, writers, formats, strict=True)):
            if (row, number) in links:
                sheet.write_url(row, number, f"internal:{links[row, number]}", string="–")
            if cell is not pd.NA and cell != "":
                write(row, number, cell, form.by_value.get(cell, form.default))


def insert_rows(source: Path, target: Path, sheets: Sequence[LongSheet]) -> None:
    """Copy a workbook and put the rows of its long sheets in place of the blank cells.

    The same rows give the same bytes with the same version of zlib.

    Raises
    ------
    UnknownLayoutError
        A sheet is not laid out as expected.
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
                stream.writelines(_blocks(given.read(part).decode(), sheet))


def _has_parts(like: zipfile.ZipFile, source: Path, sheets: Sequence[LongSheet]) -> bool:
    """Return True if a workbook has the parts that :func:`insert_rows` would write."""
    long = {sheet.part: sheet for sheet in sheets}
    with zipfile.ZipFile(source) as wanted:
        if like.namelist() != wanted.namelist():
            return False
        for name in wanted.namelist():
            part = wanted.read(name)
            blocks = _blocks(part.decode(), long[name]) if name in long else [part]
            with like.open(name) as stream:
                # Views are compared byte by byte, which takes long.
                if any(stream.read(len(block)) != bytes(block) for block in blocks):
                    return False
                if stream.read(1):
                    return False
    return True


def _blocks(text: str, sheet: LongSheet) -> Iterator[bytes | memoryview]:
    """Yield a sheet's XML with its rows, one batch at a time."""
    layout = _LAYOUT.fullmatch(text)
    samples = _SAMPLE.findall(layout["samples"]) if layout else []
    if layout is None or len(samples) != sum(len(form.formats) for form in sheet.formats):
        raise UnknownLayoutError(sheet.part)
    corner = f"{column_letter(max(len(sheet.columns), 1) - 1)}{sheet.rows + 1}"
    ids = {(letters, int(row)): int(style) for letters, row, style in samples}
    styles = [
        [ids[column_letter(number), row + 2] for row in range(len(form.formats))]
        for number, form in enumerate(sheet.formats)
    ]
    before = f'{layout["head"]}<dimension ref="A1:{corner}"/>{layout["formats"]}{layout["top"]}'
    yield before.encode()
    yield from _rows(sheet, styles)
    yield _with_links(layout["tail"], sheet).encode()


def _with_links(tail: str, sheet: LongSheet) -> str:
    """Return the end of a sheet's XML with its links, whose place is before the page's margins."""
    if not sheet.links:
        return tail
    rest, margins, end = tail.partition("<pageMargins")
    if not margins or "<hyperlinks" in rest or "<printOptions" in rest:
        raise UnknownLayoutError(sheet.part)
    links = [
        f'<hyperlink ref="{column_letter(column)}{row + 1}" location={quoteattr(target)}/>'
        for (row, column), target in sheet.links.items()
    ]
    return f"{rest}<hyperlinks>{''.join(links)}</hyperlinks>{margins}{end}"


def _rows(sheet: LongSheet, styles: Sequence[Sequence[int]]) -> Iterator[memoryview]:
    """Yield the XML of the rows, one batch at a time."""
    for start in range(0, sheet.rows, _BATCH):
        length = min(_BATCH, sheet.rows - start)
        numbers = pa.array(np.arange(start + 2, start + 2 + length)).cast(TEXT)
        counts = sheet.line_counts
        opened = _text('">') if counts is None else _heights(counts.slice(start, length))
        parts: list[pa.Array | pa.Scalar] = [_text('<row r="'), numbers, opened]
        for number, (column, form) in enumerate(zip(sheet.columns, sheet.formats, strict=True)):
            values = column.slice(start, length).combine_chunks()
            head = _text(f'<c r="{column_letter(number)}')
            if pa.types.is_integer(values.type):
                style = _text(f'" s="{styles[number][0]}"><v>')
                cells = [head, numbers, style, values.cast(TEXT), _text("</v></c>")]
                if values.null_count:
                    joined = pc.binary_join_element_wise(*cells, _text(""))
                    cells = [pc.fill_null(joined, "")]
                parts += cells
            else:
                parts += _text_cells(head, numbers, values, form, styles[number])
        parts += [_text("</row>"), _text("")]
        yield memoryview(pc.binary_join_element_wise(*parts).buffers()[2])


def _heights(line_counts: pa.Array) -> pa.Array:
    """Return the ends of the opening tags of rows, with a height where it is above one line."""
    points = pc.multiply(line_counts, LINE).cast(TEXT)
    parts = (_text('" ht="'), points, _text('" customHeight="1">'), _text(""))
    return pc.if_else(pc.greater(line_counts, 1), pc.binary_join_element_wise(*parts), _text('">'))


def _text_cells(
    head: pa.Scalar, numbers: pa.Array, values: pa.Array, form: ColumnFormat, styles: Sequence[int]
) -> list[pa.Array | pa.Scalar]:
    """Return the parts of one column's cells; the cell of a value that repeats is built once."""
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary
    repeats = len(distinct) * 4 <= len(values)
    if not repeats and not form.by_value and not pc.any(pc.equal(distinct, "")).as_py():
        return [head, numbers, _opening(values, styles[0]), escape_texts(values), _CLOSING]
    ids = dict(zip(form.by_value, styles[1:], strict=True))
    opening = _opening(distinct, styles[0])
    if ids:
        default = opening.as_py()
        other = {i: default.replace(f's="{styles[0]}"', f's="{i}"') for i in ids.values()}
        names = distinct.to_pylist()
        opening = pa.array([other[ids[n]] if n in ids else default for n in names], TEXT)
    rests = pc.binary_join_element_wise(opening, escape_texts(distinct), _CLOSING, _text(""))
    cells = pc.binary_join_element_wise(head, numbers, rests.take(encoded.indices), _text(""))
    return [pc.if_else(pc.equal(values, ""), _text(""), cells)]


def _opening(values: pa.Array, style: int) -> pa.Scalar:
    edged = pc.any(pc.match_substring_regex(values, _EDGES)).as_py()
    space = ' xml:space="preserve"' if edged else ""
    return _text(f'" s="{style}" t="inlineStr"><is><t{space}>')


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, TEXT)


_CLOSING: Final = _text("</t></is></c>")


def escape_texts(values: pa.Array) -> pa.Array:
    r"""Return texts as XML, with Excel's ``_xHHHH_`` for characters that XML cannot hold.

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
