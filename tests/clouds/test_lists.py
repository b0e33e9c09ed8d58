"""Lists and lookups of servers that behave at random: what is said of a share is true, or nothing.

The server is a function here, so that thousands of behaviours take seconds;
``tests/test_unfriendly.py`` has the real one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharekit.clouds.cloud import Cloud, ImageShare
from sharekit.clouds.http import Reply
from sharekit.clouds.state.reader import Reader, members_of, or_reason, read_member_shares
from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.brakes import CircuitBreaker
from sharekit.core.errors import (
    CloudError,
    CloudRefusedError,
    IncompleteListError,
    NoResponseError,
    RedirectedError,
    SignInError,
    StoppedError,
    UnfitResponseError,
)

ME, OWNER = "a" * 32, "b" * 32
IDS = [f"{n:08x}-0000-4000-8000-000000000001" for n in range(24)]
PROJECTS = [f"{n:032x}" for n in range(1, 9)]


@dataclass
class Server:
    """Images by ID with their state for :data:`ME`, and how requests about them go wrong."""

    states: dict[str, str]
    cap: int = 0
    paging: str = "marker"
    twice: bool = False
    gaps: bool = False
    ignores_state: bool = False
    upper: bool = False
    alone: str = "honest"
    hidden: frozenset[str] = frozenset()
    reads: list[str] = field(default_factory=list)

    def read(self, url: str, **params: Any) -> Reply:
        """Answer a GET."""
        self.reads.append(url)
        path, _, query = url.partition("?")
        params |= dict(parse_qsl(query))
        if path.endswith(("/v2/images", "/v2/cloudimages")):
            return self.reply(self.page(path, params))
        image, _, member = path.rpartition("/v2/images/")[2].partition("/members")
        return self.reply(self.look(image) if member else {"id": image, "owner": OWNER})

    def reply(self, body: dict[str, Any]) -> Reply:
        """Answer with a body."""
        return Reply(200, body, "")

    def page(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return a page of a listing."""
        hidden = params.get("os_hidden") == "true"
        ids = [
            i
            for i, state in self.states.items()
            if (i in self.hidden) == hidden
            and state != ABSENT
            and (self.ignores_state or state == params["member_status"])
        ]
        if self.paging == "shuffled":
            random.Random(len(self.reads)).shuffle(ids)
        begin = int(params.get("at", 0))
        if params.get("marker") in ids and self.paging != "ignored":
            begin = ids.index(params["marker"]) + 1
        limit = min(int(params["limit"]), self.cap or 1000)
        body: dict[str, Any] = {"images": [{"id": i, "owner": OWNER} for i in ids[begin:][:limit]]}
        if self.upper:
            body = {"images": [i | {"id": i["id"].upper()} for i in body["images"]]}
        if self.paging == "next" and begin + limit < len(ids):
            step = 0 if self.twice and "again" not in params else limit
            more = {"at": begin + step} | ({} if step else {"again": 1})
            if self.gaps and "again" not in params:  # an empty page, with the way on
                body["images"], more = [], {"at": begin, "again": 1}
            kept = {k: v for k, v in params.items() if k not in ("at", "again")}
            body["next"] = f"/v2/{path.rpartition('/')[2]}?{urlencode(kept | more)}"
        return body

    def look(self, image: str) -> dict[str, Any]:
        """Return the state of one image, if the server likes."""
        state = self.states.get(image, ABSENT)
        if self.alone in ("403", "404") or state == ABSENT:
            http = 403 if self.alone == "403" else 404
            raise CloudRefusedError("no", http=http, code=f"HTTP{http}")
        member = {"status": state, "image_id": image, "member_id": ME}
        changed = {"other": {"image_id": IDS[0][::-1]}, "unknown": {"status": "revoked"},
                   "stranger": {"member_id": OWNER}}  # fmt: skip
        return member | changed.get(self.alone, {})


def cloud_of(server: Any, api: str = "native") -> Cloud:
    """Return a client of a server."""
    return Cloud("c", ME, "r", "http://ims", "http://image", "http://cbr", server, api=api)


