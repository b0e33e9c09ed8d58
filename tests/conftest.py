"""What every test may use: a running simulated cloud, a sample, and honest skips."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest
import yaml

import sharekit
from sharekit.core.monitoring import logs
from sharekit.ledger import parquet
from sharekit.plans import replay
from sharekit.plans.plan import read_plan
from sharekit.runs.requests import replay as run_replay
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator, start
from sharekit.simulator.sample import Sample, build_sample, write_workbook

gc.disable()  # until everything is collected, which makes no garbage
# How long an example may take depends on what else the machine does, and is no promise.
hypothesis.settings.register_profile("sharekit", deadline=None)
hypothesis.settings.load_profile("sharekit")

#: Waits of a cloud next door instead of one across a network.
FAST = sharekit.Settings(
    min_poll_interval=0.05, max_poll_interval=0.2, initial_backoff=0.02, max_backoff=0.2,
    read_back_delay=0.1, read_back_timeout=1.0, job_timeout=30,
)  # fmt: skip
#: A kind of world -> the ledger of its plan.
_PLANNED: dict[str, bytes] = {}
REPORTS = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")


def pytest_collection_finish() -> None:
    """What was collected stays, so cycles are looked for beside it alone, and seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing tool is a skip with its reason – and a failure where everything must be there."""
    for mark in item.iter_markers("needs"):
        for tool in mark.args:
            if shutil.which(tool) is None:
                reason = f"{tool} is not installed"
                if os.environ.get("CI") == "true":
                    pytest.fail(f"{reason}, and with CI=true it must be")
                pytest.skip(reason)


@pytest.fixture(autouse=True)
def _home_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No test sees the clouds of the person who runs it, or writes into their home."""
    home = tmp_path_factory.getbasetemp() / "home"
    for name in [n for n in os.environ if n.startswith(("OS_", "SHAREKIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))


@pytest.fixture(autouse=True)
def _a_cloud_next_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads are repeated after a pause that suits a cloud on the same machine."""
    monkeypatch.setattr("sharekit.clouds.http._FIRST_PAUSE", 0.02)


@pytest.fixture(autouse=True)
def _secrets_of_its_own() -> Iterator[None]:
    """What a test signs in with is no secret in the next one, whenever memory is collected."""
    with logs._LOCK:
        before = set(logs._IN_USE)
    yield
    with logs._LOCK:
        for secrets in set(logs._IN_USE) - before:
            logs._IN_USE.discard(secrets)


@dataclass
class World:
    """A sample workbook, the simulated cloud it belongs to, and how to sign in."""

    sample: Sample
    cloud: Simulator
    shares: Path
    config: Path
    folder: Path
    kind: str = ""

    @property
    def names(self) -> list[str]:
        """The clouds of the projects."""
        return list(yaml.safe_load(self.config.read_text())["clouds"])

    def connect(self) -> sharekit.Clouds:
        """Sign in to all of them."""
        return sharekit.connect(*self.names, config_file=self.config)

    def plan(self, **options: int) -> sharekit.Plan:
        """Load, check with the cloud, and plan into a ledger of its own."""
        findings = sharekit.check(sharekit.read_inventory(self.shares), self.connect())
        return sharekit.plan(findings, self.folder / "run.ledger", **options)

    def planned(self) -> sharekit.Plan:
        """As :meth:`plan`, for a world as it began: each sample is planned once and copied."""
        path = self.folder / "run.ledger"
        if self.kind not in _PLANNED:
            self.plan()
            _PLANNED[self.kind] = path.read_bytes()
        path.write_bytes(_PLANNED[self.kind])
        return read_plan(path)

    def approved(self, **options: int) -> sharekit.Plan:
        """A plan that is approved."""
        plan = self.plan(**options)
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        return plan

    def shown(self) -> dict[tuple[str, str], str]:
        """What the cloud itself says: (image, project) to status."""
        return {
            (m["image_id"], m["project_id"]): m["status"] for m in self.cloud.state()["members"]
        }

    def changed_shares(self) -> set[tuple[str, str]]:
        """Shares whose state was changed at all."""
        return {share for share, times in self.changed().items() if times}

    def changed(self) -> dict[tuple[str, str], int]:
        """How often each share's state was changed."""
        return {
            (m["image_id"], m["project_id"]): m["changes"] for m in self.cloud.state()["members"]
        }


@pytest.fixture(scope="session")
def _simulator() -> Iterator[Simulator]:
    """One simulated cloud for all tests of a worker; each test starts it afresh."""
    with start(build_sample(1).seed) as cloud:
        yield cloud


@pytest.fixture
def world(tmp_path: Path, _simulator: Simulator) -> Callable[..., World]:
    """Make a :class:`World`, as in ``world(rows=60, faulty=0.1, faults="p503=0.1")``."""

    def make(rows: int = 60, faulty: float = 0.0, faults: str = "", **settings: object) -> World:
        sample = build_sample(rows, faulty=faulty)
        shares = write_workbook(sample, tmp_path / "shares.xlsx")
        _simulator.reset(sample.seed, **({"job_seconds": 0.02} | settings))
        _simulator.set_faults(Faults.parse(faults))
        config = _simulator.write_clouds_yaml(tmp_path / "clouds.yaml")
        kind = repr((rows, faulty, faults, sorted(settings.items())))
        return World(sample, _simulator, shares, config, tmp_path, kind)

    return make


@pytest.fixture(scope="module")
def checked_once() -> Iterator[None]:
    """What is checked twice is checked once: most forgeries leave plan and preflight as they were.

    Both functions give the same for the same input; what a forger changes in it is another input.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((replay, "check_again"), (run_replay, "evaluate_preflight")):
            patch.setattr(module, name, _remembering(getattr(module, name)))
        patch.setattr(parquet, "from_bytes", _reading_once(parquet.from_bytes))
        yield


def _reading_once(read: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    """Unpack the same bytes once; everybody gets a frame of their own."""
    known: dict[Any, pd.DataFrame] = {}

    def read_once(content: bytes, schema: Any, rows: int | None = None) -> pd.DataFrame:
        key = content, id(schema), rows
        if key not in known:
            known[key] = read(content, schema, rows)
        return known[key].copy()

    return read_once


def _remembering(function: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[bytes, object] = {}

    def remember(*inputs: Any, **options: Any) -> Any:
        key = hashlib.sha256(pickle.dumps([inputs, options])).digest()
        if key not in known:
            known[key] = function(*inputs, **options)
        return known[key]

    return remember


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, _simulator: Simulator) -> Path:
    """The folder of a finished run and its reports: to be copied, not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    sample = build_sample(80, faulty=0.3)
    shares = write_workbook(sample, folder / "shares.xlsx")
    _simulator.reset(sample.seed, job_seconds=0.02)
    clouds = sharekit.connect(config_file=_simulator.write_clouds_yaml(folder / "clouds.yaml"))
    findings = sharekit.check(sharekit.read_inventory(shares), clouds)
    plan = sharekit.plan(findings, folder / "run.ledger", chunk_size=5)
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, clouds, settings=FAST)
    sharekit.report(run, *(folder / name for name in REPORTS))
    return folder
