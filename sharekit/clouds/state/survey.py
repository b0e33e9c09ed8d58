"""Everything the projects show and share out at one moment, asked for or not; only read.

A project that cannot be read does not end the survey: it is named, with the reason, and nothing is
said of its shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import pandas as pd

from sharekit.clouds.cloud import Cloud, ImageShare, Member
from sharekit.clouds.registry import Clouds
from sharekit.core.actions import ABSENT, ACCEPTED, MEMBER_STATES, REJECTED
from sharekit.core.errors import CloudError, CloudRefusedError
from sharekit.core.frame_schemas import SURVEY
from sharekit.core.provenance import utc_now

from .snapshot import SINGLE_LOOKUPS, Progress

_READERS: Final = 16
T = TypeVar("T")
Failures = dict[str, CloudError]


@dataclass(frozen=True, eq=False)
class Survey:
    """What the projects showed; all text is ``str``, ``""`` for none, times as the cloud says them.

    Attributes
    ----------
    taken_at : str
        UTC, ISO 8601.
    shares : DataFrame
        One line for each share that a project shows, and for each one that was asked about:
        ``project_id, image_id, state`` (pending, accepted, rejected or absent), ``owner, name,
        whole_image`` ("true", "false", "")``, image_created_at, shared_at, decided_at`` (when the
        share was last decided, "" while it is pending), ``looked`` ("listed", "single", or "" for
        a share that is in no listing and was one too many to be looked up alone). A share's times
        are looked up only
        where it was not asked about or is not in the state asked for, and for so many of a project
        at the most (:data:`~sharekit.clouds.state.snapshot.SINGLE_LOOKUPS`).
    owned : DataFrame
        The projects' own images: ``owner, image_id, name, image_created_at``.
    outgoing : DataFrame
        Whom they share them with: the columns of ``owned``, then ``project_id, state, shared_at,
        decided_at``.
    projects : DataFrame
        ``project_id, cloud, region, api, account``; ``code`` and ``reason`` say why its shares
        could not be read (``""``: they were), ``owner_code`` and ``owner_reason`` the same of its
        own images (``"not asked"`` where they were not).
    """

    taken_at: str
    shares: pd.DataFrame
    owned: pd.DataFrame
    outgoing: pd.DataFrame
    projects: pd.DataFrame

    @property
    def complete_projects(self) -> list[str]:
        """The projects whose shares were read in full."""
        return self.projects.loc[self.projects["code"] == "", "project_id"].tolist()

    @property
    def complete_owners(self) -> list[str]:
        """The projects whose own images were read in full."""
        return self.projects.loc[self.projects["owner_code"] == "", "project_id"].tolist()


def take(
    clouds: Clouds, asked: pd.DataFrame, progress: Progress | None = None, *, owned: bool = True
) -> Survey:
    """Read everything that is shared with the projects, and what they share out.

    Parameters
    ----------
    clouds : Clouds
        The projects to read.
    asked : DataFrame
        Shares that somebody knows of: ``project_id, image_id, status, owner``.
    progress : callable, optional
        Called as ``progress(what, done, total)``.
    owned : bool
        Read the owner's side too: one listing, and one call for each image a project owns.
    """
    at = utc_now()
    pairs = asked.drop_duplicates(["project_id", "image_id"])
    with ThreadPoolExecutor(_READERS) as pool:
        run = _Reading(pool, progress)
        known = _signed_in(run, clouds)
        wanted = {
            str(project): dict(zip(group["image_id"], group["status"], strict=True))
            for project, group in pairs[pairs["project_id"].isin(list(known))].groupby("project_id")
        }
        found = _found(run, known, wanted)
        times = _times(run, known, wanted, found)
        mine = _Reading(pool, progress, dict(run.failed))
        images = _owned(mine, known, pairs, found) if owned else {}
        members = _members(mine, known, images)
    lines = [
        _share_line(project, share, times.get((project, share.image_id)), looked)
        for project, shares in found.items()
        if project not in run.failed
        for share, looked in shares.values()
    ]
    images = {p: own for p, own in images.items() if p not in mine.failed}
    return Survey(
        at,
        _frame("shares", lines),
        _frame("owned", [_image_line(p, i) for p, own in images.items() for i in own.values()]),
        _frame(
            "outgoing",
            [
                (*_image_line(p, image), m.project_id, m.state, *_times_of(m))
                for p, own in images.items()
                for image in own.values()
                for m in members.get((p, image.image_id), ())
            ],
        ),
        _frame(
            "projects",
            [
                (
                    *_identity(project, known.get(project)),
                    *_why(run.failed.get(project)),
                    *(_why(mine.failed.get(project)) if owned else ("not asked", "")),
                )
                for project in clouds
            ],
        ),
    )


@dataclass
class _Reading:
    """Calls side by side; the first that a project's cloud refuses ends that project's turn."""

    pool: Executor
    progress: Progress | None
    failed: Failures = field(default_factory=dict)

    def each(self, what: str, work: Iterable[tuple[str, Callable[[], T]]]) -> Iterator[T]:
        """Yield what each call gives; the order is theirs."""
        jobs = [self.pool.submit(self._one, project, call) for project, call in work]
        for done, job in enumerate(as_completed(jobs), 1):
            if (result := job.result()) is not None:
                yield result
            if self.progress:
                self.progress(what, done, len(jobs))

    def _one(self, project: str, call: Callable[[], T]) -> T | None:
        if project in self.failed:
            return None
        try:
            return call()
        except CloudError as error:
            self.failed.setdefault(project, error)
            return None


Found = dict[str, dict[str, tuple[ImageShare, str]]]
Known = dict[str, Cloud]


def _signed_in(run: _Reading, clouds: Clouds) -> Known:
    """The projects that can be signed in to; an account may offer some that cannot."""
    work = [(project, partial(clouds.__getitem__, project)) for project in clouds]
    return {cloud.project_id: cloud for cloud in run.each("signing in", work)}


def _found(run: _Reading, clouds: Known, wanted: dict[str, dict[str, str]]) -> Found:
    for _ in run.each("signing in", ((p, c.resolve_api) for p, c in clouds.items())):
        pass
    work = [
        (project, partial(_listing, cloud, state, hidden=hidden))
        for project, cloud in clouds.items()
        if project not in run.failed
        for state in MEMBER_STATES
        for hidden in ((False, True) if cloud.resolve_api() == "native" else (False,))
    ]
    found: Found = {project: {} for project in clouds}
    for project, shares in run.each("reading the cloud", work):
        # Both APIs show a project its own images as if they were pending.
        found[project].update((s.image_id, (s, "listed")) for s in shares if s.owner != project)
    missing = {p: sorted(images.keys() - found[p].keys()) for p, images in wanted.items()}
    single = [
        (project, partial(_single, clouds[project], image))
        for project, images in missing.items()
        for image in images[:SINGLE_LOOKUPS]
    ]
    for project, share in run.each("looking up single images", single):
        found[project][share.image_id] = (share, "single")
    for project, images in missing.items():
        rest = images[SINGLE_LOOKUPS:]
        found[project].update((i, (ImageShare(i, ABSENT), "")) for i in rest)
    return found


def _times(
    run: _Reading, clouds: Known, wanted: dict[str, dict[str, str]], found: Found
) -> dict[tuple[str, str], Member]:
    """When shares were made and decided, of those somebody will ask about."""
    work = []
    for project, shares in found.items():
        asked = wanted.get(project, {})
        odd = [i for i, (s, _) in shares.items()
               if s.state != ABSENT and asked.get(i) != s.state]  # fmt: skip
        work += [(project, partial(_members_of, clouds[project], i)) for i in odd[:SINGLE_LOOKUPS]]
    return {
        (project, image): member
        for project, image, members in run.each("looking up dates", work)
        for member in members
        if member.project_id == project
    }


def _owned(
    run: _Reading, clouds: Known, pairs: pd.DataFrame, found: Found
) -> dict[str, dict[str, ImageShare]]:
    images: dict[str, dict[str, ImageShare]] = {}
    work = [(project, partial(_own, cloud)) for project, cloud in clouds.items()]
    for project, own in run.each("reading own images", work):
        images[project] = {image.image_id: image for image in own}
    # What the named owner does not list may be private, or hidden: then it is asked for alone.
    asked: dict[str, list[str]] = {}
    named = pairs[pairs["owner"].isin(list(images))]
    shown = [(project, i) for project, of in found.items()
             for i, (share, _) in of.items() if share.state != ABSENT]  # fmt: skip
    listed = [(owner, i) for owner, own in images.items() for i in own]
    for columns, known in ((["project_id", "image_id"], shown), (["owner", "image_id"], listed)):
        named = named[~pd.MultiIndex.from_frame(named[columns]).isin(known)]
    for image, owner in named[["image_id", "owner"]].itertuples(index=False):
        asked.setdefault(owner, []).append(image)
    single = [
        (owner, partial(_single, clouds[owner], image))
        for owner, ids in asked.items()
        for image in ids[:SINGLE_LOOKUPS]
    ]
    for owner, share in run.each("looking up own images", single):
        if share.owner == owner:
            images[owner][share.image_id] = share
    return images


def _members(
    run: _Reading, clouds: Known, images: dict[str, dict[str, ImageShare]]
) -> dict[tuple[str, str], list[Member]]:
    work = [
        (project, partial(_members_of, clouds[project], image))
        for project, own in images.items()
        for image in own
    ]
    told = run.each("reading members of own images", work)
    return {(project, image): members for project, image, members in told}


# -- single calls ---------------------------------------------------------------------------------
def _listing(cloud: Cloud, state: str, *, hidden: bool) -> tuple[str, list[ImageShare]]:
    return cloud.project_id, list(cloud.shares(state, hidden=hidden))


def _single(cloud: Cloud, image_id: str) -> tuple[str, ImageShare]:
    return cloud.project_id, cloud.share(image_id)


def _own(cloud: Cloud) -> tuple[str, list[ImageShare]]:
    return cloud.project_id, list(cloud.owned())


def _members_of(cloud: Cloud, image_id: str) -> tuple[str, str, list[Member]]:
    try:
        return cloud.project_id, image_id, cloud.members(image_id)
    except CloudRefusedError as refusal:
        # Gone since it was listed, or public: such an image has no members.
        if refusal.http not in (403, 404):
            raise
        return cloud.project_id, image_id, []


# -- lines ----------------------------------------------------------------------------------------
def _share_line(
    project: str, share: ImageShare, member: Member | None, looked: str
) -> tuple[str, ...]:
    whole = "" if share.whole_image is None else str(share.whole_image).lower()
    times = _times_of(member) if member else ("", "")
    return (
        project, share.image_id, share.state, share.owner, share.name, whole, share.created_at,
        *times, looked,
    )  # fmt: skip


def _times_of(member: Member) -> tuple[str, str]:
    """When a share was made and decided; until somebody decides, the cloud repeats the first."""
    decided = member.state in (ACCEPTED, REJECTED)
    return member.created_at, member.updated_at if decided else ""


def _image_line(project: str, image: ImageShare) -> tuple[str, ...]:
    return project, image.image_id, image.name, image.created_at


def _identity(project: str, cloud: Cloud | None) -> tuple[str, ...]:
    if cloud is None:
        return project, project, "", "", ""
    return project, cloud.name, cloud.region, cloud.api, cloud.account


def _why(error: CloudError | None) -> tuple[str, str]:
    if error is None:
        return "", ""
    return error.code if isinstance(error, CloudRefusedError) else type(error).__name__, str(error)


def _frame(name: str, lines: list[tuple[str, ...]]) -> pd.DataFrame:
    # Answers come in any order; the same survey is to be the same frame.
    return SURVEY[name].make_frame(sorted(lines))
