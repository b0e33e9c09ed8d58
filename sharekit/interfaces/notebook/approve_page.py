"""The panel's third page: a name, a phrase, and the approval."""

from __future__ import annotations

import ipywidgets as ui

from sharekit.core.provenance import utc_now

from .controls import button, row, show_errors, show_if, text
from .html_region import HtmlRegion
from .markup import render
from .model import SEND, PageHost


class ApprovePage:
    """The form of an approval; the library decides whether it is valid."""

    def __init__(self, host: PageHost) -> None:
        act = show_errors(host.say, host.update)
        self.host, self.review = host, host.review
        self.facts = HtmlRegion()
        self.name = text("Your name", "300px", value=self.review.reviewer)
        self.phrase = text("Confirmation", "340px")
        self.note = text("Note (optional)", "340px")
        self.approve = button("Approve", act(self._approve), style="primary")
        self.revoke = button("Take the approval back", act(self._revoke))
        self.form = ui.VBox([row(self.name, self.phrase, self.note), row(self.approve)])
        self.revocation = row(self.revoke)
        self.box = ui.VBox([self.facts, self.form, self.revocation])

    def update(self) -> None:
        """Show whether the plan can be approved, or is."""
        gate, state = self.review.gate, self.review.state
        missing = gate.stage in ("deciding", "approving")
        show_if(self.form, shown=missing and bool(state.counts["images"]))
        show_if(self.revocation, shown=gate.stage in ("approving", "approved"))
        self.approve.disabled = not missing
        self.facts.html = render(
            "approve",
            now=utc_now(),
            gate=gate,
            counts=state.counts,
            summary=state.send_summary,
            phrase=state.phrase,
            fingerprint=state.plan.fingerprint,
        )

    def _approve(self) -> None:
        given = self.review.approve(self.name.value, self.phrase.value, note=self.note.value)
        self.phrase.value = self.note.value = ""
        if self.review.gate.stage == "approving":
            self.name.value = ""
            self.host.say(f"{given.reviewer} approved it. Somebody else has to approve it, too.")
            return
        self.host.go(SEND)
        summary = self.review.state.send_summary
        self.host.say(f"{given.reviewer} approved {summary}. Nothing is sent yet.")

    def _revoke(self) -> None:
        self.review.revoke(self.note.value)
        self.host.say("The approval is taken back; rows can be decided again.")
