"""The simulated cloud: demo runs every step on it, simulator serves it."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.options import answer, output_options

if TYPE_CHECKING:
    from sharekit.runs.status import Run
    from sharekit.simulator.process import Simulator

_FILES = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
_REVIEWER = "Ada Reviewer"
#: A cloud on an ordinary bad day: flow control, passing errors, a few images that fail.
_FAULTS = "flow_control=0.1,p503=0.1,job_partial=0.01"


@click.command("demo")
@click.argument("directory", default="demo-run", type=click.Path(path_type=Path))
@click.option("--rows", default=500, show_default=True, help="Number of rows in the workbook.")
@output_options
def demo_command(directory: Path, rows: int, as_json: bool) -> None:
    """Run every step on the embedded simulator.

    The demo needs no credentials. It leaves the workbook, the ledger and the reports in DIRECTORY.
    """
    from sharekit.core.columns import with_unit
    from sharekit.reports.report import report
    from sharekit.reports.verification.verify import verify
    from sharekit.simulator.process import start
    from sharekit.simulator.sample import build_sample, write_workbook

    began = monotonic()
    ledger = directory / "run.ledger"
    if ledger.exists():
        raise UsageError(f"{ledger} exists already: remove {directory} or name another directory.")
    directory.mkdir(parents=True, exist_ok=True)
    sample = build_sample(rows)
    shares = write_workbook(sample, directory / "shares.xlsx")
    shares.chmod(0o600)
    with redirect_stdout(StringIO()) if as_json else nullcontext():
        with start(sample.seed) as cloud:
            config = cloud.write_clouds_yaml(directory / "clouds.yaml")
            click.echo(
                f"A simulated cloud is running at {cloud.url}; {shares} lists "
                f"{with_unit(rows, 'share')}."
            )
            run = _run_steps(shares, ledger, config, cloud)
        _say_step(
            "5. report and verify", f"sharekit report {ledger} … && sharekit verify {ledger} …"
        )
        reports = report(run, *(directory / name for name in _FILES))
        verdict = verify(ledger, *reports)
        click.echo(verdict.label)
        files = [shares, config, ledger, *reports]
        _list_files(files, monotonic() - began)
    summary = {"intact": verdict.intact, "files": [str(file) for file in files]}
    answer(run.summary | summary, as_json, lambda: None)


def _run_steps(shares: Path, ledger: Path, config: Path, cloud: Simulator) -> Run:
    """Take a run from its workbook to its outcomes, and print each step."""
    from sharekit.checks.check import check
    from sharekit.clouds.sign_in import connect
    from sharekit.interfaces.cli.output import show_findings, show_plan, show_run
    from sharekit.plans.approval import approve
    from sharekit.plans.plan import plan as make_plan
    from sharekit.runs.submit import submit
    from sharekit.simulator.faults import Faults
    from sharekit.spreadsheets.reading import read_inventory

    _say_step("1. check", f"sharekit check {shares} --cloud NAME …")
    clouds = connect(config_file=config)
    findings = check(read_inventory(shares), clouds)
    show_findings(findings, limit=3)
    _say_step("2. plan", f"sharekit plan {shares} {ledger} --cloud NAME …")
    plan = make_plan(findings, ledger)
    show_plan(plan)
    click.echo(_short(plan.preview(1)))
    _say_step("3. approve", f"sharekit approve {ledger} --reviewer … --fingerprint …")
    fingerprint = plan.fingerprint[:12]
    approve(plan, reviewer=_REVIEWER, fingerprint=fingerprint)
    click.echo(f"{_REVIEWER} approves fingerprint {fingerprint}")
    _say_step("4. submit", f"sharekit submit {ledger}")
    cloud.set_faults(Faults.parse(_FAULTS))
    click.echo("(the cloud now refuses some requests, and some images fail)")
    run = submit(plan, clouds)
    show_run(run)
    return run


@click.command("simulator")
@click.option("--port", default=0, help="Port to listen on; 0 takes a free one.")
@click.option("--shares", type=click.Path(path_type=Path), metavar="FILE",
              help="Seed of the cloud (json), or a workbook whose shares it gets.")  # fmt: skip
@click.option("--faults", default="", metavar="NAME=VALUE,…",
              help="Faults to inject, e.g. p503=0.1; the docs list all names.")  # fmt: skip
@click.option("--clouds-yaml", type=click.Path(path_type=Path), metavar="FILE",
              help="Also write the clouds.yaml to this file.")  # fmt: skip
@output_options
def simulator_command(
    port: int, shares: Path | None, faults: str, clouds_yaml: Path | None, as_json: bool
) -> None:
    """Run a simulated cloud on loopback until Ctrl-C.

    The command prints its clouds.yaml on stdout.
    """
    import yaml

    from sharekit.interfaces.cli.output import info
    from sharekit.interfaces.cli.seed import seed_from_workbook
    from sharekit.interfaces.cli.signals import install_signal_handlers
    from sharekit.simulator.faults import Faults
    from sharekit.simulator.process import clouds_yaml as make_clouds_yaml
    from sharekit.simulator.process import write_privately
    from sharekit.simulator.sample import build_sample
    from sharekit.simulator.seed import Seed
    from sharekit.simulator.server import make_http_server

    install_signal_handlers()
    if shares is None:
        seed = build_sample().seed
    else:
        seed = Seed.from_file(shares) if shares.suffix == ".json" else seed_from_workbook(shares)
    server = make_http_server(seed, Faults.parse(faults), port=port)
    url = f"http://127.0.0.1:{server.port}"
    text = make_clouds_yaml(seed, url)
    if clouds_yaml is not None:
        write_privately(clouds_yaml, text)
    names = list(yaml.safe_load(text)["clouds"])
    click.echo(json.dumps({"url": url, "clouds": names, "clouds_yaml": text}) if as_json else text)
    sys.stdout.flush()
    info(f"A simulated cloud is running at {url}; Ctrl-C ends it.")
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        info("The simulated cloud has ended.")
    finally:
        server.server_close()


def _say_step(title: str, command: str) -> None:
    click.echo()
    click.secho(title, bold=True, nl=False)
    click.secho(f"    {command}", dim=True)


def _short(preview: str) -> str:
    lines = preview.splitlines()
    return "\n".join([*lines[:8], "    …", *lines[-4:]]) if len(lines) > 14 else preview


def _list_files(files: list[Path], seconds: float) -> None:
    click.echo()
    click.secho(f"Done in {seconds:.1f} s. Files:", bold=True)
    meanings = ("the input", "sign-in of the simulated cloud",
                "every event of the run, hash-chained",
                "for the auditor, in Excel", "for the auditor, to read or print",
                "every input row with its outcome", "the same, for programs")  # fmt: skip
    for file, meaning in zip(files, meanings, strict=True):
        click.echo(f"  {file!s:28} {meaning}")
