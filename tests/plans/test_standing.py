"""What a person has decided is shown, and nobody turns it back without saying why."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from openpyxl.comments import Comment
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

import sharekit
from sharekit.core.columns import STR
from sharekit.core.errors import InputError, SharekitError, UsageError
from sharekit.interfaces.review import Review
from sharekit.ledger.ledger import Ledger
from sharekit.plans import decisions
from sharekit.reports.run_record import read_record

IMAGES = [f"d164b5df-1bc3-4c3f-893e-{n:012x}" for n in (0x1A, 0x2F, 0x3B, 0x4D, 0x5E, 0x71)]
PROJECT = "edc89b490d7d4392898e19b2deb34797"
ASKED = ["accepted"] * 4 + ["rejected"] * 2
REASON = "the owner is known by now"


def shares() -> pd.DataFrame:
    """Six shares, of which the last two are to be rejected."""
    return pd.DataFrame({"image_id": IMAGES, "project_id": PROJECT, "status": ASKED})


@pytest.fixture(scope="module")
def decided_by_bob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which Bob has decided."""
    findings = sharekit.check(sharekit.read_inventory(shares()))
    path = tmp_path_factory.mktemp("bob") / "run.ledger"
    review = Review(sharekit.plan(findings, path), reviewer="Bob")
    review.decide([0], "reject", reason="the owner is not known")
    review.decide([1], "skip", reason="ask again")
    review.decide([4], "accept", reason="Eve asked for it")
    return path


@pytest.fixture
def bob(decided_by_bob: Path, tmp_path: Path) -> Review:
    """Bob's review: row 0 rejected, row 1 skipped, row 4 accepted against the inventory."""
    return Review(shutil.copy(decided_by_bob, tmp_path), reviewer="Bob")


def write(review: Review, folder: Path) -> Path:
    """A new review sheet of a run."""
    path = folder / f"review-{len([*folder.iterdir()])}.xlsx"
    sharekit.review(review.path, out=path)
    return path


def fill(review: Review, folder: Path, edit: Callable[[Worksheet], None]) -> Path:
    """A review sheet after a person has worked on it."""
    path = write(review, folder)
    book = openpyxl.load_workbook(path)
    edit(book["Review"])
    book.save(path)
    return path


def cell(sheet: Worksheet, key: int, name: str) -> Any:
    """The cell of a row of the plan under a header."""
    names = [head.value for head in sheet[1]]
    line = next(line for line in sheet.iter_rows(min_row=2) if line[0].value.startswith(f"r{key}-"))
    return line[names.index(name)]


def said(key: int, decision: str, reason: str | None = None) -> Callable[[Worksheet], None]:
    """An edit that decides on one row."""

    def edit(sheet: Worksheet) -> None:
        cell(sheet, key, "decision").value = decision
        cell(sheet, key, "reason").value = reason

    return edit


def own(sheet: Worksheet, header: str, values: dict[int, str]) -> None:
    """Add a column of a person's own."""
    column = sheet.max_column + 1
    sheet.cell(1, column).value = header
    for key, text in values.items():
        sheet.cell(cell(sheet, key, "key").row, column).value = text


def call(ada: Review, key: int, word: str, reason: str | None, folder: Path) -> None:
    """Call the review."""
    ada.decide([key], word, reason=reason)


def lower_call(ada: Review, key: int, word: str, reason: str | None, folder: Path) -> None:
    """Call the function below the review."""
    decisions.decide(ada.path, [key], decision=word, reason=reason, reviewer="Ada")


def frame(ada: Review, key: int, word: str, reason: str | None, folder: Path) -> None:
    """Give the review's frame, edited."""
    rows = ada.to_frame()
    rows.loc[rows.index[key], "decision"] = word
    if reason is not None:
        rows.loc[rows.index[key], "reason"] = reason
    ada.decide(rows[["decision", "reason"]])


def records(ada: Review, key: int, word: str, reason: str | None, folder: Path) -> None:
    """Give records."""
    ada.decide([{"row_key": key, "decision": word, "reason": reason}])


def sheet(ada: Review, key: int, word: str, reason: str | None, folder: Path) -> None:
    """Have a review sheet taken in."""
    ada.take(fill(ada, folder, said(key, word, reason)))


WAYS = (call, lower_call, frame, records, sheet)


