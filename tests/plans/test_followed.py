"""A plan that follows an earlier run keeps its decisions, and says what would turn one back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.core.errors import LedgerError
from sharekit.interfaces.review import Review
from sharekit.ledger.events import FollowedRun
from sharekit.ledger.ledger import Ledger
from sharekit.plans.plan import read_plan
from sharekit.reports.run_record import read_record
from tests.conftest import FAST, World

IMAGES = [f"d164b5df-1bc3-4c3f-893e-{n:012x}" for n in (0x1A, 0x2F, 0x3B, 0x4D)]
PROJECTS = ["edc89b490d7d4392898e19b2deb34797", "0b1c5e7f9a2d4c6e8f1a3b5c7d9e0f21"]
Rows = list[tuple[int, int, str]]


def findings(folder: Path, rows: Rows, name: str = "shares.csv", **how: bool) -> sharekit.Findings:
    """Findings of a workbook of image, project, status."""
    path = folder / name
    frame = pd.DataFrame(
        [(IMAGES[i], PROJECTS[p], status) for i, p, status in rows],
        columns=["image_id", "project_id", "status"],
    )
    frame.to_csv(path, index=False)
    return sharekit.check(sharekit.read_inventory(path), **how)


@pytest.fixture
def friday(tmp_path: Path) -> Review:
    """Friday's review: one share rejected, one skipped, the last one as the workbook says."""
    rows = [(0, 0, "accepted"), (1, 0, "accepted"), (2, 0, "accepted")]
    plan = sharekit.plan(findings(tmp_path, rows), tmp_path / "friday.ledger")
    review = Review(plan, reviewer="Bob")
    review.decide([0], "reject", reason="the owner is not known")
    Review(plan, reviewer="Eve").decide([1], "skip", reason="ask again")
    review.refresh()
    review.replan()
    return review


def test_decisions_are_carried_over_by_share(friday: Review, tmp_path: Path) -> None:
    """Other rows, in another order and spelling: each share keeps what was decided on it."""
    rows = [(3, 0, "accepted"), (2, 0, "accepted"), (1, 0, "Yes"), (0, 1, "accepted"),
            (0, 0, "accepted")]  # fmt: skip
    plan = sharekit.plan(findings(tmp_path, rows), tmp_path / "monday.ledger", follows=friday.path)
    assert plan.rows["status"].tolist() == ["accepted"] * 4 + ["rejected"]
    assert plan.rows["disposition"].tolist() == ["planned"] * 2 + ["skipped"] + ["planned"] * 2
    assert "reverses-earlier" not in set(plan.findings.frame["rule"])
    review = Review(plan.path, reviewer="Ada")
    assert review.changes.to_dict("index") == {
        2: {"decision": "skip", "reason": "ask again", "vault_id": "", "by": "Eve"},
        4: {"decision": "reject", "reason": "the owner is not known", "vault_id": "", "by": "Bob"},
    }  # fmt: skip
    assert (review.gate.pending_steps, review.gate.undoable_steps) == (0, 0)
    assert read_plan(plan.path).fingerprint == plan.fingerprint
    with Ledger.open(plan.path) as ledger, Ledger.open(friday.path) as earlier:
        created = ledger.last_event("created")
        assert created is not None
        followed = FollowedRun.from_body(created.body)
        assert followed == FollowedRun(earlier.head, "new plan", "friday.ledger")
    assert sharekit.verify(plan.path).intact
    with Ledger.open(plan.path) as ledger:
        record = read_record(ledger)
    assert record.reviews["reviewer"].tolist() == ["Bob", "Eve"]
    assert record.reviews["reason"].tolist() == ["the owner is not known", "ask again"]
    assert "1 row decided by Bob, carried over from friday.ledger" in set(record.timeline["what"])


