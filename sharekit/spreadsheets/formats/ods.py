"""The fine print of OpenDocument sheets: what the fast reader drops of ``content.xml``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, NamedTuple
from xml.etree import ElementTree

import numpy as np

from .fine_print import elements, local
from .number_formats import literal
from .raw_sheet import column_letter
from .xlsx import LAST_ROW, Glance, is_nothing, long_tag

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_CALC: Final = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_ODS_WORDS: Final = (
    b"table:visibility=",
    b"table:formula=",
    b'-spanned="',
    b'value-type="error"',
    b"table:covered-table-cell",
    b"office:string-value=",
)
#: A row's height or a column's width of nothing.
_ODS_FLAT: Final = re.compile(rb"""style:(?:row-height|column-width)\s*=\s*["'](?!0*\.?0*[1-9])""")
#: A cell with something in it, but without a type; most readers take it for blank.
_ODS_UNTYPED: Final = re.compile(
    rb"<table:table-cell(?:\s(?![^<>]{0,1024}\boffice:value-type=)[^<>]{0,1024}[^<>/])?>"
)
_ODS_CELL: Final = b"<table:table-cell"
#: Short runs of cells or rows: few bytes, but one of each kind multiplies with the other.
_ODS_SHORT: Final = re.compile(rb"""number-(columns|rows)-repeated\s*=\s*["']([2-9])["']""")
#: Long runs of cells or rows, except the blank ones with which every sheet ends.
_ODS_RUNS: Final = re.compile(
    rb'number-columns-repeated\s*=\s*["\'][0-9]{2,}["\'][^<>]{0,1024}'
    rb"(?:(?<!/)>|/>(?!\s*</table:table-row>))"
    rb'|number-rows-repeated\s*=\s*["\'][0-9]{2,}["\'][^<>]{0,1024}>'
    rb"(?!\s*<table:table-cell[^<>]{0,1024}/>\s*</table:table-row>\s*</table:table>)"
)
#: A number of repetitions that is none.
_ODS_NEVER: Final = re.compile(
    rb"""number-(?:columns|rows)-repeated\s*=\s*["'](?![1-9][0-9]*["'])([^"'<>]*)["']"""
)
_ODS_FIRST: Final = re.compile(
    rb"<table:table-row[^<>]{0,1024}>\s*<table:table-cell[^<>]{0,1024}office:value-type="
    rb"[^<>]{0,1024}[^<>/]>|<table:table[\s>]"
)
_ODS_BLANKS: Final = re.compile(rb"""<text:s\s[^<>]{0,1024}text:c\s*=\s*["']([0-9]{1,18})""")
#: How LibreOffice keeps a truth value that it has read from another format.
_TRUTH: Final = re.compile(r"(?:of:)?=(TRUE|FALSE)\(\)")
#: Cells of one run that are noted one by one.
_MARKED: Final = 100_000
_UNITS: Final = "abcdefghijklmnopqrstuvwxyz%"
_CHUNK: Final = 1 << 20
#: Longer than any word or run of tags searched for, so that none is missed between two chunks.
_OVERLAP: Final = 4096


@dataclass(frozen=True)
class OdsGlance:
    """Whether an OpenDocument holds fine print, and for each table whether column A has values.

    ``blanks`` is how many blanks its texts unfold to: a few bytes may stand for millions.
    ``repeated`` is a number of repetitions that is not positive, as it is written; ``most`` no less
    than the cells that short repetitions make. ``spliced`` tells of character data sections,
    ``tag`` of the length of a tag that is too long to be honest.
    """

    exact: bool
    from_first_column: tuple[bool, ...]
    blanks: int = 0
    repeated: str = ""
    most: int = 0
    spliced: bool = False
    tag: int = 0


def glance_ods(stream: IO[bytes]) -> OdsGlance:
    """Search an OpenDocument's content for what :func:`read_ods` would find."""
    repeated = ""
    exact, first, tail, seen, blanks = False, list[bool](), b"", 0, 0
    cells, short, spliced = 0, {b"columns": 1, b"rows": 1}, False
    while chunk := stream.read(_CHUNK):
        text = tail + chunk
        if tag := long_tag(text):
            return OdsGlance(exact, tuple(first), tag=tag)
        # More of them than tags is no XML, and would take the patterns long.
        exact = exact or text.count(b"-repeated") > text.count(b"<") + 1
        exact = exact or any(word in text for word in _ODS_WORDS)
        exact = exact or any(p.search(text) for p in (_ODS_RUNS, _ODS_FLAT, _ODS_UNTYPED))
        cells += chunk.count(_ODS_CELL)
        spliced = spliced or b"<![CDATA[" in text
        for way, times in set(_ODS_SHORT.findall(text)):
            short[way] = max(short[way], int(times))
        done = seen - len(tail)
        for match in _ODS_FIRST.finditer(text):
            if match.end() <= len(tail) and done + match.end() <= seen:
                continue  # seen with the chunk before
            if match[0].startswith(b"<table:table-row"):
                first[-1:] = [True]
            else:
                first.append(False)
        runs = (match for match in _ODS_BLANKS.finditer(text) if match.end() > len(tail))
        blanks += sum(int(match[1]) for match in runs)
        if never := _ODS_NEVER.search(text):
            repeated = never[1].decode("utf-8", "replace")[:20] or "(blank)"
        seen += len(chunk)
        tail = text[-_OVERLAP:]
    most = cells * short[b"columns"] * short[b"rows"]
    return OdsGlance(exact, tuple(first), blanks, repeated, most, spliced)


