"""The simulated cloud, asked over HTTP like any other."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import requests
import yaml

from sharekit.core.actions import STATUSES
from sharekit.core.cloud_api import VAULT_STATUS
from sharekit.core.errors import InputError
from sharekit.interfaces.cli.seed import seed_from_rows, seed_from_workbook
from sharekit.simulator import (
    Faults,
    Image,
    Key,
    Project,
    Seed,
    Share,
    Simulator,
    User,
    Vault,
    clouds_yaml,
    start,
)
from sharekit.simulator.sample import FAULTY_KINDS, HEADERS, KINDS, build_sample, write_workbook

A, B, OWNER = "a" * 32, "b" * 32, "0" * 31 + "f"
MANY = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(60)]
FULL, PUBLIC, PRIVATE, HIDDEN, OTHER, UNKNOWN = (
    f"{c * 8}-0000-4000-8000-{c * 12}" for c in "123456"
)
VAULTS = {
    "good": Vault("10000000-0000-4000-8000-000000000000", A),
    "full": Vault("20000000-0000-4000-8000-000000000000", A, size=10),
    "crowded": Vault("30000000-0000-4000-8000-000000000000", A, resources=256),
    "locked": Vault("40000000-0000-4000-8000-000000000000", A, status="lock"),
    "disk": Vault("50000000-0000-4000-8000-000000000000", A, object_type="disk"),
    "foreign": Vault("60000000-0000-4000-8000-000000000000", B),
}
SEED = Seed(
    projects=(Project(A, "Team A"), Project(B, "Team B"), Project(OWNER, "Golden")),
    users=(
        User("u1", "ada", "s3same-47"),
        User("u2", "rob", "s3same-47", role="reader"),
        User("u3", "bea", "s3same-47", projects=(B,)),
    ),
    keys=(Key("AKADA", "s" * 32, "u1"),),
    images=(
        *(Image(image, OWNER, f"image {n}") for n, image in enumerate(MANY)),
        Image(FULL, OWNER, "full", whole_image=True),
        Image(PUBLIC, OWNER, "public", visibility="public"),
        Image(PRIVATE, OWNER, "private", visibility="private"),
        Image(HIDDEN, OWNER, "hidden", hidden=True),
        Image(OTHER, OWNER, "of team b"),
    ),
    shares=(*(Share(image, A) for image in (*MANY, FULL, HIDDEN)), Share(OTHER, B)),
    vaults=tuple(VAULTS.values()),
).with_settings(job_seconds=0)


@dataclass
class Client:
    """A signed-in user; one session."""

    simulator: Simulator
    session: requests.Session

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        url = self.simulator.url + path
        return self.session.request(method, url, json=body, params=query, timeout=30)

    def batch(self, images: list[str], status: str = "accepted", **more: Any) -> requests.Response:
        body = {"images": images, "project_id": A, "status": status, **more}
        return self("PUT", "/v1/cloudimages/members", body)

    def job(self, answer: requests.Response) -> dict[str, Any]:
        return self("GET", f"/v1/{A}/jobs/{answer.json()['job_id']}").json()

    def status(self, image: str) -> str:
        return self("GET", f"/v2/images/{image}/members/{A}").json()["status"]

    def walk(self, path: str, **query: Any) -> Iterator[list[str]]:
        page = self("GET", path, **query).json()
        while page["images"]:
            yield [image["id"] for image in page["images"]]
            if "next" not in page:
                return
            page = self("GET", page["next"]).json()


def body_of(password: str = "s3same-47", user: str = "ada", project: str = A) -> dict[str, Any]:
    """Return the body of a sign-in."""
    who = {"name": user, "domain": {"name": "Default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": who}}
    return {"auth": {"identity": identity, "scope": {"project": {"id": project}}}}


def sign_in(simulator: Simulator, user: str = "ada", project: str = A) -> Client:
    """Return a client with a token."""
    client = Client(simulator, requests.Session())
    answer = client("POST", "/v3/auth/tokens", body_of(user=user, project=project))
    assert answer.status_code == 201, answer.text
    client.session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
    client.session.headers["Accept"] = "application/json"
    return client


Cloud = Callable[..., Client]


@pytest.fixture(scope="module")
def process() -> Iterator[Simulator]:
    """One process for all tests that begin with a fresh cloud."""
    with start(SEED) as simulator:
        yield simulator


@pytest.fixture
def cloud(process: Simulator) -> Iterator[Cloud]:
    """Begin with a fresh cloud and sign in."""
    opened: list[Client] = []

    def make(
        faults: Faults | None = None, user: str = "ada", project: str = A, **settings: Any
    ) -> Client:
        process.reset(**settings)
        client = sign_in(process, user, project)
        opened.append(client)
        if faults is not None:
            process.set_faults(faults)
        return client

    yield make
    for client in opened:
        client.session.close()


@pytest.fixture(scope="module")
def quiet() -> Iterator[Client]:
    """One cloud for tests that change nothing."""
    with start(SEED) as simulator:
        client = sign_in(simulator)
        yield client
        client.session.close()


def changes(client: Client) -> Counter[str]:
    """Return how often the state of each image really changed."""
    state = client.simulator.state()
    return Counter({m["image_id"]: m["changes"] for m in state["members"] if m["changes"]})


# -- signing in ------------------------------------------------------------------------------------
def test_sign_in_gives_a_scoped_token_with_a_catalog(quiet: Client) -> None:
    """A password sign-in answers the project, the roles and where each service is."""
    answer = quiet("POST", "/v3/auth/tokens", body_of())
    token = answer.json()["token"]
    catalog = {s["type"]: s["endpoints"][0]["url"] for s in token["catalog"]}
    assert answer.headers["X-Request-Id"].startswith("req-")
    assert (token["project"]["id"], token["roles"][0]["name"]) == (A, "member")
    assert catalog["image"] == f"{quiet.simulator.url}/image"
    assert catalog["cbr"].endswith(f"/v3/{A}")
    assert token["expires_at"] > token["issued_at"]


@pytest.mark.parametrize(
    "body",
    [
        body_of("wrong"),
        body_of(user="nobody"),
        body_of(user="bea", project=A),
        body_of(project="c"),
    ],
    ids=["password", "user", "no-role", "no-project"],
)
def test_sign_in_is_refused_alike_for_every_reason(quiet: Client, body: dict[str, Any]) -> None:
    """A wrong password and a project without a role are the same 401."""
    answer = quiet("POST", "/v3/auth/tokens", body)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 401


def test_sign_in_accepts_ids_names_and_tokens(quiet: Client) -> None:
    """A user may be named by id, a project by name and domain, and a token can be rescoped."""
    by_id = {"id": "u1", "password": "s3same-47"}
    scope = {"project": {"name": "Team B", "domain": {"id": "default"}}}
    first = {"identity": {"methods": ["password"], "password": {"user": by_id}}, "scope": scope}
    answer = quiet("POST", "/v3/auth/tokens", {"auth": first})
    assert answer.json()["token"]["project"]["id"] == B
    again = {"methods": ["token"], "token": {"id": answer.headers["X-Subject-Token"]}}
    scope = {"project": {"id": A}}
    rescoped = quiet("POST", "/v3/auth/tokens", {"auth": {"identity": again, "scope": scope}})
    assert rescoped.json()["token"]["project"]["id"] == A


def test_malformed_sign_in_is_a_bad_request(quiet: Client) -> None:
    """A body without an identity, or with half of one, is 400 and no traceback."""
    bodies = ({}, {"auth": {"identity": {}}}, {"auth": {"identity": {"methods": ["password"]}}})
    assert {quiet("POST", "/v3/auth/tokens", b).status_code for b in bodies} == {400}


def test_projects_and_validation_follow_the_token(quiet: Client) -> None:
    """The caller's projects are listed, and a token can be looked at."""
    names = [p["name"] for p in quiet("GET", "/v3/auth/projects").json()["projects"]]
    assert names == ["Team A", "Team B", "Golden"]
    url = f"{quiet.simulator.url}/v3/auth/tokens"
    subject = {"X-Subject-Token": str(quiet.session.headers["X-Auth-Token"])}
    assert quiet.session.get(url, headers=subject, timeout=30).json()["token"]["user"]["id"] == "u1"
    other = {"X-Subject-Token": "unknown"}
    assert quiet.session.get(url, headers=other, timeout=30).status_code == 404


