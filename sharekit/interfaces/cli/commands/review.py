"""What a person decides: review, approve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sharekit.core.columns import with_unit
from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.options import RUN, answer, output_options
from sharekit.interfaces.cli.output import show_findings, show_plan, show_policies
from sharekit.interfaces.review import Review, review
from sharekit.plans.approval import approve
from sharekit.spreadsheets.writing.review_sheet import write_review


@click.command("review")
@RUN
@click.argument("sheets", nargs=-1, metavar="[SHEET]...", type=click.Path(path_type=Path))
@click.option("--take", multiple=True, type=click.Path(path_type=Path), metavar="SHEET",
              help="Import the decisions of a filled-in review sheet (repeatable); each further "
                   "SHEET is taken, too.")  # fmt: skip
@click.option("--split-by", metavar="COLUMN",
              help="Write a sheet for each value of a column into the folder SHEET.")  # fmt: skip
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE",
              help="Decide by the policies of a YAML file.")  # fmt: skip
@click.option("--reviewer", default="", help="Name of the person who decided; reports show it.")
@click.option(
    "--requests", type=int, default=3, show_default=True, help="Number of requests to preview."
)
@output_options
def review_command(
    run: Path, sheets: Sequence[Path], take: Sequence[Path], split_by: str | None,
    policy: Path | None, reviewer: str, requests: int, as_json: bool,
) -> None:  # fmt: skip
    """Show the plan in RUN; decide on it in an Excel sheet.

    With SHEET, the plan is written to that workbook. Fill in the decisions there, then import them
    with --take. With --split-by, as in `--split-by project DIR/`, each project, owner or value of
    another column has a sheet of its own in that folder; `--take DIR/*.xlsx` merges them. With
    --policy, conditions on columns decide; what a person decided stands.
    """
    _check_together(sheets, take, split_by, policy)
    current = review(run, take=[*take, *sheets] if take else None, reviewer=reviewer)
    written = [] if take else _write(current, sheets, split_by)
    result = None if policy is None else current.apply(policy)

    def show() -> None:
        show_findings(current.plan.findings, limit=5, ledger=run)
        show_plan(current.plan)
        if result is not None:
            show_policies(result)
        elif written:
            _show_written(run, sheets[0], written)
        elif take:
            click.echo(
                f"{with_unit(len(current.changes), 'row')} decided otherwise; the plan has this "
                "fingerprint."
            )
        else:
            click.echo(current.plan.preview(requests))
            if len(current.plan.chunks) > requests:
                click.echo(f"… --requests {len(current.plan.chunks)} shows all.")

    facts = current.plan.counts | {"decided": len(current.changes)}
    if split_by is not None:
        facts |= {"sheets": [str(path) for path in written]}
    answer(facts if result is None else facts | result.summary, as_json, show)


def _check_together(
    sheets: Sequence[Path], take: Sequence[Path], split_by: str | None, policy: Path | None
) -> None:
    if policy is not None and (sheets or take):
        raise UsageError("Decide by policies or in a sheet, one after the other.")
    if take and split_by is not None:
        raise UsageError("Sheets are either written or taken, not both at once.")
    if not take and len(sheets) != 1 and (sheets or split_by is not None):
        raise UsageError("Name one SHEET to write, or with --split-by one folder.")


def _write(current: Review, targets: Sequence[Path], split_by: str | None) -> list[Path]:
    if split_by is not None:
        return [*current.write_sheets(targets[0], split_by).values()]
    return [
        write_review(current.rows, target, fingerprint=current.plan.fingerprint)
        for target in targets
    ]


def _show_written(run: Path, target: Path, written: Sequence[Path]) -> None:
    if written == [target]:
        click.echo(f"Decide in {target}, then: sharekit review {run} --take {target}")
        return
    for path in written:
        click.echo(path)
    click.echo(f"Decide in them, then: sharekit review {run} --take {target / 'review-*.xlsx'}")


@click.command("approve")
@RUN
@click.option("--reviewer", required=True, help="Name of the person who approves.")
@click.option(
    "--fingerprint",
    required=True,
    metavar="PREFIX",
    help="At least the first 8 digits of the plan's fingerprint.",
)
@click.option("--note", default="", help="Reason; reports show it.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY",
              help="Sign with this OpenSSH key; for a public key, ssh-agent signs.")  # fmt: skip
@output_options
def approve_command(
    run: Path, reviewer: str, fingerprint: str, note: str, sign: Path | None, as_json: bool
) -> None:
    """Approve the plan in RUN; any later change voids the approval.

    PREFIX is the beginning of the fingerprint that plan and review print.
    """
    approval = approve(run, reviewer=reviewer, fingerprint=fingerprint, note=note, sign=sign)
    answer(
        {"reviewer": approval.reviewer, "fingerprint": approval.fingerprint,
         "images": approval.images, "at": approval.at},
        as_json,
        lambda: click.echo(f"{approval.reviewer} approves {with_unit(approval.images, 'share')}, "
                           f"fingerprint {approval.fingerprint[:12]}. next: sharekit submit {run}"),
    )  # fmt: skip
