"""Make the report document of a run from its record: sentences, tables, charts and links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd

from sharekit.checks.names import project_labels
from sharekit.core.columns import STR, with_unit
from sharekit.core.outcomes import FINAL_OK, OUTCOMES
from sharekit.core.rules import SEVERITIES

from .document import (
    LINES,
    ROWS,
    Chart,
    Column,
    Curve,
    Line,
    Notes,
    ReportDocument,
    Section,
    Table,
    Target,
)
from .outcome_groups import OutcomeGroups, describe_group, group_outcomes
from .run_record import Record
from .wording import (
    PROJECT_NAME_COLUMNS,
    STATES,
    as_text,
    first_lines,
    format_time,
    glossary,
    pairs,
    records,
    utc,
)

TITLE: Final = "Image share audit"
#: Lines of a sheet that lead to their rows. Excel takes 65,530 links a sheet.
_LINKS: Final = 20_000
#: Kinds of changed decisions on Who and where.
_KINDS: Final = 20
_ADDRESS: Final = ("file", "sheet", "row")

#: Column of a report -> what it holds.
COLUMNS: Final = {
    "file": "the spreadsheet the row was read from",
    "sheet": "the sheet in that file; empty if the format has no sheets",
    "row": "the row's number in that sheet, as Excel shows it; the first row is 1; of a DataFrame "
    "its index label",
    "image_id": "the ID of the shared image, as it was sent",
    "project_id": "the ID of the project that the image is shared with",
    "status": "the decision after review: accepted or rejected; where the owner acts: share or "
    "unshare",
    "vault_id": "the ID of the backup vault, which accepting a full-ECS image needs",
    "outcome": "what became of the row, in one word",
    "code": "the cloud's error code, the HTTP status (such as HTTP404), or the rule that blocked "
    "the row",
    "reason": "the reason, as the cloud, the check, or the reviewer who skipped the row gave it",
    "before": "the share's state before anything was sent: pending, accepted, rejected or absent",
    "claimed": "the result that the cloud's job reported for this image: success or failed",
    "observed": "the share's state that was read back after the requests",
    "chunk": "the number of the request that included the row; 7.1 is the first part of chunk 7",
    "job_id": "the ID of the cloud's job for that request",
    "request_id": "the cloud's ID of that request, which the provider's support asks for",
    "carried_by": "for a duplicate: the row that was sent instead, with the same image and project",
    "decided_by": "who decided on the row in a review; nothing where the inventory alone did",
    "decision_reason": "the reason of that decision, or the policy that made it",
    "name": "the name of the image",
    "name_source": "what told that name: cloud, or else inventory (the input)",
    "owner": "the ID of the project that owns the image",
    "owner_source": "what told the owner: cloud, or else inventory (the input)",
    **PROJECT_NAME_COLUMNS,
    "input.…": "every original column, unchanged, under its own header",
}
#: Column of Chunks -> what it holds.
CHUNK_COLUMNS: Final = {
    "chunk": "the number of the request; 7.1 is the first part of chunk 7, which was split",
    "project_id": "the ID of the project that sent the request: the member, or the images' owner",
    "images": "the number of shares in the request: images, or where an owner acts images × "
    "projects",
    "api": "batch (many images in one call) or native (one call for each image)",
    "attempts": "the number of times it was sent; a temporary fault is retried",
    "state": "done, refused, split, unknown (no response), running, sent or planned (not sent yet)",
    "http, code, reason": "HTTP status, error code and text of the cloud's last response",
    "job_id, request_id": "the cloud's IDs of the job and of the request, for the provider's "
    "support",
    "first_sent, ended": "the times (UTC) of the first attempt and of the last response",
    "project_name, project_name_source": "the name of that project, and what told it; see Rows",
}
#: Word -> what it stands for.
TERMS: Final = {
    "chunk": "one request: images of one project, decision and vault that are sent together; of an "
    "owner images that go to the same projects",
    "job": "the cloud's task for a request, on which it works after it has responded",
    "fingerprint": "SHA-256 of the planned requests; an approval holds for one fingerprint only",
    "ledger": "the file of the run: all its events, each with the SHA-256 of the event before it",
    "head": "SHA-256 of the ledger's last event, which covers all events before it too",
    "full-ECS image": "an image of a server with all of its disks",
}
GLOSSARY: Final = {
    "Outcomes: what became of a row": {name: one.meaning for name, one in OUTCOMES.items()},
    "Decisions, and the states of a share": STATES,
    "Columns of Rows, outcomes.csv and outcomes.json": COLUMNS,
    "Columns of Chunks: requests and jobs": CHUNK_COLUMNS,
    "Terms": TERMS,
}
#: Column of a report of several runs -> what it holds.
RUN_COLUMNS: Final = {
    "run": "the number of the last run that changed the row's outcome",
    "history": "the outcome of the row in each run, in order",
    "chunk": "the numbers of the run and the chunk: 2:7 is chunk 7 of run 2",
}
#: Column of a report of a fleet -> what it holds.
PART_COLUMNS: Final = {
    "part": "the part of the fleet that the row is in",
    "chunk": "the name of the part and the number of the chunk: NAME:7 is chunk 7 of that part",
}
#: Sheet of ``audit.xlsx`` after the summary -> what it is for, in their order.
SHEETS: Final = {
    "Who and where": "who approved what and when, and decided otherwise than the input says; "
    "clouds and accounts, input files with their SHA-256, versions, settings",
    "Glossary": "the meaning of outcomes, states, columns and other words",
    "Rows": "every row of the input, in its order, with its outcome; filter any column",
    "Decisions": "what reviewers decided, themselves or by policies, row by row",
    "Findings": "the findings of the checks, cell by cell",
    "Chunks": "every request with its response and the cloud's request ID; "
    "images lead to the first of their rows: filter Rows by the chunk",
    "Timeline": "every event of the run, with its time in UTC",
}
#: Prefix of a name in the environment -> title of what belongs together.
CLOUDS, UNSAFE, SETTINGS = "Clouds and accounts", "Unsafe by the user's wish", "Settings of the run"
_ENVIRONMENT: Final = {
    "cloud ": CLOUDS, "warning ": UNSAFE, "setting ": SETTINGS, "": "Versions and machine",
}  # fmt: skip
#: Kind of request -> what it is, and where the workbook shows the number: on Chunks in a column of
#: its own, or only on Timeline.
REQUESTS: Final = {
    "submit": "requests that changed shares",
    "poll": "requests for the status of a job",
    "read": "requests that read the state of shares",
    "retried": "of these were retries after a temporary fault",
}
_COUNTED: Final = {
    "submit": "; the column attempts of Chunks adds up to them",
    "retried": "; attempts beyond the first, on Chunks",
}
_ON_TIMELINE: Final = "; Timeline has the numbers of each call of submit (event requests_counted)"


def run_document(record: Record) -> ReportDocument:
    """Return what a report says of a run; it depends on nothing but the record."""
    groups = cache(lambda: group_outcomes(record.rows))
    values: dict[str, Any] = {
        "sharekit": record.environment.get("sharekit", ""),
        "fingerprint": record.fingerprint,
        "head": record.head,
        "finished": record.finished,
        "counts": record.counts,
    }
    if len(record.runs):
        values["runs"] = record.runs.to_dict("records")
    if len(record.parts):
        values["parts"] = record.parts.to_dict("records")
    return ReportDocument(
        title=TITLE,
        headline=headline(record),
        fingerprint=record.fingerprint,
        created=record.created,
        colors={name: outcome.color for name, outcome in OUTCOMES.items()},
        origin="Made from the run’s ledger alone.",
        rows=record.rows,
        values=values,
        arrays={"rows": record.rows},
        sections=lambda: _sections(record, groups()),
        sheets=lambda: _sheets(record, groups),
        page_order=(
            "Parts",
            "Who and where",
            "Decisions",
            "Chunks",
            "Findings",
            "Rows",
            "Glossary",
        ),
    )


# -- sentences ---------------------------------------------------------------------------------
def headline(record: Record) -> str:
    """Return what became of the run, in one or two sentences.

    A row is settled when its outcome needs no further action.
    """
    total = sum(record.counts.values())
    settled = {name: n for name, n in record.counts.items() if n and name in FINAL_OK}
    unsettled = {name: n for name, n in record.counts.items() if n and name not in FINAL_OK}
    if not total:
        return "The input has no rows."
    if not unsettled:
        whole = "The only row is" if total == 1 else f"All {total:,} rows are"
        return f"{whole} settled: {_list_counts(settled)}."
    open_ = sum(unsettled.values())
    sentence = f"{with_unit(open_, 'row')} of {total:,} need{'s' if open_ == 1 else ''} attention: "
    sentence += f"{_list_counts(unsettled)}."
    sentence += f" Settled: {_list_counts(settled)}." if settled else ""
    unfinished = " The run is not finished; submitting it again goes on where it stopped."
    return sentence + ("" if record.finished else unfinished)


def _list_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


#: What a report says of an approval that anybody can have written.
UNSIGNED: Final = "not signed"


def _approval(approvals: pd.DataFrame, run: str = "") -> str:
    """Return who approved the plan (of a run) and when; of several valid approvals the last."""
    valid = approvals[approvals["valid"].astype(bool)]
    valid = valid[valid["run"] == run] if run else valid
    if valid.empty:
        return "No valid approval: nothing may be sent."
    last = valid.assign(at=utc(valid["at"])).iloc[-1]
    facts = [last["reviewer"], format_time(last["at"]), with_unit(int(last["images"]), "share")]
    return ", ".join(facts + ([] if last["signed"] else [UNSIGNED]))


def facts(record: Record) -> dict[str, str]:
    """Return what identifies the run: name to value, in the order people ask for it."""
    made = record.environment
    clouds = [name.removeprefix("cloud ") for name in made if name.startswith("cloud ")]
    kind, ledger = made.get("follows_kind", ""), made.get("follows_ledger", "")
    follows = f"{kind} of {ledger}, whose ledger's head was {made.get('follows', '')}"
    known = {
        "Run by": " on ".join(filter(None, (made.get("user"), made.get("host")))),
        "Clouds": ", ".join(clouds),
        "Version of sharekit": made.get("sharekit", ""),
        "This run is the": follows if "follows" in made else "",
    }
    known = {name: value for name, value in known.items() if value}
    times = {
        "Begun": format_time(record.created),
        "Last event": format_time(record.ended),
        "Finished": "yes" if record.finished else "no",
    }
    if len(record.runs):  # the other facts are those of each run
        return times | {"Runs": ", ".join(record.runs["ledger"])} | known
    if len(record.parts):
        return times | known | {
            "Parts": f"{len(record.parts):,}",
            "Fingerprint of the fleet": record.fingerprint,
            "Head of the fleet's ledger": f"{record.head} ({with_unit(record.events, 'event')})",
        }  # fmt: skip
    return times | {
        "Approved by": _approval(record.approvals),
        **known,
        "Fingerprint of the plan": record.fingerprint,
        "Head of the ledger": f"{record.head} ({with_unit(record.events, 'event')})",
    }


# -- the summary -------------------------------------------------------------------------------
def _sections(record: Record, groups: OutcomeGroups) -> list[Section]:
    """Return the sections. A number leads to the first of its rows."""
    first = groups.first_rows()
    outcomes = [
        Line(name, count, OUTCOMES[name].meaning, _row(first.get(name)))
        for name, count in record.counts.items()
    ]
    unsettled = [
        Line(line["outcome"], line["rows"], _why(line), _row(line["first"]))
        for line in records(groups.unsettled().head(LINES))
    ]
    by_group = [
        Line(group["outcome"], group["rows"], describe_group(group), _row(group["first"]))
        for group in records(groups.table[groups.table["outcome"] != "blocked"].head(LINES))
    ]
    return [
        Section("The run", [Line(name, value) for name, value in facts(record).items()]),
        *_run_sections(record),
        *_part_sections(record),
        Section(
            "Outcomes", [*outcomes, Line("all rows", len(record.rows), "", _row(0))],
            "Every row of the input has exactly one outcome. A number leads to its rows.",
            bars="Rows by outcome", total=True,
        ),
        Section(
            "What is open, and why",
            unsettled or [Line("nothing", 0, "every row is settled")],
            "Rows that are not settled, by outcome and code, in the words of the cloud or of the "
            "check." if unsettled else "",
        ),
        Section(
            "Before and after", by_group,
            "What the cloud showed before anything was sent, what its job then said, and what it "
            "showed when it was read back. Only the last of these makes a row confirmed.",
        ),
        Section(
            "Input", _input_lines(record),
            "The files exactly as they were read: another SHA-256 is another file.",
        ),
        Section(
            "Requests", _request_lines(record),
            "Images sent, and images whose request had been answered to the end."
            if len(record.chunks) else "", chart=progress(record.chunks),
        ),
    ]  # fmt: skip


def _row(position: int | None) -> Target | None:
    return None if position is None else Target("Rows", position)


def _run_sections(record: Record) -> list[Section]:
    """Return what each of several runs settled, and what proves it."""
    return [
        Section(
            f"Run {run['run']}: {run['what']}",
            [
                Line("ledger", run["ledger"]),
                Line("finished", "yes" if run["finished"] else "no"),
                Line("approved by", _approval(record.approvals, run["run"])),
                Line("rows", run["rows"], "in its inventory"),
                Line("settled", run["settled"], "rows whose final outcome it gave", Target("Rows")),
                Line("fingerprint", run["fingerprint"]),
                Line("head", f"{run['head']} ({with_unit(run['events'], 'event')})"),
            ],
        )
        for run in records(record.runs)
    ]


def _part_sections(record: Record) -> list[Section]:
    """Return what is open in which part of a fleet, the most first."""
    if record.parts.empty:
        return []
    open_ = record.parts[record.parts["open"] > 0].sort_values("open", ascending=False)
    lines = [
        Line(part["part"], part["open"], part["what"], Target("Parts", n))
        for n, part in zip(open_.head(LINES).index, records(open_.head(LINES)), strict=True)
    ]
    note = (
        f"{with_unit(len(open_), 'part')} of {len(record.parts):,} have rows that are not settled."
    )
    done = [Line("nothing", 0, "every part is settled")]
    return [Section("What is open, by part", lines or done, note if lines else "")]


def _why(line: Mapping[str, str]) -> str:
    reason = f"{line['reason']} ({line['code']})" if line["code"] else line["reason"]
    return " – ".join(filter(None, (reason, line["next"])))


def _input_lines(record: Record) -> list[Line]:
    first = first_lines(record.rows, "file", "sheet")
    columns = record.sources[["file", "sheet", "rows", "sha256"]]
    return [
        Line(file, count, f"rows{f' on sheet {sheet!r}' if sheet else ''}; SHA-256 of the file "
             f"{sha256}", _row(first.get((file, sheet))))
        for file, sheet, count, sha256 in columns.itertuples(index=False, name=None)
    ]  # fmt: skip


def _request_lines(record: Record) -> list[Line]:
    counted = np.flatnonzero((record.timeline["event"] == "requests_counted").to_numpy(dtype=bool))
    timeline = Target("Timeline", int(counted[0])) if len(counted) else None
    attempts = Target("Chunks", -1, "attempts")
    return [
        Line(name, count, REQUESTS.get(name, "") + _COUNTED.get(name, _ON_TIMELINE),
             attempts if name in _COUNTED else timeline if count else None)
        for name, count in record.requests.items()
    ]  # fmt: skip


def progress(chunks: pd.DataFrame) -> Chart | None:
    """Return how many images had been sent and answered by when; None if none was sent."""
    # A split chunk may be sent first as a whole, and it ends as its parts.
    split = chunks["chunk"].isin(_parent(chunks["chunk"]))
    sent = chunks.loc[~_sent_in_whole(chunks)].dropna(subset="first_sent")
    if sent.empty:
        return None
    start = sent["first_sent"].min()
    curves = {
        "sent": _curve("pending", sent, "first_sent", start),
        "answered": _curve("confirmed", chunks.loc[~split].dropna(subset="ended"), "ended", start),
    }
    sent_images, answered = ([0, *curve.numbers][-1] for curve in curves.values())
    since = f"{start:%Y-%m-%d %H:%M:%S} UTC"
    description = (
        f"{with_unit(sent_images, 'image')} sent from {since} on, {answered:,} of them answered"
    )
    return Chart(curves, since, description)


def _curve(color: str, chunks: pd.DataFrame, column: str, start: pd.Timestamp) -> Curve:
    chunks = chunks.sort_values(column, kind="stable")
    seconds = (chunks[column] - start).dt.total_seconds()
    return Curve(color, seconds.tolist(), chunks["images"].cumsum().tolist())


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


# -- tables ------------------------------------------------------------------------------------
def _sheets(record: Record, groups: Callable[[], OutcomeGroups]) -> list[Table | Notes]:
    several = {"Columns of a report of several runs": RUN_COLUMNS} if len(record.runs) else {}
    if len(record.parts):
        several = {"Columns of a report of a fleet": PART_COLUMNS}
    decisions = [_decisions(record)] if len(record.reviews) else []
    return [
        Notes("Who and where", _who_and_where(record), SHEETS["Who and where"], cuts=True),
        Notes("Glossary", glossary(GLOSSARY | several), SHEETS["Glossary"]),
        *_parts(record),
        _rows(record, groups),
        *decisions,
        _findings(record),
        _chunks(record),
        Table("Timeline", record.timeline, SHEETS["Timeline"]),
    ]


def _row_targets(record: Record, frame: pd.DataFrame) -> dict[int, Target]:
    """Return the row that each line is about."""
    listed = frame.head(_LINKS)[list(_ADDRESS)]
    near = record.rows["row"].isin(listed["row"]).to_numpy(dtype=bool)
    positions = np.flatnonzero(near)
    rows = first_lines(record.rows[near], *_ADDRESS)
    # What is wrong with a whole sheet has no cell, and is about no row, not even one labelled 0.
    whole = (frame["cell"] == "") & (frame["row"] == 0) if "cell" in frame else None
    lines = enumerate(listed.itertuples(index=False, name=None))
    return {
        n: Target("Rows", int(positions[rows[line]]))
        for n, line in lines
        if line in rows and not (whole is not None and whole.iat[n])
    }


def _shown(
    record: Record, frame: pd.DataFrame, targets: Mapping[int, Target], lines: list[int]
) -> pd.DataFrame:
    """Return lines of a table as a page shows them: with their address in the input, and a link."""
    shown = as_text(frame.take(lines)).set_axis(lines)
    shown["link"] = pd.Series([targets.get(n) for n in lines], lines, dtype="object")
    if "run" in shown:
        shown["run"] = "run " + shown["run"]
    if not {*_ADDRESS} <= {*shown}:
        return shown
    file, sheet, row = shown["file"], shown["sheet"], shown["row"].astype(STR)
    several = record.sources["file"].nunique() > 1
    address = sheet.where(sheet != "", file) + ", row " + row
    return shown.assign(address=address, address_file=file.where((sheet != "") & several, ""))


def _rows(record: Record, groups: Callable[[], OutcomeGroups]) -> Table:
    named = (record.rows[["name", "project_name"]] != "").to_numpy().any()

    def shown() -> pd.DataFrame:
        lines = np.argsort(groups().group, kind="stable")[:ROWS].tolist()
        chunks = first_lines(record.chunks.head(LINES), "chunk")
        names = zip(lines, record.rows["chunk"].take(lines), strict=True)
        targets = {n: Target("Chunks", chunks[name]) for n, name in names if name in chunks}
        rows = _shown(record, record.rows, targets, lines)
        carried = (" carried by " + rows["carried_by"]).where(rows["carried_by"] != "", "")
        return rows.assign(
            project=rows["project_id"].map(project_labels(rows)).astype(STR).fillna(""),
            why=(rows["reason"] + carried).str.strip(),
            states=rows["before"].replace("", "–") + " → " + rows["observed"].replace("", "–"),
        )

    return Table(
        "Rows", record.rows, SHEETS["Rows"],
        page_note="Rows that went the same way stand together: what needs a person first, then "
        "what is settled. The original columns are in the workbook, outcomes.csv and "
        "outcomes.json.",
        printed_through="observed", shown=shown,
        columns=(
            Column("Where", "address", "address_file", style="short"),
            Column("Image, project", "image_id", "project_id", style="id"),
            *([Column("Their names", "name", "project")] if named else []),
            Column("Outcome", "outcome", "code", style="word"),
            Column("Decision", "status", "states", style="short"),
            Column("Why", "why", "history" if len(record.runs) else _by_run(record)),
            Column("Chunk, request", "chunk", "request_id", style="id", link=True),
        ),
    )  # fmt: skip


def _decisions(record: Record) -> Table:
    first = ["at", "reviewer", "planned", "decided", "reason"]
    frame = record.reviews[[*first, *(name for name in record.reviews if name not in first)]]
    targets = _row_targets(record, frame)
    return Table(
        "Decisions", frame, SHEETS["Decisions"], links={"row": targets},
        shown=lambda: _shown(record, frame, targets, list(range(min(len(frame), LINES)))),
        columns=(
            Column("Where", "address", "address_file", link=True),
            Column("Image and project", "image_id", "project_id", style="id"),
            Column("Inventory", "planned"), Column("Decided", "decided"),
            Column("Reason", "reason"), Column("Reviewer", "reviewer", _by_run(record)),
            *([Column("Policy", "policy")] if (record.reviews["policy"] != "").any() else []),
            Column("When (UTC)", "at", style="time"),
        ),
    )  # fmt: skip


def _parts(record: Record) -> list[Table]:
    frame = record.parts
    if frame.empty:
        return []
    return [
        Table(
            "Parts", frame, "every part of the fleet, and how many of its rows are open",
            shown=lambda: as_text(frame.sort_values("open", ascending=False).head(LINES)),
            columns=(
                Column("Part", "part", "ledger"), Column("Rows", "rows"),
                Column("Open", "open", "what"), Column("Approved by", "approved_by"),
                Column("Finished", "finished"), Column("Fingerprint", "fingerprint", style="id"),
                Column("Head", "head", style="id"),
            ),
        )
    ]  # fmt: skip


def _by_run(record: Record) -> str:
    """Return the column that says which run or part a line belongs to, where there are several."""
    return "run" if len(record.runs) else "part" if len(record.parts) else ""


def _findings(record: Record) -> Table:
    frame, targets = record.findings, _row_targets(record, record.findings)

    def shown() -> pd.DataFrame:
        ranks = frame["severity"].map({name: rank for rank, name in enumerate(SEVERITIES)})
        by_severity = np.argsort(ranks.fillna(len(SEVERITIES)).to_numpy(), kind="stable")[:LINES]
        return _shown(record, frame, targets, by_severity.tolist())

    counts = frame["severity"].value_counts()
    numbers = ", ".join(f"{counts[name]:,} {name}" for name in SEVERITIES if name in counts)
    return Table(
        "Findings", frame, SHEETS["Findings"], links={"row": targets}, shown=shown,
        page_note=f"{numbers or 'None'}. An error blocks its row; a repair is what was read "
        "otherwise than it stands, and always beyond doubt.",
        columns=(
            Column("Severity", "severity", _by_run(record)), Column("Rule", "rule"),
            Column("Where", "address", "cell", style="short", link=True),
            Column("Value", "value", style="value"),
            Column("What is wrong", "message"), Column("Suggestion", "suggestion"),
        ),
    )  # fmt: skip


def _chunks(record: Record) -> Table:
    # An empty cell where no HTTP status came.
    frame = record.chunks.assign(http=record.chunks["http"].astype(STR).replace("0", ""))
    labels = project_labels(frame)
    first = first_lines(record.rows, "chunk")
    names = enumerate(frame["chunk"].head(_LINKS))
    targets = {n: Target("Rows", first[name]) for n, name in names if name in first}

    def shown() -> pd.DataFrame:
        lines = _shown(record, frame, targets, list(range(min(len(frame), LINES))))
        whole = lines["whole_image"].map({"yes": ", full-ECS", "": ""}).astype(STR)
        http = (" · HTTP " + lines["http"]).where(lines["http"] != "", "")
        return lines.assign(
            project=lines["project_id"].map(labels).astype(STR).fillna(""),
            decision=lines["status"] + whole,
            call=lines["api"] + " " + lines["region"],
            answer=(lines["state"] + http + " " + lines["code"]).str.strip(),
        )

    return Table(
        "Chunks", frame, SHEETS["Chunks"], links={"images": targets}, shown=shown,
        page_note="What was sent and what was answered, request by request; a request that was "
        "split is followed by its parts. Request IDs are what the provider’s support asks for.",
        empty="No request was sent.",
        columns=(
            Column("Chunk", "chunk"),
            Column("Decision", "decision", "call"),
            *([Column("Project", "project", "project_name_source")] if labels else []),
            Column("Project and vault", "project_id", "vault_id", style="id"),
            Column("Images", "images", link=True), Column("Tries", "attempts"),
            Column("State and answer", "answer", "reason"),
            Column("Job and request", "job_id", "request_id", style="id"),
            Column("First sent, ended (UTC)", "first_sent", "ended", style="time"),
        ),
    )  # fmt: skip


# -- who and where -----------------------------------------------------------------------------
def _environment(record: Record) -> dict[str, dict[str, str]]:
    """Return where and with what a run was made: title -> name -> value."""
    parts: dict[str, dict[str, str]] = {title: {} for title in _ENVIRONMENT.values()}
    for name, value in record.environment.items():
        prefix = next(prefix for prefix in _ENVIRONMENT if name.startswith(prefix))
        parts[_ENVIRONMENT[prefix]][name.removeprefix(prefix)] = value
    return {title: values for title, values in parts.items() if values}


def _who_and_where(record: Record) -> dict[str, pd.DataFrame]:
    """Return what was approved and decided, and the circumstances: title -> a small table."""
    made = _environment(record)
    approvals = records(as_text(record.approvals))
    tables = {
        **{f"Approval {n}": _named(_approval_values(line)) for n, line in enumerate(approvals, 1)},
        **({} if approvals else {"Approvals": _named({})}),
        "Decided in review": _decision_kinds(record),
        "Policies, and the number of rows that each matched": _policy_lines(record),
        **{title: _named(made.pop(title)) for title in (CLOUDS, UNSAFE) if title in made},
        **{f"Input {n}": _named(_source_values(line))
           for n, line in enumerate(records(record.sources), 1)},
    }  # fmt: skip
    if settings := made.pop(SETTINGS, None):  # a line for each would fill a page
        joined = " · ".join(f"{name} {value}" for name, value in settings.items())
        made[SETTINGS] = {"settings": joined}
    return tables | {title: _named(values) for title, values in made.items()}


def _named(values: Mapping[str, str]) -> pd.DataFrame:
    return pairs(((name, value) for name, value in values.items() if value), "name", "value")


def _approval_values(approval: Mapping[str, Any]) -> dict[str, str]:
    order = ("run", "part", "at", "reviewer", "valid", "signed", "images", "fingerprint", "note")
    values = {**approval, "images": f"{approval['images']:,}"}
    values |= {name: approval[name] or "no" for name in ("valid", "signed")}
    return {name: str(values.get(name, "")) for name in order}


def _source_values(source: Mapping[str, Any]) -> dict[str, str]:
    return {
        "file": source["file"],
        "sheet": f"{source['sheet']}{', hidden' if source['hidden'] else ''}",
        "SHA-256": source["sha256"],
        "read as": f"{source['format']} of {source['size']:,} bytes; header in row "
        f"{source['header_row']}, {with_unit(source['rows'], 'row')}, "
        f"{with_unit(source['blank_rows'], 'blank row')}",
        "columns": source["columns"],
    }


def _policy_lines(record: Record) -> pd.DataFrame:
    lines = records(as_text(record.policies))
    return pairs(
        ((f"{line['policy']} → {line['decision']}",
          f"{with_unit(int(line['rows']), 'row')}, applied by {line['reviewer']} at {line['at']}; "
          f"SHA-256 of the policies {line['sha256'][:12]}") for line in lines),
        "name", "value",
    )  # fmt: skip


def _decision_kinds(record: Record) -> pd.DataFrame:
    """Return the kinds of changed decisions; Decisions lists them row by row."""
    by = ["planned", "decided", "reviewer", "reason"]
    kinds = record.reviews.groupby(by, sort=False).size().head(_KINDS).reset_index(name="rows")
    lines = [
        (f"{kind['planned'] or '(blank)'} → {kind['decided']}",
         f"{with_unit(kind['rows'], 'row')} by {kind['reviewer'] or 'a reviewer'}, "
         f"because: {kind['reason'] or '–'}")
        for kind in records(kinds)
    ]  # fmt: skip
    return pairs(lines, "decision", "whose, and why")
