"""A region of the panel: Python sends HTML, the page sends clicks back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

_HERE = Path(__file__).parent


class HtmlRegion(anywidget.AnyWidget):
    """Shows escaped HTML; a click in it calls ``on_event(action, key, value)``.

    Plain ipywidgets cannot do two things that the panel needs: HTML whose real buttons, boxes and
    lists reach Python, and keys that do not reach the notebook's own shortcuts.
    """

    _esm = _HERE / "live.js"
    html = traitlets.Unicode("").tag(sync=True)
    redraws = traitlets.Int(0).tag(sync=True)
    role = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, on_event: Callable[[str, str, Any], None] | None = None, **traits: Any
    ) -> None:
        super().__init__(**traits)
        self.add_class("sk-live")
        self._on_event = on_event
        self.on_msg(self._receive)

    def send_event(self, action: str, key: str = "", value: object = "") -> None:
        """Act as if the page had sent this event."""
        self._receive(self, {"do": action, "key": key, "value": value}, [])

    def redraw(self) -> None:
        """Show the same HTML again, which resets a choice that was refused."""
        self.redraws += 1

    def _receive(self, _: object, message: Mapping[str, Any], __: object) -> None:
        if self._on_event is not None:
            self._on_event(
                str(message.get("do", "")), str(message.get("key", "")), message.get("value", "")
            )


class HeadRegion(HtmlRegion):
    """The region that brings the panel's style sheet once, and keeps its keys from the notebook.

    ``hides`` names the summary for readers without a kernel, which the panel takes the place of.
    """

    _css = _HERE / "panel.css"
    guards_keys = traitlets.Bool(default_value=True).tag(sync=True)
    hides = traitlets.Unicode("").tag(sync=True)
