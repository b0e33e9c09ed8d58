"""What the reports of an audit say in words: one wording for workbook and page."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from sharekit.audits.results import Audit
from sharekit.core import audit_results
from sharekit.core.actions import ABSENT, PENDING

from .words import STATES, counted, number

TITLE: Final = "Compliance audit of image shares"
#: Results in the order in which somebody should look at them.
PROBLEMS: Final = audit_results.BY_RANK[:7]
#: Column of a report -> what stands in it.
COLUMNS: Final = {
    "file": "the spreadsheet the row was read from; empty for a share that no row names",
    "sheet": "its sheet; empty where the format has none",
    "row": "the row's number in that sheet, as Excel shows it",
    "image_id": "the shared image",
    "project_id": "the project it is shared with",
    "name": "the image's name in the cloud, else in the inventory",
    "owner": "the project that the image belongs to",
    "age_days": "whole days from shared_at to the audit",
    "status": "the decision that the inventory records",
    "observed": "what the cloud shows: pending, accepted, rejected, absent; empty: unknown",
    "result": "what the audit says, in one word",
    "code": "why, as a word for scripts: a rule of the checks, the cloud's code, or a kind of "
    "absence",
    "reason": "why, in a sentence; for absences only what can be observed",
    "seen_by": "whose view that is: of the project, or of the image's owner",
    "image_created_at": "when the image was made (UTC)",
    "shared_at": "when it was shared with the project; empty where that was not looked up",
    "decided_at": "when it was last decided; empty while pending, or where not looked up",
    "carried_by": "the row that stands for a duplicate",
    "input.…": "every original column, unchanged, under its own header",
}
GLOSSARY: Final = {
    "Results: what the audit says of a row or a share": tuple(
        (name, result.meaning) for name, result in audit_results.RESULTS.items()
    ),
    "Kinds of absence, as far as the cloud lets them be told": tuple(
        audit_results.ABSENCES.items()
    ),
    "Changes since an earlier look": tuple(audit_results.CHANGES.items()),
    "States of a share": tuple(STATES.items()),
    "Columns of Rows": tuple(COLUMNS.items()),
}
#: Upper bounds of the ages of shares, in days, and their names.
_AGES: Final = {7: "a week", 30: "30 days", 90: "90 days", 365: "a year", 10**6: "more than a year"}


def headline(audit: Audit) -> str:
    """Return what the audit found, in a few sentences."""
    counts = audit.counts
    if audit.inventory is None:
        shares = sum(counts.values())
        said = f"{counted(shares, 'share')} listed, to begin an inventory with."
    else:
        said = _compared(audit)
    if len(audit.read_errors):
        names = ", ".join(audit.read_errors["cloud"].unique()[:5])
        said += f" Not everything could be read: {names}."
    if missing := audit.projects_without_credentials:
        said += " No cloud that was named gives access to " + ", ".join(missing[:5])
        said += "." if len(missing) <= 5 else f" and {counted(len(missing) - 5, 'more project')}."
    return said


def _compared(audit: Audit) -> str:
    rows = 0 if audit.inventory is None else len(audit.inventory)
    bad = {name: audit.counts[name] for name in PROBLEMS if audit.counts[name]}
    said = f"{number(audit.counts['agrees'])} of {counted(rows, 'row')} agree with the cloud"
    if twice := audit.counts["duplicate"]:
        said += f", {number(twice)} more are carried by one of them"
    if not bad:
        return said + ", and no share is beyond the inventory."
    return said + "; to look at: " + ", ".join(f"{number(n)} × {r}" for r, n in bad.items()) + "."


def facts(audit: Audit) -> dict[str, str]:
    """Return what identifies the audit: name to value."""
    made, projects = audit.environment, audit.survey.projects
    since = audit.baseline
    told = {
        "Taken": audit.survey.taken_at,
        "Agree": "yes" if audit.in_sync else "no",
        "Inventory": _inventory(audit),
        "Projects": f"{counted(len(projects), 'project')}: " + ", ".join(projects["cloud"][:8])
        + (" …" if len(projects) > 8 else ""),
        "Compared with": f"{since.kind} {since.name} of {since.at}, {since.head[:16]}…" if since
        else "",
        "Audited by": " on ".join(filter(None, (made.get("user"), made.get("host")))),
        "Version of sharekit": made.get("sharekit", ""),
        "Fingerprint of the audit": audit.fingerprint,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value}


def _inventory(audit: Audit) -> str:
    if audit.inventory is None:
        return "none: a full listing"
    files = len({source.file for source in audit.inventory.sources})
    return f"{counted(len(audit.inventory), 'row')} from {counted(files, 'file')}"


def sources(audit: Audit) -> pd.DataFrame:
    """Return the sheets that were read: ``file, sheet, rows, sha256``."""
    read = [] if audit.inventory is None else audit.inventory.sources
    lines = [(s.file, s.sheet, s.rows, s.sha256) for s in read]
    frame = pd.DataFrame(lines, columns=["file", "sheet", "rows", "sha256"])
    return frame.astype({"file": "str", "sheet": "str", "rows": "int64", "sha256": "str"})


def rows(audit: Audit) -> pd.DataFrame:
    """Return all rows, what to look at first; ``row`` is missing where no row names the share."""
    number = audit.rows["row"].astype("Int64")
    of = audit.rows.assign(row=number.mask(number == 0))
    rank = of["result"].map({name: rank for rank, name in enumerate(PROBLEMS)})
    order = np.argsort(rank.fillna(len(PROBLEMS)).to_numpy(), kind="stable")
    return of.take(order)


def projects(audit: Audit) -> pd.DataFrame:
    """Return a line for each project: results, shares and what could not be read.

    Columns: ``cloud, project_id, region, api, shares, agree, look_at`` (int64)``, could_not_read``.
    """
    of = audit.survey.projects
    # What a project shares out is its own matter.
    out = audit.rows["result"] == "shared-out"
    whose = audit.rows["project_id"].where(~out, audit.rows["owner"])
    by = pd.crosstab(whose, audit.rows["result"].isin(audit_results.GOOD))
    by = by.reindex(index=of["project_id"], columns=[True, False], fill_value=0)
    shown = audit.survey.shares[audit.survey.shares["state"] != ABSENT]
    shares = shown["project_id"].value_counts().reindex(of["project_id"], fill_value=0)
    told = (
        audit.read_errors.assign(
            said=audit.read_errors["what"]
            + ": "
            + audit.read_errors["code"]
            + ", "
            + audit.read_errors["reason"]
        )
        .set_index("project_id")["said"]
        .to_dict()
    )
    return of[["cloud", "project_id", "region", "api"]].assign(
        shares=shares.to_numpy("int64"),
        agree=by[True].to_numpy("int64"),
        look_at=by[False].to_numpy("int64"),
        could_not_read=[told.get(project, "") for project in of["project_id"]],
    )


def ages(audit: Audit) -> pd.DataFrame:
    """Return how old the shares beyond the inventory are: ``age, shares`` (int64), with zeros."""
    beyond = audit.rows[audit.rows["result"].isin(["unlisted", "shared-out"])]["age_days"]
    names = [f"up to {name}" for name in list(_AGES.values())[:-1]] + [list(_AGES.values())[-1]]
    cut = pd.cut(beyond.dropna().astype("int64"), [-1, *_AGES], labels=names)
    counted_ = cut.value_counts().reindex(names, fill_value=0)
    told = [*counted_.items(), ("not looked up", int(beyond.isna().sum()))]
    frame = pd.DataFrame([t for t in told if t[0] != "not looked up" or t[1]],
                         columns=["age", "shares"])  # fmt: skip
    return frame.astype({"age": "str", "shares": "int64"})


def changed(audit: Audit) -> dict[str, int]:
    """Return each kind of change and how often it was found."""
    by = audit.changes["change"].value_counts()
    return {name: int(by.get(name, 0)) for name in audit_results.CHANGES}


def newly_agreeing(audit: Audit) -> int:
    """Return how many shares did not agree then, and do now."""
    was, now = audit.changes["result_was"], audit.changes["result_now"]
    return int((~was.isin(audit_results.GOOD) & now.isin(audit_results.GOOD)).sum())


def outgoing(audit: Audit) -> pd.DataFrame:
    """Return whom the projects share their own images with, and whether a row says so."""
    out = audit.survey.outgoing
    named = audit.rows.loc[audit.rows["row"] > 0, ["project_id", "image_id"]].drop_duplicates()
    keys = pd.MultiIndex.from_frame(out[["project_id", "image_id"]])
    listed = keys.isin(pd.MultiIndex.from_frame(named))
    columns = ["owner", "image_id", "name", "project_id", "state", "image_created_at", "shared_at",
               "decided_at"]  # fmt: skip
    return out[columns].rename(columns={"project_id": "shared_with"}).assign(in_inventory=listed)


def inventory(audit: Audit) -> pd.DataFrame:
    """Return everything that is shared with the projects as an inventory (all text).

    ``status`` is the decision as it stands, empty where nobody has decided. What follows ``owner``
    only tells. Whether an image is a full-ECS one is not a field here: the cloud says so anew when
    it is planned, and a share that is accepted already needs no vault.
    """
    of = audit.survey.shares[audit.survey.shares["state"] != ABSENT]
    regions = audit.survey.projects.set_index("project_id")["region"]
    told = {
        "image_id": of["image_id"],
        "project_id": of["project_id"],
        "status": of["state"].where(of["state"] != PENDING, ""),
        "vault_id": "",
        "region": of["project_id"].map(regions),
        "name": of["name"],
        "owner": of["owner"],
        "seen as": of["state"],
        "kind": np.where(of["whole_image"] == "true", "full-ECS", ""),
        "image created": of["image_created_at"],
        "shared since": of["shared_at"],
        "last decided": of["decided_at"],
    }
    return pd.DataFrame(told, index=of.index).astype("str").reset_index(drop=True)


def about(audit: Audit) -> list[tuple[str, str]]:
    """Return what a person should know who begins with a full listing."""
    told = [
        ("Taken", audit.survey.taken_at),
        ("What it is", headline(audit)),
        ("status", "the decision as it stands; empty where nobody has decided yet"),
        ("What to do", "fill in or change the column status, then: sharekit plan, with this file"),
        ("Vaults", "to accept an image of the kind full-ECS, its row needs a vault_id"),
        ("Changing nothing", "rows left as they are ask for nothing: they are so already"),
    ]
    unread = audit.read_errors[["cloud", "what", "code", "reason"]].itertuples(index=False)
    told += [(f"Could not be read: {cloud}", f"{what}: {code}, {why}")
             for cloud, what, code, why in unread]  # fmt: skip
    return told
