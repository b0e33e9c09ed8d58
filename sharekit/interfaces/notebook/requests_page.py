"""The panel's second page: the requests of each chunk, and the rows that are not sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from sharekit.core.columns import with_unit
from sharekit.core.html import escape_html
from sharekit.interfaces.review_state import ReviewState

from .controls import show_errors
from .html_region import HtmlRegion
from .markup import data_table, note, truncate, visible_lines
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
        self.box.html = (
            "<h3>Exactly what will be sent</h3><p>Fingerprint of the plan: "
            f"<code>{escape_html(state.plan.fingerprint)}</code></p>"
            f"{_chunk(state, self.chunk)}{_not_sent(state.not_sent())}"
        )

    def _on_event(self, action: str, key: str, _: object) -> None:
        if action == "chunk" and key.isdecimal():
            self.chunk = int(key)
            self.update()


def _chunk(state: ReviewState, chunk: int) -> str:
    chunks = state.plan.chunks
    if chunks.empty:
        return note("Nothing would be sent.")
    requests, last = list(state.plan.requests(chunk)), len(chunks)
    text = "\n\n".join(f"{r['method']} {r['url']}{_body(r)}" for r in requests[:_SHOWN_CALLS])
    if len(requests) > _SHOWN_CALLS:
        text += f"\n\n… and {len(requests) - _SHOWN_CALLS:,} more calls"
    unit, becomes = _BECOMES[str(chunks.loc[chunk, "status"])]
    images = with_unit(int(chunks["images"].to_numpy()[chunk - 1]), unit)
    targets = {"First": 1, "Previous": chunk - 1, "Next": chunk + 1, "Last": last}
    buttons = "".join(
        f'<button data-do="chunk" data-key="{target}" data-id="chunk-{word}" '
        f"{'' if 1 <= target <= last and target != chunk else 'disabled'}>{word}</button>"
        for word, target in targets.items()
    )
    return (
        f'<div class="sk-pager" role="group" aria-label="Chunks">{buttons}'
        f"<span data-rest tabindex='-1'>chunk {chunk:,} of {last:,}: {images} to be {becomes}, "
        f"{with_unit(len(requests), 'call')}</span></div>"
        f'<pre tabindex="0" aria-label="Requests of this chunk">{visible_lines(text)}</pre>'
        '<details id="sk-curl"><summary>As curl</summary>'
        "<p>The token is a variable of your shell; no secret is in here.</p>"
        f'<pre id="sk-curl-text" tabindex="0" aria-label="The same as curl">'
        f"{visible_lines(state.curl(chunk))}</pre>"
        '<button data-copy="sk-curl-text" data-id="copy">Copy</button></details>'
    )


def _body(request: Mapping[str, Any]) -> str:
    return f"\n{json.dumps(request['body'], indent=2)}" if request["body"] else ""


def _not_sent(rest: pd.DataFrame) -> str:
    if rest.empty:
        return "<p>Every row of the inventory is sent.</p>"
    lines = [
        (f"{int(rows):,}", escape_html(state), truncate(why or _WHY.get(state, "")))
        for state, why, rows in rest.to_numpy().tolist()
    ]
    table = data_table(("Rows", "State", "Why"), lines, "Rows that are not sent", number=0)
    return f"<h3>What will not be sent</h3>{table}"
