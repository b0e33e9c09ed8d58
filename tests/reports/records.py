"""A run's record, made up, for tests of what is built on one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sharekit.core.columns import STR
from sharekit.core.outcomes import OUTCOMES
from sharekit.reports.run_record import ROW_COLUMNS, Record

START = pd.Timestamp("2026-07-01T09:00:00Z")
PROJECTS = ("edc89b490d7d4392898e19b2deb34797", "00000000000000000000000000000012")
ENDING = {
    "failed": ("IMG.0144", "Image not found.", "pending", "failed", "pending"),
    "contradicted": ("", "job says success, listing says pending", "pending", "success", "pending"),
    "unknown": ("", "connection cut before an answer", "pending", "", ""),
    "blocked": ("vault-missing", "accepting a full-ECS image needs a vault", "", "", ""),
    "already": ("", "", "accepted", "", ""),
    "confirmed": ("", "", "pending", "success", "accepted"),
    "claimed": ("", "could not be read back", "pending", "success", ""),
    "pending": ("", "", "pending", "", ""),
    "skipped": ("", "left out in review", "pending", "", ""),
    "duplicate": ("", "", "", "", ""),
}
SENT = ("confirmed", "claimed", "contradicted", "failed", "unknown")
FINDING_COLUMNS = (
    "rule",
    "severity",
    "file",
    "sheet",
    "row",
    "column",
    "cell",
    "value",
    "message",
    "suggestion",
)
MIX = (
    ["confirmed"] * 82 + ["already"] * 5 + ["failed"] * 3 + ["blocked"] * 4 + ["skipped"] * 2
    + ["duplicate"] * 2 + ["contradicted", "unknown"]
)  # fmt: skip


def ids(numbers: np.ndarray) -> list[str]:
    """Return one UUID for each number."""
    return [f"{n * 2654435761 % 2**32:08x}-1bc3-4c3f-893e-{n:012x}" for n in (numbers + 7).tolist()]


def rows(count: int, seed: int = 1, **columns: Any) -> pd.DataFrame:
    """Return ``count`` rows with a realistic mix of outcomes; ``columns`` replace what is given."""
    draw = np.random.default_rng(seed)
    outcome = draw.choice(MIX, count)
    ends = [ENDING[name] for name in outcome]
    sent = np.isin(outcome, SENT)
    chunk = np.arange(count) // 50 + 1
    jobs = [f"{n * 7919**8:032x}" for n in chunk.tolist()]
    frame = pd.DataFrame(
        {
            "file": "shares.xlsx",
            "sheet": np.where(np.arange(count) < count * 0.8, "Shares", "Überhang"),
            "row": np.arange(count) + 5,
            "image_id": ids(np.arange(count)),
            "project_id": draw.choice(PROJECTS, count),
            "status": draw.choice(["accepted", "rejected"], count, p=[0.8, 0.2]),
            "vault_id": np.where(draw.random(count) < 0.05, ids(np.array([999]))[0], ""),
            "outcome": outcome,
            **{name: [end[i] for end in ends] for i, name in
               enumerate(["code", "reason", "before", "claimed", "observed"])},
            "chunk": np.where(sent, chunk.astype(str), ""),
            "job_id": np.where(sent & (outcome != "unknown"), jobs, ""),
            "request_id": np.where(sent, [f"req-{job}" for job in jobs], ""),
            "carried_by": np.where(outcome == "duplicate", "shares.xlsx, Shares, row 5", ""),
            "name": "golden", "name_source": "cloud", "owner": PROJECTS[1], "owner_source": "cloud",
            "project_name": "", "project_name_source": "",
            "decided_by": np.where(draw.random(count) < 0.05, "Ada", ""),
            "decision_reason": "",
            "input.Image UUID": [text.upper() for text in ids(np.arange(count))],
            "input.Comment": draw.choice(["", "golden image", "für Köln"], count),
        }
    )  # fmt: skip
    first = frame["project_id"] == PROJECTS[0]
    frame.loc[first, ["project_name", "project_name_source"]] = "Team Web", "sign-in"
    frame = frame.assign(**columns)
    text = frame.columns.difference(["row"])
    frame = frame.astype({**dict.fromkeys(text, STR), "row": "int64"})
    further = [name for name in frame if name not in ROW_COLUMNS]
    return frame.set_axis(pd.RangeIndex(count, name="row_key"))[[*ROW_COLUMNS, *further]]


def chunks(table: pd.DataFrame) -> pd.DataFrame:
    """Return the chunks that carried these rows."""
    sent = table[table["chunk"] != ""]
    sizes = sent.groupby("chunk", sort=False).size()
    steps = pd.to_timedelta(np.arange(len(sizes)) * 1.7, unit="s")
    failed = sent[sent["outcome"] == "failed"].groupby("chunk").size().reindex(sizes.index)
    bad = failed.notna().to_numpy()
    frame = pd.DataFrame(
        {
            "chunk": sizes.index,
            "region": "eu-de",
            "project_id": PROJECTS[0],
            "status": "accepted",
            "vault_id": "",
            "whole_image": False,
            "images": sizes.to_numpy(),
            "api": "batch",
            "attempts": 1 + bad,
            "state": np.where(bad, "failed", "done"),
            "http": np.where(bad, 400, 200),
            "code": np.where(bad, "IMG.0144", ""),
            "reason": np.where(bad, "Image not found.", ""),
            "job_id": sent.groupby("chunk", sort=False)["job_id"].first().to_numpy(),
            "request_id": sent.groupby("chunk", sort=False)["request_id"].first().to_numpy(),
            "first_sent": START + steps,
            "ended": START + steps + pd.Timedelta(seconds=4),
            "project_name": "Team Web",
            "project_name_source": "sign-in",
        }
    )
    return frame.astype({"first_sent": "datetime64[us, UTC]", "ended": "datetime64[us, UTC]"})


def findings(table: pd.DataFrame) -> pd.DataFrame:
    """Return one finding for each blocked row, and a repair for every tenth row."""
    blocked = table.loc[table["outcome"] == "blocked", ["file", "sheet", "row", "image_id"]]
    repaired = table.loc[::10, ["file", "sheet", "row", "image_id"]]
    both = pd.concat(
        [blocked.assign(rule="vault-missing", severity="error"),
         repaired.assign(rule="upper-case", severity="repair")], ignore_index=True
    )  # fmt: skip
    texts = {"column": "image_id", "message": "written in upper case",
             "suggestion": "nothing: it is sent in lower case"}  # fmt: skip
    both = both.assign(**texts, cell="B" + both["row"].astype(STR), value=both["image_id"])
    return both[[*FINDING_COLUMNS]]


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its texts as STR, also where it has no lines to tell them by."""
    texts = frame.select_dtypes(["object", "string"]).columns
    return frame.astype(dict.fromkeys(texts, STR))