@pytest.mark.parametrize("way", WAYS)
def test_what_another_person_decided_is_turned_back_with_a_reason(
    way: Callable[..., None], bob: Review, tmp_path: Path
) -> None:
    """Accepting what Bob rejected or left out, as the inventory asks, needs a word why."""
    ada = Review(bob.path, reviewer="Ada")
    for key, word, reason in ((0, "accept", None), (1, "accept", "-"), (4, "reject", "n/a")):
        with pytest.raises(SharekitError, match="reason"):
            way(ada, key, word, reason, tmp_path)
    assert Review(bob.path).changes["by"].tolist() == ["Bob"] * 3
    way(ada, 0, "accept", REASON, tmp_path)
    way(ada, 2, "accept", None, tmp_path)
    changes = Review(bob.path).changes
    assert changes.loc[0].tolist() == ["accept", REASON, "", "Ada"]
    assert changes.loc[2].tolist() == ["accept", "", "", "Ada"]


def test_taking_back_and_undoing_are_turning_back(bob: Review) -> None:
    """As planned, on what Bob decided, needs a reason from Ada; Bob himself just takes it back."""
    ada = Review(bob.path, reviewer="Ada")
    with pytest.raises(UsageError, match="decided against the inventory or Bob without a reason"):
        ada.decide([0], "")
    with pytest.raises(UsageError, match="Bob took the last step, so Ada cannot undo it"):
        ada.undo()
    ada.decide([0], "", reason=REASON)
    bob.refresh()
    bob.decide([1], "")
    bob.decide([4], "")
    assert set(Review(bob.path).rows["decision"]) == {""}


def test_a_reason_of_nothing_is_refused_in_calls_frames_and_sheets(
    bob: Review, tmp_path: Path
) -> None:
    """A reason needs a decision, beside it or standing."""
    ada = Review(bob.path, reviewer="Ada")
    rows = ada.rows
    rows.loc[2, "reason"] = "why not"
    for refused in (
        lambda: ada.decide(rows),
        lambda: ada.decide(rows[["reason"]]),
        lambda: ada.decide([2], reason="why not"),
        lambda: decisions.decide(ada.path, [2], reason="why not"),
        lambda: ada.take(fill(ada, tmp_path, said(2, "as planned", "why not"))),
    ):
        with pytest.raises(SharekitError, match="is a reason without a decision"):
            refused()
    assert ada.decide([0], reason="nobody knows the owner") == 1


def test_who_decided_and_why_stays_with_the_decision(bob: Review, tmp_path: Path) -> None:
    """A sheet, a frame and the report name Bob and his reason, also after Ada chose a vault."""
    vault = pd.DataFrame({"decision": None, "reason": None, "vault_id": IMAGES[5]}, index=[0])
    decisions.record_step(bob.path, vault.rename_axis("row_key").astype(STR), reviewer="Ada")
    ada = Review(bob.path, reviewer="Ada")
    assert ada.to_frame()["by"].dropna().tolist() == ["Bob"] * 3
    shown = openpyxl.load_workbook(write(ada, tmp_path))["Review"]
    for key, texts in {
        0: ["reject", "Bob", "the owner is not known"],
        4: ["accept", "Bob", "Eve asked for it"],
        2: [None, None, None],
    }.items():
        names = ("decided", "decided_by", "decision_reason")
        assert [cell(shown, key, name).value or None for name in names] == texts
    ada.replan()
    with Ledger.open(bob.path) as ledger:
        rows = read_record(ledger).rows
    assert rows["decided_by"].tolist() == ["Bob", "Bob", "", "", "Bob", ""]
    assert rows.at[1, "decision_reason"] == "ask again"


def test_split_sheets_show_what_stands(bob: Review, tmp_path: Path) -> None:
    """Each person's sheet has what stands on its rows, and rows in no sheet are counted."""
    sheets = bob.write_sheets(tmp_path / "split", "asked")
    one = openpyxl.load_workbook(sheets["accepted"])["Review"]
    assert cell(one, 0, "decided_by").value == "Bob"
    (note,) = bob.take(sheets["accepted"]).notes
    assert note.startswith("Rows of the plan that are in none of these sheets: 2")
    assert bob.take(*sheets.values()).notes == ()


def test_a_sheet_older_than_a_decision_is_no_forgery(bob: Review, tmp_path: Path) -> None:
    """A sheet that shows an earlier decision is taken where it decides other rows."""
    old = fill(bob, tmp_path, said(3, "skip", REASON))
    bob.decide([1], "reject", reason="nobody answered")
    bob.decide([2], "skip", reason="later")
    bob.replan()
    assert Review(bob.path, reviewer="Ada").take(old) == 1
    changes = Review(bob.path).changes["decision"]
    assert changes.to_dict() == {0: "reject", 1: "reject", 2: "skip", 3: "skip", 4: "accept"}


