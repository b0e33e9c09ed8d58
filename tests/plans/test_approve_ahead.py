"""Approvals given ahead: policies for a time and a number of images, and nothing else by them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import sharekit
from sharekit.core.errors import ApprovalError, InputError, UsageError
from sharekit.core.frame_schemas import POLICY_DECISIONS
from sharekit.interfaces import review_state
from sharekit.interfaces.notebook import pages
from sharekit.interfaces.notebook.model import APPROVE
from sharekit.interfaces.notebook.panel import Panel
from sharekit.interfaces.review import Review
from sharekit.ledger.ledger import Ledger
from sharekit.plans import approval as approval_module
from sharekit.plans.approval import ApprovalRequirement, reviewers_of, revoke
from sharekit.plans.policies import approve_ahead as ahead
from sharekit.plans.policies import standing
from sharekit.plans.policies.approve_ahead import approve_ahead
from sharekit.plans.policies.policy_file import read_policies
from sharekit.plans.policies.standing import approve_policies, read_standing
from tests.conftest import FAST, World
from tests.interfaces.test_cli import clouds, said, shell
from tests.ledger.test_signatures import judged
from tests.reports.forger import Forger
from tests.reports.test_tampering import by_script

Make = Callable[..., World]
TODAY = datetime.now(UTC).date()
POLICY = "policies: [{name: all, when: {image_id: {not: {empty: true}}}, then: accept}]\n"


@pytest.fixture
def scene(world: Make) -> World:
    """Ten rows, and policies that decide on all of them."""
    made = world(rows=10)
    (made.folder / "policy.yaml").write_text(POLICY + "otherwise: leave\n")
    return made


def planned(scene: World, *, decided: bool = True) -> Review:
    """The review of a plan, decided by the policies."""
    review = Review(scene.planned(), scene.connect(), reviewer="robot", settings=FAST)
    if decided:
        review.apply(scene.folder / "policy.yaml")
    return review


def approval(scene: World, **options: Any) -> Path:
    """An approval of the policies, given ahead by Ada."""
    asked: dict[str, Any] = {"until": TODAY, "max_images": 50, "reviewer": "Ada"} | options
    path = scene.folder / "ahead.json"
    approve_policies(read_policies(scene.folder / "policy.yaml"), path, **asked)
    return path


def test_a_scheduled_run_sends_what_the_policies_decided(scene: World) -> None:
    """In the shell: approved ahead, planned, decided by the policies, sent, reported, verified."""
    folder, policy = scene.folder, scene.folder / "policy.yaml"
    file, run = folder / "ahead.json", folder / "run.ledger"
    given = shell("approve", "--policy", policy, "--until", TODAY, "--max-images=50",
                  "--reviewer=Ada", "-o", file, "--json")  # fmt: skip
    assert given.returncode == 0, given.stderr
    assert said(given)["policies_sha256"] == read_policies(policy).fingerprint
    assert shell("plan", scene.shares, run, *clouds(scene)).returncode == 0
    assert shell("review", run, "--policy", policy, "--reviewer=robot").returncode == 0
    submit = ("submit", run, f"--clouds-yaml={scene.config}")
    assert shell(*submit).returncode == 2, "nobody has approved it"
    sent = shell(*submit, "--approved-ahead", file)
    assert sent.returncode == 0, sent.stderr
    assert shell(*submit, "--approved-ahead", file).returncode == 0, "it is finished"
    report = folder / "run.xlsx"
    assert shell("report", run, report).returncode == 0
    verdict = sharekit.verify(run, report)
    assert verdict.intact, verdict.problems


def test_a_row_of_anybody_else_is_not_sent_by_it(scene: World) -> None:
    """Rows that a person, the inventory or other policies decided are not approved ahead."""
    file = approval(scene)
    review = planned(scene, decided=False)
    with pytest.raises(ApprovalError, match="not decided by its policies"):
        approve_ahead(review.path, file)
    review.apply(sharekit.policy("all", then="accept"))
    with pytest.raises(ApprovalError, match="not decided by its policies"):
        approve_ahead(review.path, file)
    review.apply(scene.folder / "policy.yaml")
    review.decide([0], "reject", reason="by hand")
    review.replan()
    with pytest.raises(ApprovalError, match="1 row of the plan is not decided by its policies"):
        approve_ahead(review.path, file)
    review.undo()
    review.replan()
    given = approve_ahead(review.path, file)
    assert given is not None
    assert given.reviewer == "Ada"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_images": 3}, "the plan sends"), ({"until": TODAY + timedelta(days=1)}, "")],
)
def test_number_and_day_bound_it(scene: World, options: dict[str, Any], message: str) -> None:
    """More images than it names are not sent; on another day than the last ones neither."""
    review, file = planned(scene), approval(scene, **options)
    if message:
        with pytest.raises(ApprovalError, match=message):
            approve_ahead(review.path, file)
    else:
        assert approve_ahead(review.path, file) is not None


def test_it_ends_also_for_a_run_that_has_it(scene: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each submit the day is compared again; then a person may approve the plan instead."""
    review, file = planned(scene), approval(scene)
    approve_ahead(review.path, file)
    later = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (review.stage, reviewers_of(review.path)) == ("approved", ["Ada"])
    for module in (ahead, approval_module, review_state, pages):
        monkeypatch.setattr(module, "utc_now", lambda: later)
    assert (review.stage, reviewers_of(review.path)) == ("approving", [])
    panel = Panel(review)
    panel.act("page", APPROVE)
    assert f"ahead: through {TODAY} (UTC), at most 50 images; that is over" in str(panel.view)
    assert "so nothing is sent yet" in str(panel.view)
    with pytest.raises(ApprovalError, match=f"it ended on {TODAY}"):
        sharekit.submit(review.path, scene.connect(), settings=FAST)
    assert not scene.changed_shares()
    sharekit.approve(review.path, reviewer="Bob", fingerprint=review.plan.fingerprint)
    run = sharekit.submit(review.path, scene.connect(), settings=FAST)
    assert run.finished
    assert sharekit.verify(review.path).intact


