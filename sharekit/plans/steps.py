"""The steps of deciding in a ledger: which of them hold, and what they decided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import pandas as pd

from sharekit.core import frame_schemas
from sharekit.core.columns import STR
from sharekit.ledger.ledger import Event, Ledger

#: The parts of a decision; a step leaves those that it does not name as they were.
FIELDS: Final = frame_schemas.DECISIONS.names
#: Who decided, the policy that did (``""`` for a person), and when.
FACTS: Final = ("by", "policy", "decided_at")


def standing(ledger: Ledger, until: float = math.inf) -> pd.DataFrame:
    """Return what holds on each decided row: :data:`FIELDS` and :data:`FACTS` by ``row_key``.

    The latest step on each row and field counts, except for steps that were taken back; ``""`` is
    nothing. ``until`` is the number of an event that steps must come before.
    """
    steps = [step for step in list_steps(ledger) if step.seq < until]
    return in_force(combine([lines_of(ledger, step) for step in steps]))


def decisions(ledger: Ledger) -> pd.DataFrame:
    """Return every decision that holds, :data:`FIELDS` by ``row_key``, ``""`` for none."""
    return standing(ledger)[list(FIELDS)]


def said(ledger: Ledger, keys: pd.Index) -> pd.DataFrame:
    """Return all that was ever said of some rows, taken back or not: a line for each step."""
    events = ledger.list_events("review_imported", "decided")
    lines = [lines_of(ledger, event) for event in events]
    return pd.concat([combine([]), *(part[part.index.isin(keys)] for part in lines)])


def lines_of(ledger: Ledger, step: Event) -> pd.DataFrame:
    """Return what one step decided, as :func:`decision_of`, with :data:`FACTS` and ``named``.

    ``named`` is False where it chose a vault alone: that is no word on the decision.
    """
    lines = decision_of(ledger, step)
    facts = {"by": step.body["reviewer"], "policy": lines.get("policy", ""), "decided_at": step.at}
    texts = lines.assign(**facts)[[*FIELDS, *FACTS]].astype(STR)
    return texts.assign(named=lines[["decision", "reason"]].notna().any(axis="columns"))


def combine(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return lines of several steps in order as one line a row; what is missing stays as it was.

    The facts of a row are those of the step that decided last, not of one that chose a vault.
    """
    none = pd.DataFrame({name: pd.Series(dtype=STR) for name in (*FIELDS, *FACTS)})
    lines = pd.concat([none.assign(named=pd.Series(dtype=bool)), *parts]).rename_axis("row_key")
    if lines.index.is_unique:
        return lines.sort_index()
    facts = pd.concat([lines[~lines["named"]], lines[lines["named"]]])[[*FACTS, "named"]]
    facts = facts[~facts.index.duplicated(keep="last")]
    return lines[list(FIELDS)].groupby(level=0).last().astype(STR).join(facts)


def in_force(lines: pd.DataFrame) -> pd.DataFrame:
    """Return combined lines without those that decide nothing any more, ``""`` for nothing."""
    held = lines[[*FIELDS, *FACTS]].fillna("")
    return held[(held[list(FIELDS)] != "").any(axis="columns")]


def undoable(ledger: Ledger) -> int:
    """Return how many steps can be taken back; an imported or carried one cannot."""
    fixed = [
        event.kind == "review_imported" or "carried_from" in event.body
        for event in reversed(list_steps(ledger))
    ]
    return fixed.index(True) if True in fixed else len(fixed)


def list_steps(ledger: Ledger) -> list[Event]:
    """Return every step of decisions that was not taken back, in order."""
    events = ledger.list_events("review_imported", "decided", "decision_undone")
    undone = {event.body["seq"] for event in events if event.kind == "decision_undone"}
    steps = [event for event in events if event.kind != "decision_undone"]
    return [event for event in steps if event.seq not in undone]


def decision_of(ledger: Ledger, step: Event) -> pd.DataFrame:
    """Return what one step decided: :data:`FIELDS` by ``row_key``, missing where it left them.

    Where policies decided, the column ``policy`` names the one that did, or is ``""``.
    """
    schema = frame_schemas.REVIEWED if step.kind == "review_imported" else frame_schemas.DECISIONS
    columns = list(FIELDS)
    if "policies" in step.body:
        schema, columns = frame_schemas.POLICY_DECISIONS, [*FIELDS, "policy"]
    return ledger.get_frame(step.body["blob"], schema).reindex(columns=columns)
