"""The WSGI application and its HTTP server: routes, faults, connections that stay open."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request

from sharekit.core.errors import InputError
from sharekit.simulator import batch, cloudimages, control, identity, images, jobs, vaults
from sharekit.simulator.answers import Answer, AnswerError, CutError, glance_error, ok
from sharekit.simulator.calls import Call
from sharekit.simulator.faults import Chaos, Faults
from sharekit.simulator.seed import Seed
from sharekit.simulator.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Handler = Callable[..., Answer]

#: (group, method, path, handler); the group decides about faults and ``native_only``.
ROUTES: tuple[tuple[str, str, str, Handler], ...] = (
    ("identity", "GET", "/", identity.versions),
    ("identity", "GET", "/v3", identity.version),
    ("identity", "POST", "/v3/auth/tokens", identity.sign_in),
    ("identity", "GET", "/v3/auth/tokens", identity.validate),
    ("identity", "GET", "/v3/auth/projects", identity.projects),
    ("identity", "GET", "/v3/projects", identity.projects),
    ("discovery", "GET", "/image", images.versions),
    ("image", "GET", "/v2/images", images.listing),
    ("image", "GET", "/v2/images/<image_id>", images.show),
    ("image", "GET", "/v2/images/<image_id>/members", images.members),
    ("image", "POST", "/v2/images/<image_id>/members", images.add),
    ("image", "GET", "/v2/images/<image_id>/members/<project_id>", images.member),
    ("image", "PUT", "/v2/images/<image_id>/members/<project_id>", images.decide),
    ("image", "DELETE", "/v2/images/<image_id>/members/<project_id>", images.withdraw),
    ("ims", "GET", "/v2/cloudimages", cloudimages.listing),
    ("ims", "PUT", "/v1/cloudimages/members", batch.decide),
    ("ims", "POST", "/v1/cloudimages/members", batch.share),
    ("ims", "DELETE", "/v1/cloudimages/members", batch.withdraw),
    ("ims", "GET", "/v1/cloudimages/job/<job_id>", jobs.with_progress),
    ("ims", "GET", "/v1/<project_id>/jobs/<job_id>", jobs.with_results),
    ("cbr", "GET", "/v3/<project_id>/vaults", vaults.listing),
    ("control", "GET", "/simulator/state", control.state),
    ("control", "POST", "/simulator/seed", control.seed),
    ("control", "POST", "/simulator/faults", control.faults),
    ("control", "POST", "/simulator/members", control.members),
)
#: The catalog's service prefixes; every service answers below any of them, and without.
_PREFIXES = ("/image/", "/ims/", "/cbr/")
_EXTENSIONS = ("ims", "cbr")
_FAULTLESS = ("control", "discovery")
_GARBAGE = b"<html><body><h1>Gateway</h1><p>Please try again.</p></body></html>"


class Application:
    """The simulated cloud as a WSGI application."""

    def __init__(self, seed: Seed, faults: Faults) -> None:
        self.world = World(seed)
        self.chaos = Chaos(faults)
        rules = (
            Rule(path, methods=[method], endpoint=(group, f"{method} {path}", handler))
            for group, method, path, handler in ROUTES
        )
        self._map = Map(rules, strict_slashes=False, merge_slashes=False, redirect_defaults=False)
        self._urls = self._map.bind("simulator")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; raises CutError where a fault cuts the connection."""
        request_id = f"req-{uuid4()}"
        call = Call(
            self.world, self.chaos, Request(environ), environ["wsgi.input"].read(), request_id
        )
        try:
            answer = self._route(call, environ)
        except AnswerError as error:
            answer = error.answer
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("X-Request-Id", request_id),
            ("X-Openstack-Request-Id", request_id),
            *answer.headers,
        ]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [answer.body]

    def _route(self, call: Call, environ: WSGIEnvironment) -> Answer:
        path = environ["PATH_INFO"]
        for prefix in _PREFIXES:
            if path.startswith(prefix) and len(path) > len(prefix):
                path = path[len(prefix) - 1 :]
                break
        method = environ["REQUEST_METHOD"]
        try:
            (group, label, handler), values = self._urls.match(path, method)
            work: Callable[[], Answer] = partial(handler, call, **values)
        except HTTPException as error:
            return glance_error(
                error.code or 404, "The resource could not be found.", call.accept
            ).answer
        if group == "control":
            with self.world.settled():
                return work()
        if group in _EXTENSIONS and self.world.settings.native_only:
            raise glance_error(404, "The resource could not be found.", call.accept)
        with self.chaos.under_way() as others:
            return self._faulty(call, group, label, work, others)

    def _faulty(
        self, call: Call, group: str, label: str, work: Callable[[], Answer], others: int
    ) -> Answer:
        faults = self.chaos.faults
        delay = faults.latency + (faults.slow_read if call.request.method == "GET" else 0.0)
        if delay := delay + faults.load * others:
            time.sleep(delay)
        spared = group in _FAULTLESS or (group == "identity" and not faults.identity)
        with self.world.settled() as world:
            world.requests[label] += 1
            if not spared:
                self._before(full=0 < faults.most <= others)
            answer = _outcome(work)
        if not spared and self.chaos.strikes("cut_after"):
            raise CutError
        if not spared and self.chaos.strikes("garbage"):
            return Answer(200, _GARBAGE, content_type="text/html")
        return answer

    def _before(self, *, full: bool) -> None:
        if self.chaos.strikes("cut_before"):
            raise CutError
        wait = self.chaos.faults.retry_after
        headers = (("Retry-After", f"{wait:g}"),) if wait else ()
        for name, status in (("p503", 503), ("p500", 500), ("p429", 429)):
            if self.chaos.strikes(name) or (full and status == 429):
                body = {"error": {"message": HTTPStatus(status).phrase, "code": ""}}
                raise AnswerError(ok(body, status, () if status == 500 else headers))


def _outcome(work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except AnswerError as error:
        return error.answer


class KeepAliveHandler(WSGIRequestHandler):
    """Werkzeug's request handler with connections that stay open.

    Werkzeug closes the connection after every answer. Here the body is read before the application
    runs, so the connection is always at the start of a request; the whole answer leaves in one
    write, so that Nagle's algorithm has nothing to hold back.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request, or cut the connection."""
        length = int(self.headers.get("Content-Length") or 0)
        self.environ = environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self.rfile.read(length) if length else b"")
        head: list[str] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
            head.append(f"HTTP/1.1 {status}")
            head.append(f"Date: {self.date_time_string()}")
            head.extend(f"{name}: {value}" for name, value in headers)

        try:
            body = b"".join(self.server.app(environ, start_response))
        except CutError:
            self.close_connection = True
            return
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        if self.close_connection:
            head.append("Connection: close")
        self.wfile.write("\r\n".join((*head, "", "")).encode("latin-1") + body)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Write nothing: thousands of requests would drown what matters."""


def make(seed: Seed, faults: Faults, *, host: str = "127.0.0.1", port: int = 0) -> BaseWSGIServer:
    """Return a server that listens already; ``serve_forever()`` answers, ``shutdown()`` ends it.

    Raises InputError when the port is taken.
    """
    application = Application(seed, faults)
    try:
        listener = socket.create_server((host, port), backlog=1024)
    except (OSError, OverflowError) as error:
        raise InputError(f"Port {port} cannot be used ({error}); name another one.") from error
    with listener:
        return make_server(
            host,
            listener.getsockname()[1],
            application,
            threaded=True,
            request_handler=KeepAliveHandler,
            fd=listener.fileno(),
        )
