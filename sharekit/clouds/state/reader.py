"""Listing first, then looking up one by one: how snapshot, survey and read-back learn of shares.

A share is ``absent`` only if it is in none of its project's whole listings and a look at it alone
finds none either, or if it is not among the members that the image's owner is shown. Whatever else
hides it – a refusal, a list that may lack items, a response about something else – leaves it
unread: its state is ``""``, with the reason in ``unread``. So does a list that shows it otherwise
than a look at it alone, since either may be from the past or be meant for somebody else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import pandas as pd

from sharekit.clouds.cloud import NO_MEMBERS, UNANSWERED, Cloud, ImageShare, Member
from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.brakes import WAITS, CircuitBreaker, Pool
from sharekit.core.cloud_api import remedy
from sharekit.core.errors import (
    CloudError,
    CloudRefusedError,
    IncompleteListError,
    NotShownError,
    UnfitResponseError,
)
from sharekit.core.monitoring.progress import report

#: Reading requests at the same time.
READERS: Final = 16
#: Listed images of one project that are compared with a look at each alone: so many at random,
#: and so many of those on which a listing alone would decide.
SAMPLES: Final = 20
LOOK_UPS: Final = 200

T = TypeVar("T")
Item = TypeVar("Item")
_UNKNOWN_STATE: Final = "the cloud names a state that the API does not know"
_ASKED_ONLY: Final = "an administrator is shown only the shares that somebody asked about"
_SHOWS_OWN: Final = "the cloud shows this account no shares of others, so it may hide this one"
_NOT_SHOWN: Final = "its visibility is {}, and the cloud shows no members of such images"
#: Project -> the images that are asked about.
Wanted = Mapping[str, Collection[str]]
#: Called with a project and a share that is listed for it.
InDoubt = Callable[[str, ImageShare], bool]


def nothing_in_doubt(_project: str, _share: ImageShare) -> bool:
    """Say that no share is in doubt."""
    return False


@dataclass
class Reader:
    """Requests to several projects side by side.

    With ``failures`` (project -> its error), the first error of a project ends the requests to
    that project alone; without, it is raised. What a cloud that is not down fails to show of one
    image is no such error, but the reason why that image is unread.
    """

    pool: Pool
    failures: dict[str, CloudError] | None = None
    _breakers: dict[str, CircuitBreaker] = field(default_factory=dict)
    _given_up: dict[str, str] = field(default_factory=dict)

    def run(
        self, label: str, calls: Iterable[tuple[str, Item, Callable[[Item], T]]]
    ) -> Iterator[tuple[str, Item, T]]:
        """Yield project, item and result of each ``(project, item, call)``, in any order."""
        jobs = {
            self.pool.submit(self._call, project, item, call): (project, item)
            for project, item, call in calls
        }
        for done, job in enumerate(self.pool.finished(jobs), 1):
            for result in job.result():
                yield (*jobs[job], result)
            report(label, done, len(jobs))

    def look_up(
        self, label: str, wanted: Wanted, call: Callable[[str, str], T]
    ) -> Iterator[tuple[str, str, T | str]]:
        """Call ``call(project, image)`` for each image of each project, at the clouds' own pace.

        Yields project, image and the result, or the reason why there is none.
        """
        return self.run(
            label,
            ((p, i, partial(self.ask, p, partial(call, p)))
             for p, ids in wanted.items() for i in sorted({*ids})),
        )  # fmt: skip

    def ask(self, project: str, call: Callable[..., T], *items: object) -> T | str:
        """Return a call's result, or the reason why a cloud that is not down does not show it.

        Where nothing else has come for the time of an outage, nothing more is asked for.
        """
        if project in self._given_up:
            return self._given_up[project]
        outage = WAITS.get().outage_timeout
        breaker = self._breakers.setdefault(project, CircuitBreaker(outage))
        try:
            result = call(*items)
        except NotShownError as error:
            if breaker.record_failure():
                why = f"not asked for, since nothing else was shown for {outage:g} s; the last: "
                self._given_up[project] = f"{why}{error}"
            return str(error)
        except CloudError as error:
            if not _is_answer(error):
                raise
            breaker.record_success()
            return str(error)
        breaker.record_success()
        return result

    def _call(self, project: str, item: Item, call: Callable[[Item], T]) -> list[T]:
        if self.failures is None:
            return [call(item)]
        if project in self.failures:
            return []
        try:
            return [call(item)]
        except CloudError as error:
            self.failures.setdefault(project, error)
            return []


def _is_answer(error: CloudError) -> bool:
    """Return True if a cloud has said that it does not show this, or has shown something else."""
    if isinstance(error, CloudRefusedError):
        return remedy(error.code, error.http) not in UNANSWERED
    return isinstance(error, (IncompleteListError, UnfitResponseError))


# -- the member's side -----------------------------------------------------------------------------
@dataclass
class ProjectShares:
    """The shares of a project; ``single`` are the images that were looked up one by one.

    ``incomplete`` says why a listing may lack some, or may be wrong, ``""`` if none may.
    ``unclear`` are the images that are listed in several states. ``paged`` is False if a listing
    showed by itself that it is not whole.
    """

    images: dict[str, ImageShare] = field(default_factory=dict)
    single: set[str] = field(default_factory=set)
    incomplete: str = ""
    unclear: set[str] = field(default_factory=set)
    paged: bool = True

    def add(self, listed: Mapping[str, ImageShare], incomplete: str) -> None:
        """Take in a listing; an image that another one shows in another state has none."""
        for image in listed.keys() & self.images.keys():
            if self.images[image].state != listed[image].state:
                self.unclear.add(image)
        self.images.update(listed)
        self.incomplete = self.incomplete or incomplete
        self.paged = self.paged and not incomplete

    def unclear_to(self, project: str) -> set[str]:
        """Return the listed images whose state is unclear: all, if a listing is not whole.

        Who ignores a state and leaves out images would show some in wrong states alone. Both APIs
        list own images as if they were pending.
        """
        if self.incomplete:
            return {*self.images}
        return self.images.keys() & self.unclear - self.own(project)

    def own(self, project: str) -> set[str]:
        """Return the images that are listed as the project's own."""
        return {image for image, share in self.images.items() if share.owner == project}

    def samples(self, project: str, in_doubt: InDoubt) -> set[str]:
        """Return listed images to compare: one of each state, some at random, those in doubt."""
        listed = [image for image, share in self.images.items() if share.owner != project]
        firsts = {self.images[image].state: image for image in listed}
        some = random.sample(listed, min(SAMPLES, len(listed)))
        doubted = (image for image in listed if in_doubt(project, self.images[image]))
        return {*firsts.values(), *some, *islice(doubted, LOOK_UPS)}

    def compare(self, image: str, alone: str) -> None:
        """Take in a sample: a listing that a look at one image contradicts is not to be trusted."""
        self.incomplete = self.incomplete or self.contradiction(image, alone)

    def contradiction(self, image: str, state: str, alone: ImageShare | None = None) -> str:
        """Return how the listings show an image otherwise than a look at it alone; "" if not.

        What is listed in several states, or in none by a listing that is not whole, is not.
        """
        listed = self.images.get(image) or ImageShare(image, ABSENT if self.paged else "")
        if alone is not None and (why := facts_differ(listed, alone)):
            return why
        return "" if image in self.unclear else _contradiction(image, listed.state, state)

    def settle(self, project: str, image: str, found: ImageShare | str, contradiction: str) -> None:
        """Take in a look at one image, or the reason why there is none."""
        if isinstance(found, str):
            found = ImageShare(image, "", unread=found)
        elif found.visibility in NO_MEMBERS and found.owner != project:
            found = replace(found, state="", unread=_NOT_SHOWN.format(found.visibility))
        elif contradiction:
            found = replace(found, state="", unread=contradiction)
        elif found.state == ABSENT and found.owner != project:
            hidden = "listed in several states, and in none alone" if image in self.unclear else ""
            if unread := hidden or self.incomplete:
                found = replace(found, state="", unread=unread)
        self.images[image] = found
        self.single.add(image)


