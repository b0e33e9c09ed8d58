"""A small server that answers as a test says, for what no good cloud would do."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: Method, path -> status, body, further headers; None gives no answer at all until the end.
Answers = Callable[[str, str], tuple[int, object, dict[str, str]] | None]
_JSON = {"Content-Type": "application/json"}
PROJECT = "0123456789abcdef0123456789abcdef"


@dataclass
class Seen:
    """What a server was asked, with its headers, and where it is."""

    url: str
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(
    answers: Answers, certificate: Path | None = None, *, only_known: bool = False
) -> Iterator[Seen]:
    """Serve on a free port; a string as body goes out as it is, anything else as JSON.

    ``only_known`` lets in only clients that show the server's own certificate.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            seen.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            seen.requests.append((self.command, self.path, dict(self.headers)))
            answer = answers(self.command, self.path)
            if answer is None:
                seen.end.wait(60)
                self.close_connection = True
                return
            status, body, headers = answer
            sent = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(sent))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_PUT = do_POST = do_CONNECT = handle_one  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if only_known:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    seen = Seen(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield seen
    finally:
        seen.end.set()
        server.shutdown()
        server.server_close()
        thread.join()


def token(url: str, region: str = "here", service: str = "image") -> tuple[int, object, dict]:
    """What Keystone answers to a good sign-in, with one service in its catalog."""
    endpoint = {"interface": "public", "region": region, "region_id": region, "url": url, "id": "e"}
    body = {
        "token": {
            "methods": ["password"],
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "ada", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": PROJECT, "name": "p", "domain": {"id": "default", "name": "D"}},
            "roles": [{"id": "r", "name": "member"}],
            "catalog": [{"type": service, "name": service, "id": "s", "endpoints": [endpoint]}],
        }
    }
    return 201, body, {"X-Subject-Token": "the-secret-token"}


def strict_keystone(seen: list[Seen]) -> Answers:
    """Return answers of Keystone's schema check, which quotes what it was sent, and of Keystone."""

    def answer(method: str, path: str) -> tuple[int, object, dict[str, str]]:
        if method == "GET":
            links = [{"rel": "self", "href": f"{seen[0].url}/v3/"}]
            return 200, {"version": {"id": "v3.14", "status": "stable", "links": links}}, _JSON
        auth = json.loads(seen[0].bodies[-1])["auth"]
        status, message = _refusal(auth["identity"], auth.get("scope", {}))
        return status, {"error": {"code": status, "message": message, "title": "no"}}, _JSON

    return answer


def _refusal(identity: dict, scope: dict) -> tuple[int, str]:
    if "application_credential" in identity:
        return 401, "Application credentials cannot request a scope." if scope else "Unauthorized"
    user = identity.get("password", {}).get("user", {})
    password, project = user.get("password"), scope.get("project", {})
    if not isinstance(password, str):
        field = "identity/password/user/password"
        return 400, f"Invalid input for field '{field}': {password!r} is not of type 'string'"
    for owner, given in (("user", user), ("project", project)):
        if given and "id" not in given and "domain" not in given:
            return 400, f"Expecting to find domain in {owner}. The server could not comply."
    return 400, f"Malformed: {password}"