def test_a_copy_that_does_not_hold_is_found(scene: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger with a copied approval that does not cover its plan is refused, and not intact."""
    review, file = planned(scene, decided=False), approval(scene)
    monkeypatch.setattr(ahead, "standing_errors", lambda *_: iter(()))
    approve_ahead(review.path, file)
    monkeypatch.undo()
    with pytest.raises(ApprovalError, match="not decided by its policies"):
        sharekit.submit(review.path, scene.connect(), settings=FAST)
    problems = sharekit.verify(review.path).problems
    assert any("copies an approval given ahead that does not hold" in what for _, what in problems)


def test_a_step_that_its_policies_do_not_take_is_found(
    scene: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions written under the policies' name, and not theirs, are not sent."""
    review, file = planned(scene), approval(scene)
    append = Ledger.append

    def forged(self: Ledger, kind: str, body: dict[str, Any]) -> object:
        if kind == "decided":
            frame = self.get_frame(body["blob"], POLICY_DECISIONS)
            frame["decision"] = "reject"
            body = body | {"blob": self.put_frame(frame)}
        return append(self, kind, body)

    monkeypatch.setattr(Ledger, "append", forged)
    review.undo()
    review.apply(scene.folder / "policy.yaml")
    monkeypatch.undo()
    with pytest.raises(ApprovalError, match="decides rows otherwise than its policies decide them"):
        approve_ahead(review.path, file)


def test_the_planner_does_not_approve_ahead(scene: World) -> None:
    """Whoever made the plan has not approved it, also not ahead."""
    findings = sharekit.check(sharekit.read_inventory(scene.shares), scene.connect())
    plan = sharekit.plan(findings, scene.folder / "own.ledger", planner="Ada")
    Review(plan, reviewer="robot").apply(scene.folder / "policy.yaml")
    with pytest.raises(ApprovalError, match="somebody else has to approve"):
        approve_ahead(plan, approval(scene))


def test_it_can_be_withdrawn(scene: World) -> None:
    """An approval given ahead is taken back as any other; after that a person has to approve."""
    review, file = planned(scene), approval(scene)
    approve_ahead(review.path, file)
    revoke(review.path, reviewer="Bob")
    with pytest.raises(ApprovalError):
        sharekit.submit(review.path, scene.connect(), settings=FAST)
    with pytest.raises(ApprovalError, match="Bob took the approval of this plan back"):
        approve_ahead(review.path, file)
    given = sharekit.approve(review.path, reviewer="Ada", fingerprint=review.plan.fingerprint)
    assert approval_module.require_approval_of(review.path) == [given]


@pytest.mark.needs("ssh-keygen")
def test_signatures_count_as_any_approvals(scene: World, tmp_path: Path) -> None:
    """Where signatures are required, it has one over the policies; a changed file has none."""
    name = "ada@example.com"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "ada"],
                   check=True)  # fmt: skip
    signers = tmp_path / "signers"
    signers.write_text(f"{name} {(tmp_path / 'ada.pub').read_text()}")
    file = approval(scene, reviewer=name, sign=tmp_path / "ada")
    review, demand = planned(scene), ApprovalRequirement(signers=signers)
    body = json.loads(file.read_text())
    more = scene.folder / "more.json"
    more.write_text(json.dumps(body | {"max_images": 1000}))
    approve_ahead(review.path, more)
    with pytest.raises(ApprovalError, match="has no valid signature"):
        sharekit.submit(review.path, scene.connect(), settings=FAST, demand=demand)
    approve_ahead(review.path, file)
    run = sharekit.submit(review.path, scene.connect(), settings=FAST, demand=demand)
    assert run.finished
    lacks = [what for _, what in sharekit.verify(review.path, signers=signers).problems]
    assert all("cut off" in what for what in lacks), "only the seal is missing"
    assert judged(review.path, signers) == [f"not signed by {name}", name]
    assert by_script(review.path)


