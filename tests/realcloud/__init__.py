"""A real Keystone and Glance on loopback, from PyPI, in a virtual environment of their own."""

from __future__ import annotations

from .cloud import Account, RealCloud, start
from .install import UnavailableError

__all__ = ["Account", "RealCloud", "UnavailableError", "start"]
