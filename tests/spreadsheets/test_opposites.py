"""Columns, tables and sheets that say the opposite of what would be planned."""

from __future__ import annotations

from pathlib import Path

import pytest

import sharekit
from tests.spreadsheets.test_headers import IMAGE, OTHER, PROJECT, planned, workbook, write


@pytest.mark.parametrize(
    ("used", "other"),
    [
        ("Decision (draft)", "Final status"),
        *(
            ("Decision", other)
            for other in (
                "Final status", "Approved status", "Agreed status", "Status (new)",
                "Member status (wanted)", "Status corrected", "Status (corrected)",
                "Status after review", "Endgültiger Status", "Final answer", "Final state",
                "Corrected", "Statut définitif", "最终状态", "Status of the board", "Wanted",
            )
        ),
        *(
            (used, "Status")
            for used in (
                "Decision (draft)", "Decision (superseded)", "Decision (do not use)",
                "Decision (obsolete)", "Decision (last year)", "Decision (2024)",
                "Decision (veraltet)", "Decision (Entwurf)", "Decision [void]",
                "Verdict (not final)", "Target status (proposal)", "Decision (by phone)",
                "Entscheidung (ungültig)", "Décision (brouillon)", "Decisión (borrador)",
            )
        ),
    ],
)  # fmt: skip
def test_a_column_that_says_the_opposite_is_no_state(tmp_path: Path, used: str, other: str) -> None:
    """Where two columns may hold the decision and differ, none of the two is planned."""
    path = write(
        tmp_path / "a.csv",
        f"Image ID;Project ID;{used};{other}",
        f"{IMAGE};{PROJECT};accepted;rejected",
        f"{OTHER};{PROJECT};rejected;rejected",
    )
    first, second = planned(path)
    assert first in ("blocked", "rejected")
    assert second in ("blocked", "rejected")
    if used == "Decision":
        assert (first, second) == ("blocked", "rejected")


@pytest.mark.parametrize(
    "state",
    [
        "Status", "Member status", "Current status", "Status (current)", "Status (present)",
        "Image status", "Share status", "member_status", "Statut", "Aktueller Status", "当前状态",
        "State", "Old status", "Status today (cloud)",
    ],
)  # fmt: skip
def test_a_plain_state_beside_a_decision_is_none(tmp_path: Path, state: str) -> None:
    """A header that says no more than that it is a state is no second decision."""
    path = write(
        tmp_path / "a.csv",
        f"Image ID;Project ID;Decision;{state}",
        f"{IMAGE};{PROJECT};accepted;rejected",
        f"{OTHER};{PROJECT};rejected;accepted",
    )
    assert planned(path) == ["accepted", "rejected"]


@pytest.mark.parametrize(
    "header",
    [
        "Decision (please fill in)", "Decision (accepted / rejected)", "Decision (mandatory)",
        "Decision (final)", "Entscheidung (bitte ausfüllen)", "Decision (2)", "Status (new)",
        "Decision (by the board)",
    ],
)  # fmt: skip
def test_remarks_that_change_nothing(tmp_path: Path, header: str) -> None:
    """A remark behind the only column of decisions does not hide it."""
    path = write(
        tmp_path / "a.csv",
        f"Image ID;Project ID;{header}",
        f"{IMAGE};{PROJECT};accepted",
        f"{OTHER};{PROJECT};rejected",
    )
    assert planned(path) == ["accepted", "rejected"]


@pytest.mark.parametrize(
    ("groups", "header", "right"),
    [
        (";;Last year;This year", "Decision;Status", "rejected"),
        (";;Board;Team", "Decision;Status", "blocked"),
        (";;2023;2024", "Decision;Status", "blocked"),
        (";;Current;New", "Status;Status", "rejected"),
        (";;Vorjahr;Dieses Jahr", "Entscheidung;Entscheidung", "rejected"),
        ("Shares to decide on until Friday;;Bob", "Status;Decision", "rejected"),
    ],
)
def test_a_row_of_groups_belongs_to_the_header(
    tmp_path: Path, groups: str, header: str, right: str
) -> None:
    """What stands above two columns tells which of them counts."""
    path = write(
        tmp_path / "a.csv",
        groups,
        f"Image ID;Project ID;{header}",
        f"{IMAGE};{PROJECT};accepted;rejected",
    )
    assert planned(path) == [right]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Image ID,Project ID,Decision", "Image ID,Member ID,Status", False),
        ("Image ID,Project ID,Decision", "Image ID,Project ID,Decision (withdrawn)", False),
        ("image_id,project_id,status", "image_id,project_id,member status", False),
        ("Image ID,Project ID,Status", "Image ID,Project ID,Decision", False),
        ("Image ID,Project ID,Decision", "Image ID,Project ID (do not use),Decision", False),
        ("Image ID,Project ID,Decision", "Image ID,Member ID,Decision (by phone)", False),
        ("Image ID,Project ID,Decision", "image_id, PROJECT ID ,décision", True),
        ("Image ID,Project ID,Decision", "Image UUID,Member ID,Verdict", True),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_a_list_of_states_below_is_no_repeated_header(
    tmp_path: Path, first: str, second: str, same: bool, empty: bool
) -> None:
    """Rows below a second header are read if it has the same columns, of the same kind."""
    rows = [] if empty else [f"{IMAGE},{PROJECT},rejected"]
    path = write(tmp_path / "a.csv", first, *rows, second, f"{OTHER},{PROJECT},accepted")
    right = ["rejected", "accepted"][-1 - len(rows) :] if same else ["blocked"] * (1 + len(rows))
    assert planned(path) == right
    rules = set(sharekit.check(sharekit.read_inventory(path)).frame["rule"])
    assert ("second-header" in rules) is not same


