"""The ledger keeps every event, in order, on disk, chained – or says that it does not."""

from __future__ import annotations

import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import cast
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharekit.core.errors import LedgerError, UsageError
from sharekit.ledger.hashing import GENESIS, canonical_json, event_hash
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import WriteLock
from sharekit.ledger.tables import create_tables


def test_events_are_chained(tmp_path: Path) -> None:
    """Each event holds the hash of the one before; reopening finds the same head."""
    with Ledger.create(tmp_path / "a.ledger") as book:
        for number in range(5):
            book.append("thing", {"number": number})
        head = book.head
    with Ledger.open(tmp_path / "a.ledger") as book:
        before = GENESIS
        for seq, at, kind, body, prev, link in book.raw_events():
            assert prev == before
            assert link == event_hash(seq, at, kind, body, prev)
            before = link
        assert (book.head, book.event_count) == (head, 5)


@pytest.mark.parametrize(
    "body",
    [{"why": 1}, {"why": None}, {"why": "\ud800"}, {"why": "x", "by": np.int64(1)}, {}],
)
def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, body: dict[str, object]
) -> None:
    """A body of another type than its kind has is refused, and the ledger stays as it was."""
    with Ledger.create(tmp_path / "run.ledger") as ledger:
        head = ledger.head
        with pytest.raises(UsageError, match="cannot record this as 'stopped'"):
            ledger.append("stopped", body)
        assert ledger.head == head


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-200, 200)), min_size=1, max_size=12))
def test_no_clock_makes_the_steps_of_a_call_seem_shorter(steps: list[tuple[float, float]]) -> None:
    """Events of one process are dated no sooner than time passed, or a clock set back shows."""
    passed, wall = 1000.0, datetime(2026, 1, 1, tzinfo=UTC)
    book = Ledger(Path("memory"), sqlite3.connect(":memory:"), cast("WriteLock", object()))
    create_tables(book._connection)

    book_module = "sharekit.ledger.ledger"
    with (
        mock.patch(f"{book_module}.monotonic", side_effect=lambda: passed),
        mock.patch(f"{book_module}.utc_time", side_effect=lambda: wall),
    ):
        ticks, times = [passed], [book.append("thing", {}).at]
        for elapsed, step in steps:
            passed += elapsed
            wall += timedelta(seconds=elapsed + step)
            ticks.append(passed)
            times.append(book.append("thing", {}).at)
    for (tick, at), (later_tick, later) in pairwise(zip(ticks, times, strict=True)):
        between = datetime.fromisoformat(later) - datetime.fromisoformat(at)
        waited = timedelta(seconds=later_tick - tick - 1e-5)
        assert between < timedelta() or (between >= waited and between)
    book._connection.close()


def test_threads_share_one_chain(tmp_path: Path) -> None:
    """Events appended by many threads at once are all there, in one unbroken chain."""
    with Ledger.create(tmp_path / "a.ledger") as book:
        threads = [
            threading.Thread(target=lambda: [book.append("thing", {}) for _ in range(50)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        events = list(book.raw_events())
    assert [e[0] for e in events] == list(range(1, 401))
    assert all(e[4] == b[5] for b, e in pairwise(events))


def test_together_or_not_at_all(tmp_path: Path) -> None:
    """A transaction that fails leaves neither its events nor its blobs."""
    with Ledger.create(tmp_path / "a.ledger") as book:
        book.append("kept", {})

        def fail() -> None:
            with book.transaction():
                book.put_blob(b"bytes", "text/plain")
                book.append("lost", {})
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert [e.kind for e in book.list_events()] == ["kept"]
        assert book.fetch("SELECT * FROM blobs") == []
        assert book.append("next", {}).seq == 2


@pytest.mark.parametrize(
    "change", ["UPDATE events SET body = '{}'", "DELETE FROM events", "UPDATE blobs SET content=1"]
)
def test_the_database_refuses(tmp_path: Path, change: str) -> None:
    """Events and blobs cannot be changed or deleted, by any program that respects the schema."""
    with Ledger.create(tmp_path / "a.ledger") as book:
        book.put_blob(b"bytes", "text/plain")
        book.append("thing", {"a": 1})
    with (
        sqlite3.connect(tmp_path / "a.ledger") as database,
        pytest.raises(sqlite3.IntegrityError, match="never"),
    ):
        database.execute(change)
    database.close()


def test_one_file_private(tmp_path: Path) -> None:
    """A closed ledger is one file that only its owner can read."""
    with Ledger.create(tmp_path / "a.ledger") as book:
        book.append("thing", {})
    assert [p.name for p in tmp_path.iterdir()] == ["a.ledger"]
    assert stat.S_IMODE((tmp_path / "a.ledger").stat().st_mode) == 0o600


def test_readable_while_written(tmp_path: Path) -> None:
    """Another reader sees what was committed while the writer goes on."""
    with Ledger.create(tmp_path / "a.ledger") as book:
        book.append("thing", {})
        with Ledger.open(tmp_path / "a.ledger") as reader:
            assert reader.event_count == 1
            with pytest.raises(LedgerError, match="read only"):
                reader.append("thing", {})
        book.append("thing", {})


def test_until_an_event(tmp_path: Path) -> None:
    """A ledger opened until one of its events shows that event as the last, whatever follows."""
    path = tmp_path / "a.ledger"
    with Ledger.create(path) as ledger:
        ledger.append("first", {"number": 1})
        head = ledger.append("second", {"number": 2}).hash
        ledger.append("first", {"number": 3})
    with Ledger.open(path, until=head) as ledger:
        assert (ledger.head, ledger.event_count) == (head, 2)
        assert [event.body["number"] for event in ledger.iter_events()] == [1, 2]
        assert len([*ledger.raw_events()]) == 2
        latest = ledger.last_event("first")
        assert latest is not None
        assert latest.seq == 1
    with pytest.raises(LedgerError, match="no event with the hash"):
        Ledger.open(path, until="0" * 64)


def test_a_locked_database_refuses_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program holds the database nothing is written; afterwards the chain goes on."""
    monkeypatch.setattr("sharekit.ledger.file._BUSY_TIMEOUT", 0)
    with Ledger.create(tmp_path / "a.ledger") as ledger:
        ledger.append("thing", {})
        other = sqlite3.connect(tmp_path / "a.ledger", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="refused a change: database is locked"):
            ledger.append("thing", {})
        other.close()
        assert ledger.append("thing", {}).seq == 2
    with Ledger.open(tmp_path / "a.ledger") as ledger:
        assert ledger.event_count == 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"SQLite format 3\0" + b"\0" * 100])
def test_what_is_no_ledger(tmp_path: Path, content: bytes) -> None:
    """Any other file, also another program's database, is refused by name."""
    (tmp_path / "a.ledger").write_bytes(content)
    with pytest.raises(LedgerError, match=r"a\.ledger is not a sharekit ledger"):
        Ledger.open(tmp_path / "a.ledger")
    with pytest.raises(LedgerError, match="no such ledger"):
        Ledger.open(tmp_path / "b.ledger")
    with pytest.raises(LedgerError, match="does not exist"):
        Ledger.create(tmp_path / "no" / "b.ledger")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) |
    st.dictionaries(st.text(), inner), max_leaves=8,
)  # fmt: skip


@given(_JSON)
def test_one_spelling(value: object) -> None:
    """The canonical form of a value is the same whatever order its keys were given in."""
    turned = dict(reversed(value.items())) if isinstance(value, dict) else value
    assert canonical_json(value) == canonical_json(turned)
