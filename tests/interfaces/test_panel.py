"""The panel without a browser: every control goes through the review, and says what went wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sharekit
from sharekit.core.columns import with_unit
from sharekit.interfaces.notebook import pages, tree
from sharekit.interfaces.notebook.model import APPROVE, DECIDE, REQUESTS, SEND
from sharekit.interfaces.notebook.panel import Panel
from sharekit.interfaces.review import Review
from sharekit.ledger.ledger import Ledger
from sharekit.plans import decisions
from tests.conftest import FAST, World

Make = Callable[..., World]
HOSTILE = '<img src=x onerror="alert(1)">$x$\u202eexe\x07' + "y" * 10_000


@pytest.fixture
def panel(world: Make) -> Panel:
    """A panel over sixty rows, some of them with something wrong."""
    scene = world(rows=60, faulty=0.2)
    return Panel(Review(scene.planned(), scene.connect(), reviewer="Bob", settings=FAST))


def planned(panel: Panel, number: int = 1) -> list[int]:
    """Keys of rows that would be accepted."""
    frame = panel.review.state.rows
    free = frame[(frame["disposition"] == "planned") & (frame["wanted"] == "accept")]
    return [int(key) for key in free.index[:number]]


def elements(part: Any) -> Iterator[list[Any]]:
    """Every element of some trees."""
    for one in part:
        if isinstance(one, list):
            yield one
            yield from elements(one[2])


def seen(panel: Panel) -> str:
    """All that the page says, besides the rows."""
    return "\n".join(
        tree.to_html(one) for part in ("head", "above", "below") for one in panel.view[part]
    )


def buttons(panel: Panel, do: str) -> dict[str, dict[str, Any]]:
    """Label -> attributes of the buttons that do one thing."""
    trees = [one for part in ("head", "above", "below") for one in elements(panel.view[part])]
    return {one[2][0]: one[1] for one in trees if one[0] == "button" and one[1].get("do") == do}


def wait_to_see(panel: Panel, text: str) -> None:
    """Wait until the page says something."""
    until = time.monotonic() + 30
    while text not in seen(panel):
        assert time.monotonic() < until, seen(panel)
        time.sleep(0.02)


def lines(panel: Panel) -> list[dict[str, Any]]:
    """The lines of the grid that a page asks for first."""
    return panel.desk.grid.cells(0, 100)


def test_one_row_is_selected_and_decided_with_a_reason(panel: Panel) -> None:
    """Without a reason the field is focused, and nothing is written; with one the row changes."""
    (key,) = planned(panel)
    panel.act("select", key)
    assert "Reject 1 row" in buttons(panel, "decide")
    panel.act("decide", "reject")
    asked = [one[1] for one in elements(panel.view["above"]) if one[1].get("name") == "reason"]
    assert asked[0]["focus"]
    assert panel.review.state.changes.empty
    panel.act("confirm", reason=" ")
    assert panel.review.state.changes.empty
    panel.act("confirm", reason="owner left")
    assert panel.review.state.changes.loc[key].to_list() == ["reject", "owner left", "", "Bob"]
    assert "owner left" in [one[1].get("value") for one in elements(panel.view["above"])]
    assert "written into the ledger" in seen(panel)


def test_a_pending_decision_ends_where_other_rows_are_selected(panel: Panel) -> None:
    """A reason that comes after the selection has changed decides nothing."""
    first, second = planned(panel, 2)
    panel.act("select", first)
    panel.act("decide", "reject")
    panel.act("select", second)
    panel.act("confirm", reason="too late")
    assert panel.review.state.changes.empty


def test_a_range_is_selected_in_the_order_that_is_shown(panel: Panel) -> None:
    """From the last row to another one, all rows between them in a sorted view are selected."""
    panel.act("sort", "name")
    shown = [line["key"] for line in lines(panel)]
    panel.act("select", shown[2])
    panel.act("select", shown[5], "range")
    assert panel.desk.grid.chosen().tolist() == sorted(shown[2:6])
    panel.act("decide", "skip", reason="all of them")
    assert panel.review.state.changes.index.tolist() == sorted(shown[2:6])
    assert not panel.desk.grid.selected.any()


def test_all_shown_asks_before_it_overwrites(panel: Panel) -> None:
    """With explicit decisions among the rows shown, a question comes first, and it counts them."""
    (key,) = planned(panel)
    panel.review.decide([key], "skip", reason="mine")
    panel.act("decide", "reject", reason="all")
    assert "1 of the 60 rows shown" in seen(panel)
    assert len(panel.review.state.changes) == 1
    panel.act("leave")
    panel.act("answer", 0)
    assert len(panel.review.state.changes) == 1
    panel.act("decide", "reject", reason="all")
    panel.act("answer", 1)
    assert panel.review.state.rows.at[key, "decision"] == "skip"
    assert len(panel.review.state.changes) == 60
    panel.act("decide", "skip", reason="all of them")
    panel.act("answer", 0)
    assert set(panel.review.state.rows["decision"]) == {"skip"}


def test_selected_rows_that_a_filter_hides_are_counted_and_asked_about(panel: Panel) -> None:
    """What is selected and not shown is said, and not decided without a question."""
    first, second = planned(panel, 2)
    panel.act("select", first)
    panel.act("select", second, "toggle")
    panel.act("search", search=str(panel.review.state.rows.at[first, "image_id"]))
    assert "1 of 60 rows shown, 2 selected, 1 of them not shown" in seen(panel)
    panel.act("decide", "skip", reason="x")
    assert panel.review.state.changes.empty
    panel.act("answer", 1)
    assert panel.review.state.changes.index.tolist() == [first]


def test_filters_are_chips_that_come_off(panel: Panel) -> None:
    """Values, texts, ranges and tiles narrow the grid; each chip takes one of them off."""
    panel.act("menu", "project")
    labels = [one for one in elements(panel.view["above"]) if one[0] == "label"]
    assert any(one[2][-1][2] != [] for one in labels if isinstance(one[2][-1], list))
    panel.act("filter", "values", **{"value-0": True})
    shown = len(panel.desk.grid.lines.rows)
    assert 0 < shown < 60
    panel.act("menu", "row")
    panel.act("filter", "text", least="1", greatest="20")
    assert len(panel.desk.grid.lines.rows) < shown
    assert len(buttons(panel, "unchip")) == 2
    panel.act("unchip", "1")
    assert len(panel.desk.grid.lines.rows) == shown
    panel.act("tile", "blocked")
    assert {panel.review.state.rows.at[one["key"], "state"] for one in lines(panel)} == {"blocked"}
    panel.act("tile", "warnings")
    told = next(name for name in buttons(panel, "tile") if name.endswith("with warnings"))
    assert told == f"{panel.view['grid']['total']} with warnings"
    panel.act("clear")
    assert panel.view["grid"]["total"] == 60


def test_a_group_folds_and_is_decided_as_a_whole(panel: Panel) -> None:
    """A group's rows, and no others, are decided by its line; the button names the group."""
    panel.act("group", "project")
    first = lines(panel)[1]
    assert first["label"].startswith(panel.desk.grid.lines.groups[1])
    rows = panel.desk.grid.lines.of_group(1)
    panel.act("select_group", 1)
    name = panel.desk.grid.lines.groups[1]
    assert f"Skip {with_unit(len(rows), 'row')} of {name}" in buttons(panel, "decide")
    panel.act("decide", "skip", reason="not theirs")
    assert panel.review.state.changes.index.tolist() == sorted(rows.tolist())
    panel.act("fold", 1)
    assert panel.view["grid"]["total"] == len(panel.desk.grid.lines.groups) + len(rows)


