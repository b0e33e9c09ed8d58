"""The command line: exit codes, JSON keys, and one sentence for everything a user can get wrong."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from openpyxl import Workbook

import sharekit
from sharekit.core.errors import ApprovalError
from sharekit.core.rules import RULES, in_shell
from sharekit.interfaces.cli.main import COMMANDS, load_command, main
from sharekit.interfaces.cli.output import print_table
from sharekit.interfaces.review import Review
from sharekit.ledger.ledger import Ledger
from sharekit.simulator.faults import Faults
from tests.conftest import FAST, World

Make = Callable[..., World]
PLAN_KEYS = {"rows", "planned", "blocked", "already", "duplicates", "chunks", "fingerprint"}
RUN_KEYS = {"rows", "outcomes", "chunks", "requests", "fingerprint", "finished"}


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


def shell(*arguments: object, cwd: Path | None = None, stdin: bytes = b"") -> Done:
    """Run the command in this process; an exception that is not an exit code fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd or Path.cwd())
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as leave:
            main([str(argument) for argument in arguments])
    assert isinstance(leave.value.code, int)
    assert leave.value.code != 70, err.getvalue()
    streams = (stream.getvalue().encode("utf-8", "replace") for stream in (out, err))
    return Done(leave.value.code, *streams)


def said(done: Done) -> dict[str, object]:
    """The one JSON object on stdout."""
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def clouds(world: World) -> list[str]:
    """The options that sign in to the simulated cloud."""
    return [*(f"--cloud={name}" for name in world.names), f"--clouds-yaml={world.config}"]


def test_road_in_the_shell(world: Make) -> None:
    """check, plan, review, approve, submit, status, report and verify lead to the end, in JSON."""
    w = world(rows=60, faulty=0.3)
    run = w.folder / "run.ledger"
    check = shell("check", w.shares, *clouds(w), "--json")
    assert check.returncode == 1
    found = said(check)
    assert found.keys() == {"rows", "errors", "warnings", "repairs", "findings"}
    assert set(found["findings"][0]) == {
        "rule", "severity", "file", "sheet", "row", "column", "cell", "value", "message",
        "suggestion",
    }  # fmt: skip
    plan = shell("plan", w.shares, run, *clouds(w), "--chunk-size=10", "--json")
    assert plan.returncode == 1, "rows were blocked"
    numbers = said(plan)
    assert numbers.keys() >= PLAN_KEYS
    review = w.folder / "review.xlsx"
    assert shell("review", run, review).returncode == 0
    assert shell("review", run, "--take", review, "--reviewer=Bob").returncode == 0
    assert shell("submit", run, f"--clouds-yaml={w.config}").returncode == 2, "not approved"
    yes = shell("approve", run, "--reviewer=Ada", f"--fingerprint={numbers['fingerprint']}"[:30])
    assert yes.returncode == 0
    assert shell("status", run).returncode == 3, "nothing was sent yet"
    submit = shell("submit", run, f"--clouds-yaml={w.config}", "--json")
    assert submit.returncode == 0, submit.stderr
    result = said(submit)
    assert result.keys() == RUN_KEYS
    assert result["requests"].keys() == {"submit", "poll", "read", "retried"}
    assert sum(result["outcomes"].values()) == 60
    assert said(shell("status", run, "--json")) == result
    reports = [w.folder / n for n in ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")]
    assert shell("report", run, *reports).returncode == 0
    verdict = shell("verify", run, *reports, "--json")
    assert verdict.returncode == 0
    assert said(verdict).keys() == {
        "intact", "verdict", "events", "head", "problems", "notes",
    }  # fmt: skip
    reports[2].write_bytes(reports[2].read_bytes() + b"x")
    tampered = shell("verify", run, *reports, "--json")
    assert tampered.returncode == 1
    assert said(tampered)["problems"][0].keys() == {"where", "what"}


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".json"])
def test_findings_as_a_file(world: Make, suffix: str) -> None:
    """`check -o FILE` writes all findings in the form that the suffix names, and nothing else."""
    w = world(rows=60, faulty=0.3)
    before = set(w.folder.iterdir())
    out = w.folder / f"findings{suffix}"
    assert shell("check", w.shares, "-o", out).returncode == 1
    assert set(w.folder.iterdir()) - before == {out}
    assert b"image-id-format" in out.read_bytes() or suffix == ".xlsx"


