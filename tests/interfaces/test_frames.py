"""pandas in and out of a review and a run: the caller's own index, columns and decisions."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

import sharekit
from sharekit.audits.policy_check import facts
from sharekit.core.errors import InputError, UsageError
from sharekit.core.fields import FIELDS
from sharekit.core.files import file_names
from sharekit.core.frame_schemas import OUR_COLUMNS, public_names
from sharekit.interfaces.notebook.columns import Columns
from sharekit.interfaces.review import Review
from sharekit.plans.policies.steps import policy_rows
from sharekit.simulator.faults import Faults
from sharekit.spreadsheets.writing.review_sheet import write_review
from tests.conftest import FAST, World

Make = Callable[..., World]
REASON = "the owner left"


@pytest.fixture
def scene(world: Make) -> World:
    """A sample of twenty rows with its cloud."""
    return world(rows=20)


@pytest.fixture
def shares(scene: World) -> pd.DataFrame:
    """The sample's shares in a DataFrame of its own: tickets as index, a team for each row."""
    rows = scene.plan().rows
    frame = rows.loc[rows["disposition"] == "planned", ["image_id", "project_id"]].copy()
    frame["decision"] = "accept"
    frame["team"] = ["Data", "Web"] * (len(frame) // 2) + ["Data"] * (len(frame) % 2)
    frame.index = pd.Index([100 - number for number in range(len(frame))], name="ticket")
    return frame


@pytest.fixture
def review(scene: World, shares: pd.DataFrame, tmp_path: Path) -> Review:
    """A review of the plan of that DataFrame."""
    findings = sharekit.check(sharekit.read_inventory(shares), scene.connect())
    plan = sharekit.plan(findings, tmp_path / "frame.ledger")
    return Review(plan, scene.connect(), reviewer="Ada", settings=FAST)


def test_a_frame_of_decisions_goes_by_the_callers_index(
    review: Review, shares: pd.DataFrame
) -> None:
    """Decisions by the index of the frame that was read reach the rows with these labels."""
    web = shares[shares["team"] == "Web"]
    wanted = web.assign(decision="reject", reason=REASON)[["decision", "reason"]].sample(frac=1)
    assert review.decide(wanted) == len(web)
    decided = review.to_frame()
    assert decided.index.equals(shares.index)
    assert (decided["wanted"] == "reject").equals(shares["team"] == "Web")
    assert review.gate.pending_steps == 0


def test_labels_name_rows_and_keys_stay_keys(review: Review, shares: pd.DataFrame) -> None:
    """Labels, a mask with labels, and keys each reach the rows that they name, and no others."""
    label = shares.index[3]
    review.decide([label], "skip", reason=REASON)
    review.decide(shares["image_id"] == shares["image_id"].iloc[5], "reject", reason=REASON)
    review.decide(review.rows.index[:1], "skip", reason=REASON)
    assert review.changes["decision"].to_dict() == {0: "skip", 3: "skip", 5: "reject"}
    with pytest.raises(UsageError, match="No row"):
        review.decide([3], "skip", reason=REASON)


def lines_of(shares: pd.DataFrame) -> pd.DataFrame:
    """A frame that was sorted, filtered and numbered anew: its index means nothing."""
    lines = shares.sort_values("image_id")[2:].reset_index(drop=True)
    return lines.assign(decision="reject", reason=REASON)


@pytest.mark.parametrize(
    "labels",
    [
        pd.RangeIndex(20), pd.RangeIndex(20, name="line"), pd.RangeIndex(19, -1, -1),
        pd.RangeIndex(0, 40, 2), pd.Index(range(19, -1, -1), name="ticket"),
        pd.Index(range(19, -1, -1), name="row_key"), pd.Index([f"t{n}" for n in range(20)]),
    ],
)  # fmt: skip
def test_an_index_that_only_counts_lines_names_no_rows(
    labels: pd.Index, scene: World, shares: pd.DataFrame, tmp_path: Path
) -> None:
    """Whatever the caller's index is: rows are named by it, by ID or by `to_frame`, or refused."""
    shares = shares.set_axis(labels[: len(shares)], axis="index")
    findings = sharekit.check(sharekit.read_inventory(shares), scene.connect())
    plan = sharekit.plan(findings, tmp_path / "frame.ledger")
    review = Review(plan, scene.connect(), reviewer="Ada")
    lines = lines_of(shares)
    for counted in (
        lines[["decision", "reason"]],
        lines[["decision", "reason"]].head(1),
        lines[["decision", "reason"]][3:5],
        pd.concat([lines, lines.head(2)], ignore_index=True)[["decision", "reason"]],
    ):
        with pytest.raises(UsageError, match=r"image_id and project_id"):
            review.decide(counted)
    web = lines["team"] == "Web"
    numbered = shares.sort_values("image_id").reset_index(drop=True)["team"] == "Web"
    for rows in (web, web[3:5], lines.index[web], numbered, numbered.index[numbered],
                 lines.index[web].to_series()):  # fmt: skip
        with pytest.raises(
            UsageError, match=r"which rows it means|its values or its index|index label|too: use"
        ):
            review.decide(rows, "reject", reason=REASON)
    assert review.changes.empty
    wanted = lines.loc[web, "image_id"].tolist()
    assert review.decide(lines[web].drop(columns="team")) == len(wanted)
    frame = review.to_frame()
    assert sorted(frame.loc[frame["wanted"] == "reject", "image_id"]) == wanted
    chosen = frame[(frame["team"] == "Data").to_numpy()].sort_values("image_id")
    said = chosen.assign(decision="skip", reason="later")[["decision", "reason"]]
    assert review.decide(said) == len(chosen)
    assert (
        review.decide(frame["team"] == "Web", "accept", reason="they stay")
        == (shares["team"] == "Web").sum()
    )
    kept = review.to_frame()
    assert set(kept.loc[kept["team"] == "Data", "wanted"]) == {"skip"}
    assert set(kept.loc[kept["team"] == "Web", "wanted"]) == {"accept"}


def test_decisions_are_written_into_the_frame_of_a_review(review: Review) -> None:
    """The frame takes decisions in place, as the documentation shows, and gives them back."""
    frame = review.to_frame()
    frame.loc[frame["team"] == "Data", ["decision", "reason"]] = "skip", "later"
    review.decide(frame[["decision", "reason"]])
    decided = review.to_frame()
    assert ((decided["wanted"] == "skip") == (decided["team"] == "Data")).all()


def test_a_whole_frame_decides_what_was_written_into_it(review: Review) -> None:
    """A review's frame handed back as a whole decides the edited rows, and nothing else."""
    assert review.decide(review.to_frame()) == 0
    frame = review.to_frame()
    frame.loc[frame["team"] == "Data", ["decision", "reason"]] = "skip", "later"
    data = int((frame["team"] == "Data").sum())
    assert review.decide(frame.sort_values("image_id")) == data
    assert review.decide(review.to_frame()) == 0
    assert review.decide(review.to_frame()[["decision", "reason", "vault_id"]]) == 0
    saved = pd.read_csv(io.StringIO(review.to_frame().to_csv()))
    saved.loc[saved["team"] == "Web", ["decision", "reason"]] = "reject", REASON
    assert review.decide(saved) == len(frame) - data
    with pytest.raises(UsageError, match="The column team differs"):
        review.decide(frame.assign(team="Ops"))


def test_two_rows_of_one_share_are_told_apart_by_label(scene: World, tmp_path: Path) -> None:
    """In a whole frame, each row of a share that comes twice keeps its own decision."""
    rows = scene.plan().rows
    one = rows.loc[rows["disposition"] == "planned", ["image_id", "project_id"]].head(1)
    shares = pd.concat([one, one]).assign(status="accept").set_axis(["a", "b"], axis="index")
    findings = sharekit.check(sharekit.read_inventory(shares))
    review = Review(sharekit.plan(findings, tmp_path / "twice.ledger"), reviewer="Ada")
    frame = review.to_frame()
    frame.loc["b", ["decision", "reason"]] = "skip", "later"
    assert review.decide(frame) == 1
    assert review.changes.index.tolist() == [1]


@pytest.mark.parametrize("name", ["row_key", "ticket"])
@pytest.mark.parametrize("labels", [None, [1, 0], ["a", "b"]])
def test_an_own_column_called_as_the_index_names_no_rows(
    tmp_path: Path, name: str, labels: list[object] | None
) -> None:
    """A column `row_key`, or one with the name that the index has, is never taken for labels."""
    shares = pd.DataFrame({
        "image_id": [f"{n:08x}-0000-0000-0000-000000000000" for n in (1, 2)],
        "project_id": "0a" * 16, "status": "accept", name: [1, 0],
    }, index=None if labels is None else pd.Index(labels, name=name))  # fmt: skip
    findings = sharekit.check(sharekit.read_inventory(shares))
    review = Review(sharekit.plan(findings, tmp_path / "keys.ledger"), reviewer="Ada")
    frame = review.to_frame()
    own = "input.row_key" if name == "row_key" else name
    assert frame[own].tolist() == [1, 0]
    frame.loc[(frame[own] == 1).to_numpy(), ["decision", "reason"]] = "skip", REASON
    assert review.decide(frame[["decision", "reason", own]]) == 1
    assert review.changes.index.tolist() == [0]
    assert review.decide(review.to_frame()) == 0


def test_everything_wrong_in_a_frame_is_named_at_once(review: Review, shares: pd.DataFrame) -> None:
    """Unknown rows, rows twice, words and reasons that lack are one message; nothing is taken."""
    wrong = pd.DataFrame({
        "decision": ["rejectt", "skip", 7, "skip", "skip"],
        "reason": [REASON, None, REASON, REASON, REASON],
    }, index=pd.Index([100, 99, 98, 97, 1], name="ticket"))  # fmt: skip
    wrong = pd.concat([wrong, wrong.iloc[[3]]])
    said = ("'rejectt' is no decision", "^7 ", "label 1", "97 twice", "1 of these rows would be")
    for frame in (wrong, wrong.join(shares[["image_id", "project_id"]]).reset_index(drop=True)):
        with pytest.raises(UsageError) as error:
            review.decide(frame)
        text = str(error.value)
        assert all(
            re.search(one, text) for one in (said if frame is wrong else said[:2] + said[4:])
        )
    assert review.changes.empty


def test_the_frame_that_was_read_is_taken_with_decisions_in_it(tmp_path: Path) -> None:
    """An own column with the name of another fact of ours is the one that was read, or named."""
    shares = pd.DataFrame({
        "image_id": ["00000001-0000-0000-0000-000000000000"], "project_id": "0a" * 16,
        "status": "accept", "asked": "Bob",
    }, index=["vm-1"])  # fmt: skip
    findings = sharekit.check(sharekit.read_inventory(shares))
    review = Review(sharekit.plan(findings, tmp_path / "whole.ledger"), reviewer="Ada")
    decided = shares.assign(decision="skip", reason="later")
    with pytest.raises(UsageError, match="column asked differs"):
        review.decide(decided.assign(asked="Eve"))
    assert review.decide(decided) == 1


def test_a_whole_frame_with_faulty_ids_is_taken_back(tmp_path: Path) -> None:
    """Rows that lack an ID, or have what is none, are handed back with all others."""
    shares = pd.DataFrame({
        "image_id": ["00000001-0000-0000-0000-000000000000", None, "NO ID", "No Id"],
        "project_id": ["0a" * 16, "0a" * 16, None, " X"], "status": "accept",
    }, index=[*"abcd"])  # fmt: skip
    findings = sharekit.check(sharekit.read_inventory(shares))
    review = Review(sharekit.plan(findings, tmp_path / "faulty.ledger"), reviewer="Ada")
    frame = review.to_frame()
    frame.loc[["a", "c"], ["decision", "reason"]] = "skip", "later"
    assert review.decide(frame) == 2
    assert review.changes.index.tolist() == [0, 2]
    assert review.decide(review.to_frame()) == 0


def test_own_columns_are_called_the_same_everywhere(scene: World, tmp_path: Path) -> None:
    """In frames, policies, splits and the panel an own column has `input.` where ours has none."""
    rows = scene.plan().rows
    own = [*sorted(OUR_COLUMNS - {*FIELDS}), "input.asked", "Decision", "team"]
    fields = {name: name for name in ("image_id", "project_id", "status")}
    columns = dict.fromkeys(FIELDS, "") | fields
    bare = rows.loc[rows["disposition"] == "planned", [*fields]].head(2)
    shares = bare.assign(**{name: f"{name} of mine" for name in own})
    clouds = scene.connect()
    made, seen = {}, {}
    for name, frame in (("bare", bare), ("own", shares)):
        inventory = sharekit.read_inventory(frame.reset_index(drop=True), columns=columns)
        plan = sharekit.plan(sharekit.check(inventory, clouds), tmp_path / f"{name}.ledger")
        review, audit = Review(plan, reviewer="Ada"), sharekit.audit(inventory, clouds)
        made[name] = [
            policy_rows(plan), facts(audit.rows, audit.survey), audit.to_frame(),
            plan.findings.to_frame(), plan.to_frame(), review.to_frame(),
            sharekit.status(plan).to_frame(),
        ]  # fmt: skip
        seen[name] = {*review.rows.columns, *(c for one in made[name] for c in one.columns)}
    assert {name for name in seen["bare"] if not name.startswith("input.")} <= OUR_COLUMNS
    shown = public_names(plan.findings.inventory.rows.columns)
    assert {f"input.{name}" for name in own} <= {*shown}
    assert [shown["input.team"], shown["input.Decision"]] == ["team", "Decision"]
    for frame in made["own"]:
        lines = frame.iloc[: len(shares)]
        for name in own:
            assert set(lines[shown[f"input.{name}"]]) == {f"{name} of mine"}, name
    for name in own:
        policy = sharekit.policy("p", when={shown[f"input.{name}"]: f"{name} of mine"}, then="skip")
        assert len(review.apply(policy, record=False).decisions) == len(shares), name
    assert [*review.write_sheets(tmp_path / "sheets", "input.reason")] == ["reason of mine"]
    grid = Columns(review.state)
    titles = [grid.title(name) for name in grid.names()]
    assert len(set(titles)) == len(titles)


def test_what_is_ours_and_what_is_the_inputs_is_said(tmp_path: Path) -> None:
    """Where a name means ours, or nothing here, the sentence names the input's column."""
    shares = pd.DataFrame({
        "image_id": ["00000001-0000-0000-0000-000000000000"], "project_id": "0a" * 16,
        "status": "accept", "asked": "Bob", "outcome": "good",
    })  # fmt: skip
    findings = sharekit.check(sharekit.read_inventory(shares))
    review = Review(sharekit.plan(findings, tmp_path / "said.ledger"), reviewer="Ada")
    (note,) = review.apply(sharekit.policy("p", asked="Bob", then="skip"), record=False).notes
    assert "own column asked is called input.asked" in note
    with pytest.raises(UsageError, match=r"did you mean input\.outcome"):
        review.apply(sharekit.policy("p", outcome="good", then="skip"), record=False)


@pytest.mark.parametrize("make", [list, set, tuple, np.array, lambda rows: range(1, 2)])
def test_numbers_that_are_labels_and_keys_are_refused(
    scene: World, shares: pd.DataFrame, tmp_path: Path, make: Callable[[list[int]], object]
) -> None:
    """A bare number that is one row's label and another row's key names neither of them."""
    shuffled = shares.head(4).set_axis([1, 2, 3, 0], axis="index")
    findings = sharekit.check(sharekit.read_inventory(shuffled), scene.connect())
    review = Review(sharekit.plan(findings, tmp_path / "s.ledger"), reviewer="Ada")
    with pytest.raises(UsageError, match="may be the label of one row and the key of another"):
        review.decide(make([1]), "skip", reason=REASON)
    review.decide(review.rows.index[:1], "skip", reason=REASON)
    review.decide(review.to_frame().index[-1:], "skip", reason=REASON)
    assert review.changes.index.tolist() == [0, 3]


@pytest.mark.parametrize("as_index", [True, False])
def test_a_frame_of_decisions_goes_by_share(
    review: Review, shares: pd.DataFrame, as_index: bool
) -> None:
    """Decisions by image and project reach each row of that share, in either case."""
    wanted = shares.head(2)[["image_id", "project_id"]].assign(decision="skip", reason=REASON)
    wanted["image_id"] = wanted["image_id"].str.upper()
    if as_index:
        wanted = wanted.set_index(["project_id", "image_id"])
    assert review.decide(wanted.reset_index(drop=not as_index)) == 2
    assert review.changes.index.tolist() == [0, 1]


def test_everything_wrong_in_a_frame_is_said_at_once(review: Review, shares: pd.DataFrame) -> None:
    """Each kind of wrong value is named in one error, and nothing of the frame is taken."""
    frame = shares[["decision"]].assign(reason=REASON, vault_id=None).astype("object")
    frame.iloc[0] = ["rejectt", REASON, None]
    frame.iloc[1] = ["reject", 7, None]
    frame.iloc[2] = ["reject", REASON, "no vault"]
    with pytest.raises(UsageError) as caught:
        review.decide(frame)
    for part in ("rejectt", "7 is no text", "no vault"):
        assert part in str(caught.value)
    assert review.changes.empty


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: pd.concat([f, f.head(1)]), "twice"),
        (lambda f: f.rename(index={f.index[-1]: 999}), "999"),
        (lambda f: f.assign(color="red"), "decide nothing"),
        (lambda f: f[[]], "needs a column decision"),
        (lambda f: pd.concat([f, f], axis="columns"), "twice"),
        (lambda f: f.head(1).assign(image_id="x", project_id="y"), "no row with the share"),
    ],
)
def test_what_is_no_frame_of_decisions_is_one_sentence(
    review: Review, shares: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    """A label twice or unknown, an unknown column or share is named, and nothing is taken."""
    frame = shares[[]].assign(decision="skip", reason=REASON)
    with pytest.raises(UsageError, match=said):
        review.decide(change(frame))
    assert review.changes.empty


def test_the_difference_is_shown_before_approval(review: Review, shares: pd.DataFrame) -> None:
    """`diff` counts what is decided otherwise than the inventory, and nothing else."""
    review.decide(shares.index[:3], "reject", reason=REASON)
    review.decide(shares.index[3:5], "accept", reason="as it was")
    lines = review.diff()
    assert lines[["asked", "decision", "reason", "by"]].drop_duplicates().to_numpy().tolist() == [
        ["accepted", "reject", REASON, "Ada"]
    ]
    assert lines["rows"].sum() == 3


def test_results_join_back(review: Review, shares: pd.DataFrame) -> None:
    """A finished run's frame has the caller's index and columns, and types to work with."""
    review.decide(shares.index[:2], "skip", reason=REASON)
    review.replan()
    review.approve("Bob", review.state.phrase)
    sending = review.submit()
    sending.wait()
    frame = review.run.result().to_frame()
    joined = shares.join(frame[["outcome", "observed", "decided_by"]])
    assert joined["outcome"].iloc[:2].tolist() == ["skipped"] * 2
    assert set(joined["outcome"].iloc[2:]) <= {"confirmed", "blocked", "already"}
    assert frame["team"].tolist() == shares["team"].tolist()
    assert frame["input.decision"].tolist() == shares["decision"].tolist()
    assert str(frame["outcome"].dtype) == "category"
    assert str(frame["sent_at"].dtype) == "datetime64[us, UTC]"
    confirmed = frame[frame["outcome"] == "confirmed"]
    assert len(confirmed) > 5
    assert (confirmed["observed_at"] >= confirmed["sent_at"]).all()
    assert frame["sent_at"].iloc[:2].isna().all()
    assert frame["decided_by"].notna().sum() == 2
    frame["outcome"] = "x"
    assert "confirmed" in set(review.run.result().to_frame()["outcome"])


def test_findings_and_plan_have_the_frame_too(review: Review, shares: pd.DataFrame) -> None:
    """The frames of findings and plan have one line for each row, by the caller's index."""
    plan = review.plan
    for frame in (plan.to_frame(), plan.findings.to_frame()):
        assert frame.index.equals(shares.index)
        assert frame["image_id"].tolist() == shares["image_id"].tolist()
    found = plan.findings.frame
    ids = plan.findings.rows[["image_id", "project_id"]].reindex(found["row_key"]).fillna("")
    assert len(found)
    assert found[[*ids]].to_numpy().tolist() == ids.to_numpy().tolist()
    planned = plan.to_frame()
    assert (planned["chunk"].notna() == (planned["disposition"] == "planned")).all()


def test_sheets_of_several_people_are_merged(world: Make, tmp_path: Path) -> None:
    """Sheets of several people count row by row, also one of an earlier plan."""
    scene = world(rows=12)
    review = Review(scene.planned(), scene.connect(), reviewer="Ada", settings=FAST)
    paths = [fill(review, [number], "reject", tmp_path / f"{number}.xlsx") for number in range(3)]
    assert review.take(*paths[:2]) == 2
    assert review.take(paths[2]) == 1
    assert review.changes["decision"].to_dict() == dict.fromkeys(range(3), "reject")


def test_sheets_that_disagree_are_named(world: Make, tmp_path: Path) -> None:
    """A row that two people decide differently is named, and nothing of their sheets is taken."""
    scene = world(rows=12)
    review = Review(scene.planned(), scene.connect(), reviewer="Ada", settings=FAST)
    one = fill(review, [0, 1], "reject", tmp_path / "one.xlsx")
    two = fill(review, [1, 2], "skip", tmp_path / "two.xlsx")
    with pytest.raises(InputError, match="decide differently on"):
        review.take(one, two)
    assert review.changes.empty
    review.take(one)
    review.reviewer = "Bob"
    with pytest.raises(InputError, match="Ada decided otherwise on"):
        review.take(two)
    assert set(review.changes["by"]) == {"Ada"}


def fill(review: Review, keys: list[int], word: str, path: Path) -> Path:
    """Write a review sheet of some rows, decided."""
    write_review(review.rows.loc[keys], path, fingerprint=review.plan.fingerprint)
    sheet = pd.read_excel(path, dtype="str", keep_default_na=False, engine="openpyxl")
    filled = path.with_suffix(".csv")
    sheet.assign(decision=word, reason=REASON).to_csv(filled, index=False)
    return filled


def test_sheets_are_split_by_any_column_and_taken_together(
    review: Review, shares: pd.DataFrame, tmp_path: Path
) -> None:
    """Every row is in the sheet of its own value, and all people's sheets are taken at once."""
    sheets = review.write_sheets(tmp_path / "sheets", "team")
    assert sorted(sheets) == ["Data", "Web"]
    for value, path in sheets.items():
        keys = [number for number, team in enumerate(shares["team"]) if team == value]
        workbook = load_workbook(path)
        rows = workbook["Review"]
        header = next(n for n in range(1, 20) if rows.cell(n, 1).value == "key")
        named = {cell.value for cell in next(rows.iter_rows(min_row=header, max_row=header))}
        assert {"decision", "reason"} <= named
        assert rows.max_row - header == len(keys)
        columns = {cell.value: cell.column for cell in rows[header]}
        rows.cell(header + 1, columns["decision"]).value = "skip"
        rows.cell(header + 1, columns["reason"]).value = REASON
        workbook.save(path)
    assert review.take(*sheets.values()) == 2
    assert review.changes.index.tolist() == [0, 1]
    with pytest.raises(InputError, match="exists already, so no sheet is written"):
        review.write_sheets(tmp_path / "sheets", "team")
    with pytest.raises(UsageError, match="no column 'tean'; did you mean team"):
        review.write_sheets(tmp_path / "more", "tean")
    assert not (tmp_path / "more").exists()


@given(values=st.lists(st.text(max_size=300), unique=True, max_size=12))
def test_names_of_sheets_are_safe_and_their_own(values: list[str]) -> None:
    """Whatever a value is, its file is beside the others, has a name of its own, and no path."""
    names = file_names(values, "review-{}.xlsx")
    assert len({name.casefold() for name in names}) == len(values)
    for name in names:
        assert Path(name).name == name
        assert re.fullmatch(r"review-[\w .()-]+\.xlsx", name)
        assert len(name.encode()) <= 255


def test_what_follows_on_a_frame_has_its_index_and_columns(
    scene: World, shares: pd.DataFrame, review: Review, tmp_path: Path
) -> None:
    """Retry and undo of a run that began with a DataFrame: its labels, names and columns come back
    in their plans, findings, decisions and runs, and one report covers all of it."""  # noqa: D205, D209
    clouds, run = scene.connect(), review.path
    scene.cloud.set_faults(Faults.parse("job_partial=0.5"))
    sharekit.approve(review.plan, reviewer="Bob", fingerprint=review.plan.fingerprint)
    first = sharekit.submit(run, clouds, settings=FAST).to_frame()
    scene.cloud.set_faults(Faults())
    failed = first.index[first["outcome"] == "failed"]
    confirmed = first.index[first["outcome"] == "confirmed"]
    assert min(len(failed), len(confirmed)) > 1
    again = sharekit.retry(run, tmp_path / "again.ledger", clouds)
    sharekit.approve(again, reviewer="Bob", fingerprint=again.fingerprint)
    done = sharekit.submit(again, clouds, settings=FAST)
    back = sharekit.undo(run, tmp_path / "back.ledger", clouds)
    for frame, labels in ((again.to_frame(), failed), (done.to_frame(), failed),
                          (back.to_frame(), confirmed)):  # fmt: skip
        assert frame.index.equals(labels)
        assert frame.index.name == "ticket"
        assert frame["team"].tolist() == shares.loc[labels, "team"].tolist()
    assert done.counts["confirmed"] == len(failed)
    assert shares.join(done.to_frame()["outcome"])["outcome"].count() == len(failed)
    assert set(back.findings.frame["row"]) <= set(confirmed)
    undoing = Review(back, clouds, reviewer="Ada", settings=FAST)
    undoing.decide([confirmed[1]], "skip", reason=REASON)
    assert undoing.to_frame().at[confirmed[1], "decision"] == "skip"
    [report] = sharekit.report(run, again, tmp_path / "both.csv")
    lines = pd.read_csv(report, index_col="row")
    assert set(lines.loc[[*failed, *confirmed], "outcome"]) == {"confirmed"}
    assert lines.index.tolist() == shares.index.tolist()
    assert sharekit.verify(back.path).intact
