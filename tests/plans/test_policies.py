"""Policies: what conditions decide, what cannot be judged, and what no file may say."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharekit.core.columns import STR
from sharekit.core.errors import InputError, UsageError
from sharekit.plans.policies.policy import Policies, evaluate, policy
from sharekit.plans.policies.policy_file import read_policies

AT = datetime(2026, 11, 27, tzinfo=UTC)
ROWS = pd.DataFrame(
    {
        "owner": ["0a", "0b", "0c", ""],
        "name": ["golden-1", "golden", "other", "golden-2"],
        "Days": ["3", "30", "many", "-1"],
        "Asked on": ["2026-10-01", "2026-11-26T12:00:00Z", "", "01.02.2026"],
        "Old": ["True", "FALSE", "true", ""],
    },
    dtype=STR,
).rename_axis("row_key")


def decided(*policies: object, otherwise: str = "leave") -> dict[int, str]:
    """Return the decisions that policies make on :data:`ROWS`, by row key."""
    result = evaluate(Policies(tuple(policies), otherwise), ROWS, AT)  # type: ignore[arg-type]
    return dict(result.decisions["decision"])


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"owner": "0a"}, [0]),
        ({"owner": ["0a", "0b", None]}, [0, 1]),
        ({"owner": {"not": {"one of": ["0a"]}}}, [1, 2]),
        ({"owner": {"empty": "true"}}, [3]),
        ({"owner": {"not": {"empty": True}}}, [0, 1, 2]),
        ({"name": re.compile("golden-.")}, [0, 3]),
        ({"name": {"like": "golden*"}}, [0, 1, 3]),
        ({"name": {"like": "go?den"}}, [1]),
        ({"name": {"matches": "golden"}}, [1]),
        ({"NAME": "other"}, [2]),
        ({"Days": {"more than": 3}}, [1]),
        ({"Days": {"at least": "3"}}, [0, 1]),
        ({"Days": {"not": {"at least": 3}}}, [3]),
        ({"Days": {"at least": 0, "less than": 30}}, [0]),
        ({"Asked on": {"older than": "30 days"}}, [0]),
        ({"Asked on": {"not": {"older than": "30 days"}}}, [1]),
        ({"Asked on": {"before": "2026-11-26"}}, [0]),
        ({"Asked on": {"before": "2026-11-26 13:30+01:00"}}, [0, 1]),
        ({"Asked on": {"before": datetime(2026, 11, 26, 12)}}, [0]),
        ({"Asked on": {"after": date(2026, 10, 1)}}, [1]),
        ({"Asked on": {"after": "2026-09-30", "before": np.datetime64("2026-10-02")}}, [0]),
        ({"Asked on": {"after": pd.Timestamp("2026-11-26 11:59", tz="UTC")}}, [1]),
        ({"Asked on": {"not": {"after": "2026-11-25"}}}, [0]),
        ({"Days": {"after": "0001-01-01"}}, []),
        ({}, [0, 1, 2, 3]),
        ({"Old": True}, [0, 2]),
        ({"Old": {"not": np.False_}}, [0, 2]),
        ({"Old": ["false"]}, [1]),
        ({"Days": 3.0}, [0]),
        ({"Days": np.array([3, 30])}, [0, 1]),
        ({"Days": pa.array([3, None])}, [0]),
        ({"Days": {"at least": np.int64(30)}}, [1]),
        ({"Asked on": {"older than": timedelta(days=30)}}, [0]),
        ({"Asked on": {"older than": np.timedelta64(30, "D")}}, [0]),
        ({"name": re.compile("GOLDEN.*", re.IGNORECASE)}, [0, 1, 3]),
        ({"name": {"not": re.compile("GOLDEN.*", re.IGNORECASE)}}, [2]),
    ],
)
def test_a_condition_decides_what_it_says(when: dict[str, object], expected: list[int]) -> None:
    """A policy decides on exactly the rows whose values meet its conditions."""
    assert decided(policy("p", then="accept", when=when)) == dict.fromkeys(expected, "accept")


def test_what_cannot_be_judged_is_left_to_a_person() -> None:
    """A row on which an earlier policy cannot be judged gets no decision from a later one."""
    first = policy("old", then="reject", when={"Days": {"more than": 10}})
    result = evaluate(Policies((first,), "accept"), ROWS, AT)
    assert dict(result.decisions["decision"]) == {0: "accept", 1: "reject", 3: "accept"}
    assert result.undecided.to_dict("index") == {2: {"policy": "old", "column": "Days"}}
    assert result.matched["rows"].tolist() == [1, 2]


def test_a_condition_that_fails_settles_a_row_that_another_cannot_judge() -> None:
    """A row that fails one condition of a policy does not match it, whatever the others are."""
    both = policy("p", then="reject", when={"Days": {"more than": 10}, "name": "golden"})
    assert decided(both, otherwise="skip") == {0: "skip", 1: "reject", 2: "skip", 3: "skip"}


def test_the_first_match_wins() -> None:
    """A row takes the decision of the first policy that matches it, with its reason and name."""
    rules = policy("a", then="leave", owner="0a"), policy("b", then="no", reason="x", when={})
    result = evaluate(Policies(rules), ROWS, AT)
    assert dict(result.decisions["decision"]) == dict.fromkeys([1, 2], "reject")
    assert set(result.decisions["reason"]) == {"x"}
    assert set(result.decisions["policy"]) == {"b"}


def test_a_function_or_a_mask_can_choose_the_rows() -> None:
    """A function and a mask choose rows as a condition does, and a function cannot change them."""

    def chosen(rows: pd.DataFrame) -> pd.Series:
        rows["owner"] = "0a"
        return rows["name"] == "other"

    assert decided(policy("f", then="skip", rows=chosen), policy("g", then="yes", owner="0a")) == {
        0: "accept", 2: "skip",
    }  # fmt: skip
    assert decided(policy("m", then="skip", rows=ROWS["name"] == "golden")) == {1: "skip"}
    with pytest.raises(UsageError, match="names no rows"):
        decided(policy("m", then="skip", rows="owner == '0a'"))


def test_rows_may_be_named_by_their_labels() -> None:
    """A mask, keys or a function may name rows by the index of the DataFrame that was read."""
    labels = pd.Index(["d", "c", "b", "a"], name="ticket")
    mask = pd.Series([True, False, False, False], index=labels[::-1])
    for rows in (mask, ["a"], labels[3:], lambda _: mask):
        made = Policies((policy("m", then="skip", rows=rows),))
        assert evaluate(made, ROWS, AT, labels).decisions.index.tolist() == [3]


def test_the_fingerprint_covers_every_bound_value() -> None:
    """Another value, order, decision or rest gives another fingerprint; the same text the same."""
    one, two = policy("a", then="accept", owner=["0a"]), policy("b", then="reject", owner="0b")
    made = {
        Policies(p, rest).fingerprint
        for p in [(one, two), (two, one), (one,), (policy("a", then="accept", owner=["0b"]),)]
        for rest in ("leave", "skip")
    }
    assert len(made) == 8
    assert (
        Policies((one,)).fingerprint
        == Policies((policy("a", then="yes", owner=["0a"]),)).fingerprint
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"then": "perhaps"}, "is no decision"),
        ({"then": ""}, "is no decision"),
        ({"owner": {"starts with": "0"}}, "is no operator"),
        ({"owner": {"equals": ["0a"]}}, "does not fit"),
        ({"owner": []}, "does not fit"),
        ({"owner": ""}, "does not fit"),
        ({"owner": {}}, "no condition"),
        ({"Days": {"more than": "few"}}, "does not fit"),
        ({"Days": {"more than": "nan"}}, "does not fit"),
        ({"Days": {"older than": "30"}}, "does not fit"),
        ({"Days": {"older than": "-3 days"}}, "does not fit"),
        ({"name": {"matches": "(a"}}, "does not fit"),
        ({"name": {"matches": "a)|(b"}}, "does not fit"),
        ({"name": {"empty": "maybe"}}, "does not fit"),
        ({"name": {"not": {"like": "a", "equals": "b"}}}, "takes one condition"),
        ({"owner": float("nan")}, "does not fit"),
        ({"owner": [["0a"]]}, "does not fit"),
        ({"owner": pd.DataFrame({"owner": ["0a"]})}, "does not fit"),
        ({"owner": [str(number) for number in range(10_001)]}, "1 to 10,000 texts"),
        ({"Asked on": date(2026, 10, 1)}, "`before` and `after`"),
        ({"Asked on": {"more than": date(2026, 10, 1)}}, "`before` and `after`"),
        ({"Asked on": {"before": "01.10.2026"}}, "a day such as 2026-07-01"),
        ({"Asked on": {"before": "2026-02-30"}}, "a day such as 2026-07-01"),
        ({"Asked on": {"after": 2026}}, "a day such as 2026-07-01"),
        ({"Asked on": {"after": pd.NaT}}, "a day such as 2026-07-01"),
        ({"Days": {"older than": "3m"}}, "such as 30 days"),
        ({"Days": {"older than": "2 months"}}, "such as 30 days"),
        ({"name": re.compile("a b", re.VERBOSE)}, "does not fit"),
        ({"name": re.compile(b"golden")}, "does not fit"),
        ({"when": {"owner": "0a"}, "owner": "0b"}, "write one"),
        ({"when": [("owner", "0a")]}, "mapping of columns"),
        ({"reason": 5}, "takes a text for reason"),
        ({"owners": "0a"}, "did you mean owner"),
        ({"rows": [1], "owner": "0a"}, "give one of them"),
    ],
)
def test_what_is_no_policy_is_one_sentence(arguments: dict[str, object], message: str) -> None:
    """A decision, an operator, a value or a column that does not exist is refused by its name."""
    with pytest.raises(UsageError, match=message):
        decided(policy("p", **{"then": "accept", **arguments}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"name": "goldn"}, "no row meets name equals goldn; did you mean 'golden' or "),
        ({"name": {"not": ["golden", "OTHER"]}}, "no row has 'OTHER'; did you mean 'other'?"),
        ({"name": ["golden", "othr"]}, "no row has 'othr'; did you mean 'other'?"),
        ({"Days": "3.0"}, "did you mean '3'?"),
        ({"name": {"like": "gld*"}}, "no row meets name like gld*; the column has 'golden-1', "),
        ({"Days": {"more than": 99}}, "no row meets Days more than 99"),
        ({"Asked on": {"before": "2020-01-01"}}, "the column has '2026-10-01', "),
        ({"owner": ["0a", "far away"]}, ""), ({"Old": True}, ""), ({"owner": {"empty": True}}, ""),
        ({"name": {"not": {"like": "web*"}}}, ""), ({}, ""),
    ],
)  # fmt: skip
def test_a_condition_that_no_row_meets_is_said(when: dict[str, object], said: str) -> None:
    """A value that no row has is named, with the ones that it may be meant for; others are not."""
    result = evaluate(Policies((policy("p", then="skip", when=when),)), ROWS, AT)
    assert len(result.notes) == bool(said)
    assert all(note.startswith("Policy 'p': ") and said in note for note in result.notes)
    assert ("no row" in repr(result)) == bool(said)


def test_policies_show_what_they_say() -> None:
    """A policy is one short line with its conditions, however long its list, and a table."""
    owners = [f"{number:032x}" for number in range(9_000)]
    made = policy("<b>", then="reject", owner={"not": owners}, size={"more than": 7})
    assert (
        repr(made) == "<Policy '<b>': owner not one of 9,000 values and size more than 7 → reject>"
    )
    assert "&lt;b&gt;" in made._repr_html_()
    assert len(repr(Policies((made,) * 9))) < 120


@given(st.lists(st.text(max_size=4), min_size=1, max_size=30), st.text(min_size=1, max_size=4))
def test_a_condition_and_its_opposite_never_both_hold(texts: list[str], value: str) -> None:
    """No text meets a comparison and its negation, and an empty one meets neither."""
    rows = pd.DataFrame({"c": pd.Series(texts, dtype=STR)}).rename_axis("row_key")
    for operator in ("equals", "like", "more than", "older than", "before", "after"):
        try:
            yes = policy("p", then="skip", when={"c": {operator: value}})
        except UsageError:
            continue
        no = policy("p", then="skip", when={"c": {"not": {operator: value}}})
        both = [set(evaluate(Policies((p,)), rows, AT).decisions.index) for p in (yes, no)]
        assert not both[0] & both[1]
        assert not any(texts[key] == "" for keys in both for key in keys)


def write(folder: Path, text: str) -> Path:
    """Write a file of policies and return its path."""
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_holds_what_python_would(tmp_path: Path) -> None:
    """A file reads as the same policies in Python do, with lists from a csv, texts as written."""
    (tmp_path / "owners.csv").write_text("\ufeffowner,note\n0123,x\n 0b ,y\n,z\n", encoding="utf-8")
    path = write(
        tmp_path,
        "policies:\n"
        "- name: trusted\n"
        "  when: {owner: {one of: {file: owners.csv, column: owner}}, Days: {more than: 1e5}}\n"
        "  then: accept\n"
        "- {name: no, when: {name: 0123}, then: reject, reason: unknown}\n"
        "otherwise: leave\n",
    )
    assert read_policies(path) == Policies(
        (
            policy("trusted", then="yes", owner=["0123", "0b"], Days={"more than": "1e5"}),
            policy("no", then="reject", reason="unknown", when={"name": "0123"}),
        )
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the keys policies and otherwise"),
        ("- a", "has the keys policies and otherwise"),
        ("policies: []\notherwise: leave", "at least one policy"),
        ("policies: [{name: a, then: accept}]", "no policy matches"),
        ("policies: [{name: a, then: accept}]\notherwise: perhaps", "is no decision"),
        ("policies: [{then: accept}]\notherwise: leave", "policy 1"),
        ("policies: [{name: a, then: accept, if: {}}]\notherwise: leave", "no part of a policy"),
        ("policies: [{name: a, then: yes}, {name: a, then: no}]\notherwise: no", "two policies"),
        ("policies: [{name: a, then: accept, then: reject}]\notherwise: leave", "stands twice"),
        ("policies: [{name: [a], then: accept}]\notherwise: leave", "are texts"),
        ("policies: [{name: a, when: [b], then: accept}]\notherwise: leave", "each column"),
        ("policies: &a [*a]\notherwise: leave", "policy 1"),
        ("policies: [{name: a, then: yes, when: {c: &x {not: *x}}}]\notherwise: leave", "itself"),
        ("policies: !!python/object/apply:os.system [ls]", "no YAML"),
        ("policies: [\n{name: a", "line 2"),
        ("policies: [{name: a, then: yes, when: {c: {one of: {file: x}}}}]\notherwise: no", "x"),
        ("policies: [{name: a, then: yes, when: {c: null}}]\notherwise: no", "line 1: null is no"),
        ("policies: [{name: a, then: yes, when: {c: ~}}]\notherwise: no", "empty cells"),
        ("policies: [{name: otherwise, then: yes}]\notherwise: no", "all other rows"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_policies_is_one_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    """A file with anything that is no policy is refused with its name and what is wrong."""
    with pytest.raises(InputError, match=message) as caught:
        read_policies(write(tmp_path, text))
    assert "policy.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("owner,note\n0a,x\n", "", "name one of them"),
        ("0a\n0b\n", "", "the first line names them"),
        ("owner;note\n0a;x\n", "column: owner", "a comma separates"),
        ("owner,owner\n0a,x\n", "column: owner", "name one of them"),
        ("owner,note\n0a,1,2,3\n0b,2\n", "column: owner", "line 2 has 4 values for 2"),
        ("owner,note\n0a,x\n0b\n", "column: owner", "line 3 has 1 values for 2"),
        ("", "column: owner", "has the columns"),
        ('owner\n"0a\n', "column: owner", "cannot be read"),
        ("owner\n\n", "column: owner", "does not fit"),
        ("owner\n0a\n", "column: [owner]", "are texts"),
    ],
)
def test_a_list_that_may_mean_other_values_is_refused(
    tmp_path: Path, content: str, column: str, message: str
) -> None:
    """A csv gives the values of one named column, and none that stand elsewhere or are cut off."""
    (tmp_path / "list.csv").write_text(content, encoding="utf-8")
    rule = f"{{owner: {{one of: {{file: list.csv, {column}}}}}}}"
    text = f"policies: [{{name: a, then: skip, when: {rule}}}]\notherwise: leave"
    with pytest.raises(InputError, match=message) as caught:
        read_policies(write(tmp_path, text))
    assert "policy.yaml" in str(caught.value)