def test_an_expired_token_is_refused_everywhere(cloud: Cloud) -> None:
    """Past its declared end a token gets 401 from every service, and each is counted."""
    client = cloud(token_lifetime=0)
    answers = [
        client("GET", "/v2/images"),
        client("GET", "/v2/cloudimages"),
        client("GET", f"/v3/{A}/vaults"),
        client.batch(MANY[:1]),
    ]
    assert [a.status_code for a in answers] == [401] * 4
    assert answers[-1].json()["error"]["code"] == "IMG.0087"
    assert client.simulator.state()["unauthorised"] == 4


def test_a_killed_token_still_declares_a_far_end(cloud: Cloud) -> None:
    """With token_lifetime a token expires long before its declared end; a new one works."""
    client = cloud(Faults(token_lifetime=1e-9))
    assert client("GET", "/v2/images").status_code == 401
    client.simulator.set_faults(Faults(token_lifetime=3600))
    assert client("GET", "/v2/images").status_code == 200


def test_a_token_is_used_up(cloud: Cloud) -> None:
    """With token_uses a token serves so many requests, and then gets 401."""
    client = cloud(Faults(token_uses=2))
    assert [client("GET", "/v2/images").status_code for _ in range(4)] == [200, 200, 401, 401]


# -- Glance --------------------------------------------------------------------------------------
def member(image: str, project: str = A) -> str:
    """Return the path of one share."""
    return f"/v2/images/{image}/members/{project}"


@pytest.mark.parametrize(
    ("user", "project", "image", "member_id", "status", "expected"),
    [
        ("ada", A, MANY[0], A, "accepted", 200),
        ("ada", A, HIDDEN, A, "rejected", 200),
        ("ada", A, MANY[0], A, "pending", 200),
        ("ada", OWNER, MANY[0], A, "accepted", 403),
        ("ada", OWNER, MANY[0], OWNER, "accepted", 404),
        ("ada", B, MANY[0], B, "accepted", 404),
        ("ada", B, MANY[0], A, "accepted", 404),
        ("rob", A, MANY[0], A, "accepted", 403),
        ("ada", A, MANY[0], A, "maybe", 400),
        ("ada", A, UNKNOWN, A, "accepted", 404),
        ("ada", A, "not-an-id", A, "accepted", 404),
        ("ada", A, MANY[10].upper(), A, "accepted", 404),
        ("ada", A, MANY[0].replace("-", ""), A, "accepted", 404),
        ("ada", A, PRIVATE, A, "accepted", 404),
    ],
)
def test_native_decisions_answer_what_glance_answers(
    quiet: Client, user: str, project: str, image: str, member_id: str, status: str, expected: int
) -> None:
    """Who may decide what, and which status code the others get."""
    client = sign_in(quiet.simulator, user, project)
    answer = client("PUT", member(image, member_id), {"status": status})
    client.session.close()
    assert answer.status_code == expected
    if expected == 200:
        assert answer.json()["status"] == status
        quiet.simulator.set_share(image, A, "pending")
    else:
        assert answer.json()["code"].startswith(str(expected))


