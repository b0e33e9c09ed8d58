"""Limits of HTTP traffic: requests a second to one service, seconds and bytes of one response."""

from __future__ import annotations

import io
import threading
from http.client import HTTPResponse
from math import inf
from time import monotonic
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.wait import wait_for_read

from sharekit.core.brakes import WAITS, RateLimiter
from sharekit.core.errors import StoppedError

#: Bytes of the largest response, decompressed. A full page of 500 images has 0.6 MB.
MAX_BYTES: Final = 64 << 20
#: A whole response may take this many read time-outs.
READ_TIMEOUTS: Final = 5
_CHUNK: Final = 64 << 10
#: Seconds after which a request that only reads looks again whether its caller stops.
_LOOK: Final = 0.1


class ResponseTooLarge(requests.RequestException):
    """A response has more than :data:`MAX_BYTES`."""


def read_content(response: requests.Response) -> bytes:
    """Read the body of a response.

    Raises
    ------
    ResponseTooLarge
        If it is longer than :data:`MAX_BYTES`.
    """
    content = bytearray()
    for part in response.iter_content(_CHUNK):
        content += part
        if len(content) > MAX_BYTES:
            response.close()
            raise ResponseTooLarge
    return bytes(content)


class _UntilDeadline(io.RawIOBase):
    """The bytes of one response, status line and headers included, until a deadline.

    The time-out of a socket starts anew with every packet, so a server that sends one byte a
    minute would never exceed it. A request that only reads ends when its caller stops; what changes
    something is waited for, since its response tells what became of it.
    """

    def __init__(self, sock: Any, raw: Any, *, reading: bool) -> None:
        self._sock, self._raw = sock, raw
        self._timeout = sock.gettimeout() or inf
        self._deadline = monotonic() + READ_TIMEOUTS * self._timeout
        self._ended = WAITS.get().ending() if reading else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._await_bytes(min(left, self._timeout))
        count: int | None
        if left >= self._timeout:
            count = self._raw.readinto(buffer)
            return count
        self._sock.settimeout(left)
        try:
            count = self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(self._timeout)
        return count

    def _await_bytes(self, seconds: float) -> None:
        """Return when there are bytes or the time is over, and raise if the caller stops."""
        if self._ended is None or (hasattr(self._sock, "pending") and self._sock.pending()):
            return
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0 and not wait_for_read(self._sock, min(_LOOK, left)):
            if self._ended():
                raise StoppedError

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        reading = kwargs.get("method") == "GET"
        self.fp = io.BufferedReader(_UntilDeadline(sock, self.fp.detach(), reading=reading))


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedTLSConnection(HTTPSConnection):
    response_class = _TimedResponse


#: Connection classes of urllib3 -> the same with a deadline for each response.
TIMED: Final = {HTTPConnection: _TimedConnection, HTTPSConnection: _TimedTLSConnection}


def proxy_passwords() -> list[str]:
    """Return the passwords of the proxies that the environment names."""
    parts = (urlsplit(url).password for url in getproxies().values())
    return [unquote(password) for password in parts if password]


class RateLimiters:
    """One :class:`RateLimiter` for each service, shared by all projects of a run."""

    def __init__(self) -> None:
        self._limiters: dict[str, RateLimiter] = {}
        self._lock = threading.Lock()

    def for_host(self, host: str, rate: float) -> RateLimiter:
        """Return the limiter of a host; the lowest of several rates holds for all.

        >>> limiters = RateLimiters()
        >>> limiters.for_host("ims.example", 50) is limiters.for_host("ims.example", 20)
        True
        >>> limiters.for_host("ims.example", 0).rate
        20
        """
        with self._lock:
            limiter = self._limiters.setdefault(host, RateLimiter(rate))
            limiter.rate = min(filter(None, (limiter.rate, rate)), default=0)
            return limiter
