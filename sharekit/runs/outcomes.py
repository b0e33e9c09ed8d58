"""Assigns exactly one outcome to every row, from what was planned, sent, answered and read back.

The ledger keeps them as one frame: none is written, or taken for good, that breaks the rule.

Joined by request and by ``row_key``, never by order. The rule, per planned row:

============  =================  ==================================================
claimed       observed           outcome
============  =================  ==================================================
success       as wanted          ``confirmed``
(nothing)     as wanted          ``confirmed`` (sent; the response was lost)
failed        as wanted          ``contradicted``
success       otherwise          ``contradicted``
failed        otherwise, unread  ``failed``
an error      otherwise          ``failed`` (one that may mean that nothing was to change)
success       not read           ``claimed``, also while the run is under way
(nothing)     otherwise, unread  ``unknown`` if it was sent, else ``pending``
============  =================  ==================================================

What was read before the latest request for a share, or before its job ended, is not observed.
A row that a preflight excluded is what the preflight says: ``already`` or ``blocked``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.actions import OWNER, ROLES
from sharekit.core.columns import STR, are_satisfied, as_arrow, is_owner_action
from sharekit.core.errors import LedgerError
from sharekit.core.fields import SHARE_KEY
from sharekit.core.frame_schemas import OUTCOMES as SCHEMA
from sharekit.core.outcomes import OUTCOMES
from sharekit.ledger.ledger import Event, Ledger

from .requests.log import Request, RequestLog, find_requests

#: Positions in a frame, -1 for none.
Positions = NDArray[np.int64]
_TEXTS = [
    "wanted", "state", "claimed", "code", "reason", "last_chunk", "job_id", "request_id",
]  # fmt: skip
#: What the ledger does not store with the outcomes, because its events say it of each request.
_OF_REQUEST = ("last_chunk", "job_id", "request_id")
_CONTRADICTED = " reported success, but the cloud shows a different state"
_OPEN_JOB = "the cloud accepted the request as a job, and did not tell how the job ended"
_UNREAD = "it could not be read back: "
#: Outcomes that a preflight gives to what it excludes.
EXCLUDED = ("already", "blocked")
#: Outcomes that only a plan gives: a row that it would send has none of them.
_UNSENT = ("duplicate", "skipped")


def assign_outcomes(
    rows: pd.DataFrame, reasons: pd.DataFrame, log: RequestLog, preflight: pd.DataFrame,
    observed: pd.DataFrame, unread: pd.DataFrame, *, ended: float = inf,
) -> pd.DataFrame:  # fmt: skip
    """Return one line per row, indexed by ``row_key``: ``outcome, code, reason, before, claimed,
    observed`` (str), and ``request``, the position in the log of the row's request (-1: none).

    Parameters
    ----------
    rows : DataFrame
        The plan's rows.
    reasons : DataFrame
        Why each row is blocked or left out, by a rule or a reviewer: ``rule, message``, indexed by
        ``row_key``.
    log : RequestLog
        What was sent and answered.
    preflight : DataFrame
        The last line of the preflights on each row's action: ``row_key, side, before, outcome,
        code, reason``.
    observed : DataFrame
        The last state that was read back, and the number of the event that recorded it:
        ``row_key, side, state, seq``. What an owner did may be read on both sides, and
        then both must show it.
    unread : DataFrame
        Why an action could not be read back, the last time: the columns of ``observed``, and
        ``unread``.
    ended : float, optional
        The number of the event with which the last call of ``submit`` ended. A cloud may lag, so
        what was read after it does not contradict a job yet.
    """  # noqa: D205

    def taken(*choices: tuple[pd.Series, Positions]) -> pd.Series:
        return _texts_at(rows.index, choices)

    requests = log.current()
    facts = _facts(requests)
    request = find_requests(rows, ((one, one.blocks) for one in requests))
    wanted, state = taken((facts["wanted"], request)), taken((facts["state"], request))
    claimed = _claimed_of_shares(taken((facts["claimed"], request)), rows, requests, request)
    read_at, preflight_at, unread_at = _find_positions(rows, observed, preflight, unread)
    since = _values(facts["since"], 0)[request]
    read_at = _contradicting(rows, wanted, observed, _later(observed, read_at, since), since)
    states, seqs = observed["state"], _values(observed["seq"], -1)
    planned = (rows["disposition"] == "planned").to_numpy(dtype=bool)
    unsent = rows["disposition"].isin(["blocked", "skipped"]).to_numpy(dtype=bool)
    excluded = planned & _values(preflight["outcome"].isin(EXCLUDED), missing=False)[preflight_at]
    excluded &= _values(facts["state"] == "excluded", missing=True)[request]
    outcome = verdict(
        pd.Series(since > 0, rows.index), wanted, state, claimed, taken((states, read_at))
    )
    lagging = (outcome == "contradicted") & (claimed == "success") & (seqs[read_at] > ended)
    outcome = outcome.where(~lagging, "claimed").where(planned, rows["disposition"])
    outcome = outcome.where(~excluded, taken((preflight["outcome"], preflight_at)))
    # What is known of a share says nothing of rows that were not sent.
    sent_rows = planned & ~excluded
    read_at, request = (np.where(sent_rows, at, -1) for at in (read_at, request))
    # A job may fail for some images only; what it says of those is not this one's reason.
    silent = outcome.isin(["confirmed", "claimed", "already"]) | (claimed == "success")
    told_at = np.where(silent, -1, request)
    reason_at = np.where(unsent, reasons.index.get_indexer(rows.index), -1)
    pending = (outcome == "pending").to_numpy(dtype=bool)
    result = {"outcome": outcome}
    for name, source in (("code", "rule"), ("reason", "message")):
        told = _values(facts[name] != "", missing=False)[told_at]
        preflighted = ~unsent & (excluded | (pending & ~told))
        result[name] = taken(
            (reasons[source], reason_at),
            (preflight[name], np.where(preflighted, preflight_at, -1)),
            (facts[name], told_at),
        )
    result["observed"] = taken((states, read_at))
    result["claimed"] = claimed.where(sent_rows, "")
    has_job = pd.Series(_values(facts["job_id"] != "", missing=False)[request], rows.index)
    result["reason"] = _with_answer(result, has_job)
    why = taken((unread["unread"], _later(unread, unread_at, since)))
    result["reason"] = _with_unread(result, why)
    seen = _values(preflight["before"] != "", missing=False)[preflight_at]
    result["before"] = taken(
        (preflight["before"], np.where(seen, preflight_at, -1)),
        (rows["before"], np.arange(len(rows))),
    )
    return pd.DataFrame(result, index=rows.index)[list(SCHEMA.columns)].assign(request=request)


def with_requests(outcomes: pd.DataFrame, log: RequestLog) -> pd.DataFrame:
    """Return outcomes with what the events say of each row's request, in place of its position."""
    facts, at = _facts(log.current()), outcomes["request"].to_numpy()
    said = {name: _texts_at(outcomes.index, [(facts[name], at)]) for name in _OF_REQUEST}
    return outcomes.drop(columns="request").assign(**said)


