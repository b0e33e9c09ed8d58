"""A run that an approval given ahead covers: it is copied in, and checked at each submit."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from sharekit.core.errors import ApprovalError
from sharekit.core.provenance import distinct_people, looks, utc_now
from sharekit.ledger.events import VOIDING_EVENTS
from sharekit.ledger.ledger import Ledger

from .. import approval
from ..plan import HasLedger, Plan, ledger_path, read_plan
from ..replay import plan_problems, step_problems
from .standing import read_standing, standing_errors


def approve_ahead(
    plan: HasLedger | str | PathLike[str], file: str | PathLike[str]
) -> approval.Approval | None:
    """Copy an approval given ahead into a run, as the approval of its plan.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    file : path
        The approval, from :func:`.standing.approve_policies`.

    Returns
    -------
    Approval or None
        None if the plan sends nothing, and so needs none.

    Raises
    ------
    ApprovalError
        It does not hold for this plan: it ended, is for fewer images, somebody took an approval of
        this plan back, or some row was decided by anybody else than its policies.
    InputError
        The file holds no such approval.

    Examples
    --------
    >>> approve_ahead("run.ledger", "ahead.json")  # doctest: +SKIP
    """
    path, given = ledger_path(plan), read_standing(file)
    with Ledger.open(path, write=True) as ledger:
        current = read_plan(ledger)
        if current.chunks.empty:
            return None
        for known in approval.valid_approvals(ledger, current.fingerprint):
            if known.standing == given.to_body():
                return known  # a run that goes on
        approval.check_approvable(ledger, current, given.reviewer)
        _refuse(ledger, current, given.to_body(), str(file))
        if (last := ledger.list_events(*VOIDING_EVENTS)[-1]).kind == "approval_revoked":
            raise ApprovalError(
                f"{path}: {last.body['reviewer']} took the approval of this plan back, so none is "
                "copied in again that was given ahead. A person has to approve the plan by its "
                f"fingerprint {current.fingerprint[:12]}."
            )
        body: dict[str, Any] = {
            "reviewer": given.reviewer, "fingerprint": current.fingerprint, "note": given.note,
            "images": int(current.chunks["images"].sum()), "after": ledger.head,
            "standing": given.to_body(),
        }  # fmt: skip
        return approval.write_approval(ledger, body)


def require_ahead(
    ledger: Ledger, plan: Plan, approvals: list[approval.Approval],
    requirement: approval.ApprovalRequirement | None = None,
) -> list[approval.Approval]:  # fmt: skip
    """Return the approvals that hold now; those given ahead only if they cover this very plan.

    Raises
    ------
    ApprovalError
        One given ahead does not hold (any more), and those that do are fewer than required.
    """
    if not any(one.standing for one in approvals):
        return approvals
    holding, errors = [], []
    for one in approvals:
        try:
            if one.standing:
                _refuse(ledger, plan, one.standing, f"the approval of {one.reviewer}")
            holding.append(one)
        except ApprovalError as error:
            errors.append(error)
    planner = looks(approval.planner_of(ledger))
    names = distinct_people(one.reviewer for one in holding if not looks(one.reviewer) & planner)
    if errors and len(names) < max(1, requirement.reviewers if requirement else 1):
        raise errors[0]
    return holding


def _refuse(ledger: Ledger, plan: Plan, standing: dict[str, Any], what: str) -> None:
    # Nobody looks at this plan: it is made again, with every step of its policies.
    errors = [*standing_errors(ledger, plan, standing, utc_now())]
    problems = [] if errors else [*step_problems(ledger), *plan_problems(ledger, plan)]
    errors += [f"{where} {problem}" for where, problem in problems]
    if errors:
        raise ApprovalError(
            f"{Path(ledger.path)}: {what} does not hold for this plan, so nothing is sent by it: "
            f"{errors[0]}. A person has to approve the plan by its fingerprint "
            f"{plan.fingerprint[:12]}."
        )
