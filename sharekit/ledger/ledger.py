"""The run's one file: what was asked, decided, sent, answered and observed.

A ledger is an SQLite database with two tables:

- ``events``  append-only. Each event holds the SHA-256 of the event before it, so that a change, a
  gap or another order shows. What matters is written *before* it happens: an intent before its
  request, a job's ID before it is polled.
- ``blobs``   whole frames as Parquet (the inventory, the findings, the plan, the cloud's state,
  the outcomes), each named by the SHA-256 of its bytes; an event names every blob that counts.

The hash of an event is the SHA-256 of ``seq``, ``at``, ``kind``, ``body`` and ``prev``, joined by
line feeds, in UTF-8.

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
import logging
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Self

import pandas as pd

from sharekit.core.errors import LedgerError, LedgerUnreadableError, UsageError
from sharekit.core.frame_schemas import FrameSchema
from sharekit.core.provenance import iso_utc, utc_time

from . import parquet
from .events import CONTROL, check_event, decode_body, encode_body, printable, spelled_out
from .file import (
    check_is_ledger,
    connect,
    create_private_file,
    database_error,
    foreign_sidecar,
    make_durable,
    sqlite_message,
)
from .hashing import GENESIS, chain_errors, event_hash
from .lock import WriteLock
from .tables import DEFINED, create_tables, format_error, schema_difference

_LOG = logging.getLogger("sharekit.ledger")
#: Events in memory at one time, where all of them are read.
_PAGE = 1_000
#: A clock that was set back by more shows in the times of events.
_STEP = timedelta(milliseconds=20)
#: No two events have one time.
_LEAST = timedelta(microseconds=1)
_EVENT = "seq, at, kind, body, prev, hash"
_INSERT = f"INSERT INTO events ({_EVENT}) VALUES (?, ?, ?, ?, ?, ?)"


class Event(NamedTuple):
    """One line of the ledger: ``seq`` from 1, ``at`` in UTC (ISO 8601), ``body`` as a dict."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str


