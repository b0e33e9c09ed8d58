"""The projects that an account can be signed in to (Keystone: ``GET /v3/auth/projects``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keystoneauth1 import exceptions as ksa
from keystoneauth1.plugin import AUTH_INTERFACE
from keystoneauth1.session import Session

from sharekit.core.errors import CloudError, NoResponseError

from . import regions
from .responses import Projects, fitting


def projects_of(session: Session, region: str, name: str) -> list[str]:
    """Ask for the projects in which the signed-in account has a role.

    Raises
    ------
    CloudError
        If the sign-in service does not tell.
    """
    where = {"interface": AUTH_INTERFACE, "version": (3,)}
    try:
        body = session.get("/auth/projects", endpoint_filter=where).json()
        told = fitting(body, Projects, "/auth/projects")["projects"]
    except (ksa.ClientException, NoResponseError, ValueError, RecursionError) as error:
        raise CloudError(
            f"{name}: the sign-in service does not tell this account's projects "
            f"({type(error).__name__}). Name them in clouds.yaml, as in `projects: [ID, ID]`."
        ) from None
    found = in_region(told, region)
    if not found:
        raise CloudError(
            f"{name}: the account has a role in no project{f' of {region}' if region else ''}. Ask "
            "for one, or correct its entry in clouds.yaml."
        )
    return found


def in_region(told: Iterable[Mapping[str, Any]], region: str) -> list[str]:
    """Leave out what is disabled, and projects that their name says are of another region.

    On Open Telekom Cloud and Huawei Cloud a project's name begins with its region (IAM,
    *Projects*).

    >>> in_region([{"id": "a", "name": "eu-nl_web"}, {"id": "b", "name": "eu-de"}], "eu-de")
    ['b']
    """
    return [
        str(p["id"])
        for p in told
        if p.get("enabled", True) and regions.of_project(str(p.get("name", ""))) in ("", region)
    ]
