"""An approval given ahead: policies that may be sent for a time, and as many images a run.

It lies in a file of its own, which names the SHA-256 of the policies with their values, the last
day, the images of a run, and the reviewer, and may be signed. A run copies it in as its approval
(:mod:`.approve_ahead`). It holds for a plan only if these very policies decided every row that the
plan sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pandas as pd

from sharekit.core.columns import with_unit
from sharekit.core.errors import ApprovalError, InputError, UsageError
from sharekit.core.provenance import utc_now
from sharekit.ledger import signatures
from sharekit.ledger.events import STANDING, matches
from sharekit.ledger.ledger import Ledger

from ..approval import approver, has_ended
from ..plan import Plan
from ..steps import decision_of, list_steps
from .policy import Policies, Policy
from .policy_file import as_policies

#: No such file is larger.
_MAX_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class StandingApproval:
    """A reviewer's approval of everything that certain policies decide, for a time.

    Attributes
    ----------
    policies_sha256 : str
        :attr:`.Policies.fingerprint`: another list of values is another one.
    until : str
        The last day (UTC) on which a run may be submitted: ``YYYY-MM-DD``.
    max_images : int
        Number of images that one run may send at most.
    reviewer : str
        Who approved.
    at : str
        When (UTC).
    note : str
        A note for the reports.
    signature : str
        OpenSSH's signature over the other fields, or ``""``.
    """

    policies_sha256: str
    until: str
    max_images: int
    reviewer: str
    at: str
    note: str = ""
    signature: str = ""

    def to_body(self) -> dict[str, Any]:
        """Return it as the file and the ledger hold it."""
        body = asdict(self)
        return body if self.signature else {k: v for k, v in body.items() if k != "signature"}


def approve_policies(
    policies: Policies | Policy | str | PathLike[str], path: str | PathLike[str], *,
    until: str | date, max_images: int, reviewer: str, note: str = "",
    sign: str | PathLike[str] | None = None,
) -> StandingApproval:  # fmt: skip
    """Approve ahead what policies decide, in a new file.

    Parameters
    ----------
    policies : Policies, Policy or path
        The policies, or their YAML file.
    path : path
        The file to write; it must not exist yet.
    until : str or date
        The last day (UTC) on which a run may be submitted by it.
    max_images : int
        Number of images that one run may send at most.
    reviewer : str
        The name of the person who approves.
    note : str
        A note for the reports.
    sign : path, optional
        An OpenSSH key to sign with.

    Raises
    ------
    ApprovalError
        The day is over, no image may be sent, the reviewer has no name, or a policy is a function.
    InputError
        The file exists, or cannot be written.

    Examples
    --------
    >>> approve_policies(read_policies("policy.yaml"), "ahead.json", until="2027-03-01",
    ...                  max_images=200, reviewer="Ada")  # doctest: +SKIP
    """
    policies, name, day = as_policies(policies), approver(reviewer), _day(until)
    if day < datetime.now(UTC).date():
        raise ApprovalError(f"{day} is over, so nothing could be sent by this approval.")
    if not isinstance(max_images, int):
        raise UsageError(f"{max_images!r:.40} is no number of images: write a whole number.")
    if max_images < 1:
        raise ApprovalError(f"At most {max_images} images: nothing could be sent by this approval.")
    if any(policy.rows is not None for policy in policies.policies):
        raise ApprovalError(
            "A policy of a function or a mask cannot be applied again, so it is not approved ahead."
        )
    given = StandingApproval(
        policies.fingerprint, day.isoformat(), max_images, name, utc_now(), note
    )
    body = given.to_body()
    if sign is not None:
        body = signatures.sign(body, sign, signatures.STANDING)
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    except OSError as failure:
        raise InputError(
            f"{path} cannot be written ({failure.strerror}): name a new file for the approval."
        ) from None
    return StandingApproval(**body)


def read_standing(path: str | PathLike[str]) -> StandingApproval:
    """Read an approval that was given ahead.

    Raises
    ------
    InputError
        There is no such file, or it holds something else.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        body = json.loads(text) if len(text) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        body = None
    known = StandingApproval.__dataclass_fields__
    if not (isinstance(body, dict) and set(body) <= set(known) and matches(STANDING, body)):
        raise InputError(
            f"{path} is no approval of policies.",
            in_python="sharekit.plans.policies.standing.approve_policies makes one.",
            in_shell="`sharekit approve --policy FILE … -o FILE` makes one.",
        )
    _day(body["until"])
    return StandingApproval(**body)


def standing_errors(
    ledger: Ledger, plan: Plan, standing: Mapping[str, Any], at: str
) -> Iterator[str]:
    """Yield why an approval given ahead does not hold for a plan at a time (UTC).

    That the policies decide what their steps say is another question: see
    :func:`.policy_steps.step_errors`.
    """
    given = StandingApproval(**standing)
    if has_ended({"standing": standing}, at):
        yield f"it ended on {given.until}"
    images = int(plan.chunks["images"].sum())
    if images > given.max_images:
        yield f"the plan sends {with_unit(images, 'image')}, and it is for {given.max_images:,}"
    if count := len(rows_of_others(ledger, plan, given.policies_sha256)):
        yield (
            f"{with_unit(count, 'row')} of the plan {'is' if count == 1 else 'are'} not decided by "
            f"its policies (SHA-256 {given.policies_sha256[:12]})"
        )


def rows_of_others(ledger: Ledger, plan: Plan, policies_sha256: str) -> pd.Index:
    """Return the rows that a plan sends and that not these policies alone decided.

    A row that a person touched after them, if only its vault, is not theirs any more.
    """
    planned = plan.rows.index[plan.rows["disposition"] == "planned"]
    theirs = pd.Series(data=False, index=planned)
    for event in list_steps(ledger):
        step = decision_of(ledger, event)
        step = step[step.index.isin(planned)]
        mine = event.body.get("policies_sha256") == policies_sha256 and "policy" in step
        theirs[step.index] = (
            (step["policy"].fillna("") != "") & step["vault_id"].isna() if mine else False
        )
    return planned[~theirs.to_numpy()]


def _day(until: str | date) -> date:
    if isinstance(until, datetime):
        return until.date()
    try:
        return until if isinstance(until, date) else date.fromisoformat(until)
    except (TypeError, ValueError):
        raise UsageError(f"{until!r:.40} is no day: write it as 2027-03-01.") from None
