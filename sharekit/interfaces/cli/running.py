"""What goes to the cloud, and where it stands: submit, status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

import sharekit
from sharekit.core.errors import CloudError, UsageError
from sharekit.ledger.storage import is_busy, take_over
from sharekit.plans import approval
from sharekit.plans.approval import Demand, ensure
from sharekit.runs.run import clouds_of, is_finished

from . import output
from .common import AS_JSON, RUN, answer, connect, usual_cloud
from .options import demanding, sending, signing_in
from .signals import end_cleanly


@click.command()
@RUN
@signing_in
@sending
@demanding
@AS_JSON
def submit(
    run: Path, clouds: Sequence[str], clouds_yaml: Path | None, reviewers: int,
    signers: Path | None, seal: Path | None, take: bool, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Send what is approved in RUN and read the cloud back; the same command resumes."""
    patience = sharekit.Settings(**settings)
    if take:
        take_over(run)
    demand = Demand(reviewers, signers)
    given = ensure(run, demand)
    if is_finished(run):
        output.say(f"{run} is finished: nothing is left to send.")
        _ended(sharekit.status(run), seal, as_json=as_json)
    end_cleanly()
    try:
        # A plan that sends nothing is approved by nobody, and ends without a cloud.
        signed_in = _access(run, clouds, clouds_yaml) if given else sharekit.Clouds({})
        with output.RunBar() as bar:
            done = sharekit.submit(run, signed_in, settings=patience, progress=bar, demand=demand)
    except CloudError as error:
        output.say(f"Error: {error}")
        _ended(
            replace(sharekit.status(run), stopped=""), None, as_json=as_json, code=error.exit_code
        )
    except KeyboardInterrupt:
        output.say(f"Interrupted. Nothing is lost: sharekit submit {run} takes it up again.")
        sys.exit(3)
    _ended(done, seal, as_json=as_json)


def _access(run: Path, clouds: Sequence[str], clouds_yaml: Path | None) -> sharekit.Clouds:
    names = clouds or clouds_of(run) or (usual_cloud() if clouds_yaml is None else ())
    if not names and clouds_yaml is None:
        raise UsageError(f"{run} was planned without a cloud: name the cloud with --cloud NAME.")
    return connect(names, clouds_yaml)


def _ended(
    done: sharekit.Run, seal: Path | None, *, as_json: bool, code: int | None = None
) -> NoReturn:
    if seal is not None and done.finished:
        approval.seal(done.path, seal)
    yes, no = approval.reviewers_of(done.path), code is not None
    answer(done.summary, as_json, lambda: output.show_run(done, approved=yes, hindered=no))
    sys.exit(_verdict(done) if code is None else code)


@click.command()
@RUN
@AS_JSON
def status(run: Path, as_json: bool) -> None:
    """Tell where RUN stands, also while it is being submitted."""
    now = sharekit.status(run)
    answer(
        now.summary,
        as_json,
        lambda: output.show_run(now, busy=is_busy(run), approved=approval.reviewers_of(run)),
    )
    sys.exit(_verdict(now))


def _verdict(run: sharekit.Run) -> int:
    if not run.finished:
        return 3
    if run.good:
        return 0
    return 4 if run.denied else 1
