"""Submissions tortured in every way we know, then taken up until done: nothing is lost.

``python -m tests.runs.torture_run --runs 1000 --seed 1`` prints a table; each run can be
repeated by its seed. The client runs in a process of its own, which is killed at a named step or
at a random instant, cut off from the cloud, left without disk, without fsync, with a second
client beside it, or with a clock that goes backwards. Afterwards ``submit`` is called until the
run is finished.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import product
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

import sharekit
from sharekit.clouds.cloud import Cloud
from sharekit.core.actions import ABSENT, ACCEPTED, PENDING, REJECTED, SHARE, UNSHARE, is_satisfied
from sharekit.core.errors import SharekitError
from sharekit.core.outcomes import FINAL_OK, UNSETTLED
from sharekit.ledger import ledger
from sharekit.reports import report as report_files
from sharekit.runs import read_back, submit
from sharekit.simulator import Image, Seed, Share
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator, start
from sharekit.simulator.sample import build_sample, write_workbook
from sharekit.simulator.seed import DEFAULT_KEY

#: Rows of projects that decide, among them some already so, repeated or damaged; owners' rows
#: come on top (:func:`offers`).
ROWS, CHUNK = 12, 6
#: Both ways to a cloud; seeds take turns.
APIS = ("batch", "native")
PATIENT = sharekit.Settings(
    min_poll_interval=0.02, max_poll_interval=0.1, initial_backoff=0.01, max_backoff=0.1,
    read_back_delay=0.05, job_timeout=20, attempts=30, resend_rounds=15, read_back_timeout=2.0,
    concurrency=3,
)  # fmt: skip
#: Named steps of a submission at which it can be killed: where, before or after, which event.
PLACES: dict[str, tuple[Any, str, bool, str]] = {
    "before intent": (ledger.Ledger, "append", False, "intent"),
    "after intent": (ledger.Ledger, "append", True, "intent"),
    "request on its way": (Cloud, "send", False, ""),
    "before answer": (Cloud, "send", True, ""),
    "after answer": (ledger.Ledger, "append", True, "answer"),
    "after job": (ledger.Ledger, "append", True, "job_done"),
    "before commit": (ledger.Ledger, "_commit", False, ""),
    "after commit": (ledger.Ledger, "_commit", True, ""),
    "reading back": (read_back, "look_back", True, ""),
    "before settling": (submit, "write_outcomes", False, ""),
    "settling": (submit, "write_outcomes", True, ""),
    "reporting": (report_files, "check_writable", True, ""),
}
STEPS = tuple(PLACES)
#: Steps at which both ways to a cloud do different things; the others are the ledger's and ours.
OF_API = ("request on its way", "before answer", "after answer", "after job", "reading back")
NETWORK = (
    "cut_before=0.3", "cut_after=0.3", "p503=0.3", "garbage=0.3", "token_uses=5",
    "flow_control=0.3", "no_results=1,cut_after=0.2", "job_partial=0.2,cut_after=0.2",
)  # fmt: skip
KINDS = ("step", "instant", "network", "network and kill", "disk full", "fsync fails",
         "second client", "clock back")  # fmt: skip
INVARIANTS = (
    "finished", "one outcome a row", "cloud as reported", "nothing sent without its intent",
    "nothing changed twice", "no traceback", "ledger intact",
)  # fmt: skip
DIED, TRACEBACK = -signal.SIGKILL, 99


def client(path: str, config: str, wound: dict[str, Any]) -> None:
    """Submit a run, in a process of its own that is hurt on the way; the exit code tells."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    hurt(**wound)
    try:
        clouds = sharekit.connect(config_file=config)
        run = sharekit.submit(path, clouds, settings=PATIENT)
        sharekit.report(run, Path(path).with_name("audit.csv"))
    except SharekitError:
        os._exit(2)
    except BaseException:  # noqa: BLE001 - whatever it was, it is what we look for
        os._exit(TRACEBACK)
    os._exit(0 if run.finished else 3)


