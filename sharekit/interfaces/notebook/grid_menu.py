"""The menus of the grid: one column's filters, steps and values, and the list of all columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sharekit.core.html import shorten

from .grid import DENSITIES, Grid
from .row_order import Column
from .tree import Tree, button, field, h

#: By how much one step changes a column's width.
_STEP = 30


def dialog(title: str, *children: Any) -> Tree:
    """Return a region above the grid that is open until it is closed."""
    return h("div.sk-dialog", h("h3", title), *children, role="region", aria_label=title)


def menu(grid: Grid) -> Tree | None:
    """Return the menu of a column, or the list of all of them, where one is open."""
    if not grid.menu:
        return None
    close = button("Close", "menu", grid.menu)
    return _all_columns(grid, close) if grid.menu == "*" else _one_column(grid, close)


def _all_columns(grid: Grid, close: Tree) -> Tree:
    shown = grid.shown()
    boxes = [
        h("label", h("input", type="checkbox", do="column", key=name, checked=name in shown),
          grid.columns.title(name))
        for name in dict.fromkeys([*shown, *grid.columns.names()])
    ]  # fmt: skip
    sizes = [
        button(f"{name.capitalize()} rows", "density", name,
               aria_pressed=str(name == grid.look["density"]).lower())
        for name in DENSITIES
    ]  # fmt: skip
    return dialog("Columns and rows", h("div.sk-values", boxes), h("div.sk-row", sizes, close))


def _one_column(grid: Grid, close: Tree) -> Tree:
    name, column, width = grid.menu, grid.columns[grid.menu], grid.width(grid.menu)
    steps = [
        button("Sort", "sort", name),
        button("Group by it", "group", name) if column.is_short else None,
        button("← Move", "move", name, value=-1), button("Move →", "move", name, value=1),
        button("Narrower", "width", name, value=width - _STEP),
        button("Wider", "width", name, value=width + _STEP), button("Hide", "column", name),
    ]  # fmt: skip
    given = {f.kind: f.values for f in grid.filters if f.column == name}
    least, greatest = given.get("range", ("", ""))
    fields = h(
        "div.sk-row",
        field("Contains", "text", *given.get("text", ()), enter="filter", focus=f"menu {name}"),
        field("From", "least", least, enter="filter"),
        field("to", "greatest", greatest, enter="filter"),
        button("Filter", "filter", classes="sk-primary"),
        button("Only empty", "filter", "empty"), button("Not empty", "filter", "filled"),
    )  # fmt: skip
    values = _value_list(grid, column, given.get("values", ()))
    return dialog(
        f"Column {grid.columns.title(name)}", h("div.sk-row", steps, close), fields, values
    )


def _value_list(grid: Grid, column: Column, given: Sequence[str]) -> list[Tree]:
    if not column.is_short:
        return [h("p.sk-soft", "Nearly every row has another value, so they are not listed.")]
    sizes = grid.listed(grid.menu)
    boxes = [
        h("label", h("input", type="checkbox", name=f"value-{n}", checked=word in given),
          f"{shorten(word, 50) or '(empty)'} ", h("span.sk-soft", size))
        for n, (word, size) in enumerate(sizes.items())
    ]  # fmt: skip
    more = len(column.words) - len(sizes)
    rest = f"{more:,} rarer values are not listed: filter by text." if more else ""
    chosen = button("Show the chosen values", "filter", "values")
    return [h("div.sk-values", boxes), h("div.sk-row", chosen, h("span.sk-soft", rest))]
