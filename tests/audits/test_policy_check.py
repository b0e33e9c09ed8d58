"""Policies as a test of the present state: violations, what cannot be judged, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest

import sharekit
from sharekit.audits import storage
from sharekit.core.errors import UsageError
from sharekit.plans.policies.policy import Policies
from sharekit.simulator import Image, Project, Seed, Share, User
from tests.conftest import World
from tests.interfaces.test_cli import said, shell

Make = Callable[..., World]
ME, GOOD, BAD = (c * 32 for c in "0bd")
POLICY = """
policies:
  - name: untrusted owners
    when: {{owner: {{not: {{one of: [{good}]}}}}, observed: {{not: rejected}}}}
    then: reject
  - name: waits too long
    when: {{observed: pending, shared_at: {{older than: {age}}}}}
    then: reject
  - name: names
    when: {{name: {{not: {{like: "golden-*"}}}}}}
    then: reject
otherwise: leave
"""


def image(number: int) -> str:
    """An image's ID."""
    return f"{number:08x}-0000-4000-8000-000000000001"


@dataclass
class Scene:
    """The cloud with its shares, its policies, and where files go."""

    folder: Path
    config: Path
    policy: Path

    def clouds(self) -> sharekit.Clouds:
        """Sign in to the receiving project."""
        return sharekit.connect("project-0", config_file=self.config)

    def shell(self, *arguments: object) -> tuple[int, dict[str, object]]:
        """Audit in the shell; return exit code and JSON."""
        here = ("--cloud", "project-0", "--clouds-yaml", self.config, "--policy", self.policy)
        done = shell("audit", *arguments, *here, "--json", cwd=self.folder)
        return done.returncode, said(done)

    def write(self, age: str = "36500 days") -> None:
        """Write the policies."""
        self.policy.write_text(POLICY.format(good=GOOD, age=age))


@pytest.fixture
def scene(world: Make) -> Scene:
    """Five old shares: two good ones, a foreign one, one of another name, one that waits."""
    made = world()
    owners = {1: GOOD, 2: GOOD, 3: BAD, 4: GOOD, 5: GOOD}
    names = {4: "test-4"}
    states = {1: "accepted", 2: "accepted", 3: "accepted", 4: "accepted", 5: "pending"}
    images = [Image(image(n), o, name=names.get(n, f"golden-{n}")) for n, o in owners.items()]
    shares = [Share(image(n), ME, state) for n, state in states.items()]
    projects = tuple(Project(p, f"project-{p[0]}") for p in (ME, GOOD, BAD))
    seed = Seed(projects, (User("u", "ada", "s3same-47"),), (), tuple(images), tuple(shares), ())
    made.cloud.reset(seed)
    config = made.cloud.write_clouds_yaml(made.folder / "clouds.yaml")
    here = Scene(made.folder, config, made.folder / "policy.yaml")
    here.write()
    return here


def test_violations_name_their_policy(scene: Scene) -> None:
    """Each share that is otherwise than the first policy that matches it says is a violation."""
    audit = sharekit.audit(None, scene.clouds(), policies=scene.policy)
    found = audit.violations.set_index("image_id")
    assert found["policy"].to_dict() == {image(3): "untrusted owners", image(4): "names"}
    assert set(found["should"]) == {"rejected"}
    assert set(found["observed"]) == {"accepted"}
    assert audit.not_judged.empty
    assert audit.summary["policies"] == {
        "untrusted owners": 1, "waits too long": 0, "names": 1, "otherwise": 0,
    }  # fmt: skip


def test_ages_count_from_the_time_of_the_share(scene: Scene) -> None:
    """A pending share violates a policy once it is old enough, and not before."""
    scene.write(age="30 days")
    found = sharekit.audit(None, scene.clouds(), policies=scene.policy).violations
    assert found.loc[found["policy"] == "waits too long", "image_id"].tolist() == [image(5)]


def test_times_beyond_the_number_are_not_judged(scene: Scene) -> None:
    """A share whose time was not looked up is said, by the column, and is no success."""
    scene.policy.write_text(
        "policies: [{name: waits, when: {shared_at: {older than: 36500 days}}, then: reject}]\n"
        "otherwise: leave\n"
    )
    audit = sharekit.audit(None, scene.clouds(), policies=scene.policy, times=2)
    assert audit.violations.empty
    assert len(audit.not_judged) == 3
    assert set(audit.not_judged["missing"]) == {"shared_at"}
    assert image(5) not in set(audit.not_judged["image_id"]), "what is pending is looked up first"
    code, facts = scene.shell("a.json", "--max-times=2")
    assert (code, facts["violations"], facts["not_judged"]) == (4, 0, 3)
    assert scene.shell("b.json")[0] == 0, "all five are looked up"


