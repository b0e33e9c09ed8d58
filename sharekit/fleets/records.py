"""What became of a fleet: the state of each part, and one record of all rows for its reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.columns import STR
from sharekit.core.errors import SharekitError
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.frame_schemas import APPROVALS
from sharekit.core.html import table
from sharekit.core.monitoring.progress import report
from sharekit.core.outcomes import FINAL_OK, UNSETTLED
from sharekit.core.provenance import distinct_people
from sharekit.ledger.ledger import Ledger
from sharekit.reports.document import RowsInParts
from sharekit.reports.merged_runs import concat_frames, merge_environments, prefix_chunks
from sharekit.reports.run_record import Record, read_record
from sharekit.runs.status import Run, load_run

from .storage import Part, StoredFleet, open_fleet, open_part

#: Rows of all parts that a report has in memory at once: as many as a sheet of a workbook.
MOST_ROWS: Final = 1_048_575
_SOURCE: Final = ["file", "sheet"]


@dataclass(frozen=True)
class PartStatus:
    """How far a part is: what :class:`.Run` says of it, without its rows."""

    path: Path
    counts: dict[str, int]
    summary: dict[str, Any]
    finished: bool
    was_refused: bool
    looks_once_more: bool
    succeeded: bool
    not_authorized: bool

    @classmethod
    def of(cls, run: Run) -> PartStatus:
        """Return the status of a part, so that its rows need not stay in memory."""
        return cls(*(getattr(run, one.name) for one in fields(cls)))


@dataclass(frozen=True, eq=False, repr=False)
class FleetStatus:
    """How far a fleet is.

    Attributes
    ----------
    fingerprint : str
        That of the fleet, as its parts' plans are now.
    runs : dict
        The status of each part by its name, as a :class:`.PartStatus`.
    approved : dict
        Part -> names of those whose approval holds for its plan.
    errors : dict
        Part -> why :meth:`.Fleet.submit` could not send it.
    """

    fingerprint: str
    runs: dict[str, PartStatus]
    approved: dict[str, list[str]]
    errors: dict[str, SharekitError] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether every part is."""
        return all(run.finished for run in self.runs.values())

    @property
    def parts(self) -> pd.DataFrame:
        """One line for each part: ``part, ledger, rows, open, what, approved_by, finished``."""
        lines = [
            (name, run.path.name, run.summary["rows"], *open_rows(run.counts),
             ", ".join(self.approved[name]), run.finished)
            for name, run in self.runs.items()
        ]  # fmt: skip
        names = ["part", "ledger", "rows", "open", "what", "approved_by", "finished"]
        return pd.DataFrame(lines, columns=names)

    @property
    def counts(self) -> dict[str, int]:
        """Outcome to number of rows, over all parts."""
        return _sum(run.counts for run in self.runs.values())

    @property
    def summary(self) -> dict[str, Any]:
        """As :attr:`.Run.summary`, over all parts, with ``parts``: one object for each."""
        each = [run.summary for run in self.runs.values()]
        return {
            "rows": sum(one["rows"] for one in each),
            "outcomes": self.counts,
            "chunks": sum(one["chunks"] for one in each),
            "requests": _sum(one["requests"] for one in each),
            "fingerprint": self.fingerprint,
            "finished": self.finished,
            "parts": self.parts.to_dict("records"),
        }

    def __repr__(self) -> str:
        done = sum(run.finished for run in self.runs.values())
        numbers = ", ".join(f"{n:,} {name}" for name, n in self.counts.items() if n)
        return f"<FleetStatus: {done} of {len(self.runs)} parts finished; {numbers}>"

    def _repr_html_(self) -> str:
        return table(self.parts, title=repr(self)[1:-1])


