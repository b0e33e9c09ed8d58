"""Whichever way a person decides: what is shown, planned, recorded and sent is what was said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

import sharekit
from sharekit.core.actions import DECISIONS
from sharekit.core.errors import SharekitError, UsageError
from sharekit.interfaces.notebook.panel import Panel
from sharekit.interfaces.review import Review
from sharekit.ledger.ledger import Ledger
from sharekit.plans import decisions
from sharekit.plans.plan import read_plan
from sharekit.plans.selection import keys_of_labels, select_keys
from sharekit.spreadsheets.vocabulary import DECISION_WORDS, read_decision
from tests.conftest import FAST, World

Make = Callable[..., World]
#: What the tests decide: one row each, as people write it, with what it means.
SAID = {
    0: ("Declined", "reject"),
    1: ("skip", "skip"),
    2: ("Reject", "reject"),
    3: ("OK", "accept"),
}
REASON = "the owner left"


@pytest.fixture
def review(world: Make) -> Review:
    """A review of thirty good rows."""
    scene = world(rows=30)
    return Review(scene.planned(), scene.connect(), reviewer="Bob", settings=FAST)


def named(*keys: object) -> pd.Index:
    """Keys of rows as an index that says so."""
    return pd.Index(keys, name="row_key")


def accepted(review: Review, number: int) -> list[int]:
    """Keys of rows that would be accepted."""
    rows = review.rows
    free = (rows["disposition"] == "planned") & (rows["wanted"] == "accept")
    return [int(key) for key in rows.index[free][:number]]


# -- ways of deciding ------------------------------------------------------------------------------
def by_call(review: Review, said: dict[int, str], folder: Path) -> None:
    """Call the review."""
    for key, word in said.items():
        review.decide([key], word, reason=REASON)


def by_lower_call(review: Review, said: dict[int, str], folder: Path) -> None:
    """Call the function below the review."""
    for key, word in said.items():
        decisions.decide(review.path, [key], decision=word, reason=REASON, reviewer="Bob")


def by_mask(review: Review, said: dict[int, str], folder: Path) -> None:
    """Call the review with a mask of all rows."""
    for key, word in said.items():
        review.decide(review.rows.index == key, word, reason=REASON)


def by_frame(review: Review, said: dict[int, str], folder: Path) -> None:
    """Give a frame of decisions."""
    frame = pd.DataFrame({"decision": said, "reason": REASON}).rename_axis("row_key")
    sharekit.review(review.path, take=frame, reviewer="Bob")


def by_edited_rows(review: Review, said: dict[int, str], folder: Path) -> None:
    """Give the review's own rows, edited."""
    rows = review.rows
    for key, word in said.items():
        rows.loc[key, ["decision", "reason"]] = [word, REASON]
    review.decide(rows)


def fill_sheet(review: Review, said: dict[int, str], folder: Path) -> Path:
    """Fill in a review sheet."""
    path = folder / "review.xlsx"
    sharekit.review(review.path, out=path)
    return fill_in(path, said)


def fill_in(path: Path, said: dict[int, Any], reason: Any = REASON) -> Path:
    """Fill in those rows of a review sheet that are in it."""
    book = openpyxl.load_workbook(path)
    sheet = book["Review"]
    names = [cell.value for cell in sheet[1]]
    for line in sheet.iter_rows(min_row=2):
        key = int(str(line[0].value).split("-")[0].removeprefix("r"))
        if key in said:
            line[names.index("decision")].value = said[key]
            line[names.index("reason")].value = reason
    book.save(path)
    return path


def by_sheet(review: Review, said: dict[int, str], folder: Path) -> None:
    """Have a review sheet taken in."""
    sharekit.review(review.path, take=fill_sheet(review, said, folder), reviewer="Bob")


def by_shell(review: Review, said: dict[int, str], folder: Path) -> None:
    """Have a review sheet taken in by the command."""
    command = [sys.executable, "-m", "sharekit", "review", str(review.path), "--reviewer", "Bob"]
    sheet = fill_sheet(review, said, folder)
    subprocess.run([*command, "--take", str(sheet)], check=True, capture_output=True)


