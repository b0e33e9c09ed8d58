"""A person looks at the plan and may decide otherwise, row by row, before anything is sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from . import frames
from .display import table
from .errors import PlanError, UsageError
from .ledger import Ledger
from .planning import Plan, load, load_from, replan
from .spreadsheets import read_review, write_review

_VIEW = ["file", "sheet", "row", "image_id", "project_id", "status", "vault_id"]
_MORE = ["name", "owner", "before", "disposition", "findings"]


@dataclass(frozen=True, eq=False, repr=False)
class Review:
    """A plan as a reviewer sees it.

    Attributes
    ----------
    plan : Plan
        The plan, with the decisions that were taken.
    frame : DataFrame
        Indexed by ``row_key``: ``file, sheet, row, image_id, project_id, status, vault_id, name,
        owner, before, disposition, findings`` (the last: rule names, joined).
    changes : DataFrame
        Every decision taken so far: ``decision`` (accept, reject, skip), ``reason``, indexed by
        ``row_key``.
    """

    plan: Plan
    frame: pd.DataFrame
    changes: pd.DataFrame

    def __repr__(self) -> str:
        return f"<Review of {self.plan!r}: {len(self.changes):,} rows decided otherwise>"

    def _repr_html_(self) -> str:
        return table(self.frame, title=repr(self)[1:-1])


def review(
    plan: Plan | str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    take: str | PathLike[str] | None = None,
    reviewer: str = "",
) -> Review:
    """Show a plan for review; write it out as an Excel sheet, or take the decisions back in.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    out : path, optional
        A new workbook with a ``decision`` for each row: as planned, accept, reject or skip.
    take : path, optional
        Such a workbook, decided. The plan is made anew with it, under a new fingerprint, and an
        earlier approval is void.
    reviewer : str, optional
        Who decided, for the report.

    Raises
    ------
    InputError
        The workbook exists already (``out``), belongs to another plan, or an ID in it was changed.
    PlanError
        Requests were sent already, so the plan is fixed.

    Examples
    --------
    >>> review("run.ledger", out="review.xlsx")  # doctest: +SKIP
    >>> review("run.ledger", take="review.xlsx", reviewer="Ada")  # doctest: +SKIP
    """
    if out is not None and take is not None:
        raise UsageError("A review sheet is either written or taken, not both at once.")
    path = plan.path if isinstance(plan, Plan) else Path(plan)
    if take is not None:
        _take(path, Path(take), reviewer)
    current = load(path)
    frame = view(current)
    if out is not None:
        write_review(frame, out, fingerprint=current.fingerprint)
    with Ledger.open(path) as book:
        return Review(current, frame, decisions(book))


def view(plan: Plan) -> pd.DataFrame:
    """Every row of a plan as a reviewer sees it; see :attr:`Review.frame`."""
    found = plan.findings.frame
    found = found[(found["row_key"] >= 0) & found["severity"].isin(["error", "warning", "repair"])]
    texts = (found["rule"] + ": " + found["message"]).groupby(found["row_key"]).agg("; ".join)
    rows = plan.rows.copy()
    for name in ("file", "sheet"):
        rows[name] = plan.findings.inventory.rows[name].astype("str")
    rows["findings"] = texts.reindex(rows.index).fillna("").astype("str")
    return rows[[*_VIEW, *_MORE]]


def decisions(book: Ledger) -> pd.DataFrame:
    """Every decision that was taken: ``decision``, ``reason``; the last word on a row counts."""
    parts = [frames.from_bytes(book.get(event.body["blob"])) for event in book.events("reviewed")]
    if not parts:
        none = pd.DataFrame({name: pd.Series(dtype="str") for name in ("decision", "reason")})
        return none.rename_axis("row_key")
    both = pd.concat(parts)
    return both[~both.index.duplicated(keep="last")].sort_index()


def _take(path: Path, sheet: Path, reviewer: str) -> None:
    with Ledger.open(path, write=True) as book:
        if book.last("intent") is not None:
            raise PlanError(
                f"{path}: requests were sent already, so the plan can no longer change."
            )
        current = load_from(book)
        taken = read_review(sheet, view(current), fingerprint=current.fingerprint)
        if taken.empty:
            return
        taken.index.name = "row_key"
        with book.transaction():
            book.append(
                "reviewed",
                {
                    "reviewer": reviewer,
                    "file": sheet.name,
                    "sha256": hashlib.sha256(sheet.read_bytes()).hexdigest(),
                    "decisions": len(taken),
                    "of": current.fingerprint,
                    "blob": book.put(frames.to_bytes(taken), frames.MEDIA_TYPE),
                },
            )
            replan(book, decisions(book))
