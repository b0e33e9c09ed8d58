"""From a spreadsheet to findings: template, check."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.options import (
    CONFIRM,
    answer,
    check_shares,
    cloud_options,
    output_options,
    reading_options,
)


@click.command("template")
@click.argument("shares", type=click.Path(path_type=Path))
@output_options
def template_command(shares: Path, as_json: bool) -> None:
    """Write an empty workbook to fill in.

    The workbook has drop-downs, notes, and ID columns formatted as text.
    """
    from sharekit.spreadsheets.writing.template import write_template

    write_template(shares)
    answer(
        {"file": str(shares)}, as_json, lambda: click.echo(f"{shares} is ready to be filled in.")
    )


@click.command("check")
@click.argument("shares", nargs=-1, required=True, type=click.Path())
@reading_options
@CONFIRM
@cloud_options
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Write all findings to an xlsx, csv or json file.")  # fmt: skip
@output_options
def check_command(
    shares: Sequence[str], clouds: Sequence[str], clouds_yaml: Path | None,
    secure_yaml: Path | None, output: Path | None, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Check every row of SHARES; send nothing.

    SHARES are xlsx, xlsm, xlsb, xls, ods, csv, tsv or parquet files, or - for stdin. Exits 1 if
    there are errors.
    """
    from sharekit.interfaces.cli.output import info, show_findings
    from sharekit.reports.report import write_findings

    if output is not None and output.exists():
        raise UsageError(f"{output} exists already: choose another name for the findings.")
    findings = check_shares(shares, clouds, clouds_yaml, secure_yaml, reading)
    if output is not None:
        write_findings(findings, output)
        info(f"All findings: {output}")
    answer(findings.in_shell().summary, as_json, lambda: show_findings(findings, written=output))
    sys.exit(1 if findings.count("error") else 0)
