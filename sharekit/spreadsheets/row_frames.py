"""Rows as an analyst wants them: one typed frame, with the columns and the index of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from sharekit.core.columns import STR
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.frame_schemas import public_names

from .formats.dtypes import restore
from .inventory import Inventory

#: Columns with few different values.
_CATEGORIES: Final = frozenset(
    "file sheet status disposition decision policy decided_by before claimed observed outcome code "
    "state wanted asked result seen_by whole_image region visibility name_source owner_source "
    "project_name project_name_source".split()
)
#: Columns of times: ISO 8601, UTC.
_TIMES: Final = frozenset("decided_at sent_at observed_at shared_at image_created_at".split())


def own_labels(inventory: Inventory) -> pd.Index | None:
    """Return the labels that all rows had in DataFrames; None if some came from files.

    They always have a name, so that they cannot be taken for numbers that only count lines: the
    index's own, ``row_key`` where the labels are the keys, or else ``row_label``.
    """
    framed = all(source.index_dtype for source in inventory.sources if source.rows)
    if not framed or not len(inventory):
        return None
    labels = inventory.labels
    if labels.equals(pd.RangeIndex(len(labels))):
        return labels.rename(labels.name or "row_key")
    if labels.name == "row_key":
        return labels.rename(f"{INPUT_PREFIX}row_key")
    return labels.rename(labels.name or "row_label")


def typed_rows(inventory: Inventory, columns: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Return the rows of an inventory with further columns, typed, as a frame of its own.

    As :func:`typed_frame`; the index is that of the DataFrame that was read, or ``row_key``.
    """
    rows = inventory.rows
    places = {name: rows[name] for name in ("file", "sheet", "row")}
    frame = typed_frame(rows, {**places, **columns}, inventory)
    labels = own_labels(inventory)
    return frame if labels is None else frame.set_axis(labels, axis="index")


def typed_frame(
    rows: pd.DataFrame, columns: Mapping[str, pd.Series], inventory: Inventory | None
) -> pd.DataFrame:
    """Return the input's own columns of some rows, and further columns, typed, in a new frame.

    The input's own columns come first, under their headers and in the dtypes that they had, if it
    had any, or under ``input.`` and these: see :func:`.public_names`. Where there is nothing, a
    value is missing. Few different values are categories, times are UTC.
    """
    made: dict[str, pd.Series] = {}
    dtypes = {} if inventory is None else _own_dtypes(inventory)
    for name, shown in public_names(rows.columns).items():
        kind = dtypes.get(name.removeprefix(INPUT_PREFIX), ("",))
        made[shown] = restore(_present(name, rows[name]), *kind)
    made |= {name: _present(name, values) for name, values in columns.items()}
    return pd.DataFrame(made, index=rows.index)


def _own_dtypes(inventory: Inventory) -> dict[str, tuple[str, Sequence[str]]]:
    """Return for each header what its column was, if it was the same in each input that has it."""
    sources = [source for source in inventory.sources if source.rows]
    if not all(source.dtypes for source in sources):  # texts of a file are no other values
        return {}
    found: dict[str, list[tuple[str, Sequence[str]]]] = {}
    for source in sources:
        for header, dtype in source.dtypes.items():
            found.setdefault(header, []).append((dtype, source.categories.get(header, ())))
    return {
        header: kinds[0] for header, kinds in found.items() if all(k == kinds[0] for k in kinds)
    }


def _present(name: str, values: pd.Series) -> pd.Series:
    if not isinstance(values.dtype, pd.CategoricalDtype) and values.dtype != STR:
        return values
    texts = values.astype(STR)
    if name in _TIMES:
        # A cloud may send what is no time; there is none then.
        times = pd.to_datetime(texts.mask(texts == ""), format="ISO8601", utc=True, errors="coerce")
        return times.dt.as_unit("us")
    texts = texts.mask(texts == "")
    return texts.astype("category") if name in _CATEGORIES else texts
