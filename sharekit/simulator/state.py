"""The state of the simulated cloud, and everything that can change it.

A :class:`CloudState` is made from a :class:`~sharekit.simulator.seed.Seed` and guarded by one lock:
``with state.locked_and_advanced():`` takes it and first applies every job whose time has come, so
that a job ends even if nobody asks about it. Besides the state it counts what tests need to know:
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
from sharekit.core.cloud_api import (
    VAULT_OBJECT_TYPE,
    VAULT_PROTECT_TYPE,
    VAULT_RESOURCES,
    VAULT_STATUS,
)

from .responses import Response
from .seed import Image, Key, Project, Seed, User, Vault

_BACKUP = (VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE)


def api_time(at: datetime, *, digits: int = 0) -> str:
    """Return a time as the APIs print it, in UTC with a ``Z``.

    Examples
    --------
    >>> api_time(datetime(2025, 1, 2, tzinfo=UTC))
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
    uses: Iterator[int] = field(default_factory=lambda: itertools.count(1))


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
    """An asynchronous job and its end, which is decided when the job is accepted.

    ``failing`` maps images that will fail to their error code; ``partly_failing`` are single shares
    that will fail. A job with ``false_success`` changes nothing, one that ``never_ends`` neither.
    """

    id: str
    kind: str
    owner: str
    images: list[str]
    projects: list[str]
    status: str
    seconds: float
    entry: LogEntry
    failing: dict[str, str] = field(default_factory=dict)
    vault_id: str = ""
    partly_failing: set[tuple[str, str]] = field(default_factory=set)
    false_success: bool = False
    never_ends: bool = False
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


class Identity:
    """Who may sign in, and the tokens that were issued."""

    def __init__(self, seed: Seed) -> None:
        self.projects = {p.id: p for p in seed.projects}
        self.users = {u.id: u for u in seed.users}
        self.keys: dict[str, Key] = {k.access: k for k in seed.keys}
        self.tokens: dict[str, Token] = {}
        self.unauthorised = 0
        self._lifetime = timedelta(seconds=seed.settings.token_lifetime)

    def projects_of(self, user: User) -> list[Project]:
        """Return the projects in which a user has a role."""
        return [p for p in self.projects.values() if not user.projects or p.id in user.projects]

    def issue(self, user: User, project: Project | None, methods: tuple[str, ...]) -> Token:
        """Make and keep a token."""
        now = utcnow()
        token_id = f"gAAAA{uuid4().hex}{uuid4().hex}"
        token = Token(token_id, user, project, now, now + self._lifetime, methods)
        self.tokens[token.id] = token
        return token


class ImageStore:
    """Images, the projects they are shared with, and how often each share was changed."""

    def __init__(self, seed: Seed) -> None:
        # Glance lists the newest image first, and pages by that order.
        newest = sorted(seed.images, key=lambda i: (i.created_at, i.id), reverse=True)
        self.by_id = {image.id: image for image in newest}
        self.changes: Counter[tuple[str, str]] = Counter()
        self._by_rank = newest
        self._rank = {image.id: rank for rank, image in enumerate(newest)}
        self._shares: dict[str, dict[str, Membership]] = {i: {} for i in self.by_id}
        self._visible: dict[str, list[int]] = {}
        for share in seed.shares:
            created = self.by_id[share.image_id].created_at
            entry = Membership(share.status, created, created)
            self._shares[share.image_id][share.project_id] = entry

    def share(self, image_id: str, project_id: str) -> Membership | None:
        """Return the share of an image with a project, if there is one."""
        return self._shares.get(image_id, {}).get(project_id)

    def shares(self, image_id: str) -> dict[str, Membership]:
        """Return all shares of an image by project."""
        return self._shares.get(image_id, {})

    def can_see(self, image: Image, project_id: str) -> bool:
        """Return True if a project sees an image: its own, a public one, or one shared with it."""
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
            ranks = [n for n, i in images if i.id in self.by_id and self.can_see(i, project_id)]
            self._visible[project_id] = ranks
        start = bisect_right(ranks, self._rank[marker]) if marker else 0
        candidates = (self._by_rank[rank] for rank in itertools.islice(ranks, start, None))
        return list(itertools.islice(filter(wanted, candidates), limit))

    def set_status(self, image_id: str, project_id: str, status: str) -> bool:
        """Decide on a share; return False if there is none. Only a difference counts as change."""
        entry = self.share(image_id, project_id)
        if entry is None:
            return False
        if entry.status != status:
            entry.status, entry.updated_at = status, api_time(utcnow())
            self.changes[image_id, project_id] += 1
        return True

    def add_share(self, image_id: str, project_id: str, status: str = PENDING) -> bool:
        """Share an image with a project; return False if it is shared with it already."""
        if project_id in self._shares[image_id]:
            return False
        now = api_time(utcnow())
        self._shares[image_id][project_id] = Membership(status, now, now)
        self.changes[image_id, project_id] += 1
        if (ranks := self._visible.get(project_id)) is not None:
            rank = self._rank[image_id]
            if rank not in ranks and self.can_see(self.by_id[image_id], project_id):
                insort(ranks, rank)
        return True

    def withdraw(self, image_id: str, project_id: str) -> bool:
        """Take a share back; return False if there was none."""
        if self._shares.get(image_id, {}).pop(project_id, None) is None:
            return False
        self.changes[image_id, project_id] += 1
        self._visible.pop(project_id, None)
        return True

    def delete(self, image_id: str) -> bool:
        """Remove an image with its shares; return False if there was none."""
        if self.by_id.pop(image_id, None) is None:
            return False
        self._shares.pop(image_id)
        self._visible.clear()
        return True


