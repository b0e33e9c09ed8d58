"""The panel's first page: see rows, search, filter, sort, and decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

import ipywidgets as ui
import numpy as np
import pandas as pd

from sharekit.core.actions import DECISIONS, OWNER_ACTIONS, Decision
from sharekit.core.columns import is_owner_action, with_unit
from sharekit.core.html import escape_invisible, shorten
from sharekit.core.rules import RULES
from sharekit.interfaces.review_filters import Positions, RowFilter
from sharekit.interfaces.review_rows import STATES
from sharekit.interfaces.review_state import ReviewState

from . import table
from .controls import box, button, choice, row, show_errors, show_if, text
from .html_region import HtmlRegion
from .markup import note
from .model import PageHost, ReviewModel

_TIPS: Final = {
    "share": "Offer the image to the project", "unshare": "Take the share back",
    "skip": "Leave the share as it is", "": "Take the decision back",
}  # fmt: skip
_SELECTED, _SHOWN = "selected", "shown"
_NO_VAULT = "select full-ECS images of one project"
_PAGE_SIZE = 20
#: Projects in the list; more are found by the search.
_PROJECTS = 200
_ANYONE = "*"


class DecidePage:
    """Filters, the table, and the steps that a reviewer can take with its rows."""

    def __init__(self, host: PageHost) -> None:
        guard, act = show_errors(host.say), show_errors(host.say, host.update)
        rescope = show_errors(host.say, self.update)(self._offer_vaults)
        reselect = show_errors(host.say, self.update)(self._selection_changed)
        self.host, self.review = host, host.review
        self.filters = FilterBar(self.review.state, self.review.reviewer, guard(self._filter))
        self.table = RowsTable(self.review, guard, act(self._decide_row), reselect)
        self.scope = choice("For", [("selected rows", _SELECTED), ("all shown", _SHOWN)], "180px")
        self.scope.observe(lambda _: rescope(), "value")
        self.reason = text("Reason", "320px", placeholder="to reject, skip, or change")
        self.vaults = VaultList(act(self._set_vault))
        self.question = Question(act)
        self.decisions = {
            word: button(word.capitalize() or "As planned", partial(act(self._decide), word),
                         _TIPS.get(word, ""))
            for word in (*_possible_decisions(self.review.state), "skip", "")
        }  # fmt: skip
        self.undo = button("Undo", act(self._undo), "Take the last step back")
        self.replan = button("Update the plan", act(self._replan))
        steps = box(
            row(self.scope, *self.decisions.values(), self.reason),
            row(self.undo, self.replan, self.vaults.choice, self.vaults.button),
        )
        self.box = ui.VBox([self.filters.box, steps, self.question.box, self.table.region])

    def update(self) -> None:
        """Show the table, and enable the steps that are possible now."""
        gate = self.review.gate
        self.table.fixed = fixed = gate.stage != "deciding"
        self.table.show()
        for one in self.decisions.values():
            one.disabled = fixed
        some = self.table.selected or self.scope.value == _SHOWN
        self.vaults.button.disabled = fixed or not some
        self.undo.disabled = fixed or not gate.undoable_steps
        self.replan.disabled = fixed or not gate.pending_steps
        steps = with_unit(gate.pending_steps, "step")
        self.replan.description = (
            f"Update the plan ({steps})" if gate.pending_steps else "Plan is up to date"
        )

    def _filter(self) -> None:
        # Other rows are shown now, so "all shown" has to be chosen anew for them.
        self.scope.value = _SELECTED
        self.question.hide()
        self.table.filter(self.filters.apply(self.table.row_filter))

    def _selection_changed(self) -> None:
        self.scope.value = _SELECTED
        self.question.hide()
        self._offer_vaults()

    # -- deciding ----------------------------------------------------------------------------------
    def _decide_row(self, key: int, decision: Decision) -> None:
        try:
            self.review.decide(_named([key]), decision, reason=self.reason.value.strip())
            self.reason.value = ""
        finally:
            self.table.region.redraw()

    def _decide(self, decision: Decision) -> None:
        self.question.hide()
        reason, state = self.reason.value.strip(), self.review.state
        if self.scope.value == _SELECTED:
            self._ask_about_hidden(lambda keys: self._apply(keys, decision, reason))
            return
        shown = state.find(self.table.row_filter)
        others = state.wrong_role_rows(shown, decision)
        keys = np.setdiff1d(shown, others)
        decided = state.decided_rows(keys)
        also = f" {with_unit(len(others), 'row')} of the other side of a share stay as they are."
        step = partial(
            self._apply, decision=decision, reason=reason, also=also if len(others) else ""
        )
        if not len(decided):
            step(keys)
            return
        self.question.ask(
            f"{len(decided):,} of the {len(shown):,} rows shown were decided explicitly, and keep "
            f"that unless you overwrite it. Which become “{decision or 'as planned'}”?",
            {"Overwrite them too": keys, "Only the others": np.setdiff1d(keys, decided)}, step,
        )  # fmt: skip

    def _ask_about_hidden(self, step: Callable[[Positions], None]) -> None:
        """Take a step with the rows that are selected; ask first if some of them are not shown."""
        selected = np.array(sorted(self.table.selected), dtype="int64")
        hidden = self.table.hidden_rows()
        if not len(selected):
            self.host.say("Select rows first, or choose “all shown”.", "warn")
        elif not len(hidden):
            step(selected)
        else:
            self.question.ask(
                f"{len(hidden):,} of the {len(selected):,} selected rows are not shown by these "
                "filters. Which rows do you mean?",
                {"All selected": selected, "Only those shown": np.setdiff1d(selected, hidden)},
                step,
            )

    def _apply(self, keys: Positions, decision: Decision, reason: str, also: str = "") -> None:
        count = self.review.decide(_named(keys), decision, reason=reason) if len(keys) else 0
        # Each decision has its own reason and its own rows.
        self.reason.value, self.scope.value = "", _SELECTED
        self.host.say(
            f"{with_unit(count, 'row')}: {decision or 'as planned'}. Written into the ledger.{also}"
        )

    def _undo(self) -> None:
        count = self.review.undo()
        self.host.say(f"The last step, on {with_unit(count, 'row')}, is taken back.")

    def _replan(self) -> None:
        fingerprint = self.review.replan().fingerprint
        self.host.say(f"The plan is made again; its fingerprint is {fingerprint[:12]}.")

    # -- vaults ------------------------------------------------------------------------------------
    def _vault_rows(self) -> Positions:
        state, selected = self.review.state, sorted(self.table.selected)
        shown = self.scope.value == _SHOWN
        return state.full_ecs_rows(state.find(self.table.row_filter) if shown else selected)

    def _offer_vaults(self) -> None:
        self.vaults.offer(self.review.state, self._vault_rows())

    def _set_vault(self, vault: str) -> None:
        self.question.hide()
        if not vault:
            self.host.say("Select full-ECS images of one project, then one of its vaults.", "warn")
        elif self.scope.value == _SHOWN:
            keys = self._vault_rows()
            given = (self.review.state.rows["vault"].take(keys) != "").to_numpy()
            self._give_vault(keys[~given], vault, int(given.sum()))
        else:
            full = self.review.state.full_ecs_rows
            self._ask_about_hidden(lambda keys: self._give_vault(full(keys), vault))

    def _give_vault(self, keys: Positions, vault: str, kept: int = 0) -> None:
        count = self.review.decide(_named(keys), vault_id=vault) if len(keys) else 0
        self.scope.value = _SELECTED
        spared = f" {with_unit(kept, 'row')} had one from a reviewer and kept it." if kept else ""
        self.host.say(
            f"{with_unit(count, 'row')} got this vault; update the plan to check again.{spared}"
        )


class FilterBar:
    """The fields that narrow the table: each sets the field of :class:`.RowFilter` it is named by.

    ``decided`` is one field for two: by anyone, or by this reviewer.
    """

    def __init__(self, state: ReviewState, reviewer: str, on_change: Callable[[], None]) -> None:
        plan = state.plan
        sizes = plan.rows["project_id"].value_counts()
        ids = sizes.index[:_PROJECTS].drop("", errors="ignore")
        projects = sorted(
            (state.project_labels.get(p, shorten(escape_invisible(p))), p) for p in ids
        )
        everything = "all" if len(sizes) <= _PROJECTS else f"all (the {_PROJECTS} largest follow)"
        states = sorted(set(plan.rows["before"].unique()) - {""})
        hit = set(plan.findings.frame["rule"].unique())
        rules = [("all rows", ""), ("with a finding", "any"), *_same(r for r in RULES if r in hit)]
        deciders = [("all rows", ""), ("by anyone", _ANYONE)]
        if name := reviewer.strip():
            deciders.append((f"by me, {escape_invisible(name)[:30]}", name))
        self.fields = {
            "text": text("Search", placeholder="ID, name, owner, reason; then Enter"),
            "project": choice("Project", [(everything, ""), *projects]),
            "decision": choice("Decision", [("any", ""), *_same((*DECISIONS, "skip"))], "150px"),
            "state": choice("Row", [("any", ""), *_same(STATES)], "150px"),
            "before": choice("In the cloud", [("any", ""), *_same(states)], "190px"),
            "finding": choice("Finding", rules),
            "decided": choice("Decided", deciders, "190px"),
        }
        for field in self.fields.values():
            field.observe(lambda _: on_change(), "value")
        self.box = row(*self.fields.values(), button("Clear filters", self.clear))

    def apply(self, row_filter: RowFilter) -> RowFilter:
        """Return the filter that the fields say, in the order of the given one."""
        values = {name: field.value for name, field in self.fields.items()}
        decided = values.pop("decided")
        return replace(row_filter, **values, changed=decided == _ANYONE, by=decided.strip(_ANYONE))

    def clear(self) -> None:
        """Show all rows."""
        for field in self.fields.values():
            field.value = ""


class RowsTable:
    """The table: which page of which rows is shown, which are selected, which is open."""

    def __init__(
        self, review: ReviewModel, guard: Callable[[Callable[..., None]], Callable[..., None]],
        on_decide: Callable[[int, Decision], None], on_select: Callable[[], None],
    ) -> None:  # fmt: skip
        self.row_filter, self.fixed = RowFilter(), False
        self.selected: set[int] = set()
        self.region = HtmlRegion(on_event=guard(self._on_event))
        self._review, self._on_decide, self._on_select = review, on_decide, on_select
        self._number, self._opened = 0, -1

    def show(self) -> None:
        """Show the page."""
        state = self._review.state
        page = state.page(self.row_filter, self._number, _PAGE_SIZE)
        self._number, details = page.number, ""
        if self._opened in page.rows.index:
            details = table.row_details(state.row(self._opened))
        self.region.html = table.rows_table(
            page, self.row_filter, self.selected, state.project_labels, opened=self._opened,
            details=details, fixed=self.fixed, hidden=len(self.hidden_rows()),
        )  # fmt: skip

    def hidden_rows(self) -> Positions:
        """Return the rows that are selected and that the filters do not show, on any page."""
        selected = np.array(sorted(self.selected), dtype="int64")
        if not len(selected):
            return selected
        return np.setdiff1d(selected, self._review.state.find(self.row_filter))

    def filter(self, row_filter: RowFilter) -> None:
        """Show the first page of the rows that a filter shows."""
        self.row_filter, self._number = row_filter, 0
        self.show()

    def _on_event(self, action: str, key: str, value: Any) -> None:
        if action == "decide":
            self._on_decide(int(key), cast("Decision", str(value)))
        elif action in ("select", "page-select"):
            page = self._review.state.page(self.row_filter, self._number, _PAGE_SIZE)
            keys = {int(key)} if action == "select" else set(map(int, page.rows.index))
            self.selected = self.selected | keys if value else self.selected - keys
            self._on_select()
        elif action == "sort":
            self._sort(key)
        elif action == "page":
            self._number = int(key)
            self.show()
        elif action == "open":
            self._opened = -1 if self._opened == int(key) else int(key)
            self.show()
        else:
            raise KeyError(action)

    def _sort(self, column: str) -> None:
        # Ascending, then descending, then the input's order.
        again = self.row_filter.sort == column
        if again and self.row_filter.descending:
            self.filter(replace(self.row_filter, sort="", descending=False))
        else:
            self.filter(replace(self.row_filter, sort=column, descending=again))


class VaultList:
    """The vaults that the chosen rows can go to."""

    def __init__(self, on_choice: Callable[[str], None]) -> None:
        self.choice = choice("Vault", [(_NO_VAULT, "")], "340px")
        self.button = button("Set vault", lambda: on_choice(self.choice.value))

    def offer(self, state: ReviewState, rows: Positions) -> None:
        """Offer the vaults of the rows' project, if it is one."""
        projects = state.plan.rows["project_id"].take(rows).unique()
        if len(projects) != 1:
            self.choice.options = [(_NO_VAULT, "")]
            return
        vaults = state.vaults(str(projects[0]))
        lines = zip(vaults["name"], vaults["free"], vaults["vault_id"], strict=True)
        options = [
            (f"{shorten(escape_invisible(name), 40)}, {_room(free)}", str(key))
            for name, free, key in lines
        ]
        self.choice.options = options or [("the project has no suitable vault", "")]


