"""A run in a thread of its own: watched, paused, cancelled, waited for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sharekit.clouds.registry import Clouds
from sharekit.core.brakes import wait_for
from sharekit.core.errors import SharekitError, UsageError
from sharekit.core.monitoring.logs import clean_frames
from sharekit.plans.approval import ApprovalRequirement

from .settings import Settings
from .status import Run
from .submit import Progress, submit

State = Literal["ready", "running", "paused", "stopping", "ended", "failed"]
_RUNNING: dict[Path, BackgroundRun] = {}
_LOCK = threading.Lock()


class BackgroundRun:
    """One call of :func:`sharekit.submit` in a thread of its own.

    Attributes
    ----------
    progress : Progress or None
        The latest progress.
    run : Run or None
        The status when the run ended.
    error : str
        Why the run failed, in one sentence; nothing is raised in the thread.

    Examples
    --------
    >>> run = BackgroundRun("run.ledger", lambda: connect("otc"))  # doctest: +SKIP
    >>> run.start(); run.pause(); run.resume()                     # doctest: +SKIP
    >>> run.wait().counts["confirmed"]                             # doctest: +SKIP
    412
    """

    def __init__(
        self, path: Path, clouds: Callable[[], Clouds], settings: Settings | None = None,
        demand: ApprovalRequirement | None = None,
    ) -> None:  # fmt: skip
        self.path = Path(path).absolute()
        self.progress: Progress | None = None
        self.run: Run | None = None
        self.error = ""
        self._clouds, self._settings, self._demand = clouds, settings, demand
        self._stop, self._pause = threading.Event(), threading.Event()
        self._ended = threading.Event()
        self._listeners: list[Callable[[BackgroundRun], None]] = []
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

    def on_progress(self, listener: Callable[[BackgroundRun], None]) -> None:
        """Call ``listener`` about ten times a second, and once at the end, in the run's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin, or resume what an earlier call left.

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
        """Send no further request; jobs that run in the cloud are followed."""
        self._pause.set()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._pause.clear()

    def cancel(self) -> None:
        """Send nothing more, wait for the responses to what was sent, read back, and end.

        Jobs that still run in the cloud are left to the next call, which follows them.
        """
        self._stop.set()

    @clean_frames
    def wait(self, seconds: float | None = None) -> Run:
        """Wait for the end.

        Returns
        -------
        Run
            The status of the run at its end.

        Raises
        ------
        SharekitError
            If the run failed, or has not ended after ``seconds``.
        """
        if not wait_for(self._ended, seconds):
            raise UsageError(f"{self.path.name}: the run has not ended yet.")
        if self.run is None:
            raise SharekitError(self.error)
        return self.run

    def _work(self) -> None:
        try:
            self.run = submit(
                self.path, self._clouds(), settings=self._settings, progress=self._on_progress,
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
            self._notify()

    def _on_progress(self, progress: Progress) -> None:
        self.progress = progress
        self._notify()

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener(self)


def active_run(path: Path) -> BackgroundRun | None:
    """Return the run of a ledger that is under way in this process, if there is one."""
    with _LOCK:
        return _RUNNING.get(Path(path).absolute())
