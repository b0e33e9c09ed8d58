"""What the application answers: nobody without its token, and no other name, site or account."""

from __future__ import annotations

import json
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.interfaces import browsing

pytestmark = pytest.mark.slow
SOCKET = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


@dataclass
class Application:
    """A running application: its address, its page's kernel, and what a browser of it sends."""

    port: int
    token: str
    kernel: str
    cookie: dict[str, str]
    folder: Path

    def paths(self) -> dict[str, dict[str, str]]:
        """Every kind of address, with what asks for it."""
        kernel = f"/api/kernels/{self.kernel}"
        plain = [
            "/", "/login", kernel, "/voila/static/voila.js", "/voila/files/sharekit.ipynb",
            "/voila/files/open.html", "/voila/templates/sharekit/static/x.js",
            "/voila/labextensions/anywidget/package.json", "/voila/api/themes/x.css", "/nothing",
        ]  # fmt: skip
        return {**{path: {} for path in plain}, f"{kernel}/channels": SOCKET}

    def ask(self, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str, str]:
        """Send one request; return its status, where it leads, and the body."""
        asked = HTTPConnection("127.0.0.1", self.port, timeout=60)
        asked.putrequest(method, path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{self.port}", **headers}.items():
            asked.putheader(name, value)
        asked.endheaders()
        answer = asked.getresponse()
        try:
            body = "" if answer.status == 101 else answer.read().decode(errors="replace")
            return answer.status, answer.getheader("Location", ""), body
        finally:
            asked.close()


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """One application, with a page that is open, started in a folder that somebody prepared."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "clouds.yaml").write_text("clouds: {}\n")
    (folder / "home").mkdir()
    for name in ("voila.py", "json.py", "sharekit.py", "ipython_config.py"):
        (folder / "home" / name).write_text("open('run', 'w').close()\n")
    with browsing.app(folder, folder / "home", folder / "clouds.yaml") as url:
        parts = urlsplit(url)
        assert parts.port is not None
        made = Application(parts.port, parts.query.partition("token=")[2], "", {}, folder)
        asked = HTTPConnection("127.0.0.1", parts.port, timeout=60)
        asked.request("GET", f"/login?token={made.token}")
        given = asked.getresponse().getheader("Set-Cookie", "")
        asked.close()
        made.cookie = {"Cookie": given.partition(";")[0]}
        page = made.ask("/", made.cookie)[2]
        found = re.search(r'"kernelId": "([\w-]+)"', page)
        assert found, page[-2000:]
        made.kernel = found[1]
        yield made


def test_its_own_page_is_answered(application: Application) -> None:
    """The browser with the token gets the page and the kernel's socket; so the others are refused
    for what they are."""  # noqa: D205, D209
    kernel = f"/api/kernels/{application.kernel}"
    own = {**application.cookie, "Origin": f"http://127.0.0.1:{application.port}"}
    assert application.ask("/voila/static/voila.js", own)[0] == 200
    assert application.ask(kernel, own)[0] == 200
    assert application.ask(f"{kernel}/channels", own | SOCKET)[0] == 101
    assert application.ask(kernel, {"Authorization": f"token {application.token}"})[0] == 200


@pytest.mark.parametrize(
    "foreign",
    [
        {"Host": "evil.example"}, {"Host": "evil.example:{port}"}, {"Host": "{port}"},
        {"Host": "127.0.0.1.evil.example:{port}"}, {"Host": "127.0.0.1:1"}, {"Host": ""},
        {"Host": "192.168.0.1:{port}"}, {"Host": "localhost.:{port}"},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"}, {"Origin": "http://localhost:{port}"},
        {"Sec-WebSocket-Origin": "http://evil.example"},
        {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
    ],
    ids=str,
)  # fmt: skip
def test_other_hosts_and_origins_are_refused(
    application: Application, foreign: dict[str, str]
) -> None:
    """Even with the token, at every address, and for the kernel's socket."""
    told = {name: value.format(port=application.port) for name, value in foreign.items()}
    for path, headers in application.paths().items():
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            sent = {**application.cookie, **headers, **told}
            assert application.ask(path, sent, method)[0] in (400, 403), (path, method)
            assert application.ask(f"{path}?token={application.token}", sent)[0] in (400, 403), path


@pytest.mark.parametrize(
    "known",
    [
        {}, {"Authorization": "token wrong"}, {"Authorization": "Bearer "},
        {"Cookie": "username-127-0-0-1-{port}=2|1:0|10:1|1:x|4:e30=|00"},
    ],
    ids=str,
)  # fmt: skip
def test_without_the_token_there_is_only_the_page_that_asks_for_it(
    application: Application, known: dict[str, str]
) -> None:
    """No file, no kernel and no socket: a page leads to the sign-in, all else is refused."""
    sent = {name: value.format(port=application.port) for name, value in known.items()}
    for path, headers in application.paths().items():
        for given in ("", "?token=", "?token=wrong"):
            status, leads, body = application.ask(path + given, {**headers, **sent})
            assert application.token not in body
            if path == "/login":
                assert status == 200
                continue
            assert status in (302, 403, 404), (path, status)
            assert status != 302 or leads.startswith(
                ("/login?", f"http://127.0.0.1:{application.port}/login?")
            )
            assert status != 404 or path == "/nothing"
        kernel = f"/api/kernels/{application.kernel}"
        for method, target in (
            ("DELETE", kernel),
            ("POST", f"/voila/api/shutdown/{application.kernel}"),
        ):
            assert application.ask(target, sent, method)[0] == 403
    assert application.ask(kernel, application.cookie)[0] == 200


def test_it_is_for_this_account_on_this_machine(application: Application) -> None:
    """One loopback address is listened on, the kernel's sockets are files of the account, and
    nothing of the working directory was run."""  # noqa: D205, D209
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", application.port))
    (file,) = Path("/tmp").glob(f"voila_*/kernel-{application.kernel}.json")
    assert json.loads(file.read_text())["transport"] == "ipc"
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o777 == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (application.folder / "home" / "run").exists()
    assert application.token not in (application.folder / "home" / "server.log").read_text()


def test_files_of_the_folder_have_no_address(application: Application) -> None:
    """Not even with the token: workbooks, ledgers and reports come by the page alone."""
    (application.folder / "x.png").write_bytes(b"x")
    for name in ("clouds.yaml", "x.png", "sharekit.ipynb", "../clouds.yaml", "home/server.log"):
        for place in ("/voila/files/", "/", "/voila/render/", "/voila/static/", "/files/"):
            status, leads, body = application.ask(f"{place}{name}", application.cookie)
            if status == 302:
                status, _, body = application.ask(leads, application.cookie)
            assert status in (403, 404, 500), place + name
            assert "clouds: {}" not in body


def test_only_the_token_signs_in(application: Application) -> None:
    """The page that asks for it takes the token alone, and sets no password instead of it."""
    asked = HTTPConnection("127.0.0.1", application.port, timeout=60)
    asked.request("GET", "/login")
    answer = asked.getresponse()
    xsrf = answer.getheader("Set-Cookie", "").partition(";")[0]
    assert b"token" in answer.read()
    for body, status in (
        ("password=", 401), ("password=wrong", 401), ("password=wrong&new_password=mine", 401),
        (f"password={application.token}", 302), ("", 401),
    ):  # fmt: skip
        form = f"{body}&_xsrf={xsrf.partition('=')[2].replace('|', '%7C')}"
        sent = {"Cookie": xsrf, "Content-Type": "application/x-www-form-urlencoded"}
        asked.request("POST", "/login", form, sent)
        answer = asked.getresponse()
        answer.read()
        assert answer.status == status, body
    asked.request("POST", "/login", f"password={application.token}", sent | {"Cookie": ""})
    assert asked.getresponse().status == 403
    asked.close()
