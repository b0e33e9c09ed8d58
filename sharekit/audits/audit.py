"""An inventory against everything the clouds show: read-only, and every row accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pandas as pd

from sharekit.checks.check import Findings, check
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state import survey
from sharekit.clouds.state.snapshot import Progress
from sharekit.clouds.state.survey import Survey
from sharekit.core import audit_results, shapes
from sharekit.core.actions import ABSENT
from sharekit.core.errors import LedgerError, UsageError
from sharekit.core.fields import GRAMMARS
from sharekit.core.html import table
from sharekit.core.provenance import __version__, environment
from sharekit.ledger import parquet
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.schema import digest
from sharekit.plans.plan import load_inventory, record_inventory
from sharekit.spreadsheets.inventory import Inventory

from .baseline import KEY, Earlier, changes_since, earlier, of_audit
from .compare import assess
from .storage import read_survey, write_survey

#: What the fingerprint of an audit covers.
_SAID: Final = (*KEY, "status", "result", "code", "observed")
_NO_ROWS: Final = pd.DataFrame(columns=[*KEY, "status", "owner"], dtype="str")


def _here() -> dict[str, str]:
    return dict(sorted(environment().items()))


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """What an inventory says, and what the clouds show.

    Attributes
    ----------
    findings : Findings or None
        The checked inventory; None without one.
    survey : Survey
        Everything the projects showed.
    rows : DataFrame
        First every row of the inventory in its order, then every share that no row names. Columns
        ``sharekit.audits.compare.COLUMNS``, then the original ones as
        ``input.<header>``. ``row`` is int64 (0: no row of the inventory), ``age_days`` Int64
        (whole days since the share was made,
        missing where that was not looked up), all else str. ``status`` is what the inventory
        records, ``observed`` what the cloud shows (pending, accepted, rejected, absent, ``""``
        unknown), ``result`` one of
        :data:`sharekit.core.audit_results.RESULTS`, ``seen_by`` whose view it is: the
        ``project``'s or the ``owner``'s.
    changes : DataFrame
        What changed since ``since``: ``project_id, image_id, change`` (one of
        :data:`sharekit.core.audit_results.CHANGES`)``, was, now, result_was, result_now, name,
        owner``.
    since : Earlier or None
        The earlier look it was compared with.
    environment : dict
        Versions, machine and user of the audit.
    """

    findings: Findings | None
    survey: Survey
    rows: pd.DataFrame
    changes: pd.DataFrame
    since: Earlier | None = None
    environment: dict[str, str] = field(default_factory=_here)

    @property
    def inventory(self) -> Inventory | None:
        """The inventory that was audited, if there was one."""
        return None if self.findings is None else self.findings.inventory

    @property
    def counts(self) -> dict[str, int]:
        """Result to number of rows: every name of :data:`sharekit.core.audit_results.RESULTS`."""
        by = self.rows["result"].value_counts()
        return {name: int(by.get(name, 0)) for name in audit_results.RESULTS}

    @property
    def drift(self) -> int:
        """How many rows and shares differ from the inventory; 0 without one."""
        if self.findings is None:
            return 0
        return sum(number for name, number in self.counts.items() if name in audit_results.DRIFT)

    @property
    def unread(self) -> pd.DataFrame:
        """What could not be read: ``cloud, project_id, what, code, reason``."""
        of = self.survey.projects
        shares, own = of["code"] != "", ~of["owner_code"].isin(["", "not asked"])
        # Where the shares cannot be read either, one line is enough.
        lines = ((shares, "shares", ""), (own & ~shares, "own images", "owner_"))
        told = [
            of.loc[mask, ["cloud", "project_id", f"{whose}code", f"{whose}reason"]]
            .set_axis(["cloud", "project_id", "code", "reason"], axis="columns")
            .assign(what=what)
            for mask, what, whose in lines
        ]
        return pd.concat(told, ignore_index=True).astype("str")

    @property
    def unasked(self) -> list[str]:
        """The projects in the inventory to which no cloud that was named gives access."""
        of = self.rows[(self.rows["result"] == "unread") & (self.rows["code"] == "no-credentials")]
        return sorted(of["project_id"].unique().tolist())

    @property
    def good(self) -> bool:
        """Whether inventory and clouds agree, every row and every project included."""
        counts = {} if self.findings is None else self.counts
        bad = sum(number for name, number in counts.items() if name not in audit_results.GOOD)
        return not bad and self.unread.empty

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over what is said of every row and share."""
        return digest(parquet.lines(self.rows, _SAID))

    @property
    def summary(self) -> dict[str, Any]:
        """What ``sharekit audit --json`` prints, but for the files."""
        changed = self.changes["change"].value_counts()
        return {
            "rows": 0 if self.inventory is None else len(self.inventory),
            "shares": int((self.survey.shares["state"] != ABSENT).sum()),
            "results": self.counts,
            "drift": self.drift,
            "good": self.good,
            "unread": self.unread.to_dict("records"),
            "unasked": self.unasked,
            "since": "" if self.since is None else self.since.name,
            "changes": {name: int(changed.get(name, 0)) for name in audit_results.CHANGES},
            "taken_at": self.survey.taken_at,
            "fingerprint": self.fingerprint,
        }

    def __repr__(self) -> str:
        numbers = ", ".join(f"{n:,} {name}" for name, n in self.counts.items() if n)
        return f"<Audit: {numbers or 'no share at all'}>"

    def _repr_html_(self) -> str:
        told = [
            (n, number, audit_results.RESULTS[n].meaning)
            for n, number in self.counts.items()
            if number
        ]
        shown = table(
            pd.DataFrame(told, columns=["result", "rows", "meaning"]), title=repr(self)[1:-1]
        )
        bad = self.rows[~self.rows["result"].isin(audit_results.GOOD)]
        names = ["result", "image_id", "project_id", "status", "observed", "name", "reason"]
        for title, frame in (
            ("Rows and shares to look at", bad[names]),
            ("Projects that could not be read", self.unread),
            ("What changed", self.changes),
        ):
            shown += table(frame, title=title, limit=10) if len(frame) else ""
        return shown


