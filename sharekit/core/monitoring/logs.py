"""Secrets are taken out of what is kept or shown: texts of clouds, log records, exceptions.

Each package has one logger (``sharekit.clouds`` records every HTTP request at DEBUG, retries and
waits at INFO, long waits at WARNING). As a library sharekit attaches no handler;
:func:`configure` is for the shell.
"""

from __future__ import annotations

import functools
import html
import json
import logging
import os
import re
import sys
import traceback
import unicodedata
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from io import FileIO, TextIOWrapper
from pathlib import Path
from threading import RLock
from time import gmtime
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import quote, quote_plus
from weakref import WeakSet

from sharekit.core.errors import SharekitError, UsageError
from sharekit.core.files import private_opener

_LEVELS: Final = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"
_P = ParamSpec("_P")
_R = TypeVar("_R")
_MASK: Final = "***"
#: Characters of the shortest secret that is looked for: shorter ones are in every other word.
_LEAST: Final = 4
#: Characters of a long secret by which it is found also where its end was cut off, and what such
#: a secret consists of, in several lines too.
_START, _LONG = 20, 32
_REST: Final = r"[\w+/=.%~-]*(?:\s+[\w+/=%~-]{40,})*"
#: Letters of the shortest secret that is found whatever its case, quotes and blanks are.
_LEAST_LETTERS: Final = 6
#: Tokens that are kept in mind: those of before are still valid for a while.
_TOKENS_KEPT: Final = 8
#: What holds an ID, a time or a word of the API, and what those look like: a password like
#: "1234" or "shared" must not change them. A link to the next page is followed, not kept.
_STRUCTURAL: Final = frozenset(
    "id image_id project_id member_id owner job_id status visibility object_type protect_type "
    "created_at updated_at __imagetype __whole_image __system__cmkid".split()
)
_PLAIN: Final = re.compile(r"[0-9A-Fa-f-]{32,36}|[A-Za-z_]{1,20}|\d{4}-\d\d-\d\d[T\d:.Z+ -]{0,24}")
_TOKENS: Final = re.compile(
    r"(?i)(x-(?:auth|subject|service|security)-token\W{1,4})([^\s\"',;}]+)|()(gAAAA[\w-]{20,}=*)"
)
_SECRETS: Final = re.compile(
    r"(?i)(\b\w*(?:password|passwd|passcode|secret|secret_key|access_key|security_?token|signature)"
    r"\b[\"']?\s*[:=]\s*|\b(?:ak|sk|access)\b[\"']?\s*[:=]\s*|\bauthorization\b\W{1,4})"
    r"(\"[^\"]*\"|'[^']*'|[^\s,&;}\"']+)"
)
_USERINFO: Final = re.compile(r"://[^\s/@]+@")
_ESCAPES: Final = re.compile(r"\\x([0-9A-Fa-f]{2})|\\[uU]([0-9A-Fa-f]{8}|[0-9A-Fa-f]{4})")
#: How a text begins that tells where a fault of ours happened.
_RAISED: Final = "Where this was raised (its variables may hold secrets and are left out):\n"


def fingerprint(secret: str) -> str:
    """Return what stands for a token or key in a log: the start of its SHA-256, never its text.

    >>> fingerprint("token")
    '{SHA256}3c469e9d6c58'
    """
    return f"{{SHA256}}{sha256(secret.encode()).hexdigest()[:12]}"


def redact(text: str) -> str:
    """Replace passwords, keys, signatures and the user in URLs by ``***``, tokens by their hash.

    Secrets in use are replaced wherever they stand, others where a name tells what they are.

    >>> redact("X-Auth-Token: token")
    'X-Auth-Token: {SHA256}3c469e9d6c58'
    >>> redact('{"password": "right"} https://ada:right@proxy.example/?Signature=5f2e')
    '{"password": ***} https://***@proxy.example/?Signature=***'
    """
    text = _TOKENS.sub(lambda m: f"{m[1] or ''}{fingerprint(m[2] or m[4])}", text)
    text = _USERINFO.sub("://***@", _SECRETS.sub(r"\1***", text))
    with _LOCK:
        in_use = tuple(_IN_USE)
    for secrets in in_use:
        text = secrets.mask(text)
    return text


