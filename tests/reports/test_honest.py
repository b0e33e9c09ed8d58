"""What is honest is intact: ledgers of every kind, and reports made at every moment of a run."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.audits import storage
from sharekit.core.errors import CloudError, PlanError
from sharekit.ledger.ledger import Ledger
from sharekit.plans.approval import ApprovalRequirement, revoke
from sharekit.plans.decisions import decide, replan, undo
from sharekit.reports.report import write
from sharekit.reports.run_record import read_record
from sharekit.reports.verification.earlier_states import earlier_states
from sharekit.runs import follow_up
from sharekit.runs.submit import RunDriver
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator
from sharekit.simulator.sample import build_sample, write_workbook
from tests.conftest import FAST, REPORTS, World
from tests.runs.torture import offers

FAULTS = (
    "", "job_fail=0.3,job_partial=0.5", "cut_after=0.2", "p503=0.2", "false_success=0.3",
    "cut_after=0.1,job_fail=0.2,read_503=0.1",
)  # fmt: skip


@pytest.fixture
def cloud(_simulator: Simulator) -> Simulator:
    """The simulated cloud, which each example starts afresh."""
    return _simulator


def watch(ledger: Path, over: threading.Event, made: list[Path], problems: list[object]) -> None:
    """Verify a ledger and make reports of it, again and again, until the run is over."""
    while not over.is_set():
        if len(made) < 2 * len(REPORTS):  # each is compared with every state of the run
            path = ledger.with_name(f"{len(made)}-{REPORTS[len(made) % len(REPORTS)]}")
            made += sharekit.report(ledger, path)
        problems += sharekit.verify(ledger).problems
        over.wait(0.2)


def send(plan: sharekit.Plan, clouds: sharekit.Clouds, reviewers: int, *, cut: bool) -> None:
    """Approve and submit; a run that is cut off is stopped once, and then goes on."""
    if not plan.chunks.empty:
        for name in ("Ada", "Bob")[:reviewers]:
            sharekit.approve(plan, reviewer=name, fingerprint=plan.fingerprint)
    demand = ApprovalRequirement(reviewers=reviewers)
    stop = threading.Event()
    for early in (True, False)[not cut :]:
        stop.set() if early else stop.clear()
        with contextlib.suppress(CloudError):
            sharekit.submit(plan, clouds, settings=FAST, demand=demand, stop=stop)


def decide_on(plan: sharekit.Plan, steps: list[str]) -> sharekit.Plan:
    """Take the steps of a review, and plan again."""
    for number, step in enumerate(steps):
        if step == "undo":
            undo(plan, reviewer="Ann")
        elif step == "replan":
            plan = replan(plan)
        else:
            rows = [number % len(plan.rows)]
            decide(plan, rows, decision=step, reason="so", reviewer="Ann")
    return replan(plan)


def send_watched(
    plan: sharekit.Plan, clouds: sharekit.Clouds, reviewers: int, *, cut: bool
) -> list[Path]:
    """Send a plan while somebody verifies and reports all the time; return the reports."""
    over = threading.Event()
    made: list[Path] = []
    problems: list[object] = []
    watcher = threading.Thread(target=watch, args=(plan.path, over, made, problems))
    watcher.start()
    try:
        send(plan, clouds, reviewers, cut=cut)
    finally:
        over.set()
        watcher.join()
    assert problems == []
    return made


def audit_all(
    inventory: sharekit.Inventory, clouds: sharekit.Clouds, earlier: Path | None, folder: Path
) -> None:
    """Audit with and without an inventory; both ledgers and all their reports are intact."""
    for number, audited in enumerate((inventory, None)):
        audit = sharekit.audit(audited, clouds, since=earlier)
        earlier = storage.save(audit, folder / f"audit-{number}.ledger")
        reports = sharekit.report(earlier, *(folder / f"audit-{number}-{r}" for r in REPORTS))
        assert sharekit.verify(earlier, *reports).problems == ()


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.integers(0, 14), faulty=st.sampled_from([0.0, 0.3]), owners=st.booleans(),
    native=st.booleans(), faults=st.sampled_from(FAULTS), size=st.integers(1, 6),
    steps=st.lists(st.sampled_from(["skip", "accept", "undo", "replan"]), max_size=4),
    reviewers=st.integers(1, 2), cut=st.booleans(), follow=st.sampled_from(["", "undo", "retry"]),
    since=st.booleans(), unseen=st.booleans(),
)  # fmt: skip
def test_nothing_honest_is_tampered(
    cloud: Simulator, *, rows: int, faulty: float, owners: bool, native: bool,
    faults: str, size: int, steps: list[str], reviewers: int, cut: bool, follow: str, since: bool,
    unseen: bool,
) -> None:  # fmt: skip
    """No ledger that sharekit made is tampered at any moment, and no report that it made of one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = build_sample(max(rows, 1), faulty=faulty)
        seed, sheet = offers(sample.seed)
        (folder / "offers.csv").write_text(sheet, encoding="utf-8")
        files = [write_workbook(sample, folder / "shares.xlsx")] if rows or not owners else []
        inventory = sharekit.read_inventory(*files, *[folder / "offers.csv"] * owners)
        cloud.reset(seed, job_seconds=0.01, native_only=native)
        clouds = sharekit.connect(config_file=cloud.write_clouds_yaml(folder / "clouds.yaml"))
        findings = sharekit.check(inventory, None if unseen else clouds)
        path = folder / "run.ledger"
        plan = decide_on(sharekit.plan(findings, path, chunk_size=size, planner="Eve"), steps)
        cloud.set_faults(Faults.parse(f"{faults},seed=5" if faults else ""))
        made = send_watched(plan, clouds, reviewers, cut=cut)
        cloud.set_faults(Faults())
        made += sharekit.report(plan, *(folder / report for report in REPORTS))
        assert sharekit.verify(path, *made).problems == ()
        if follow:
            with contextlib.suppress(PlanError):
                again = getattr(follow_up, follow)(path, folder / "next.ledger", clouds)
                send(again, clouds, 1, cut=False)
                assert sharekit.verify(path, again.path).problems == ()
        audit_all(inventory, clouds, path if since else None, folder)


