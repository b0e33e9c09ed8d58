"""What reading spreadsheets gives: the rows, where each stood, and what only the reader saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.columns import Coded
from sharekit.core.fields import FIELDS
from sharekit.core.html import table

#: A field's name, or an array with one for each row.
Field = str | NDArray[np.object_]


@dataclass(frozen=True)
class Source:
    """One sheet that was looked at.

    Attributes
    ----------
    file : str
        The path as it was given, or ``standard input``.
    sheet : str
        Name of the sheet; empty for csv, tsv and parquet.
    sha256, size : str, int
        Digest and length in bytes of the whole file, taken from the very bytes that were read.
    format : str
        ``xlsx``, ``xlsm``, ``xlsb``, ``xls``, ``ods``, ``csv``, ``tsv`` or ``parquet``, by content.
    header_row : int
        1-based row of the header; 0 if none was found and the sheet was left out.
    rows, blank_rows : int
        Rows read, and wholly blank rows below the header that were passed over.
    hidden : bool
        Whether the sheet is hidden.
    columns, letters : Mapping[str, str]
        Field -> header text as it stands there, and field -> column letter.
    encoding : str
        How text was decoded (csv and tsv only).
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


@dataclass(frozen=True, eq=False, repr=False)
class Inventory:
    """Every row of the input, untouched, with its address.

    Attributes
    ----------
    rows : DataFrame
        Indexed by ``row_key`` (0, 1, 2 … in the input's order). Columns: ``file`` and ``sheet``
        (category), ``row`` (int64, as the spreadsheet numbers it), ``source`` (int32, position in
        ``sources``), the fields of a share, ``fields.FIELDS`` (str, ``""`` for blank, nothing
        repaired) and every original column as ``input.<header>`` (str).
    sources : tuple of Source
        The sheets, in the order they were read.
    marks : DataFrame
        What the text alone does not show: ``rule`` (a name in :data:`sharekit.core.rules.RULES`),
        ``row_key`` (int64, -1 for a whole sheet), ``source`` (int32), ``field`` (str, ``""`` for
        none), ``value`` (str).
    coded : Mapping[str, Coded]
        Fields as they were numbered while reading, to save the checks from doing it again.
    """

    rows: pd.DataFrame
    sources: tuple[Source, ...]
    marks: pd.DataFrame
    coded: Mapping[str, Coded] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        files = len({source.file for source in self.sources})
        sheets = sum(1 for source in self.sources if source.header_row)
        return f"<Inventory: {len(self):,} rows from {sheets} sheets of {files} files>"

    def _repr_html_(self) -> str:
        head = self.rows[["file", "sheet", "row", *FIELDS]].head(5).astype("str")
        sheets = pd.DataFrame([_summary(source) for source in self.sources])
        found = table(sheets, title=f"Inventory: {len(self):,} rows")
        return found + table(head, title="The first rows")

    def cell_addresses(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Where the value of a field stands in its sheet, such as ``B17``.

        Parameters
        ----------
        rows : DataFrame
            Any selection of this inventory's rows; only ``source`` and ``row`` are looked at.
        field : str or array of str
            One of :data:`sharekit.core.fields.FIELDS`, or one for each row.

        Returns
        -------
        Series of str
            With the index of ``rows``; ``""`` where the sheet has no column for the field.
        """
        letters = self._names("letters", rows, field)
        return (letters + rows["row"].astype("str")).where(letters != "", "")

    def column_headers(self, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        """Return the header over a field in each row's sheet; ``""`` where there is none."""
        return self._names("columns", rows, field)

    def _names(self, kind: str, rows: pd.DataFrame, field: Field) -> pd.Series[str]:
        one = np.array([field], dtype=object) if isinstance(field, str) else field
        codes, fields = pd.factorize(one)
        names = [[getattr(source, kind).get(f, "") for f in fields] for source in self.sources]
        taken = np.array(names, dtype=object)[rows["source"].to_numpy(), codes]
        return pd.Series(taken, index=rows.index, dtype="str")


def _summary(source: Source) -> dict[str, object]:
    found = ", ".join(f"{name} ← {header}" for name, header in source.columns.items())
    return {
        "file": source.file,
        "sheet": source.sheet,
        "rows": source.rows,
        "columns found": found or "no header found, not read",
    }
