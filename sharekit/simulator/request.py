"""One request on its way through the simulator, and who sent it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

from .faults import FaultInjector
from .responses import ResponseError, error_response, glance_error, ims_error
from .seed import User
from .services import aksk_verifier
from .state import CloudState, ImageStore, Token, utcnow


@dataclass(frozen=True)
class Caller:
    """An authenticated user in the scope of a project."""

    user: User
    project_id: str

    @property
    def may_write(self) -> bool:
        """True if the user may change shares."""
        return self.user.role != "reader"


@dataclass
class RequestContext:
    """A request with everything a handler needs; ``body`` has been read from the connection."""

    state: CloudState
    injector: FaultInjector
    request: Request
    body: bytes
    request_id: str

    @property
    def images(self) -> ImageStore:
        """The images of the cloud and their shares."""
        return self.state.images

    @property
    def args(self) -> MultiDict[str, str]:
        """The query."""
        return self.request.args

    @property
    def base(self) -> str:
        """The URL of the server as the client wrote it, without a path."""
        return f"http://{self.request.environ.get('HTTP_HOST', 'localhost')}"

    @property
    def accept(self) -> str:
        """The Accept header."""
        return str(self.request.environ.get("HTTP_ACCEPT", ""))

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def caller(self) -> Caller:
        """The caller; raise a response of 401 in the style of the service that was called."""
        headers = self.request.environ
        if aksk_verifier.access_key(headers.get("HTTP_AUTHORIZATION", "")):
            return self._signed()
        token = find_token(self, headers.get("HTTP_X_AUTH_TOKEN", ""))
        if token is None or token.project is None:
            raise self._unauthorised()
        return Caller(token.user, token.project.id)

    def _unauthorised(self) -> ResponseError:
        self.state.identity.unauthorised += 1
        if "cloudimages" in self.request.path or "/jobs/" in self.request.path:
            return ims_error(401, "IMG.0087", "The token is invalid or has expired.")
        text = "The request you have made requires authentication."
        body = {"error": {"code": 401, "title": "Unauthorized", "message": text}}
        keystone = ("WWW-Authenticate", f'Keystone uri="{self.base}/v3"')
        return error_response(body, 401, (keystone,))

    def _signed(self) -> Caller:
        user = self.signer
        projects = [p.id for p in self.state.identity.projects_of(user)]
        named = self.request.environ.get("HTTP_X_PROJECT_ID", "")
        project_id = named or (projects[0] if len(projects) == 1 else "")
        if project_id not in projects:
            raise self._gateway("X-Project-Id names no project of this key")
        return Caller(user, project_id)

    @cached_property
    def signer(self) -> User:
        """The user whose access key signed the request; raise 401 if the signature is wrong."""
        environ = self.request.environ
        access = aksk_verifier.access_key(environ.get("HTTP_AUTHORIZATION", ""))
        key = self.state.identity.keys.get(access)
        if key is None:
            raise self._gateway("the access key is unknown")
        headers = {k.lower(): v for k, v in self.request.headers.items()}
        signed = aksk_verifier.SignedRequest(
            self.request.method, environ["RAW_URI"], headers, self.body
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

    def glance(self, status: int, message: str) -> ResponseError:
        """Return a refusal in Glance's style."""
        return glance_error(status, message, self.accept)


def find_token(context: RequestContext, token_id: str) -> Token | None:
    """Return a token that is valid now, or None."""
    token = context.state.identity.tokens.get(token_id)
    if token is None:
        return None
    end, lifetime = token.expires_at, context.injector.faults.token_lifetime
    if lifetime:
        end = min(end, token.issued_at + timedelta(seconds=lifetime))
    return token if utcnow() < end else None
