"""Undo and retry: new plans that follow on a run, and change nothing else."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.core.errors import ApprovalError, LedgerError, PlanError, UsageError
from sharekit.ledger.ledger import Ledger
from sharekit.reports.merged_runs import read_records
from sharekit.reports.run_record import read_record
from sharekit.runs.follow_up import retry, undo
from sharekit.simulator.faults import Faults
from tests.conftest import FAST, REPORTS, World
from tests.interfaces.test_cli import said, shell

Make = Callable[..., World]


def finish(plan: sharekit.Plan, w: World) -> sharekit.Run:
    """Approve and submit a plan."""
    sharekit.approve(plan, reviewer="Bob", fingerprint=plan.fingerprint)
    return sharekit.submit(plan, w.connect(), settings=FAST)


def other(status: str) -> str:
    """The opposite decision."""
    return "rejected" if status == "accepted" else "accepted"


def test_undo(world: Make) -> None:
    """What was decided otherwise goes back; what was pending, or has moved since, is named, also
    what moves between planning and sending; and nothing goes without an approval of its own.
    """  # noqa: D205
    w = world(rows=20)
    rows = sharekit.read_inventory(w.shares).rows
    for key in range(6):  # these had been decided, the other way round
        share = rows.loc[key, ["image_id", "project_id"]].tolist()
        w.cloud.set_share(*share, other(rows.at[key, "status"]))
    plan = w.approved()
    first = sharekit.submit(plan, w.connect(), settings=FAST)
    assert first.rows["outcome"].tolist()[:6] == ["confirmed"] * 6
    before = w.shown()
    moved = first.plan.rows.loc[0, ["image_id", "project_id"]].tolist()
    w.cloud.set_share(*moved, "pending")
    back = undo(plan.path, w.folder / "back.ledger", w.connect())
    found = back.findings.frame
    confirmed = (first.rows["outcome"] == "confirmed").sum()
    assert len(back.rows) == confirmed
    assert back.counts["planned"] == 5
    assert (found["rule"] == "undo-state-changed").sum() == 1
    assert (found["rule"] == "undo-pending").sum() == confirmed - 6
    # A row that cannot go back is as the run left it; that is not called "already so" besides.
    assert found["row_key"].is_unique
    [told] = found.loc[found["rule"] == "undo-state-changed", "message"]
    left = first.plan.rows.at[0, "status"]
    assert told.endswith(f"(the run left it {left}, now it is pending)")
    pending = found[found["rule"] == "undo-pending"]
    assert set(pending["value"]) <= {"accepted", "rejected"}  # what the sheet says, not the cloud
    with pytest.raises(ApprovalError):
        sharekit.submit(back, w.connect(), settings=FAST)
    late = first.plan.rows.loc[5, ["image_id", "project_id"]].tolist()
    w.cloud.set_share(*late, "pending")
    run = finish(back, w)
    changed = int((run.rows["code"] == "undo-state-changed").sum())
    assert (run.counts["confirmed"], changed) == (4, 2)
    after = w.shown()
    assert after[tuple(late)] == after[tuple(moved)] == "pending"
    for key in range(1, 5):
        share = tuple(plan.rows.loc[key, ["image_id", "project_id"]])
        assert after[share] == other(before[share])
    with Ledger.open(back.path) as new, Ledger.open(plan.path) as old:
        assert new.list_events()[0].body["follows"] == old.head
    assert sharekit.verify(back.path).intact


def test_retry(world: Make) -> None:
    """What failed goes into a new plan, linked to the first run by its head, and only that."""
    w = world(rows=30)
    plan = w.approved(chunk_size=5)
    w.cloud.set_faults(Faults.parse("job_partial=0.4,seed=3"))
    first = sharekit.submit(plan, w.connect(), settings=FAST)
    failed = first.rows["outcome"] == "failed"
    w.cloud.set_faults(Faults())
    again = retry(plan.path, w.folder / "again.ledger")
    assert again.rows["image_id"].tolist() == plan.rows.loc[failed, "image_id"].tolist()
    assert again.rows["row"].tolist() == plan.rows.loc[failed, "row"].tolist()
    run = finish(again, w)
    assert run.counts["confirmed"] == failed.sum() > 0
    assert max(w.changed().values()) == 1
    with Ledger.open(again.path) as new, Ledger.open(plan.path) as old:
        assert new.list_events()[0].body["follows"] == old.head
    with pytest.raises(PlanError, match="nothing to retry"):
        retry(again.path, w.folder / "third.ledger")
    assert not (w.folder / "third.ledger").exists()


def test_a_report_over_all_runs(world: Make) -> None:
    """A run, two retries and an undo make one report: a final outcome a row, and who gave it."""
    w = world(rows=30)
    rows = sharekit.read_inventory(w.shares).rows
    for key in range(6):  # these had been decided, the other way round
        share = rows.loc[key, ["image_id", "project_id"]].tolist()
        w.cloud.set_share(*share, other(rows.at[key, "status"]))
    plan = w.approved(chunk_size=5)
    ledgers = [plan.path, w.folder / "again.ledger", w.folder / "third.ledger"]
    w.cloud.set_faults(Faults.parse("job_partial=0.5,seed=3"))
    runs = [sharekit.submit(plan, w.connect(), settings=FAST)]
    for number, before in enumerate(ledgers[:2], 1):
        w.cloud.set_faults(Faults.parse("job_partial=0.5,seed=5") if number == 1 else Faults())
        runs.append(finish(retry(before, ledgers[number]), w))
    first, again, third = (run.rows["outcome"] for run in runs)
    assert (first == "failed").sum() > (again == "failed").sum() > 0
    ledgers.append(w.folder / "back.ledger")
    back = undo(plan.path, ledgers[3], w.connect())
    undone = first.index[:6][first[:6] == "confirmed"]
    assert finish(back, w).counts["confirmed"] == len(undone) > 0
    made = sharekit.report(ledgers[3], *ledgers[:3], *(w.folder / name for name in REPORTS))
    with ExitStack() as stack:
        record = read_records(*(stack.enter_context(Ledger.open(path)) for path in ledgers))
    assert len(record.rows) == len(plan.rows) == sum(record.counts.values())
    wanted = first.where(first != "failed", "confirmed")
    assert record.rows["outcome"].tolist() == wanted.tolist()
    settled = dict(record.runs[["what", "settled"]].to_numpy().tolist())
    assert settled == {
        "first run": (first != "failed").sum() - len(undone),
        "retry of run 1": (again == "confirmed").sum(),
        "retry of run 2": (third == "confirmed").sum(),
        "undo of run 1": len(undone),
    }
    assert sum(settled.values()) == len(plan.rows)
    for key in undone:
        row = record.rows.loc[key]
        assert row["status"] == row["observed"] == other(rows.at[key, "status"])
        assert row["history"] == "1 confirmed; 4 confirmed"
    assert set(record.rows["chunk"]) - {""} <= set(record.chunks["chunk"])
    assert (
        w.shown().items()
        >= {
            (row.image_id, row.project_id): row.observed
            for row in record.rows[record.rows["outcome"] == "confirmed"].itertuples()
        }.items()
    )
    assert sharekit.verify(*ledgers, *made).problems == ()
    page = (w.folder / "audit.html").read_text("utf-8")
    assert all(path.name in page for path in ledgers)
    assert len(sharekit.verify(*ledgers[:3], *made).problems) >= len(made)


def test_a_report_over_runs_that_are_not_linked(world: Make) -> None:
    """Another run, a run twice, and one whose end was cut off make no report, and are named."""
    w = world(rows=8)
    plan = w.approved()
    w.cloud.set_faults(Faults.parse("job_partial=0.6,seed=3"))
    sharekit.submit(plan, w.connect(), settings=FAST)
    again = retry(plan.path, w.folder / "again.ledger")
    apart = sharekit.plan(plan.findings, w.folder / "apart.ledger")
    out = w.folder / "audit.html"
    for ledgers, why in (
        ([plan.path, apart.path], "do not follow on each other"),
        ([plan.path, again.path, again.path], "given twice"),
        ([again.path, apart.path], "another run, or its end was cut off"),
    ):
        with pytest.raises(LedgerError, match=why):
            sharekit.report(*ledgers, out)
        assert not sharekit.verify(*ledgers).intact
    with pytest.raises(UsageError, match="Name the files to write"):
        sharekit.report(plan.path, again.path)
    assert sharekit.verify(plan.path, again.path).intact
    database = sqlite3.connect(plan.path)
    [rule] = database.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'events_no_delete'"
    ).fetchone()
    database.execute("DROP TRIGGER events_no_delete")
    database.execute("DELETE FROM events WHERE kind = 'finished'")
    database.execute(rule)
    database.commit()
    database.close()
    problems = dict(sharekit.verify(again.path, plan.path).problems)
    assert any(where.startswith("run.ledger") for where in problems)
    told = shell("verify", "run.ledger", "again.ledger", cwd=w.folder)
    assert told.returncode == 1
    assert not out.exists()


@pytest.mark.parametrize("native", [True, False])
def test_undo_to_pending(world: Make, native: bool) -> None:
    """Where each project has the native call, what was pending is pending again, as is verified."""
    w = world(rows=8, native_only=native)
    plan = w.approved()
    first = sharekit.submit(plan, w.connect(), settings=FAST)
    was_pending = (first.rows["before"] == "pending") & (first.rows["outcome"] == "confirmed")
    assert was_pending.any()
    back = undo(plan.path, w.folder / "back.ledger", w.connect())
    rule = "undo-to-pending" if native else "undo-pending"
    assert set(back.findings.frame["rule"]) == {rule}
    assert back.counts["planned"] == (was_pending.sum() if native else 0)
    if not native:
        return
    review = sharekit.review(back.path, reviewer="Ada")
    assert set(review.rows["wanted"]) == {"pending"}
    review.decide([0], "skip", reason="this one stays")
    review.replan()
    assert review.plan.counts["planned"] == was_pending.sum() - 1
    assert '"status": "pending"' in review.plan.preview()
    assert set(review.rows["state"]) == {"skipped", "planned"}
    run = finish(review.plan, w)
    assert run.counts["confirmed"] == was_pending.sum() - 1
    assert set(run.rows["observed"]) == {"", "pending"}
    assert sorted(w.shown().values()).count("pending") == was_pending.sum() - 1
    sharekit.report(back.path, w.folder / "back.xlsx", w.folder / "back.html")
    assert sharekit.verify(back.path, w.folder / "back.xlsx").intact


def test_pending_is_no_decision_of_a_workbook(world: Make, tmp_path: Path) -> None:
    """Only an undo sets a share back to pending; the word alone in a column does not."""
    sheet = tmp_path / "s.csv"
    image, project = "d164b5df-1bc3-4c3f-893e-3e471fd16e64", "edc89b490d7d4392898e19b2deb34797"
    sheet.write_text(
        f"image_id,project_id,decision\n{image},{project},pending\n{image},{project},accepted\n"
    )
    findings = sharekit.check(sharekit.read_inventory(sheet))
    assert findings.rows["disposition"].iloc[0] == "blocked"


def test_nothing_to_undo(world: Make) -> None:
    """A run that changed nothing is not undone, and leaves no file."""
    w = world(rows=6)
    plan = w.plan()
    with pytest.raises(PlanError, match="nothing to undo"):
        undo(plan.path, w.folder / "back.ledger", w.connect())
    assert not (w.folder / "back.ledger").exists()


def test_in_the_shell(world: Make) -> None:
    """`undo` exits 1 where rows cannot go back, `retry` 2 where nothing is left."""
    w = world(rows=6)
    sharekit.submit(w.approved(), w.connect(), settings=FAST)
    config = f"--clouds-yaml={w.config}"
    back = shell("undo", "run.ledger", "back.ledger", config, "--json", cwd=w.folder)
    assert back.returncode == 1, back.stderr
    assert said(back)["blocked"] == said(back)["rows"] > 0
    again = shell("retry", "run.ledger", "again.ledger", config, cwd=w.folder)
    assert again.returncode == 2
    assert b"nothing to retry" in again.stderr


def test_a_retry_keeps_the_reviewers_decisions(world: Make) -> None:
    """Retry and undo show who decided otherwise than the inventory, and why; also a second retry,
    whose reviewer may go back to what the inventory holds.
    """  # noqa: D205
    w = world(rows=12)
    plan = w.plan(chunk_size=3)
    planned = plan.rows.index[plan.rows["disposition"] == "planned"]
    [one, two] = planned[plan.rows.loc[planned, "status"] == "accepted"][:2].tolist()
    said_by_sheet = plan.findings.inventory.rows["status"]
    review = sharekit.review(plan.path, reviewer="Bob")
    review.decide([one], "reject", reason="unknown owner")
    review.decide([two], "skip", reason="ask again")
    first_plan = review.replan()
    w.cloud.set_faults(Faults.parse("job_fail=1.0,seed=3"))
    first = finish(first_plan, w)
    assert first.rows.at[one, "outcome"] == "failed"
    assert first.rows.at[two, "reason"] == "left out in the review by Bob: ask again"
    earlier = plan.path
    for name in ("again.ledger", "third.ledger"):
        again = retry(earlier, w.folder / name)
        key = int(again.rows.index[again.rows["image_id"] == plan.rows.at[one, "image_id"]][0])
        assert again.findings.inventory.rows.at[key, "status"] == said_by_sheet[one]
        assert again.rows.at[key, "status"] == "rejected"
        with Ledger.open(again.path) as ledger:
            reviews = read_record(ledger).reviews
            carried = [event.body["carried_from"] for event in ledger.list_events("decided")]
        assert carried == [earlier.name]
        assert reviews[["planned", "decided", "reason", "reviewer"]].to_numpy().tolist() == [
            [said_by_sheet[one], "reject", "unknown owner", "Bob"]
        ]
        if name == "third.ledger":
            w.cloud.set_faults(Faults())
        finish(again, w)
        earlier = again.path
    ledgers = [plan.path, w.folder / "again.ledger", w.folder / "third.ledger"]
    with ExitStack() as stack:
        merged = read_records(*(stack.enter_context(Ledger.open(path)) for path in ledgers))
    assert merged.reviews["run"].tolist() == ["1", "1"]
    made = sharekit.report(*ledgers, *(w.folder / name for name in REPORTS))
    assert sharekit.verify(*ledgers, *made).problems == ()
    back = undo(earlier, w.folder / "back.ledger", w.connect())
    found = back.findings.frame
    [message] = found.loc[found["rule"] == "undo-reviewed", "message"]
    assert message.endswith("(Bob: unknown owner)")


def test_a_retry_can_go_back_to_the_inventory(world: Make) -> None:
    """A crossed-out decision that a reviewer replaced stays an error if the retry drops that."""
    w = world(rows=6)
    findings = sharekit.check(sharekit.read_inventory(w.shares))
    one = int(findings.rows.index[findings.rows["disposition"] == "planned"][0])
    sheet = w.folder / "maybe.csv"
    frame = findings.rows[["image_id", "project_id", "status", "vault_id"]].copy()
    frame.loc[one, "status"] = "perhaps"
    frame.to_csv(sheet, index=False)
    inventory = sharekit.read_inventory(sheet)
    issue = pd.DataFrame(
        {"rule": ["crossed-out"], "field": "status", "value": "perhaps", "detail": "",
         "row_key": one, "source": 0}
    )  # fmt: skip
    issues = pd.concat([inventory.cell_issues, issue]).astype(inventory.cell_issues.dtypes)
    inventory = dataclasses.replace(inventory, cell_issues=issues)
    checked = sharekit.check(inventory, w.connect())
    assert checked.rows.at[one, "disposition"] == "blocked"
    review = sharekit.review(sharekit.plan(checked, w.folder / "one.ledger"), reviewer="Bob")
    review.decide([one], "reject", reason="they said so")
    w.cloud.set_faults(Faults.parse("job_fail=1.0,seed=3"))
    finish(review.replan(), w)
    again = retry(review.path, w.folder / "two.ledger")
    [key] = again.rows.index[again.rows["image_id"] == frame.at[one, "image_id"]]
    assert again.rows.at[key, "disposition"] == "planned"
    second = sharekit.review(again.path, reviewer="Ada")
    second.decide([key], "", reason="no longer")
    assert second.replan().rows.at[key, "disposition"] == "blocked"
    found = second.plan.findings.frame
    assert "crossed-out" in set(found.loc[found["row_key"] == key, "rule"])
