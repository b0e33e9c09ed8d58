"""Reading spreadsheets into one inventory; the bytes decide the format, not the name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import STATUS_WORDS
from sharekit.core.columns import Coded
from sharekit.core.errors import InputError, SpreadsheetError, UsageError
from sharekit.core.fields import FALSE_WORDS, FIELDS, GRAMMARS, TRUE_WORDS

from .cell_issues import TEXT_FIELDS, find_cell_issues
from .formats.delimited import check_encoding, read_delimited
from .formats.parquet import read_parquet
from .formats.raw_sheet import TEXT, Blob, RawSheet, constant
from .formats.workbook import Choice, read_workbook
from .formats.xls import read_xls
from .headers import SEARCHED_ROWS, header_too_deep
from .input import Limits, load
from .inventory import Inventory, SheetRows, take_rows

#: How the first bytes look -> what it is, for files that people give by mistake.
_FOREIGN: Final = (
    (rb"%PDF", "a PDF"),
    (rb"\x1f\x8b", "a gzip archive"),
    (b"<", "HTML or XML (some portals give it the suffix .xls)"),
    (rb"\{|\[\s*[{\[\"]", "JSON"),
    (rb"\x89PNG", "a picture"),
    (rb"\xff\xd8\xff", "a picture"),
    (rb"SQLite format 3", "a database"),
)

_HEAD: Final = 4096


def read_inventory(
    *files: str | os.PathLike[str],
    sheet: str | Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    encoding: str = "",
) -> Inventory:
    r"""Read every row of spreadsheets as text, with its address, repairing nothing.

    Parameters
    ----------
    *files : path
        xlsx, xlsm, xlsb, xls, ods, csv, tsv or parquet, told apart by content; ``-`` is standard
        input. Opened for reading only.
    sheet : str or sequence of str, optional
        The sheets to read. Without it, every sheet with a recognisable header is read.
    columns : Mapping[str, str], optional
        Field -> header, where the synonyms do not know it; ``""`` says that no column means it.
    defaults : Mapping[str, str], optional
        Field -> text, for sheets in which that column is missing as a whole.
    limits : Limits, optional
        How much a file may hold; the defaults let a million rows of fifty columns pass.
    encoding : str, optional
        How csv and tsv files are written that have no byte order mark, such as ``cp1251``; without
        it, it is found out.

    Returns
    -------
    Inventory
        Rows in the order of files, sheets and rows.

    Raises
    ------
    SpreadsheetError
        A file that cannot be read, or without any header row.
    InputError
        A file or sheet that does not exist, or no rows at all.
    UsageError
        No file, or a field or an encoding that does not exist.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "shares.csv")
    ...     _ = path.write_text("Image ID;Project\n9afb…;edc8…\n", encoding="utf-8")
    ...     inventory = read_inventory(path, defaults={"status": "accepted"})
    >>> inventory.rows[["row", "image_id", "project_id", "status"]].to_dict("records")
    [{'row': 2, 'image_id': '9afb…', 'project_id': 'edc8…', 'status': 'accepted'}]
    >>> inventory.cell_addresses(inventory.rows, "project_id").tolist()
    ['B2']
    """
    columns, defaults = dict(columns or {}), dict(defaults or {})
    _check_arguments(files, columns, defaults)
    check_encoding(encoding)
    wanted = (sheet,) if isinstance(sheet, str) else tuple(sheet or ())
    parts = [
        take_rows(blob, grid, columns, defaults)
        for file in files
        for blob in [load(file, limits)]
        for grid in read_grids(blob, wanted, columns, limits, encoding)
    ]
    _check_sheets(parts, wanted)
    _check_headers(parts, wanted, columns)
    _check_rows(parts)
    return _inventory([part for part in parts if part.grid.cells])


def read_grids(
    blob: Blob,
    wanted: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    encoding: str = "",
) -> list[RawSheet]:
    """Read the wanted sheets (all, if none is named) of a file by its content."""
    limits = limits or Limits()
    choose: Choice = partial(_choose, blob.file, wanted)
    data = blob.data
    if not data[:_HEAD].strip() and not data.strip():
        raise SpreadsheetError(f"{blob.file} is empty; give a spreadsheet with a header row.")
    if data.startswith(b"PK\x03\x04"):
        return read_workbook(blob, choose, limits)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return read_xls(blob, choose, limits)
    if data.startswith(b"PAR1"):
        return read_parquet(blob, limits)
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, what in _FOREIGN:
        if re.match(mark, head):
            raise SpreadsheetError(
                f"{blob.file} is {what}, not a spreadsheet; give an xlsx, xlsm, xlsb, xls, ods, "
                "csv, tsv or parquet file."
            )
    return read_delimited(blob, columns or {}, limits, encoding)


def _choose(file: str, wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    keys = {name.casefold() for name in wanted}
    chosen = [i for i, name in enumerate(names) if not keys or name.casefold() in keys]
    if not names:
        raise SpreadsheetError(f"{file} has no sheets at all; give a workbook with shares.")
    if not chosen:
        raise InputError(
            f"{file} has no sheet named {_listed(wanted)}; its sheets are {_listed(names)}."
        )
    return chosen


def _check_arguments(
    files: Sequence[object], columns: Mapping[str, str], defaults: Mapping[str, str]
) -> None:
    if not files:
        raise UsageError("No spreadsheet is given; name at least one file.")
    unknown = [field for field in (*columns, *defaults) if field not in FIELDS]
    if unknown:
        raise UsageError(f"There is no field {unknown[0]!r}; the fields are {_listed(FIELDS)}.")
    if defaults.get("image_id"):
        raise UsageError("An image ID cannot have a default; every row names its own image.")
    for field, value in defaults.items():
        if value and not _is_legal(field, value):
            raise UsageError(
                f"The default for {field}, {value!r}, is not {_KINDS[field]}; correct it."
            )


#: What a default must be, in words.
_KINDS: Final = {
    "project_id": "a project ID (32 hexadecimal digits)",
    "status": "a decision (accepted or rejected; of an owner share or unshare)",
    "vault_id": "a vault ID (8-4-4-4-12 hexadecimal digits)",
    "whole_image": "yes or no",
}


def _is_legal(field: str, value: str) -> bool:
    word = value.strip().lower()
    if field in GRAMMARS:
        return re.fullmatch(GRAMMARS[field], word) is not None
    words = {
        "status": set(STATUS_WORDS), "whole_image": TRUE_WORDS | FALSE_WORDS
    }.get(field)  # fmt: skip
    return words is None or word in words


def _check_sheets(parts: Iterable[SheetRows], wanted: Sequence[str]) -> None:
    found = {part.grid.sheet.casefold() for part in parts}
    missing = [name for name in wanted if name.casefold() not in found]
    if missing:
        names = dict.fromkeys(name for part in parts for name in part.grid.siblings)
        names = names or {"none (csv, tsv and parquet have no sheets)": None}
        raise InputError(
            f"No file has a sheet named {_listed(missing)}; the sheets there are {_listed(names)}."
        )


def _check_headers(
    parts: Sequence[SheetRows], wanted: Sequence[str], columns: Mapping[str, str]
) -> None:
    """Every file must have a header somewhere, every named sheet its own, every mapping a use."""
    for file in dict.fromkeys(part.source.file for part in parts):
        own = [part for part in parts if part.source.file == file]
        if wanted and own[0].grid.sheet:
            lacking = [part for part in own if not part.source.header_row]
        else:
            lacking = [] if any(part.source.header_row for part in own) else own
        if lacking:
            raise _no_header(lacking, columns.get("image_id", ""))
    used = {field for part in parts for field in (*part.source.columns, *_stated(part))}
    for field, header in columns.items():
        if header and field not in used:
            seen = dict.fromkeys(name for part in parts for name in part.names)
            raise InputError(
                f"No sheet has a column {header!r} to map {field} to; the headers are "
                f"{_listed(seen)}."
            )


def _stated(part: SheetRows) -> tuple[str, ...]:
    return ("status",) if part.state_columns else ()


def _no_header(parts: Sequence[SheetRows], mapped: str) -> SpreadsheetError:
    file = parts[0].source.file
    filled = [part for part in parts if part.grid.cells]
    if not filled:
        return SpreadsheetError(f"{file} has no cells with content; give a sheet with shares.")
    part = filled[0]
    rows = ([cell for cell in row if cell.strip()] for row in part.grid.head(SEARCHED_ROWS))
    seen = next((row for row in rows if row), ["only blanks"])
    where = f" (sheet {part.grid.sheet})" if part.grid.sheet else ""
    deep = next(((p, spot) for p in filled if (spot := header_too_deep(p.grid, mapped))), None)
    if deep:
        within = f" (sheet {deep[0].grid.sheet})" if deep[0].grid.sheet else ""
        return SpreadsheetError(
            f"{file}{within}: the header seems to be in {deep[1]}, but only the first "
            f"{SEARCHED_ROWS} rows are searched for it; delete rows above it, so that it stands "
            "higher."
        )
    if mapped:
        return SpreadsheetError(
            f"{file}{where} has no column {mapped!r} to map image_id to in its first "
            f"{SEARCHED_ROWS} rows, the first of which reads {_listed(seen)}. "
            "Give the header as it stands there."
        )
    alone = part.grid.format == "csv" and len(part.grid.cells) == 1
    hint = " If its columns have an odd separator, name it in a first line such as sep=:" * alone
    return SpreadsheetError(
        f"{file}{where} has no header row with an image ID in the first {SEARCHED_ROWS} rows; its "
        f"first row reads {_listed(seen)}. "
        "Expected are headers such as image_id, project_id and status; say otherwise with "
        f'--map image_id="Your header".{hint}'
    )


def _check_rows(parts: Sequence[SheetRows]) -> None:
    if not any(part.source.rows for part in parts):
        files = dict.fromkeys(part.source.file for part in parts)
        raise InputError(
            f"{_listed(files)} has a header but no rows below it; fill in one row per share "
            "and read it again."
        )


def _listed(names: Iterable[str]) -> str:
    shown = [" ".join(name.split())[:60] for name in names]
    return ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "")


def _inventory(parts: Sequence[SheetRows]) -> Inventory:
    lengths = np.array([part.source.rows for part in parts])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    index = np.repeat(np.arange(len(parts), dtype=np.int32), lengths)
    data: dict[str, object] = {
        "file": _category([part.source.file for part in parts], index),
        "sheet": _category([part.source.sheet for part in parts], index),
        "row": np.concatenate([part.rows for part in parts]) + 1,
        "source": index,
    }
    data |= {field: _joined(parts, [_field(p, field) for p in parts]) for field in FIELDS}
    data |= _originals(parts)
    rows = pd.DataFrame(data, index=pd.RangeIndex(int(starts[-1]), name="row_key"), copy=False)
    there = [field for field in TEXT_FIELDS if any(field in part.fields for part in parts)]
    coded = {field: Coded.of(rows[field]) for field in there}
    marks = [find_cell_issues(part, i, int(starts[i]), coded) for i, part in enumerate(parts)]
    sources = tuple(part.source for part in parts)
    return Inventory(rows, sources, pd.concat(marks, ignore_index=True), coded)


def _category(texts: Sequence[str], index: NDArray[np.int32]) -> pd.Categorical:
    names = list(dict.fromkeys(texts))
    codes = np.array([names.index(text) for text in texts])
    return pd.Categorical.from_codes(codes[index], categories=pd.Index(names, dtype="str"))


def _field(part: SheetRows, field: str) -> pa.ChunkedArray | str:
    if field in part.fields:
        return part.cells[part.fields[field]]
    return part.defaults.get(field, "")


def _originals(parts: Sequence[SheetRows]) -> dict[str, object]:
    """Every column of every sheet under its own header, blank where a sheet lacks it."""
    places = [
        {
            name: place
            for place, name in enumerate(part.names)
            if _is_named(part, place) or not _is_blank(part.cells[place])
        }
        for part in parts
    ]
    names = dict.fromkeys(name for found in places for name in found)
    return {
        f"input.{name}": _joined(
            parts,
            [
                part.cells[found[name]] if name in found else ""
                for part, found in zip(parts, places, strict=True)
            ],
        )
        for name in names
    }


def _is_named(part: SheetRows, place: int) -> bool:
    header = part.grid.cells[place][part.source.header_row - 1].as_py()
    return bool(header.strip())


def _is_blank(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.equal(column, "")).as_py())


def _joined(parts: Sequence[SheetRows], columns: Sequence[pa.ChunkedArray | str]) -> object:
    """Put one column together from all sheets, without copying what was read."""
    chunks: list[pa.Array] = []
    for part, column in zip(parts, columns, strict=True):
        chunks += [constant(column, part.source.rows)] if isinstance(column, str) else column.chunks
    return pd.array(pa.chunked_array(chunks, TEXT), dtype="str")