def test_errors_are_html_unless_json_is_asked_for(quiet: Client) -> None:
    """A client that does not ask for JSON gets a page."""
    url = quiet.simulator.url + member(UNKNOWN)
    answer = quiet.session.get(url, headers={"Accept": "*/*"}, timeout=30)
    assert answer.text.startswith("<html>")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_listing_pages_by_relative_links(quiet: Client) -> None:
    """Pages hold 25 images by default, and following ``next`` finds each image once."""
    pages = list(quiet.walk("/v2/images", visibility="shared", member_status="all"))
    assert [len(page) for page in pages] == [25, 25, 11]
    found = [image for page in pages for image in page]
    assert sorted(found) == sorted([*MANY, FULL])


def test_listing_shows_accepted_shares_only_by_default(quiet: Client) -> None:
    """Without member_status neither pending nor hidden shares are listed, public images are."""
    listed = [i for page in quiet.walk("/v2/images") for i in page]
    assert PUBLIC in listed
    assert not {MANY[1], HIDDEN, PRIVATE} & set(listed)


def test_accepting_while_paging_loses_nothing(cloud: Cloud) -> None:
    """Images that leave the pending list in mid-walk do not shift the marker."""
    client = cloud()
    seen = []
    for page in client.walk("/v2/images", visibility="shared", member_status="pending", limit=7):
        seen += page
        for image in page:
            client("PUT", member(image), {"status": "rejected"})
    assert sorted(seen) == sorted([*MANY, FULL])


def test_the_owner_finds_its_own_shares_under_pending(quiet: Client) -> None:
    """The owner is listed its own shared images whatever member status it asks for."""
    client = sign_in(quiet.simulator, project=OWNER)
    query = {"visibility": "shared", "member_status": "pending", "limit": 1000}
    assert len(client("GET", "/v2/images", **query).json()["images"]) == 62
    client.session.close()


@pytest.mark.parametrize("query", ["visibility=x", "member_status=x", "limit=x", "marker=x"])
def test_bad_filters_are_bad_requests(quiet: Client, query: str) -> None:
    """A filter with an impossible value is 400, in both listings where both know it."""
    assert quiet("GET", f"/v2/images?{query}").status_code == 400


def test_filters_select(quiet: Client) -> None:
    """Images can be chosen by a list of IDs, by owner, and by being hidden."""
    ids = f"in:{MANY[3]},{MANY[5]}"
    both = {"visibility": "shared", "member_status": "all"}
    chosen = [i for page in quiet.walk("/v2/images", id=ids, **both) for i in page]
    assert sorted(chosen) == [MANY[3], MANY[5]]
    assert quiet("GET", "/v2/images", owner=B, **both).json()["images"] == []
    hidden = quiet("GET", "/v2/images", os_hidden="true", **both).json()["images"]
    assert [image["id"] for image in hidden] == [HIDDEN]


def test_members_are_seen_by_owner_and_member_only(quiet: Client) -> None:
    """The owner sees all members, a member itself, a stranger nothing."""
    seen = {}
    for project in (OWNER, B, A):
        client = sign_in(quiet.simulator, project=project)
        seen[project] = client("GET", f"/v2/images/{OTHER}/members")
        client.session.close()
    assert [m["member_id"] for m in seen[OWNER].json()["members"]] == [B]
    assert [m["member_id"] for m in seen[B].json()["members"]] == [B]
    assert seen[A].status_code == 404


def test_the_owner_shares_and_withdraws(cloud: Cloud) -> None:
    """POST adds a pending member once, DELETE takes it back; a member can do neither."""
    owner = cloud(project=OWNER)
    path = f"/v2/images/{OTHER}/members"
    assert owner("POST", path, {"member": A}).json()["status"] == "pending"
    assert owner("POST", path, {"member": A}).status_code == 409
    guest = sign_in(owner.simulator)
    assert guest("POST", path, {"member": B}).status_code == 403
    assert guest("DELETE", member(OTHER)).status_code == 403
    assert owner("DELETE", member(OTHER)).status_code == 204
    assert guest("GET", member(OTHER)).status_code == 404
    guest.session.close()


# -- the extension -------------------------------------------------------------------------------
def test_cloudimages_lists_by_member_status(quiet: Client) -> None:
    """One listing gives existence, owner and the full-ECS mark of all pending shares."""
    query = {"visibility": "shared", "member_status": "pending", "__imagetype": "shared"}
    images = quiet("GET", "/v2/cloudimages", **query).json()["images"]
    full = {i["id"]: i.get("__whole_image") for i in images}
    assert len(images) == 61
    assert {i["owner"] for i in images} == {OWNER}
    assert full[FULL] == "true"
    assert full[MANY[0]] is None


def test_cloudimages_pages_by_marker(quiet: Client) -> None:
    """Limit and marker walk through the listing without gaps."""
    query = {"visibility": "shared", "member_status": "pending", "limit": 40}
    first = [i["id"] for i in quiet("GET", "/v2/cloudimages", **query).json()["images"]]
    rest = quiet("GET", "/v2/cloudimages", marker=first[-1], **query).json()["images"]
    assert sorted(first + [i["id"] for i in rest]) == sorted([*MANY, FULL])


@pytest.mark.parametrize("query", ["member_status=pending", "__imagetype=x", "limit=x", "marker=x"])
def test_cloudimages_refuses_bad_filters(quiet: Client, query: str) -> None:
    """member_status without visibility=shared, and impossible values, are 400 in IMS's manner."""
    answer = quiet("GET", f"/v2/cloudimages?{query}")
    assert (answer.status_code, answer.json()["error"]["code"][:4]) == (400, "IMG.")


def test_a_batch_is_applied_though_nobody_polls(cloud: Cloud) -> None:
    """A job takes effect at its end by itself, and its results name every image."""
    client = cloud()
    answer = client.batch(MANY[:3])
    assert len(answer.json()["job_id"]) == 32
    assert [client.status(image) for image in MANY[:4]] == ["accepted"] * 3 + ["pending"]
    job = client.job(answer)
    assert (job["status"], job["error_code"], job["job_type"]) == (
        "SUCCESS",
        None,
        "imsUpdateImageMembersJob",
    )
    results = {r["image_id"]: r["status"] for r in job["entities"]["results"]}
    assert results == dict.fromkeys(MANY[:3], "success")


