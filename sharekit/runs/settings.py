"""How a run behaves: limits, timeouts and retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Final

from sharekit.core.brakes import BUSY_SECONDS, OUTAGE_SECONDS
from sharekit.core.cloud_api import MAX_POLL_SECONDS, MIN_POLL_SECONDS
from sharekit.core.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """How a run behaves; times are in seconds.

    Attributes
    ----------
    concurrency : int
        Maximum number of requests under way at once. It is lowered while the cloud is busy, or
        while a response or a job takes more than a third of its timeout.
    attempts : int
        Number of attempts at one request when faults are transient.
    busy_timeout : float
        Stop after flow control (IMG.0060, HTTP 429) has held one request back for this long, or
        asks to; its rows stay ``pending``. Reading waits as long.
    job_timeout : float
        A job that has not ended after this time leaves its images ``unknown``, to be settled by
        reading back. The next call asks once more, then resends what did not change.
    min_poll_interval, max_poll_interval : float
        First and longest time between two polls of a job.
    initial_backoff, max_backoff : float
        First and longest wait between two attempts.
    read_back_delay : float
        First pause before a state that is not as wanted is read again; each further one is twice
        as long.
    read_back_timeout : float
        Read such a state for so long before it counts. The next call looks once more.
    resend_rounds : int
        Maximum number of times that images of a lost request are resent after reading back.
    max_failure_rate, min_failures : float, int
        Stop when more than this share of the images that this call finished has failed, but not
        before more than ``min_failures`` have. Jobs that may still succeed count as if they had;
        images of a project or vault that is refused as a whole do not count.
    outage_timeout : float
        Stop when no request had a useful response for this long, and at least five had none. A
        request that the cloud asks to repeat after a longer time is left to another call. Reading
        is repeated for no longer than this.
    canary : int
        Send this many chunks first; send the rest only if all their images are confirmed.
    """

    concurrency: int = 8
    attempts: int = 8
    busy_timeout: float = BUSY_SECONDS
    job_timeout: float = 900.0
    min_poll_interval: float = MIN_POLL_SECONDS
    max_poll_interval: float = MAX_POLL_SECONDS
    initial_backoff: float = 0.5
    max_backoff: float = 30.0
    read_back_delay: float = 1.0
    read_back_timeout: float = 30.0
    resend_rounds: int = 5
    max_failure_rate: float = 0.5
    min_failures: int = 100
    outage_timeout: float = OUTAGE_SECONDS
    canary: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no number or out of its range."""
        if fault := settings_fault(vars(self)):
            raise UsageError(f"A setting is out of its range: {fault}.")


#: Settings that must be larger than zero; no other one may be negative.
_AT_LEAST_ONE: Final = ("concurrency", "attempts")
#: No pause, timeout or number is larger: 31 years in seconds.
_MOST: Final = 1e9
_WHOLE: Final = frozenset(one.name for one in fields(Settings) if one.type == "int")


def settings_fault(values: Mapping[str, Any]) -> str:
    """Return which setting is no number or out of its range, ``""`` if none is."""
    for name, value in values.items():
        least = 1 if name in _AT_LEAST_ONE else 0
        most = 1 if name == "max_failure_rate" else _MOST
        if type(value) not in (int, float) or not isfinite(value):
            return f"{name} is {value!r:.80}, and must be a finite int or float"
        if not least <= value <= most:
            return f"{name} is {value}, and must be at least {least} and at most {most:,.0f}"
        if name in _WHOLE and value != int(value):
            return f"{name} is {value}, and must be a whole number"
    return ""
