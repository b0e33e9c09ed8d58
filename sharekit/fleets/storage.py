"""The ledgers of a fleet: that of the fleet, which names those of its parts, and the parts'.

A part is an ordinary run. The fleet's ledger knows it by the hash of its first event, and the plan
that was approved by the hash of the event ``planned``, which covers everything before it, or of a
later one that took an approval back. The root of a tree over the latter is the fleet's fingerprint:
an approval of it, with a part's path to that root, is an approval of the part's plan that needs
nothing else, and that nobody can write again once it was taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sharekit.core.errors import LedgerError, LedgerHeldError, UnfinishedChangeError
from sharekit.core.monitoring.progress import report
from sharekit.ledger.events import VOIDING_EVENTS
from sharekit.ledger.hashing import tree_paths
from sharekit.ledger.ledger import Event, Ledger
from sharekit.ledger.lock import break_lock, is_busy
from sharekit.plans.approval import Approval, valid_approvals
from sharekit.plans.chunks import EMPTY_FINGERPRINT
from sharekit.plans.storage import last_event_body

#: The file of the fleet's own ledger; those of its parts begin with another word.
FLEET_LEDGER: Final = "fleet.ledger"
PART_LEDGER: Final = "part-{}.ledger"


@dataclass(frozen=True)
class Part:
    """A part of a fleet, with its plan as it is now.

    Attributes
    ----------
    name, path : str and Path
        What it is called, and its ledger.
    created, planned : str
        Hashes of its ledger's first event, and of the latest one after which no earlier approval
        holds: the one with its plan, or one that took an approval of it back.
    fingerprint : str
        That of its plan.
    rows, images : int
        Number of rows of its inventory, and of shares that its plan changes.
    approvals : tuple of Approval
        Those that hold for its plan.
    finished : bool
        Whether nothing is left to send.
    """

    name: str
    path: Path
    created: str
    planned: str
    fingerprint: str
    rows: int
    images: int
    approvals: tuple[Approval, ...] = ()
    finished: bool = False

    @property
    def sends_nothing(self) -> bool:
        """Whether its plan has no requests, so that there is nothing to approve."""
        return self.fingerprint == EMPTY_FINGERPRINT

    def to_body(self) -> dict[str, Any]:
        """Return what the fleet's ledger holds of it."""
        names = ("name", "created", "planned", "fingerprint", "rows", "images")
        return {name: getattr(self, name) for name in names}


def read_part(name: str, ledger: Ledger) -> Part:
    """Read a part from its ledger."""
    created, planned = ledger.last_event("created"), ledger.last_event("planned")
    last_event_body(ledger, "planned")
    assert created is not None  # noqa: S101 - for mypy: whoever compares hashes has one
    assert planned is not None  # noqa: S101 - for mypy: the line above has refused that
    fingerprint = planned.body["fingerprint"]
    return Part(
        name, ledger.path, created.hash, ledger.list_events(*VOIDING_EVENTS)[-1].hash, fingerprint,
        int(planned.body.get("rows", 0)), int(planned.body["planned"]),
        tuple(valid_approvals(ledger, fingerprint)), ledger.last_event("finished") is not None,
    )  # fmt: skip


@contextmanager
def open_part(
    folder: Path, part: Mapping[str, Any], *, write: bool = False, verify_chain: bool = True
) -> Iterator[Ledger]:
    """Open the ledger of a part that the fleet's ledger names.

    Raises
    ------
    LedgerError
        It is missing, is another ledger than the fleet was planned with, is damaged or in use.
    """
    path = folder / PART_LEDGER.format(part["name"])
    if not path.exists():
        raise LedgerError(f"{path}, a part of the fleet, is missing: put it back.")
    with _open(path, write=write, verify_chain=verify_chain) as ledger:
        created = ledger.last_event("created")
        if created is None or created.hash != part["created"]:
            raise LedgerError(
                f"{path} is not the ledger that the fleet was planned with, but another one: put "
                "the part's own ledger back."
            )
        yield ledger


