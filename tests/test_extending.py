"""The examples of docs/how-to/extending.md, installed as packages of others."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import sharekit
from sharekit.core.errors import SignInError, SpreadsheetError
from tests.conftest import FAST, World

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "extending.md").read_text(encoding="utf-8")
IMAGE, PROJECT = "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10", "0123456789abcdef0123456789abcdef"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages of the page are on the path, with their entry points."""
    site = tmp_path / "site"
    projects = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
    modules = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for project, code in zip(projects, modules, strict=True):
        facts = project["project"]
        module = facts["name"].replace("-", "_")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in facts["entry-points"].items()
        ]
        (info / "entry_points.txt").write_text("".join(lines))
        assert len(code.splitlines()) <= 35
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.usefixtures("installed")
def test_a_further_format(tmp_path: Path) -> None:
    """A file whose suffix a package reads is an inventory like any other."""
    data = f"# shares\nImage ID: {IMAGE}\nProject ID: {PROJECT}\nStatus: accepted\n\nImage ID: x\n"
    path = tmp_path / "shares.REC"
    path.write_text(data)
    inventory = sharekit.read_inventory(path)
    assert inventory.rows["image_id"].tolist() == [IMAGE, "x"]
    assert inventory.cell_addresses(inventory.rows, "project_id").tolist() == ["B2", "B3"]
    assert inventory.rows["sheet"].tolist() == ["records", "records"]
    named = sharekit.read_inventory(data.encode(), name="shares.rec")
    assert named.rows["image_id"].tolist() == inventory.rows["image_id"].tolist()
    assert sharekit.check(inventory).rows["disposition"].tolist() == ["planned", "blocked"]
    path.write_text("no field")
    with pytest.raises(SpreadsheetError, match=r"sharekit_rec:read.*ValueError.*is no field"):
        sharekit.read_inventory(path)


def test_a_number_of_a_further_format_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number breaks the rule that it breaks in a workbook; our own suffixes stay ours."""
    module = tmp_path / "other_reader.py"
    module.write_text(
        "def read(data):\n"
        f"    return {{'s': [('image_id', 'project_id', 'status'), ({10**31}, '{PROJECT}'), ()]}}\n"
    )
    info = tmp_path / "other-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[sharekit.formats]\nnum = other_reader:read\ncsv = other_reader:read\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for suffix, rules in ((".num", {"number-cell"}), (".csv", set())):
        file = tmp_path / f"shares{suffix}"
        file.write_text(f"image_id,project_id,status\n{IMAGE},{PROJECT},accepted\n")
        found = set(sharekit.check(sharekit.read_inventory(file)).frame["rule"])
        assert found & {"number-cell"} == rules


@pytest.mark.usefixtures("installed")
def test_a_further_cloud(world: Callable[..., World]) -> None:
    """An entry's client sends and reads a whole run, which is verified; reports name the client."""
    w = world(rows=12, faults="", results_api=False)
    config = yaml.safe_load(w.config.read_text())
    for entry in config["clouds"].values():
        entry["sharekit"] = {**entry.get("sharekit", {}), "client": "acme"}
    w.config.write_text(yaml.safe_dump(config))
    clouds = w.connect()
    assert {type(cloud).__name__ for cloud in clouds.values()} == {"AcmeCloud"}
    plan = w.approved()
    run = sharekit.submit(plan, clouds, settings=FAST)
    assert run.succeeded
    (report,) = sharekit.report(run, w.folder / "audit.html")
    assert "sharekit_acme:AcmeCloud" in report.read_text(encoding="utf-8")
    assert sharekit.verify(plan.path, report).intact


def test_a_client_that_is_not_installed(world: Callable[..., World]) -> None:
    """A name without a package is refused by name, before anything is asked of the cloud."""
    w = world(rows=4)
    config = yaml.safe_load(w.config.read_text())
    for entry in config["clouds"].values():
        entry["sharekit"] = {"client": "nobody"}
    w.config.write_text(yaml.safe_dump(config))
    with pytest.raises(SignInError, match="no package that is installed has a client 'nobody'"):
        w.connect()
