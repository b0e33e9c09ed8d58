"""Signing in: access keys, regions, settings, what is unsafe – and everything that goes wrong."""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import re
import shutil
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import sharekit
from sharekit.clouds import access_key, endpoints
from sharekit.core.brakes import RateLimiter, Waits
from sharekit.core.errors import CloudError, SharekitError, SignInError, UsageError
from sharekit.interfaces.cli.main import main
from sharekit.ledger.ledger import Ledger
from sharekit.runs.settings import Settings
from sharekit.runs.status import clouds_of
from sharekit.simulator.faults import Faults
from sharekit.simulator.seed import Key
from tests.clouds.servers import PROJECT, Answers, Seen, serving, token
from tests.conftest import FAST, World

Make = Callable[..., World]
_HERE = ipaddress.ip_address("127.0.0.1")
PASSWORD = "correct-horse-battery"


def entry(url: str, **changes: Any) -> dict[str, Any]:
    """An entry of clouds.yaml that signs in there by password, and does not wait long."""
    auth = {
        "auth_url": f"{url}/v3",
        "username": "ada",
        "password": PASSWORD,
        "user_domain_id": "default",
        "project_id": PROJECT,
    }
    quick = {"read_attempts": 1, "connect_timeout": 2, "read_timeout": 0.5}
    return {"auth": auth, "region_name": "here", "sharekit": quick} | changes


def written(folder: Path, **entries: dict[str, Any]) -> Path:
    """Write a clouds.yaml."""
    path = folder / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": entries}))
    return path


def by_key(world: World, key: Key, **changes: Any) -> dict[str, Any]:
    """An entry that signs in to the first project of a simulated cloud by an access key."""
    url = world.cloud.url
    seed = world.cloud.seed
    place = {f"{name}_endpoint_override": f"{url}/{name}" for name in ("image", "ims")}
    keys = {"ak": key.access, "sk": key.secret}
    token = {"security_token": key.security_token} if key.security_token else {}
    facts = {"project_id": seed.projects[0].id, "region_name": seed.settings.region}
    return {**facts, **place, **keys, **token, **changes}


@pytest.mark.parametrize(
    ("text", "says"),
    [("{odd: 3}", "the entry 'odd' must hold settings by name"),
     ("{odd: [1]}", "the entry 'odd' must hold settings by name"),
     ("{odd: {auth: foo}}", "`auth` of the entry 'odd' must hold settings"),
     ("{odd: {auth: [1]}}", "`auth` of the entry 'odd' must hold settings"),
     ("{other: 3}", "There is no cloud 'odd' in")],
)  # fmt: skip
def test_entries_that_hold_no_settings(tmp_path: Path, text: str, says: str) -> None:
    """An entry that is not settings by name is one sentence with the file and the entry."""
    path = tmp_path / "clouds.yaml"
    path.write_text(f"clouds: {text}\n")
    with pytest.raises(SignInError, match=re.escape(says)) as fault:
        sharekit.connect("odd", config_file=path)
    assert str(path) in str(fault.value)
    assert fault.value.exit_code == 4


@pytest.mark.parametrize(
    ("profile", "says"),
    [("nope", "there is none of that name"), ("http://127.0.0.1:9/", "ConnectionError")],
)
def test_a_profile_that_is_not_there(tmp_path: Path, profile: str, says: str) -> None:
    """A profile that nobody knows, or that cannot be fetched, is one sentence, and no silence."""
    auth = {"auth_url": "http://127.0.0.1:9/v3", "username": "ada", "password": "s3same-47"}
    path = written(tmp_path, odd={"profile": profile, "auth": auth})
    with pytest.raises(SignInError, match=re.escape(f"{profile!r} cannot be used ({says})")) as no:
        sharekit.connect("odd", config_file=path)
    assert no.value.exit_code == 4
    assert "s3same-47" not in str(no.value)


def test_where_no_clouds_yaml_is() -> None:
    """Without any clouds.yaml, the sentence says where it was looked for."""
    with pytest.raises(SignInError, match=re.escape(f"looked for in: {Path.cwd()}, ")):
        sharekit.connect("otc")


# -- access keys ---------------------------------------------------------------------------------
@pytest.fixture
def keys(world: Make) -> tuple[World, Key, Key]:
    """A simulated cloud, a permanent and a temporary access key of its first user."""
    w = world(rows=30)
    permanent = w.cloud.seed.keys[0]
    temporary = Key("TEMPORARYKEY", "temporary-secret", permanent.user_id, "temporary-token")
    w.cloud.reset(replace(w.cloud.seed, keys=(permanent, temporary)), job_seconds=0.02)
    return w, permanent, temporary