def record(count: int = 60, *, table: pd.DataFrame | None = None, **changes: Any) -> Record:
    """Return the record of a run with ``count`` rows; ``changes`` replace its fields."""
    table = rows(count) if table is None else table
    sent = chunks(table)
    counted = table["outcome"].value_counts()
    valid = pd.DataFrame(
        {"at": ["2026-07-01T08:58:12Z", "2026-07-01T08:59:40Z"], "reviewer": ["B. Ito", "A. Kühn"],
         "fingerprint": ["0b" * 32, "9f" * 32], "images": [3, int(sent["images"].sum())],
         "note": ["first try", "ticket OPS-12"], "valid": [False, True],
         "signed": [False, False]}
    )  # fmt: skip
    reviews = pd.DataFrame(
        {"row_key": [3], "file": ["shares.xlsx"], "sheet": ["Shares"], "row": [8],
         "image_id": ids(np.array([3])), "project_id": [PROJECTS[0]], "planned": ["accepted"],
         "decided": ["skip"], "reason": ["owner unclear"], "reviewer": ["A. Kühn"], "policy": [""],
         "at": ["2026-07-01T08:59:00Z"]}
    )  # fmt: skip
    sources = pd.DataFrame(
        {"file": "shares.xlsx", "sheet": ["Shares", "Überhang"], "sha256": "5a" * 32,
         "size": 48211, "format": "xlsx", "header_row": 4,
         "rows": [int((table["sheet"] == name).sum()) for name in ("Shares", "Überhang")],
         "blank_rows": [2, 0], "hidden": [False, True],
         "columns": "image_id ← Image UUID (B), status ← Decision (D)"}
    )  # fmt: skip
    timeline = pd.DataFrame(
        {"at": sent["first_sent"], "event": "submitted", "chunk": sent["chunk"],
         "images": sent["images"], "what": "PUT /v1/cloudimages/members"}
    )  # fmt: skip
    fields: dict[str, Any] = {
        "rows": table,
        "findings": findings(table),
        "chunks": sent,
        "sources": sources,
        "approvals": valid,
        "reviews": reviews,
        "timeline": timeline,
        "environment": {"sharekit": "0.1.0", "python": "3.11.2", "platform": "Linux",
                        "user": "akuehn", "cloud otc": "project eu-de, account OTC-EU-DE-0001"},
        "counts": {name: int(counted.get(name, 0)) for name in OUTCOMES},
        "requests": {"submit": len(sent), "poll": 3 * len(sent), "read": 4, "retried": 2},
        "fingerprint": "9f" * 32,
        "head": "c4" * 32,
        "events": len(timeline) + 9,
        "finished": True,
        "created": "2026-07-01T08:57:00Z",
        "ended": "2026-07-01T09:01:00Z",
    }  # fmt: skip
    made = fields | changes
    frames = {name: typed(v) for name, v in made.items() if isinstance(v, pd.DataFrame)}
    return Record(**(made | frames))
