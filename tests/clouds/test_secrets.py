"""No secret in use is kept or shown: whatever a gateway sends back, and wherever a call fails."""

from __future__ import annotations

import json
import logging
import re
import threading
import unicodedata
import zipfile
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from html import escape
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import markupsafe
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.ultratb import VerboseTB
from rich.console import Console
from rich.traceback import Traceback

import sharekit
from sharekit.clouds.http import Transport
from sharekit.core.errors import CloudError, SharekitError, SignInError
from sharekit.core.monitoring.logs import Secrets
from sharekit.ledger.ledger import Ledger
from sharekit.simulator.faults import Faults
from sharekit.simulator.seed import Key
from tests.clouds.servers import serving, token
from tests.clouds.test_connecting import PASSWORD, by_key, cloud_at, entry, keys, written
from tests.conftest import FAST, World

__all__ = ["keys"]  # a fixture
Make = Callable[..., World]


def spellings(secret: str) -> list[str]:
    """A secret as servers, gateways and libraries may write it."""
    code = [
        encode(f"{before}{secret}{after}".encode()).decode()
        for encode in (b64encode, urlsafe_b64encode)
        for before in ("", "a", "ab:")
        for after in ("", "z", "zz")
    ]
    text = json.dumps(secret)
    return [
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), text, json.dumps(text),
        json.dumps(secret, ensure_ascii=False), text.replace("/", r"\/"), escape(secret),
        repr(secret), secret.encode().hex(), secret.encode().hex().upper(), *code,
    ]  # fmt: skip


# -- the mask --------------------------------------------------------------------------------------
@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=60))
def test_a_secret_is_masked_in_every_spelling(secret: str) -> None:
    """URLs, JSON in JSON, HTML, base64 at any place of a text, hexadecimal: none shows it."""
    secrets = Secrets([secret])
    for text in spellings(secret):
        shown = secrets.mask(f"before {text} after")
        assert secret not in shown or secret in "before *** after"
        assert "***" in shown, text
        core = text.strip('"')[4:-6]
        assert len(core) < 4 or core not in shown


@settings(deadline=None)
@given(st.text("abcdefXYZ019-_", min_size=64, max_size=2000), st.integers(24, 60))
def test_a_part_of_a_long_token_is_masked(secret: str, length: int) -> None:
    """A token that was cut off, or written in several lines, is masked all the same."""
    secrets = Secrets()
    secrets.add(secret)
    assert secrets.mask(f"token {secret[:length]}… refused") == "token ***… refused"
    lines = "\n".join(re.findall(".{1,76}", secret))
    assert secret[80:100] not in secrets.mask(lines) or len(secret) < 120


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: str(markupsafe.escape(text)),
        lambda text: escape(text).replace("&#x27;", "&apos;"),
        lambda text: "".join(f"&#{ord(letter)};" for letter in text),
        lambda text: repr(text.encode()),
        lambda text: text.encode("unicode_escape").decode(),
        lambda text: text.encode().decode("latin-1"),
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text.replace("'", "''"),
        lambda text: text.replace("'", "\\'"),
        str.upper,
        " ".join,
    ],
)
def test_a_secret_in_any_other_spelling_takes_the_text_along(spell: Callable[[str], str]) -> None:
    """Character references, escapes, other encodings, cases and gaps do not hide a secret."""
    password = "Ge'he1m<Pass>!wört\"/77&x"
    secrets = Secrets([password])
    text = f"the image {spell(password)} is not available"
    assert secrets.mask(text) in ("***", "the image *** is not available")
    assert "***" in secrets.masked({"error": {"message": text}})["error"]["message"]
    assert secrets.mask("R&D's image \\ is not available") == "R&D's image \\ is not available"
    several = secrets.mask(f"before\n{text}\nafter\n")
    assert several in (
        "***",
        "before\n***\nafter\n",
        "before\nthe image *** is not available\nafter\n",
    )
    assert secrets.mask(f"before\n{password[:9].upper()}\n{password[9:].upper()}\n") == "***"


