"""Which image spoils a request? Found with few further requests, and without failing a good one.

A refused request is cut in two. The first half goes alone: if it passes, the spoiler is known to be
in the second, which is cut again without being sent; if not, the second half goes too. One bad
image among n costs 2·log2(n) further requests at the most. Where many images are bad, halves
are wasted: then groups get as small as what was learned so far suggests, down to single images.
A rectangle of images and projects is cut between images first, then between projects; the other way
round where the cloud blames a project. What is counted are shares.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sharekit.core.error_codes import BLAMES_PROJECT
from sharekit.core.errors import CloudRefusedError

from .request_log import History, Part, Piece
from .settings import Settings

#: So many images must have met their fate before their number of bad ones says anything.
_ENOUGH = 20
#: Above this share of bad images, one alone is cheapest; below, a group that passes half the time.
_ALONE, _HALF = 0.38, 0.7
#: Requests that are not spent on proof: so much of one for each image.
_RESERVE = 0.9
#: Where both halves were refused, there are several: the next cut is finer.
_FINER = 8
#: A cloud that fails more than this share of the latest images is not asked further.
_MOST = 0.9


@dataclass
class Isolation:
    """What is known of bad images in one run.

    ``begin`` sends a piece, ``split`` writes that one is split, ``fail`` that one failed unsent.
    """

    history: History
    begin: Callable[[Piece], None]
    split: Callable[[Piece, Sequence[Part], str], None]
    fail: Callable[[Piece, str, str], None]
    lock: threading.RLock
    good: int = 0
    bad: int = 0
    _fates: deque[tuple[int, int]] = field(default_factory=deque)
    _images: int = 0
    _held: dict[str, tuple[Piece, CloudRefusedError]] = field(default_factory=dict)
    _second: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._images = sum(piece.size for piece in self.history.leaves())

    def group(self) -> int:
        """So many images should go together, by what is known now."""
        known = self.good + self.bad
        share = self.bad / known if known >= _ENOUGH else 0.0
        return 1 if share > _ALONE else max(2, int(_HALF / share)) if share else self._images

    def cut_first(self, piece: Piece) -> bool:
        """Split a piece before it is sent, if so many images would surely be refused."""
        with self.lock:
            size = self.group()
            if piece.attempts or piece.size <= max(2 * size, 2) - (size == 1):
                return False
            self._into(piece, piece.parts(size), "so many of the others were refused")
            self.settled(piece)
            return True

    def refused(self, piece: Piece, refusal: CloudRefusedError) -> None:
        """Go on after a refusal that one image may have caused."""
        with self.lock:
            if piece.size == 1:
                self._met(0, 1)
            else:
                self._narrow(piece, refusal)
            self.settled(piece)

    def settled(self, piece: Piece) -> None:
        """Take notice of a piece's end: its second half may have waited for it."""
        with self.lock:
            passed = piece.state == "done" and all(piece.results.values())
            if piece.state == "done":
                failed = sum(not good for good in piece.results.values())
                self._met(piece.size - failed, failed)
            sibling, refusal = self._held.pop(piece.chunk, (None, None))
            if sibling is None or refusal is None:
                return
            if passed:
                self._guilty(sibling, refusal)
            else:
                self._second.add(sibling.chunk)
                self.begin(sibling)

    def failing(self, settings: Settings) -> str:
        """Say whether nearly all of the latest images have failed, however well it began."""
        window, limit = settings.failure_window, max(_MOST, settings.failure_limit)
        with self.lock:
            known = sum(map(sum, self._fates))
            while self._fates and known - sum(self._fates[0]) >= window:
                known -= sum(self._fates.popleft())
            bad = sum(bad for _, bad in self._fates)
        if known < window or bad <= limit * known:
            return ""
        return f"{bad:,} of the latest {known:,} images that met their fate have failed"

    def _met(self, good: int, bad: int) -> None:
        self.good, self.bad = self.good + good, self.bad + bad
        self._fates.append((good, bad))

    def _guilty(self, piece: Piece, refusal: CloudRefusedError) -> None:
        """One of these is bad, since the others passed without them."""
        if piece.size > 1:
            self._narrow(piece, refusal)
        elif self._short():
            self._met(0, 1)
            reason = "refused together with others, which passed without it: "
            self.fail(piece, refusal.code, f"{reason}{refusal}")
        else:
            self.begin(piece)

    def _narrow(self, piece: Piece, refusal: CloudRefusedError) -> None:
        by_project = refusal.code in BLAMES_PROJECT
        why = f"{refusal.code}: one {'project' if by_project else 'image'} may be bad"
        half = piece.size // 2
        several = piece.chunk in self._second
        size = min(self.group(), max(2, piece.size // _FINER) if several else half)
        if size < half:
            self._into(piece, piece.parts(size, by_project=by_project), why)
            return
        first, second = self._children(piece, piece.halves(by_project=by_project), why)
        self._held[first.chunk] = (second, refusal)
        self.begin(first)

    def _into(self, piece: Piece, cuts: Sequence[Part], why: str) -> None:
        for child in self._children(piece, cuts, why):
            self.begin(child)

    def _children(self, piece: Piece, cuts: Sequence[Part], why: str) -> list[Piece]:
        self.split(piece, cuts, why)
        return self.history.children(piece, len(cuts))

    def _short(self) -> bool:
        """Whether many are bad and no request is left to spare, at one for each image."""
        open_images = self._images - self.good - self.bad
        spent = self.history.requests["submit"] + open_images > _RESERVE * self._images
        return spent and self.group() <= _FINER
