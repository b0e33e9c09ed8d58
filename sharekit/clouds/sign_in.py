"""Signing in as people have it: by the names in ``clouds.yaml``, by openstacksdk's own rules."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session
from openstack import exceptions as sdk
from openstack.config.cloud_region import CloudRegion
from openstack.config.loader import SECURE_FILES, OpenStackConfig
from openstack.warnings import ConfigurationWarning

from sharekit.core.errors import CloudError, SignInError, UsageError
from sharekit.core.provenance import __version__

from . import surroundings
from .access_key import Key, Signature, key_of, wanted
from .bounds import Adapter
from .cloud import Cloud
from .config import Wishes
from .endpoints import endpoints, is_loopback
from .http import Transport
from .pace import Paces
from .projects import projects_of
from .registry import Clouds

#: What an entry with an access key has in common with others.
_READING = threading.Lock()
#: openstacksdk only warns, and then goes on without it.
_NO_PROFILE = "Couldn't find the vendor profile"
_NOT_AUTH = frozenset("region_name verify insecure cacert cert key api_timeout sharekit".split())


# Its own warnings on failed sign-ins would only repeat, in other words, what we say.
logging.getLogger("keystoneauth").addHandler(logging.NullHandler())


def connect(*names: str, config_file: str | PathLike[str] | None = None) -> Clouds:
    """Sign in to one or more clouds, each giving access to one project, or offering several.

    An entry with ``sharekit: {projects: all}`` offers every project in which its account has a
    role, and ``projects: [ID, …]`` those; each is signed in to when it is needed.

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
        Two names lead to one project, or a setting makes no sense.
    SignInError
        A name is not in ``clouds.yaml``, or the cloud refuses the credentials.
    CloudError
        The sign-in service does not answer, or the catalog lacks the image service.

    Examples
    --------
    >>> clouds = connect("otc-payments", "otc-web")  # doctest: +SKIP
    """
    config = _config(config_file)
    clouds: dict[str, Cloud] = {}
    offers: dict[str, Callable[[], Cloud]] = {}
    warned: dict[str, tuple[str, ...]] = {}
    paces = Paces()
    if not names:
        names = ("envvars",) if config_file is None else tuple(_entries(Path(config_file)))
    for name in names:
        if several := _several(config, name):
            projects, warned[name] = several
            _once(offers, projects, name, names)
            offers |= {p: partial(_cloud, config, name, paces, p) for p in projects}
        else:
            cloud = _cloud(config, name, paces)
            _once(clouds, [cloud.project_id], name, names)
            clouds[cloud.project_id], warned[name] = cloud, cloud.warnings
    return Clouds(clouds, offers, warned)


def _once(
    there: Collection[str], projects: Collection[str], name: str, names: Collection[str]
) -> None:
    if twice := sorted(set(there) & set(projects)):
        others = ", ".join(other for other in names if other != name) or name
        raise UsageError(
            f"{others} and {name} lead to the same project {twice[0]}: name only one of them."
        )


def _several(config: OpenStackConfig, name: str) -> tuple[list[str], tuple[str, ...]] | None:
    """Return the projects that an entry offers, if its account has several, and its warnings."""
    region, key, auth = _region(config, name)
    settings: Mapping[str, Any] = region.config
    wishes = Wishes.of(settings.get("sharekit"), name)
    if not wishes.projects:
        return None
    if "application_credential" in " ".join([*auth, str(settings.get("auth_type"))]):
        raise UsageError(
            f"{name}: an application credential belongs to one project; take `projects` out of its "
            "entry in clouds.yaml."
        )
    url = str(auth.get("auth_url") or "")
    warned = tuple(_warned(region, wishes, url, name))
    if wishes.projects != ("all",):
        return list(wishes.projects), warned
    if key is not None:
        raise UsageError(
            f"{name}: an access key cannot ask for its projects; name them in clouds.yaml, as in "
            "`projects: [ID, ID]`."
        )
    session = region.get_session()
    _make_room(session, wishes)
    _greet(session, url, name, wishes)
    transport = Transport(session, name, (wishes.connect_timeout, wishes.read_timeout))
    transport.token()
    return projects_of(session, region.region_name or "", name), warned


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
            )
    except Exception as error:  # noqa: BLE001 - openstacksdk lets YAML errors through as they are
        raise SignInError(f"clouds.yaml cannot be read: {_fault(error)}. Correct it.") from None


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
        why = f"{error.strerror}. Check the path"
        raise SignInError(f"{config_file} cannot be read: {why}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SignInError(
            f"{config_file} cannot be read: {_fault(error)}. Correct the file."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("clouds"), dict):
        raise SignInError(f"{config_file} names no clouds: it needs a `clouds:` section.")
    return [str(name) for name in content["clouds"]]


def _fault(error: Exception) -> str:
    # Never the text of such an error: it quotes the line, which may hold a password.
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem or 'broken YAML'} in line {error.problem_mark.line + 1}"
    return "it is not YAML text"


def _cloud(config: OpenStackConfig, name: str, paces: Paces, project_id: str = "") -> Cloud:
    region, key, auth = _region(config, name, project_id)
    settings: Mapping[str, Any] = region.config
    wishes = Wishes.of(settings.get("sharekit"), name, settings.get("api_timeout"))
    warned = _warned(region, wishes, str(auth.get("auth_url") or ""), name)
    session = region.get_session()
    _make_room(session, wishes)
    transport = Transport(
        session,
        name,
        timeout=(wishes.connect_timeout, wishes.read_timeout),
        read_attempts=wishes.read_attempts,
        pace=lambda host: paces.of(host, wishes.rate_for(loopback=is_loopback(host))),
    )
    if key is None:
        _greet(session, str(auth.get("auth_url") or ""), name, wishes)
        transport.token()
        project = _project(session, name)
    else:
        project = _named_project(auth, name)
        transport.signature = Signature(key, project)
    found = endpoints(None if key else session, region, name, project)
    for url in filter(None, found):
        warned |= _plain_http(url, wishes, name)
    image, ims, cbr = found
    return Cloud(
        name=name,
        project_id=project,
        region=region.region_name or "",
        transport=transport,
        api=wishes.api,
        job_api=wishes.job_api,
        account=str(auth.get("username") or ("access key" if key else "")),
        ims=ims,
        image=image,
        cbr=cbr,
        warnings=tuple(warned),
    )


def _region(
    config: OpenStackConfig, name: str, project_id: str = ""
) -> tuple[CloudRegion, Key | None, Mapping[str, Any]]:
    """Return what openstacksdk makes of an entry, its access key, if any, and who signs in.

    A ``project_id`` stands in place of the entry's own.
    """
    with _READING:
        return _region_of(config, name, {"project_id": project_id} if project_id else {})


def _region_of(
    config: OpenStackConfig, name: str, scope: Mapping[str, str]
) -> tuple[CloudRegion, Key | None, Mapping[str, Any]]:
    known = sorted(set(config.get_cloud_names()) - {"defaults"})
    if name == "envvars" and name not in known:
        raise SignInError("No cloud is named, and no OS_* variables are set: name one of yours.")
    if name not in known:
        raise SignInError(_unknown(config, name, known))
    entry = _well_formed(config.cloud_config["clouds"].get(name) or {}, config, name)
    auth = {**entry, **(entry.get("auth") or {}), **scope}
    key = key_of(entry, name) if wanted(entry) else None
    if key:
        # To openstacksdk this is a cloud without sign-in, of which it knows neither key nor user.
        kept = {k: v for k, v in entry.items() if k in _NOT_AUTH or k.endswith("_override")}
        config.cloud_config["clouds"][name] = {**kept, "auth_type": "none"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", _NO_PROFILE, ConfigurationWarning)
            region = config.get_one(cloud=name, auth=None if key or not scope else dict(scope))
    except (ConfigurationWarning, LookupError, OSError, ValueError) as error:
        if "profile" not in entry:
            raise
        # A profile may be an address, and what is found there anything.
        missing = isinstance(error, ConfigurationWarning)
        why = "there is none of that name" if missing else type(error).__name__
        raise SignInError(
            f"Cloud {name}: the profile {entry['profile']!r} cannot be used ({why}). Correct "
            "`profile` in its entry in clouds.yaml, or write auth_url and the like instead."
        ) from None
    except (sdk.ConfigException, ksa.ClientException) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise SignInError(f"Cloud {name}: {why}. Correct its entry in clouds.yaml.") from None
    finally:
        if key:
            config.cloud_config["clouds"][name] = entry
    return region, key, auth if key else region.config.get("auth") or {}


def _unknown(config: OpenStackConfig, name: str, known: list[str]) -> str:
    if config.config_filename:
        has = ", ".join(known) or "none"
        return (
            f"There is no cloud {name!r} in {config.config_filename}; it has: {has}. Name one of "
            "them, or with --clouds-yaml the file that has it."
        )
    looked = ", ".join(dict.fromkeys(str(Path(file).parent) for file in config._config_files))
    return (
        f"There is no cloud {name!r}, for there is no clouds.yaml; looked for in: {looked}. Put "
        "one there, or name it with --clouds-yaml FILE."
    )


def _well_formed(entry: object, config: OpenStackConfig, name: str) -> dict[str, Any]:
    """Return an entry, if it and its ``auth`` hold settings by name."""
    where = config.config_filename or "clouds.yaml"
    if not isinstance(entry, dict):
        raise SignInError(f"{where}: the entry {name!r} must hold settings by name. Correct it.")
    if not isinstance(entry.get("auth") or {}, dict):
        raise SignInError(
            f"{where}: `auth` of the entry {name!r} must hold settings by name, as in "
            "`auth: {auth_url: …, username: …}`. Correct it."
        )
    return entry


def _make_room(session: Session, wishes: Wishes) -> None:
    """A connection for each thread, where there usually are ten; and no endless sign-in."""
    session.session = surroundings.Session()
    for scheme in ("http://", "https://"):
        adapter = Adapter(pool_connections=4, pool_maxsize=wishes.connections)
        session.session.mount(scheme, adapter)
    # Whoever answers for the sign-in service must not send the password on to somebody else.
    session.redirect = False
    if session.timeout is None:
        session.timeout = wishes.read_timeout


def _greet(session: Session, auth_url: str, name: str, wishes: Wishes) -> None:
    """See that the sign-in service tells its versions to anybody, and answers at all.

    Behind a gateway that wants a sign-in even for that, keystoneauth would wait for itself, for
    ever; of a silent service it would ask three times. Anything else that goes wrong here is told
    by the sign-in.
    """
    pauses = (wishes.connect_timeout, wishes.read_timeout)
    with suppress(ksa.ClientException, OSError):
        try:
            answer = session.get(auth_url, authenticated=False, raise_exc=False, timeout=pauses)
        except ksa.ConnectTimeout:
            raise CloudError(
                f"{name}: {auth_url} did not answer in time, so nobody can sign in. Check auth_url "
                "in clouds.yaml (is it https where the port speaks http, or the other way round?) "
                "and the network, then run this again."
            ) from None
        if answer.status_code == 401:
            raise SignInError(
                f"{name}: {auth_url} refuses even to tell its versions (HTTP 401), so it is no "
                "sign-in service, or a gateway is in between. Check auth_url in clouds.yaml."
            )


def _warned(region: CloudRegion, wishes: Wishes, auth_url: str, name: str) -> dict[str, None]:
    """What is less safe than it should be, because the user said so."""
    warned = _plain_http(auth_url, wishes, name) if auth_url else {}
    if not region.get_requests_verify_args()[0]:
        warned |= {"TLS certificates are not checked (verify: false)": None}
    return warned


def _plain_http(url: str, wishes: Wishes, name: str) -> dict[str, None]:
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return {}
    if not wishes.insecure_http:
        raise CloudError(
            f"{name}: {url} is not https, so no credentials are sent there. Correct it, or set "
            "insecure_http under `sharekit:` in clouds.yaml if that network is safe."
        )
    return {f"{parts.netloc} is spoken to without TLS (insecure_http)": None}


def _named_project(auth: Mapping[str, Any], name: str) -> str:
    if not auth.get("project_id"):
        raise SignInError(
            f"{name}: with an access key, clouds.yaml must name the project: add project_id."
        )
    return str(auth["project_id"])


def _project(session: Session, name: str) -> str:
    project = session.get_project_id()
    if not project:
        raise SignInError(
            f"{name}: these credentials are not for a project. Add project_id to its entry in "
            "clouds.yaml."
        )
    return str(project)
