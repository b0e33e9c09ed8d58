"""Output of the shell: short summaries on stdout, messages on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

import click

from sharekit.audits import meanings
from sharekit.core.columns import STR, describe_amount, is_owner_action, with_unit
from sharekit.core.html import escape_invisible, shorten
from sharekit.core.outcomes import FAILURES, FINAL_OK, OUTCOMES, UNSETTLED

if TYPE_CHECKING:
    import pandas as pd

    from sharekit.audits.results import Audit
    from sharekit.checks.findings import Findings
    from sharekit.fleets.planning import PlannedFleet
    from sharekit.fleets.records import FleetStatus
    from sharekit.plans.plan import Plan
    from sharekit.plans.policies.policy import PolicyResult
    from sharekit.runs.status import Run

_COLORS = {"error": "red", "warning": "yellow", "repair": "cyan", "info": ""}
#: Findings about whole sheets that are printed for each rule.
_SHEET_NOTES = 3
_GOOD, _BAD, _OPEN = "green", "red", "yellow"
#: Characters that the last column of a table has at least, however narrow the terminal is.
_LAST_COLUMN = 20


class _Output:
    """Whether the process prints messages on stderr; the options of the command set it once."""

    quiet = False


def be_quiet(*, quiet: bool) -> None:
    """Leave out messages on stderr, or print them again."""
    _Output.quiet = quiet


def info(text: str) -> None:
    """Print a message on stderr, unless the command is quiet."""
    if not _Output.quiet:
        complain(text)


def complain(text: str) -> None:
    """Print an error or a warning on stderr."""
    _print(text, err=True)


def _print(text: str, *, err: bool = False) -> None:
    """Print a line; with NO_COLOR nothing in it is coloured or bold."""
    click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)


def _inert(text: object, color: str = "", *, bold: bool = False) -> str:
    """Return a text in which nothing is invisible or directs the terminal, but for its colour."""
    return click.style(escape_invisible(text), fg=color or None, bold=bold or None)


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], colors: Sequence[str] = ()
) -> None:
    """Print a table without lines: numbers to the right, and nothing is cut off.

    ``colors`` are those of the rows' first cells. In a terminal the last column is broken at words.
    """
    right = {at for at, one in enumerate(rows[0]) if isinstance(one, int)} if rows else set()
    texts = [list(heads)]
    texts += [[f"{one:,}" if isinstance(one, int) else escape_invisible(one) for one in row]
              for row in rows]  # fmt: skip
    sizes = [max(map(_width, column)) for column in zip(*texts, strict=True)]
    indent = sum(sizes[:-1]) + 2 * len(sizes[:-1])
    room = max(_LAST_COLUMN, get_terminal_size().columns - indent)
    for row, color in zip_longest(texts, ["", *colors], fillvalue=""):
        blanks = [" " * (size - _width(text)) for text, size in zip(row, sizes, strict=True)]
        cells = [blank + text if at in right else text + blank
                 for at, (text, blank) in enumerate(zip(row, blanks, strict=True))]  # fmt: skip
        if sys.stdout.isatty() and len(cells[-1]) > room:
            cells[-1] = f"\n{' ' * indent}".join(wrap(cells[-1], room))
        line = "  ".join(cells).rstrip()
        _print(click.style(line[: sizes[0]], fg=color) + line[sizes[0] :] if color else line)


def _width(text: str) -> int:
    """Return how many places of a terminal a text takes: East Asian characters take two."""
    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def show_audit(result: Audit, files: Sequence[Path]) -> None:
    """Print an audit's results, the changes since the earlier one, and the files written."""
    counts = {name: number for name, number in result.counts.items() if number}
    if counts:
        print_table(
            ("result", "rows", "meaning"),
            [(name, number, meanings.RESULTS[name].meaning) for name, number in counts.items()],
            [_GOOD if name in meanings.GOOD else _OPEN if name == "unread" else _BAD
             for name in counts],
        )  # fmt: skip
    _show_unread(result)
    if result.baseline is not None:
        _print(_inert(f"Since {result.baseline.name} of {result.baseline.at}:"))
        changed = result.changes["change"].value_counts()
        for change, number in changed.items():
            _print(f"  {number:,} × {change}: {meanings.CHANGES[str(change)]}")
        if not len(changed):
            _print("  nothing has changed")
    _show_violations(result)
    for path in files:
        _print(str(path))


