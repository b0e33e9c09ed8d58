"""The run of a review: sent in the background, followed, and shown by its outcomes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sharekit.checks.names import row_names
from sharekit.clouds.registry import Clouds
from sharekit.core.columns import STR
from sharekit.core.errors import PlanError, UsageError
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import is_busy, request_stop
from sharekit.plans import approval
from sharekit.runs import background
from sharekit.runs.background import BackgroundRun
from sharekit.runs.settings import Settings
from sharekit.runs.status import Run, status

from .review_filters import Page, paginate

if TYPE_CHECKING:
    from sharekit.reports.report import Reports

_OF_PLAN: Final = ["row", "image_id", "project_id", "name", "status", "vault_id"]
#: What the reports of a ledger end with, beside it and under its name.
REPORTS: Final = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
_OF_RUN: Final = ["code", "reason", "before", "claimed", "observed", "last_chunk", "job_id"]


def report_paths(ledger: Path) -> list[Path]:
    """Return where the reports of a ledger go, so that two runs in a folder do not share them.

    >>> [path.name for path in report_paths(Path("may.ledger"))][:2]
    ['may-audit.xlsx', 'may-audit.html']
    """
    return [ledger.with_name(f"{ledger.stem}-{end}") for end in REPORTS]


class ReviewRun:
    """Sends the approved plan of a ledger, and says where its run stands.

    Attributes
    ----------
    path : Path
        The ledger.
    submission : BackgroundRun or None
        The run that was started here, or that this process was sending already.
    """

    def __init__(
        self, path: Path, connect: Callable[[], Clouds], settings: Settings | None,
        demand: approval.ApprovalRequirement,
    ) -> None:  # fmt: skip
        self.path = path
        self.submission: BackgroundRun | None = background.active_run(path)
        self._connect, self._settings, self._demand = connect, settings, demand
        self._status_at = lru_cache(maxsize=1)(lambda _head: status(path))

    @property
    def is_submitting(self) -> bool:
        """True while this process is sending the run."""
        submission = self.submission
        return submission is not None and submission.state in ("running", "paused", "stopping")

    def submit(
        self, clouds: Clouds | None = None,
        listener: Callable[[BackgroundRun], None] | None = None,
    ) -> BackgroundRun:  # fmt: skip
        """Send what is approved, in the background; the same call resumes an interrupted run.

        Raises
        ------
        ApprovalError
            This very plan is not approved by all who have to; nothing was sent.
        UsageError
            The run is being submitted already.
        """
        approval.require_approval_of(self.path, self._demand)
        if is_busy(self.path):
            raise UsageError(f"Another program is using {self.path}; nothing is sent.")
        connect = self._connect if clouds is None else lambda: clouds
        submission = BackgroundRun(self.path, connect, self._settings, self._demand)
        if listener is not None:
            submission.on_progress(listener)
        submission.start()
        self.submission = submission
        return submission

    def cancel(self) -> None:
        """Stop the run, whether this process or another one on this machine is sending it.

        Nothing more is sent; :meth:`submit` resumes the run.
        """
        if self.submission is not None and self.is_submitting:
            self.submission.cancel()
        else:
            request_stop(self.path)

    def status(self) -> Run:
        """Return the run as its ledger tells it; read again only when the ledger has changed."""
        with Ledger.open(self.path, verify_chain=False) as ledger:
            head = ledger.head
        return self._status_at(head)

    def result(self) -> Run:
        """Return the finished run, or raise what is still to be done.

        Raises
        ------
        ApprovalError
            The plan is not approved by all who have to.
        PlanError
            The plan is approved, and not, or not completely, sent.
        """
        approval.require_approval_of(self.path, self._demand)
        run = self.status()
        if not run.finished:
            raise PlanError(
                f"{self.path} is approved and its run is not finished: submit it, then go on here."
            )
        return run

    def outcomes(self, outcome: str, number: int = 0, size: int = 20) -> Page:
        """Return page ``number`` (from 0) of the run's rows with an outcome.

        ``file, sheet, row, image_id, project_id, name, status, vault_id, code, reason, before,
        claimed, observed, last_chunk, job_id``.

        >>> review("run.ledger").run.outcomes("contradicted").rows  # doctest: +SKIP
        """
        run = self.status()
        positions = np.flatnonzero((run.rows["outcome"] == outcome).to_numpy())
        number, pages, shown = paginate(positions, number, size)
        findings, rows = run.plan.findings, run.plan.rows.take(shown)
        source = findings.inventory.rows[["file", "sheet"]].take(shown).astype(STR)
        names = row_names(findings.inventory, rows, findings.snapshot)
        planned, result = rows[_OF_PLAN].assign(name=names["name"]), run.rows[_OF_RUN].take(shown)
        return Page(source.join(planned).join(result), number, pages, len(positions))

    def report(self, *paths: str | PathLike[str]) -> Reports:
        """Write reports of the run; as :func:`sharekit.report`."""
        # Loaded when it is called: reviewing needs no renderers.
        from sharekit.reports.report import Reports, report  # noqa: PLC0415

        return Reports(report(self.path, *paths))
