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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.actions import MEMBER, OWNER, OWNER_ACTIONS, is_satisfied
from sharekit.core.columns import action_keys
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
#: The least HTTP status that is an error.
_ERROR = 400
#: States in which nothing more happens by itself.
FINAL_STATES = frozenset({"done", "refused", "split", "unknown", "excluded"})
#: A share: the project it is with, and the image.
Share = tuple[str, str]
#: An action on a share: the project it is with, the image, and whose action it is.
Action = tuple[str, str, str]


class Observation(NamedTuple):
    """A state that reading back showed, and the number of the event that recorded it."""

    state: str
    seq: int


class ShareBlock(NamedTuple):
    """Images and the projects that they are shared with, each with each.

    A project's own decisions are the case of one project.
    """

    images: tuple[str, ...]
    projects: tuple[str, ...]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> ShareBlock:
        """Read a block from a chunk or an event, which name ``images`` and ``projects``."""
        return cls(tuple(body["images"]), tuple(body["projects"]))

    @property
    def body(self) -> dict[str, list[str]]:
        """``images`` and ``projects``, as events name them."""
        return {"images": list(self.images), "projects": list(self.projects)}

    @property
    def size(self) -> int:
        """Number of shares."""
        return len(self.images) * len(self.projects)

    @property
    def shares(self) -> list[Share]:
        """The shares, image by image."""
        return [(project, image) for image in self.images for project in self.projects]

    def chunked(self, size: int, *, by_project: bool = False) -> list[ShareBlock]:
        """Split into blocks of at most ``size`` shares: by images first, then by projects."""
        if self._splits_projects(by_project):
            parts = chunked(self.projects, max(1, size // len(self.images)))
            return [ShareBlock(self.images, part) for part in parts]
        parts = chunked(self.images, max(1, size // len(self.projects)))
        return [ShareBlock(part, self.projects) for part in parts]

    def halves(self, *, by_project: bool = False) -> list[ShareBlock]:
        """Split in two, by images as long as there are several."""
        split, whole = self.images, self.projects
        if self._splits_projects(by_project):
            split, whole = whole, split
        return self.chunked(-(-len(split) // 2) * len(whole), by_project=by_project)

    def singles(self) -> list[ShareBlock]:
        """Split into single shares."""
        return [ShareBlock((image,), (project,)) for project, image in self.shares]

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
    of a single block can be sent. ``common`` are the fields that all of its shares have. What was
    read before ``since`` (the number of an event) says nothing of what the request brought about.
    """

    chunk: str
    common: Mapping[str, Any]
    planned: ShareBlock
    blocks: tuple[ShareBlock, ...] = ()
    state: str = "planned"
    attempts: int = 0
    timeouts: int = 0
    since: int = 0
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
    def was_sent(self) -> bool:
        """True if its shares were sent, by this request or by one that it is a part of."""
        return self.since > 0

    @property
    def is_noop(self) -> bool:
        """True if an error status answered it that may mean that there was nothing to change."""
        answered = self.state == "done" and not self.response.job_id
        return answered and self.response.http >= _ERROR

    @property
    def role(self) -> str:
        """``owner`` or ``member``: the role in which the project acts."""
        return OWNER if self.action in OWNER_ACTIONS else MEMBER

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
        return [share for block in self.blocks for share in block.shares]

    def payload(self) -> dict[str, Any]:
        """Return what the clouds make a request of."""
        return {**self.common, **self.block.body}

    def reported(self, share: Share | None = None) -> str:
        """Return what the cloud said of a share: ``success``, ``failed``, or "" for nothing.

        Without a share, it is what the cloud said of all that it did not name. An error status that
        usually means that there was nothing to change is no success.
        """
        if self.state == "done":
            if self.is_noop:
                return ""
            good = True
        elif self.state == "refused" and self.attempts:
            good = False
        else:
            return ""
        named = good if share is None else self.results.get(result_key(share), good)
        return "success" if named else "failed"


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
            name = str(chunk["chunk"])
            self.requests[name] = Request(name, common, ShareBlock.read(chunk))
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

    def next_state(self, kind: str, body: Mapping[str, Any], seq: int = 0) -> str:
        """Return the state that an event which names a request leads to.

        Raises
        ------
        LedgerError
            If the event cannot follow on what was before.
        """
        request = self.requests.get(str(body.get("chunk")))
        state = None if request is None else TRANSITIONS.get((request.state, kind))
        if request is None or state is None or not self._is_consistent(kind, request, body):
            where = f" at event {seq}" if seq else ""
            raise LedgerError(f"The ledger is damaged{where}: {kind!r} cannot follow there.")
        return state

    def children(self, request: Request, number: int) -> list[Request]:
        """Return the last parts of a request that was split: of ``7`` they are ``7.1``, ``7.2``."""
        end = self.next_part(request)
        return [self.requests[f"{request.chunk}.{n}"] for n in range(end - number, end)]

    def next_part(self, request: Request) -> int:
        """Return the number of a request's next part: what is lost may be split again."""
        return next(n for n in count(1) if f"{request.chunk}.{n}" not in self.requests)

    def in_state(self, *states: str) -> list[Request]:
        """Return every request in one of some states."""
        return [request for request in self.requests.values() if request.state in states]

    def current(self) -> list[Request]:
        """Return the requests that carry shares now: all but those that were split."""
        return [request for request in self.requests.values() if request.state != "split"]

    def _is_consistent(self, kind: str, request: Request, body: Mapping[str, Any]) -> bool:
        """Return True if an event takes along just what its request has, and no name twice."""
        if kind == "split":
            names = [part["chunk"] for part in body["into"]]
            parts = [ShareBlock.read(part) for part in (*body["into"], *body["kept"])]
            shares = [share for part in parts for share in part.shares]
            fresh = len(set(names)) == len(names) and not self.requests.keys() & set(names)
            return fresh and sorted(shares) == sorted(request.shares)
        return kind != "intent" or (ShareBlock.read(body),) == request.blocks

    def _exclude(self, excluded: set[Action]) -> None:
        """Leave out what a preflight excluded; what an earlier one excluded may go again."""
        for request in self.in_state("planned", "excluded"):
            request.blocks, request.state = (request.planned,), "planned"
            if not excluded:
                continue
            shares = request.planned.shares
            kept = [share for share in shares if (*share, request.role) not in excluded]
            request.state = "planned" if kept else "excluded"
            if kept and len(kept) < len(shares):
                request.blocks = group_by_projects(kept)

    def _change(self, event: Event) -> None:
        body = event.body
        state = self.next_state(event.kind, body, event.seq)
        request = self.requests[str(body["chunk"])]
        self._count(request, -1)
        previous, request.state = request.state, state
        if event.kind == "intent":
            request.response = Response()  # an earlier attempt's job is not this one's
        if event.kind in ("intent", "job_done", "job_failed"):
            request.since = event.seq
        for name in ("api", "http", "code", "reason", "job_id", "request_id"):
            if name in body:
                setattr(request.response, name, body[name])
        request.results.update(body.get("results", {}))
        if event.kind == "intent":
            self._begin(request, event)
        elif event.kind == "job_timed_out":
            request.timeouts += 1
        elif event.kind == "split":
            self._split(request, body, previous)
        if state in FINAL_STATES:
            request.ended = event.at
        self._count(request, 1)

    def _begin(self, request: Request, event: Event) -> None:
        request.attempts += 1
        request.first_sent = request.first_sent or event.at
        request.planned = request.block
        self.calls["submit"] += 1
        self.calls["retried"] += request.attempts > 1

    def _split(self, request: Request, body: Mapping[str, Any], previous: str) -> None:
        for part in body["into"]:
            name = part["chunk"]
            block = ShareBlock.read(part)
            # What was sent with others may have been changed, though its part is never sent.
            self.requests[name] = Request(name, request.common, block, since=request.since)
        if body["kept"]:
            # Reading back shows them changed, so their lost request did arrive; or their job, which
            # failed for others, did these.
            request.state = "unknown" if previous == "unknown" else "done"
            request.blocks = tuple(ShareBlock.read(block) for block in body["kept"])

    def _count(self, request: Request, sign: int) -> None:
        if request.state in ("done", "refused"):
            self.done_images += sign * request.size


class EventStore(Protocol):
    """What a recorder needs of the ledger."""

    def append(self, kind: str, body: dict[str, Any]) -> Event:
        """Write an event durably and return it."""

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything inside together or not at all."""


def latest_state(
    request: Request, share: Share, states: Mapping[Action, Observation]
) -> str | None:
    """Return the latest state read of a share since it was sent; of two sides the unwanted one."""

    def seen(role: str) -> str | None:
        one = states.get((*share, role))
        return one.state if one is not None and one.seq > request.since else None

    own = seen(request.role)
    if own is None or request.role == MEMBER or not is_satisfied(request.action, own):
        return own
    return seen(MEMBER) or own


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


def split_event(
    request: Request, blocks: Iterable[ShareBlock], kept: Sequence[Share] = (), first: int = 1
) -> dict[str, Any]:
    """Return the body of a split: the new requests, and the shares that stay with the old one.

    >>> request = Request("7", {}, ShareBlock(("a", "b"), ("p",)))
    >>> split_event(request, request.planned.halves())["into"][1]
    {'chunk': '7.2', 'images': ['b'], 'projects': ['p']}
    """
    numbered = enumerate(blocks, first)
    into = [{"chunk": f"{request.chunk}.{n}", **one.body} for n, one in numbered]
    return {"into": into, "kept": [block.body for block in group_by_projects(kept)]}


def find_requests(
    rows: pd.DataFrame, carried: Iterable[tuple[Request, Sequence[ShareBlock]]]
) -> NDArray[np.int64]:
    """Find which request carries each planned row: its position among those given, -1 for none.

    ``carried`` are requests with what each carries; if several carry a share, the last one counts.
    The rows of a request that carries its whole chunk are found by the chunk's number, and only
    those of other requests by their IDs.
    """
    codes, numbers = pd.factorize(rows["chunk"].to_numpy("int64", na_value=0))
    chunks = {str(number): code for code, number in enumerate(numbers.tolist())}
    sizes, whole = np.bincount(codes), np.full(len(numbers), -1)
    parts: dict[Action, int] = {}
    for at, (request, blocks) in enumerate(carried):
        code = chunks.get(request.chunk)
        if code is not None and sum(block.size for block in blocks) == sizes[code]:
            whole[code] = at
        else:
            shares = (share for block in blocks for share in block.shares)
            parts |= dict.fromkeys(((*share, request.role) for share in shares), at)
    found = whole[codes]
    if parts:
        rest = np.flatnonzero((found < 0) & (rows["disposition"] == "planned").to_numpy(dtype=bool))
        actions = action_keys(rows.take(rest)).itertuples(index=False, name=None)
        found[rest] = [parts.get(action, -1) for action in actions]
    return found


def result_key(share: Share) -> str:
    """Return the name of a share in the results of a job."""
    project, image = share
    return f"{image} {project}"


def chunked(ids: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    """Split a tuple into parts of nearly equal length, at most ``size`` long.

    >>> chunked(("a", "b", "c", "d", "e"), 2)
    [('a',), ('b', 'c'), ('d', 'e')]
    """
    parts = -(-len(ids) // size)
    ends = [len(ids) * number // parts for number in range(parts + 1)]
    return [ids[start:end] for start, end in pairwise(ends)]


def group_by_projects(shares: Iterable[Share]) -> tuple[ShareBlock, ...]:
    """Return blocks that hold just these shares: images with the same projects go together.

    >>> group_by_projects([("p", "a"), ("q", "a"), ("p", "b"), ("q", "b"), ("q", "c")])
    (ShareBlock(images=('a', 'b'), projects=('p', 'q')), ShareBlock(images=('c',), projects=('q',)))
    """
    projects: dict[str, list[str]] = {}
    for project, image in shares:
        projects.setdefault(image, []).append(project)
    images: dict[tuple[str, ...], list[str]] = {}
    for image, shared_with in projects.items():
        images.setdefault(tuple(shared_with), []).append(image)
    return tuple(ShareBlock(tuple(group), shared_with) for shared_with, group in images.items())
