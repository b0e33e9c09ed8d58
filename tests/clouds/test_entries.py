"""Entries of clouds.yaml as people write them: odd ones, secrets without quotes, other folders."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.clouds import clouds_yaml
from sharekit.core.errors import CloudError, SharekitError, SignInError
from sharekit.interfaces.cli.main import main
from tests.clouds.servers import PROJECT, Seen, serving, strict_keystone
from tests.clouds.test_connecting import PASSWORD, entry, written
from tests.conftest import World

Make = Callable[..., World]
IMAGE = "5a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e"
NOWHERE = "http://127.0.0.1:9"
#: A secret as somebody writes it without quotes -> the parts of it that no output may have.
UNQUOTED = {
    "{Sommer1987!}": ["Sommer1987"],
    "{Sommer: {Winter: [Herbst]}}": ["Sommer", "Winter", "Herbst"],
    "[Sommer1987!]": ["Sommer1987"],
    "1987-03-14": ["1987-03-14", "1987, 3, 14"],
    "1987-03-14 15:09:26": ["1987-03-14", "1987, 3, 14"],
    "8675309123": ["8675309123"],
    "0775533": ["775533", str(0o775533)],
    "0xDEADBEEF5": ["DEADBEEF", str(0xDEADBEEF5)],
    "86_753_091": ["86_753_091", "86753091"],
    "190:20:30": ["190:20:30", "685230"],
    "8675.309": ["8675.309"],
    "true": [],
    "on": [],
    "!!binary U29tbWVyMTk4Nw==": ["U29tbWVyMTk4Nw", "Sommer1987"],
    "!!set {Sommer1987}": ["Sommer1987"],
}
#: What YAML itself stumbles over.
BROKEN = {
    "*Sommer1987": "must be in quotes in line 4",
    "!Sommer1987": "must be in quotes in line 4",
    "@Sommer1987": "must be in quotes in line 4",
    "=": "must be in quotes in line 4",
    "1987-13-45": "must be in quotes, such as a date",
    "Sommer1987: x": "broken YAML in line 4",
    "{Sommer1987": "broken YAML in line",
}
ADDRESS = f"auth_url: {NOWHERE}/v3"
#: Files in which a secret stands, as text with SECRET in its place, and the key that is named.
PLACES: dict[str, tuple[str, dict[str, str]]] = {
    "password": ("password", {"clouds": f"auth: {{{ADDRESS}, username: ada, password: SECRET}}"}),
    "beside auth": ("password", {"clouds": f"{{auth: {{{ADDRESS}}}, password: SECRET}}"}),
    "secure": (
        "password",
        {"clouds": f"auth: {{{ADDRESS}, username: ada}}", "secure": "auth: {password: SECRET}"},
    ),
    "region": (
        "password",
        {"clouds": "regions: [{name: here, values: {auth: {password: SECRET}}}]"},
    ),
    "profile": (
        "password",
        {"clouds": "profile: c", "clouds-public": f"auth: {{{ADDRESS}, password: SECRET}}"},
    ),
    "token": ("token", {"clouds": f"{{auth_type: token, auth: {{{ADDRESS}, token: SECRET}}}}"}),
    "credential": (
        "application_credential_secret",
        {
            "clouds": "{auth_type: v3applicationcredential, auth: {application_credential_id: i, "
            "application_credential_secret: SECRET}}"
        },
    ),
    "passcode": (
        "passcode",
        {"clouds": f"{{auth_type: v3totp, auth: {{{ADDRESS}, passcode: SECRET}}}}"},
    ),
    "access key": ("sk", {"clouds": f"{{ak: A, sk: SECRET, project_id: {PROJECT}}}"}),
    "key under auth": (
        "security_token",
        {"clouds": "auth: {ak: A, sk: S, security_token: SECRET}"},
    ),
}


def write_files(folder: Path, files: dict[str, str], secret: str = "") -> Path:
    """Write clouds.yaml, and what is beside it, with one entry ``c``; return clouds.yaml."""
    for name, text in files.items():
        section = "public-clouds" if name == "clouds-public" else "clouds"
        content = f"{section}:\n  c:\n    {text.replace('SECRET', secret)}\n"
        (folder / f"{name}.yaml").write_text(content)
    return folder / "clouds.yaml"


def outputs(
    config: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> tuple[int, str]:
    """Check a share against the entry ``c``; return exit code, and everything that came out."""
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    shares = config.parent / "shares.csv"
    shares.write_text(f"image_id,project_id,status\n{IMAGE},{PROJECT},accepted\n")
    with pytest.raises(SystemExit) as end:
        main(["check", str(shares), "--cloud=c", f"--clouds-yaml={config}", "-vv"])
    shown = [*capfd.readouterr(), caplog.text]
    try:
        sharekit.connect("c", config_file=config)
    except SharekitError as error:
        fault: BaseException | None = error
        shown += traceback.format_exception(error)
        while fault is not None:
            shown += [str(fault), repr(fault), repr(vars(fault))]
            fault = fault.__cause__ or fault.__context__
    with suppress(SharekitError):
        files = clouds_yaml.read_clouds_yaml(config, None)
        shown.append(repr(files))
    code = end.value.code
    assert isinstance(code, int)
    logging.getLogger("sharekit").handlers.clear()
    return code, "\n".join(shown)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", UNQUOTED)
def test_unquoted_secrets_are_named_and_never_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    secret: str, place: str,
) -> None:  # fmt: skip
    """Whatever YAML makes of a secret without quotes, one sentence names its key; no output it."""
    key, files = PLACES[place]
    code, shown = outputs(write_files(tmp_path, files, secret), capfd, caplog)
    assert code == 4
    assert f"{key} is no text to YAML; put it in quotes." in " ".join(shown.split())
    assert not [part for part in UNQUOTED[secret] if part in shown]


@pytest.mark.parametrize("file", ["clouds", "secure"])
@pytest.mark.parametrize("secret", BROKEN)
def test_what_yaml_stumbles_over_is_not_quoted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    secret: str, file: str,
) -> None:  # fmt: skip
    """A file that YAML cannot read is named with the line, and without any of its text."""
    texts = {"clouds": f"auth: {{{ADDRESS}}}", file: "auth:\n      password: SECRET"}
    if file == "clouds" or "line" in BROKEN[secret]:
        code, shown = outputs(write_files(tmp_path, texts, secret), capfd, caplog)
        assert code == 4
        assert re.search(BROKEN[secret], " ".join(shown.split())), shown
        assert "Sommer" not in shown
        assert "1987-13" not in shown


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 503])
@pytest.mark.parametrize("kind", ["json", "html"])
def test_an_answer_that_repeats_the_password(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    status: int, kind: str,
) -> None:  # fmt: skip
    """A sign-in service may answer with what it was sent: none of its text goes any further."""
    seen: list[Seen] = []
    good = strict_keystone(seen)

    def answer(method: str, path: str) -> Any:
        if method == "GET":
            return good(method, path)
        body = seen[0].bodies[-1].decode()
        if kind == "html":
            return status, body, {"Content-Type": "text/html"}
        message = {"error": {"message": f"Malformed: {body}", "code": status}}
        return status, message, {"Content-Type": "application/json"}

    with serving(answer) as server:
        seen.append(server)
        config = written(tmp_path, c=entry(server.url))
        code, shown = outputs(config, capfd, caplog)
        assert b"correct-horse" in b"".join(server.bodies)
    assert code == 4
    assert "correct-horse" not in shown


# -- odd entries -----------------------------------------------------------------------------------
GOOD = f"auth_url: {NOWHERE}/v3, username: ada, password: Sommer1987!, user_domain_id: default"
ODD = {
    f"auth: {{{GOOD}, passwrd: x}}": "passwrd under `auth` is unknown.*Did you mean password",
    f"auth: {{{GOOD}, 5: x}}": "name of a setting is no text",
    f"auth: {{{GOOD}, password Sommer1987!: x}}": "a setting under `auth` is unknown",
    f"{{auth: {{{ADDRESS}, application_credential_id: i, application_credential_secret: s}}}}":
        "application_credential_id needs.*auth_type: v3applicationcredential",
    f"auth: {{{ADDRESS}, token: t}}": "token needs.*auth_type: token",
    "{auth_type: v3applicationcredential, auth: {"
    f"{ADDRESS}, application_credential_id: i, application_credential_secret: s, passcode: p}}}}":
        "takes no passcode",
    "{auth_type: v3applicationcredential, auth: {"
    f"{ADDRESS}, application_credential_id: i, application_credential_secret: s, "
    "project_name: p}}": "take project_name out of this entry",
    "auth: {auth_url: '', username: ada, password: p}": "auth_url is missing or empty",
    "auth: {username: ada, password: p}": "auth_url is missing or empty",
    "auth: {auth_url: iam.example.com, username: ada, password: p}": "auth_url must be an address",
    "auth: {auth_url: 'http://[::1/v3', username: ada, password: p}": "auth_url must be an address",
    "auth: {auth_url: 'http://a:b/v3', username: ada, password: p}": "auth_url must be an address",
    "auth: {auth_url: 'http://a..b/v3', username: ada, password: p}": "auth_url must be an address",
    "auth: {auth_url: 'http://{auth}/', username: ada, password: x}": "auth_url has braces",
    "auth: {auth_url: 'http://{0/', username: ada, password: x}": "auth_url has braces",
    "auth: {auth_url: [x], username: ada, password: p}": "auth_url is no text to YAML",
    f"{{auth: {{{GOOD}}}, region_name: '{{auth}}'}}": "region_name has braces",
    f"{{auth: {{{GOOD}}}, verify: [1]}}": "verify must be true or false.*cacert",
    f"{{auth: {{{GOOD}}}, verify: maybe}}": "verify must be true or false",
    f"{{auth: {{{GOOD}}}, verify: 0}}": "verify must be true or false",
    f"{{auth: {{{GOOD}}}, insecure: {{a: b}}}}": "insecure must be true or false",
    f"{{auth: {{{GOOD}}}, cacert: true}}": "cacert must be text",
    f"{{auth: {{{GOOD}}}, cacert: 5}}": "cacert names no file",
    f"{{auth: {{{GOOD}}}, cert: {{a: b}}}}": "cert must be text",
    f"{{auth: {{{GOOD}}}, key: Sommer1987!}}": "key names no file that there is. Correct",
    f"{{auth: {{{GOOD}}}, profile: [otc]}}": "profile must be text",
    f"{{auth: {{{GOOD}}}, cloud: {{a: b}}}}": "cloud must be text",
    f"{{auth: {{{GOOD}}}, regions: here}}": "regions must be a list",
    f"{{auth: {{{GOOD}}}, regions: {{name: here}}}}": "regions must be a list",
    f"{{auth: {{{GOOD}}}, regions: [{{values: {{auth: {{password: Sommer1987!}}}}}}]}}":
        "each of regions must be a name",
    f"{{auth: {{{GOOD}}}, regions: [{{name: here, values: Sommer1987!}}]}}": "must hold settings",
    f"{{auth: {{{GOOD}}}, region_name: {{a: b}}}}": "region_name must be one word",
    f"{{auth: {{{GOOD}}}, interface: {{a: b}}}}": "interface must be one word",
    f"{{auth: {{{GOOD}}}, image_interface: [1]}}": "image_interface must be one word",
    f"{{auth: {{{GOOD}}}, image_endpoint_override: {{a: b}}}}": "override is no text",
    f"{{auth: {{{GOOD}}}, ims_endpoint_override: 'http://[b'}}": "ims_endpoint_override must be an",
    f"{{auth: {{{GOOD}}}, auth_type: nope}}": "no auth_type 'nope'",
    f"{{auth: {{{GOOD}}}, auth_type: {{a: b}}}}": "auth_type must be text",
    f"{{auth: {{{GOOD}}}, auth_type: none}}": "gives access to no project",
    f"{{auth: {{{GOOD}}}, sharekit: {{api: {{password: Sommer1987!}}}}}}": "api under `shar",
    f"{{auth: {{{GOOD}}}, sharekit: {{5: 6}}}}": "name of a setting is no text",
    f"{{auth: {{{GOOD}}}, api_timeout: {{a: b}}}}": "api_timeout must be text",
    f"{{auth: {{{GOOD}}}, api_timeout: x}}": "api_timeout cannot be 'x'",
    f"{{auth: {{{GOOD}}}, api_timeout: x, sharekit: {{read_timeout: 5}}}}": "api_timeout cannot be",
    f"{{auth: {{{GOOD}}}, api_timeout: -1}}": "api_timeout cannot be '-1'",
    f"{{auth: {{{GOOD}}}, sharekit: {{read_timeout: x}}}}": "read_timeout cannot be 'x'",
    f"{{auth: {{{GOOD}}}, sharekit: {{read-timeout: x}}}}": "read_timeout cannot be 'x'",
    f"{{auth: {{{GOOD}}}, sharekit: {{aip: batch}}}}": "aip under `sharekit:` in clouds.yaml is no",
    f"{{auth: {{{GOOD}}}, sharekit: {{'password Sommer1987': 1}}}}": "a setting under `sharekit:`",
    f"{{auth: {{{GOOD}}}, sharekit: {{api: soap}}}}": "api must be one of auto, batch, native",
    f"{{auth: {{{GOOD}}}, sharekit: {{projects: some}}}}": "projects cannot be 'some'",
    f"{{auth: {{{GOOD}}}, sharekit: {{rate: -1}}}}": "rate cannot be '-1'",
    f"{{auth: {{{GOOD}}}, sharekit: native}}": "must hold settings by name",
    f"{{auth: {{{GOOD}}}, 5: 6}}": "name of a setting is no text",
    f"{{auth_type: v3password, auth: {{{ADDRESS}, username: ada, password: Sommer1987!}}}}":
        "lacks other settings.*user_domain_name",
    f"auth: {{{GOOD}, project_id: p, trust_id: t}}": "project_id and trust_id are different scopes",
    f"auth: {{{GOOD}, project_id: p, system_scope: all}}": "system_scope are different scopes",
    f"{{auth_type: v3applicationcredential, auth: {{{ADDRESS}, application_credential_id: i}}}}":
        "application_credential_secret is missing",
    "auth: &a {password: *a}": "nested too deeply",
}  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_entries_are_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """A setting that cannot be is one sentence that names it, with exit code 4."""
    code, shown = outputs(write_files(tmp_path, {"clouds": text}), capfd, caplog)
    assert code == 4, shown
    assert re.search(ODD[text], " ".join(shown.split())), shown
    assert "Sommer1987" not in shown
    assert "Traceback (most" not in shown.partition("Error: ")[0]


@pytest.mark.parametrize(
    "more",
    ["networks: 5", "metrics: [1]", "disable_vendor_agent: {}", "image_format: [a]", "verify: ",
     "regions: [here]", "regions: [{name: here, values: {verify: false}}]", "region_name: 7",
     "identity_api_version: 3.0", "interface: [public, internal]", "force_ipv4: yes",
     "sharekit: {rate: 20}", "verify: 'false'", "insecure: 'no'"],
)  # fmt: skip
def test_honest_entries_still_reach_their_cloud(tmp_path: Path, more: str) -> None:
    """What sign-in has no use for, and every usual form of a setting, is no error."""
    config = write_files(tmp_path, {"clouds": f"{{auth: {{{GOOD}}}, {more}}}"})
    with pytest.raises(SharekitError, match="refuses connections, so nobody can sign in"):
        sharekit.connect("c", config_file=config)


_MARK = "Sommer1987"
_SECRET = st.sampled_from(
    [_MARK, f"{{{_MARK}", {_MARK: None}, {_MARK: _MARK}, [_MARK], [[_MARK]], {"a": {"b": [_MARK]}}]
)
_TEXT = ["", "x", "{a}", "{", "{auth}", "http://[", f"{NOWHERE}/v3", "otc", "~", "é"]
_KEY = st.sampled_from(["name", "values", "auth", "x-y"]) | st.integers()
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9**9) | st.dates() | st.sampled_from(_TEXT),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEY, inner, max_size=2),
    max_leaves=4,
)


_BESIDE = (
    "verify insecure cacert cert key profile cloud regions interface region_name image_interface "
    "image_endpoint_override networks sharekit api_timeout compute_timeout identity_api_version "
    "default_domain auth_methods project_id image_api_version has_image vendor_hook metrics auth "
    "auth_type auth_url endpoint_type force_ipv4 message status"
)
_UNDER = (
    "auth_url username user_domain_name project_id project_name domain_id trust_id system_scope "
    "auth_methods unheard-of application_credential_id"
)
_SECRET_KEYS = "password token application_credential_secret passcode ak sk security_token"
_TYPES = st.sampled_from(
    "password v3password v2password token v3applicationcredential v3totp none admin_token aksk "
    "http_basic v3multifactor v3oauth1 v3oidcpassword v3websso".split()
)


def _some(names: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names.split()), values, max_size=1)


@st.composite
def _entries(draw: st.DrawFn) -> Any:
    """Draw a good entry in which a few settings are others."""
    auth = {"auth_url": f"{NOWHERE}/v3", "username": "ada", "password": _MARK}
    auth |= draw(_some(_UNDER, _ANY)) | draw(_some(_SECRET_KEYS, _SECRET))
    kind = draw(st.dictionaries(st.just("auth_type"), _TYPES, max_size=1))
    beside = draw(_some(_SECRET_KEYS, _SECRET)) | draw(_some(_BESIDE, _ANY))
    return {"auth": auth} | kind | beside


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=_entries() | _ANY)
def test_any_entry_ends_in_a_sentence(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    content: Any,
) -> None:
    """Whatever an entry holds: never a traceback, exit code 2 or 4, no secret in any output."""
    config = tmp_path / "clouds.yaml"
    config.write_text(yaml.safe_dump({"clouds": {"c": content}}))
    code, shown = outputs(config, capfd, caplog)
    assert code in (2, 4), shown
    assert _MARK not in shown


# -- the rules of `openstack`, and where secrets come from -----------------------------------------
def by_name(w: World, **changes: Any) -> dict[str, Any]:
    """An entry that names its project, and neither domain."""
    first = next(iter(yaml.safe_load(w.config.read_text())["clouds"].values()))
    auth = {k: v for k, v in first["auth"].items() if not k.startswith(("project", "user_domain"))}
    return first | {"auth": auth | {"project_name": w.cloud.seed.projects[0].name}} | changes


def test_the_default_domain(world: Make) -> None:
    """With ``identity_api_version: 3`` the domain is the default one, as for ``openstack``."""
    w = world(rows=1)
    for version in (3, "3", 3.0):
        config = written(w.folder, c=by_name(w, identity_api_version=version))
        assert list(sharekit.connect("c", config_file=config)) == [w.cloud.seed.projects[0].id]
    named = by_name(w, identity_api_version=3, default_domain="elsewhere")
    with pytest.raises(SignInError, match="sign-in was refused"):
        sharekit.connect("c", config_file=written(w.folder, c=named))


def test_the_default_domain_of_the_variables(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """An openrc file without domains works by the same rule."""
    w = world(rows=1)
    for name, text in by_name(w)["auth"].items():
        monkeypatch.setenv(f"OS_{name.upper()}", text)
    monkeypatch.setenv("OS_IDENTITY_API_VERSION", "3")
    assert list(sharekit.connect()) == [w.cloud.seed.projects[0].id]


def test_a_domain_that_is_given_stays(tmp_path: Path) -> None:
    """No default takes the place of a domain of the entry, or of one for both."""
    seen: list[Seen] = []
    with serving(strict_keystone(seen)) as server:
        seen.append(server)
        usual = {**entry(server.url)["auth"], "user_domain_id": "mine"}
        both = {k: v for k, v in usual.items() if k != "user_domain_id"} | {"domain_name": "ours"}
        for auth, domain in ((usual, b'{"id": "mine"}'), (both, b'{"name": "ours"}')):
            config = written(tmp_path, c=entry(server.url, auth=auth, identity_api_version=3))
            with pytest.raises(SignInError):
                sharekit.connect("c", config_file=config)
            assert b'"domain": ' + domain in server.bodies[-1]


@pytest.mark.parametrize(
    ("lacks", "says"),
    [({"user_domain_id"}, "find domain in user.*add user_domain_name"),
     ({"project_id"}, "find domain in project.*add project_domain_name")],
)  # fmt: skip
def test_a_domain_that_the_cloud_misses(tmp_path: Path, lacks: set[str], says: str) -> None:
    """A cloud that wants a domain is understood, and the sentence says which setting to add."""
    seen: list[Seen] = []
    with serving(strict_keystone(seen)) as server:
        seen.append(server)
        auth = {k: v for k, v in entry(server.url)["auth"].items() if k not in lacks}
        auth |= {"project_name": "p"} if "project_id" in lacks else {}
        with pytest.raises(SignInError, match=says):
            sharekit.connect("c", config_file=written(tmp_path, c=entry(server.url, auth=auth)))


def test_application_credentials_with_a_scope(tmp_path: Path) -> None:
    """An application credential has its project already; the sentence says what to take out."""
    seen: list[Seen] = []
    with serving(strict_keystone(seen)) as server:
        seen.append(server)
        auth = {
            "auth_url": f"{server.url}/v3",
            "application_credential_id": "i",
            "application_credential_secret": "Sommer1987!",
            "project_id": PROJECT,
        }
        config = written(tmp_path, c={"auth_type": "v3applicationcredential", "auth": auth})
        with pytest.raises(SignInError, match="take project_id out of this entry") as refusal:
            sharekit.connect("c", config_file=config)
        assert refusal.value.exit_code == 4


def test_variables_of_the_shell_change_no_named_entry(
    world: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever an openrc file left in the shell, an entry that is named is what its file says."""
    w = world(rows=1)
    other = tmp_path / "other"
    other.mkdir()
    theirs = written(other, **{w.names[0]: entry(NOWHERE)})
    leftover = {
        "AUTH_URL": NOWHERE,
        "USERNAME": "bob",
        "PASSWORD": "x",
        "TOKEN": "t",
        "AUTH_TYPE": "token",
        "AK": "A",
        "SK": "S",
        "PROJECT_ID": PROJECT,
        "USER_DOMAIN_NAME": "moon",
        "REGION_NAME": "moon",
        "INTERFACE": "admin",
        "IDENTITY_API_VERSION": "2",
        "INSECURE": "true",
        "CACERT": "/no",
        "CLOUD": "moon",
        "CLOUD_NAME": w.names[0],
        "CLIENT_CONFIG_FILE": str(theirs),
        "CLIENT_SECURE_FILE": str(theirs),
    }
    for name, text in leftover.items():
        monkeypatch.setenv(f"OS_{name}", text)
    clouds = sharekit.connect(w.names[0], config_file=w.config)
    assert list(clouds) == [w.cloud.seed.projects[0].id]
    assert not any(clouds.warnings.values())


