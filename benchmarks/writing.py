"""CPU, memory and size of what a run of a million rows leaves behind, against the usual stack.

What the ledger costs is measured by requests and answers that are written into one, without a
cloud. Reports are made from the ledger of a run that was submitted to a cloud in memory, each in a
process of its own. The usual stack gets the same rows as a frame, and writes them without colours,
safe text or anything else.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from .process import MB, clock, measured, tell
from .table import Table

_COLUMNS = ("", "rows", "load s", "work s", "peak MB", "file MB", "usual s", "usual peak MB",
            "usual ÷ sharekit's", "aim")  # fmt: skip
_NOTE = (
    "CPU seconds of all threads, user and system, one run each. *load* is reading the ledger, "
    "which each report does first; *work* is the rest; *peak* is the whole process. The ratio "
    "compares the work. For the filled-in review sheet, *usual* is reading the same workbook as an "
    "inventory."
)
#: What is aimed at: the ratio at least, seconds, MB of memory and of file at the most.
_AIMS: Final = {
    "audit.xlsx": (10.0, math.inf, 1_536, math.inf),
    "outcomes.csv": (1.0, math.inf, math.inf, math.inf),
    "audit.html": (0.0, 5.0, math.inf, 15.0),
    "review sheet out": (0.0, math.inf, math.inf, math.inf),
    "review sheet in": (1 / 1.2, math.inf, math.inf, math.inf),
    "ledger": (0.0, 15.0, math.inf, 400.0),
}


def run(*, rows: int = 1_000_000) -> Table:
    """Measure the ledger, every report, and the review sheet out and in."""
    from . import (
        memory_cloud,
        workbooks,
    )  # not by a side, whose memory is set up before pyarrow is loaded

    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shares = workbooks.decisions(folder / "shares.xlsx", rows=rows, images=max(1, rows // 10))
        made, ledger = folder / "made.ledger", folder / "run.ledger"
        lines.append(("ledger", _side("make", shares, made), {}, made))
        memory_cloud.run(shares, ledger)
        for report in ("audit.xlsx", "outcomes.csv", "audit.html"):
            ours = _side("report", ledger, folder / report)
            usual = {} if report == "audit.html" else _side("usual", ledger, folder / f"u-{report}")
            lines.append((report, ours, usual, folder / report))
        sheet = folder / "review.xlsx"
        lines.append(("review sheet out", _side("out", ledger, sheet), {}, sheet))
        lines.append(("review sheet in", _side("in", ledger, sheet), _side("read", sheet), sheet))
        told = [_row(what, rows, ours, usual, path) for what, ours, usual, path in lines]
    met = all(line[-1] == "met" for line in told)
    aim = (
        "audit.xlsx in 1/10 of the CPU of pandas and openpyxl and 1.5 GB, outcomes.csv not slower "
        "than pandas, audit.html in 5 s and 15 MB, the review sheet taken in 1.2 × the time of "
        "reading it, the ledger written in 15 s and 400 MB"
    )
    return Table(f"What {rows:,} rows leave behind", aim, met, _COLUMNS, told, [_NOTE])


def _side(name: str, *arguments: object) -> dict[str, Any]:
    return measured("benchmarks.writing", name, *arguments)


def _row(
    what: str, rows: int, ours: dict[str, Any], usual: dict[str, Any], path: Path
) -> tuple[object, ...]:
    ratio, seconds, memory, size = _AIMS[what]
    found = usual["work"] / ours["work"] if usual else math.inf
    peak, megabytes = ours["peak"] / MB, path.stat().st_size / MB
    met = found >= ratio and ours["work"] <= seconds and peak <= memory and megabytes <= size
    theirs = (usual["work"], int(usual["peak"] / MB), found) if usual else ("", "", "")
    numbers = (ours.get("load", ""), ours["work"], int(peak), megabytes, *theirs)
    return what, rows, *numbers, "met" if met else "not met"


# -- one side, in its own process ----------------------------------------------------------------
def _make(shares: Path, path: Path) -> dict[str, Any]:
    """Write a plan and the outcomes of its run into a ledger."""
    from sharekit.interfaces.cli.heap import keep_freed_memory

    keep_freed_memory()  # as every command does, before pyarrow is loaded
    from sharekit import approve, check, plan, read_inventory
    from sharekit.core.cloud_api import CHUNK_SIZE
    from sharekit.ledger.ledger import Ledger
    from sharekit.plans import plan as planning

    findings = check(read_inventory(shares))
    with clock() as made:
        planning.build_plan(path, findings, CHUNK_SIZE, None)
    with clock() as planned:
        current = plan(findings, path)
    approve(current, reviewer="Ada", fingerprint=current.fingerprint)
    with Ledger.open(path, write=True) as book, clock() as settled:
        _answer(book, current)
    return {"work": planned() - made() + settled()}


def _answer(book: Any, plan: Any) -> None:
    """Let every request be answered, its job end well, and the cloud show what was wanted."""
    from sharekit.clouds.api_calls import batch_call, intent_fields
    from sharekit.core.columns import roles
    from sharekit.core.frame_schemas import READ_BACK
    from sharekit.runs.outcomes import write_outcomes
    from sharekit.runs.status import load_run

    with book.transaction():
        for chunk in plan.blocks.iter_chunks():
            name = {"chunk": str(chunk["chunk"])}
            sent = intent_fields(batch_call(chunk, "https://ims.example"))
            block = {key: chunk[key] for key in ("images", "projects")}
            book.append("intent", name | sent | block | {"attempt": 1, "api": "batch"})
            job = {"job_id": f"ff80808{int(name['chunk']):025x}", "request_id": f"req-{name}"}
            book.append("answer", name | job | {"http": 200, "code": "", "reason": ""})
            book.append("job_done", name | {"status": "SUCCESS", "results": {}})
    seen = plan.rows.loc[plan.rows["disposition"] == "planned", ["status"]]
    seen = seen.assign(side=roles(seen["status"]), unread="").reset_index()
    seen = seen.rename(columns={"status": "state"})[list(READ_BACK.names)]
    blob = book.put_frame(seen)
    book.append("read_back", {"blob": blob, "images": len(seen)})
    run = load_run(book, plan)
    with book.transaction():
        write_outcomes(book, run.outcomes, plan.rows["disposition"])
        book.append("finished", {"rows": len(plan.rows)})


def _report(ledger: Path, path: Path) -> dict[str, Any]:
    from sharekit.ledger.ledger import Ledger
    from sharekit.reports import report, run_record

    with clock() as loaded, Ledger.open(ledger) as opened:
        record = run_record.read_record(opened)
    with clock() as written:
        report.write(record, path)
    return {"load": loaded(), "work": written()}


def _usual(ledger: Path, path: Path) -> dict[str, Any]:
    from sharekit.ledger.ledger import Ledger
    from sharekit.reports.run_record import read_record

    with Ledger.open(ledger) as opened:
        rows = read_record(opened).rows
    with clock() as written:
        if path.suffix == ".csv":
            rows.to_csv(path, index=False)
        else:
            rows.to_excel(path, index=False, engine="openpyxl", freeze_panes=(1, 0))
    return {"work": written()}


def _out(ledger: Path, path: Path) -> dict[str, Any]:
    from sharekit.plans import decisions
    from sharekit.plans import plan as planning
    from sharekit.spreadsheets.writing.review_sheet import write_review

    with clock() as loaded:
        plan = planning.read_plan(ledger)
    with clock() as written:
        write_review(decisions.review_rows(plan), path, fingerprint=plan.fingerprint)
    return {"load": loaded(), "work": written()}


def _in(ledger: Path, path: Path) -> dict[str, Any]:
    from sharekit.plans import decisions
    from sharekit.plans import plan as planning
    from sharekit.spreadsheets.writing.review_sheet import read_review

    with clock() as loaded:
        plan = planning.read_plan(ledger)
        rows = decisions.review_rows(plan)
    with clock() as read:
        read_review(path, rows, fingerprint=plan.fingerprint)
    return {"load": loaded(), "work": read()}


def _read(path: Path) -> dict[str, Any]:
    from sharekit import read_inventory

    with clock() as read:
        read_inventory(path)
    return {"work": read()}


def _main(side: str, *arguments: str) -> None:
    roles = {"make": _make, "report": _report, "usual": _usual, "out": _out, "in": _in}
    tell(**(roles | {"read": _read})[side](*map(Path, arguments)))  # type: ignore[operator]


if __name__ == "__main__":
    _main(*sys.argv[1:])
