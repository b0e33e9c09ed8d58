"""Sends requests: intent, request, job, and what to do about a refusal.

Every step is written down before the next: an intent before its request leaves, a job's ID before
the job is polled. A request that got no response stays ``unknown``: only reading the cloud back
tells what became of it, so it is never sent again from here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Any, Protocol

from sharekit.clouds.api_calls import Call, intent_fields
from sharekit.clouds.cloud import Accepted, JobState
from sharekit.core.actions import SHARE
from sharekit.core.brakes import (
    AdaptiveConcurrency,
    CircuitBreaker,
    FailureLimit,
    Waits,
    backoff,
    excess,
    outage_error,
)
from sharekit.core.cloud_api import Remedy, explain, remedy
from sharekit.core.errors import (
    CloudError,
    CloudRefusedError,
    NoResponseError,
    SignInError,
    StoppedError,
)

from .bisection import Bisector
from .requests.answers import (
    AT_ONCE,
    GATEWAY_TIMEOUT,
    JOB_DENIED,
    JOB_LATE,
    NOT_SENT,
    answer_fault,
    remedy_of,
)
from .requests.log import (
    LOG,
    Recorder,
    Request,
    Response,
    Share,
    ShareBlock,
    group_by_projects,
    result_key,
    split_event,
)
from .scheduler import Scheduler
from .settings import Settings

#: Latest failures that are kept, to be shown while a run is under way.
_LATEST = 100
#: Glance: the image is shared with as many projects as its quota allows.
_QUOTA_REACHED = 413
#: Seconds after which a repeated request checks again if the run is still paused.
_PAUSED = 0.1


@dataclass(frozen=True)
class Attempt:
    """How often a request was tried since ``since``, and signed in for."""

    number: int = 0
    since: float = field(default_factory=monotonic)
    sign_ins: int = 0
    unauthorized_since: float | None = None

    def next(self) -> Attempt:
        """Return the attempt after this one."""
        return Attempt(self.number + 1, self.since)


@dataclass(frozen=True)
class Failure:
    """Images of a chunk that failed, with the cloud's code and reason.

    On the owner's side each stands with the project it was to be shared with.
    """

    chunk: str
    project_id: str
    images: tuple[str, ...]
    code: str
    reason: str


@dataclass
class Failures:
    """Number of images that failed in this call of ``submit``, and the latest of them."""

    failed: int = 0
    latest: deque[Failure] = field(default_factory=lambda: deque(maxlen=_LATEST))

    def record(self, failure: Failure) -> None:
        """Count the images of one request."""
        self.failed += len(failure.images)
        self.latest.append(failure)


class Session(Protocol):
    """The part of a cloud's HTTP client that decides about tokens and timeouts."""

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to connect, and to wait for a response."""

    def token(self) -> str:
        """Return the token in use."""

    def reauthenticate(
        self, refusal: CloudRefusedError, stale: str, attempts: int, since: float
    ) -> float:
        """Forget a refused token; return the seconds to wait before the next attempt."""


class SendingCloud(Protocol):
    """What a dispatcher needs of one project's cloud."""

    @property
    def service(self) -> str:
        """The host of its image service, which projects have in common."""

    @property
    def transport(self) -> Session:
        """Its HTTP client."""

    def resolve_api(self) -> str:
        """Return ``batch`` or ``native``."""

    def mark_batch_missing(self) -> None:
        """Note that the cloud lacks the batch call."""

    def call_for(self, chunk: Mapping[str, Any], *, native: bool) -> Call:
        """Return the call that a request's payload makes."""

    def send(self, call: Call, token: str) -> Accepted:
        """Send a changing call once."""

    def job(self, job_id: str) -> JobState:
        """Poll a job once."""


