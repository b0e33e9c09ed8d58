"""The panel's third page: a name, a phrase, and the approval."""

from __future__ import annotations

import ipywidgets as ui

from sharekit.core.columns import with_unit
from sharekit.core.html import escape_html
from sharekit.interfaces.review_state import Gate

from . import markup
from .controls import button, row, show_errors, show_if, text
from .html_region import HtmlRegion
from .model import SEND, PageHost

_FIXED = {
    "approved": "This very plan is approved, and its rows are fixed.",
    "sending": "This plan is approved, and being sent.",
    "finished": "This plan was approved and sent.",
}
_WORDS = {
    "accept": "accepted", "reject": "rejected", "share": "to share", "unshare": "to take back",
}  # fmt: skip


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
        gate = self.review.gate
        missing = gate.stage in ("deciding", "approving")
        show_if(self.form, shown=missing and bool(self.review.state.counts["images"]))
        show_if(self.revocation, shown=gate.stage in ("approving", "approved"))
        self.approve.disabled = not missing
        self.facts.html = self._facts(gate)

    def _facts(self, gate: Gate) -> str:
        state = self.review.state
        fingerprint = f"<p>Fingerprint <code>{escape_html(state.plan.fingerprint)}</code></p>"
        names = "".join(
            f"<li>{markup.truncate(given.reviewer)}, "
            f"{escape_html(given.at[:19].replace('T', ' '))} UTC"
            f"{', signed' if given.signature else ''}"
            f"{f': “{markup.truncate(given.note)}”' if given.note else ''}</li>"
            for given in gate.approvals
        )
        names = f"<ul>{names}</ul>" if names else ""
        if gate.stage in _FIXED:
            note = markup.note(_FIXED[gate.stage], "good")
            return f"<h3>Approved</h3>{note}{names}{fingerprint}"
        counts = state.counts
        if not counts["images"]:
            return markup.note("The plan sends nothing, so there is nothing to approve.")
        becomes = ", ".join(f"{counts[n]:,} {word}" for n, word in _WORDS.items() if counts[n])
        needed = "".join(markup.note(line, "calm") for line in _requirements(gate))
        return (
            f"<h3>Approve exactly this plan</h3>{needed}{names}<p>{state.send_summary} in "
            f"{with_unit(counts['calls'], 'call')}: {becomes}.</p>{fingerprint}"
            f"<p>To approve, write <b>{escape_html(state.phrase)}</b> as the confirmation.</p>"
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


def _requirements(gate: Gate) -> list[str]:
    lines = []
    if gate.planner:
        lines.append(f"{gate.planner} made this plan, so somebody else has to approve it.")
    if gate.demand.reviewers > 1:
        lines.append(f"{gate.demand.reviewers} reviewers have to approve it, each by name.")
    if gate.demand.signers:
        lines.append(
            "Only signed approvals count: run sharekit approve --sign KEY in a shell, then turn to "
            "this page again."
        )
    if gate.stage == "approving":
        lines.append("It is not approved by all who have to, so nothing is sent yet.")
    return lines
