"""One request on its way through the simulator, and who sent it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from werkzeug.wrappers import Request

from .faults import FaultInjector
from .responses import ResponseError, error_response, glance_error, ims_error
from .seed import User
from .services import aksk_verifier
from .state import CloudState, ImageStore, LogEntry, Token, utcnow

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@dataclass(frozen=True)
class Caller:
    """An authenticated user in the scope of a project."""

    user: User
    project_id: str

    @property
    def may_write(self) -> bool:
        """True if the user may change shares."""
        return self.user.role != "reader"

    @property
    def is_admin(self) -> bool:
        """True if Glance lets the user act for any project."""
        return self.user.role == "admin"


class RequestContext(Request):
    """A request with everything a handler needs."""

    def __init__(
        self, environ: WSGIEnvironment, state: CloudState, injector: FaultInjector
    ) -> None:
        super().__init__(environ)
        self.state = state
        self.injector = injector
        self.request_id = f"req-{uuid4()}"

    @property
    def images(self) -> ImageStore:
        """The images of the cloud and their shares."""
        return self.state.images

    @property
    def base(self) -> str:
        """The URL of the server as the client wrote it, without a path."""
        return f"http://{self.environ.get('HTTP_HOST', 'localhost')}"

    @property
    def json(self) -> Any:
        """The body as JSON, or None when it is none."""
        return self.get_json(force=True, silent=True)

    @cached_property
    def caller(self) -> Caller:
        """The caller; raise a response of 401 in the style of the service that was called."""
        if aksk_verifier.access_key(self.environ.get("HTTP_AUTHORIZATION", "")):
            return self._signed()
        token = find_token(self, self.environ.get("HTTP_X_AUTH_TOKEN", ""))
        if token is None or token.project is None:
            raise self.unauthorised()
        if (uses := self.injector.faults.token_uses) and next(token.uses) > uses:
            raise self.unauthorised()
        return Caller(token.user, token.project.id)

    def unauthorised(self) -> ResponseError:
        """Return a response of 401 in the style of the service that was called."""
        self.state.identity.unauthorised += 1
        if "cloudimages" in self.path or "/jobs/" in self.path:
            return ims_error(401, "IMG.0087", "The token is invalid or has expired.")
        text = "The request you have made requires authentication."
        body = {"error": {"code": 401, "title": "Unauthorized", "message": text}}
        keystone = ("WWW-Authenticate", f'Keystone uri="{self.base}/v3"')
        return error_response(body, 401, (keystone,))

    def _signed(self) -> Caller:
        user = self.signer
        projects = [p.id for p in self.state.identity.projects_of(user)]
        named = self.environ.get("HTTP_X_PROJECT_ID", "")
        project_id = named or (projects[0] if len(projects) == 1 else "")
        if project_id not in projects:
            raise self._gateway("X-Project-Id names no project of this key")
        return Caller(user, project_id)

    @cached_property
    def signer(self) -> User:
        """The user whose access key signed the request; raise 401 if the signature is wrong."""
        access = aksk_verifier.access_key(self.environ.get("HTTP_AUTHORIZATION", ""))
        key = self.state.identity.keys.get(access)
        if key is None:
            raise self._gateway("the access key is unknown")
        headers = {k.lower(): v for k, v in self.headers.items()}
        signed = aksk_verifier.SignedRequest(
            self.method, self.environ["RAW_URI"], headers, self.get_data()
        )
        if why := aksk_verifier.signature_error(signed, key.secret, utcnow()):
            raise self._gateway(why)
        if headers.get("x-security-token", "") != key.security_token:
            raise self._gateway("the security token is missing or wrong")
        return self.state.identity.users[key.user_id]

    def _gateway(self, why: str) -> ResponseError:
        self.state.identity.unauthorised += 1
        text = f"Incorrect IAM authentication information: {why}"
        return error_response({"error_code": "APIGW.0301", "error_msg": text}, 401)

    def number(self, name: str, default: int, refusal: ResponseError) -> int:
        """Return a whole number of the query; raise the refusal if it is none."""
        text = self.args.get(name, str(default))
        if not text.isdecimal():
            raise refusal
        return int(text)

    def log_change(self, images: list[str], projects: list[str], status: str) -> LogEntry:
        """Log that this request means to change members; return its entry in the log."""
        entry = LogEntry(self.request_id, self.method, self.path, images, projects, status)
        self.state.log.append(entry)
        return entry

    def glance(self, status: int, message: str) -> ResponseError:
        """Return a refusal in Glance's style."""
        return glance_error(status, message, self.environ.get("HTTP_ACCEPT", ""))


def find_token(context: RequestContext, token_id: str) -> Token | None:
    """Return a token that is valid now, or None."""
    token = context.state.identity.tokens.get(token_id)
    if token is None:
        return None
    end, lifetime = token.expires_at, context.injector.faults.token_lifetime
    if lifetime:
        end = min(end, token.issued_at + timedelta(seconds=lifetime))
    return token if utcnow() < end else None
