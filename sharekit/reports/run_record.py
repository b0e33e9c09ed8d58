"""From a ledger to the plain frames that every report is made from."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from sharekit import reports
from sharekit.audits import audit
from sharekit.audits.audit import Audit
from sharekit.checks.check import COLUMNS
from sharekit.core.errors import UsageError
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.html import inert, visible
from sharekit.core.rules import RULES
from sharekit.ledger.ledger import Event, Ledger
from sharekit.ledger.storage import is_ledger
from sharekit.plans import decisions
from sharekit.plans.approval import approvals_of
from sharekit.plans.plan import Plan
from sharekit.runs.request_log import Piece
from sharekit.runs.run import Run, load_run
from sharekit.spreadsheets import Source

from .merged_runs import chained, combined
from .record import ROW_COLUMNS, Record

_TEXTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "created": lambda b: f"sharekit {b.get('sharekit', '')}",
    "inventory": lambda b: f"{b['rows']} rows from {len(b['sources'])} sheets",
    "snapshot": lambda b: f"the cloud before the plan: {_counted(b['states'])}",
    "seen": lambda b: f"the cloud before sending: {_counted(b['states'])}",
    "planned": lambda b: f"{b['planned']} images in {b['chunks']} chunks, {b['blocked']} blocked",
    "reviewed": lambda b: f"{b['decisions']} decisions taken from {b['file']}",
    "decided": lambda b: f"{b['rows']} rows decided by {b['reviewer'] or 'a reviewer'}",
    "undone": lambda b: f"step {b['seq']} taken back by {b['reviewer'] or 'a reviewer'}",
    "revoked": lambda b: f"{b['reviewer']} took the approval back {b['note']}".rstrip(),
    "approved": lambda b: (
        f"by {b['reviewer']}, fingerprint {b['fingerprint'][:12]}"
        + (", signed" if b.get("signature") else "")
    ),
    "submitting": lambda b: f"with {len(b['clouds'])} sign-ins",
    "looked": lambda b: f"last look before sending: {_counted(b['counts']) or 'nothing changed'}",
    "intent": lambda b: f"{b['method']} {b['url']}, attempt {b['attempt']}",
    "answer": lambda b: (
        f"HTTP {b.get('http', 0)}" + (f", job {b['job_id']}" if b.get("job_id") else "")
    ),
    "job-done": lambda b: f"{b['status']}",
    "split": lambda b: f"into {len(b['into'])}: {b['why']}",
    "observed": lambda b: f"{b['images']} images read back",
    "counted": lambda b: f"requests of this call: {_counted(b['requests'])}",
    "unreadable": lambda b: f"project {b['project_id']} cannot be read back: {b['reason']}",
    "settled": lambda b: _counted(b["counts"]),
    "finished": lambda b: f"all {b['rows']} rows have their outcome",
    "stopped": lambda b: str(b["why"]),
    "sealed": lambda b: f"head {b['head'][:12]} of {b['events']} events, signed",
}


class Reports(list[Path]):
    """The report files that were written, as a list of paths; a notebook shows links to them."""

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{_link(path)}</li>" for path in self)
        return inert(f"<p><b>Reports</b></p><ul>{lines}</ul>")


def _link(path: Path) -> str:
    # Relative, because Jupyter serves what lies below the notebook, and nothing else.
    if path.is_absolute() or ".." in path.parts:
        return visible(path)
    return f'<a href="{html.escape(quote(path.as_posix()))}" target="_blank">{visible(path)}</a>'


Told = Run | Plan | str | PathLike[str]


def report(run: Told | Audit, *paths: Told) -> list[Path]:
    """Make reports of a run, from its ledger alone: the same ledger gives the same report.

    Of an audit without an inventory, ``.xlsx`` and ``.csv`` are an inventory to begin with.

    Parameters
    ----------
    run : Run, Plan, Audit or path
        The run or its ledger, or an audit or its ledger.
    *paths : path
        What to write, by suffix: ``.xlsx``, ``.html``, ``.csv``, ``.json``. Further runs (`retry`,
        `undo`) or their ledgers may stand among them: then the reports are over all of these, with
        one final outcome for each row of the first input.

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        A suffix that is none of the four, or nothing to write.
    LedgerError
        If there is no such ledger, it is damaged, or one does not follow on another.

    Examples
    --------
    >>> report("run.ledger", "audit.xlsx", "audit.html")  # doctest: +SKIP
    >>> report("run.ledger", "again.ledger", "audit.xlsx")  # doctest: +SKIP
    """
    more = [Path(one.path if isinstance(one, Run | Plan) else one) for one in paths]
    if isinstance(run, Audit):
        return Reports(reports.write(run, *more))
    ledgers, files = among([Path(run.path if isinstance(run, Run | Plan) else run), *more])
    if not files:
        raise UsageError("Name what to write, by suffix: .xlsx, .html, .csv or .json.")
    with ExitStack() as stack:
        told = told_by(*(stack.enter_context(Ledger.open(path)) for path in ledgers))
    return Reports(reports.write(told, *files))


def told_by(*books: Ledger) -> Record | Audit:
    """Return what reports are made of: an audit, or the record of one or several runs."""
    alone = len(books) == 1 and audit.holds_audit(books[0])
    return audit.load_from(books[0]) if alone else record_of(*books)


def among(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Tell ledgers, of which the first is one, from other files: by what is in them.

    >>> among([Path("run.ledger"), Path("audit.xlsx")])
    ([PosixPath('run.ledger')], [PosixPath('audit.xlsx')])
    """
    more = [path for path in paths[1:] if path.is_file() and is_ledger(path)]
    return [paths[0], *more], [path for path in paths[1:] if path not in more]


