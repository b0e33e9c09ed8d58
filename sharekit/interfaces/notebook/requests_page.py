"""The panel's second page: the requests of each chunk, and the rows that are not sent."""

from __future__ import annotations

from typing import Any, Final

from sharekit.core.columns import with_unit
from sharekit.interfaces.review_state import ReviewState
from sharekit.plans.plan import request_text

from .controls import show_errors
from .html_region import HtmlRegion
from .markup import render
from .model import PageHost

#: Calls of one chunk that are shown.
_SHOWN_CALLS: Final = 20
#: What becomes of the images of a chunk.
_BECOMES: Final = {
    "accepted": ("image", "accepted"), "rejected": ("image", "rejected"),
    "share": ("share", "offered by the owner"), "unshare": ("share", "taken back"),
}  # fmt: skip
#: Why rows are not sent, where no check is the reason.
_WHY: Final = {
    "already": "the cloud shows the wanted state already",
    "skipped": "a reviewer skipped it",
    "duplicate": "another row stands for the same share",
}


class RequestsPage:
    """The requests of one chunk, with buttons to turn to the others."""

    def __init__(self, host: PageHost) -> None:
        self.review, self.chunk = host.review, 1
        self.box = HtmlRegion(on_event=show_errors(host.say)(self._on_event))

    def update(self) -> None:
        """Show the chunk's requests, and count the rows that are not sent."""
        state = self.review.state
        self.chunk = min(max(self.chunk, 1), max(1, len(state.plan.chunks)))
        self.box.html = render(
            "requests",
            fingerprint=state.plan.fingerprint,
            chunk=None if state.plan.chunks.empty else _chunk(state, self.chunk),
            not_sent=state.not_sent().to_numpy().tolist(),
            reasons=_WHY,
        )

    def _on_event(self, action: str, key: str, _: object) -> None:
        if action == "chunk" and key.isdecimal():
            self.chunk = int(key)
            self.update()


def _chunk(state: ReviewState, number: int) -> dict[str, Any]:
    """Return what the page shows of a chunk."""
    chunks, requests = state.plan.chunks, list(state.plan.requests(number))
    text = "\n\n".join(map(request_text, requests[:_SHOWN_CALLS]))
    if len(requests) > _SHOWN_CALLS:
        text += f"\n\n… and {len(requests) - _SHOWN_CALLS:,} more calls"
    unit, becomes = _BECOMES[str(chunks.loc[number, "status"])]
    return {
        "number": number,
        "last": len(chunks),
        "images": with_unit(int(chunks["images"].to_numpy()[number - 1]), unit),
        "becomes": becomes,
        "calls": len(requests),
        "text": text,
        "curl": state.curl(number),
    }
