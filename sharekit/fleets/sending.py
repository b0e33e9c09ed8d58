"""Sends the parts of a fleet side by side, on the engine of ``dask.distributed``.

The engine hands each part to one worker, and to another if that one dies; the part's ledger knows
how far it is, and its lock lets one process write. A semaphore of the engine bounds how many parts
of one cloud account are sent at a time, and each of them takes its share of the account's rate.
"""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from sharekit.clouds.registry import Clouds
from sharekit.clouds.sign_in import connect
from sharekit.core.brakes import RateLimiter
from sharekit.core.columns import with_unit
from sharekit.core.errors import ApprovalError, SharekitError, UsageError, missing_extra
from sharekit.core.monitoring.progress import report
from sharekit.core.provenance import __version__
from sharekit.plans import approval
from sharekit.plans.approval import ApprovalRequirement, plan_event, require_approval
from sharekit.plans.plan import read_plan
from sharekit.plans.storage import read_snapshot
from sharekit.runs.settings import Settings
from sharekit.runs.status import cloud_names
from sharekit.runs.submit import Progress, submit

from .records import PartStatus
from .storage import Part, StoredFleet, of_fleet, open_fleet, open_part, read_fleet, recover

#: Seconds between two words of a worker on how far its part is, and two looks at the workers.
_PAUSE: Final = 0.5
#: How often a part is handed out again after its worker died.
_LIVES: Final = 10
#: Sign-ins that a worker keeps for further parts: by its thread, the command, and the entries.
_MOST_SIGNED_IN: Final = 8
_SIGNED_IN: Final[dict[tuple[object, ...], Clouds]] = {}
#: Seconds to wait for another worker where none is left.
_ALONE: Final = 300.0


@dataclass(frozen=True)
class Engine:
    """Where parts are sent: a scheduler's address, or so many processes of this machine."""

    scheduler: str = ""
    workers: int = 4


@dataclass(frozen=True)
class Job:
    """How a worker sends a part: ``clouds`` are entries of its ``clouds.yaml``."""

    folder: Path
    clouds: tuple[str, ...]
    config_file: str | PathLike[str] | None
    secure_file: str | PathLike[str] | None
    settings: Settings = field(default_factory=Settings)
    demand: ApprovalRequirement = field(default_factory=ApprovalRequirement)


#: What came of a part on a worker.
Sent = PartStatus | SharekitError


def send_fleet(fleet: StoredFleet, job: Job, engine: Engine) -> dict[str, Sent]:
    """Send every part that is not finished; return how each is by then, or why it was not sent.

    Raises
    ------
    ApprovalError
        A part is not approved; nothing was sent.
    UsageError
        The engine is not installed, the scheduler is not there or of another version, or a worker
        sees another fleet or lacks a cloud's entry; nothing was sent.
    KeyboardInterrupt
        All parts were ended cleanly.
    """
    todo = [part for part in fleet.parts if not part.finished]
    clouds: dict[str, None] = {}
    for number, part in enumerate(todo, 1):
        report("checking the approvals", number, len(todo))
        try:
            with open_part(fleet.folder, part.to_body()) as ledger:
                plan = read_plan(ledger)  # one that was changed keeps all from being sent
                require_approval(ledger, plan.fingerprint, job.demand)
                clouds |= dict.fromkeys(cloud_names(plan.findings.snapshot))
        except ApprovalError as error:
            raise ApprovalError(
                error.what,
                in_python=f"Fleet.approve takes the fleet's fingerprint {fleet.fingerprint[:12]}.",
                in_shell=f"Approve the fleet: sharekit fleet approve {fleet.folder} --reviewer "
                f"NAME --fingerprint {fleet.fingerprint[:12]}",
            ) from None
    if not todo:
        return {}
    with _connected(engine, len(todo)) as client:
        slots = _check_workers(client, fleet, job, job.clouds or tuple(clouds))
        return _Sending(client, job, slots).run(todo)


# -- the engine ------------------------------------------------------------------------------------
def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_extra("Sending a fleet needs dask.distributed", "fleet") from None
    return distributed


@contextmanager
def _connected(engine: Engine, parts: int) -> Iterator[Any]:
    """Yield a client of the engine."""
    distributed = _distributed()
    import dask  # noqa: PLC0415 - it comes with the engine

    with ExitStack() as stack:
        # Of other versions, and of ports that another fleet has.
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        address: Any = engine.scheduler
        if not address:
            # By default a worker that takes 15 s to start again, as on a busy machine, is given up.
            kept = {"distributed.deploy.lost-worker-timeout": "1 day"}
            stack.enter_context(dask.config.set(kept))
            address = stack.enter_context(distributed.LocalCluster(
                n_workers=max(1, min(engine.workers, parts)), threads_per_worker=1,
                dashboard_address=None, silence_logs=logging.CRITICAL,
            ))  # fmt: skip
        try:
            client = stack.enter_context(
                distributed.Client(address, timeout=10, set_as_default=False)
            )
            _check_versions(client.get_versions())
        except (OSError, ValueError) as error:
            why = str(error).strip().splitlines()[0] if str(error).strip() else "no response"
            raise UsageError(
                f"The scheduler {engine.scheduler} cannot be used ({why}). Nothing was sent."
            ) from None
        with client.as_current():
            yield client


