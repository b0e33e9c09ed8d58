"""The panel's pages as HTML: everything that comes from data is escaped, nothing is decided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from sharekit.core.actions import OWNER_ACTIONS
from sharekit.core.html import visible
from sharekit.core.outcomes import OUTCOMES
from sharekit.interfaces.review import Review
from sharekit.interfaces.review_filters import Page
from sharekit.plans.plan import Plan
from sharekit.runs.submit import Progress

#: Characters of a value that are shown; a row opened in full shows more.
_SHORT = 120
#: Projects in the picture; the rest is one line.
_BARS: Final = 8
#: Calls of one chunk that are shown.
_SENT: Final = 20
#: Decision -> the outcome whose colour and place among the parts of a bar it has.
_LIKE: Final = {
    "accept": "confirmed", "share": "confirmed", "reject": "failed",
    "unshare": "failed", "skip": "skipped",
}  # fmt: skip
_PLACES: Final = {name: number for number, name in enumerate(OUTCOMES)}
#: What becomes of the images of a chunk.
_IMAGES: Final = {
    "accepted": ("image", "accepted"), "rejected": ("image", "rejected"),
    "share": ("share", "offered by the owner"), "unshare": ("share", "taken back"),
}  # fmt: skip
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
        ("to reject", counts["reject"], "bad"),
        *((f"to {word}", counts[word], "calm") for word in OWNER_ACTIONS if counts[word]),
        ("left out", counts["skipped"], ""),
        ("blocked", counts["blocked"], "warn"), ("already so", counts["already"], "calm"),
        ("duplicates", counts["duplicate"], ""), ("projects", counts["projects"], ""),
        (f"{review.to_send.split()[-1]} to send", counts["images"], "calm"),
        ("chunks", counts["chunks"], ""), ("calls", counts["calls"], ""),
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
        lines.append(note(f"{many(blocked, 'row')} blocked by a check, which would not be sent."))
    found = review.plan.findings.count("warning")
    if found:
        lines.append(note(f"{many(found, 'warning')}: filter by finding to look closer.", "calm"))
    return "".join(lines)


def by_project(sizes: pd.Series) -> str:
    """Rows by project and what becomes of them, as bars."""
    lines = sizes.reset_index(name="rows")
    lines["what"] = lines["wanted"].where(lines["state"] == "planned", lines["state"])
    lines["what"] = lines["what"].replace({"skipped": "skip", "": "blocked"})
    sums = lines.pivot_table(index="project_id", columns="what", values="rows", aggfunc="sum")
    sums = sums.fillna(0).astype("int64")
    return bars(sums, "Rows by project")


def _place(kind: str) -> int:
    return _PLACES.get(_LIKE.get(kind, kind), len(_PLACES))


def _color(kind: str) -> str:
    outcome = OUTCOMES.get(_LIKE.get(kind, kind))
    return outcome.color if outcome else "var(--sk-soft)"


def bars(sums: pd.DataFrame, title: str) -> str:
    """Rows by project and kind (``sums``: kinds by project), the largest projects first."""
    if sums.empty:
        return ""
    totals = sums.sum(axis="columns").sort_values(ascending=False, kind="stable")
    kinds, most = sorted(sums.columns, key=_place), int(totals.max())
    shown = []
    for name, line in sums.loc[totals.index].head(_BARS).iterrows():
        total = int(line.sum())
        parts = "".join(
            f'<i style="width:{100 * int(line[kind]) / most:.2f}%;background:{_color(kind)}"></i>'
            for kind in kinds
            if line[kind]
        )
        told = ", ".join(f"{int(line[kind]):,} {kind}" for kind in kinds if line[kind])
        shown.append(
            f'<span class="name">{cut(name or "no project", 60)}</span>'
            f'<span class="sk-bar" role="img" aria-label="{visible(told)}">{parts}</span>'
            f'<span class="sk-nowrap">{total:,}</span>'
        )
    key = "".join(f'<i style="background:{_color(k)}"></i>{visible(k)}' for k in kinds)
    rest = len(sums) - _BARS
    more = f'<p class="sk-soft">… and {rest:,} more projects.</p>' if rest > 0 else ""
    return (
        f'<details id="sk-picture" open><summary>{visible(title)} '
        f'<span class="sk-key">{key}</span></summary>'
        f'<div class="sk-bars">{"".join(shown)}</div>{more}</details>'
    )


def visible_lines(text: str) -> str:
    """As :func:`sharekit.core.html.visible`, with line breaks kept."""
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
    text = "\n\n".join(f"{r['method']} {r['url']}{_body(r)}" for r in made[:_SENT])
    more = f"\n\n… and {len(made) - _SENT:,} more calls" if len(made) > _SENT else ""
    what, becomes = _IMAGES[str(facts["status"])]
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
        f"{many(images, what)} to be {becomes}, "
        f"{many(len(made), 'call')}"
        f'</span></div><pre tabindex="0" aria-label="Requests of this chunk">'
        f"{visible_lines(text)}{more}</pre>"
        '<details id="sk-curl"><summary>As curl</summary>'
        "<p>The token is a variable of your shell; no secret is in here.</p>"
        f'<pre id="sk-curl-text" tabindex="0" aria-label="The same as curl">'
        f"{visible_lines(review.curl(chunk))}</pre>"
        '<button data-copy="sk-curl-text" data-id="copy">Copy</button></details>'
    )


def _body(request: Mapping[str, Any]) -> str:
    return f"\n{json.dumps(request['body'], indent=2)}" if request["body"] else ""


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
        "aria-label='Rows that are not sent'><table><thead><tr>"
        f"<th scope='col' class='num'>Rows</th><th scope='col'>State</th><th scope='col'>Why</th>"
        f"</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def pager(one: Page, more: str, extra: str = "") -> str:
    """The buttons under a table, and where in it this page is."""

    def button(word: str, to: int, name: str) -> str:
        off = "disabled" if to == one.number or not 0 <= to < one.pages else ""
        return f'<button data-do="page" data-key="{to}" data-id="page-{name}" {off}>{word}</button>'

    buttons = (
        button("First", 0, "first") + button("Previous", one.number - 1, "previous")
        + button("Next", one.number + 1, "next") + button("Last", one.pages - 1, "last")
    )  # fmt: skip
    return (
        f'<div class="sk-pager" role="group" aria-label="Pages">{buttons}'
        f'<span class="sk-nowrap" data-rest tabindex="-1">page {one.number + 1:,} of '
        f"{one.pages:,}, {one.found:,} rows shown{more}</span>{extra}</div>"
    )


def project_of(value: str, label: str = "") -> str:
    """The ID of a project or an owner, shortened; whole where the mouse rests on it."""
    told = f"{label}{cut(value, 60)}" if value else f"no {label or 'project'}"
    return f'<span class="sk-id sk-short" title="{cut(value, 60)}">{told}</span>'


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(26), duration(400), duration(7300)
    ('26 s', '6 min 40 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def progress(now: Progress | None, state: str, error: str) -> str:
    """Where the run is: a bar, in words, with its latest failures."""
    if now is None:
        return note(error, "bad") if error else f"<p>{visible(state)} …</p>"
    left = "" if now.left is None else f", about {duration(now.left)} left"
    words = {"paused": "Paused. Jobs that run in the cloud are followed; nothing new is sent.",
             "stopping": "Stopping: nothing more is sent, and the cloud is read back."}  # fmt: skip
    told = (
        f"{_bar(now)}<p><b>{visible(words.get(state, now.phase.capitalize()))}</b></p>"
        f"<p>{now.done:,} of {now.total:,} images done, {now.failed:,} failed, "
        f"{many(now.in_flight, 'request')} in flight{left}</p>"
    )
    told += f"<p>{visible(now.slowed.capitalize())}</p>" if now.slowed else ""
    return told + (note(error, "bad") if error else "") + failures(now)


def _bar(now: Progress) -> str:
    total, bad = max(now.total, 1), min(now.failed, now.done)
    parts = "".join(
        f'<i style="width:{100 * number / total:.2f}%;background:{_color(kind)}"></i>'
        for kind, number in (("confirmed", now.done - bad), ("failed", bad))
    )
    return (
        f'<div class="sk-bar sk-far" role="progressbar" aria-label="Images done" aria-valuemin="0" '
        f'aria-valuenow="{now.done}" aria-valuemax="{total}">{parts}</div>'
    )


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
    number = ' class="num"'
    heads = "".join(
        f'<th scope="col"{number if h == "Images" else ""}>{h}</th>'
        for h in ("Chunk", "Code", "Reason", "Images", "First image")
    )
    return (
        '<h3>Latest failures</h3><div class="sk-scroll" tabindex="0" role="region" '
        f'aria-label="Latest failures"><table><thead><tr>{heads}</tr></thead><tbody>{lines}'
        "</tbody></table></div>"
    )


def still(review: Review) -> str:
    """A summary for those who only read the notebook: no widget, no script, no style of its own."""
    plan: Plan = review.plan
    counts = review.counts
    told = ", ".join(
        f"{counts[name]:,} {word}"
        for name, word in (
            ("rows", "rows"), ("accept", "to accept"), ("reject", "to reject"),
            *((name, f"to {name}") for name in OWNER_ACTIONS if counts[name]),
            ("skipped", "left out"), ("blocked", "blocked"), ("already", "already so"),
            ("duplicate", "duplicates"),
        )
    )  # fmt: skip
    gate = {
        "deciding": "Nothing is sent: nobody has approved this plan. Open the notebook and approve "
        "it there, or run sharekit approve.",
        "approving": "Nothing is sent: not everybody has approved this plan who has to.",
        "approved": "Approved, and not sent yet.",
        "sending": "Sending has begun and is not at its end; submitting again takes it up.",
        "finished": "The run is finished.",
    }[review.stage]
    return (
        f"<p><b>Review of {visible(review.path.name)}</b>: {told}; {review.to_send} in "
        f"{counts['chunks']:,} requests.</p><p>Fingerprint <code>{visible(plan.fingerprint)}</code>"
        f"</p><p><b>{visible(gate)}</b></p>"
    )
