"""The panel's fourth page: send, watch, pause, cancel, resume; then outcomes and next steps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import ipywidgets as ui
from markupsafe import Markup

from sharekit.core.columns import with_unit
from sharekit.core.outcomes import FAILURES, OUTCOMES, RETRYABLE
from sharekit.ledger.lock import is_busy
from sharekit.runs.background import BackgroundRun
from sharekit.runs.status import OPERATOR, Run
from sharekit.runs.submit import Progress

from .controls import button, error_text, row, show_errors, show_if
from .html_region import HtmlRegion
from .markup import note, project_chart, render
from .model import PageHost, ReviewModel

_REPORTS: Final = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
#: Failures that are shown while a run goes on.
_LATEST: Final = 12
#: Reasons of failures that are shown, the most frequent ones.
_REASONS: Final = 8
_BEFORE: Final = {
    "deciding": ("The plan is not approved, so nothing is sent.", "warn"),
    "approving": ("Not all who have to have approved it, so nothing is sent.", "warn"),
    "approved": ("Approved. Send begins; it can be paused and cancelled.", "calm"),
    "sending": ("The run is not finished. Continue resumes it.", "calm"),
}


class SendPage:
    """A run in the background, shown as it goes on."""

    def __init__(self, host: PageHost) -> None:
        guard = show_errors(host.say)
        self.host, self.review = host, host.review
        self.submit = button("Send", guard(self._submit), style="danger")
        self.pause = button("Pause", guard(self._pause))
        self.cancel = button("Cancel", guard(self._cancel))
        self.controls = row(self.submit, self.pause, self.cancel)
        self.progress = HtmlRegion()
        self.outcomes = Outcomes(host)
        self.report_row = row(button("Write reports", guard(self._report)))
        self.files = ui.Output()
        self.box = ui.VBox(
            [
                self.controls, self.progress, self.outcomes.summary, self.outcomes.retry_row,
                self.report_row, self.files, self.outcomes.rows,
            ]
        )  # fmt: skip
        if self.review.run.submission is not None:
            self.review.run.submission.on_progress(self._on_progress)

    def update(self) -> None:
        """Show where the run stands, and enable the steps that are possible now."""
        submission, stage = self.review.run.submission, self.review.gate.stage
        if submission is not None and self.review.run.is_submitting:
            self._show(submission)
            return
        elsewhere = is_busy(self.review.path)
        self._set_controls(stage, submitting=False)
        if elsewhere and stage == "sending":
            self.submit.disabled, self.cancel.disabled = True, False
        if submission is not None and submission.error:
            error = submission.error.rstrip(".")
            self.progress.html = note(f"{error}. What was sent is in the ledger.", "bad")
        elif elsewhere:
            self.progress.html = note("Another program is sending this run now.", "calm")
        else:
            self.progress.html = note(*_BEFORE[stage]) if stage in _BEFORE else ""
        begun = stage in ("sending", "finished")
        self.outcomes.show(self.review.run.status() if begun else None)

    def _set_controls(self, stage: str, *, submitting: bool) -> None:
        self.submit.description = "Continue" if stage == "sending" else "Send"
        self.submit.disabled = submitting or stage not in ("approved", "sending")
        self.pause.disabled = self.cancel.disabled = not submitting
        show_if(self.controls, shown=stage != "finished")
        show_if(self.report_row, shown=not submitting and stage in ("sending", "finished"))

    # -- the run -----------------------------------------------------------------------------------
    def _submit(self) -> None:
        self.outcomes.show(None)
        self.review.submit(listener=self._on_progress)
        self.update()

    def _pause(self) -> None:
        if (submission := self.review.run.submission) is not None:
            (submission.resume if submission.state == "paused" else submission.pause)()
            self._show(submission)

    def _cancel(self) -> None:
        self.review.run.cancel()
        if (submission := self.review.run.submission) is not None and self.review.run.is_submitting:
            self._show(submission)
        else:
            self.host.say("The program that sends it was asked to stop.")

    def _on_progress(self, submission: BackgroundRun) -> None:
        # Called in the run's thread: whatever goes wrong here must not end the run.
        try:
            if submission.state in ("ended", "failed"):
                self.host.update()
            else:
                self._show(submission)
        except Exception as error:  # noqa: BLE001
            self.host.say(error_text(error), "bad")

    def _show(self, submission: BackgroundRun) -> None:
        self._set_controls("sending", submitting=self.review.run.is_submitting)
        self.pause.description = "Continue" if submission.state == "paused" else "Pause"
        self.pause.disabled = self.cancel.disabled = submission.state == "stopping"
        self.progress.html = _progress(submission.progress, submission.state, submission.error)

    def _report(self) -> None:
        # By relative paths, because Jupyter serves what lies below the notebook.
        folder = self.review.path.parent
        with suppress(ValueError):  # on another drive of Windows there is none
            folder = Path(os.path.relpath(folder))
        reports = self.review.run.report(*(folder / name for name in _REPORTS))
        data = {"text/html": reports._repr_html_(), "text/plain": "\n".join(map(str, reports))}
        # An output, not a region of ours: only there does Jupyter make links to files work.
        self.files.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)


class Outcomes:
    """The outcomes of a run: tiles that open their rows, bars, reasons of failures, next steps."""

    def __init__(self, host: PageHost) -> None:
        guard = show_errors(host.say)
        self._host, self._review = host, host.review
        self._outcome, self._number = "", 0
        on_event = guard(self._on_event)
        self.summary, self.rows = HtmlRegion(on_event=on_event), HtmlRegion(on_event=on_event)
        self.retry = button("Plan what failed anew", guard(self._retry))
        self.retry_row = row(self.retry)

    def show(self, run: Run | None) -> None:
        """Show how a run stands, or nothing where none has begun."""
        retryable = sum(run.counts[name] for name in RETRYABLE) if run and run.finished else 0
        show_if(self.retry_row, shown=retryable > 0)
        self.retry.description = f"Plan {with_unit(retryable, 'row')} anew"
        labels = self._review.state.project_labels
        self.summary.html = _summary(run, self._outcome, labels) if run else ""
        self.rows.html = self._rows() if run and run.counts.get(self._outcome) else ""

    def _on_event(self, action: str, key: str, _: Any) -> None:
        if action == "outcome":
            self._outcome, self._number = "" if key == self._outcome else key, 0
        elif action == "page" and key.isdecimal():
            self._number = int(key)
        self.show(self._review.run.status())

    def _rows(self) -> Markup:
        page = self._review.run.outcomes(self._outcome, self._number)
        self._number = page.number
        lines = page.rows.to_dict("records")
        labels = self._review.state.project_labels
        return render("outcome", outcome=self._outcome, page=page, lines=lines, labels=labels)

    def _retry(self) -> None:
        again: ReviewModel = self._review.retry()
        self._host.open(again)


def _summary(run: Run, outcome: str, labels: Mapping[str, str]) -> Markup:
    """Return the tiles of a run, of which that of ``outcome`` is open, its bars and reasons."""
    failed = run.rows[run.rows["outcome"].isin(FAILURES)]
    reasons = failed["reason"].where(failed["reason"] != "", failed["code"]).value_counts()
    rows = run.plan.rows["project_id"].to_frame().join(run.rows["outcome"])
    sums = rows.groupby(["project_id", "outcome"]).size().unstack(fill_value=0)
    return render(
        "outcomes",
        run=run,
        cancelled=run.stopped_by == OPERATOR,
        opened=outcome,
        outcomes=OUTCOMES,
        chart=project_chart(sums.rename(columns={"skipped": "skip"}), labels),
        reasons=reasons.head(_REASONS).to_dict(),
    )


def _progress(now: Progress | None, state: str, error: str) -> Markup:
    failures = [] if now is None else now.failures[-_LATEST:][::-1]  # the newest first
    return render("progress", now=now, state=state, error=error, failures=failures)
