"""A report as one self-contained page to read, print and archive; it runs and loads nothing.

Every value from data passes Jinja's autoescape and :func:`escape_invisible`, in one place, so a
template cannot forget it. A content security policy forbids scripts and the network as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from sharekit.core.columns import with_unit
from sharekit.core.html import escape_invisible
from sharekit.core.outcomes import tint
from sharekit.core.provenance import __version__
from sharekit.reports.document import ReportDocument, Table, Target
from sharekit.reports.wording import format_time, percent, records

from .charts import draw_chart
from .page_templates import templates

#: Longest text of a cell.
TEXT: Final = 500
#: A colour's part on a dark page, mixed with white: the darkest ones could not be seen there.
_ON_DARK: Final = 0.75


def write(document: ReportDocument, path: Path) -> None:
    """Write the page; the same document gives the same bytes with the same versions.

    The versions of sharekit and Jinja stand in the page's ``generator`` line, since another version
    may space things otherwise.
    """
    sections, sheets = document.sections(), {sheet.name: sheet for sheet in document.sheets()}
    shown = [sheets[name] for name in document.page_order if name in sheets]
    lines = {sheet.name: _lines(sheet) for sheet in shown if isinstance(sheet, Table)}
    anchors = {Target(name, line["line"]) for name, table in lines.items() for line in table}
    page = _environment().get_template("page.html.j2")
    page.globals["anchor"] = lambda target: _anchor(target, anchors, lines)
    page.stream(
        document=document,
        generator=f"sharekit {__version__}, Jinja {jinja2.__version__}",
        dark={word: tint(color, _ON_DARK) for word, color in document.colors.items()},
        facts=sections[0],
        sections=sections[1:],
        titles=[section.title for section in sections],
        sheets=shown,
        lines=lines,
    ).dump(str(path), encoding="utf-8")


def _environment() -> jinja2.Environment:
    page = templates("sharekit.reports.render", _shown)
    own = (with_unit, short_time, percent, key, records)
    page.filters |= {function.__name__: function for function in own}
    page.filters |= {"widths": _widths}
    page.globals |= {"chart": lambda chart: Markup(draw_chart(chart))}  # noqa: S704 - ours, escaped
    page.tests |= {"table": lambda sheet: isinstance(sheet, Table)}
    return page


def _shown(value: Any) -> Any:
    """Return a value as the page shows it."""
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, str):
        return value
    return escape_invisible(value if len(value) <= TEXT else value[:TEXT] + f" … [{len(value):,}]")


def short_time(time: str) -> str:
    """Return a time without its zone, which a column's header names; other text as it is."""
    return format_time(time).removesuffix(" UTC")


def key(title: str) -> str:
    """Return the anchor of a section, table or sheet of notes.

    >>> key("Who and where"), key("What is open, and why")
    ('who-and-where', 'what-is-open-and-why')
    """
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _lines(table: Table) -> list[dict[str, Any]]:
    """Return the lines of a table that the page shows, each with its number."""
    if not table.columns:
        return []
    frame = table.shown()
    return [line | {"line": int(n)} for n, line in zip(frame.index, records(frame), strict=True)]


def _anchor(target: Target | None, anchors: set[Target], tables: dict[str, Any]) -> str:
    """Return the anchor of a target, ``""`` if the page does not show it."""
    if target is None or target.table not in tables:
        return ""
    if target.line < 0:
        return key(target.table)
    known = Target(target.table, target.line) in anchors
    return f"{key(target.table)}-{target.line + 1}" if known else ""


def _widths(lines: Sequence[Any], parts: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return for each line the parts of its bar: width in percent of the longest, and colour."""
    most = max((sum(line[name] for name, _ in parts) for line in lines), default=0) or 1
    return [
        [(f"{100 * line[name] / most:.1f}%", word) for name, word in parts if line[name]]
        for line in lines
    ]
