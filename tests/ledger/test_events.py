"""Kinds of events, the tables, and what the documentation says of them are the same everywhere."""

from __future__ import annotations

import json
import runpy
from dataclasses import astuple
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharekit.core.outcomes import UNSETTLED
from sharekit.core.rules import RULE_SET, RULES
from sharekit.ledger.events import (
    BLOB_FIELDS,
    EVENTS,
    VOIDING_EVENTS,
    FollowedRun,
    decode_body,
    describe,
    encode_body,
)
from sharekit.ledger.hashing import canonical_json

#: RULE_SET -> the SHA-256 of the catalogue of rules. Until the first release the number stays 1.
RULE_SETS = {1: "b2e1159a47f576bb44a0ceaf610c64e86ecd997104c333221bb6a9febdaccbd2"}
PROGRAM = runpy.run_path(
    str(Path(__file__).parents[2] / "docs" / "explanation" / "check_ledger.py")
)


def test_the_program_of_the_docs_knows_the_same_events() -> None:
    """The program names the same fields of blobs, and the same events that void an approval."""
    assert all(field.endswith("blob") for field in BLOB_FIELDS), "by this the program knows them"
    assert PROGRAM["VOIDING_EVENTS"] == set(VOIDING_EVENTS)
    ends = {name for name, kind in EVENTS.items() if kind.ends}
    assert {"finished", "audit_recorded", "fleet_finished"} == ends
    assert {"created", "inventory_read", "sealed"} == {
        name for name, kind in EVENTS.items() if kind.once
    }
    assert {"pending", "unknown"} == UNSETTLED


def test_a_change_of_the_rules_raises_their_number() -> None:
    """The catalogue has this hash under this number: raise RULE_SET with any change of it."""
    catalogue = canonical_json([astuple(rule) for rule in RULES.values()])
    assert {RULE_SET: sha256(catalogue.encode()).hexdigest()} == RULE_SETS


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


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("cloud_listed", {"what": "shares", "taken_at": "2026-02-30T00:00:00Z", "blob": "0" * 64}),
        ("submit_started", {"clouds": [], "settings": {"concurrency": {}}}),
    ],
)
def test_a_body_that_no_run_writes_is_no_body(kind: str, body: dict[str, Any]) -> None:
    """A day that there is not, and a setting that is no number, are refused where they are read."""
    with pytest.raises(ValueError, match=r"day|float"):
        decode_body(kind, "2026-01-01T00:00:00.000000Z", json.dumps(body))


_BODY = st.fixed_dictionaries(
    {"chunk": st.text(), "status": st.text()},
    optional={"results": st.dictionaries(st.text(), st.booleans()), "code": st.text(),
              "reason": st.text(), "ratio": st.floats(allow_nan=False)},
)  # fmt: skip


@given(_BODY)
def test_a_body_has_the_spelling_that_is_verified(body: dict[str, Any]) -> None:
    """What is written of a body is its canonical JSON, however it was encoded."""
    assert encode_body("job_done", body) == canonical_json(body)
