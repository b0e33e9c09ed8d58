"""Read spreadsheets into one inventory; a file's bytes decide its format, not its name."""

from __future__ import annotations

import numbers
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.columns import STR, NumberedTexts, numbered, numbered_constant
from sharekit.core.errors import InputError, SharekitError, SpreadsheetError, UsageError
from sharekit.core.fields import FIELDS, GRAMMARS
from sharekit.core.html import shorten
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.progress import shows_progress

from .cell_issues import CellIssues, concat, find_cell_issues
from .contradictions import disagreeing_sheets, earlier_version, set_aside_word
from .formats import per_text as pc
from .formats.columns import value_text
from .formats.dataframe import Frame, not_readable, read_frame, texts_of
from .formats.delimited import check_encoding, read_delimited
from .formats.further import find_reader, read_further
from .formats.json import BEGINNING, read_json
from .formats.parquet import read_parquet
from .formats.per_text import is_numbered
from .formats.raw_sheet import TEXT, Blob, Content, RawSheet
from .formats.workbooks.workbook import Choice, read_workbook
from .formats.workbooks.xls import read_xls
from .headers import (
    SEARCHED_ROWS,
    fields_called,
    header_too_deep,
    match,
    nearest_header,
    reads_as_log,
    unique_names,
)
from .input import OLE, PARQUET, PLAIN_TEXT, ZIP, HasRead, Limits, list_formats, load, load_content
from .inventory import Inventory, SheetRows, find_rows
from .mistaken_ids import NOTHING, KnownIds, find_mistaken_ids
from .other_files import HEAD, check_is_table, head_of, locked_file, without_lock_files
from .vocabulary import FALSE_WORDS, STATUS_WORDS, TRUE_WORDS

#: What is read: paths, contents of files, and frames.
Readable = str | os.PathLike[str] | bytes | bytearray | memoryview | HasRead | Frame
_PATHS: Final = (str, os.PathLike)
_CONTENTS: Final = (bytes, bytearray, memoryview, HasRead)
#: Names and texts listed in a message.
_MAX_LISTED: Final = 12
#: Field -> what a default for it must be.
_EXPECTED: Final = {
    "project_id": "a project ID (32 hexadecimal digits)",
    "status": "a decision (accepted or rejected; of an owner share or unshare)",
    "vault_id": "a vault ID (8-4-4-4-12 hexadecimal digits)",
    "whole_image": "yes or no",
}
_WORDS: Final = {"status": frozenset(STATUS_WORDS), "whole_image": TRUE_WORDS | FALSE_WORDS}


@checks_arguments
@shows_progress("reading the inventory")
def read_inventory(
    *files: Readable,
    sheet: str | Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    encoding: str = "",
    name: str | Sequence[str] = (),
    progress: bool = True,
) -> Inventory:
    r"""Read every row of spreadsheets or DataFrames as text, with its address, repairing nothing.

    Parameters
    ----------
    *files : path, DataFrame, list of dict, bytes or file object
        xlsx, xlsm, xlsb, xls, ods, csv, tsv, parquet, JSON and JSON-lines files, recognized by
        their content and opened for reading only; ``-`` is standard input. DataFrames of pandas or
        polars, Arrow tables, lists of records, and what a file holds or reads. A DataFrame's index
        names its rows in findings and reports, and comes back as :attr:`Inventory.labels`.
    sheet : str or sequence of str, optional
        The sheets to read. Without it, every sheet with a header that is recognized is read.
    columns : Mapping of str to str, optional
        Field -> header, for headers that are not recognized; ``""`` means that no column is the
        field's.
    defaults : Mapping of str to str, optional
        Field -> text, for sheets that have no column for the field.
    limits : Limits, optional
        How much a file may hold; the defaults admit a million rows of fifty columns.
    encoding : str, optional
        Encoding of csv and tsv files without a byte order mark, such as ``cp1251``; it is detected
        by default.
    name : str or sequence of str, optional
        What reports call the DataFrames and whatever else is no path, in order; ``DataFrame`` by
        default.
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    Inventory
        Rows in the order of files, sheets and rows.

    Raises
    ------
    SpreadsheetError
        A file cannot be read, or has no header row.
    InputError
        A file or sheet does not exist, or there are no rows at all.
    UsageError
        No file is given, a field or an encoding does not exist, or a DataFrame is not one table
        with named rows and columns.

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
    >>> frame = pd.DataFrame({"Image ID": ["9afb…"], "Decision": ["yes"]}, index=["ticket 7"])
    >>> inventory = read_inventory(frame, name="tickets")
    >>> inventory.cell_addresses(inventory.rows, "image_id").tolist()
    ["loc['ticket 7', 'Image ID']"]
    """
    mapping, defaults = read_options(files, columns, defaults)
    check_encoding(encoding)
    called = _names(files, name)
    paths, locks = without_lock_files([file for file in files if isinstance(file, _PATHS)])
    names = (sheet,) if isinstance(sheet, str) else tuple(sheet or ())
    sheets = [
        find_rows(content, raw, mapping, defaults)
        for file, own in zip(files, called, strict=True)
        if not isinstance(file, _PATHS) or file in paths
        for content, raws in [_read(file, own, names, mapping, limits, encoding)]
        for raw in raws
    ]
    return join_sheets(sheets, mapping, names, locks)


