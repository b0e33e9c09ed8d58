"""The long torture: ``make torture``, or ``python -m tests.torture_run --runs 1000 --seed 1``."""

from __future__ import annotations

import argparse
import sys

from tests.torture import KINDS, Tally, chamber, possible, table


def main() -> int:
    """Torture as often as asked; the exit code is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS)
    options = parser.parse_args()
    kinds = [kind for kind in ([options.kind] if options.kind else KINDS) if possible(kind)]
    tallies = {kind: Tally() for kind in kinds}
    with chamber() as room:
        for number in range(options.runs):
            kind, seed = kinds[number % len(kinds)], options.seed + number // len(kinds)
            for broken in room.torture(kind, seed, tallies[kind]):
                print(f"{kind}, seed {seed}: not {broken}", file=sys.stderr)
    print(table(tallies))
    return 1 if any(tally.broken for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
