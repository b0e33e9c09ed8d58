"""Make a run again: each event of its ledger must be one that a run can have at its place.

The requests are followed by the state machine of :mod:`.request_log`, as in the run itself. What
it lets pass is compared further: the call with the plan and the sign-ins, an outcome with the
request that it answers, a reading with what had been sent, outcomes with all of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache, partial
from math import inf
from typing import Any, Final

import numpy as np
import pandas as pd

from sharekit.clouds.api_calls import Call, batch_call, intent_fields, is_noop, native_calls
from sharekit.clouds.responses import JobId
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import MEMBER, OWNER
from sharekit.core.cloud_api import JOB_DONE, JOB_FAILED, Remedy
from sharekit.core.columns import first_difference, is_owner_action
from sharekit.core.errors import LedgerError
from sharekit.core.fields import ACTION_KEY, SHARE_KEY
from sharekit.core.frame_schemas import PREFLIGHT, READ_BACK
from sharekit.core.provenance import __version__
from sharekit.core.rules import RULE_SET
from sharekit.ledger.events import matches
from sharekit.ledger.integrity import Problem
from sharekit.ledger.ledger import Event, Ledger
from sharekit.plans.followed import UNDO
from sharekit.plans.plan import Plan, read_plan
from sharekit.plans.replay import snapshot_contradictions
from sharekit.plans.storage import read_snapshot_of

from ..preflight import count_preflight, evaluate_preflight, waiting_rows
from ..settings import Settings, settings_fault
from ..status import CANARY, CLOUD, OPERATOR, followed_run, load_request_log, observed_states
from .answers import AT_ONCE, JOB_LATE, answer_fault, may_follow, remedy_of
from .limits import WAITED, CallLimits
from .log import (
    REQUEST_EVENTS,
    Action,
    Observation,
    Request,
    RequestLog,
    ShareBlock,
    find_requests,
    result_key,
)
from .recorded_outcomes import outcome_problems

#: Events that only a call of ``submit`` writes.
_OF_CALLS: Final = frozenset(
    {*REQUEST_EVENTS, "preflight_snapshot", "requests_counted", "read_back", "read_back_denied",
     "stopped", "outcomes_recorded"}
)  # fmt: skip
#: What two snapshots, or a snapshot and a sign-in, say of a project.
SIGN_IN: Final = ("cloud", "region", "ims", "image", "account", "acts_as")


def run_problems(
    ledger: Ledger, plan: Plan, followed: list[tuple[Plan, RequestLog]] | None = None
) -> Iterator[Problem]:
    """Yield each event of a run that none can have at its place.

    The plan and its requests, followed through all events, are then put into ``followed``, so that
    a report of the run need not read them again.
    """
    replay = _Replay(ledger, plan)
    for event in ledger.iter_events():
        where = f"event {event.seq} ({event.kind})"
        for what in replay.check(event):
            yield where, what
        if event.kind == "outcomes_recorded":
            plan, log, wording = replay.plan, replay.log, replay.same_version
            yield from outcome_problems(ledger, event, plan, log, wording=wording)
        try:
            replay.follow(event)
        except LedgerError:
            yield where, "cannot follow there"
            return
    yield from replay.reading_problems()
    if followed is not None and replay.taken == replay.planned:
        followed.append((replay.plan, replay.log))


class _Replay:
    """A run as far as its events were followed."""

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self.ledger, self.plan = ledger, plan
        self.read_preflight = cache(partial(ledger.get_frame, schema=PREFLIGHT))
        self.log = load_request_log(ledger, plan, self.read_preflight, events=())
        #: The event of the plan that :attr:`plan` is, and the latest one.
        self.taken = self.planned = ledger.last_event("planned")
        created = ledger.last_event("created")
        self.same_version = created is not None and created.body.get("sharekit") == __version__
        self.call = _Call()
        self.limits = CallLimits({}, self.log, self._states)
        #: Request -> the call that it made last.
        self.calls: dict[str, Call] = {}
        #: Requests without an answer yet.
        self.open: set[str] = set()
        #: Projects, and codes with which requests of theirs were refused.
        self.refused: set[tuple[str, str]] = set()
        #: Each intent's number, its request and what that carried.
        self.sent: list[tuple[int, Request, ShareBlock]] = []
        self.previous: Event | None = None
        #: The latest snapshot, and the number of its event.
        self.latest: tuple[int, Snapshot] | None = None

    def check(self, event: Event) -> Iterator[str]:
        """Yield what is impossible about an event where it stands."""
        kind, body = event.kind, event.body
        if kind == "submit_started":
            self._take_plan()
        if kind in _OF_CALLS and not self.call.open:
            yield "belongs to no call of submit"
        if kind in _OF_CALLS and self.call.stopped and kind != "outcomes_recorded":
            yield "comes after its call had stopped"
        if self.ended_at_once not in ("", kind == "job_done" and body["chunk"]):
            yield "should be the end of the request that was answered without a job"
        if check := _CHECKS.get(kind):
            yield from check(self, event)
        if body.get("code") and not body.get("reason"):
            yield "has the code of an error, and no reason"
        request = self.log.requests.get(str(body.get("chunk")))
        if request is not None and (check_request := _REQUEST_CHECKS.get(kind)):
            yield from check_request(self, request, event)

    def _take_plan(self) -> None:
        """Follow the requests of the plan of this time, if a later one replaces it unsent."""
        if self.planned is None or self.planned == self.taken:
            return
        with Ledger.open(self.ledger.path, verify_chain=False, until=self.planned.hash) as past:
            self.plan = read_plan(past)
        self.log = load_request_log(self.ledger, self.plan, self.read_preflight, events=())
        self.taken = self.planned

    @property
    def ended_at_once(self) -> str:
        """The request that the event before answered without a job, so that it has ended."""
        before = self.previous
        at_once = before is not None and before.kind == "answer" and not before.body.get("job_id")
        return str(before.body["chunk"]) if before is not None and at_once else ""

    def follow(self, event: Event) -> None:
        """Take an event into account.

        Raises
        ------
        LedgerError
            If no request is in a state in which it could happen.
        """
        kind, body = event.kind, event.body
        request = self.log.requests.get(str(body.get("chunk")))
        if kind == "submit_started":
            self.call = _Call(
                open=True,
                at=event.at,
                settings=body["settings"],
                clouds={account["project_id"]: account for account in body["clouds"]},
                refused=body.get("refused", {}),
                unseen=bool(self.log.in_state("planned", "excluded")),
                unanswered={request.chunk for request in self.log.in_state("sent")},
            )
            self.limits = CallLimits(body["settings"], self.log, self._states)
        elif kind not in _OF_CALLS or kind == "outcomes_recorded":
            self.call = _Call(stopped=self.call.stopped and kind == "outcomes_recorded")
            self.planned = event if kind == "planned" else self.planned
        elif kind == "preflight_snapshot":
            projects = self._snapshot(event).projects
            self.call.unread = set(projects.loc[projects["unread"] != "", "project_id"])
            self.call.apis = dict(zip(projects["project_id"], projects["api"], strict=True))
        elif kind == "preflight_checked":
            self.call.unseen, self.latest = False, None
        elif kind == "response_lost":
            self.call.unanswered.discard(str(body["chunk"]))
        elif kind == "stopped":
            self.call.stopped = True
        elif kind == "read_back_denied":
            self.call.denied.add(body["project_id"])
        self._count(request, event)
        self.call.set_back |= self.previous is not None and event.at < self.previous.at
        state = request.state if request is not None else ""
        self.log.apply(event)
        if request is not None:
            self.limits.follow(request, event, state)
            self._follow_request(request, event)
        if kind == "preflight_checked":
            self.read_preflight.cache_clear()
        self.previous = event

    def _follow_request(self, request: Request, event: Event) -> None:
        """Take into account what a request has sent, or how it was answered."""
        kind, body, chunk = event.kind, event.body, request.chunk
        if kind == "intent":
            self.calls[chunk] = (body["method"], body["url"], body.get("body"))
            self.sent.append((event.seq, request, request.block))
            self.open.add(chunk)
            return
        self.open.discard(chunk)
        if kind == "answer":
            self.call.answered[chunk] = event.at
        elif kind in ("refused", "job_failed", "job_done"):
            self.refused.add((request.project_id, str(body.get("code", ""))))
        self.call.has_done |= kind in ("job_done", "response_lost", "job_timed_out")

    def _count(self, request: Request | None, event: Event) -> None:
        """Take into account what a call says it has asked, and what it must have asked."""
        if event.kind == "requests_counted":
            self.call.counted += Counter(event.body["requests"])
        elif event.kind == "read_back":
            self.call.needed["read"] += event.body["images"] > 0
            self.call.has_read = True
        elif event.kind in ("job_done", "job_failed") and request is not None:
            self.call.needed["poll"] += request.response.job_id != ""

    # -- events of a call ----------------------------------------------------------------------
    def check_sign_ins(self, event: Event) -> Iterator[str]:
        """Check that each project that acts has one sign-in in a call, or one that was refused."""
        names = [account["project_id"] for account in event.body["clouds"]]
        names += event.body.get("refused", {})
        if len(set(names)) < len(names) or not set(self.plan.chunks["project_id"]) <= set(names):
            yield "lacks the sign-in of a project that the plan acts for, or has one twice"
        if not event.body.get("refused", {}).keys() <= set(self.plan.chunks["project_id"]):
            yield "was refused a sign-in that the plan does not need"
        settings = event.body["settings"]
        if fault := settings_fault(settings):
            yield f"has a setting that no call accepts: {fault}"
        known = {one.name for one in fields(Settings)}
        if self.same_version and settings.keys() != known:
            yield "has other settings than a call of this version"
        if not event.body.get("environment"):
            yield "does not say where it was made"

    def check_preflight_snapshot(self, event: Event) -> Iterator[str]:
        """Check that a snapshot and the sign-ins of its call say the same of each project."""
        if not self.call.unseen:
            yield "is a second last look in one call, or one that nothing waited for"
        yield from snapshot_contradictions(self._snapshot(event), event.body)
        for project in self._snapshot(event).projects.to_dict("records"):
            account = self.call.clouds.get(name := str(project["project_id"]))
            if name in self.call.refused and project["unread"]:
                account = dict.fromkeys(SIGN_IN, "")
            if account is None or any(project[name] != account.get(name, "") for name in SIGN_IN):
                yield f"shows project {project['project_id']} otherwise than the call signed in"

    def check_preflight(self, event: Event) -> Iterator[str]:
        """Check that a preflight says what its snapshot does."""
        before = self.previous
        if before is None or before.kind != "preflight_snapshot":
            yield "follows on no snapshot of the clouds"
            return
        followed = followed_run(self.ledger)
        derived = evaluate_preflight(
            waiting_rows(self.plan, self.log), self._snapshot(before), self.plan.findings,
            is_undo=followed is not None and followed.kind == UNDO,
        )  # fmt: skip
        self.latest = None  # a million shares take room
        recorded = self.read_preflight(event.body["blob"])
        if count_preflight(recorded) != event.body["counts"]:
            yield "its counts are not those of its shares"
        names = [name for name in PREFLIGHT.names if name != "reason" or self.same_version]
        if self.taken is None or self.taken.body.get("rule_set") != RULE_SET:
            names = [*ACTION_KEY, "before", "moved"]  # what was seen does not depend on rules
        if difference := first_difference(recorded, derived, names):
            yield f"is not what the snapshot before it shows: {difference}"

    def check_reading(self, event: Event) -> Iterator[str]:
        """Check that a reading holds states that shares can have."""
        frame = self.ledger.get_frame(event.body["blob"], READ_BACK)
        shares = self.plan.rows[SHARE_KEY].take(frame["row_key"].to_numpy())
        frame = frame.assign(**{name: shares[name].array for name in SHARE_KEY})
        if len(frame) != event.body["images"]:
            yield f"says that it has {event.body['images']} images, and has {len(frame)}"
        if frame.empty or ((frame["state"] == "") == (frame["unread"] == "")).any():
            yield "shows neither a state nor why it could not be read, or both"
        projects = {*frame.loc[frame["side"] == MEMBER, "project_id"].unique()}
        if projects - self.call.clouds.keys():
            yield "shows shares of a project that the call had not signed in to"
        under_way = [
            (*share, request.role)
            for request in self.log.in_state("planned", "sent", "running") if request.was_sent
            for share in request.shares
        ]  # fmt: skip
        if under_way and pd.MultiIndex.from_frame(frame[ACTION_KEY]).isin(under_way).any():
            yield "shows shares whose request was still under way"
        if not self._has_owners and projects & self.call.denied:
            yield "shows shares of a project that had refused to be read"

    @property
    def _has_owners(self) -> bool:
        return any(request.role == OWNER for request in self.log.requests.values())

    def check_denied(self, event: Event) -> Iterator[str]:
        """Check that only a project that was signed in to refuses to be read, while it is read."""
        if event.body["project_id"] not in self.call.clouds:
            yield "is about a project that the call had not signed in to"
        if self.previous is None or self.previous.kind not in ("read_back", "read_back_denied"):
            yield "follows on no reading"
        if not event.body.get("code"):
            yield "says that a project refused to be read, and with which code it does not"

    def check_calls(self, event: Event) -> Iterator[str]:
        """Check that calls that are events of their own are not counted again."""
        requests = Counter(event.body["requests"])
        if requests["submit"] or requests["retried"]:
            yield "counts requests that are events of their own"
        if self.call.needed - (self.call.counted + requests):
            yield "counts fewer requests than ended jobs and readings took"
        yield from self.limits.check_counts(
            self.call.counted + requests, self._between(self.call.at, event.at)
        )

    # -- events of a request -------------------------------------------------------------------
    def check_intent(self, request: Request, event: Event) -> Iterator[str]:
        """Check that a request carries what was planned, to where its project signed in."""
        body, account = event.body, self.call.clouds.get(request.project_id)
        if self.call.unseen or request.project_id in self.call.unread:
            yield "was sent without a last look at the clouds"
        if self.call.unanswered:
            yield "was sent before those of an earlier call, without an answer, were called lost"
        if account is None:
            yield "was sent for a project that the call had not signed in to"
            return
        if len(request.blocks) != 1 or ShareBlock.read(body) != request.block:
            yield "carries other shares than its request has left"
            return
        if body["attempt"] != request.attempts + 1:
            yield f"is called attempt {body['attempt']}, and is number {request.attempts + 1}"
        yield from self.limits.check_intent(
            request, len(self.open), lambda since: self._between(since.at, event.at)
        )
        native = body.get("api") == "native"
        if not self._is_possible_api(request, body.get("api", "")):
            yield "was sent by an API that it cannot have been sent by"
            return
        payload = request.payload()
        call = (
            next(native_calls(payload, account["image"]))
            if native
            else batch_call(payload, account["ims"])
        )
        for name, planned in intent_fields(call).items():
            if body.get(name) != planned:
                yield f"its {name} is not the one that follows from the plan"

    def _is_possible_api(self, request: Request, api: str) -> bool:
        """Return True if a request can be sent so.

        Without batches is only a project that the preflight shows so, or that answered one so.
        """
        shown, project = self.call.apis.get(request.project_id, ""), request.project_id
        if api == "batch":
            return shown != "native"
        waiting = (self.log.requests[chunk].project_id for chunk in self.open)
        found_out = shown != "batch" or project in self.call.without_batch or project in waiting
        return api == "native" and request.size == 1 and found_out

    def check_answer(self, request: Request, event: Event) -> Iterator[str]:
        """Check that an answer is one that says yes."""
        http, call = event.body.get("http", 0), self.calls.get(request.chunk)
        if not 200 <= http < 300 and not (call and is_noop(call, http)):
            yield f"takes HTTP {http} for a yes"
        if event.body.get("code") or (event.body.get("reason") and http < 400):
            yield "says yes, and has the code or reason of an error"
        if not matches(JobId, job := event.body.get("job_id", "")):
            yield "names a job by what is no ID of one"
        if (request.response.api == "batch" or job) and (
            fault := answer_fault(request, http, job, "")
        ):
            yield f"takes for a yes that {fault}"

    def check_refusal(self, request: Request, event: Event) -> Iterator[str]:
        """Check that a refusal is one after which a run does this."""
        body = event.body
        yield from self.limits.check_refusal(request, event)
        if not may_follow(request, event.kind, body.get("code", ""), body.get("http", 0)):
            yield (
                "does not follow on such an answer: "
                f"HTTP {body.get('http', 0)}, {body.get('code', '')!r:.40}"
            )
        if remedy_of(request, body.get("code", ""), body.get("http", 0)) is Remedy.NATIVE:
            self.call.without_batch.add(request.project_id)

    def check_job(self, request: Request, event: Event) -> Iterator[str]:
        """Check that a job's end names its own images, with a status that says so."""
        done, status = event.kind == "job_done", str(event.body["status"]).lower()
        results, job = event.body.get("results", {}), request.response.job_id
        if results and not results.keys() <= {result_key(share) for share in request.shares}:
            yield "names images that its request does not carry"
        if any(good == done for good in results.values()):
            yield "names images that ended as the whole job did"
        if job and status not in (JOB_DONE if done else JOB_FAILED):
            yield f"ends a job with the status {status!r:.40}"
        if not job and not done:
            yield "is the end of a job that there was not"
        if not job and done:
            state = "" if event.body["status"] == AT_ONCE else event.body["status"]
            if fault := answer_fault(request, request.response.http, "", state):
                yield f"takes for a success that {fault}"
            if request.response.http >= 400 and state != request.response.reason:
                yield "ends otherwise than its request was answered"
        if done and not results and event.body.get("code"):
            yield "has the code of a failure, and names no image that failed"
        if (not done or results) and not event.body.get("code"):
            yield "says that images failed, and with which code it does not"
        yield from self._check_poll(request, event)

    def _check_poll(self, request: Request, event: Event) -> Iterator[str]:
        """Check that a job ends after it was polled; that of an earlier call is so at once."""
        least = WAITED * self.call.settings.get("min_poll_interval", 0)
        here = request.response.job_id and request.chunk in self.call.answered
        if here and self._waited(request, event) < least:
            yield "ends a job before anybody can have asked for it"

    def _waited(self, request: Request, event: Event) -> float:
        """Return for how many seconds a call asked for a job until an event; inf if unknown.

        A ledger dates no event of a call sooner than the call's own clock does, or shows that the
        machine's was set back.
        """
        return self._between(self.call.answered.get(request.chunk, self.call.at), event.at)

    def _between(self, start: str, end: str) -> float:
        if self.call.set_back or not start:
            return inf
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()

    def _states(self) -> Mapping[Action, Observation]:
        """Return what reading back has shown until now."""
        until = self.previous.hash if self.previous else ""
        with Ledger.open(self.ledger.path, verify_chain=False, until=until) as past:
            return observed_states(past, self.plan.rows)

    def check_timeout(self, request: Request, event: Event) -> Iterator[str]:
        """Check that there was a job that can have timed out, or be asked again."""
        if not request.response.job_id:
            yield "is about a job that there was not"
        late = event.body.get("code") == JOB_LATE and not request.timeouts
        waited, least = self._waited(request, event), self.call.settings.get("job_timeout", 0)
        if late and waited < WAITED * least:
            yield f"gives a job up after {waited:g} s, long before its timeout"

    def check_end(self, _: Event) -> Iterator[str]:
        """Check that a call that was not stopped has read back what it sent, and counted it."""
        if self.call.needed - self.call.counted:
            yield "follows on fewer requests than ended jobs and readings took"
        if self.call.has_done and not self.call.has_read and not self.call.stopped:
            yield "follows on requests that nobody read back"
        yield from self.limits.check_end(stopped=self.call.stopped)

    def check_finished(self, event: Event) -> Iterator[str]:
        """Check that a run ends with a call that was not stopped, and with its outcomes."""
        if self.call.stopped:
            yield "ends a run whose call had stopped before"
        if self.previous and event.body.get("counts") != self.previous.body.get("counts"):
            yield "counts other outcomes than were recorded"

    def check_stop(self, event: Event) -> Iterator[str]:
        """Check that a call was stopped by somebody who can stop it."""
        by = event.body.get("by")
        if by not in (None, CANARY, CLOUD, OPERATOR):
            yield "was stopped by nobody that there is"
        if by == CANARY and self.limits.canary_confirmed:
            yield "was stopped by a canary that was confirmed, or that there was not"

    def check_skipped(self, request: Request, event: Event) -> Iterator[str]:
        """Check that a project, or what a request was part of, was refused before."""
        if (request.project_id, str(event.body.get("code", ""))) not in self.refused:
            yield "names a refusal that there was not"

    def check_split(self, request: Request, event: Event) -> Iterator[str]:
        """Check that a request is split in parts that are numbered, and for a cause."""
        names = [part["chunk"] for part in event.body["into"]]
        if len(request.blocks) == 1:  # else a preflight has left some out of it
            self.limits.choose_canary()
        first = self.log.next_part(request)
        if names != [f"{request.chunk}.{n}" for n in range(first, first + len(names))]:
            yield "names its parts otherwise than they are numbered"
        if not all(part["images"] and part["projects"] for part in event.body["into"]):
            yield "has a part that carries nothing"
        kept = [share for block in event.body["kept"] for share in ShareBlock.read(block).shares]
        if request.state == "refused" and any(request.results.values()):
            if any(request.reported(share) != "success" for share in kept):
                yield "keeps shares that its job did not do"
        elif request.state != "unknown" and (len(names) < 2 or kept):
            yield "splits a request that is not lost into less than two parts"
        if request.state == "refused" and not request.attempts:
            yield "splits a request that was never sent, and so was not refused"

    def _snapshot(self, event: Event) -> Snapshot:
        if self.latest is None or self.latest[0] != event.seq:
            self.latest = event.seq, read_snapshot_of(self.ledger, event)
        return self.latest[1]

    # -- all readings at once, since a loop over a million shares takes long -------------------
    def reading_problems(self) -> Iterator[Problem]:
        """Yield each reading of a share that had not been sent until then."""
        rows, sent = self.plan.rows, self.sent[::-1]  # of several intents the first counts
        at = find_requests(rows, [(request, (block,)) for _, request, block in sent])
        first = np.array([*(seq for seq, *_ in sent), inf])[at]
        by_member = ~is_owner_action(rows["status"]).to_numpy(dtype=bool)
        for event in self.ledger.list_events("read_back"):
            frame = self.ledger.get_frame(event.body["blob"], READ_BACK)
            keys = frame["row_key"].to_numpy()
            foreign = by_member[keys] & (frame["side"] == OWNER).to_numpy(dtype=bool)
            if (foreign | (first[keys] > event.seq)).any():
                yield f"event {event.seq} ({event.kind})", "reads a share that had not been sent"


