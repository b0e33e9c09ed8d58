"""The panel without a browser: every control goes through the review, and says what went wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.interfaces.notebook import markup, table
from sharekit.interfaces.notebook.model import APPROVE, DECIDE, REQUESTS, SEND
from sharekit.interfaces.notebook.panel import Panel
from sharekit.interfaces.review import Review
from sharekit.interfaces.review_filters import Page, RowFilter
from sharekit.ledger.ledger import Ledger
from sharekit.plans import decisions
from tests.conftest import FAST, World

Make = Callable[..., World]
HOSTILE = '<img src=x onerror="alert(1)">$x$\u202eexe\x07' + "y" * 10_000


@pytest.fixture
def panel(world: Make) -> Panel:
    """A panel over sixty rows, some of them with something wrong."""
    scene = world(rows=60, faulty=0.2)
    return Panel(Review(scene.plan(), scene.connect(), reviewer="Bob", settings=FAST))


def planned(panel: Panel, number: int = 1) -> list[int]:
    """Keys of rows that would be accepted."""
    frame = panel.review.rows
    free = frame[(frame["disposition"] == "planned") & (frame["wanted"] == "accept")]
    return [int(key) for key in free.index[:number]]


def approve(panel: Panel, name: str) -> None:
    """Fill in the form of an approval, and click."""
    page = panel.page(APPROVE)
    page.name.value, page.phrase.value = name, panel.review.state.phrase
    page.approve.click()


def test_a_row_is_decided_by_its_list(panel: Panel) -> None:
    """Choosing in a row's list decides on that row, with the reason that stands beside it."""
    (key,) = planned(panel)
    panel.page(DECIDE).table.region.send_event("decide", str(key), "reject")
    assert "write a reason" in panel.message.html
    assert panel.review.changes.empty
    panel.page(DECIDE).reason.value = "owner left"
    panel.page(DECIDE).table.region.send_event("decide", str(key), "reject")
    assert panel.message.html == ""
    assert panel.review.changes.loc[key].to_list() == ["reject", "owner left", "", "Bob"]
    assert "→ rejected" in panel.page(DECIDE).table.region.html


def test_the_selection_survives_paging_and_is_decided_as_a_whole(panel: Panel) -> None:
    """Rows selected on two pages are decided together, wherever the table stands then."""
    deciding = panel.page(DECIDE)
    deciding.table.region.send_event("select", "0", True)
    deciding.table.region.send_event("page", "1")
    deciding.table.region.send_event("page-select", "", True)
    deciding.reason.value = "all of them"
    deciding.decisions["skip"].click()
    assert panel.review.changes.index.tolist() == [0, *range(20, 40)]
    deciding.undo.click()
    assert panel.review.changes.empty


def test_all_shown_asks_before_it_overwrites(panel: Panel) -> None:
    """With explicit decisions among the rows shown, a question comes first, and it counts them."""
    deciding, (key,) = panel.page(DECIDE), planned(panel)
    panel.review.decide([key], "skip", reason="mine")
    deciding.scope.value, deciding.reason.value = "shown", "all"
    deciding.decisions["reject"].click()
    assert deciding.question.box.layout.display == ""
    assert "1 of the 60 rows shown" in deciding.question.text.html
    assert len(panel.review.changes) == 1
    deciding.question.leave.click()
    assert len(panel.review.changes) == 1
    deciding.decisions["reject"].click()
    deciding.question.spare.click()
    assert panel.review.rows.at[key, "decision"] == "skip"
    assert len(panel.review.changes) == len(panel.review.rows)
    deciding.scope.value, deciding.reason.value = "shown", "all of them"
    deciding.decisions["skip"].click()
    deciding.question.overwrite.click()
    assert set(panel.review.rows["decision"]) == {"skip"}


