"""The panel's head and its pages on requests, approval and the run, as trees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from sharekit.core.actions import OWNER_ACTIONS
from sharekit.core.columns import with_unit
from sharekit.core.outcomes import FAILURES, OUTCOMES
from sharekit.core.provenance import utc_now
from sharekit.interfaces.review_state import Gate, ReviewState
from sharekit.plans.plan import request_text
from sharekit.reports.wording import format_duration
from sharekit.runs.status import OPERATOR, Run
from sharekit.runs.submit import Progress

from .model import ReviewModel
from .tree import Tree, button, field, h, note, short, table, to_html

#: What becomes of rows -> the words and the tone of their tile.
_TILES: Final = {
    "accept": ("to accept", "good"), "reject": ("to reject", "bad"), "share": ("to share", "calm"),
    "unshare": ("to unshare", "bad"), "skipped": ("left out", ""), "blocked": ("blocked", "warn"),
    "already": ("already so", "calm"), "duplicate": ("duplicates", ""),
}  # fmt: skip
#: Calls of a chunk, reasons of failures, latest failures and kinds of changes that are shown.
_CALLS, _REASONS, _LATEST, _CHANGES = 20, 8, 12, 100
#: Warnings of whole sheets that are shown.
_OF_SHEETS: Final = 3
#: Projects whose bars are shown until somebody asks for all of them.
BARS: Final = 100
_BECOMES: Final = {
    "accepted": ("image", "accepted"), "rejected": ("image", "rejected"),
    "share": ("share", "offered by the owner"), "unshare": ("share", "taken back"),
}  # fmt: skip
#: Why rows are not sent, where no check is the reason.
_WHY: Final = {
    "already": "the cloud shows the wanted state already", "skipped": "a reviewer skipped it",
    "duplicate": "another row stands for the same share",
}  # fmt: skip
_STAGES: Final = {
    "deciding": "Nothing is sent: nobody has approved this plan. Open the notebook and approve it "
    "there, or run sharekit approve.",
    "approving": "Nothing is sent: not all who have to have approved this plan.",
    "approved": "Approved, and not sent yet.",
    "sending": "Sending has begun and is not finished; submitting again resumes it.",
    "finished": "The run is finished.",
}
_FIXED: Final = {
    "approved": "This very plan is approved, and its rows are fixed.",
    "sending": "This plan is approved, and being sent.",
    "finished": "This plan was approved and sent.",
}
_KEYS: Final = (
    ("↑ ↓ Page Home End", "go to another row"), ("Space", "select the row, or the group"),
    ("Shift + ↑ ↓", "select on the way"), ("Ctrl + A", "select all rows shown, or none"),
    ("→ ←", "open or fold a group; scroll"), ("Enter", "open the row in full"),
    ("a, r, s", "accept (share), reject (take back), skip the selected rows, or this one"),
    ("u", "undo"), ("Escape", "select none"), ("?", "show or hide this"),
)  # fmt: skip


def head(review: ReviewModel, tabs: Sequence[Tree], shown: int) -> list[Tree]:
    """Return title, tiles and tabs in two lines, then what is wrong, and so many projects' bars."""
    state, counts = review.state, review.state.counts
    tiles = [
        _tile(f"{counts[name]:,} {words}", "tile", name, tone)
        for name, (words, tone) in _TILES.items() if counts[name]
    ]  # fmt: skip
    sends = f"{state.send_summary} to send in {with_unit(counts['chunks'], 'chunk')}"
    found = state.plan.findings.frame[["row_key", "severity", "message"]]
    found = found[found["severity"] == "warning"]
    of_sheets, warnings = (
        found["row_key"] < 0,
        found.loc[found["row_key"] >= 0, "row_key"].nunique(),
    )
    return [
        h("div.sk-row.sk-strip", h("h2", review.path.name),
          _tile(with_unit(counts["rows"], "row"), "tile", "", ""), tiles,
          _tile(f"{warnings:,} with warnings", "tile", "warnings", "warn") if warnings else None),
        h("div.sk-row.sk-strip", tabs, h("span.sk-soft", sends),
          button(f"{with_unit(counts['projects'], 'project')} {'▾' if shown else '▸'}", "bars",
                 0 if shown else BARS, aria_expanded=str(bool(shown)).lower())),
        h("div", (note(f"{change} Plan anew into another ledger; follows= keeps what was decided.")
                  for change in review.changed_inputs)),
        h("div", (note(short(text)) for text in found.loc[of_sheets, "message"].head(_OF_SHEETS))),
        h("div", note("No cloud was asked, so nobody knows whether these images are there.")
          if state.plan.findings.snapshot is None else None),
        h("div", _project_bars(state, shown) if shown else None),
    ]  # fmt: skip


