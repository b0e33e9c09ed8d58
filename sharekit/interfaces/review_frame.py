"""Decisions in a frame: how a person decides on many rows in pandas, each row by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.columns import NAMED, STR, is_owner_action, list_some, with_unit
from sharekit.core.errors import UsageError
from sharekit.core.fields import INPUT_PREFIX, SHARE_KEY
from sharekit.plans.decisions import check_vaults
from sharekit.plans.selection import INPUT_KEY, names_rows, select_keys
from sharekit.plans.steps import FIELDS
from sharekit.spreadsheets.formats.dataframe import ArrowStream, texts_of
from sharekit.spreadsheets.formats.dtypes import dtype_name, restore
from sharekit.spreadsheets.vocabulary import NO_DECISION, read_decision

#: Columns of decisions, and of a review's rows, -> the part of a decision that they are.
_PLAIN: Final = {name: name for name in FIELDS}
_FILLED: Final = {"decision": "decision", "reason": "reason", "vault": "vault_id"}


def as_frame(given: Any) -> pd.DataFrame | None:
    """Return decisions that are given as records or as another library's table, as a frame.

    None if they are none, but name rows.

    Raises
    ------
    UsageError
        Among records is something else, or they make no table.

    >>> as_frame([{"row_key": 3, "decision": "skip"}]).shape
    (1, 2)
    >>> as_frame([3]) is None
    True
    """
    if isinstance(given, pd.DataFrame):
        return given
    records = isinstance(given, Mapping) or (
        isinstance(given, list | tuple) and any(isinstance(row, Mapping) for row in given)
    )
    table = hasattr(given, "columns") and isinstance(given, ArrowStream)
    if not (records or table):
        return None
    if table:
        given = pa.table(given).to_pylist()
    if not all(isinstance(row, Mapping) for row in given):
        raise UsageError(
            "These are no records: give a list of dicts, each with row_key, decision and reason; "
            "or a DataFrame."
        )
    return pd.DataFrame([dict(row) for row in given])


def read_frame(
    frame: pd.DataFrame, rows: pd.DataFrame, labels: pd.Index | None,
    shown: Callable[[], pd.DataFrame], check: Callable[[pd.DataFrame], object] = len,
) -> pd.DataFrame:  # fmt: skip
    """Return what a frame decides otherwise than it stands, as a step by row key.

    Parameters
    ----------
    frame : DataFrame
        Its rows are named by ``row_key``, as index or column; else by the index of the DataFrame
        that the inventory was read from, under its name; else by ``image_id`` and ``project_id``,
        as columns or levels of the index. An index of numbers without a name may only count lines,
        and is refused. The frame has ``decision``, ``reason`` and ``vault_id`` (or ``vault``, as a
        review's rows), and perhaps columns of ``rows`` or ``shown`` with their values. A missing
        value leaves a part as it stands, and so does the value that is shown.
    rows : DataFrame
        The review's rows.
    labels : Index or None
        The label that each row had in a DataFrame; see :func:`.own_labels`.
    shown : callable
        Returns :meth:`.Review.to_frame`, which is only made for a frame with such columns.
    check : callable
        Raises UsageError if the step lacks a reason.

    Raises
    ------
    UsageError
        Everything that is wrong, at once: words that are no decision, rows that do not exist or are
        there twice, columns that are not known or hold another fact than the review's, reasons.
    """
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise UsageError(f"The frame has the column {twice[0]!r} twice: leave one of them out.")
    parts = _FILLED if "vault" in frame else _PLAIN
    if not set(parts) & set(frame.columns):
        raise UsageError("The frame decides nothing: it needs a column decision, with reason.")
    problems: list[str] = []
    read = {name: _texts(part, frame.get(name), frame.index, problems)
            for name, part in parts.items()}  # fmt: skip
    misread = np.logical_or.reduce([
        (frame[name].notna() & texts.isna()).to_numpy() for name, texts in read.items()
        if name in frame
    ])  # fmt: skip
    frame, keyed_by_share = _keyed(frame.assign(**read)[~misread], rows, labels, problems)
    keys = frame.index.to_numpy()
    now = rows.take(keys)
    facts = frame.drop(columns=[*parts])
    if len(facts.columns):
        problems += _wrong_facts(facts, now, shown().take(keys))
    if keyed_by_share:
        problems += _mixed_roles(now)
    vault = now["vault"] if "vault" in parts else vault_shown(now)
    before = {"decision": now["decision"], "reason": now["reason"], "vault_id": vault}
    step = _difference({part: frame[name] for name, part in parts.items()}, before)
    try:
        check(step)
    except UsageError as error:
        problems.append(str(error))
    if problems:
        raise UsageError(" ".join(dict.fromkeys(problems)))
    return step


def vault_shown(rows: pd.DataFrame) -> pd.Series:
    """Return the vault of each row of a review: the decided one, or else the plan's."""
    return rows["vault"].where(rows["vault"] != "", rows["vault_id"])


# -- which rows ------------------------------------------------------------------------------------
def _keyed(
    frame: pd.DataFrame, rows: pd.DataFrame, labels: pd.Index | None, problems: list[str]
) -> tuple[pd.DataFrame, bool]:
    """Return the frame by row key, and True if its rows were named by their shares.

    Lines that name no row, or one again, are left out, and added to the problems.
    """
    name = "row_key" if labels is None else labels.name
    if "row_key" in frame.columns:
        frame = frame.set_index("row_key")
    if frame.index.name == "row_key" and name != INPUT_KEY:
        return _by_key(frame, rows, problems), False
    others = {*frame.columns} - {*FIELDS, *SHARE_KEY, frame.index.name}
    if labels is not None and labels.name in others:
        frame = frame.set_index(labels.name)  # as other libraries' tables, which have no index
    by_label = labels is not None and names_rows(frame.index, labels)
    if set(SHARE_KEY) <= {*frame.columns, *frame.index.names}:
        if labels is None or not by_label or not _names_shares_of(frame, rows, labels):
            return _by_share(frame, rows, problems), True
        frame = frame.drop(columns=SHARE_KEY)
    if labels is not None and by_label:
        return _by_label(frame, labels, problems), False
    raise UsageError(
        "The frame's index may only count its own lines, so it does not say which rows are meant: "
        f"keep the index {name} of review.to_frame(), or give the frame the columns image_id and "
        "project_id."
    )


def _by_key(frame: pd.DataFrame, rows: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    frame = _first_lines(frame, frame.index, problems)
    try:
        select_keys(frame.index, len(rows))
    except UsageError as error:
        problems.append(str(error))
        frame = frame.iloc[:0].set_axis(rows.index[:0], axis="index")
    return frame


def _by_label(frame: pd.DataFrame, labels: pd.Index, problems: list[str]) -> pd.DataFrame:
    if not labels.is_unique:
        raise UsageError("Labels of the inventory's rows repeat: name rows by row_key instead.")
    frame = _first_lines(frame, frame.index, problems)
    keys = labels.get_indexer(frame.index)
    _note_unknown(frame.index[keys < 0].tolist(), "index label", problems)
    known = keys >= 0
    return frame[known].set_axis(pd.Index(keys[known], name="row_key"), axis="index")


def _names_shares_of(frame: pd.DataFrame, rows: pd.DataFrame, labels: pd.Index) -> bool:
    """Return True if labels and IDs of a frame name the same rows; a share may have several."""
    keys = labels.get_indexer(frame.index) if labels.is_unique else np.array([-1])
    if (keys < 0).any():
        return False
    named, known = (_shares(one).fillna("").to_numpy() for one in (frame, rows.take(keys)))
    return bool((named == known).all())


def _shares(frame: pd.DataFrame) -> pd.DataFrame:
    ids = frame[SHARE_KEY].astype(STR)
    return ids.assign(**{name: ids[name].str.strip().str.lower() for name in SHARE_KEY})


def _by_share(frame: pd.DataFrame, rows: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    levels = [name for name in SHARE_KEY if name not in frame.columns]
    frame = frame.reset_index(level=levels) if levels else frame
    shares = _shares(frame)
    whole = shares.notna().all(axis="columns").to_numpy()
    if missing := int((~whole).sum()):
        problems.append(
            f"{with_unit(missing, 'line')} of the frame without an ID: name every share."
        )
    names = pd.MultiIndex.from_frame(shares[whole])
    frame, shares = (_first_lines(one[whole], names, problems) for one in (frame, shares))
    lines = shares.assign(line=range(len(frame)))
    keyed = _shares(rows).assign(key=rows.index)
    joined = lines.merge(keyed, on=SHARE_KEY, how="left")
    unknown = joined.loc[joined["key"].isna(), SHARE_KEY]
    words = (unknown[SHARE_KEY[0]] + " and " + unknown[SHARE_KEY[1]]).tolist()
    _note_unknown(words, "share of project and image", problems)
    joined = joined.dropna(subset="key")
    # Every row of a share is decided, so also the duplicates that another row carries.
    decided = frame.drop(columns=SHARE_KEY).take(joined["line"].to_numpy())
    return decided.set_axis(pd.Index(joined["key"].astype("int64"), name="row_key"), axis="index")


def _note_unknown(names: list[object], what: str, problems: list[str]) -> None:
    if names:
        problems.append(f"The plan has no row with the {what} {list_some(names)}.")


def _first_lines(frame: pd.DataFrame, names: pd.Index, problems: list[str]) -> pd.DataFrame:
    """Return the first line of each name; that others have it as well is a problem."""
    try:
        again = names.duplicated()
    except TypeError:  # lists and the like, which name no row; pandas 2 cannot compare them
        return frame
    if again.any():
        problems.append(f"The frame decides on {names[again][0]} twice: keep one line for each.")
    return frame[~again] if again.any() else frame


def _mixed_roles(now: pd.DataFrame) -> list[str]:
    owner = pd.Series(is_owner_action(now["asked"]), index=now.index)
    mixed = owner.groupby([now[name] for name in SHARE_KEY]).nunique()
    shares = [" and ".join(share) for share in mixed.index[mixed > 1][:NAMED]]
    if not shares:
        return []
    return [f"Both owner and project act on {', '.join(shares)}: name those rows by row_key."]


# -- what is decided -------------------------------------------------------------------------------
def _difference(texts: dict[str, pd.Series], before: dict[str, pd.Series]) -> pd.DataFrame:
    changed = {part: texts[part].notna() & (texts[part] != before[part]) for part in FIELDS}
    step = pd.DataFrame({part: texts[part].where(changed[part]) for part in FIELDS})
    # The reason that stands belongs to the decision that stands, and not to another one.
    step["reason"] = step["reason"].mask(changed["decision"] & ~changed["reason"], "")
    return step[step.notna().any(axis="columns")].astype(STR).sort_index()


def _texts(part: str, values: pd.Series | None, lines: pd.Index, problems: list[str]) -> pd.Series:
    """Return a part of each decision; what is wrong with it is missing, and a problem."""
    if values is None:
        return pd.Series(None, index=lines, dtype=STR)
    given = values.notna()
    is_text = given if values.dtype == STR else (
        values.astype("object").map(lambda value: isinstance(value, str)).astype(bool)
    )  # fmt: skip
    problem = NO_DECISION if part == "decision" else f"is no text, so it is no {part}"
    wrong = [f"{value!r:.80} {problem}." for value in values[given & ~is_text][:NAMED]]
    meanings: dict[str, str | None] = {}
    for word in values[is_text].unique():
        try:
            meanings[word] = _meaning(part, word)
        except UsageError as error:
            meanings[word] = None
            wrong.append(str(error))
    problems += wrong[:NAMED]
    return values.where(is_text).map(meanings).astype(STR)


def _meaning(part: str, word: str) -> str:
    if part == "decision":
        return read_decision(word)
    if part == "vault_id":
        check_vaults(pd.Series([word.strip()], dtype=STR))
    return word.strip()


def _wrong_facts(facts: pd.DataFrame, *shown: pd.DataFrame) -> list[str]:
    """Name what would be ignored: unknown columns, and facts that differ from those shown."""
    known = {name for frame in shown for name in frame.columns}
    unknown = [name for name in facts.columns if name not in known]
    problems = [
        f"The columns {', '.join(map(str, unknown))} decide nothing: a frame of decisions has "
        "decision, reason and vault_id, or the columns of review.to_frame(). Leave them out."
    ] * bool(unknown)
    for name in facts.columns.difference(unknown, sort=False):
        differs = np.logical_and.reduce(
            [
                _differ(facts[name], frame[fact])
                for frame in shown
                for fact in (name, f"{INPUT_PREFIX}{name}")
                if fact in frame
            ]
        )
        if differs.any():
            keys = ", ".join(str(key) for key in facts.index[differs][:NAMED])
            problems.append(
                f"The column {name} differs from the review's (row_key {keys}), and is not read: "
                "decide in the columns decision, reason and vault_id, and leave the others as they "
                "are."
            )
    return problems


def _differ(given: pd.Series, fact: pd.Series) -> NDArray[np.bool_]:
    """Return True for each value that is another, whatever a file made of its dtype or case."""
    texts, known = texts_of(given), pc.utf8_lower(texts_of(fact))
    values = restore(pd.Series(pd.array(texts, dtype=STR)), dtype_name(fact))
    both = [pc.not_equal(pc.utf8_lower(one), known) for one in (texts, texts_of(values))]
    differs: NDArray[np.bool_] = np.asarray(pc.and_(*both), dtype=bool)
    return differs
