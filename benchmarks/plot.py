"""The picture of how cost grows with the number of rows."""

from __future__ import annotations

import re
from math import log10
from pathlib import Path

from sharekit.reports.render.charts import Series, draw_lines

from .table import Table

_COLORS = {"sharekit plan": "#0072b2", "pandas + pandera": "#d55e00"}
#: Column of sharekit's -> what it shows, and the powers of ten that its axis names.
_PANELS = {
    "CPU s": ("CPU seconds of the whole process", (0, 1, 2)),
    "peak MB": ("MB of memory of the whole process", (2, 3, 4)),
}
_SIDES = {"sharekit plan": "", "pandas + pandera": "usual "}


def draw(table: Table, path: Path) -> None:
    """Draw CPU and memory over rows, all axes logarithmic, so that linear growth is a line."""
    panels, height = [], 0
    for column, (what, powers) in _PANELS.items():
        title = f"rows (both axes logarithmic); {what}"
        x_ticks = [(power, f"{10**power:,}") for power in (4, 5, 6)]
        y_ticks = [(power, f"{10**power:,}") for power in powers]
        colors = ("#1f2933", "#56616d", "#dde2e8")
        svg = draw_lines(_series(table, column), x_ticks, y_ticks, title, title, colors)
        size = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
        assert size is not None  # for mypy: every picture has one
        place = f'<svg y="{height}" width="{size[1]}" height="{size[2]}" '
        panels.append(svg.replace("<svg ", place, 1))
        height += int(size[2])
    # A picture of its own, unlike one in a page, has neither a ground nor a font.
    head = '<svg font-family="sans-serif" xmlns="http://www.w3.org/2000/svg" '
    head += f'viewBox="0 0 720 {height}">'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    path.write_text("\n".join([head, ground, *panels, "</svg>\n"]), encoding="utf-8")


def _series(table: Table, column: str) -> list[Series]:
    """Return a line for each side and each kind of input that was measured at several sizes."""
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        for side, prefix in _SIDES.items():
            x, y = (log10(float(str(cells[name]))) for name in ("rows", f"{prefix}{column}"))
            lines.setdefault((side, str(cells[""])), []).append((x, y))
    return [
        Series(f"{side}, {kind.removeprefix('plan, ')}", _COLORS[side], points,
               dashed="parquet" in kind)
        for (side, kind), points in lines.items()
        if len(points) > 1
    ]  # fmt: skip