def _sum(counts: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for name, number in one.items():
            total[name] = total.get(name, 0) + number
    return total


def open_rows(counts: Mapping[str, int]) -> tuple[int, str]:
    """Return how many rows are not settled, and their outcomes.

    >>> open_rows({"confirmed": 7, "failed": 2, "pending": 1})
    (3, '2 failed, 1 pending')
    """
    left = {name: n for name, n in counts.items() if n and name not in FINAL_OK}
    return sum(left.values()), ", ".join(f"{n:,} {name}" for name, n in left.items())


def read_status(fleet: StoredFleet, known: Mapping[str, PartStatus] | None = None) -> FleetStatus:
    """Return the status of all parts, also while they are being sent; some may be ``known``."""
    runs = dict(known or {})
    for number, part in enumerate(fleet.parts, 1):
        report("reading the parts", number, len(fleet.parts))
        if part.name not in runs:
            with open_part(fleet.folder, part.to_body()) as ledger:
                runs[part.name] = PartStatus.of(load_run(ledger))
    runs = {part.name: runs[part.name] for part in fleet.parts}
    approved = {p.name: distinct_people(one.reviewer for one in p.approvals) for p in fleet.parts}
    return FleetStatus(fleet.fingerprint, runs, approved)


# -- the rows, part after part ---------------------------------------------------------------------
def report_source(fleet: StoredFleet) -> Record | RowsInParts:
    """Return what reports of a fleet are made of: its record, or rows that do not fit into memory.

    The latter are in the order of the parts, and of the input in each.
    """
    if sum(part.rows for part in fleet.parts) <= MOST_ROWS:
        return read_fleet_record(fleet)
    now = read_status(fleet)
    with open_fleet(fleet.folder) as ledger:
        created = ledger.last_event("created")
    values = {
        "sharekit": created.body["sharekit"] if created else "", "fingerprint": now.fingerprint,
        "head": fleet.head, "finished": now.finished, "counts": now.counts,
        "parts": now.parts.to_dict("records"),
    }  # fmt: skip
    return RowsInParts(partial(_frames, fleet), values)


def _frames(fleet: StoredFleet) -> Iterator[pd.DataFrame]:
    for number, part in enumerate(fleet.parts, 1):
        report("writing the parts", number, len(fleet.parts))
        with open_part(fleet.folder, part.to_body()) as ledger:
            record = read_record(ledger)
        yield _rows({part.name: record}, np.arange(len(record.rows)))


# -- the record of all rows ------------------------------------------------------------------------
def read_fleet_record(fleet: StoredFleet) -> Record:
    """Return the record of a fleet: that of a run, with the name of the part in every frame.

    Rows are in the order of the input. Chunks are called ``NAME:7``. An approval of the fleet is
    one line, with all of its shares, and not one for each part.
    """
    records: dict[str, Record] = {}
    approvals: dict[str, pd.DataFrame] = {}
    with open_fleet(fleet.folder) as ledger:
        approvals[""] = _approvals(ledger, fleet.fingerprint)
    for number, part in enumerate(fleet.parts, 1):
        report("reading the parts", number, len(fleet.parts))
        with open_part(fleet.folder, part.to_body()) as ledger:
            record = records[part.name] = read_record(ledger)
            alone = ["fleet" not in event.body for event in ledger.list_events("approved")]
            approvals[part.name] = record.approvals[np.array(alone, dtype=bool)]
    order, keys = _input_order(records, fleet.plan.body["sources"])
    frames = {
        name: concat_frames({n: getattr(record, name) for n, record in records.items()}, "part")
        for name in ("findings", "policies", "timeline")
    }
    chunks = {name: prefix_chunks(record.chunks, name) for name, record in records.items()}
    reviews = {name: _with_keys(record.reviews, keys[name]) for name, record in records.items()}
    counts = _sum(record.counts for record in records.values())
    return Record(
        rows=_rows(records, order),
        chunks=concat_frames(chunks, "part").drop(columns="part"),
        sources=_sources(records, fleet.plan.body["sources"]),
        approvals=concat_frames(approvals, "part"),
        reviews=concat_frames(reviews, "part"),
        environment=merge_environments(records, "part"),
        counts=counts,
        requests=_sum(record.requests for record in records.values()),
        fingerprint=fleet.fingerprint,
        head=fleet.head,
        events=fleet.event_count,
        finished=not any(counts[name] for name in UNSETTLED)
        and all(record.finished for record in records.values()),
        created=min(record.created for record in records.values()),
        ended=max(record.ended for record in records.values()),
        parts=_parts(fleet.parts, records),
        **frames,
    )


def _input_order(
    records: Mapping[str, Record], sources: list[list[str]]
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Return where each row of the input is among those of all parts, and each part's new keys.

    Rows of a sheet are in the order of their numbers; where those are labels, in that of the parts.
    """
    rows = pd.concat([record.rows[[*_SOURCE, "row"]] for record in records.values()])
    known = {tuple(source): n for n, source in enumerate(sources)}
    source = [
        known.get(one, len(known)) for one in rows[_SOURCE].itertuples(index=False, name=None)
    ]
    numbered = pd.api.types.is_integer_dtype(rows["row"])
    row = rows["row"].to_numpy() if numbered else np.zeros(len(rows), np.int64)
    order = np.lexsort((row, np.array(source, np.int64)))
    new = np.empty(len(order), np.int64)
    new[order] = np.arange(len(order))
    cuts = np.cumsum([len(record.rows) for record in records.values()])[:-1]
    return order, dict(zip(records, np.split(new, cuts), strict=True))


def _rows(records: Mapping[str, Record], order: NDArray[np.int64]) -> pd.DataFrame:
    parts = [
        prefix_chunks(record.rows, name).assign(part=pd.Series(name, record.rows.index, STR))
        for name, record in records.items()
    ]
    rows = pd.concat(parts, ignore_index=True).take(order).reset_index(drop=True)
    originals = [name for name in rows.columns if name.startswith(INPUT_PREFIX)]
    rest = [name for name in rows.columns if name not in {*originals, "part"}]
    return rows[[*rest, "part", *originals]].rename_axis("row_key")


def _with_keys(reviews: pd.DataFrame, keys: NDArray[np.int64]) -> pd.DataFrame:
    return reviews.assign(row_key=keys[reviews["row_key"].to_numpy("int64")])


def _sources(records: Mapping[str, Record], order: list[list[str]]) -> pd.DataFrame:
    """Return every sheet once, with the rows that all parts have of it."""
    lines = pd.concat([record.sources for record in records.values()], ignore_index=True)
    key = [*_SOURCE, "sha256"]
    rows = lines.groupby(key, sort=False)["rows"].transform("sum")
    sources = lines.assign(rows=rows).drop_duplicates(key)
    rank = {tuple(source): n for n, source in enumerate(order)}
    places = [
        rank.get(one, len(rank)) for one in sources[_SOURCE].itertuples(index=False, name=None)
    ]
    return sources.take(np.argsort(places, kind="stable")).reset_index(drop=True)


def _approvals(ledger: Ledger, fingerprint: str) -> pd.DataFrame:
    """Return the approvals of a fleet, each with the shares of all parts."""
    return APPROVALS.make_frame(
        {
            **event.body,
            "at": event.at,
            "valid": event.body["fingerprint"] == fingerprint,
            "signed": bool(event.body.get("signature")),
        }
        for event in ledger.list_events("fleet_approved")
    )


def _parts(parts: tuple[Part, ...], records: Mapping[str, Record]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "part": part.name,
            "ledger": part.path.name,
            "rows": len(record.rows),
            "open": open_rows(record.counts)[0],
            "what": open_rows(record.counts)[1],
            "approved_by": ", ".join(distinct_people(one.reviewer for one in part.approvals)),
            "finished": record.finished,
            "fingerprint": record.fingerprint,
            "head": record.head,
            "events": record.events,
        }
        for part, record in zip(parts, records.values(), strict=True)
    )
