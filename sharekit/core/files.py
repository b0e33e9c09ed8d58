"""What files are called, and files for their owner's eyes only."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

#: Characters of a value in a file name, whose limit is 255 bytes in most file systems.
_NAME_LENGTH: Final = 50


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


def file_names(values: Iterable[str], pattern: str, used: set[str] | None = None) -> list[str]:
    """Return a file name for each value that every file system takes, each another one.

    ``used`` is what earlier calls have made, which is neither made again.

    >>> file_names(["Team A/B", "team a:b", "", "../x"], "review-{}.xlsx")
    ['review-Team A_B.xlsx', 'review-team a_b-2.xlsx', 'review-(empty).xlsx', 'review-x.xlsx']
    """
    names: list[str] = []
    used = set() if used is None else used
    for value in values:
        text = re.sub(r"[^\w .()-]+", "_", unicodedata.normalize("NFC", value))
        text = text[:_NAME_LENGTH].strip(" ._") or ("(value)" if value else "(empty)")
        name, number = text, 2
        # File systems that do not tell upper case from lower case would overwrite the first.
        while unicodedata.normalize("NFKC", name).casefold() in used:
            name, number = f"{text}-{number}", number + 1
        used.add(unicodedata.normalize("NFKC", name).casefold())
        names.append(pattern.format(name))
    return names
