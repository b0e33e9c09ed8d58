"""Who said yes, to which fingerprint. Nothing is sent without it.

The states of a plan are few::

    planned ──approve──► approved ──submit──► sending ──► finished
       ▲                    │
       └──── any change ────┘   (a new plan has a new fingerprint, so the old yes is void)
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from .errors import ApprovalError
from .ledger import Ledger
from .planning import Plan, load_from

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
        The fingerprint is not the plan's, the reviewer has no name, or nothing would be sent.
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
        if current.chunks.empty:
            raise ApprovalError(f"{path}: the plan sends nothing, so there is nothing to approve.")
        images = int(current.chunks["images"].sum())
        yes = {"reviewer": name, "fingerprint": current.fingerprint, "images": images, "note": note}
        return Approval(name, current.fingerprint, images, book.append("approved", yes).at, note)


def approval_of(book: Ledger, fingerprint: str) -> Approval | None:
    """Return the approval that is valid for a fingerprint: the last one, after the last plan."""
    events = book.events("planned", "approved")
    if not events or events[-1].kind != "approved" or events[-1].body["fingerprint"] != fingerprint:
        return None
    return Approval(**events[-1].body, at=events[-1].at)


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
