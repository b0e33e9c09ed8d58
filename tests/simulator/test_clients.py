"""The simulated cloud, judged by clients that nobody here wrote."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openstack
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdkims import v2 as ims
from hypothesis import given
from hypothesis import strategies as st
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import (
    BadRequestException,
    ForbiddenException,
    HttpException,
    NotFoundException,
)

from sharekit.simulator import Faults, Key, Project, Seed, Simulator, User, start
from sharekit.simulator.sample import build_sample
from sharekit.simulator.services import aksk_verifier

# openstacksdk warns of its own parts whoever uses it.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

SAMPLE = build_sample(300, faulty=0.0)
PROJECT = SAMPLE.seed.projects[0]
KEY = SAMPLE.seed.keys[0]
TEMPORARY = Key("TEMPORARY", "t" * 32, KEY.user_id, security_token="session-token")
SEED = Seed(
    **{**vars(SAMPLE.seed), "keys": (*SAMPLE.seed.keys, TEMPORARY)},
).with_settings(job_seconds=0)


@pytest.fixture(scope="module")
def process() -> Iterator[Simulator]:
    """One process for all tests."""
    with start(SEED) as running:
        yield running


@pytest.fixture
def simulator(process: Simulator) -> Simulator:
    """A fresh cloud."""
    process.reset(SEED)
    return process


def sdk(simulator: Simulator, key: Key = KEY, **changes: str) -> ims.ImsClient:
    """Return an IMS client of the vendor's SDK that signs with an access key."""
    given = {"ak": key.access, "sk": key.secret, "project_id": PROJECT.id, **changes}
    credentials = BasicCredentials(**given)
    if key.security_token:
        credentials = credentials.with_security_token(key.security_token)
    builder = ims.ImsClient.new_builder().with_credentials(credentials)
    return builder.with_endpoints([simulator.url]).build()


def pending(client: ims.ImsClient, status: str = "pending") -> list[ims.ImageInfo]:
    """Return what is shared with the project, by the vendor's listing."""
    request = ims.ListImagesRequest(
        visibility="shared", member_status=status, imagetype="shared", limit=500
    )
    images: list[ims.ImageInfo] = client.list_images(request).images
    return images


def update(images: list[str], **more: str) -> ims.BatchUpdateMembersRequest:
    """Return the batch request that accepts images."""
    body = {"images": images, "project_id": PROJECT.id, "status": "accepted", **more}
    return ims.BatchUpdateMembersRequest(body=ims.BatchUpdateMembersRequestBody(**body))


def expected_of_project() -> set[str]:
    """Return the images that the sample shares with the project."""
    return {s.image_id for s in SEED.shares if s.project_id == PROJECT.id}


# -- the vendor's SDK ----------------------------------------------------------------------------
def test_sdk_lists_accepts_and_follows_both_job_calls(simulator: Simulator) -> None:
    """ListImages, BatchUpdateMembers, ShowJob and ShowJobProgress work, signed by AK/SK."""
    client = sdk(simulator)
    images = pending(client)
    assert {image.id for image in images} == expected_of_project()
    whole = {image.id for image in SEED.images if image.whole_image}
    chosen = [image.id for image in images if image.id not in whole][:5]
    job_id = client.batch_update_members(update(chosen)).job_id
    with warnings.catch_warnings():  # newer versions of the SDK call it deprecated
        warnings.simplefilter("ignore")
        job = client.show_job(ims.ShowJobRequest(job_id=job_id))
    progress = client.show_job_progress(ims.ShowJobProgressRequest(job_id=job_id))
    assert job.status == progress.status == "SUCCESS"
    assert [(r.image_id, r.status) for r in job.entities.results] == [
        (image, "success") for image in chosen
    ]
    assert progress.entities.process_percent == 100
    assert {image.id for image in pending(client, "accepted")} == set(chosen)


def test_sdk_accepts_full_ecs_images_with_a_vault(simulator: Simulator) -> None:
    """A full-ECS image is refused without a vault and accepted with one."""
    client = sdk(simulator)
    mine = expected_of_project()
    whole = [image.id for image in SEED.images if image.whole_image and image.id in mine][:2]
    with pytest.raises(ClientRequestException) as refused:
        client.batch_update_members(update(whole))
    assert (refused.value.status_code, refused.value.error_code) == (400, "IMG.0135")
    vault = next(v for v in SEED.vaults if v.project_id == PROJECT.id)
    assert client.batch_update_members(update(whole, vault_id=vault.id)).job_id


def test_sdk_reads_the_errors(simulator: Simulator) -> None:
    """Code, message and request id of a refusal arrive in the SDK's exception."""
    with pytest.raises(ClientRequestException) as refused:
        sdk(simulator).batch_update_members(update(["00000000-0000-4000-8000-000000000000"]))
    error = refused.value
    assert (error.status_code, error.error_code) == (400, "IMG.0027")
    assert error.request_id.startswith("req-")
    simulator.set_faults(Faults(flow_control=1))
    with pytest.raises(ClientRequestException) as refused:
        sdk(simulator).batch_update_members(update(sorted(expected_of_project())[:1]))
    assert refused.value.error_code == "IMG.0060"


