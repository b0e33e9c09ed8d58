"""An inventory in parts: rows about one share stay together, and what all rows show is kept.

The whole inventory is checked first. A row that only the others forbid (the room of a vault that
several parts use, IDs that were counted up) takes the finding along into its part's inventory, so
that the part alone leads to the same decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.checks.check import check
from sharekit.checks.findings import Findings
from sharekit.checks.hits import fullmatch
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.columns import STR, acting_project, join_lines, look_up
from sharekit.core.errors import UsageError
from sharekit.core.fields import PROJECT_ID, SHARE_KEY
from sharekit.core.rules import RULES
from sharekit.spreadsheets.cell_issues import CellIssues, concat
from sharekit.spreadsheets.inventory import Inventory

#: What a fleet can be split by, besides a number of parts: of the project that acts.
SPLITS: Final = ("project", "account", "region")
#: More parts than this are planned by nobody: ten regions of 10,000 projects have so many.
MAX_PARTS: Final = 100_000
_Positions = NDArray[np.int64]


def split(findings: Findings, by: str) -> tuple[list[str], Iterator[Findings]]:
    """Return the names of the parts of checked rows, and the findings of each, checked by itself.

    The name is ``""`` where nobody knows which part rows belong to.
    """
    codes, names = pd.factorize(_labels(findings, by), sort=True)
    return [str(name) for name in names], _parts(findings, codes, len(names))


def _parts(findings: Findings, codes: NDArray[np.int64], count: int) -> Iterator[Findings]:
    inventory, snapshot = findings.inventory, findings.snapshot
    rows, issues = inventory.rows, inventory.cell_issues
    of_rows = issues["row_key"].to_numpy("int64")
    issue_codes = np.where(of_rows < 0, -1, codes[of_rows])
    shares = findings.rows[SHARE_KEY].assign(part=codes).drop_duplicates(SHARE_KEY)
    snapshots = [] if snapshot is None else _split_snapshot(snapshot, shares, count)
    # What is said of sheets without rows is said once.
    sheets = np.setdiff1d(np.arange(len(inventory.sources)), rows["source"])
    lines = zip(_positions(codes, count), _positions(issue_codes, count), strict=True)
    for n, (keys, own) in enumerate(lines):
        sheets = np.union1d(sheets, rows["source"].take(keys))
        part = _inventory(inventory, keys, issues.take(own), sheets)
        shown = None
        if snapshot is not None:
            shown = _of_part(snapshot, *snapshots[n], findings.rows.take(keys))
        yield _check(findings, part, shown, keys)
        sheets = sheets[:0]


def check_split(by: str) -> None:
    """Raise UsageError unless there can be parts of that."""
    if by not in SPLITS and not (by.isdecimal() and int(by) > 0):
        raise UsageError(f"--by {by}: split by {', '.join(SPLITS)} or a number of parts.")
    check_count(by, int(by) if by.isdecimal() else 1)


def check_count(by: str, count: int) -> None:
    """Raise UsageError if nobody can plan so many parts."""
    if count > MAX_PARTS:
        raise UsageError(f"--by {by} makes {count:,} parts; at most {MAX_PARTS:,} are made.")


# -- which row goes where --------------------------------------------------------------------------
def _labels(findings: Findings, by: str) -> pd.Series:
    """Return the name of each row's part; ``""`` where nobody knows which it belongs to."""
    rows = findings.rows
    check_split(by)
    if by.isdecimal():
        return _equal_parts(rows, int(by))
    project = acting_project(rows)
    project = project.where(fullmatch(project, PROJECT_ID), "")
    label = project if by == "project" else _of_cloud(findings, project, by)
    # Actions of the owner and of the project on one share are compared with each other.
    share = rows.groupby(SHARE_KEY, sort=False).ngroup()
    first = label[label != ""].groupby(share).first()
    return share.map(first).astype(STR).fillna("")


def _of_cloud(findings: Findings, project: pd.Series, by: str) -> pd.Series:
    """Return account or region of the acting project, as its cloud tells it."""
    stated = findings.rows["region"] if by == "region" else pd.Series("", project.index, STR)
    if findings.snapshot is None:
        return stated
    projects = findings.snapshot.projects.set_index("project_id")
    known = projects[by].where(projects[by] != "", projects["cloud"])
    told = look_up(project, known)
    return told.where(told != "", stated)


