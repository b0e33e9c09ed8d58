"""Who said yes, to which fingerprint. Nothing is sent without it.

The states of a plan are few::

    planned ──approve──► approved ──submit──► sending ──► finished
       ▲                    │
       └─ revoke, any change ┘   (a new plan has a new fingerprint, so the old yes is void)

A decision that was taken after the plan was made is not in it: such a plan is *stale*, and cannot
be approved before it is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from .errors import ApprovalError, LedgerError
from .ledger import Ledger
from .planning import Plan, load_from

#: What voids an approval when it comes after it.
_CHANGES = ("planned", "decided", "undone", "revoked")

#: So many digits of the fingerprint at least: enough that it was looked at, and is meant.
SHORTEST = 8


@dataclass(frozen=True)
class Approval:
    """A reviewer's yes to one fingerprint, at a time (UTC), for so many images."""

    reviewer: str
    fingerprint: str
    images: int
    at: str
    note: str = ""


def approve(
    plan: Plan | str | PathLike[str], *, reviewer: str, fingerprint: str, note: str = ""
) -> Approval:
    """Approve the plan of a ledger by naming (the beginning of) its fingerprint.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    reviewer : str
        Who approves.
    fingerprint : str
        At least the first eight digits of the plan's fingerprint.
    note : str
        A reason, for the report.

    Raises
    ------
    ApprovalError
        The fingerprint is not the plan's, the reviewer has no name or is the planner, decisions
        are not in the plan yet, or nothing would be sent.
    LedgerError
        There is no such ledger, or another process is using it.

    Examples
    --------
    >>> approve("run.ledger", reviewer="Ada", fingerprint="f3b0c442")  # doctest: +SKIP
    """
    path = plan.path if isinstance(plan, Plan) else Path(plan)
    given, name = fingerprint.strip().lower(), reviewer.strip()
    if not name:
        raise ApprovalError("An approval needs the reviewer's name.")
    if len(given) < SHORTEST:
        raise ApprovalError(f"Give at least {SHORTEST} digits of the fingerprint.")
    with Ledger.open(path, write=True) as book:
        current = load_from(book)
        if not current.fingerprint.startswith(given):
            raise ApprovalError(
                f"{path}: the plan's fingerprint is {current.fingerprint[:12]}…, not {given[:12]}. "
                "Look at the plan again before you approve it."
            )
        _independent(book, name)
        if undecided := stale(book):
            raise ApprovalError(
                f"{path}: decisions were taken since the plan was made ({undecided:,} times). "
                "Make the plan anew, and look at it, before you approve it."
            )
        if current.chunks.empty:
            raise ApprovalError(f"{path}: the plan sends nothing, so there is nothing to approve.")
        images = int(current.chunks["images"].sum())
        yes = {"reviewer": name, "fingerprint": current.fingerprint, "images": images, "note": note}
        return Approval(name, current.fingerprint, images, book.append("approved", yes).at, note)


def approval_of(book: Ledger, fingerprint: str) -> Approval | None:
    """Return the approval that is valid for a fingerprint: the last one, after the last plan."""
    events = book.events("approved", *_CHANGES)
    if not events or events[-1].kind != "approved" or events[-1].body["fingerprint"] != fingerprint:
        return None
    return Approval(**events[-1].body, at=events[-1].at)


def revoke(plan: Plan | str | PathLike[str], *, reviewer: str, note: str = "") -> None:
    """Take the approval of a plan back, so that its rows can be decided anew.

    Raises
    ------
    ApprovalError
        There is no valid approval, or requests were sent already.
    LedgerError
        There is no such ledger, or another process is using it.

    Examples
    --------
    >>> revoke("run.ledger", reviewer="Ada", note="one image too many")  # doctest: +SKIP
    """
    path = plan.path if isinstance(plan, Plan) else Path(plan)
    with Ledger.open(path, write=True) as book:
        said = planned(book)["fingerprint"]
        if approval_of(book, said) is None:
            raise ApprovalError(f"{path}: there is no valid approval that could be taken back.")
        if book.last("intent") is not None:
            raise ApprovalError(f"{path}: requests were sent already; what was sent stays sent.")
        book.append("revoked", {"reviewer": reviewer, "fingerprint": said, "note": note})


def stale(book: Ledger) -> int:
    """How many steps of deciding the plan does not hold yet."""
    kinds = [event.kind for event in book.events("planned", "decided", "undone")]
    return kinds[::-1].index("planned") if "planned" in kinds else len(kinds)


def planned(book: Ledger) -> dict[str, Any]:
    """What the latest plan's event says."""
    event = book.last("planned")
    if event is None:
        raise LedgerError(f"{book.path} is incomplete: it has no 'planned' event.")
    return event.body


def _independent(book: Ledger, name: str) -> None:
    planner = str(planned(book)["settings"].get("planner", ""))
    if planner and planner.casefold() == name.casefold():
        raise ApprovalError(
            f"{book.path}: {planner} made this plan, so somebody else has to approve it."
        )


def require(book: Ledger, fingerprint: str) -> Approval:
    """As :func:`approval_of`, or refuse.

    Raises
    ------
    ApprovalError
        If there is no valid approval.
    """
    approval = approval_of(book, fingerprint)
    if approval is not None:
        return approval
    earlier = book.last("approved")
    if earlier is not None:
        raise ApprovalError(
            f"{book.path}: the plan has changed since {earlier.body['reviewer']} approved it. "
            f"It must be approved again: fingerprint {fingerprint[:12]}."
        )
    raise ApprovalError(
        f"{book.path}: the plan is not approved, so nothing is sent. Approve it by its "
        f"fingerprint {fingerprint[:12]}."
    )


def ensure(path: str | PathLike[str]) -> Approval:
    """As :func:`require`, for a ledger's file, before anything else is done."""
    with Ledger.open(Path(path)) as book:
        return require(book, load_from(book).fingerprint)
