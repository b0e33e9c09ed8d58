"""The status of a run: every row with its outcome, computed from the ledger's events alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from sharekit.checks.findings import row_reasons
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import SKIP
from sharekit.core.cloud_api import FORBIDDEN_CODES
from sharekit.core.columns import STR, hands_out_copies, join_lines, roles
from sharekit.core.fields import ACTION_KEY, ROW_ACTION, SHARE_KEY
from sharekit.core.frame_schemas import PREFLIGHT, READ_BACK, FrameSchema
from sharekit.core.html import table
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.outcomes import FINAL_OK, OUTCOMES, UNSETTLED
from sharekit.ledger.events import FollowedRun
from sharekit.ledger.ledger import Event, Ledger
from sharekit.plans.plan import HasLedger, Plan, ledger_path, read_plan
from sharekit.plans.steps import standing
from sharekit.plans.storage import read_names_snapshot
from sharekit.spreadsheets.row_frames import typed_rows

from .outcomes import EXCLUDED, assign_outcomes, count_outcomes, with_requests
from .requests.log import Action, Observation, RequestLog

#: Who stopped a call of ``submit``: ``cloud`` if it refused the caller, or never was of use.
CANARY, OPERATOR, CLOUD = "canary", "operator", "cloud"


@hands_out_copies("outcomes", "rows", "changed_since_plan")
@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """The status of a run, as its ledger tells it.

    Attributes
    ----------
    path : Path
        The ledger.
    plan : Plan
        The plan that was approved.
    outcomes : DataFrame
        The outcome of each row, as :func:`.outcomes.assign_outcomes` returns it.
    counts : dict
        Outcome to number of rows; every name of :data:`sharekit.core.outcomes.OUTCOMES`.
    requests : dict
        ``submit, poll, read, retried`` to the number of calls of the cloud.
    finished : bool
        True if no row can change by submitting again.
    stopped : str
        Why the last call of ``submit`` ended early; "" if it did not.
    stopped_by : str
        ``canary`` or ``operator`` if they stopped it, ``cloud`` if it refused the caller or had no
        useful response, else "".
    changed_since_plan : DataFrame
        Rows whose state changed between plan and submission: ``before``, ``moved`` (the state at
        planning), indexed by ``row_key``.
    request_log : RequestLog
        Every request and its state.
    """

    path: Path
    plan: Plan
    outcomes: pd.DataFrame
    counts: dict[str, int]
    requests: dict[str, int]
    finished: bool
    stopped: str
    stopped_by: str
    changed_since_plan: pd.DataFrame
    request_log: RequestLog

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One line per input row, indexed by ``row_key``.

        Columns: ``outcome, code, reason, before, claimed, observed, last_chunk, job_id,
        request_id`` (str).
        """
        return with_requests(self.outcomes, self.request_log)

    @property
    def summary(self) -> dict[str, Any]:
        """``rows, outcomes, chunks, requests, fingerprint, finished``, for scripts."""
        return {
            "rows": len(self.plan.rows),
            "outcomes": self.counts,
            "chunks": len(self.plan.chunks),
            "requests": self.requests,
            "fingerprint": self.plan.fingerprint,
            "finished": self.finished,
        }

    @property
    def succeeded(self) -> bool:
        """True if every planned row ended ``confirmed`` or ``already``."""
        planned = self.plan.rows["disposition"] == "planned"
        return bool(self.outcomes.loc[planned, "outcome"].isin(["confirmed", "already"]).all())

    @property
    def looks_once_more(self) -> bool:
        """True if nothing is left to send, and a further call only looks at what contradicts."""
        unsettled = any(self.counts[name] for name in UNSETTLED)
        waits = self.counts["contradicted"] > 0 and not self.stopped and not unsettled
        return waits and not self.finished

    @property
    def was_refused(self) -> bool:
        """True if the cloud refused the caller of the last ``submit``, or never was of use."""
        return self.stopped_by == CLOUD

    @property
    def not_authorized(self) -> bool:
        """True if every planned row failed because the caller has no right to decide it."""
        rows = self.outcomes[self.plan.rows["disposition"] == "planned"]
        return len(rows) > 0 and bool(rows["code"].isin(FORBIDDEN_CODES).all())

    @shows_progress("making the frame")
    def to_frame(self, *, progress: bool = True) -> pd.DataFrame:
        """Return every row as one typed frame, to be joined back to where the rows came from.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        DataFrame
            :meth:`.Plan.to_frame`, with the decision that was taken in the review (``decision,
            decision_reason, decided_by, policy, decided_at``), what was sent and what came of it
            (``chunk, sent_at, claimed, observed, observed_at, outcome, code, reason, job_id,
            request_id``); ``before`` is the state right before sending. Times are UTC.

        Raises
        ------
        LedgerError
            The ledger is no longer where it was, or is damaged.

        Examples
        --------
        >>> results = status("run.ledger").to_frame()  # doctest: +SKIP
        >>> shares.join(results[["outcome", "observed"]])  # doctest: +SKIP
        """
        with Ledger.open(self.path) as ledger:
            decided, read_back = standing(ledger), _read_back_times(ledger)
            snapshot = read_names_snapshot(ledger)
        rows, own = self.plan.rows, self.rows
        decided = decided.reindex(rows.index).fillna("").astype(STR)
        names = {"reason": "decision_reason", "by": "decided_by"}
        decided = decided.rename(columns=names).drop(columns="vault_id")
        sent = {name: request.first_sent for name, request in self.request_log.requests.items()}
        key = pd.DataFrame({"row_key": rows.index, "side": roles(rows["status"])}).rename_axis(None)
        columns = {
            **self.plan.findings.row_columns(rows, snapshot),
            **{str(name): values for name, values in decided.items()},
            "chunk": own["last_chunk"],
            "before": own["before"],
            "sent_at": own["last_chunk"].map(sent).astype(STR).fillna(""),
            "claimed": own["claimed"],
            "observed": own["observed"],
            "observed_at": join_lines(key, read_back, ROW_ACTION, {"at": ""})["at"].astype(STR),
            **{n: own[n] for n in ("outcome", "code", "reason", "job_id", "request_id")},
        }
        return typed_rows(self.plan.findings.inventory, columns)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{n:,} {name}" for name, n in self.counts.items() if n)
        return f"<Run: {numbers}{'' if self.finished else '; unfinished'}>"

    def _repr_html_(self) -> str:
        counts = [
            (name, number, OUTCOMES[name].meaning) for name, number in self.counts.items() if number
        ]
        summary = pd.DataFrame(counts, columns=["outcome", "rows", "meaning"])
        open_rows = self.rows[~self.rows["outcome"].isin(FINAL_OK)]
        ids = self.plan.rows.loc[open_rows.index, ["image_id", "project_id"]]
        columns = ["outcome", "code", "reason", "before", "claimed", "observed"]
        rest = ids.join(open_rows[columns])
        return table(summary, title=repr(self)[1:-1]) + (
            table(rest, title="Rows to look at", limit=10) if len(rest) else ""
        )


