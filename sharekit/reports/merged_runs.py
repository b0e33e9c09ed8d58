"""One record over several runs: a run and what followed on it (`retry`, `undo`), linked by hash.

The rows are those of the first run's input. What a row ends with is what the last run did to it: a
run that blocked, skipped or never reached a row leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.errors import LedgerError
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.outcomes import OUTCOMES, UNSETTLED
from sharekit.ledger.ledger import Ledger
from sharekit.runs.outcomes import totals

from .record import RUN_COLUMNS, Record

#: Outcomes of a run that did nothing to a row.
_LEFT: Final = ("blocked", "skipped", "duplicate", "pending")
#: What a row has from the run that settled it; where it stands and ``carried_by`` it has from the
#: first run.
_DECIDED: Final = (
    "status", "vault_id", "outcome", "code", "reason", "before", "claimed", "observed", "chunk",
    "job_id", "request_id",
)  # fmt: skip
_ADDRESS: Final = ["file", "sheet", "row"]
_SHARE: Final = ["image_id", "project_id"]


@dataclass(frozen=True)
class Link:
    """A run among several: its ledger, the place of the run it follows on, and as what.

    ``kind`` is ``retry`` or ``undo``, ``""`` for the first run, whose ``follows`` is -1.
    """

    book: Ledger
    follows: int = -1
    kind: str = ""

    @property
    def name(self) -> str:
        """The ledger's file name."""
        return self.book.path.name


def chained(books: Sequence[Ledger]) -> list[Link]:
    """Put runs in order, each after the one it follows on, as the hashes in them say.

    Raises
    ------
    LedgerError
        If they are not one first run and what followed on it.
    """
    books = sorted(books, key=_begun)
    parents = [_parent(book, books) for book in books]
    if len({_begun(book) for book in books}) < len(books):
        raise LedgerError(f"{_listed(books)}: one is given twice; name each ledger once.")
    first, *strangers = sorted(
        (n for n, at in enumerate(parents) if at < 0), key=lambda n: bool(_origin(books[n])[0])
    )
    if strangers:
        raise LedgerError(_stranger(books[strangers[-1]], books))
    order = [first]
    while len(order) < len(books):
        # By hash, not by time: a clock may have been turned back.
        order.append(next(n for n, at in enumerate(parents) if n not in order and at in order))
    links = [Link(books[first])]
    for n in order[1:]:
        kind = _origin(books[n])[1].split(" ")[0]
        links.append(Link(books[n], order.index(parents[n]), kind))
    return links


def _parent(book: Ledger, books: Sequence[Ledger]) -> int:
    head, _ = _origin(book)
    others = (n for n, other in enumerate(books) if other is not book and other.holds(head))
    return next(others, -1) if head else -1


def _listed(books: Sequence[Ledger]) -> str:
    return ", ".join(book.path.name for book in books)


def _begun(book: Ledger) -> tuple[str, str]:
    """When a run was begun, and the hash of that event, which no other run has."""
    first = book.last("created")
    return (first.at, first.hash) if first else ("", "")


def _origin(book: Ledger) -> tuple[str, str]:
    first = book.last("created")
    body = first.body if first else {}
    return str(body.get("follows", "")), str(body.get("follows as", ""))


def _stranger(book: Ledger, books: Sequence[Ledger]) -> str:
    others = _listed([other for other in books if other is not book])
    head, told = _origin(book)
    if not head:
        return f"{book.path.name} and {others} do not follow on each other: they are no one report."
    return (
        f"{book.path.name} is the {told}, whose ledger holds the hash {head[:12]}…; "
        f"{others} does not: it is another run, or its end was cut off."
    )


