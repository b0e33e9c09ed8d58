"""From a spreadsheet, or from an old run, to a plan: template, check, plan, undo, retry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

import sharekit
from sharekit.core.errors import UsageError
from sharekit.runs.run import clouds_of

from . import output as console
from .common import AS_JSON, RUN, answer, checked, connect, usual_cloud
from .options import loading, planning, signing_in


@click.command()
@click.argument("shares", type=click.Path(path_type=Path))
@AS_JSON
def template(shares: Path, as_json: bool) -> None:
    """Write an empty workbook to fill in: drop-downs, notes, ID columns as text."""
    sharekit.template(shares)
    answer(
        {"file": str(shares)}, as_json, lambda: click.echo(f"{shares} is ready to be filled in.")
    )


@click.command()
@click.argument("shares", nargs=-1, required=True)
@loading
@signing_in
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Write all findings to an xlsx, csv or json file.")  # fmt: skip
@AS_JSON
def check(
    shares: Sequence[str], clouds: Sequence[str], clouds_yaml: Path | None,
    output: Path | None, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Check every row of SHARES (xlsx, xlsm, xlsb, xls, ods, csv, tsv, parquet, or -)."""
    if output is not None and output.exists():
        raise UsageError(f"{output} exists already: choose another name for the findings.")
    findings = checked(shares, clouds, clouds_yaml, reading)
    if output is not None:
        from sharekit.reports import write_findings  # noqa: PLC0415 - matplotlib takes its time

        write_findings(findings, output)
        console.say(f"All findings: {output}")
    answer(findings.summary, as_json, lambda: console.show_findings(findings, written=output))
    sys.exit(1 if findings.count("error") else 0)


@click.command()
@click.argument("shares", nargs=-1, required=True)
@RUN
@loading
@signing_in
@planning
@click.option("--planner", default="", help="Who plans; then somebody else has to approve.")
@AS_JSON
def plan(
    shares: Sequence[str], run: Path, clouds: Sequence[str], clouds_yaml: Path | None,
    chunk_size: int, max_images: int | None, planner: str, preview: bool, as_json: bool,
    **reading: Any,
) -> None:  # fmt: skip
    """Check SHARES, look at the cloud, and write the plan into a new ledger RUN."""
    if run.exists():
        raise UsageError(f"{run} exists already: choose another name for the new run.")
    findings = checked(shares, clouds, clouds_yaml, reading)
    with console.busy("Making the plan"):
        made = sharekit.plan(
            findings, run, chunk_size=chunk_size, max_images=max_images, planner=planner
        )
    _planned(made, preview=preview, as_json=as_json)


def _following(command: Callable[..., Any]) -> Callable[..., Any]:
    """Arguments and options of commands that make a new run of an old one."""
    command = signing_in(planning(AS_JSON(command)))
    return RUN(click.argument("new", type=click.Path(path_type=Path))(command))


@click.command()
@_following
def undo(run: Path, new: Path, **options: Any) -> None:
    """Plan in NEW the way back from RUN: what it changed, to the state before."""
    _follow(run, new, "undo", **options)


@click.command()
@_following
def retry(run: Path, new: Path, **options: Any) -> None:
    """Plan in NEW what failed, was contradicted or stayed unknown in RUN."""
    _follow(run, new, "retry", **options)


def _follow(
    run: Path, new: Path, what: str, *, clouds: Sequence[str], clouds_yaml: Path | None,
    preview: bool, as_json: bool, **sizes: Any,
) -> None:  # fmt: skip
    from sharekit.runs import follow_up  # noqa: PLC0415 - only these two need it

    names = clouds or clouds_of(run) or (usual_cloud() if clouds_yaml is None else ())
    if not names and clouds_yaml is None:
        raise UsageError(f"{run} was planned without a cloud: name the cloud with --cloud NAME.")
    signed_in = connect(names, clouds_yaml)
    with console.busy("Making the plan"):
        make = follow_up.undo if what == "undo" else follow_up.retry
        made = make(run, new, signed_in, **sizes)
    _planned(made, preview=preview, as_json=as_json)


def _planned(made: sharekit.Plan, *, preview: bool, as_json: bool) -> NoReturn:
    def show() -> None:
        console.show_findings(made.findings, ledger=made.path)
        console.show_plan(made)
        if preview:
            click.echo(made.preview())
        if made.counts["planned"]:
            click.echo(
                f"next: sharekit review {made.path}, then sharekit approve {made.path} "
                f"--reviewer NAME --fingerprint {made.fingerprint[:12]}"
            )

    answer(made.counts, as_json, show)
    sys.exit(1 if made.counts["blocked"] else 0)
