"""Ledgers, clouds and neighbours that mean harm; the threat model names each of these tests."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sharekit
from sharekit.clouds import http_limits
from sharekit.clouds.registry import Clouds
from sharekit.core.errors import CloudError, LedgerError, NoResponseError, SharekitError
from sharekit.core.frame_schemas import FrameSchema
from sharekit.interfaces.cli.main import main
from sharekit.interfaces.review import Review
from sharekit.ledger import parquet
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import LockHolder
from sharekit.plans import approval
from tests.clouds.servers import serving, token
from tests.clouds.test_connecting import entry, written
from tests.conftest import FAST, REPORTS, World
from tests.fuzzing import Book, forge, one_sentence
from tests.interfaces.test_cli import shell

Make = Callable[..., World]
ROOT = Path(__file__).parents[1]
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"


def changed(kind: str, **body: Any) -> Callable[[list[list[Any]], Book], None]:
    """A change of each event of a kind; None takes a key away."""

    def change(events: list[list[Any]], _: Book) -> None:
        hit = [event for event in events if event[1] == kind]
        assert hit
        for event in hit:
            event[2] = {k: v for k, v in (event[2] | body).items() if v is not None}

    return change


def bomb(table: pa.Table, columns: list[str] | None = None, **options: Any) -> bytes:
    """A frame that is small as it lies there."""
    told = {b"sharekit.columns": json.dumps([columns or table.column_names, {}])}
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, compression="zstd", **options) as writer:
        writer.add_key_value_metadata({key.decode(): text for key, text in told.items()})
        writer.write_table(table)
    return sink.getvalue()


def blob(kind: str, field: str, content: bytes) -> Callable[[list[list[Any]], Book], None]:
    """Another frame in place of one."""

    def change(events: list[list[Any]], book: Book) -> None:
        name = next(body[field] for _, k, body in events if k == kind)
        book.put(content, name, events)

    return change


REPEATED = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 200_000])
FORGERIES: dict[str, Callable[[list[list[Any]], Book], None]] = {
    "wrong type": changed("planned", settings=5),
    "missing key": changed("answer", chunk=None),
    "number without end": changed("intent", attempt=10**40),
    "end of text in a name": changed("approved", reviewer="Ada\x00"),
    "time that is none": lambda events, _: events[3].__setitem__(0, "yesterday"),
    "sources that are none": changed("inventory_read", sources=[{"file": "../../etc/passwd"}]),
    "fewer rows": changed("inventory_read", rows=3),
    "body too deep": lambda events, _: events[2].__setitem__(2, "[" * 100_000),
    "piece of nobody": changed("job_done", chunk="99"),
    "parquet of other columns": blob("planned", "rows_blob", bomb(pa.table({"x": [1]}))),
    "parquet that unpacks to terabytes": blob(
        "read_back", "blob", bomb(pa.table({"state": REPEATED}))),
    "parquet whose texts unpack to terabytes": blob(
        "read_back", "blob", bomb(pa.table({"state": REPEATED}), store_schema=False)),
    "parquet in an encoding that repeats what was before": blob(
        "read_back", "blob", bomb(
            pa.table({"state": ["x"]}), use_dictionary=False,
            column_encoding={"state": "DELTA_BYTE_ARRAY"})),
    "parquet of a million columns": blob(
        "read_back", "blob", bomb(pa.table({"x": [1]}), ["x"] * 1_000_000)),
    "a pickle": blob("read_back", "blob", b"\x80\x04cos\nsystem\n(S'touch owned'\ntR."),
    "a zip": blob("read_back", "blob", b"PK\x03\x04" + bytes(100)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [(200_000, {}, "unpacks to 100000000000 bytes"),
     (200_000, {"store_schema": False}, "unpacks to 100000000000 bytes"),
     (4_000, {"store_schema": False}, "unpacks to 2000000000 bytes")],
)  # fmt: skip
def test_texts_stored_once_are_measured_before_they_unpack(
    size: int, options: dict[str, Any], message: str
) -> None:
    """A text stored once for 100,000 rows is refused by the size it would unpack to."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * size])
    schema = FrameSchema(dict.fromkeys("abcde", "str"))
    frame = bomb(pa.table(dict.fromkeys(schema.names, texts)), **options)
    assert len(frame) < 1_000_000
    with pytest.raises(parquet.FrameError, match=message):
        parquet.from_bytes(frame, schema)


