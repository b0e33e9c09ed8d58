"""The state of the shares that were asked about, at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, replace
from functools import partial

import pandas as pd

from sharekit.clouds.cloud import Cloud, ImageShare, Vault
from sharekit.clouds.registry import Clouds
from sharekit.core import frame_schemas
from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.columns import hands_out_copies, is_owner_action
from sharekit.core.errors import CloudError
from sharekit.core.fields import SHARE_KEY
from sharekit.core.provenance import utc_now

from .reader import READERS, SINGLE_LOOKUPS, Progress, Reader, members_of, share_record


@hands_out_copies("members", "vaults", "projects", "owned")
@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state of the shares that were asked about.

    Attributes
    ----------
    taken_at : str
        UTC, ISO 8601.
    members : DataFrame
        One line per share that a member's cloud could be asked about: ``project_id, image_id,
        state (pending, accepted, rejected or absent), owner, name, whole_image ("true", "false",
        ""), size (GB)``.
    vaults : DataFrame
        One line per backup vault: ``project_id, vault_id, name, object_type, protect_type, status,
        free (GB; inf: it grows by itself), resources (-1 unknown)``.
    projects : DataFrame
        One line per project that was signed in to: ``project_id, cloud, region, api, ims, image,
        account, vaults ("read", "" if not asked, else why they could not be read)``.
    owned : DataFrame
        One line per share that an owner is to offer or withdraw, as its owner sees it:
        ``project_id, image_id, state ("" if no owner could be asked), owner, name, whole_image,
        size (GB), visibility, key, members (number of projects it is shared with)``.
    """

    taken_at: str
    members: pd.DataFrame
    vaults: pd.DataFrame
    projects: pd.DataFrame
    owned: pd.DataFrame = field(default_factory=frame_schemas.OWNER_SHARES.make_frame)


def take_snapshot(
    clouds: Clouds, shares: pd.DataFrame, progress: Progress | None = None
) -> Snapshot:
    """Ask every cloud about shares (``project_id, image_id, status, owner``), by listings first.

    Owner actions (by their ``status``) are asked about at the ``owner``; without one, at every
    project.

    Raises
    ------
    CloudError
        If a cloud cannot be read.
    """
    taken_at = utc_now()
    by_owner = is_owner_action(shares["status"])
    asked = shares.loc[~by_owner, SHARE_KEY].drop_duplicates()
    owners = _owners(clouds, shares[by_owner])
    clouds = clouds.restricted_to([*asked["project_id"].unique(), *owners])
    wanted = {
        str(project): set(group)
        for project, group in asked.groupby("project_id")["image_id"]
        if project in clouds
    }
    with ThreadPoolExecutor(READERS) as pool:
        reader = Reader(pool, progress)
        jobs = {project: pool.submit(_read_vaults, clouds[project]) for project in wanted}
        members = [
            (*share_record(project, share), share.size)
            for project, listed in read_member_shares(clouds, wanted, reader).items()
            for share in listed
        ]
        vaults_of = {project: job.result() for project, job in jobs.items()}
        owned = list(read_owner_shares(clouds, shares[by_owner], reader))
    projects = [
        (c.project_id, c.name, c.region, c.api, c.ims, c.image, c.account,
         vaults_of.get(c.project_id, ((), ""))[1])
        for c in clouds.values()
    ]  # fmt: skip
    return Snapshot(
        taken_at,
        frame_schemas.MEMBERS.make_frame(members),
        frame_schemas.VAULTS.make_frame(
            (project, *astuple(vault)) for project, (of, _) in vaults_of.items() for vault in of
        ),
        frame_schemas.PROJECTS.make_frame(projects),
        frame_schemas.OWNER_SHARES.make_frame(owned),
    )


def _owners(clouds: Clouds, shares: pd.DataFrame) -> Iterable[str]:
    """Return the projects that may own images: the named ones, else all that can be asked."""
    named = shares["owner"].unique()
    return named if all(owner in clouds for owner in named) else clouds