def _tile(text: str, do: str, key: str, tone: str, *, pressed: bool = False) -> Tree:
    return button(text, do, key, classes=f"sk-tile {tone}", title="Show these rows",
                  aria_pressed=str(pressed).lower())  # fmt: skip


def _project_bars(state: ReviewState, shown: int) -> list[Tree]:
    rows = state.by_project.reset_index(name="rows")
    kind = rows["wanted"].where(rows["state"] == "planned", rows["state"])
    sums = rows.assign(kind=kind.replace({"skipped": "skip", "": "blocked"})).pivot_table(
        index="project_id", columns="kind", values="rows", aggfunc="sum"
    )
    tones = {"accept": "good", "reject": "bad", "blocked": "warn", "already": "calm"}
    sums = sums.fillna(0).astype("int64")
    rest = f"Show all {len(sums):,} projects" if len(sums) > shown else ""
    return [bars(sums, state.project_labels, tones, shown),
            h("div", button(rest, "bars", len(sums)) if rest else None)]  # fmt: skip


def bars(
    sums: pd.DataFrame, labels: Mapping[str, str], tones: Mapping[str, str], shown: int
) -> Tree:
    """Return the rows of the largest projects by kind; a click on one shows its rows."""
    totals = sums.sum(axis="columns").sort_values(ascending=False, kind="stable")
    largest = max(int(totals.max()) if len(totals) else 0, 1)
    lines: list[Tree] = []
    for project, sizes in sums.loc[totals.index[:shown]].to_dict("index").items():
        parts = {str(name): int(size) for name, size in sizes.items() if size}
        told = ", ".join(f"{size:,} {name}" for name, size in parts.items())
        lines += [
            button(short(labels.get(str(project), str(project)) or "no project", 60), "project",
                   project, title=told),
            h("span.sk-bar", (h("i", width=f"{100 * size / largest:.2f}%",
                                classes=tones.get(name, "")) for name, size in parts.items()),
              role="img", aria_label=told),
            h("span", sum(parts.values())),
        ]  # fmt: skip
    return h("div.sk-bars", lines, tabindex="0", role="group", aria_label="Rows by project")


def details(facts: Mapping[str, Any]) -> Tree:
    """Return one row with all its original cells, its findings, and the request for it."""
    row, request = facts["facts"], facts["request"]
    place = ", ".join(filter(None, (row["file"], row["sheet"], f"row {row['row']}")))
    cells = {"stands in": place, **facts["input"], **{n: row[n] for n in (
        "image_id", "project_id", "owner", "reason", "by") if row.get(n)}}  # fmt: skip
    findings = [
        h("li", h("b", one["rule"]), f" {one['cell']}: {short(one['message'])}. ",
          short(one["suggestion"]))
        for one in facts["findings"]
    ]  # fmt: skip
    return h(
        "div.sk-dialog", h("div.sk-row", h("h3", short(row.get("name", "") or row["image_id"])),
                           button("Close", "open", "-1", focus=f"row {row['image_id']}")),
        h("div.sk-two",
          h("div", table(("In the input", "Value"),
                         ((short(name, 80), short(value, 1000)) for name, value in cells.items()),
                         "Cells of the row")),
          h("div", h("h3", "Findings"), h("ul", findings) if findings else h("p", "None."),
            h("h3", "What the plan sends"),
            _pre(_request(request, row["image_id"]), "Request") if request
            else h("p", "Nothing is sent for it."))),
        role="region", aria_label="Details of the row",
    )  # fmt: skip


