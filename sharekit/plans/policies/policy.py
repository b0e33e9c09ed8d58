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
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import Decision
from sharekit.core.columns import NAMED, STR
from sharekit.core.errors import UsageError
from sharekit.core.html import table
from sharekit.ledger.hashing import canonical_json
from sharekit.spreadsheets.formats.columns import value_text
from sharekit.spreadsheets.vocabulary import read_decision

from ..selection import keys_of_labels, select_keys

#: What leaves a row as the inventory, or a person, has decided it.
LEAVE: Final = "leave"
#: What reports call the rows that no policy matches.
REST: Final = "otherwise"
#: What a condition says of a row: a third value says that it cannot be judged.
NO, YES, UNKNOWN = 0, 1, 2
_Truth = NDArray[np.int8]
#: Most values of a list: the ledger holds them in the event of the step that they decided.
MAX_VALUES: Final = 10_000
#: How frames, workbooks and YAML write the same truth value -> one of them.
_TRUTHS: Final = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
#: What stands for itself as a text. Times do not: their text depends on the whole column.
_PLAIN: Final = (str, bool, np.bool_, numbers.Real, UUID)


# -- operators -------------------------------------------------------------------------------------
def _equals(texts: pd.Series, value: str, at: datetime) -> _Truth:
    return _one_of(texts, (value,), at)


def _one_of(texts: pd.Series, values: tuple[str, ...], _: datetime) -> _Truth:
    wanted = [_TRUTHS.get(value, value) for value in values]
    return np.asarray(texts.replace(_TRUTHS).isin(wanted), dtype=np.int8)


def _matches(texts: pd.Series, pattern: str, _: datetime) -> _Truth:
    hits = pc.match_substring_regex(pa.array(texts), rf"\A(?:{pattern})\z")
    truth: _Truth = np.asarray(hits).astype(np.int8)
    return truth


def _like(texts: pd.Series, pattern: str, at: datetime) -> _Truth:
    words = {"*": ".*", "?": "."}
    return _matches(texts, "(?s)" + "".join(words.get(c, re.escape(c)) for c in pattern), at)


def _compare(symbol: Callable[[Any, Any], Any]) -> Callable[[pd.Series, str, datetime], _Truth]:
    def compare(texts: pd.Series, value: str, _: datetime) -> _Truth:
        numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype="float64")
        truth = np.where(symbol(numbers, float(value)), YES, NO)
        return np.where(np.isfinite(numbers), truth, UNKNOWN).astype(np.int8)

    return compare


def _older_than(texts: pd.Series, age: str, at: datetime) -> _Truth:
    # Only dates that every reader reads alike: with the year first.
    times = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True)
    truth = np.where((at - times > pd.Timedelta(age)).to_numpy(), YES, NO)
    return np.where(times.isna().to_numpy(), UNKNOWN, truth).astype(np.int8)


def _is_empty(texts: pd.Series, expected: str, _: datetime) -> _Truth:
    return np.asarray((texts == "") == (expected == "true"), dtype=np.int8)


@dataclass(frozen=True)
class _Operator:
    """How a condition compares, how it reads the value that it compares with, and what fits."""

    compare: Callable[[pd.Series, Any, datetime], _Truth]
    read: Callable[[Any], Any]
    takes: str


def _text(value: Any) -> str:
    """Return the text that a cell with this value has."""
    text = value_text(value).strip() if isinstance(value, _PLAIN) else ""
    if not text:
        raise ValueError(value)
    return text if isinstance(value, str) else _TRUTHS.get(text, text)


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(value)
    if hasattr(value, "columns"):  # a table would give the names of its columns
        raise TypeError(value)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        value = value.to_pylist()
    values = [None if pd.api.types.is_scalar(v) and pd.isna(v) else v for v in value]
    texts = tuple(dict.fromkeys(_text(v) for v in values if v is not None))
    if not texts or len(texts) > MAX_VALUES:
        raise ValueError(len(texts))
    return texts


def _number(value: Any) -> str:
    if not np.isfinite(float(_text(value))):
        raise ValueError(value)
    return _text(value)


def _pattern(value: Any) -> str:
    text = _inline_flags(value) if isinstance(value, re.Pattern) else _text(value)
    # By itself as well: brackets that end too early would leave the whole match.
    for expression in (text, rf"\A(?:{text})\z"):
        pc.match_substring_regex(pa.array([""]), expression)
    return text


