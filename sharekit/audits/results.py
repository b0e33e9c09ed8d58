"""The result of an audit: every row and share with what the cloud shows, counts and changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import pandas as pd

from sharekit.checks.findings import Findings
from sharekit.checks.names import names_of, project_names
from sharekit.clouds.state.survey import Survey
from sharekit.core.columns import STR, hands_out_copies
from sharekit.core.fields import PROJECT_NAMES, SHARE_KEY
from sharekit.core.frame_schemas import POLICY_CHECK
from sharekit.core.html import table
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.provenance import environment
from sharekit.ledger import parquet
from sharekit.ledger.hashing import digest
from sharekit.plans.policies.policy import Policies
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.row_frames import typed_frame

from . import meanings
from .baseline import Baseline, diff
from .compare import COLUMNS, compare
from .policy_check import check_policies, judge_shares

#: The columns of the rows that the fingerprint of an audit covers.
FINGERPRINT_COLUMNS: Final = (*SHARE_KEY, "status", "result", "code", "observed")


@hands_out_copies("rows", "changes", "policy_lines", "named_rows")
@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """An inventory compared with everything that the clouds show.

    Attributes
    ----------
    findings : Findings or None
        The checked inventory; None without one.
    survey : Survey
        Everything that the projects showed.
    rows : DataFrame
        Every row of the inventory in its order, then every share that no row names: the columns of
        :data:`~.frame_schemas.AUDIT_ROWS`, then the original ones as ``input.<header>``. ``row`` is
        0 where no row names the share, ``age_days`` the whole days since the share was made,
        ``status`` what the inventory records, ``observed`` what the cloud shows (pending, accepted,
        rejected, absent, ``""`` unknown), ``result`` one of
        :data:`sharekit.audits.meanings.RESULTS`, ``seen_by`` the role that showed it.
    changes : DataFrame
        What changed since the ``baseline`` (:data:`~.frame_schemas.CHANGES`): ``change`` is one of
        :data:`sharekit.audits.meanings.CHANGES`.
    baseline : Baseline or None
        The earlier audit or run that it was compared with.
    environment : dict
        Versions, machine and user of the audit.
    policies : Policies or None
        What the shares were tested against.
    """

    findings: Findings | None
    survey: Survey
    rows: pd.DataFrame
    changes: pd.DataFrame
    baseline: Baseline | None = None
    environment: dict[str, str] = field(default_factory=lambda: dict(sorted(environment().items())))
    policies: Policies | None = None

    @property
    def inventory(self) -> Inventory | None:
        """The inventory that was audited, if there was one."""
        return None if self.findings is None else self.findings.inventory

    @shows_progress("making the frame")
    def to_frame(self, *, progress: bool = True) -> pd.DataFrame:
        """Return :attr:`rows` as one typed frame, with the input's own columns.

        Times are UTC, columns of few different values are categories, and where there is nothing a
        value is missing, as ``row`` is where no row of the inventory names the share.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        DataFrame
            By ``row_key``: the input's own columns under their headers, then those of
            :data:`~.frame_schemas.AUDIT_ROWS`, ``project_name`` and ``project_name_source``.

        Examples
        --------
        >>> frame = audit.to_frame()  # doctest: +SKIP
        >>> frame.groupby("result", observed=True)["age_days"].max()  # doctest: +SKIP
        """
        rows = self.named_rows
        columns = {name: rows[name] for name in (*COLUMNS, *PROJECT_NAMES)}
        number = columns["row"]
        columns["row"] = number.astype(STR if number.dtype == STR else "Int64").mask(
            rows["file"] == ""
        )
        return typed_frame(rows, columns, self.inventory)

    @cached_property
    def named_rows(self) -> pd.DataFrame:
        """:attr:`rows` with what projects are called, and who told it, before the input's columns.

        The ledger holds what told the names, so that these columns follow from it.
        """
        rows, ids = self.rows, self.rows["project_id"]
        names = names_of(ids, project_names(rows, ids, self.survey))
        own = [name for name in rows.columns if name not in COLUMNS]
        return rows.assign(**names)[[*COLUMNS, *PROJECT_NAMES, *own]]

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by result: every name of :data:`sharekit.audits.meanings.RESULTS`."""
        by = self.rows["result"].value_counts()
        return {name: int(by.get(name, 0)) for name in meanings.RESULTS}

    @property
    def drift(self) -> int:
        """Number of rows and shares that differ from the inventory; 0 without one."""
        if self.findings is None:
            return 0
        return sum(number for name, number in self.counts.items() if name in meanings.DRIFT)

    @property
    def read_errors(self) -> pd.DataFrame:
        """What could not be read: ``cloud, project_id, what, code, reason``."""
        projects = self.survey.projects
        shares = projects["code"] != ""
        # Where the shares cannot be read either, one line is enough.
        own = ~projects["owner_code"].isin(["", "not asked"]) & ~shares
        parts = [
            projects.loc[failed, ["cloud", "project_id", f"{prefix}code", f"{prefix}reason"]]
            .set_axis(["cloud", "project_id", "code", "reason"], axis="columns")
            .assign(what=what)
            for failed, what, prefix in ((shares, "shares", ""), (own, "own images", "owner_"))
        ]
        return pd.concat(parts, ignore_index=True).astype(STR)

    @property
    def projects_without_credentials(self) -> list[str]:
        """The projects of the inventory that no given cloud gives access to."""
        unread = (self.rows["result"] == "unread") & (self.rows["code"] == "no-credentials")
        return sorted(self.rows.loc[unread, "project_id"].unique().tolist())

    @property
    def in_sync(self) -> bool:
        """Whether inventory and clouds agree in every row, and every project could be read."""
        counts = {} if self.findings is None else self.counts
        differing = any(n for name, n in counts.items() if name not in meanings.GOOD)
        return not differing and self.read_errors.empty

    @cached_property
    def policy_lines(self) -> pd.DataFrame:
        """The shares of :attr:`violations`, then those of :attr:`not_judged`."""
        if self.policies is None:
            return POLICY_CHECK.make_frame()
        return check_policies(self.rows, self.survey, self.policies)

    @property
    def violations(self) -> pd.DataFrame:
        """The shares that are not as a policy says (:data:`~.frame_schemas.POLICY_CHECK`)."""
        lines = self.policy_lines
        return lines[lines["verdict"] == "violation"].reset_index(drop=True)

    @property
    def not_judged(self) -> pd.DataFrame:
        """The shares of which a policy asks what is not known; ``missing`` is that column."""
        lines = self.policy_lines
        return lines[lines["verdict"] == "not-judged"].reset_index(drop=True)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the result of every row and share."""
        return digest(parquet.iter_rows(self.rows, FINGERPRINT_COLUMNS))

    @property
    def summary(self) -> dict[str, Any]:
        """What ``sharekit audit --json`` prints, without the names of the files."""
        changed = self.changes["change"].value_counts()
        return {
            "rows": 0 if self.inventory is None else len(self.inventory),
            "shares": len(self.survey.shown),
            "results": self.counts,
            "drift": self.drift,
            "good": self.in_sync,
            "unread": self.read_errors.to_dict("records"),
            "unasked": self.projects_without_credentials,
            "since": "" if self.baseline is None else self.baseline.name,
            "changes": {name: int(changed.get(name, 0)) for name in meanings.CHANGES},
            "taken_at": self.survey.taken_at,
            "fingerprint": self.fingerprint,
            **self._policy_summary,
        }

    @property
    def _policy_summary(self) -> dict[str, Any]:
        if self.policies is None:
            return {}
        by = self.violations["policy"].value_counts()
        names = [*(policy.name for policy in self.policies.policies), "otherwise"]
        return {
            "policies": {name: int(by.get(name, 0)) for name in names},
            "policies_sha256": self.policies.fingerprint,
            "violations": len(self.violations),
            "not_judged": len(self.not_judged),
        }

    def __repr__(self) -> str:
        numbers = ", ".join(f"{n:,} {name}" for name, n in self.counts.items() if n)
        return f"<Audit: {numbers or 'no share at all'}>"

    def _repr_html_(self) -> str:
        counted = [
            (name, number, meanings.RESULTS[name].meaning)
            for name, number in self.counts.items()
            if number
        ]
        overview = pd.DataFrame(counted, columns=["result", "rows", "meaning"])
        page = table(overview, title=repr(self)[1:-1])
        differing = self.rows[~self.rows["result"].isin(meanings.GOOD)]
        names = ["result", "image_id", "project_id", "status", "observed", "name", "reason"]
        for title, frame in (
            ("Rows and shares to look at", differing[names]),
            ("Projects that could not be read", self.read_errors),
            ("What changed", self.changes),
            ("Violations of policies", self.violations),
            ("Notes on policies", pd.DataFrame({"note": policy_notes(self)})),
        ):
            page += table(frame, title=title, limit=10) if len(frame) else ""
        return page


def policy_notes(audit: Audit) -> tuple[str, ...]:
    """Return what is odd about the conditions of an audit's policies, in words."""
    if audit.policies is None:
        return ()
    return judge_shares(audit.rows, audit.survey, audit.policies)[1].notes


def build_audit(
    findings: Findings | None, survey: Survey, baseline: Baseline | None,
    policies: Policies | None = None,
) -> Audit:  # fmt: skip
    """Return the audit that follows from a checked inventory, a survey and a baseline."""
    rows = compare(findings, survey, baseline)
    changes = diff(baseline, rows, survey)
    return Audit(findings, survey, rows, changes, baseline, policies=policies)
