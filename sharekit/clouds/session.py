"""Signing in as people have it: by the names in ``clouds.yaml``, by openstacksdk's own rules."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import yaml
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from openstack import exceptions as sdk
from openstack.config.loader import SECURE_FILES, OpenStackConfig

from .. import __version__
from ..errors import CloudError, SignInError, UsageError
from .cloud import Cloud, Clouds
from .transport import Transport

_CONNECTIONS = 64
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def connect(*names: str, config_file: str | PathLike[str] | None = None) -> Clouds:
    """Sign in to one or more clouds, each giving access to one project.

    Parameters
    ----------
    *names
        Names of entries in ``clouds.yaml``; without any, all entries of ``config_file``, or,
        without that too, what the ``OS_*`` variables say.
    config_file
        A ``clouds.yaml`` to use instead of the ones found by openstacksdk's rules
        (``$OS_CLIENT_CONFIG_FILE``, the working directory, ``~/.config/openstack``,
        ``/etc/openstack``).

    Returns
    -------
    Clouds
        A mapping from project ID to :class:`Cloud`.

    Raises
    ------
    UsageError
        A name is not in ``clouds.yaml``, or two names lead to one project.
    SignInError
        The cloud refuses the credentials.
    CloudError
        The sign-in service does not answer, or the catalog lacks the image service.

    Examples
    --------
    >>> clouds = connect("otc-payments", "otc-web")  # doctest: +SKIP
    """
    config = _config(config_file)
    clouds: dict[str, Cloud] = {}
    if not names:
        names = ("envvars",) if config_file is None else tuple(_entries(Path(config_file)))
    for name in names:
        cloud = _cloud(config, name)
        if cloud.project_id in clouds:
            other = clouds[cloud.project_id].name
            raise UsageError(f"{other} and {name} lead to the same project: name only one.")
        clouds[cloud.project_id] = cloud
    return Clouds(clouds)


def _config(config_file: str | PathLike[str] | None) -> OpenStackConfig:
    if config_file is not None:
        _entries(Path(config_file))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            files = None if config_file is None else [str(config_file)]
            return OpenStackConfig(
                config_files=files,
                secure_files=_secure_files(config_file),
                app_name="sharekit",
                app_version=__version__,
                session_constructor=_RoomySession,
            )
    except Exception as error:  # noqa: BLE001 - openstacksdk lets YAML errors through as they are
        raise UsageError(f"clouds.yaml cannot be read: {' '.join(str(error).split())}") from None


def _secure_files(config_file: str | PathLike[str] | None) -> list[str] | None:
    """The secrets stand beside the file they belong to, or where openstacksdk looks for them."""
    if config_file is None:
        return None
    beside = [Path(config_file).with_name(f"secure.{kind}") for kind in ("yaml", "yml", "json")]
    return [*map(str, beside), *SECURE_FILES]


def _entries(config_file: Path) -> list[str]:
    # openstacksdk passes over what it cannot read, and would then only miss the cloud's name.
    try:
        content = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{config_file} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{config_file} cannot be read: {' '.join(str(error).split())}. Correct the file."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("clouds"), dict):
        raise UsageError(f"{config_file} names no clouds: it needs a `clouds:` section.")
    return [str(name) for name in content["clouds"]]


class _RoomySession(Session):  # type: ignore[misc, unused-ignore]
    """A session that keeps a connection for each thread; the usual one keeps ten."""

    def __init__(self, **options: Any) -> None:
        pool = requests.Session()
        for scheme in ("http://", "https://"):
            pool.mount(scheme, TCPKeepAliveAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS))
        super().__init__(session=pool, **options)


def _cloud(config: OpenStackConfig, name: str) -> Cloud:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            region = config.get_one(cloud=name)
            session = region.get_session()
    except sdk.ConfigException as error:
        known = sorted(set(config.get_cloud_names()) - {"defaults"})
        if name in known:
            raise UsageError(f"Cloud {name}: {error}. Correct its entry in clouds.yaml.") from None
        raise UsageError(
            f"There is no cloud {name!r} in clouds.yaml; it has: {', '.join(known) or 'none'}."
        ) from None
    except ksa.ClientException as error:
        raise UsageError(f"Cloud {name}: {error}. Correct its entry in clouds.yaml.") from None
    settings: Mapping[str, Any] = region.config
    ours = settings.get("sharekit") or {}
    transport = Transport(session, name, read_attempts=int(ours.get("read_attempts", 6)))
    transport.token()
    image, ims, cbr = _endpoints(session, settings, name, region.region_name or None)
    return Cloud(
        name=name,
        project_id=_project(session, name),
        region=region.region_name or "",
        transport=transport,
        api=str(ours.get("api", "auto")),
        job_api=str(ours.get("job_api", "auto")),
        account=str(settings.get("auth", {}).get("username", "")),
        ims=ims,
        image=image,
        cbr=cbr,
    )


def _endpoints(
    session: Session, settings: Mapping[str, Any], name: str, region: str | None
) -> tuple[str, str, str]:
    found = {
        service: str(
            settings.get(f"{service}_endpoint_override") or _listed(session, service, region) or ""
        )
        for service in ("image", "ims", "cbr")
    }
    image = _without_version(found["image"] or found["ims"])
    ims = _without_version(found["ims"] or found["image"])
    if not image:
        raise CloudError(
            f"{name}: the cloud's catalog has no image service. Set image_endpoint_override or "
            "ims_endpoint_override for it in clouds.yaml."
        )
    for url in filter(None, (image, ims, found["cbr"])):
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise CloudError(f"{name}: {url} is not https, so no token is sent there.")
    return image, ims, found["cbr"].rstrip("/")


def _listed(session: Session, service: str, region: str | None) -> str | None:
    try:
        access = session.auth.get_access(session)  # type: ignore[union-attr]
        found: str = access.service_catalog.url_for(service_type=service, region_name=region)
    except (ksa.CatalogException, ksa.EndpointNotFound):
        return None
    return found


def _without_version(url: str) -> str:
    return url.rstrip("/").removesuffix("/v2").removesuffix("/v1").rstrip("/")


def _project(session: Session, name: str) -> str:
    project = session.get_project_id()
    if not project:
        raise SignInError(
            f"{name}: these credentials are not for a project. Add project_id to its entry in "
            "clouds.yaml."
        )
    return str(project)
