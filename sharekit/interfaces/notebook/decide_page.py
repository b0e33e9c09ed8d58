"""The panel's first page: see rows, search, filter, sort, and decide."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets as ui

from sharekit.core.actions import DECISIONS, OWNER_ACTIONS
from sharekit.core.columns import is_owner_action
from sharekit.core.html import plain
from sharekit.core.rules import RULES
from sharekit.interfaces.review_filters import Query

from . import markup, table
from .controls import Owner, button, choice, guarded, row, text
from .html_region import Live
from .markup import many

_DECISIONS = [("any", ""), *((word, word) for word in (*DECISIONS, "skip"))]
_STATES = [
    ("any", ""),
    *((s, s) for s in ("planned", "already", "blocked", "duplicate", "skipped")),
]
_TIPS = {"share": "Offer the image to the project", "unshare": "Take the share back"}
_SELECTED, _SHOWN = "selected", "shown"
_NO_VAULT = "select full-ECS images of one project"
_SIZE = 20
#: Projects in the list; more are found by the search.
_PROJECTS = 200
_ANYONE = "*"


class Deciding:
    """Filters, the table, and what can be done with its rows."""

    def __init__(self, panel: Owner) -> None:
        self.panel, self.review = panel, panel.review
        self.query, self.number = Query(), 0
        self.selected: set[int] = set()
        self.opened = ""
        guard = guarded(panel.say)
        self._filter, self._set = guard(self._filtered), guard(self._decide)
        self._redo, self._choose = guard(self._decide_anyway), guard(self._give_vault)
        self._rescope = guard(self._selection_changed)
        self._back, self._again = guard(self._undo), guard(self._remake)
        self.grid = Live(heard=guard(self._heard))
        self._waiting: str | None = None
        self._make_filters()
        self._make_steps()
        self.box = ui.VBox([self.filters, self.steps, self.question, self.grid])

    # -- building ------------------------------------------------------------------------------
    def _make_filters(self) -> None:
        plan = self.review.plan
        sizes = plan.rows["project_id"].value_counts()
        projects = sorted(set(sizes.index[:_PROJECTS]) - {""})
        all_of_them = "all" if len(sizes) <= _PROJECTS else f"all (the {_PROJECTS} largest follow)"
        hit = set(plan.findings.frame["rule"].unique())
        rules = [rule for rule in RULES if rule in hit]
        self.search = text("Search", placeholder="ID, name, owner, reason; then Enter")
        self.project = choice(
            "Project", [(all_of_them, ""), *((plain(p)[:60], p) for p in projects)]
        )
        self.decision = choice("Decision", _DECISIONS, "150px")
        self.state = choice("Row", _STATES, "150px")
        found = [("all rows", ""), ("with a finding", "any"), *((r, r) for r in rules)]
        self.finding = choice("Finding", found)
        states = sorted(set(plan.rows["before"].unique()) - {""})
        self.before = choice("In the cloud", [("any", ""), *((s, s) for s in states)], "190px")
        who = [("all rows", ""), ("by anyone", _ANYONE)]
        if me := self.review.reviewer.strip():
            who.append((f"by me, {plain(me)[:30]}", me))
        self.changed = choice("Decided", who, "190px")
        fields = (
            self.search, self.project, self.decision, self.state, self.before, self.finding,
            self.changed,
        )  # fmt: skip
        for field in fields:
            field.observe(lambda _: self._filter(), "value")
        self.filters = row(*fields, button("Clear filters", self._clear))

    def _make_steps(self) -> None:
        self.scope = choice("For", [("selected rows", _SELECTED), ("all shown", _SHOWN)], "180px")
        self.scope.observe(lambda _: self._rescope(), "value")
        self.reason = text("Reason", "320px", placeholder="needed against the inventory")
        self.sided = self._sides()
        self.skip = button("Skip", lambda: self._set("skip"), "Leave the share as it is")
        self.as_planned = button("As planned", lambda: self._set(""), "Take the decision back")
        self.undo = button("Undo", self._back, "Take the last step back")
        self.remake = button("Update the plan", self._again)
        self.vault = choice("Vault", [(_NO_VAULT, "")], "340px")
        self.give = button("Set vault", self._choose)
        self.steps = ui.VBox(
            [
                row(self.scope, *self.sided.values(), self.skip, self.as_planned, self.reason),
                row(self.undo, self.remake, self.vault, self.give),
            ]
        )
        self.steps.add_class("sk-box")
        self.asked = Live()
        self.overwrite = button(
            "Overwrite them too", lambda: self._redo(overwrite=True), style="danger"
        )
        self.spare = button("Only the others", lambda: self._redo(overwrite=False), style="primary")
        self.leave = button("Do nothing", self._drop)
        self.question = ui.VBox([self.asked, row(self.overwrite, self.spare, self.leave)])
        self.question.add_class("sk-box")
        self.question.layout.display = "none"

    def _sides(self) -> dict[str, ui.Button]:
        """A button for each decision that a row of this plan may need; of one side or of both."""
        asked = self.review.frame["asked"]
        owners = is_owner_action(asked)
        decisions = [
            word for word, act in DECISIONS.items()
            if (owners.any() if act in OWNER_ACTIONS else not owners.all() or not len(owners))
        ]  # fmt: skip
        return {
            word: button(word.capitalize(), partial(self._set, word), _TIPS.get(word, ""))
            for word in decisions
        }

    # -- showing -------------------------------------------------------------------------------
    def update(self) -> None:
        """Show the table and what can be done now."""
        self._table()
        fixed = self._fixed
        for one in (*self.sided.values(), self.skip, self.as_planned):
            one.disabled = fixed
        self.give.disabled = fixed or not (self.selected or self.scope.value == _SHOWN)
        self.undo.disabled = fixed or not self.review.steps
        stale = self.review.stale
        self.remake.disabled = fixed or not stale
        self.remake.description = (
            f"Update the plan ({many(stale, 'step')})" if stale else "Plan is up to date"
        )

    def _table(self) -> None:
        page = self.review.page(self.query, self.number, _SIZE)
        self.number = page.number
        full = ""
        if self.opened and int(self.opened) in page.rows.index:
            full = f"{self.opened}\n{table.full_row(self.review.row(int(self.opened)))}"
        self.grid.html = table.page(page, self.query, self.selected, full, fixed=self._fixed)

    @property
    def _fixed(self) -> bool:
        return bool(self.review.read_only) or self.review.stage != "deciding"

    # -- what is heard ---------------------------------------------------------------------------
    def _heard(self, what: str, key: str, value: Any) -> None:
        acts = {
            "sort": self._sort, "page": self._turn, "open": self._open, "select": self._select,
            "page-select": self._select_page, "decide": self._decide_one,
        }  # fmt: skip
        acts[what](key, value)

    def _sort(self, key: str, _: Any) -> None:
        again = self.query.sort == key
        if again and self.query.descending:
            self.query = replace(self.query, sort="", descending=False)
        else:
            self.query = replace(self.query, sort=key, descending=again)
        self.number = 0
        self._table()

    def _turn(self, key: str, _: Any) -> None:
        self.number = int(key)
        self._table()

    def _open(self, key: str, _: Any) -> None:
        self.opened = "" if self.opened == key else key
        self._table()

    def _select(self, key: str, on: Any) -> None:
        (self.selected.add if on else self.selected.discard)(int(key))
        self._selection_changed()

    def _select_page(self, _: str, on: Any) -> None:
        keys = {int(k) for k in self.review.page(self.query, self.number, _SIZE).rows.index}
        self.selected = self.selected | keys if on else self.selected - keys
        self._selection_changed()

    def _selection_changed(self) -> None:
        self._offer_vaults()
        self.update()

    def _decide_one(self, key: str, value: Any) -> None:
        try:
            self.review.decide([int(key)], str(value), reason=self._reason_for(str(value)))
        finally:
            self.panel.update()
            self.grid.redraw()

    def _filtered(self) -> None:
        self.query = replace(
            self.query, text=self.search.value, project=self.project.value,
            decision=self.decision.value, state=self.state.value, finding=self.finding.value,
            before=self.before.value, changed=self.changed.value == _ANYONE,
            by=self.changed.value.strip(_ANYONE),
        )  # fmt: skip
        self.number = 0
        if self.scope.value == _SHOWN:
            self._offer_vaults()
        self._table()

    def _clear(self) -> None:
        self.search.value = self.project.value = self.decision.value = ""
        self.state.value = self.finding.value = self.before.value = self.changed.value = ""

    # -- deciding ------------------------------------------------------------------------------
    def _reason_for(self, decision: str) -> str | None:
        if not decision:
            return ""
        return self.reason.value.strip() or None

    def _decide(self, decision: str) -> None:
        if self.scope.value == _SELECTED:
            if not self.selected:
                self.panel.say("Select rows first, or choose “all shown”.", "warn")
                return
            count = self.review.decide(
                sorted(self.selected), decision, reason=self._reason_for(decision)
            )
            self._done(count, decision)
        elif explicit := self.review.explicit(self.query):
            self._ask(decision, explicit)
        else:
            self._decide_shown(decision, overwrite=False)

    def _ask(self, decision: str, explicit: int) -> None:
        self._waiting = decision
        self.asked.html = markup.note(
            f"{explicit:,} of the {len(self.review.find(self.query)):,} rows shown were decided "
            f"explicitly, and keep that unless you overwrite it. Which become "
            f"“{decision or 'as planned'}”?"
        )
        self.question.layout.display = ""

    def _drop(self) -> None:
        self._waiting = None
        self.question.layout.display = "none"

    def _decide_anyway(self, *, overwrite: bool) -> None:
        decision = self._waiting
        self._drop()
        if decision is not None:
            self._decide_shown(decision, overwrite=overwrite)

    def _decide_shown(self, decision: str, *, overwrite: bool) -> None:
        reason = self._reason_for(decision)
        others = len(self.review.other_side(self.query, decision))
        count = self.review.decide_shown(self.query, decision, reason=reason, overwrite=overwrite)
        left = f" {many(others, 'row')} of the other side of a share stay as they are."
        self._done(count, decision, left if others else "")

    def _done(self, count: int, decision: str, also: str = "") -> None:
        self.panel.update()
        self.panel.say(
            f"{many(count, 'row')}: {decision or 'as planned'}. Written into the ledger.{also}"
        )

    def _undo(self) -> None:
        count = self.review.undo()
        self.panel.update()
        self.panel.say(f"The last step, on {many(count, 'row')}, is taken back.")

    def _remake(self) -> None:
        made = self.review.remake()
        self.panel.update()
        self.panel.say(f"The plan is made anew; its fingerprint is {made.fingerprint[:12]}.")

    # -- vaults --------------------------------------------------------------------------------
    def _vault_rows(self) -> list[int]:
        shown = self.scope.value == _SHOWN
        table = self.review.find(self.query) if shown else sorted(self.selected)
        return [int(key) for key in self.review.full_images(table)]

    def _offer_vaults(self) -> None:
        keys = self._vault_rows()
        projects = self.review.plan.rows["project_id"].take(keys).unique()
        if len(projects) != 1:
            self.vault.options = [(_NO_VAULT, "")]
            return
        found = self.review.vaults(str(projects[0]))
        lines = zip(found["name"], found["free"], found["vault_id"], strict=True)
        options = [(f"{plain(name)[:40]}, {_room(free)}", str(one)) for name, free, one in lines]
        self.vault.options = options or [("the project has no suitable vault", "")]

    def _give_vault(self) -> None:
        if not self.vault.value:
            self.panel.say("Select full-ECS images of one project, then one of its vaults.", "warn")
            return
        keys, kept = self._vault_rows(), 0
        if self.scope.value == _SHOWN:
            given = self.review.frame["vault"].take(keys) != ""
            keys, kept = given.index[~given].tolist(), int(given.sum())
        count = self.review.decide(keys, vault_id=self.vault.value) if keys else 0
        self.panel.update()
        spared = f" {many(kept, 'row')} had one from a reviewer and kept it." if kept else ""
        self.panel.say(
            f"{many(count, 'row')} got this vault; update the plan to check again.{spared}"
        )


def _room(free: float) -> str:
    return f"{free:,.0f} GB free" if math.isfinite(free) else "grows by itself"
