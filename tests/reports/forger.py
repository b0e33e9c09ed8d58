"""A skilled forger: changes a ledger as a whole, and makes all hashes, numbers and names fit."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from sharekit.core import frame_schemas
from sharekit.core.frame_schemas import STORED_PLAN
from sharekit.ledger import parquet
from sharekit.ledger.events import BLOB_FIELDS, frame_schema
from sharekit.ledger.hashing import GENESIS, canonical_json, event_hash
from sharekit.ledger.ledger import Ledger
from sharekit.plans.chunks import chunks_of
from sharekit.plans.storage import planned_rows, stored_rows
from sharekit.runs.outcomes import count_outcomes
from sharekit.runs.status import load_run
from sharekit.spreadsheets.inventory import Inventory


def later(at: str, microseconds: int = 1) -> str:
    """Return the time so many microseconds after one."""
    moment = datetime.fromisoformat(at) + timedelta(microseconds=microseconds)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


@dataclass
class Line:
    """An event before it is written; ``text`` is its body as written, if that is not canonical."""

    at: str
    kind: str
    body: dict[str, Any]
    text: str = ""


@dataclass
class Forger:
    """A ledger that is open to every change."""

    path: Path
    lines: list[Line] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Forger:
        """Read a whole ledger into memory."""
        database = sqlite3.connect(path)
        lines = [
            Line(at, kind, json.loads(body))
            for at, kind, body in database.execute("SELECT at, kind, body FROM events ORDER BY seq")
        ]
        blobs = dict(database.execute("SELECT sha256, content FROM blobs").fetchall())
        database.close()
        return cls(path, lines, blobs)

    def all(self, kind: str) -> list[Line]:
        """Every event of a kind."""
        return [line for line in self.lines if line.kind == kind]

    def first(self, kind: str) -> Line:
        """The first event of a kind."""
        return self.all(kind)[0]

    def last(self, kind: str) -> Line:
        """The last event of a kind."""
        return self.all(kind)[-1]

    def drop(self, *lines: Line) -> None:
        """Leave events out."""
        self.lines = [line for line in self.lines if all(line is not other for other in lines)]

    def put(self, line: Line, *, before: Line | None = None, after: Line | None = None) -> Line:
        """Put an event in, or move it."""
        self.drop(line)
        place = before or after
        assert place is not None
        at = next(n for n, other in enumerate(self.lines) if other is place)
        self.lines.insert(at + (after is not None), line)
        line.at = later(place.at, 1 if after is not None else -1)
        return line

    def new(self, kind: str, body: dict[str, Any], **place: Line) -> Line:
        """Put a new event in."""
        return self.put(Line("", kind, body), **place)

    def frame(self, line: Line, name: str = "blob") -> pd.DataFrame:
        """The frame that an event names."""
        schema = frame_schema(line.kind, name, line.body)
        frame = parquet.from_bytes(self.blobs[line.body[name]], schema)
        return planned_rows(frame, self.inventory) if schema is STORED_PLAN else frame

    def store(self, line: Line, frame: pd.DataFrame, name: str = "blob") -> None:
        """Store another frame under a hash that fits."""
        if frame_schema(line.kind, name, line.body) is STORED_PLAN:
            further = [column for column in frame if column not in frame_schemas.PLAN.names]
            frame = stored_rows(frame, self.inventory).join(frame[further])
        content = parquet.to_bytes(frame)
        line.body[name] = hashlib.sha256(content).hexdigest()
        self.blobs[line.body[name]] = content

    @property
    def inventory(self) -> Inventory:
        """The inventory, without which a plan cannot be read."""
        return Inventory(self.frame(self.last("inventory_read"), "rows_blob"), (), pd.DataFrame())

    def change(
        self, line: Line, change: Callable[[pd.DataFrame], pd.DataFrame | None], name: str = "blob"
    ) -> None:
        """Change the frame that an event names."""
        frame = self.frame(line, name)
        changed = change(frame)
        self.store(line, frame if changed is None else changed, name)

    def fit_fingerprint(self) -> None:
        """Make the fingerprint that of the last plan's rows, in the approvals as well."""
        planned = self.last("planned")
        old = planned.body["fingerprint"]
        planned.body["fingerprint"] = chunks_of(self.frame(planned, "rows_blob")).fingerprint()
        for line in self.lines:
            if line.body.get("fingerprint") == old:
                line.body["fingerprint"] = planned.body["fingerprint"]

    def fit_outcomes(self) -> None:
        """Make the outcomes those that follow from the other events."""
        self.write()
        recorded = self.last("outcomes_recorded")
        with Ledger.open(self.path) as ledger:
            outcomes = load_run(ledger).rows
        self.store(recorded, outcomes[list(frame_schemas.OUTCOMES.names)])
        counts = count_outcomes(outcomes["outcome"])
        for line in (recorded, *self.all("finished")):
            line.body["counts"] = counts

    def write(self) -> Path:
        """Write everything, with hashes and heads that fit."""
        database = sqlite3.connect(self.path)
        database.execute("PRAGMA synchronous = OFF")  # no copy needs to survive a power cut
        master = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = database.execute(master).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("DELETE FROM events")
        database.execute("DELETE FROM blobs")
        head, named = GENESIS, set()
        for seq, line in enumerate(self.lines, 1):
            for name in ("after", "head"):
                if line.kind in ("approved", "sealed") and name in line.body:
                    line.body[name] = head
            named |= {line.body[name] for name in BLOB_FIELDS & line.body.keys()}
            text = line.text or canonical_json(line.body)
            link = event_hash(seq, line.at, line.kind, text, head)
            values = (seq, line.at, line.kind, text, head, link)
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", values)
            head = link
        for name in sorted(named & self.blobs.keys()):
            blob = (name, parquet.MEDIA_TYPE, self.blobs[name])
            database.execute("INSERT INTO blobs VALUES (?, ?, ?)", blob)
        for _, sql in triggers:
            database.execute(sql)
        database.commit()
        database.close()
        return self.path
