"""The panel's grid: which columns, filters, groups and rows are shown, selected and open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from sharekit.core.columns import with_unit
from sharekit.core.html import escape_invisible, shorten
from sharekit.interfaces.review_filters import Positions, RowFilter
from sharekit.interfaces.review_state import ReviewState

from .columns import Columns
from .row_order import ColumnFilter, Lines, Mask, arrange, shown_rows
from .tree import Tree, button, field, h

#: Column -> its title and width. Those of the input stand behind them.
_SHOWN: Final = (
    "outcome", "wanted", "name", "before", "state", "finding", "reason", "project", "owner",
)  # fmt: skip
#: Own columns of the input that are shown before anybody chooses.
_OWN: Final = 4
#: Heights of rows.
DENSITIES: Final = {"dense": 22, "normal": 28, "roomy": 40}
#: Characters of a cell that go to the page, values of a column that are listed.
_CELL, _VALUES = 160, 200
_NARROWEST, _WIDEST = 40, 900
_KINDS: Final = {"empty": "is empty", "filled": "is not empty"}
#: First versions of grids: a page never takes the lines of one for those of another.
_VERSIONS: Final = count(0, 1 << 24)


class Grid:
    """What the grid shows; every change of it is a call, and nothing here decides anything."""

    def __init__(self, state: ReviewState, remembered: Path) -> None:
        self.columns = Columns(state)
        self.version, self.search, self.menu, self.picked = next(_VERSIONS), "", "", ""
        self.filters: tuple[ColumnFilter, ...] = ()
        self.selected: Mask = np.zeros(len(state.plan.rows), dtype=bool)
        self.opened, self._anchor = set[str](), -1
        self._order = self.version
        self._lines: Lines | None = None
        self._remembered = remembered
        self.look: dict[str, Any] = {
            "columns": [*_SHOWN, *self.columns.further[:_OWN]], "widths": {}, "density": "normal",
            "sort": "", "descending": False, "group": "",
        }  # fmt: skip
        self._recall()

    # -- which rows --------------------------------------------------------------------------------
    @property
    def lines(self) -> Lines:
        """The lines of the grid."""
        if self._lines is None:
            count = len(self.columns.state.plan.rows)
            masks = (
                [shown_rows(count, self.filters, self.columns.__getitem__)] if self.filters else []
            )
            if self.search:
                found = np.zeros(count, dtype=bool)
                found[self.columns.state.find(RowFilter(text=self.search))] = True
                for name in self.columns.further:
                    found |= self.columns[name].mask(ColumnFilter(name, "text", (self.search,)))
                masks.append(found)
            sort, group = str(self.look["sort"]), str(self.look["group"])
            self._lines = arrange(
                count, masks, sort=self.columns[sort] if sort else None,
                descending=bool(self.look["descending"]),
                group=self.columns[group] if group else None,
            )  # fmt: skip
        return self._lines

    def chosen(self) -> Positions:
        """Return the rows that are selected, by key."""
        return np.flatnonzero(self.selected)

    def hidden(self) -> Positions:
        """Return the rows that are selected and that the filters do not show."""
        rest = self.selected.copy()
        rest[self.lines.rows] = False
        return np.flatnonzero(rest)

    def _change(self) -> None:
        self.version += 1
        self._order = self.version
        self._lines = None

    # -- steps -------------------------------------------------------------------------------------
    def set_state(self, state: ReviewState, outcomes: Mapping[str, pd.Series]) -> None:
        """Take over the rows as they are decided now, and their outcomes."""
        if self.columns.set_state(state, outcomes):
            self._change()

    def only(self, *filters: ColumnFilter) -> None:
        """Show the rows that these filters show, whatever was shown before."""
        self.filters, self.search = filters, ""
        self._change()

    def narrow(self, wanted: ColumnFilter) -> None:
        """Add a filter; of one column and kind there is one."""
        others = [f for f in self.filters if (f.column, f.kind) != (wanted.column, wanted.kind)]
        told = wanted.kind in (*_KINDS, "values") or any(wanted.values)
        self.filters = (*others, wanted) if told else tuple(others)
        self._change()

    def on_event(self, do: str, key: str, event: Mapping[str, Any]) -> bool:
        """Take one step of the page; return False if it is none of the grid's."""
        step = getattr(self, f"_do_{do}", None)
        if step is None:
            return False
        step(key, event)
        return True

    def _do_search(self, _: str, event: Mapping[str, Any]) -> None:
        self.search = str(event["form"].get("search", "")).strip()
        self._change()

    def _do_clear(self, _: str, __: Mapping[str, Any]) -> None:
        self.only()

    def _do_unchip(self, key: str, _: Mapping[str, Any]) -> None:
        if key == "search":
            self.search = ""
        else:
            self.filters = tuple(f for n, f in enumerate(self.filters) if n != int(key))
        self._change()

    def _do_menu(self, key: str, _: Mapping[str, Any]) -> None:
        self.menu = "" if key == self.menu or key not in (*self.columns.names(), "*") else key

    def _do_filter(self, key: str, event: Mapping[str, Any]) -> None:
        form, name = event["form"], self.menu
        if key in _KINDS:
            self.narrow(ColumnFilter(name, "empty" if key == "empty" else "filled"))
        elif key == "values":
            wanted = tuple(w for n, w in enumerate(self.listed(name)) if form.get(f"value-{n}"))
            self.filters = tuple(f for f in self.filters if (f.column, f.kind) != (name, "values"))
            if wanted:
                self.filters = (*self.filters, ColumnFilter(name, "values", wanted))
            self._change()
        else:
            self.narrow(ColumnFilter(name, "text", (str(form.get("text", "")),)))
            least, greatest = (str(form.get(end, "")).strip() for end in ("least", "greatest"))
            self.narrow(ColumnFilter(name, "range", (least, greatest)))
        self.menu = ""

    def _do_sort(self, key: str, _: Mapping[str, Any]) -> None:
        # Ascending, then descending, then the input's order.
        again = self.look["sort"] == key
        back = again and self.look["descending"]
        self._set(sort="" if back or key not in self.columns.names() else key,
                  descending=again and not back)  # fmt: skip

    def _do_group(self, key: str, _: Mapping[str, Any]) -> None:
        self.opened.clear()
        self.menu = ""
        self._set(group=key if key in self.columns.names() and self.look["group"] != key else "")

    def _do_density(self, key: str, event: Mapping[str, Any]) -> None:
        value = key or str(event.get("value"))
        self._set(density=value if value in DENSITIES else "normal")

    def _do_column(self, key: str, _: Mapping[str, Any]) -> None:
        shown = list(self.look["columns"])
        shown.remove(key) if key in shown and len(shown) > 1 else shown.append(key)
        self._set(columns=[name for name in dict.fromkeys(shown) if name in self.columns.names()])

    def _do_move(self, key: str, event: Mapping[str, Any]) -> None:
        shown, value = self.shown(), event.get("value")
        place = shown.index(key) + int(value) if isinstance(value, int) else shown.index(str(value))
        shown.remove(key)
        shown.insert(max(place, 0), key)
        self._set(columns=shown)

    def _do_width(self, key: str, event: Mapping[str, Any]) -> None:
        width = min(max(int(event["value"]), _NARROWEST), _WIDEST)
        self._set(widths={**self.look["widths"], key: width})

    def _do_fold(self, key: str, _: Mapping[str, Any]) -> None:
        self.opened ^= {self.lines.groups[int(key)]}
        self.version = self._order = self.version + 1

    def _do_fold_all(self, key: str, _: Mapping[str, Any]) -> None:
        self.opened = set(self.lines.groups) if key == "open" else set()
        self.version = self._order = self.version + 1

    # -- selection ---------------------------------------------------------------------------------
    def _do_select(self, key: str, event: Mapping[str, Any]) -> None:
        """Select one row alone, toggle it, or all rows from the last one to it, in their order."""
        row, how = int(key), event.get("value")
        if not 0 <= row < len(self.selected):
            raise IndexError(f"no row {row}")
        between = self._between(row) if how == "range" else None
        self.picked = ""
        if between is not None:
            self.selected[between] = True
        elif how == "toggle":
            self.selected[row] = not self.selected[row]
        else:
            self.selected[:] = False
            self.selected[row] = True
        if between is None:
            self._anchor = row
        self.version += 1

    def _between(self, row: int) -> Positions | None:
        places = np.flatnonzero(np.isin(self.lines.rows, [row, self._anchor]))
        return None if len(places) != 2 else self.lines.rows[places[0] : places[1] + 1]

    def _do_select_group(self, key: str, event: Mapping[str, Any]) -> None:
        rows = self.lines.of_group(int(key))
        all_selected = bool(self.selected[rows].all())
        if event.get("value") != "toggle":
            self.selected[:] = False
            all_selected = False
        alone = not self.selected.any()
        self.selected[rows] = not all_selected
        self.picked = self.lines.groups[int(key)] or "no value" if alone else ""
        self.version += 1

    def _do_select_all(self, _: str, __: Mapping[str, Any]) -> None:
        self.picked = ""
        self.selected[self.lines.rows] = not self.selected[self.lines.rows].all()
        self.version += 1

    def _do_unselect(self, _: str, __: Mapping[str, Any]) -> None:
        self.unselect()

    def unselect(self) -> None:
        """Select nothing."""
        self.picked, self._anchor = "", -1
        self.selected[:] = False
        self.version += 1

    # -- looks -------------------------------------------------------------------------------------
    def shown(self) -> list[str]:
        """Return the columns that are shown, in their order."""
        return [name for name in self.look["columns"] if name in self.columns.names()]

    def _set(self, **look: Any) -> None:
        self.look |= look
        self._change()
        with suppress(OSError):  # a folder that cannot be written keeps no looks, and nothing else
            self._remembered.write_text(json.dumps(self.look), encoding="utf-8")

    def _recall(self) -> None:
        # Anybody may have written the file, so only what is known and of its kind is taken.
        try:
            kept = json.loads(self._remembered.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if not isinstance(kept, dict):
            return
        known = [*self.columns.names(), "outcome", "why", ""]
        columns, widths = kept.get("columns"), kept.get("widths")
        if isinstance(columns, list) and any(name in known for name in columns):
            self.look["columns"] = [n for n in columns if isinstance(n, str) and n in known and n]
        if isinstance(widths, dict):
            self.look["widths"] = {n: min(max(w, _NARROWEST), _WIDEST)
                                   for n, w in widths.items() if isinstance(w, int)}  # fmt: skip
        self.look |= {n: kept[n] for n in ("sort", "group") if kept.get(n) in known}
        self.look["descending"] = kept.get("descending") is True
        if kept.get("density") in list(DENSITIES):
            self.look["density"] = kept["density"]

    def width(self, name: str) -> int:
        """Return how wide a column is."""
        return int(self.look["widths"].get(name, self.columns.width(name)))

    # -- what goes to the page ---------------------------------------------------------------------
    def spec(self, *, fixed: bool) -> dict[str, Any]:
        """Return what the page has to know of the grid besides its rows."""
        total = int(self.lines.begins(self.opened)[-1])
        filtered = {f.column for f in self.filters}
        return {
            "version": self.version, "order": self._order, "total": total,
            "row": DENSITIES[self.look["density"]],
            "fixed": fixed, "tick": self._tick(),
            "columns": [
                {
                    "name": name, "title": self.columns.title(name), "filtered": name in filtered,
                    "width": self.width(name),
                    "sort": ("descending" if self.look["descending"] else "ascending")
                    if name == self.look["sort"] else "none",
                }
                for name in self.shown()
            ],
        }  # fmt: skip

    def _tick(self) -> str:
        on = self.selected[self.lines.rows]
        return "☐" if not on.any() else "☑" if on.all() else "◪"

    def cells(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return some lines as the page shows them, each row with its key."""
        lines = self.lines.between(first, min(last, first + 500), self.opened)
        keys = np.array([row for group, row in lines if group < 0], dtype="int64")
        columns = [self.columns[name].take(keys) for name in self.shown()]
        texts = [[escape_invisible(shorten(text, _CELL)) for text in column] for column in columns]
        records = iter(zip(keys.tolist(), *texts, strict=True))
        decided = self.columns.state.rows["decision"].take(keys) != ""
        marks = iter(decided.tolist())
        made = []
        for group, value in lines:
            if group < 0:
                key, *line = next(records)
                made.append({"key": key, "on": bool(self.selected[key]), "cells": line,
                             "decided": next(marks)})  # fmt: skip
                continue
            rows, name = self.lines.of_group(group), self.lines.groups[group]
            on = int(self.selected[rows].sum())
            made.append({
                "group": group, "open": name in self.opened, "on": on == value, "some": on > 0,
                "label": f"{escape_invisible(shorten(name, _CELL)) or '(empty)'}: "
                         f"{with_unit(value, 'row')}" + (f", {on:,} selected" if on else ""),
            })  # fmt: skip
        return made

    def bar(self) -> Tree:
        """Return the search, the chips of the filters, and what is shown and selected."""
        chips = [(str(n), self._told(f)) for n, f in enumerate(self.filters)]
        chips += [("search", f"Search: {shorten(self.search, 40)}")] if self.search else []
        shown, count = len(self.lines.rows), len(self.selected)
        chosen, hidden = int(self.selected.sum()), len(self.hidden())
        said = f"{shown:,} of {count:,} rows shown" if shown < count else f"{count:,} rows"
        if chosen:
            said += f", {chosen:,} selected" + (f", {hidden:,} of them not shown" if hidden else "")
        group = str(self.look["group"])
        return h(
            "div.sk-row",
            field("Search", "search", self.search, do="search", placeholder="ID, name, ticket …"),
            (button(f"{text} ✕", "unchip", key, classes="sk-chip", title="Take this filter off")
             for key, text in chips),
            button("Clear filters", "clear") if chips else None,
            button(f"Grouped by {self.columns.title(group)} ✕", "group", group, classes="sk-chip")
            if group else None,
            [button("Open all", "fold_all", "open"), button("Fold all", "fold_all", "fold")]
            if group else None,
            h("span.sk-said", said),
            button("Select none", "unselect") if chosen else None,
            button("Open the row", "open", int(self.chosen()[0])) if chosen == 1 else None,
            button("Columns", "menu", "*", aria_expanded=str(self.menu == "*").lower()),
        )  # fmt: skip

    def _told(self, wanted: ColumnFilter) -> str:
        values = [shorten(value, 30) or "(empty)" for value in wanted.values[:2]]
        if len(wanted.values) > 2 and wanted.kind == "values":
            values.append(f"and {len(wanted.values) - 2:,} more")
        said = {
            "text": f"has “{values[0] if values else ''}”", "values": ", ".join(values),
            "range": " to ".join(v.replace("(empty)", "…") for v in values), **_KINDS,
        }[wanted.kind]  # fmt: skip
        return f"{self.columns.title(wanted.column)}: {said}"

    def listed(self, name: str) -> dict[str, int]:
        """Return the most frequent values of a column, with how many rows have each.

        Counted are the rows that the filters of the other columns show.
        """
        others = [f for f in self.filters if f.column != name]
        shown = shown_rows(len(self.selected), others, self.columns.__getitem__)
        return dict(islice(self.columns[name].sizes(np.flatnonzero(shown)).items(), _VALUES))
