"""The review panel in JupyterLab, as a person sees it: first paint, scroll, filter, sort, bytes.

Wall time in chromium on the same machine, from the key or click to the answer in the page.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, WebSocket

import sharekit
from tests.interfaces import browsing

from .table import Table

_PAINT, _STEP, _BYTES = 2.0, 0.5, 200_000
_LOAD = (
    "import sharekit\nfrom sharekit.plans.plan import read_plan\n"
    "plan = read_plan('run.ledger')\n'loaded'"
)
_SHOW = "sharekit.review(plan, reviewer='Ada')"


def run(sizes: Sequence[int] = (5_000, 100_000, 1_000_000), repetitions: int = 5) -> Table:
    """Measure the panel over plans of several sizes."""
    rows = [_measured(size, repetitions) for size in sizes]
    aim = f"first paint ≤ {_PAINT} s, each step ≤ {_STEP} s, ≤ {_BYTES / 1e6} MB to the page"
    met = all(
        paint <= _PAINT and max(steps) <= _STEP and size * 1e6 <= _BYTES
        for _, paint, *steps, size in rows
    )
    columns = (
        "rows",
        "first paint s",
        "scroll anywhere s",
        "filter s",
        "search s",
        "sort s",
        "MB to the page",
    )
    note = (
        "The plan is in memory, the cell with `review(plan)` is run; later steps are the slowest "
        f"of {repetitions}, so a column's first sort counts. Bytes are all that the kernel's "
        "socket brought until the table was there."
    )
    return Table("The review panel", aim, met, columns, rows, [note])


def _measured(size: int, repetitions: int) -> tuple[float, ...]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        work.mkdir()
        _plan(work, size)
        browsing.write_notebook(work / "panel.ipynb", _LOAD, _SHOW)
        with (
            browsing.browser() as chromium,
            browsing.lab(work, Path(folder) / "home") as url,
            browsing.window(chromium) as window,
        ):
            return size, *_steps(window.page, url, repetitions)


def _steps(page: Page, url: str, repetitions: int) -> tuple[float, ...]:
    brought: list[int] = []
    page.on("websocket", lambda socket: _count(socket, brought))
    browsing.open_notebook(page, url, "panel.ipynb", run="")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
    page.get_by_text("'loaded'").last.wait_for()
    brought.clear()
    with _wall() as paint:
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-cell')")
        page.locator(".sharekit-panel [data-row]").first.wait_for()
    sent = sum(brought)
    panel = page.locator(".sharekit-panel")
    grid, search = panel.locator(".sk-grid"), panel.get_by_label("Search")
    parts = [number / repetitions for number in range(1, repetitions + 1)]
    jump = "(grid, part) => { grid.scrollTop = grid.scrollHeight * part; }"
    scrolls = [_answered(page, partial(grid.evaluate, jump, part)) for part in parts]
    filters, searches, sorts = [], [], []
    sort = panel.get_by_role("button", name=re.compile("^Image [↑↓]?$|^Image$"))
    blocked, everything = (panel.locator(".sk-tile").nth(place) for place in (2, 0))
    for number in range(repetitions):
        filters += [_answered(page, blocked.click), _answered(page, everything.click)]
        search.fill(f"image-{number + 1}")
        searches.append(_answered(page, partial(search.press, "Enter")))
        _answered(page, everything.click)
        sorts += [_answered(page, sort.click), _answered(page, sort.click)]
    return paint[0], *map(max, (scrolls, filters, searches, sorts)), sent / 1e6


def _answered(page: Page, act: Callable[[], object]) -> float:
    """Seconds from a step to the rows that answer it, which differ from those that were there."""
    told = """() => [...document.querySelectorAll('.sk-body .sk-line')].map(line =>
      line.dataset.row ?? '…').join()"""
    before = page.evaluate(told)
    with _wall() as spent:
        act()
        page.wait_for_function(
            f"before => {{ const now = ({told})();"
            " return now && !now.includes('…') && now !== before; }",
            arg=before,
        )
    return spent[0]


def _count(socket: WebSocket, brought: list[int]) -> None:
    socket.on("framereceived", lambda frame: brought.append(len(frame)))


@contextmanager
def _wall() -> Iterator[list[float]]:
    spent: list[float] = []
    began = time.perf_counter()
    yield spent
    spent.append(time.perf_counter() - began)


def _plan(folder: Path, size: int) -> None:
    draw = np.random.default_rng(1)
    number = np.arange(size)
    head = draw.integers(0, 2**32, size)
    rows = pd.DataFrame(
        {
            "image_id": [f"{h:08x}-1bc3-4c3f-893e-{n:012x}" for h, n in zip(head, number)],  # noqa: B905
            "project_id": draw.choice([f"{n}" * 32 for n in range(1, 9)], size),
            "status": draw.choice(["accepted", "rejected"], size, p=[0.9, 0.1]),
            "image_name": [f"image-{n}" for n in number],
        }
    )
    rows.loc[::97, "image_id"] = rows.loc[::97, "image_id"].str.upper()
    rows.to_csv(folder / "shares.csv", index=False)
    findings = sharekit.check(sharekit.read_inventory(folder / "shares.csv"))
    sharekit.plan(findings, folder / "run.ledger")