def _show_violations(result: Audit) -> None:
    """Print each policy with the shares that violate it, and how many could not be judged."""
    for policy, lines in result.violations.groupby("policy", sort=False):
        _print(_inert(f"Violated: {policy}: {with_unit(len(lines), 'share')}", _BAD))
        for line in lines.head(_SHEET_NOTES).to_dict("records"):
            share = f"{line['image_id']} in {line['project_id']}"
            _print(_inert(f"  {share}: {line['observed']}, should be {line['should']}"))
    for column, lines in result.not_judged.groupby("missing"):
        shares = with_unit(len(lines), "share")
        _print(_inert(f"Not judged: {shares}, because {column} is not known", _OPEN))


def _show_unread(result: Audit) -> None:
    for line in result.read_errors.head(20).to_dict("records"):
        where = f"{line['cloud']} ({line['what']})"
        _print(_inert(f"Could not be read: {where}: {line['code']}: {line['reason']}", _OPEN))
    for project in result.projects_without_credentials[:20]:
        text = (
            f"Not read: project {project}: none of the named clouds gives access to it; name its "
            "entry with --cloud NAME too."
        )
        _print(_inert(text, _OPEN))


def show_findings(
    findings: Findings, limit: int = 20, written: Path | None = None, ledger: Path | None = None
) -> None:
    """Print the findings: by rule, then the first ones about whole sheets and the first errors.

    ``limit`` is the number of errors printed; ``written`` is the file that holds all findings, if
    there is one, and ``ledger`` the run that they belong to.
    """
    frame = findings.in_shell().frame
    counts = {name: with_unit(n, name.removesuffix("s")) for name, n in findings.counts.items()}
    errors, warnings = _inert(counts["errors"], _BAD), _inert(counts["warnings"], _OPEN)
    _print(f"{_inert(counts['rows'], bold=True)}: {errors}, {warnings}, {counts['repairs']}")
    if frame.empty:
        return
    _show_rules(findings.by_rule)
    wrong = frame["severity"] == "error"
    # What concerns a whole sheet is one line among thousands; it must not go unseen.
    for rule, notes in frame[(frame["row_key"] < 0) & ~wrong].groupby("rule", sort=False):
        _show_lines(notes.head(_SHEET_NOTES))
        if len(notes) > _SHEET_NOTES:
            _print(f"… and {len(notes) - _SHEET_NOTES:,} more of {rule}.")
    _show_lines(frame[wrong].head(limit))
    if (left_out := int(wrong.sum()) - limit) > 0:
        more = f"… and {with_unit(left_out, 'more error')}"
        where = "`sharekit check … -o FILE` writes all of them"
        if written is not None:
            where = f"all of them are in {written}"
        elif ledger is not None:
            where = f"`sharekit report {ledger} outcomes.csv` lists each row with its own"
        _print(_inert(f"{more}; {where}."))


def _show_rules(by_rule: pd.DataFrame) -> None:
    """Print one line for each rule with findings, and their number."""
    lines = by_rule[["severity", "rule", "cells", "message"]].to_numpy().tolist()
    heads = ("severity", "rule", "count", "what is wrong")
    print_table(heads, lines, [_COLORS[line[0]] for line in lines])


def _show_lines(lines: pd.DataFrame) -> None:
    """Print findings one by one: the sheet or cell, its value, what is wrong, and what to do."""
    for line in lines.astype(STR).to_dict("records"):
        cell = line["cell"] or ("row " + line["row"] if line["row"] != "0" else "")
        where = " ".join(filter(None, (line["file"], line["sheet"], cell)))
        shown = line["value"] not in ("", line["sheet"])
        value = f" {shorten(escape_invisible(line['value']))!r}" if shown else ""
        text = f"{line['message']}. {line['suggestion']}".rstrip()
        _print(f"{_inert(where, _COLORS[line['severity']])}{value}: {text}")


def show_plan(plan: Plan) -> None:
    """Print a plan's counts, its decisions by project, and its fingerprint."""
    counts = plan.counts
    rows, planned = with_unit(counts["rows"], "row"), f"{counts['planned']:,} planned"
    _print(
        f"{_inert(rows, bold=True)}: {_inert(planned, bold=True)} in "
        f"{with_unit(counts['chunks'], 'request')}, {counts['already']:,} already so, "
        f"{with_unit(counts['duplicates'], 'duplicate')}, {counts['skipped']:,} skipped, "
        + _inert(f"{counts['blocked']:,} blocked", _BAD)
    )
    if not plan.chunks.empty:
        _show_projects(plan)
    if plan.findings.snapshot is None:
        _print(_inert("No cloud was named, so nobody has checked that the images exist.", _OPEN))
    _print(f"fingerprint {_inert(plan.fingerprint, bold=True)}")