@pytest.mark.parametrize("temporary", [False, True])
def test_road_by_access_key(keys: tuple[World, Key, Key], temporary: bool) -> None:
    """With an access key, permanent or temporary, every request is signed and every row is sent."""
    w, *both = keys
    key = both[temporary]
    config = written(w.folder, signed=by_key(w, key))
    clouds = sharekit.connect("signed", config_file=config)
    inventory = sharekit.read_inventory(w.shares)
    findings = sharekit.check(inventory, clouds)
    plan = sharekit.plan(findings, w.folder / "signed.ledger", chunk_size=5)
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, clouds, settings=FAST)
    assert run.counts["confirmed"] == (plan.rows["disposition"] == "planned").sum() > 0
    blocked = findings.frame[findings.frame["rule"] == "no-credentials"]
    assert len(blocked) == run.counts["blocked"] > 0
    assert "POST /v3/auth/tokens" not in w.cloud.state()["requests"]


def test_access_key_from_the_environment(
    keys: tuple[World, Key, Key], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file lacks of a key comes from the environment; without it a sentence says what."""
    w, _, key = keys
    bare = {k: v for k, v in by_key(w, key).items() if k not in access_key.VARIABLES}
    config = written(w.folder, signed={**bare, "auth_type": "aksk"})
    with pytest.raises(SignInError, match="has no ak"):
        sharekit.connect(config_file=config)
    for part, value in (("ak", key.access), ("sk", key.secret)):
        monkeypatch.setenv(access_key.VARIABLES[part][0], value)
    monkeypatch.setenv(access_key.VARIABLES["security_token"][1], key.security_token)
    (cloud,) = sharekit.connect(config_file=config).values()
    assert cloud.resolve_api() == "batch"


@pytest.mark.parametrize(
    ("change", "says"),
    [({"sk": "wrong-secret-key"}, "signature differs"), ({"ak": "AKNOONE47"}, "unknown"),
     ({"security_token": "stale"}, "security token"), ({"project_id": PROJECT}, "X-Project-Id")],
)  # fmt: skip
def test_wrong_access_key(keys: tuple[World, Key, Key], change: dict[str, str], says: str) -> None:
    """A key that is wrong in any part is one sentence of what the cloud said and what to check."""
    w, key, _ = keys
    config = written(w.folder, signed=by_key(w, key) | change)
    (cloud,) = sharekit.connect(config_file=config).values()
    with pytest.raises(SignInError, match=f"refuses the access key.*{says}.*Check ak") as refusal:
        cloud.resolve_api()
    assert "wrong-secret-key" not in str(refusal.value)


def test_clock_that_goes_wrong(
    keys: tuple[World, Key, Key], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a signature is refused and the clocks differ, the sentence says by how much."""
    w, key, _ = keys
    ahead = dt.timedelta(hours=1)

    class Ahead(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime.now(tz) + ahead

    real = time.time
    monkeypatch.setattr("sharekit.clouds.access_key.datetime", Ahead)
    monkeypatch.setattr("sharekit.clouds.http.time", lambda: real() + ahead.total_seconds())
    config = written(w.folder, signed=by_key(w, key))
    (cloud,) = sharekit.connect(config_file=config).values()
    with pytest.raises(SignInError, match="off by 60 minutes"):
        cloud.resolve_api()


def test_access_key_needs_a_project(tmp_path: Path) -> None:
    """No key without its project, and no project is guessed."""
    config = written(tmp_path, signed={"ak": "A", "sk": "S", "region_name": "eu-de"})
    with pytest.raises(SignInError, match="project_id"):
        sharekit.connect(config_file=config)


def test_access_key_finds_its_region(tmp_path: Path) -> None:
    """In a known region a key needs no address; elsewhere the sentence names the setting."""
    facts = {"ak": "A", "sk": "S", "project_id": PROJECT}
    config = written(tmp_path, signed={**facts, "region_name": "eu-nl"})
    (cloud,) = sharekit.connect(config_file=config).values()
    assert cloud.ims == cloud.image == "https://ims.eu-nl.otc.t-systems.com"
    assert cloud.cbr == f"https://cbr.eu-nl.otc.t-systems.com/v3/{PROJECT}"
    config = written(tmp_path, signed={**facts, "region_name": "here"})
    with pytest.raises(CloudError, match="ims_endpoint_override"):
        sharekit.connect(config_file=config)


def test_regions_know_their_provider() -> None:
    """A region's addresses are only used for the provider that it belongs to."""
    assert endpoints.default_endpoints("eu-ch2", "iam.eu-ch2.sc.otc.t-systems.com")
    assert endpoints.default_endpoints("ap-southeast-1", "iam.ap-southeast-1.myhuaweicloud.com")
    assert not endpoints.default_endpoints("eu-de", "keystone.myhuaweicloud.com")
    assert not endpoints.default_endpoints("RegionOne")


# -- one account, several projects ---------------------------------------------------------------
def one_account(w: World, **changes: Any) -> dict[str, Any]:
    """The entry of an account for no project in particular."""
    first = next(iter(yaml.safe_load(w.config.read_text())["clouds"].values()))
    auth = {k: v for k, v in first["auth"].items() if not k.startswith("project")}
    return first | {"auth": auth, "sharekit": {"projects": "all"}} | changes


def sign_ins(w: World) -> int:
    """How often anybody has signed in to the cloud."""
    return int(w.cloud.state()["requests"].get("POST /v3/auth/tokens", 0))


def test_one_account_for_all_projects_of_a_workbook(world: Make) -> None:
    """One entry gives access to the projects of its account, and tells the names of all of them."""
    w = world(rows=40)
    config = written(w.folder, mine=one_account(w))
    clouds = sharekit.connect(config_file=config)
    assert (sign_ins(w), len(clouds)) == (1, len(w.cloud.seed.projects))
    names = {p.id: (p.name, "sign-in") for p in w.cloud.seed.projects}
    assert {project: clouds.project_name(project) for project in clouds} == names
    inventory = sharekit.read_inventory(w.shares)
    named = set(inventory.rows["project_id"])
    findings = sharekit.check(inventory, clouds)
    assert sign_ins(w) == 1 + len(named) < 1 + len(clouds)
    assert findings.snapshot is not None
    assert set(findings.snapshot.projects["project_id"]) == named
    plan = sharekit.plan(findings, w.folder / "run.ledger")
    assert clouds_of(plan.path) == ["mine"]
    shown = plan.to_frame().drop_duplicates("project_id").set_index("project_id")
    assert {p: (shown["project_name"][p], "sign-in") for p in named} == {p: names[p] for p in named}
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    again = sharekit.connect("mine", config_file=config)
    run = sharekit.submit(plan, again, settings=FAST)
    assert run.counts["confirmed"] == len(inventory)
    assert {c for _, c in w.changed_shares()} == named
    assert "1 project not signed in to yet" in repr(again)


def test_projects_by_name_and_without_a_role(keys: tuple[World, Key, Key]) -> None:
    """Projects can be named, for access keys too; one that the account lacks is a finding."""
    w, key, _ = keys
    first, second, *_ = (p.id for p in w.cloud.seed.projects)
    inventory = sharekit.read_inventory(w.shares)
    by_password = one_account(w, sharekit={"projects": [first]})
    signed = by_key(w, key, sharekit={"projects": [first, second]})
    for entry_, covered in ((by_password, {first}), (signed, {first, second})):
        clouds = sharekit.connect("mine", config_file=written(w.folder, mine=entry_))
        findings = sharekit.check(inventory, clouds)
        lacking = findings.frame[findings.frame["rule"] == "no-credentials"]["value"]
        assert set(lacking) == set(inventory.rows["project_id"]) - covered
        # A token tells the name of its project; an access key tells none.
        told = "sign-in" if entry_ is by_password else ""
        assert {clouds.project_name(project)[1] for project in covered} == {told}
        assert set(findings.rows.loc[findings.rows["before"] != "", "project_id"]) == covered


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"sharekit": {"projects": "some"}}, "write `all`, or project IDs"),
     ({"auth": {"application_credential_id": "i", "application_credential_secret": "s",
                "auth_url": "http://127.0.0.1:1/v3"}, "auth_type": "v3applicationcredential"},
      "belongs to one project"),
     ({"ak": "A", "sk": "S", "project_id": PROJECT}, "cannot ask for its projects")],
    ids=["word", "application credential", "access key"],
)  # fmt: skip
def test_account_that_cannot_have_several(world: Make, changes: Any, says: str) -> None:
    """What makes no sense for an account of several projects is said before anything is sent."""
    w = world(rows=1)
    twice = {name: one_account(w) for name in ("mine", "other")}
    with pytest.raises(SignInError, match=says):
        sharekit.connect(config_file=written(w.folder, mine=one_account(w, **changes)))
    config = written(w.folder, **twice)
    with pytest.raises(UsageError, match="same project"):
        sharekit.connect(config_file=config)


