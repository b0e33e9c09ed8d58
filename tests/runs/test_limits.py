"""Settings that are recorded with a call of ``submit``, and what its events show of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import pytest

from sharekit.ledger.ledger import Event
from sharekit.runs.requests.limits import CallLimits
from sharekit.runs.requests.log import Observation, RequestLog

CHUNKS = [
    {"chunk": name, "project_id": "p", "status": "accepted", "images": images, "projects": ["p"]}
    for name, images in (("1", ["a"]), ("2", ["b"]), ("3", ["c"]))
]
BUSY = {"http": 503, "code": "HTTP503", "reason": "x"}
BAD = {"http": 400, "code": "IMG.0046", "reason": "x"}
Step = tuple[str, str] | tuple[str, str, dict[str, Any]]
SEEN = {("p", "a", "member"): Observation("accepted", 99)}
LOST: list[Step] = [
    ("intent", "1"), ("response_lost", "1"),
    ("split", "1", {"into": [{"chunk": "1.1", "images": ["a"], "projects": ["p"]}], "kept": []}),
    ("intent", "1.1"),
]  # fmt: skip

SINGLY: list[Step] = [
    ("split", "1", {"into": [{"chunk": "1.1", "images": ["a"], "projects": ["p"]}], "kept": []}),
    ("intent", "1.1"), ("intent", "2"),
]  # fmt: skip


def found(
    steps: Sequence[Step], waited: float = inf, states: Any = (), **settings: float
) -> list[str]:
    """Return what is said of the events of a call that had some settings."""
    log = RequestLog(CHUNKS)
    limits = CallLimits(settings, log, lambda: dict(states))
    said: list[str] = []
    for seq, (kind, chunk, *more) in enumerate(steps, 1):
        request = log.requests[chunk]
        common = {"attempt": request.attempts + 1, **request.block.body, "api": "batch"}
        body = {"chunk": chunk, **(common if kind == "intent" else {}), **(more[0] if more else {})}
        event = Event(seq, "2026-01-01T00:00:00Z", kind, body, "", "")
        if kind == "intent":
            said += limits.check_intent(request, 0, lambda _: waited)
        elif kind in ("refused", "retry_scheduled"):
            said += limits.check_refusal(request, event)
        elif kind == "split":
            limits.choose_canary()
        before = request.state
        log.apply(event)
        limits.follow(request, event, before)
    return [*said, *limits.check_end(stopped=False)]


def tried(times: int, end: Step | None = None) -> list[Step]:
    """Return the events of a request that is tried so often, while the cloud is in trouble."""
    steps: list[Step] = [("intent", "1"), ("retry_scheduled", "1", BUSY)] * times
    return [*steps[:-1], end] if end else steps


@pytest.mark.parametrize(
    ("steps", "settings", "says"),
    [
        (tried(3), {"attempts": 3}, ""),
        ([*tried(3), ("intent", "1")], {"attempts": 3}, "tried more often"),
        (tried(3, ("refused", "1", BUSY)), {"attempts": 3}, ""),
        (tried(2, ("refused", "1", BUSY)), {"attempts": 3}, "gives a request up"),
        (tried(1, ("refused", "1", BAD)), {"attempts": 3}, ""),
        (tried(2), {"initial_backoff": 9, "waited": 9}, ""),
        (tried(2), {"initial_backoff": 9, "waited": 0.1}, "sooner"),
        (tried(2), {"initial_backoff": 9, "max_backoff": 1, "waited": 0.1}, ""),
        (LOST, {"resend_rounds": 2}, ""),
        (LOST, {"resend_rounds": 1}, "was lost and sent again"),
        (
            [("intent", "1"), ("answer", "1", {"job_id": "j"}),
             ("retry_scheduled", "1", {"code": "IMG.0060", "reason": "x"})],
            {"attempts": 1}, "tries a job again",
        ),
        ([("intent", "1"), ("intent", "2")], {"canary": 2}, "should have stopped"),
        ([("intent", "1"), ("intent", "2")], {"canary": 1}, "before the canary was read back"),
        ([("intent", "1"), ("intent", "2")], {"canary": 1, "states": SEEN.items()}, ""),
        (SINGLY, {"canary": 1, "states": SEEN.items()}, ""),
        (SINGLY, {"canary": 1}, "before the canary was read back"),
        ([], {"canary": 1}, "should have stopped after its canary"),
        ([], {"canary": 0}, ""),
        (
            [("intent", "1"), ("refused", "1", BAD), ("intent", "2"), ("intent", "3")],
            {"max_failure_rate": 0.4, "min_failures": 0, "concurrency": 1},
            "after more images had failed",
        ),
        (
            [("intent", "1"), ("intent", "2"), ("refused", "1", BAD)],
            {"max_failure_rate": 0.4, "min_failures": 0, "concurrency": 2}, "should have stopped",
        ),
        (
            [("intent", "1"), ("refused", "1", BAD), ("intent", "2"), ("intent", "3")],
            {"max_failure_rate": 0.4, "min_failures": 1, "concurrency": 1}, "",
        ),
    ],
)  # fmt: skip
def test_what_a_call_did_obeys_its_settings(
    steps: list[Step], settings: dict[str, Any], says: str
) -> None:
    """Attempts, pauses, rounds, canaries and failures that the settings do not allow are named."""
    said = found(steps, **settings)
    assert bool(said) == bool(says)
    assert says in " ".join(said)


def test_there_is_no_time_for_a_million_billion_calls() -> None:
    """A call that took ten seconds has made no more requests than ten seconds have room for."""
    limits = CallLimits({"concurrency": 8}, RequestLog([]), dict)
    assert list(limits.check_counts({"poll": 500, "read": 500}, 10.0)) == []
    assert list(limits.check_counts({"poll": 10**15, "read": 0}, 10.0))
    assert list(limits.check_counts({"poll": 10**15, "read": 0}, inf)) == []
