"""What sharekit adds to the time that a cloud with a given latency takes by itself.

The ideal is arithmetic: the HTTP calls that the cloud counted during ``submit``, times the latency,
divided by the calls that may be under way at once, plus one wait before a job is first looked at.
A bare loop over ``requests`` that sends the same bodies and looks once at each job shows what is
attainable on the machine; it keeps no record, retries nothing and reads nothing back.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import requests
import yaml
from requests.adapters import HTTPAdapter

import sharekit
from sharekit.core.actions import PENDING
from sharekit.core.cloud_api import CHUNK_SIZE, MIN_POLL_SECONDS
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator, start
from sharekit.simulator.sample import Sample, build_sample, write_workbook

from .table import Table

_LIMIT = 1.15
#: A sample's projects, decisions and vaults make groups, each of which ends with a chunk not full.
_PARTLY_FILLED = 8


@dataclass(frozen=True)
class Measured:
    """One run: wall and CPU seconds of the client, the calls the cloud counted, and the ideal."""

    chunks: int
    calls: int
    wall: float
    cpu: float
    ideal: float

    @property
    def ratio(self) -> float:
        """Wall time over the ideal."""
        return self.wall / self.ideal


@dataclass(frozen=True)
class Scene:
    """A simulated cloud with a plan that is approved."""

    simulator: Simulator
    clouds: sharekit.Clouds
    plan: sharekit.Plan

    def calls(self) -> int:
        """How many calls the cloud has taken so far."""
        return sum(self.simulator.state()["requests"].values())


def run(
    *,
    chunks: int = 1000,
    images: tuple[int, ...] = (10, CHUNK_SIZE),
    latency: float = 0.05,
    at_once: int = 16,
    repetitions: int = 3,
) -> Table:
    """Measure ``submit`` and the bare loop in turn; the medians count.

    Parameters
    ----------
    chunks, images : int, tuple of int
        How many chunks, about, and how many images are in each; the aim is set for the first.
    latency : float
        Seconds that the cloud takes for each answer.
    at_once : int
        Calls under way at once.
    repetitions : int
        How often each is measured, every time on a fresh cloud.
    """
    rows, ratios = [], []
    for size in images:
        sample = build_sample(max(1, chunks - _PARTLY_FILLED) * size, faulty=0.0)
        ours, bare = [], []
        for _ in range(repetitions):
            ours.append(_measured(_submit, sample, size, latency, at_once))
            bare.append(_measured(_bare_loop, sample, size, latency, at_once))
        rows += [_row("sharekit.submit", size, ours), _row("bare requests loop", size, bare)]
        ratios.append(median(m.ratio for m in ours))
    return Table(
        title="Overhead of a run",
        aim=f"`submit` takes at most {_LIMIT} × the ideal with {images[0]} images in a chunk",
        met=ratios[0] <= _LIMIT,
        columns=("", "images a chunk", "chunks", "calls", "ideal s", "wall s", "CPU s",
                 "wall ÷ ideal", "from", "to"),
        rows=rows,
        notes=[
            f"{latency * 1000:g} ms latency, {at_once} calls at once, median of {repetitions} by "
            f"ratio. Ideal: calls × latency ÷ {at_once}, plus {MIN_POLL_SECONDS:g} s before "
            "the first look at a job. The calls of `submit` include its look at the cloud before "
            "sending and its reading back; the bare loop does neither, and keeps no ledger. A "
            "listing's pages come one after another, each naming the next, so that many images "
            "cost more than the ideal knows. The simulated cloud works on the same cores.",
        ],
    )  # fmt: skip


def _measured(
    work: Callable[[Scene, int], None],
    sample: Sample,
    chunk_size: int,
    latency: float,
    at_once: int,
) -> Measured:
    with _scene(sample, chunk_size, latency) as scene:
        calls, wall, cpu = scene.calls(), time.perf_counter(), time.process_time()
        work(scene, at_once)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        calls = scene.calls() - calls
        _must_be_decided(scene)
        ideal = calls * latency / at_once + MIN_POLL_SECONDS
        return Measured(len(scene.plan.chunks), calls, wall, cpu, ideal)


def _row(name: str, images: int, runs: Sequence[Measured]) -> tuple[object, ...]:
    runs = sorted(runs, key=lambda m: m.ratio)
    m = runs[len(runs) // 2]
    spread = (runs[0].ratio, runs[-1].ratio)
    return name, images, m.chunks, m.calls, m.ideal, m.wall, m.cpu, m.ratio, *spread


@contextmanager
def _scene(sample: Sample, chunk_size: int, latency: float) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory() as name, start(sample.seed) as simulator:
        folder = Path(name)
        config = simulator.write_clouds_yaml(folder / "clouds.yaml")
        names = yaml.safe_load(config.read_text(encoding="utf-8"))["clouds"]
        clouds = sharekit.connect(*names, config_file=config)
        inventory = sharekit.read_inventory(write_workbook(sample, folder / "shares.xlsx"))
        findings = sharekit.check(inventory, clouds)
        plan = sharekit.plan(findings, folder / "run.ledger", chunk_size=chunk_size)
        sharekit.approve(plan, reviewer="Benchmark", fingerprint=plan.fingerprint)
        simulator.set_faults(Faults(latency=latency))
        yield Scene(simulator, clouds, plan)


def _must_be_decided(scene: Scene) -> None:
    """A run that left something undone would be fast for the wrong reason."""
    members = scene.simulator.state()["members"]
    undecided = sum(member["status"] == PENDING for member in members)
    if undecided:
        raise RuntimeError(f"{undecided} shares are still pending; the measurement is void.")


def _submit(scene: Scene, at_once: int) -> None:
    sharekit.submit(scene.plan, scene.clouds, concurrency=at_once)


def _bare_loop(scene: Scene, at_once: int) -> None:
    tokens = {project: cloud.transport.token() for project, cloud in scene.clouds.items()}
    with requests.Session() as session, ThreadPoolExecutor(at_once) as pool:
        session.mount("http://", HTTPAdapter(pool_maxsize=at_once))
        sent = pool.map(partial(_put, session, tokens), list(scene.plan.requests()))
        # All are sent before the first look, so the wait costs a thread only in short runs.
        for state in pool.map(partial(_poll, session, tokens), list(sent)):
            if state != "SUCCESS":
                raise RuntimeError(f"A job ended as {state}; the measurement is void.")


def _put(
    session: requests.Session, tokens: Mapping[str, str], request: Mapping[str, Any]
) -> tuple[str, str, float]:
    project = request["body"]["project_id"]
    answer = session.put(
        request["url"], json=request["body"], headers={"X-Auth-Token": tokens[project]}
    )
    answer.raise_for_status()
    base = request["url"].removesuffix("/v1/cloudimages/members")
    return project, f"{base}/v1/{project}/jobs/{answer.json()['job_id']}", time.monotonic()


def _poll(session: requests.Session, tokens: Mapping[str, str], job: tuple[str, str, float]) -> str:
    project, url, sent = job
    time.sleep(max(0.0, sent + MIN_POLL_SECONDS - time.monotonic()))
    answer = session.get(url, headers={"X-Auth-Token": tokens[project]})
    answer.raise_for_status()
    return str(answer.json()["status"])
