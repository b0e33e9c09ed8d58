"""Sign-in by the names in ``clouds.yaml``, following openstacksdk's own rules."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from keystoneauth1 import exceptions as ksa
from keystoneauth1.plugin import AUTH_INTERFACE
from keystoneauth1.session import Session
from openstack import exceptions as sdk
from openstack.config.cloud_region import CloudRegion
from openstack.config.loader import SECURE_FILES, OpenStackConfig
from openstack.warnings import ConfigurationWarning

from sharekit.core.errors import CloudError, NoResponseError, SignInError, UsageError
from sharekit.core.logs import redact
from sharekit.core.provenance import __version__

from .access_key import AccessKey, HmacAuth, read_access_key, uses_access_key
from .cloud import Cloud
from .config import CloudConfig
from .endpoints import find_endpoints, is_loopback, region_of_project
from .http import CachedEnvironmentSession, LimitedAdapter, Transport
from .http_limits import RateLimiters
from .registry import Clouds
from .responses import Projects, validated

_log = logging.getLogger("sharekit.clouds")
#: openstacksdk's configuration is changed while an entry with an access key is read.
_CONFIG_LOCK: Final = threading.Lock()
#: openstacksdk's warning for a profile that does not exist; it then goes on without it.
_NO_PROFILE: Final = "Couldn't find the vendor profile"
#: Settings of an entry with an access key that openstacksdk is given; none is a credential.
_NOT_AUTH: Final = frozenset(
    "region_name verify insecure cacert cert key api_timeout sharekit".split()
)
_CORRECT: Final = "Correct its entry in clouds.yaml."

# keystoneauth warns of failed sign-ins, in other words than the exception raised here.
logging.getLogger("keystoneauth").addHandler(logging.NullHandler())


def connect(*names: str, config_file: str | PathLike[str] | None = None) -> Clouds:
    """Sign in to one or more clouds, each giving access to one project, or offering several.

    An entry with ``sharekit: {projects: all}`` offers every project in which its account has a
    role, and ``projects: [ID, …]`` those; each is signed in to when it is needed.

    Parameters
    ----------
    *names
        Names of entries in ``clouds.yaml``; without any, all entries of ``config_file``, or,
        without that too, the entry that the ``OS_*`` variables make.
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
        Two names lead to one project, or a setting makes no sense.
    SignInError
        A name is not in ``clouds.yaml``, or the cloud refuses the credentials.
    CloudError
        The sign-in service does not respond, or the catalog lacks the image service.

    Examples
    --------
    >>> clouds = connect("otc-payments", "otc-web")  # doctest: +SKIP
    """
    sdk_config = _read_config(config_file)
    clouds: dict[str, Cloud] = {}
    offers: dict[str, Callable[[], Cloud]] = {}
    warned: dict[str, tuple[str, ...]] = {}
    limiters = RateLimiters()
    if not names:
        names = ("envvars",) if config_file is None else tuple(_entry_names(Path(config_file)))
    for name in names:
        entry = _read_entry(sdk_config, name)
        if entry.settings.projects:
            projects = _offered_projects(entry)
            warned[name] = tuple(entry.warnings())
            _check_distinct(offers, projects, name, names)
            offers |= {p: partial(_sign_in_to, sdk_config, name, limiters, p) for p in projects}
        else:
            cloud = _sign_in(entry, limiters)
            _check_distinct(clouds, [cloud.project_id], name, names)
            clouds[cloud.project_id], warned[name] = cloud, cloud.warnings
    return Clouds(clouds, offers, warned)


def _check_distinct(
    known: Collection[str], projects: Collection[str], name: str, names: Collection[str]
) -> None:
    if repeated := sorted(set(known) & set(projects)):
        others = ", ".join(other for other in names if other != name) or name
        raise UsageError(
            f"{others} and {name} lead to the same project {repeated[0]}: name only one of them."
        )


# -- clouds.yaml -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Entry:
    """An entry of ``clouds.yaml``: openstacksdk's reading of it, its access key, who signs in."""

    name: str
    region: CloudRegion
    key: AccessKey | None
    auth: Mapping[str, Any]
    settings: CloudConfig

    @property
    def auth_url(self) -> str:
        return str(self.auth.get("auth_url") or "")

    def warnings(self) -> dict[str, None]:
        """Return what is less safe than it should be, by the user's own settings."""
        warned = self.check_tls(self.auth_url) if self.auth_url else {}
        if not self.region.get_requests_verify_args()[0]:
            warned |= {"TLS certificates are not checked (verify: false)": None}
        return warned

    def check_tls(self, url: str) -> dict[str, None]:
        """Return a warning for a URL without TLS; raise CloudError if that is not allowed."""
        parts = urlsplit(url)
        if parts.scheme == "https" or is_loopback(parts.hostname or ""):
            return {}
        if not self.settings.insecure_http:
            raise CloudError(
                f"{self.name}: {redact(url)} is not https, so no credentials are sent there. "
                "Correct it, or set insecure_http under `sharekit:` in clouds.yaml if that "
                "network is safe."
            )
        host = parts.netloc.rpartition("@")[2]
        return {f"{host} is accessed without TLS (insecure_http)": None}