def _texts_at(index: pd.Index, choices: Sequence[tuple[pd.Series, Positions]]) -> pd.Series:
    """Return for each row the text of its first choice whose position is not -1, else ``""``."""
    chunks, at = [pa.chunked_array([[""]], pa.large_string())], np.zeros(len(index), dtype=np.int64)
    for values, positions in reversed(choices):
        at = np.where(positions < 0, at, positions + sum(map(len, chunks)))
        chunks.append(as_arrow(values))
    texts = pa.chunked_array([chunk for column in chunks for chunk in column.chunks])
    found = texts.combine_chunks().take(pa.array(at))
    return pd.Series(pd.array(found, dtype=STR), index)


def _with_answer(result: Mapping[str, pd.Series], has_job: pd.Series) -> pd.Series:
    """Return the reasons; what is contradicted or open says how the cloud had answered."""
    outcome, reason = result["outcome"], result["reason"]
    contradicted = (outcome == "contradicted") & (result["claimed"] == "success")
    reason = reason.where(~(contradicted & has_job), "the job" + _CONTRADICTED)
    reason = reason.where(~(contradicted & ~has_job), "the cloud" + _CONTRADICTED)
    return reason.where(~((outcome == "unknown") & has_job & (reason == "")), _OPEN_JOB)


def _with_unread(result: Mapping[str, pd.Series], why: pd.Series) -> pd.Series:
    """Return the reasons; what is open because it could not be read back says so."""
    is_open = result["outcome"].isin(["claimed", "unknown"]) & (result["observed"] == "")
    is_open &= why != ""
    if not is_open.any():
        return result["reason"]
    reason = result["reason"].copy()
    earlier = reason[is_open]
    reason[is_open] = (earlier + "; ").where(earlier != "", "") + _UNREAD + why[is_open]
    return reason


