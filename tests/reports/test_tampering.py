"""Two hundred random changes of every kind: each is found, and the script of the docs agrees."""

from __future__ import annotations

import io
import random
import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.core.columns import STR
from sharekit.core.errors import LedgerError
from sharekit.ledger.hashing import event_hash
from sharekit.reports.verification.compare import compare_files
from tests.conftest import FAST, REPORTS, World
from tests.fuzzing import TRIGGERS

TIMES = 200
DOCS = Path(__file__).parents[2] / "docs" / "explanation"
SCRIPT = runpy.run_path(str(DOCS / "check_ledger.py"))["main"]
COLUMNS = ("at", "kind", "body", "prev", "hash")
Change = Callable[[sqlite3.Connection, random.Random], str]


def by_script(path: Path) -> bool:
    """Whether the script of the docs calls a ledger intact; any failure is a no."""
    try:
        return bool(SCRIPT(path).startswith("intact"))
    except (SystemExit, Exception):  # noqa: BLE001 - a stranger's tool may fail in any way
        return False


def contents(path: Path) -> list[object]:
    """Everything that a ledger says, read by SQLite alone."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.text_factory = bytes
    try:
        tables = ("sqlite_master", "events", "blobs")
        return [
            database.execute(f"SELECT {'type, name, sql' if t == tables[0] else '*'} FROM {t} "
                             "ORDER BY 1, 2").fetchall()
            for t in tables
        ]  # fmt: skip
    finally:
        database.close()


def says_the_same(copy: Path, said: list[object]) -> bool:
    """Whether SQLite alone reads just this from a ledger."""
    try:
        return contents(copy) == said
    except sqlite3.Error:
        return False


def changed(original: Path, copy: Path, change: Change, dice: random.Random) -> str:
    """Copy a ledger and change the copy with SQLite, leaving its triggers as they were."""
    shutil.copy(original, copy)
    database = sqlite3.connect(copy)
    database.execute("PRAGMA ignore_check_constraints = ON")
    database.execute("PRAGMA synchronous = OFF")
    for trigger in TRIGGERS:
        database.execute(f"DROP TRIGGER {trigger.split()[2]}")
    place = change(database, dice)
    for trigger in TRIGGERS:
        database.execute(trigger)
    database.commit()
    database.close()
    return place


def lines_of(text: str) -> list[str]:
    """The lines of a text with their ends; only a line feed ends one."""
    return io.StringIO(text, newline="\n").readlines()


def other(text: str, dice: random.Random) -> str:
    """A text with one character changed."""
    at = dice.randrange(len(text))
    return text[:at] + dice.choice([c for c in "0aZ~é" if c != text[at]]) + text[at + 1 :]


def length(database: sqlite3.Connection, table: str = "events") -> int:
    """How many lines a table has."""
    return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def shift(database: sqlite3.Connection, start: int, by: int) -> None:
    """Number the events from one on anew."""
    database.execute("UPDATE events SET seq = -seq WHERE seq >= ?", (start,))
    database.execute("UPDATE events SET seq = -seq + ? WHERE seq < 0", (by,))


def byte_in_event(database: sqlite3.Connection, dice: random.Random) -> str:
    """Change one character of an event."""
    seq, column = dice.randint(1, length(database)), dice.choice(COLUMNS)
    (text,) = database.execute(f"SELECT {column} FROM events WHERE seq = ?", (seq,)).fetchone()
    database.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (other(text, dice), seq))
    return f"event {seq}"


def byte_in_blob(database: sqlite3.Connection, dice: random.Random) -> str:
    """Change one bit of a blob, or a letter of its name."""
    number, column = dice.randrange(length(database, "blobs")), dice.choice(("content",) * 4 + (
        "sha256", "media_type"))  # fmt: skip
    rowid, name, value = database.execute(
        f"SELECT rowid, sha256, {column} FROM blobs LIMIT 1 OFFSET ?", (number,)
    ).fetchone()
    if isinstance(value, bytes):
        at = dice.randrange(len(value))
        value = value[:at] + bytes([value[at] ^ (1 << dice.randrange(8))]) + value[at + 1 :]
    else:
        value = other(value, dice)
    database.execute(f"UPDATE blobs SET {column} = ? WHERE rowid = ?", (value, rowid))
    return str(name)[:12]


def dropped(database: sqlite3.Connection, dice: random.Random) -> str:
    """Drop an event that is not the last."""
    seq = dice.randint(1, length(database) - 1)
    database.execute("DELETE FROM events WHERE seq = ?", (seq,))
    if dice.random() < 0.5:
        shift(database, seq + 1, -1)
    return f"event {seq}"


def doubled(database: sqlite3.Connection, dice: random.Random) -> str:
    """Put an event in a second time."""
    count = length(database)
    seq, to = dice.randint(1, count), dice.randint(1, count + 1)
    at, kind, body, prev, link = database.execute(
        "SELECT at, kind, body, prev, hash FROM events WHERE seq = ?", (seq,)
    ).fetchone()
    shift(database, to, 1)
    if to > count:  # the skilled way: it follows on the last one, with a hash that fits
        (prev,) = database.execute("SELECT hash FROM events WHERE seq = ?", (count,)).fetchone()
        link = event_hash(to, at, kind, body, prev)
    line = (to, at, kind, body, prev, link)
    database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", line)
    return f"event {to + (to == seq)}"  # of two equal ones, the second is the odd one


def reordered(database: sqlite3.Connection, dice: random.Random) -> str:
    """Let two events change places."""
    one, two = sorted(dice.sample(range(1, length(database) + 1), 2))
    for old, new in ((one, -1), (two, one), (-1, two)):
        database.execute("UPDATE events SET seq = ? WHERE seq = ?", (new, old))
    return f"event {one}"


def cut_off(database: sqlite3.Connection, dice: random.Random) -> str:
    """Cut off the end, at any event."""
    database.execute("DELETE FROM events WHERE seq > ?", (dice.randrange(length(database)),))
    return ""


@pytest.mark.parametrize(
    "change",
    [byte_in_event, byte_in_blob, dropped, doubled, reordered, cut_off],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_every_change_is_found(finished_run: Path, tmp_path: Path, change: Change) -> None:
    """200 random changes of a kind: all found, with their place, by us and by the script."""
    original, dice = finished_run / "run.ledger", random.Random(change.__name__)
    for number in range(TIMES):
        place = changed(original, tmp_path / "copy.ledger", change, dice)
        verdict = sharekit.verify(tmp_path / "copy.ledger")
        told = "; ".join(": ".join(problem) for problem in verdict.problems)
        assert not verdict.intact, f"{change.__name__} {number}"
        assert re.search(re.escape(place) + r"\b", told) or not place, f"{place} in {told}"
        assert not by_script(tmp_path / "copy.ledger"), told


def test_bytes_of_the_file(finished_run: Path, tmp_path: Path) -> None:
    """A byte changed anywhere in the file is found, or else what the file says is the same."""
    original, copy, dice = finished_run / "run.ledger", tmp_path / "copy.ledger", random.Random(7)
    content, said, harmless = original.read_bytes(), contents(original), 0
    for number in range(TIMES):
        page = 100 if number % 4 == 0 else 8192 if number % 4 == 1 else len(content)
        at = dice.randrange(min(page, len(content)))
        copy.write_bytes(
            content[:at] + bytes([content[at] ^ dice.randint(1, 255)]) + content[at + 1 :]
        )
        harmless += (same := says_the_same(copy, said))
        if same and number % 10:  # what says the same is verified at every tenth place
            continue
        try:
            intact = sharekit.verify(copy).intact
        except LedgerError:
            intact = False
        assert same or not intact, f"byte {at}"
        assert by_script(copy) == intact, f"byte {at}"
        for rest in tmp_path.glob("copy.ledger-*"):
            rest.unlink()
    assert 0 < harmless < TIMES


@pytest.mark.parametrize("name", [name for name in REPORTS if not name.endswith("xlsx")])
def test_edited_texts(finished_run: Path, tmp_path: Path, name: str) -> None:
    """200 characters of a text report changed, lost or added: each is found, with its line."""
    fresh, copy, dice = finished_run / name, tmp_path / name, random.Random(name)
    text = fresh.read_text(encoding="utf-8")
    for number in range(TIMES):
        at, way = dice.randrange(len(text)), number % 3
        new = other(text[at], dice) if way == 0 else "" if way == 1 else dice.choice("0aZ\n")
        copy.write_text(text[:at] + new + text[at + (way < 2) :], encoding="utf-8", newline="")
        (where, what), *_ = compare_files(copy, fresh)
        # The newline of a line belongs to that line.
        lines = enumerate(zip_longest(lines_of(text), lines_of(copy.read_bytes().decode())), 1)
        first = next(line for line, (was, now) in lines if was != now)
        assert where == f"{name}, line {first}"
        assert what


@pytest.mark.slow
def test_edited_cells(finished_run: Path, tmp_path: Path) -> None:
    """200 changed cells of the audit workbook, some on each sheet: each is found, with its cell."""
    fresh, copy, dice = finished_run / "audit.xlsx", tmp_path / "audit.xlsx", random.Random(1)
    with zipfile.ZipFile(fresh) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheets = [name for name in parts if name.startswith("xl/worksheets/sheet")]
    titles = re.findall(r'<sheet name="([^"]+)"', parts["xl/workbook.xml"].decode())
    for _ in range(-(-TIMES // len(sheets))):
        edited, places = dict(parts), []
        for title, sheet in zip(titles, sheets, strict=True):
            cells = re.finditer(rb'<c r="([A-Z]+\d+)"[^>]*?(/>|>.*?</c>)', parts[sheet], re.DOTALL)
            cell = dice.choice([*cells])
            kind, value = dice.choice([
                (b"inlineStr", b"<is><t>#%d</t></is>"), (b"n", b"<v>%d</v>")
            ])  # fmt: skip
            new = b'<c r="%s" t="%s">%s</c>' % (cell[1], kind, value % dice.randrange(10**6, 10**7))
            edited[sheet] = parts[sheet][: cell.start()] + new + parts[sheet][cell.end() :]
            places.append(f"audit.xlsx, {title}!{cell[1].decode()}")
        with zipfile.ZipFile(copy, "w") as book:
            for name, content in edited.items():
                book.writestr(name, content)
        found = [where.replace("'", "") for where, _ in compare_files(copy, fresh)]
        assert found == places


@pytest.mark.parametrize("name", REPORTS)
def test_made_again(finished_run: Path, tmp_path: Path, name: str) -> None:
    """A report made again is the same: byte for byte, and the workbook cell for cell."""
    (made,) = sharekit.report(finished_run / "run.ledger", tmp_path / name)
    assert compare_files(made, finished_run / name) == []
    if not name.endswith("xlsx"):
        assert made.read_bytes() == (finished_run / name).read_bytes()


@pytest.mark.parametrize("name", REPORTS)
def test_head_in_reports(finished_run: Path, name: str) -> None:
    """Reports carry the head of their ledger; a csv has no place for it."""
    head = sharekit.verify(finished_run / "run.ledger").head.encode()
    path = finished_run / name
    if name.endswith("xlsx"):
        with zipfile.ZipFile(path) as book:
            assert any(head in book.read(part) for part in book.namelist())
    else:
        assert (head in path.read_bytes()) is not name.endswith("csv")


def test_unfinished_runs(world: Callable[..., World]) -> None:
    """A ledger is intact at every stage of its life, for us and for the script."""
    w = world(rows=12)
    stages = [w.plan(chunk_size=2)]
    for step in ("approve", "stop", "finish"):
        assert sharekit.verify(stages[0].path).problems == (), step
        assert by_script(stages[0].path), step
        if step == "approve":
            sharekit.approve(stages[0], reviewer="Ada", fingerprint=stages[0].fingerprint)
        else:
            stop = threading.Event()
            if step == "stop":
                stop.set()
            sharekit.submit(stages[0], w.connect(), settings=FAST, stop=stop)
    assert sharekit.status(stages[0]).finished
    assert by_script(stages[0].path)


def test_script_of_the_docs(finished_run: Path, tmp_path: Path) -> None:
    """The page prints the program, of at most 100 plain lines and the standard library alone."""
    source = (DOCS / "check_ledger.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```\n" in (DOCS / "evidence.md").read_text(encoding="utf-8")
    lines = source.splitlines()
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 100
    imports = re.findall(r"^ *(?:import|from) (\w+)", source, re.MULTILINE)
    assert set(imports) <= {"contextlib", "hashlib", "json", "sqlite3", "sys"}
    command = [sys.executable, "-I", DOCS / "check_ledger.py"]
    good = subprocess.run(
        [*command, finished_run / "run.ledger"], capture_output=True, text=True, check=False
    )
    assert (good.returncode, good.stdout.split()[0]) == (0, "intact:"), good
    assert sharekit.verify(finished_run / "run.ledger").head in good.stdout
    assert not by_script(tmp_path / "nowhere.ledger")


def test_rows_are_read_with_pandas(finished_run: Path) -> None:
    """At most ten lines of the page read every row with its one outcome, without sharekit."""
    page = (DOCS / "evidence.md").read_text(encoding="utf-8")
    (source,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
                 if "import pandas" in code]  # fmt: skip
    assert len([line for line in source.splitlines() if line.strip()]) <= 10
    command = [sys.executable, "-I", "-c", source, finished_run / "run.ledger"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = pd.read_csv(io.StringIO(done.stdout), dtype=STR, keep_default_na=False)
    run = sharekit.status(finished_run / "run.ledger")
    assert rows["outcome"].tolist() == run.rows["outcome"].tolist()
    assert rows["image_id"].tolist() == run.plan.rows["image_id"].tolist()
    assert rows["reason"].tolist() == run.rows["reason"].tolist()
