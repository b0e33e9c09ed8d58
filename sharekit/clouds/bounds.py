"""Answers with an end: so many bytes, so many seconds, whatever a server does.

The time-out of a socket is one between two pieces; a server that sends a byte a minute would hold
us for ever. Here the whole of an answer, from its first header on, has its time.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from math import inf
from time import monotonic
from typing import Any, Final

import requests
import urllib3
from keystoneauth1.session import TCPKeepAliveAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

#: The largest answer, unpacked: a page of listings is a hundredth of it.
MOST_BYTES: Final = 64 << 20
#: So many times the longest pause between two pieces an answer may take as a whole.
PAUSES: Final = 5


class Endless(requests.RequestException):
    """An answer is larger than any honest one."""


class Adapter(TCPKeepAliveAdapter):
    """Every request of a session, signing in included, with an end to its answer."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let the connections be ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Let them be ours through a proxy as well."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request; its answer is counted while it is read."""
        response = super().send(request, *args, **kwargs)
        response.raw = _Counted(response.raw)
        return response


class _Counted:
    """urllib3's response, which ends with an error when it gets too long."""

    def __init__(self, raw: urllib3.HTTPResponse) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        left = MOST_BYTES
        for part in self._raw.stream(*args, **kwargs):
            left -= len(part)
            if left < 0:
                self._raw.close()
                raise Endless
            yield part


class _Timed:
    """A socket whose readers stop at a moment."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.until = inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self, self._sock.makefile("rb", buffering=0)))


class _Reader(io.RawIOBase):
    def __init__(self, sock: _Timed, raw: Any) -> None:
        self._sock, self._raw = sock, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._sock.until - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if left < inf:
            pause = self._sock.gettimeout()
            self._sock.settimeout(left if pause is None else min(pause, left))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Punctual(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        self.sock: Any = _Timed(self.sock)

    def getresponse(self) -> Any:
        if isinstance(self.sock, _Timed):
            self.sock.until = monotonic() + PAUSES * self.timeout if self.timeout else inf
        return super().getresponse()


class _PunctualTLS(_Punctual, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Punctual


class _PoolTLS(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PunctualTLS


_POOLS: Final = {"http": _Pool, "https": _PoolTLS}
