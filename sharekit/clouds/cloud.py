"""The client of one project on one cloud: listings, lookups, changes and jobs.

The batch call (``PUT /v1/cloudimages/members``) is used where the cloud has it, the native call
(``PUT /v2/images/{image}/members/{project}``) elsewhere; no caller depends on which.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from sharekit.core.actions import ABSENT
from sharekit.core.cloud_api import JOB_DONE, JOB_FAILED, PAGE_SIZE, VAULT_PAGE_SIZE
from sharekit.core.errors import CloudError, CloudRefusedError

from . import responses
from .api_calls import Call, batch_call, is_noop, native_calls
from .http import Reply, Transport
from .responses import sanitize, sanitize_name, validated

#: Images of one listing. No project is shared so many: a longer listing would never end.
_MAX_LISTED: Final = 5_000_000


@dataclass(frozen=True)
class ImageShare:
    """An image as a project sees it; ``whole_image`` = full-ECS, ``size`` in GB (0 unknown).

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


@dataclass(frozen=True)
class Member:
    """A project that an image is shared with, as the owner sees it; times in the cloud's format."""

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
    """The cloud accepted a changing request: ``job_id`` (batch), or the new ``state`` (native)."""

    http: int
    request_id: str
    job_id: str = ""
    state: str = ""


@dataclass(frozen=True)
class JobState:
    """The state of a job: ``done``, ``failed``, or neither while it runs.

    ``results`` maps image IDs to True (done) or False (failed); it is empty where the cloud names
    no images. ``pairs`` does the same for each ``(image, project)`` that the cloud names together.
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

    ``warnings`` name what is less safe than it should be, by the user's own settings.
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
    warnings: tuple[str, ...] = ()
    _api_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    # -- reading -------------------------------------------------------------------------------
    def shares(self, state: str, *, hidden: bool = False) -> Iterator[ImageShare]:
        """List every image shared with this project that is in a state, page by page.

        ``hidden`` images (``os_hidden``) are in no other listing; IMS does not know them. The
        project's own images are listed too (both APIs show them as ``pending``); their ``owner``
        is the project.
        """
        if self.resolve_api() == "batch":
            url = f"{self.ims}/v2/cloudimages"
            extra: dict[str, object] = {"__imagetype": "shared"}
        else:
            url = f"{self.image}/v2/images"
            extra = {"os_hidden": "true"} if hidden else {}
        params = {"member_status": state, "visibility": "shared", "limit": PAGE_SIZE, **extra}
        for page in self._pages(url, params):
            for image in page:
                yield _share(image, state)

    def owned(self) -> Iterator[ImageShare]:
        """List every image of this project's own that is shared or could be, page by page.

        IMS lists all private images, Glance those with ``visibility=shared``, hidden ones last.
        Their ``state`` is ``""``: a project is no member of its own images.
        """
        if self.resolve_api() == "batch":
            listings = [(f"{self.ims}/v2/cloudimages", {"__imagetype": "private"})]
        else:
            url, shared = f"{self.image}/v2/images", {"visibility": "shared"}
            listings = [(url, shared), (url, {**shared, "os_hidden": "true"})]
        for url, extra in listings:
            params = {"owner": self.project_id, "limit": PAGE_SIZE, **extra}
            for page in self._pages(url, params):
                yield from (_share(i, "") for i in page if i.get("owner") == self.project_id)

    def members(self, image_id: str) -> list[Member]:
        """List the projects that an image is shared with; all of them only for its owner.

        Raises
        ------
        CloudRefusedError
            404 where the project does not see the image; 403 where it is a public one.
        """
        url = f"{self.image}/v2/images/{image_id}/members"
        body = validated(self.transport.read(url).body, responses.Members, url)
        return [
            Member(
                project_id=member["member_id"],
                state=member["status"],
                created_at=member.get("created_at") or "",
                updated_at=member.get("updated_at") or "",
            )
            for member in body["members"]
        ]

    def _pages(self, url: str, params: dict[str, object]) -> Iterator[list[Mapping[str, Any]]]:
        listed: set[str] = set()
        while True:
            body = validated(self.transport.read(url, **params).body, responses.Page, url)
            page = [image for image in body["images"] if image["id"] not in listed]
            yield page
            if not page:
                return
            listed.update(image["id"] for image in page)
            if len(listed) > _MAX_LISTED:
                raise CloudError(f"{url} lists more than {_MAX_LISTED:,} images: it does not end.")
            if following := body.get("next"):
                # `next` is relative, and has the parameters in it.
                of_ims = url.startswith(f"{self.ims}/v2/cloudimages")
                url, params = _next_page(self.ims if of_ims else self.image, following), {}
            elif params and len(body["images"]) >= PAGE_SIZE:
                params = {**params, "marker": page[-1]["id"]}
            else:
                return

    def share(self, image_id: str) -> ImageShare:
        """Look one image up: its member state, or ``absent``, and its owner where visible."""
        url = f"{self.image}/v2/images/{image_id}"
        member = self._read_visible(f"{url}/members/{self.project_id}", responses.Membership)
        state = ABSENT if member is None else str(member["status"])
        image = self._read_visible(url, responses.Image)
        return _share({**(image or {}), "id": image_id}, state)

    def _read_visible(self, url: str, kind: Any) -> Mapping[str, Any] | None:
        """Return a response; None where the project does not see what it asks about."""
        try:
            return validated(self.transport.read(url).body, kind, url)
        except CloudRefusedError as refusal:
            if refusal.http not in (403, 404):
                raise
            return None

    def vaults(self) -> list[Vault] | None:
        """List the project's backup vaults (CBR-vaults); None where there is no such service."""
        if not self.cbr:
            return None
        vaults: list[Vault] = []
        while True:
            body = self.transport.read(
                f"{self.cbr}/vaults", limit=VAULT_PAGE_SIZE, offset=len(vaults)
            ).body
            page = validated(body, responses.Vaults, self.cbr)["vaults"]
            vaults += [_vault(vault) for vault in page]
            if len(page) < VAULT_PAGE_SIZE:
                return vaults

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
            state = f"already done: {sanitize(refusal)}"
            return Accepted(refusal.http, refusal.request_id, state=state)
        accepted = validated(reply.body, responses.Changed, url)
        job_id, state = accepted.get("job_id") or "", sanitize(accepted.get("status") or "")
        return Accepted(reply.http, reply.request_id, job_id, state)

    def job(self, job_id: str) -> JobState:
        """Read the state of a job, from the endpoint that this cloud has (IMS-job)."""
        if self.job_api != "progress":
            try:
                return _job(self.transport.get(f"{self.ims}/v1/{self.project_id}/jobs/{job_id}"))
            except CloudRefusedError as refusal:
                if refusal.http != 404 or self.job_api == "results":
                    raise
        state = _job(self.transport.get(f"{self.ims}/v1/cloudimages/job/{job_id}"))
        self.job_api = "progress"
        return state


