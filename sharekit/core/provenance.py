"""Which program, on which machine, made this: for the ledger, without secrets."""

from __future__ import annotations

import getpass
import platform
from datetime import UTC, datetime
from importlib.metadata import version

__version__ = "0.1.0"
#: The number of the reports' format: raise it when the values that a report shows change.
REPORT_FORMAT = 1
_LIBRARIES = ("pandas", "pyarrow", "fastexcel", "requests", "keystoneauth1", "openstacksdk")


def environment() -> dict[str, str]:
    """Versions, platform, machine and user.

    >>> sorted(environment())[:3]
    ['fastexcel', 'host', 'keystoneauth1']
    """
    return {
        "sharekit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "user": user(),
        **{name: version(name) for name in _LIBRARIES},
    }


def user() -> str:
    """The name of the person at work, ``""`` where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no user database
        return ""


def utc_now() -> str:
    """Return the time in UTC, to the microsecond, in a form that sorts."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
