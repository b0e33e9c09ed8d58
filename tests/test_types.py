"""Type checkers accept what the documentation shows, and reject what would fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

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


def check(*texts: str, folder: Path) -> str:
    """Return what mypy says of programs, in strict mode."""
    files = []
    for number, text in enumerate(texts):
        files.append(str(folder / f"example{number}.py"))
        Path(files[-1]).write_text(PRELUDE + text, encoding="utf-8")
    config = ["--strict", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
    return api.run([*config, "--no-incremental", *files])[0]


@pytest.mark.slow
def test_examples_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mypy accepts every Python example of README and guide, and rejects wrong input."""
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    pages = "".join((ROOT / page).read_text() for page in ("README.md", "docs/guide.md"))
    examples = re.findall(r"```py(?:thon)?\n(.*?)```", pages, re.DOTALL)
    assert examples
    said = check(GOOD, *examples, *BAD, folder=tmp_path)
    wrong = {}
    for number, code in enumerate(BAD, start=1 + len(examples)):
        found = re.findall(rf"example{number}\.py:\d+: error: .*\[([a-z-]+)\]$", said, re.MULTILINE)
        wrong[code] = ", ".join(found)
    assert wrong == BAD, said
    assert not re.findall(rf"example[0-{len(examples)}]\.py.*error.*", said), said
