"""From checked rows to exactly the requests that will be sent, with a fingerprint.

The fingerprint covers the requests alone (what is sent, for which project), so the same inventory
in another order of rows gives the same one, and any change of what would be sent another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sharekit.checks.check import check
from sharekit.checks.findings import Findings
from sharekit.checks.hits import fullmatch
from sharekit.clouds.api_calls import batch_call, native_calls
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core import frame_schemas
from sharekit.core.api import CHUNK_SIZE
from sharekit.core.columns import is_owner_action
from sharekit.core.errors import LedgerError, PlanError
from sharekit.core.fields import PROJECT_ID, UUID, VAULT_SHAPE
from sharekit.core.html import table
from sharekit.core.provenance import environment
from sharekit.core.rules import RULES, SEVERITIES
from sharekit.ledger import parquet
from sharekit.ledger.integrity import schema_digest
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.tables import DISPOSITIONS, PLAN_COLUMNS
from sharekit.spreadsheets.inventory import Inventory, Source

from .chunks import Cut, cut_into_chunks, cut_of, members

_SHEET = tuple(field.name for field in fields(Source))


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """Exactly what would be sent.

    Attributes
    ----------
    path : Path
        The ledger that holds the plan.
    rows : DataFrame
        As :attr:`Findings.rows`, with ``chunk`` (Int64, from 1; missing where nothing is sent).
    chunks : DataFrame
        Indexed by ``chunk``: :data:`COMMON` (``project_id`` is the project that acts), ``images``
        (int64: how many it changes; images × projects where an owner shares) and ``to`` (the
        endpoint, ``""`` without a cloud).
    fingerprint : str
        SHA-256 over all chunks.
    findings : Findings
        What the checks said.
    """

    path: Path
    rows: pd.DataFrame
    chunks: pd.DataFrame
    fingerprint: str
    findings: Findings

    @property
    def counts(self) -> dict[str, Any]:
        """``rows, planned, blocked, already, duplicates, skipped, chunks, fingerprint``."""
        by = self.rows["disposition"].value_counts()
        return {
            "rows": len(self.rows),
            "planned": int(by.get("planned", 0)),
            "blocked": int(by.get("blocked", 0)),
            "already": int(by.get("already", 0)),
            "duplicates": int(by.get("duplicate", 0)),
            "skipped": int(by.get("skipped", 0)),
            "chunks": len(self.chunks),
            "fingerprint": self.fingerprint,
        }

    def requests(self, chunk: int | None = None) -> Iterator[dict[str, Any]]:
        """Every request in order, or those of one chunk: ``chunk, method, url, body``.

        Without a cloud, the URL begins with ``{ims}`` in place of the endpoint.
        """
        places = {} if self.findings.snapshot is None else _places(self.findings.snapshot)
        rows = self.rows if chunk is None else self.rows[self.rows["chunk"] == chunk]
        for one in members(rows):
            api, ims, image = places.get(one["project_id"], ("batch", "{ims}", "{image}"))
            made = native_calls(one, image) if api == "native" else [batch_call(one, ims)]
            for method, url, body in made:
                yield {"chunk": one["chunk"], "method": method, "url": url, "body": body}

    def preview(self, limit: int | None = None) -> str:
        """Method, URL and body of each request, as text; ``limit`` requests at the most."""
        lines = [
            f"# chunk {r['chunk']}\n{r['method']} {r['url']}{_shown(r['body'])}"
            for r in islice(self.requests(), limit)
        ]
        return "\n\n".join(lines) or "Nothing would be sent."

    def __repr__(self) -> str:
        numbers = self.counts | {"fingerprint": self.fingerprint[:12]}
        return f"<Plan: {', '.join(f'{name} {number}' for name, number in numbers.items())}>"

    def _repr_html_(self) -> str:
        return table(self.by_project, title=repr(self)[1:-1])

    @property
    def by_project(self) -> pd.DataFrame:
        """What each project would do: ``project_id, status, images, requests, towards``.

        Where an owner acts, ``images`` are images × projects, and ``towards`` is the project they
        are shared with, or how many those are.
        """
        kinds = ["project_id", "status"]
        by = self.chunks.groupby(kinds)["images"].agg(["sum", "count"])
        by = by.set_axis(["images", "requests"], axis="columns")
        mine = self.rows[
            (self.rows["disposition"] == "planned") & is_owner_action(self.rows["status"])
        ]
        to = mine.groupby(["owner", "status"])["project_id"].agg(["nunique", "first"])
        told = to["first"].where(to["nunique"] == 1, to["nunique"].astype("str") + " projects")
        return by.assign(towards=told.rename_axis(kinds)).fillna({"towards": ""}).reset_index()


def plan(
    findings: Findings,
    ledger: str | PathLike[str],
    *,
    chunk_size: int = CHUNK_SIZE,
    max_images: int | None = None,
    origin: Mapping[str, str] | None = None,
    planner: str = "",
) -> Plan:
    """Put the accepted rows into chunks, and everything known so far into a new ledger.

    Parameters
    ----------
    findings : Findings
        From :func:`sharekit.check`.
    ledger : path
        The run's file, which must not exist yet.
    chunk_size : int
        Images in one request at the most; where an owner shares, images × projects.
    max_images : int, optional
        Refuse a plan that would change more images than this.
    origin : mapping, optional
        What this run follows on; it goes into the ledger's first event.
    planner : str, optional
        Who plans. If it is said, somebody else has to approve.

    Raises
    ------
    PlanError
        The plan is larger than ``max_images``, or ``chunk_size`` makes no sense.
    LedgerError
        The file exists or cannot be written.

    Examples
    --------
    >>> plan(findings, "run.ledger", max_images=500).fingerprint[:12]  # doctest: +SKIP
    'f3b0c44298fc'
    """
    path = Path(ledger)
    made = _make(path, findings, chunk_size, max_images)
    book = Ledger.create(path)
    try:
        with book, book.transaction():
            created = environment() | {"schema": schema_digest(book), **(origin or {})}
            book.append("created", created)
            record_inventory(book, findings.inventory)
            if findings.snapshot is not None:
                record_snapshot(book, findings.snapshot)
            record(book, made, chunk_size, max_images, planner)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return made


def replan(book: Ledger, decisions: pd.DataFrame) -> Plan:
    """Make the plan anew with a reviewer's decisions; the approval of the old one is void."""
    settings = told(book, "planned")["settings"]
    findings = check(
        load_inventory(book),
        strict=bool(settings["strict"]),
        snapshot=load_snapshot(book),
        decisions=decisions,
    )
    made = _make(book.path, findings, settings["chunk_size"], settings["max_images"])
    planner = settings.get("planner", "")
    record(book, made, settings["chunk_size"], settings["max_images"], planner)
    return made


