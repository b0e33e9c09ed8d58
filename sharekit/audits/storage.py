"""Audits, and their parts, written into a ledger and read back from it."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from sharekit.checks.findings import Findings
from sharekit.clouds.state.survey import Survey
from sharekit.core import frame_schemas
from sharekit.core.errors import LedgerError
from sharekit.core.files import shown_name
from sharekit.core.rules import RULE_SET
from sharekit.ledger.integrity import CREATED_FIELDS, created_body
from sharekit.ledger.ledger import Ledger
from sharekit.plans.policies.policy import from_description
from sharekit.plans.storage import read_stored_inventory, write_inventory
from sharekit.runs.status import load_run

from .baseline import Baseline, diff, from_audit, from_run
from .results import Audit


def write_survey(ledger: Ledger, survey: Survey) -> None:
    """Write a survey into a ledger, one event for each frame."""
    for name in frame_schemas.SURVEY:
        frame = getattr(survey, name)
        blob = ledger.put_frame(frame)
        body = {"what": name, "taken_at": survey.taken_at, "lines": len(frame), "blob": blob}
        ledger.append("cloud_listed", body)


def read_survey(ledger: Ledger) -> Survey:
    """Read a survey back from a ledger.

    Raises
    ------
    LedgerError
        If the ledger lacks one of its frames.
    """
    bodies = {event.body["what"]: event.body for event in ledger.list_events("cloud_listed")}
    if missing := set(frame_schemas.SURVEY) - bodies.keys():
        raise LedgerError(f"{ledger.path} is incomplete: its survey lacks {min(missing)!r}.")
    frames = {
        name: ledger.get_frame(bodies[name]["blob"], schema)
        for name, schema in frame_schemas.SURVEY.items()
    }
    return Survey(bodies["shares"]["taken_at"], **frames)


def write_baseline(ledger: Ledger, baseline: Baseline) -> None:
    """Write a baseline into the ledger of the audit that was compared with it."""
    ledger.append(
        "baseline_loaded",
        {
            "name": baseline.name,
            "kind": baseline.kind,
            "at": baseline.at,
            "head": baseline.head,
            "complete_projects": baseline.complete_projects,
            "complete_owners": baseline.complete_owners,
            "blob": ledger.put_frame(baseline.shares),
        },
    )


def read_baseline(ledger: Ledger) -> Baseline | None:
    """Read a baseline back from an audit's ledger; None if there was no comparison."""
    event = ledger.last_event("baseline_loaded")
    if event is None:
        return None
    body = event.body
    return Baseline(
        name=body["name"],
        kind=body["kind"],
        at=body["at"],
        head=body["head"],
        shares=ledger.get_frame(body["blob"], frame_schemas.BASELINE),
        complete_projects=tuple(body["complete_projects"]),
        complete_owners=tuple(body["complete_owners"]),
    )


def load_baseline(path: str | PathLike[str]) -> Baseline:
    """Return what the ledger of an earlier audit or run showed.

    Raises
    ------
    LedgerError
        If there is no such ledger, it is damaged, or it holds neither.
    """
    ledger_path = Path(path)
    if not ledger_path.exists():
        raise LedgerError(
            f"{path}: there is no such ledger.",
            in_python="sharekit.audits.storage.save(audit, PATH) keeps one to compare with.",
            in_shell="`sharekit audit … -o NAME.ledger` keeps one to compare with.",
        )
    with Ledger.open(ledger_path) as ledger:
        audited, last = ledger.last_event("audit_recorded"), ledger.last_event()
        if audited is None:
            at = last.at if last else ""
            return from_run(shown_name(ledger_path.name), ledger.head, at, load_run(ledger))
        rows = ledger.get_frame(audited.body["rows_blob"], frame_schemas.AUDIT_ROWS)
        return from_audit(shown_name(ledger_path.name), ledger.head, rows, read_survey(ledger))


def save(audit: Audit, path: str | PathLike[str]) -> Path:
    """Write an audit into a ledger of its own: evidence, and a baseline for later audits.

    Raises
    ------
    LedgerError
        If the file exists or cannot be written.

    Examples
    --------
    >>> save(audit, "2026-07.ledger")  # doctest: +SKIP
    """
    target = Path(path)
    ledger = Ledger.create(target)
    try:
        with ledger, ledger.transaction():
            ledger.append("created", created_body(ledger, audit.environment))
            if audit.inventory is not None:
                write_inventory(ledger, audit.inventory)
            write_survey(ledger, audit.survey)
            if audit.baseline is not None:
                write_baseline(ledger, audit.baseline)
            _write_result(ledger, audit)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _write_result(ledger: Ledger, audit: Audit) -> None:
    body: dict[str, Any] = {
        "counts": audit.counts,
        "drift": audit.drift,
        "fingerprint": audit.fingerprint,
        "rule_set": RULE_SET,
        "rows_blob": ledger.put_frame(audit.rows),
    }
    if audit.findings is not None:
        frames = {
            "findings_blob": audit.findings.frame[[*frame_schemas.FINDINGS.names]],
            "blob": audit.findings.rows,
        }
        for name, frame in frames.items():
            body[name] = ledger.put_frame(frame)
    if audit.policies is not None:
        body["policies"] = audit.policies.describe()
        body["policies_sha256"] = audit.policies.fingerprint
        body |= {"violations": len(audit.violations), "not_judged": len(audit.not_judged)}
    ledger.append("audit_recorded", body)


def load(path: str | PathLike[str]) -> Audit:
    """Read an audit back from its ledger.

    Raises
    ------
    LedgerError
        If it is no ledger, is damaged, or holds no audit.
    """
    with Ledger.open(Path(path)) as ledger:
        if not holds_audit(ledger):
            raise LedgerError(f"{path} holds a run, not an audit.")
        return read_audit(ledger)


def holds_audit(ledger: Ledger) -> bool:
    """Return True if a ledger is that of an audit."""
    return ledger.last_event("audit_recorded") is not None and ledger.last_event("planned") is None


def read_audit(ledger: Ledger) -> Audit:
    """Return the audit in an open ledger; see :func:`load`."""
    created, audited = ledger.last_event("created"), ledger.last_event("audit_recorded")
    if created is None or audited is None:
        raise LedgerError(f"{ledger.path} is incomplete: it holds no result of an audit.")
    rows = ledger.get_frame(audited.body["rows_blob"], frame_schemas.AUDIT_ROWS)
    survey, baseline = read_survey(ledger), read_baseline(ledger)
    facts = sorted(created.body.items())
    return Audit(
        findings=_read_findings(ledger, audited.body),
        survey=survey,
        rows=rows,
        changes=diff(baseline, rows, survey),
        baseline=baseline,
        policies=from_description(audited.body["policies"]) if "policies" in audited.body else None,
        environment={name: str(value) for name, value in facts if name not in CREATED_FIELDS},
    )


def _read_findings(ledger: Ledger, body: Mapping[str, Any]) -> Findings | None:
    if "blob" not in body or "findings_blob" not in body:
        return None
    rows = ledger.get_frame(body["blob"], frame_schemas.CHECKED_ROWS)
    frame = ledger.get_frame(body["findings_blob"], frame_schemas.FINDINGS)
    return Findings(read_stored_inventory(ledger), rows, frame)
