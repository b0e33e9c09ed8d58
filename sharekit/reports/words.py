"""What reports say in words, and how they write numbers and times: one wording for every form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from sharekit.core import audit_results
from sharekit.core.outcomes import BY_RANK, FINAL_OK, OUTCOMES

from .run_record import Record

TITLE: Final = "Image share audit"
#: Outcome -> colour.
SHADES: Final = {name: outcome.color for name, outcome in OUTCOMES.items()}
#: Result of an audit -> the outcome whose colours it has.
LOOKS: Final = {name: result.like for name, result in audit_results.RESULTS.items()}
#: Outcomes that come first in a report, the worst first.
PROBLEMS: Final = BY_RANK[:4]

#: Column of a report -> what stands in it.
COLUMNS: Final = {
    "file": "the spreadsheet the row was read from",
    "sheet": "its sheet; empty where the format has none",
    "row": "the row's number in that sheet, as Excel shows it; the first row is 1",
    "image_id": "the shared image, as it was sent",
    "project_id": "the project that accepts or rejects it, or that its owner shares it with",
    "status": "the decision after review: accepted or rejected; of an owner share or unshare",
    "vault_id": "the backup vault; needed to accept a full-ECS image made from a CBR backup",
    "outcome": "what became of the row, in one word",
    "code": "the cloud's error code, the HTTP status as HTTP404, or the rule that blocked the row",
    "reason": "why, in the words of the cloud or of the check",
    "before": "what the cloud showed before anything was sent: pending, accepted, rejected, absent",
    "claimed": "what the cloud's job said about this image",
    "observed": "what the cloud showed when it was read back afterwards",
    "chunk": "the request that carried the row; 7.1 is the first half of chunk 7, which was split",
    "job_id": "the cloud's job for that request",
    "request_id": "what the provider's support asks for",
    "carried_by": "the row of the same image and project that was sent in place of this one",
    "input.…": "every original column, unchanged, under its own header",
}
#: Column of Chunks -> what stands in it.
CHUNK_COLUMNS: Final = {
    "chunk": "the request's number; 7.1 is a part of chunk 7, which was split",
    "project_id": "the project that sent it: the one that decides, or the images' owner",
    "images": "how many shares it carried: images, or where an owner shares images × projects",
    "api": "batch: many images in one call; native: one call for each image",
    "attempts": "how often it was sent; a passing fault is tried again",
    "state": "done, refused, split, unknown (no answer), running, sent or planned (not sent yet)",
    "http, code, reason": "the last answer of the cloud, in its own words",
    "job_id, request_id": "the cloud's names for its work and for the call, for its support",
    "first_sent, ended": "when it left for the first time, and when nothing more was to come; UTC",
}
#: Decision or state -> what it means (IMS-members, Glance).
STATES: Final = {
    "accepted": "the image is in the project's image list, and servers can be created from it",
    "rejected": "the image is not in the project's image list; servers can still be created from "
    "it by its ID. Rejecting does not take the access away: only the owner can withdraw a share",
    "pending": "the share was offered and not yet decided; the image is not in the list",
    "absent": "the cloud showed no share of this image with this project",
    "share": "the owner offers the image to the project, which has yet to decide; if it has it "
    "already, its decision stays as it is",
    "unshare": "the owner takes the share back, and with it what the project has decided",
}
#: Word -> what it stands for.
TERMS: Final = {
    "chunk": "one request: images of one project, decision and vault that are sent together; of an "
    "owner images that go to the same projects",
    "job": "the cloud's own record of a request, which it works on after answering",
    "fingerprint": "SHA-256 of the plan; an approval names it, and one changed byte voids it",
    "ledger": "the run's one file: every event, each holding the SHA-256 of the one before",
    "head": "SHA-256 of the ledger's last event, and through it of all of them",
    "full-ECS image": "an image of a whole server with its data disks",
}
#: The glossary of a report: title -> its words and their meanings.
GLOSSARY: Final = {
    "Outcomes: what became of a row": tuple(
        (name, outcome.meaning) for name, outcome in OUTCOMES.items()
    ),
    "Decisions, and the states of a share": tuple(STATES.items()),
    "Columns of Rows, outcomes.csv and outcomes.json": tuple(COLUMNS.items()),
    "Columns of Chunks: requests and jobs": tuple(CHUNK_COLUMNS.items()),
    "Terms": tuple(TERMS.items()),
}
#: Column of a report of several runs -> what stands in it.
RUN_COLUMNS: Final = {
    "run": "the run that settled the row: the last one that did anything to it",
    "history": "what each run said of the row, in order",
    "chunk": "the run and its chunk: 2:7 is chunk 7 of run 2",
}
#: Sheet of ``audit.xlsx`` -> what it is for, in their order.
SHEETS: Final = {
    "Who and where": "who approved what and when, and decided otherwise than the input says; "
    "clouds and accounts, input files with their SHA-256, versions, settings",
    "Glossary": "what outcomes, states, columns and other words mean",
    "By outcome and chunk": "rows that went the same way, together, then those of one request; the "
    "numbers here and on Chunks lead to them",
    "Rows": "every row of the input, in its order, with what became of it; filter any column",
    "Decisions": "what a reviewer decided otherwise than the input says, row by row",
    "Findings": "what the checks said, cell by cell",
    "Chunks": "what was sent and answered, request by request, with the cloud's request IDs; "
    "images lead to their rows, beyond the first 5,000 to the first one: filter Rows by the chunk",
    "Timeline": "every event of the run, with its time in UTC",
}
#: Titles of what is told of the circumstances.
CLOUDS: Final = "Clouds and accounts"
UNSAFE: Final = "Unsafe by the user's wish"
SETTINGS: Final = "Settings of the run"
#: Kind of request -> what it is.
REQUESTS: Final = {
    "submit": "decisions sent",
    "poll": "questions after a job",
    "read": "readings of the cloud's state",
    "retried": "of these were sent again after a passing fault",
}


def number(value: int) -> str:
    """Return a whole number with thousands separators.

    >>> number(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def counted(value: int, thing: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number(value)} {thing}{'' if value == 1 else 's'}"


def utc(times: pd.Series) -> pd.Series:
    """Return times as ISO 8601 text in UTC, ``""`` for ``NaT``; text comes back as it is.

    >>> utc(pd.Series(pd.to_datetime(["2026-07-01T10:00:00.25Z", None]))).tolist()
    ['2026-07-01T10:00:00.250000Z', '']
    """
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        return times
    plain = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    text = np.where(np.isnat(plain), "", np.char.add(np.datetime_as_string(plain), "Z"))
    return pd.Series(text, index=times.index, dtype="str")


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its times as text and its truths as ``yes`` or ``""``.

    >>> texts(pd.DataFrame({"hidden": [True, False]}))["hidden"].tolist()
    ['yes', '']
    """
    times = frame.select_dtypes("datetimetz").columns
    truths = frame.select_dtypes("bool").columns
    return frame.assign(
        **{name: utc(frame[name]) for name in times},
        **{name: frame[name].map({True: "yes", False: ""}).astype("str") for name in truths},
    )


def glossary(record: Record) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the words that a report explains: title -> words and their meanings."""
    several = {"Columns of a report of several runs": tuple(RUN_COLUMNS.items())}
    return GLOSSARY | (several if len(record.runs) else {})


def lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a small frame, each by the names of its columns."""
    return [{str(name): cell for name, cell in line.items()} for line in frame.to_dict("records")]


def story(line: Mapping[str, str]) -> str:
    """Return what rows of one story have in common.

    >>> story({"status": "accepted", "before": "pending", "claimed": "", "observed": ""})
    'decision accepted · before pending · the job said – · afterwards –'
    """
    parts = {"decision": "status", "before": "before", "the job said": "claimed",
             "afterwards": "observed", "run": "run"}  # fmt: skip
    if not any(line.get(name) for name in parts.values()):
        return "nothing was sent"
    return " · ".join(f"{word} {line[name] or '–'}" for word, name in parts.items() if name in line)


def headline(record: Record) -> str:
    """Return what became of the run, in one or two sentences.

    A row is settled when its outcome asks for nothing more (``spec.GOOD``).
    """
    total = sum(record.counts.values())
    settled = {name: n for name, n in record.counts.items() if n and name in FINAL_OK}
    troubled = {name: n for name, n in record.counts.items() if n and name not in FINAL_OK}
    if not total:
        return "The input has no rows."
    if not troubled:
        return f"{_all(total)} settled: {_listed(settled)}."
    rest = total - sum(troubled.values())
    attention = counted(sum(troubled.values()), "row") + f" of {number(total)} "
    attention += "needs attention: " if sum(troubled.values()) == 1 else "need attention: "
    sentence = attention + _listed(troubled) + "."
    sentence += f" Settled: {_listed(settled)}." if rest else ""
    unfinished = " The run is not finished; submitting it again goes on where it stopped."
    return sentence + ("" if record.finished else unfinished)


def _all(total: int) -> str:
    return "The only row is" if total == 1 else f"All {number(total)} rows are"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{number(count)} {name}" for name, count in counts.items())


def approval(record: Record) -> str:
    """Return who approved the plan and when; of several valid approvals the last."""
    return approval_of(record.approvals)


def approval_of(approvals: pd.DataFrame) -> str:
    """As :func:`approval`, from the approvals of one run."""
    valid = approvals[approvals["valid"].astype(bool)]
    if valid.empty:
        return "No valid approval: nothing may be sent."
    last = valid.assign(at=utc(valid["at"])).iloc[-1]
    images = counted(int(last["images"]), "share")
    return f"{last['reviewer']}, {moment(last['at'])}, {images}"


def facts(record: Record) -> dict[str, str]:
    """Return what identifies the run: name to value, in the order people ask for it."""
    facts = record.environment
    clouds = [name.removeprefix("cloud ") for name in facts if name.startswith("cloud ")]
    follows = f"{facts.get('follows as', '')}, whose ledger's head was {facts.get('follows', '')}"
    known = {
        "Run by": " on ".join(filter(None, (facts.get("user"), facts.get("host")))),
        "Clouds": ", ".join(clouds),
        "Version of sharekit": facts.get("sharekit", ""),
        "This run is the": follows if "follows" in facts else "",
    }
    told = {
        "Begun": moment(record.created),
        "Last event": moment(record.ended),
        "Finished": "yes" if record.finished else "no",
    }
    known = {name: value for name, value in known.items() if value}
    if len(record.runs):  # what each was stands among the runs
        return told | {"Runs": ", ".join(record.runs["ledger"])} | known
    return told | {
        "Approved by": approval(record),
        **known,
        "Fingerprint of the plan": record.fingerprint,
        "Head of the ledger": f"{record.head} ({counted(record.events, 'event')})",
    }


def runs(record: Record) -> list[dict[str, Any]]:
    """Return the runs of a report of several: as ``Record.runs``, and who ``approved``."""
    approvals = record.approvals
    told = lines(record.runs)
    for one in told:
        own = approvals[approvals["run"] == one["run"]]
        one["approved"] = approval_of(own)
    return told


def moment(at: str) -> str:
    """Return a time as people read it.

    >>> moment("2026-07-01T08:57:00.250000Z")
    '2026-07-01 08:57:00 UTC'
    """
    day, _, time = at.removesuffix("Z").partition("T")
    return f"{day} {time[:8]} UTC" if time and at.endswith("Z") else at


def environment(record: Record) -> dict[str, dict[str, str]]:
    """Return where and with what a run was made: title -> name -> value."""
    titles = {"cloud ": CLOUDS, "warning ": UNSAFE, "setting ": SETTINGS,
              "": "Versions and machine"}  # fmt: skip
    parts: dict[str, dict[str, str]] = {title: {} for title in titles.values()}
    for name, value in record.environment.items():
        prefix = next(prefix for prefix in titles if name.startswith(prefix))
        parts[titles[prefix]][name.removeprefix(prefix)] = value
    return {title: facts for title, facts in parts.items() if facts}
