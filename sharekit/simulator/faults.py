"""Fault injection: what goes wrong in the simulated cloud, and how often."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from sharekit.core.errors import InputError

#: A probability for each request, job or image.
Rate = float


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and how often; nothing by default.

    Rates are probabilities from 0 to 1 for each request, job or image; times are seconds.
    Sign-in suffers only ``latency``, unless ``affect_sign_in`` is 1.

    Attributes
    ----------
    latency, slow_read
        Seconds before every response, and further seconds before every response to a GET.
    latency_per_request
        Further seconds before every response for each other request that is under way.
    max_concurrent
        Number of requests that may be under way at once; further ones get 429. 0: no limit.
    p503, p500, p429
        Refused before any work; ``retry_after`` > 0 adds that header to 503 and 429.
    flow_control
        The batch PUT is refused with 400 IMG.0060: too many tasks.
    cut_before, cut_after
        The connection closes without a response, before or after the work was done.
    garbage
        The work is done, and the response is a proxy's HTML page with status 200.
    token_lifetime
        Tokens expire this many seconds after issue although they declare a later end; 0: never.
    token_uses
        Tokens are refused after so many requests, however long they take; 0: never.
    job_fail
        The whole job fails and changes nothing.
    job_partial
        Each image of a job fails with this probability; the others succeed.
    job_hang
        The job stays RUNNING for ever and changes nothing.
    no_results
        The job's ``entities`` come without ``results``.
    false_success
        The job says SUCCESS and changes nothing.
    read_503
        A GET is refused with 503, with ``retry_after`` as above.
    revoke_after
        After this many requests the seed's first project is refused with 401, sign-in included.
    forbid_members, hide_members
        Asking for the members of an image is refused: 403, or 404 as if there were none.
    empty_members
        The list of an image's members is empty, though a look at one of them shows it.
    wrong_state
        The listing of accepted images has those that are pending, and the others have those that
        are rejected.
    wrong_images, lost_images
        The images, as a part of all, that are listed as accepted although they are pending, or
        that are in no listing.
    hide_images
        Looking up a single image is refused with 404.
    broken_images, refused_images, busy_images, page_images, moved_images
        The images, as a part of all, of which each look-up alone is refused with 500, 401 or 429,
        gets a page of HTML, or is redirected, however often it is repeated.
    broken_page
        Every page of a listing but the first is refused with 500.
    page_cap
        Pages are no longer than this, whatever the limit, and have no ``next``; lists of members
        and vaults as well. 0: no cap.
    empty_page, repeated_page
        An empty page, or the same page once more, with a ``next`` that goes on.
    endless_pages
        The ``next`` of every page leads to the first page again.
    ignore_marker
        Every page is the first one: ``marker`` and ``offset`` are ignored.
    shuffled_pages
        The order of a list is another one at every request.
    ignore_state
        Listings ignore ``member_status``, so an image is listed in every state.
    ignore_filters
        Listings ignore ``member_status``, ``visibility`` (Glance), ``owner`` and ``__imagetype``.
    other_image, other_member, other_job
        A lookup responds with another image, with another project's state, or with another job.
    unknown_state
        The state of a member is a word that the API does not know.
    upper_case
        IDs in responses to a GET are in upper case.
    foreign_results
        Jobs also report results, good and bad, for images that nobody asked about.
    no_job_id
        The batch call does its work and responds 200 without a ``job_id``.
    empty_reason
        Jobs fail without a code, for the reason `` ()``.
    cached_looks, cached_lists
        Looks at single images and members, or listings of images, stay as they were at first,
        whoever asks: a cache on the way knows no token.
    lag
        Seconds from a change until the cloud shows it.
    member_quota
        Sharing an image with more projects by the native call is refused with 413. 0: no quota.
    affect_sign_in
        1: the faults of requests affect sign-in, too.
    seed
        Start of the random numbers.

    Examples
    --------
    >>> Faults.parse("latency=0.05, p503=0.1").p503
    0.1
    >>> str(Faults(p503=0.1, flow_control=0.2))
    'p503=0.1,flow_control=0.2'
    """

    latency: float = 0.0
    slow_read: float = 0.0
    latency_per_request: float = 0.0
    max_concurrent: float = 0.0
    p503: Rate = 0.0
    p500: Rate = 0.0
    p429: Rate = 0.0
    retry_after: float = 0.0
    flow_control: Rate = 0.0
    cut_before: Rate = 0.0
    cut_after: Rate = 0.0
    garbage: Rate = 0.0
    token_lifetime: float = 0.0
    token_uses: float = 0.0
    job_fail: Rate = 0.0
    job_partial: Rate = 0.0
    job_hang: Rate = 0.0
    no_results: Rate = 0.0
    false_success: Rate = 0.0
    read_503: Rate = 0.0
    revoke_after: float = 0.0
    forbid_members: Rate = 0.0
    hide_members: Rate = 0.0
    empty_members: Rate = 0.0
    wrong_state: Rate = 0.0
    wrong_images: Rate = 0.0
    lost_images: Rate = 0.0
    hide_images: Rate = 0.0
    broken_images: Rate = 0.0
    refused_images: Rate = 0.0
    busy_images: Rate = 0.0
    page_images: Rate = 0.0
    moved_images: Rate = 0.0
    broken_page: Rate = 0.0
    page_cap: float = 0.0
    empty_page: Rate = 0.0
    repeated_page: Rate = 0.0
    endless_pages: Rate = 0.0
    ignore_marker: Rate = 0.0
    shuffled_pages: Rate = 0.0
    ignore_state: Rate = 0.0
    ignore_filters: Rate = 0.0
    other_image: Rate = 0.0
    other_member: Rate = 0.0
    other_job: Rate = 0.0
    unknown_state: Rate = 0.0
    upper_case: Rate = 0.0
    foreign_results: Rate = 0.0
    no_job_id: Rate = 0.0
    empty_reason: Rate = 0.0
    cached_looks: Rate = 0.0
    cached_lists: Rate = 0.0
    lag: float = 0.0
    member_quota: float = 0.0
    affect_sign_in: Rate = 0.0
    seed: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            ceiling = 1.0 if name in _RATES else float("inf")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputError(f"The fault {name} needs a number, not {value!r}.")
            if not 0.0 <= value <= ceiling:
                allowed = "from 0 to 1" if name in _RATES else "0 or more"
                raise InputError(
                    f"The fault {name}={value:g} is out of range; it must be {allowed}."
                )

    def __str__(self) -> str:
        return ",".join(f"{k}={v:g}" for k, v in vars(self).items() if v)

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Read ``key=value,key=value``; raises InputError naming the part that is wrong."""
        values: dict[str, float] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, number = (p.strip() for p in part.partition("="))
            if name not in _NAMES:
                raise InputError(f"There is no fault {name!r}; known are {', '.join(_NAMES)}.")
            try:
                values[name] = float(number)
            except ValueError:
                raise InputError(f"The fault {part!r} needs a number, as in {name}=0.1.") from None
        return cls(**values)


#: Faults that are probabilities.
_RATES = frozenset(f.name for f in fields(Faults) if f.type == "Rate")
_NAMES = tuple(f.name for f in fields(Faults))


class FaultInjector:
    """The present faults and the dice that decide on each; safe to use from every thread."""

    def __init__(self, faults: Faults) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.replace(faults)

    @contextmanager
    def in_flight(self) -> Iterator[int]:
        """Count a request while it is handled; yield how many others there are."""
        with self._lock:
            others, self._in_flight = self._in_flight, self._in_flight + 1
        try:
            yield others
        finally:
            with self._lock:
                self._in_flight -= 1

    def replace(self, faults: Faults) -> None:
        """Change the faults from now on and restart the random numbers."""
        with self._lock:
            self.faults = faults
            self._dice = random.Random(faults.seed)  # noqa: S311 - repeatable, not secret

    def should_fail(self, name: str) -> bool:
        """Return True if a fault happens now."""
        rate: float = getattr(self.faults, name)
        if rate <= 0.0:
            return False
        with self._lock:
            return self._dice.random() < rate