@checks_arguments
@shows_progress("reading the run")
def status(ledger: HasLedger | str | PathLike[str], *, progress: bool = True) -> Run:
    """Return the status of a run, also while another process is submitting it.

    Parameters
    ----------
    ledger : Plan or path
        The plan, or the ledger of the run.
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    Run
        Its rows, counts and outcomes so far.

    Raises
    ------
    LedgerError
        If there is no such ledger, or it is damaged.

    Examples
    --------
    >>> status("run.ledger").counts  # doctest: +SKIP
    """
    path = ledger_path(ledger)
    with Ledger.open(path) as opened:
        return load_run(opened)


def clouds_of(path: str | PathLike[str]) -> list[str]:
    """Return the names of the clouds that the plan was made with, as clouds.yaml has them."""
    return cloud_names(read_plan(path).findings.snapshot)


def cloud_names(snapshot: Snapshot | None) -> list[str]:
    """Return the names of the clouds that a snapshot was taken of."""
    names = () if snapshot is None else snapshot.projects["cloud"].unique()
    return [str(name) for name in names if name]


def is_finished(path: str | PathLike[str]) -> bool:
    """Return True if nothing is left to do, as :func:`finished`, of a ledger that is not open."""
    with Ledger.open(Path(path)) as ledger:
        return finished(ledger)


def load_run(
    ledger: Ledger, plan: Plan | None = None, request_log: RequestLog | None = None, *,
    events: Iterable[Event] | None = None, ending: bool = False,
) -> Run:  # fmt: skip
    """Return the status of a run; plan and request log are not read again if they are given.

    The log is read from ``events``, which are all of the ledger's. ``ending`` is True for the call
    of ``submit`` that is about to record the outcomes.
    """
    plan = plan or read_plan(ledger)
    read_preflight = cache(partial(ledger.get_frame, schema=PREFLIGHT))
    request_log = request_log or load_request_log(ledger, plan, read_preflight, events)
    preflight = _last(_lines(ledger, "preflight_checked", PREFLIGHT, read_preflight))
    preflight = preflight.drop(columns=SHARE_KEY)  # two IDs for each row, which take room
    read_preflight.cache_clear()
    reasons = _reasons(ledger, plan)
    recorded = ledger.last_event("outcomes_recorded")
    observed, unread = _read_back(ledger)
    outcomes = assign_outcomes(
        plan.rows, reasons, request_log, preflight, observed, unread,
        ended=inf if ending else recorded.seq if recorded else 0,
    )  # fmt: skip
    last = ledger.list_events("submit_started", "stopped")[-1:]
    stopped = last[0].body if last and last[0].kind == "stopped" else {}
    return Run(
        path=ledger.path,
        plan=plan,
        outcomes=outcomes,
        counts=count_outcomes(outcomes["outcome"]),
        requests=request_log.calls,
        finished=finished(ledger),
        stopped=str(stopped.get("why", "")),
        stopped_by=str(stopped.get("by", "")),
        changed_since_plan=_changed_since_plan(plan.rows, preflight),
        request_log=request_log,
    )