def read_member_shares(
    reader: Reader, clouds: Mapping[str, Cloud], wanted: Wanted, *, everything: bool = False,
    in_doubt: InDoubt = nothing_in_doubt,
) -> dict[str, ProjectShares]:  # fmt: skip
    """Return the wanted images as each project sees them, or everything that it sees as well.

    All listings are read, side by side. What is in none of them, or in several, is looked up; so is
    everything where a listing is not whole, or a look at one of the samples contradicts it.
    ``in_doubt`` tells on which listed shares a listing alone would decide.
    """
    resolved = reader.run("signing in", ((p, p, lambda p: clouds[p].resolve_api()) for p in wanted))
    signed_in = [project for project, _, _ in resolved]
    shares = {project: ProjectShares() for project in wanted}
    by_image = {p: wanted[p] for p in signed_in if clouds[p].acts_as}
    if by_image:
        shares |= _read_as_administrator(reader, clouds, by_image, in_doubt, everything=everything)
    apis = [project for project in signed_in if project not in by_image]

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
        """Return the wanted images that no listing shows as somebody else's."""
        return {p: {*wanted[p]} - shares[p].images.keys() | shares[p].own(p) & {*wanted[p]}
                for p in apis}  # fmt: skip

    list_all(apis, hidden=False)
    absent = missing()
    list_all([p for p in apis if everything or absent[p]], hidden=True)
    samples = {p: shares[p].samples(p, in_doubt) for p in apis if not shares[p].incomplete}
    for project, image, alone in reader.look_up(
        "comparing with single images", samples, lambda p, i: clouds[p].member_state(i, p)
    ):
        shares[project].compare(image, alone)
    if not everything:  # one image that nobody asked about may be there to compare with
        for project, of in shares.items():
            for image in of.images.keys() - {*wanted[project]}:
                del of.images[image]
    unseen = missing()
    for project, own in ((p, [*shares[p].own(p)]) for p in apis):
        unseen[project] |= {*random.sample(own, min(SAMPLES, len(own)))}
    look_up_unclear(reader, clouds, {p: shares[p] for p in apis}, unseen)
    return shares


