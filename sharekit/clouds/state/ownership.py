"""What owners show of their images: who owns what was asked about, and whom it is shared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from typing import Final

import pandas as pd

from sharekit.clouds.cloud import Cloud, ImageShare
from sharekit.clouds.registry import Clouds
from sharekit.core.actions import ABSENT
from sharekit.core.errors import CloudRefusedError

#: Images that no listing of their owners shows are looked up one by one, but not more of them
#: than this for each project.
SINGLE_LOOKUPS: Final = 200
Progress = Callable[[str, int, int], None]


def look(
    clouds: Clouds, shares: pd.DataFrame, pool: Executor, progress: Progress | None = None
) -> Iterator[tuple[object, ...]]:
    """Yield a line of ``frame_schemas.OWNER_SHARES`` for each of the shares.

    An image is looked for where the owner is named, else in every project there is a sign-in for.
    ``owner`` is whoever a cloud named; ``state`` is ``""`` where the owner itself was not asked.
    """
    places: dict[str, set[str]] = {}
    for image, owner in shares[["image_id", "owner"]].drop_duplicates().itertuples(index=False):
        for project in [owner] if owner in clouds else clouds:
            places.setdefault(project, set()).add(image)
    found: dict[str, ImageShare] = {}
    for ask in (_listed, _alone):
        asked = [images - found.keys() for images in places.values()]
        for seen in pool.map(ask, [clouds[project] for project in places], asked):
            found |= seen
    mine = [image for image, one in found.items() if one.owner in clouds]
    jobs = {pool.submit(members_of, clouds[found[i].owner], i): i for i in mine}
    members: dict[str, Mapping[str, str]] = {}
    for done, job in enumerate(as_completed(jobs), 1):
        members[jobs[job]] = job.result()
        if progress:
            progress("reading members", done, len(jobs))
    pairs = shares[["project_id", "image_id"]].drop_duplicates()
    for project, image in pairs.itertuples(index=False):
        yield _line(project, found.get(image) or ImageShare(image, ""), members.get(image))


def members_of(cloud: Cloud, image_id: str) -> dict[str, str]:
    """Whom an owner shares an image with, and what they have decided; nobody if it is gone."""
    try:
        return {member.project_id: member.state for member in cloud.members(image_id)}
    except CloudRefusedError as refusal:
        if refusal.http not in (403, 404):
            raise
        return {}


def _listed(cloud: Cloud, images: set[str]) -> dict[str, ImageShare]:
    return {one.image_id: one for one in cloud.owned() if one.image_id in images}


def _alone(cloud: Cloud, images: set[str]) -> dict[str, ImageShare]:
    """Images that are in no listing, such as private ones, or that somebody else owns."""
    looked = (cloud.share(image) for image in sorted(images)[:SINGLE_LOOKUPS])
    return {one.image_id: one for one in looked if one.owner}


def _line(project: str, image: ImageShare, members: Mapping[str, str] | None) -> tuple[object, ...]:
    state = "" if members is None else members.get(project, ABSENT)
    whole = "" if image.whole_image is None else str(image.whole_image).lower()
    return (
        project, image.image_id, state, image.owner, image.name, whole, image.size,
        image.visibility, image.key, len(members or ()),
    )  # fmt: skip
