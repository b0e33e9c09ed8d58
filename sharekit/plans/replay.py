"""Make the plans of a ledger again: no step that could not be taken, no plan that does not follow.

What is compared is what a plan decides: rows, findings, requests, numbers. The wording of messages
may differ between versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import inf
from typing import Any, Final

import pandas as pd

from sharekit.checks.check import check_again
from sharekit.checks.findings import Findings, first_errors
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core import frame_schemas
from sharekit.core.columns import action_keys, first_difference
from sharekit.core.errors import SharekitError
from sharekit.core.fields import ACTION_KEY, INPUT_PREFIX, MANDATORY_FIELDS
from sharekit.core.fields import FIELDS as SHARE_FIELDS
from sharekit.core.files import shown_name
from sharekit.core.provenance import __version__, distinct_people, looks, name_error, shifted
from sharekit.core.rules import RULE_SET
from sharekit.ledger.events import VOIDING_EVENTS, FollowedRun
from sharekit.ledger.integrity import Problem
from sharekit.ledger.ledger import Event, Ledger
from sharekit.spreadsheets.input import FORMATS
from sharekit.spreadsheets.inventory import Inventory, Source

from .approval import fleet_error
from .chunks import EMPTY_FINGERPRINT
from .followed import (
    FOLLOWING,
    NEW_PLAN,
    RETRY,
    UNDO,
    EarlierRun,
    carry_over,
    read_followed,
    without_undone,
)
from .plan import Plan, build_plan, read_plan
from .policies.standing import standing_errors
from .policies.steps import step_errors
from .steps import FIELDS, decision_of, decisions, list_steps
from .storage import read_earlier

#: Kind of a step -> the field that says on how many rows it decided.
_STEPS: Final = {"decided": "rows", "review_imported": "decisions"}
#: The formats that are read without another package, which reads files of one suffix.
_FORMS: Final = ("dataframe", "table", "records", *(form.name for form in FORMATS))
#: How long before its event a step may have looked at the clock: a day may end in between.
_STEP_TAKES: Final = timedelta(hours=1)
#: Numbers of a plan that do not come from its rows.
_SETTINGS: Final = ("chunk_size", "max_images", "strict", "planner", "confirmed")


def step_problems(ledger: Ledger) -> Iterator[Problem]:
    """Yield each step before sending that no person can have taken at its place."""
    steps = _Steps()
    sent = next((seq for seq, *_ in ledger.raw_events("intent")), inf)
    for event in ledger.iter_events("inventory_read", *_CHECKS):
        steps.sent = event.seq > sent
        check = _CHECKS.get(event.kind)
        for what in () if check is None else check(steps, event):
            yield f"event {event.seq} ({event.kind})", what
        steps.follow(event)


class _Steps:
    """How far a plan is: its latest event, the steps since, and the approvals that hold."""

    def __init__(self) -> None:
        self.inventory, self.previous, self.voided = False, "", ""
        self.plan: dict[str, Any] = {}
        self.snapshot = self.sent = False
        self.pending = 0
        self.steps: list[Event] = []
        self.approvals: list[Event] = []

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the plan, ``""`` before there is one."""
        return str(self.plan.get("fingerprint", ""))

    def approved_at(self, at: str) -> list[str]:
        """Return the people whose approval of the plan held shortly before, without its planner."""
        at = shifted(at, -_STEP_TAKES)
        planner = looks(str(self.plan.get("settings", {}).get("planner", "")))
        holding = [e for e in self.approvals if at[:10] <= _standing(e).get("until", "9999")]
        names = [event.body["reviewer"] for event in holding]
        return distinct_people(name for name in names if not looks(name) & planner)

    def follow(self, event: Event) -> None:
        """Take an event into account."""
        kind, body = event.kind, event.body
        self.previous = kind
        if kind in VOIDING_EVENTS:
            self.approvals, self.voided = [], event.hash
        if kind == "planned":
            self.plan, self.pending = body, 0
        elif kind in ("decided", "review_imported"):
            self.pending += 1
            self.steps.append(event)
        elif kind == "decision_undone":
            self.pending += 1
            self.steps = [step for step in self.steps if step.seq != body["seq"]]
        elif kind == "approved" and body["fingerprint"] == self.fingerprint:
            self.approvals.append(event)
        self.inventory |= kind == "inventory_read"
        self.snapshot |= kind == "snapshot_taken"

    def check_snapshot(self, _: Event) -> Iterator[str]:
        """Check that the one snapshot of the plan comes before it."""
        if self.plan or self.snapshot or not self.inventory:
            yield "a plan has one snapshot, taken between inventory and plan"

    def check_plan(self, event: Event) -> Iterator[str]:
        """Check that a plan was asked for."""
        old, new = (body.get("settings", {}) for body in (self.plan, event.body))
        if not self.inventory:
            yield "comes before there is an inventory"
        if self.plan and not self.pending:
            yield "plans again although nothing was decided since"
        if self.plan and any(old.get(name) != new.get(name) for name in _SETTINGS):
            yield "has other settings than the plan before it"
        if self.approvals and self.previous != "review_imported":
            yield "replaces a plan that was approved"
        if self.sent:
            yield "plans again after requests were sent"
        if (planner := new.get("planner", "")) and _is_nobody(planner):
            yield "names a planner whom nobody can see"

    def check_decision(self, event: Event) -> Iterator[str]:
        """Check that somebody could decide, and decided on the plan of that time."""
        carried = "carried_from" in event.body
        if _is_nobody(event.body["reviewer"]):
            yield "names nobody who decided"
        if carried == bool(self.plan):
            yield "decides on a plan that is not there" if not carried else "carries over too late"
        elif not (carried or "policies" in event.body or event.body.get("of") == self.fingerprint):
            yield "decides on another plan than the one of its time"
        if self.sent:
            yield "decides after requests were sent"
        if self.approvals and event.kind != "review_imported":
            yield "decides on rows of an approved plan"

    def check_undone(self, event: Event) -> Iterator[str]:
        """Check that the last step that can be taken back is taken back."""
        last = self.steps[-1] if self.steps else None
        fixed = last is None or last.kind == "review_imported" or "carried_from" in last.body
        if fixed or last is None or last.seq != event.body["seq"] or self.sent or self.approvals:
            yield "takes back what cannot be taken back there"
        if _is_nobody(event.body["reviewer"]):
            yield "names nobody who took it back"

    def check_approval(self, event: Event) -> Iterator[str]:
        """Check that an approval names the plan of its time, and comes from somebody else."""
        body, plan = event.body, self.plan
        planner = looks(str(plan.get("settings", {}).get("planner", "")))
        if body["fingerprint"] != self.fingerprint or self.pending:
            yield "approves another plan than the latest one"
        elif self.fingerprint == EMPTY_FINGERPRINT or body["images"] != plan["planned"]:
            yield "approves another number of images than the plan has"
        if _is_nobody(body["reviewer"]):
            yield "names nobody who approved"
        elif looks(body["reviewer"]) & planner:
            yield "is the planner's own"
        if error := fleet_error(body, self.voided):
            yield error
        if _standing(event).get("reviewer", body["reviewer"]) != body["reviewer"]:
            yield "was given ahead by somebody else"
        if body["after"] != event.prev:
            yield "was given for another ledger, or at another place in it"

    def check_revoked(self, event: Event) -> Iterator[str]:
        """Check that there was an approval to be withdrawn."""
        if not self.approvals or self.sent or event.body.get("fingerprint") != self.fingerprint:
            yield "withdraws an approval that could not be withdrawn there"
        if _is_nobody(event.body["reviewer"]):
            yield "names nobody who withdrew it"

    def check_submit(self, event: Event) -> Iterator[str]:
        """Check that a call of ``submit`` had the approvals that it demanded."""
        demanded = max(1, int(event.body.get("reviewers", 1)))
        approved = self.approved_at(event.at)
        if not self.plan:
            yield "submits no plan"
        elif self.fingerprint == EMPTY_FINGERPRINT and not self.pending:
            return
        elif len(approved) < demanded:
            yield f"demanded {demanded} reviewers, and {len(approved)} had approved the plan"
        rest = str(event.body.get("reviewer", ""))
        if not rest:
            yield "does not say who had approved the plan"
        for name in approved:
            rest = rest[len(name) + 2 :] if f"{rest}, ".startswith(f"{name}, ") else rest
        if rest:
            yield "names a reviewer who had not approved the plan"


