"""What an entry of ``clouds.yaml`` may say under ``sharekit:``, with careful defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from re import fullmatch
from typing import Any

from sharekit.core.errors import UsageError
from sharekit.core.fields import PROJECT_ID

APIS = ("auto", "batch", "native")
JOB_APIS = ("auto", "results", "progress")
_CHOICES = {"api": APIS, "job_api": JOB_APIS}
_WHOLE = ("read_attempts", "connections")


@dataclass(frozen=True)
class Wishes:
    """Settings of one cloud; times in seconds.

    Attributes
    ----------
    api : str
        ``batch``, ``native``, or ``auto``: whichever call the cloud has.
    job_api : str
        ``results``, ``progress``, or ``auto``.
    read_attempts : int
        How often a reading request is tried at passing faults.
    connect_timeout, read_timeout : float
        How long to wait for a connection, and for an answer.
    connections : int
        How many connections are kept open.
    rate : float
        Requests a second to each service, whether they send, poll or read; 0 is no limit. By
        default 50, and none on this machine. No cloud says what it allows.
    insecure_http : bool
        Send credentials without TLS to other machines too.
    projects : tuple of str
        Give access to several projects by one account: ``all`` in which it has a role, or those
        with these IDs. Without it, an entry is for one project.

    Examples
    --------
    >>> Wishes.of({"api": "native", "rate": 20}, "otc").rate
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
    projects: tuple[str, ...] = ()

    @classmethod
    def of(cls, said: object, name: str, api_timeout: object = None) -> Wishes:
        """Read the settings of a cloud; ``api_timeout`` is openstacksdk's own for answers.

        Raises
        ------
        UsageError
            A setting that does not exist, or a value that makes no sense.
        """
        said = {} if said is None else said
        if not isinstance(said, Mapping):
            raise UsageError(f"{name}: `sharekit:` in clouds.yaml must hold settings by name.")
        known = {f.name: f.default for f in fields(cls)}
        if unknown := sorted(set(map(str, said)) - known.keys()):
            raise UsageError(
                f"{name}: clouds.yaml has an unknown setting {unknown[0]!r} under `sharekit:`; "
                f"there are {', '.join(known)}."
            )
        if api_timeout is not None:
            said = {"read_timeout": api_timeout, **said}
        return cls(**{key: _value(key, value, known[key], name) for key, value in said.items()})

    def rate_for(self, *, loopback: bool) -> float:
        """Requests a second to a service, here or elsewhere."""
        if math.isnan(self.rate):
            return 0.0 if loopback else 50.0
        return self.rate


def _value(key: str, value: Any, default: object, name: str) -> Any:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise UsageError(
                f"{name}: {key} must be one of {', '.join(_CHOICES[key])}; clouds.yaml says "
                f"{value!r}."
            )
        return value
    if key == "projects":
        return _projects(value, name)
    # openstacksdk has made text of whatever stood in the file.
    text = str(value).lower()
    if isinstance(default, bool):
        if text in ("true", "false"):
            return text == "true"
    else:
        number = _number(text)
        least = 1.0 if key in _WHOLE else 0.0
        if math.isfinite(number) and number >= least and (number > 0 or key == "rate"):
            return int(number) if key in _WHOLE else number
    raise UsageError(f"{name}: {key} cannot be {value!r}; correct it in clouds.yaml.")


def _projects(value: Any, name: str) -> tuple[str, ...]:
    words = [str(v) for v in value] if isinstance(value, list | tuple) else str(value).split(",")
    found = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    if found == ("all",) or (found and all(fullmatch(PROJECT_ID, one) for one in found)):
        return found
    raise UsageError(
        f"{name}: projects cannot be {value!r}; write `all`, or project IDs, into clouds.yaml."
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
