"""Exactly one outcome for each row, whatever was planned, sent, answered and observed."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharekit.core.actions import STATUSES
from sharekit.core.columns import STR
from sharekit.core.errors import LedgerError
from sharekit.core.frame_schemas import PREFLIGHT, READ_BACK
from sharekit.core.outcomes import OUTCOMES
from sharekit.ledger.ledger import Event
from sharekit.plans.chunks import CHUNK_FIELDS
from sharekit.runs.outcomes import _with_answer, assign_outcomes, count_outcomes
from sharekit.runs.requests.log import TRANSITIONS, RequestLog, result_key

P = "edc89b490d7d4392898e19b2deb34797"
_STATES = st.sampled_from(["pending", "accepted", "rejected", "absent", ""])
_DISPOSITION = st.sampled_from(["planned", "already", "blocked", "duplicate", "skipped"])
#: Nothing that could not be read back.
ALL_READ = READ_BACK.make_frame().assign(seq=0)
#: No preflight.
NO_PREFLIGHT = PREFLIGHT.make_frame().assign(row_key=ALL_READ["row_key"])
#: The number of an event after all others.
_LATE = 10_000
#: Ways through the state machine of a chunk: what happened, in order.
_ROADS = {
    "planned": [],
    "sent": ["intent"],
    "running": ["intent", "answer"],
    "done": ["intent", "answer", "job_done"],
    "refused": ["intent", "refused"],
    "job-refused": ["intent", "answer", "job_failed"],
    "unknown": ["intent", "response_lost"],
    "again": ["intent", "retry_scheduled"],
    "late": ["intent", "answer", "job_timed_out"],
    "dropped": ["skipped_after_refusal"],
}


def plan_rows(dispositions: list[str], wanted: list[str]) -> pd.DataFrame:
    """Rows of a plan: one image each, two to a chunk."""
    count = len(dispositions)
    rows = pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in range(count)],
            "disposition": dispositions,
            "before": "pending",
            "status": wanted,
        }
    ).assign(project_id=P, region="", vault_id="", whole_image="")
    chunk = pd.Series(range(2, count + 2), dtype="Int64").floordiv(2)
    rows["chunk"] = chunk.where(rows["disposition"] == "planned")
    return rows.rename_axis("row_key")


def log_of(rows: pd.DataFrame, roads: list[str], bad: set[str], excluded: set[str]) -> RequestLog:
    """A log in which each chunk went one of the roads, after a preflight excluded some images."""
    log = RequestLog([])
    seq = 0
    actions = [(P, image, "member") for image in excluded]
    for road, (number, group) in zip(roads, rows.groupby("chunk"), strict=False):
        common = {name: group[name].iloc[0] for name in CHUNK_FIELDS}
        chunk = {"chunk": number, **common, "images": group["image_id"].tolist(), "projects": [P]}
        part = RequestLog([chunk], read_excluded=lambda _: actions)
        part.apply(Event(seq, "", "preflight_checked", {}, "", ""))
        block = part.requests[str(number)].block
        for kind in _ROADS[road] if part.in_state("planned") else []:
            seq += 1
            body = {"chunk": str(number), **block.body, "code": "C", "reason": "R"}
            if kind == "job_done":
                body["results"] = {result_key((P, i)): False for i in block.images if i in bad}
            part.apply(Event(seq, "2026-01-01T00:00:00.000000Z", kind, body, "", ""))
        log.requests.update(part.requests)
    return log


@settings(deadline=None)
@given(st.data())
def test_exactly_one_outcome(data: st.DataObject) -> None:
    """Every row has one outcome of the closed list, and success only with proof."""
    count = data.draw(st.integers(1, 12))
    draw = lambda kind: data.draw(st.lists(kind, min_size=count, max_size=count))  # noqa: E731
    status = data.draw(st.sampled_from(STATUSES))
    rows = plan_rows(draw(_DISPOSITION), [status] * count)
    roads = draw(st.sampled_from(list(_ROADS)))
    bad = set(data.draw(st.lists(st.sampled_from(rows["image_id"].tolist()))))
    seen = draw(_STATES)
    known = pd.DataFrame({"row_key": rows.index, "side": "member"})
    looked = pd.Series(draw(st.sampled_from(["", "already", "blocked"])), rows.index)
    log = log_of(rows, roads, bad, set(rows.loc[looked != "", "image_id"]))
    observed = known.assign(state=seen, seq=_LATE)
    looks = known.assign(before=draw(_STATES), outcome=looked, code="x", reason="y")
    blockers = pd.DataFrame({"rule": "missing", "message": "empty"}, index=rows.index)
    unread = known.assign(state="", unread=draw(st.sampled_from(["", "403"])), seq=_LATE)
    result = assign_outcomes(rows, blockers, log, looks, observed, unread)
    assert result.index.equals(rows.index)
    assert set(result["outcome"]) <= set(OUTCOMES)
    assert sum(count_outcomes(result["outcome"]).values()) == count
    planned = rows["disposition"] == "planned"
    assert (result.loc[~planned, "outcome"] == rows.loc[~planned, "disposition"]).all()
    confirmed = result[result["outcome"] == "confirmed"]
    assert (confirmed["observed"] == status).all()
    failed = result[result["outcome"].isin(["failed", "blocked"])]
    assert (failed["code"] != "").all()
    never_sent = {
        image
        for request in log.current()
        if not request.attempts
        for image in request.planned.images
    }
    unsent = result[rows["image_id"].isin(never_sent)]
    assert not unsent["outcome"].isin(["confirmed", "contradicted", "claimed", "unknown"]).any()
    excluded = planned & (looked != "")
    assert (result.loc[excluded, "outcome"] == looked[excluded]).all()


_ONE = [
    ("done", "accepted", "confirmed"),
    ("done", "pending", "contradicted"),
    ("done", "", "claimed"),
    ("refused", "pending", "failed"),
    ("refused", "", "failed"),
    ("refused", "accepted", "contradicted"),
    ("unknown", "accepted", "confirmed"),
    ("unknown", "pending", "unknown"),
    ("unknown", "", "unknown"),
    ("late", "pending", "unknown"),
    ("running", "", "unknown"),
    ("planned", "", "pending"),
    ("planned", "accepted", "pending"),
    ("again", "", "pending"),
    ("dropped", "", "failed"),
]


@pytest.mark.parametrize(("road", "observed", "outcome"), _ONE)
def test_table_of_outcomes(road: str, observed: str, outcome: str) -> None:
    """What was claimed and what was observed give the outcome that the table says."""
    rows = plan_rows(["planned"], ["accepted"])
    seen = pd.DataFrame({"row_key": [0], "side": "member", "state": [observed], "seq": _LATE})
    none = NO_PREFLIGHT
    blockers = pd.DataFrame({"rule": [], "message": []}, dtype=STR)
    result = assign_outcomes(
        rows, blockers, log_of(rows, [road], set(), set()), none, seen, ALL_READ
    )
    assert result["outcome"].tolist() == [outcome]


@pytest.mark.parametrize(
    ("observed", "outcome"), [("", "unknown"), ("accepted", "confirmed"), ("pending", "failed")]
)
def test_a_part_that_was_dropped_may_have_been_done(observed: str, outcome: str) -> None:
    """What was sent within a larger request, and then not again, is unknown until it is read."""
    rows = plan_rows(["planned"] * 2, ["accepted"] * 2)
    log = log_of(rows.assign(chunk=1), ["job-refused"], set(), set())
    images, where = rows["image_id"], {"projects": [P]}
    parts = [{"chunk": f"1.{n}", "images": [i], **where} for n, i in enumerate(images, start=1)]
    log.apply(Event(7, "", "split", {"chunk": "1", "into": parts, "kept": []}, "", ""))
    for number in (1, 2):
        body = {"chunk": f"1.{number}", "code": "C", "reason": "R"}
        log.apply(Event(7 + number, "", "skipped_after_refusal", body, "", ""))
    seen = pd.DataFrame({"row_key": [0], "side": "member", "state": [observed], "seq": _LATE})
    blockers = pd.DataFrame({"rule": [], "message": []}, dtype=STR)
    result = assign_outcomes(rows, blockers, log, NO_PREFLIGHT, seen, ALL_READ)
    assert result["outcome"].tolist() == [outcome, "unknown"]


@pytest.mark.parametrize("road", [road for road, *_ in _ONE])
@pytest.mark.parametrize("observed", ["", "accepted", "pending"])
def test_what_could_not_be_read_says_why(road: str, observed: str) -> None:
    """A refused look changes no outcome; what it leaves open has its reason, if it came in time."""
    rows = plan_rows(["planned"], ["accepted"])
    none = NO_PREFLIGHT
    blockers = pd.DataFrame({"rule": [], "message": []}, dtype=STR)
    log = log_of(rows, [road], set(), set())
    line = pd.DataFrame({"row_key": [0], "side": "member"})
    seen = line.assign(state=observed, seq=_LATE)[[observed != ""]]
    (before,) = assign_outcomes(rows, blockers, log, none, seen, ALL_READ).itertuples()
    for seq in (0, _LATE + 1):
        unread = line.assign(state="", unread="HTTP403: no", seq=seq)
        (after,) = assign_outcomes(rows, blockers, log, none, seen, unread).itertuples()
        assert after._replace(reason="") == before._replace(reason="")
        says = seq > 0 and not observed and before.outcome in ("claimed", "unknown")
        told = "it could not be read back: HTTP403: no"
        earlier = f"{before.reason}; " if before.reason else ""
        assert after.reason == (f"{earlier}{told}" if says else before.reason)


def test_impossible_order_is_damage() -> None:
    """An event that cannot follow on what was before is refused, whatever it is."""
    for kind in {kind for _, kind in TRANSITIONS} - {k for s, k in TRANSITIONS if s == "planned"}:
        common = dict.fromkeys(CHUNK_FIELDS, "")
        log = RequestLog([{"chunk": 1, **common, "images": ["a"], "projects": ["p"]}])
        with pytest.raises(LedgerError, match="cannot follow"):
            log.apply(Event(1, "", kind, {"chunk": "1"}, "", ""))


@pytest.mark.parametrize("road", ["done", "sent", "job-refused"])
def test_what_was_read_before_the_request_is_no_observation(road: str) -> None:
    """A state that was read before the latest request, or before its job ended, says nothing."""
    rows = plan_rows(["planned"], ["accepted"])
    none = NO_PREFLIGHT
    blockers = pd.DataFrame({"rule": [], "message": []}, dtype=STR)
    log = log_of(rows, [road], set(), set())
    (request,) = log.current()
    for seen, counts in ((request.since - 1, False), (request.since + 1, True)):
        frame = pd.DataFrame({"row_key": [0], "side": "member", "state": ["pending"], "seq": seen})
        result = assign_outcomes(rows, blockers, log, none, frame, ALL_READ)
        assert (result["observed"].tolist() == ["pending"]) == counts
        assert (result["outcome"].tolist() == ["contradicted"]) == (counts and road == "done")


def test_a_cloud_may_lag_until_its_call_has_ended() -> None:
    """What contradicts a job is `claimed` while the call of submit may read it again."""
    rows = plan_rows(["planned"], ["accepted"])
    none = NO_PREFLIGHT
    blockers = pd.DataFrame({"rule": [], "message": []}, dtype=STR)
    log = log_of(rows, ["done"], set(), set())
    frame = pd.DataFrame({"row_key": [0], "side": "member", "state": ["pending"], "seq": 50})
    for ended, outcome in ((49, "claimed"), (51, "contradicted")):
        result = assign_outcomes(rows, blockers, log, none, frame, ALL_READ, ended=ended)
        assert result["outcome"].tolist() == [outcome]


@pytest.mark.parametrize(("job", "who"), [("", "the cloud"), ("j1", "the job")])
def test_what_is_contradicted_names_who_reported_it(job: str, who: str) -> None:
    """The native call has no job, so the reason speaks of none."""
    line = {"outcome": "contradicted", "claimed": "success", "reason": ""}
    result = {name: pd.Series([text], dtype=STR) for name, text in line.items()}
    said = _with_answer(result, pd.Series([job != ""]))
    assert said.tolist() == [f"{who} reported success, but the cloud shows a different state"]