def test_the_password_of_the_shell_is_not_for_a_named_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``OS_PASSWORD`` completes no entry, and the sentence on the missing password says so."""
    monkeypatch.setenv("OS_PASSWORD", "Sommer1987!")
    auth = {k: v for k, v in entry(NOWHERE)["auth"].items() if k != "password"}
    config = written(tmp_path, c=entry(NOWHERE, auth=auth))
    with pytest.raises(SignInError, match=r"secure.yaml \(OS_PASSWORD is only for --cloud envvars"):
        sharekit.connect("c", config_file=config)


def test_secrets_come_from_beside_the_file_or_from_the_one_named(
    world: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secure.yaml of another folder is only joined by ``--secure-yaml``, which is then alone."""
    w = world(rows=1)
    content = yaml.safe_load(w.config.read_text())["clouds"][w.names[0]]
    secret = {"auth": {"password": content["auth"].pop("password")}}
    here, home = w.folder / "here", w.folder / "home"
    for folder in (here, home):
        folder.mkdir()
    config = written(here, c=content)
    stray = home / "secure.yaml"
    stray.write_text(yaml.safe_dump({"clouds": {"c": secret}}))
    monkeypatch.chdir(here)
    monkeypatch.setattr(clouds_yaml, "CONFIG_SEARCH_PATH", [str(here), str(home)])
    for options in ({}, {"config_file": config}):
        both = f"in {stray} is of another folder than {config}.* say --secure-yaml {stray}"
        with pytest.raises(SignInError, match=both):
            sharekit.connect("c", **options)
        assert len(sharekit.connect("c", secure_file=stray, **options)) == 1
    with pytest.raises(SystemExit) as end:
        main(["check", str(w.shares), "--cloud=c", f"--secure-yaml={stray}", "--json"])
    assert end.value.code in (0, 1), capsys.readouterr()
    with pytest.raises(SignInError, match=r"nowhere\.yaml cannot be read"):
        sharekit.connect("c", config_file=config, secure_file=here / "nowhere.yaml")
    wrong = here / "secure.yaml"
    wrong.write_text(yaml.safe_dump({"clouds": {"c": {"auth": {"password": "wrong"}}}}))
    assert len(sharekit.connect("c", config_file=config, secure_file=stray)) == 1
    stray.rename(wrong)
    assert len(sharekit.connect("c")) == len(sharekit.connect("c", config_file=config)) == 1


