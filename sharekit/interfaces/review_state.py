"""A ledger under review at one moment: an immutable value made of the plan and the decisions."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sharekit.checks.names import project_labels, project_names
from sharekit.checks.vault_rules import suitable
from sharekit.core.actions import DECISIONS
from sharekit.core.columns import STR, describe_amount, hands_out_copies, with_unit
from sharekit.core.frame_schemas import public_names
from sharekit.core.provenance import utc_now
from sharekit.core.rules import LEFT_OUT
from sharekit.ledger.ledger import Ledger
from sharekit.plans import approval
from sharekit.plans.plan import Plan, read_plan
from sharekit.plans.steps import FIELDS, combine, in_force, lines_of, list_steps, undoable
from sharekit.spreadsheets.vocabulary import read_decision

from .review_filters import Page, Positions, RowFilter, paginate, select
from .review_rows import STATES, is_wrong_role, review_frame, with_changes


@hands_out_copies("changes", "rows", "by_project")
@dataclass(frozen=True, eq=False, repr=False)
class ReviewState:
    """A plan with the decisions on it, as they were when the ledger was last read.

    Attributes
    ----------
    plan : Plan
        The plan as the ledger holds it. Newer decisions are not in it: see
        :attr:`Gate.pending_steps`.
    changes : DataFrame
        Every decision that holds: ``decision, reason, vault_id, by``, indexed by ``row_key``.
    planned_at : int
        Number of the event that recorded the plan.
    steps : tuple of int
        Numbers of the events that the decisions come from.
    """

    plan: Plan
    changes: pd.DataFrame
    planned_at: int
    steps: tuple[int, ...]
    _lines: pd.DataFrame = field(repr=False)
    _make_rows: Callable[[], pd.DataFrame] = field(repr=False)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every row, indexed by ``row_key``, with the decisions on it.

        ``file, sheet, row, image_id, project_id, status, vault_id, before, disposition, findings``
        as the plan has them, and what images and projects are called
        (:data:`~sharekit.core.fields.NAMES`); ``asked`` (the inventory's own decision),
        ``decision, reason, vault`` (the reviewer's), ``by`` (the reviewer's name), ``wanted``
        (accept, reject or skip, with all decisions) and ``state`` (the disposition with these
        decisions, as far as they alone determine it).
        """
        return self._make_rows()

    def __repr__(self) -> str:
        return f"<ReviewState of {self.plan!r}: {with_unit(len(self.changes), 'row')} decided>"

    @cached_property
    def project_labels(self) -> dict[str, str]:
        """What projects are called where there is little room, by ID; those whose name is known.

        Also those that no row is shared with, because they own its image.
        """
        inventory, snapshot = self.plan.findings.inventory, self.plan.findings.snapshot
        names = project_names(inventory.rows, self.plan.rows["project_id"], snapshot)
        return project_labels(names.rename(columns={"name": "project_name"}).reset_index())

    @cached_property
    def by_project(self) -> pd.Series:
        """Number of rows by ``project_id, state, wanted``."""
        return self.rows.groupby(["project_id", "state", "wanted"]).size()

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by what becomes of them, as decided now; images, chunks and calls as planned."""
        plan, sizes = self.plan, self.by_project.reset_index(name="rows")
        planned = sizes[sizes["state"] == "planned"].groupby("wanted")["rows"].sum()
        of_state = sizes.groupby("state")["rows"].sum()
        return {
            "rows": len(plan.rows),
            **{word: int(planned.get(word, 0)) for word in DECISIONS},
            **{name: int(of_state.get(name, 0)) for name in STATES[1:]},
            "projects": int(sizes["project_id"].nunique()),
            "images": int(plan.chunks["images"].sum()),
            "chunks": len(plan.chunks),
            "calls": _calls(plan),
        }

    # -- rows --------------------------------------------------------------------------------------
    def find(self, row_filter: RowFilter) -> Positions:
        """Return the positions (and so keys) of the rows that a filter shows, in its order."""
        return self._select(row_filter)

    @cached_property
    def _select(self) -> Callable[[RowFilter], Positions]:
        # The pages of one filter follow each other, so the latest result is kept.
        return lru_cache(maxsize=1)(partial(select, self.rows))

    def page(self, row_filter: RowFilter | None = None, number: int = 0, size: int = 20) -> Page:
        """Return page ``number`` (from 0) of the rows that a filter shows.

        >>> review("run.ledger").state.page(RowFilter(finding="any")).rows  # doctest: +SKIP
        """
        positions = self.find(row_filter or RowFilter())
        number, pages, shown = paginate(positions, number, size)
        return Page(self.rows.take(shown), number, pages, len(positions))

    def decided_rows(self, rows: Sequence[int] | Positions) -> Positions:
        """Return those of some rows, by key, that a person has decided already."""
        keys = np.asarray(rows, dtype="int64")
        decided = (self.rows["decision"].take(keys) != "").to_numpy()
        return np.asarray(keys[decided], dtype="int64")

    def wrong_role_rows(self, rows: Sequence[int] | Positions, decision: str) -> Positions:
        """Return those of some rows, by key, whose role cannot take this decision.

        An owner shares and takes back; the project it is shared with accepts and rejects.
        """
        keys, word = np.asarray(rows, dtype="int64"), read_decision(decision)
        if word not in DECISIONS:
            return keys[:0]
        wrong = is_wrong_role(self.rows["asked"].take(keys), DECISIONS[word])
        return np.asarray(keys[wrong.to_numpy()], dtype="int64")

    def full_ecs_rows(self, rows: Sequence[int] | Positions) -> Positions:
        """Return those of some rows, by key, whose image is a whole server and so needs a vault."""
        keys = np.asarray(rows, dtype="int64")
        whole = (self.plan.rows["whole_image"].take(keys) == "true").to_numpy()
        return np.asarray(keys[whole], dtype="int64")

    def row(self, key: int) -> dict[str, Any]:
        """Return ``facts``, ``input`` (original columns), ``findings``, ``request`` of one row."""
        original, findings = self.plan.findings.inventory.rows.loc[key], self.plan.findings.frame
        chunk = self.plan.rows["chunk"].take([key]).fillna(0).iloc[0]
        requests = self.plan.requests(int(chunk)) if chunk else ()
        facts = {str(name): str(value) for name, value in self.rows.loc[key].items()}
        share = (facts["image_id"], facts["project_id"])
        return {
            "facts": facts,
            "input": {own: str(original[name])
                      for name, own in public_names(original.index).items()},
            "findings": findings[findings["row_key"] == key].to_dict("records"),
            "request": next((r for r in requests if all(i in json.dumps(r) for i in share)), None),
        }  # fmt: skip

    def vaults(self, project_id: str) -> pd.DataFrame:
        """Return a project's vaults that can take a full-ECS image: ``vault_id, name, free``."""
        columns, snapshot = ["vault_id", "name", "free"], self.plan.findings.snapshot
        if snapshot is None:
            return pd.DataFrame(columns=columns)
        fits = suitable(snapshot.vaults) & (snapshot.vaults["project_id"] == project_id)
        return snapshot.vaults.loc[fits, columns].sort_values("free", ascending=False)

    # -- what will be sent -------------------------------------------------------------------------
    @property
    def send_summary(self) -> str:
        """What the plan would send, as in ``12 images``; where owners act, ``12 shares``."""
        return describe_amount(self.plan.chunks["status"], self.counts["images"])

    @property
    def phrase(self) -> str:
        """What a person has to write to approve; it holds the number of images, or shares."""
        return f"send {self.send_summary}".replace(",", "")

    def curl(self, chunk: int) -> str:
        """Return a chunk's requests for the shell; the token is a variable of that shell."""
        lines = []
        for request in self.plan.requests(chunk):
            line = f"curl -X {request['method']} {shlex.quote(request['url'])} "
            line += '-H "X-Auth-Token: $OS_TOKEN"'
            if request["body"] is not None:
                body = shlex.quote(json.dumps(request["body"]))
                line += f' -H "Content-Type: application/json" -d {body}'
            lines.append(line)
        return "\n".join(lines)

    def not_sent(self) -> pd.DataFrame:
        """Count the rows that the plan does not send: ``disposition, why, rows``."""
        rest = self.rows.loc[self.rows["disposition"] != "planned", ["disposition", "findings"]]
        first = rest["findings"].str.split(";").str[0].fillna("").astype(STR)
        left_out = first.str.split(":").str[0].isin(LEFT_OUT) & (rest["disposition"] == "skipped")
        why = first.where((rest["disposition"] == "blocked") | left_out, "")
        sizes = rest.assign(why=why).groupby(["disposition", "why"]).size()
        return sizes.rename("rows").reset_index().sort_values("rows", ascending=False)


