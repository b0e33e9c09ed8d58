"""The panel's fourth page: send, watch, pause, cancel, resume; then outcomes and next steps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import ipywidgets as ui

from sharekit.core.columns import with_unit
from sharekit.core.html import escape_html
from sharekit.core.outcomes import FAILURES, OUTCOMES, RETRYABLE
from sharekit.ledger.lock import is_busy
from sharekit.reports.wording import format_duration
from sharekit.runs.background import BackgroundRun
from sharekit.runs.status import OPERATOR, Run
from sharekit.runs.submit import Progress

from .controls import button, error_text, row, show_errors, show_if
from .html_region import HtmlRegion
from .markup import bars, color, data_table, note, pager, project_of, truncate
from .model import PageHost, ReviewModel

_REPORTS: Final = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
#: Failures that are shown while a run goes on.
_LATEST: Final = 12
_BEFORE: Final = {
    "deciding": ("The plan is not approved, so nothing is sent.", "warn"),
    "approving": ("Not all who have to have approved it, so nothing is sent.", "warn"),
    "approved": ("Approved. Send begins; it can be paused and cancelled.", "calm"),
    "sending": ("The run is not finished. Continue resumes it.", "calm"),
}
_DURING: Final = {
    "paused": "Paused. Jobs that run in the cloud are followed; nothing new is sent.",
    "stopping": "Stopping: nothing more is sent, and the cloud is read back.",
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
        self.review.cancel()
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
        folder = Path(os.path.relpath(self.review.path.parent))
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
        self.summary.html = _summary(run, self._outcome) if run else ""
        self.rows.html = self._rows() if run and run.counts.get(self._outcome) else ""

    def _on_event(self, action: str, key: str, _: Any) -> None:
        if action == "outcome":
            self._outcome, self._number = "" if key == self._outcome else key, 0
        elif action == "page" and key.isdecimal():
            self._number = int(key)
        self.show(self._review.run.status())

    def _rows(self) -> str:
        page = self._review.run.outcomes(self._outcome, self._number)
        name = escape_html(self._outcome)
        self._number = page.number
        heads = ("Image", "Wanted", "In the cloud", "Code, reason", "Project", "Stands in")
        lines = map(_row_cells, page.rows.to_dict("records"))
        close = f'<button data-do="outcome" data-key="{name}" data-id="close">Close</button>'
        table = data_table(heads, lines, f"Rows {self._outcome}")
        return f"<h3>{page.found:,} {name}</h3>{table}{pager(page, '', close)}"

    def _retry(self) -> None:
        again: ReviewModel = self._review.retry()
        self._host.open(again)


def _summary(run: Run, outcome: str) -> str:
    failed = run.rows[run.rows["outcome"].isin(FAILURES)]
    reasons = failed["reason"].where(failed["reason"] != "", failed["code"]).value_counts().head(8)
    why = "".join(f"<li>{n:,} × {truncate(reason)}</li>" for reason, n in reasons.items())
    rows = run.plan.rows["project_id"].to_frame().join(run.rows["outcome"])
    sums = rows.groupby(["project_id", "outcome"]).size().unstack(fill_value=0)
    title = "<h3>The run is finished</h3>" if run.finished else "<h3>Where the run stands</h3>"
    stopped = ""
    if run.stopped and not run.finished:
        cancelled = "The run was cancelled; what is pending was not sent."
        stopped = note(
            cancelled if run.stopped_by == OPERATOR else f"The run ended early: {run.stopped}"
        )
    tiles = "".join(
        f'<button class="sk-tile {OUTCOMES[name].tone}" data-do="outcome" '
        f'data-key="{name}" data-id="tile-{name}" aria-pressed="{str(name == outcome).lower()}" '
        f'title="Show these rows"><b>{number:,}</b><span>{name}</span></button>'
        for name, number in run.counts.items()
        if number
    )
    steps = "".join(f"<li>{escape_html(step)}</li>" for step in _next_steps(run))
    return (
        f'{title}{stopped}<div class="sk-tiles" role="group" aria-label="Outcomes">{tiles}</div>'
        + bars(sums.rename(columns={"skipped": "skip"}), "Outcomes by project")
        + (f"<h3>Why</h3><ul>{why}</ul>" if why else "")
        + f"<h3>What next</h3><ul>{steps}</ul>"
    )


def _next_steps(run: Run) -> list[str]:
    steps = []
    if not run.finished:
        steps.append("Continue: it resumes the run where the ledger stands; nothing is sent twice.")
        if run.counts["unknown"]:
            steps.append("Unknown rows were sent and got no answer; Continue reads them back.")
    if run.counts["failed"]:
        steps.append(
            "Failed rows: open them above, repair what their reasons name, plan them anew."
        )
    if run.counts["contradicted"]:
        steps.append(
            "Contradicted rows: the cloud said one thing and shows another; open them above."
        )
    if run.finished:
        steps.append("Write the reports, and give the auditor the ledger too.")
    return steps


def _row_cells(line: Mapping[Any, Any]) -> tuple[str, ...]:
    states = [
        f"{word} {escape_html(line[name])}"
        for name, word in (("before", "was"), ("claimed", "job says"), ("observed", "shows"))
        if line[name]
    ]
    code = str(line["code"])
    # A reason of the cloud's own often begins with its code.
    shown = f"<b>{escape_html(code)}</b> " if code and not line["reason"].startswith(code) else ""
    chunk = f"chunk {escape_html(line['last_chunk'])}" if line["last_chunk"] else ""
    source = ", ".join(filter(None, (line["file"], line["sheet"], f"row {line['row']}")))
    return (
        f'{truncate(line["name"], 80) or "(no name)"}<span class="sk-id">'
        f"{truncate(line['image_id'], 60)}</span>",
        f'<span class="sk-nowrap">{escape_html(line["status"])}</span>',
        "<br>".join(states),
        f"{shown}{truncate(line['reason'], 300)}",
        project_of(line["project_id"]),
        f'{truncate(source, 80)}<span class="sk-id">{chunk}</span>',
    )


def _progress(now: Progress | None, state: str, error: str) -> str:
    failed = note(error, "bad") if error else ""
    if now is None:
        return failed or f"<p>{escape_html(state)} …</p>"
    left = "" if now.eta is None else f", about {format_duration(round(now.eta))} left"
    because = escape_html(now.throttled_because.capitalize())
    slowed = f"<p>{because}</p>" if because else ""
    return (
        f"{_bar(now)}<p><b>{escape_html(_DURING.get(state, now.phase.capitalize()))}</b></p>"
        f"<p>{now.done:,} of {now.total:,} images done, {now.failed:,} failed, "
        f"{with_unit(now.in_flight, 'request')} in flight{left}</p>{slowed}{failed}{_failures(now)}"
    )


def _bar(now: Progress) -> str:
    total, bad = max(now.total, 1), min(now.failed, now.done)
    parts = "".join(
        f'<i style="width:{100 * number / total:.2f}%;background:{color(kind)}"></i>'
        for kind, number in (("confirmed", now.done - bad), ("failed", bad))
    )
    return (
        f'<div class="sk-bar sk-far" role="progressbar" aria-label="Images done" aria-valuemin="0" '
        f'aria-valuenow="{now.done}" aria-valuemax="{total}">{parts}</div>'
    )


def _failures(now: Progress) -> str:
    """Return the latest failures, newest first."""
    if not now.failures:
        return ""
    lines = [
        (
            escape_html(failure.chunk),
            escape_html(failure.code),
            truncate(failure.reason),
            f"{len(failure.images):,}",
            f'<span class="sk-id">{escape_html(failure.images[0])}</span>',
        )
        for failure in reversed(now.failures[-_LATEST:])
    ]
    heads = ("Chunk", "Code", "Reason", "Images", "First image")
    return f"<h3>Latest failures</h3>{data_table(heads, lines, 'Latest failures', number=3)}"
