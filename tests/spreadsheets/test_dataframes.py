"""DataFrames, tables and records in: the same rows, findings and plans as their files."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import hashlib
import io
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.core.columns import STR
from sharekit.core.errors import SharekitError, UsageError
from sharekit.core.fields import FIELDS
from sharekit.plans.plan import read_plan
from sharekit.reports import annotated_workbook
from tests.conftest import World

IMAGES = [
    "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10",
    "1b0f7e66-52c7-4ab1-8f2e-b1d6f7c9e001",
    "c0ffee00-1234-4abc-9def-0123456789ab",
]
PROJECT = "edc89b490d7d4392898e19b2deb34797"
SHARES = pd.DataFrame(
    {"Image ID": IMAGES, "Project ID": PROJECT, "Decision": ["accepted", "yes", "reject it"]}
)
#: Ways to hold a column of text.
DTYPES: dict[str, Callable[[pd.Series], Any]] = {
    "object": lambda c: c.astype(object).where(c.notna(), None),
    "nan": lambda c: c.astype(object).where(c.notna(), np.nan),
    "NA": lambda c: c.astype(object).where(c.notna(), pd.NA),
    "NaT": lambda c: c.astype(object).where(c.notna(), pd.NaT),
    "str": lambda c: c.astype(STR),
    "string[python]": lambda c: c.astype("string[python]"),
    "string[pyarrow]": lambda c: c.astype("string[pyarrow]"),
    "arrow": lambda c: c.astype(pd.ArrowDtype(pa.string())),
    "large arrow": lambda c: c.astype(pd.ArrowDtype(pa.large_string())),
    "arrow dictionary": lambda c: pd.Series(
        pd.array(pa.array(c, pa.string(), from_pandas=True).dictionary_encode(),
                 dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))), c.index),
    "category": lambda c: c.astype("category"),
    "bytes": lambda c: c.astype(object).map(lambda v: v.encode(), na_action="ignore"),
}  # fmt: skip

_ids = st.sampled_from(
    [*IMAGES, IMAGES[0].upper(), f" {IMAGES[1]}", f"{{{IMAGES[2]}}}", IMAGES[0].replace("-", ""),
     IMAGES[0][:-1], IMAGES[0].replace("a", "а"), "9.1E+31", "nan", "None", "<NA>", PROJECT]
)  # fmt: skip
_projects = st.sampled_from([PROJECT, PROJECT.upper(), PROJECT[:-1], IMAGES[0], "NaN"])
_decisions = st.sampled_from(
    ["accepted", "rejected", "Yes", "no", "share", " accepted", "pending", "maybe", "NULL"]
)
_states = st.sampled_from(["pending", "accepted", "rejected"])
_remarks = st.one_of(
    st.sampled_from(["rejected", "accepted", "total", "nan"]),
    st.text(st.characters(blacklist_categories=["C", "Z"], blacklist_characters='\x00"'),
            max_size=8),
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a list of shares as text, with missing cells; every row has an image ID."""
    size = draw(st.integers(1, 8))

    def column(values: st.SearchStrategy[str], *, missing: bool = True) -> pd.Series:
        cells = st.one_of(values, st.none()) if missing else values
        return pd.Series(draw(st.lists(cells, min_size=size, max_size=size)), dtype=object)

    return pd.DataFrame(
        {
            "Image ID": column(_ids, missing=False), "Project ID": column(_projects),
            "Decision": column(_decisions), "Member status": column(_states),
            "Remark": column(_remarks),
        }
    )  # fmt: skip


