"""A fleet: many runs under one approval and one report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sharekit.core.errors import UsageError
from sharekit.core.monitoring.progress import following
from sharekit.interfaces.cli.options import (
    CONFIRM,
    answer,
    approval_options,
    check_shares,
    cloud_options,
    default_clouds,
    fields_of,
    output_options,
    reading_options,
    sending_options,
    sign_in,
    sign_in_for,
    sign_in_if_named,
    size_options,
)

from .report import show_verdict, signer_options
from .status import exit_code

if TYPE_CHECKING:
    from sharekit.clouds.registry import Clouds
    from sharekit.fleets.planning import PlannedFleet
    from sharekit.fleets.records import FleetStatus
    from sharekit.spreadsheets.inventory import Inventory

FLEET = click.argument("fleet", type=click.Path(path_type=Path))


@click.group("fleet")
def fleet_command() -> None:
    """Plan, approve, send and report many runs as one.

    A fleet is a folder: fleet.ledger names its parts, and each part-NAME.ledger is an ordinary run,
    which every other command takes. One approval of the fleet approves each part, which is then
    complete alone; a change of one part voids the approval of that part.
    """


@fleet_command.command("plan")
@click.argument("shares", nargs=-1, required=True, type=click.Path())
@FLEET
@click.option("--by", required=True, metavar="project|account|region|N",
              help="Split by the project that acts, by its account or region, or into N parts of "
                   "equally many shares. Rows about one share stay together.")  # fmt: skip
@click.option(
    "--replaces",
    metavar="OLD_IMAGE",
    help="SHARES is the ID of an image that comes after OLD_IMAGE: share it with the "
    "projects that OLD_IMAGE is shared with. Once that fleet is finished, name its "
    "folder as SHARES: take OLD_IMAGE back where the new one was confirmed.",
)
@reading_options
@CONFIRM
@cloud_options
@size_options
@click.option(
    "--planner", default="", help="Name of the person who plans; that person cannot approve."
)
@output_options
def plan_fleet_command(
    shares: Sequence[str], fleet: Path, by: str, replaces: str | None, clouds: Sequence[str],
    clouds_yaml: Path | None, secure_yaml: Path | None, chunk_size: int, max_images: int | None,
    planner: str, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Check SHARES as a whole, split them, and plan each part into the new folder FLEET.

    Folders and patterns of parquet files may hold more rows than fit into memory: they are sorted
    by project, and checked and planned bucket by bucket.

    Exits 1 if rows are blocked; the plans are written all the same.
    """
    from sharekit.checks.check import check
    from sharekit.checks.findings import Findings
    from sharekit.fleets.partitioned import Partitioned, is_partitioned
    from sharekit.fleets.planning import plan_fleet
    from sharekit.interfaces.cli.output import show_findings

    findings: Findings | Partitioned
    if replaces is None and is_partitioned(shares):
        signed_in = sign_in_if_named(clouds, clouds_yaml, secure_yaml)
        findings = Partitioned.open(*shares, **fields_of(reading)).check(
            signed_in, strict=reading["strict"], confirm=reading["confirm"]
        )
    elif replaces is None:
        findings = check_shares(shares, clouds, clouds_yaml, secure_yaml, reading)
    else:
        signed_in = sign_in(clouds or default_clouds(), clouds_yaml, secure_yaml)
        inventory = _replacement(shares, replaces, signed_in)
        findings = check(inventory, signed_in, strict=reading["strict"], confirm=reading["confirm"])
    with following("planning the fleet"):
        made = plan_fleet(
            findings, fleet, by=by, chunk_size=chunk_size, max_images=max_images, planner=planner,
            replaces=(replaces or "").lower(),
        )  # fmt: skip
    if not as_json and isinstance(findings, Findings):
        show_findings(findings)
    _end_planning(made, as_json=as_json)


def _replacement(shares: Sequence[str], old: str, clouds: Clouds) -> Inventory:
    """Return the inventory of a step of replacing an image: share the new one, or take back."""
    from sharekit.core.columns import with_unit
    from sharekit.fleets.replacing import share_like, take_back
    from sharekit.fleets.storage import FLEET_LEDGER, read_fleet
    from sharekit.interfaces.cli.output import info

    if len(shares) != 1:
        raise UsageError("With --replaces, SHARES is one image ID, or the folder of one fleet.")
    first = Path(shares[0])
    if not (first / FLEET_LEDGER).exists():
        return share_like(shares[0].lower(), old.lower(), clouds)
    fleet = read_fleet(first)
    if fleet.plan.body.get("replaces") != old.lower():
        raise UsageError(f"{first} was not planned with --replaces {old}.")
    inventory, kept = take_back(fleet, old.lower())
    if kept:
        info(f"{with_unit(kept, 'project')} keep {old}: the new image is not confirmed there.")
    return inventory