def _calls(plan: Plan) -> int:
    snapshot = plan.findings.snapshot
    if snapshot is None:
        return len(plan.chunks)
    native = snapshot.projects.loc[snapshot.projects["api"] == "native", "project_id"]
    single = plan.chunks["project_id"].isin(native)
    return int(plan.chunks.loc[single, "images"].sum() + (~single).sum())


@dataclass(frozen=True)
class Gate:
    """What the ledger says about approving and sending the plan.

    Attributes
    ----------
    stage : str
        ``deciding, approving, approved, sending`` or ``finished``. ``approving``: some have
        approved, and not all who have to. ``sending``: the run has begun and is not finished.
    approvals : tuple of Approval
        The approvals of this very plan.
    planner : str
        Who made the plan and so cannot approve it; ``""`` if no name was given.
    demand : ApprovalRequirement
        How many have to approve it, and whose signatures count.
    pending_steps : int
        Number of decisions that the plan does not hold yet; ``Review.replan`` takes them in.
    undoable_steps : int
        Number of decisions that ``Review.undo`` can take back.
    """

    stage: str
    approvals: tuple[approval.Approval, ...]
    planner: str
    demand: approval.ApprovalRequirement
    pending_steps: int
    undoable_steps: int


def read_gate(ledger: Ledger, demand: approval.ApprovalRequirement) -> Gate:
    """Read from an open ledger what can be decided, approved or sent now."""
    planned = approval.plan_event(ledger)
    approvals = tuple(approval.valid_approvals(ledger, planned["fingerprint"]))
    if ledger.last_event("finished") is not None:
        stage = "finished"
    elif ledger.last_event("submit_started") is not None:
        stage = "sending"
    elif not approvals:
        stage = "deciding"
    else:
        lacking = approval.missing_approvals(ledger, planned["fingerprint"], demand, now=utc_now())
        stage = "approving" if lacking else "approved"
    return Gate(
        stage, approvals, str(planned["settings"].get("planner", "")), demand,
        approval.pending_decisions(ledger), undoable(ledger),
    )  # fmt: skip


