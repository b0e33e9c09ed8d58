"""The outcomes of a run so far: status."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sharekit.core.errors import CloudError
from sharekit.interfaces.cli.options import RUN, answer, output_options, warn_of_changes

if TYPE_CHECKING:
    from sharekit.fleets.records import PartStatus
    from sharekit.runs.status import Run


@click.command("status")
@RUN
@output_options
def status_command(run: Path, as_json: bool) -> None:
    """Show the outcomes of RUN so far, also while it is being submitted.

    Exits with the code of the last call of submit that had signed in: 0, 1, 3 or 4.
    """
    from sharekit.interfaces.cli.output import show_run
    from sharekit.ledger import lock
    from sharekit.runs.status import status

    now = status(run)
    warn_of_changes(run)
    answer(
        now.summary,
        as_json,
        lambda: show_run(now, busy=lock.is_busy(run), needs_fix=now.was_refused),
    )
    sys.exit(exit_code(now))


def exit_code(run: Run | PartStatus) -> int:
    """Return the exit code for the state of a run.

    A run that only waits for another look at what contradicts its jobs has its answer.
    """
    if run.was_refused:
        return CloudError.exit_code
    if not run.finished and not run.looks_once_more:
        return 3
    if run.succeeded:
        return 0
    return 4 if run.not_authorized else 1
