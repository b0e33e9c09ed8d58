"""One piece after another to the cloud: intent, request, job, and what to do about a no.

Every step is written down before the next: an intent before its request leaves, a job's ID before
the job is polled. A request that got no answer is left ``unknown``: only reading the cloud back
tells what became of it, so it is never sent again from here.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from sharekit.clouds.cloud import Accepted, Cloud, JobState
from sharekit.clouds.registry import Clouds
from sharekit.core.error_codes import BLAMES_PROJECT, Remedy, explain, remedy
from sharekit.core.errors import CloudRefusedError, NoResponseError
from sharekit.ledger.ledger import Ledger

from .bisection import Isolation
from .easing import Easing
from .request_log import History, Part, Piece, split_into
from .scheduler import Scheduler
from .settings import Breaker, Settings, down

#: So many of the latest failures are kept at hand, to be shown while a run is under way.
LATEST = 100
#: So many images that fail before any has succeeded stop a run; those of a project or vault that
#: is refused as a whole do not count.
_NOTHING_GOOD = 13
#: Seconds after which a repeated request looks again whether the run is still held.
_HELD = 0.1


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


class Sender:
    """Sends pieces; all state that matters is in the ledger and its history."""

    def __init__(self, book: Ledger, history: History, clouds: Clouds, settings: Settings) -> None:
        self.book, self.history, self.clouds, self.settings = book, history, clouds, settings
        self.scheduler = Scheduler(settings.concurrency)
        self.counted: Counter[str] = Counter()
        self.failed = 0
        self.failures: deque[Failure] = deque(maxlen=LATEST)
        self.stopped_because: Exception | str | None = None
        self._images = max(1, sum(p.size for p in history.leaves()))
        # What an earlier call sent says nothing of the cloud as it is now.
        self._enough = _NOTHING_GOOD + sum(p.size for p in history.in_state("running", "unknown"))
        self._dead_projects: dict[str, CloudRefusedError] = {}
        self._dead_vaults: dict[tuple[str, str], CloudRefusedError] = {}
        self._lock = threading.RLock()
        self.breaker = Breaker(settings.outage)
        self.easing = Easing(lambda: self.scheduler)
        self._isolation = Isolation(
            history, self._begin, self._split,
            self._fail, self._lock,
        )  # fmt: skip

    def run(self, tick: Callable[[], None], chunks: Collection[str] | None = None) -> None:
        """Send every planned piece, or some, and follow every running job to its end."""
        held, limit = self.scheduler.held, self.scheduler.limit
        self.scheduler = Scheduler(self.settings.concurrency, limit)
        self.scheduler.hold(on=held)
        for piece in self.history.in_state("planned"):
            if chunks is None or piece.chunk in chunks:
                self.scheduler.add(partial(self._send, piece))
        for piece in self.history.in_state("running"):
            # A job that was late before has had its time: one more look at it.
            began = monotonic() - (self.settings.job_timeout if piece.late else 0.0)
            self.scheduler.add(partial(self._poll, piece, 0, began), 0.0)
        self.scheduler.run(tick)

    def _begin(self, piece: Piece) -> None:
        # Before what still waits: the sooner it is known what is bad, the fewer requests it takes.
        self.scheduler.add(partial(self._send, piece), first=True)

    def latest_failures(self) -> tuple[Failure, ...]:
        """The latest failures, oldest first."""
        with self._lock:
            return tuple(self.failures)

    def note(self, kind: str, piece: Piece, **body: Any) -> None:
        """Write an event about a piece, then follow it."""
        with self._lock:
            told = {"chunk": piece.chunk, **body}
            self.history.follows(kind, told)  # a ledger never holds what cannot be
            self.history.apply(self.book.append(kind, told))

    # -- sending --------------------------------------------------------------------------------
    def _send(
        self,
        piece: Piece,
        tries: int = 0,
        since: float | None = None,
        renewed: int = 0,
        refused_at: float | None = None,
    ) -> None:
        since = monotonic() if since is None else since
        if self.scheduler.held:  # a repeated request; new ones do not even come here
            again = partial(self._send, piece, tries, since, renewed=renewed)
            self.scheduler.add(again, _HELD)
            return
        if self._dropped(piece):
            return
        cloud = self.clouds[piece.project_id]
        native = cloud.resolve_api() == "native"
        if native and piece.size > 1:
            self._one_by_one(piece)
            return
        if not native and self._isolation.cut_first(piece):
            return
        token = cloud.transport.token()
        request = cloud.call_for(piece.request(), native=native)
        self.note(
            "intent", piece, **piece.content, attempt=piece.attempts + 1,
            api="native" if native else "batch",
            method=request[0], url=request[1], body=request[2],
        )  # fmt: skip
        try:
            answer = self.easing.change(cloud, request, token)
        except NoResponseError as silence:
            self._unanswered(piece, silence, tries, since)
        except CloudRefusedError as refusal:
            if _remedy(piece, refusal) is Remedy.SIGN_IN:
                self.note("again", piece, **_facts(refusal))
                at = monotonic() if refused_at is None else refused_at
                wait = cloud.transport.reauthenticate(refusal, token, renewed, at)
                again = partial(self._send, piece, tries, since, renewed + 1, at)
                self.scheduler.add(again, wait)
            else:
                self._refused(piece, cloud, refusal, tries, since)
        else:
            self._answered(piece, answer)

    def _answered(self, piece: Piece, answer: Accepted) -> None:
        self.breaker.good()
        with self._lock, self.book.transaction():  # one write to the disk, not two
            self.note(
                "answer", piece, http=answer.http, job_id=answer.job_id,
                request_id=answer.request_id, code="", reason="",
            )  # fmt: skip
            if not answer.job_id:
                self.note("job-done", piece, status=answer.state or "answered at once")
        if answer.job_id:
            poll = partial(self._poll, piece, 0, monotonic())
            self.scheduler.add(poll, self.settings.first_poll)
        else:
            self._isolation.settled(piece)

    def _unanswered(self, piece: Piece, silence: NoResponseError, tries: int, since: float) -> None:
        dead = self.breaker.bad()
        if silence.sent:
            self.note("lost", piece, code="no-answer", reason=str(silence))
            self._isolation.settled(piece)
            if dead:
                self._stop(down(silence))
            return
        self.note("again", piece, code="not-sent", reason=str(silence))
        if dead or tries + 1 >= self.settings.attempts:
            self._stop(silence)
        else:
            self._later(piece, tries + 1, since)

    def _refused(
        self, piece: Piece, cloud: Cloud, refusal: CloudRefusedError, tries: int, since: float
    ) -> None:
        action = _remedy(piece, refusal)
        if action is Remedy.NATIVE and piece.api == "batch":
            cloud.mark_batch_missing()
            self.note("again", piece, **_facts(refusal))
            self.scheduler.add(partial(self._send, piece))
            return
        dead = False
        if action is not Remedy.RETRY:
            self.breaker.good()
        else:
            # A request that fails again in a second call of submit is to blame by itself.
            first = piece.attempts <= self.settings.attempts
            last = tries + 1 >= self.settings.attempts
            dead = self.breaker.bad() or (
                last and first and self.breaker.alone(self.settings.attempts)
            )
        if dead:
            self.note("again", piece, **_facts(refusal))
            self._stop(down(refusal))
            return
        waiting = action is Remedy.WAIT and monotonic() - since < self.settings.patience
        retrying = action is Remedy.RETRY and tries + 1 < self.settings.attempts
        if waiting or retrying or action is Remedy.WAIT:
            self.note("again", piece, **_facts(refusal))
            if waiting or retrying:
                self._later(piece, tries + 1, since, refusal.retry_after)
            else:
                self._stop(f"the cloud has been busy for {self.settings.patience:g} s: {refusal}")
            return
        self.note("refused", piece, **_facts(refusal))
        self._after_no(piece, refusal, action)

    def _later(self, piece: Piece, tries: int, since: float, asked: float | None = None) -> None:
        wait = min(self.settings.longest_wait, self.settings.backoff * 2 ** (tries - 1))
        wait = max(asked or 0.0, wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        self.scheduler.add(partial(self._send, piece, tries, since), wait)

    # -- following the job ---------------------------------------------------------------------
    def _poll(self, piece: Piece, polls: int, since: float) -> None:
        cloud = self.clouds[piece.project_id]
        self.counted["poll"] += 1
        job: JobState | None = None
        began = monotonic()
        try:
            job = cloud.job(piece.job_id)
            told = job.status
            self.breaker.good()
        except (NoResponseError, CloudRefusedError) as error:
            told = str(error)
            self.easing.if_busy(error, began)
            if _passing(error) and self.breaker.bad():
                self._stop(down(error))
                return
        if job is not None and job.done:
            bad = {name: ok for name, ok in _results(piece, job).items() if not ok}
            self.note(
                "job-done", piece, status=job.status, results=bad, **(_spoken(job) if bad else {})
            )
            self._count_failed(piece, list(bad))
            self.easing.job(since, self.settings.job_timeout, done=True)
            self._isolation.settled(piece)
        elif job is not None and job.failed:
            self._job_failed(piece, job)
        elif monotonic() - since > self.settings.job_timeout:
            reason = f"the job had not ended after {self.settings.job_timeout:g} s: {told}"
            self.note("late", piece, code="job-late", reason=reason)
            self._isolation.settled(piece)
        else:
            if job is not None:
                self.easing.job(since, self.settings.job_timeout, done=False)
            wait = min(self.settings.last_poll, self.settings.first_poll * 1.5**polls)
            self.scheduler.add(partial(self._poll, piece, polls + 1, since), wait)

    def _job_failed(self, piece: Piece, job: JobState) -> None:
        reason = job.reason or "the job failed and the cloud gave no reason"
        code = job.code or "JOB_FAILED"
        reason = explain(code, reason)
        refusal = CloudRefusedError(reason, http=0, code=code, request_id=piece.request_id)
        action = _remedy(piece, refusal)
        if action in (Remedy.WAIT, Remedy.RETRY) and piece.attempts < self.settings.attempts:
            self.note("again", piece, code=refusal.code, reason=reason)
            self._later(piece, piece.attempts, monotonic())
            return
        good = {name: True for name, ok in _results(piece, job).items() if ok}
        self.note(
            "job-failed", piece, status=job.status, results=good, code=refusal.code, reason=reason
        )
        if good:
            # The job names the shares it failed for, so none of them has spoiled the others.
            self._count_failed(piece, [name for name in _names(piece) if name not in good])
            self._isolation.settled(piece)
        else:
            self._after_no(piece, refusal, action)

    # -- what follows a no ---------------------------------------------------------------------
    def _after_no(self, piece: Piece, refusal: CloudRefusedError, action: Remedy) -> None:
        vault = (piece.project_id, str(piece.common["vault_id"]))
        with self._lock:
            if action is Remedy.STOP_PROJECT:
                self._dead_projects.setdefault(piece.project_id, refusal)
            elif action is Remedy.FAIL_VAULT and vault[1]:
                self._dead_vaults.setdefault(vault, refusal)
        # What fails again and again while others pass may be the fault of one image, too.
        may_be_one = action in (Remedy.SPLIT, Remedy.RETRY)
        if not may_be_one or piece.size == 1:
            self._count_failed(piece, _names(piece))
        if may_be_one:
            self._isolation.refused(piece, refusal)
        else:
            self._isolation.settled(piece)

    def _split(self, piece: Piece, parts: Sequence[Part], why: str) -> None:
        self.note("split", piece, **split_into(piece, parts), why=why)

    def _fail(self, piece: Piece, code: str, reason: str) -> None:
        self.note("dropped", piece, code=code, reason=reason)
        self._count_failed(piece, _names(piece))

    def _one_by_one(self, piece: Piece) -> None:
        parts = piece.singles()
        self._split(piece, parts, "one call for each image")
        self._isolation.settled(piece)
        for child in self.history.children(piece, len(parts)):
            self.scheduler.add(partial(self._send, child))

    def _dropped(self, piece: Piece) -> bool:
        vault = (piece.project_id, str(piece.common["vault_id"]))
        refusal = self._dead_projects.get(piece.project_id) or self._dead_vaults.get(vault)
        if refusal is None:
            return False
        reason = f"not sent, because the cloud refused another request with {refusal.code}: "
        why = explain(refusal.code, str(refusal))
        self._fail(piece, refusal.code, f"{reason}{why}")
        self._isolation.settled(piece)
        return True

    def _count_failed(self, piece: Piece, images: Sequence[str]) -> None:
        if not images:
            return
        with self._lock:
            self.failures.append(
                Failure(piece.chunk, piece.project_id, tuple(images), piece.code, piece.reason)
            )
            self.failed += len(images)
            if self.stopped_because is not None:
                return
            limit = max(self.settings.failure_limit * self._images, self.settings.failure_floor)
            if self.failed > limit:
                self._stop(
                    f"{self.failed:,} of {self._images:,} images have failed, more than the limit "
                    f"of {self.settings.failure_limit:.0%}"
                )
            elif self._hopeless(piece):
                self._stop(
                    f"the first {self._isolation.bad} images that met their fate have all failed, "
                    f"the last with: {piece.code}: {piece.reason}"
                )
            elif told := self._isolation.failing(self.settings):
                self._stop(f"{told}, the last with: {piece.code}: {piece.reason}")

    def _hopeless(self, piece: Piece) -> bool:
        """Whether nothing succeeds. Jobs that still run may, where the no came without a job."""
        good, bad = self._isolation.good, self._isolation.bad
        if good or bad < self._enough:
            return False
        return bad >= self._enough + (0 if piece.job_id else len(self.history.in_state("running")))

    def _stop(self, why: Exception | str) -> None:
        self.stopped_because = self.stopped_because or why
        self.scheduler.stop()


def _remedy(piece: Piece, refusal: CloudRefusedError) -> Remedy:
    """Return the remedy; an owner's request may fail for one image or project of it alone."""
    if piece.projects and (
        refusal.code in BLAMES_PROJECT or (piece.api == "native" and refusal.http == 403)
    ):
        return Remedy.SPLIT
    return remedy(refusal.code, refusal.http or 400)


def _names(piece: Piece) -> list[str]:
    return [piece.named(share) for share in piece.shares]


def _results(piece: Piece, job: JobState) -> Mapping[str, bool]:
    """What a job says of the shares that it names, alone or with all others of their image."""
    if not piece.projects:
        return job.results
    told = {
        piece.named(share): job.pairs.get((share[1], share[0]), job.results.get(share[1]))
        for share in piece.shares
    }
    return {name: good for name, good in told.items() if good is not None}


def _passing(error: NoResponseError | CloudRefusedError) -> bool:
    """Whether it says that the cloud is in trouble, rather than what was asked about."""
    if isinstance(error, NoResponseError):
        return True
    return remedy(error.code, error.http) is Remedy.RETRY


def _facts(refusal: CloudRefusedError) -> dict[str, Any]:
    return {
        "http": refusal.http,
        "code": refusal.code,
        "reason": explain(refusal.code, str(refusal)),
        "request_id": refusal.request_id,
    }


def _spoken(job: JobState) -> dict[str, str]:
    reason = explain(job.code, job.reason or "failed within its job")
    return {"code": job.code or "JOB_PARTIAL", "reason": reason}
