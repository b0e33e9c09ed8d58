"""A cloud to play with: demo, simulator."""

from __future__ import annotations

from pathlib import Path

import click

from .common import AS_JSON, answer
from .signals import end_cleanly


@click.command()
@click.argument("directory", default="demo-run", type=click.Path(path_type=Path))
@click.option("--rows", default=500, show_default=True, help="How long the sample workbook is.")
@AS_JSON
def demo(directory: Path, rows: int, as_json: bool) -> None:
    """Go the whole road on the embedded simulator, without credentials; files in DIRECTORY."""
    from .rehearsal import run_demo  # noqa: PLC0415 - the simulator is only loaded when it is wanted

    result = run_demo(directory, rows, quiet=as_json)
    answer(result, as_json, lambda: None)


@click.command()
@click.option("--port", default=0, help="0 takes a free one.")
@click.option("--shares", type=click.Path(path_type=Path), metavar="FILE",
              help="A seed (json), or a workbook of shares to rehearse with.")  # fmt: skip
@click.option(
    "--faults",
    default="",
    metavar="NAME=VALUE,…",
    help="What goes wrong, as in p503=0.1,latency=0.05; docs/cli.md names all.",
)
@click.option("--clouds-yaml", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the clouds.yaml there too.")  # fmt: skip
@AS_JSON
def simulator(
    port: int, shares: Path | None, faults: str, clouds_yaml: Path | None, as_json: bool
) -> None:
    """Run a simulated cloud on loopback until Ctrl-C; prints a clouds.yaml for it."""
    from .rehearsal import run_simulator  # noqa: PLC0415 - the simulator is only loaded when it is wanted

    end_cleanly()
    run_simulator(port, shares, faults, clouds_yaml, as_json=as_json)
