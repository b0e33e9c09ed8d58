"""Options that several commands share, and the calls that these options describe."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sharekit.core.cloud_api import CHUNK_SIZE
from sharekit.core.errors import UsageError
from sharekit.core.monitoring.logs import configure as configure_logging
from sharekit.core.monitoring.progress import supply
from sharekit.core.rules import CONFIRMABLE

if TYPE_CHECKING:
    from sharekit.checks.findings import Findings
    from sharekit.clouds.registry import Clouds
    from sharekit.spreadsheets.input import Limits
    from sharekit.spreadsheets.inventory import Inventory

Command = TypeVar("Command", bound=Callable[..., Any])

RUN = click.argument("run", type=click.Path(path_type=Path))


def saved_option(name: str, *names: str, **how: Any) -> Callable[[Command], Command]:
    """Return an option that people repeat; a variable can hold it, such as ``SHAREKIT_CLOUD``.

    What decides on rows, or allows what is refused otherwise, is said anew at every call.
    """
    variable = f"SHAREKIT_{name.removeprefix('--').replace('-', '_').upper()}"
    return click.option(name, *names, envvar=variable, **how)


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every command: what is printed, and what is logged, how much and where."""

    @wraps(command)
    def configured(
        *arguments: Any, verbose: int, quiet: bool, log_file: Path | None, **more: Any
    ) -> None:
        from sharekit.interfaces.display import SHELL_LINES, make_display

        from .output import be_quiet

        _refuse_undecoded(click.get_current_context())
        configure_logging(-1 if quiet else verbose, log_file)
        be_quiet(quiet=quiet)
        before = supply(None if quiet else partial(make_display, SHELL_LINES))
        try:
            command(*arguments, **more)
        finally:
            supply(before)

    return _add(
        configured,
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
        click.option("-v", "--verbose", count=True,
                     help="Log retries and waits to stderr; -vv logs every request."),
        click.option("-q", "--quiet", is_flag=True,
                     help="Print nothing but errors and warnings on stderr."),
        saved_option("--log-file", type=click.Path(path_type=Path), metavar="FILE",
                     help="Append a log of every request to FILE; secrets are left out."),
    )  # fmt: skip


def _refuse_undecoded(context: click.Context) -> None:
    """Refuse a text that the shell's encoding does not hold; a file may have such a name."""
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        for text in value if isinstance(value, tuple) else (value,):
            file = isinstance(parameter.type, click.Path)
            if isinstance(text, str) and not file and re.search("[\ud800-\udfff]", text):
                encoding = sys.getfilesystemencoding()
                raise click.BadParameter(
                    f"{text!a:.80} is no text in {encoding}, the encoding of this shell. Set "
                    "PYTHONUTF8=1, or a locale with UTF-8 such as LC_ALL=C.UTF-8, and call again.",
                    context, parameter,
                )  # fmt: skip


def reading_options(command: Command) -> Command:
    """Options of every command that reads spreadsheets."""
    return _add(
        command,
        click.option("--sheet", multiple=True, help="Read only this sheet (repeatable)."),
        click.option("--map", "maps", multiple=True, metavar="FIELD=HEADER",
                     help='Header of a field\'s column, e.g. image_id="Image UUID" (repeatable).'),
        click.option("--project", help="Project ID for sheets without that column."),
        click.option("--status", help="Decision for sheets without that column: "
                     "accepted, rejected, share or unshare."),
        click.option("--vault", help="Vault ID for sheets without that column."),
        saved_option("--encoding", default="", metavar="NAME",
                     help="Encoding of csv files, e.g. cp1251 (default: detected)."),
        saved_option("--strict", is_flag=True, help="Treat warnings as errors."),
        click.option("--limit", "limits", multiple=True, metavar="NAME=NUMBER",
                     help="Raise a limit on the size of files, e.g. columns=20000 (repeatable)."),
    )  # fmt: skip


CONFIRM = click.option(
    "--confirm", multiple=True, metavar="RULE",
    help="Do not block rows that break this rule, because you have checked them (repeatable): "
         f"{', '.join(CONFIRMABLE)}. The ledger and the reports record it.",
)  # fmt: skip


