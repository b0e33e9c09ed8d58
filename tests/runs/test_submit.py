"""An approved plan is carried out whatever the cloud does, and every row ends in one outcome."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import yaml

import sharekit
from sharekit.core.errors import ApprovalError, LedgerError, SharekitError, UsageError
from sharekit.interfaces.cli import output
from sharekit.interfaces.cli.commands.status import exit_code
from sharekit.ledger.ledger import Ledger
from sharekit.runs import submit
from sharekit.simulator.faults import Faults
from tests.conftest import FAST, World

Make = Callable[..., World]


def joined(run: sharekit.Run) -> pd.DataFrame:
    """Rows with what was asked and what came of it."""
    return pd.concat([run.plan.rows.drop(columns="before"), run.rows], axis="columns")


def assert_true_to(world: World, run: sharekit.Run) -> None:
    """What the report calls confirmed is what the cloud itself says, and nothing changed twice."""
    shown, rows = world.shown(), joined(run)
    good = rows[rows["outcome"].isin(["confirmed", "already"])]
    for image, project, status in zip(
        good["image_id"], good["project_id"], good["status"], strict=True
    ):
        assert shown[image, project] == status
    assert max(world.changed().values(), default=0) <= 1
    confirmed = rows[rows["outcome"] == "confirmed"]
    changed = {share for share, times in world.changed().items() if times}
    assert set(zip(confirmed["image_id"], confirmed["project_id"], strict=True)) == changed
    assert sum(run.counts.values()) == len(world.sample.sheet)


@contextmanager
def turning(world: World, faults: str) -> Iterator[None]:
    """Let the cloud turn bad after the last look, just before the first request."""
    original = submit.take_snapshot

    def take(*args: Any, **kwargs: Any) -> Any:
        seen = original(*args, **kwargs)
        world.cloud.set_faults(Faults.parse(faults))
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sharekit.runs.submit.take_snapshot", take)
        yield


def test_road(world: Make) -> None:
    """Every kind of row of the sample ends in the outcome that its maker expects of it."""
    w = world(rows=300, faulty=0.3)
    plan = w.approved(chunk_size=20)
    run = sharekit.submit(plan, w.connect(), settings=FAST)
    assert run.finished
    assert run.rows["outcome"].tolist() == w.sample.expected["outcome"].tolist()
    assert_true_to(w, run)


def test_nothing_is_sent_without_approval(world: Make) -> None:
    """Submitting a plan that nobody approved is refused, and the cloud sees no change."""
    w = world(rows=10)
    plan = w.plan()
    with pytest.raises(ApprovalError, match="not approved"):
        sharekit.submit(plan, w.connect(), settings=FAST)
    assert w.cloud.state()["log"] == []


def test_intent_comes_first(world: Make) -> None:
    """Each request that the cloud saw has an intent before it, with exactly its images."""
    w = world(rows=40)
    run = sharekit.submit(w.approved(chunk_size=7), w.connect(), settings=FAST)
    with Ledger.open(run.path) as book:
        intents = [e.body["images"] for e in book.list_events("intent")]
    assert sorted(intents) == sorted(line["images"] for line in w.cloud.state()["log"])


def test_sent_as_previewed(world: Make) -> None:
    """The preview shows the very requests that the cloud then receives."""
    w = world(rows=40)
    plan = w.approved(chunk_size=7)
    shown = [r["body"]["images"] for r in plan.requests()]
    sharekit.submit(plan, w.connect(), settings=FAST)
    assert sorted(shown) == sorted(line["images"] for line in w.cloud.state()["log"])


@pytest.mark.parametrize(
    "faults",
    ["p503=0.3", "p500=0.3", "p429=0.3,retry_after=0", "flow_control=0.4",
     pytest.param("cut_before=0.3", marks=pytest.mark.slow),
     "cut_after=0.4", "garbage=0.3", "no_results=1", "token_uses=10"],
)  # fmt: skip
def test_passing_faults_cost_nothing(world: Make, faults: str) -> None:
    """A passing fault of any kind, however frequent, leaves every row confirmed."""
    w = world(rows=60)
    plan = w.approved(chunk_size=5)
    # A read has as much patience as a request: two of five responses may be lost.
    entries = yaml.safe_load(w.config.read_text())
    for entry in entries["clouds"].values():
        entry.setdefault("sharekit", {})["read_attempts"] = 20
    w.config.write_text(yaml.safe_dump(entries))
    w.cloud.set_faults(Faults.parse(faults))
    run = sharekit.submit(plan, w.connect(), settings=replace(FAST, attempts=40, resend_rounds=20))
    assert (w.cloud.state()["unauthorised"] > 0) == faults.startswith("token")
    assert run.counts["confirmed"] == 60
    assert run.finished
    assert_true_to(w, run)


@pytest.mark.slow
def test_lost_answer_is_not_resent_blindly(world: Make) -> None:
    """After a lost answer the same images are sent again only once they were read back."""
    w = world(rows=60)
    plan = w.approved(chunk_size=3)
    w.cloud.set_faults(Faults.parse("cut_after=0.3,cut_before=0.2"))
    clouds = w.connect()
    for cloud in clouds.values():
        cloud.transport.read_attempts = 40  # what is looked at here are the changing calls
    run = sharekit.submit(plan, clouds, settings=replace(FAST, resend_rounds=20))
    with Ledger.open(run.path) as book:
        events = book.list_events("response_lost", "read_back", "intent")
    lost: set[str] = set()
    assert any(event.kind == "response_lost" for event in events)
    for event in events:
        if event.kind == "intent":
            assert not lost.intersection(event.body["images"])
        elif event.kind == "read_back":
            lost.clear()
        else:
            lost.update(run.request_log.requests[event.body["chunk"]].block.images)
    assert run.counts["confirmed"] == 60
    assert_true_to(w, run)


def test_one_bad_image_fails_alone(world: Make) -> None:
    """An image withdrawn after the last look fails by itself; its chunk's others are confirmed."""
    w = world(rows=40)
    plan = w.approved(chunk_size=50)
    victim = plan.rows.iloc[3]
    clouds = w.connect()
    original = submit.take_snapshot

    def take_then_delete(*args: object, **kwargs: object) -> object:
        seen = original(*args, **kwargs)  # type: ignore[arg-type]
        w.cloud.delete_image(victim["image_id"])
        return seen

    with pytest.MonkeyPatch.context() as patch:
        # The share must vanish between the last look and the request: no server can time that.
        patch.setattr("sharekit.runs.submit.take_snapshot", take_then_delete)
        run = sharekit.submit(plan, clouds, settings=FAST)
    assert run.counts["failed"] == 1
    assert run.counts["confirmed"] == 39
    failed = run.rows[run.rows["outcome"] == "failed"].iloc[0]
    assert failed.name == 3
    assert failed["code"].startswith("IMG.")
    assert failed["reason"]