def join_sheets(
    sheets: list[SheetRows], mapping: Mapping[str, str], names: Sequence[str] = (),
    locks: Sequence[str] = (), beyond: KnownIds = NOTHING,
) -> Inventory:  # fmt: skip
    """Return the rows of sheets that were read as one inventory; see :func:`read_inventory`.

    ``beyond`` are IDs that rows name which are read apart.

    Raises
    ------
    SpreadsheetError, InputError, UsageError
        None has a header row or any rows, or one of ``names`` or of the headers does not exist.
    """
    _check_values(sheets)
    if not names:
        sheets = _leave_out_others(sheets)
    _check_sheets(sheets, names)
    _check_headers(sheets, names, mapping)
    _check_rows(sheets)
    return _inventory([rows for rows in sheets if rows.raw.cells], locks, beyond)


def _names(files: Sequence[Readable], given: str | Sequence[str]) -> list[str]:
    """Return what reports call each input: its path, the name that is given, or its type."""
    names = [given] if isinstance(given, str) else list(given)
    unnamed = sum(not isinstance(file, _PATHS) for file in files)
    if len(names) > unnamed:
        raise UsageError(
            f"{len(names)} names are given for {unnamed} inputs that are no paths; name each once."
        )
    called: list[str] = []
    for file in files:
        if isinstance(file, _PATHS):
            called.append(_path(file))
            continue
        own = names.pop(0) if names else ""
        base = own or _name_of(file)
        copies = [f"{base} ({number})" for number in range(2, len(called) + 2)]
        called.append(own or next(text for text in (base, *copies) if text not in called))
    return called


def _path(file: str | os.PathLike[str]) -> str:
    try:
        return os.fspath(file)
    except TypeError as error:  # what was opened without a path, such as pandas.ExcelFile
        raise not_readable(file) from error


def _name_of(content: Readable) -> str:
    if isinstance(content, list | tuple) or type(content).__name__ == "generator":
        return "records"
    path = "" if isinstance(content, pd.DataFrame) else getattr(content, "name", "")
    return path if isinstance(path, str) and path else type(content).__name__


def _read(
    file: Readable, name: str, sheets: Sequence[str], mapping: Mapping[str, str],
    limits: Limits | None, encoding: str,
) -> tuple[Content, list[RawSheet]]:  # fmt: skip
    """Read what is given: a path, the content of a file, or a frame."""
    if isinstance(file, _PATHS):
        blob = load(file, limits)
    elif isinstance(file, bytes | bytearray | memoryview) or (
        isinstance(file, HasRead) and not isinstance(file, pd.DataFrame)
    ):
        blob = load_content(file, name, limits)
    else:
        content, raw = read_frame(file, name, limits)
        return content, [raw]
    content = Content(blob.file, blob.sha256, blob.size)
    return content, [_numbered(s) for s in read_sheets(blob, sheets, mapping, limits, encoding)]


