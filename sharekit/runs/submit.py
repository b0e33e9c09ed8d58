"""An approved plan carried out: look, send, follow, read back, settle – and take up again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from time import monotonic

import numpy as np
import pandas as pd

from sharekit.checks.cell_rules import Found
from sharekit.checks.owner_rules import owner_rules
from sharekit.checks.row_rules import cloud_rules, shares_of
from sharekit.checks.vault_rules import vault_room
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.snapshot import Snapshot, take
from sharekit.core.actions import ROLES
from sharekit.core.columns import Coded, are_satisfied, roles
from sharekit.core.errors import CloudError, SharekitError, UsageError
from sharekit.core.outcomes import UNSETTLED
from sharekit.core.provenance import environment
from sharekit.core.rules import RULES, severity
from sharekit.ledger import parquet
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.storage import asked_to_stop
from sharekit.plans import approval
from sharekit.plans.chunks import members
from sharekit.plans.plan import Plan, load_from, record_snapshot

from .dispatch import Failure, Sender
from .read_back import Proof
from .request_log import History, Part, Piece, Share, rectangles, split_into
from .run import SIDED, Run, finished, load_run, observed_states, undoes
from .settings import Settings

_PAUSE = 0.05
#: A job that was late so often is given up: what it did not bring about is sent anew.
_LATE = 2


@dataclass(frozen=True)
class Progress:
    """How far a run is: counts are images, times are seconds (``left`` None while unknown).

    ``failures`` are the latest ones of this call, oldest first; ``in_flight`` counts requests;
    ``slowed`` says how far and why fewer of them go at once than allowed ("": they do not).
    """

    phase: str
    total: int
    done: int
    failed: int
    in_flight: int
    elapsed: float
    left: float | None
    failures: tuple[Failure, ...] = ()
    slowed: str = ""


def submit(
    plan: Plan | str | PathLike[str],
    clouds: Clouds,
    *,
    settings: Settings | None = None,
    concurrency: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    demand: approval.Demand | None = None,
    pause: threading.Event | None = None,
) -> Run:
    """Send what was approved, follow it to its end, and read back what the cloud then shows.

    The same call takes up a run that was interrupted: nothing is sent twice without having been
    read back.

    Parameters
    ----------
    plan : Plan or path
        The plan, or the ledger that holds it.
    clouds : Clouds
        Access to every project of the plan.
    settings : Settings, optional
        Patience, limits and waits; see :class:`sharekit.Settings`.
    concurrency : int, optional
        Requests under way at once (8).
    progress : callable, optional
        Called with a :class:`Progress` about ten times a second, in the calling thread.
    stop : threading.Event, optional
        Set it to end cleanly; the rest stays ``pending``.
    demand : Demand, optional
        More than one reviewer, or signed approvals; see :class:`sharekit.plans.approval.Demand`.
    pause : threading.Event, optional
        While it is set no request is begun; jobs that run in the cloud are followed.

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
        The caller is refused (sign-in, rights), or the cloud had no useful answer to anything that
        this call sent; what was sent is in the ledger. A cloud that is lost later ends the call,
        with the cause in ``Run.stopped``.
    LedgerError
        The ledger is in use, damaged, or cannot be written.

    Examples
    --------
    >>> submit("run.ledger", connect("otc")).counts["confirmed"]  # doctest: +SKIP
    412
    """
    settings = settings or Settings()
    if concurrency is not None:
        settings = Settings(**{**asdict(settings), "concurrency": concurrency})
    if settings.concurrency < 1:
        raise UsageError("At least one request must be allowed at once.")
    path = plan.path if isinstance(plan, Plan) else Path(plan)
    with Ledger.open(path, write=True) as book:
        current = load_from(book)
        yes = approval.require(book, current.fingerprint, demand)
        _covered(current, clouds)
        clouds = clouds.restricted_to(current.chunks["project_id"])
        return _Submission(book, current, clouds, settings, progress, stop, pause).carry_out(
            yes, demand
        )


class _Submission:
    """One call of :func:`submit`, from its first look to its last."""

    def __init__(
        self, book: Ledger, plan: Plan, clouds: Clouds, settings: Settings,
        progress: Callable[[Progress], None] | None, stop: threading.Event | None,
        pause: threading.Event | None = None,
    ) -> None:  # fmt: skip
        self.book, self.plan, self.clouds, self.settings = book, plan, clouds, settings
        self.history = History(members(plan.rows), book.events())
        self.sender = Sender(book, self.history, clouds, settings)
        self.total = sum(piece.size for piece in self.history.leaves())
        self.began = monotonic()
        self.progress, self.pause = progress, pause
        self.stop = threading.Event() if stop is None else stop
        self.phase = "looking at the cloud"
        self.proof = Proof(
            book, self.history, clouds, self.sender.counted, settings.concurrency,
            observed_states(book),
        )  # fmt: skip

    def carry_out(self, yes: list[approval.Approval], demand: approval.Demand | None = None) -> Run:
        if finished(self.book):
            return load_run(self.book)
        self._begin(yes, demand or approval.Demand())
        try:
            self._take_up()
            self._look()
            self._send_canary()
            for _ in range(self.settings.rounds):
                if self._stopping():
                    break
                self._send()
                self._read_back()
                if self._stopping() or not self._send_lost_anew():
                    break
            else:
                self.sender.stopped_because = self._never_answered()
        except KeyboardInterrupt:
            self._end("interrupted")
            raise
        except (SharekitError, OSError) as error:
            run = self._end(str(error))
            if not self.sender.breaker.only_lost(error):
                raise
            return run
        why = self.sender.stopped_because or ("stopped" if self._stopping() else "")
        run = self._end(str(why))
        if isinstance(why, CloudError) and not self.sender.breaker.only_lost(why):
            raise why
        return run

    def _never_answered(self) -> CloudError:
        lost = self.book.events("lost")[-1:]
        last = f"; the last: {lost[0].body['reason']}" if lost else ""
        return CloudError(
            f"requests stayed without an answer {self.settings.rounds} times over{last}"
        )

    def _begin(self, yes: list[approval.Approval], demand: approval.Demand) -> None:
        clouds = [
            {"cloud": c.name, "project_id": c.project_id, "region": c.region, "ims": c.ims,
             "image": c.image, "account": c.account, "warnings": list(c.warnings)}
            for c in self.clouds.values()
        ]  # fmt: skip
        body = {
            "clouds": clouds,
            "settings": asdict(self.settings),
            "reviewer": ", ".join(dict.fromkeys(one.reviewer for one in yes)),
            "reviewers": demand.reviewers,
        }
        self.book.append("submitting", body | {"environment": environment()})

    def _take_up(self) -> None:
        """What an earlier call left open: a lost answer stays lost, a known job is followed."""
        for piece in self.history.in_state("sent"):
            reason = "the program ended before the answer came"
            self.sender.note("lost", piece, code="no-answer", reason=reason)
        for piece in self.history.in_state("unknown"):
            if piece.job_id:
                self.sender.note("resumed", piece)

    def _look(self) -> None:
        """See what has changed since the plan; leave out what needs nothing or must not go."""
        self._tick()
        waiting = {
            (*share, piece.side)
            for piece in self.history.in_state("planned")
            for share in piece.shares
        }
        rows = self.plan.rows
        planned = rows[rows["disposition"] == "planned"]
        planned = planned.assign(side=roles(planned["status"]))
        planned = planned[pd.MultiIndex.from_frame(planned[SIDED]).isin(waiting)]
        if planned.empty:
            return
        seen = take(self.clouds, planned)
        record_snapshot(self.book, seen, "seen")
        looks = _looks(planned, seen, strict=self.plan.findings.strict)
        if undoes(self.book):  # somebody has decided anew since; that is not ours to undo
            gone = (looks["moved"] != "") & (looks["outcome"] == "")
            told = ["blocked", "undo-moved", RULES["undo-moved"].message]
            looks.loc[gone, ["outcome", "code", "reason"]] = told
        blob = self.book.put(parquet.to_bytes(looks), parquet.MEDIA_TYPE)
        counts = {str(k): int(v) for k, v in looks["outcome"].value_counts().items() if k}
        counts["moved"] = int((looks["moved"] != "").sum())
        self.book.append("looked", {"blob": blob, "counts": counts})
        out = looks[looks["outcome"] != ""]
        self._leave_out(set(out[SIDED].itertuples(index=False, name=None)))

    def _leave_out(self, shares: set[tuple[str, str, str]]) -> None:
        for piece in self.history.in_state("planned"):
            kept = [share for share in piece.shares if (*share, piece.side) not in shares]
            if not kept:
                del self.history.pieces[piece.chunk]
            elif piece.projects and len(kept) < piece.size:
                # What is left of a rectangle may be several; none may hold what was left out.
                told = split_into(piece, rectangles(kept))
                self.sender.note("split", piece, **told, why="some need not be sent any more")
            elif not piece.projects:
                piece.images = tuple(image for _, image in kept)

    def _send(self, chunks: Collection[str] | None = None) -> None:
        self.phase = "sending"
        self.sender.run(self._tick, chunks)
        self._count()

    def _send_canary(self) -> None:
        """Send the first chunks alone; the rest goes only if all of their images are confirmed."""
        first = self.history.in_state("planned")[: self.settings.canary]
        if not first:
            return
        went = [(piece, share) for piece in first for share in piece.shares]
        self._send({piece.chunk for piece in first})
        self._read_back()
        bad = sum(not self.proof.holds(piece, share) for piece, share in went)
        if bad and not self._stopping():
            self.sender.stopped_because = (
                f"the canary: {bad} of the {len(went)} images that went first were not "
                "confirmed, so nothing else was sent"
            )

    def _count(self) -> None:
        if self.sender.counted:
            numbers = {"submit": 0, "poll": 0, "read": 0, "retried": 0, **self.sender.counted}
            self.history.apply(self.book.append("counted", {"requests": numbers}))
            self.sender.counted.clear()

    def _read_back(self) -> None:
        """Read the cloud until it shows what was claimed, a few times at the most."""
        self.phase = "reading back"
        self._tick()
        for attempt in range(self.settings.looks):
            todo = self.proof.unproven()
            if not todo or (attempt and self._stopping()):
                break
            self._rest(self.settings.settle * attempt)
            self.proof.concurrency = self.sender.easing.at_once()
            self.proof.read(todo, self._tick)
        self._count()

    def _send_lost_anew(self) -> bool:
        """After reading back: what a lost request did not bring about goes into a new one."""
        again = False
        for piece in self.history.in_state("unknown"):
            missing = [share for share in piece.shares if not self.proof.holds(piece, share)]
            if not missing or not self.proof.can_read(piece):
                continue
            if piece.job_id and piece.late < _LATE:
                continue  # while a job may still run, only the job or the cloud can tell
            kept = [share for share in piece.shares if share not in set(missing)]
            lost = "the job did not end" if piece.job_id else "the answer was lost"
            why = f"{lost}, and reading back shows these not changed"
            told = split_into(piece, _anew(piece, missing), kept)
            self.sender.note("split", piece, **told, why=why)
            for share in missing:
                for side in ROLES:
                    self.proof.seen.pop((*share, side), None)
            again = True
        return again

    def _rest(self, seconds: float) -> None:
        until = monotonic() + seconds
        while monotonic() < until and not self._stopping():
            threading.Event().wait(min(_PAUSE, max(0.0, until - monotonic())))
            self._tick()

    def _stopping(self) -> bool:
        return self.stop.is_set() or self.sender.stopped_because is not None

    def _tick(self) -> None:
        if asked_to_stop(self.book.path):
            self.stop.set()
        if self.stop.is_set():
            self.sender.scheduler.stop()
        paused = self.pause is not None and self.pause.is_set()
        self.sender.scheduler.hold(on=paused)
        if self.progress is None:
            return
        done, elapsed = self.history.ended_images, monotonic() - self.began
        left = elapsed / done * (self.total - done) if done else None
        flying = self.sender.scheduler.in_flight
        self.progress(
            Progress(
                "paused" if paused and not flying else self.phase, self.total, done,
                self.sender.failed, flying, elapsed, left, self.sender.latest_failures(),
                self.sender.easing.told(),
            )
        )  # fmt: skip

    def _end(self, why: str) -> Run:
        """Write every row's outcome; the run is finished if nothing can change any more."""
        self._count()
        if why:
            self.book.append("stopped", {"why": why})
        run = load_run(self.book, self.plan, self.history)
        with self.book.transaction():
            digest = self.book.write_outcomes(run.outcome_lines())
            self.book.append("settled", {"counts": run.counts, "digest": digest})
            if not why and not any(run.counts[name] for name in UNSETTLED):
                self.book.append("finished", {"rows": len(run.rows), "counts": run.counts})
        return replace(run, finished=finished(self.book))