def cloud_files(command: Command) -> Command:
    """Options for where the entries of clouds are."""
    return _add(
        command,
        saved_option("--clouds-yaml", type=click.Path(path_type=Path), metavar="FILE",
                     help="Use this clouds.yaml; without --cloud, use all of its entries."),
        saved_option("--secure-yaml", type=click.Path(path_type=Path), metavar="FILE",
                     help="Complete the entries from this file, of whatever folder, instead of the "
                     "secure.yaml beside the clouds.yaml. Nothing else joins the passwords of "
                     "one folder and the addresses of another."),
    )  # fmt: skip


def cloud_options(command: Command) -> Command:
    """Options of every command that talks to clouds."""
    return _add(
        cloud_files(command),
        saved_option("--cloud", "clouds", multiple=True, metavar="NAME",
                     help="Entry in clouds.yaml to sign in with (repeatable); envvars stands for "
                     "the OS_* variables. Without it, check and plan read no cloud; other commands "
                     "use those of the plan, or the one that OS_CLOUD names."),
    )  # fmt: skip


def size_options(command: Command) -> Command:
    """Options for how much a plan may hold."""
    return _add(
        command,
        saved_option("--chunk-size", default=CHUNK_SIZE, show_default=True,
                     help="Maximum number of images in a request."),
        saved_option("--max-images", type=int,
                     help="Refuse a plan that changes more images than this."),
    )  # fmt: skip


def plan_options(command: Command) -> Command:
    """Options of every command that makes the plan of a run."""
    preview = click.option("--preview", is_flag=True,
                           help="Print every request: method, URL and body.")  # fmt: skip
    return size_options(preview(command))


def sending_options(command: Command) -> Command:
    """Options of every command that sends; each sets the field of `Settings` with its name."""
    return _add(
        command,
        saved_option("--concurrency", default=8, show_default=True,
                     help="Maximum number of requests in flight."),
        saved_option("--max-failed", "max_failure_rate", default=0.5, show_default=True,
                     metavar="SHARE",
                     help="Stop when more than this share of the images that finished (and more "
                          "than 100) has failed."),
        saved_option("--job-timeout", default=900.0, show_default=True, metavar="SECONDS",
                     help="Maximum time to wait for a job."),
        saved_option("--read-back-timeout", default=30.0, show_default=True, metavar="SECONDS",
                     help="Read a state that is not as wanted again for this long before it "
                          "counts."),
        saved_option("--outage", "outage_timeout", default=60.0, show_default=True,
                     metavar="SECONDS",
                     help="Stop after this long without a successful response."),
        saved_option("--canary", default=0, show_default=True, metavar="N",
                     help="Send N chunks first, and the rest only if all their images are "
                          "confirmed."),
    )  # fmt: skip


def approval_options(command: Command) -> Command:
    """Options for the approvals that are required before anything is sent, and for the seal."""
    return _add(
        command,
        saved_option("--reviewers", default=1, show_default=True,
                     help="Number of approvals required."),
        saved_option("--require-signature", "signers", type=click.Path(path_type=Path),
                     metavar="ALLOWED_SIGNERS",
                     help="Count only approvals signed by a person listed in this file."),
        saved_option("--seal", type=click.Path(path_type=Path), metavar="KEY",
                     help="Sign the finished run with this OpenSSH key, so that removing its last "
                          "events is detected."),
        click.option("--take-over", "break_lock", is_flag=True,
                     help="Remove the lock of another machine. Only do so if that machine no "
                          "longer writes to RUN."),
    )  # fmt: skip


