"""Which program, on which machine, made this: for the ledger, without secrets."""

from __future__ import annotations

import getpass
import platform
from importlib.metadata import version

from sharekit import __version__

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
