"""Filters, order and groups of the panel's grid: whatever is asked, by one and by every row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharekit.interfaces.notebook import row_order
from sharekit.interfaces.notebook.row_order import Column, ColumnFilter, arrange

WORDS = st.lists(st.sampled_from(["", "a", "A", "b", "é", "10", "9", "2026-01-02", "=1+1", "a\0"]))


@pytest.fixture(params=[True, False], ids=["few values", "many values"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Column]:
    """Columns that are looked at by their different values, or row by row."""
    if not request.param:
        monkeypatch.setattr(row_order, "_PROBED", 0)
    return Column


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (ColumnFilter("x", "text", ("a",)), [1, 2]),
        (ColumnFilter("x", "text", (".",)), []),
        (ColumnFilter("x", "values", ("10", "")), [0, 4]),
        (ColumnFilter("x", "values", ()), []),
        (ColumnFilter("x", "range", ("9", "")), [3, 4]),
        (ColumnFilter("x", "range", ("", "9.5")), [3]),
        (ColumnFilter("x", "range", ("2026-01", "2026-01")), [5]),
        (ColumnFilter("x", "empty"), [0, 6]),
        (ColumnFilter("x", "filled"), [1, 2, 3, 4, 5]),
    ],
)
def test_filters(make: type[Column], wanted: ColumnFilter, shown: list[int]) -> None:
    """Each kind shows what it says: texts in any case and literally, numbers as numbers."""
    column = make(pd.Series(["", "a", "A", "9", "10", "2026-01-02", " "], dtype="str"))
    assert np.flatnonzero(column.mask(wanted)).tolist() == shown


@given(words=WORDS, descending=st.booleans(), few=st.booleans())
def test_sorting_and_groups_lose_no_row(words: list[str], *, descending: bool, few: bool) -> None:
    """Every row is there once, in the order of its UTF-8 text, and in the group of its value."""
    values = pd.Series(words, dtype="str")
    column, group = Column(values), Column(values)
    if not few:
        column.is_short, column._ranks = False, row_order._rank(column.texts)
    lines = arrange(len(words), [], sort=column, descending=descending)
    told = [words[row].encode() for row in lines.rows]
    assert told == sorted((word.encode() for word in words), reverse=descending)
    assert sorted(lines.rows.tolist()) == list(range(len(words)))
    grouped = arrange(len(words), [], group=group)
    for number, name in enumerate(grouped.groups):
        assert {words[row] for row in grouped.of_group(number)} == {name}
    opened = grouped.groups[::2]
    count = int(grouped.begins(opened)[-1])
    whole = grouped.between(0, count, opened)
    assert len(whole) == count
    assert whole == [line for at in range(count) for line in grouped.between(at, at + 1, opened)]
    rows = [row for of, row in whole if of < 0]
    assert sorted(rows) == sorted(n for n, word in enumerate(words) if word in opened)


def test_values_are_counted_among_the_rows_shown() -> None:
    """The most frequent come first; a value of none of these rows is counted as 0."""
    column = Column(pd.Series(["b", "a", "b", "c"], dtype="str"))
    assert column.sizes(np.array([0, 1, 2])) == {"b": 2, "a": 1, "c": 0}


def test_long_texts_that_begin_alike_are_in_order() -> None:
    """What differs after many equal bytes is sorted by the whole text."""
    words = [f"image-{n:012}-{n % 7}" for n in range(40, 0, -1)] * 2
    ranks = row_order._rank(Column(pd.Series(words, dtype="str")).texts)
    assert [words[row] for row in np.argsort(ranks)] == sorted(words)
