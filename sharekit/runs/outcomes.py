"""Exactly one outcome for every row, from what was planned, sent, answered and observed.

Joined by share (project and image), never by order. The rule, per planned row:

============  =================  ==================================================
claimed       observed           outcome
============  =================  ==================================================
success       as wanted          ``confirmed``
(nothing)     as wanted          ``confirmed`` (sent; the answer was lost)
failed        as wanted          ``contradicted``
success       otherwise          ``contradicted``
failed        otherwise, unread  ``failed``
success       not read           ``claimed``
(nothing)     otherwise, unread  ``unknown`` if it was sent, else ``pending``
============  =================  ==================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.actions import OWNER, ROLES
from sharekit.core.columns import are_satisfied, is_owner_action

from .request_log import History, Piece

#: Positions in a frame, -1 for none.
Places = NDArray[np.int64]
_KEY = ["project_id", "image_id"]
_FACTS = ["wanted", "sent", "state", "code", "reason", "last_chunk", "job_id", "request_id"]
_BELIED = "the cloud said that it was done, and shows otherwise"
#: What a look before sending may decide about a row that was planned.
EXCLUDED = ("already", "blocked")


def settle(
    rows: pd.DataFrame, blockers: pd.DataFrame, history: History, looks: pd.DataFrame,
    observed: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """Return one line per row: ``outcome, code, reason, before, claimed, observed, last_chunk,
    job_id, request_id`` (str), indexed by ``row_key``.

    Parameters
    ----------
    rows : DataFrame
        The plan's rows.
    blockers : DataFrame
        For each blocked row its first error: ``rule, message``, indexed by ``row_key``.
    history : History
        What was sent and answered.
    looks : DataFrame
        From the looks before sending: ``project_id, image_id, side, before, outcome, code,
        reason``.
    observed : DataFrame
        From reading back: ``project_id, image_id, side, state``; of what an owner did, both sides
        may tell, and then both must show it.
    """  # noqa: D205
    facts, shares = _claims(history)
    at, read, look = _places(rows, shares, observed, looks)
    piece = np.append(shares["piece"].to_numpy(), -1)[at]
    acts = facts["wanted"].array.take(piece, allow_fill=True, fill_value="")
    wanted = pd.Series(acts, rows.index)
    read = _belying(rows, wanted, observed, read)
    claims, states = shares["claimed"], observed["state"]
    del shares, observed  # their IDs are a third of the memory at a million rows

    def taken(values: pd.Series, places: Places) -> pd.Series:
        array = values.array.take(places, allow_fill=True, fill_value="")
        return pd.Series(array, index=rows.index, dtype="str")

    planned = rows["disposition"] == "planned"
    sent = taken(facts["sent"], piece) == "yes"
    claimed, seen = taken(claims, at), taken(states, read)
    looked = taken(looks["outcome"], look)
    excluded = planned & looked.isin(EXCLUDED) & ~sent
    state = taken(facts["state"], piece)
    outcome = _verdict(sent, wanted, state, claimed, seen).where(~excluded, looked)
    outcome = outcome.where(planned, rows["disposition"])
    del wanted, state, looked
    # What is known of a share says nothing of rows that did not go.
    gone = (planned & ~excluded).to_numpy(dtype=bool)
    at, read, piece = (np.where(gone, places, -1) for places in (at, read, piece))
    # A job may fail for some images only; what it says of those is not this one's reason.
    silent = outcome.isin(["confirmed", "claimed", "already"]) | (claimed == "success")
    told = np.where(silent, -1, piece)
    result = {"outcome": outcome}
    for name, source in (("code", "rule"), ("reason", "message")):
        other = blockers[source].reindex(rows.index).fillna("")
        result[name] = taken(facts[name], told)
        result[name] = result[name].where(~excluded, taken(looks[name], look))
        result[name] = result[name].where(rows["disposition"] != "blocked", other)
    belied = (outcome == "contradicted") & (claimed == "success")
    result["reason"] = result["reason"].where(~belied, _BELIED)
    before = taken(looks["before"], look)
    result["before"] = before.where(before != "", rows["before"])
    result["claimed"] = taken(claims, at)
    result["observed"] = taken(states, read)
    for name in ("last_chunk", "job_id", "request_id"):
        result[name] = taken(facts[name], piece)
    return pd.DataFrame(result, index=rows.index)


def _verdict(
    sent: pd.Series, wanted: pd.Series, state: pd.Series, claimed: pd.Series, seen: pd.Series
) -> pd.Series:
    read = seen != ""
    there = read & are_satisfied(wanted, seen)
    failed, success = claimed == "failed", claimed == "success"
    cases = {
        "confirmed": sent & there & ~failed,
        "contradicted": sent & ((there & failed) | (read & ~there & success)),
        "failed": failed | (state == "refused"),
        "claimed": sent & success,
        "unknown": sent & (state != "planned"),
        "pending": sent | True,
    }
    first = np.argmax([case.to_numpy(dtype=bool) for case in cases.values()], axis=0)
    return pd.Series(pd.array([*cases], dtype="str").take(first), index=seen.index)


def _claims(history: History) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is known of each request, and for each share in one: which, and what was claimed."""
    pieces = history.leaves()
    counts = np.array([piece.size for piece in pieces], dtype="int64")
    number = np.repeat(np.arange(len(pieces)), counts)
    facts = pd.DataFrame([_facts(piece) for piece in pieces], columns=_FACTS, dtype="str")
    claimed = pd.Series([piece.claim("") for piece in pieces], dtype="str").array.take(number)
    shares = pd.DataFrame({"claimed": claimed, "piece": number}).assign(
        project_id=_projects(pieces, number),
        image_id=pd.array([*chain.from_iterable(map(_images, pieces))], dtype="str"),
        side=pd.Series([piece.side for piece in pieces], dtype="str").array.take(number),
    )
    # Only jobs that name single images differ from what is said of the whole piece.
    ends = counts.cumsum()
    for piece, end in zip(pieces, ends.tolist(), strict=True):
        if piece.results:
            names = [piece.named(share) for share in piece.shares]
            shares.loc[end - len(names) : end - 1, "claimed"] = [piece.claim(n) for n in names]
    return facts, shares


