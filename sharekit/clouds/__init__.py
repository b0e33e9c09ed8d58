"""Interchangeable ways to a cloud: sign-in, the batch call, the native call, jobs, vaults.

Nothing outside this package speaks HTTP, and nothing inside it knows DataFrames.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .cloud import Answer, Cloud, ImageShare, JobState, Member, Vault
from .config import Wishes
from .registry import Clouds

if TYPE_CHECKING:
    from .sign_in import connect

__all__ = [
    "Answer", "Cloud", "Clouds", "ImageShare", "JobState", "Member", "Vault", "Wishes", "connect",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # openstacksdk takes long to load, and is needed only by what signs in.
    if name != "connect":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(".sign_in", __name__).connect
