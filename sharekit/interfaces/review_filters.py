"""Which rows of a review are shown, and in which order: search, filters, sort, pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: Positions in the whole table, in the order they are shown.
Places = NDArray[np.int64]

#: Columns that a search looks into.
SEARCHED: Final = ("image_id", "name", "project_id", "owner", "vault_id", "reason")
#: Columns a table can be sorted by, as well as by the input's order.
SORTED: Final = ("name", "image_id", "project_id", "owner", "before", "wanted", "state", "findings")


@dataclass(frozen=True)
class Query:
    """What is to be shown; an empty field does not narrow it.

    Attributes
    ----------
    text : str
        Part of an ID, a name, an owner or a reason, in any case.
    project, decision, state, before : str
        Exactly this project; ``accept``, ``reject`` or ``skip``; ``planned``, ``already``,
        ``blocked``, ``duplicate`` or ``skipped``; the state in the cloud before the run.
    finding : str
        Rows with this rule; ``any`` for rows with one at all.
    changed : bool
        Only rows that a person has decided.
    by : str
        Only rows that this person has decided.
    sort : str
        One of :data:`SORTED`, or ``""`` for the input's order.
    descending : bool
        The other way round.

    Examples
    --------
    >>> frame = pd.DataFrame({"project_id": ["a", "b", "a"]})
    >>> select(frame, Query(project="a")).tolist()
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


@dataclass(frozen=True, eq=False)
class Page:
    """One page of a table: ``rows``, its ``number`` from 0, and how many there are."""

    rows: pd.DataFrame
    number: int
    pages: int
    found: int


def cut(places: Places, number: int, size: int) -> tuple[int, int, Places]:
    """Return the number of a page that exists, how many there are, and what stands on it.

    >>> cut(np.arange(45), 9, 20)
    (2, 3, array([40, 41, 42, 43, 44]))
    """
    pages = max(1, -(-len(places) // size))
    number = min(max(number, 0), pages - 1)
    return number, pages, places[number * size : (number + 1) * size]


def select(frame: pd.DataFrame, query: Query) -> Places:
    """Return the positions of the rows to be shown, in the order to show them."""
    mask = _mask(frame, query)
    places = np.arange(len(frame)) if mask is None else np.flatnonzero(mask)
    if query.sort in SORTED:
        values = pa.array(frame[query.sort]).take(pa.array(places))
        order = "descending" if query.descending else "ascending"
        table = pa.table({"value": values, "place": pa.array(places)})
        order = pc.sort_indices(table, [("value", order), ("place", "ascending")])
        return np.asarray(places[np.asarray(order)], dtype=np.int64)
    return np.asarray(places[::-1] if query.descending else places, dtype=np.int64)


def _mask(frame: pd.DataFrame, query: Query) -> NDArray[np.bool_] | None:
    exact = {
        "project_id": query.project, "wanted": query.decision, "state": query.state,
        "before": query.before, "by": query.by,
    }  # fmt: skip
    masks = [(frame[column] == value).to_numpy() for column, value in exact.items() if value]
    if query.changed:
        masks.append((frame["decision"] != "").to_numpy() | (frame["vault"] != "").to_numpy())
    if query.finding == "any":
        masks.append((frame["findings"] != "").to_numpy())
    elif query.finding:
        masks.append(_holds(frame["findings"], f"{query.finding}:"))
    if text := query.text.strip():
        masks.append(np.logical_or.reduce([_SEARCH[c](frame[c], text) for c in SEARCHED]))
    return np.logical_and.reduce(masks) if masks else None


def _holds(column: pd.Series, text: str) -> NDArray[np.bool_]:
    found = pc.match_substring(pa.array(column), text, ignore_case=not text.isnumeric())
    return np.asarray(pc.fill_null(found, fill_value=False), dtype=bool)


def _few_hold(column: pd.Series, text: str) -> NDArray[np.bool_]:
    """As :func:`_holds`, where a few values fill all rows: each is looked at once."""
    codes = pa.chunked_array(pa.array(column)).combine_chunks().dictionary_encode()
    found = _holds(pd.Series(codes.dictionary.to_pandas(), dtype="str"), text)
    return np.asarray(found[codes.indices.to_numpy()], dtype=bool)


#: How to look into each of :data:`SEARCHED`: names and images are nearly all different.
_SEARCH: Final = {c: _holds if c in ("image_id", "name") else _few_hold for c in SEARCHED}