# -- settings ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "says"),
    [({"aip": "batch"}, "aip under `sharekit:` in clouds.yaml is no setting"),
     ({"api": "soap"}, "api must be one of"),
     ({"read_timeout": 0}, "read_timeout cannot be '0'"), ({"rate": -1}, "rate"),
     ({"connections": 0}, "connections"), ({"connections": "1e99"}, "connections"),
     ({"read_timeout": "1e99"}, "read_timeout"), ({"insecure_http": "yes"}, "insecure_http"),
     ({"rate": True}, "rate"), ("native", "must hold settings")],
)  # fmt: skip
def test_settings_that_make_no_sense(tmp_path: Path, settings: object, says: str) -> None:
    """A setting that does not exist, or cannot be, is named before anything is sent."""
    config = written(tmp_path, here=entry("http://127.0.0.1:1", sharekit=settings))
    with pytest.raises(SignInError, match=says):
        sharekit.connect(config_file=config)


def test_rate_is_shared_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, a service gets its requests one interval apart; no limit, no wait."""
    waits: list[float] = []
    monkeypatch.setattr(Waits, "pace", lambda _, seconds: waits.append(seconds))
    slow = RateLimiter(10)
    for _ in range(4):
        slow.wait()
    assert waits == pytest.approx([0.1, 0.2, 0.3], abs=0.05)
    free = RateLimiter(0)
    free.wait()
    assert len(waits) == 3


def test_rate_is_one_for_all_projects(world: Make) -> None:
    """Projects on one cloud share its limit, for reading and for sending; loopback has none."""
    w = world(rows=10)
    config = yaml.safe_load(w.config.read_text())["clouds"]
    clouds = sharekit.connect(config_file=written(w.folder, **config))
    assert {c.transport.limiter_of("127.0.0.1:1").rate for c in clouds.values()} == {0}
    for settings in config.values():
        settings["sharekit"] = {"rate": 5000}
    clouds = sharekit.connect(config_file=written(w.folder, **config))
    assert len({id(c.transport.limiter_of("ims.example")) for c in clouds.values()}) == 1
    assert len(clouds) > 1


# -- what is unsafe ------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    then = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(then - dt.timedelta(days=365))
        .not_valid_after(then + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(_HERE)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def cloud_at(seen: list[Seen]) -> Answers:
    """A server that signs in, has an image service and nothing in it."""

    def answer(method: str, path: str) -> tuple[int, object, dict[str, str]]:
        if path.startswith("/v3/auth"):
            return token(seen[0].url)
        if path.startswith("/v2/images"):
            return 200, {"images": []}, {"X-Openstack-Request-Id": "req-1"}
        if path == "/v3":
            links = [{"rel": "self", "href": f"{seen[0].url}/v3/"}]
            return 200, {"version": {"id": "v3.14", "status": "stable", "links": links}}, {}
        return 404, {"message": "no such thing"}, {}

    return answer


def test_certificate_that_nobody_vouches_for(tmp_path: Path, certificate: Path) -> None:
    """An unknown certificate is refused; unchecked by the user's wish, a warning says so."""
    seen: list[Seen] = []
    with serving(cloud_at(seen), certificate) as server:
        seen.append(server)
        with pytest.raises(CloudError, match="failed the TLS check"):
            sharekit.connect(config_file=written(tmp_path, here=entry(server.url)))
        assert server.requests == []
        unchecked = entry(server.url, verify=False)
        (cloud,) = sharekit.connect(config_file=written(tmp_path, here=unchecked)).values()
        assert cloud.warnings == ("TLS certificates are not checked (verify: false)",)


