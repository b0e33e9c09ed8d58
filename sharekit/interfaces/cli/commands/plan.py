"""From findings, or from an old run, to a plan: plan, undo, retry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.options import (
    CONFIRM,
    RUN,
    answer,
    check_shares,
    cloud_options,
    output_options,
    plan_options,
    reading_options,
    sign_in_for,
)

if TYPE_CHECKING:
    from sharekit.plans.plan import Plan


@click.command("plan")
@click.argument("shares", nargs=-1, required=True, type=click.Path())
@RUN
@reading_options
@CONFIRM
@cloud_options
@plan_options
@click.option(
    "--planner", default="", help="Name of the person who plans; that person cannot approve."
)
@click.option(
    "--follows",
    type=click.Path(path_type=Path),
    metavar="EARLIER",
    help="Ledger of an earlier run; decisions of its review are carried over.",
)
@output_options
def plan_command(
    shares: Sequence[str], run: Path, clouds: Sequence[str], clouds_yaml: Path | None,
    secure_yaml: Path | None, chunk_size: int, max_images: int | None, planner: str,
    follows: Path | None, preview: bool, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Check SHARES and write the plan into a new ledger RUN.

    With --cloud, the rows are also compared with the cloud. With --follows, the decisions of an
    earlier run hold for the same shares, and a row that would turn one back has a warning. Exits 1
    if rows are blocked; the plan is written all the same.
    """
    from sharekit.plans.plan import plan

    if run.exists():
        raise UsageError(f"{run} exists already: choose another name for the new run.")
    findings = check_shares(shares, clouds, clouds_yaml, secure_yaml, reading)
    planned = plan(
        findings, run, chunk_size=chunk_size, max_images=max_images, planner=planner,
        follows=follows,
    )  # fmt: skip
    _end(planned, preview=preview, as_json=as_json, follows=follows)


def _follow_up_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Arguments and options of commands that make a new run of an old one."""
    command = cloud_options(plan_options(output_options(command)))
    return RUN(click.argument("new", type=click.Path(path_type=Path))(command))


@click.command("undo")
@_follow_up_options
def undo_command(run: Path, new: Path, **options: Any) -> None:
    """Plan in NEW how to undo RUN.

    The plan returns every share that RUN changed to its state before RUN.
    """
    from sharekit.runs.follow_up import undo

    _follow_up(undo, run, new, **options)


@click.command("retry")
@_follow_up_options
def retry_command(run: Path, new: Path, **options: Any) -> None:
    """Plan in NEW the rows that failed or stayed unknown in RUN.

    These are the rows whose outcome is failed, contradicted or unknown.
    """
    from sharekit.runs.follow_up import retry

    _follow_up(retry, run, new, **options)


def _follow_up(
    make: Callable[..., Plan], run: Path, new: Path, *, clouds: Sequence[str],
    clouds_yaml: Path | None, secure_yaml: Path | None, preview: bool, as_json: bool,
    **sizes: Any,
) -> None:  # fmt: skip
    signed_in = sign_in_for(run, clouds, clouds_yaml, secure_yaml)
    planned = make(run, new, signed_in, **sizes)
    _end(planned, preview=preview, as_json=as_json)


def _end(planned: Plan, *, preview: bool, as_json: bool, follows: Path | None = None) -> NoReturn:
    from sharekit.core.columns import with_unit
    from sharekit.interfaces.cli.output import show_findings, show_plan

    carried = {} if follows is None else {"carried": _count_carried(planned)}

    def show() -> None:
        show_findings(planned.findings, ledger=planned.path)
        show_plan(planned)
        if follows is not None:
            rows = with_unit(carried["carried"], "row")
            click.echo(f"{rows} decided in the review of {follows} and carried over")
        if preview:
            click.echo(planned.preview())
        if planned.counts["planned"]:
            click.echo(
                f"Next: sharekit review {planned.path}, then sharekit approve {planned.path} "
                f"--reviewer NAME --fingerprint {planned.fingerprint[:12]}"
            )

    answer(planned.counts | carried, as_json, show)
    sys.exit(1 if planned.counts["blocked"] else 0)


def _count_carried(planned: Plan) -> int:
    from sharekit.ledger.ledger import Ledger
    from sharekit.plans.steps import list_steps

    with Ledger.open(planned.path) as ledger:
        return sum(int(event.body["rows"]) for event in list_steps(ledger))
