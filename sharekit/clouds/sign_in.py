"""Sign-in by the names in ``clouds.yaml``, following openstacksdk's own rules."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from os import PathLike
from typing import Any, Final
from urllib.parse import urlsplit

from keystoneauth1 import exceptions as ksa
from keystoneauth1.plugin import AUTH_INTERFACE
from keystoneauth1.session import Session
from openstack.config.cloud_region import CloudRegion
from openstack.config.loader import OpenStackConfig
from openstack.warnings import ConfigurationWarning

from sharekit.core.errors import (
    CloudError,
    NoResponseError,
    SharekitError,
    SignInError,
    UsageError,
)
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import Secrets, clean_frames, redact
from sharekit.core.monitoring.progress import report, shows_progress
from sharekit.core.provenance import __version__

from .access_key import AccessKey, HmacAuth, read_access_key, uses_access_key
from .cloud import Cloud
from .clouds_yaml import CloudsYaml, environment_name, merge, read_clouds_yaml, read_variables
from .config import CloudConfig
from .endpoints import check_address, find_endpoints, is_loopback, region_of_project
from .entry_checks import add_default_domain, check_braces, check_credentials, secrets_of
from .http import CachedEnvironmentSession, LimitedAdapter, Transport
from .http_limits import RateLimiters, proxy_passwords
from .registry import CLOUDS_YAML, ENTRY, SIGN_IN, Clouds
from .responses import Projects, sanitize_name, validated

_log = logging.getLogger("sharekit.clouds")
#: openstacksdk's warning for a profile that does not exist; it then goes on without it.
_NO_PROFILE: Final = "Couldn't find the vendor profile"
#: Settings of an entry with an access key that openstacksdk is given; none is a credential.
_NOT_AUTH: Final = frozenset(
    "region_name verify insecure cacert cert key api_timeout sharekit".split()
)
#: Kinds of sign-in of openstacksdk that are for one service, and have no project or catalog.
_WITHOUT_PROJECT: Final = frozenset(
    ["", "None", "none", "admin_token", "http_basic", "token_endpoint"]
)
_CORRECT: Final = "Correct its entry in clouds.yaml."

# keystoneauth warns of failed sign-ins, in other words than the exception raised here.
logging.getLogger("keystoneauth").addHandler(logging.NullHandler())


@clean_frames
@checks_arguments
@shows_progress("signing in")
def connect(
    *names: str,
    config_file: str | PathLike[str] | None = None,
    secure_file: str | PathLike[str] | None = None,
    progress: bool = True,
) -> Clouds:
    """Sign in to one or more clouds, each giving access to one project, or offering several.

    An entry with ``sharekit: {projects: all}`` offers every project in which its account has a
    role, and ``projects: [ID, …]`` those; each is signed in to when it is needed. One with
    ``acts_for: all``, or ``acts_for: [ID, …]``, is an administrator's, and acts for the projects
    that no other entry gives access to.

    Parameters
    ----------
    *names
        Names of entries in ``clouds.yaml``; without any, all entries of ``config_file``, or,
        without that too, the entry that the ``OS_*`` variables make.
    config_file
        A ``clouds.yaml`` to use instead of the ones found by openstacksdk's rules
        (``$OS_CLIENT_CONFIG_FILE``, the working directory, ``~/.config/openstack``,
        ``/etc/openstack``).
    secure_file
        A file of the same form that completes the entries, usually by a password. Without it that
        is the ``secure.yaml`` in the folder of the ``clouds.yaml``, and of no other folder.
    progress
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    Clouds
        A mapping from project ID to :class:`Cloud`.

    Raises
    ------
    UsageError
        Two names lead to one project.
    SignInError
        A name is not in ``clouds.yaml``, a setting of its entry makes no sense, or no cloud takes
        the credentials. Where some do, the others are ``Clouds.refused``.
    CloudError
        No sign-in service responds, or no catalog has an image service.

    Examples
    --------
    >>> clouds = connect("otc-payments", "otc-web")  # doctest: +SKIP
    """
    if not names and config_file is None:
        names = (environment_name(),)
    alone = config_file is None and set(names) == {environment_name()}
    files = read_variables() if alone else read_clouds_yaml(config_file, secure_file)
    clouds: dict[str, Cloud] = {}
    offers: dict[str, Callable[[], Cloud]] = {}
    warned: dict[str, tuple[str, ...]] = {}
    refused: dict[str, CloudError] = {}
    told: dict[str, tuple[str, str]] = {}
    operators: dict[str, Cloud] = {}
    limiters = RateLimiters()
    for name in names or files.names():
        report(f"signing in to {name}")
        entry = _read_entry(files, name)
        if entry.settings.projects:
            projects = _offered_projects(entry)
            warned[name] = tuple(entry.warnings())
            _check_distinct(offers, projects, name, names)
            offers |= {p: partial(_sign_in_to, files, name, limiters, p) for p in projects}
            told |= {p: (named, SIGN_IN) for p, named in projects.items() if named}
        else:
            try:
                cloud = _sign_in(entry, limiters)
            except CloudError as error:
                project = str(entry.auth.get("project_id") or name)
                refused[project], told[project] = error, entry.project_name
                others = entry.settings.acts_for
                refused |= dict.fromkeys((name,) if others == ("all",) else others, error)
                continue
            _check_distinct(clouds, [cloud.project_id], name, names)
            clouds[cloud.project_id], warned[name] = cloud, cloud.warnings
            if repeated := sorted(operators.keys() & {*entry.settings.acts_for}):
                raise UsageError(
                    f"{operators[repeated[0]].name} and {name} both act for {repeated[0]}: name "
                    "only one of them, or the projects of each."
                )
            operators |= dict.fromkeys(entry.settings.acts_for, cloud)
    operator = operators.pop("all", None)
    for project, cloud in operators.items():
        offers.setdefault(project, partial(cloud.acting_for, project))
    if refused and not clouds and not offers:
        raise next(iter(refused.values()))
    return Clouds(clouds, offers, warned, refused, told, operator)


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
    region: CloudRegion = field(repr=False)
    key: AccessKey | None = field(repr=False)
    auth: Mapping[str, Any] = field(repr=False)
    settings: CloudConfig
    secrets: Secrets = field(repr=False)

    @property
    def auth_url(self) -> str:
        return str(self.auth.get("auth_url") or "")

    @property
    def project_name(self) -> tuple[str, str]:
        """What the files call its project, and which part of them does."""
        if self.settings.projects:  # the entry is that of an account, and names no single project
            return "", ""
        if named := self.auth.get("project_name") or self.auth.get("tenant_name"):
            return self.shown_name(named), CLOUDS_YAML
        own = self.name != environment_name()
        return (self.shown_name(self.name), ENTRY) if own else ("", "")

    def shown_name(self, name: object) -> str:
        """Return a project's name as it may be shown; anybody may have chosen it."""
        return sanitize_name(self.secrets.mask(str(name)))

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


