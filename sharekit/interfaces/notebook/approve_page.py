"""The panel's third page: a name, a phrase, and the approval."""

from __future__ import annotations

import ipywidgets as ui

from sharekit.core.html import visible

from . import markup
from .controls import Owner, button, guarded, row, text
from .html_region import Live


class Approving:
    """The form of an approval; whether it is one, the library says."""

    def __init__(self, panel: Owner) -> None:
        self.panel, self.review = panel, panel.review
        guard = guarded(panel.say)
        self._yes, self._no = guard(self._approve), guard(self._revoke)
        self.told = Live()
        self.name = text("Your name", "300px", value=self.review.reviewer)
        self.phrase = text("Confirmation", "340px")
        self.note = text("Note (optional)", "340px")
        self.approve = button("Approve", self._yes, style="primary")
        self.revoke = button("Take the approval back", self._no)
        self.form = ui.VBox([row(self.name, self.phrase, self.note), row(self.approve)])
        self.take_back = row(self.revoke)
        self.box = ui.VBox([self.told, self.form, self.take_back])

    def update(self) -> None:
        """Show whether the plan can be approved, or is."""
        stage, counts = self.review.stage, self.review.counts
        wanting = stage in ("deciding", "approving")
        self.form.layout.display = "" if wanting and counts["images"] else "none"
        self.take_back.layout.display = "" if stage in ("approving", "approved") else "none"
        self.approve.disabled = not wanting or bool(self.review.read_only)
        self.revoke.disabled = bool(self.review.read_only)
        self.told.html = self._words(stage)

    def _words(self, stage: str) -> str:
        plan, counts, given = self.review.plan, self.review.counts, self.review.approvals
        mark = f"<p>Fingerprint <code>{visible(plan.fingerprint)}</code></p>"
        names = "".join(
            f"<li>{markup.cut(yes.reviewer)}, {visible(yes.at[:19].replace('T', ' '))} UTC"
            f"{', signed' if yes.signature else ''}"
            f"{f': “{markup.cut(yes.note)}”' if yes.note else ''}</li>"
            for yes in given
        )
        names = f"<ul>{names}</ul>" if names else ""
        if stage not in ("deciding", "approving"):
            told = {"approved": "This very plan is approved, and its rows are fixed.",
                    "sending": "This plan is approved, and being sent.",
                    "finished": "This plan was approved and sent."}[stage]  # fmt: skip
            return f"<h3>Approved</h3>{markup.note(told, 'good')}{names}{mark}"
        if not counts["images"]:
            return markup.note("The plan sends nothing, so there is nothing to approve.")
        words = {"accept": "accepted", "reject": "rejected", "share": "to share",
                 "unshare": "to take back"}  # fmt: skip
        becomes = ", ".join(f"{counts[n]:,} {word}" for n, word in words.items() if counts[n])
        return (
            f"<h3>Approve exactly this plan</h3>{self._needed(stage)}{names}"
            f"<p>{self.review.to_send} in "
            f"{markup.many(counts['calls'], 'call')}: {becomes}.</p>{mark}"
            f"<p>To approve, write <b>{visible(self.review.phrase)}</b> as the confirmation.</p>"
        )

    def _needed(self, stage: str) -> str:
        demand, lines = self.review.demand, []
        if planner := self.review.planner:
            lines.append(f"{planner} made this plan, so somebody else has to approve it.")
        if demand.reviewers > 1:
            lines.append(f"{demand.reviewers} reviewers have to approve it, each by name.")
        if demand.signers:
            lines.append(
                "Only signed approvals count: sharekit approve --sign KEY, in a shell; they show "
                "here by themselves."
            )
        if stage == "approving":
            lines.append("It is not approved by all that have to, so nothing is sent yet.")
        return "".join(markup.note(line, "calm") for line in lines)

    def _approve(self) -> None:
        yes = self.review.approve(self.name.value, self.phrase.value, note=self.note.value)
        self.phrase.value = self.note.value = ""
        if self.review.stage == "approving":
            self.name.value = ""
            self.panel.update()
            self.panel.say(f"{yes.reviewer} approved it. Somebody else has to approve it, too.")
            return
        self.panel.go(3)
        self.panel.say(f"{yes.reviewer} approved {self.review.to_send}. Nothing is sent yet.")

    def _revoke(self) -> None:
        self.review.revoke(self.note.value)
        self.panel.update()
        self.panel.say("The approval is taken back; rows can be decided again.")
