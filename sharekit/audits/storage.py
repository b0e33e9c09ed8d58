"""Parts of an audit in its ledger: what is written there, and how it is read back."""

from __future__ import annotations

from typing import Final

from sharekit.clouds.state.survey import Survey
from sharekit.core import shapes
from sharekit.core.errors import LedgerError
from sharekit.ledger import parquet
from sharekit.ledger.ledger import Ledger

#: The frames of a survey, in the order in which they are written.
SURVEY_FRAMES: Final = ("shares", "owned", "outgoing", "projects")


def write_survey(ledger: Ledger, survey: Survey) -> None:
    """Write a survey into a ledger, one event for each frame."""
    for name in SURVEY_FRAMES:
        frame = getattr(survey, name)
        blob = ledger.put(parquet.to_bytes(frame), parquet.MEDIA_TYPE)
        body = {"what": name, "taken_at": survey.taken_at, "lines": len(frame), "blob": blob}
        ledger.append("surveyed", body)


def read_survey(ledger: Ledger) -> Survey:
    """Read a survey back from a ledger.

    Raises
    ------
    LedgerError
        If the ledger lacks one of its frames.
    """
    bodies = {event.body["what"]: event.body for event in ledger.events("surveyed")}
    if missing := set(SURVEY_FRAMES) - bodies.keys():
        raise LedgerError(f"{ledger.path} is incomplete: its survey lacks {min(missing)!r}.")
    frames = {
        name: parquet.from_bytes(ledger.get(bodies[name]["blob"]), shapes.SURVEY[name])
        for name in SURVEY_FRAMES
    }
    return Survey(bodies["shares"]["taken_at"], **frames)