def test_a_decision_that_a_sheet_shows_may_be_changed_in_it(bob: Review, tmp_path: Path) -> None:
    """Bob's decision after the plan is no conflict where Ada's sheet shows it, else it is one."""
    ada = Review(bob.path, reviewer="Ada")
    blind = fill(bob, tmp_path, said(2, "reject", REASON))
    seen = fill(bob, tmp_path, said(0, "accept", REASON))
    bob.decide([2], "skip", reason="later")
    assert ada.take(seen) == 1
    with pytest.raises(InputError, match="Bob decided otherwise on"):
        ada.take(blind)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (said(2, '"'), "is no decision"),
        (said(2, "″"), "is no decision"),
        (said(2, "dito", "dito"), "is no decision"),
        (said(2, "skip", "."), "needs a reason that says why"),
        (said(2, "reject", "keine"), "needs a reason that says why"),
        (lambda s: own(s, "Veto", {2: "Anna"}), "reads as another decision"),
        (lambda s: own(s, "Skip?", {2: "x"}), "reads as another decision"),
        (lambda s: own(s, "My decision", {2: "declined"}), "reads as another decision"),
        (lambda s: own(s, "Approved", {4: "no", 5: "yes"}), "reads as another decision"),
        (lambda s: setattr(cell(s, 0, "decided"), "value", "accept"), "is not what was decided"),
        (lambda s: setattr(cell(s, 2, "decided"), "value", "skip"), "is not what was decided"),
        (lambda s: setattr(cell(s, 0, "decided_by"), "value", "Ada"), "is not what was decided"),
        (
            lambda s: setattr(cell(s, 0, "decided"), "font", Font(strike=True)),
            r"\(decided\): .*out",
        ),
    ],
)
def test_what_a_person_writes_is_not_ignored(
    edit: Callable[[Worksheet], None], problem: str, bob: Review, tmp_path: Path
) -> None:
    """Ditto marks, reasons that are none, and other columns that decide are errors with a cell."""
    with pytest.raises(InputError, match=rf"Review![A-Z]+\d+ {problem}"):
        Review(bob.path, reviewer="Ada").take(fill(bob, tmp_path, edit))


def test_a_standing_decision_is_not_cleared_away(bob: Review, tmp_path: Path) -> None:
    """Whoever clears the cell of a decision that was planned expects something of it."""
    bob.replan()

    def clear(sheet: Worksheet) -> None:
        for name in ("decided", "decided_by", "decision_reason"):
            cell(sheet, 0, name).value = None

    with pytest.raises(InputError, match="Review!D2 is not what was decided"):
        Review(bob.path, reviewer="Ada").take(fill(bob, tmp_path, clear))
    bob.decide([0], "")
    assert Review(bob.path, reviewer="Ada").take(fill(bob, tmp_path, clear)) == 0


def test_what_is_not_read_is_said_once(bob: Review, tmp_path: Path) -> None:
    """Columns of one's own, comments, conditional strikes and deleted rows are each one note."""

    def edit(sheet: Worksheet) -> None:
        said(3, "skip", REASON)(sheet)
        own(sheet, "Remarks", {2: "look again", 3: "see ticket"})
        own(sheet, "Skip?", {2: "no", 3: "x"})
        own(sheet, "Empty", {})
        cell(sheet, 2, "decision").comment = Comment("better not", "Ann")
        rule = FormulaRule(formula=["$B2=1"], font=Font(strike=True))
        sheet.conditional_formatting.add("B2:C4", rule)
        sheet.delete_rows(cell(sheet, 5, "key").row)
        sheet["E12"].value = "Ann: reject all of these"
        sheet.parent.create_sheet("Ann")["A1"].value = "reject all"

    ada = Review(bob.path, reviewer="Ada")
    path = fill(bob, tmp_path, edit)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sharekit.review(bob.path, take=path, reviewer="Ada")
    notes = [str(warning.message).removeprefix(f"{path}, Review: ") for warning in caught]
    assert [note[:60] for note in notes] == [
        "only decision and reason are read, and not the columns Remar",
        "rows without a key are not read (12).",
        "comments are not read as decisions (B4).",
        "a conditional format may cross out B2:C4, and such rows are ",
        f"{path}: other sheets are not read (Ann)."[:60],
        "Rows of the plan that are in none of these sheets: 1; what s",
    ]
    assert "Remarks (T), Skip? (U)." in notes[0]
    ada.refresh()
    assert ada.changes["decision"].to_dict() == {0: "reject", 1: "skip", 3: "skip", 4: "accept"}