def test_a_job_in_progress_has_changed_nothing(cloud: Cloud) -> None:
    """Until its end a job is INIT or RUNNING, has no results, and the share is as before."""
    client = cloud(job_seconds=3600)
    answer = client.batch(MANY[:1])
    progress = client("GET", f"/v1/cloudimages/job/{answer.json()['job_id']}").json()
    assert client.job(answer)["status"] == "INIT"
    assert client.job(answer)["entities"] == {}
    assert 0 <= progress["entities"]["process_percent"] < 20
    assert client.status(MANY[0]) == "pending"


def test_both_job_calls_can_be_switched_off(cloud: Cloud) -> None:
    """A cloud may lack either job call; it answers 404 there."""
    client = cloud(results_api=False, progress_api=False)
    job_id = client.batch(MANY[:1]).json()["job_id"]
    assert client("GET", f"/v1/{A}/jobs/{job_id}").status_code == 404
    assert client("GET", f"/v1/cloudimages/job/{job_id}").status_code == 404


def test_a_job_belongs_to_its_project(cloud: Cloud) -> None:
    """Another project can neither name a job by its owner nor find it as its own."""
    client = cloud()
    job_id = client.batch(MANY[:1]).json()["job_id"]
    other = sign_in(client.simulator, project=B)
    assert other("GET", f"/v1/{A}/jobs/{job_id}").json()["error"]["code"] == "IMG.0108"
    assert other("GET", f"/v1/{B}/jobs/{job_id}").status_code == 404
    assert other("GET", f"/v1/cloudimages/job/{job_id}").status_code == 404
    other.session.close()


REFUSALS = [
    ({"images": [MANY[0], UNKNOWN]}, "IMG.0027"),
    ({"images": [MANY[0], OTHER]}, "IMG.0144"),
    ({"images": [MANY[0], PUBLIC]}, "IMG.0089"),
    ({"images": [MANY[0].upper() + "X"]}, "IMG.0027"),
    ({"images": [FULL]}, "IMG.0135"),
    ({"images": [FULL], "vault_id": UNKNOWN}, "IMG.0184"),
    ({"images": [FULL], "vault_id": VAULTS["foreign"].id}, "IMG.0184"),
    ({"images": [FULL], "vault_id": VAULTS["full"].id}, "IMG.0182"),
    ({"images": [FULL], "vault_id": VAULTS["crowded"].id}, "IMG.0185"),
    ({"images": [FULL], "vault_id": VAULTS["locked"].id}, "IMG.0188"),
    ({"images": [FULL], "vault_id": VAULTS["disk"].id}, "IMG.0193"),
]


@pytest.mark.parametrize(("more", "code"), REFUSALS)
def test_one_bad_image_refuses_the_whole_batch(
    quiet: Client, more: dict[str, Any], code: str
) -> None:
    """The request is refused with the right code, without naming the image, and changes nothing."""
    before = quiet.simulator.state()["jobs"]
    answer = quiet.batch(**more)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert not any(image in answer.text for image in more["images"])
    assert quiet.simulator.state()["jobs"] == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"status": "pending"}, "IMG.0001"),
        ({"status": ["accepted"]}, "IMG.0001"),
        ({"images": []}, "IMG.0001"),
        ({"images": "x"}, "IMG.0001"),
        ({"project_id": B}, "IMG.0108"),
    ],
)
def test_a_malformed_batch_is_refused(quiet: Client, body: dict[str, Any], code: str) -> None:
    """Wrong status, images or project are refused before any image is looked at."""
    answer = quiet.batch(**{"images": [UNKNOWN], **body})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_the_owner_cannot_decide_on_its_own_image(quiet: Client) -> None:
    """Accepting an image of one's own is refused."""
    client = sign_in(quiet.simulator, project=OWNER)
    answer = client.batch([MANY[0]], project_id=OWNER)
    client.session.close()
    assert answer.json()["error"]["code"] == "IMG.0047"


def test_a_reader_may_not_decide(quiet: Client) -> None:
    """A user with the reader's role gets 403 IMG.0026 from the batch call."""
    client = sign_in(quiet.simulator, user="rob")
    answer = client.batch([MANY[0]])
    client.session.close()
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "IMG.0026")


def test_a_full_ecs_image_is_accepted_with_a_good_vault_and_rejected_without(cloud: Cloud) -> None:
    """Only accepting needs the vault, in both ways to decide."""
    client = cloud()
    vault_id = VAULTS["good"].id
    client.batch([FULL], vault_id=vault_id)
    assert client.status(FULL) == "accepted"
    client.batch([FULL], "rejected")
    assert client.status(FULL) == "rejected"
    assert client("PUT", member(FULL), {"status": "accepted"}).status_code == 400
    body = {"status": "accepted", "vault_id": vault_id}
    assert client("PUT", member(FULL), body).status_code == 200


def test_refusals_can_come_as_failed_jobs(cloud: Cloud) -> None:
    """With refuse_in_job the request succeeds, and the job fails whole with code and reason."""
    client = cloud(refuse_in_job=True)
    job = client.job(client.batch([MANY[0], UNKNOWN]))
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0027")
    assert job["fail_reason"]
    assert changes(client) == {}


def test_the_owner_shares_and_withdraws_in_batches(cloud: Cloud) -> None:
    """POST and DELETE reach every image and project, for the owner alone."""
    owner = cloud(project=OWNER)
    body = {"images": MANY[:2], "projects": [B]}
    for method, expected in (("POST", 200), ("DELETE", 404)):
        assert owner(method, "/v1/cloudimages/members", body).status_code == 200
        answers = [owner("GET", member(image, B)) for image in MANY[:2]]
        assert [a.status_code for a in answers] == [expected] * 2
    guest = sign_in(owner.simulator)
    refused = guest("POST", "/v1/cloudimages/members", body)
    guest.session.close()
    assert refused.json()["error"]["code"] == "IMG.0047"


