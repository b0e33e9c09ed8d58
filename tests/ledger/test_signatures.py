"""Approvals and finished runs are signed with the real ssh-keygen, and checked by it."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import sharekit
from sharekit.core.errors import ApprovalError, UsageError
from sharekit.ledger.ledger import Ledger
from sharekit.plans.approval import ApprovalRequirement, seal
from tests.conftest import FAST, World
from tests.interfaces.test_cli import shell

pytestmark = pytest.mark.needs("ssh-keygen")
PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "evidence.md").read_text(
    encoding="utf-8"
)
ADA, BOB = "ada@example.com", "bob@example.com"


@dataclass(frozen=True)
class Keys:
    """Keys of Ada and Bob, and the file that says whose they are."""

    folder: Path
    signers: Path

    def of(self, name: str) -> Path:
        """A person's private key."""
        return self.folder / name.partition("@")[0]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Two people with a key each, and Eve, whom nobody allows anything."""
    folder, lines = tmp_path_factory.mktemp("keys"), []
    for name in ("ada", "bob", "eve"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name]
        subprocess.run(command, check=True)
        kind, key, *_ = (folder / f"{name}.pub").read_text().split()
        lines += [f"{name}@example.com {kind} {key}\n"] if name != "eve" else []
    (folder / "allowed_signers").write_text("".join(lines))
    return Keys(folder, folder / "allowed_signers")


@pytest.fixture
def plan(world: Callable[..., World]) -> sharekit.Plan:
    """A small plan that nobody has approved."""
    return world(rows=6).plan()


@pytest.fixture
def agent(keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An ssh-agent that holds Ada's key; gives the public half, alone in its folder."""
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True)
    found = dict(re.findall(r"(SSH_\w+)=([^;]+);", started.stdout))
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    subprocess.run(["ssh-add", "-q", keys.of(ADA)], check=True)
    (tmp_path / "only.pub").write_text((keys.folder / "ada.pub").read_text())
    yield tmp_path / "only.pub"
    os.kill(int(found["SSH_AGENT_PID"]), 15)


def approve(plan: sharekit.Plan, who: str, key: Path | None = None) -> sharekit.Approval:
    """Somebody's approval."""
    return sharekit.approve(plan, reviewer=who, fingerprint=plan.fingerprint, sign=key)


def test_signed_approval(plan: sharekit.Plan, keys: Keys) -> None:
    """An approval that its reviewer signed passes where signatures are required."""
    approve(plan, ADA, keys.of(ADA))
    assert [
        yes.reviewer
        for yes in sharekit.plans.approval.require_approval_of(
            plan.path, ApprovalRequirement(1, keys.signers)
        )
    ]


def test_agent_signs(plan: sharekit.Plan, keys: Keys, agent: Path) -> None:
    """A key that only an ssh-agent holds signs just the same, by its public half."""
    approve(plan, ADA, agent)
    assert sharekit.plans.approval.require_approval_of(
        plan.path, ApprovalRequirement(1, keys.signers)
    )


@pytest.mark.parametrize(
    ("who", "key", "told"),
    [(ADA, None, "is not signed"), (ADA, BOB, "no valid signature"), (BOB, ADA, "no valid"),
     ("eve@example.com", "eve@example.com", "no valid signature")],
)  # fmt: skip
def test_refused(plan: sharekit.Plan, keys: Keys, who: str, key: str | None, told: str) -> None:
    """No signature, another's key, another's name, an unknown key: nothing is sent, and why."""
    approve(plan, who, keys.of(key) if key else None)
    with pytest.raises(ApprovalError, match=f"1 more reviewer must.*{told}"):
        sharekit.plans.approval.require_approval_of(plan.path, ApprovalRequirement(1, keys.signers))
    assert sharekit.plans.approval.require_approval_of(plan.path)


def test_good_for_one_run(world: Callable[..., World], keys: Keys, tmp_path: Path) -> None:
    """A signature taken from another run of the very same plan is not accepted."""
    w = world(rows=6)
    first = w.plan()
    yes = approve(first, ADA, keys.of(ADA))
    first.path.rename(tmp_path / "first.ledger")
    second = w.plan()
    assert second.fingerprint == yes.fingerprint
    body = {n: getattr(yes, n) for n in ("reviewer", "fingerprint", "images", "note", "signature")}
    body["after"] = yes.ledger_head
    with sharekit.ledger.ledger.Ledger.open(second.path, write=True) as book:
        book.append("approved", body)
    with pytest.raises(ApprovalError, match="for another run"):
        sharekit.plans.approval.require_approval_of(
            second.path, ApprovalRequirement(1, keys.signers)
        )


