"""Which rows of a review are shown, and in which order: search, filters, sort, pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.columns import STR
from sharekit.core.html import table

#: Positions in the whole table, in the order in which they are shown.
Positions = NDArray[np.int64]

#: Columns that a search looks into.
SEARCHED: Final = (
    "image_id", "name", "project_id", "project_name", "owner", "vault_id", "reason",
)  # fmt: skip
#: Columns that a table can be sorted by.
SORTED: Final = ("name", "image_id", "project_id", "owner", "before", "wanted", "state", "findings")


@dataclass(frozen=True)
class RowFilter:
    """A filter and an order of rows; an empty field does not narrow the filter.

    Attributes
    ----------
    text : str
        Part of an ID, a name, an owner or a reason, in any case.
    project, decision, state, before : str
        Exactly this project, by ID or name; ``accept``, ``reject`` or ``skip``; ``planned``,
        ``already``, ``blocked``, ``duplicate`` or ``skipped``; the state in the cloud before the
        run.
    finding : str
        Rows with this rule; ``any`` for rows with any finding.
    changed : bool
        Only rows that a person has decided.
    by : str
        Only rows that this person has decided.
    sort : str
        One of :data:`SORTED`, or ``""`` for the input's order.
    descending : bool
        Reverse the order.

    Examples
    --------
    >>> rows = pd.DataFrame({"project_id": ["a", "b", "a"], "project_name": ["web", "", "web"]})
    >>> select(rows, RowFilter(project="web")).tolist()
    [0, 2]
    """

    text: str = ""
    project: str = ""
    decision: str = ""
    state: str = ""
    before: str = ""
    finding: str = ""
    changed: bool = False
    by: str = ""
    sort: str = ""
    descending: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Page:
    """One page of a table: ``rows``, its ``number`` from 0, of ``pages``; ``found`` rows in all."""

    rows: pd.DataFrame
    number: int
    pages: int
    found: int

    def __repr__(self) -> str:
        return (
            f"<Page {self.number + 1} of {self.pages}: {len(self.rows):,} of {self.found:,} rows>"
        )

    def _repr_html_(self) -> str:
        return table(self.rows, title=repr(self)[1:-1])


def paginate(positions: Positions, number: int, size: int) -> tuple[int, int, Positions]:
    """Return the nearest page number that exists, the number of pages, and the page's positions.

    >>> paginate(np.arange(45), 9, 20)
    (2, 3, array([40, 41, 42, 43, 44]))
    """
    pages = max(1, -(-len(positions) // size))
    number = min(max(number, 0), pages - 1)
    return number, pages, positions[number * size : (number + 1) * size]


def select(rows: pd.DataFrame, row_filter: RowFilter) -> Positions:
    """Return the positions of the rows to be shown, in the order to show them."""
    mask = _mask(rows, row_filter)
    positions = np.arange(len(rows)) if mask is None else np.flatnonzero(mask)
    if row_filter.sort in SORTED:
        values = pa.array(rows[row_filter.sort]).take(pa.array(positions))
        order = "descending" if row_filter.descending else "ascending"
        table = pa.table({"value": values, "position": pa.array(positions)})
        ranks = pc.sort_indices(table, [("value", order), ("position", "ascending")])
        return np.asarray(positions[np.asarray(ranks)], dtype=np.int64)
    step = -1 if row_filter.descending else 1
    return np.asarray(positions[::step], dtype=np.int64)


def _mask(rows: pd.DataFrame, row_filter: RowFilter) -> NDArray[np.bool_] | None:
    exact = {
        "wanted": row_filter.decision, "state": row_filter.state, "before": row_filter.before,
        "by": row_filter.by,
    }  # fmt: skip
    masks = [(rows[column] == value).to_numpy() for column, value in exact.items() if value]
    if row_filter.project:
        named = rows[["project_id", "project_name"]] == row_filter.project
        masks.append(named.any(axis="columns").to_numpy())
    if row_filter.changed:
        masks.append((rows["decision"] != "").to_numpy() | (rows["vault"] != "").to_numpy())
    if row_filter.finding == "any":
        masks.append((rows["findings"] != "").to_numpy())
    elif row_filter.finding:
        masks.append(_contains(rows["findings"], f"{row_filter.finding}:"))
    if text := row_filter.text.strip():
        masks.append(np.logical_or.reduce([_SEARCH[name](rows[name], text) for name in SEARCHED]))
    return np.logical_and.reduce(masks) if masks else None


def _contains(column: pd.Series, text: str) -> NDArray[np.bool_]:
    hits = pc.match_substring(pa.array(column), text, ignore_case=not text.isnumeric())
    return np.asarray(pc.fill_null(hits, fill_value=False), dtype=bool)


def _contains_by_value(column: pd.Series, text: str) -> NDArray[np.bool_]:
    """Search each distinct value once, for columns with few of them; see :func:`_contains`."""
    codes = pa.chunked_array(pa.array(column)).combine_chunks().dictionary_encode()
    hits = _contains(pd.Series(codes.dictionary.to_pandas(), dtype=STR), text)
    return np.asarray(hits[codes.indices.to_numpy()], dtype=bool)


#: How each of :data:`SEARCHED` is searched: names and image IDs are nearly all different.
_SEARCH: Final = {
    name: _contains if name in ("image_id", "name") else _contains_by_value for name in SEARCHED
}
