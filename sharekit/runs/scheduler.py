"""A few threads that do steps when they are due; a chunk that waits for its job holds none."""

from __future__ import annotations

import contextvars
import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

Step = Callable[[], None]
#: So many open steps for each step that may be done at once before nothing new is begun.
_OPEN = 16


class Scheduler:
    """Runs steps on ``workers`` threads, each not before its time.

    What waits for its turn is begun first, so that jobs run meanwhile; but once many steps with a
    time (a job to look at, a request to repeat) are open, nothing new is begun. A step may
    :meth:`add` further steps. ``limit`` is how many are done at once: all workers at first, half as
    many whenever a step says :meth:`ease`, and slowly more again with each :meth:`quicken`. After
    :meth:`stop`, steps under way are ended, the rest is dropped; while :meth:`hold` is on, nothing
    new is begun, but what has a time is still followed. The first exception in a step stops
    everything and comes out of :meth:`run`.
    """

    def __init__(self, workers: int, limit: float | None = None) -> None:
        self.workers = workers
        self.limit: float = workers if limit is None else limit
        self._eased = 0.0
        self.in_flight = 0
        self.stopped = threading.Event()
        self.held = False
        self._changed = threading.Condition()
        self._timed: list[tuple[float, int, Step]] = []
        self._waiting: deque[Step] = deque()
        self._order = itertools.count()
        self._error: BaseException | None = None

    def add(self, step: Step, delay: float | None = None, *, first: bool = False) -> None:
        """Do a step in ``delay`` seconds, or when its turn comes, or as the next one."""
        with self._changed:
            if first:
                self._waiting.appendleft(step)
            elif delay is None:
                self._waiting.append(step)
            else:
                heapq.heappush(self._timed, (monotonic() + delay, next(self._order), step))
            self._changed.notify()

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopped.set()
        with self._changed:
            self._changed.notify_all()

    def hold(self, *, on: bool) -> None:
        """Begin nothing that waits for its turn, until this is taken back."""
        if on != self.held:
            with self._changed:
                self.held = on
                self._changed.notify_all()

    def ease(self, since: float) -> None:
        """Do less at once: what began ``since`` then met a service that has too much to do.

        What began before the last time says nothing new.
        """
        with self._changed:
            if since >= self._eased:
                self.limit, self._eased = max(1.0, self.limit / 2), monotonic()

    def quicken(self) -> None:
        """Do a little more at once: all went well."""
        if self.limit < self.workers:
            with self._changed:
                self.limit = min(float(self.workers), self.limit + 1 / self.limit)
                self._changed.notify_all()

    def run(self, tick: Callable[[], None], every: float = 0.1) -> None:
        """Work until nothing is left, calling ``tick`` in this thread about ten times a second."""
        context = contextvars.copy_context()
        threads = [
            threading.Thread(target=context.copy().run, args=(self._work,), daemon=True)
            for _ in range(self.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._watch(tick, every)
        except KeyboardInterrupt:
            # What is under way is brought to its end and written down, then we go.
            self.stop()
            self._watch(tick, every)
            raise
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def _watch(self, tick: Callable[[], None], every: float) -> None:
        due = 0.0
        while True:
            with self._changed:
                if not self._busy():
                    break
                self._changed.wait(every)
            if monotonic() >= due:
                tick()
                due = monotonic() + every
        tick()

    def _busy(self) -> bool:
        left = bool(self._timed or self._waiting)
        return self.in_flight > 0 or (left and not self.stopped.is_set())

    def _crowded(self) -> bool:
        return self.held or len(self._timed) > _OPEN * self.limit

    def _work(self) -> None:
        while (step := self._next()) is not None:
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - it is raised again in run()
                self._error = self._error or error
                self.stopped.set()
            finally:
                with self._changed:
                    self.in_flight -= 1
                    self._changed.notify_all()

    def _next(self) -> Step | None:
        with self._changed:
            while not self.stopped.is_set():
                wait = self._timed[0][0] - monotonic() if self._timed else None
                if self.in_flight >= int(self.limit):
                    self._changed.wait()
                    continue
                new = bool(self._waiting) and not self._crowded()
                if wait is not None and wait <= 0 and not new:
                    self.in_flight += 1
                    return heapq.heappop(self._timed)[2]
                if new:
                    self.in_flight += 1
                    return self._waiting.popleft()
                if wait is None and self.in_flight == 0 and not self._waiting:
                    self._changed.notify_all()
                    return None
                self._changed.wait(wait)
            return None