def _request(request: Mapping[str, Any], image: str) -> str:
    body = dict(request["body"] or {})
    if len(body.get("images", ())) > 1:
        body["images"] = [image, f"… {len(body['images']) - 1} more in chunk {request['chunk']}"]
    text = f"{request['method']} {request['url']}"
    return f"{text}\n{json.dumps(body, indent=1, ensure_ascii=False)}" if body else text


def _pre(text: str, label: str, **attributes: Any) -> Tree:
    return h("pre", text, tabindex="0", aria_label=label, role="region", **attributes)


def keys() -> Tree:
    """Return what the keys do."""
    return h("div.sk-dialog", h("h3", "Keys, while the grid has the focus"),
             table(("Key", "What it does"), _KEYS, "Keys"))  # fmt: skip


def requests(state: ReviewState, number: int) -> list[Tree]:
    """Return the requests of one chunk, and the rows that are not sent."""
    lines = [
        (rows, disposition, short(why or _WHY.get(disposition, "")))
        for disposition, why, rows in state.not_sent().to_numpy().tolist()
    ]
    rest = [h("h3", "What will not be sent"), table(("Rows", "State", "Why"), lines, "Not sent")]
    return [
        h("h3", "Exactly what will be sent"),
        h("p", "Fingerprint of the plan: ", h("code", state.plan.fingerprint)),
        h("div", note("Nothing would be sent.") if state.plan.chunks.empty
          else _chunk(state, number)),
        h("div", rest if lines else h("p", "Every row of the inventory is sent.")),
    ]  # fmt: skip


def _chunk(state: ReviewState, number: int) -> list[Tree]:
    chunks, calls = state.plan.chunks, list(state.plan.requests(number))
    text = "\n\n".join(map(request_text, calls[:_CALLS]))
    if len(calls) > _CALLS:
        text += f"\n\n… and {len(calls) - _CALLS:,} more calls"
    unit, becomes = _BECOMES[str(chunks.loc[number, "status"])]
    images = with_unit(int(chunks["images"].to_numpy()[number - 1]), unit)
    steps = {"First": 1, "Previous": number - 1, "Next": number + 1, "Last": len(chunks)}
    return [
        h("div.sk-row",
          (button(word, "chunk", to, disabled=to == number or not 1 <= to <= len(chunks))
           for word, to in steps.items()),
          h("span", f"chunk {number:,} of {len(chunks):,}: {images} to be {becomes}, "
                    f"{with_unit(len(calls), 'call')}")),
        _pre(text, "Requests of this chunk"),
        h("div.sk-row", h("h3", "As curl"), button("Copy", "", copy="sk-curl"),
          h("span.sk-soft", "The token is a variable of your shell; no secret is in here.")),
        _pre(state.curl(number), "The same as curl", id="sk-curl"),
    ]  # fmt: skip


def changed(changes: pd.DataFrame, labels: Mapping[str, str]) -> Tree:
    """Return what is decided otherwise than the inventory says, by owner, by reason, by person."""
    if changes.empty:
        return h("p", "Nothing is decided otherwise than the inventory says.")
    named = changes.assign(
        owner=changes["owner"].map(lambda owner: labels.get(owner, owner) or "not known")
    )
    parts = {"owner": "Owner", "reason": "Reason", "by": "Person"}
    return h("div", h("h3", f"What was changed: {with_unit(int(changes['rows'].sum()), 'row')}"),
             h("div.sk-two", (_changed_by(named, *part) for part in parts.items())))  # fmt: skip


