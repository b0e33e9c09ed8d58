"""Logs: every request is recorded, and no secret of a run is in any of them."""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import sharekit
from sharekit.core.brakes import Waits, waiting_by
from sharekit.core.errors import CloudError, CloudRefusedError, SharekitError, UsageError
from sharekit.core.monitoring import logs
from sharekit.core.monitoring.logs import redact
from sharekit.simulator.faults import Faults
from sharekit.simulator.seed import Key
from tests.clouds.servers import Seen, serving
from tests.clouds.test_connecting import PASSWORD, by_key, cloud_at, entry, keys, written
from tests.conftest import FAST, World

__all__ = ["keys"]  # a fixture
Make = Callable[..., World]
REQUEST = re.compile(
    r"(GET|PUT|POST) https?://\S+: (\d{3}) in \d+\.\d{3} s, request (\S+|without ID), "
    r"(no token|(token|access key) \{SHA256\}[0-9a-f]{12})"
)


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Everything that sharekit logs goes to standard error and into a file meanwhile."""
    path = tmp_path / "sharekit.log"
    logger = logging.getLogger("sharekit")
    try:
        logs.configure(2, path)
        yield path
    finally:
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(logging.NOTSET)


def test_no_secret_in_any_log(
    keys: tuple[World, Key, Key],
    log_file: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A run by password and by access keys at DEBUG: all loggers together show no secret of it."""
    caplog.set_level(logging.DEBUG)
    w, permanent, temporary = keys
    accounts = yaml.safe_load(w.config.read_text())["clouds"]
    password = next(iter(accounts.values()))["auth"]["password"]
    del accounts[next(iter(accounts))]
    config = written(w.folder, signed=by_key(w, temporary), **accounts)
    clouds = sharekit.connect(config_file=config)
    findings = sharekit.check(sharekit.read_inventory(w.shares), clouds)
    plan = sharekit.plan(findings, w.folder / "run.ledger")
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    w.cloud.set_faults(Faults.parse("token_uses=4"))  # so that the run signs in again
    sharekit.submit(plan, clouds, settings=FAST)
    tokens = {cloud.transport.token() for cloud in clouds.values()} - {""}
    for wrong in ({"sk": "another-secret"}, {"ak": "ANOTHERKEY"}):
        refused = written(w.folder, signed=by_key(w, permanent) | wrong)
        with pytest.raises(SharekitError):
            sharekit.check(sharekit.read_inventory(w.shares), sharekit.connect(config_file=refused))
    accounts[next(iter(accounts))]["auth"]["password"] = "another-password"
    left_out = sharekit.connect(config_file=written(w.folder, **accounts)).refused
    assert left_out
    shown = {
        "refused": str(left_out),
        "file": log_file.read_text(),
        "caplog": caplog.text,
        "terminal": capfd.readouterr().err,
    }
    secrets = {password, "another-password", "another-secret", "ANOTHERKEY", *tokens}
    secrets |= {v for key in (permanent, temporary) for v in (key.access, key.secret)}
    secrets |= {temporary.security_token}
    assert tokens
    leaks = [(name, s) for s in secrets for name, text in shown.items() if s in text]
    assert leaks == []
    assert not any(re.search("Signature=[0-9a-f]", text) for text in shown.values())
    for name in ("file", "terminal"):
        requests = REQUEST.findall(shown[name])
        assert {status for _, status, *_ in requests} >= {"200", "201", "401"}
        assert {kind for *_, kind in requests} == {"", "token", "access key"}
        assert "token refused (HTTP401), signing in again" in shown[name]
    assert stat.S_IMODE(log_file.stat().st_mode) == 0o600


