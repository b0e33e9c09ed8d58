"""How a fleet on several workers compares with the ideal, and what killed workers lose.

Each measurement is the whole command `sharekit fleet submit` on a copy of one planned and approved
fleet, against a simulated cloud in a process of its own. What was sent is judged by the record that
the simulated cloud keeps of its requests, and by nothing that sharekit says.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

import sharekit
from sharekit.fleets.fleet import Fleet
from sharekit.fleets.storage import read_fleet
from sharekit.ledger.lock import LockHolder
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator, start
from sharekit.simulator.sample import build_sample, write_workbook

from .commands import measure_command
from .process import MB
from .table import Table

_SPEED_UP = 0.7
_MOST_MB = 4096


@dataclass(frozen=True)
class Scene:
    """A simulated cloud, how to sign in to it, and a fleet that nobody has sent yet."""

    simulator: Simulator
    config: Path
    fleet: Path
    latency: float

    def afresh(self, name: str) -> Path:
        """Set the cloud back to its beginning; return a copy of the fleet."""
        self.simulator.reset()
        self.simulator.set_faults(Faults(latency=self.latency))
        return Path(shutil.copytree(self.fleet, self.fleet.with_name(name)))

    def submit(self, folder: Path, workers: int) -> subprocess.Popen[bytes]:
        """Begin the whole command."""
        words = ["fleet", "submit", folder, "--workers", str(workers), "--clouds-yaml", self.config]
        return subprocess.Popen(
            [sys.executable, "-m", "sharekit", *words, "-q"],
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


@contextmanager
def _scene(parts: int, shares: int, latency: float) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory() as name:
        # Each part is a project: parts by number would each read the listings of all projects.
        sample = build_sample(parts * shares, faulty=0.0, projects=parts)
        with start(sample.seed) as simulator:
            folder = Path(name)
            config = simulator.write_clouds_yaml(folder / "clouds.yaml")
            clouds = sharekit.connect(config_file=config)
            inventory = sharekit.read_inventory(write_workbook(sample, folder / "shares.xlsx"))
            fleet = Fleet.plan(sharekit.check(inventory, clouds), folder / "fleet", by="project")
            fleet.approve(reviewer="Ada", fingerprint=fleet.fingerprint)
            yield Scene(simulator, config, fleet.path, latency)


def run(
    *, parts: int = 200, shares: int = 500, latency: float = 0.05,
    workers: tuple[int, ...] = (1, 2, 4),
) -> Iterator[Table]:  # fmt: skip
    """Send one fleet with each number of workers; yield the table after each of them.

    Parameters
    ----------
    parts, shares : int
        How many parts (projects) the fleet has, and how many shares each on average.
    latency : float
        Seconds that the cloud takes for each answer.
    workers : tuple of int
        The numbers of workers to compare with the first.
    """
    rows: list[list[object]] = []
    with _scene(parts, shares, latency) as scene:
        for count in workers:
            folder = scene.afresh(f"by-{count}")
            began, load = time.monotonic(), os.getloadavg()[0]
            before = os.times()
            if code := scene.submit(folder, count).wait():
                raise RuntimeError(f"fleet submit with {count} workers exits with {code}")
            wall, after = time.monotonic() - began, os.times()
            cpu = after.children_user + after.children_system
            cpu -= before.children_user + before.children_system
            calls = sum(scene.simulator.state()["requests"].values())
            _judge(scene, folder)
            first = float(str(rows[0][1])) * workers[0] if rows else wall * count
            rows.append([count, wall, first / count, wall * count / first, cpu, calls, load])
            yield _of_workers(parts, shares, latency, workers[-1], rows)


def _of_workers(
    parts: int, shares: int, latency: float, last: int, rows: Sequence[Sequence[object]]
) -> Table:
    return Table(
        title="A fleet on several workers",
        aim=f"{last} workers take at most {1 / _SPEED_UP:.2f} × the ideal",
        met=rows[-1][0] == last and float(str(rows[-1][3])) <= 1 / _SPEED_UP,
        columns=("workers", "wall s", "ideal s", "wall ÷ ideal", "CPU s", "calls", "load before"),
        rows=list(rows),
        notes=[
            f"{parts} parts, each a project with {shares} shares on average, "
            f"{latency * 1000:g} ms latency; the whole command, "
            "with the start of its workers; CPU is that of all its processes. Ideal: the time of "
            "one worker divided by their number. Workers and the simulated cloud share the cores, "
            "so more workers than free cores gain only while they wait for the cloud. After each "
            "measurement every share was changed once, in one request.",
        ],
    )  # fmt: skip


def kills(
    *, times: int = 50, parts: int = 20, shares: int = 100, latency: float = 0.05,
    workers: int = 2, pause: float = 2.0,
) -> Table:  # fmt: skip
    """Kill workers at random while they send, and judge what the cloud was sent.

    Parameters
    ----------
    times : int
        How many workers are killed; fleets are sent until that number is reached.
    parts, shares, latency, workers
        As for :func:`run`.
    pause : float
        The longest time between two kills, in seconds.
    """
    dice, killed, fleets, calls = random.Random(7), 0, 0, 0
    again = Counter[str]()
    with _scene(parts, shares, latency) as scene:
        while killed < times:
            folder, fleets = scene.afresh(f"kill-{fleets}"), fleets + 1
            while (process := scene.submit(folder, workers)).poll() is None:
                killed += _kill_while_sending(process, folder, dice, pause, times - killed)
                calls += 1
                if process.wait() == 0:
                    break
            again += _judge(scene, folder)
    return Table(
        title="Workers that are killed",
        aim=f"{times} workers killed at random: no row lost, nothing sent twice",
        met=not again,
        columns=("workers killed", "fleets", "calls of the command", "shares sent twice"),
        rows=[[killed, fleets, calls, again.total()]],
        notes=[
            f"Fleets of {parts} parts with {shares} shares, {workers} workers, {latency * 1000:g} "
            f"ms latency, a kill (SIGKILL) every {pause:g} s at the most. Every share ended "
            "confirmed, and the simulated cloud's own record has it changed once."
        ],
    )


def partitioned(
    *, rows: int = 50_000_000, files: int = 200, projects: int = 10_000, parts: int = 64
) -> Table:
    """Plan a fleet of files of parquet that hold more rows than fit into memory.

    Parameters
    ----------
    rows, files, projects : int
        How many rows there are, in how many files, each with rows of every project.
    parts : int
        How many parts are planned.
    """
    with tempfile.TemporaryDirectory() as name:
        shares, fleet = Path(name) / "shares", Path(name) / "fleet"
        _write_parquet(shares, rows, files, projects)
        load = os.getloadavg()[0]
        cost = measure_command("fleet", "plan", shares, fleet, "--by", parts, "-q")
        planned = read_fleet(fleet).plan.body
        size = sum(path.stat().st_size for path in fleet.iterdir()) / MB
    if (planned["rows"], planned["images"], len(planned["parts"])) != (rows, rows, parts):
        raise RuntimeError(f"{planned['rows']:,} rows were planned, {planned['images']:,} shares")
    return Table(
        title="A fleet of more rows than fit into memory",
        aim="50,000,000 rows of partitioned parquet planned in 4 GB",
        met=cost.peak <= _MOST_MB,
        columns=("rows", "files", "parts", "CPU s", "wall s", "peak MB", "ledgers MB",
                 "load before"),
        rows=[[rows, files, parts, cost.cpu, cost.wall, round(cost.peak), round(size), load]],
        notes=[f"`sharekit fleet plan FOLDER FLEET --by {parts}` as a whole process. Five columns, "
               f"{projects:,} projects, every file with rows of all of them; every row is another "
               "share, and every one is planned."],
    )  # fmt: skip


def _write_parquet(folder: Path, rows: int, files: int, projects: int) -> None:
    """Write shares of as many images as needed with each project."""
    folder.mkdir()
    draw, images = np.random.default_rng(3), -(-rows // projects)
    ids = pa.array([str(UUID(bytes=draw.bytes(16))) for _ in range(images)])
    names = pa.array([f"image-{n}" for n in range(images)])
    tenants = pa.array([draw.bytes(16).hex() for _ in range(projects)])
    edges = np.linspace(0, rows, files + 1).astype(int)
    for n, (first, end) in enumerate(pairwise(edges)):
        at = np.arange(first, end)
        image = pa.array(at // projects)
        pq.write_table(pa.table({
            "Image ID": ids.take(image), "Image name": names.take(image),
            "Project ID": tenants.take(pa.array(at % projects)),
            "Decision": _words(draw, end - first, "accepted", "rejected"),
            "Comment": _words(draw, end - first, "", "ok", "see ticket", "asked twice"),
        }), folder / f"{n:04}.parquet", compression="zstd")  # fmt: skip


def _words(draw: np.random.Generator, count: int, *words: str) -> pa.Array:
    return pa.array(words).take(pa.array(draw.integers(0, len(words), count)))


def _kill_while_sending(
    process: subprocess.Popen[bytes], folder: Path, dice: random.Random, pause: float, most: int
) -> int:
    """Kill a process that holds a part's lock, again and again; return how many were killed."""
    killed = 0
    while process.poll() is None and killed < most:
        time.sleep(dice.uniform(0.1, pause))
        holders = [LockHolder.read(path) for path in folder.glob("part-*.ledger")]
        # A killed worker leaves its number behind, which may be another process's by now.
        own = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
        pids = [one.pid for one in holders if one is not None and one.pid in own]
        if pids and process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(dice.choice(pids), signal.SIGKILL)
                killed += 1
    return killed


def _judge(scene: Scene, folder: Path) -> Counter[str]:
    """Return the shares that stand in more than one request; all must have changed once."""
    status, shown = Fleet(folder).status(), scene.simulator.state()
    open_rows = {n: c for n, c in status.counts.items() if c and n not in ("confirmed", "already")}
    changes = {member["changes"] for member in shown["members"]}
    if open_rows or not status.finished or changes != {1}:
        raise RuntimeError(f"{folder}: open are {open_rows}; shares were changed {changes} times")
    verdict = Fleet(folder).verify()
    if not verdict.intact:
        raise RuntimeError(f"{folder}: {verdict.problems}")
    requests = [(one["images"], one["projects"]) for one in shown["log"]]
    sent = Counter(f"{i} {p}" for images, projects in requests for i in images for p in projects)
    return Counter({share: times - 1 for share, times in sent.items() if times > 1})
