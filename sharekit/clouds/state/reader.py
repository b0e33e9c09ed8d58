"""Listing first, then looking up one by one: how snapshot, survey and read-back learn of shares.

A share is ``absent`` only if it is in none of its project's whole listings and a look at it alone
finds none either, or if it is not among the members that the image's owner is shown. Whatever else
hides it – a refusal, a list that may lack items, a response about something else – leaves it
unread: its state is ``""``, with the reason in ``unread``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Final, TypeVar

import pandas as pd

from sharekit.clouds.cloud import NO_MEMBERS, Cloud, ImageShare, Member
from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.brakes import WAITS, CircuitBreaker
from sharekit.core.cloud_api import Remedy, remedy
from sharekit.core.errors import (
    CloudError,
    CloudRefusedError,
    IncompleteListError,
    NoResponseError,
    RedirectedError,
    UnfitResponseError,
)
from sharekit.core.monitoring.progress import report

#: Reading requests at the same time.
READERS: Final = 16
#: Refusals that say nothing of the image that was asked about, but of the caller.
_OF_CALLER: Final = frozenset({Remedy.WAIT, Remedy.SIGN_IN})

T = TypeVar("T")
_UNKNOWN_STATE: Final = "the cloud names a state that the API does not know"
_NOT_SHOWN: Final = "its visibility is {}, and the cloud shows no members of such images"
#: Project -> the images that are asked about.
Wanted = Mapping[str, Collection[str]]


@dataclass
class Reader:
    """Requests to several projects side by side.

    With ``failures`` (project -> its error), the first error of a project ends the requests to
    that project alone; without, it is raised. ``breakers`` tell which project's cloud is down.
    """

    pool: Executor
    failures: dict[str, CloudError] | None = None
    breakers: dict[str, CircuitBreaker] = field(default_factory=dict)

    def run(
        self, label: str, calls: Iterable[tuple[str, str, Callable[[str], T]]]
    ) -> Iterator[tuple[str, str, T]]:
        """Yield project, item and result of each ``(project, item, call)``, in any order."""
        jobs = {
            self.pool.submit(self._call, project, item, call): (project, item)
            for project, item, call in calls
        }
        for done, job in enumerate(as_completed(jobs), 1):
            for result in job.result():
                yield (*jobs[job], result)
            report(label, done, len(jobs))

    def look_up(
        self, label: str, wanted: Wanted, call: Callable[[str, str], T]
    ) -> Iterator[tuple[str, str, T | str]]:
        """Call ``call(project, image)`` for each image of each project, at the clouds' own pace.

        Yields project, image and the result, or the reason why there is none: what a cloud that
        is not down fails to show of one image is no error of its project.
        """
        return self.run(
            label,
            ((p, i, partial(or_reason, self.breaker(p), partial(call, p)))
             for p, ids in wanted.items() for i in sorted({*ids})),
        )  # fmt: skip

    def breaker(self, project: str) -> CircuitBreaker:
        """Return what tells whether a project's cloud is down."""
        return self.breakers.setdefault(project, CircuitBreaker(WAITS.get().outage_timeout))

    def _call(self, project: str, item: str, call: Callable[[str], T]) -> list[T]:
        if self.failures is None:
            return [call(item)]
        if project in self.failures:
            return []
        try:
            return [call(item)]
        except CloudError as error:
            self.failures.setdefault(project, error)
            return []


def or_reason(breaker: CircuitBreaker, call: Callable[..., T], *items: str) -> T | str:
    """Return a call's result, or why there is none; what a cloud that is down raises is raised."""
    try:
        result = call(*items)
    except CloudError as error:
        if not _may_concern_one(error):
            raise
        if not _is_fault(error):
            breaker.record_success()
        elif breaker.record_failure(getattr(error, "retry_after", None) or 0.0):
            raise
        return str(error)
    breaker.record_success()
    return result


def _may_concern_one(error: CloudError) -> bool:
    """Return True if nothing but what was asked about may be the cause of an error."""
    if isinstance(error, CloudRefusedError):
        return remedy(error.code, error.http) not in _OF_CALLER
    if isinstance(error, NoResponseError):
        return error.sent
    return isinstance(error, (IncompleteListError, RedirectedError))


def _is_fault(error: CloudError) -> bool:
    """Return True for what a cloud that is down does, too: it gives no useful response."""
    if isinstance(error, CloudRefusedError):
        return remedy(error.code, error.http) is Remedy.RETRY
    return not isinstance(error, (IncompleteListError, UnfitResponseError))


