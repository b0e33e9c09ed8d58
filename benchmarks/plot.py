"""The picture of how cost grows with the number of rows."""

from __future__ import annotations

from math import log10
from pathlib import Path

from sharekit.reports.render.charts import Series, draw_lines

from .table import Table

_COLORS = {"sharekit": "#0072b2", "pandas + pandera": "#d55e00"}
_TITLE = "rows (both axes logarithmic); CPU seconds to read, check and plan"


def draw(table: Table, path: Path) -> None:
    """Draw CPU seconds over rows, both on logarithmic axes, so that linear growth is a line."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in table.rows:
        line = dict(zip(table.columns, row, strict=True))
        point = (log10(float(str(line["rows"]))), log10(float(str(line["work s"]))))
        lines.setdefault(str(line[""]), []).append(point)
    series = [
        Series(name, _COLORS[name.partition(",")[0]], points, dashed="unique" in name)
        for name, points in lines.items()
    ]
    x_ticks = [(power, f"{10**power:,}") for power in (4, 5, 6)]
    y_ticks = [(power, f"{10**power:g} s") for power in (-1, 0, 1, 2)]
    svg = draw_lines(series, x_ticks, y_ticks, _TITLE, _TITLE, ("#1f2933", "#56616d", "#dde2e8"))
    # A picture of its own, unlike one in a page, has neither a ground nor a font.
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    svg = svg.replace("<svg ", '<svg font-family="sans-serif" ', 1)
    path.write_text(svg.replace("\n", f"\n{ground}\n", 1) + "\n", encoding="utf-8")