def hurt(step: str = "", count: int = 1, clock: float = 0.0) -> None:
    """Prepare this process: it dies at a step, the so-manieth time, or its clock goes back."""
    left = [count]

    def die() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if step:
        owner, name, after, kind = PLACES[step]
        original = getattr(owner, name)

        def wounded(*args: Any, **kwargs: Any) -> Any:
            mine = not kind or kind in args
            if mine and not after:
                # On its way: another thread ends us while this one talks to the cloud.
                wait = random.random() * 0.01 if step == "request on its way" else 0.0
                threading.Timer(wait, die).start() if wait else die()
            result = original(*args, **kwargs)
            if mine and after:
                die()
            return result

        setattr(owner, name, wounded)
    if clock:
        true = ledger.utc_time
        ledger.utc_time = lambda: (now := true()).replace(year=now.year - 100)


@dataclass
class Tally:
    """What one kind of torture came to."""

    runs: int = 0
    struck: int = 0
    calls: int = 0
    broken: Counter[str] = field(default_factory=Counter)


def offers(cloud: Seed) -> tuple[Seed, str]:
    """An owner in a cloud, and what it does to whole blocks of shares, as a sheet (csv).

    It shares two images with three projects, takes two images back from two, repeats a share that
    is there, and tries what a batch refuses; and a project decides on what is not yet shared.
    """
    owner = cloud.projects[-1].id
    a, b, c = (project.id for project in cloud.projects[:3])
    new, other, back, mine, there, locked = (
        str(uuid.uuid5(uuid.NAMESPACE_OID, f"{owner} {n}")) for n in range(6)
    )
    images = [Image(i, owner, key=DEFAULT_KEY if i == locked else "")
              for i in (new, other, back, mine, there, locked)]  # fmt: skip
    states = (ACCEPTED, PENDING, REJECTED, ACCEPTED)
    known = zip(product((back, mine), (a, b)), states, strict=True)
    shares = [Share(i, p, state) for (i, p), state in known] + [Share(there, a, ACCEPTED)]
    acts = [(*share, SHARE) for share in product((new, other), (a, b, c))]
    acts += [(*share, UNSHARE) for share in product((back, mine), (a, b))]
    acts += [(there, a, SHARE), (locked, a, SHARE), (locked, b, SHARE)]
    acts += [(new, a, ACCEPTED), (there, c, UNSHARE)]
    seed = replace(cloud, images=(*cloud.images, *images), shares=(*cloud.shares, *shares))
    return seed, "\n".join(map(",".join, [("image_id", "project_id", "status"), *acts]))


