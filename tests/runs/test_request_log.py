"""The state machine of a chunk, walked at random: one outcome a row, and nothing illegal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
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

import sharekit
from sharekit.core.columns import STR
from sharekit.core.errors import LedgerError, SharekitError
from sharekit.core.frame_schemas import READ_BACK
from sharekit.core.outcomes import OUTCOMES
from sharekit.ledger.events import EVENTS
from sharekit.ledger.ledger import Event, Ledger
from sharekit.runs.outcomes import assign_outcomes
from sharekit.runs.requests.log import (
    FINAL_STATES,
    REQUEST_EVENTS,
    TRANSITIONS,
    Action,
    Request,
    RequestLog,
    ShareBlock,
    result_key,
    split_event,
)
from sharekit.runs.status import load_request_log
from sharekit.simulator.faults import Faults
from tests.conftest import FAST, World

PROJECT = "0" * 32
COMMON = {"region": "", "project_id": PROJECT, "status": "accepted", "vault_id": "",
          "whole_image": ""}  # fmt: skip
STATES = ("pending", "accepted", "rejected", "absent")


#: The events that name their request; a preflight concerns all that were not sent.
KINDS = tuple(kind for kind in REQUEST_EVENTS if kind != "preflight_checked")


class Walk(RuleBasedStateMachine):
    """Any events in any order, on chunks of any size; the cloud shows anything."""

    @initialize(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3))
    def plan(self, sizes: list[int]) -> None:
        """Begin with some chunks."""
        self.images, chunks = [], []
        for number, size in enumerate(sizes, 1):
            images = [f"{number}-{i}" for i in range(size)]
            chunks.append({"chunk": number, **COMMON, "images": images, "projects": [PROJECT]})
            self.images += images
        self.events: list[Event] = []
        self.chunks = chunks
        self.preflights: dict[int, set[Action]] = {}
        self.log = RequestLog(chunks, (), self.excluded)
        self.looked: dict[str, str] = {}
        self.observed: dict[str, str] = {}

    def excluded(self, event: Event) -> set[Action]:
        """What a preflight excluded, as its blob would tell."""
        return self.preflights[event.seq]

    def happens(self, kind: str, **body: Any) -> Event:
        """An event as the ledger would hold it."""
        at = f"2026-01-01T00:00:{len(self.events):06d}Z"
        return Event(len(self.events) + 1, at, kind, body, "", "")

    def of(self, kind: str, request: Request, data: st.DataObject) -> Event:
        """Such an event of a request, with a body chosen at random."""
        return self.happens(kind, chunk=request.chunk, **self.body(kind, request, data))

    def body(self, kind: str, request: Request, data: st.DataObject) -> dict[str, Any]:
        """What such an event tells, chosen at random."""
        images = list(request.block.images)
        some = st.lists(st.sampled_from(images), unique=True)
        if kind == "intent":
            return {**request.block.body, "api": "batch"}
        if kind == "answer":
            return {"http": 200, "job_id": "j", "request_id": "r"}
        if kind in ("job_done", "job_failed"):
            named = [result_key((PROJECT, image)) for image in data.draw(some)]
            return {"results": dict.fromkeys(named, kind == "job_failed")}
        if kind != "split":
            return {"code": "X", "reason": "because"}
        kept = data.draw(some) if request.state == "unknown" else []
        rest = tuple(image for image in images if image not in kept)
        blocks = ShareBlock(rest, (PROJECT,)).chunked(data.draw(st.integers(1, 3))) if rest else []
        shares = [(PROJECT, image) for image in kept]
        first = self.log.next_part(request)
        return {**split_event(request, blocks, shares, first), "why": "x"}

    @precondition(lambda self: any((r.state, k) in TRANSITIONS for r in self.log.current()
                                   for k in KINDS))  # fmt: skip
    @rule(data=st.data())
    def legal(self, data: st.DataObject) -> None:
        """Something that may happen does."""
        requests = self.log.current()
        moves = [(r, k) for r in requests for k in KINDS if (r.state, k) in TRANSITIONS]
        request, kind = data.draw(st.sampled_from(moves))
        then = TRANSITIONS[request.state, kind]
        event = self.of(kind, request, data)
        self.log.apply(event)
        self.events.append(event)
        assert request.state == then or (kind == "split" and request.state == "unknown")

    @rule(data=st.data())
    def preflight(self, data: st.DataObject) -> None:
        """A preflight excludes any images that were not sent; a later one may take them back."""
        waiting = self.log.in_state("planned", "excluded")
        images = [image for request in waiting for image in request.planned.images]
        outcomes = {i: data.draw(st.sampled_from(["", "already", "blocked"])) for i in images}
        event = self.happens("preflight_checked", counts={})
        gone = {image for image, outcome in outcomes.items() if outcome}
        self.preflights[event.seq] = {(PROJECT, image, "member") for image in gone}
        self.log.apply(event)
        self.events.append(event)
        self.looked |= outcomes
        for request in waiting:
            left = [image for image in request.planned.images if image not in gone]
            assert request.state == ("planned" if left else "excluded")
            assert list(request.block.images) == (left or list(request.planned.images))

    @rule(data=st.data())
    def illegal(self, data: st.DataObject) -> None:
        """What may not happen is refused, and changes nothing."""
        requests = list(self.log.requests.values())
        moves = [(r, k) for r in requests for k in KINDS if (r.state, k) not in TRANSITIONS]
        request, kind = data.draw(st.sampled_from(moves))
        before = repr(self.log.requests)
        with pytest.raises(LedgerError, match="cannot follow"):
            self.log.apply(self.of(kind, request, data))
        assert repr(self.log.requests) == before

    @rule(data=st.data())
    def unfair_split(self, data: st.DataObject) -> None:
        """A split that loses an image, or doubles one, is refused."""
        requests = [r for r in self.log.current() if (r.state, "split") in TRANSITIONS]
        for request in requests[:1]:
            images = list(request.block.images)
            wrong = data.draw(st.sampled_from([[*images, images[0]], [*images, "new"], images[1:]]))
            into = [{"chunk": "x", "images": wrong, "projects": [PROJECT]}]
            event = self.happens("split", chunk=request.chunk, into=into, kept=[], why="")
            with pytest.raises(LedgerError, match="cannot follow"):
                self.log.apply(event)

    @rule(data=st.data())
    def read_back(self, data: st.DataObject) -> None:
        """The cloud shows any state of any image."""
        image = data.draw(st.sampled_from(self.images))
        self.observed[image] = data.draw(st.sampled_from(STATES))

    @invariant()
    def one_outcome_each(self) -> None:
        """Every row has one outcome of the list, and success only where the cloud shows it."""
        outcomes = self.settled(self.log)
        assert len(outcomes) == len(self.images)
        assert set(outcomes["outcome"]) <= set(OUTCOMES)
        for image, outcome in zip(self.images, outcomes["outcome"], strict=True):
            assert (outcome == "confirmed") <= (self.observed.get(image) == "accepted")
            requests = [r for r in self.log.current() if (PROJECT, image) in r.shares]
            if not requests or requests[0].state == "excluded":
                assert outcome == self.looked[image]
                continue
            (request,) = requests
            assert (outcome == "pending") <= (request.state == "planned")
            assert request.attempts or request.state == "refused" or outcome == "pending"
            assert (outcome == "unknown") <= (request.state in FINAL_STATES | {"sent", "running"})

    @invariant()
    def same_from_the_ledger(self) -> None:
        """Who reads the events later comes to the very same state."""
        replay = RequestLog(self.chunks, self.events, self.excluded)
        assert repr(replay.requests) == repr(self.log.requests)
        assert (replay.calls, replay.done_images) == (self.log.calls, self.log.done_images)

    def settled(self, log: RequestLog) -> pd.DataFrame:
        """The rows' outcomes by the rule that the run uses."""
        rows = pd.DataFrame({"project_id": PROJECT, "image_id": self.images}, dtype=STR)
        chunk = pd.array([int(image.split("-")[0]) for image in self.images], dtype="Int64")
        rows = rows.assign(
            disposition="planned", before="pending", status="accepted", chunk=chunk
        ).rename_axis("row_key")
        looks = self.known(self.looked, "outcome").assign(before="pending", code="", reason="")
        blockers = pd.DataFrame({"rule": pd.Series(dtype=STR), "message": pd.Series(dtype=STR)})
        observed = self.known(self.observed, "state").assign(seq=len(self.events) + 1)
        unread = READ_BACK.make_frame().assign(seq=0)
        return assign_outcomes(rows, blockers, log, looks, observed, unread)

    def known(self, values: dict[str, str], name: str) -> pd.DataFrame:
        """A frame of what is known of images."""
        texts = pd.DataFrame({"side": "member", name: list(values.values())}, dtype=STR)
        keys = [self.images.index(image) for image in values]
        return texts.assign(row_key=pd.Series(keys, dtype="int64"))


