"""A ledger as it was up to one of its events: what a report that was made then was made from."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Final

from .ledger import Event, Ledger

#: How reports name their head: ``"head": "…"`` in json, ``… (12 events)`` in html and xlsx.
_HEAD: Final = re.compile(
    rb'"head": "([0-9a-f]{64})"|([0-9a-f]{64}) \([0-9][^()<>]{0,20} events?\)'
)
_PIECE, _OVERLAP = 1 << 20, 128


class Earlier(Ledger):
    """An open ledger that shows nothing after an event; see :func:`cut_at`."""

    def each(self, *kinds: str) -> Iterator[Event]:
        """As :meth:`Ledger.each`, up to the end."""
        return takewhile(lambda event: event.seq <= self._seq, super().each(*kinds))

    def last(self, kind: str = "") -> Event | None:
        """As :meth:`Ledger.last`, up to the end."""
        found = deque(self.each(*([kind] if kind else [])), maxlen=1)
        return found[0] if found else None

    def cut_at(self, link: str) -> bool:
        """Show nothing after the event of this hash; False if there is none."""
        for event in self.each():
            if event.hash == link:
                self._seq, self._head = event.seq, link
                return True
        return False


def head_in(report: Path) -> str:
    """Return the head of the ledger that a report says it was made from; ``""`` if it says none."""
    try:
        if report.suffix.lower() != ".xlsx":
            with report.open("rb") as file:
                return _found(iter(partial(file.read, _PIECE), b""))
        with zipfile.ZipFile(report) as parts:
            for name in parts.namelist():
                if name.endswith(".xml"):
                    with parts.open(name) as part:
                        head = _found(iter(partial(part.read, _PIECE), b""))
                    if head:
                        return head
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError):
        pass
    return ""


def _found(pieces: Iterator[bytes]) -> str:
    tail = b""
    for piece in pieces:
        if found := _HEAD.search(tail + piece):
            return (found[1] or found[2]).decode()
        tail = piece[-_OVERLAP:]
    return ""
