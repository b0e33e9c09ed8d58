"""A review in several sheets, one for each person: the rows split by the values of a column."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Final

import pandas as pd

from sharekit.core.columns import STR
from sharekit.core.errors import InputError, UsageError
from sharekit.core.files import file_names
from sharekit.plans.plan import Plan
from sharekit.plans.policies.policy import find_column
from sharekit.plans.policies.steps import policy_rows
from sharekit.spreadsheets.writing.review_sheet import write_review

#: Nobody hands out more sheets; a column of IDs of images has a value for each row.
MAX_SHEETS: Final = 500
#: What a column may be called for short.
_SHORT: Final = {"project": "project_id", "image": "image_id", "vault": "vault_id"}


def write_sheets(
    rows: pd.DataFrame, plan: Plan, folder: str | PathLike[str], split_by: str
) -> dict[str, Path]:
    """Write a review sheet for each value of a column; see :meth:`.Review.write_sheets`."""
    if not isinstance(split_by, str):
        raise UsageError(f"{split_by!r:.80} names no column: split by one, such as 'owner'.")
    values = _column(rows, plan, split_by).str.strip()
    codes, distinct = pd.factorize(values, sort=True)
    if len(distinct) > MAX_SHEETS:
        raise UsageError(
            f"The column {split_by} has {len(distinct):,} values, and at most {MAX_SHEETS} sheets "
            "are written: split by a column with fewer."
        )
    target = Path(folder)
    names = file_names(map(str, distinct), "review-{}.xlsx")
    paths = {value: target / name for value, name in zip(map(str, distinct), names, strict=True)}
    if taken := [path for path in paths.values() if path.exists()]:
        raise InputError(
            f"{taken[0]} exists already, so no sheet is written: choose another folder."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target} is no folder, and cannot be made: {error.strerror}.") from error
    for code, path in enumerate(paths.values()):
        write_review(rows[codes == code], path, fingerprint=plan.fingerprint)
    return paths


def _column(rows: pd.DataFrame, plan: Plan, name: str) -> pd.Series:
    """Return a column of the review's rows, or of the input, as texts."""
    facts = policy_rows(plan)
    own = [column for column in facts.columns if column not in rows.columns]
    together = pd.concat([rows, facts[own]], axis="columns")
    wanted = name if name in together.columns else _SHORT.get(name.strip().lower(), name)
    column = find_column(wanted, together, "The sheets")
    return together[column].astype(STR).fillna("")