def load(path: str | PathLike[str]) -> Plan:
    """Read the plan that a ledger holds.

    Raises
    ------
    LedgerError
        If it is no ledger, is damaged, or its plan is not the one that was recorded.
    """
    with Ledger.open(Path(path)) as book:
        return load_from(book)


def load_from(book: Ledger) -> Plan:
    """As :func:`load`, from an open ledger."""
    said = told(book, "planned")
    rows = book.get_frame(said["rows_blob"], frame_schemas.PLAN)
    frame = book.get_frame(said["findings_blob"], frame_schemas.FINDINGS)
    seen = load_snapshot(book)
    inventory = load_inventory(book)
    if odd := _misfit(length(book), inventory, rows, frame):
        raise LedgerError(f"{book.path} is damaged: {odd}.")
    cut = cut_of(rows)
    if cut.fingerprint() != said["fingerprint"]:
        raise LedgerError(f"{book.path} is damaged: the plan is not the one that was recorded.")
    strict = bool(said["settings"]["strict"])
    findings = Findings(inventory, rows, frame, seen, strict)
    return Plan(book.path, rows, _chunks(cut, seen), said["fingerprint"], findings)


def length(book: Ledger) -> int:
    """How many rows the inventory has, by its event."""
    return int(told(book, "inventory")["rows"])


def _misfit(told: int, inventory: Inventory, rows: pd.DataFrame, found: pd.DataFrame) -> str:
    """Say in what a plan that was read does not fit together."""
    keys, sheets = np.arange(told), len(inventory.sources)
    planned, carried = rows["disposition"] == "planned", rows["carried_by"].dropna()
    sources = [frame["source"] for frame in (inventory.rows, rows, inventory.cell_issues)]
    of_rows = [found["row_key"], inventory.cell_issues["row_key"]]
    wrong = {
        "its rows are not those of its inventory": not (
            np.array_equal(inventory.rows.index, keys) and np.array_equal(rows.index, keys)
        ),
        "a row names a sheet that is not there": not all(s.between(0, sheets - 1).all()
                                                         for s in sources),
        "something is said of a row that is not there": not (
            carried.between(0, len(rows) - 1).all()
            and all(k.between(-1, len(rows) - 1).all() for k in of_rows)
        ),
        "a row has a place that is none": not (
            rows["disposition"].isin(DISPOSITIONS).all()
            and ((rows["chunk"] >= 1).fillna(value=False) == planned).all()
            and (rows["carried_by"].notna() == (rows["disposition"] == "duplicate")).all()
        ),
        "a finding is of no rule": not (
            found["rule"].isin(list(RULES)).all() and found["severity"].isin(SEVERITIES).all()
        ),
        # They stand in the addresses of requests.
        "a planned row has an ID that is none": not all(
            fullmatch(rows.loc[planned, name], grammar).all()
            for name, grammar in (("image_id", UUID), ("project_id", PROJECT_ID),
                                  ("vault_id", f"|{VAULT_SHAPE}"))
        ) or not fullmatch(
            rows.loc[planned & is_owner_action(rows["status"]), "owner"], PROJECT_ID
        ).all(),
    }  # fmt: skip
    return next((what for what, so in wrong.items() if so), "")


