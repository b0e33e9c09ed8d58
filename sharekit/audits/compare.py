"""Compare an inventory with a survey: a result for every row, and for every share beyond them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from sharekit.checks.findings import Findings, carrier_addresses, first_errors, left_out_rows
from sharekit.clouds.cloud import NO_MEMBERS
from sharekit.clouds.state.survey import Survey
from sharekit.core import frame_schemas
from sharekit.core.actions import ABSENT, MEMBER_STATES, PENDING, UNSHARE
from sharekit.core.columns import STR, are_satisfied, first_case, join_lines
from sharekit.core.fields import GRAMMARS, INPUT_PREFIX, SHARE_KEY
from sharekit.core.rules import LEFT_OUT, RULES

from . import meanings
from .baseline import TIME, Baseline

#: The columns of ``Audit.rows`` that every audit has, in order. Scripts depend on them.
COLUMNS: Final = frame_schemas.AUDIT_ROWS.names
_SEEN: Final = ("seen_by", "name", "owner", "image_created_at", "shared_at", "decided_at")
_OBSERVED: Final = ("state", *_SEEN, "visibility", "unread")


def compare(
    findings: Findings | None, survey: Survey, baseline: Baseline | None = None
) -> pd.DataFrame:
    """Return the rows of an audit (:data:`COLUMNS` and ``input.…``); they depend on nothing else.

    Every row of the inventory comes first, in its order, then every share that no row names.
    """
    shares = _observed_shares(survey)
    if findings is None:
        rows = _unmanaged(shares)
    else:
        listed = _inventory_rows(findings, survey, shares, baseline)
        named = pd.MultiIndex.from_frame(listed[SHARE_KEY].drop_duplicates())
        others = shares[~pd.MultiIndex.from_frame(shares[SHARE_KEY]).isin(named)]
        others = _unmanaged(others)
        others = others.astype({name: listed[name].dtype for name in others if name in listed})
        rows = pd.concat([listed, others], ignore_index=True)
    rows["age_days"] = _age(rows["shared_at"], survey.taken_at)
    originals = [name for name in rows.columns if name.startswith(INPUT_PREFIX)]
    rows = rows[[*COLUMNS, *originals]].rename_axis("row_key")
    return rows.astype({name: STR for name in rows.columns if name not in ("row", "age_days")})


def _observed_shares(survey: Survey) -> pd.DataFrame:
    """Return every share once: as its project shows it, else as the image's owner does."""
    by_project = survey.shares.assign(seen_by="project").astype(STR)
    by_owner = survey.outgoing.assign(seen_by="owner", visibility="").astype(STR)
    shares = pd.concat([by_project, by_owner], ignore_index=True)[[*SHARE_KEY, *_OBSERVED]]
    # What the project shows counts, unless it shows no such share, or nothing at all.
    rank = np.select([shares["state"] == "", shares["state"] == ABSENT], [2, 1])
    shares = shares.take(np.argsort(rank, kind="stable"))
    return shares.drop_duplicates(SHARE_KEY, ignore_index=True)


# -- rows of the inventory ---------------------------------------------------------------------
def _inventory_rows(
    findings: Findings, survey: Survey, shares: pd.DataFrame, baseline: Baseline | None
) -> pd.DataFrame:
    inventory = findings.inventory.rows
    rows = findings.rows[["row", *SHARE_KEY, "status"]].assign(
        named_owner=findings.rows["owner"],
        file=inventory["file"].astype(STR),
        sheet=inventory["sheet"].astype(STR),
    )
    rows["carried_by"] = carrier_addresses(rows, findings.rows["carried_by"])
    joined = join_lines(rows, shares, SHARE_KEY, {})[list(_OBSERVED)].fillna("").astype(STR)
    rows = rows.join(joined).rename(columns={"state": "observed"})
    rows["name"] = rows["name"].where(rows["name"] != "", findings.rows["name"])
    errors = _uncomparable_rows(findings)
    rows["result"] = _results(rows, errors)
    rows["code"], rows["reason"] = _codes(rows, errors, survey, baseline)
    # Of a row that cannot be judged, nothing is claimed to be absent.
    unjudged = rows["result"].isin(["unread", "faulty"]) & (rows["observed"] == ABSENT)
    rows["observed"] = rows["observed"].mask(unjudged, "")
    originals = inventory[[name for name in inventory.columns if name.startswith(INPUT_PREFIX)]]
    kept = [name for name in COLUMNS if name in rows]
    return pd.concat([rows[kept], originals], axis="columns").reset_index(drop=True)


def _results(rows: pd.DataFrame, errors: pd.DataFrame) -> pd.Series:
    state, status = rows["observed"], rows["status"]
    shared = state.isin(MEMBER_STATES)
    # A project sees a public image without a share, and nobody is shown whether there is one.
    visible = rows["visibility"].isin(NO_MEMBERS) & (status != UNSHARE)
    cases = {
        "faulty": rows.index.isin(errors.index),
        "duplicate": rows["carried_by"] != "",
        "agrees": are_satisfied(status, state),
        "undecided": shared & (state == PENDING) & (status != UNSHARE),
        "differs": shared,
        "absent": (state == ABSENT) | visible,
    }
    return pd.Series(first_case(cases, "unread"), index=rows.index, dtype=STR)


