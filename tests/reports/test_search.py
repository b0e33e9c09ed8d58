"""Who decided on this image? Every decision, approval, request and observation is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.core.errors import LedgerError, UsageError
from sharekit.core.frame_schemas import FOUND
from sharekit.ledger.ledger import Ledger
from tests.interfaces.test_cli import shell
from tests.ledger.samples.make import SAMPLES

FOLDER = Path(__file__).parents[1] / "ledger" / "samples"
LEDGERS = [FOLDER / f"{name}.ledger" for name in SAMPLES]


def test_every_line_names_its_event() -> None:
    """Each line has a ledger, the number and time of an event in it, and says what it is about."""
    found = sharekit.find("Ada", *LEDGERS)
    assert found.columns.tolist() == list(FOUND.names)
    assert found["at"].is_monotonic_increasing
    for path, lines in found.groupby("ledger"):
        with Ledger.open(path) as ledger:
            events = {(e.seq, e.at, e.kind) for e in ledger.iter_events()}
        assert set(lines[["seq", "at", "event"]].itertuples(index=False, name=None)) <= events
    assert (found["what"] != "").all()


@pytest.mark.parametrize("outcome", ["confirmed", "failed", "contradicted", "unknown", "skipped"])
def test_the_life_of_an_image(outcome: str) -> None:
    """From the plan over approval and requests to what was read back: all of it, of this image."""
    path = FOLDER / "every-outcome.ledger"
    run = sharekit.status(path)
    key = run.rows.index[run.rows["outcome"] == outcome][0]
    row = run.plan.rows.loc[key]
    found = sharekit.find(row["image_id"].upper(), path)
    of_one = found[found["project_id"] == row["project_id"]]
    assert set(found["image_id"]) <= {row["image_id"], ""}
    expected = {"planned", "snapshot_taken", "outcomes_recorded"}
    sent = {"intent", "answer", "preflight_snapshot"} if outcome != "skipped" else {"decided"}
    assert expected | sent <= set(of_one["event"])
    last = of_one[of_one["about"] == "outcome"].iloc[-1]
    assert last["what"].startswith(outcome)
    with Ledger.open(path) as ledger:
        intents = [
            e.seq for e in ledger.iter_events("intent") if row["image_id"] in e.body["images"]
        ]
    assert of_one.loc[of_one["event"] == "intent", "seq"].tolist() == intents
    approvals = found[found["about"] == "approval"]
    assert approvals["person"].tolist() == ([] if outcome == "skipped" else ["Ada"])


def test_a_project_over_runs_and_audits() -> None:
    """A project's shares are found in all ledgers, each line of it or of images that it owns."""
    run = sharekit.status(FOLDER / "undo.ledger")
    project = run.plan.rows["project_id"].iloc[0]
    found = sharekit.find(project, *LEDGERS)
    assert set(found["ledger"]) == {str(path) for path in LEDGERS}
    shares = found[found["image_id"] != ""]
    assert set(shares["project_id"]) == {project}
    assert {"decision", "approval", "request", "observation", "outcome"} == set(found["about"])


def test_a_person_is_found_by_a_name_that_looks_alike(tmp_path: Path) -> None:
    """Bob decided on a row and approved the undo; ada, the user, called submit."""
    found = sharekit.find("BOB", *LEDGERS)
    assert set(found["about"]) == {"decision", "approval"}
    [decided] = found[found["event"] == "decided"].to_dict("records")
    assert decided["what"] == "skip: not ours"
    assert decided["image_id"]
    assert set(sharekit.find("Ada", *LEDGERS)["event"]) >= {"created", "submit_started", "approved"}
    assert sharekit.find("Eve", *LEDGERS).empty


def test_lines_of_a_plan_that_was_decided_anew(world: Callable[..., object]) -> None:
    """A step that was taken back is found with its person, and so is who took it back."""
    w = world(rows=12)
    plan = w.plan()  # type: ignore[attr-defined]
    key = int(plan.rows.index[plan.rows["disposition"] == "planned"][0])
    review = sharekit.review(plan, reviewer="Bob")
    review.decide([key], "skip", reason="not ours")
    review.undo()
    found = sharekit.find(plan.rows.at[key, "image_id"], plan)
    events = found.loc[found["person"] == "Bob", "event"].tolist()
    assert events == ["decided", "decision_undone"]


def test_in_the_shell(tmp_path: Path) -> None:
    """A table, a csv file or one JSON object; what nobody knows is exit 1 and one sentence."""
    for path in LEDGERS:
        shutil.copy(path, tmp_path)
    names = [path.name for path in LEDGERS]
    image = sharekit.status(LEDGERS[0]).plan.rows["image_id"].iloc[0]
    table = shell("find", image, *names, cwd=tmp_path)
    assert (table.returncode, table.stderr) == (0, b"")
    found = sharekit.find(image, *(tmp_path / name for name in names))
    head, *lines = table.stdout.decode().splitlines()
    assert head.split() == [
        "at",
        "ledger",
        "seq",
        "about",
        "image_id",
        "project_id",
        "project_name",
        "person",
        "what",
    ]
    assert len(lines) == len(found)
    assert all(image in line or " approval " in line for line in lines)
    one = json.loads(shell("find", image, *names, "--json", cwd=tmp_path).stdout)
    assert [line["seq"] for line in one["found"]] == found["seq"].tolist()
    assert shell("find", image, *names, "-o", "x.csv", cwd=tmp_path).returncode == 0
    csv = pd.read_csv(tmp_path / "x.csv", dtype="str", keep_default_na=False)
    assert csv["what"].tolist() == found["what"].tolist()
    nobody = shell("find", "0" * 32, *names, cwd=tmp_path)
    assert (nobody.returncode, nobody.stdout) == (1, b"")
    assert len(nobody.stderr.decode().splitlines()) == 1
    assert shell("find", "Ada", "none.ledger", cwd=tmp_path).returncode == 2
    assert shell("find", "Ada", *names, "-o", "x.pdf", cwd=tmp_path).returncode == 2


def test_wrong_calls(tmp_path: Path) -> None:
    """Without a ledger, or with one that is not there, it is one sentence."""
    with pytest.raises(UsageError, match="Name the ledgers"):
        sharekit.find("Ada")
    with pytest.raises(LedgerError, match="no such ledger"):
        sharekit.find("Ada", tmp_path / "none.ledger")