SHARES: list[list[object]] = [["Image ID", "Project ID", "Decision"], [IMAGE, PROJECT, "accepted"]]
LOG: list[list[object]] = [
    ["Date", "Who", "Image ID", "Project ID", "Old status", "New status", "Why"],
    ["2026-01-02", "Ada", OTHER, PROJECT, "accepted", "rejected", "asked"],
]
OLD: list[list[object]] = [["Image ID", "Project ID", "Decision"], [OTHER, PROJECT, "rejected"]]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("Change log", LOG),
        ("Sheet2", LOG),
        ("Historie", OLD),
        ("Freigaben (alt)", OLD),
        ("SharesBackup", OLD),
        ("Draft 2", OLD),
        ("archivé, exemple", OLD),
        ("历史记录", OLD),
    ],
)
def test_logs_and_drafts_are_left_out(tmp_path: Path, name: str, rows: list[list[object]]) -> None:
    """A sheet that keeps what was is left out and named, unless it is asked for or the only one."""
    path = workbook(tmp_path / "a.xlsx", **{"Shares": SHARES, name: rows})
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.rows["image_id"].tolist() == [IMAGE]
    [(rule, value)] = findings.frame[["rule", "value"]].to_numpy().tolist()
    assert rule == "sheet-set-aside"
    assert value.startswith(name)
    named = sharekit.check(sharekit.read_inventory(path, sheet=name))
    assert named.rows["image_id"].tolist() == [OTHER]
    assert named.frame.empty
    alone = workbook(tmp_path / "b.xlsx", **{name: rows})
    findings = sharekit.check(sharekit.read_inventory(alone))
    assert findings.rows["disposition"].tolist() == ["planned"]
    assert findings.frame["rule"].tolist() == ["sheet-doubtful"]


def test_honest_sheets_are_all_read(tmp_path: Path) -> None:
    """Sheets of teams, of regions, of a state and a new one beside it are read without a word."""
    state: list[list[object]] = [
        ["Image ID", "Project ID", "Current status", "New status", "Date", "Decided by"],
        [OTHER, PROJECT[::-1], "pending", "rejected", "2026-01-02", "Ada"],
    ]
    path = workbook(tmp_path / "a.xlsx", **{"Team Alto": SHARES, "eu-de": state})
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.rows["disposition"].tolist() == ["planned", "planned"]
    assert findings.frame.empty


@pytest.mark.parametrize(
    "title", ["To reject", "Reject:", "Abzulehnen – abgelehnt", "Do not accept"]
)
@pytest.mark.parametrize("place", ["sheet", "line", "row"])
def test_a_title_that_says_the_opposite(tmp_path: Path, title: str, place: str) -> None:
    """A decision for all rows against a title that says the opposite is a warning."""
    rows: list[list[object]] = [["Image ID", "Project ID"], [IMAGE, PROJECT]]
    sheets: dict[str, dict[str, list[list[object]]]] = {
        "sheet": {title.strip(":"): rows},
        "line": {"Images": [[title], *rows]},
        "row": {"Images": [*rows, [title], [OTHER, PROJECT]]},
    }
    path = workbook(tmp_path / "a.xlsx", **sheets[place])
    for status, warned in (("accepted", True), ("rejected", False)):
        inventory = sharekit.read_inventory(path, defaults={"status": status})
        rules = sharekit.check(inventory).frame["rule"].tolist()
        assert ("default-contradicted" in rules) == warned


@pytest.mark.parametrize(
    ("remark", "told"),
    [
        ("REJECT!! see mail", True),
        ("rejected!", True),
        ("Rejected by Bob", True),
        ("Please reject", True),
        ("abgelehnt (Bob)", True),
        ("DO NOT SEND", True),
        ("Ignore: duplicate", True),
        ("bitte ignorieren", True),
        ("cancelled", True),
        ("accepted by Bob", False),
        ("valid until May", False),
        ("no", False),
        ("Bob asked whether it was rejected", False),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_a_remark_that_says_the_opposite_is_told(
    tmp_path: Path, remark: str, told: bool, given: bool
) -> None:
    """A remark that begins with the opposite decision, or says to send none, is a warning."""
    first = "Image ID;Project ID" + ("" if given else ";Decision")
    row = f"{IMAGE};{PROJECT}" + ("" if given else ";accepted")
    path = write(tmp_path / "a.csv", f"{first};Comment", f"{row};{remark}")
    reading = {"defaults": {"status": "accepted"}} if given else {}
    findings = sharekit.check(sharekit.read_inventory(path, **reading))  # type: ignore[arg-type]
    assert findings.rows["disposition"].tolist() == ["planned"]
    assert ("remark-disagrees" in set(findings.frame["rule"])) == told
    assert findings.count("error") == 0
