"""``audit.xlsx``: the whole record as a workbook that anybody can filter, sort and print.

Characters that XML forbids are stored in the notation Excel itself uses for them (``_x0000_``), so
that a reader gets back exactly what was in the ledger. A number leads to its rows: on ``Summary``
to ``By outcome and chunk``, as does that of a chunk; in the other lists to ``Rows``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from . import groups, stories, summary, words
from .book import EPOCH, TINTS, Book, make, pairs, stack, table
from .run_record import Record
from .words import TITLE

__all__ = ["TINTS", "tables", "write"]
#: Lines of a list that lead to their rows. Excel takes 65,530 links a sheet.
_LINKS: Final = 20_000
#: Kinds of decisions that are told on Who and where.
_GROUPS: Final = 20


def write(record: Record, path: Path) -> None:
    """Write the workbook; the same record gives the same cells, on every machine.

    Sheets: ``Summary`` and those of :data:`~sharekit.reports.words.SHEETS`; ``Rows (2)`` … beyond
    Excel's 1,048,575 rows; ``Decisions`` only where there are any. Numbers on ``Summary`` and
    ``Chunks`` lead to their rows on ``By outcome and chunk``, and those to ``Rows``, which keeps
    the input's order. A text longer than Excel allows is cut, says so at its end, and is listed on
    ``Who and where``.
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
    sent = groups.requests(record, told)
    summary.write(out, record, told)
    who = out.sheet("Who and where", portrait=True)  # its last table is known at the end
    terms = {
        title: pairs(told, "word", "meaning") for title, told in words.glossary(record).items()
    }
    stack(out, out.sheet("Glossary", portrait=True), terms)
    groups.write(out, record, told, sent)
    table(out, "Rows", record.rows)
    if len(record.reviews):
        reviews = _first(record.reviews, "at", "reviewer", "planned", "decided", "reason")
        table(out, "Decisions", reviews, _ways_to_rows(record, reviews))
    table(out, "Findings", record.findings, _ways_to_rows(record, record.findings))
    table(out, "Chunks", _chunks(record), _ways_of_chunks(record, sent))
    table(out, "Timeline", record.timeline)
    stack(out, who, _who_and_where(out, record), "None.")


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


def _who_and_where(out: Book, record: Record) -> dict[str, pd.DataFrame]:
    """Return what was approved and decided, and the circumstances: title -> a small table."""
    facts = words.environment(record)
    approvals = words.lines(words.texts(record.approvals))
    sources = words.lines(record.sources)
    told: dict[str, pd.DataFrame] = {
        **{f"Approval {n}": _named(_approval(one)) for n, one in enumerate(approvals, 1)},
        **({"Approvals": _named({})} if not approvals else {}),
        "Decided otherwise than the inventory says": _decisions(record),
        **{title: _named(facts.pop(title)) for title in (words.CLOUDS, words.UNSAFE)
           if title in facts},
        **{f"Input {n}": _named(_source(one)) for n, one in enumerate(sources, 1)},
    }  # fmt: skip
    if values := facts.pop(words.SETTINGS, None):  # so many short ones would fill a page
        values = {"settings": " · ".join(f"{name} {value}" for name, value in values.items())}
        facts[words.SETTINGS] = values
    told |= {title: _named(values) for title, values in facts.items()}
    return told | {"Values this workbook cannot hold in full": pairs(out.cuts, "cell", "what")}


def _named(values: Mapping[str, str]) -> pd.DataFrame:
    return pairs(((name, value) for name, value in values.items() if value), "name", "value")


def _approval(one: Mapping[str, Any]) -> dict[str, str]:
    order = ("run", "at", "reviewer", "valid", "images", "fingerprint", "note")
    told = {"valid": one["valid"] or "no", "images": words.number(one["images"])}
    return {name: str(told.get(name, one.get(name, ""))) for name in order}


def _source(one: Mapping[str, Any]) -> dict[str, str]:
    numbers = {name: words.number(one[name]) for name in ("size", "rows", "blank_rows")}
    hidden = ", hidden" if one["hidden"] else ""
    return {
        "file": one["file"],
        "sheet": f"{one['sheet']}{hidden}",
        "SHA-256": one["sha256"],
        "read as": f"{one['format']} of {numbers['size']} bytes; header in row "
        f"{one['header_row']}, {numbers['rows']} rows, {numbers['blank_rows']} blank ones",
        "columns": one["columns"],
    }


def _decisions(record: Record) -> pd.DataFrame:
    """Return what was decided otherwise, in groups; row by row it stands on Decisions."""
    by = ["planned", "decided", "reviewer", "reason"]
    kinds = record.reviews.groupby(by, sort=False).size().head(_GROUPS).reset_index(name="rows")
    told = [
        (f"{one['planned'] or '(blank)'} → {one['decided']}",
         f"{words.counted(one['rows'], 'row')} by {one['reviewer'] or 'a reviewer'}, "
         f"because: {one['reason'] or '–'}")
        for one in words.lines(kinds)
    ]  # fmt: skip
    return pairs(told, "decision", "whose, and why")


def _ways_to_rows(record: Record, listed: pd.DataFrame) -> dict[str, dict[int, str]]:
    """Let the row number of a line lead to its row."""
    address, found = ["file", "sheet", "row"], listed.head(_LINKS)
    near = record.rows.reset_index(drop=True)
    near = near.loc[near["row"].isin(found["row"]), address]
    place = dict(zip(near.itertuples(index=False, name=None), near.index, strict=True))
    lines = enumerate(found[address].itertuples(index=False, name=None))
    return {"row": {n: groups.place(place[one]) for n, one in lines if one in place}}


def _ways_of_chunks(record: Record, sent: groups.Requests) -> dict[str, dict[int, str]]:
    """Let the images of a chunk lead to its rows, and where those are not listed to the first."""
    first = record.rows["chunk"].reset_index(drop=True).drop_duplicates()
    place = {name: groups.place(at) for name, at in zip(first, first.index, strict=True)}
    place |= sent.ways()
    lines = enumerate(record.chunks["chunk"].head(_LINKS))
    return {"images": {n: place[one] for n, one in lines if one in place}}
