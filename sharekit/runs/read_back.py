"""Reading back: what the clouds show of the shares that were sent, from every side that can look.

A decision is read back by the project that took it. What an owner did is read back by the owner,
and by the project it shares with where there is a sign-in for that one: both must show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.snapshot import read_back, read_back_members
from sharekit.core.actions import (
    MEMBER,
    MEMBER_STATES,
    OWNER,
    ROLES,
    is_satisfied,
)
from sharekit.core.columns import STR
from sharekit.core.errors import CloudRefusedError
from sharekit.core.fields import ACTION_KEY
from sharekit.ledger.ledger import Ledger

from .request_log import FINAL_STATES, LOG, Action, Request, RequestLog, Share

#: Project, image, role, state.
_Line = tuple[str, str, str, str]


@dataclass
class ReadBack:
    """The latest state of each share of a run; every reading is an event of its ledger.

    ``calls`` counts the calls of the cloud, ``denied`` are the projects and roles that may not
    read what they did.
    """

    ledger: Ledger
    log: RequestLog
    clouds: Clouds
    calls: Counter[str]
    states: dict[Action, str]
    denied: set[tuple[str, str]] = field(default_factory=set)

    def state(self, request: Request, share: Share) -> str | None:
        """Return the latest state of a share; of two sides the one that is not as wanted."""
        own = self.states.get((*share, request.role))
        if own is None or request.role == MEMBER or not is_satisfied(request.action, own):
            return own
        return self.states.get((*share, MEMBER), own)

    def is_confirmed(self, request: Request, share: Share) -> bool:
        """Return True if a share was read as wanted."""
        state = self.state(request, share)
        return state is not None and is_satisfied(request.action, state)

    def unconfirmed(self) -> list[tuple[Request, Share]]:
        """Return the shares that were sent and may still be found as wanted."""
        return [
            (request, share)
            for request in self.log.current()
            if request.attempts and request.state in FINAL_STATES and self.can_read(request)
            for share in request.shares
            if self.state(request, share) is None
            or (not self.is_confirmed(request, share) and request.reported(share) != "failed")
        ]

    def can_read(self, request: Request) -> bool:
        """Return True if the cloud lets the acting project read what it did."""
        return (request.project_id, request.role) not in self.denied

    def forget(self, shares: list[Share]) -> None:
        """Forget the states of shares that are sent again."""
        for share in shares:
            for role in ROLES:
                self.states.pop((*share, role), None)

    def read(
        self, shares: list[tuple[Request, Share]], concurrency: int, tick: Callable[[], None]
    ) -> None:
        """Read shares once, and write down their states."""
        decided: dict[str, set[str]] = {}
        offered: dict[str, set[Share]] = {}
        for request, (project, image) in shares:
            by_owner = request.role == OWNER
            if by_owner:
                offered.setdefault(request.project_id, set()).add((project, image))
            if not by_owner or (project in self.clouds and (project, MEMBER) not in self.denied):
                decided.setdefault(project, set()).add(image)
        # A pool for each project: all of them in one could wait for each other.
        with ThreadPoolExecutor(concurrency) as pool:
            jobs = [pool.submit(self._as_member, *item, concurrency) for item in decided.items()]
            jobs += [pool.submit(self._as_owner, *item, concurrency) for item in offered.items()]
            lines = [line for job in jobs for line in job.result()]
        tick()
        LOG.info("read back %d shares of %d", len(lines), len(shares))
        observed = pd.DataFrame(lines, columns=[*ACTION_KEY, "state"], dtype=STR)
        with self.ledger.transaction():
            blob = self.ledger.put_frame(observed)
            self.ledger.append("read_back", {"blob": blob, "images": len(observed)})
        self.states.update({(project, image, role): s for project, image, role, s in lines})

    def _as_member(self, project: str, images: set[str], concurrency: int) -> list[_Line]:
        self.calls["read"] += 1
        try:
            with ThreadPoolExecutor(min(concurrency, len(MEMBER_STATES))) as pool:
                shares = read_back(self.clouds, project, images, pool)
            return [(project, share.image_id, MEMBER, share.state) for share in shares]
        except CloudRefusedError as refusal:
            self._note_denied(refusal, project, MEMBER)
            return []

    def _as_owner(self, owner: str, shares: set[Share], concurrency: int) -> list[_Line]:
        projects: dict[str, list[str]] = {}
        for project, image in sorted(shares):
            projects.setdefault(image, []).append(project)
        self.calls["read"] += len(projects)
        try:
            with ThreadPoolExecutor(concurrency) as pool:
                read = partial(read_back_members, self.clouds[owner])
                states = list(pool.map(read, projects, projects.values()))
        except CloudRefusedError as refusal:
            self._note_denied(refusal, owner, OWNER)
            return []
        return [
            (project, image, OWNER, state)
            for image, of_image in zip(projects, states, strict=True)
            for project, state in of_image.items()
        ]

    def _note_denied(self, refusal: CloudRefusedError, project: str, role: str) -> None:
        if refusal.http not in (401, 403, 404):
            raise refusal
        body = {"project_id": project, "code": refusal.code, "reason": str(refusal)}
        self.ledger.append("read_back_denied", body)
        self.denied.add((project, role))
