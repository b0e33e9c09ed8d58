"""Reading back: what the clouds show of the shares that were sent, from every side that can look.

A decision is read back by the project that took it. What an owner did is read back by the owner,
and by the project it shares with where there is a sign-in for that one: both must show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from sharekit.clouds.cloud import Cloud
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.ownership import members_of
from sharekit.clouds.state.snapshot import look_back
from sharekit.core.actions import (
    ABSENT,
    MEMBER,
    MEMBER_STATES,
    OWNER,
    PENDING,
    SHARE,
    UNSHARE,
    is_satisfied,
)
from sharekit.core.errors import CloudRefusedError
from sharekit.ledger import parquet
from sharekit.ledger.ledger import Ledger

from .request_log import ENDED, History, Piece, Share
from .run import SIDED

#: Project, image, side -> the state that was seen last.
Seen = dict[tuple[str, str, str], str]
#: In which listing of the project something that its owner did should be.
_HOPED: Final = {SHARE: PENDING, UNSHARE: ABSENT}
_Line = tuple[str, str, str, str]


@dataclass
class Proof:
    """What was seen of the shares of a run; every look is an event of its ledger."""

    book: Ledger
    history: History
    clouds: Clouds
    counted: Counter[str]
    concurrency: int
    seen: Seen
    unreadable: set[tuple[str, str]] = field(default_factory=set)

    def state(self, piece: Piece, share: Share) -> str | None:
        """What a share was last seen as; where two sides looked, the one that shows otherwise."""
        mine = self.seen.get((*share, piece.side))
        if mine is None or not piece.projects or not is_satisfied(piece.act, mine):
            return mine
        return self.seen.get((*share, MEMBER), mine)

    def holds(self, piece: Piece, share: Share) -> bool:
        """Whether a share was seen as it should be."""
        state = self.state(piece, share)
        return state is not None and is_satisfied(piece.act, state)

    def unproven(self) -> list[tuple[Piece, Share]]:
        """Shares that were sent and are not yet known to be as they should."""
        return [
            (piece, share)
            for piece in self.history.leaves()
            if piece.attempts and piece.state in ENDED and self.can_read(piece)
            for share in piece.shares
            if self.state(piece, share) is None
            or (not self.holds(piece, share) and piece.claim(piece.named(share)) != "failed")
        ]

    def can_read(self, piece: Piece) -> bool:
        """Whether the cloud lets the acting project look at what it did."""
        return (piece.project_id, piece.side) not in self.unreadable

    def read(self, todo: list[tuple[Piece, Share]], tick: Callable[[], None]) -> None:
        """Look at shares once, and write down what is seen."""
        decided: dict[str, dict[str, str]] = {}
        offered: dict[str, set[Share]] = {}
        for piece, (project, image) in todo:
            if piece.projects:
                offered.setdefault(piece.project_id, set()).add((project, image))
            if not piece.projects or (project in self.clouds and self._may_look(project)):
                hoped = _HOPED.get(piece.act, piece.act)
                decided.setdefault(project, {})[image] = hoped
        with ThreadPoolExecutor(self.concurrency) as pool:
            jobs = [pool.submit(self._as_member, p, images) for p, images in decided.items()]
            jobs += [pool.submit(self._as_owner, p, shares) for p, shares in offered.items()]
            lines = [line for job in jobs for line in job.result()]
        tick()
        observed = pd.DataFrame(lines, columns=[*SIDED, "state"], dtype="str")
        blob = self.book.put(parquet.to_bytes(observed), parquet.MEDIA_TYPE)
        self.book.append("observed", {"blob": blob, "images": len(observed)})
        self.seen.update({(project, image, side): s for project, image, side, s in lines})

    def _may_look(self, project: str) -> bool:
        return (project, MEMBER) not in self.unreadable

    def _as_member(self, project: str, wanted: dict[str, str]) -> list[_Line]:
        self.counted["read"] += 1
        try:
            with ThreadPoolExecutor(min(self.concurrency, len(MEMBER_STATES))) as pool:
                seen = look_back(self.clouds, project, wanted, pool)
            return [(project, share.image_id, MEMBER, share.state) for share in seen]
        except CloudRefusedError as refusal:
            self._forbidden(refusal, project, MEMBER)
            return []

    def _as_owner(self, owner: str, shares: set[Share]) -> list[_Line]:
        cloud = self.clouds[owner]
        with ThreadPoolExecutor(self.concurrency) as pool:
            try:
                return list(self._offered(cloud, shares, pool))
            except CloudRefusedError as refusal:
                self._forbidden(refusal, owner, OWNER)
                return []

    def _offered(self, cloud: Cloud, shares: set[Share], pool: Executor) -> Iterator[_Line]:
        images = sorted({image for _, image in shares})
        self.counted["read"] += len(images)
        known = dict(zip(images, pool.map(members_of, [cloud] * len(images), images), strict=True))
        for project, image in sorted(shares):
            yield project, image, OWNER, known[image].get(project, ABSENT)

    def _forbidden(self, refusal: CloudRefusedError, project: str, side: str) -> None:
        if refusal.http not in (401, 403, 404):
            raise refusal
        body = {"project_id": project, "code": refusal.code, "reason": str(refusal)}
        self.book.append("unreadable", body)
        self.unreadable.add((project, side))