@dataclass
class _Call:
    """The call of ``submit`` that events belong to, and what it has seen and done so far.

    ``clouds`` are its sign-ins by project, ``refused`` those that failed, ``unseen`` is True while
    requests wait for its preflight, which could not read the projects that are ``unread``, and
    found the ``apis`` of the others; ``without_batch`` are those that answered to have no batches.
    ``unanswered`` are the requests of an earlier call that are still open, ``denied`` the projects
    that refused to be read; once it has ``stopped``, only the outcomes can follow. It ``has_read``
    what became of those that it ``has_done``. ``counted`` are the
    requests that it says it has made, ``needed`` those without which its jobs cannot have ended,
    nor shares been read. ``answered`` says when its requests were answered; with a clock that was
    ``set_back``, no time between its events is known.
    """

    at: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    open: bool = False
    stopped: bool = False
    set_back: bool = False
    has_done: bool = False
    has_read: bool = False
    clouds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    unseen: bool = False
    unread: set[str] = field(default_factory=set)
    apis: Mapping[str, str] = field(default_factory=dict)
    without_batch: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    answered: dict[str, str] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    needed: Counter[str] = field(default_factory=Counter)


_CHECKS: Final = {
    "submit_started": _Replay.check_sign_ins,
    "preflight_snapshot": _Replay.check_preflight_snapshot,
    "preflight_checked": _Replay.check_preflight,
    "read_back": _Replay.check_reading,
    "read_back_denied": _Replay.check_denied,
    "requests_counted": _Replay.check_calls,
    "stopped": _Replay.check_stop,
    "outcomes_recorded": _Replay.check_end,
    "finished": _Replay.check_finished,
}
_REQUEST_CHECKS: Final = {
    "intent": _Replay.check_intent,
    "answer": _Replay.check_answer,
    "refused": _Replay.check_refusal,
    "retry_scheduled": _Replay.check_refusal,
    "job_done": _Replay.check_job,
    "job_failed": _Replay.check_job,
    "job_timed_out": _Replay.check_timeout,
    "resumed": _Replay.check_timeout,
    "skipped_after_refusal": _Replay.check_skipped,
    "split": _Replay.check_split,
}
