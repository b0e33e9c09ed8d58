"""Files that would fill the memory, never end, or change under the reader: one clear sentence."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sharekit
from sharekit.core.errors import InputError, SpreadsheetError
from sharekit.spreadsheets import input as input_
from sharekit.spreadsheets.input import Limits
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.corpus.make import HEADER, IMAGE, PROJECT, data, plain, row, xlsx
from tests.spreadsheets.hostile import FILES
from tests.spreadsheets.workbooks import by_csv, by_xlsxwriter

ROOT = Path(__file__).parents[2]
ROWS = [HEADER, [IMAGE, PROJECT, "accepted"]]


def test_every_hostile_file_ends_in_one_sentence(tmp_path: Path) -> None:
    """None is read, none takes ten seconds or a gigabyte, and each refusal says what and where."""
    for name, (_, make) in FILES.items():
        make(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "tests.spreadsheets.hostile", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines] == [*FILES], done.stderr[-2000:]
    for line in lines:
        assert re.search(FILES[line["file"]][0], line["told"]), line
        assert line["told"].startswith(str(tmp_path / line["file"]))
        assert "\n" not in line["told"]
        assert line["seconds"] < 10, line
    assert lines[-1]["peak"] < 1 << 30


def test_the_shell_says_it_and_exits_with_two(tmp_path: Path) -> None:
    """A pipe that nobody writes to does not block, and a stretched sheet does not abort."""
    os.mkfifo(tmp_path / "pipe.csv")
    FILES["corner.xlsx"][1](tmp_path / "corner.xlsx")
    for name, says in (("pipe.csv", "is a pipe"), ("corner.xlsx", "reaches to cell")):
        result = subprocess.run(
            [sys.executable, "-m", "sharekit", "check", str(tmp_path / name)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        told = " ".join((result.stdout + result.stderr).split())
        assert (result.returncode, says in told) == (2, True), told


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the old and half of the new is never taken for a list."""
    path = by_csv(tmp_path / "a.csv", ROWS)

    class Meanwhile(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            with path.open("a") as other:
                other.write("x")
            return found

    monkeypatch.setattr(input_, "_open", lambda name: Meanwhile(io.FileIO(name)))
    with pytest.raises(InputError, match="changed while it was read"):
        read_inventory(path)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system forbids is called so (an administrator is forbidden nothing)."""
    path = by_csv(tmp_path / "a.csv", ROWS)

    def forbidden(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(input_, "_opener", forbidden)
    with pytest.raises(InputError, match="may not be read"):
        read_inventory(path)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(file_bytes=100), "bytes"),
        (Limits(inflated_bytes=1000), "unpacks to"),
        (Limits(strings_bytes=10), "bytes of texts"),
        (Limits(parts=3), "parts"),
        (Limits(sheets=0), "1 sheets"),
        (Limits(columns=2), "columns"),
        (Limits(cells=4), "reaches to cell D2"),
    ],
)
def test_limits_are_settings(limits: Limits, says: str, tmp_path: Path) -> None:
    """Each limit is obeyed; what is beyond is refused with the limit in the sentence."""
    path = by_xlsxwriter(tmp_path / "a.xlsx", ROWS)
    with pytest.raises(SpreadsheetError, match=says):
        read_inventory(path, limits=limits)
    assert len(read_inventory(path)) == 1
    assert sharekit.Limits is Limits


def test_merges_are_limited(tmp_path: Path) -> None:
    """As many merged cells as the limit says are read, one more is refused."""
    merged = '<mergeCell ref="F5:G6"/><mergeCell ref="F8:G9"/>'
    path = xlsx(tmp_path / "a.xlsx", data(row(1, *HEADER), plain(2), after=merged))
    assert len(read_inventory(path, limits=Limits(merges=2))) == 1
    with pytest.raises(SpreadsheetError, match="merges cells more than 1 times"):
        read_inventory(path, limits=Limits(merges=1))


def test_a_million_rows_of_fifty_columns_are_no_attack() -> None:
    """The defaults let long lists pass, full or with every other cell blank."""
    for height, width in ((1_048_576, 8), (1_048_576, 50), (1_000_000, 60), (4000, 16_384)):
        Limits().check_dimensions("a.xlsx", "S", height, width, height * width // 2)


def test_blank_cells_stretch_nothing(tmp_path: Path) -> None:
    """Formats that reach the last row and column of the sheet cost nothing, and are no rows."""
    far = row(1048576, '<c r="A1048576" s="3"/>', '<c r="XFD1048576" s="3"></c>')
    path = xlsx(tmp_path / "a.xlsx", data(row(1, *HEADER), plain(2), far))
    inventory = read_inventory(path)
    assert inventory.rows["row"].tolist() == [2]
    assert inventory.sources[0].blank_rows == 0


def test_standard_input_has_its_own_name_and_end() -> None:
    """What never ends is refused under the limit for pipes, and called by a name people know."""
    # What the shell runs, and then what it took.
    run = (
        "import atexit, pathlib, runpy, sys, time; sys.argv[0] = 'sharekit'; atexit.register("
        "lambda: print(time.process_time(), pathlib.Path('/proc/self/status').read_text()));"
        "runpy.run_module('sharekit', run_name='__main__')"
    )
    for limits, says in (([], "536,870,912"), (["--limit", "piped_bytes=1000000"], "1,000,000")):
        endless = subprocess.Popen(["yes", "image_id,project_id,status"], stdout=subprocess.PIPE)
        done = subprocess.run(
            [sys.executable, "-c", run, "check", "-", *limits],
            cwd=ROOT, stdin=endless.stdout, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        endless.kill()
        endless.communicate()
        assert done.returncode == 2
        assert f"standard input has more than {says} bytes" in " ".join(done.stderr.split())
        assert float(done.stdout.split()[0]) < 10
        assert int(re.findall(r"VmHWM:\s*(\d+) kB", done.stdout)[0]) * 1024 < 1 << 30


def test_texts_that_speak_of_vocabularies_are_texts(tmp_path: Path) -> None:
    """Markup inside a cell's text, namespaces too, is text and arrives as it is."""
    text = '<a xmlns="urn:other"> xmlns:y="urn:other"'
    path = tmp_path / "shares.xlsx"
    header = ["image_id", "project_id", "status", "Note"]
    by_xlsxwriter(path, [header, [IMAGE, PROJECT, "accepted", text]])
    rows = read_inventory(path).rows
    assert rows["input.Note"].tolist() == [text]
    assert rows["image_id"].tolist() == [IMAGE]