def test_filters_show_what_they_say(panel: Panel) -> None:
    """Each filter narrows the table; clearing them shows everything again."""
    deciding = panel.page(DECIDE)
    deciding.filters.fields["finding"].value = "any"
    found = len(panel.review.state.find(RowFilter(finding="any")))
    assert f"{found} rows shown" in deciding.table.region.html
    deciding.filters.fields["text"].value = "no such thing"
    assert "No row matches" in deciding.table.region.html
    deciding.table.region.send_event("sort", "name")
    deciding.table.region.send_event("sort", "name")
    assert 'aria-sort="descending"' in deciding.table.region.html
    deciding.filters.clear()
    assert "60 rows shown" in deciding.table.region.html


def test_turning_to_the_requests_takes_the_decisions_into_the_plan(panel: Panel) -> None:
    """The requests page shows the plan with every decision, under its new fingerprint."""
    before = panel.review.plan.fingerprint
    (key,) = planned(panel)
    image = panel.review.rows.at[key, "image_id"]
    panel.review.decide([key], "skip", reason="x")
    panel.go(1)
    assert panel.review.plan.fingerprint != before
    assert panel.review.plan.fingerprint in panel.page(REQUESTS).box.html
    assert image not in panel.page(REQUESTS).box.html
    panel.page(REQUESTS).box.send_event("chunk", "2")
    assert "chunk 2 of" in panel.page(REQUESTS).box.html


def test_the_button_is_not_the_gate(panel: Panel) -> None:
    """Clicking disabled buttons by script approves and sends nothing, and says why."""
    panel.go(3)
    assert panel.page(SEND).submit.disabled
    panel.page(SEND).submit.click()
    assert "not approved" in panel.message.html
    panel.go(2)
    panel.page(APPROVE).phrase.value = "yes"
    panel.page(APPROVE).approve.click()
    assert "write exactly" in panel.message.html
    with Ledger.open(panel.review.path) as book:
        assert book.last_event("approved") is None
        assert book.last_event("intent") is None


def test_the_whole_way_by_its_controls(panel: Panel) -> None:
    """Name, phrase, Approve, Send: the run goes to its end, and the reports are written."""
    panel.go(2)
    panel.page(APPROVE).name.value, panel.page(APPROVE).phrase.value = (
        "Ada",
        panel.review.state.phrase,
    )
    panel.page(APPROVE).approve.click()
    assert panel.stack.selected_index == 3
    panel.page(DECIDE).table.region.send_event("decide", str(planned(panel)[0]), "accept")
    assert "Ada has approved" in panel.message.html
    panel.page(SEND).submit.click()
    assert panel.review.run.submission is not None
    panel.review.run.submission.wait(60)
    panel.update()
    assert "The run is finished" in panel.page(SEND).outcomes.summary.html
    panel.page(SEND).report_row.children[0].click()
    assert "audit.html" in panel.page(SEND).files.outputs[0]["data"]["text/html"]
    assert sharekit.verify(panel.review.path, panel.review.path.parent / "audit.html").intact


def test_two_reviewers_are_asked_for_and_shown(world: Make) -> None:
    """Where two have to approve, the first one's yes is shown, the form stays, and nothing goes."""
    scene = world(rows=10)
    demand = sharekit.plans.approval.ApprovalRequirement(reviewers=2)
    panel = Panel(Review(scene.plan(), scene.connect(), settings=FAST, demand=demand))
    panel.go(2)
    assert "2 reviewers have to approve" in panel.page(APPROVE).facts.html
    for name, stage in (("Ada", "approving"), ("ada ", "approving"), ("Eve <b>", "approved")):
        panel.page(APPROVE).name.value, panel.page(APPROVE).phrase.value = (
            name,
            panel.review.state.phrase,
        )
        panel.page(APPROVE).approve.click()
        assert panel.review.stage == stage
        panel.go(3)
        assert panel.page(SEND).submit.disabled == (stage != "approved")
        if stage == "approving":
            panel.page(SEND).submit.click()
            assert "1 more reviewer must approve" in panel.message.html
        panel.go(2)
        assert "<li>Ada" in panel.page(APPROVE).facts.html
    assert "Eve &lt;b&gt;" in panel.page(APPROVE).facts.html
    panel.page(SEND).submit.click()
    assert panel.review.run.submission is not None
    assert panel.review.run.submission.wait(60).finished


