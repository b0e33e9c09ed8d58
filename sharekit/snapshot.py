"""What the clouds show at one moment, for the shares that were asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd

from . import spec
from .clouds import Cloud, Clouds, ImageShare, Vault
from .errors import Refused
from .ledger import now

#: Shares that no listing shows are looked up one by one (a hidden image is only found so), but
#: not more of them than this for each project.
SINGLE_LOOKUPS = 200
_MEMBERS = ("project_id", "image_id", "state", "owner", "name", "whole_image", "size")
_VAULTS = ("project_id", "vault_id", "name", "object_type", "protect_type", "status", "free")
_PROJECTS = ("project_id", "cloud", "region", "api", "ims", "image", "account", "vaults")

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
        ``project_id, vault_id, name, object_type, protect_type, status, free (GB)``.
    projects : DataFrame
        The projects there was a sign-in for: ``project_id, cloud, region, api, ims, image,
        account, vaults ("read", or "" where they were not or could not be)``.
    """

    taken_at: str
    members: pd.DataFrame
    vaults: pd.DataFrame
    projects: pd.DataFrame


def take(
    clouds: Clouds, shares: pd.DataFrame, progress: Progress | None = None, *, vaults: bool = True
) -> Snapshot:
    """Ask every cloud about shares (``project_id``, ``image_id``), by listings where possible.

    Raises
    ------
    CloudError
        If a cloud cannot be read.
    """
    at = now()
    asked = shares[["project_id", "image_id"]].drop_duplicates()
    wanted = {
        str(project): set(group)
        for project, group in asked.groupby("project_id")["image_id"]
        if project in clouds
    }
    members: list[tuple[object, ...]] = []
    found_vaults: list[tuple[object, ...]] = []
    readable: set[str] = set()
    for done, (project, images) in enumerate(wanted.items()):
        if progress:
            progress("reading the cloud", done, len(wanted))
        cloud = clouds[project]
        members += (_line(project, share) for share in look(cloud, images))
        listed = _vaults(cloud) if vaults else None
        if listed is not None:
            readable.add(project)
            found_vaults += ((project, *_vault_line(v)) for v in listed)
    if progress:
        progress("reading the cloud", len(wanted), len(wanted))
    return Snapshot(
        at,
        _frame(members, _MEMBERS),
        _frame(found_vaults, _VAULTS),
        _frame(
            [
                (c.project_id, c.name, c.region, c.api, c.ims, c.image, c.account)
                + ("read" if c.project_id in readable else "",)
                for c in clouds.values()
            ],
            _PROJECTS,
        ),
    )


def look(cloud: Cloud, images: Iterable[str]) -> list[ImageShare]:
    """Return what one project sees of these images; the ones it does not see are ``absent``."""
    wanted = set(images)
    found: dict[str, ImageShare] = {}
    for state in spec.MEMBER_STATES:
        found.update((s.image_id, s) for s in cloud.shares(state) if s.image_id in wanted)
    hidden = sorted(wanted - found.keys())
    with ThreadPoolExecutor(8) as pool:
        found.update((s.image_id, s) for s in pool.map(cloud.share, hidden[:SINGLE_LOOKUPS]))
    return [found.get(i) or ImageShare(i, spec.ABSENT) for i in sorted(wanted)]


def _vaults(cloud: Cloud) -> list[Vault] | None:
    try:
        return cloud.vaults()
    except Refused as refusal:
        # No right to read vaults, or no backup service: then nothing can be said about them.
        if refusal.http not in (403, 404):
            raise
        return None


def _line(project: str, share: ImageShare) -> tuple[object, ...]:
    whole = "" if share.whole_image is None else str(share.whole_image).lower()
    return project, share.image_id, share.state, share.owner, share.name, whole, share.size


def _vault_line(vault: Vault) -> tuple[object, ...]:
    return (
        vault.vault_id, vault.name, vault.object_type, vault.protect_type, vault.status, vault.free
    )  # fmt: skip


def _frame(lines: list[tuple[object, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(lines, columns=list(columns))
    numbers = {"size": "int64", "free": "float64"}
    return frame.astype({name: numbers.get(name, "str") for name in columns})
