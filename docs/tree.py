"""The tree of the package as it is: a line for each folder, and the names of its modules."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sharekit"
#: Top-level packages from the ground up, as the import contract of pyproject.toml orders them.
ORDER = (
    "core", "spreadsheets", "clouds", "ledger", "checks", "plans", "runs", "audits", "reports",
    "fleets", "interfaces", "simulator",
)  # fmt: skip


def tree() -> str:
    """Return the packages with what each is for, and under each its modules and folders."""
    return "\n".join(line for name in ORDER for line in _lines(PACKAGE / name, 2))


def _lines(folder: Path, indent: int) -> list[str]:
    title = f"{' ' * indent}{folder.name}/"
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    lines = [f"{title:<18}{(docstring or '').splitlines()[0]}"]
    modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("__"))
    if modules:
        names = textwrap.fill("  ".join(modules), 94 - indent, break_on_hyphens=False)
        lines += textwrap.indent(names, " " * (indent + 2)).splitlines()
    for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
        lines += _lines(inner, indent + 2)
    return lines