@pytest.mark.parametrize("change", [{"sk": "x" * 32}, {"ak": "NOBODY"}, {"project_id": "0" * 32}])
def test_sdk_with_wrong_keys_is_refused(simulator: Simulator, change: dict[str, str]) -> None:
    """A wrong secret, an unknown key and a project without a role are 401."""
    with pytest.raises(ClientRequestException) as refused:
        pending(sdk(simulator, **change))
    assert (refused.value.status_code, refused.value.error_code) == (401, "APIGW.0301")
    assert simulator.state()["unauthorised"] == 1


def test_sdk_with_a_temporary_key_needs_its_token(simulator: Simulator) -> None:
    """A temporary key works with its security token and not without."""
    assert pending(sdk(simulator, TEMPORARY))
    without = Key(TEMPORARY.access, TEMPORARY.secret, TEMPORARY.user_id)
    with pytest.raises(ClientRequestException) as refused:
        pending(sdk(simulator, without))
    assert refused.value.status_code == 401


def test_sdk_as_the_owner_shares_and_withdraws(simulator: Simulator) -> None:
    """BatchAddMembers and BatchDeleteMembers reach the project."""
    owner = SEED.projects[-1]
    client = sdk(simulator, project_id=owner.id)
    foreign = [s.image_id for s in SEED.shares if s.project_id != PROJECT.id][:3]
    body = ims.BatchAddMembersRequestBody(images=foreign, projects=[PROJECT.id])
    assert client.batch_add_members(ims.BatchAddMembersRequest(body=body)).job_id
    assert set(foreign) <= {image.id for image in pending(sdk(simulator))}
    gone = ims.BatchAddMembersRequestBody(images=foreign, projects=[PROJECT.id])
    assert client.batch_delete_members(ims.BatchDeleteMembersRequest(body=gone)).job_id
    assert not set(foreign) & {image.id for image in pending(sdk(simulator))}


# -- the vendor's signer against our verifier ----------------------------------------------------
SECRET = "a secret"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def signed(
    path: str, query: list[tuple[str, str]], body: str, at: datetime
) -> aksk_verifier.SignedRequest:
    """Return a request as the vendor's signer sends it."""
    request = SdkRequest(
        method="PUT",
        host="ims.example",
        resource_path=path,
        query_params=query,
        header_params={
            "Content-Type": "application/json",
            "X-Sdk-Date": at.strftime("%Y%m%dT%H%M%SZ"),
        },
        body=body,
    )
    sent = Signer(BasicCredentials("AK", SECRET, "p")).sign(request)
    content = sent.body if isinstance(sent.body, bytes) else (sent.body or "").encode()
    headers = {name.lower(): value for name, value in sent.header_params.items()}
    return aksk_verifier.SignedRequest("PUT", sent.uri, headers, content)


NOW = datetime(2025, 5, 5, 12, tzinfo=UTC)


@given(
    parts=st.lists(
        TEXT.filter(lambda t: "/" not in t and "?" not in t and "%" not in t), max_size=3
    ),
    query=st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), TEXT, max_size=4),
    body=TEXT,
)
def test_any_signed_request_verifies_until_it_is_changed(
    parts: list[str], query: dict[str, str], body: str
) -> None:
    """Whatever the vendor signs holds; with another secret, body or method it does not."""
    request = signed("/v2/" + "/".join(parts), list(query.items()), body, NOW)
    assert aksk_verifier.signature_error(request, SECRET, NOW) == ""
    assert aksk_verifier.access_key(request.headers["authorization"]) == "AK"
    assert aksk_verifier.signature_error(request, f"{SECRET}.", NOW) == "the signature differs"
    changed = aksk_verifier.SignedRequest(
        "PUT", request.target, request.headers, request.body + b" "
    )
    assert aksk_verifier.signature_error(changed, SECRET, NOW) == "the signature differs"
    changed = aksk_verifier.SignedRequest("GET", request.target, request.headers, request.body)
    assert aksk_verifier.signature_error(changed, SECRET, NOW) == "the signature differs"
    changed = aksk_verifier.SignedRequest(
        "PUT", f"{request.target}x", request.headers, request.body
    )
    assert aksk_verifier.signature_error(changed, SECRET, NOW) == "the signature differs"


@pytest.mark.parametrize(("minutes", "holds"), [(-16, False), (-14, True), (14, True), (16, False)])
def test_clocks_may_differ_by_fifteen_minutes(minutes: int, *, holds: bool) -> None:
    """A request signed more than 15 minutes off is refused, in both directions."""
    request = signed("/v2/cloudimages", [], "", NOW + timedelta(minutes=minutes))
    assert (aksk_verifier.signature_error(request, SECRET, NOW) == "") is holds


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"authorization": "Basic x"}, "not of the form"),
        ({"x-sdk-date": "yesterday"}, "malformed"),
        ({"host": None}, "missing"),
    ],
)
def test_a_damaged_signature_is_told_apart(change: dict[str, str | None], why: str) -> None:
    """What is wrong with a signature is said."""
    request = signed("/v2/cloudimages", [], "", NOW)
    headers = {k: v for k, v in {**request.headers, **change}.items() if v is not None}
    damaged = aksk_verifier.SignedRequest("PUT", request.target, headers, request.body)
    assert why in aksk_verifier.signature_error(damaged, SECRET, NOW)