def _numbered(raw: RawSheet) -> RawSheet:
    """Hold each distinct text of a column once."""
    return replace(raw, cells=tuple(
        cells if is_numbered(cells) else pa.chunked_array([numbered(cells)]) for cells in raw.cells
    ))  # fmt: skip


def _check_values(sheets: Sequence[SheetRows]) -> None:
    """Raise an error for a column of IDs or decisions in which a cell holds several values."""
    for sheet in sheets:
        fields = [f for f, i in sheet.fields.items() if i in sheet.raw.nested]
        if not fields:
            continue
        column, file = sheet.fields[fields[0]], sheet.source.file
        if sheet.source.index_dtype:
            taken = f"df[{sheet.names[column]!r}].str"
            call = f'{taken}["id"] of dicts, {taken}[0] of lists, or pandas.json_normalize(records)'
            raise UsageError(
                f"The column {sheet.names[column]!r} of {file} holds lists or dicts where "
                f"{fields[0]} is expected; take the values out of them first: {call}."
            )
        raise SpreadsheetError(
            f"{file} holds lists or objects under {sheet.names[column]!r}, where {fields[0]} is "
            f'expected; give each object its own values, as in {{"{fields[0]}": "…"}}.'
        )


def read_sheets(
    blob: Blob,
    names: Sequence[str] = (),
    mapping: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    encoding: str = "",
) -> list[RawSheet]:
    """Read the named sheets of a file, or all of them, by the reader for its first bytes."""
    limits = limits or Limits()
    if not blob.data[:HEAD].strip() and not blob.data.strip():
        raise SpreadsheetError(f"{blob.file} is empty; give a spreadsheet with a header row.")
    choose: Choice = partial(_choose, blob.file, names)
    if further := find_reader(blob.file):
        return read_further(blob, further, choose, limits.check_dimensions)
    readers: dict[bytes, Callable[[], list[RawSheet]]] = {
        ZIP: partial(read_workbook, blob, choose, limits),
        OLE: partial(read_xls, blob, choose, limits),
        PARQUET: partial(read_parquet, blob, limits),
        PLAIN_TEXT: partial(read_delimited, blob, mapping or {}, limits, encoding),
    }
    magic = next((key for key in readers if key and blob.data.startswith(key)), PLAIN_TEXT)
    if magic == PLAIN_TEXT and re.match(BEGINNING, head_of(blob.data)):
        return read_json(blob, mapping or {}, limits)
    if magic == PLAIN_TEXT:
        check_is_table(blob)
    return readers[magic]()


