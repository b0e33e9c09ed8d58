"""What requests asks the environment at each call (proxies, CA file), asked once for each host.

That look-up is a good part of what a request costs; the environment of a run does not change.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests


class Session(requests.Session):
    """Remembers proxies and CA file of each host it has spoken to."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[object, ...], dict[str, Any]] = {}

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As of requests, but the second time from memory; not where a call has its own proxies."""
        if proxies:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        parts = urlsplit(str(url))
        key = (parts.scheme, parts.netloc, stream, verify, cert)
        if key not in self._known:
            found = super().merge_environment_settings(url, {}, stream, verify, cert)
            self._known[key] = dict(found)
        known = self._known[key]
        return {**known, "proxies": dict(known["proxies"])}
