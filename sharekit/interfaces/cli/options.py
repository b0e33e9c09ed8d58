"""Options that several commands have, or that belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from sharekit.core.api import CHUNK_SIZE
from sharekit.core.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def loading(command: Command) -> Command:
    """Options of every command that reads spreadsheets."""
    for option in reversed(
        (
            click.option("--sheet", multiple=True, help="Read only this sheet (repeatable)."),
            click.option("--map", "maps", multiple=True, metavar="FIELD=HEADER",
                         help='Which header holds a field: --map image_id="Image UUID".'),
            click.option("--project", help="The project ID, where no column tells it."),
            click.option("--status", help="accepted, rejected, share or unshare, where no column "
                         "tells it."),
            click.option("--vault", help="The vault ID, where no column tells it."),
            click.option("--encoding", default="", metavar="NAME",
                         help="How csv files are written, such as cp1251, if not found out."),
            click.option("--strict", is_flag=True, help="Warnings count as errors."),
            click.option("--limit", "limits", multiple=True, metavar="NAME=NUMBER",
                         help="Read larger files than usual, as in --limit columns=20000."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def signing_in(command: Command) -> Command:
    """Options of every command that talks to clouds."""
    for option in reversed(
        (
            click.option("--cloud", "clouds", multiple=True, metavar="NAME",
                         help="An entry in clouds.yaml; repeat it for each project. envvars: what "
                         "the OS_* variables say."),
            click.option("--clouds-yaml", type=click.Path(path_type=Path), metavar="FILE",
                         help="Use this clouds.yaml; without --cloud, all its entries."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def planning(command: Command) -> Command:
    """Options of every command that makes a plan."""
    for option in reversed(
        (
            click.option("--chunk-size", default=CHUNK_SIZE, show_default=True,
                         help="Images a request."),
            click.option("--max-images", type=int,
                         help="Refuse a plan that changes more images than this."),
            click.option("--preview", is_flag=True,
                         help="Print every request: method, URL and body."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def sending(command: Command) -> Command:
    """Options of every command that sends: the settings of a run, under their own names."""
    for option in reversed(
        (
            click.option("--concurrency", default=8, show_default=True,
                         help="Requests under way at once."),
            click.option("--max-failed", "failure_limit", default=0.5, show_default=True,
                         metavar="SHARE",
                         help="Stop when more than this share of the images, and more than "
                              "100, has failed; where nothing succeeds, after a few; and when "
                              "nine in ten of the latest 500 have."),
            click.option("--job-timeout", default=900.0, show_default=True, metavar="SECONDS",
                         help="How long to wait for one job."),
            click.option("--outage", default=60.0, show_default=True, metavar="SECONDS",
                         help="Stop when nothing useful came from the cloud for so long."),
            click.option("--canary", default=0, show_default=True, metavar="N",
                         help="Send N chunks first; the rest only if they are confirmed."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def demanding(command: Command) -> Command:
    """Options that say what it takes before anything is sent, and what seals it."""
    for option in reversed(
        (
            click.option("--reviewers", default=1, show_default=True,
                         help="So many must have approved."),
            click.option("--require-signature", "signers", type=click.Path(path_type=Path),
                         metavar="ALLOWED_SIGNERS",
                         help="Only approvals count that these people signed."),
            click.option("--seal", type=click.Path(path_type=Path), metavar="KEY",
                         help="Sign the finished run, so that its end cannot be cut off unseen."),
            click.option("--take-over", "take", is_flag=True,
                         help="Another machine left the run open, and is gone for sure."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def limits_of(entries: Sequence[str]) -> Any:
    """Read what ``--limit`` was given; the result is a :class:`sharekit.Limits`."""
    from sharekit.spreadsheets.input import Limits  # noqa: PLC0415 - pandas takes its time

    names = [field.name for field in fields(Limits)]
    given = {}
    for entry in entries:
        name, _, number = entry.partition("=")
        if name not in names or not number.isdecimal():
            raise UsageError(
                f"--limit {entry}: write it as NAME=NUMBER, with one of {', '.join(names)}."
            )
        given[name] = int(number)
    return Limits(**given)
