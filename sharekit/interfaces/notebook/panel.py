"""The panel: four pages over one :class:`sharekit.interfaces.review.Review`."""

from __future__ import annotations

from functools import cached_property
from time import monotonic
from uuid import uuid4

import ipywidgets as ui
from IPython.display import display

from sharekit.core.html import plain
from sharekit.interfaces.review import Review

from . import markup
from .approve_page import Approving
from .controls import button, guarded, row, told
from .decide_page import Deciding
from .html_region import Live, Pulse
from .send_page import Sending

_ELSEWHERE = "The ledger was changed elsewhere meanwhile; this is how it stands now."
#: Seconds between two looks at most: a page that is there must not seem to be gone.
_RARELY = 5.0
_PAGES = ("1 Review", "2 Requests", "3 Approve", "4 Send")


class Panel:
    """The widgets that show one review, kept in step with it.

    Attributes
    ----------
    review : Review
        All that is decided, approved and sent goes through its calls.
    box : ipywidgets.Widget
        What a notebook displays.
    """

    def __init__(self, review: Review, *, hides: str = "", back: Panel | None = None) -> None:
        self.review, self.chunk = review, 1
        self._next_look = 0.0
        # Nothing a step raises may vanish: a callback's exception is seen by nobody.
        guard = guarded(self.say)
        self.go, self._turn = guard(self._go), guard(self._chunk)
        self.message, self.head = Live(role="status"), Pulse(hides=hides, heard=self._here)
        self.requests = Live(heard=self._turn)
        self.deciding = Deciding(self)
        self.buttons = [self._page_button(number) for number in range(len(_PAGES))]
        # The later pages are made when they are first turned to: most of a page's way is widgets.
        self.stack = ui.Stack([self.deciding.box, self.requests, ui.VBox(), ui.VBox()])
        self._own: tuple[ui.Widget, ...] = (self.head, row(*self.buttons), self.message, self.stack)
        self.box: ui.VBox = back.box if back else ui.VBox(self._own)
        if back:
            leave = button(f"Back to {plain(back.review.path.name)}", back.come_back)
            self._own = (self.head, row(leave, *self.buttons), *self._own[2:])
            self.box.children = self._own
        self.box.add_class("sharekit-panel")
        begun = review.submission is not None or review.stage in ("sending", "finished")
        self.go(3 if begun else 0)

    @cached_property
    def approving(self) -> Approving:
        """The third page."""
        return Approving(self)

    @cached_property
    def sending(self) -> Sending:
        """The fourth page."""
        return Sending(self)

    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence above the page, or none."""
        self.message.html = markup.note(text, tone) if text else ""

    def open(self, review: Review) -> None:
        """Show another review in this one's place; a button leads back."""
        Panel(review, back=self)

    def come_back(self) -> None:
        """Show this review again."""
        self.box.children = self._own
        self.go(self.stack.selected_index)

    def _here(self, what: str, _: str, __: object) -> None:
        # A page is there. No message of the reviewer's last step is wiped out by it.
        try:
            if what == "here" and monotonic() >= self._next_look:
                began = monotonic()
                if self.review.attend():
                    if not self.review.read_only:
                        self.say(_ELSEWHERE)
                    self.update()
                # Reading a large ledger while somebody else sends it must not fill the time.
                self._next_look = monotonic() + min(3 * (monotonic() - began), _RARELY)
        except Exception as error:  # noqa: BLE001 - in a callback it would be seen by nobody
            self.say(told(error), "bad")
        finally:
            self.head.answer()

    def update(self) -> None:
        """Show what the review says now."""
        page = self.stack.selected_index
        self.head.html = markup.head(self.review, full=page == 0)
        if page == 1:
            self.chunk = min(max(self.chunk, 1), max(1, len(self.review.plan.chunks)))
            self.requests.html = markup.requests(self.review, self.chunk)
        elif page == 0:
            self.deciding.update()
        else:
            (self.approving if page == 2 else self.sending).update()

    def _go(self, number: int) -> None:
        if self.review.read_only:
            self.review.claim()
        if self.review.refresh():
            self.say(_ELSEWHERE)
        if number and not self.review.read_only and self.review.stale:
            self.review.remake()
            self.say(f"The plan holds every decision now: {self.review.plan.fingerprint[:12]}.")
        if number >= 2 and not self.stack.children[number].children:
            self.stack.children[number].children = [
                self.approving.box if number == 2 else self.sending.box
            ]
        self.stack.selected_index = number
        for at, one in enumerate(self.buttons):
            one.button_style = "primary" if at == number else ""
        self.update()

    def _chunk(self, what: str, key: str, _: object) -> None:
        if what == "chunk" and key.isdecimal():
            self.chunk = int(key)
            self.update()

    def _page_button(self, number: int) -> ui.Button:
        return button(_PAGES[number], lambda: self.go(number))


def show(review: Review) -> None:
    """Display a review in a notebook: what a reader sees without a kernel, then the panel."""
    token = uuid4().hex
    still = f'<div data-sharekit="{token}">{markup.still(review)}</div>'
    display({"text/html": still, "text/plain": repr(review)}, raw=True)  # type: ignore[no-untyped-call]
    display(Panel(review, hides=token).box)  # type: ignore[no-untyped-call]
