"""What slows a run down or stops it, by a clock that the test turns."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from sharekit.core.errors import CloudError, CloudRefusedError, NoResponseError
from sharekit.runs.brakes import (
    AdaptiveConcurrency,
    CircuitBreaker,
    Failure,
    FailureLimits,
    FinishedImages,
    backoff,
)
from sharekit.runs.settings import Settings

BUSY = CloudRefusedError("wait", http=429, code="HTTP429")
FAILURE = Failure("1", "p", ("a",), "IMG.0046", "not available")


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
    breaker = CircuitBreaker(60, clock)
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
    settings = Settings(initial_backoff=1, max_backoff=8)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (4, 8), (30, 8)):
        assert all(longest / 2 <= backoff(settings, attempt) <= longest for _ in range(50))
    assert backoff(settings, 1, 20) == 20


@pytest.mark.parametrize(
    ("good", "bad", "open_jobs", "why"),
    [(0, 13, 0, "the first 13 finished images have all failed"), (0, 13, 1, ""), (1, 13, 0, ""),
     (0, 12, 0, ""), (24, 26, 0, ""), (4, 46, 0, "46 of the last 50 finished images have failed")],
)  # fmt: skip
def test_failures_that_stop_a_run(good: int, bad: int, open_jobs: int, why: str) -> None:
    """Where nothing succeeds a run stops soon, and where nearly everything fails after a while."""
    finished = FinishedImages()
    limits = FailureLimits(replace(Settings(), failure_window=50), 1_000, 0, finished)
    for _ in range(good):
        finished.record(1, 0)
    for _ in range(bad):
        finished.record(0, 1)
    reason = limits.record(FAILURE, lambda: open_jobs)
    assert reason.partition(", the last with: ")[0] == why


def test_the_failure_rate_stops_a_run() -> None:
    """More failures than the rate allows, and than the minimum, stop a run."""
    limits = FailureLimits(Settings(max_failure_rate=0.5, min_failures=2), 8, 0, FinishedImages())
    reasons = [limits.record(FAILURE, lambda: 0) for _ in range(5)]
    assert reasons == ["", "", "", "", "5 of 8 images have failed, more than the limit of 50%"]


def test_slowing_down_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log says how far a run was slowed down, and why."""
    with caplog.at_level(logging.INFO, "sharekit.runs"):
        AdaptiveConcurrency(8).on_error(BUSY, 1e12)
    assert caplog.messages == ["at most 4 requests at once now: the cloud is busy (HTTP429)"]
