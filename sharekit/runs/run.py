"""Where a run stands: every row with its outcome, computed from the ledger's events alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from sharekit.checks.check import first_errors
from sharekit.core import shapes
from sharekit.core.columns import roles
from sharekit.core.error_codes import FORBIDDEN_CODES
from sharekit.core.html import table
from sharekit.core.outcomes import FINAL_OK, OUTCOMES
from sharekit.ledger import parquet
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.schema import OUTCOME_COLUMNS
from sharekit.plans.chunks import members
from sharekit.plans.plan import Plan, load, load_from

from .outcomes import settle, totals
from .request_log import History

#: What names a share, and an act on it or a view of it.
KEY = ["project_id", "image_id"]
SIDED = [*KEY, "side"]
_LOOKS = [*SIDED, "before", "outcome", "code", "reason", "moved"]


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A run as its ledger tells it.

    Attributes
    ----------
    path : Path
        The ledger.
    plan : Plan
        What was planned.
    rows : DataFrame
        Indexed by ``row_key``: ``outcome, code, reason, before, claimed, observed, last_chunk,
        job_id, request_id`` (str), one line per input row.
    counts : dict
        Outcome to number of rows; every name of :data:`sharekit.core.outcomes.OUTCOMES`.
    requests : dict
        ``submit, poll, read, retried`` to how many there were.
    finished : bool
        Whether no row can change by submitting again.
    stopped : str
        Why the last call ended early, if it did.
    moved : DataFrame
        Rows whose state changed between plan and submission: ``before``, ``moved`` (the state at
        planning), indexed by ``row_key``.
    history : History
        Every request.
    """

    path: Path
    plan: Plan
    rows: pd.DataFrame
    counts: dict[str, int]
    requests: dict[str, int]
    finished: bool
    stopped: str
    moved: pd.DataFrame
    history: History

    @property
    def summary(self) -> dict[str, Any]:
        """``rows, outcomes, chunks, requests, fingerprint, finished``, for scripts."""
        return {
            "rows": len(self.rows),
            "outcomes": self.counts,
            "chunks": len(self.plan.chunks),
            "requests": self.requests,
            "fingerprint": self.plan.fingerprint,
            "finished": self.finished,
        }

    @property
    def good(self) -> bool:
        """Whether every planned row ended ``confirmed`` or ``already``."""
        planned = self.plan.rows["disposition"] == "planned"
        return bool(self.rows.loc[planned, "outcome"].isin(["confirmed", "already"]).all())

    @property
    def denied(self) -> bool:
        """Whether every planned row failed because the caller has no right to decide it."""
        rows = self.rows[self.plan.rows["disposition"] == "planned"]
        return len(rows) > 0 and bool(rows["code"].isin(FORBIDDEN_CODES).all())

    def outcome_lines(self) -> Iterator[tuple[object, ...]]:
        """Every row as the ledger stores it."""
        return parquet.lines(self.rows.reset_index(), OUTCOME_COLUMNS)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{n:,} {name}" for name, n in self.counts.items() if n)
        return f"<Run: {numbers}{'' if self.finished else '; unfinished'}>"

    def _repr_html_(self) -> str:
        told = [(n, number, OUTCOMES[n].meaning) for n, number in self.counts.items() if number]
        shown = table(pd.DataFrame(told, columns=["outcome", "rows", "meaning"]),
                      title=repr(self)[1:-1])  # fmt: skip
        bad = self.rows[~self.rows["outcome"].isin(FINAL_OK)]
        ids = self.plan.rows.loc[bad.index, ["image_id", "project_id"]]
        columns = ["outcome", "code", "reason", "before", "claimed", "observed"]
        rest = ids.join(bad[columns])
        return shown + (table(rest, title="Rows to look at", limit=10) if len(bad) else "")


def status(ledger: Plan | str | PathLike[str]) -> Run:
    """Tell where a run stands, also while another process is submitting it.

    Raises
    ------
    LedgerError
        If there is no such ledger, or it is damaged.

    Examples
    --------
    >>> status("run.ledger").counts  # doctest: +SKIP
    """
    path = ledger.path if isinstance(ledger, Plan) else Path(ledger)
    with Ledger.open(path) as book:
        return load_run(book)


def clouds_of(path: str | PathLike[str]) -> list[str]:
    """The names of the clouds that the plan was made with, as clouds.yaml calls them."""
    seen = load(path).findings.snapshot
    return [] if seen is None else [str(name) for name in seen.projects["cloud"].unique()]


def is_finished(path: str | PathLike[str]) -> bool:
    """As :func:`finished`, of a ledger that is not open."""
    with Ledger.open(Path(path)) as book:
        return finished(book)


def load_run(book: Ledger, plan: Plan | None = None, history: History | None = None) -> Run:
    """As :func:`status`, from an open ledger; what the caller has read from it is not read anew."""
    plan = plan or load_from(book)
    history = history or History(members(plan.rows), book.each())
    looks = _looks(book)
    rows = settle(
        plan.rows,
        first_errors(plan.findings),
        history,
        looks.drop(columns="moved"),
        _observed(book),
    )
    stopped = book.events("submitting", "stopped")[-1:]
    return Run(
        path=book.path,
        plan=plan,
        rows=rows,
        counts=totals(rows["outcome"], OUTCOMES),
        requests=history.requests,
        finished=finished(book),
        stopped=str(stopped[0].body["why"]) if stopped and stopped[0].kind == "stopped" else "",
        moved=_moved(plan.rows, looks),
        history=history,
    )


def undoes(book: Ledger) -> bool:
    """Whether a run takes another one back."""
    first = book.last("created")
    return first is not None and str(first.body.get("follows as", "")).startswith("undo of ")


def finished(book: Ledger) -> bool:
    """Whether nothing is left to do: the ledger itself says so."""
    return book.last("finished") is not None


def observed_states(book: Ledger) -> dict[tuple[str, str, str], str]:
    """The last state that reading back showed, by project, image and side."""
    frame = _observed(book)
    keys = zip(*(frame[name] for name in SIDED), strict=True)
    return dict(zip(keys, frame["state"], strict=True))


def _observed(book: Ledger) -> pd.DataFrame:
    return _gathered(book, "observed", [*SIDED, "state"], shapes.STATES)


def _looks(book: Ledger) -> pd.DataFrame:
    return _gathered(book, "looked", _LOOKS, shapes.LOOKS)


def _gathered(book: Ledger, kind: str, columns: list[str], shape: shapes.Shape) -> pd.DataFrame:
    """What several events tell of shares; the last word on each counts."""
    blobs = [event.body["blob"] for event in book.events(kind)]
    parts = [parquet.from_bytes(book.get(blob), shape) for blob in blobs]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="str") for name in columns})
    both = pd.concat(parts, ignore_index=True)[columns]
    return both.drop_duplicates(SIDED, keep="last", ignore_index=True)


def _moved(rows: pd.DataFrame, looks: pd.DataFrame) -> pd.DataFrame:
    moved = looks[looks["moved"] != ""]
    # Few have moved: only rows of their images are looked at further.
    maybe = (rows["disposition"] == "planned") & rows["image_id"].isin(moved["image_id"])
    planned = rows.loc[maybe, KEY].assign(side=roles(rows.loc[maybe, "status"])).reset_index()
    return planned.merge(moved, on=SIDED).set_index("row_key")[["before", "moved"]]
