"""Ledgers that were written again with hashes that fit, and tell of a run that cannot have been."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sharekit
from sharekit.core.errors import SharekitError
from sharekit.plans.approval import ApprovalRequirement
from sharekit.plans.decisions import decide, replan
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator
from sharekit.simulator.sample import build_sample, write_workbook
from tests.conftest import FAST
from tests.reports.forger import Forger, Line, later

pytestmark = pytest.mark.usefixtures("checked_once")
STRANGER = "0123456789abcdef0123456789abcdef"
IMAGE = "deadbeef-1bc3-4c3f-893e-0123456789ab"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, _simulator: Simulator) -> Path:
    """A run that was planned by one, decided by one, approved by two others, and has failures."""
    folder = tmp_path_factory.mktemp("honest")
    sample = build_sample(40, faulty=0.3)
    _simulator.reset(sample.seed, job_seconds=0.02)
    _simulator.set_faults(Faults.parse("job_fail=0.4,job_partial=0.4,seed=3"))
    clouds = sharekit.connect(config_file=_simulator.write_clouds_yaml(folder / "clouds.yaml"))
    shares = write_workbook(sample, folder / "shares.xlsx")
    findings = sharekit.check(sharekit.read_inventory(shares), clouds)
    plan = sharekit.plan(findings, folder / "run.ledger", chunk_size=6, planner="Eve")
    planned = plan.rows.index[plan.rows["disposition"] == "planned"]
    decide(plan, planned[:2], decision="skip", reason="owner left", reviewer="Ann")
    plan = replan(plan)
    for name in ("Ada", "Bob"):
        sharekit.approve(plan, reviewer=name, fingerprint=plan.fingerprint)
    demand = ApprovalRequirement(reviewers=2)
    run = sharekit.submit(plan, clouds, settings=FAST, demand=demand)
    _simulator.set_faults(Faults())
    assert run.finished
    assert run.counts["failed"]
    return plan.path


@pytest.fixture
def forger(honest: Path, tmp_path: Path) -> Forger:
    """A copy of the run, open to every change."""
    return Forger.read(Path(shutil.copy(honest, tmp_path / "forged.ledger")))


def test_a_forger_who_changes_nothing_is_not_found(forger: Forger, honest: Path) -> None:
    """Written again as it was, with outcomes and fingerprint made anew, a ledger is intact."""
    forger.fit_fingerprint()
    forger.fit_outcomes()
    verdict = sharekit.verify(forger.write())
    assert verdict.problems == ()
    assert verdict.head == sharekit.verify(honest).head


# -- the forgeries ---------------------------------------------------------------------------------
Forgery = Callable[[Forger], object]
FORGERIES: dict[str, Forgery] = {}


def forgery(function: Forgery) -> Forgery:
    """List a forgery under its name."""
    FORGERIES[function.__name__.replace("_", " ")] = function
    return function


def set_body(kind: str, number: int = 0, **values: Any) -> Forgery:
    """Set fields of the body of an event of a kind."""

    def forge(f: Forger) -> None:
        f.all(kind)[number].body.update(values)

    return forge


def in_frame(kind: str, column: str, value: Any, name: str = "blob", row: int = 0) -> Forgery:
    """Set one value of the frame that the last event of a kind names."""

    def forge(f: Forger) -> None:
        def change(frame: pd.DataFrame) -> None:
            frame.loc[frame.index[row], column] = value

        f.change(f.last(kind), change, name)

    return forge


def without(kind: str, number: int = 0) -> Forgery:
    """Leave an event of a kind out."""
    return lambda f: f.drop(f.all(kind)[number])


def added(kind: str, body: dict[str, Any], before: str) -> Forgery:
    """Add an event before the last one of a kind."""
    return lambda f: f.new(kind, body, before=f.last(before))


def edited(kind: str, old: str, new: str) -> Forgery:
    """Write the body of an event otherwise than in canonical JSON."""

    def forge(f: Forger) -> None:
        line = next(line for line in f.all(kind) if old in canonical(line))
        line.text = canonical(line).replace(old, new, 1)

    return forge


def settings(**values: float) -> Forgery:
    """Say that the call had other settings."""
    return lambda f: f.first("submit_started").body["settings"].update(values)


def source(**values: Any) -> Forgery:
    """Say something else of the first sheet that was read."""
    return lambda f: f.first("inventory_read").body["sources"][0].update(values)


def counts(**values: int) -> Forgery:
    """Say that a call made another number of requests."""
    return lambda f: f.first("requests_counted").body["requests"].update(values)


def canonical(line: Line) -> str:
    """The body of an event as sharekit writes it."""
    return json.dumps(line.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


FORGERIES |= {
    # requests
    "another method": set_body("intent", method="POST"),
    "another url": set_body("intent", url="https://evil.example/v1/cloudimages/members"),
    "another path": lambda f: f.first("intent").body.update(
        url=f.first("intent").body["url"].replace("/members", "/member")
    ),
    "no body": set_body("intent", body=None),
    "another api": set_body("intent", api="native"),
    "an api that there is not": set_body("intent", api="magic"),
    "another attempt": set_body("intent", attempt=7),
    "an attempt again": lambda f: f.new("intent", f.first("intent").body, after=f.first("intent")),
    "the images of another chunk": lambda f: f.first("intent").body.update(
        images=f.all("intent")[1].body["images"]
    ),
    "another project in the body": lambda f: (
        f.first("intent").body["body"].update(project_id=STRANGER)
    ),
    "another decision in the body": lambda f: f.first("intent").body["body"].update(status="x"),
    "a vault nobody named": lambda f: f.first("intent").body["body"].update(vault_id=STRANGER),
    "an image more in the body": lambda f: (
        f.first("intent").body["body"].update(images=f.first("intent").body["images"] + [IMAGE])
    ),
    "a field more in the body": lambda f: f.first("intent").body["body"].update(force=True),
    "other projects": set_body("intent", projects=[STRANGER]),
    "an image twice": lambda f: (
        f.first("intent").body["images"].append(f.first("intent").body["images"][0])
    ),
    "a request of a chunk that there is not": set_body("intent", chunk="99"),
    # answers and jobs
    "http 500 for a yes": set_body("answer", http=500),
    "http 404 for a yes": set_body("answer", http=404),
    "http 0 for a yes": set_body("answer", http=0),
    "a job in an answer without a body": set_body("answer", http=204),
    "a status that there is not": set_body("answer", http=1_000),
    "a job that took no time": lambda f: setattr(
        f.first("job_done"), "at", later(f.first("answer").at)
    ),
    "two events at one time": lambda f: setattr(f.lines[1], "at", f.lines[0].at),
    "every event at one time": lambda f: [setattr(one, "at", f.lines[0].at) for one in f.lines],
    "every event a microsecond after the other": lambda f: [
        setattr(one, "at", later(f.lines[0].at, n)) for n, one in enumerate(f.lines)
    ],
    # what was read, and who read it
    "a hash that is none": lambda f: (
        f.first("inventory_read").body["sources"][0].update(sha256="zz")
    ),
    "a format that there is not": lambda f: (
        f.first("inventory_read").body["sources"][0].update(format="exe")
    ),
    "a user of no name": set_body("created", user=""),
    "no user": lambda f: f.first("created").body.pop("user"),
    "a library of no version": set_body("created", pandas=""),
    "an address that is none": lambda f: (
        f.first("submit_started").body["clouds"][0].update(ims="here")
    ),
    "a signature that is none": set_body("approved", signature="zz"),
    "a yes with an error code": set_body("answer", code="IMG.0144"),
    "a job that was never begun": set_body("answer", job_id=""),
    "a done job that says failed": set_body("job_done", status="FAIL"),
    "results for images never asked": set_body(
        "job_done", results={f"{IMAGE} {STRANGER}": False}, code="X", reason="x"
    ),
    "a done job whose images are good": lambda f: f.first("job_done").body.update(
        results={f"{i} {p}": True for i, p in first_share(f)}
    ),
    "a failed image without a code": lambda f: f.first("job_done").body.update(
        results={f"{i} {p}": False for i, p in first_share(f)}
    ),
    "no answer": without("answer"),
    "no intent": without("intent"),
    "a job ends twice": lambda f: f.new(
        "job_done", f.first("job_done").body, after=f.first("job_done")
    ),
    "a job ends before it begins": lambda f: f.put(f.first("job_done"), before=f.first("answer")),
    "a job that times out after its end": lambda f: f.new(
        "job_timed_out", {"chunk": f.first("job_done").body["chunk"]}, after=f.first("job_done")
    ),
    "a request is lost and answered": lambda f: f.new(
        "response_lost", {"chunk": f.first("intent").body["chunk"]}, after=f.first("intent")
    ),
    # the order of a call
    "no submit_started": without("submit_started"),
    "no preflight": lambda f: f.drop(f.first("preflight_checked"), f.first("preflight_snapshot")),
    "a preflight without a snapshot": without("preflight_snapshot"),
    "a preflight after sending": lambda f: (
        f.put(f.first("preflight_checked"), after=f.last("job_done")),
        f.put(f.first("preflight_snapshot"), before=f.first("preflight_checked")),
    ),
    "reading before sending": lambda f: f.put(f.first("read_back"), before=f.first("intent")),
    "reading before the call": lambda f: f.put(f.first("read_back"), before=f.first("approved")),
    "sending after the stop": lambda f: f.new("stopped", {"why": "x"}, before=f.first("intent")),
    "sending after the outcomes": lambda f: f.put(
        f.first("outcomes_recorded"), before=f.last("intent")
    ),
    "more after the end": lambda f: f.new("stopped", {"why": "x"}, after=f.last("finished")),
    "no end": without("finished"),
    "no outcomes": without("outcomes_recorded"),
    "other numbers at the end": set_body("finished", rows=39),
    "requests counted twice": lambda f: (
        f.first("requests_counted").body["requests"].update(submit=3)
    ),
    "a stranger refuses to be read": added(
        "read_back_denied", {"project_id": STRANGER, "code": "X", "reason": "x"}, "requests_counted"
    ),
    # sign-ins
    "a project without a sign-in": lambda f: f.first("submit_started").body["clouds"].pop(),
    "a sign-in twice": lambda f: (
        f.first("submit_started").body["clouds"].append(f.first("submit_started").body["clouds"][0])
    ),
    "another account": lambda f: f.first("submit_started").body["clouds"][0].update(account="x"),
    "another region": lambda f: f.first("submit_started").body["clouds"][0].update(region="x"),
    # approvals
    "three demanded and two there": set_body("submit_started", reviewers=3),
    "two demanded and one there": without("approved"),
    "nobody approved": lambda f: f.drop(*f.all("approved")),
    "one approved twice": set_body("approved", reviewer="bob"),
    "a look-alike approved": set_body("approved", reviewer="B\N{GREEK SMALL LETTER OMICRON}b"),
    "the planner approved": set_body("approved", reviewer="Eve"),
    "a look-alike of the planner approved": set_body("approved", reviewer="\u0415ve"),
    "a nameless person approved": set_body("approved", reviewer="\N{HANGUL FILLER}"),
    "an approval of fewer images": set_body("approved", images=1),
    "an approval of another plan": set_body("approved", fingerprint="0" * 64),
    "an approval after sending": lambda f: f.put(f.first("approved"), after=f.first("intent")),
    "an approval before the plan": lambda f: f.put(f.first("approved"), before=f.last("planned")),
    "an approval that was withdrawn": lambda f: f.new(
        "approval_revoked",
        {"reviewer": "Ada", "note": "", "fingerprint": f.last("planned").body["fingerprint"]},
        after=f.last("approved"),
    ),
    "a reviewer who did not approve": set_body("submit_started", reviewer="Ada, Zoe"),
    # decisions
    "a decision by nobody": set_body("decided", reviewer=""),
    "a decision by somebody invisible": set_body("decided", reviewer="\N{ZERO WIDTH SPACE}"),
    "a decision on another plan": set_body("decided", of="0" * 64),
    "another decision": in_frame("decided", "decision", "reject"),
    "a decision on another row": lambda f: f.change(
        f.first("decided"), lambda frame: frame.set_axis(frame.index + 3).rename_axis("row_key")
    ),
    "a decision left out": lambda f: f.drop(f.first("decided"), f.last("planned")),
    "a decision of fewer rows": set_body("decided", rows=1),
    "a plan without a decision": without("decided"),
    "a decision after sending": lambda f: f.new(
        "decided", f.first("decided").body, after=f.first("intent")
    ),
    "a decision on an approved plan": lambda f: f.new(
        "decided", f.first("decided").body, after=f.first("approved")
    ),
    "a step back that there was not": lambda f: f.new(
        "decision_undone", {"seq": 2, "reviewer": "Ann"}, before=f.last("planned")
    ),
    "a decision carried over from nowhere": set_body("decided", carried_from="other.ledger"),
    # plans
    "a plan that was made twice": lambda f: f.new(
        "planned", f.last("planned").body, after=f.last("planned")
    ),
    "a plan after sending": lambda f: f.new(
        "planned", f.last("planned").body, after=f.first("intent")
    ),
    "a larger plan than was allowed": lambda f: [
        line.body["settings"].update(max_images=1) for line in f.all("planned")
    ],
    "other chunks than were asked for": lambda f: [
        line.body["settings"].update(chunk_size=50) for line in f.all("planned")
    ],
    "warnings count as errors": lambda f: [
        line.body["settings"].update(strict=True) for line in f.all("planned")
    ],
    "another planner in the end": lambda f: f.last("planned").body["settings"].update(planner=""),
    "another number of blocked rows": set_body("planned", 1, blocked=0),
    "another number of duplicates": set_body("planned", 1, duplicates=3),
    "a finding left out": lambda f: f.change(
        f.last("planned"), lambda frame: frame.iloc[1:].reset_index(drop=True), "findings_blob"
    ),
    "milder findings": lambda f: f.change(
        f.last("planned"), lambda frame: frame.assign(severity="info"), "findings_blob"
    ),
    "a finding in another cell": in_frame("planned", "cell", "ZZ99", "findings_blob"),
    "a finding of another value": in_frame("planned", "value", "x", "findings_blob"),
    "a finding in other words": in_frame("planned", "message", "all is well", "findings_blob"),
    # cloud and inventory
    "no snapshot": without("snapshot_taken"),
    "a snapshot after the plan": lambda f: f.put(
        f.first("snapshot_taken"), after=f.first("planned")
    ),
    "a second snapshot": lambda f: f.new(
        "snapshot_taken", f.first("snapshot_taken").body, after=f.first("snapshot_taken")
    ),
    "a share that was not there": lambda f: f.change(
        f.first("snapshot_taken"),
        lambda frame: frame.iloc[1:].reset_index(drop=True),
        "members_blob",
    ),
    "every share was pending": lambda f: f.change(
        f.first("snapshot_taken"), lambda frame: frame.assign(state="pending"), "members_blob"
    ),
    "another image in the inventory": in_frame(
        "inventory_read", "image_id", IMAGE, "rows_blob", row=1
    ),
    "a row of the inventory left out": lambda f: f.change(
        f.first("inventory_read"), lambda frame: frame.iloc[:-1], "rows_blob"
    ),
    "a preflight that blocks": in_frame("preflight_checked", "outcome", "blocked"),
    "other numbers in the preflight": set_body("preflight_checked", counts={"moved": 9}),
    "another state in the preflight": in_frame("preflight_checked", "before", "accepted"),
    # readings and outcomes
    "a reading of a share never sent": lambda f: in_frame("read_back", "row_key", unsent(f))(f),
    "a reading of no row": in_frame("read_back", "row_key", -1),
    "a reading of no state, for no reason": in_frame("read_back", "state", ""),
    "a state, and why it was not read": in_frame("read_back", "unread", "HTTP403"),
    "a reading of a state that there is not": in_frame("read_back", "state", "fine"),
    "a reading from a side that there is not": in_frame("read_back", "side", "judge"),
    "another number of images read": set_body("read_back", images=1),
    "a share read twice": lambda f: f.change(
        f.first("read_back"), lambda frame: pd.concat([frame, frame.iloc[:1]], ignore_index=True)
    ),
    "another reading": lambda f: [
        f.change(line, lambda d: d.assign(state=d["state"].replace({"accepted": "pending"})))
        for line in f.all("read_back")
    ],
    "an outcome in other words": in_frame("outcomes_recorded", "reason", "fine"),
    "another claim": in_frame("outcomes_recorded", "claimed", "failed"),
    "a row without an outcome": lambda f: f.change(
        f.last("outcomes_recorded"), lambda frame: frame.iloc[:-1]
    ),
    "a row with two outcomes": lambda f: f.change(
        f.last("outcomes_recorded"), lambda frame: pd.concat([frame, frame.iloc[:1]])
    ),
    # what a run does after an answer, and which readings it makes
    "a job that is a path": lambda f: f.first("answer").body.update(job_id="../../evil"),
    "a done job with the code of a failure": lambda f: next(
        line.body for line in f.all("job_done") if not line.body.get("results")
    ).update(code="IMG.0001", reason="x"),
    "sent again after a yes": lambda f: again(f, http=200, code=""),
    "sent again after a refusal": lambda f: again(f, http=403, code="HTTP403"),
    "sent again after a bad image": lambda f: again(f, http=400, code="IMG.0046"),
    "sent again though it was not sent": lambda f: again(f, http=503, code="not-sent"),
    "refused for flow control": lambda f: refused(f, 400, "IMG.0060"),
    "refused for too many requests": lambda f: refused(f, 429, "HTTP429"),
    "refused for a token": lambda f: refused(f, 401, "HTTP401"),
    "refused by a gateway": lambda f: refused(f, 504, "HTTP504"),
    "refused by a redirect": lambda f: refused(f, 302, "HTTP302"),
    "refused by nobody": lambda f: refused(f, 0, "IMG.0046"),
    "a reading as an owner": in_frame("read_back", "side", "owner"),
    "a reading before its job ended": lambda f: f.put(
        f.first("read_back"), before=f.first("job_done")
    ),
    "a project that refuses to be read, and is read": lambda f: f.new(
        "read_back", f.last("read_back").body, after=denied(f)
    ),
    "a project that refuses without a code": lambda f: denied(f).body.update(code=""),
    "a project that refuses unasked": lambda f: f.put(denied(f), before=f.first("read_back")),
    "no attempts": lambda f: f.first("submit_started").body["settings"].update(attempts=0),
    "less than no requests at once": lambda f: (
        f.first("submit_started").body["settings"].update(concurrency=-1)
    ),
    "a call made nowhere": set_body("submit_started", environment={}),
    "a snapshot that shows shares twice": lambda f: f.change(
        f.first("snapshot_taken"),
        lambda frame: pd.concat([frame, frame], ignore_index=True),
        "members_blob",
    ),
    "a snapshot of shares that were not read": lambda f: f.change(
        f.last("preflight_snapshot"), lambda frame: frame.assign(unread="x"), "members_blob"
    ),
    "a snapshot of a stranger": lambda f: f.change(
        f.first("snapshot_taken"),
        lambda frame: pd.concat(
            [frame, frame.iloc[:1].assign(project_id=STRANGER)], ignore_index=True
        ),
        "members_blob",
    ),
    "other rules, and another state": lambda f: (
        [line.body.update(rule_set=99) for line in f.all("planned")],
        f.change(
            f.last("preflight_snapshot"),
            lambda frame: frame.assign(state="rejected"),
            "members_blob",
        ),
    ),
    "a call that nobody approved": set_body("submit_started", reviewer=""),
    "a batch to a cloud without one": in_frame(
        "preflight_snapshot", "api", "native", "projects_blob"
    ),
    # what no event, frame or setting of ours holds
    "a field that no event has": set_body("job_done", extra=1),
    "a field of another event": set_body("intent", http=200),
    "an event of a kind that there is not": added("frobnicated", {}, "outcomes_recorded"),
    "a column that no frame has": lambda f: f.change(
        f.last("planned"), lambda frame: frame.assign(more="x"), "rows_blob"
    ),
    "rows below zero": lambda f: f.change(
        f.last("outcomes_recorded"), lambda d: d.set_axis(-d.index).rename_axis("row_key")
    ),
    "one at a time": lambda f: f.first("submit_started").body["settings"].update(concurrency=1),
    "a canary that nobody waited for": lambda f: (
        f.first("submit_started").body["settings"].update(canary=1)
    ),
    "a job that was given up at once": lambda f: f.new(
        "job_timed_out",
        {"chunk": f.first("answer").body["chunk"], "code": "job-late", "reason": "x"},
        after=f.first("answer"),
    ),
    "a reason in an answer": set_body("answer", reason="x"),
    "an end after a stop": added("stopped", {"why": "x"}, "outcomes_recorded"),
    "a stop by nobody": added("stopped", {"why": "x", "by": "nobody"}, "outcomes_recorded"),
    "other counts at the end": set_body("finished", counts={"confirmed": 40}),
    "another format of reports": set_body("created", report_format=99),
    "other states in the event of a snapshot": set_body("snapshot_taken", states={"accepted": 1}),
    "older rules, and another state before": lambda f: (
        [line.body.update(rule_set=99) for line in f.all("planned")],
        in_frame("planned", "before", "accepted", "rows_blob", row=1)(f),
    ),
    "requests that were never counted": lambda f: f.drop(*f.all("requests_counted")),
    "nothing read back": lambda f: f.drop(*f.all("read_back")),
    "a second last look": lambda f: (
        f.new("preflight_checked", f.first("preflight_checked").body, after=f.last("job_done")),
        f.new("preflight_snapshot", f.first("preflight_snapshot").body, after=f.last("job_done")),
    ),
    "no settings": set_body("submit_started", settings={}),
    "a setting that there is not": lambda f: (
        f.first("submit_started").body["settings"].update(force=1)
    ),
    "a name with a blank": set_body("approved", reviewer="Ada "),
    "a time without its fractions": lambda f: setattr(
        f.first("approved"), "at", f.first("approved").at[:19] + "Z"
    ),
    # what no answer, approval or call has together
    "a code of another status": lambda f: refused(f, 403, "HTTP404"),
    "a code of a status, and no status": lambda f: refused(f, 0, "HTTP404"),
    "a fault of the cloud's as a refusal": lambda f: refused(f, 403, "HTTP500"),
    "a field of a job in an answer": set_body("answer", status="SUCCESS"),
    "a field of an answer in a plan": set_body("planned", http=200),
    "a field of an approval in a reading": set_body("read_back", reviewer="Ada"),
    "no reviewer demanded": set_body("submit_started", reviewers=0),
    "a refused project that nobody needs": set_body("submit_started", refused={STRANGER: "x"}),
    "a signature of another program": set_body(
        "approved", signature="-----BEGIN PGP SIGNATURE-----\nAA==\n-----END PGP SIGNATURE-----\n"
    ),
    "a signature of nothing": set_body(
        "approved", signature="-----BEGIN SSH SIGNATURE-----\nAA==\n-----END SSH SIGNATURE-----\n"
    ),
    "small capitals approved": set_body(
        "approved", reviewer="\N{LATIN LETTER SMALL CAPITAL B}o\N{LATIN LETTER SMALL CAPITAL B}"
    ),
    "small capitals of the planner approved": set_body(
        "approved", reviewer="\N{LATIN LETTER SMALL CAPITAL E}ve"
    ),
    "a month that there is not": set_body("snapshot_taken", taken_at="2026-13-01T00:00:00.000000Z"),
    "a day that there is not": lambda f: setattr(
        f.first("approved"), "at", "2026-02-30T00:00:00.000000Z"
    ),
    # settings, which what happened must obey
    "more failures than were allowed": settings(max_failure_rate=0, min_failures=0),
    "sent at once again": lambda f: (
        settings(initial_backoff=500, max_backoff=500)(f),
        again(f, http=503, code="HTTP503"),
    ),
    "sent more often than was allowed": lambda f: (
        settings(attempts=1)(f),
        again(f, http=503, code="HTTP503"),
    ),
    "given up at the first try": lambda f: refused(f, 503, "HTTP503"),
    "half an attempt": settings(attempts=7.5),
    "an attempt a million billion times": settings(attempts=10**15),
    "a rate of two": settings(max_failure_rate=2),
    "stopped by a canary that there was not": added(
        "stopped", {"why": "x", "by": "canary"}, "outcomes_recorded"
    ),
    # numbers, and what stands beside them
    "a file of no bytes": source(size=0),
    "a file of a million billion bytes": source(size=10**15),
    "a header nowhere": source(header_row=0),
    "a million billion blank rows": source(blank_rows=10**15),
    "more blank rows than a sheet has": source(blank_rows=2_000_000),
    "an encoding of a workbook": source(encoding="utf-8"),
    "an index of a workbook": source(index_dtype="int64"),
    "columns at no place": source(letters=dict.fromkeys(["image_id", "status"], "1")),
    "a million billion rows": set_body("inventory_read", rows=10**15),
    "more polls than there was time for": counts(poll=10**9),
    "a million billion readings": counts(read=10**15),
    "a million billion images decided on": set_body("decided", rows=10**15),
    "a million billion reviewers": set_body("submit_started", reviewers=10**15),
    # texts
    "a bell in a note": set_body("approved", note="\x07"),
    "an escape in a note": set_body("approved", note="\x9b31m"),
    "a bell in a reason": set_body("job_failed", reason="\x07"),
    "a bell in a decision's reason": in_frame("decided", "reason", "\x07"),
    "a code without a reason": set_body("job_failed", reason=""),
    "a user in two lines": set_body("created", user="ada\n"),
    "a hash with a line break": lambda f: f.first("created").body.update(
        schema=f.first("created").body["schema"] + "\n"
    ),
    "a job with a line break": set_body("answer", job_id="0123\n"),
    # JSON
    "a name twice": edited("approved", '{"', '{"reviewer":"Eve","'),
    "blanks": edited("approved", ":", ": "),
    "a number with an exponent": edited("intent", '"attempt":1', '"attempt":1e0'),
    "a number with a fraction": edited("intent", '"attempt":1', '"attempt":1.0'),
    "a number with a sign": edited("requests_counted", '"submit":0', '"submit":-0'),
    "names in another order": edited("finished", '"rows":40}', '"rows":40,"a":1}'),
    "letters as escapes": edited("approved", '"Ada"', '"\\u0041da"'),
}


def first_share(f: Forger) -> list[tuple[str, str]]:
    """The first share of the request whose job was done first: image and project."""
    chunk = f.first("job_done").body["chunk"]
    intent = next(line.body for line in f.all("intent") if line.body["chunk"] == chunk)
    return [(intent["images"][0], intent["projects"][0])]


def again(f: Forger, **answer: Any) -> None:
    """The first request is sent once more, after some answer."""
    intent = f.first("intent")
    chunk = {"chunk": intent.body["chunk"]}
    first = f.new("retry_scheduled", chunk | {"reason": "x"} | answer, after=intent)
    f.new("intent", intent.body | {"attempt": 2}, after=first)


def refused(f: Forger, http: int, code: str) -> None:
    """The first request is refused, instead of its answer and its job's end."""
    chunk = f.first("intent").body["chunk"]
    f.new("refused", {"chunk": chunk, "http": http, "code": code, "reason": "x"},
          after=f.first("intent"))  # fmt: skip
    f.drop(*[line for line in f.lines if line.body.get("chunk") == chunk
             and line.kind not in ("intent", "refused")])  # fmt: skip


