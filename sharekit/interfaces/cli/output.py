"""Output of the shell: short summaries on stdout, messages on stderr."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sharekit.audits import meanings
from sharekit.core.columns import STR, describe_amount, is_owner_action, with_unit
from sharekit.core.html import escape_invisible, shorten
from sharekit.core.outcomes import FAILURES, FINAL_OK, OUTCOMES, UNSETTLED

if TYPE_CHECKING:
    import pandas as pd

    from sharekit.audits.results import Audit
    from sharekit.checks.findings import Findings
    from sharekit.plans.plan import Plan
    from sharekit.plans.policies.policy import PolicyResult
    from sharekit.runs.status import Run

_STYLE = {"error": "red", "warning": "yellow", "repair": "cyan", "info": "dim"}
#: Findings about whole sheets that are printed for each rule.
_SHEET_NOTES = 3
_GOOD, _BAD, _OPEN = "green", "red", "yellow"


def stdout_console() -> Console:
    """Return the console on stdout, wide enough that no ID is cut when it is not a terminal."""
    console = _console()
    return console if console.is_terminal else _console(width=160)


def _console(**options: Any) -> Console:
    """Return a console; with NO_COLOR nothing on it is bold or dim either."""
    system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(highlight=False, color_system=system, **options)


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
    _console(stderr=True, soft_wrap=True).print(escape(text))


def show_audit(result: Audit, files: Sequence[Path]) -> None:
    """Print an audit's results, the changes since the earlier one, and the files written."""
    console = stdout_console()
    table = _table("result", "rows", "meaning", right=("rows",))
    for name, number in result.counts.items():
        if number:
            style = _GOOD if name in meanings.GOOD else _OPEN if name == "unread" else _BAD
            table.add_row(_styled(name, style), f"{number:,}", meanings.RESULTS[name].meaning)
    if table.row_count:
        console.print(table)
    _show_unread(console, result)
    if result.baseline is not None:
        console.print(f"Since {escape(result.baseline.name)} of {escape(result.baseline.at)}:")
        changed = result.changes["change"].value_counts()
        for change, number in changed.items():
            console.print(f"  {number:,} × {change}: {meanings.CHANGES[str(change)]}")
        if not len(changed):
            console.print("  nothing has changed")
    _show_violations(console, result)
    for path in files:
        console.print(escape(str(path)))


def _show_violations(console: Console, result: Audit) -> None:
    """Print each policy with the shares that violate it, and how many could not be judged."""
    for policy, lines in result.violations.groupby("policy", sort=False):
        name = _inert(policy)
        console.print(f"[red]Violated: {name}: {with_unit(len(lines), 'share')}[/red]")
        for line in lines.head(_SHEET_NOTES).to_dict("records"):
            share = _inert(f"{line['image_id']} in {line['project_id']}")
            console.print(f"  {share}: {line['observed']}, should be {line['should']}")
    for column, lines in result.not_judged.groupby("missing"):
        console.print(
            f"[yellow]Not judged: {with_unit(len(lines), 'share')}, because "
            f"{_inert(column)} is not known[/yellow]"
        )


def _show_unread(console: Console, result: Audit) -> None:
    for line in result.read_errors.head(20).to_dict("records"):
        where = _inert(f"{line['cloud']} ({line['what']})")
        why = _inert(f"{line['code']}: {line['reason']}")
        console.print(f"[yellow]Could not be read: {where}: {why}[/yellow]")
    for project in result.projects_without_credentials[:20]:
        console.print(
            f"[yellow]Not read: project {_inert(project)}: none of the named "
            "clouds gives access to it; name its entry with --cloud NAME too.[/yellow]"
        )


def show_findings(
    findings: Findings, limit: int = 20, written: Path | None = None, ledger: Path | None = None
) -> None:
    """Print the findings: by rule, then the first ones about whole sheets and the first errors.

    ``limit`` is the number of errors printed; ``written`` is the file that holds all findings, if
    there is one, and ``ledger`` the run that they belong to.
    """
    console, frame = stdout_console(), findings.in_shell().frame
    counts = {name: with_unit(n, name.removesuffix("s")) for name, n in findings.counts.items()}
    console.print(
        f"[b]{counts['rows']}[/b]: [red]{counts['errors']}[/red], "
        f"[yellow]{counts['warnings']}[/yellow], {counts['repairs']}"
    )
    if frame.empty:
        return
    _show_rules(console, findings.by_rule)
    errors = frame["severity"] == "error"
    # What concerns a whole sheet is one line among thousands; it must not go unseen.
    for rule, notes in frame[(frame["row_key"] < 0) & ~errors].groupby("rule", sort=False):
        _show_lines(console, notes.head(_SHEET_NOTES))
        if len(notes) > _SHEET_NOTES:
            console.print(f"… and {len(notes) - _SHEET_NOTES:,} more of {rule}.")
    _show_lines(console, frame[errors].head(limit))
    if (left_out := int(errors.sum()) - limit) > 0:
        more = f"… and {with_unit(left_out, 'more error')}"
        where = "`sharekit check … -o FILE` writes all of them"
        if written is not None:
            where = f"all of them are in {_inert(written)}"
        elif ledger is not None:
            name = _inert(ledger)
            where = f"`sharekit report {name} outcomes.csv` lists each row with its own"
        console.print(f"{more}; {where}.")


