"""What an audit says of every row of an inventory, and of every share that no row names."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from sharekit.checks.check import Findings, first_errors
from sharekit.clouds.state.survey import Survey
from sharekit.core import audit_results
from sharekit.core.actions import ABSENT, MEMBER_STATES, PENDING, UNSHARE
from sharekit.core.columns import are_satisfied
from sharekit.core.fields import GRAMMARS, INPUT_PREFIX, PROJECT_ID
from sharekit.core.rules import RULES

from .baseline import KEY, Earlier

#: The columns of ``Audit.rows`` that every audit has, in order. Scripts depend on them.
COLUMNS: Final = (
    "file", "sheet", "row", "image_id", "project_id", "name", "owner", "age_days", "status",
    "observed", "result", "code", "reason", "seen_by", "image_created_at", "shared_at",
    "decided_at", "carried_by",
)  # fmt: skip
_VIEW: Final = (
    "state", "seen_by", "name", "owner", "image_created_at", "shared_at", "decided_at", "looked",
)  # fmt: skip
_PLACE: Final = ("file", "sheet", "status", "carried_by")
#: The form of a time in an answer.
_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def assess(findings: Findings | None, seen: Survey, before: Earlier | None = None) -> pd.DataFrame:
    """Return the rows of an audit (:data:`COLUMNS` and ``input.…``): a function of its arguments.

    Every row of the inventory comes first, in its order; then every share that none of them names.
    """
    view = _view(seen)
    rows = _recorded(findings, seen, view, before) if findings is not None else None
    rest = _unlisted(view if rows is None else _beyond(view, rows))
    both = rest if rows is None else pd.concat([rows, rest], ignore_index=True)
    both["age_days"] = _age(both["shared_at"], seen.taken_at)
    originals = [name for name in both.columns if name.startswith(INPUT_PREFIX)]
    both = both[[*COLUMNS, *originals]].rename_axis("row_key")
    return both.astype({name: "str" for name in both.columns if name not in ("row", "age_days")})


def _view(seen: Survey) -> pd.DataFrame:
    """Every share as a project shows it, or else as its owner does; one line each."""
    shares = seen.shares[[*KEY, *_VIEW[2:], "state"]].assign(seen_by="project")
    out = seen.outgoing.assign(seen_by="owner", looked="listed")
    both = pd.concat([shares, out], ignore_index=True)[[*KEY, *_VIEW]]
    # A project's own word counts, unless it has none for the share.
    both["rank"] = (both["state"] == ABSENT).astype("int8")
    both = both.sort_values("rank", kind="stable").drop_duplicates(KEY)
    return both.drop(columns="rank").reset_index(drop=True)


def _recorded(
    findings: Findings, seen: Survey, view: pd.DataFrame, before: Earlier | None
) -> pd.DataFrame:
    inventory = findings.inventory.rows
    rows = findings.rows[["row", "image_id", "project_id", "status", "owner", "name"]].copy()
    rows["named_owner"], rows["named"] = rows.pop("owner"), rows.pop("name")
    for name in ("file", "sheet"):
        rows[name] = inventory[name].astype("str")
    rows["carried_by"] = _carriers(findings, rows)
    rows = rows.join(_looked_up(rows, view))
    rows["name"] = rows["name"].where(rows["name"] != "", rows["named"])
    rows = rows.rename(columns={"state": "observed"})
    # Where the project shows nothing, its owner's list of members tells that there is no share.
    unseen = (rows["observed"] == "") & rows["image_id"].isin(seen.owned["image_id"])
    unseen &= rows["project_id"].str.fullmatch(PROJECT_ID)
    rows.loc[unseen, ["observed", "seen_by"]] = [ABSENT, "owner"]
    rows["result"] = _results(findings, rows, seen)
    rows["code"], rows["reason"] = _codes(findings, rows, seen, before)
    rows.loc[rows["result"].isin(["unread", "faulty"]), "observed"] = rows["observed"].where(
        rows["observed"] != ABSENT, ""
    )
    originals = inventory[[name for name in inventory.columns if name.startswith(INPUT_PREFIX)]]
    kept = ["file", "sheet", "row", *KEY, "status", "result", "code", "reason", "observed"]
    return pd.concat(
        [rows[[*kept, *_VIEW[1:7], "carried_by"]], originals], axis="columns"
    ).reset_index(drop=True)


def _carriers(findings: Findings, rows: pd.DataFrame) -> pd.Series:
    carried = findings.rows["carried_by"].dropna().astype("int64")
    carrier = rows.loc[carried.to_numpy(), ["file", "sheet", "row"]]
    sheet = (", " + carrier["sheet"]).where(carrier["sheet"] != "", "")
    place = carrier["file"] + sheet + ", row " + carrier["row"].astype("str")
    return place.set_axis(carried.index).reindex(rows.index, fill_value="").astype("str")


def _looked_up(rows: pd.DataFrame, view: pd.DataFrame) -> pd.DataFrame:
    found = rows[KEY].merge(view, on=KEY, how="left")[list(_VIEW)].set_axis(rows.index)
    return found.fillna(dict.fromkeys(_VIEW, "")).astype("str")


def _results(findings: Findings, rows: pd.DataFrame, seen: Survey) -> pd.Series:
    state, shared = rows["observed"], rows["observed"].isin(MEMBER_STATES)
    told = _told_apart(findings)
    faulty = rows.index.isin(told.index)
    absent = rows["project_id"].isin(seen.complete_projects) | (state == ABSENT)
    chosen = np.select(
        [
            faulty,
            rows["carried_by"] != "",
            are_satisfied(rows["status"], state) & (shared | absent),
            shared & (state == PENDING) & (rows["status"] != UNSHARE),
            shared,
            absent,
        ],
        ["faulty", "duplicate", "agrees", "undecided", "differs", "absent"],
        "unread",
    )
    return pd.Series(chosen, index=rows.index, dtype="str")


def _told_apart(findings: Findings) -> pd.DataFrame:
    """The first error of each row that cannot be compared; an empty decision can be."""
    errors = first_errors(findings, without="vault_id")
    # Who owns an image need not be known to look whether it is shared.
    errors = errors[errors["rule"] != "owner-unknown"]
    undecided = errors.index[errors["rule"] == "missing"]
    blank = findings.rows.loc[undecided, "status"] == ""
    legal = pd.Series(True, index=undecided)  # noqa: FBT003
    for name in ("image_id", "project_id"):
        legal &= findings.rows.loc[undecided, name].str.fullmatch(GRAMMARS[name])
    kept: pd.DataFrame = errors.drop(undecided[(blank & legal).to_numpy()])
    return kept


def _codes(
    findings: Findings, rows: pd.DataFrame, seen: Survey, before: Earlier | None
) -> tuple[pd.Series, pd.Series]:
    code = pd.Series("", index=rows.index, dtype="str")
    reason = pd.Series("", index=rows.index, dtype="str")
    errors = _told_apart(findings)
    code.loc[errors.index], reason.loc[errors.index] = errors["rule"], errors["message"]
    absent = rows["result"] == "absent"
    code[absent] = _absences(rows[absent], seen, before)
    reason[absent] = code[absent].map(audit_results.ABSENCES)
    otherwise = rows["result"].isin(["differs", "undecided"])
    recorded = rows.loc[otherwise, "status"].where(rows["status"] != "", "without a decision")
    reason[otherwise] = (
        "recorded " + recorded.where(rows["status"] == "", "as " + recorded)
        + ", the cloud shows " + rows.loc[otherwise, "observed"]
    )  # fmt: skip
    unread = rows["result"] == "unread"
    projects = seen.projects.set_index("project_id")
    for name, told in (("code", code), ("reason", reason)):
        default = "no-credentials" if name == "code" else RULES["no-credentials"].message
        known = rows.loc[unread, "project_id"].map(projects[name]).astype("str")
        told[unread] = known.fillna(default)
    double = rows["result"] == "duplicate"
    code[double], reason[double] = "duplicate", RULES["duplicate"].message
    return code.astype("str"), reason.astype("str")


def _absences(rows: pd.DataFrame, seen: Survey, before: Earlier | None) -> npt.NDArray[np.str_]:
    """Why there is no share, as far as it can be told: codes of :data:`drift.ABSENCES`."""
    owned = pd.MultiIndex.from_frame(seen.owned[["owner", "image_id"]])
    of_itself = pd.MultiIndex.from_frame(rows[["project_id", "image_id"]]).isin(owned)
    lacks = rows["named_owner"].isin(seen.complete_owners)
    own = of_itself | (rows["owner"] == rows["project_id"]).to_numpy()
    was = np.zeros(len(rows), dtype=bool)
    if before is not None:
        then = before.shares[before.shares["state"].isin(MEMBER_STATES)]
        was = pd.MultiIndex.from_frame(rows[KEY]).isin(pd.MultiIndex.from_frame(then[KEY]))
    return np.select(
        [
            own,
            rows["image_id"].isin(seen.owned["image_id"]),
            lacks,
            rows["owner"] != "",
            was,
            rows["looked"] == "",
        ],
        ["own-image", "owner-keeps", "owner-lacks", "visible", "was-shared", "not-looked-up"],
        "not-told",
    )


def _beyond(view: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Shares that no row names."""
    known = pd.MultiIndex.from_frame(rows[KEY].drop_duplicates())
    return view[~pd.MultiIndex.from_frame(view[KEY]).isin(known)]


def _unlisted(view: pd.DataFrame) -> pd.DataFrame:
    shares = view[view["state"].isin(MEMBER_STATES)].rename(columns={"state": "observed"})
    shares = shares.assign(
        row=0,
        result=np.where(shares["seen_by"] == "owner", "shared-out", "unlisted"),
        **dict.fromkeys((*_PLACE, "code", "reason"), ""),
    )
    shares["reason"] = shares["result"].map(audit_results.RESULTS)
    return shares.drop(columns="looked").sort_values([*KEY], kind="stable", ignore_index=True)


def _age(shared_at: pd.Series, now: str) -> pd.Series:
    """Whole days since a time; missing where there is none."""
    known = shared_at.where(shared_at.str.fullmatch(_TIME), None)
    since = pd.to_datetime(known, utc=True, format="%Y-%m-%dT%H:%M:%SZ", errors="coerce")
    return (pd.Timestamp(now) - since).dt.days.astype("Int64")
