"""Find the header row of a sheet, the field each column means, and IDs outside of the list.

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

#: Number of rows searched for a header: titles and notes above a list take far fewer.
SEARCHED_ROWS: Final = 50
#: Field -> headers it is known by, the most specific first; only letters and digits count.
SYNONYMS: Final[Mapping[str, Sequence[str]]] = {
    field: headers.split(", ")
    for field, headers in {
        "image_id": "image id, image uuid, shared image id, uuid, id, image",
        "project_id": "project id, member id, member project id, target project id, project uuid, "
        "tenant id, member, project, tenant",
        # "Status" may be the present state beside a column that holds the decision.
        "status": "decision, new status, target status, wanted status, status, member status, "
        "verdict, accept or reject, action",
        "vault_id": "vault id, cbr vault id, vault uuid, backup vault id, cbr vault, backup vault, "
        "vault",
        "whole_image": "whole image, full ecs image, full ecs, is whole image, is full ecs image, "
        "full server image",
        "region": "region, region id, region name",
        "name": "image name, name",
        "owner": "owner id, owner project id, source project id, owner, owner project, "
        "source project, shared by",
    }.items()
}
#: The number that makes the name of a repeated header unique.
_NUMBERED: Final = re.compile(r" \([0-9]+\)\Z")
#: Headers of ``openstack image list --long``, in which "Project" is the *owner's* project.
_IMAGE_LISTING: Final = {"containerformat", "diskformat", "visibility"}


#: Addresses named one by one; the rest are counted.
_MAX_ADDRESSES: Final = 5
#: Characters that people and programs put around an ID; once for Arrow's expressions (RE2), once
#: for Python's.
_WRAPPING: Final = r"[\s\x{a0}\x{200b}\x{feff}\"'`={}()\[\]<>]*"
_PY_WRAPPING: Final = _WRAPPING.replace(r"\x{a0}\x{200b}\x{feff}", "\xa0\u200b\ufeff")
_BARE_ID: Final = r"[0-9a-f]{32}"
#: Cells of templates and notes: nobody expects the IDs below to be read.
_EXAMPLE: Final = re.compile(r"\bexample\b", re.IGNORECASE)


@dataclass(frozen=True)
class Header:
    """A header row: its 0-based row, a unique name for each column, and field -> column."""

    row: int
    names: tuple[str, ...]
    fields: Mapping[str, int]


def normalize(text: str) -> str:
    """Return the letters and digits of a header, case-folded: what headers are compared by.

    Examples
    --------
    >>> normalize(" Image_ID*: ") == normalize("image-id") == "imageid"
    True
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


_RANKS: Final = {
    field: {name: rank for rank, name in enumerate(dict.fromkeys(map(normalize, words)))}
    for field, words in SYNONYMS.items()
}


def find_header(sheet: RawSheet, mapping: Mapping[str, str]) -> Header | None:
    """Return the row that names the most fields, an image ID among them; the first of equals."""
    best: Header | None = None
    for number, row in enumerate(sheet.head(SEARCHED_ROWS)):
        names = unique_names(row, sheet.first_column)
        fields = match(names, mapping)
        if "image_id" in fields and (best is None or len(fields) > len(best.fields)):
            best = Header(number, names, fields)
    return best


def match(
    names: Sequence[str], mapping: Mapping[str, str], ignored: Collection[int] = ()
) -> dict[str, int]:
    """Return field -> column, in the order of :data:`sharekit.core.fields.FIELDS`.

    Parameters
    ----------
    names : sequence of str
        The headers.
    mapping : Mapping of str to str
        Field -> header, applied first; ``""`` means that no column is the field's. Synonyms find
        the other fields, the more specific before the leftmost. A header serves two fields only
        if the mapping says so.
    ignored : collection of int
        Columns that serve no field.

    Examples
    --------
    >>> match(["ID", "Image ID", "Status"], {})
    {'image_id': 1, 'status': 2}
    >>> match(["ID", "Image ID", "Status"], {"image_id": "ID", "status": ""})
    {'image_id': 0}
    """
    keys = [normalize(name) for name in names]
    mapped = {field: _column_of(header, names, keys) for field, header in mapping.items()}
    taken = {*mapped.values(), *ignored}
    listing = _is_listing(keys)
    fields: dict[str, int] = {}
    for field in FIELDS:
        if field in mapped:
            column = mapped[field]
        else:
            ranks = _ranks(field, listing=listing)
            ranked = [
                (ranks[key], i) for i, key in enumerate(keys) if key in ranks and i not in taken
            ]
            column = min(ranked)[1] if ranked else None
        if column is not None:
            fields[field] = column
    return fields


def ambiguous_columns(
    names: Sequence[str], mapping: Mapping[str, str], fields: Mapping[str, int]
) -> dict[str, list[int]]:
    """Return field -> further columns whose headers could mean it too; mapped fields have none.

    Examples
    --------
    >>> ambiguous_columns(["ID", "Image ID", "Image ID (2)"], {}, {"image_id": 1})
    {'image_id': [0, 2]}
    """
    keys = [normalize(_NUMBERED.sub("", name)) for name in names]
    listing = _is_listing(keys)
    taken = set(fields.values())
    others = {
        field: [i for i, key in enumerate(keys) if i not in taken and key in ranks]
        for field in fields
        if field not in mapping
        for ranks in [_ranks(field, listing=listing)]
    }
    return {field: columns for field, columns in others.items() if columns}