def denied(f: Forger) -> Line:
    """A project refuses to be read, right after the last reading."""
    row = f.frame(f.last("read_back"))["row_key"].iloc[0]
    project = str(f.inventory.rows.at[row, "project_id"])
    body = {"project_id": project, "code": "HTTP403", "reason": "x"}
    return f.new("read_back_denied", body, after=f.last("read_back"))


def unsent(f: Forger) -> int:
    """A row that was never sent."""
    rows = f.frame(f.last("planned"), "rows_blob")
    return int(rows.index[rows["disposition"] == "blocked"][0])


@forgery
def another_image_in_a_request(f: Forger) -> None:
    """An image that nobody planned goes along."""
    body = f.first("intent").body
    body["images"][0] = IMAGE


@forgery
def an_image_less_in_a_request(f: Forger) -> None:
    """An image does not go along, and the outcomes are made to fit."""
    body = next(line.body for line in f.all("intent") if len(line.body["images"]) > 1)
    body["images"].pop()


@forgery
def another_host(f: Forger) -> None:
    """All requests went to another host, and the sign-in says so, too."""
    account = f.first("submit_started").body["clouds"][0]
    old, account["ims"] = account["ims"], "https://evil.example"
    for line in f.all("intent"):
        line.body["url"] = line.body["url"].replace(old, account["ims"])