def test_two_reviewers(plan: sharekit.Plan, keys: Keys) -> None:
    """Two different people must approve where two are demanded; one of them twice is one."""
    approve(plan, ADA, keys.of(ADA))
    approve(plan, ADA.upper())
    for demand in (ApprovalRequirement(2), ApprovalRequirement(2, keys.signers)):
        with pytest.raises(ApprovalError, match="1 more reviewer must approve"):
            sharekit.plans.approval.require_approval_of(plan.path, demand)
    approve(plan, BOB, keys.of(BOB))
    assert (
        len(
            sharekit.plans.approval.require_approval_of(
                plan.path, ApprovalRequirement(2, keys.signers)
            )
        )
        == 2
    )
    with pytest.raises(ApprovalError, match="1 more reviewer"):
        sharekit.plans.approval.require_approval_of(plan.path, ApprovalRequirement(3))


def test_sealed_run(world: Callable[..., World], keys: Keys) -> None:
    """By the shell: signed, submitted, sealed and verified; without its end it is tampered."""
    w = world(rows=6)
    plan = w.plan()
    config = ["--clouds-yaml", str(w.config)]
    words = ["approve", "run.ledger", "--reviewer", ADA, "--fingerprint", plan.fingerprint]
    assert shell(*words, "--sign", str(keys.of(ADA)), cwd=w.folder).returncode == 0
    strict = ["--require-signature", str(keys.signers)]
    two = shell("submit", "run.ledger", *config, *strict, "--reviewers", "2", cwd=w.folder)
    assert (two.returncode, b"1 more reviewer" in two.stderr) == (2, True)
    done = shell(
        "submit", "run.ledger", *config, *strict, "--seal", str(keys.of(BOB)), cwd=w.folder
    )
    assert done.returncode == 0, done.stderr
    allowed = ["--allowed-signers", str(keys.signers)]
    assert shell("verify", "run.ledger", *allowed, cwd=w.folder).returncode == 0
    database = sqlite3.connect(plan.path)
    (trigger,) = database.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'events_no_delete'"
    ).fetchone()
    for statement in ("DROP TRIGGER events_no_delete", "DELETE FROM events WHERE kind = 'sealed'",
                      trigger):  # fmt: skip
        database.execute(statement)
    database.commit()
    database.close()
    assert shell("verify", "run.ledger", cwd=w.folder).returncode == 0  # only the seal shows it
    cut = shell("verify", "run.ledger", *allowed, cwd=w.folder)
    assert (cut.returncode, b"seal: there is none" in cut.stdout) == (1, True)


def test_seal_is_for_finished_runs(world: Callable[..., World], keys: Keys) -> None:
    """Only a finished run is sealed, once, by a key that the verifier knows."""
    w = world(rows=4)
    plan = w.approved()
    with pytest.raises(ApprovalError, match="only a finished run"):
        seal(plan.path, keys.of(ADA))
    sharekit.submit(plan, w.connect(), settings=FAST)
    seal(plan.path, keys.folder / "eve")
    with pytest.raises(ApprovalError, match="sealed already"):
        seal(plan.path, keys.of(ADA))
    with pytest.raises(ApprovalError, match="finished, so there is nothing"):
        approve(plan, BOB)
    problems = dict(sharekit.verify(plan.path, signers=keys.signers).problems)
    assert any("not in allowed_signers" in what for what in problems.values())
    assert any("is not signed" in what for what in problems.values())


def judged(ledger: Path, signers: Path) -> list[str]:
    """Who signed each approval and seal, as the lines of the docs print it; or that nobody did."""
    (ledger.parent / "allowed_signers").write_text(signers.read_text())
    (lines,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        ["sh", "-c", lines], check=False, capture_output=True, text=True, cwd=ledger.parent
    )
    told = re.findall(r"Good .* signature for (\S+) with|event \d+: (not .*)", done.stdout)
    return [good or bad for good, bad in told]


