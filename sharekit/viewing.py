"""A ledger under review as it stands now: rows, numbers, requests. It looks; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from . import approval, reviewing, standing
from .ledger import Ledger
from .planning import Plan, load_from
from .run import Run, status
from .selection import Places, Query, select


@dataclass(frozen=True, eq=False)
class Page:
    """One page of a review's table: ``rows``, its ``number`` from 0, and how many there are."""

    rows: pd.DataFrame
    number: int
    pages: int
    found: int


class View:
    """A plan with the decisions taken so far, read from its ledger when it is asked for.

    Attributes
    ----------
    path : Path
        The ledger.
    """

    def __init__(self, plan: Plan | str | PathLike[str]) -> None:
        self.path = plan.path if isinstance(plan, Plan) else Path(plan)
        self._given = plan if isinstance(plan, Plan) else None
        self._found: tuple[Query, Places] | None = None
        with Ledger.open(self.path) as book:
            self._head = book.head

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
            return reviewing.decisions(book)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every row, indexed by ``row_key``, with what was decided so far.

        ``file, sheet, row, image_id, project_id, status, vault_id, name, owner, before,
        disposition, findings`` as the plan has them; ``asked`` (the inventory's own decision),
        ``decision, reason, vault`` (the reviewer's), ``wanted`` (accept, reject or skip, as it
        stands now) and ``state`` (the disposition with these decisions, as far as they alone say).
        """
        return standing.frame(self.plan, self.changes)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by what becomes of them, as decided now; images, chunks and calls as planned."""
        return standing.counts(self.plan, self.by_project)

    @cached_property
    def by_project(self) -> pd.Series:
        """How many rows by ``project_id, state, wanted``."""
        return self.frame.groupby(["project_id", "state", "wanted"]).size()

    @property
    def stage(self) -> str:
        """``deciding, approved, sending`` (begun, and not at its end) or ``finished``."""
        with Ledger.open(self.path) as book:
            if book.last("finished") is not None:
                return "finished"
            if book.last("intent") is not None or book.last("submitting") is not None:
                return "sending"
            said = approval.planned(book)["fingerprint"]
            return "deciding" if approval.approval_of(book, said) is None else "approved"

    @property
    def stale(self) -> int:
        """How many steps of deciding the plan does not hold yet; :meth:`remake` takes them in."""
        with Ledger.open(self.path) as book:
            return approval.stale(book)

    @property
    def steps(self) -> int:
        """How many steps :meth:`undo` can take back."""
        with Ledger.open(self.path) as book:
            return reviewing.steps_of(book)

    def page(self, query: Query | None = None, number: int = 0, size: int = 20) -> Page:
        """Rows ``number * size`` and following of those that a query finds.

        >>> review("run.ledger").page(Query(finding="any")).rows  # doctest: +SKIP
        """
        places = self.find(query or Query())
        pages = max(1, -(-len(places) // size))
        number = min(max(number, 0), pages - 1)
        shown = self.frame.take(places[number * size : (number + 1) * size])
        return Page(shown, number, pages, len(places))

    def find(self, query: Query) -> Places:
        """Positions (and so keys) of the rows that a query finds, in its order; kept until then."""
        if self._found is None or self._found[0] != query:
            self._found = (query, select(self.frame, query))
        return self._found[1]

    def row(self, key: int) -> dict[str, Any]:
        """All about one row: ``facts``, ``input`` (original columns), ``findings``, ``request``."""
        return standing.row(self.plan, self.frame, key)

    def vaults(self, project_id: str) -> pd.DataFrame:
        """Return a project's vaults that can take a full-ECS image: ``vault_id, name, free``."""
        return standing.vaults(self.plan, project_id)

    @property
    def phrase(self) -> str:
        """What a person has to write to approve; it holds the number of images."""
        return f"send {self.counts['images']} images"

    # -- what will be sent ---------------------------------------------------------------------
    def requests(self, chunk: int) -> list[dict[str, Any]]:
        """Return the requests of a chunk: ``chunk, method, url, body``."""
        return list(self.plan.requests(chunk))

    def curl(self, chunk: int) -> str:
        """Return a chunk's requests for the shell; the token is the caller's own variable."""
        return standing.curl(self.requests(chunk))

    def not_sent(self) -> pd.DataFrame:
        """Count the rows that the plan does not send: ``disposition, why, rows``."""
        return standing.not_sent(self.frame)

    # -- the run -----------------------------------------------------------------------------------
    def status(self) -> Run:
        """Where the run stands, by its ledger."""
        return status(self.path)

    def report(self, *paths: str | PathLike[str]) -> list[Path]:
        """Make reports of the run; as :func:`sharekit.report`."""
        # Loaded when it is wanted: the pictures' library takes its time.
        from .recording import report  # noqa: PLC0415

        return report(self.path, *paths)

    def refresh(self) -> bool:
        """Look whether anything else has written into the ledger; returns whether it has."""
        with Ledger.open(self.path) as book:
            head = book.head
        if head == self._head:
            return False
        self._head = head
        self._forget("plan", "changes", "frame", "counts", "by_project")
        return True

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)
        self._found = None
        with Ledger.open(self.path) as book:
            self._head = book.head


def _is(plan: Plan, said: Mapping[str, Any], book: Ledger) -> bool:
    """Whether a plan is the one that the ledger recorded last: nothing was decided in between."""
    return plan.fingerprint == said["fingerprint"] and len(book.events("planned")) == 1