class VaultStore:
    """Backup vaults and what lies in them."""

    def __init__(self, vaults: Iterable[Vault]) -> None:
        self.by_id = {vault.id: vault for vault in vaults}
        #: Full-ECS images and projects whose backup lies in a vault already.
        self._stored: set[tuple[str, str]] = set()

    def fault(
        self, vault_id: str, images: Iterable[Image | None], project_id: str
    ) -> tuple[str, str] | None:
        """Return why a vault cannot take the full-ECS images among these: code and message."""
        whole = [image for image in images if image is not None and image.whole_image]
        if not whole:
            return None
        if not vault_id:
            return "IMG.0135", "A full-ECS image can only be accepted with a vault."
        vault = self.by_id.get(vault_id)
        if vault is None or vault.project_id != project_id:
            return "IMG.0184", "The vault does not exist."
        kind = (vault.object_type, vault.protect_type)
        new = (image for image in whole if (image.id, project_id) not in self._stored)
        room = vault.used + sum(image.min_disk for image in new) * 1024
        checks = (
            (kind != _BACKUP, "IMG.0193", "The vault is not one for server backups."),
            (vault.status != VAULT_STATUS, "IMG.0188", "The vault is not available."),
            (vault.resources >= VAULT_RESOURCES, "IMG.0185", "It protects too many."),
            (room > vault.size * 1024, "IMG.0182", "The vault is too small."),
        )
        return next(((code, message) for failed, code, message in checks if failed), None)

    def store(self, image: Image, project_id: str, vault_id: str) -> None:
        """Put the backup of a full-ECS image into a vault; once for each project."""
        share, vault = (image.id, project_id), self.by_id.get(vault_id)
        if image.whole_image and vault is not None and share not in self._stored:
            self.by_id[vault_id] = replace(vault, used=vault.used + image.min_disk * 1024)
            self._stored.add(share)


class JobQueue:
    """Jobs, and which of them ends next."""

    def __init__(self) -> None:
        self.by_id: dict[str, Job] = {}
        self._due: list[tuple[float, int, Job]] = []
        self._ticket = itertools.count()

    def start(self, job: Job) -> None:
        """Accept a job; it ends by itself unless it never ends."""
        self.by_id[job.id] = job
        job.due = time.monotonic() + job.seconds
        if not job.never_ends:
            heapq.heappush(self._due, (job.due, next(self._ticket), job))

    def pop_due(self) -> Iterator[Job]:
        """Yield the jobs whose time has come, and forget that they are due."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            yield heapq.heappop(self._due)[2]


class CloudState:
    """One simulated cloud; all of it expects the lock of :meth:`locked_and_advanced` to be held."""

    def __init__(self, seed: Seed) -> None:
        self._lock = threading.RLock()
        self.load(seed)

    def load(self, seed: Seed) -> None:
        """Forget everything and begin with a seed; tokens and jobs of before are unknown."""
        self.settings = seed.settings
        self.identity = Identity(seed)
        self.images = ImageStore(seed)
        self.vaults = VaultStore(seed.vaults)
        self.jobs = JobQueue()
        self.lag = 0.0
        #: What a cache on the way holds, by the address that was asked for.
        self.cache: dict[tuple[str, bytes], Response] = {}
        self._late: list[tuple[float, Callable[[], object]]] = []
        self.requests: Counter[str] = Counter()
        self.log: list[LogEntry] = []

    @contextmanager
    def locked_and_advanced(self) -> Iterator[CloudState]:
        """Hold the lock with every job that is due applied."""
        with self._lock:
            for job in self.jobs.pop_due():
                self._apply(job)
            while self._late and self._late[0][0] <= time.monotonic():
                self._late.pop(0)[1]()
            yield self

    def change_late(self, change: Callable[[], object]) -> None:
        """Make a change only after the lag, so that nobody sees it before."""
        self._late.append((time.monotonic() + self.lag, change))

    def vault_fault(
        self, vault_id: str, image_ids: Iterable[str], project_id: str
    ) -> tuple[str, str] | None:
        """Return why a vault cannot take the full-ECS images among these: code and message."""
        images = (self.images.by_id.get(image_id) for image_id in image_ids)
        return self.vaults.fault(vault_id, images, project_id)

    def _apply(self, job: Job) -> None:
        if self.lag and not job.false_success:
            job.false_success, applied = True, replace(job, results=None, failed=[])
            self.change_late(lambda: self._apply_now(applied))
        self._apply_now(job)

    def _apply_now(self, job: Job) -> None:
        results, changes = [], self.images.changes
        for image_id in job.images:
            for project_id in job.projects:
                share = (image_id, project_id)
                before = changes[share]
                may_pass = image_id not in job.failing and share not in job.partly_failing
                done = may_pass and (job.false_success or self._change(job, *share))
                job.entry.effective += changes[share] - before
                if not done:
                    # A share withdrawn while the job was under way is found out only now.
                    code = "IMG.0144" if may_pass else "IMG.0046"
                    job.failed.append(job.failing.get(image_id, code))
                word = "success" if done else "failed"
                results.append({"image_id": image_id, "project_id": project_id, "status": word})
        job.results = results

    def _change(self, job: Job, image_id: str, project_id: str) -> bool:
        images = self.images
        if job.kind == "imsAddImageMembersJob":
            return image_id in images.by_id and images.add_share(image_id, project_id)
        if job.kind == "imsDeleteImageMembersJob":
            return images.withdraw(image_id, project_id)
        accepting = job.status == ACCEPTED and images.share(image_id, project_id) is not None
        if accepting and (fault := self.vault_fault(job.vault_id, [image_id], project_id)):
            # The vault was filled while the job was under way.
            job.failing[image_id] = fault[0]
            return False
        if accepting:
            self.vaults.store(images.by_id[image_id], project_id, job.vault_id)
        return images.set_status(image_id, project_id, job.status)
