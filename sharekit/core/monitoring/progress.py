"""How far a long call is: whoever works tells it here, and a person sees it after two seconds.

Public calls are decorated by :func:`shows_progress`. The outermost of them has the display, which
the package's root supplies; calls inside are steps of it. Work that knows its size calls
:func:`report`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import wraps
from threading import Event, Thread, get_ident
from typing import ClassVar, Final, ParamSpec, Protocol, TypeVar

#: Seconds that a call may take without a display, and between two looks at where it is.
DELAY, _REFRESH = 2.0, 0.2
_P = ParamSpec("_P")
_R = TypeVar("_R")

#: Called with what is done, and the numbers of finished and of all parts of it.
Callback = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Step:
    """What a call is doing, how many of how many parts are done (0 of 0: unknown), and a remark."""

    what: str
    done: int = 0
    total: int = 0
    note: str = ""


class Display(Protocol):
    """Shows a person the steps of one call, as they come."""

    def show(self, step: Step) -> None:
        """Show where the call is at this moment."""

    def close(self, what: str) -> None:
        """End, because the call has ended, which was ``what``."""


class _Supplied:
    """What makes the display of a call; None shows nothing."""

    make: ClassVar[Callable[[], Display | None] | None] = None


def supply(make: Callable[[], Display | None] | None) -> Callable[[], Display | None] | None:
    """Have ``make`` called for a display where a call takes long; return what was called before."""
    before, _Supplied.make = _Supplied.make, make
    return before


class _Call:
    """The outermost call, its step, and who is told of it."""

    def __init__(self, step: Step, callback: Callback | None) -> None:
        self.step, self._callback, self._what = step, callback, step.what
        self._ended, self._thread = Event(), get_ident()

    def report(self, step: Step) -> None:
        if get_ident() != self._thread:  # what it has others do is no step of its own
            return
        self.step = step
        if self._callback is not None and step.total:
            self._callback(step.what, step.done, step.total)

    @contextmanager
    def displayed(self) -> Iterator[None]:
        """Show the steps, from a thread of its own, because most work cannot stop to do so."""
        thread = Thread(target=copy_context().run, args=[self._display], daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _display(self) -> None:
        if self._ended.wait(DELAY) or _Supplied.make is None:
            return
        display = _Supplied.make()
        while display is not None:
            display.show(self.step)
            if self._ended.wait(_REFRESH):
                display.close(self._what)
                return


_CALL: Final[ContextVar[_Call | None]] = ContextVar("sharekit_progress", default=None)


def report(what: str, done: int = 0, total: int = 0, note: str = "") -> None:
    """Tell the outermost call that there is how far its work is."""
    if (call := _CALL.get()) is not None:
        call.report(Step(what, done, total, note))


@contextmanager
def following(what: str, *, progress: object = True) -> Iterator[None]:
    """Show the block as ``what``, call back (a callable), or neither (False)."""
    outer = _CALL.get()
    if outer is not None and progress is True:
        before = outer.step
        outer.report(Step(what))
        yield
        outer.step = before
        return
    call = _Call(Step(what), progress if callable(progress) else None)
    token = _CALL.set(call)
    try:
        if progress is True:
            with call.displayed():
                yield
        else:
            yield
    finally:
        _CALL.reset(token)


def shows_progress(what: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorate a public call whose keyword ``progress`` says whether it is shown as ``what``."""

    def decorate(call: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(call)
        def shown(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with following(what, progress=kwargs.get("progress", True)):
                return call(*args, **kwargs)

        return shown

    return decorate
