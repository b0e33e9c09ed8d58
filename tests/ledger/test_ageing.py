"""A ledger of the first release stays readable, whatever a later version of sharekit adds."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

import sharekit
from sharekit.audits import storage
from sharekit.core import frame_schemas, rules
from sharekit.core.errors import LedgerUnreadableError
from sharekit.core.frame_schemas import FrameSchema
from sharekit.core.outcomes import OUTCOMES, Outcome
from sharekit.core.rules import RULE_SET, Rule
from sharekit.ledger import parquet
from sharekit.ledger.events import EVENTS, EventKind
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.tables import DEFINITIONS, FORMAT, format_error
from tests.ledger.samples.make import SAMPLES
from tests.reports.test_tampering import by_script

FOLDER = Path(__file__).parent / "samples"
STORED = [
    *(getattr(frame_schemas, name) for name in (
        "INVENTORY_ROWS", "CELL_ISSUES", "FINDINGS", "CHECKED_ROWS", "STORED_PLAN", "DECISIONS",
        "EARLIER", "REVIEWED", "PREFLIGHT", "READ_BACK", "OUTCOMES", "BASELINE", "AUDIT_ROWS")),
    *frame_schemas.SNAPSHOT.values(), *frame_schemas.SURVEY.values(),
]  # fmt: skip


@pytest.fixture(params=["the same", "a later"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The present version, or one with another outcome, column of each frame, event and rule."""
    if request.param == "a later":
        monkeypatch.setitem(OUTCOMES, "deferred", Outcome("put off", rank=11, color="#000000"))
        monkeypatch.setitem(EVENTS, "deferred", EventKind(EVENTS["stopped"].body, "put off"))
        rule = Rule("too-late", "warning", "rows", "comes too late", "Be earlier.")
        monkeypatch.setitem(rules.RULES, "too-late", rule)
        for schema in STORED:
            monkeypatch.setitem(schema.later, "since when", "str")  # type: ignore[arg-type]
        for module in [m for name, m in sys.modules.items() if name.startswith("sharekit.")]:
            for name, value in {"RULE_SET": RULE_SET + 1, "__version__": "99.0"}.items():
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, value)
    return str(request.param)


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a sample ledger."""
    return Path(shutil.copy(FOLDER / f"{request.param}.ledger", tmp_path))


@pytest.mark.usefixtures("version")
def test_samples_are_opened_reported_and_verified(sample: Path, tmp_path: Path) -> None:
    """Each sample is opened, reported in every form, and verified with its reports: all intact."""
    names = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
    assert by_script(sample)
    assert sharekit.verify(sample).problems == ()
    if sample.stem == "audit":
        assert len(storage.load(sample).rows) == 41  # one is in no inventory
        names = ("audit.xlsx", "audit.html", "audit.csv", "audit.json")
    else:
        run = sharekit.status(sample)
        assert sum(run.counts.values()) == len(run.rows) == len(run.plan.rows)
        assert repr(run)
    reports = sharekit.report(sample, *(tmp_path / name for name in names))
    assert sharekit.verify(sample, *reports).problems == ()


@pytest.mark.usefixtures("version")
def test_the_seal_and_the_followed_run_hold(tmp_path: Path) -> None:
    """The seal of a sample is still good, and so is the run that follows on it."""
    for name in ("sealed.ledger", "undo.ledger"):
        shutil.copy(FOLDER / name, tmp_path)
    sealed, undo = tmp_path / "sealed.ledger", tmp_path / "undo.ledger"
    assert sharekit.verify(sealed, signers=FOLDER / "allowed_signers").label == "intact"
    assert sharekit.verify(sealed, undo).problems == ()


def test_a_sample_has_every_outcome() -> None:
    """The first sample has rows of every outcome, so a change of any of them shows here."""
    counts = sharekit.status(FOLDER / "every-outcome.ledger").counts
    assert set(counts) == set(OUTCOMES)
    assert all(counts.values())


def test_a_column_that_was_added_later_is_empty() -> None:
    """A frame without a later column is read with that column empty; without another, refused."""
    now = FrameSchema({"a": "str"}, later={"b": "str", "c": "Int", "d": "int", "e": "str?"})
    content = parquet.to_bytes(FrameSchema({"a": "str"}).make_frame([("x",)]))
    frame = parquet.from_bytes(content, now)
    assert frame.columns.tolist() == ["a", "b", "c", "d", "e"]
    assert frame.dtypes.astype(str).to_dict() == now.make_frame().dtypes.astype(str).to_dict()
    assert (frame.at[0, "b"], frame.at[0, "d"]) == ("", 0)
    assert frame[["c", "e"]].isna().all(axis=None)
    with pytest.raises(parquet.FrameError, match="lacks the column 'b'"):
        parquet.from_bytes(content, FrameSchema({"a": "str", "b": "str"}))


@pytest.mark.parametrize(
    ("number", "message"),
    [(1, "before the first release"), (FORMAT + 1, "has the format 3, but .* reads 2"),
     (0, "has the format 0")],
)  # fmt: skip
def test_other_formats_are_one_sentence(tmp_path: Path, number: int, message: str) -> None:
    """A ledger of another format is not called damaged; the sentence says what to do."""
    path = tmp_path / "a.ledger"
    Ledger.create(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {number}")
    database.commit()
    database.close()
    for use in (Ledger.open, sharekit.verify, sharekit.status):
        with pytest.raises(LedgerUnreadableError, match=f"a.ledger .*{message}"):
            use(path)
    assert all(format_error(known) == "" for known in DEFINITIONS)