def test_another_host_from_plan_to_sending_is_noted(forger: Forger) -> None:
    """Whoever sends may sign in elsewhere than the plan was made; verify says that they did."""
    accounts, host = forger.first("submit_started").body["clouds"], "https://evil.example"
    for line in forger.all("intent"):
        line.body["url"] = line.body["url"].replace(accounts[0]["ims"], host)
    for account in accounts:
        account["ims"] = host
    forger.change(
        forger.first("preflight_snapshot"), lambda frame: frame.assign(ims=host), "projects_blob"
    )
    verdict = sharekit.verify(forger.write())
    told = [what for _, what in verdict.notes if host in what]
    assert (verdict.problems, len(told)) == ((), len(accounts))


@forgery
def exchanged_outcomes(f: Forger) -> None:
    """Two rows change their outcomes, so that the numbers stay."""

    def change(frame: pd.DataFrame) -> None:
        names = [*frame.columns]
        good = frame.index[frame["outcome"] == "confirmed"][0]
        bad = frame.index[frame["outcome"] != "confirmed"][0]
        frame.loc[[good, bad], names] = frame.loc[[bad, good], names].to_numpy()

    f.change(f.last("outcomes_recorded"), change)


@forgery
def a_failure_becomes_a_success(f: Forger) -> None:
    """A failed row is confirmed, and all numbers say so."""

    def change(frame: pd.DataFrame) -> None:
        failed = frame.index[frame["outcome"] == "failed"][0]
        frame.loc[failed, ["outcome", "code", "reason"]] = ["confirmed", "", ""]

    f.change(f.last("outcomes_recorded"), change)
    for line in (f.last("outcomes_recorded"), f.last("finished")):
        line.body["counts"]["failed"] -= 1
        line.body["counts"]["confirmed"] += 1


