"""``python -m benchmarks [NAME…]``: measure, print the tables, and write ``results.md``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from . import openstack, overhead, panel, plot, reading, writing
from .table import Table, header

#: Name -> benchmark at the size that the aims are set for.
BENCHMARKS: dict[str, Callable[[], Table]] = {
    "overhead": overhead.run,
    "openstack": openstack.run,
    "reading": reading.run,
    "million": reading.million,
    "writing": writing.run,
    "panel": panel.run,
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
        if name == "million" and output == RESULTS:
            plot.draw(tables[-1], PICTURE)
    command = " ".join(["python -m benchmarks", *names])
    text = "\n\n".join([header(command), *(table.markdown() for table in tables)])
    output.write_text(f"{text}\n", encoding="utf-8")
    sys.exit(not all(table.met for table in tables))


if __name__ == "__main__":
    main()
