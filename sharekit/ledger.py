"""The run's one file: what was asked, decided, sent, answered and observed.

A ledger is an SQLite database with three tables:

- ``events``  append-only. Each event holds the SHA-256 of the one before, so that a change, a gap
  or another order shows. What happens is written here *before* it happens where that matters: an
  intent before its request, a job's ID before it is polled.
- ``blobs``   whole frames (the inventory, the findings, the cloud's state), each named by the
  SHA-256 of its bytes; an event names every blob that counts.
- ``rows``    one line per input row, with its place in the plan and exactly one outcome. The
  schema forbids a second outcome, an unknown one, a lost row, and a run that is called finished
  while a row is still pending.

The hash of an event is the SHA-256 of ``seq``, ``at``, ``kind``, ``body`` and ``prev``, joined by
line feeds, in UTF-8. Nothing here knows DataFrames or HTTP.

Examples
--------
>>> import tempfile, pathlib
>>> path = pathlib.Path(tempfile.mkdtemp()) / "run.ledger"
>>> with Ledger.create(path) as ledger:
...     ledger.append("created", {"by": "an example"}).seq
1
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
import sqlalchemy.dialects.sqlite  # loaded now, not at the first connection
from filelock import FileLock, Timeout
from sqlalchemy.pool import StaticPool

from .errors import LedgerError
from .schema import (
    APPLICATION_ID,
    BLOBS,
    EVENTS,
    FORMAT,
    GENESIS,
    META,
    OUTCOME_COLUMNS,
    PLAN_COLUMNS,
    ROWS,
    TRIGGERS,
    canonical,
    digest,
    event_hash,
)


@dataclass(frozen=True)
class Event:
    """One line of the ledger: ``seq`` from 1, ``at`` in UTC (ISO 8601), ``body`` as a dict."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str


