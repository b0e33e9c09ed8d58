"""``GET /v3/{project_id}/vaults``: the vaults of a project (CBR-vaults)."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from sharekit.core.cloud_api import VAULT_PAGE_SIZE
from sharekit.simulator.request import RequestContext
from sharekit.simulator.responses import Response, ResponseError, error_response, json_response
from sharekit.simulator.seed import Vault


def listing(context: RequestContext, project_id: str) -> Response:
    """Return a page of vaults with the ``count`` of all; ``limit`` is at most 1000."""
    if project_id != context.caller.project_id:
        raise _refused(403, "BackupService.0403", "The project is not that of the token.")
    not_a_number = _refused(400, "BackupService.6202", "Limit and offset must be integers.")
    limit = context.number("limit", VAULT_PAGE_SIZE, not_a_number)
    offset = context.number("offset", 0, not_a_number)
    if not 1 <= limit <= VAULT_PAGE_SIZE:
        raise _refused(400, "BackupService.6202", "The limit must be from 1 to 1000.")
    vaults = [v for v in context.state.vaults.by_id.values() if v.project_id == project_id]
    page = [_document(v) for v in vaults[offset : offset + limit]]
    return json_response({"vaults": page, "count": len(vaults)})


def _refused(status: int, code: str, message: str) -> ResponseError:
    return error_response({"error_code": code, "error_msg": message}, status)


def _document(vault: Vault) -> dict[str, Any]:
    return {
        "id": vault.id,
        "name": vault.name,
        "project_id": vault.project_id,
        "description": "",
        "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
        "resources": [_resource(vault, number) for number in range(vault.resources)],
        "tags": [],
        "auto_bind": False,
        "auto_expand": False,
        "created_at": "2025-01-01T00:00:00.000000",
        "billing": {
            "object_type": vault.object_type,
            "protect_type": vault.protect_type,
            "status": vault.status,
            "size": vault.size,
            "used": vault.used,
            "allocated": 0,
            "charging_mode": "post_paid",
            "cloud_type": "public",
            "consistent_level": "crash_consistent",
        },
    }


def _resource(vault: Vault, number: int) -> dict[str, Any]:
    return {
        "id": str(uuid5(UUID(int=number), vault.id)),
        "name": f"server-{number}",
        "type": "OS::Nova::Server",
        "protect_status": "available",
        "size": 0,
    }
