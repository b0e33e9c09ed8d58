"""Whoever changes a ledger or a report afterwards is found, with the place."""

from __future__ import annotations

import html
import shutil
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import openpyxl
import pytest

import sharekit
from sharekit.core.errors import LedgerError, UsageError
from sharekit.ledger.ledger import Ledger
from sharekit.plans.decisions import decide, replan
from sharekit.runs.outcomes import read_outcomes
from tests.conftest import FAST, REPORTS, World
from tests.reports.forger import Forger
from tests.reports.test_tampering import by_script


@pytest.fixture
def done(finished_run: Path, tmp_path: Path) -> tuple[Path, list[Path]]:
    """A copy of a finished run and its reports, to be tampered with."""
    for path in finished_run.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / "run.ledger", [tmp_path / name for name in REPORTS]


def tampered(ledger: Path, *statements: str) -> sharekit.Verdict:
    """The verdict on a copy of a ledger that somebody changed with any SQLite tool."""
    copy = ledger.with_name("copy.ledger")
    shutil.copy(ledger, copy)
    database = sqlite3.connect(copy)
    for (name,) in database.execute(
        "SELECT name FROM sqlite_master WHERE type='trigger'"
    ).fetchall():
        database.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    return sharekit.verify(copy)


def test_intact(done: tuple[Path, list[Path]]) -> None:
    """An untouched ledger and its reports are intact, and verifying changes nothing."""
    ledger, reports = done
    before = ledger.read_bytes()
    verdict = sharekit.verify(ledger, *reports)
    assert verdict.problems == ()
    assert verdict.intact
    assert ledger.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET body = replace(body, 'Ada', 'Eve') WHERE kind = 'approved'",
        "UPDATE events SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 3",
        "DELETE FROM events WHERE seq = 4",
        "UPDATE events SET kind = 'response_lost' WHERE kind = 'answer'",
        "UPDATE blobs SET content = zeroblob(10)",
        "DELETE FROM blobs WHERE rowid = 1",
        "INSERT INTO blobs VALUES ('00', 'x', x'00')",
        "UPDATE blobs SET sha256 = 'x' WHERE rowid = 2",
    ],
)
def test_any_change_of_the_ledger_is_found(done: tuple[Path, list[Path]], change: str) -> None:
    """A changed, dropped or added event, blob or row makes the ledger tampered, with the place."""
    verdict = tampered(done[0], change)
    assert not verdict.intact
    assert all(where and what for where, what in verdict.problems)


@pytest.mark.parametrize("name", ["audit.html", "outcomes.csv", "outcomes.json"])
def test_an_edited_text_report_is_found(done: tuple[Path, list[Path]], name: str) -> None:
    """One changed outcome in a text report is found."""
    ledger, reports = done
    path = next(p for p in reports if p.name == name)
    path.write_bytes(path.read_bytes().replace(b"confirmed", b"c0nfirmed", 1))
    verdict = sharekit.verify(ledger, *reports)
    assert [path.name in where for where, _ in verdict.problems] == [True]


def test_an_edited_workbook_is_found(done: tuple[Path, list[Path]]) -> None:
    """One edited cell of the audit workbook is found, by sheet and cell."""
    ledger, reports = done
    book = openpyxl.load_workbook(reports[0])
    book["Rows"]["D5"].value = "00000000-0000-0000-0000-000000000000"
    book.save(reports[0])
    verdict = sharekit.verify(ledger, *reports)
    assert any("Rows" in where and "D5" in where for where, _ in verdict.problems)


def test_a_report_of_another_run_is_found(
    done: tuple[Path, list[Path]], world: Callable[..., World]
) -> None:
    """Reports of one run do not pass for those of another."""
    (done[0].with_name("shares.xlsx")).unlink()
    done[0].rename(done[0].with_name("first.ledger"))
    other = world(rows=30, faulty=0.3).plan()
    assert len(sharekit.verify(other.path, *done[1]).problems) >= len(done[1])


def test_counts_agree_everywhere(done: tuple[Path, list[Path]]) -> None:
    """Ledger, csv, json and workbook tell the same outcomes for the same rows as the input has."""
    import json

    import pandas as pd

    ledger, reports = done
    run = sharekit.status(ledger)
    csv = pd.read_csv(reports[2], dtype=str, keep_default_na=False)
    said = json.loads(reports[3].read_text())
    xlsx = pd.read_excel(
        reports[0], sheet_name="Rows", engine="calamine", dtype=str, keep_default_na=False
    )
    with Ledger.open(ledger) as opened:
        stored = read_outcomes(opened, run.plan.rows["disposition"])
    assert stored is not None
    assert len(run.rows) == 80
    outcomes = run.rows["outcome"].tolist()
    assert csv["outcome"].tolist() == outcomes
    assert xlsx["outcome"].tolist() == outcomes
    assert [row["outcome"] for row in said["rows"]] == outcomes
    assert stored["outcome"].tolist() == outcomes
    assert said["counts"] == run.counts


