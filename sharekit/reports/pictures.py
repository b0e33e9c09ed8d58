"""The pictures of ``audit.html``: inline SVG that follows the page's light or dark colours.

Drawn by matplotlib without its global state, in its default style whatever the user has set, with
text kept as text. The same record gives the same bytes. Colours are written as CSS variables of the
page, so that one picture serves the screen, the dark screen and the printer.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import Final

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sharekit.core.html import plain

from . import words
from .run_record import Record
from .words import SHADES

#: Stand-ins for the page's colours; no outcome has one of these.
_INK, _MUTED, _LINE = "#010203", "#040506", "#070809"
_VARIABLES: Final = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _LINE: "var(--line)",
    **{shade: f"var(--{name})" for name, shade in SHADES.items()},
}
_STYLE: Final = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "text.color": _INK,
    "text.parse_math": False,
    "axes.edgecolor": _LINE,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _INK,
}
#: Inches; most points on a line.
_WIDTH, _POINTS = 7.0, 400


def outcomes(record: Record) -> str:
    """Return bars of the rows by outcome, zeros included."""
    counts = record.counts
    total = max(sum(counts.values()), 1)
    labels = [f"{words.number(n)} · {share_of(n, total)}" if n else "0" for n in counts.values()]
    alt = "Rows by outcome: " + ", ".join(f"{name} {n:,}" for name, n in counts.items())
    with drawing("outcomes"):
        figure, axes = canvas(0.27 * len(counts) + 0.15, left=0.14)
        draw_bars(axes, list(counts.values()), [SHADES[name] for name in counts], labels)
        axes.set_yticks(range(len(counts)), list(counts))
        return svg(figure, "outcomes", alt)


def share_of(count: int, total: int) -> str:
    """Return a part in percent.

    >>> share_of(1, 8), share_of(1, 10_000)
    ('12.5 %', '< 0.1 %')
    """
    share = count / total
    return "< 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")


def timeline(record: Record) -> str:
    """Return how many images had been sent and answered by when; ``""`` if none was sent."""
    chunks = record.chunks
    # A split chunk may be sent first as a whole, and it ends as its parts.
    split = chunks["chunk"].isin(_parent(chunks["chunk"]))
    sent = _curve(chunks.loc[~_sent_in_whole(chunks)], "first_sent")
    ended = _curve(chunks.loc[~split], "ended")
    if sent.empty:
        return ""
    start, end = sent.index[0], max(curve.index[-1] for curve in (sent, ended) if len(curve))
    alt = (
        f"{words.counted(int(sent.iloc[-1]), 'image')} sent from {start:%Y-%m-%d %H:%M:%S} UTC on, "
        f"{words.number(int(ended.iloc[-1]) if len(ended) else 0)} of them answered, "
        f"in {_clock((end - start).total_seconds())}"
    )
    with drawing("timeline"):
        figure, axes = canvas(2.4, left=0.09, bottom=0.19, top=0.87, right=0.96)
        for name, curve, shade in (
            ("sent", sent, SHADES["pending"]),
            ("answered", ended, SHADES["confirmed"]),
        ):
            if len(curve):
                _step(axes, name, curve, start, shade)
        _seconds(axes, f"after {start:%Y-%m-%d %H:%M:%S} UTC")
        return svg(figure, "timeline", alt)


def _parent(names: pd.Series) -> pd.Series:
    """Return the chunk that each was split from: "7" for "7.1", "" for "7"."""
    return names.str.extract(r"^(.*)\.[^.]*$", expand=False).fillna("")


def _sent_in_whole(chunks: pd.DataFrame) -> pd.Series:
    """Return which chunks had been sent before, as part of a larger one."""
    sent = chunks.loc[chunks["first_sent"].notna(), "chunk"]
    before = pd.Series(data=False, index=chunks.index)
    larger = _parent(chunks["chunk"])
    while (larger != "").any():
        before |= larger.isin(sent)
        larger = _parent(larger)
    return before


def _curve(chunks: pd.DataFrame, moment: str) -> pd.Series:
    """Return images up to each moment, thinned to what a picture can show."""
    done = chunks.dropna(subset=[moment]).sort_values(moment, kind="stable")
    curve = pd.Series(done["images"].cumsum().to_numpy(), index=pd.DatetimeIndex(done[moment]))
    if curve.empty:
        return curve
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, _POINTS).astype(int))]


def _step(axes: Axes, name: str, curve: pd.Series, start: pd.Timestamp, shade: str) -> None:
    seconds = (curve.index.to_series() - start).dt.total_seconds().to_numpy()
    axes.step(
        [seconds[0], *seconds],
        [0, *curve],
        where="post",
        color=shade,
        linewidth=2,
        linestyle="-" if name == "sent" else (0, (4, 1.5)),
        label=name,
    )


def _seconds(axes: Axes, since: str) -> None:
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda images, _: words.number(int(images))))
    axes.grid(axis="y", color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(since, color=_MUTED)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), frameon=False, ncols=2)
    axes.spines["bottom"].set_visible(True)


def _clock(seconds: float) -> str:
    """Return a duration in the largest fitting units.

    >>> _clock(0.5), _clock(75), _clock(7260)
    ('0.5 s', '1 min 15 s', '2 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


# -- drawing -----------------------------------------------------------------------------------
def drawing(name: str) -> AbstractContextManager[None]:
    """Return the style that every picture is drawn in, whatever the user has set."""
    context: AbstractContextManager[None] = matplotlib.style.context(
        ["default", _STYLE | {"svg.hashsalt": name}]
    )
    return context


def canvas(
    height: float, *, left: float, right: float = 0.985, bottom: float = 0.02, top: float = 0.98
) -> tuple[Figure, Axes]:
    """Return an empty figure of a height in inches; the margins are shares of it."""
    figure = Figure(figsize=(_WIDTH, height))
    figure.patch.set_alpha(0)
    axes = figure.add_axes((left, bottom, right - left, top - bottom))
    axes.patch.set_alpha(0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def draw_bars(
    axes: Axes,
    values: Sequence[int],
    colours: Iterable[str],
    labels: Sequence[str],
    height: float = 0.62,
) -> None:
    """Draw bars from the top down, each with its label behind it."""
    axes.barh(range(len(values)), values, height, color=list(colours))
    reach = max(*values, 1)
    for place, (value, label) in enumerate(zip(values, labels, strict=True)):
        axes.text(value + reach * 0.012, place, label, va="center", color=_MUTED)
    axes.set_xlim(0, reach * 1.2)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xticks([])


def svg(figure: Figure, name: str, alt: str, labels: Mapping[str, str] | None = None) -> str:
    """Return the figure as an SVG element of a page, named so that no two share an ``id``.

    ``labels`` are what stands in the place of some texts: the page's fonts draw them, since
    matplotlib's lack many glyphs.
    """
    file = io.StringIO()
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=none)
    text = file.getvalue()
    text = re.sub(
        r"<!--.*?-->|<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S
    )
    text = re.sub(r"<[^>]*>", lambda tag: _own(tag[0], name), text)
    for stand_in, label in (labels or {}).items():
        text = text.replace(stand_in, escape(plain(label)), 1)
    head = f'<svg role="img" aria-label="{escape(plain(alt))}"'
    return "\n".join(line for line in text.replace("<svg", head, 1).splitlines() if line.strip())


def _own(tag: str, name: str) -> str:
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", tag)
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: _VARIABLES.get(colour[0], colour[0]), tag)
