"""Signals that end the process as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import NoReturn


def install_signal_handlers() -> None:
    """Let SIGTERM, Ctrl-Break and a closed terminal (SIGHUP) do what Ctrl-C does."""
    handlers = {"SIGTERM": _interrupt, "SIGBREAK": _interrupt, "SIGHUP": _hang_up}
    for name, handler in handlers.items():
        if hasattr(signal, name):  # Windows has no SIGHUP, and no other system has SIGBREAK
            signal.signal(getattr(signal, name), handler)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _hang_up(*_: object) -> NoReturn:
    """The terminal is gone, so nothing is written to it any more."""
    with Path(os.devnull).open("wb") as nowhere:
        for stream in (1, 2):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere.fileno(), stream)
    raise KeyboardInterrupt
