"""What reading spreadsheets gives: the rows, where each stood, and what only the reader saw."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from .. import spec

#: Every rule a mark can name -> what the reader saw.
MARKS: Final = {
    "number-cell": "the cell holds a number, so the program that saved it may have changed digits",
    "date-cell": "the cell holds a date or a time",
    "boolean-cell": "the cell holds TRUE or FALSE",
    "error-cell": "the cell holds an error such as #N/A",
    "formula-without-value": "the cell holds a formula whose result was never saved",
    "merged-cell": "the cell is merged into another, which alone holds the value",
    "hidden-row": "the row is hidden, by a filter or by hand",
    "hidden-sheet": "the whole sheet is hidden",
    "state-column": "the column holds the image's or the share's present state, not a decision",
    "default-used": "the sheet has no such column, so the given default was used",
    "sheet-without-header": "no row of the sheet names an image ID column, so it was not read",
}
_INVISIBLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Source:
    """One sheet that was looked at.

    Attributes
    ----------
    file : str
        The path as it was given, ``-`` for standard input.
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
        ``sources``), the fields of :data:`sharekit.spec.FIELDS` (str, ``""`` for blank, nothing
        repaired) and every original column as ``input.<header>`` (str).
    sources : tuple of Source
        The sheets, in the order they were read.
    marks : DataFrame
        What the text alone does not show: ``rule`` (one of :data:`MARKS`), ``row_key`` (int64, -1
        for a whole sheet), ``source`` (int32), ``field`` (str, ``""`` for none), ``value`` (str).
    """

    rows: pd.DataFrame
    sources: tuple[Source, ...]
    marks: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        files = len({source.file for source in self.sources})
        sheets = sum(1 for source in self.sources if source.header_row)
        return f"<Inventory: {len(self):,} rows from {sheets} sheets of {files} files>"

    def _repr_html_(self) -> str:
        head = self.rows[["file", "sheet", "row", *spec.FIELDS]].head(5).astype("str")
        lines = [_html_row("th", ["file", "sheet", "rows", "columns found"])]
        lines += [_html_row("td", _summary(source)) for source in self.sources]
        sample = [_html_row("th", list(head.columns))]
        sample += [_html_row("td", list(row)) for row in head.itertuples(index=False)]
        return (
            f"<p><b>Inventory</b>: {len(self):,} rows</p><table>{''.join(lines)}</table>"
            f"<p>The first rows:</p><table>{''.join(sample)}</table>"
        )

    def cell_addresses(self, rows: pd.DataFrame, field: str) -> pd.Series[str]:
        """Where the value of ``field`` stands in its sheet, such as ``B17``.

        Parameters
        ----------
        rows : DataFrame
            Any selection of this inventory's rows; only ``source`` and ``row`` are looked at.
        field : str
            One of :data:`sharekit.spec.FIELDS`.

        Returns
        -------
        Series of str
            With the index of ``rows``; ``""`` where the sheet has no column for the field.
        """
        letters = self._per_row(rows, [source.letters.get(field, "") for source in self.sources])
        return (letters + rows["row"].astype("str")).where(letters != "", "")

    def column_headers(self, rows: pd.DataFrame, field: str) -> pd.Series[str]:
        """Return the header over ``field`` in each row's sheet; ``""`` where there is none."""
        return self._per_row(rows, [source.columns.get(field, "") for source in self.sources])

    def _per_row(self, rows: pd.DataFrame, texts: list[str]) -> pd.Series[str]:
        codes = rows["source"].to_numpy()
        return pd.Series(np.array(texts, dtype=object)[codes], index=rows.index, dtype="str")


def _summary(source: Source) -> list[str]:
    found = ", ".join(f"{name} ← {header}" for name, header in source.columns.items())
    return [source.file, source.sheet, f"{source.rows:,}", found or "no header found, not read"]


def _html_row(tag: str, cells: list[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_visible(cell)}</{tag}>' for cell in cells)}</tr>"


def _visible(text: str) -> str:
    # Direction overrides would reorder what the reader sees, so they are spelled out.
    spelled = _INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text[:200])
    return html.escape(spelled)