def load_record(*paths: str | PathLike[str]) -> Record:
    """Read everything that a report tells from a ledger, or from several that follow on another.

    Raises
    ------
    LedgerError
        If there is no such ledger, it is damaged, or one does not follow on another.
    """
    with ExitStack() as stack:
        return record_of(*(stack.enter_context(Ledger.open(Path(path))) for path in paths))


def record_of(*books: Ledger) -> Record:
    """As :func:`load_record`, from open ledgers."""
    if len(books) == 1:
        return _record(books[0])
    links = chained(books)
    return combined(links, [_record(link.book) for link in links])


def _record(book: Ledger) -> Record:
    run = load_run(book)
    timeline, first, last = _timeline(book.each()), book.last("created"), book.last()
    return Record(
        rows=_rows(run),
        findings=_findings(run),
        chunks=pd.DataFrame([_chunk(p) for p in run.history.pieces.values()], columns=_CHUNK)
        .astype(_types(_CHUNK, _CHUNK_TYPES)),
        sources=pd.DataFrame([_source(s) for s in run.plan.findings.inventory.sources],
                             columns=_SOURCE).astype(_types(_SOURCE, _SOURCE_TYPES)),
        approvals=_approvals(book, run.plan.fingerprint),
        reviews=_reviews(book, run),
        timeline=timeline,
        environment=_environment(book.each("created", "submitting")),
        counts=run.counts,
        requests=run.requests,
        fingerprint=run.plan.fingerprint,
        head=book.head,
        events=book.length,
        finished=run.finished,
        created=first.at if first else "",
        ended=last.at if last else "",
    )  # fmt: skip


def _rows(run: Run) -> pd.DataFrame:
    inventory, planned, outcomes = run.plan.findings.inventory.rows, run.plan.rows, run.rows
    rows = planned[["row", "image_id", "project_id", "status", "vault_id"]].join(
        outcomes.drop(columns="last_chunk")
    )
    for name in ("file", "sheet"):
        rows[name] = inventory[name].astype("str")
    number = planned["chunk"].astype("str").fillna("")
    rows["chunk"] = outcomes["last_chunk"].where(outcomes["last_chunk"] != "", number)
    sent = outcomes["outcome"].isin(["blocked", "already"])
    rows["chunk"] = rows["chunk"].where(~sent, "")
    carried = planned["carried_by"].dropna().astype("int64")
    place = _places(rows.loc[carried])
    rows["carried_by"] = place.set_axis(carried.index).reindex(rows.index, fill_value="")
    originals = inventory[[c for c in inventory.columns if c.startswith(INPUT_PREFIX)]]
    return pd.concat([rows[list(ROW_COLUMNS)], originals], axis="columns")  # fmt: skip


def _places(rows: pd.DataFrame) -> pd.Series:
    """Where a row stands, as a person would say it."""
    sheet = (", " + rows["sheet"]).where(rows["sheet"] != "", "")
    return rows["file"] + sheet + ", row " + rows["row"].astype("str")


def _findings(run: Run) -> pd.DataFrame:
    found = run.plan.findings.frame[list(COLUMNS)]
    if run.moved.empty:
        return found
    inventory, rule = run.plan.findings.inventory.rows.loc[run.moved.index], RULES["moved"]
    moved = pd.DataFrame({name: inventory[name] for name in ("file", "sheet", "row")})
    moved = moved.assign(
        rule=rule.name, severity=rule.severity, column="", cell="",
        value=run.moved["moved"] + " → " + run.moved["before"],
        message=rule.message, suggestion=rule.suggestion,
    ).astype({"file": "str", "sheet": "str"})  # fmt: skip
    return pd.concat([found, moved[list(COLUMNS)]], ignore_index=True)


