"""Every block of the how-to pages and of the tutorial runs as it stands, and prints what it says.

A ``sh`` or ``python`` block runs; a ``text`` block after one is what it prints, where ``…`` stands
for anything; any other block whose first line names a file in a comment is that file. A comment
`exits with N` tells the code of a command that is not 0. What needs the world outside, such as
``pip``, stands in ``console`` and ``bash`` blocks, which do not run.
"""

from __future__ import annotations

import doctest
import inspect
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import sharekit
from sharekit.core.errors import CloudError
from sharekit.fleets.fleet import Fleet
from sharekit.interfaces.cli.main import COMMANDS
from sharekit.interfaces.cli.seed import seed_from_workbook
from sharekit.plans.policies.policy_file import read_policies
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator
from sharekit.simulator.sample import build_sample, write_workbook
from tests.clouds.servers import serving
from tests.conftest import FAST, REPORTS
from tests.interfaces.test_cli import shell

DOCS = Path(__file__).parents[1] / "docs"
#: The list of pages, and one whose blocks are packages that test_extending.py installs, do not run.
PAGES = {
    path.stem: path
    for path in [*sorted((DOCS / "how-to").glob("*.md")), DOCS / "tutorial.md"]
    if path.stem not in ("index", "extending")
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CLOUDS = {
    "team-analytics": "otc-payments",
    "team-billing": "otc-web",
    "golden-images": "otc-golden",
}


@pytest.fixture
def scene(
    tmp_path: Path, _simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    """A folder with shares.xlsx, the clouds that it speaks of, and a run as far as asked for."""

    def make(stage: str) -> dict[str, Any]:
        demo = "demo" in stage
        sample = build_sample(500) if demo else build_sample(15, faulty=0, projects=2)
        shares = write_workbook(sample, tmp_path / "shares.xlsx")
        seed = seed_from_workbook(shares) if demo else sample.seed
        _simulator.reset(seed, job_seconds=0.02, native_only="native" in stage)
        entries = yaml.safe_load(_simulator.clouds_yaml())["clouds"]
        named = {CLOUDS.get(name, name): entry for name, entry in entries.items()}
        if "administrator" in stage:
            entries = yaml.safe_load(_simulator.clouds_yaml(user="administrator"))["clouds"]
            named["otc-admin"] = {**entries["golden-images"], "sharekit": {"acts_for": "all"}}
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": named}))
        (tmp_path / "demo-run").mkdir()
        shutil.copy(tmp_path / "shares.xlsx", tmp_path / "demo-run")
        shutil.copy(DOCS / "explanation" / "check_ledger.py", tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
        # Pauses that suit a cloud next door.
        monkeypatch.setattr(sharekit.Settings.__init__, "__defaults__", astuple(FAST))
        if demo:
            monkeypatch.setenv("SHAREKIT_CLOUDS_YAML", "clouds.yaml")
            return {}
        clouds = sharekit.connect("otc-payments", "otc-web")
        inventory = sharekit.read_inventory("shares.xlsx")
        frame = inventory.rows[["image_id", "project_id", "vault_id"]]
        frame = frame.assign(team=[["Data", "Web", "Ops"][n % 3] for n in range(len(frame))])
        if "planned" in stage or "finished" in stage:
            plan = sharekit.plan(sharekit.check(inventory, clouds), "run.ledger")
        if "approved" in stage or "finished" in stage:
            sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        if "finished" in stage:
            _simulator.set_faults(Faults(job_fail=float("failing" in stage)))
            sharekit.report(sharekit.submit(plan, clouds), *REPORTS)
            _simulator.set_faults(Faults())
        return {"clouds": clouds, "shares": frame, "sharekit": sharekit}

    return make


def run_line(line: str) -> str:
    """Run one line of a shell block; return what it printed."""
    command, _, comment = line.partition("    #")
    words = shlex.split(command)
    if loop := re.fullmatch(r'for (\w+) in (\S+); do (.*) "\$\1"; done', command):
        return "".join(run_line(f"{loop[3]} {file}") for file in sorted(Path().glob(loop[2])))
    if words[0] != "sharekit":
        assert words[0] in ("python", "ssh-keygen", "echo", "rm", "mkdir", "cp"), line
        command = command.replace("python ", f"{sys.executable} ", 1)
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        return done.stdout
    words = [name for word in words for name in (sorted(map(str, Path().glob(word)))
             if "*" in word else [word])]  # fmt: skip
    if "--fingerprint" in words:
        fleet = words[1] == "fleet"
        found = Fleet(words[3]).fingerprint if fleet else sharekit.review(words[2]).plan.fingerprint
        words[words.index("--fingerprint") + 1] = found[:12]
    expected = re.search(r"exits with (\d)", comment)
    ended = shell(*words[1:])
    assert ended.returncode == int(expected[1] if expected else 0), (line, ended.stderr.decode())
    return ended.stdout.decode()


def as_said(said: str, printed: str) -> bool:
    """Whether a block shows what was printed."""
    wanted, got = (re.sub(r"[ ]+$", "", text, flags=re.M) for text in (said, printed))
    return doctest.OutputChecker().check_output(
        wanted.replace("…", "..."), got, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )


@pytest.mark.needs("ssh-keygen")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs(
    page: str, scene: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block of a page runs after those before it, and prints what the page says."""
    text = PAGES[page].read_text(encoding="utf-8")
    stage = re.search(r"<!-- scene: ([\w, ]+) -->", text)
    names = scene(stage[1] if stage else "")
    sent: list[Any] = []
    monkeypatch.setattr("smtplib.SMTP", lambda _: Post(sent))
    printed = None
    for kind, block in BLOCK.findall(text):
        first, _, rest = block.partition("\n")
        if kind == "sh":
            lines = block.replace("\\\n", " ").splitlines()
            printed = "".join(run_line(line) for line in lines if line.strip())
        elif kind == "python":
            out = io.StringIO()
            with redirect_stdout(out):
                exec(compile(block, page, "exec"), names)
            printed = out.getvalue()
        elif file := re.fullmatch(r"# ([\w-]+\.(?:yaml|csv))", first):
            Path(file[1]).write_text(rest, encoding="utf-8")
            if "policies:" in rest:
                assert read_policies(file[1]).policies
        elif kind == "text" and printed is not None:
            assert as_said(block, printed), printed
            printed = None
    assert bool(sent) == ("smtplib" in text)


#: What a function's example begins with, if it is not a list alone.
STAGES = {
    **dict.fromkeys(("approve", "review", "submit"), "planned, approved"),
    **dict.fromkeys(("status", "report", "verify", "find", "undo"), "finished"),
    "retry": "finished, failing",
}
FUNCTIONS = [name for name in sharekit.__all__ if inspect.isfunction(getattr(sharekit, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_function_runs(
    name: str, scene: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example in the docstring of each public function runs where there is a cloud."""
    names = scene(STAGES.get(name, ""))
    clouds, public = names["clouds"], {n: getattr(sharekit, n) for n in sharekit.__all__}
    monkeypatch.setattr(sharekit, "connect", lambda *_, **__: clouds)
    inventory = sharekit.read_inventory("shares.xlsx")
    if name in ("find", "report"):
        sharekit.undo("run.ledger", "again.ledger", clouds)
    names |= public | {
        "connect": sharekit.connect, "pd": pd, "inventory": inventory,
        "findings": sharekit.check(inventory, clouds),
    }  # fmt: skip
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(public[name]) or "")
    assert examples
    for example in examples:
        exec(compile(example.source, name, "exec"), names)


class Post:
    """A server of mail that keeps what it is given."""

    def __init__(self, sent: list[Any]) -> None:
        self.send_message = sent.append

    def __enter__(self) -> Post:
        return self

    def __exit__(self, *_: object) -> None:
        pass


ENTRIES = [
    (page, name, entry)
    for page, path in PAGES.items()
    for kind, block in BLOCK.findall(path.read_text(encoding="utf-8"))
    if kind == "yaml" and "clouds:" in block
    for name, entry in yaml.safe_load(block)["clouds"].items()
]


@pytest.mark.parametrize(("page", "name", "entry"), ENTRIES)
def test_an_entry_signs_in(page: str, name: str, entry: dict[str, Any], tmp_path: Path) -> None:
    """Each entry of clouds.yaml on a page asks the cloud for a token by what it names."""
    asked = {
        "v3multifactor": {"password", "totp"}, "token": {"token"},
        "v3applicationcredential": {"application_credential"},
    }.get(entry.get("auth_type", ""), {"password"})  # fmt: skip
    with ExitStack() as stack:
        answers: dict[str, Any] = {"POST": (401, {"error": {"message": "no"}}, {})}
        seen = stack.enter_context(serving(lambda method, _: answers[method]))
        links = [{"rel": "self", "href": f"{seen.url}/v3"}]
        version = {"version": {"id": "v3.14", "status": "stable", "links": links}}
        answers["GET"] = (200, version, {})
        entry["auth"] = (
            {"password": "x"} | entry["auth"] if asked == {"password"} else entry["auth"]
        )
        entry["auth"]["auth_url"] = f"{seen.url}/v3"
        entry.pop("cacert", None)
        config = tmp_path / "clouds.yaml"
        config.write_text(yaml.safe_dump({"clouds": {name: entry}}))
        with pytest.raises(CloudError):
            sharekit.connect(name, config_file=config)["p"]
    methods = [json.loads(body)["auth"]["identity"]["methods"] for body in seen.bodies if body]
    assert methods, page
    assert all(set(found) == asked for found in methods)


def test_there_are_twenty_pages_and_the_index_names_each() -> None:
    """At least twenty how-to pages, each in the list of them; commands in the text exist."""
    assert len(PAGES) > 20
    index = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    for name, path in PAGES.items():
        assert name == "tutorial" or f"]({name}.md)" in index, name
        for command in re.findall(r"`sharekit (\w+)", path.read_text(encoding="utf-8")):
            assert command in COMMANDS, (name, command)
