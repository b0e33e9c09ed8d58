"""The review as an application in the browser: app."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from sharekit.core.errors import UsageError, missing_extra
from sharekit.interfaces.cli.options import cloud_files, output_options

_PORT = 8866


@click.command("app")
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@cloud_files
@click.option("--reviewer", default="", help="Name of the person who decides.")
@click.option("--rehearse", is_flag=True,
              help="Begin with a simulated cloud, and a workbook for it in DIRECTORY.")  # fmt: skip
@click.option("--port", default=_PORT, show_default=True, type=click.IntRange(1, 65_535),
              help="Port to listen on; another one if it is taken.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@output_options
def app_command(
    directory: Path, clouds_yaml: Path | None, secure_yaml: Path | None, reviewer: str,
    rehearse: bool, port: int, no_browser: bool, as_json: bool,
) -> None:  # fmt: skip
    """Plan, review, send and audit in the browser, on the runs in DIRECTORY, until Ctrl-C.

    The page is for this machine and this account alone: it is on loopback, its address holds a
    token, and it needs the extra `app` (pip install 'sharekit-ims[app]').
    """
    if find_spec("voila") is None or find_spec("ipykernel") is None:
        raise missing_extra("The app needs Voilà", "app")
    if not rehearse and not directory.is_dir():
        raise UsageError(f"{directory} is no folder: create it, or name another one.")
    from sharekit.clouds.clouds_yaml import read_clouds_yaml
    from sharekit.interfaces.cli.output import info
    from sharekit.interfaces.notebook.server import open_browser, serve

    with ExitStack() as stack:
        if rehearse:
            clouds_yaml, secure_yaml = _rehearsal(directory, stack), None
        files = read_clouds_yaml(clouds_yaml, secure_yaml)
        # Each page has a Python of its own, elsewhere: it is told what this folder and call mean.
        for name, path in (("CONFIG", files.file), ("SECURE", files.secure)):
            os.environ.pop(variable := f"OS_CLIENT_{name}_FILE", None)
            os.environ |= {variable: str(path.absolute())} if path else {}
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="sharekit-app-")))

        def ready(url: str) -> None:
            click.echo(json.dumps({"url": url}) if as_json else url)
            sys.stdout.flush()
            info("Whoever has this address can decide and send in your name; Ctrl-C ends the app.")
            if not no_browser:
                open_browser(url, folder)

        serve({"folder": str(directory.absolute()), "reviewer": reviewer}, port, folder, ready)


def _rehearsal(directory: Path, stack: ExitStack) -> Path:
    """Start a simulated cloud, write a workbook for it unless there is one; return clouds.yaml."""
    from sharekit.simulator.process import start
    from sharekit.simulator.sample import build_sample, write_workbook

    directory.mkdir(parents=True, exist_ok=True)
    sample, shares = build_sample(200), directory / "shares.xlsx"
    if not shares.exists():
        write_workbook(sample, shares).chmod(0o600)
    return stack.enter_context(start(sample.seed)).write_clouds_yaml(directory / "clouds.yaml")
