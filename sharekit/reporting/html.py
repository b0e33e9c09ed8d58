"""``audit.html``: one self-contained page to read, print and archive; it runs and loads nothing.

Every value from data passes Jinja's autoescape and :func:`plain`, in one place, so a
template cannot forget it. A content security policy forbids scripts and the network as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jinja2
import matplotlib
import pandas as pd
from markupsafe import Markup

from .. import __version__, spec
from ..display import plain
from ..record import Record
from . import pictures, words

#: Rows, and lines of any other table, that the page shows; the workbook has all.
ROWS, LINES = 1_000, 200
#: Longest text of a cell.
TEXT: Final = 500


def _shown(value: Any) -> Any:
    """Return a value as the page shows it; what the page itself made (``Markup``) stays."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return plain(value if len(value) <= TEXT else value[:TEXT] + f" … [{len(value):,}]")


def _environment() -> jinja2.Environment:
    page = jinja2.Environment(
        loader=jinja2.PackageLoader("sharekit.reporting"),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page.filters |= {"number": words.number, "counted": words.counted}
    return page


def write(record: Record, path: Path) -> None:
    """Write the page; the same record gives the same bytes with the same versions.

    The versions of sharekit, matplotlib and Jinja stand in the page's ``generator`` line, since
    another version may draw or space things otherwise.
    """
    page = _environment().get_template("audit.html.j2")
    page.stream(**_content(record)).dump(str(path), encoding="utf-8")


def _content(record: Record) -> dict[str, Any]:
    reasons = words.reasons(record.rows)
    rows = words.problems_first(record.rows)
    listed = rows.head(ROWS)
    return {
        "title": words.TITLE,
        "generator": f"sharekit {__version__}, matplotlib {matplotlib.__version__}, "
        f"Jinja {jinja2.__version__}",
        "record": record,
        "headline": words.headline(record),
        "facts": words.facts(record),
        "total": sum(record.counts.values()),
        "outcomes": spec.OUTCOMES,
        "shades": words.SHADES,
        "requests": words.REQUESTS,
        "glossary": words.GLOSSARY,
        "reasons": reasons,
        "further": reasons.iloc[pictures.REASONS :],
        "severities": record.findings["severity"].value_counts().sort_index().to_dict(),
        "rows": _lines(listed),
        "files": record.sources["file"].nunique(),
        "row_limit": ROWS,
        "line_limit": LINES,
        "anchors": _anchors(listed),
        "sources": _lines(record.sources.head(LINES)),
        "chunks": _lines(words.texts(record.chunks).head(LINES)),
        "findings": _lines(_graver_first(record.findings).head(LINES)),
        "approvals": _lines(words.texts(record.approvals).head(LINES)),
        "reviews": _lines(words.texts(record.reviews).head(LINES)),
        "outcome_picture": _picture(pictures.outcomes(record)),
        "failure_picture": _picture(pictures.failures(record)),
        "timeline_picture": _picture(pictures.timeline(record)),
    }


def _picture(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - our own drawing; matplotlib has escaped the text in it


def _lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in line.items()} for line in frame.to_dict("records")]


def _anchors(rows: pd.DataFrame) -> dict[str, int]:
    """Return for each outcome the place of its first row in the list."""
    places = rows.reset_index(drop=True).reset_index().groupby("outcome", sort=False)["index"]
    return {str(name): int(place) for name, place in places.first().items()}


def _graver_first(findings: pd.DataFrame) -> pd.DataFrame:
    rank = findings["severity"].map({"error": 0, "warning": 1, "repair": 2}).fillna(3)
    return findings.iloc[rank.to_numpy().argsort(kind="stable")]
