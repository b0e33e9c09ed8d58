"""What looks like a share where nothing is read: above a header, or in a sheet without one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharekit.core.actions import STATUS_WORDS
from sharekit.core.fields import UUID

from .formats.raw_sheet import TEXT, RawSheet, column_letter
from .headers import SEARCHED_ROWS, SYNONYMS, match, normal, unique_names

#: More addresses than this say nothing more.
_NAMED: Final = 5
_WRAPPING: Final = r"[\s\x{a0}\x{200b}\x{feff}\"'`={}()\[\]<>]*"
_DASHED: Final = UUID
_BARE: Final = r"[0-9a-f]{32}"
#: In templates and notes; nobody expects an example to be read.
_EXAMPLE: Final = re.compile(r"\bexample\b", re.IGNORECASE)


def above(grid: RawSheet, header_row: int, fields: Mapping[str, int]) -> str:
    """Addresses of what looks like shares above a header (1-based row), ``""`` if nothing does.

    A UUID anywhere does; 32 hexadecimal digits may be a project's ID in a title, so they do in the
    column of image IDs only.
    """
    image = fields["image_id"]
    found = []
    for number, row in enumerate(grid.head(header_row - 1), start=1):
        alone = [place for place, cell in enumerate(row) if _is(cell, _DASHED)]
        if _is(row[image], _BARE) or (not alone and _is_share(row, fields)):
            alone = [image]
        if alone:
            found.append(_address(grid, number, alone[0]))
    return _listed(found)


def unread(grid: RawSheet) -> str:
    """Address of the first thing in a sheet without a header that looks like an image ID.

    Columns headed as something else (a list of projects, say) and examples are passed over.
    """
    spared: set[int] = set()
    for row in grid.head(SEARCHED_ROWS):
        fields = match(unique_names(row), {})
        spared |= {place for field, place in fields.items() if field != "image_id"}
        spared |= {place for place, cell in enumerate(row) if _EXAMPLE.search(cell)}
    pattern = rf"(?i)\A{_WRAPPING}(?:{_DASHED}|{_BARE}){_WRAPPING}\z"
    return _first(grid, {
        place: pc.match_substring_regex(column, pattern)
        for place, column in enumerate(grid.cells) if place not in spared
    })  # fmt: skip


def silent(grid: RawSheet, header_row: int, place: int) -> str:
    """Addresses of formulas in a column, below its header, that may never have been calculated."""
    spots = sorted(grid.metadata.empty_formulas)
    below = [row + 1 for row, column in spots if column - grid.first_column == place]
    return _listed([_address(grid, row, place) for row in below if row > header_row])


def deeper(grid: RawSheet, header: str = "") -> str:
    """Address of a header of image IDs (or the one given) below the rows that are searched."""
    words = [header] if header else [*SYNONYMS["image_id"]]
    keys = [normal(word) for word in words if len(normal(word)) > len("id")]
    return _first(grid, {
        place: pc.is_in(pc.utf8_lower(pc.replace_substring_regex(column, r"[\W_]+", "")),
                        pa.array(keys, TEXT))
        for place, column in enumerate(grid.cells)
    }, SEARCHED_ROWS)  # fmt: skip


def _is(cell: str, shape: str) -> bool:
    return re.fullmatch(f"{_SKIN}(?:{shape}){_SKIN}", cell, re.IGNORECASE) is not None


#: The same for Python's expressions.
_SKIN: Final = re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), _WRAPPING)


def _is_share(row: Sequence[str], fields: Mapping[str, int]) -> bool:
    """Tell a row with a project, a decision and anything for an image, however damaged."""
    project, status = (row[fields[f]] if f in fields else "" for f in ("project_id", "status"))
    decided = status.strip().lower() in STATUS_WORDS
    return bool(row[fields["image_id"]].strip()) and decided and _is(project, _BARE)


def _first(grid: RawSheet, hits: Mapping[int, pa.ChunkedArray], start: int = 0) -> str:
    spots = []
    for place, hit in hits.items():
        rows = np.flatnonzero(np.asarray(hit, dtype=bool)[start:])
        if rows.size:
            spots.append((int(rows[0]) + start + 1, place))
    return _address(grid, *min(spots)) if spots else ""


def _address(grid: RawSheet, row: int, place: int) -> str:
    return f"{column_letter(grid.first_column + place)}{row}"


def _listed(addresses: Sequence[str]) -> str:
    more = len(addresses) - _NAMED
    return ", ".join(addresses[:_NAMED]) + (f" and {more} more" if more > 0 else "")
