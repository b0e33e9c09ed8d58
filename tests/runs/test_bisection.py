"""Bad images are found with few requests, and no good one fails with them."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import islice, product
from math import ceil, log2
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.core.brakes import FailureLimit
from sharekit.core.errors import CloudRefusedError
from sharekit.ledger.ledger import Event
from sharekit.runs import submit
from sharekit.runs.bisection import Bisector
from sharekit.runs.requests.log import Request, RequestLog, Share, ShareBlock, split_event
from tests.conftest import FAST, World

COMMON = {"region": "", "project_id": "0" * 32, "status": "accepted", "vault_id": "",
          "whole_image": ""}  # fmt: skip


class Desk:
    """Sends requests to a cloud that refuses every request with a bad share in it."""

    def __init__(
        self, blocks: Sequence[ShareBlock], bad: Collection[Share], flying: int = 1,
        code: str = "IMG.0046",
    ) -> None:  # fmt: skip
        chunks = [{"chunk": n, **COMMON, **block.body} for n, block in enumerate(blocks, 1)]
        self.bad, self.flying = set(bad), flying
        self.refusal = CloudRefusedError("not available", http=400, code=code)
        self.log = RequestLog(chunks)
        self.waiting = deque(self.log.requests.values())
        self.bisector = Bisector(self.log, self, threading.RLock(), FailureLimit())

    @classmethod
    def of_images(cls, sizes: Sequence[int], bad: Collection[int], flying: int = 8) -> Desk:
        """One project decides on so many images in each request."""
        images, project = iter(range(sum(sizes))), COMMON["project_id"]
        texts = [tuple(str(n) for n in islice(images, size)) for size in sizes]
        blocks = [ShareBlock(images, (project,)) for images in texts]
        return cls(blocks, [(project, str(n)) for n in bad], flying)

    def note(self, kind: str, request: Request, **body: Any) -> None:
        self.log.apply(Event(0, "", kind, {"chunk": request.chunk, **body}, "", ""))

    def send_next(self, request: Request) -> None:
        self.waiting.appendleft(request)

    def split(self, request: Request, blocks: Sequence[ShareBlock], why: str) -> list[Request]:
        self.note("split", request, **split_event(request, blocks), why=why)
        return self.log.children(request, len(blocks))

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
        ended = self.log.current()
        assert all(request.state == "done" or request.size == 1 for request in ended)
        assert {s for r in ended if r.state == "refused" for s in r.shares} == self.bad
        return self.log.calls["submit"]

    def answer(self, request: Request) -> None:
        """The cloud's yes or no to one request."""
        if self.bad.isdisjoint(request.shares):
            self.note("answer", request, job_id="j")
            self.note("job_done", request, results={})
            self.bisector.on_finished(request)
        else:
            self.note("refused", request, code=self.refusal.code)
            self.bisector.on_refused(request, self.refusal)


@pytest.mark.parametrize("size", [*range(2, 70), 100, 127, 500])
def test_one_bad_image(size: int) -> None:
    """Wherever it stands among n, one bad image costs 2·log2(n) further requests at the most."""
    for bad in range(size):
        desk = Desk.of_images([size], [bad])
        assert desk.work() - 1 <= 2 * log2(size)


def test_one_in_a_thousand() -> None:
    """One bad image in a thousand, in chunks of 50, costs 11 further requests at the most."""
    for bad in range(0, 1000, 7):
        desk = Desk.of_images([50] * 20, [bad])
        assert desk.work() - 20 <= 2 * log2(50)


@pytest.mark.parametrize("chunk", [5, 10, 50, 200, 1000])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_many_bad_images(share: float, chunk: int) -> None:
    """With up to 30 % bad images there is never more than one request for each image."""
    for seed in range(8):
        bad = random.Random(seed).sample(range(1000), int(1000 * share))
        desk = Desk.of_images([chunk] * (1000 // chunk), bad)
        requests = desk.work()
        assert requests <= 1000, seed


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_any_images(sizes: list[int], data: st.DataObject) -> None:
    """Whatever is bad: exactly that fails, with not much more than a request for each image."""
    bad = data.draw(st.sets(st.integers(0, sum(sizes) - 1)))
    desk = Desk.of_images(sizes, bad, data.draw(st.integers(1, 16)))
    requests = desk.work()
    assert requests <= 2 * sum(sizes)


def block(images: int, projects: int) -> ShareBlock:
    """So many images, each with so many projects."""
    return ShareBlock(
        tuple(f"i{n}" for n in range(images)), tuple(f"p{n}" for n in range(projects))
    )


@pytest.mark.parametrize(("images", "projects"), [(1, 50), (50, 1), (25, 2), (7, 7), (2, 25)])
def test_one_bad_share(images: int, projects: int) -> None:
    """One bad share, image or project costs few requests: never more than one for each share."""
    for image, project in product(range(images), range(projects)):
        desk = Desk([block(images, projects)], [(f"p{project}", f"i{image}")])
        assert desk.work() - 1 <= 2 * (ceil(log2(images)) + ceil(log2(projects)))
    for image in range(images):
        bad = [(f"p{n}", f"i{image}") for n in range(projects)]
        assert Desk([block(images, projects)], bad).work() <= 2 * log2(images) + 2 * projects + 1
    for project in range(projects):
        bad = [(f"p{project}", f"i{n}") for n in range(images)]
        assert (
            Desk([block(images, projects)], bad, code="IMG.0030").work()
            <= 2 * log2(projects) + 2 * images + 1
        )


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_shares(images: int, projects: int, data: st.DataObject) -> None:
    """Whatever is bad, exactly that fails, with not much more than a request for each share."""
    every = list(product([f"p{n}" for n in range(projects)], [f"i{n}" for n in range(images)]))
    bad = data.draw(st.sets(st.sampled_from(every)))
    code = data.draw(st.sampled_from(["IMG.0046", "IMG.0030"]))
    assert Desk([block(images, projects)], bad, code=code).work() <= 2 * len(every)


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
