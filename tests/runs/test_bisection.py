"""Bad images are found with few requests, and no good one fails with them."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from math import log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sharekit
from sharekit.core.errors import CloudRefusedError
from sharekit.ledger.ledger import Event
from sharekit.runs import submit
from sharekit.runs.bisection import Bisector
from sharekit.runs.brakes import Failure, FailureLimits, FinishedImages
from sharekit.runs.request_log import Request, RequestLog, ShareBlock, split_event
from sharekit.runs.settings import Settings
from tests.conftest import FAST, World

COMMON = {"region": "", "project_id": "0" * 32, "status": "accepted", "vault_id": "",
          "whole_image": ""}  # fmt: skip
NO = CloudRefusedError("not available", http=400, code="IMG.0046")


class Desk:
    """Sends requests to a cloud that refuses every request with a bad image in it."""

    def __init__(self, sizes: Sequence[int], bad: Collection[int], flying: int = 8) -> None:
        images = [str(n) for n in range(sum(sizes))]
        ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
        chunks = [
            {
                "chunk": n + 1,
                **COMMON,
                "images": images[ends[n] : ends[n + 1]],
                "projects": [COMMON["project_id"]],
            }
            for n in range(len(sizes))
        ]
        self.bad, self.flying = {str(n) for n in bad}, flying
        self.log = RequestLog(chunks)
        self.waiting = deque(self.log.requests.values())
        self.finished = FinishedImages()
        self.bisector = Bisector(self.log, self, threading.RLock(), self.finished)

    def note(self, kind: str, request: Request, **body: Any) -> None:
        self.log.apply(Event(0, "", kind, {"chunk": request.chunk, **body}, "", ""))

    def send_next(self, request: Request) -> None:
        self.waiting.appendleft(request)

    def split(self, request: Request, blocks: Sequence[ShareBlock], why: str) -> None:
        self.note("split", request, **split_event(request, blocks), why=why)

    def fail_unsent(self, request: Request, code: str, reason: str) -> None:
        self.note("skipped_after_refusal", request, code=code, reason=reason)

    def work(self) -> int:
        """Until nothing waits, with some requests under way at once; returns the requests."""
        flying: deque[Request] = deque()
        while self.waiting or flying:
            while self.waiting and len(flying) < self.flying:
                request = self.waiting.popleft()
                if not self.bisector.presplit(request):
                    self.note("intent", request, **request.block.body)
                    flying.append(request)
            if flying:
                self.answer(flying.popleft())
        return self.log.calls["submit"]

    def answer(self, request: Request) -> None:
        """The cloud's yes or no to one request."""
        if self.bad.isdisjoint(request.block.images):
            self.note("answer", request, job_id="j")
            self.note("job_done", request, results={})
            self.bisector.on_finished(request)
        else:
            self.note("refused", request, code=NO.code)
            self.bisector.on_refused(request, NO)

    def failed(self) -> set[str]:
        """The images that ended refused; every other one must have passed."""
        assert all(request.state in ("done", "refused") for request in self.log.current())
        requests = self.log.in_state("refused")
        assert all(len(request.block.images) == 1 for request in requests)
        return {image for request in requests for image in request.block.images}


@pytest.mark.parametrize("size", [*range(2, 70), 100, 127, 500])
def test_one_bad_image(size: int) -> None:
    """Wherever it stands among n, one bad image costs 2·log2(n) further requests at the most."""
    for bad in range(size):
        desk = Desk([size], [bad])
        assert desk.work() - 1 <= 2 * log2(size)
        assert desk.failed() == {str(bad)}


def test_one_in_a_thousand() -> None:
    """One bad image in a thousand, in chunks of 50, costs 11 further requests at the most."""
    for bad in range(0, 1000, 7):
        desk = Desk([50] * 20, [bad])
        assert desk.work() - 20 <= 2 * log2(50)
        assert desk.failed() == {str(bad)}


@pytest.mark.parametrize("chunk", [5, 10, 50, 200, 1000])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_many_bad_images(share: float, chunk: int) -> None:
    """With up to 30 % bad images there is never more than one request for each image."""
    for seed in range(30):
        bad = random.Random(seed).sample(range(1000), int(1000 * share))
        desk = Desk([chunk] * (1000 // chunk), bad)
        requests = desk.work()
        assert desk.failed() == {str(number) for number in bad}
        assert requests <= 1000, seed


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_any_images(sizes: list[int], data: st.DataObject) -> None:
    """Whatever is bad: exactly that fails, with not much more than a request for each image."""
    bad = data.draw(st.sets(st.integers(0, sum(sizes) - 1)))
    desk = Desk(sizes, bad, data.draw(st.integers(1, 16)))
    requests = desk.work()
    assert desk.failed() == {str(number) for number in bad}
    assert requests <= 2 * sum(sizes)


@pytest.mark.slow
@pytest.mark.parametrize(("bad", "most"), [(1, 20 + 2 * log2(50)), (300, 1000)])
def test_in_a_run(world: Callable[..., World], bad: int, most: float) -> None:
    """The same in a run: images that vanish after the last look fail alone, within the budget."""
    w = world(rows=1000)
    plan = w.approved(chunk_size=50)
    rows = plan.rows[plan.rows["disposition"] == "planned"]
    victims = rows.sample(bad, random_state=1)["image_id"].tolist()
    original = submit.take_snapshot

    def take_then_delete(*args: object, **kwargs: object) -> object:
        seen = original(*args, **kwargs)  # type: ignore[arg-type]
        for image in victims:
            w.cloud.delete_image(image)
        return seen

    with pytest.MonkeyPatch.context() as patch:
        # The shares must vanish between the last look and the requests.
        patch.setattr("sharekit.runs.submit.take_snapshot", take_then_delete)
        run = sharekit.submit(plan, w.connect(), settings=FAST)
    failed = run.plan.rows.loc[run.rows["outcome"] == "failed", "image_id"]
    assert sorted(failed) == sorted(victims)
    assert run.counts["confirmed"] == len(rows) - bad
    assert (run.rows.loc[failed.index, "reason"] != "").all()
    assert run.requests["submit"] <= most - 20 + len(plan.chunks)


def test_a_long_good_run_is_looked_at_once() -> None:
    """After any number of good images the share of the latest is found by one look at each."""
    finished = FinishedImages()
    limits = FailureLimits(Settings(), 200_000, 0, finished)
    failure = Failure("1", "0" * 32, ("a",), "IMG.0046", "not available")
    for _ in range(200_000):
        finished.record(1, 0)
    assert limits.record(failure, lambda: 0) == ""
    for _ in range(500):
        finished.record(0, 1)
    reason = limits.record(failure, lambda: 0)
    assert reason.startswith("500 of the last 500 finished images have failed")
