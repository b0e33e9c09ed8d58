"""What slows a run down or stops it: one place for every limit but the canary and the rate limit.

===================  ============================================================================
brake                what it does
===================  ============================================================================
adaptive concurrency fewer requests at once while the cloud is busy or slow
backoff              the wait before a request is sent again; ``Retry-After`` is kept
circuit breaker      stops a run whose cloud gives no useful response any more
failure limits       stop a run in which too many images fail
===================  ============================================================================

The canary is in :mod:`.submit`; the rate limit is part of a cloud's HTTP client.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from sharekit.core.cloud_api import FLOW_CONTROL, FORBIDDEN_CODES
from sharekit.core.errors import CloudError, CloudRefusedError, NoResponseError, SignInError

from .settings import Settings

LOG = logging.getLogger("sharekit.runs")
#: A clock that only goes forward, in seconds; tests have one of their own.
Clock = Callable[[], float]
#: A response or a job that takes this share of its timeout is slow. It leaves time to slow down
#: before the first timeout, which would leave images unknown.
_SLOW = 1 / 3
#: HTTP statuses of a service that is busy.
_BUSY = frozenset({429, 503, 504})
#: Failures in a row, at least, before a cloud counts as down: a few come from one faulty node.
_FAILURES = 5
#: Latest failures that are kept, to be shown while a run is under way.
LATEST = 100
#: Images that may fail before any has succeeded; the next one stops the run. Those of a project or
#: vault that is refused as a whole do not count.
_NOTHING_SUCCEEDED = 13
#: Share of the last ``failure_window`` images that may fail, however many an operator allows.
_NEARLY_ALL = 0.9


class AdaptiveConcurrency:
    """Number of requests that may be under way at once, learned from responses and jobs.

    It is halved for a cloud that is slow or busy, and grows by one for each round of successes.
    """

    def __init__(self, maximum: int, clock: Clock = monotonic) -> None:
        self.maximum = maximum
        self.limit = float(maximum)
        self._reason = ""
        self._lowered_at = 0.0
        self._clock = clock
        self._lock = threading.Lock()

    def describe(self) -> str:
        """Return how far and why the run is slowed down; "" if it is not."""
        now = int(self.limit)
        if now >= self.maximum:
            return ""
        return f"slowed down to {now} of {self.maximum} at once: {self._reason}"

    def on_duration(self, name: str, began: float, timeout: float, *, succeeded: bool) -> None:
        """Learn from how long a response or a job took, or takes so far."""
        if self._clock() - began > timeout * _SLOW:
            self._lower(began, f"{name} took longer than {timeout * _SLOW:.3g} s")
        elif succeeded and self.limit < self.maximum:
            with self._lock:
                self.limit = min(float(self.maximum), self.limit + 1 / self.limit)

    def on_error(self, error: NoResponseError | CloudRefusedError, began: float) -> None:
        """Slow down if this is what a busy service says."""
        if isinstance(error, CloudRefusedError) and (
            error.http in _BUSY or error.code == FLOW_CONTROL
        ):
            self._lower(began, f"the cloud is busy ({error.code})")

    def _lower(self, began: float, reason: str) -> None:
        with self._lock:
            self._reason = reason
            if began < self._lowered_at:
                return  # what began before the limit was lowered says nothing new
            self.limit, self._lowered_at = max(1.0, self.limit / 2), self._clock()
        LOG.info("at most %d requests at once now: %s", self.limit, reason)


def backoff(settings: Settings, attempt: int, retry_after: float | None = None) -> float:
    """Return the seconds to wait before attempt ``attempt`` (1 for the second), with jitter."""
    wait = min(settings.max_backoff, settings.initial_backoff * 2.0 ** (attempt - 1))
    return max(retry_after or 0.0, wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


class CircuitBreaker:
    """Tells a cloud that is down from one that stumbles: no useful response for too long.

    ``heard`` is True once any useful response came.
    """

    def __init__(self, outage_timeout: float, clock: Clock = monotonic) -> None:
        self.outage_timeout = outage_timeout
        self.heard = False
        self._failures = 0
        self._since = 0.0
        self._clock = clock
        self._lock = threading.Lock()

    def record_success(self) -> None:
        """Note a useful response, be it a refusal."""
        self._failures, self.heard = 0, True

    def record_failure(self) -> bool:
        """Note a failure; return True if the cloud is down."""
        with self._lock:
            self._since = self._since if self._failures else self._clock()
            self._failures += 1
            lasted = self._clock() - self._since
            return self._failures >= _FAILURES and lasted >= self.outage_timeout

    def only_failures(self, attempts: int) -> bool:
        """Return True if at least so many failures came, and nothing else between them."""
        return self._failures >= attempts

    def is_recoverable(self, error: Exception) -> bool:
        """Return True if a cloud that worked was lost, so that the same call can resume later.

        A refusal of the caller (sign-in, rights), or a cloud that never gave a useful response,
        needs a person first.
        """
        denied = isinstance(error, SignInError) or (
            isinstance(error, CloudRefusedError)
            and (error.http == 403 or error.code in FORBIDDEN_CODES)
        )
        return self.heard and isinstance(error, CloudError) and not denied


def outage_error(error: NoResponseError | CloudRefusedError) -> CloudError:
    """Return the error of a cloud that is down, with its last failure."""
    last = str(error)
    if isinstance(error, CloudRefusedError):
        last = f"{error.code}: {last}. Run this again later; if it stays so, ask the provider."
    return CloudError(f"the cloud gave no useful response any more, the last was: {last}")


@dataclass(frozen=True)
class Failure:
    """Images of a chunk that failed, with the cloud's code and reason.

    On the owner's side each stands with the project it was to be shared with.
    """

    chunk: str
    project_id: str
    images: tuple[str, ...]
    code: str
    reason: str


class FinishedImages:
    """Number of images whose request ended well or badly, in this call of ``submit``."""

    def __init__(self) -> None:
        self.good = self.bad = 0
        self._ends: deque[tuple[int, int]] = deque()

    def record(self, good: int, bad: int) -> None:
        """Count images of one request."""
        self.good, self.bad = self.good + good, self.bad + bad
        self._ends.append((good, bad))

    def latest(self, window: int) -> tuple[int, int]:
        """Return how many of the last images, at least ``window``, failed, and their number."""
        number = sum(map(sum, self._ends))
        while self._ends and number - sum(self._ends[0]) >= window:
            number -= sum(self._ends.popleft())
        return sum(bad for _, bad in self._ends), number


class FailureLimits:
    """Counts failed images and tells when there are too many.

    Attributes
    ----------
    failed : int
        Number of images that failed.
    latest : deque of Failure
        The latest failures, oldest first.
    """

    def __init__(
        self, settings: Settings, images: int, unsettled: int, finished: FinishedImages
    ) -> None:
        """Begin; ``images`` are all of the run, ``unsettled`` those that an earlier call sent."""
        self.failed = 0
        self.latest: deque[Failure] = deque(maxlen=LATEST)
        self._settings, self._images, self._finished = settings, max(1, images), finished
        # What an earlier call sent says nothing of the cloud as it is now.
        self._enough = _NOTHING_SUCCEEDED + unsettled

    def record(self, failure: Failure, open_jobs: Callable[[], int]) -> str:
        """Count a failure; return why the run must stop, or "".

        ``open_jobs`` counts the jobs that may still succeed: refusals come sooner than jobs end.
        """
        self.latest.append(failure)
        self.failed += len(failure.images)
        limits, images = self._settings, self._images
        last = f"the last with: {failure.code}: {failure.reason}"
        if self.failed > max(limits.max_failure_rate * images, limits.min_failures):
            return (
                f"{self.failed:,} of {images:,} images have failed, more than the limit of "
                f"{limits.max_failure_rate:.0%}"
            )
        good, bad = self._finished.good, self._finished.bad
        if not good and bad >= self._enough and bad >= self._enough + open_jobs():
            return f"the first {bad} finished images have all failed, {last}"
        bad, number = self._finished.latest(limits.failure_window)
        allowed = max(_NEARLY_ALL, limits.max_failure_rate)
        if number >= limits.failure_window and bad > allowed * number:
            return f"{bad:,} of the last {number:,} finished images have failed, {last}"
        return ""