def _inline_flags(compiled: re.Pattern[Any]) -> str:
    """Return a compiled pattern with its flags in its text, as they are compared and recorded."""
    letters = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}
    others = compiled.flags & ~(re.UNICODE | re.ASCII | sum(letters))
    if others or not isinstance(compiled.pattern, str):
        raise ValueError(compiled)
    flags = "".join(letter for flag, letter in letters.items() if compiled.flags & flag)
    return f"(?{flags}){compiled.pattern}" if flags else compiled.pattern


def _age(value: Any) -> str:
    given = isinstance(value, timedelta | np.timedelta64)
    text = str(pd.Timedelta(value)) if given else _text(value)
    # One letter m is a month to people, and a minute to pandas.
    unclear = re.search(r"(?i)\d\s*m\b", text) or not re.search("[a-zA-Z]", text)
    if unclear or not pd.Timedelta(text) > pd.Timedelta(0):
        raise ValueError(value)
    return text


def _truth(value: Any) -> str:
    if _text(value).lower() not in ("true", "false"):
        raise ValueError(value)
    return _text(value).lower()


_A_TEXT: Final = (
    "a text, a number or a truth value (of a time, the text in the column; of nothing, `empty`)"
)
_A_NUMBER: Final = "a number"
OPERATORS: Final[Mapping[str, _Operator]] = {
    "equals": _Operator(_equals, _text, _A_TEXT),
    "one of": _Operator(_one_of, _list, f"a list of 1 to {MAX_VALUES:,} texts or numbers"),
    "like": _Operator(_like, _text, "a text with * and ?"),
    "matches": _Operator(
        _matches, _pattern, "a regular expression without look-around, references and re.VERBOSE"
    ),
    "older than": _Operator(_older_than, _age, "a time such as 30 days or 12 hours"),
    "less than": _Operator(_compare(np.less), _number, _A_NUMBER),
    "at most": _Operator(_compare(np.less_equal), _number, _A_NUMBER),
    "more than": _Operator(_compare(np.greater), _number, _A_NUMBER),
    "at least": _Operator(_compare(np.greater_equal), _number, _A_NUMBER),
    "empty": _Operator(_is_empty, _truth, "true or false"),
}


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

    def judge(self, texts: pd.Series, at: datetime) -> _Truth:
        """Return NO, YES or UNKNOWN for each text; each distinct one is compared once."""
        codes, distinct = pd.factorize(texts)
        values = pd.Series(distinct, dtype=STR)
        truth = OPERATORS[self.operator].compare(values, self.value, at)
        if self.operator != "empty":
            truth = np.where((values == "").to_numpy(), UNKNOWN, truth)
        if self.negated:
            truth = np.array([YES, NO, UNKNOWN])[truth]
        return np.asarray(truth, dtype=np.int8)[codes]

    def describe(self) -> dict[str, Any]:
        """Return it as a file of policies would hold it."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        rule: dict[str, Any] = {self.operator: value}
        return {self.column: {"not": rule} if self.negated else rule}


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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
    """

    decisions: pd.DataFrame
    matched: pd.DataFrame
    undecided: pd.DataFrame

    @property
    def summary(self) -> dict[str, Any]:
        """``policies`` (``policy, then, rows`` of each) and ``undecided``, for scripts."""
        return {"policies": self.matched.to_dict("records"), "undecided": len(self.undecided)}

    def __repr__(self) -> str:
        sizes = self.matched.set_index("policy")["rows"].to_dict()
        numbers = [f"{size:,} {name}" for name, size in sizes.items() if size]
        if count := len(self.undecided):
            numbers.append(f"{count:,} left to a person")
        return f"<PolicyResult: {', '.join(numbers) or 'no rows'}>"

    def _repr_html_(self) -> str:
        page = table(self.matched, title=repr(self)[1:-1])
        if self.undecided.empty:
            return page
        return page + table(self.undecided.reset_index(), title="Left to a person", limit=10)


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
        ``less than``, ``at most``, ``more than``,
        ``at least``, ``empty``) to values; ``{"not": …}`` is the opposite.

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
    return Policy(
        name.strip(), wanted, reason.strip() or f"policy {name.strip()}", tuple(parts), rows
    )


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
    for number, asked in enumerate(policies.policies):
        truth, columns = _judge(asked, rows, at, labels)
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
    return PolicyResult(decisions, matched, undecided)


def _judge(
    asked: Policy, rows: pd.DataFrame, at: datetime, labels: pd.Index | None
) -> tuple[_Truth, NDArray[np.object_]]:
    """Return NO, YES or UNKNOWN for each row, and the column that could not be judged."""
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
    near = difflib.get_close_matches(name, list(map(str, rows.columns)), n=NAMED, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(rows.columns)}."
    raise UsageError(f"{place}: the rows have no column {name!r}; {hint}")
