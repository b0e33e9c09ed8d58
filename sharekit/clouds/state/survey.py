"""Everything that the projects show and share out at one moment, asked about or not.

A project that cannot be read does not end the survey: it is named, with the reason, and its shares
are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pandas as pd

from sharekit.clouds.cloud import Cloud, ImageShare, Member
from sharekit.clouds.registry import Clouds
from sharekit.core.actions import ABSENT, ACCEPTED, MEMBER_STATES, REJECTED
from sharekit.core.columns import hands_out_copies
from sharekit.core.errors import CloudError, CloudRefusedError
from sharekit.core.fields import SHARE_KEY
from sharekit.core.frame_schemas import SURVEY
from sharekit.core.provenance import utc_now

from .reader import READERS, SINGLE_LOOKUPS, Progress, Reader, share_record


@hands_out_copies("shares", "owned", "outgoing", "projects")
@dataclass(frozen=True, eq=False)
class Survey:
    """Everything that the projects showed; all columns are ``str``, times in the cloud's format.

    Attributes
    ----------
    taken_at : str
        UTC, ISO 8601.
    shares : DataFrame
        One line for each share that a project shows, and for each one that was asked about:
        ``project_id, image_id, state`` (pending, accepted, rejected or absent), ``owner, name,
        whole_image`` ("true", "false", ""), ``image_created_at, shared_at, decided_at`` (when the
        share was last decided, "" while it is pending), ``looked`` ("listed", "single", or "" for
        a share in no listing of a project that lacks more than were looked up singly). A share's
        times are looked up only where it was not asked about or is in another state than asked
        for, for at most :data:`~sharekit.clouds.state.reader.SINGLE_LOOKUPS` of each project.
    owned : DataFrame
        The projects' own images: ``owner, image_id, name, image_created_at``.
    outgoing : DataFrame
        The shares of these: the columns of ``owned``, then ``project_id, state, shared_at,
        decided_at``.
    projects : DataFrame
        ``project_id, cloud, region, api, account``; ``code`` and ``reason`` say why the project's
        shares could not be read (``""``: they were), ``owner_code`` and ``owner_reason`` why its
        own images could not (``"not asked"`` where they were not to be read).
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


#: Project -> image -> what it shows, and how that was found: "listed", "single" or "".
_Shares = dict[str, dict[str, tuple[ImageShare, str]]]
#: Project -> image -> the status that was asked about.
_Asked = Mapping[str, Mapping[str, str]]
_Known = Mapping[str, Cloud]
_Images = dict[str, dict[str, ImageShare]]


def take_survey(
    clouds: Clouds, asked: pd.DataFrame, progress: Progress | None = None, *, owned: bool = True
) -> Survey:
    """Read everything that is shared with the projects, and everything they share out.

    Parameters
    ----------
    clouds : Clouds
        The projects to read.
    asked : DataFrame
        Shares that are known of: ``project_id, image_id, status, owner``.
    progress : callable, optional
        Called as ``progress(label, done, total)``.
    owned : bool
        Read the owner's side too: one listing, and one call for each image that a project owns.
    """
    taken_at = utc_now()
    pairs = asked.drop_duplicates(SHARE_KEY)
    members: dict[tuple[str, str], list[Member]] = {}
    images: _Images = {}
    with ThreadPoolExecutor(READERS) as pool:
        reader = Reader(pool, progress, {})
        known = _sign_in(reader, clouds)
        wanted: _Asked = {
            str(project): dict(zip(group["image_id"], group["status"], strict=True))
            for project, group in pairs[pairs["project_id"].isin(list(known))].groupby("project_id")
        }
        shares = _read_shares(reader, known, wanted)
        dates = _read_dates(reader, known, wanted, shares)
        failures = dict(reader.failures or {})
        owner_reader = Reader(pool, progress, dict(failures))
        if owned:
            images = _read_own_images(owner_reader, known, pairs, shares)
            listed = owner_reader.list_members("reading members of own images", known, images)
            members = {(project, image): of_image for project, image, of_image in listed}
    owner_failures = owner_reader.failures or {}
    own = [(p, i) for p, of in images.items() if p not in owner_failures for i in of.values()]
    return Survey(
        taken_at,
        _frame(
            "shares",
            ((*share_record(p, share), share.created_at, *dates.get((p, i), ("", "")), looked)
             for p, of in shares.items() if p not in failures
             for i, (share, looked) in of.items()),
        ),
        _frame("owned", (_image_record(p, image) for p, image in own)),
        _frame(
            "outgoing",
            ((*_image_record(p, image), m.project_id, m.state, *_times(m))
             for p, image in own for m in members.get((p, image.image_id), ())),
        ),
        _frame(
            "projects",
            ((*_identity(p, known.get(p)), *_failure(failures.get(p)),
              *(_failure(owner_failures.get(p)) if owned else ("not asked", "")))
             for p in clouds),
        ),
    )  # fmt: skip