def _read_as_administrator(
    reader: Reader, clouds: Mapping[str, Cloud], wanted: Wanted, in_doubt: InDoubt, *,
    everything: bool,
) -> dict[str, ProjectShares]:  # fmt: skip
    """Return the wanted images of projects that an administrator acts for, read image by image.

    Its listings are not those of the projects, but the members of an image are the same for all. It
    is believed that there is no share only if the cloud has shown it what an administrator alone is
    shown. Shares that nobody asked about are not read, so with ``everything`` no list is whole.
    """
    asked = _by_administrator(clouds, wanted)

    def look(first: str, image: str) -> tuple[ImageShare, ImageMembers] | None:
        cloud, ask = clouds[first], partial(reader.ask, first)
        found = cloud.find_image(image)
        if found is None:
            return None
        return found, members_of(cloud, found, asked[first][image], ask, in_doubt)

    looks = [*reader.look_up("reading members", asked, look)]
    shown = [
        (clouds[first].acts_as, *found) for first, _, found in looks if isinstance(found, tuple)
    ]
    trusted = {own for own, image, members in shown if _shows_others(own, image, members)}
    shares = {p: ProjectShares(incomplete=_ASKED_ONLY if everything else "") for p in wanted}
    for first, image, found in looks:
        own = clouds[first].acts_as
        for project in asked[first][image]:
            share = _share_of(project, image, found)
            if share.state == ABSENT and own not in {*trusted, share.owner}:
                share = replace(share, state="", unread=_SHOWS_OWN)
            shares[project].images[image] = share
            shares[project].single.add(image)
    failures = {} if reader.failures is None else reader.failures
    for first in asked.keys() & failures.keys():  # it was asked for all of them
        failures |= {p: failures[first] for projects in asked[first].values() for p in projects}
    return shares


def _by_administrator(
    clouds: Mapping[str, Cloud], wanted: Wanted
) -> dict[str, dict[str, list[str]]]:
    """Return for the first project of each administrator: each image, and who is asked about it."""
    asked: dict[str, dict[str, list[str]]] = {}
    first_of: dict[tuple[str, str], str] = {}
    for project, images in wanted.items():
        first = first_of.setdefault((clouds[project].name, clouds[project].acts_as), project)
        for image in images:
            asked.setdefault(first, {}).setdefault(image, []).append(project)
    return asked


def _share_of(
    project: str, image: str, found: tuple[ImageShare, ImageMembers] | str | None
) -> ImageShare:
    """Return the share of a project in what an image and its members were shown to be."""
    if found is None:
        return ImageShare(image, ABSENT)
    if isinstance(found, str):
        return ImageShare(image, "", unread=found)
    shown, members = found
    return replace(shown, state=members.state(project), unread=members.why_unread(project))


def _shows_others(own: str, image: ImageShare, members: ImageMembers) -> bool:
    """Return True if a project is shown another one as a member of an image that neither owns.

    A member is shown itself alone, and so is whoever is no administrator.
    """
    return image.owner != own and any(one.project_id != own for one in members.members)


