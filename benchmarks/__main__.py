"""``python -m benchmarks [NAME…]``: measure, print the tables, and write ``results.md``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from . import commands, fleet, openstack, overhead, panel, plot, reading, writing
from .table import Table, origin

#: Name -> benchmark at the size that the aims are set for.
BENCHMARKS: dict[str, Callable[[], Table]] = {
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
    tables = []
    for name in names or BENCHMARKS:
        click.echo(f"{name} …", err=True)
        tables.append(BENCHMARKS[name]())
        click.echo(f"{tables[-1].markdown()}\n")
        if name == "plan" and output == RESULTS:
            plot.draw(tables[-1], PICTURE)
    command = " ".join(["python -m benchmarks", *names])
    output.write_text(_merged(output, command, tables), encoding="utf-8")
    sys.exit(not all(table.met for table in tables))


def _merged(file: Path, command: str, tables: Sequence[Table]) -> str:
    """Return the results with these tables in place of older ones; those not run stay as they are.

    Each table says when and where it was measured.
    """
    old = file.read_text(encoding="utf-8") if file.exists() else "# Results\n"
    head, *parts = re.split(r"(?m)^(?=## )", old)
    kept = {part.partition("\n")[0]: part.rstrip() for part in parts}
    for table in tables:
        text = table.markdown()
        kept[text.partition("\n")[0]] = f"{text}\n\n{origin(command)}"
    return "\n\n".join([head.rstrip(), *kept.values()]) + "\n"


if __name__ == "__main__":
    main()