def test_what_turns_a_decision_back_is_said(friday: Review, tmp_path: Path) -> None:
    """Deciding otherwise warns with the run, the person and the reason, however often it is planned."""  # noqa: E501
    plan = sharekit.plan(
        findings(tmp_path, [(0, 0, "accepted"), (1, 0, "accepted")]),
        tmp_path / "monday.ledger", follows=str(friday.path),
    )  # fmt: skip
    review = Review(plan, reviewer="Ada")
    for decision in ("accept", ""):
        review.decide([0, 1], decision, reason="they said who they are")
        review.replan()
        warnings = review.plan.findings.frame.set_index("row_key")
        assert warnings["rule"].tolist() == ["reverses-earlier"] * 2
        assert warnings["severity"].tolist() == ["warning"] * 2
        assert warnings.at[0, "message"].endswith(
            "(friday.ledger: rejected, by Bob: the owner is not known)"
        )
        assert warnings.at[1, "message"].endswith(
            "(friday.ledger: left as it is, by Eve: ask again)"
        )
    assert sharekit.verify(plan.path).intact


def test_decisions_outlive_a_run_without_their_share(friday: Review, tmp_path: Path) -> None:
    """What Friday decided still holds on Tuesday, although Monday's workbook lacked the share."""
    sharekit.plan(
        findings(tmp_path, [(2, 0, "accepted")]), tmp_path / "monday.ledger", follows=friday.path
    )
    plan = sharekit.plan(
        findings(tmp_path, [(0, 0, "accepted")]), tmp_path / "tuesday.ledger",
        follows=tmp_path / "monday.ledger",
    )  # fmt: skip
    assert plan.rows["status"].tolist() == ["rejected"]
    review = Review(plan, reviewer="Ada")
    review.decide([0], "accept", reason="now it is known")
    review.replan()
    (message,) = review.plan.findings.frame["message"]
    assert message.endswith("(friday.ledger: rejected, by Bob: the owner is not known)")


def test_a_plan_that_was_never_sent_hides_no_earlier_decision(
    friday: Review, tmp_path: Path
) -> None:
    """Monday's reviewer went back to the workbook and sent nothing: Friday's decision is still said."""  # noqa: E501
    rows: Rows = [(0, 0, "accepted")]
    plan = sharekit.plan(findings(tmp_path, rows), tmp_path / "monday.ledger", follows=friday.path)
    review = Review(plan, reviewer="Ada")
    review.decide([0], "", reason="as the workbook says")
    review.replan()
    plan = sharekit.plan(findings(tmp_path, rows), tmp_path / "tuesday.ledger", follows=plan.path)
    assert plan.rows["status"].tolist() == ["accepted"]
    (message,) = plan.findings.frame["message"]
    assert message.endswith("(friday.ledger: rejected, by Bob: the owner is not known)")


def test_a_settled_conflict_stays_settled(tmp_path: Path) -> None:
    """One of two rows was left out: the same row is left out again, and the other one is sent."""
    rows: Rows = [(0, 0, "accepted"), (0, 0, "rejected")]
    review = Review(sharekit.plan(findings(tmp_path, rows), tmp_path / "one.ledger"))
    review.decide([1], "skip", reason="the other row is right")
    review.replan()
    plan = sharekit.plan(
        findings(tmp_path, rows[::-1]), tmp_path / "two.ledger", follows=review.path
    )
    assert plan.rows["disposition"].tolist() == ["skipped", "planned"]
    assert plan.rows["status"].tolist()[1] == "accepted"
    assert "reverses-earlier" not in set(plan.findings.frame["rule"])


def test_a_workbook_that_says_otherwise(friday: Review, tmp_path: Path) -> None:
    """Where the new workbook asks otherwise, the decision of a person still holds, and is shown."""
    plan = sharekit.plan(
        findings(tmp_path, [(1, 0, "rejected"), (0, 0, "rejected")]),
        tmp_path / "monday.ledger", follows=friday.path,
    )  # fmt: skip
    assert plan.rows["disposition"].tolist() == ["skipped", "planned"]
    assert Review(plan).changes["decision"].to_dict() == {0: "skip", 1: "reject"}


def test_the_other_side_of_a_share_is_another_matter(tmp_path: Path) -> None:
    """What an owner decided on a share does not decide for the project, nor the other way round."""
    review = Review(
        sharekit.plan(findings(tmp_path, [(0, 0, "accepted")]), tmp_path / "one.ledger")
    )
    review.decide([0], "skip", reason="x")
    plan = sharekit.plan(
        findings(tmp_path, [(0, 0, "share")]), tmp_path / "two.ledger", follows=review.path
    )
    assert Review(plan).changes.empty