def same(one: sharekit.Inventory, other: sharekit.Inventory, *, planned: bool = False) -> None:
    """Hold that two inventories have the same rows and findings, and the same plan."""
    columns = [*FIELDS, *(name for name in one.rows if name.startswith("input."))]
    pd.testing.assert_frame_equal(one.rows[columns], other.rows[columns])
    both = [sharekit.check(inventory) for inventory in (one, other)]
    about = ["row_key", "field", "rule", "severity", "column", "value", "suggestion"]
    frames = [findings.frame[about] for findings in both]
    # What is said of a whole sheet names its rows, each by its own label.
    values = [frame["value"].mask(frame["row_key"] < 0, "") for frame in frames]
    pd.testing.assert_frame_equal(*(f.assign(value=v) for f, v in zip(frames, values, strict=True)))
    if not planned:
        return
    with tempfile.TemporaryDirectory() as folder:
        plans = [sharekit.plan(f, Path(folder, f"{i}.ledger")) for i, f in enumerate(both)]
    assert plans[0].fingerprint == plans[1].fingerprint


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frame=texts(), data=st.data())
def test_any_dtypes_are_read_as_the_csv(frame: pd.DataFrame, data: st.DataObject) -> None:
    """A frame of text in any dtypes has the rows, findings and plan of its csv and its parquet."""
    kinds = data.draw(st.lists(st.sampled_from([*DTYPES]), min_size=5, max_size=5))
    labels = data.draw(st.permutations(range(len(frame))))
    held = pd.DataFrame({n: DTYPES[k](frame[n]) for n, k in zip(frame, kinds, strict=True)})
    held = held.set_axis(pd.Index(labels, dtype="int64"))
    try:
        plain = sharekit.read_inventory(frame.to_csv(index=False).encode())
    except SharekitError:  # such as a header alone
        return
    given = sharekit.read_inventory(held)
    same(given, plain, planned=True)
    stored = io.BytesIO()
    frame.to_parquet(stored)
    same(given, sharekit.read_inventory(stored.getvalue()))
    assert given.labels.tolist() == [labels[row - 2] for row in plain.rows["row"]]
    text = (
        frame.astype(object)
        .where(frame.notna(), "")
        .to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
    )
    assert given.sources[0].sha256 == hashlib.sha256(text.encode()).hexdigest()
    same(given, sharekit.read_inventory(pa.Table.from_pandas(frame, preserve_index=False)))
    same(given, sharekit.read_inventory(frame.to_dict("records")))


@settings(max_examples=30, deadline=None)
@given(
    data=st.lists(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.datetimes(),
            st.decimals(allow_nan=False), st.uuids(), st.text(max_size=5), st.timedeltas(),
        ),
        min_size=3, max_size=3,
    )
)  # fmt: skip
def test_no_value_breaks_a_column(data: list[object]) -> None:
    """Whatever values a column mixes, each row keeps its ID, and nothing becomes a word."""
    frame = SHARES.assign(extra=pd.Series(data, dtype=object))
    read = sharekit.read_inventory(frame)
    assert read.rows["image_id"].tolist() == IMAGES
    if "input.extra" not in read.rows:
        return
    for value, text in zip(data, read.rows["input.extra"], strict=True):
        missing = value is None or value != value or value is pd.NaT  # noqa: PLR0124
        assert (text == "") == (missing or value == "")
        if isinstance(value, int) and not isinstance(value, bool):
            assert text == str(value)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, None, 3], ["1", "", "3"]),
        (pd.array([1, None, 3], "Int64"), ["1", "", "3"]),
        (np.array([1, np.nan, 2.5]), ["1", "", "2.5"]),
        (np.array([1, np.nan, 2.5], "f2"), ["1", "", "2.5"]),
        (pd.Series([10**40, 7, None], dtype=object), [str(10**40), "7", ""]),
        ([True, None, False], ["True", "", "False"]),
        (pd.array([True, None, False], "boolean"), ["True", "", "False"]),
        (pd.to_datetime(["2026-07-01", None, "2026-07-02"]), ["2026-07-01", "", "2026-07-02"]),
        ([dt.date(2026, 7, 1), dt.datetime(2026, 7, 1, 3), pd.NaT],
         ["2026-07-01", "2026-07-01 03:00:00", ""]),
        ([decimal.Decimal("1.50"), decimal.Decimal("NaN"), 2], ["1.50", "", "2"]),
        (pd.period_range("2026-01", periods=3, freq="M"), ["2026-01", "2026-02", "2026-03"]),
        (pd.Categorical([3, None, 3]), ["3", "", "3"]),
        (pd.Categorical([uuid.UUID(i) for i in IMAGES]), IMAGES),
        (pd.arrays.SparseArray([0, 0, 5]), ["0", "0", "5"]),
        ([["a"], {"b": 1}, ()], ['["a"]', '{"b": 1}', "[]"]),
    ],
)  # fmt: skip
def test_texts_of_values(values: object, texts: list[str]) -> None:
    """Each value is the text that a person would type; nothing is a blank."""
    read = sharekit.read_inventory(SHARES.assign(extra=values))
    assert read.rows["input.extra"].tolist() == texts


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(
    "values",
    [
        [91023200784764612345678901234567, "", ""],
        [9.1e31, np.nan, np.nan],
        [12345678901234567, None, None],
        [decimal.Decimal("91023200784764612345678901234567"), None, None],
    ],
)
def test_a_number_is_no_id(values: list[object]) -> None:
    """A number where an ID belongs is an error, even with the 32 digits of an ID."""
    frame = SHARES.assign(**{"Project ID": pd.Series(values, dtype=object)})
    for held in (frame, frame.convert_dtypes()):
        findings = sharekit.check(sharekit.read_inventory(held))
        errors = findings.frame[findings.frame["field"] == "project_id"]
        assert errors["rule"].iloc[0] == "number-cell"
        assert (findings.rows["disposition"] == "blocked").all()