class Dispatcher:
    """Sends requests and follows their jobs; all state that matters is in the request log.

    Attributes
    ----------
    calls : Counter
        ``submit, poll, read`` to the number of calls that are not in the ledger yet.
    stopped_because : Exception or str or None
        Why nothing more is sent.
    failures : Failures
        The images that failed.
    """

    def __init__(
        self, recorder: Recorder, clouds: Mapping[str, SendingCloud], settings: Settings,
        waits: Waits | None = None, left: Mapping[str, CloudError] | None = None,
    ) -> None:  # fmt: skip
        self.recorder, self.clouds, self.settings = recorder, clouds, settings
        self.waits = waits or Waits(settings.busy_timeout, settings.outage_timeout)
        self.concurrency = AdaptiveConcurrency(settings.concurrency)
        self.scheduler = Scheduler(settings.concurrency, lambda: self.concurrency.limit)
        self.failure_limit = FailureLimit(settings.max_failure_rate, settings.min_failures)
        self.calls: Counter[str] = Counter()
        self.stopped_because: Exception | str | None = None
        self.failures = Failures()
        #: What is refused altogether: a project, a vault of it, or further shares of an image.
        self._refused: dict[tuple[str, str], CloudRefusedError] = {}
        #: What is left to another call, by chunk or project, and why.
        self.left: dict[str, CloudError | str] = dict(left or {})
        requests = recorder.log.current()
        self._unfinished = {r.project_id for r in requests if r.state not in _SETTLED}
        acting = {request.project_id for request in requests} - self.left.keys()
        self._services = {project: clouds[project].service for project in acting}
        self._breakers = {
            service: CircuitBreaker(settings.outage_timeout) for service in self._services.values()
        }
        self._bisector = Bisector(recorder.log, self, recorder.lock, self.failure_limit)

    def run(self, tick: Callable[[], None], chunks: Collection[str] | None = None) -> None:
        """Send every planned request, or those of some chunks, and follow all jobs to their end."""
        for request in self.recorder.log.in_state("planned"):
            if chunks is None or request.chunk in chunks:
                self.scheduler.add(partial(self._send, request))
        for request in self.recorder.log.in_state("running"):
            if request.project_id in self.left:
                continue
            # A job that timed out before has had its time: it is polled once more.
            began = monotonic() - (self.settings.job_timeout if request.timeouts else 0.0)
            self.scheduler.add(partial(self._poll, request, 0, began), 0.0)
        self.scheduler.run(tick)

    def latest_failures(self) -> tuple[Failure, ...]:
        """Return the latest failures, oldest first."""
        with self.recorder.lock:
            return tuple(self.failures.latest)

    def stop(self, reason: Exception | str) -> None:
        """Send nothing more; the first reason counts."""
        self.stopped_because = self.stopped_because or reason
        LOG.info("nothing more is sent: %s", reason)
        self.scheduler.stop()

    # -- services and projects ----------------------------------------------------------------
    def is_recoverable(self, error: Exception) -> bool:
        """Return True if a cloud that worked was lost, so that the same call can resume later.

        An error that leaves projects to another call is judged by the services of these.
        """
        of = [self._services[p] for p, why in self.left.items() if why is error
              if p in self._services] or [*self._breakers]  # fmt: skip
        return any(self._breakers[service].is_recoverable(error) for service in of)

    def leave_project(self, project: str, why: CloudError | str) -> None:
        """Leave a project to another call; the others go on."""
        if project not in self.left:
            LOG.info("project %s is left to another call: %s", project, why)
        self.left.setdefault(project, why)

    def _leave_service(self, request: Request, why: CloudError | str) -> None:
        """Leave all projects of a service to another call; projects of other services go on."""
        service = self._services[request.project_id]
        for project in (p for p, of in self._services.items() if of == service):
            self.leave_project(project, why)
        if self._unfinished <= self.left.keys():
            self.stop(why)

    def _breaker(self, request: Request) -> CircuitBreaker:
        return self._breakers[self._services[request.project_id]]

    # -- what the bisector asks for -----------------------------------------------------------
    def send_next(self, request: Request) -> None:
        """Send a request before those that wait: early knowledge of bad images spares requests."""
        self.scheduler.add(partial(self._send, request), first=True)

    def split(
        self, request: Request, blocks: Sequence[ShareBlock], why: str, kept: Sequence[Share] = ()
    ) -> list[Request]:
        """Record that a request is split, but for shares that stay; return the new requests."""
        first = self.recorder.log.next_part(request)
        body = split_event(request, blocks, kept, first)
        self.recorder.record("split", request, **body, why=why)
        return self.recorder.log.children(request, len(blocks))

    def fail_unsent(self, request: Request, code: str, reason: str) -> None:
        """Record that a request failed although it was not sent."""
        self.recorder.record("skipped_after_refusal", request, code=code, reason=reason)
        self._count_failed(request, request.shares)
        self._stop_if_too_many_failed()

    # -- sending ------------------------------------------------------------------------------
    def _send(self, request: Request, attempt: Attempt | None = None) -> None:
        attempt = attempt or Attempt()
        if self.scheduler.paused:  # a repeated request; new ones do not even come here
            self.scheduler.add(partial(self._send, request, attempt), _PAUSED)
            return
        left = request.project_id in self.left or request.chunk in self.left
        if left or self._skip_if_refused(request):
            return
        try:
            self._send_somehow(request, attempt)
        except CloudError as error:  # its API or its token, or a response that nobody expects
            self.leave_project(request.project_id, error)

    def _send_somehow(self, request: Request, attempt: Attempt) -> None:
        cloud = self.clouds[request.project_id]
        native, token = cloud.resolve_api() == "native", cloud.transport.token()
        if native and request.size > 1:
            self._send_singly(request)
        elif native or not self._bisector.presplit(request):
            self._send_once(request, attempt, token, native=native)

    def _send_once(self, request: Request, attempt: Attempt, token: str, *, native: bool) -> None:
        cloud = self.clouds[request.project_id]
        call = cloud.call_for(request.payload(), native=native)
        self.recorder.record(
            "intent", request, **request.block.body, **intent_fields(call),
            attempt=request.attempts + 1, api="native" if native else "batch",
        )  # fmt: skip
        try:
            answer = self._call(request, call, token)
        except StoppedError as error:
            self.recorder.record("retry_scheduled", request, code=NOT_SENT, reason=str(error))
            raise
        except NoResponseError as error:
            self._on_no_response(request, error, attempt)
        except CloudRefusedError as refusal:
            if _remedy(request, refusal) is Remedy.SIGN_IN:
                self._reauthenticate(request, refusal, token, attempt)
            else:
                self._on_refusal(request, refusal, attempt)
        else:
            self._on_answer(request, answer)

    def _call(self, request: Request, call: Call, token: str) -> Accepted:
        """Send a call and learn from its response how many may be under way at once."""
        cloud, began, answer = self.clouds[request.project_id], monotonic(), None
        try:
            answer = cloud.send(call, token)
        except CloudRefusedError as refusal:
            self.concurrency.on_error(refusal, began)
            if refusal.http == GATEWAY_TIMEOUT:
                lost = f"a gateway gave up waiting for the service (HTTP 504): {refusal}"
                raise NoResponseError(lost) from None
            raise
        finally:
            done, timeout = answer is not None and not answer.job_id, cloud.transport.timeout[1]
            self.concurrency.on_duration("a response", began, timeout, succeeded=done)
        _check_answer(request, answer)
        return answer

    def _send_singly(self, request: Request) -> None:
        parts = self.split(request, request.block.singles(), "one call for each image")
        self._bisector.on_finished(request)
        for part in parts:
            self.scheduler.add(partial(self._send, part))

    def _skip_if_refused(self, request: Request) -> bool:
        project, vault = request.project_id, str(request.common["vault_id"])
        scopes = [(project, ""), (project, vault)]
        if request.action == SHARE:
            scopes += [("image", image) for image in request.block.images[:1]]
        refusal = next(filter(None, map(self._refused.get, scopes)), None)
        if refusal is None:
            return False
        why = f"not sent, because the cloud refused another request with {refusal.code}"
        self.fail_unsent(request, refusal.code, f"{why}: {explain(refusal.code, str(refusal))}")
        self._bisector.on_finished(request)
        return True

    def _on_answer(self, request: Request, answer: Accepted) -> None:
        self._breaker(request).record_success()
        with self.recorder.lock, self.recorder.store.transaction():  # one write to the disk
            self.recorder.record(
                "answer", request, http=answer.http, job_id=answer.job_id,
                request_id=answer.request_id, code="",
                reason=answer.noop,
            )  # fmt: skip
            if not answer.job_id:
                status = answer.noop or answer.state or AT_ONCE
                self.recorder.record("job_done", request, status=status)
        if answer.job_id:
            poll = partial(self._poll, request, 0, monotonic())
            self.scheduler.add(poll, self.settings.min_poll_interval)
        else:
            self._bisector.on_finished(request)

    def _on_no_response(self, request: Request, error: NoResponseError, attempt: Attempt) -> None:
        down = self._breaker(request).record_failure()
        if error.sent:
            self.recorder.record("response_lost", request, code="no-answer", reason=str(error))
            self._bisector.on_finished(request)
            if down:
                self._leave_service(request, outage_error(error))
            return
        self.recorder.record("retry_scheduled", request, code=NOT_SENT, reason=str(error))
        if down or attempt.number + 1 >= self.settings.attempts:
            self._leave_service(request, error)
        else:
            self._retry_later(request, attempt.next(), Remedy.RETRY)

    def _reauthenticate(
        self, request: Request, refusal: CloudRefusedError, token: str, attempt: Attempt
    ) -> None:
        transport = self.clouds[request.project_id].transport
        since = attempt.unauthorized_since
        since = monotonic() if since is None else since
        try:
            wait = transport.reauthenticate(refusal, token, attempt.sign_ins, since)
        except CloudError as error:
            self.recorder.record("retry_scheduled", request, **_refusal_body(refusal))
            self.leave_project(request.project_id, error)
            return
        self.recorder.record("retry_scheduled", request, **_refusal_body(refusal))
        attempt = replace(attempt, sign_ins=attempt.sign_ins + 1, unauthorized_since=monotonic())
        self.scheduler.add(partial(self._send, request, attempt), wait)

    def _on_refusal(self, request: Request, refusal: CloudRefusedError, attempt: Attempt) -> None:
        action, body = _remedy(request, refusal), _refusal_body(refusal)
        if action is Remedy.NATIVE and request.response.api == "batch":
            self.clouds[request.project_id].mark_batch_missing()
            self.recorder.record("retry_scheduled", request, **body)
            self.scheduler.add(partial(self._send, request))
            return
        last = attempt.number + 1 >= self.settings.attempts
        if action is not Remedy.RETRY:
            self._breaker(request).record_success()
        elif self._is_down(request, refusal, last=last):
            self.recorder.record("retry_scheduled", request, **body)
            self._leave_service(request, outage_error(refusal))
            return
        if action is Remedy.WAIT or (action is Remedy.RETRY and not last):
            self.recorder.record("retry_scheduled", request, **body)
            self._retry_later(request, attempt.next(), action, refusal.retry_after)
        else:
            self._refuse(request, refusal, action)

    def _is_down(self, request: Request, refusal: CloudRefusedError, *, last: bool) -> bool:
        """Count a failure; return True if the cloud is to blame for it and not this request."""
        breaker = self._breaker(request)
        if breaker.record_failure(refusal.retry_after or 0.0):
            return True
        # A request that fails again in a second call of submit is to blame by itself.
        first = request.attempts <= self.settings.attempts
        return last and first and breaker.only_failures(self.settings.attempts)

    def _retry_later(
        self, request: Request, attempt: Attempt, action: Remedy,
        retry_after: float | None = None, cause: Response | None = None,
    ) -> None:  # fmt: skip
        """Send a request again after a wait; one that would be too long is left to another call."""
        first, longest = self.settings.initial_backoff, self.settings.max_backoff
        wait = backoff(first, min(longest, self.waits.limit(action)), attempt.number, retry_after)
        response, busy = cause or request.response, action is Remedy.WAIT
        waited = monotonic() - attempt.since if busy else 0.0
        if why := excess(action, waited, wait, self.waits):
            said = f"{response.code}: {response.reason}; {why}"
            if busy:
                self._leave_service(request, f"the cloud stays busy: {said}")
            else:
                self.left[request.chunk] = f"chunk {request.chunk} is left to another call: {said}"
            return
        LOG.info("chunk %s: sent again in %.1f s: %s %s", request.chunk, wait,
                 response.code, response.reason)  # fmt: skip
        self.waits.begin(wait, f"chunk {request.chunk}: {response.code}: {response.reason}")
        self.scheduler.add(partial(self._send, request, attempt), wait)

    # -- following the job --------------------------------------------------------------------
    def _poll(self, request: Request, polls: int, since: float) -> None:
        with self.recorder.lock:  # several threads count, and verify holds a run to its numbers
            self.calls["poll"] += 1
        timeout, began, asked = self.settings.job_timeout, monotonic(), 0.0
        job: JobState | None = None
        try:
            job = self.clouds[request.project_id].job(request.response.job_id)
            status = job.status
            self._breaker(request).record_success()
        except CloudError as error:
            status, asked = str(error), getattr(error, "retry_after", None) or 0.0
            if not self._may_poll_again(request, error, began):
                return
        if job is not None and job.done:
            self._on_job_done(request, job)
            self.concurrency.on_duration("a job", since, timeout, succeeded=True)
        elif job is not None and job.failed:
            self._on_job_failed(request, job)
        elif monotonic() - since > timeout:
            why = f"the job had not ended after {timeout:g} s: {status}"
            self._on_lost_job(request, why, JOB_LATE)
        else:
            if job is not None:
                self.concurrency.on_duration("a job", since, timeout, succeeded=False)
            least, most = self.settings.min_poll_interval, self.settings.max_poll_interval
            wait = max(min(most, least * 1.5 ** min(polls, 60)), asked)
            wait = min(wait, max(least, since + timeout - monotonic()))
            if asked:
                self.waits.begin(wait, f"the job of chunk {request.chunk}: {status}")
            self.scheduler.add(partial(self._poll, request, polls + 1, since), wait)

    def _may_poll_again(self, request: Request, error: CloudError, began: float) -> bool:
        """Return False if a job is not asked for again in this call, after an error."""
        if not isinstance(error, (NoResponseError, CloudRefusedError)):
            self.leave_project(request.project_id, error)
            if isinstance(error, SignInError):
                self._on_lost_job(request, f"nobody can ask for the job any more: {error}")
            return False
        self.concurrency.on_error(error, began)
        if _is_transient(error) and self._breaker(request).record_failure():
            self._leave_service(request, outage_error(error))
            return False
        if isinstance(error, CloudRefusedError) and _remedy(request, error) in _NO_ACCESS:
            self._on_lost_job(request, f"nobody can ask for the job: {error}")
            return False
        return True

    def _on_lost_job(self, request: Request, reason: str, code: str = JOB_DENIED) -> None:
        self.recorder.record("job_timed_out", request, code=code, reason=reason)
        self._bisector.on_finished(request)

    def _on_job_done(self, request: Request, job: JobState) -> None:
        results = _results(request, job)
        failed = {result_key(share): False for share, good in results.items() if not good}
        reason = explain(job.code or "JOB_PARTIAL", job.reason)
        cause = {"code": job.code or "JOB_PARTIAL", "reason": reason} if failed else {}
        with self.recorder.lock:  # nothing is sent between too many failures and the stop
            self.recorder.record("job_done", request, status=job.status, results=failed, **cause)
            self._count_failed(request, [share for share, good in results.items() if not good])
            self._bisector.on_finished(request)
            self._stop_if_too_many_failed()

    def _on_job_failed(self, request: Request, job: JobState) -> None:
        code = job.code or "JOB_FAILED"
        reason = explain(code, job.reason)
        refusal = CloudRefusedError(
            reason, http=0, code=code, request_id=request.response.request_id
        )
        action, attempts = _remedy(request, refusal), request.attempts + request.chunk.count(".")
        again = action in (Remedy.WAIT, Remedy.RETRY) and attempts < self.settings.attempts
        good = [share for share, passed in _results(request, job).items() if passed]
        if again and not good:
            self.recorder.record("retry_scheduled", request, code=code, reason=reason)
            self._retry_later(request, Attempt(attempts), action)
            return
        bad = [share for share in request.shares if share not in set(good)]
        ended = {"status": job.status, "results": {result_key(share): True for share in good}}
        with self.recorder.lock, self.recorder.store.transaction():
            self.recorder.record("job_failed", request, **ended, code=code, reason=reason)
            # A job that names the shares it failed for has not spoiled the others by them.
            if again:
                self._retry_failed(request, bad, good, action)
            elif good:
                self._count_failed(request, bad)
                self._bisector.on_finished(request)
                self._stop_if_too_many_failed()
            else:
                self._handle_refusal(request, refusal, action)

    def _retry_failed(
        self, request: Request, bad: Sequence[Share], good: Sequence[Share], action: Remedy
    ) -> None:
        """Send the shares that a job failed for again; the others of its request are settled."""
        attempts = request.attempts + request.chunk.count(".")
        parts = self.split(request, group_by_projects(bad), "the job names these as failed", good)
        self._bisector.on_finished(request)
        for part in parts:
            self._retry_later(part, Attempt(attempts), action, cause=request.response)

    # -- what follows a refusal ---------------------------------------------------------------
    def _refuse(self, request: Request, refusal: CloudRefusedError, action: Remedy) -> None:
        """Record a refusal and what follows, together: half of it would blame good images."""
        with self.recorder.lock, self.recorder.store.transaction():
            self.recorder.record("refused", request, **_refusal_body(refusal))
            self._handle_refusal(request, refusal, action)

    def _handle_refusal(self, request: Request, refusal: CloudRefusedError, action: Remedy) -> None:
        project, vault = request.project_id, str(request.common["vault_id"])
        if action is Remedy.STOP_PROJECT:
            self._refused.setdefault((project, ""), refusal)
        elif action is Remedy.FAIL_VAULT and vault:
            self._refused.setdefault((project, vault), refusal)
        elif refusal.http == _QUOTA_REACHED and request.size == 1 and request.action == SHARE:
            self._refused.setdefault(("image", request.block.images[0]), refusal)
        # What fails again and again while others pass may be the fault of one image, too.
        may_be_one_image = action in (Remedy.SPLIT, Remedy.RETRY, Remedy.NATIVE)
        if not may_be_one_image or request.size == 1:
            self._count_failed(request, request.shares)
        if may_be_one_image:
            self._bisector.on_refused(request, refusal)
        else:
            self._bisector.on_finished(request)
        self._stop_if_too_many_failed()

    def _count_failed(self, request: Request, shares: Sequence[Share]) -> None:
        if not shares:
            return
        response, acting = request.response, request.project_id
        images = (result_key(share) if share[0] != acting else share[1] for share in shares)
        failure = Failure(request.chunk, acting, tuple(images), response.code, response.reason)
        with self.recorder.lock:
            self.failures.record(failure)

    def _stop_if_too_many_failed(self) -> None:
        with self.recorder.lock:
            reason = self.failure_limit.exceeded(self._open_images)
            if reason and self.stopped_because is None:
                last = self.failures.latest[-1]
                self.stop(f"{reason}; the last with: {last.code}: {last.reason}")

    def _open_images(self) -> int:
        """Return how many images belong to jobs that may still succeed."""
        return sum(request.size for request in self.recorder.log.in_state("running"))