def test_every_request_is_logged(
    tmp_path: Path, log_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request that reaches a server is one line, with its ID; so is one without response."""
    seen: list[Seen] = []
    with serving(cloud_at(seen)) as server:
        seen.append(server)
        (cloud,) = sharekit.connect(config_file=written(tmp_path, here=entry(server.url))).values()
        assert list(cloud.shares("pending")) == []
        requests = [(method, path) for method, path, _ in server.requests]
    logged = REQUEST.findall(log_file.read_text())
    assert [method for method, *_ in logged] == [method for method, _ in requests]
    assert logged[-1][2] == "req-1"
    with pytest.raises(CloudError):
        cloud.transport.get("http://127.0.0.1:1/v2/images")
    assert "no response (ConnectionError)" in log_file.read_text().splitlines()[-1]
    assert {record.name for record in caplog.records if record.name.startswith("sharekit")} == {
        "sharekit.clouds"
    }


def test_retries_and_their_waits_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A repeated request says at INFO why, which attempt it was, and how long it waits."""
    caplog.set_level(logging.INFO, "sharekit")
    seen: list[Seen] = []
    usual = cloud_at(seen)

    def answers(method: str, path: str) -> Any:
        return (503, {}, {}) if path.startswith("/v2/images") else usual(method, path)

    settings = {"read_attempts": 2, "api": "native"}
    with serving(answers) as server:
        seen.append(server)
        config = written(tmp_path, here=entry(server.url, sharekit=settings))
        (cloud,) = sharekit.connect(config_file=config).values()
        with pytest.raises(CloudRefusedError):
            list(cloud.shares("pending"))
    said = r"waiting 0\.\d s, until [\d:]+ UTC: here: attempt 1 to read \S+: HTTP503: Service"
    assert re.search(said, caplog.text)
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_a_long_wait_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long wait is worth a word to everybody; one beyond the limit is not begun."""
    seen: list[Seen] = []
    usual = cloud_at(seen)

    def answers(method: str, path: str) -> Any:
        busy = (503, {}, {"Retry-After": "50"})
        return busy if path.startswith("/v2/images") else usual(method, path)

    settings = {"read_attempts": 9, "api": "native"}
    with serving(answers) as server:
        seen.append(server)
        config = written(tmp_path, here=entry(server.url, sharekit=settings))
        (cloud,) = sharekit.connect(config_file=config).values()
        monkeypatch.setattr(Waits, "_sleep", lambda *_: None)
        brief = Waits(outage_timeout=49.9)
        with (
            waiting_by(brief),
            pytest.raises(CloudRefusedError, match=r"limit of 49\.9 s"),
        ):
            list(cloud.shares("pending"))
        assert not [r for r in caplog.records if r.name == "sharekit.waits"]
        with pytest.raises(CloudRefusedError):
            list(cloud.shares("pending"))
    warnings = [r for r in caplog.records if r.name == "sharekit.waits" and r.levelno >= 30]
    said = r"waiting 50\.0 s, until \d\d:\d\d:\d\d UTC: here: attempt 1 to read \S+: HTTP503: "
    assert re.match(said, warnings[0].getMessage())


def test_users_in_urls_are_hidden(tmp_path: Path, log_file: Path) -> None:
    """A user and password in a URL are neither in the log nor in the message."""
    url = f"http://ada:{PASSWORD}@127.0.0.1:9"
    with pytest.raises(CloudError) as error:
        sharekit.connect(config_file=written(tmp_path, here=entry(url)))
    assert "auth_url has more in it than scheme, host and path" in str(error.value)
    assert PASSWORD not in str(error.value) + log_file.read_text()


@pytest.mark.parametrize(
    "text",
    ["X-Auth-Token: s3cret!", '-H "X-Auth-Token: s3cret!"', "{'X-Subject-Token': 's3cret!'}",
     '{"auth": {"password": "s3cret!"}}', "password=s3cret!", "OS_PASSWORD: s3cret!",
     "application_credential_secret: 's3cret!'", "sk: s3cret!", '{"ak": "s3cret!", "sk": "x"}',
     "security_token=s3cret!", "Authorization: s3cret! and more",
     "SDK-HMAC-SHA256 Access=s3cret!, SignedHeaders=host, Signature=s3cret!",
     "https://ada:s3cret!@proxy.example:3128/", "GET /x?Signature=s3cret!&a=b"],
)  # fmt: skip
def test_redaction(text: str) -> None:
    """Whatever library wrote it, a secret in any usual form is taken out of a formatted record."""
    record = logging.LogRecord("urllib3", logging.DEBUG, "", 1, "%s", (text,), None)
    shown = logs.RedactingFormatter().format(record)
    assert "s3cret" not in shown
    assert "***" in shown or "{SHA256}" in shown


@pytest.mark.parametrize(
    "text", ["Check user, password and project of this cloud", "token refused (HTTP401)",
             "https://ims.example/v2/images?limit=500&marker=a@b"],
)  # fmt: skip
def test_redaction_leaves_sentences_alone(text: str) -> None:
    """What only speaks of secrets stays readable."""
    assert redact(text) == text


def test_verbosity_and_file(log_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Standard error shows what the verbosity asks for, the file everything, and once."""
    shown = {}
    for verbosity in (-1, 0, 1, 2):
        logs.configure(verbosity, log_file)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger("sharekit.clouds").log(level, "message of %d", verbosity)
        shown[verbosity] = capfd.readouterr().err.count("message")
    assert shown == {-1: 1, 0: 2, 1: 3, 2: 4}
    assert log_file.read_text().count("message") == 16
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        logs.configure(0, log_file.parent)
