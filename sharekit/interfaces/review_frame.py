"""Decisions in a frame: how a person decides on many rows in pandas, each row by itself."""

from __future__ import annotations

from typing import Final

import pandas as pd

from sharekit.core.columns import STR
from sharekit.core.errors import UsageError
from sharekit.core.vocabulary import NO_DECISION, read_decision
from sharekit.plans.decisions import check_vaults
from sharekit.plans.selection import select_keys
from sharekit.plans.steps import FIELDS

#: Columns of a review's rows that a reviewer fills -> the part of a decision that they are.
_FILLED: Final = {"decision": "decision", "reason": "reason", "vault": "vault_id"}
#: Rows that an error names.
_NAMED: Final = 3


def read_frame(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what a frame decides otherwise than it stands, as a step by row key.

    Parameters
    ----------
    frame : DataFrame
        Indexed by ``row_key``, or with such a column. Either a review's rows, all or some, with
        other values in ``decision``, ``reason`` and ``vault``; or a frame of ``decision``,
        ``reason`` and ``vault_id`` alone. A missing value leaves a part as it stands.
    rows : DataFrame
        The review's rows.

    Raises
    ------
    UsageError
        A word is no decision, a row does not exist or is there twice, a column is not known, or
        holds another fact than the review's.
    """
    if "row_key" in frame.columns:
        frame = frame.set_index("row_key")
    keys = select_keys(frame.index, len(rows))
    if len(keys) != len(frame):
        raise UsageError("The frame decides on some row twice: keep one line for each row_key.")
    alone = set(frame.columns) <= set(FIELDS)
    parts = {name: name for name in FIELDS} if alone else _FILLED
    if not set(parts) & set(frame.columns):
        raise UsageError("The frame decides nothing: it needs a column decision, with reason.")
    now = rows.take(frame.index.to_numpy())
    if not alone:
        _check_facts(frame, now)
    columns = {part: frame.get(name) for name, part in parts.items()}
    before = {part: now[name] for name, part in _FILLED.items()}
    return _difference(columns, before, frame.index.rename("row_key"))


def _difference(
    columns: dict[str, pd.Series | None], before: dict[str, pd.Series], keys: pd.Index
) -> pd.DataFrame:
    texts = {part: _texts(part, values, keys) for part, values in columns.items()}
    texts["decision"] = _decisions(texts["decision"])
    check_vaults(texts["vault_id"].dropna())
    changed = {part: texts[part].notna() & (texts[part] != before[part]) for part in FIELDS}
    step = pd.DataFrame({part: texts[part].where(changed[part]) for part in FIELDS}, index=keys)
    # The reason that stands belongs to the decision that stands, and not to another one.
    step["reason"] = step["reason"].mask(changed["decision"] & ~changed["reason"], "")
    return step[step.notna().any(axis="columns")].astype(STR).sort_index()


def _texts(part: str, values: pd.Series | None, keys: pd.Index) -> pd.Series:
    if values is None:
        return pd.Series(None, index=keys, dtype=STR)
    known = values.dropna()
    if known.dtype != STR and not known.map(lambda value: isinstance(value, str)).all():
        wrong = next(value for value in known if not isinstance(value, str))
        problem = NO_DECISION if part == "decision" else f"is no text, so it is no {part}"
        raise UsageError(f"{wrong!r:.80} {problem}.")
    return values.astype(STR) if part == "decision" else values.astype(STR).str.strip()


def _decisions(words: pd.Series) -> pd.Series:
    return words.map({word: read_decision(word) for word in words.dropna().unique()}).astype(STR)


def _check_facts(frame: pd.DataFrame, now: pd.DataFrame) -> None:
    """Refuse what would be ignored: unknown columns, and facts that differ from the review's."""
    unknown = [str(name) for name in frame.columns if name not in now.columns]
    if unknown:
        raise UsageError(
            f"The columns {', '.join(unknown)} decide nothing: a frame of decisions has decision, "
            "reason and vault_id, or the columns of review.rows. Leave them out."
        )
    for name in frame.columns.difference([*_FILLED], sort=False):
        differs = (frame[name].astype(STR) != now[name].astype(STR)).to_numpy()
        if differs.any():
            keys = ", ".join(str(key) for key in frame.index[differs][:_NAMED])
            raise UsageError(
                f"The column {name} differs from the review's (row_key {keys}), and is not read: "
                "decide in the columns decision, reason and vault, and leave the others as they "
                "are."
            )
