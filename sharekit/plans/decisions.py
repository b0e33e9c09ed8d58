"""A reviewer's decisions on the rows of a plan, before anything is sent.

Decisions are events of the ledger, each on disk before the call returns, keyed by row. They do not
change the plan: :func:`replan` does, under a new fingerprint. An approval fixes the rows until it
is revoked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Final

import pandas as pd

from sharekit.checks.cell_rules import statuses
from sharekit.checks.findings import left_out_rows
from sharekit.checks.hits import fullmatch
from sharekit.checks.names import row_names
from sharekit.core.actions import Decision
from sharekit.core.columns import NAMED, STR, as_arrow, list_some, needs_reason, with_unit
from sharekit.core.errors import InputError, PlanError, UsageError
from sharekit.core.fields import NAMES, VAULT_SHAPE
from sharekit.core.files import shown_name
from sharekit.core.provenance import name_error, user
from sharekit.ledger.ledger import Event, Ledger
from sharekit.spreadsheets.vocabulary import NO_USE, read_decision, says_why
from sharekit.spreadsheets.writing.review_sheet import FilledSheet, find_plan, read_review

from .approval import latest_approval, pending_decisions, plan_event
from .plan import HasLedger, Plan, ledger_path, read_plan, replan_with
from .selection import RowCount, RowKeys, Rows, select_keys
from .steps import FIELDS, decision_of, decisions, list_steps, said, standing, undoable
from .storage import LOG, read_stored_inventory, row_count

#: The columns of :func:`review_rows`.
_REVIEW_COLUMNS: Final = [
    "file", "sheet", "row", "image_id", "project_id", "status", "vault_id", *NAMES,
    "before", "disposition", "findings",
]  # fmt: skip


def review_rows(plan: Plan) -> pd.DataFrame:
    """Return every row of a plan as a reviewer sees it, with its findings as one text."""
    findings = plan.findings.frame
    findings = findings[
        (findings["row_key"] >= 0) & findings["severity"].isin(["error", "warning", "repair"])
    ]
    left_out = left_out_rows(plan.findings).rename_axis("row_key").reset_index()
    findings = pd.concat([findings[["row_key", "rule", "message"]], left_out])
    texts = (findings["rule"] + ": " + findings["message"]).set_axis(findings["row_key"])
    several = texts.index.duplicated(keep=False)
    joined = texts[several].groupby(level=0).agg("; ".join)
    texts = pd.concat([texts[~several], joined]).astype(STR)
    inventory = plan.findings.inventory
    rows = plan.rows.assign(**row_names(inventory, plan.rows, plan.findings.snapshot))
    for name in ("file", "sheet"):
        rows[name] = pd.array(as_arrow(inventory.rows[name]), dtype=STR)
    rows["findings"] = texts.reindex(rows.index).fillna("").astype(STR)
    return rows[_REVIEW_COLUMNS]


# -- steps -----------------------------------------------------------------------------------------
def decide(
    plan: HasLedger | str | PathLike[str],
    rows: Rows,
    *,
    decision: Decision | None = None,
    reason: str | None = None,
    vault_id: str | None = None,
    reviewer: str = "",
    require_reasons: bool = True,
) -> Event:
    """Write one step of decisions into the ledger; :func:`replan` puts it into the plan.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    rows : sequence of int, or mask
        Keys of rows (the index of ``plan.rows``), wherever they are in a sorted or filtered view;
        or True or False for each row.
    decision : str, optional
        ``accept`` or ``reject``, ``share`` or ``unshare`` where the owner acts, ``skip``, or ``""``
        for what the inventory says; any word that an inventory may hold for it. None leaves it as
        it was.
    reason, vault_id : str, optional
        The reason, and the vault for a full-ECS image; None leaves them as they were, but a new
        decision never keeps the reason of an earlier one.
    reviewer : str
        The name of the person who decides, for the report; without it, the user of this machine.
    require_reasons : bool
        Whether to refuse a decision that needs a reason and has none of its own: see
        :func:`~sharekit.core.columns.needs_reason`.

    Returns
    -------
    Event
        The step; :func:`undo` takes the last one back.

    Raises
    ------
    UsageError
        There is no such row or no such decision, nothing is decided, or a reason is missing.
    PlanError
        The plan is approved, or requests were sent already.
    LedgerError
        There is no such ledger, another process is using it, or it cannot be written.

    Examples
    --------
    >>> decide("run.ledger", [17, 18], decision="skip", reason="owner left")  # doctest: +SKIP
    """
    with open_for_decisions(ledger_path(plan)) as ledger:
        keys = select_keys(rows, row_count(ledger))
        step = make_step(keys, decision=decision, reason=reason, vault_id=vault_id)
        asked = statuses(read_stored_inventory(ledger).rows["status"].loc[step.index])
        held, name = standing(ledger), person(reviewer)
        check_reasons(step, asked, held, name, required=require_reasons)
        return _record(ledger, step, name)


def record_step(
    plan: HasLedger | str | PathLike[str], step: pd.DataFrame, *, reviewer: str = ""
) -> Event:
    """Write a step that decides on each row by itself, and that :func:`check_reasons` lets pass.

    ``step`` has :data:`FIELDS` by ``row_key``, in our words; what is missing stays as it was.
    """
    with open_for_decisions(ledger_path(plan)) as ledger:
        return _record(ledger, step, reviewer)


def make_step(
    keys: RowKeys, *, decision: str | None = None, reason: str | None = None,
    vault_id: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return one decision on some rows as a frame: :data:`FIELDS` by ``row_key``."""
    given = {"decision": decision, "reason": reason, "vault_id": vault_id}
    if len(keys) == 0 or all(value is None for value in given.values()):
        raise UsageError("Name at least one row, and a decision, a reason or a vault for it.")
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{value!r:.80} is no text, so it is no {name.removesuffix('_id')}.")
    if decision is not None:
        given["decision"] = read_decision(decision)
        given["reason"] = reason or ""
    decided = {name: None if value is None else value.strip() for name, value in given.items()}
    check_vaults(pd.Series([decided["vault_id"] or ""], dtype=STR))
    return pd.DataFrame(decided, index=pd.Index(keys, name="row_key"), columns=FIELDS, dtype=STR)