def test_certificates_of_both_sides(tmp_path: Path, certificate: Path) -> None:
    """A CA file vouches for the cloud, and a client certificate for us; nothing is unsafe then."""
    seen: list[Seen] = []
    with serving(cloud_at(seen), certificate, only_known=True) as server:
        seen.append(server)
        trusting = entry(server.url, cacert=str(certificate))
        with pytest.raises(CloudError, match=r"TLS check|cut the connection"):
            sharekit.connect(config_file=written(tmp_path, here=trusting))
        known = trusting | {"cert": str(certificate)}
        (cloud,) = sharekit.connect(config_file=written(tmp_path, here=known)).values()
        assert list(cloud.shares("pending")) == []
        assert cloud.warnings == ()
        lost = trusting | {"cert": str(tmp_path / "nowhere.pem")}
        with pytest.raises(SignInError, match=r"nowhere\.pem. Correct"):
            sharekit.connect(config_file=written(tmp_path, here=lost))


def test_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the variables name a proxy, every request goes through it."""
    seen = [Seen("http://cloud.invalid")]
    inner = cloud_at(seen)
    with serving(lambda method, path: inner(method, path.removeprefix(seen[0].url))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        allowed = {"insecure_http": True, "read_attempts": 1}
        config = written(tmp_path, here=entry(seen[0].url, sharekit=allowed))
        (cloud,) = sharekit.connect(config_file=config).values()
        assert list(cloud.shares("pending")) == []
    assert {path.partition("/v")[0] for _, path, _ in proxy.requests} == {seen[0].url}
    assert cloud.warnings == ("cloud.invalid is accessed without TLS (insecure_http)",)


def test_interface_and_timeout_of_the_entry(tmp_path: Path) -> None:
    """``interface`` chooses among the catalog's addresses; ``api_timeout`` is our time-out too."""
    seen: list[Seen] = []
    with serving(lambda *_: token(seen[0].url)) as server:
        seen.append(server)
        usual = entry(server.url) | {"api_timeout": 7, "sharekit": {}}
        (cloud,) = sharekit.connect(config_file=written(tmp_path, here=usual)).values()
        assert cloud.transport.timeout == (10.0, 7.0)
        config = written(tmp_path, here=usual | {"interface": "internal"})
        with pytest.raises(CloudError, match="no internal address in region 'here', but public"):
            sharekit.connect(config_file=config)