def _check_versions(found: dict[str, Any]) -> None:
    """Refuse a scheduler or worker of another version: what they send each other need not fit."""
    named = {"The scheduler": found["scheduler"]}
    named |= {f"The worker {address}": one for address, one in found["workers"].items()}
    ours = _versions(found["client"])
    for who, one in named.items():
        if one is not None and (theirs := _versions(one)) != ours:
            raise UsageError(
                f"{who} has {theirs}, and this machine {ours}: install the same versions. Nothing "
                "was sent."
            )


def _versions(one: dict[str, Any]) -> str:
    python = ".".join(one["packages"]["python"].split(".")[:2])
    return f"Python {python} and distributed {one['packages']['distributed']}"


def _check_workers(client: Any, fleet: StoredFleet, job: Job, clouds: Sequence[str]) -> int:
    """Return how many parts the workers can send at a time; refuse workers that cannot."""
    facts = (
        __version__,
        str(fleet.folder),
        fleet.plan.hash,
        clouds,
        job.config_file,
        job.secure_file,
    )
    client.run(_leave_ctrl_c, on_error="ignore")
    answers = client.run(_examine_worker, *facts, on_error="return")
    threads = client.nthreads()
    for address, answer in answers.items():
        why = answer
        if isinstance(answer, BaseException):
            why = f"it has not the same sharekit as this machine, or none ({answer!s:.200})."
        if why:
            raise UsageError(f"The worker {address} cannot send: {why} Nothing was sent.")
    if not threads:
        raise UsageError("The scheduler has no workers, so nothing was sent: start some.")
    return sum(threads.values())


def _leave_ctrl_c() -> None:
    """Let a worker go on after Ctrl-C, which reaches all processes of a terminal."""
    with suppress(ValueError):  # of another thread than the main one
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _examine_worker(
    version: str, folder: str, plan: str, clouds: Sequence[str], config: Any, secure: Any
) -> str:
    """Return in a sentence why this worker cannot send the parts of a fleet, ``""`` if it can."""
    from sharekit.clouds.clouds_yaml import read_clouds_yaml  # noqa: PLC0415 - on the worker alone

    if version != __version__:
        return f"it has sharekit {__version__}, and not {version}."
    try:
        with open_fleet(Path(folder)) as ledger:
            if not ledger.has_event(plan):
                return f"it sees another fleet in {folder}."
        known = read_clouds_yaml(config, secure).names()
    except (SharekitError, OSError) as error:
        return str(error)
    missing = [name for name in clouds if name not in known]
    return f"its clouds.yaml has no entry {missing[0]!r}." if missing else ""


class _Sending:
    """Parts that are handed out, and what is known of each."""

    def __init__(self, client: Any, job: Job, slots: int) -> None:
        self.client, self.job, self.slots = client, job, slots
        self.topic = f"sharekit-{uuid4().hex}"
        self.done: dict[str, tuple[int, int]] = {}
        self.sent: dict[str, Sent] = {}
        self.lives: dict[str, int] = {}
        self.futures: dict[Any, Part] = {}

    def run(self, parts: Sequence[Part]) -> dict[str, Sent]:
        """Send parts until all have ended; Ctrl-C ends each cleanly."""
        stop = _distributed().Event(self.topic, client=self.client)
        self.client.subscribe_topic(self.topic, self._follow)
        try:
            for part in parts:
                self._hand_out(part)
            self._wait(len(parts))
        except KeyboardInterrupt:
            stop.set()  # what is not begun yet returns at once
            with suppress(KeyboardInterrupt):
                self._wait(len(parts))
            raise
        finally:
            self.client.unsubscribe_topic(self.topic)
        return self.sent

    def _hand_out(self, part: Part) -> None:
        self.lives[part.name] = self.lives.get(part.name, 0) + 1
        key = f"{self.topic}-{part.name}-{self.lives[part.name]}"
        future = self.client.submit(
            send_part, part.to_body(), self.job, self.topic, self.slots, key=key, pure=False
        )
        self.futures[future] = part

    def _follow(self, event: tuple[float, dict[str, Any]]) -> None:
        _, said = event
        self.done[said["part"]] = said["done"], said["total"]

    def _wait(self, count: int) -> None:
        distributed, seen = _distributed(), monotonic()
        while self.futures:
            if self.client.scheduler_info(n_workers=1)["workers"]:
                seen = monotonic()
            elif monotonic() - seen > _ALONE:
                why = SharekitError("no worker is left to send it; the same command goes on")
                self.sent |= {part.name: why for part in self.futures.values()}
                return
            with suppress(TimeoutError, distributed.client.FuturesCancelledError):
                distributed.wait([*self.futures], timeout=_PAUSE, return_when="FIRST_COMPLETED")
            for future in [one for one in self.futures if one.status != "pending"]:
                self._take(future, self.futures.pop(future))
            done, total = (sum(one[at] for one in self.done.values()) for at in (0, 1))
            left = with_unit(len(self.futures), "part")
            report(f"sending {with_unit(count, 'part')}", done, total, f"{left} left")

    def _take(self, future: Any, part: Part) -> None:
        """Note how a part has ended; one whose worker died is handed out again."""
        if future.status == "finished":
            self.sent[part.name] = future.result()
        elif future.status in ("cancelled", "lost"):
            self.sent[part.name] = SharekitError("the scheduler no longer knows of it")
        elif (
            isinstance(future.exception(), _distributed().KilledWorker)
            and self.lives[part.name] < _LIVES
        ):
            self._hand_out(part)
        else:
            self.sent[part.name] = SharekitError(str(future.exception()))


