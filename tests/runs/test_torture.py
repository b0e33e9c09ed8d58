"""A short torture; `make torture` is the long one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import sharekit
from tests.runs.torture import APIS, KINDS, OF_API, STEPS, Chamber, Tally, chamber, possible

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def room() -> Iterator[Chamber]:
    """A planned run with a cloud of its own."""
    with chamber() as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost(room: Chamber, kind: str) -> None:
    """Hurt in any way, then submitted until done: every row one true outcome, nothing twice."""
    if not possible(kind):
        pytest.skip("not possible here: no right to mount a small disk, or no C compiler")
    tally = Tally()
    for seed in range(len(APIS)):
        assert room.torture(kind, seed, tally) == []
    assert tally.runs == len(APIS)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_step(room: Chamber, step: str) -> None:
    """Killed at a named step: it dies there, and the next calls finish the run truly."""
    tally = Tally()
    # On each way to a cloud where they differ; what they share takes turns.
    seeds = range(len(APIS)) if step in OF_API else [STEPS.index(step)]
    for seed in seeds:
        assert room.torture("step", seed, tally, step=step) == []
    assert tally.struck == len(seeds)


def test_a_violation_is_seen(room: Chamber, tmp_path: Path) -> None:
    """What must never happen does not pass unseen: each of these is really looked at."""
    room.reset("batch")
    run, again = (shutil.copy(room.folder / "batch.ledger", tmp_path / name) for name in "ab")
    assert room._submit(run) == 0
    assert list(room.broken(run)) == []
    unsaid = {"finished", "one outcome a row", "cloud as reported"}
    assert set(room.broken(again)) == unsaid | {"nothing sent without its intent"}
    rows = sharekit.status(run)
    at = rows.plan.rows[rows.rows["outcome"] == "confirmed"].iloc[0]
    room.cloud.set_share(at["image_id"], at["project_id"], "pending")
    assert list(room.broken(run)) == ["cloud as reported"]
    assert room._submit(again) == 0
    twice = {"nothing changed twice", "nothing sent without its intent"}
    assert set(room.broken(run)) == twice