@st.composite
def servers(draw: st.DrawFn) -> Server:
    """Servers with any images, of any mood."""
    states = st.sampled_from([*MEMBER_STATES, ABSENT])
    paging = draw(st.sampled_from(["marker", "next", "ignored", "shuffled"]))
    # Who both reorders pages by chance and denies what there is cannot be told from an honest one.
    lying = ["honest", "403", "other", "unknown", "stranger"]
    alone = draw(st.sampled_from([*lying, *(["404"] if paging != "shuffled" else [])]))
    ignores_state = draw(st.booleans())
    # Nor can who reorders pages of one image each and ends them by chance, in a wrong state.
    cap = draw(
        st.integers(0, 7).filter(lambda n: (n, paging, ignores_state) != (1, "shuffled", True))
    )
    return Server(
        states={image: draw(states) for image in IDS},
        cap=cap, paging=paging, twice=draw(st.booleans()),
        gaps=draw(st.booleans()), ignores_state=ignores_state, upper=draw(st.booleans()),
        alone=alone, hidden=frozenset(draw(st.sets(st.sampled_from(IDS), max_size=4))),
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(servers(), st.sampled_from(["batch", "native"]))
def test_what_is_said_of_a_share_is_true(server: Server, api: str) -> None:
    """Each image has its true state, or none with a reason; one shown in several states is asked
    for alone."""  # noqa: D205, D209
    with mock.patch("sharekit.clouds.cloud.PAGE_SIZE", 10), ThreadPoolExecutor(1) as pool:
        found = read_member_shares(Reader(pool), {ME: cloud_of(server, api)}, {ME: IDS})[ME]
    assert set(found.images) == set(IDS)
    for image, share in found.images.items():
        assert share.state in ("", server.states[image])
        assert (share.state == "") == (share.unread != "")


@settings(max_examples=200, deadline=None)
@given(servers())
def test_an_honest_server_leaves_nothing_open(server: Server) -> None:
    """With pages of any size and either way to go on, every state is read."""
    server.alone, server.ignores_state, server.twice = "honest", False, False
    server.paging = "marker" if server.paging in ("ignored", "shuffled") else server.paging
    with mock.patch("sharekit.clouds.cloud.PAGE_SIZE", 10), ThreadPoolExecutor(1) as pool:
        found = read_member_shares(Reader(pool), {ME: cloud_of(server)}, {ME: IDS})[ME]
    assert {i: s.state for i, s in found.images.items()} == server.states
    assert found.incomplete == ""


class Owner:
    """A server that lists the members of one image, perhaps not all, and looks single ones up."""

    def __init__(self, states: dict[str, str], shown: int, alone: Callable[[str], str]) -> None:
        self.states, self.shown, self.alone = states, shown, alone

    def read(self, url: str, **_: Any) -> Reply:
        """Answer a GET."""
        project = url.rpartition("/members")[2].lstrip("/")
        if not project:
            members = [{"member_id": p, "status": s} for p, s in self.states.items()]
            return Reply(200, {"members": members[: self.shown]}, "")
        if (mood := self.alone(project)) in ("403", "404") or project not in self.states:
            http = 403 if mood == "403" else 404
            raise CloudRefusedError("no", http=http, code=f"HTTP{http}")
        return Reply(200, {"status": self.states[project], "member_id": project}, "")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(PROJECTS), st.sampled_from([*MEMBER_STATES, "odd"])),
       st.integers(0, 9), st.sampled_from(["honest", "403"]))  # fmt: skip
def test_what_is_said_of_a_member_is_true(states: dict[str, str], shown: int, mood: str) -> None:
    """A list of members that is cut off makes nobody absent, nor does a state that nobody knows."""
    cloud = cloud_of(Owner(states, shown, lambda _: mood))
    found = members_of(cloud, ImageShare(IDS[0], "", OWNER), PROJECTS, CircuitBreaker())
    for project in PROJECTS:
        true = states.get(project, ABSENT)
        assert found.state(project) in ("", true)
        if mood == "honest" and true != "odd":
            assert found.state(project) == true
        assert bool(found.why_unread(project)) == (found.state(project) == "")
    lacked = any(state in MEMBER_STATES for state in [*states.values()][shown:])
    assert bool(found.unread) == (lacked or "" in found.states.values())


def test_public_images_are_not_asked_for_members() -> None:
    """Nobody asks for the members of a public or a community image, so no state is known."""

    class Silent:
        def read(self, url: str, **_: Any) -> Reply:
            raise AssertionError(url)

    for visibility in ("public", "community"):
        image = ImageShare(IDS[0], "", OWNER, visibility=visibility)
        found = members_of(cloud_of(Silent()), image, [ME], CircuitBreaker())
        assert found.state(ME) == ""
        assert visibility in found.why_unread(ME)


def _refused(http: int, code: str = "") -> CloudRefusedError:
    return CloudRefusedError("no", http=http, code=code or f"HTTP{http}")


def _raise(error: CloudError) -> str:
    raise error


_OF_ONE = [_refused(500), _refused(503), _refused(400, "IMG.0014"), NoResponseError("not JSON"),
           RedirectedError("elsewhere")]  # fmt: skip
_ANSWERS = [_refused(403), _refused(404), _refused(400), UnfitResponseError("another image"),
            IncompleteListError("no end")]  # fmt: skip
_OF_ALL = [
    _refused(429),
    _refused(400, "IMG.0060"),
    _refused(401),
    SignInError("no role"),
    NoResponseError("unreachable", sent=False),
    StoppedError(),
    CloudError("no sign-in"),
]


