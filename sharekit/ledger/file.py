"""The ledger's file: how it is recognized, opened, kept durable, and private to its owner."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from os import PathLike
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import quote

from sharekit.core.errors import LedgerError, LedgerUnreadableError, UnfinishedChangeError
from sharekit.core.files import private_opener

from .hashing import chain_errors
from .tables import APPLICATION_ID

#: Seconds to wait while another program, such as a backup, holds the database.
_BUSY_TIMEOUT = 30
#: How a journal of SQLite begins.
_JOURNAL: Final = bytes.fromhex("d9d505f920a163d7")
#: The part of an error's code that names its kind, and kinds that say nothing about the content.
_PRIMARY: Final = 0xFF
_PASSING: Final = frozenset({
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
})  # fmt: skip
#: What to do about a ledger that is not there.
_MADE: Final = {
    "in_python": "sharekit.plan(findings, PATH) makes one.",
    "in_shell": "`sharekit plan` makes one.",
}
#: With less room than this, in bytes, an input/output error means that the disk is full.
_ROOM: Final = 1 << 20


def create_private_file(path: Path, content: bytes = b"") -> None:
    """Create a file that only its owner can read; never through a link, never over another."""
    with open(path, "xb", opener=private_opener) as file:
        file.write(content)


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the database of a ledger.

    Every statement is a transaction of its own, unless one was begun. Several threads may use the
    connection, one at a time. While it can write, a committed event survives a power cut.
    """
    for name in ("journal", "wal", "shm"):
        beside = Path(f"{path}-{name}")
        if beside.exists() and not beside.is_file():  # a pipe would be waited for
            raise LedgerUnreadableError(
                f"{path} cannot be read while {beside.name} lies beside it, which is no file. "
                "Move it away."
            )
    # A journal that is none takes nothing back. Who writes removes it; a reader must look past it.
    database = _open(
        path, "mode=rw" if write else f"mode=ro&immutable={int(_has_no_journal(path))}"
    )
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


def _open(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{database_uri(path.absolute())}?{options}",
        uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT,
    )  # fmt: skip


def database_uri(path: PurePath) -> str:
    r"""Return an absolute path as SQLite wants it: it takes no server's name for an authority.

    >>> from pathlib import PureWindowsPath
    >>> database_uri(PureWindowsPath(r"C:\runs\july 1.ledger"))
    'file:///C:/runs/july%201.ledger'
    >>> database_uri(PureWindowsPath(r"\\server\runs\run.ledger"))
    'file:////server/runs/run.ledger'
    """
    return f"file:///{quote(os.fsencode(path.as_posix()), safe='/:').removeprefix('/')}"


def _has_no_journal(path: Path) -> bool:
    """Return True if a file lies beside the ledger that has a journal's name, and is none."""
    journal = Path(f"{path}-journal")
    if Path(f"{path}-wal").exists() or not journal.is_file():
        return False
    with journal.open("rb") as file:
        return file.read(len(_JOURNAL)) not in (b"", _JOURNAL)


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
        raise LedgerError(f"{path} is not a file, so it is no ledger.", **_MADE)
    if not path.is_file():
        raise LedgerError(f"{path}: there is no such ledger.", **_MADE)
    try:
        good = is_ledger(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}.") from None
    if not good:
        raise LedgerError(f"{path} is not a sharekit ledger.", **_MADE)


def trailing_bytes(path: Path) -> int:
    """Return the number of bytes after the end of the database; nothing reads them."""
    size = path.stat().st_size  # first, because a writer may make the file longer meanwhile
    try:
        with closing(connect(path, write=False)) as connection:
            (count,) = connection.execute("PRAGMA page_count").fetchone()
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    except sqlite3.Error as error:
        raise database_error(path, error) from None
    return max(0, size - int(count) * int(page_size))


def database_error(path: Path, error: Exception) -> LedgerError:
    """Return what an error of the database says: the ledger is damaged, or cannot be read now."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    journal = Path(f"{path}-journal")
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return UnfinishedChangeError(
            f"{path} cannot be read while {journal.name} lies beside it. If it belongs to another "
            "file, move it away; otherwise a program ended within a change.",
            in_python="sharekit.submit(PATH, clouds) takes that change back.",
            in_shell="`sharekit submit` takes that change back.",
        )
    if code & _PRIMARY in _PASSING and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return LedgerUnreadableError(f"{path} cannot be read: {sqlite_message(error, path)}.")
    return LedgerError(f"{path} is damaged: {sqlite_message(error, path)}.")


def sqlite_message(error: Exception, path: Path) -> str:
    """Return the database's message as a part of a sentence; of a full disk, that it is full."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    full = code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) == errno.ENOSPC
    if full or (code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _is_full(path)):
        return "the disk is full; make room, then call it again"
    return str(error).rstrip(".")


def _is_full(path: Path) -> bool:
    return shutil.disk_usage(path.absolute().parent).free < _ROOM


def foreign_sidecar(path: Path) -> str:
    """Return the write-ahead log that makes a sound ledger unreadable; ``""`` if none does.

    Such a log is left by a program that was killed, or belongs to another file. What a ledger's own
    log holds has hashes that fit, so that it never does this.
    """
    log = Path(f"{path}-wal")
    if not log.is_file():
        return ""
    with suppress(sqlite3.Error), closing(_open(path, "mode=ro&immutable=1")) as alone:
        events = alone.execute("SELECT seq, at, kind, body, prev, hash FROM events ORDER BY seq")
        if not any(True for _ in chain_errors(events)):
            return log.name
    return ""
