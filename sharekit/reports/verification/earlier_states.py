"""The earlier states of its ledger that a report can have been made from.

An xlsx, html or json names the head of its ledger. A csv does not: its outcomes, job IDs and
request IDs are compared with those that each request had at each event, in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from sharekit.audits.storage import holds_audit
from sharekit.core.columns import STR
from sharekit.ledger.ledger import Event, Ledger
from sharekit.plans.plan import read_plan
from sharekit.runs.requests.log import REQUEST_EVENTS, Request, RequestLog
from sharekit.runs.status import load_request_log

from ..render.text import unescape
from .compare import head_of_report

#: What a csv says of the requests that carried its rows.
_COLUMNS: Final = ("chunk", "outcome", "claimed", "job_id", "request_id")
#: Events before sending after which rows may have another outcome, or another reason.
_DECIDING: Final = ("planned", "decided", "review_imported", "decision_undone")
#: Events after which rows may have another outcome.
_CHANGING: Final = frozenset({*_DECIDING, *REQUEST_EVENTS, "read_back", "outcomes_recorded"})


def earlier_states(ledger: Ledger, report: Path) -> list[str]:
    """Return the hashes of the events after which a report may have been made, the latest first.

    The head of the ledger is none of them. They are few: a report is made again for each of them.
    """
    if report.suffix.lower() != ".csv":
        head = head_of_report(report)
        return [head] if head and head != ledger.head and ledger.has_event(head) else []
    rows = None if holds_audit(ledger) else _read_csv(report)
    return [] if rows is None else [event.hash for event in _states(ledger, rows)][::-1]


def _read_csv(report: Path) -> pd.DataFrame | None:
    """Read what a csv says of requests; None if it is no report of a run."""
    convert = pyarrow.csv.ConvertOptions(
        include_columns=[*_COLUMNS], column_types=dict.fromkeys(_COLUMNS, pa.large_string()),
        strings_can_be_null=False,
    )  # fmt: skip
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    try:
        table = pyarrow.csv.read_csv(report, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, KeyError, UnicodeDecodeError):
        return None
    columns = {name: unescape(table[name]).to_pandas() for name in _COLUMNS}
    return pd.DataFrame(columns).astype(STR)


def _states(ledger: Ledger, rows: pd.DataFrame) -> Iterator[Event]:
    """Yield the events after which the requests were as the rows of a csv say."""
    plans = ledger.list_events("planned")
    counts = rows["outcome"].value_counts().to_dict()
    sent = (rows[[*_COLUMNS[2:]]] != "").to_numpy().any() or "unknown" in counts
    log = load_request_log(ledger, read_plan(ledger), events=())
    differing = _Differing(log, rows)
    as_planned = False
    for event in ledger.iter_events():
        if event.kind == "planned":
            numbers = {"planned": counts.get("pending", 0), "blocked": counts.get("blocked", 0)}
            as_planned = all(event.body[name] == number for name, number in numbers.items())
        if plans and event.seq < plans[-1].seq:
            possible = as_planned and not sent
        else:
            log.apply(event)
            differing.follow(event)
            possible = not differing.chunks
        if possible and event.kind in _CHANGING and event.hash != ledger.head:
            yield event


class _Differing:
    """The requests that are not as a csv says, kept up with the events of a ledger."""

    def __init__(self, log: RequestLog, rows: pd.DataFrame) -> None:
        self.log = log
        told = rows[rows["chunk"] != ""].drop_duplicates().groupby("chunk")
        self.told: dict[str, dict[str, set[str]]] = {
            str(chunk): {name: set(lines[name]) for name in _COLUMNS[1:]} for chunk, lines in told
        }
        self.chunks: set[str] = set()
        self._look(*self.told, *log.requests)

    def follow(self, event: Event) -> None:
        """Look again at the requests that an event has changed."""
        if event.kind == "preflight_checked":
            self._look(*self.told, *self.log.requests)
        elif event.kind in REQUEST_EVENTS:
            self._look(event.body["chunk"], *[part["chunk"] for part in event.body.get("into", ())])

    def _look(self, *chunks: str) -> None:
        for chunk in chunks:
            request, told = self.log.requests.get(chunk), self.told.get(chunk)
            carries = request is not None and request.state not in ("split", "excluded")
            if carries == (told is not None) and (not told or _is_told(request, told)):
                self.chunks.discard(chunk)
            else:
                self.chunks.add(chunk)


def _is_told(request: Request | None, told: dict[str, set[str]]) -> bool:
    """Return True unless the rows of a request are otherwise than they would be now."""
    if request is None:
        return False
    response, outcomes = request.response, told["outcome"]
    claims = {"success", "failed"} if request.results else {request.reported()}
    possible: dict[str, Any] = {
        "job_id": {response.job_id}, "request_id": {response.request_id}, "claimed": claims,
    }  # fmt: skip
    return (
        all(told[name] <= values for name, values in possible.items())
        and ("pending" not in outcomes or request.state == "planned")
        and ("unknown" not in outcomes or request.state != "planned")
    )
