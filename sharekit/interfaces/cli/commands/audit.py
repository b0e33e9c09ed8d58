"""An inventory against what the clouds really show: audit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sharekit.audits import storage
from sharekit.audits.audit import audit
from sharekit.audits.results import Audit
from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.options import (
    answer,
    cloud_options,
    default_clouds,
    output_options,
    read_shares,
    reading_options,
    sign_in,
)
from sharekit.interfaces.cli.output import ReadProgress, info, show_audit, spinner
from sharekit.reports.report import check_writable, report, report_format

_LEDGER = ".ledger"


@click.command("audit")
@click.argument("shares", nargs=-1)
@click.argument("out", type=click.Path(path_type=Path))
@reading_options
@cloud_options
@click.option(
    "--since", type=click.Path(path_type=Path), metavar="RUN",
    help="List what has changed since this ledger of an earlier audit or run.",
)  # fmt: skip
@click.option(
    "-o", "--also", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Write this file too (repeatable): .xlsx, .html, .csv, .json; .ledger is the evidence.",
)  # fmt: skip
@click.option(
    "--received-only", is_flag=True,
    help="Do not read what the projects share with others (one call for each own image).",
)  # fmt: skip
@output_options
def audit_command(
    shares: Sequence[str], out: Path, clouds: Sequence[str], clouds_yaml: Path | None,
    secure_yaml: Path | None, since: Path | None, also: Sequence[Path], received_only: bool,
    as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Compare SHARES with what the cloud shows, and write OUT.

    OUT is an xlsx, html, csv or json file. The audit changes nothing in the cloud. Without SHARES,
    OUT.xlsx is a full listing, which can serve as the first inventory. Without --cloud, the cloud
    is the one that OS_CLOUD names. Exits 0 if inventory and cloud agree, 1 on drift, and 4 if a
    project could not be read or none of the named clouds gives access to it, but the rest agrees.
    """
    ledgers = [path for path in (out, *also) if path.suffix.lower() == _LEDGER]
    reports = [path for path in (out, *also) if path not in ledgers]
    _check_there(shares)
    _check_free(ledgers, reports)
    if clouds_yaml is None:
        clouds = clouds or default_clouds()
    if not clouds and clouds_yaml is None:
        raise UsageError("Name the cloud to audit: --cloud NAME, once for each project.")
    inventory = read_shares(shares, reading) if shares else None
    signed_in = sign_in(clouds, clouds_yaml, secure_yaml)
    with ReadProgress() as progress:
        result = audit(
            inventory, signed_in, since=since, owned=not received_only, progress=progress
        )
    survey = result.survey
    if inventory is None and not survey.complete_projects and not survey.complete_owners:
        info("No project could be read, so nothing is written.")
        ledgers, reports = [], []
    with spinner("Writing the audit"):
        files = [storage.save(result, path) for path in ledgers]
        files = [*(report(result, *reports) if reports else ()), *files]
    summary = result.summary | {"files": [str(path) for path in files]}
    answer(summary, as_json, lambda: show_audit(result, files))
    sys.exit(_verdict(result))


def _check_there(shares: Sequence[str]) -> None:
    for name in shares:
        if name != "-" and not Path(name).exists():
            raise UsageError(f"{name}: there is no such spreadsheet. Check its name.")


def _check_free(ledgers: Sequence[Path], reports: Sequence[Path]) -> None:
    """Refuse, before anything is read, what could not be written in the end."""
    for path in (*reports, *ledgers):
        if path.exists():
            raise UsageError(
                f"{path} exists already: name a new file for the audit, after the spreadsheets, "
                "as in `sharekit audit shares.xlsx --cloud NAME audit.xlsx`."
            )
        check_writable(path)
    for path in reports:
        report_format(path)


def _verdict(result: Audit) -> int:
    if result.in_sync:
        return 0
    only_unread = result.inventory is None or not result.drift + result.counts["faulty"]
    return 4 if only_unread else 1