def _choose(file: str, wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    keys = {name.casefold() for name in wanted}
    chosen = [i for i, name in enumerate(names) if not keys or name.casefold() in keys]
    if not names:
        raise SpreadsheetError(f"{file} has no sheets at all; give a workbook with shares.")
    if not chosen:
        raise InputError(
            f"{file} has no sheet named {_join(wanted)}; its sheets are {_join(names)}."
        )
    return chosen


def _texts(given: Mapping[str, str] | None, what: str) -> dict[str, str]:
    """Return a text for each field; columns of DataFrames may be called by numbers."""
    if not isinstance(given, Mapping | None):
        raise UsageError(f'{what} gives a text for each field: {what}={{"project_id": "…"}}.')
    for field, value in (given or {}).items():
        if not isinstance(value, str | numbers.Number | UUID | None):
            raise UsageError(
                f"{what} gives one text for {field}, and this is a {type(value).__name__}; values "
                "for each row are a column of the DataFrame."
            )
    return {field: value_text(value) for field, value in (given or {}).items()}


def read_options(
    files: Sequence[object], columns: Mapping[str, str] | None, given: Mapping[str, str] | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and the defaults of fields as texts, once they are known to be usable.

    Raises
    ------
    UsageError
        No file is given, a field does not exist, or a default is no value of its field.
    """
    mapping, defaults = _texts(columns, "columns"), _texts(given, "defaults")
    if not files:
        raise UsageError("No spreadsheet is given; name at least one file.")
    unknown = [field for field in (*mapping, *defaults) if field not in FIELDS]
    if unknown:
        name, meant = unknown[0], fields_called(unknown[0])
        hint = f"did you mean {meant[0]}?" if meant else f"the fields are {_join(FIELDS)}."
        turned = " The field stands before the header." * (mapping.get(name) in FIELDS)
        raise UsageError(f"There is no field {name!r}; {hint}{turned}")
    if defaults.get("image_id"):
        raise UsageError("An image ID cannot have a default; every row names its own image.")
    for field, value in defaults.items():
        if value and not _is_valid(field, value):
            raise UsageError(
                f"The default for {field}, {value!r}, is not {_EXPECTED[field]}; correct it."
            )
    return mapping, defaults


def _is_valid(field: str, value: str) -> bool:
    word = value.strip().lower()
    if field in GRAMMARS:
        return re.fullmatch(GRAMMARS[field], word) is not None
    return field not in _WORDS or word in _WORDS[field]


def _check_sheets(sheets: Iterable[SheetRows], names: Sequence[str]) -> None:
    """Raise InputError unless every named sheet is in one of the files."""
    read = {sheet.raw.sheet.casefold() for sheet in sheets}
    missing = [name for name in names if name.casefold() not in read]
    if missing:
        others = dict.fromkeys(name for sheet in sheets for name in sheet.raw.siblings)
        known = f"the sheets there are {_join(others)}"
        without = f"{list_formats('and', has_sheets=False)} files have no sheets"
        raise InputError(
            f"No file has a sheet named {_join(missing)}; {known if others else without}."
        )


def _leave_out_others(sheets: Sequence[SheetRows]) -> list[SheetRows]:
    """Leave out lists of something else, logs and drafts, if their file has a list of shares."""
    doubted = [replace(sheet, doubt=_doubt(sheet)) for sheet in sheets]
    lists = [s for s in doubted if s.source.header_row and s.likely]
    files = {s.source.file for s in lists}
    certain = {s.source.file for s in lists if not s.doubt}
    others = [s for s in doubted if s.source.header_row and (s.doubt or not s.likely)]
    left_out = [s for s in others if s.source.file in (certain if s.likely else files)]
    return [s.left_out() if any(s is other for other in left_out) else s for s in doubted]


def _doubt(sheet: SheetRows) -> str:
    """Return what a sheet's name or its columns say against it."""
    if not sheet.source.header_row or not sheet.likely:
        return ""
    name = sheet.source.sheet
    log = "a date, and who changed what" if reads_as_log(sheet.names) else ""
    return set_aside_word(name) or earlier_version(name, sheet.raw.siblings) or log


def _check_headers(
    sheets: Sequence[SheetRows], names: Sequence[str], mapping: Mapping[str, str]
) -> None:
    """Raise an error unless each file (each sheet, if named) has a header, each mapping a use."""
    for file in dict.fromkeys(sheet.source.file for sheet in sheets):
        own = [sheet for sheet in sheets if sheet.source.file == file]
        without = [sheet for sheet in own if not sheet.source.header_row]
        each_needs_one = bool(names) and own[0].raw.sheet != ""
        if without and (each_needs_one or len(without) == len(own)):
            raise _no_header(without, mapping.get("image_id", ""))
    used = {field for sheet in sheets for field in sheet.source.columns}
    if any(sheet.state_columns for sheet in sheets):
        used.add("status")
    for field, header in mapping.items():
        if header and field not in used:
            headers = dict.fromkeys(name for sheet in sheets for name in sheet.names)
            raise InputError(
                f"No sheet has a column {header!r} to map {field} to; the headers are "
                f"{_join(headers)}."
            )


def _no_header(sheets: Sequence[SheetRows], mapped: str) -> SharekitError:
    filled = [sheet.raw for sheet in sheets if sheet.raw.cells]
    file = sheets[0].source.file
    if sheets[0].raw.labels is not None:
        return _no_column(sheets[0], mapped)
    if not filled:
        return SpreadsheetError(f"{file} has no cells with content; give a sheet with shares.")
    for raw in filled:
        if address := header_too_deep(raw, mapped):
            return SpreadsheetError(
                f"{_location(file, raw)}: the header seems to be in {address}, but only the first "
                f"{SEARCHED_ROWS} rows are searched for it; delete rows above it."
            )
    raw = filled[0]
    rows = ([cell for cell in row if cell.strip()] for row in raw.head(SEARCHED_ROWS))
    first = _join(next((row for row in rows if row), ["only blanks"]))
    if mapped:
        return SpreadsheetError(
            f"{_location(file, raw)} has no column {mapped!r} to map image_id to in its first "
            f"{SEARCHED_ROWS} rows; its first row reads {first}. Give the header as it is in the "
            "sheet."
        )
    one_column = raw.format == "csv" and len(raw.cells) == 1
    hint = " If another character separates its columns, add a first line such as sep=:"
    return SpreadsheetError(
        f"{_location(file, raw)} has no header row with an image ID in the first {SEARCHED_ROWS} "
        f"rows; its first row reads {first}. "
        f"{_nearest(raw)}"
        "Expected are headers such as image_id, project_id and status."
        f"{hint if one_column else ''} Another header has to be named:",
        in_python='columns={"image_id": "Your header"}.', in_shell='--map image_id="Your header".',
    )  # fmt: skip


def _no_column(sheet: SheetRows, mapped: str) -> SharekitError:
    """Return the error for a frame, or a JSON file, without a column of image IDs."""
    file, headers = sheet.source.file, [str(column[0]) for column in sheet.raw.cells]
    if not sheet.raw.height:
        return UsageError(
            f"{file} has no rows and no columns; give one row per share, with image_id, "
            "project_id and status."
        )
    missing = f"no column {mapped!r} to map image_id to" if mapped else "no column of image IDs"
    instead = nearest_header(headers, "image_id") or headers[0]
    known = f"{file} has {missing}; its columns are {_join(headers)}. "
    if sheet.source.index_dtype:
        return UsageError(
            f'{known}Name the one that is meant: read_inventory(…, columns={{"image_id": '
            f"{instead!r}}})."
        )
    return SpreadsheetError(
        f"{known}Name the one that is meant:",
        in_python=f'columns={{"image_id": {instead!r}}}.', in_shell=f'--map image_id="{instead}".',
    )  # fmt: skip


def _nearest(raw: RawSheet) -> str:
    """Name the header nearest to one of image IDs, in the row that is most like a header."""
    rows = [row for row in raw.head(SEARCHED_ROWS) if any(cell.strip() for cell in row)]
    for row in sorted(rows, key=lambda row: -len(match(unique_names(row), {}))):
        if nearest := nearest_header([cell for cell in row if cell.strip()], "image_id"):
            return f'The header nearest to image_id is "{_join([nearest])}". '
    return ""


def _location(file: str, raw: RawSheet) -> str:
    return f"{file} (sheet {raw.sheet})" if raw.sheet else file


def _check_rows(sheets: Sequence[SheetRows]) -> None:
    if not any(sheet.source.rows for sheet in sheets):
        files = dict.fromkeys(sheet.source.file for sheet in sheets)
        if any(sheet.source.index_dtype for sheet in sheets):
            raise UsageError(f"{_join(files)} has columns but no rows; give one row per share.")
        raise InputError(
            f"{_join(files)} has a header but no rows below it; fill in one row per share "
            "and read it again."
        )


def _join(texts: Iterable[str]) -> str:
    short = [shorten(" ".join(text.split())) for text in texts]
    return ", ".join(short[:_MAX_LISTED]) + (" …" if len(short) > _MAX_LISTED else "")


def _inventory(sheets: Sequence[SheetRows], locks: Sequence[str], beyond: KnownIds) -> Inventory:
    lengths = np.array([sheet.source.rows for sheet in sheets])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    index = np.repeat(np.arange(len(sheets), dtype=np.int32), lengths)
    data: dict[str, object] = {
        "file": _category([sheet.source.file for sheet in sheets], index),
        "sheet": _category([sheet.source.sheet for sheet in sheets], index),
        "row": _row_labels(sheets),
        "source": index,
    }
    data |= {field: _joined(sheets, [_field(s, field) for s in sheets]) for field in FIELDS}
    data |= _originals(sheets)
    rows = pd.DataFrame(data, index=pd.RangeIndex(int(starts[-1]), name="row_key"), copy=False)
    issues = [find_cell_issues(sheet, i, int(starts[i])) for i, sheet in enumerate(sheets)]
    issues += _lock_notes(sheets, locks)
    issues += find_mistaken_ids(sheets, starts.tolist(), beyond)
    issues += [
        CellIssues(hits.rule, hits.positions, "status", details=hits.details).to_frame(
            source, int(starts[source])
        )
        for source, hits in disagreeing_sheets(sheets)
    ]
    return Inventory(rows, tuple(sheet.source for sheet in sheets), concat(issues))


def _row_labels(sheets: Sequence[SheetRows]) -> object:
    """Return the rows' numbers, or their labels in DataFrames: whole numbers, or else texts."""
    labels = [_own_labels(sheet.raw, sheet.rows) for sheet in sheets]
    if all(own.dtype.kind == "i" for own in labels):
        return np.concatenate([own.to_numpy(np.int64) for own in labels])
    texts = [texts_of(own) for own in labels]
    return pd.array(pa.chunked_array([c for own in texts for c in own.chunks], TEXT), dtype=STR)


def _own_labels(raw: RawSheet, rows: NDArray[np.int64]) -> pd.Index:
    if raw.labels is not None:
        return raw.labels[rows - 1]
    return pd.Index(rows + 1 if raw.numbers is None else raw.numbers[rows])


def _lock_notes(sheets: Sequence[SheetRows], locks: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield a note for each lock file, beside those of the workbook that it is for, if it is read.

    The note is one about the lock file itself.
    """
    files = [os.path.normpath(sheet.source.file) for sheet in sheets]
    for lock in locks:
        locked = os.path.normpath(locked_file(lock))
        source = files.index(locked) if locked in files else 0
        yield CellIssues("lock-file", np.array([-1]), "", [lock]).to_frame(source)


def _category(texts: Sequence[str], index: NDArray[np.int32]) -> pd.Categorical:
    names = list(dict.fromkeys(texts))
    codes = np.array([names.index(text) for text in texts])
    return pd.Categorical.from_codes(codes[index], categories=pd.Index(names, dtype=STR))


def _field(sheet: SheetRows, field: str) -> pa.ChunkedArray | str:
    if field in sheet.fields:
        return sheet.cells[sheet.fields[field]]
    return sheet.defaults.get(field, "")


def _originals(sheets: Sequence[SheetRows]) -> dict[str, object]:
    """Return every column of every sheet under its own header, blank where a sheet lacks it."""
    columns = [
        {
            name: cells
            for name, cells, header in zip(sheet.names, sheet.cells, _headers(sheet), strict=True)
            if header or not _is_empty(cells)
        }
        for sheet in sheets
    ]
    names = dict.fromkeys(name for own in columns for name in own)
    return {
        f"input.{name}": _joined(sheets, [own.get(name, "") for own in columns]) for name in names
    }


def _headers(sheet: SheetRows) -> list[str]:
    if not sheet.cells:
        return []
    return [column[sheet.source.header_row - 1].as_py().strip() for column in sheet.raw.cells]


def _is_empty(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.equal(column, "")).as_py())


def _joined(sheets: Sequence[SheetRows], columns: Sequence[pa.ChunkedArray | str]) -> object:
    """Join one column of all sheets, without copying what was read."""
    chunks: list[pa.Array] = []
    for sheet, column in zip(sheets, columns, strict=True):
        if isinstance(column, str):
            chunks.append(numbered_constant(column, sheet.source.rows))
        else:
            chunks += column.chunks
    return NumberedTexts.of(chunks[0] if len(chunks) == 1 else numbered(pa.chunked_array(chunks)))
