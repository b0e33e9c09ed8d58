"""docs/explanation/threats.md says what is tested, and .ci/requirements.txt what is installed."""

from __future__ import annotations

import ast
import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def test_every_line_names_tests_that_exist() -> None:
    """Each threat has a test, each named one exists, and what is not defended is said."""
    page = (ROOT / "docs" / "explanation" / "threats.md").read_text(encoding="utf-8")
    lines = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")]
    header, *threats = [[cell.strip() for cell in line] for line in lines]
    assert header == ["attacker and attempt", "defence", "tests"]
    assert len(threats) > 10
    for who, how, tests in threats:
        assert who
        assert how
        names = re.findall(r"`([\w./]+)::(\w+)`", tests)
        assert names, who
        assert tests.count("`") == 2 * len(names), who
        for file, name in names:
            tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
            assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, name
    assert page.count("\n- ") >= 5
    assert len(page.split()) < 1_200  # one page, or nobody reads it


def pinned() -> dict[str, list[str]]:
    """The versions that CI installs, by package; each with the hashes of its files."""
    text = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
    assert "://" not in text
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        name, version = re.match(r"([\w.-]+)==(\S+)", block).groups()  # type: ignore[union-attr]
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", block), name
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def test_the_lock_is_whole() -> None:
    """What CI installs is pinned by hash: all that pyproject.toml asks for, from no named host."""
    locked = pinned()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["dev"], *groups["docs"],
              *(one for extra in project["project"]["optional-dependencies"].values()
                for one in extra)]  # fmt: skip
    wanted.remove({"include-group": "docs"})
    for line in wanted:
        asked = Requirement(line)
        versions = locked.get(canonicalize_name(asked.name), [])
        assert versions, f"run `make lock`: {line}"
        assert all(asked.specifier.contains(v, prereleases=True) for v in versions), line


def test_no_package_is_older_than_what_mended_its_known_faults() -> None:
    """What is pinned, and each lower bound, has the faults mended, or a reason is given."""
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    mended, _, other = page.partition("## Known, and not fixed")
    locked = pinned()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    bounds = dict(one.split(">=") for one in needed)
    lines = re.findall(r"^\| ([\w.-]+) \| (.+?) \| ([0-9.]+) \|", mended, re.MULTILINE)
    assert len(lines) > 15
    for name, _, least in lines:
        assert locked[name], name
        assert all(Version(version) >= Version(least) for version in locked[name]), name
        assert Version(bounds.get(name, least)) >= Version(least), name
    left = re.findall(r"^\| ([\w.-]+) \| .+? \| ([0-9.]+) \| (.+) \|$", other, re.MULTILINE)
    for name, least, why in left:
        # As soon as nobody holds it back any more, the line moves up.
        assert all(Version(version) < Version(least) for version in locked[name]), name
        assert len(why.split()) > 10, name