def _show_rules(console: Console, by_rule: pd.DataFrame) -> None:
    """Print one line for each rule with findings, and their number."""
    rules = _table("severity", "rule", "count", "what is wrong", right=("count",))
    for column in rules.columns[:-1]:
        column.no_wrap = True
    for line in by_rule.to_dict("records"):
        severity = _styled(line["severity"], _STYLE[line["severity"]])
        rules.add_row(severity, line["rule"], f"{line['cells']:,}", escape(line["message"]))
    console.print(rules)


def _show_lines(console: Console, lines: pd.DataFrame) -> None:
    """Print findings one by one: the sheet or cell, its value, what is wrong, and what to do."""
    for line in lines.astype(STR).to_dict("records"):
        cell = line["cell"] or ("row " + line["row"] if line["row"] != "0" else "")
        where = " ".join(filter(None, (line["file"], line["sheet"], cell)))
        shown = line["value"] not in ("", line["sheet"])
        value = f" {shorten(escape_invisible(line['value']))!r}" if shown else ""
        where = _styled(escape_invisible(where), _STYLE[line["severity"]])
        text = f"{line['message']}. {line['suggestion']}".rstrip()
        console.print(f"{where}{escape(value)}: {escape(text)}")


def show_plan(plan: Plan) -> None:
    """Print a plan's counts, its decisions by project, and its fingerprint."""
    console, counts = stdout_console(), plan.counts
    console.print(
        f"[b]{with_unit(counts['rows'], 'row')}[/b]: [b]{counts['planned']:,} planned[/b] in "
        f"{with_unit(counts['chunks'], 'request')}, {counts['already']:,} already so, "
        f"{with_unit(counts['duplicates'], 'duplicate')}, {counts['skipped']:,} skipped, "
        f"[red]{counts['blocked']:,} blocked[/red]"
    )
    if not plan.chunks.empty:
        console.print(_by_project(plan))
    if plan.findings.snapshot is None:
        console.print(
            "[yellow]No cloud was named, so nobody has checked that the images exist.[/yellow]"
        )
    console.print(f"fingerprint [b]{plan.fingerprint}[/b]")


def show_policies(result: PolicyResult) -> None:
    """Print how many rows each policy decided, and how many are left to a person."""
    table = _table("policy", "decision", "rows", right=("rows",))
    for name, then, rows in result.matched.itertuples(index=False, name=None):
        table.add_row(_inert(name), then, f"{rows:,}")
    console = stdout_console()
    console.print(table)
    if lacking := len(result.undecided):
        names = ", ".join(sorted(result.undecided["column"].unique()))
        columns = _inert(names)
        console.print(
            f"[yellow]{with_unit(lacking, 'row')} cannot be judged, because of {columns}: decide "
            "on them yourself.[/yellow]"
        )


def _by_project(plan: Plan) -> Table:
    """Return a table of each project's decisions; for an owner, with the projects shared with."""
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
    table = _table(*heads.values(), right=(what, "requests"))
    for line in by[list(heads)].to_numpy().tolist():
        table.add_row(*(f"{one:,}" if isinstance(one, int) else escape(str(one)) for one in line))
    return table


def show_run(
    run: Run, *, busy: bool = False, approved: Sequence[str] = (), needs_fix: bool = False
) -> None:
    """Print a run's outcomes, and the reasons of failed rows.

    ``busy`` is True if another process is submitting the run, ``needs_fix`` if a person must
    correct something before it can continue.
    """
    console = stdout_console()
    table = _table("outcome", "rows", "meaning", right=("rows",))
    for name, number in run.counts.items():
        if number:
            style = _GOOD if name in FINAL_OK else _OPEN if name in UNSETTLED else _BAD
            table.add_row(_styled(name, style), f"{number:,}", OUTCOMES[name].meaning)
    console.print(table)
    bad = run.rows[run.rows["outcome"].isin(FAILURES)]
    reasons = bad["reason"].value_counts().head(5)
    for reason, number in zip(reasons.index, reasons.tolist(), strict=True):
        console.print(f"  {number:,} × {_inert(reason) or 'no reason given'}")
    _show_moved(console, run.changed_since_plan)
    if run.stopped:
        console.print(f"[yellow]Stopped: {_inert(run.stopped)}[/yellow]")
    if not run.finished:
        first = "Correct what the error names, then: " if needs_fix else ""
        console.print(f"[yellow]{first}{_what_next(run, busy, approved)}[/yellow]")


def _what_next(run: Run, busy: bool, approved: Sequence[str]) -> str:
    from sharekit.runs.status import CANARY

    if busy:
        return (
            "Another process is submitting the run now; rows in flight are unknown until it ends."
        )
    if not run.requests["submit"]:
        if approved:
            names = _inert(", ".join(approved))
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


def _show_moved(console: Console, moved: pd.DataFrame) -> None:
    if moved.empty:
        return
    ways = (moved["moved"] + " → " + moved["before"]).value_counts()
    for way, number in ways.items():
        console.print(f"  {number:,} × changed in the cloud since the plan was made: {way}")


def _table(*heads: str, right: Sequence[str]) -> Table:
    """Return an empty table; the columns named in ``right`` hold numbers."""
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left")
    return table


def _styled(text: str, style: str) -> str:
    return f"[{style}]{escape(text)}[/{style}]"


def _inert(text: object) -> str:
    """Return a text from data, in which nothing is markup and nothing cannot be seen."""
    return escape(escape_invisible(text))
