"""One request on its way through the simulator, and who sent it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

from sharekit.simulator import signing
from sharekit.simulator.answers import AnswerError, glance_error, ims_error, ok
from sharekit.simulator.faults import Chaos
from sharekit.simulator.seed import Project, User
from sharekit.simulator.world import Token, World, utcnow


@dataclass(frozen=True)
class Caller:
    """An authenticated user in the scope of a project."""

    user: User
    project_id: str

    @property
    def may_write(self) -> bool:
        """Whether the user may change shares."""
        return self.user.role != "reader"


@dataclass
class Call:
    """A request with everything a handler needs; ``body`` has been read from the connection."""

    world: World
    chaos: Chaos
    request: Request
    body: bytes
    request_id: str

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
        """Who calls; raises an answer of 401 in the manner of the service that was called."""
        headers = self.request.environ
        if signing.access_key(headers.get("HTTP_AUTHORIZATION", "")):
            return self._signed()
        token = find_token(self, headers.get("HTTP_X_AUTH_TOKEN", ""))
        if token is None or token.project is None:
            raise self._unauthorised()
        return Caller(token.user, token.project.id)

    def _unauthorised(self) -> AnswerError:
        self.world.unauthorised += 1
        if "cloudimages" in self.request.path or "/jobs/" in self.request.path:
            return ims_error(401, "IMG.0087", "The token is invalid or has expired.")
        text = "The request you have made requires authentication."
        return AnswerError(
            ok(
                {"error": {"code": 401, "title": "Unauthorized", "message": text}},
                401,
                (("WWW-Authenticate", f'Keystone uri="{self.base}/v3"'),),
            )
        )

    def _signed(self) -> Caller:
        user = self.signer
        projects = [p.id for p in projects_of(self.world, user)]
        named = self.request.environ.get("HTTP_X_PROJECT_ID", "")
        project_id = named or (projects[0] if len(projects) == 1 else "")
        if project_id not in projects:
            raise self._gateway("X-Project-Id names no project of this key")
        return Caller(user, project_id)

    @cached_property
    def signer(self) -> User:
        """Whose access key signed the request; raises an answer of 401 unless all of it holds."""
        environ = self.request.environ
        key = self.world.keys.get(signing.access_key(environ.get("HTTP_AUTHORIZATION", "")))
        if key is None:
            raise self._gateway("the access key is unknown")
        headers = {k.lower(): v for k, v in self.request.headers.items()}
        signed = signing.Signed(self.request.method, environ["RAW_URI"], headers, self.body)
        if why := signing.fault(signed, key.secret, utcnow()):
            raise self._gateway(why)
        if headers.get("x-security-token", "") != key.security_token:
            raise self._gateway("the security token is missing or wrong")
        return self.world.users[key.user_id]

    def _gateway(self, why: str) -> AnswerError:
        self.world.unauthorised += 1
        text = f"Incorrect IAM authentication information: {why}"
        return AnswerError(ok({"error_code": "APIGW.0301", "error_msg": text}, 401))

    def glance(self, status: int, message: str) -> AnswerError:
        """Return a refusal in Glance's manner."""
        return glance_error(status, message, self.accept)


def find_token(call: Call, token_id: str) -> Token | None:
    """Return a token that holds now, or None."""
    token = call.world.tokens.get(token_id)
    if token is None:
        return None
    end, kill = token.expires_at, call.chaos.faults.token_kill
    if kill:
        end = min(end, token.issued_at + timedelta(seconds=kill))
    return token if utcnow() < end else None


def projects_of(world: World, user: User) -> list[Project]:
    """Return the projects in which a user has a role."""
    return [p for p in world.projects.values() if not user.projects or p.id in user.projects]