#: States of requests that need nothing more.
_SETTLED = ("done", "refused")
#: Remedies that say that a project may not use the service at all.
_NO_ACCESS = (Remedy.STOP_PROJECT, Remedy.SIGN_IN)


def _check_answer(request: Request, answer: Accepted) -> None:
    """Raise NoResponseError for a success that says nothing of what was asked."""
    if fault := answer_fault(request, answer.http, answer.job_id, answer.state):
        raise NoResponseError(fault)


def _remedy(request: Request, refusal: CloudRefusedError) -> Remedy:
    return remedy_of(request, refusal.code, refusal.http)


def _results(request: Request, job: JobState) -> Mapping[Share, bool]:
    """Return what a job says of the shares it names, alone or with all others of their image."""
    results = {
        (project, image): job.pairs.get((image, project), job.results.get(image))
        for project, image in request.shares
    }
    return {share: good for share, good in results.items() if good is not None}


def _is_transient(error: NoResponseError | CloudRefusedError) -> bool:
    """Return True if the cloud is in trouble, rather than what was asked about."""
    return isinstance(error, NoResponseError) or remedy(error.code, error.http) is Remedy.RETRY


def _refusal_body(refusal: CloudRefusedError) -> dict[str, Any]:
    return {
        "http": refusal.http,
        "code": refusal.code,
        "reason": explain(refusal.code, str(refusal)),
        "request_id": refusal.request_id,
    }
