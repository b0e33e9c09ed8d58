"""The panel without a browser: every control goes through the review, and says what went wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.interfaces.notebook import Panel, markup, table
from sharekit.interfaces.review import Review
from sharekit.interfaces.review_filters import Page, Query
from sharekit.interfaces.seat import Seat
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
    frame = panel.review.frame
    free = frame[(frame["disposition"] == "planned") & (frame["wanted"] == "accept")]
    return [int(key) for key in free.index[:number]]


def test_a_row_is_decided_by_its_list(panel: Panel) -> None:
    """Choosing in a row's list decides on that row, with the reason that stands beside it."""
    (key,) = planned(panel)
    panel.deciding.grid.say("decide", str(key), "reject")
    assert "write a reason" in panel.message.html
    assert panel.review.changes.empty
    panel.deciding.reason.value = "owner left"
    panel.deciding.grid.say("decide", str(key), "reject")
    assert panel.message.html == ""
    assert panel.review.changes.loc[key].to_list() == ["reject", "owner left", ""]
    assert "→ rejected" in panel.deciding.grid.html


def test_the_selection_survives_paging_and_is_decided_as_a_whole(panel: Panel) -> None:
    """Rows selected on two pages are decided together, wherever the table stands then."""
    deciding = panel.deciding
    deciding.grid.say("select", "0", True)
    deciding.grid.say("page", "1")
    deciding.grid.say("page-select", "", True)
    deciding.reason.value = "all of them"
    deciding.skip.click()
    assert panel.review.changes.index.tolist() == [0, *range(20, 40)]
    deciding.undo.click()
    assert panel.review.changes.empty


def test_all_shown_asks_before_it_overwrites(panel: Panel) -> None:
    """With explicit decisions among the rows shown, a question comes first, and it counts them."""
    deciding, (key,) = panel.deciding, planned(panel)
    panel.review.decide([key], "skip", reason="mine")
    deciding.scope.value, deciding.reason.value = "shown", "all"
    deciding.sided["reject"].click()
    assert deciding.question.layout.display == ""
    assert "1 of the 60 rows shown" in deciding.asked.html
    assert len(panel.review.changes) == 1
    deciding.leave.click()
    assert len(panel.review.changes) == 1
    deciding.sided["reject"].click()
    deciding.spare.click()
    assert panel.review.frame.at[key, "decision"] == "skip"
    assert len(panel.review.changes) == len(panel.review.frame)
    deciding.skip.click()
    deciding.overwrite.click()
    assert set(panel.review.frame["decision"]) == {"skip"}


def test_filters_show_what_they_say(panel: Panel) -> None:
    """Each filter narrows the table; clearing them shows everything again."""
    deciding = panel.deciding
    deciding.finding.value = "any"
    found = len(panel.review.find(Query(finding="any")))
    assert f"{found} rows shown" in deciding.grid.html
    deciding.search.value = "no such thing"
    assert "No row matches" in deciding.grid.html
    deciding.grid.say("sort", "name")
    deciding.grid.say("sort", "name")
    assert 'aria-sort="descending"' in deciding.grid.html
    deciding._clear()
    assert "60 rows shown" in deciding.grid.html


def test_turning_to_the_requests_takes_the_decisions_into_the_plan(panel: Panel) -> None:
    """The requests page shows the plan with every decision, under its new fingerprint."""
    before = panel.review.plan.fingerprint
    (key,) = planned(panel)
    image = panel.review.frame.at[key, "image_id"]
    panel.review.decide([key], "skip", reason="x")
    panel.go(1)
    assert panel.review.plan.fingerprint != before
    assert panel.review.plan.fingerprint in panel.requests.html
    assert image not in panel.requests.html
    panel.requests.say("chunk", "2")
    assert "chunk 2 of" in panel.requests.html


def test_the_button_is_not_the_gate(panel: Panel) -> None:
    """Clicking disabled buttons by script approves and sends nothing, and says why."""
    panel.go(3)
    assert panel.sending.submit.disabled
    panel.sending.submit.click()
    assert "not approved" in panel.message.html
    panel.go(2)
    panel.approving.phrase.value = "yes"
    panel.approving.approve.click()
    assert "write exactly" in panel.message.html
    with Ledger.open(panel.review.path) as book:
        assert book.last("approved") is None
        assert book.last("intent") is None


def test_the_whole_way_by_its_controls(panel: Panel) -> None:
    """Name, phrase, Approve, Send: the run goes to its end, and the reports are written."""
    panel.go(2)
    panel.approving.name.value, panel.approving.phrase.value = "Ada", panel.review.phrase
    panel.approving.approve.click()
    assert panel.stack.selected_index == 3
    panel.deciding.grid.say("decide", str(planned(panel)[0]), "accept")
    assert "Ada has approved" in panel.message.html
    panel.sending.submit.click()
    assert panel.review.submission is not None
    panel.review.submission.wait(60)
    panel.update()
    assert "The run is finished" in panel.sending.ended.html
    panel.sending.report.click()
    assert "audit.html" in panel.sending.files.outputs[0]["data"]["text/html"]
    assert sharekit.verify(panel.review.path, panel.review.path.parent / "audit.html").intact


