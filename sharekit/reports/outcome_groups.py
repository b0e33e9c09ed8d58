"""Rows of a run that went the same way, together: what a report counts and explains.

Rows of a group have the same outcome, code and decision, and the cloud showed the same before and
afterwards. There are few groups, however long the input is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.cloud_api import MEANINGS
from sharekit.core.columns import STR
from sharekit.core.outcomes import BY_RANK, FINAL_OK, OUTCOMES
from sharekit.core.rules import RULES, in_shell

#: What rows of one group share; ``run`` only where a report covers several runs.
KEY: Final = ("outcome", "code", "status", "before", "claimed", "observed", "run")
#: Distinct values of a column that get groups of their own, of codes and of states: the cloud and
#: the input can hold anything. The most frequent ones are kept, and all others share one name.
_MOST_CODES, _MOST_STATES, _OTHER = 100, 8, "(another)"
#: Word in the description of a group -> its column.
_PARTS: Final = {
    "decision": "status", "before": "before", "the job said": "claimed", "afterwards": "observed",
    "run": "run",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class OutcomeGroups:
    """The groups of a run, and which row belongs to which.

    Attributes
    ----------
    table : DataFrame
        One line per group, by the rank of its outcome, then the most frequent codes first: the
        columns of :data:`KEY` (text), ``reason`` (the code in plain words, else what its rows have
        in common), ``rows`` and ``first`` (``int64``: how many there are, and the position of the
        first one in the input).
    group : ndarray of int64
        For each row the position of its group in ``table``.
    """

    table: pd.DataFrame
    group: NDArray[np.int64]

    def first_rows(self) -> dict[str, int]:
        """Return for each outcome that occurs the position of its first row in the input."""
        first = self.table.groupby("outcome")["first"].min()
        return dict(zip(first.index.astype(STR), first.tolist(), strict=True))

    def unsettled(self) -> pd.DataFrame:
        """Return what is not settled, one line for each outcome and code.

        Columns: ``outcome, code, reason, rows``, ``next`` (what to do), ``first`` as in ``table``,
        and ``group``, the position of the first of its groups.
        """
        left = self.table[~self.table["outcome"].isin(FINAL_OK)].reset_index(names="group")
        by = left.groupby(["outcome", "code"], sort=False)
        table = by.agg({"reason": "first", "rows": "sum", "first": "min", "group": "first"})
        table = table.reset_index()
        advice = {
            name: rule.suggestion.replace("{field}", "the field") for name, rule in RULES.items()
        }
        advice = {name: in_shell(text) for name, text in advice.items() if text}
        usual = table["outcome"].map({name: one.next_step for name, one in OUTCOMES.items()})
        advised = table["code"].map(advice).where(table["outcome"] == "blocked")
        return table.assign(next=advised.fillna(usual).fillna("").astype(STR))


def group_outcomes(rows: pd.DataFrame) -> OutcomeGroups:
    """Group the rows of a run that went the same way.

    >>> rows = pd.DataFrame({name: ["", ""] for name in ("code", "before", "claimed", "observed",
    ...     "reason")}).assign(status="accepted", outcome=["confirmed", "failed"])
    >>> groups = group_outcomes(rows)
    >>> groups.table["outcome"].tolist(), groups.group.tolist()
    (['failed', 'confirmed'], [1, 0])
    """
    names = [name for name in KEY if name in rows.columns]
    # What is wrong with a blocked row says all about it.
    blocked = rows["outcome"] == "blocked"
    keys = rows[names].assign(
        status=rows["status"].mask(blocked, ""), before=rows["before"].mask(blocked, "")
    )
    columns = {name: _encode(keys[name], name) for name in names}
    number = np.zeros(len(rows), dtype="int64")
    for codes, values in columns.values():
        number = number * max(len(values), 1) + codes
    number, distinct = pd.factorize(number)
    first = np.empty(len(distinct), dtype="int64")
    first[number[::-1]] = np.arange(len(rows))[::-1]
    shared = {name: values.take(codes[first]) for name, (codes, values) in columns.items()}
    table = pd.DataFrame(shared, dtype=STR)
    reason = rows["reason"].take(first).reset_index(drop=True)
    differs = rows["reason"].to_numpy() != reason.take(number).to_numpy()
    mixed = np.bincount(number, differs, minlength=len(table)) > 0
    reason = reason.where(~mixed, reason.map(_without_details))
    table["reason"] = table["code"].map(MEANINGS).fillna(reason).astype(STR)
    table["rows"] = np.bincount(number, minlength=len(table)).astype("int64")
    table["first"] = first
    order = _order(table)
    position = np.empty(len(order), dtype="int64")
    position[order] = np.arange(len(order))
    return OutcomeGroups(table.take(order).reset_index(drop=True), position[number])


def describe_group(group: Mapping[str, str]) -> str:
    """Return what rows of one group have in common.

    >>> describe_group({"status": "accepted", "before": "pending", "claimed": "", "observed": ""})
    'decision accepted · before pending · the job said – · afterwards –'
    """
    if not any(group.get(name) for name in _PARTS.values()):
        return "nothing was sent"
    parts = ((word, group[name]) for word, name in _PARTS.items() if name in group)
    return " · ".join(f"{word} {value or '–'}" for word, value in parts)


def _without_details(reason: str) -> str:
    """Return a reason without what it says of one row alone, in brackets or after a colon.

    >>> _without_details("conflict (rejected in D180)")
    'conflict (each row tells its own)'
    """
    return f"{re.split(r' [(]|: ', reason, maxsplit=1)[0]} (each row tells its own)"


def _encode(column: pd.Series, name: str) -> tuple[NDArray[np.int64], pd.Index]:
    """Return a column as numbers of its values: the most frequent ones, and one for all others."""
    codes, values = pd.factorize(column)
    values = pd.Index(values, dtype=STR)
    most = _MOST_CODES if name == "code" else _MOST_STATES
    if name in ("outcome", "run") or len(values) <= most:
        return codes.astype("int64"), values
    kept = np.argsort(-np.bincount(codes), kind="stable")[:most]
    number = np.full(len(values), most)
    number[kept] = np.arange(most)
    return number[codes], values.take(kept).append(pd.Index([_OTHER], dtype=STR))


def _order(table: pd.DataFrame) -> NDArray[np.int64]:
    rank = table["outcome"].map({name: number for number, name in enumerate(BY_RANK)})
    together = table.groupby(["outcome", "code"])["rows"].transform("sum")
    keys = (table["rows"].mul(-1), table["code"], together.mul(-1), rank.fillna(len(BY_RANK)))
    return np.lexsort([key.to_numpy() for key in keys]).astype("int64")
