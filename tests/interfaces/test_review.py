"""A review: decisions in the ledger, the gate, and a run in the background, without a browser."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.core.columns import STR
from sharekit.core.errors import ApprovalError, LedgerError, PlanError, SharekitError, UsageError
from sharekit.interfaces.review import Review
from sharekit.interfaces.review_filters import RowFilter, select
from sharekit.ledger.ledger import Ledger
from sharekit.plans import approval, decisions, steps
from sharekit.reports.run_record import read_record
from sharekit.runs.background import BackgroundRun
from sharekit.runs.submit import Progress
from tests.conftest import FAST, World

Make = Callable[..., World]


@pytest.fixture
def review(world: Make) -> Review:
    """A review of sixty rows, a tenth of them with something wrong."""
    scene = world(rows=60, faulty=0.2)
    return Review(scene.planned(), scene.connect(), reviewer="Bob", settings=FAST)


def planned(review: Review, number: int = 1) -> list[int]:
    """Keys of rows that would be accepted."""
    frame = review.rows
    free = frame[(frame["disposition"] == "planned") & (frame["wanted"] == "accept")]
    return [int(key) for key in free.index[:number]]


def test_a_decision_is_on_disk_at_once_and_found_again(review: Review) -> None:
    """What was decided is there again when the ledger is opened anew, keyed by row."""
    keys = planned(review, 3)
    assert review.decide(keys, "reject", reason="owner left") == 3
    again = Review(review.path)
    assert again.changes["decision"].to_dict() == dict.fromkeys(keys, "reject")
    assert set(again.rows.loc[keys, "wanted"]) == {"reject"}
    assert set(again.rows.loc[keys, "reason"]) == {"owner left"}


def test_a_project_that_only_owns_images_has_its_name(review: Review) -> None:
    """An owner that no row is shared with is called what its sign-in told, as any project is."""
    plan, owner = review.plan, "ad" * 16
    snapshot = plan.findings.snapshot
    assert snapshot is not None
    signed_in = snapshot.projects.head(1).assign(
        project_id=owner, name="publishers", name_source="sign-in"
    )
    projects = pd.concat([snapshot.projects, signed_in], ignore_index=True)
    findings = replace(plan.findings, snapshot=replace(snapshot, projects=projects))
    state = replace(review.state, plan=replace(plan, findings=findings))
    assert owner not in set(plan.rows["project_id"])
    assert state.project_labels == review.state.project_labels | {owner: "publishers"}


def test_what_is_shown_is_what_the_ledger_says(review: Review) -> None:
    """After any step the session's frame equals one that is read from the ledger."""
    first, second = planned(review, 2)
    review.decide([first], "reject", reason="no")
    review.decide([first, second], "skip", reason="b")
    review.decide([second], "", reason="")
    assert review.state.counts["skipped"] == 1
    pd.testing.assert_frame_equal(review.rows, Review(review.path).rows)
    review.undo()
    pd.testing.assert_frame_equal(review.rows, Review(review.path).rows)
    assert review.rows.loc[second, "decision"] == "skip"


def test_a_step_leaves_alone_what_it_does_not_name(review: Review) -> None:
    """A reason given later does not take back the decision; a decision brings its own reason."""
    (key,) = planned(review)
    review.decide([key], "reject", reason="earlier")
    with pytest.raises(UsageError, match="reason of their own"):
        review.decide([key], "skip")
    review.decide([key], "skip", reason="first")
    decisions.decide(review.path, [key], reason="second")
    with Ledger.open(review.path) as book:
        assert steps.decisions(book).loc[key].to_dict() == {
            "decision": "skip", "reason": "second", "vault_id": "",
        }  # fmt: skip


def test_undo_takes_back_one_step_at_a_time(review: Review) -> None:
    """Undo takes the last step back, whole, then the one before, then says that there is none."""
    keys = planned(review, 4)
    review.decide(keys[:1], "skip", reason="a")
    review.decide(keys, "skip", reason="b")
    assert (review.gate.undoable_steps, review.undo(), review.gate.undoable_steps) == (2, 4, 1)
    assert review.changes["reason"].tolist() == ["a"]
    assert (review.undo(), review.undo()) == (1, 0)
    assert review.changes.empty


def test_decisions_make_a_new_plan_with_another_fingerprint(review: Review) -> None:
    """The plan holds the decisions once it is made anew, and its requests are theirs."""
    before = review.plan.fingerprint
    (key,) = planned(review)
    image = review.rows.at[key, "image_id"]
    review.decide([key], "skip", reason="not now")
    assert review.gate.pending_steps == 1
    made = review.replan()
    assert made.fingerprint != before
    assert review.gate.pending_steps == 0
    assert review.rows.at[key, "disposition"] == "skipped"
    assert image not in made.preview()
    assert sharekit.verify(review.path).intact