def _add(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Add options to a command, so that the help lists them in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def read_shares(shares: Sequence[str], reading: dict[str, Any]) -> Inventory:
    """Read spreadsheets with the options of :func:`reading_options`."""
    from sharekit.spreadsheets.reading import read_inventory

    return read_inventory(
        *shares,
        sheet=reading["sheet"] or None,
        encoding=reading["encoding"],
        **fields_of(reading),
    )


def fields_of(reading: dict[str, Any]) -> dict[str, Any]:
    """Return ``columns``, ``defaults`` and ``limits`` as the options say."""
    columns = {
        field.strip().lower().replace(" ", "_").replace("-", "_"): header
        for field, _, header in (entry.partition("=") for entry in reading["maps"])
    }
    if bad := [entry for entry in reading["maps"] if "=" not in entry]:
        raise UsageError(f'--map {bad[0]}: write it as FIELD=HEADER, as in image_id="Image UUID".')
    defaults = {
        "project_id": reading["project"],
        "status": reading["status"],
        "vault_id": reading["vault"],
    }
    given = {name: value for name, value in defaults.items() if value is not None}
    return {"columns": columns, "defaults": given, "limits": _limits(reading["limits"])}


def check_shares(
    shares: Sequence[str],
    clouds: Sequence[str],
    clouds_yaml: Path | None,
    secure_yaml: Path | None,
    reading: dict[str, Any],
) -> Findings:
    """Read spreadsheets and check them, also against the clouds if any are named."""
    from sharekit.checks.check import check

    inventory = read_shares(shares, reading)
    signed_in = sign_in_if_named(clouds, clouds_yaml, secure_yaml)
    return check(inventory, signed_in, strict=reading["strict"], confirm=reading["confirm"])


def sign_in_if_named(
    clouds: Sequence[str], clouds_yaml: Path | None, secure_yaml: Path | None
) -> Clouds | None:
    """Sign in to the clouds named; without any, say how to compare with one."""
    from .output import info

    if clouds or clouds_yaml:
        return sign_in(clouds, clouds_yaml, secure_yaml)
    if named := default_clouds():
        info(f"No cloud is read: add --cloud {named[0]} to compare the rows with it.")
    return None


def default_clouds() -> tuple[str, ...]:
    """Return the cloud that ``OS_CLOUD`` names, as for ``openstack``; nothing without it."""
    return tuple(filter(None, [os.environ.get("OS_CLOUD", "").strip()]))


def sign_in(names: Sequence[str], clouds_yaml: Path | None, secure_yaml: Path | None) -> Clouds:
    """Sign in, and print a warning for each unsafe setting."""
    from sharekit.clouds.sign_in import connect

    from .output import complain

    signed_in = connect(*names, config_file=clouds_yaml, secure_file=secure_yaml)
    for error in signed_in.refused.values():
        complain(f"Warning: {error}")
    for name, warnings in signed_in.warnings.items():
        for warning in warnings:
            complain(f"Warning: {name}: {warning}.")
    return signed_in


def sign_in_for(
    run: Path | Sequence[Path], names: Sequence[str], clouds_yaml: Path | None,
    secure_yaml: Path | None,
) -> Clouds:  # fmt: skip
    """Sign in to the clouds named, else to those RUN was planned with, else to the default.

    RUN may be several ledgers.
    """
    from sharekit.runs.status import clouds_of

    runs = [run] if isinstance(run, Path) else run
    of_runs = tuple(dict.fromkeys(name for one in runs for name in clouds_of(one)))
    named = click.get_current_context().get_parameter_source("clouds")
    if named == click.core.ParameterSource.ENVIRONMENT:
        names = of_runs or names
    names = names or of_runs or (default_clouds() if clouds_yaml is None else ())
    if not names and clouds_yaml is None:
        raise UsageError(
            f"{runs[0]} was planned without a cloud: name the cloud with --cloud NAME."
        )
    return sign_in(names, clouds_yaml, secure_yaml)


def warn_of_changes(run: Path) -> None:
    """Print a warning for each input that is not what the plan in RUN was made of."""
    from sharekit.interfaces.changed_inputs import IN_SHELL, changed_inputs

    from .output import complain

    for change in changed_inputs(run):
        complain(f"Warning: {change} {IN_SHELL.format(run=run)}")


def answer(result: dict[str, Any], as_json: bool, show: Callable[[], object]) -> None:
    """Print the result as one JSON object, in ASCII, or call ``show`` to print it for a person."""
    if as_json:
        click.echo(json.dumps(result))
    else:
        show()


def _limits(entries: Sequence[str]) -> Limits:
    from sharekit.spreadsheets.input import Limits

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
