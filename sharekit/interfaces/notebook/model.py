"""What the panel needs of a review, and its pages of the panel: the seams between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import ipywidgets as ui

from sharekit.interfaces.review_filters import RowFilter
from sharekit.interfaces.review_run import ReviewRun
from sharekit.interfaces.review_state import Gate, ReviewState
from sharekit.plans.approval import Approval
from sharekit.plans.plan import Plan
from sharekit.runs.background import BackgroundRun

#: Numbers of the panel's pages.
DECIDE, REQUESTS, APPROVE, SEND = range(4)


class ReviewModel(Protocol):
    """A review that a panel can show; see :class:`sharekit.interfaces.review.Review`."""

    path: Path
    reviewer: str
    run: ReviewRun

    @property
    def state(self) -> ReviewState:
        """The plan and its decisions."""

    @property
    def gate(self) -> Gate:
        """What can be decided, approved or sent."""

    def refresh(self) -> bool:
        """Read what others wrote."""

    def decide(
        self, rows: Sequence[int], decision: str | None = None, *,
        reason: str | None = None, vault_id: str | None = None,
    ) -> int:  # fmt: skip
        """Decide on rows by their keys."""

    def decide_matching(
        self, row_filter: RowFilter, decision: str, *, reason: str | None = None,
        overwrite: bool = False,
    ) -> int:  # fmt: skip
        """Decide on all rows that a filter shows."""

    def undo(self) -> int:
        """Take the latest step back."""

    def replan(self) -> Plan:
        """Take all decisions into the plan."""

    def approve(self, reviewer: str, phrase: str, *, note: str = "") -> Approval:
        """Approve the plan as it is shown."""

    def revoke(self, note: str = "") -> None:
        """Take the approval back."""

    def submit(self, *, listener: Callable[[BackgroundRun], None]) -> BackgroundRun:
        """Send what is approved, or resume."""

    def cancel(self) -> None:
        """Stop the run."""

    def retry(self) -> ReviewModel:
        """Plan once more what can be retried."""


class Page(Protocol):
    """One page of the panel."""

    box: ui.Widget

    def update(self) -> None:
        """Show what the review says now."""


class PageHost(Protocol):
    """What a page knows of the panel that holds it."""

    review: ReviewModel

    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence."""

    def go(self, number: int) -> None:
        """Turn to a page."""

    def update(self) -> None:
        """Show what the review says now."""

    def open(self, review: ReviewModel) -> None:
        """Show another review in place of this one."""
