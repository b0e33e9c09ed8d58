"""The panel's pages as HTML: everything that comes from data is escaped, nothing is decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import pandas as pd

from ..display import visible
from ..execution import Progress
from ..planning import Plan
from ..run import Run
from ..session import Review

#: Characters of a value that are shown; a row opened in full shows more.
_SHORT = 120
#: Projects in the picture; the rest is one line.
_BARS: Final = 8
#: Calls of one chunk that are shown.
_SENT: Final = 20
#: How a bar's parts follow each other.
_ORDER: Final = (
    "accept", "confirmed", "already", "reject", "claimed", "failed", "contradicted", "blocked",
    "unknown", "pending", "skip", "duplicate",
)  # fmt: skip
#: Why rows are not sent, where no check says it.
_WHY: Final = {
    "already": "the cloud shows the wanted state already",
    "skipped": "the reviewer's word",
    "duplicate": "another row carries the same share",
}


def cut(value: object, limit: int = _SHORT) -> str:
    """A value as text that is safe in HTML, shortened where it is long, and says by how much.

    >>> cut("<b>" + "x" * 300, 10)
    '&lt;b&gt;xxxxxxx … (303 characters)'
    """
    text = str(value)
    rest = f" … ({len(text):,} characters)" if len(text) > limit else ""
    return visible(text[:limit]) + rest


def many(number: int, what: str) -> str:
    """A number with its noun.

    >>> many(1, "call"), many(1200, "call")
    ('1 call', '1,200 calls')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def tiles(numbers: Sequence[tuple[str, int, str]]) -> str:
    """Numbers with names, each with a tone: good, bad, warn, calm or none."""
    cells = "".join(
        f'<div class="sk-tile {tone}"><b>{number:,}</b><span>{visible(name)}</span></div>'
        for name, number, tone in numbers
    )
    return f'<div class="sk-tiles">{cells}</div>'


def note(text: str, tone: str = "warn") -> str:
    """One sentence that stands out."""
    return f'<div class="sk-warning {tone}">{visible(text)}</div>'


def head(review: Review, *, full: bool) -> str:
    """Title, warnings, tiles, and (``full``) the picture by project."""
    counts = review.counts
    numbers = [
        ("rows", counts["rows"], ""), ("to accept", counts["accept"], "good"),
        ("to reject", counts["reject"], "bad"), ("left out", counts["skipped"], ""),
        ("blocked", counts["blocked"], "warn"), ("already so", counts["already"], "calm"),
        ("duplicates", counts["duplicate"], ""), ("projects", counts["projects"], ""),
        ("images to send", counts["images"], "calm"), ("chunks", counts["chunks"], ""),
        ("calls", counts["calls"], ""),
    ]  # fmt: skip
    title = f"<h2>Review of {visible(review.path.name)}</h2>"
    picture = by_project(review.by_project) if full else ""
    return title + warnings(review) + tiles(numbers) + picture


def warnings(review: Review) -> str:
    """What a reviewer must not miss, first."""
    lines = []
    if review.read_only:
        lines.append(note(review.read_only, "bad"))
    if review.plan.findings.snapshot is None:
        lines.append(note("No cloud was asked, so nobody knows whether these images are there."))
    if blocked := review.counts["blocked"]:
        lines.append(note(f"{blocked:,} rows are blocked by a check and would not be sent."))
    found = review.plan.findings.count("warning")
    if found:
        lines.append(note(f"{found:,} warnings: filter by finding to see them.", "calm"))
    return "".join(lines)


def by_project(sizes: pd.Series) -> str:
    """Rows by project and what becomes of them, as bars."""
    lines = sizes.reset_index(name="rows")
    lines["what"] = lines["wanted"].where(lines["state"] == "planned", lines["state"])
    lines["what"] = lines["what"].replace({"skipped": "skip", "": "blocked"})
    sums = lines.pivot_table(index="project_id", columns="what", values="rows", aggfunc="sum")
    sums = sums.fillna(0).astype("int64")
    return _bars(sums, "Rows by project")


