"""What is said of a run while it is under way is never taken back, and waits end when asked."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
import yaml

import sharekit
from sharekit.core.errors import CloudError, CloudRefusedError, SignInError, TokenRefusedError
from sharekit.interfaces.cli.commands.status import exit_code
from sharekit.ledger.ledger import Ledger
from sharekit.runs import submit
from sharekit.runs.status import load_run
from sharekit.simulator import Faults
from tests.conftest import FAST, World

Make = Callable[..., World]
#: What may become of a row whose outcome is this while the run is under way; others: anything.
_MAY_BECOME = {
    "confirmed": {"confirmed"},
    "failed": {"failed", "contradicted"},  # a job that names no images may have done some
    "contradicted": {"contradicted"},
    "claimed": {"claimed", "confirmed", "contradicted"},
}


@pytest.mark.parametrize(
    "faults",
    ["job_partial=0.3,seed=3", "job_fail=0.3,seed=4", "cut_after=0.3,p503=0.2", "lag=0.4",
     "false_success=0.4,seed=5", "no_job_id=0.5", "no_results=1,job_partial=0.2,seed=6"],
)  # fmt: skip
def test_each_state_in_mid_run_and_the_end(world: Make, faults: str) -> None:
    """After each event of a run, what is called confirmed, failed or contradicted ends so."""
    w = world(rows=24)
    plan = w.approved(chunk_size=5)
    w.cloud.set_faults(Faults.parse(faults))
    run = sharekit.submit(plan, w.connect(), settings=replace(FAST, max_failure_rate=1.0))
    with Ledger.open(plan.path) as ledger:
        events = ledger.list_events()
    begun = next(n for n, event in enumerate(events) if event.kind == "submit_started")
    seen = set()
    for event, after in zip(events[begun:], [*events[begun + 1 :], None], strict=True):
        # A refusal and the split that follows it are written together; nobody reads one alone.
        if after and after.kind == "split" and after.body["chunk"] == event.body.get("chunk"):
            continue
        with Ledger.open(plan.path, until=event.hash) as ledger:
            now = load_run(ledger, run.plan).rows["outcome"]
        for outcome, end in set(zip(now, run.rows["outcome"], strict=True)):
            seen.add(outcome)
            assert end in _MAY_BECOME.get(outcome, {end}), f"{outcome} became {end}: {event}"
    assert {"pending", "unknown"} <= seen


def test_a_cloud_that_lags_is_asked_again(world: Make) -> None:
    """A lag beyond the time for reading back contradicts a job until the next call looks again."""
    w = world(rows=12)
    plan = w.approved()
    w.cloud.set_faults(Faults(lag=2.0))
    brief = replace(FAST, read_back_timeout=0.2)
    first = sharekit.submit(plan, w.connect(), settings=brief)
    assert (first.counts["contradicted"], first.finished, first.stopped) == (12, False, "")
    assert sharekit.verify(plan.path).intact
    threading.Event().wait(2.0)
    again = sharekit.submit(plan, w.connect(), settings=brief)
    assert (again.counts["confirmed"], again.finished) == (12, True)
    assert again.requests["submit"] == len(plan.chunks)
    assert sharekit.verify(plan.path).intact


def test_one_project_that_is_shut_out_is_alone(world: Make) -> None:
    """Where a project's sign-in is refused in mid-run, the others finish and are read back."""
    w = world(rows=60)
    plan = w.approved(chunk_size=3)
    clouds, hers = w.connect(), plan.chunks["project_id"].iloc[0]
    original, asked = clouds[hers].transport.call, 0

    def refuse(method: str, url: str, **more: object) -> object:
        nonlocal asked
        asked += method == "PUT"
        if asked > 1:
            more["token"] = "revoked"
        return original(method, url, **more)  # type: ignore[arg-type]

    clouds[hers].transport.call = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(SignInError, match="refuses the token right after signing in"):
        sharekit.submit(plan, clouds, settings=FAST)
    run = sharekit.status(plan.path)
    mine = run.plan.rows["project_id"] == hers
    assert set(run.rows.loc[~mine, "outcome"]) == {"confirmed"}
    assert set(run.rows.loc[mine, "outcome"]) <= {"pending", "unknown", "claimed"}
    assert exit_code(run) == 4
    assert sharekit.verify(plan.path).intact
    again = sharekit.submit(plan, w.connect(), settings=FAST)
    assert (again.counts["confirmed"], again.finished) == (60, True)


