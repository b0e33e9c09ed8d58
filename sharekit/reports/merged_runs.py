"""One record of several runs: a run and those that followed it (`retry`, `undo`), linked by hash.

The rows are those of the first run's input. A row ends with what the last run did to it: a run
that blocked, skipped or never reached a row leaves the row as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.errors import LedgerError
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.outcomes import UNSETTLED
from sharekit.ledger.ledger import Ledger
from sharekit.runs.outcomes import count_outcomes
from sharekit.runs.status import followed_run

from .run_record import RUN_COLUMNS, Record, read_record

#: Outcomes of a run that did nothing to a row.
_UNTOUCHED: Final = ("blocked", "skipped", "duplicate", "pending")
#: The columns that a row takes from the run that settled it; its address and ``carried_by`` are
#: those of the first run.
_SETTLED: Final = (
    "status", "vault_id", "outcome", "code", "reason", "before", "claimed", "observed", "chunk",
    "job_id", "request_id",
)  # fmt: skip
_ADDRESS: Final = ["file", "sheet", "row"]
_SHARE: Final = ["image_id", "project_id"]


@dataclass(frozen=True)
class RunLink:
    """A run among several: its ledger, and how it follows on another of them.

    ``follows`` is the position of the run it follows, -1 for the first run. ``kind`` is ``retry``
    or ``undo``, ``""`` for the first run.
    """

    ledger: Ledger
    follows: int = -1
    kind: str = ""

    @property
    def name(self) -> str:
        """The ledger's file name."""
        return self.ledger.path.name


def load_record(*paths: str | PathLike[str]) -> Record:
    """Read the record of one run, or of several that follow on each other, from their ledgers.

    Raises
    ------
    LedgerError
        If a ledger does not exist or is damaged, or one does not follow on another.
    """
    with ExitStack() as stack:
        return read_records(*(stack.enter_context(Ledger.open(Path(path))) for path in paths))


def read_records(*ledgers: Ledger) -> Record:
    """Return the record of one or several runs whose ledgers are open; see :func:`load_record`."""
    if len(ledgers) == 1:
        return read_record(ledgers[0])
    links = order_runs(ledgers)
    return merge_records(links, [read_record(link.ledger) for link in links])


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
    for n in order[1:]:
        run = followed[n]
        links.append(RunLink(ledgers[n], order.index(parents[n]), run.kind if run else ""))
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
    return ", ".join(ledger.path.name for ledger in ledgers)


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
def merge_records(links: Sequence[RunLink], records: Sequence[Record]) -> Record:
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
    names = [str(number) for number in range(1, len(records) + 1)]
    rows = _rows(links, records, names)
    counts = count_outcomes(rows["outcome"])
    first, last = records[0], records[-1]
    numbered = [
        replace(
            record,
            chunks=_prefix_chunks(record.chunks, name),
            timeline=_with_run(_prefix_chunks(record.timeline, name), name),
            findings=_with_run(record.findings, name),
            approvals=_with_run(record.approvals, name),
            reviews=_with_run(record.reviews, name),
        )
        for record, name in zip(records, names, strict=True)
    ]
    return Record(
        rows=rows,
        findings=_concat([record.findings for record in numbered]),
        chunks=_concat([record.chunks for record in numbered]),
        sources=first.sources,
        approvals=_concat([record.approvals for record in numbered]),
        reviews=_concat([record.reviews for record in numbered]),
        timeline=_concat([record.timeline for record in numbered]),
        environment=_environment(records, names),
        counts=counts,
        requests={n: sum(record.requests[n] for record in records) for n in last.requests},
        fingerprint=last.fingerprint,
        head=last.head,
        events=sum(record.events for record in records),
        finished=not any(counts[name] for name in UNSETTLED)
        and all(record.finished for record in records[1:]),
        created=first.created,
        ended=max(record.ended for record in records),
        runs=_runs(links, records, names, rows["run"]),
    )


def _rows(
    links: Sequence[RunLink], records: Sequence[Record], names: Sequence[str]
) -> pd.DataFrame:
    rows = _prefix_chunks(records[0].rows, names[0])
    run = np.full(len(rows), names[0], dtype=object)
    history = f"{names[0]} " + _outcomes(rows)
    for link, record, name in zip(links[1:], records[1:], names[1:], strict=True):
        later = _prefix_chunks(record.rows, name)
        positions = _positions(link.name, rows, later)
        text = history.to_numpy(dtype=object, copy=True)
        text[positions] += ("; " + f"{name} " + _outcomes(later)).to_numpy(dtype=object)
        history = pd.Series(text, index=rows.index, dtype="str")
        touched = ~later["outcome"].isin(_UNTOUCHED).to_numpy(dtype=bool)
        run[positions[touched]] = name
        for column in _SETTLED:
            values = rows[column].to_numpy(dtype=object, copy=True)
            values[positions[touched]] = later[column].to_numpy(dtype=object)[touched]
            rows[column] = pd.Series(values, index=rows.index, dtype="str")
    rows["run"] = pd.Series(run, index=rows.index, dtype="str")
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


def _prefix_chunks(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    chunk = frame["chunk"]
    return frame.assign(chunk=(f"{name}:" + chunk).where(chunk != "", "").astype("str"))


def _with_run(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    run = pd.Series(name, index=frame.index, dtype="str")
    return pd.concat([run.rename("run"), frame], axis="columns")


def _concat(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    types = frames[0].dtypes.to_dict()
    return pd.concat(frames, ignore_index=True).astype(types)


def _environment(records: Sequence[Record], names: Sequence[str]) -> dict[str, str]:
    """Return every fact once where the runs agree, else for each run that has it."""
    facts: dict[str, str] = {}
    for name in dict.fromkeys(name for record in records for name in record.environment):
        values = [record.environment.get(name) for record in records]
        if all(value == values[0] for value in values):
            facts[name] = str(values[0])
        else:
            by_run = zip(names, values, strict=True)
            facts |= {f"{name} (run {run})": v for run, v in by_run if v is not None}
    return facts


def _runs(
    links: Sequence[RunLink], records: Sequence[Record], names: Sequence[str], settled_by: pd.Series
) -> pd.DataFrame:
    counts = settled_by.value_counts()
    lines = [
        {
            "run": name,
            "ledger": link.name,
            "what": f"{link.kind} of run {link.follows + 1}" if link.kind else "first run",
            "rows": len(record.rows),
            "settled": int(counts.get(name, 0)),
            "finished": record.finished,
            "created": record.created,
            "ended": record.ended,
            "fingerprint": record.fingerprint,
            "head": record.head,
            "events": record.events,
        }
        for link, record, name in zip(links, records, names, strict=True)
    ]
    return pd.DataFrame(lines)
