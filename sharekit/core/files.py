"""Files for their owner's eyes only, whatever the umask is."""

from __future__ import annotations

import os


def private_opener(path: str, flags: int) -> int:
    """Open a file for its owner's eyes only: an ``opener`` for :func:`open`.

    No umask and no moment in between makes it readable. On Windows the folder's rights decide.
    """
    return os.open(path, flags, 0o600)