def audit(
    inventory: Inventory | None,
    clouds: Clouds,
    *,
    since: str | PathLike[str] | Audit | None = None,
    owned: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Compare an inventory with what each project really shows; nothing is changed anywhere.

    A project that cannot be read is said (:attr:`Audit.unread`), and its rows are ``unread``
    unless the owner's side shows them.

    Parameters
    ----------
    inventory : Inventory or None
        From :func:`sharekit.read_inventory`. None lists everything, to start an inventory with.
    clouds : Clouds
        From :func:`sharekit.connect`: the projects to read.
    since : path or Audit, optional
        An earlier audit or its ledger (:func:`sharekit.audits.audit.save`), or the ledger of a run:
        then :attr:`Audit.changes` tells what changed. A run only knows of its own rows.
    owned : bool
        Read the owner's side too: one call for each image that a project owns.
    progress : callable, optional
        Called as ``progress(what, done, total)``.

    Returns
    -------
    Audit

    Raises
    ------
    UsageError
        If there is no cloud to read.
    LedgerError
        If ``since`` is no ledger, or is damaged.

    Examples
    --------
    >>> import sharekit
    >>> found = sharekit.audit(inventory, sharekit.connect("otc"))  # doctest: +SKIP
    >>> found.drift                                                 # doctest: +SKIP
    12
    """
    if not clouds:
        raise UsageError("There is no cloud to read: name one with --cloud NAME, or connect().")
    before = _earlier(since)
    findings = None if inventory is None else check(inventory)
    asked = _NO_ROWS if findings is None else _asked(findings)
    seen = survey.take(clouds, asked, progress, owned=owned)
    return _made(findings, seen, before)


def save(audit: Audit, path: str | PathLike[str]) -> Path:
    """Write an audit into a ledger of its own: evidence, and what a later audit compares with.

    Raises
    ------
    LedgerError
        If the file exists or cannot be written.

    Examples
    --------
    >>> save(found, "2026-07.ledger")  # doctest: +SKIP
    """
    target = Path(path)
    book = Ledger.create(target)
    try:
        with book, book.transaction():
            book.append("created", audit.environment | {"schema": book.schema()})
            if audit.inventory is not None:
                record_inventory(book, audit.inventory)
            write_survey(book, audit.survey)
            if audit.since is not None:
                audit.since.record(book)
            _record(audit, book)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _record(audit: Audit, book: Ledger) -> None:
    body: dict[str, Any] = {
        "counts": audit.counts,
        "drift": audit.drift,
        "fingerprint": audit.fingerprint,
        "rows_digest": digest(()),  # nothing is planned
        "rows_blob": book.put(parquet.to_bytes(audit.rows), parquet.MEDIA_TYPE),
    }
    if audit.findings is not None:
        found = audit.findings
        body["findings_blob"] = book.put(parquet.to_bytes(found.frame), parquet.MEDIA_TYPE)
        body["blob"] = book.put(parquet.to_bytes(found.rows), parquet.MEDIA_TYPE)
    book.append("audited", body)


def load(path: str | PathLike[str]) -> Audit:
    """Read an audit back from its ledger.

    Raises
    ------
    LedgerError
        If it is no ledger, is damaged, or holds no audit.
    """
    with Ledger.open(Path(path)) as book:
        if not holds_audit(book):
            raise LedgerError(f"{path} holds a run, not an audit.")
        return load_from(book)


def holds_audit(book: Ledger) -> bool:
    """Whether a ledger is that of an audit."""
    return book.last("audited") is not None and book.last("planned") is None


def load_from(book: Ledger) -> Audit:
    """As :func:`load`, from an open ledger."""
    created, said = book.last("created"), book.last("audited")
    if created is None or said is None:
        raise LedgerError(f"{book.path} is incomplete: it tells of no audit.")
    of = {"rows_blob": shapes.AUDIT, "findings_blob": shapes.FINDINGS, "blob": shapes.CHECKED}
    blobs = {name: parquet.from_bytes(book.get(said.body[name]), shape)
             for name, shape in of.items() if name in said.body}  # fmt: skip
    findings = None
    if "blob" in blobs and "findings_blob" in blobs:
        findings = Findings(load_inventory(book), blobs["blob"], blobs["findings_blob"])
    seen, before = read_survey(book), Earlier.load(book)
    facts = sorted(created.body.items())
    made = {name: str(value) for name, value in facts if name != "schema"}
    rows = blobs["rows_blob"]
    return Audit(findings, seen, rows, changes_since(before, rows, seen), before, made)


def faults(book: Ledger) -> Iterator[tuple[str, str]]:
    """Yield where an audit's ledger says something that does not follow from what was seen."""
    told, event = load_from(book), book.last("audited")
    said = event.body if event else {}
    if told.fingerprint != said.get("fingerprint") or told.counts != said.get("counts"):
        yield "audited", "its counts or its fingerprint are not those of its rows"
    if told.environment.get("sharekit") != __version__:
        return  # another version may judge or word a row otherwise
    findings = None if told.inventory is None else check(told.inventory)
    fresh = _made(findings, told.survey, told.since)
    both = (findings, told.findings)
    if any(one is not None for one in both) and not _alike(*both):
        yield "audited", "its findings do not follow from the inventory"
    if not fresh.rows.equals(told.rows):
        yield "audited", "its rows do not follow from the inventory and what the cloud showed"


def _alike(one: Findings | None, other: Findings | None) -> bool:
    return one is not None and other is not None and one.frame.equals(other.frame)


def _made(findings: Findings | None, seen: Survey, before: Earlier | None) -> Audit:
    rows = assess(findings, seen, before)
    return Audit(findings, seen, rows, changes_since(before, rows, seen), before)


def _asked(findings: Findings) -> pd.DataFrame:
    """Rows whose image and project have a legal form, so that a cloud can be asked."""
    rows = findings.rows
    codes = [pd.factorize(rows[name]) for name in KEY]
    legal = [
        pd.Series(words).str.fullmatch(GRAMMARS[name]).to_numpy(dtype=bool)[numbers]
        for name, (numbers, words) in zip(KEY, codes, strict=True)
    ]
    return rows.loc[legal[0] & legal[1], [*KEY, "status", "owner"]]


def _earlier(since: str | PathLike[str] | Audit | None) -> Earlier | None:
    if isinstance(since, Audit):
        return of_audit("(not kept)", since.fingerprint, since.rows, since.survey)
    return None if since is None else earlier(since)
