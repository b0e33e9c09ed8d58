"""Each row of a run has exactly one outcome: nothing else is written, nor read, nor intact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sharekit
from sharekit.core.errors import LedgerError
from sharekit.core.frame_schemas import DISPOSITIONS
from sharekit.core.frame_schemas import OUTCOMES as SCHEMA
from sharekit.core.outcomes import OUTCOMES
from sharekit.ledger.ledger import Ledger
from sharekit.runs.outcomes import outcome_problem, read_outcomes, write_outcomes
from tests.fuzzing import Book, forge

#: Outcomes that a planned row can have.
POSSIBLE = sorted(OUTCOMES.keys() - {"duplicate", "skipped"})


def frame(outcomes: list[str], keys: list[int] | None = None) -> pd.DataFrame:
    """A frame of these outcomes, its other columns empty."""
    made = SCHEMA.make_frame([(outcome, *[""] * (len(SCHEMA.names) - 1)) for outcome in outcomes])
    return made.set_axis(pd.Index(range(len(outcomes)) if keys is None else keys, name="row_key"))


def fits(disposition: str, outcome: object) -> bool:
    """The rule, of one row."""
    return outcome in POSSIBLE if disposition == "planned" else outcome == disposition


ROWS = st.lists(
    st.sampled_from(DISPOSITIONS).flatmap(
        lambda one: st.tuples(
            st.just(one), st.sampled_from(POSSIBLE if one == "planned" else [one])
        )
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@given(ROWS, st.data())
def test_any_change_of_a_good_frame_breaks_the_rule(
    rows: list[tuple[str, str]], data: st.DataObject
) -> None:
    """A row lost, doubled, moved, added, or of an impossible outcome: exactly these are refused."""
    dispositions = pd.Series([one for one, _ in rows])
    good = frame([outcome for _, outcome in rows])
    assert outcome_problem(good, dispositions) == ""
    at = data.draw(st.integers(0, len(rows) - 1))
    other = data.draw(st.sampled_from([*OUTCOMES, "", "Confirmed", "perhaps", "planned"]))
    changed = good.assign(outcome=good["outcome"].where(good.index != at, other))
    assert (outcome_problem(changed, dispositions) == "") is fits(dispositions[at], other)
    keys = list(range(len(rows)))
    drawn = data.draw(st.lists(st.integers(-1, len(rows)), max_size=len(rows) + 2))
    of = [rows[key][1] if 0 <= key < len(rows) else "pending" for key in drawn]
    assert (outcome_problem(frame(of, drawn), dispositions) == "") is (drawn == keys)


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "none": (lambda f: f.iloc[:0], "row_key 0 has no outcome"),
    "a row lost": (lambda f: f.drop(index=2), "row_key 2 has no outcome"),
    "a row doubled": (lambda f: pd.concat([f, f.loc[[1]]]), "row_key 1 has several outcomes"),
    "two outcomes of a row": (
        lambda f: pd.concat([f, f.loc[[1]].assign(outcome="failed")]), "row_key 1 has several"),
    "a row of nobody": (
        lambda f: pd.concat([f, f.loc[[1]].set_axis([99])]), "row_key 99 .* no row of the plan"),
    "another order": (lambda f: f.iloc[::-1], "another order"),
    "two rows exchanged": (lambda f: f.set_axis([1, 0, *range(2, len(f))]), "another order"),
    "an unknown outcome": (lambda f: f.assign(outcome="done"), "impossible outcome 'done'"),
    "an empty outcome": (lambda f: f.assign(outcome=""), "impossible outcome ''"),
    "no outcome": (lambda f: f.assign(outcome=None), "impossible outcome"),
    "a blocked row confirmed": (
        lambda f: f.assign(outcome=f["outcome"].replace("blocked", "confirmed")),
        "blocked in the plan, has the impossible outcome 'confirmed'"),
    "a planned row skipped": (
        lambda f: f.assign(outcome=f["outcome"].replace("confirmed", "skipped")),
        "planned in the plan, has the impossible outcome 'skipped'"),
    "a reason missing": (lambda f: f.assign(reason=None), "'reason' lacks values"),
}  # fmt: skip


@pytest.mark.parametrize("how", BAD)
def test_bad_frames_are_not_written(finished_run: Path, tmp_path: Path, how: str) -> None:
    """A frame that breaks the rule is refused with its row, and nothing of it is in the ledger."""
    change, message = BAD[how]
    run = sharekit.status(finished_run / "run.ledger")
    with Ledger.create(tmp_path / "a.ledger") as ledger:
        dispositions = run.plan.rows["disposition"]
        with pytest.raises(LedgerError, match=f"not written, because .*{message}"):
            write_outcomes(ledger, change(run.rows), dispositions)
        assert ledger.event_count == 0
        assert ledger.fetch("SELECT count(*) FROM blobs") == [(0,)]
        write_outcomes(ledger, run.rows, dispositions)
        stored = read_outcomes(ledger, dispositions)
    pd.testing.assert_frame_equal(stored, run.rows[list(SCHEMA.names)])


@pytest.mark.parametrize("how", BAD)
def test_bad_frames_are_neither_read_nor_intact(
    finished_run: Path, tmp_path: Path, how: str
) -> None:
    """Put into a ledger with hashes that fit, such a frame is refused by readers and `verify`."""

    def change(events: list[list[object]], book: Book) -> None:
        book.edit("outcomes_recorded", "blob", SCHEMA, events, BAD[how][0])

    path = tmp_path / "run.ledger"
    forge(finished_run / "run.ledger", path, change)
    dispositions = sharekit.status(path).plan.rows["disposition"]
    with Ledger.open(path) as ledger, pytest.raises(LedgerError, match="is damaged"):
        read_outcomes(ledger, dispositions)
    assert sharekit.verify(path).label == "TAMPERED"
