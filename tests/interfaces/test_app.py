"""The start page without a browser: files arrive, runs begin and go on, errors are sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

import sharekit
from sharekit.core.errors import InputError, UsageError
from sharekit.interfaces.cli.commands import app as app_command
from sharekit.interfaces.notebook.start import App
from sharekit.interfaces.run_folder import RunFolder, Upload
from sharekit.spreadsheets.input import Limits
from tests.conftest import FAST, World
from tests.interfaces.test_cli import shell
from tests.interfaces.test_panel import buttons, seen

Make = Callable[..., World]
HEADER = b"Image ID,Project ID,Decision\n"


@pytest.fixture
def scene(world: Make, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose clouds openstacksdk's rules find."""
    made = world(rows=20)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(made.config))
    monkeypatch.setattr(sharekit.Settings.__init__, "__defaults__", astuple(FAST))
    return made


@pytest.fixture
def empty(tmp_path: Path) -> App:
    """The start page of a folder without anything."""
    return sharekit.app(tmp_path, limits=Limits(file_bytes=100))


def send(app: App, event: str, **told: Any) -> None:
    """As the page sends an event with pieces of a file."""
    buffers = told.pop("buffers", [])
    app._receive(app, {"do": event, **told}, buffers)


def upload(app: App, name: str, content: bytes, piece: int = 40) -> None:
    """As the page sends a file: its name and size, then each piece that is asked for."""
    asked: list[int] = []
    app.send = lambda message, buffers=None: asked.append(message["next"])  # type: ignore[method-assign]
    send(app, "upload", key=name, value=[len(content), 1])
    while asked:
        at = asked.pop()
        send(app, "piece", key=str(at), buffers=[memoryview(content[at : at + piece])])


