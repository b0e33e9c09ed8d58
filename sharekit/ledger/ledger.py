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
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from sharekit.core.errors import LedgerError
from sharekit.core.provenance import utc_now
from sharekit.core.shapes import body_of

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
    broken,
    canonical,
    digest,
    event_hash,
    odd_rows,
    unlike,
)
from .storage import Claim, connect, make_durable, make_file, must_be_ledger, why

#: Events in memory at one time, where all of them are read.
_PAGE = 1_000


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
        self, path: Path, connection: sa.Connection, claim: Claim | None, *, checked: bool = True
    ) -> None:
        self.path = path
        self._connection = connection
        self._claim = claim
        self._mutex = threading.RLock()
        self._depth = 0
        self._seq, self._head = 0, GENESIS
        try:
            self._begin(checked=checked)
        except BaseException:
            self.close()
            raise

    def _begin(self, *, checked: bool) -> None:
        with self._reading() as connection:
            if odd := unlike(connection):
                raise LedgerError(f"{self.path} is damaged: {odd}.")
        for where, what in broken(self.raw_events()) if checked else ():
            raise LedgerError(
                f"{self.path} is damaged: {where} {what}. `sharekit verify` tells all."
            )
        query = sa.select(EVENTS.c.seq, EVENTS.c.hash).order_by(EVENTS.c.seq.desc()).limit(1)
        with self._reading() as connection:
            end = connection.execute(query).first()
        if end:
            self._seq, self._head = end.seq, end.hash

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
        claim = Claim(path)
        try:
            make_file(path)
            connection = connect(path, "rw")
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {FORMAT}")
            META.create_all(connection)
            for trigger in TRIGGERS:
                connection.exec_driver_sql(trigger)
            connection.commit()
            make_durable(connection, path)
        except (sa.exc.SQLAlchemyError, OSError) as error:
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
        claim = Claim(path) if write else None
        try:
            connection = connect(path, "rw" if write else "ro")
            if write:
                make_durable(connection, path)
        except sa.exc.SQLAlchemyError as error:
            if claim:
                claim.release()
            raise LedgerError(f"{path} cannot be opened: {why(error)}.") from None
        return cls(path, connection, claim, checked=checked)

    def close(self) -> None:
        """Close the file; after writing it is one file again, without side files."""
        if self._claim is not None:
            # One file is what people copy, so the write-ahead log is folded in; where the disk is
            # full or gone that cannot be, and the log keeps what was committed.
            with suppress(sa.exc.SQLAlchemyError):
                self._connection.rollback()
                self._connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        self._connection.close()
        self._connection.engine.dispose()
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
        with self._reading() as connection:
            return bool(connection.scalar(sa.select(sa.exists().where(EVENTS.c.hash == link))))

    def append(self, kind: str, body: dict[str, Any]) -> Event:
        """Write one event and return it once it is on disk."""
        with self.transaction():
            seq, at, text = self._seq + 1, utc_now(), canonical(body)
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
        return list(self.each(*kinds))

    def each(self, *kinds: str) -> Iterator[Event]:
        """Yield the same events, few of them at a time in memory."""
        query = sa.select(EVENTS)
        query = query.where(EVENTS.c.kind.in_(kinds)) if kinds else query
        return map(self._event, self._pages(query))

    def _pages(
        self, query: sa.Select[Any], by: sa.Column[int] = EVENTS.c.seq
    ) -> Iterator[sa.Row[Any]]:
        query, last = query.order_by(by).limit(_PAGE), -sys.maxsize
        while True:
            with self._reading() as connection:
                lines = connection.execute(query.where(by > last)).all()
            yield from lines
            if len(lines) < _PAGE:
                return
            last = getattr(lines[-1], by.name)

    def raw_events(self) -> Iterator[tuple[Any, ...]]:
        """Yield every event just as it is stored: seq, at, kind, body, prev, hash."""
        return map(tuple, self._pages(sa.select(EVENTS)))

    def last(self, kind: str = "") -> Event | None:
        """Return the latest event, or the latest of a kind."""
        query = sa.select(EVENTS).order_by(EVENTS.c.seq.desc())
        query = query.where(EVENTS.c.kind == kind) if kind else query
        with self._reading() as connection:
            line = connection.execute(query.limit(1)).first()
        return self._event(line) if line else None

    def _event(self, line: sa.Row[Any]) -> Event:
        try:
            body = body_of(line.kind, line.at, line.body)
        except ValueError as error:
            place = f"event {line.seq} ({line.kind!s:.40})"
            raise LedgerError(
                f"{self.path} is damaged: {place} does not hold what it must: {error}."
            ) from None
        return Event(line.seq, line.at, line.kind, body, line.prev, line.hash)

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
        if not isinstance(content, bytes) or hashlib.sha256(content).hexdigest() != name:
            raise LedgerError(f"{self.path} is damaged: blob {name[:12]}… is missing or changed.")
        return content

    def blobs(self) -> Iterator[tuple[str, str, bool]]:
        """Yield each blob's name, its media type, and whether its bytes have that name."""
        with self._reading() as connection:
            lines = connection.execute(sa.select(BLOBS.c.sha256, BLOBS.c.media_type)).all()
        for name, media_type in lines:
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
        with self._reading() as connection:
            return digest([tuple(line) for line in connection.exec_driver_sql(query)])

    def faults(self) -> list[str]:
        """What the database itself finds wrong with its file."""
        with self._reading() as connection:
            told = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
            form = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        found = [str(line).splitlines()[-1] for line in told if line != "ok"]
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
        with self._reading() as connection:
            query = sa.select(sa.func.count()).select_from(META.tables[table])
            return int(connection.execute(query).scalar_one())

    def read_rows(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Give these columns of every row (``row_key`` is one), few at a time, by that key."""
        with self._reading() as connection:
            if odd := odd_rows(connection):
                raise LedgerError(f"{self.path} is damaged: {odd}.")
        query = sa.select(*(ROWS.c[name] for name in columns))
        return map(tuple, self._pages(query, ROWS.c.row_key))

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
            if self._claim is None:
                raise LedgerError(f"{self.path} was opened to be read only.")
            before = (self._seq, self._head)
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._commit()
            except BaseException as error:
                if self._depth == 1:
                    self._connection.rollback()
                    self._seq, self._head = before
                if isinstance(error, sa.exc.SQLAlchemyError):
                    raise LedgerError(f"{self.path} refused a change: {why(error)}.") from None
                raise
            finally:
                self._depth -= 1

    def _commit(self) -> None:
        self._connection.commit()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._mutex:
            try:
                yield self._connection
            except (sa.exc.SQLAlchemyError, UnicodeDecodeError) as error:
                raise LedgerError(f"{self.path} is damaged: {why(error)}.") from None
            finally:
                if self._depth == 0:
                    self._connection.rollback()


def _update(columns: Sequence[str]) -> str:
    changes = ", ".join(f"{name} = ?{i}" for i, name in enumerate(columns[1:], 2))
    return f"UPDATE rows SET {changes} WHERE {columns[0]} = ?1"


def _tuples(rows: Iterable[Sequence[object]]) -> list[tuple[object, ...]]:
    return [tuple(row) for row in rows]
