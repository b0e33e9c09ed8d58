"""What the panel's pages are built from."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

import ipywidgets as ui

from sharekit.core.errors import SharekitError
from sharekit.interfaces.review import Review


class Owner(Protocol):
    """What a page knows of the panel it stands in."""

    review: Review

    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence."""

    def go(self, number: int) -> None:
        """Turn to a page."""

    def update(self) -> None:
        """Show what the review says now."""

    def open(self, review: Review) -> None:
        """Show another review in this one's place."""


_SHARED: list[Any] = []
_Step = TypeVar("_Step", bound=Callable[..., None])


def told(error: Exception) -> str:
    """What went wrong, in words; a fault of ours with its kind."""
    known = isinstance(error, (SharekitError, OSError))
    return str(error) if known else f"{type(error).__name__}: {error}"


def guarded(say: Callable[[str, str], None]) -> Callable[[_Step], _Step]:
    """Let nothing that goes wrong in a step be lost: it is said."""

    def around(step: _Step) -> _Step:
        @wraps(step)
        def tried(*args: Any, **named: Any) -> None:
            try:
                say("", "good")
                step(*args, **named)
            except Exception as error:  # noqa: BLE001 - in a callback it would be seen by nobody
                say(told(error), "bad")

        return tried  # type: ignore[return-value]

    return around


def _plain() -> tuple[ui.Layout, ui.ButtonStyle]:
    # Every widget brings two models of its own along; buttons share theirs, while they live.
    if not _SHARED or _SHARED[0].comm is None:
        _SHARED[:] = [ui.Layout(width="auto"), ui.ButtonStyle()]
    return _SHARED[0], _SHARED[1]


def button(name: str, act: Callable[[], None], tip: str = "", style: str = "") -> ui.Button:
    """Make a button that does one thing."""
    layout, look = _plain()
    made = ui.Button(description=name, tooltip=tip, button_style=style, layout=layout, style=look)
    made.on_click(lambda _: act())
    return made


def row(*widgets: ui.Widget, boxed: bool = False) -> ui.HBox:
    """Put widgets side by side; they wrap where the page is narrow."""
    made = ui.HBox(list(widgets))
    made.add_class("sk-row")
    if boxed:
        made.add_class("sk-box")
    return made


def text(label: str, width: str = "260px", **traits: Any) -> ui.Text:
    """Make a field for one line of text, with a label of its own width."""
    # Sent when it is left or confirmed: sent at each key, fast typing could lose letters.
    return ui.Text(
        description=label, style={"description_width": "auto"}, layout={"width": width},
        continuous_update=False, **traits,
    )  # fmt: skip


def choice(label: str, options: list[tuple[str, str]], width: str = "200px") -> ui.Dropdown:
    """Make a list to choose from, with a label of its own width."""
    return ui.Dropdown(
        description=label, options=options, value=options[0][1],
        style={"description_width": "auto"}, layout={"width": width},
    )  # fmt: skip
