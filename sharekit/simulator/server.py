"""The WSGI application and its HTTP server: routes, faults, connections that stay open."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sharekit.core.errors import InputError

from . import control, unfriendly
from .faults import FaultInjector, Faults
from .request import RequestContext
from .responses import ConnectionCutError, Response, ResponseError, error_response
from .seed import Seed
from .services import cbr, glance, ims_images, ims_jobs, ims_members, keystone
from .state import CloudState

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Handler = Callable[..., Response]

#: (group, method, path, handler); the group decides about faults and ``native_only``.
ROUTES: tuple[tuple[str, str, str, Handler], ...] = (
    ("identity", "GET", "/", keystone.versions),
    ("identity", "GET", "/v3", keystone.version),
    ("identity", "POST", "/v3/auth/tokens", keystone.sign_in),
    ("identity", "GET", "/v3/auth/tokens", keystone.validate),
    ("identity", "GET", "/v3/auth/projects", keystone.projects),
    ("identity", "GET", "/v3/projects", keystone.projects),
    ("discovery", "GET", "/image", glance.versions),
    ("image", "GET", "/v2/images", glance.listing),
    ("image", "GET", "/v2/images/<image_id>", glance.show),
    ("image", "GET", "/v2/images/<image_id>/members", glance.members),
    ("image", "POST", "/v2/images/<image_id>/members", glance.add),
    ("image", "GET", "/v2/images/<image_id>/members/<project_id>", glance.member),
    ("image", "PUT", "/v2/images/<image_id>/members/<project_id>", glance.decide),
    ("image", "DELETE", "/v2/images/<image_id>/members/<project_id>", glance.withdraw),
    ("ims", "GET", "/v2/cloudimages", ims_images.listing),
    ("ims", "PUT", "/v1/cloudimages/members", ims_members.decide),
    ("ims", "POST", "/v1/cloudimages/members", ims_members.share),
    ("ims", "DELETE", "/v1/cloudimages/members", ims_members.withdraw),
    ("ims", "GET", "/v1/cloudimages/job/<job_id>", ims_jobs.with_progress),
    ("ims", "GET", "/v1/<project_id>/jobs/<job_id>", ims_jobs.with_results),
    ("cbr", "GET", "/v3/<project_id>/vaults", cbr.listing),
    ("control", "GET", "/simulator/state", control.state),
    ("control", "POST", "/simulator/seed", control.seed),
    ("control", "POST", "/simulator/faults", control.faults),
    ("control", "POST", "/simulator/members", control.members),
)
#: The catalog's service prefixes; every service is found below any of them, and without.
_PREFIXES = ("/image/", "/ims/", "/cbr/")
_EXTENSIONS = ("ims", "cbr")
_FAULTLESS = ("control", "discovery")
_NOT_FOUND = "The resource could not be found."
_GARBAGE = b"<html><body><h1>Gateway</h1><p>Please try again.</p></body></html>"


class Application:
    """The simulated cloud as a WSGI application."""

    def __init__(self, seed: Seed, faults: Faults) -> None:
        self.state = CloudState(seed)
        self.injector = FaultInjector(faults)
        rules = (
            Rule(path, methods=[method], endpoint=(group, f"{method} {path}", handler))
            for group, method, path, handler in ROUTES
        )
        self._map = Map(rules, strict_slashes=False, merge_slashes=False, redirect_defaults=False)
        self._urls = self._map.bind("simulator")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; raises ConnectionCutError where a fault cuts the connection."""
        context = RequestContext(environ, self.state, self.injector)
        response = _outcome(partial(self._route, context))
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("X-Request-Id", context.request_id),
            ("X-Openstack-Request-Id", context.request_id),
            *response.headers,
        ]
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", headers)
        return [response.body]

    def _route(self, context: RequestContext) -> Response:
        path = context.environ["PATH_INFO"]
        for prefix in _PREFIXES:
            if path.startswith(prefix) and len(path) > len(prefix):
                path = path[len(prefix) - 1 :]
                break
        try:
            (group, label, handler), values = self._urls.match(path, context.method)
        except HTTPException as error:
            raise context.glance(error.code or 404, _NOT_FOUND) from error
        work: Callable[[], Response] = partial(handler, context, **values)
        if group == "control":
            with self.state.locked_and_advanced():
                return work()
        if group in _EXTENSIONS and self.state.settings.native_only:
            raise context.glance(404, _NOT_FOUND)
        with self.injector.in_flight() as others:
            return self._faulty(context, group, label, work, others)

    def _faulty(
        self,
        context: RequestContext,
        group: str,
        label: str,
        work: Callable[[], Response],
        others: int,
    ) -> Response:
        faults = self.injector.faults
        delay = faults.latency + (faults.slow_read if context.method == "GET" else 0.0)
        if delay := delay + faults.latency_per_request * others:
            time.sleep(delay)
        exempt = group in _FAULTLESS or (group == "identity" and not faults.affect_sign_in)
        with self.state.locked_and_advanced() as state:
            state.requests[label] += 1
            if not exempt:
                full = 0 < faults.max_concurrent <= others
                self._before(full=full, reading=context.method == "GET")
            response = _outcome(partial(unfriendly.handle, context, label, work))
        if not exempt and self.injector.should_fail("cut_after"):
            raise ConnectionCutError
        if not exempt and self.injector.should_fail("garbage"):
            return Response(200, _GARBAGE, content_type="text/html")
        return response

    def _before(self, *, full: bool, reading: bool) -> None:
        if self.injector.should_fail("cut_before"):
            raise ConnectionCutError
        wait = self.injector.faults.retry_after
        headers = (("Retry-After", f"{wait:g}"),) if wait else ()
        faults = [("p503", 503), ("p500", 500), ("p429", 429)]
        if reading:
            faults.append(("read_503", 503))
        for name, status in faults:
            if self.injector.should_fail(name) or (full and status == 429):
                body = {"error": {"message": HTTPStatus(status).phrase, "code": ""}}
                raise error_response(body, status, () if status == 500 else headers)


def _outcome(work: Callable[[], Response]) -> Response:
    try:
        return work()
    except ResponseError as error:
        return error.response


class KeepAliveHandler(WSGIRequestHandler):
    """Werkzeug's request handler with connections that stay open.

    Werkzeug closes the connection after every response. Here the body is read before the
    application runs, so the connection is always at the start of a request; the whole response
    leaves in one write, so that Nagle's algorithm has nothing to hold back.
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
        except ConnectionCutError:
            self.close_connection = True
            return
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        if self.close_connection:
            head.append("Connection: close")
        self.wfile.write("\r\n".join((*head, "", "")).encode("latin-1") + body)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Write nothing: thousands of requests would drown what matters."""


def make_http_server(
    seed: Seed, faults: Faults, *, host: str = "127.0.0.1", port: int = 0
) -> BaseWSGIServer:
    """Return a server that listens already; ``serve_forever()`` serves, ``shutdown()`` ends it.

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