def check_reasons(
    step: pd.DataFrame, asked: pd.Series, standing: pd.DataFrame, reviewer: str, *,
    required: bool = True,
) -> None:  # fmt: skip
    """Refuse a step with a decision that lacks a reason of its own, or a reason of no decision.

    Parameters
    ----------
    step : DataFrame
        As :func:`make_step` returns it.
    asked : Series
        By row key, the action that the inventory asks for.
    standing : DataFrame
        By row key, ``decision``, ``vault_id`` and ``by``: what stands, and who decided so.
    reviewer : str
        Who decides now.
    required : bool
        Whether a reason is required at all.

    Raises
    ------
    UsageError
        Rejecting, skipping, deciding against the inventory or turning back what another person
        decided, without a reason; or a reason where nothing is decided.
    """
    held = standing.reindex(step.index).fillna("")
    decision = step["decision"].where(step["decision"].notna(), held["decision"])
    given = says_why(step["reason"])
    nothing = step[["decision", "vault_id"]].isna().all(axis="columns")
    nothing &= (held[["decision", "vault_id"]] == "").all(axis="columns")
    if count := int((given & nothing).sum()):
        raise UsageError(f"{with_unit(count, 'row')}: this {NO_USE}.")
    others = others_decisions(held, reviewer)
    lacking = _lacking_reason(step) & needs_reason(decision, asked, others)
    if required and (count := int(lacking.sum())):
        turned = sorted(set(held["by"][lacking & (others != "") & (others != decision)]))
        raise UsageError(
            f"{count:,} of these rows would be rejected, skipped or decided against "
            f"{' or '.join(['the inventory', *turned[:NAMED]])} without a reason of their own: "
            "write a reason first."
        )


def others_decisions(standing: pd.DataFrame, reviewer: str) -> pd.Series:
    """Return the decision on each row that another person than the reviewer made, ``""`` if none.

    >>> held = pd.DataFrame({"decision": ["skip", "skip", ""], "by": ["Ada", "Bob", "Bob"]})
    >>> others_decisions(held, "Ada").tolist()
    ['', 'skip', '']
    """
    return standing["decision"].where(standing["by"] != reviewer, "")