def test_seen_gone_before_sending(world: Make) -> None:
    """A share withdrawn since the plan is blocked by the last look and never sent."""
    w = world(rows=10)
    plan = w.approved()
    gone = plan.rows.iloc[0]["image_id"]
    w.cloud.delete_image(gone)
    run = sharekit.submit(plan, w.connect(), settings=FAST)
    assert run.rows.iloc[0][["outcome", "code"]].tolist() == ["blocked", "not-shared"]
    assert all(gone not in line["images"] for line in w.cloud.state()["log"])
    assert not run.succeeded


def test_moved_since_the_plan(world: Make) -> None:
    """A row that became so meanwhile is already; one that moved otherwise is named and sent."""
    w = world(rows=10)
    plan = w.approved()
    rows = plan.rows
    w.cloud.set_share(rows.at[0, "image_id"], rows.at[0, "project_id"], rows.at[0, "status"])
    other = "rejected" if rows.at[1, "status"] == "accepted" else "accepted"
    w.cloud.set_share(rows.at[1, "image_id"], rows.at[1, "project_id"], other)
    run = sharekit.submit(plan, w.connect(), settings=FAST)
    assert run.rows["outcome"].tolist()[:2] == ["already", "confirmed"]
    assert run.changed_since_plan.index.tolist() == [0, 1]
    assert run.rows.at[1, "before"] == other