@pytest.mark.parametrize(
    "change", [{"until": "2020-01-01"}, {"max_images": 1}, {"policies_sha256": "0" * 64}]
)
def test_an_approval_that_did_not_hold_is_found(scene: World, change: dict[str, Any]) -> None:
    """One that had ended, is for fewer images or for other policies: by us and by the script."""
    review = planned(scene)
    approve_ahead(review.path, approval(scene))
    sharekit.submit(review.path, scene.connect(), settings=FAST)
    assert by_script(review.path)
    forger = Forger.read(review.path)
    forger.first("approved").body["standing"] |= change
    assert sharekit.verify(forger.write()).label == "TAMPERED"
    assert not by_script(review.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"until": "yesterday"}, "is no day"), ({"until": "2020-01-01"}, "is over"),
     ({"max_images": 0}, "nothing could be sent"), ({"reviewer": " "}, "needs the reviewer")],
)  # fmt: skip
def test_wrong_approvals_are_refused(scene: World, change: dict[str, Any], message: str) -> None:
    """A day that is none or over, no images, and no name are one sentence each."""
    with pytest.raises((ApprovalError, UsageError), match=message):
        approval(scene, **change)
    assert not (scene.folder / "ahead.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"until": 1}', "x" * (1 << 17)])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    """What is no approval of policies is refused in one sentence, also with a field too many."""
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(InputError, match="no approval of policies"):
        read_standing(path)
    good = standing.StandingApproval("0" * 64, "2027-01-01", 1, "Ada", "2026-01-01T00:00:00Z")
    path.write_text(json.dumps(good.to_body()))
    assert read_standing(path) == good
    path.write_text(json.dumps(good.to_body() | {"also": 1}))
    with pytest.raises(InputError, match="no approval of policies"):
        read_standing(path)


@pytest.mark.parametrize("arguments", [
    ["run.ledger"], ["--policy=p.yaml"], ["run.ledger", "--fingerprint=12345678", "--until=x"],
    ["run.ledger", "--policy=p.yaml", "--until=2999-01-01", "--max-images=1", "-o=f.json"],
])  # fmt: skip
def test_halves_of_an_approval_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    """Neither a plan and policies at once nor half of either is approved."""
    done = shell("approve", "--reviewer=Ada", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "f.json").exists()