def test_outcomes_open_and_what_failed_is_planned_anew(world: Make) -> None:
    """A tile opens its rows; what failed becomes a plan of its own in the same panel, once."""
    scene = world(rows=60, faults="job_partial=0.3")
    panel = Panel(Review(scene.approved(chunk_size=5), scene.connect(), settings=FAST))
    panel.review.submit().wait(60)
    panel.go(3)
    failed = panel.review.run.status().counts["failed"]
    panel.page(SEND).outcomes.summary.send_event("outcome", "failed")
    assert f"{failed} failed" in panel.page(SEND).outcomes.rows.html
    first = panel.review.run.outcomes("failed").rows.iloc[0]
    assert first["image_id"] in panel.page(SEND).outcomes.rows.html
    assert first["code"] in panel.page(SEND).outcomes.rows.html
    panel.page(SEND).outcomes.summary.send_event("outcome", "failed")
    assert panel.page(SEND).outcomes.rows.html == ""
    own = panel.box.children
    assert panel.page(SEND).outcomes.retry.description == f"Plan {failed} rows anew"
    panel.page(SEND).outcomes.retry.click()
    assert panel.box.children != own
    again = panel.review.retry()
    assert again.path.name == "run-retry.ledger"
    assert len(again.rows) == failed
    assert panel.review.retry().path == again.path
    panel.come_back()
    assert panel.box.children == own


def test_a_second_panel_shows_what_the_first_decides_at_its_next_step(panel: Panel) -> None:
    """Both can decide; each shows the other's decisions with its own next step."""
    second = Panel(Review(panel.review.path, reviewer="Eve"))
    first, other = planned(panel, 2)
    panel.page(DECIDE).reason.value = second.page(DECIDE).reason.value = "x"
    panel.page(DECIDE).table.region.send_event("decide", str(first), "skip")
    second.page(DECIDE).table.region.send_event("decide", str(other), "skip")
    assert second.review.rows.loc[[first, other], "by"].tolist() == ["Bob", "Eve"]
    assert second.page(DECIDE).table.region.html.count("→ left as it is") == 2
    panel.go(DECIDE)
    assert "changed elsewhere" in panel.message.html
    assert panel.page(DECIDE).table.region.html.count("→ left as it is") == 2


def test_a_refused_choice_does_not_stay_in_the_page(panel: Panel) -> None:
    """What was chosen in a row's list and refused is drawn anew as it stands."""
    before = panel.page(DECIDE).table.region.redraws
    panel.page(DECIDE).table.region.send_event("decide", str(planned(panel)[0]), "reject")
    assert "write a reason" in panel.message.html
    assert panel.page(DECIDE).table.region.redraws > before


def test_rows_by_who_decided_them(panel: Panel) -> None:
    """Rows that others decided are not mine."""
    mine, other = planned(panel, 2)
    panel.review.decide([mine], "skip", reason="x")
    decisions.decide(panel.review.path, [other], decision="skip", reason="y", reviewer="Eve")
    panel.go(0)
    panel.page(DECIDE).filters.fields["decided"].value = "*"
    assert "2 rows shown" in panel.page(DECIDE).table.region.html
    panel.page(DECIDE).filters.fields["decided"].value = "Bob"
    assert "1 rows shown" in panel.page(DECIDE).table.region.html
    assert f'data-row="{mine}"' in panel.page(DECIDE).table.region.html


def test_an_approval_can_be_taken_back_in_the_panel(panel: Panel) -> None:
    """Taking it back opens the rows again."""
    panel.review.approve("Ada", panel.review.state.phrase)
    panel.go(2)
    assert panel.page(APPROVE).revocation.layout.display == ""
    panel.page(APPROVE).revoke.click()
    assert panel.review.stage == "deciding"


