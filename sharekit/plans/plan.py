"""From checked rows to exactly the requests that will be sent, with a fingerprint.

The fingerprint covers the requests alone (what is sent, for which project): the same inventory in
another order of rows has the same fingerprint, and any change of what would be sent another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from sharekit.checks.check import check_again
from sharekit.checks.findings import CHECKED, PREVIEW, Findings
from sharekit.checks.names import names_of, project_names
from sharekit.clouds.api_calls import batch_call, native_calls
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.cloud_api import CHUNK_SIZE
from sharekit.core.columns import STR, first_difference, hands_out_copies, is_owner_action
from sharekit.core.errors import LedgerError, PlanError, UsageError, not_made_by
from sharekit.core.html import table
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import clean_frames
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.provenance import environment, name_error
from sharekit.ledger.integrity import created_body
from sharekit.ledger.ledger import Ledger
from sharekit.spreadsheets.row_frames import typed_rows

from .chunks import Chunks, chunks_of, make_chunks
from .followed import EarlierRun, carry_over, read_followed
from .steps import FIELDS
from .storage import (
    LOG,
    last_event_body,
    read_earlier,
    read_snapshot,
    read_stored_inventory,
    read_stored_plan,
    write_inventory,
    write_plan,
    write_snapshot,
)


class HasLedger(Protocol):
    """A plan, a run, or anything else that a ledger holds."""

    @property
    def path(self) -> Path:
        """The ledger."""


def ledger_path(source: HasLedger | str | PathLike[str]) -> Path:
    """Return the path of the ledger of a plan or a run; a path stands for itself.

    >>> ledger_path("run.ledger")
    PosixPath('run.ledger')
    """
    path = source if isinstance(source, str | PathLike) else getattr(source, "path", None)
    if not isinstance(path, str | PathLike):
        raise not_made_by(
            source, "plan", "sharekit.plan(findings, PATH) makes one, and a path names one"
        )
    return Path(path)


@hands_out_copies("rows", "chunks", deep=True)
@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """Exactly the requests that would be sent.

    Attributes
    ----------
    path : Path
        The ledger that holds the plan.
    rows : DataFrame
        As :attr:`Findings.rows`, with ``chunk`` (Int64, from 1; missing where nothing is sent).
    chunks : DataFrame
        Indexed by ``chunk``: :data:`~sharekit.plans.chunks.CHUNK_FIELDS` (``project_id`` is the
        project that acts), ``images`` (int64: how many it changes; images × projects where an
        owner shares) and ``endpoint`` (``""`` without a cloud).
    fingerprint : str
        SHA-256 over all chunks.
    findings : Findings
        The findings that the plan was made from.
    blocks : Chunks
        What each request carries.
    """

    path: Path
    rows: pd.DataFrame
    chunks: pd.DataFrame
    fingerprint: str
    findings: Findings
    blocks: Chunks

    @property
    def counts(self) -> dict[str, Any]:
        """``rows, planned, blocked, already, duplicates, skipped, chunks, fingerprint``."""
        dispositions = self.rows["disposition"]
        by = dispositions.groupby(dispositions).size()
        return {
            "rows": len(dispositions),
            "planned": int(by.get("planned", 0)),
            "blocked": int(by.get("blocked", 0)),
            "already": int(by.get("already", 0)),
            "duplicates": int(by.get("duplicate", 0)),
            "skipped": int(by.get("skipped", 0)),
            "chunks": len(self.chunks),
            "fingerprint": self.fingerprint,
        }

    def requests(self, chunk: int | None = None) -> Iterator[dict[str, Any]]:
        """Go through every request in order, or through those of one chunk.

        Without a cloud, the URL begins with ``{ims}`` in place of the endpoint.

        Yields
        ------
        dict
            ``chunk, method, url, body``.
        """
        endpoints = _endpoints(self.findings.snapshot)
        blocks = self.blocks if chunk is None else chunks_of(self.rows[self.rows["chunk"] == chunk])
        for one in blocks.iter_chunks():
            api, ims, image = endpoints.get(one["project_id"], ("batch", "{ims}", "{image}"))
            calls = native_calls(one, image) if api == "native" else [batch_call(one, ims)]
            for method, url, body in calls:
                yield {"chunk": one["chunk"], "method": method, "url": url, "body": body}

    @checks_arguments
    def preview(self, limit: int | None = None) -> str:
        """Show the requests as text, at most ``limit`` of them.

        Returns
        -------
        str
            Method, URL and body of each request; what it is not, where nothing would be sent.
        """
        requests = [
            f"# chunk {request['chunk']}\n{request_text(request)}"
            for request in islice(self.requests(), limit)
        ]
        return "\n\n".join(requests) or "Nothing would be sent."

    @shows_progress("making the frame")
    def to_frame(self, *, progress: bool = True) -> pd.DataFrame:
        """Return every row as one typed frame: :meth:`.Findings.to_frame` with ``chunk``.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        DataFrame
            As :meth:`.Findings.to_frame`, with ``chunk`` (Int64), the number of the row's request.

        Examples
        --------
        >>> plan(findings, "run.ledger").to_frame()["chunk"].nunique()  # doctest: +SKIP
        """
        columns = self.findings.row_columns(self.rows) | {"chunk": self.rows["chunk"]}
        return typed_rows(self.findings.inventory, columns)

    def __repr__(self) -> str:
        numbers = self.counts | {"fingerprint": self.fingerprint[:12]}
        return f"<Plan: {', '.join(f'{name} {number}' for name, number in numbers.items())}>"

    def _repr_html_(self) -> str:
        return table(self.by_project, title=repr(self)[1:-1])

    @property
    def by_project(self) -> pd.DataFrame:
        """What each project would do.

        Columns: ``project_id, status, images, requests, shared_with``, ``project_name`` and
        ``project_name_source`` (``""`` where nothing told a name). Where an owner acts, ``images``
        are images × projects, and ``shared_with`` is the project they are shared with, or how many
        projects those are.
        """
        keys = ["project_id", "status"]
        by = self.chunks.groupby(keys)["images"].agg(["sum", "count"])
        by = by.set_axis(["images", "requests"], axis="columns")
        planned = self.rows["disposition"] == "planned"
        of_owners = self.rows[planned & is_owner_action(self.rows["status"])]
        projects = of_owners.groupby(["owner", "status"])["project_id"].agg(["nunique", "first"])
        number = projects["nunique"].astype(STR) + " projects"
        shared_with = projects["first"].where(projects["nunique"] == 1, number).rename_axis(keys)
        by = by.assign(shared_with=shared_with).fillna({"shared_with": ""}).reset_index()
        own = self.findings.inventory.rows
        names = project_names(own, self.rows["project_id"], self.findings.snapshot)
        return by.assign(**names_of(by["project_id"], names))


@clean_frames
@checks_arguments
@shows_progress("making the plan")
def plan(
    findings: Findings,
    ledger: str | PathLike[str],
    *,
    chunk_size: int = CHUNK_SIZE,
    max_images: int | None = None,
    follows: EarlierRun | HasLedger | str | PathLike[str] | None = None,
    planner: str = "",
    resume: bool = False,
    progress: bool = True,
) -> Plan:
    """Put the accepted rows into chunks, and everything known so far into a new ledger.

    Parameters
    ----------
    findings : Findings
        From :func:`sharekit.check`.
    ledger : path
        The run's file, which must not exist yet, unless ``resume`` is True.
    chunk_size : int
        Maximum number of images in one request; where an owner shares, images × projects.
    max_images : int, optional
        Maximum number of images that the plan may change; a larger plan is refused.
    follows : path, optional
        The ledger of an earlier run. What was decided on its shares in a review is carried over,
        by image and project, with person and reason; a row that would turn back what that run
        decided has the warning ``reverses-earlier``.
    planner : str, optional
        The name of the person who plans. If it is given, somebody else has to approve.
    resume : bool
        Whether a ledger that exists is taken up: its plan is returned as it is, with what was
        decided, approved and sent since. So a notebook can be run again.
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    Plan
        Exactly the requests that would be sent; the ledger holds it.

    Raises
    ------
    PlanError
        The ledger that is to be taken up holds the plan of another inventory, or other settings.
        The plan is larger than ``max_images``, or ``chunk_size`` is less than 1.
    UsageError
        The findings are not those that :func:`sharekit.check` returned for the inventory alone,
        or the planner's name holds what nobody can see.
    LedgerError
        The file exists or cannot be written.

    Examples
    --------
    >>> plan(findings, "run.ledger", max_images=500).fingerprint[:12]  # doctest: +SKIP
    'f3b0c44298fc'
    """
    check_origin(findings)
    path, planner = Path(ledger), planner.strip()
    if planner and (error := name_error(planner)):
        raise UsageError(error)
    if path.exists():
        if resume:
            return _take_up(path, findings, chunk_size, max_images, planner)
        raise LedgerError(
            f"{path} exists already: choose another name for the new run.",
            in_python="Or take its plan up: resume=True.",
        )
    earlier, carried = None, None
    if follows is not None:
        earlier = _read_earlier_run(follows)
        carried = carry_over(earlier, findings.rows)
        findings = check_again(
            findings.inventory, findings.snapshot, carried, earlier.lines,
            strict=findings.strict, confirm=findings.confirmed,
        )  # fmt: skip
    made = build_plan(path, findings, chunk_size, max_images)
    opened = Ledger.create(path)
    try:
        with opened, opened.transaction():
            created = created_body(opened, environment())
            opened.append("created", created | (earlier.followed.to_body() if earlier else {}))
            write_inventory(opened, findings.inventory)
            if findings.snapshot is not None:
                write_snapshot(opened, findings.snapshot)
            if earlier is not None and carried is not None:
                _write_carried(opened, earlier, carried)
            lines = None if earlier is None else earlier.lines
            _write(opened, made, chunk_size, max_images, planner, lines)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return made


def _take_up(
    path: Path, findings: Findings, chunk_size: int, max_images: int | None, planner: str
) -> Plan:
    """Return the plan of a ledger, if it is one of this inventory, with these settings."""
    with Ledger.open(path) as ledger:
        there = read_plan(ledger)
        settings = last_event_body(ledger, "planned")["settings"]
    asked: dict[str, object] = {
        "chunk_size": chunk_size, "max_images": max_images, "strict": findings.strict,
        "planner": planner, "confirmed": list(findings.confirmed),
    }  # fmt: skip
    recorded = {"planner": "", "confirmed": []} | settings
    step = {"in_python": "Choose another name for the new run.", "in_shell": "Choose another name."}
    if other := [name for name, value in asked.items() if recorded.get(name) != value]:
        raise PlanError(
            f"{path} was planned with {other[0]}={recorded.get(other[0])!r}, and not "
            f"{asked[other[0]]!r}.", **step,
        )  # fmt: skip
    then, now = there.findings.inventory.rows, findings.inventory.rows
    difference = first_difference(then, now, [*now.columns, *then.columns.difference(now.columns)])
    if difference:
        raise PlanError(
            f"{path} holds the plan of another inventory, or of an earlier state of this one "
            f"({difference}).", **step,
        )  # fmt: skip
    return there


def replan_with(ledger: Ledger, decisions: pd.DataFrame) -> Plan:
    """Plan again with a reviewer's decisions; an approval of the old plan is void."""
    settings = last_event_body(ledger, "planned")["settings"]
    size, max_images = settings["chunk_size"], settings["max_images"]
    earlier = read_earlier(ledger)
    findings = check_again(
        read_stored_inventory(ledger), read_snapshot(ledger), decisions, earlier,
        strict=bool(settings["strict"]),
        confirm=settings.get("confirmed", ()),
    )  # fmt: skip
    made = build_plan(ledger.path, findings, size, max_images)
    _write(ledger, made, size, max_images, settings.get("planner", ""), earlier)
    return made


