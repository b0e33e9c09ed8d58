"""Who approved which fingerprint. Nothing is sent without an approval.

The states of a plan are few::

    planned ──approve──► approved ──submit──► sending ──► finished
       ▲                    │
       └─ revoke, any change ┘   (a new plan has a new fingerprint, so the old approval is void)

Decisions that were taken after the plan was made are *pending*: they are not in the plan, which
cannot be approved before :func:`~sharekit.plans.decisions.replan` has put them in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from sharekit.core.columns import with_unit
from sharekit.core.errors import ApprovalError
from sharekit.core.html import table
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.provenance import distinct_people, looks, name_error, user, utc_now
from sharekit.ledger import signatures
from sharekit.ledger.events import VOIDING_EVENTS, signed_part
from sharekit.ledger.hashing import tree_root
from sharekit.ledger.ledger import Event, Ledger

from .chunks import EMPTY_FINGERPRINT
from .plan import HasLedger, Plan, ledger_path, read_plan
from .storage import LOG, last_event_body

#: Minimum number of digits of the fingerprint: enough to show that somebody has looked at it.
MIN_FINGERPRINT_DIGITS = 8


@dataclass(frozen=True, repr=False)
class Approval:
    """A reviewer's approval of one fingerprint, at a time (UTC), with its number of images.

    ``ledger_head`` is the head of the ledger that was approved, so that the approval holds for no
    other run; ``signature`` is OpenSSH's, or ``""``. ``standing`` is the approval that was given
    ahead, with its own signature, or empty.
    """

    reviewer: str
    fingerprint: str
    images: int
    at: str
    note: str = ""
    ledger_head: str = ""
    signature: str = ""
    standing: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        what = f"{with_unit(self.images, 'share')}, fingerprint {self.fingerprint[:12]}"
        signed = ", signed" if self.signature else ""
        return f"<Approval: {self.reviewer}, {what}, {self.at[:16]}{signed}>"

    def _repr_html_(self) -> str:
        facts = [(n, getattr(self, n)) for n in ("reviewer", "images", "fingerprint", "at", "note")]
        return table(pd.DataFrame(facts, columns=["", "value"]), title=repr(self)[1:-1])


@dataclass(frozen=True)
class ApprovalRequirement:
    """What is required before anything is sent.

    ``reviewers`` is the number of different reviewers who must approve. ``signers`` is OpenSSH's
    allowed-signers file; with it only signed approvals count, each by the key of its reviewer.
    """

    reviewers: int = 1
    signers: str | PathLike[str] | None = None


@checks_arguments
@shows_progress("approving")
def approve(
    plan: HasLedger | str | PathLike[str],
    *,
    reviewer: str,
    fingerprint: str,
    note: str = "",
    sign: str | PathLike[str] | None = None,
    progress: bool = True,
) -> Approval:
    """Approve the plan of a ledger by naming (the beginning of) its fingerprint.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    reviewer : str
        The name of the person who approves; with ``sign``, as in the allowed-signers file.
    fingerprint : str
        At least the first eight digits of the plan's fingerprint.
    note : str
        A note for the report.
    sign : path, optional
        An OpenSSH key to sign with (a public one if an ssh-agent holds the private half).
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    Approval
        Who approved which fingerprint; the ledger holds it from now on.

    Raises
    ------
    ApprovalError
        The fingerprint is not the plan's, the reviewer has no name, one with characters that
        nobody can see, or one that looks like the planner's, decisions are pending, the run is
        finished, or the plan sends nothing.
    UsageError
        The key cannot sign.
    LedgerError
        There is no such ledger, or another process is using it.

    Examples
    --------
    >>> shown = review("run.ledger").plan  # doctest: +SKIP
    >>> approve(shown, reviewer="Ada", fingerprint=shown.fingerprint[:12])  # doctest: +SKIP
    """
    path = ledger_path(plan)
    given, name = str(fingerprint).strip().lower(), approver(reviewer)
    if len(given) < MIN_FINGERPRINT_DIGITS:
        raise ApprovalError(
            f"Nothing is approved: name at least {MIN_FINGERPRINT_DIGITS} digits of the plan's "
            "fingerprint, once you have looked at it."
        )
    with Ledger.open(path, write=True) as ledger:
        current = read_plan(ledger)
        if not current.fingerprint.startswith(given):
            raise ApprovalError(
                f"{path}: the plan's fingerprint is {current.fingerprint[:12]}…, not {given[:12]}. "
                "Look at the plan again before you approve it."
            )
        check_approvable(ledger, current, name)
        body = {
            "reviewer": name, "fingerprint": current.fingerprint, "note": note,
            "images": int(current.chunks["images"].sum()), "after": ledger.head,
        }  # fmt: skip
        if sign is not None:
            body = signatures.sign(body, sign, signatures.APPROVAL)
        return write_approval(ledger, body)


def check_approvable(ledger: Ledger, plan: Plan, name: str) -> None:
    """Refuse the approval of a plan that this person, or anybody, cannot approve."""
    _check_four_eyes(ledger, name)
    if pending := pending_decisions(ledger):
        raise ApprovalError(
            f"{ledger.path}: {with_unit(pending, 'step')} of decisions came after the plan was "
            "made. Plan again, and look at the new plan, before you approve it."
        )
    if plan.chunks.empty:
        raise ApprovalError(
            f"{ledger.path}: the plan sends nothing, so there is nothing to approve.",
            in_python="sharekit.submit(plan, clouds) ends the run as it is.",
            in_shell="`sharekit submit` ends the run as it is.",
        )
    if ledger.last_event("finished") is not None:
        raise ApprovalError(f"{ledger.path}: the run is finished, so there is nothing to approve.")


def write_approval(ledger: Ledger, body: dict[str, Any]) -> Approval:
    """Write an approval that was checked."""
    LOG.info("%s approved %s: %.12s", body["reviewer"], ledger.path, body["fingerprint"])
    return _approval(ledger.append("approved", body))


def valid_approvals(ledger: Ledger, fingerprint: str, now: str = "") -> list[Approval]:
    """Return the approvals of a fingerprint that no later event voids, nor their end, as of now."""
    return [_approval(event) for event in _valid_events(ledger, fingerprint, now=now)]


def _valid_events(
    ledger: Ledger, fingerprint: str, before: int | None = None, now: str = ""
) -> list[Event]:
    valid: list[Event] = []
    voided = ""
    for event in ledger.list_events("approved", *VOIDING_EVENTS):
        if before is not None and event.seq >= before:
            break
        if event.kind != "approved":
            valid, voided = [], event.hash
        elif (
            event.body["fingerprint"] == fingerprint
            and not has_ended(event.body, now)
            and not fleet_error(event.body, voided)
        ):
            valid.append(event)
    return valid


def fleet_error(approved: Mapping[str, Any], voided: str) -> str:
    """Return why an approval of a fleet is none of this plan, ``""`` if it is.

    ``voided`` is the hash of the latest event after which no earlier approval holds: the plan's, or
    one that took its approval back, so that nobody writes the old approval again. An approval that
    was given for this plan alone has no such error.
    """
    fleet = approved.get("fleet")
    if fleet is None:
        return ""
    if fleet["reviewer"] != approved["reviewer"]:
        return "was given for the fleet by somebody else"
    covers = bool(voided) and tree_root(voided, fleet["path"]) == fleet["fingerprint"]
    return (
        ""
        if covers
        else "was given for a fleet that has not this plan, or before its approval was revoked"
    )


def has_ended(approved: Mapping[str, Any], now: str) -> bool:
    """Return True if an approval was given ahead, for a time that is over (``now`` is UTC)."""
    standing = approved.get("standing") or {}
    return bool(standing) and now[:10] > str(standing["until"])


def latest_approval(ledger: Ledger, fingerprint: str) -> Approval | None:
    """Return the latest of :func:`valid_approvals`."""
    return next(reversed(valid_approvals(ledger, fingerprint)), None)


def reviewers_of(path: str | PathLike[str]) -> list[str]:
    """Return the names of those who have approved the plan as it is now, each once.

    Names that look alike are one person's.
    """
    with Ledger.open(Path(path)) as ledger:
        approvals = valid_approvals(ledger, plan_event(ledger)["fingerprint"], utc_now())
    return distinct_people(approval.reviewer for approval in approvals)


def revoke(plan: HasLedger | str | PathLike[str], *, reviewer: str, note: str = "") -> None:
    """Withdraw the approval of a plan, so that its rows can be decided again.

    Raises
    ------
    ApprovalError
        There is no valid approval, requests were sent already, or the name is nobody's.
    LedgerError
        There is no such ledger, or another process is using it.

    Examples
    --------
    >>> revoke("run.ledger", reviewer="Ada", note="one image too many")  # doctest: +SKIP
    """
    path, name = ledger_path(plan), approver(reviewer or user())
    with Ledger.open(path, write=True) as ledger:
        fingerprint = plan_event(ledger)["fingerprint"]
        if latest_approval(ledger, fingerprint) is None:
            raise ApprovalError(f"{path}: there is no valid approval that could be taken back.")
        if ledger.last_event("intent") is not None:
            raise ApprovalError(f"{path}: requests were sent already; what was sent stays sent.")
        body = {"reviewer": name, "fingerprint": fingerprint, "note": note}
        ledger.append("approval_revoked", body)
        LOG.info("%s withdrew the approval of %s", name, path)


def approver(reviewer: str) -> str:
    """Return the name of a person who approves; raise ApprovalError if it is nobody's."""
    name = reviewer.strip() if isinstance(reviewer, str) else ""
    if not name:
        raise ApprovalError("An approval needs the reviewer's name.")
    if error := name_error(name):
        raise ApprovalError(error)
    return name


