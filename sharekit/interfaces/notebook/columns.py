"""The columns that the panel's grid can show: facts, decisions, outcomes, the input's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from sharekit.core.columns import STR, contains, join_lines
from sharekit.core.fields import INPUT_PREFIX, SHARE_KEY
from sharekit.core.frame_schemas import public_names
from sharekit.core.html import escape_invisible, shorten
from sharekit.core.provenance import utc_now
from sharekit.interfaces.review_state import ReviewState

from .row_order import Column

#: Column -> its title and width. Those of the input stand behind them.
_TITLES: Final = {
    "wanted": ("Decision", 90), "name": ("Image", 210), "before": ("In the cloud", 100),
    "state": ("Plan", 90), "outcome": ("Outcome", 100), "finding": ("Finding", 150),
    "severity": ("Severity", 110),
    "reason": ("Reason", 170), "project": ("Project", 170), "owner": ("Owner", 170),
    "by": ("Decided by", 100), "findings": ("All findings", 320), "image_id": ("Image ID", 280),
    "project_id": ("Project ID", 260), "owner_id": ("Owner ID", 260), "vault": ("Vault", 170),
    "vault_id": ("Vault ID", 280), "size": ("Size in GB", 90), "why": ("Why (run)", 260),
    "row": ("Line", 70), "file": ("File", 140), "sheet": ("Sheet", 110),
}  # fmt: skip
#: Width of a column of the input; of a letter of its heading, and of the buttons around it.
_OWN_WIDTH, _LETTER, _AROUND = 130, 8, 50
_SEVERITIES: Final = ("error", "warning", "repair")
#: Begins the name of a column with ages; a day; rows of which the first are looked at for one.
_AGE, _DAY, _PROBED = "age.", r"\A\d{4}-\d\d-\d\d", 200
#: Most days -> the words for such an age.
_AGES: Final = {
    -1: "in the future", 30: "  0 to 30 days", 90: " 31 to 90 days", 365: " 91 to 365 days",
}  # fmt: skip
#: Columns that a decision changes, and columns that only a run has.
_DECIDED: Final = frozenset(("wanted", "state", "reason", "by", "vault", "vault_id"))
_OF_RUN: Final = ("outcome", "why")


class Columns:
    """Every row's texts by column; a column is made at its first use, and kept while it holds."""

    def __init__(self, state: ReviewState) -> None:
        self.state, self.outcomes = state, dict[str, pd.Series]()
        self.own = [str(name) for name in state.plan.findings.inventory.rows.columns
                    if str(name).startswith(INPUT_PREFIX)]  # fmt: skip
        sources = state.plan.findings.inventory.sources
        known = {f"{INPUT_PREFIX}{head}" for one in sources for head in one.columns.values()}
        #: Those of the input that no other column shows.
        self.further = [name for name in self.own if name not in known]
        rows = state.plan.findings.inventory.rows
        self._dated = [name for name in self.own if contains(rows[name].iloc[:_PROBED], _DAY).any()]
        self._made: dict[str, Column] = {}

    def set_state(self, state: ReviewState, outcomes: Mapping[str, pd.Series]) -> bool:
        """Take over rows as they are decided now, and their outcomes; True if any has changed."""
        gone: set[str] = set()
        if state is not self.state:
            gone |= set(self._made) if state.plan is not self.state.plan else set(_DECIDED)
        if any(values is not self.outcomes.get(name) for name, values in outcomes.items()):
            gone |= set(_OF_RUN)
        self._made = {name: column for name, column in self._made.items() if name not in gone}
        self.state, self.outcomes = state, dict(outcomes)
        return bool(gone)

    def names(self) -> list[str]:
        """Return the names of all columns."""
        made = [name for name in _TITLES if name not in _OF_RUN or name in self.outcomes]
        return [*made, *self.own, *(f"{_AGE}{name}" for name in self.own if name in self._dated)]

    def title(self, name: str) -> str:
        """Return what a column is called."""
        if name.startswith(_AGE):
            return f"Age by {self.title(name.removeprefix(_AGE))}"
        if name in _TITLES:
            return _TITLES[name][0]
        own = public_names([name])[name]
        ours = any(own == title for title, _ in _TITLES.values())
        shown = shorten(escape_invisible(name if ours else own), 40)
        return "(no header)" if name == INPUT_PREFIX else shown

    def width(self, name: str) -> int:
        """Return how wide a column is before anybody changes it."""
        least = _AROUND + _LETTER * len(self.title(name))
        return max(_TITLES.get(name, ("", _OWN_WIDTH))[1], least)

    def __getitem__(self, name: str) -> Column:
        """Return a column."""
        if name not in self._made:
            self._made[name] = Column(self._values(name))
        return self._made[name]

    def _values(self, name: str) -> pd.Series:
        rows, state = self.state.rows, self.state

        def label(project: str) -> str:
            return state.project_labels.get(project, project)

        made: dict[str, Callable[[], pd.Series]] = {
            "project": lambda: _each(rows["project_id"], label),
            "owner": lambda: _each(rows["owner"], label),
            "owner_id": lambda: rows["owner"],
            "finding": lambda: _each(rows["findings"], lambda text: text.split(":")[0]),
            "severity": lambda: _severities(state),
            "size": lambda: _each(image_sizes(state), lambda size: f"{size:.0f}" if size else ""),
            "wanted": lambda: rows["wanted"].where(rows["wanted"] != "", rows["asked"]),
            "vault": lambda: _each(self._values("vault_id"), partial(_vault_name, state)),
            "vault_id": lambda: rows["vault"].where(rows["vault"] != "", rows["vault_id"]),
            **{name: partial(self.outcomes.__getitem__, name) for name in self.outcomes},
        }
        if name in made:
            return made[name]()
        if name.startswith(_AGE):
            days = state.plan.findings.inventory.rows[name.removeprefix(_AGE)].astype(STR)
            today = date.fromisoformat(utc_now()[:10])
            return _each(days.fillna("").str.slice(0, 10), partial(_age, today))
        source = state.plan.findings.inventory.rows if name in self.own else rows
        return source[name].astype(STR).fillna("")


