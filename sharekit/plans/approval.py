"""Who said yes, to which fingerprint. Nothing is sent without it.

The states of a plan are few::

    planned ──approve──► approved ──submit──► sending ──► finished
       ▲                    │
       └─ revoke, any change ┘   (a new plan has a new fingerprint, so the old yes is void)

A decision that was taken after the plan was made is not in it: such a plan is *stale*, and cannot
be approved before it is made anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

from sharekit.core.errors import ApprovalError
from sharekit.ledger import signatures
from sharekit.ledger.events import VOIDING_EVENTS
from sharekit.ledger.ledger import Event, Ledger

from .chunks import NOTHING
from .plan import Plan, load_from, told

#: So many digits of the fingerprint at least: enough that it was looked at, and is meant.
SHORTEST = 8


@dataclass(frozen=True)
class Approval:
    """A reviewer's yes to one fingerprint, at a time (UTC), for so many images.

    ``after`` is the head of the ledger it was given to, so that it is good for no other run;
    ``signature`` is OpenSSH's, or ``""``.
    """

    reviewer: str
    fingerprint: str
    images: int
    at: str
    note: str = ""
    after: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Demand:
    """What it takes before anything is sent: how many reviewers, and whose signatures.

    ``signers`` is OpenSSH's allowed-signers file; with it only signed approvals count, each by
    the key of the reviewer it names.
    """

    reviewers: int = 1
    signers: str | PathLike[str] | None = None


def approve(
    plan: Plan | str | PathLike[str],
    *,
    reviewer: str,
    fingerprint: str,
    note: str = "",
    sign: str | PathLike[str] | None = None,
) -> Approval:
    """Approve the plan of a ledger by naming (the beginning of) its fingerprint.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    reviewer : str
        Who approves; with ``sign``, as the allowed-signers file calls them.
    fingerprint : str
        At least the first eight digits of the plan's fingerprint.
    note : str
        A reason, for the report.
    sign : path, optional
        An OpenSSH key to sign with (a public one if an ssh-agent holds the private half).

    Raises
    ------
    ApprovalError
        The fingerprint is not the plan's, the reviewer has no name or is the planner, decisions
        are not in the plan yet, or nothing would be sent.
    UsageError
        The key cannot sign.
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
        raise ApprovalError(
            f"Nothing is approved: name at least {SHORTEST} digits of the plan's fingerprint, "
            "once you have looked at it."
        )
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
            raise ApprovalError(
                f"{path}: the plan sends nothing, so there is nothing to approve; "
                "`sharekit submit` ends the run as it is."
            )
        if book.last_event("finished") is not None:
            raise ApprovalError(f"{path}: the run is finished, so there is nothing to approve.")
        body = {
            "reviewer": name, "fingerprint": current.fingerprint, "note": note,
            "images": int(current.chunks["images"].sum()), "after": book.head,
        }  # fmt: skip
        if sign is not None:
            body = signatures.sign(body, sign, signatures.APPROVAL)
        return _approval(book.append("approved", body))


def approvals_of(book: Ledger, fingerprint: str) -> list[Approval]:
    """Return the approvals that are valid for a fingerprint: those that no later change voids."""
    return [_approval(event) for event in _valid(book, fingerprint)]


def _valid(book: Ledger, fingerprint: str, before: int | None = None) -> list[Event]:
    valid: list[Event] = []
    for event in book.list_events("approved", *VOIDING_EVENTS):
        if before is not None and event.seq >= before:
            break
        if event.kind != "approved":
            valid = []
        elif event.body["fingerprint"] == fingerprint:
            valid.append(event)
    return valid


def approval_of(book: Ledger, fingerprint: str) -> Approval | None:
    """Return the latest of :func:`approvals_of`."""
    return next(reversed(approvals_of(book, fingerprint)), None)


def reviewers_of(path: str | PathLike[str]) -> list[str]:
    """Who has approved the plan as it is now, each once."""
    with Ledger.open(Path(path)) as book:
        given = approvals_of(book, planned(book)["fingerprint"])
    return list(dict.fromkeys(yes.reviewer for yes in given))


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
        if book.last_event("intent") is not None:
            raise ApprovalError(f"{path}: requests were sent already; what was sent stays sent.")
        book.append("revoked", {"reviewer": reviewer, "fingerprint": said, "note": note})


def stale(book: Ledger) -> int:
    """How many steps of deciding the plan does not hold yet."""
    kinds = [event.kind for event in book.list_events("planned", "decided", "undone")]
    return kinds[::-1].index("planned") if "planned" in kinds else len(kinds)


def planned(book: Ledger) -> dict[str, Any]:
    """What the latest plan's event says."""
    return told(book, "planned")


def _independent(book: Ledger, name: str) -> None:
    planner = str(planned(book)["settings"].get("planner", ""))
    if planner and planner.casefold() == name.casefold():
        raise ApprovalError(
            f"{book.path}: {planner} made this plan, so somebody else has to approve it."
        )