def by_letter(review: Review, said: dict[int, str], folder: Path) -> None:
    """Press the key of the decision on each row."""
    panel = Panel(review)
    for key, word in said.items():
        letter = {"accept": "a", "reject": "r", "skip": "s"}[read_decision(word)]
        panel.act("letter", letter, {"key": key, "group": -1}, reason=REASON)


def by_selection(review: Review, said: dict[int, str], folder: Path) -> None:
    """Select each row, and click."""
    panel = Panel(review)
    for key, word in said.items():
        panel.act("select", key)
        panel.act("decide", read_decision(word), reason=REASON)


def by_all_shown(review: Review, said: dict[int, str], folder: Path) -> None:
    """Search for each row, and click on the buttons for all shown."""
    panel = Panel(review)
    for key, word in said.items():
        panel.act("search", search=str(review.rows.at[key, "image_id"]))
        panel.act("decide", read_decision(word), reason=REASON)


def by_records(review: Review, said: dict[int, str], folder: Path) -> None:
    """Give records, each naming its share."""
    rows = review.rows
    review.decide([
        {"image_id": rows.at[key, "image_id"], "project_id": rows.at[key, "project_id"],
         "decision": word, "reason": REASON}
        for key, word in said.items()
    ])  # fmt: skip


def by_policy(review: Review, said: dict[int, str], folder: Path) -> None:
    """Apply a policy for each word."""
    policies = [
        sharekit.policy(word, then=word, reason=REASON, rows=[key])  # type: ignore[arg-type]
        for key, word in said.items()
    ]
    review.apply(policies)


def by_split_sheets(review: Review, said: dict[int, str], folder: Path) -> None:
    """Have the sheets of several people taken in, after one of them is filled in."""
    sheets = review.write_sheets(folder / "split", "asked")
    for path in sheets.values():
        fill_in(path, said)
    review.take(*sheets.values())


def by_follow(review: Review, said: dict[int, str], folder: Path) -> Path:
    """Plan anew what follows a run in which it was decided."""
    by_call(review, said, folder)
    inventory = review.plan.findings.inventory
    found = sharekit.check(inventory, review._connect())
    return sharekit.plan(found, folder / "second.ledger", follows=review.path).path


WAYS = (
    by_call, by_lower_call, by_mask, by_frame, by_edited_rows, by_sheet, by_shell, by_letter,
    by_selection, by_all_shown, by_records, by_policy, by_split_sheets, by_follow,
)  # fmt: skip