def test_stranger_checks_signatures(world: Callable[..., World], keys: Keys) -> None:
    """The lines of the docs check each of several approvals and the seal, without sharekit."""
    w = world(rows=4)
    plan = w.plan()
    approve(plan, ADA, keys.of(ADA))
    approve(plan, BOB, keys.of(BOB))
    approve(plan, ADA, keys.of(BOB))
    sharekit.submit(plan, w.connect(), settings=FAST)
    seal(plan.path, keys.of(ADA))
    assert judged(plan.path, keys.signers) == [ADA, BOB, f"not signed by {ADA}", ADA]
    notes = sharekit.verify(plan.path).notes
    assert [what.split(":")[0] for _, what in notes] == ["its signature was not checked"] * 4


def test_surplus_approvals_are_notes(world: Callable[..., World], keys: Keys) -> None:
    """What submit accepts, verify accepts: attempts that it refused before are no fault."""
    w = world(rows=4)
    plan = w.plan()
    approve(plan, ADA, keys.of(BOB))
    approve(plan, BOB)
    demand = ApprovalRequirement(2, keys.signers)
    with pytest.raises(ApprovalError, match="2 more reviewers"):
        sharekit.submit(plan, w.connect(), settings=FAST, demand=demand)
    approve(plan, ADA, keys.of(ADA))
    approve(plan, BOB, keys.of(BOB))
    sharekit.submit(plan, w.connect(), settings=FAST, demand=demand)
    seal(plan.path, keys.of(ADA))
    verdict = sharekit.verify(plan.path, signers=keys.signers)
    assert (verdict.problems, verdict.label) == ((), "intact")
    assert ["not needed" in what for _, what in verdict.notes] == [True, True]
    more = sharekit.verify(plan.path, signers=keys.signers, reviewers=3)
    assert [what[:15] for _, what in more.problems] == ["1 more reviewer"]
    assert more.label == "UNPROVEN"


def test_unproven_is_not_tampered(world: Callable[..., World], keys: Keys) -> None:
    """Unsigned, too late or sealed by a stranger is UNPROVEN; a seal that does not fit TAMPERED."""
    w = world(rows=4)
    plan = w.plan()
    approve(plan, ADA)
    stop = threading.Event()
    stop.set()
    sharekit.submit(plan, w.connect(), settings=FAST, stop=stop)
    approve(plan, BOB, keys.of(BOB))
    sharekit.submit(plan, w.connect(), settings=FAST)
    told = shell("verify", "run.ledger", "--allowed-signers", str(keys.signers), cwd=w.folder)
    assert told.returncode == 1
    assert b"(submit_started): 1 more reviewer must approve it with a signature" in told.stdout
    assert b"UNPROVEN" in told.stdout
    assert b"TAMPERED" not in told.stdout
    seal(plan.path, keys.folder / "eve")
    assert sharekit.verify(plan.path, signers=keys.signers).label == "UNPROVEN"
    with Ledger.open(plan.path, write=True) as book:  # a seal brought along from elsewhere
        last = book.last_event("sealed")
        assert last is not None
        book.append("sealed", last.body | {"head": book.head})
    assert sharekit.verify(plan.path, signers=keys.signers).label == "TAMPERED"


def test_what_cannot_sign(
    plan: sharekit.Plan, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, no use as a key, no signers, no ssh-keygen: one sentence each, nothing approved."""
    (tmp_path / "junk").write_text("this is no key")
    with pytest.raises(UsageError, match="there is no such key"):
        approve(plan, ADA, tmp_path / "nowhere")
    with pytest.raises(UsageError, match="junk cannot sign"):
        approve(plan, ADA, tmp_path / "junk")
    approve(plan, ADA, keys.of(ADA))
    with pytest.raises(UsageError, match="name an allowed-signers file"):
        sharekit.plans.approval.require_approval_of(
            plan.path, ApprovalRequirement(1, tmp_path / "nowhere")
        )
    with pytest.raises(UsageError, match="name an allowed-signers file"):
        sharekit.verify(plan.path, signers=tmp_path / "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="ssh-keygen is not installed"):
        approve(plan, ADA, keys.of(ADA))
    assert len(sharekit.plans.approval.require_approval_of(plan.path)) == 1
