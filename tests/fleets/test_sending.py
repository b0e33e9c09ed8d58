"""The parts of a fleet are sent on an existing engine, or under any other, and lose nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import sharekit
from sharekit.core.brakes import RateLimiter
from sharekit.core.errors import ApprovalError, LedgerError, SharekitError, UsageError
from sharekit.fleets import sending
from sharekit.fleets.fleet import Fleet
from sharekit.fleets.sending import Engine, Job, _examine_worker, finish_fleet, send_fleet
from sharekit.fleets.storage import FLEET_LEDGER, read_fleet
from sharekit.interfaces.cli.commands.fleet import fleet_exit_code
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import LockHolder
from sharekit.plans.approval import revoke
from tests.conftest import FAST, World
from tests.fleets.test_fleets import approve, check, ledgers, shares
from tests.ledger.test_beside import leave_half_done
from tests.reports.forger import Forger
from tests.runs.test_owner import A, B

Make = Callable[..., World]
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "fleet.md").read_text(encoding="utf-8")


def fleet_of(w: World, name: str = "june", by: str = "4") -> Fleet:
    """A fleet of all shares of a world, approved."""
    findings = sharekit.check(sharekit.read_inventory(w.shares), w.connect())
    fleet = Fleet.plan(findings, w.folder / name, by=by)
    approve(fleet)
    return fleet


def begin(w: World, fleet: Fleet) -> subprocess.Popen[bytes]:
    """Send a fleet in a process of its own, in a group as a terminal makes it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sharekit", "fleet", "submit", fleet.path, "--workers", "2",
         f"--clouds-yaml={w.config}", "-q"],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def sending_now(process: subprocess.Popen[bytes], fleet: Fleet) -> int:
    """Wait until a worker has sent something of a part, and return its process ID."""
    while process.poll() is None:
        for path in ledgers(fleet):
            holder = LockHolder.read(path)
            with Ledger.open(path) as ledger:
                if holder is not None and ledger.last_event("intent") is not None:
                    return holder.pid
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1].decode())


@pytest.mark.slow
def test_ctrl_c_and_a_killed_worker_lose_nothing(world: Make) -> None:
    """Ctrl-C ends all parts cleanly; a killed worker's part is taken up; no share changes twice."""
    pytest.importorskip("distributed")
    w = world(rows=32, job_seconds=0.5)
    fleet = fleet_of(w)
    first = begin(w, fleet)
    sending_now(first, fleet)
    os.killpg(first.pid, signal.SIGINT)
    _, told = first.communicate(timeout=120)
    assert first.returncode == 3, told.decode()
    assert b"Traceback" not in told
    assert not [*fleet.path.glob("*.owner")]
    second = begin(w, fleet)
    os.kill(sending_now(second, fleet), signal.SIGKILL)
    _, told = second.communicate(timeout=200)
    assert second.returncode == 0, told.decode()
    assert set(fleet.status().counts.items()) >= {("pending", 0), ("unknown", 0)}
    assert max(w.changed().values()) == 1
    verdict = fleet.verify()
    assert verdict.intact, verdict.problems
    with Ledger.open(fleet.path / FLEET_LEDGER) as ledger:
        assert ledger.list_events()[-1].kind == "fleet_finished"
    # What a part lost of its end shows, although the part alone knows nothing of it.
    part = Forger.read(ledgers(fleet)[0])
    part.drop(*part.lines[-2:])
    part.write()
    assert any("cut off" in what for _, what in fleet.verify().problems)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="xargs is no program of Windows")
