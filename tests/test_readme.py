"""What the README shows is what happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sharekit.interfaces.cli.seed import seed_from_workbook
from sharekit.plans.policies.policy_file import read_policies
from sharekit.simulator.process import start
from sharekit.simulator.sample import build_sample, write_workbook
from tests.conftest import World
from tests.interfaces.test_cli import shell

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_python_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the README runs as it stands, on the cloud that the line above it starts."""
    block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo-run").mkdir()
    shares = write_workbook(build_sample(80), tmp_path / "demo-run" / "shares.xlsx")
    with start(seed_from_workbook(shares), job_seconds=0.02) as cloud:
        cloud.write_clouds_yaml(tmp_path / "clouds.yaml")
        names: dict[str, object] = {}
        exec(block, names)
    assert names["run"].finished  # type: ignore[attr-defined]
    assert {p.name for p in tmp_path.iterdir()} >= {"audit.xlsx", "audit.html", "outcomes.csv"}


def test_shell_road(world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the README run one after another and end as they say."""
    w = world(rows=40)
    block = next(b for b in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "template" in b)
    lines = [line.split("#")[0].split() for line in block.splitlines()]
    config = yaml.safe_load(w.config.read_text())
    first = w.plan().rows["project_id"].iloc[0]
    name = next(n for n, c in config["clouds"].items() if c["auth"]["project_id"] == first)
    (w.folder / "clouds.yaml").write_text(
        yaml.safe_dump({"clouds": {"otc-payments": config["clouds"][name]}})
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(w.folder / "clouds.yaml"))
    (w.folder / "run.ledger").unlink()
    sample = (w.folder / "shares.xlsx").read_bytes()
    (w.folder / "shares.xlsx").unlink()
    ended = {}
    for words in lines:
        if words[1] == "approve":
            status = shell("status", "run.ledger", "--json", cwd=w.folder)
            print_ = re.search(r'"fingerprint": "([0-9a-f]+)"', status.stdout.decode())
            assert print_ is not None
            words[words.index("--fingerprint") + 1] = print_[1][:12]
        done = shell(*words[1:], cwd=w.folder)
        ended[words[1]] = done.returncode
        if words[1] == "template":
            (w.folder / "shares.xlsx").write_bytes(sample)
    # The rows of the other projects are blocked: only one entry of clouds.yaml was named.
    assert ended == {
        "template": 0, "check": 1, "plan": 1, "review": 0, "approve": 0, "submit": 0, "report": 0,
        "verify": 0,
    }  # fmt: skip


def test_pandas_page(world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python line of the page on pandas runs, and its YAML is a file of policies."""
    page = (Path(__file__).parents[1] / "docs" / "pandas.md").read_text(encoding="utf-8")
    scene = world(rows=20)
    rows = scene.plan().rows
    (scene.folder / "run.ledger").unlink()
    shares = rows.loc[rows["disposition"] == "planned", ["image_id", "project_id", "vault_id"]]
    shares = shares.assign(team=[["Data", "Web", "Ops"][n % 3] for n in range(len(shares))])
    monkeypatch.chdir(scene.folder)
    names: dict[str, Any] = {"shares": shares, "clouds": scene.connect()}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert names["run"].finished
    wanted = {"Data": "accepted", "Web": "rejected", "Ops": "rejected"}
    assert (names["joined"]["observed"].astype(str) == shares["team"].map(wanted)).all()
    (scene.folder / "owners.csv").write_text("owner\n0a\n")
    (yaml_block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (scene.folder / "policy.yaml").write_text(yaml_block)
    assert len(read_policies("policy.yaml").policies) == 2
