"""The client of one project on one cloud: listings, lookups, changes and jobs.

The batch call (``PUT /v1/cloudimages/members``) is used where the cloud has it, the native call
(``PUT /v2/images/{image}/members/{project}``) elsewhere; no caller depends on which.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from sharekit.core.actions import ABSENT, MEMBER_STATES
from sharekit.core.cloud_api import (
    JOB_DONE,
    JOB_FAILED,
    PAGE_SIZE,
    VAULT_PAGE_SIZE,
    Remedy,
    remedy,
)
from sharekit.core.errors import (
    CloudError,
    CloudRefusedError,
    IncompleteListError,
    NoResponseError,
    NotShownError,
    RedirectedError,
    TokenRefusedError,
    UnfitResponseError,
)
from sharekit.core.monitoring.logs import redact

from . import responses
from .api_calls import Call, batch_call, is_noop, native_calls
from .responses import sanitize, sanitize_name, validated

if TYPE_CHECKING:  # what reads a ledger needs no HTTP
    from .http import Reply, Transport

#: Images of one listing. No project is shared so many: a longer listing would never end.
_MAX_LISTED: Final = 5_000_000
#: Pages in a row that show nothing new before a list counts as one that does not end.
_MAX_IDLE_PAGES: Final = 20
#: Visibilities of images that have no members, whatever a cloud says when it is asked for them.
NO_MEMBERS: Final = frozenset({"public", "community"})
#: What follows a refusal that says nothing of what was asked for.
UNANSWERED: Final = frozenset({Remedy.RETRY, Remedy.WAIT, Remedy.SIGN_IN})


@dataclass(frozen=True)
class _List:
    """How the API lists something: its type, its key, the name of an ID, and how it goes on.

    ``resume`` is the parameter that asks for what follows on a page without ``next``; ``""`` where
    the API has no pages.
    """

    kind: Any
    items: str
    id: str
    resume: str


_IMAGES: Final = _List(responses.Page, "images", "id", "marker")
_VAULTS: Final = _List(responses.Vaults, "vaults", "id", "offset")
_MEMBERS: Final = _List(responses.Members, "members", "member_id", "")


@dataclass(frozen=True)
class ImageShare:
    """An image as a project sees it; ``whole_image`` = full-ECS, ``size`` in GB (0 unknown).

    ``state`` is ``""`` where it could not be read, and ``unread`` says why.
    ``size`` is ``min_disk``: for a full-ECS image the system disk alone, because no listing shows
    its data disks (IMS-guide). ``created_at`` is the image's; that of the share is in its
    :class:`Member`. ``key`` is the ID of the key it is encrypted with (IMS), ``""`` for none.
    """

    image_id: str
    state: str
    owner: str = ""
    name: str = ""
    whole_image: bool | None = None
    size: int = 0
    created_at: str = ""
    visibility: str = ""
    key: str = ""
    unread: str = ""


@dataclass(frozen=True)
class Member:
    """A project that an image is shared with, as the owner sees it; times in the cloud's format.

    ``state`` is ``""`` if the cloud names none that the API knows.
    """

    project_id: str
    state: str
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class Vault:
    """A backup vault; ``free`` GB are left, it has ``resources`` servers (-1 unknown).

    A vault that grows by itself (``auto_expand``) and is not full yet has ``inf`` GB left.
    """

    vault_id: str
    name: str
    object_type: str
    protect_type: str
    status: str
    free: float
    resources: int = -1


@dataclass(frozen=True)
class Accepted:
    """The cloud accepted a changing request: ``job_id`` (batch), or the new ``state`` (native).

    ``noop`` is what it said if it responded with an error that usually means that there was nothing
    to change.
    """

    http: int
    request_id: str
    job_id: str = ""
    state: str = ""
    noop: str = ""


@dataclass(frozen=True)
class JobState:
    """The state of a job: ``done``, ``failed``, or neither while it runs.

    ``results`` maps image IDs to True (done) or False (failed), where the cloud names an image
    alone; ``pairs`` does the same for each ``(image, project)`` that it names together.
    """

    done: bool
    failed: bool
    status: str
    code: str = ""
    reason: str = ""
    results: Mapping[str, bool] = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], bool] = field(default_factory=dict)


@dataclass
class Cloud:
    """The client of one project; safe to use from several threads.

    ``project_name`` is what ``named_by`` calls the project (:data:`~.frame_schemas.NAMED_BY`), and
    ``warnings`` name what is less safe than it should be, by the user's own settings. If an
    administrator acts for the project, ``acts_as`` is the project that it has signed in to.
    """

    name: str
    project_id: str
    region: str
    ims: str
    image: str
    cbr: str
    transport: Transport = field(repr=False)
    api: str = "auto"
    job_api: str = "auto"
    account: str = ""
    project_name: str = ""
    named_by: str = ""
    warnings: tuple[str, ...] = ()
    acts_as: str = ""
    _api_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.transport.beside = self._listing

    @property
    def service(self) -> str:
        """The host of its image service, which the projects of a region have in common."""
        return urlsplit(self.ims or self.image).netloc

    def acting_for(self, project_id: str) -> Cloud:
        """Return the client by which this sign-in, an administrator's, acts for a project.

        Only Glance is known to allow that, so it uses the native call, and no backup service.
        """
        return replace(
            self, project_id=project_id, acts_as=self.project_id, api="native", cbr="",
            project_name="", named_by="",
        )  # fmt: skip

    # -- reading -------------------------------------------------------------------------------
    def shares(self, state: str, *, hidden: bool = False) -> Iterator[ImageShare]:
        """List every image shared with this project that is in a state, page by page.

        ``hidden`` images (``os_hidden``) are in no other listing, and only Glance lists them. The
        project's own images are listed too (both APIs show them as ``pending``); their ``owner``
        is the project.
        """
        if hidden or self.resolve_api() == "native":
            url = f"{self.image}/v2/images"
            extra: dict[str, object] = {"os_hidden": "true"} if hidden else {}
        else:
            url, extra = f"{self.ims}/v2/cloudimages", {"__imagetype": "shared"}
        params = {"member_status": state, "visibility": "shared", "limit": PAGE_SIZE, **extra}
        for image in self._list(url, params, _IMAGES):
            # A cloud that ignores the visibility lists public images: nobody shares those.
            if image.get("visibility") not in NO_MEMBERS:
                yield _share(image, state)

    def owned(self) -> Iterator[ImageShare]:
        """List every image of this project's own that is shared or could be, page by page.

        IMS lists all private images, Glance those with ``visibility=shared``, hidden ones last.
        Their ``state`` is ``""``: a project is no member of its own images. A cloud may list those
        of other owners as well.
        """
        if self.resolve_api() == "batch":
            listings = [(f"{self.ims}/v2/cloudimages", {"__imagetype": "private"})]
        else:
            url, shared = f"{self.image}/v2/images", {"visibility": "shared"}
            listings = [(url, shared), (url, {**shared, "os_hidden": "true"})]
        for url, extra in listings:
            params = {"owner": self.project_id, "limit": PAGE_SIZE, **extra}
            yield from (_share(image, "") for image in self._list(url, params, _IMAGES))

    def members(self, image_id: str) -> list[Member]:
        """List the projects that an image is shared with; all of them only for its owner.

        Raises
        ------
        CloudRefusedError
            404 where the project does not see the image; 403 where it is a public one.
        UnfitResponseError
            If the list is that of another image.
        """
        url = f"{self.image}/v2/images/{image_id}/members"
        found: dict[str, Member] = {}
        for item in self._list(url, {}, _MEMBERS):
            _check_subject(url, image_id, item.get("image_id"))
            member = _member(item)
            found[member.project_id] = member
        return list(found.values())

    def member_state(self, image_id: str, project_id: str) -> str:
        """Look up the state of one share; ``absent`` if the cloud responds 404.

        That alone does not tell that there is no share: Glance also responds 404 to whoever may
        not look.
        """
        url = f"{self.image}/v2/images/{image_id}/members/{project_id}"
        found = self._find(url, responses.Membership)
        if found is None:
            return ABSENT
        _check_subject(url, image_id, found.get("image_id"))
        _check_subject(url, project_id, found.get("member_id"))
        if not (state := _state(found)):
            raise UnfitResponseError(f"{url} names a state that the API does not know.")
        return state

    def find_image(self, image_id: str) -> ImageShare | None:
        """Look one image up; None if the cloud responds 404. Its ``state`` is ``""``."""
        url = f"{self.image}/v2/images/{image_id}"
        image = self._find(url, responses.Image)
        if image is None:
            return None
        _check_subject(url, image_id, image.get("id"))
        return _share({**image, "id": image_id}, "")

    def share(self, image_id: str) -> ImageShare:
        """Look one image up with its state: ``absent`` if the cloud responds 404 to the project.

        Only beside whole listings does a 404 tell that there is no share. A public image has no
        state to ask for: it is ``absent``.

        Raises
        ------
        UnfitResponseError
            If it is called the project's own, and shared with the project as well.
        """
        image = self.find_image(image_id) or ImageShare(image_id, "")
        if image.visibility in NO_MEMBERS:
            return replace(image, state=ABSENT)
        state = self.member_state(image_id, self.project_id)
        if image.owner == self.project_id and state != ABSENT:
            raise UnfitResponseError(f"{image_id} is called the project's own, and {state} by it.")
        return replace(image, state=state)

    def vaults(self) -> Iterator[Vault]:
        """List the project's backup vaults (CBR-vaults), page by page."""
        params = {"limit": VAULT_PAGE_SIZE, "offset": 0}
        return map(_vault, self._list(f"{self.cbr}/vaults", params, _VAULTS))

    def vault(self, vault_id: str) -> Vault | None:
        """Look one vault up; None if the cloud responds 404."""
        url = f"{self.cbr}/vaults/{vault_id}"
        found = self._find(url, responses.VaultAlone)
        if found is None:
            return None
        _check_subject(url, vault_id, found["vault"]["id"])
        return _vault(found["vault"])

    def _find(self, url: str, kind: Any) -> Mapping[str, Any] | None:
        """Return a response; None if it is 404."""
        try:
            return self._get(url, kind)
        except CloudRefusedError as refusal:
            if refusal.http != 404:
                raise
            return None

    def _get(self, url: str, kind: Any, **params: object) -> Mapping[str, Any]:
        """Return a response of a type.

        Raises
        ------
        NotShownError
            If there is no useful one, however often it is asked for, while the service has one to
            another request: the cloud is not down, and nothing is said of the caller.
        """
        try:
            return validated(self.transport.read(url, **params).body, kind, url)
        except CloudError as error:
            if not _may_concern_one(error) or not self._is_up(url):
                raise
            raise NotShownError(str(error)) from None

    def _is_up(self, url: str) -> bool:
        """Return True if the service at a URL has a useful response to the smallest listing."""
        listing = self._listing(url)
        try:
            validated(self.transport.read(listing, limit=1).body, responses.Page, listing)
        except CloudError as error:
            return not _may_concern_one(error) and isinstance(error, CloudRefusedError)
        return True

    def _listing(self, url: str) -> str:
        """Return the address of the listing that tells if the service at a URL is up."""
        ims = f"{self.ims}/v2/cloudimages"
        return ims if url.startswith(ims) else f"{self.image}/v2/images"

    def _list(
        self, url: str, params: Mapping[str, object], form: _List
    ) -> Iterator[Mapping[str, Any]]:
        """Yield each item of a list once, page by page, to an empty page without ``next``.

        Raises
        ------
        IncompleteListError
            After the last item that was shown, if the list does not show that it is whole: pages
            repeat items or never end, hold one item each, so that they show no order, or one of
            them cannot be read.
        """
        seen: set[str] = set()
        gap, idle, overlap, last, at, query = "", 0, "", False, url, params
        while True:
            try:
                body = self._get(at, form.kind, **query)
            except (CloudRefusedError, NotShownError) as error:
                if not seen:
                    raise
                raise IncompleteListError(f"{url} is not shown in full: {error}") from None
            items = {str(item[form.id]).lower(): item for item in body[form.items]}
            shown = list(items)
            following = body.get("next")
            moved = overlap and (shown or not following) and shown[:1] != [overlap]
            if moved or (last and shown):
                gap = gap or f"{url} changes its order, so it may lack items."
            again = any(key in seen and key != overlap for key in shown)
            if again or len(items) < len(body[form.items]):
                gap = gap or f"{url} lists items twice, so it may lack others."
            new = [key for key in shown if key not in seen]
            yield from (items[key] for key in new)
            seen.update(new)
            idle = 0 if new else idle + 1
            if idle > _MAX_IDLE_PAGES or len(seen) > _MAX_LISTED:
                raise IncompleteListError(f"{url} does not end ({len(seen):,} items so far).")
            if following:
                # `next` is relative, and has the parameters in it.
                at, query = _next_page(self._base(url), following), {}
                overlap, last = "" if shown else overlap, False
            elif form.resume and (new or (overlap and shown)):
                # The next page is to begin with the last item: only then the order is the same.
                # After a page of one item nothing is to follow.
                step = 1 if new and len(shown) > 1 else 0
                overlap, last = shown[-1] if step else "", not step
                resume = len(seen) - step if form.resume == "offset" else shown[-1 - step]
                at, query = url, {**params, form.resume: resume}
            else:
                break
        if gap or (body.get("count") or 0) > len(seen):
            raise IncompleteListError(gap or f"{url} counts more items than it lists.")

    def _base(self, url: str) -> str:
        """Return the address that the links of a list are relative to."""
        return self.ims if url.startswith(f"{self.ims}/v2/cloudimages") else self.image

    # -- changing ------------------------------------------------------------------------------
    def resolve_api(self) -> str:
        """Return ``batch`` or ``native``; with ``auto``, ask the cloud once."""
        with self._api_lock:
            if self.api == "auto":
                try:
                    self.transport.read(f"{self.ims}/v2/cloudimages", limit=1)
                    self.api = "batch"
                except CloudRefusedError as refusal:
                    if refusal.http != 404:
                        raise
                    self.api = "native"
            return self.api

    def mark_batch_missing(self) -> None:
        """Remember that the cloud has no batch call, so that every image is sent alone."""
        with self._api_lock:
            self.api = "native"

    def call_for(self, chunk: Mapping[str, Any], *, native: bool) -> Call:
        """Return the call for a chunk: a batch, or the native call if it has a single share."""
        return next(native_calls(chunk, self.image)) if native else batch_call(chunk, self.ims)

    def send(self, call: Call, token: str) -> Accepted:
        """Send one changing call, once, with a token.

        Raises
        ------
        CloudRefusedError
            If the cloud responded with an error.
        NoResponseError
            If no usable response came.
        """
        method, url, body = call
        try:
            reply = self.transport.call(method, url, body=body, token=token)
        except CloudRefusedError as refusal:
            if not is_noop(call, refusal.http):
                raise
            why = f"the cloud responded HTTP {refusal.http}, maybe as there was nothing to change"
            noop = f"{why}: {sanitize(refusal)}"
            return Accepted(refusal.http, refusal.request_id, noop=noop)
        accepted = validated(reply.body, responses.Changed, url)
        if "image_id" in accepted or "member_id" in accepted:
            image_id, _, project_id = url.rpartition("/v2/images/")[2].partition("/members")
            _check_subject(url, image_id, accepted.get("image_id"))
            asked = project_id.lstrip("/") or str((body or {}).get("member") or "")
            _check_subject(url, asked, accepted.get("member_id"))
        job_id, state = accepted.get("job_id") or "", sanitize(accepted.get("status") or "")
        return Accepted(reply.http, reply.request_id, job_id, state)

    def job(self, job_id: str) -> JobState:
        """Read the state of a job, from the endpoint that this cloud has (IMS-job)."""
        if self.job_api != "progress":
            try:
                url = f"{self.ims}/v1/{self.project_id}/jobs/{job_id}"
                return _job(self.transport.get(url), url, job_id)
            except CloudRefusedError as refusal:
                if refusal.http != 404 or self.job_api == "results":
                    raise
        url = f"{self.ims}/v1/cloudimages/job/{job_id}"
        state = _job(self.transport.get(url), url, job_id)
        self.job_api = "progress"
        return state


