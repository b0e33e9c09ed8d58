"""Everything one run left behind, as plain frames: what every report is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

#: The columns of ``Record.rows`` that every report has, in order. Scripts depend on them.
ROW_COLUMNS: Final = (
    "file",
    "sheet",
    "row",
    "image_id",
    "project_id",
    "status",
    "vault_id",
    "outcome",
    "code",
    "reason",
    "before",
    "claimed",
    "observed",
    "chunk",
    "job_id",
    "request_id",
    "carried_by",
)
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
        One line per row of the input, in the input's order, indexed by ``row_key``. Columns:
        :data:`ROW_COLUMNS` (``row`` is ``int64``, the rest text), then every original column
        as ``input.<its header>``. Column names are unique.
    findings
        What the checks said: ``rule, severity, file, sheet, row (int64), column, cell, value,
        message, suggestion``.
    chunks
        One line per request that was planned or made of splitting another: ``chunk`` ("7", or
        "7.1" when split), ``region, project_id, status, vault_id, whole_image (bool), images
        (int64), api ("batch", "native", ""), attempts (int64), state, http (int64, 0 for none),
        code, reason, job_id, request_id, first_sent, ended``.
    sources
        The sheets that were read: ``file, sheet, sha256, size (int64, bytes), format, header_row
        (int64), rows (int64), blank_rows (int64), hidden (bool), columns``; the last says in one
        line which header became which field.
    approvals
        ``at, reviewer, fingerprint, images (int64), note, valid (bool)``.
    reviews
        Decisions that a reviewer changed: ``row_key (int64), file, sheet, row (int64), image_id,
        project_id, planned, decided, reason, reviewer, at``.
    timeline
        Every event of the ledger in order: ``at, event, chunk, images (int64), what``.
    environment
        Name to value: versions, platform, clouds, endpoints, account, settings. No secrets.
    counts
        Outcome to number of rows: every name of ``spec.OUTCOMES`` in that order, zeros included.
    requests
        ``submit, poll, read, retried`` to the number of requests.
    fingerprint, head
        SHA-256 of the plan and of the ledger's last event, in hex.
    events
        How many events the ledger holds.
    finished
        Whether no row can still be changed by submitting again.
    created, ended
        When the run was begun and when it last changed: ISO 8601, UTC.
    runs
        Empty for one run. For a run and what followed on it one line each, in order: ``run`` ("1"),
        ``ledger``, ``what`` ("first run", "retry of run 1"), ``rows`` and ``settled`` (``int64``:
        of its inventory, and whose final outcome it gave), ``finished`` (bool), ``created, ended,
        fingerprint, head, events (int64)``. Then ``rows`` has :data:`RUN_COLUMNS` too.
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
