"""What an entry of ``clouds.yaml`` may hold, checked before openstacksdk or a cloud sees it.

YAML makes a mapping, list, date, number or boolean of a password without quotation marks. A cloud
that is sent one repeats it in its answer, and a library in its exception; so only text may go on.
No message has the value of a setting that may be secret.
"""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from sharekit.core.errors import SignInError

#: Settings that openstacksdk takes from ``auth`` or from beside it, and the parts of an access key.
_CREDENTIALS: Final = frozenset(
    "access_token ak application_credential_id application_credential_name "
    "application_credential_secret auth_token auth_url client_id client_secret code "
    "default_domain_id default_domain_name domain_id domain_name idp_otp_key oauth2_client_id "
    "oauth2_client_secret passcode password project_domain_id project_domain_name project_id "
    "project_name security_token sk system_scope tenant_id tenant_name token trust_id "
    "user_domain_id user_domain_name user_id user_name username".split()
)
_TEXTS: Final = frozenset(
    "api_timeout auth_plugin auth_type cacert cert cloud default_domain identity_api_version key "
    "profile".split()
)
_FILES: Final = frozenset(["cacert", "cert", "key"])
_BOOLEANS: Final = frozenset(["verify", "insecure"])
#: Settings that openstacksdk reads, and no sign-in needs.
_UNUSED: Final = frozenset(["external_network", "internal_network", "metrics", "networks"])
_TRUTH: Final = {
    **dict.fromkeys(["true", "yes", "on", "1"], True),
    **dict.fromkeys(["false", "no", "off", "0"], False),
}
#: A key as it may stand in a message: one with other characters might be a password that lost
#: the colon before it.
_KEY: Final = re.compile(r"[A-Za-z]+(?:[_-][A-Za-z]+)*")
#: Settings whose values are secrets.
_SECRET: Final = re.compile(r"ak|sk|code|.*(?:passw|passcode|secret|token|otp_key).*")
#: Kinds of sign-in for which ``openstack`` assumes a domain.
_WITH_DOMAINS: Final = ("password", "v3password", "v3totp")
_HOST: Final = re.compile(rb"(?:\w[\w.-]*|[\da-f:.]+(?:%\w+)?)")
#: Bounds of an entry: deeper, or larger, it refers to itself by YAML's aliases.
_DEPTH, _SIZE = 12, 10_000
#: A setting under ``auth`` -> the ``auth_type`` that it needs.
_AUTH_TYPES: Final = {
    "application_credential_id": "v3applicationcredential",
    "application_credential_name": "v3applicationcredential",
    "application_credential_secret": "v3applicationcredential",
    "token": "token",
    "passcode": "v3totp",
    "access_token": "v3oidcaccesstoken",
    "client_secret": "v3oidcclientcredentials",
    "username": "password",
    "password": "password",
}


def check_entry(content: object, file: str, name: str) -> dict[str, Any]:
    """Return the settings of an entry that a sign-in may need, with ``_`` in place of ``-``.

    Settings without a value are left out, and so is what is a list or mapping and of no use here.

    Raises
    ------
    SignInError
        If a setting has a value that it cannot have; the message has its name, never its value.
    """
    if content is not None and not isinstance(content, dict):
        raise SignInError(f"{file}: the entry {name!r} must hold settings by name. Correct it.")
    where = f"Cloud {name} in {file}"
    settings = content or {}
    _check_size(settings, where)
    kept: dict[str, Any] = {}
    for key, value in _by_name(settings, where).items():
        if key == "auth":
            kept[key] = _check_auth(value, file, name)
        elif key == "regions":
            kept[key] = [_check_region(region, file, name) for region in _list(value, key, where)]
        elif key == "sharekit":
            kept[key] = _check_own(value, where)
        else:
            kept |= _check_setting(key, value, where)
    return kept