def _is_nobody(name: str) -> bool:
    """Return True if a name is not as sharekit writes that of a person."""
    return name != name.strip() or name_error(name) != ""


def _standing(approved: Event) -> dict[str, Any]:
    """Return the approval given ahead that an approval copies, empty if it copies none."""
    standing: dict[str, Any] = approved.body.get("standing", {})
    return standing


_CHECKS: Final = {
    "snapshot_taken": _Steps.check_snapshot,
    "planned": _Steps.check_plan,
    "decided": _Steps.check_decision,
    "review_imported": _Steps.check_decision,
    "decision_undone": _Steps.check_undone,
    "approved": _Steps.check_approval,
    "approval_revoked": _Steps.check_revoked,
    "submit_started": _Steps.check_submit,
}


def snapshot_contradictions(snapshot: Snapshot, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a snapshot contradicts itself and its event, whatever was made of it."""
    if snapshot.members["state"].value_counts().to_dict() != body["states"]:
        yield "counts other states than it shows"
    for shares in (snapshot.members, snapshot.owned):
        if ((shares["state"] != "") & (shares["unread"] != "")).any():
            yield "shows a state, and says why it could not be read"
    for name in ("members", "vaults"):
        if not getattr(snapshot, name)["project_id"].isin(snapshot.projects["project_id"]).all():
            yield f"shows {name} of a project that nobody signed in to"
    named = snapshot.projects[["name", "name_source"]] != ""
    if (named["name"] & ~named["name_source"]).any():
        yield "names a project, and does not say what told the name"


# -- the plans made again --------------------------------------------------------------------------
def plan_problems(ledger: Ledger, plan: Plan) -> Iterator[Problem]:
    """Yield where a plan is not what inventory, snapshot and decisions lead to.

    With another set of rules than ours, a plan is made again from the findings that were recorded.
    ``plan`` is the latest one, as it was read from the ledger.
    """
    created, latest = ledger.last_event("created"), ledger.last_event("planned")
    same_version = created is not None and created.body.get("sharekit") == __version__
    yield from _origin_problems(ledger, plan, same_version=same_version)
    taken = ledger.last_event("snapshot_taken")
    if taken is not None and (snapshot := plan.findings.snapshot) is not None:
        where = f"event {taken.seq} ({taken.kind})"
        yield from ((where, what) for what in snapshot_contradictions(snapshot, taken.body))
    for event in ledger.list_events("planned", "approved", *_STEPS):
        where = f"event {event.seq} ({event.kind})"
        try:
            with Ledger.open(ledger.path, verify_chain=False, until=event.hash) as past:
                if event.kind == "planned":
                    recorded = plan if event == latest else read_plan(past)
                    differences = _plan_differences(past, event, recorded, wording=same_version)
                elif event.kind == "approved":
                    differences = _standing_differences(past, event)
                else:
                    differences = _step_differences(past, event)
                yield from ((where, what) for what in differences)
        except SharekitError as error:
            yield where, str(error)


def _step_differences(ledger: Ledger, event: Event) -> Iterator[str]:
    if event.body[_STEPS[event.kind]] != len(decision_of(ledger, event)):
        yield "says that it decided on another number of rows"
    if "policies" in event.body:
        yield from step_errors(ledger, event)


def _origin_problems(ledger: Ledger, plan: Plan, *, same_version: bool) -> Iterator[Problem]:
    """Yield where the rows are not those of their sheets, or of the run that is followed."""
    created, read = ledger.last_event("created"), ledger.last_event("inventory_read")
    followed = None if created is None else FollowedRun.from_body(created.body)
    if followed is not None and same_version and followed.kind not in FOLLOWING:
        yield "event 1 (created)", f"follows on another run as {followed.kind!r:.40}"
    for event in ledger.list_events("planned", "decided"):
        where = f"event {event.seq} ({event.kind})"
        if event.kind == "planned" and ("earlier_blob" in event.body) != (followed is not None):
            yield where, "follows on no run, or does not say what that had decided"
        name = event.body.get("carried_from")
        if followed is not None and name not in (None, followed.ledger):
            yield where, "carries over from another run than it follows"
    if read is not None:
        # Rows that are undone or tried again hold what was sent, not what is in a cell.
        as_read = followed is None or followed.kind == NEW_PLAN
        for what in inventory_differences(plan.findings.inventory, as_read=as_read):
            yield f"event {read.seq} (inventory_read)", what
    lines = read_earlier(ledger)
    if followed is not None and lines is not None and not as_read:
        # What is undone is not what the run decided; what is tried again is.
        keys = pd.MultiIndex.from_frame(action_keys(plan.rows))
        if set(keys.isin(pd.MultiIndex.from_frame(lines[ACTION_KEY]))) != {followed.kind == RETRY}:
            yield "event 1 (created)", f"follows as {followed.kind!r:.40} on what was none"


def inventory_differences(inventory: Inventory, *, as_read: bool = True) -> Iterator[str]:
    """Yield where rows are not as the sheets hold them that they were read from.

    Parameters
    ----------
    inventory : Inventory
        The inventory of a run or an audit.
    as_read : bool
        Whether every field holds what its cell does, and the sheets have no other rows.
    """
    for number, source in enumerate(inventory.sources):
        if source.fault:
            yield f"says that {source.file}, {source.sheet} {source.fault}"
        rows = inventory.rows[inventory.rows["source"] == number]
        if not ((rows["file"] == source.file) & (rows["sheet"] == source.sheet)).all():
            yield f"has rows of {source.file}, {source.sheet} under another name"
        if as_read:
            yield from _cell_differences(source, rows)


def _cell_differences(source: Source, rows: pd.DataFrame) -> Iterator[str]:
    if len(rows) != source.rows:
        yield f"says that {source.file}, {source.sheet} has {source.rows:,} rows"
    if source.format not in _FORMS and not source.file.lower().endswith(f".{source.format}"):
        yield f"reads {source.file} in a format that there is not: {source.format!r:.40}"
    if not source.names_rows and not _go_down(rows["row"], source.header_row):
        yield f"has rows at impossible places of {source.file}, {source.sheet}"
    for name in SHARE_FIELDS:
        cells = rows.get(INPUT_PREFIX + source.columns.get(name, ""))
        if name in source.columns and (cells is None or (cells != rows[name]).any()):
            yield f"reads {name} otherwise than {source.file}, {source.sheet} has it"
        if name not in source.columns and rows[name].nunique() > 1:
            yield f"reads {name}, which {source.file}, {source.sheet} does not have"


def _go_down(places: pd.Series, header_row: int) -> bool:
    """Return True if these are numbers of rows, each below the one before and the header."""
    if not pd.api.types.is_integer_dtype(places):  # the rows of another input have names
        if not places.str.fullmatch(r"0|[1-9][0-9]{0,17}").all():
            return False
        places = places.astype("int64")
    return bool(places.is_monotonic_increasing and places.is_unique and (places > header_row).all())


def followed_differences(ledger: Ledger, first: Ledger) -> Iterator[Problem]:
    """Yield where a run holds other earlier decisions than the run that it follows."""
    created = ledger.list_events("created")[0]
    followed = FollowedRun.from_body(created.body)
    if followed is None:
        return
    with Ledger.open(first.path, verify_chain=False, until=followed.head) as past:
        earlier = read_followed(past, followed.kind)
    # The first run's file may have another name by now, and another version has other words.
    lines = earlier.lines.replace({"run": {earlier.followed.ledger: followed.ledger}})
    if followed.kind == UNDO:
        lines = without_undone(lines, read_plan(ledger).rows).reset_index(drop=True)
    made_by = {one.list_events("created")[0].body.get("sharekit") for one in (ledger, first)}
    others = () if made_by == {__version__} else ("by", "reason")
    names = [name for name in frame_schemas.EARLIER.names if name not in others]
    for event in ledger.list_events("planned"):
        recorded = ledger.get_frame(event.body["earlier_blob"], frame_schemas.EARLIER)
        if difference := first_difference(recorded, lines, names):
            what = f"its earlier decisions are not those of {shown_name(first.path.name)}"
            yield f"event {event.seq} ({event.kind})", f"{what}: {difference}"


def _standing_differences(ledger: Ledger, event: Event) -> Iterator[str]:
    if standing := _standing(event):
        plan = read_plan(ledger)
        yield from (
            f"copies an approval given ahead that does not hold: {error}"
            for error in standing_errors(ledger, plan, standing, shifted(event.at, -_STEP_TAKES))
        )


def _plan_differences(
    ledger: Ledger, event: Event, recorded: Plan, *, wording: bool
) -> Iterator[str]:
    findings, settings = recorded.findings, event.body["settings"]
    if event.body.get("rule_set", RULE_SET) == RULE_SET:
        lines = read_earlier(ledger)
        findings = check_again(
            findings.inventory, findings.snapshot, decisions(ledger), lines,
            strict=findings.strict, confirm=findings.confirmed,
        )  # fmt: skip
        columns = [
            name
            for name in frame_schemas.FINDINGS.names
            if wording or name not in frame_schemas.WORDING
        ]
        if difference := first_difference(recorded.findings.frame, findings.frame, columns):
            yield f"its findings do not follow from the inventory: {difference}"
        yield from _carried_differences(ledger, recorded.findings)
    else:
        yield from _foreign_differences(ledger, recorded)
    made = build_plan(ledger.path, findings, settings["chunk_size"], settings["max_images"])
    if difference := first_difference(recorded.rows, made.rows, frame_schemas.PLAN.names):
        yield f"its rows are not what the checks and decisions lead to: {difference}"
    numbers = {**made.counts, "findings": findings.counts}
    for name in [name for name, number in numbers.items() if event.body.get(name) != number]:
        yield f"its {name} is {event.body.get(name)!r:.80}, and should be {numbers[name]!r:.80}"


def _foreign_differences(ledger: Ledger, recorded: Plan) -> Iterator[str]:
    """Yield what no set of rules can make of inventory, snapshot and decisions."""
    findings = recorded.findings
    if recorded.rows.loc[first_errors(findings).index, "disposition"].eq("planned").any():
        yield "it would send a row that has an error"
    made = check_again(
        findings.inventory, findings.snapshot, decisions(ledger), read_earlier(ledger),
        strict=findings.strict, confirm=findings.confirmed,
    )  # fmt: skip
    # Rules decide which rows are sent; what a row asks for, and what the cloud showed, they do not.
    sent = recorded.rows["disposition"] == "planned"
    asked = first_difference(recorded.rows[sent], made.rows[sent], [*MANDATORY_FIELDS, "vault_id"])
    if difference := asked or first_difference(recorded.rows, made.rows, ["before"]):
        yield f"its rows are not those of inventory, snapshot and decisions: {difference}"


def _carried_differences(ledger: Ledger, findings: Findings) -> Iterator[str]:
    """Yield decisions carried over from an earlier run that it does not hold."""
    carried = [step for step in list_steps(ledger) if "carried_from" in step.body]
    lines = read_earlier(ledger)
    followed = FollowedRun.from_body(ledger.list_events("created")[0].body)
    if lines is None or followed is None:
        if carried:
            yield "decisions are carried over from a run that it does not follow"
        return
    undecided = check_again(
        findings.inventory, findings.snapshot, decisions(ledger).iloc[:0], lines,
        strict=findings.strict, confirm=findings.confirmed,
    )  # fmt: skip
    expected = carry_over(EarlierRun(followed, "", lines), undecided.rows)
    if {step.body["reviewer"] for step in carried} != set(expected["by"]):
        yield "carries over decisions of others than those who decided in the earlier run"
    for step in carried:
        frame = expected[expected["by"] == step.body["reviewer"]]
        if first_difference(decision_of(ledger, step).fillna(""), frame, FIELDS):
            yield f"event {step.seq} carries over what the earlier run had not decided"
