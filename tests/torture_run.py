"""The long torture: ``make torture``, or ``python -m tests.torture_run --runs 1000 --seed 1``.

Interrupted, or out of time (``--minutes``), it prints the table of what was done so far.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from time import monotonic

from tests.torture import KINDS, Tally, chamber, possible, table


def main() -> int:
    """Torture as often as asked; the exit code is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", type=Path, help="write the table here, too, after each run")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kinds = [kind for kind in ([options.kind] if options.kind else KINDS) if possible(kind)]
    tallies = {kind: Tally() for kind in kinds}
    end, done = monotonic() + 60 * options.minutes, 0
    try:
        with chamber() as room:
            for done in range(options.runs):
                if monotonic() > end:
                    break
                kind, seed = kinds[done % len(kinds)], options.seed + done // len(kinds)
                for broken in room.torture(kind, seed, tallies[kind]):
                    print(f"{kind}, seed {seed}: not {broken}", file=sys.stderr)
                if options.table:
                    options.table.write_text(table(tallies) + "\n", encoding="utf-8")
            else:
                done = options.runs
    except KeyboardInterrupt:
        pass
    print(table(tallies))
    if done < options.runs:
        print(f"cut short: {done} of {options.runs} runs", file=sys.stderr)
    if any(tally.broken for tally in tallies.values()):
        return 1
    return 0 if done == options.runs else 3


if __name__ == "__main__":
    sys.exit(main())
