"""One record of several runs: a run and those that followed it (`retry`, `undo`), linked by hash.

The rows are those of the first run's input. A row ends with what the last run did to it: a run
that blocked, skipped or never reached a row leaves the row as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.columns import STR
from sharekit.core.errors import LedgerError
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.files import shown_name
from sharekit.core.outcomes import UNSETTLED
from sharekit.ledger.ledger import Ledger
from sharekit.plans.plan import Plan
from sharekit.runs.outcomes import count_outcomes
from sharekit.runs.requests.log import RequestLog
from sharekit.runs.status import followed_run

from .run_record import RUN_COLUMNS, Record, read_record

#: Outcomes of a run that did nothing to a row.
_UNTOUCHED: Final = ("blocked", "skipped", "duplicate", "pending")
#: The columns that a row takes from the run that settled it; its address and ``carried_by`` are
#: those of the first run.
_SETTLED: Final = (
    "status", "vault_id", "outcome", "code", "reason", "before", "claimed", "observed", "chunk",
    "job_id", "request_id", "decided_by", "decision_reason",
)  # fmt: skip
_ADDRESS: Final = ["file", "sheet", "row"]
_SHARE: Final = ["image_id", "project_id"]
#: What makes a decision the same one where a run carries it over.
_DECIDED: Final = ["decided", "reason", "reviewer"]


@dataclass(frozen=True)
class RunLink:
    """A run among several: its ledger, its number in their order, and which of them it follows.

    ``follows`` is the number of the run it follows, 0 for the first run. ``kind`` is ``retry`` or
    ``undo``, ``""`` for the first run.
    """

    ledger: Ledger
    number: int = 1
    follows: int = 0
    kind: str = ""

    @property
    def file_name(self) -> str:
        """The ledger's file name."""
        return shown_name(self.ledger.path.name)


_Run = tuple[RunLink, Record]


def read_records(
    *ledgers: Ledger, followed: tuple[Plan | None, RequestLog | None] = (None, None)
) -> Record:
    """Return the record of one run, or of several that follow on each other.

    ``followed`` is what :func:`.read_record` may be given of a single run.

    Raises
    ------
    LedgerError
        If a ledger is damaged, or one does not follow on another.
    """
    if len(ledgers) == 1:
        return read_record(ledgers[0], followed)
    return merge_records([(link, read_record(link.ledger)) for link in order_runs(ledgers)])


# -- order -------------------------------------------------------------------------------------
def order_runs(ledgers: Sequence[Ledger]) -> list[RunLink]:
    """Order runs so that each comes after the run it follows, by the hashes in their ledgers.

    Raises
    ------
    LedgerError
        If they are not one first run and what followed it.
    """
    ledgers = sorted(ledgers, key=_identity)
    followed = [followed_run(ledger) for ledger in ledgers]
    parents = [_parent(ledger, ledgers) for ledger in ledgers]
    if len({_identity(ledger) for ledger in ledgers}) < len(ledgers):
        raise LedgerError(f"{_names(ledgers)}: one is given twice; name each ledger once.")
    first, *strangers = sorted(
        (n for n, parent in enumerate(parents) if parent < 0),
        key=lambda n: followed[n] is not None,
    )
    if strangers:
        raise LedgerError(_unrelated_message(ledgers[strangers[-1]], ledgers))
    order = [first]
    while len(order) < len(ledgers):
        # By hash, not by time: a clock may have been turned back.
        order.append(next(n for n, at in enumerate(parents) if n not in order and at in order))
    links = [RunLink(ledgers[first])]
    for number, n in enumerate(order[1:], 2):
        run = followed[n]
        parent = order.index(parents[n]) + 1
        links.append(RunLink(ledgers[n], number, parent, run.kind if run else ""))
    return links


def _parent(ledger: Ledger, ledgers: Sequence[Ledger]) -> int:
    """Return the position of the ledger that holds the hash this one follows, or -1."""
    run = followed_run(ledger)
    if run is None:
        return -1
    others = (
        n for n, other in enumerate(ledgers) if other is not ledger and other.has_event(run.head)
    )
    return next(others, -1)


def _names(ledgers: Sequence[Ledger]) -> str:
    return ", ".join(shown_name(ledger.path.name) for ledger in ledgers)


def _identity(ledger: Ledger) -> tuple[str, str]:
    """Return when a run was created and the hash of that event, which no other run has."""
    first = ledger.last_event("created")
    return (first.at, first.hash) if first else ("", "")


def _unrelated_message(ledger: Ledger, ledgers: Sequence[Ledger]) -> str:
    others = _names([other for other in ledgers if other is not ledger])
    run = followed_run(ledger)
    if run is None:
        return (
            f"{ledger.path.name} and {others} do not follow on each other, so there is no report "
            "of both."
        )
    return (
        f"{ledger.path.name} is the {run.label}, whose ledger holds the hash {run.head[:12]}…; "
        f"{others} does not: it is another run, or its end was cut off."
    )


