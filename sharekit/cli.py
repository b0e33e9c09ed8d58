"""The command line: a thin way to the library, with exit codes and JSON that scripts rely on.

Exit codes: 0 yes; 1 the answer is no; 2 usage or unreadable input; 3 unfinished, run it again;
4 the cloud refused or cannot be reached.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

import sharekit

from . import approval, console
from .approval import Demand, ensure
from .errors import SharekitError, UsageError
from .options import demanding, limits_of, loading, planning, sending, signing_in
from .run import clouds_of
from .signals import end_cleanly
from .storage import is_busy, take_over

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
_RUN = click.argument("run", type=click.Path(path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(sharekit.__version__, prog_name="sharekit")
def cli() -> None:
    """Accept or reject shared cloud images by the hundred, and prove what happened.

    \b
    The road:  check → plan → review → approve → submit → report → verify
    Try it without a cloud:  sharekit demo
    Exit codes:  0 yes · 1 no · 2 usage or input · 3 unfinished · 4 the cloud refused
    """


@cli.command()
@click.argument("shares", type=click.Path(path_type=Path))
@_AS_JSON
def template(shares: Path, as_json: bool) -> None:
    """Write an empty workbook to fill in: drop-downs, notes, ID columns as text."""
    sharekit.template(shares)
    _done({"file": str(shares)}, as_json, lambda: click.echo(f"{shares} is ready to be filled in."))


@cli.command()
@click.argument("shares", nargs=-1, required=True)
@loading
@signing_in
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Write all findings to an xlsx, csv or json file.")  # fmt: skip
@_AS_JSON
def check(
    shares: Sequence[str], clouds: Sequence[str], clouds_yaml: Path | None,
    output: Path | None, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Check every row of SHARES (xlsx, xlsm, xlsb, xls, ods, csv, tsv, parquet, or -)."""
    if output is not None and output.exists():
        raise UsageError(f"{output} exists already: choose another name for the findings.")
    findings = _checked(shares, clouds, clouds_yaml, reading)
    if output is not None:
        from .reporting import write_findings  # noqa: PLC0415 - matplotlib takes its time

        write_findings(findings, output)
        console.say(f"All findings: {output}")
    _done(findings.summary, as_json, lambda: console.show_findings(findings))
    sys.exit(1 if findings.count("error") else 0)


@cli.command()
@click.argument("shares", nargs=-1, required=True)
@_RUN
@loading
@signing_in
@planning
@click.option("--planner", default="", help="Who plans; then somebody else has to approve.")
@_AS_JSON
def plan(
    shares: Sequence[str], run: Path, clouds: Sequence[str], clouds_yaml: Path | None,
    chunk_size: int, max_images: int | None, planner: str, preview: bool, as_json: bool,
    **reading: Any,
) -> None:  # fmt: skip
    """Check SHARES, look at the cloud, and write the plan into a new ledger RUN."""
    if run.exists():
        raise UsageError(f"{run} exists already: choose another name for the new run.")
    findings = _checked(shares, clouds, clouds_yaml, reading)
    with console.busy("Making the plan"):
        made = sharekit.plan(
            findings, run, chunk_size=chunk_size, max_images=max_images, planner=planner
        )
    _planned(made, preview=preview, as_json=as_json)


def _following(command: Callable[..., Any]) -> Callable[..., Any]:
    """Arguments and options of commands that make a new run of an old one."""
    command = signing_in(planning(_AS_JSON(command)))
    return _RUN(click.argument("new", type=click.Path(path_type=Path))(command))


@cli.command()
@_following
def undo(run: Path, new: Path, **options: Any) -> None:
    """Plan in NEW the way back from RUN: what it changed, to the state before."""
    _follow(run, new, "undo", **options)


@cli.command()
@_following
def retry(run: Path, new: Path, **options: Any) -> None:
    """Plan in NEW what failed, was contradicted or stayed unknown in RUN."""
    _follow(run, new, "retry", **options)


def _follow(
    run: Path, new: Path, what: str, *, clouds: Sequence[str], clouds_yaml: Path | None,
    preview: bool, as_json: bool, **sizes: Any,
) -> None:  # fmt: skip
    from . import followup  # noqa: PLC0415 - only these two need it

    names = clouds or clouds_of(run)
    if not names and clouds_yaml is None:
        raise UsageError(f"{run} was planned without a cloud: name the cloud with --cloud NAME.")
    signed_in = _connect(names, clouds_yaml)
    with console.busy("Making the plan"):
        make = followup.undo if what == "undo" else followup.retry
        made = make(run, new, signed_in, **sizes)
    _planned(made, preview=preview, as_json=as_json)


