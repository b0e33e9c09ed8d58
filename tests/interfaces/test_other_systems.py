"""What Windows, macOS and old terminals lack or do otherwise, taken away or imitated here.

No real Windows runs these tests on a developer's machine; the CI files name one.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zoneinfo
from pathlib import Path, PureWindowsPath

import pandas as pd
import pytest

import sharekit
from sharekit.clouds.access_key import AccessKey, HmacAuth
from sharekit.core.errors import UsageError
from sharekit.fleets.sending import _distributed
from sharekit.interfaces.cli.main import main
from sharekit.ledger import lock
from sharekit.ledger.file import database_uri
from sharekit.ledger.ledger import Ledger
from tests.interfaces.test_cli import said, shell

IMAGE = "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10"
#: Runs first in a child process: names that Windows lacks are gone, and what this process has
#: open can neither be removed nor replaced, nor be opened through a link.
_LIKE_WINDOWS = """
import contextlib, filelock, getpass, os, platform, shutil, signal, subprocess, sys, tempfile
import keystoneauth1.session, numpy, openpyxl, openstack.config.loader, pandas, pyarrow.parquet
import werkzeug.serving, xlsxwriter  # these know which system they are on, and use its names

platform.uname()

for module in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty"):
    sys.modules[module] = None
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "O_SYNC", "geteuid", "getuid",
             "getegid", "getgid", "fchmod", "fchown", "chown", "mkfifo", "mknod", "fork", "killpg",
             "getpgid", "setsid", "uname", "statvfs", "getloadavg", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGPIPE", "SIGQUIT", "SIGCHLD"):
    if hasattr(signal, name):
        delattr(signal, name)

def is_open(path):
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    for number in os.listdir("/proc/self/fd"):
        try:
            own = os.stat(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino) and not os.path.isdir(path):
            return True
    return False

def guarded(call, *, both):
    def wrapper(path, *more, **options):
        for each in (path, *more[:both]):
            if isinstance(each, (str, os.PathLike)) and is_open(each):
                raise PermissionError(13, "The process cannot access the file", str(each))
        return call(path, *more, **options)
    return wrapper

class WindowsLock:  # a file that is open as long as it is locked, and then removed
    held = set()

    def __init__(self, path, timeout=0, mode=0):
        self.path = str(path)

    def acquire(self, timeout=0):
        if self.path in self.held:
            raise filelock.Timeout(self.path)
        self.file = open(self.path, "wb")
        self.held.add(self.path)

    def release(self):
        self.file.close()
        self.held.remove(self.path)
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()

filelock.FileLock = WindowsLock
os.unlink = os.remove = guarded(os.unlink, both=0)
os.replace = os.rename = guarded(os.replace, both=1)
"""

_ROAD = """
import pathlib, sharekit
from sharekit.interfaces.cli.signals import install_signal_handlers
from sharekit.ledger.lock import LockHolder, is_busy
from sharekit.simulator.process import start
from sharekit.simulator.sample import build_sample, write_workbook

sample = build_sample(12)
shares = write_workbook(sample, "shares.xlsx")
with start(sample.seed, job_seconds=0.01) as cloud:
    clouds = sharekit.connect(config_file=cloud.write_clouds_yaml("clouds.yaml"))
    plan = sharekit.plan(sharekit.check(sharekit.read_inventory(shares), clouds), "run.ledger")
    sharekit.review("run.ledger", reviewer="Bob")
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, clouds, settings=sharekit.Settings(
        min_poll_interval=0.01, max_poll_interval=0.05, read_back_delay=0.01))
reports = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
sharekit.report(run, *reports)
sharekit.report(run, *reports)  # onto files that are there
sharekit.template("empty.xlsx")
assert sharekit.verify("run.ledger", *reports).intact
assert run.finished and not is_busy("run.ledger") and LockHolder.read("run.ledger") is None
install_signal_handlers()
print(sorted(path.name for path in pathlib.Path().iterdir()))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what is open")
def test_the_road_without_what_windows_lacks(tmp_path: Path) -> None:
    """The whole road needs no name that only Unix has, and removes or replaces no open file."""
    done = subprocess.run(
        [sys.executable, "-c", _LIKE_WINDOWS + _ROAD],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(sorted([
        "audit.html", "audit.xlsx", "clouds.yaml", "empty.xlsx", "outcomes.csv", "outcomes.json",
        "run.ledger", "shares.xlsx",
    ]))  # fmt: skip


def test_a_lock_is_released_where_open_files_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger whose side files somebody has open is closed all the same, and opens again."""

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(13, "in use", str(path))

    with monkeypatch.context() as patch:
        ledger = Ledger.create(tmp_path / "run.ledger")
        patch.setattr(Path, "unlink", refuse)
        ledger.close()
    assert not lock.is_busy(tmp_path / "run.ledger")
    Ledger.open(tmp_path / "run.ledger", write=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ["run.ledger"]


def test_a_report_that_a_spreadsheet_program_holds_open(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that cannot be replaced is refused in one sentence, and stays as it was."""

    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "outcomes.csv").write_bytes(b"as it was")
    monkeypatch.setattr(Path, "replace", refuse)
    done = shell("report", finished_run / "run.ledger", tmp_path / "outcomes.csv")
    assert done.returncode == 2
    assert b"free the file" in done.stderr
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"as it was"]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (r"C:\Users\Ada\run 1%.ledger", "file:///C:/Users/Ada/run%201%25.ledger"),
        (r"\\server\share\run.ledger", "file:////server/share/run.ledger"),
        (r"C:\a?b#c.ledger", "file:///C:/a%3Fb%23c.ledger"),
    ],
)
def test_drives_and_servers_in_the_address_of_a_ledger(path: str, uri: str) -> None:
    """Drive letters and network shares have the form that the database takes."""
    assert database_uri(PureWindowsPath(path)) == uri


