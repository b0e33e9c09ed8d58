"""What a benchmark hands over: a question, numbers, and how to read them, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Table:
    """One benchmark's answer; ``rows`` are as wide as ``columns``, ``met`` says if the aim is."""

    title: str
    aim: str
    met: bool
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Return a heading, the aim and whether it is met, the numbers, and the notes.

        Examples
        --------
        >>> print(Table("Speed", "fast", True, ("what", "s"), [("all", 1.234)]).markdown())
        ## Speed
        <BLANKLINE>
        Aim: fast. **Met.**
        <BLANKLINE>
        | what | s |
        |---|---:|
        | all | 1.23 |
        """
        rule = "|".join(["---", *["---:"] * (len(self.columns) - 1)])
        lines = [
            f"## {self.title}",
            "",
            f"Aim: {self.aim}. **{'Met' if self.met else 'Not met'}.**",
            "",
            f"| {' | '.join(self.columns)} |",
            f"|{rule}|",
            *(f"| {' | '.join(map(_text, row))} |" for row in self.rows),
        ]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


def origin(command: str) -> str:
    """Say when, where and how a table was measured."""
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"`{command}`, {at}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load} at the end."
    )


def _text(value: object) -> str:
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
