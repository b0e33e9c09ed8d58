"""What a person decides: review, approve."""

from __future__ import annotations

from pathlib import Path

import click

import sharekit

from . import output
from .common import AS_JSON, RUN, answer


@click.command()
@RUN
@click.argument("sheet", required=False, type=click.Path(path_type=Path))
@click.option("--take", type=click.Path(path_type=Path), metavar="SHEET",
              help="Take the decisions of a filled-in review sheet.")  # fmt: skip
@click.option("--reviewer", default="", help="Who decided, for the report.")
@click.option("--requests", type=int, default=3, show_default=True, help="Requests to preview.")
@AS_JSON
def review(
    run: Path, sheet: Path | None, take: Path | None, reviewer: str, requests: int, as_json: bool
) -> None:
    """Show the plan in RUN; write it to an Excel sheet to decide on, or take that back in."""
    seen = sharekit.review(run, out=sheet, take=take, reviewer=reviewer)

    def show() -> None:
        output.show_findings(seen.plan.findings, limit=5, ledger=run)
        output.show_plan(seen.plan)
        if sheet is not None:
            click.echo(f"Decide in {sheet}, then: sharekit review {run} --take {sheet}")
        elif take is not None:
            click.echo(
                f"{len(seen.changes)} rows decided otherwise; the plan has this fingerprint."
            )
        else:
            click.echo(seen.plan.preview(requests))
            if len(seen.plan.chunks) > requests:
                click.echo(f"… --requests {len(seen.plan.chunks)} shows all.")

    answer(seen.plan.counts | {"decided": len(seen.changes)}, as_json, show)


@click.command()
@RUN
@click.option("--reviewer", required=True, help="Who approves.")
@click.option("--fingerprint", required=True, metavar="PREFIX", help="At least 8 digits of it.")
@click.option("--note", default="", help="A reason, for the report.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY",
              help="Sign it with this OpenSSH key (a public one: by the ssh-agent).")  # fmt: skip
@AS_JSON
def approve(
    run: Path, reviewer: str, fingerprint: str, note: str, sign: Path | None, as_json: bool
) -> None:
    """Approve the plan in RUN by its fingerprint; any later change voids it."""
    yes = sharekit.approve(run, reviewer=reviewer, fingerprint=fingerprint, note=note, sign=sign)
    many = "share" if yes.images == 1 else "shares"
    answer(
        {"reviewer": yes.reviewer, "fingerprint": yes.fingerprint, "images": yes.images,
         "at": yes.at},
        as_json,
        lambda: click.echo(f"{yes.reviewer} approves {yes.images:,} {many}, fingerprint "
                           f"{yes.fingerprint[:12]}. next: sharekit submit {run}"),
    )  # fmt: skip