def test_two_reviewers_are_asked_for_and_shown(world: Make) -> None:
    """Where two have to approve, the first one's yes is shown, the form stays, and nothing goes."""
    scene = world(rows=10)
    demand = sharekit.plans.approval.Demand(reviewers=2)
    panel = Panel(Review(scene.plan(), scene.connect(), settings=FAST, demand=demand))
    panel.go(2)
    assert "2 reviewers have to approve" in panel.approving.told.html
    for name, stage in (("Ada", "approving"), ("ada ", "approving"), ("Eve <b>", "approved")):
        panel.approving.name.value, panel.approving.phrase.value = name, panel.review.phrase
        panel.approving.approve.click()
        assert panel.review.stage == stage
        panel.go(3)
        assert panel.sending.submit.disabled == (stage != "approved")
        if stage == "approving":
            panel.sending.submit.click()
            assert "1 more reviewer must approve" in panel.message.html
        panel.go(2)
        assert "<li>Ada" in panel.approving.told.html
    assert "Eve &lt;b&gt;" in panel.approving.told.html
    panel.sending.submit.click()
    assert panel.review.submission is not None
    assert panel.review.submission.wait(60).finished


def test_outcomes_open_and_what_failed_is_planned_anew(world: Make) -> None:
    """A tile opens its rows; what failed becomes a plan of its own in the same panel, once."""
    scene = world(rows=60, faults="job_partial=0.3")
    panel = Panel(Review(scene.approved(chunk_size=5), scene.connect(), settings=FAST))
    panel.review.submit().wait(60)
    panel.go(3)
    failed = panel.review.status().counts["failed"]
    panel.sending.ended.say("outcome", "failed")
    assert f"{failed} failed" in panel.sending.rows.html
    first = panel.review.outcomes("failed").rows.iloc[0]
    assert first["image_id"] in panel.sending.rows.html
    assert first["code"] in panel.sending.rows.html
    panel.sending.ended.say("outcome", "failed")
    assert panel.sending.rows.html == ""
    own = panel.box.children
    assert panel.sending.retry.description == f"Plan {failed} rows anew"
    panel.sending.retry.click()
    assert panel.box.children != own
    again = panel.review.retry()
    assert again.path.name == "run-retry.ledger"
    assert len(again.frame) == failed
    assert panel.review.retry().path == again.path
    panel.come_back()
    assert panel.box.children == own


def test_a_page_that_is_looked_at_takes_the_seat_and_shows_what_others_write(panel: Panel) -> None:
    """Making the panel takes nothing; a live page does, and follows what others decide."""
    code = (
        "import sys; from sharekit.interfaces.review import Review; r = Review(sys.argv[1]);"
        "print(r.claim(), flush=True); sys.stdin.readline();"
        "print(r.decide([int(sys.argv[2])], 'skip', reason='other'), flush=True); sys.stdin.read()"
    )
    (key,) = planned(panel)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(panel.review.path), str(key)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "\n"
        panel.head.say("here")
        assert "open in another notebook" in panel.head.html
        assert panel.deciding.sided["accept"].disabled
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "1\n"
        panel._next_look = 0.0
        panel.head.say("here")
        assert panel.review.frame.at[key, "decision"] == "skip"
        other.kill()
        other.wait()
    panel._next_look = 0.0
    panel.head.say("here")
    assert not panel.deciding.sided["accept"].disabled
    assert panel.head.beat == 3
    panel.review.release()
    assert Seat(panel.review.path).take() == ""


def test_the_seat_is_free_when_the_page_is_gone(panel: Panel) -> None:
    """Without a further sign of its page a panel stands up, and sits down at its next step."""
    seat = Seat(panel.review.path)
    assert seat.take() == ""
    seat.keep(0.05)
    assert seat._timer is not None
    seat._timer.join()
    assert not seat.taken
    panel.head.say("here")
    assert seat.taken
    panel.review.decide(planned(panel), "skip", reason="x")


def test_a_refused_choice_does_not_stay_in_the_page(panel: Panel) -> None:
    """What was chosen in a row's list and refused is drawn anew as it stands."""
    before = panel.deciding.grid.turn
    panel.deciding.grid.say("decide", str(planned(panel)[0]), "reject")
    assert "write a reason" in panel.message.html
    assert panel.deciding.grid.turn > before


