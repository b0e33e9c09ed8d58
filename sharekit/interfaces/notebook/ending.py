"""How a run stands, as HTML: outcomes in numbers and by project, their rows, what next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sharekit.core.html import visible
from sharekit.core.outcomes import FAILURES, OUTCOMES
from sharekit.interfaces.review_filters import Page
from sharekit.runs.run import Run

from .markup import bars, cut, note, pager, project_of

_HEADS: Final = ("Image", "Wanted", "In the cloud", "Code, reason", "Project", "Stands in")


def outcome(run: Run, shown: str = "") -> str:
    """How a run stands by its ledger: tiles that open their rows, bars, why rows failed."""
    bad = run.rows[run.rows["outcome"].isin(FAILURES)]
    reasons = bad["reason"].where(bad["reason"] != "", bad["code"]).value_counts().head(8)
    why = "".join(f"<li>{n:,} × {cut(reason)}</li>" for reason, n in reasons.items())
    both = run.plan.rows["project_id"].to_frame().join(run.rows["outcome"])
    sums = both.groupby(["project_id", "outcome"]).size().unstack(fill_value=0)
    sums = sums.rename(columns={"skipped": "skip"})
    title = "<h3>The run is finished</h3>" if run.finished else "<h3>Where the run stands</h3>"
    stopped = note(_stopped(run)) if run.stopped and not run.finished else ""
    return (
        title + stopped + _tiles(run.counts, shown) + bars(sums, "Outcomes by project")
        + (f"<h3>Why</h3><ul>{why}</ul>" if why else "") + what_next(run)
    )  # fmt: skip


def _stopped(run: Run) -> str:
    if run.stopped == "stopped":
        return "The run was cancelled; what is pending was not sent."
    return f"The run ended early: {run.stopped}"


def _tiles(counts: Mapping[str, int], shown: str) -> str:
    cells = "".join(
        f'<button class="sk-tile {OUTCOMES[name].tone}" data-do="outcome" '
        f'data-key="{visible(name)}" data-id="tile-{visible(name)}" '
        f'aria-pressed="{str(name == shown).lower()}" '
        f'title="Show these rows"><b>{number:,}</b><span>{visible(name)}</span></button>'
        for name, number in counts.items()
        if number
    )
    return f'<div class="sk-tiles" role="group" aria-label="Outcomes">{cells}</div>'


def what_next(run: Run) -> str:
    """What a person may do now."""
    steps = []
    if not run.finished:
        steps.append("Continue: it takes the run up where the ledger stands; nothing goes twice.")
    if run.counts["unknown"] and not run.finished:
        steps.append("Unknown rows were sent and their end was not seen; Continue looks at them.")
    if run.counts["failed"]:
        steps.append(
            "Failed rows: open them above, repair what their reasons name, plan them anew."
        )
    if run.counts["contradicted"]:
        steps.append(
            "Contradicted rows: the cloud said one thing and shows another; open them above."
        )
    if run.finished:
        steps.append("Write the reports, and give the auditor the ledger too.")
    lines = "".join(f"<li>{visible(step)}</li>" for step in steps)
    return f"<h3>What next</h3><ul>{lines}</ul>"


def rows(one: Page, outcome: str) -> str:
    """One page of the rows with an outcome."""
    lines = "".join(map(_line, one.rows.to_dict("records")))
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    close = (
        f'<button data-do="outcome" data-key="{visible(outcome)}" data-id="close">Close</button>'
    )
    return (
        f"<h3>{one.found:,} {visible(outcome)}</h3>"
        f'<div class="sk-scroll" tabindex="0" role="region" aria-label="Rows {visible(outcome)}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
        f"{pager(one, '', close)}"
    )


def _line(line: Mapping[Any, Any]) -> str:
    seen = [
        f"{word} {visible(line[name])}"
        for name, word in (("before", "was"), ("claimed", "job says"), ("observed", "shows"))
        if line[name]
    ]
    told = str(line["code"])
    # A reason of the cloud's own often begins with its code.
    code = f"<b>{visible(told)}</b> " if told and not line["reason"].startswith(told) else ""
    chunk = f"chunk {visible(line['last_chunk'])}" if line["last_chunk"] else ""
    place = ", ".join(filter(None, (line["file"], line["sheet"], f"row {line['row']}")))
    return (
        f'<tr><td>{cut(line["name"], 80) or "(no name)"}<span class="sk-id">'
        f'{cut(line["image_id"], 60)}</span></td><td class="sk-nowrap">{visible(line["status"])}'
        f"</td><td>{'<br>'.join(seen)}</td><td>{code}{cut(line['reason'], 300)}</td>"
        f'<td>{project_of(line["project_id"])}</td><td>{cut(place, 80)}<span class="sk-id">{chunk}'
        "</span></td></tr>"
    )