@pytest.mark.parametrize("error", _OF_ONE, ids=str)
def test_one_image_that_cannot_be_shown_is_no_outage(error: CloudError) -> None:
    """What fails for one image is its reason; where nothing else comes any more, it is raised."""
    now = [0.0]
    breaker = CircuitBreaker(60.0, clock=lambda: now[0])
    for now[0] in range(0, 600, 30):
        assert or_reason(breaker, _raise, error) == str(error)
        assert or_reason(breaker, str.lower, "OK") == "ok"  # type: ignore[arg-type]
    said = []
    for now[0] in range(1_000, 1_060, 10):
        said.append(or_reason(breaker, _raise, error))
    assert said == [str(error)] * 6
    now[0] = 1_060
    with pytest.raises(CloudError) as raised:
        or_reason(breaker, _raise, error)
    assert raised.value is error


@pytest.mark.parametrize("error", _ANSWERS, ids=str)
def test_an_answer_is_never_an_outage(error: CloudError) -> None:
    """However many images a cloud refuses to show, each has its reason, and nothing is raised."""
    now = [0.0]
    breaker = CircuitBreaker(60.0, clock=lambda: now[0])
    for now[0] in range(0, 6_000, 100):
        assert or_reason(breaker, _raise, error) == str(error)


@pytest.mark.parametrize("error", _OF_ALL, ids=str)
def test_what_is_said_of_the_caller_is_about_no_image(error: CloudError) -> None:
    """Flow control, a refused sign-in, a service that cannot be reached and a stop are raised."""
    with pytest.raises(CloudError):
        or_reason(CircuitBreaker(), _raise, error)


class Says:
    """A server with one answer to every GET and POST."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def read(self, _: str, **__: Any) -> Reply:
        """Answer a GET."""
        return Reply(200, self.body, "")

    def call(self, *_: Any, **__: Any) -> Reply:
        """Answer any other request."""
        return Reply(200, self.body, "")

    def get(self, _: str) -> Reply:
        """Answer a GET that is not repeated."""
        return Reply(200, self.body, "")


def test_an_answer_about_something_else_is_none() -> None:
    """Another image, project, vault or job, and a word that no API has, are never taken for the
    one that was asked about; case alone makes no difference."""  # noqa: D205, D209
    other = IDS[1]
    for body, call in (
        ({"id": other}, lambda c: c.find_image(IDS[0])),
        ({"status": "accepted", "image_id": other}, lambda c: c.member_state(IDS[0], ME)),
        ({"status": "accepted", "member_id": OWNER}, lambda c: c.member_state(IDS[0], ME)),
        ({"status": "maybe", "member_id": ME}, lambda c: c.member_state(IDS[0], ME)),
        ({"members": [{"member_id": ME, "status": "accepted", "image_id": other}]},
         lambda c: c.members(IDS[0])),
        ({"vault": {"id": other}}, lambda c: c.vault(IDS[0])),
        ({"status": "SUCCESS", "job_id": "another"}, lambda c: c.job("one")),
        ({"status": "accepted", "image_id": other, "member_id": ME},
         lambda c: c.send(("PUT", f"http://image/v2/images/{IDS[0]}/members/{ME}", {}), "t")),
        ({"status": "pending", "image_id": IDS[0], "member_id": OWNER},
         lambda c: c.send(("POST", f"http://image/v2/images/{IDS[0]}/members", {"member": ME}),
                          "t")),
    ):  # fmt: skip
        with pytest.raises(UnfitResponseError):
            call(cloud_of(Says(body)))
    upper = {"status": "Accepted", "image_id": IDS[10].upper(), "member_id": ME.upper()}
    assert cloud_of(Says(upper)).member_state(IDS[10], ME) == "accepted"


def test_a_job_is_heard_only_in_words_that_it_has() -> None:
    """Results without a known word, or with two, count neither way; a project's is its own."""
    results = [
        {"image_id": IDS[0].upper(), "status": "success"},
        {"image_id": IDS[1], "status": "who knows"},
        {"image_id": IDS[2], "status": "success"}, {"image_id": IDS[2], "status": "failed"},
        {"image_id": IDS[3], "project_id": OWNER, "status": "failed"},
    ]  # fmt: skip
    job = cloud_of(Says({"status": "FAIL", "entities": {"results": results}})).job("one")
    assert job.results == {IDS[0]: True}
    assert job.pairs == {(IDS[3], OWNER): False}


def test_vaults_are_listed_to_an_empty_page_and_counted() -> None:
    """Pages shorter than asked go on; a count beyond what is listed makes the list incomplete."""

    class Vaults:
        def __init__(self, number: int, cap: int, count: int) -> None:
            self.number, self.cap, self.count = number, cap, count

        def read(self, _: str, *, limit: int, offset: int) -> Reply:
            listed = range(offset, min(offset + min(limit, self.cap), self.number))
            vaults = [{"id": IDS[n]} for n in listed]
            return Reply(200, {"vaults": vaults, "count": self.count}, "")

    listed = [vault.vault_id for vault in cloud_of(Vaults(20, 3, 20)).vaults()]
    assert listed == IDS[:20]
    with pytest.raises(IncompleteListError):
        list(cloud_of(Vaults(20, 3, 21)).vaults())
