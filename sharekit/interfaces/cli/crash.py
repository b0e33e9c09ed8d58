"""The report of a fault of sharekit itself: what its authors need to know, and nothing secret."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from platform import platform
from typing import Final

from sharekit.core.monitoring.logs import Secrets, redact
from sharekit.core.provenance import LIBRARIES, __version__

#: Variables whose values are secrets, whatever they are for.
_SECRET: Final = re.compile(r"(?i)PASS|SECRET|TOKEN|CREDENTIAL|KEY|_[AS]K$")


def write_crash_report(error: Exception, arguments: Sequence[str], commands: Sequence[str]) -> str:
    """Write a file that the user can read and send, and return what to tell them.

    It holds versions, the command without any value, and the traceback without the values of
    variables. Passwords, keys, tokens and the path of the user's home are masked.
    """
    text = f"{_describe()}command: {_without_values(arguments, commands)}\n\n"
    text += _mask("".join(traceback.format_exception(error)))
    told = f"An error of sharekit itself ({type(error).__name__}), not of yours."
    ledger = "What was sent is in the ledger; the same command may be repeated."
    try:
        descriptor, path = tempfile.mkstemp(".txt", "sharekit-crash-")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        return f"{text}\n{told} {ledger} Please report the text above{_address()}"
    return f"{told} {ledger} Please read {path}, and report it{_address()}"


def _address() -> str:
    """Return where to report, as the installed package says."""
    try:
        urls = metadata("sharekit-ims").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from its source
        urls = []
    issues = [url.partition(", ")[2] for url in urls if url.startswith("Issues,")]
    return f": {issues[0]}" if issues else " to its authors."


def _describe() -> str:
    facts = {"sharekit": __version__, "python": sys.version.split()[0], "platform": platform()}
    for name in LIBRARIES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:  # which may be the very fault
            facts[name] = "not installed"
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


def _without_values(arguments: Sequence[str], commands: Sequence[str]) -> str:
    """Return a command line without its values.

    >>> _without_values(["plan", "x.xlsx", "--cloud=otc", "-oFILE", "-"], ["plan"])
    'sharekit plan … --cloud=… -o … …'
    """
    words = ["sharekit"]
    for argument in arguments:
        option = re.match(r"--[a-z][a-z-]*|-[a-z]", argument)
        if option is not None:
            rest = argument[option.end() :]
            words += (
                [f"{option[0]}=…"] if rest.startswith("=") else [option[0], *["…"][: len(rest)]]
            )
        else:
            words.append(argument if argument in commands and len(words) == 1 else "…")
    return " ".join(words)


def _mask(text: str) -> str:
    secrets = Secrets(value for name, value in os.environ.items() if _SECRET.search(name))
    home = str(Path("~").expanduser())
    lines = redact(text).splitlines(keepends=True)
    return "".join(secrets.mask(line) for line in lines).replace(home, "~")