class Chamber:
    """Planned and approved runs, their cloud, and what is done to copies of them."""

    def __init__(self, folder: Path, cloud: Simulator) -> None:
        self.folder, self.cloud = folder, cloud
        sample = build_sample(ROWS, faulty=0.25)
        self.seed, sheet = offers(sample.seed)
        decisions = write_workbook(sample, folder / "decisions.xlsx")
        (folder / "offers.csv").write_text(sheet, encoding="utf-8")
        for api in APIS:
            self.reset(api)
            self.config = str(cloud.write_clouds_yaml(folder / "clouds.yaml"))
            inventory = sharekit.read_inventory(decisions, folder / "offers.csv")
            findings = sharekit.check(inventory, sharekit.connect(config_file=self.config))
            plan = sharekit.plan(findings, folder / f"{api}.ledger", chunk_size=CHUNK)
            sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        self.context = mp.get_context("forkserver")
        # What a client would load anew each time takes longer than its run.
        self.context.set_forkserver_preload(["tests.runs.torture", "sharekit.clouds.sign_in"])

    def reset(self, api: str) -> None:
        """The cloud as it was; ``native``: one that knows no batches."""
        self.cloud.reset(self.seed, job_seconds=0.01, native_only=api == "native")

    def torture(self, kind: str, seed: int, tally: Tally, step: str = "") -> list[str]:
        """One run; returns the invariants that did not hold."""
        dice = random.Random(f"{kind} {seed}")
        api = APIS[seed % len(APIS)]
        self.reset(api)
        with tempfile.TemporaryDirectory(dir=self.folder) as name, _disk(Path(name), kind) as small:
            run = Path(name) / "run.ledger"
            shutil.copy(self.folder / f"{api}.ledger", run)
            codes = self._hurt(kind, run, dice, step)
            struck = any(code != 0 for code in codes)
            if small:
                (run.parent / "ballast").unlink()
            self.cloud.set_faults(Faults())
            for _ in range(8):
                codes.append(self._submit(run))
                if codes[-1] == 0:
                    break
            broken = [*self.broken(run), *(["no traceback"] if TRACEBACK in codes else [])]
        # All at once, so that a table that is cut short holds whole runs only.
        tally.runs, tally.struck = tally.runs + 1, tally.struck + struck
        tally.calls += len(codes)
        tally.broken.update(broken)
        return broken

    def _hurt(self, kind: str, run: Path, dice: random.Random, step: str) -> list[int]:
        if kind == "step":
            count = 1 if step else dice.randint(1, 6)
            return [self._submit(run, step=step or dice.choice(STEPS), count=count)]
        if "network" in kind:
            self.cloud.set_faults(Faults.parse(f"{dice.choice(NETWORK)},seed={dice.random()}"))
        if kind in ("instant", "network and kill"):
            return [self._submit(run, patience=dice.random() * 1.2)]
        if kind == "disk full":
            room = dice.randrange(0, 800_000)
            free = shutil.disk_usage(run.parent).free
            (run.parent / "ballast").write_bytes(b"\0" * max(0, free - room))
        if kind == "fsync fails":
            return [_without_fsync(run, self.config, dice.randint(1, 40))]
        if kind == "second client":
            both = [self._start(run), self._start(run)]
            return [_ended(process) for process in both]
        return [self._submit(run, clock=1.0 if kind == "clock back" else 0.0)]

    def _start(self, run: Path, **wound: Any) -> ForkServerProcess:
        process = self.context.Process(target=client, args=(str(run), self.config, wound))
        process.start()
        return process

    def _submit(self, run: Path, patience: float = 60.0, **wound: Any) -> int:
        process = self._start(run, **wound)
        process.join(patience)
        if process.is_alive():
            process.kill()
        return _ended(process)

    def broken(self, path: Path) -> Iterator[str]:
        """Yield each invariant that does not hold."""
        run, state = sharekit.status(path), self.cloud.state()
        if not run.finished:
            yield "finished"
        rows = run.plan.rows.assign(outcome=run.rows["outcome"])
        if len(run.rows) != len(rows) or rows["outcome"].isin(UNSETTLED).any():
            yield "one outcome a row"
        changed = {(m["image_id"], m["project_id"]): m["changes"] for m in state["changes"]}
        if not _as_reported(rows, state, set(changed)):
            yield "cloud as reported"
        if Counter(map(_request, state["log"])) - _intents(path):
            yield "nothing sent without its intent"
        if any(number > 1 for number in changed.values()):
            yield "nothing changed twice"
        if not sharekit.verify(path).intact:
            yield "ledger intact"


def _as_reported(rows: pd.DataFrame, state: dict[str, Any], changed: set[tuple[str, str]]) -> bool:
    """Whether exactly what is confirmed has changed, and all that went is as the report says."""
    shown = {(m["image_id"], m["project_id"]): m["status"] for m in state["members"]}
    confirmed = rows[rows["outcome"] == "confirmed"]
    if changed != set(zip(confirmed["image_id"], confirmed["project_id"], strict=True)):
        return False
    sent = rows[~rows["outcome"].isin(["duplicate", "blocked"])]
    return all(
        is_satisfied(act, shown.get((image, project), ABSENT)) is (outcome in FINAL_OK)
        for image, project, act, outcome in sent[
            ["image_id", "project_id", "status", "outcome"]
        ].itertuples(index=False)
    )


