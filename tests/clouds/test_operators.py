"""An administrator acts for projects without a sign-in: confirmed, recorded, and observed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import sharekit
from sharekit.clouds import sign_in
from sharekit.core.errors import SignInError, UsageError
from sharekit.ledger.ledger import Ledger
from tests.conftest import FAST, World
from tests.reports.forger import Forger

Make = Callable[..., World]


def operator(w: World, user: str = "administrator", **settings: Any) -> sharekit.Clouds:
    """Sign in by one entry alone, which acts for others."""
    found = next(iter(yaml.safe_load(w.cloud.clouds_yaml(user=user))["clouds"].values()))
    entry = {**found, "sharekit": {"acts_for": "all"} | settings}
    path = w.folder / "operator.yaml"
    path.write_text(yaml.safe_dump({"clouds": {"operator": entry}}))
    return sharekit.connect(config_file=path)


def plan(w: World, clouds: sharekit.Clouds | None, *confirm: str) -> sharekit.Plan:
    """Check with the clouds, plan and approve."""
    inventory = sharekit.read_inventory(w.shares)
    findings = sharekit.check(inventory, clouds, confirm=list(confirm))
    made = sharekit.plan(findings, w.folder / "run.ledger")
    if len(made.chunks):
        sharekit.approve(made, reviewer="Ada", fingerprint=made.fingerprint)
    return made


def test_an_administrator_acts_for_projects_that_have_no_sign_in(world: Make) -> None:
    """Confirmed by name, one sign-in carries the run; ledger, report and verdict say who acted."""
    w = world(rows=12)
    clouds = operator(w)
    (own,) = clouds
    made = plan(w, clouds, "acts-for")
    run = sharekit.submit(made, clouds, settings=FAST)
    assert run.counts["confirmed"] == len(w.changed_shares()) > 0
    assert max(w.changed().values()) == 1
    assert sharekit.verify(run.path, *sharekit.report(run, w.folder / "audit.html")).intact
    assert f"signed in to project {own}, acted for" in (w.folder / "audit.html").read_text("utf-8")
    with Ledger.open(run.path) as ledger:
        acted = {
            one["project_id"]: one["acts_as"]
            for one in ledger.last_event("submit_started").body["clouds"]  # type: ignore[union-attr]
            if "acts_as" in one
        }
    assert acted.keys() >= set(made.chunks["project_id"]) - {own}
    assert set(acted.values()) == {own}


def test_what_nobody_confirmed_is_not_sent(world: Make) -> None:
    """Every row is blocked without the confirmation, also if the plan was made without a cloud."""
    w = world(rows=12)
    clouds = operator(w)
    (own,) = clouds
    rows = plan(w, clouds).rows
    assert not (rows.loc[rows["project_id"] != own, "disposition"] == "planned").any()
    (w.folder / "run.ledger").unlink()
    run = sharekit.submit(plan(w, None), clouds, settings=FAST)
    assert {project for _, project in w.changed_shares()} <= {own}
    assert (run.rows["code"] == "acts-for").any()
    assert sharekit.verify(run.path).intact


def test_a_ledger_that_hides_who_acted_is_told(world: Make) -> None:
    """A run of an administrator that claims sign-ins of the projects themselves is not intact."""
    w = world(rows=6)
    clouds = operator(w)
    run = sharekit.submit(plan(w, clouds, "acts-for"), clouds, settings=FAST)
    forged = Forger.read(run.path)
    for one in forged.last("submit_started").body["clouds"]:
        one.pop("acts_as", None)
    forged.write()
    assert sharekit.verify(run.path).label == "TAMPERED"


def test_only_what_an_administrator_is_shown_is_observed(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain user is refused; were it let in, no share that it cannot see would be absent."""
    w = world(rows=12)
    with pytest.raises(SignInError, match=r"no administrator \(its roles: member\), so it cannot"):
        operator(w, "operator")
    monkeypatch.setattr(sign_in, "_check_administrator", lambda *_: None)
    clouds = operator(w, "operator")
    (own,) = clouds
    findings = sharekit.check(sharekit.read_inventory(w.shares), clouds, confirm=["acts-for"])
    assert findings.snapshot is not None
    others = findings.snapshot.members[findings.snapshot.members["project_id"] != own]
    assert set(others["state"]) == {""}
    assert others["unread"].ne("").all()


def test_an_audit_tells_who_was_asked(world: Make) -> None:
    """Rows of projects without a sign-in are compared; what nobody asked about is not claimed."""
    w = world(rows=12)
    inventory = sharekit.read_inventory(w.shares)
    result = sharekit.audit(inventory, operator(w))
    own = sharekit.audit(inventory, w.connect())
    rows, expected = (
        one.rows[one.rows["row"].notna()].set_index("row")["observed"] for one in (result, own)
    )
    assert rows.equals(expected)
    assert (result.survey.projects["acts_as"] != "").sum() > 1
    assert not result.survey.projects.query("acts_as != '' and code == ''").size
    path = w.folder / "audit.html"
    sharekit.report(result, path)
    assert "Read as administrator of" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"acts_for": "every"}, SignInError, "acts_for cannot be 'every'"),
        ({"projects": "all"}, SignInError, "acts_for goes with neither"),
        ({"api": "batch"}, SignInError, "acts_for goes with neither"),
    ],
)
def test_settings_that_make_no_sense(
    world: Make, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """What cannot be is one sentence."""
    with pytest.raises(error, match=message):
        operator(world(rows=4), **settings)


def test_two_administrators_of_one_project(world: Make, tmp_path: Path) -> None:
    """Nobody could tell which of two acts for a project that both may act for."""
    w = world(rows=4)
    names = yaml.safe_load(w.cloud.clouds_yaml(user="administrator"))["clouds"]
    two = {name: {**one, "sharekit": {"acts_for": "all"}} for name, one in [*names.items()][:2]}
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump({"clouds": two}))
    with pytest.raises(UsageError, match="both act for all"):
        sharekit.connect(config_file=path)
