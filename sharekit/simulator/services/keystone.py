"""Keystone v3: discovery, sign-in by password or token, the catalog, projects."""

from __future__ import annotations

import hmac
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sharekit.simulator.request import RequestContext, find_token
from sharekit.simulator.responses import Response, ResponseError, json_response, keystone_error
from sharekit.simulator.seed import Project, User
from sharekit.simulator.state import Token, api_time

_STARTED = "2025-01-01T00:00:00Z"


def versions(context: RequestContext) -> Response:
    """``GET /``: every API version of the identity service."""
    return json_response({"versions": {"values": [_version(context)]}}, 300)


def version(context: RequestContext) -> Response:
    """``GET /v3``: the identity API."""
    return json_response({"version": _version(context)})


def _version(context: RequestContext) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": _STARTED,
        "links": [{"rel": "self", "href": f"{context.base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/json"}],
    }


def sign_in(context: RequestContext) -> Response:
    """``POST /v3/auth/tokens``: 201 with the token in ``X-Subject-Token``, or 401."""
    auth = context.json.get("auth") if isinstance(context.json, dict) else None
    if not isinstance(auth, dict) or not isinstance(auth.get("identity"), dict):
        raise keystone_error(400, "The body needs auth.identity.")
    try:
        user, methods = _identify(context, auth["identity"])
        project = _scope(context, user, auth.get("scope"))
    except (KeyError, TypeError, AttributeError):
        raise keystone_error(400, "auth.identity or auth.scope is malformed.") from None
    token = context.state.identity.issue(user, project, methods)
    return json_response({"token": _token(context, token)}, 201, (("X-Subject-Token", token.id),))


def validate(context: RequestContext) -> Response:
    """``GET /v3/auth/tokens``: what the token in ``X-Subject-Token`` stands for."""
    _bearer(context)
    subject = context.headers.get("X-Subject-Token", "")
    token = find_token(context, subject)
    if token is None:
        raise keystone_error(404, "The subject token cannot be found.")
    return json_response({"token": _token(context, token)}, headers=(("X-Subject-Token", subject),))


def projects(context: RequestContext) -> Response:
    """``GET /v3/auth/projects`` and ``/v3/projects``: where the caller has a role."""
    owned = context.state.identity.projects_of(_user(context))
    if name := context.args.get("name"):
        owned = [p for p in owned if p.name == name]
    links = {"self": f"{context.base}{context.path}", "previous": None, "next": None}
    return json_response(
        {"projects": [_project(p) | {"enabled": True} for p in owned], "links": links}
    )


def _user(context: RequestContext) -> User:
    # Clients with an access key look their project up here before they have one to name.
    return context.signer if "HTTP_AUTHORIZATION" in context.environ else _bearer(context).user


def _bearer(context: RequestContext) -> Token:
    token = find_token(context, context.headers.get("X-Auth-Token", ""))
    if token is None:
        raise _denied(context)
    return token


def _identify(context: RequestContext, identity: dict[str, Any]) -> tuple[User, tuple[str, ...]]:
    methods = tuple(identity["methods"])
    if "token" in methods:
        token = find_token(context, identity["token"]["id"])
        if token is None:
            raise _denied(context)
        return token.user, (*token.methods, "token")
    given = identity["password"]["user"]
    named = (given.get("id"), given.get("name"), _domain(given))
    for user in context.state.identity.users.values():
        if user.id == named[0] or (user.name == named[1] and _same(user.domain, named[2])):
            if hmac.compare_digest(user.password.encode(), given["password"].encode()):
                return user, methods
            break
    raise _denied(context)


def _scope(context: RequestContext, user: User, scope: Any) -> Project | None:
    if not isinstance(scope, dict) or "project" not in scope:
        return None
    given = scope["project"]
    for project in context.state.identity.projects_of(user):
        named = project.name == given.get("name") and _same(project.domain, _domain(given))
        if project.id == given.get("id") or named:
            return project
    raise _denied(context)


def _denied(context: RequestContext) -> ResponseError:
    context.state.identity.unauthorised += 1
    return keystone_error(401, "The request you have made requires authentication.")


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


def _token(context: RequestContext, token: Token) -> dict[str, Any]:
    user = token.user
    domain = {"id": _domain_id(user.domain), "name": user.domain}
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {"id": user.id, "name": user.name, "domain": domain, "password_expires_at": None},
        "issued_at": api_time(token.issued_at, digits=6),
        "expires_at": api_time(token.expires_at, digits=6),
        "audit_ids": [token.id[-22:]],
    }
    if token.project is not None:
        body["project"] = _project(token.project)
        body["roles"] = [{"id": uuid5(NAMESPACE_URL, user.role).hex, "name": user.role}]
        body["catalog"] = _catalog(context, token.project.id)
    return body


def _catalog(context: RequestContext, project_id: str) -> list[dict[str, Any]]:
    services = {"identity": "/v3", "image": "/image"}
    if not context.state.settings.native_only:
        services |= {"ims": "/ims", "cbr": f"/cbr/v3/{project_id}"}
    return [_service(context, kind, path) for kind, path in services.items()]


def _service(context: RequestContext, kind: str, path: str) -> dict[str, Any]:
    region = context.state.settings.region
    endpoints = [
        {
            "id": uuid5(NAMESPACE_URL, f"{kind}/{interface}").hex,
            "interface": interface,
            "region": region,
            "region_id": region,
            "url": f"{context.base}{path}",
        }
        for interface in ("public", "internal", "admin")
    ]
    return {
        "id": uuid5(NAMESPACE_URL, kind).hex,
        "type": kind,
        "name": kind,
        "endpoints": endpoints,
    }
