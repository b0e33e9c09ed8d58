"""An inventory, a snapshot and a plan, written into a ledger and read back from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa

from sharekit.checks.findings import Findings
from sharekit.checks.hits import fullmatch
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core import frame_schemas
from sharekit.core.columns import STR, is_owner_action, replace_where
from sharekit.core.errors import LedgerError, UsageError
from sharekit.core.fields import FIELDS, PROJECT_ID, UUID, VAULT_SHAPE
from sharekit.core.rules import RULE_SET
from sharekit.ledger.ledger import Event, Ledger
from sharekit.spreadsheets.inventory import Inventory, Source

from .chunks import Chunks, chunks_of

LOG = logging.getLogger("sharekit.plans")
_SOURCE_FIELDS: Final = tuple(field.name for field in fields(Source))


class StoredPlan(NamedTuple):
    """A plan as a ledger holds it."""

    rows: pd.DataFrame
    chunks: Chunks
    fingerprint: str
    findings: Findings


def last_event_body(ledger: Ledger, kind: str) -> dict[str, Any]:
    """Return the body of the latest event of a kind that every run has.

    Raises
    ------
    LedgerError
        The ledger holds an audit, or is incomplete.
    """
    event = ledger.last_event(kind)
    if event is None and ledger.last_event("audit_recorded") is not None:
        raise LedgerError(
            f"{ledger.path} holds an audit, not a run.",
            in_python="sharekit.report(PATH, FILE) writes a report of it.",
            in_shell="`sharekit report` writes a report of it.",
        )
    if event is None:
        refuse_fleet(ledger)
    if event is None:
        raise LedgerError(f"{ledger.path} is incomplete: it has no {kind!r} event.")
    return event.body


def refuse_fleet(ledger: Ledger) -> None:
    """Raise UsageError if a ledger is that of a fleet, which names the ledgers of its parts."""
    if ledger.last_event("fleet_planned") is not None:
        raise UsageError(
            f"{ledger.path} holds a fleet, not a run.",
            in_python="sharekit.Fleet(FOLDER) reads it.",
            in_shell=f"`sharekit fleet status {ledger.path.parent}` reads it.",
        )


def row_count(ledger: Ledger) -> int:
    """Return the number of rows of the inventory."""
    return int(last_event_body(ledger, "inventory_read")["rows"])


# -- inventory and snapshot ------------------------------------------------------------------------
def write_inventory(ledger: Ledger, inventory: Inventory) -> None:
    """Write every row of an inventory, and the sheets it was read from."""
    body = {
        "rows": len(inventory),
        "sources": [asdict(source) for source in inventory.sources],
        "rows_blob": ledger.put_frame(inventory.rows),
        "cell_issues_blob": ledger.put_frame(inventory.cell_issues),
    }
    ledger.append("inventory_read", body)


def read_sources(ledger: Ledger) -> tuple[Source, ...]:
    """Read from which sheets the inventory was read."""
    return tuple(
        Source(**{name: sheet[name] for name in _SOURCE_FIELDS if name in sheet})
        for sheet in last_event_body(ledger, "inventory_read")["sources"]
    )


def read_stored_inventory(ledger: Ledger) -> Inventory:
    """Read the inventory that a run or an audit began with."""
    body = last_event_body(ledger, "inventory_read")
    return Inventory(
        rows=ledger.get_frame(body["rows_blob"], frame_schemas.INVENTORY_ROWS),
        sources=read_sources(ledger),
        cell_issues=ledger.get_frame(body["cell_issues_blob"], frame_schemas.CELL_ISSUES),
    )


def write_snapshot(ledger: Ledger, snapshot: Snapshot, kind: str = "snapshot_taken") -> None:
    """Write what the clouds showed; before sending, ``kind`` is ``preflight_snapshot``."""
    frames = {name: getattr(snapshot, name) for name in frame_schemas.SNAPSHOT}
    blobs = {
        f"{name}_blob": ledger.put_frame(frame)
        for name, frame in frames.items()
        if name != "owned" or len(frame)
    }
    states = {str(k): int(v) for k, v in snapshot.members["state"].value_counts().items()}
    ledger.append(kind, {"taken_at": snapshot.taken_at, "states": states, **blobs})


def read_snapshot(ledger: Ledger) -> Snapshot | None:
    """Read the snapshot that the plan was made with; None if it was made without a cloud."""
    event = ledger.last_event("snapshot_taken")
    return None if event is None else read_snapshot_of(ledger, event)


def read_names_snapshot(ledger: Ledger) -> Snapshot | None:
    """Read the snapshot that tells names: the plan's, or else the one taken before sending.

    Of shares that tell the same of an image it holds the first.
    """
    event = ledger.last_event("snapshot_taken") or ledger.last_event("preflight_snapshot")
    if event is None:
        return None
    snapshot, facts = read_snapshot_of(ledger, event), ["image_id", "name", "owner"]
    shares = {name: getattr(snapshot, name).drop_duplicates(facts) for name in ("members", "owned")}
    return replace(snapshot, **shares)


def read_snapshot_of(ledger: Ledger, event: Event) -> Snapshot:
    """Read the snapshot that an event names."""
    frames = {
        name: ledger.get_frame(event.body[f"{name}_blob"], schema)
        for name, schema in frame_schemas.SNAPSHOT.items()
        if f"{name}_blob" in event.body
    }
    return Snapshot(event.body["taken_at"], **frames)


def read_earlier(ledger: Ledger) -> pd.DataFrame | None:
    """Read what earlier runs decided, as the plan compares it; None if it follows on none."""
    event = ledger.last_event("planned")
    if event is None or "earlier_blob" not in event.body:
        return None
    return ledger.get_frame(event.body["earlier_blob"], frame_schemas.EARLIER)


# -- plan ------------------------------------------------------------------------------------------
def write_plan(
    ledger: Ledger,
    rows: pd.DataFrame,
    findings: Findings,
    counts: Mapping[str, Any],
    settings: Mapping[str, Any],
    earlier: pd.DataFrame | None = None,
) -> None:
    """Write every row's place in a plan, the findings, its counts and its fingerprint.

    ``earlier`` is what earlier runs decided, so that planning again compares with it as well.
    """
    with ledger.transaction():
        compared = {} if earlier is None else {"earlier_blob": ledger.put_frame(earlier)}
        rows_blob = ledger.put_frame(stored_rows(rows, findings.inventory))
        ledger.append(
            "planned",
            {
                **counts,
                "rule_set": RULE_SET,
                "rows_blob": rows_blob,
                "findings_blob": ledger.put_frame(findings.frame[[*frame_schemas.FINDINGS.names]]),
                "findings": findings.counts,
                "settings": dict(settings),
                **compared,
            },
        )


def stored_rows(rows: pd.DataFrame, inventory: Inventory) -> pd.DataFrame:
    """Return of a plan's rows what the inventory does not say."""
    read, missing = inventory.rows, pa.nulls(len(rows), pa.large_string())
    nothing = pd.Series(pd.array(missing, dtype=STR), rows.index)
    fields = {}
    for name in FIELDS:
        changed = (rows[name] != read[name]).to_numpy(dtype=bool)
        fields[name] = nothing
        if changed.any():
            fields[name] = replace_where(nothing, changed, rows[name][changed])
    return rows.assign(**fields)[
        [name for name in rows if name in frame_schemas.STORED_PLAN.columns]
    ]