_CHUNK = (
    "chunk", "region", "project_id", "status", "vault_id", "whole_image", "images", "api",
    "attempts", "state", "http", "code", "reason", "job_id", "request_id", "first_sent", "ended",
)  # fmt: skip
_TIME = "datetime64[us, UTC]"
_CHUNK_TYPES = {
    "whole_image": "bool", "images": "int64", "attempts": "int64", "http": "int64",
    "first_sent": _TIME, "ended": _TIME,
}  # fmt: skip
_SOURCE = (
    "file", "sheet", "sha256", "size", "format", "header_row", "rows", "blank_rows", "hidden",
    "columns",
)  # fmt: skip
_SOURCE_TYPES = {
    "size": "int64", "header_row": "int64", "rows": "int64", "blank_rows": "int64",
    "hidden": "bool",
}  # fmt: skip


def _types(columns: tuple[str, ...], special: Mapping[str, str]) -> dict[str, str]:
    return {name: special.get(name, "str") for name in columns}


def _chunk(piece: Piece) -> dict[str, Any]:
    facts = {
        name: getattr(piece, name)
        for name in ("chunk", "api", "attempts", "state", "http", "code", "reason", "job_id")
    }
    return {
        **piece.common,
        **facts,
        "whole_image": piece.common["whole_image"] == "true",
        "images": piece.size,
        "request_id": piece.request_id,
        "first_sent": pd.Timestamp(piece.first_sent) if piece.first_sent else None,
        "ended": pd.Timestamp(piece.ended) if piece.ended else None,
    }


def _source(source: Source) -> dict[str, Any]:
    found = ", ".join(
        f"{field} ← {header} ({source.letters.get(field, '')})"
        for field, header in source.columns.items()
    )
    return {name: getattr(source, name) for name in _SOURCE[:-1]} | {"columns": found}


def _approvals(book: Ledger, fingerprint: str) -> pd.DataFrame:
    valid = {approval.at for approval in approvals_of(book, fingerprint)}
    lines = [{**e.body, "at": e.at} for e in book.events("approved")]
    columns = ["at", "reviewer", "fingerprint", "images", "note"]
    frame = pd.DataFrame(lines, columns=columns).astype({"images": "int64"})
    frame["valid"] = [at in valid for at in frame["at"]]
    return frame.astype({c: "str" for c in columns if c != "images"} | {"valid": "bool"})


def _reviews(book: Ledger, run: Run) -> pd.DataFrame:
    inventory = run.plan.findings.inventory.rows
    parts = []
    for event in decisions.steps(book):
        taken = decisions.step(book, event).fillna("")
        facts = inventory.loc[taken.index, ["file", "sheet", "row"]].astype(
            {"file": "str", "sheet": "str"}
        )
        ids = run.plan.rows.loc[taken.index, ["image_id", "project_id"]]
        vault = ("vault " + taken["vault_id"]).where(taken["vault_id"] != "", "")
        both = (taken["decision"] + ", " + vault).str.strip(", ")
        parts.append(
            facts.join(ids).assign(
                planned=inventory.loc[taken.index, "status"],
                decided=both.where(both != "", "as planned"),
                reason=taken["reason"],
                reviewer=event.body["reviewer"],
                at=event.at,
            )
        )
    columns = [
        "row_key", "file", "sheet", "row", "image_id", "project_id", "planned", "decided",
        "reason", "reviewer", "at",
    ]  # fmt: skip
    if not parts:
        return pd.DataFrame(columns=columns).astype(
            {c: "int64" if c in ("row_key", "row") else "str" for c in columns}
        )
    return pd.concat(parts).rename_axis("row_key").reset_index()[columns]


def _timeline(events: Iterable[Event]) -> pd.DataFrame:
    lines = [
        (
            pd.Timestamp(event.at),
            event.kind,
            str(event.body.get("chunk", "")),
            _images(event),
            _TEXTS.get(event.kind, _reason)(event.body),
        )
        for event in events
    ]
    frame = pd.DataFrame(lines, columns=["at", "event", "chunk", "images", "what"])
    return frame.astype(
        {"at": _TIME, "event": "str", "chunk": "str", "images": "int64", "what": "str"}
    )


def _images(event: Event) -> int:
    images = event.body.get("images", 0)
    if isinstance(images, int):
        return images
    return len(images) * len(event.body.get("shared_with", "1"))


def _reason(body: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (str(body.get("code", "")), str(body.get("reason", "")))))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)


def _environment(events: Iterable[Event]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for event in events:
        if event.kind == "created":
            facts |= {str(k): str(v) for k, v in event.body.items()}
        elif event.kind == "submitting":
            for cloud in event.body["clouds"]:
                facts[f"cloud {cloud['cloud']}"] = (
                    f"project {cloud['project_id']}, region {cloud['region'] or 'not named'}, "
                    f"{cloud['ims']}, account {cloud['account'] or 'not named'}"
                )
                if cloud.get("warnings"):
                    facts[f"warning {cloud['cloud']}"] = "; ".join(cloud["warnings"])
            facts |= {f"setting {k}": str(v) for k, v in event.body["settings"].items()}
    return facts