def test_vaults_are_paged_and_belong_to_a_project(quiet: Client) -> None:
    """Limit and offset page through the project's own vaults; another project's are forbidden."""
    page = quiet("GET", f"/cbr/v3/{A}/vaults", limit=2, offset=3).json()
    assert page["count"] == 5
    assert [v["id"] for v in page["vaults"]] == [VAULTS["locked"].id, VAULTS["disk"].id]
    assert page["vaults"][1]["billing"]["object_type"] == "disk"
    assert quiet("GET", f"/v3/{B}/vaults").status_code == 403
    assert quiet("GET", f"/v3/{A}/vaults", limit=1001).status_code == 400


def test_a_plain_openstack_lacks_the_extension(cloud: Cloud) -> None:
    """With native_only every extension call is 404, and full-ECS images are like any other."""
    client = cloud(native_only=True)
    paths = ("/v2/cloudimages", "/ims/v2/cloudimages", f"/v3/{A}/vaults", "/v1/cloudimages/job/1")
    assert [client("GET", path).status_code for path in paths] == [404] * 4
    assert client.batch(MANY[:1]).status_code == 404
    assert client("PUT", member(FULL), {"status": "accepted"}).status_code == 200
    catalog = client("POST", "/v3/auth/tokens", body_of()).json()["token"]["catalog"]
    assert [s["type"] for s in catalog] == ["identity", "image"]


# -- faults --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("p503", 503, ""), ("p500", 500, ""), ("p429", 429, ""), ("flow_control", 400, "IMG.0060")],
)
def test_refused_before_the_work(cloud: Cloud, fault: str, status: int, code: str) -> None:
    """Server errors and flow control come before any work was done."""
    client = cloud(Faults(**{fault: 1}))
    answer = client.batch(MANY[:2])
    client.simulator.set_faults(Faults())
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert client.simulator.state()["log"] == []
    assert changes(client) == {}


def test_retry_after_stands_where_it_is_asked_for(cloud: Cloud) -> None:
    """503 carries Retry-After only with that setting."""
    client = cloud(Faults(p503=1, retry_after=2))
    assert client("GET", "/v2/images").headers["Retry-After"] == "2"
    client.simulator.set_faults(Faults(p503=1))
    assert "Retry-After" not in client("GET", "/v2/images").headers


@pytest.mark.parametrize(("fault", "done"), [("cut_before", 0), ("cut_after", 2)])
def test_a_cut_connection_gives_no_answer(cloud: Cloud, fault: str, done: int) -> None:
    """The client gets no answer either way, and only the late cut has done the work."""
    client = cloud(Faults(**{fault: 1}))
    with pytest.raises(requests.ConnectionError):
        client.batch(MANY[:2])
    client.simulator.set_faults(Faults())
    assert changes(client) == dict.fromkeys(MANY[:done], 1)


def test_garbage_hides_work_that_was_done(cloud: Cloud) -> None:
    """A proxy's page with status 200 comes although the job was taken on."""
    client = cloud(Faults(garbage=1))
    answer = client.batch(MANY[:1])
    assert (answer.status_code, answer.text[:6]) == (200, "<html>")
    assert changes(client) == {MANY[0]: 1}


def test_a_failed_job_changes_nothing(cloud: Cloud) -> None:
    """job_fail fails the whole job, with a reason."""
    client = cloud(Faults(job_fail=1))
    job = client.job(client.batch(MANY[:2]))
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0046")
    assert job["fail_reason"]
    assert changes(client) == {}


def test_a_partly_failed_job_tells_which(cloud: Cloud) -> None:
    """job_partial fails some images of a job, and results and state agree on which."""
    client = cloud(Faults(job_partial=0.5, seed=3))
    job = client.job(client.batch(MANY))
    good = [r["image_id"] for r in job["entities"]["results"] if r["status"] == "success"]
    assert job["status"] == "FAIL"
    assert 10 < len(good) < 50
    assert changes(client) == dict.fromkeys(good, 1)


def test_a_hanging_job_never_ends(cloud: Cloud) -> None:
    """job_hang runs for ever and changes nothing."""
    client = cloud(Faults(job_hang=1))
    answer = client.batch(MANY[:1])
    assert client.job(answer)["status"] == "RUNNING"
    assert changes(client) == {}


def test_results_can_be_missing(cloud: Cloud) -> None:
    """no_results leaves the list empty although the job succeeded."""
    client = cloud(Faults(no_results=1))
    job = client.job(client.batch(MANY[:1]))
    assert (job["status"], job["entities"]) == ("SUCCESS", {"results": []})
    assert client.status(MANY[0]) == "accepted"


def test_a_job_can_lie(cloud: Cloud) -> None:
    """With false_success a job claims success for every image and changes none."""
    client = cloud(Faults(false_success=1))
    job = client.job(client.batch(MANY[:2]))
    assert job["status"] == "SUCCESS"
    assert {r["status"] for r in job["entities"]["results"]} == {"success"}
    assert [client.status(image) for image in MANY[:2]] == ["pending"] * 2


def test_latency_delays_every_answer_and_slow_read_only_reads(cloud: Cloud) -> None:
    """An answer takes at least as long as it was asked to; slow_read spares writing."""
    client = cloud(Faults(latency=0.05, slow_read=0.2))
    read = client("GET", "/v2/images").elapsed.total_seconds()
    assert read >= 0.25
    assert client.batch(MANY[:1]).elapsed.total_seconds() >= 0.05


