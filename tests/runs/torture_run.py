"""The long torture: ``make torture``, or ``python -m tests.runs.torture_run --runs 1000 --seed 1``.

Interrupted, or out of time (``--minutes``), it prints the table of what was done so far; with
``--keep FILE`` the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from time import monotonic

from tests.runs.torture import KINDS, Chamber, Tally, chamber, possible, table


def main() -> int:
    """Torture as often as asked; the exit code is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", type=Path, help="write the table here, too, after each run")
    parser.add_argument("--keep", type=Path, help="keep count here, and go on from what is there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kinds = [kind for kind in ([options.kind] if options.kind else KINDS) if possible(kind)]
    tallies = _known(options.keep, kinds)
    try:
        with chamber() as room:
            _torture(room, tallies, options)
    except KeyboardInterrupt:
        pass
    print(table(tallies))
    done = sum(tally.runs for tally in tallies.values())
    if done < options.runs:
        print(f"cut short: {done} of {options.runs} runs", file=sys.stderr)
    if any(tally.broken for tally in tallies.values()):
        return 1
    return 0 if done == options.runs else 3


def _torture(room: Chamber, tallies: dict[str, Tally], options: argparse.Namespace) -> None:
    end, kinds = monotonic() + 60 * options.minutes, [*tallies]
    for number in range(options.runs):
        kind, turn = kinds[number % len(kinds)], number // len(kinds)
        if tallies[kind].runs > turn:
            continue
        if monotonic() > end:
            return
        seed = options.seed + turn
        for broken in room.torture(kind, seed, tallies[kind]):
            print(f"{kind}, seed {seed}: not {broken}", file=sys.stderr, flush=True)
        if options.table:
            options.table.write_text(table(tallies) + "\n", encoding="utf-8")
        if options.keep:
            told = {kind: asdict(tally) for kind, tally in tallies.items()}
            options.keep.write_text(json.dumps(told), encoding="utf-8")


def _known(path: Path | None, kinds: list[str]) -> dict[str, Tally]:
    """What an earlier call has done already; nothing where none was kept."""
    told = json.loads(path.read_text("utf-8")) if path and path.exists() else {}
    known = {kind: told.get(kind, {}) for kind in kinds}
    return {k: Tally(**{**t, "broken": Counter(t.get("broken", {}))}) for k, t in known.items()}


if __name__ == "__main__":
    sys.exit(main())
