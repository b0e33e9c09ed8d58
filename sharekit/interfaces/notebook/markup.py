"""HTML of the panel, written by the templates beside this module: all that comes from data is
escaped in one place, so that no template can forget it.
"""  # noqa: D205

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jinja2
import pandas as pd
from markupsafe import Markup

from sharekit.core.actions import OWNER_ACTIONS
from sharekit.core.columns import with_unit
from sharekit.core.html import escape_html, escape_invisible
from sharekit.core.outcomes import OUTCOMES
from sharekit.reports.render.page_templates import templates
from sharekit.reports.wording import format_duration

from .model import ReviewModel

#: Characters of a value that are shown; a row opened in full shows more.
_SHORT: Final = 120
#: Projects that have a bar; the others are counted in one line.
_BARS: Final = 8
#: Decision -> the outcome whose colour and place among the parts of a bar it has.
_LIKE: Final = {
    "accept": "confirmed", "share": "confirmed", "reject": "failed",
    "unshare": "failed", "skip": "skipped",
}  # fmt: skip
_PLACES: Final = {name: number for number, name in enumerate(OUTCOMES)}
_STAGES: Final = {
    "deciding": "Nothing is sent: nobody has approved this plan. Open the notebook and approve it "
    "there, or run sharekit approve.",
    "approving": "Nothing is sent: not all who have to have approved this plan.",
    "approved": "Approved, and not sent yet.",
    "sending": "Sending has begun and is not finished; submitting again resumes it.",
    "finished": "The run is finished.",
}


def render(template: str, **values: Any) -> Markup:
    """Return the HTML that a template makes of values."""
    return Markup(_environment().get_template(f"{template}.html.j2").render(values))  # noqa: S704 - escaped


@cache
def _environment() -> jinja2.Environment:
    environment = templates("sharekit.interfaces.notebook")
    filters = (with_unit, format_duration, short, lines, color, percent, source)
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters |= {"number": "{:,}".format}
    environment.globals |= {"note": note, "owner_actions": OWNER_ACTIONS}
    return environment


def short(value: object, limit: int = _SHORT) -> str:
    """Return a value as text; a long one is cut and says its length.

    >>> short("x" * 300, 10)
    'xxxxxxxxxx … (300 characters)'
    """
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"


def lines(text: str) -> Markup:
    """Escape a text, and keep its line breaks."""
    return Markup("\n".join(map(escape_html, text.split("\n"))))  # noqa: S704 - escaped


def color(kind: str) -> str:
    """Return the colour of an outcome or a decision."""
    outcome = OUTCOMES.get(_LIKE.get(kind, kind))
    return outcome.color if outcome else "var(--sk-soft)"


def percent(part: int, whole: int) -> str:
    """Return the width of a part of a bar."""
    return f"{100 * part / whole:.2f}%"


def source(row: Mapping[str, Any]) -> str:
    """Return where a row stands: its file, sheet and number."""
    return ", ".join(filter(None, (row["file"], row["sheet"], f"row {row['row']}")))


def note(text: str, tone: str = "warn") -> Markup:
    """Return one sentence that stands out."""
    return Markup('<div class="sk-warning {}">{}</div>').format(tone, escape_invisible(text))


def _place(kind: str) -> int:
    return _PLACES.get(_LIKE.get(kind, kind), len(_PLACES))


def project_chart(sums: pd.DataFrame, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the bars of rows by project and kind (``sums``), the largest projects first.

    ``labels`` are what projects are called.
    """
    totals = sums.sum(axis="columns").sort_values(ascending=False, kind="stable")
    kinds = sorted(map(str, sums.columns), key=_place)
    sizes = sums.loc[totals.index[:_BARS], kinds].to_dict("index")
    return {
        "kinds": kinds,
        "lines": [
            (labels.get(str(project), project), {k: n for k, n in of.items() if n})
            for project, of in sizes.items()
        ],
        "largest": int(totals.iloc[:1].sum()),
        "more": len(sums) - _BARS,
    }


def head(review: ReviewModel, *, full: bool) -> Markup:
    """Return title, warnings, tiles and, if ``full``, the bars by project."""
    state = review.state
    return render(
        "head",
        name=review.path.name,
        changed=review.changed_inputs,
        asked=state.plan.findings.snapshot is not None,
        warnings=state.plan.findings.count("warning"),
        counts=state.counts,
        summary=state.send_summary,
        chart=project_chart(_sizes_by_kind(state.by_project), state.project_labels)
        if full
        else None,
    )


def _sizes_by_kind(sizes: pd.Series) -> pd.DataFrame:
    """Return the number of rows by project and by what becomes of them."""
    rows = sizes.reset_index(name="rows")
    kind = rows["wanted"].where(rows["state"] == "planned", rows["state"])
    rows["kind"] = kind.replace({"skipped": "skip", "": "blocked"})
    sums = rows.pivot_table(index="project_id", columns="kind", values="rows", aggfunc="sum")
    return sums.fillna(0).astype("int64")


def static_summary(review: ReviewModel) -> Markup:
    """Return a summary for those who only read the notebook: no widget, script or style."""
    state = review.state
    return render(
        "static",
        name=review.path.name,
        counts=state.counts,
        summary=state.send_summary,
        fingerprint=state.plan.fingerprint,
        stage=_STAGES[review.gate.stage],
    )
