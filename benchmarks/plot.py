"""The picture of how cost grows with the number of rows."""

from __future__ import annotations

from pathlib import Path

from .table import Table

_STYLES = {"sharekit": ("#0072B2", "o"), "pandas + pandera": ("#D55E00", "s")}


def draw(table: Table, path: Path) -> None:
    """Draw CPU seconds over rows, both on logarithmic axes, so that linear growth is a line."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[int, float]]] = {}
    for row in table.rows:
        line = dict(zip(table.columns, row, strict=True))
        lines.setdefault(str(line[""]), []).append((line["rows"], line["work s"]))  # type: ignore[arg-type]
    rcParams["svg.hashsalt"] = "sharekit"
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, points in lines.items():
        who, _, what = name.partition(", ")
        colour, marker = _STYLES[who]
        dashes = "--" if what.startswith("unique") else "-"
        axes.plot(*zip(*points, strict=True), dashes, marker=marker, color=colour, label=name)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="CPU seconds")
    axes.set_title("Read, check and plan: twice the rows, twice the time", loc="left")
    axes.grid(visible=True, which="major", color="#dddddd")
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, metadata={"Date": None})