def _may_concern_one(error: CloudError) -> bool:
    """Return True for an error that is no answer, and may be about what was asked for alone.

    A service that cannot be reached, or a sign-in that fails, is about everything.
    """
    if isinstance(error, CloudRefusedError):
        return remedy(error.code, error.http) in UNANSWERED
    if isinstance(error, NoResponseError):
        return error.sent
    return isinstance(error, (RedirectedError, TokenRefusedError))


def _next_page(base: str, link: str) -> str:
    """Return the URL of the next page; raise IncompleteListError if that is another server."""
    url = urljoin(f"{base}/", link.lstrip("/"))
    if urlsplit(url)[:2] != urlsplit(base)[:2]:
        raise IncompleteListError(
            f"{base} continues its list at {redact(sanitize(url))}, which is another server: the "
            "token is not sent there. Check the endpoint."
        )
    return url


def _check_subject(url: str, asked: str, named: object) -> None:
    """Raise UnfitResponseError if a response names something else than it was asked about."""
    if named is not None and str(named).lower() != asked.lower():
        raise UnfitResponseError(f"{url} responded about {sanitize_name(named)}.")


def _state(member: Mapping[str, Any]) -> str:
    """Return the state of a share, ``""`` for a word that the API does not know."""
    state = str(member["status"]).lower()
    return state if state in MEMBER_STATES else ""


