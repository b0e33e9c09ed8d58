"""The site is built without a warning, loads nothing from outside, and documents every name."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import sharekit
from sharekit.interfaces.review import Review
from sharekit.runs.background import BackgroundRun

ROOT = Path(__file__).parents[1]
#: What a browser loads by itself: not what a reader clicks on.
LOADED = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")
IN_STYLES = re.compile(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')]+)")


def test_the_site(tmp_path: Path) -> None:
    """Sphinx builds it with warnings as errors; no page and no style loads from another host."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = LOADED.findall(page.read_text(encoding="utf-8"))
        assert loaded
        assert [url for url in loaded if urlsplit(url).netloc] == [], page.name
    for style in tmp_path.rglob("*.css"):
        assert IN_STYLES.findall(style.read_text(encoding="utf-8")) == [], style.name
    api = (tmp_path / "reference" / "api.html").read_text(encoding="utf-8")
    assert [name for name in sharekit.__all__ if f'id="sharekit.{name}"' not in api] == []


@pytest.mark.parametrize(
    "name", [name for name in sharekit.__all__ if inspect.isfunction(getattr(sharekit, name))]
)
def test_a_public_function_says_what_it_returns_and_raises(name: str) -> None:
    """The docstring of every public function has Returns, Raises and Examples."""
    told = inspect.getdoc(getattr(sharekit, name)) or ""
    for section in ("Returns", "Raises", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in told, section
    assert ">>> " in told


def methods() -> Iterator[Any]:
    """Every public method of the values that people hold, each with its class's name."""
    values = [getattr(sharekit, name) for name in sorted({*sharekit.__all__, *sharekit._HOMES})]
    for value in [*filter(inspect.isclass, values), Review, BackgroundRun]:
        for name, found in inspect.getmembers(value, callable):
            method = inspect.unwrap(getattr(found, "__func__", found))
            if name[0] != "_" and getattr(method, "__module__", "").startswith("sharekit."):
                yield pytest.param(method, id=f"{value.__name__}.{name}")


@pytest.mark.parametrize("method", [*methods()])
def test_a_public_method_says_what_it_returns_and_raises(method: Callable[..., Any]) -> None:
    """A method that returns something has Returns or Yields; one that raises by itself, Raises."""
    told = inspect.getdoc(method) or ""
    sections = set(re.findall(r"^(\w+)\n-+$", told, re.M))
    body = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(method)))))
    if inspect.signature(method).return_annotation != "None":
        assert ("Yields" if inspect.isgeneratorfunction(method) else "Returns") in sections
    if any(isinstance(one, ast.Raise) for one in body):
        assert "Raises" in sections