def look_up_unclear(
    reader: Reader, clouds: Mapping[str, Cloud], shares: Mapping[str, ProjectShares],
    missing: Wanted,
) -> None:  # fmt: skip
    """Look up images of some projects: those that no listing has, and all that are unclear.

    A listing that one of them contradicts may be wrong about others.
    """
    unseen = {p: {*ids} | shares[p].unclear_to(p) - shares[p].single for p, ids in missing.items()}
    label = "looking up single images"
    looks = [
        (project, image, found, shares[project].contradiction(image, *_facts(project, found)))
        for project, image, found in reader.look_up(label, unseen, lambda p, i: clouds[p].share(i))
    ]
    for project, _, _, why in looks:
        shares[project].incomplete = shares[project].incomplete or why
    for project, image, found, why in looks:
        shares[project].settle(project, image, found, why)


def _facts(project: str, found: ImageShare | str) -> tuple[str, ImageShare | None]:
    """Return what a look at one image shows, with its state: none of own and public ones."""
    if isinstance(found, str):
        return "", None
    stateless = found.owner == project or found.visibility in NO_MEMBERS
    return "" if stateless else found.state, found


def facts_differ(listed: ImageShare, alone: ImageShare) -> str:
    """Return how a list shows an image as that of another owner, or as public; "" if not so."""
    owners = {listed.owner, alone.owner} - {""}
    kinds = {one.visibility in NO_MEMBERS for one in (listed, alone) if one.visibility}
    if len(owners) > 1 or len(kinds) > 1:
        said, shown = (f"owner {one.owner}, {one.visibility}" for one in (listed, alone))
        return f"the list says of {listed.image_id}: {said}; a look at it alone: {shown}"
    return ""


def _contradiction(name: str, listed: str, alone: str) -> str:
    """Return how a look at one share contradicts a list; "" if one of them says nothing."""
    if alone not in (*MEMBER_STATES, ABSENT) or listed in ("", alone):
        return ""
    return (
        f"the list says {listed} of {name}, and a look at it alone {alone}: one of them is wrong, "
        "or from the past"
    )


def _list(
    cloud: Cloud, wanted: Collection[str] | None, state: str, *, hidden: bool
) -> tuple[dict[str, ImageShare], str]:
    """Return the listed images, of those that are wanted, and why the list may lack some.

    A list that is not whole is read once more, since it may have changed in between. The first
    image is always among them, so that a look at it alone can be compared.
    """

    def listed() -> Iterator[ImageShare]:
        compared = False
        for share in cloud.shares(state, hidden=hidden):
            foreign = share.owner != cloud.project_id
            if wanted is None or share.image_id in wanted or (foreign and not compared):
                yield share
            compared = compared or foreign

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
    except (IncompleteListError, NotShownError) as error:
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
    listed: Mapping[str, str] = field(default_factory=dict)

    def state(self, project: str) -> str:
        """Return the state of the share with a project."""
        return self.states.get(project, ABSENT if self.whole else "")

    def why_unread(self, project: str) -> str:
        """Return why the state of the share with a project could not be read; "" if it was."""
        return "" if self.state(project) else self.reasons.get(project, self.unread)


def read_members(
    reader: Reader, label: str, clouds: Mapping[str, Cloud],
    images: Mapping[str, Mapping[str, ImageShare]], asked: Mapping[str, Collection[str]],
    in_doubt: InDoubt = nothing_in_doubt, *, everything: bool = False,
) -> dict[str, dict[str, ImageMembers]]:  # fmt: skip
    """Return the members of the images of each owner.

    ``asked`` maps images to the projects whose shares are asked about: these are looked up one by
    one if a list of members lacks them, because Glance's list of members has no pages, so a list
    that a cloud has cut off looks like a whole one. ``in_doubt`` tells on which listed shares a
    list alone would decide: they are looked up, too. Of those that nobody looks at alone, samples
    are; if one contradicts its list, every share of this owner is.
    """

    def read(owners: Mapping[str, str]) -> Iterator[tuple[str, str, ImageMembers]]:
        def one(owner: str, image: str) -> ImageMembers:
            ask, share = partial(reader.ask, owner), images[owner][image]
            about = asked.get(image, ())
            return members_of(clouds[owner], share, about, ask, in_doubt, owners[owner])

        calls = ((owner, i, partial(one, owner)) for owner in owners for i in images[owner])
        return reader.run(label, calls)

    def look(owner: str, pair: tuple[str, str]) -> str:
        return clouds[owner].member_state(*pair)

    members: dict[str, dict[str, ImageMembers]] = {owner: {} for owner in images}
    for owner, image, found in read(dict.fromkeys(images, "")):
        members[owner][image] = found
    samples = {}
    for owner, lists in members.items():
        listed = {(i, p): state for i, found in lists.items() for p, state in found.listed.items()}
        missing = _some_missing(lists, {*clouds} - {owner}) if everything else {}
        samples[owner] = _some(listed) | missing
    looks = (
        (owner, pair, partial(reader.ask, owner, partial(look, owner)))
        for owner, pairs in samples.items() for pair in pairs
    )  # fmt: skip
    contradicted = {}
    for owner, (image, project), alone in reader.run("comparing with single members", looks):
        if why := _contradiction(project, samples[owner][image, project], alone):
            contradicted[owner] = f"{image}: {why}"
    for owner, image, found in read(contradicted):
        members[owner][image] = found
    return members