def require(book: Ledger, fingerprint: str, demand: Demand | None = None) -> list[Approval]:
    """As :func:`approvals_of`, of those that count; or refuse. What sends nothing needs none.

    Raises
    ------
    ApprovalError
        If there are fewer than demanded.
    """
    given = approvals_of(book, fingerprint)
    if fingerprint == NOTHING and not stale(book):
        return given
    if not given and (earlier := book.last_event("approved")) is not None:
        raise ApprovalError(
            f"{book.path}: the plan has changed since {earlier.body['reviewer']} approved it. "
            f"It must be approved again: fingerprint {fingerprint[:12]}."
        )
    if not given:
        raise ApprovalError(
            f"{book.path}: the plan is not approved, so nothing is sent. Approve it by its "
            f"fingerprint {fingerprint[:12]}."
        )
    if lack := missing(book, fingerprint, demand):
        raise ApprovalError(f"{book.path}: {lack}")
    faults = _faults(book, fingerprint, demand)
    return [approval for approval in given if approval.at not in faults]


def missing(
    book: Ledger, fingerprint: str, demand: Demand | None = None, before: int | None = None
) -> str:
    """Who has still to approve a fingerprint, in one sentence, or ``""`` if it is enough.

    With ``before``, only what stands before that event counts.
    """
    demand = demand or Demand()
    valid, faults = _valid(book, fingerprint, before), _faults(book, fingerprint, demand, before)
    good = {e.body["reviewer"].casefold() for e in valid if e.at not in faults}
    lack = max(demand.reviewers, 1) - len(good)
    if lack <= 0:
        return ""
    told = "".join(f" The approval {what}." for what in faults.values())
    return (
        f"{lack} more {'reviewer' if lack == 1 else 'reviewers'} must approve it"
        f"{' with a signature' if demand.signers else ''}, so nothing is sent.{told}"
    )


def unproven(book: Ledger, demand: Demand) -> Iterator[tuple[Event | None, str]]:
    """Yield each submission before which fewer approved than were demanded, and what lacks.

    Each is held against the plan of its time, by the rule of :func:`require`: as many reviewers
    as it demanded itself, and as ``demand`` does. A plan that nobody has submitted is held
    against what stands there now; then no event is named.
    """
    fingerprint, sent = "", False
    for event in book.list_events("planned", "submitting", "intent"):
        if event.kind == "planned":
            fingerprint = event.body["fingerprint"]
        elif event.kind == "submitting" or not sent:
            sent = True
            if fingerprint == NOTHING:
                continue  # as in `require`: what sends nothing needs nobody's yes
            reviewers = max(demand.reviewers, int(event.body.get("reviewers", 1)))
            here = Demand(reviewers, demand.signers)
            if lack := missing(book, fingerprint, here, event.seq):
                yield event, lack.replace(", so nothing is sent", ", but had not by then")
    if (
        fingerprint not in ("", NOTHING)
        and not sent
        and (lack := missing(book, fingerprint, demand))
    ):
        yield None, lack


def _faults(
    book: Ledger, fingerprint: str, demand: Demand | None, before: int | None = None
) -> dict[str, str]:
    signers = demand.signers if demand else None
    return dict(unsigned(book, fingerprint, signers, before)) if signers else {}


def unsigned(
    book: Ledger, fingerprint: str, signers: str | PathLike[str], before: int | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the time of each valid approval without a good signature, and what is wrong."""
    for event in _valid(book, fingerprint, before):
        fault = signatures.signature_error(
            event.body, signers, signatures.APPROVAL, event.body["reviewer"]
        )
        if not fault and event.body["after"] != event.prev:
            fault = "was signed for another run"
        if fault:
            yield event.at, f"by {event.body['reviewer']} {fault}"


def ensure(path: str | PathLike[str], demand: Demand | None = None) -> list[Approval]:
    """As :func:`require`, for a ledger's file, before anything else is done."""
    with Ledger.open(Path(path)) as book:
        return require(book, load_from(book).fingerprint, demand)


def seal(run: str | PathLike[str], key: str | PathLike[str]) -> str:
    """Sign the head of a finished run, so that a cut-off end is found as well; return the head.

    Raises
    ------
    ApprovalError
        The run is not finished, or has a seal.
    UsageError
        The key cannot sign.
    """
    with Ledger.open(Path(run), write=True) as book:
        if book.last_event("finished") is None:
            raise ApprovalError(f"{run}: only a finished run is sealed; submit it to its end.")
        if book.last_event("sealed") is not None:
            raise ApprovalError(f"{run}: the run is sealed already.")
        body = {"events": book.event_count, "head": book.head}
        book.append("sealed", signatures.sign(body, key, signatures.SEAL))
        return book.head


def _approval(event: Event) -> Approval:
    names = [field.name for field in fields(Approval) if field.name in event.body]
    return Approval(**{name: event.body[name] for name in names} | {"at": event.at})