@pytest.mark.parametrize("name", ["a:b.ledger", "a%20b?.ledger", "ü #1.ledger", r"a\b.ledger"])
def test_unusual_names_of_a_ledger(tmp_path: Path, name: str) -> None:
    """A ledger whose name has colons, backslashes or URL syntax is that very file."""
    Ledger.create(tmp_path / name).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert sharekit.Plan is not None


@pytest.mark.parametrize(
    "arguments", [["--help"], ["submit", "--help"], ["status", "run.ledger"], ["report", "ж→.x"]]
)
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437"])
def test_no_character_ends_a_command(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], encoding: str
) -> None:
    """Help, tables and errors are printed where the stream holds few characters."""
    monkeypatch.chdir(finished_run)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    with pytest.raises(SystemExit) as leave:
        main(arguments)
    for stream in streams:
        stream.flush()
    assert leave.value.code in (0, 1, 2)
    assert b"".join(stream.buffer.getvalue() for stream in streams)  # type: ignore[attr-defined]


def test_a_file_gets_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no terminal gets UTF-8, whatever the system's encoding is."""
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit):
        main(["--help"])
    stream.flush()
    assert "check → plan" in stream.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]


def test_json_is_ascii(tmp_path: Path) -> None:
    """What --json prints is ASCII, so that every console and pipe takes it, lone surrogates too."""
    done = shell("template", tmp_path / "Bücher \udce4→.xlsx", "--json")
    assert done.returncode == 0
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    "arguments",
    [("approve", "run.ledger", "--fingerprint=12345678", "--reviewer"),
     ("check", "shares.xlsx", "--sheet"), ("review", "run.ledger", "--reviewer"),
     ("check", "shares.xlsx", "--map"), ("find", "run.ledger")],
)  # fmt: skip
def test_a_text_that_the_encoding_does_not_hold(
    finished_run: Path, arguments: tuple[str, ...]
) -> None:
    """Letters that Python could not read, as in the locale C, are refused with what to do."""
    *known, last = arguments
    text = "Жук".encode().decode("ascii", "surrogateescape")
    given = [*known, last, text] if last.startswith("--") else [*known, text, last]
    done = shell(*given, cwd=finished_run)
    assert done.returncode == 2
    assert b"Set PYTHONUTF8=1, or a locale with UTF-8" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    """An inventory, a ledger and reports whose names are no UTF-8 go the whole way."""
    shares, run, audit = (tmp_path / f"\udcff.{suffix}" for suffix in ("csv", "ledger", "html"))
    shares.write_text(f"image_id,project_id,status\n{IMAGE},{'0' * 32},accepted\n")
    assert said(shell("check", shares, "--json"))["rows"] == 1
    assert shell("plan", shares, run).returncode == 0
    assert shell("report", run, audit).returncode == 0
    assert "\\xff.csv" in audit.read_text(encoding="utf-8")
    assert shell("verify", run, audit).returncode == 0
    assert shell("retry", run, tmp_path / "b.ledger").returncode == 2


def test_times_without_the_systems_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times in a zone are read where the system has no database of time zones, as Windows."""
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    try:
        times = pd.Series(pd.to_datetime(["2026-07-01T10:00Z"])).dt.tz_convert("Europe/Berlin")
        frame = pd.DataFrame({"image_id": [IMAGE], "status": ["accepted"], "when": times})
        data = io.BytesIO()
        frame.to_parquet(data)
        for given in (frame, data.getvalue()):
            rows = sharekit.read_inventory(given, defaults={"project_id": "0" * 32}).rows
            assert "2026-07-01 12:00:00+02:00" in rows.iloc[0].astype(str).tolist()
    finally:
        zoneinfo.reset_tzpath()


@pytest.mark.parametrize(
    ("receipt", "command"),
    [("uv-receipt.toml", "uv tool install"), ("pipx_metadata.json", "pipx install --force"),
     ("", "pip install")],
)  # fmt: skip
def test_a_missing_extra_is_one_sentence_with_its_command(
    receipt: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its packages each extra says, in one line, what installs it where sharekit is."""
    for module in ("huaweicloudsdkcore", "distributed"):
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(sys.modules, f"{module}.sdk_request", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    if receipt:
        (tmp_path / receipt).touch()
    calls = {"aksk": lambda: HmacAuth(AccessKey("a", "s", ""), "p"), "fleet": _distributed}
    for extra, call in calls.items():
        with pytest.raises(UsageError) as told:
            call()
        assert str(told.value).endswith(f": {command} 'sharekit-ims[{extra}]'.")
        assert told.value.in_shell == str(told.value)