def combined(links: Sequence[Link], records: Sequence[Record]) -> Record:
    """Return the record over several runs.

    As of one run (:class:`Record`), with these differences: ``rows`` has :data:`RUN_COLUMNS` too;
    chunks are called ``2:7``, chunk 7 of run 2; the other frames begin with ``run``; ``runs`` has
    a line for each; facts of the environment that differ are told for each run.

    Raises
    ------
    LedgerError
        If a run has rows that its first run does not have.
    """
    names = [str(number) for number in range(1, len(records) + 1)]
    rows = _rows(links, records, names)
    counts = totals(rows["outcome"], OUTCOMES)
    first, last = records[0], records[-1]
    numbered = [
        replace(
            record,
            chunks=_numbered(record.chunks, name),
            timeline=_of(_numbered(record.timeline, name), name),
            findings=_of(record.findings, name),
            approvals=_of(record.approvals, name),
            reviews=_of(record.reviews, name),
        )
        for record, name in zip(records, names, strict=True)
    ]
    return Record(
        rows=rows,
        findings=_together([record.findings for record in numbered]),
        chunks=_together([record.chunks for record in numbered]),
        sources=first.sources,
        approvals=_together([record.approvals for record in numbered]),
        reviews=_together([record.reviews for record in numbered]),
        timeline=_together([record.timeline for record in numbered]),
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


def _rows(links: Sequence[Link], records: Sequence[Record], names: Sequence[str]) -> pd.DataFrame:
    rows = _numbered(records[0].rows, names[0])
    run = np.full(len(rows), names[0], dtype=object)
    history = f"{names[0]} " + _told(rows)
    for link, record, name in zip(links[1:], records[1:], names[1:], strict=True):
        later = _numbered(record.rows, name)
        places = _places(link.name, rows, later)
        text = history.to_numpy(dtype=object, copy=True)
        text[places] = text[places] + ("; " + f"{name} " + _told(later)).to_numpy(dtype=object)
        history = pd.Series(text, index=rows.index, dtype="str")
        did = ~later["outcome"].isin(_LEFT).to_numpy(dtype=bool)
        run[places[did]] = name
        for column in _DECIDED:
            values = rows[column].to_numpy(dtype=object, copy=True)
            values[places[did]] = later[column].to_numpy(dtype=object)[did]
            rows[column] = pd.Series(values, index=rows.index, dtype="str")
    rows["run"] = pd.Series(run, index=rows.index, dtype="str")
    rows["history"] = history
    originals = [name for name in rows.columns if name.startswith(INPUT_PREFIX)]
    rest = [name for name in rows.columns if name not in {*originals, *RUN_COLUMNS}]
    return rows[[*rest, *RUN_COLUMNS, *originals]]


def _told(rows: pd.DataFrame) -> pd.Series:
    return (rows["outcome"] + " " + rows["code"]).str.rstrip(" ")


def _places(name: str, rows: pd.DataFrame, later: pd.DataFrame) -> NDArray[np.int64]:
    """Find the rows of a later run among those of the first."""
    near = rows.reset_index(drop=True)
    near = near.loc[near["row"].isin(later["row"]), _ADDRESS + _SHARE]
    found = later[_ADDRESS].merge(near.reset_index(names="place"), on=_ADDRESS, how="left")
    same = found["place"].notna()
    for column in _SHARE:
        same &= found[column].to_numpy() == later[column].to_numpy()
    if len(found) != len(later) or not same.all():
        raise LedgerError(
            f"{name} has rows that are not those of its first run: one of the two was changed."
        )
    return found["place"].to_numpy("int64")


def _numbered(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    chunk = frame["chunk"]
    return frame.assign(chunk=(f"{name}:" + chunk).where(chunk != "", "").astype("str"))


def _of(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    run = pd.Series(name, index=frame.index, dtype="str")
    return pd.concat([run.rename("run"), frame], axis="columns")


def _together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
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
            told = zip(names, values, strict=True)
            facts |= {f"{name} (run {run})": v for run, v in told if v is not None}
    return facts


def _runs(
    links: Sequence[Link], records: Sequence[Record], names: Sequence[str], settled: pd.Series
) -> pd.DataFrame:
    counts = settled.value_counts()
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
