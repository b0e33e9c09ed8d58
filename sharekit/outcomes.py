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

from .history import History, Piece

_KEY = ["project_id", "image_id"]
_FACTS = [
    "project_id", "wanted", "claimed", "sent", "state", "code", "reason", "last_chunk", "job_id",
    "request_id",
]  # fmt: skip
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
        From the looks before sending: ``project_id, image_id, before, outcome, code, reason``.
    observed : DataFrame
        From reading back: ``project_id, image_id, state``.
    """  # noqa: D205
    keyed = rows[[*_KEY, "disposition", "before"]].copy()
    keyed = _joined(keyed, _claims(history))
    keyed = _joined(keyed, observed.rename(columns={"state": "observed"}))
    keyed = _joined(keyed, looks.rename(columns={"before": "seen_before", "outcome": "look"}), "_l")
    keyed["before"] = keyed["seen_before"].where(keyed["seen_before"] != "", keyed["before"])
    planned = keyed["disposition"] == "planned"
    excluded = planned & keyed["look"].isin(EXCLUDED) & (keyed["sent"] != "yes")
    blocked = keyed["disposition"] == "blocked"
    keyed["outcome"] = _verdict(keyed).where(~excluded, keyed["look"])
    keyed["outcome"] = keyed["outcome"].where(planned, keyed["disposition"])
    for name, source in (("code", "rule"), ("reason", "message")):
        other = blockers[source].reindex(rows.index).fillna("")
        # A job may fail for some images only; what it says of those is not this one's reason.
        silent = ~planned | keyed["outcome"].isin(["confirmed", "claimed", "already"])
        silent |= keyed["claimed"] == "success"
        keyed[name] = keyed[name].where(~silent, "").where(~excluded, keyed[f"{name}_l"])
        keyed[name] = keyed[name].where(~blocked, other)
    belied = (keyed["outcome"] == "contradicted") & (keyed["claimed"] == "success")
    keyed["reason"] = keyed["reason"].where(~belied, _BELIED)
    for name in ("claimed", "observed", "last_chunk", "job_id", "request_id"):
        keyed[name] = keyed[name].where(planned & ~excluded, "")
    columns = ["outcome", "code", "reason", "before", "claimed", "observed", "last_chunk"]
    return keyed[[*columns, "job_id", "request_id"]].astype("str")


def _verdict(keyed: pd.DataFrame) -> pd.Series:
    sent, claimed = keyed["sent"] == "yes", keyed["claimed"]
    read = keyed["observed"] != ""
    there = read & (keyed["observed"] == keyed["wanted"])
    refused = keyed["state"] == "refused"
    return pd.Series(
        np.select(
            [
                sent & there & (claimed != "failed"),
                sent & ((there & (claimed == "failed")) | (read & ~there & (claimed == "success"))),
                (claimed == "failed") | refused,
                sent & (claimed == "success"),
                sent & (keyed["state"] != "planned"),
            ],
            ["confirmed", "contradicted", "failed", "claimed", "unknown"],
            "pending",
        ),
        index=keyed.index,
        dtype="str",
    )


def _claims(history: History) -> pd.DataFrame:
    pieces = history.leaves()
    counts = np.array([len(piece.images) for piece in pieces], dtype="int64")
    facts = pd.DataFrame([_facts(piece) for piece in pieces], columns=_FACTS, dtype="str")
    claims = facts.loc[facts.index.repeat(counts)].reset_index(drop=True)
    claims["image_id"] = pd.Series(
        chain.from_iterable(piece.images for piece in pieces), index=claims.index, dtype="str"
    )
    # Only jobs that name single images differ from what is said of the whole piece.
    ends = counts.cumsum()
    for piece, end in zip(pieces, ends.tolist(), strict=True):
        if piece.results:
            start = end - len(piece.images)
            claims.loc[start : end - 1, "claimed"] = [piece.claim(image) for image in piece.images]
    return claims


def _facts(piece: Piece) -> tuple[str, ...]:
    return (
        piece.project_id,
        piece.wanted,
        piece.claim(""),
        "yes" if piece.attempts else "",
        piece.state,
        piece.code,
        piece.reason,
        piece.chunk,
        piece.job_id,
        piece.request_id,
    )


def _joined(left: pd.DataFrame, right: pd.DataFrame, suffix: str = "") -> pd.DataFrame:
    right = right.drop_duplicates(_KEY, keep="last")
    both = left.merge(right, on=_KEY, how="left", suffixes=("", suffix or "_r"))
    both.index = left.index
    return both.fillna(dict.fromkeys(both.columns.difference(left.columns), ""))


def totals(outcome: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    """Count rows by outcome: every name, zeros included."""
    told = outcome if isinstance(outcome, pd.Series) else pd.Series(list(outcome), dtype="str")
    by = told.value_counts()
    return {name: int(by.get(name, 0)) for name in names}