def _is_listing(keys: Collection[str]) -> bool:
    return len(_IMAGE_LISTING.intersection(keys)) > 1


def _ranks(field: str, *, listing: bool) -> Mapping[str, int]:
    if listing and field == "project_id":
        return {name: rank for name, rank in _RANKS[field].items() if name != "project"}
    if listing and field == "owner":
        return _RANKS[field] | {"project": len(_RANKS[field])}
    return _RANKS[field]


def _column_of(header: str, names: Sequence[str], keys: Sequence[str]) -> int | None:
    wanted = header.strip()
    exact = [column for column, name in enumerate(names) if name.strip() == wanted != ""]
    if exact:
        return exact[0]
    key = normalize(header)
    return keys.index(key) if key and key in keys else None


def unique_names(texts: Sequence[str], first_column: int = 0) -> tuple[str, ...]:
    """Return a name for each column: its header, or its letter; a repeated one gets a number.

    Examples
    --------
    >>> unique_names(["ID", "", "ID"])
    ('ID', '(column B)', 'ID (2)')
    """
    names: dict[str, None] = {}
    for column, text in enumerate(texts, first_column):
        base = text if text.strip() else f"(column {column_letter(column)})"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base} ({count})"
        names[name] = None
    return tuple(names)


def rows_above_header(sheet: RawSheet, header_row: int, fields: Mapping[str, int]) -> str:
    """Return the addresses of what looks like shares above a header (1-based row), else "".

    A UUID counts in any column. 32 hexadecimal digits may be a project's ID in a title, so they
    count in the column of image IDs only.
    """
    image = fields["image_id"]
    addresses = []
    for number, row in enumerate(sheet.head(header_row - 1), start=1):
        columns = [column for column, cell in enumerate(row) if _is_wrapped(cell, UUID)]
        if _is_wrapped(row[image], _BARE_ID) or (not columns and _is_share(row, fields)):
            columns = [image]
        addresses += [_address(sheet, number, column) for column in columns[:1]]
    return _join_addresses(addresses)


def address_of_id(sheet: RawSheet) -> str:
    """Return the address of the first likely image ID in a sheet without a header, else "".

    Columns with the header of another field (a list of projects, say) and examples do not count.
    """
    excluded: set[int] = set()
    for row in sheet.head(SEARCHED_ROWS):
        fields = match(unique_names(row), {})
        excluded |= {column for field, column in fields.items() if field != "image_id"}
        excluded |= {column for column, cell in enumerate(row) if _EXAMPLE.search(cell)}
    pattern = rf"(?i)\A{_WRAPPING}(?:{UUID}|{_BARE_ID}){_WRAPPING}\z"
    hits = {
        column: pc.match_substring_regex(texts, pattern)
        for column, texts in enumerate(sheet.cells)
        if column not in excluded
    }
    return _first_address(sheet, hits)


def header_too_deep(sheet: RawSheet, header: str = "") -> str:
    """Return the address of an image ID's header (or that given) below the rows searched."""
    words = [header] if header else SYNONYMS["image_id"]
    # "ID" alone stands in many tables that are no lists of shares.
    keys = pa.array([normalize(word) for word in words if len(normalize(word)) > len("id")], TEXT)
    hits = {
        column: pc.is_in(pc.utf8_lower(pc.replace_substring_regex(texts, r"[\W_]+", "")), keys)
        for column, texts in enumerate(sheet.cells)
    }
    return _first_address(sheet, hits, SEARCHED_ROWS)


def empty_formulas(sheet: RawSheet, header_row: int, column: int) -> str:
    """Return the addresses of formulas below a header that may never have been calculated."""
    spots = sorted(sheet.metadata.empty_formulas)
    rows = [row + 1 for row, position in spots if position - sheet.first_column == column]
    return _join_addresses([_address(sheet, row, column) for row in rows if row > header_row])


def _is_wrapped(cell: str, grammar: str) -> bool:
    pattern = f"{_PY_WRAPPING}(?:{grammar}){_PY_WRAPPING}"
    return re.fullmatch(pattern, cell, re.IGNORECASE) is not None


def _is_share(row: Sequence[str], fields: Mapping[str, int]) -> bool:
    """Return True for a row with a project, a decision and any text for the image."""
    project, status = (row[fields[f]] if f in fields else "" for f in ("project_id", "status"))
    decided = status.strip().lower() in STATUS_WORDS
    return bool(row[fields["image_id"]].strip()) and decided and _is_wrapped(project, _BARE_ID)


def _first_address(sheet: RawSheet, hits: Mapping[int, pa.ChunkedArray], start: int = 0) -> str:
    spots = []
    for column, hit in hits.items():
        rows = np.flatnonzero(np.asarray(hit, dtype=bool)[start:])
        if rows.size:
            spots.append((int(rows[0]) + start + 1, column))
    return _address(sheet, *min(spots)) if spots else ""


def _address(sheet: RawSheet, row: int, column: int) -> str:
    return f"{column_letter(sheet.first_column + column)}{row}"


def _join_addresses(addresses: Sequence[str]) -> str:
    more = len(addresses) - _MAX_ADDRESSES
    return ", ".join(addresses[:_MAX_ADDRESSES]) + (f" and {more} more" if more > 0 else "")