def _next_page(base: str, link: str) -> str:
    """Return the URL of the next page; raise CloudError if the token must not go there."""
    url = urljoin(f"{base}/", link.lstrip("/"))
    if urlsplit(url)[:2] != urlsplit(base)[:2]:
        raise CloudError(
            f"{base} continues its list at {sanitize(url)}, which is another server: the token is "
            "not sent there. Check the endpoint."
        )
    return url


def _share(image: Mapping[str, Any], state: str) -> ImageShare:
    whole = image.get("__whole_image")
    return ImageShare(
        image_id=str(image["id"]),
        state=state,
        owner=str(image.get("owner") or ""),
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
        vault_id=str(vault["id"]),
        name=str(vault.get("name", "")),
        object_type=str(billing.get("object_type", "")),
        protect_type=str(billing.get("protect_type", "")),
        status=str(billing.get("status", "")),
        # CBR-limits: a vault that is already full no longer grows.
        free=math.inf if vault.get("auto_expand") is True and free > 0 else free,
        resources=len(resources) if isinstance(resources, list) else -1,
    )


def _job(reply: Reply) -> JobState:
    body = validated(reply.body, responses.Job, "the job's URL")
    status = str(body["status"])
    entities = body.get("entities") or {}
    results, pairs = {}, {}
    for result in entities.get("results") or []:
        if image := result.get("image_id"):
            results[image] = str(result.get("status", "")).lower() not in JOB_FAILED
            if project := result.get("project_id"):
                pairs[image, project] = results[image]
    code = body.get("error_code") or entities.get("error_code") or ""
    reason = body.get("fail_reason") or entities.get("addition_error_msg") or ""
    return JobState(
        done=status.lower() in JOB_DONE,
        failed=status.lower() in JOB_FAILED,
        status=sanitize(status),
        code=sanitize_name(code),
        reason=sanitize(reason),
        results=results,
        pairs=pairs,
    )