def _reasons(ledger: Ledger, plan: Plan) -> pd.DataFrame:
    """Return why rows are blocked or left out, by a rule or a reviewer: ``rule, message``."""
    by_rule = row_reasons(plan.findings)
    if not (plan.rows["disposition"] == "skipped").any():
        return by_rule
    decided = standing(ledger)
    skipped = decided[decided["decision"] == SKIP]
    reason = (": " + skipped["reason"]).where(skipped["reason"] != "", "")
    message = "left out in the review by " + skipped["by"] + reason
    by_reviewer = pd.DataFrame({"rule": "", "message": message}, dtype=STR)
    return pd.concat([by_reviewer, by_rule[~by_rule.index.isin(skipped.index)]])


def load_request_log(
    ledger: Ledger, plan: Plan, read_preflight: Callable[[str], pd.DataFrame] | None = None,
    events: Iterable[Event] | None = None,
) -> RequestLog:  # fmt: skip
    """Return the log of a run's requests, which can follow further events of its ledger.

    It has followed all events, or those that are given.
    """
    read_preflight = read_preflight or partial(ledger.get_frame, schema=PREFLIGHT)

    def read_excluded(event: Event) -> Iterable[Action]:
        frame = read_preflight(event.body["blob"])
        excluded = frame.loc[frame["outcome"].isin(EXCLUDED), ACTION_KEY]
        return excluded.itertuples(index=False, name=None)

    events = ledger.iter_events() if events is None else events
    return RequestLog(plan.blocks.iter_chunks(), events, read_excluded)


def followed_run(ledger: Ledger) -> FollowedRun | None:
    """Return the run that a ledger's run follows on, if there is one."""
    created = ledger.last_event("created")
    return None if created is None else FollowedRun.from_body(created.body)


def finished(ledger: Ledger) -> bool:
    """Return True if the ledger says that nothing is left to do."""
    return ledger.last_event("finished") is not None


def observed_states(ledger: Ledger, rows: pd.DataFrame) -> dict[Action, Observation]:
    """Return what reading back showed last, by project, image and role; ``rows`` are the plan's."""
    frame, _ = _read_back(ledger)
    shares = rows[SHARE_KEY].take(frame["row_key"].to_numpy())
    keys = zip(*(shares[name] for name in SHARE_KEY), frame["side"], strict=True)
    seen = map(Observation._make, zip(frame["state"], frame["seq"].tolist(), strict=True))
    return dict(zip(keys, seen, strict=True))


def _read_back(ledger: Ledger) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the last state of each action that was read back, and why one could not be read."""
    read = partial(ledger.get_frame, schema=READ_BACK)
    lines = _lines(ledger, "read_back", READ_BACK, read)
    unread = lines["state"] == ""
    return _last(lines[~unread] if unread.any() else lines), _last(lines[unread])


def _lines(
    ledger: Ledger, kind: str, schema: FrameSchema, read: Callable[[str], pd.DataFrame]
) -> pd.DataFrame:
    """Return the frames of one kind of event; ``seq`` is the number of the event."""
    frames = [
        read(event.body["blob"]).assign(seq=event.seq) for event in ledger.list_events(kind)
    ] or [schema.make_frame().rename_axis("row_key").assign(seq=0)]
    if schema.indexed:
        frames = [frame.reset_index() for frame in frames]
    return pd.concat(frames, ignore_index=True)


def _last(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the last line on each action; no single frame holds two of one."""
    if lines["seq"].nunique() <= 1:
        return lines
    return lines.drop_duplicates(ROW_ACTION, keep="last", ignore_index=True)


def _read_back_times(ledger: Ledger) -> pd.DataFrame:
    """Return when the state of each row's action was read back last: its key, and ``at``."""
    times = {event.seq: event.at for event in ledger.list_events("read_back")}
    observed, _ = _read_back(ledger)
    return observed[ROW_ACTION].assign(at=observed["seq"].map(times).astype(STR))


def _changed_since_plan(rows: pd.DataFrame, preflight: pd.DataFrame) -> pd.DataFrame:
    changed = preflight[preflight["moved"] != ""].set_index("row_key").sort_index()
    planned = rows.index[rows["disposition"] == "planned"]
    return changed.loc[changed.index.isin(planned), ["before", "moved"]]
