"""What a person decides: review, approve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.options import RUN, answer, output_options, warn_of_changes

if TYPE_CHECKING:
    from sharekit.interfaces.review import Review
    from sharekit.plans.policies.standing import StandingApproval


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
    another column has a sheet of its own in that folder; `--take DIR/*.xlsx` merges them. What
    in a sheet is not read, such as comments and columns of your own, is said (`notes` with --json).
    With --policy, conditions on columns decide; what a person decided stands.
    """
    from sharekit.core.columns import with_unit
    from sharekit.interfaces.cli.output import complain, show_findings, show_plan, show_policies
    from sharekit.interfaces.review import Review

    _check_together(sheets, take, split_by, policy)
    current = Review(run, reviewer=reviewer)
    warn_of_changes(run)
    taken = current.take(*take, *sheets) if take else None
    for note in taken.notes if taken is not None else ():
        complain(f"Warning: {note}")
    written = [] if take else _write(current, sheets, split_by)
    result = None if policy is None else current.apply(policy)
    for note in result.notes if result is not None else ():
        complain(f"Warning: {note}")

    def show() -> None:
        show_findings(current.plan.findings, limit=5, ledger=run)
        show_plan(current.plan)
        if result is not None:
            show_policies(result)
        elif written:
            _show_written(run, sheets[0], written)
        elif taken is not None:
            click.echo(
                f"{with_unit(len(current.changes), 'row')} decided otherwise; the plan has this "
                "fingerprint."
            )
        else:
            click.echo(current.plan.preview(requests))
            if len(current.plan.chunks) > requests:
                click.echo(f"… --requests {len(current.plan.chunks)} shows all.")

    facts = current.plan.counts | {"decided": len(current.changes)}
    if taken is not None:
        facts |= {"notes": [*taken.notes]}
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
    from sharekit.spreadsheets.writing.review_sheet import write_review

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
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--reviewer", required=True, help="Name of the person who approves.")
@click.option(
    "--fingerprint",
    metavar="PREFIX",
    help="At least the first 8 digits of the plan's fingerprint.",
)
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE",
              help="Instead of RUN: approve ahead what policies decide.")  # fmt: skip
@click.option("--until", metavar="DAY", help="Last day of an approval ahead: YYYY-MM-DD, UTC.")
@click.option("--max-images", type=click.IntRange(1), metavar="N",
              help="Maximum number of images that a run sends by an approval ahead.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the approval ahead to this new file (json).")  # fmt: skip
@click.option("--note", default="", help="Reason; reports show it.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY",
              help="Sign with this OpenSSH key; for a public key, ssh-agent signs.")  # fmt: skip
@output_options
def approve_command(
    run: Path | None, reviewer: str, fingerprint: str | None, policy: Path | None,
    until: str | None, max_images: int | None, out: Path | None, note: str, sign: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Approve the plan in RUN; any later change voids the approval.

    PREFIX is the beginning of the fingerprint that plan and review print. With --policy, --until,
    --max-images and -o instead of RUN, policies are approved ahead, for a time and a number of
    images a run: `submit --approved-ahead` sends by that file what these policies decided, and
    nothing else.
    """
    from sharekit.core.columns import with_unit
    from sharekit.plans.approval import approve
    from sharekit.plans.policies.policy_file import read_policies
    from sharekit.plans.policies.standing import approve_policies

    ahead = (policy, until, max_images, out)
    if policy is not None and until is not None and max_images is not None and out is not None:
        if run is not None or fingerprint is not None:
            raise UsageError("Approve either the plan in RUN, or policies ahead.")
        given = approve_policies(
            read_policies(policy), out, until=until, max_images=max_images, reviewer=reviewer,
            note=note, sign=sign,
        )  # fmt: skip
        _show_ahead(given, out, as_json=as_json)
        return
    if run is None or fingerprint is None or any(value is not None for value in ahead):
        raise UsageError(
            "Name RUN and --fingerprint PREFIX; or, to approve ahead, --policy FILE, --until DAY, "
            "--max-images N and -o FILE."
        )
    warn_of_changes(run)
    approval = approve(run, reviewer=reviewer, fingerprint=fingerprint, note=note, sign=sign)
    answer(
        {"reviewer": approval.reviewer, "fingerprint": approval.fingerprint,
         "images": approval.images, "at": approval.at},
        as_json,
        lambda: click.echo(f"{approval.reviewer} approves {with_unit(approval.images, 'share')}, "
                           f"fingerprint {approval.fingerprint[:12]}. next: sharekit submit {run}"),
    )  # fmt: skip


def _show_ahead(given: StandingApproval, out: Path, *, as_json: bool) -> None:
    from sharekit.core.columns import with_unit

    facts = {"reviewer": given.reviewer, "policies_sha256": given.policies_sha256,
             "until": given.until, "max_images": given.max_images, "at": given.at,
             "file": str(out)}  # fmt: skip
    answer(facts, as_json, lambda: click.echo(
        f"{given.reviewer} approves what these policies decide, through {given.until}, at most "
        f"{with_unit(given.max_images, 'image')} a run; SHA-256 of the policies "
        f"{given.policies_sha256[:12]}. next: sharekit submit RUN --approved-ahead {out}"
    ))  # fmt: skip
