"""The rows of the spreadsheets that were read, with their addresses and the issues of cells."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.actions import IMAGE_STATES, MEMBER_STATES
from sharekit.core.columns import STR, hands_out_copies, numbered, with_unit
from sharekit.core.fields import FIELDS, INPUT_PREFIX, STATE_COLUMN
from sharekit.core.html import table

from .formats import per_text as pc
from .formats.dtypes import dtype_name, restore
from .formats.raw_sheet import TEXT, Blob, Content, RawSheet, column_letter, place, take
from .headers import (
    Header,
    ambiguous_columns,
    find_header,
    first_id,
    holds_damaged_id,
    holds_id,
    is_earlier,
    is_of_decisions,
    is_vague,
    match,
    may_hold_decisions,
    normalize,
    says_no,
    state_columns,
    tells_of_past,
    without_remark,
)
from .repeated_headers import find_repeated
from .vocabulary import CLEAR_DECISIONS, PARTICIPLES, PENDING_WORDS, STATUS_WORDS

#: The header over the states in a listing of our own, and in a report of a run made with one.
_SHOWN: Final = {normalize(prefix + STATE_COLUMN) for prefix in ("", INPUT_PREFIX)}

#: A field's name, or an array with one for each row.
Field = str | NDArray[np.object_]
#: Columns of states that are set aside; honest sheets have one or two.
_MOST_SET_ASIDE: Final = 20
#: Words for the state that a share is in; some are words for a decision as well.
_MEMBER_STATES: Final = PARTICIPLES | PENDING_WORDS | set(MEMBER_STATES)
_CLEAR_DECISIONS: Final = pa.array(sorted(CLEAR_DECISIONS), TEXT)
#: Formats whose sheets end at a row that is known, and those of which each line takes a byte.
_WORKBOOKS: Final = ("xlsx", "xlsm", "xlsb", "xls", "ods")
_TEXTS: Final = ("csv", "tsv", "json", "jsonl")
#: The last row of a sheet, and the most rows that any other input has.
_LAST_ROW: Final = 1_048_576
_MOST_ROWS: Final = 1 << 31
#: The most bytes that a computer reads as a whole: a tebibyte.
_MOST_BYTES: Final = 1 << 40
_LETTERS: Final = re.compile("[A-Z]{1,3}")
#: Rows of a column from which its kind is told.
_SAMPLE: Final = 1000


@dataclass(frozen=True)
class Source:
    """One sheet of a file, read or skipped.

    Attributes
    ----------
    file : str
        The path as it was given, ``standard input``, or the name of a DataFrame.
    sheet : str
        Name of the sheet; empty where the format has none.
    sha256, size : str, int
        SHA-256 and length in bytes of the whole file, of the very bytes that were read; of a
        DataFrame those of its text (:mod:`sharekit.spreadsheets.formats.dataframe`).
    format : str
        ``xlsx``, ``xlsm``, ``xlsb``, ``xls``, ``ods``, ``csv``, ``tsv``, ``parquet``, ``json`` or
        ``jsonl``, by content; ``dataframe`` (of pandas), ``table`` (of Arrow) or ``records``.
    header_row : int
        1-based row of the header; 0 if none was found and the sheet was skipped.
    rows, blank_rows : int
        Number of rows read, and of blank rows below the header that were skipped.
    hidden : bool
        Whether the sheet is hidden.
    columns, letters : Mapping[str, str]
        Field -> header as it is in the sheet, and field -> column letter.
    encoding : str
        Encoding of the text (csv and tsv only).
    index_name, index_dtype : str
        Name and dtype of a DataFrame's index; empty for files.
    dtypes, categories : Mapping of str
        Header -> what the column was, and the texts of its categories, for
        :func:`sharekit.spreadsheets.formats.dtypes.restore`; empty where a file has text only.
    """

    file: str
    sheet: str
    sha256: str
    size: int
    format: str
    header_row: int
    rows: int
    blank_rows: int
    hidden: bool
    columns: Mapping[str, str] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    index_name: str = ""
    index_dtype: str = ""
    dtypes: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def names_rows(self) -> bool:
        """Whether rows and cells have names of their own instead of addresses such as B17."""
        return bool(self.index_dtype) or self.format in ("json", "jsonl")

    @property
    def fault(self) -> str:
        """Why nothing that is read can be so; ``""`` if it can."""
        height = self.header_row + self.rows + self.blank_rows
        most = _LAST_ROW if self.format in _WORKBOOKS else _MOST_ROWS
        # Each line of a text ends with a byte at least, but for the last one.
        most = min(most, self.size + 1) if self.format in _TEXTS else most
        known = all(map(_LETTERS.fullmatch, self.letters.values()))
        faults = {
            "has rows or columns, and no header": bool(height or self.columns) > self.header_row,
            "has no column of images": bool(height) and "image_id" not in self.columns,
            "has rows, and not a byte": bool(height) and not self.size,
            f"has {self.size:,} bytes": self.size > _MOST_BYTES,
            "names its rows, which its format does not": self.format in (*_WORKBOOKS, *_TEXTS)
            and bool(self.index_name or self.index_dtype),
            f"has {height:,} rows, and can have {most:,} at the most": height > most,
            "names columns by what are no letters of them": not known
            or (bool(self.letters) and self.letters.keys() != self.columns.keys()),
            "has an encoding, and is no text": bool(self.encoding) and self.format in _WORKBOOKS,
        }
        return next((what for what, is_so in faults.items() if is_so), "")


@hands_out_copies("rows", "cell_issues", deep=True)
@dataclass(frozen=True, eq=False, repr=False)
class Inventory:
    """Every row of the input, as it was read, with its address.

    Attributes
    ----------
    rows : DataFrame
        Indexed by ``row_key`` (0, 1, 2 … in the input's order). Columns: ``file`` and ``sheet``
        (category), ``row`` (int64, as the spreadsheet numbers it; of a DataFrame the label in its
        index, int64 or str), ``source`` (int32, position in ``sources``), the fields of a share,
        :data:`sharekit.core.fields.FIELDS` (str, ``""`` for blank, nothing repaired) and every
        original column as ``input.<header>`` (str).
    sources : tuple of Source
        The sheets, in the order they were read.
    cell_issues : DataFrame
        What the text alone does not show, found while reading. Columns: ``rule`` (a name in
        :data:`sharekit.core.rules.RULES`), ``row_key`` (int64, -1 for a whole sheet), ``source``
        (int32), ``field`` (str, ``""`` for none), ``value`` (str, what to show as the cell's
        value) and ``detail`` (str, what to add to the rule's message).
    """

    rows: pd.DataFrame
    sources: tuple[Source, ...]
    cell_issues: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        files = len({source.file for source in self.sources})
        sheets = sum(1 for source in self.sources if source.header_row)
        where = f"{with_unit(sheets, 'sheet')} of {with_unit(files, 'file')}"
        if all(source.index_dtype for source in self.sources):
            where = ", ".join(source.file for source in self.sources)
        return f"<Inventory: {with_unit(len(self), 'row')} from {where}>"

    def _repr_html_(self) -> str:
        head = self.rows[["file", "sheet", "row", *FIELDS]].head(5).astype(STR)
        sheets = pd.DataFrame([_summary(source) for source in self.sources])
        summary = table(sheets, title=f"Inventory: {with_unit(len(self), 'row')}")
        return summary + table(head, title="The first rows")

    @property
    def labels(self) -> pd.Index:
        """The index that the rows had in a DataFrame, for joins; of files the rows' numbers.

        They have the index's own dtype, if :func:`.dtypes.restore` knows it; other labels are
        texts, and so are all labels of several inputs that are not alike.

        >>> from sharekit.spreadsheets.reading import read_inventory
        >>> shares = pd.DataFrame({"image_id": ["9afb…"]}, index=pd.Index([7], name="ticket"))
        >>> read_inventory(shares).labels
        Index([7], dtype='int64', name='ticket')
        """
        kinds = {(s.index_dtype, s.index_name) for s in self.sources if s.rows}
        dtype, name = kinds.pop() if len(kinds) == 1 else ("", "")
        labels: pd.Series = self.rows["row"]
        if dtype != str(labels.dtype):
            labels = restore(labels.astype(STR), dtype)
        index: pd.Index = pd.Index(labels, dtype=labels.dtype).rename(name or None)
        return index

    def cell_addresses(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Return the address of a field's cell in each row's sheet, such as ``B17``.

        Of a DataFrame it is ``loc[17, 'Image ID']``, or ``loc[17]`` without such a column.

        Parameters
        ----------
        rows : DataFrame
            Any selection of this inventory's rows; only ``source`` and ``row`` are used.
        field : str or array of str
            One of :data:`sharekit.core.fields.FIELDS`, or one for each row.

        Returns
        -------
        Series of str
            With the index of ``rows``; ``""`` where the sheet has no column for the field.
        """
        letters = self._per_source("letters", rows, field)
        addresses = (letters + rows["row"].astype(STR)).where(letters != "", "")
        named = [i for i, source in enumerate(self.sources) if source.names_rows]
        chosen = rows["source"].isin(named)
        if chosen.any():
            headers = self.column_headers(rows, field)[chosen]
            lines = zip(rows["source"][chosen], rows["row"][chosen], headers, strict=True)
            places = [place(self.sources[source].format, *line) for source, *line in lines]
            texts = addresses.to_numpy(dtype=object, copy=True)
            texts[chosen] = places
            addresses = pd.Series(texts, rows.index, STR)
        return addresses

    def column_headers(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Return the header over a field in each row's sheet.

        Returns
        -------
        Series of str
            With the index of ``rows``; ``""`` where there is none.
        """
        return self._per_source("columns", rows, field)

    def _per_source(self, attribute: str, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        asked = np.array([field], dtype=object) if isinstance(field, str) else field
        codes, fields = pd.factorize(asked)
        texts = [[getattr(source, attribute).get(f, "") for f in fields] for source in self.sources]
        taken = np.array(texts, dtype=object)[rows["source"].to_numpy(), codes]
        return pd.Series(taken, index=rows.index, dtype=STR)


def _summary(source: Source) -> dict[str, object]:
    columns = ", ".join(f"{name} ← {header}" for name, header in source.columns.items())
    return {
        "file": source.file,
        "sheet": source.sheet,
        "rows": source.rows,
        "columns found": columns or "no header found, skipped",
    }


@dataclass(frozen=True)
class SheetRows:
    """The rows of one sheet below its header.

    Attributes
    ----------
    rows : ndarray of int64
        0-based row in the sheet of each row kept.
    cells : tuple of pyarrow.ChunkedArray
        The columns of ``raw``, at those rows.
    names, fields : tuple of str, Mapping of str to int
        A unique name for each column, and field -> column.
    defaults : Mapping of str to str
        Field -> default, where the sheet has no column for the field.
    state_columns : tuple of str
        Headers of columns that were set aside because they hold images' states, not decisions.
    ambiguous : Mapping of str to list of int
        Field -> further columns that could mean it.
    unused_defaults : tuple of str
        Fields with a default that the sheet's own column overrides.
    likely : bool
        Whether the sheet reads as a list of shares; a list of something else may have a header
        such as ``ID``, too.
    shows_states : bool
        Whether the sheet lists shares with the state they are in, beside the decision: then a row
        without a decision is one that nobody has decided.
    ids_at : str
        Address of image IDs in a sheet that was left out although its header is clear.
    doubt : str
        What says that the sheet is a log, a copy, a draft or no longer valid; "" if nothing does.
    aside : SheetRows or None
        The sheet as it would have been read, if it was left out.
    refusing : tuple of int
        Columns of yes and no that may speak against a decision; none if the user has named its
        column.
    vague_image_ids : bool
        Whether the header of the image IDs may be of any IDs.
    repeated_headers, other_headers : tuple of int
        1-based rows below the header that are headers, too: the same one, and others.
    """

    source: Source
    raw: RawSheet
    rows: NDArray[np.int64]
    cells: tuple[pa.ChunkedArray, ...]
    names: tuple[str, ...]
    fields: Mapping[str, int]
    defaults: Mapping[str, str] = field(default_factory=dict)
    state_columns: tuple[str, ...] = ()
    ambiguous: Mapping[str, list[int]] = field(default_factory=dict)
    unused_defaults: tuple[str, ...] = ()
    likely: bool = True
    shows_states: bool = False
    ids_at: str = ""
    doubt: str = ""
    aside: SheetRows | None = None
    refusing: tuple[int, ...] = ()
    vague_image_ids: bool = False
    repeated_headers: tuple[int, ...] = ()
    other_headers: tuple[int, ...] = ()

    def left_out(self) -> SheetRows:
        """Return the sheet without its rows, as one that has no header."""
        at = self._first_image_id()
        source = replace(self.source, header_row=0, rows=0, blank_rows=0, columns={}, letters={})
        return SheetRows(
            source, self.raw, np.empty(0, np.int64), (), (), {}, likely=False, ids_at=at,
            doubt=self.doubt, aside=self,
        )  # fmt: skip

    def _first_image_id(self) -> str:
        """Return the address of an image ID that no vague header explains; "" if there is none."""
        image, known = self.fields["image_id"], {*self.fields.values()}
        known.update(self.ambiguous.get("image_id", ()))
        if not is_vague(self.names, image, "image_id"):
            known.discard(image)
        for column, cells in enumerate(self.cells):
            if column not in known and (row := first_id(cells, "image_id")) is not None:
                return self.raw.address(int(self.rows[row]), column)
        return ""


def find_rows(
    blob: Blob | Content, raw: RawSheet, mapping: Mapping[str, str], defaults: Mapping[str, str]
) -> SheetRows:
    """Find the header of a sheet and take the filled rows below it; no header, no rows."""
    header = find_header(raw, mapping)
    if header is None:
        return SheetRows(_source(blob, raw), raw, np.empty(0, np.int64), (), (), {})
    start = header.row + 1
    cells = tuple(column.slice(start) for column in raw.cells)
    keep = _filled(cells, header.fields["image_id"])
    keep[[row - start for row, _ in raw.metadata.uncalculated if row >= start]] = True
    blank = len(keep) - int(keep.sum())
    repeated, others = find_repeated(raw, header, mapping, keep)
    keep[np.array([*repeated, *others], np.int64) - start] = False
    if not keep.all():
        cells = tuple(column.filter(pa.array(keep)) for column in cells)
    if not keep.all() or any(len(column.chunk(0)) != start for column in raw.cells):
        cells = tuple(pa.chunked_array([numbered(column)]) for column in cells)
    fields, states = _set_states_aside(cells, header, mapping)
    ambiguous = ambiguous_columns(header.meant, mapping, fields)
    beside = _states_beside(cells, header.meant, fields, ambiguous.get("status", ()))
    if "status" in fields and "status" not in mapping:
        chosen = header.meant[fields["status"]]
        beside += [i for i in ambiguous.get("status", ()) if is_earlier(header.meant[i], chosen)]
    if beside:
        ambiguous["status"] = [i for i in ambiguous["status"] if i not in beside]
    if "status" not in mapping:
        used = {*fields.values(), *beside, *ambiguous.get("status", ())}
        if rivals := _rival_decisions(cells, header.meant, fields, used):
            ambiguous["status"] = [*ambiguous.get("status", ()), *rivals]
    used = {*range(len(cells))} if "status" in mapping else {*fields.values()}
    source = _source(blob, raw, header.row + 1, int(keep.sum()), blank, header.names, fields)
    given = {name: text for name, text in defaults.items() if text}
    # An empty column for decisions beside a state may have been forgotten as a whole.
    shown = [cells[i] for i in beside if _words(cells[fields["status"]])]
    shown += [cells[i] for i, name in enumerate(header.names) if normalize(name) in _SHOWN]
    return SheetRows(
        source,
        raw,
        np.flatnonzero(keep) + start,
        cells,
        header.names,
        fields,
        defaults={name: text for name, text in given.items() if name not in fields},
        state_columns=states,
        ambiguous=ambiguous,
        unused_defaults=tuple(name for name in given if name in fields),
        refusing=tuple(i for i, n in enumerate(header.names) if i not in used and says_no(n)),
        vague_image_ids="image_id" not in mapping
        and is_vague(header.names, fields["image_id"], "image_id"),
        repeated_headers=tuple(row + 1 for row in repeated),
        other_headers=tuple(row + 1 for row in others),
        likely=_is_likely(header, cells, fields, mapping, given),
        shows_states="status" in fields
        and any(_words(column) <= _MEMBER_STATES for column in shown),
    )


def rows_below(
    blob: Blob, raw: RawSheet, row: int, names: tuple[str, ...], fields: Mapping[str, int]
) -> SheetRows:
    """Take every row, blank ones too, below a header whose 0-based row is known."""
    cells = tuple(column.slice(row + 1) for column in raw.cells)
    rows = np.arange(row + 1, raw.height)
    source = _source(blob, raw, row + 1, len(rows), 0, names, fields)
    return SheetRows(source, raw, rows, cells, names, fields)


def _filled(columns: tuple[pa.ChunkedArray, ...], image_id: int) -> NDArray[np.bool_]:
    """Return True for each row with any text but white space."""
    filled = ~is_blank(columns[image_id])
    # Other columns are read only in rows without an image ID, which are few in a list of shares.
    rest = np.flatnonzero(~filled)
    if rest.size:
        blank = [is_blank(take(column, rest)) for column in columns]
        filled[rest] = ~np.logical_and.reduce(blank)
    return filled


def is_blank(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return True for each text that is nothing but white space."""
    empty = pc.equal(column, "")
    return np.asarray(pc.or_(empty, pc.utf8_is_space(column)), dtype=bool)


def _set_states_aside(
    cells: tuple[pa.ChunkedArray, ...], header: Header, mapping: Mapping[str, str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Skip columns with a status header that hold only states; return them by header, too."""
    fields, skipped = dict(header.fields), list[int]()
    listed = frozenset() if "status" in mapping else frozenset(state_columns(header.meant))
    while (
        "status" in fields
        and len(skipped) < _MOST_SET_ASIDE
        and _holds_states(cells[fields["status"]], listed=fields["status"] in listed)
    ):
        skipped.append(fields["status"])
        if mapping.get("status"):
            fields = {name: column for name, column in fields.items() if name != "status"}
        else:
            fields = match(header.names, mapping, skipped, header.meant)
    return fields, tuple(header.names[column] for column in skipped)


def _holds_states(column: pa.ChunkedArray, *, listed: bool) -> bool:
    """Return True for states of images, or of shares where the header is such as a listing has."""
    words = _words(column)
    # A listing of members prints pending beside accepted and rejected: the shares' present states.
    listed = listed and not words.isdisjoint(PENDING_WORDS)
    return bool(words) and (
        words <= IMAGE_STATES | PENDING_WORDS or (listed and words <= _MEMBER_STATES)
    )


def _states_beside(
    cells: tuple[pa.ChunkedArray, ...],
    names: tuple[str, ...],
    fields: Mapping[str, int],
    others: Collection[int],
) -> list[int]:
    """Return which of the columns that could hold decisions, too, show states instead.

    Beside a header such as "Decision", a column "Status" is the state, unless it demands something
    ("reject", "unshare"); a column of states with a pending one among them is no decision anyway.
    """
    decided = "status" in fields and is_of_decisions(names[fields["status"]])
    listed = frozenset(state_columns(names)) if others else frozenset()
    return [
        column
        for column in others
        if _holds_states(cells[column], listed=column in listed)
        or (
            decided
            and column in listed
            and _words(cells[column]) & STATUS_WORDS.keys() <= PARTICIPLES
        )
    ]


def _rival_decisions(
    cells: tuple[pa.ChunkedArray, ...],
    names: tuple[str, ...],
    fields: Mapping[str, int],
    used: Collection[int],
) -> list[int]:
    """Return the columns under unknown headers whose words may be the decisions that count.

    Beside a column such as "Decision" some of its words must be decisions, else most of them.
    Beside a "Status", which may be a state, this is so whatever the header says.
    """
    chosen = names[fields["status"]] if "status" in fields else ""
    decided = is_of_decisions(chosen)
    rivals = []
    known = {*used, *state_columns(names)}
    for column, name in enumerate(names):
        if column in known or normalize(name) in _SHOWN:
            continue
        speaks = may_hold_decisions(name, chosen)
        if speaks or not (decided or tells_of_past(name)):
            sample = cells[column] if decided else cells[column].slice(0, _SAMPLE)
            words = pc.utf8_lower(pc.utf8_trim_whitespace(sample))
            of_decisions = is_of_decisions(without_remark(name))
            known = pa.array([*STATUS_WORDS], TEXT) if of_decisions else _CLEAR_DECISIONS
            decisions = pc.sum(pc.is_in(words, known)).as_py() or 0
            filled = pc.sum(pc.not_equal(words, "")).as_py() or 0
            # Under any other header it is a column of decisions if most rows have one there.
            rows = filled if speaks else len(sample)
            if decisions and (decided or 2 * decisions > rows):
                rivals.append(column)
    return rivals


def _words(column: pa.ChunkedArray) -> set[str]:
    """Return the distinct words of a column in lower case."""
    texts = pc.utf8_normalize(pc.utf8_lower(pc.utf8_trim_whitespace(pc.unique(column))), "NFC")
    return {word for word in texts.to_pylist() if word}


def _is_likely(
    header: Header,
    cells: tuple[pa.ChunkedArray, ...],
    fields: Mapping[str, int],
    mapping: Mapping[str, str],
    defaults: Mapping[str, str],
) -> bool:
    """Return True if a sheet reads as a list of shares, and not of projects, servers or changes.

    A share is an image, a project and a decision, so there is a column for a project or a decision
    (or both have a default), and a value of some kind. Under a header such as ``ID``, which may be
    anything's, two of the three have to hold values of their kind. A header that the user has named
    is not doubted.
    """
    if mapping.get("image_id") or not len(cells[0]):
        return True
    defaulted = all(field in fields or field in defaults for field in ("project_id", "status"))
    images = cells[fields["image_id"]]
    kinds = [
        holds_id(images, "image_id"),
        "project_id" in fields and holds_id(cells[fields["project_id"]], "project_id"),
        "status" in fields and bool(_words(cells[fields["status"]]) & STATUS_WORDS.keys()),
    ]
    if is_vague(header.names, fields["image_id"], "image_id"):
        return not _shows_other_states(header, cells) and (
            (kinds[0] and defaulted) or sum(kinds) > 1
        )
    named = "project_id" in fields or "status" in fields
    return (kinds[0] and defaulted) or (named and (any(kinds) or holds_damaged_id(images)))


def _shows_other_states(header: Header, cells: tuple[pa.ChunkedArray, ...]) -> bool:
    """Return True if a sheet lists things by states that no share has: servers, volumes."""
    words = [_words(cells[i]) for i in state_columns(header.names)]
    return any(own and own.isdisjoint(STATUS_WORDS.keys() | PENDING_WORDS) for own in words)


def _source(
    blob: Blob | Content,
    raw: RawSheet,
    header_row: int = 0,
    rows: int = 0,
    blank_rows: int = 0,
    names: tuple[str, ...] = (),
    fields: Mapping[str, int] | None = None,
) -> Source:
    columns = fields or {}
    dtypes = dict(zip(names, raw.dtypes, strict=False))
    return Source(
        file=blob.file,
        sheet=raw.sheet,
        sha256=blob.sha256,
        size=blob.size,
        format=raw.format,
        header_row=header_row,
        rows=rows,
        blank_rows=blank_rows,
        hidden=raw.hidden,
        columns={name: names[column] for name, column in columns.items()},
        letters={}
        if raw.labels is not None
        else {name: column_letter(raw.first_column + column) for name, column in columns.items()},
        encoding=raw.encoding,
        dtypes={name: dtype for name, (dtype, _) in dtypes.items()},
        categories={name: list(few) for name, (_, few) in dtypes.items() if few},
        **_index_facts(raw),
    )


def _index_facts(raw: RawSheet) -> dict[str, str]:
    """Return name and dtype of a DataFrame's index."""
    if raw.labels is None or raw.format in ("json", "jsonl"):
        return {}
    name = "" if raw.labels.name is None else str(raw.labels.name)
    labels = pd.Series(raw.labels)
    if pd.api.types.infer_dtype(labels) in ("integer", "floating", "boolean"):
        labels = labels.infer_objects()  # so that numbers are told from keys of rows
    return {"index_name": name, "index_dtype": dtype_name(labels)}
