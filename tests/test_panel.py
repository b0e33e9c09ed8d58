"""The panel without a browser: every control goes through the review, and says what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit import reviewing
from sharekit.ledger import Ledger
from sharekit.selection import Query
from sharekit.session import Review
from sharekit.viewing import Page
from sharekit.widgets import Panel, markup, rows

from .conftest import FAST, World

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
    deciding.reject.click()
    assert deciding.question.layout.display == ""
    assert "1 of the rows shown" in deciding.asked.html
    assert len(panel.review.changes) == 1
    deciding.leave.click()
    assert len(panel.review.changes) == 1
    deciding.reject.click()
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

    monkeypatch.setattr(reviewing, "decide", full)
    panel.deciding.grid.say("decide", str(planned(panel)[0]), "accept")
    assert "No space left on device" in panel.message.html
    panel.deciding.grid.say("no such thing")
    assert "KeyError" in panel.message.html


def test_what_is_changed_elsewhere_is_said_and_shown(panel: Panel) -> None:
    """A decision from another cell or the shell shows at the next step."""
    (key,) = planned(panel)
    reviewing.decide(panel.review.path, [key], decision="skip", reason="from the shell")
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
    full = rows.full_row(facts)
    pages = [
        rows.page(one, Query(), set(), f"0\n{full}", fixed=False), full, markup.note(HOSTILE),
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
    import subprocess
    import sys

    code = (
        "import sys, sharekit, sharekit.cli; sharekit.review; "
        "print([m for m in sys.modules if m in ('ipywidgets', 'anywidget', 'IPython')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
