"""Finding the header row, and which column means what.

The synonyms cover what people type and what ``openstack image list -f csv`` and
``openstack image member list -f csv`` print (python-openstackclient, *image* commands).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharekit.core.actions import STATUS_WORDS
from sharekit.core.fields import FIELDS, UUID

from .formats.raw_sheet import TEXT, RawSheet, column_letter

#: A header is looked for in this many rows, below titles and blank rows.
SEARCHED_ROWS: Final = 50
#: Field -> what its header may read, the most specific first; only letters and digits count.
SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "image_id": ("image id", "image uuid", "shared image id", "uuid", "id", "image"),
    "project_id": (
        "project id",
        "member id",
        "member project id",
        "target project id",
        "project uuid",
        "tenant id",
        "member",
        "project",
        "tenant",
    ),
    # "Status" may be the present state beside a column that holds the decision.
    "status": (
        "decision",
        "new status",
        "target status",
        "wanted status",
        "status",
        "member status",
        "verdict",
        "accept or reject",
        "action",
    ),
    "vault_id": (
        "vault id",
        "cbr vault id",
        "vault uuid",
        "backup vault id",
        "cbr vault",
        "backup vault",
        "vault",
    ),
    "whole_image": (
        "whole image",
        "full ecs image",
        "full ecs",
        "is whole image",
        "is full ecs image",
        "full server image",
    ),
    "region": ("region", "region id", "region name"),
    "name": ("image name", "name"),
    "owner": (
        "owner id",
        "owner project id",
        "source project id",
        "owner",
        "owner project",
        "source project",
        "shared by",
    ),
}
#: What makes the name of a repeated header unique.
_NUMBERED: Final = re.compile(r" \([0-9]+\)\Z")
#: ``openstack image list --long`` heads the *owner's* project with "Project".
_IMAGE_LISTING: Final = {"containerformat", "diskformat", "visibility"}


@dataclass(frozen=True)
class Header:
    """A header row: its 0-based place, a unique name per column, and field -> column."""

    row: int
    names: tuple[str, ...]
    fields: Mapping[str, int]


def rivals(
    names: Sequence[str], columns: Mapping[str, str], fields: Mapping[str, int]
) -> dict[str, list[int]]:
    """Field -> further columns whose headers could mean it, where nobody said which one does.

    Examples
    --------
    >>> rivals(["ID", "Image ID", "Image ID (2)"], {}, {"image_id": 1})
    {'image_id': [0, 2]}
    """
    keys = [normal(_NUMBERED.sub("", name)) for name in names]
    listing = _is_listing(keys)
    taken = set(fields.values())
    found = {
        field: [i for i, key in enumerate(keys) if i not in taken and key in ranks]
        for field in fields
        if field not in columns
        for ranks in [_ranks(field, listing=listing)]
    }
    return {field: places for field, places in found.items() if places}


def normal(text: str) -> str:
    """Reduce a header to what counts: letters and digits, case folded.

    Examples
    --------
    >>> normal(" Image_ID*: ") == normal("image-id") == "imageid"
    True
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


_RANKS: Final = {
    field: {name: rank for rank, name in enumerate(dict.fromkeys(map(normal, words)))}
    for field, words in SYNONYMS.items()
}


def find_header(grid: RawSheet, columns: Mapping[str, str]) -> Header | None:
    """Find the row that names the most fields, an image ID among them; the first of equals."""
    best: Header | None = None
    for number, row in enumerate(grid.head(SEARCHED_ROWS)):
        names = unique_names(row, grid.first_column)
        fields = match(names, columns)
        if "image_id" in fields and (best is None or len(fields) > len(best.fields)):
            best = Header(number, names, fields)
    return best


def match(
    names: Sequence[str], columns: Mapping[str, str], ignored: Collection[int] = ()
) -> dict[str, int]:
    """Match headers to fields, in the order of :data:`sharekit.core.fields.FIELDS`.

    ``columns`` says outright which header means a field (``""``: none does) and is obeyed first;
    synonyms find the rest, the more specific before the leftmost. No header serves two fields
    unless ``columns`` says so; those at the places ``ignored`` serve none.

    Examples
    --------
    >>> match(["ID", "Image ID", "Status"], {})
    {'image_id': 1, 'status': 2}
    >>> match(["ID", "Image ID", "Status"], {"image_id": "ID", "status": ""})
    {'image_id': 0}
    """
    keys = [normal(name) for name in names]
    given = {field: _place(names, keys, header) for field, header in columns.items()}
    taken = {*given.values(), *ignored}
    listing = _is_listing(keys)
    found: dict[str, int] = {}
    for field in FIELDS:
        if field in given:
            place = given[field]
        else:
            ranks = _ranks(field, listing=listing)
            free = [
                (ranks[key], i) for i, key in enumerate(keys) if key in ranks and i not in taken
            ]
            place = min(free)[1] if free else None
        if place is not None:
            found[field] = place
    return found


def _is_listing(keys: Collection[str]) -> bool:
    return len(_IMAGE_LISTING.intersection(keys)) > 1


def _ranks(field: str, *, listing: bool) -> Mapping[str, int]:
    if listing and field == "project_id":
        return {name: rank for name, rank in _RANKS[field].items() if name != "project"}
    if listing and field == "owner":
        return _RANKS[field] | {"project": len(_RANKS[field])}
    return _RANKS[field]


def _place(names: Sequence[str], keys: Sequence[str], header: str) -> int | None:
    wanted = header.strip()
    exact = [place for place, name in enumerate(names) if name.strip() == wanted != ""]
    if exact:
        return exact[0]
    key = normal(header)
    return keys.index(key) if key and key in keys else None


def unique_names(texts: Sequence[str], first_column: int = 0) -> tuple[str, ...]:
    """Name every column: its header, or its letter; a repeated header gets a number.

    Examples
    --------
    >>> unique_names(["ID", "", "ID"])
    ('ID', '(column B)', 'ID (2)')
    """
    names: dict[str, None] = {}
    for place, text in enumerate(texts):
        base = text if text.strip() else f"(column {column_letter(first_column + place)})"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base} ({count})"
        names[name] = None
    return tuple(names)


#: More addresses than this say nothing more.
_NAMED: Final = 5
_WRAPPING: Final = r"[\s\x{a0}\x{200b}\x{feff}\"'`={}()\[\]<>]*"
_DASHED: Final = UUID
_BARE: Final = r"[0-9a-f]{32}"
#: In templates and notes; nobody expects an example to be read.
_EXAMPLE: Final = re.compile(r"\bexample\b", re.IGNORECASE)


def rows_above_header(grid: RawSheet, header_row: int, fields: Mapping[str, int]) -> str:
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


def ids_in_skipped_sheet(grid: RawSheet) -> str:
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


def empty_formulas(grid: RawSheet, header_row: int, place: int) -> str:
    """Addresses of formulas in a column, below its header, that may never have been calculated."""
    spots = sorted(grid.metadata.empty_formulas)
    below = [row + 1 for row, column in spots if column - grid.first_column == place]
    return _listed([_address(grid, row, place) for row in below if row > header_row])


def header_too_deep(grid: RawSheet, header: str = "") -> str:
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
