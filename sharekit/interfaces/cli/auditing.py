"""An inventory against what the clouds really show: audit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import sharekit
from sharekit.audits import audit as auditing
from sharekit.core.errors import UsageError

from . import output
from .common import AS_JSON, answer, connect, read, usual_cloud
from .options import loading, signing_in

_LEDGER = ".ledger"


@click.command()
@click.argument("shares", nargs=-1)
@click.argument("out", type=click.Path(path_type=Path))
@loading
@signing_in
@click.option(
    "--since", type=click.Path(path_type=Path), metavar="RUN",
    help="Tell what has changed since: the ledger of an earlier audit, or of a run.",
)  # fmt: skip
@click.option(
    "-o", "--also", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Write this too: .xlsx, .html, .csv, .json, or the evidence as .ledger.",
)  # fmt: skip
@click.option(
    "--received-only", is_flag=True,
    help="Leave out what the projects share out (one call for each own image).",
)  # fmt: skip
@AS_JSON
def audit(
    shares: Sequence[str], out: Path, clouds: Sequence[str], clouds_yaml: Path | None,
    since: Path | None, also: Sequence[Path], received_only: bool, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Compare SHARES with what each project really shows; write OUT (.xlsx, .html, .csv, .json).

    Nothing is changed anywhere. Without SHARES, OUT.xlsx is a full listing as an inventory to
    begin with. Without --cloud it is the cloud that OS_CLOUD names. Exits 0 if all agrees, 1 on
    drift, 4 if all that could be read agrees, but a project could not be read, or no cloud named
    gives access to it.
    """
    ledgers = [path for path in (out, *also) if path.suffix.lower() == _LEDGER]
    reports = [path for path in (out, *also) if path not in ledgers]
    _check_there(shares)
    _check_free(ledgers, reports)
    if clouds_yaml is None:
        clouds = clouds or usual_cloud()
    if not clouds and clouds_yaml is None:
        raise UsageError("Name the cloud to audit: --cloud NAME, once for each project.")
    inventory = read(shares, reading) if shares else None
    signed_in = connect(clouds, clouds_yaml)
    with output.Steps() as progress:
        found = sharekit.audit(
            inventory, signed_in, since=since, owned=not received_only, progress=progress
        )
    if (
        inventory is None
        and not found.survey.complete_projects
        and not found.survey.complete_owners
    ):
        output.say("No project could be read, so nothing is written.")
        ledgers, reports = [], []
    with output.busy("Writing the audit"):
        files = [auditing.save(found, path) for path in ledgers]
        files = [*(sharekit.report(found, *reports) if reports else ()), *files]
    told = found.summary | {"files": [str(path) for path in files]}
    answer(told, as_json, lambda: output.show_audit(found, files))
    sys.exit(_verdict(found))


def _check_there(shares: Sequence[str]) -> None:
    for name in shares:
        if name != "-" and not Path(name).exists():
            raise UsageError(f"{name}: there is no such spreadsheet. Check its name.")


def _check_free(ledgers: Sequence[Path], reports: Sequence[Path]) -> None:
    """Refuse, before anything is read, what could not be written in the end."""
    from sharekit.reports.files import form, must_be_usable  # noqa: PLC0415 - matplotlib takes its time

    for path in (*reports, *ledgers):
        if path.exists():
            raise UsageError(
                f"{path} exists already: name a new file for the audit, after the spreadsheets, "
                "as in `sharekit audit shares.xlsx --cloud NAME audit.xlsx`."
            )
        must_be_usable(path)
    for path in reports:
        form(path)


def _verdict(found: auditing.Audit) -> int:
    if found.good:
        return 0
    only_unread = found.inventory is None or not found.drift + found.counts["faulty"]
    return 4 if only_unread else 1
