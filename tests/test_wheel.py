"""What is installed from the wheel is what was tested from the tree."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def test_it_brings_few_packages_along() -> None:
    """Without extras at most 64 packages are installed, of at most 400 MB without byte code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed: set[tuple[str, str]] = set()
    left = [(Requirement(one), "") for one in project["dependencies"]]
    while left:
        one, of = left.pop()
        if one.marker is None or one.marker.evaluate({"extra": of}):
            wanted = {(canonicalize_name(one.name), extra) for extra in ("", *one.extras)} - needed
            needed |= wanted
            inner = [Requirement(text) for text in distribution(one.name).requires or ()]
            left += [(each, extra) for each in inner for _, extra in wanted]
    names = {name for name, _ in needed}
    files = [file for name in names for file in distribution(name).files or ()]
    size = sum(file.size or 0 for file in files if file.suffix != ".pyc")
    assert len(names) + 1 <= 64
    assert 100e6 < size <= 400e6


@pytest.mark.slow
def test_the_wheel_works(tmp_path: Path) -> None:
    """The built wheel holds the whole package, and its command runs the demo from it alone."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    wheel = next(tmp_path.glob("sharekit_ims-*.whl"))
    inside = set(zipfile.ZipFile(wheel).namelist())
    tree = {
        str(p.relative_to(ROOT))
        for p in (ROOT / "sharekit").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert tree <= inside
    name = wheel.name.rsplit("-", 3)[0]
    assert {p.split("/")[0] for p in inside} == {"sharekit", f"{name}.dist-info", f"{name}.data"}
    assert [p for p in inside if ".data/" in p] == [f"{name}.data/data/share/man/man1/sharekit.1"]
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True
    )
    # The libraries come from where the tests run; the package itself only from the wheel.
    site = next(p for p in sys.path if p.endswith("site-packages"))
    packages = next((home / "lib").glob("python*/site-packages"))
    (packages / "libraries.pth").write_text(f"{site}\n")
    where = subprocess.run(
        [python, "-I", "-c", "import sharekit; print(sharekit.__file__)"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(home)
    done = subprocess.run(
        [home / "bin" / "sharekit", "demo", "d", "--rows=40"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "d" / "audit.html").stat().st_size > 10_000