def read_state(
    path: Path, known: ReviewState | None = None, plan: Plan | None = None
) -> tuple[ReviewState, str]:
    """Read a ledger's state, and the hash of its last event.

    What has not changed since ``known`` is not read again: a decision costs as much as the rows
    it is about. ``plan`` is the plan of this ledger where the caller has it in memory.
    """
    # The chain of hashes is verified when a review is opened, and by whoever writes.
    with Ledger.open(path, verify_chain=False) as ledger:
        event = ledger.last_event("planned")
        planned_at = event.seq if event is not None else 0
        events = list_steps(ledger)
        steps = tuple(event.seq for event in events)
        if known is not None and planned_at == known.planned_at:
            if steps == known.steps:
                return known, ledger.head
            plan = known.plan
            if steps[: len(known.steps)] == known.steps:
                new = [lines_of(ledger, event) for event in events[len(known.steps) :]]
                lines = combine([known._lines, *new])
                keys = np.unique(np.concatenate([step.index for step in new]))
                rows = partial(with_changes, known.rows, _changes(lines), keys)
                return _state(plan, lines, planned_at, steps, rows), ledger.head
        if plan is None or not _is_recorded(ledger, plan, replanned=known is not None):
            plan = read_plan(ledger)
        lines = combine([lines_of(ledger, event) for event in events])
        rows = partial(review_frame, plan, _changes(lines))
        return _state(plan, lines, planned_at, steps, rows), ledger.head


def _changes(lines: pd.DataFrame) -> pd.DataFrame:
    return in_force(lines)[[*FIELDS, "by"]]


def _state(
    plan: Plan, lines: pd.DataFrame, planned_at: int, steps: tuple[int, ...],
    rows: Callable[[], pd.DataFrame],
) -> ReviewState:  # fmt: skip
    return ReviewState(plan, _changes(lines), planned_at, steps, lines, rows)


def _is_recorded(ledger: Ledger, plan: Plan, *, replanned: bool) -> bool:
    """Return True if the ledger's latest plan is this one.

    Two plans of one ledger can send the same and differ in what they leave out, so the fingerprint
    alone does not tell them apart.
    """
    same = plan.fingerprint == approval.plan_event(ledger)["fingerprint"]
    return same and (replanned or len(ledger.list_events("planned")) == 1)