def pending_decisions(ledger: Ledger) -> int:
    """Return how many steps of decisions are not in the plan yet."""
    kinds = [event.kind for event in ledger.list_events("planned", "decided", "decision_undone")]
    return kinds[::-1].index("planned") if "planned" in kinds else len(kinds)


def plan_event(ledger: Ledger) -> dict[str, Any]:
    """Return the body of the latest event `planned`."""
    return last_event_body(ledger, "planned")


def planner_of(ledger: Ledger) -> str:
    """Return the name of the person who planned, ``""`` if none was given."""
    return str(plan_event(ledger)["settings"].get("planner", ""))


def _check_four_eyes(ledger: Ledger, name: str) -> None:
    planner = planner_of(ledger)
    if looks(planner) & looks(name):
        raise ApprovalError(
            f"{ledger.path}: {planner} made this plan, so somebody else has to approve it."
        )


def require_approval(
    ledger: Ledger, fingerprint: str, requirement: ApprovalRequirement | None = None
) -> list[Approval]:
    """Return the approvals that satisfy a requirement. A plan that sends nothing needs none.

    Raises
    ------
    ApprovalError
        If there are fewer than required.
    """
    approvals = valid_approvals(ledger, fingerprint)
    if fingerprint == EMPTY_FINGERPRINT and not pending_decisions(ledger):
        return approvals
    if not approvals and (earlier := ledger.last_event("approved")) is not None:
        raise ApprovalError(
            f"{ledger.path}: the plan has changed since {earlier.body['reviewer']} approved it.",
            in_python=(step := f"It must be approved again: fingerprint {fingerprint[:12]}."),
            in_shell=step,
        )
    if not approvals:
        raise ApprovalError(
            f"{ledger.path}: the plan is not approved, so nothing is sent.",
            in_python=(step := f"Approve it by its fingerprint {fingerprint[:12]}."),
            in_shell=step,
        )
    if missing := missing_approvals(ledger, fingerprint, requirement):
        raise ApprovalError(f"{ledger.path}: {missing}")
    errors = _signature_errors(ledger, fingerprint, requirement)
    return [approval for approval in approvals if approval.at not in errors]