# -- frames and records ----------------------------------------------------------------------------
def decided(**columns: Any) -> pd.DataFrame:
    """A frame of two decisions by row key."""
    given: dict[str, Any] = {"decision": ["skip", "reject"], "reason": REASON} | columns
    return pd.DataFrame(given, index=pd.Index([2, 3], name="row_key"))


SHARES = {"image_id": IMAGES[2:4], "project_id": PROJECT}
GOOD = {
    "records": [{"row_key": 2, "decision": "skip", "reason": REASON},
                {"row_key": 3, "decision": "reject", "reason": REASON}],
    "records by share": decided(**SHARES).to_dict("records"),
    "tuple of records": tuple(decided(**SHARES).to_dict("records")),
    "generator": (record for record in decided(**SHARES).to_dict("records")),
    "categories": decided().astype("category"),
    "objects": decided().astype(object),
    "index of shares": decided(**SHARES).set_index(["image_id", "project_id"]),
    "missing decision": pd.concat([decided(), decided(decision=None, reason=None).set_axis(
        pd.Index([0, 1], name="row_key"))]),
}  # fmt: skip
BAD = {
    "dict": {"decision": "skip"},
    "keys to words": {2: "skip"},
    "tuples": [(2, "skip", REASON)],
    "lists": [[2, "skip"]],
    "sets": [{2}],
    "mixture": [{"row_key": 2, "decision": "skip", "reason": REASON}, 3],
    "nested": [{"row_key": [2], "decision": "skip", "reason": REASON}],
    "nested decision": [{"row_key": 2, "decision": ["skip"], "reason": REASON}],
    "no row": [{"decision": "skip", "reason": REASON}],
    "empty records": [{}],
    "words": pd.Series(["skip"], index=pd.Index([2], name="row_key"), name="decision"),
    "levels of columns": pd.concat([decided()], axis="columns", keys=["a"]),
    "levels of the index": decided().set_index(pd.MultiIndex.from_tuples([(2, 1), (3, 1)])),
    "index of shares": pd.MultiIndex.from_frame(decided(**SHARES)[["image_id", "project_id"]]),
    "missing key": decided(row_key=[2, None]),
    "numbers": decided(decision=[1, 2]),
    "columns": decided().rename(columns={"decision": "verdict"}),
    "column of numbers": decided().rename(columns={"decision": 0}),
    "labels twice": decided().set_axis(pd.Index([2, 2], name="row_key")),
    "nested IDs": decided(image_id=[[1], [2]], project_id=PROJECT),
    "numbers as IDs": decided(image_id=[1, 2], project_id=PROJECT),
    "no frame": object(),
}


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD)
def test_records_and_frames_decide_alike(given: Any, bob: Review) -> None:
    """A list of dicts is a frame of decisions, whatever its dtypes."""
    assert bob.decide(given) == 2
    assert bob.changes["decision"].loc[[2, 3]].tolist() == ["skip", "reject"]


@pytest.mark.parametrize("labels", [None, pd.Index(list("abcdef"), name="vm"), pd.Index(
    [3, 3, 1, 1, 2, 2], name="ticket"), pd.Index([1.5, 2, 3, 4, 5, 6]), pd.Index(list("aabbcc")),
    pd.date_range("2026-01-01", periods=6, name="day")], ids=str)  # fmt: skip
def test_what_is_no_decision_is_one_sentence(labels: pd.Index | None, tmp_path: Path) -> None:
    """Whatever the caller's index is, the answer is our own error, and nothing is written."""
    rows = shares() if labels is None else shares().set_axis(labels)
    parts = [rows] if rows.index.is_unique else [rows[::2], rows[1::2]]
    inventory = sharekit.read_inventory(*parts)
    plan = sharekit.plan(sharekit.check(inventory), tmp_path / "run.ledger")
    review = Review(plan, reviewer="Bob")
    for name, given in BAD.items():
        for words in ((), ("skip",)):
            with pytest.raises(SharekitError) as caught:
                review.decide(given, *words, reason=REASON if words else None)
            assert len(str(caught.value)) < 600, name
    assert review.decide([{"image_id": IMAGES[2], "project_id": PROJECT, "decision": "skip",
                           "reason": REASON}]) == 1  # fmt: skip
    assert review.decide(decided().iloc[:0]) == 0
