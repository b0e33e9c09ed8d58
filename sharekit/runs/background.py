"""A submission that runs beside other work: watched, paused, cancelled, waited for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sharekit.clouds.registry import Clouds
from sharekit.core.errors import SharekitError, UsageError
from sharekit.plans.approval import Demand

from .run import Run
from .settings import Settings
from .submit import Progress, submit

State = Literal["ready", "running", "paused", "stopping", "ended", "failed"]
_RUNNING: dict[Path, Submission] = {}
_LOCK = threading.Lock()


class Submission:
    """One call of :func:`sharekit.submit` in a thread of its own.

    Attributes
    ----------
    progress : Progress or None
        The latest word of the run.
    run : Run or None
        Where it stood when it ended.
    error : str
        Why it failed, in one sentence; nothing is raised in the thread.

    Examples
    --------
    >>> sending = Submission("run.ledger", lambda: connect("otc"))  # doctest: +SKIP
    >>> sending.start(); sending.pause(); sending.resume()          # doctest: +SKIP
    >>> sending.wait().counts["confirmed"]                          # doctest: +SKIP
    412
    """

    def __init__(
        self, path: Path, clouds: Callable[[], Clouds], settings: Settings | None = None,
        demand: Demand | None = None,
    ) -> None:  # fmt: skip
        self.path = Path(path).absolute()
        self.progress: Progress | None = None
        self.run: Run | None = None
        self.error = ""
        self._clouds, self._settings, self._demand = clouds, settings, demand
        self._stop, self._pause = threading.Event(), threading.Event()
        self._ended = threading.Event()
        self._listeners: list[Callable[[Submission], None]] = []
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """``ready, running, paused, stopping, ended`` or ``failed``."""
        if self._thread is None:
            return "ready"
        if self._ended.is_set():
            return "failed" if self.error else "ended"
        if self._stop.is_set():
            return "stopping"
        return "paused" if self._pause.is_set() else "running"

    def listen(self, listener: Callable[[Submission], None]) -> None:
        """Call ``listener`` about ten times a second, and once at the end, in the run's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin, or take up what an earlier run left.

        Raises
        ------
        UsageError
            This ledger is being submitted already in this process.
        """
        with _LOCK:
            if _RUNNING.get(self.path) is not None or self._thread is not None:
                raise UsageError(f"{self.path.name} is being submitted already.")
            _RUNNING[self.path] = self
            work = contextvars.copy_context().run
            self._thread = threading.Thread(target=work, args=(self._work,), daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Begin no further request; what runs in the cloud is followed."""
        self._pause.set()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._pause.clear()

    def cancel(self) -> None:
        """Begin nothing more, await the answers to what was sent, read back, and end.

        Jobs that still run in the cloud are left to the next call, which follows them.
        """
        self._stop.set()

    def wait(self, seconds: float | None = None) -> Run:
        """Wait for the end, and return where the run stands then.

        Raises
        ------
        SharekitError
            What the run failed with, or that it has not ended in so many seconds.
        """
        if not self._ended.wait(seconds):
            raise UsageError(f"{self.path.name}: the run has not ended yet.")
        if self.run is None:
            raise SharekitError(self.error)
        return self.run

    def _work(self) -> None:
        try:
            self.run = submit(
                self.path, self._clouds(), settings=self._settings, progress=self._tell,
                stop=self._stop, pause=self._pause, demand=self._demand,
            )  # fmt: skip
        except (SharekitError, OSError) as error:
            self.error = str(error)
        except BaseException as error:  # noqa: BLE001 - nobody sees what a thread raises
            self.error = f"{type(error).__name__}: {error}"
        finally:
            with _LOCK:
                _RUNNING.pop(self.path, None)
            self._ended.set()
            self._say()

    def _tell(self, now: Progress) -> None:
        self.progress = now
        self._say()

    def _say(self) -> None:
        for listener in list(self._listeners):
            listener(self)


def running(path: Path) -> Submission | None:
    """Return the submission of a ledger that is under way in this process."""
    with _LOCK:
        return _RUNNING.get(Path(path).absolute())