def test_an_unread_project_is_no_success(scene: Scene) -> None:
    """A row whose project nobody signs in to is listed as not judged."""
    shares = [{"image_id": image(9), "project_id": BAD, "status": "accepted"}]
    inventory = sharekit.read_inventory(shares)
    audit = sharekit.audit(inventory, scene.clouds(), policies=scene.policy)
    assert audit.not_judged[["image_id", "missing"]].values.tolist() == [[image(9), "observed"]]


def test_columns_of_the_inventory_count(scene: Scene) -> None:
    """A policy judges the input's own columns; a share that no row names has none of them."""
    rows = [
        {"image_id": image(n), "project_id": ME, "status": "accepted", "team": team}
        for n, team in ((1, "Data"), (2, "Web"))
    ]
    web = sharekit.policy("no web", team="Web", then="reject")
    audit = sharekit.audit(sharekit.read_inventory(rows), scene.clouds(), policies=web)
    assert audit.violations[["image_id", "policy"]].values.tolist() == [[image(2), "no web"]]
    assert audit.not_judged["missing"].tolist() == ["team"] * 3
    with pytest.raises(UsageError, match="no column 'teem'; did you mean team"):
        sharekit.audit(
            sharekit.read_inventory(rows), scene.clouds(),
            policies=sharekit.policy("x", teem="Web", then="reject"),
        )  # fmt: skip
    with pytest.raises(UsageError, match="conditions alone"):
        sharekit.audit(None, scene.clouds(), policies=sharekit.policy("x", rows=[0], then="reject"))


def test_the_shell_exits_1_and_reports_list_violations(scene: Scene) -> None:
    """A violation is exit 1; shell, JSON, workbook and page name it, and the ledger proves it."""
    code, facts = scene.shell("a.json", "-o", "a.xlsx", "-o", "a.html", "-o", "a.ledger")
    assert code == 1
    assert (facts["violations"], facts["not_judged"]) == (2, 0)
    lines = facts["policy_lines"]
    assert isinstance(lines, list)
    assert {line["policy"] for line in lines} == {"untrusted owners", "names"}
    read = json.loads((scene.folder / "a.json").read_text())
    assert [line["image_id"] for line in read["policy_lines"]] == [image(3), image(4)]
    book = openpyxl.load_workbook(scene.folder / "a.xlsx")
    sheet = book["Policies"]
    words = {row[0].value for row in book["About"].iter_rows()}
    assert {cell.value for cell in next(sheet.iter_rows())} <= words
    assert {row[1].value for row in sheet.iter_rows()} >= {"untrusted owners", "names"}
    assert "untrusted owners" in (scene.folder / "a.html").read_text()
    printed = shell("audit", "b.json", "--cloud=project-0", "--clouds-yaml", scene.config,
                    "--policy", scene.policy, cwd=scene.folder).stdout.decode()  # fmt: skip
    assert "Violated: untrusted owners: 1 share" in printed
    ledger = scene.folder / "a.ledger"
    files = [scene.folder / f"a.{kind}" for kind in ("json", "xlsx", "html")]
    verdict = sharekit.verify(ledger, *files)
    assert verdict.intact, verdict.problems
    stored = storage.load(ledger)
    assert isinstance(stored.policies, Policies)
    assert len(stored.violations) == 2


def test_a_forged_number_of_violations_is_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger whose policies were relaxed afterwards, or whose count was, is not intact."""
    audit = sharekit.audit(None, scene.clouds(), policies=scene.policy)
    append = storage.Ledger.append

    def relaxed(self: storage.Ledger, kind: str, body: dict[str, object]) -> object:
        if kind == "audit_recorded":
            body = body | {"violations": 0}
        return append(self, kind, body)

    monkeypatch.setattr(storage.Ledger, "append", relaxed)
    path = storage.save(audit, scene.folder / "forged.ledger")
    assert any("violations is 0, and should be 2" in what for _, what in
               sharekit.verify(path).problems)  # fmt: skip