def _changed_by(changes: pd.DataFrame, name: str, title: str) -> Tree:
    kinds = changes.groupby([name, "asked", "decision"], as_index=False).agg({"rows": "sum"})
    kinds = kinds.sort_values("rows", ascending=False, kind="stable")
    lines = [
        (short(value) or "none", asked or "nothing", decision, rows)
        for value, asked, decision, rows in kinds.head(_CHANGES).to_numpy().tolist()
    ]
    rest = f"… and {len(kinds) - _CHANGES:,} more kinds." if len(kinds) > _CHANGES else None
    heads = (title, "Inventory says", "Decided", "Rows")
    return h("div", table(heads, lines, f"Changes by {title.lower()}"), h("p", rest))


def approve(state: ReviewState, gate: Gate, name: str, number: int) -> list[Tree]:
    """Return whether the plan can be approved, or is, and the form for it."""
    missing = gate.stage in ("deciding", "approving") and bool(state.counts["images"])
    fingerprint = h("p", "Fingerprint ", h("code", state.plan.fingerprint))
    revoke = button("Take the approval back", "revoke")
    if gate.stage in _FIXED:
        back = revoke if gate.stage == "approved" else None
        return [h("h3", "Approved"), note(_FIXED[gate.stage], "good"), _approvals(gate),
                fingerprint, h("div.sk-row", back)]  # fmt: skip
    if not missing:
        return [note("The plan sends nothing, so there is nothing to approve.")]
    said = [
        f"{gate.planner} made this plan, so somebody else has to approve it." if gate.planner
        else "",
        f"{gate.demand.reviewers} reviewers have to approve it, each by name."
        if gate.demand.reviewers > 1 else "",
        "Only signed approvals count: run sharekit approve --sign KEY in a shell, then turn to "
        "this page again." if gate.demand.signers else "",
        "It is not approved by all who have to, so nothing is sent yet."
        if gate.stage == "approving" else "",
    ]  # fmt: skip
    counts = state.counts
    sent = [f"{counts[n]:,} {_TILES[n][0]}" for n in ("accept", "reject", *OWNER_ACTIONS)
            if counts.get(n)]  # fmt: skip
    return [
        h("h3", "Approve exactly this plan"), h("div", (note(s, "calm") for s in said if s)),
        _approvals(gate),
        h("p", f"{state.send_summary} in {with_unit(counts['calls'], 'call')}: ", ", ".join(sent)),
        fingerprint,
        h("p", "To approve, write ", h("b", state.phrase), " as the confirmation."),
        h("div.sk-row", field("Your name", "name", name, id=f"name-{number}"),
          field("Confirmation", "phrase", id=f"phrase-{number}", enter="approve"),
          field("Note (optional)", "note", id=f"note-{number}"),
          button("Approve", "approve", classes="sk-primary"),
          revoke if gate.stage == "approving" else None),
    ]  # fmt: skip


def _approvals(gate: Gate) -> Tree:
    lines = []
    for given in gate.approvals:
        text = f"{short(given.reviewer)}, {given.at[:19].replace('T', ' ')} UTC"
        text += ", signed" if given.signature else ""
        if given.standing:
            most = with_unit(given.standing["max_images"], "image")
            text += f", ahead: through {given.standing['until']} (UTC), at most {most}"
            text += "; that is over" if str(given.standing["until"]) < utc_now()[:10] else ""
        lines.append(h("li", text + (f": “{short(given.note)}”" if given.note else "")))
    return h("ul", lines)