# -- openstacksdk --------------------------------------------------------------------------------
@pytest.fixture
def connection(simulator: Simulator, tmp_path: Path) -> Iterator[Connection]:
    """openstacksdk, connected by the simulator's own clouds.yaml."""
    with connect(simulator, tmp_path) as connected:
        yield connected


def connect(simulator: Simulator, folder: Path, user: str = "") -> Connection:
    """Return openstacksdk's connection to the first project."""
    path = simulator.write_clouds_yaml(folder / "clouds.yaml", user=user)
    config = OpenStackConfig(config_files=[str(path)], load_envvars=False)
    return openstack.connection.Connection(config=config.get_one("team-analytics"))


def test_openstacksdk_signs_in_and_finds_everything_by_the_catalog(
    connection: Connection, simulator: Simulator
) -> None:
    """The catalog leads to the image service, and discovery there is understood."""
    assert connection.current_project_id == PROJECT.id
    assert connection.image.get_endpoint() == f"{simulator.url}/image/v2/"
    found = connection.image.images(visibility="shared", member_status="pending")
    assert {image.id for image in found} == expected_of_project()
    names = {project.name for project in connection.identity.projects()}
    assert names == {project.name for project in SEED.projects}


def test_openstacksdk_accepts_and_rejects(connection: Connection) -> None:
    """A member's status is updated and read back; accepting while paging loses nothing."""
    whole = {image.id for image in SEED.images if image.whole_image}
    decided = set()
    for image in connection.image.images(visibility="shared", member_status="pending", limit=10):
        status = "rejected" if image.id in whole else "accepted"
        answer = connection.image.update_member(PROJECT.id, image.id, status=status)
        assert answer.status == status
        decided.add(image.id)
    assert decided == expected_of_project()
    one = decided.difference(whole).pop()
    assert connection.image.get_member(PROJECT.id, one).status == "accepted"
    assert [m.member_id for m in connection.image.members(one)] == [PROJECT.id]
    assert connection.image.get_image(one).owner_id == SEED.projects[-1].id


def test_openstacksdk_reads_the_errors(
    connection: Connection, simulator: Simulator, tmp_path: Path
) -> None:
    """Refusals arrive as openstacksdk's own exceptions, with the request id."""
    image = sorted(expected_of_project())[0]
    with pytest.raises(NotFoundException):
        connection.image.get_image("00000000-0000-4000-8000-000000000000")
    with pytest.raises(BadRequestException) as bad:
        connection.image.update_member(PROJECT.id, image, status="maybe")
    assert bad.value.request_id.startswith("req-")
    with connect(simulator, tmp_path, "reader") as reader, pytest.raises(ForbiddenException):
        reader.image.update_member(PROJECT.id, image, status="accepted")


def test_openstacksdk_signs_in_again_when_its_token_dies(
    connection: Connection, simulator: Simulator
) -> None:
    """A token killed before its end makes the client sign in once more, unseen by the caller."""
    image = sorted(expected_of_project())[0]
    connection.image.get_image(image)
    simulator.set_faults(Faults(token_lifetime=1e-9))
    with pytest.raises(HttpException):
        connection.image.get_image(image)
    state = simulator.state()
    assert state["requests"]["POST /v3/auth/tokens"] == 2
    assert state["unauthorised"] == 2


def test_openstacksdk_on_a_plain_openstack(simulator: Simulator, tmp_path: Path) -> None:
    """Without the extension the native calls work as before."""
    simulator.reset(SEED, native_only=True)
    with connect(simulator, tmp_path) as plain:
        image = next(iter(plain.image.images(visibility="shared", member_status="pending")))
        assert plain.image.update_member(PROJECT.id, image, status="accepted").status == "accepted"
        assert simulator.state()["log"][0]["effective"] == 1


def test_openstacksdk_by_name(simulator: Simulator) -> None:
    """Domains other than the default are understood, by name."""
    seed = Seed(
        projects=(Project("c" * 32, "eu-de_web", "OTC00000000001"),),
        users=(User("u", "ada", "pw", "OTC00000000001"),),
    )
    simulator.reset(seed)
    auth = {
        "auth_url": f"{simulator.url}/v3",
        "username": "ada",
        "password": "pw",
        "user_domain_name": "OTC00000000001",
        "project_name": "eu-de_web",
        "project_domain_name": "OTC00000000001",
    }
    with openstack.connection.Connection(auth=auth, region_name="sim-1") as named:
        assert named.current_project_id == "c" * 32
        assert list(named.image.images()) == []
