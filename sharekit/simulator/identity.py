"""Keystone v3: discovery, sign-in by password or token, the catalog, projects."""

from __future__ import annotations

import hmac
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sharekit.simulator.answers import Answer, AnswerError, keystone_error, ok
from sharekit.simulator.calls import Call, find_token, projects_of
from sharekit.simulator.seed import Project, User
from sharekit.simulator.world import Token, stamp

_STARTED = "2025-01-01T00:00:00Z"
_DENIED = "The request you have made requires authentication."


def versions(call: Call) -> Answer:
    """``GET /``: every API version of the identity service."""
    return ok({"versions": {"values": [_version(call)]}}, 300)


def version(call: Call) -> Answer:
    """``GET /v3``: the identity API."""
    return ok({"version": _version(call)})


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": _STARTED,
        "links": [{"rel": "self", "href": f"{call.base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/json"}],
    }


def sign_in(call: Call) -> Answer:
    """``POST /v3/auth/tokens``: 201 with the token in ``X-Subject-Token``, or 401."""
    auth = call.json.get("auth") if isinstance(call.json, dict) else None
    if not isinstance(auth, dict) or not isinstance(auth.get("identity"), dict):
        raise keystone_error(400, "The body needs auth.identity.")
    try:
        user, methods = _identify(call, auth["identity"])
        project = _scope(call, user, auth.get("scope"))
    except (KeyError, TypeError, AttributeError):
        raise keystone_error(400, "auth.identity or auth.scope is malformed.") from None
    token = call.world.issue(user, project, methods)
    return ok({"token": _token(call, token)}, 201, (("X-Subject-Token", token.id),))


def validate(call: Call) -> Answer:
    """``GET /v3/auth/tokens``: what the token in ``X-Subject-Token`` stands for."""
    _bearer(call)
    subject = call.request.headers.get("X-Subject-Token", "")
    token = find_token(call, subject)
    if token is None:
        raise keystone_error(404, "The subject token cannot be found.")
    return ok({"token": _token(call, token)}, headers=(("X-Subject-Token", subject),))


def projects(call: Call) -> Answer:
    """``GET /v3/auth/projects`` and ``/v3/projects``: where the caller has a role."""
    owned = projects_of(call.world, _user(call))
    if name := call.args.get("name"):
        owned = [p for p in owned if p.name == name]
    links = {"self": f"{call.base}{call.request.path}", "previous": None, "next": None}
    return ok({"projects": [_project(p) | {"enabled": True} for p in owned], "links": links})


def _user(call: Call) -> User:
    # Clients with an access key look their project up here before they have one to name.
    return call.signer if "HTTP_AUTHORIZATION" in call.request.environ else _bearer(call).user


def _bearer(call: Call) -> Token:
    token = find_token(call, call.request.headers.get("X-Auth-Token", ""))
    if token is None:
        call.world.unauthorised += 1
        raise keystone_error(401, _DENIED)
    return token


def _identify(call: Call, identity: dict[str, Any]) -> tuple[User, tuple[str, ...]]:
    methods = tuple(identity["methods"])
    if "token" in methods:
        token = find_token(call, identity["token"]["id"])
        if token is None:
            raise _denied(call)
        return token.user, (*token.methods, "token")
    given = identity["password"]["user"]
    named = (given.get("id"), given.get("name"), _domain(given))
    for user in call.world.users.values():
        if user.id == named[0] or (user.name == named[1] and _same(user.domain, named[2])):
            if hmac.compare_digest(user.password.encode(), given["password"].encode()):
                return user, methods
            break
    raise _denied(call)


def _scope(call: Call, user: User, scope: Any) -> Project | None:
    if not isinstance(scope, dict) or "project" not in scope:
        return None
    given = scope["project"]
    for project in projects_of(call.world, user):
        named = project.name == given.get("name") and _same(project.domain, _domain(given))
        if project.id == given.get("id") or named:
            return project
    raise _denied(call)


def _denied(call: Call) -> AnswerError:
    call.world.unauthorised += 1
    return keystone_error(401, _DENIED)


def _domain(given: dict[str, Any]) -> str:
    domain = given.get("domain") or {}
    return str(domain.get("name") or domain.get("id") or "")


def _same(domain: str, named: str) -> bool:
    return named in (domain, _domain_id(domain))


def _domain_id(domain: str) -> str:
    return "default" if domain == "Default" else uuid5(NAMESPACE_URL, domain).hex


def _project(project: Project) -> dict[str, Any]:
    domain = {"id": _domain_id(project.domain), "name": project.domain}
    return {"id": project.id, "name": project.name, "domain": domain, "domain_id": domain["id"]}


def _token(call: Call, token: Token) -> dict[str, Any]:
    user = token.user
    domain = {"id": _domain_id(user.domain), "name": user.domain}
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {"id": user.id, "name": user.name, "domain": domain, "password_expires_at": None},
        "issued_at": stamp(token.issued_at, digits=6),
        "expires_at": stamp(token.expires_at, digits=6),
        "audit_ids": [token.id[-22:]],
    }
    if token.project is not None:
        body["project"] = _project(token.project)
        body["roles"] = [{"id": uuid5(NAMESPACE_URL, user.role).hex, "name": user.role}]
        body["catalog"] = _catalog(call, token.project.id)
    return body


def _catalog(call: Call, project_id: str) -> list[dict[str, Any]]:
    services = {"identity": "/v3", "image": "/image"}
    if not call.world.settings.native_only:
        services |= {"ims": "/ims", "cbr": f"/cbr/v3/{project_id}"}
    return [_service(call, kind, path) for kind, path in services.items()]


def _service(call: Call, kind: str, path: str) -> dict[str, Any]:
    region = call.world.settings.region
    endpoints = [
        {
            "id": uuid5(NAMESPACE_URL, f"{kind}/{interface}").hex,
            "interface": interface,
            "region": region,
            "region_id": region,
            "url": f"{call.base}{path}",
        }
        for interface in ("public", "internal", "admin")
    ]
    return {
        "id": uuid5(NAMESPACE_URL, kind).hex,
        "type": kind,
        "name": kind,
        "endpoints": endpoints,
    }