# -- merge -------------------------------------------------------------------------------------
def merge_records(runs: Sequence[_Run]) -> Record:
    """Return the record of several runs.

    It is that of one run (:class:`Record`), with these differences: ``rows`` has
    :data:`RUN_COLUMNS` too; chunks are called ``2:7`` (chunk 7 of run 2); the other frames begin
    with ``run``; ``runs`` has one line for each; facts of the environment that differ between runs
    are listed for each run.

    Raises
    ------
    LedgerError
        If a run has rows that its first run does not have.
    """
    rows = _rows(runs)
    counts = count_outcomes(rows["outcome"])
    records = [record for _, record in runs]
    first, last = records[0], records[-1]
    chunks = {link.number: prefix_chunks(record.chunks, link.number) for link, record in runs}
    timelines = {link.number: prefix_chunks(record.timeline, link.number) for link, record in runs}
    return Record(
        rows=rows,
        findings=concat_frames({link.number: record.findings for link, record in runs}),
        chunks=concat_frames(chunks).drop(columns="run"),
        sources=first.sources,
        approvals=concat_frames({link.number: record.approvals for link, record in runs}),
        policies=concat_frames({link.number: record.policies for link, record in runs}),
        reviews=concat_frames(_reviews(runs)),
        timeline=concat_frames(timelines),
        environment=merge_environments({link.number: record for link, record in runs}),
        counts=counts,
        requests={n: sum(record.requests[n] for record in records) for n in last.requests},
        fingerprint=last.fingerprint,
        head=last.head,
        events=sum(record.events for record in records),
        finished=not any(counts[name] for name in UNSETTLED)
        and all(record.finished for record in records[1:]),
        created=first.created,
        ended=max(record.ended for record in records),
        runs=_runs(runs, rows["run"]),
    )


def _rows(runs: Sequence[_Run]) -> pd.DataFrame:
    first, record = runs[0]
    rows = prefix_chunks(record.rows, first.number)
    run = np.full(len(rows), str(first.number), dtype=object)
    history = f"{first.number} " + _outcomes(rows)
    for link, record in runs[1:]:
        later = prefix_chunks(record.rows, link.number)
        positions = _positions(link.file_name, rows, later)
        text = history.to_numpy(dtype=object, copy=True)
        text[positions] += (f"; {link.number} " + _outcomes(later)).to_numpy(dtype=object)
        history = pd.Series(text, index=rows.index, dtype=STR)
        touched = ~later["outcome"].isin(_UNTOUCHED).to_numpy(dtype=bool)
        run[positions[touched]] = str(link.number)
        for column in _SETTLED:
            values = rows[column].to_numpy(dtype=object, copy=True)
            values[positions[touched]] = later[column].to_numpy(dtype=object)[touched]
            rows[column] = pd.Series(values, index=rows.index, dtype=STR)
    rows["run"] = pd.Series(run, index=rows.index, dtype=STR)
    rows["history"] = history
    originals = [name for name in rows.columns if name.startswith(INPUT_PREFIX)]
    rest = [name for name in rows.columns if name not in {*originals, *RUN_COLUMNS}]
    return rows[[*rest, *RUN_COLUMNS, *originals]]


def _outcomes(rows: pd.DataFrame) -> pd.Series:
    return (rows["outcome"] + " " + rows["code"]).str.rstrip(" ")


def _positions(name: str, rows: pd.DataFrame, later: pd.DataFrame) -> NDArray[np.int64]:
    """Find the rows of a later run among those of the first."""
    near = rows.reset_index(drop=True)
    near = near.loc[near["row"].isin(later["row"]), _ADDRESS + _SHARE]
    joined = later[_ADDRESS].merge(near.reset_index(names="position"), on=_ADDRESS, how="left")
    same = joined["position"].notna()
    for column in _SHARE:
        same &= joined[column].to_numpy() == later[column].to_numpy()
    if len(joined) != len(later) or not same.all():
        raise LedgerError(
            f"{name} has rows that are not those of its first run: one of the two was changed."
        )
    return joined["position"].to_numpy("int64")


def _reviews(runs: Sequence[_Run]) -> dict[int, pd.DataFrame]:
    """Return the decisions of each run, without those carried over from an earlier one of them."""
    reviews: dict[int, pd.DataFrame] = {}
    known: set[tuple[object, ...]] = set()
    for link, record in runs:
        decided = record.reviews[[*_ADDRESS, *_SHARE, *_DECIDED]]
        lines = [*decided.itertuples(index=False, name=None)]
        new = np.array([line not in known for line in lines], dtype=bool)
        reviews[link.number] = record.reviews[new]
        known |= {*lines}
    return reviews


def prefix_chunks(frame: pd.DataFrame, name: object) -> pd.DataFrame:
    """Call chunk 7 of a run ``NAME:7``."""
    chunk = frame["chunk"]
    return frame.assign(chunk=(f"{name}:" + chunk).where(chunk != "", "").astype(STR))


def concat_frames(frames: Mapping[Any, pd.DataFrame], by: str = "run") -> pd.DataFrame:
    """Return the lines of all runs, with the name of their run in front."""
    lines: pd.DataFrame = pd.concat(frames, names=[by]).reset_index(by).reset_index(drop=True)
    return lines.astype({by: STR, **next(iter(frames.values())).dtypes.to_dict()})


def merge_environments(records: Mapping[Any, Record], by: str = "run") -> dict[str, str]:
    """Return every fact once where the runs agree, else for each run that has it."""
    facts: dict[str, str] = {}
    for name in dict.fromkeys(name for record in records.values() for name in record.environment):
        by_run = {run: record.environment.get(name) for run, record in records.items()}
        if len(set(by_run.values())) == 1:
            facts[name] = str(next(iter(by_run.values())))
        else:
            facts |= {f"{name} ({by} {run})": v for run, v in by_run.items() if v is not None}
    return facts


def _runs(runs: Sequence[_Run], settled_by: pd.Series) -> pd.DataFrame:
    counts = settled_by.value_counts()
    lines = [
        {
            "run": str(link.number),
            "ledger": link.file_name,
            "what": f"{link.kind} of run {link.follows}" if link.kind else "first run",
            "rows": len(record.rows),
            "settled": int(counts.get(str(link.number), 0)),
            "finished": record.finished,
            "created": record.created,
            "ended": record.ended,
            "fingerprint": record.fingerprint,
            "head": record.head,
            "events": record.events,
        }
        for link, record in runs
    ]
    return pd.DataFrame(lines)
