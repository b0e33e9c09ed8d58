"""What the ledger's events say about every request: the state machine of a chunk.

A *piece* is what one request carries: a planned chunk, or what came of splitting one. Its states::

    planned ──intent──► sent ──answer──► running ──job──► done
       ▲                 │ │ │              │  └───job──► refused ──split──► split
       └──again──────────┘ │ └──refused──► refused ──split──► split
                           └──lost──► unknown ◄──late──┘
                                         └──split──► split   (what did not arrive goes anew)

The table :data:`MOVES` is that picture; an event it does not know is damage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from sharekit.core.actions import MEMBER, OWNER
from sharekit.core.errors import LedgerError
from sharekit.ledger.ledger import Event

#: (state, event) -> state. Events not named here do not concern a piece.
MOVES = {
    ("planned", "intent"): "sent",
    ("planned", "dropped"): "refused",
    ("planned", "split"): "split",
    ("sent", "answer"): "running",
    ("sent", "again"): "planned",
    ("sent", "refused"): "refused",
    ("sent", "lost"): "unknown",
    ("running", "job-done"): "done",
    ("running", "job-failed"): "refused",
    ("running", "again"): "planned",
    ("running", "late"): "unknown",
    ("unknown", "resumed"): "running",
    ("unknown", "split"): "split",
    ("refused", "split"): "split",
}
KINDS = tuple(dict.fromkeys(kind for _, kind in MOVES))
#: What each event means, for the docs.
MEANINGS = {
    "intent": "a request is about to leave; its images stand here before it does",
    "dropped": "not sent: the cloud refuses this project or vault altogether",
    "split": "its images go on in smaller or new requests",
    "answer": "the cloud took it on; the job's ID is here before it is polled",
    "again": "it did not leave, or a passing fault: to be sent once more",
    "refused": "the cloud said no, for good",
    "lost": "it left and no answer came: nobody knows, so the cloud is read back",
    "job-done": "the job ended well, but for the images it names",
    "job-failed": "the job failed, but for the images it names",
    "late": "the job did not end in time: nobody knows, so the cloud is read back",
    "resumed": "taken up by another call of `submit`: its job is asked again",
}
#: States in which nothing more happens by itself.
ENDED = frozenset({"done", "refused", "split", "unknown"})


class Rectangle(NamedTuple):
    """Images that are shared with projects, or not any more: each with each."""

    images: tuple[str, ...]
    projects: tuple[str, ...]


#: A part of a piece: images of the member's side, or a rectangle of the owner's.
Part = Sequence[str] | Rectangle
#: A share: the project it is with, and the image.
Share = tuple[str, str]


@dataclass
class Piece:
    """One request's worth of shares, and how far it has come.

    ``projects`` are those that an owner shares its images with; a member's piece has none. Of an
    owner's lost request, ``only`` are the shares that it still stands for.
    """

    chunk: str
    common: Mapping[str, Any]
    images: tuple[str, ...]
    projects: tuple[str, ...] = ()
    only: tuple[Share, ...] | None = None
    state: str = "planned"
    attempts: int = 0
    api: str = ""
    http: int = 0
    code: str = ""
    reason: str = ""
    job_id: str = ""
    request_id: str = ""
    first_sent: str = ""
    ended: str = ""
    late: int = 0
    results: dict[str, bool] = field(default_factory=dict)

    @property
    def project_id(self) -> str:
        """The project that acts: it accepts or rejects, or it owns the images."""
        return str(self.common["project_id"])

    @property
    def act(self) -> str:
        """What is to be done with every share of the piece; one of ``ACTIONS``."""
        return str(self.common["status"])

    @property
    def side(self) -> str:
        """Whose act it is."""
        return OWNER if self.projects else MEMBER

    @property
    def size(self) -> int:
        """How many shares it has."""
        if self.only is not None:
            return len(self.only)
        return len(self.images) * max(1, len(self.projects))

    @property
    def shares(self) -> list[Share]:
        """Its shares: the project it is with, and the image."""
        if self.only is not None:
            return list(self.only)
        projects = self.projects or (self.project_id,)
        return [(project, image) for image in self.images for project in projects]

    def request(self) -> dict[str, Any]:
        """What the clouds make a request of."""
        projects = {"projects": list(self.projects)} if self.projects else {}
        return {**self.common, "images": list(self.images), **projects}

    @property
    def content(self) -> dict[str, list[str]]:
        """``images``, and on the owner's side ``shared_with``, as events name them."""
        projects = {"shared_with": list(self.projects)} if self.projects else {}
        return {"images": list(self.images), **projects}

    def named(self, share: Share) -> str:
        """Return the name of a share in what a job says: that of its image, where it is alone."""
        return f"{share[1]} {share[0]}" if self.projects else share[1]

    def claim(self, name: str) -> str:
        """What the cloud said of a share: ``success``, ``failed``, or ``""`` for nothing."""
        if self.state == "done":
            return "success" if self.results.get(name, True) else "failed"
        if self.state == "refused" and self.attempts:
            return "success" if self.results.get(name, False) else "failed"
        return ""

    def parts(self, size: int, *, by_project: bool = False) -> list[Part]:
        """Cut it into parts of at most so many shares: between images, then between projects."""
        if not self.projects:
            return [*cut(self.images, size)]
        if len(self.projects) > 1 and (by_project or len(self.images) == 1):
            cuts = cut(self.projects, max(1, size // len(self.images)))
            return [Rectangle(self.images, tuple(some)) for some in cuts]
        cuts = cut(self.images, max(1, size // len(self.projects)))
        return [Rectangle(tuple(some), self.projects) for some in cuts]

    def halves(self, *, by_project: bool = False) -> list[Part]:
        """Cut it in two, between images as long as there are several."""
        if self.projects and len(self.projects) > 1 and (by_project or len(self.images) == 1):
            both = _halves(self.projects)
            return [Rectangle(self.images, tuple(some)) for some in both]
        both = _halves(self.images)
        return [Rectangle(tuple(s), self.projects) for s in both] if self.projects else [*both]

    def singles(self) -> list[Part]:
        """Cut it into single shares."""
        if not self.projects:
            return [*cut(self.images, 1)]
        return [Rectangle((image,), (project,)) for project, image in self.shares]


class History:
    """All pieces of a run, kept up with its events."""

    def __init__(self, chunks: Iterable[Mapping[str, Any]], events: Iterable[Event] = ()) -> None:
        self.pieces: dict[str, Piece] = {}
        self.requests = {"submit": 0, "poll": 0, "read": 0, "retried": 0}
        self.ended_images = 0
        for chunk in chunks:
            common = {k: v for k, v in chunk.items() if k not in ("chunk", "images", "projects")}
            name, projects = str(chunk["chunk"]), tuple(chunk.get("projects", ()))
            self.pieces[name] = Piece(name, common, tuple(chunk["images"]), projects)
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Follow one event.

        Raises
        ------
        LedgerError
            If the event cannot follow on what was before.
        """
        body = event.body
        state = self.follows(event.kind, body, f" at event {event.seq}")
        if event.kind == "counted":
            for name, number in body["requests"].items():
                self.requests[name] += number
        if event.kind not in KINDS:
            return
        piece = self.pieces[str(body["chunk"])]
        self._count(piece, -1)
        piece.state = state
        for name in ("api", "http", "code", "reason", "job_id", "request_id"):
            if name in body:
                setattr(piece, name, body[name])
        piece.results.update(body.get("results", {}))
        if event.kind == "intent":
            self._begin(piece, event)
        elif event.kind == "late":
            piece.late += 1
        elif event.kind == "split":
            self._split(piece, body)
        if state in ENDED:
            piece.ended = event.at
        self._count(piece, 1)

    def follows(self, kind: str, body: Mapping[str, Any], where: str = "") -> str:
        """Return the state that an event leads to; ``""`` if it concerns no piece.

        Raises
        ------
        LedgerError
            If the event cannot follow on what was before.
        """
        if kind not in KINDS:
            return ""
        piece = self.pieces.get(str(body.get("chunk")))
        state = None if piece is None else MOVES.get((piece.state, kind))
        if piece is None or state is None or not self._whole(kind, piece, body):
            raise LedgerError(f"The ledger is damaged{where}: {kind!r} cannot follow there.")
        return state

    def _whole(self, kind: str, piece: Piece, body: Mapping[str, Any]) -> bool:
        """Whether an event takes along what its piece has, and no name twice."""
        if kind == "split":
            names = [name for name, _ in body["into"]]
            fresh = len(set(names)) == len(names) and not self.pieces.keys() & set(names)
            return fresh and _partition(piece, body)
        return kind != "intent" or set(body["images"]) <= set(piece.images)

    def _begin(self, piece: Piece, event: Event) -> None:
        piece.attempts += 1
        piece.first_sent = piece.first_sent or event.at
        if list(piece.images) != event.body["images"]:  # the same texts twice would cost memory
            piece.images = tuple(event.body["images"])
        if piece.projects:
            piece.projects = tuple(event.body["shared_with"])
        self.requests["submit"] += 1
        self.requests["retried"] += piece.attempts > 1

    def _split(self, piece: Piece, body: Mapping[str, Any]) -> None:
        for name, images, projects in _into(body):
            self.pieces[name] = Piece(name, piece.common, tuple(images), tuple(projects))
        if kept := body.get("kept"):
            # These were found changed on reading back, so their lost request did arrive.
            piece.state = "unknown"
            if piece.projects:
                piece.only = tuple(zip(body["kept_with"], kept, strict=True))
            else:
                piece.images = tuple(kept)

    def _count(self, piece: Piece, sign: int) -> None:
        if piece.state in ("done", "refused"):
            self.ended_images += sign * piece.size

    def children(self, piece: Piece, number: int) -> list[Piece]:
        """The parts that a piece was split into: of ``7`` they are ``7.1``, ``7.2``."""
        return [self.pieces[f"{piece.chunk}.{n + 1}"] for n in range(number)]

    def in_state(self, *states: str) -> list[Piece]:
        """Every piece in one of some states."""
        return [piece for piece in self.pieces.values() if piece.state in states]

    def leaves(self) -> list[Piece]:
        """The pieces that carry images now: all but the ones that were split."""
        return [piece for piece in self.pieces.values() if piece.state != "split"]


def _partition(piece: Piece, body: Mapping[str, Any]) -> bool:
    """Whether a split takes each share along exactly once."""
    if piece.projects:
        whole: Iterable[Any] = piece.shares
        kept, kept_with = body.get("kept", ()), body.get("kept_with", ())
        if len(kept) != len(kept_with) or len(body["into"]) != len(body.get("shared_with", ())):
            return False
        parts = [*zip(kept_with, kept, strict=True)]
        for _, images, projects in _into(body):
            parts += [(project, image) for image in images for project in projects]
    else:
        whole = piece.images
        parts = [*body.get("kept", ()), *(image for _, images in body["into"] for image in images)]
    if piece.state == "planned":  # a look before sending may have taken some out
        return len(set(parts)) == len(parts) and set(parts) <= set(whole)
    return sorted(parts) == sorted(whole)


def _into(body: Mapping[str, Any]) -> Iterator[tuple[str, list[str], list[str]]]:
    """The parts of a split: name, images, and projects, of which the member's side has none."""
    shared_with = body.get("shared_with") or [[]] * len(body["into"])
    for (name, images), projects in zip(body["into"], shared_with, strict=True):
        yield name, images, projects


def split_into(piece: Piece, parts: Iterable[Part], kept: Sequence[Share] = ()) -> dict[str, Any]:
    """Tell of a split as its event does: ``into``, ``kept``, and whom an owner shares with.

    >>> split_into(Piece("7", {}, ("a", "b", "c")), ["a", ["b", "c"]])
    {'into': [('7.1', ['a']), ('7.2', ['b', 'c'])]}
    """
    named = [(f"{piece.chunk}.{number}", part) for number, part in enumerate(parts, 1)]
    images = [p.images if isinstance(p, Rectangle) else p for _, p in named]
    told: dict[str, Any] = {
        "into": [(name, list(some)) for (name, _), some in zip(named, images, strict=True)]
    }
    if kept:
        told["kept"] = [image for _, image in kept]
    if piece.projects:
        told["shared_with"] = [list(p.projects) for _, p in named if isinstance(p, Rectangle)]
        told["kept_with"] = [project for project, _ in kept]
    return told


def cut(images: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut images into equal groups of at most so many.

    >>> cut("abcdefg", 3)
    ['ab', 'cd', 'efg']
    """
    parts = -(-len(images) // size)
    ends = [len(images) * number // parts for number in range(parts + 1)]
    return [images[start:end] for start, end in pairwise(ends)]


def _halves(some: Sequence[str]) -> list[Sequence[str]]:
    half = len(some) // 2
    return [some[:half], some[half:]]


def rectangles(shares: Iterable[Share]) -> list[Part]:
    """Put shares into rectangles: images that go to the same projects go together.

    >>> rectangles([("p", "a"), ("q", "a"), ("p", "b"), ("q", "b"), ("q", "c")])
    [Rectangle(images=('a', 'b'), projects=('p', 'q')), Rectangle(images=('c',), projects=('q',))]
    """
    projects: dict[str, list[str]] = {}
    for project, image in shares:
        projects.setdefault(image, []).append(project)
    images: dict[tuple[str, ...], list[str]] = {}
    for image, some in projects.items():
        images.setdefault(tuple(some), []).append(image)
    return [Rectangle(tuple(some), of) for of, some in images.items()]