def _uncomparable_rows(findings: Findings) -> pd.DataFrame:
    """Return the first error of each row that cannot be compared; an empty decision can be."""
    errors = pd.concat([first_errors(findings, without="vault_id"), left_out_rows(findings)])
    errors = errors[~errors.index.duplicated()]
    # Who owns an image need not be known to see whether it is shared.
    errors = errors[errors["rule"] != "owner-unknown"]
    undecided = findings.rows.loc[errors.index[errors["rule"].isin(["missing", *LEFT_OUT])]]
    comparable = undecided["status"] == ""
    for name in SHARE_KEY:
        comparable &= undecided[name].str.fullmatch(GRAMMARS[name])
    kept: pd.DataFrame = errors.drop(undecided.index[comparable.to_numpy(dtype=bool)])
    return kept


def _codes(
    rows: pd.DataFrame, errors: pd.DataFrame, survey: Survey, baseline: Baseline | None
) -> tuple[pd.Series, pd.Series]:
    """Return code and reason of each row's result."""
    code = pd.Series("", index=rows.index, dtype=STR)
    reason = code.copy()
    code.loc[errors.index], reason.loc[errors.index] = errors["rule"], errors["message"]
    absent = rows["result"] == "absent"
    code[absent] = _absences(rows[absent], survey, baseline)
    reason[absent] = code[absent].map(meanings.ABSENCES)
    differing = rows[rows["result"].isin(["differs", "undecided"])]
    recorded = ("as " + differing["status"]).where(differing["status"] != "", "without a decision")
    reason[differing.index] = "recorded " + recorded + ", the cloud shows " + differing["observed"]
    unread = rows["result"] == "unread"
    projects = survey.projects.set_index("project_id")
    for column, name, default in (
        (code, "code", "no-credentials"),
        (reason, "reason", RULES["no-credentials"].message),
    ):
        column[unread] = rows.loc[unread, "project_id"].map(projects[name]).fillna(default)
    hidden = unread & (rows["unread"] != "")
    code[hidden], reason[hidden] = "not-looked-up", rows.loc[hidden, "unread"]
    duplicate = rows["result"] == "duplicate"
    code[duplicate], reason[duplicate] = "duplicate", RULES["duplicate"].message
    return code.astype(STR), reason.astype(STR)


def _absences(
    rows: pd.DataFrame, survey: Survey, baseline: Baseline | None
) -> pd.api.extensions.ExtensionArray:
    """Return why there is no share, as far as it can be seen: codes of ``ABSENCES``."""
    owned = pd.MultiIndex.from_frame(survey.owned[["owner", "image_id"]])
    own = pd.MultiIndex.from_frame(rows[SHARE_KEY]).isin(owned)
    was_shared = np.zeros(len(rows), dtype=bool)
    if baseline is not None:
        then = baseline.shares[baseline.shares["state"].isin(MEMBER_STATES)]
        keys = pd.MultiIndex.from_frame(then[SHARE_KEY])
        was_shared = pd.MultiIndex.from_frame(rows[SHARE_KEY]).isin(keys)
    cases = {
        "own-image": own | (rows["owner"] == rows["project_id"]).to_numpy(),
        "owner-keeps": rows["image_id"].isin(survey.owned["image_id"]),
        "owner-lacks": rows["named_owner"].isin(survey.complete_owners),
        "visible": rows["visibility"].isin(NO_MEMBERS),
        "was-shared": was_shared,
    }
    return first_case(cases, "not-told")


# -- shares beyond the inventory ---------------------------------------------------------------
def _unmanaged(shares: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of shares that no row of the inventory names."""
    rows = shares[shares["state"].isin(MEMBER_STATES)].rename(columns={"state": "observed"})
    result = pd.Series(np.where(rows["seen_by"] == "owner", "shared-out", "unlisted"), rows.index)
    reasons = {name: meanings.RESULTS[name].meaning for name in ("shared-out", "unlisted")}
    empty = dict.fromkeys(("file", "sheet", "status", "carried_by", "code"), "")
    rows = rows.assign(row=0, result=result, reason=result.map(reasons), **empty)
    return rows.sort_values(SHARE_KEY, kind="stable", ignore_index=True)


def _age(shared_at: pd.Series, now: str) -> pd.Series:
    """Return the whole days since a time; missing where there is none."""
    known = shared_at.where(shared_at.str.fullmatch(TIME), None)
    since = pd.to_datetime(known, utc=True, format="%Y-%m-%dT%H:%M:%SZ", errors="coerce")
    return (pd.Timestamp(now) - since).dt.days.astype("Int64")