def test_warning_stays_in_the_report(world: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """What was unsafe by the user's wish is said in the shell, and stands in every report."""
    w = world(rows=4)
    config = yaml.safe_load(w.config.read_text())["clouds"]
    for settings in config.values():
        settings["verify"] = False
    plan = w.approved()
    path = written(w.folder, **config)
    with pytest.raises(SystemExit):
        main(["submit", str(plan.path), f"--clouds-yaml={path}"])
    assert "Warning" in capsys.readouterr().err
    page = w.folder / "audit.html"
    sharekit.report(plan.path, page)
    assert "TLS certificates are not checked" in page.read_text()


def test_tokens_are_forgotten_while_others_ask(
    tmp_path: Path,
) -> None:
    """Threads that ask for the token, and forget it, at once do not trip over one another."""
    seen: list[Seen] = []
    faults: list[BaseException] = []
    before = sys.getswitchinterval()
    with serving(cloud_at(seen)) as server:
        seen.append(server)
        patient = {"read_timeout": 30}
        config = written(tmp_path, here=entry(server.url, sharekit=patient))
        (cloud,) = sharekit.connect(config_file=config).values()

        def ask() -> None:
            try:
                for _ in range(20):
                    token = cloud.transport.token()
                    assert token
                    cloud.transport.invalidate_token(token)
            except BaseException as error:  # noqa: BLE001 - it would be lost with its thread
                faults.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
    assert faults == []


@pytest.mark.parametrize("url", ["http://iam.example.invalid", "http://192.0.2.1"])
def test_no_credentials_without_tls(tmp_path: Path, url: str) -> None:
    """A sign-in address without TLS is refused before the password leaves this machine."""
    with pytest.raises(CloudError, match="not https, so no credentials are sent"):
        sharekit.connect(config_file=written(tmp_path, here=entry(url)))


def test_user_agent(tmp_path: Path) -> None:
    """Every request, the sign-in too, says who asks."""
    seen: list[Seen] = []
    with serving(cloud_at(seen)) as server:
        seen.append(server)
        (cloud,) = sharekit.connect(config_file=written(tmp_path, here=entry(server.url))).values()
        assert list(cloud.shares("pending")) == []
    agents = {headers["User-Agent"].split()[0] for _, _, headers in server.requests}
    assert agents == {f"sharekit/{sharekit.__version__}"}


# -- everything that goes wrong --------------------------------------------------------------------
IMAGES = "/v2/"


@pytest.mark.parametrize(
    ("answer", "says"),
    [((200, "<html>Please log in</html>", {}), "not JSON.*login page"),
     ((200, '{"images": [{"id": "a"', {}), "not JSON"),
     ((200, '{"images": []}', {"Content-Length": "500"}), "did not answer in time"),
     ((200, {"error": {"code": "IMG.0026", "message": "no right"}}, {}), "no right"),
     ((200, {"error_code": "APIGW.0101", "error_msg": "no such API"}, {}), "no such API"),
     ((200, {}, {}), "it lacks .images."),
     ((302, "", {"Location": "https://elsewhere.invalid/"}), "redirects elsewhere"),
     (None, "did not answer in time")],
    ids="html truncated cut error-in-200 gateway-error empty redirect silence".split(),
)  # fmt: skip
def test_answers_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Any, says: str
) -> None:
    """An answer that cannot be used ends the command with exit 4 and one sentence of the cause."""
    seen: list[Seen] = []
    usual = cloud_at(seen)

    def answers(method: str, path: str) -> Any:
        return answer if path.startswith("/v2/images") else usual(method, path)

    with serving(answers) as server:
        seen.append(server)
        config = written(tmp_path, here=entry(server.url))
        exit_4(tmp_path, capsys, config, says)


_HTML = (200, "<html>Please log in</html>", {})
_NO_RIGHT = (200, {"error": {"code": "IMG.0026", "message": "no"}}, {})
_AWAY = (302, "", {"Location": "https://elsewhere.invalid/"})


class Fragile:
    """A cloud with three pending images that answers so, once ``broken``, after so many changes."""

    def __init__(self, answer: Any, after: int) -> None:
        self.seen: list[Seen] = []
        self.images = [f"{n}a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e" for n in range(3)]
        self.taken: list[str] = []
        self.broken = False
        self._answer, self._after = answer, after
        self._resolve, self._usual = socket.getaddrinfo, cloud_at(self.seen)

    @property
    def fails(self) -> bool:
        """Whether it is broken by now."""
        return self.broken and len(self.taken) >= self._after

    def answers(self, method: str, path: str) -> Any:
        """Answer a request; connections end with it, so that each name is looked up anew."""
        if method == "PUT" and self.fails and self._answer != "dns":
            return self._answer
        if method == "PUT":
            self.taken.append(path.split("/")[3])
            return 200, {"status": "accepted"}, {"Connection": "close"}
        if "member_status=" in path:
            shown = [i for i in self.images if ("accepted" in path) == (i in self.taken)]
            marker = path.partition("marker=")[2][:36]
            shown = shown[shown.index(marker) + 1 :] if marker in shown else shown
            found = [] if "rejected" in path else [{"id": i, "owner": "f" * 32} for i in shown]
            return 200, {"images": found}, {"Connection": "close"}
        return self._usual(method, path)

    def resolve(self, host: str, *rest: Any, **more: Any) -> Any:
        """Look up a name as the system does, but for its own."""
        if host == "cloud.test" and self._answer == "dns" and self.fails:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self._resolve("127.0.0.1" if host == "cloud.test" else host, *rest, **more)


