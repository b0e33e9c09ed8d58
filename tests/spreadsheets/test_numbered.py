"""Columns whose texts are numbered: nothing tells them from columns that hold every text."""

from __future__ import annotations

import operator
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharekit.core.columns import STR, EncodedColumn, NumberedTexts, numbered
from sharekit.core.frame_schemas import FrameSchema
from sharekit.ledger.parquet import from_bytes, to_bytes
from sharekit.spreadsheets.formats import per_text
from sharekit.spreadsheets.formats.raw_sheet import take

TEXTS = st.lists(st.sampled_from(["", "a", "B", " b", "é", "\u200b"]), max_size=12)


def columns(texts: list[str]) -> tuple[pd.Series, pd.Series]:
    """Return the same texts as a plain column and as a numbered one."""
    plain = pd.Series(texts, dtype=STR)
    return plain, EncodedColumn.encode(plain).to_series()


@settings(max_examples=15, deadline=None)
@given(TEXTS, st.data())
def test_a_numbered_column_does_what_a_plain_one_does(
    texts: list[str], data: st.DataObject
) -> None:
    """Selections, comparisons, groups, writing, joining and copies are those of plain columns."""
    plain, own = columns(texts)
    other = data.draw(st.lists(st.sampled_from(["a", "B", "x"]), min_size=len(texts),
                               max_size=len(texts)))  # fmt: skip
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))), bool
    )
    places = np.flatnonzero(mask)[::-1]
    for one, same in (
        (plain, own), (plain[mask], own[mask]), (plain.take(places), own.take(places)),
        (plain[1::2], own[1::2]), (plain.str.strip(), own.str.strip()),
        (plain.where(mask), own.where(mask)), (plain.reindex(range(14)), own.reindex(range(14))),
        (pd.concat([plain, plain[mask]]), pd.concat([own, own[mask]])),
        (plain.drop_duplicates(), own.drop_duplicates()), (plain.sort_values(), own.sort_values()),
        (plain.map({"a": "b"}), own.map({"a": "b"})), (plain.isna(), own.isna()),
        (plain.isin(["a", ""]), own.isin(["a", ""])), (plain == "a", own == "a"),
        (plain < "a", own < "a"), (plain + "!", own + "!"),
        (plain.value_counts(), own.value_counts()),
        (plain.groupby(plain).size(), own.groupby(own).size()),
    ):  # fmt: skip
        pd.testing.assert_series_equal(one, same)
    for known in columns(other):
        for compare in (operator.eq, operator.ne):
            pd.testing.assert_series_equal(compare(plain, known), compare(own, known))
    assert own.tolist() == texts == list(own.to_numpy()) == pa.array(own).to_pylist()
    assert pickle.loads(pickle.dumps(own)).tolist() == texts
    assert [own.iloc[i] for i in range(len(own))] == texts


def test_what_is_written_into_a_numbered_column_stays_there() -> None:
    """A copy is written to alone, and what is written counts in what is encoded of it."""
    _, own = columns(["a", "b", "a"])
    copy = own.copy()
    copy.iloc[1] = "c"
    own.array[0] = "d"
    assert (own.tolist(), copy.tolist()) == (["d", "b", "a"], ["a", "c", "a"])
    assert EncodedColumn.encode(copy).categories.tolist() == ["a", "c"]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_only_texts_that_a_row_has_are_numbered(rows: int) -> None:
    """Nulls are blank, texts that come twice in a dictionary are one, and others are left out."""
    held = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None][:rows], pa.int8()), pa.array(["a", "a", "unused"])
    )
    made = numbered(pa.chunked_array([held, held]))
    assert made.to_pylist() == (["a", "a", ""][:rows]) * 2
    assert set(made.dictionary.to_pylist()) == set(made.to_pylist())


@settings(max_examples=15, deadline=None)
@given(TEXTS, TEXTS)
def test_functions_answer_for_rows_what_they_answer_for_texts(
    one: list[str], two: list[str]
) -> None:
    """Whether texts are numbered changes no answer, in one chunk or in two."""
    plain = pa.chunked_array([one, two], pa.large_string())
    held = pa.chunked_array([numbered(chunk) for chunk in plain.chunks])
    for name, *more in (
        ("utf8_lower",), ("binary_length",), ("starts_with", "a"), ("equal", "a"),
        ("is_in", pa.array(["a", "é"], pa.large_string())), ("match_substring_regex", r"\pL"),
    ):  # fmt: skip
        answer = per_text.written_out(getattr(per_text, name)(held, *more))
        assert answer.to_pylist() == getattr(pc, name)(plain, *more).to_pylist()
    assert sorted(per_text.unique(held).to_pylist()) == sorted({*one, *two})
    places = np.arange(len(plain), step=2)
    assert take(held, places).to_pylist() == plain.to_pylist()[::2]


def test_a_ledger_holds_the_same_frame_however_its_texts_are_held() -> None:
    """Numbered texts are stored, and read again, as texts."""
    plain, own = columns(["a", "", "b"] * 9)
    frames = [pd.DataFrame({"a": texts, "n": range(27)}) for texts in (plain, own)]
    schema = FrameSchema({"a": "str", "n": "int"})
    one, same = (from_bytes(to_bytes(frame), schema) for frame in frames)
    pd.testing.assert_frame_equal(one, same)
    assert not isinstance(same["a"].array, NumberedTexts)
