"""One review of one ledger: everything that a click in the panel does, as a call.

Each step is an event of the ledger, on disk before the call returns, so a review can be closed,
killed and opened again anywhere. Several people can review one ledger at the same time: its write
lock orders their steps, each review shows the others' decisions with its next step, and a decision
that it has not shown is neither overwritten nor undone. This module knows no widgets.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Final

import pandas as pd

from sharekit.clouds.registry import Clouds
from sharekit.core.actions import Decision
from sharekit.core.columns import STR, with_unit
from sharekit.core.errors import ApprovalError, UsageError
from sharekit.core.html import table
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import clean_frames
from sharekit.core.monitoring.progress import shows_progress
from sharekit.ledger.ledger import Ledger
from sharekit.plans import approval, decisions
from sharekit.plans.plan import HasLedger, Plan, ledger_path
from sharekit.plans.policies import steps as policy_steps
from sharekit.plans.policies.policy import LEAVE, Policies, Policy, PolicyResult
from sharekit.plans.policies.policy_file import as_policies
from sharekit.plans.selection import RowCount, Rows, keys_of_labels, select_keys
from sharekit.runs import follow_up
from sharekit.runs.background import BackgroundRun
from sharekit.runs.settings import Settings
from sharekit.runs.status import clouds_of
from sharekit.spreadsheets.row_frames import own_labels, typed_rows
from sharekit.spreadsheets.writing.review_sheet import write_review

from .changed_inputs import IN_PYTHON, changed_inputs
from .review_filters import Positions
from .review_frame import as_frame, read_frame, vault_shown
from .review_rows import as_decision
from .review_run import ReviewRun
from .review_state import Gate, ReviewState, read_gate, read_state
from .split_sheets import write_sheets

#: From a warning of :func:`review` to its caller: its three decorators stand in between.
_CALLER: Final = 5


class Review:
    """A plan as a reviewer sees it, decides on it, approves it and has it sent.

    Made by :func:`sharekit.review`. In a notebook it shows itself as a panel; every click there is
    one of these calls.

    Attributes
    ----------
    path : Path
        The ledger.
    reviewer : str
        Who decides, for the report.
    run : ReviewRun
        The run: its background submission, where it stands, its outcomes and reports.
    changed_inputs : tuple of str
        What is said of files that are not (any more) what the plan was made of, when this review
        was opened; of DataFrames nobody knows until plan(…, resume=True) is called with them.
    """

    def __init__(
        self, plan: HasLedger | str | PathLike[str], clouds: Clouds | None = None, *,
        reviewer: str = "", require_reasons: bool = True, settings: Settings | None = None,
        demand: approval.ApprovalRequirement | None = None,
    ) -> None:  # fmt: skip
        self.path = ledger_path(plan)
        self.reviewer = reviewer
        self._require_reasons, self._clouds, self._settings = require_reasons, clouds, settings
        self._demand = demand or approval.ApprovalRequirement()
        self.run = ReviewRun(self.path, self._connect, settings, self._demand)
        Ledger.open(self.path).close()  # verifies the chain of hashes, which is not done again
        self.changed_inputs = tuple(changed_inputs(self.path))
        self._state, self._head = read_state(
            self.path, plan=plan if isinstance(plan, Plan) else None
        )

    # -- looking -----------------------------------------------------------------------------------
    @property
    def state(self) -> ReviewState:
        """The plan and its decisions as of the latest step or :meth:`refresh`."""
        return self._state

    @property
    def plan(self) -> Plan:
        """The plan; see :attr:`ReviewState.plan`."""
        return self.state.plan

    @property
    def rows(self) -> pd.DataFrame:
        """Every row with the decisions on it; see :attr:`ReviewState.rows`."""
        return self.state.rows

    @property
    def changes(self) -> pd.DataFrame:
        """Every decision that holds; see :attr:`ReviewState.changes`."""
        return self.state.changes

    @property
    def gate(self) -> Gate:
        """Whether rows can be decided, approved or sent, read from the ledger at this moment."""
        with Ledger.open(self.path, verify_chain=False) as ledger:
            return read_gate(ledger, self._demand)

    @property
    def stage(self) -> str:
        """``deciding, approving, approved, sending`` or ``finished``; see :attr:`Gate.stage`."""
        return self.gate.stage

    def refresh(self) -> bool:
        """Read what others wrote into the ledger since.

        Returns
        -------
        bool
            True if there was anything new.

        Raises
        ------
        LedgerError
            The ledger is no longer where it was, or is damaged.
        """
        head = self._head
        self._state, self._head = read_state(self.path, self._state)
        return self._head != head

    # -- deciding ----------------------------------------------------------------------------------
    @checks_arguments
    @shows_progress("deciding")
    def decide(
        self, rows: Rows, decision: Decision | None = None, *,
        reason: str | None = None, vault_id: str | None = None, progress: bool = True,
    ) -> RowCount:  # fmt: skip
        """Decide on rows.

        ``rows`` are keys, the index of :attr:`rows`; labels of the DataFrame that was read, if
        there was one with an index of its own; or a True or False for each row. ``decision``
        is ``accept``, ``reject``, ``share``, ``unshare``, ``skip`` or ``""`` (as the inventory
        says), or any other word of an inventory for it. A vault goes to those of the rows that are
        full-ECS images.

        Or ``rows`` is a frame of decisions, each row by itself, a list of records or a table that
        pyarrow can read: of ``decision``, ``reason`` and
        ``vault_id``, by the index of the DataFrame that was read, by ``row_key``, or by
        ``image_id`` and ``project_id``; or :meth:`to_frame` with other values in these three, or
        :attr:`rows` with other values in ``decision``, ``reason`` and ``vault``. A missing value
        leaves a part as it stands, and what is as it was shown is no decision. The plan is made
        again with a frame, under a new fingerprint. Nothing is taken if anything in it is wrong.

        Returns
        -------
        RowCount
            The number of rows decided on, once the decisions are on disk.

        Raises
        ------
        UsageError
            Not a decision, no such row, a missing reason, or somebody else decided on one of these
            rows since this review showed it; then it shows the other decision, and the call can be
            repeated.
        PlanError
            The plan is approved, or requests were sent already.

        Examples
        --------
        >>> frame = review("run.ledger").to_frame()  # doctest: +SKIP
        >>> frame.loc[frame["team"] == "Data", ["decision", "reason"]] = "skip", "later"
        ... # doctest: +SKIP
        >>> review("run.ledger", reviewer="Ada").decide(frame[["decision", "reason"]])
        ... # doctest: +SKIP
        <12 rows: decided by frame>
        """
        rows = list(rows) if isinstance(rows, Iterator) else rows
        if (frame := as_frame(rows)) is not None:
            if not all(value is None for value in (decision, reason, vault_id)):
                raise UsageError("A frame holds the decisions itself: leave the others out.")
            return self._decide_frame(frame)
        labels = own_labels(self.plan.findings.inventory)
        keys = select_keys(keys_of_labels(rows, labels), len(self.plan.rows))
        step = decisions.make_step(keys, decision=decision, reason=reason, vault_id=vault_id)
        self._check_unseen(keys)
        if vault_id:
            full = self._check_vault(keys, vault_id)
            if decision is None and reason is None:
                step = step.loc[full]
            step.loc[~step.index.isin(full), "vault_id"] = None
        what = step["decision"].iloc[0] or "as planned" if decision is not None else (
            "vault" if vault_id else "reason")  # fmt: skip
        return self._record(step, what)

    def needs_reason(self, rows: Rows, decision: Decision) -> bool:
        """Return True if :meth:`decide` would take this decision on these rows only with a reason.

        >>> review("run.ledger").needs_reason([3], "reject")  # doctest: +SKIP
        True

        Returns
        -------
        bool
            False also where no decision needs one.

        Raises
        ------
        UsageError
            There is no such row.
        """
        labels = own_labels(self.plan.findings.inventory)
        keys = select_keys(keys_of_labels(rows, labels), len(self.plan.rows))
        try:
            self._check_reasons(decisions.make_step(keys, decision=decision))
        except UsageError:
            return True
        return False

    @shows_progress("taking sheets")
    def take(self, *sheets: str | PathLike[str], progress: bool = True) -> RowCount:
        """Import the decisions of review sheets, and make the plan again under a new fingerprint.

        Sheets of several people are merged by row; nothing is taken of rows that two of them decide
        differently.

        Returns
        -------
        RowCount
            The number of rows that they decide. Its ``notes`` say what in the sheets was not read:
            columns of a person's own, comments, rows that were deleted.

        Raises
        ------
        InputError
            A sheet belongs to another plan, a fact in it was changed, a reason is missing, or two
            sheets decide a row differently.
        PlanError
            Requests were sent already.
        """
        if not sheets or not all(isinstance(sheet, str | PathLike) for sheet in sheets):
            raise UsageError("Name the review sheets by their paths: review.take(*paths).")
        count = decisions.import_sheets(
            self.path, [Path(sheet) for sheet in sheets], self.reviewer,
            require_reasons=self._require_reasons,
        )  # fmt: skip
        self.refresh()
        return count

    @shows_progress("writing sheets")
    def write_sheets(
        self, folder: str | PathLike[str], split_by: str, *, progress: bool = True
    ) -> dict[str, Path]:
        """Write a review sheet for each value of a column, so that several people can decide.

        :meth:`take` takes them all, at once or one after the other.

        Parameters
        ----------
        folder : path
            Where the sheets are written, as ``review-VALUE.xlsx``; it is made if it is not there.
        split_by : str
            A column of :attr:`rows`, such as ``owner`` or ``project``, or of the input.
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        dict
            Value -> its sheet.

        Raises
        ------
        InputError
            One of the files exists already, or the folder cannot be written.
        UsageError
            There is no such column, or it has more values than anybody hands out sheets.

        Examples
        --------
        >>> sheets = review("run.ledger").write_sheets("sheets", "project")  # doctest: +SKIP
        >>> review("run.ledger").take(*sheets.values())  # doctest: +SKIP
        <12 rows: decided by sheet>
        """
        return write_sheets(self.rows, self.plan, folder, split_by)

    @shows_progress("comparing")
    def diff(self, *, progress: bool = True) -> pd.DataFrame:
        """Return what is decided otherwise than the inventory says, to look at before approval.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        DataFrame
            One line for each kind of change: ``owner, asked, decision, reason, by`` (str) and
            ``rows`` (int64), the largest first.
        """
        rows = self.rows
        changed = rows[(rows["decision"] != "") & (rows["wanted"] != as_decision(rows["asked"]))]
        names = ["owner", "asked", "decision", "reason", "by"]
        sizes = changed.groupby(names, as_index=False).size().rename(columns={"size": "rows"})
        return sizes.sort_values("rows", ascending=False, kind="stable", ignore_index=True)

    @shows_progress("making the frame")
    def to_frame(self, *, progress: bool = True) -> pd.DataFrame:
        """Return every row with the decisions on it as one typed frame.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        DataFrame
            :meth:`.Plan.to_frame`, with ``asked, decision, reason, by, wanted, state`` of
            :attr:`rows`, and the vault that holds as ``vault_id``. Decisions can be written into
            its ``decision``, ``reason`` and ``vault_id``, and :meth:`decide` takes it back as a
            whole; the index always has a name.
        """
        names = ("asked", "decision", "reason", "by", "wanted", "state")
        rows = self.rows
        columns = {
            **self.plan.findings.row_columns(self.plan.rows),
            "vault_id": vault_shown(rows),
            **{name: rows[name] for name in names},
        }
        frame = typed_rows(self.plan.findings.inventory, columns)
        # Decisions are written into it, and a category takes no new word.
        return frame.astype({"decision": STR})

    @shows_progress("applying policies")
    def apply(
        self, policies: Policies | Policy | Iterable[Policy] | str | PathLike[str], *,
        otherwise: str = LEAVE, record: bool = True, progress: bool = True,
    ) -> PolicyResult:  # fmt: skip
        """Decide by policies, as one step; the plan is made again with it.

        Parameters
        ----------
        policies : Policy, several of them, or path
            Made by :func:`sharekit.policy`, asked in order; or a YAML file of policies.
        otherwise : str
            What is decided on rows that no policy matches. A file says it itself.
        record : bool
            Whether the decisions are taken; without it, they are only shown.
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        PolicyResult
            What each policy matched, and the rows on which none could be judged. What a person has
            decided on a row stands, whatever a policy says.

        Raises
        ------
        UsageError
            A condition names a column that the rows lack.
        InputError
            The file holds what is no policy.
        PlanError
            The plan is approved, or requests were sent already.

        Examples
        --------
        >>> trusted = sharekit.policy("trusted", owner=["0a…"], then="accept")  # doctest: +SKIP
        >>> review("run.ledger", reviewer="Ada").apply(trusted)  # doctest: +SKIP
        <PolicyResult: 12 trusted, 3 otherwise>
        """
        asked = as_policies(policies, otherwise)
        result = policy_steps.apply_policies(
            self.path, asked, reviewer=self.reviewer, record=record
        )
        if record:
            self.refresh()
            self.replan()
        return result

    @shows_progress("taking a step back")
    def undo(self, *, progress: bool = True) -> RowCount:
        """Take the latest step back.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        RowCount
            The number of rows that the step was about.

        Raises
        ------
        UsageError
            Somebody else took the latest step, or took one since this review showed the decisions;
            now it shows them.
        PlanError
            The plan is approved, or requests were sent already.
        """
        steps = self.state.steps
        self.refresh()
        if self.state.steps != steps:
            raise UsageError("Others decided meanwhile, so nothing is undone: look at it first.")
        count = decisions.undo(self.path, reviewer=self.reviewer)
        self.refresh()
        return RowCount(count, "taken back")

    @clean_frames
    @shows_progress("making the plan again")
    def replan(self, *, progress: bool = True) -> Plan:
        """Make the plan again if there are decisions that it does not hold.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        Plan
            The plan with every decision; the same as before if it holds them all.

        Raises
        ------
        PlanError
            The plan is approved, would be larger than it may be, or requests were sent already.
        """
        if self.gate.pending_steps:
            made = decisions.replan(self.path)
            self._state, self._head = read_state(self.path, self._state, made)
        return self.plan

    # -- approving and sending ---------------------------------------------------------------------
    @checks_arguments
    @shows_progress("approving")
    def approve(
        self, reviewer: str, phrase: str, *, note: str = "", progress: bool = True
    ) -> approval.Approval:
        """Approve the plan as it is shown, by writing :attr:`ReviewState.phrase`.

        Parameters
        ----------
        reviewer : str
            The name of the person who approves.
        phrase : str
            The phrase.
        note : str
            A note for the report.
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        Approval
            Who approved which fingerprint, and when.

        Raises
        ------
        ApprovalError
            Another phrase, no name, a plan that is not the one shown, or one that this person
            cannot approve.
        """
        if " ".join(phrase.replace(",", "").lower().split()) != self.state.phrase:
            raise ApprovalError(f"To approve, write exactly: {self.state.phrase}")
        given = approval.approve(
            self.path, reviewer=reviewer, fingerprint=self.plan.fingerprint, note=note
        )
        self.refresh()
        return given

    @checks_arguments
    def revoke(self, note: str = "") -> None:
        """Take the approval back, so that rows can be decided again.

        Raises
        ------
        ApprovalError
            There is no valid approval, or requests were sent already.
        """
        approval.revoke(self.path, reviewer=self.reviewer, note=note)
        self.refresh()

    @clean_frames
    def submit(
        self, clouds: Clouds | None = None,
        listener: Callable[[BackgroundRun], None] | None = None,
    ) -> BackgroundRun:  # fmt: skip
        """Send what is approved, in the background; the same call resumes an interrupted run.

        Returns
        -------
        BackgroundRun
            The run, which another thread sends; it can be paused, cancelled and waited for.

        Raises
        ------
        ApprovalError
            This very plan is not approved by all who have to; nothing was sent.
        UsageError
            The run is being submitted already, or was planned without a cloud and none is named.
        """
        return self.run.submit(clouds, listener)

    @clean_frames
    def retry(self, ledger: str | PathLike[str] | None = None) -> Review:
        """Plan once more what failed, was contradicted or stayed unknown.

        The new run has a ledger of its own, ``NAME-retry.ledger`` beside this one unless it is
        named. Called again, the same run gives the same ledger, as long as nothing was added to it.

        Returns
        -------
        Review
            The review of the new run.

        Raises
        ------
        PlanError
            The run is not finished, or there is nothing to retry.
        LedgerError
            The ledger that was named exists, or cannot be written.
        """
        self.run.result()
        path = Path(ledger) if ledger else follow_up.follow_up_path(self.path, "retry")
        if ledger or not path.exists():
            follow_up.retry(self.path, path, self._connect())
        return Review(
            path, self._clouds, reviewer=self.reviewer, require_reasons=self._require_reasons,
            settings=self._settings, demand=self._demand,
        )  # fmt: skip

    # -- showing -----------------------------------------------------------------------------------
    def __repr__(self) -> str:
        changed = with_unit(len(self.changes), "row")
        return f"<Review of {self.plan!r}: {changed} decided otherwise>"

    def _repr_html_(self) -> str:
        names = "image_id name project_name owner before asked decision reason by state findings"
        return table(self.rows[names.split()], title=repr(self)[1:-1])

    def _ipython_display_(self) -> None:
        # Loaded only when it is shown: the shell and scripts need no widgets.
        from .notebook.panel import show  # noqa: PLC0415

        show(self)

    def _display_(self) -> object:
        # What marimo asks for: it shows the widget itself.
        from .notebook.panel import Panel  # noqa: PLC0415

        return Panel(self)

    # -- inside ------------------------------------------------------------------------------------
    def _connect(self) -> Clouds:
        if self._clouds is not None:
            return self._clouds
        if self.plan.findings.snapshot is None:
            raise UsageError(f"{self.path} was planned without a cloud: name one to submit.")
        from sharekit.clouds.sign_in import connect  # noqa: PLC0415 - openstacksdk loads slowly

        return connect(*clouds_of(self.path))

    def _decide_frame(self, frame: pd.DataFrame) -> RowCount:
        labels = own_labels(self.plan.findings.inventory)
        step = read_frame(frame, self.rows, labels, self.to_frame, self._check_reasons)
        if step.empty:
            return RowCount(0, "decided by frame")
        self._check_unseen(step.index.to_numpy())
        count = self._record(step, "decided by frame")
        self.replan()
        return count

    def _check_unseen(self, keys: Positions) -> None:
        shown = self.state
        self.refresh()
        if self.state is shown:
            return
        both = (shown.changes, self.changes)
        before, now = (changes.reindex(keys).fillna("") for changes in both)
        if count := int((before != now).any(axis="columns").sum()):
            raise UsageError(
                f"Others decided on {count:,} of these rows meanwhile, so nothing is written: look "
                "at their decisions first."
            )

    def _record(self, step: pd.DataFrame, what: str) -> RowCount:
        decisions.record_step(self.path, step, reviewer=self._check_reasons(step))
        self.refresh()
        return RowCount(len(step), what)

    def _check_reasons(self, step: pd.DataFrame) -> str:
        """Refuse a step that lacks a reason; return who takes it."""
        rows, name = self.rows.take(step.index.to_numpy()), decisions.person(self.reviewer)
        standing = rows.assign(vault_id=rows["vault"])
        decisions.check_reasons(step, rows["asked"], standing, name, required=self._require_reasons)
        return name

    def _check_vault(self, keys: Positions, vault_id: str) -> Positions:
        rows = self.plan.rows.take(self.state.full_ecs_rows(keys))
        if rows.empty:
            raise UsageError("None of these rows is a full-ECS image, so none takes a vault.")
        for project in rows["project_id"].unique():
            if vault_id not in set(self.state.vaults(str(project))["vault_id"]):
                raise UsageError(
                    f"Project {project} has no such vault. Choose rows of one project, and one of "
                    "its vaults."
                )
        return rows.index.to_numpy(dtype="int64")


@clean_frames
@checks_arguments
@shows_progress("opening the review")
def review(  # noqa: PLR0913 - all but the first are named, and few are given
    plan: HasLedger | str | PathLike[str],
    clouds: Clouds | None = None,
    *,
    out: str | PathLike[str] | None = None,
    take: str | PathLike[str] | Sequence[str | PathLike[str]] | pd.DataFrame | None = None,
    reviewer: str = "",
    require_reasons: bool = True,
    settings: Settings | None = None,
    demand: approval.ApprovalRequirement | None = None,
    progress: bool = True,
) -> Review:
    """Show a plan for review: a panel in a notebook, an Excel sheet, or a frame.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    clouds : Clouds, optional
        The clouds that the panel sends the plan to; without them, those that the plan names.
    out : path, optional
        A new workbook with a ``decision`` for each row: as planned, accept, reject or skip.
    take : path, list of paths or DataFrame, optional
        Such workbooks, decided, or a frame of decisions: see :meth:`Review.decide`. The plan is
        made again with it, under a new fingerprint; an earlier approval is void (a workbook), or
        fixes the rows (a frame).
    reviewer : str, optional
        Who decides, for the report; without it, the user of this machine.
    require_reasons : bool
        Whether rejecting, skipping and deciding against the inventory need a reason.
    settings : Settings, optional
        Settings of a run that is started from here.
    demand : ApprovalRequirement, optional
        More than one reviewer, or signed approvals.
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    Review
        The plan with its decisions; a notebook shows it as a panel.

    Raises
    ------
    InputError
        The workbook exists already (``out``), belongs to another plan, an ID in it was changed, or
        a reason is missing.
    UsageError
        A frame holds what is no decision, or a reason is missing.
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
    shown = Review(
        plan, clouds, reviewer=reviewer, require_reasons=require_reasons, settings=settings,
        demand=demand,
    )  # fmt: skip
    for change in shown.changed_inputs:
        warnings.warn(f"{change} {IN_PYTHON.format(run=str(shown.path))}", stacklevel=_CALLER)
    paths = [take] if isinstance(take, str | PathLike) else take
    if paths is not None and (frame := as_frame(paths)) is not None:
        shown.decide(frame)
    elif paths is not None:
        for note in shown.take(*paths).notes:
            warnings.warn(note, stacklevel=_CALLER)
    if out is not None:
        write_review(shown.rows, out, fingerprint=shown.plan.fingerprint)
    return shown
