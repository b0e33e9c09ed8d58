"""The panel: one widget over one :class:`.ReviewModel`, with its head, pages and grid."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import anywidget
import traitlets
from IPython.display import display

from sharekit.core.errors import SharekitError, UsageError
from sharekit.core.monitoring.progress import following
from sharekit.runs.background import BackgroundRun

from . import pages
from .deciding import Deciding
from .grid import Grid
from .grid_menu import menu
from .model import APPROVE, DECIDE, REQUESTS, SEND, ReviewModel
from .row_order import ColumnFilter
from .sending import Sending
from .tree import Tree, button, h, note

_HERE: Final = Path(__file__).parent
_LOG = logging.getLogger("sharekit.interfaces")
_ELSEWHERE: Final = "The ledger was changed elsewhere meanwhile; this is how it stands now."
_TABS: Final = ("1 Review", "2 Requests", "3 Approve", "4 Send")


class Panel(anywidget.AnyWidget):
    """The widget that shows one review: head, pages, grid, buttons and questions.

    The page draws ``view`` and sends each click back; every step is a call of the review. Rows go
    to the page by messages, as they come into sight, and are never part of a saved notebook.
    """

    _esm = _HERE / "panel.js"
    _css = _HERE / "panel.css"
    view = traitlets.Dict().tag(sync=True)
    hides = traitlets.Unicode("").tag(sync=True)

    def __init__(self, review: ReviewModel | None = None, *, hides: str = "") -> None:
        super().__init__(hides=hides)
        self._lock, self._before = threading.RLock(), list[Desk]()
        self._desk: Desk = self._start() if review is None else ReviewDesk(self, review)
        self.on_msg(self._receive)
        self.act("draw")

    def _start(self) -> Desk:
        """Return what is shown without a review."""
        raise TypeError("A panel needs a review.")

    @property
    def review(self) -> ReviewModel:
        """The review that is shown; all that is decided, approved and sent goes through it."""
        return self.desk.review

    @property
    def desk(self) -> ReviewDesk:
        """The parts that show the review."""
        if not isinstance(self._desk, ReviewDesk):
            raise UsageError("No review is open: go on with a run first.")
        return self._desk

    def act(self, do: str, key: object = "", value: object = "", **form: object) -> None:
        """Act as if the page had sent this event, with these fields filled in."""
        self._receive(self, {"do": do, "key": str(key), "value": value, "form": form}, [])

    def turn_to(self, review: ReviewModel) -> None:
        """Show another review in place of this one; a button leads back."""
        self._before.append(self._desk)
        self._desk = ReviewDesk(self, review, back=self._before[-1].title)

    def come_back(self) -> None:
        """Show the review again that was shown before."""
        self._desk = self._before.pop()

    def redraw(self, submission: BackgroundRun | None = None) -> None:
        """Draw the present state; called in a run's thread, which nothing here may end."""
        with self._lock:
            try:
                self.view = self._desk.draw(submission)
            except Exception as error:  # noqa: BLE001 - nobody would see it
                self._desk.say(_error_text(error), "bad")

    def _receive(self, _: object, event: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        do = str(event.get("do", ""))
        with self._lock:
            if do == "lines":
                first, last = (int(place) for place in event["value"])
                if (grid := self._desk.grid) is None:  # the page with the rows was left meanwhile
                    return
                lines = grid.cells(first, last)
                self.send({"lines": lines, "first": first, "version": grid.version})
                return
            self._desk.say("")
            try:
                with following("click", progress=False):  # it has no cell to show it in
                    self._desk.on_event(
                        do, str(event.get("key", "")),
                        {"form": {}, "value": "", **event, "buffers": buffers},
                    )  # fmt: skip
            except Exception as error:  # noqa: BLE001 - in a callback nobody would see it
                self._desk.say(_error_text(error), "bad")
            self.redraw()
            if do == "letter":
                self.send({"done": True})


class Desk(Protocol):
    """What the panel shows, and what takes the clicks on it."""

    @property
    def grid(self) -> Grid | None:
        """The rows, where there are any."""

    @property
    def title(self) -> str:
        """What a button calls it that leads back to it."""

    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence above the page, or none."""

    def on_event(self, do: str, key: str, event: Mapping[str, Any]) -> None:
        """Take one step of the page."""

    def draw(self, submission: BackgroundRun | None = None) -> dict[str, Any]:
        """Return what the page shows; ``submission`` is the run that goes on, if it asks for it."""


class ReviewDesk:
    """One review in the panel: which page is open, and the parts that show it."""

    def __init__(self, panel: Panel, review: ReviewModel, back: str = "") -> None:
        self.review, self._panel, self._back = review, panel, back
        self.grid = Grid(review.state, review.path.with_name(f"{review.path.name}.panel.json"))
        self.deciding = Deciding(self, self.grid)
        self.sending = Sending(self, panel.redraw)
        begun = review.run.submission is not None or review.gate.stage in ("sending", "finished")
        self.number, self._chunk, self._form = SEND if begun else DECIDE, 1, 0
        self._message = ("", "good")
        self._open, self._row = {"bars": 0, "help": 0}, -1

    @property
    def title(self) -> str:
        """The name of the ledger."""
        return self.review.path.name

    # -- what the parts ask for --------------------------------------------------------------------
    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence above the page, or none."""
        self._message = text, tone

    def update(self) -> None:
        """Draw the present state of the review."""
        self._panel.redraw()

    def open(self, review: ReviewModel) -> None:
        """Show another review in place of this one."""
        self._panel.turn_to(review)

    def hand_over(self, name: str, content: bytes) -> None:
        """Let the page save a file."""
        self._panel.send({"file": name}, buffers=[content])

    # -- events ------------------------------------------------------------------------------------
    def on_event(self, do: str, key: str, event: Mapping[str, Any]) -> None:
        """Take one step of the page."""
        steps: dict[str, Callable[[], None]] = {
            "draw": self._note_changes, "page": lambda: self.go(int(key)),
            "back": self._panel.come_back,
            "bars": lambda: self._open.update(bars=int(key)),
            "help": lambda: self._open.update(help=1 - self._open["help"]),
            "open": lambda: self._open_row(int(key)), "chunk": lambda: self._turn(int(key)),
            "tile": lambda: self._filter_by_tile(key),
            "project": lambda: self.grid.only(ColumnFilter("project_id", "values", (key,))),
            "outcome": lambda: self._show_outcome(key),
            "approve": lambda: self._approve(event["form"]),
            "revoke": lambda: self._revoke(event["form"]),
        }  # fmt: skip
        if do in steps:
            steps[do]()
        elif self.grid.on_event(do, key, event):
            if do not in ("fold", "fold_all", "menu", "width", "move", "column", "density"):
                self.deciding.leave()  # other rows are selected or shown now
        elif not (self.deciding.on_event(do, key, event) or self.sending.on_event(do, key, event)):
            raise KeyError(do)

    def _open_row(self, key: int) -> None:
        self._row = key if key != self._row and 0 <= key < len(self.grid.selected) else -1

    def _turn(self, chunk: int) -> None:
        self._chunk = chunk

    def _note_changes(self) -> None:
        if self.review.refresh():
            self.say(_ELSEWHERE)

    def go(self, number: int) -> None:
        """Turn to a page; those behind the first one show a plan with every decision."""
        self._note_changes()
        if number != DECIDE and self.review.gate.pending_steps:
            fingerprint = self.review.replan().fingerprint
            self.say(f"The plan holds every decision now: {fingerprint[:12]}.")
        self.number = number

    def _filter_by_tile(self, key: str) -> None:
        if key == "warnings":
            self.grid.only(ColumnFilter("severity", "text", ("warning",)))
        elif key in ("accept", "reject", "share", "unshare"):
            self.grid.only(ColumnFilter("wanted", "values", (key,)),
                           ColumnFilter("state", "values", ("planned",)))  # fmt: skip
        else:
            self.grid.only(*([ColumnFilter("state", "values", (key,))] if key else []))
        if self.number not in (DECIDE, SEND):
            self.number = DECIDE

    def _show_outcome(self, key: str) -> None:
        self.sending.opened = "" if key == self.sending.opened else key
        shown = self.sending.opened
        self.grid.only(*([ColumnFilter("outcome", "values", (shown,))] if shown else []))

    def _approve(self, form: Mapping[str, Any]) -> None:
        name, phrase, words = (str(form.get(field, "")) for field in ("name", "phrase", "note"))
        given = self.review.approve(name, phrase, note=words)
        self._form += 1
        if self.review.gate.stage == "approving":
            self.say(f"{given.reviewer} approved it. Somebody else has to approve it, too.")
            return
        self.go(SEND)
        self.say(f"{given.reviewer} approved {self.review.state.send_summary}. "
                 "Nothing is sent yet.")  # fmt: skip

    def _revoke(self, form: Mapping[str, Any]) -> None:
        self.review.revoke(str(form.get("note", "")))
        self.say("The approval is taken back; rows can be decided again.")

    # -- what is seen ------------------------------------------------------------------------------
    def draw(self, submission: BackgroundRun | None = None) -> dict[str, Any]:
        """Return what the page shows; while a run goes on, only what it changes is looked at."""
        if submission is None or submission.state in ("ended", "failed"):
            self.review.refresh()
            self.grid.set_state(self.review.state, self.sending.columns())
        text, tone = self._message
        with_rows = self.number == DECIDE or (
            self.number == SEND and bool(self.grid.columns.outcomes)
        )
        fixed = self.review.gate.stage != "deciding"
        above = {
            DECIDE: lambda: self.deciding.bar(fixed=fixed), REQUESTS: self._requests,
            APPROVE: self._approval, SEND: self.sending.page,
        }[self.number]()  # fmt: skip
        return {
            "head": [*pages.head(self.review, self._tabs(), self._open["bars"]),
                     h("div", note(text, tone) if text else None, role="status")],
            "above": [h("div", above), h("div", [self.grid.bar(), h("div", menu(self.grid))]
                                         if with_rows else None)],
            "below": [h("div", self._details()), h("div", pages.keys() if self._open["help"]
                                                   else None)]
            if with_rows else [],
            "grid": self.grid.spec(fixed=fixed) if with_rows else None,
        }  # fmt: skip

    def _tabs(self) -> list[Tree]:
        tabs = [
            button(name, "page", number, aria_current="page" if number == self.number else None)
            for number, name in enumerate(_TABS)
        ]
        return [button(f"Back to {self._back}", "back"), *tabs] if self._back else tabs

    def _details(self) -> Tree | None:
        return None if self._row < 0 else pages.details(self.review.state.row(self._row))

    def _requests(self) -> list[Tree]:
        chunks = len(self.review.state.plan.chunks)
        self._chunk = min(max(self._chunk, 1), max(1, chunks))
        return pages.requests(self.review.state, self._chunk)

    def _approval(self) -> list[Tree]:
        state = self.review.state
        form = pages.approve(state, self.review.gate, self.review.reviewer, self._form)
        return [*form, pages.changed(self.review.diff(), state.project_labels)]


def _error_text(error: Exception) -> str:
    """Return what went wrong as a sentence; an error that nobody foresaw is logged, and named."""
    if isinstance(error, SharekitError | OSError):
        return str(error)
    _LOG.error("The panel failed.", exc_info=error)
    return f"{type(error).__name__}: {error}"


def show(review: ReviewModel) -> None:
    """Display a review in a notebook: a summary for readers without a kernel, and the panel."""
    token = uuid4().hex
    summary = f'<div data-sharekit="{token}">{pages.static_summary(review)}</div>'
    display({"text/html": summary, "text/plain": repr(review)}, raw=True)  # type: ignore[no-untyped-call]
    display(Panel(review, hides=token))  # type: ignore[no-untyped-call]
