"""How many requests a second go to one service, whoever sends them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic, sleep


class Pace:
    """Lets calls through one after another, not more than ``rate`` a second (0: no limit).

    >>> Pace(1000).wait()
    """

    def __init__(self, rate: float, rest: Callable[[float], None] = sleep) -> None:
        self.rate = rate
        self._rest = rest
        self._next = 0.0
        self._turn = threading.Lock()

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        if not self.rate:
            return
        with self._turn:
            turn = max(self._next, now := monotonic())
            self._next = turn + 1 / self.rate
        if turn > now:
            self._rest(turn - now)


class Paces:
    """One :class:`Pace` for each service, shared by all projects of a run."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._lock = threading.Lock()

    def of(self, host: str, rate: float) -> Pace:
        """Return the pace of a host; the slowest of several wishes holds for all.

        >>> paces = Paces()
        >>> paces.of("ims.example", 50) is paces.of("ims.example", 20)
        True
        >>> paces.of("ims.example", 0).rate
        20
        """
        with self._lock:
            pace = self._paces.setdefault(host, Pace(rate))
            pace.rate = min(filter(None, (pace.rate, rate)), default=0)
            return pace
