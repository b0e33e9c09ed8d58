"""An inventory that is not what a plan was made of is said wherever the old plan is shown."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.interfaces.changed_inputs import changed_inputs
from sharekit.interfaces.cli.main import main
from sharekit.interfaces.notebook.pages import head
from sharekit.interfaces.review import Review

CELLS = "image_id,project_id,status\n{},edc89b490d3d4392898e19b2deb34797,accepted\n"
ONE, OTHER = "9afb8f1d-1bc3-4c3f-893e-3f4716e5e65e", "5a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e"


@pytest.fixture
def shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A csv file, and run.ledger beside it with a plan of it, made there by its bare name."""
    monkeypatch.chdir(tmp_path)
    file = Path("shares.csv")
    file.write_text(CELLS.format(ONE))
    sharekit.plan(sharekit.check(sharekit.read_inventory(file)), "run.ledger")
    return tmp_path / file


def test_as_it_was_nothing_is_said(shares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is touched, or looked at from another folder, is the same."""
    os.utime(shares, (0, 0))
    monkeypatch.chdir("/")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sharekit.review(shares.with_name("run.ledger")).changed_inputs == ()


@pytest.mark.parametrize("change", ["edited", "moved"])
def test_a_change_is_said_everywhere(
    shares: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """review() warns, the panel's head and each command say it, and all of them go on."""
    if change == "edited":
        shares.write_text(CELLS.format(OTHER))
        said = "shares.csv is not what this plan was made of, so what is new in it is not in the"
    else:
        shares.rename(shares.with_name("old.csv"))
        said = "shares.csv is not where it was, so nobody can see whether"
    with pytest.warns(UserWarning, match=f"^{said}.*follows='run.ledger'") as told:
        review = sharekit.review("run.ledger")
    assert [Path(one.filename).name for one in told] == [Path(__file__).name]
    assert said in str(head(review, [], shown=0))
    mark = review.plan.fingerprint[:12]
    approve = ["approve", "run.ledger", "--reviewer", "Ada", "--fingerprint", mark]
    for command in (["review", "run.ledger"], ["status", "run.ledger"], approve,
                    ["submit", "run.ledger", "--cloud", "none"]):  # fmt: skip
        with pytest.raises(SystemExit):
            main(command)
        err = " ".join(capsys.readouterr().err.split())
        assert err.startswith(f"Warning: {said}"), command
        assert "`sharekit plan SHARES NEW --follows run.ledger`" in err


def test_what_is_no_file_is_known_by_its_hash(tmp_path: Path) -> None:
    """A DataFrame is compared where it is given again; nothing is said of it where it is not."""
    line = {"image_id": ONE, "project_id": "edc89b490d3d4392898e19b2deb34797", "status": "accepted"}
    frame, path = pd.DataFrame([line]), tmp_path / "run.ledger"
    inventory = sharekit.read_inventory(frame)
    sharekit.plan(sharekit.check(inventory), path)
    assert changed_inputs(path) == changed_inputs(path, inventory) == []
    assert Review(path).changed_inputs == ()
    other = sharekit.read_inventory(frame.assign(image_id=OTHER))
    assert changed_inputs(path, other) == [
        "DataFrame is not what this plan was made of, so what is new in it is not in the plan."
    ]


def test_a_finished_run_needs_its_inventory_no_more(finished_run: Path) -> None:
    """Of a finished run nothing is said, whatever became of its inventory."""
    other = sharekit.read_inventory([{"image_id": ONE, "project_id": "p", "status": "accepted"}])
    assert changed_inputs(finished_run / "run.ledger", other) == []
