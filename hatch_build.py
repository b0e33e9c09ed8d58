"""The page of the package in an index: the README, with addresses that work there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class CustomMetadataHook(MetadataHookInterface):
    """Takes the project's address from pyproject.toml, the one place where it is written."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of the package."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        home = metadata["urls"]["Homepage"]
        metadata["readme"] = {"content-type": "text/markdown", "text": make_absolute(text, home)}


def make_absolute(text: str, home: str) -> str:
    """Give pictures and links of a page that are files of the repository their whole address.

    >>> make_absolute("![A](docs/a.png) [b](c.md#d) [e](#f)", "https://x.example")
    '![A](https://x.example/raw/main/docs/a.png) [b](https://x.example/blob/main/c.md#d) [e](#f)'
    """
    return re.sub(
        r"(!?)(\[[^\]]*\]\()(?!\w+:|#)",
        lambda m: f"{m[1]}{m[2]}{home}/{'raw' if m[1] else 'blob'}/main/",
        text,
    )
