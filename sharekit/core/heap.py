"""How much is asked of the system for memory while frames of a million rows come and go."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pyarrow as pa

#: The numbers by which mallopt(3) knows what may be set.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MB: Final = 1 << 20
#: Nothing gets pages of its own, and up to so much is kept for whatever comes next.
_KEEPING: Final = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 64 * _MB}
#: As it begins, and with the thresholds that glibc comes to by itself when such frames are freed.
_USUAL: Final = {_MMAP_MAX: 65_536, _MMAP_THRESHOLD: 32 * _MB, _TRIM_THRESHOLD: 64 * _MB}


@contextlib.contextmanager
def steady_memory() -> Iterator[None]:
    """Let memory that is freed be used again, not given back and asked for anew, while this lasts.

    A column of a million texts is larger than what glibc keeps: the kernel would clear the pages
    of every single one, which takes a twentieth of all CPU time. pyarrow's own allocator asks for
    huge pages, which for such short lives costs up to a fifth, so glibc's is taken for it as well.
    Elsewhere than with glibc only this is done.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    _set(_KEEPING)
    try:
        yield
    finally:
        _set(_USUAL)
        pa.set_memory_pool(before)


def give_back() -> None:
    """Give the system what was freed and is kept, before something large of another kind comes."""
    _glibc("malloc_trim")(0)


def _set(options: Mapping[int, int]) -> None:
    for option, value in options.items():
        _glibc("mallopt")(option, value)


@functools.cache
def _glibc(name: str) -> Callable[..., object]:
    nothing: Callable[..., object] = lambda *_: None  # noqa: E731
    return getattr(ctypes.CDLL(None), name, nothing) if sys.platform == "linux" else nothing
