"""The state of the shares that were asked about, at one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace
from functools import partial

import pandas as pd

from sharekit.clouds.cloud import NO_MEMBERS, Cloud, ImageShare, Vault
from sharekit.clouds.registry import Clouds
from sharekit.core import frame_schemas
from sharekit.core.actions import SHARE
from sharekit.core.brakes import Pool
from sharekit.core.columns import hands_out_copies, is_owner_action, with_unit
from sharekit.core.errors import CloudError, IncompleteListError
from sharekit.core.fields import SHARE_KEY
from sharekit.core.provenance import utc_now

from .reader import (
    READERS,
    ImageMembers,
    InDoubt,
    Reader,
    collect,
    facts_differ,
    projects_by_image,
    read_member_shares,
    read_members,
    share_record,
)


@hands_out_copies("members", "vaults", "projects", "owned")
@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """The state of the shares that were asked about.

    Attributes
    ----------
    taken_at : str
        UTC, ISO 8601.
    members : DataFrame
        One line per share that a member's cloud could be asked about: ``project_id, image_id,
        state (pending, accepted, rejected or absent; "" if it could not be read), owner, name,
        whole_image ("true", "false", ""), size (GB), unread (why it could not be read)``.
    vaults : DataFrame
        One line per backup vault: ``project_id, vault_id, name, object_type, protect_type, status,
        free (GB; inf: it grows by itself), resources (-1 unknown)``.
    projects : DataFrame
        One line per project that was signed in to, or was to be: ``project_id, cloud, region, api,
        ims, image, account, vaults ("read", "" if not asked, else why not all of them could be
        read), unread (why nothing is known of its shares, "" if they could be read), name,
        name_source (what told its name, "" where nothing has), acts_as (the project that the
        administrator has signed in to who acts for it, "" if it has signed in itself)``.
    owned : DataFrame
        One line per share that an owner is to offer or withdraw, as its owner sees it:
        ``project_id, image_id, state ("" if no owner could be asked), owner, name, whole_image,
        size (GB), visibility, key, members (number of projects it is shared with), unread (why
        its state could not be read)``.
    """

    taken_at: str
    members: pd.DataFrame
    vaults: pd.DataFrame
    projects: pd.DataFrame
    owned: pd.DataFrame = field(default_factory=frame_schemas.OWNER_SHARES.make_frame)

    def __repr__(self) -> str:
        shares = with_unit(len(self.members) + len(self.owned), "share")
        projects = with_unit(len(self.projects), "project")
        return f"<Snapshot of {self.taken_at[:19]}Z: {shares}, {projects}>"


def take_snapshot(
    clouds: Clouds, shares: pd.DataFrame, failures: dict[str, CloudError] | None = None
) -> Snapshot:
    """Ask every cloud about shares (``project_id, image_id, status, owner``), by listings first.

    Vaults that they name (``vault_id``) are looked up one by one where no listing shows them.

    Owner actions (by their ``status``) are asked about at the ``owner``; without one, at every
    project. A project that cannot be read is named with the reason, also in ``failures``; the
    others are read.

    Raises
    ------
    CloudError
        If no project can be read.
    """
    taken_at = utc_now()
    by_owner = is_owner_action(shares["status"])
    asked = shares.loc[~by_owner, [*SHARE_KEY, "status"]].drop_duplicates(SHARE_KEY)
    owners = _owners(clouds, shares[by_owner])
    clouds = clouds.restricted_to([*asked["project_id"].unique(), *owners])
    wanted = {
        str(project): dict(zip(group["image_id"], group["status"], strict=True))
        for project, group in asked.groupby("project_id")
        if project in clouds
    }

    def would_not_be_sent(project: str, share: ImageShare) -> bool:
        return wanted[project].get(share.image_id) == share.state

    named = shares if "vault_id" in shares else shares.assign(vault_id="")
    vaults = named[named["vault_id"] != ""].groupby("project_id")["vault_id"].unique()
    failures = {} if failures is None else failures
    failures |= clouds.refused
    with Pool(READERS) as pool:
        reader = Reader(pool, failures)
        jobs = {
            project: pool.submit(_read_vaults, clouds[project], vaults.get(project, ()))
            for project in wanted.keys() - failures.keys()
        }
        members = [
            (*share_record(project, share), share.size, share.unread)
            for project, shown in read_member_shares(
                reader, clouds, wanted, in_doubt=would_not_be_sent
            ).items()
            for _, share in sorted(shown.images.items())
            if project not in failures
        ]
        of = {job: project for project, job in jobs.items()}
        vaults_of = {of[job]: job.result() for job in pool.finished(of)}
        owned = list(read_owner_shares(clouds, shares[by_owner], reader))
    if failures and failures.keys() >= wanted.keys() | {o for o in owners if o in clouds}:
        raise next(iter(failures.values()))
    unread = {project: str(error) for project, error in failures.items()}
    projects = [
        (c.project_id, c.name, c.region, c.api, c.ims, c.image, c.account,
         vaults_of.get(c.project_id, ((), ""))[1], unread.get(c.project_id, ""),
         *clouds.project_name(c.project_id), c.acts_as)
        for c in clouds.signed_in
    ] + [(project, *[""] * 7, unread[project], *clouds.project_name(project), "")
         for project in clouds.refused]  # fmt: skip
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
    """Return the projects that may own images: the named ones, and else all that can be asked."""
    named = shares["owner"].unique()
    return named if all(owner in clouds for owner in named) else [*named, *clouds]


# -- reading back ----------------------------------------------------------------------------------
def read_back(
    clouds: Clouds, wanted: Mapping[str, Collection[str]], pool: Pool, in_doubt: InDoubt
) -> list[tuple[str, ImageShare]]:
    """Return the wanted images as each project sees them: a state, or why not (``unread``)."""
    shown = read_member_shares(Reader(pool), clouds, wanted, in_doubt=in_doubt)
    return [(project, share) for project, of in shown.items() for share in of.images.values()]


def read_back_members(
    clouds: Clouds, owner: str, asked: Mapping[str, Collection[str]], pool: Pool, in_doubt: InDoubt
) -> Iterator[tuple[str, ImageShare]]:
    """Yield each project that an image is asked about with, and the share as its owner sees it."""
    images = {owner: {image: ImageShare(image, "") for image in asked}}
    members = read_members(Reader(pool), "reading back", clouds, images, asked, in_doubt)
    for image, found in members[owner].items():
        for project in asked[image]:
            why = found.why_unread(project)
            yield project, ImageShare(image, found.state(project), unread=why)


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
    unread: dict[str, str] = {}
    incomplete: dict[str, str] = {}
    listings = ((p, p, partial(_list_owned, clouds, images_at)) for p in images_at)
    for project, _, (own, why) in reader.run("reading own images", listings):
        images |= own
        incomplete[project] = why
    failures = reader.failures or {}
    # Private images are in no listing, nor are images of somebody else. A listed visibility that
    # would decide is looked up as well.
    plain = {image for image, share in images.items() if share.visibility not in NO_MEMBERS}
    unlisted = {project: ids - plain for project, ids in images_at.items()}
    label = "looking up own images"
    for project, image, found in reader.look_up(
        label, unlisted, lambda project, image: clouds[project].find_image(image)
    ):
        if isinstance(found, ImageShare) and found.owner:
            listed = images.get(image, found)
            why = facts_differ(listed, found)
            images[image] = replace(listed, owner="", visibility="", unread=why) if why else listed
        elif why := found if isinstance(found, str) else incomplete[project]:
            unread[image] = why
    unread |= {i: str(error) for p, error in failures.items() for i in images_at.get(p, ())}
    pairs = shares[SHARE_KEY].drop_duplicates()
    owned: dict[str, dict[str, ImageShare]] = {}
    for image, share in images.items():
        if share.owner in clouds:
            owned.setdefault(share.owner, {})[image] = share
    asked = projects_by_image(pairs)
    # What is shared already would not be sent.
    offers = {*shares.loc[shares["status"] == SHARE, SHARE_KEY].itertuples(index=False, name=None)}
    found_members = read_members(
        reader, "reading members", clouds, owned, asked,
        lambda project, share: (project, share.image_id) in offers,
    )  # fmt: skip
    members = {image: found for lists in found_members.values() for image, found in lists.items()}
    for project, image in pairs.itertuples(index=False):
        share = images.get(image) or ImageShare(image, "", unread=unread.get(image, ""))
        shown = members.get(image)
        state, why = _state_of(project, share, shown, failures)
        record = share_record(project, replace(share, state=state))
        number = len(shown.members) if shown else 0
        yield *record, share.size, share.visibility, share.key, number, why


def _state_of(
    project: str, share: ImageShare, shown: ImageMembers | None,
    failures: Mapping[str, CloudError],
) -> tuple[str, str]:  # fmt: skip
    """Return the state of an image's share with a project, and why it could not be read."""
    if share.owner in failures:
        return "", str(failures[share.owner])
    state = shown.state(project) if shown else ""
    return state, shown.why_unread(project) if shown else share.unread


def _list_owned(
    clouds: Clouds, images: Mapping[str, set[str]], project: str
) -> tuple[dict[str, ImageShare], str]:
    owned, wanted = clouds[project].owned(), images[project]
    listed = (image for image in owned if image.owner == project)
    return collect(image for image in listed if image.image_id in wanted)


def _read_vaults(cloud: Cloud, named: Iterable[str]) -> tuple[list[Vault], str]:
    """Return a project's vaults and ``read``, or those it shows and why there may be others.

    That is no error: most decisions need no vault, and the cloud's response to the others tells
    whether the named one will do.
    """
    if not cloud.cbr:
        return [], "no backup service is known"
    vaults: dict[str, Vault] = {}
    reading = "read"
    try:
        for vault in cloud.vaults():
            vaults[vault.vault_id] = vault
    except IncompleteListError as error:
        reading = str(error)
    except CloudError as error:
        return [], str(error)
    for vault_id in {*named} - vaults.keys() if reading != "read" else ():
        try:
            found = cloud.vault(vault_id)
        except CloudError as error:
            reading = str(error)
        else:
            vaults |= {vault_id: found} if found else {}
    return list(vaults.values()), reading
