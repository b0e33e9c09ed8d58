"""What slows a run down or stops it, by a clock that the test turns."""

from __future__ import annotations

import _thread
import logging
import threading
from concurrent.futures import Future
from pathlib import Path
from time import monotonic

import pytest

from sharekit.core import brakes
from sharekit.core.brakes import (
    BRAKES,
    WAITS,
    AdaptiveConcurrency,
    CircuitBreaker,
    FailureLimit,
    Pool,
    RateLimiter,
    Waits,
    backoff,
    excess,
    wait_for,
    waiting_by,
)
from sharekit.core.cloud_api import Remedy
from sharekit.core.errors import CloudError, CloudRefusedError, NoResponseError, StoppedError

BUSY = CloudRefusedError("wait", http=429, code="HTTP429")


class Hands:
    """A clock that goes only where the test turns it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_busy_cloud_halves_the_limit_and_successes_raise_it() -> None:
    """Each round of requests that meets a busy cloud halves the limit once, down to one."""
    clock = Hands()
    concurrency = AdaptiveConcurrency(8, clock)
    assert concurrency.describe() == ""
    for limit in (4, 2, 1, 1):
        began = clock.now
        clock.now += 1
        for _ in range(8):
            concurrency.on_error(BUSY, began)
        assert concurrency.limit == limit
    assert concurrency.describe() == "slowed down to 1 of 8 at once: the cloud is busy (HTTP429)"
    for _ in range(100):
        concurrency.on_duration("a response", clock.now, 60, succeeded=True)
    assert concurrency.limit == 8


def test_only_what_is_slow_or_busy_slows_down() -> None:
    """A response within a third of its timeout, a lost one or another refusal changes nothing."""
    clock = Hands()
    concurrency = AdaptiveConcurrency(8, clock)
    concurrency.on_duration("a response", clock.now - 20, 60, succeeded=True)
    concurrency.on_error(CloudRefusedError("no", http=400, code="IMG.0046"), clock.now)
    concurrency.on_error(NoResponseError("gone", sent=True), clock.now)
    assert concurrency.limit == 8
    concurrency.on_duration("a response", clock.now - 21, 60, succeeded=True)
    assert concurrency.describe().endswith("a response took longer than 20 s")


def test_the_circuit_breaker_opens_after_an_outage_only() -> None:
    """Five failures in a row that last as long as the outage timeout, and no useful response."""
    clock = Hands()
    breaker = CircuitBreaker(60, clock=clock)
    assert not any(breaker.record_failure() for _ in range(20))
    clock.now += 59
    assert not breaker.record_failure()
    breaker.record_success()
    assert not any(breaker.record_failure() for _ in range(4))
    clock.now += 60
    assert breaker.record_failure()
    assert breaker.only_failures(5)
    assert not breaker.only_failures(6)


def test_what_another_call_can_resume() -> None:
    """A cloud that was lost after it worked is recoverable; a refusal of the caller is not."""
    breaker = CircuitBreaker(60)
    assert not breaker.is_recoverable(CloudError("down"))
    breaker.record_success()
    assert breaker.is_recoverable(CloudError("down"))
    assert not breaker.is_recoverable(CloudRefusedError("no", http=403, code="HTTP403"))
    assert not breaker.is_recoverable(ValueError("ours"))


def test_backoff_grows_to_its_maximum_and_keeps_retry_after() -> None:
    """Waits double from the first to the longest, with jitter; Retry-After is never undercut."""
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (4, 8), (30, 8), (5_000, 8)):
        assert all(longest / 2 <= backoff(1, 8, attempt) <= longest for _ in range(50))
    assert backoff(1, 8, 1, 20) == 20


def test_a_wait_beyond_its_limit_is_not_begun() -> None:
    """Flow control and anything else have limits of their own, whoever asks for the wait."""
    waits = Waits(busy_timeout=100, outage_timeout=10)
    assert excess(Remedy.WAIT, 50, 50, waits) == ""
    assert "beyond the limit of 100 s for flow control" in excess(Remedy.WAIT, 50, 51, waits)
    assert excess(Remedy.RETRY, 0, 10, waits) == ""
    assert "beyond the limit of 10 s for an outage" in excess(Remedy.RETRY, 0, 3_600, waits)


def test_a_wait_that_comes_counts_for_the_outage() -> None:
    """A cloud that five times asks for a wait beyond the outage timeout is down at once."""
    breaker = CircuitBreaker(60, clock=Hands())
    assert not any(breaker.record_failure(3_600) for _ in range(4))
    assert breaker.record_failure(3_600)


@pytest.mark.parametrize(
    ("good", "bad", "open_images", "stops"),
    [(0, 20, 0, False), (0, 21, 0, True), (0, 21, 21, False), (21, 21, 0, False),
     (20, 21, 0, True), (900, 100, 0, False)],
)  # fmt: skip
def test_failures_that_stop_a_run(good: int, bad: int, open_images: int, stops: bool) -> None:
    """More than the rate of the finished images, and than the minimum; open jobs may succeed."""
    limit = FailureLimit(0.5, 20)
    limit.record(good, bad)
    reason = limit.exceeded(lambda: open_images)
    assert bool(reason) == stops
    assert not reason or reason.startswith(f"{bad} of the {good + bad} images that finished")


def test_a_rate_of_one_never_stops_a_run() -> None:
    """Who allows all images to fail is not stopped by failures."""
    limit = FailureLimit(1.0, 0)
    limit.record(0, 1_000)
    assert limit.exceeded(lambda: 0) == ""


def test_waits_end_with_the_caller_and_are_shown() -> None:
    """A wait shows its cause and its end, and ends at once when the caller stops."""
    stop = threading.Event()
    waits, began = Waits(stopping=stop.is_set), monotonic()
    waits.begin(0.01, "short")
    with waiting_by(waits), Pool(1) as pool:
        job = pool.submit(lambda: WAITS.get().rest(3_600, "the cloud asks for it"))
        while not waits.describe().endswith("UTC: the cloud asks for it"):
            assert monotonic() - began < 60
        threading.Timer(0.05, stop.set).start()  # after the end of the short one
        with pytest.raises(StoppedError):
            job.result()
    assert monotonic() - began < 60
    assert waits.describe() == ""
    with pytest.raises(StoppedError):
        waits.rest(0.0, "another")


def test_a_stop_in_the_moment_a_wait_begins_ends_it() -> None:
    """A stop that comes after a wait is decided on, and before its first look, is not missed."""
    asked = iter([False])
    with pytest.raises(StoppedError):
        Waits(stopping=lambda: next(asked, True)).rest(3.0, "an outage")


def test_an_error_of_the_caller_ends_the_waits_of_its_threads() -> None:
    """Ctrl-C in the thread that reads ends what its threads wait for, the rate limit as well."""
    limiter, began = RateLimiter(0.001), monotonic()
    limiter.wait()
    jobs: list[Future[None]] = []

    def inside() -> None:
        with Pool(1) as inner:
            inner.submit(limiter.wait).result()

    def read() -> None:
        with Pool(2) as outer:
            jobs.append(outer.submit(inside))
            jobs.append(outer.submit(lambda: WAITS.get().rest(3_600, "an hour")))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read()
    assert monotonic() - began < 60
    assert all(job.cancelled() or isinstance(job.exception(), StoppedError) for job in jobs)


def test_reading_after_a_stop_keeps_its_pace() -> None:
    """What is read back after a stop waits for its turn, but for nothing else."""
    limiter = RateLimiter(20)
    with waiting_by(Waits(stopping=lambda: True)):
        began = monotonic()
        for _ in range(3):
            limiter.wait()
    assert monotonic() - began >= 0.09


def test_there_are_five_brakes_and_the_docs_name_each() -> None:
    """The table of the docs has one line for each brake, and there are five at the most."""
    assert len(BRAKES) <= 5
    page = (Path(brakes.__file__).parents[2] / "docs" / "reference" / "states.md").read_text(
        encoding="utf-8"
    )
    _, _, section = page.partition("## What slows a run down or stops it")
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert lines == [f"| {b.name} | {b.effect} | {', '.join(b.settings)} |" for b in BRAKES]


def test_slowing_down_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log says how far a run was slowed down, and why."""
    with caplog.at_level(logging.INFO, "sharekit.waits"):
        AdaptiveConcurrency(8).on_error(BUSY, 1e12)
    assert caplog.messages == ["at most 4 requests at once now: the cloud is busy (HTTP429)"]


def test_an_interrupt_that_wakes_nobody_ends_a_wait() -> None:
    """Ctrl-C ends a wait for an event and for threads also if the lock itself does not see it."""
    ended = threading.Event()

    def wait_for_threads() -> None:
        with Pool(1) as pool:
            list(
                pool.finished(
                    [pool.submit(lambda: WAITS.get().rest(3_600, "an hour")), Future[None]()]
                )
            )

    for wait in (lambda: wait_for(ended), wait_for_threads):
        began = monotonic()
        # This notes an interrupt as a signal does, and leaves a lock that is waited for alone.
        threading.Timer(0.2, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert monotonic() - began < 60