@pytest.mark.parametrize("how", FORGERIES)
def test_forged_ledger(finished_run: Path, tmp_path: Path, how: str) -> None:
    """Hashes that fit help nobody: what is no ledger inside is one sentence, for each command."""
    path = tmp_path / "run.ledger"
    forge(finished_run / "run.ledger", path, FORGERIES[how])
    assert not sharekit.verify(path).intact
    with pytest.raises(LedgerError, match="damaged"):
        sharekit.status(path)
    for use in (
        lambda: sharekit.report(path, tmp_path / "a.csv"),
        lambda: Review(path).rows,
        lambda: sharekit.submit(path, Clouds({}), settings=FAST),
    ):
        try:
            use()  # of what it does not need it may know nothing
        except SharekitError as refusal:
            one_sentence(refusal)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.ledger"]


def test_forged_ledger_in_the_shell(finished_run: Path, tmp_path: Path) -> None:
    """The shell says it too: exit 2 (`verify`: 1), and no traceback."""
    path = tmp_path / "run.ledger"
    forge(finished_run / "run.ledger", path, FORGERIES["wrong type"])
    for words, code in ((("status",), 2), (("report",), 2), (("verify",), 1)):
        more = [str(tmp_path / "a.csv")] if words == ("report",) else []
        done = shell(*words, str(path), *more)
        assert done.returncode == code, done
        assert b"Traceback" not in done.stdout + done.stderr


def test_forged_addresses(finished_run: Path, tmp_path: Path) -> None:
    """An ID that would lead a request elsewhere makes the plan damaged, fingerprint or not."""

    def change(events: list[list[Any]], book: Book) -> None:
        body = next(body for _, kind, body in events if kind == "planned")
        table = pq.read_table(io.BytesIO(book.get(body["rows_blob"])))
        at = table.column_names.index("image_id")
        ids = [f"x/../../../v2/images/{n}" for n in range(table.num_rows)]
        sink = io.BytesIO()
        pq.write_table(table.set_column(at, "image_id", pa.array(ids)), sink, use_dictionary=False)
        book.put(sink.getvalue(), body["rows_blob"], events)

    forge(finished_run / "run.ledger", tmp_path / "run.ledger", change)
    with pytest.raises(LedgerError, match="an invalid ID"):
        approval.require_approval_of(tmp_path / "run.ledger")


@pytest.mark.parametrize(
    "statement",
    ["CREATE VIEW more AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) "
     "SELECT * FROM n",
     "CREATE TRIGGER mine AFTER INSERT ON events BEGIN DELETE FROM blobs; END",
     "CREATE TABLE other (x)", "DROP TRIGGER events_no_update", "CREATE INDEX i ON events (kind)",
     "ALTER TABLE blobs ADD COLUMN x GENERATED ALWAYS AS (zeroblob(1000000000))"],
    ids="view trigger table no-trigger index generated".split(),
)  # fmt: skip
def test_foreign_definitions(finished_run: Path, tmp_path: Path, statement: str) -> None:
    """A view, a trigger or anything else that is not ours: nothing in the file is used."""
    path = tmp_path / "run.ledger"
    path.write_bytes((finished_run / "run.ledger").read_bytes())
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()
    began = time.process_time()
    with pytest.raises(LedgerError, match="not as sharekit defines it"):
        sharekit.status(path)
    assert "not as sharekit defines it" in sharekit.verify(path).problems[0][1]
    assert time.process_time() - began < 2