class Secrets:
    """The secrets of one sign-in, which are masked in everything that its cloud sends.

    Each is found as it is, and as URLs, JSON, HTML, base64 and hexadecimal digits spell it. A line
    that holds one in another way (character references, escapes, another case or encoding) is
    replaced as a whole, and so is the text if one goes over several lines.

    >>> secrets = Secrets(["correct horse"])
    >>> secrets.mask("no correct+horse, bm8gY29ycmVjdCBob3JzZQ==")
    'no ***, bm8g***Q=='
    """

    def __init__(self, lasting: Iterable[str] = ()) -> None:
        self._lasting = frozenset(lasting)
        self._tokens: deque[str] = deque(maxlen=_TOKENS_KEPT)
        self._forms = _sorted(self._lasting)
        self._letters = _all_letters(self._lasting)
        with _LOCK:
            _IN_USE.add(self)

    def add(self, token: str) -> None:
        """Remember one more token; the oldest of many is forgotten."""
        if token not in self._tokens:
            self._tokens.append(token)
            self._forms = _sorted({*self._lasting, *tuple(self._tokens)})
            self._letters = _all_letters({*self._lasting, *tuple(self._tokens)})

    def mask(self, text: str) -> str:
        """Return a text without the secrets."""
        for start, pattern in self._forms:
            if start in text:
                text = pattern.sub(_MASK, text)
        if not self._is_spelled_otherwise(text):
            return text
        lines = text.splitlines(keepends=True)
        lines = [f"{_MASK}\n" if self._is_spelled_otherwise(line) else line for line in lines]
        left = "".join(lines) if len(lines) > 1 else _MASK
        return _MASK if self._is_spelled_otherwise(left) else left

    def _is_spelled_otherwise(self, text: str) -> bool:
        spellings = [_letters(spelling) for spelling in _decoded(text)]
        return any(secret in spelling for secret in self._letters for spelling in spellings)

    def holds_token(self, text: str) -> bool:
        """Return True if a text has a token in it, or any secret as long as one."""
        long = (secret for secret in self._lasting if len(secret) >= _START)
        return any(secret in text for secret in (*self._tokens, *long))

    def masked(self, body: Any) -> Any:
        """Return a response's body without the secrets, but for its keys."""
        texts = "\n".join(_texts([body]))
        plain = not any(start in texts for start, _ in self._forms)
        if plain and not self._is_spelled_otherwise(texts):
            return body
        return self._replace(body, "")

    def _replace(self, value: Any, key: str) -> Any:
        if isinstance(value, Mapping):
            return {name: self._replace(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._replace(inner, key) for inner in value]
        return self.mask(value) if isinstance(value, str) and self._is_free(key, value) else value

    def _is_free(self, key: str, text: str) -> bool:
        """Return False for what the API gives a form; a token may have the form of an ID."""
        plain = key in _STRUCTURAL and _PLAIN.fullmatch(text) and text not in self._tokens
        return key != "next" and not plain


def _texts(body: Any) -> list[str]:
    """Return every text of a body that may be anything."""
    texts: list[str] = []
    left = [body]
    while left:
        inner = left.pop()
        for value in inner.values() if isinstance(inner, dict) else inner:
            kind = type(value)
            if kind is str:
                texts.append(value)
            elif kind is dict or kind is list:
                left.append(value)
    return texts


#: All that are alive. One thread may not add to them while another one goes through them.
_IN_USE: Final[WeakSet[Secrets]] = WeakSet()
_LOCK: Final = RLock()


def _sorted(secrets: Iterable[str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the start by which each spelling is found, and what is replaced; long ones first."""
    forms = {form for secret in secrets for form in _forms(secret)}
    return tuple(
        (form[:_START], re.compile(re.escape(form[:_START]) + _REST))
        if len(form) >= _LONG
        else (form, re.compile(re.escape(form)))
        for form in sorted(forms, key=len, reverse=True)
    )


def _decoded(text: str) -> list[str]:
    """Return what a text says, also read as HTML, with escapes, and as UTF-8 taken for Latin-1."""
    spellings = [text]
    if "&" in text:
        spellings.append(html.unescape(text))
    if "\\" in text:
        spellings.append(_ESCAPES.sub(lambda m: chr(int(m[1] or m[2], 16) % 0x110000), text))
    if not text.isascii() or len(spellings) > 1:
        spellings += [s.encode("latin-1", "ignore").decode("utf-8", "ignore") for s in spellings]
    return spellings


def _letters(text: str) -> str:
    """Return a text without case, quotes, backslashes and blanks."""
    for character in " \n\r\t'\"\\":
        text = text.replace(character, "")
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).casefold()


def _all_letters(secrets: Iterable[str]) -> tuple[str, ...]:
    letters = (_letters(secret) for secret in secrets)
    return tuple(text for text in letters if len(text) >= _LEAST_LETTERS)


def _forms(secret: str) -> list[str]:
    """Return all spellings of a secret that are long enough to be told from other words."""
    if len(secret) < _LEAST:
        return []
    data = secret.encode("utf-8", "surrogatepass")
    quoted = [quote(data, safe=""), quote(data), quote_plus(data)]
    spelled = [secret, html.escape(secret), repr(secret)[1:-1], data.hex(), data.hex().upper()]
    spelled += [*quoted, *(re.sub("%..", lambda m: m[0].lower(), text) for text in quoted)]
    for ascii_only in (True, False):
        text = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        spelled += [text, text.replace("/", r"\/"), json.dumps(text)[1:-1]]
    for shift in range(3):  # where it stands in the text that is encoded
        bits = 8 * shift, 8 * (shift + len(data))
        code = b64encode(bytes(shift) + data).decode()[-(-bits[0] // 6) : bits[1] // 6]
        spelled += [code, code.replace("+", "-").replace("/", "_")]
    return [form for form in spelled if len(form) >= _LEAST]


# -- exceptions --------------------------------------------------------------------------------
def clean_frames(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let exceptions leave a public call without the frames inside, whose variables hold secrets.

    Notebooks and rich show the variables of each frame of a traceback. For a fault of ours the
    places are kept as a note of the exception, without variables.
    """

    @functools.wraps(call)
    def public(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return call(*args, **kwargs)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised again just below
            failure = _without_frames(error)
        try:
            raise failure
        finally:
            del failure  # or the exception and this frame would keep each other alive

    return public


def _without_frames(error: BaseException) -> BaseException:
    """Cut off where an exception was raised, and what it was raised from, but for a plain text."""
    noted = any(note.startswith(_RAISED) for note in getattr(error, "__notes__", ()))
    if not noted and not isinstance(error, SharekitError | KeyboardInterrupt):
        error.add_note(_RAISED + redact("".join(traceback.format_exception(error))))
    if redact(str(error)) != str(error):
        error.args = (redact(str(error)),)
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


# -- log records -----------------------------------------------------------------------------------
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
    """Appends to a file that only its owner may read; tells once if that fails."""

    _has_failed = False

    def _open(self) -> TextIOWrapper:
        # Without a buffer, which would be written again, and fail, at the end of the process.
        file = FileIO(self.baseFilename, "ab", opener=private_opener)
        return TextIOWrapper(file, encoding="utf-8", errors="replace", write_through=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Say in one sentence that the file is not written any more."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            with suppress(OSError, ValueError):
                print(  # noqa: T201 - there is no log to write it to
                    f"Warning: {self.baseFilename} cannot be written ({error.strerror}), so it "
                    "lacks what happens from now on.",
                    file=sys.stderr,
                )


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
