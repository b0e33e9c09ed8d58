"""The ledger's file: how it is recognized, opened, kept durable, and private to its owner."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from os import PathLike
from pathlib import Path

from sharekit.core.errors import LedgerError

from .tables import APPLICATION_ID

#: Seconds to wait while another program, such as a backup, holds the database.
_BUSY_TIMEOUT = 30


def create_private_file(path: Path, content: bytes = b"") -> None:
    """Create a file that only its owner can read; never through a link, never over another."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the database of a ledger.

    Every statement is a transaction of its own, unless one was begun. Several threads may use the
    connection, one at a time. While it can write, a committed event survives a power cut.
    """
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}",
        uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT,
    )  # fmt: skip
    # The file may come from anybody: its cells are checked, and nothing its schema names is run.
    # To write, our own triggers must run; `schema_difference` has compared them word by word.
    pragmas = [f"trusted_schema = {'ON' if write else 'OFF'}", "cell_size_check = ON",
               "mmap_size = 0"]  # fmt: skip
    try:
        for pragma in pragmas:
            database.execute(f"PRAGMA {pragma}")
    except BaseException:
        database.close()
        raise
    return database


def make_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Make every committed event survive a power cut, and the file private to its owner."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    path.chmod(0o600)


def is_ledger(path: str | PathLike[str]) -> bool:
    """Return True if the header of a file is a ledger's; a pipe is none, and is not waited for."""
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        header = file.read(100)
    return header[:15] == b"SQLite format 3" and header[68:72] == APPLICATION_ID.to_bytes(4, "big")


def check_is_ledger(path: Path) -> None:
    """Raise LedgerError for anything but a ledger."""
    if path.exists() and not path.is_file():
        raise LedgerError(f"{path} is not a file, so it is no ledger. `sharekit plan` makes one.")
    if not path.is_file():
        raise LedgerError(f"{path}: there is no such ledger. `sharekit plan` makes one.")
    try:
        good = is_ledger(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}.") from None
    if not good:
        raise LedgerError(f"{path} is not a sharekit ledger. `sharekit plan` makes one.")


def trailing_bytes(path: Path) -> int:
    """Return the number of bytes after the end of the database; nothing reads them."""
    size = path.stat().st_size  # first, because a writer may make the file longer meanwhile
    try:
        with closing(connect(path, write=False)) as connection:
            (count,) = connection.execute("PRAGMA page_count").fetchone()
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    except sqlite3.Error as error:
        raise LedgerError(f"{path} is damaged: {sqlite_message(error)}.") from None
    return max(0, size - int(count) * int(page_size))


def sqlite_message(error: Exception) -> str:
    """Return the database's message as a part of a sentence."""
    return str(error).rstrip(".")