def test_a_folder_that_is_entered_gets_no_password_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a variable nor a profile joins an address of the working directory and a secret."""
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (here, home):
        folder.mkdir()
    content = entry(NOWHERE)
    secure = home / "secure.yaml"
    secure.write_text(yaml.safe_dump({"clouds": {"c": {"auth": {"password": PASSWORD}}}}))
    lacking = content | {"auth": {k: v for k, v in content["auth"].items() if k != "password"}}
    written(here, c=lacking)
    monkeypatch.chdir(here)
    monkeypatch.setattr(clouds_yaml, "CONFIG_SEARCH_PATH", [str(here), str(home)])
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(secure))
    with pytest.raises(SignInError, match=f"{secure} is of another folder than {here}") as error:
        sharekit.connect("c")
    assert PASSWORD not in str(error.value)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(here / "clouds.yaml"))
    with pytest.raises(SignInError, match="is of another folder"):
        sharekit.connect("c")
    (here / "clouds.yaml").rename(here / "named.yaml")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(here / "named.yaml"))
    with pytest.raises(CloudError, match="refuses connections"):  # both files were named
        sharekit.connect("c")
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE")
    address = content["auth"].pop("auth_url")
    written(home, c=content | {"profile": "ours"})
    public = yaml.safe_dump({"public-clouds": {"ours": {"auth": {"auth_url": address}}}})
    (here / "clouds-public.yaml").write_text(public)
    with pytest.raises(SignInError, match="profile 'ours' cannot be used"):
        sharekit.connect("c")
    (home / "clouds-public.yaml").write_text(public)
    with pytest.raises(CloudError, match="refuses connections"):
        sharekit.connect("c")


def test_numbers_as_names_of_entries(world: Make) -> None:
    """An entry whose name is a number or a date to YAML is found by its text."""
    w = world(rows=1)
    first = yaml.safe_load(w.config.read_text())["clouds"][w.names[0]]
    config = w.folder / "numbers.yaml"
    config.write_text(yaml.safe_dump({"clouds": {7: first, "other": 3}}))
    assert len(sharekit.connect("7", config_file=config)) == 1
    with pytest.raises(SignInError, match="it has: 7, other"):
        sharekit.connect("8", config_file=config)
