"""The long fuzzing: ``python -m tests.fuzz --seconds 120``, part of ``make torture``.

Drives the targets of :mod:`tests.fuzzing` by atheris where that is installed (coverage of our own
code leads it), else by random numbers. A fault is printed with its seed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import fuzzing
from tests.spreadsheets import spoiled

TARGETS = ("ledgers", "answers", "workbooks", "lists")


def prepared(name: str, folder: Path) -> Callable[[fuzzing.Chooser], None]:
    """Make what a target needs."""
    if name == "answers":
        return fuzzing.answered
    if name == "workbooks":
        return fuzzing.workbooks(fuzzing.seeds(folder), folder)
    if name == "lists":
        return spoiled.target(folder)
    return fuzzing.ledgers(finished(folder), folder)


def finished(folder: Path) -> Path:
    """A small finished run."""
    import sharekit
    from sharekit.simulator.process import start
    from sharekit.simulator.sample import build_sample, write_workbook
    from tests.conftest import FAST

    sample = build_sample(24, faulty=0.3)
    shares = write_workbook(sample, folder / "shares.xlsx")
    with start(sample.seed, job_seconds=0.01) as cloud:
        clouds = sharekit.connect(config_file=cloud.write_clouds_yaml(folder / "clouds.yaml"))
        findings = sharekit.check(sharekit.read_inventory(shares), clouds)
        plan = sharekit.plan(findings, folder / "run.ledger", chunk_size=4)
        keys = plan.rows.index[plan.rows["disposition"] == "planned"]
        from sharekit.plans import decisions

        decisions.decide(plan, [int(keys[0])], decision="skip", reason="x", reviewer="Bob")
        plan = decisions.replan(plan)
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        sharekit.submit(plan, clouds, settings=FAST)
    return folder / "run.ledger"


def by_atheris(name: str, folder: Path, seconds: int, told: Path) -> None:
    """Fuzz one target until its time is over; the number of executions goes into a file."""
    import atheris

    with atheris.instrument_imports(include=["sharekit"]):
        import sharekit.interfaces.cli  # noqa: F401 - all of it, so that all is counted
    target = prepared(name, folder)
    done = [0]

    def one(data: bytes) -> None:
        source = atheris.FuzzedDataProvider(data)
        done[0] += 1
        if done[0] % 20 == 0:
            told.write_text(str(done[0]))
        target(lambda n: source.ConsumeIntInRange(0, n - 1) if n > 1 else 0)

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", "-max_len=400", "-len_control=0",
         "-rss_limit_mb=4000", "-timeout=600", "-verbosity=0", f"-artifact_prefix={folder}/"], one
    )  # fmt: skip
    atheris.Fuzz()


def by_chance(name: str, folder: Path, seconds: int, told: Path, first: int = 0) -> None:
    """The same by random numbers; stops at the first fault and names its seed."""
    target, until, seed = prepared(name, folder), time.monotonic() + seconds, first
    while time.monotonic() < until:
        dice = random.Random(seed)
        try:
            target(dice.randrange)
        except Exception:  # noqa: BLE001 - whatever it was, it is what we look for
            print(f"{name}, seed {seed}", file=sys.stderr)
            traceback.print_exc()
            os._exit(1)
        seed += 1
        told.write_text(str(seed - first))


def main() -> int:
    """Fuzz each target for a time; the exit code is 1 if anything but one sentence came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for each target")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--seed", type=int, help="by random numbers, from this one on")
    options = parser.parse_args()
    way: Callable[..., Any] = by_chance
    if options.seed is None:
        try:
            import atheris  # noqa: F401

            way = by_atheris
        except ImportError:
            print("atheris is not installed: random numbers instead.", file=sys.stderr)
    worst = 0
    for name in [options.target] if options.target else TARGETS:
        with tempfile.TemporaryDirectory(prefix="sharekit-fuzz-") as scratch:
            told = Path(scratch) / "told"
            more = (options.seed,) if options.seed is not None else ()
            process = mp.get_context("spawn").Process(
                target=way, args=(name, Path(scratch), options.seconds, told, *more)
            )
            process.start()
            process.join()
            count = told.read_text() if told.exists() else "0"
        worst = max(worst, process.exitcode or 0)
        said = "no fault" if process.exitcode == 0 else f"FAULT (exit {process.exitcode})"
        print(f"{name}: {count} executions by {way.__name__.removeprefix('by_')}, {said}")
    return int(worst != 0)


if __name__ == "__main__":
    sys.exit(main())
