"""CPU and memory of read, check and plan, against ``pandas.read_excel`` and pandera.

Each side works in a process of its own, so that imports and memory are its own. The usual stack
gets the same rules, and must flag the same rows but one kind: an ID kept as a number, which it
reads as plausible digits. It repairs nothing, so what sharekit repairs it flags. It makes no plan
and writes nothing; sharekit does both.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .process import MB, clock, measured, tell
from .table import Table

_COLUMNS = (
    "", "rows", "read s", "check s", "plan s", "work s", "ledger s", "whole process s", "peak MB",
    "rows flagged", "CPU ÷ sharekit's", "with its ledger",
)  # fmt: skip
_NOTE = (
    "CPU seconds of all threads, user and system; the least of {repetitions}. *Work* is read, "
    "check and plan without imports, *ledger* is writing all of it down, *whole process* holds "
    "everything. The ratios compare the work without and with the ledger; the usual stack neither "
    "plans nor writes anything, and takes IDs that are kept as numbers for good ones. "
)


@dataclass(frozen=True)
class Case:
    """A workbook to read, how often, and what is aimed at: CPU ratio, and memory in MB."""

    name: str
    rows: int
    write: Callable[[Path], Path]
    repetitions: int = 3
    factor: float = 0.0
    memory: float = math.inf


def run(*, sizes: tuple[int, ...] = (10_000, 100_000), repetitions: int = 3) -> Table:
    """Measure both sides on the demo's sample, as openpyxl and as Excel write it."""
    from . import workbooks  # here, as a side that is measured writes no workbooks

    cases = [
        Case(name, size, partial(workbooks.sample, rows=size, shared=shared), repetitions,
             8 if size == sizes[-1] else 0)
        for size in sizes
        for name, shared in (("openpyxl", False), ("Excel", True))
    ]  # fmt: skip
    return compare(
        "Read, check and plan", f"1/8 of the CPU of the usual stack at {sizes[-1]:,} rows", cases,
        "openpyxl writes text into the cells, Excel into one shared table; the second workbook "
        "also holds formulas, as a look-up that failed does.",
    )  # fmt: skip


