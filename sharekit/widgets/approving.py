"""The panel's third page: a name, a phrase, and the approval."""

from __future__ import annotations

import ipywidgets as ui

from ..display import visible
from . import markup
from .live import Live
from .parts import Owner, button, guarded, row, text


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
        may = stage == "deciding" and not self.review.read_only and counts["images"] > 0
        self.form.layout.display = "" if stage == "deciding" else "none"
        self.take_back.layout.display = "" if stage == "approved" else "none"
        self.approve.disabled = not may
        self.revoke.disabled = bool(self.review.read_only)
        self.told.html = self._words(stage)

    def _words(self, stage: str) -> str:
        plan, counts = self.review.plan, self.review.counts
        mark = f"<p>Fingerprint <code>{visible(plan.fingerprint)}</code></p>"
        if stage != "deciding":
            told = {"approved": "This very plan is approved, and its rows are fixed.",
                    "sending": "This plan is approved, and being sent.",
                    "finished": "This plan was approved and sent."}[stage]  # fmt: skip
            return f"<h3>Approved</h3>{markup.note(told, 'good')}{mark}"
        if not counts["images"]:
            return markup.note("The plan sends nothing, so there is nothing to approve.")
        return (
            f"<h3>Approve exactly this plan</h3><p>{counts['images']:,} images in "
            f"{counts['calls']:,} calls: {counts['accept']:,} accepted, {counts['reject']:,} "
            f"rejected.</p>{mark}<p>To approve, write <b>{visible(self.review.phrase)}</b> as the "
            "confirmation.</p>"
        )

    def _approve(self) -> None:
        yes = self.review.approve(self.name.value, self.phrase.value, note=self.note.value)
        self.phrase.value = ""
        self.panel.go(3)
        self.panel.say(f"{yes.reviewer} approved {yes.images:,} images. Nothing is sent yet.")

    def _revoke(self) -> None:
        self.review.revoke(self.note.value)
        self.panel.update()
        self.panel.say("The approval is taken back; rows can be decided again.")
