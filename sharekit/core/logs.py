"""Logging: how a program shows what the loggers below ``sharekit`` record, without secrets.

Each package has one logger (``sharekit.clouds`` records every HTTP request at DEBUG, retries and
waits at INFO, long waits at WARNING). As a library sharekit attaches no handler;
:func:`configure` is for the shell.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import suppress
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from time import gmtime
from typing import Final

from .errors import UsageError

_LEVELS: Final = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"
_TOKENS: Final = re.compile(
    r"(?i)(x-(?:auth|subject|service|security)-token\W{1,4})([^\s\"',;}]+)|()(gAAAA[\w-]{20,}=*)"
)
_SECRETS: Final = re.compile(
    r"(?i)(\b\w*(?:password|passwd|passcode|secret|secret_key|access_key|security_?token|signature)"
    r"\b[\"']?\s*[:=]\s*|\b(?:ak|sk|access)\b[\"']?\s*[:=]\s*|\bauthorization\b\W{1,4})"
    r"(\"[^\"]*\"|'[^']*'|[^\s,&;}\"']+)"
)
_USERINFO: Final = re.compile(r"://[^\s/@]+@")


def fingerprint(secret: str) -> str:
    """Return what stands for a token or key in a log: the start of its SHA-256, never its text.

    >>> fingerprint("token")
    '{SHA256}3c469e9d6c58'
    """
    return f"{{SHA256}}{sha256(secret.encode()).hexdigest()[:12]}"


def redact(text: str) -> str:
    """Replace passwords, keys, signatures and the user in URLs by ``***``, tokens by their hash.

    >>> redact("X-Auth-Token: token")
    'X-Auth-Token: {SHA256}3c469e9d6c58'
    >>> redact('{"password": "right"} https://ada:right@proxy.example/?Signature=5f2e')
    '{"password": ***} https://***@proxy.example/?Signature=***'
    """
    text = _TOKENS.sub(lambda m: f"{m[1] or ''}{fingerprint(m[2] or m[4])}", text)
    return _USERINFO.sub("://***@", _SECRETS.sub(r"\1***", text))


class RedactingFormatter(logging.Formatter):
    """Formats a record in UTC, its traceback included, and redacts the result."""

    converter = staticmethod(gmtime)

    def __init__(self) -> None:
        super().__init__(_FORMAT, _TIME)

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted text of a record."""
        return redact(super().format(record))


class _StandardError(logging.Handler):
    """Writes to whatever is standard error by then: notebooks and progress bars replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # closed, or its reader is gone
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 - its purpose


class _PrivateFile(logging.FileHandler):
    """Appends to a file that only its owner may read."""

    def _open(self) -> TextIOWrapper:
        # Opened by its descriptor, so that no umask and no moment in between makes it readable.
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8", errors="replace")


def configure(verbosity: int = 0, file: str | os.PathLike[str] | None = None) -> None:
    """Show what sharekit logs on standard error, and write all of it into a file.

    Parameters
    ----------
    verbosity : int
        -1 shows errors, 0 warnings (long waits) too, 1 all retries and waits, 2 every request.
    file : path, optional
        File to append to, with everything at DEBUG whatever ``verbosity`` says; mode 0600.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    logger = logging.getLogger("sharekit")
    for handler in [h for h in logger.handlers if isinstance(h.formatter, RedactingFormatter)]:
        logger.removeHandler(handler)
        handler.close()
    level = _LEVELS[max(-1, min(2, verbosity))]
    handlers: list[logging.Handler] = [_StandardError()]
    handlers[0].setLevel(level)
    if file is not None:
        try:
            handlers.append(_PrivateFile(Path(file)))
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}.") from None
        level = logging.DEBUG
    for handler in handlers:
        handler.setFormatter(RedactingFormatter())
        logger.addHandler(handler)
    logger.setLevel(level)
