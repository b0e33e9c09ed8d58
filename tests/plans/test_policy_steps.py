"""Policies on a plan: the facts they judge, the step they record, the report that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sharekit
from sharekit.core.errors import PlanError, UsageError
from sharekit.interfaces.cli.main import main
from sharekit.interfaces.review import Review
from sharekit.ledger.ledger import Ledger
from sharekit.plans.policies.policy import Policies, policy
from sharekit.plans.policies.steps import policy_rows, step_errors
from sharekit.reports.run_record import read_record
from tests.conftest import FAST, World

Make = Callable[..., World]


@pytest.fixture
def review(world: Make) -> Review:
    """A review of forty rows."""
    scene = world(rows=40)
    return Review(scene.planned(), scene.connect(), reviewer="Ada", settings=FAST)


def owner_of_most(review: Review) -> str:
    """The owner, as the cloud says, of most rows."""
    return str(policy_rows(review.plan)["owner"].mode()[0])


def test_policies_decide_and_are_recorded(review: Review) -> None:
    """Each row is decided by the first policy that matches it, and the report names that policy."""
    owner = owner_of_most(review)
    trusted = policy("trusted", owner=owner, visibility="shared", then="accept")
    result = review.apply([trusted], otherwise="reject")
    expected = (policy_rows(review.plan)["owner"] == owner).map({True: "accept", False: "reject"})
    changes = review.changes
    assert changes["decision"].to_dict() == expected.loc[changes.index].to_dict()
    assert result.matched["rows"].sum() + len(result.undecided) == len(review.rows)
    with Ledger.open(review.path) as ledger:
        record = read_record(ledger)
        (event,) = ledger.list_events("decided")
        assert step_errors(ledger, event) == []
    assert record.policies["rows"].tolist() == result.matched["rows"].tolist()
    named = record.reviews.set_index("row_key")["policy"]
    assert named.to_dict() == result.decisions["policy"].to_dict()


def test_policies_are_only_shown_if_asked_so(review: Review) -> None:
    """Without record, nothing is written, and the result is the one that would be taken."""
    with Ledger.open(review.path) as ledger:
        head = ledger.head
    asked = policy("all", then="skip")
    shown = review.apply(asked, record=False)
    with Ledger.open(review.path) as ledger:
        assert ledger.head == head
    assert shown.decisions.equals(review.apply(asked).decisions)


def test_a_persons_decision_stands(review: Review) -> None:
    """What a person decided is kept by policies; what an earlier policy decided is not."""
    mine = [int(key) for key in review.rows.index[:2]]
    review.decide(mine, "skip", reason="mine")
    review.apply(policy("one", then="reject"))
    review.apply(policy("two", then="accept", owner=owner_of_most(review)))
    changes = review.changes
    assert set(changes.loc[mine, "reason"]) == {"mine"}
    assert set(changes["reason"]) == {"mine", "policy two"}
    review.decide([int(review.rows.index[5])], "skip", reason="again mine")
    review.apply(policy("three", then="reject"))
    assert review.changes.loc[review.rows.index[5], "reason"] == "again mine"


def test_an_owner_that_only_the_inventory_claims_is_no_fact(world: Make, tmp_path: Path) -> None:
    """Without the cloud no owner is known, so no row meets a condition on the owner."""
    rows = world(rows=6).plan().rows
    lines = [f"{line.image_id},{line.project_id},accepted,0a" for line in rows.itertuples()]
    path = tmp_path / "claimed.csv"
    path.write_text("\n".join(["Image ID,Project ID,Decision,Owner", *lines]))
    plan = sharekit.plan(sharekit.check(sharekit.read_inventory(path)), tmp_path / "no.ledger")
    review = Review(plan, reviewer="Ada")
    by_cloud = review.apply(policy("trusted", owner="0a", then="skip"), record=False)
    assert len(by_cloud.undecided) == 6
    by_list = review.apply(policy("said", when={"input.Owner": "0a"}, then="skip"), record=False)
    assert len(by_list.decisions) == 6


def test_policies_are_checked_again(review: Review) -> None:
    """A step whose decisions are not those of its policies is found."""
    review.apply(policy("some", then="skip", owner=owner_of_most(review)))
    with Ledger.open(review.path) as ledger:
        (event,) = ledger.list_events("decided")
        event.body["policies"] = Policies((policy("some", then="skip", owner="0f"),)).describe()
        assert len(step_errors(ledger, event)) == 3  # SHA-256, decisions, numbers


def test_an_approved_plan_takes_no_policies(review: Review) -> None:
    """Policies change an approved plan no more than a person does, and name no foreign columns."""
    with pytest.raises(UsageError, match="no column 'colour'"):
        review.apply(policy("p", then="skip", colour="red"))
    review.approve("Bob", review.state.phrase)
    with pytest.raises(PlanError, match="approved"):
        review.apply(policy("p", then="skip"))


def test_policies_from_the_shell(
    review: Review, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`review RUN --policy FILE` decides, prints what each policy matched, and plans again."""
    path = tmp_path / "policy.yaml"
    owner = owner_of_most(review)
    path.write_text(
        f"policies:\n- name: '[red]trusted'\n  when: {{owner: '{owner}'}}\n  then: reject\n"
        "otherwise: skip\n"
    )
    call = ["review", str(review.path), "--policy", str(path), "--reviewer", "Ada"]
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert ended.value.code in (0, 1)
    assert "[red]trusted" in capsys.readouterr().out
    review.refresh()
    assert (review.changes["decision"] == "reject").sum() > 20
    path.write_text("policies: []\notherwise: skip")
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert ended.value.code == 2
    assert "policy.yaml" in capsys.readouterr().err
