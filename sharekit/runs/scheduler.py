"""A few threads that run steps when they are due; a request that waits for its job holds none."""

from __future__ import annotations

import contextvars
import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from sharekit.core.brakes import WAITS

Step = Callable[[], None]
#: Steps with a due time, for each step that may be under way at once, before nothing new begins:
#: enough to keep jobs running in the cloud, few enough that polls do not come late.
_BACKLOG = 16


class Scheduler:
    """Runs steps on a number of threads, each not before its time.

    What waits for its turn begins first, so that jobs run meanwhile; but once many steps with a due
    time (a job to poll, a request to repeat) are open, nothing new begins. A step may :meth:`add`
    further steps. ``limit`` returns how many may be under way at once, at most all ``workers``.
    After :meth:`stop`, steps under way end and the rest is dropped; during :meth:`pause` nothing
    new begins, but steps with a due time go on. The first exception in a step stops everything and
    is raised by :meth:`run`, which may be called again with new steps.
    """

    def __init__(self, workers: int, limit: Callable[[], float]) -> None:
        self.workers = workers
        self.in_flight = 0
        self.stopped = threading.Event()
        self.paused = False
        self._limit = limit
        self._changed = threading.Condition()
        self._timed: list[tuple[float, int, Step]] = []
        self._waiting: deque[Step] = deque()
        self._order = itertools.count()
        self._error: BaseException | None = None

    def add(self, step: Step, delay: float | None = None, *, first: bool = False) -> None:
        """Run a step in ``delay`` seconds, or when its turn comes, or as the next one."""
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

    def pause(self, *, on: bool) -> None:
        """Begin nothing that waits for its turn, until this is taken back."""
        if on != self.paused:
            with self._changed:
                self.paused = on
                self._changed.notify_all()

    def run(self, tick: Callable[[], None], every: float = 0.1) -> None:
        """Work until nothing is left, calling ``tick`` in this thread about ten times a second."""
        self.stopped.clear()
        context, interrupted = contextvars.copy_context(), threading.Event()
        context.run(WAITS.set, WAITS.get().abortable(interrupted))
        threads = [
            threading.Thread(target=context.copy().run, args=(self._work,), daemon=True)
            for _ in range(self.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._watch(tick, every)
        except KeyboardInterrupt:
            # Steps under way end and are written down before the interrupt goes on.
            interrupted.set()
            self.stop()
            self._watch(tick, every)
            raise
        finally:
            self.stop()
            for thread in threads:
                thread.join()
            self._timed.clear()
            self._waiting.clear()
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
        open_steps = bool(self._timed or self._waiting)
        return self.in_flight > 0 or (open_steps and not self.stopped.is_set())

    def _may_begin(self) -> bool:
        crowded = self.paused or len(self._timed) > _BACKLOG * self._limit()
        return bool(self._waiting) and not crowded

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
                if self.in_flight >= int(self._limit()):
                    self._changed.wait()
                    continue
                new = self._may_begin()
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
