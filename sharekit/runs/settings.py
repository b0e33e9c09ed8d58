"""How a run behaves, and when it gives up on a cloud that is down."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic

from sharekit.core.api import MAX_POLL_SECONDS, MIN_POLL_SECONDS
from sharekit.core.error_codes import FORBIDDEN_CODES
from sharekit.core.errors import CloudError, CloudRefusedError, NoResponseError, SignInError

#: So many failures in a row at least, before a cloud is called down.
_SOME = 5
_FORBIDDEN = 403


@dataclass(frozen=True)
class Settings:
    """How a run behaves; seconds where it is a time.

    Attributes
    ----------
    concurrency : int
        Requests under way at once, at the most: fewer while the cloud is busy, or when an answer
        or a job takes more than a third of the time that it may take.
    attempts : int
        How often one request is tried at passing faults.
    patience : float
        How long flow control (IMG.0060, HTTP 429) may hold one request back; then the run stops,
        and its rows stay ``pending``.
    job_timeout : float
        After this a job that has not ended leaves its images ``unknown``, to be settled by reading
        back. The next call looks once more, then sends what did not change in a new request.
    backoff, longest_wait : float
        The first and the longest wait between two tries.
    settle, looks : float, int
        A state that is not yet as it should be is read again so often, after so long.
    rounds : int
        How often images whose request was lost are sent anew after reading back.
    failure_limit, failure_floor : float, int
        Stop when this share of the images has failed, but not before this many have. A run in
        which nothing at all has succeeded stops after a dozen; refusals wait for jobs under way.
    failure_window : int
        Stop, too, when more than nine in ten of so many images that met their fate last have
        failed, and more than ``failure_limit`` of them. Those of a project or vault that is refused
        as a whole do not count. Submitting again goes on, for as many at least.
    outage : float
        Stop when for so long no request had a useful answer, and at least five had none.
    canary : int
        So many chunks go first, alone; only if each of their images is confirmed, the rest goes.
    """

    concurrency: int = 8
    attempts: int = 8
    patience: float = 1800.0
    job_timeout: float = 900.0
    first_poll: float = MIN_POLL_SECONDS
    last_poll: float = MAX_POLL_SECONDS
    backoff: float = 0.5
    longest_wait: float = 30.0
    settle: float = 1.0
    looks: int = 3
    rounds: int = 5
    failure_limit: float = 0.5
    failure_floor: int = 100
    failure_window: int = 500
    outage: float = 60.0
    canary: int = 0


class Breaker:
    """Tells a cloud that is down from one that stumbles: nothing useful came for too long.

    ``heard`` is whether anything useful came at all.
    """

    def __init__(self, outage: float) -> None:
        self.outage = outage
        self._lock = threading.Lock()
        self._failures = 0
        self._since = 0.0
        self.heard = False

    def good(self) -> None:
        """A useful answer came, be it a no."""
        self._failures, self.heard = 0, True

    def bad(self) -> bool:
        """Nothing useful came; returns whether the cloud is down."""
        with self._lock:
            self._since = self._since if self._failures else monotonic()
            self._failures += 1
            return self._failures >= _SOME and monotonic() - self._since >= self.outage

    def alone(self, tries: int) -> bool:
        """Whether nothing but failures came while one request was tried so often."""
        return self._failures >= tries

    def only_lost(self, error: Exception) -> bool:
        """Whether a cloud that had been of use was lost: the same call goes on once it is back.

        A no to the caller (sign-in, rights), or no useful word at all, wants a person first.
        """
        denied = isinstance(error, SignInError) or (
            isinstance(error, CloudRefusedError)
            and (error.http == _FORBIDDEN or error.code in FORBIDDEN_CODES)
        )
        return self.heard and isinstance(error, CloudError) and not denied


def down(error: NoResponseError | CloudRefusedError) -> CloudError:
    """What to say of a cloud that is down."""
    told = str(error)
    if isinstance(error, CloudRefusedError):
        told = f"{error.code}: {told}. Run this again later; if it stays so, ask the provider."
    return CloudError(f"the cloud gave no useful answer any more, the last was: {told}")