def _sign_in(reader: Reader, clouds: Clouds) -> dict[str, Cloud]:
    """Return the projects that can be signed in to; an account may offer some that cannot."""
    calls = ((project, project, clouds.__getitem__) for project in clouds)
    return {project: cloud for project, _, cloud in reader.run("signing in", calls)}


def _read_shares(reader: Reader, clouds: _Known, asked: _Asked) -> _Shares:
    apis = {
        project: api
        for project, _, api in reader.run(
            "signing in", ((p, p, lambda p: clouds[p].resolve_api()) for p in clouds)
        )
    }
    listings = [
        (project, state, partial(_list, clouds[project], hidden=hidden))
        for project, api in apis.items()
        for state in MEMBER_STATES
        for hidden in ((False, True) if api == "native" else (False,))
    ]
    shares: _Shares = {project: {} for project in clouds}
    for project, _, listed in reader.run("reading the cloud", listings):
        # Both APIs list a project's own images as if they were pending.
        shares[project].update((s.image_id, (s, "listed")) for s in listed if s.owner != project)
    missing = {p: sorted(images.keys() - shares[p].keys()) for p, images in asked.items()}
    for project, image, share in reader.look_up("looking up single images", clouds, missing):
        shares[project][image] = (share, "single")
    for project, images in missing.items():
        rest = [image for image in images if image not in shares[project]]
        shares[project].update((image, (ImageShare(image, ABSENT), "")) for image in rest)
    return shares


def _read_dates(
    reader: Reader, clouds: _Known, asked: _Asked, shares: _Shares
) -> dict[tuple[str, str], tuple[str, str]]:
    """Return when shares were made and decided, of those that will be asked about."""
    images = {}
    for project, of in shares.items():
        statuses = asked.get(project, {})
        images[project] = [
            image for image, (share, _) in of.items()
            if share.state != ABSENT and statuses.get(image) != share.state
        ][:SINGLE_LOOKUPS]  # fmt: skip
    return {
        (project, image): _times(member)
        for project, image, members in reader.list_members("looking up dates", clouds, images)
        for member in members
        if member.project_id == project
    }


def _read_own_images(
    reader: Reader, clouds: _Known, pairs: pd.DataFrame, shares: _Shares
) -> _Images:
    calls = ((p, p, lambda p: list(clouds[p].owned())) for p in clouds)
    images: _Images = {
        project: {image.image_id: image for image in owned}
        for project, _, owned in reader.run("reading own images", calls)
    }
    # An image that its named owner does not list may be private, or hidden: it is looked up.
    shown = [(project, image) for project, of in shares.items()
             for image, (share, _) in of.items() if share.state != ABSENT]  # fmt: skip
    listed = [(owner, image) for owner, of in images.items() for image in of]
    named = pairs[pairs["owner"].isin(list(images))]
    for columns, known in ((SHARE_KEY, shown), (["owner", "image_id"], listed)):
        named = named[~pd.MultiIndex.from_frame(named[columns]).isin(known)]
    missing = {str(owner): ids.tolist() for owner, ids in named.groupby("owner")["image_id"]}
    for owner, image, share in reader.look_up("looking up own images", clouds, missing):
        if share.owner == owner:
            images[owner][image] = share
    return images


def _list(cloud: Cloud, state: str, *, hidden: bool) -> list[ImageShare]:
    return list(cloud.shares(state, hidden=hidden))


# -- records of the frames -------------------------------------------------------------------------
def _times(member: Member) -> tuple[str, str]:
    """Return when a share was made and decided; the cloud repeats the first until it is decided."""
    decided = member.state in (ACCEPTED, REJECTED)
    return member.created_at, member.updated_at if decided else ""


def _image_record(project: str, image: ImageShare) -> tuple[str, ...]:
    return project, image.image_id, image.name, image.created_at


def _identity(project: str, cloud: Cloud | None) -> tuple[str, ...]:
    if cloud is None:
        return project, project, "", "", ""
    return project, cloud.name, cloud.region, cloud.api, cloud.account


def _failure(error: CloudError | None) -> tuple[str, str]:
    if error is None:
        return "", ""
    code = error.code if isinstance(error, CloudRefusedError) else type(error).__name__
    return code, str(error)


def _frame(name: str, records: Iterable[tuple[str, ...]]) -> pd.DataFrame:
    # Responses come in any order; the same state is always the same frame.
    return SURVEY[name].make_frame(sorted(records))
