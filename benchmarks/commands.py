"""What the commands that people type cost: whole processes, from the shell's prompt to its return.

The rival of ``sharekit plan`` is a script of pandas and pandera that reads the same file by pandas'
own reader and checks the same rules (:mod:`benchmarks.reading`); it makes no plan and writes
nothing. Both sides start cold, import what they need, and end; nothing is measured from within.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .process import MB
from .table import Table

_ROOT = Path(__file__).resolve().parents[1]
#: Files that commands read, and how often each side is measured.
_FORMATS = ("xlsx", "csv", "parquet", "DataFrame")
_REPORTS = ("audit.xlsx", "audit.html", "outcomes.csv")
#: Seconds between looks at a process's memory.
_LOOK = 0.01
_COLUMNS = ("", "rows", "CPU s", "wall s", "peak MB", "usual CPU s", "usual wall s",
            "usual peak MB", "CPU ÷ sharekit's", "wall ÷ sharekit's")  # fmt: skip
_NOTE = (
    "Whole processes, the least of {repetitions} by CPU, both sides in turn. *CPU* is user and "
    "system, of all threads. *Usual* is a script of pandas and pandera that reads the file by "
    "pandas' own reader and checks the same rules; it makes no plan and writes nothing, while "
    "`sharekit plan` also writes the ledger."
)


@dataclass(frozen=True)
class Cost:
    """What one process cost: CPU and wall seconds, and the most memory it held, in MB."""

    cpu: float
    wall: float
    peak: float


def run(*, rows: int = 1_000_000, large: int = 5_000_000, repetitions: int = 2) -> Table:
    """Measure ``sharekit plan`` on every kind of input, as inputs grow."""
    sizes = [max(10, rows // 100), max(10, rows // 10), rows]
    cases = [(kind, rows) for kind in _FORMATS[1:]]
    cases = [("xlsx", size) for size in sizes] + cases + [("parquet", large)]
    lines, worst = [], 9.0
    for kind, size in cases:
        with tempfile.TemporaryDirectory() as name:
            times = 1 if size > rows else repetitions
            ours, usual = _both(kind, size, Path(name), times)
        ratio = usual.cpu / ours.cpu
        worst = min(worst, ratio if size == rows else worst)
        lines.append((f"plan, {kind}", size, *_numbers(ours), *_numbers(usual), ratio,
                      usual.wall / ours.wall))  # fmt: skip
    slow = next(line for line in lines if line[:2] == ("plan, xlsx", rows))
    met = slow[8] >= 11 and slow[9] >= 13 and slow[4] <= 750 and worst >= 1
    aim = (
        f"`sharekit plan` of {rows:,} rows of xlsx in 1/11 of the CPU and 1/13 of the time of the "
        "usual stack, in 750 MB, and never slower than it from csv, parquet or a DataFrame"
    )
    return Table("The command `plan`", aim, met, _COLUMNS, lines,
                 [_NOTE.format(repetitions=repetitions)])  # fmt: skip


def start(*, rows: int = 100, repetitions: int = 5) -> Table:
    """Measure how long people wait for the commands that do little."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shares = _shares(folder / "shares.xlsx", rows=rows, images=rows)
        measure_command("plan", shares, folder / "run.ledger")
        commands = {
            "--help": (("--help",), 0.25, 60.0),
            "status": (("status", folder / "run.ledger"), 60.0, 0.6),
            f"check, {rows} rows": (("check", shares), 60.0, 0.8),
        }
        costs = {
            name: [measure_command(*arguments) for _ in range(repetitions)]
            for name, (arguments, _, _) in commands.items()
        }
    lines, met = [], True
    for name, (_, cpu, wall) in commands.items():
        least = Cost(*(min(getattr(c, f) for c in costs[name]) for f in ("cpu", "wall", "peak")))
        met &= least.cpu <= cpu and least.wall <= wall
        lines.append((name, least.cpu, least.wall, round(least.peak)))
    aim = "`--help` in 0.25 s of CPU, `status` in 0.6 s and `check` of 100 rows in 0.8 s of time"
    note = f"Whole processes, the least of {repetitions}, with files in the system's cache."
    return Table("Starting a command", aim, met, ("", "CPU s", "wall s", "peak MB"), lines, [note])


