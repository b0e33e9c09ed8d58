"""Policies: what decides on rows by a condition instead of a person's click.

A *rule* is a check and says what is wrong; a *policy* decides. A policy has a name, conditions on
columns, and a decision. Several of them are asked in order, and the first that matches a row
decides on it; what becomes of the other rows is said, too.

A condition compares one column of a row with fixed values: there is no code in it, so a file of
policies from anybody can be read. What cannot be judged matches neither a condition nor its
opposite: an empty cell, a text where a number is compared, a fact that the cloud was not asked for.
The row is then left to a person, and named, whatever later policies say.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sharekit.core.actions import Decision
from sharekit.core.columns import NAMED, STR, list_some
from sharekit.core.errors import UsageError
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.frame_schemas import OUR_COLUMNS
from sharekit.core.html import shorten, table
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.ledger.events import printable
from sharekit.ledger.hashing import canonical_json
from sharekit.spreadsheets.vocabulary import read_decision

from ..selection import keys_of_labels, select_keys
from .operators import NO, OPERATORS, TRUTHS, UNKNOWN, YES, Truth
from .unmet import unmet_note

#: What leaves a row as the inventory, or a person, has decided it.
LEAVE: Final = "leave"
#: What reports call the rows that no policy matches.
REST: Final = "otherwise"


@dataclass(frozen=True)
class Condition:
    """A comparison of one column with fixed values.

    Attributes
    ----------
    column : str
        Name of a column of a review's rows, or of the user's own.
    operator : str
        One of :data:`OPERATORS`.
    value : str or tuple of str
        What the column is compared with.
    negated : bool
        Whether the opposite must hold. What cannot be judged holds neither way.
    """

    column: str
    operator: str
    value: str | tuple[str, ...]
    negated: bool = False

    def judge(self, texts: pd.Series, at: datetime) -> Truth:
        """Return NO, YES or UNKNOWN for each text; each distinct one is compared once."""
        codes, distinct = pd.factorize(texts)
        values = pd.Series(distinct, dtype=STR)
        truth = OPERATORS[self.operator].compare(values, self.value, at)
        if self.operator != "empty":
            truth = np.where((values == "").to_numpy(), UNKNOWN, truth)
        if self.negated:
            truth = np.array([YES, NO, UNKNOWN])[truth]
        return np.asarray(truth, dtype=np.int8)[codes]

    def __str__(self) -> str:
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        value = ", ".join(values) if len(values) <= NAMED else f"{len(values):,} values"
        return shorten(f"{self.column} {'not ' * self.negated}{self.operator} {value}", 100)

    @property
    def values(self) -> tuple[str, ...]:
        """The texts of which a cell must be one; none of a condition that compares otherwise."""
        value = self.value if isinstance(self.value, tuple) else (self.value,)
        return value if self.operator in ("equals", "one of") else ()

    def describe(self) -> dict[str, Any]:
        """Return it as a file of policies would hold it."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        rule: dict[str, Any] = {self.operator: value}
        return {self.column: {"not": rule} if self.negated else rule}


@dataclass(frozen=True, repr=False)
class Policy:
    """What is decided on each row that meets all conditions.

    Attributes
    ----------
    name : str
        The name under which reports show it.
    decision : str
        ``accept``, ``reject``, ``share``, ``unshare``, ``skip`` or ``leave``.
    reason : str
        The reason that is recorded with each decision.
    conditions : tuple of Condition
        All must hold; without any, every row meets them.
    rows : callable or object, optional
        In Python alone: a mask or keys of rows, or a function that takes the rows and returns
        them. Only its name and the rows that it matched are recorded.
    """

    name: str
    decision: str
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    rows: Any = field(default=None, compare=False)

    def describe(self) -> dict[str, Any]:
        """Return the policy with its bound values, as it is recorded."""
        body: dict[str, Any] = {"name": self.name, "then": self.decision, "reason": self.reason}
        if self.rows is not None:
            return body | {"by": "python"}
        return body | {"when": [condition.describe() for condition in self.conditions]}

    def __repr__(self) -> str:
        return f"<Policy {self.name!r}: {self.condition} → {self.decision}>"

    def _repr_html_(self) -> str:
        return Policies((self,))._repr_html_()

    @property
    def condition(self) -> str:
        """All conditions in words."""
        if self.rows is not None:
            return "rows chosen in Python"
        return " and ".join(map(str, self.conditions)) or "every row"


