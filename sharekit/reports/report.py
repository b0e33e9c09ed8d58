"""Make the report files of a run or an audit from its ledger alone.

A report is a pure function of the ledger: no clock, no chance, no environment. So it can be made
again years later and compared with the one an auditor holds.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sharekit.audits import storage
from sharekit.audits.results import Audit
from sharekit.checks.findings import COLUMNS, Findings
from sharekit.core.errors import InputError, UsageError
from sharekit.core.html import escape_html, without_mathjax
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.progress import shows_progress
from sharekit.ledger.file import is_ledger
from sharekit.ledger.ledger import Ledger
from sharekit.plans.plan import HasLedger, Plan, ledger_path
from sharekit.runs.requests.log import RequestLog

from .audit_document import audit_document
from .document import ReportDocument, RowsInParts
from .merged_runs import read_records
from .render import html as page
from .render import text, xlsx
from .run_document import run_document
from .run_record import Record

_Source = TypeVar("_Source")
#: Suffix of a report -> what writes it.
FORMATS: Final[dict[str, Callable[[Any, Path], object]]] = {
    ".xlsx": xlsx.write,
    ".html": page.write,
    ".csv": lambda document, path: text.write_csv(document.frames(), path),
    ".json": text.write_json,
    ".parquet": text.write_parquet,
}

#: Those that hold rows and nothing else, so that not all of them need to be in memory.
_ROWS_ALONE: Final = (".csv", ".parquet")
#: What reports are made of.
Source = Record | Audit | RowsInParts


def _annotate(findings: Findings, path: Path) -> None:
    from . import annotated_workbook  # noqa: PLC0415 - what changes a workbook is needed here alone

    annotated_workbook.write(findings, path)


#: The same for findings.
_FINDINGS: Final[dict[str, Callable[[Findings, Path], None]]] = {
    ".xlsx": _annotate,
    ".csv": lambda findings, path: text.csv_table(findings.frame[list(COLUMNS)], path),
    ".json": lambda findings, path: text.json_table(findings.frame[list(COLUMNS)], path),
}


class Reports(list[Path]):
    """The report files that were written, as a list of paths; a notebook shows links to them."""

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{_link(path)}</li>" for path in self)
        return without_mathjax(f"<p><b>Reports</b></p><ul>{lines}</ul>")


def _link(path: Path) -> str:
    # Relative, because Jupyter serves what lies below the notebook, and nothing else.
    if path.is_absolute() or ".." in path.parts:
        return escape_html(path)
    return (
        f'<a href="{html.escape(quote(path.as_posix()))}" target="_blank">{escape_html(path)}</a>'
    )


#: What a report can be made of: a run, its plan, or the path of its ledger.
RunOrPath = HasLedger | str | PathLike[str]


@checks_arguments
@shows_progress("writing reports")
def report(run: RunOrPath | Audit, *paths: RunOrPath, progress: bool = True) -> list[Path]:
    """Write reports of a run from its ledger alone: the same ledger gives the same reports.

    Of an audit without an inventory, ``.xlsx`` and ``.csv`` are an inventory to begin with.

    Parameters
    ----------
    run : Run, Plan, Audit or path
        The run or its ledger, or an audit or its ledger.
    *paths : path
        The files to write, by suffix: ``.xlsx``, ``.html``, ``.csv``, ``.json``,
        ``.parquet``. Further runs
        (`retry`, `undo`) or their ledgers may be among them: then the reports cover all of these
        runs, with one final outcome for each row of the first input.
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        A suffix that is none of these, or nothing to write.
    LedgerError
        If there is no such ledger, it is damaged, or one does not follow on another.

    Examples
    --------
    >>> report("run.ledger", "audit.xlsx", "audit.html")  # doctest: +SKIP
    >>> report("run.ledger", "again.ledger", "audit.xlsx")  # doctest: +SKIP
    """
    more = [ledger_path(path) for path in paths]
    if isinstance(run, Audit):
        return Reports(write(run, *more))
    ledgers, files = split_ledgers([ledger_path(run), *more])
    if not files:
        raise UsageError(f"Name the files to write, by suffix: {', '.join(FORMATS)}.")
    with ExitStack() as stack:
        source = report_source(*(stack.enter_context(Ledger.open(path)) for path in ledgers))
    return Reports(write(source, *files))


def report_source(
    *ledgers: Ledger, followed: tuple[Plan | None, RequestLog | None] = (None, None)
) -> Record | Audit:
    """Return the source of reports: an audit, or the record of one or several runs.

    ``followed`` is what :func:`.read_record` may be given of a single run.
    """
    alone = len(ledgers) == 1 and storage.holds_audit(ledgers[0])
    return storage.read_audit(ledgers[0]) if alone else read_records(*ledgers, followed=followed)


def split_ledgers(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split paths, of which the first is a ledger, into ledgers and other files by content.

    >>> split_ledgers([Path("run.ledger"), Path("audit.xlsx")])
    ([PosixPath('run.ledger')], [PosixPath('audit.xlsx')])
    """
    more = [path for path in paths[1:] if path.is_file() and is_ledger(path)]
    return [paths[0], *more], [path for path in paths[1:] if path not in more]


