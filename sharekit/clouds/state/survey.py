"""Everything that the projects show and share out at one moment, asked about or not.

A project that cannot be read does not end the survey: it is named, with the reason, and its shares
are left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from sharekit.clouds.cloud import NO_MEMBERS, Cloud, ImageShare, Member
from sharekit.clouds.registry import Clouds
from sharekit.core.actions import ABSENT, ACCEPTED, MEMBER_STATES, PENDING, REJECTED
from sharekit.core.brakes import Pool
from sharekit.core.cloud_api import DATE_LOOKUPS
from sharekit.core.columns import STR, hands_out_copies, with_unit
from sharekit.core.errors import CloudError, CloudRefusedError, IncompleteListError
from sharekit.core.fields import SHARE_KEY
from sharekit.core.frame_schemas import SURVEY
from sharekit.core.provenance import utc_now

from .reader import (
    READERS,
    SAMPLES,
    ImageMembers,
    ProjectShares,
    Reader,
    collect,
    facts_differ,
    look_up_unclear,
    projects_by_image,
    read_member_shares,
    read_members,
    share_record,
)


@hands_out_copies("shares", "owned", "outgoing", "projects")
@dataclass(frozen=True, eq=False, repr=False)
class Survey:
    """Everything that the projects showed; all columns are ``str``, times in the cloud's format.

    Attributes
    ----------
    taken_at : str
        UTC, ISO 8601.
    shares : DataFrame
        One line for each share that a project shows, and for each one that was asked about:
        ``project_id, image_id, state`` (pending, accepted, rejected or absent; "" if it could not
        be read), ``owner, name, whole_image`` ("true", "false", ""), ``image_created_at, shared_at,
        decided_at`` (when the share was last decided, "" while it is pending), ``looked``
        ("listed" or "single"), ``visibility`` and ``unread`` (why it could not be read). A share's
        times are looked up only where it was not asked about or is in another state than asked
        for, for at most :data:`DATE_LOOKUPS` of each project, or as many as were wanted.
    owned : DataFrame
        The projects' own images: ``owner, image_id, name, image_created_at``.
    outgoing : DataFrame
        The shares of these, and each one that was asked about: the columns of ``owned``, then
        ``project_id, state, shared_at, decided_at, unread`` as in ``shares``.
    projects : DataFrame
        ``project_id, cloud, region, api, account``; ``code`` and ``reason`` say why the project's
        shares could not be read (``""``: they were), ``owner_code`` and ``owner_reason`` why its
        own images could not (``"not asked"`` where they were not to be read); ``name`` and
        ``name_source`` are the project's name and what told it; ``acts_as`` is the project of the
        administrator who acts for it.
    """

    taken_at: str
    shares: pd.DataFrame
    owned: pd.DataFrame
    outgoing: pd.DataFrame
    projects: pd.DataFrame

    def __repr__(self) -> str:
        numbers = with_unit(len(self.shares), "share"), with_unit(len(self.projects), "project")
        return f"<Survey of {self.taken_at[:19]}Z: {', '.join(numbers)}>"

    @property
    def shown(self) -> pd.DataFrame:
        """The lines of ``shares`` that a project shows."""
        return self.shares[self.shares["state"].isin(MEMBER_STATES)]

    @property
    def shared_out(self) -> pd.DataFrame:
        """The lines of ``outgoing`` that an owner shows."""
        return self.outgoing[self.outgoing["state"].isin(MEMBER_STATES)]

    @property
    def complete_projects(self) -> list[str]:
        """The projects whose shares were read in full."""
        return self.projects.loc[self.projects["code"] == "", "project_id"].tolist()

    @property
    def complete_owners(self) -> list[str]:
        """The projects whose own images were read in full."""
        return self.projects.loc[self.projects["owner_code"] == "", "project_id"].tolist()


_Shares = dict[str, ProjectShares]
#: Project -> image -> the status that was asked about.
_Asked = Mapping[str, Mapping[str, str]]
_Known = Mapping[str, Cloud]
_Images = dict[str, dict[str, ImageShare]]
#: Owner -> image -> its members.
_Members = dict[str, dict[str, ImageMembers]]


def take_survey(
    clouds: Clouds, asked: pd.DataFrame, *, owned: bool = True,
    times: int | None = None,
) -> Survey:  # fmt: skip
    """Read everything that is shared with the projects, and everything they share out.

    Parameters
    ----------
    clouds : Clouds
        The projects to read.
    asked : DataFrame
        Shares that are known of: ``project_id, image_id, status, owner``.
    owned : bool
        Read the owner's side too: one listing, and one call for each image that a project owns.
    times : int, optional
        Look up the times of so many shares of each project, whatever state they are in, pending
        ones first; each costs a call.
    """
    taken_at = utc_now()
    pairs = asked.drop_duplicates(SHARE_KEY)
    images: _Images = {}
    members: _Members = {}
    gaps: dict[str, CloudError] = {}
    with Pool(READERS) as pool:
        reader = Reader(pool, {})
        projects = [*clouds]  # and those that are known only by their shares
        projects += sorted({p for p in pairs["project_id"] if p in clouds} - {*projects})
        known = _sign_in(reader, clouds, projects)
        wanted: dict[str, dict[str, str]] = {project: {} for project in known}
        for project, group in pairs[pairs["project_id"].isin(list(known))].groupby("project_id"):
            wanted[str(project)] = dict(zip(group["image_id"], group["status"], strict=True))
        shares = read_member_shares(reader, known, wanted, everything=True)
        for project, of in shares.items():  # both APIs list own images as if they were pending
            own_images = {i: s for i, s in of.images.items() if s.owner == project}
            asked_about = own_images.keys() & wanted[project].keys()
            of.images = {i: s for i, s in of.images.items() if i not in own_images} | {
                i: replace(own_images[i], state=ABSENT) for i in asked_about
            }
        dates = _read_dates(reader, known, wanted, shares, times)
        failures = dict(reader.failures or {})
        owner_reader = Reader(pool, dict(failures))
        if owned:
            images, gaps = _read_own_images(owner_reader, known, pairs, shares)
            shown = [(p, i) for p, of in shares.items() for i, share in of.images.items()
                     if share.state in MEMBER_STATES]  # fmt: skip
            asked_of = pd.concat(
                [pairs[SHARE_KEY], pd.DataFrame(shown, columns=SHARE_KEY, dtype=STR)]
            )
            asked_of = asked_of.drop_duplicates(ignore_index=True)
            members = _read_members(owner_reader, known, asked_of, images, gaps)
            _compare_sides(reader, known, shares, members)
            failures = dict(reader.failures or {})
    incomplete = {
        p: IncompleteListError(of.incomplete) for p, of in shares.items() if of.incomplete
    }
    owner_failures = owner_reader.failures or {}
    own = [(p, i) for p, of in images.items() if p not in owner_failures for i in of.values()]
    return Survey(
        taken_at,
        _frame("shares", _share_records(shares, dates, failures)),
        _frame("owned", (_image_record(p, image) for p, image in own)),
        _frame("outgoing", _outgoing_records(own, members)),
        _frame(
            "projects",
            ((*_identity(p, known.get(p)), *_failure((incomplete | failures).get(p)),
              *(_failure((gaps | owner_failures).get(p)) if owned else ("not asked", "")),
              *clouds.project_name(p), known[p].acts_as if p in known else "")
             for p in projects),
        ),
    )  # fmt: skip


def _sign_in(reader: Reader, clouds: Clouds, projects: Iterable[str]) -> dict[str, Cloud]:
    """Return the projects that can be signed in to; an account may offer some that cannot."""
    calls = ((project, project, clouds.__getitem__) for project in projects)
    return {project: cloud for project, _, cloud in reader.run("signing in", calls)}


def _read_dates(
    reader: Reader, clouds: _Known, asked: _Asked, shares: _Shares, times: int | None
) -> dict[tuple[str, str], tuple[str, str]]:
    """Return when shares were made and decided, of those that will be asked about.

    A listing that these look-ups contradict is not to be trusted: its images are looked up alone.
    """
    images = {}
    for project, of in shares.items():
        statuses = asked.get(project, {})
        states = {i: s.state for i, s in of.images.items() if s.state in MEMBER_STATES}
        if times is None:
            chosen = [i for i, state in states.items() if statuses.get(i) != state]
        else:
            chosen = sorted(states, key=lambda i: states[i] != PENDING)
        images[project] = chosen[: DATE_LOOKUPS if times is None else times]
    times_of = {}
    for project, image, members in reader.look_up(
        "looking up dates", images, lambda project, image: clouds[project].members(image)
    ):
        for member in () if isinstance(members, str) else members:
            if member.project_id == project:
                shares[project].compare(image, member.state)
                times_of[project, image] = _times(member)
    doubtful = {project: () for project in images if shares[project].incomplete}
    look_up_unclear(reader, clouds, shares, doubtful)
    return times_of


def _read_own_images(
    reader: Reader, clouds: _Known, pairs: pd.DataFrame, shares: _Shares
) -> tuple[_Images, dict[str, CloudError]]:
    """Return the images of each owner, and why there may be others."""
    calls = ((p, p, lambda p: collect(clouds[p].owned())) for p in clouds)
    images: _Images = {}
    gaps: dict[str, CloudError] = {}
    doubted: _Images = {}
    for project, _, (listed, incomplete) in reader.run("reading own images", calls):
        images[project] = {i: image for i, image in listed.items() if image.owner == project}
        doubted[project] = {i: image for i, image in listed.items()
            if image.owner != project or image.visibility in NO_MEMBERS}  # fmt: skip
        if incomplete:
            gaps[project] = IncompleteListError(incomplete)
    # An image that its named owner does not list may be private, or hidden: it is looked up.
    shown = [(project, image) for project, of in shares.items()
             for image, share in of.images.items() if share.state in MEMBER_STATES]  # fmt: skip
    own = [(owner, image) for owner, of in images.items() for image in of]
    named = pairs[pairs["owner"].isin(list(images))]
    for columns, known in ((SHARE_KEY, shown), (["owner", "image_id"], own)):
        named = named[~pd.MultiIndex.from_frame(named[columns]).isin(known)]
    missing = {str(owner): ids.tolist() for owner, ids in named.groupby("owner")["image_id"]}
    # Samples of those whose members are not read for what is listed; all of which nothing is said.
    for owner, of in doubted.items():
        some = random.sample([*of], min(SAMPLES, len(of)))
        missing.setdefault(owner, []).extend({*some, *(i for i in of if not of[i].owner)})
    for owner, image, found in reader.look_up(
        "looking up own images", missing, lambda owner, image: clouds[owner].find_image(image)
    ):
        if isinstance(found, str):
            gaps.setdefault(owner, IncompleteListError(found))
        elif found and found.owner == owner:
            images[owner][image] = found
        if isinstance(found, ImageShare) and (shown_as := doubted[owner].get(image)):
            unsaid = "" if found.owner else f"{image} is listed, and nobody says whose it is"
            if why := unsaid or facts_differ(shown_as, found):
                gaps.setdefault(owner, IncompleteListError(why))
    return images, gaps


def _read_members(
    reader: Reader, clouds: _Known, pairs: pd.DataFrame, images: _Images,
    gaps: dict[str, CloudError],
) -> _Members:  # fmt: skip
    """Return the members of own images; adds to ``gaps`` the owners that are not shown all."""
    members = read_members(
        reader, "reading members of own images", clouds, images, projects_by_image(pairs),
        everything=True,
    )  # fmt: skip
    for owner, image, found in ((o, i, f) for o, of in members.items() for i, f in of.items()):
        if found.unread:
            why = IncompleteListError(f"The members of {image} are not shown: {found.unread}")
            gaps.setdefault(owner, why)
    return members


def _compare_sides(reader: Reader, clouds: _Known, shares: _Shares, members: _Members) -> None:
    """Look up what an owner shows and the listings of the project that it names do not."""
    listed = [p for p in shares if p not in (reader.failures or {}) and not clouds[p].acts_as]
    missing = {p: [i for lists in members.values() for i, found in lists.items()
                   if i not in shares[p].images and found.state(p) in MEMBER_STATES]
               for p in listed}  # fmt: skip
    look_up_unclear(reader, clouds, shares, missing)


# -- records of the frames -------------------------------------------------------------------------
def _times(member: Member) -> tuple[str, str]:
    """Return when a share was made and decided; the cloud repeats the first until it is decided."""
    decided = member.state in (ACCEPTED, REJECTED)
    return member.created_at, member.updated_at if decided else ""


def _share_records(
    shares: _Shares, dates: Mapping[tuple[str, str], tuple[str, str]],
    failures: Mapping[str, CloudError],
) -> Iterator[tuple[str, ...]]:  # fmt: skip
    for project, of in shares.items():
        for image, share in of.images.items() if project not in failures else ():
            looked = "single" if image in of.single else "listed"
            times = dates.get((project, image), ("", ""))
            record = (*share_record(project, share), share.created_at, *times)
            yield *record, looked, share.visibility, share.unread


def _outgoing_records(
    own: Iterable[tuple[str, ImageShare]], members: _Members
) -> Iterator[tuple[str, ...]]:
    for owner, image in own:
        found = members.get(owner, {}).get(image.image_id, ImageMembers())
        times = {member.project_id: _times(member) for member in found.members}
        for project, state in found.states.items():
            record = (*_image_record(owner, image), project, state)
            yield *record, *times.get(project, ("", "")), found.why_unread(project)


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
