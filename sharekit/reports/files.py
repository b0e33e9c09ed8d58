"""Reports as files: the form follows the suffix, and a file is there in full or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sharekit.audits.results import Audit
from sharekit.checks.check import COLUMNS, Findings
from sharekit.core.errors import InputError, UsageError

from . import annotated_workbook, drift_html, drift_plain, drift_xlsx, html, plain, xlsx
from .run_record import Record

#: Suffix -> what writes it.
FORMATS: Final[dict[str, Callable[[Record, Path], None]]] = {
    ".xlsx": xlsx.write,
    ".html": html.write,
    ".csv": plain.write_csv,
    ".json": plain.write_json,
}


#: The same for an audit.
_AUDITS: Final[dict[str, Callable[[Audit, Path], None]]] = {
    ".xlsx": drift_xlsx.write,
    ".html": drift_html.write,
    ".csv": drift_plain.write_csv,
    ".json": drift_plain.write_json,
}
#: And where there was no inventory: a listing is one to begin with.
_LISTINGS: Final = _AUDITS | {
    ".xlsx": drift_xlsx.write_inventory,
    ".csv": drift_plain.write_inventory,
}
#: The same for findings.
_TABLES: Final[dict[str, Callable[[Findings, Path], None]]] = {
    ".xlsx": annotated_workbook.write,
    ".csv": lambda findings, path: plain.csv_table(findings.frame[list(COLUMNS)], path),
    ".json": lambda findings, path: plain.json_table(findings.frame[list(COLUMNS)], path),
}


def form(path: Path, forms: Iterable[str] = FORMATS) -> str:
    """Return the suffix that says which form a report has.

    Raises
    ------
    UsageError
        If it says none of ``forms``.

    Examples
    --------
    >>> form(Path("audit.XLSX"))
    '.xlsx'
    """
    suffix = path.suffix.lower()
    if suffix not in forms:
        raise UsageError(f"{path}: the suffix says no known form; use one of {', '.join(forms)}.")
    return suffix


def writer_of(told: Record | Audit, suffix: str) -> Callable[[Path], None]:
    """Return what writes a run's record, or an audit, in the form that a suffix says."""
    if isinstance(told, Audit):
        forms = _LISTINGS if told.inventory is None else _AUDITS
        return partial(forms[suffix], told)
    return partial(FORMATS[suffix], told)


def write(told: Record | Audit, *paths: str | PathLike[str]) -> list[Path]:
    """Write one report of a run or an audit for each path; the suffix says which.

    Nothing is written before every path is known to be usable. Each file is made beside its place
    and moved there when it is complete, so a reader sees the old one or the new one.

    Raises
    ------
    UsageError
        If a suffix is unknown.
    InputError
        If a directory does not exist, or a file cannot be written.
    """
    targets = [Path(path) for path in paths]
    for target in targets:
        form(target)
        must_be_usable(target)
    for target in targets:
        _replace(target, writer_of(told, form(target)))
    return targets


def write_findings(findings: Findings, path: str | PathLike[str]) -> Path:
    """Write findings: ``.csv`` or ``.json`` as a table, ``.xlsx`` with a marked copy of the sheets.

    Raises
    ------
    UsageError, InputError
        As :func:`write` does; also if the spreadsheet has changed since it was checked.
    """
    target = Path(path)
    writer = _TABLES[form(target, _TABLES)]
    must_be_usable(target)
    _replace(target, partial(writer, findings))
    return target


def must_be_usable(target: Path) -> None:
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


def _replace(target: Path, writer: Callable[[Path], None]) -> None:
    try:
        # A directory that only its owner enters, as the file then is only theirs to read.
        with TemporaryDirectory(prefix=".sharekit-", dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            writer(made)
            made.chmod(0o600)
            made.replace(target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}); free the file, its "
            "directory or the disk, then make the report again."
        ) from error
