"""``audit.html``: one self-contained page to read, print and archive; it runs and loads nothing.

Every value from data passes Jinja's autoescape and :func:`plain`, in one place, so a
template cannot forget it. A content security policy forbids scripts and the network as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jinja2
import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from sharekit.core.html import plain
from sharekit.core.outcomes import OUTCOMES
from sharekit.core.provenance import __version__
from sharekit.core.rules import SEVERITIES

from . import pictures, stories, words
from .run_record import Record

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
        loader=jinja2.PackageLoader("sharekit.reports"),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = (words.number, words.counted, words.moment, words.story)
    page.filters |= {function.__name__: function for function in own}
    return page


def write(record: Record, path: Path) -> None:
    """Write the page; the same record gives the same bytes with the same versions.

    The versions of sharekit, matplotlib and Jinja stand in the page's ``generator`` line, since
    another version may draw or space things otherwise.
    """
    fill("audit.html.j2", _content(record), path)


def fill(template: str, content: dict[str, Any], path: Path) -> None:
    """Write a page from a template; every page is given its colours and who made it."""
    common = {
        "generator": f"sharekit {__version__}, matplotlib {matplotlib.__version__}, "
        f"Jinja {jinja2.__version__}",
        "shades": words.SHADES,
    }
    page = _environment().get_template(template)
    page.stream(**common, **content).dump(str(path), encoding="utf-8")


def _content(record: Record) -> dict[str, Any]:
    told = stories.tell(record.rows)
    places, shares = told.listed(ROWS)
    severities = record.findings["severity"].value_counts()
    return {
        "title": words.TITLE,
        "record": record,
        "headline": words.headline(record),
        "facts": words.facts(record),
        "total": sum(record.counts.values()),
        "outcomes": OUTCOMES,
        "requests": words.REQUESTS,
        "glossary": words.glossary(record),
        "runs": words.runs(record) if len(record.runs) else [],
        "environment": words.environment(record),
        "stories": words.lines(told.table.assign(listed=shares)),
        "first_story": _firsts(told.table["outcome"]),
        "open": words.lines(told.open()),
        "severities": {name: int(severities[name]) for name in SEVERITIES if name in severities},
        "members": _members(record.rows, places, shares),
        **_anchors(record, places),
        "files": record.sources["file"].nunique(),
        "row_limit": ROWS,
        "line_limit": LINES,
        "sources": words.lines(record.sources.head(LINES)),
        "chunks": words.lines(words.texts(record.chunks).head(LINES)),
        "findings": words.lines(_graver_first(record.findings).head(LINES)),
        "approvals": words.lines(words.texts(record.approvals).head(LINES)),
        "reviews": words.lines(words.texts(record.reviews).head(LINES)),
        "outcome_picture": picture(pictures.outcomes(record)),
        "timeline_picture": picture(pictures.timeline(record)),
    }


def picture(svg: str) -> Markup:
    """Return one of our pictures as what it is: markup."""
    return Markup(svg)  # noqa: S704 - our own drawing; matplotlib has escaped the text in it


def _members(
    rows: pd.DataFrame, places: NDArray[np.int64], shares: NDArray[np.int64]
) -> list[list[dict[str, Any]]]:
    """Return the rows that the page lists, story by story; ``place`` counts all rows from 1."""
    lines = words.lines(rows.take(places).assign(place=places + 1))
    ends = np.cumsum(shares).tolist()
    return [lines[end - share : end] for end, share in zip(ends, shares.tolist(), strict=True)]


def _firsts(names: pd.Series) -> dict[str, int]:
    """Return where each name stands first, counted from 0."""
    return {name: place for place, name in reversed([*enumerate(names.tolist())])}


def _anchors(record: Record, places: NDArray[np.int64]) -> dict[str, Any]:
    """Return what numbers link to: the listed row (its place from 1) of a spreadsheet's row, the
    first listed row of each chunk and of each sheet, and each listed chunk.
    """  # noqa: D205
    rows = record.rows.take(np.sort(places))
    numbers = (np.sort(places) + 1).tolist()
    address = zip(rows["file"], rows["sheet"], rows["row"].tolist(), strict=True)
    sheets = zip(rows["file"], rows["sheet"], strict=True)
    back = numbers[::-1]
    return {
        "row_at": dict(zip(address, numbers, strict=True)),
        "row_of_sheet": dict(zip(reversed([*sheets]), back, strict=True)),
        "row_of_chunk": dict(zip(reversed([*rows["chunk"]]), back, strict=True)),
        "chunk_at": _firsts(record.chunks["chunk"].head(LINES)),
    }


def _graver_first(findings: pd.DataFrame) -> pd.DataFrame:
    rank = findings["severity"].map({name: place for place, name in enumerate(SEVERITIES)})
    return findings.iloc[rank.fillna(len(SEVERITIES)).to_numpy().argsort(kind="stable")]