def test_what_is_shown_after_a_decision_is_what_the_new_plan_says(world: Make) -> None:
    """For rows that nothing blocks, the numbers before and after making the plan anew agree."""
    review = Review(world(rows=60).plan())
    rows = planned(review, 8)
    review.decide(rows[:4], "skip", reason="x")
    review.decide(rows[4:], "reject", reason="x")
    states = ("accept", "reject", "already", "blocked", "skipped", "duplicate")
    shown = {name: review.state.counts[name] for name in states}
    review.replan()
    assert {name: review.state.counts[name] for name in states} == shown


def test_a_stale_plan_is_not_approved(review: Review) -> None:
    """A plan that does not hold the last decisions cannot be approved, in whatever way."""
    review.decide(planned(review), "skip", reason="x")
    with pytest.raises(ApprovalError, match="Plan again"):
        sharekit.approve(review.path, reviewer="Ada", fingerprint=review.plan.fingerprint)
    with pytest.raises(ApprovalError, match="Plan again"):
        review.approve("Ada", review.state.phrase)


def test_an_approved_plan_is_fixed_until_the_approval_is_taken_back(review: Review) -> None:
    """Nothing can be decided on an approved plan; taking the approval back opens it again."""
    review.approve("Ada", review.state.phrase)
    assert review.stage == "approved"
    for change in (lambda: review.decide(planned(review), "skip", reason="x"), review.undo):
        with pytest.raises(PlanError, match="Ada has approved"):
            change()
    review.revoke("one too many")
    assert review.stage == "deciding"
    assert review.decide(planned(review), "skip", reason="x") == 1
    with pytest.raises(ApprovalError):
        review.submit()


def test_a_decision_that_gets_past_the_session_voids_the_approval(review: Review) -> None:
    """An event of deciding after the approval voids it, whoever wrote it."""
    review.approve("Ada", review.state.phrase)
    with Ledger.open(review.path, write=True) as book:
        book.append("decided", {"reviewer": "", "rows": 0, "of": "0" * 64, "blob": "0" * 64})
        with pytest.raises(ApprovalError):
            approval.require_approval(book, review.plan.fingerprint)


@pytest.mark.parametrize("phrase", ["", "yes", "send images", "send 1 images"])
def test_the_phrase_holds_the_number_of_images(review: Review, phrase: str) -> None:
    """Only the exact phrase approves; the button knows nothing that the library does not."""
    with pytest.raises(ApprovalError, match=f"write exactly: send {review.state.counts['images']}"):
        review.approve("Ada", phrase)
    assert review.stage == "deciding"


def test_an_approval_is_for_the_plan_that_is_shown(review: Review) -> None:
    """A plan that was made anew by somebody else meanwhile is not approved by an old view."""
    (key,) = planned(review)
    assert review.plan
    decisions.decide(review.path, [key], decision="skip", reason="x")
    decisions.replan(review.path)
    with pytest.raises(ApprovalError, match="Look at the plan again"):
        review.approve("Ada", review.state.phrase)
    assert review.refresh()
    review.approve("Ada", review.state.phrase)


def test_who_plans_does_not_approve(world: Make) -> None:
    """Where a planner is named, that person's approval is refused and another's is taken."""
    scene = world(rows=10)
    findings = sharekit.check(sharekit.read_inventory(scene.shares), scene.connect())
    review = Review(sharekit.plan(findings, scene.folder / "two.ledger", planner=" Ada"))
    review.decide(planned(review), "skip", reason="x")
    review.replan()
    with pytest.raises(ApprovalError, match="somebody else has to approve"):
        review.approve("ada ", review.state.phrase)
    assert review.approve("Bob", review.state.phrase).reviewer == "Bob"


def test_a_decision_against_the_inventory_needs_a_reason(review: Review) -> None:
    """Without a reason it is refused and nothing is written, unless the setting says otherwise."""
    (key,) = planned(review)
    with pytest.raises(UsageError, match="against the inventory"):
        review.decide([key], "reject")
    assert review.changes.empty
    assert review.decide([key], "accept") == 1
    assert Review(review.path, require_reasons=False).decide([key], "reject") == 1


