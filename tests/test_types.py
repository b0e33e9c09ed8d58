"""Type checkers accept what the documentation shows, and reject what would fail."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest
from mypy import api

import sharekit

ROOT = Path(__file__).parents[1]
PRELUDE = """\
import pandas as pd
import sharekit
from pathlib import Path
review = sharekit.review("run.ledger")
plan = review.plan
frame = pd.DataFrame({"image_id": ["9afb…"]})
"""
GOOD = """\
sharekit.read_inventory(frame, [{"image_id": "9afb…", "size": 1}], Path("a.xlsx"), b"", name="a")
with open("members.json", "rb") as stream, open("members.csv") as text:
    sharekit.read_inventory(stream, text, columns={"image_id": "ID"}, defaults={"status": "yes"})
review.decide([1, 2], "reject", reason="unknown owner")
review.decide(plan.rows["owner"] == "0f5e…", "skip", reason="later")
review.decide(plan.rows.index[:3], "accept")
review.decide(plan.rows.index.to_numpy(), "")
review.decide(range(3), "accepted")
review.decide(["vm-17"], "accept")
review.decide(pd.DataFrame({"decision": ["skip"], "reason": ["later"]}, index=["vm-17"]))
sharekit.policy("trusted", owner=["0f5e…"], then="accept")
sharekit.policy("left", then="leave")
"""
BAD = {
    'review.decide([1], "rejectt")': "arg-type",
    'review.decide("17", "reject")': "arg-type",
    'review.decide([1], decision="acept")': "arg-type",
    'sharekit.policy("trusted", then="acept")': "arg-type",
    "sharekit.read_inventory(7)": "arg-type",
    "sharekit.read_inventory(frame, columns={1: 'ID'})": "dict-item",
}


#: What the examples in docstrings take as given: the public names, and a value of each step.
OF_DOCSTRINGS = """\
import pandas as pd
import sharekit
from sharekit import *
inventory = read_inventory("shares.xlsx")
clouds = connect("otc")
findings = check(inventory, clouds)
shares = pd.DataFrame({"image_id": ["9afb…"]})
"""
#: What the examples on pages take as given.
OF_PAGES = """\
import pandas as pd
import sharekit
shares = pd.DataFrame({"image_id": ["9afb…"], "team": ["Data"]})
clouds = sharekit.connect("otc")
"""


def examples() -> dict[str, str]:
    """Return every Python example of the pages and of public docstrings, by a name for a file.

    The program that checks a ledger without sharekit is no example of it.
    """
    found = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        blocks = re.findall(r"```py(?:thon)?\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        own = "\n".join(block for block in blocks if "import sqlite3" not in block)
        found[f"page_{page.parent.name}_{page.stem}".replace("-", "_")] = OF_PAGES + own
    for name in sharekit.__all__:
        for test in doctest.DocTestFinder().find(getattr(sharekit, name), name):
            code = "".join(example.source for example in test.examples)
            found[test.name.replace(".", "_")] = OF_DOCSTRINGS + code
    return {name: text for name, text in found.items() if text not in (OF_PAGES, OF_DOCSTRINGS)}


def check(folder: Path, texts: dict[str, str]) -> str:
    """Return what mypy says of programs, in strict mode."""
    files = []
    for name, text in texts.items():
        files.append(str(folder / f"{name}.py"))
        Path(files[-1]).write_text(text, encoding="utf-8")
    config = ["--strict", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
    return api.run([*config, "--cache-dir", str(ROOT / ".mypy_cache"), *files])[0]


@pytest.mark.slow
def test_examples_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mypy accepts every Python example of pages and docstrings, and rejects wrong decisions and
    inputs; pyright does so too: `python -m tests.test_types DIR && npx pyright DIR`."""  # noqa: D205, D209
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    good = examples()
    assert len(good) > 15
    bad = {f"bad{number}": PRELUDE + code for number, code in enumerate(BAD)}
    said = check(tmp_path, good | {"good": PRELUDE + GOOD} | bad)
    wrong = {}
    for number, code in enumerate(BAD):
        found = re.findall(rf"bad{number}\.py:\d+: error: .*\[([a-z-]+)\]$", said, re.MULTILINE)
        wrong[code] = ", ".join(found)
    assert wrong == BAD, said
    assert not [line for line in said.splitlines() if ": error: " in line and "/bad" not in line], (
        said
    )


if __name__ == "__main__":
    for name, text in (examples() | {"good": PRELUDE + GOOD}).items():
        (Path(sys.argv[1]) / f"{name}.py").write_text(text, encoding="utf-8")
    for number, code in enumerate(BAD):
        (Path(sys.argv[1]) / f"bad{number}.py").write_text(PRELUDE + code, encoding="utf-8")