def _anew(piece: Piece, missing: list[Share]) -> list[Part]:
    """What a new request for some shares of a lost one holds; a rectangle may leave several."""
    return rectangles(missing) if piece.projects else [[image for _, image in missing]]


def _looks(planned: pd.DataFrame, seen: Snapshot, *, strict: bool) -> pd.DataFrame:
    """What a fresh look says of planned rows: where they stand, and whether they go."""
    fresh = planned.copy()
    pairs = shares_of(*(Coded.of(fresh[name]) for name in ("image_id", "project_id", "status")))
    both = cloud_rules(fresh, pairs, seen) + owner_rules(fresh, pairs, seen)
    said = _errors(both, strict=strict)
    already = are_satisfied(planned["status"], fresh["before"])
    out = np.concatenate([np.empty(0, np.int64), *(f.keys for f in said)])
    going = ~fresh.index.isin(out) & ~already
    found = [*said, *_errors(vault_room(fresh[going], seen), strict=strict)]
    looks = planned[SIDED].assign(before=fresh["before"], outcome="", code="", reason="", moved="")
    looks["outcome"] = looks["outcome"].where(~already, "already")
    for f in reversed(found):  # the first rule of the table has the last word
        looks.loc[f.keys, "outcome"] = "blocked"
        looks.loc[f.keys, "code"] = f.rule
        detail = "" if f.detail is None else " (" + f.detail.reindex(f.keys) + ")"
        looks.loc[f.keys, "reason"] = RULES[f.rule].message + detail
    moved = (planned["before"] != "") & (planned["before"] != fresh["before"])
    looks["moved"] = planned["before"].where(moved, "")
    return looks.astype("str")


def _errors(said: list[Found], *, strict: bool) -> list[Found]:
    return [f for f in said if severity(f.rule, strict=strict) == "error"]


def _covered(plan: Plan, clouds: Clouds) -> None:
    missing = sorted(set(plan.chunks["project_id"]) - set(clouds))
    if missing:
        raise UsageError(
            f"No cloud gives access to project {', '.join(missing)}: name the entry for it in "
            "clouds.yaml too. Nothing was sent."
        )