def load_inventory(book: Ledger) -> Inventory:
    """Read back the inventory that a ledger was made from."""
    said = told(book, "inventory")
    return Inventory(
        rows=book.get_frame(said["rows_blob"], frame_schemas.INVENTORY_ROWS),
        sources=tuple(Source(**{n: sheet[n] for n in _SHEET}) for sheet in said["sources"]),
        cell_issues=book.get_frame(said["marks_blob"], frame_schemas.CELL_ISSUES),
    )


def load_snapshot(book: Ledger) -> Snapshot | None:
    """Read back the latest state of the clouds that the plan was made from."""
    event = book.last_event("snapshot")
    if event is None:
        return None
    blobs = {
        name: book.get_frame(event.body[name], shape)
        for name, shape in frame_schemas.SNAPSHOT.items()
        if name in event.body
    }  # fmt: skip
    return Snapshot(event.body["taken_at"], **blobs)


def record_snapshot(book: Ledger, seen: Snapshot, kind: str = "snapshot") -> None:
    """Write a state of the clouds into the ledger."""
    blobs = {
        name: book.put_frame(frame)
        for name, frame in (
            ("members", seen.members), ("vaults", seen.vaults), ("projects", seen.projects),
            ("owned", seen.owned),
        )
        if name != "owned" or len(frame)
    }  # fmt: skip
    states = {str(k): int(v) for k, v in seen.members["state"].value_counts().items()}
    book.append(kind, {"taken_at": seen.taken_at, "states": states, **blobs})


def record(
    book: Ledger, made: Plan, chunk_size: int, max_images: int | None, planner: str = ""
) -> None:
    """Write a plan into the ledger: every row's place, the findings, the fingerprint."""
    findings = made.findings
    settings = {"chunk_size": chunk_size, "max_images": max_images, "strict": findings.strict}
    lines = parquet.iter_rows(made.rows.reset_index(), PLAN_COLUMNS)
    with book.transaction():
        # The largest piece first, while little else is in memory.
        rows_blob = book.put_frame(made.rows)
        body = {
            **made.counts,
            "rows_digest": book.write_rows(PLAN_COLUMNS, lines),
            "rows_blob": rows_blob,
            "findings_blob": book.put_frame(findings.frame),
            "findings": findings.counts,
            "settings": settings | {"planner": planner.strip()},
        }
        book.append("planned", body)


def record_inventory(book: Ledger, inventory: Inventory) -> None:
    """Write every row of an inventory, and where it came from, into the ledger."""
    body = {
        "rows": len(inventory),
        "sources": [asdict(source) for source in inventory.sources],
        "rows_blob": book.put_frame(inventory.rows),
        "marks_blob": book.put_frame(inventory.cell_issues),
    }
    book.append("inventory", body)


def _make(path: Path, findings: Findings, chunk_size: int, max_images: int | None) -> Plan:
    if chunk_size < 1:
        raise PlanError(f"A chunk needs at least one image; {chunk_size} was asked for.")
    rows = findings.rows
    planned = int((rows["disposition"] == "planned").sum())
    if max_images is not None and planned > max_images:
        raise PlanError(
            f"The plan would change {planned:,} images, more than the limit of "
            f"{max_images:,}. Check the inventory, or raise the limit."
        )
    rows, cut = cut_into_chunks(rows, chunk_size, findings.encoded)
    return Plan(path, rows, _chunks(cut, findings.snapshot), cut.fingerprint(), findings)


def _shown(body: Mapping[str, Any] | None) -> str:
    return "" if body is None else f"\n{json.dumps(body, indent=2)}"


def _chunks(cut: Cut, seen: Snapshot | None) -> pd.DataFrame:
    chunks = cut.chunks()
    places = {} if seen is None else {p: ims for p, (_, ims, _) in _places(seen).items()}
    to = [places.get(project, "") for project in chunks["project_id"]]
    return chunks.assign(to=pd.Series(to, index=chunks.index, dtype="str"))


def _places(seen: Snapshot) -> dict[str, tuple[str, str, str]]:
    lines = seen.projects[["project_id", "api", "ims", "image"]].to_dict("list")
    places = zip(lines["api"], lines["ims"], lines["image"], strict=True)
    return dict(zip(lines["project_id"], places, strict=True))


def told(book: Ledger, kind: str) -> dict[str, Any]:
    """What the latest event of a kind says, which every run has.

    Raises
    ------
    LedgerError
        The ledger holds an audit, or is incomplete.
    """
    event = book.last_event(kind)
    if event is None and book.last_event("audited") is not None:
        raise LedgerError(f"{book.path} holds an audit, not a run: `sharekit report` shows it.")
    if event is None:
        raise LedgerError(f"{book.path} is incomplete: it has no {kind!r} event.")
    return event.body
