"""Make the report files of a run or an audit from its ledger alone."""

from __future__ import annotations

import html
from collections.abc import Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from sharekit.audits import storage
from sharekit.audits.results import Audit
from sharekit.core.errors import UsageError
from sharekit.core.html import inert, visible
from sharekit.ledger.file import is_ledger
from sharekit.ledger.ledger import Ledger
from sharekit.plans.plan import Plan
from sharekit.runs.run import Run

from .files import write
from .merged_runs import read_records
from .run_record import Record


class Reports(list[Path]):
    """The report files that were written, as a list of paths; a notebook shows links to them."""

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{_link(path)}</li>" for path in self)
        return inert(f"<p><b>Reports</b></p><ul>{lines}</ul>")


def _link(path: Path) -> str:
    # Relative, because Jupyter serves what lies below the notebook, and nothing else.
    if path.is_absolute() or ".." in path.parts:
        return visible(path)
    return f'<a href="{html.escape(quote(path.as_posix()))}" target="_blank">{visible(path)}</a>'


#: What a report can be made of: a run, its plan, or the path of its ledger.
RunOrPath = Run | Plan | str | PathLike[str]


def report(run: RunOrPath | Audit, *paths: RunOrPath) -> list[Path]:
    """Write reports of a run from its ledger alone: the same ledger gives the same reports.

    Of an audit without an inventory, ``.xlsx`` and ``.csv`` are an inventory to begin with.

    Parameters
    ----------
    run : Run, Plan, Audit or path
        The run or its ledger, or an audit or its ledger.
    *paths : path
        The files to write, by suffix: ``.xlsx``, ``.html``, ``.csv``, ``.json``. Further runs
        (`retry`, `undo`) or their ledgers may be among them: then the reports cover all of these
        runs, with one final outcome for each row of the first input.

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        A suffix that is none of the four, or nothing to write.
    LedgerError
        If there is no such ledger, it is damaged, or one does not follow on another.

    Examples
    --------
    >>> report("run.ledger", "audit.xlsx", "audit.html")  # doctest: +SKIP
    >>> report("run.ledger", "again.ledger", "audit.xlsx")  # doctest: +SKIP
    """
    more = [Path(one.path if isinstance(one, Run | Plan) else one) for one in paths]
    if isinstance(run, Audit):
        return Reports(write(run, *more))
    ledgers, files = split_ledgers([Path(run.path if isinstance(run, Run | Plan) else run), *more])
    if not files:
        raise UsageError("Name what to write, by suffix: .xlsx, .html, .csv or .json.")
    with ExitStack() as stack:
        source = report_source(*(stack.enter_context(Ledger.open(path)) for path in ledgers))
    return Reports(write(source, *files))


def report_source(*ledgers: Ledger) -> Record | Audit:
    """Return the source of reports: an audit, or the record of one or several runs."""
    alone = len(ledgers) == 1 and storage.holds_audit(ledgers[0])
    return storage.read_audit(ledgers[0]) if alone else read_records(*ledgers)


def split_ledgers(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split paths, of which the first is a ledger, into ledgers and other files by content.

    >>> split_ledgers([Path("run.ledger"), Path("audit.xlsx")])
    ([PosixPath('run.ledger')], [PosixPath('audit.xlsx')])
    """
    more = [path for path in paths[1:] if path.is_file() and is_ledger(path)]
    return [paths[0], *more], [path for path in paths[1:] if path not in more]
