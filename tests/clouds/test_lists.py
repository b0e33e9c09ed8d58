"""Lists and lookups of servers that behave at random: what is said of a share is true, or nothing.

The server is a function here, so that thousands of behaviours take seconds;
``tests/test_unfriendly.py`` has the real one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharekit.clouds.cloud import Cloud, ImageShare
from sharekit.clouds.http import Reply
from sharekit.clouds.state.reader import (
    Reader,
    collect,
    facts_differ,
    members_of,
    read_member_shares,
    read_members,
)
from sharekit.clouds.state.snapshot import _read_vaults
from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.brakes import Pool, Waits, waiting_by
from sharekit.core.errors import (
    CloudError,
    CloudRefusedError,
    IncompleteListError,
    NoResponseError,
    NotShownError,
    RedirectedError,
    SharekitError,
    SignInError,
    StoppedError,
    TokenRefusedError,
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
    past: dict[str, str] = field(default_factory=dict)
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
        if "shuffled" in self.paging:
            random.Random(len(self.reads)).shuffle(ids)
        begin = int(params.get("at", 0))
        if params.get("marker") in ids and self.paging != "ignored":
            begin = ids.index(params["marker"]) + 1
        limit = min(int(params["limit"]), self.cap or 1000)
        body: dict[str, Any] = {"images": [{"id": i, "owner": OWNER} for i in ids[begin:][:limit]]}
        if self.upper:
            body = {"images": [i | {"id": i["id"].upper()} for i in body["images"]]}
        if self.paging.endswith("next") and begin + limit < len(ids):
            step = 0 if self.twice and "again" not in params else limit
            more = {"at": begin + step} | ({} if step else {"again": 1})
            if self.gaps and "again" not in params:  # an empty page, with the way on
                body["images"], more = [], {"at": begin, "again": 1}
            kept = {k: v for k, v in params.items() if k not in ("at", "again")}
            body["next"] = f"/v2/{path.rpartition('/')[2]}?{urlencode(kept | more)}"
        return body

    def look(self, image: str) -> dict[str, Any]:
        """Return the state of one image, if the server likes."""
        state = self.past.get(image, self.states.get(image, ABSENT))
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
    paging = ["marker", "next", "ignored", "shuffled", "shuffled next"]
    alone = ["honest", "403", "404", "other", "unknown", "stranger"]
    return Server(
        states={image: draw(states) for image in IDS},
        cap=draw(st.integers(0, 7)), paging=draw(st.sampled_from(paging)),
        twice=draw(st.booleans()), gaps=draw(st.booleans()), ignores_state=draw(st.booleans()),
        upper=draw(st.booleans()), alone=draw(st.sampled_from(alone)),
        hidden=frozenset(draw(st.sets(st.sampled_from(IDS), max_size=4))),
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(servers(), st.sampled_from(["batch", "native"]))
def test_what_is_said_of_a_share_is_true(server: Server, api: str) -> None:
    """Each image has its true state, or none with a reason; one shown in several states is asked
    for alone."""  # noqa: D205, D209
    with mock.patch("sharekit.clouds.cloud.PAGE_SIZE", 10), Pool(1) as pool:
        found = read_member_shares(Reader(pool), {ME: cloud_of(server, api)}, {ME: IDS})[ME]
    assert set(found.images) == set(IDS)
    for image, share in found.images.items():
        assert share.state in ("", server.states[image])
        assert (share.state == "") == (share.unread != "")


@settings(max_examples=200, deadline=None)
@given(servers())
def test_an_honest_server_leaves_nothing_open(server: Server) -> None:
    """With pages of two images or more and either way to go on, every state is read.

    Pages of one image show no order, unless each has the way to the next.
    """
    server.alone, server.ignores_state, server.twice = "honest", False, False
    server.paging = "next" if server.paging == "next" else "marker"
    server.cap += server.cap == 1 and server.paging == "marker"
    with mock.patch("sharekit.clouds.cloud.PAGE_SIZE", 10), Pool(1) as pool:
        found = read_member_shares(Reader(pool), {ME: cloud_of(server)}, {ME: IDS})[ME]
    assert {i: s.state for i, s in found.images.items()} == server.states
    assert found.incomplete == ""


_SHARES = st.dictionaries(st.sampled_from(IDS[:20]), st.sampled_from([*MEMBER_STATES, ABSENT]))


@settings(max_examples=200, deadline=None)
@given(_SHARES, _SHARES)
def test_a_listing_and_a_look_that_differ_leave_a_share_open(
    listed: dict[str, str], past: dict[str, str]
) -> None:
    """Whichever of them a cache has from the past, or from another project, no state is false."""
    ids = IDS[:20]
    server = Server(states=dict.fromkeys(ids, ABSENT) | listed, past=past)
    with Pool(1) as pool:
        reader = Reader(pool)
        found = read_member_shares(reader, {ME: cloud_of(server)}, {ME: ids})[ME]
    for image in ids:
        alone, share = past.get(image, server.states[image]), found.images[image]
        assert share.state in ("", server.states[image])
        assert share.state in ("", alone)
        assert (share.state == "") == (share.unread != "")


def _ask(*call: Any) -> Any:
    with Pool(1) as pool:
        return Reader(pool).ask(OWNER, *call)


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
    """A list of members that is cut off makes nobody absent, nor does a state that nobody knows;
    what it lacks, and a look alone shows, is open."""  # noqa: D205, D209
    cloud = cloud_of(Owner(states, shown, lambda _: mood))
    found, listed = (
        members_of(cloud, ImageShare(IDS[0], "", OWNER), PROJECTS, _ask),
        [*states][:shown],
    )
    for project in PROJECTS:
        true = states.get(project, ABSENT)
        assert found.state(project) in ("", true)
        if mood == "honest" and true != "odd":
            assert found.state(project) == (true if project in listed or true == ABSENT else "")
        assert bool(found.why_unread(project)) == (found.state(project) == "")
    lacked = any(state in MEMBER_STATES for state in [*states.values()][shown:])
    assert bool(found.unread) == (lacked or "" in found.states.values())


def cached(listed: dict[str, str], alone: dict[str, str]) -> Cloud:
    """Return a cloud whose list of an image's members is of another time than its looks."""

    class Cached(Owner):
        def read(self, url: str, **params: Any) -> Reply:
            """Answer a GET."""
            self.states = listed if url.endswith("/members") else alone
            return super().read(url, **params)

    return cloud_of(Cached({}, 99, lambda _: "honest"))