def _request(entry: dict[str, Any]) -> tuple[str, ...]:
    return (entry["method"], entry["path"], *entry["images"], *sorted(entry["projects"]))


def _intents(path: Path) -> Counter[tuple[str, ...]]:
    """Every request that the ledger announced, as the cloud's log would name it."""
    with ledger.Ledger.open(path) as book:
        bodies = [event.body for event in book.list_events("intent")]
    return Counter(
        _request({
            "method": body["method"], "path": urlsplit(body["url"]).path, "images": body["images"],
            "projects": body["projects"],
        })
        for body in bodies
    )  # fmt: skip


def _ended(process: ForkServerProcess) -> int:
    process.join()
    code = process.exitcode or 0
    process.close()
    return code


@contextmanager
def _disk(folder: Path, kind: str) -> Iterator[bool]:
    """A very small disk at a folder, where that is wanted and allowed."""
    if kind != "disk full":
        yield False
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "sharekit", folder]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


_NO_SYNC = """
#include <errno.h>
#include <stdlib.h>
static int left = -1;
static int fail(void) {
  if (left < 0) left = atoi(getenv("SYNCS"));
  if (left > 0) { left--; return 0; }
  errno = EIO; return -1;
}
int fsync(int fd) { return fail(); }
int fdatasync(int fd) { return fail(); }
"""


def _library() -> Path:
    """A library that lets fsync fail after some calls; made once."""
    made = Path(tempfile.gettempdir()) / f"sharekit-nosync-{os.getuid()}.so"
    if not made.exists():
        source = made.with_suffix(f".{os.getpid()}.c")
        source.write_text(_NO_SYNC)
        fresh = source.with_suffix(".so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", fresh, source], check=True)
        source.unlink()
        fresh.replace(made)
    return made


def _without_fsync(run: Path, config: str, syncs: int) -> int:
    words = f"from tests.runs.torture import client; client({str(run)!r}, {config!r}, {{}})"
    return subprocess.run(
        [sys.executable, "-c", words], check=False,
        env={**os.environ, "LD_PRELOAD": str(_library()), "SYNCS": str(syncs)},
    ).returncode  # fmt: skip


def possible(kind: str) -> bool:
    """Whether this machine can do such a thing to us."""
    if kind == "disk full":
        refusals = suppress(OSError, subprocess.SubprocessError)
        with tempfile.TemporaryDirectory() as folder, refusals, _disk(Path(folder), kind):
            return True
        return False
    return kind != "fsync fails" or (sys.platform == "linux" and shutil.which("cc") is not None)


@contextmanager
def chamber() -> Iterator[Chamber]:
    """Everything it takes, with a cloud of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="sharekit-torture-") as folder,
        start(build_sample(1).seed) as cloud,
    ):
        yield Chamber(Path(folder), cloud)


def table(tallies: dict[str, Tally]) -> str:
    """The result, as Markdown."""
    lines = [
        "| torture | runs | struck | calls of `submit` | violations |",
        "|---|---:|---:|---:|---|",
    ]
    for kind, tally in tallies.items():
        told = ", ".join(f"{n} × not {name}" for name, n in tally.broken.items()) or "none"
        lines.append(f"| {kind} | {tally.runs} | {tally.struck} | {tally.calls} | {told} |")
    sums = (sum(getattr(t, n) for t in tallies.values()) for n in ("runs", "struck", "calls"))
    bad = sum(sum(t.broken.values()) for t in tallies.values())
    lines.append(f"| **all** | {' | '.join(map(str, sums))} | {bad or 'none'} |")
    return "\n".join(lines)