def _member(member: Mapping[str, Any]) -> Member:
    return Member(
        project_id=str(member["member_id"]).lower(),
        state=_state(member),
        created_at=member.get("created_at") or "",
        updated_at=member.get("updated_at") or "",
    )


def _share(image: Mapping[str, Any], state: str) -> ImageShare:
    whole = image.get("__whole_image")
    return ImageShare(
        image_id=str(image["id"]).lower(),
        state=state,
        owner=str(image.get("owner") or "").lower(),
        name=str(image.get("name") or ""),
        whole_image=None if whole is None else str(whole).lower() == "true",
        size=int(image.get("min_disk") or 0),
        created_at=str(image.get("created_at") or ""),
        visibility=sanitize_name(image.get("visibility") or ""),
        key=sanitize_name(image.get("__system__cmkid") or ""),
    )


def _vault(vault: Mapping[str, Any]) -> Vault:
    billing = vault.get("billing") or {}
    free = float(billing.get("size") or 0) - float(billing.get("used") or 0) / 1024
    resources = vault.get("resources")
    return Vault(
        vault_id=str(vault["id"]).lower(),
        name=str(vault.get("name", "")),
        object_type=str(billing.get("object_type", "")),
        protect_type=str(billing.get("protect_type", "")),
        status=str(billing.get("status", "")),
        # CBR-limits: a vault that is already full no longer grows.
        free=math.inf if vault.get("auto_expand") is True and free > 0 else free,
        resources=len(resources) if isinstance(resources, list) else -1,
    )


