"""The state of the simulated cloud, and everything that can change it.

A :class:`World` is made from a :class:`~sharekit.simulator.seed.Seed` and guarded by one lock:
``with world.settled():`` takes it and first applies every job whose time has come, so that a job
ends even if nobody asks about it. Besides the state it counts what tests need to know:
requests, and how often the state of each (image, project) really changed.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sharekit.core.actions import ACCEPTED, PENDING
from sharekit.core.api import VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE, VAULT_RESOURCES, VAULT_STATUS
from sharekit.simulator.seed import Image, Key, Project, Seed, User

_BACKUP = (VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE)


def stamp(at: datetime, *, digits: int = 0) -> str:
    """Return a time as the APIs print it, in UTC with a ``Z``.

    Examples
    --------
    >>> stamp(datetime(2025, 1, 2, tzinfo=UTC))
    '2025-01-02T00:00:00Z'
    """
    timespec = "microseconds" if digits else "seconds"
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def utcnow() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


@dataclass
class Membership:
    """The state of one share; times as printed."""

    status: str
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Token:
    """A token that was issued; ``project`` is None when it is not scoped."""

    id: str
    user: User
    project: Project | None
    issued_at: datetime
    expires_at: datetime
    methods: tuple[str, ...]


@dataclass
class LogEntry:
    """A request that meant to change members; ``effective`` counts the pairs it changed."""

    request_id: str
    method: str
    path: str
    images: list[str]
    projects: list[str]
    status: str
    effective: int = 0


@dataclass
class Job:
    """An asynchronous job and its fate, which is decided when it is taken on.

    ``doomed`` maps images that will fail to their error code, ``unlucky`` are single shares that
    will; a job with ``lie`` changes nothing.
    """

    id: str
    kind: str
    owner: str
    images: list[str]
    projects: list[str]
    status: str
    seconds: float
    entry: LogEntry
    doomed: dict[str, str] = field(default_factory=dict)
    vault_id: str = ""
    unlucky: set[tuple[str, str]] = field(default_factory=set)
    lie: bool = False
    hang: bool = False
    results_hidden: bool = False
    begin: datetime = field(default_factory=utcnow)
    due: float = 0.0
    results: list[dict[str, str]] | None = None
    failed: list[str] = field(default_factory=list)

    @property
    def end(self) -> datetime:
        """When the job ends, or ended."""
        return self.begin + timedelta(seconds=self.seconds)

    @property
    def errors(self) -> list[str]:
        """The error codes of what failed."""
        return sorted(set(self.failed))


class World:
    """One simulated cloud; every method but :meth:`settled` expects the lock to be held."""

    def __init__(self, seed: Seed) -> None:
        self._lock = threading.RLock()
        self.load(seed)

    def load(self, seed: Seed) -> None:
        """Forget everything and begin with a seed; tokens and jobs of before are unknown."""
        self.settings = seed.settings
        self.projects = {p.id: p for p in seed.projects}
        self.users = {u.id: u for u in seed.users}
        self.keys: dict[str, Key] = {k.access: k for k in seed.keys}
        self.vaults = {vault.id: vault for vault in seed.vaults}
        #: Full-ECS images and projects whose backup lies in a vault already.
        self.stored: set[tuple[str, str]] = set()
        # Glance lists the newest image first, and pages by that order.
        newest = sorted(seed.images, key=lambda i: (i.created_at, i.id), reverse=True)
        self.images = {image.id: image for image in newest}
        self.tokens: dict[str, Token] = {}
        self.jobs: dict[str, Job] = {}
        self.requests: Counter[str] = Counter()
        self.unauthorised = 0
        self.log: list[LogEntry] = []
        self.changes: Counter[tuple[str, str]] = Counter()
        self._by_rank = newest
        self._rank = {image.id: rank for rank, image in enumerate(newest)}
        self._shares: dict[str, dict[str, Membership]] = {i: {} for i in self.images}
        self._visible: dict[str, list[int]] = {}
        self._due: list[tuple[float, int, Job]] = []
        self._ticket = itertools.count()
        for share in seed.shares:
            created = self.images[share.image_id].created_at
            entry = Membership(share.status, created, created)
            self._shares[share.image_id][share.project_id] = entry

    @contextmanager
    def settled(self) -> Iterator[World]:
        """Hold the lock with every job that is due applied."""
        with self._lock:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                self._apply(heapq.heappop(self._due)[2])
            yield self

    # -- reading -----------------------------------------------------------------------------
    def share(self, image_id: str, project_id: str) -> Membership | None:
        """Return the share of an image with a project, if there is one."""
        return self._shares.get(image_id, {}).get(project_id)

    def shares(self, image_id: str) -> dict[str, Membership]:
        """Return all shares of an image by project."""
        return self._shares.get(image_id, {})

    def can_see(self, image: Image, project_id: str) -> bool:
        """Whether a project can see an image: its own, a public one, or one shared with it."""
        return (
            image.owner == project_id
            or image.visibility == "public"
            or (image.visibility == "shared" and project_id in self._shares[image.id])
        )

    def listing(
        self, project_id: str, wanted: Callable[[Image], bool], marker: str, limit: int
    ) -> list[Image]:
        """Return a page of the images a project can see, newest first, after ``marker``.

        Raises KeyError when the marker is no image.
        """
        ranks = self._visible.get(project_id)
        if ranks is None:
            images = enumerate(self._by_rank)
            ranks = [n for n, i in images if i.id in self.images and self.can_see(i, project_id)]
            self._visible[project_id] = ranks
        start = bisect_right(ranks, self._rank[marker]) if marker else 0
        candidates = (self._by_rank[rank] for rank in itertools.islice(ranks, start, None))
        return list(itertools.islice(filter(wanted, candidates), limit))

    # -- changing ----------------------------------------------------------------------------
    def set_status(self, image_id: str, project_id: str, status: str) -> bool:
        """Decide on a share; returns whether there is one. Only a difference counts as change."""
        entry = self.share(image_id, project_id)
        if entry is None:
            return False
        if entry.status != status:
            entry.status, entry.updated_at = status, stamp(utcnow())
            self.changes[image_id, project_id] += 1
        return True

    # -- vaults ------------------------------------------------------------------------------
    def vault_fault(
        self, vault_id: str, image_ids: Iterable[str], project_id: str
    ) -> tuple[str, str] | None:
        """Return why a vault cannot take the full-ECS images among these: code and message."""
        found = (self.images.get(image_id) for image_id in image_ids)
        whole = [image for image in found if image is not None and image.whole_image]
        if not whole:
            return None
        if not vault_id:
            return "IMG.0135", "A full-ECS image can only be accepted with a vault."
        vault = self.vaults.get(vault_id)
        if vault is None or vault.project_id != project_id:
            return "IMG.0184", "The vault does not exist."
        kind = (vault.object_type, vault.protect_type)
        new = (image for image in whole if (image.id, project_id) not in self.stored)
        room = vault.used + sum(image.min_disk for image in new) * 1024
        checks = (
            (kind != _BACKUP, "IMG.0193", "The vault is not one for server backups."),
            (vault.status != VAULT_STATUS, "IMG.0188", "The vault is not available."),
            (vault.resources >= VAULT_RESOURCES, "IMG.0185", "It protects too many."),
            (room > vault.size * 1024, "IMG.0182", "The vault is too small."),
        )
        return next(((code, message) for bad, code, message in checks if bad), None)

    def store(self, image_id: str, project_id: str, vault_id: str) -> None:
        """Put the backup of a full-ECS image into a vault; once for each project."""
        image, share = self.images[image_id], (image_id, project_id)
        if image.whole_image and vault_id in self.vaults and share not in self.stored:
            vault = self.vaults[vault_id]
            used = vault.used + image.min_disk * 1024
            self.vaults[vault_id] = replace(vault, used=used)
            self.stored.add(share)

    def add_share(self, image_id: str, project_id: str, status: str = PENDING) -> bool:
        """Share an image with a project; returns False if it is shared with it already."""
        if project_id in self._shares[image_id]:
            return False
        now = stamp(utcnow())
        self._shares[image_id][project_id] = Membership(status, now, now)
        self.changes[image_id, project_id] += 1
        if (ranks := self._visible.get(project_id)) is not None:
            rank = self._rank[image_id]
            if rank not in ranks and self.can_see(self.images[image_id], project_id):
                insort(ranks, rank)
        return True

    def withdraw(self, image_id: str, project_id: str) -> bool:
        """Take a share back; returns False if there was none."""
        if self._shares.get(image_id, {}).pop(project_id, None) is None:
            return False
        self.changes[image_id, project_id] += 1
        self._visible.pop(project_id, None)
        return True

    def delete_image(self, image_id: str) -> bool:
        """Remove an image with its shares; returns False if there was none."""
        if self.images.pop(image_id, None) is None:
            return False
        self._shares.pop(image_id)
        self._visible.clear()
        return True

    def record(self, entry: LogEntry) -> LogEntry:
        """Keep a request that means to change members."""
        self.log.append(entry)
        return entry

    def issue(self, user: User, project: Project | None, methods: tuple[str, ...]) -> Token:
        """Make and keep a token."""
        now = utcnow()
        end = now + timedelta(seconds=self.settings.token_lifetime)
        token = Token(f"gAAAA{uuid4().hex}{uuid4().hex}", user, project, now, end, methods)
        self.tokens[token.id] = token
        return token

    # -- jobs --------------------------------------------------------------------------------
    def start_job(self, job: Job) -> None:
        """Take a job on; it ends by itself unless it hangs."""
        self.jobs[job.id] = job
        job.due = time.monotonic() + job.seconds
        if not job.hang:
            heapq.heappush(self._due, (job.due, next(self._ticket), job))

    def _apply(self, job: Job) -> None:
        results = []
        for image_id in job.images:
            for project_id in job.projects:
                before = self.changes[image_id, project_id]
                lucky = image_id not in job.doomed and (image_id, project_id) not in job.unlucky
                done = lucky and (job.lie or self._act(job, image_id, project_id))
                job.entry.effective += self.changes[image_id, project_id] - before
                if not done:
                    # A share withdrawn while the job was under way is found out only now.
                    job.failed.append(job.doomed.get(image_id, "IMG.0144" if lucky else "IMG.0046"))
                word = "success" if done else "failed"
                results.append({"image_id": image_id, "project_id": project_id, "status": word})
        job.results = results

    def _act(self, job: Job, image_id: str, project_id: str) -> bool:
        if job.kind == "imsAddImageMembersJob":
            return image_id in self.images and self.add_share(image_id, project_id)
        if job.kind == "imsDeleteImageMembersJob":
            return self.withdraw(image_id, project_id)
        accepting = job.status == ACCEPTED and self.share(image_id, project_id) is not None
        if accepting and (fault := self.vault_fault(job.vault_id, [image_id], project_id)):
            # The vault was filled while the job was under way.
            job.doomed[image_id] = fault[0]
            return False
        if accepting:
            self.store(image_id, project_id, job.vault_id)
        return self.set_status(image_id, project_id, job.status)
