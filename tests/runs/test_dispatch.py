"""Requests sent to a cloud that answers anything, without a network and without a ledger's file."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sharekit.clouds.api_calls import Call
from sharekit.clouds.cloud import Accepted, JobState
from sharekit.core.actions import ACCEPTED, SHARE
from sharekit.core.errors import CloudError, CloudRefusedError, NoResponseError
from sharekit.ledger.ledger import Event
from sharekit.runs.dispatch import Dispatcher, _results
from sharekit.runs.requests.log import FINAL_STATES, Recorder, RequestLog
from sharekit.runs.settings import Settings, settings_fault

COMMON = {"region": "", "vault_id": "", "whole_image": ""}
CHUNKS: list[dict[str, Any]] = [
    {"chunk": 1, **COMMON, "project_id": "m" * 32, "status": ACCEPTED, "images": [*"abcdefgh"],
     "projects": ["m" * 32]},
    {"chunk": 2, **COMMON, "project_id": "m" * 32, "status": ACCEPTED, "images": [*"ij"],
     "projects": ["m" * 32]},
    {"chunk": 3, **COMMON, "project_id": "o" * 32, "status": SHARE, "images": [*"kl"],
     "projects": ["p", "q", "r"]},
]  # fmt: skip
SETTINGS = Settings(
    concurrency=3, attempts=3, min_poll_interval=0.001, max_poll_interval=0.001,
    initial_backoff=0.001, max_backoff=0.001, max_failure_rate=1.0, min_failures=10_000,
)  # fmt: skip


@pytest.mark.parametrize("value", [True, math.inf, math.nan, -1, "3", None, np.int64(3)])
def test_a_setting_is_a_number_that_a_ledger_can_hold(value: Any) -> None:
    """What is no finite number of its range is named before anything is written or sent."""
    assert settings_fault({"outage_timeout": 1.5, "canary": value}).startswith("canary is ")
    assert settings_fault({"outage_timeout": 1.5, "canary": 0}) == ""


class MemoryStore:
    """A ledger that keeps its events in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, kind: str, body: dict[str, Any]) -> Event:
        event = Event(len(self.events) + 1, "2026-01-01T00:00:00Z", kind, body, "", "")
        self.events.append(event)
        return event

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield


class AnyCloud:
    """A cloud, and its session, that answers each call by the dice."""

    timeout = (1.0, 1.0)
    service = "cloud"

    def __init__(self, dice: random.Random, api: str) -> None:
        self.dice, self.api, self.sent = dice, api, 0
        self.transport = self

    def token(self) -> str:
        return "secret"

    def reauthenticate(
        self, refusal: CloudRefusedError, stale: str, attempts: int, since: float
    ) -> float:
        return 0.0

    def resolve_api(self) -> str:
        return self.api

    def mark_batch_missing(self) -> None:
        self.api = "native"

    def call_for(self, chunk: Mapping[str, Any], *, native: bool) -> Call:
        assert not native or len(chunk["images"]) * len(chunk.get("projects", "1")) == 1
        return "PUT", "https://cloud/members", dict(chunk)

    def send(self, call: Call, token: str) -> Accepted:
        self.sent += 1
        code, http = self.dice.choice(
            [("", 200)] * 4 + [("IMG.0046", 400), ("HTTP503", 503), ("HTTP401", 401),
                               ("HTTP404", 404), ("IMG.0060", 400), ("lost", 0), ("unsent", 0)]
        )  # fmt: skip
        if code in ("lost", "unsent"):
            raise NoResponseError(code, sent=code == "lost")
        if code:
            raise CloudRefusedError("no", http=http, code=code, retry_after=0.0)
        state = self.dice.choice([ACCEPTED, "pending"]) if self.api == "native" else ""
        return Accepted(200, "req-1", self.dice.choice(["job-1", "job-1", ""]), state)

    def job(self, job_id: str) -> JobState:
        kind = self.dice.choice(["done", "done", "failed", "running", "partly"])
        if kind == "partly":
            return JobState(done=True, failed=False, status="SUCCESS", results={"a": False})
        return JobState(done=kind == "done", failed=kind == "failed", status=kind.upper())


@pytest.mark.parametrize("good", [True, False])
def test_what_a_job_says_of_others_counts_neither_way(good: bool) -> None:
    """Results for images, or projects of an image, that nobody asked about are not heard."""
    ours = RequestLog(CHUNKS).current()[2]
    foreign = {("z", "p"): good, ("k", "other"): good}
    said = JobState(done=True, failed=False, status="", results={"y": good}, pairs=foreign)
    assert _results(ours, said) == {}
    said = replace(said, pairs={**foreign, ("k", "p"): good}, results={"l": not good})
    named = {("q", "l"): not good, ("p", "l"): not good, ("r", "l"): not good, ("p", "k"): good}
    assert _results(ours, said) == named