def test_a_file_arrives_in_pieces_under_a_name_that_is_free(empty: App, tmp_path: Path) -> None:
    """Whatever a file is called, it lands in the folder, for its owner alone, and replaces none."""
    content = HEADER + b"x" * 60
    for name in ("a.csv", "a.csv", "../../b.CSV", "C:\\c\\d.csv", "e/\u202e\x07.csv"):
        upload(empty, name, content)
        assert "is in the folder, and chosen" in seen(empty)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.csv", "a-2.csv", "b.csv", "d.csv", "(value).csv"}
    assert all(path.read_bytes() == content for path in tmp_path.iterdir())
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("name", "told", "pieces", "said"),
    [
        ("a.csv", [101, 1], [], "beyond the limit (file_bytes=100)"),
        ("a.csv", [10**15, 1], [], "beyond the limit (file_bytes=100)"),
        ("a.docx", [10, 1], [], "a.docx is no xlsx"),
        (".csv", [10, 1], [], ".csv is no xlsx"),
        ("a.csv", [10, 2], [], "one file at a time"),
        ("a.csv", [-1, 1], [], "a.csv is empty"),
        ("a.csv", [0, 1], [], "a.csv is empty"),
        ("a.csv", [10, 1], [(0, b"x" * 11)], "changed while it was read"),
        ("a.csv", [10, 1], [(5, b"x")], "changed while it was read"),
        ("a.csv", [10, 1], [(0, b"x" * 5), (0, b"x" * 5)], "changed while it was read"),
        ("a.csv", [10, 1], [(0, None)], "changed while it was read"),
    ],
)
def test_a_file_that_is_too_long_or_other_than_it_was_told_is_not_kept(
    empty: App, tmp_path: Path, name: str, told: list[int], pieces: Any, said: str
) -> None:
    """It is refused in one sentence, by its name and size before a byte of it is taken."""
    send(empty, "upload", key=name, value=told)
    for at, piece in pieces:
        send(empty, "piece", key=str(at), buffers=[] if piece is None else [piece])
    assert said in seen(empty)
    send(empty, "piece", key="0", buffers=[b"x"])
    assert not any(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be kept, no part of it stays under its name."""
    coming = Upload(tmp_path, "a.csv", 3, Limits())
    assert coming.add(0, b"abc")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(InputError, match="No space left"):
        coming.keep()
    coming.close()
    assert not any(tmp_path.iterdir())


def test_a_run_begins_goes_on_and_is_reported(scene: World) -> None:
    """From a workbook and clouds to the panel, back, and on again; states are those of status."""
    app = sharekit.app(scene.folder, reviewer="Bob")
    app.act("new")
    assert "Choose a workbook first" in seen(app)
    app.act("file", value=scene.shares.name)
    app.act("clouds", value=True)
    app.act("sign_in")
    assert f"{len(scene.names)} of {len(scene.names)} sign-ins worked" in seen(app)
    app.act("new")
    assert app.review.path == scene.folder / "shares.ledger"
    assert app.review.reviewer == "Bob"
    assert app.review.plan.findings.snapshot is not None
    assert app.review.plan.findings.inventory.sources[0].file == scene.shares.name
    assert not app.review.changed_inputs
    assert "Back to the start" in buttons(app, "back")
    app.review.approve("Ada", app.review.state.phrase)
    app.act("back")
    assert "approved, not sent yet" in seen(app)
    app.act("open", "shares.ledger")
    app.review.submit().wait(60)
    shown = app.view["grid"]["version"]
    app.act("back")
    counts = sharekit.status(scene.folder / "shares.ledger").counts
    assert f"finished: {counts['confirmed']:,} confirmed" in seen(app)
    app.act("report", "shares.ledger")
    assert sharekit.verify(
        scene.folder / "shares.ledger", scene.folder / "shares-audit.html"
    ).intact
    app.act("new")
    assert app.review.path.name == "shares-2.ledger"
    assert app.view["grid"]["version"] // (1 << 24) != shown // (1 << 24)
    assert "shares-audit.xlsx" not in RunFolder(scene.folder).inputs()


def test_an_audit_compares_or_writes_an_inventory(scene: World) -> None:
    """With a workbook it is compared; without one the audit writes it, and it is chosen."""
    app = sharekit.app(scene.folder)
    app.act("audit")
    assert "Choose the clouds to audit" in seen(app)
    app.act("clouds", value=True)
    app.act("audit")
    assert len(sharekit.read_inventory(scene.folder / "inventory.xlsx"))
    app.act("audit")
    assert sharekit.verify(
        scene.folder / "inventory-compliance.ledger",
        scene.folder / "inventory-compliance-audit.html",
    ).intact
    assert list(buttons(app, "open")) == []
    assert len(buttons(app, "report")) == 1


def test_a_sign_in_that_fails_says_why(scene: World) -> None:
    """Each cloud is tested by itself; what one refuses is told beside its name, no secret in it."""
    good, bad = scene.names[:2]
    text = scene.config.read_text()
    password = text.partition("password: ")[2].split()[0]
    head, _, tail = text.partition(f"{bad}:")
    scene.config.write_text(f"{head}{bad}:{tail.replace(password, 'wrong-secret', 1)}")
    app = sharekit.app(scene.folder)
    for name in (good, bad):
        app.act("clouds", name, value=True)
    app.act("sign_in")
    assert "1 of 2 sign-ins worked" in seen(app)
    assert "signed in to" in seen(app)
    assert bad in seen(app)
    assert "wrong-secret" not in seen(app)


@pytest.mark.parametrize("content", [b"", b"no ledger at all", b"SQLite format 3\0" + b"\0" * 100])
def test_a_damaged_ledger_is_named_and_others_can_be_opened(empty: App, content: bytes) -> None:
    """What is no ledger has a sentence as its state, and no buttons; nothing is raised."""
    (empty._desk._folder.path / "bad.ledger").write_bytes(content)  # type: ignore[attr-defined]
    empty.act("draw")
    assert "bad.ledger" in seen(empty)
    assert buttons(empty, "open") == buttons(empty, "report") == {}
    empty.act("open", "bad.ledger")
    assert "Traceback" not in seen(empty)


@pytest.mark.parametrize("name", ["../shares.xlsx", "/etc/passwd", "", ".", "none", "x.xlsx"])
def test_only_files_of_the_folder_are_opened(empty: App, name: str) -> None:
    """A name that a page sends leads to no other folder, and to no file that is not there."""
    for do in ("open", "report"):
        empty.act(do, name)
        assert "There is no file" in seen(empty)
    empty.act("file", value=name)
    empty.act("new")
    assert "There is no file" in seen(empty) or "Choose a workbook" in seen(empty)


def test_a_list_that_cannot_be_read_is_one_sentence(empty: App) -> None:
    """A file without a header says so on the page, and leaves no ledger."""
    upload(empty, "a.csv", b"1,2\n3,4\n")
    empty.act("new")
    assert "a.csv" in seen(empty)
    assert "header" in seen(empty)
    assert "None yet" in seen(empty)


def test_steps_of_a_panel_that_is_not_open_do_nothing(empty: App) -> None:
    """Clicks and rows asked for by a page that was left meanwhile are no decision."""
    send(empty, "lines", key="1", value=[0, 10])
    empty.act("decide", "accept")
    with pytest.raises(UsageError, match="No review is open"):
        _ = empty.review


def test_without_a_folder_or_voila_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence each: what is missing, and what installs or creates it."""
    with pytest.raises(UsageError, match="is no folder"):
        sharekit.app(tmp_path / "none")
    done = shell("app", tmp_path / "none")
    assert done.returncode == 2
    assert "is no folder: create it" in done.stderr.decode()
    monkeypatch.setattr(app_command, "find_spec", lambda _: None)
    done = shell("app", tmp_path)
    assert done.returncode == 2
    assert "pip install 'sharekit-ims[app]'" in done.stderr.decode()
