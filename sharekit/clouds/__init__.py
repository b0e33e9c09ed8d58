"""Interchangeable ways to a cloud: sign-in, the batch call, the native call, jobs, vaults.

Nothing outside this package speaks HTTP, and nothing inside it knows DataFrames.
"""

from __future__ import annotations

from .cloud import Answer, Cloud, ImageShare, JobState, Member, Vault
from .clouds import Clouds
from .session import connect
from .wishes import Wishes

__all__ = [
    "Answer", "Cloud", "Clouds", "ImageShare", "JobState", "Member", "Vault", "Wishes", "connect",
]  # fmt: skip
