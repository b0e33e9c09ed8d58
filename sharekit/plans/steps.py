"""The steps of deciding in a ledger: which of them hold, and what they decided."""

from __future__ import annotations

from typing import Final

import pandas as pd

from sharekit.core import frame_schemas
from sharekit.core.columns import STR
from sharekit.ledger.ledger import Event, Ledger

#: The parts of a decision; a step leaves those that it does not name as they were.
FIELDS: Final = frame_schemas.DECISIONS.names


def decisions(ledger: Ledger) -> pd.DataFrame:
    """Return every decision that holds, :data:`FIELDS` by ``row_key``, ``""`` for none.

    The latest step on each row and field counts, except for steps that were taken back.
    """
    parts = [decision_of(ledger, event)[list(FIELDS)] for event in list_steps(ledger)]
    none = pd.DataFrame({name: pd.Series(dtype=STR) for name in FIELDS}).rename_axis("row_key")
    frame = pd.concat([none.astype(STR), *parts])
    if len(parts) > 1:
        frame = frame.groupby(level=0).last()
    frame = frame.astype(STR).fillna("").rename_axis("row_key")
    return frame[(frame != "").any(axis="columns")].sort_index()


def decided_by(ledger: Ledger) -> pd.Series:
    """Return who decided last on each row, by ``row_key``; ``""`` if no name was given."""
    names = [
        pd.Series(str(event.body["reviewer"]), index=decision_of(ledger, event).index, dtype=STR)
        for event in list_steps(ledger)
    ]
    together = pd.concat([pd.Series(dtype=STR), *names])
    last: pd.Series = together[~together.index.duplicated(keep="last")]
    return last.rename_axis("row_key")


def decided_rows(ledger: Ledger) -> pd.DataFrame:
    """Return what holds on each decided row, and who decided it last, by ``row_key``.

    Columns (str): :data:`FIELDS`, ``decided_by``, ``policy`` and ``decided_at``.
    """
    parts = []
    for event in list_steps(ledger):
        step = decision_of(ledger, event)
        policy = step.get("policy", "")
        facts = {"decided_by": event.body["reviewer"], "policy": policy, "decided_at": event.at}
        parts.append(step.assign(**facts)[[*FIELDS, *facts]])
    if not parts:
        return pd.DataFrame(columns=[*FIELDS, "decided_by", "policy", "decided_at"], dtype=STR)
    together = pd.concat(parts)
    last = together[~together.index.duplicated(keep="last")].sort_index().astype(STR)
    # A step leaves what it does not name as it was: that is of an earlier step.
    held = decisions(ledger).reindex(last.index).fillna("")
    decided = (held != "").any(axis="columns")
    return last.assign(**{name: held[name] for name in FIELDS}).fillna("")[decided]


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