def _read_config(config_file: str | PathLike[str] | None) -> OpenStackConfig:
    if config_file is not None:
        _entry_names(Path(config_file))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return OpenStackConfig(
                config_files=None if config_file is None else [str(config_file)],
                secure_files=_secure_files(config_file),
                app_name="sharekit",
                app_version=__version__,
            )
    except Exception as error:  # noqa: BLE001 - openstacksdk lets YAML errors through as they are
        raise SignInError(
            f"clouds.yaml cannot be read: {_yaml_error(error)}. Correct it."
        ) from None


def _secure_files(config_file: str | PathLike[str] | None) -> list[str] | None:
    """Return the files of secrets: beside the given file, and where openstacksdk looks."""
    if config_file is None:
        return None
    beside = [Path(config_file).with_name(f"secure.{kind}") for kind in ("yaml", "yml", "json")]
    return [*map(str, beside), *SECURE_FILES]


def _entry_names(config_file: Path) -> list[str]:
    # openstacksdk ignores a file that it cannot read, and then misses only the cloud's name.
    try:
        content = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SignInError(
            f"{config_file} cannot be read: {error.strerror}. Check the path."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SignInError(
            f"{config_file} cannot be read: {_yaml_error(error)}. Correct the file."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("clouds"), dict):
        raise SignInError(f"{config_file} names no clouds: it needs a `clouds:` section.")
    return [str(name) for name in content["clouds"]]


def _yaml_error(error: Exception) -> str:
    # Never the text of such an error: it quotes the line, which may hold a password.
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem or 'broken YAML'} in line {error.problem_mark.line + 1}"
    return "it is not YAML text"


def _read_entry(config: OpenStackConfig, name: str, project_id: str = "") -> _Entry:
    """Read an entry; a ``project_id`` replaces its own."""
    scope = {"project_id": project_id} if project_id else {}
    known = sorted(set(config.get_cloud_names()) - {"defaults"})
    if name not in known:
        raise SignInError(_unknown(config, name, known))
    with _CONFIG_LOCK:
        content = _check_entry(config.cloud_config["clouds"].get(name) or {}, config, name)
        auth = {**content, **(content.get("auth") or {}), **scope}
        key = read_access_key(auth, name) if uses_access_key(content) else None
        region = _read_region(config, name, content, None if key else scope)
    merged = region.config
    settings = CloudConfig.from_config(merged.get("sharekit"), name, merged.get("api_timeout"))
    return _Entry(name, region, key, auth if key else merged.get("auth") or {}, settings)


