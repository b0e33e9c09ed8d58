"""The pictures of an audit's page, drawn as those of a run's report (:mod:`.pictures`)."""

from __future__ import annotations

import pandas as pd

from sharekit.audits.results import Audit

from . import drift_words, words
from .pictures import canvas, draw_bars, drawing, share_of, svg
from .words import LOOKS, SHADES

#: Projects that are drawn.
PROJECTS = 12


def results(audit: Audit) -> str:
    """Return bars of rows and shares by result, zeros included."""
    counts = audit.counts
    total = max(sum(counts.values()), 1)
    labels = [f"{words.number(n)} · {share_of(n, total)}" if n else "0" for n in counts.values()]
    alt = "Rows and shares by result: " + ", ".join(f"{name} {n:,}" for name, n in counts.items())
    with drawing("results"):
        figure, axes = canvas(0.27 * len(counts) + 0.15, left=0.14)
        draw_bars(axes, list(counts.values()), [SHADES[LOOKS[name]] for name in counts], labels)
        axes.set_yticks(range(len(counts)), list(counts))
        return svg(figure, "results", alt)


def projects(audit: Audit) -> str:
    """Return bars of what agrees and what is to be looked at, the worst projects first."""
    of = drift_words.projects(audit)
    of = of.sort_values(["look_at", "agree"], ascending=False, kind="stable").head(PROJECTS)
    if of.empty:
        return ""
    alt = "By project: " + "; ".join(
        f"{cloud}: {bad:,} to look at, {good:,} agree"
        for cloud, bad, good in of[["cloud", "look_at", "agree"]].itertuples(index=False)
    )
    labels = [
        f"{words.number(bad)} of {words.number(bad + good)}" if bad + good else "nothing to compare"
        for bad, good in of[["look_at", "agree"]].itertuples(index=False)
    ]
    stand_ins = {f"@project {place}@": name for place, name in enumerate(of["cloud"].str[:40])}
    with drawing("projects"):
        figure, axes = canvas(0.46 * len(of) + 0.1, left=0.012)
        both = (of["look_at"] + of["agree"]).tolist()
        draw_bars(axes, both, [SHADES["confirmed"]] * len(of), labels, height=0.3)
        axes.barh(range(len(of)), of["look_at"].tolist(), 0.3, color=SHADES["failed"])
        axes.set_yticks([])
        for place, stand_in in enumerate(stand_ins):
            axes.text(0, place - 0.25, stand_in, va="bottom")
        axes.set_ylim(len(of) - 0.7, -0.9)
        return svg(figure, "projects", alt, stand_ins)


def ages(audit: Audit) -> str:
    """Return bars of the ages of shares beyond the inventory; ``""`` when there are none."""
    return _ages(drift_words.ages(audit))


def _ages(of: pd.DataFrame) -> str:
    if not of["shares"].sum():
        return ""
    alt = "Shares beyond the inventory by age: " + ", ".join(
        f"{age}: {n:,}" for age, n in of.itertuples(index=False)
    )
    with drawing("ages"):
        figure, axes = canvas(0.27 * len(of) + 0.15, left=0.19)
        labels = [words.number(n) for n in of["shares"]]
        draw_bars(axes, of["shares"].tolist(), [SHADES["blocked"]] * len(of), labels)
        axes.set_yticks(range(len(of)), of["age"].tolist())
        return svg(figure, "ages", alt)
