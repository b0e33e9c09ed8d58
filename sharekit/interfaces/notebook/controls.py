"""Buttons, fields and rows of the panel's pages, and how their errors are shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

import ipywidgets as ui

from sharekit.core.errors import SharekitError
from sharekit.core.monitoring.progress import following

_LOG = logging.getLogger("sharekit.interfaces")
_SHARED: list[Any] = []
_Step = TypeVar("_Step", bound=Callable[..., None])


def error_text(error: Exception) -> str:
    """Return what went wrong as a sentence; an error that nobody foresaw is logged, and named."""
    if isinstance(error, (SharekitError, OSError)):
        return str(error)
    _LOG.error("The panel failed.", exc_info=error)
    return f"{type(error).__name__}: {error}"


def show_errors(
    say: Callable[[str, str], None], then: Callable[[], None] = lambda: None
) -> Callable[[_Step], _Step]:
    """Return a decorator that shows what a step raises: nobody sees a callback's exception.

    ``then`` is called after each step, whether it succeeded or not.
    """

    def decorate(step: _Step) -> _Step:
        @wraps(step)
        def guarded(*args: Any, **named: Any) -> None:
            say("", "good")
            for call in (partial(step, *args, **named), then):
                try:
                    with following("click", progress=False):  # it has no cell to show it in
                        call()
                except Exception as error:  # noqa: BLE001 - in a callback nobody would see it
                    say(error_text(error), "bad")

        return guarded  # type: ignore[return-value]

    return decorate


def _shared_models() -> tuple[ui.Layout, ui.ButtonStyle]:
    # Every widget brings two models of its own; buttons share theirs, as long as these are open.
    if not _SHARED or _SHARED[0].comm is None:
        _SHARED[:] = [ui.Layout(width="auto"), ui.ButtonStyle()]
    return _SHARED[0], _SHARED[1]


def button(name: str, action: Callable[[], None], tip: str = "", style: str = "") -> ui.Button:
    """Make a button that does one thing."""
    layout, look = _shared_models()
    made = ui.Button(description=name, tooltip=tip, button_style=style, layout=layout, style=look)
    made.on_click(lambda _: action())
    return made


def row(*widgets: ui.Widget) -> ui.HBox:
    """Put widgets side by side; they wrap where the page is narrow."""
    made = ui.HBox(list(widgets))
    made.add_class("sk-row")
    return made


def box(*widgets: ui.Widget) -> ui.VBox:
    """Put widgets below each other, in a frame."""
    made = ui.VBox(list(widgets))
    made.add_class("sk-box")
    return made


def show_if(widget: ui.Widget, *, shown: bool) -> None:
    """Show a widget, or hide it. Not for buttons, which share their layout: hide their row."""
    widget.layout.display = "" if shown else "none"


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