def read_plan(source: Ledger | str | PathLike[str]) -> Plan:
    """Read the plan of a ledger, which may be open already.

    Raises
    ------
    LedgerError
        If it is no ledger, is damaged, or its plan is not the one that was recorded.
    """
    if not isinstance(source, Ledger):
        with Ledger.open(Path(source)) as ledger:
            return read_plan(ledger)
    rows, chunks, fingerprint, findings = read_stored_plan(source)
    frame = _chunk_frame(chunks, findings.snapshot)
    return Plan(source.path, rows, frame, fingerprint, findings, chunks)


def _read_earlier_run(follows: EarlierRun | HasLedger | str | PathLike[str]) -> EarlierRun:
    if isinstance(follows, EarlierRun):
        return follows
    with Ledger.open(ledger_path(follows)) as ledger:
        return read_followed(ledger)


def _write_carried(ledger: Ledger, earlier: EarlierRun, carried: pd.DataFrame) -> None:
    """Write decisions of an earlier run as steps, one for each person."""
    for name, lines in carried.groupby("by"):
        body = {
            "reviewer": str(name),
            "rows": len(lines),
            "of": earlier.fingerprint,
            "carried_from": earlier.followed.ledger,
            "blob": ledger.put_frame(lines[list(FIELDS)].rename_axis("row_key")),
        }
        ledger.append("decided", body)