def verdict(
    sent: pd.Series, wanted: pd.Series, state: pd.Series, claimed: pd.Series, observed: pd.Series
) -> pd.Series:
    """Return the outcome of planned rows: sent or not (bool), the action, the request's state, what
    the cloud said of the share, and the state that was read since.
    """  # noqa: D205
    read = observed != ""
    satisfied = read & are_satisfied(wanted, observed)
    failed, success = claimed == "failed", claimed == "success"
    cases = {
        "confirmed": sent & satisfied & ~failed,
        "contradicted": sent & ((satisfied & failed) | (read & ~satisfied & success)),
        # A call that was answered with an error, and whose share is not as wanted, did nothing.
        # What was refused as a part of something that was sent is not known before it is read.
        "failed": failed
        | ((state == "refused") & ~success & (read | ~sent))
        | ((state == "done") & ~success & read & ~satisfied),
        "claimed": sent & success,
        "unknown": sent & (state != "planned"),
        "pending": sent | True,
    }
    first = np.argmax([case.to_numpy(dtype=bool) for case in cases.values()], axis=0)
    return pd.Series(pd.array([*cases], dtype=STR).take(first), index=observed.index)


def _facts(requests: list[Request]) -> pd.DataFrame:
    """Return one line for each request: what its rows have in common."""
    lines = [
        (one.action, one.state, one.reported(),
         one.response.code or (f"HTTP{one.response.http}" if one.is_noop else ""),
         one.response.reason, one.chunk, one.response.job_id, one.response.request_id, one.since)
        for one in requests
    ]  # fmt: skip
    facts = pd.DataFrame(lines, columns=[*_TEXTS, "since"])
    return facts.astype(dict.fromkeys(_TEXTS, STR) | {"since": "int64"})


def _claimed_of_shares(
    claimed: pd.Series, rows: pd.DataFrame, requests: list[Request], request: Positions
) -> pd.Series:
    """Put in what a job said of single shares, which differs from what it said of the rest."""
    naming = [at for at, one in enumerate(requests) if one.results]
    named = np.flatnonzero(np.isin(request, naming))
    shares = rows[SHARE_KEY].take(named).itertuples(index=False, name=None)
    pairs = zip(request[named], shares, strict=True)
    claimed.iloc[named] = [requests[at].reported(share) for at, share in pairs]
    return claimed


def _find_positions(
    rows: pd.DataFrame, *others: pd.DataFrame, as_member: bool = False
) -> list[Positions]:
    """Find where the action of each row stands last in each of the others; -1 if it does not.

    ``as_member`` looks for what the member's side says of it, whoever acts.
    """
    by_owner = is_owner_action(rows["status"]).to_numpy(dtype=bool) & (not as_member)
    return [_last_positions(by_owner, frame) for frame in others]


def _later(observed: pd.DataFrame, read_at: Positions, since: Positions) -> Positions:
    """Keep the positions of what was read after the latest request."""
    return np.where(_values(observed["seq"], -1)[read_at] > since, read_at, -1)


def _values(column: pd.Series, missing: int) -> NDArray[Any]:
    """Return the values of a column, and at position -1 what stands for none."""
    return np.append(column.to_numpy(), missing)


def _contradicting(
    rows: pd.DataFrame, actions: pd.Series, observed: pd.DataFrame, read_at: Positions,
    since: Positions,
) -> Positions:  # fmt: skip
    """Where the owner sees what it wanted, take what the project it shares with sees."""
    by_owner = is_owner_action(actions).to_numpy(dtype=bool)
    if not by_owner.any():
        return read_at
    (member_at,) = _find_positions(rows, observed, as_member=True)
    member_at = _later(observed, member_at, since)
    states = observed["state"].array.take(read_at, allow_fill=True, fill_value="")
    satisfied = are_satisfied(actions, pd.Series(states, actions.index)).to_numpy(dtype=bool)
    return np.where(by_owner & satisfied & (member_at >= 0), member_at, read_at)