def _place(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _bars(sums: pd.DataFrame, title: str) -> str:
    if sums.empty:
        return ""
    totals = sums.sum(axis="columns").sort_values(ascending=False, kind="stable")
    kinds, most = sorted(sums.columns, key=_place), int(totals.max())
    shown = []
    for name, line in sums.loc[totals.index].head(_BARS).iterrows():
        total = int(line.sum())
        parts = "".join(
            f'<i class="sk-{visible(kind)}" style="width:{100 * int(line[kind]) / most:.2f}%"></i>'
            for kind in kinds
            if line[kind]
        )
        told = ", ".join(f"{int(line[kind]):,} {kind}" for kind in kinds if line[kind])
        shown.append(
            f'<span class="name">{cut(name or "no project", 60)}</span>'
            f'<span class="sk-bar" role="img" aria-label="{visible(told)}">{parts}</span>'
            f'<span class="sk-nowrap">{total:,}</span>'
        )
    key = "".join(f'<i class="sk-{visible(k)}"></i>{visible(k)}' for k in kinds)
    rest = len(sums) - _BARS
    more = f'<p class="sk-soft">… and {rest:,} more projects.</p>' if rest > 0 else ""
    return (
        f'<details id="sk-picture" open><summary>{visible(title)} '
        f'<span class="sk-key">{key}</span></summary>'
        f'<div class="sk-bars">{"".join(shown)}</div>{more}</details>'
    )


def visible_lines(text: str) -> str:
    """As :func:`sharekit.display.visible`, with line breaks kept."""
    return "\n".join(map(visible, text.split("\n")))


def requests(review: Review, chunk: int) -> str:
    """What will be sent, chunk by chunk, and what will not, and why."""
    plan, rest = review.plan, review.not_sent()
    heading = (
        "<h3>Exactly what will be sent</h3><p>Fingerprint of the plan: "
        f"<code>{visible(plan.fingerprint)}</code></p>"
    )
    return heading + _chunk(review, chunk) + _rest(rest)


def _chunk(review: Review, chunk: int) -> str:
    chunks = review.plan.chunks
    if chunks.empty:
        return note("Nothing would be sent.")
    facts, made = chunks.loc[chunk], review.requests(chunk)
    text = "\n\n".join(
        f"{r['method']} {r['url']}\n{json.dumps(r['body'], indent=2)}" for r in made[:_SENT]
    )
    more = f"\n\n… and {len(made) - _SENT:,} more calls" if len(made) > _SENT else ""
    last, images = len(chunks), int(chunks["images"].to_numpy()[chunk - 1])

    def button(word: str, to: int) -> str:
        off = "" if 1 <= to <= last and to != chunk else "disabled"
        return (
            f'<button data-do="chunk" data-key="{to}" data-id="chunk-{word}" {off}>{word}</button>'
        )

    return (
        '<div class="sk-pager" role="group" aria-label="Chunks">'
        f"{button('First', 1)}{button('Previous', chunk - 1)}{button('Next', chunk + 1)}"
        f"{button('Last', last)}<span data-rest tabindex='-1'>chunk {chunk:,} of {last:,}: "
        f"{images:,} images to be {visible(facts['status'])}, {many(len(made), 'call')}"
        f'</span></div><pre tabindex="0" aria-label="Requests of this chunk">'
        f"{visible_lines(text)}{more}</pre>"
        '<details id="sk-curl"><summary>As curl</summary>'
        "<p>The token is a variable of your shell; no secret is in here.</p>"
        f'<pre id="sk-curl-text" tabindex="0" aria-label="The same as curl">'
        f"{visible_lines(review.curl(chunk))}</pre>"
        '<button data-copy="sk-curl-text" data-id="copy">Copy</button></details>'
    )


def _rest(rest: pd.DataFrame) -> str:
    if rest.empty:
        return "<p>Every row of the inventory is sent.</p>"
    lines = "".join(
        f"<tr><td class='num'>{int(rows):,}</td><td>{visible(what)}</td>"
        f"<td>{cut(why or _WHY.get(what, ''))}</td></tr>"
        for what, why, rows in rest.to_numpy().tolist()
    )
    return (
        "<h3>What will not be sent</h3><div class='sk-scroll' tabindex='0' role='region' "
        "aria-label='Rows that are not sent'><table><thead><tr><th scope='col'>Rows</th>"
        f"<th scope='col'>State</th><th scope='col'>Why</th></tr></thead><tbody>{lines}</tbody>"
        "</table></div>"
    )


def progress(now: Progress | None, state: str, error: str) -> str:
    """Where the run is, in words, with its latest failures."""
    if now is None:
        return note(error, "bad") if error else f"<p>{visible(state)} …</p>"
    left = "" if now.left is None else f", about {now.left:,.0f} s left"
    words = {"paused": "Paused. Jobs that run in the cloud are followed; nothing new is sent.",
             "stopping": "Stopping: what is under way is brought to its end."}  # fmt: skip
    told = (
        f"<p><b>{visible(words.get(state, now.phase))}</b></p><p>{now.done:,} of {now.total:,} "
        f"images done, {now.failed:,} failed, {many(now.in_flight, 'request')} in flight{left}</p>"
    )
    return told + (note(error, "bad") if error else "") + failures(now)


def failures(now: Progress) -> str:
    """The latest failures, newest first."""
    if not now.failures:
        return ""
    lines = "".join(
        f"<tr><td>{visible(f.chunk)}</td><td>{visible(f.code)}</td><td>{cut(f.reason)}</td>"
        f'<td class="num">{len(f.images):,}</td><td><span class="sk-id">'
        f"{visible(f.images[0])}</span></td></tr>"
        for f in reversed(now.failures[-12:])
    )
    heads = "".join(
        f'<th scope="col">{h}</th>' for h in ("Chunk", "Code", "Reason", "Images", "First image")
    )
    return (
        '<h3>Latest failures</h3><div class="sk-scroll" tabindex="0" role="region" '
        f'aria-label="Latest failures"><table><thead><tr>{heads}</tr></thead><tbody>{lines}'
        "</tbody></table></div>"
    )


def outcome(run: Run) -> str:
    """How a run stands by its ledger: tiles, bars, why rows failed."""
    tone = {"confirmed": "good", "already": "calm"}
    tone |= dict.fromkeys(("failed", "contradicted"), "bad")
    tone |= dict.fromkeys(("blocked", "unknown", "pending", "claimed"), "warn")
    numbers = [(name, n, tone.get(name, "")) for name, n in run.counts.items() if n]
    bad = run.rows[run.rows["outcome"].isin(["failed", "contradicted"])]
    reasons = bad["reason"].where(bad["reason"] != "", bad["code"]).value_counts().head(8)
    why = "".join(f"<li>{n:,} × {cut(reason)}</li>" for reason, n in reasons.items())
    both = run.plan.rows["project_id"].to_frame().join(run.rows["outcome"])
    sums = both.groupby(["project_id", "outcome"]).size().unstack(fill_value=0)
    sums = sums.rename(columns={"skipped": "skip"})
    title = "<h3>The run is finished</h3>" if run.finished else "<h3>Where the run stands</h3>"
    return (
        title + tiles(numbers) + (note(run.stopped) if run.stopped and not run.finished else "")
        + _bars(sums, "Outcomes by project") + (f"<h3>Why</h3><ul>{why}</ul>" if why else "")
        + what_next(run)
    )  # fmt: skip


def what_next(run: Run) -> str:
    """What a person may do now."""
    steps = []
    if not run.finished:
        steps.append("Continue: it takes the run up where the ledger stands; nothing goes twice.")
    if run.counts["failed"]:
        steps.append("Failed rows: see the reason, repair the inventory, and plan only those anew.")
    if run.counts["contradicted"]:
        steps.append("Contradicted rows: the cloud said one thing and shows another; look at them.")
    if run.finished:
        steps.append("Write the reports, and give the auditor the ledger too.")
    lines = "".join(f"<li>{visible(step)}</li>" for step in steps)
    return f"<h3>What next</h3><ul>{lines}</ul>"


def still(review: Review) -> str:
    """A summary for those who only read the notebook: no widget, no script, no style of its own."""
    plan: Plan = review.plan
    counts = review.counts
    told = ", ".join(
        f"{counts[name]:,} {word}"
        for name, word in (
            ("rows", "rows"), ("accept", "to accept"), ("reject", "to reject"),
            ("skipped", "left out"), ("blocked", "blocked"), ("already", "already so"),
            ("duplicate", "duplicates"),
        )
    )  # fmt: skip
    gate = {
        "deciding": "Nothing is sent: nobody has approved this plan. Open the notebook and approve "
        "it there, or run sharekit approve.",
        "approved": "Approved, and not sent yet.",
        "sending": "Sending has begun and is not at its end; submitting again takes it up.",
        "finished": "The run is finished.",
    }[review.stage]
    return (
        f"<p><b>Review of {visible(review.path.name)}</b>: {told}; {counts['images']:,} images in "
        f"{counts['chunks']:,} requests.</p><p>Fingerprint <code>{visible(plan.fingerprint)}</code>"
        f"</p><p><b>{visible(gate)}</b></p>"
    )
