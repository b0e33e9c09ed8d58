"""The command line: a thin way to the library, with exit codes and JSON that scripts rely on.

Exit codes: 0 yes; 1 the answer is no; 2 usage or unreadable input; 3 unfinished, run it again;
4 the cloud refused or cannot be reached.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

import sharekit
from sharekit.core.errors import SharekitError

from . import output
from .auditing import audit
from .deciding import approve, review
from .preparing import check, plan, retry, template, undo
from .proving import report, verify
from .running import status, submit
from .trying import demo, simulator


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(sharekit.__version__, prog_name="sharekit")
def cli() -> None:
    """Accept or reject shared cloud images by the hundred, and prove what happened.

    \b
    The road:  check → plan → review → approve → submit → report → verify
    Try it without a cloud:  sharekit demo
    Exit codes:  0 yes · 1 no · 2 usage or input · 3 unfinished · 4 the cloud refused
    """


for command in (
    template, check, plan, undo, retry, review, approve, submit, status, report, verify, audit,
    demo, simulator,
):  # fmt: skip
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; every way it can end is an exit code and one sentence."""
    try:
        cli.main(arguments, prog_name="sharekit", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        output.say("Interrupted.")
        sys.exit(3)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except SharekitError as error:
        output.say(f"Error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        output.say("Interrupted.")
        sys.exit(3)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        output.say(f"Error: {where}{error.strerror or error}")
        sys.exit(2)
    sys.exit(0)