def _write(
    ledger: Ledger, made: Plan, size: int, max_images: int | None, planner: str,
    earlier: pd.DataFrame | None = None,
) -> None:  # fmt: skip
    settings: dict[str, object] = {
        "chunk_size": size,
        "max_images": max_images,
        "strict": made.findings.strict,
        "planner": planner,
    }
    if made.findings.confirmed:
        settings["confirmed"] = list(made.findings.confirmed)
    write_plan(ledger, made.rows, made.findings, made.counts, settings, earlier)
    LOG.info("planned %s: %r", ledger.path, made)


def check_origin(findings: Findings) -> None:
    """Refuse findings that hold more than an inventory and the cloud say: nobody decided that."""
    how = "decide in the ledger: sharekit.review(plan, take=frame, reviewer=NAME)"
    if findings.origin == PREVIEW:
        raise UsageError(f"Plan the findings without decisions, then {how}.")
    if findings.origin != CHECKED:
        raise UsageError(
            "These findings are not those that sharekit.check returned, so they are not planned. "
            f"Check the inventory, plan what that returns, and {how}."
        )


def build_plan(path: Path, findings: Findings, chunk_size: int, max_images: int | None) -> Plan:
    """Return the plan that findings lead to; nothing is written.

    Raises
    ------
    PlanError
        The plan is larger than ``max_images``, or ``chunk_size`` is less than 1.
    """
    if chunk_size < 1:
        raise PlanError(f"A chunk needs at least one image; {chunk_size} was asked for.")
    planned = int((findings.rows["disposition"] == "planned").sum())
    if max_images is not None and planned > max_images:
        raise PlanError(
            f"The plan would change {planned:,} images, more than the limit of "
            f"{max_images:,}. Check the inventory, or raise the limit."
        )
    rows, chunks = make_chunks(findings.rows, chunk_size)
    frame = _chunk_frame(chunks, findings.snapshot)
    return Plan(path, rows, frame, chunks.fingerprint(), findings, chunks)


def request_text(request: Mapping[str, Any]) -> str:
    """Return method, URL and body of one of :meth:`Plan.requests` as text."""
    body = "" if request["body"] is None else f"\n{json.dumps(request['body'], indent=2)}"
    return f"{request['method']} {request['url']}{body}"


def _chunk_frame(chunks: Chunks, snapshot: Snapshot | None) -> pd.DataFrame:
    frame = chunks.frame()
    ims = {project: ims for project, (_, ims, _) in _endpoints(snapshot).items()}
    endpoint = [ims.get(project, "") for project in frame["project_id"]]
    return frame.assign(endpoint=pd.Series(endpoint, index=frame.index, dtype=STR))


def _endpoints(snapshot: Snapshot | None) -> dict[str, tuple[str, str, str]]:
    """Project -> its API, and the endpoints of IMS and of the image service."""
    if snapshot is None:
        return {}
    columns = snapshot.projects[["project_id", "api", "ims", "image"]].to_dict("list")
    endpoints = zip(columns["api"], columns["ims"], columns["image"], strict=True)
    return dict(zip(columns["project_id"], endpoints, strict=True))