def planned_rows(stored: pd.DataFrame, inventory: Inventory) -> pd.DataFrame:
    """Return a plan's rows from what :func:`stored_rows` returned of them."""
    rows = inventory.rows[["source", "row", *FIELDS]]
    changed = [name for name in FIELDS if stored[name].notna().any()]
    fields = {name: stored[name].fillna(rows[name]) for name in changed}
    return rows.assign(**fields, **stored.drop(columns=list(FIELDS)))


def read_stored_plan(ledger: Ledger) -> StoredPlan:
    """Read the latest plan of a ledger.

    Raises
    ------
    LedgerError
        If there is none, or it is not the one that was recorded.
    """
    body = last_event_body(ledger, "planned")
    inventory = read_stored_inventory(ledger)
    rows = planned_rows(ledger.get_frame(body["rows_blob"], frame_schemas.STORED_PLAN), inventory)
    found = ledger.get_frame(body["findings_blob"], frame_schemas.FINDINGS)
    snapshot = read_snapshot(ledger)
    if problem := _inconsistency(inventory, rows):
        raise LedgerError(f"{ledger.path} is damaged: {problem}.")
    chunks = chunks_of(rows)
    if chunks.fingerprint() != body["fingerprint"]:
        raise LedgerError(f"{ledger.path} is damaged: the plan is not the one that was recorded.")
    strict = bool(body["settings"]["strict"])
    confirmed = tuple(body["settings"].get("confirmed", ()))
    findings = Findings(inventory, rows, found, snapshot, strict, confirmed=confirmed)
    return StoredPlan(rows, chunks, body["fingerprint"], findings)


def _inconsistency(inventory: Inventory, rows: pd.DataFrame) -> str:
    """Return how the frames of a plan contradict each other, ``""`` if they do not."""
    last_source, planned = len(inventory.sources) - 1, rows["disposition"] == "planned"
    sources = [frame["source"] for frame in (inventory.rows, rows, inventory.cell_issues)]
    grammars = {"image_id": UUID, "project_id": PROJECT_ID, "vault_id": f"|{VAULT_SHAPE}"}
    owners = rows.loc[planned & is_owner_action(rows["status"]), "owner"]
    valid = {
        "a row names a sheet that does not exist": all(
            source.between(0, last_source).all() for source in sources
        ),
        "a row has an impossible place in the plan": (
            ((rows["chunk"] >= 1).fillna(value=False) == planned).all()
            and (rows["carried_by"].notna() == (rows["disposition"] == "duplicate")).all()
            and (rows["carried_by"] != -1).fillna(value=True).all()
        ),
        # These IDs become parts of URLs.
        "a planned row has an invalid ID": (
            all(fullmatch(rows.loc[planned, name], g).all() for name, g in grammars.items())
            and fullmatch(owners, PROJECT_ID).all()
        ),
    }
    return next((problem for problem, good in valid.items() if not good), "")
