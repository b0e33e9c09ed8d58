"""Whether a call of ``submit`` kept to the settings that its ledger says it had.

How long a call waited at the most is not compared: a machine that sleeps wakes up late, and clocks
are set. That it waited too short, sent too often or went on in spite of a limit shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from math import inf
from typing import Any, Final

from sharekit.core.actions import is_satisfied
from sharekit.core.brakes import FailureLimit
from sharekit.core.cloud_api import Remedy
from sharekit.ledger.ledger import Event

from .answers import NOT_SENT, remedy_of
from .log import Action, Observation, Request, RequestLog, Share, latest_state

#: The least part of a pause that must have passed: clocks of machines run unevenly.
WAITED: Final = 0.1
#: Remedies for which a single share is counted as failed, once its request ends with one.
_ONE_FAILED: Final = (Remedy.SPLIT, Remedy.RETRY, Remedy.NATIVE)
#: Calls of a cloud that one thread can make in a second, at the very most.
_A_SECOND: Final = 10_000
States = Mapping[Action, Observation]


class CallLimits:
    """What one call of ``submit`` has sent, tried and seen fail so far, and what it may still do.

    ``waited`` gives the seconds since an event, inf where they are not known; ``states`` what
    reading back has shown until now.
    """

    def __init__(
        self, settings: Mapping[str, Any], log: RequestLog, states: Callable[[], States]
    ) -> None:
        self._settings, self._log, self._states = settings, log, states
        self._failed = FailureLimit(
            settings.get("max_failure_rate", 1.0), settings.get("min_failures", 0)
        )
        #: Request -> how often it was tried again, the event that said so, and if it was to blame.
        self._tries: dict[str, tuple[int, Event | None, Remedy | None]] = {}
        #: Request -> how often it, or what it is a part of, was lost and sent anew.
        self._rounds: dict[str, int] = {}
        self._canary: list[tuple[Request, Share]] | None = None
        self._held: set[str] = set()
        self._late: int | None = None

    def check_intent(
        self, request: Request, under_way: int, waited: Callable[[Event], float]
    ) -> Iterator[str]:
        """Yield which settings do not allow that a request is sent now."""
        setting = self._settings.get
        if under_way >= setting("concurrency", inf):
            yield "was sent beside more requests than the call could have under way at once"
        if self._late is not None and self._late >= setting("concurrency", inf):
            yield "was sent after more images had failed than the call's settings allow"
        rounds = self._rounds.get(request.chunk, 0)
        if rounds and rounds >= setting("resend_rounds", inf):
            yield "was lost and sent again more often than the call's settings allow"
        yield from self._check_try(request, waited)
        self.choose_canary()
        names = accumulate(request.chunk.split("."), "{}.{}".format)
        if not self._held.isdisjoint(names):
            if not self.canary_confirmed:
                yield "was sent before the canary was read back as wanted"
            self._held = set()

    def choose_canary(self) -> list[tuple[Request, Share]]:
        """Return what goes first: chosen after the preflight, before anything is sent or split."""
        if self._canary is None:
            planned = self._log.in_state("planned")
            first = planned[: int(self._settings.get("canary", 0))]
            self._canary = [(one, share) for one in first for share in one.shares]
            self._held = {one.chunk for one in planned[len(first) :]} if first else set()
        return self._canary

    def _check_try(self, request: Request, waited: Callable[[Event], float]) -> Iterator[str]:
        number, event, remedy = self._tries.get(request.chunk, (0, None, None))
        if event is None:
            return
        setting = self._settings.get
        if remedy is Remedy.RETRY and number >= setting("attempts", inf):
            yield "was tried more often than the call's settings allow"
        names = ("max_backoff", "busy_timeout", "outage_timeout")
        pause = setting("initial_backoff", 0) * 2.0 ** (min(number, 60) - 1)
        if waited(event) < WAITED * min(pause, *(setting(name, inf) for name in names)) / 2:
            yield "was tried again sooner than the call's settings allow"

    def check_refusal(self, request: Request, event: Event) -> Iterator[str]:
        """Yield why the call would have tried a request again, or would not have."""
        attempts = self._settings.get("attempts", 1)
        again = self._remedy(request, event) is Remedy.RETRY and self._number(request) + 1
        if event.kind == "refused" and again and again < attempts:
            yield "gives a request up that the call's settings let it try again"
        if request.state == "running" and self._of_jobs(request) >= attempts:
            yield "tries a job again that the call's settings let it try no more"

    def check_counts(self, requests: Mapping[str, int], seconds: float) -> Iterator[str]:
        """Yield that a call says to have made more requests than there was time for."""
        threads = self._settings.get("concurrency", inf)
        if sum(requests.values()) > _A_SECOND * threads * (seconds + 1):
            yield "counts more requests than there was time for"

    def check_end(self, *, stopped: bool) -> Iterator[str]:
        """Yield why a call that ended by itself should have been stopped."""
        if not stopped and self._late is not None:
            yield "ends a call that should have stopped, since too many images had failed"
        if not stopped and not self.canary_confirmed:
            yield "ends a call that should have stopped after its canary"

    @property
    def canary_confirmed(self) -> bool:
        """True if there is no canary, or all of it was read as wanted."""
        canary = self.choose_canary()
        states = self._states() if canary else {}
        return all(
            is_satisfied(request.action, latest_state(request, share, states) or "")
            for request, share in canary
        )

    def follow(self, request: Request, event: Event, before: str) -> None:
        """Take an event into account; ``before`` is the state that its request was in."""
        kind, body, chunk = event.kind, event.body, request.chunk
        if kind == "retry_scheduled":
            self._follow_retry(request, event, before)
        elif kind == "split":
            rounds = self._rounds.get(chunk, 0) + (before == "unknown")
            again = before == "refused" and any(request.results.values())
            tries = (self._of_jobs(request), None, None) if again else (0, None, None)
            for part in body["into"]:
                self._rounds[part["chunk"]], self._tries[part["chunk"]] = rounds, tries
        elif kind == "intent":
            self._late = None if self._late is None else self._late + 1
        self._count(request, event)

    def _follow_retry(self, request: Request, event: Event, before: str) -> None:
        remedy = self._remedy(request, event)
        number, since, blamed = self._number(request), None, None
        if before == "running":
            number, since = self._of_jobs(request), event
        elif remedy in (Remedy.RETRY, Remedy.WAIT):
            number, since, blamed = number + 1, event, remedy
        elif remedy is Remedy.NATIVE:
            number = 0
        self._tries[request.chunk] = number, since, blamed

    def _count(self, request: Request, event: Event) -> None:
        """Count images that failed; of what failed unsent, some count, so that none is counted."""
        results = event.body.get("results", {})
        if event.kind == "job_done":
            bad = len(results)
            self._failed.record(request.size - bad, bad)
        elif event.kind == "split" and request.state == "done":
            self._failed.record(request.size, 0)
            bad = 0
        else:
            ended = event.kind in ("refused", "job_failed") and not results and request.size == 1
            bad = int(ended and self._remedy(request, event) in _ONE_FAILED)
            self._failed.record(0, bad)
        if bad and self._late is None and self._failed.exceeded(self._open_images):
            self._late = 0

    def _open_images(self) -> int:
        return sum(request.size for request in self._log.in_state("running"))

    def _number(self, request: Request) -> int:
        return self._tries.get(request.chunk, (0,))[0]

    @staticmethod
    def _of_jobs(request: Request) -> int:
        """Return how often the shares of a request whose job failed were sent, parts included."""
        return request.attempts + request.chunk.count(".")

    @staticmethod
    def _remedy(request: Request, event: Event) -> Remedy:
        code, http = event.body.get("code", ""), event.body.get("http", 0)
        return Remedy.RETRY if code == NOT_SENT else remedy_of(request, code, http)