def _read_region(
    config: OpenStackConfig, name: str, content: Mapping[str, Any], scope: Mapping[str, str] | None
) -> CloudRegion:
    """Let openstacksdk read an entry; without a ``scope`` the entry has an access key."""
    if scope is None:
        # openstacksdk sees a cloud without sign-in, and neither its key nor its user.
        kept = {k: v for k, v in content.items() if k in _NOT_AUTH or k.endswith("_override")}
        config.cloud_config["clouds"][name] = {**kept, "auth_type": "none"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", _NO_PROFILE, ConfigurationWarning)
            return config.get_one(cloud=name, auth=dict(scope) if scope else None)
    except (ConfigurationWarning, LookupError, OSError, ValueError) as error:
        if "profile" not in content:
            raise
        # A profile may be a URL, and its content may be anything.
        missing = isinstance(error, ConfigurationWarning)
        reason = "there is none of that name" if missing else type(error).__name__
        raise SignInError(
            f"Cloud {name}: the profile {content['profile']!r} cannot be used ({reason}). Correct "
            "`profile` in its entry in clouds.yaml, or write auth_url and the like instead."
        ) from None
    except (sdk.ConfigException, ksa.ClientException) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise SignInError(f"Cloud {name}: {reason}. {_CORRECT}") from None
    finally:
        if scope is None:
            config.cloud_config["clouds"][name] = content


def _unknown(config: OpenStackConfig, name: str, known: list[str]) -> str:
    if name == "envvars":
        return "No cloud is named, and no OS_* variables are set: name one of yours."
    if config.config_filename:
        return (
            f"There is no cloud {name!r} in {config.config_filename}; it has: "
            f"{', '.join(known) or 'none'}. Name one of them, or with --clouds-yaml the file that "
            "has it."
        )
    folders = dict.fromkeys(str(Path(file).parent) for file in config._config_files)
    return (
        f"There is no cloud {name!r}, for there is no clouds.yaml; looked for in: "
        f"{', '.join(folders)}. Put one there, or name it with --clouds-yaml FILE."
    )


def _check_entry(content: object, config: OpenStackConfig, name: str) -> dict[str, Any]:
    """Return an entry if it and its ``auth`` hold settings by name."""
    file = config.config_filename or "clouds.yaml"
    if not isinstance(content, dict):
        raise SignInError(f"{file}: the entry {name!r} must hold settings by name. Correct it.")
    if not isinstance(content.get("auth") or {}, dict):
        raise SignInError(
            f"{file}: `auth` of the entry {name!r} must hold settings by name, as in "
            "`auth: {auth_url: …, username: …}`. Correct it."
        )
    return content


# -- sign-in ---------------------------------------------------------------------------------------
def _sign_in_to(
    config: OpenStackConfig, name: str, limiters: RateLimiters, project_id: str
) -> Cloud:
    return _sign_in(_read_entry(config, name, project_id), limiters)


def _sign_in(entry: _Entry, limiters: RateLimiters) -> Cloud:
    settings, name, region = entry.settings, entry.name, entry.region
    warned = entry.warnings()
    session = region.get_session()
    _mount_adapters(session, settings)
    transport = Transport(
        session,
        name,
        timeout=(settings.connect_timeout, settings.read_timeout),
        read_attempts=settings.read_attempts,
        limiter_of=lambda host: limiters.for_host(
            host, settings.rate_for(loopback=is_loopback(host))
        ),
    )
    if entry.key is None:
        _probe_identity(session, entry)
        transport.token()
        project = str(session.get_project_id() or "")
        if not project:
            raise SignInError(
                f"{name}: these credentials are not for a project. Add project_id to its entry in "
                "clouds.yaml."
            )
    else:
        project = str(entry.auth.get("project_id") or "")
        if not project:
            raise SignInError(
                f"{name}: with an access key, clouds.yaml must name the project: add project_id."
            )
        transport.signer = HmacAuth(entry.key, project)
    image, ims, cbr = find_endpoints(None if entry.key else session, region, name, project)
    for url in filter(None, (image, ims, cbr)):
        warned |= entry.check_tls(url)
    _log.info("%s: project %s, image service %s", name, project, redact(image))
    return Cloud(
        name=name,
        project_id=project,
        region=region.region_name or "",
        transport=transport,
        api=settings.api,
        job_api=settings.job_api,
        account=str(entry.auth.get("username") or ("access key" if entry.key else "")),
        ims=ims,
        image=image,
        cbr=cbr,
        warnings=tuple(warned),
    )


def _mount_adapters(session: Session, settings: CloudConfig) -> None:
    """Give a session limits, and as many connections as there are threads (requests keeps 10)."""
    session.session = CachedEnvironmentSession()
    for scheme in ("http://", "https://"):
        adapter = LimitedAdapter(pool_connections=4, pool_maxsize=settings.connections)
        session.session.mount(scheme, adapter)
    # A server in place of the sign-in service must not send the password on to another one.
    session.redirect = False
    if session.timeout is None:
        session.timeout = settings.read_timeout


def _probe_identity(session: Session, entry: _Entry) -> None:
    """Check that the sign-in service responds, and lists its versions without a sign-in.

    Behind a gateway that requires a sign-in even for that, keystoneauth would wait for itself for
    ever; it would ask a silent service three times. The sign-in reports all other errors.
    """
    name, url, settings = entry.name, redact(entry.auth_url), entry.settings
    timeout = (settings.connect_timeout, settings.read_timeout)
    with suppress(ksa.ClientException, OSError):
        try:
            response = session.get(
                entry.auth_url, authenticated=False, raise_exc=False, timeout=timeout
            )
        except ksa.ConnectTimeout:
            raise CloudError(
                f"{name}: {url} did not answer in time, so nobody can sign in. Check auth_url "
                "in clouds.yaml (is it https where the port speaks http, or the other way round?) "
                "and the network, then run this again."
            ) from None
        if response.status_code == 401:
            raise SignInError(
                f"{name}: {url} refuses even to tell its versions (HTTP 401), so it is no "
                "sign-in service, or a gateway is in between. Check auth_url in clouds.yaml."
            )


# -- accounts with several projects ----------------------------------------------------------------
def _offered_projects(entry: _Entry) -> list[str]:
    """Return the projects of an entry that names them, or of its account."""
    name, settings = entry.name, entry.settings
    if "application_credential" in " ".join(
        [*entry.auth, str(entry.region.config.get("auth_type"))]
    ):
        raise UsageError(
            f"{name}: an application credential belongs to one project; take `projects` out of its "
            "entry in clouds.yaml."
        )
    entry.warnings()
    if settings.projects != ("all",):
        return list(settings.projects)
    if entry.key is not None:
        raise UsageError(
            f"{name}: an access key cannot ask for its projects; name them in clouds.yaml, as in "
            "`projects: [ID, ID]`."
        )
    session = entry.region.get_session()
    _mount_adapters(session, settings)
    _probe_identity(session, entry)
    Transport(session, name, (settings.connect_timeout, settings.read_timeout)).token()
    return _list_projects(session, entry.region.region_name or "", name)


def _list_projects(session: Session, region: str, name: str) -> list[str]:
    """Ask Keystone for the projects in which the account has a role (GET /v3/auth/projects)."""
    endpoint = {"interface": AUTH_INTERFACE, "version": (3,)}
    try:
        body = session.get("/auth/projects", endpoint_filter=endpoint).json()
        listed = validated(body, Projects, "/auth/projects")["projects"]
    except (ksa.ClientException, NoResponseError, ValueError, RecursionError) as error:
        raise CloudError(
            f"{name}: the sign-in service does not list this account's projects "
            f"({type(error).__name__}). Name them in clouds.yaml, as in `projects: [ID, ID]`."
        ) from None
    projects = _in_region(listed, region)
    if not projects:
        raise CloudError(
            f"{name}: the account has a role in no project{f' of {region}' if region else ''}. Ask "
            "for one, or correct its entry in clouds.yaml."
        )
    return projects


def _in_region(projects: Iterable[Mapping[str, Any]], region: str) -> list[str]:
    """Return the IDs of enabled projects, without those whose name is of another region.

    >>> _in_region([{"id": "a", "name": "eu-nl_web"}, {"id": "b", "name": "eu-de"}], "eu-de")
    ['b']
    """
    return [
        str(p["id"])
        for p in projects
        if p.get("enabled", True) and region_of_project(str(p.get("name", ""))) in ("", region)
    ]
