"""Make the report document of an audit: sentences, tables and links."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from sharekit.audits.baseline import Baseline
from sharekit.audits.meanings import ABSENCES, BY_RANK, CHANGES, GOOD, RESULTS
from sharekit.audits.results import Audit
from sharekit.checks.findings import COLUMNS as FINDING_COLUMNS
from sharekit.checks.names import project_labels
from sharekit.core.actions import PENDING, STATUSES
from sharekit.core.columns import STR, look_up, with_unit
from sharekit.core.fields import SHARE_KEY, STATE_COLUMN
from sharekit.core.frame_schemas import POLICY_CHECK
from sharekit.plans.policies.policy import Policies, Policy

from .document import LINES, ROWS, Column, Line, Notes, ReportDocument, Section, Table, Target
from .wording import PROJECT_NAME_COLUMNS, STATES, as_text, first_lines, glossary, pairs

TITLE: Final = "Compliance audit of image shares"
#: Column of a report -> what it holds.
COLUMNS: Final = {
    "file": "the spreadsheet the row was read from; empty for a share that no row names",
    "sheet": "the sheet in that file; empty if the format has no sheets",
    "row": "the row's number in that sheet, as Excel shows it; of a DataFrame its index label",
    "image_id": "the ID of the shared image",
    "project_id": "the ID of the project that the image is shared with",
    "name": "the name of the image in the cloud, or else in the inventory",
    "owner": "the ID of the project that owns the image",
    "age_days": "the number of whole days from shared_at to the audit",
    "status": "the decision in the inventory",
    "observed": "the share's state in the cloud: pending, accepted, rejected or absent; empty if "
    "unknown",
    "result": "the result of the audit, in one word",
    "code": "the reason for scripts: a rule of the checks, the cloud's error code, or a kind of "
    "absence",
    "reason": "the reason in a sentence; for an absent share, what the cloud lets an audit see",
    "seen_by": "whose sign-in showed the state: member (the project) or owner",
    "image_created_at": "the time (UTC) at which the image was created",
    "shared_at": "the time (UTC) at which the image was shared with the project; empty if not read",
    "decided_at": "the time (UTC) of the last decision; empty while pending, or if not read",
    "carried_by": "for a duplicate: the row with the same share and decision",
    **PROJECT_NAME_COLUMNS,
    "input.…": "every original column, unchanged, under its own header",
}
GLOSSARY: Final = {
    "Results: what the audit says of a row or a share": {
        name: result.meaning for name, result in RESULTS.items()
    },
    "Kinds of absence, as far as the cloud lets them be told": ABSENCES,
    "Changes since an earlier look": CHANGES,
    "States of a share": STATES,
    "Columns of Rows": COLUMNS,
}
#: Column of the list of policies -> what it holds, where it is no column of the rows.
_POLICY_COLUMNS: Final = {
    "verdict": "violation: the share is not as the policy says; not-judged: what the policy asks "
    "is not known of it",
    "policy": "the first policy whose conditions the share meets, or that could not be judged",
    "should": "the state that the policy says: accepted, rejected or absent",
    "missing": "for not-judged: the column that is not known",
}
#: Upper bounds of the ages of shares, in days, and their names.
_AGES: Final = {
    7: "up to a week", 30: "up to 30 days", 90: "up to 90 days", 365: "up to a year",
    10**6: "more than a year",
}  # fmt: skip


def audit_document(audit: Audit) -> ReportDocument:
    """Return what a report says of an audit.

    Of an audit without an inventory, the csv file and the workbook are an inventory to begin with.
    """
    listing = audit.inventory is None
    return ReportDocument(
        title=TITLE,
        headline=headline(audit),
        fingerprint=audit.fingerprint,
        created=audit.survey.taken_at,
        colors={name: result.color for name, result in RESULTS.items()},
        origin="An audit only reads: it changes nothing in any cloud.",
        rows=inventory(audit) if listing else audit.named_rows,
        values=audit.summary,
        arrays={
            "changed": audit.changes, "outgoing": audit.survey.shared_out,
            "lines": audit.named_rows,
            **({} if audit.policies is None else {"policy_lines": _policy_lines(audit)}),
        },
        sections=lambda: _sections(audit),
        sheets=lambda: _sheets(audit),
        page_order=("Policies", "Changes", "Projects", "Rows", "Shared out", "Environment",
                    "Glossary"),
        inventory=(lambda: _inventory_sheets(audit)) if listing else None,
    )  # fmt: skip


# -- sentences ---------------------------------------------------------------------------------
def headline(audit: Audit) -> str:
    """Return what the audit found, in a few sentences."""
    if audit.inventory is None:
        shares = sum(audit.counts.values())
        text = f"{with_unit(shares, 'share')} listed, to begin an inventory with."
    else:
        text = _agreement(audit, len(audit.inventory))
    if len(audit.read_errors):
        names = ", ".join(audit.read_errors["cloud"].unique()[:5])
        text += f" Not everything could be read: {names}."
    if audit.policies is not None:
        text += (
            f" {with_unit(len(audit.violations), 'violation')} of policies; "
            f"{with_unit(len(audit.not_judged), 'share')} not judged."
        )
    if missing := audit.projects_without_credentials:
        text += " No cloud that was named gives access to " + ", ".join(missing[:5])
        more = f" and {with_unit(len(missing) - 5, 'more project')}"
        text += f"{more if len(missing) > 5 else ''}."
    return text


def _agreement(audit: Audit, rows: int) -> str:
    counts = audit.counts
    text = f"{counts['agrees']:,} of {with_unit(rows, 'row')} agree with the cloud"
    if counts["duplicate"]:
        text += f", {counts['duplicate']:,} more are carried by one of them"
    unlike = [f"{counts[n]:,} × {n}" for n in BY_RANK if n not in GOOD and counts[n]]
    if not unlike:
        return text + ", and no share is beyond the inventory."
    return f"{text}; to look at: {', '.join(unlike)}."


def facts(audit: Audit) -> dict[str, str]:
    """Return what identifies the audit: name to value."""
    made, projects, since = audit.environment, audit.survey.projects, audit.baseline
    some = ", ".join(projects["cloud"][:8]) + (" …" if len(projects) > 8 else "")
    known = {
        "Taken": audit.survey.taken_at,
        "Agree": "yes" if audit.in_sync else "no",
        "Inventory": _inventory_fact(audit),
        "Projects": f"{with_unit(len(projects), 'project')}: {some}",
        "Compared with": f"{since.kind} {since.name} of {since.at}, {since.head[:16]}…" if since
        else "",
        "Audited by": " on ".join(filter(None, (made.get("user"), made.get("host")))),
        "Version of sharekit": made.get("sharekit", ""),
        "Fingerprint of the audit": audit.fingerprint,
    }  # fmt: skip
    return {name: value for name, value in known.items() if value}


def _inventory_fact(audit: Audit) -> str:
    if audit.inventory is None:
        return "none: a full listing"
    files = len({source.file for source in audit.inventory.sources})
    return f"{with_unit(len(audit.inventory), 'row')} from {with_unit(files, 'file')}"


# -- the summary -------------------------------------------------------------------------------
def _sections(audit: Audit) -> list[Section]:
    """Return the sections, each result and change with a link to its first line."""
    first = _targets("Rows", _ranked(audit), "result")
    unread = audit.read_errors[["cloud", "what", "code", "reason"]].itertuples(index=False)
    ages = _ages(audit)
    sections = [
        Section("The audit", [Line(name, value) for name, value in facts(audit).items()]),
        Section(
            "Could not be read",
            [Line(cloud, what, f"{code}: {why}", Target("Projects"))
             for cloud, what, code, why in unread],
        ),
        Section(
            "Results",
            [*(Line(name, number, RESULTS[name].meaning, first.get(name))
               for name, number in audit.counts.items()),
             Line("all rows and shares", len(audit.rows), "", Target("Rows"))],
            "Rows of the inventory and shares beyond it. A number leads to the first of them.",
            bars="Rows and shares by result", total=True,
        ),
        Section(
            "Shares beyond the inventory, by the days since they were shared",
            [Line(age, number) for age, number in ages.items()],
            bars="Shares by age" if any(ages.values()) else "", color="unlisted",
        ),
    ]  # fmt: skip
    if audit.policies is not None:
        sections.append(_policy_section(audit, audit.policies))
    if audit.baseline is not None:
        sections.append(_change_section(audit, audit.baseline))
    return [section for section in sections if section.lines]


def _policy_section(audit: Audit, policies: Policies) -> Section:
    counts = audit.violations["policy"].value_counts()
    first = _targets("Policies", _policy_lines(audit), "policy")
    rest = Policy("otherwise", policies.otherwise)
    lines = [
        *(Line(one.name, int(counts.get(one.name, 0)), f"then: {one.decision}",
               first.get(one.name) if one.name in counts else None)
          for one in (*policies.policies, rest)),
        Line("not judged", len(audit.not_judged), "what a policy asks for is not known of them"),
    ]  # fmt: skip
    return Section(
        "Violations of policies", lines,
        "A policy says what a share has to be that meets its conditions; the first that matches "
        f"counts. SHA-256 of the policies: {policies.fingerprint[:12]}.",
    )  # fmt: skip


def _policy_lines(audit: Audit) -> pd.DataFrame:
    """Return the violations, then what was not judged, as a report lists them."""
    lines = audit.policy_lines
    number = lines["row"] if lines["row"].dtype == STR else lines["row"].astype("Int64")
    return lines.assign(row=number.mask(lines["file"] == ""))


def _change_section(audit: Audit, baseline: Baseline) -> Section:
    first = _targets("Changes", audit.changes, "change")
    counts = audit.changes["change"].value_counts()
    was, now = (audit.changes[name].isin(GOOD) for name in ("result_was", "result_now"))
    lines = [
        *(Line(name, int(counts.get(name, 0)), meaning, first.get(name))
          for name, meaning in CHANGES.items()),
        Line("newly agreeing", int((~was & now).sum()), "did not agree then, and do now"),
    ]  # fmt: skip
    own = " A run knows of its own rows only." if baseline.kind == "run" else ""
    note = f"Compared with the {baseline.kind} {baseline.name} of {baseline.at}.{own}"
    return Section("Changes", lines, note)


def _targets(table: str, frame: pd.DataFrame, column: str) -> dict[str, Target]:
    """Return the first line that has each word."""
    return {word: Target(table, line) for word, line in first_lines(frame, column).items()}


def _ages(audit: Audit) -> dict[str, int]:
    """Return how old the shares beyond the inventory are: name of the age to their number."""
    beyond = audit.rows[audit.rows["result"].isin(["unlisted", "shared-out"])]["age_days"]
    cut = pd.cut(beyond.dropna().astype("int64"), [-1, *_AGES], labels=list(_AGES.values()))
    counts = {str(name): int(number) for name, number in cut.value_counts(sort=False).items()}
    unknown = int(beyond.isna().sum())
    return counts | ({"not looked up": unknown} if unknown else {})


# -- tables ------------------------------------------------------------------------------------
def _sheets(audit: Audit) -> list[Table | Notes]:
    environment = {
        "Environment": pairs(audit.environment.items(), "name", "value"),
        "Sources": _sources(audit),
    }
    return [
        _rows(audit),
        *([_policies(audit)] if audit.policies is not None else []),
        *([_changes(audit)] if audit.baseline is not None else []),
        _outgoing(audit),
        _projects(audit),
        *([Table("Findings", audit.findings.frame[list(FINDING_COLUMNS)])]
          if audit.findings is not None else []),
        Notes("Environment", environment, cuts=True),
        Notes("Glossary", glossary(GLOSSARY | _policy_words(audit))),
    ]  # fmt: skip


def _policy_words(audit: Audit) -> dict[str, dict[str, str]]:
    """Return what the columns of the list of policies hold, if there is one."""
    words = COLUMNS | _POLICY_COLUMNS
    if audit.policies is None:
        return {}
    return {"Columns of Policies": {name: words[name] for name in POLICY_CHECK.names}}


def _inventory_sheets(audit: Audit) -> list[Table | Notes]:
    about = {
        "About this list": pairs(_about(audit), "what", "it says"),
        "What each project shows": projects(audit),
        **glossary(_policy_words(audit)),
    }
    return [
        Table("Shares", inventory(audit), choices={"status": STATUSES}),
        *([_policies(audit)] if audit.policies is not None else []),
        Notes("About", about, portrait=False),
    ]


def _head(frame: pd.DataFrame) -> pd.DataFrame:
    return as_text(frame.head(LINES)).reset_index(drop=True)


def _ranked(audit: Audit) -> pd.DataFrame:
    """Return all rows, what to look at first; ``row`` is missing where no row names the share."""
    rows = audit.named_rows
    number = rows["row"] if rows["row"].dtype == STR else rows["row"].astype("Int64")
    rows = rows.assign(row=number.mask(rows["file"] == ""))
    rank = rows["result"].map({name: result.rank for name, result in RESULTS.items()})
    return rows.take(np.argsort(rank.to_numpy(), kind="stable"))


def _rows(audit: Audit) -> Table:
    frame = _ranked(audit)
    labels = project_labels(frame)

    def shown() -> pd.DataFrame:
        rows = frame.head(ROWS).reset_index(drop=True)
        sheet = rows["sheet"].where(rows["sheet"] != "", rows["file"])
        states = rows["status"].replace("", "–") + " → " + rows["observed"].replace("", "–")
        carried = (": " + rows["carried_by"]).where(rows["carried_by"] != "", "")
        return rows.assign(
            address=(sheet + ", row " + rows["row"].astype(STR)).where(rows["row"].notna(), "–"),
            states=states,
            role=rows["seen_by"].map({"owner": "as its owner sees it"}).fillna("").astype(STR),
            why=rows["reason"] + carried,
            shared=rows["shared_at"].replace("", "–"),
            days=rows["age_days"].astype(STR).fillna(""),
            project=rows["project_id"].map(labels).astype(STR).fillna(""),
        )

    return Table(
        "Rows", frame, printed_through="reason", shown=shown,
        page_note="What is to be looked at first, then what agrees, in the order of the inventory. "
        "The original columns are in the workbook.",
        columns=(
            Column("Where", "address", style="short"),
            Column("Image and project", "image_id", "project_id", "id"),
            *([Column("Project", "project", "project_name_source")] if labels else []),
            Column("Result", "result", style="word"), Column("Recorded → shown", "states", "role"),
            Column("Why", "code", "why"), Column("Name and owner", "name", "owner", "detail-id"),
            Column("Shared, decided (UTC)", "shared", "decided_at", "time"), Column("Days", "days"),
        ),
    )  # fmt: skip


def _policies(audit: Audit) -> Table:
    frame = _policy_lines(audit)

    def shown() -> pd.DataFrame:
        lines = _head(frame)
        return lines.assign(
            states=lines["should"].replace("", "–") + " → " + lines["observed"].replace("", "–"),
            why=("not known: " + lines["missing"]).where(lines["missing"] != "", ""),
        )

    return Table(
        "Policies", frame, shown=shown, empty="Every share was judged, and is as the policies say.",
        columns=(
            Column("Verdict", "verdict", "why"), Column("Policy", "policy"),
            Column("Image and project", "image_id", "project_id", "id"),
            Column("Should be → is", "states"),
            Column("Name and owner", "name", "owner", "detail-id"),
            Column("Shared, decided (UTC)", "shared_at", "decided_at", "time"),
        ),
    )  # fmt: skip


def _changes(audit: Audit) -> Table:
    def shown() -> pd.DataFrame:
        lines = _head(audit.changes)
        old = lines[["was", "now", "result_was", "result_now"]].replace("", "–")
        return lines.assign(
            states=old["was"] + " → " + old["now"],
            results=old["result_was"] + " → " + old["result_now"],
        )

    return Table(
        "Changes", audit.changes, shown=shown,
        columns=(
            Column("Change", "change"), Column("Image and project", "image_id", "project_id", "id"),
            Column("Was → now", "states"), Column("Result then → now", "results"),
            Column("Name and owner", "name", "owner", "detail-id"),
        ),
    )  # fmt: skip


def _outgoing(audit: Audit) -> Table:
    """Return whom the projects share their own images with, and whether a row says so."""
    outgoing = audit.survey.shared_out
    named = audit.rows.loc[audit.rows["file"] != "", SHARE_KEY].drop_duplicates()
    keys = pd.MultiIndex.from_frame(outgoing[SHARE_KEY])
    listed = keys.isin(pd.MultiIndex.from_frame(named))
    columns = ["owner", "image_id", "name", "project_id", "state", "image_created_at", "shared_at",
               "decided_at"]  # fmt: skip
    renamed = outgoing[columns].rename(columns={"project_id": "shared_with"})
    frame = renamed.assign(in_inventory=listed)
    return Table(
        "Shared out", frame,
        shown=lambda: _head(frame).replace({"in_inventory": {"": "no"}}),
        columns=(
            Column("Image", "name", "image_id", "detail-id"), Column("Owner", "owner", style="id"),
            Column("Shared with", "shared_with", style="id"), Column("State", "state"),
            Column("Shared, decided (UTC)", "shared_at", "decided_at", "time"),
            Column("In the inventory", "in_inventory"),
        ),
    )  # fmt: skip


def projects(audit: Audit) -> pd.DataFrame:
    """Return a line for each project: results, shares and what could not be read.

    Columns: ``cloud, project_id, region, api, shares, agree, look_at`` (int64)``, could_not_read,
    name, name_source``, and ``acts_as`` if an administrator acts for any of them.
    """
    known = audit.survey.projects
    # What a project shares out is its own matter.
    out = audit.rows["result"] == "shared-out"
    responsible = audit.rows["project_id"].where(~out, audit.rows["owner"])
    agreeing = pd.crosstab(responsible, audit.rows["result"].isin(GOOD))
    agreeing = agreeing.reindex(index=known["project_id"], columns=[True, False], fill_value=0)
    shown = audit.survey.shown
    shares = shown["project_id"].value_counts().reindex(known["project_id"], fill_value=0)
    unread = audit.read_errors
    reasons = unread["what"] + ": " + unread["code"] + ", " + unread["reason"]
    by_project = dict(zip(unread["project_id"], reasons, strict=True))
    acts_as = {"acts_as": known["acts_as"]} if (known["acts_as"] != "").any() else {}
    return known[["cloud", "project_id", "region", "api"]].assign(
        shares=shares.to_numpy("int64"),
        agree=agreeing[True].to_numpy("int64"),
        look_at=agreeing[False].to_numpy("int64"),
        could_not_read=[by_project.get(project, "") for project in known["project_id"]],
        name=known["name"],
        name_source=known["name_source"],
        **acts_as,
    )


def _projects(audit: Audit) -> Table:
    frame = projects(audit)
    return Table(
        "Projects", frame, shown=lambda: _head(frame),
        columns=(
            Column("Cloud and project", "cloud", "project_id", "detail-id"),
            Column("Name of the project", "name", "name_source"),
            Column("Region, call", "region", "api"), Column("Shares shown", "shares"),
            Column("To look at", "look_at"), Column("Agree", "agree"),
            Column("Of all", bars=(("look_at", "differs"), ("agree", "agrees"))),
            Column("Could not be read", "could_not_read"),
            *([Column("Read as administrator of", "acts_as")] if "acts_as" in frame else ()),
        ),
    )  # fmt: skip


def _sources(audit: Audit) -> pd.DataFrame:
    """Return the sheets that were read: ``file, sheet, rows, sha256``."""
    read = [] if audit.inventory is None else audit.inventory.sources
    lines = [(source.file, source.sheet, source.rows, source.sha256) for source in read]
    frame = pd.DataFrame(lines, columns=["file", "sheet", "rows", "sha256"])
    return frame.astype({"file": STR, "sheet": STR, "rows": "int64", "sha256": STR})


# -- an inventory to begin with ----------------------------------------------------------------
def inventory(audit: Audit) -> pd.DataFrame:
    """Return everything that is shared with the projects as an inventory (all text).

    ``status`` is the decision as it stands, empty where nobody has decided. What follows ``owner``
    only tells. Whether an image is a full-ECS one is not a field here: the cloud says so anew when
    it is planned, and a share that is accepted already needs no vault.
    """
    shares = audit.survey.shown
    projects = audit.survey.projects.set_index("project_id")
    regions, names = projects["region"], projects["name"]
    columns = {
        "image_id": shares["image_id"],
        "project_id": shares["project_id"],
        "status": shares["state"].where(shares["state"] != PENDING, ""),
        "vault_id": "",
        "region": shares["project_id"].map(regions),
        "name": shares["name"],
        "owner": shares["owner"],
        "project name": look_up(shares["project_id"], names),
        STATE_COLUMN: shares["state"],
        "kind": np.where(shares["whole_image"] == "true", "full-ECS", ""),
        "image created": shares["image_created_at"],
        "shared since": shares["shared_at"],
        "last decided": shares["decided_at"],
    }
    return pd.DataFrame(columns, index=shares.index).astype(STR).reset_index(drop=True)


def _about(audit: Audit) -> Iterable[tuple[str, str]]:
    """Yield what a person should know who begins with a full listing."""
    yield "Taken", audit.survey.taken_at
    yield "What it is", headline(audit)
    yield "status", "the decision as it stands; empty where nobody has decided yet"
    yield "What to do", "fill in or change the column status, then: sharekit plan, with this file"
    yield "Vaults", "to accept an image of the kind full-ECS, its row needs a vault_id"
    yield "Changing nothing", "rows left as they are ask for nothing: they are so already"
    unread = audit.read_errors[["cloud", "what", "code", "reason"]]
    for cloud, what, code, why in unread.itertuples(index=False):
        yield f"Could not be read: {cloud}", f"{what}: {code}, {why}"
