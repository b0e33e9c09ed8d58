"""CPU and memory of read, check and plan, against ``pandas.read_excel`` and pandera.

Each side works in a process of its own, so that imports and memory are its own. The usual stack
gets the same rules, and must flag the same rows but one kind: an ID kept as a number, which it
reads as plausible digits. It repairs nothing, so what sharekit repairs it flags. It makes no plan
and writes no ledger; sharekit does both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .table import Table

_FACTOR = 8
_MB = 1024 * 1024
#: Who wrote the workbook -> how its text is kept; both are common.
WRITERS = {"openpyxl": "inline strings", "Excel": "shared strings"}


def run(*, sizes: tuple[int, ...] = (10_000, 100_000), repetitions: int = 3) -> Table:
    """Measure both sides in turn on sample workbooks of several sizes; the least CPU counts.

    Other work on the machine can only add to CPU time (cold caches), so the least is the truest.
    """
    rows, ratios = [], {}
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            for writer, path in _workbooks(Path(name), size).items():
                ours, usual = _both(path, Path(name), repetitions)
                ratios[size, writer] = usual["work"] / ours["work"]
                rows += [
                    _row(f"sharekit, {writer}", size, ours, ""),
                    _row(f"pandas + pandera, {writer}", size, usual, ratios[size, writer]),
                ]
    worst = min(ratio for (size, _), ratio in ratios.items() if size == sizes[-1])
    return Table(
        title="Read, check and plan",
        aim=f"1/{_FACTOR} of the CPU of the usual stack at {sizes[-1]:,} rows",
        met=worst >= _FACTOR,
        columns=("", "rows", "read s", "check s", "plan s", "work s", "whole process s",
                 "peak MB", "rows flagged", "CPU ÷ sharekit's"),
        rows=rows,
        notes=[
            "CPU seconds of all threads, user and system; the least of "
            f"{repetitions} runs. *Work* is without imports, *whole process* with them and the "
            "interpreter's start; the ratio compares the work. The usual stack checks, but plans "
            "nothing and writes nothing, and it takes IDs that are kept as numbers for good ones. "
            + " ".join(f"{who} writes {how}." for who, how in WRITERS.items())
            + " The second kind also holds formulas, as a look-up that failed does.",
        ],
    )  # fmt: skip


def _row(name: str, size: int, m: dict[str, Any], ratio: object) -> tuple[object, ...]:
    times = [m.get(key, "") for key in ("read", "check", "plan", "work", "process")]
    return name, size, *times, m["peak"] // _MB, m["flagged"], ratio


def _both(path: Path, folder: Path, repetitions: int) -> tuple[dict[str, Any], dict[str, Any]]:
    runs: dict[str, list[dict[str, Any]]] = {"sharekit": [], "usual": []}
    for _ in range(repetitions):
        for side, measured in runs.items():
            (folder / "run.ledger").unlink(missing_ok=True)
            measured.append(_measured(side, path, folder / "run.ledger"))
    ours, usual = (min(measured, key=lambda m: m["work"]) for measured in runs.values())
    seen = [(m["flagged"] - m["numbers"], m["duplicates"]) for m in (ours, usual)]
    if seen[0] != seen[1]:
        raise RuntimeError(
            f"The two sides do not agree on {path.name}: (flagged, duplicates) is {seen}."
        )
    return ours, usual


def _measured(side: str, path: Path, ledger: Path) -> dict[str, Any]:
    """Run one side in a fresh process; what it says of itself, and its CPU from outside."""
    before = os.times()
    command = [sys.executable, "-m", "benchmarks.reading", side, str(path), str(ledger)]
    root = Path(__file__).resolve().parents[1]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=root)
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return {**json.loads(answer.stdout), "process": spent}


# -- the workbooks ---------------------------------------------------------------------------------
def _workbooks(folder: Path, size: int) -> dict[str, Path]:
    from sharekit.simulator.sample import build_sample, write_workbook

    sample = build_sample(size, faulty=0.03)
    shared = folder / f"shared-{size}.xlsx"
    _write_shared(sample.sheet.to_dict("list"), shared)
    return {
        "openpyxl": write_workbook(sample, folder / f"inline-{size}.xlsx"),
        "Excel": shared,
    }


def _write_shared(columns: Mapping[Any, list[Any]], path: Path) -> None:
    """Write as Excel does: text in one shared table, and ``#N/A`` as the result of a formula."""
    import xlsxwriter

    from sharekit.simulator.sample import TITLE_LINES

    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        page = book.add_worksheet("Shares")
        page.write_row(TITLE_LINES, 0, list(columns))
        for place, values in enumerate(columns.values()):
            for row, value in enumerate(values, TITLE_LINES + 1):
                if value == "#N/A":
                    page.write_formula(row, place, "=NA()", None, value)
                elif value != "":
                    page.write(row, place, value)


# -- one side, in its own process ----------------------------------------------------------------
def _sharekit(path: Path, ledger: Path) -> dict[str, Any]:
    with _clock() as imports:
        from sharekit import check, plan, read_inventory
    with _clock() as read:
        inventory = read_inventory(path)
    with _clock() as checked:
        findings = check(inventory)
    with _clock() as planned:
        plan(findings, ledger)
    repaired = findings.frame["severity"].eq("repair")
    flagged = set(findings.frame.loc[repaired, "row_key"])
    flagged |= set(findings.rows.index[findings.rows["disposition"] == "blocked"])
    return {
        "imports": imports(), "read": read(), "check": checked(), "plan": planned(),
        "flagged": len(flagged),
        "numbers": int((findings.frame["rule"] == "number-cell").sum()),
        "duplicates": int((findings.rows["disposition"] == "duplicate").sum()),
    }  # fmt: skip


def _usual(path: Path, _: Path) -> dict[str, Any]:
    with _clock() as imports:
        import pandas as pd
        from pandera.errors import SchemaErrors

        schema = _schema()
    with _clock() as read:
        rows = pd.read_excel(path, engine="openpyxl", dtype=str, header=_HEADER_LINE)
    with _clock() as checked:
        try:
            schema.validate(rows, lazy=True)
            flagged = 0
        except SchemaErrors as errors:
            flagged = errors.failure_cases["index"].nunique()
        duplicates = rows[_repeated(rows)]
    return {
        "imports": imports(), "read": read(), "check": checked(), "flagged": int(flagged),
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


@contextmanager
def _clock() -> Iterator[Callable[[], float]]:
    """Measure CPU seconds of this process and all of its threads."""
    spent = 0.0
    start = time.process_time()
    yield lambda: spent
    spent = time.process_time() - start


def _peak() -> int:
    """Return the most memory that this process has held, in bytes.

    ``ru_maxrss`` would not do: a child inherits its parent's.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _main(side: str, path: str, ledger: str) -> None:
    sides = {"sharekit": _sharekit, "usual": _usual}
    measured = sides[side](Path(path), Path(ledger))
    work = sum(measured.get(key, 0.0) for key in ("read", "check", "plan"))
    print(json.dumps({**measured, "work": work, "peak": _peak()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