def _images(piece: Piece) -> Iterable[str]:
    return (image for _, image in piece.shares) if piece.projects else piece.images


def _projects(pieces: list[Piece], number: Places) -> pd.api.extensions.ExtensionArray:
    if not any(piece.projects for piece in pieces):  # one project for each piece
        return pd.Series([p.project_id for p in pieces], dtype="str").array.take(number)
    return pd.array([project for piece in pieces for project, _ in piece.shares], dtype="str")


def _facts(piece: Piece) -> tuple[str, ...]:
    return (
        piece.act,
        "yes" if piece.attempts else "",
        piece.state,
        piece.code,
        piece.reason,
        piece.chunk,
        piece.job_id,
        piece.request_id,
    )


def _places(rows: pd.DataFrame, *others: pd.DataFrame, as_member: bool = False) -> list[Places]:
    """Find where the act of each row stands last in each of the others; -1 if it does not.

    ``as_member`` looks for what the member's side says of it, whoever acts.
    """
    both = [pd.concat([frame[name] for frame in (rows, *others)]) for name in _KEY]
    projects, images = (pd.factorize(column)[0].astype(np.int64) for column in both)
    numbers = images * (projects.max(initial=0) + 1) + projects
    own = is_owner_action(rows["status"]).to_numpy(dtype=bool) & (not as_member)
    owner = np.concatenate([own, *((f["side"] == OWNER).to_numpy(dtype=bool) for f in others)])
    numbers = numbers * len(ROLES) + owner
    ends = np.cumsum([len(frame) for frame in (rows, *others)])
    wanted, *found = np.split(numbers, ends[:-1])
    return [_last(wanted, those) for those in found]


def _belying(rows: pd.DataFrame, acts: pd.Series, observed: pd.DataFrame, read: Places) -> Places:
    """Where the owner saw what it wanted, the word of the project it shares with counts, too."""
    mine = is_owner_action(acts).to_numpy(dtype=bool)
    if not mine.any():
        return read
    (theirs,) = _places(rows, observed, as_member=True)
    states = observed["state"].array.take(read, allow_fill=True, fill_value="")
    good = are_satisfied(acts, pd.Series(states, acts.index)).to_numpy(dtype=bool)
    return np.where(mine & good & (theirs >= 0), theirs, read)


def _last(wanted: Places, found: Places) -> Places:
    kept = np.flatnonzero(~pd.Series(found).duplicated(keep="last").to_numpy())
    at = pd.Index(found[kept]).get_indexer(pd.Index(wanted))
    return np.append(kept, -1)[at]


def totals(outcome: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    """Count rows by outcome: every name, zeros included."""
    told = outcome if isinstance(outcome, pd.Series) else pd.Series(list(outcome), dtype="str")
    by = told.value_counts()
    return {name: int(by.get(name, 0)) for name in names}
