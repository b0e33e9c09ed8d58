"""Who may write to a ledger: one process at a time, by a lock that the operating system holds.

Beside the ledger stand, while a process writes, its ``.lock``, its ``.owner`` (who it is, for
people), and a ``.stop`` if somebody has asked it to end.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Final

import msgspec
from filelock import FileLock, Timeout

from sharekit.core.errors import LedgerError, LedgerHeldError
from sharekit.core.provenance import user

from .file import create_private_file

#: The most that is read of an ``.owner`` file, in bytes; ours have about 100.
_OWNER_SIZE: Final = 4096


@dataclass(frozen=True)
class LockHolder:
    """A process that writes to a ledger, since a time (UTC)."""

    host: str
    pid: int
    user: str
    since: str

    @classmethod
    def this_process(cls) -> LockHolder:
        """Return the current process."""
        return cls(platform.node(), os.getpid(), user(), datetime.now(UTC).isoformat()[:19] + "Z")

    @classmethod
    def read(cls, path: str | PathLike[str]) -> LockHolder | None:
        """Return who left their name beside a ledger."""
        try:
            # Anything may stand there: do not wait for a pipe, nor follow a link.
            with open(sidecar(path, "owner"), "rb", opener=_unfollowed) as file:
                holder = msgspec.json.decode(file.read(_OWNER_SIZE), type=cls)
            return holder if datetime.fromisoformat(holder.since).tzinfo else None
        except (OSError, ValueError, msgspec.MsgspecError):
            return None

    def __str__(self) -> str:
        age = datetime.now(UTC) - datetime.fromisoformat(self.since)
        minutes = max(0, int(age.total_seconds() // 60))
        name = f" of {self.user}" if self.user else ""
        return f"process {self.pid}{name} on {self.host} since {self.since} ({minutes} min)"


msgspec.json.Decoder(LockHolder)  # laid out while one thread imports this; two at once would crash


class WriteLock:
    """Exclusive write lock on a ledger; the operating system releases it when the process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.parent.is_dir():
            raise LedgerError(f"{path}: the folder {path.parent} does not exist.")
        self._lock = FileLock(sidecar(path, "lock"), mode=0o600)
        try:
            self._acquire()
        except Timeout:
            holder = LockHolder.read(path) or "another process"
            raise LedgerError(
                f"{path} is in use by {holder}: wait until it has ended, then run this again."
            ) from None
        except OSError as error:
            raise LedgerError(f"{path} cannot be written: {error.strerror}.") from None

    def _acquire(self) -> None:
        self._lock.acquire(timeout=0)
        holder = LockHolder.read(self.path)
        # The lock proves that no process of this machine writes; on a network file system it may
        # not reach other machines.
        if holder is not None and holder.host != platform.node():
            self._lock.release()
            raise LedgerHeldError(
                f"{self.path} was not closed by {holder}. If that process is gone for sure, take "
                "it over:",
                in_python="sharekit.ledger.lock.break_lock(PATH).",
                in_shell=f"sharekit submit {self.path} --take-over",
            )
        sidecar(self.path, "stop").unlink(missing_ok=True)
        with suppress(OSError):  # the name is for people only; the lock is what counts
            sidecar(self.path, "owner").unlink(missing_ok=True)
            content = msgspec.json.encode(LockHolder.this_process())
            create_private_file(sidecar(self.path, "owner"), content)

    def release(self) -> None:
        """Release the lock, and remove the files beside the ledger."""
        # While still locked, so that nobody can wait for a file that has been removed. On Windows
        # nobody can remove what is open: the lock removes its own file there.
        for suffix in ("owner", "stop", "lock"):
            with suppress(PermissionError):
                sidecar(self.path, suffix).unlink(missing_ok=True)
        self._lock.release()


def _unfollowed(path: str, flags: int) -> int:
    for name in ("O_NONBLOCK", "O_NOFOLLOW"):  # Windows has neither, and no pipes among its files
        flags |= getattr(os, name, 0)
    return os.open(path, flags)


def break_lock(path: str | PathLike[str]) -> None:
    """Remove the name of a holder on another machine who is gone.

    Raises
    ------
    LedgerError
        If a process on this machine is writing to the ledger.
    """
    if is_busy(path):
        holder = LockHolder.read(path) or "another process"
        raise LedgerError(
            f"{path} is in use by {holder}: that process is alive, so nothing is taken over. Wait "
            "until it has ended, or end it.",
            in_shell="Then run this again without --take-over.",
        )
    sidecar(path, "owner").unlink(missing_ok=True)


def is_busy(path: str | PathLike[str]) -> bool:
    """Return True if another process on this machine has the ledger open for writing."""
    lock = sidecar(path, "lock")
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0, mode=0o600):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def request_stop(path: str | PathLike[str]) -> None:
    """Ask the process that is sending a run to end it; nothing happens if there is none."""
    if is_busy(path):
        sidecar(path, "stop").touch(mode=0o600)


def stop_requested(path: str | PathLike[str]) -> bool:
    """Return True if somebody has asked so since this process began to write."""
    return sidecar(path, "stop").exists()


def sidecar(path: str | PathLike[str], suffix: str) -> Path:
    """Return the path of a file beside a ledger.

    It is named after the ledger's real path: under two names it is one ledger, with one writer.
    """
    return Path(f"{os.path.realpath(path)}.{suffix}")