@fleet_command.command("retry")
@FLEET
@click.argument("new", type=click.Path(path_type=Path))
@cloud_options
@size_options
@output_options
def retry_fleet_command(
    fleet: Path, new: Path, clouds: Sequence[str], clouds_yaml: Path | None,
    secure_yaml: Path | None, chunk_size: int, max_images: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Plan in the new folder NEW the rows that failed or stayed unknown in FLEET."""
    from sharekit.fleets.planning import parts_to_retry, retry_fleet
    from sharekit.fleets.storage import read_fleet

    parts = parts_to_retry(now := read_fleet(fleet))
    signed_in = sign_in_for([part.path for part in parts], clouds, clouds_yaml, secure_yaml)
    made = retry_fleet(now, parts, new, signed_in, chunk_size=chunk_size, max_images=max_images)
    _end_planning(made, as_json=as_json)


def _end_planning(made: PlannedFleet, *, as_json: bool) -> NoReturn:
    from sharekit.interfaces.cli.output import show_fleet_plan

    parts = [{"part": name, **counts} for name, counts in made.parts.items()]
    result = {"by": made.by, **made.counts, "parts": parts}
    answer(result, as_json, lambda: show_fleet_plan(made))
    sys.exit(1 if made.counts["blocked"] else 0)


@fleet_command.command("approve")
@FLEET
@click.option("--reviewer", required=True, help="Name of the person who approves.")
@click.option("--fingerprint", metavar="PREFIX", required=True,
              help="At least the first 8 digits of the fleet's fingerprint.")  # fmt: skip
@click.option("--note", default="", help="Reason; reports show it.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY",
              help="Sign with this OpenSSH key; for a public key, ssh-agent signs.")  # fmt: skip
@output_options
def approve_fleet_command(
    fleet: Path, reviewer: str, fingerprint: str, note: str, sign: Path | None, as_json: bool
) -> None:
    """Approve the plans of all parts; a later change of one part voids its approval alone.

    PREFIX is the beginning of the fingerprint that `fleet plan` and `fleet status` print. The same
    command completes an approval that was interrupted.
    """
    from sharekit.core.columns import with_unit
    from sharekit.fleets.fleet import Fleet

    given = Fleet(fleet).approve(reviewer=reviewer, fingerprint=fingerprint, note=note, sign=sign)
    names = ("reviewer", "fingerprint", "parts", "images", "approved")
    answer(
        {name: given[name] for name in names},
        as_json,
        lambda: click.echo(
            f"{given['reviewer']} approves {with_unit(given['images'], 'share')} in "
            f"{with_unit(given['parts'], 'part')}, fingerprint {given['fingerprint'][:12]}. "
            f"Written into {with_unit(given['approved'], 'ledger')}. "
            f"next: sharekit fleet submit {fleet}"
        ),
    )


@fleet_command.command("submit")
@FLEET
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="Send on the workers of this scheduler of dask.distributed, such as "
    "tcp://host:8786. They need the same folder FLEET and the same clouds.",
)
@click.option(
    "--workers",
    default=4,
    show_default=True,
    metavar="N",
    type=click.IntRange(1),
    help="Without a scheduler, send by so many processes of this machine.",
)
@cloud_options
@sending_options
@approval_options
@output_options
def submit_fleet_command(
    fleet: Path, scheduler: str, workers: int, clouds: Sequence[str], clouds_yaml: Path | None,
    secure_yaml: Path | None, reviewers: int, signers: Path | None, seal: Path | None,
    break_lock: bool, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Send the approved parts of FLEET side by side; the same command resumes them.

    Each part is sent by one worker, and by another if that one dies. A limit of requests a second
    is shared by all. Once every part is finished, the fleet's ledger records how each has ended.
    """
    from sharekit.fleets.fleet import Fleet
    from sharekit.fleets.storage import recover
    from sharekit.interfaces.cli.output import complain, info, show_fleet
    from sharekit.plans.approval import ApprovalRequirement
    from sharekit.runs.settings import Settings

    how = Settings(**settings)
    demand = ApprovalRequirement(reviewers, None if signers is None else signers.resolve())
    if break_lock:
        recover(fleet, take_over=True)
    try:
        state = Fleet(fleet).submit(
            *clouds, scheduler=scheduler, workers=workers, config_file=clouds_yaml,
            secure_file=secure_yaml, settings=how, demand=demand, seal=seal,
        )  # fmt: skip
    except KeyboardInterrupt:
        info(f"Interrupted. Nothing is lost: sharekit fleet submit {fleet} continues the fleet.")
        sys.exit(3)
    for name, error in state.errors.items():
        complain(f"Error: {name}: {error.in_shell}")
    answer(state.summary, as_json, lambda: show_fleet(state))
    sys.exit(fleet_exit_code(state))


@fleet_command.command("status")
@FLEET
@output_options
def status_fleet_command(fleet: Path, as_json: bool) -> None:
    """Show the outcomes of all parts so far, and what is open in which.

    Exits with the highest code of `status` of the parts.
    """
    from sharekit.fleets.fleet import Fleet
    from sharekit.interfaces.cli.output import show_fleet

    now = Fleet(fleet).status()
    answer(now.summary, as_json, lambda: show_fleet(now))
    sys.exit(fleet_exit_code(now))


def fleet_exit_code(now: FleetStatus) -> int:
    """Return the exit code for the state of a fleet: the highest of its parts."""
    errors = {name: e for name, e in now.errors.items() if not now.runs[name].finished}
    return max(*map(exit_code, now.runs.values()), *(e.exit_code for e in errors.values()), 0)


@fleet_command.command("report")
@FLEET
@click.argument("out", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_options
def report_fleet_command(fleet: Path, out: Sequence[Path], as_json: bool) -> None:
    """Write reports over all parts as xlsx, html, csv, json or parquet.

    The suffix of each OUT names its format. A table lists the parts, and what is open in which.
    """
    from sharekit.fleets.fleet import Fleet

    files = [str(path) for path in Fleet(fleet).report(*out)]
    answer({"files": files}, as_json, lambda: click.echo("\n".join(files)))


@fleet_command.command("verify")
@FLEET
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@signer_options
@output_options
def verify_fleet_command(
    fleet: Path, reports: Sequence[Path], signers: Path | None, reviewers: int, as_json: bool
) -> None:
    """Check FLEET, every part, that they belong together, and reports made from them.

    The verdicts are those of `verify`.
    """
    from sharekit.fleets.fleet import Fleet

    show_verdict(
        Fleet(fleet).verify(*reports, signers=signers, reviewers=reviewers), as_json=as_json
    )