@forgery
def a_foreign_plan(f: Forger) -> None:
    """The plan sends another image, under a fingerprint that fits and was approved."""

    def change(frame: pd.DataFrame) -> None:
        planned = frame.index[frame["disposition"] == "planned"][0]
        frame.loc[planned, "image_id"] = IMAGE

    f.change(f.last("planned"), change, "rows_blob")
    f.fit_fingerprint()


@forgery
def a_blocked_row_is_planned(f: Forger) -> None:
    """A row that a check had blocked is sent after all, and its finding is gone."""

    def change(frame: pd.DataFrame) -> None:
        planned = frame[frame["disposition"] == "planned"].iloc[0]
        blocked = frame.index[frame["disposition"] == "blocked"][0]
        names = ["image_id", "project_id", "status", "vault_id", "region", "whole_image"]
        frame.loc[blocked, names] = [IMAGE, *planned[names[1:]]]
        frame.loc[blocked, "disposition"] = "planned"
        frame.loc[blocked, "chunk"] = planned["chunk"]

    f.change(f.last("planned"), change, "rows_blob")
    f.fit_fingerprint()


@forgery
def a_row_is_decided_otherwise(f: Forger) -> None:
    """The plan rejects what the inventory accepts, under a fingerprint that fits."""

    def change(frame: pd.DataFrame) -> None:
        planned = frame.index[frame["disposition"] == "planned"]
        frame.loc[planned, "status"] = "rejected"

    f.change(f.last("planned"), change, "rows_blob")
    f.fit_fingerprint()