@pytest.mark.parametrize("later", [False, True], ids=["at-once", "later"])
@pytest.mark.parametrize(
    ("answer", "codes", "says"),
    [(_HTML, (4, 3), "not JSON.*a login page"),
     ((200, '{"status": "acc', {}), (4, 3), "not JSON"),
     ((200, '{"status": "accepted"}', {"Content-Length": "500"}), (4, 3), "cut|in time.*Check the"),
     (_NO_RIGHT, (4, 1), "no right"),
     (_AWAY, (4, 3), "redirects elsewhere.*Correct the endpoint"),
     ((503, {}, {}), (4, 3), "HTTP503: Service Unavailable.*Run this again later"),
     ((401, {"error": {"message": "revoked"}}, {}), (4, 4), "refuses the token.*Check whether"),
     (None, (4, 3), "did not answer in time.*Check the network"),
     ("dns", (4, 3), "its name does not resolve.*Check the network")],
    ids="html truncated cut error-in-200 redirect 503 revoked silence dns".split(),
)  # fmt: skip
def test_a_cloud_that_fails_at_submit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    answer: Any, codes: tuple[int, int], says: str, later: bool,
) -> None:  # fmt: skip
    """A cloud of no use at all is exit 4, one that is lost later exit 3; each request that left is
    in the ledger with what became of it, none is a success, and the same command goes on.
    """  # noqa: D205
    cloud = Fragile(answer, int(later))
    monkeypatch.setattr(socket, "getaddrinfo", cloud.resolve)
    monkeypatch.setattr("sharekit.clouds.http.SIGN_IN_WAITS", (0.0, 0.05))
    quick = replace(FAST, outage_timeout=0, concurrency=1)
    monkeypatch.setattr(Settings, "__init__", lambda self, **_: vars(self).update(vars(quick)))
    sheet = tmp_path / "shares.csv"
    rows = (f"{image},{PROJECT},accepted\n" for image in cloud.images)
    sheet.write_text("image_id,project_id,status\n" + "".join(rows))
    with serving(cloud.answers) as server:
        cloud.seen.append(server)
        place = server.url.replace("127.0.0.1", "cloud.test")
        wishes = {"read_timeout": 0.2, "api": "native", "insecure_http": True}
        config = written(
            tmp_path, here=entry(server.url, image_endpoint_override=place, sharekit=wishes)
        )
        clouds = sharekit.connect(config_file=config)
        plan = sharekit.plan(sharekit.check(sharekit.read_inventory(sheet), clouds),
                             tmp_path / "run.ledger")  # fmt: skip
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        command = ["submit", str(plan.path), f"--clouds-yaml={config}", "--cloud=here"]
        ends = []
        for cloud.broken in (True, False):
            with pytest.raises(SystemExit) as end:
                main(command)
            ends.append((end.value.code, " ".join("".join(capsys.readouterr()).split())))
            if cloud.broken:
                run = sharekit.status(plan.path)
                open_ones = [r.state for r in run.request_log.current()].count("sent")
    assert ends[0][0] == codes[later], ends
    assert re.search(says, ends[0][1]), ends
    assert "Traceback" not in ends[0][1]
    assert run.counts["confirmed"] + run.counts["claimed"] == (1 if later else 0)
    # What became of each request is told; after a redirect it is for the next call to find out.
    assert open_ones == (answer is _AWAY)
    # Once the cloud is back, the same command settles what is not refused for good.
    assert ends[1][0] == (0 if answer is not _NO_RIGHT else 4 if not later else 1), ends
    assert sharekit.verify(plan.path).intact


def test_a_certificate_that_is_not_trusted_any_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], certificate: Path
) -> None:
    """A run whose cloud fails the TLS check when it is submitted sends nothing, and ends with 4."""
    seen: list[Seen] = []
    image = "5a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e"
    usual = cloud_at(seen)

    def answers(method: str, path: str) -> Any:
        if "member_status=pending" in path and "marker=" not in path:
            return 200, {"images": [{"id": image, "owner": "f" * 32}]}, {}
        return usual(method, path)

    sheet = tmp_path / "shares.csv"
    sheet.write_text(f"image_id,project_id,status\n{image},{PROJECT},accepted\n")
    with serving(answers, certificate) as server:
        seen.append(server)
        good = written(tmp_path, here=entry(server.url, cacert=str(certificate)))
        clouds = sharekit.connect(config_file=good)
        plan = sharekit.plan(sharekit.check(sharekit.read_inventory(sheet), clouds),
                             tmp_path / "run.ledger")  # fmt: skip
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        config = written(tmp_path, here=entry(server.url))
        with pytest.raises(SystemExit) as end:
            main(["submit", str(plan.path), "--cloud=here", f"--clouds-yaml={config}"])
        told = " ".join("".join(capsys.readouterr()).split())
    assert (end.value.code, "failed the TLS check" in told) == (4, True), told
    assert "Correct what the error names, then: Nothing was sent yet. Approved by Ada" in told
    assert not any(method == "PUT" for method, _, _ in server.requests)