def show_fleet_plan(made: PlannedFleet) -> None:
    """Print what each part of a new fleet sends, and the fingerprint of all."""
    names = ("planned", "chunks", "already", "blocked")
    lines = {**made.parts, f"{len(made.parts):,} in all": made.counts}
    print_table(
        ("part", "planned", "requests", "already so", "blocked"),
        [(name, *(counts[one] for one in names)) for name, counts in lines.items()],
    )
    _print(f"fingerprint of the fleet {_inert(made.fingerprint, bold=True)}")
    _print(
        f"Next: sharekit fleet approve {_inert(made.folder)} --reviewer NAME "
        f"--fingerprint {made.fingerprint[:12]}"
    )


def show_fleet(now: FleetStatus) -> None:
    """Print the outcomes of all parts, and the parts with open rows."""
    _show_outcomes(now.counts)
    parts = now.parts
    open_ = parts.loc[parts["open"] > 0, ["part", "open", "what", "approved_by"]]
    if len(open_):
        print_table(("part", "open", "what", "approved by"), open_.to_numpy().tolist())
    done = int(parts["finished"].sum())
    _print(
        f"{done:,} of {with_unit(len(parts), 'part')} finished; fingerprint of the fleet "
        f"{_inert(now.fingerprint, bold=True)}"
    )


def show_policies(result: PolicyResult) -> None:
    """Print how many rows each policy decided, and how many are left to a person."""
    print_table(("policy", "decision", "rows"), result.matched.to_numpy().tolist())
    if lacking := len(result.undecided):
        names = ", ".join(sorted(result.undecided["column"].unique()))
        rows = with_unit(lacking, "row")
        text = f"{rows} cannot be judged, because of {names}: decide on them yourself."
        _print(_inert(text, _OPEN))


def _show_projects(plan: Plan) -> None:
    """Print a table of each project's decisions; for an owner, with the projects shared with."""
    # Loaded here: commands that print no plan need no pandas.
    from sharekit.checks.names import project_labels

    by = plan.by_project
    what = describe_amount(by["status"], 2).split()[-1]
    heads = {"project_id": "project", "status": "decision", "images": what, "requests": "requests"}
    if is_owner_action(by["status"]).any():
        heads["shared_with"] = "shared with"
    if labels := project_labels(by):
        heads["project_name"] = "called"
        by["project_name"] = by["project_id"].map(labels).astype(STR).fillna("")
    print_table(list(heads.values()), by[list(heads)].to_numpy().tolist())


def show_run(run: Run, *, busy: bool = False, needs_fix: bool = False) -> None:
    """Print a run's outcomes, and the reasons of failed rows.

    ``busy`` is True if another process is submitting the run, ``needs_fix`` if a person must
    correct something before it can continue.
    """
    _show_outcomes(run.counts)
    bad = run.outcomes[run.outcomes["outcome"].isin(FAILURES)]
    reasons = bad["reason"].value_counts().head(5)
    for reason, number in zip(reasons.index, reasons.tolist(), strict=True):
        _print(_inert(f"  {number:,} × {reason or 'no reason given'}"))
    _show_moved(run.changed_since_plan)
    if run.stopped:
        _print(_inert(f"Stopped: {run.stopped}", _OPEN))
    if not run.finished:
        first = "Correct what the error names, then: " if needs_fix else ""
        _print(_inert(first + _what_next(run, busy), _OPEN))


def _show_outcomes(counts: Mapping[str, int]) -> None:
    """Print how many rows have which outcome."""
    counts = {name: number for name, number in counts.items() if number}
    print_table(
        ("outcome", "rows", "meaning"),
        [(name, number, OUTCOMES[name].meaning) for name, number in counts.items()],
        [_GOOD if name in FINAL_OK else _OPEN if name in UNSETTLED else _BAD for name in counts],
    )


def _what_next(run: Run, busy: bool) -> str:
    from sharekit.plans.approval import reviewers_of
    from sharekit.runs.status import CANARY

    if busy:
        return (
            "Another process is submitting the run now; rows in flight are unknown until it ends."
        )
    if not run.requests["submit"]:
        if names := ", ".join(reviewers_of(run.path)):
            return f"Nothing was sent yet. Approved by {names}; next: `sharekit submit`."
        return "Nothing was sent yet: `sharekit approve`, then `sharekit submit`."
    if run.stopped_by == CANARY:
        return (
            "Find out why first (`sharekit report`): each further `sharekit submit --canary` "
            "sends the next chunks alone."
        )
    if run.looks_once_more:
        return "The cloud may lag: the same `sharekit submit` looks once more."
    return "Unfinished: run the same `sharekit submit` again."


def _show_moved(moved: pd.DataFrame) -> None:
    if moved.empty:
        return
    ways = (moved["moved"] + " → " + moved["before"]).value_counts()
    for way, number in ways.items():
        _print(f"  {number:,} × changed in the cloud since the plan was made: {way}")