def test_sheets_of_several_people(world: Make) -> None:
    """A sheet for each project is written, and all that a shell lists after --take are taken."""
    w = world(rows=20)
    run, folder = w.folder / "run.ledger", w.folder / "sheets"
    shell("plan", w.shares, run, *clouds(w))
    split = said(shell("review", run, "--split-by=project", folder, "--json"))
    sheets = sorted(folder.iterdir())
    assert split["sheets"] == [str(path) for path in sheets]
    assert len(sheets) > 1
    assert shell("review", run, "--split-by=project", folder).returncode == 2, "they exist"
    # A row in two sheets that say the same is one decision.
    taken = shell("review", run, "--take", *sheets, "--take", sheets[0], "--reviewer=Bob")
    assert taken.returncode == 0, taken.stderr
    for wrong in (("--split-by=project",), (folder, folder / "x"), ("--split-by=x", "--take=y")):
        assert shell("review", run, *wrong).returncode == 2


def test_plan_of_standard_input(tmp_path: Path) -> None:
    """`-` reads the inventory from standard input, and defaults fill columns that are missing."""
    text = b"ID,Name\nd164b5df-1bc3-4c3f-893e-3e471fd16e64,web\n"
    project = "edc89b490d7d4392898e19b2deb34797"
    done = shell(
        "plan", "-", tmp_path / "r.ledger", f"--project={project}", "--status=accepted", "--json",
        stdin=text,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert said(done)["planned"] == 1


def test_template(tmp_path: Path) -> None:
    """`template` writes a workbook, and never over an existing file."""
    path = tmp_path / "shares.xlsx"
    assert shell("template", path).returncode == 0
    content = path.read_bytes()
    assert shell("template", path).returncode == 2
    assert path.read_bytes() == content
    empty = shell("check", path)
    assert empty.returncode == 2
    assert b"no rows" in empty.stderr.lower()


def wrong(*arguments: object, code: int, says: Sequence[str], cwd: Path) -> None:
    """A misuse ends with its exit code, one sentence that names the thing, and nothing written."""
    before = sorted(cwd.rglob("*"))
    done = shell(*arguments, cwd=cwd)
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert done.stdout == b""
    for word in says:
        assert word in " ".join(text.split()), text
    assert len(text.strip().splitlines()) <= 4, text
    assert sorted(cwd.rglob("*")) == before


def test_bad_input(tmp_path: Path) -> None:
    """Every kind of unusable input is refused with exit 2, by name, with nothing written."""
    (tmp_path / "empty.xlsx").write_bytes(b"")
    (tmp_path / "letter.xlsx").write_bytes(b"%PDF-1.7 a letter")
    (tmp_path / "cut.xlsx").write_bytes(b"PK\x03\x04" + b"\0" * 50)
    (tmp_path / "odd.csv").write_text("colour,size\nred,3\n")
    (tmp_path / "good.csv").write_text("image_id,project_id,status\na,b,c\n")
    (tmp_path / "not.ledger").write_text("hello")
    run = tmp_path / "run.ledger"
    for arguments, says in (
        (("check", "nowhere.xlsx"), ["nowhere.xlsx"]),
        (("check", "empty.xlsx"), ["empty.xlsx", "empty"]),
        (("check", "letter.xlsx"), ["letter.xlsx"]),
        (("check", "cut.xlsx"), ["cut.xlsx"]),
        (("check", "."), ["."]),
        (("plan", "odd.csv", run), ["odd.csv", "colour"]),
        (("check", "good.csv", "--map", "image=ID"), ["image"]),
        (("check", "good.csv", "--map", "image_id"), ["FIELD=HEADER"]),
        (("plan", "good.csv", "no/run.ledger"), ["no"]),
        (("plan", "good.csv", run, "--chunk-size=0"), ["chunk"]),
        (("status", "nowhere.ledger"), ["nowhere.ledger", "no such ledger"]),
        (("status", "not.ledger"), ["not.ledger", "not a sharekit ledger"]),
        (("submit", "not.ledger"), ["not a sharekit ledger"]),
        (("approve", "not.ledger", "--reviewer=A", "--fingerprint=12345678"), ["not a sharekit"]),
        (("verify", "not.ledger"), ["not a sharekit ledger"]),
        (("report", "not.ledger", "a.xlsx"), ["not a sharekit ledger"]),
        (("frobnicate",), ["frobnicate"]),
    ):
        wrong(*arguments, code=2, says=says, cwd=tmp_path)


def test_cloud_that_refuses(world: Make) -> None:
    """Wrong credentials, and an endpoint that is down, are exit 4 with the cloud's name."""
    w = world(rows=5)
    text = w.config.read_text()
    w.config.write_text(text.replace("rehearsal", "guess"))
    name = w.names[0]
    options = (f"--cloud={name}", f"--clouds-yaml={w.config}")
    wrong("check", w.shares, *options, code=4, says=[name, "refused"], cwd=w.folder)
    # Nothing listens on port 1.
    w.config.write_text(re.sub(r"127\.0\.0\.1:[0-9]+", "127.0.0.1:1", text))
    says = [name, "refuses connections", "auth_url"]
    wrong("plan", w.shares, w.folder / "r.ledger", *options, code=4, says=says, cwd=w.folder)


def test_only_what_signs_in_waits_for_openstacksdk() -> None:
    """Explaining or completing any command loads no pandas, and only signing in openstacksdk."""
    code = (
        "import sys, sharekit; from sharekit.interfaces.cli.main import COMMANDS, load_command;"
        "[load_command(name) for name in COMMANDS];"
        "heavy = {'pandas', 'numpy', 'rich', 'requests', 'yaml'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "sharekit.status, sharekit.report, sharekit.verify;"
        "print('openstack' in sys.modules); sharekit.connect; print('openstack' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_no_right_at_all(world: Make) -> None:
    """When the cloud denies every decision for want of rights, submit ends with exit 4."""
    w = world(rows=6)
    w.config.write_text(w.cloud.clouds_yaml(user="reader"))
    w.approved()
    done = shell("submit", "run.ledger", f"--clouds-yaml={w.config}", "--json", cwd=w.folder)
    assert done.returncode == 4
    assert said(done)["outcomes"]["failed"] == 6


def test_report_names_its_forms(world: Make) -> None:
    """A report of an unknown suffix, or into a folder that is not there, is refused."""
    w = world(rows=5)
    w.plan()
    wrong("report", "run.ledger", "audit.pdf", code=2, says=["audit.pdf", ".xlsx"], cwd=w.folder)
    wrong("report", "run.ledger", "no/audit.xlsx", code=2, says=["no"], cwd=w.folder)


@pytest.mark.slow
def test_no_input_is_overwritten(world: Make) -> None:
    """Findings never replace a file that is there, least of all the input."""
    w = world()
    before = w.shares.read_bytes()
    check = shell("check", w.shares, "-o", w.shares)
    assert (check.returncode, w.shares.read_bytes()) == (2, before)
    assert b"exists already" in check.stderr


def test_plan_without_a_cloud(world: Make) -> None:
    """A plan made without a cloud says so; submit then asks for one, and status for approval."""
    w = world()
    run = w.folder / "run.ledger"
    plan = shell("plan", w.shares, run)
    assert b"No cloud was named" in plan.stdout
    status = shell("status", run)
    assert (status.returncode, b"Nothing was sent yet" in status.stdout) == (3, True)
    fingerprint = str(said(shell("review", run, "--json"))["fingerprint"])
    approved = shell("approve", run, "--reviewer=Ada", f"--fingerprint={fingerprint}")
    assert approved.returncode == 0
    assert b"Approved by Ada; next: `sharekit submit`" in shell("status", run).stdout
    submit = shell("submit", run)
    assert (submit.returncode, b"planned without a cloud" in submit.stderr) == (2, True)


def test_status_beside_a_submit(world: Make) -> None:
    """While another process works on the ledger, status says so and advises nothing else."""
    w = world()
    run = w.folder / "run.ledger"
    shell("plan", w.shares, run)
    with Ledger.open(run, write=True):
        assert b"Another process is submitting" in shell("status", run).stdout


def test_owner_on_another_machine(world: Make) -> None:
    """A run that another machine left open is only taken over on request; readers always work."""
    w = world(rows=4)
    run = w.approved().path
    owner = {"host": "elsewhere", "pid": 7, "user": "bob", "since": "2026-01-01T00:00:00Z"}
    Path(f"{run}.owner").write_text(json.dumps(owner))
    submit = ("submit", run, f"--clouds-yaml={w.config}")
    refused = shell(*submit)
    assert refused.returncode == 2
    told = refused.stderr.replace(b"\n", b" ")
    assert b"not closed by process 7 of bob on elsewhere since 2026-01-01T00:00:00Z (" in told
    assert b"--take-over" in told
    assert shell("status", run).returncode == 3
    assert shell("verify", run).returncode == 0
    assert shell(*submit, "--take-over").returncode == 0
    assert sorted(p.name for p in run.parent.glob("run.ledger*")) == ["run.ledger"]


def test_a_living_owner_is_never_taken_over(world: Make) -> None:
    """While another process writes, --take-over is refused with its number, too."""
    w = world(rows=4)
    run = w.approved().path
    with Ledger.open(run, write=True):
        refused = shell("submit", run, f"--clouds-yaml={w.config}", "--take-over")
    assert refused.returncode == 2
    assert f"in use by process {os.getpid()}".encode() in refused.stderr
    assert shell("submit", run, f"--clouds-yaml={w.config}").returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_terminal_closed(world: Make) -> None:
    """Closing the terminal in mid-run ends it cleanly: settled, closed, and taken up again."""
    w = world(rows=60, faults="latency=0.1")
    run = w.approved(chunk_size=2).path
    command = [sys.executable, "-c", _IN_A_TERMINAL, "submit", str(run), "--concurrency=1"]
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [*command, f"--clouds-yaml={w.config}"],
        stdin=end, stdout=end, stderr=end, start_new_session=True,
    )  # fmt: skip
    os.close(end)
    while not w.cloud.state()["log"]:
        os.read(terminal, 1024)
    os.close(terminal)
    assert process.wait(60) == 3
    with Ledger.open(run) as book:
        assert [event.kind for event in book.list_events()[-2:]] == ["stopped", "outcomes_recorded"]
    assert not list(run.parent.glob("run.ledger?*"))
    w.cloud.set_faults(Faults())
    assert shell("submit", run, f"--clouds-yaml={w.config}").returncode == 0
    assert max(w.changed().values()) == 1


_IN_A_TERMINAL = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "from sharekit.interfaces.cli.main import main; main()"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_is_taken_up(world: Make, number: signal.Signals) -> None:
    """Ctrl-C (or SIGTERM) in mid-run ends with exit 3; the same command then finishes the run."""
    w = world(rows=60, faults="latency=0.1")
    w.approved(chunk_size=2)
    command = [sys.executable, "-m", "sharekit", "submit", "run.ledger", "--concurrency=1"]
    process = subprocess.Popen(
        [*command, f"--clouds-yaml={w.config}"], cwd=w.folder, stderr=subprocess.PIPE
    )
    while not w.cloud.state()["log"]:
        time.sleep(0.05)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert b"Traceback" not in errors
    assert b"continues the run" in errors.replace(b"\n", b" ")
    assert shell("status", "run.ledger", cwd=w.folder).returncode == 3
    w.cloud.set_faults(Faults())
    again = shell("submit", "run.ledger", f"--clouds-yaml={w.config}", "--json", cwd=w.folder)
    assert again.returncode == 0, again.stderr
    assert said(again)["outcomes"]["confirmed"] == 60
    assert max(w.changed().values()) == 1


def test_demo(tmp_path: Path) -> None:
    """`demo` leaves exactly the promised files, and does not overwrite an earlier demo."""
    done = shell("demo", "d", "--rows=60", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == [
        "audit.html", "audit.xlsx", "clouds.yaml", "outcomes.csv", "outcomes.json", "run.ledger",
        "shares.xlsx",
    ]  # fmt: skip
    assert shell("verify", "d/run.ledger", "d/audit.xlsx", cwd=tmp_path).returncode == 0
    wrong("demo", "d", code=2, says=["exists already"], cwd=tmp_path)


def test_simulator_command(tmp_path: Path) -> None:
    """`simulator` prints a clouds.yaml that works, rehearses a user's own list, ends on Ctrl-C."""
    (tmp_path / "shares.csv").write_text(
        "image_id,project_id,status\n"
        "d164b5df-1bc3-4c3f-893e-3e471fd16e64,edc89b490d7d4392898e19b2deb34797,accepted\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sharekit", "simulator", "--shares=shares.csv",
         "--clouds-yaml=clouds.yaml", "--json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    started = json.loads(process.stdout.readline())
    cloud = f"--cloud={started['clouds'][0]}"
    options = (cloud, "--clouds-yaml=clouds.yaml", "--json")
    done = shell("plan", "shares.csv", "run.ledger", *options, cwd=tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert done.returncode == 0, done.stderr
    assert said(done)["planned"] == 1


def test_no_secret_anywhere(world: Make) -> None:
    """Neither password nor token is in any file, message or repr that a run leaves."""
    w = world(rows=10)
    plan = w.approved()
    connected = w.connect()
    tokens = {cloud.transport.token() for cloud in connected.values()}
    done = shell("submit", "run.ledger", f"--clouds-yaml={w.config}", cwd=w.folder)
    names = ["audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json"]
    shell("report", "run.ledger", *names, cwd=w.folder)
    everything = [done.stdout, done.stderr, repr(connected).encode(), repr(plan).encode()]
    everything += [p.read_bytes() for p in w.folder.iterdir() if p.is_file() and p != w.config]
    for secret in (b"rehearsal", *(token.encode() for token in tokens)):
        assert all(secret not in text for text in everything)


def test_the_findings_left_out_are_where_they_were_written(tmp_path: Path) -> None:
    """With -o the last line names that file; without it, how to get one."""
    lines = "".join(f"nonsense {i},{'1' * 32},accepted\n" for i in range(25))
    (tmp_path / "shares.csv").write_text(f"image_id,project_id,status\n{lines}")
    done = shell("check", "shares.csv", "-o", "found.csv", cwd=tmp_path)
    told = " ".join(done.stdout.decode().split())
    assert "5 more errors; all of them are in found.csv." in told
    assert "writes all of them" not in told
    again = " ".join(shell("check", "shares.csv", cwd=tmp_path).stdout.decode().split())
    assert "5 more errors; `sharekit check … -o FILE` writes all of them." in again


def test_findings_about_whole_sheets_are_printed_with_their_sheet(tmp_path: Path) -> None:
    """The first three of each rule are printed with sheet and advice; numbers agree with nouns."""
    book = Workbook()
    book.active.append(["image_id", "project_id", "status"])
    book.active.append(["d164b5df-1bc3-4c3f-893e-3e471fd16e64", "1" * 32, "accepted"])
    for number in range(5):
        sheet = book.copy_worksheet(book.active)
        sheet.title, sheet.sheet_state = f"Part {number}", "hidden"
    book.save(tmp_path / "shares.xlsx")
    printed = " ".join(shell("check", "shares.xlsx", cwd=tmp_path).stdout.decode().split())
    assert "6 rows: 0 errors" in printed
    hidden = RULES["hidden-sheet"]
    told = f"{hidden.message}. {in_shell(hidden.suggestion)}"
    for number in range(3):
        assert f"shares.xlsx Part {number}: {told}" in printed
    assert "Part 3:" not in printed
    assert "… and 2 more of hidden-sheet." in printed
    (tmp_path / "one.csv").write_text(f"image_id,project_id,status\nx,{'1' * 32},accepted\n")
    one = shell("check", "one.csv", cwd=tmp_path).stdout.decode()
    assert one.startswith("1 row: 1 error, 0 warnings, 0 repairs\n")


@pytest.mark.parametrize("kind", ["already", "blocked"])
def test_a_plan_that_sends_nothing_goes_all_the_way(
    kind: str, world: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every row so already, or none that can go, each step ends in words; the report holds."""
    w = world(rows=6)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(w.config))
    signed = [word for name in w.names for word in ("--cloud", name)]
    if kind == "already":
        sharekit.submit(w.approved(), w.connect(), settings=FAST)
    else:
        w.shares = tmp_path / "shares.csv"
        w.shares.write_text(f"image_id,project_id,status\nnonsense,{'1' * 32},accepted\n")

    def step(*words: object, code: int = 0) -> Done:
        done = shell(*words, cwd=tmp_path)
        assert done.returncode == code, (words, done)
        return done

    for ledger in ("shell.ledger", "panel.ledger"):
        made = said(step("plan", w.shares, ledger, *signed, "--json", code=int(kind == "blocked")))
        assert made["planned"] == 0
        assert made[kind] == made["rows"]
    assert b"nothing was sent" in step("status", "shell.ledger", code=3).stdout.lower()
    step("review", "shell.ledger", "sheet.xlsx")
    step("review", "shell.ledger", "--take", "sheet.xlsx")
    phrase = ["--reviewer", "Ada", "--fingerprint", str(made["fingerprint"])[:12]]
    panel = Review(tmp_path / "panel.ledger", w.connect(), settings=FAST)
    assert panel.state.counts[kind] == made["rows"]
    assert set(panel.rows["disposition"]) == {kind}
    told = step("approve", "shell.ledger", *phrase, code=2).stderr
    assert b"the plan sends nothing, so there is nothing to approve" in told
    with pytest.raises(ApprovalError, match="nothing to approve"):
        panel.approve("Ada", panel.state.phrase)
    ended = said(step("submit", "shell.ledger", "--json"))
    assert ended["outcomes"][kind] == made["rows"]
    assert (ended["finished"], ended["requests"]["submit"]) == (True, 0)
    step("status", "shell.ledger")
    step("report", "shell.ledger", "audit.xlsx", "audit.html", "outcomes.csv")
    step("verify", "shell.ledger")


def test_logs_in_the_shell(world: Make) -> None:
    """-vv and --log-file show each request, -q nothing but errors, and no log holds a secret."""
    w = world(rows=6)
    log = w.folder / "requests.log"
    loud = shell("check", w.shares, *clouds(w), "-vv")
    quiet = shell("check", w.shares, *clouds(w), "-q", "--log-file", log)
    assert b"DEBUG sharekit.clouds: GET http://127.0.0.1" in loud.stderr
    assert quiet.stderr == b""
    assert "DEBUG sharekit.clouds: GET http://127.0.0.1" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o777 == 0o600
    passwords = re.findall(r"password: (\S+)", w.config.read_text(encoding="utf-8"))
    assert passwords
    for password in passwords:
        assert password.encode() not in loud.stderr
        assert password not in log.read_text(encoding="utf-8")


def test_quiet_still_says_what_is_wrong(tmp_path: Path) -> None:
    """An error is printed with -q, too."""
    done = shell("check", tmp_path / "none.xlsx", "-q")
    assert done.returncode == 2
    assert b"none.xlsx" in done.stderr


def test_a_fault_of_ours_is_reported_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of sharekit itself ends with 70 and a file without values, secrets or home."""
    monkeypatch.setenv("OS_PASSWORD", "correct horse")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(*_: object) -> None:
        hidden = "a local value"
        said = f"password=battery, correct+horse, {Path.home()}/x, {len(hidden)}"
        raise RuntimeError(f"{said}\nCorrect&#32;Horse\nthe last line")

    monkeypatch.setattr("sharekit.spreadsheets.writing.template.write_template", fail)
    err = io.StringIO()
    with redirect_stderr(err), pytest.raises(SystemExit) as leave:
        main(["template", "private name.xlsx", f"--log-file={tmp_path}/private.log"])
    assert leave.value.code == 70
    (report,) = tmp_path.glob("sharekit-crash-*.txt")
    assert str(report) in err.getvalue().replace("\n", "")
    text = report.read_text(encoding="utf-8")
    assert report.stat().st_mode & 0o777 == 0o600
    for word in ("sharekit: ", "python: ", "pandas: ", "RuntimeError", "in fail", "the last line"):
        assert word in text, word
    assert "command: sharekit template … --log-file=…" in text
    for secret in ("battery", "horse", "Horse", "private", str(Path.home()), "a local value\n"):
        assert secret not in text, secret


def test_no_color_is_no_markup_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR a terminal gets neither colours nor bold text, in a table or elsewhere."""

    def show() -> None:
        click.secho("bold", bold=True)
        print_table(["rows"], [["1"]], ["red"])

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    command = click.Command("status", callback=show)
    monkeypatch.setattr("sharekit.interfaces.cli.main.load_command", lambda _: command)
    monkeypatch.setenv("TERM", "xterm-256color")
    for value, times in (("", 2), ("1", 0)):
        monkeypatch.setenv("NO_COLOR", value)
        monkeypatch.setattr("sys.stdout", Terminal())
        with pytest.raises(SystemExit):
            main(["status"])
        lines = sys.stdout.getvalue().splitlines()  # type: ignore[attr-defined]
        assert len([line for line in lines if "\x1b[" in line]) == times


def test_variables_hold_what_people_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SHAREKIT_* stand for options that are not given; none decides, or allows what is refused."""
    (tmp_path / "a.csv").write_bytes("Image ID;Name\nx;Жук\n".encode("cp1251"))
    monkeypatch.setenv("SHAREKIT_ENCODING", "no-such-encoding")
    assert b"no-such-encoding" in shell("check", tmp_path / "a.csv").stderr
    assert b"no-such" not in shell("check", tmp_path / "a.csv", "--encoding=cp1251").stderr
    variables = {
        option.envvar for name in COMMANDS for option in load_command(name).params if option.envvar
    }
    assert {"SHAREKIT_CLOUD", "SHAREKIT_CLOUDS_YAML", "SHAREKIT_LOG_FILE"} <= variables
    for word in (
        "CONFIRM",
        "TAKE",
        "STATUS",
        "PROJECT",
        "FINGERPRINT",
        "REVIEWER",
        "LIMIT",
        "SIGN",
    ):
        assert f"SHAREKIT_{word}" not in variables


@pytest.mark.parametrize(
    ("variable", "value", "says", "code"),
    [("CANARY", "-1", b"canary is -1", 2), ("CONCURRENCY", "0", b"concurrency is 0", 2),
     ("MAX_FAILED", "nan", b"max_failure_rate is nan", 2), ("OUTAGE", "soon", b"'--outage'", 2),
     ("CLOUDS_YAML", "no.yaml", b"no.yaml cannot be read", 4),
     ("SECURE_YAML", "no.yaml", b"no.yaml cannot be read", 4)],
)  # fmt: skip
def test_bad_variables_are_refused_of_a_finished_run(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: bytes,
    code: int,
) -> None:  # fmt: skip
    """What submit refuses of a run that is to be sent, it refuses of a finished one, too."""
    monkeypatch.setenv(f"SHAREKIT_{variable}", value)
    done = shell("submit", "run.ledger", cwd=finished_run)
    assert says in done.stderr
    assert done.returncode == code


@pytest.mark.parametrize(
    ("words", "answers"),
    [("sharekit su", {"submit"}), ("sharekit submit --canary 1 --conc", {"--concurrency"})],
)
def test_completion(
    words: str,
    answers: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The shell's question for what may follow is answered: commands, and options of a command."""
    monkeypatch.setenv("_SHAREKIT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit) as leave:
        main([])
    assert leave.value.code == 0
    assert {line.partition(",")[2] for line in capsys.readouterr().out.splitlines()} == answers


def test_fish_is_told_a_help_with_commas_whole(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The script for fish splits what it is told at the first comma alone: a help may hold more."""
    monkeypatch.setenv("_SHAREKIT_COMPLETE", "fish_source")
    with pytest.raises(SystemExit) as leave:
        main([])
    assert leave.value.code == 0
    script = capfd.readouterr().out
    assert script.count("string split") == script.count('string split --max 1 ","') == 1


#: What none of the commands below needs.
HEAVY = "requests keystoneauth1 openstack openpyxl yaml IPython ipywidgets anywidget werkzeug"


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], f"{HEAVY} pandas numpy pyarrow sharekit.interfaces.cli.output"),
        (["--version"], f"{HEAVY} pandas numpy pyarrow sharekit.interfaces.cli.output"),
        (["submit", "--help"], f"{HEAVY} pandas numpy pyarrow"),
        (
            ["status", "run.ledger"],
            f"{HEAVY} xlsxwriter jinja2 fastexcel xlrd confusable_homoglyphs",
        ),
        (
            ["report", "run.ledger", "{}/o.xlsx", "{}/o.html"],
            f"{HEAVY} fastexcel python_calamine xlrd",
        ),
        (["check", "shares.xlsx"], HEAVY),
        (["template", "{}/new.xlsx"], HEAVY),
    ],
)
def test_what_a_command_loads(
    finished_run: Path, tmp_path: Path, arguments: list[str], unneeded: str
) -> None:
    """The help loads no pandas; nothing here loads what signs in, what speaks HTTP, or openpyxl."""
    code = "import sys\nfrom sharekit.interfaces.cli.main import main\ntry: main(sys.argv[1:])\n"
    code += "except SystemExit: print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, *(text.format(tmp_path) for text in arguments)]
    done = subprocess.run(command, cwd=finished_run, capture_output=True, check=True)
    loaded = set(done.stderr.decode().split())
    assert "click" in loaded
    assert not loaded & set(unneeded.split())
