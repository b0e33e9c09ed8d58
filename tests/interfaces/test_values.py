"""What a notebook shows of each value, what it can run again, and what its errors advise."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.core.errors import LedgerError, PlanError, SharekitError
from sharekit.interfaces.cli.main import main
from tests.conftest import FAST, World

Make = Callable[..., World]
#: How an option of the shell, or a command of it, looks; and a call, or an argument of one.
SHELL = re.compile(r"(?<![\w-])--[a-z]|`sharekit ")
PYTHON = re.compile(r"\w=|\w\(")


def test_every_value_shows_itself_in_any_theme(world: Make) -> None:
    """Each value has a short repr, and a table of its own that sets no colours and runs nothing."""
    scene = world(rows=12, faulty=0.2)
    inventory, clouds = sharekit.read_inventory(scene.shares), scene.connect()
    findings = sharekit.check(inventory, clouds)
    plan = sharekit.plan(findings, scene.folder / "run.ledger")
    shown = sharekit.review(plan, clouds, reviewer="Bob")
    policies = shown.apply(sharekit.policy("<b>all</b>", when={"size": {"more than": 1}},
                                           then="accept"))  # fmt: skip
    sharekit.approve(plan, reviewer="Ada", fingerprint=shown.plan.fingerprint)
    run = sharekit.submit(plan, clouds, settings=FAST)
    reports = sharekit.report(run, scene.folder / "run.json")
    verdict = sharekit.verify(plan.path)
    audit = sharekit.audit(inventory, clouds)
    values = (inventory, clouds, findings, plan, shown, policies, run, reports, verdict, audit)
    for value in values:
        page = value._repr_html_()
        assert not re.search(r"background|color|bgcolor|<script|<style", page), value
        assert "<b>all" not in page
        if value is not clouds and value is not reports:  # these name each project and each file
            assert len(repr(value)) < 300


def test_an_audit_is_one_typed_frame(world: Make) -> None:
    """The frame of an audit has times, categories, the input's columns, and no empty texts."""
    scene = world(rows=20)
    shares = scene.plan().rows.head(6)[["image_id", "project_id"]]
    shares = shares.assign(status="accepted", team=["Data", "Web"] * 3)
    audit = sharekit.audit(sharekit.read_inventory(shares), scene.connect())
    frame = audit.to_frame()
    assert frame.index.equals(audit.rows.index)
    assert frame["team"].head(6).tolist() == ["Data", "Web"] * 3
    beyond = frame["file"].isna()
    assert beyond.sum() == len(frame) - 6 > 0
    assert frame.loc[beyond, ["row", "status", "team"]].isna().all(axis=None)
    assert isinstance(frame["result"].dtype, pd.CategoricalDtype)
    for name in ("shared_at", "image_created_at", "decided_at"):
        assert str(frame[name].dtype) == "datetime64[us, UTC]"
        assert frame[name].notna().equals(audit.rows[name] != "")
    assert not (frame.astype("object") == "").any(axis=None)


def test_a_plan_is_taken_up_again(world: Make) -> None:
    """Planned again, a ledger is taken up with what was decided; another inventory is refused."""
    scene = world(rows=12)
    plan = scene.plan()
    with pytest.raises(LedgerError, match="resume=True"):
        sharekit.plan(plan.findings, plan.path)
    shown = sharekit.review(plan, reviewer="Bob", require_reasons=False)
    shown.decide([0], "skip")
    decided = shown.replan()
    findings = sharekit.check(sharekit.read_inventory(scene.shares), scene.connect())
    again = sharekit.plan(findings, plan.path, resume=True)
    assert again.fingerprint == decided.fingerprint != plan.fingerprint
    assert sharekit.review(plan.path).changes.index.tolist() == [0]
    with pytest.raises(PlanError, match="chunk_size=50, and not 7"):
        sharekit.plan(findings, plan.path, chunk_size=7, resume=True)
    fewer = sharekit.check(sharekit.read_inventory(plan.rows[["image_id", "project_id"]].head(3)))
    with pytest.raises(PlanError, match="another inventory"):
        sharekit.plan(fewer, plan.path, resume=True)
    fresh = sharekit.plan(findings, scene.folder / "fresh.ledger", resume=True)
    assert fresh.fingerprint == plan.fingerprint


def _wrong_calls(folder: Path) -> dict[str, tuple[Callable[[], object], list[str]]]:
    """Calls that fail, each with the command that fails likewise."""
    csv = folder / "x.csv"
    csv.write_text("picture,room\n1,2\n")
    text = folder / "x.ledger"
    text.write_text("no ledger")
    none = folder / "none.ledger"
    return {
        "no ledger": (lambda: sharekit.status(none), ["status", str(none)]),
        "another file": (lambda: sharekit.status(text), ["status", str(text)]),
        "no column": (lambda: sharekit.read_inventory(csv), ["check", str(csv)]),
        "no cloud": (lambda: sharekit.connect("nope", config_file=folder / "c.yaml"),
                     ["check", str(csv), "--map", "image_id=picture", "--cloud", "nope",
                      "--clouds-yaml", str(folder / "c.yaml")]),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["no ledger", "another file", "no column", "no cloud"])
def test_errors_speak_the_callers_language(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In Python an error names calls and no options; in the shell options and no calls."""
    (tmp_path / "c.yaml").write_text("clouds: {one: {auth: {auth_url: 'https://x.invalid'}}}")
    call, command = _wrong_calls(tmp_path)[name]
    with pytest.raises(SharekitError) as raised:
        call()
    assert PYTHON.search(str(raised.value))
    assert not SHELL.search(str(raised.value))
    with pytest.raises(SystemExit):
        main(command)
    said = " ".join(capsys.readouterr().err.split())
    assert SHELL.search(said)
    assert not PYTHON.search(said.replace("image_id=", ""))
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (str(copy), copy.in_shell) == (str(raised.value), raised.value.in_shell)
