"""``audit.xlsx``: the whole record as a workbook that anybody can filter, sort and print.

Characters that XML forbids are stored in the notation Excel itself uses for them (``_x0000_``), so
that a reader gets back exactly what was in the ledger. A number leads to its rows: on ``Summary``
to ``By outcome``, in the lists to ``Rows``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from ..record import Record
from . import stories, summary, words
from .book import EPOCH, TINTS, Book, make, pairs, stack, table
from .words import TITLE

__all__ = ["TINTS", "tables", "write"]
#: Lines of a list that lead to their rows. Excel takes 65,530 links a sheet.
_LINKS = 20_000


def write(record: Record, path: Path) -> None:
    """Write the workbook; the same record gives the same cells, on every machine.

    Sheets: ``Summary`` and those of :data:`~sharekit.reporting.words.SHEETS`; ``Rows (2)`` … beyond
    Excel's 1,048,575 rows. Numbers on ``Summary`` lead to their rows on ``By outcome``, and those
    to ``Rows``, which keeps the input's order. A text longer than Excel allows is cut, says so at
    its end, and is listed on ``Environment``.
    """
    make(path, TITLE, _created(record), lambda out: _audit(out, record))


def tables(long: Mapping[str, pd.DataFrame], small: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write frames as sheets of their names; the small ones without filter."""

    def content(out: Book) -> None:
        for name, frame in long.items():
            table(out, name, frame)
        for name, frame in small.items():
            stack(out, out.sheet(name), {name: frame})

    make(path, next(iter(long)), EPOCH, content)


def _audit(out: Book, record: Record) -> None:
    told = stories.tell(record.rows)
    summary.write(out, record, told)
    approvals = _first(record.approvals, "at", "reviewer", "valid", "images", "note")
    reviews = _first(record.reviews, "at", "reviewer", "planned", "decided", "reason")
    decided = {"Approvals": approvals, "Decided otherwise than the inventory says": reviews}
    stack(out, out.sheet("Approval"), decided, "None.")
    environment = out.sheet("Environment", portrait=True)  # its last table is known at the end
    terms = {
        title: pairs(told, "word", "meaning") for title, told in words.glossary(record).items()
    }
    stack(out, out.sheet("Glossary", portrait=True), terms)
    summary.by_outcome(out, record.rows, told)
    table(out, "Rows", record.rows)
    table(out, "Findings", record.findings, _ways_of_findings(record))
    table(out, "Chunks", _chunks(record), _ways_of_chunks(record))
    table(out, "Timeline", record.timeline)
    stack(out, environment, _environment(out, record), "None.")


def _created(record: Record) -> datetime:
    try:
        return datetime.fromisoformat(record.created).astimezone(UTC)
    except ValueError:
        return EPOCH


def _chunks(record: Record) -> pd.DataFrame:
    """Return the chunks with an empty cell where no HTTP status came."""
    return record.chunks.assign(http=record.chunks["http"].astype("str").replace("0", ""))


def _first(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Return the frame with these columns before the others."""
    return frame[[*names, *(name for name in frame.columns if name not in names)]]


def _environment(out: Book, record: Record) -> dict[str, pd.DataFrame]:
    facts = words.environment(record).items()
    sources = words.texts(record.sources).astype("str").to_dict("records")
    return {
        **{title: pairs(told.items(), "name", "value") for title, told in facts},
        **{
            f"Input {number}": pairs(((str(n), str(v)) for n, v in one.items()), "name", "value")
            for number, one in enumerate(sources, 1)
        },
        "Values this workbook cannot hold in full": pairs(out.cuts, "cell", "what"),
    }


def _ways_of_findings(record: Record) -> dict[str, dict[int, str]]:
    """Let the row number of a finding lead to its row."""
    address, found = ["file", "sheet", "row"], record.findings.head(_LINKS)
    near = record.rows.reset_index(drop=True)
    near = near.loc[near["row"].isin(found["row"]), address]
    place = dict(zip(near.itertuples(index=False, name=None), near.index, strict=True))
    lines = enumerate(found[address].itertuples(index=False, name=None))
    return {"row": {n: summary.place(place[one]) for n, one in lines if one in place}}


def _ways_of_chunks(record: Record) -> dict[str, dict[int, str]]:
    """Let the images of a chunk lead to the first of its rows."""
    first = record.rows["chunk"].reset_index(drop=True).drop_duplicates()
    place = dict(zip(first, first.index, strict=True))
    lines = enumerate(record.chunks["chunk"].head(_LINKS))
    return {"images": {n: summary.place(place[one]) for n, one in lines if one in place}}
