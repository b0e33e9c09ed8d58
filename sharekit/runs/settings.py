"""How a run behaves: limits, timeouts and retries."""

from __future__ import annotations

from dataclasses import dataclass

from sharekit.core.cloud_api import MAX_POLL_SECONDS, MIN_POLL_SECONDS


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
        Stop after flow control (IMG.0060, HTTP 429) has held one request back for this long; its
        rows stay ``pending``.
    job_timeout : float
        A job that has not ended after this time leaves its images ``unknown``, to be settled by
        reading back. The next call asks once more, then resends what did not change.
    min_poll_interval, max_poll_interval : float
        First and longest time between two polls of a job.
    initial_backoff, max_backoff : float
        First and longest wait between two attempts.
    read_back_delay, read_back_attempts : float, int
        Read a state that is not yet as wanted this many times, with this delay between.
    resend_rounds : int
        Maximum number of times that images of a lost request are resent after reading back.
    max_failure_rate, min_failures : float, int
        Stop when this share of the images has failed, but not before this many have. A run in
        which nothing at all has succeeded stops after a dozen; refusals wait for open jobs.
    failure_window : int
        Also stop when more than 90 % of the last ``failure_window`` finished images failed, and
        more than ``max_failure_rate`` of them. Images of a project or vault that is refused as a
        whole do not count. Submitting again continues, for at least as many images.
    outage_timeout : float
        Stop when no request had a useful response for this long, and at least five had none.
    canary : int
        Send this many chunks first; send the rest only if all their images are confirmed.
    """

    concurrency: int = 8
    attempts: int = 8
    busy_timeout: float = 1800.0
    job_timeout: float = 900.0
    min_poll_interval: float = MIN_POLL_SECONDS
    max_poll_interval: float = MAX_POLL_SECONDS
    initial_backoff: float = 0.5
    max_backoff: float = 30.0
    read_back_delay: float = 1.0
    read_back_attempts: int = 3
    resend_rounds: int = 5
    max_failure_rate: float = 0.5
    min_failures: int = 100
    failure_window: int = 500
    outage_timeout: float = 60.0
    canary: int = 0