@cli.command()
@_RUN
@click.argument("sheet", required=False, type=click.Path(path_type=Path))
@click.option("--take", type=click.Path(path_type=Path), metavar="SHEET",
              help="Take the decisions of a filled-in review sheet.")  # fmt: skip
@click.option("--reviewer", default="", help="Who decided, for the report.")
@click.option("--requests", type=int, default=3, show_default=True, help="Requests to preview.")
@_AS_JSON
def review(
    run: Path, sheet: Path | None, take: Path | None, reviewer: str, requests: int, as_json: bool
) -> None:
    """Show the plan in RUN; write it to an Excel sheet to decide on, or take that back in."""
    seen = sharekit.review(run, out=sheet, take=take, reviewer=reviewer)

    def show() -> None:
        console.show_findings(seen.plan.findings, limit=5)
        console.show_plan(seen.plan)
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

    _done(seen.plan.counts | {"decided": len(seen.changes)}, as_json, show)


@cli.command()
@_RUN
@click.option("--reviewer", required=True, help="Who approves.")
@click.option("--fingerprint", required=True, metavar="PREFIX", help="At least 8 digits of it.")
@click.option("--note", default="", help="A reason, for the report.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY",
              help="Sign it with this OpenSSH key (a public one: by the ssh-agent).")  # fmt: skip
@_AS_JSON
def approve(
    run: Path, reviewer: str, fingerprint: str, note: str, sign: Path | None, as_json: bool
) -> None:
    """Approve the plan in RUN by its fingerprint; any later change voids it."""
    yes = sharekit.approve(run, reviewer=reviewer, fingerprint=fingerprint, note=note, sign=sign)
    _done(
        {"reviewer": yes.reviewer, "fingerprint": yes.fingerprint, "images": yes.images,
         "at": yes.at},
        as_json,
        lambda: click.echo(f"{yes.reviewer} approves {yes.images:,} images, "
                           f"fingerprint {yes.fingerprint[:12]}. next: sharekit submit {run}"),
    )  # fmt: skip


