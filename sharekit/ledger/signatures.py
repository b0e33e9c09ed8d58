"""Signatures in OpenSSH's format, made and checked by the real ``ssh-keygen``.

A signature covers one line of JSON: the body of its event without the signature itself. So anybody
can take it out of the ledger and check it with ``ssh-keygen -Y verify``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sharekit.core.errors import UsageError

from .events import spelled_out
from .hashing import canonical_json

#: Purposes of signatures, as OpenSSH's namespaces; one for another purpose is not accepted.
APPROVAL: Final = "approval@sharekit"
STANDING: Final = "standing-approval@sharekit"
FLEET: Final = "fleet-approval@sharekit"
SEAL: Final = "seal@sharekit"
FIELD: Final = "signature"


def sign(body: Mapping[str, Any], key: str | PathLike[str], purpose: str) -> dict[str, Any]:
    """Return the body of an event with a signature over it.

    Parameters
    ----------
    body : mapping
        The body to sign.
    key : path
        A private key, or a public one whose private half an ssh-agent holds.
    purpose : str
        The namespace of the signature.

    Raises
    ------
    UsageError
        If there is no such key, it cannot sign, or ``ssh-keygen`` is missing.
    """
    path, body = Path(key).expanduser(), spelled_out(body)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such key; name an OpenSSH key to sign with.")
    result = _keygen("sign", "-f", path, "-n", purpose, message=_line(body))
    if result.returncode:
        raise UsageError(f"{path} cannot sign: {_message(result)}.")
    return {**body, FIELD: result.stdout}


def signature_error(
    body: Mapping[str, Any], signers: str | PathLike[str], purpose: str, signer: str | None = None
) -> str:
    """Return what is wrong with the signature of an event's body, ``""`` if it is valid.

    Parameters
    ----------
    body : mapping
        The body with its signature.
    signers : path
        OpenSSH's allowed-signers file, which says who may sign with which key.
    purpose : str
        The namespace that the signature must have.
    signer : str, optional
        The person who must have signed; anybody in the file by default.

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
    with _signed_content(body) as (signature, content):
        options = ("-f", allowed, "-s", signature, "-n", purpose)
        if signer is None:
            principals = _keygen("find-principals", *options)
            if principals.returncode:
                return f"is signed by a key that is not in {allowed.name}"
            signer = principals.stdout.splitlines()[0]
        result = _keygen("verify", *options, "-I", signer, message=content)
    return f"has no valid signature of {signer} ({_message(result)})" if result.returncode else ""


def signs_other_content(body: Mapping[str, Any], purpose: str) -> bool:
    """Return True if the body has a signature, by any key, that was made over other content."""
    if not body.get(FIELD):
        return False
    with _signed_content(body) as (signature, content):
        result = _keygen("check-novalidate", "-n", purpose, "-s", signature, message=content)
    return bool(result.returncode)


@contextmanager
def _signed_content(body: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield a file with the signature of a body, and what it should have been made over."""
    with TemporaryDirectory(prefix="sharekit-") as scratch:
        signature = Path(scratch) / "signature"
        signature.write_text(str(body[FIELD]), encoding="utf-8")
        yield signature, _line({name: value for name, value in body.items() if name != FIELD})


def _line(body: Mapping[str, Any]) -> str:
    return canonical_json(body) + "\n"


def _keygen(
    action: str, *options: str | Path, message: str = ""
) -> subprocess.CompletedProcess[str]:
    command = ["ssh-keygen", "-Y", action, *map(str, options)]
    try:
        # As bytes: text would be given other line ends on Windows, so that no other system could
        # verify what was signed there.
        done = subprocess.run(  # noqa: S603 - a list of words, never a shell
            command, input=message.encode("utf-8", "replace"), capture_output=True, check=False
        )
    except FileNotFoundError:
        raise UsageError(
            "ssh-keygen is not installed, and signatures need it: install OpenSSH's client."
        ) from None
    said = (
        text.decode("utf-8", "replace").replace("\r\n", "\n") for text in (done.stdout, done.stderr)
    )
    return subprocess.CompletedProcess(command, done.returncode, *said)


def _message(result: subprocess.CompletedProcess[str]) -> str:
    lines = (result.stderr or result.stdout).strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"ssh-keygen ended with {result.returncode}"