# -- files -------------------------------------------------------------------------------------
def report_format(path: Path, formats: Iterable[str] = FORMATS) -> str:
    """Return the suffix of a path, which names the format of a report.

    Raises
    ------
    UsageError
        If it is none of ``formats``.

    Examples
    --------
    >>> report_format(Path("audit.XLSX"))
    '.xlsx'
    """
    suffix = path.suffix.lower()
    if suffix not in formats:
        raise UsageError(f"{path}: the suffix names no known format; use {', '.join(formats)}.")
    return suffix


def make_document(source: Source, *paths: Path) -> ReportDocument | RowsInParts:
    """Return what a report says of a run's record, or of an audit.

    Raises
    ------
    UsageError
        A path is to hold more than the rows, of which not all fit into memory.
    """
    if isinstance(source, RowsInParts):
        for path in paths:
            if report_format(path) not in _ROWS_ALONE:
                formats = " or ".join(_ROWS_ALONE)
                raise UsageError(
                    f"{path}: the rows do not fit into one such file; write {formats}, or a report "
                    "of each part."
                )
        return source
    return audit_document(source) if isinstance(source, Audit) else run_document(source)


def write(source: Source, *paths: str | PathLike[str]) -> list[Path]:
    """Write one report of a run or an audit for each path; the suffix names its format.

    Nothing is written before every path is known to be usable. Each file is made beside its place
    and moved there when it is complete, so a reader sees the old one or the new one.

    Raises
    ------
    UsageError
        If a suffix is unknown, or too small for rows that do not fit into memory.
    InputError
        If a directory does not exist, or a file cannot be written.
    """
    targets = [Path(path) for path in paths]
    for target in targets:
        report_format(target)
        check_writable(target)
    document = make_document(source, *targets)
    for target in targets:
        _replace(target, FORMATS[report_format(target)], document)
    return targets


def write_findings(findings: Findings, path: str | PathLike[str]) -> Path:
    """Write findings: ``.csv`` or ``.json`` as a table, ``.xlsx`` with a marked copy of the sheets.

    Raises
    ------
    UsageError, InputError
        As :func:`write` does; also if the spreadsheet has changed since it was checked.
    """
    target = Path(path)
    writer = _FINDINGS[report_format(target, _FINDINGS)]
    check_writable(target)
    _replace(target, writer, findings.in_shell())
    return target


def check_writable(target: Path) -> None:
    """Refuse a path that no file can be written to.

    Raises
    ------
    InputError
        If its directory does not exist, or it is a directory itself.
    """
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no directory {target.parent}; make it first.")
    if target.is_dir():
        raise InputError(f"{target} is a directory; name a file in it.")


def _replace(target: Path, writer: Callable[[_Source, Path], object], source: _Source) -> None:
    try:
        # A directory that only its owner enters, as the file then is only theirs to read.
        with TemporaryDirectory(prefix=".sharekit-", dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            writer(source, made)
            made.chmod(0o600)
            made.replace(target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}); free the file, its "
            "directory or the disk, then make the report again."
        ) from error
