"""The state machine of a chunk, walked at random: one outcome a row, and nothing illegal."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sharekit.core.errors import LedgerError
from sharekit.core.outcomes import OUTCOMES
from sharekit.ledger.ledger import Event
from sharekit.runs.outcomes import settle
from sharekit.runs.request_log import ENDED, KINDS, MEANINGS, MOVES, History, Piece, cut, split_into

PROJECT = "0" * 32
COMMON = {"region": "", "project_id": PROJECT, "status": "accepted", "vault_id": "",
          "whole_image": ""}  # fmt: skip
STATES = ("pending", "accepted", "rejected", "absent")


class Walk(RuleBasedStateMachine):
    """Any events in any order, on chunks of any size; the cloud shows anything."""

    @initialize(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3))
    def plan(self, sizes: list[int]) -> None:
        """Begin with some chunks."""
        self.images, chunks = [], []
        for number, size in enumerate(sizes, 1):
            images = [f"{number}-{i}" for i in range(size)]
            chunks.append({"chunk": number, **COMMON, "images": images})
            self.images += images
        self.events: list[Event] = []
        self.chunks = chunks
        self.history = History(chunks)
        self.observed: dict[str, str] = {}

    def happens(self, kind: str, piece: Piece, **body: Any) -> Event:
        """An event as the ledger would hold it."""
        at = f"2026-01-01T00:00:{len(self.events):06d}Z"
        return Event(len(self.events) + 1, at, kind, {"chunk": piece.chunk, **body}, "", "")

    def body(self, kind: str, piece: Piece, data: st.DataObject) -> dict[str, Any]:
        """What such an event tells, chosen at random."""
        some = st.lists(st.sampled_from(piece.images), unique=True)
        if kind == "intent":
            return {"images": list(piece.images), "api": "batch"}
        if kind == "answer":
            return {"http": 200, "job_id": "j", "request_id": "r"}
        if kind in ("job-done", "job-failed"):
            return {"results": dict.fromkeys(data.draw(some), kind == "job-failed")}
        if kind != "split":
            return {"code": "X", "reason": "because"}
        kept = data.draw(some) if piece.state == "unknown" else []
        rest = [image for image in piece.images if image not in kept]
        parts = cut(rest, data.draw(st.integers(1, 3))) if rest else []
        return {**split_into(piece, parts), "kept": kept, "why": "x"}

    @precondition(lambda self: any((p.state, k) in MOVES for p in self.history.leaves()
                                   for k in KINDS))  # fmt: skip
    @rule(data=st.data())
    def legal(self, data: st.DataObject) -> None:
        """Something that may happen does."""
        moves = [(p, k) for p in self.history.leaves() for k in KINDS if (p.state, k) in MOVES]
        piece, kind = data.draw(st.sampled_from(moves))
        then = MOVES[piece.state, kind]
        event = self.happens(kind, piece, **self.body(kind, piece, data))
        self.history.apply(event)
        self.events.append(event)
        assert piece.state == then or (kind == "split" and piece.state == "unknown")

    @rule(data=st.data())
    def illegal(self, data: st.DataObject) -> None:
        """What may not happen is refused, and changes nothing."""
        pieces = list(self.history.pieces.values())
        moves = [(p, k) for p in pieces for k in KINDS if (p.state, k) not in MOVES]
        piece, kind = data.draw(st.sampled_from(moves))
        before = repr(self.history.pieces)
        with pytest.raises(LedgerError, match="cannot follow"):
            self.history.apply(self.happens(kind, piece, **self.body(kind, piece, data)))
        assert repr(self.history.pieces) == before

    @rule(data=st.data())
    def unfair_split(self, data: st.DataObject) -> None:
        """A split that loses an image, or doubles one, is refused."""
        pieces = [p for p in self.history.leaves() if (p.state, "split") in MOVES]
        for piece in pieces[:1]:
            images = list(piece.images)
            ways = [[*images, images[0]], [*images, "new"]]
            ways += [images[1:]] if piece.state != "planned" else []
            wrong = data.draw(st.sampled_from(ways))
            with pytest.raises(LedgerError, match="cannot follow"):
                self.history.apply(self.happens("split", piece, into=[("x", wrong)], why=""))

    @rule(data=st.data())
    def read_back(self, data: st.DataObject) -> None:
        """The cloud shows any state of any image."""
        image = data.draw(st.sampled_from(self.images))
        self.observed[image] = data.draw(st.sampled_from(STATES))

    @invariant()
    def one_outcome_each(self) -> None:
        """Every row has one outcome of the list, and success only where the cloud shows it."""
        outcomes = self.settled(self.history)
        assert len(outcomes) == len(self.images)
        assert set(outcomes["outcome"]) <= set(OUTCOMES)
        for image, outcome in zip(self.images, outcomes["outcome"], strict=True):
            (piece,) = [p for p in self.history.leaves() if image in p.images]
            assert (outcome == "confirmed") <= (self.observed.get(image) == "accepted")
            assert (outcome == "pending") <= (piece.state == "planned")
            assert piece.attempts or piece.state == "refused" or outcome == "pending"
            assert (outcome == "unknown") <= (piece.state in ENDED | {"sent", "running"})

    @invariant()
    def same_from_the_ledger(self) -> None:
        """Who reads the events later comes to the very same state."""
        assert repr(History(self.chunks, self.events).pieces) == repr(self.history.pieces)

    def settled(self, history: History) -> pd.DataFrame:
        """The rows' outcomes by the rule that the run uses."""
        rows = pd.DataFrame({"project_id": PROJECT, "image_id": self.images}, dtype="str")
        rows = rows.assign(disposition="planned", before="pending", status="accepted").rename_axis(
            "row_key"
        )
        looks = pd.DataFrame(
            {n: pd.Series(dtype="str") for n in ("project_id", "image_id", "side", "before",
                                                 "outcome", "code", "reason")}
        )  # fmt: skip
        seen = pd.DataFrame(
            {"project_id": PROJECT, "image_id": list(self.observed),
             "side": "member", "state": list(self.observed.values())}, dtype="str",
        )  # fmt: skip
        blockers = pd.DataFrame({"rule": pd.Series(dtype="str"), "message": pd.Series(dtype="str")})
        return settle(rows, blockers, history, looks, seen)


def test_walk() -> None:
    """Any walk through the table keeps exactly one outcome for each row."""
    few = settings(max_examples=15, stateful_step_count=20, deadline=None, derandomize=True)
    run_state_machine_as_test(Walk, settings=few)


def test_the_table_is_whole() -> None:
    """Each event has its meaning, each state a way in, and each that has not ended a way out."""
    assert set(MEANINGS) == set(KINDS)
    states = {state for state, _ in MOVES} | set(MOVES.values())
    assert states == {"planned", *MOVES.values()}
    assert all(any(s == state for s, _ in MOVES) for state in states - ENDED)