def test_the_words_of_the_api_are_no_secrets() -> None:
    """A password that is also a word or a part of IDs changes no ID, time, state or link."""
    body = {
        "images": [
            {"id": "12345678-1bc3-4c3f-893e-000000000001", "status": "accepted", "name": "accepted",
             "owner": "12345678" * 4, "created_at": "2026-01-01T00:00:00Z", "visibility": "shared"}
        ],
        "next": "/v2/images?marker=12345678",
    }  # fmt: skip
    (image,) = Secrets(["accepted", "1234", "2026", "shared"]).masked(body)["images"]
    assert image == body["images"][0] | {"name": "***"}
    assert Secrets(["accepted", "1234"]).masked(body)["next"] == body["next"]
    assert Secrets(["other"]).masked(body) is body
    secrets = Secrets()
    secrets.add("12345678" * 4)  # as Keystone's tokens once were
    assert secrets.masked(body)["images"][0]["owner"] == "***"
    assert Secrets(["a", ""]).mask("a banana") == "a banana"


# -- a gateway that sends back what it was sent ----------------------------------------------------
@contextmanager
def echoing(cloud: str, place: str, known: list[str]) -> Iterator[str]:
    """A gateway in front of a cloud that puts every secret it knows into one place of answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = self.headers.get("X-Auth-Token") or self.headers.get("Authorization")
            if given and given not in known:
                known.append(given)
            back = HTTPConnection(cloud.removeprefix("http://"), timeout=10)
            back.request(self.command, self.path, body, dict(self.headers))
            answer = back.getresponse()
            status, content = answer.status, answer.read()
            headers = {k: v for k, v in answer.getheaders() if k.lower() in _PASSED}
            back.close()
            echo = " ".join(s for secret in known for s in spellings(secret)) + str(self.headers)
            status, content, headers = _echo(
                place, self.command, self.path, echo, (status, content, headers)
            )
            self.send_response(status, echo[:40].split("\n")[0] if place == "phrase" else None)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_PASSED = ("content-type", "x-openstack-request-id", "x-request-id", "x-subject-token")
Answer = tuple[int, bytes, dict[str, str]]


def _echo(place: str, method: str, path: str, echo: str, answer: Answer) -> Answer:
    status, content, headers = answer
    line = " ".join(echo.split())
    if place == "request ID":
        return status, content, headers | {"X-Request-Id": line[:4000]}
    if method == "PUT" and place in _REFUSALS:
        return _REFUSALS[place](echo, line, headers)
    if method != "GET" or status != 200:
        return answer
    if place == "job" and "/jobs/" in path:
        body = {"status": "FAIL", "error_code": "IMG.9999", "fail_reason": echo, "entities": {}}
        return status, json.dumps(body).encode(), headers
    if place in ("names", "next") and path.startswith(("/v2/cloudimages", "/v2/images?")):
        body = json.loads(content)
        for image in body["images"] if place == "names" else ():
            image |= {"name": f"golden {line}", "visibility": line, "__system__cmkid": line}
        body |= {"next": f"//elsewhere.example/{quote(line)}"} if place == "next" else {}
        return status, json.dumps(body).encode(), headers
    return answer


_REFUSALS: dict[str, Callable[[str, str, dict[str, str]], Answer]] = {
    "error": lambda echo, _, headers: (
        400, json.dumps({"error": {"code": "IMG.0144", "message": echo}}).encode(), headers),
    "code": lambda echo, line, headers: (
        400, json.dumps({"error_code": line, "error_msg": f"no: {echo}"}).encode(), headers),
    "page": lambda echo, *_: (
        400, f"<html><b>Bad request</b><pre>{escape(echo)}</pre>".encode(),
        {"Content-Type": "text/html"}),
    "phrase": lambda *_: (400, b"{}", {"Content-Type": "application/json"}),
    "redirect": lambda _, line, __: (
        302, b"", {"Location": f"http://127.0.0.1:9/{quote(line)[:2000]}"}),
}  # fmt: skip
PLACES = ("error", "code", "page", "phrase", "redirect", "job", "names", "next", "request ID")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("by", ["password", "access key"])
def test_a_gateway_that_sends_secrets_back(
    keys: tuple[World, Key, Key], caplog: Any, capfd: Any, place: str, by: str
) -> None:
    """Neither ledger nor reports, logs or messages have a token, password or key in any form."""
    w, _, key = keys
    w.cloud.set_faults(Faults.parse("token_uses=6"))  # tokens are renewed meanwhile
    first = yaml.safe_load(w.config.read_text())["clouds"][w.names[0]]
    known = [key.access, key.secret, key.security_token]
    known = known if by == "access key" else [first["auth"]["password"]]
    caplog.set_level(logging.DEBUG, "sharekit")
    with echoing(w.cloud.url, place, known) as gateway:
        ways = {f"{name}_endpoint_override": f"{gateway}/{name}" for name in ("image", "ims")}
        ways = {name: url.rpartition("/")[0] for name, url in ways.items()}
        chosen = first | ways if by == "password" else by_key(w, key, **ways)
        chosen["sharekit"] = {"read_attempts": 2}
        config = written(w.folder, here=chosen)
        told = []
        try:
            clouds = sharekit.connect("here", config_file=config)
            inventory = sharekit.read_inventory(w.shares)
            plan = sharekit.plan(sharekit.check(inventory, clouds), w.folder / "run.ledger")
            sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
            run = sharekit.submit(plan, clouds, settings=FAST)
            told.append(repr(run.summary))
        except SharekitError as error:
            told.append(str(error))
        with suppress(SharekitError):
            audit = sharekit.audit(inventory, clouds)
            told.append(sharekit.report(audit, w.folder / "audit.json")[0].read_text())
        texts = [*told, caplog.text, *capfd.readouterr(), *_kept(w.folder)]
        assert clouds
    assert len(known) >= 2
    for secret in known:
        for spelled in spellings(secret):
            core = spelled.strip('"')[4:-6] if len(spelled) > 30 else spelled
            assert not [text for text in texts if core in text], (place, spelled)


def _kept(folder: Path) -> Iterator[str]:
    """Everything that the ledger and the reports of a run say."""
    ledger = folder / "run.ledger"
    if not ledger.exists():
        return
    with Ledger.open(ledger) as book:
        yield "\n".join(str(event) for event in book.list_events())
    with suppress(SharekitError):
        yield sharekit.status(ledger).rows.to_csv()
        for path in sharekit.report(ledger, *(folder / f"r.{x}" for x in ("xlsx", "html", "csv"))):
            if path.suffix == ".xlsx":
                with zipfile.ZipFile(path) as parts:
                    yield from (
                        parts.read(name).decode("utf-8", "replace") for name in parts.namelist()
                    )
            else:
                yield path.read_text("utf-8")


@pytest.mark.parametrize("more", ["ada:s3cret-word@", "s3cret-word@"])
@pytest.mark.parametrize("key", ["auth_url", "ims_endpoint_override", "image_endpoint_override"])
def test_users_in_addresses_are_refused(tmp_path: Path, key: str, more: str) -> None:
    """An address is recorded, so a user or password in it is refused, and not shown."""
    for url in (f"https://{more}ims.example", "https://ims.example/?key=s3cret-word"):
        settings = entry(url) if key == "auth_url" else entry("https://iam.example", **{key: url})
        with pytest.raises(SignInError, match=f"{key} has more in it than scheme") as error:
            sharekit.connect(config_file=written(tmp_path, here=settings))
        assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://u:s3cret-word@{}", "http://{}/?t=1", "http://{}/the-secret-token"]
)
def test_a_catalog_with_more_than_addresses(tmp_path: Path, url: str) -> None:
    """A catalog that names a user, a query or the token in an address is refused."""
    seen: list[Any] = []

    usual = cloud_at(seen)

    def answer(method: str, path: str) -> Any:
        if path.startswith("/v3/auth"):
            return token(url.format(seen[0].url.removeprefix("http://")))
        return usual(method, path)

    with serving(answer) as server:
        seen.append(server)
        with pytest.raises(CloudError, match="more in it than scheme, host and path") as error:
            sharekit.connect(config_file=written(tmp_path, here=entry(server.url)))
    assert "s3cret" not in str(error.value)
    assert "the-secret-token" not in str(error.value)


# -- tracebacks with variables ---------------------------------------------------------------------
def with_variables(call: Callable[[], object]) -> str:
    """What rich and IPython show of a call's failure, with the variables of every frame."""
    try:
        call()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - any failure is to be shown
        console = Console(width=400, record=True, quiet=True)
        shown = Traceback.from_exception(
            type(error), error, error.__traceback__, show_locals=True, locals_max_length=10_000,
            locals_max_string=None,  # type: ignore[arg-type]
        )  # fmt: skip
        console.print(shown)
        verbose = VerboseTB(include_vars=True).text(type(error), error, error.__traceback__)
        notes = "".join(getattr(error, "__notes__", ()))
        return console.export_text() + re.sub(r"\x1b\[[\d;]*m", "", str(verbose)) + notes
    raise AssertionError("the call did not fail")


