"""A user's own columns come back in the dtypes that they had, whatever kept them meanwhile."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import pandas as frames

import sharekit
from sharekit.core.columns import STR
from sharekit.spreadsheets.formats.dataframe import texts_of
from sharekit.spreadsheets.formats.dtypes import dtype_name, restore

_DAY, _TIME = dt.date(2026, 7, 1), dt.datetime(2026, 7, 1, 10, 30)


def _objects(*values: object) -> pd.Series:
    return pd.Series(values, dtype="object")


def _arrow(kind: pa.DataType, *values: object) -> pd.Series:
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


#: Two values, or one and nothing, of each kind.
OWN: dict[str, pd.Series] = {
    "int": pd.Series([7, -7]), "uint64": pd.Series([0, 2**64 - 1], dtype="uint64"),
    "Int64": pd.Series([7, None], dtype="Int64"), "UInt8": pd.Series([7, None], dtype="UInt8"),
    "float": pd.Series([0.1, np.nan]), "huge": pd.Series([1e300, -np.inf]),
    "float32": pd.Series([1.1, np.nan], dtype="float32"),
    "Float64": pd.Series([1.5, None], dtype="Float64"),
    "bool": pd.Series([True, False]), "boolean": pd.Series([True, None], dtype="boolean"),
    "text": pd.Series(["a", None], dtype=STR), "string": pd.Series(["a", None], dtype="string"),
    "time": pd.Series([_TIME, None], dtype="datetime64[us]"),
    "nanoseconds": pd.Series(np.array([1, 2**60], dtype="datetime64[ns]")),
    "zone": pd.Series([_TIME, None], dtype="datetime64[us]").dt.tz_localize("Europe/Berlin"),
    "seconds": pd.Series(np.array(["9999-12-31", "NaT"], dtype="datetime64[s]")),
    "span": pd.Series([dt.timedelta(days=-1, seconds=7), None], dtype="timedelta64[us]"),
    "period": pd.Series(pd.period_range("2026-01", periods=2, freq="M")),
    "category": pd.Series(pd.Categorical(["b", None], ["never", "b", "a"])),
    "ordered": pd.Series(pd.Categorical([3, 1], [3, 2, 1], ordered=True)),
    "days": pd.Series(pd.Categorical([pd.Timestamp(_DAY)] * 2)),
    "whole": _objects(7, None), "truth": _objects(True, None), "day": _objects(_DAY, None),
    "clock": _objects(dt.time(7, 30), None), "price": _objects(Decimal("1.50"), None),
    "uuid": _objects(UUID(int=7), None), "words": _objects("a", np.nan),
    "pa int": _arrow(pa.int64(), 7, None), "pa text": _arrow(pa.string(), "a", None),
    "pa time": _arrow(pa.timestamp("us", "UTC"), _TIME, None),
    "pa day": _arrow(pa.date32(), _DAY, None), "pa bool": _arrow(pa.bool_(), True, None),
    "pa price": _arrow(pa.decimal128(10, 2), Decimal("1.50"), None),
    "pa clock": _arrow(pa.time64("us"), dt.time(7, 30), None),
    "pa span": _arrow(pa.duration("us"), dt.timedelta(hours=1), None),
}  # fmt: skip
SHARES = pd.DataFrame({"image_id": [str(UUID(int=n + 10**30)) for n in (1, 2)],
                       "project_id": "0a" * 16, "status": "accepted"})  # fmt: skip


def _frame(inventory: sharekit.Inventory) -> pd.DataFrame:
    return sharekit.check(inventory).to_frame()


def test_own_columns_come_back_as_they_were_also_from_a_ledger(tmp_path: Path) -> None:
    """Each dtype comes back with its values, its categories and their order, at once and later."""
    shares = SHARES.assign(**OWN)
    plan = sharekit.plan(sharekit.check(sharekit.read_inventory(shares)), tmp_path / "r.ledger")
    reviewed = sharekit.review(tmp_path / "r.ledger")
    for frame in (plan.to_frame(), sharekit.status(plan).to_frame(), reviewed.to_frame()):
        for name, values in OWN.items():
            pd.testing.assert_series_equal(frame[name], values, check_names=False,
                                           check_index=False, obj=name)  # fmt: skip


def _as_texts(values: pd.Series) -> pd.Series:
    texts = pd.Series(pd.array(texts_of(values), dtype=STR))
    return texts.mask(texts == "")


@settings(max_examples=30)
@given(data=st.data())
@pytest.mark.parametrize(
    "dtype",
    ["int64", "uint8", "float64", "float32", "bool", "datetime64[ns]", "timedelta64[ns]"],
)
def test_any_value_comes_back_from_its_text(dtype: str, data: st.DataObject) -> None:
    """Every value of numpy's that pandas can read is made of its text again."""
    kind: Any = np.dtype(dtype)
    values = data.draw(frames.series(dtype=kind))
    if kind.kind == "m":  # pandas writes spans of the first half day, and does not read them
        values = values[~(values < pd.Timedelta(days=-106_751))]
    again = restore(_as_texts(values), dtype_name(values))
    if kind.kind == "f":  # a zero has no sign as a text
        values = values + 0
    if len(values):
        pd.testing.assert_series_equal(again, values, check_index=False)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("int64", ["7", "x"]), ("bool", ["perhaps"]), ("datetime64[us]", ["yesterday"]),
        ("object of decimal", ["1.5.0"]), ("no such dtype", ["a"]), ("category of int64", ["a"]),
        ("binary[pyarrow]", ["a"]), ("list<item: int64>[pyarrow]", ["[1]"]), ("period[?]", ["a"]),
        ("datetime64[us, No/Where]", ["2026-07-01 00:00:00+00:00"]), ("Sparse[int64, 0]", ["7"]),
    ],
)  # fmt: skip
def test_texts_that_are_no_such_values_stay_texts(name: str, texts: list[str]) -> None:
    """What a dtype cannot hold, or no text says, comes back as it is written, not as nothing."""
    column = pd.Series(texts, dtype=STR)
    assert restore(column, name).tolist() == texts
    assert restore(column, "category of str", ["other"]).tolist() == texts