def _job(reply: Reply, url: str, job_id: str) -> JobState:
    body = validated(reply.body, responses.Job, url)
    _check_subject(url, job_id, body.get("job_id") or None)
    status = str(body["status"])
    entities = body.get("entities") or {}
    results, pairs = _results(entities.get("results") or [])
    code = body.get("error_code") or entities.get("error_code") or ""
    reason = body.get("fail_reason") or entities.get("addition_error_msg") or ""
    return JobState(
        done=status.lower() in JOB_DONE,
        failed=status.lower() in JOB_FAILED,
        status=sanitize(status),
        code=sanitize_name(code),
        reason=redact(sanitize(reason)),
        results=results,
        pairs=pairs,
    )


def _results(
    reported: list[Mapping[str, Any]],
) -> tuple[dict[str, bool], dict[tuple[str, str], bool]]:
    """Return what a job says of images, and of images with their project.

    Words that the API does not know say nothing, nor does a share that both failed and succeeded.
    """
    words: dict[tuple[str, str], set[bool]] = {}
    for result in reported:
        word = str(result.get("status") or "").lower()
        if (image := result.get("image_id")) and word in JOB_DONE | JOB_FAILED:
            key = image.lower(), str(result.get("project_id") or "").lower()
            words.setdefault(key, set()).add(word in JOB_DONE)
    clear = {key: said.pop() for key, said in words.items() if len(said) == 1}
    return (
        {image: good for (image, project), good in clear.items() if not project},
        {key: good for key, good in clear.items() if key[1]},
    )
