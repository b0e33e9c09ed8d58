"""An audit as one self-contained page, made and guarded as that of a run (:mod:`.html`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sharekit.audits.results import Audit
from sharekit.core import audit_results

from . import drift_pictures, drift_words, words
from .html import LINES, ROWS, fill, picture
from .words import lines


def write(audit: Audit, path: Path) -> None:
    """Write the page; the same audit gives the same bytes with the same versions."""
    fill("drift.html.j2", _content(audit), path)


def _content(audit: Audit) -> dict[str, Any]:
    listed = drift_words.rows(audit).head(ROWS)
    days = listed["age_days"].astype("str").fillna("")
    shown = listed.assign(row=listed["row"].fillna(0), age_days=days)
    sources = drift_words.sources(audit)
    places = listed["result"].reset_index(drop=True).drop_duplicates()
    firsts = {str(result): place for place, result in places.items()}
    return {
        "title": drift_words.TITLE,
        "audit": audit,
        "headline": drift_words.headline(audit),
        "facts": drift_words.facts(audit),
        "total": len(audit.rows),
        "results": audit_results.RESULTS,
        "meanings": audit_results.CHANGES,
        "looks": words.LOOKS,
        "glossary": drift_words.GLOSSARY,
        "unread": lines(audit.read_errors.head(LINES)),
        "projects": lines(drift_words.projects(audit).head(LINES)),
        "drawn": drift_pictures.PROJECTS,
        "changed": drift_words.changed(audit),
        "newly_agreeing": drift_words.newly_agreeing(audit),
        "changes": lines(audit.changes.head(LINES)),
        "rows": lines(shown),
        "row_limit": ROWS,
        "files": sources["file"].nunique(),
        "anchors": firsts,
        "outgoing": lines(words.texts(drift_words.outgoing(audit)).head(LINES)),
        "sources": lines(sources.head(LINES)),
        "result_picture": picture(drift_pictures.results(audit)),
        "project_picture": picture(drift_pictures.projects(audit)),
        "age_picture": picture(drift_pictures.ages(audit)),
    }