def test_all_shown_never_overwrites_an_explicit_decision_unasked(review: Review) -> None:
    """Which of some rows were decided already is told, so that they can be spared."""
    first, *_ = planned(review, 5)
    review.decide([first], "skip", reason="mine")
    everything = review.state.find(RowFilter())
    assert review.state.decided_rows(everything).tolist() == [first]
    found = review.state.find(RowFilter(decision="accept"))
    assert first not in found
    assert review.decide(found, "accept") == len(found)
    assert review.rows.at[first, "decision"] == "skip"
    assert review.decide(everything, "skip", reason="all") == len(review.rows)
    assert set(review.rows["decision"]) == {"skip"}


def test_a_vault_is_chosen_from_the_projects_own(world: Make) -> None:
    """A suitable vault lets a blocked full-ECS image go; another vault, or row, is refused."""
    scene = world(rows=120, faulty=0.4)
    review = Review(scene.plan())
    missing = review.rows[review.rows["findings"].str.contains("vault-missing:")]
    key = int(missing.index[0])
    fitting = review.state.vaults(str(missing.at[key, "project_id"]))
    with pytest.raises(UsageError, match="no such vault"):
        review.decide([key], vault_id="00000000-0000-4000-8000-000000000000")
    review.decide([key], vault_id=str(fitting["vault_id"].iloc[0]))
    review.replan()
    assert review.rows.at[key, "disposition"] == "planned"
    assert review.state.row(key)["request"]["body"]["vault_id"] == fitting["vault_id"].iloc[0]
    with pytest.raises(UsageError, match="full-ECS"):
        review.decide(planned(review), vault_id=str(fitting["vault_id"].iloc[0]))


def test_filters_sort_and_pages() -> None:
    """A query finds exactly its rows, in its order; a page beyond the end is the last one."""
    frame = pd.DataFrame(
        {
            "image_id": ["i1", "i2", "i3"], "name": ["b", "A", "c$^"],
            "project_id": ["p", "q", "p"],
            "project_name": "", "owner": "", "vault_id": "", "before": "pending",
            "reason": ["", "", "Köln"],
            "wanted": ["accept", "reject", "accept"], "state": ["planned", "planned", "blocked"],
            "decision": ["", "reject", ""], "vault": ["", "", "v"],
            "findings": ["", "x: y", "not-shared: z; x: y"],
        }
    ).astype(STR)  # fmt: skip
    found = {
        RowFilter(): [0, 1, 2],
        RowFilter(descending=True): [2, 1, 0],
        RowFilter(text=" a "): [1],
        RowFilter(text="$^"): [2],
        RowFilter(text="KÖLN"): [2],
        RowFilter(text="no such"): [],
        RowFilter(project="p", decision="accept"): [0, 2],
        RowFilter(state="blocked"): [2],
        RowFilter(finding="any"): [1, 2],
        RowFilter(finding="not-shared"): [2],
        RowFilter(changed=True): [1, 2],
        RowFilter(before="accepted"): [],
        RowFilter(sort="project_id"): [0, 2, 1],
        RowFilter(sort="project_id", descending=True): [1, 0, 2],
        RowFilter(sort="no such"): [0, 1, 2],
    }
    assert {query: select(frame, query).tolist() for query in found} == found


def test_a_decision_under_a_filter_hits_the_rows_it_shows(review: Review) -> None:
    """Sorted, filtered and on a later page, a decision goes to the images that stand there."""
    query = RowFilter(decision="accept", sort="image_id", descending=True)
    page = review.state.page(query, number=1, size=5)
    images = set(page.rows["image_id"])
    review.decide(page.rows.index.tolist(), "skip", reason="x")
    again = Review(review.path)
    assert set(again.rows.loc[again.changes.index, "image_id"]) == images
    assert review.state.page(RowFilter(), number=99, size=50).number == 1


def test_several_reviews_of_one_ledger_decide_in_turn(review: Review) -> None:
    """A review in another process decides too: each step is an event, and the latest one holds."""
    code = (
        "import sys; from sharekit.interfaces.review import Review; r = Review(sys.argv[1]);"
        "r.reviewer = 'Eve'; r.decide([int(k) for k in sys.argv[2:]], 'skip', reason='other')"
    )
    first, second, third = planned(review, 3)
    review.decide([first], "skip", reason="ours")
    command = [sys.executable, "-c", code, str(review.path), str(first), str(second)]
    subprocess.run(command, check=True)
    review.decide([third], "skip", reason="ours")
    assert review.rows.loc[[first, second, third], "by"].tolist() == ["Eve", "Eve", "Bob"]
    assert review.gate.undoable_steps == 3
    with pytest.raises(ApprovalError, match="Plan again"):
        review.approve("Ada", review.state.phrase)
    pd.testing.assert_frame_equal(review.rows, Review(review.path).rows)


