"""The script of the docs and `verify` say the same of ledgers of every kind, fresh and tampered."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sharekit
from sharekit.audits import storage
from sharekit.core.frame_schemas import OUTCOMES
from sharekit.plans import approval
from sharekit.runs import follow_up
from sharekit.simulator import Faults, Simulator
from sharekit.simulator.sample import build_sample, write_workbook
from tests.conftest import FAST
from tests.fuzzing import Book, forge
from tests.reports.test_tampering import (
    by_script,
    byte_in_blob,
    byte_in_event,
    changed,
    cut_off,
    doubled,
    dropped,
    reordered,
)
from tests.runs.torture import offers

pytestmark = pytest.mark.needs("ssh-keygen")
KINDS = ("both sides", "signed and sealed", "retry", "undo", "unfinished", "audit", "listing")
CHANGES = (byte_in_event, byte_in_blob, dropped, doubled, reordered, cut_off)
TIMES = 8
Events = list[list[Any]]


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory, _simulator: Simulator) -> dict[str, Path]:
    """A ledger of each kind, of an inventory of both sides on a cloud with a bad day."""
    folder = tmp_path_factory.mktemp("kinds")
    key = folder / "ada"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]
    subprocess.run(command, check=True)
    sample = build_sample(12, faulty=0.25)
    seed, sheet = offers(sample.seed)
    (folder / "offers.csv").write_text(sheet, encoding="utf-8")
    decisions = write_workbook(sample, folder / "decisions.xlsx")
    _simulator.reset(seed, job_seconds=0.02)
    clouds = sharekit.connect(config_file=_simulator.write_clouds_yaml(folder / "clouds.yaml"))
    inventory = sharekit.read_inventory(decisions, folder / "offers.csv")
    findings = sharekit.check(inventory, clouds)
    paths = {kind: folder / f"{kind}.ledger" for kind in KINDS}

    def carry_out(plan: sharekit.Plan, faults: str = "", sign: Path | None = None) -> None:
        sharekit.approve(plan, reviewer="ada", fingerprint=plan.fingerprint, sign=sign)
        _simulator.set_faults(Faults.parse(faults))
        sharekit.submit(plan, clouds, settings=FAST)
        _simulator.set_faults(Faults())

    sharekit.approve(
        unfinished := sharekit.plan(findings, paths["unfinished"]),
        reviewer="ada", fingerprint=unfinished.fingerprint,
    )  # fmt: skip
    carry_out(sharekit.plan(findings, paths["both sides"]), "job_partial=0.3,cut_after=0.2,seed=4")
    carry_out(follow_up.retry(paths["both sides"], paths["retry"], clouds))
    carry_out(follow_up.undo(paths["both sides"], paths["undo"], clouds))
    again = sharekit.check(inventory, clouds)
    carry_out(sharekit.plan(again, paths["signed and sealed"], chunk_size=3), sign=key)
    approval.seal(paths["signed and sealed"], key)
    storage.save(sharekit.audit(inventory, clouds), paths["audit"])
    storage.save(sharekit.audit(None, clouds), paths["listing"])
    return paths


@pytest.mark.parametrize("kind", KINDS)
def test_of_every_kind(ledgers: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """A ledger of any kind is intact to both, and changed in any way to neither."""
    original, copy, dice = ledgers[kind], tmp_path / "copy.ledger", random.Random(kind)
    assert sharekit.verify(original).problems == ()
    assert by_script(original)
    for change in CHANGES:
        for number in range(TIMES):
            changed(original, copy, change, dice)
            intact = sharekit.verify(copy).intact
            assert by_script(copy) is intact, f"{change.__name__} {number}"
            # What was cut off or put at an open end, or a seal, leaves no trace: the docs say so.
            silent = {"unfinished": (cut_off, doubled), "signed and sealed": (cut_off,)}
            assert not intact or change in silent.get(kind, ()), f"{change.__name__} {number}"


# -- written anew, with hashes that fit ---------------------------------------------------------
def at(events: Events, kind: str) -> int:
    """Where the first event of a kind stands."""
    return next(n for n, (_, name, _) in enumerate(events) if name == kind)


def unapproved(events: Events, _: Book) -> None:
    """The approval was never given."""
    del events[at(events, "approved")]


def revoked(events: Events, _: Book) -> None:
    """The approval was taken back before anything was sent."""
    when, _, told = events[n := at(events, "approved")]
    body = {"reviewer": told["reviewer"], "note": "", "fingerprint": told["fingerprint"]}
    events.insert(n + 1, [when, "approval_revoked", body])


def never_sent(events: Events, book: Book) -> None:
    """A row that a check forbade is called confirmed, and counted so."""
    _call(events, book, "blocked", "confirmed")


def miscounted(events: Events, _: Book) -> None:
    """The counts are not those of the rows."""
    counts = [body for _, kind, body in events if kind == "outcomes_recorded"][-1]["counts"]
    counts["failed"], counts["confirmed"] = counts["failed"] + 1, counts["confirmed"] - 1


def after_the_end(events: Events, _: Book) -> None:
    """Something happens after the run was finished."""
    events.append(events[at(events, "requests_counted")])


def begun_twice(events: Events, _: Book) -> None:
    """The ledger says a second time how it began, and from whom it follows."""
    when, kind, told = events[0]
    followed = {"follows": "0" * 64, "follows_kind": "retry", "follows_ledger": "a.ledger"}
    events.insert(3, [when, kind, {**told, **followed}])


def read_twice(events: Events, _: Book) -> None:
    """The inventory was read a second time."""
    events.insert(3, events[at(events, "inventory_read")])


def beheaded(events: Events, _: Book) -> None:
    """Nobody says how the ledger began."""
    del events[0]


def embellished(events: Events, book: Book) -> None:
    """A row that the cloud refused is called confirmed, and counted so."""
    _call(events, book, "failed", "confirmed")


def _call(events: Events, book: Book, was: str, now: str) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame.index[frame["outcome"] == was][0], "outcome"] = now
        return frame

    book.edit("outcomes_recorded", "blob", OUTCOMES, events, change)
    for kind in ("outcomes_recorded", "finished"):
        for counts in [body["counts"] for _, name, body in events if name == kind][-1:]:
            counts[was], counts[now] = counts[was] - 1, counts[now] + 1


def too_early(events: Events, _: Book) -> None:
    """The run is called finished although a row is pending."""
    counts = [body for _, kind, body in events if kind == "outcomes_recorded"][-1]["counts"]
    counts["pending"], counts["confirmed"] = counts["pending"] + 1, counts["confirmed"] - 1


def planned_anew(events: Events, _: Book) -> None:
    """The plan is made again, and approved, after a request was sent."""
    again = [events[at(events, kind)] for kind in ("planned", "approved")]
    events[at(events, "intent") + 1 : at(events, "intent") + 1] = again


@pytest.mark.parametrize("kind", ["both sides", "signed and sealed"])
@pytest.mark.parametrize(
    "change", [unapproved, revoked, planned_anew, too_early, after_the_end, beheaded,
     begun_twice, read_twice],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_forged(
    ledgers: dict[str, Path], tmp_path: Path, kind: str, change: Callable[[Events, Book], None]
) -> None:
    """What no run does is found although every hash fits; a seal is then that of another head."""
    forge(ledgers[kind], tmp_path / "forged.ledger", change)
    assert not sharekit.verify(tmp_path / "forged.ledger").intact
    assert not by_script(tmp_path / "forged.ledger")


@pytest.mark.parametrize("change", [embellished, never_sent, miscounted])
def test_what_the_program_leaves_out(
    ledgers: dict[str, Path], tmp_path: Path, change: Callable[[Events, Book], None]
) -> None:
    """Whether outcomes follow from what was sent and answered is weighed by `verify` alone."""
    forge(ledgers["both sides"], tmp_path / "forged.ledger", change)
    problems = sharekit.verify(tmp_path / "forged.ledger").problems
    what = "do not follow from the events|impossible outcome|other numbers"
    assert any(re.search(what, text) for _, text in problems), problems
    assert by_script(tmp_path / "forged.ledger")


def test_nothing_is_forged(ledgers: dict[str, Path], tmp_path: Path) -> None:
    """Written anew without a change, a ledger is the very same to both: the forger can write."""
    for kind, path in ledgers.items():
        forge(path, copy := tmp_path / f"{kind}.ledger", lambda *_: None)
        assert sharekit.verify(copy).problems == ()
        assert by_script(copy)
