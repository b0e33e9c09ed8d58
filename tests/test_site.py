"""The site is built without a warning, loads nothing from outside, and documents every name."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import sharekit

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
