"""What goes to the cloud: submit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sharekit.core.errors import CloudError
from sharekit.interfaces.cli.options import (
    RUN,
    answer,
    approval_options,
    cloud_options,
    output_options,
    sending_options,
    sign_in_for,
    warn_of_changes,
)

if TYPE_CHECKING:
    from sharekit.runs.status import Run


@click.command("submit")
@RUN
@cloud_options
@sending_options
@approval_options
@click.option(
    "--approved-ahead", "ahead", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Approve the plan by this file of `approve --policy`, if its policies decided every row "
    "that is sent (repeatable).",
)  # fmt: skip
@output_options
def submit_command(
    run: Path, clouds: Sequence[str], clouds_yaml: Path | None, secure_yaml: Path | None,
    reviewers: int, signers: Path | None, seal: Path | None, break_lock: bool,
    ahead: Sequence[Path], as_json: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Send the approved plan in RUN; the same command resumes it.

    After sending, the cloud is read back. Exits 0 only if every planned row is confirmed or was in
    the wanted state already.
    """
    from sharekit.clouds.clouds_yaml import read_clouds_yaml
    from sharekit.clouds.registry import Clouds
    from sharekit.interfaces.cli.output import complain, info
    from sharekit.interfaces.cli.signals import install_signal_handlers
    from sharekit.ledger import lock
    from sharekit.plans.approval import ApprovalRequirement, require_approval_of
    from sharekit.plans.policies.approve_ahead import approve_ahead
    from sharekit.runs.settings import Settings
    from sharekit.runs.status import is_finished, status
    from sharekit.runs.submit import submit

    how, demand = Settings(**settings), ApprovalRequirement(reviewers, signers)
    if break_lock:
        lock.break_lock(run)
    for file in ahead if not is_finished(run) else ():
        approve_ahead(run, file)
    given = require_approval_of(run, demand)
    if is_finished(run):
        # Nobody needs an entry any more, but a file that is named must be there.
        if clouds_yaml is not None or secure_yaml is not None:
            read_clouds_yaml(clouds_yaml, secure_yaml)
        info(f"{run} is finished: nothing is left to send.")
        _ended(status(run), seal, as_json=as_json)
    warn_of_changes(run)
    install_signal_handlers()
    try:
        # A plan that sends nothing is approved by nobody, and ends without a cloud.
        signed_in = sign_in_for(run, clouds, clouds_yaml, secure_yaml) if given else Clouds({})
        done = submit(run, signed_in, settings=how, demand=demand)
    except CloudError as error:
        complain(f"Error: {error.in_shell}")
        _ended(replace(status(run), stopped=""), None, as_json=as_json, code=error.exit_code)
    except KeyboardInterrupt:
        info(f"Interrupted. Nothing is lost: sharekit submit {run} continues the run.")
        sys.exit(3)
    _ended(done, seal, as_json=as_json)


def _ended(done: Run, seal: Path | None, *, as_json: bool, code: int | None = None) -> NoReturn:
    from sharekit.interfaces.cli.output import show_run
    from sharekit.plans import approval

    from .status import exit_code

    if seal is not None and done.finished:
        approval.seal(done.path, seal)
    answer(done.summary, as_json, lambda: show_run(done, needs_fix=code is not None))
    sys.exit(exit_code(done) if code is None else code)