def assert_shown_is_sent(shown: Review) -> None:
    """Compare every row that a person sees with the requests of the plan."""
    texts = [json.dumps(request) for request in shown.plan.requests()]
    for _, row in shown.rows.iterrows():
        sent = [text for text in texts if row["image_id"] in text and row["project_id"] in text]
        assert bool(sent) == (row["state"] in ("planned", "duplicate"))
        if row["state"] == "planned":
            assert DECISIONS.get(row["wanted"], row["wanted"]) in sent[0]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_is_shown_is_planned_recorded_and_sent(
    way: Callable[[Review, dict[int, str], Path], Path | None], review: Review, world: Make,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Every way leads to the same rows, plan, events with person and reason, and requests."""
    keys = accepted(review, len(SAID))
    asked = dict(zip(keys, SAID.values(), strict=True))
    path = way(review, {key: word for key, (word, _) in asked.items()}, tmp_path) or review.path
    meant = {key: decision for key, (_, decision) in asked.items()}
    shown = Review(path, reviewer="Ada")
    assert shown.changes["decision"].to_dict() == meant
    assert set(shown.changes["reason"]) == {REASON}
    assert set(shown.changes["by"]) == {"Bob"}
    before = shown.rows
    plan = shown.replan()
    pd.testing.assert_series_equal(shown.rows["wanted"], before["wanted"])
    pd.testing.assert_series_equal(shown.rows["state"], before["state"])
    assert decisions.replan(path).fingerprint == plan.fingerprint
    assert_shown_is_sent(shown)
    for key, decision in meant.items():
        image = plan.rows.at[key, "image_id"]
        sent = [r["body"]["status"] for r in plan.requests() if image in r["body"]["images"]]
        expected = {"reject": ["rejected"], "accept": ["accepted"], "skip": []}[decision]
        assert sent == expected
    sharekit.approve(path, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(path, review._connect(), settings=FAST)
    with Ledger.open(path) as ledger:
        intents = [event.body for event in ledger.list_events("intent")]
    for key, decision in meant.items():
        image = plan.rows.at[key, "image_id"]
        assert any(image in body["images"] for body in intents) == (decision != "skip")
        states = {"reject": "rejected", "accept": "accepted", "skip": ""}
        assert run.rows.at[key, "observed"] == states[decision]
    assert sharekit.verify(path).intact
    assert read_plan(path).fingerprint == plan.fingerprint


@pytest.mark.parametrize(
    ("follow", "how"),
    [(sharekit.undo, {"native_only": True}), (sharekit.retry, {"faults": "job_fail=0.5,seed=2"})],
)
def test_what_undo_and_retry_show_is_what_they_send(
    follow: Callable[..., sharekit.Plan], how: dict[str, Any], world: Make, tmp_path: Path
) -> None:
    """A plan made from a run, and a decision on it, is sent as a person sees it."""
    scene = world(rows=8, **how)
    plan = scene.approved(chunk_size=2)
    sharekit.submit(plan, scene.connect(), settings=FAST)
    review = Review(follow(plan.path, tmp_path / "later.ledger", scene.connect()), reviewer="Ada")
    assert_shown_is_sent(review)
    key = int(review.rows.index[review.rows["state"] == "planned"][0])
    review.decide([key], "skip", reason=REASON)
    review.replan()
    assert review.rows.at[key, "state"] == "skipped"
    assert_shown_is_sent(review)


# -- words -----------------------------------------------------------------------------------------
def take_frame(review: Review, key: int, word: Any, reason: Any, folder: Path) -> None:
    """Decide by a frame."""
    review.decide(pd.DataFrame({"decision": [word], "reason": [reason]}, index=named(key)))


def take_sheet(review: Review, key: int, word: Any, reason: Any, folder: Path) -> None:
    """Decide by a review sheet."""
    written = folder / "written.xlsx"
    if not written.exists():
        sharekit.review(review.path, out=written)
    review.take(fill_in(copy(written, folder / "review.xlsx"), {key: word}, reason))


def call(review: Review, key: int, word: Any, reason: Any, folder: Path) -> None:
    """Decide by a call."""
    review.decide([key], word, reason=reason)


def lower_call(review: Review, key: int, word: Any, reason: Any, folder: Path) -> None:
    """Decide by the function below the review."""
    decisions.decide(review.path, [key], decision=word, reason=reason)


GIVEN = (call, lower_call, take_frame, take_sheet)


@pytest.mark.parametrize("give", GIVEN)
def test_another_word_is_one_error_and_nothing_is_written(
    give: Callable[..., None], review: Review, tmp_path: Path
) -> None:
    """What is no decision is refused in every way with the same sentence."""
    (key,) = accepted(review, 1)
    for word in (
        "maybe",
        "acept",
        "accept reject",
        "?",
        "1",
        "pending",
        '"',
        "″",
        "〃",
        "dito",
        "''",
    ):
        with pytest.raises(SharekitError, match="is no decision: write accept or reject"):
            give(review, key, word, REASON, tmp_path)
    assert Review(review.path).changes.empty


@pytest.mark.parametrize("word", [True, 1, 1.0, ["reject"]])
def test_what_is_no_text_is_no_decision(word: Any, review: Review) -> None:
    """A truth value or a number decides nothing, in a call and in a frame."""
    with pytest.raises(UsageError, match="decision"):
        review.decide([0], word, reason=REASON)
    with pytest.raises(UsageError, match="no decision"):
        review.decide(pd.DataFrame({"decision": [word], "reason": REASON}, index=named(0)))
    assert Review(review.path).changes.empty


def test_all_words_of_an_inventory_are_words_of_a_review() -> None:
    """One vocabulary, in any case and with blanks and quotes around it."""
    words = [word for word in DECISION_WORDS if word]
    assert {read_decision(f" “{word.upper()}”\u200b ") for word in words} == {
        "", "accept", "reject", "share", "unshare", "skip",
    }  # fmt: skip


# -- reasons ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("give", GIVEN)
@pytest.mark.parametrize("word", ["reject", "skip"])
def test_rejecting_and_skipping_need_a_reason(
    give: Callable[..., None], word: str, review: Review, tmp_path: Path
) -> None:
    """Only the inventory's own column rejects or leaves out a share without a reason."""
    rows = review.rows
    asked_so = rows.index[(rows["asked"] == "rejected") & (rows["disposition"] == "planned")]
    reasons = ("", "  ", "\u200b", "-", ".", "?", "n/a", "None", "k. A.")
    for key, reason in product((*accepted(review, 1), int(asked_so[0])), reasons):
        with pytest.raises(SharekitError, match="reason"):
            give(review, key, word, reason, tmp_path)
    assert Review(review.path).changes.empty


def test_accepting_against_the_inventory_needs_a_reason(review: Review) -> None:
    """What the inventory rejects is not accepted without a word; what it accepts is."""
    rows = review.rows
    key = int(rows.index[rows["asked"] == "rejected"][0])
    for refused in (
        lambda: review.decide([key], "accept"),
        lambda: decisions.decide(review.path, [key], decision="accept"),
        lambda: review.decide(pd.DataFrame({"decision": "accept"}, index=named(key))),
    ):
        with pytest.raises(UsageError, match="reason"):
            refused()
    assert review.decide(accepted(review, 2), "accept") == 2


def test_a_new_decision_does_not_keep_an_older_reason(review: Review) -> None:
    """The reason belongs to its decision; taking it away alone is refused as well."""
    (key,) = accepted(review, 1)
    review.decide([key], "skip", reason="first")
    rows = review.rows
    rows.loc[key, "decision"] = "reject"
    for refused in (
        lambda: review.decide([key], "reject"),
        lambda: decisions.decide(review.path, [key], decision="reject"),
        lambda: review.decide(rows),
        lambda: review.decide([key], reason=" "),
        lambda: decisions.decide(review.path, [key], reason=""),
    ):
        with pytest.raises(UsageError, match="reason"):
            refused()
    review.decide([key], "accept")
    assert Review(review.path).changes.loc[key].tolist() == ["accept", "", "", "Bob"]


def test_a_reason_leaves_the_field_with_its_decision(review: Review) -> None:
    """After each decision the field is another one, and empty."""
    first, second = accepted(review, 2)
    panel = Panel(review)

    def reasons() -> list[str]:
        return [part for part in str(panel.view["above"]).split("'") if part.startswith("reason-")]

    before = reasons()
    for key, reason in ((first, "one"), (second, "two")):
        panel.act("select", key)
        panel.act("decide", "skip", reason=reason)
        assert reasons() != before
        before = reasons()
    assert review.changes["reason"].to_dict() == {first: "one", second: "two"}


def test_every_decision_has_a_person(review: Review) -> None:
    """Without a name, the user of the machine is written down, and not nobody."""
    (key,) = accepted(review, 1)
    Review(review.path).decide([key], "skip", reason="x")
    assert Review(review.path).changes.at[key, "by"] != ""


# -- rows ------------------------------------------------------------------------------------------
INDEX = pd.RangeIndex(6, name="row_key")
TRUTH = [False, True, False, False, True, False]


@pytest.mark.parametrize(
    "rows",
    [
        [4, 1], (1, 4), {1, 4}, np.array([4, 1]), np.array([1, 4], "uint8"), iter([1, 4]),
        INDEX[[4, 1]], pd.array([1, 4], dtype="Int64"), pd.array([1, 4], dtype="int64[pyarrow]"),
        TRUTH, np.array(TRUTH), pd.array(TRUTH, dtype="boolean"),
        pd.Series(TRUTH, index=INDEX), pd.Series(TRUTH, index=INDEX)[::-1],
        pd.Series(TRUTH, index=INDEX, dtype="boolean"),
        pd.Series(TRUTH, index=INDEX).loc[[5, 4, 1]], np.array(TRUTH, dtype=object),
        pd.Series([1, 4], name="row_key"), pd.Series([4, 1]), INDEX[[1, 4]].to_series(),
    ],

)  # fmt: skip
def test_rows_are_keys_or_a_truth_for_each_row(rows: object) -> None:
    """Masks select by their truth, and a Series by its index; keys in whatever container."""
    assert select_keys(rows, 6).tolist() == [1, 4]


@pytest.mark.parametrize(
    "rows",
    [
        [1.0, 4.0], np.array([1.0, 4.0]), ["1", "4"], "14", b"\x01", [1, "4"], [True, 4], 1, True,
        None, 1.5, [None], [1, None], pd.array([1, None], dtype="Int64"), [6], [-1], [2**70],
        [True, False], TRUTH[:5], (1, 4, 4), np.array(TRUTH, dtype=int),
        np.array([[1, 4]]), np.array(1), {1: True}, slice(1, 4),
        pd.Series(TRUTH[:5]), pd.Series([True], index=["1"]), pd.Series([True], index=[6]),
        pd.Index([1, 4]), pd.RangeIndex(2), pd.Index([1, 4], name="row"), pd.Series(TRUTH),
        pd.Series({4: True, 1: True, 2: False}), pd.Series(TRUTH)[2:], pd.Series([0, 1]),
        pd.Series(TRUTH, index=pd.RangeIndex(6, name="row")), pd.Series({1: 1, 4: 4}),
        pd.Series([True, True], index=[1, 1]), pd.Series([True, None], index=[1, 4]),
        pd.Series([2, 5], index=pd.Index([1, 4], name="row_key"), name="row"),
        pd.Series([2, 5], index=[1, 4]), pd.Series(["a", "b"], index=[1, 4]),
        pd.Series([1.0, 4.0]), pd.DataFrame({"status": TRUTH}), np.array(["2026-01-01"], "M8[D]"),
        [pd.NA], [object()], pd.Series([True, None] + [False] * 4, dtype="boolean"),
        pd.Series([True, False], dtype="boolean").mask([True, False]),
    ],
)  # fmt: skip
def test_what_may_mean_other_rows_is_refused(rows: object) -> None:
    """Floats, texts, mixtures, missing values, other tables' masks and unknown keys select none."""
    with pytest.raises(UsageError):
        select_keys(rows, 6)


@pytest.mark.parametrize(
    "rows", [[1.0], [True, 0], pd.Series([1.0, 2.0]), np.array([0.0]), [2, "2"]]
)
def test_what_only_equals_a_label_is_none(rows: object) -> None:
    """Floats and mixtures name no rows, whether the labels are numbers or there are none."""
    with pytest.raises(UsageError):
        select_keys(keys_of_labels(rows, pd.RangeIndex(6)), 6)
    assert keys_of_labels([1], pd.RangeIndex(6)).tolist() == [1]


def test_a_mask_decides_on_its_rows_and_the_answer_counts_them(review: Review) -> None:
    """The rows of a project are decided, not rows 0 and 1; the answer says how many they were."""
    rows = review.rows
    project = rows["project_id"].value_counts().index[-1]
    mask = rows["project_id"] == project
    answer = review.decide(mask, "reject", reason=REASON)
    assert review.changes.index.tolist() == rows.index[mask].tolist()
    assert repr(answer) == f"<{mask.sum()} rows: reject>"
    assert answer == mask.sum()
    assert repr(review.undo()) == f"<{mask.sum()} rows: taken back>"
    review.decide([3], "skip", reason="later")
    assert repr(review.decide([3], reason="look again")) == "<1 row: reason>"
    with pytest.raises(UsageError, match="at least one row"):
        review.decide(rows["project_id"] == "nobody", "reject", reason=REASON)


# -- frames ----------------------------------------------------------------------------------------
def test_a_frame_decides_nothing_that_would_be_ignored(review: Review) -> None:
    """Other columns, changed facts, rows that are twice or not there: refused as a whole."""
    rows = review.rows
    for frame, said in (
        (rows.assign(status="rejected"), "column status differs"),
        (rows.assign(wanted="reject"), "column wanted differs"),
        (rows.assign(vault_id="x"), "column vault_id differs"),
        (rows.assign(desicion="reject"), "columns desicion decide nothing"),
        (pd.DataFrame({"desicion": ["skip"]}, index=named(0)), "needs a column decision"),
        (pd.DataFrame({"decision": ["skip"] * 2, "reason": "x"}, index=named(0, 0)), "twice"),
        (
            pd.DataFrame({"decision": ["skip"], "reason": "x"}, index=named(99)),
            "no row with key 99",
        ),
        (pd.DataFrame({"decision": ["skip"], "reason": "x"}, index=named("0")), "cannot be named"),
        (pd.DataFrame({"vault_id": ["x"]}, index=named(0)), "not the ID of a vault"),
        (pd.DataFrame({"decision": ["skip"], "reason": [1]}, index=named(0)), "no text"),
        (rows[["decision"]].assign(decision="skip").reset_index(drop=True), "count its own lines"),
        (rows[2:][["decision", "reason"]].reset_index(drop=True)[3:], "image_id and project_id"),
        (pd.DataFrame({"decision": ["skip"], "reason": "x"}, index=[4]), "count its own lines"),
        (rows[["decision"]].rename_axis("row"), "keep the index row_key"),
    ):
        with pytest.raises(UsageError, match=said):
            review.decide(frame)
    assert Review(review.path).changes.empty
    assert repr(review.decide(rows)) == "<0 rows: decided by frame>"
    with Ledger.open(review.path) as ledger:
        assert not ledger.list_events("decided")


def test_a_frame_says_only_what_it_changes(review: Review) -> None:
    """Missing values leave a row alone, ``""`` takes a decision back, undo takes all of it back."""
    first, second, third = accepted(review, 3)
    review.decide([first], "skip", reason="x")
    frame = pd.DataFrame(
        {"row_key": [third, second, first], "decision": ["Rejected", None, ""],
         "reason": ["gone", None, None]}
    )  # fmt: skip
    assert repr(review.decide(frame)) == "<2 rows: decided by frame>"
    assert review.changes["decision"].to_dict() == {third: "reject"}
    assert review.gate.pending_steps == 0
    assert review.undo() == 2
    assert review.changes["decision"].to_dict() == {first: "skip"}


@pytest.mark.filterwarnings("ignore::pandas.errors.ChainedAssignmentError")
def test_a_reviews_frames_are_copies(review: Review) -> None:
    """Writing into what a review or a run shows changes neither what is shown nor what is sent."""
    (key,) = accepted(review, 1)
    for read in (lambda: review.rows, lambda: review.changes, lambda: review.plan.rows):
        frame = read()
        frame.loc[:, "reason"] = "changed"
        read().loc[:, "decision"] = "reject"
    assert set(review.rows["decision"]) == set(review.rows["reason"]) == {""}
    review.decide([key], "skip", reason="x")
    assert review.rows["decision"].value_counts().to_dict() == {"": 29, "skip": 1}
    run = review.run.status()
    run.rows.loc[:, "outcome"] = "confirmed"
    assert "confirmed" not in set(review.run.status().rows["outcome"])


# -- what is shown and what is selected ------------------------------------------------------------
def test_a_click_means_the_rows_that_its_button_named(review: Review) -> None:
    """A click that was under way while other rows came to be shown or selected decides nothing."""
    panel = Panel(review)
    first, second = accepted(review, 2)
    panel.act("search", search=str(review.rows.at[first, "image_id"]))
    seen = panel.desk.grid.version
    panel.act("clear")
    panel.act("decide", "skip", seen, reason="x")
    assert review.changes.empty
    panel.act("select", second)
    panel.act("decide", "skip", panel.desk.grid.version, reason="x")
    assert review.changes.index.tolist() == [second]


def test_a_question_is_about_the_rows_it_was_asked_about(review: Review) -> None:
    """Another filter before the answer takes the question away, and a late answer hits nothing."""
    panel = Panel(review)
    first, second = accepted(review, 2)
    review.decide([first], "skip", reason="mine")
    panel.act("search", search=str(review.rows.at[first, "image_id"]))
    panel.act("decide", "reject", reason="x")
    assert "were decided explicitly" in str(panel.view)
    panel.act("search", search=str(review.rows.at[second, "image_id"]))
    assert "were decided explicitly" not in str(panel.view)
    panel.act("answer", 0)
    assert review.changes["decision"].to_dict() == {first: "skip"}