class Question:
    """Asked before a step reaches rows that a person may not mean; it names the rows it is about.

    What is shown and selected when the answer comes does not matter.
    """

    def __init__(self, act: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
        self._rows: list[Positions] = []
        self._step: Callable[[Positions], None] = lambda _: None
        self.text = HtmlRegion()
        self.overwrite = button("", partial(act(self._answer), 0), style="danger")
        self.spare = button("", partial(act(self._answer), 1), style="primary")
        self.leave = button("Do nothing", self.hide)
        self.box = box(self.text, row(self.overwrite, self.spare, self.leave))
        self.hide()

    def ask(
        self, text: str, answers: Mapping[str, Positions], step: Callable[[Positions], None]
    ) -> None:
        """Show a question with two answers, each with the rows that it means."""
        self.text.html = note(text)
        self.overwrite.description, self.spare.description = answers
        self._rows, self._step = list(answers.values()), step
        show_if(self.box, shown=True)

    def _answer(self, number: int) -> None:
        self.hide()
        self._step(self._rows[number])

    def hide(self) -> None:
        """Do nothing."""
        show_if(self.box, shown=False)


def _possible_decisions(state: ReviewState) -> list[Decision]:
    """Return the decisions that rows of this plan may need: of one role, or of both."""
    owners = is_owner_action(state.rows["asked"])
    roles = {True: owners.any(), False: not owners.all() or owners.empty}
    return [word for word, action in DECISIONS.items() if roles[action in OWNER_ACTIONS]]


def _same(words: Any) -> list[tuple[str, str]]:
    return [(word, word) for word in words]


def _room(free: float) -> str:
    return f"{free:,.0f} GB free" if math.isfinite(free) else "grows by itself"


def _named(keys: Sequence[int] | Positions) -> pd.Index:
    """Return keys as such, so that they are taken for no labels of a DataFrame."""
    return pd.Index(keys, name="row_key")