def test_a_project_that_is_shut_out_after_a_job_was_accepted(world: Make) -> None:
    """Nobody can tell how the job ended: its rows are unknown, never failed, and say why."""
    w = world(rows=12)
    plan = w.approved()
    clouds = w.connect()
    hers = plan.chunks["project_id"].iloc[0]

    def refuse(*_: object) -> object:
        _shut(clouds, hers, 401)
        raise TokenRefusedError("HTTP401: no role any more")

    clouds[hers].job = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(SignInError, match="no role any more"):
        sharekit.submit(plan, clouds, settings=FAST)
    run = sharekit.status(plan.path)
    mine = run.plan.rows["project_id"] == hers
    assert set(run.rows.loc[mine, "outcome"]) == {"unknown"}
    reasons = run.rows.loc[mine, "reason"]
    assert reasons.str.contains("nobody can ask for the job any more: HTTP401").all()
    assert set(run.rows.loc[~mine, "outcome"]) <= {"confirmed"}
    assert exit_code(run) == 4
    assert sharekit.submit(plan, w.connect(), settings=FAST).counts["confirmed"] == 12
    assert sharekit.verify(plan.path).intact


def _with_wrong_password(w: World, project: str) -> Path:
    """Write a clouds.yaml in which the password of one project's entry is wrong."""
    content = yaml.safe_load(w.config.read_text(encoding="utf-8"))
    for entry in content["clouds"].values():
        if entry["auth"]["project_id"] == project:
            entry["auth"]["password"] = "wrong"
    path = w.folder / "wrong.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _connect_with_one_shut_out(w: World, project: str, how: str) -> sharekit.Clouds:
    """Sign in to clouds of which one refuses the sign-in, or every request after it."""
    if how == "sign-in":
        return sharekit.connect(config_file=_with_wrong_password(w, project))
    clouds = w.connect()
    _shut(clouds, project, int(how))
    return clouds


def _shut(clouds: sharekit.Clouds, project: str, http: int) -> None:
    """Let a project refuse every request."""

    def refuse(*_: object, **more: object) -> object:
        raise CloudRefusedError("no", http=http, code=f"HTTP{http}", retry_after=3_600.0)

    clouds[project].transport.call = refuse  # type: ignore[method-assign,assignment]


#: Refusals that may pass by themselves.
_LATER = ("404", "503")


@pytest.mark.parametrize("how", ["sign-in", "401", "403", *_LATER])
def test_a_project_that_is_shut_out_from_the_start_is_alone(world: Make, how: str) -> None:
    """The rows of a project that nobody can read are blocked in a plan, and wait in a run."""
    w = world(rows=24)
    plan = w.approved(chunk_size=3)
    hers = plan.chunks["project_id"].iloc[0]
    mine = plan.rows["project_id"] == hers
    clouds = _connect_with_one_shut_out(w, hers, how)
    if how in _LATER:  # the service is well, as the other projects show: exit code 3
        sharekit.submit(plan, clouds, settings=FAST)
    else:
        with pytest.raises(CloudError):
            sharekit.submit(plan, clouds, settings=FAST)
    run = sharekit.status(plan.path)
    assert set(run.rows.loc[~mine, "outcome"]) == {"confirmed"}
    assert set(run.rows.loc[mine, "outcome"]) == {"pending"}
    assert set(run.rows.loc[mine, "reason"]) == {run.stopped}
    assert run.stopped
    assert (run.stopped_by, exit_code(run)) == (("", 3) if how in _LATER else ("cloud", 4))
    assert not run.finished
    assert sharekit.verify(plan.path).intact
    findings = sharekit.check(sharekit.read_inventory(w.shares), clouds)
    other = sharekit.plan(findings, w.folder / "other.ledger")
    assert set(other.rows.loc[mine, "disposition"]) == {"blocked"}
    assert "blocked" not in set(other.rows.loc[~mine, "disposition"])
    reasons = findings.frame.loc[findings.frame["rule"] == "not-looked-up", "message"]
    assert reasons.str.contains(run.stopped.split(".")[0], regex=False).all()
    assert len(reasons) == mine.sum()
    assert sharekit.verify(other.path).intact
    audit = sharekit.audit(sharekit.read_inventory(w.shares), clouds)
    assert set(audit.read_errors["project_id"]) == {hers}
    assert not audit.in_sync
    assert "agrees" in set(audit.rows.loc[audit.rows["project_id"] != hers, "result"])
    again = sharekit.submit(plan, w.connect(), settings=FAST)
    assert (again.counts["confirmed"], again.finished) == (24, True)
    assert sharekit.verify(plan.path).intact