@forgery
def chunks_of_another_size(f: Forger) -> None:
    """All images of a project go in one request, under a fingerprint that fits."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(chunk=frame["chunk"].where(frame["chunk"].isna(), 1))

    f.change(f.last("planned"), change, "rows_blob")
    f.fit_fingerprint()


@forgery
def a_part_without_a_number(f: Forger) -> None:
    """A request is split into a part that has a name of its own."""
    split = f.first("split")
    old = split.body["into"][0]["chunk"]
    for line in f.lines:
        if line.body.get("chunk") == old:
            line.body["chunk"] = "77"
    split.body["into"][0]["chunk"] = "77"


@forgery
def a_part_without_images(f: Forger) -> None:
    """A request is split into a part more, which carries nothing."""
    body = f.first("split").body
    name = f"{body['chunk']}.{len(body['into']) + 1}"
    body["into"].append({"chunk": name, "images": [], "projects": []})


@forgery
def a_split_that_loses_an_image(f: Forger) -> None:
    """A part of a split request lacks an image."""
    part = next(p for s in f.all("split") for p in s.body["into"] if len(p["images"]) > 1)
    part["images"].pop()


@forgery
def a_refusal_with_http_200(f: Forger) -> None:
    """A request that was accepted with HTTP 200 is called refused."""
    line = f.first("job_failed") if not f.all("refused") else f.first("refused")
    line.kind = "refused"
    line.body |= {"http": 200, "code": ""}


@forgery
def skipped_without_a_refusal(f: Forger) -> None:
    """A request is not sent, because of a refusal that nobody has seen."""
    intent = f.first("intent")
    body = {"chunk": intent.body["chunk"], "code": "IMG.9999", "reason": "refused"}
    f.new("skipped_after_refusal", body, before=intent)
    chunk = intent.body["chunk"]
    f.drop(*[line for line in f.lines if line.body.get("chunk") == chunk
             and line.kind != "skipped_after_refusal"])  # fmt: skip


def test_there_are_enough_of_them() -> None:
    """At least a hundred forgeries are tried."""
    assert len(FORGERIES) >= 100


@pytest.mark.parametrize("name", FORGERIES)
def test_what_no_run_could_have_made_is_found(forger: Forger, name: str) -> None:
    """A ledger written again with fitting hashes, which tells of an impossible run, is found."""
    FORGERIES[name](forger)
    verdict = sharekit.verify(forger.write())
    assert verdict.label == "TAMPERED"
    assert all(where and what for where, what in verdict.problems)


#: Forgeries of nothing but outcomes or readings: where outcomes fit, a run could have been so.
OF_OUTCOMES = (
    "another reading",
    "exchanged outcomes", "a failure becomes a success", "an outcome in other words",
    "other counts at the end", "another claim", "a row without an outcome",
    "a row with two outcomes", "no outcomes", "rows below zero",
)  # fmt: skip


@pytest.mark.parametrize("number", [0, 99])
def test_rules_that_nobody_knows_prove_nothing(forger: Forger, number: int) -> None:
    """A plan by an unknown set of rules is not proven, and verify says so."""
    for line in forger.all("planned"):
        line.body["rule_set"] = number
    assert sharekit.verify(forger.write()).label == "UNPROVEN"


@pytest.mark.parametrize(
    ("kind", "taken_at"),
    [("snapshot_taken", "2999-01-01T00:00:00.000000Z"),
     ("preflight_snapshot", "2999-01-01T00:00:00.000000Z"),
     ("preflight_snapshot", "2001-01-01T00:00:00.000000Z")],
)  # fmt: skip
def test_a_look_at_another_time_proves_nothing(forger: Forger, kind: str, taken_at: str) -> None:
    """Clouds that were read in the future, or long before the call that read them: not proven."""
    forger.first(kind).body["taken_at"] = taken_at
    verdict = sharekit.verify(forger.write())
    assert verdict.label == "UNPROVEN"
    assert taken_at in str(verdict.problems)


def test_a_canary_that_failed_ends_its_call(tmp_path: Path) -> None:
    """Where the first requests were not all confirmed, the call must have stopped after them."""
    sample = Path(__file__).parents[1] / "ledger" / "samples" / "every-outcome.ledger"
    forger = Forger.read(Path(shutil.copy(sample, tmp_path)))
    forger.drop(forger.last("stopped"))
    verdict = sharekit.verify(forger.write())
    assert "should have stopped after its canary" in str(verdict.problems)


def test_a_later_version_excuses_nothing(forger: Forger) -> None:
    """What a later version may have added is unproven, never intact; all else is found as ever."""
    created = forger.first("created").body
    for version, label in (("9.9", "UNPROVEN"), ("new", "UNPROVEN"), ("0.0.1", "TAMPERED")):
        created["sharekit"] = version
        forger.first("job_done").body["extra"] = 1
        assert sharekit.verify(forger.write()).label == label, version
    del forger.first("job_done").body["extra"]
    verdict = sharekit.verify(forger.write())
    assert (verdict.label, "0.0.1" in str(verdict.notes)) == ("intact", True)
    created["sharekit"] = "9.9"
    forger.first("job_done").body["status"] = "FAIL"
    assert sharekit.verify(forger.write()).label == "TAMPERED"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORGERIES if name not in OF_OUTCOMES])
def test_fitting_outcomes_help_no_forger(forger: Forger, name: str) -> None:
    """Where the outcomes are made to follow from the forged events, the forgery is found still."""
    FORGERIES[name](forger)
    before = [dict(line.body) for line in forger.all("outcomes_recorded")]
    with contextlib.suppress(SharekitError, ValueError):  # what nobody can make outcomes of
        forger.fit_outcomes()
    if before != [line.body for line in forger.all("outcomes_recorded")]:  # else as above
        assert sharekit.verify(forger.write()).label == "TAMPERED"
