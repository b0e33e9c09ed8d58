"""JSON in: arrays, answers of APIs, one object a line; what only attacks hold is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sharekit
from sharekit.core.errors import SpreadsheetError
from sharekit.spreadsheets.formats import json as json_format
from sharekit.spreadsheets.formats.json import _plain_array
from sharekit.spreadsheets.formats.raw_sheet import Blob
from sharekit.spreadsheets.input import Limits
from tests.interfaces.test_cli import shell
from tests.spreadsheets.test_dataframes import IMAGES, PROJECT, SHARES, same

RECORDS = [
    {"image_id": image, "member_id": PROJECT, "status": "accepted", "size": 12.5, "tags": ["a"]}
    for image in IMAGES
]
#: As `openstack image member list -f json` prints it.
COMMAND = [{"Image ID": image, "Member ID": PROJECT, "Status": "accepted"} for image in IMAGES]
ANSWER = {"members": RECORDS, "schema": "/v2/schemas/members", "first": "/v2/images/x/members"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORDS), json.dumps(COMMAND, indent=2), json.dumps(ANSWER),
        json.dumps({"images": [{"id": i, "project": PROJECT, "decision": "accepted"}
                               for i in IMAGES], "next": None}),
        "\n".join(map(json.dumps, RECORDS)), "\r\n\r\n".join(map(json.dumps, COMMAND)) + "\n",
        "\n".join(json.dumps(record, indent=1) for record in COMMAND),
        "\ufeff" + json.dumps(RECORDS),
    ],
)  # fmt: skip
def test_what_programs_write(text: str, tmp_path: Path) -> None:
    """Arrays of objects, an API's answer and an object a line give the rows that they hold."""
    path = tmp_path / "members.json"
    path.write_text(text, encoding="utf-8")
    read = sharekit.read_inventory(path, defaults={"status": "accepted"})
    assert read.rows["image_id"].tolist() == IMAGES
    assert set(read.rows["project_id"]) == {PROJECT}
    findings = sharekit.check(read)
    assert (findings.rows["disposition"] == "planned").all()
    same(read, sharekit.read_inventory(text.encode("utf-16"), defaults={"status": "accepted"}))


def test_one_object_is_one_row() -> None:
    """An object with an image ID is one share, whatever lists it holds beside it."""
    record = {"id": IMAGES[0], "project": PROJECT, "decision": "reject", "locations": [{"url": ""}]}
    read = sharekit.read_inventory(json.dumps(record).encode())
    assert read.rows["image_id"].tolist() == [IMAGES[0]]
    assert read.rows["input.locations"].tolist() == ['[{"url": ""}]']


def test_findings_name_line_or_record_and_key() -> None:
    """A finding names the line of a file with an object a line, and the record of an array."""
    faulty = [RECORDS[0], RECORDS[1] | {"status": "maybe"}]
    lines = "\n\n".join(map(json.dumps, faulty)).encode()
    for text, cell in (
        (lines, "line 3, status"),
        (json.dumps(faulty).encode(), "record 2, status"),
    ):
        findings = sharekit.check(sharekit.read_inventory(text))
        assert findings.frame["cell"].tolist() == [cell]


