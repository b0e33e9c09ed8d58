"""Whether the outcomes that a call of ``submit`` recorded follow from the events before them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd

from sharekit.core.frame_schemas import OUTCOMES
from sharekit.ledger.integrity import Problem
from sharekit.ledger.ledger import Event, Ledger
from sharekit.plans.plan import Plan

from ..outcomes import read_outcomes
from ..status import Run, load_run
from .log import RequestLog

#: Outcomes whose reason is a sentence of ours.
_OUR_REASONS: Final = ("blocked", "skipped", "contradicted")
#: Rows that are listed one by one; more are counted.
_LISTED: Final = 20


def outcome_problems(
    ledger: Ledger, event: Event, plan: Plan, log: RequestLog, *, wording: bool
) -> Iterator[Problem]:
    """Yield where outcomes differ from those of a plan and its requests at that time.

    ``wording`` is True if the sentences must be the same, too.
    """
    where = f"event {event.seq} ({event.kind})"
    with Ledger.open(ledger.path, verify_chain=False, until=event.hash) as past:
        run = load_run(past, plan, log)
        stored = read_outcomes(past, plan.rows["disposition"])
    counts = {name: number for name, number in event.body["counts"].items() if number}
    if stored is None or counts != {name: n for name, n in run.counts.items() if n}:
        yield where, "its counts do not follow from the events before it"
    else:
        yield from _row_differences(run, stored, where, wording=wording)


def _row_differences(
    run: Run, stored: pd.DataFrame, where: str, *, wording: bool
) -> Iterator[Problem]:
    names = [name for name in OUTCOMES.names if wording or name not in OUTCOMES.later]
    rows = run.outcomes
    differs = pd.DataFrame({name: rows[name] != stored[name] for name in names})
    if not wording:  # another version may word otherwise what is not the cloud's reason
        differs["reason"] &= ~stored["outcome"].isin(_OUR_REASONS)
    keys = differs.index[differs.any(axis="columns")]
    for key in keys[:_LISTED]:
        for name in differs.columns[differs.loc[key]]:
            says, should = stored.at[key, name], rows.at[key, name]
            text = f"says {says!r}, should say {should!r}"
            yield f"{where}, {_address(run, key)}, {name}", text
    if len(keys) > _LISTED:
        yield where, f"{len(keys) - _LISTED:,} more rows differ"


def _address(run: Run, row_key: Any) -> str:
    source = run.plan.findings.inventory.rows.loc[row_key]
    sheet = ", ".join(filter(None, (str(source["file"]), str(source["sheet"]))))
    return f"row_key {row_key} ({sheet}, row {source['row']})"