def test_a_vault_is_offered_and_given(world: Make) -> None:
    """For selected rows of one project the list names its vaults with their free room."""
    scene = world(rows=120, faulty=0.4)
    panel = Panel(Review(scene.plan()))
    frame = panel.review.rows
    key = int(frame.index[frame["findings"].str.contains("vault-missing:")][0])
    panel.page(DECIDE).vaults.button.click()
    assert "Select full-ECS" in panel.message.html
    panel.page(DECIDE).filters.fields["text"].value = str(frame.at[key, "image_id"])
    panel.page(DECIDE).scope.value = "shown"
    assert "GB free" in panel.page(DECIDE).vaults.choice.options[0][0]
    panel.page(DECIDE).scope.value = "selected"
    assert panel.page(DECIDE).vaults.choice.value == ""
    panel.page(DECIDE).table.region.send_event("select", str(key), True)
    label, vault = panel.page(DECIDE).vaults.choice.options[0]
    assert "GB free" in label
    panel.page(DECIDE).vaults.choice.value = vault
    panel.page(DECIDE).vaults.button.click()
    panel.page(DECIDE).replan.click()
    assert panel.review.rows.at[key, "disposition"] == "planned"


def test_a_failure_of_any_kind_is_said(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a callback raises, even a bug of ours, stands in the panel."""
    with Ledger.open(panel.review.path, write=True):
        panel.page(DECIDE).table.region.send_event("decide", str(planned(panel)[0]), "accept")
    assert "is in use by process" in panel.message.html

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decisions, "record_step", full)
    panel.page(DECIDE).table.region.send_event("decide", str(planned(panel)[0]), "accept")
    assert "No space left on device" in panel.message.html
    panel.page(DECIDE).table.region.send_event("no such thing")
    assert "KeyError" in panel.message.html


def test_what_is_changed_elsewhere_is_said_and_shown(panel: Panel) -> None:
    """A decision from another cell or the shell shows at the next step."""
    (key,) = planned(panel)
    decisions.decide(panel.review.path, [key], decision="skip", reason="from the shell")
    panel.go(0)
    assert "changed elsewhere" in panel.message.html
    assert panel.review.rows.at[key, "reason"] == "from the shell"


def test_nothing_from_data_becomes_markup(panel: Panel) -> None:
    """Hostile names, reasons and cells are inert, visible and cut short, on every page."""
    (key,) = planned(panel)
    panel.review.decide([key], "skip", reason=HOSTILE)
    row = dict.fromkeys(panel.review.rows.columns, HOSTILE) | {"row_key": 0, "row": 1}
    frame = pd.DataFrame([row]).set_index("row_key")
    one = Page(frame, 0, 1, 1)
    facts = {
        "facts": {"file": HOSTILE, "sheet": HOSTILE, "row": "1", "image_id": HOSTILE},
        "input": {HOSTILE: HOSTILE}, "findings": [], "request": None,
    }  # fmt: skip
    full = table.row_details(facts)
    pages = [
        table.rows_table(one, RowFilter(), set(), {}, opened=0, details=full), full,
        markup.note(HOSTILE), markup.head(panel.review, full=True),
        markup.static_summary(panel.review),
    ]  # fmt: skip
    panel.update()
    for text in [*pages, panel.page(DECIDE).table.region.html]:
        assert "<img" not in text
        assert "\u202e" not in text
    assert "[U+202E]" in pages[0]
    assert "(10,0" in pages[0]


def test_a_saved_notebook_still_says_what_stands(panel: Panel) -> None:
    """The summary without a kernel names the fingerprint, and that nothing is sent."""
    text = markup.static_summary(panel.review)
    assert panel.review.plan.fingerprint in text
    assert "nobody has approved" in text
    assert len(text) < 1500


def test_little_goes_to_the_page(panel: Panel) -> None:
    """A page of rows, with everything around it, is a small part of what may be sent."""
    sent = panel.page(DECIDE).table.region.html + panel.head.html + panel.page(REQUESTS).box.html
    assert len(sent.encode()) < 100_000


def test_the_shell_needs_no_widgets(tmp_path: Path) -> None:
    """Neither the package nor its command line loads ipywidgets."""
    code = (
        "import sys, sharekit, sharekit.interfaces.cli; sharekit.review; "
        "print([m for m in sys.modules if m in ('ipywidgets', 'anywidget', 'IPython')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