def test_partly_failing_job(world: Make) -> None:
    """Images that a job names as failed are failed with its reason; the others are confirmed."""
    w = world(rows=60)
    plan = w.approved(chunk_size=10)
    w.cloud.set_faults(Faults.parse("job_partial=0.3,seed=3"))
    run = sharekit.submit(plan, w.connect(), settings=FAST)
    assert run.counts["failed"] > 0
    assert run.counts["failed"] + run.counts["confirmed"] == 60
    assert (run.rows.loc[run.rows["outcome"] == "failed", "reason"] != "").all()
    assert_true_to(w, run)


def test_failing_job_ends_failed(world: Make) -> None:
    """When every job fails, every row is failed with a reason and none is claimed otherwise."""
    w = world(rows=12)
    plan = w.approved(chunk_size=4)
    w.cloud.set_faults(Faults.parse("job_fail=1"))
    run = sharekit.submit(plan, w.connect(), settings=replace(FAST, attempts=2))
    assert run.counts["failed"] == 12
    assert (run.rows["reason"] != "").all()
    assert run.finished


def test_a_lie_is_contradicted(world: Make) -> None:
    """A job that says success while nothing changed is contradicted, at last by a second look."""
    w = world(rows=8)
    plan = w.approved()
    w.cloud.set_faults(Faults.parse("false_success=1"))
    run = sharekit.submit(plan, w.connect(), settings=FAST)
    assert run.counts["contradicted"] == 8
    assert not run.finished
    assert exit_code(run) == 1
    run = sharekit.submit(plan, w.connect(), settings=FAST)
    assert len(w.cloud.state()["log"]) == len(plan.chunks)
    assert (run.counts["contradicted"], run.finished) == (8, True)
    assert set(run.rows["claimed"]) == {"success"}
    assert set(run.rows["observed"]) == {"pending"}
    assert set(run.rows["reason"]) == {
        "the job reported success, but the cloud shows a different state"
    }


@pytest.mark.slow
def test_job_that_never_ends(world: Make) -> None:
    """A job that never ends leaves its rows unknown; the next call sends each again, in halves."""
    w = world(rows=8)
    plan = w.approved()
    w.cloud.set_faults(Faults.parse("job_hang=1"))
    impatient = replace(FAST, job_timeout=0.3)
    run = sharekit.submit(plan, w.connect(), settings=impatient)
    assert run.counts["unknown"] == 8
    assert not run.finished
    assert len(w.cloud.state()["log"]) == len(plan.chunks)
    again = sharekit.submit(plan, w.connect(), settings=impatient)
    assert again.counts["unknown"] == 8
    log = w.cloud.state()["log"]
    sent = Counter((p, image) for e in log for p in e["projects"] for image in e["images"])
    assert len(sent) == 8
    assert set(sent.values()) == {2}
    w.cloud.set_faults(Faults())
    last = sharekit.submit(plan, w.connect(), settings=impatient)
    assert last.counts["confirmed"] == 8
    assert last.finished
    assert_true_to(w, last)


def test_late_job_that_ended_after_all(world: Make) -> None:
    """A job that was late but did its work is settled by reading back; nothing is sent again."""
    w = world(rows=8, job_seconds=0.6)
    plan = w.approved()
    slow = replace(FAST, job_timeout=0.05, read_back_delay=0.0, read_back_timeout=0.0)
    run = sharekit.submit(plan, w.connect(), settings=slow)
    assert run.counts["unknown"] > 0
    again = sharekit.submit(plan, w.connect(), settings=replace(FAST, read_back_timeout=3.0))
    assert again.counts["confirmed"] == 8
    assert len(w.cloud.state()["log"]) == len(plan.chunks)
    assert_true_to(w, again)


