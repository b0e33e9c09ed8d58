"""Signatures in OpenSSH's format, made and checked by the real ``ssh-keygen``.

What is signed is one line of JSON, the body of its event without the signature itself, so that
anybody can take it out of the ledger and check it with ``ssh-keygen -Y verify``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sharekit.core.errors import UsageError

from .schema import canonical

#: What a signature is for; one for another purpose is not accepted.
APPROVAL: Final = "approval@sharekit"
SEAL: Final = "seal@sharekit"
FIELD: Final = "signature"


def signed(body: Mapping[str, Any], key: str | PathLike[str], purpose: str) -> dict[str, Any]:
    """Return the body of an event with a signature over it.

    Parameters
    ----------
    body : mapping
        What is signed.
    key : path
        A private key – or a public one whose private half an ssh-agent holds.
    purpose : str
        The signature's namespace.

    Raises
    ------
    UsageError
        If there is no such key, it cannot sign, or ``ssh-keygen`` is missing.
    """
    path = Path(key).expanduser()
    if not path.is_file():
        raise UsageError(f"{path}: there is no such key; name an OpenSSH key to sign with.")
    made = _keygen("sign", "-f", path, "-n", purpose, message=_line(body))
    if made.returncode:
        raise UsageError(f"{path} cannot sign: {_why(made)}.")
    return {**body, FIELD: made.stdout}


def fault(
    body: Mapping[str, Any], signers: str | PathLike[str], purpose: str, who: str | None = None
) -> str:
    """Return what is wrong with the signature of an event's body; ``""`` if it is good.

    Parameters
    ----------
    body : mapping
        The body with its signature.
    signers : path
        OpenSSH's allowed-signers file: who may sign with which key.
    purpose : str
        The namespace that the signature must have.
    who : str, optional
        Whose signature it must be; anybody's in the file by default.

    Raises
    ------
    UsageError
        If there is no such file, or ``ssh-keygen`` is missing.
    """
    allowed = Path(signers).expanduser()
    if not allowed.is_file():
        raise UsageError(f"{allowed}: there is no such file; name an allowed-signers file.")
    if not body.get(FIELD):
        return "is not signed"
    with TemporaryDirectory(prefix="sharekit-") as scratch:
        signature = Path(scratch) / "signature"
        signature.write_text(str(body[FIELD]), encoding="utf-8")
        asked = ("-f", allowed, "-s", signature)
        if who is None:
            found = _keygen("find-principals", *asked, "-n", purpose)
            if found.returncode:
                return f"is signed by a key that is not in {allowed.name}"
            who = found.stdout.splitlines()[0]
        line = _line({name: value for name, value in body.items() if name != FIELD})
        judged = _keygen("verify", *asked, "-n", purpose, "-I", who, message=line)
    return f"has no valid signature of {who} ({_why(judged)})" if judged.returncode else ""


def misfits(body: Mapping[str, Any], purpose: str) -> bool:
    """Whether there is a signature, by whatever key, that was made over something else."""
    if not body.get(FIELD):
        return False
    with TemporaryDirectory(prefix="sharekit-") as scratch:
        signature = Path(scratch) / "signature"
        signature.write_text(str(body[FIELD]), encoding="utf-8")
        line = _line({name: value for name, value in body.items() if name != FIELD})
        judged = _keygen("check-novalidate", "-n", purpose, "-s", signature, message=line)
    return bool(judged.returncode)


def _line(body: Mapping[str, Any]) -> str:
    return canonical(body) + "\n"


def _keygen(what: str, *words: str | Path, message: str = "") -> subprocess.CompletedProcess[str]:
    command = ["ssh-keygen", "-Y", what, *map(str, words)]
    try:
        return subprocess.run(  # noqa: S603 - a list of words, never a shell
            command, input=message, capture_output=True, encoding="utf-8", errors="replace",
            check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise UsageError(
            "ssh-keygen is not installed, and signatures need it: install OpenSSH's client."
        ) from None


def _why(ended: subprocess.CompletedProcess[str]) -> str:
    lines = (ended.stderr or ended.stdout).strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"ssh-keygen ended with {ended.returncode}"
