"""The SQL of the ledger, for each format: its tables, and triggers against changes.

A format that was published is kept here for ever, word by word, so that its ledgers stay readable.
Any change of a definition is a new format.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, Final

#: Stands in the file's header, and tells a ledger from any other database.
APPLICATION_ID: Final = 0x53484B54  # "SHKT"
#: The format of new ledgers; it stands in the file's header as ``user_version``.
FORMAT: Final = 2
#: Bytes of a page of a new ledger's file. Events of some thousand bytes leave a fifth of the usual
#: 4 KB pages empty; committing them costs about the same.
_PAGE_SIZE: Final = 1 << 15
_EVENTS: Final = """\
CREATE TABLE events (
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (seq)
)"""
_BLOBS: Final = """\
CREATE TABLE blobs (
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (sha256)
)"""
#: Format -> its definitions. The triggers refuse changes, whatever program asks for them.
DEFINITIONS: Final[Mapping[int, tuple[str, ...]]] = {
    2: (
        _EVENTS,
        _BLOBS,
        "CREATE TRIGGER events_no_update BEFORE UPDATE ON events "
        "BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END",
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
        "BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END",
        "CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs "
        "BEGIN SELECT RAISE(ABORT, 'a blob is never changed'); END",
        "CREATE TRIGGER blobs_no_delete BEFORE DELETE ON blobs "
        "BEGIN SELECT RAISE(ABORT, 'a blob is never deleted'); END",
    )
}
#: Everything that a database defines; no ledger defines more than 100 things.
DEFINED: Final = "SELECT type, name, sql FROM sqlite_master LIMIT 100"


def create_tables(connection: sqlite3.Connection, version: int = FORMAT) -> None:
    """Turn an empty database into a ledger."""
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute("BEGIN")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")
    for statement in DEFINITIONS[version]:
        connection.execute(statement)
    connection.execute("COMMIT")


def format_error(version: int) -> str:
    """Return why a ledger of this format cannot be read; ``""`` if it can.

    >>> format_error(2), format_error(9)
    ('', 'has the format 9, but this version of sharekit reads 2: use the one that made it')
    """
    if version in DEFINITIONS:
        return ""
    if version == 1:
        return "was made before the first release of sharekit, and is no longer read"
    known = ", ".join(map(str, DEFINITIONS))
    return (
        f"has the format {version}, but this version of sharekit reads {known}: use the one that "
        "made it"
    )


def schema_difference(version: int, defined: Iterable[tuple[Any, ...]]) -> str:
    """Return how a database's definitions differ from those of its format; ``""`` if they do not.

    A view, a generated column or a foreign trigger could return, run or change anything.
    """
    differing = sorted(_normalize(defined) ^ _expected(version))
    return f"{' '.join(differing[0][:2])} is not as sharekit defines it" if differing else ""


@functools.cache
def _expected(version: int) -> frozenset[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create_tables(connection, version)
        return _normalize(connection.execute(DEFINED))


def _normalize(defined: Iterable[tuple[Any, ...]]) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        (str(kind), str(name)[:100], " ".join(str(sql).split())) for kind, name, sql in defined
    )
