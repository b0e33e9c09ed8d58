"""The panel's fourth page: send, watch, pause, cancel, continue; then the outcome and reports."""

from __future__ import annotations

import html
import os
from pathlib import Path
from urllib.parse import quote

import ipywidgets as ui

from ..background import Submission
from ..storage import is_busy
from . import markup
from .live import Live
from .parts import Owner, button, guarded, row

_REPORTS = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")


class Sending:
    """A run in the background, shown as it goes on."""

    def __init__(self, panel: Owner) -> None:
        self.panel, self.review = panel, panel.review
        guard = guarded(panel.say)
        self._go, self._write = guard(self._submit), guard(self._report)
        self.submit = button("Send", self._go, style="danger")
        self.pause = button("Pause", self._pause)
        self.cancel = button("Cancel", self._cancel)
        self.look = button("Look again", guard(self._refresh))
        self.bar = ui.FloatProgress(min=0, max=1, layout={"width": "100%"})
        self.told, self.ended, self.files = Live(role="status"), Live(), ui.Output()
        self.report = button("Write reports", self._write)
        self.reports = row(self.report)
        self.box = ui.VBox(
            [
                row(self.submit, self.pause, self.cancel, self.look), self.bar, self.told,
                self.ended, self.reports, self.files,
            ]
        )  # fmt: skip
        if self.review.submission is not None:
            self.review.submission.listen(self._hear)

    def update(self) -> None:
        """Show where the run stands, and what can be done."""
        sending, stage = self.review.submission, self.review.stage
        going = sending is not None and sending.state in ("running", "paused", "stopping")
        if going and sending is not None:
            self._show(sending)
            return
        self._buttons(stage, going=False)
        other = is_busy(self.review.path)
        self.bar.layout.display = "none"
        failed = sending.error if sending is not None else ""
        self.told.html = self._words(stage, failed, other=other)
        begun = stage in ("sending", "finished")
        self.ended.html = markup.outcome(self.review.status()) if begun else ""

    def _words(self, stage: str, failed: str, *, other: bool) -> str:
        if failed:
            return markup.note(f"{failed} What was sent is in the ledger.", "bad")
        if other:
            return markup.note("Another program is sending this run now.", "calm")
        return {
            "deciding": markup.note("The plan is not approved, so nothing is sent."),
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
        self.reports.layout.display = "none" if going or stage == "deciding" else ""

    # -- the run -----------------------------------------------------------------------------------
    def _submit(self) -> None:
        self.ended.html = ""
        self.review.submit(listener=self._hear)
        self.update()

    def _pause(self) -> None:
        sending = self.review.submission
        if sending is not None:
            (sending.resume if sending.state == "paused" else sending.pause)()
            self._show(sending)

    def _cancel(self) -> None:
        if self.review.submission is not None:
            self.review.submission.cancel()
            self._show(self.review.submission)

    def _refresh(self) -> None:
        self.review.claim()
        self.review.refresh()
        self.panel.update()

    def _hear(self, sending: Submission) -> None:
        # Called in the run's thread: whatever goes wrong here must not end the run.
        try:
            if sending.state in ("ended", "failed"):
                self.review.refresh()
                self.panel.update()
            else:
                self._show(sending)
        except Exception as error:  # noqa: BLE001
            self.panel.say(f"{type(error).__name__}: {error}", "bad")

    def _show(self, sending: Submission) -> None:
        now = sending.progress
        self._buttons("sending", going=sending.state in ("running", "paused", "stopping"))
        self.pause.description = "Continue" if sending.state == "paused" else "Pause"
        self.pause.disabled = self.cancel.disabled = sending.state == "stopping"
        self.bar.layout.display = ""
        if now is not None and now.total:
            self.bar.value = now.done / now.total
        self.told.html = markup.progress(now, sending.state, sending.error)

    # -- reports -----------------------------------------------------------------------------------
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
    name = html.escape(str(path))
    if relative.startswith(".."):
        return f"<li>{name}</li>"
    return f'<li><a href="{html.escape(quote(relative))}" target="_blank">{name}</a></li>'