# -- the member's side -----------------------------------------------------------------------------
@dataclass
class ProjectShares:
    """The shares of a project; ``single`` are the images that were looked up one by one.

    ``incomplete`` says why a listing may lack some, ``""`` if none may.
    """

    images: dict[str, ImageShare] = field(default_factory=dict)
    single: set[str] = field(default_factory=set)
    incomplete: str = ""
    unclear: set[str] = field(default_factory=set)

    def add(self, listed: Mapping[str, ImageShare], incomplete: str) -> None:
        """Take in a listing; an image that another one shows in another state has none."""
        for image in listed.keys() & self.images.keys():
            if self.images[image].state != listed[image].state:
                self.unclear.add(image)
        self.images.update(listed)
        self.incomplete = self.incomplete or incomplete

    def unclear_to(self, project: str) -> set[str]:
        """Return the listed images whose state is unclear: all, if a listing is not whole.

        Who ignores a state and leaves out images would show some in wrong states alone.
        """
        shown = self.images.keys() if self.incomplete else self.unclear
        return {image for image in shown if self.images[image].owner != project}

    def samples(self, project: str, wanted: Collection[str]) -> list[str]:
        """Return an image of each state that is listed, one that is wanted if there is any."""
        firsts: dict[str, str] = {}
        for image in chain((i for i in wanted if i in self.images), self.images):
            if self.images[image].owner != project:
                firsts.setdefault(self.images[image].state, image)
        return list(firsts.values())

    def compare(self, image: str, alone: str) -> None:
        """Take in a sample: a listing that a look at one image contradicts is not to be trusted."""
        listed = self.images[image].state
        if alone in MEMBER_STATES and alone != listed:
            why = f"the listing shows {image} as {listed}, and a look at it alone as {alone}"
            self.incomplete = self.incomplete or why

    def settle(self, project: str, image: str, found: ImageShare | str) -> None:
        """Take in a look at one image, or the reason why there is none."""
        if isinstance(found, str):
            found = ImageShare(image, "", unread=found)
        elif found.visibility in NO_MEMBERS and found.owner != project:
            found = replace(found, state="", unread=_NOT_SHOWN.format(found.visibility))
        elif found.state == ABSENT and found.owner != project:
            hidden = "listed in several states, and in none alone" if image in self.unclear else ""
            if unread := hidden or self.incomplete:
                found = replace(found, state="", unread=unread)
        self.images[image] = found
        self.single.add(image)


def read_member_shares(
    reader: Reader, clouds: Mapping[str, Cloud], wanted: Wanted, *, everything: bool = False
) -> dict[str, ProjectShares]:
    """Return the wanted images as each project sees them, or everything that it sees as well.

    All listings are read, side by side. What is in none of them, or in several, is looked up; so is
    everything where a listing is not whole, or a look at one image of each state contradicts it.
    """
    resolved = reader.run("signing in", ((p, p, lambda p: clouds[p].resolve_api()) for p in wanted))
    apis = {project: api for project, _, api in resolved}
    shares = {project: ProjectShares() for project in wanted}

    def list_all(projects: Iterable[str], *, hidden: bool) -> None:
        listings = (
            (
                p,
                state,
                partial(_list, clouds[p], None if everything else {*wanted[p]}, hidden=hidden),
            )
            for p in projects
            for state in MEMBER_STATES
        )
        for project, _, (listed, incomplete) in reader.run("reading the cloud", listings):
            shares[project].add(listed, incomplete)

    def missing() -> dict[str, set[str]]:
        return {p: {*wanted[p]} - shares[p].images.keys() for p in apis}

    list_all(apis, hidden=False)
    absent = missing()
    list_all([p for p in apis if everything or absent[p]], hidden=True)
    samples = {p: shares[p].samples(p, wanted[p]) for p in apis if not shares[p].incomplete}
    for project, image, alone in reader.look_up(
        "comparing with single images", samples, lambda p, i: clouds[p].member_state(i, p)
    ):
        shares[project].compare(image, alone)
    unseen = {
        project: ids | shares[project].unclear_to(project) for project, ids in missing().items()
    }
    label = "looking up single images"
    for project, image, found in reader.look_up(label, unseen, lambda p, i: clouds[p].share(i)):
        shares[project].settle(project, image, found)
    return shares


