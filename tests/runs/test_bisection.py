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
from sharekit.runs.bisection import Isolation
from sharekit.runs.request_log import History, Part, Piece, split_into
from sharekit.runs.settings import Settings
from tests.conftest import FAST, World

COMMON = {"region": "", "project_id": "0" * 32, "status": "accepted", "vault_id": "",
          "whole_image": ""}  # fmt: skip
NO = CloudRefusedError("not available", http=400, code="IMG.0046")


class Desk:
    """Sends pieces to a cloud that refuses every request with a bad image in it."""

    def __init__(self, sizes: Sequence[int], bad: Collection[int], flying: int = 8) -> None:
        images = [str(n) for n in range(sum(sizes))]
        ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
        chunks = [
            {"chunk": n + 1, **COMMON, "images": images[ends[n] : ends[n + 1]]}
            for n in range(len(sizes))
        ]
        self.bad, self.flying = {str(n) for n in bad}, flying
        self.history = History(chunks)
        self.waiting = deque(self.history.pieces.values())
        self.isolation = Isolation(
            self.history, self.waiting.appendleft, self.split, self.fail, threading.RLock()
        )

    def note(self, kind: str, piece: Piece, **body: Any) -> None:
        self.history.apply(Event(0, "", kind, {"chunk": piece.chunk, **body}, "", ""))

    def split(self, piece: Piece, parts: Sequence[Part], why: str) -> None:
        self.note("split", piece, **split_into(piece, parts), why=why)

    def fail(self, piece: Piece, code: str, reason: str) -> None:
        self.note("dropped", piece, code=code, reason=reason)

    def work(self) -> int:
        """Until nothing waits, with some requests under way at once; returns the requests."""
        flying: deque[Piece] = deque()
        while self.waiting or flying:
            while self.waiting and len(flying) < self.flying:
                piece = self.waiting.popleft()
                if not self.isolation.cut_first(piece):
                    self.note("intent", piece, images=list(piece.images))
                    flying.append(piece)
            if flying:
                self.answer(flying.popleft())
        return self.history.requests["submit"]

    def answer(self, piece: Piece) -> None:
        """The cloud's yes or no to one request."""
        if self.bad.isdisjoint(piece.images):
            self.note("answer", piece, job_id="j")
            self.note("job-done", piece, results={})
            self.isolation.settled(piece)
        else:
            self.note("refused", piece, code=NO.code)
            self.isolation.refused(piece, NO)

    def failed(self) -> set[str]:
        """The images that ended refused; every other one must have passed."""
        assert all(piece.state in ("done", "refused") for piece in self.history.leaves())
        pieces = self.history.in_state("refused")
        assert all(len(piece.images) == 1 for piece in pieces)
        return {image for piece in pieces for image in piece.images}


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
    original = submit.take

    def take_then_delete(*args: object, **kwargs: object) -> object:
        seen = original(*args, **kwargs)  # type: ignore[arg-type]
        for image in victims:
            w.cloud.delete_image(image)
        return seen

    with pytest.MonkeyPatch.context() as patch:
        # The shares must vanish between the last look and the requests.
        patch.setattr("sharekit.runs.submit.take", take_then_delete)
        run = sharekit.submit(plan, w.connect(), settings=FAST)
    failed = run.plan.rows.loc[run.rows["outcome"] == "failed", "image_id"]
    assert sorted(failed) == sorted(victims)
    assert run.counts["confirmed"] == len(rows) - bad
    assert (run.rows.loc[failed.index, "reason"] != "").all()
    assert run.requests["submit"] <= most - 20 + len(plan.chunks)


def test_a_long_good_run_is_looked_at_once() -> None:
    """After any number of good images the share of the latest is found by one look at each."""
    bench = Desk([1], [])
    for _ in range(200_000):
        bench.isolation._met(1, 0)
    assert bench.isolation.failing(Settings()) == ""
    for _ in range(500):
        bench.isolation._met(0, 1)
    assert bench.isolation.failing(Settings()).startswith("500 of the latest 500 images")