class _EntryConfig(OpenStackConfig):
    """One entry for openstacksdk, with nothing that this reads from files or variables itself."""

    def __init__(self, name: str, content: Mapping[str, Any], hint: Callable[[], str]) -> None:
        super().__init__(
            load_yaml_config=False,
            load_envvars=False,
            app_name="sharekit",
            app_version=__version__,
        )
        self.cloud_config = {"clouds": {name: dict(content)}}
        self._entry_name, self._hint = name, hint

    def auth_config_hook(self, config: dict[str, Any]) -> dict[str, Any]:
        """Complete and check what signs in, as ``openstack`` does at the same step."""
        add_default_domain(config)
        loader = self._get_auth_loader(config)
        if config["auth_type"] != "none":
            options = loader.get_options()
            names = {o.dest for o in options} | {o.name for o in options}
            names |= {old.name for option in options for old in option.deprecated}
            known = {name.replace("-", "_") for name in names}
            check_credentials(config, known, self._entry_name, self._hint)
        return config


def _read_entry(files: CloudsYaml, name: str, project_id: str = "") -> _Entry:
    """Read an entry; a ``project_id`` replaces its own."""
    content = files.entry(name)
    auth = {**content, **content.get("auth", {})}
    if project_id:
        auth["project_id"] = project_id
        content = merge(content, {"auth": {"project_id": project_id}})
    key = read_access_key(auth, name) if uses_access_key(auth) else None
    keys = (key.ak, key.sk, key.token) if key else ()
    secrets = Secrets([*secrets_of(auth), *keys, *proxy_passwords()])
    if key:
        # openstacksdk sees a cloud without sign-in, and neither its key nor its user.
        kept = {k: v for k, v in content.items() if k in _NOT_AUTH or k.endswith("_override")}
        content = {**kept, "auth_type": "none"}
    elif content.get("auth_type") in _WITHOUT_PROJECT:
        raise SignInError(
            f"Cloud {name}: auth_type {content['auth_type']!r} gives access to no project. Take it "
            "out of its entry in clouds.yaml to sign in by password."
        )
    check_braces(content, name)
    region = _read_region(content, name, partial(_hint, files, name))
    merged = region.config
    settings = CloudConfig.from_config(merged.get("sharekit"), name, merged.get("api_timeout"))
    return _Entry(name, region, key, auth if key else merged.get("auth") or {}, settings, secrets)


