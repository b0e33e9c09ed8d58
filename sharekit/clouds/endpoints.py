"""Where a cloud's services are: as the user says, as its catalog says, as its region is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session
from openstack.config.cloud_region import CloudRegion

from sharekit.core.errors import CloudError

from . import regions

_LOOPBACK = ("localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether a host (with or without its port) is this machine.

    >>> is_loopback("127.0.0.1:5000"), is_loopback("ims.example")
    (True, False)
    """
    name = urlsplit(f"//{host}").hostname if not host.startswith("::") else host
    return name in _LOOPBACK or str(name).startswith("127.")


def endpoints(
    session: Session | None, cloud: CloudRegion, name: str, project_id: str
) -> tuple[str, str, str]:
    """Return the addresses of image service, IMS and backup service ("" where there is none).

    Raises
    ------
    CloudError
        If there is no image service, or none in this region.
    """
    settings: Mapping[str, Any] = cloud.config
    region = str(settings.get("region_name") or "")
    identity = urlsplit(str((settings.get("auth") or {}).get("auth_url") or "")).hostname or ""
    preset = regions.known(region, identity)
    said = {s: settings.get(f"{s}_endpoint_override") for s in ("image", "ims", "cbr")}
    listed = {s: _listed(session, s, cloud) for s in said} if session else {}
    if region and not (preset or said["image"] or said["ims"] or listed.get("image")):
        _right_place(session, region, cloud.get_interface("image") or "public", name)
    found = {s: str(said[s] or listed.get(s) or preset.get(s) or "") for s in said}
    image = _without_version(found["image"] or found["ims"])
    ims = _without_version(found["ims"] or found["image"])
    if not image:
        raise CloudError(
            f"{name}: the cloud's catalog has no image service. Set image_endpoint_override or "
            "ims_endpoint_override for it in clouds.yaml."
        )
    return image, ims, found["cbr"].rstrip("/").replace("{project_id}", project_id)


def _right_place(
    session: Session | None, region: str, interface: str | list[str], name: str
) -> None:
    """Tell a wrong region or interface from a cloud without the service."""
    if session is None:
        return
    access = session.auth.get_access(session)  # type: ignore[union-attr]
    found = access.service_catalog.get_endpoints(service_type="image").get("image", [])
    there = sorted({str(e.get("region_id")) for e in found} - {"None"})
    if region in there:
        kinds = ", ".join(sorted({str(e.get("interface")) for e in found}))
        raise CloudError(
            f"{name}: the image service has no {interface} address in region {region!r}, but "
            f"{kinds}. Correct interface in clouds.yaml."
        )
    if there:
        raise CloudError(
            f"{name}: the cloud has no image service in region {region!r}, but in "
            f"{', '.join(there)}. Correct region_name in clouds.yaml."
        )


def _listed(session: Session, service: str, cloud: CloudRegion) -> str | None:
    where = {
        "region_name": cloud.config.get("region_name") or None,
        "interface": cloud.get_interface(service) or "public",
    }
    try:
        access = session.auth.get_access(session)  # type: ignore[union-attr]
        found: str = access.service_catalog.url_for(service_type=service, **where)
    except (ksa.CatalogException, ksa.EndpointNotFound):
        return None
    return found


def _without_version(url: str) -> str:
    return url.rstrip("/").removesuffix("/v2").removesuffix("/v1").rstrip("/")