def test_rows_by_who_decided_them(panel: Panel) -> None:
    """Rows that others decided are not mine."""
    mine, other = planned(panel, 2)
    panel.review.decide([mine], "skip", reason="x")
    decisions.decide(panel.review.path, [other], decision="skip", reviewer="Eve")
    panel.go(0)
    panel.deciding.changed.value = "*"
    assert "2 rows shown" in panel.deciding.grid.html
    panel.deciding.changed.value = "Bob"
    assert "1 rows shown" in panel.deciding.grid.html
    assert f'data-row="{mine}"' in panel.deciding.grid.html


def test_an_approval_can_be_taken_back_in_the_panel(panel: Panel) -> None:
    """Taking it back opens the rows again."""
    panel.review.approve("Ada", panel.review.phrase)
    panel.go(2)
    assert panel.approving.take_back.layout.display == ""
    panel.approving.revoke.click()
    assert panel.review.stage == "deciding"


def test_a_vault_is_offered_and_given(world: Make) -> None:
    """For selected rows of one project the list names its vaults with their free room."""
    scene = world(rows=120, faulty=0.4)
    panel = Panel(Review(scene.plan()))
    frame = panel.review.frame
    key = int(frame.index[frame["findings"].str.contains("vault-missing:")][0])
    panel.deciding.give.click()
    assert "Select full-ECS" in panel.message.html
    panel.deciding.search.value = str(frame.at[key, "image_id"])
    panel.deciding.scope.value = "shown"
    assert "GB free" in panel.deciding.vault.options[0][0]
    panel.deciding.scope.value = "selected"
    assert panel.deciding.vault.value == ""
    panel.deciding.grid.say("select", str(key), True)
    label, vault = panel.deciding.vault.options[0]
    assert "GB free" in label
    panel.deciding.vault.value = vault
    panel.deciding.give.click()
    panel.deciding.remake.click()
    assert panel.review.frame.at[key, "disposition"] == "planned"


def test_a_failure_of_any_kind_is_said(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a callback raises, even a bug of ours, stands in the panel."""
    with Ledger.open(panel.review.path, write=True):
        panel.deciding.grid.say("decide", str(planned(panel)[0]), "accept")
    assert "is in use by process" in panel.message.html

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decisions, "decide", full)
    panel.deciding.grid.say("decide", str(planned(panel)[0]), "accept")
    assert "No space left on device" in panel.message.html
    panel.deciding.grid.say("no such thing")
    assert "KeyError" in panel.message.html


def test_what_is_changed_elsewhere_is_said_and_shown(panel: Panel) -> None:
    """A decision from another cell or the shell shows at the next step."""
    (key,) = planned(panel)
    decisions.decide(panel.review.path, [key], decision="skip", reason="from the shell")
    panel.go(0)
    assert "changed elsewhere" in panel.message.html
    assert panel.review.frame.at[key, "reason"] == "from the shell"


def test_nothing_from_data_becomes_markup(panel: Panel) -> None:
    """Hostile names, reasons and cells are inert, visible and cut short, on every page."""
    (key,) = planned(panel)
    panel.review.decide([key], "skip", reason=HOSTILE)
    row = dict.fromkeys(panel.review.frame.columns, HOSTILE) | {"row_key": 0, "row": 1}
    frame = pd.DataFrame([row]).set_index("row_key")
    one = Page(frame, 0, 1, 1)
    facts = {
        "facts": {"file": HOSTILE, "sheet": HOSTILE, "row": "1", "image_id": HOSTILE},
        "input": {HOSTILE: HOSTILE}, "findings": [], "request": None,
    }  # fmt: skip
    full = table.full_row(facts)
    pages = [
        table.page(one, Query(), set(), f"0\n{full}", fixed=False), full, markup.note(HOSTILE),
        markup.head(panel.review, full=True), markup.still(panel.review),
    ]  # fmt: skip
    panel.update()
    for text in [*pages, panel.deciding.grid.html]:
        assert "<img" not in text
        assert "\u202e" not in text
    assert "[U+202E]" in pages[0]
    assert "(10,0" in pages[0]


def test_a_saved_notebook_still_says_what_stands(panel: Panel) -> None:
    """The summary without a kernel names the fingerprint, and that nothing is sent."""
    text = markup.still(panel.review)
    assert panel.review.plan.fingerprint in text
    assert "nobody has approved" in text
    assert len(text) < 1500


def test_little_goes_to_the_page(panel: Panel) -> None:
    """A page of rows, with everything around it, is a small part of what may be sent."""
    sent = panel.deciding.grid.html + panel.head.html + panel.requests.html
    assert len(sent.encode()) < 100_000


def test_the_shell_needs_no_widgets(tmp_path: Path) -> None:
    """Neither the package nor its command line loads ipywidgets."""
    code = (
        "import sys, sharekit, sharekit.interfaces.cli; sharekit.review; "
        "print([m for m in sys.modules if m in ('ipywidgets', 'anywidget', 'IPython')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