# -- the member's side -----------------------------------------------------------------------------
def read_member_shares(
    clouds: Clouds, wanted: Mapping[str, set[str]], reader: Reader
) -> dict[str, list[ImageShare]]:
    """Return the wanted images as each project sees them; those it does not see are ``absent``.

    All listings go side by side; the error of one project is raised for all of them.
    """
    for project in wanted:
        clouds[project].resolve_api()
    shares: dict[str, dict[str, ImageShare]] = {project: {} for project in wanted}

    def missing() -> dict[str, set[str]]:
        return {project: images - shares[project].keys() for project, images in wanted.items()}

    listings = (
        (project, state, partial(_list, clouds[project], images=images))
        for project, images in wanted.items()
        for state in MEMBER_STATES
    )
    for project, _, listed in reader.run("reading the cloud", listings):
        shares[project].update(listed)
    for project, images in missing().items():
        if len(images) > SINGLE_LOOKUPS and clouds[project].resolve_api() == "native":
            for state in MEMBER_STATES:
                shares[project].update(_list(clouds[project], state, images, hidden=True))
    for project, image, share in reader.look_up("looking up single images", clouds, missing()):
        shares[project][image] = share
    return {
        project: [shares[project].get(i) or ImageShare(i, ABSENT) for i in sorted(images)]
        for project, images in wanted.items()
    }


def read_back(
    clouds: Clouds, project: str, wanted: Mapping[str, str], pool: Executor
) -> list[ImageShare]:
    """Return the images of one project that should each be in a wanted state by now.

    The listings of those states are read first; the other requests are made only for images that
    none of them shows.
    """
    cloud, images = clouds[project], set(wanted)
    cloud.resolve_api()
    states = [state for state in MEMBER_STATES if state in wanted.values()]
    jobs = [pool.submit(_list, cloud, state, images) for state in states]
    shares = [share for job in jobs for share in job.result().values()]
    missing = images - {share.image_id for share in shares}
    if missing:
        shares += read_member_shares(clouds, {project: missing}, Reader(pool))[project]
    return shares


def _list(
    cloud: Cloud, state: str, images: set[str], *, hidden: bool = False
) -> dict[str, ImageShare]:
    listed = cloud.shares(state, hidden=hidden)
    return {share.image_id: share for share in listed if share.image_id in images}


# -- the owner's side ------------------------------------------------------------------------------
def read_owner_shares(
    clouds: Clouds, shares: pd.DataFrame, reader: Reader
) -> Iterator[tuple[object, ...]]:
    """Yield a record of ``OWNER_SHARES`` for each share (``project_id, image_id, owner``).

    An image is looked for at its named owner, else in every project. ``owner`` is the one that a
    cloud names; ``state`` is ``""`` if the owner itself cannot be asked.
    """
    images_at: dict[str, set[str]] = {}
    for image, owner in shares[["image_id", "owner"]].drop_duplicates().itertuples(index=False):
        for project in [owner] if owner in clouds else clouds:
            images_at.setdefault(project, set()).add(image)
    images: dict[str, ImageShare] = {}
    listings = (
        (project, project, partial(_list_owned, clouds, images_at)) for project in images_at
    )
    for _, _, listed in reader.run("reading own images", listings):
        images |= listed
    # Private images are in no listing, nor are images of somebody else.
    unlisted = {project: ids - images.keys() for project, ids in images_at.items()}
    for _, image, share in reader.look_up("looking up own images", clouds, unlisted):
        if share.owner:
            images[image] = share
    owned: dict[str, list[str]] = {}
    for image, share in images.items():
        if share.owner in clouds:
            owned.setdefault(share.owner, []).append(image)
    states = {
        image: {member.project_id: member.state for member in members}
        for _, image, members in reader.list_members("reading members", clouds, owned)
    }
    pairs = shares[SHARE_KEY].drop_duplicates()
    for project, image in pairs.itertuples(index=False):
        share = images.get(image) or ImageShare(image, "")
        state = states[image].get(project, ABSENT) if image in states else ""
        record = share_record(project, replace(share, state=state))
        yield *record, share.size, share.visibility, share.key, len(states.get(image, ()))


def member_states(cloud: Cloud, image_id: str) -> dict[str, str]:
    """Return the projects that an owner shares an image with, each with its state."""
    return {member.project_id: member.state for member in members_of(cloud, image_id)}


def _list_owned(
    clouds: Clouds, images: Mapping[str, set[str]], project: str
) -> dict[str, ImageShare]:
    owned, wanted = clouds[project].owned(), images[project]
    return {image.image_id: image for image in owned if image.image_id in wanted}


def _read_vaults(cloud: Cloud) -> tuple[list[Vault], str]:
    """Return a project's vaults and ``read``, or none and why they could not be read.

    That is no error: most decisions need no vault, and the cloud's response to the others tells
    whether the named one will do.
    """
    try:
        vaults = cloud.vaults()
    except CloudError as error:
        return [], str(error)
    return ([], "no backup service is known") if vaults is None else (vaults, "read")
