"""The ledger's file: what it must be, how it is opened so that it lasts, and who may write."""

from __future__ import annotations

import sqlite3
from os import PathLike
from pathlib import Path

import sqlalchemy as sa
import sqlalchemy.dialects.sqlite  # loaded now, not at the first connection
from filelock import FileLock, Timeout
from sqlalchemy.pool import StaticPool

from .errors import LedgerError
from .schema import APPLICATION_ID


def is_busy(path: str | PathLike[str]) -> bool:
    """Whether another process has the ledger open for writing."""
    beside = Path(f"{path}.lock")
    if not beside.exists():
        return False
    try:
        with FileLock(beside, timeout=0, mode=0o600):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def connect(path: Path, mode: str) -> sa.Connection:
    """Open the database in an SQLite mode: ``ro``, ``rw`` or ``rwc``."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=30),
        poolclass=StaticPool,
    )
    return engine.connect()


def make_durable(connection: sa.Connection, path: Path) -> None:
    """See to it that a committed event is on disk, and that only its owner reads the file."""
    # Write-ahead log with full sync: a committed event survives a power cut.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    connection.rollback()
    path.chmod(0o600)


def is_ledger(path: str | PathLike[str]) -> bool:
    """Whether a file says of itself that it is a ledger."""
    with Path(path).open("rb") as file:
        header = file.read(100)
    return header[:15] == b"SQLite format 3" and header[68:72] == APPLICATION_ID.to_bytes(4, "big")


def must_be_ledger(path: Path) -> None:
    """Raise LedgerError for anything that is no ledger."""
    if not path.is_file():
        raise LedgerError(f"{path}: there is no such ledger. `sharekit plan` makes one.")
    try:
        good = is_ledger(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}.") from None
    if not good:
        raise LedgerError(f"{path} is not a sharekit ledger. `sharekit plan` makes one.")


def locked(path: Path) -> FileLock:
    """Take the right to write, which one process has at a time."""
    if not path.parent.is_dir():
        raise LedgerError(f"{path}: the folder {path.parent} does not exist.")
    held = FileLock(f"{path}.lock", mode=0o600)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise LedgerError(
            f"{path} is in use by another process: wait until it has ended, then run this again."
        ) from None
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}.") from None
    return held


def why(error: Exception) -> str:
    """What the database said, without SQLAlchemy's words around it."""
    return str(getattr(error, "orig", None) or error).rstrip(".")