_MEMBERS = st.dictionaries(st.sampled_from(PROJECTS), st.sampled_from(MEMBER_STATES))


@settings(max_examples=100, deadline=None)
@given(_MEMBERS, _MEMBERS)
def test_a_list_of_members_and_a_look_that_differ_leave_a_share_open(
    listed: dict[str, str], alone: dict[str, str]
) -> None:
    """A share in doubt has a state only if the list and the look at it alone show the same."""
    cloud = cached(listed, alone)
    image = ImageShare(IDS[0], "", OWNER)
    found = members_of(cloud, image, PROJECTS, _ask, lambda _project, _share: True)
    for project in PROJECTS:
        shown = {states.get(project, ABSENT) for states in (listed, alone)}
        assert found.state(project) == (shown.pop() if len(shown) == 1 else "")


@pytest.mark.parametrize(
    ("listed", "alone"),
    [
        ({PROJECTS[0]: "pending"}, {PROJECTS[0]: "accepted"}),
        ({PROJECTS[0]: "pending"}, {}),
        ({}, {PROJECTS[1]: "accepted"}),
    ],
)
def test_lists_of_members_that_nobody_asked_about_are_compared_with_looks(
    listed: dict[str, str], alone: dict[str, str]
) -> None:
    """A list from the past, or one that was cut off, makes no image of its owner a whole one."""
    cloud = cached(listed, alone)
    clouds = {OWNER: cloud, PROJECTS[1]: cloud}
    images = {OWNER: {IDS[0]: ImageShare(IDS[0], "", OWNER)}}
    with Pool(2) as pool:
        reader = Reader(pool)
        found = read_members(reader, "", clouds, images, {}, everything=True)[OWNER][IDS[0]]
    assert "one of them is wrong" in found.unread
    assert set(found.states.values()) <= {""}


