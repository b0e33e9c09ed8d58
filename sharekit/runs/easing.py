"""Fewer requests at once for a cloud that turns slow or says that it has too much to do."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from sharekit.clouds.cloud import Accepted, Cloud
from sharekit.core.error_codes import FLOW_CONTROL
from sharekit.core.errors import CloudRefusedError, NoResponseError

from .scheduler import Scheduler

#: An answer or a job that takes this share of its time is slow; statuses of a service that is busy.
_SLOW, _BUSY = 1 / 3, frozenset({429, 503, 504})


class Easing:
    """Learns from answers and jobs how many requests may go at once, and says why."""

    def __init__(self, scheduler: Callable[[], Scheduler]) -> None:
        self._scheduler = scheduler
        self._why = ""

    def at_once(self) -> int:
        """How many requests go at once at present."""
        return int(self._scheduler().limit)

    def told(self) -> str:
        """Why fewer requests than allowed go at once, in words; "" while they do not."""
        now, most = self.at_once(), self._scheduler().workers
        return f"slowed down to {now} of {most} at once: {self._why}" if now < most else ""

    def change(self, cloud: Cloud, request: tuple[str, str, Any], token: str) -> Accepted:
        """Send a request, and learn from its answer."""
        began, patient = monotonic(), cloud.transport.timeout[1] * _SLOW
        try:
            answer = cloud.send(request, token)
        except CloudRefusedError as refusal:
            self.if_busy(refusal, began)
            raise
        finally:
            slow = monotonic() - began > patient
            if slow:
                self._ease(began, f"an answer took longer than {patient:.3g} s")
        if not slow and not answer.job_id:
            self._scheduler().quicken()
        return answer

    def if_busy(self, error: NoResponseError | CloudRefusedError, since: float) -> None:
        """Do less at once if this is what a busy service says."""
        if not isinstance(error, CloudRefusedError):
            return
        if error.http in _BUSY or error.code == FLOW_CONTROL:
            self._ease(since, f"the cloud is busy ({error.code})")

    def job(self, since: float, timeout: float, *, done: bool) -> None:
        """A job that began then runs, or is done."""
        if monotonic() - since > timeout * _SLOW:
            self._ease(since, f"a job has taken longer than {timeout * _SLOW:.3g} s")
        elif done:
            self._scheduler().quicken()

    def _ease(self, since: float, why: str) -> None:
        self._why = why
        self._scheduler().ease(since)
