"""The panel's part that sends: begin, pause, cancel, go on, reports, and what failed anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from sharekit.core.columns import STR, with_unit
from sharekit.core.outcomes import RETRYABLE
from sharekit.interfaces.review_run import report_paths
from sharekit.ledger.lock import is_busy
from sharekit.runs.background import BackgroundRun
from sharekit.runs.status import Run

from . import pages
from .model import PageHost
from .tree import Tree, button, h, note

_BEFORE: Final = {
    "deciding": ("The plan is not approved, so nothing is sent.", "warn"),
    "approving": ("Not all who have to have approved it, so nothing is sent.", "warn"),
    "approved": ("Approved. Send begins; it can be paused and cancelled.", "calm"),
    "sending": ("The run is not finished. Continue resumes it.", "calm"),
}


class Sending:
    """A run in the background, shown as it goes on."""

    def __init__(self, host: PageHost, listener: Callable[[BackgroundRun], None]) -> None:
        self.host, self._listener = host, listener
        self.opened = ""
        self._reports: list[Path] = []
        if (submission := host.review.run.submission) is not None:
            submission.on_progress(listener)

    @property
    def _run(self) -> Run | None:
        begun = self.host.review.gate.stage in ("sending", "finished")
        return self.host.review.run.status() if begun else None

    def columns(self) -> dict[str, pd.Series]:
        """Return the outcomes of the rows as columns of the grid; none before a run."""
        if self.host.review.run.is_submitting or (run := self._run) is None:
            return {}
        said: pd.Series = run.rows["code"] + " " + run.rows["reason"]
        return {"outcome": run.rows["outcome"].astype(STR), "why": said.str.strip().astype(STR)}

    # -- events ------------------------------------------------------------------------------------
    def on_event(self, do: str, key: str, _: Mapping[str, Any]) -> bool:
        """Take one step of the page; return False if it is none of this."""
        steps: dict[str, Callable[[], None]] = {
            "submit": self._submit, "pause": self._pause, "cancel": self._cancel,
            "report": self._report, "retry": self._retry, "save": lambda: self._save(key),
        }  # fmt: skip
        if do not in steps:
            return False
        steps[do]()
        return True

    def _submit(self) -> None:
        self.host.review.submit(listener=self._listener)

    def _pause(self) -> None:
        if (submission := self.host.review.run.submission) is not None:
            (submission.resume if submission.state == "paused" else submission.pause)()

    def _cancel(self) -> None:
        ours = self.host.review.run.is_submitting
        self.host.review.run.cancel()
        if not ours:
            self.host.say("The program that sends it was asked to stop.")

    def _report(self) -> None:
        self._reports = self.host.review.run.report(*report_paths(self.host.review.path))
        self.host.say(f"{with_unit(len(self._reports), 'report')} written beside the ledger.")

    def _save(self, key: str) -> None:
        path = self._reports[int(key)]
        self.host.hand_over(path.name, path.read_bytes())

    def _retry(self) -> None:
        self.host.open(self.host.review.retry())

    # -- what is seen ------------------------------------------------------------------------------
    def page(self) -> list[Tree]:
        """Return where the run stands, and the steps that are possible now."""
        review = self.host.review
        submission, stage = review.run.submission, review.gate.stage
        if submission is not None and review.run.is_submitting:
            told = pages.progress(submission.progress, submission.state, submission.error)
            return [self._controls("sending", submission), h("div", told), h("div")]
        elsewhere = is_busy(review.path)
        if submission is not None and submission.error:
            error = submission.error.rstrip(".")
            said = note(f"{error}. What was sent is in the ledger.", "bad")
        elif elsewhere:
            said = note("Another program is sending this run now.", "calm")
        else:
            said = note(*_BEFORE[stage]) if stage in _BEFORE else h("div")
        run = self._run
        return [
            self._controls(stage, None, elsewhere=elsewhere and stage == "sending"),
            h("div", said),
            h("div", pages.outcomes(run, self.opened) if run else None, self._after(run)),
        ]

    def _controls(
        self, stage: str, submission: BackgroundRun | None, *, elsewhere: bool = False
    ) -> Tree:
        if stage == "finished":
            return h("div.sk-row")
        ours = submission is not None
        stopping = ours and submission is not None and submission.state == "stopping"
        may_send = not ours and not elsewhere and stage in ("approved", "sending")
        paused = submission is not None and submission.state == "paused"
        return h(
            "div.sk-row",
            button("Continue" if stage == "sending" else "Send", "submit", classes="sk-danger",
                   disabled=not may_send) if not ours else None,
            button("Go on" if paused else "Pause", "pause", disabled=not ours or stopping),
            button("Cancel", "cancel", disabled=(not ours or stopping) and not elsewhere),
        )  # fmt: skip

    def _after(self, run: Run | None) -> list[Tree]:
        if run is None:
            return []
        again = sum(run.counts[name] for name in RETRYABLE) if run.finished else 0
        files = [
            h("li", str(path), " ", button("Save a copy", "save", number))
            for number, path in enumerate(self._reports)
        ]
        return [
            h("div.sk-row", button("Write reports", "report"),
              button(f"Plan {with_unit(again, 'row')} anew", "retry") if again else None),
            h("ul", files),
        ]  # fmt: skip
