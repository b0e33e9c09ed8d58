"""Two looks at the clouds, and what has changed between them."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sharekit.clouds.state.survey import Survey
from sharekit.core import audit_results, shapes
from sharekit.core.actions import ABSENT, MEMBER_STATES, PENDING
from sharekit.core.errors import LedgerError
from sharekit.ledger import parquet
from sharekit.ledger.ledger import Ledger
from sharekit.runs.run import load_run

from .storage import read_survey

KEY: Final = ["project_id", "image_id"]
_THEN: Final = [*KEY, "state", "result", "seen_by", "owner", "name"]
#: The columns of what has changed, in order. Scripts depend on them.
COLUMNS: Final = (
    "change", "project_id", "image_id", "was", "now", "result_was", "result_now", "name", "owner",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Earlier:
    """An earlier look.

    Attributes
    ----------
    name : str
        The file it was read from, without its folder.
    kind : str
        ``audit`` or ``run``.
    at : str
        When it was taken: UTC, ISO 8601.
    head : str
        The head of its ledger.
    shares : DataFrame
        ``project_id, image_id, state, result, seen_by, owner, name`` (str): what it showed.
    whole : tuple of str
        The projects of which it shows every share that there was; a run has none.
    owners : tuple of str
        The projects of which it shows everything they shared out.
    """

    name: str
    kind: str
    at: str
    head: str
    shares: pd.DataFrame
    whole: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    def record(self, book: Ledger) -> None:
        """Write it into the ledger of the audit that was compared with it."""
        said = {n: getattr(self, n) for n in ("name", "kind", "at", "head", "whole", "owners")}
        blob = book.put(parquet.to_bytes(self.shares), parquet.MEDIA_TYPE)
        book.append("compared", {**said, "blob": blob})

    @classmethod
    def load(cls, book: Ledger) -> Earlier | None:
        """Read it back from that ledger; None if there was no comparison."""
        event = book.last("compared")
        if event is None:
            return None
        said = dict(event.body)
        shares = parquet.from_bytes(book.get(said.pop("blob")), shapes.EARLIER)
        whole, owners = tuple(said.pop("whole")), tuple(said.pop("owners"))
        text = {name: said[name] for name in ("name", "kind", "at", "head")}
        return cls(**text, shares=shares, whole=whole, owners=owners)


def earlier(path: str | PathLike[str]) -> Earlier:
    """Read an earlier look from the ledger of an audit, or of a run.

    Raises
    ------
    LedgerError
        If there is no such ledger, it is damaged, or it holds neither.
    """
    if not Path(path).exists():
        raise LedgerError(
            f"{path}: there is no such ledger. `sharekit audit … -o NAME.ledger` keeps one to "
            "compare with."
        )
    with Ledger.open(Path(path)) as book:
        name = Path(path).name
        if (said := book.last("audited")) is not None:
            rows = parquet.from_bytes(book.get(said.body["rows_blob"]), shapes.AUDIT)
            seen = read_survey(book)
            return of_audit(name, book.head, rows, seen)
        run = load_run(book)
        last = book.last()
        at = last.at if last else ""
        return Earlier(name, "run", at, book.head, _of_run(run.plan.rows, run.rows))


def of_audit(name: str, head: str, rows: pd.DataFrame, seen: Survey) -> Earlier:
    """Make an earlier look of an audit's rows."""
    shares = shown(rows)
    return Earlier(
        name,
        "audit",
        seen.taken_at,
        head,
        shares,
        tuple(seen.complete_projects),
        tuple(seen.complete_owners),
    )


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each share of an audit's rows once, with what was said of it (``_THEN``)."""
    of = rows[rows["observed"] != ""].rename(columns={"observed": "state"})
    # Of several rows of one share, one that carries the others speaks.
    rank = of["result"].isin(["duplicate", "faulty"]).astype("int8")
    order = np.argsort(rank.to_numpy(), kind="stable")
    return of[_THEN].take(order).drop_duplicates(KEY, ignore_index=True)


def _of_run(planned: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    state = outcomes["observed"].where(outcomes["observed"] != "", outcomes["before"])
    of = planned[[*KEY, "status", "owner", "name"]].assign(state=state, seen_by="project")
    of = of[of["state"] != ""].drop_duplicates(KEY, ignore_index=True)
    of["result"] = np.select(
        [of["state"] == of["status"], of["state"] == PENDING, of["state"] == ABSENT],
        ["agrees", "undecided", "absent"],
        "differs",
    )
    return of[_THEN].astype("str")


def changes_since(before: Earlier | None, rows: pd.DataFrame, seen: Survey) -> pd.DataFrame:
    """Return what changed between an earlier look and an audit's rows (:data:`COLUMNS`, str).

    A share counts as new only if the earlier look would have shown it, and as gone only if this
    one would.
    """
    if before is None:
        return pd.DataFrame(columns=list(COLUMNS), dtype="str")
    both = before.shares.merge(shown(rows), on=KEY, how="outer", suffixes=("_was", "_now"))
    both = both.astype("str").fillna("")
    was, now = (both[f"state_{end}"].isin(MEMBER_STATES) for end in ("was", "now"))
    known = both["state_was"] != ""
    known |= both["project_id"].isin(before.whole) | both["owner_now"].isin(before.owners)
    looked = both["project_id"].isin(seen.complete_projects)
    looked |= (both["seen_by_was"] == "owner") & both["owner_was"].isin(seen.complete_owners)
    moved = was & now & (both["state_was"] != both["state_now"])
    same = was & now & ~moved
    agreed, agrees = (both[f"result_{end}"].isin(audit_results.GOOD) for end in ("was", "now"))
    undecided = both["state_was"] == PENDING
    both["change"] = np.select(
        [
            ~was & now & known,
            was & ~now & looked,
            was & ~now,
            moved & undecided,
            moved & (both["state_now"] == PENDING),
            moved,
            same & ~agreed & agrees,
            same & agreed & ~agrees,
        ],
        ["newly-shared", "gone", "not-told", "decided", "undecided-again",
         "decided-otherwise", "now-agrees", "now-drifts"],
        "",
    )  # fmt: skip
    both = both[both["change"] != ""]
    for name in ("name", "owner"):
        both[name] = both[f"{name}_now"].where(both[f"{name}_now"] != "", both[f"{name}_was"])
    both = both.rename(columns={"state_was": "was", "state_now": "now"})
    order = both["change"].map({name: rank for rank, name in enumerate(audit_results.CHANGES)})
    both = both.iloc[np.argsort(order.to_numpy(), kind="stable")]
    return both[list(COLUMNS)].reset_index(drop=True).astype("str")
