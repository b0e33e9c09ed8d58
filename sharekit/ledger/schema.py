"""The ledger's tables, what the database itself forbids, and how an event is hashed."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import sqlalchemy as sa

from sharekit.core.outcomes import OUTCOMES

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

META = sa.MetaData()
EVENTS = sa.Table(
    "events",
    META,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("prev", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
)
BLOBS = sa.Table(
    "blobs",
    META,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)


def _one_of(column: str, names: Iterable[str]) -> sa.CheckConstraint:
    # Not `IN (…)`: SQLite builds that list anew for each row, which trebles the time of an insert.
    return sa.CheckConstraint(" OR ".join(f"{column} = {name!r}" for name in names))


ROWS = sa.Table(
    "rows",
    META,
    sa.Column("row_key", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("image_id", sa.Text, nullable=False),
    sa.Column("disposition", sa.Text, nullable=False),
    sa.Column("carried_by", sa.Integer, sa.ForeignKey("rows.row_key")),
    sa.Column("chunk", sa.Integer),
    sa.Column("outcome", sa.Text, nullable=False, server_default="pending"),
    *(sa.Column(name, sa.Text) for name in OUTCOME_COLUMNS[2:]),
    _one_of("disposition", DISPOSITIONS),
    _one_of("outcome", reversed(OUTCOMES)),  # a row begins as pending
    sa.CheckConstraint("(disposition = 'duplicate') = (carried_by IS NOT NULL)"),
    sa.CheckConstraint("(disposition = 'planned') = (chunk IS NOT NULL)"),
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


def unlike(connection: sa.Connection) -> str:
    """Say what a database has in place of the tables, indexes and triggers of a ledger.

    A view, a generated column or a trigger of somebody else could answer, run or change anything.
    """
    have, want = _definitions(connection), _wanted()
    odd = sorted(have ^ want)
    return f"{' '.join(odd[0][:2])} is not as sharekit makes it" if odd else ""


@functools.cache
def _wanted() -> frozenset[tuple[str, str, str]]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        META.create_all(connection)
        for trigger in TRIGGERS:
            connection.exec_driver_sql(trigger)
        made = _definitions(connection)
    engine.dispose()
    return made


def _definitions(connection: sa.Connection) -> frozenset[tuple[str, str, str]]:
    found = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master LIMIT 100")
    return frozenset((str(t), str(n)[:100], " ".join(str(sql).split())) for t, n, sql in found)


def odd_rows(connection: sa.Connection) -> str:
    """Say which column of the rows holds a value of a kind that it cannot hold."""
    wrong = " OR ".join(
        f"typeof({column.name}) <> '{'integer' if isinstance(column.type, sa.Integer) else 'text'}'"
        + (f" AND {column.name} IS NOT NULL" if column.nullable else "")
        for column in ROWS.c
    )
    first = connection.exec_driver_sql(f"SELECT rowid FROM rows WHERE {wrong} LIMIT 1").scalar()
    return "" if first is None else f"row {first} holds a value of a wrong kind"


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
