"""The house stays as it is drawn: layers, public names, sizes, rules and docs."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest

import sharekit
from docs import reference
from sharekit.core.rules import RULES, SEVERITIES
from sharekit.interfaces.cli.main import COMMANDS, load_command

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sharekit"
MODULES = sorted(PACKAGE.rglob("*.py"))
#: What only some parts of the house may use.
RESERVED = {
    "requests": {"clouds"},
    "keystoneauth1": {"clouds"},
    "openstack": {"clouds"},
    "click": {"interfaces"},
    "distributed": {"fleets"},
    "huaweicloudsdkcore": {"clouds"},
    "sqlite3": {"ledger"},
    "jinja2": {"interfaces", "reports"},
    "xlsxwriter": {"reports", "spreadsheets", "simulator"},
    "ipywidgets": {"interfaces"},
    "anywidget": {"interfaces"},
    "IPython": {"interfaces"},
    "voila": {"interfaces"},
    "tornado": {"interfaces"},
    "werkzeug": {"simulator"},
}


def part(path: Path) -> str:
    """The part of the house a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, at_top: bool = True) -> set[str]:
    """Absolute names of what a module imports when it is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["sharekit", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    for node in tree.body if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found.update([name] if node.module else [f"{name}.{a.name}" for a in node.names])
    return found


def test_imports_run_downward() -> None:
    """The import contracts of pyproject.toml hold: packages import downward only."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    """HTTP only in clouds, SQL only in the ledger, pandas in neither, and so on."""
    for name in imports(path, at_top=False):
        library = name.split(".")[0]
        assert part(path) in RESERVED.get(library, {part(path)}), f"{path.name} imports {name}"
        if library == "pandas":
            assert (
                part(path) not in ("clouds", "ledger")
                or path.parent.name == "state"
                or path.name in ("parquet.py", "ledger.py")
            )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_sizes(path: Path) -> None:
    """A function has at most 60 lines without its docstring."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            told = node.body[0] if ast.get_docstring(node) else None
            lines = (node.end_lineno or 0) - node.lineno + 1
            lines -= (told.end_lineno or 0) - told.lineno + 1 if told else 0
            assert lines <= 60, f"{path.name}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_texts_have_one_dtype(path: Path) -> None:
    """No column is made with the dtype "str", which means objects to pandas 2: it is STR."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            given = [k.value for k in node.keywords if k.arg == "dtype"]
            given += node.args if called in ("astype", "Series", "array", "Index") else []
            given += [v for d in node.args if isinstance(d, ast.Dict) and called == "astype"
                      for v in d.values]  # fmt: skip
            kinds = [node.value for node in given if isinstance(node, ast.Constant)]
            assert "str" not in kinds, f"{path.name}, line {node.lineno}"


def test_public_names() -> None:
    """At most 24 public names, which `dir` shows; each exists, and has a docstring."""
    assert len(sharekit.__all__) <= 24
    assert dir(sharekit) == sharekit.__all__
    assert sorted(sharekit.__all__) == sharekit.__all__
    for name in sharekit.__all__:
        assert inspect.getdoc(getattr(sharekit, name))
    with pytest.raises(AttributeError):
        _ = sharekit.no_such_name


def test_docstring_examples_run() -> None:
    """Every example in a docstring gives what it says."""
    tried = 0
    for module in pkgutil.walk_packages([str(PACKAGE)], "sharekit."):
        if not module.name.endswith("__main__"):
            result = doctest.testmod(importlib.import_module(module.name))
            assert result.failed == 0, module.name
            tried += result.attempted
    assert tried > 20


def test_rules_are_whole() -> None:
    """Each rule has a name, a known severity and phase, and an error says what to do."""
    for name, rule in RULES.items():
        assert re.fullmatch(r"[a-z-]+", name)
        assert rule.severity in SEVERITIES
        assert rule.phase in ("cell", "rows", "cloud")
        assert rule.suggestion or rule.severity in ("repair", "info")


def test_reference_is_the_codes_own() -> None:
    """The pages that are made from the code are what the code says; `make docs` makes them anew."""
    for name, text in reference.pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, (
            f"run `make docs`: {name}"
        )


def test_commands_of_the_docs_exist() -> None:
    """Every `sharekit …` line in README and docs names a command and options that exist."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    checked = 0
    for page in pages:
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(), re.DOTALL):
            for line in re.findall(r"^(?:\$ )?sharekit (\w.*)$", block, re.MULTILINE):
                words = line.split("#")[0].split()
                assert words[0] in COMMANDS, f"{page.name}: {line}"
                command = load_command(words[0])
                if isinstance(command, click.Group):
                    command = command.commands[words[1]]
                options = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
                for word in words[1:]:
                    if word.startswith("-") and word != "-":
                        assert word.split("=")[0] in options, f"{page.name}: {line}"
                checked += 1
    assert checked >= 10


def test_where_a_change_goes() -> None:
    """Every file that CONTRIBUTING.md names exists, and each change goes to three at most."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (.+?) \| (`.+?) \| ?(.*) \|$", page, re.MULTILINE)
    assert len(lines) >= 14
    for change, files, more in lines:
        assert 1 <= len(re.findall(r"`[^`]+`", files)) <= 3, change
        for name in re.findall(r"`([a-z_/]+(?:NAME[a-z_]*)?(?:\.py|/))`", files + more):
            path = PACKAGE / name
            assert (path.parent if "NAME" in name else path).exists(), f"{change}: {name}"
    for name in re.findall(r"`(tests/[\w/.]+)`", page):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lines_are_the_docstrings_first(name: str) -> None:
    """The list of commands in the help says of each what the command's own help begins with."""
    assert COMMANDS[name][1] == (load_command(name).help or "").split("\n")[0]


def test_make_targets_of_the_readme_exist() -> None:
    """Every `make …` in README and CONTRIBUTING is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"`?make ([a-z]+)`?", (ROOT / page).read_text()))
        assert named <= targets
        assert named


def test_no_marks_of_a_merge_are_left() -> None:
    """No file that is kept has the lines which an unfinished merge leaves behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    files = [ROOT / name.decode() for name in listed if name]
    assert len(files) > 100
    mark = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})( |\r?$)", re.MULTILINE)
    kept = [path for path in files if path.is_file() and b"\0" not in path.read_bytes()[:4096]]
    assert not [path.name for path in kept if mark.search(path.read_bytes())]


def test_a_folder_is_seen_at_a_glance() -> None:
    """No folder of the package holds more than 12 modules, and its top at most 12 packages."""
    modules = Counter(p.parent for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")
    assert {folder: n for folder, n in modules.items() if n > 12} == {}
    assert sum(1 for p in PACKAGE.iterdir() if (p / "__init__.py").exists()) <= 12