def _some(listed: Mapping[T, str]) -> dict[T, str]:
    """Return samples of what lists show: one of each state, and some at random."""
    firsts = {state: one for one, state in listed.items()}.values()
    some = random.sample([*listed], min(SAMPLES, len(listed)))
    return {one: listed[one] for one in (*firsts, *some)}


def _some_missing(
    lists: Mapping[str, ImageMembers], projects: set[str]
) -> dict[tuple[str, str], str]:
    """Return shares that whole lists lack, with projects that their owner may share with."""
    projects = projects.union(*(found.listed for found in lists.values()))
    lacking = {i: projects - found.states.keys() for i, found in lists.items() if found.whole}
    some = random.sample(images := [i for i in lacking if lacking[i]], min(SAMPLES, len(images)))
    return {(image, random.choice([*lacking[image]])): ABSENT for image in some}  # noqa: S311 - no secret


def members_of(
    cloud: Cloud, image: ImageShare, asked: Collection[str], ask: Callable[..., Any],
    in_doubt: InDoubt = nothing_in_doubt, contradicted: str = "",
) -> ImageMembers:  # fmt: skip
    """Return the members of an own image, by :meth:`Reader.ask`; see :func:`read_members`.

    With ``contradicted``, why a list of this owner is not to be trusted, all listed are looked up.
    """
    closed = NO_MEMBERS if cloud.resolve_api() == "batch" else NO_MEMBERS | {"private"}
    if image.visibility in closed:  # nobody is asked for what cannot be
        why = _NOT_SHOWN.format(image.visibility)
        open_states, reasons = dict.fromkeys(asked, ""), dict.fromkeys(asked, why)
        return ImageMembers(states=open_states, reasons=reasons, whole=False)
    listed = ask(cloud.members, image.image_id)
    members, incomplete = ([], listed) if isinstance(listed, str) else (listed, contradicted)
    states = {member.project_id: member.state for member in members}
    listed_states = {project: state for project, state in states.items() if state}
    unread = incomplete or (_UNKNOWN_STATE if "" in states.values() else "")
    reasons = {}
    for project in {*asked, *(states if contradicted else ())}:
        shown = states.get(project, "" if incomplete else ABSENT)
        doubted = contradicted or in_doubt(project, replace(image, state=shown))
        if shown in MEMBER_STATES and not doubted:
            continue
        listed_states.pop(project, "")
        found = ask(cloud.member_state, image.image_id, project)
        if found == ABSENT and not shown:
            found = unread
        found = _contradiction(project, shown, found) or found
        known = found in (*MEMBER_STATES, ABSENT)
        states[project] = found if known else ""
        if not known:
            reasons[project] = found
    unread = unread or next(iter(reasons.values()), "")
    return ImageMembers(tuple(members), states, reasons, unread, not unread, listed_states)


def projects_by_image(pairs: pd.DataFrame) -> dict[str, list[str]]:
    """Return the projects that each image of some shares is asked about with."""
    if pairs.empty:
        return {}
    return {str(image): ids.tolist() for image, ids in pairs.groupby("image_id")["project_id"]}


def share_record(project: str, share: ImageShare) -> tuple[str, str, str, str, str, str]:
    """Return ``project_id, image_id, state, owner, name, whole_image`` of a frame."""
    whole = "" if share.whole_image is None else str(share.whole_image).lower()
    return project, share.image_id, share.state, share.owner, share.name, whole