def test_a_run_that_was_sent_counts_with_its_workbook(world: Callable[..., World]) -> None:
    """What an approved workbook decided is not turned back without a word, nor carried over."""
    scene = world(rows=12)
    first = scene.approved()
    sharekit.submit(first, scene.connect(), settings=FAST)
    inventory = sharekit.read_inventory(scene.shares)
    rows = inventory.rows
    other = {"accepted": "rejected", "rejected": "accepted"}
    changed = rows["status"].str.lower().isin(["accepted"])
    sheet = rows[["image_id", "project_id", "status", "vault_id"]].copy()
    sheet.loc[changed, "status"] = other["accepted"]
    sheet.to_csv(scene.folder / "turned.csv", index=False)
    found = sharekit.check(sharekit.read_inventory(scene.folder / "turned.csv"), scene.connect())
    plan = sharekit.plan(found, scene.folder / "second.ledger", follows=first)
    turned = plan.findings.frame[plan.findings.frame["rule"] == "reverses-earlier"]
    assert turned["row_key"].tolist() == rows.index[changed].tolist()
    row = rows.loc[turned["row_key"].iloc[0], "row"]
    told = f"by Ada, who approved its inventory: so says row {row} of {scene.shares})"
    assert turned["message"].iloc[0].endswith(f"({first.path.name}: accepted, {told}")
    assert Review(plan).changes.empty
    same = sharekit.plan(
        sharekit.check(inventory, scene.connect()), scene.folder / "third.ledger", follows=first
    )
    assert "reverses-earlier" not in set(same.findings.frame["rule"])
    sharekit.submit(same, scene.connect(), settings=FAST)
    last = sharekit.plan(found, scene.folder / "fourth.ledger", follows=same)
    turned = last.findings.frame[last.findings.frame["rule"] == "reverses-earlier"]
    assert turned["message"].iloc[0].endswith(f"({first.path.name}: accepted, {told}")


def test_the_run_that_decided_first_is_named(friday: Review, tmp_path: Path) -> None:
    """What Monday only kept was Friday's decision; what Tuesday decided anew is Tuesday's."""
    rows: Rows = [(0, 0, "accepted"), (1, 0, "accepted")]
    path = friday.path
    for day in ("monday", "tuesday", "wednesday"):
        plan = sharekit.plan(findings(tmp_path, rows), tmp_path / f"{day}.ledger", follows=path)
        review, path = Review(plan, reviewer="Ada"), plan.path
        if day == "tuesday":
            review.decide([1], "skip", reason="still no answer")
            review.replan()
    review.decide([0, 1], "accept", reason="they are known by now")
    review.replan()
    messages = review.plan.findings.frame.set_index("row_key")["message"]
    assert messages[0].endswith("(friday.ledger: rejected, by Bob: the owner is not known)")
    assert messages[1].endswith("(tuesday.ledger: left as it is, by Ada: still no answer)")


def test_strict_blocks_what_turns_back(friday: Review, tmp_path: Path) -> None:
    """With strict checks nobody turns a decision back."""
    plan = sharekit.plan(
        findings(tmp_path, [(0, 0, "accepted")], strict=True), tmp_path / "monday.ledger",
        follows=friday.path,
    )  # fmt: skip
    review = Review(plan)
    review.decide([0], "accept", reason="x")
    assert review.replan().rows["disposition"].tolist() == ["blocked"]


def test_the_command_carries_decisions_over(friday: Review, tmp_path: Path) -> None:
    """`plan --follows` says how many decisions hold; what is no run is refused in a sentence."""
    findings(tmp_path, [(0, 0, "accepted")], "monday.csv")
    command = [sys.executable, "-m", "sharekit", "plan", "monday.csv", "monday.ledger", "--follows"]
    done = subprocess.run(
        [*command, "friday.ledger", "--json"], cwd=tmp_path, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["carried"] == 1
    command[5] = "again.ledger"
    done = subprocess.run(
        [*command, "monday.ledger"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "1 row decided in the review of monday.ledger" in done.stdout
    command[5] = "other.ledger"
    done = subprocess.run(
        [*command, "monday.csv"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert not (tmp_path / "other.ledger").exists()
    with pytest.raises(LedgerError):
        sharekit.plan(findings(tmp_path, [(0, 0, "accepted")]), tmp_path / "x", follows="none")