def test_nobody_overwrites_a_decision_unseen(review: Review) -> None:
    """What others decided meanwhile on the same rows is shown before it can be changed."""
    (key,) = planned(review)
    eve = Review(review.path, reviewer="Eve")
    eve.decide([key], "skip", reason="hers")
    with pytest.raises(UsageError, match="Others decided on 1 of these rows"):
        review.decide([key], "reject", reason="ours")
    assert review.rows.at[key, "by"] == "Eve"
    assert review.decide([key], "reject", reason="ours") == 1
    with pytest.raises(UsageError, match="nothing is undone"):
        eve.undo()
    with pytest.raises(UsageError, match="Bob took the last step, so Eve cannot undo it"):
        eve.undo()
    assert review.undo() == 1
    assert review.rows.at[key, "reason"] == "hers"


def test_the_state_is_a_value(review: Review) -> None:
    """A step makes a new state; the one before still says what it said."""
    before, (key,) = review.state, planned(review)
    rows = before.rows.copy(deep=True)
    review.decide([key], "skip", reason="x")
    assert review.state is not before
    assert not review.refresh()
    pd.testing.assert_frame_equal(before.rows, rows)
    assert before.changes.empty
    assert review.changes.loc[key].tolist() == ["skip", "x", "", "Bob"]


def test_a_ledger_in_use_is_a_sentence_and_nothing_is_lost(review: Review) -> None:
    """While another program writes, a decision is refused in words and works afterwards."""
    with Ledger.open(review.path, write=True), pytest.raises(LedgerError, match="in use"):
        review.decide(planned(review), "skip", reason="x")
    assert review.changes.empty
    assert review.decide(planned(review), "skip", reason="x") == 1


def test_the_whole_way_in_the_background(review: Review) -> None:
    """Approved and submitted from the session, every row ends as the cloud shows it."""
    with pytest.raises(ApprovalError, match="not approved"):
        review.run.result()
    review.approve("Ada", review.state.phrase)
    with pytest.raises(PlanError, match="not finished"):
        review.run.result()
    seen: list[str] = []
    run = review.submit(listener=lambda s: seen.append(s.state)).wait(60)
    assert run.finished
    assert review.run.result().counts == run.counts
    assert seen[-1] == "ended"
    assert review.stage == "finished"
    assert review.submit().wait(60).requests == run.requests


def test_nothing_is_sent_without_approval_whatever_the_button_says(
    world: Make, review: Review
) -> None:
    """The gate is in the library: neither the session nor the thread below it sends anything."""
    with pytest.raises(ApprovalError):
        review.submit()
    below = BackgroundRun(review.path, review._connect, FAST)
    below.start()
    with pytest.raises(SharekitError, match="not approved"):
        below.wait(60)
    assert below.state == "failed"
    with Ledger.open(review.path) as book:
        assert book.last_event("intent") is None


def test_pause_holds_and_continue_goes_on(world: Make) -> None:
    """While a run is paused no request is begun; afterwards it goes to its end."""
    scene = world(rows=30, faults="latency=0.02")
    settings = replace(FAST, concurrency=1)
    review = Review(scene.approved(chunk_size=1), scene.connect(), settings=settings)
    held, resting = threading.Event(), []

    def pause_at_once(sending: BackgroundRun) -> None:
        now = sending.progress
        if now and now.done and not held.is_set():
            sending.pause()
            held.set()
        if now and now.phase == "paused":
            resting.append((now.done, len(scene.changed_shares())))
            if len(resting) > 5:
                sending.resume()

    run = review.submit(listener=pause_at_once).wait(60)
    assert len(resting) > 5
    assert resting[-1] == resting[1]
    assert 0 < resting[-1][0] < 30
    assert run.finished


def test_cancel_ends_and_the_same_call_takes_it_up(world: Make) -> None:
    """A cancelled run leaves the rest pending, sends no share twice, and can be taken up."""
    scene = world(rows=30, faults="latency=0.02")
    settings = replace(FAST, concurrency=1)
    review = Review(scene.approved(chunk_size=1), scene.connect(), settings=settings)

    def cancel(sending: BackgroundRun) -> None:
        if sending.progress and sending.progress.done:
            sending.cancel()

    run = review.submit(listener=cancel).wait(60)
    assert run.counts["pending"]
    assert not run.finished
    assert "stopped" in run.stopped
    again = Review(review.path, scene.connect(), settings=FAST)
    assert again.stage == "sending"
    assert again.submit().wait(60).finished
    assert set(scene.changed().values()) <= {0, 1}


