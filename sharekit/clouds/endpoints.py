"""Where a cloud's services are: from clouds.yaml, from its catalog, or from a table of regions.

Sources of the table: Open Telekom Cloud, *Regions and Endpoints* (eu-de, eu-nl; the address of
eu-ch2 is of the same list, but was not tried); ``huaweicloudsdkims`` 3.1, ``ims_region.py`` (all
Huawei regions; for eu-west-101 the endpoint list of that site is followed, which ends in ``.eu``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session
from openstack.config.cloud_region import CloudRegion

from sharekit.core.errors import CloudError
from sharekit.core.monitoring.logs import Secrets, redact

from .responses import sanitize

_LOOPBACK: Final = ("localhost", "::1")
_OTC: Final = "otc.t-systems.com"
_HUAWEI: Final = "myhuaweicloud.com"
#: region -> the domain that its services share.
DOMAINS: Final = {
    "eu-de": _OTC,
    "eu-nl": _OTC,
    "eu-ch2": f"sc.{_OTC}",
    "eu-west-101": "myhuaweicloud.eu",
    **dict.fromkeys(
        "ae-ad-1 af-north-1 af-south-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 "
        "ap-southeast-5 cn-east-2 cn-east-3 cn-east-4 cn-east-5 cn-north-1 cn-north-2 cn-north-4 "
        "cn-north-9 cn-north-11 cn-north-12 cn-south-1 cn-south-2 cn-south-4 cn-southwest-2 "
        "cn-southwest-3 eu-west-0 la-north-2 la-south-2 me-east-1 my-kualalumpur-1 na-mexico-1 "
        "ru-moscow-1 sa-brazil-1 tr-west-1".split(),
        _HUAWEI,
    ),
}


def is_loopback(host: str) -> bool:
    """Return True if a host (with or without its port) is this machine.

    >>> is_loopback("127.0.0.1:5000"), is_loopback("ims.example")
    (True, False)
    """
    name = urlsplit(f"//{host}").hostname if not host.startswith("::") else host
    return name in _LOOPBACK or str(name).startswith("127.")


def default_endpoints(region: str, identity_host: str = "") -> dict[str, str]:
    """Return the URLs of ``ims``, ``image`` and ``cbr``; empty for an unknown region.

    ``identity_host``, where there is one, must be of the same provider: other clouds may have
    regions of the same name. In ``cbr``, ``{project_id}`` stands for the project.

    >>> default_endpoints("eu-de", "iam.eu-de.otc.t-systems.com")["ims"]
    'https://ims.eu-de.otc.t-systems.com'
    >>> default_endpoints("eu-de", "keystone.example.org")
    {}
    """
    domain = DOMAINS.get(region)
    provider = domain.removeprefix("sc.") if domain else ""
    if domain is None or (identity_host and not identity_host.endswith(f".{provider}")):
        return {}
    ims = f"https://ims.{region}.{domain}"
    return {"ims": ims, "image": ims, "cbr": f"https://cbr.{region}.{domain}/v3/{{project_id}}"}


def region_of_project(name: str) -> str:
    """Return the region that a project's name begins with, "" if that is not a known region.

    On Open Telekom Cloud and Huawei Cloud a project's name begins with its region (IAM,
    *Projects*).

    >>> region_of_project("eu-de_payments"), region_of_project("europe")
    ('eu-de', '')
    """
    region = name.partition("_")[0]
    return region if region in DOMAINS else ""


def find_endpoints(
    session: Session | None, cloud: CloudRegion, name: str, project_id: str
) -> tuple[str, str, str]:
    """Return the URLs of image service, IMS and backup service ("" where there is none).

    ``*_endpoint_override`` in clouds.yaml goes before the cloud's catalog, and that before
    :data:`DOMAINS`.

    Raises
    ------
    CloudError
        If there is no image service, or none in this region.
    """
    settings: Mapping[str, Any] = cloud.config
    region = str(settings.get("region_name") or "")
    identity = urlsplit(str((settings.get("auth") or {}).get("auth_url") or "")).hostname or ""
    defaults = default_endpoints(region, identity)
    overrides = {s: settings.get(f"{s}_endpoint_override") for s in ("image", "ims", "cbr")}
    catalog = {s: _from_catalog(session, s, cloud) for s in overrides} if session else {}
    known = defaults or overrides["image"] or overrides["ims"] or catalog.get("image")
    if session and region and not known:
        _explain_missing_endpoint(session, region, cloud.get_interface("image") or "public", name)
    urls = {s: str(overrides[s] or catalog.get(s) or defaults.get(s) or "") for s in overrides}
    image = _without_version(urls["image"] or urls["ims"])
    ims = _without_version(urls["ims"] or urls["image"])
    if not image:
        raise CloudError(
            f"{name}: the cloud's catalog has no image service. Set image_endpoint_override or "
            "ims_endpoint_override for it in clouds.yaml."
        )
    return image, ims, urls["cbr"].rstrip("/").replace("{project_id}", project_id)


def check_address(url: str, secrets: Secrets, name: str) -> str:
    """Return the address of a service; it is recorded, so it must not have any secret in it.

    Raises
    ------
    CloudError
        If it has one.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment or secrets.holds_token(url):
        raise CloudError(
            f"{name}: the address of a service at {parts.netloc.rpartition('@')[2]} has more in it "
            "than scheme, host and path. It would be recorded, and may hold a secret: set "
            "image_endpoint_override and ims_endpoint_override in clouds.yaml to the plain address."
        )
    return url


def _explain_missing_endpoint(
    session: Session, region: str, interface: str | list[str], name: str
) -> None:
    """Raise CloudError if the image service has another region or interface in the catalog."""
    catalog = session.auth.get_access(session).service_catalog  # type: ignore[union-attr]
    entries = catalog.get_endpoints(service_type="image").get("image", [])
    regions = sorted({str(entry.get("region_id")) for entry in entries} - {"None"})
    if region in regions:
        interfaces = ", ".join(sorted({str(entry.get("interface")) for entry in entries}))
        raise CloudError(
            f"{name}: the image service has no {interface} address in region {region!r}, but "
            f"{redact(sanitize(interfaces))}. Correct interface in clouds.yaml."
        )
    if regions:
        raise CloudError(
            f"{name}: the cloud has no image service in region {region!r}, but in "
            f"{redact(sanitize(', '.join(regions)))}. Correct region_name in clouds.yaml."
        )


def _from_catalog(session: Session, service: str, cloud: CloudRegion) -> str | None:
    location = {
        "region_name": cloud.config.get("region_name") or None,
        "interface": cloud.get_interface(service) or "public",
    }
    try:
        access = session.auth.get_access(session)  # type: ignore[union-attr]
        url: str = access.service_catalog.url_for(service_type=service, **location)
    except (ksa.CatalogException, ksa.EndpointNotFound):
        return None
    return url


def _without_version(url: str) -> str:
    return url.rstrip("/").removesuffix("/v2").removesuffix("/v1").rstrip("/")
