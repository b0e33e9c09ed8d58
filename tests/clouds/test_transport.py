"""One request at a time: caches on the way, and what is refused alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import requests

from sharekit.clouds.http import Transport
from sharekit.core.brakes import Waits, waiting_by
from sharekit.core.errors import CloudRefusedError, NoResponseError

IMAGE, LISTING = "http://image/v2/images/1", "http://image/v2/images"


class Session:
    """A session that answers each GET as ``answer(url)`` says: status and headers."""

    auth = None

    def __init__(self, answer: Callable[[str], tuple[int, dict[str, str]]]) -> None:
        self.answer, self.asked = answer, list[tuple[str, dict[str, str]]]()

    def get_token(self) -> str:
        """Return a token."""
        return "t"

    def request(self, url: str, method: str, *, headers: dict[str, str], **_: Any) -> Any:
        """Answer."""
        self.asked.append((url, headers))
        response = requests.Response()
        response.status_code, response._content, response.url = 200, b"{}", url
        response.request = requests.Request(method, url).prepare()
        response.status_code, more = self.answer(url)
        response.headers.update(more)
        return response


def _transport(answer: Callable[[str], tuple[int, dict[str, str]]]) -> tuple[Transport, Session]:
    session = Session(answer)
    return Transport(session, "c", beside=lambda _: LISTING), session  # type: ignore[arg-type]


def test_no_cache_is_asked_and_none_is_heard() -> None:
    """Each request asks caches to let it pass; a response that one has kept is no response, and a
    changing request has been done all the same."""  # noqa: D205, D209
    transport, session = _transport(lambda _: (200, {"Age": "35"}))
    with pytest.raises(NoResponseError, match=r"through a cache, with what the service said 35 s"):
        transport.call("GET", IMAGE)
    assert transport.call("PUT", IMAGE).http == 200
    assert all(headers["Cache-Control"] == "no-cache" for _, headers in session.asked)
    fresh, _ = _transport(lambda _: (200, {"Age": "0"}))
    assert fresh.call("GET", IMAGE).http == 200


@pytest.mark.parametrize("listing", [200, 429])
def test_flow_control_of_one_request_alone_is_its_own(listing: int) -> None:
    """The last request that is refused is given up after the time of an outage if the smallest
    listing passes, and else after that of flow control."""  # noqa: D205, D209
    transport, session = _transport(lambda url: (listing if url == LISTING else 429, {}))
    limits = Waits(busy_timeout=0.4, outage_timeout=0.1)
    with (
        mock.patch.multiple("sharekit.clouds.http", _FIRST_PAUSE=0.01, _LONGEST_PAUSE=0.02),
        waiting_by(limits),
        pytest.raises(
            CloudRefusedError, match="0.1 s for an outage" if listing == 200 else "0.4 s for flow"
        ),
    ):
        transport.read(IMAGE)
    assert (LISTING, mock.ANY) in session.asked