def test_the_line_of_the_docs_sends_every_part(world: Make) -> None:
    """The documented line with `xargs -P` sends all parts; repeated, it sends nothing more."""
    w = world(rows=12)
    fleet = fleet_of(w, by="2")
    (line,) = re.findall(r"^ls june/.*\| xargs -P .*$", PAGE, re.MULTILINE)
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for _ in range(2):
        done = subprocess.run(
            ["sh", "-c", line], cwd=w.folder, env={**os.environ, "PATH": scripts},
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert max(w.changed().values()) == 1
    assert fleet.status().finished
    assert finish_fleet(fleet.path, None)
    assert fleet.verify().intact


def test_nothing_is_sent_without_every_approval(world: Make) -> None:
    """A part whose approval is void keeps all parts from being sent, before an engine is begun."""
    w = world(rows=6)
    fleet = fleet_of(w, by="2")
    revoke(ledgers(fleet)[1], reviewer="Ada")
    with pytest.raises(ApprovalError, match=r"not approved|has changed"):
        send_fleet(read_fleet(fleet.path), Job(fleet.path, (), w.config, None), Engine())
    assert not finish_fleet(fleet.path, None)
    assert w.changed_shares() == set()


def test_a_worker_that_cannot_send_says_why(world: Make, tmp_path: Path) -> None:
    """A worker without the fleet, with another one, or without a cloud's entry is one sentence."""
    w = world(rows=6)
    fleet, other = fleet_of(w, by="2"), fleet_of(w, "other", by="2")
    plan, now = read_fleet(fleet.path).plan.hash, sharekit.__version__
    folder, names = str(fleet.path), tuple(w.names)
    assert _examine_worker(now, folder, plan, names, w.config, None) == ""
    assert "sharekit" in _examine_worker("0.0.1", folder, plan, names, w.config, None)
    assert "no fleet" in _examine_worker(now, str(tmp_path), plan, names, w.config, None)
    assert "another fleet" in _examine_worker(now, str(other.path), plan, names, w.config, None)
    assert "no entry 'b'" in _examine_worker(now, folder, plan, ("b",), w.config, None)
    assert "cannot be read" in _examine_worker(now, folder, plan, names, tmp_path / "no.yaml", None)


@pytest.mark.parametrize("who", ["scheduler", "workers"])
def test_another_version_of_the_engine_is_refused(who: str) -> None:
    """A scheduler or a worker with another distributed, or Python, is named in one sentence."""
    ours = {"packages": {"python": "3.14.1.final.0", "distributed": "2026.8.0"}}
    found = {"client": ours, "scheduler": ours, "workers": {"tcp://host:1": ours}}
    sending._check_versions(found)
    for name, other in (("distributed", "2020.1.0"), ("python", "3.11.1.final.0")):
        theirs = {"packages": ours["packages"] | {name: other}}
        found[who] = theirs if who == "scheduler" else {"tcp://host:1": theirs}
        with pytest.raises(UsageError, match=r"has Python 3.* Nothing was sent"):
            sending._check_versions(found)


@pytest.mark.parametrize("address", ["nonsense", "foo://host:1", "tcp://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """No address, or one where nobody answers, is one sentence, and no part has begun."""
    distributed = pytest.importorskip("distributed")
    client = partial(distributed.Client, timeout=0.2)
    monkeypatch.setattr(distributed, "Client", lambda at, **_: client(at, set_as_default=False))
    fleet = Fleet.plan(check(shares(A)), tmp_path / "fleet", by="project")
    approve(fleet)
    before = ledgers(fleet)[0].read_bytes()
    with pytest.raises(UsageError, match=rf"{address} cannot be used .* Nothing was sent") as error:
        fleet.submit(scheduler=address)
    assert "\n" not in str(error.value)
    assert ledgers(fleet)[0].read_bytes() == before


@pytest.mark.parametrize("kind", ["is not the ledger", "damaged", "not a sharekit", "missing"])
def test_what_is_not_of_the_fleet_is_never_sent(tmp_path: Path, kind: str) -> None:
    """A part that is changed, missing or of another fleet is one sentence; no part is begun."""
    fleet, other = (Fleet.plan(check(shares(A, B)), tmp_path / name, by="project") for name in "ab")
    approve(fleet)
    part, second = ledgers(fleet)
    before, whole = second.read_bytes(), bytearray(part.read_bytes())
    whole[len(whole) // 2] ^= 1
    foreign = ledgers(other)[0].read_bytes()
    spoilt = {"damaged": bytes(whole), "is not the ledger": foreign}
    part.write_bytes(spoilt.get(kind, b"a text"))
    if kind == "missing":
        part.unlink()
    with pytest.raises(LedgerError, match=kind) as error:
        fleet.submit(workers=1)
    assert "\n" not in str(error.value)
    assert second.read_bytes() == before


def test_what_a_killed_worker_left_half_done_is_taken_back(world: Make) -> None:
    """A ledger with an unfinished change, which nobody can read, is sent all the same."""
    w = world(rows=6)
    fleet = fleet_of(w, by="1")
    sharekit.submit(ledgers(fleet)[0], w.connect(), settings=FAST)
    for path in (ledgers(fleet)[0], fleet.path / FLEET_LEDGER):
        leave_half_done(path)
        with pytest.raises(LedgerError, match="lies beside it"):
            fleet.status()
        assert fleet.submit(config_file=w.config).finished
    assert fleet.verify().intact


class _Future:
    """What was handed out, and never ends."""

    status = "pending"


def test_no_worker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all workers are gone and none comes, the command ends, and says that it goes on."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(distributed, "wait", lambda *_, **__: None)
    monkeypatch.setattr(sending, "_ALONE", 0.0)
    fleet = Fleet.plan(check(shares(A)), tmp_path / "fleet", by="project")
    (part,) = read_fleet(fleet.path).parts
    client = SimpleNamespace(
        scheduler_info=lambda **_: {"workers": {}}, subscribe_topic=lambda *_: None,
        unsubscribe_topic=lambda _: None, submit=lambda *_, **__: _Future(),
    )  # fmt: skip
    monkeypatch.setattr(distributed, "Event", lambda *_, **__: None)
    (why,) = sending._Sending(client, Job(fleet.path, (), None, None), 1).run([part]).values()
    assert "no worker is left" in str(why)


def test_an_engine_that_is_not_installed(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra one sentence names it, and nothing is sent."""
    w = world(rows=6)
    fleet = fleet_of(w, by="1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"sharekit-ims\[fleet\]"):
        send_fleet(read_fleet(fleet.path), Job(fleet.path, (), w.config, None), Engine())
    sharekit.submit(ledgers(fleet)[0], w.connect(), settings=FAST)
    assert send_fleet(read_fleet(fleet.path), Job(fleet.path, (), w.config, None), Engine()) == {}
    assert sending.finish_fleet(fleet.path, None)


def test_a_part_that_could_not_be_sent_counts_with_its_own_exit_code(tmp_path: Path) -> None:
    """A refused sign-in is 4, as of one run, unless another process has finished the part."""
    fleet = Fleet.plan(check(shares(A, B)), tmp_path / "fleet", by="project")
    now, refused = fleet.status(), SharekitError("refused")
    refused.exit_code = 4
    told = replace(now, errors={A: refused})
    assert (fleet_exit_code(now), fleet_exit_code(told)) == (3, 4)
    done = {A: replace(now.runs[A], finished=True, succeeded=True)}
    assert fleet_exit_code(replace(told, runs=done)) == 0


def test_a_process_takes_its_share_of_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a quarter of a rate of 200 requests a second, three of them take 40 ms."""
    monkeypatch.setattr(RateLimiter, "share", 0.25)
    limiter, began = RateLimiter(200), time.monotonic()
    for _ in range(3):
        limiter.wait()
    assert time.monotonic() - began >= 0.04
