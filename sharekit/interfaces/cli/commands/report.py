"""What an auditor gets, and how it is verified: report, verify."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from sharekit.interfaces.cli.options import RUN, answer, output_options

if TYPE_CHECKING:
    from sharekit.reports.verification.verify import Verdict


@click.command("report")
@RUN
@click.argument("out", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_options
def report_command(run: Path, out: Sequence[Path], as_json: bool) -> None:
    """Write reports of RUN as xlsx, html, csv, json or parquet.

    The suffix of each OUT names its format. If OUT also names ledgers of follow-up runs (retry,
    undo), the reports cover all of these runs: each row of the first input has one final outcome,
    and names the run that settled it.
    """
    from sharekit.reports.report import report

    made = report(run, *out)
    files = [str(path) for path in made]
    answer({"files": files}, as_json, lambda: click.echo("\n".join(files)))


def signer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of commands that verify."""
    for option in (
        click.option("--reviewers", default=1, show_default=True, metavar="N",
                     help="Number of signed approvals required, whatever submit required."),
        click.option("--allowed-signers", "signers", type=click.Path(path_type=Path),
                     metavar="FILE",
                     help="Also check the signatures of the seal and of the required approvals."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command("verify")
@RUN
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@signer_options
@output_options
def verify_command(
    run: Path, reports: Sequence[Path], signers: Path | None, reviewers: int, as_json: bool
) -> None:
    """Check RUN, and reports made from it, for any change.

    The verdict is intact, TAMPERED (exit 1), or UNPROVEN: nothing was changed, but it is not signed
    or sealed as you require, or a workbook cannot be compared (exit 1 as well). A note is
    information, not a fault.

    If REPORTS also names ledgers of follow-up runs, these ledgers and the hashes that link them are
    checked too, and the reports must cover all of these runs. A report made from an earlier state
    of RUN is compared with that state, and a note says so (`notes` with --json).
    """
    from sharekit.reports.verification.verify import verify

    show_verdict(verify(run, *reports, signers=signers, reviewers=reviewers), as_json=as_json)


def show_verdict(verdict: Verdict, *, as_json: bool) -> NoReturn:
    """Print a verdict, and exit with 1 unless it is intact."""
    from sharekit.core.columns import with_unit

    def show() -> None:
        for where, what in verdict.problems:
            click.echo(f"{where}: {what}")
        for where, what in verdict.notes:
            click.echo(f"note: {where}: {what}")
        click.echo(f"{verdict.label}: {with_unit(verdict.events, 'event')}, head {verdict.head}")

    problems, notes = (
        [{"where": where, "what": what} for where, what in lines]
        for lines in (verdict.problems, verdict.notes)
    )
    answer(
        {"intact": verdict.intact, "verdict": verdict.label, "events": verdict.events,
         "head": verdict.head, "problems": problems, "notes": notes},
        as_json, show,
    )  # fmt: skip
    sys.exit(0 if verdict.intact else 1)