def test_sign_in_is_spared_unless_told_otherwise(cloud: Cloud) -> None:
    """Faults affect sign-in only with affect_sign_in=1."""
    client = cloud(Faults(p503=1))
    assert client("POST", "/v3/auth/tokens", body_of()).status_code == 201
    client.simulator.set_faults(Faults(p503=1, affect_sign_in=1))
    assert client("POST", "/v3/auth/tokens", body_of()).status_code == 503


def test_faults_come_at_their_rate_and_repeatably(cloud: Cloud) -> None:
    """The same seed gives the same faults, near the rate that was asked for."""
    client = cloud()
    runs = []
    for _ in range(2):
        client.simulator.set_faults(Faults(p503=0.2, seed=5))
        runs.append([client("GET", f"/v2/images/{FULL}").status_code for _ in range(200)])
    assert runs[0] == runs[1]
    assert 20 < runs[0].count(503) < 60


@pytest.mark.parametrize(
    "text", ["p503", "p503=x", "p503=2", "p504=0.1", "latency=-1", "false_success=nan"]
)
def test_impossible_faults_are_named(text: str) -> None:
    """A fault that does not exist, or a value that makes no sense, is an InputError."""
    with pytest.raises(InputError, match=text.split("=", maxsplit=1)[0]):
        Faults.parse(text)


# -- counting ------------------------------------------------------------------------------------
def test_only_differences_count_as_changes(cloud: Cloud) -> None:
    """The same decision twice is one change, and the log tells which request had effect."""
    client = cloud()
    first, second = client.batch(MANY[:2]), client.batch(MANY[1:3])
    client("PUT", member(MANY[0]), {"status": "accepted"})
    client("PUT", member(MANY[0]), {"status": "rejected"})
    state = client.simulator.state()
    assert changes(client) == {MANY[0]: 2, MANY[1]: 1, MANY[2]: 1}
    assert [entry["effective"] for entry in state["log"]] == [2, 1, 0, 1]
    ids = [entry["request_id"] for entry in state["log"][:2]]
    assert ids == [first.headers["X-Request-Id"], second.headers["X-Request-Id"]]
    assert state["requests"]["PUT /v1/cloudimages/members"] == 2
    assert state["jobs"] == 2