def test_refused_token_ends_the_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cloud that refuses every new token is asked a few times, not for ever."""
    seen: list[Seen] = []
    usual = cloud_at(seen)

    def answers(method: str, path: str) -> Any:
        refused = (401, {"error": {"message": "who are you?"}}, {})
        return refused if path.startswith("/v2/images") else usual(method, path)

    with serving(answers) as server:
        seen.append(server)
        exit_4(tmp_path, capsys, written(tmp_path, here=entry(server.url)), "right after signing")
        assert len([1 for _, path, _ in server.requests if "images" in path]) <= 5 * 5


@pytest.mark.parametrize(
    ("change", "says"),
    [({"region_name": "there"}, "in region 'there', but in here. Correct region_name"),
     ({"service": "compute"}, "no image service.*image_endpoint_override")],
)  # fmt: skip
def test_catalog_without_the_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], says: str
) -> None:
    """A wrong region is told from a cloud that has no image service at all."""
    seen: list[Seen] = []
    service = change.pop("service", "image")
    with serving(lambda *_: token(seen[0].url, service=service)) as server:
        seen.append(server)
        exit_4(tmp_path, capsys, written(tmp_path, here=entry(server.url, **change)), says)


@pytest.mark.parametrize(
    ("answer", "says"),
    [((401, {"error": {"message": "wrong"}}, {}), "refuses even to tell its versions"),
     ((200, "<html>hello</html>", {}), "nobody can sign in"),
     ((500, "", {}), "nobody can sign in"),
     (None, "did not answer in time")],
    ids=["wrong", "html", "broken", "silence"],
)  # fmt: skip
def test_sign_in_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Any, says: str
) -> None:
    """A sign-in service that refuses, breaks or keeps silent is named, with what to check."""
    with serving(lambda *_: answer) as server:
        exit_4(tmp_path, capsys, written(tmp_path, here=entry(server.url)), says)


def test_silence_behind_https_is_waited_for_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that speaks no TLS and waits is tried once, and said while it is waited for."""
    monkeypatch.setattr("sharekit.core.monitoring.progress.DELAY", 0.2)
    monkeypatch.setattr("sharekit.interfaces.display.DELAY", 5.0)  # so that a line is due at once
    shares = tmp_path / "shares.csv"
    shares.write_text(f"image_id,project_id,status\nx,{PROJECT},accepted\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        quick = {"connect_timeout": 1, "read_timeout": 1}
        config = written(tmp_path, here=entry(url, sharekit=quick))
        with pytest.raises(SystemExit) as end:
            main(["check", str(shares), "--cloud=here", f"--clouds-yaml={config}"])
        told = " ".join(capsys.readouterr().err.split())
        silent.settimeout(0)
        tries = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                tries += 1
    assert (end.value.code, tries) == (4, 1), told
    assert re.search(r"signing in to here: [5-9] s so far", told)
    assert "is it https where the port speaks http" in told


def test_finished_run_needs_no_cloud(
    tmp_path: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished run is told to be finished, with its verdict, by whoever has no credentials."""
    ledger = Path(shutil.copy(finished_run / "run.ledger", tmp_path))
    before = ledger.read_bytes()
    ends = []
    for command in ("status", "submit"):
        with pytest.raises(SystemExit) as end:
            main([command, str(ledger), "--json"])
        ends.append((end.value.code, (told := capsys.readouterr()).out))
    assert ends[0] == ends[1]
    assert "is finished: nothing is left to send" in " ".join(told.err.split())
    assert ledger.read_bytes() == before


def test_cloud_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit without --cloud is of the cloud that OS_CLOUD names, as openstack does it."""
    monkeypatch.setenv("OS_CLOUD", "elsewhere")
    with pytest.raises(SystemExit) as end:
        main(["audit", str(tmp_path / "out.xlsx")])
    told = " ".join(capsys.readouterr().err.split())
    assert (end.value.code, "There is no cloud 'elsewhere'" in told) == (4, True), told


def test_names_that_lead_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clouds.yaml, a broken one, an unknown name, no such host, a proxy that refuses: exit 4."""
    exit_4(tmp_path, capsys, tmp_path / "no.yaml", "no.yaml cannot be read.*Check the path")
    secret = tmp_path / "broken.yaml"
    secret.write_text(f"clouds:\n  here:\n    auth: {{password: {PASSWORD}, [\n")
    exit_4(tmp_path, capsys, secret, "in line 4")
    config = written(tmp_path, here=entry("https://keystone.invalid"))
    exit_4(tmp_path, capsys, config, "does not resolve.*Check auth_url")
    exit_4(tmp_path, capsys, config, "no cloud 'other'.*it has: here", name="other")
    empty = written(tmp_path, here={"auth": {"auth_url": "https://keystone.invalid/v3"}})
    exit_4(tmp_path, capsys, empty, "password is a required attribute. Correct")
    with serving(lambda *_: (407, "no", {})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        config = written(tmp_path, here=entry("https://keystone.invalid"))
        exit_4(tmp_path, capsys, config, "the proxy refuses")


def test_sign_in_lost_in_mid_run(
    world: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When every new token is refused in mid-run, what was sent is on record, and it resumes."""
    w = world(rows=12)
    plan = w.approved(chunk_size=2)
    look = sharekit.runs.submit.take_snapshot

    def look_then_refuse(*args: Any, **kwargs: Any) -> Any:
        seen = look(*args, **kwargs)
        w.cloud.set_faults(Faults.parse("token_lifetime=0.000001"))
        return seen

    monkeypatch.setattr("sharekit.runs.submit.take_snapshot", look_then_refuse)
    monkeypatch.setattr("sharekit.clouds.http.SIGN_IN_WAITS", (0.0, 0.05))
    with pytest.raises(SystemExit) as end:
        main(["submit", str(plan.path), f"--clouds-yaml={w.config}"])
    told = " ".join(capsys.readouterr().err.split())
    assert (end.value.code, "right after signing in" in told) == (4, True), told
    with Ledger.open(plan.path) as book:
        assert book.list_events("intent")
        assert book.list_events("stopped")
    monkeypatch.undo()
    w.cloud.set_faults(Faults())
    assert sharekit.submit(plan, w.connect(), settings=FAST).counts["confirmed"] == 12


def exit_4(
    folder: Path, capsys: pytest.CaptureFixture[str], config: Path, says: str, name: str = "here"
) -> None:
    """Check a list against a cloud in the shell, and see it end as it must."""
    shares = folder / "shares.csv"
    image = "5a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e"
    shares.write_text(f"image_id,project_id,status\n{image},{PROJECT},accepted\n")
    with pytest.raises(SystemExit) as end:
        main(["check", str(shares), f"--cloud={name}", f"--clouds-yaml={config}"])
    told = " ".join(capsys.readouterr().err.split())
    assert end.value.code == 4, told
    assert re.match(r"(signing in: \d of \d )?Error: ", told)  # a slow machine shows progress first
    assert re.search(says, told), told
    assert PASSWORD not in told
    assert "the-secret-token" not in told
    assert "Traceback" not in told


# -- secrets -------------------------------------------------------------------------------------
@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that any library logs, at its most talkative."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_no_secret_in_anything_that_a_run_leaves(
    keys: tuple[World, Key, Key], logged: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """Neither password, token, secret key nor security token is in any trace of a run."""
    w, _, key = keys
    by_password = yaml.safe_load(w.config.read_text())["clouds"]
    first = next(iter(by_password))
    password = by_password[first]["auth"]["password"]
    del by_password[first]
    config = written(w.folder, signed=by_key(w, key), **by_password)
    clouds = sharekit.connect(config_file=config)
    plan = sharekit.plan(
        sharekit.check(sharekit.read_inventory(w.shares), clouds), w.folder / "run.ledger"
    )
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, clouds, settings=FAST)
    names = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
    sharekit.report(run, *(w.folder / name for name in names))
    tokens = [c.transport.token() for c in clouds.values() if c.transport.token()]
    bad = written(w.folder, signed=by_key(w, key) | {"sk": "another-secret"}, **by_password)
    wrong = sharekit.connect("signed", config_file=bad)
    try:
        sharekit.check(sharekit.read_inventory(w.shares), wrong)
    except SharekitError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        del told.stack[0]  # this test knows all of them
        trace = "".join(told.format())
    texts = [trace, repr(clouds), repr(list(clouds.values())), repr(run), repr(plan), logged.text]
    texts += [
        *capfd.readouterr(),
        *(repr(vars(c.transport.signer)) for c in clouds.values() if c.transport.signer),
    ]
    files = [p.read_bytes() for p in w.folder.iterdir() if p.is_file() and p != config]
    assert tokens
    for secret in (password, key.secret, key.security_token, "another-secret", *tokens):
        assert not [re.findall(f".*{secret}.*", text) for text in texts if secret in text]
        assert not [data for data in files if secret.encode() in data]


def test_environment_is_asked_once_for_each_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies and CA file are looked up once for each host, and used at every call."""
    asked: list[str] = []
    look = requests.Session.merge_environment_settings

    def counted(self: requests.Session, url: Any, *rest: Any) -> Any:
        asked.append(url)
        return look(self, url, *rest)

    monkeypatch.setattr(requests.Session, "merge_environment_settings", counted)
    seen: list[Seen] = []
    with serving(cloud_at(seen)) as server:
        seen.append(server)
        (cloud,) = sharekit.connect(config_file=written(tmp_path, here=entry(server.url))).values()
        for _ in range(5):
            cloud.resolve_api()
            assert list(cloud.shares("pending")) == []
    assert len(server.requests) > 5
    assert len(asked) == 1
