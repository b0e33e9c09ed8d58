"""Line charts as small SVG pictures that follow the colours and fonts of the page around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import Final

import numpy as np

from sharekit.core.html import escape_invisible
from sharekit.reports.document import Chart, Curve
from sharekit.reports.wording import format_duration

#: Width of the picture; the edges of its plot below one line of names, and the plot's height.
_WIDTH, _LEFT, _RIGHT, _TOP, _PLOT = 720, 64, 690, 38, 150
#: Most points of a curve, and most ticks of an axis.
_POINTS, _TICKS = 400, 5
#: Steps between ticks that people read as times, in seconds; then whole days.
_SECONDS: Final = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
    10800, 21600, 43200,
)  # fmt: skip
#: Position of a tick, and its label.
Tick = tuple[float, str]


@dataclass(frozen=True)
class Series:
    """A line of a chart; ``color`` is any CSS colour."""

    name: str
    color: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def draw_chart(chart: Chart) -> str:
    """Return a run's chart as an SVG element in the colours of the page's variables."""
    curves = {name: curve for name, curve in chart.curves.items() if len(curve.seconds)}
    last = max(curve.seconds[-1] for curve in curves.values())
    most = max(curve.numbers[-1] for curve in curves.values())
    series = [
        Series(name, f"var(--{curve.color})", list(_steps(curve)), dashed=number > 0)
        for number, (name, curve) in enumerate(curves.items())
    ]
    times = [(second, format_duration(second)) for second in _ticks(last, _time_steps())]
    numbers = [(number, f"{number:,.0f}") for number in _ticks(most, _number_steps())]
    alt = f"{chart.description}, in {format_duration(last)}"
    return draw_lines(series, times, numbers, f"after {chart.start}", alt)


def draw_lines(
    series: Sequence[Series],
    x_ticks: Sequence[Tick],
    y_ticks: Sequence[Tick],
    x_title: str,
    description: str,
    colors: tuple[str, str, str] = ("var(--ink)", "var(--muted)", "var(--line)"),
) -> str:
    """Return lines as an SVG element; ``colors`` are those of legend, labels and rules."""
    ink, muted, rule = colors
    legend, bottom = list(_legend(series)), _TOP + _PLOT
    top = legend[-1][1] + 18 if legend else _TOP
    bottom += top - _TOP
    xs, ys = ([point[axis] for one in series for point in one.points] for axis in (0, 1))
    to_x = _scale([*xs, *(tick for tick, _ in x_ticks)], _LEFT, _RIGHT)
    to_y = _scale([*ys, *(tick for tick, _ in y_ticks)], bottom, top)
    parts = []
    for value, label in y_ticks:
        parts.append(f'<path d="M{_LEFT} {to_y(value):.1f}H{_RIGHT}" style="stroke:{rule}"/>')
        parts.append(_text(_LEFT - 8, to_y(value) + 4, label, muted, "end"))
    parts += [_text(to_x(value), bottom + 18, label, muted) for value, label in x_ticks]
    parts.append(_text((_LEFT + _RIGHT) / 2, bottom + 38, x_title, muted))
    for one, (x, y) in zip(series, legend, strict=True):
        style = f"fill:none;stroke-width:2;stroke:{one.color}"
        style += ";stroke-dasharray:7 3" if one.dashed else ""
        corners = [f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in one.points]
        parts.append(f'<polyline points="{" ".join(corners)}" style="{style}"/>')
        parts.append(f'<path d="M{x} {y - 4}h26" style="{style}"/>')
        parts.append(_text(x + 32, y, one.name, ink, "start"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 50}" '
    head += f'role="img" aria-label="{escape(escape_invisible(description))}" font-size="12">'
    return "\n".join([head, *parts, "</svg>"])


def _legend(series: Iterable[Series]) -> Iterator[tuple[int, int]]:
    """Yield the position of each name, on as many lines as they need."""
    x, y = _LEFT, 20
    for one in series:
        width = 56 + 7 * len(one.name)
        if x > _LEFT and x + width > _RIGHT:
            x, y = _LEFT, y + 18
        yield x, y
        x += width


def _steps(curve: Curve) -> Iterator[tuple[float, float]]:
    """Yield the corners of a curve that grows in steps, thinned to what a picture can show."""
    chosen = np.unique(np.linspace(0, len(curve.seconds) - 1, _POINTS).astype(int)).tolist()
    before = 0
    for number in chosen:
        yield curve.seconds[number], before
        yield curve.seconds[number], (before := curve.numbers[number])


def _time_steps() -> Iterator[float]:
    yield from _SECONDS
    yield from (86_400 * step for step in _number_steps())


def _number_steps() -> Iterator[float]:
    yield from (step * 10**power for power in count() for step in (1, 2, 5))


def _ticks(most: float, steps: Iterable[float]) -> list[float]:
    step = next(step for step in steps if most / step <= _TICKS)
    return [number * step for number in range(int(most / step) + 1)]


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """Return what maps the smallest value to one coordinate and the largest one to another."""
    least, size = min(values), (max(values) - min(values)) or 1
    return lambda value: start + (value - least) / size * (end - start)


def _text(x: float, y: float, text: str, color: str, anchor: str = "middle") -> str:
    attributes = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{color}"'
    return f"<text {attributes}>{escape(escape_invisible(text))}</text>"
