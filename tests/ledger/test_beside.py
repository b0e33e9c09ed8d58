"""What lies beside an honest ledger, or a disk that is full, never makes it damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

import sharekit
from sharekit.core.errors import LedgerError, LedgerUnreadableError
from sharekit.ledger.file import database_error
from sharekit.ledger.ledger import Ledger

SAMPLES = Path(__file__).parent / "samples"
#: How a journal begins that SQLite takes for unfinished.
JOURNAL = bytes.fromhex("d9d505f920a163d7") + b"\x00\x00\x00\x01" + bytes(8) + b"\x00\x00\x00\x20"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A copy of the sealed sample."""
    return Path(shutil.copy(SAMPLES / "sealed.ledger", tmp_path))


@pytest.mark.parametrize("suffix", ["journal", "wal"])
@pytest.mark.parametrize("content", [b"", bytes(5_000), b"no journal" * 500], ids=["", "0", "text"])
def test_a_stray_file_changes_nothing(ledger: Path, suffix: str, content: bytes) -> None:
    """A file that only has the name of a journal or log is looked past; the ledger is intact."""
    ledger.with_name(f"sealed.ledger-{suffix}").write_bytes(content)
    assert sharekit.verify(ledger).problems == ()
    assert sharekit.status(ledger).finished


@pytest.mark.parametrize("suffix", ["journal", "wal", "shm"])
def test_a_pipe_beside_a_ledger_is_not_waited_for(ledger: Path, suffix: str) -> None:
    """What has a journal's name and is no file is named at once."""
    os.mkfifo(f"{ledger}-{suffix}")
    for use in (sharekit.verify, sharekit.status):
        with pytest.raises(LedgerUnreadableError, match=f"sealed.ledger-{suffix} lies beside it"):
            use(ledger)


def leave_half_done(ledger: Path) -> None:
    """Leave a change beside a ledger that nobody has finished, as a process does that is killed."""
    page = ledger.read_bytes()[:4096]
    journal = ledger.with_name(f"{ledger.name}-journal")
    size = (ledger.stat().st_size // 4096).to_bytes(4, "big")
    header = JOURNAL[:16] + size + (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    checksum = sum(page[at] for at in range(4096 - 200, 0, -200)).to_bytes(4, "big")
    journal.write_bytes(header.ljust(512, b"\0") + (1).to_bytes(4, "big") + page + checksum)


def test_an_unfinished_change_is_not_damage(ledger: Path) -> None:
    """A journal of an unfinished change is named, and what to do; who writes takes it back."""
    leave_half_done(ledger)
    for use in (sharekit.verify, sharekit.status):
        with pytest.raises(LedgerUnreadableError, match=r"sealed\.ledger-journal lies beside it"):
            use(ledger)
    with Ledger.open(ledger, write=True):
        pass
    assert sharekit.verify(ledger).problems == ()


def test_a_log_of_another_file_is_named(ledger: Path, tmp_path: Path) -> None:
    """The log of another database makes nothing damaged: the sentence names it."""
    other = tmp_path / "other.ledger"
    shutil.copy(SAMPLES / "undo.ledger", other)
    database = sqlite3.connect(other, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE x (y)")
    shutil.copy(f"{other}-wal", f"{ledger}-wal")
    database.close()
    for use in (sharekit.verify, sharekit.status):
        with pytest.raises(LedgerUnreadableError, match=r"sealed\.ledger-wal lies beside it"):
            use(ledger)
    Path(f"{ledger}-wal").unlink()
    assert sharekit.verify(ledger).problems == ()


def test_a_full_disk_is_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing or reading without room says that the disk is full, and the chain goes on after."""
    path = tmp_path / "a.ledger"
    with Ledger.create(path) as ledger:
        ledger.append("thing", {})
        ledger._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(LedgerError, match="refused a change: the disk is full; make room"):
            ledger.put_blob(bytes(400_000), "text/plain")
        ledger._connection.execute("PRAGMA max_page_count = 1000")
        assert ledger.append("thing", {}).seq == 2
    assert not isinstance(database_error(path, sqlite3.DatabaseError("malformed")), OSError)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert "a.ledger cannot be read: disk I/O error." in str(database_error(path, error))
    monkeypatch.setattr("sharekit.ledger.file._is_full", lambda _: True)
    assert "cannot be read: the disk is full; make room" in str(database_error(path, error))
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHORT_READ
    assert "is damaged" in str(database_error(path, error))
