"""Rows that are not what they seem: no share, a second header, columns shifted, rows swallowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sharekit.checks.check import check
from sharekit.checks.findings import Findings, left_out_rows
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.workbooks import IMAGE, OTHER, PROJECT, Rows, by_csv, by_openpyxl

HEADER = ["Image ID", "Project ID", "Remark", "Status"]
FIRST = [IMAGE, PROJECT, "as agreed", "accepted"]
SECOND = [OTHER, PROJECT, "outdated", "rejected"]


def _rules(findings: Findings, severity: str = "") -> list[str]:
    frame = findings.frame
    return frame.loc[
        frame["severity"].isin([severity] if severity else ["error", "info"]), "rule"
    ].tolist()


@pytest.mark.parametrize("write", [by_csv, by_openpyxl])
def test_rows_that_are_no_share_are_left_out(
    write: Callable[[Path, Rows], Path], tmp_path: Path
) -> None:
    """Totals, signatures and notes end as skipped, with one finding for the sheet."""
    rows = [HEADER, FIRST, SECOND, ["", "", "2 images", ""], ["Total", "", "", ""],
            ["Approved by: J. Smith", "", "", ""]]  # fmt: skip
    suffix = "csv" if write is by_csv else "xlsx"
    findings = check(read_inventory(write(tmp_path / f"a.{suffix}", rows)))
    assert findings.rows["disposition"].tolist() == ["planned"] * 2 + ["skipped"] * 3
    assert findings.frame[["rule", "value"]].to_numpy().tolist() == [["no-share", "rows 4, 5, 6"]]
    assert left_out_rows(findings)["rule"].to_dict() == dict.fromkeys([2, 3, 4], "no-share")


def test_a_damaged_share_is_no_remark(tmp_path: Path) -> None:
    """A row with half an ID, a lone word for an image, or an ID in another column is an error."""
    rows = [HEADER, FIRST, ["8659ccbc-9f60 5047", "", "", ""], ["web01", "", "", ""],
            ["", "", OTHER, ""], ["", PROJECT, "", ""], ["Total", "", "", "accepted"]]  # fmt: skip
    findings = check(read_inventory(by_csv(tmp_path / "a.csv", rows)))
    assert findings.rows["disposition"].tolist() == ["planned"] + ["blocked"] * 5


def test_a_reviewer_may_decide_on_a_row_that_was_left_out(tmp_path: Path) -> None:
    """A decision makes a row ask for something again, and then it needs its IDs."""
    rows = [HEADER, FIRST, ["", "", "a note", ""]]
    inventory = read_inventory(by_csv(tmp_path / "a.csv", rows))
    decisions = pd.DataFrame({"decision": ["accept"], "vault_id": [""]}, index=[1])
    findings = check(inventory, decisions=decisions)
    assert findings.rows["disposition"].tolist() == ["planned", "blocked"]
    assert "no-share" not in _rules(findings)
