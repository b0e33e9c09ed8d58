"""What files are called, and files for their owner's eyes only."""

from __future__ import annotations

import os


def private_opener(path: str, flags: int) -> int:
    """Open a file for its owner's eyes only: an ``opener`` for :func:`open`.

    No umask and no moment in between makes it readable. On Windows the folder's rights decide.
    """
    return os.open(path, flags, 0o600)


def shown_name(name: str) -> str:
    r"""Return a file's name as it can be written down: bytes that are no UTF-8 are spelled out.

    >>> shown_name("B\udcc3\udcbccher.csv"), shown_name("\udcff.csv"), shown_name("\ud800.csv")
    ('Bücher.csv', '\\xff.csv', '\\xed\\xa0\\x80.csv')
    """
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a name of Windows, which may be no text either
        data = name.encode("utf-8", "surrogatepass")
    return data.decode("utf-8", "backslashreplace")