@pytest.mark.parametrize(
    ("listed", "alone", "differ"),
    [
        (("", ""), (OWNER, "public"), False),
        ((OWNER, "shared"), (OWNER, "private"), False),
        ((OWNER, "shared"), ("", ""), False),
        ((ME, ""), (OWNER, ""), True),
        ((OWNER, "community"), (OWNER, "shared"), True),
        ((OWNER, "shared"), (OWNER, "public"), True),
    ],
)
def test_an_owner_or_a_visibility_that_is_shown_twice_is_to_be_the_same(
    listed: tuple[str, str], alone: tuple[str, str], *, differ: bool
) -> None:
    """A list and a look at one image alone differ if both name an owner, or one calls it public."""
    shares = [ImageShare(IDS[0], "", owner, visibility=kind) for owner, kind in (listed, alone)]
    assert bool(facts_differ(*shares)) == differ


@pytest.mark.parametrize("everything", [False, True])
def test_an_image_listed_as_ones_own_is_looked_up(*, everything: bool) -> None:
    """A list that calls another owner's image the project's own is not believed."""

    class Liar(Server):
        def reply(self, body: dict[str, Any]) -> Reply:
            """Answer a listing with the caller as owner."""
            own = [image | {"owner": ME} for image in body.get("images", ())]
            return Reply(200, body | ({"images": own} if own else {}), "")

    states = dict.fromkeys(IDS[:3], "pending")
    with Pool(2) as pool:
        clouds = {ME: cloud_of(Liar(states))}
        wanted = {ME: () if everything else IDS[:3]}
        shown = read_member_shares(Reader(pool), clouds, wanted, everything=everything)[ME]
    assert "owner" in shown.incomplete
    assert {image.state for image in shown.images.values()} == {""}


def test_public_images_are_not_asked_for_members() -> None:
    """Nobody asks for the members of a public or a community image, so no state is known."""

    class Silent:
        def read(self, url: str, **_: Any) -> Reply:
            raise AssertionError(url)

    for visibility in ("public", "community"):
        image = ImageShare(IDS[0], "", OWNER, visibility=visibility)
        found = members_of(cloud_of(Silent()), image, [ME], _ask)
        assert found.state(ME) == ""
        assert visibility in found.why_unread(ME)


def _refused(http: int, code: str = "") -> CloudRefusedError:
    return CloudRefusedError("no", http=http, code=code or f"HTTP{http}")


_OF_ONE = [_refused(500), _refused(503), _refused(429), _refused(400, "IMG.0014"),
           _refused(400, "IMG.0060"), NoResponseError("cut off"), RedirectedError("elsewhere"),
           TokenRefusedError("HTTP401"), "another type"]  # fmt: skip
_ANSWERS = [_refused(403), _refused(400), _refused(409)]
_OF_ALL = [SignInError("no role"), NoResponseError("unreachable", sent=False), StoppedError(),
           CloudError("no sign-in")]  # fmt: skip


class Failing:
    """A server of one image and a list of three pages, which fails at some addresses for good."""

    def __init__(self, fault: SharekitError | str, fails: Callable[[str], bool]) -> None:
        self.fault, self.fails, self.reads = fault, fails, 0

    def read(self, url: str, **_: Any) -> Reply:
        """Answer a GET."""
        self.reads += 1
        if self.fails(url):
            if isinstance(self.fault, SharekitError):
                raise self.fault
            return Reply(200, {"images": "none", "id": 7, "members": {}, "status": 0}, "")
        if "/v2/images/" in url:
            return Reply(200, {"id": IDS[0], "owner": OWNER}, "")
        page = int(url.partition("page=")[2] or 1)
        body: dict[str, Any] = {"images": [{"id": IDS[page], "owner": OWNER}]}
        return Reply(200, body | ({"next": f"/v2/images?page={page + 1}"} if page < 3 else {}), "")


def _at_image(url: str) -> bool:
    return "/v2/images/" in url


