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
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sharekit.core.errors import LedgerError
from sharekit.core.provenance import utc_now
from sharekit.core.shapes import body_of

from .schema import (
    DEFINITIONS,
    FORMAT,
    GENESIS,
    ODD_ROW,
    OUTCOME_COLUMNS,
    PLAN_COLUMNS,
    broken,
    canonical,
    create_tables,
    digest,
    event_hash,
    unlike,
)
from .storage import Claim, connect, make_durable, make_file, must_be_ledger, why

#: Events or rows in memory at one time, where all of them are read.
_PAGE = 1_000
_EVENT = "seq, at, kind, body, prev, hash"


@dataclass(frozen=True)
class Event:
    """One line of the ledger: ``seq`` from 1, ``at`` in UTC (ISO 8601), ``body`` as a dict."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str


class Ledger:
    """An open ledger. Safe to use from several threads; one process writes at a time.

    Use :meth:`create` or :meth:`open`, both as context managers. ``append`` returns only when the
    event is on disk.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        claim: Claim | None,
        *,
        checked: bool = True,
    ) -> None:
        self.path = path
        self._connection = connection
        self._claim = claim
        self._mutex = threading.RLock()
        self._writing = False
        self._seq, self._head = 0, GENESIS
        try:
            self._begin(checked=checked)
        except BaseException:
            self.close()
            raise

    def _begin(self, *, checked: bool) -> None:
        if odd := unlike(self._rows(DEFINITIONS)):
            raise LedgerError(f"{self.path} is damaged: {odd}.")
        for where, what in broken(self.raw_events()) if checked else ():
            raise LedgerError(
                f"{self.path} is damaged: {where} {what}. `sharekit verify` tells all."
            )
        for seq, head in self._rows("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1"):
            self._seq, self._head = seq, head

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._mutex:
            try:
                return self._connection.execute(query, values).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise LedgerError(f"{self.path} is damaged: {why(error)}.") from None

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
        claim, connection = Claim(path), None
        try:
            make_file(path)
            connection = connect(path, "rw")
            create_tables(connection)
            make_durable(connection, path)
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            claim.release()
            raise LedgerError(f"{path} cannot be written: {why(error)}.") from None
        return cls(path, connection, claim)

    @classmethod
    def open(cls, path: str | PathLike[str], *, write: bool = False, checked: bool = True) -> Self:
        """Open an existing ledger, to read, or to write (one process at a time).

        Its chain of hashes must hold, unless ``checked`` is False, which is for finding out why
        it does not.

        Raises
        ------
        LedgerError
            If there is no such file, it is no ledger, or another process is writing to it.
        """
        path = Path(path)
        must_be_ledger(path)
        claim, connection = Claim(path) if write else None, None
        try:
            connection = connect(path, "rw" if write else "ro")
            if write:
                make_durable(connection, path)
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            if claim:
                claim.release()
            raise LedgerError(f"{path} cannot be opened: {why(error)}.") from None
        return cls(path, connection, claim, checked=checked)

    def close(self) -> None:
        """Close the file; after writing it is one file again, without side files."""
        if self._claim is not None:
            # One file is what people copy, so the write-ahead log is folded in; where the disk is
            # full or gone that cannot be, and the log keeps what was committed.
            with suppress(sqlite3.Error):
                self._roll_back()
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        if self._claim is not None:
            self._claim.release()

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

    def holds(self, link: str) -> bool:
        """Whether an event has this hash: then it and all before it are what they were."""
        return bool(self._rows("SELECT 1 FROM events WHERE hash = ?", (link,)))

    def append(self, kind: str, body: dict[str, Any]) -> Event:
        """Write one event and return it once it is on disk."""
        with self.transaction():
            seq, at, text = self._seq + 1, utc_now(), canonical(body)
            link = event_hash(seq, at, kind, text, self._head)
            self._connection.execute(
                "INSERT INTO events (seq, at, kind, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?)",
                (seq, at, kind, text, self._head, link),
            )
            event = Event(seq, at, kind, body, self._head, link)
            self._seq, self._head = seq, link
            return event

    def events(self, *kinds: str) -> list[Event]:
        """Every event in order, or only those of some kinds."""
        return list(self.each(*kinds))

    def each(self, *kinds: str) -> Iterator[Event]:
        """Yield the same events, few of them at a time in memory."""
        chosen = f"kind IN ({', '.join('?' * len(kinds))})" if kinds else "TRUE"
        return map(self._event, self._pages(_EVENT, "events", "seq", chosen, kinds))

    def _pages(
        self,
        columns: str,
        table: str,
        key: str,
        chosen: str = "TRUE",
        values: Sequence[object] = (),
    ) -> Iterator[tuple[Any, ...]]:
        query = (
            f"SELECT {key}, {columns} FROM {table} WHERE {chosen} AND {key} > ? "
            f"ORDER BY {key} LIMIT {_PAGE}"
        )
        last = -sys.maxsize
        while True:
            lines = self._rows(query, (*values, last))
            yield from (line[1:] for line in lines)
            if len(lines) < _PAGE:
                return
            last = lines[-1][0]

    def raw_events(self) -> Iterator[tuple[Any, ...]]:
        """Yield every event just as it is stored: seq, at, kind, body, prev, hash."""
        return self._pages(_EVENT, "events", "seq")

    def last(self, kind: str = "") -> Event | None:
        """Return the latest event, or the latest of a kind."""
        lines = self._rows(
            f"SELECT {_EVENT} FROM events WHERE ? IN (kind, '') ORDER BY seq DESC LIMIT 1", (kind,)
        )
        return self._event(lines[0]) if lines else None

    def _event(self, line: tuple[Any, ...]) -> Event:
        seq, at, kind, text, prev, link = line
        try:
            body = body_of(kind, at, text)
        except ValueError as error:
            raise LedgerError(
                f"{self.path} is damaged: event {seq} ({kind!s:.40}) does not hold what it must: "
                f"{error}."
            ) from None
        return Event(seq, at, kind, body, prev, link)

    # -- blobs ---------------------------------------------------------------------------------
    def put(self, content: bytes, media_type: str) -> str:
        """Store bytes under their SHA-256 and return it; the same bytes are stored once."""
        name = hashlib.sha256(content).hexdigest()
        with self.transaction():
            self._connection.execute(
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
        for (content,) in self._rows("SELECT content FROM blobs WHERE sha256 = ?", (name,)):
            if isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == name:
                return content
        raise LedgerError(f"{self.path} is damaged: blob {name[:12]}… is missing or changed.")

    def blobs(self) -> Iterator[tuple[str, str, bool]]:
        """Yield each blob's name, its media type, and whether its bytes have that name."""
        for name, media_type in self._rows("SELECT sha256, media_type FROM blobs"):
            try:
                self.get(name)
            except LedgerError:
                yield str(name), str(media_type), False
            else:
                yield name, media_type, True

    # -- the file -------------------------------------------------------------------------------
    def schema(self) -> str:
        """Return the digest of all tables, indexes and triggers: what the database forbids."""
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        return digest(self._rows(query))

    def faults(self) -> list[str]:
        """What the database itself finds wrong with its file."""
        told = self._rows("PRAGMA integrity_check(5)")
        ((form,),) = self._rows("PRAGMA user_version")
        found = [str(line).splitlines()[-1] for (line,) in told if line != "ok"]
        return [*found, *([f"format {form}, not {FORMAT}"] if form != FORMAT else [])]

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
        return int(self._rows(f"SELECT count(*) FROM {table}")[0][0])

    def read_rows(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Give these columns of every row (``row_key`` is one), few at a time, by that key."""
        for (row,) in self._rows(ODD_ROW):
            raise LedgerError(f"{self.path} is damaged: row {row} holds a value of a wrong kind.")
        return self._pages(", ".join(columns), "rows", "row_key")

    def _write(self, statement: str, rows: Iterable[Sequence[object]]) -> str:
        with self.transaction():
            return digest(rows, lambda batch: self._connection.executemany(statement, batch))

    # -- transactions ---------------------------------------------------------------------------
    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or not at all."""
        with self._mutex:
            if self._claim is None:
                raise LedgerError(f"{self.path} was opened to be read only.")
            if self._writing:  # part of a transaction that has begun
                yield
                return
            before = (self._seq, self._head)
            self._writing = True
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._commit()
            except BaseException as error:
                self._roll_back()
                self._seq, self._head = before
                if isinstance(error, sqlite3.Error):
                    raise LedgerError(f"{self.path} refused a change: {why(error)}.") from None
                raise
            finally:
                self._writing = False

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # the database itself may have rolled back
            self._connection.execute("ROLLBACK")


def _update(columns: Sequence[str]) -> str:
    changes = ", ".join(f"{name} = ?{i}" for i, name in enumerate(columns[1:], 2))
    return f"UPDATE rows SET {changes} WHERE {columns[0]} = ?1"
