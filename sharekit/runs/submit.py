"""Submits an approved plan: preflight, sending, following, reading back; and resumes a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from itertools import count
from os import PathLike
from time import monotonic

from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.snapshot import take_snapshot
from sharekit.core.actions import ROLES
from sharekit.core.brakes import Waits, check_canary, waiting_by
from sharekit.core.columns import list_some, with_unit
from sharekit.core.errors import CloudError, SharekitError, StoppedError, UsageError
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import clean_frames
from sharekit.core.monitoring.progress import following, report
from sharekit.core.outcomes import UNSETTLED
from sharekit.core.provenance import distinct_people, environment
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import stop_requested
from sharekit.plans import approval
from sharekit.plans.followed import UNDO
from sharekit.plans.plan import HasLedger, Plan, ledger_path, read_plan
from sharekit.plans.policies.approve_ahead import require_ahead
from sharekit.plans.storage import write_snapshot

from .dispatch import Dispatcher, Failure
from .outcomes import write_outcomes
from .preflight import count_preflight, evaluate_preflight, waiting_rows
from .read_back import ReadBack
from .requests.log import LOG, Recorder, RequestLog, Share, ShareBlock, group_by_projects
from .settings import Settings
from .status import (
    CANARY,
    CLOUD,
    OPERATOR,
    Run,
    finished,
    followed_run,
    load_request_log,
    load_run,
    observed_states,
)

#: Longest sleep before a wait looks again whether the run is to stop.
_PAUSE = 0.05
#: Seconds of the longest pause between two readings.
_LONGEST_PAUSE = 10.0
#: Times that the cloud is read before what a lost request did not bring about is sent again.
_LOOKS = 2
#: A job that timed out this often is given up: what it did not bring about is sent again.
_TIMEOUTS = 2


@dataclass(frozen=True)
class Progress:
    """How far a run is: counts are images, times are seconds (``eta`` is None while unknown).

    ``failures`` are the latest ones of this call, oldest first; ``in_flight`` counts requests;
    ``throttled_because`` says how far and why fewer than the maximum may be under way ("": none),
    ``waiting_for`` which wait ends last, with its cause and its end.
    """

    phase: str
    total: int
    done: int
    failed: int
    in_flight: int
    elapsed: float
    eta: float | None
    failures: tuple[Failure, ...] = ()
    throttled_because: str = ""
    waiting_for: str = ""

    @property
    def note(self) -> str:
        """What a line of progress says beside the numbers of images."""
        left = "" if self.eta is None else f"about {self.eta:.0f} s left"
        facts = f"{self.failed:,} failed", f"{with_unit(self.in_flight, 'request')} in flight"
        return ", ".join(filter(None, (*facts, left, self.throttled_because, self.waiting_for)))


@clean_frames
@checks_arguments
def submit(
    plan: HasLedger | str | PathLike[str],
    clouds: Clouds,
    *,
    settings: Settings | None = None,
    concurrency: int | None = None,
    progress: bool | Callable[[Progress], None] = True,
    stop: threading.Event | None = None,
    demand: approval.ApprovalRequirement | None = None,
    pause: threading.Event | None = None,
) -> Run:
    """Send an approved plan, follow its jobs to their end, and read back what the cloud shows.

    The same call resumes a run that was interrupted: nothing is sent twice without having been
    read back.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    clouds : Clouds
        Access to every project of the plan.
    settings : Settings, optional
        Limits, timeouts and retries; see :class:`sharekit.Settings`.
    concurrency : int, optional
        Maximum number of requests under way at once (8).
    progress : bool or callable
        False shows no progress; otherwise it is shown where the call takes over two seconds. A
        callable is called instead, with a :class:`Progress`, about ten times a second, in the
        calling thread.
    stop : threading.Event, optional
        Set it to end cleanly; the rest stays ``pending``.
    demand : ApprovalRequirement, optional
        More than one reviewer, or signed approvals.
    pause : threading.Event, optional
        While it is set no request is sent; jobs that run in the cloud are followed.

    Returns
    -------
    Run

    Raises
    ------
    ApprovalError
        Nobody approved this very plan; nothing was sent.
    UsageError
        A project of the plan has no cloud; nothing was sent.
    CloudError
        The caller is refused (sign-in, rights), or the cloud had no useful response to anything
        that this call sent; what was sent is in the ledger. A cloud that is lost later ends the
        call, with the cause in ``Run.stopped``.
    LedgerError
        The ledger is in use, damaged, or cannot be written.

    Examples
    --------
    >>> submit("run.ledger", connect("otc")).counts["confirmed"]  # doctest: +SKIP
    412
    """
    settings = settings or Settings()
    if concurrency is not None:
        settings = replace(settings, concurrency=concurrency)
    path = ledger_path(plan)
    with following("sending", progress=progress is True), Ledger.open(path, write=True) as ledger:
        current = read_plan(ledger)
        approvals = approval.require_approval(ledger, current.fingerprint, demand)
        _check_access(current, clouds)
        if finished(ledger):
            return load_run(ledger, current)
        approvals = require_ahead(ledger, current, approvals, demand)
        clouds = clouds.restricted_to(projects := current.chunks["project_id"])
        if clouds.refused and clouds.refused.keys() >= set(projects):
            raise next(iter(clouds.refused.values()))
        stop, pause = stop or threading.Event(), pause or threading.Event()
        told = progress if callable(progress) else None
        driver = RunDriver(ledger, current, clouds, settings, told, stop, pause)
        reviewers = ", ".join(distinct_people(one.reviewer for one in approvals))
        return driver.run(reviewers, (demand or approval.ApprovalRequirement()).reviewers)


class ProgressReporter:
    """Tells a caller how far a run is."""

    def __init__(
        self, callback: Callable[[Progress], None] | None, log: RequestLog, dispatcher: Dispatcher
    ) -> None:
        self.phase = "looking at the cloud"
        self._callback, self._log, self._dispatcher = callback, log, dispatcher
        self._began = monotonic()
        self.count()

    def count(self) -> None:
        """Count the images that are to be sent."""
        requests = self._log.current()
        self._total = sum(request.size for request in requests if request.state != "excluded")

    def report(self, *, paused: bool) -> None:
        """Tell the progress of this moment."""
        dispatcher, done = self._dispatcher, self._log.done_images
        in_flight, elapsed = dispatcher.scheduler.in_flight, monotonic() - self._began
        now = Progress(
            phase="paused" if paused and not in_flight else self.phase,
            total=self._total,
            done=done,
            failed=dispatcher.failures.failed,
            in_flight=in_flight,
            elapsed=elapsed,
            eta=elapsed / done * (self._total - done) if done else None,
            failures=dispatcher.latest_failures(),
            throttled_because=dispatcher.concurrency.describe(),
            waiting_for=dispatcher.waits.describe(),
        )
        report(now.phase, done, self._total, now.note)
        if self._callback is not None:
            self._callback(now)


class RunDriver:
    """One call of :func:`submit`, from its preflight to its last reading."""

    def __init__(
        self, ledger: Ledger, plan: Plan, clouds: Clouds, settings: Settings,
        progress: Callable[[Progress], None] | None, stop: threading.Event, pause: threading.Event,
    ) -> None:  # fmt: skip
        self.ledger, self.plan, self.clouds, self.settings = ledger, plan, clouds, settings
        self.log = load_request_log(ledger, plan)
        self.recorder = Recorder(ledger, self.log)
        self.waits = Waits(settings.busy_timeout, settings.outage_timeout, self._stop_asked)
        self.dispatcher = Dispatcher(self.recorder, clouds, settings, self.waits, clouds.refused)
        self.read_back = ReadBack(
            ledger, self.log, plan.rows, clouds, self.dispatcher.calls,
            observed_states(ledger, plan.rows),
            self.dispatcher.leave_project, {(p, role) for p in clouds.refused for role in ROLES},
        )  # fmt: skip
        self.reporter = ProgressReporter(progress, self.log, self.dispatcher)
        self.stop, self.pause, self.stopped_by = stop, pause, ""
        self.began = 0

    def run(self, reviewers: str, required: int) -> Run:
        """Carry the run as far as it goes, and return its status."""
        self._begin(reviewers, required)
        try:
            with waiting_by(self.waits):
                self._carry_out()
            self._stop_for_what_is_left()
        except KeyboardInterrupt:
            self._end("interrupted", by=OPERATOR)
            raise
        except StoppedError:
            return self._end("stopped", by=OPERATOR)
        except (SharekitError, OSError) as error:
            if self.dispatcher.is_recoverable(error):
                return self._end(str(error))
            self._end(str(error), by=CLOUD if isinstance(error, CloudError) else "")
            raise
        reason, by = self.dispatcher.stopped_because, self.stopped_by
        if reason is None and self._stopping():
            reason, by = "stopped", OPERATOR
        if isinstance(reason, CloudError) and not self.dispatcher.is_recoverable(reason):
            self._end(str(reason), by=CLOUD)
            raise reason
        return self._end(str(reason or ""), by=by)

    def _carry_out(self) -> None:
        self._resume()
        self._preflight()
        self._send_canary()
        for _ in range(self.settings.resend_rounds):
            if self._stopping():
                return
            self._send()
            self._confirm()
            if self._stopping() or not self._resend_missing():
                return
        lost = self.ledger.list_events("response_lost")[-1:]
        last = f"; the last: {lost[0].body['reason']}" if lost else ""
        rounds = self.settings.resend_rounds
        self.dispatcher.stop(CloudError(f"no response after {rounds} rounds of sending{last}"))

    def _stop_for_what_is_left(self) -> None:
        """Say why something is left to another call; what a person must settle comes first."""
        left = list(self.dispatcher.left.values())
        recoverable = self.dispatcher.is_recoverable
        for why in sorted(left, key=lambda why: isinstance(why, str) or recoverable(why)):
            self.dispatcher.stop(why)

    def _begin(self, reviewers: str, required: int) -> None:
        clouds = [
            {"cloud": c.name, "project_id": c.project_id, "region": c.region, "ims": c.ims,
             "image": c.image, "account": c.account, "warnings": list(c.warnings),
             **({"acts_as": c.acts_as} if c.acts_as else {})}
            for c in self.clouds.signed_in
        ]  # fmt: skip
        body = {
            "clouds": clouds,
            "refused": {project: str(error) for project, error in self.clouds.refused.items()},
            "settings": asdict(self.settings),
            "reviewer": reviewers,
            "reviewers": required,
            "environment": environment(),
        }
        self.began = self.ledger.append("submit_started", body).seq

    def _resume(self) -> None:
        """Take up what an earlier call left open: a lost response stays lost, a job is polled."""
        for request in self.log.in_state("sent"):
            reason = "the program ended before the response came"
            self.recorder.record("response_lost", request, code="no-answer", reason=reason)
        for request in self.log.in_state("unknown"):
            if request.response.job_id:
                self.recorder.record("resumed", request)

    def _preflight(self) -> None:
        """Take a fresh snapshot; exclude what needs nothing any more or must not be sent."""
        self._report_progress()
        planned = waiting_rows(self.plan, self.log)
        if planned.empty:
            return
        failures: dict[str, CloudError] = {}
        snapshot = take_snapshot(self.clouds, planned, failures=failures)
        for project, error in failures.items():
            self.dispatcher.leave_project(project, error)
        followed = followed_run(self.ledger)
        is_undo = followed is not None and followed.kind == UNDO
        preflight = evaluate_preflight(planned, snapshot, self.plan.findings, is_undo=is_undo)
        counts = count_preflight(preflight)
        LOG.info("preflight of %d shares: %s", len(preflight), counts)
        with self.ledger.transaction():
            write_snapshot(self.ledger, snapshot, "preflight_snapshot")
            blob = self.ledger.put_frame(preflight)
            self.recorder.record_run("preflight_checked", {"blob": blob, "counts": counts})
        for request in self.log.in_state("planned"):
            if len(request.blocks) > 1:  # what is left of a block may be no block
                self.dispatcher.split(request, request.blocks, "some need not be sent any more")
        self.reporter.count()

    def _send(self, chunks: Collection[str] | None = None) -> None:
        self.reporter.phase = "sending"
        self.dispatcher.run(self._report_progress, chunks)
        self._record_calls()

    def _send_canary(self) -> None:
        """Send the first chunks alone; the rest is sent only if all their images are confirmed."""
        first = self.log.in_state("planned")[: self.settings.canary]
        if not first:
            return
        LOG.info("the canary: %d chunks are sent alone", len(first))
        sent = [(request, share) for request in first for share in request.shares]
        self._send({request.chunk for request in first})
        self._confirm()
        failed = sum(not self.read_back.is_confirmed(request, share) for request, share in sent)
        if (why := check_canary(failed, len(sent))) and not self._stopping():
            self.stopped_by = CANARY
            self.dispatcher.stop(why)

    def _record_calls(self) -> None:
        if calls := self.dispatcher.calls:
            numbers = {"submit": 0, "poll": 0, "read": 0, "retried": 0, **calls}
            self.recorder.record_run("requests_counted", {"requests": numbers})
            calls.clear()

    def _confirm(self) -> None:
        """Read the cloud until it shows what was reported, for some time at the most."""
        self.reporter.phase = "reading back"
        self._report_progress()
        until = monotonic() + self.settings.read_back_timeout
        for look in count():
            shares = self.read_back.unconfirmed()
            left = until - monotonic()
            if not shares or (look and (self._stopping() or left <= 0)):
                break
            if look >= _LOOKS and not any(self.read_back.may_still_show(*one) for one in shares):
                break
            pause = self.settings.read_back_delay * 2.0 ** (look - 1) if look else 0.0
            pause = min(pause, _LONGEST_PAUSE, max(left, 0.0))
            LOG.info("reading back in %.1f s: %d shares are not confirmed", pause, len(shares))
            self._sleep(pause)
            concurrency = int(self.dispatcher.concurrency.limit)
            self.read_back.read(shares, concurrency, self._report_progress)
        self._record_calls()

    def _resend_missing(self) -> bool:
        """Put what a lost request did not bring about into new requests; return True if any."""
        any_missing = False
        for request in self.log.in_state("unknown"):
            missing = [
                share for share in request.shares if self.read_back.is_missing(request, share)
            ]
            if not missing:
                continue
            if request.response.job_id and request.timeouts < _TIMEOUTS:
                continue  # while a job may still run, only the job or the cloud can tell
            kept = [share for share in request.shares if share not in set(missing)]
            lost = "the job did not end" if request.response.job_id else "the response was lost"
            why = f"{lost}, and reading back shows these not changed"
            self.dispatcher.split(request, _halves(missing), why, kept)
            any_missing = True
        return any_missing

    def _sleep(self, seconds: float) -> None:
        until = monotonic() + seconds
        while monotonic() < until and not self._stopping():
            self.stop.wait(min(_PAUSE, max(0.0, until - monotonic())))
            self._report_progress()

    def _stop_asked(self) -> bool:
        return self.stop.is_set() or stop_requested(self.ledger.path)

    def _stopping(self) -> bool:
        return self.stop.is_set() or self.dispatcher.stopped_because is not None

    def _report_progress(self) -> None:
        if self._stop_asked():
            self.stop.set()
        if self.stop.is_set():
            self.dispatcher.scheduler.stop()
        paused = self.pause.is_set()
        self.dispatcher.scheduler.pause(on=paused)
        self.reporter.report(paused=paused)

    def _end(self, reason: str, *, by: str = "") -> Run:
        """Write every row's outcome; the run is finished if nothing can change any more."""
        self._record_calls()
        if reason:
            LOG.info("the run stops: %s", reason)
            self.ledger.append("stopped", {"why": reason} | ({"by": by} if by else {}))
        run = load_run(self.ledger, self.plan, self.log, ending=True)
        with self.ledger.transaction():
            write_outcomes(self.ledger, run.outcomes, self.plan.rows["disposition"])
            if not reason and self._nothing_left(run):
                self.ledger.append("finished", {"rows": len(self.plan.rows), "counts": run.counts})
        return replace(run, finished=finished(self.ledger))

    def _nothing_left(self, run: Run) -> bool:
        """Return True if no further call can change an outcome.

        A cloud may lag, so what contradicts a job is looked at once more by another call.
        """
        if any(run.counts[name] for name in UNSETTLED):
            return False
        contradicted = run.outcomes["outcome"] == "contradicted"
        requests = self.log.current()
        positions = run.outcomes.loc[contradicted, "request"].unique()
        return all(requests[at].since < self.began for at in positions)


def _halves(shares: list[Share]) -> list[ShareBlock]:
    """Return blocks of half the size: what is too large for a service may be why it was lost."""
    blocks = group_by_projects(shares)
    return [half for block in blocks for half in (block.halves() if block.size > 1 else [block])]


def _check_access(plan: Plan, clouds: Clouds) -> None:
    missing = sorted(p for p in set(plan.chunks["project_id"]) if p not in clouds)
    if missing and not clouds.restricted_to(missing).refused:
        raise UsageError(
            f"No cloud gives access to project {list_some(missing)}: name the entry for it in "
            "clouds.yaml too. Nothing was sent."
        )
