"""How the panel decides: which rows a button means, questions before it, reasons, undo and redo."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from sharekit.core.actions import DECISIONS, OWNER_ACTIONS, Decision
from sharekit.core.columns import is_owner_action, with_unit
from sharekit.core.html import shorten
from sharekit.interfaces.review_filters import Positions

from .columns import image_sizes
from .grid import Grid
from .grid_menu import dialog
from .model import PageHost
from .tree import Tree, button, field, h, note, table

_VERBS: Final = {
    "accept": "Accept", "reject": "Reject", "share": "Share", "unshare": "Take back",
    "skip": "Skip", "": "As planned:",
}  # fmt: skip
_CLASSES: Final = {"reject": "sk-danger", "unshare": "sk-danger"}
#: Reasons that can be chosen again, and projects whose vaults are listed.
_REASONS, _PROJECTS = 8, 200


@dataclass(frozen=True)
class Target:
    """Rows that a step is about, by key, and what they are called."""

    keys: Positions
    name: str


@dataclass(frozen=True)
class Step:
    """A step that was taken: its words, the event it became, and how to take it again."""

    words: str
    event: int
    again: Callable[[], int]


class Deciding:
    """The buttons above the grid; every step is a call of the review."""

    def __init__(self, host: PageHost, grid: Grid) -> None:
        self.host, self.grid = host, grid
        owners = is_owner_action(host.review.state.rows["asked"])
        roles = {True: owners.any(), False: not owners.all() or owners.empty}
        possible = [word for word, action in DECISIONS.items() if roles[action in OWNER_ACTIONS]]
        self.words: list[str] = [*possible, "skip", ""]
        self._question: tuple[str, dict[str, Callable[[], None]]] | None = None
        self._pending: tuple[str, Target] | None = None
        self._done, self._undone = list[Step](), list[Step]()
        given = host.review.state.changes["reason"].unique()
        self._reasons, self._asked = [str(r) for r in given if r][-_REASONS:][::-1], 0
        self._vaults = False

    # -- events ------------------------------------------------------------------------------------
    def on_event(self, do: str, key: str, event: Mapping[str, Any]) -> bool:
        """Take one step of the page; return False if it is none of this."""
        steps: dict[str, Callable[[], None]] = {
            "decide": lambda: self._click(key, event),
            "letter": lambda: self._letter(key, event),
            "confirm": lambda: self._confirm(event),
            "leave": self.leave,
            "answer": lambda: self._answer(key),
            "undo": self._undo, "redo": self._redo, "replan": self._replan,
            "vaults": self._toggle_vaults,
            "own_vaults": lambda: self._give(self._only_vaults()),
            "give_vaults": lambda: self._give(self._chosen_vaults(event["form"])),
        }  # fmt: skip
        if do not in steps:
            return False
        steps[do]()
        return True

    def leave(self) -> None:
        """Ask nothing any more, where other rows are selected or shown now."""
        self._question = self._pending = None

    def _toggle_vaults(self) -> None:
        self._vaults = not self._vaults

    def _click(self, word: str, event: Mapping[str, Any]) -> None:
        # A click that was under way while other rows came means those that its button named.
        if event["value"] not in ("", self.grid.version):
            self.host.say("Other rows are shown or selected now: look, and click again.", "warn")
            return
        self._decide(word, self._target(), event)

    def _letter(self, letter: str, event: Mapping[str, Any]) -> None:
        if letter == "u":
            self._undo()
            return
        word = self.words["ar".index(letter)] if letter in "ar" else "skip"
        target, at = self._target(), event["value"]
        if not self.grid.selected.any():  # a key means the line where one is, never all of them
            group, key = int(at["group"]), int(at["key"])
            keys = self.grid.lines.of_group(group) if group >= 0 else np.array([key])
            name = f" of {self.grid.lines.groups[group] or 'no value'}" if group >= 0 else ""
            target = Target(keys, with_unit(len(keys), "row") + name)
        self._decide(word, target, event)

    # -- deciding ----------------------------------------------------------------------------------
    def _target(self) -> Target:
        chosen = self.grid.chosen()
        of = f" of {shorten(self.grid.picked, 40)}" if self.grid.picked else ""
        if len(chosen):
            return Target(chosen, with_unit(len(chosen), "row") + of)
        return Target(self.grid.lines.rows, f"all {len(self.grid.lines.rows):,} shown")

    def _decide(self, word: str, target: Target, event: Mapping[str, Any]) -> None:
        self.leave()
        if word not in self.words:
            raise KeyError(word)
        reason = str(event["form"].get("reason", "")).strip()
        state, hidden = self.host.review.state, self.grid.hidden()
        if not len(target.keys):
            self.host.say("No row is shown, so none is decided.", "warn")
        elif self.grid.selected.any() and len(hidden):
            seen = np.setdiff1d(target.keys, hidden)
            self._ask(
                f"{len(hidden):,} of the {len(target.keys):,} selected rows are not shown by these "
                "filters. Which rows do you mean?", word, reason,
                {"All selected": target.keys, "Only those shown": seen},
            )  # fmt: skip
        elif target.name.startswith("all "):
            keys = np.setdiff1d(target.keys, state.wrong_role_rows(target.keys, word))
            decided = state.decided_rows(keys)
            if not len(decided):
                self._take(word, Target(keys, target.name), reason)
                return
            self._ask(
                f"{len(decided):,} of the {len(target.keys):,} rows shown were decided explicitly, "
                f"and keep that unless you overwrite it. Which become “{word or 'as planned'}”?",
                word, reason,
                {"Overwrite them too": keys, "Only the others": np.setdiff1d(keys, decided)},
            )  # fmt: skip
        else:
            self._take(word, target, reason)

    def _ask(self, text: str, word: str, reason: str, answers: Mapping[str, Positions]) -> None:
        steps: dict[str, Callable[[], None]] = {}
        for name, keys in answers.items():
            target = Target(keys, with_unit(len(keys), "row"))
            steps[f"{name}: {target.name}"] = partial(self._take, word, target, reason)
        self._question = text, steps

    def _answer(self, key: str) -> None:
        if self._question is not None:
            step = list(self._question[1].values())[int(key)]
            self.leave()
            step()

    def _take(self, word: str, target: Target, reason: str) -> None:
        """Decide on rows, or ask for the reason that they need first."""
        decision = cast("Decision", word)
        if not len(target.keys):
            self.host.say("That are no rows, so nothing is decided.", "warn")
        elif not reason and self.host.review.needs_reason(_named(target.keys), decision):
            self._pending = word, target
            self._asked += 1
        else:
            self._record(f"{_VERBS[word]} {target.name}",
                         partial(self.host.review.decide, _named(target.keys), decision,
                                 reason=reason))  # fmt: skip
            self._use(reason)

    def _confirm(self, event: Mapping[str, Any]) -> None:
        reason = str(event["form"].get("reason", "")).strip()
        if self._pending is None:
            return
        word, target = self._pending
        if not reason:
            self.host.say("Write a reason first.", "warn")
            return
        self.leave()
        self._take(word, target, reason)

    def _use(self, reason: str) -> None:
        if reason:
            self._reasons = [reason, *(r for r in self._reasons if r != reason)][:_REASONS]
        self._asked += 1  # the field is a new one, and empty: each decision has its own reason
        self.grid.unselect()

    def _record(self, words: str, again: Callable[[], int]) -> None:
        count = again()
        self._done.append(Step(words, self._last_event(), again))
        self._undone.clear()
        self.host.say(f"{words}: written into the ledger ({with_unit(count, 'row')}).")

    def _last_event(self) -> int:
        steps = self.host.review.state.steps
        return steps[-1] if steps else 0

    # -- back and forth ----------------------------------------------------------------------------
    def _undo(self) -> None:
        self.leave()
        mine = bool(self._done) and self._done[-1].event == self._last_event()
        count = self.host.review.undo()
        if mine:
            self._undone.append(self._done.pop())
        self.host.say(f"The last step, on {with_unit(count, 'row')}, is taken back.")

    def _redo(self) -> None:
        self.leave()
        if self._undone:
            step, rest = self._undone[-1], self._undone[:-1]
            self._record(step.words, step.again)
            self._undone = rest

    def _replan(self) -> None:
        fingerprint = self.host.review.replan().fingerprint
        self.host.say(f"The plan is made again; its fingerprint is {fingerprint[:12]}.")

    # -- vaults ------------------------------------------------------------------------------------
    def _lacking(self) -> dict[str, Positions]:
        """Return the rows that need a vault and have none, by project."""
        state = self.host.review.state
        keys = state.full_ecs_rows(np.arange(len(state.plan.rows)))
        rows = state.rows.take(keys)
        rows = rows[(rows["wanted"] == "accept") & (rows["vault"] == "") & (rows["vault_id"] == "")]
        grouped = rows.groupby("project_id", sort=True).groups
        return {str(project): np.asarray(keys) for project, keys in grouped.items()}

    def _fitting(self, project: str, keys: Positions) -> tuple[pd.DataFrame, int]:
        """Return a project's vaults with room enough, and the GB that rows need at least."""
        state = self.host.review.state
        need = int(image_sizes(state).take(keys).sum())
        vaults = state.vaults(project)
        return vaults[~(vaults["free"] < need)], need

    def _only_vaults(self) -> dict[str, str]:
        fitting = {project: self._fitting(project, keys)[0]["vault_id"]
                   for project, keys in self._lacking().items()}  # fmt: skip
        return {project: str(ids.iloc[0]) for project, ids in fitting.items() if len(ids) == 1}

    def _chosen_vaults(self, form: Mapping[str, Any]) -> dict[str, str]:
        chosen = {}
        for number, (project, keys) in enumerate(self._lacking().items()):
            vault = str(form.get(f"vault-{number}", ""))
            if vault and vault in set(self._fitting(project, keys)[0]["vault_id"]):
                chosen[project] = vault
        return chosen

    def _give(self, vaults: Mapping[str, str]) -> None:
        rows = {project: keys for project, keys in self._lacking().items() if project in vaults}
        if not rows:
            self.host.say("Choose a vault first.", "warn")
            return
        keys = np.concatenate(list(rows.values()))
        given = [vaults[project] for project, of in rows.items() for _ in of]
        frame = pd.DataFrame({"row_key": keys, "vault_id": given})
        words = f"Vaults for {with_unit(len(keys), 'row')} of {with_unit(len(rows), 'project')}"
        self._record(words, partial(self.host.review.decide, frame))
        self._vaults = False

    # -- what is seen ------------------------------------------------------------------------------
    def bar(self, *, fixed: bool) -> list[Tree]:
        """Return the buttons, each with what it will do and to how many rows."""
        gate, target = self.host.review.gate, self._target()
        buttons = [
            button(f"{_VERBS[word]} {target.name}", "decide", word, disabled=fixed,
                   value=self.grid.version, classes=_CLASSES.get(word, ""))
            for word in self.words
        ]  # fmt: skip
        reason = field("Reason", "reason", id=f"reason-{self._asked}", enter="confirm",
                       placeholder="to reject, skip, change", list="sk-reasons",
                       focus=f"reason {self._asked}" if self._pending else None)  # fmt: skip
        last = h("datalist", (h("option", value=one) for one in self._reasons), id="sk-reasons")
        return [
            h("div.sk-row", buttons, reason, last,
              self._back_and_forth(fixed=fixed, undoable=gate.undoable_steps),
              button(f"Update the plan ({with_unit(gate.pending_steps, 'step')})", "replan")
              if gate.pending_steps and not fixed else None,
              button("Vaults", "vaults", disabled=fixed, aria_expanded=str(self._vaults).lower()),
              button("Keys (?)", "help")),
            h("div", self._asking()),
            h("div", self._vault_table() if self._vaults and not fixed else None),
        ]  # fmt: skip

    def _back_and_forth(self, *, fixed: bool, undoable: int) -> list[Tree]:
        mine = self._done and self._done[-1].event == self._last_event()
        undo = f"Undo: {self._done[-1].words}" if mine else "Undo the last step"
        redo = f"Redo: {self._undone[-1].words}" if self._undone else "Redo"
        return [
            button(undo if undoable else "Undo", "undo", disabled=fixed or not undoable),
            button(redo, "redo", disabled=fixed or not self._undone),
        ]

    def _asking(self) -> Tree | None:
        leave = button("Do nothing", "leave")
        if self._pending is not None:
            word, target = self._pending
            what = f"{_VERBS[word]} {target.name}"
            return h("div.sk-dialog", h("p", f"{what}: write the reason above, then press Enter."),
                     button(what, "confirm", classes="sk-danger"), " ", leave)  # fmt: skip
        if self._question is not None:
            text, answers = self._question
            steps = [button(name, "answer", n) for n, name in enumerate(answers)]
            return h("div.sk-dialog", note(text), h("div.sk-row", steps, leave))
        return None

    def _vault_table(self) -> Tree:
        lacking, labels = self._lacking(), self.host.review.state.project_labels
        if not lacking:
            return dialog("Vaults", h("p", "No row that would be accepted lacks a vault."))
        lines: list[Sequence[Any]] = []
        for number, (project, keys) in enumerate(list(lacking.items())[:_PROJECTS]):
            vaults, need = self._fitting(project, keys)
            facts = zip(vaults["vault_id"], vaults["name"], vaults["free"], strict=True)
            options = [h("option", f"{shorten(name, 40)}, {_room(free)}", value=str(vault))
                       for vault, name, free in facts]  # fmt: skip
            name = labels.get(project, project)
            choice = h("select", h("option", "choose …", value="none"), options,
                       name=f"vault-{number}", aria_label=f"Vault of {name}")  # fmt: skip
            takes = f"at least {need:,} GB" if need else "not known"
            lines.append((name, len(keys), takes, choice if options else "none that fits"))
        single = self._only_vaults()
        rows = sum(len(lacking[project]) for project in single)
        return dialog(
            "Vaults for full-ECS images",
            table(("Project", "Rows", "They need", "Vault with room"), lines, "Vaults by project"),
            h("div.sk-row",
              button(f"Each project's only vault: {with_unit(rows, 'row')} of "
                     f"{with_unit(len(single), 'project')}", "own_vaults", disabled=not single),
              button("Give the chosen ones", "give_vaults")),
        )  # fmt: skip


def _room(free: float) -> str:
    return f"{free:,.0f} GB free" if math.isfinite(free) else "grows by itself"


def _named(keys: Positions) -> pd.Index:
    """Return keys as such, so that they are taken for no labels of a DataFrame."""
    return pd.Index(keys, name="row_key")
