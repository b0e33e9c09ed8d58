"""A short fuzzing; `make torture` does it for minutes, led by atheris."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import fuzzing
from tests.spreadsheets import spoiled

SHORT = settings(
    deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                           HealthCheck.data_too_large],
)  # fmt: skip
Target = Callable[[fuzzing.Chooser], None]


def chooser(data: st.DataObject) -> fuzzing.Chooser:
    """Numbers that hypothesis chooses, and makes smaller when something is wrong."""
    return lambda n: data.draw(st.integers(0, n - 1)) if n > 1 else 0


@settings(SHORT, max_examples=300)
@given(st.data())
def test_answers(data: st.DataObject) -> None:
    """Whatever a cloud answers is understood, or is one sentence of bounded length."""
    fuzzing.answered(chooser(data))


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The target with good files to bend."""
    folder = tmp_path_factory.mktemp("bent")
    return fuzzing.workbooks(fuzzing.seeds(folder), folder)


@settings(SHORT, max_examples=150)
@given(st.data())
def test_workbooks(books: Target, data: st.DataObject) -> None:
    """Whatever became of a spreadsheet, it is read and checked, or refused in one sentence."""
    books(chooser(data))


@settings(SHORT, max_examples=60)
@given(st.data())
def test_lists(lists: Target, data: st.DataObject) -> None:
    """However people spoil a list, what is planned for a share is what they see beside it."""
    lists(chooser(data))


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The target that spoils good lists."""
    return spoiled.target(tmp_path_factory.mktemp("spoiled"))


@pytest.mark.parametrize(
    ("blind", "returns"),
    [
        ("sharekit.checks.check.check_counted_up", []),
        ("sharekit.spreadsheets.cell_issues._crossed_out", []),
    ],
)
def test_the_fuzz_of_lists_sees_what_a_check_misses(
    lists: Target, monkeypatch: pytest.MonkeyPatch, blind: str, returns: object
) -> None:
    """Without one of the checks, a plan soon holds what nobody sees."""
    monkeypatch.setattr(blind, lambda *_: returns)

    def many() -> None:
        for seed in range(60):
            lists(random.Random(seed).randrange)

    with pytest.raises(AssertionError):
        many()


@pytest.fixture(scope="module")
def forged(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The target with a finished run to forge."""
    return fuzzing.ledgers(finished_run / "run.ledger", tmp_path_factory.mktemp("forged"))


@settings(SHORT, max_examples=40)
@given(st.data())
def test_ledgers(forged: Target, data: st.DataObject) -> None:
    """Whatever stands in a ledger whose hashes fit, each command answers or says one sentence."""
    forged(chooser(data))


def test_a_forger_can_do_nothing(finished_run: Path, tmp_path: Path) -> None:
    """Forging without a change gives an intact ledger: the tool that the others use is sound."""
    import sharekit

    fuzzing.forge(finished_run / "run.ledger", tmp_path / "a.ledger", lambda *_: None)
    assert sharekit.verify(tmp_path / "a.ledger").intact