def test_no_file_at_all(tmp_path: Path) -> None:
    """A pipe, a device, a folder or a link in a circle in place of a ledger does not block."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "loop", "device"):
        for use in (sharekit.verify, sharekit.status):
            with pytest.raises(LedgerError):
                use(tmp_path / name)


def test_what_stands_beside_a_ledger(finished_run: Path, tmp_path: Path) -> None:
    """Links and pipes under the names we use neither block nor lead our writing elsewhere."""
    path, prey = tmp_path / "run.ledger", tmp_path / "prey"
    path.write_bytes((finished_run / "run.ledger").read_bytes())
    prey.write_text("mine")
    owner = Path(f"{path}.owner")
    owner.symlink_to(prey)
    with Ledger.open(path, write=True):
        assert prey.read_text() == "mine"
    os.mkfifo(owner)
    with Ledger.open(path, write=True):
        pass
    for told in ('{"host": 5}', '{"host":"a","pid":1,"user":"u","since":"2026-01-01"}', "[" * 5000):
        owner.write_text(told)
        assert LockHolder.read(path) is None
    (tmp_path / "new.ledger").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError):
        Ledger.create(tmp_path / "new.ledger")
    assert not (tmp_path / "elsewhere").exists()


def test_one_ledger_under_two_names(finished_run: Path, tmp_path: Path) -> None:
    """A link to a ledger is the same ledger: it has one writer."""
    path = tmp_path / "run.ledger"
    path.write_bytes((finished_run / "run.ledger").read_bytes())
    (tmp_path / "link.ledger").symlink_to(path)
    with (
        Ledger.open(path, write=True),
        pytest.raises(LedgerError, match="in use"),
        Ledger.open(tmp_path / "link.ledger", write=True),
    ):
        pass


# -- clouds ----------------------------------------------------------------------------------------
@contextmanager
def raw(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does to a connection what no library would."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    with server.accept()[0] as connection:
                        connection.recv(65536)
                        answer(connection)
                except OSError:
                    if server.fileno() < 0:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def endless(connection: socket.socket) -> None:
    """A body without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 1_000_000)


def drip(connection: socket.socket) -> None:
    """A header that comes byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(600):
        connection.sendall(b"a")
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    """A body that comes byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(600):
        connection.sendall(b" ")
        time.sleep(0.05)


def drip_chunk(connection: socket.socket) -> None:
    """A chunk whose size comes byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    for _ in range(600):
        connection.sendall(b"a")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "says"),
    [(endless, "in one response"), (drip, "did not answer in time"),
     (drip_body, "did not answer in time"), (drip_chunk, "did not answer in time")],
)  # fmt: skip
def test_answer_without_end(
    tmp_path: Path, answer: Callable[[socket.socket], None], says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A body without end, and one that drips for ever, are cut off: when signed in, and before."""
    monkeypatch.setattr(http_limits, "MAX_BYTES", 4 << 20)
    quick = {"read_attempts": 1, "connect_timeout": 1, "read_timeout": 0.2}
    with raw(answer) as url:
        with serving(lambda *_: token(url)) as good:
            config = written(tmp_path, here=entry(good.url, sharekit=quick | {"api": "native"}))
            (cloud,) = sharekit.connect(config_file=config).values()
            began = time.monotonic()
            with pytest.raises(NoResponseError, match=says):
                list(cloud.shares("pending"))
        config = written(tmp_path, here=entry(url, sharekit=quick))
        with pytest.raises(CloudError):
            sharekit.connect(config_file=config)
    assert time.monotonic() - began < 25


def test_a_list_that_goes_on_elsewhere(tmp_path: Path) -> None:
    """The next page on another server is not asked for: no token gets there."""
    image = {"id": "5a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e"}
    with serving(lambda *_: (200, {"images": []}, {})) as evil:
        seen: list[Any] = []

        def answer(_: str, path: str) -> tuple[int, object, dict[str, str]]:
            if path.startswith("/v3"):
                return token(seen[0].url)
            return 200, {"images": [image], "next": f"{evil.url}/v2/images"}, {}

        with serving(answer) as good:
            seen.append(good)
            config = written(tmp_path, here=entry(good.url))
            (cloud,) = sharekit.connect(config_file=config).values()
            with pytest.raises(CloudError, match="another server"):
                list(cloud.shares("pending"))
        assert evil.requests == []


