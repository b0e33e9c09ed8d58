"""How the command's process keeps and collects memory; never set inside somebody's kernel."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Final

#: The numbers by which mallopt(3) knows what may be set.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
#: Freed memory that glibc keeps for whatever comes next.
_KEPT_BYTES: Final = 64 << 20
#: New objects after which cycles are looked for: hardly any are made, and to look every 700 objects
#: is a tenth of the CPU of a run's events.
_COLLECTED: Final = 50_000


def keep_freed_memory() -> None:
    """Let freed memory be used again, not returned to the system, and look seldom for cycles.

    A column of a million texts is larger than what glibc keeps by itself: the kernel would clear
    the pages of every single one, a twentieth of all CPU time of ``plan``. pyarrow's own allocator
    asks for huge pages, which cost up to a fifth for frames that live so shortly; so glibc's is
    named before pyarrow is loaded. Elsewhere than with glibc only that is done.
    """
    gc.set_threshold(_COLLECTED)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda *_: None)
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        # With an arena for each thread of Arrow's, freed columns lie where other threads cannot use
        # them: 50 to 80 MB of a million rows.
        mallopt(_ARENA_MAX, 1)
