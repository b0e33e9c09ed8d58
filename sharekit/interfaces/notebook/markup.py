"""HTML that several pages of the panel share: all that comes from data is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import pandas as pd

from sharekit.core.actions import OWNER_ACTIONS
from sharekit.core.columns import with_unit
from sharekit.core.html import escape_html
from sharekit.core.outcomes import OUTCOMES
from sharekit.interfaces.review_filters import Page

from .model import ReviewModel

#: Characters of a value that are shown; a row opened in full shows more.
_SHORT = 120
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


def truncate(value: object, limit: int = _SHORT) -> str:
    """Return a value as text that is safe in HTML; a long one is cut and says its length.

    >>> truncate("<b>" + "x" * 300, 10)
    '&lt;b&gt;xxxxxxx … (303 characters)'
    """
    text = str(value)
    rest = f" … ({len(text):,} characters)" if len(text) > limit else ""
    return escape_html(text[:limit]) + rest


def visible_lines(text: str) -> str:
    """Escape a text as :func:`sharekit.core.html.visible` does, and keep its line breaks."""
    return "\n".join(map(escape_html, text.split("\n")))


def note(text: str, tone: str = "warn") -> str:
    """Return one sentence that stands out."""
    return f'<div class="sk-warning {tone}">{escape_html(text)}</div>'


def color(kind: str) -> str:
    """Return the colour of an outcome or a decision."""
    outcome = OUTCOMES.get(_LIKE.get(kind, kind))
    return outcome.color if outcome else "var(--sk-soft)"


def data_table(
    heads: Sequence[str], lines: Iterable[Sequence[str]], label: str, number: int | None = None
) -> str:
    """Return a table of cells that are HTML already; column ``number`` is set to the right."""
    marks = [' class="num"' if place == number else "" for place in range(len(heads))]
    titles = "".join(
        f'<th scope="col"{mark}>{head}</th>' for head, mark in zip(heads, marks, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{m}>{cell}</td>' for cell, m in zip(line, marks, strict=True))}</tr>"
        for line in lines
    )
    return (
        f'<div class="sk-scroll" tabindex="0" role="region" aria-label="{escape_html(label)}">'
        f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def head(review: ReviewModel, *, full: bool) -> str:
    """Return title, warnings, tiles and, if ``full``, the bars by project."""
    state, counts = review.state, review.state.counts
    numbers = [
        ("rows", counts["rows"], ""), ("to accept", counts["accept"], "good"),
        ("to reject", counts["reject"], "bad"),
        *((f"to {word}", counts[word], "calm") for word in OWNER_ACTIONS if counts[word]),
        ("left out", counts["skipped"], ""),
        ("blocked", counts["blocked"], "warn"), ("already so", counts["already"], "calm"),
        ("duplicates", counts["duplicate"], ""), ("projects", counts["projects"], ""),
        (f"{state.send_summary.split()[-1]} to send", counts["images"], "calm"),
        ("chunks", counts["chunks"], ""), ("calls", counts["calls"], ""),
    ]  # fmt: skip
    tiles = "".join(
        f'<div class="sk-tile {tone}"><b>{number:,}</b><span>{escape_html(name)}</span></div>'
        for name, number, tone in numbers
    )
    return (
        f"<h2>Review of {escape_html(review.path.name)}</h2>{_warnings(review)}"
        f'<div class="sk-tiles">{tiles}</div>{_by_project(state.by_project) if full else ""}'
    )


def _warnings(review: ReviewModel) -> str:
    findings, lines = review.state.plan.findings, []
    if findings.snapshot is None:
        lines.append(note("No cloud was asked, so nobody knows whether these images are there."))
    if blocked := review.state.counts["blocked"]:
        lines.append(
            note(f"{with_unit(blocked, 'row')} blocked by a check, which would not be sent.")
        )
    if warnings := findings.count("warning"):
        text = f"{with_unit(warnings, 'warning')}: filter by finding to look closer."
        lines.append(note(text, "calm"))
    return "".join(lines)


def _by_project(sizes: pd.Series) -> str:
    lines = sizes.reset_index(name="rows")
    lines["kind"] = lines["wanted"].where(lines["state"] == "planned", lines["state"])
    lines["kind"] = lines["kind"].replace({"skipped": "skip", "": "blocked"})
    sums = lines.pivot_table(index="project_id", columns="kind", values="rows", aggfunc="sum")
    return bars(sums.fillna(0).astype("int64"), "Rows by project")


def _place(kind: str) -> int:
    return _PLACES.get(_LIKE.get(kind, kind), len(_PLACES))


def bars(sums: pd.DataFrame, title: str) -> str:
    """Return rows by project and kind (``sums``: kinds by project), the largest projects first."""
    if sums.empty:
        return ""
    totals = sums.sum(axis="columns").sort_values(ascending=False, kind="stable")
    kinds = sorted(sums.columns, key=_place)
    largest, shown = int(totals.max()), []
    for name, line in sums.loc[totals.index].head(_BARS).iterrows():
        parts = "".join(
            f'<i style="width:{100 * int(line[kind]) / largest:.2f}%;background:{color(kind)}"></i>'
            for kind in kinds
            if line[kind]
        )
        label = ", ".join(f"{int(line[kind]):,} {kind}" for kind in kinds if line[kind])
        shown.append(
            f'<span class="name">{truncate(name or "no project", 60)}</span>'
            f'<span class="sk-bar" role="img" aria-label="{escape_html(label)}">{parts}</span>'
            f'<span class="sk-nowrap">{int(line.sum()):,}</span>'
        )
    key = "".join(f'<i style="background:{color(k)}"></i>{escape_html(k)}' for k in kinds)
    rest = len(sums) - _BARS
    more = f'<p class="sk-soft">… and {rest:,} more projects.</p>' if rest > 0 else ""
    return (
        f'<details id="sk-picture" open><summary>{escape_html(title)} '
        f'<span class="sk-key">{key}</span></summary>'
        f'<div class="sk-bars">{"".join(shown)}</div>{more}</details>'
    )


def pager(page: Page, more: str, extra: str = "") -> str:
    """Return the buttons under a table, and which of its pages this is."""
    targets = {"First": 0, "Previous": page.number - 1, "Next": page.number + 1,
               "Last": page.pages - 1}  # fmt: skip
    buttons = "".join(
        f'<button data-do="page" data-key="{target}" data-id="page-{word.lower()}" '
        f"{'disabled' if target == page.number or not 0 <= target < page.pages else ''}>"
        f"{word}</button>"
        for word, target in targets.items()
    )
    return (
        f'<div class="sk-pager" role="group" aria-label="Pages">{buttons}'
        f'<span class="sk-nowrap" data-rest tabindex="-1">page {page.number + 1:,} of '
        f"{page.pages:,}, {page.found:,} rows shown{more}</span>{extra}</div>"
    )


def project_of(value: str, label: str = "") -> str:
    """Return the ID of a project or an owner, shortened; whole where the mouse rests on it."""
    shown = f"{label}{truncate(value, 60)}" if value else f"no {label or 'project'}"
    return f'<span class="sk-id sk-short" title="{truncate(value, 60)}">{shown}</span>'


def static_summary(review: ReviewModel) -> str:
    """Return a summary for those who only read the notebook: no widget, script or style."""
    state, counts = review.state, review.state.counts
    words = (
        ("rows", "rows"), ("accept", "to accept"), ("reject", "to reject"),
        *((name, f"to {name}") for name in OWNER_ACTIONS if counts[name]),
        ("skipped", "left out"), ("blocked", "blocked"), ("already", "already so"),
        ("duplicate", "duplicates"),
    )  # fmt: skip
    numbers = ", ".join(f"{counts[name]:,} {word}" for name, word in words)
    return (
        f"<p><b>Review of {escape_html(review.path.name)}</b>: {numbers}; {state.send_summary} in "
        f"{counts['chunks']:,} requests.</p><p>Fingerprint "
        f"<code>{escape_html(state.plan.fingerprint)}</code></p>"
        f"<p><b>{escape_html(_STAGES[review.gate.stage])}</b></p>"
    )
