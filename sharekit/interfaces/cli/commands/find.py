"""Who decided on this image? The command find."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.options import answer, output_options

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the table for people, in order.
_SHOWN = (
    "at", "ledger", "seq", "about", "image_id", "project_id", "project_name", "person", "what",
)  # fmt: skip


@click.command("find")
@click.argument("thing", metavar="IMAGE|PROJECT|PERSON")
@click.argument("ledgers", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a csv file instead of a table.")  # fmt: skip
@output_options
def find_command(thing: str, ledgers: Sequence[Path], out: Path | None, as_json: bool) -> None:
    """Show what LEDGERS say about an image, a project or a person.

    Every decision, approval, request, observation and outcome, by time, each with its ledger and
    the number of its event. LEDGERS are of runs and audits. PROJECT is an ID, or the name by which
    a ledger knows the project. Exit 1 if none of them knows it.
    """
    from sharekit.core.columns import with_unit
    from sharekit.interfaces.cli.output import complain
    from sharekit.reports.render.text import csv_table
    from sharekit.reports.search import find

    if out is not None and out.suffix.lower() != ".csv":
        raise UsageError(f"{out}: find writes csv files; name one, such as found.csv.")
    found = find(thing, *ledgers)
    if out is not None:
        csv_table(found, out)
    result = {"thing": thing, "found": found.to_dict("records")}
    answer(result, as_json, lambda: _show(found, out))
    if found.empty:
        if not as_json:
            complain(f"{with_unit(len(ledgers), 'ledger')} searched: none knows {thing!r}.")
        sys.exit(1)


def _show(found: pd.DataFrame, out: Path | None) -> None:
    import pandas as pd

    from sharekit.checks.names import project_labels
    from sharekit.core.columns import STR
    from sharekit.core.html import escape_invisible

    if out is not None:
        click.echo(str(out))
        return
    labels = project_labels(found)
    found = found.assign(project_name=found["project_id"].map(labels).astype(STR).fillna(""))
    columns = [
        pd.concat([pd.Series([name]), found[name].astype(STR).map(escape_invisible)]).str.ljust(
            max([len(name), *found[name].astype(STR).str.len()])
        )
        for name in _SHOWN
        if len(found) and (name != "project_name" or labels)
    ]
    for line in zip(*columns, strict=True):
        click.echo("  ".join(line).rstrip())
