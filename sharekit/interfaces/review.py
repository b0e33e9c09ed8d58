"""One review of one ledger: everything that a click in the panel does, as a call.

The session shows what the ledger holds and writes each step into it at once, so it can be closed,
killed and opened again anywhere. It knows no widgets; a notebook shows it as a panel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from sharekit.clouds.registry import Clouds
from sharekit.core.errors import ApprovalError, PlanError, UsageError
from sharekit.core.html import table
from sharekit.ledger.storage import ask_to_stop, is_busy
from sharekit.plans import approval, decisions
from sharekit.plans.plan import Plan
from sharekit.runs import background, follow_up
from sharekit.runs.background import Submission
from sharekit.runs.run import Run
from sharekit.runs.settings import Settings
from sharekit.spreadsheets.writing.review_sheet import write_review

from . import review_rows
from .review_filters import Places, Query
from .seat import Seat
from .viewing import View

#: Seconds without a sign of the page after which the seat is free for others.
_PATIENCE = 12.0
_TAKEN_OVER = "This review was opened again in this notebook; go on there, or run this cell again."


class Review(View):
    """A plan as a reviewer sees it, decides on it, approves it and has it sent.

    Made by :func:`sharekit.review`. In a notebook it shows itself as a panel; every click there is
    one of these calls.

    Attributes
    ----------
    path : Path
        The ledger.
    reviewer : str
        Who decides, for the report.
    reasons : bool
        Whether a decision against the inventory needs a reason.
    submission : Submission or None
        The run that this review has begun, or found under way in this process.
    """

    def __init__(
        self, plan: Plan | str | PathLike[str], clouds: Clouds | None = None, *,
        reviewer: str = "", reasons: bool = True, settings: Settings | None = None,
        demand: approval.Demand | None = None,
    ) -> None:  # fmt: skip
        super().__init__(plan, demand)
        self.reviewer, self.reasons, self.settings = reviewer, reasons, settings
        self.submission: Submission | None = background.running(self.path)
        self._clouds, self._seat, self._why_not = clouds, Seat(self.path), ""
        self._sat = False

    @property
    def going(self) -> bool:
        """Whether this process is sending it now."""
        sending = self.submission
        return sending is not None and sending.state in ("running", "paused", "stopping")

    # -- deciding ----------------------------------------------------------------------------------
    @property
    def read_only(self) -> str:
        """Why nothing can be decided here, or ``""``; before the first step it is not known."""
        if self._seat.mine:
            return ""
        return self._why_not or (_TAKEN_OVER if self._sat and self._seat.taken else "")

    def claim(self) -> str:
        """Become the one who decides on this ledger; returns why that cannot be, or ``""``."""
        self._why_not = self._seat.take()
        self._sat = not self._why_not
        return self._why_not

    def release(self) -> None:
        """Leave the seat to whoever comes first; this review takes it again when it needs it."""
        self._seat.leave()
        self._sat, self._why_not = False, ""

    def attend(self) -> bool:
        """Sit down if the seat is free, and look what others wrote; returns whether that is new.

        A page that somebody looks at calls this every few seconds.
        """
        if self.going:
            self._seat.keep(_PATIENCE)
            return False  # the run itself tells how far it is
        before = self.read_only
        if not self._sat or not self._seat.taken:
            self.claim()
        self._seat.keep(_PATIENCE)
        return self.refresh() or self.read_only != before

    def decide(
        self, rows: Sequence[int], decision: str | None = None, *,
        reason: str | None = None, vault_id: str | None = None,
    ) -> int:  # fmt: skip
        """Decide on rows by their keys; on disk when this returns the number of rows.

        ``decision`` is ``accept``, ``reject``, ``skip`` or ``""`` (as the inventory says).

        Raises
        ------
        UsageError
            Not a decision, a missing reason, or this review can only be looked at.
        PlanError
            The plan is approved, or requests were sent already.
        """
        self._must_decide()
        keys = np.unique(np.asarray(rows, dtype="int64"))
        self._must_have_reason(keys, decision, reason)
        if vault_id:
            keys = self._vault_fits(keys, vault_id)
        decisions.decide(
            self.path, keys.tolist(), decision=decision, reason=reason, vault_id=vault_id,
            reviewer=self.reviewer,
        )  # fmt: skip
        self._forget("changes", "counts", "by_project")
        self._restate(keys, {"decision": decision, "reason": reason, "vault": vault_id})
        return len(keys)

    def explicit(self, query: Query) -> int:
        """How many of the rows that a query finds a person has decided already."""
        return int((self.frame["decision"].take(self.find(query)) != "").sum())

    def decide_shown(
        self, query: Query, decision: str, *, reason: str | None = None, overwrite: bool = False
    ) -> int:
        """Decide on every row that a query finds and that nobody has decided yet.

        ``overwrite`` includes the rows that were decided explicitly; without it they stay. Rows
        that are for the other side of a share (see :meth:`other_side`) always stay.
        """
        places = np.setdiff1d(self.find(query), self.other_side(query, decision))
        if not overwrite:
            places = places[(self.frame["decision"].take(places) == "").to_numpy()]
        return self.decide(places.tolist(), decision, reason=reason) if len(places) else 0

    def undo(self) -> int:
        """Take the last step back; returns how many rows it concerned."""
        self._must_decide()
        rows = decisions.undo(self.path, reviewer=self.reviewer)
        self._forget("changes", "frame", "counts", "by_project")
        return rows

    def remake(self) -> Plan:
        """Make the plan anew with every decision so far, if there are any that it does not hold."""
        if self.stale:
            self._must_decide()
            made = decisions.remake(self.path)
            self._forget("plan", "changes", "frame", "counts", "by_project")
            self.__dict__["plan"] = made
        return self.plan

    # -- approving and sending ---------------------------------------------------------------
    def approve(self, reviewer: str, phrase: str, *, note: str = "") -> approval.Approval:
        """Approve the plan as it is shown, by writing :attr:`phrase`.

        Raises
        ------
        ApprovalError
            Another phrase, no name, a plan that is not the one shown, or one that may not be
            approved by this person.
        """
        self._must_decide()
        if " ".join(phrase.replace(",", "").lower().split()) != self.phrase:
            raise ApprovalError(f"To approve, write exactly: {self.phrase}")
        yes = approval.approve(
            self.path, reviewer=reviewer, fingerprint=self.plan.fingerprint, note=note
        )
        self._forget()
        return yes

    def cancel(self) -> None:
        """End the run that is under way, here or in another program on this machine.

        Nothing more is sent; :meth:`submit` takes it up again.
        """
        if self.submission is not None and self.going:
            self.submission.cancel()
        else:
            ask_to_stop(self.path)

    def revoke(self, note: str = "") -> None:
        """Take the approval back, so that rows can be decided again."""
        self._must_decide()
        approval.revoke(self.path, reviewer=self.reviewer, note=note)
        self._forget()

    def submit(
        self, clouds: Clouds | None = None,
        listener: Callable[[Submission], None] | None = None,
    ) -> Submission:  # fmt: skip
        """Send what is approved, in the background; the same call takes up an interrupted run.

        Raises
        ------
        ApprovalError
            Nobody approved this very plan; nothing was sent.
        UsageError
            It is being submitted already.
        """
        approval.ensure(self.path, self.demand)
        if is_busy(self.path):
            raise UsageError(f"{self.path} is being worked on by another program; nothing is sent.")
        there = clouds or self._connect
        sending = Submission(
            self.path, there if callable(there) else lambda: there, self.settings, self.demand
        )
        if listener is not None:
            sending.listen(listener)
        sending.start()
        self.submission = sending
        return sending

    def result(self) -> Run:
        """Return the finished run, or say what is still to be done: the gate for what follows.

        Raises
        ------
        ApprovalError
            The plan is not approved, or not by all that have to.
        PlanError
            It is approved and not, or not wholly, sent.
        """
        approval.ensure(self.path, self.demand)
        run = self.status()
        if not run.finished:
            raise PlanError(
                f"{self.path} is approved and its run is not finished: submit it, then go on here."
            )
        return run

    def retry(self, ledger: str | PathLike[str] | None = None) -> Review:
        """Plan once more what failed, was contradicted or stayed unknown, and return its review.

        The new run has a ledger of its own, ``NAME-retry.ledger`` beside this one unless it is
        named. Asked again, the same run gives the same ledger, as long as nothing was added to it.

        Raises
        ------
        PlanError
            The run is not finished, or there is nothing to try again.
        LedgerError
            The ledger that was named exists, or cannot be written.
        """
        self.result()
        path = Path(ledger) if ledger else follow_up.next_to(self.path, "retry")
        if ledger or not path.exists():
            follow_up.retry(self.path, path, self._connect())
        return Review(
            path, self._clouds, reviewer=self.reviewer, reasons=self.reasons,
            settings=self.settings, demand=self.demand,
        )  # fmt: skip

    # -- showing -------------------------------------------------------------------------------
    def __repr__(self) -> str:
        return f"<Review of {self.plan!r}: {len(self.changes):,} rows decided otherwise>"

    def _repr_html_(self) -> str:
        return table(self.frame, title=repr(self)[1:-1])

    def _ipython_display_(self) -> None:
        # Loaded only when it is shown: the shell and scripts need no widgets.
        from .notebook import show  # noqa: PLC0415

        show(self)

    # -- inside --------------------------------------------------------------------------------
    def _connect(self) -> Clouds:
        if self._clouds is not None:
            return self._clouds
        seen = self.plan.findings.snapshot
        if seen is None:
            raise UsageError(f"{self.path} was planned without a cloud: name one to submit.")
        from sharekit.clouds.sign_in import connect  # noqa: PLC0415 - openstacksdk loads slowly

        return connect(*map(str, seen.projects["cloud"].unique()))

    def _must_decide(self) -> None:
        free = not self._sat or not self._seat.taken
        if why := self.claim() if free else self.read_only:
            raise UsageError(why)

    def _must_have_reason(self, keys: Places, decision: str | None, reason: str | None) -> None:
        if not self.reasons or not decision:
            return
        rows = self.frame.take(keys)
        said = rows["reason"] if reason is None else pd.Series(reason.strip(), index=rows.index)
        against = (rows["asked"].map(review_rows.WORD) != decision) & (said == "")
        if against.any():
            raise UsageError(
                f"{int(against.sum()):,} of these rows would be decided against the inventory: "
                "write a reason first."
            )

    def _vault_fits(self, keys: Places, vault_id: str) -> Places:
        full = self.plan.rows.take(self.full_images(keys))
        if full.empty:
            raise UsageError("None of these rows is a full-ECS image, so none takes a vault.")
        for project in full["project_id"].unique():
            if vault_id not in set(self.vaults(str(project))["vault_id"]):
                raise UsageError(
                    f"Project {project} has no such vault. Choose rows of one project, and one of "
                    "its vaults."
                )
        return full.index.to_numpy(dtype="int64")

    def _restate(self, keys: Places, told: Mapping[str, str | None]) -> None:
        frame = self.frame
        for name, value in told.items():
            if value is not None:
                frame.loc[keys, name] = value.strip()
        for name, values in review_rows.standing(frame.take(keys)).items():
            frame.loc[keys, name] = values
        rows = frame.take(keys)
        said = (rows[["decision", "reason", "vault"]] != "").any(axis="columns")
        frame.loc[keys, "by"] = said.map({True: self.reviewer.strip(), False: ""}).astype("str")
        self._forget()


def review(
    plan: Plan | str | PathLike[str],
    clouds: Clouds | None = None,
    *,
    out: str | PathLike[str] | None = None,
    take: str | PathLike[str] | None = None,
    reviewer: str = "",
    reasons: bool = True,
    settings: Settings | None = None,
    demand: approval.Demand | None = None,
) -> Review:
    """Show a plan for review: a panel in a notebook, an Excel sheet, or a frame.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    clouds : Clouds, optional
        Where it is sent to from the panel; without them, the sign-ins that the plan names.
    out : path, optional
        A new workbook with a ``decision`` for each row: as planned, accept, reject or skip.
    take : path, optional
        Such a workbook, decided. The plan is made anew with it, under a new fingerprint, and an
        earlier approval is void.
    reviewer : str, optional
        Who decides, for the report.
    reasons : bool
        Whether a decision against the inventory needs a reason.
    settings : Settings, optional
        For a run that is begun from here.
    demand : Demand, optional
        More than one reviewer, or signed approvals; see :class:`sharekit.plans.approval.Demand`.

    Raises
    ------
    InputError
        The workbook exists already (``out``), belongs to another plan, or an ID in it was changed.
    PlanError
        Requests were sent already, so the plan is fixed.

    Examples
    --------
    >>> review("run.ledger")  # doctest: +SKIP
    >>> review("run.ledger", out="review.xlsx")  # doctest: +SKIP
    >>> review("run.ledger", take="review.xlsx", reviewer="Ada")  # doctest: +SKIP
    """
    if out is not None and take is not None:
        raise UsageError("A review sheet is either written or taken, not both at once.")
    path = plan.path if isinstance(plan, Plan) else Path(plan)
    if take is not None:
        decisions.take_sheet(path, Path(take), reviewer)
    made = Review(
        plan if take is None else path, clouds, reviewer=reviewer, reasons=reasons,
        settings=settings, demand=demand,
    )  # fmt: skip
    if out is not None:
        write_review(made.frame, out, fingerprint=made.plan.fingerprint)
    return made