class Ledger:
    """An open ledger. Several threads may use it; one process writes at a time.

    Use :meth:`create` or :meth:`open`, both as context managers. ``append`` returns only when the
    event is on disk.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriteLock | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._mutex = threading.RLock()
        self._writing = False
        self._until = sys.maxsize
        self._seq, self._head = 0, GENESIS
        self._time: datetime | None = None
        self._appended = 0.0

    # -- opening and closing -----------------------------------------------------------------------
    @classmethod
    def create(cls, path: str | PathLike[str]) -> Self:
        """Create a new ledger; an existing file is never overwritten.

        Raises
        ------
        LedgerError
            If the file exists, or its folder does not.
        """
        path = Path(path)
        if path.exists():
            raise LedgerError(f"{path} exists already: choose another name for the new run.")
        lock, connection = WriteLock(path), None
        try:
            create_private_file(path)
            connection = connect(path, write=True)
            create_tables(connection)
            make_durable(connection, path)
        except (sqlite3.Error, OSError) as error:
            _abandon(connection, lock)
            if connection is not None:  # the file is ours, and holds nothing
                path.unlink(missing_ok=True)
            raise LedgerError(f"{path} cannot be written: {sqlite_message(error, path)}.") from None
        _LOG.info("created %s", path)
        return cls(path, connection, lock)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        write: bool = False,
        verify_chain: bool = True,
        until: str = "",
    ) -> Self:
        """Open an existing ledger, to read, or to write (one process at a time).

        Parameters
        ----------
        path : path
            The ledger.
        write : bool
            Whether events can be appended.
        verify_chain : bool
            Whether the chain of hashes must hold; False is for finding out where it does not.
        until : str
            The hash of an event; the ledger then shows its events up to this one only.

        Raises
        ------
        LedgerError
            If there is no such file or no such event, the file is no ledger or is damaged, or
            another process is writing to it.
        """
        path = Path(path)
        check_is_ledger(path)
        lock, connection = WriteLock(path) if write else None, None
        try:
            connection = connect(path, write=write)
            if write:
                make_durable(connection, path)
        except sqlite3.Error as error:
            _abandon(connection, lock)
            raise database_error(path, error) from None
        ledger = cls(path, connection, lock)
        try:
            ledger._begin(until, verify_chain=verify_chain)
        except BaseException as error:
            ledger.close()
            if isinstance(error, LedgerError) and not until and (log := foreign_sidecar(path)):
                raise LedgerUnreadableError(
                    f"{path} cannot be read while {log} lies beside it, which belongs to another "
                    "file or state: move it away."
                ) from None
            raise
        return ledger

    def _begin(self, until: str, *, verify_chain: bool) -> None:
        ((version,),) = self.fetch("PRAGMA user_version")
        if error := format_error(version):
            raise LedgerUnreadableError(f"{self.path} {error}.")
        if difference := schema_difference(version, self.fetch(DEFINED)):
            raise LedgerError(f"{self.path} is damaged: {difference}.")
        if self._lock is None:  # another process may write on: what was there is what is read
            ((last,),) = self.fetch("SELECT coalesce(max(seq), 0) FROM events")
            self._until = last
        for where, what in chain_errors(self.raw_events()) if verify_chain else ():
            raise LedgerError(
                f"{self.path} is damaged: {where} {what}.",
                in_python="sharekit.verify(PATH) lists everything.",
                in_shell="`sharekit verify` lists everything.",
            )
        if until:
            events = self.fetch("SELECT seq FROM events WHERE hash = ?", (until,))
            if not events or events[0][0] > self._until:
                raise LedgerError(f"{self.path} has no event with the hash {until:.12}….")
            self._until = events[0][0]
        query = "SELECT seq, hash, at FROM events WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
        for seq, head, at in self.fetch(query, (self._until,)):
            self._seq, self._head = seq, head
            with suppress(TypeError, ValueError):  # that it is no time shows when it is read
                self._time = datetime.fromisoformat(at).replace(tzinfo=UTC)
        _LOG.debug("opened %s: %d events, head %.12s", self.path, self._seq, self._head)

    def close(self) -> None:
        """Close the file; after writing it is one file again, without side files."""
        if self._lock is not None:
            # People copy one file, so the write-ahead log is folded in. If the disk is full or
            # gone, that fails, and the log keeps what was committed.
            with suppress(sqlite3.Error):
                self._roll_back()
                self._connection.execute("PRAGMA journal_mode = DELETE")
        _abandon(self._connection, self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- events ------------------------------------------------------------------------------------
    @property
    def head(self) -> str:
        """The hash of the last event (64 zeros in an empty ledger)."""
        return self._head

    @property
    def event_count(self) -> int:
        """The number of events."""
        return self._seq

    def has_event(self, head: str) -> bool:
        """Return True if an event has this hash; it and all before it are then unchanged."""
        return bool(self.fetch("SELECT 1 FROM events WHERE hash = ?", (head,)))

    def append(self, kind: str, body: dict[str, Any]) -> Event:
        """Write one event and return it once it is on disk.

        Raises
        ------
        UsageError
            If its body could not be read again; nothing is written then.
        """
        with self.transaction():
            seq, time = self._seq + 1, self._now()
            at = iso_utc(time)
            try:
                text = encode_body(kind, body)
                # Nearly all events have neither control characters nor what may be one.
                if not text.isascii() or "\\" in text or "\x7f" in text:
                    text = encode_body(kind, body := spelled_out(body))
                check_event(kind, at, text, body)
            except (TypeError, ValueError) as error:
                raise UsageError(f"The ledger cannot record this as {kind!r}: {error}.") from None
            prev, link = self._head, event_hash(seq, at, kind, text, self._head)
            self._connection.execute(_INSERT, (seq, at, kind, text, prev, link))
            self._seq, self._head, self._time = seq, link, time
        _LOG.debug("event %d: %s", seq, kind)
        return Event(seq, at, kind, body, prev, link)

    def _now(self) -> datetime:
        """Return the time: later than the last event's by what has passed in this process since.

        Clocks go in long steps, and are set while a run goes on. One that was set back to before
        the last event shows.
        """
        now, read_at = utc_time(), monotonic()
        passed, self._appended = read_at - (self._appended or read_at), read_at
        if self._time is None or now < self._time - _STEP:
            return now
        return max(now, self._time + max(timedelta(seconds=passed), _LEAST))

    def list_events(self, *kinds: str) -> list[Event]:
        """Return every event in order, or those of some kinds."""
        return list(self.iter_events(*kinds))

    def iter_events(self, *kinds: str) -> Iterator[Event]:
        """Yield the same events as :meth:`list_events`, few of them at a time in memory."""
        return map(self._decode, self.raw_events(*kinds))

    def raw_events(self, *kinds: str) -> Iterator[tuple[Any, ...]]:
        """Yield the same events just as they are stored: seq, at, kind, body, prev, hash."""
        where, values = _kind_condition(kinds)
        query = (
            f"SELECT {_EVENT} FROM events WHERE seq > ? AND seq <= ?{where} ORDER BY seq LIMIT ?"
        )
        last = -sys.maxsize
        while True:
            lines = self.fetch(query, (last, self._until, *values, _PAGE))
            yield from lines
            if len(lines) < _PAGE:
                return
            last = lines[-1][0]

    def last_event(self, kind: str = "") -> Event | None:
        """Return the latest event, or the latest of a kind."""
        where, values = _kind_condition([kind] if kind else [])
        query = f"SELECT {_EVENT} FROM events WHERE seq <= ?{where} ORDER BY seq DESC LIMIT 1"
        lines = self.fetch(query, (self._until, *values))
        return self._decode(lines[0]) if lines else None

    def _decode(self, line: tuple[Any, ...]) -> Event:
        seq, at, kind, text, prev, link = line
        try:
            body = decode_body(kind, at, text)
        except ValueError as error:
            raise LedgerError(
                f"{self.path} is damaged: event {seq} ({kind!s:.40}) does not hold what it must: "
                f"{error}."
            ) from None
        return Event(seq, at, kind, body, prev, link)

    # -- blobs and frames --------------------------------------------------------------------------
    def put_blob(self, content: bytes, media_type: str) -> str:
        """Store bytes under their SHA-256 and return it; the same bytes are stored once."""
        name = hashlib.sha256(content).hexdigest()
        with self.transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", (name, media_type, content)
            )
        return name

    def get_blob(self, name: str) -> bytes:
        """Return the bytes stored under a SHA-256.

        Raises
        ------
        LedgerError
            If they are missing or no longer have that hash.
        """
        for (content,) in self.fetch("SELECT content FROM blobs WHERE sha256 = ?", (name,)):
            if isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == name:
                return content
        raise LedgerError(f"{self.path} is damaged: blob {name[:12]}… is missing or changed.")

    def put_frame(self, frame: pd.DataFrame) -> str:
        """Store a frame, with its index if that has a name, and return the name of its blob."""
        if {"decision", "reason"} <= {*frame}:  # what people have typed
            odd = [text for text in frame["reason"].dropna().unique() if CONTROL.search(text)]
            frame = frame.assign(reason=frame["reason"].replace({t: printable(t) for t in odd}))
        return self.put_blob(parquet.to_bytes(frame), parquet.MEDIA_TYPE)

    def get_frame(self, name: str, schema: FrameSchema) -> pd.DataFrame:
        """Return the frame of a blob.

        Raises
        ------
        LedgerError
            If it is missing or changed, does not conform to the schema, or is unreasonably large.
        """
        content = self.get_blob(name)
        rows = self._row_count() if schema.indexed or "key" in schema.kinds.values() else None
        try:
            return parquet.from_bytes(content, schema, rows)
        except parquet.FrameError as error:
            raise LedgerError(
                f"{self.path} is damaged: the frame {name[:12]}… of {self._owner_of(name)} is not "
                f"as it must be ({error})."
            ) from None

    def _row_count(self) -> int | None:
        """Return the number of rows of the inventory, None if there is none yet."""
        read = self.last_event("inventory_read")
        return None if read is None else int(read.body["rows"])

    def _owner_of(self, name: str) -> str:
        query = "SELECT seq, kind FROM events WHERE instr(body, ?) ORDER BY seq LIMIT 1"
        return next((f"event {seq} ({kind})" for seq, kind in self.fetch(query, (name,))), "none")

    # -- the database ------------------------------------------------------------------------------
    def fetch(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the result of a query; only this package knows SQL."""
        with self._mutex:
            try:
                return self._connection.execute(query, values).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise database_error(self.path, error) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything inside together or not at all."""
        with self._mutex:
            if self._lock is None:
                raise LedgerError(f"{self.path} was opened to be read only.")
            if self._writing:  # inside another transaction, which commits
                yield
                return
            self._writing = True
            before = self._seq, self._head, self._time
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._commit()
            except BaseException as error:
                self._seq, self._head, self._time = before
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    message = f"{self.path} refused a change: {sqlite_message(error, self.path)}."
                    raise LedgerError(message) from None
                raise
            finally:
                self._writing = False

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # on a full disk the database itself has rolled back
            self._connection.execute("ROLLBACK")


def _kind_condition(kinds: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return a condition on the kind of an event, and its values; none for all kinds."""
    return (f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""), kinds


def _abandon(connection: sqlite3.Connection | None, lock: WriteLock | None) -> None:
    if connection is not None:
        connection.close()
    if lock is not None:
        lock.release()
