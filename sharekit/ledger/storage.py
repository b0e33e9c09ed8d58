"""The ledger's file: what it must be, how it is opened so that it lasts, and who may write."""

from __future__ import annotations

import os
import platform
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from sharekit.core.errors import LedgerError
from sharekit.core.provenance import user

from .schema import APPLICATION_ID


@dataclass(frozen=True)
class Owner:
    """Who writes to a ledger: a process on a machine, since a time (UTC)."""

    host: str
    pid: int
    user: str
    since: str

    @classmethod
    def here(cls) -> Owner:
        """The process that asks."""
        return cls(platform.node(), os.getpid(), user(), datetime.now(UTC).isoformat()[:19] + "Z")

    @classmethod
    def of(cls, path: str | PathLike[str]) -> Owner | None:
        """Who left their name beside a ledger."""
        try:
            # Whatever stands there: no pipe to wait for, no link to elsewhere, and not much of it.
            file = os.open(_beside(path, "owner"), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            with os.fdopen(file, "rb") as opened:
                owner = msgspec.json.decode(opened.read(4096), type=cls)
            return owner if datetime.fromisoformat(owner.since).tzinfo else None
        except (OSError, ValueError, msgspec.MsgspecError):
            return None

    def __str__(self) -> str:
        age = datetime.now(UTC) - datetime.fromisoformat(self.since)
        minutes = max(0, int(age.total_seconds() // 60))
        name = f" of {self.user}" if self.user else ""
        return f"process {self.pid}{name} on {self.host} since {self.since} ({minutes} min)"


msgspec.json.Decoder(Owner)  # laid out while one thread imports this; two at once would crash


class Claim:
    """The right to write to a ledger, which one process has at a time; the kernel ends it, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.parent.is_dir():
            raise LedgerError(f"{path}: the folder {path.parent} does not exist.")
        self._lock = FileLock(_beside(path, "lock"), mode=0o600)
        try:
            self._take()
        except Timeout:
            owner = Owner.of(path)
            raise LedgerError(
                f"{path} is in use by {owner or 'another process'}: wait until it has ended, then "
                "run this again."
            ) from None
        except OSError as error:
            raise LedgerError(f"{path} cannot be written: {error.strerror}.") from None

    def _take(self) -> None:
        self._lock.acquire(timeout=0)
        left = Owner.of(self.path)
        # On this machine the lock itself proves that nobody writes; to others it need not reach.
        if left is not None and left.host != platform.node():
            self._lock.release()
            raise LedgerError(
                f"{self.path} was not closed by {left}. If that process is gone for sure, take it "
                f"over: sharekit submit {self.path} --take-over"
            )
        _beside(self.path, "stop").unlink(missing_ok=True)
        with suppress(OSError):  # the name is a courtesy, the lock is what counts
            _beside(self.path, "owner").unlink(missing_ok=True)
            make_file(_beside(self.path, "owner"), msgspec.json.encode(Owner.here()))

    def release(self) -> None:
        """Let others write; leaves no files behind."""
        for end in (
            "owner",
            "stop",
            "lock",
        ):  # while still locked, so that nobody waits for a lost file
            _beside(self.path, end).unlink(missing_ok=True)
        self._lock.release()


def take_over(path: str | PathLike[str]) -> None:
    """Strike out the name of an owner on another machine who is gone; a live one here stays.

    Raises
    ------
    LedgerError
        If a process on this machine is writing to the ledger.
    """
    if is_busy(path):
        owner = Owner.of(path) or "another process"
        raise LedgerError(
            f"{path} is in use by {owner}: that "
            "process is alive, so nothing is taken over. Wait until it has ended, or end it, then "
            "run this again without --take-over."
        )
    _beside(path, "owner").unlink(missing_ok=True)


def is_busy(path: str | PathLike[str]) -> bool:
    """Whether another process on this machine has the ledger open for writing."""
    beside = _beside(path, "lock")
    if not beside.exists():
        return False
    try:
        with FileLock(beside, timeout=0, mode=0o600):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def ask_to_stop(path: str | PathLike[str]) -> None:
    """Ask whoever is sending a run to end it; nothing happens where nobody is."""
    if is_busy(path):
        _beside(path, "stop").touch(mode=0o600)


def asked_to_stop(path: str | PathLike[str]) -> bool:
    """Whether somebody asked so since this process began to write."""
    return _beside(path, "stop").exists()


def _beside(path: str | PathLike[str], end: str) -> Path:
    # By its real name: under two names it is one ledger all the same, and has one writer.
    return Path(f"{os.path.realpath(path)}.{end}")


def make_file(path: Path, content: bytes = b"") -> None:
    """Make a new file that only its owner reads; never through a link, never over another."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the database in an SQLite mode: ``ro``, ``rw`` or ``rwc``.

    Every statement is a transaction by itself, unless one was begun. The connection may be used
    by any thread, by one at a time.
    """
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True, isolation_level=None, check_same_thread=False, timeout=30,
    )  # fmt: skip
    # The file may come from anybody: its cells are checked, and nothing its schema names is
    # run (our own triggers, which `unlike` knows word by word, are needed to write).
    trusted = "OFF" if mode == "ro" else "ON"
    try:
        for pragma in (f"trusted_schema = {trusted}", "cell_size_check = ON", "mmap_size = 0"):
            database.execute(f"PRAGMA {pragma}")
    except BaseException:
        database.close()
        raise
    return database


def make_durable(connection: sqlite3.Connection, path: Path) -> None:
    """See to it that a committed event is on disk, and that only its owner reads the file."""
    # Write-ahead log with full sync: a committed event survives a power cut.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    path.chmod(0o600)


def is_ledger(path: str | PathLike[str]) -> bool:
    """Whether a file says of itself that it is a ledger; a pipe is none, and is not waited for."""
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        header = file.read(100)
    return header[:15] == b"SQLite format 3" and header[68:72] == APPLICATION_ID.to_bytes(4, "big")


def surplus(path: Path) -> int:
    """How many bytes stand in the file after the end of the database; nothing reads them."""
    size = path.stat().st_size  # first: a writer may make the file longer meanwhile
    try:
        with closing(connect(path, "ro")) as connection:
            (count,) = connection.execute("PRAGMA page_count").fetchone()
            (length,) = connection.execute("PRAGMA page_size").fetchone()
    except sqlite3.Error as error:
        raise LedgerError(f"{path} is damaged: {why(error)}.") from None
    return max(0, size - int(count) * int(length))


def must_be_ledger(path: Path) -> None:
    """Raise LedgerError for anything that is no ledger."""
    if path.exists() and not path.is_file():
        raise LedgerError(f"{path} is no file, so it is no ledger. `sharekit plan` makes one.")
    if not path.is_file():
        raise LedgerError(f"{path}: there is no such ledger. `sharekit plan` makes one.")
    try:
        good = is_ledger(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}.") from None
    if not good:
        raise LedgerError(f"{path} is not a sharekit ledger. `sharekit plan` makes one.")


def why(error: Exception) -> str:
    """What the database said, as part of a sentence."""
    return str(error).rstrip(".")
