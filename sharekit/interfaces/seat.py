"""Who may decide: one panel at a time holds the seat of a ledger, the others look on.

The seat is a file lock beside the ledger, so it is free again the moment its process is gone, and
soon after its page is gone. It does not keep other cells and the shell from writing: the ledger's
own lock orders those.
"""

from __future__ import annotations

import threading
from pathlib import Path

from filelock import FileLock, Timeout

_LOCK = threading.Lock()
_HELD: dict[Path, tuple[FileLock, Seat]] = {}


class Seat:
    """A claim to be the one who decides on a ledger's rows."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path).resolve()
        self._timer: threading.Timer | None = None

    def take(self) -> str:
        """Sit down; returns why that cannot be, or ``""``.

        In one process the latest who asks gets the seat: running a cell again is no conflict.
        """
        with _LOCK:
            held = _HELD.get(self._path)
            if held is None:
                lock = FileLock(f"{self._path}.review.lock", mode=0o600, thread_local=False)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    return (
                        "This review is open in another notebook or program, so it can only be "
                        "looked at here. Close it there; this one then goes on by itself."
                    )
                except OSError as error:
                    return f"Nothing can be written beside the ledger: {error.strerror}."
                held = (lock, self)
            _HELD[self._path] = (held[0], self)
            return ""

    def keep(self, seconds: float) -> None:
        """Stand up after so many seconds, unless this is called again before.

        A server for notebooks keeps kernels whose page is gone, for hours or for good.
        """
        if not self.mine:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self.leave)
        self._timer.daemon = True
        self._timer.start()

    @property
    def mine(self) -> bool:
        """Whether this claim holds the seat now."""
        with _LOCK:
            held = _HELD.get(self._path)
            return held is not None and held[1] is self

    @property
    def taken(self) -> bool:
        """Whether anybody in this process holds the seat."""
        with _LOCK:
            return self._path in _HELD

    def leave(self) -> None:
        """Stand up."""
        if self._timer is not None:
            self._timer.cancel()
        with _LOCK:
            held = _HELD.get(self._path)
            if held is not None and held[1] is self:
                del _HELD[self._path]
                Path(held[0].lock_file).unlink(missing_ok=True)  # while locked: nobody waits for it
                held[0].release()
