"""The ledger's tables, what the database itself forbids, and how an event is hashed."""

from __future__ import annotations

import functools
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

#: Written into the file's header, so that a foreign database is told from a ledger.
APPLICATION_ID = 0x53484B54  # "SHKT"
FORMAT = 1
GENESIS = "0" * 64
#: Rows that are held as Python objects at one time.
_BATCH = 50_000
Seen = Callable[[list[Sequence[object]]], object]
DISPOSITIONS = ("planned", "already", "blocked", "duplicate", "skipped")
#: A row's place in the plan (the rest of what is known of it stands in the plan's blob); the
#: ``planned`` event holds the digest.
PLAN_COLUMNS = ("row_key", "image_id", "disposition", "carried_by", "chunk")
#: What becomes of a row; the ``settled`` event holds its digest.
OUTCOME_COLUMNS = (
    "row_key",
    "outcome",
    "code",
    "reason",
    "before",
    "claimed",
    "observed",
    "last_chunk",
    "job_id",
    "request_id",
)

#: The definitions of the tables, as format 1 has them: they are compared word by word, so a change
#: of them is another format.
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
    # Not `IN (…)`: SQLite builds that list anew for each row, which trebles the time of an insert.
    # The outcome of most rows, and of each at first, is tried first.
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
#: Rules that outlive any bug of ours: the database itself refuses.
TRIGGERS = (
    "CREATE TRIGGER events_stay BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END",
    "CREATE TRIGGER events_remain BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END",
    "CREATE TRIGGER blobs_stay BEFORE UPDATE ON blobs "
    "BEGIN SELECT RAISE(ABORT, 'a blob is never changed'); END",
    "CREATE TRIGGER rows_remain BEFORE DELETE ON rows "
    "BEGIN SELECT RAISE(ABORT, 'a row is never deleted'); END",
    f"CREATE TRIGGER plan_stays BEFORE UPDATE OF {', '.join(PLAN_COLUMNS)} ON rows "
    "WHEN EXISTS (SELECT 1 FROM events WHERE kind = 'intent') "
    "BEGIN SELECT RAISE(ABORT, 'the plan is fixed once a request was sent'); END",
    "CREATE TRIGGER all_settled BEFORE INSERT ON events WHEN NEW.kind = 'finished' "
    "AND (EXISTS (SELECT 1 FROM rows WHERE outcome IN ('pending', 'unknown')) "
    "OR (SELECT count(*) FROM rows) <> json_extract(NEW.body, '$.rows')) "
    "BEGIN SELECT RAISE(ABORT, 'a run is finished when every row has its outcome'); END",
)


#: What a database is made of; more than 100 definitions are no ledger's.
DEFINITIONS = "SELECT type, name, sql FROM sqlite_master LIMIT 100"
#: The first row that holds a value of a kind that its column cannot hold.
ODD_ROW = f"""
SELECT rowid FROM rows
WHERE typeof(row_key) <> 'integer'
OR typeof(image_id) <> 'text' OR typeof(disposition) <> 'text' OR typeof(outcome) <> 'text'
OR typeof(carried_by) <> 'integer' AND carried_by IS NOT NULL
OR typeof(chunk) <> 'integer' AND chunk IS NOT NULL
{" ".join(f"OR typeof({n}) <> 'text' AND {n} IS NOT NULL" for n in OUTCOME_COLUMNS[2:])}
LIMIT 1
"""


def create_tables(connection: sqlite3.Connection) -> None:
    """Make an empty database a ledger."""
    connection.execute("BEGIN")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    for statement in (*TABLES, *TRIGGERS):
        connection.execute(statement)
    connection.execute("COMMIT")


def unlike(definitions: Iterable[tuple[Any, ...]]) -> str:
    """Say what a database has in place of the tables, indexes and triggers of a ledger.

    A view, a generated column or a trigger of somebody else could answer, run or change anything.
    """
    odd = sorted(_one_spelling(definitions) ^ _wanted())
    return f"{' '.join(odd[0][:2])} is not as sharekit makes it" if odd else ""


@functools.cache
def _wanted() -> frozenset[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create_tables(connection)
        return _one_spelling(connection.execute(DEFINITIONS))


def _one_spelling(definitions: Iterable[tuple[Any, ...]]) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        (str(t), str(n)[:100], " ".join(str(sql).split())) for t, n, sql in definitions
    )


def canonical(value: object) -> str:
    """JSON in one spelling only: sorted keys, no blanks, UTF-8 as it is.

    >>> canonical({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def event_hash(seq: int, at: str, kind: str, body: str, prev: str) -> str:
    """Return the hash that chains one event to the one before."""
    text = "\n".join((str(seq), at, kind, body, prev))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def broken(lines: Iterable[Sequence[object]]) -> Iterator[tuple[str, str]]:
    """Yield where a chain of events (seq, at, kind, body, prev, hash) does not hold, and why.

    >>> list(broken([(2, "", "", "{}", GENESIS, "")]))
    [('event 1', 'is missing; the next one there is 2')]
    """
    before: object = GENESIS
    for number, (seq, at, kind, body, prev, link) in enumerate(lines, 1):
        if seq != number:
            yield f"event {number}", f"is missing; the next one there is {seq}"
            return
        if not isinstance(link, str) or not isinstance(prev, str):
            yield f"event {seq}", "holds something that is no text"
            return
        if prev != before:
            yield (
                f"event {seq}",
                f"follows on {prev[:12]}…, but the one before it is {before!s:.12}…",
            )
        made = event_hash(number, str(at), str(kind), str(body), prev)
        if made != link:
            yield (
                f"event {seq} ({kind})",
                f"was changed: its hash says {link[:12]}…, it is {made[:12]}…",
            )
        before = link


def digest(lines: Iterable[Sequence[object]], seen: Seen | None = None) -> str:
    """SHA-256 over rows of values, as one JSON array of arrays without blanks.

    Rows are taken a batch at a time; ``seen`` is called with each batch on the way.

    >>> digest([(1, "a"), (2, None)]) == hashlib.sha256(b'[[1,"a"],[2,null]]').hexdigest()
    True
    """
    sha, rest, comma = hashlib.sha256(b"["), iter(lines), ""
    while batch := list(islice(rest, _BATCH)):
        text = json.dumps(batch, separators=(",", ":"), ensure_ascii=False)
        sha.update(f"{comma}{text[1:-1]}".encode("utf-8", "surrogatepass"))
        comma = ","
        if seen:
            seen(batch)
    sha.update(b"]")
    return sha.hexdigest()
