"""What an auditor gets, and how it is verified: report, verify."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

import sharekit

from .. import console
from .common import AS_JSON, RUN, answer


@click.command()
@RUN
@click.argument("out", nargs=-1, required=True, type=click.Path(path_type=Path))
@AS_JSON
def report(run: Path, out: Sequence[Path], as_json: bool) -> None:
    """Make reports of RUN: audit.xlsx, audit.html, outcomes.csv, outcomes.json, by suffix.

    Ledgers among OUT, of runs that follow on RUN (retry, undo), make it one report over all of
    them: each row of the first input with one final outcome, and the run that settled it.
    """
    with console.busy("Writing the report"):
        made = sharekit.report(run, *out)
    files = [str(path) for path in made]
    answer({"files": files}, as_json, lambda: click.echo("\n".join(files)))


@click.command()
@RUN
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@click.option("--allowed-signers", "signers", type=click.Path(path_type=Path), metavar="FILE",
              help="Check signatures too: each approval's, and the run's seal.")  # fmt: skip
@AS_JSON
def verify(run: Path, reports: Sequence[Path], signers: Path | None, as_json: bool) -> None:
    """Check RUN, and REPORTS made from it, for any change; exits 1 if there was one.

    Ledgers among REPORTS, of runs that follow on RUN, are checked too, and the hashes that link
    them; the reports are then those over all of them. A report made from an earlier state of RUN
    is compared with that state, and a note says so (`notes` with --json).
    """
    with console.busy("Verifying"):
        verdict = sharekit.verify(run, *reports, signers=signers)

    def show() -> None:
        for where, what in verdict.problems:
            click.echo(f"{where}: {what}")
        for where, what in verdict.notes:
            click.echo(f"{where}: {what}")
        word = "intact" if verdict.intact else "TAMPERED"
        click.echo(f"{word}: {verdict.events} events, head {verdict.head}")

    problems, notes = (
        [{"where": where, "what": what} for where, what in pairs]
        for pairs in (verdict.problems, verdict.notes)
    )
    answer(
        {"intact": verdict.intact, "events": verdict.events, "head": verdict.head,
         "problems": problems, "notes": notes},
        as_json, show,
    )  # fmt: skip
    sys.exit(0 if verdict.intact else 1)