def test_a_csv_of_any_moment_is_told_by_the_ledger(world: Callable[..., World]) -> None:
    """For the csv of each state of a run, few states are searched, and one of them gives it."""
    faults = "job_fail=0.3,job_partial=0.4,cut_after=0.2,seed=3"
    w = world(rows=10, faulty=0.2, faults=faults)
    plan = decide_on(w.plan(chunk_size=4), ["skip", "replan", "skip", "skip"])
    send(plan, w.connect(), 1, cut=True)
    path = plan.path.with_name("outcomes.csv")
    texts: dict[str, bytes] = {}
    with Ledger.open(plan.path) as ledger:
        events = ledger.list_events()
        planned = next(event.seq for event in events if event.kind == "planned")
        for event in events[planned - 1 : -1]:
            with Ledger.open(plan.path, until=event.hash) as past:
                write(read_record(past), path)
            texts[event.hash] = path.read_bytes()
            states = earlier_states(ledger, path)
            assert texts[event.hash] in [texts.get(state) for state in states]
            assert len(states) < len(events) / 3
    assert len(set(texts.values())) > 10


def test_a_plan_that_is_replaced_before_anything_was_sent(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that looked at the clouds and sent nothing is one of the plan of its time."""
    w, stop = world(rows=8), threading.Event()
    plan, clouds = w.approved(chunk_size=4), w.connect()
    with monkeypatch.context() as patch:
        patch.setattr(RunDriver, "_send_canary", lambda _: stop.set())
        sharekit.submit(plan, clouds, settings=FAST, stop=stop)
    revoke(plan, reviewer="Ada")
    plan = decide_on(plan, ["skip", "skip"])
    assert sharekit.verify(plan.path).problems == ()
    send(plan, clouds, 1, cut=False)
    assert sharekit.verify(plan.path).problems == ()
