"""An audit as a workbook (:mod:`.book`), and a full listing as an inventory to begin with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd

from sharekit.audits.results import Audit
from sharekit.checks.check import COLUMNS as FINDING
from sharekit.core import audit_results
from sharekit.core.actions import STATUSES

from . import drift_words
from .book import ROWS, Book, make, pairs, stack, table
from .summary import Charted, Line, lay_out
from .words import LOOKS, SHADES


def write(audit: Audit, path: Path) -> None:
    """Write the workbook; the same audit gives the same cells, on every machine.

    Sheets: ``Summary``, ``Rows`` (every row and share, what to look at first), ``Changes`` (with an
    earlier look), ``Shared out``, ``Projects``, ``Findings``, ``Environment``, ``Glossary``.
    """
    make(path, drift_words.TITLE, _taken(audit), lambda out: _content(out, audit))


def _taken(audit: Audit) -> datetime:
    return datetime.fromisoformat(audit.survey.taken_at)


def _content(out: Book, audit: Audit) -> None:
    charted = tuple(SHADES[LOOKS[name]] for name in audit_results.RESULTS)
    head, told = drift_words.headline(audit), _sections(audit)
    chart = "Rows and shares by result"
    lay_out(out, drift_words.TITLE, head, told, Charted("Results", chart, charted))
    table(out, "Rows", drift_words.rows(audit))
    if audit.baseline is not None:
        table(out, "Changes", audit.changes)
    table(out, "Shared out", drift_words.outgoing(audit))
    table(out, "Projects", drift_words.projects(audit))
    if audit.findings is not None:
        table(out, "Findings", audit.findings.frame[list(FINDING)])
    environment = {
        "Environment": pairs(audit.environment.items(), "name", "value"),
        "Sources": drift_words.sources(audit),
        "Values this workbook cannot hold in full": pairs(out.cuts, "cell", "what"),
    }
    stack(out, out.sheet("Environment", portrait=True), environment, "None.")
    glossary = {title: pairs(of, "word", "meaning") for title, of in drift_words.GLOSSARY.items()}
    stack(out, out.sheet("Glossary", portrait=True), glossary)


def _sections(audit: Audit) -> dict[str, list[Line]]:
    """Return the Summary: title -> lines, each result and change with the way to its rows."""
    first = _firsts(drift_words.rows(audit)["result"], "Rows")
    counts = [
        (n, number, audit_results.RESULTS[n].meaning, first.get(n, ""))
        for n, number in audit.counts.items()
    ]
    unread = audit.read_errors[["cloud", "what", "code", "reason"]].itertuples(index=False)
    ages = drift_words.ages(audit)
    told: dict[str, list[Line]] = {
        "The audit": [(name, value, "", "") for name, value in drift_words.facts(audit).items()],
        "Could not be read": [
            (cloud, what, f"{code}: {why}", "'Projects'!A1") for cloud, what, code, why in unread
        ],
        "Results": [*counts, ("all rows and shares", len(audit.rows), "", "'Rows'!A1")],
        "Shares beyond the inventory, by the days since they were shared": [
            (age, shares, "", "") for age, shares in ages.itertuples(index=False)
        ],
    }
    if audit.baseline is not None:
        first = _firsts(audit.changes["change"], "Changes")
        again = drift_words.newly_agreeing(audit)
        told["Changes"] = [
            *((name, number, audit_results.CHANGES[name], first.get(name, ""))
              for name, number in drift_words.changed(audit).items()),
            ("newly agreeing", again, "did not agree then, and do now", ""),
        ]  # fmt: skip
    return {title: lines for title, lines in told.items() if lines}


def _firsts(names: pd.Series, sheet: str) -> dict[str, str]:
    """Return where on a sheet each word stands first."""
    places = names.reset_index(drop=True).drop_duplicates()
    return {
        str(name): f"'{sheet}'!A{place + 2}"
        for place, name in zip(places.index.tolist(), places, strict=True)
        if place < ROWS
    }


def write_inventory(audit: Audit, path: Path) -> None:
    """Write everything that is shared as an inventory, to be decided on and planned.

    The first sheet is read as it is; the other one tells about it, and what to do next.
    """
    make(path, "Image shares", _taken(audit), lambda out: _inventory(out, audit))


def _inventory(out: Book, audit: Audit) -> None:
    shares = drift_words.inventory(audit)
    column = shares.columns.get_loc("status")
    for sheet in table(out, "Shares", shares):
        sheet.data_validation(1, column, ROWS, column, {
            "validate": "list", "source": list(STATUSES), "error_title": "Please choose",
            "error_message": f"Choose one of: {', '.join(STATUSES)}.",
        })  # fmt: skip
    about = {
        "About this list": pairs(drift_words.about(audit), "what", "it says"),
        "What each project shows": drift_words.projects(audit),
    }
    stack(out, out.sheet("About"), about)