def million(
    *, sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000), repetitions: int = 3
) -> Table:
    """Measure both sides as workbooks grow as long as Excel allows."""
    from . import workbooks

    cases = [
        Case(name, size, partial(workbooks.decisions, rows=size, images=max(1, size // share)),
             repetitions if size < sizes[-1] else min(repetitions, 2),
             *((factor, memory) if size == sizes[-1] else ()))
        for size in sizes
        for name, share, factor, memory in (
            ("10 projects an image", 10, 15, 800), ("unique images", 1, 12, math.inf)
        )
    ]  # fmt: skip
    return compare(
        "A million rows",
        f"at {sizes[-1]:,} rows 1/15 of the CPU of the usual stack, in 800 MB (1/12 if every "
        "image is different)",
        cases, "Eight columns, written as Excel does.",
    )  # fmt: skip


def compare(title: str, aim: str, cases: Sequence[Case], note: str) -> Table:
    """Measure both sides in turn; the least CPU counts, as other work only adds to it."""
    rows, met, flat = [], True, 1
    with tempfile.TemporaryDirectory() as name:
        for case in cases:
            path = case.write(Path(name) / "shares.xlsx")
            ours, usual = _both(path, Path(name), case.repetitions)
            ratio = usual["work"] / ours["work"]
            whole = usual["work"] / (ours["work"] + ours["ledger"])
            met &= ratio >= case.factor and ours["peak"] <= case.memory * MB
            flat = max(flat, case.repetitions)
            rows += [
                _row(f"sharekit, {case.name}", case.rows, ours, "", ""),
                _row(f"pandas + pandera, {case.name}", case.rows, usual, ratio, whole),
            ]
    notes = [_NOTE.format(repetitions=f"{flat} runs") + note]
    return Table(title, aim, met, _COLUMNS, rows, notes)


def _row(name: str, size: int, m: dict[str, Any], *ratios: object) -> tuple[object, ...]:
    times = [m.get(key, "") for key in ("read", "check", "plan", "work", "ledger", "process")]
    return name, size, *times, m["peak"] // MB, m["flagged"], *ratios


def _both(path: Path, folder: Path, repetitions: int) -> tuple[dict[str, Any], dict[str, Any]]:
    runs: dict[str, list[dict[str, Any]]] = {"sharekit": [], "usual": []}
    for _ in range(repetitions):
        for side, seen in runs.items():
            (folder / "run.ledger").unlink(missing_ok=True)
            seen.append(measured("benchmarks.reading", side, path, folder / "run.ledger"))
    ours, usual = (min(seen, key=lambda m: m["work"]) for seen in runs.values())
    found = [(m["flagged"] - m["numbers"], m["duplicates"]) for m in (ours, usual)]
    if found[0] != found[1]:
        raise RuntimeError(
            f"The two sides do not agree on {path.name}: (flagged, duplicates) is {found}."
        )
    return ours, usual


# -- one side, in its own process ----------------------------------------------------------------
def _sharekit(path: Path, ledger: Path) -> dict[str, Any]:
    with clock() as imports:
        from sharekit import check, plan, read_inventory
        from sharekit.core.cloud_api import CHUNK_SIZE
        from sharekit.plans import plan as planning
    with clock() as read:
        inventory = read_inventory(path)
    with clock() as checked:
        findings = check(inventory)
    with clock() as planned:
        planning.build_plan(ledger, findings, CHUNK_SIZE, None)
    with clock() as written:
        plan(findings, ledger)
    repaired = findings.frame["severity"].eq("repair")
    flagged = set(findings.frame.loc[repaired, "row_key"])
    flagged |= set(findings.rows.index[findings.rows["disposition"] == "blocked"])
    return {
        "imports": imports(), "read": read(), "check": checked(), "plan": planned(),
        "ledger": max(0.0, written() - planned()), "flagged": len(flagged),
        "numbers": int((findings.frame["rule"] == "number-cell").sum()),
        "duplicates": int((findings.rows["disposition"] == "duplicate").sum()),
    }  # fmt: skip


def _usual(path: Path, _: Path) -> dict[str, Any]:
    with clock() as imports:
        import pandas as pd
        from pandera.errors import SchemaErrors

        schema = _schema()
    with clock() as read:
        if path.suffix == ".xlsx":
            rows = pd.read_excel(path, engine="openpyxl", dtype=str, header=_HEADER_LINE)
        else:
            rows = pd.read_csv(path, dtype=str) if path.suffix == ".csv" else pd.read_parquet(path)
    with clock() as checked:
        try:
            schema.validate(rows, lazy=True)
            flagged = 0
        except SchemaErrors as errors:
            flagged = errors.failure_cases["index"].nunique()
        duplicates = rows[_repeated(rows)]
    return {
        "imports": imports(), "read": read(), "check": checked(), "ledger": "",
        "flagged": int(flagged),
        "numbers": 0, "duplicates": len(duplicates),
    }  # fmt: skip


_HEADER_LINE = 3
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SHARE = ["Image ID", "Project ID"]


def _schema() -> Any:
    """Build sharekit's rules for cells and rows, as a pandera schema."""
    import pandera.pandas as pa

    def text(pattern: str, *, nullable: bool = False) -> Any:
        return pa.Column(str, pa.Check.str_matches(rf"^{pattern}\Z"), nullable=nullable)

    return pa.DataFrameSchema(
        {
            "Image ID": text(_UUID),
            "Project ID": text("[0-9a-f]{32}"),
            "Decision": pa.Column(str, pa.Check.isin(["accepted", "rejected"])),
            "Vault ID": text(_UUID, nullable=True),
            "Full ECS": pa.Column(str, pa.Check.isin(["yes", "no"]), nullable=True),
        },
        checks=[
            pa.Check(_has_vault, name="full-ECS needs a vault", ignore_na=False),
            pa.Check(_is_decided_once, name="conflict", ignore_na=False),
        ],
    )


def _has_vault(rows: Any) -> Any:
    wants = (rows["Full ECS"] == "yes") & (rows["Decision"] == "accepted")
    return ~(wants & rows["Vault ID"].isna())


def _is_decided_once(rows: Any) -> Any:
    decisions = rows[rows["Decision"].isin(["accepted", "rejected"])].groupby(_SHARE)["Decision"]
    return (decisions.transform("nunique") <= 1).reindex(rows.index, fill_value=True)


def _repeated(rows: Any) -> Any:
    return rows.duplicated([*_SHARE, "Decision", "Vault ID"]) & rows[_SHARE].notna().all(axis=1)


def _main(side: str, path: str, ledger: str) -> None:
    sides = {"sharekit": _sharekit, "usual": _usual}
    seen = sides[side](Path(path), Path(ledger))
    tell(**seen, work=sum(seen.get(key, 0.0) for key in ("read", "check", "plan")))


if __name__ == "__main__":
    _main(*sys.argv[1:])
