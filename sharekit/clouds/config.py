"""Settings of an entry of ``clouds.yaml`` under ``sharekit:``, with careful defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from re import fullmatch
from typing import Any, Final

from sharekit.core.errors import SignInError
from sharekit.core.fields import PROJECT_ID

from .entry_checks import shown_key

_CHOICES: Final = {"api": ("auto", "batch", "native"), "job_api": ("auto", "results", "progress")}
_INTEGERS: Final = ("read_attempts", "connections")
#: No number is larger: a session makes room for every connection, and a socket's time has an end.
_MOST: Final = 1e6


@dataclass(frozen=True)
class CloudConfig:
    """Settings of one cloud.

    Attributes
    ----------
    api : str
        The API for changes: ``batch``, ``native``, or ``auto`` for the one that the cloud has.
    job_api : str
        The API for jobs: ``results``, ``progress``, or ``auto`` for the one that the cloud has.
    read_attempts : int
        Attempts of a reading request at temporary faults.
    connect_timeout, read_timeout : float
        Seconds to wait for a connection, and for the next bytes of a response.
    connections : int
        Connections that are kept open.
    rate : float
        Requests a second to each service, whether they send, poll or read; 0 for no limit. The
        default is 50, and no limit on this machine. No cloud documents its limit.
    insecure_http : bool
        Send credentials without TLS to other machines too.
    client : str
        Name of another package's client for a further kind of cloud: an entry point of the group
        ``sharekit.clouds``.
    projects : tuple of str
        Projects that the account gives access to: ``all`` in which it has a role, or those with
        these IDs. Without it, an entry is for one project.
    acts_for : tuple of str
        Projects that have no sign-in, and that this account, an administrator's, acts for: ``all``,
        or those with these IDs. Each row of theirs has to be confirmed (the rule ``acts-for``).

    Examples
    --------
    >>> CloudConfig.from_config({"api": "native", "rate": 20}, "otc").rate
    20.0
    """

    api: str = "auto"
    job_api: str = "auto"
    read_attempts: int = 6
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    connections: int = 64
    rate: float = math.nan
    insecure_http: bool = False
    client: str = ""
    projects: tuple[str, ...] = ()
    acts_for: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, settings: object, name: str, api_timeout: object = None) -> CloudConfig:
        """Read the settings of a cloud; ``api_timeout`` is openstacksdk's own read time-out.

        Raises
        ------
        SignInError
            If a setting does not exist, or a value makes no sense.
        """
        settings = {} if settings is None else settings
        if not isinstance(settings, Mapping):
            raise SignInError(
                f"Cloud {name}: `sharekit:` in clouds.yaml must hold settings by name."
            )
        defaults = {f.name: f.default for f in fields(cls)}
        if unknown := sorted(set(map(str, settings)) - defaults.keys()):
            raise SignInError(
                f"Cloud {name}: {shown_key(unknown[0])} under `sharekit:` in clouds.yaml is no "
                f"setting; there are {', '.join(defaults)}."
            )
        values = {k: _value(k, v, defaults[k], name) for k, v in settings.items()}
        if api_timeout is not None:
            timeout = _value("api_timeout", api_timeout, cls.read_timeout, name)
            values = {"read_timeout": timeout, **values}
        if values.get("acts_for") and (values.get("projects") or values.get("api") == "batch"):
            raise SignInError(
                f"Cloud {name}: acts_for goes with neither `projects` nor `api: batch`: one "
                "sign-in acts for others, and only the native call is known to allow that. Make "
                "two entries of it in clouds.yaml."
            )
        return cls(**values)

    def rate_for(self, *, loopback: bool) -> float:
        """Return the requests a second to a service on this machine, or on another one."""
        if math.isnan(self.rate):
            return 0.0 if loopback else 50.0
        return self.rate


def _value(key: str, value: Any, default: object, name: str) -> Any:
    if key in _CHOICES:
        if not isinstance(value, str) or value not in _CHOICES[key]:
            choices = ", ".join(_CHOICES[key])
            raise SignInError(
                f"Cloud {name}: {key} must be one of {choices}; clouds.yaml has {_shown(value)}."
            )
        return value
    if key == "client" and isinstance(value, str):
        return value
    if key in ("projects", "acts_for"):
        return _projects(key, value, name)
    # openstacksdk turns every value of the file into text.
    text = str(value).lower()
    if isinstance(default, bool):
        if text in ("true", "false"):
            return text == "true"
    else:
        number = _number(text)
        least = 1.0 if key in _INTEGERS else 0.0
        if least <= number <= _MOST and (number > 0 or key == "rate"):
            return int(number) if key in _INTEGERS else number
    raise SignInError(f"Cloud {name}: {key} cannot be {_shown(value)}; correct it in clouds.yaml.")


def _projects(key: str, value: Any, name: str) -> tuple[str, ...]:
    words = [str(v) for v in value] if isinstance(value, list | tuple) else str(value).split(",")
    projects = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    if projects == ("all",) or (projects and all(fullmatch(PROJECT_ID, p) for p in projects)):
        return projects
    raise SignInError(
        f"Cloud {name}: {key} cannot be {_shown(value)}; write `all`, or project IDs, into "
        "clouds.yaml."
    )


def _shown(value: object) -> str:
    # A mapping or list may be anything, also a password in the wrong place.
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
