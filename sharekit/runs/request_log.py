"""Every request of a run and its state, kept up with the events of the ledger: a state machine.

A request carries the shares of a planned chunk, or of a part of one that was split. Its states::

    planned ──intent──► sent ──answer──► running ──job_done──► done
     ▲   ▲               │ │ │              │  └───job_failed──► refused ──split──► split
     │   └retry_scheduled┘ │ └──refused──► refused ──split──► split
    preflight_checked      └response_lost► unknown ◄job_timed_out┘
     ▼                                        └──split──► split   (what did not arrive is resent)
    excluded

The table :data:`TRANSITIONS` is that picture. A state changes by an event and in no other way, so
the log of a running submission and a replay of its ledger are the same; an event that the table
does not allow is damage.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from sharekit.core.actions import MEMBER, OWNER
from sharekit.core.errors import LedgerError
from sharekit.ledger.ledger import Event

LOG = logging.getLogger("sharekit.runs")

#: (state, event) -> next state. ``preflight_checked`` concerns all requests that were not sent yet;
#: every other event names its request.
TRANSITIONS = {
    ("planned", "preflight_checked"): "excluded",
    ("excluded", "preflight_checked"): "planned",
    ("planned", "intent"): "sent",
    ("planned", "skipped_after_refusal"): "refused",
    ("planned", "split"): "split",
    ("sent", "answer"): "running",
    ("sent", "retry_scheduled"): "planned",
    ("sent", "refused"): "refused",
    ("sent", "response_lost"): "unknown",
    ("running", "job_done"): "done",
    ("running", "job_failed"): "refused",
    ("running", "retry_scheduled"): "planned",
    ("running", "job_timed_out"): "unknown",
    ("unknown", "resumed"): "running",
    ("unknown", "split"): "split",
    ("refused", "split"): "split",
}
#: Kinds of events that change the state of requests.
REQUEST_EVENTS = tuple(dict.fromkeys(kind for _, kind in TRANSITIONS))
#: States in which nothing more happens by itself.
FINAL_STATES = frozenset({"done", "refused", "split", "unknown", "excluded"})
#: A share: the project it is with, and the image.
Share = tuple[str, str]
#: An action on a share: the project it is with, the image, and whose action it is.
Action = tuple[str, str, str]


class ShareBlock(NamedTuple):
    """Images and the projects that an owner shares them with, each with each.

    A project that decides on its own shares names no projects.
    """

    images: tuple[str, ...]
    projects: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of shares."""
        return len(self.images) * max(1, len(self.projects))

    @property
    def body(self) -> dict[str, list[str]]:
        """``images``, and on the owner's side ``shared_with``, as events name them."""
        projects = {"shared_with": list(self.projects)} if self.projects else {}
        return {"images": list(self.images), **projects}

    def shares(self, acting: str) -> Iterator[Share]:
        """Yield the shares; ``acting`` is the project of a block that names none."""
        return ((p, image) for image in self.images for p in self.projects or (acting,))

    def chunked(self, size: int, *, by_project: bool = False) -> list[ShareBlock]:
        """Split into blocks of at most ``size`` shares: by images first, then by projects."""
        if self._splits_projects(by_project):
            parts = chunked(self.projects, max(1, size // len(self.images)))
            return [ShareBlock(self.images, tuple(part)) for part in parts]
        parts = chunked(self.images, max(1, size // max(1, len(self.projects))))
        return [ShareBlock(tuple(part), self.projects) for part in parts]

    def halves(self, *, by_project: bool = False) -> list[ShareBlock]:
        """Split in two, by images as long as there are several."""
        if self._splits_projects(by_project):
            half = len(self.projects) // 2
            parts = (self.projects[:half], self.projects[half:])
            return [ShareBlock(self.images, part) for part in parts]
        half = len(self.images) // 2
        return [
            ShareBlock(part, self.projects) for part in (self.images[:half], self.images[half:])
        ]

    def singles(self) -> list[ShareBlock]:
        """Split into single shares."""
        projects: list[tuple[str, ...]] = [(project,) for project in self.projects] or [()]
        return [ShareBlock((image,), project) for image in self.images for project in projects]

    def _splits_projects(self, by_project: bool) -> bool:  # noqa: FBT001 - passed on as it came
        return len(self.projects) > 1 and (by_project or len(self.images) == 1)


@dataclass
class Response:
    """The latest response to a request, and the API (``batch``, ``native``) it was sent by."""

    api: str = ""
    http: int = 0
    code: str = ""
    reason: str = ""
    job_id: str = ""
    request_id: str = ""


@dataclass
class Request:
    """A request and how far it has come.

    ``planned`` are the shares it was made for, ``blocks`` those that it stands for now: without
    what a preflight excluded, or of a lost request what had arrived all the same. Only a request
    of a single block can be sent. ``common`` are the fields that all of its shares have.
    """

    chunk: str
    common: Mapping[str, Any]
    planned: ShareBlock
    blocks: tuple[ShareBlock, ...] = ()
    state: str = "planned"
    attempts: int = 0
    timeouts: int = 0
    first_sent: str = ""
    ended: str = ""
    response: Response = field(default_factory=Response)
    results: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blocks = self.blocks or (self.planned,)

    @property
    def project_id(self) -> str:
        """The acting project: it accepts or rejects, or it owns the images."""
        return str(self.common["project_id"])

    @property
    def action(self) -> str:
        """What is to be done with every share; one of ``ACTIONS``."""
        return str(self.common["status"])

    @property
    def role(self) -> str:
        """``owner`` or ``member``: the role in which the project acts."""
        return OWNER if self.planned.projects else MEMBER

    @property
    def block(self) -> ShareBlock:
        """The shares of a request that can be sent."""
        return self.blocks[0]

    @property
    def size(self) -> int:
        """Number of shares."""
        return sum(block.size for block in self.blocks)

    @property
    def shares(self) -> list[Share]:
        """The shares: the project each is with, and its image."""
        return [share for block in self.blocks for share in block.shares(self.project_id)]

    def payload(self) -> dict[str, Any]:
        """Return what the clouds make a request of."""
        images, projects = self.block
        return {
            **self.common,
            "images": list(images),
            **({"projects": list(projects)} if projects else {}),
        }

    def job_key(self, share: Share) -> str:
        """Return the name of a share in a job's results: that of its image if that is enough."""
        return f"{share[1]} {share[0]}" if self.role == OWNER else share[1]

    def reported(self, job_key: str) -> str:
        """Return what the cloud said of a share: ``success``, ``failed``, or "" for nothing."""
        if self.state == "done":
            return "success" if self.results.get(job_key, True) else "failed"
        if self.state == "refused" and self.attempts:
            return "success" if self.results.get(job_key, False) else "failed"
        return ""


class RequestLog:
    """All requests of a run, kept up with its events.

    Attributes
    ----------
    requests : dict
        Chunk, such as ``7`` or ``7.1``, to :class:`Request`, split ones included.
    calls : dict
        ``submit, poll, read, retried`` to the number of calls of the cloud.
    done_images : int
        Number of shares of requests that are done or refused.
    """

    def __init__(
        self,
        chunks: Iterable[Mapping[str, Any]],
        events: Iterable[Event] = (),
        read_excluded: Callable[[Event], Iterable[Action]] = lambda _: (),
    ) -> None:
        """Begin with the chunks of a plan; ``read_excluded`` reads a preflight's blob."""
        self.requests: dict[str, Request] = {}
        self.calls = {"submit": 0, "poll": 0, "read": 0, "retried": 0}
        self.done_images = 0
        self._read_excluded = read_excluded
        for chunk in chunks:
            common = {k: v for k, v in chunk.items() if k not in ("chunk", "images", "projects")}
            block = ShareBlock(tuple(chunk["images"]), tuple(chunk.get("projects", ())))
            self.requests[str(chunk["chunk"])] = Request(str(chunk["chunk"]), common, block)
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Follow one event.

        Raises
        ------
        LedgerError
            If the event cannot follow on what was before.
        """
        if event.kind == "requests_counted":
            for name, number in event.body["requests"].items():
                self.calls[name] += number
        elif event.kind == "preflight_checked":
            self._exclude(set(self._read_excluded(event)))
        elif event.kind in REQUEST_EVENTS:
            self._change(event)

    def next_state(self, kind: str, body: Mapping[str, Any], where: str = "") -> str:
        """Return the state that an event which names a request leads to.

        Raises
        ------
        LedgerError
            If the event cannot follow on what was before.
        """
        request = self.requests.get(str(body.get("chunk")))
        state = None if request is None else TRANSITIONS.get((request.state, kind))
        if request is None or state is None or not self._is_consistent(kind, request, body):
            raise LedgerError(f"The ledger is damaged{where}: {kind!r} cannot follow there.")
        return state

    def children(self, request: Request, number: int) -> list[Request]:
        """Return the requests that one was split into: of ``7`` they are ``7.1``, ``7.2``."""
        return [self.requests[f"{request.chunk}.{n + 1}"] for n in range(number)]

    def in_state(self, *states: str) -> list[Request]:
        """Return every request in one of some states."""
        return [request for request in self.requests.values() if request.state in states]

    def current(self) -> list[Request]:
        """Return the requests that carry shares now: all but those that were split."""
        return [request for request in self.requests.values() if request.state != "split"]

    def _is_consistent(self, kind: str, request: Request, body: Mapping[str, Any]) -> bool:
        """Return True if an event takes along what its request has, and no name twice."""
        if kind == "split":
            names = [name for name, _ in body["into"]]
            fresh = len(set(names)) == len(names) and not self.requests.keys() & set(names)
            return fresh and _is_partition(request, body)
        if kind != "intent":
            return True
        images, projects = request.block
        return (
            len(request.blocks) == 1
            and set(body["images"]) <= set(images)
            and set(body.get("shared_with", ())) <= set(projects)
        )

    def _exclude(self, excluded: set[Action]) -> None:
        """Leave out what a preflight excluded; what an earlier one excluded may go again."""
        for request in self.in_state("planned", "excluded"):
            if request.state == "planned" and not excluded:
                continue
            request.blocks, role = (request.planned,), request.role
            shares = request.shares
            kept = [share for share in shares if (*share, role) not in excluded]
            request.state = "planned" if kept else "excluded"
            if kept and len(kept) < len(shares):
                request.blocks = blocks_of(kept, role)

    def _change(self, event: Event) -> None:
        body = event.body
        state = self.next_state(event.kind, body, f" at event {event.seq}")
        request = self.requests[str(body["chunk"])]
        self._count(request, -1)
        request.state = state
        for name in ("api", "http", "code", "reason", "job_id", "request_id"):
            if name in body:
                setattr(request.response, name, body[name])
        request.results.update(body.get("results", {}))
        if event.kind == "intent":
            self._begin(request, event)
        elif event.kind == "job_timed_out":
            request.timeouts += 1
        elif event.kind == "split":
            self._split(request, body)
        if state in FINAL_STATES:
            request.ended = event.at
        self._count(request, 1)

    def _begin(self, request: Request, event: Event) -> None:
        request.attempts += 1
        request.first_sent = request.first_sent or event.at
        block = ShareBlock(tuple(event.body["images"]), tuple(event.body.get("shared_with", ())))
        if request.block != block:  # equal blocks share the memory of their texts
            request.blocks = (block,)
        request.planned = request.block
        self.calls["submit"] += 1
        self.calls["retried"] += request.attempts > 1

    def _split(self, request: Request, body: Mapping[str, Any]) -> None:
        for name, block in _blocks_in(body):
            self.requests[name] = Request(name, request.common, block)
        if kept := _kept_in(request, body):
            # These were found changed on reading back, so their lost request did arrive.
            request.state, request.blocks = "unknown", blocks_of(kept, request.role)

    def _count(self, request: Request, sign: int) -> None:
        if request.state in ("done", "refused"):
            self.done_images += sign * request.size


class EventStore(Protocol):
    """What a recorder needs of the ledger."""

    def append(self, kind: str, body: dict[str, Any]) -> Event:
        """Write an event durably and return it."""

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything inside together or not at all."""


class Recorder:
    """Writes events of requests, each checked before it is written and followed after it.

    ``lock`` guards the log; whoever reads and changes several requests together holds it, too.
    """

    def __init__(self, store: EventStore, log: RequestLog) -> None:
        self.store, self.log = store, log
        self.lock = threading.RLock()

    def record(self, kind: str, request: Request, **body: Any) -> None:
        """Write an event of one request, then follow it."""
        with self.lock:
            body = {"chunk": request.chunk, **body}
            self.log.next_state(kind, body)  # a ledger never holds what cannot be
            self.record_run(kind, body)
        if LOG.isEnabledFor(logging.INFO):
            facts = [f"{name}={body[name]}" for name in _LOGGED if body.get(name)]
            LOG.info("chunk %s (%d images): %s %s", request.chunk, request.size, kind,
                     " ".join(facts))  # fmt: skip

    def record_run(self, kind: str, body: dict[str, Any]) -> None:
        """Write an event that names no single request, then follow it."""
        with self.lock:
            self.log.apply(self.store.append(kind, body))


#: Fields of an event's body that a line of the log shows.
_LOGGED = ("attempt", "api", "http", "job_id", "request_id", "status", "code", "reason", "why")


def _is_partition(request: Request, body: Mapping[str, Any]) -> bool:
    """Return True if a split takes each share along exactly once."""
    named = (len(body.get("shared_with", ())), len(body.get("kept_with", ())))
    expected = (len(body["into"]), len(body.get("kept", ())))
    if named != (expected if request.role == OWNER else (0, 0)):
        return False
    parts = _kept_in(request, body)
    for _, block in _blocks_in(body):
        parts += block.shares(request.project_id)
    return sorted(parts) == sorted(request.shares)


def _kept_in(request: Request, body: Mapping[str, Any]) -> list[Share]:
    """Return the shares that stay with a request that is split."""
    kept = body.get("kept", ())
    return [*zip(body.get("kept_with") or [request.project_id] * len(kept), kept, strict=True)]


def _blocks_in(body: Mapping[str, Any]) -> Iterator[tuple[str, ShareBlock]]:
    """Yield name and shares of each request that a split makes."""
    projects = body.get("shared_with") or [()] * len(body["into"])
    for (name, images), shared_with in zip(body["into"], projects, strict=True):
        yield name, ShareBlock(tuple(images), tuple(shared_with))


def split_event(
    request: Request, blocks: Iterable[ShareBlock], kept: Sequence[Share] = ()
) -> dict[str, Any]:
    """Return the body of a split: the new requests, and the shares that stay with the old one.

    >>> split_event(Request("7", {}, ShareBlock(("a", "b"))), [ShareBlock("a"), ShareBlock("b")])
    {'into': [('7.1', ['a']), ('7.2', ['b'])]}
    """
    blocks = list(blocks)
    into = [(f"{request.chunk}.{n}", list(block.images)) for n, block in enumerate(blocks, 1)]
    body: dict[str, Any] = {"into": into}
    if kept:
        body["kept"] = [image for _, image in kept]
    if request.role == OWNER:
        body["shared_with"] = [list(block.projects) for block in blocks]
        body["kept_with"] = [project for project, _ in kept]
    return body


def chunked(names: Sequence[str], size: int) -> list[Sequence[str]]:
    """Split a sequence into parts of nearly equal length, at most ``size`` long.

    >>> chunked("abcdefg", 3)
    ['ab', 'cd', 'efg']
    """
    parts = -(-len(names) // size)
    ends = [len(names) * number // parts for number in range(parts + 1)]
    return [names[start:end] for start, end in pairwise(ends)]


def blocks_of(shares: Sequence[Share], role: str) -> tuple[ShareBlock, ...]:
    """Return blocks that hold just these shares; those of a member are always one."""
    if role == MEMBER:
        return (ShareBlock(tuple(image for _, image in shares)),)
    return tuple(group_by_projects(shares))


def group_by_projects(shares: Iterable[Share]) -> list[ShareBlock]:
    """Group shares into blocks: images that are shared with the same projects go together.

    >>> group_by_projects([("p", "a"), ("q", "a"), ("p", "b"), ("q", "b"), ("q", "c")])
    [ShareBlock(images=('a', 'b'), projects=('p', 'q')), ShareBlock(images=('c',), projects=('q',))]
    """
    projects: dict[str, list[str]] = {}
    for project, image in shares:
        projects.setdefault(image, []).append(project)
    images: dict[tuple[str, ...], list[str]] = {}
    for image, shared_with in projects.items():
        images.setdefault(tuple(shared_with), []).append(image)
    return [ShareBlock(tuple(group), shared_with) for shared_with, group in images.items()]