def read_ods(stream: IO[bytes]) -> list[Glance]:
    """Hidden rows, lost results, error cells and merges of every sheet (OpenDocument 1.3, 9.1)."""
    sheets: list[Glance] = []
    flat: set[str] = set()
    sheet, number = _OdsSheet(Glance(), [], [], flat), 0
    for element in elements(stream, "table", "table-row", "table-column", "style"):
        kind = local(element.tag)
        if kind == "style" and any(map(_is_flat, element)):
            flat.add(element.get(f"{_STYLE}name", ""))
        if kind == "table":
            sheets.append(sheet.finished())
            sheet, number = _OdsSheet(Glance(), [], [], flat), 0
        if kind == "table-column":
            sheet.column(element)
        if kind != "table-row":
            continue
        repeated = int(element.get(f"{_TABLE}number-rows-repeated", "1"))
        if sheet.hides(element):
            sheet.hidden.append(np.arange(number, min(number + repeated, LAST_ROW)))
        for spot in _spots(element):
            sheet.note(number, repeated, spot)
        number += repeated
    return sheets


def _is_flat(properties: ElementTree.Element) -> bool:
    """Whether a style gives a row no height, or a column no width."""
    sizes = (properties.get(f"{_STYLE}{name}") for name in ("row-height", "column-width"))
    return any(size and is_nothing(size.rstrip(_UNITS)) for size in sizes)


class _Spot(NamedTuple):
    """A cell, or a run of equal ones, in an OpenDocument row."""

    column: int
    repeated: int
    element: ElementTree.Element


def _spots(row: ElementTree.Element) -> Iterator[_Spot]:
    column = 0
    for cell in row:
        if local(cell.tag) in {"table-cell", "covered-table-cell"}:
            repeated = int(cell.get(f"{_TABLE}number-columns-repeated", "1"))
            yield _Spot(column, repeated, cell)
            column += repeated


def _otherwise(cell: ElementTree.Element) -> str | None:
    """Return the text that a cell shows if it holds another one; None if they are the same."""
    held = cell.get(f"{_OFFICE}string-value")
    if held is None or not len(cell):
        return None
    lines = ("".join(e.itertext()) for e in cell if local(e.tag) == "p")
    shown = "\n".join(lines)
    return None if "".join(shown.split()) == "".join(held.split()) else shown


def _is_unvalued(cell: ElementTree.Element) -> bool:
    """Whether no result was saved; a text of nothing that was saved has an attribute or a line."""
    kind = cell.get(f"{_OFFICE}value-type")
    return kind is None or (
        kind == "string" and f"{_OFFICE}string-value" not in cell.attrib and not len(cell)
    )


def _places(row: int, rows: int, spot: _Spot) -> Iterator[tuple[int, int]]:
    """Yield the cells of a run, but not without end."""
    run = ((row + i, spot.column + j) for i in range(rows) for j in range(spot.repeated))
    return itertools.islice(run, _MARKED)


def _truth(cell: ElementTree.Element) -> str:
    """Return TRUE or FALSE for what LibreOffice keeps as a number and shows as a word."""
    found = _TRUTH.fullmatch(cell.get(f"{_TABLE}formula", ""))
    shown = "".join(cell.itertext())
    return found[1] if found and not any(letter.isdigit() for letter in shown) else ""


def _is_untyped(cell: ElementTree.Element) -> bool:
    """Whether a cell shows a text that most readers drop, since it does not say what it is."""
    if f"{_OFFICE}value-type" in cell.attrib or local(cell.tag) != "table-cell":
        return False
    return any(local(e.tag) == "p" and "".join(e.itertext()).strip() for e in cell)


class _OdsSheet(NamedTuple):
    seen: Glance
    hidden: list[np.ndarray[tuple[int], np.dtype[np.int64]]]
    columns: list[int]
    flat: set[str]

    def hides(self, element: ElementTree.Element) -> bool:
        """Whether nobody sees a row or column: it is hidden, filtered out, or of no size."""
        visibility = element.get(f"{_TABLE}visibility")
        style = element.get(f"{_TABLE}style-name")
        return visibility in {"collapse", "filter"} or style in self.flat

    def column(self, element: ElementTree.Element) -> None:
        repeated = int(element.get(f"{_TABLE}number-columns-repeated", "1"))
        start = sum(self.columns)
        if self.hides(element):
            self.seen.hidden_columns.append((start, start + repeated - 1))
        self.columns.append(repeated)

    def note(self, row: int, rows: int, spot: _Spot) -> None:
        column, repeated, cell = spot
        seen = self.seen
        if len(cell) or f"{_OFFICE}value-type" in cell.attrib:
            seen.written += 1
            seen.filled += rows * repeated
            seen.bottom = max(seen.bottom, row + rows)
            seen.right = max(seen.right, column + repeated)
        if cell.get(f"{_CALC}value-type") == "error":
            seen.error_cells.append((row, column, "".join(cell.itertext())))
        elif f"{_TABLE}formula" in cell.attrib and _is_unvalued(cell):
            seen.unvalued.extend(_places(row, rows, spot))
        elif truth := _truth(cell):
            seen.error_cells.extend((*place, truth) for place in _places(row, rows, spot))
        elif _is_untyped(cell) and not seen.unclear:
            place = f"{column_letter(column)}{row + 1}"
            seen.unclear = f"cell {place} shows a text that is not marked as one"
        shown = _otherwise(cell)
        if shown is not None:
            area = row, column, row + rows - 1, column + repeated - 1
            seen.shown.append((area, literal(shown)))
        down = int(cell.get(f"{_TABLE}number-rows-spanned", "1"))
        across = int(cell.get(f"{_TABLE}number-columns-spanned", "1"))
        if down > 1 or across > 1:
            seen.merged[(row, column, row + down - 1, column + across - 1)] = None

    def finished(self) -> Glance:
        self.seen.hidden.extend(np.concatenate([np.empty(0, np.int64), *self.hidden]).tolist())
        return self.seen