def recover(folder: Path, *, take_over: bool = False) -> None:
    """Take back what processes that were killed have left half done, as whoever writes on does.

    A ledger with such a change cannot be read before that. With ``take_over`` the names of
    processes on other machines are removed first.
    """
    for path in folder.glob("*.ledger") if take_over and (folder / FLEET_LEDGER).exists() else ():
        with of_fleet(folder):
            break_lock(path)
    for journal in folder.glob("*.ledger-journal"):
        path = journal.with_name(journal.name.removesuffix("-journal"))
        if not is_busy(path):
            _open(path, write=True).close()


def _open(path: Path, *, write: bool = False, verify_chain: bool = True) -> Ledger:
    with of_fleet(path.parent):
        return Ledger.open(path, write=write, verify_chain=verify_chain)


@contextmanager
def of_fleet(folder: Path) -> Iterator[None]:
    """Name the fleet's own commands where an error of a ledger names those of a run."""
    try:
        yield
    except UnfinishedChangeError as error:
        raise UnfinishedChangeError(
            error.what,
            in_python="Fleet(FOLDER).submit() takes that change back.",
            in_shell=f"`sharekit fleet submit {folder}` takes that change back.",
        ) from None
    except LedgerHeldError as error:
        raise LedgerHeldError(
            error.what,
            in_python="sharekit.ledger.lock.break_lock(PATH).",
            in_shell=f"sharekit fleet submit {folder} --take-over",
        ) from None


@dataclass(frozen=True)
class StoredFleet:
    """A fleet: ``plan`` is the event ``fleet_planned``, ``parts`` are as they are now."""

    folder: Path
    plan: Event
    head: str
    event_count: int
    parts: tuple[Part, ...]

    @property
    def path(self) -> Path:
        """The fleet's own ledger."""
        return self.folder / FLEET_LEDGER

    @property
    def fingerprint(self) -> str:
        """The root of the tree over the plans of all parts, as they are now."""
        return root_of(self.parts)[0]


def read_fleet(folder: Path) -> StoredFleet:
    """Read a fleet and all of its parts.

    Raises
    ------
    LedgerError
        There is no fleet, a part is missing or is another one, or a ledger is damaged.
    """
    with open_fleet(folder) as ledger:
        plan = fleet_plan(ledger)
        head, count = ledger.head, ledger.event_count
    parts = []
    for number, body in enumerate(plan.body["parts"], 1):
        report("looking at the parts", number, len(plan.body["parts"]))
        with open_part(folder, body) as part:
            parts.append(read_part(body["name"], part))
    return StoredFleet(folder, plan, head, count, tuple(parts))


def open_fleet(folder: Path, *, write: bool = False, verify_chain: bool = True) -> Ledger:
    """Open the fleet's own ledger, in its folder.

    Raises
    ------
    LedgerError
        There is none, it is damaged, or another process is writing to it.
    """
    path = folder / FLEET_LEDGER
    if folder.is_file():
        raise LedgerError(f"{folder} is a file: name the folder of a fleet, with {FLEET_LEDGER}.")
    if not path.exists():
        raise LedgerError(
            f"{folder} holds no fleet: there is no {FLEET_LEDGER} in it.",
            in_python="sharekit.Fleet.plan(findings, FOLDER, by=…) makes one.",
            in_shell="`sharekit fleet plan SHARES FLEET` makes one.",
        )
    return _open(path, write=write, verify_chain=verify_chain)


def fleet_plan(ledger: Ledger) -> Event:
    """Return the latest event ``fleet_planned`` of a fleet's ledger.

    Raises
    ------
    LedgerError
        It holds no fleet, or names a part whose ledger would lie elsewhere.
    """
    event = ledger.last_event("fleet_planned")
    if event is None:
        raise LedgerError(f"{ledger.path} holds no fleet: it has no 'fleet_planned' event.")
    for part in event.body["parts"]:
        file = PART_LEDGER.format(part["name"])
        if Path(file).name != file or "\\" in file or ":" in file:
            raise LedgerError(
                f"{ledger.path} is damaged: it names the part {part['name']!r:.80}, whose ledger "
                "would lie in another folder."
            )
    return event


def root_of(parts: Sequence[Part]) -> tuple[str, dict[str, list[str]]]:
    """Return the fingerprint of a fleet, and the path of each plan's hash to it."""
    leaves = sorted(part.planned for part in parts)
    root, paths = tree_paths(leaves)
    return root, dict(zip(leaves, paths, strict=True))