def test_findings_name_label_and_column(tmp_path: Path) -> None:
    """A finding of a frame names the index label and the column; labels survive the ledger."""
    frame = SHARES.set_axis(pd.Index(["vm-1", "vm-2", "vm-3"], dtype=STR, name="ticket"))
    findings = sharekit.check(sharekit.read_inventory(frame, name="tickets"))
    lines = findings.frame[["file", "row", "cell"]].to_dict("records")
    assert lines == [
        {"file": "tickets", "row": "vm-2", "cell": "loc['vm-2', 'Decision']"},
        {"file": "tickets", "row": "vm-3", "cell": "loc['vm-3', 'Decision']"},
    ]
    sharekit.plan(findings, tmp_path / "run.ledger")
    stored = read_plan(tmp_path / "run.ledger").findings
    pd.testing.assert_index_equal(stored.inventory.labels, frame.index)
    assert stored.rows["row"].tolist() == frame.index.tolist()
    pd.testing.assert_frame_equal(stored.frame, findings.frame)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(3), pd.Index([-1, 0, 7], name="n"), pd.Index([0.5, 1.5, 2.0]),
        pd.Index([1, 2, 2**64 - 1], dtype="uint64"), pd.Index(["a", "b", "c"], dtype=STR),
        pd.date_range("2026-10-25", periods=3, freq="h", tz="Europe/Berlin", name="when"),
        pd.DatetimeIndex(["2026-01-01", "2026-01-02 03:04:05.000006", "2027-01-01"]),
    ],
    ids=str,
)  # fmt: skip
def test_the_index_comes_back(index: pd.Index, tmp_path: Path) -> None:
    """An index of numbers, texts or times comes back with its dtype and its name."""
    plan = sharekit.plan(
        sharekit.check(sharekit.read_inventory(SHARES.set_axis(index))), tmp_path / "run.ledger"
    )
    for inventory in (plan.findings.inventory, read_plan(plan.path).findings.inventory):
        assert inventory.labels.equals(index)
        assert (inventory.labels.dtype, inventory.labels.name) == (index.dtype, index.name)


def test_labels_of_other_types_are_texts() -> None:
    """An index of UUIDs, of dates or of a mixture names its rows by their texts."""
    labels = pd.Index([uuid.UUID(IMAGES[0]), 7, "x"], dtype=object)
    read = sharekit.read_inventory(SHARES.set_axis(labels))
    assert read.labels.tolist() == [IMAGES[0], "7", "x"]