def test_numbers_keep_every_digit() -> None:
    """A number where an ID belongs is an error and shows all of its digits; null is a blank."""
    text = f'[{{"image_id": "{IMAGES[0]}", "project_id": 91023200784764612345678901234567}}]'
    findings = sharekit.check(sharekit.read_inventory(text.encode(), defaults={"status": "yes"}))
    [line] = findings.frame[findings.frame["rule"] == "number-cell"].to_dict("records")
    assert line["value"] == "91023200784764612345678901234567"
    text = f'[{{"image_id": "{IMAGES[0]}", "a": NaN, "b": null, "c": 1.10, "d": true}}]'
    row = sharekit.read_inventory(text.encode()).rows.iloc[0]
    assert [row.get(f"input.{name}", "") for name in "abcd"] == ["", "", "1.10", "True"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"image_id": "a", "image_id": "b"}]', "the key 'image_id' twice"),
        ('[{"image_id": {"a": 1, "a": 2}}]', "the key 'a' twice"),
        ("[" * 100_000, "nested deeper"),
        ('[{"image_id": ' + '{"a":' * 100_000, "nested deeper"),
        ('[{"image_id": ' + "9" * 5000 + "}]", "a number of 5,000 digits"),
        ('[{"image_id": Infinity}]', "the number Infinity"),
        ('[{"image_id": "a"}', "no JSON from line 1"),
        ('[{"image_id": "a"},\n {"image_id" "b"}]', "line 2, column 14"),
        ('{"image_id": "a"}\n{"image_id": "b"\n', "no JSON from line"),
        ('["a", "b"]', "item 1 is no JSON object"),
        ('[["image_id"], ["a"]]', 'orient="records"'),
        ('{"image_id": "a"}\n["b"]', "line 2 is no JSON object"),
        ('{"columns": ["image_id"], "data": [["a"]]}', "lists or objects"),
        ('{"a": [{"id": 1}], "b": [{"id": 1}]}', "several lists of objects ('a', 'b')"),
        ('[{"image_id": {"id": "a"}}]', "lists or objects under 'image_id'"),
        ('[{"machine": "a"}]', 'columns={"image_id"'),
        ("[]", "has no"),
        ('{"images": []}', "has no"),
        (b'[{"image_id": "\xff"}]', "no UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_shares(text: str | bytes, why: str) -> None:
    """Damaged, ambiguous and malicious JSON is refused in one sentence that says where."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(sharekit.SharekitError) as caught:
        sharekit.read_inventory(data)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_limits() -> None:
    """A JSON text that is too long, or spreads few values over many columns, is refused."""
    text = json.dumps(RECORDS).encode()
    with pytest.raises(SpreadsheetError, match="json_bytes"):
        sharekit.read_inventory(text, limits=Limits(json_bytes=10))
    sparse: list[Any] = [{f"key {i}": 1} for i in range(5000)]
    with pytest.raises(SpreadsheetError, match="beyond the limit"):
        sharekit.read_inventory(json.dumps(sparse).encode())


def test_the_shell_takes_json_from_a_pipe() -> None:
    """`openstack … -f json | sharekit check -` checks what comes."""
    done = shell("check", "-", "--json", stdin=json.dumps(COMMAND).encode())
    assert json.loads(done.stdout)["rows"] == len(COMMAND)


def test_pandas_json_is_the_frame() -> None:
    """What pandas writes as records, in one array or on lines, is the frame."""
    for lines in (False, True):
        text = SHARES.to_json(orient="records", lines=lines)
        same(sharekit.read_inventory(text.encode()), sharekit.read_inventory(SHARES))


SEPARATORS = st.sampled_from([":", ": ", " :", "\n:", "\t:  "])
TEXTS = st.sampled_from(["", '":', ":", "a", '\\"', "},{", "é", "\\u00e9", "\\ud800", "\x01"])
VALUES = st.one_of(
    TEXTS.map('"{}"'.format),
    st.sampled_from(
        ["1.10", "1e5", "7", "123456789012345678901234567890", "9" * 401, "null", "true", "NaN",
         '{"a":"b"}', '{"a":1,"a":2}', '["a",{"b":":"}]', "[]", "1e999"]),
)  # fmt: skip
KEYS = st.sampled_from(["id", "project", "a", "", "\\u0061", '\\":'])
OBJECTS = st.lists(st.tuples(KEYS, SEPARATORS, VALUES), max_size=3).map(
    lambda pairs: "{" + ", ".join(f'"{key}"{colon}{value}' for key, colon, value in pairs) + "}"
)


@given(
    st.lists(OBJECTS, min_size=1, max_size=3), st.integers(1, 3), st.sampled_from(["", ",", "x"])
)
def test_the_quick_way_reads_what_the_careful_one_does(
    objects: list[str], times: int, end: str
) -> None:
    """Equal keys, objects in objects, odd spaces and endless numbers are seen by both."""
    text = f"[{', '.join(objects * times)}]{end}".encode()
    quick = _plain_array(text)
    if not quick:
        return
    with mock.patch.object(json_format, "_plain_array", return_value=[]):
        [sheet] = json_format.read_json(Blob("a", text), {})
    assert [[*cells.to_pylist()] for cells in sheet.cells] == [
        [column.name, *column.texts.to_pylist()] for column in quick
    ]
    assert sheet.nested == {i for i, column in enumerate(quick) if column.nested}
    rows = np.arange(len(quick[0].texts))
    careful = [*map(list, zip(*sheet.typed(rows + 1), strict=True))]
    assert careful == [column.take(rows) for column in quick]


def test_the_quick_way_is_taken() -> None:
    """What pandas, Python and OpenStack's tools write is read the quick way."""
    frame = SHARES.assign(size=1, share=0.5, at="2026-07-01T00:00:00Z", x=None)
    for text in (
        frame.to_json(orient="records"),
        json.dumps(COMMAND),
        json.dumps(COMMAND, indent=2),
    ):
        assert _plain_array(text.encode())
