"""A ledger under review as it stands now: rows, numbers, requests. It looks; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sharekit.core.actions import ACTIONS, DECISIONS, OWNER_ACTIONS
from sharekit.core.columns import describe_amount, is_owner_action
from sharekit.ledger.ledger import Ledger
from sharekit.plans import approval, decisions
from sharekit.plans.plan import Plan, load_from
from sharekit.runs.run import Run, status

from . import review_rows
from .review_filters import Page, Places, Query, cut, select


class View:
    """A plan with the decisions taken so far, read from its ledger when it is asked for.

    Attributes
    ----------
    path : Path
        The ledger.
    demand : Demand
        How many have to approve it, and whose signatures it takes.
    """

    def __init__(
        self, plan: Plan | str | PathLike[str], demand: approval.Demand | None = None
    ) -> None:
        self.path = plan.path if isinstance(plan, Plan) else Path(plan)
        self.demand = demand or approval.Demand()
        self._given = plan if isinstance(plan, Plan) else None
        self._found: tuple[Query, Places] | None = None
        self._run: tuple[str, Run] | None = None
        with Ledger.open(self.path) as book:
            self._mark = _mark(book)

    # -- what there is ---------------------------------------------------------------------------
    @cached_property
    def plan(self) -> Plan:
        """The plan as the ledger holds it; newer decisions are not in it (see :attr:`stale`)."""
        with Ledger.open(self.path) as book:
            said = approval.planned(book)
            given, self._given = self._given, None
            # The very plan that is recorded last need not be read again.
            if given is not None and book.last("reviewed") is None and _is(given, said, book):
                return given
            return load_from(book)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """Every decision that holds: ``decision, reason, vault_id``, indexed by ``row_key``."""
        with Ledger.open(self.path) as book:
            return decisions.decisions(book)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every row, indexed by ``row_key``, with what was decided so far.

        ``file, sheet, row, image_id, project_id, status, vault_id, name, owner, before,
        disposition, findings`` as the plan has them; ``asked`` (the inventory's own decision),
        ``decision, reason, vault`` (the reviewer's), ``by`` (who that is), ``wanted`` (accept,
        reject or skip, as it stands now) and ``state`` (the disposition with these decisions, as
        far as they alone say).
        """
        with self._looking() as book:
            return review_rows.frame(self.plan, self.changes, decisions.deciders(book))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by what becomes of them, as decided now; images, chunks and calls as planned."""
        return review_rows.counts(self.plan, self.by_project)

    @cached_property
    def by_project(self) -> pd.Series:
        """How many rows by ``project_id, state, wanted``."""
        return self.frame.groupby(["project_id", "state", "wanted"]).size()

    @property
    def stage(self) -> str:
        """Where it stands: ``deciding, approving, approved, sending`` or ``finished``.

        ``approving`` is approved by some, and not by all that have to; ``sending`` is begun, and
        not at its end.
        """
        with self._looking() as book:
            if book.last("finished") is not None:
                return "finished"
            if book.last("submitting") is not None:
                return "sending"
            said = approval.planned(book)["fingerprint"]
            if not approval.approvals_of(book, said):
                return "deciding"
            return "approving" if approval.missing(book, said, self.demand) else "approved"

    @property
    def approvals(self) -> list[approval.Approval]:
        """Who has approved this very plan; whether that is enough, :attr:`stage` says."""
        with self._looking() as book:
            return approval.approvals_of(book, approval.planned(book)["fingerprint"])

    @property
    def planner(self) -> str:
        """Who made the plan and so may not approve it; ``""`` if that was not said."""
        with self._looking() as book:
            return str(approval.planned(book)["settings"].get("planner", ""))

    @property
    def stale(self) -> int:
        """How many steps of deciding the plan does not hold yet; :meth:`remake` takes them in."""
        with self._looking() as book:
            return approval.stale(book)

    @property
    def steps(self) -> int:
        """How many steps :meth:`undo` can take back."""
        with self._looking() as book:
            return decisions.steps_of(book)

    def page(self, query: Query | None = None, number: int = 0, size: int = 20) -> Page:
        """Rows ``number * size`` and following of those that a query finds.

        >>> review("run.ledger").page(Query(finding="any")).rows  # doctest: +SKIP
        """
        places = self.find(query or Query())
        number, pages, shown = cut(places, number, size)
        return Page(self.frame.take(shown), number, pages, len(places))

    def find(self, query: Query) -> Places:
        """Positions (and so keys) of the rows that a query finds, in its order; kept until then."""
        if self._found is None or self._found[0] != query:
            self._found = (query, select(self.frame, query))
        return self._found[1]

    def other_side(self, query: Query, decision: str) -> Places:
        """Those of the rows that a query finds for which a decision is not theirs to take.

        An owner shares and takes back, the project it is shared with accepts and rejects.
        """
        places = self.find(query)
        if decision not in DECISIONS:
            return places[:0]
        asked = self.frame["asked"].take(places)
        owners = DECISIONS[decision] in OWNER_ACTIONS
        return places[(asked.isin(ACTIONS) & (is_owner_action(asked) != owners)).to_numpy()]

    def row(self, key: int) -> dict[str, Any]:
        """All about one row: ``facts``, ``input`` (original columns), ``findings``, ``request``."""
        return review_rows.row(self.plan, self.frame, key)

    def full_images(self, rows: Sequence[int] | Places) -> Places:
        """Return those of some rows, by key, whose image is a whole server and so takes a vault."""
        keys = np.asarray(rows, dtype="int64")
        whole = (self.plan.rows["whole_image"].take(keys) == "true").to_numpy()
        return np.asarray(keys[whole], dtype="int64")

    def vaults(self, project_id: str) -> pd.DataFrame:
        """Return a project's vaults that can take a full-ECS image: ``vault_id, name, free``."""
        return review_rows.vaults(self.plan, project_id)

    @property
    def phrase(self) -> str:
        """What a person has to write to approve; it holds the number of images, or shares."""
        return f"send {self.to_send}".replace(",", "")

    @property
    def to_send(self) -> str:
        """How much the plan would send, as in ``12 images``; where owners act, ``12 shares``."""
        return describe_amount(self.plan.chunks["status"], self.counts["images"])

    # -- what will be sent ---------------------------------------------------------------------
    def requests(self, chunk: int) -> list[dict[str, Any]]:
        """Return the requests of a chunk: ``chunk, method, url, body``."""
        return list(self.plan.requests(chunk))

    def curl(self, chunk: int) -> str:
        """Return a chunk's requests for the shell; the token is the caller's own variable."""
        return review_rows.curl(self.requests(chunk))

    def not_sent(self) -> pd.DataFrame:
        """Count the rows that the plan does not send: ``disposition, why, rows``."""
        return review_rows.not_sent(self.frame)

    # -- the run -----------------------------------------------------------------------------------
    def status(self) -> Run:
        """Where the run stands, by its ledger; read anew when that has changed."""
        with self._looking() as book:
            head = book.head
        if self._run is None or self._run[0] != head:
            self._run = (head, status(self.path))
        return self._run[1]

    def outcomes(self, outcome: str, number: int = 0, size: int = 20) -> Page:
        """Rows of the run with an outcome, a page at a time.

        ``file, sheet, row, image_id, project_id, name, status, vault_id, code, reason, before,
        claimed, observed, last_chunk, job_id``.

        >>> review("run.ledger").outcomes("contradicted").rows  # doctest: +SKIP
        """
        return review_rows.outcomes(self.status(), outcome, number, size)

    def report(self, *paths: str | PathLike[str]) -> list[Path]:
        """Make reports of the run; as :func:`sharekit.report`."""
        # Loaded when it is wanted: the pictures' library takes its time.
        from sharekit.reports.report import report  # noqa: PLC0415

        return report(self.path, *paths)

    def refresh(self) -> bool:
        """Look whether anything else has written into the ledger; returns whether it has.

        What is costly to read is read anew only if that has changed: not while a run goes on.
        """
        with self._looking() as book:
            mark = _mark(book)
        if mark == self._mark:
            return False
        known = self._mark
        names = ["changes"] * (mark.decided != known.decided)
        names += ["plan"] * (mark.planned != known.planned)
        self._forget(*names, *(_MADE if names else ()))
        return True

    def _looking(self) -> AbstractContextManager[Ledger]:
        # Its chain was proved when the review was opened, and is again by whoever writes.
        return Ledger.open(self.path, checked=False)

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)
        self._found = None
        with self._looking() as book:
            self._mark = _mark(book)


#: What is made of the plan and the changes.
_MADE = ("frame", "counts", "by_project")


@dataclass(frozen=True)
class _Mark:
    """How far a ledger was seen: its head, and the numbers of the latest such events."""

    head: str
    planned: int
    decided: int


def _mark(book: Ledger) -> _Mark:
    latest = {kind: book.last(kind) for kind in ("planned", "reviewed", "decided", "undone")}
    seqs = {kind: event.seq if event else 0 for kind, event in latest.items()}
    planned = seqs.pop("planned")
    return _Mark(book.head, planned, max(seqs.values()))


def _is(plan: Plan, said: Mapping[str, Any], book: Ledger) -> bool:
    """Whether a plan is the one that the ledger recorded last: nothing was decided in between."""
    return plan.fingerprint == said["fingerprint"] and len(book.events("planned")) == 1
