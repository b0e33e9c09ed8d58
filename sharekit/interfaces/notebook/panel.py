"""The panel: four pages over one :class:`.ReviewModel`."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import ipywidgets as ui
from IPython.display import display

from sharekit.core.html import escape_invisible

from . import markup
from .approve_page import ApprovePage
from .controls import button, row, show_errors
from .decide_page import DecidePage
from .html_region import HeadRegion, HtmlRegion
from .model import DECIDE, SEND, Page, PageHost, ReviewModel
from .requests_page import RequestsPage
from .send_page import SendPage

_ELSEWHERE = "The ledger was changed elsewhere meanwhile; this is how it stands now."
_PAGES: tuple[tuple[str, Callable[[PageHost], Page]], ...] = (
    ("1 Review", DecidePage),
    ("2 Requests", RequestsPage),
    ("3 Approve", ApprovePage),
    ("4 Send", SendPage),
)


class Panel:
    """The widgets that show one review.

    Attributes
    ----------
    review : ReviewModel
        All that is decided, approved and sent goes through its calls.
    box : ipywidgets.Widget
        What a notebook displays.
    """

    def __init__(
        self, review: ReviewModel, *, hides: str = "", previous: Panel | None = None
    ) -> None:
        self.review = review
        self.go = show_errors(self.say)(self._go)
        self.message, self.head = HtmlRegion(role="status"), HeadRegion(hides=hides)
        self.buttons = [self._page_button(number) for number in range(len(_PAGES))]
        self.stack = ui.Stack([ui.VBox() for _ in _PAGES])
        self._pages: dict[int, Page] = {}
        tabs = list(self.buttons)
        if previous:
            name = escape_invisible(previous.review.path.name)
            tabs.insert(0, button(f"Back to {name}", previous.come_back))
        self._own = (self.head, row(*tabs), self.message, self.stack)
        self.box: ui.VBox = previous.box if previous else ui.VBox()
        self.box.children = self._own
        self.box.add_class("sharekit-panel")
        begun = review.run.submission is not None or review.gate.stage in ("sending", "finished")
        self.go(SEND if begun else DECIDE)

    def page(self, number: int) -> Page:
        """Return a page; it is made at its first use, because making widgets is slow."""
        if number not in self._pages:
            self._pages[number] = page = _PAGES[number][1](self)
            self.stack.children[number].children = [page.box]
        return self._pages[number]

    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence above the page, or none."""
        self.message.html = markup.note(text, tone) if text else ""

    def open(self, review: ReviewModel) -> None:
        """Show another review in place of this one; a button leads back."""
        Panel(review, previous=self)

    def come_back(self) -> None:
        """Show this review again."""
        self.box.children = self._own
        self.go(self.stack.selected_index)

    def update(self) -> None:
        """Draw the present state of the review."""
        number = self.stack.selected_index
        self.review.refresh()
        self.head.html = markup.head(self.review, full=number == DECIDE)
        self.page(number).update()

    def _go(self, number: int) -> None:
        state = self.review.state
        self.review.refresh()
        if self.review.state is not state:
            self.say(_ELSEWHERE)
        if number != DECIDE and self.review.gate.pending_steps:
            fingerprint = self.review.replan().fingerprint
            self.say(f"The plan holds every decision now: {fingerprint[:12]}.")
        self.page(number)
        self.stack.selected_index = number
        for position, tab in enumerate(self.buttons):
            tab.button_style = "primary" if position == number else ""
        self.update()

    def _page_button(self, number: int) -> ui.Button:
        return button(_PAGES[number][0], lambda: self.go(number))


def show(review: ReviewModel) -> None:
    """Display a review in a notebook: a summary for readers without a kernel, and the panel."""
    token = uuid4().hex
    summary = f'<div data-sharekit="{token}">{markup.static_summary(review)}</div>'
    display({"text/html": summary, "text/plain": repr(review)}, raw=True)  # type: ignore[no-untyped-call]
    display(Panel(review, hides=token).box)  # type: ignore[no-untyped-call]
