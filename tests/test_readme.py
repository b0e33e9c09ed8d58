"""What the README shows is what happens."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hatch_build import make_absolute
from sharekit.core.provenance import __version__
from sharekit.interfaces.cli.seed import seed_from_workbook
from sharekit.simulator.process import start
from sharekit.simulator.sample import build_sample, write_workbook
from tests.conftest import World
from tests.interfaces.test_cli import shell

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


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


def test_the_readme_is_short_and_begins_without_make() -> None:
    """At most 150 lines; the first block installs by one line, and has a result by the third."""
    assert len(README.splitlines()) <= 150
    first = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[0].splitlines()
    assert first[0] == "uv tool install ."
    assert first[1] == "sharekit demo"
    assert len(first) == 3
    for way in ("uv tool install", "pipx install", "py -m pip install", ".whl", "git+https"):
        assert way in README


PAGES = ["README.md", "SECURITY.md", "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", [str(ROOT.joinpath(page).relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: str) -> None:
    """Every link to a file of the repository names one, and its heading if it names a heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!\w+:)([^)]+)\)", text):
        name, _, heading = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), target
        titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M) if heading else []
        known = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert heading in known | {""}, target


def test_what_belongs_to_a_project_agrees() -> None:
    """One version and one list of dependencies; the address is written once, and makes pictures."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    recipe = yaml.safe_load((ROOT / "packaging" / "recipe.yaml").read_text(encoding="utf-8"))
    assert citation["version"] == recipe["context"]["version"] == __version__
    needed = [re.sub(r"([<>=!~])", r" \1", name, count=1) for name in PYPROJECT["dependencies"]]
    assert recipe["requirements"]["run"] == ["python >=3.11", *needed]
    home = PYPROJECT["urls"]["Homepage"]
    assert all(url.startswith(home) for url in PYPROJECT["urls"].values())
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", make_absolute(README, home))
    assert len(pictures) == 2
    assert all(picture.startswith(f"{home}/raw/main/docs/") for picture in pictures)


def test_the_workflows_name_the_systems() -> None:
    """Linux, Windows and macOS run the oldest and the newest Python; no registry is named."""
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    jobs = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"] for file in files}
    matrix = jobs["tests"]["fast"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert matrix["python"] == ["3.11", "3.14"]
    assert jobs["newest"]["newest"]["strategy"]["matrix"]["os"] == matrix["os"]
    assert jobs["tests"]["lowest"]["steps"][-1]["run"] == ".ci/matrix lowest"
    for file in files:
        assert not re.search(r"pypi|https?://", file.read_text(encoding="utf-8"))