def test_where_every_project_is_shut_out_the_cloud_has_refused(world: Make) -> None:
    """Nothing is planned or sent where no project can be signed in to or read."""
    w = world(rows=20)
    plan = w.approved()
    clouds = w.connect()
    for project in clouds:
        _shut(clouds, project, 403)
    with pytest.raises(CloudError):
        sharekit.check(sharekit.read_inventory(w.shares), clouds)
    with pytest.raises(CloudError):
        sharekit.submit(plan, clouds, settings=FAST)
    run = sharekit.status(plan.path)
    assert (run.counts["pending"], run.requests["submit"], exit_code(run)) == (20, 0, 4)
    assert sharekit.verify(plan.path).intact


def test_a_lost_chunk_is_sent_again_in_halves(world: Make) -> None:
    """What a lost request did not bring about goes on in two requests of half its size."""
    w = world(rows=16)
    plan = w.approved(chunk_size=16)
    sizes = plan.chunks["images"].tolist()
    clouds = w.connect()

    def heal(now: sharekit.Progress) -> None:
        if now.phase == "reading back":
            w.cloud.set_faults(Faults())

    with pytest.MonkeyPatch.context() as patch:
        original = submit.take_snapshot

        def take(*args: object, **more: object) -> object:
            snapshot = original(*args, **more)  # type: ignore[arg-type]
            w.cloud.set_faults(Faults(cut_before=1.0))
            return snapshot

        patch.setattr("sharekit.runs.submit.take_snapshot", take)
        run = sharekit.submit(plan, clouds, settings=FAST, progress=heal)
    assert run.counts["confirmed"] == 16
    with Ledger.open(plan.path) as ledger:
        sent = [len(event.body["images"]) for event in ledger.list_events("intent")]
    halves = [half for n in sizes for half in (n // 2, n - n // 2) if half]
    assert sorted(sent) == sorted([*sizes, *halves])


def test_an_hour_on_a_read_is_not_begun(world: Make) -> None:
    """A wait that the cloud asks for while reading has the limit of its cause, and is named."""
    w = world(rows=8)
    plan = w.approved()
    w.cloud.set_faults(Faults(read_503=1.0, retry_after=3_600.0))
    began = monotonic()
    with pytest.raises(CloudError, match="beyond the limit of 60 s for an outage"):
        sharekit.submit(plan, w.connect(), settings=FAST)
    assert monotonic() - began < 45


def test_a_stop_ends_a_wait_while_reading_back(world: Make) -> None:
    """A run that waits for the cloud while it reads shows the wait, and ends when asked to."""
    w = world(rows=8)
    plan, stop, shown = w.approved(), threading.Event(), set()
    began = 0.0

    def watch(now: sharekit.Progress) -> None:
        nonlocal began
        if now.phase == "reading back" and not began:
            began = monotonic()
            w.cloud.set_faults(Faults(read_503=1.0, retry_after=50.0))
        if "until" in now.waiting_for:
            shown.add(now.waiting_for)
            stop.set()

    run = sharekit.submit(plan, w.connect(), settings=FAST, progress=watch, stop=stop)
    assert monotonic() - began < 45
    assert shown
    assert all("HTTP503" in text for text in shown)
    assert (run.stopped_by, run.counts["claimed"]) == ("operator", 8)
    w.cloud.set_faults(Faults())
    assert sharekit.submit(plan, w.connect(), settings=FAST).counts["confirmed"] == 8


@pytest.mark.parametrize("command", ["check", "submit"])
def test_ctrl_c_ends_a_wait(world: Make, command: str) -> None:
    """Ctrl-C in the shell ends a wait of minutes that the cloud asked for, and nothing is lost."""
    w = world(rows=8)
    plan = w.approved()
    w.cloud.set_faults(Faults(read_503=1.0, retry_after=50.0))
    what = w.shares if command == "check" else plan.path
    words = [
        sys.executable,
        "-P",
        "-m",
        "sharekit",
        command,
        str(what),
        "--clouds-yaml",
        str(w.config),
    ]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               cwd=Path(__file__).parents[2])  # fmt: skip
    assert process.stderr is not None
    said = ""
    while "waiting 50.0 s, until" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    began = monotonic()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=40)
    assert monotonic() - began < 40
    assert "HTTP503" in said
    assert "Traceback" not in said + rest
    w.cloud.set_faults(Faults())
    assert sharekit.submit(plan, w.connect(), settings=FAST).counts["confirmed"] == 8
