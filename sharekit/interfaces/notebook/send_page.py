"""The panel's fourth page: send, watch, pause, cancel, continue; then outcomes, and what next."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ipywidgets as ui

from sharekit.core.outcomes import RETRYABLE
from sharekit.ledger.storage import is_busy
from sharekit.runs.background import Submission

from . import ending, markup
from .controls import Owner, button, guarded, row, told
from .html_region import Live

_REPORTS = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")


class Sending:
    """A run in the background, shown as it goes on."""

    def __init__(self, panel: Owner) -> None:
        self.panel, self.review = panel, panel.review
        self.shown, self.number = "", 0
        guard = guarded(panel.say)
        self.submit = button("Send", guard(self._submit), style="danger")
        self.pause = button("Pause", guard(self._pause))
        self.cancel = button("Cancel", guard(self._cancel))
        self.told, self.files = Live(), ui.Output()
        heard = guard(self._heard)
        self.ended, self.rows = Live(heard=heard), Live(heard=heard)
        self.report = button("Write reports", guard(self._report))
        self.retry = button("Plan what failed anew", guard(self._retry))
        # Shown and hidden by the row: buttons share their layout.
        self.steps = row(self.submit, self.pause, self.cancel)
        self.reports, self.again = row(self.report), row(self.retry)
        self.box = ui.VBox(
            [
                self.steps, self.told, self.ended, self.again, self.reports, self.files, self.rows,
            ]
        )  # fmt: skip
        if self.review.submission is not None:
            self.review.submission.listen(self._hear)

    def update(self) -> None:
        """Show where the run stands, and what can be done."""
        sending, stage = self.review.submission, self.review.stage
        if sending is not None and self.review.going:
            self._show(sending)
            return
        other = is_busy(self.review.path)
        self._buttons(stage, going=False)
        if other and stage == "sending":
            self.submit.disabled, self.cancel.disabled = True, bool(self.review.read_only)
        failed = sending.error if sending is not None else ""
        self.told.html = self._words(stage, failed, other=other)
        self._end(begun=stage in ("sending", "finished"))

    def _end(self, *, begun: bool) -> None:
        self.rows.html = ""
        self.again.layout.display = "none"
        if not begun:
            self.ended.html = ""
            return
        run = self.review.status()
        self.ended.html = ending.outcome(run, self.shown)
        again = sum(run.counts[name] for name in RETRYABLE) if run.finished else 0
        self.again.layout.display = "" if again else "none"
        self.retry.description = f"Plan {markup.many(again, 'row')} anew"
        if self.shown and run.counts.get(self.shown):
            page = self.review.outcomes(self.shown, self.number)
            self.number = page.number
            self.rows.html = ending.rows(page, self.shown)

    def _words(self, stage: str, failed: str, *, other: bool) -> str:
        if failed:
            return markup.note(f"{failed.rstrip('.')}. What was sent is in the ledger.", "bad")
        if other:
            return markup.note("Another program is sending this run now.", "calm")
        return {
            "deciding": markup.note("The plan is not approved, so nothing is sent."),
            "approving": markup.note("Not everybody has approved it, so nothing is sent."),
            "approved": markup.note(
                "Approved. Send begins; it can be paused and cancelled.", "calm"
            ),
            "sending": markup.note("The run is not at its end. Continue takes it up.", "calm"),
            "finished": "",
        }[stage]

    def _buttons(self, stage: str, *, going: bool) -> None:
        may = not self.review.read_only
        self.submit.description = "Continue" if stage == "sending" else "Send"
        self.submit.disabled = going or not may or stage not in ("approved", "sending")
        self.pause.disabled = self.cancel.disabled = not going
        self.steps.layout.display = "none" if stage == "finished" else ""
        self.reports.layout.display = (
            "none" if going or stage in ("deciding", "approving", "approved") else ""
        )

    def _heard(self, what: str, key: str, _: Any) -> None:
        if what == "outcome":
            self.shown, self.number = "" if key == self.shown else key, 0
        elif what == "page" and key.isdecimal():
            self.number = int(key)
        self._end(begun=True)

    # -- the run -----------------------------------------------------------------------------------
    def _submit(self) -> None:
        self.ended.html = self.rows.html = ""
        self.review.submit(listener=self._hear)
        self.update()

    def _pause(self) -> None:
        if (sending := self.review.submission) is not None:
            (sending.resume if sending.state == "paused" else sending.pause)()
            self._show(sending)

    def _cancel(self) -> None:
        self.review.cancel()
        if (sending := self.review.submission) is not None and self.review.going:
            self._show(sending)
        else:
            self.panel.say("The program that sends it was asked to stop.")

    def _hear(self, sending: Submission) -> None:
        # Called in the run's thread: whatever goes wrong here must not end the run.
        try:
            if sending.state in ("ended", "failed"):
                self.review.refresh()
                self.panel.update()
            else:
                self._show(sending)
        except Exception as error:  # noqa: BLE001
            self.panel.say(told(error), "bad")

    def _show(self, sending: Submission) -> None:
        self._buttons("sending", going=self.review.going)
        self.pause.description = "Continue" if sending.state == "paused" else "Pause"
        self.pause.disabled = self.cancel.disabled = sending.state == "stopping"
        self.told.html = markup.progress(sending.progress, sending.state, sending.error)

    # -- what next -----------------------------------------------------------------------------
    def _retry(self) -> None:
        again = self.review.retry()
        self.panel.open(again)

    def _report(self) -> None:
        folder = self.review.path.absolute().parent
        made = self.review.report(*(folder / name for name in _REPORTS))
        text = f"<h3>Reports</h3><ul>{''.join(map(_link, made))}</ul>"
        data = {"text/html": text, "text/plain": "\n".join(map(str, made))}
        # An output, not a region of ours: only there does Jupyter make links to files work.
        self.files.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)


def _link(path: Path) -> str:
    # Jupyter serves what lies below the notebook; anything else can only be named.
    relative = os.path.relpath(path)
    name = html.escape(path.name)
    if relative.startswith(".."):
        return f"<li>{html.escape(str(path))}</li>"
    return f'<li><a href="{html.escape(quote(relative))}" target="_blank">{name}</a></li>'
