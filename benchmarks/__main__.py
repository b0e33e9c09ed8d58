"""``python -m benchmarks [NAME…]``: measure, print the tables, and write ``results.md``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from . import commands, fleet, openstack, overhead, panel, plot, reading, writing
from .table import Table, origin

#: Name -> benchmark at the size that the aims are set for; some yield their table row by row.
BENCHMARKS: dict[str, Callable[[], Table | Iterator[Table]]] = {
    "plan": commands.run,
    "start": commands.start,
    "ledger": commands.ledger,
    "overhead": overhead.run,
    "openstack": openstack.run,
    "reading": reading.run,
    "million": reading.million,
    "writing": writing.run,
    "panel": panel.run,
    "fleet": fleet.run,
    "kills": fleet.kills,
    "partitioned": fleet.partitioned,
}
RESULTS = Path(__file__).with_name("results.md")
PICTURE = RESULTS.parents[1] / "docs" / "pictures" / "scaling.svg"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--output", default=RESULTS, type=click.Path(path_type=Path), show_default=True)
def main(names: tuple[str, ...], output: Path) -> None:
    """Run all benchmarks, or those named; the exit code is 1 if an aim is not met."""
    met = {}
    for name in names or BENCHMARKS:
        click.echo(f"{name} …", err=True)
        made = BENCHMARKS[name]()
        for table in [made] if isinstance(made, Table) else made:
            click.echo(f"{table.markdown()}\n")
            # At once, so that a run that is stopped loses nothing.
            output.write_text(_merged(output, f"python -m benchmarks {name}", table), "utf-8")
            met[name] = table.met
        if name == "plan" and output == RESULTS:
            plot.draw(table, PICTURE)
    sys.exit(not all(met.values()))


def _merged(file: Path, command: str, table: Table) -> str:
    """Return the results with a table in place of an older one; the others stay as they are.

    The table says when and where it was measured.
    """
    old = file.read_text(encoding="utf-8") if file.exists() else "# Results\n"
    head, *parts = re.split(r"(?m)^(?=## )", old)
    kept = {part.partition("\n")[0]: part.rstrip() for part in parts}
    text = table.markdown()
    kept[text.partition("\n")[0]] = f"{text}\n\n{origin(command)}"
    return "\n\n".join([head.rstrip(), *kept.values()]) + "\n"


if __name__ == "__main__":
    main()