@pytest.mark.parametrize("fault", _OF_ONE, ids=str)
def test_one_image_that_cannot_be_shown_is_no_outage(fault: CloudError | str) -> None:
    """What fails for one image alone is its reason; where nothing else comes either, it is
    raised."""  # noqa: D205, D209
    with pytest.raises(NotShownError):
        cloud_of(Failing(fault, _at_image)).find_image(IDS[0])
    with pytest.raises(CloudError) as raised:
        cloud_of(Failing(fault, lambda _: True)).find_image(IDS[0])
    assert not isinstance(raised.value, NotShownError)


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("fault", [*_OF_ONE, _refused(403), _refused(404)], ids=str)
def test_a_broken_page_makes_a_list_incomplete(fault: CloudError | str, page: int) -> None:
    """The pages before it count, and the list may lack others; a service that is down is raised,
    and so is a refusal of the whole list."""  # noqa: D205, D209

    def is_broken(url: str) -> bool:
        return url.endswith(f"page={page}") if page > 1 else first.reads == 1

    first = Failing(fault, is_broken)
    if page == 1 and isinstance(fault, CloudRefusedError) and fault.http in (403, 404):
        with pytest.raises(CloudRefusedError):
            collect(cloud_of(first).shares("pending"))
    else:
        images, why = collect(cloud_of(first).shares("pending"))
        assert [*images] == IDS[1:page]
        assert why
    with pytest.raises(CloudError) as raised:
        collect(cloud_of(Failing(fault, lambda _: True)).shares("pending"))
    assert not isinstance(raised.value, (NotShownError, IncompleteListError))


@pytest.mark.parametrize("fault", [*_ANSWERS, *_OF_ALL], ids=str)
def test_what_is_an_answer_or_about_everything_asks_for_nothing_else(fault: SharekitError) -> None:
    """A refusal says what it says; a sign-in, an address and a stop concern all images."""
    server = Failing(fault, _at_image)
    with pytest.raises(type(fault)) as raised:
        cloud_of(server).find_image(IDS[0])
    assert (raised.value, server.reads) == (fault, 1)


def raises(error: SharekitError) -> Callable[[], str]:
    """Return a call that raises an error."""

    def call() -> str:
        raise error

    return call


@pytest.mark.parametrize("error", [*_ANSWERS, NotShownError("HTTP500"),
                                   UnfitResponseError("another image")], ids=str)  # fmt: skip
def test_an_image_that_is_not_shown_has_its_reason(error: CloudError) -> None:
    """However many images a cloud does not show, each has its reason, and others are read."""
    with Pool(1) as pool:
        reader = Reader(pool)
        assert {reader.ask(ME, raises(error)) for _ in range(9)} == {str(error)}
        assert reader.ask(ME, str.lower, "OK") == "ok"


def test_where_nothing_more_is_shown_nothing_more_is_asked_for() -> None:
    """After the time of an outage without any answer, the rest has the last reason, unasked."""
    asked = []

    def ask_one(image: str) -> str:
        asked.append(image)
        raise NotShownError("HTTP500")

    with waiting_by(Waits(outage_timeout=0.0)), Pool(1) as pool:
        reader = Reader(pool)
        reasons = [reader.ask(ME, ask_one, image) for image in IDS]
        assert reader.ask(OWNER, str.lower, "OK") == "ok"
    assert len(asked) < len(IDS)
    assert all("HTTP500" in reason for reason in reasons)


@pytest.mark.parametrize("error", _OF_ALL, ids=str)
def test_what_is_said_of_the_caller_is_about_no_image(error: SharekitError) -> None:
    """A refused sign-in, a service that cannot be reached and a stop are raised."""
    with Pool(1) as pool, pytest.raises(type(error)):
        Reader(pool).ask(ME, raises(error))


def test_a_stop_is_no_answer_about_vaults() -> None:
    """Whoever stops while vaults are read ends the reading: none is called unread for it."""
    with pytest.raises(StoppedError):
        _read_vaults(cloud_of(Failing(StoppedError(), lambda _: True)), ())


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