def _check_auth(value: object, file: str, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SignInError(
            f"{file}: `auth` of the entry {name!r} must hold settings by name, as in "
            "`auth: {auth_url: …, username: …}`. Correct it."
        )
    where = f"Cloud {name} in {file}"
    settings = _by_name(value, where)
    for key, text in settings.items():
        if key != "auth_methods" or not _is_texts(text):
            _check_text(key, text, where)
    return settings


def _check_own(settings: object, where: str) -> object:
    """Return the settings under ``sharekit:``; :class:`~.config.CloudConfig` checks the values."""
    if not isinstance(settings, dict):
        return settings
    named = _by_name(settings, where)
    for key, value in named.items():
        if not isinstance(value, str | int | float | list):
            raise SignInError(f"{where}: {shown_key(key)} under `sharekit:` must be one value.")
    return named


def _check_region(region: object, file: str, name: str) -> object:
    where = f"Cloud {name} in {file}"
    if isinstance(region, dict):
        if not {"name"} <= region.keys() <= {"name", "values"} or not _is_plain(region["name"]):
            raise SignInError(
                f"{where}: each of regions must be a name, or hold `name` and `values`."
            )
        values = check_entry(region.get("values"), file, name)
        return {"name": str(region["name"]), "values": values}
    if not _is_plain(region):
        raise SignInError(f"{where}: each of regions must be a name. Put it in quotes.")
    return str(region)


def _check_setting(key: str, value: object, where: str) -> dict[str, Any]:
    """Return one setting if its value is of the right kind, nothing if nobody here needs it."""
    if key in _BOOLEANS:
        return {key: _boolean(key, value, where)}
    if key in _CREDENTIALS or key.endswith("endpoint_override"):
        _check_text(key, value, where)
        if key not in _CREDENTIALS and not is_url(re.sub(r"\{\w*\}", "x", str(value))):
            raise SignInError(
                f"{where}: {key} must be an address, as in https://ims.example.com. Correct it."
            )
        if key not in _CREDENTIALS:
            check_plain_url(key, str(value), where)
        return {key: value}
    if key == "region_name" or key.endswith(("interface", "endpoint_type")):
        if not _is_plain(value) and not _is_texts(value):
            raise SignInError(f"{where}: {key} must be one word, or a list of words. Correct it.")
        return {key: value if isinstance(value, list) else str(value)}
    if key in _TEXTS:
        return {key: _text(key, value, where)}
    usable = key not in _UNUSED and (_is_plain(value) or isinstance(value, bool))
    return {key: value} if usable else {}


def _text(key: str, value: object, where: str) -> str:
    if not _is_plain(value):
        raise SignInError(f"{where}: {key} must be text. Correct it.")
    text = str(value)
    if key in _FILES and not Path(text).expanduser().exists():
        shown = "" if key == "key" else f": {text}"  # somebody may take that one for a secret
        raise SignInError(f"{where}: {key} names no file that there is{shown}. Correct the path.")
    return text


def _check_text(key: str, value: object, where: str) -> None:
    if not isinstance(value, str):
        raise SignInError(f"{where}: {shown_key(key)} is no text to YAML; put it in quotes.")


def _boolean(key: str, value: object, where: str) -> bool | str:
    if isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else ""
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if key == "verify" and text and Path(text).exists():  # requests takes it as a CA file
        return text
    advice = "Name a CA file under cacert." if key == "verify" else "Correct it."
    raise SignInError(f"{where}: {key} must be true or false. {advice}")


def _by_name(settings: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """Return settings that have a value, by name, with ``_`` in place of ``-``."""
    if not all(isinstance(key, str) for key in settings):
        raise SignInError(f"{where}: the name of a setting is no text to YAML; put it in quotes.")
    return {key.replace("-", "_"): v for key, v in settings.items() if v is not None}


def _check_size(content: Mapping[Any, Any], where: str) -> None:
    containers: list[tuple[Any, int]] = [(content, 0)]
    size = 0
    while containers:
        container, depth = containers.pop()
        size += len(container)
        if depth > _DEPTH or size > _SIZE:
            raise SignInError(f"{where}: its settings are nested too deeply. Correct them.")
        inner = container.values() if isinstance(container, Mapping) else container
        containers += [(c, depth + 1) for c in inner if isinstance(c, Mapping | list | tuple | set)]


def _list(value: object, key: str, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise SignInError(f"{where}: {key} must be a list, as in `{key}: [eu-de]`. Correct it.")
    return value


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def shown_key(key: str) -> str:
    """Return a key as it may stand in a message.

    >>> shown_key("project_id"), shown_key("password Sommer2026!")
    ('project_id', 'a setting')
    """
    known = key in _CREDENTIALS or (len(key) <= 40 and _KEY.fullmatch(key))
    return key if known else "a setting"


def secrets_of(settings: Mapping[str, Any]) -> list[str]:
    """Return the values of settings that are secrets.

    >>> secrets_of({"username": "ada", "password": "right", "auth": {"token": "t"}})
    ['right', 't']
    """
    found: list[str] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += secrets_of(value)
        elif _SECRET.fullmatch(key) and isinstance(value, str):
            found.append(value)
    return found


def check_plain_url(key: str, url: str, where: str) -> None:
    """Raise SignInError if an address has more in it than scheme, host and path.

    Addresses are recorded in ledgers and reports; what else they have may be a password.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SignInError(
            f"{where}: {key} has more in it than scheme, host and path. It would be recorded: put "
            "user and password under `auth`, and take everything else out."
        )


def is_url(text: str) -> bool:
    """Return True if a text is the address of a web service.

    >>> is_url("https://iam.example.com/v3"), is_url("iam.example.com"), is_url("https://a:b/v3")
    (True, False, False)
    """
    try:
        parts = urlsplit(text)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except (ValueError, UnicodeError):
        return False
    plain = text.isprintable() and not any(map(str.isspace, text))
    return plain and parts.scheme in ("http", "https") and _HOST.fullmatch(host) is not None


# -- an entry that is joined from all files --------------------------------------------------------
def check_braces(entry: Mapping[str, Any], name: str) -> None:
    """Raise SignInError for ``{…}`` that openstacksdk would replace by something else than text.

    It puts every setting of an entry into every text of it, credentials and all.
    """
    texts = {k: v for k, v in entry.items() if isinstance(v, str) and k not in _CREDENTIALS}
    known = {*texts, "region_name", "interface"}
    auth_url = (entry.get("auth") or {}).get("auth_url", entry.get("auth_url"))
    for key, text in {**texts, "auth_url": auth_url or ""}.items():
        try:
            fields = list(string.Formatter().parse(text))
            bad = any(f is not None and (f not in known or spec or c) for _, f, spec, c in fields)
        except ValueError:
            bad = True
        if bad:
            raise SignInError(
                f"{name}: {shown_key(key)} has braces that name no other setting of its entry in "
                "clouds.yaml. Write {{ and }} for braces."
            )


def add_default_domain(config: dict[str, Any]) -> None:
    """Add the domain that ``openstack`` assumes with ``identity_api_version: 3``.

    It does so for passwords and one-time codes, and for users and projects alike, where the entry
    names no domain: ``default_domain``, or else ``default``.

    >>> config = {"identity_api_version": "3", "auth_type": "password", "auth": {}}
    >>> add_default_domain(config)
    >>> config["auth"]
    {'project_domain_id': 'default', 'user_domain_id': 'default'}
    """
    version = str(config.get("identity_api_version") or "")
    if not version.startswith("3") or config["auth_type"] not in _WITH_DOMAINS:
        return
    for owner in ("project", "user"):
        keys = (f"{owner}_domain_id", f"{owner}_domain_name")
        if not any(config["auth"].get(key) or config.get(key) for key in keys):
            config["auth"][keys[0]] = str(config.get("default_domain") or "default")


#: Key under ``auth`` -> the scope that it asks a token for; a token has one.
_SCOPES: Final = {
    "project_id": "project", "project_name": "project", "system_scope": "system",
    "trust_id": "trust",
}  # fmt: skip


def check_credentials(
    config: dict[str, Any], options: Iterable[str], name: str, hint: Callable[[], str]
) -> None:
    """Check the settings under ``auth`` by the options that the ``auth_type`` has.

    Settings beside ``auth`` that it does not have are taken out: nothing may print them.

    Raises
    ------
    SignInError
        If one is unknown to it, is no text, or is missing.
    """
    auth, auth_type, options = config["auth"], config["auth_type"], set(options)
    for key in _CREDENTIALS - options:
        config.pop(key, None)
    where = f"Cloud {name}"
    for key, value in auth.items():
        if key != "auth_methods":
            _check_text(key, value, where)
        if key not in options and auth_type != "v3multifactor":
            _refuse_setting(key, str(auth_type), options, where)
    scopes = [key for key in _SCOPES if auth.get(key)]
    if len({_SCOPES[key] for key in scopes}) > 1:
        raise SignInError(
            f"{where}: {' and '.join(scopes)} are different scopes of a token. Take all but one "
            "out of its entry."
        )
    key = "application_credential_secret"
    if key in options and scopes:
        raise SignInError(
            f"{where}: application credentials belong to one project and cannot ask for it: take "
            f"{' and '.join(scopes)} out of this entry in clouds.yaml."
        )
    if key in options and not (auth.get(key) or config.get(key)):
        raise SignInError(f"{where}: {key} is missing under `auth`. Add it to its entry.")
    if "auth_url" in options:
        _check_auth_url(str(auth.get("auth_url") or config.get("auth_url") or ""), where)
    if "password" in options and not (auth.get("password") or config.get("password")):
        raise SignInError(
            f"{name}: nobody can sign in: password is a required attribute. Correct this cloud's "
            f"entry in clouds.yaml or secure.yaml{hint()}."
        )


def _check_auth_url(url: str, where: str) -> None:
    if not url:
        raise SignInError(f"{where}: auth_url is missing or empty. Add it to its entry.")
    if not is_url(url):
        raise SignInError(
            f"{where}: auth_url must be an address, as in https://iam.example.com/v3. Correct it."
        )
    check_plain_url("auth_url", url, where)


def _refuse_setting(key: str, auth_type: str, options: set[str], where: str) -> NoReturn:
    needed = _AUTH_TYPES.get(key)
    if needed and auth_type == "password":
        raise SignInError(
            f"{where}: {key} needs an auth_type of its own. Write `auth_type: {needed}` beside "
            "`auth`."
        )
    if needed:
        raise SignInError(
            f"{where}: auth_type {auth_type} takes no {key}. Take {key} or auth_type out of its "
            "entry."
        )
    near = difflib.get_close_matches(key, options, 1)
    advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(options))}."
    raise SignInError(
        f"{where}: {shown_key(key)} under `auth` is unknown to auth_type {auth_type}. {advice}"
    )
