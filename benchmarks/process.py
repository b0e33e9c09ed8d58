"""One measured side in a process of its own, so that imports and memory are its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MB = 1024 * 1024


def measured(module: str, *arguments: object) -> dict[str, Any]:
    """Run ``python -m module arguments``; what it says of itself, and its CPU from outside."""
    before = os.times()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    root = Path(__file__).resolve().parents[1]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=root)
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return {**json.loads(answer.stdout), "process": spent}


def tell(**numbers: object) -> None:
    """Say what was measured, and the most memory that this process has held, to the parent."""
    print(json.dumps({**numbers, "peak": peak()}))


@contextmanager
def clock() -> Iterator[Callable[[], float]]:
    """Measure CPU seconds of this process and all of its threads."""
    spent = 0.0
    start = time.process_time()
    yield lambda: spent
    spent = time.process_time() - start


def peak() -> int:
    """Return the most memory that this process has held, in bytes.

    ``ru_maxrss`` would not do: a child inherits its parent's.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