@cli.command()
@_RUN
@signing_in
@sending
@demanding
@_AS_JSON
def submit(
    run: Path, clouds: Sequence[str], clouds_yaml: Path | None, reviewers: int,
    signers: Path | None, seal: Path | None, take: bool, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Send what is approved in RUN and read the cloud back; the same command resumes."""
    patience = sharekit.Settings(**settings)
    if take:
        take_over(run)
    demand = Demand(reviewers, signers)
    ensure(run, demand)
    names = clouds or clouds_of(run)
    if not names and clouds_yaml is None:
        raise UsageError(f"{run} was planned without a cloud: name the cloud with --cloud NAME.")
    end_cleanly()
    try:
        signed_in = _connect(names, clouds_yaml)
        with console.RunBar() as bar:
            done = sharekit.submit(run, signed_in, settings=patience, progress=bar, demand=demand)
    except KeyboardInterrupt:
        console.say(f"Interrupted. Nothing is lost: sharekit submit {run} takes it up again.")
        sys.exit(3)
    if seal is not None and done.finished:
        approval.seal(run, seal)
    _done(done.summary, as_json, lambda: console.show_run(done))
    sys.exit(_verdict(done))


@cli.command()
@_RUN
@_AS_JSON
def status(run: Path, as_json: bool) -> None:
    """Tell where RUN stands, also while it is being submitted."""
    now = sharekit.status(run)
    _done(now.summary, as_json, lambda: console.show_run(now, busy=is_busy(run)))
    sys.exit(_verdict(now))


@cli.command()
@_RUN
@click.argument("out", nargs=-1, required=True, type=click.Path(path_type=Path))
@_AS_JSON
def report(run: Path, out: Sequence[Path], as_json: bool) -> None:
    """Make reports of RUN: audit.xlsx, audit.html, outcomes.csv, outcomes.json, by suffix."""
    with console.busy("Writing the report"):
        made = sharekit.report(run, *out)
    files = [str(path) for path in made]
    _done({"files": files}, as_json, lambda: click.echo("\n".join(files)))


@cli.command()
@_RUN
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@click.option("--allowed-signers", "signers", type=click.Path(path_type=Path), metavar="FILE",
              help="Check signatures too: each approval's, and the run's seal.")  # fmt: skip
@_AS_JSON
def verify(run: Path, reports: Sequence[Path], signers: Path | None, as_json: bool) -> None:
    """Check RUN, and REPORTS made from it, for any change; exits 1 if there was one."""
    with console.busy("Verifying"):
        verdict = sharekit.verify(run, *reports, signers=signers)

    def show() -> None:
        for where, what in verdict.problems:
            click.echo(f"{where}: {what}")
        word = "intact" if verdict.intact else "TAMPERED"
        click.echo(f"{word}: {verdict.events} events, head {verdict.head}")

    problems = [{"where": where, "what": what} for where, what in verdict.problems]
    _done(
        {"intact": verdict.intact, "events": verdict.events, "head": verdict.head,
         "problems": problems},
        as_json, show,
    )  # fmt: skip
    sys.exit(0 if verdict.intact else 1)


@cli.command()
@click.argument("directory", default="demo-run", type=click.Path(path_type=Path))
@click.option("--rows", default=500, show_default=True, help="How long the sample workbook is.")
@_AS_JSON
def demo(directory: Path, rows: int, as_json: bool) -> None:
    """Go the whole road on the embedded simulator, without credentials; files in DIRECTORY."""
    from .demo import run_demo  # noqa: PLC0415 - the simulator is only loaded when it is wanted

    result = run_demo(directory, rows, quiet=as_json)
    _done(result, as_json, lambda: None)


@cli.command()
@click.option("--port", default=0, help="0 takes a free one.")
@click.option("--shares", type=click.Path(path_type=Path), metavar="FILE",
              help="A seed (json), or a workbook of shares to rehearse with.")  # fmt: skip
@click.option(
    "--faults",
    default="",
    metavar="NAME=VALUE,…",
    help="What goes wrong, as in p503=0.1,latency=0.05; docs/cli.md names all.",
)
@click.option("--clouds-yaml", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the clouds.yaml there too.")  # fmt: skip
@_AS_JSON
def simulator(
    port: int, shares: Path | None, faults: str, clouds_yaml: Path | None, as_json: bool
) -> None:
    """Run a simulated cloud on loopback until Ctrl-C; prints a clouds.yaml for it."""
    from .demo import run_simulator  # noqa: PLC0415 - the simulator is only loaded when it is wanted

    end_cleanly()
    run_simulator(port, shares, faults, clouds_yaml, as_json=as_json)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; every way it can end is an exit code and one sentence."""
    # Its own warnings on failed sign-ins would only repeat, in other words, what we say.
    logging.getLogger("keystoneauth").addHandler(logging.NullHandler())
    try:
        cli.main(arguments, prog_name="sharekit", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        console.say("Interrupted.")
        sys.exit(3)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except SharekitError as error:
        console.say(f"Error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        console.say("Interrupted.")
        sys.exit(3)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        console.say(f"Error: {where}{error.strerror or error}")
        sys.exit(2)
    sys.exit(0)


def _planned(made: sharekit.Plan, *, preview: bool, as_json: bool) -> NoReturn:
    def show() -> None:
        console.show_findings(made.findings)
        console.show_plan(made)
        if preview:
            click.echo(made.preview())
        if made.counts["planned"]:
            click.echo(
                f"next: sharekit review {made.path}, then sharekit approve {made.path} "
                f"--reviewer NAME --fingerprint {made.fingerprint[:12]}"
            )

    _done(made.counts, as_json, show)
    sys.exit(1 if made.counts["blocked"] else 0)


def _checked(
    shares: Sequence[str], clouds: Sequence[str], clouds_yaml: Path | None, reading: dict[str, Any]
) -> sharekit.Findings:
    maps = {
        field.strip().lower().replace(" ", "_").replace("-", "_"): header
        for field, _, header in (entry.partition("=") for entry in reading["maps"])
    }
    if bad := [entry for entry in reading["maps"] if "=" not in entry]:
        raise UsageError(f'--map {bad[0]}: write it as FIELD=HEADER, as in image_id="Image UUID".')
    given = {"project_id": reading["project"], "status": reading["status"]}
    given["vault_id"] = reading["vault"]
    with console.busy("Reading the spreadsheets"):
        inventory = sharekit.read_inventory(
            *shares,
            sheet=reading["sheet"] or None,
            columns=maps,
            defaults={k: v for k, v in given.items() if v is not None},
            limits=limits_of(reading["limits"]),
        )
    signed_in = _connect(clouds, clouds_yaml) if clouds or clouds_yaml else None
    with console.busy("Checking every row" + (", and reading the cloud" if signed_in else "")):
        return sharekit.check(inventory, signed_in, strict=reading["strict"])


def _connect(names: Sequence[str], clouds_yaml: Path | None) -> sharekit.Clouds:
    with console.busy("Signing in"):
        signed_in = sharekit.connect(*names, config_file=clouds_yaml)
    for cloud in signed_in.values():
        for warning in cloud.warnings:
            console.say(f"Warning: {cloud.name}: {warning}.")
    return signed_in


def _done(result: dict[str, Any], as_json: bool, show: Callable[[], object]) -> None:
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        show()


def _verdict(run: sharekit.Run) -> int:
    if not run.finished:
        return 3
    if run.good:
        return 0
    return 4 if run.denied else 1