@pytest.mark.parametrize("api", ["batch", "native"])
@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_cloud_answers(seed: int, api: str) -> None:
    """Each request ends, each share is in one request, and a replay gives the very same log."""
    cloud, store, log = AnyCloud(random.Random(seed), api), MemoryStore(), RequestLog(CHUNKS)
    shares = sorted(share for request in log.current() for share in request.shares)
    recorder = Recorder(store, log)
    dispatcher = Dispatcher(recorder, {"m" * 32: cloud, "o" * 32: cloud}, SETTINGS)
    dispatcher.run(lambda: None)
    left = () if dispatcher.stopped_because is None else ("planned", "running")
    assert {request.state for request in log.requests.values()} <= {*FINAL_STATES, *left}
    assert sorted(share for request in log.current() for share in request.shares) == shares
    assert cloud.sent == log.calls["submit"]
    replay = RequestLog(CHUNKS, store.events)
    assert repr(replay.requests) == repr(log.requests)
    assert (replay.calls, replay.done_images) == (log.calls, log.done_images)
    assert "secret" not in repr(store.events)


class PartlyBusy(AnyCloud):
    """A cloud whose jobs fail with a passing fault, and name the images that are done."""

    def __init__(self) -> None:
        super().__init__(random.Random(1), "batch")
        self.carried: list[list[str]] = []

    def send(self, call: Call, token: str) -> Accepted:
        body = call[2] or {}
        self.carried.append(list(body["images"]))
        return Accepted(200, "req-1", f"job-{len(self.carried)}")

    def job(self, job_id: str) -> JobState:
        images = self.carried[int(job_id.removeprefix("job-")) - 1]
        if len(images) == 1:
            return JobState(done=True, failed=False, status="SUCCESS")
        results = {image: n < len(images) // 2 for n, image in enumerate(images)}
        return JobState(done=False, failed=True, status="FAIL", code="IMG.0014", results=results)


def test_only_the_bad_images_of_a_job_are_tried_again() -> None:
    """Images that a failed job names as done are settled, and the others alone are sent again."""
    cloud, store, log = PartlyBusy(), MemoryStore(), RequestLog(CHUNKS[:1])
    dispatcher = Dispatcher(Recorder(store, log), {"m" * 32: cloud}, SETTINGS)
    dispatcher.settings = replace(SETTINGS, attempts=8)
    dispatcher.run(lambda: None)
    assert [len(images) for images in cloud.carried] == [8, 4, 2, 1]
    for request in log.current():
        assert {request.reported(share) for share in request.shares} == {"success"}
    replay = RequestLog(CHUNKS[:1], store.events)
    assert repr(replay.requests) == repr(log.requests)


def test_a_quota_is_learnt_from_its_refusal() -> None:
    """Once an image is shared with as many projects as Glance allows, no further one is asked."""
    cloud = AnyCloud(random.Random(1), "native")
    chunk = {**CHUNKS[2], "images": ["k"], "projects": [f"p{n}" for n in range(20)]}
    full = CloudRefusedError("Attempted: 3, Maximum: 2", http=413, code="HTTP413")

    def send(call: Call, token: str) -> Accepted:
        cloud.sent += 1
        if cloud.sent > 2:
            raise full
        return Accepted(200, "req-1", state="pending")

    log, store = RequestLog([chunk]), MemoryStore()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud, "send", send)
        settings = replace(SETTINGS, concurrency=1)
        Dispatcher(Recorder(store, log), {"o" * 32: cloud}, settings).run(lambda: None)
    assert cloud.sent == 3
    failed = [r for r in log.current() if r.state == "refused"]
    assert len(failed) == 18
    assert all("Maximum: 2" in request.response.reason for request in failed)


class DownCloud(AnyCloud):
    """A cloud that is down, busy for longer than is waited for, or whose address redirects."""

    service = "another cloud"

    def __init__(self, error: CloudError) -> None:
        super().__init__(random.Random(1), "batch")
        self.error = error

    def send(self, call: Call, token: str) -> Accepted:
        self.sent += 1
        raise self.error


class WellCloud(PartlyBusy):
    """A cloud that does what it is asked to."""

    def job(self, job_id: str) -> JobState:
        return JobState(done=True, failed=False, status="SUCCESS")


@pytest.mark.parametrize(
    "error",
    [NoResponseError("down"), NoResponseError("no connection", sent=False),
     CloudRefusedError("down", http=503, code="HTTP503", retry_after=3_600.0),
     CloudRefusedError("busy", http=429, code="HTTP429", retry_after=36_000.0),
     CloudError("redirects elsewhere")],
)  # fmt: skip
def test_a_service_that_is_down_is_down_alone(error: CloudError) -> None:
    """The projects of another service are sent to their end; those of the first one are left."""
    chunks = [{**CHUNKS[1], "chunk": n, "project_id": project * 32, "projects": [project * 32]}
              for n, project in enumerate("dw" * 12, 1)]  # fmt: skip
    down, well, log = DownCloud(error), WellCloud(), RequestLog(chunks)
    clouds = {"d" * 32: down, "w" * 32: well}
    settings = replace(SETTINGS, outage_timeout=0.01, attempts=6)
    dispatcher = Dispatcher(Recorder(MemoryStore(), log), clouds, settings)
    dispatcher.run(lambda: None)
    states = {name: {r.state for r in log.current() if r.project_id == name * 32} for name in "dw"}
    assert states["w"] == {"done"}
    assert states["d"].isdisjoint({"done", "refused"})
    assert dispatcher.stopped_because is None
    assert not any(dispatcher.is_recoverable(why) for why in dispatcher.left.values()
                   if isinstance(why, CloudError))  # fmt: skip