def test_a_report_of_an_earlier_state_is_intact(world: Callable[..., World]) -> None:
    """Reports made before the run went on are compared with the ledger of then, and edits found."""
    w = world(rows=40)
    plan = w.plan(chunk_size=10)
    made = {}
    for stage in ("planned", "approved", "stopped"):
        if stage == "approved":
            sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        elif stage == "stopped":
            over = threading.Event()
            over.set()
            sharekit.submit(plan, w.connect(), settings=FAST, stop=over)
        events = sharekit.verify(plan.path).events
        paths = [plan.path.with_name(f"{stage}-{name}") for name in REPORTS]
        made[events] = sharekit.report(plan, *paths)
    sharekit.submit(plan, w.connect(), settings=FAST)
    for events, reports in made.items():
        verdict = sharekit.verify(plan.path, *reports)
        assert verdict.problems == ()
        notes = dict(verdict.notes)
        assert notes.keys() >= {path.name for path in reports}
        for path in reports:
            if path.suffix != ".csv":  # a csv may have been made from any state with its outcomes
                assert f"event {events} of {verdict.events}" in notes[path.name]
        texts = [path for path in reports if path.suffix != ".xlsx"]
        contents = [path.read_bytes() for path in texts]
        for old, new in ((b"pending", b"confirmed"), (b"accepted", b"rejected")):
            for path, content in zip(texts, contents, strict=True):
                path.write_bytes(content.replace(old, new, 1))
            verdict = sharekit.verify(plan.path, *texts)
            assert verdict.label == "TAMPERED"
            for path in texts:
                assert any(path.name in where for where, _ in verdict.problems)


def test_a_csv_that_too_many_states_may_have_made_is_unproven(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the search for the state of a csv is cut off, it is not called tampered, nor intact."""
    w = world(rows=20)
    plan = w.plan(chunk_size=10)
    (path,) = sharekit.report(plan, plan.path.with_name("planned.csv"))
    for row in range(4):
        decide(plan, [row], decision="skip", reason="later", reviewer="Ann")
    replan(plan)
    assert sharekit.verify(plan.path, path).label == "intact"
    path.write_bytes(path.read_bytes().replace(b"accepted", b"rejected", 1))
    assert sharekit.verify(plan.path, path).label == "TAMPERED"
    monkeypatch.setattr("sharekit.reports.verification.verify._SEARCHED_STATES", 2)
    verdict = sharekit.verify(plan.path, path)
    assert verdict.label == "UNPROVEN"
    assert "2 of 5 earlier states" in verdict.problems[0][1]


def test_our_own_faults_are_not_taken_for_tampering(
    done: tuple[Path, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An IndexError of our own code while a ledger is checked comes out as it is."""

    def faulty(*_: object) -> None:
        raise IndexError("planted")

    monkeypatch.setattr("sharekit.runs.requests.recorded_outcomes.load_run", faulty)
    with pytest.raises(IndexError, match="planted"):
        sharekit.verify(done[0])


def test_misuse(done: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """What is no ledger, or no file, is refused by name instead of judged."""
    with pytest.raises(UsageError, match="no such file"):
        sharekit.verify(done[0], tmp_path / "nowhere.csv")
    with pytest.raises(LedgerError, match="not a sharekit ledger"):
        sharekit.verify(done[1][0])


def test_truncated_ledger_is_found(done: tuple[Path, list[Path]]) -> None:
    """A ledger whose pages are overwritten is tampered, not a traceback."""
    content = bytearray(done[0].read_bytes())
    content[4096 * 3 : 4096 * 20] = b"\xff" * 4096 * 17
    done[0].write_bytes(content)
    try:
        verdict = sharekit.verify(done[0])
    except LedgerError:
        return
    assert not verdict.intact


def test_bytes_after_the_end(done: tuple[Path, list[Path]]) -> None:
    """Bytes appended to the file are noted; what it says is the same, for the script too."""
    assert sharekit.verify(done[0]).notes == ()
    with done[0].open("ab") as file:
        file.write(b"more")
    verdict = sharekit.verify(done[0])
    assert verdict.notes == (("file", "4 bytes stand after the end of the database; unread"),)
    assert verdict.intact
    assert by_script(done[0])


@pytest.mark.parametrize(
    ("at", "label", "what"),
    [
        (timedelta(hours=-20), "intact", "a clock was set back"),
        (timedelta(days=-9_000), "intact", "a clock was set back"),
        (timedelta(days=355_000), "UNPROVEN", "is in the future"),
    ],
)
def test_dates_that_cannot_be(
    done: tuple[Path, list[Path]], at: timedelta, label: str, what: str
) -> None:
    """A clock that was set back is a note; with dates that are yet to come a ledger is unproven."""
    forger = Forger.read(done[0])
    when = datetime.fromisoformat(forger.lines[20].at) + at
    forger.lines[20].at = when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    verdict = sharekit.verify(forger.write())
    told = [*verdict.notes, *verdict.problems]
    assert ("event 21", True) in [(where, what in said) for where, said in told]
    assert verdict.label == label


@pytest.mark.parametrize(
    ("kind", "taken_at"),
    [
        ("snapshot_taken", "2099-01-01T00:00:00.000000Z"),
        ("preflight_snapshot", "2099-01-01T00:00:00.000000Z"),
        ("preflight_snapshot", "2001-01-01T00:00:00.000000Z"),
    ],
)
def test_a_look_at_another_time(done: tuple[Path, list[Path]], kind: str, taken_at: str) -> None:
    """Clouds are read before it is recorded, and for a call of submit while it runs."""
    forger = Forger.read(done[0])
    forger.first(kind).body["taken_at"] = taken_at
    verdict = sharekit.verify(forger.write())
    assert verdict.label == "UNPROVEN"
    assert taken_at in verdict.problems[0][1]


def test_a_report_made_by_another_version_is_a_note(done: tuple[Path, list[Path]]) -> None:
    """Other blanks, escapes, quotes and versions are a note; other values are TAMPERED still."""
    import csv
    import io
    import json
    import re

    ledger, (_, page, table, lines) = done
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'(name="generator" content=")[^"]*', r"\1sharekit 9.9.9, Jinja 9.9.9", text)
    page.write_text(text.replace("&#39;", "&#x27;").replace("</tr>\n", "</tr>\n\n"), "utf-8")
    rows = list(csv.reader(io.StringIO(table.read_bytes().decode(), newline="")))
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    lines.write_text(json.dumps(json.loads(lines.read_text(encoding="utf-8"))), "utf-8")
    verdict = sharekit.verify(ledger, page, table, lines)
    assert verdict.label == "intact"
    assert [where for where, what in verdict.notes if "another version" in what] == [
        page.name, table.name, lines.name,
    ]  # fmt: skip
    for path in (page, table, lines):
        path.write_text(path.read_text("utf-8").replace("confirmed", "claimed", 1), "utf-8")
        assert sharekit.verify(ledger, path).label == "TAMPERED"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</body>", "<script>alert(1)</script></body>"),
        ("</style>", "td{color:white}</style>"),
        ("<body", '<body onload="x"'),
        ("</h1>", "<!-- --></h1>"),
        ("<td>", "<td >1"),
        ("</b> <b>", "</b><b>"),
    ],
)
def test_a_page_that_shows_something_else_is_no_other_version(
    done: tuple[Path, list[Path]], old: str, new: str
) -> None:
    """A tag, style, script, comment or word more in a page is no matter of versions."""
    ledger, (_, page, *_) = done
    text = page.read_text(encoding="utf-8")
    if old not in text:
        old, new = "</td>", "</td><td></td>"
    page.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert sharekit.verify(ledger, page).label == "TAMPERED"