# -- on a worker -----------------------------------------------------------------------------------
def send_part(part: dict[str, Any], job: Job, topic: str, slots: int) -> Sent:
    """Send a part on this worker; return how it is by then, or why it could not be sent."""
    distributed = _distributed()
    worker, ended = distributed.get_worker(), distributed.Event(topic)
    stop, spoke = threading.Event(), [0.0]

    def follow(now: Progress) -> None:
        if monotonic() - spoke[0] >= _PAUSE:
            spoke[0] = monotonic()
            worker.log_event(topic, {"part": part["name"], "done": now.done, "total": now.total})
            if ended.is_set():
                stop.set()

    try:
        # To write, so that what a killed worker has left half done is taken back.
        with open_part(job.folder, part, write=True) as ledger:
            path, planned = ledger.path, plan_event(ledger)["fingerprint"]
            sends = require_approval(ledger, planned, job.demand)
            names = job.clouds or tuple(cloud_names(read_snapshot(ledger)))
        if ended.is_set():
            return SharekitError("was not begun")
        clouds = Clouds({})
        if sends:  # what sends nothing needs neither approval nor sign-in
            clouds = _sign_in(topic, names, job.config_file, job.secure_file)
        RateLimiter.share = 1 / slots
        with ExitStack() as stack, of_fleet(job.folder):
            for account in sorted({cloud.account or cloud.name for cloud in clouds.signed_in}):
                name = f"sharekit account {account}"
                stack.enter_context(distributed.Semaphore(max_leases=slots, name=name))
            return PartStatus.of(submit(
                path, clouds, settings=job.settings, demand=job.demand, progress=follow, stop=stop
            ))  # fmt: skip
    except SharekitError as error:
        # Of the base class, which a scheduler can hand on whatever its own takes.
        failed = SharekitError(str(error))
        failed.exit_code, failed.in_shell = error.exit_code, error.in_shell
        return failed


def _sign_in(topic: str, names: tuple[str, ...], config: Any, secure: Any) -> Clouds:
    """Return clouds that were signed in to for another part, too, unless one refused that."""
    key = threading.get_ident(), topic, names, config, secure
    if key not in _SIGNED_IN:
        clouds = connect(*names, config_file=config, secure_file=secure, progress=False)
        if clouds.refused:
            return clouds
        while len(_SIGNED_IN) >= _MOST_SIGNED_IN:
            _SIGNED_IN.pop(next(iter(_SIGNED_IN)))
        _SIGNED_IN[key] = clouds
    return _SIGNED_IN[key].anew()


# -- the end ---------------------------------------------------------------------------------------
def finish_fleet(folder: Path, key: str | PathLike[str] | None) -> bool:
    """Record the heads of all parts once every one is finished, and seal all with a key.

    Return True if the fleet is finished.
    """
    recover(folder)
    fleet = read_fleet(folder)
    if not all(part.finished for part in fleet.parts):
        return False
    with open_fleet(folder, write=True) as ledger:
        if ledger.last_event("fleet_finished") is None:
            ends = [_end_of(folder, part, key) for part in fleet.parts]
            ledger.append("fleet_finished", {"parts": ends})
        if key is not None and ledger.last_event("sealed") is None:
            approval.seal_ledger(ledger, key)
    return True


def _end_of(folder: Path, part: Part, key: str | PathLike[str] | None) -> dict[str, Any]:
    with open_part(folder, part.to_body(), write=key is not None) as ledger:
        sealed = ledger.last_event("sealed") is not None
        if key is not None and not sealed:
            approval.seal_ledger(ledger, key)
        return {
            "name": part.name, "head": ledger.head, "events": ledger.event_count,
            "sealed": sealed or key is not None,
        }  # fmt: skip
