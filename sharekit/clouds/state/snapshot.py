"""What the clouds show at one moment, for the shares that were asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import pandas as pd

from sharekit.clouds.cloud import Cloud, ImageShare, Vault
from sharekit.clouds.registry import Clouds
from sharekit.core import frame_schemas
from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.columns import is_owner_action
from sharekit.core.errors import CloudError
from sharekit.core.provenance import utc_now

from . import ownership

#: Shares that no listing shows are looked up one by one, but not more of them than this for each
#: project; if there are more, hidden images are listed first.
SINGLE_LOOKUPS = 200
_READERS = 16

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state of the asked-for shares.

    Attributes
    ----------
    taken_at : str
        UTC, ISO 8601.
    members : DataFrame
        One line per asked-for share that a cloud could be asked about: ``project_id, image_id,
        state (pending, accepted, rejected or absent), owner, name, whole_image ("true", "false",
        ""), size (GB)``.
    vaults : DataFrame
        ``project_id, vault_id, name, object_type, protect_type, status, free (GB; inf: it grows by
        itself), resources (int64; -1 unknown; ledgers of earlier versions lack the column)``.
    projects : DataFrame
        The projects there was a sign-in for: ``project_id, cloud, region, api, ims, image,
        account, vaults ("read", "" where nobody asked, else why they could not be read)``.
    owned : DataFrame
        One line per share that an owner is to offer or take back, as its owner sees it:
        ``project_id, image_id, state ("" where no owner could be asked), owner, name, whole_image,
        size (GB), visibility, key, members (how many projects it is shared with)``.
    """

    taken_at: str
    members: pd.DataFrame
    vaults: pd.DataFrame
    projects: pd.DataFrame
    owned: pd.DataFrame = field(default_factory=frame_schemas.OWNER_SHARES.make_frame)


def take(
    clouds: Clouds, shares: pd.DataFrame, progress: Progress | None = None, *, vaults: bool = True
) -> Snapshot:
    """Ask every cloud about shares (``project_id``, ``image_id``), by listings where possible.

    Acts of an owner (by their ``status``) are asked about at the ``owner``, or whoever it is.

    Raises
    ------
    CloudError
        If a cloud cannot be read.
    """
    at = utc_now()
    offered = is_owner_action(shares["status"])
    asked = shares.loc[~offered, ["project_id", "image_id"]].drop_duplicates()
    clouds = clouds.restricted_to(
        [*asked["project_id"].unique(), *_owners(clouds, shares[offered])]
    )
    wanted = {
        str(project): set(group)
        for project, group in asked.groupby("project_id")["image_id"]
        if project in clouds
    }
    members: list[tuple[object, ...]] = []
    found_vaults: list[tuple[object, ...]] = []
    read: dict[str, str] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        vaults_of = {p: pool.submit(_vaults, clouds[p]) for p in wanted} if vaults else {}
        seen = look(clouds, wanted, pool, progress)
        for project, found in seen.items():
            members += (_line(project, share) for share in found)
        for project, listed in vaults_of.items():
            of_project, read[project] = listed.result()
            found_vaults += ((project, *_vault_line(v)) for v in of_project)
        owned = list(ownership.look(clouds, shares[offered], pool, progress))
    return Snapshot(
        at,
        frame_schemas.MEMBERS.make_frame(members),
        frame_schemas.VAULTS.make_frame(found_vaults),
        frame_schemas.PROJECTS.make_frame(
            (
                *(c.project_id, c.name, c.region, c.api, c.ims, c.image, c.account),
                read.get(c.project_id, ""),
            )
            for c in clouds.values()
        ),
        frame_schemas.OWNER_SHARES.make_frame(owned),
    )


def _owners(clouds: Clouds, offered: pd.DataFrame) -> Iterable[str]:
    """The projects that may own images: the ones that are named, else all there can be asked."""
    named = offered["owner"].unique()
    return named if all(owner in clouds for owner in named) else clouds


def look(
    clouds: Clouds,
    wanted: Mapping[str, set[str]],
    pool: Executor,
    progress: Progress | None = None,
) -> dict[str, list[ImageShare]]:
    """What each project sees of its images; the ones it does not see are ``absent``.

    All listings go side by side; a project that refuses to be read raises for all of them.
    """
    for project in wanted:
        clouds[project].resolve_api()
    jobs = {
        pool.submit(_listed, clouds[project], state, images): project
        for project, images in wanted.items()
        for state in MEMBER_STATES
    }
    found: dict[str, dict[str, ImageShare]] = {project: {} for project in wanted}
    for done, job in enumerate(as_completed(jobs), 1):
        found[jobs[job]].update((share.image_id, share) for share in job.result())
        if progress:
            progress("reading the cloud", done, len(jobs))
    for project, images in wanted.items():
        missing = images - found[project].keys()
        if len(missing) > SINGLE_LOOKUPS:
            found[project].update(_hidden(clouds[project], missing))
        hidden = sorted(images - found[project].keys())[:SINGLE_LOOKUPS]
        found[project].update(
            (share.image_id, share) for share in pool.map(clouds[project].share, hidden)
        )
    return {
        project: [found[project].get(i) or ImageShare(i, ABSENT) for i in sorted(images)]
        for project, images in wanted.items()
    }


def look_back(
    clouds: Clouds, project: str, wanted: Mapping[str, str], pool: Executor
) -> list[ImageShare]:
    """As :func:`look` for one project, when each image should be in a wanted state by now.

    The listings of those states come first; only what none of them shows costs the others.
    """
    cloud, images = clouds[project], set(wanted)
    cloud.resolve_api()
    states = [state for state in MEMBER_STATES if state in wanted.values()]
    jobs = [pool.submit(_listed, cloud, state, images) for state in states]
    found = [share for job in jobs for share in job.result()]
    left = images - {share.image_id for share in found}
    return found + (look(clouds, {project: left}, pool)[project] if left else [])


def _hidden(cloud: Cloud, images: set[str]) -> dict[str, ImageShare]:
    """Images that only a listing of hidden ones shows; IMS has no such listing."""
    if cloud.resolve_api() == "batch":
        return {}
    states = (cloud.shares(state, hidden=True) for state in MEMBER_STATES)
    return {s.image_id: s for shares in states for s in shares if s.image_id in images}


def _listed(cloud: Cloud, state: str, images: set[str]) -> list[ImageShare]:
    return [share for share in cloud.shares(state) if share.image_id in images]


def _vaults(cloud: Cloud) -> tuple[list[Vault], str]:
    """A project's vaults and ``read``, or none and why they could not be read.

    No run ends for that: most need no vault, and the answer to the others tells whether it will do.
    """
    try:
        found = cloud.vaults()
    except CloudError as error:
        return [], str(error)
    return ([], "no backup service is known") if found is None else (found, "read")


def _line(project: str, share: ImageShare) -> tuple[object, ...]:
    whole = "" if share.whole_image is None else str(share.whole_image).lower()
    return project, share.image_id, share.state, share.owner, share.name, whole, share.size


def _vault_line(vault: Vault) -> tuple[object, ...]:
    return (
        vault.vault_id, vault.name, vault.object_type, vault.protect_type, vault.status, vault.free,
        vault.resources,
    )  # fmt: skip