def missing_approvals(
    ledger: Ledger,
    fingerprint: str,
    requirement: ApprovalRequirement | None = None,
    before: int | None = None,
    now: str = "",
) -> str:
    """Return in one sentence who has still to approve a fingerprint, ``""`` if nobody has.

    With ``before``, only what precedes the event of this number counts; with ``now`` (UTC), no
    approval given ahead that has ended by then.
    """
    requirement = requirement or ApprovalRequirement()
    errors = _signature_errors(ledger, fingerprint, requirement, before)
    events = _valid_events(ledger, fingerprint, before, now)
    planner = looks(planner_of(ledger))
    names = [e.body["reviewer"] for e in events if e.at not in errors]
    reviewers = distinct_people(name for name in names if not looks(name) & planner)
    missing = max(requirement.reviewers, 1) - len(reviewers)
    if missing <= 0:
        return ""
    details = "".join(f" The approval {error}." for error in errors.values())
    return (
        f"{with_unit(missing, 'more reviewer')} must approve it"
        f"{' with a signature' if requirement.signers else ''}, so nothing is sent.{details}"
    )


def insufficient_approvals(
    ledger: Ledger, requirement: ApprovalRequirement
) -> Iterator[tuple[Event | None, str]]:
    """Yield each submission that had fewer approvals than required, and what it lacked.

    Each is compared with the plan of its time, by the rule of :func:`require_approval`: as many
    reviewers as the submission required itself, and as ``requirement`` does. A plan that was never
    submitted is compared with the approvals that it has now; then the event is None.
    """
    fingerprint, submitted = "", False
    for event in ledger.list_events("planned", "submit_started", "intent"):
        if event.kind == "planned":
            fingerprint = event.body["fingerprint"]
        elif event.kind == "submit_started" or not submitted:
            submitted = True
            if fingerprint == EMPTY_FINGERPRINT:
                continue  # as in `require_approval`
            reviewers = max(requirement.reviewers, int(event.body.get("reviewers", 1)))
            required = ApprovalRequirement(reviewers, requirement.signers)
            if missing := missing_approvals(ledger, fingerprint, required, event.seq):
                yield event, missing.replace(", so nothing is sent", ", but had not by then")
    if fingerprint not in ("", EMPTY_FINGERPRINT) and not submitted:
        missing = missing_approvals(ledger, fingerprint, requirement)
        if missing:
            yield None, missing


