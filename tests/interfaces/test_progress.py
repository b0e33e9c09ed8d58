"""What takes over two seconds shows how far it is, wherever it is called; nothing else does."""

from __future__ import annotations

import inspect
import io
import re
import sys
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import IPython.display
import pandas as pd
import pytest

import sharekit
from sharekit.core.monitoring import progress
from sharekit.core.monitoring.progress import report, shows_progress
from sharekit.interfaces import display
from sharekit.interfaces.notebook.panel import Panel
from sharekit.interfaces.review import Review
from tests.conftest import World

SLOW = ("approve", "audit", "check", "connect", "find", "plan", "read_inventory", "report", "retry",
        "review", "status", "submit", "undo", "verify")  # fmt: skip


class Watched:
    """A display that tells which step it showed last."""

    last: progress.Step | None = None

    def __init__(self, watched: progress.Display) -> None:
        self.show_it, self.close = watched.show, watched.close

    def show(self, step: progress.Step) -> None:
        self.show_it(step)
        Watched.last = step


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress, "DELAY", 0.02)
    monkeypatch.setattr(progress, "_REFRESH", 0.005)
    make = progress.supply(None)
    progress.supply(lambda: Watched(made) if make and (made := make()) else None)
    yield
    progress.supply(make)


def take_a_while(watched: bool, *step: Any) -> None:
    """Wait until the step is shown, however busy the machine is; or as long as it should take."""
    end = monotonic() + (60 if watched else 0.05)
    while monotonic() < end and not (watched and Watched.last == progress.Step(*step)):
        sleep(0.001)


@shows_progress("counting")
def count(*, parts: int = 3, progress: object = True, watched: bool = False) -> None:
    """Take a while, in two steps and a call inside."""
    take_a_while(watched, "counting")
    for done in range(parts):
        report("looking", done, parts, "<b>2 failed")
        take_a_while(watched, "looking", done, parts, "<b>2 failed")
    inner(watched=watched)


@shows_progress("inner")
def inner(*, progress: object = True, watched: bool = False) -> None:
    """Take a while, too."""
    take_a_while(watched, "inner")


class Terminal(io.StringIO):
    """A terminal that keeps what was written."""

    def isatty(self) -> bool:
        return True


def test_every_long_call_can_be_silent() -> None:
    """Each public call that can take over two seconds has progress=, True unless it is said."""
    calls = [getattr(sharekit, name) for name in SLOW]
    kinds = (sharekit.Findings, sharekit.Plan, sharekit.Run, sharekit.Audit, Review)
    calls += [kind.to_frame for kind in kinds]
    calls += [Review.decide, Review.take, Review.apply, Review.diff, Review.undo, Review.replan]
    for call in (*calls, Review.write_sheets, Review.approve):
        given = inspect.signature(call).parameters["progress"]
        assert (given.default, given.kind) == (True, inspect.Parameter.KEYWORD_ONLY), call


def test_a_log_has_a_line_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Where stderr is no terminal each step is one line, stdout stays clean, a quick call is
    silent, and so is progress=False."""  # noqa: D205, D209
    inner.__wrapped__()  # type: ignore[attr-defined]
    count(progress=False)
    sharekit.read_inventory([{"image_id": "a", "project_id": "b", "status": "yes"}], progress=False)
    assert capsys.readouterr() == ("", "")
    count(parts=20, watched=True)
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["counting", "looking", "inner"]
    assert lines[1].endswith("of 20, <b>2 failed")
    assert said.out == ""


def test_a_command_repeats_what_it_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    """In the shell's log a step that goes on is said again, with its numbers or its seconds."""
    before = progress.supply(lambda: Watched(display.LineDisplay(0.0)))
    try:
        count(watched=True)
    finally:
        progress.supply(before)
    err = capsys.readouterr().err
    assert re.match(r"counting: \d+ s so far\n", err)
    assert "looking: 2 of 3" in err


def test_a_terminal_has_a_bar_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal the steps are a bar, which is removed in the end and never breaks a line."""
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stderr", terminal)
    count(parts=20, watched=True)
    assert "of 20, <b>2 failed" in terminal.getvalue()
    shown = terminal.getvalue().split("\r")
    assert any(line.startswith("looking: ") and " [###" in line for line in shown)
    assert {len(line) for line in shown[1:-1]} == {59}
    assert [line.strip() for line in shown[-2:]] == ["", ""]


def test_a_notebook_has_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook one output shows all steps, escaped; what is saved says how long it took."""
    shown: list[dict[str, str]] = []

    class Handle:
        def update(self, data: dict[str, str], **_: Any) -> None:
            shown.append(data)

    def show(data: dict[str, str], **_: Any) -> Handle:
        assert not shown
        shown.append(data)
        return Handle()

    monkeypatch.setattr(display, "in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", show)
    made = display.make_display()
    assert made is not None
    for step in (progress.Step("counting"), progress.Step("looking", 1, 3, "<b>2 failed")):
        made.show(step)
        made.show(step)
    made.close("counting")
    assert len(shown) == 3
    assert "<div><progress></progress> counting</div>" in shown[0]["text/html"]
    assert 'max="3" value="1"></progress> looking' in shown[1]["text/html"]
    assert not any("<b>" in data["text/html"] for data in shown)
    assert shown[-1]["text/plain"] == "counting: 2 s"
    assert "<progress" not in shown[-1]["text/html"]


def test_a_click_shows_nothing(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a panel's button does has no cell of its own, so its calls show nothing."""
    panel = Panel(Review(world(rows=5).plan()))
    monkeypatch.setattr(panel.desk, "on_event", lambda *_: count())
    capsys.readouterr()
    panel.act("anything")
    assert capsys.readouterr().err == ""


def test_a_callable_is_told_instead() -> None:
    """A callable given as progress is called with each part, in the calling thread alone."""
    told: list[tuple[str, int, int]] = []
    count(progress=lambda *step: told.append(step))
    assert told == [("looking", done, 3) for done in range(3)]


def test_frames_are_read_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    """The decorated calls return what they returned, and hand on what they raise."""
    frame = pd.DataFrame({"image_id": ["a"], "project_id": ["b"], "status": ["yes"]})
    assert len(sharekit.read_inventory(frame)) == 1
    with pytest.raises(sharekit.SharekitError):
        sharekit.read_inventory()
    assert capsys.readouterr().out == ""