def test_redirects_are_not_followed(tmp_path: Path) -> None:
    """Neither a password nor a token goes where a redirect points."""
    with serving(lambda *_: (200, {}, {})) as evil:
        away = (307, "", {"Location": f"{evil.url}/v3/auth/tokens"})
        with serving(lambda *_: away) as bad:
            with pytest.raises(CloudError):
                sharekit.connect(config_file=written(tmp_path, here=entry(bad.url)))
            seen: list[Any] = []
            signs = serving(lambda _, path: token(seen[0].url) if path.startswith("/v3") else away)
            with signs as good:
                seen.append(good)
                config = written(tmp_path, here=entry(good.url))
                (cloud,) = sharekit.connect(config_file=config).values()
                with pytest.raises(CloudError, match="redirects elsewhere"):
                    list(cloud.shares("pending"))
        assert evil.requests == []


@pytest.mark.parametrize(
    ("body", "what"),
    [({"images": 5}, "images"), ({"images": [5]}, "images"), ({"images": [{}]}, "id"),
     ({"images": [{"id": 5}]}, "id"), ({"images": [], "next": 5}, "next"),
     ({"images": [{"id": "a", "min_disk": 10**40}]}, "min_disk|JSON"), ([], "JSON"),
     ("[" * 99_999, "JSON"),
     ("<html><script>x</script></html>", "JSON"), ('{"images": [{"id": "\\ud800"}]}', "JSON")],
    ids="number element empty id next huge list deep html surrogate".split(),
)  # fmt: skip
def test_answers_of_wrong_types(tmp_path: Path, body: object, what: str) -> None:
    """A listing of any other form is one sentence that names the place, and nothing is taken."""
    seen: list[Any] = []

    def answer(_: str, path: str) -> tuple[int, object, dict[str, str]]:
        return token(seen[0].url) if path.startswith("/v3") else (200, body, {})

    with serving(answer) as server:
        seen.append(server)
        (cloud,) = sharekit.connect(
            config_file=written(tmp_path, here=entry(server.url, sharekit={"read_attempts": 1}))
        ).values()
        with pytest.raises(NoResponseError, match=what) as refusal:
            list(cloud.shares("pending"))
    assert len(str(refusal.value)) < 1_500


def test_script_in_names(world: Make) -> None:
    """Names that are markup, a formula or signs for a terminal are inert where they are shown."""
    w = world(rows=6)
    sample = w.sample.seed
    from dataclasses import replace

    names = (SCRIPT, "=cmd|'/c calc'!A1", "\x1b[31mred\u202e", "@SUM(1)")
    images = tuple(replace(i, name=names[n % 4]) for n, i in enumerate(sample.images))
    w.cloud.reset(replace(sample, images=images), job_seconds=0.02)
    plan = w.approved()
    sharekit.submit(plan, w.connect(), settings=FAST)
    sharekit.report(plan.path, *(w.folder / name for name in REPORTS))
    page = (w.folder / "audit.html").read_text(encoding="utf-8")
    assert "<script" not in page.lower()
    assert "onerror=" not in page.replace("&lt;img src=x onerror=", "")
    for line in (w.folder / "outcomes.csv").read_text(encoding="utf-8").splitlines():
        assert not any(cell.strip('"').startswith(("=cmd", "@SUM")) for cell in line.split(","))
    assert SCRIPT not in sharekit.status(plan)._repr_html_() + plan._repr_html_()
    done = shell("review", str(plan.path))
    assert b"\x1b[31mred" not in done.stdout + done.stderr