def _lacking_reason(step: pd.DataFrame) -> pd.Series:
    return step["reason"].notna() & ~says_why(step["reason"])


def _record(ledger: Ledger, step: pd.DataFrame, reviewer: str) -> Event:
    with ledger.transaction():
        body = {
            "reviewer": person(reviewer),
            "rows": len(step),
            "of": plan_event(ledger)["fingerprint"],
            "blob": ledger.put_frame(step),
        }
        return ledger.append("decided", body)


def person(reviewer: str) -> str:
    """Return the name under which a decision is written down; it always has one.

    Raises
    ------
    UsageError
        No name was given and the system knows none, or the name holds what nobody can see.
    """
    name = reviewer.strip() or user()
    if not name:
        raise UsageError(
            "Nobody is named who decides.",
            in_python="Add reviewer=NAME.",
            in_shell="Add --reviewer NAME.",
        )
    if error := name_error(name):
        raise UsageError(error)
    return name


def undo(plan: HasLedger | str | PathLike[str], *, reviewer: str = "") -> int:
    """Take the last step of decisions back; return the number of its rows, 0 if there is none.

    Raises
    ------
    UsageError
        Another person took it: that is turned back by a decision with a reason.
    PlanError
        The plan is approved, or requests were sent already.

    Examples
    --------
    >>> undo("run.ledger")  # doctest: +SKIP
    1
    """
    with open_for_decisions(ledger_path(plan)) as ledger:
        if not undoable(ledger):
            return 0
        last, name = list_steps(ledger)[-1], person(reviewer)
        if last.body["reviewer"] != name:
            raise UsageError(
                f"{last.body['reviewer']} took the last step, so {name} cannot undo it: decide on "
                "its rows anew, with a reason."
            )
        ledger.append("decision_undone", {"seq": last.seq, "reviewer": name})
        return int(last.body["rows"])


def replan(plan: HasLedger | str | PathLike[str]) -> Plan:
    """Plan again with every decision taken so far; without a new one the plan stays the same.

    Raises
    ------
    PlanError
        The plan is approved, is larger than it may be, or requests were sent already.

    Examples
    --------
    >>> replan("run.ledger").fingerprint[:12]  # doctest: +SKIP
    'a61f0b2c9d4e'
    """
    path = ledger_path(plan)
    with Ledger.open(path) as ledger:
        if not pending_decisions(ledger):
            return read_plan(ledger)
    with open_for_decisions(path) as ledger, ledger.transaction():
        return replan_with(ledger, decisions(ledger))


def import_sheets(
    path: Path, sheets: Sequence[Path], reviewer: str = "", *, require_reasons: bool = True
) -> RowCount:
    """Import the decisions of review workbooks, and plan again; return the number of rows.

    Workbooks of an earlier plan of the same ledger are taken, too, so that several people can hand
    theirs in one after the other. The answer's ``notes`` say what in them was not read.

    Raises
    ------
    InputError
        As :func:`.read_review`; or a row is decided differently by two sheets, or otherwise than
        another person has decided it since the sheet was written. Nothing is taken then.
    """
    with Ledger.open(path, write=True) as ledger:
        _check_nothing_sent(ledger)
        name = person(reviewer)
        current = read_plan(ledger)
        asked = statuses(current.findings.inventory.rows["status"]) if require_reasons else None
        filled = {sheet: FilledSheet.read(sheet) for sheet in sheets}
        taken = {
            sheet: _read_decisions(ledger, one, current, asked, name)
            for sheet, one in filled.items()
        }
        _check_agreement(taken, current)
        notes = [note for one in filled.values() for note in one.notes]
        there = pd.concat([one.row_numbers for one in filled.values()]).nunique()
        if there < len(current.rows):
            notes.append(
                "Rows of the plan that are in none of these sheets: "
                f"{len(current.rows) - there:,}; what stands on them stays."
            )
        if any(len(decided) for decided in taken.values()):
            _write_imports(ledger, taken, name, current)
        rows = len(pd.concat(taken.values()).index.unique())
        return RowCount(rows, "decided by sheet", notes)