@dataclass(frozen=True, repr=False)
class Policies:
    """Policies in the order in which they are asked, and what becomes of all other rows.

    Attributes
    ----------
    policies : tuple of Policy
        The first that matches a row decides on it.
    otherwise : str
        The decision on rows that no policy matches; ``leave`` leaves them as they are.
    source : str
        The file that they were read from, or ``""``.
    """

    policies: tuple[Policy, ...]
    otherwise: str = LEAVE
    source: str = field(default="", compare=False)

    def describe(self) -> dict[str, Any]:
        """Return all policies with their bound values, as they are recorded."""
        policies = [policy.describe() for policy in self.policies]
        return {"policies": policies, "otherwise": self.otherwise}

    def __repr__(self) -> str:
        names = list_some([policy.name for policy in self.policies])
        return f"<Policies: {names}; otherwise {self.otherwise}>"

    def _repr_html_(self) -> str:
        lines = [(p.name, p.condition, p.decision, p.reason) for p in self.policies]
        columns = ["policy", "condition", "decision", "reason"]
        return table(pd.DataFrame(lines, columns=columns), title=repr(self)[1:-1])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all policies with their bound values; a changed list changes it."""
        return hashlib.sha256(canonical_json(self.describe()).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class PolicyResult:
    """What policies decide on the rows of a plan.

    Attributes
    ----------
    decisions : DataFrame
        ``decision, reason, policy`` (str) of each row that a policy decides, by ``row_key``.
    matched : DataFrame
        One line for each policy: ``policy, then`` (str), ``rows`` (int64); the last is
        ``otherwise``.
    undecided : DataFrame
        ``policy, column`` (str) by ``row_key``: rows on which a policy could not be judged, so that
        a person has to decide.
    notes : tuple of str
        Conditions that no row meets, and values that no row has but a similar one, in words.
    """

    decisions: pd.DataFrame
    matched: pd.DataFrame
    undecided: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> dict[str, Any]:
        """``policies`` (``policy, then, rows`` of each), ``undecided`` and ``notes``."""
        policies = self.matched.to_dict("records")
        return {"policies": policies, "undecided": len(self.undecided), "notes": [*self.notes]}

    def __repr__(self) -> str:
        sizes = self.matched.set_index("policy")["rows"].to_dict()
        numbers = [f"{size:,} {name}" for name, size in sizes.items() if size]
        if count := len(self.undecided):
            numbers.append(f"{count:,} left to a person")
        noted = f"; {shorten(list_some(self.notes, limit=1), 120)}" if self.notes else ""
        return f"<PolicyResult: {', '.join(numbers) or 'no rows'}{noted}>"

    def _repr_html_(self) -> str:
        page = table(self.matched, title=repr(replace(self, notes=()))[1:-1])
        if self.notes:
            page += table(pd.DataFrame({"note": self.notes}), title="Notes", limit=10)
        if self.undecided.empty:
            return page
        return page + table(self.undecided.reset_index(), title="Left to a person", limit=10)


@checks_arguments
def policy(
    name: str, /, *, then: Decision | Literal["leave"], reason: str = "", rows: Any = None,
    when: Mapping[str, Any] | None = None, **conditions: Any,
) -> Policy:  # fmt: skip
    """Make a policy: what is decided on the rows that meet all conditions.

    Parameters
    ----------
    name : str
        The name under which the report shows it.
    then : str
        The decision, in any word that an inventory may hold for it, or ``leave``.
    reason : str
        The reason that is recorded with each decision; without it, the policy's name.
    rows : callable, mask or keys, optional
        Instead of conditions: a function that takes the rows of a review, all of them texts, and
        returns a mask, keys, or labels of the DataFrame that was read; or these themselves. Only
        what it matched is recorded, not how.
    when : mapping, optional
        Conditions on columns whose names are no Python names, as ``conditions``.
    **conditions
        Column -> a value it must equal, a list of values, a compiled pattern, or a mapping of
        operators (``equals``, ``one of``, ``like`` with ``*`` and ``?``, ``matches`` a regular
        expression of RE2 as a whole, where word characters and digits are ASCII, ``older than``,
        ``before`` and ``after`` a day or a time, ``less than``, ``at most``, ``more than``,
        ``at least``, ``empty``) to values; ``{"not": …}`` is the opposite.

    Returns
    -------
    Policy
        To be given to ``review.apply`` or :func:`sharekit.audit`.

    Raises
    ------
    UsageError
        There is no such operator or decision, or a value does not fit its operator.

    Examples
    --------
    >>> policy("trusted publishers", owner=["0a", "0b"], before="pending", then="accept").conditions
    (Condition(column='owner', operator='one of', value=('0a', '0b'), negated=False), \
Condition(column='before', operator='equals', value='pending', negated=False))
    """
    if not isinstance(name, str) or not name.strip():
        raise UsageError("A policy needs a name, under which the report shows it.")
    if name.strip().casefold() == REST:
        raise UsageError(f"No policy is called {REST!r}: so the report calls all other rows.")
    place = f"Policy {name.strip()!r}"
    if rows is not None and (when or conditions):
        raise UsageError(f"{place} has both rows and conditions: give one of them.")
    if not isinstance(reason, str):
        raise UsageError(f"{place}: {reason!r:.80} is no text, so it is no reason.")
    if not isinstance(when, Mapping | None):
        raise UsageError(
            f"{place}: when is a mapping of columns to conditions; for a column of "
            "this name write when={'when': …}."
        )
    if twice := sorted(conditions.keys() & (when or {}).keys()):
        raise UsageError(f"{place}: the column {twice[0]} stands in when and beside it; write one.")
    wanted = read_then(then, place)
    parts = [
        condition
        for column, rule in {**(when or {}), **conditions}.items()
        for condition in read_conditions(str(column), rule, place)
    ]
    name = printable(name.strip())
    said = printable(reason.strip()) or f"policy {name}"
    return Policy(name, wanted, said, tuple(parts), rows)


def read_then(word: Any, place: str) -> str:
    """Return a decision in our words, or :data:`LEAVE`."""
    if isinstance(word, str) and word.strip().lower() == LEAVE:
        return LEAVE
    try:
        decision = read_decision(word) if isinstance(word, str) else ""
    except UsageError:
        decision = ""
    if not decision:
        wrong = f"{word!r:.80} is no decision; write accept, reject, share, unshare, skip or leave"
        raise UsageError(f"{place}: {wrong}.")
    return decision


def read_conditions(
    column: str, rule: Any, place: str, *, negated: bool = False
) -> list[Condition]:
    """Return the conditions that a rule sets on one column.

    Raises
    ------
    UsageError
        There is no such operator, or a value does not fit it.
    """
    if not isinstance(rule, Mapping):
        if isinstance(rule, re.Pattern):
            rule = {"matches": rule}
        elif isinstance(rule, str | bytes) or not isinstance(rule, Iterable):
            rule = {"equals": rule}
        else:
            rule = {"one of": rule}
    if not rule:
        raise UsageError(f"{place}, column {column}: there is no condition.")
    conditions = []
    for operator, value in rule.items():
        if operator == "not":
            inner = read_conditions(column, value, place, negated=not negated)
            if len(inner) > 1:
                raise UsageError(f"{place}, column {column}: `not` takes one condition.")
            conditions += inner
            continue
        if operator not in OPERATORS:
            known = ", ".join([*OPERATORS, "not"])
            wrong = f"{operator!r:.80} is no operator; there are {known}"
            raise UsageError(f"{place}, column {column}: {wrong}.")
        try:
            bound = OPERATORS[operator].read(value)
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            shown = " ".join(repr(value).split())
            takes = OPERATORS[operator].takes
            wrong = f"{shown:.80} does not fit the operator {operator!r}, which takes {takes}"
            raise UsageError(f"{place}, column {column}: {wrong}.") from None
        conditions.append(Condition(column, operator, bound, negated))
    return conditions


def from_description(described: Mapping[str, Any]) -> Policies:
    """Return the policies that :meth:`Policies.describe` describes.

    Raises
    ------
    UsageError
        Something in it is no policy.
    """
    policies = []
    for body in described["policies"]:
        place, name = f"Policy {body['name']!r}", str(body["name"])
        parts = [
            condition
            for rule in body.get("when", ())
            for column, operators in rule.items()
            for condition in read_conditions(column, operators, place)
        ]
        rows: list[int] | None = [] if body.get("by") == "python" else None
        decision = read_then(body["then"], place)
        policies.append(Policy(name, decision, str(body["reason"]), tuple(parts), rows))
    return Policies(tuple(policies), read_then(described["otherwise"], "otherwise"))


# -- applying --------------------------------------------------------------------------------------
def evaluate(
    policies: Policies, rows: pd.DataFrame, at: datetime | None = None,
    labels: pd.Index | None = None,
) -> PolicyResult:  # fmt: skip
    """Return what policies decide on rows; nothing is written.

    Parameters
    ----------
    policies : Policies
        The policies, in order.
    rows : DataFrame
        Indexed by ``row_key``; every column that a condition names is a column of texts in it, with
        ``""`` where there is nothing.
    at : datetime, optional
        The time that ages are counted to; now, unless the decisions are derived once more.
    labels : Index, optional
        The label that each row had in a DataFrame, by which masks and functions may name it.

    Raises
    ------
    UsageError
        A condition names a column that the rows lack, or a function or mask names no rows.
    """
    at = at or datetime.now(UTC)
    count = len(rows)
    winner = np.full(count, -1, dtype=np.int64)
    open_rows, lacking = np.ones(count, dtype=bool), np.full(count, "", dtype=object)
    blocked_by = np.full(count, -1, dtype=np.int64)
    notes: list[str] = []
    for number, asked in enumerate(policies.policies):
        truth, columns = _judge(asked, rows, at, labels, notes)
        hit, unknown = open_rows & (truth == YES), open_rows & (truth == UNKNOWN)
        winner[hit], blocked_by[unknown], lacking[unknown] = number, number, columns[unknown]
        open_rows &= ~(hit | unknown)
    names = [policy.name for policy in policies.policies]
    rest = Policy(REST, policies.otherwise, "no policy matched")
    every = [*policies.policies, rest]
    winner[open_rows] = len(names)
    left = winner < 0
    sizes = np.bincount(winner[~left], minlength=len(every))
    matched = pd.DataFrame(
        {"policy": [p.name for p in every], "then": [p.decision for p in every], "rows": sizes}
    )
    deciding = np.array([policy.decision != LEAVE for policy in every] + [False])[winner]
    texts = {
        "decision": [policy.decision for policy in every],
        "reason": [policy.reason for policy in every],
        "policy": [policy.name for policy in every],
    }
    chosen = winner[deciding]
    decisions = pd.DataFrame(
        {name: pd.Series(values, dtype=STR).take(chosen).array for name, values in texts.items()},
        index=rows.index[deciding],
    )
    undecided = pd.DataFrame(
        {
            "policy": pd.Series(names, dtype=STR).take(blocked_by[left]).array,
            "column": pd.Series(lacking[left], dtype=STR).array,
        },
        index=rows.index[left],
    )
    return PolicyResult(decisions, matched, undecided, tuple(dict.fromkeys(notes)))


def _judge(
    asked: Policy, rows: pd.DataFrame, at: datetime, labels: pd.Index | None, notes: list[str]
) -> tuple[Truth, NDArray[np.object_]]:
    """Return NO, YES or UNKNOWN for each row, and the column that could not be judged.

    What is odd about a condition is added to the notes.
    """
    columns = np.full(len(rows), "", dtype=object)
    if asked.rows is not None:
        truth = np.full(len(rows), NO, dtype=np.int8)
        truth[_selected(asked, rows, labels)] = YES
        return truth, columns
    truth = np.full(len(rows), YES, dtype=np.int8)
    for condition in asked.conditions:
        column = find_column(condition.column, rows, f"Policy {asked.name!r}")
        one = condition.judge(rows[column], at)
        columns[(one == UNKNOWN) & (truth != NO)] = column
        # A condition that does not hold settles it, whatever the others are.
        truth = np.where((truth == NO) | (one == NO), NO, np.maximum(truth, one)).astype(np.int8)
        is_met = condition.negated or not len(rows) or bool((one == YES).any())
        if is_met and not condition.values:
            continue
        wanted, known = (
            [TRUTHS.get(text, text) for text in texts if text]
            for texts in (condition.values, rows[column].unique())
        )
        if note := unmet_note(str(condition), wanted, known, is_met=is_met):
            own = f"{INPUT_PREFIX}{column}"
            named = f" The input's own column {column} is called {own}." if own in rows else ""
            notes.append(f"Policy {asked.name!r}: {note}{named * (column in OUR_COLUMNS)}")
    return truth, columns


def _selected(asked: Policy, rows: pd.DataFrame, labels: pd.Index | None) -> NDArray[np.int64]:
    given = asked.rows(rows.copy()) if callable(asked.rows) else asked.rows
    if isinstance(given, pd.Series | np.ndarray | list) and len(given) == 0:
        return np.empty(0, dtype=np.int64)
    return select_keys(keys_of_labels(given, labels), len(rows))


def find_column(name: str, rows: pd.DataFrame, place: str) -> str:
    """Return the column that a condition means: by its name, or by its name in another case.

    Raises
    ------
    UsageError
        There is none, or there are several.
    """
    if name in rows.columns:
        return name
    alike = [str(c) for c in rows.columns if str(c).casefold() == name.strip().casefold()]
    if len(alike) == 1:
        return alike[0]
    near = [own] if (own := f"{INPUT_PREFIX}{name}") in rows else (
        difflib.get_close_matches(name, [*map(str, rows.columns)], n=NAMED, cutoff=0.5)
    )  # fmt: skip
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(rows.columns)}."
    raise UsageError(f"{place}: the rows have no column {name!r}; {hint}")