@pytest.mark.parametrize(
    ("faults", "settings", "why"),
    [("max_concurrent=2,latency=0.1", FAST, "the cloud is busy (HTTP429)"),
     ("flow_control=0.8", FAST, "the cloud is busy (IMG.0060)"),
     ("latency=0.05,latency_per_request=0.15", FAST, "a response took longer than 0.333 s"),
     ("", replace(FAST, job_timeout=6), "a job took longer than 2 s")],
)  # fmt: skip
def test_a_slow_cloud_slows_the_run(
    world: Make, faults: str, settings: sharekit.Settings, why: str
) -> None:
    """A cloud that turns slow or busy gets fewer requests at once, which is said; no row fails."""
    w = world(rows=60, job_seconds=0.02 if faults else 3.0)
    plan = w.approved(chunk_size=2)
    config = yaml.safe_load(w.config.read_text())
    for cloud in config["clouds"].values():
        cloud["sharekit"] = {**cloud.get("sharekit", {}), "read_timeout": 1.0}
    w.config.write_text(yaml.safe_dump(config))
    told: set[str] = set()
    with turning(w, faults):
        run = sharekit.submit(
            plan,
            w.connect(),
            settings=settings,
            progress=lambda now: told.add(now.throttled_because),
        )
    assert run.finished
    assert run.counts["confirmed"] == 60
    assert any(words.endswith(why) for words in told), told
    assert_true_to(w, run)


def test_a_busy_cloud_fails_no_row(world: Make) -> None:
    """A cloud that stays busy for longer than patience stops the run; its rows stay pending."""
    w = world(rows=8, faults="flow_control=1")
    plan = w.approved(chunk_size=2)
    run = sharekit.submit(plan, w.connect(), settings=replace(FAST, busy_timeout=0.3))
    assert run.counts["pending"] == 8
    assert "beyond the limit of 0.3 s for flow control" in run.stopped
    w.cloud.set_faults(Faults())
    assert sharekit.submit(plan, w.connect(), settings=FAST).counts["confirmed"] == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults", ["p503=1", "p500=1", "cut_before=1", "cut_after=1,false_success=1"]
)
def test_a_cloud_that_is_down_stops_the_run(world: Make, faults: str) -> None:
    """A cloud that fails everything stops the run early, with the reason, and no row fails."""
    w = world(rows=300)
    plan = w.approved(chunk_size=1)
    clouds = w.connect()
    with turning(w, faults):
        try:
            run = sharekit.submit(
                plan, clouds, settings=replace(FAST, outage_timeout=0.0, attempts=4)
            )
        except SharekitError:  # reading back fails as well
            run = sharekit.status(plan)
    assert run.requests["submit"] < 150
    assert run.counts["failed"] == 0
    assert not run.finished
    assert run.stopped
    w.cloud.set_faults(Faults())
    assert sharekit.submit(plan, clouds, settings=FAST).counts["confirmed"] == 300
    assert max(w.changed().values()) == 1


