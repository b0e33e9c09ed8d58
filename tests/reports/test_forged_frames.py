"""Frames and bodies rewritten at random: each is refused with its place, or says the same."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sharekit
from sharekit.core.columns import STR
from sharekit.ledger import parquet
from sharekit.ledger.events import BLOB_FIELDS, frame_schema
from tests.ledger.samples.make import SAMPLES
from tests.reports.forger import Forger, Line

FOLDER = Path(__file__).parents[1] / "ledger" / "samples"
IMAGE = "deadbeef-1bc3-4c3f-893e-0123456789ab"


def read(name: str) -> Forger:
    """A sample, in memory."""
    return Forger.read(FOLDER / f"{name}.ledger")


def frames() -> list[tuple[str, int, str]]:
    """Every frame of the samples: sample, number of the event, field."""
    return [
        (name, number, field)
        for name in SAMPLES
        for number, line in enumerate(read(name).lines)
        for field in sorted(BLOB_FIELDS & line.body.keys())
    ]


def in_column(name: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Give a column's first line another value, or the index if the column is that."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        table = frame.reset_index() if frame.index.name else frame.copy()
        values = table[name].astype(object)
        values.iloc[0] = value
        kind = table[name].dtype
        try:
            table[name] = values.astype(str if isinstance(kind, pd.CategoricalDtype) else kind)
        except (TypeError, ValueError, OverflowError):
            table[name] = values.astype(str)
        return table.set_index("row_key") if frame.index.name else table

    return change


def bends(line: Line, field: str, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The frame, bent in every way that no schema allows."""
    schema = frame_schema(line.kind, field, line.body)
    bent = {f"no {name}": frame.drop(columns=name) for name in schema.columns}
    nullable = [name for name, kind in schema.kinds.items() if kind in ("str?", "Int", "Key")]
    if not len(frame):
        return bent
    bent |= {f"null {n}": frame.assign(**{n: None}) for n in schema.columns if n not in nullable}
    bent |= {f"list {name}": frame.assign(**{name: [[1]] * len(frame)}) for name in schema.columns}
    bent |= {f"odd {name}": in_column(name, "odd")(frame) for name in schema.values}
    numbers = [n for n, kind in schema.kinds.items() if kind in ("int", "key", "Key", "Int")]
    numbers += ["row_key"] * schema.indexed
    bent |= {f"huge {name}": in_column(name, 1 << 60)(frame) for name in numbers}
    bent |= {f"negative {name}": in_column(name, -2)(frame) for name in numbers}
    if schema.unique or schema.indexed:
        bent["doubled"] = pd.concat([frame, frame.iloc[:1]])
    if schema.rows == "every" and len(frame) > 1:
        bent |= {"turned": frame.iloc[::-1], "shorter": frame.iloc[1:]}
    return bent


@pytest.mark.parametrize(("name", "number", "field"), frames())
def test_no_bent_frame_leaves_a_ledger(name: str, number: int, field: str) -> None:
    """Lost columns, other types or values, nulls, numbers out of range, double lines: refused."""
    forger = read(name)
    line, rows = forger.lines[number], forger.first("inventory_read").body["rows"]
    schema = frame_schema(line.kind, field, line.body)
    for what, bent in bends(line, field, forger.frame(line, field)).items():
        with pytest.raises(parquet.FrameError):
            pytest.fail(f"{what}: {len(parquet.from_bytes(parquet.to_bytes(bent), schema, rows))}")


def test_a_bent_frame_is_named_with_its_event_and_column(tmp_path: Path) -> None:
    """The one problem says which event named the frame, and which column is not as it must be."""
    forger = Forger.read(Path(shutil.copy(FOLDER / "sealed.ledger", tmp_path)))
    forger.change(forger.last("planned"), in_column("disposition", "odd"), "rows_blob")
    verdict = sharekit.verify(forger.write())
    number = forger.lines.index(forger.last("planned")) + 1
    assert verdict.label == "TAMPERED"
    assert f"event {number} (planned)" in str(verdict.problems)
    assert "its column 'disposition' holds 'odd'" in str(verdict.problems)


#: Columns in which a run may have seen, read or been told anything else.
FREE = {"name", "owner", "size", "detail", "image_created_at", "shared_at", "decided_at", "reason"}
STRANGE = (None, "", "x", "\x00", IMAGE, -1, 10**6, 2**62, 1.5, True)


@pytest.mark.parametrize("seed", range(24))
def test_a_cell_at_random_is_found(tmp_path: Path, seed: int) -> None:
    """Whatever becomes of a cell that counts, verify finds it, and never ends in a traceback."""
    dice = random.Random(seed)
    forger = Forger.read(Path(shutil.copy(FOLDER / f"{dice.choice(SAMPLES)}.ledger", tmp_path)))
    kinds = ("inventory_read", "planned", "preflight_checked", "outcomes_recorded")
    line = dice.choice([line for line in forger.lines if line.kind in (*kinds, "audit_recorded")])
    field = dice.choice(sorted(BLOB_FIELDS & line.body.keys()))
    before = forger.frame(line, field)
    if before.empty:
        return
    column = dice.choice([str(c) for c in before.columns if not str(c).startswith("input.")])
    after = in_column(column, dice.choice(STRANGE))(before)
    same = before.astype(STR).reset_index().equals(after.astype(STR).reset_index())
    forger.store(line, after, field)
    assert sharekit.verify(forger.write()).intact == same or column in FREE
