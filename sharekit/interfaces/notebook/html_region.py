"""A region of the panel: HTML out, what was clicked in it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

_HERE = Path(__file__).parent


class Live(anywidget.AnyWidget):
    """Shows escaped HTML; a click in it calls ``heard(what, key, value)``.

    Plain ipywidgets cannot do two things that the panel needs: HTML whose real buttons, boxes and
    lists reach Python, and keys that do not reach the notebook's own shortcuts.
    """

    _esm = _HERE / "live.js"
    html = traitlets.Unicode("").tag(sync=True)
    turn = traitlets.Int(0).tag(sync=True)
    role = traitlets.Unicode("").tag(sync=True)
    hides = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, html: str = "", heard: Callable[[str, str, Any], None] | None = None, **traits: Any
    ) -> None:
        super().__init__(html=html, **traits)
        self.add_class("sk-live")
        self._heard = heard
        self.on_msg(self._hear)

    def say(self, what: str, key: str = "", value: object = "") -> None:
        """Do what a click would do."""
        self._hear(self, {"do": what, "key": key, "value": value}, [])

    def redraw(self) -> None:
        """Show the same once more: what a person chose in the page and was refused, goes."""
        self.turn += 1

    def _hear(self, _: object, message: Mapping[str, Any], __: object) -> None:
        if self._heard is not None:
            self._heard(
                str(message.get("do", "")), str(message.get("key", "")), message.get("value", "")
            )


class Pulse(Live):
    """The region that brings the style sheet, and says every ``pulse`` ms that a page is there.

    Python answers each of these by :meth:`answer`; no further one comes before it did.
    """

    _css = _HERE / "panel.css"
    pulse = traitlets.Int(2_000).tag(sync=True)
    beat = traitlets.Int(0).tag(sync=True)

    def answer(self) -> None:
        """Say that Python is there, too."""
        self.beat += 1
