"""Line charts as small SVG pictures that follow the colours and fonts of the page around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import Final

import numpy as np

from sharekit.core.html import plain
from sharekit.reports.document import Chart, Curve
from sharekit.reports.wording import format_duration

#: Size of the picture, and the edges of its plot: left, right, top, bottom.
_WIDTH, _HEIGHT = 720, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 690, 34, 180
#: Most points of a curve, and most ticks of an axis.
_POINTS, _TICKS = 400, 5
#: Steps between ticks that people read as times, in seconds; then whole days.
_SECONDS: Final = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
    10800, 21600, 43200,
)  # fmt: skip
#: Place of a tick, and its label.
Tick = tuple[float, str]


@dataclass(frozen=True)
class Series:
    """A line of a chart; ``color`` is any CSS colour."""

    name: str
    color: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    dots: bool = False


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
    xs, ys = ([point[axis] for one in series for point in one.points] for axis in (0, 1))
    x_values, y_values = ([tick for tick, _ in ticks] for ticks in (x_ticks, y_ticks))
    to_x = _scale([*xs, *x_values], _LEFT, _RIGHT)
    to_y = _scale([*ys, *y_values], _BOTTOM, _TOP)
    parts = [_rule(_LEFT, to_y(value), _RIGHT, to_y(value), rule) for value, _ in y_ticks]
    parts += [_text(_LEFT - 8, to_y(value) + 4, label, muted, "end") for value, label in y_ticks]
    parts += [_text(to_x(value), _BOTTOM + 18, label, muted) for value, label in x_ticks]
    parts += [_text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, x_title, muted)]
    at = _LEFT
    for one in series:
        dash = ";stroke-dasharray:7 3" if one.dashed else ""
        style = f"fill:none;stroke-width:2;stroke:{one.color}{dash}"
        line = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in one.points)
        parts.append(f'<polyline points="{line}" style="{style}"/>')
        if one.dots:
            parts += [
                f'<circle cx="{to_x(x):.1f}" cy="{to_y(y):.1f}" r="3.5" style="fill:{one.color}"/>'
                for x, y in one.points
            ]
        parts.append(f'<path d="M{at} 16h26" style="{style}"/>')
        parts.append(_text(at + 32, 20, one.name, ink, "start"))
        at += 56 + 7 * len(one.name)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
    head += f'aria-label="{escape(plain(description))}" font-size="12">'
    return "\n".join([head, *parts, "</svg>"])


def _steps(curve: Curve) -> Iterator[tuple[float, float]]:
    """Yield the corners of a curve that grows in steps, thinned to what a picture can show."""
    chosen = np.unique(np.linspace(0, len(curve.seconds) - 1, _POINTS).astype(int)).tolist()
    before = 0
    for place in chosen:
        yield curve.seconds[place], before
        yield curve.seconds[place], (before := curve.numbers[place])


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


def _rule(x1: float, y1: float, x2: float, y2: float, color: str) -> str:
    style = f"stroke:{color};stroke-width:.8"
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" style="{style}"/>'


def _text(x: float, y: float, text: str, color: str, anchor: str = "middle") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{color}"'
    return f"<text {place}>{escape(plain(text))}</text>"
