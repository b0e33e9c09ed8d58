"""Which image spoils a request? Found with few further requests, and without failing a good one.

A refused request is split in two. The first half is sent alone: if it passes, the bad image is in
the second half, which is split again without being sent; if not, the second half is sent too. One
bad image among n costs 2·log2(n) further requests at the most. Where many images are bad, halves
are wasted: then batches get as small as what was learned so far suggests, down to single images.
A block of images and projects is split by images first, then by projects; the other way round
where the cloud blames a project. What is counted are shares.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from sharekit.core.brakes import FailureLimit
from sharekit.core.cloud_api import BLAMES_PROJECT
from sharekit.core.errors import CloudRefusedError

from .requests.log import Request, RequestLog, ShareBlock

# Known results of group testing; what they leave open was chosen so that up to 30 % bad images
# never cost more than one request for each image (tests/runs/test_bisection.py).
#: Finished images before their share of bad ones says anything.
_ENOUGH = 20
#: Above this share of bad images, (3 - √5) / 2, single requests are cheapest of all.
_ALONE = 0.38
#: Below it, the expected number of bad images in a batch that passes half the time: ln 2.
_HALF = 0.7
#: Share of the requests, at one for each image, after which none is spent on proving one bad.
_RESERVE = 0.9
#: Where both halves were refused, several images are bad: the number of parts to split into next.
_FINER = 8


class Sending(Protocol):
    """What a bisector needs of whoever sends the requests."""

    def send_next(self, request: Request) -> None:
        """Send a request before those that still wait."""

    def split(self, request: Request, blocks: Sequence[ShareBlock], why: str) -> list[Request]:
        """Record that a request is split; return the new requests."""

    def fail_unsent(self, request: Request, code: str, reason: str) -> None:
        """Record that a request failed although it was not sent."""


class Bisector:
    """What is known of bad images in one run, and the search for them."""

    def __init__(
        self, log: RequestLog, sending: Sending, lock: threading.RLock, limit: FailureLimit
    ) -> None:
        self._log, self._sending, self._lock, self._limit = log, sending, lock, limit
        self._images = sum(request.size for request in log.current())
        #: First half under way -> the second half, and the refusal of both together.
        self._waiting: dict[str, tuple[Request, CloudRefusedError]] = {}
        #: Second halves that were sent because the first had failed, too.
        self._second: set[str] = set()

    def batch_size(self) -> int:
        """Return how many images to send together, by what is known now."""
        bad, known = self._limit.bad, self._limit.good + self._limit.bad
        share = bad / known if known >= _ENOUGH else 0.0
        return 1 if share > _ALONE else max(2, int(_HALF / share)) if share else self._images

    def presplit(self, request: Request) -> bool:
        """Split a request before it is sent, if it is so large that it would surely be refused."""
        with self._lock:
            size = self.batch_size()
            if request.attempts or request.size <= max(2 * size, 2) - (size == 1):
                return False
            blocks = request.block.chunked(size)
            self._send_parts(request, blocks, "so many of the others were refused")
            self.on_finished(request)
            return True

    def on_refused(self, request: Request, refusal: CloudRefusedError) -> None:
        """Continue after a refusal that one image may have caused."""
        with self._lock:
            if request.size == 1:
                self._limit.record(0, 1)
            else:
                self._bisect(request, refusal)
            self.on_finished(request)

    def on_finished(self, request: Request) -> None:
        """Note the end of a request; the second half of its parent may have waited for it."""
        with self._lock:
            passed = request.state == "done" and all(request.results.values())
            if request.state == "done":
                failed = sum(not good for good in request.results.values())
                self._limit.record(request.size - failed, failed)
            if request.chunk not in self._waiting:
                return
            second, refusal = self._waiting.pop(request.chunk)
            if passed:
                self._blame(second, refusal)
            else:
                self._second.add(second.chunk)
                self._sending.send_next(second)

    def _blame(self, request: Request, refusal: CloudRefusedError) -> None:
        """Continue with images one of which is bad, since the others passed without them."""
        if request.size > 1:
            self._bisect(request, refusal)
        elif self._budget_spent():
            self._limit.record(0, 1)
            reason = f"refused together with others, which passed without it: {refusal}"
            self._sending.fail_unsent(request, refusal.code, reason)
        else:
            self._sending.send_next(request)

    def _bisect(self, request: Request, refusal: CloudRefusedError) -> None:
        by_project = refusal.code in BLAMES_PROJECT
        why = f"{refusal.code}: one {'project' if by_project else 'image'} may be bad"
        half = request.size // 2
        several = request.chunk in self._second
        size = min(self.batch_size(), max(2, request.size // _FINER) if several else half)
        if size < half:
            self._send_parts(request, request.block.chunked(size, by_project=by_project), why)
            return
        halves = request.block.halves(by_project=by_project)
        first, second = self._sending.split(request, halves, why)
        self._waiting[first.chunk] = (second, refusal)
        self._sending.send_next(first)

    def _send_parts(self, request: Request, blocks: Sequence[ShareBlock], why: str) -> None:
        for part in self._sending.split(request, blocks, why):
            self._sending.send_next(part)

    def _budget_spent(self) -> bool:
        """Return True if many images are bad and no request is left, at one for each image."""
        unfinished = self._images - self._limit.good - self._limit.bad
        spent = self._log.calls["submit"] + unfinished > _RESERVE * self._images
        return spent and self.batch_size() <= _FINER
