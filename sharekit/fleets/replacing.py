"""A new image in the place of an old one: first shared with the same projects, then alone.

The two steps are two fleets, each approved for itself. The second takes the old image back only
from projects that the first has proved to have the new one.
"""

from __future__ import annotations

from functools import partial
from re import fullmatch

import pandas as pd

from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.reader import READERS, Reader, members_of
from sharekit.core.actions import SHARE, UNSHARE
from sharekit.core.brakes import Pool
from sharekit.core.columns import STR
from sharekit.core.errors import InputError, UsageError
from sharekit.core.fields import UUID
from sharekit.runs.status import status
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.reading import read_inventory

from .storage import StoredFleet

#: Outcomes that prove that a project has the new image.
_HAS_NEW = ("confirmed", "already")


def share_like(new: str, old: str, clouds: Clouds) -> Inventory:
    """Return an inventory that shares an image with every project that another is shared with.

    Raises
    ------
    InputError
        No cloud shows the old image as its own, or it is shared with nobody, or the list of its
        members may lack some.
    UsageError
        One of the two is no image ID.
    CloudError
        A cloud cannot be read.
    """
    for image in (new, old):
        if not fullmatch(UUID, image):
            raise UsageError(f"{image!r:.80} is no image ID: 8-4-4-4-12 hexadecimal digits.")
    shown_by = (cloud.find_image(old) for cloud in clouds.values())
    found = next((share for share in shown_by if share is not None), None)
    if found is None or found.owner not in clouds:
        raise InputError(f"None of the named clouds owns the image {old}: name its owner's cloud.")
    asked = [project for project in clouds if project != found.owner]
    with Pool(READERS) as pool:
        reader = Reader(pool)
        shown = members_of(clouds[found.owner], found, asked, partial(reader.ask, found.owner))
    if shown.unread:
        raise InputError(f"Nobody knows all projects that {old} is shared with: {shown.unread}.")
    projects = sorted(one.project_id for one in shown.members)
    if not projects:
        raise InputError(f"{old} is shared with no project, so {new} is to be shared with nobody.")
    return _inventory(new, projects, SHARE, found.owner, old)


def take_back(first: StoredFleet, old: str) -> tuple[Inventory, int]:
    """Return an inventory that takes an image back from projects that have the new one.

    Returns
    -------
    inventory : Inventory
        A row for each project whose share of the new image the first fleet has proved.
    kept : int
        The number of its other rows, whose projects keep the old image.

    Raises
    ------
    InputError
        No project is known to have the new image.
    """
    done: list[str] = []
    rows, owner = 0, ""
    for part in first.parts:
        run = status(part.path)
        rows += len(run.rows)
        own = run.plan.rows[run.rows["outcome"].isin(_HAS_NEW)]
        done += own["project_id"].tolist()
        owner = owner or next(iter(own["owner"]), "")
    if not done:
        raise InputError(f"No project is known to have the new image, so each keeps {old}.")
    return _inventory(old, sorted(done), UNSHARE, owner, old), rows - len(done)


def _inventory(image: str, projects: list[str], status: str, owner: str, old: str) -> Inventory:
    frame = pd.DataFrame(
        {"image_id": image, "project_id": projects, "status": status, "owner": owner}, dtype=STR
    )
    return read_inventory(frame, name=f"projects that {old} is shared with")