def test_files_and_other_tables_have_the_types_that_they_say(tmp_path: Path) -> None:
    """parquet, Arrow tables and records give their types; a csv, and what is beside it, texts."""
    own = {"size": [1.5, 2.0], "count": [7, 8], "made": [_TIME, _TIME], "team": ["a", "b"]}
    shares = SHARES.assign(**own)
    shares.to_parquet(tmp_path / "s.parquet", index=False)
    shares.to_csv(tmp_path / "s.csv", index=False)
    kinds = {"input.size": "float64", "count": "int64"}
    for typed in (tmp_path / "s.parquet", pa.table(shares), shares.to_dict("records"), shares):
        frame = _frame(sharekit.read_inventory(typed))
        assert {name: str(frame[name].dtype) for name in kinds} == kinds
        assert frame["made"].dtype.kind == "M"
    mixed = _frame(sharekit.read_inventory(tmp_path / "s.csv", shares))
    assert mixed["count"].tolist() == ["7", "8", "7", "8"]


def test_what_pandas_has_no_dtype_for_comes_back_in_the_nearest() -> None:
    """Views of texts, as polars hands them out, are texts; lists are what their text says."""
    views = pa.array(["a", "b"], pa.string_view())
    table = pa.table(SHARES).append_column("view", views)
    table = table.append_column("coded", pa.DictionaryArray.from_arrays([0, 1], views))
    table = table.append_column("lists", pa.array([[1], None]))
    frame = _frame(sharekit.read_inventory(table))
    assert [str(frame[name].dtype) for name in ("view", "coded")] == [str(STR), "category"]
    assert frame["coded"].tolist() == frame["view"].tolist() == ["a", "b"]
    assert frame["lists"].tolist()[:1] == ["[1]"]


def test_columns_that_one_of_two_frames_has_are_missing_in_the_other() -> None:
    """Whole numbers beside rows without any are nullable; other types beside each other texts."""
    first = SHARES.head(1).assign(count=7, kind=1)
    second = SHARES.tail(1).assign(kind="x", index=0)
    frame = _frame(sharekit.read_inventory(first, second))
    assert str(frame["count"].dtype) == "Int64"
    assert frame["count"].isna().tolist() == [False, True]
    assert frame["kind"].tolist() == ["1", "x"]


@pytest.mark.parametrize(
    "labels",
    [
        pd.Index([1.5, 2.0], name="x"), pd.Index([7, 3], dtype="int64"),
        pd.Index(pd.array([7, 3], dtype="Int64"), name="x"), pd.Index([_DAY, dt.date(2026, 7, 2)]),
        pd.DatetimeIndex([_TIME, _TIME + dt.timedelta(1)], tz="UTC"),
        pd.period_range("2026-01", periods=2, freq="M"), pd.Index(["a", "b"], dtype=object),
        pd.Index([UUID(int=1), UUID(int=2)]), pd.Index(["a", "b"], dtype="string"),
    ],
)  # fmt: skip
def test_an_index_comes_back_as_it_was(labels: pd.Index) -> None:
    """The labels of the rows have their dtype again, so that joins meet them."""
    frame = _frame(sharekit.read_inventory(SHARES.set_axis(labels, axis="index")))
    pd.testing.assert_index_equal(frame.index, labels, check_names=False, exact=True)