def _signature_errors(
    ledger: Ledger,
    fingerprint: str,
    requirement: ApprovalRequirement | None,
    before: int | None = None,
) -> dict[str, str]:
    signers = requirement.signers if requirement else None
    return dict(invalid_signatures(ledger, fingerprint, signers, before)) if signers else {}


def invalid_signatures(
    ledger: Ledger, fingerprint: str, signers: str | PathLike[str], before: int | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the time of each approval without a valid signature, and what is wrong with it."""
    for event in _valid_events(ledger, fingerprint, before):
        reviewer, body = event.body["reviewer"], signed_part(event.body)
        # An approval given ahead was signed for policies, and for every run that they decide; that
        # of a fleet for the root of a tree, to which the path leads that is no part of it.
        kinds = {"standing": signatures.STANDING, "fleet": signatures.FLEET}
        purpose = next((kinds[k] for k in kinds if event.body.get(k)), signatures.APPROVAL)
        signed = {name: value for name, value in body.items() if name != "path"}
        error = signatures.signature_error(signed, signers, purpose, reviewer)
        if not error and body is event.body and body["after"] != event.prev:
            error = "was signed for another run"
        if error:
            yield event.at, f"by {reviewer} {error}"


def require_approval_of(
    path: str | PathLike[str], requirement: ApprovalRequirement | None = None
) -> list[Approval]:
    """As :func:`require_approval`, for a ledger that is not open."""
    with Ledger.open(Path(path)) as ledger:
        return require_approval(ledger, read_plan(ledger).fingerprint, requirement)


def seal(run: str | PathLike[str], key: str | PathLike[str]) -> str:
    """Sign the head of a finished run, so that a missing end shows as well; return the head.

    Raises
    ------
    ApprovalError
        The run is not finished, or has a seal.
    UsageError
        The key cannot sign.
    """
    with Ledger.open(Path(run), write=True) as ledger:
        if ledger.last_event("finished") is None:
            raise ApprovalError(f"{run}: only a finished run is sealed; submit it to its end.")
        if ledger.last_event("sealed") is not None:
            raise ApprovalError(f"{run}: the run is sealed already.")
        seal_ledger(ledger, key)
        return ledger.head


def seal_ledger(ledger: Ledger, key: str | PathLike[str]) -> None:
    """Sign the head of a ledger that has come to its end."""
    body = {"events": ledger.event_count, "head": ledger.head}
    ledger.append("sealed", signatures.sign(body, key, signatures.SEAL))


def _approval(event: Event) -> Approval:
    body = event.body
    return Approval(
        body["reviewer"], body["fingerprint"], body["images"], event.at, body["note"],
        ledger_head=body["after"], signature=signed_part(body).get("signature", ""),
        standing=body.get("standing", {}),
    )  # fmt: skip
