"""The panel's Protocols: what it needs of a review, and what its pages need of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pandas as pd

from sharekit.core.actions import Decision
from sharekit.interfaces.review_run import ReviewRun
from sharekit.interfaces.review_state import Gate, ReviewState
from sharekit.plans.approval import Approval
from sharekit.plans.plan import Plan
from sharekit.plans.selection import RowCount, Rows
from sharekit.runs.background import BackgroundRun

#: Numbers of the panel's pages.
DECIDE, REQUESTS, APPROVE, SEND = range(4)


class ReviewModel(Protocol):
    """A review that a panel can show; see :class:`sharekit.interfaces.review.Review`."""

    path: Path
    reviewer: str
    run: ReviewRun
    changed_inputs: tuple[str, ...]

    @property
    def state(self) -> ReviewState:
        """The plan and its decisions."""

    @property
    def gate(self) -> Gate:
        """What the ledger allows now."""

    def refresh(self) -> bool:
        """Read what others wrote into the ledger."""

    def decide(
        self, rows: Rows, decision: Decision | None = None, *,
        reason: str | None = None, vault_id: str | None = None,
    ) -> RowCount:  # fmt: skip
        """Decide on rows by their keys."""

    def needs_reason(self, rows: Rows, decision: Decision) -> bool:
        """Return True if this decision on rows needs a reason of its own."""

    def diff(self) -> pd.DataFrame:
        """Return what is decided otherwise than the inventory says, kind by kind."""

    def undo(self) -> RowCount:
        """Take the latest step back."""

    def replan(self) -> Plan:
        """Take all decisions into the plan."""

    def approve(self, reviewer: str, phrase: str, *, note: str = "") -> Approval:
        """Approve the plan as it is shown."""

    def revoke(self, note: str = "") -> None:
        """Take the approval back."""

    def submit(self, *, listener: Callable[[BackgroundRun], None]) -> BackgroundRun:
        """Send what is approved, or resume."""

    def retry(self) -> ReviewModel:
        """Plan the retryable rows again, in a ledger of their own."""


class PageHost(Protocol):
    """The panel, as its parts know it."""

    review: ReviewModel

    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence."""

    def update(self) -> None:
        """Draw the present state of the review."""

    def open(self, review: ReviewModel) -> None:
        """Show another review in place of this one."""

    def hand_over(self, name: str, content: bytes) -> None:
        """Let the page save a file."""