def ledger(*, rows: int = 1_000_000) -> Table:
    """Measure the commands that read the ledger of a whole run, and the plan they follow on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = _shares(folder / "shares.parquet", rows=rows, images=max(1, rows // 10))
        run, reports = folder / "run.ledger", [folder / name for name in _REPORTS]
        _python("benchmarks.memory_cloud", file, run)
        costs = {
            "plan": measure_command("plan", file, folder / "plan.ledger", "--max-images", rows),
            "status": measure_command("status", run),
            "report": measure_command("report", run, *reports),
            "verify": measure_command("verify", run, reports[0]),
        }
    lines = [(name, rows, *_numbers(cost)) for name, cost in costs.items()]
    ratio = costs["verify"].cpu / (costs["plan"].cpu + costs["status"].cpu)
    met = costs["report"].peak <= 900 and costs["verify"].peak <= 700 and ratio <= 3
    aim = (
        "`verify` in 3 × the CPU of `plan` and `status`, which reads the ledger, and in 700 MB; "
        "`report` in 900 MB"
    )
    notes = [
        f"Whole processes, one run each; `verify` took {ratio:.1f} × the CPU of `plan` and "
        "`status` together. The run was submitted to a cloud in memory, so that `verify` finds it "
        f"intact. The reports are {', '.join(_REPORTS)}; `verify` compares the first of them."
    ]
    return Table("The commands that read a ledger", aim, met, _COLUMNS[:5], lines, notes)


def _both(kind: str, size: int, folder: Path, repetitions: int) -> tuple[Cost, Cost]:
    suffix = "parquet" if kind == "DataFrame" else kind
    shares = _shares(folder / f"shares.{suffix}", rows=size, images=max(1, size // 10))
    ledger = folder / "run.ledger"
    ours = partial(measure_command, "plan", shares, ledger, "--max-images", size)
    if kind == "DataFrame":
        ours = partial(_python, "benchmarks.commands", shares, ledger)
    usual = partial(_python, "benchmarks.reading", "usual", shares, ledger)
    costs: list[tuple[Cost, Cost]] = []
    for _ in range(repetitions):
        ledger.unlink(missing_ok=True)
        costs.append((ours(), usual()))
    return _least(first for first, _ in costs), _least(second for _, second in costs)


def _shares(path: Path, *, rows: int, images: int) -> Path:
    from . import workbooks  # here, as a side that is measured writes no workbooks

    return workbooks.decisions(path, rows=rows, images=images)


def _least(costs: Iterable[Cost]) -> Cost:
    return min(costs, key=lambda cost: cost.cpu)


def _numbers(cost: Cost) -> tuple[float, float, int]:
    return cost.cpu, cost.wall, round(cost.peak)


def measure_command(*arguments: object) -> Cost:
    """Run a command of sharekit to its end."""
    return _python("sharekit", *arguments)


def _python(module: str, *arguments: object) -> Cost:
    """Run a module to its end.

    Errors in the rows make ``plan`` and ``check`` exit with 1; of an open run ``status`` says 3.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        # Not ru_maxrss: a child inherits its parent's.
        status_text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        found = status_text.partition("VmHWM:")[2].split()
        peak = int(found[0]) if found else peak
        time.sleep(_LOOK)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}.")
    wall = time.perf_counter() - began
    return Cost(used.ru_utime + used.ru_stime, wall, peak * 1024 / MB)


def _frame(shares: Path, ledger: Path) -> None:
    """Plan a DataFrame, as a script does."""
    import pandas as pd

    import sharekit

    inventory = sharekit.read_inventory(pd.read_parquet(shares))
    sharekit.plan(sharekit.check(inventory), ledger)


if __name__ == "__main__":
    _frame(*map(Path, sys.argv[1:]))