def test_concurrent_decisions_change_each_share_once(cloud: Cloud) -> None:
    """However many clients decide the same at once, each share changes once."""
    client = cloud(job_seconds=0.01)

    def decide() -> None:
        with requests.Session() as session:
            session.headers.update(client.session.headers)
            for _ in range(5):
                Client(client.simulator, session).batch(MANY)

    threads = [threading.Thread(target=decide) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = client.simulator.state()
    assert state["jobs"] == 40
    while sum(e["effective"] for e in state["log"]) < len(MANY):
        state = client.simulator.state()
    assert changes(client) == dict.fromkeys(MANY, 1)


def test_the_world_can_change_behind_a_run(cloud: Cloud) -> None:
    """Shares can be set, withdrawn and deleted in mid-run without counting as somebody's change."""
    client = cloud(job_seconds=0.3)
    simulator = client.simulator
    simulator.set_share(MANY[0], A, "accepted")
    answer = client.batch([MANY[1], MANY[2], MANY[3]])
    simulator.set_share(MANY[1], A, "absent")
    simulator.delete_image(MANY[2])
    while (job := client.job(answer))["status"] not in ("SUCCESS", "FAIL"):
        pass
    results = {r["image_id"]: r["status"] for r in job["entities"]["results"]}
    assert results == {MANY[1]: "failed", MANY[2]: "failed", MANY[3]: "success"}
    assert job["error_code"] == "IMG.0144"
    assert client("GET", member(MANY[2])).status_code == 404
    assert changes(client) == {MANY[3]: 1}
    with pytest.raises(InputError, match="no image"):
        simulator.delete_image(UNKNOWN)


def test_a_reset_forgets_everything(cloud: Cloud) -> None:
    """After a reset the cloud is as in its seed: no tokens, jobs, faults or counts of before."""
    client = cloud(Faults(p503=1, affect_sign_in=1), job_seconds=3600)
    client.simulator.set_faults(Faults())
    client.batch(MANY[:1])
    client("PUT", member(MANY[1]), {"status": "accepted"})
    client.simulator.set_faults(Faults(p503=1))
    client.simulator.reset()
    state = client.simulator.state()
    assert (state["jobs"], state["log"], state["requests"]) == (0, [], {})
    assert changes(client) == {}
    assert client("GET", "/v2/images").status_code == 401
    assert client.simulator.seed.settings.job_seconds == 0


# -- the process ---------------------------------------------------------------------------------
def test_connections_stay_open(quiet: Client) -> None:
    """Many requests, with bodies and without, refused or not, go over one connection."""
    connection = http.client.HTTPConnection(quiet.simulator.url.removeprefix("http://"))
    headers = {"X-Auth-Token": str(quiet.session.headers["X-Auth-Token"])}
    sockets, codes = set(), []
    for method, path, body in [
        ("GET", "/v2/images", None),
        ("PUT", "/v1/cloudimages/members", "not json"),
        ("GET", "/nowhere", "a body nobody reads"),
        ("DELETE", "/v2/images", None),
        ("GET", "/v2/cloudimages", None),
    ]:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        codes.append(response.status)
        sockets.add(id(connection.sock))
    connection.close()
    assert codes == [200, 400, 404, 405, 200]
    assert len(sockets) == 1


def test_stopping_frees_the_port_and_a_taken_one_is_named() -> None:
    """A second simulator on the same port is an InputError; after stop the port is free again."""
    with start(SEED) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(InputError, match=str(port)):
            start(SEED, port=port)
    with start(SEED, port=port) as again:
        assert again.url == first.url
    first.stop()


def test_a_signal_ends_it_quietly() -> None:
    """SIGTERM ends a simulator with code 0 and without a word."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "sharekit.simulator", "0", ""]
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{SEED.to_json()}\n".encode())
        process.stdin.flush()
        assert b"http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, b"")


def test_it_ends_when_its_parent_dies() -> None:
    """A parent that vanishes without stopping leaves no server behind."""
    script = textwrap.dedent("""
        import os
        from sharekit.simulator import Seed, start
        print(start(Seed()).url, flush=True)
        os._exit(9)
    """)
    # The server inherits stderr, so the end of that pipe is the end of the server.
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 9
    url = done.stdout.decode().strip()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_a_bad_seed_file_is_one_sentence(tmp_path: Path) -> None:
    """A missing seed ends the command with code 2 and one line that names it."""
    command = [
        sys.executable,
        "-m",
        "sharekit",
        "simulator",
        "--shares",
        str(tmp_path / "none.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "none.json" in done.stderr
    assert done.stderr.count("\n") == 1


# -- seeds ---------------------------------------------------------------------------------------
def test_a_seed_survives_json() -> None:
    """Writing and reading a seed gives the same seed."""
    assert Seed.from_json(SEED.to_json()) == SEED


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"clouds": []}', "clouds"),
        ('{"projects": [{"id": "a"}]}', r"name.*projects\[0\]"),
        ('{"projects": [{"id": "a", "name": 1}]}', r"projects\[0\]\.name"),
        ('{"projects": [{"id": "a", "name": "a", "colour": 1}]}', "colour"),
        ('{"projects": {}}', "array.*projects"),
        ('{"shares": [{"image_id": "x", "project_id": "y"}]}', "shares.image_id.*'x'"),
        ('{"images": [{"id": "x", "owner": "y", "visibility": "z"}]}', "visibility.*'z'"),
        ('{"projects": [{"id": "a", "name": "a"}, {"id": "a", "name": "b"}]}', "twice"),
        ('{"settings": {"job_seconds": true}}', "job_seconds"),
    ],
)
def test_a_bad_seed_names_what_is_wrong(text: str, named: str) -> None:
    """Every mistake in a seed is an InputError that names the place."""
    with pytest.raises(InputError, match=named):
        Seed.from_json(text)


def test_an_unknown_setting_is_named() -> None:
    """A setting that does not exist is an InputError before anything is started."""
    with pytest.raises(InputError, match="job_secs"):
        start(SEED, job_secs=1)


def test_clouds_yaml_has_one_cloud_for_each_project() -> None:
    """Each project the user may enter is a cloud; names choose, and unknown ones are refused."""
    clouds = yaml.safe_load(clouds_yaml(SEED, "http://x"))["clouds"]
    assert list(clouds) == ["team-a", "team-b", "golden"]
    assert clouds["team-b"]["auth"]["project_id"] == B
    mine = yaml.safe_load(clouds_yaml(SEED, "http://x", user="bea", sign=True))["clouds"]
    assert list(mine) == ["team-b"]
    assert "ak" not in mine["team-b"]
    signed = yaml.safe_load(clouds_yaml(SEED, "http://x", "team-a", sign=True))["clouds"]
    assert signed["team-a"]["ak"] == "AKADA"
    with pytest.raises(InputError, match="team-c"):
        clouds_yaml(SEED, "http://x", "team-c")


def test_the_written_clouds_yaml_is_private(quiet: Client, tmp_path: Path) -> None:
    """The file holds a password, so nobody else may read it."""
    path = quiet.simulator.write_clouds_yaml(tmp_path / "clouds.yaml", "team-a")
    assert path.stat().st_mode & 0o077 == 0
    assert list(yaml.safe_load(path.read_text())["clouds"]) == ["team-a"]


def test_a_workbook_becomes_a_cloud_to_rehearse_on() -> None:
    """Each legal pair becomes one pending share; nobody owns what is shared with them."""
    rows = pd.DataFrame(
        {
            "image_id": [MANY[0], MANY[0], MANY[0], MANY[1], "bad", FULL],
            "project_id": [A, A, B, A, A, A],
            "vault_id": ["", "", "", "", "", VAULTS["good"].id],
            "whole_image": ["", "", "", "no", "", "yes"],
            "owner": [B, B, B, OWNER, "", "somebody"],
            "name": ["one", "one", "one", "two", "", "three"],
        }
    )
    seed = seed_from_rows(rows)
    owners = {i.id: i.owner for i in seed.images}
    assert [(s.image_id, s.project_id) for s in seed.shares] == [
        (MANY[0], A),
        (MANY[0], B),
        (MANY[1], A),
        (FULL, A),
    ]
    assert owners[MANY[1]] == OWNER
    assert all(owners[s.image_id] != s.project_id for s in seed.shares)
    assert [i.id for i in seed.images if i.whole_image] == [FULL]
    assert [(v.id, v.project_id) for v in seed.vaults] == [(VAULTS["good"].id, A)]


def test_ones_own_workbook_can_be_rehearsed(tmp_path: Path) -> None:
    """From a workbook come the same pending shares as from its rows, mistyped IDs set right."""
    sample = build_sample(200)
    seed = seed_from_workbook(write_workbook(sample, tmp_path / "shares.xlsx"))
    pairs = {(s.image_id, s.project_id) for s in seed.shares}
    good = sample.expected[sample.expected["outcome"] == "confirmed"]
    assert set(zip(good["image_id"], good["project_id"], strict=True)) <= pairs
    beyond_repair = ["truncated-id", "number-cell", "error-cell", "missing-project"]
    bad = sample.expected[sample.expected["kind"].isin(beyond_repair)]
    assert not pairs & set(zip(bad["image_id"], bad["project_id"], strict=True))
    whole = {i.id for i in seed.images if i.whole_image}
    assert set(good.loc[good["kind"] == "full-ecs", "image_id"]) <= whole
    assert {s.status for s in seed.shares} == {"pending"}


# -- the sample ----------------------------------------------------------------------------------
def test_the_sample_is_deterministic_and_covers_every_kind() -> None:
    """The same arguments give the same sample; 500 rows hold each kind at least once."""
    one, two = build_sample(), build_sample()
    pd.testing.assert_frame_equal(one.sheet, two.sheet)
    assert one.seed == two.seed
    assert set(one.expected["kind"]) == set(KINDS)
    assert set(one.expected["status"]) == set(STATUSES)
    assert not build_sample(seed=8).sheet.equals(one.sheet)


@pytest.mark.parametrize("rows", [1, 2, 9, 40, 333])
@pytest.mark.parametrize("faulty", [0.0, 0.03, 0.9])
def test_a_sample_of_any_size_is_consistent(rows: int, faulty: float) -> None:
    """Good rows are pending shares of the cloud, bad ones are not; pairs are complete."""
    sample = build_sample(rows, faulty=faulty, projects=3)
    kinds = sample.expected["kind"]
    status = {(s.image_id, s.project_id): s.status for s in sample.seed.shares}
    pairs = list(zip(sample.expected["image_id"], sample.expected["project_id"], strict=True))
    seen = pd.Series([status.get(pair, "absent") for pair in pairs])
    assert len(sample.sheet) == rows
    assert set(seen[kinds.isin(["clean", "full-ecs", "duplicate", "braces"])]) <= {"pending"}
    assert set(seen[kinds == "already"]) <= {"accepted"}
    assert set(seen[kinds.isin(["unknown-image", "not-shared", "own-image"])]) <= {"absent"}
    assert (kinds == "conflict").sum() % 2 == 0
    odd = int(kinds.isin(FAULTY_KINDS).sum())
    assert odd == round(rows * faulty) or (odd < rows * faulty and faulty == 0.9)


def test_pairs_of_the_sample_belong_together() -> None:
    """A duplicate repeats a clean row above it; a conflict is one pair with both decisions."""
    expected = build_sample(2000, faulty=0.3).expected
    clean = expected[expected["kind"] == "clean"].reset_index()
    copies = expected[expected["kind"] == "duplicate"].reset_index()
    key = ["image_id", "project_id", "status"]
    matched = copies.merge(clean, on=key, suffixes=("", "_clean"))
    assert len(matched) == len(copies) > 20
    assert (matched["index_clean"] < matched["index"]).all()
    conflicts = expected[expected["kind"] == "conflict"].groupby(["image_id", "project_id"])
    assert conflicts["status"].agg(sorted).map(tuple).unique().tolist() == [
        ("accepted", "rejected")
    ]


def test_the_workbook_of_the_sample_has_real_cells(tmp_path: Path) -> None:
    """Errors are results of formulas, numbers are number cells, and no text becomes a formula."""
    sample = build_sample()
    path = write_workbook(sample, tmp_path / "shares.xlsx")
    page = openpyxl.load_workbook(path, data_only=True).active
    assert page is not None
    rows = list(page.iter_rows())
    head = next(n for n, row in enumerate(rows) if row[0].value == HEADERS[0])
    table = pd.DataFrame([[c.data_type for c in row] for row in rows[head + 1 :]], columns=HEADERS)
    kinds = sample.expected["kind"]
    assert set(table.loc[kinds == "error-cell", "Project ID"]) == {"e"}
    assert set(table.loc[kinds == "number-cell", "Project ID"]) == {"n"}
    written = openpyxl.load_workbook(path)["Shares"].iter_rows(head + 2)
    formulas = [c.value for row in written for c in row if c.data_type == "f"]
    assert formulas == ["=NA()"] * (kinds == "error-cell").sum()
    values = [[c.value or "" for c in row] for row in rows[head + 1 :]]
    assert values == sample.sheet.to_numpy().tolist()
    assert str(page.freeze_panes) == f"B{head + 2}"
    with pytest.raises(InputError, match="exists"):
        write_workbook(sample, path)


@pytest.mark.parametrize("bad", [{"rows": 0}, {"projects": 0}, {"faulty": 1.0}])
def test_an_impossible_sample_is_refused(bad: dict[str, Any]) -> None:
    """Arguments out of range are an InputError."""
    with pytest.raises(InputError, match="sample needs"):
        build_sample(**bad)


def test_the_cloud_of_the_sample_takes_its_good_rows() -> None:
    """Deciding the good rows of the sample through the batch call ends as expected."""
    sample = build_sample(120)
    seed = replace(sample.seed, settings=replace(sample.seed.settings, job_seconds=0))
    good = sample.expected[sample.expected["outcome"] == "confirmed"]
    vaults = {v.project_id: v.id for v in seed.vaults if v.status == VAULT_STATUS}
    with start(seed) as simulator, requests.Session() as session:
        for (project, status), rows in good.groupby(["project_id", "status"]):
            user = seed.users[0]
            body = body_of(user.password, user.name, str(project))
            token = session.post(f"{simulator.url}/v3/auth/tokens", json=body, timeout=30)
            answer = session.put(
                f"{simulator.url}/v1/cloudimages/members",
                headers={"X-Auth-Token": token.headers["X-Subject-Token"]},
                json={
                    "images": rows["image_id"].tolist(),
                    "project_id": project,
                    "status": status,
                    "vault_id": vaults[str(project)],
                },
                timeout=30,
            )
            assert answer.status_code == 200, answer.text
        state = simulator.state()["members"]
    final = {(m["image_id"], m["project_id"]): (m["status"], m["changes"]) for m in state}
    for row in good.itertuples():
        assert final[row.image_id, row.project_id] == (row.status, 1)


def test_nothing_of_the_working_directory_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with a json.py in it is a folder in which the demo runs like in any other."""
    for name in ("json", "runpy", "yaml", "sharekit", "werkzeug", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('taken', 'w'); raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    command = "from sharekit.interfaces.cli.main import main; main()"  # as the installed script
    done = subprocess.run(
        [sys.executable, "-P", "-c", command, "demo", "out", "--rows=20"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "intact" in done.stdout
    assert not (tmp_path / "taken").exists()