def not_in(text: str, *secrets: str) -> None:
    """Neither whole secrets nor their start are in a text."""
    assert "Error" in text or "Interrupt" in text
    for secret in secrets:
        assert secret[:24] not in text


@pytest.mark.parametrize("kind", ["refused", "unreachable", "bug"])
def test_tracebacks_of_a_sign_in_that_fails(
    world: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A wrong password, a silent service and a fault of ours show no password."""
    w = world(rows=2)
    url = "http://127.0.0.1:9" if kind == "unreachable" else w.cloud.url
    config = written(tmp_path, here=entry(url))

    def faulty(*arguments: object, **_: object) -> None:
        raise RuntimeError(f"planted: {PASSWORD}")

    if kind == "bug":
        monkeypatch.setattr("sharekit.clouds.sign_in.find_endpoints", faulty)
        monkeypatch.setattr(Transport, "token", faulty)
    text = with_variables(partial(sharekit.connect, config_file=config))
    not_in(text, PASSWORD)
    assert ("planted: ***" in text) == (kind == "bug")
    if kind == "bug":
        assert "in _sign_in" in text  # where it happened is told, without variables


@pytest.mark.parametrize("kind", ["down", "bug", "interrupted"])
@pytest.mark.parametrize("step", ["check", "submit", "audit", "review"])
def test_tracebacks_of_calls_that_fail(
    world: Make, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    """A cloud that is gone, a fault of ours and Ctrl-C show neither token nor password."""
    w = world(rows=20)
    plan = w.plan() if step == "review" else w.approved()
    password = yaml.safe_load(w.config.read_text())["clouds"][w.names[0]]["auth"]["password"]
    clouds = w.connect()
    tokens = [cloud.transport.token() for cloud in clouds.values()]
    inventory = sharekit.read_inventory(w.shares)

    def faulty(*_: object, **__: object) -> None:
        raise KeyboardInterrupt if kind == "interrupted" else RuntimeError(f"planted {tokens[0]}")

    for cloud in clouds.values():
        cloud.transport.read_attempts = 1
    if kind == "down":
        w.cloud.set_faults(Faults.parse("cut_before=1"))
    else:
        monkeypatch.setattr(Transport, "_parse", faulty)
    calls: dict[str, Callable[[], object]] = {
        "check": partial(sharekit.check, inventory, clouds),
        "submit": partial(sharekit.submit, plan, clouds, settings=FAST),
        "audit": partial(_audited, inventory, clouds),
        "review": partial(_reviewed, plan.path, clouds),
    }
    text = with_variables(calls[step])
    not_in(text, password, *tokens)
    assert "localhost" not in text
    if kind == "bug":
        assert re.search(r"planted (\*\*\*|\{SHA256\})", text)
        assert "in call" in text or step == "review"  # a run in the background tells the reason


def _audited(inventory: sharekit.Inventory, clouds: sharekit.Clouds) -> None:
    audit = sharekit.audit(inventory, clouds)
    if len(audit.read_errors):  # a project that could not be read is a result, not an exception
        raise CloudError("; ".join(audit.read_errors["reason"]))


def _reviewed(path: Path, clouds: sharekit.Clouds) -> None:
    review = sharekit.review(path, clouds)
    review.approve("Ada", review.state.phrase)
    review.submit(clouds).wait()