def test_several_inputs_of_any_kind(tmp_path: Path) -> None:
    """Files, frames, records and bytes make one inventory, in the order given."""
    path = tmp_path / "shares.csv"
    SHARES.to_csv(path, index=False)
    read = sharekit.read_inventory(
        path, SHARES, SHARES.set_axis(["a", "b", "c"]), SHARES.to_dict("records"),
        path.read_bytes(), io.StringIO(path.read_text()),
        name=["mine"],
    )  # fmt: skip
    files = [str(path), "mine", "DataFrame", "records", "bytes", "StringIO"]
    assert [source.file for source in read.sources] == files
    assert read.rows["row"].tolist() == [
        *("2", "3", "4", "0", "1", "2", "a", "b", "c", "0", "1", "2"), *("2", "3", "4") * 2
    ]  # fmt: skip
    assert read.rows["image_id"].tolist() == IMAGES * 6
    findings = sharekit.check(read)
    assert (findings.frame["rule"] == "same-file-twice").sum() > 0
    plan = sharekit.plan(findings, tmp_path / "run.ledger")
    assert sharekit.verify(plan.path).problems == ()


@pytest.mark.parametrize(
    ("given", "called"),
    [
        (SHARES.set_axis([1, 1, 2]), "reset_index(drop=True)"),
        (SHARES.set_axis(pd.Index([1, "1", 2], dtype=object)), "reset_index(drop=True)"),
        (SHARES.set_axis([1, None, 2]), "reset_index(drop=True)"),
        (SHARES.set_index(["Image ID", "Decision"]), "df.reset_index()"),
        (SHARES.set_index("Image ID"), "df.reset_index()"),
        (SHARES.set_index("Project ID"), "df.reset_index()"),
        (pd.concat({"a": SHARES}, axis=1), "df.columns.map"),
        (pd.concat([SHARES, SHARES[["Decision"]]], axis=1), "df.columns.duplicated()"),
        (SHARES.assign(**{"1": 1}).rename(columns={"Decision": 1}), "df.columns.duplicated()"),
        (SHARES.assign(**{"Image ID": [{"id": i} for i in IMAGES]}), "json_normalize"),
        (SHARES.rename(columns={"Image ID": "Imge"}), "columns={\"image_id\": 'Imge'}"),
        (SHARES.head(0), "one row per share"),
        (pd.DataFrame(), "one row per share"),
        (SHARES["Image ID"], "to_frame()"),
        (SHARES.index, "to_frame("),
        (SHARES.to_numpy(), "pandas.DataFrame("),
        (SHARES.groupby("Decision"), "grouped.obj"),
        (SHARES.groupby("Decision")["Image ID"], "read_inventory(df)"),
        (SHARES.to_dict(), "pandas.DataFrame(data)"),
        (SHARES.to_dict("list"), "pandas.DataFrame(data)"),
        ({"image_id": IMAGES[0]}, "read_inventory([data])"),
        ({"images": [{"id": IMAGES[0]}]}, "data['images']"),
        (SHARES.to_numpy().tolist(), "pandas.DataFrame(rows"),
        (["a.xlsx", "b.xlsx"], "read_inventory(*data)"),
        ([SHARES, SHARES], "read_inventory(*data)"),
        ([], "one row per share"),
        (None, "give a path"),
        (7, "give a path"),
        ({1, 2}, "give a path"),
        (pa.chunked_array([["a"]]), "to_pandas()"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_shares(given: Any, called: str) -> None:
    """Whatever is no table with names is one sentence with the nearest right call."""
    with pytest.raises(UsageError) as caught:
        sharekit.read_inventory(given)
    message = str(caught.value)
    assert called in message
    assert message.count(". ") <= 1
    assert "\n" not in message


def test_a_styler_and_an_inventory_name_the_frame() -> None:
    """What only shows a frame, or was read from one, says which value to give."""
    pytest.importorskip("jinja2")
    with pytest.raises(UsageError, match=r"styler\.data"):
        sharekit.read_inventory(SHARES.style)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"sharekit\.check"):
        sharekit.read_inventory(sharekit.read_inventory(SHARES))  # type: ignore[arg-type]


def test_columns_and_defaults_are_those_of_files() -> None:
    """columns= and defaults= mean the same for a frame as for a file."""
    frame = SHARES.rename(columns={"Image ID": "machine"})[["machine"]]
    options: dict[str, Any] = {
        "columns": {"image_id": "machine"},
        "defaults": {"project_id": PROJECT, "status": "rejected"},
    }
    given = sharekit.read_inventory(frame, **options)
    same(given, sharekit.read_inventory(frame.to_csv(index=False).encode(), **options))
    assert set(given.rows["status"]) == {"rejected"}


def test_repeated_headers_and_totals_are_those_of_files() -> None:
    """Headers between the rows, totals and counted-up IDs are found in frames, too."""
    header = pd.DataFrame([list(SHARES)], columns=list(SHARES))
    total = pd.DataFrame([["Total: 3", None, None]], columns=list(SHARES))
    counted = pd.DataFrame(
        [[IMAGES[0][:-1] + digit, PROJECT, "accepted"] for digit in "123"], columns=list(SHARES)
    )
    frame = pd.concat([SHARES, header, counted, total], ignore_index=True)
    given = sharekit.read_inventory(frame)
    plain = sharekit.check(sharekit.read_inventory(frame.to_csv(index=False).encode()))
    assert sharekit.check(given).frame["rule"].tolist() == plain.frame["rule"].tolist()
    found = sharekit.check(given).frame.set_index("rule")
    assert found.loc["header-repeated", "value"] == "row 3"
    assert found.loc["no-share", "value"] == "row 7"
    assert found.loc["counted-up", "message"].str.contains("loc[", regex=False).any()


class Stream:
    """A frame of another library, such as polars, which Arrow's interface alone tells of."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_frames_of_other_libraries(kind: pa.DataType) -> None:
    """What has Arrow's interface is read as its csv, however it holds texts."""
    table = pa.Table.from_pandas(SHARES, preserve_index=False)
    table = pa.table([column.cast(kind) for column in table.columns], names=table.column_names)
    read = sharekit.read_inventory(Stream(table))
    same(read, sharekit.read_inventory(SHARES.to_csv(index=False).encode()))
    assert read.sources[0].file == "Stream"
    assert read.sources[0].sha256 == sharekit.read_inventory(SHARES).sources[0].sha256


@pytest.mark.slow
def test_the_whole_road_from_a_frame(world: Callable[..., World]) -> None:
    """From a frame to reports, verification and audit; files and rows have the frame's names."""
    here = world(rows=60)
    rows = sharekit.read_inventory(here.shares).rows
    frame = rows[[*FIELDS]].set_axis([f"vm-{number}" for number in range(len(rows))])
    clouds = here.connect()
    findings = sharekit.check(sharekit.read_inventory(frame), clouds)
    plan = sharekit.plan(findings, here.folder / "frame.ledger")
    by_file = sharekit.plan(
        sharekit.check(sharekit.read_inventory(here.shares), clouds), here.folder / "file.ledger"
    )
    assert plan.fingerprint == by_file.fingerprint
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, clouds)
    reports = [here.folder / name for name in ("audit.xlsx", "audit.html", "outcomes.csv")]
    sharekit.report(run, *reports)
    outcomes = pd.read_csv(reports[-1], dtype=str, keep_default_na=False)
    assert outcomes["row"].tolist() == frame.index.tolist()
    assert set(outcomes["file"]) == {"DataFrame"}
    assert sharekit.verify(run.path, *reports).intact
    assert sharekit.status(run.path).plan.findings.inventory.labels.tolist() == [*frame.index]
    audit = sharekit.audit(sharekit.read_inventory(frame), clouds)
    assert set(audit.rows["row"]) <= {*frame.index, ""}


def test_findings_workbook_of_what_is_no_file(tmp_path: Path) -> None:
    """The findings of a frame, and of a workbook in memory, are a workbook without a copy."""
    workbook = io.BytesIO()
    SHARES.to_excel(workbook, index=False)
    for data in (SHARES, workbook.getvalue()):
        findings = sharekit.check(sharekit.read_inventory(data))
        annotated_workbook.write(findings, tmp_path / "f.xlsx")
        assert len(pd.read_excel(tmp_path / "f.xlsx", "Findings", engine="openpyxl")) == 2