def image_sizes(state: ReviewState) -> pd.Series:
    """Return the least room that each row's image needs, in GB; 0 where it is not known."""
    snapshot = state.plan.findings.snapshot
    if snapshot is None:
        return pd.Series(0, index=state.plan.rows.index)
    sizes = snapshot.members[[*SHARE_KEY, "size"]].drop_duplicates(SHARE_KEY)
    return join_lines(state.plan.rows, sizes, SHARE_KEY, {"size": 0})["size"].fillna(0)


def _vault_name(state: ReviewState, vault: str) -> str:
    """Return what a vault is called in the cloud, or its ID if another one is called so, too."""
    if state.plan.findings.snapshot is None:
        return vault
    vaults = state.plan.findings.snapshot.vaults
    named = vaults.loc[vaults["vault_id"] == vault, "name"]
    alone = len(named) == 1 and (vaults["name"] == named.iloc[0]).sum() == 1
    return str(named.iloc[0]) or vault if alone else vault


def _severities(state: ReviewState) -> pd.Series:
    """Return how severe the findings of each row are: all their words, the worst first."""
    found, code = state.plan.findings.frame, np.zeros(len(state.plan.rows), dtype="int64")
    found = found[found["row_key"] >= 0]
    for place, word in enumerate(_SEVERITIES):
        code[found.loc[found["severity"] == word, "row_key"].to_numpy()] |= 1 << place
    names = [", ".join(word for place, word in enumerate(_SEVERITIES) if n >> place & 1)
             for n in range(1 << len(_SEVERITIES))]  # fmt: skip
    return pd.Series(pd.array(names, dtype=STR).take(code), index=state.plan.rows.index)


def _age(today: date, day: str) -> str:
    """Return how long ago a day is, in words that are in order as texts, too."""
    if not re.fullmatch(_DAY, day):
        return "unread"
    try:
        days = (today - date.fromisoformat(day)).days
    except ValueError:
        return "unread"
    return next((words for most, words in _AGES.items() if days <= most), "more than a year")


def _each(values: pd.Series, name: Callable[[Any], str]) -> pd.Series:
    """Replace values by what they are called; few different ones are looked up once each."""
    codes, words = pd.factorize(values)
    called = pd.Series([name(word) for word in words], dtype=STR)
    return pd.Series(called.array.take(codes), index=values.index)