def _last_positions(by_owner: NDArray[np.bool_], lines: pd.DataFrame) -> Positions:
    found: Positions = np.full((len(ROLES), len(by_owner)), -1)
    of_owner = (lines["side"] == OWNER).to_numpy(dtype=np.int64)
    np.maximum.at(found, (of_owner, lines["row_key"].to_numpy()), np.arange(len(lines)))
    at: Positions = np.where(by_owner, found[1], found[0])
    return at


def count_outcomes(outcome: pd.Series) -> dict[str, int]:
    """Return the number of rows of each outcome: every name, zeros included."""
    counts = outcome.value_counts()
    return {name: int(counts.get(name, 0)) for name in OUTCOMES}


# -- in the ledger -------------------------------------------------------------------------------
def write_outcomes(ledger: Ledger, outcomes: pd.DataFrame, dispositions: pd.Series) -> Event:
    """Write every row's outcome into the ledger.

    Parameters
    ----------
    ledger : Ledger
        The ledger of the run, open to be written.
    outcomes : DataFrame
        As :func:`assign_outcomes` returns it; what it says of requests is in the events.
    dispositions : Series
        What the plan makes of each row, indexed by ``row_key``.

    Raises
    ------
    LedgerError
        If a row has no outcome, several ones, or one that it cannot have.
    """
    if problem := outcome_problem(outcomes, dispositions):
        raise LedgerError(f"{ledger.path}: the outcomes are not written, because {problem}.")
    body = {
        "counts": count_outcomes(outcomes["outcome"]),
        "blob": ledger.put_frame(outcomes[list(SCHEMA.names)]),
    }
    return ledger.append("outcomes_recorded", body)


def read_outcomes(ledger: Ledger, dispositions: pd.Series) -> pd.DataFrame | None:
    """Read the outcomes that were written last; None if no call of ``submit`` has ended yet.

    Raises
    ------
    LedgerError
        As :func:`write_outcomes`, or if their numbers are not those that were recorded.
    """
    event = ledger.last_event("outcomes_recorded")
    if event is None:
        return None
    outcomes = ledger.get_frame(event.body["blob"], SCHEMA)
    problem = outcome_problem(outcomes, dispositions)
    recorded = {name: number for name, number in event.body["counts"].items() if number}
    counts = {name: n for name, n in count_outcomes(outcomes["outcome"]).items() if n}
    if not problem and counts != recorded:
        problem = f"event {event.seq} records other numbers of outcomes than its rows have"
    if problem:
        raise LedgerError(f"{ledger.path} is damaged: {problem}.")
    return outcomes


def outcome_problem(outcomes: pd.DataFrame, dispositions: pd.Series) -> str:
    """Return how a frame breaks the rule that each row has exactly one outcome, ``""`` if not.

    >>> rows = pd.Series(["planned", "skipped"])
    >>> outcome_problem(pd.DataFrame({"outcome": ["confirmed", "skipped"]}), rows)
    ''
    >>> outcome_problem(pd.DataFrame({"outcome": ["confirmed"]}), rows)
    'row_key 1 has no outcome'
    """
    index, keys = outcomes.index, dispositions.index
    if not index.equals(keys):
        labels = {
            "has no outcome": keys[~keys.isin(index)],
            "has several outcomes": index[index.duplicated()],
            "has an outcome, but is no row of the plan": index[~index.isin(keys)],
        }
        found = [f"row_key {at[0]} {label}" for label, at in labels.items() if len(at)]
        return found[0] if found else "its rows are in another order than those of the plan"
    outcome, planned = outcomes["outcome"], dispositions == "planned"
    possible = (outcome == dispositions).where(~planned, ~outcome.isin(_UNSENT))
    odd = index[~(possible & outcome.isin(list(OUTCOMES)))]
    if len(odd):
        was, is_now = dispositions[odd[0]], outcome[odd[0]]
        return f"row_key {odd[0]}, {was} in the plan, has the impossible outcome {is_now!r:.40}"
    missing = [name for name in SCHEMA.names if name in outcomes and outcomes[name].hasnans]
    return f"its column {missing[0]!r} lacks values" if missing else ""
