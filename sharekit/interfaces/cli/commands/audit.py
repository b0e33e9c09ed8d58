"""An inventory against what the clouds really show: audit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sharekit.core.cloud_api import DATE_LOOKUPS
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

if TYPE_CHECKING:
    from sharekit.audits.results import Audit

_LEDGER = ".ledger"


@click.command("audit")
@click.argument("shares", nargs=-1, type=click.Path())
@click.argument("out", type=click.Path(path_type=Path))
@reading_options
@cloud_options
@click.option(
    "--since", type=click.Path(path_type=Path), metavar="RUN",
    help="List what has changed since this ledger of an earlier audit or run.",
)  # fmt: skip
@click.option(
    "-o", "--also", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Write this file too (repeatable): .xlsx, .html, .csv, .json, .parquet; .ledger is the "
    "evidence.",
)  # fmt: skip
@click.option(
    "--received-only", is_flag=True,
    help="Do not read what the projects share with others (one call for each own image).",
)  # fmt: skip
@click.option(
    "--policy", type=click.Path(path_type=Path), metavar="FILE",
    help="Test the shares against the policies of a YAML file.",
)  # fmt: skip
@click.option(
    "--max-times", "times", type=click.IntRange(0), default=DATE_LOOKUPS, show_default=True,
    metavar="N", help="Look up the times of at most N shares of each project if a policy asks for "
    "a time (one call for each); of further shares it is not known.",
)  # fmt: skip
@output_options
def audit_command(
    shares: Sequence[str], out: Path, clouds: Sequence[str], clouds_yaml: Path | None,
    secure_yaml: Path | None, since: Path | None, also: Sequence[Path], received_only: bool,
    policy: Path | None, times: int, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Compare SHARES with what the cloud shows, and write OUT.

    OUT is an xlsx, html, csv, json or parquet file. The audit changes nothing in the cloud. Without
    SHARES, OUT.xlsx is a full listing, which can serve as the first inventory. Without --cloud, the
    cloud is the one that OS_CLOUD names. With --policy, the decision of a policy says what each
    share has to be that meets its conditions (accept: accepted, reject: rejected); a share that is
    otherwise violates it. Exits 0 if inventory and cloud agree, 1 on drift or a violation, and 4 if
    a project could not be read, none of the named clouds gives access to it, or a share could not
    be judged, but the rest agrees.
    """
    from sharekit.audits import storage
    from sharekit.audits.audit import audit
    from sharekit.audits.results import policy_notes
    from sharekit.core.columns import STR
    from sharekit.core.monitoring.progress import following
    from sharekit.interfaces.cli.output import complain, info, show_audit
    from sharekit.plans.policies.policy_file import read_policies
    from sharekit.reports.report import report

    ledgers = [path for path in (out, *also) if path.suffix.lower() == _LEDGER]
    reports = [path for path in (out, *also) if path not in ledgers]
    _check_there(shares)
    _check_free(ledgers, reports)
    if clouds_yaml is None:
        clouds = clouds or default_clouds()
    if not clouds and clouds_yaml is None:
        raise UsageError("Name the cloud to audit: --cloud NAME, once for each project.")
    policies = None if policy is None else read_policies(policy)
    inventory = read_shares(shares, reading) if shares else None
    signed_in = sign_in(clouds, clouds_yaml, secure_yaml)
    result = audit(
        inventory, signed_in, since=since, owned=not received_only, policies=policies, times=times
    )
    survey = result.survey
    if inventory is None and not survey.complete_projects and not survey.complete_owners:
        info("No project could be read, so nothing is written.")
        ledgers, reports = [], []
    with following("writing the audit"):
        files = [storage.save(result, path) for path in ledgers]
        files = [*(report(result, *reports) if reports else ()), *files]
    summary = result.summary | {"files": [str(path) for path in files]}
    if policies is not None:
        lines = result.policy_lines.astype(STR).fillna("")
        summary["policy_lines"] = lines.to_dict("records")
        summary["notes"] = [*policy_notes(result)]
    for note in summary.get("notes", ()):
        complain(f"Warning: {note}")
    answer(summary, as_json, lambda: show_audit(result, files))
    sys.exit(_verdict(result))


def _check_there(shares: Sequence[str]) -> None:
    for name in shares:
        if name != "-" and not Path(name).exists():
            raise UsageError(f"{name}: there is no such spreadsheet. Check its name.")


def _check_free(ledgers: Sequence[Path], reports: Sequence[Path]) -> None:
    """Refuse, before anything is read, what could not be written in the end."""
    from sharekit.reports.report import check_writable, report_format

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
    if len(result.violations):
        return 1
    if result.in_sync:
        return 4 if len(result.not_judged) else 0
    only_unread = result.inventory is None or not result.drift + result.counts["faulty"]
    return 4 if only_unread else 1
