"""What slows the requests to a cloud down, or ends a run: five brakes, and the waits they cause.

:data:`BRAKES` lists them; nothing else slows or stops a run by itself. Every wait is shown with its
cause and its end, ends when the caller stops, and is not begun if it would exceed the limit of its
cause: ``busy_timeout`` for flow control, ``outage_timeout`` for everything else.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from time import monotonic, sleep, time
from typing import Any, ClassVar, Final, NamedTuple, ParamSpec, TypeVar

from .cloud_api import FLOW_CONTROL, FORBIDDEN_CODES, Remedy
from .errors import CloudError, CloudRefusedError, NoResponseError, SignInError, StoppedError

LOG = logging.getLogger("sharekit.waits")
#: A clock that only goes forward, in seconds; tests have one of their own.
Clock = Callable[[], float]
P = ParamSpec("P")
T = TypeVar("T")


class Brake(NamedTuple):
    """One brake: its name, what it does, and the settings that it obeys."""

    name: str
    effect: str
    settings: tuple[str, ...]


#: All brakes.
BRAKES: Final = (
    Brake(
        "rate limit",
        "at most so many requests a second go to each service",
        ("`rate` in clouds.yaml",),
    ),
    Brake(
        "adaptive concurrency",
        "fewer requests are under way at once while the cloud is busy or slow",
        ("`--concurrency`",),
    ),
    Brake(
        "backoff",
        "a request is repeated after a growing pause; `Retry-After` is kept, and a wait beyond its "
        "limit is not begun",
        ("`busy_timeout` for flow control", "`--outage` for anything else"),
    ),
    Brake(
        "circuit breaker",
        "nothing more is sent to a service that gives no useful response any more, or by a run in "
        "which too many of the images that finished have failed",
        ("`--outage`", "`--max-failed`"),
    ),
    Brake(
        "canary",
        "the first chunks go alone, and the rest only if all their images are confirmed",
        ("`--canary`",),
    ),
)
#: Seconds that flow control may hold one request back, and that an outage may last.
BUSY_SECONDS: Final = 1_800.0
OUTAGE_SECONDS: Final = 60.0
#: A response or a job that takes this share of its timeout is slow. It leaves time to slow down
#: before the first timeout, which would leave images unknown.
_SLOW: Final = 1 / 3
#: HTTP statuses of a service that is busy.
_BUSY: Final = frozenset({429, 503, 504})
#: Failures in a row, at least, before a cloud counts as down: a few come from one faulty node.
_FAILURES: Final = 5
#: Seconds of the longest sleep before a wait looks again whether it is to end.
_LOOK: Final = 0.1
#: Seconds of a wait that is worth a warning: by itself sharekit waits for 10 while it reads.
_LONG_WAIT: Final = 15.0


# -- waits -----------------------------------------------------------------------------------------
def _never() -> bool:
    return False


@dataclass(frozen=True)
class Waits:
    """What bounds the waits of one call, what ends them, and which are under way.

    ``stopping`` tells that the caller was asked to stop: no further wait begins. ``aborting`` tells
    that nobody needs the result any more. ``under_way`` maps the cause of a wait to its end (Unix
    time).
    """

    busy_timeout: float = BUSY_SECONDS
    outage_timeout: float = OUTAGE_SECONDS
    stopping: Callable[[], bool] = _never
    aborting: Callable[[], bool] = _never
    under_way: dict[str, float] = field(default_factory=dict)

    def abortable(self, aborted: threading.Event) -> Waits:
        """Return the same waits, which an event ends as well."""
        return replace(self, aborting=lambda: aborted.is_set() or self.aborting())

    def limit(self, action: Remedy) -> float:
        """Return the longest wait for what a remedy is for, in seconds."""
        return self.busy_timeout if action is Remedy.WAIT else self.outage_timeout

    def begin(self, seconds: float, cause: str) -> None:
        """Show a wait that begins now."""
        now = time()
        for known, end in list(self.under_way.items()):
            if end <= now:
                self.under_way.pop(known, None)
        self.under_way[cause] = now + seconds
        level = logging.WARNING if seconds >= _LONG_WAIT else logging.INFO
        LOG.log(level, "waiting %.1f s, until %s: %s", seconds, clock_time(seconds), cause)

    def rest(self, seconds: float, cause: str) -> None:
        """Wait, and show it.

        Raises
        ------
        StoppedError
            If the caller stops before the end of the wait.
        """
        if self.stopping():
            raise StoppedError
        self.begin(seconds, cause)
        try:  # it is shown already, so also a stop of this very moment comes during the wait
            self._sleep(seconds, lambda: self.stopping() or self.aborting())
        finally:
            self.under_way.pop(cause, None)

    def pace(self, seconds: float) -> None:
        """Wait for a turn, without a word; what is read after a stop keeps its pace, too."""
        self._sleep(seconds, self.ending())

    def ending(self) -> Callable[[], bool]:
        """Return what ends a wait that begins now: a stop, unless it came before."""
        return self.aborting if self.stopping() else lambda: self.stopping() or self.aborting()

    def describe(self) -> str:
        """Return the wait that ends last, with its cause and its end; "" if there is none."""
        now = time()
        ends = [(end, cause) for cause, end in list(self.under_way.items()) if end > now]
        if not ends:
            return ""
        end, cause = max(ends)
        return f"waiting until {clock_time(end - now)}: {cause}"

    def _sleep(self, seconds: float, ended: Callable[[], bool]) -> None:
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            if ended():
                raise StoppedError
            sleep(min(_LOOK, left))


#: The waits of the call that is under way.
WAITS: Final[ContextVar[Waits]] = ContextVar("WAITS", default=Waits())  # noqa: B039 - frozen


@contextmanager
def waiting_by(waits: Waits) -> Iterator[None]:
    """Let everything inside wait by these limits."""
    token = WAITS.set(waits)
    try:
        yield
    finally:
        WAITS.reset(token)


def wait_for(event: threading.Event, seconds: float | None = None) -> bool:
    """Return True as soon as an event is set, or False after so many seconds; Ctrl-C ends it.

    A wait for a lock that has no end is not ended by Ctrl-C on Windows, and elsewhere it misses one
    that comes in the moment before it begins; so this looks up often.
    """
    until = math.inf if seconds is None else monotonic() + seconds
    while (left := until - monotonic()) > 0:
        if event.wait(min(_LOOK, left)):
            return True
    return event.is_set()


class Pool(ThreadPoolExecutor):
    """Threads that wait as their caller does; its errors, Ctrl-C too, end their waits."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._aborted = threading.Event()
        self._waits = WAITS.get().abortable(self._aborted)

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call in the context of the caller."""
        context = copy_context()
        context.run(WAITS.set, self._waits)
        return super().submit(lambda: context.run(call, *args, **kwargs))

    def finished(self, calls: Collection[Future[T]]) -> Iterator[Future[T]]:
        """Yield calls as they finish; Ctrl-C ends this everywhere (see :func:`wait_for`)."""
        done: SimpleQueue[Future[T]] = SimpleQueue()
        for call in calls:
            call.add_done_callback(done.put)
        left = len(calls)
        while left:
            try:
                yield done.get(timeout=_LOOK)
            except Empty:
                continue
            left -= 1

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        """Wait for the threads; they have little left to do after an error."""
        if kind is not None:
            self._aborted.set()
            self.shutdown(wait=False, cancel_futures=True)
        return super().__exit__(kind, error, traceback)


def clock_time(seconds: float) -> str:
    """Return the time of day in so many seconds.

    >>> len(clock_time(3600))
    12
    """
    return f"{datetime.fromtimestamp(time() + seconds, UTC):%H:%M:%S UTC}"


# -- rate limit ------------------------------------------------------------------------------------
class RateLimiter:
    """Lets calls through one after another, at most ``rate`` a second (0: no limit).

    ``share`` is the part of every rate that this process has, where several share one account.

    >>> RateLimiter(1000).wait()
    """

    share: ClassVar[float] = 1.0

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        if not self.rate:
            return
        with self._lock:
            turn = max(self._next, now := monotonic())
            self._next = turn + 1 / (self.rate * self.share)
        if turn > now:
            WAITS.get().pace(turn - now)


# -- adaptive concurrency --------------------------------------------------------------------------
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


# -- backoff ---------------------------------------------------------------------------------------
def backoff(first: float, longest: float, attempt: int, retry_after: float | None = None) -> float:
    """Return the seconds to wait before attempt ``attempt`` (1 for the second), with jitter."""
    wait = min(longest, first * 2.0 ** min(attempt - 1, 60))
    return max(retry_after or 0.0, wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


def excess(action: Remedy, waited: float, wait: float, waits: Waits) -> str:
    """Return why a wait is not begun: it would exceed the limit of its cause; "" if it does not."""
    limit = waits.limit(action)
    if waited + wait <= limit:
        return ""
    cause = "flow control" if action is Remedy.WAIT else "an outage"
    return (
        f"the next attempt would be due at {clock_time(wait)}, beyond the limit of {limit:,g} s "
        f"for {cause}"
    )


# -- circuit breaker -------------------------------------------------------------------------------
class CircuitBreaker:
    """Tells when a service is down: no useful response for too long.

    Attributes
    ----------
    heard : bool
        True once any useful response came.
    """

    def __init__(self, outage_timeout: float = OUTAGE_SECONDS, clock: Clock = monotonic) -> None:
        self.heard = False
        self._outage_timeout = outage_timeout
        self._failures = 0
        self._since = 0.0
        self._clock = clock
        self._lock = threading.Lock()

    def record_success(self) -> None:
        """Note a useful response, be it a refusal."""
        self._failures, self.heard = 0, True

    def record_failure(self, wait: float = 0.0) -> bool:
        """Note a failure, and the wait that follows; return True if the service is down."""
        with self._lock:
            self._since = self._since if self._failures else self._clock()
            self._failures += 1
            lasted = self._clock() + wait - self._since
            return self._failures >= _FAILURES and lasted >= self._outage_timeout

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


class FailureLimit:
    """Tells when a run must stop because too many images have failed.

    Images of a project or vault that is refused as a whole do not count as failed.

    Attributes
    ----------
    good, bad : int
        Number of images whose request ended well or badly, in this call of ``submit``.
    """

    def __init__(self, max_failure_rate: float = 1.0, min_failures: int = 0) -> None:
        self.good = self.bad = 0
        self._limits = max_failure_rate, min_failures

    def record(self, good: int, bad: int) -> None:
        """Count the images of one request."""
        self.good, self.bad = self.good + good, self.bad + bad

    def exceeded(self, open_images: Callable[[], int]) -> str:
        """Return why failed images stop the run, or "".

        ``open_images`` counts those whose job may still succeed: refusals come before jobs end.
        """
        (rate, least), finished = self._limits, self.good + self.bad
        if self.bad <= least or self.bad <= rate * finished:
            return ""
        if self.bad <= rate * (finished + open_images()):
            return ""
        return (
            f"{self.bad:,} of the {finished:,} images that finished have failed, more than the "
            f"limit of {rate:.0%}"
        )


def outage_error(error: NoResponseError | CloudRefusedError) -> CloudError:
    """Return the error of a cloud that is down, with its last failure."""
    last = str(error)
    if isinstance(error, CloudRefusedError):
        last = f"{error.code}: {last}. Run this again later; if it stays so, ask the provider."
    return CloudError(f"the cloud gave no useful response any more, the last was: {last}")


# -- canary ----------------------------------------------------------------------------------------
def check_canary(failed: int, sent: int) -> str:
    """Return why nothing follows the images that were sent first, or "".

    >>> check_canary(0, 50)
    ''
    """
    if not failed:
        return ""
    return (
        f"the canary: {failed} of the {sent} images that were sent first were not confirmed, so "
        "nothing else was sent"
    )
