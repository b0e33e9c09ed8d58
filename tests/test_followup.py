"""Undo and retry: new plans that follow on a run, and change nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import sharekit
from sharekit.errors import PlanError
from sharekit.followup import retry, undo
from sharekit.ledger import Ledger
from sharekit.simulator.faults import Faults
from tests.conftest import FAST, World
from tests.test_cli import said, shell

Make = Callable[..., World]


def finish(plan: sharekit.Plan, w: World) -> sharekit.Run:
    """Approve and submit a plan."""
    sharekit.approve(plan, reviewer="Bob", fingerprint=plan.fingerprint)
    return sharekit.submit(plan, w.connect(), settings=FAST)


def other(status: str) -> str:
    """The opposite decision."""
    return "rejected" if status == "accepted" else "accepted"


def test_undo(world: Make) -> None:
    """What was decided otherwise goes back; what was pending, or has moved since, is named."""
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
    assert (found["rule"] == "undo-moved").sum() == 1
    assert (found["rule"] == "undo-pending").sum() == confirmed - 6
    run = finish(back, w)
    assert run.counts["confirmed"] == 5
    after = w.shown()
    for key in range(1, 6):
        share = tuple(plan.rows.loc[key, ["image_id", "project_id"]])
        assert after[share] == other(before[share])
    with Ledger.open(back.path) as new, Ledger.open(plan.path) as old:
        assert new.events()[0].body["follows"] == old.head
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
        assert new.events()[0].body["follows"] == old.head
    with pytest.raises(PlanError, match="nothing to retry"):
        retry(again.path, w.folder / "third.ledger")
    assert not (w.folder / "third.ledger").exists()


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
