"""Kinds of events, the tables, and what the documentation says of them are the same everywhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sharekit.core.outcomes import OUTCOMES
from sharekit.ledger.events import BLOB_FIELDS, VOIDING_EVENTS, FollowedRun, describe
from sharekit.ledger.tables import DISPOSITIONS, OUTCOME_COLUMNS, PLAN_COLUMNS, TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")


def test_the_script_of_the_docs_knows_the_same_events() -> None:
    """The script names the same fields of blobs, and the same events that void an approval."""
    (blobs,) = re.findall(r"^BLOBS = (\{.*\})$", PAGE, re.MULTILINE)
    assert ast.literal_eval(blobs) == BLOB_FIELDS
    (voiding,) = re.findall(r"if kind in (\(.*?\)): last\.pop\(\"approved\"", PAGE)
    assert ast.literal_eval(voiding) == VOIDING_EVENTS


def test_the_table_takes_every_outcome() -> None:
    """The literal SQL of the table names every outcome, disposition and column of the code."""
    rows = TABLES[2]
    assert re.findall(r"outcome = '(\w+)'", rows) == [*reversed(OUTCOMES)]
    assert re.findall(r"disposition = '(\w+)'", rows)[: len(DISPOSITIONS)] == [*DISPOSITIONS]
    names = re.findall(r"^    \"?(\w+)\"? (?:TEXT|INTEGER)", rows, re.MULTILINE)
    assert names == [*PLAN_COLUMNS, *OUTCOME_COLUMNS[1:]]


@pytest.mark.parametrize("kind", ["undo", "retry"])
@pytest.mark.parametrize("ledger", ["run.ledger", "undo of run.ledger", "retry of a of b"])
def test_a_followed_run_is_read_from_its_fields(kind: str, ledger: str) -> None:
    """Whatever the first ledger is called, the kind of the run that follows on it is kept."""
    run = FollowedRun("0" * 64, kind, ledger)
    assert FollowedRun.from_body({"sharekit": "1", **run.to_body()}) == run
    assert FollowedRun.from_body({"sharekit": "1"}) is None


def test_unknown_events_have_a_line_of_their_own() -> None:
    """An event of a kind that is not known here is described by its code and reason."""
    assert describe("later", {"code": "IMG.0060", "reason": "busy"}) == "IMG.0060: busy"
    assert describe("later", {}) == ""
