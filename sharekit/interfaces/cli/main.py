"""The group of all commands; a call ends with an exit code and at most one sentence.

Exit codes: 0 yes; 1 the answer is no; 2 usage or unreadable input; 3 unfinished, run it again;
4 the cloud refused or cannot be reached; 70 an error of sharekit itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Final, NoReturn

import click
from click.shell_completion import CompletionItem, FishComplete, add_completion_class

from sharekit.core.errors import SharekitError
from sharekit.core.provenance import __version__

from .heap import keep_freed_memory

#: Command -> the module it is in, and its line in the help. A module is loaded when its command is
#: called, so that the help does not wait for pandas. A test holds the lines to the docstrings.
COMMANDS: Final = {
    "app": (
        "app",
        "Plan, review, send and audit in the browser, on the runs in DIRECTORY, until Ctrl-C.",
    ),
    "approve": ("review", "Approve the plan in RUN; any later change voids the approval."),
    "audit": ("audit", "Compare SHARES with what the cloud shows, and write OUT."),
    "check": ("check", "Check every row of SHARES; send nothing."),
    "demo": ("demo", "Run every step on the embedded simulator."),
    "fleet": ("fleet", "Plan, approve, send and report many runs as one."),
    "find": ("find", "Show what LEDGERS say about an image, a project or a person."),
    "plan": ("plan", "Check SHARES and write the plan into a new ledger RUN."),
    "report": ("report", "Write reports of RUN as xlsx, html, csv, json or parquet."),
    "retry": ("plan", "Plan in NEW the rows that failed or stayed unknown in RUN."),
    "review": ("review", "Show the plan in RUN; decide on it in an Excel sheet."),
    "simulator": ("demo", "Run a simulated cloud on loopback until Ctrl-C."),
    "status": ("status", "Show the outcomes of RUN so far, also while it is being submitted."),
    "submit": ("submit", "Send the approved plan in RUN; the same command resumes it."),
    "template": ("check", "Write an empty workbook to fill in."),
    "undo": ("plan", "Plan in NEW how to undo RUN."),
    "verify": ("report", "Check RUN, and reports made from it, for any change."),
}


class LazyGroup(click.Group):
    """A group that loads a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name; None if there is none of that name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, without loading any, and the options."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=COMMANDS[name][1]) for name in names]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


@add_completion_class
class FishWithCommas(FishComplete):
    """Completion in fish; a comma in a help or in a value ends neither, as in click's script."""

    source_template = FishComplete.source_template.replace("string split", "string split --max 1")


def load_command(name: str) -> click.Command:
    """Return a command of :data:`COMMANDS`, loading its module."""
    module = import_module(f".commands.{COMMANDS[name][0]}", __package__)
    command: click.Command = getattr(module, f"{name}_command")
    return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="sharekit")
def cli() -> None:
    """Accept, reject, share and unshare cloud images in bulk, and prove what happened.

    \b
    Steps:  check → plan → review → approve → submit → report → verify
    Try it without a cloud:  sharekit demo
    Exit codes:  0 yes · 1 no · 2 usage or input · 3 unfinished · 4 the cloud refused
                 70 an error of sharekit itself
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; every error is an exit code and one sentence."""
    keep_freed_memory()
    _make_streams_safe()
    color = False if os.environ.get("NO_COLOR") else None
    try:
        cli.main(arguments, prog_name="sharekit", standalone_mode=False, color=color)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _complain("Interrupted.", 3)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except SharekitError as error:
        _complain(f"Error: {error.in_shell}", error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"Error: {where}{error.strerror or error}", 2)
    except Exception as error:  # noqa: BLE001 - whatever else comes out is a fault of ours
        from .crash import write_crash_report

        given = sys.argv[1:] if arguments is None else arguments
        _complain(write_crash_report(error, given, list(COMMANDS)), 70)
    sys.exit(0)


def _make_streams_safe() -> None:
    """Let no character end a command: what a stream cannot hold becomes a question mark.

    A file and a pipe get UTF-8, a terminal its own encoding; PYTHONIOENCODING overrules both. What
    is written to a stream that the shell has closed (`>&-`) is lost, as it asked for.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            own = stream.isatty() or "PYTHONIOENCODING" in os.environ
            stream.reconfigure(encoding=None if own else "utf-8", errors="replace")


def _complain(text: str, code: int) -> NoReturn:
    from .output import complain

    # What libraries could not write to a full disk, they try again when Python forgets it.
    sys.unraisablehook = lambda _: None
    complain(text)
    sys.exit(code)