# -- files, secrets, code ------------------------------------------------------------------------
def mode(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_their_owners(world: Make) -> None:
    """Whatever is written has mode 0600, whatever the umask, while a run goes on as well."""
    before = os.umask(0)
    try:
        w = world(rows=20)
        plan = w.approved()
        seen: dict[str, int] = {}

        def look(_: object) -> None:
            for file in w.folder.glob("run.ledger*"):
                seen[file.name] = mode(file)

        sharekit.submit(plan, w.connect(), settings=FAST, progress=look)
        assert {"run.ledger", "run.ledger-wal", "run.ledger.lock", "run.ledger.owner"} <= {*seen}
        assert set(seen.values()) == {0o600}
        sharekit.report(plan.path, *(w.folder / name for name in REPORTS))
        findings = sharekit.check(sharekit.read_inventory(w.shares))
        from sharekit.reports.report import write_findings

        for name in ("f.xlsx", "f.csv", "f.json"):
            write_findings(findings, w.folder / name)
        assert shell("review", str(plan.path), str(w.folder / "r.xlsx")).returncode == 0
        files = [*REPORTS, "f.xlsx", "f.csv", "f.json", "r.xlsx", "run.ledger", "clouds.yaml"]
        assert {name: oct(mode(w.folder / name)) for name in files} == dict.fromkeys(files, "0o600")
        assert sorted(p.name for p in w.folder.iterdir()) == sorted([*files, "shares.xlsx"])
    finally:
        os.umask(before)


def test_nothing_is_left_behind(finished_run: Path, tmp_path: Path) -> None:
    """After SIGKILL the old report is whole; what is left is a folder only its owner enters."""
    (tmp_path / "a.csv").write_text("old")
    code = (
        "import os, signal, sys\nfrom sharekit.reports import report\nimport sharekit\n"
        "report.FORMATS['.csv'] = lambda document, path: (path.write_text('half'), "
        "os.kill(os.getpid(), signal.SIGKILL))\n"
        f"sharekit.report({str(finished_run / 'run.ledger')!r}, {str(tmp_path / 'a.csv')!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a.csv").read_text() == "old"
    left = [path for path in tmp_path.iterdir() if path.name != "a.csv"]
    assert [path.name.startswith(".sharekit-") for path in left] == [True]
    assert mode(left[0]) == 0o700


def test_no_code_from_data() -> None:
    """Nothing in the package evaluates, unpickles or starts a shell."""
    forbidden = {"eval", "exec", "compile", "__import__"}
    modules = {
        "pickle",
        "marshal",
        "shelve",
        "dill",
        "joblib",
        "cloudpickle",
        "xmlrpc",
        "telnetlib",
    }
    for path in sorted((ROOT / "sharekit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                assert name not in forbidden, path
                words = {key.arg: key.value for key in node.keywords}
                shell = words.get("shell")
                assert not (isinstance(shell, ast.Constant) and shell.value), path
                attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                assert attribute not in ("read_pickle", "to_pickle", "system", "popen"), path
                if attribute == "load" and isinstance(node.func, ast.Attribute):
                    assert not (isinstance(node.func.value, ast.Name)
                                and node.func.value.id == "yaml"), path  # fmt: skip
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & modules, path


_COMMAND = "from sharekit.interfaces.cli.main import main; main()"  # as the installed script


@pytest.mark.parametrize(
    "arguments",
    [*(["report", "run.ledger", f"out/r.{x}"] for x in ("xlsx", "html", "csv", "json")),
     *(["check", "shares.xlsx", "-o", f"out/f.{x}"] for x in ("xlsx", "csv", "json")),
     ["review", "run.ledger", "out/review.xlsx"], ["template", "out/template.xlsx"],
     ["demo", "out"], ["report", "run.ledger", "out/r.xlsx", "--log-file=/dev/full"]],
    ids=" ".join,
)  # fmt: skip
def test_a_full_disk_is_one_sentence(
    finished_run: Path, tmp_path: Path, arguments: list[str]
) -> None:
    """What does not fit is named, with the reason; no library adds a traceback, nothing is left."""
    for name in ("run.ledger", "shares.xlsx"):
        shutil.copy(finished_run / name, tmp_path)
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import resource\n"
         f"resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999))\n{_COMMAND}", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    *warnings, error = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert error.startswith("Error: ")
    assert "File too large" in error
    assert "out" in error
    logged = "--log-file=/dev/full" in arguments
    says = ["Warning: /dev/full cannot be written (No space left on device), so it lacks what "
            "happens from now on."]  # fmt: skip
    assert warnings == (says if logged else [])
    assert list((tmp_path / "out").iterdir()) == []


def test_standard_input_that_is_closed(tmp_path: Path) -> None:
    """`check -` without a standard input is one sentence."""
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -P -c "$1" check - <&-', sys.executable, _COMMAND],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.split() == (
        "Error: Standard input is closed; name a file, or send one to it.".split()
    )


def test_streams_that_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to an output that the shell has closed (`>&-`) is lost, and ends nothing."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as left:
        main(["template", "--help"])
    sys.stdout.close()
    sys.stderr.close()
    assert left.value.code == 0