def _hint(files: CloudsYaml, name: str) -> str:
    """Return where a password is that an entry without one may be meant to have."""
    if path := files.unjoined(name):
        return (
            f" (the one in {path} is of another folder than {files.file}, and is only sent to the "
            f"address in there if you say --secure-yaml {path})"
        )
    if os.environ.get("OS_PASSWORD") and name != environment_name():
        return " (OS_PASSWORD is only for --cloud envvars)"
    return ""


def _read_region(content: Mapping[str, Any], name: str, hint: Callable[[], str]) -> CloudRegion:
    """Let openstacksdk read an entry, and make one sentence of whatever it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", _NO_PROFILE, ConfigurationWarning)
            return _EntryConfig(name, content, hint).get_one(cloud=name)
    except SharekitError as error:
        failure: SharekitError = error
    except Exception as error:  # noqa: BLE001 - an entry may hold anything, and its libraries raise anything
        failure = SignInError(_explain(error, content, name))
    raise failure


def _explain(error: Exception, content: Mapping[str, Any], name: str) -> str:
    """Return a sentence for an error of openstacksdk; its own text may have the password in it."""
    profile = content.get("profile", content.get("cloud"))
    if isinstance(error, ksa.NoMatchingPlugin):
        return (
            f"Cloud {name}: there is no auth_type {content.get('auth_type')!r}. With a password "
            "none is needed; application credentials have v3applicationcredential."
        )
    if isinstance(error, ksa.MissingRequiredOptions):
        missing = ", ".join(str(option.dest) for option in error.options)
        return f"Cloud {name}: {missing} is missing under `auth`. {_CORRECT}"
    if isinstance(error, ksa.OptionError):
        # keystoneauth's own sentence on settings that are missing beside others; some have values.
        values = [v for v in content.get("auth", {}).values() if isinstance(v, str)]
        text = " ".join(str(error).split()).rstrip(".")
        reason = "" if any(value in text for value in values) else f" ({text})"
        return (
            f"Cloud {name}: auth_type {content.get('auth_type', 'password')} lacks other settings "
            f"under `auth`{reason}. {_CORRECT}"
        )
    if profile:
        # A profile may be a URL, and its content may be anything.
        unknown = isinstance(error, ConfigurationWarning)
        reason = "there is none of that name" if unknown else type(error).__name__
        return (
            f"Cloud {name}: the profile {redact(repr(profile))} cannot be used ({reason}). Correct "
            "`profile` in its entry in clouds.yaml, or write auth_url and the like instead."
        )
    return f"Cloud {name}: openstacksdk cannot use this entry ({type(error).__name__}). {_CORRECT}"


# -- sign-in ---------------------------------------------------------------------------------------
def _sign_in_to(files: CloudsYaml, name: str, limiters: RateLimiters, project_id: str) -> Cloud:
    return _sign_in(_read_entry(files, name, project_id), limiters)


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
        secrets=entry.secrets,
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
    if settings.acts_for:
        _check_administrator(session, entry)
    places = find_endpoints(None if entry.key else session, region, name, project)
    image, ims, cbr = (check_address(url, entry.secrets, name) for url in places)
    for url in filter(None, (image, ims, cbr)):
        warned |= entry.check_tls(url)
    _log.info("%s: project %s, image service %s", name, project, redact(image))
    named = getattr(getattr(session.auth, "auth_ref", None), "project_name", None)
    told = (entry.shown_name(named), SIGN_IN) if isinstance(named, str) else entry.project_name
    client, by = _find_client(settings.client, name)
    return client(
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
        project_name=told[0],
        named_by=told[1],
        warnings=(*warned, *by),
    )


def _check_administrator(session: Session, entry: _Entry) -> None:
    """Raise SignInError unless a token is an administrator's.

    To anybody else Glance says that other projects' shares do not exist.
    """
    roles = getattr(getattr(session.auth, "auth_ref", None), "role_names", None) or []
    if "admin" not in roles:
        shown = entry.shown_name(", ".join(map(str, roles))) or "unknown"
        raise SignInError(
            f"{entry.name}: this account is no administrator (its roles: {shown}), so it cannot "
            "act for other projects. Sign in as one, or take acts_for out of its entry in "
            "clouds.yaml."
        )


def _find_client(wanted: str, name: str) -> tuple[type[Cloud], tuple[str, ...]]:
    """Return the class that speaks to a cloud, and what reports say of it unless it is ours.

    Raises
    ------
    SignInError
        If no package has a client of this name, or it is no client.
    """
    if not wanted:
        return Cloud, ()
    for point in entry_points(group="sharekit.clouds", name=wanted):
        client = point.load()
        if isinstance(client, type) and issubclass(client, Cloud):
            return client, (f"its client is of another package ({point.value})",)
        raise SignInError(
            f"Cloud {name}: the client {wanted} ({point.value}) is no subclass of "
            "sharekit.clouds.cloud.Cloud. Tell its authors."
        )
    raise SignInError(
        f"Cloud {name}: no package that is installed has a client {wanted!r}. Install it, or "
        "correct `client` in clouds.yaml."
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
def _offered_projects(entry: _Entry) -> dict[str, str]:
    """Return the projects of an entry that lists them, or of its account, with their names."""
    name, settings = entry.name, entry.settings
    if "application_credential" in " ".join(
        [*entry.auth, str(entry.region.config.get("auth_type"))]
    ):
        raise SignInError(
            f"{name}: an application credential belongs to one project; take `projects` out of its "
            "entry in clouds.yaml."
        )
    entry.warnings()
    if settings.projects != ("all",):
        return dict.fromkeys(settings.projects, "")
    if entry.key is not None:
        raise SignInError(
            f"{name}: an access key cannot ask for its projects; name them in clouds.yaml, as in "
            "`projects: [ID, ID]`."
        )
    session = entry.region.get_session()
    _mount_adapters(session, settings)
    _probe_identity(session, entry)
    timeout = (settings.connect_timeout, settings.read_timeout)
    Transport(session, name, timeout, secrets=entry.secrets).token()
    listed = _list_projects(session, entry.region.region_name or "", name, entry.secrets)
    return {project: entry.shown_name(named) for project, named in listed.items()}


def _list_projects(session: Session, region: str, name: str, secrets: Secrets) -> dict[str, str]:
    """Ask Keystone for the projects in which the account has a role (GET /v3/auth/projects)."""
    endpoint = {"interface": AUTH_INTERFACE, "version": (3,)}
    try:
        body = session.get("/auth/projects", endpoint_filter=endpoint).json()
        listed = validated(secrets.masked(body), Projects, "/auth/projects")["projects"]
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


def _in_region(projects: Iterable[Mapping[str, Any]], region: str) -> dict[str, str]:
    """Return ID and name of enabled projects, without those whose name is of another region.

    >>> _in_region([{"id": "a", "name": "eu-nl_web"}, {"id": "b", "name": "eu-de"}], "eu-de")
    {'b': 'eu-de'}
    """
    names = {str(p["id"]): str(p.get("name") or "") for p in projects if p.get("enabled", True)}
    return {p: name for p, name in names.items() if region_of_project(name) in ("", region)}