def test_canary(world: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """The first chunk goes alone; when it is not confirmed nothing else goes, and it says why."""
    w = world(rows=40)
    plan = w.approved(chunk_size=5)
    w.cloud.set_faults(Faults.parse("false_success=1"))
    careful = replace(FAST, canary=1)
    run = sharekit.submit(plan, w.connect(), settings=careful)
    assert len(w.cloud.state()["log"]) == 1
    assert run.counts["pending"] == 40 - len(w.cloud.state()["log"][0]["images"])
    assert "the canary" in run.stopped
    assert run.stopped_by == "canary"
    output.show_run(run)
    assert "Find out why first" in capsys.readouterr().out
    w.cloud.set_faults(Faults())
    again = sharekit.submit(plan, w.connect(), settings=careful)
    assert again.finished
    assert again.counts["pending"] == 0


def test_no_right_stops_that_project_only(world: Make) -> None:
    """HTTP 403 fails the rows of its project, with the code, and the other projects go on."""
    w = world(rows=60)
    plan = w.approved(chunk_size=5)
    clouds = w.connect()
    project = plan.chunks["project_id"].iloc[0]
    reader = w.cloud.clouds_yaml(user="reader")
    (w.folder / "reader.yaml").write_text(reader)
    name = clouds[project].name
    only_reading = sharekit.connect(name, config_file=w.folder / "reader.yaml")
    mixed = sharekit.Clouds({**clouds, project: only_reading[project]})
    run = sharekit.submit(plan, mixed, settings=FAST)
    rows = joined(run)
    hers = rows["project_id"] == project
    assert set(rows.loc[hers, "outcome"]) == {"failed"}
    assert set(rows.loc[hers, "code"]) <= {"IMG.0026", "HTTP403"}
    assert set(rows.loc[~hers, "outcome"]) == {"confirmed"}


@pytest.mark.parametrize(("fault", "why"), [
    ("forbid_members", "HTTP403"), ("hide_members", "several states"), ("broken_images", "HTTP500"),
])  # fmt: skip
def test_what_could_not_be_read_back_says_why(world: Make, fault: str, why: str) -> None:
    """What no look showed has the reason in status, frames and reports, and `find` knows it."""
    w = world(rows=24)
    plan = w.approved(chunk_size=6)
    with turning(w, f"ignore_state=1,{fault}=1"):
        settings = replace(FAST, read_back_timeout=0.0)
        run = sharekit.submit(plan, w.connect(), settings=settings)
    rows = run.rows[run.rows["outcome"] == "claimed"]
    assert len(rows) > 0
    assert set(run.rows["outcome"]).isdisjoint({"confirmed", "contradicted"})
    assert rows["reason"].str.startswith("it could not be read back: ").all()
    assert rows["reason"].str.contains(why).all()
    assert (rows["observed"] == "").all()
    assert sharekit.status(plan).rows.equals(run.rows)
    frame = sharekit.status(plan).to_frame()
    assert frame.loc[rows.index, "reason"].tolist() == rows["reason"].tolist()
    assert frame.loc[rows.index, "observed_at"].isna().all()
    (csv,) = sharekit.report(plan, w.folder / "outcomes.csv")
    written = pd.read_csv(csv, dtype=str)
    assert set(rows["reason"]) <= set(written["reason"])
    assert sharekit.verify(plan.path, csv).problems == ()
    image = plan.rows.at[rows.index[0], "image_id"]
    found = sharekit.find(image, plan)
    assert found["what"].str.contains("read back by the member: could not be read, ").any()


def test_native_where_there_is_no_batch_call(world: Make) -> None:
    """On a cloud without the batch call each image goes alone, with the same outcomes."""
    w = world(rows=30, native_only=True)
    run = sharekit.submit(w.approved(), w.connect(), settings=FAST)
    assert run.counts["confirmed"] == 30
    assert all("/v2/images/" in line["path"] for line in w.cloud.state()["log"])
    assert_true_to(w, run)


@pytest.mark.parametrize("switch", ["results_api", "progress_api"])
def test_either_job_endpoint(world: Make, switch: str) -> None:
    """A cloud that has only one of the two job endpoints is followed all the same."""
    w = world(rows=10, **{switch: False})
    run = sharekit.submit(w.approved(), w.connect(), settings=FAST)
    assert run.counts["confirmed"] == 10


def test_too_many_failures_stop_the_run(world: Make) -> None:
    """Above the failure limit nothing more is sent; the rest stays pending and can be resumed."""
    w = world(rows=80)
    plan = w.approved(chunk_size=4)
    w.cloud.set_faults(Faults.parse("job_fail=1"))
    careful = replace(FAST, attempts=1, max_failure_rate=0.2, min_failures=4, concurrency=2)
    run = sharekit.submit(plan, w.connect(), settings=careful)
    assert "failed" in run.stopped
    assert run.counts["pending"] > 0
    assert not run.finished
    w.cloud.set_faults(Faults())
    again = sharekit.submit(plan, w.connect(), settings=FAST)
    assert again.finished
    assert again.counts["pending"] == 0


def test_a_server_that_fails_everything(world: Make) -> None:
    """A run in which nothing succeeds stops soon after the minimum, however large it is."""
    w = world(rows=300)
    plan = w.approved(chunk_size=2)
    w.cloud.set_faults(Faults.parse("job_fail=1"))
    run = sharekit.submit(plan, w.connect(), settings=replace(FAST, min_failures=20, concurrency=1))
    assert "images that finished have failed, more than the limit of 50%; the last with: IMG." in (
        run.stopped
    )
    assert 20 < run.counts["failed"] < 60
    assert run.counts["pending"] > 200
    w.cloud.set_faults(Faults())
    assert sharekit.submit(plan, w.connect(), settings=FAST).finished


@pytest.mark.parametrize(("rate", "limit"), [(0.95, 0.5), (0.95, 1.0), (0.6, 0.7)])
def test_a_server_that_fails_most(world: Make, rate: float, limit: float) -> None:
    """Failing more than the limit stops a run; less does not, nor who allows it."""
    # One request after another, so that these dice always fall alike: some of the first succeed.
    w = world(rows=120, faults=f"job_partial={rate},seed=22")
    plan = w.approved(chunk_size=4)
    limits = {"max_failure_rate": limit, "min_failures": 30}
    run = sharekit.submit(plan, w.connect(), settings=replace(FAST, **limits, concurrency=1))
    assert run.counts["confirmed"] > 0
    if (rate, limit) != (0.95, 0.5):
        assert run.finished
        return
    assert "images that finished have failed" in run.stopped
    assert run.counts["failed"] < 60
    assert run.counts["pending"] > 20
    w.cloud.set_faults(Faults())
    assert sharekit.submit(plan, w.connect(), settings=FAST).finished


@pytest.mark.slow
def test_stop_and_resume(world: Make) -> None:
    """A run stopped in the middle is taken up by the same call, and nothing changes twice."""
    w = world(rows=60, faults="latency=0.1")
    plan = w.approved(chunk_size=1)
    stop = threading.Event()

    def watch(now: sharekit.runs.submit.Progress) -> None:
        if now.done > 10:
            stop.set()

    first = sharekit.submit(
        plan, w.connect(), settings=FAST, concurrency=2, progress=watch, stop=stop
    )
    assert first.counts["pending"] > 0
    assert (first.stopped_by, first.finished) == ("operator", False)
    second = sharekit.submit(plan, w.connect(), settings=FAST)
    assert second.finished
    assert second.counts["confirmed"] == 60
    assert_true_to(w, second)


def test_finished_run_sends_nothing(world: Make) -> None:
    """Submitting a finished run again sends nothing and gives the same result."""
    w = world(rows=10)
    plan = w.approved()
    first = sharekit.submit(plan, w.connect(), settings=FAST)
    before = w.cloud.state()["requests"].get("PUT /v1/cloudimages/members")
    second = sharekit.submit(plan, w.connect(), settings=FAST)
    assert second.counts == first.counts
    assert w.cloud.state()["requests"].get("PUT /v1/cloudimages/members") == before


def test_second_process_is_kept_out(world: Make) -> None:
    """While one submission holds the ledger, another is refused with a sentence."""
    w = world(rows=4)
    plan = w.approved()
    with (
        Ledger.open(plan.path, write=True),
        pytest.raises(LedgerError, match=r"in use by process .* wait until it has ended"),
    ):
        sharekit.submit(plan, w.connect(), settings=FAST)


def test_project_without_cloud_is_refused(world: Make) -> None:
    """A project that no cloud gives access to stops the submission before anything is sent."""
    w = world(rows=30)
    plan = w.approved()
    clouds = w.connect()
    some = {p: c for p, c in clouds.items() if p != plan.chunks["project_id"].iloc[0]}
    with pytest.raises(UsageError, match="No cloud gives access"):
        sharekit.submit(plan, sharekit.Clouds(some), settings=FAST)
    assert w.cloud.state()["log"] == []


def test_a_run_is_logged(world: Make, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO the log tells each request, its waits with their cause, and why the run stops."""
    w = world(rows=12)
    plan = w.approved(chunk_size=3)
    with turning(w, "flow_control=1"), caplog.at_level(logging.INFO, "sharekit.runs"):
        run = sharekit.submit(plan, w.connect(), settings=replace(FAST, busy_timeout=0.3))
    lines = [r.getMessage() for r in caplog.records if r.name == "sharekit.runs"]
    assert any(line.startswith("preflight of 12 shares") for line in lines)
    assert any(line.startswith("chunk 1 (") and "intent attempt=1 api=batch" in line
               for line in lines)  # fmt: skip
    waits = [line for line in lines if "sent again in" in line]
    assert waits
    assert all("IMG.0060" in line for line in waits)
    assert lines[-1] == f"the run stops: {run.stopped}"
    assert (run.stopped_by, run.finished) == ("", False)