#: Texts that an image, a note or a reason may have, and how a forger writes them into a page.
LOOSE = {
    "ok <!-- x": "ok <!-- x",
    "ok <b hidden x": "ok <b hidden x",
    "ok <script x": "ok <script x",
    "ok </td x": "ok </td x",
    "ok <?x": "ok <?x",
    "ok <![CDATA[": "ok <![CDATA[",
    "<b hidden>": "<b hidden>",
    "<!-- -->": "<!-- -->",
    "<style>": "<style>",
    "<generator>": '<meta name="generator" content="x">',
    "a > b": "a > b",
    "&lt;": "&lt;",
    "&lt": "&lt",
    "&notit;": "&notit;",
}


@pytest.mark.parametrize("note", LOOSE)
def test_a_page_is_compared_as_a_browser_parses_it(
    world: Callable[..., World], tmp_path: Path, note: str
) -> None:
    """A text that the report escapes is another page if it becomes markup; other escapes are not.

    Otherwise a forger hides the rest of a page in a comment or a tag that an honest text begins.
    """
    plan = world(rows=2).planned()
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint, note=note)
    page = tmp_path / "audit.html"
    sharekit.report(plan, page)
    text = page.read_text("utf-8")
    escaped = html.escape(note, quote=False)
    assert escaped in text
    page.write_text(text.replace(escaped, LOOSE[note]), "utf-8")
    assert sharekit.verify(plan.path, page).label == "TAMPERED"
    references = escaped.replace("&lt;", "&#60;").replace("&gt;", "&#x3e;")
    page.write_text(text.replace(escaped, references) + "\n", "utf-8")
    verdict = sharekit.verify(plan.path, page)
    assert (verdict.label, "another version" in str(verdict.notes)) == ("intact", True)


def test_a_report_over_an_unsigned_run_says_so(done: tuple[Path, list[Path]]) -> None:
    """Where approvals are not signed, the documents and the verdict on a report say so."""
    ledger, reports = done
    verdict = sharekit.verify(ledger, *reports)
    assert [what for where, what in verdict.notes if where == "approvals"] == [
        "not signed: that Ada approved is said by the ledger alone"
    ]
    assert sharekit.verify(ledger).notes == ()
    assert "not signed" in reports[1].read_text(encoding="utf-8")
    book = openpyxl.load_workbook(reports[0])
    texts = {str(cell.value) for sheet in book for line in sheet.iter_rows() for cell in line}
    assert any("not signed" in text for text in texts)