def test_rows_are_grouped_by_age(tmp_path: Path) -> None:
    """A column of days is one of ages, too, the newest first; what is no day is unread."""
    today = datetime.now(UTC).date()
    days = [str(today - timedelta(days=n)) for n in (3, 40, 200, 800, -40)]
    texts = [*days, f"{days[0]} 12:30:00", "", "2026-13-01", "soon"]
    table = pd.DataFrame({
        "image_id": [f"{n:08x}-1bc3-4c3f-893e-{n:012x}" for n in range(len(texts))],
        "project_id": "0a" * 16, "status": "accepted", "shared on": texts,
    })  # fmt: skip
    plan = sharekit.plan(sharekit.check(sharekit.read_inventory(table)), tmp_path / "run.ledger")
    panel = Panel(Review(plan))
    panel.act("group", "age.input.shared on")
    assert [line["label"].strip() for line in lines(panel)] == [
        "0 to 30 days: 2 rows", "31 to 90 days: 1 row", "91 to 365 days: 1 row",
        "in the future: 1 row", "more than a year: 1 row", "unread: 3 rows",
    ]  # fmt: skip


def test_the_chart_of_many_projects_has_a_bound(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest projects are drawn, and all of them where somebody asks for them."""
    monkeypatch.setattr(pages, "BARS", 2)
    projects = panel.review.state.counts["projects"]
    panel.act("draw")
    for ask, drawn in ((f"{projects} projects ▸", 2), (f"Show all {projects} projects", projects)):
        panel.act("bars", buttons(panel, "bars")[ask]["key"])
        assert len(buttons(panel, "project")) == drawn
    panel.act("bars", buttons(panel, "bars")[f"{projects} projects ▾"]["key"])
    assert not buttons(panel, "project")


def test_what_was_changed_is_shown_by_owner_reason_and_person(panel: Panel) -> None:
    """Before approval three tables stand side by side, and each counts all that was changed."""
    first, second, third = planned(panel, 3)
    panel.review.decide([first, second], "skip", reason="no owner")
    panel.review.decide([third], "reject", reason="too old")
    panel.act("page", APPROVE)
    said = seen(panel)
    assert "What was changed: 3 rows" in said
    for head in ("Owner", "Reason", "Person"):
        assert f"<th>{head}</th><th>Inventory says</th><th>Decided</th><th>Rows</th>" in said
    assert "<td>no owner</td><td>accepted</td><td>skip</td><td>2</td>" in said
    assert "<td>Bob</td><td>accepted</td><td>reject</td><td>1</td>" in said


def test_a_letter_means_the_line_where_one_is(panel: Panel) -> None:
    """Without a selection a key decides on its own row, never on all that are shown."""
    (key,) = planned(panel)
    panel.act("letter", "s", {"key": key, "group": -1}, reason="later")
    assert panel.review.state.changes.index.tolist() == [key]
    panel.act("letter", "u", {"key": key, "group": -1})
    assert panel.review.state.changes.empty


def test_undo_and_redo_say_what_they_would_do(panel: Panel) -> None:
    """Both name the step, and both are steps of the ledger."""
    keys = planned(panel, 3)
    panel.act("select", keys[0])
    panel.act("select", keys[2], "toggle")
    panel.act("decide", "skip", reason="x")
    assert "Undo: Skip 2 rows" in buttons(panel, "undo")
    panel.act("undo")
    assert panel.review.state.changes.empty
    assert "Redo: Skip 2 rows" in buttons(panel, "redo")
    panel.act("redo")
    assert panel.review.state.changes.index.tolist() == [keys[0], keys[2]]
    decisions.decide(panel.review.path, [keys[1]], decision="skip", reason="y", reviewer="Eve")
    panel.act("undo")
    assert len(panel.review.state.changes) == 3


def test_looks_are_remembered_beside_the_ledger(panel: Panel) -> None:
    """Columns, widths, order and density stay for the next panel; a broken file changes nothing."""
    panel.act("column", "by")
    panel.act("width", "name", 333)
    panel.act("density", "dense")
    panel.act("move", "by", "wanted")
    again = Panel(Review(panel.review.path)).view["grid"]
    assert again["row"] == 22
    assert again["columns"][0]["name"] == "by"
    assert {one["name"]: one["width"] for one in again["columns"]}["name"] == 333
    path = panel.review.path.with_name("run.ledger.panel.json")
    for broken in ("{", "[1]", json.dumps({"columns": [["x"]], "widths": {"name": "wide"},
                                           "sort": "<b>", "density": []})):  # fmt: skip
        path.write_text(broken)
        assert Panel(Review(panel.review.path)).view["grid"]["total"] == 60


def test_turning_to_the_requests_takes_the_decisions_into_the_plan(panel: Panel) -> None:
    """The requests page shows the plan with every decision, under its new fingerprint."""
    before = panel.review.state.plan.fingerprint
    (key,) = planned(panel)
    image = panel.review.state.rows.at[key, "image_id"]
    panel.review.decide([key], "skip", reason="x")
    panel.act("page", REQUESTS)
    assert panel.review.state.plan.fingerprint != before
    assert panel.review.state.plan.fingerprint in seen(panel)
    assert image not in seen(panel)
    panel.act("chunk", "2")
    assert "chunk 2 of" in seen(panel)


def test_the_button_is_not_the_gate(panel: Panel) -> None:
    """Clicking disabled buttons by script approves and sends nothing, and says why."""
    panel.act("page", SEND)
    assert buttons(panel, "submit")["Send"]["disabled"]
    panel.act("submit")
    assert "not approved" in seen(panel)
    panel.act("page", APPROVE)
    panel.act("approve", name="Ada", phrase="yes")
    assert "write exactly" in seen(panel)
    with Ledger.open(panel.review.path) as book:
        assert book.last_event("approved") is None
        assert book.last_event("intent") is None


def test_the_whole_way_by_its_controls(panel: Panel) -> None:
    """Name, phrase, Approve, Send: the run goes to its end, and the reports are written."""
    (key,) = planned(panel)
    panel.review.decide([key], "skip", reason="the owner asked")
    panel.act("page", APPROVE)
    assert "the owner asked" in seen(panel)
    panel.act("approve", name="Ada", phrase=panel.review.state.phrase)
    assert buttons(panel, "page")["4 Send"]["aria-current"] == "page"
    panel.act("letter", "a", {"key": key, "group": -1})
    assert "Ada has approved" in seen(panel)
    panel.act("submit")
    assert panel.review.run.submission is not None
    panel.review.run.submission.wait(60)
    panel.act("draw")
    assert "The run is finished" in seen(panel)
    panel.act("report")
    assert "audit.html" in seen(panel)
    assert sharekit.verify(panel.review.path, panel.review.path.parent / "run-audit.html").intact


def test_two_reviewers_are_asked_for_and_shown(world: Make) -> None:
    """Where two have to approve, the first one's yes is shown, the form stays, and nothing goes."""
    scene = world(rows=10)
    demand = sharekit.plans.approval.ApprovalRequirement(reviewers=2)
    panel = Panel(Review(scene.planned(), scene.connect(), settings=FAST, demand=demand))
    panel.act("page", APPROVE)
    assert "2 reviewers have to approve" in seen(panel)
    for name, stage in (("Ada", "approving"), ("ada ", "approving"), ("Eve <b>", "approved")):
        panel.act("approve", name=name, phrase=panel.review.state.phrase)
        assert panel.review.gate.stage == stage
        panel.act("page", SEND)
        assert bool(buttons(panel, "submit")["Send"].get("disabled")) == (stage != "approved")
        if stage == "approving":
            panel.act("submit")
            assert "1 more reviewer must approve" in seen(panel)
        panel.act("page", APPROVE)
        assert "<li>Ada" in seen(panel)
    assert "Eve &lt;b&gt;" in seen(panel)


def test_outcomes_are_rows_of_the_grid_and_what_failed_is_planned_anew(world: Make) -> None:
    """A tile shows its rows; what failed becomes a plan of its own in the same panel, once."""
    scene = world(rows=60, faults="job_partial=0.3")
    panel = Panel(Review(scene.approved(chunk_size=5), scene.connect(), settings=FAST))
    panel.review.submit().wait(60)
    panel.act("page", SEND)
    failed = panel.review.run.status().counts["failed"]
    panel.act("outcome", "failed")
    assert panel.view["grid"]["total"] == failed
    assert lines(panel)[0]["cells"][0] == "failed"
    panel.act("outcome", "failed")
    assert panel.view["grid"]["total"] == 60
    assert f"Plan {failed} rows anew" in buttons(panel, "retry")
    panel.act("retry")
    assert panel.review.path.name == "run-retry.ledger"
    assert len(panel.review.state.plan.rows) == failed
    panel.act("back")
    assert panel.review.path.name == "run.ledger"


def test_a_second_panel_shows_what_the_first_decides_at_its_next_step(panel: Panel) -> None:
    """Both can decide; what the other has not shown is neither overwritten nor undone."""
    second = Panel(Review(panel.review.path, reviewer="Eve"))
    first, other = planned(panel, 2)
    panel.act("letter", "s", {"key": first, "group": -1}, reason="x")
    second.act("letter", "s", {"key": other, "group": -1}, reason="x")
    assert second.review.state.rows.loc[[first, other], "by"].tolist() == ["Bob", "Eve"]
    panel.act("page", DECIDE)
    assert "changed elsewhere" in seen(panel)
    third = Panel(Review(panel.review.path, reviewer="Bob"))
    third.act("letter", "s", {"key": first, "group": -1}, reason="mine")
    panel.act("letter", "a", {"key": first, "group": -1}, reason="no")
    assert panel.review.state.rows.at[first, "reason"] == "mine"


def test_an_approval_can_be_taken_back_in_the_panel(panel: Panel) -> None:
    """Taking it back opens the rows again."""
    panel.review.approve("Ada", panel.review.state.phrase)
    panel.act("page", APPROVE)
    assert buttons(panel, "revoke")
    panel.act("revoke")
    assert panel.review.gate.stage == "deciding"


def test_vaults_are_given_project_by_project_in_one_step(world: Make) -> None:
    """The table names each project's vaults with their room; the chosen ones are one step."""
    scene = world(rows=120, faulty=0.4)
    panel = Panel(Review(scene.plan()))
    frame = panel.review.state.rows
    lacking = frame.index[frame["findings"].str.contains("vault-missing:")]
    panel.act("vaults")
    assert "GB free" in seen(panel)
    choices = [one for one in elements(panel.view["above"]) if one[0] == "select"]
    form = {one[1]["name"]: one[2][1][1]["value"] for one in choices}
    steps = len(panel.review.state.steps)
    panel.act("give_vaults", **form)
    assert len(panel.review.state.steps) == steps + 1
    assert (panel.review.state.rows.loc[lacking, "vault"] != "").any()
    panel.act("vaults")
    panel.act("give_vaults", **dict.fromkeys(form, "no such vault"))
    assert len(panel.review.state.steps) == steps + 1


def test_a_failure_of_any_kind_is_said(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a callback raises, even a bug of ours, stands in the panel."""
    at = {"key": planned(panel)[0], "group": -1}
    with Ledger.open(panel.review.path, write=True):
        panel.act("letter", "s", at, reason="x")
    assert "is in use by process" in seen(panel)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decisions, "record_step", full)
    panel.act("letter", "s", at, reason="x")
    assert "No space left on device" in seen(panel)
    for do, key in (("no such thing", ""), ("select", "61"), ("select", "-1"), ("sort", "<b>")):
        panel.act(do, key)
    assert not panel.desk.grid.selected.any()


def test_what_is_changed_elsewhere_is_said_and_shown(panel: Panel) -> None:
    """A decision from another cell or the shell shows at the next step."""
    (key,) = planned(panel)
    decisions.decide(panel.review.path, [key], decision="skip", reason="from the shell")
    panel.act("page", DECIDE)
    assert "changed elsewhere" in seen(panel)
    assert panel.review.state.rows.at[key, "reason"] == "from the shell"


def test_nothing_from_data_becomes_markup(panel: Panel) -> None:
    """Hostile names, reasons and cells are texts of elements, visible and cut short, everywhere."""
    (key,) = planned(panel)
    panel.review.decide([key], "skip", reason=HOSTILE)
    panel.act("open", key)
    said = [seen(panel), json.dumps(lines(panel)), pages.static_summary(panel.review)]
    for number in (REQUESTS, APPROVE, SEND, DECIDE):
        panel.act("page", number)
        said.append(seen(panel))
    for text in said:
        assert "\u202e" not in text
        assert "y" * 2000 not in text
    for text in (seen(panel), said[2], said[4]):
        assert "<img" not in text
    assert any("[U+202E]" in text for text in said)


def test_a_saved_notebook_still_says_what_stands(panel: Panel) -> None:
    """The summary without a kernel names the fingerprint, that nothing is sent, and what to call;
    no row is part of what a notebook saves."""  # noqa: D205, D209
    text = pages.static_summary(panel.review)
    assert panel.review.state.plan.fingerprint in text
    assert "nobody has approved" in text
    assert "review.submit()" in text
    assert len(text) < 1500
    saved = json.dumps(panel.get_state(drop_defaults=True), default=str)
    assert not any(image in saved for image in panel.review.state.rows["image_id"])


def test_little_goes_to_the_page(panel: Panel) -> None:
    """All that goes to the page at first, scripts and rows included, is at most 0.1 MB."""
    sent = len(json.dumps(panel.get_state(), default=str)) + len(json.dumps(lines(panel)[:60]))
    assert sent < 100_000


def test_progress_is_drawn_and_cancel_answers_at_once(world: Make) -> None:
    """While a run goes on, its ticks redraw the page; Cancel answers within a second."""
    scene = world(rows=60, faults="latency=0.2")
    panel = Panel(Review(scene.approved(chunk_size=1), scene.connect(), settings=FAST))
    panel.act("page", SEND)
    panel.act("submit")
    wait_to_see(panel, "images done")
    began = time.monotonic()
    panel.act("cancel")
    assert time.monotonic() - began < 1
    assert panel.review.run.submission is not None
    panel.review.run.submission.wait(60)
    wait_to_see(panel, "run stands")


def test_the_shell_needs_no_widgets(tmp_path: Path) -> None:
    """Neither the package nor its command line loads ipywidgets."""
    code = (
        "import sys, sharekit, sharekit.interfaces.cli; sharekit.review; "
        "print([m for m in sys.modules if m in ('ipywidgets', 'anywidget', 'IPython')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
