"""Rows that went the same way, together: what every number of a report leads down to.

A *story* is what rows have in common: outcome, code, decision, and what the cloud showed before,
said and showed afterwards. A report counts stories, and lists rows by them, so that each number has
a place where its rows stand. There are few, however long the input is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.error_codes import MEANINGS
from sharekit.core.outcomes import BY_RANK, FINAL_OK, OUTCOMES
from sharekit.core.rules import RULES

_NEXT: Final = {name: outcome.next_step for name, outcome in OUTCOMES.items()}
#: What rows of one story share; ``run`` only where a report tells of several runs.
KEY: Final = ("outcome", "code", "status", "before", "claimed", "observed", "run")
#: Outcomes in the order of a report: what asks for a person first.
ORDER: Final = BY_RANK
#: Different values of a column that are told apart; the cloud and the input can hold anything.
_CODES, _STATES, _OTHER = 100, 8, "(another)"


@dataclass(frozen=True, eq=False)
class Stories:
    """The stories of a run, and which row has which.

    Attributes
    ----------
    table : DataFrame
        One line per story, in the order of :data:`ORDER`: the columns of :data:`KEY` (text),
        ``reason`` (the code in plain words, else what its rows have in common) and ``rows``
        (``int64``).
    member : ndarray of int64
        For each row the position of its story in ``table``.
    """

    table: pd.DataFrame
    member: NDArray[np.int64]

    def listed(self, limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose at most ``limit`` rows to list, of each story as many as is fair, the first ones.

        Returns positions of rows, story by story and in the input's order within, and how many of
        each story there are.
        """
        shares = fair(self.table["rows"].to_numpy(), limit)
        order = np.argsort(self.member, kind="stable")
        starts = np.cumsum(self.table["rows"].to_numpy()) - self.table["rows"].to_numpy()
        places = [order[start : start + n] for start, n in zip(starts, shares, strict=True)]
        return np.concatenate([*places, np.empty(0, dtype="int64")]).astype("int64"), shares

    def open(self) -> pd.DataFrame:
        """Return what is not settled, by outcome and code: ``outcome, code, reason, rows``, what to
        do ``next``, and ``story``, the position of the first one.
        """  # noqa: D205
        left = self.table[~self.table["outcome"].isin(FINAL_OK)].reset_index(names="story")
        groups = left.groupby(["outcome", "code"], sort=False)
        table = groups.agg({"reason": "first", "rows": "sum", "story": "first"}).reset_index()
        rules = [(n, r.suggestion.format(field="the field")) for n, r in RULES.items()]
        mend = {name: advice for name, advice in rules if advice}
        advice = table["code"].map(mend).where(table["outcome"] == "blocked")
        return table.assign(
            next=advice.fillna(table["outcome"].map(_NEXT)).fillna("").astype("str")
        )


def tell(rows: pd.DataFrame) -> Stories:
    """Put rows with one story together.

    >>> rows = pd.DataFrame({name: ["", ""] for name in ("code", "before", "claimed", "observed",
    ...     "reason")}).assign(status="accepted", outcome=["confirmed", "failed"])
    >>> told = tell(rows)
    >>> told.table["outcome"].tolist(), told.member.tolist()
    (['failed', 'confirmed'], [1, 0])
    """
    names = [name for name in KEY if name in rows.columns]
    sent = rows["outcome"] != "blocked"  # what is wrong with a blocked row is its whole story
    columns = {name: _few(rows[name], name) for name in names}
    for name in ("status", "before"):
        columns[name] = _few(rows[name].where(sent, ""), name)
    number = np.zeros(len(rows), dtype="int64")
    for codes, words in columns.values():
        number = number * max(len(words), 1) + codes
    number, distinct = pd.factorize(number)
    first = np.empty(len(distinct), dtype="int64")
    first[number[::-1]] = np.arange(len(rows))[::-1]
    told = {name: words.take(codes[first]) for name, (codes, words) in columns.items()}
    table = pd.DataFrame(told, dtype="str")
    reason = rows["reason"].take(first).reset_index(drop=True)
    differs = rows["reason"].to_numpy() != reason.take(number).to_numpy()
    mixed = np.bincount(number, differs, minlength=len(table)) > 0
    reason = reason.where(~mixed, reason.map(_general))
    table["reason"] = table["code"].map(MEANINGS).fillna(reason).astype("str")
    table["rows"] = np.bincount(number, minlength=len(table)).astype("int64")
    order = _order(table)
    rank = np.empty(len(order), dtype="int64")
    rank[order] = np.arange(len(order))
    return Stories(table.take(order).reset_index(drop=True), rank[number])


def _general(reason: str) -> str:
    """Return a reason without what it tells of one row alone, in brackets or after a colon.

    >>> _general("conflict (rejected in D180)")
    'conflict (each row tells its own)'
    """
    return f"{re.split(r' [(]|: ', reason, maxsplit=1)[0]} (each row tells its own)"


def fair(sizes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Share out a limit: small groups whole, large ones equally.

    >>> fair(np.array([2, 900, 500]), 100).tolist()
    [2, 49, 49]
    """
    shares = np.zeros(len(sizes), dtype="int64")
    left, waiting = limit, len(sizes)
    for place in np.argsort(sizes, kind="stable"):
        shares[place] = min(sizes[place], left // waiting)
        left, waiting = left - shares[place], waiting - 1
    return shares


def _few(column: pd.Series, name: str) -> tuple[NDArray[np.int64], pd.Index]:
    """Return a column as codes, with its most frequent values and one word for the others."""
    codes, words = pd.factorize(column)
    words = pd.Index(words, dtype="str")
    most = _CODES if name == "code" else _STATES
    if name in ("outcome", "run") or len(words) <= most:
        return codes.astype("int64"), words
    kept = np.argsort(-np.bincount(codes), kind="stable")[:most]
    place = np.full(len(words), most)
    place[kept] = np.arange(most)
    return place[codes], words.take(kept).append(pd.Index([_OTHER], dtype="str"))


def _order(table: pd.DataFrame) -> NDArray[np.int64]:
    rank = table["outcome"].map({name: place for place, name in enumerate(ORDER)})
    together = table.groupby(["outcome", "code"])["rows"].transform("sum")
    keys = (table["rows"].mul(-1), table["code"], together.mul(-1), rank.fillna(len(ORDER)))
    return np.lexsort([key.to_numpy() for key in keys]).astype("int64")
