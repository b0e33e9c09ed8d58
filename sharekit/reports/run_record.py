"""One run, read from its ledger into the plain frames that every report is made from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from sharekit.checks.findings import COLUMNS, carrier_addresses
from sharekit.checks.names import names_of, project_names, row_names
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core import frame_schemas
from sharekit.core.columns import STR, list_some, with_unit
from sharekit.core.fields import INPUT_PREFIX, SHARE_KEY
from sharekit.core.rules import RULES
from sharekit.ledger.events import describe, signed_part
from sharekit.ledger.ledger import Event, Ledger
from sharekit.plans.approval import valid_approvals
from sharekit.plans.plan import Plan
from sharekit.plans.steps import decision_of, list_steps, standing
from sharekit.plans.storage import read_names_snapshot
from sharekit.runs.requests.log import Request, RequestLog
from sharekit.runs.status import Run, load_run
from sharekit.spreadsheets.inventory import Source

#: The columns of ``Record.rows`` that every report has, in order. Scripts depend on them.
ROW_COLUMNS: Final = frame_schemas.RECORD_ROWS.names
#: Further columns of a record of several runs, after these.
RUN_COLUMNS: Final = ("run", "history")


@dataclass(frozen=True, eq=False)
class Record:
    """One run, read from its ledger; nothing in it depends on when or where it was read.

    All text is ``str`` and ``""`` means "none"; whole numbers are ``int64``; times are
    ``datetime64[us, UTC]`` with ``NaT`` for "never".

    Attributes
    ----------
    rows
        One line per row of the input, in the input's order, indexed by ``row_key``: the columns of
        :data:`~.frame_schemas.RECORD_ROWS`, then every original column as ``input.<its header>``.
    findings
        What the checks found (:data:`~.frame_schemas.REPORTED_FINDINGS`).
    chunks
        One line per request that was planned or made of splitting another
        (:data:`~.frame_schemas.REQUESTS`): ``chunk`` is "7", or "7.1" when split.
    sources
        The sheets that were read (:data:`~.frame_schemas.SOURCES`); ``columns`` says in one line
        which header became which field.
    approvals
        Every approval, and whether it is valid and signed (:data:`~.frame_schemas.APPROVALS`).
    reviews
        Decisions of reviewers, row by row (:data:`~.frame_schemas.REVIEWS`).
    policies
        The policies that decided, and the number of rows that each matched
        (:data:`~.frame_schemas.POLICIES`).
    timeline
        Every event of the ledger in order (:data:`~.frame_schemas.TIMELINE`).
    environment
        Name to value: versions, platform, clouds, endpoints, account, settings. No secrets.
    counts
        Outcome to number of rows: every name of :data:`sharekit.core.outcomes.OUTCOMES`.
    requests
        ``submit, poll, read, retried`` to the number of requests.
    fingerprint, head
        SHA-256 of the plan and of the ledger's last event, in hex.
    events
        Number of events in the ledger.
    finished
        Whether no row can still be changed by submitting again.
    created, ended
        When the run was begun and when it last changed: ISO 8601, UTC.
    runs
        Empty for one run. Else one line for each run in order: ``run`` ("1"), ``ledger``, ``what``
        ("first run", "retry of run 1"), ``rows`` and ``settled`` (number of rows in its inventory,
        and of those whose final outcome it gave), ``finished, created, ended, fingerprint, head,
        events``. Then ``rows`` has :data:`RUN_COLUMNS` too.
    parts
        Empty unless it is the record of a fleet. Else one line for each part: ``part, ledger, rows,
        open`` (number of rows that are not settled), ``what`` (their outcomes), ``approved_by``,
        ``finished, fingerprint, head, events``. Then ``rows`` and all other frames have a column
        ``part``.
    """

    rows: pd.DataFrame
    findings: pd.DataFrame
    chunks: pd.DataFrame
    sources: pd.DataFrame
    approvals: pd.DataFrame
    reviews: pd.DataFrame
    timeline: pd.DataFrame
    environment: dict[str, str]
    counts: dict[str, int]
    requests: dict[str, int]
    fingerprint: str
    head: str
    events: int
    finished: bool
    created: str
    ended: str
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    policies: pd.DataFrame = field(default_factory=frame_schemas.POLICIES.make_frame)
    parts: pd.DataFrame = field(default_factory=pd.DataFrame)


def read_record(
    ledger: Ledger, followed: tuple[Plan | None, RequestLog | None] = (None, None)
) -> Record:
    """Return the record of the run in an open ledger.

    Its plan and its requests, followed through all events, may be given; else they are read.

    Raises
    ------
    LedgerError
        If the ledger is damaged.
    """
    lines: list[tuple[Any, ...]] = []
    # The whole ledger is read and checked before its ends are looked at.
    events = _noted(ledger.iter_events(), lines)
    run = load_run(ledger, *followed, events=events)
    deque(events, maxlen=0)  # where the requests were given
    shown = read_names_snapshot(ledger)
    first, last = ledger.last_event("created"), ledger.last_event()
    return Record(
        rows=_rows(run, shown, standing(ledger)),
        findings=_findings(run),
        chunks=_chunks(run, shown),
        sources=frame_schemas.SOURCES.make_frame(
            _source(source) for source in run.plan.findings.inventory.sources
        ),
        approvals=_approvals(ledger, run.plan.fingerprint),
        reviews=_reviews(ledger, run),
        policies=_policies(ledger),
        timeline=frame_schemas.TIMELINE.make_frame(lines),
        environment=_environment(ledger.iter_events("created", "planned", "submit_started")),
        counts=run.counts,
        requests=run.requests,
        fingerprint=run.plan.fingerprint,
        head=ledger.head,
        events=ledger.event_count,
        finished=run.finished,
        created=first.at if first else "",
        ended=last.at if last else "",
    )


def _rows(run: Run, snapshot: Snapshot | None, decided: pd.DataFrame) -> pd.DataFrame:
    inventory, planned, outcomes = run.plan.findings.inventory.rows, run.plan.rows, run.rows
    rows = planned[["row", *SHARE_KEY, "status", "vault_id"]].join(
        outcomes.drop(columns="last_chunk")
    )
    for name in ("file", "sheet"):
        rows[name] = inventory[name].astype(STR)
    planned_chunk = planned["chunk"].astype(STR).fillna("")
    chunk = outcomes["last_chunk"].where(outcomes["last_chunk"] != "", planned_chunk)
    rows["chunk"] = chunk.mask(outcomes["outcome"].isin(["blocked", "already"]), "")
    rows["carried_by"] = carrier_addresses(rows, planned["carried_by"])
    rows = rows.assign(**row_names(run.plan.findings.inventory, planned, snapshot))
    decided = decided[["by", "reason"]].reindex(rows.index).fillna("")
    rows["decided_by"], rows["decision_reason"] = decided["by"], decided["reason"]
    originals = inventory[[c for c in inventory.columns if c.startswith(INPUT_PREFIX)]]
    return pd.concat([rows[list(ROW_COLUMNS)], originals], axis="columns")


def _findings(run: Run) -> pd.DataFrame:
    """Return what the checks found, and which shares have changed their state since."""
    findings = run.plan.findings.in_shell().frame[list(COLUMNS)]
    changed, rule = run.changed_since_plan, RULES["state-changed"]
    if changed.empty:
        return findings
    rows = run.plan.findings.inventory.rows.loc[changed.index, ["file", "sheet", "row"]]
    further = rows.assign(
        rule=rule.name, severity=rule.severity, column="", cell="",
        value=changed["moved"] + " → " + changed["before"],
        message=rule.message, suggestion=rule.suggestion,
    ).astype({"file": STR, "sheet": STR})  # fmt: skip
    return pd.concat([findings, further[list(COLUMNS)]], ignore_index=True)


def _chunks(run: Run, snapshot: Snapshot | None) -> pd.DataFrame:
    requests = run.request_log.requests.values()
    chunks = frame_schemas.REQUESTS.make_frame(_chunk(request) for request in requests)
    own, ids = run.plan.findings.inventory.rows, run.plan.rows["project_id"]
    return chunks.assign(**names_of(chunks["project_id"], project_names(own, ids, snapshot)))


def _chunk(request: Request) -> dict[str, Any]:
    return {
        **request.common,
        **vars(request.response),
        "chunk": request.chunk,
        "attempts": request.attempts,
        "state": request.state,
        "whole_image": request.common["whole_image"] == "true",
        "images": request.size,
        "first_sent": pd.Timestamp(request.first_sent) if request.first_sent else None,
        "ended": pd.Timestamp(request.ended) if request.ended else None,
    }


def _source(source: Source) -> dict[str, Any]:
    columns = ", ".join(
        f"{field} ← {header} ({source.letters.get(field, '')})"
        for field, header in source.columns.items()
    )
    facts = {name: getattr(source, name) for name in frame_schemas.SOURCES.names}
    return facts | {"columns": columns}


def _approvals(ledger: Ledger, fingerprint: str) -> pd.DataFrame:
    valid = {approval.at for approval in valid_approvals(ledger, fingerprint)}
    return frame_schemas.APPROVALS.make_frame(
        {
            **event.body,
            "at": event.at,
            "valid": event.at in valid,
            "signed": bool(signed_part(event.body).get("signature")),
        }
        for event in ledger.list_events("approved")
    )


def _reviews(ledger: Ledger, run: Run) -> pd.DataFrame:
    inventory = run.plan.findings.inventory.rows
    parts = []
    for event in list_steps(ledger):
        decision = decision_of(ledger, event).fillna("")
        addresses = inventory.loc[decision.index, ["file", "sheet", "row"]]
        vault = ("vault " + decision["vault_id"]).where(decision["vault_id"] != "", "")
        decided = (decision["decision"] + ", " + vault).str.strip(", ")
        parts.append(
            addresses.astype({"file": STR, "sheet": STR})
            .join(run.plan.rows[SHARE_KEY])
            .assign(
                planned=inventory.loc[decision.index, "status"],
                decided=decided.where(decided != "", "as planned"),
                reason=decision["reason"],
                reviewer=event.body["reviewer"],
                policy=decision.get("policy", ""),
                at=event.at,
            )
        )
    if not parts:
        return frame_schemas.REVIEWS.make_frame()
    reviews = pd.concat(parts).rename_axis("row_key").reset_index()
    return reviews[list(frame_schemas.REVIEWS.names)]


def _policies(ledger: Ledger) -> pd.DataFrame:
    return frame_schemas.POLICIES.make_frame(
        (event.at, event.body["reviewer"], name, decision, rows, event.body["policies_sha256"])
        for event in list_steps(ledger)
        for name, decision, rows in event.body.get("matched", ())
    )


def _noted(events: Iterable[Event], lines: list[tuple[Any, ...]]) -> Iterator[Event]:
    """Yield events, and put the line of each in a timeline into ``lines``."""
    for event in events:
        yield event
        kind, body = event.kind, event.body
        chunk, at = str(body.get("chunk", "")), pd.Timestamp(event.at)
        lines.append((at, kind, chunk, _images(event), describe(kind, body)))


def _images(event: Event) -> int:
    images = event.body.get("images", 0)
    if isinstance(images, int):
        return images
    return len(images) * len(event.body.get("projects", "1"))


def _environment(events: Iterable[Event]) -> dict[str, str]:
    facts: dict[str, str] = {}
    acted: dict[tuple[str, str], set[str]] = {}
    for event in events:
        if event.kind == "created":
            facts |= {str(k): str(v) for k, v in event.body.items()}
        elif event.kind == "planned":
            if confirmed := event.body["settings"].get("confirmed"):
                facts["setting confirmed"] = ", ".join(confirmed)
        elif event.kind == "submit_started":
            for cloud in event.body["clouds"]:
                facts[f"cloud {cloud['cloud']}"] = (
                    f"project {cloud['project_id']}, region {cloud['region'] or 'not named'}, "
                    f"{cloud['ims']}, account {cloud['account'] or 'not named'}"
                )
                if cloud.get("acts_as"):
                    acted.setdefault((cloud["cloud"], cloud["acts_as"]), set()).add(
                        cloud["project_id"]
                    )
                if cloud.get("warnings"):
                    facts[f"warning {cloud['cloud']}"] = "; ".join(cloud["warnings"])
            facts |= {f"setting {k}": str(v) for k, v in event.body["settings"].items()}
    for (name, own), projects in acted.items():
        facts[f"operator {name}"] = (
            f"signed in to project {own}, acted for {with_unit(len(projects), 'project')}: "
            f"{list_some(sorted(projects))}"
        )
    return facts
