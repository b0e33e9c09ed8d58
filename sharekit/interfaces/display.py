"""The progress of a long call, as the place shows it best: a notebook, a terminal, or a log."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from shutil import get_terminal_size
from time import monotonic
from typing import Any, Final

from sharekit.core.html import escape_html, escape_invisible
from sharekit.core.monitoring.progress import DELAY, Display, Step

#: Seconds between two lines of a command whose stderr is no terminal.
SHELL_LINES: Final = 5.0
#: Characters of a terminal's bar.
_BAR: Final = 20


def make_display(every: float | None = None) -> Display | None:
    """Return what suits a notebook, a terminal or a log (lines ``every`` so many seconds)."""
    if in_notebook():
        return NotebookDisplay()
    if sys.stderr is None or sys.stderr.closed:
        return None
    return TerminalDisplay() if sys.stderr.isatty() else LineDisplay(every)


def in_notebook() -> bool:
    """Return True in a kernel, whose front end shows HTML; IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def describe(step: Step) -> str:
    """Return a step as one line of text.

    >>> describe(Step("sending", 1200, 4000, "2 failed"))
    'sending: 1,200 of 4,000, 2 failed'
    """
    counts = f"{step.done:,} of {step.total:,}" if step.total else ""
    told = ", ".join(filter(None, (counts, step.note)))
    return escape_invisible(f"{step.what}: {told}" if told else step.what)


class NotebookDisplay:
    """One output of the cell, with a bar; a saved notebook keeps a line of how long it took."""

    def __init__(self) -> None:
        self._began, self._shown = monotonic(), ""
        self._handle: Any = None

    def show(self, step: Step) -> None:
        """Show a step, if it is another than before."""
        share = f' max="{step.total}" value="{step.done}"' if step.total else ""
        text = describe(step)
        self._put(text, f"<progress{share}></progress> {escape_html(text)}")

    def close(self, what: str) -> None:
        """Leave a line without a bar."""
        seconds = DELAY + monotonic() - self._began
        text = f"{escape_invisible(what)}: {seconds:.0f} s"
        self._put(text, escape_html(text))

    def _put(self, text: str, html: str) -> None:
        from IPython import display as ipython  # noqa: PLC0415 - loaded where there is a notebook

        if text == self._shown:
            return
        self._shown = text
        show: Any = ipython.display  # its types are not declared
        data = {"text/plain": text, "text/html": f"<div>{html}</div>"}
        if self._handle is None:
            self._handle = show(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class TerminalDisplay:
    """A line on stderr with a bar, which goes when the call ends."""

    def __init__(self) -> None:
        self._began = monotonic() - DELAY

    def show(self, step: Step) -> None:
        """Move the bar."""
        bar = f" [{'#' * (_BAR * step.done // step.total):.<{_BAR}}]" if step.total else ""
        self._write(f"{describe(step)}{bar} {monotonic() - self._began:.0f} s")

    def close(self, what: str) -> None:
        """Remove the bar."""
        self._write("", end="\r")

    def _write(self, text: str, end: str = "") -> None:
        """Write over the line; only its first part, because a longer one would not go again."""
        room = get_terminal_size().columns - 1
        with suppress(OSError, ValueError):  # its reader is gone
            print(f"\r{text[:room]:{room}}", end=end, file=sys.stderr, flush=True)  # noqa: T201


class LineDisplay:
    """Plain lines on stderr: one for each step of a script, one every few seconds in the shell."""

    def __init__(self, every: float | None) -> None:
        self._every, self._began, self._last = every, monotonic() - DELAY, monotonic() - DELAY
        self._named: set[str] = set()

    def show(self, step: Step) -> None:
        """Write a line, if it is time to."""
        now = monotonic()
        if step.what in self._named if self._every is None else now - self._last < self._every:
            return
        if self._every is not None and not step.total:
            step = replace(step, note=f"{now - self._began:.0f} s so far")
        self._named.add(step.what)
        self._last = now
        with suppress(OSError, ValueError):  # its reader is gone
            print(describe(step), file=sys.stderr, flush=True)  # noqa: T201 - its purpose

    def close(self, what: str) -> None:
        """Leave what was written as it is."""