def _write_imports(
    ledger: Ledger, taken: Mapping[Path, pd.DataFrame], reviewer: str, plan: Plan
) -> None:
    with ledger.transaction():
        for sheet, decided in taken.items():
            if decided.empty:
                continue
            body = {
                "reviewer": reviewer,
                "file": shown_name(sheet.name),
                "sha256": hashlib.sha256(sheet.read_bytes()).hexdigest(),
                "decisions": len(decided),
                "of": plan.fingerprint,
                "blob": ledger.put_frame(decided),
            }
            ledger.append("review_imported", body)
            LOG.info("imported %d decisions from %s", len(decided), sheet)
        replan_with(ledger, decisions(ledger))


def _read_decisions(
    ledger: Ledger, sheet: FilledSheet, current: Plan, asked: pd.Series | None, reviewer: str
) -> pd.DataFrame:
    """Read a sheet as one of the plan that it was written for."""
    plans = {event.body["fingerprint"]: event for event in ledger.list_events("planned")}
    event = plans[current.fingerprint]
    rows, then = review_rows(current), current
    if len(plans) > 1:
        event = plans[find_plan(sheet, rows, [*reversed(plans)])]
    if event.body["fingerprint"] != current.fingerprint:
        with Ledger.open(ledger.path, verify_chain=False, until=event.hash) as past:
            then = read_plan(past)
        rows = review_rows(then)
    rows = rows.join(standing(ledger)[["decision", "reason", "by"]])
    stood = standing(ledger, until=event.seq)["decision"]
    rows["stood"] = rows.index.isin(stood.index[stood != ""])
    decided = read_review(
        sheet, rows, fingerprint=then.fingerprint, asked=asked, reviewer=reviewer,
        said=lambda keys: said(ledger, keys),
    )  # fmt: skip
    decided.index.name = "row_key"
    later = [step for step in list_steps(ledger) if step.seq > event.seq]
    unseen = decided.loc[~decided.pop("seen"), "decision"]
    for step in later:
        if step.body["reviewer"] == reviewer or "policies" in step.body:
            continue
        other = decision_of(ledger, step)["decision"].dropna().reindex(unseen.index)
        differing = unseen.index[other.notna() & (other != unseen)]
        what = f"{sheet.file}: {step.body['reviewer']} decided otherwise on"
        _refuse_rows(current, differing, what)
    return decided


def _check_agreement(taken: Mapping[Path, pd.DataFrame], plan: Plan) -> None:
    together = pd.concat([decided["decision"] for decided in taken.values()])
    several = together.groupby(level=0).nunique()
    _refuse_rows(plan, several.index[several > 1], "The sheets decide differently on")


def _refuse_rows(plan: Plan, keys: pd.Index, what: str) -> None:
    if not len(keys):
        return
    inventory = plan.findings.inventory
    named = inventory.cell_addresses(inventory.rows.loc[keys[:NAMED]], "image_id")
    images = plan.rows.loc[named.index, "image_id"]
    shares = [f"{cell!s} ({image})" for cell, image in zip(named, images, strict=True)]
    raise InputError(
        f"{what} {list_some(shares, len(keys))}; nothing was taken. Agree on them, and take it "
        "again."
    )


@contextmanager
def open_for_decisions(path: Path) -> Iterator[Ledger]:
    """Open a ledger whose plan may still be changed.

    Raises
    ------
    PlanError
        The plan is approved, or requests were sent already.
    """
    with Ledger.open(path, write=True) as ledger:
        _check_nothing_sent(ledger)
        approval = latest_approval(ledger, plan_event(ledger)["fingerprint"])
        if approval is not None:
            raise PlanError(
                f"{path}: {approval.reviewer} has approved this plan, so its rows are fixed. "
                "Take the approval back to decide otherwise."
            )
        yield ledger


def check_vaults(vaults: pd.Series) -> None:
    """Refuse what is not ``""`` and has not the shape of a vault's ID."""
    wrong = vaults[(vaults != "") & ~fullmatch(vaults, VAULT_SHAPE)]
    if len(wrong):
        raise UsageError(f"{wrong.iloc[0]!r:.80} is not the ID of a vault.")


def _check_nothing_sent(ledger: Ledger) -> None:
    if ledger.last_event("intent") is not None:
        raise PlanError(
            f"{ledger.path}: requests were sent already, so the plan can no longer change."
        )