def test_walk() -> None:
    """Any walk through the table keeps exactly one outcome for each row."""
    few = settings(max_examples=15, stateful_step_count=20, deadline=None, derandomize=True)
    run_state_machine_as_test(Walk, settings=few)


def test_the_table_is_whole() -> None:
    """Each event has its meaning, each state a way in, and each that has not ended a way out."""
    assert set(REQUEST_EVENTS) <= EVENTS.keys()
    states = {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values())
    assert states == {"planned", *TRANSITIONS.values()}
    assert all(any(s == state for s, _ in TRANSITIONS) for state in states - FINAL_STATES)


@pytest.mark.parametrize(
    "faults",
    ["", "job_partial=0.2,p503=0.2", "cut_after=0.3,flow_control=0.2",
     pytest.param("job_fail=0.5,cut_before=0.2", marks=pytest.mark.slow)],
)  # fmt: skip
def test_live_log_is_the_replay(world: Callable[..., World], faults: str) -> None:
    """At every event of a run, the log of the submission is what a replay of the ledger gives."""
    w = world(rows=40, faulty=0.3)
    plan = w.approved(chunk_size=7)
    planned = plan.rows[plan.rows["disposition"] == "planned"]
    whole = planned[planned["chunk"] == planned["chunk"].iloc[0]]
    gone = planned[planned["chunk"] != planned["chunk"].iloc[0]].iloc[:1]
    for share in whole[["image_id", "project_id", "status"]].itertuples(index=False):
        w.cloud.set_share(*share)
    w.cloud.delete_image(gone["image_id"].iloc[0])
    w.cloud.set_faults(Faults.parse(faults))
    live: dict[int, str] = {}

    class Watched(RequestLog):
        """A log whose state after each event is kept."""

        def apply(self, event: Event) -> None:
            super().apply(event)
            live[event.seq] = repr(self.requests)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sharekit.runs.status.RequestLog", Watched)
        careful = replace(FAST, attempts=3, max_failure_rate=1.0, outage_timeout=2.0)
        with suppress(SharekitError):
            sharekit.submit(plan, w.connect(), settings=careful)
        seen, live = live, {}
        with Ledger.open(plan.path) as ledger:
            load_request_log(ledger, plan)
    assert any("excluded" in states for states in seen.values())
    assert seen == {seq: live[seq] for seq in seen}
    run = sharekit.status(plan)
    assert set(run.rows.loc[whole.index, "outcome"]) == {"already"}
    assert run.rows.loc[gone.index, "outcome"].tolist() == ["blocked"]