def _list(
    cloud: Cloud, wanted: Collection[str] | None, state: str, *, hidden: bool
) -> tuple[dict[str, ImageShare], str]:
    """Return the listed images, of those that are wanted, and why the list may lack some.

    A list that is not whole is read once more, since it may have changed in between.
    """

    def listed() -> Iterator[ImageShare]:
        shares = cloud.shares(state, hidden=hidden)
        return (share for share in shares if wanted is None or share.image_id in wanted)

    try:
        images, incomplete = collect(listed())
        return collect(listed()) if incomplete else (images, "")
    except CloudRefusedError as refusal:
        if not hidden or refusal.http not in (400, 404):
            raise
        return {}, ""  # this cloud hides no images


def collect(images: Iterable[ImageShare]) -> tuple[dict[str, ImageShare], str]:
    """Return the images of a listing, and why it may lack some; ``""`` if it is whole."""
    found: dict[str, ImageShare] = {}
    try:
        for image in images:
            found[image.image_id] = image
    except IncompleteListError as error:
        return found, str(error)
    return found, ""


# -- the owner's side ------------------------------------------------------------------------------
@dataclass(frozen=True)
class ImageMembers:
    """The members of an image as its owner is shown them.

    ``states`` has the state of every member, and of each project that was asked about: ``absent``
    where there is no share, ``""`` where it could not be read, for the reason in ``reasons`` or,
    for any other project, in ``unread``. With ``whole`` there are no further members.
    """

    members: tuple[Member, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    unread: str = ""
    whole: bool = True

    def state(self, project: str) -> str:
        """Return the state of the share with a project."""
        return self.states.get(project, ABSENT if self.whole else "")

    def why_unread(self, project: str) -> str:
        """Return why the state of the share with a project could not be read; "" if it was."""
        return "" if self.state(project) else self.reasons.get(project, self.unread)


def read_members(
    reader: Reader, label: str, clouds: Mapping[str, Cloud],
    images: Mapping[str, Mapping[str, ImageShare]], asked: Mapping[str, Collection[str]],
) -> Iterator[tuple[str, str, ImageMembers]]:  # fmt: skip
    """Yield owner, image and members of the images of each owner.

    ``asked`` maps images to the projects whose shares are asked about: these are looked up one by
    one if a list of members lacks them, because Glance's list of members has no pages, so a list
    that a cloud has cut off looks like a whole one.
    """

    def read(owner: str, image: str) -> ImageMembers:
        shared_with = asked.get(image, ())
        return members_of(clouds[owner], images[owner][image], shared_with, reader.breaker(owner))

    for owner, image, found in reader.look_up(label, images, read):
        yield (
            owner,
            image,
            (ImageMembers(unread=found, whole=False) if isinstance(found, str) else found),
        )


def members_of(
    cloud: Cloud, image: ImageShare, asked: Collection[str], breaker: CircuitBreaker
) -> ImageMembers:
    """Return the members of an own image; see :func:`read_members`."""
    closed = NO_MEMBERS if cloud.resolve_api() == "batch" else NO_MEMBERS | {"private"}
    if image.visibility in closed:  # nobody is asked for what cannot be
        why = _NOT_SHOWN.format(image.visibility)
        return ImageMembers(states=dict.fromkeys(asked, ""), reasons=dict.fromkeys(asked, why))
    members, incomplete = [], ""
    try:
        members = cloud.members(image.image_id)
    except IncompleteListError as error:
        incomplete = str(error)
    states = {member.project_id: member.state for member in members}
    unread = incomplete or (_UNKNOWN_STATE if "" in states.values() else "")
    reasons = {}
    for project in asked:
        if states.get(project):
            continue
        found = or_reason(breaker, cloud.member_state, image.image_id, project)
        if found == ABSENT and (incomplete or project in states):
            found = unread
        if found in MEMBER_STATES:
            unread = unread or f"the list lacks {project}, which a look at it alone shows"
        known = found in (*MEMBER_STATES, ABSENT)
        states[project] = found if known else ""
        if not known:
            reasons[project] = found
    unread = unread or next(iter(reasons.values()), "")
    return ImageMembers(tuple(members), states, reasons, unread, whole=not unread)


def projects_by_image(pairs: pd.DataFrame) -> dict[str, list[str]]:
    """Return the projects that each image of some shares is asked about with."""
    if pairs.empty:
        return {}
    return {str(image): ids.tolist() for image, ids in pairs.groupby("image_id")["project_id"]}


def share_record(project: str, share: ImageShare) -> tuple[str, str, str, str, str, str]:
    """Return ``project_id, image_id, state, owner, name, whole_image`` of a frame."""
    whole = "" if share.whole_image is None else str(share.whole_image).lower()
    return project, share.image_id, share.state, share.owner, share.name, whole
