"""What several commands do alike: read, sign in, answer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

import sharekit
from sharekit.core.errors import UsageError

from . import output
from .options import limits_of

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
RUN = click.argument("run", type=click.Path(path_type=Path))


def read(shares: Sequence[str], reading: dict[str, Any]) -> sharekit.Inventory:
    """Read spreadsheets as the options of ``loading`` say."""
    maps = {
        field.strip().lower().replace(" ", "_").replace("-", "_"): header
        for field, _, header in (entry.partition("=") for entry in reading["maps"])
    }
    if bad := [entry for entry in reading["maps"] if "=" not in entry]:
        raise UsageError(f'--map {bad[0]}: write it as FIELD=HEADER, as in image_id="Image UUID".')
    given = {"project_id": reading["project"], "status": reading["status"]}
    given["vault_id"] = reading["vault"]
    with output.busy("Reading the spreadsheets"):
        return sharekit.read_inventory(
            *shares,
            sheet=reading["sheet"] or None,
            columns=maps,
            defaults={k: v for k, v in given.items() if v is not None},
            limits=limits_of(reading["limits"]),
            encoding=reading["encoding"],
        )


def checked(
    shares: Sequence[str], clouds: Sequence[str], clouds_yaml: Path | None, reading: dict[str, Any]
) -> sharekit.Findings:
    """Read spreadsheets as the options of ``loading`` say, and check them, with clouds if any."""
    inventory = read(shares, reading)
    signed_in = connect(clouds, clouds_yaml) if clouds or clouds_yaml else None
    with output.busy("Checking every row" + (", and reading the cloud" if signed_in else "")):
        return sharekit.check(inventory, signed_in, strict=reading["strict"])


def usual_cloud() -> tuple[str, ...]:
    """The cloud that ``OS_CLOUD`` names, as for ``openstack``; none without it."""
    return tuple(filter(None, [os.environ.get("OS_CLOUD", "").strip()]))


def connect(names: Sequence[str], clouds_yaml: Path | None) -> sharekit.Clouds:
    """Sign in, and say what is less safe than it should be."""
    with output.busy("Signing in to " + (", ".join(names) or str(clouds_yaml)), patient=False):
        signed_in = sharekit.connect(*names, config_file=clouds_yaml)
    for name, warnings in signed_in.warnings.items():
        for warning in warnings:
            output.say(f"Warning: {name}: {warning}.")
    return signed_in


def answer(result: dict[str, Any], as_json: bool, show: Callable[[], object]) -> None:
    """Answer: one JSON object, or what a person reads."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        show()
