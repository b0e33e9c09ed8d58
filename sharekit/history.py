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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .errors import LedgerError
from .ledger import Event

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


@dataclass
class Piece:
    """One request's worth of images, and how far it has come."""

    chunk: str
    common: Mapping[str, Any]
    images: tuple[str, ...]
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
        """The project that accepts or rejects."""
        return str(self.common["project_id"])

    @property
    def wanted(self) -> str:
        """The state that every image of the piece is to have."""
        return str(self.common["status"])

    def request(self) -> dict[str, Any]:
        """What the clouds make a request of."""
        return {**self.common, "images": list(self.images)}

    def claim(self, image: str) -> str:
        """What the cloud said of an image: ``success``, ``failed``, or ``""`` for nothing."""
        if self.state == "done":
            return "success" if self.results.get(image, True) else "failed"
        if self.state == "refused" and self.attempts:
            return "success" if self.results.get(image, False) else "failed"
        return ""


class History:
    """All pieces of a run, kept up with its events."""

    def __init__(self, chunks: Iterable[Mapping[str, Any]], events: Iterable[Event] = ()) -> None:
        self.pieces: dict[str, Piece] = {}
        self.requests = {"submit": 0, "poll": 0, "read": 0, "retried": 0}
        self.ended_images = 0
        for chunk in chunks:
            common = {k: v for k, v in chunk.items() if k not in ("chunk", "images")}
            name = str(chunk["chunk"])
            self.pieces[name] = Piece(name, common, tuple(chunk["images"]))
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
        self.requests["submit"] += 1
        self.requests["retried"] += piece.attempts > 1

    def _split(self, piece: Piece, body: Mapping[str, Any]) -> None:
        for name, images in body["into"]:
            self.pieces[name] = Piece(name, piece.common, tuple(images))
        if body.get("kept"):
            # These were found changed on reading back, so their lost request did arrive.
            piece.images, piece.state = tuple(body["kept"]), "unknown"

    def _count(self, piece: Piece, sign: int) -> None:
        if piece.state in ("done", "refused"):
            self.ended_images += sign * len(piece.images)

    def in_state(self, *states: str) -> list[Piece]:
        """Every piece in one of some states."""
        return [piece for piece in self.pieces.values() if piece.state in states]

    def leaves(self) -> list[Piece]:
        """The pieces that carry images now: all but the ones that were split."""
        return [piece for piece in self.pieces.values() if piece.state != "split"]


def _partition(piece: Piece, body: Mapping[str, Any]) -> bool:
    """Whether a split takes each image along exactly once."""
    parts = [*body.get("kept", ()), *(image for _, images in body["into"] for image in images)]
    if piece.state == "planned":  # a look before sending may have taken some out
        return len(set(parts)) == len(parts) and set(parts) <= set(piece.images)
    return sorted(parts) == sorted(piece.images)


def cut(images: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut images into equal groups of at most so many.

    >>> cut("abcdefg", 3)
    ['ab', 'cd', 'efg']
    """
    parts = -(-len(images) // size)
    ends = [len(images) * number // parts for number in range(parts + 1)]
    return [images[start:end] for start, end in pairwise(ends)]


def children(piece: Piece, cuts: Iterable[Sequence[str]]) -> list[tuple[str, list[str]]]:
    """Name the parts a piece is split into: ``7`` becomes ``7.1``, ``7.2``.

    >>> children(Piece("7", {}, ("a", "b", "c")), ["a", ["b", "c"]])
    [('7.1', ['a']), ('7.2', ['b', 'c'])]
    """
    return [(f"{piece.chunk}.{number}", list(one)) for number, one in enumerate(cuts, 1)]
