"""Operators of conditions: how each reads the value that is bound, and compares texts with it."""

from __future__ import annotations

import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.spreadsheets.formats.columns import value_text

#: What a condition says of a row: a third value says that it cannot be judged.
NO, YES, UNKNOWN = 0, 1, 2
Truth = NDArray[np.int8]
#: Most values of a list: the ledger holds them in the event of the step that they decided.
MAX_VALUES: Final = 10_000
#: How frames, workbooks and YAML write the same truth value -> one of them.
TRUTHS: Final = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
#: What stands for itself as a text. Times do not: their text depends on the whole column.
_PLAIN: Final = (str, bool, np.bool_, numbers.Real, UUID)


def _equals(texts: pd.Series, value: str, at: datetime) -> Truth:
    return _one_of(texts, (value,), at)


def _one_of(texts: pd.Series, values: tuple[str, ...], _: datetime) -> Truth:
    wanted = [TRUTHS.get(value, value) for value in values]
    return np.asarray(texts.replace(TRUTHS).isin(wanted), dtype=np.int8)


def _matches(texts: pd.Series, pattern: str, _: datetime) -> Truth:
    hits = pc.match_substring_regex(pa.array(texts), rf"\A(?:{pattern})\z")
    truth: Truth = np.asarray(hits).astype(np.int8)
    return truth


def _like(texts: pd.Series, pattern: str, at: datetime) -> Truth:
    words = {"*": ".*", "?": "."}
    return _matches(texts, "(?s)" + "".join(words.get(c, re.escape(c)) for c in pattern), at)


def _compare(symbol: Callable[[Any, Any], Any]) -> Callable[[pd.Series, str, datetime], Truth]:
    def compare(texts: pd.Series, value: str, _: datetime) -> Truth:
        numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype="float64")
        truth = np.where(symbol(numbers, float(value)), YES, NO)
        return np.where(np.isfinite(numbers), truth, UNKNOWN).astype(np.int8)

    return compare


def _times(texts: pd.Series) -> pd.Series:
    # Only dates that every reader reads alike: with the year first.
    times = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True)
    return times.dt.as_unit("us")  # pandas 2 has nanoseconds, which compare with no year but ours


def _where_known(times: pd.Series, holds: pd.Series) -> Truth:
    truth = np.where(holds.to_numpy(), YES, NO)
    return np.where(times.isna().to_numpy(), UNKNOWN, truth).astype(np.int8)


def _older_than(texts: pd.Series, age: str, at: datetime) -> Truth:
    times = _times(texts)
    return _where_known(times, at - times > pd.Timedelta(age))


def _before(texts: pd.Series, moment: str, _: datetime) -> Truth:
    times = _times(_dates(texts))
    return _where_known(times, times < _timestamp(moment))


def _after(texts: pd.Series, moment: str, _: datetime) -> Truth:
    times, start = _times(_dates(texts)), _timestamp(moment)
    day_over = times >= start + timedelta(days=1)
    return _where_known(times, day_over if _DAY.fullmatch(moment) else times > start)


def _timestamp(text: str) -> pd.Timestamp:
    moment = pd.Timestamp(text)
    return moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")


def _dates(texts: pd.Series) -> pd.Series:
    """Return texts that begin with a whole date: another number is no year."""
    return texts.where(texts.str.match(r"\d{4}-\d\d-\d\d"), "")


def _is_empty(texts: pd.Series, expected: str, _: datetime) -> Truth:
    return np.asarray((texts == "") == (expected == "true"), dtype=np.int8)


@dataclass(frozen=True)
class _Operator:
    """How a condition compares, how it reads the value that it compares with, and what fits."""

    compare: Callable[[pd.Series, Any, datetime], Truth]
    read: Callable[[Any], Any]
    takes: str


def _text(value: Any) -> str:
    """Return the text that a cell with this value has."""
    text = value_text(value).strip() if isinstance(value, _PLAIN) else ""
    if not text:
        raise ValueError(value)
    return text if isinstance(value, str) else TRUTHS.get(text, text)


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


def _moment(value: Any) -> str:
    """Return a day as it is written, and a time as ISO 8601."""
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    text = value.isoformat() if isinstance(value, date) else _text(value)
    if not re.match(r"\d{4}-\d\d-\d\d", text) or pd.isna(pd.Timestamp(text)):
        raise ValueError(value)
    return text


def _truth(value: Any) -> str:
    if _text(value).lower() not in ("true", "false"):
        raise ValueError(value)
    return _text(value).lower()


_A_TEXT: Final = (
    "a text, a number or a truth value (for times there are `before` and `after`, for nothing "
    "`empty`)"
)
_A_NUMBER: Final = "a number (for times there are `before` and `after`)"
_A_TIME: Final = "a day such as 2026-07-01, or a time such as 2026-07-01 12:30+02:00"
OPERATORS: Final[Mapping[str, _Operator]] = {
    "equals": _Operator(_equals, _text, _A_TEXT),
    "one of": _Operator(_one_of, _list, f"a list of 1 to {MAX_VALUES:,} texts or numbers"),
    "like": _Operator(_like, _text, "a text with * and ?"),
    "matches": _Operator(
        _matches, _pattern, "a regular expression without look-around, references and re.VERBOSE"
    ),
    "older than": _Operator(_older_than, _age, "a time such as 30 days or 12 hours"),
    "before": _Operator(_before, _moment, _A_TIME),
    "after": _Operator(_after, _moment, _A_TIME),
    "less than": _Operator(_compare(np.less), _number, _A_NUMBER),
    "at most": _Operator(_compare(np.less_equal), _number, _A_NUMBER),
    "more than": _Operator(_compare(np.greater), _number, _A_NUMBER),
    "at least": _Operator(_compare(np.greater_equal), _number, _A_NUMBER),
    "empty": _Operator(_is_empty, _truth, "true or false"),
}