def _equal_parts(rows: pd.DataFrame, count: int) -> pd.Series:
    """Number parts of equally many shares; those of a project, and of an image, stand together."""
    shares = rows[SHARE_KEY].assign(acts=acting_project(rows)).drop_duplicates(SHARE_KEY)
    shares = shares.sort_values(["acts", "image_id", "project_id"], kind="stable")
    number = np.arange(len(shares)) * count // max(len(shares), 1) + 1
    width = len(str(min(count, max(len(shares), 1))))
    texts = pd.Series(number, shares.index).astype(STR).str.zfill(width)
    return join_lines(rows, shares.assign(part=texts), SHARE_KEY, {"part": ""})["part"]


def _positions(codes: NDArray[np.integer], count: int) -> list[_Positions]:
    """Return for each number from 0 the positions at which it stands, in order."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(count + 1)))[1:-1]


# -- one part --------------------------------------------------------------------------------------
def _inventory(
    inventory: Inventory, keys: _Positions, issues: pd.DataFrame, sheets: NDArray[np.integer]
) -> Inventory:
    """Return some rows as an inventory of their own, with the sheets that they are in."""
    rows = inventory.rows.take(keys).set_axis(pd.RangeIndex(len(keys), name="row_key"))
    number = pd.Series(np.arange(len(sheets)), index=sheets)
    counts = rows["source"].value_counts()
    sources = (replace(inventory.sources[s], rows=int(counts.get(s, 0))) for s in sheets)
    of_sheets = inventory.cell_issues
    of_sheets = of_sheets[(of_sheets["row_key"] < 0) & of_sheets["source"].isin(sheets)]
    issues = issues.assign(row_key=np.searchsorted(keys, issues["row_key"]))
    issues = pd.concat([issues, of_sheets], ignore_index=True)
    texts = {name: rows[name].cat.remove_unused_categories() for name in ("file", "sheet")}
    return Inventory(
        rows.assign(source=rows["source"].map(number).astype("int32"), **texts),
        tuple(sources),
        issues.assign(source=issues["source"].map(number).astype("int32")),
    )


def _check(
    whole: Findings, part: Inventory, snapshot: Snapshot | None, keys: _Positions
) -> Findings:
    """Check a part by itself; what only the whole inventory shows becomes issues of its rows."""
    options = {"strict": whole.strict, "confirm": whole.confirmed}
    found = check(part, snapshot=snapshot, **options)  # type: ignore[arg-type]
    blocked = (whole.rows["disposition"].take(keys) == "blocked").to_numpy(dtype=bool)
    only_there = np.flatnonzero(blocked & (found.rows["disposition"] != "blocked").to_numpy(bool))
    if not only_there.size:
        return found
    issues = [part.cell_issues, _errors(whole, part, keys, only_there)]
    return check(replace(part, cell_issues=concat(issues)), snapshot=snapshot, **options)  # type: ignore[arg-type]


def _errors(
    whole: Findings, part: Inventory, keys: _Positions, positions: _Positions
) -> pd.DataFrame:
    """Return the errors of rows of a part, as issues of its cells."""
    frame = whole.frame[whole.frame["severity"] == "error"]
    frame = frame[frame["row_key"].isin(keys[positions])]
    issues = []
    for (rule, field), lines in frame.groupby(["rule", "field"]):
        said = len(RULES[str(rule)].message.format(field=field))
        details = [text[said:].removeprefix(" (").removesuffix(")") for text in lines["message"]]
        own = np.searchsorted(keys, lines["row_key"])
        of_rule = CellIssues(str(rule), own, str(field), lines["value"], details)
        issues.append(of_rule.to_frame(part.rows["source"].to_numpy()[own]))
    return concat(issues)


# -- what the clouds showed of it ------------------------------------------------------------------
def _split_snapshot(
    snapshot: Snapshot, shares: pd.DataFrame, count: int
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return for each part what its shares' members and owners were shown."""

    def of_parts(lines: pd.DataFrame) -> list[pd.DataFrame]:
        codes = join_lines(lines, shares, SHARE_KEY, {"part": -1})["part"].to_numpy("int64")
        return [lines.take(own) for own in _positions(codes, count)]

    members, owned = of_parts(snapshot.members), of_parts(snapshot.owned)
    return list(zip(members, owned, strict=True))


def _of_part(
    snapshot: Snapshot, members: pd.DataFrame, owned: pd.DataFrame, rows: pd.DataFrame
) -> Snapshot:
    """Return a snapshot of a part's shares, with the projects that act or are shared with."""
    ids = {*rows["project_id"], *rows["owner"]}
    projects, vaults = (
        frame[frame["project_id"].isin(ids)].reset_index(drop=True)
        for frame in (snapshot.projects, snapshot.vaults)
    )
    return replace(
        snapshot, members=members.reset_index(drop=True), owned=owned.reset_index(drop=True),
        projects=projects, vaults=vaults,
    )  # fmt: skip