def test_another_program_can_cancel_a_run(world: Make) -> None:
    """A review elsewhere, or a page loaded anew, ends a run it did not begin."""
    scene = world(rows=30, faults="latency=0.02")
    settings = replace(FAST, concurrency=1)
    review = Review(scene.approved(chunk_size=1), scene.connect(), settings=settings)
    review.run.cancel()
    code = "import sys; from sharekit.interfaces import review; "
    code += "review.Review(sys.argv[1]).run.cancel()"
    other: list[int] = []

    def cancel(sending: BackgroundRun) -> None:
        now = sending.progress
        if now and now.done and not other:
            sending.pause()
        if now and now.phase == "paused" and not other:
            command = [sys.executable, "-c", code, str(review.path)]
            other.append(subprocess.run(command, check=True).returncode)
            sending.resume()

    run = review.submit(listener=cancel).wait(60)
    assert run.counts["pending"]
    assert run.stopped == "stopped"
    assert review.submit().wait(60).finished
    assert not list(scene.folder.glob("*.stop"))


def test_one_ledger_is_submitted_once_at_a_time(world: Make) -> None:
    """A second submission of the same ledger is refused, and a new session finds the first."""
    scene = world(rows=60)
    review = Review(scene.approved(chunk_size=1), scene.connect(), settings=FAST)
    first = review.submit()
    first.pause()
    other = Review(review.path, scene.connect())
    assert other.run.submission is first
    with pytest.raises(UsageError):
        other.submit()
    first.resume()
    assert first.wait(60).finished


def test_failures_are_told_while_the_run_goes_on(world: Make) -> None:
    """Progress names what failed, with code and reason."""
    scene = world(rows=60, faults="job_partial=0.3")
    review = Review(scene.approved(chunk_size=5), scene.connect(), settings=FAST)
    told: list[Progress | None] = []
    run = review.submit(listener=lambda s: told.append(s.progress)).wait(60)
    last = told[-1]
    assert last is not None
    assert run.counts["failed"] == sum(len(f.images) for f in last.failures) == last.failed > 0
    assert all(f.code and f.reason for f in last.failures)


def test_a_cloud_that_went_away_is_a_sentence(world: Make) -> None:
    """When no cloud answers any more, the submission fails in words and the run can go on."""
    scene = world(rows=10)
    review = Review(scene.approved(), scene.connect(), settings=FAST)

    def gone() -> sharekit.Clouds:
        return sharekit.connect("no-such-cloud", config_file=scene.config)

    below = BackgroundRun(review.path, gone, FAST)
    below.start()
    with pytest.raises(SharekitError, match="no-such-cloud"):
        below.wait(60)
    assert "\n" not in below.error
    assert review.submit().wait(60).finished


def test_reports_tell_of_decisions_that_hold(review: Review) -> None:
    """The report's reviews name each decision that counts, and none that was taken back."""
    first, second = planned(review, 2)
    review.decide([first], "skip", reason="kept")
    review.decide([second], "skip", reason="taken back")
    review.undo()
    review.replan()
    with Ledger.open(review.path) as ledger:
        record = read_record(ledger)
    assert record.reviews["row_key"].tolist() == [first]
    assert record.reviews[["decided", "reason", "reviewer"]].values.tolist() == [
        ["skip", "kept", "Bob"]
    ]
    assert {"decided", "decision_undone"} <= set(record.timeline["event"])


def test_requests_as_curl_hold_no_secret(review: Review) -> None:
    """What can be copied for the shell names the token's variable, not a token."""
    text = review.state.curl(1)
    assert text.startswith("curl -X PUT")
    assert "$OS_TOKEN" in text
    tokens = {c.transport.token() for c in review._connect().values()}
    assert not any(token in text for token in tokens)


def test_what_is_not_sent_is_counted_with_its_reason(review: Review) -> None:
    """Every row that is not sent is in the summary, with what blocks it."""
    rest = review.state.not_sent()
    assert rest["rows"].sum() == len(review.rows) - review.state.counts["images"]
    assert rest.loc[rest["disposition"] == "blocked", "why"].str.contains(":").all()


def test_bad_calls_are_sentences(review: Review, tmp_path: Path) -> None:
    """Wrong words, rows and files are told apart, and change nothing."""
    with Ledger.open(review.path) as book:
        events = book.event_count
    for call in (
        lambda: decisions.decide(review.path, [], decision="skip"),
        lambda: decisions.decide(review.path, [0]),
        lambda: decisions.decide(review.path, [0], decision="maybe"),
        lambda: decisions.decide(review.path, [10_000], decision="skip"),
        lambda: decisions.decide(review.path, [0], vault_id="x"),
    ):
        with pytest.raises(UsageError):
            call()
    with pytest.raises(LedgerError):
        Review(tmp_path / "none.ledger")
    with Ledger.open(review.path) as book:
        assert book.event_count == events