def progress(now: Progress | None, state: str, error: str) -> list[Tree]:
    """Return how far a run is, and its latest failures."""
    said = [note(error, "bad")] if error else []
    if now is None:
        return said or [h("p", f"{state} …")]
    total, failed = max(now.total, 1), min(now.failed, now.done)
    phase = {
        "paused": "Paused. Jobs that run in the cloud are followed; nothing new is sent.",
        "stopping": "Stopping: nothing more is sent, and the cloud is read back.",
    }.get(state, now.phase.capitalize())
    left = f", about {format_duration(round(now.eta))} left" if now.eta is not None else ""
    lines = [
        (f.chunk, f.code, short(f.reason), len(f.images), f.images[0])
        for f in now.failures[-_LATEST:][::-1]
    ]
    heads = ("Chunk", "Code", "Reason", "Images", "First image")
    return [
        h("div.sk-bar.far",
          h("i.good", width=f"{100 * (now.done - failed) / total:.2f}%"),
          h("i.bad", width=f"{100 * failed / total:.2f}%"), role="progressbar",
          aria_label="Images done", aria_valuemin="0", aria_valuenow=str(now.done),
          aria_valuemax=str(total)),
        h("p", h("b", phase)),
        h("p", f"{now.done:,} of {now.total:,} images done, {now.failed:,} failed, "
               f"{with_unit(now.in_flight, 'request')} in flight{left}"),
        *(h("p", text[:1].upper() + text[1:]) for text in (now.throttled_because, now.waiting_for)
          if text),
        *said, table(heads, lines, "Latest failures") if lines else h("div"),
    ]  # fmt: skip


def outcomes(run: Run, opened: str) -> list[Tree]:
    """Return how a run stands: tiles that show their rows, reasons of failures, what next."""
    failed = run.rows[run.rows["outcome"].isin(FAILURES)]
    reasons = failed["reason"].where(failed["reason"] != "", failed["code"]).value_counts()
    stopped = "" if run.finished or not run.stopped else (
        "The run was cancelled; what is pending was not sent." if run.stopped_by == OPERATOR
        else f"The run ended early: {run.stopped}")  # fmt: skip
    next_steps = {
        "Continue: it resumes the run where the ledger stands; nothing is sent twice.":
            not run.finished,
        "Unknown rows were sent and got no answer; Continue reads them back.":
            not run.finished and run.counts.get("unknown"),
        "Failed rows: click on them above, repair what their reasons name, plan them anew.":
            run.counts.get("failed"),
        "Contradicted rows: the cloud said one thing and shows another; click on them above.":
            run.counts.get("contradicted"),
        "Write the reports, and give the auditor the ledger too.": run.finished,
    }  # fmt: skip
    return [
        h("h3", "The run is finished" if run.finished else "Where the run stands"),
        h("div", note(stopped) if stopped else None),
        h("div.sk-row", (_tile(f"{count:,} {name}", "outcome", name, OUTCOMES[name].tone,
                               pressed=name == opened)
                         for name, count in run.counts.items() if count)),
        h("ul", (h("li", f"{count:,} × {short(reason)}")
                 for reason, count in reasons.head(_REASONS).items())),
        h("ul", (h("li", text) for text, shown in next_steps.items() if shown)),
    ]  # fmt: skip


def static_summary(review: ReviewModel) -> str:
    """Return a summary for those who only read the notebook: no widget, script or style."""
    state, counts = review.state, review.state.counts
    parts = [f"{counts[name]:,} {words}" for name, (words, _) in _TILES.items() if counts[name]]
    summary = f"{state.send_summary} in {with_unit(counts['chunks'], 'request')}"
    trees: Sequence[Tree] = [
        h("p", h("b", f"Review of {review.path.name}"), f": {with_unit(counts['rows'], 'row')}, ",
          ", ".join(parts), f"; {summary}."),
        h("p", "Fingerprint ", h("code", state.plan.fingerprint)),
        h("p", h("b", _STAGES[review.gate.stage])),
        h("p", "Where no panel shows below, this place loads no widgets: review.decide(…), "
               "review.approve(…) and review.submit() do the same."),
    ]  # fmt: skip
    return "".join(map(to_html, trees))
