"""The SQL of the ledger: its tables, and the triggers that forbid a change of what is written."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from sharekit.core import frame_schemas

#: Stands in the file's header, and tells a ledger from any other database.
APPLICATION_ID = 0x53484B54  # "SHKT"
FORMAT = 1
DISPOSITIONS = ("planned", "already", "blocked", "duplicate", "skipped")
#: A row's place in the plan; the event `planned` holds their digest.
PLAN_COLUMNS = ("row_key", "image_id", "disposition", "carried_by", "chunk")
#: A row's outcome; the event `outcomes_recorded` holds their digest.
OUTCOME_COLUMNS = ("row_key", *frame_schemas.OUTCOMES.names)

#: The tables of format 1. Every ledger's definitions are compared with these, so any change of
#: them is a new format.
TABLES = (
    """\
CREATE TABLE events (
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (hash)
)""",
    """\
CREATE TABLE blobs (
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (sha256)
)""",
    # Not `IN (…)`: SQLite rebuilds that list for each row, which trebles the time of an insert.
    # `pending` comes first, because every row begins with it.
    """\
CREATE TABLE rows (
    row_key INTEGER NOT NULL,
    image_id TEXT NOT NULL,
    disposition TEXT NOT NULL,
    carried_by INTEGER,
    chunk INTEGER,
    outcome TEXT DEFAULT 'pending' NOT NULL,
    code TEXT,
    reason TEXT,
    "before" TEXT,
    claimed TEXT,
    observed TEXT,
    last_chunk TEXT,
    job_id TEXT,
    request_id TEXT,
    PRIMARY KEY (row_key),
    CHECK (disposition = 'planned' OR disposition = 'already' OR disposition = 'blocked' OR \
disposition = 'duplicate' OR disposition = 'skipped'),
    CHECK (outcome = 'pending' OR outcome = 'unknown' OR outcome = 'duplicate' OR \
outcome = 'skipped' OR outcome = 'blocked' OR outcome = 'failed' OR outcome = 'contradicted' OR \
outcome = 'claimed' OR outcome = 'already' OR outcome = 'confirmed'),
    CHECK ((disposition = 'duplicate') = (carried_by IS NOT NULL)),
    CHECK ((disposition = 'planned') = (chunk IS NOT NULL)),
    FOREIGN KEY(carried_by) REFERENCES rows (row_key)
)""",
)
#: Changes that the database itself refuses, whatever program asks for them.
TRIGGERS = (
    "CREATE TRIGGER events_stay BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END",
    "CREATE TRIGGER events_remain BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END",
    "CREATE TRIGGER blobs_stay BEFORE UPDATE ON blobs "
    "BEGIN SELECT RAISE(ABORT, 'a blob is never changed'); END",
    "CREATE TRIGGER rows_remain BEFORE DELETE ON rows "
    "BEGIN SELECT RAISE(ABORT, 'a row is never deleted'); END",
    "CREATE TRIGGER plan_stays "
    "BEFORE UPDATE OF row_key, image_id, disposition, carried_by, chunk ON rows "
    "WHEN EXISTS (SELECT 1 FROM events WHERE kind = 'intent') "
    "BEGIN SELECT RAISE(ABORT, 'the plan is fixed once a request was sent'); END",
    "CREATE TRIGGER all_settled BEFORE INSERT ON events WHEN NEW.kind = 'finished' "
    "AND (EXISTS (SELECT 1 FROM rows WHERE outcome IN ('pending', 'unknown')) "
    "OR (SELECT count(*) FROM rows) <> json_extract(NEW.body, '$.rows')) "
    "BEGIN SELECT RAISE(ABORT, 'a run is finished when every row has its outcome'); END",
)


#: All definitions of a database; no ledger has more than 100.
DEFINITIONS = "SELECT type, name, sql FROM sqlite_master LIMIT 100"
#: The first row with a value of a type that its column cannot hold.
INVALID_ROW = f"""
SELECT rowid FROM rows
WHERE typeof(row_key) <> 'integer'
OR typeof(image_id) <> 'text' OR typeof(disposition) <> 'text' OR typeof(outcome) <> 'text'
OR typeof(carried_by) <> 'integer' AND carried_by IS NOT NULL
OR typeof(chunk) <> 'integer' AND chunk IS NOT NULL
{" ".join(f"OR typeof({n}) <> 'text' AND {n} IS NOT NULL" for n in OUTCOME_COLUMNS[2:])}
LIMIT 1
"""


def create_tables(connection: sqlite3.Connection) -> None:
    """Turn an empty database into a ledger."""
    connection.execute("BEGIN")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    for statement in (*TABLES, *TRIGGERS):
        connection.execute(statement)
    connection.execute("COMMIT")


def schema_difference(definitions: Iterable[tuple[Any, ...]]) -> str:
    """Return how a database's definitions differ from a ledger's; ``""`` if they do not.

    A view, a generated column or a foreign trigger could return, run or change anything.
    """
    differing = sorted(_normalize(definitions) ^ _expected())
    return f"{' '.join(differing[0][:2])} is not as sharekit defines it" if differing else ""


@functools.cache
def _expected() -> frozenset[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create_tables(connection)
        return _normalize(connection.execute(DEFINITIONS))


def _normalize(definitions: Iterable[tuple[Any, ...]]) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        (str(kind), str(name)[:100], " ".join(str(sql).split())) for kind, name, sql in definitions
    )