def now() -> str:
    """Return the time in UTC, to the microsecond, in a form that sorts."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Ledger:
    """An open ledger. Safe to use from several threads; one process writes at a time.

    Use :meth:`create` or :meth:`open`, both as context managers. ``append`` returns only when the
    event is on disk.
    """

    def __init__(self, path: Path, connection: sa.Connection, lock: FileLock | None) -> None:
        self.path = path
        self._connection = connection
        self._file_lock = lock
        self._mutex = threading.RLock()
        self._depth = 0
        last = connection.execute(
            sa.select(EVENTS.c.seq, EVENTS.c.hash).order_by(EVENTS.c.seq.desc()).limit(1)
        ).first()
        self._seq: int = last.seq if last else 0
        self._head: str = last.hash if last else GENESIS
        connection.rollback()

    # -- opening and closing -------------------------------------------------------------------
    @classmethod
    def create(cls, path: str | PathLike[str]) -> Ledger:
        """Make a new ledger; an existing file is never overwritten.

        Raises
        ------
        LedgerError
            If the file exists, or its folder does not.
        """
        path = Path(path)
        if path.exists():
            raise LedgerError(f"{path} exists already: choose another name for the new run.")
        lock = _locked(path)
        try:
            connection = _connect(path, "rwc")
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {FORMAT}")
            META.create_all(connection)
            for trigger in TRIGGERS:
                connection.exec_driver_sql(trigger)
            connection.commit()
            _make_durable(connection, path)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            lock.release()
            raise LedgerError(f"{path} cannot be written: {_why(error)}.") from None
        return cls(path, connection, lock)

    @classmethod
    def open(cls, path: str | PathLike[str], *, write: bool = False) -> Ledger:
        """Open an existing ledger, to read, or to write (one process at a time).

        Raises
        ------
        LedgerError
            If there is no such file, it is no ledger, or another process is writing to it.
        """
        path = Path(path)
        _must_be_ledger(path)
        lock = _locked(path) if write else None
        try:
            connection = _connect(path, "rw" if write else "ro")
            if write:
                _make_durable(connection, path)
        except sa.exc.SQLAlchemyError as error:
            if lock:
                lock.release()
            raise LedgerError(f"{path} cannot be opened: {_why(error)}.") from None
        return cls(path, connection, lock)

    def close(self) -> None:
        """Close the file; after writing it is one file again, without side files."""
        if self._file_lock is not None:
            # One file is what people copy, so the write-ahead log is folded in; where the disk is
            # full or gone that cannot be, and the log keeps what was committed.
            with suppress(sa.exc.SQLAlchemyError):
                self._connection.rollback()
                self._connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        self._connection.close()
        self._connection.engine.dispose()
        if self._file_lock is not None:
            self._file_lock.release()
            Path(self._file_lock.lock_file).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    # -- events -------------------------------------------------------------------------------
    @property
    def head(self) -> str:
        """The hash of the last event (64 zeros in an empty ledger)."""
        return self._head

    @property
    def length(self) -> int:
        """How many events there are."""
        return self._seq

    def append(self, kind: str, body: dict[str, Any]) -> Event:
        """Write one event and return it once it is on disk."""
        with self.transaction():
            seq, at, text = self._seq + 1, now(), canonical(body)
            link = event_hash(seq, at, kind, text, self._head)
            self._connection.exec_driver_sql(
                "INSERT INTO events (seq, at, kind, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?)",
                (seq, at, kind, text, self._head, link),
            )
            event = Event(seq, at, kind, body, self._head, link)
            self._seq, self._head = seq, link
            return event

    def events(self, *kinds: str) -> list[Event]:
        """Every event in order, or only those of some kinds."""
        query = sa.select(EVENTS).order_by(EVENTS.c.seq)
        if kinds:
            query = query.where(EVENTS.c.kind.in_(kinds))
        with self._reading() as connection:
            return [
                Event(r.seq, r.at, r.kind, json.loads(r.body), r.prev, r.hash)
                for r in connection.execute(query)
            ]

    def raw_events(self) -> list[tuple[int, str, str, str, str, str]]:
        """Every event just as it is stored: seq, at, kind, body, prev, hash."""
        with self._reading() as connection:
            return [tuple(r) for r in connection.execute(sa.select(EVENTS).order_by(EVENTS.c.seq))]

    def blob_names(self) -> set[str]:
        """Return the SHA-256 names of all stored blobs."""
        with self._reading() as connection:
            return set(connection.execute(sa.select(BLOBS.c.sha256)).scalars())

    def last(self, kind: str) -> Event | None:
        """Return the latest event of a kind."""
        query = sa.select(EVENTS).where(EVENTS.c.kind == kind).order_by(EVENTS.c.seq.desc())
        with self._reading() as connection:
            r = connection.execute(query.limit(1)).first()
        return Event(r.seq, r.at, r.kind, json.loads(r.body), r.prev, r.hash) if r else None

    # -- blobs ---------------------------------------------------------------------------------
    def put(self, content: bytes, media_type: str) -> str:
        """Store bytes under their SHA-256 and return it; the same bytes are stored once."""
        name = hashlib.sha256(content).hexdigest()
        with self.transaction():
            self._connection.exec_driver_sql(
                "INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", (name, media_type, content)
            )
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes stored under a SHA-256.

        Raises
        ------
        LedgerError
            If they are missing or no longer have that hash.
        """
        query = sa.select(BLOBS.c.content).where(BLOBS.c.sha256 == name)
        with self._reading() as connection:
            content = connection.execute(query).scalar()
        if content is None or hashlib.sha256(content).hexdigest() != name:
            raise LedgerError(f"{self.path} is damaged: blob {name[:12]}… is missing or changed.")
        return bytes(content)

    # -- rows -----------------------------------------------------------------------------------
    def write_plan(self, rows: Iterable[Sequence[object]]) -> str:
        """Write every row's place in the plan (``PLAN_COLUMNS``) and return their digest."""
        if self.count("rows"):
            return self._write(_update(PLAN_COLUMNS), rows)
        names, marks = ", ".join(PLAN_COLUMNS), ", ".join("?" * len(PLAN_COLUMNS))
        return self._write(f"INSERT INTO rows ({names}) VALUES ({marks})", rows)

    def write_outcomes(self, rows: Iterable[Sequence[object]]) -> str:
        """Write every row's outcome (``OUTCOME_COLUMNS``) and return their digest."""
        return self._write(_update(OUTCOME_COLUMNS), rows)

    def count(self, table: str) -> int:
        """Return how many lines a table has."""
        with self._reading() as connection:
            query = sa.select(sa.func.count()).select_from(META.tables[table])
            return int(connection.execute(query).scalar_one())

    def read_rows(self, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return these columns of every row, in the input's order."""
        query = sa.select(*(ROWS.c[name] for name in columns)).order_by(ROWS.c.row_key)
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def _write(self, statement: str, rows: Iterable[Sequence[object]]) -> str:
        with self.transaction():
            return digest(
                rows, lambda batch: self._connection.exec_driver_sql(statement, _tuples(batch))
            )

    # -- transactions ---------------------------------------------------------------------------
    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or not at all."""
        with self._mutex:
            if self._file_lock is None:
                raise LedgerError(f"{self.path} was opened to be read only.")
            before = (self._seq, self._head)
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._connection.commit()
            except BaseException as error:
                if self._depth == 1:
                    self._connection.rollback()
                    self._seq, self._head = before
                if isinstance(error, sa.exc.SQLAlchemyError):
                    raise LedgerError(f"{self.path} refused a change: {_why(error)}.") from None
                raise
            finally:
                self._depth -= 1

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._mutex:
            try:
                yield self._connection
            except sa.exc.SQLAlchemyError as error:
                raise LedgerError(f"{self.path} is damaged: {_why(error)}.") from None
            finally:
                if self._depth == 0:
                    self._connection.rollback()


def is_busy(path: str | PathLike[str]) -> bool:
    """Whether another process has the ledger open for writing."""
    lock = Path(f"{path}.lock")
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0, mode=0o600):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _update(columns: Sequence[str]) -> str:
    changes = ", ".join(f"{name} = ?{i}" for i, name in enumerate(columns[1:], 2))
    return f"UPDATE rows SET {changes} WHERE {columns[0]} = ?1"


def _tuples(rows: Iterable[Sequence[object]]) -> list[tuple[object, ...]]:
    return [tuple(row) for row in rows]


def _connect(path: Path, mode: str) -> sa.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=30),
        poolclass=StaticPool,
    )
    return engine.connect()


def _make_durable(connection: sa.Connection, path: Path) -> None:
    # Write-ahead log with full sync: a committed event survives a power cut.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    connection.rollback()
    path.chmod(0o600)


def _must_be_ledger(path: Path) -> None:
    if not path.is_file():
        raise LedgerError(f"{path}: there is no such ledger. `sharekit plan` makes one.")
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}.") from None
    if header[:15] != b"SQLite format 3" or header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise LedgerError(f"{path} is not a sharekit ledger. `sharekit plan` makes one.")


def _locked(path: Path) -> FileLock:
    if not path.parent.is_dir():
        raise LedgerError(f"{path}: the folder {path.parent} does not exist.")
    lock = FileLock(f"{path}.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LedgerError(
            f"{path} is in use by another process: wait until it has ended, then run this again."
        ) from None
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}.") from None
    return lock


def _why(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).rstrip(".")
