"""Titles, names of sheets, and sheets left out, that say otherwise than a row's decision."""

from __future__ import annotations

from pathlib import Path

import pytest

import sharekit
from tests.spreadsheets.test_headers import IMAGE, OTHER, PROJECT, planned, workbook, write

HEADER: list[object] = ["Image ID", "Project ID", "Decision"]
SHARE: list[object] = [IMAGE, PROJECT, "accepted"]
MORE: list[object] = [OTHER, PROJECT, "accepted"]


def book(path: Path, sheets: dict[str, list[list[object]]]) -> tuple[list[str], list[str]]:
    """What becomes of the rows of a workbook, and which rules apply."""
    findings = sharekit.check(sharekit.read_inventory(workbook(path, **sheets)))
    return findings.rows["disposition"].tolist(), findings.frame["rule"].tolist()


@pytest.mark.parametrize(
    "name",
    [
        "Withdrawn", "Änderungen", "Shares (old)", "Copy of Shares", "Kopie von Freigaben",
        "Shares_bak", "Shares v1", "Ist", "Snapshot 2025-01", "Sent", "Gesendet", "On hold",
        "NICHT SENDEN", "do not send", "SharesBackup", "Archiv 2024", "Copie de Liste",
        "ne pas envoyer", "Copia de Datos", "已发送", "历史", "Images (old)", "Team Alto (alt)",
    ],
)  # fmt: skip
def test_a_name_that_sets_a_sheet_aside(tmp_path: Path, name: str) -> None:
    """Its rows are left out with a warning, block what they contradict, and never pass alone."""
    beside = {"Shares": [HEADER, SHARE], name: [HEADER, MORE]}
    assert book(tmp_path / "a.xlsx", beside) == (["planned"], ["sheet-set-aside"])
    against = {"Shares": [HEADER, SHARE, MORE], name: [HEADER, [IMAGE, PROJECT, "rejected"]]}
    dispositions, rules = book(tmp_path / "b.xlsx", against)
    assert dispositions == ["blocked", "planned"]
    assert "sheet-disagrees" in rules
    assert "sheet-doubtful" in book(tmp_path / "c.xlsx", {name: [HEADER, SHARE]})[1]


def test_honest_names_set_no_sheet_aside(tmp_path: Path) -> None:
    """A word of the list among words of something else is a name as any other."""
    names = (
        "Backup images", "Example Corp", "DraftKings", "Old images", "Old Navy", "Alte Leipziger",
        "Aktuelle Liste", "Shares v2", "Veto Systems", "Cloud backup", "Log servers", "Muster GmbH",
        "Void Linux", "Copy Center", "eu-de", "Pending", "Accepted", "Corrections", "共享",
    )  # fmt: skip
    sheets = {
        name: [HEADER, [f"{i:08x}{IMAGE[8:]}", PROJECT, "accepted"]]
        for i, name in enumerate(names, start=0xA1B2C3D4)
    }
    dispositions, rules = book(tmp_path / "a.xlsx", sheets)
    assert set(rules) <= {"counted-up"}
    assert len(dispositions) == len(names)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("Corrections", [["Image ID", "Decision"], [IMAGE, "rejected"]]),
        ("Rejected", [["Image ID", "Project ID"], [IMAGE, PROJECT]]),
        ("Withdrawn", [["Image ID", "Project ID", "Why"], [IMAGE, PROJECT, "asked"]]),
        ("Notes", [["seen by Bob"], ["x", f"{{{IMAGE.upper()}}}", "rejected", PROJECT]]),
        ("Old", [["Image ID", "Project ID", "Status"], [IMAGE, PROJECT, "unshare"]]),
    ],
)
def test_other_sheets_that_contradict(tmp_path: Path, name: str, rows: list[list[object]]) -> None:
    """Whatever sheet of the workbook says otherwise of a share, the share is not sent."""
    sheets = {"Shares": [HEADER, SHARE, MORE], name: rows}
    dispositions, rules = book(tmp_path / "a.xlsx", sheets)
    assert dispositions[:2] == ["blocked", "planned"]
    assert "sheet-disagrees" in rules


def test_states_and_other_shares_do_not_contradict(tmp_path: Path) -> None:
    """The state of a share, its other project and the same decision again are no contradiction."""
    state: list[list[object]] = [["Image ID", "Project ID", "Status"], [IMAGE, PROJECT, "rejected"]]
    other: list[list[object]] = [HEADER, [IMAGE, PROJECT[::-1], "rejected"], MORE]
    sheets = {"Shares": [HEADER, SHARE, MORE], "Ist": state, "Archive": other}
    assert book(tmp_path / "a.xlsx", sheets)[0] == ["planned", "planned"]


@pytest.mark.parametrize(
    "title",
    [
        "Rejected:", "To be rejected", "Do not accept", "Do not send:", "Withdrawn",
        "Current state", "Stand heute:", "abzulehnen:", "Refusés", "Rechazados", "已拒绝",
        "On hold", "Not approved",
        "History 2025", "DRAFT - do not send", "Ist-Zustand", "No aceptar", "不要发送",
    ],
)  # fmt: skip
@pytest.mark.parametrize("lines", ["{};;", ";{};", "{};;\n\nImage ID;Project ID;Decision"])
def test_a_title_between_the_rows_speaks_for_those_below(
    tmp_path: Path, title: str, lines: str
) -> None:
    """Rows below a title that says otherwise are errors, below the same header again as well."""
    path = write(
        tmp_path / "a.csv",
        "Image ID;Project ID;Decision",
        f"{IMAGE};{PROJECT};accepted",
        *lines.format(title).split("\n"),
        f"{OTHER};{PROJECT};accepted",
    )
    found = planned(path)
    assert (found[0], found[-1]) == ("accepted", "blocked")
    above = write(tmp_path / "b.csv", title, "", *path.read_text("utf-8").splitlines()[:2])
    assert planned(above) == ["blocked"]


@pytest.mark.parametrize(
    "title",
    [
        "Team Data", "Accepted", "Approved by: J. Smith", "Legend: accepted = wanted", "Pending",
        "Please accept or reject", "Old Navy", "Current list", "Legend: rejected = not wanted",
        "Rejected shares are on another page of this document", "Freigaben 2026",
    ],
)  # fmt: skip
def test_other_titles_say_nothing(tmp_path: Path, title: str) -> None:
    """Names, legends, signatures and the same decision block no row."""
    path = write(
        tmp_path / "a.csv",
        title,
        "Image ID;Project ID;Decision",
        f"{IMAGE};{PROJECT};accepted",
        f"{title};;",
        f"{OTHER};{PROJECT};accepted",
    )
    found = planned(path)
    assert (found[0], found[-1]) == ("accepted", "accepted")


@pytest.mark.parametrize(
    "title",
    [
        "Rejected: 3", "Approved", "Stand: 27.11.2026", "Reject what you do not know",
        "accepted\nrejected", "accepted;to be taken\nrejected;not to be taken",
        "Change history\nVersion;Date;Author\n1.0;2026-01-02;Bob\n",
    ],
)  # fmt: skip
def test_counts_and_instructions_above_a_list_say_nothing(tmp_path: Path, title: str) -> None:
    """Above a table a number counts rows, and an approval is the document's."""
    rows = [f"{IMAGE};{PROJECT};accepted", f"{OTHER};{PROJECT};rejected"]
    path = write(tmp_path / "a.csv", title, "Image ID;Project ID;Decision", *rows)
    assert planned(path) == ["accepted", "rejected"]


def test_sections_end_at_the_next_title(tmp_path: Path) -> None:
    """Each section speaks for its own rows; a half header over states ends what can be sent."""
    path = write(
        tmp_path / "a.csv",
        "Image ID;Project ID;Decision",
        "Rejected:;;",
        f"{IMAGE};{PROJECT};rejected",
        "Accepted:;;",
        f"{OTHER};{PROJECT};accepted",
        f"{OTHER};{PROJECT[::-1]};rejected",
        ";;Current status",
        f"{IMAGE};{PROJECT[::-1]};accepted",
    )
    found = planned(path)
    assert [found[i] for i in (1, 3, 4, 6)] == ["rejected", "accepted", "blocked", "blocked"]


@pytest.mark.parametrize("name", ["Rejected", "Abgelehnt", "NICHT SENDEN", "To be rejected"])
def test_a_sheet_named_for_a_decision(tmp_path: Path, name: str) -> None:
    """A sheet whose name says otherwise than its rows, alone in its workbook, blocks them."""
    dispositions, rules = book(tmp_path / "a.xlsx", {name: [HEADER, SHARE]})
    assert dispositions == ["blocked"]
    assert "title-disagrees" in rules


#: One row that says yes and one that says no.
ANSWERS: list[list[object]] = [[IMAGE, PROJECT, "yes"], [OTHER, PROJECT, "“No”"]]


@pytest.mark.parametrize(
    "header",
    [
        "Decision (reject: yes/no)", "Decision (reject yes or no)", "Decision (not accepted)",
        "Accept or reject (yes = reject)", "Entscheidung (ja = ablehnen)", "Reject?",
        "Décision (oui = refuser)", "Final decision (no → accepted)", "Do not accept", "Cancelled",
    ],
)  # fmt: skip
def test_yes_below_a_header_that_asks_for_the_opposite(tmp_path: Path, header: str) -> None:
    """Whether the header was found or named, an answer to another question is no decision."""
    path = workbook(tmp_path / "a.xlsx", S=[["Image ID", "Project ID", header], *ANSWERS])
    findings = sharekit.check(sharekit.read_inventory(path, columns={"status": header}))
    assert findings.rows["disposition"].tolist() == ["blocked", "blocked"]
    assert "title-disagrees" in findings.frame["rule"].tolist()


@pytest.mark.parametrize(
    "legend",
    [["yes = reject, no = accept"], ["yes", "reject"], ["Yes: the image is rejected"],
     ["ja → ablehnen"], ["yes means not accepted"], ["Legend", "n = accepted"]],
)  # fmt: skip
def test_a_legend_that_turns_yes_around(tmp_path: Path, legend: list[object]) -> None:
    """Above, beside and below the table a legend counts, and words that it leaves alone pass."""
    beside = [[*HEADER, "Key", "Text"], [*ANSWERS[0], "", legend[-1]], ANSWERS[1]]
    above: list[list[object]] = [legend, [], HEADER, *ANSWERS]
    below: list[list[object]] = [HEADER, *ANSWERS, [], legend]
    for rows in (above, below, *([beside] if "=" in str(legend) and len(legend) == 1 else [])):
        dispositions, rules = book(tmp_path / "a.xlsx", {"S": rows})
        assert dispositions[:2] == ["blocked", "blocked"]
        assert "title-disagrees" in rules
    assert book(tmp_path / "b.xlsx", {"S": [legend, HEADER, SHARE, MORE]})[0] == ["planned"] * 2


@pytest.mark.parametrize(
    "legend",
    [["Decision (yes = accept, no = reject)"], ["yes", "accept"], ["Approved:", "no"],
     ["Legend: yes: we accept it; no: we reject it"], ["'no' = not accepted"],
     ["Rejected", "Accepted"], ["accepted = no objection"], ["Rejected: 1, accepted: 1"]],
)  # fmt: skip
def test_honest_legends(tmp_path: Path, legend: list[object]) -> None:
    """A legend that says what the words mean anyway stands in nobody's way."""
    for rows in ([legend, [], HEADER, *ANSWERS], [HEADER, *ANSWERS, [], legend]):
        assert book(tmp_path / "a.xlsx", {"S": rows})[0][:2] == ["planned", "planned"]


@pytest.mark.parametrize(
    "remark", ["changed: no -> accepted", "yes => rejected => yes", "No: rejected in May", "x → no"]
)
def test_remarks_that_tell_of_a_change(tmp_path: Path, remark: str) -> None:
    """What a remark tells of one row gives no word of the table another meaning."""
    rows = [[*HEADER, "Remark"], [*ANSWERS[0], remark], ANSWERS[1]]
    assert book(tmp_path / "a.xlsx", {"S": rows})[0] == ["planned", "planned"]


@pytest.mark.parametrize(
    "header", ["Decision (accept yes/no)", "Approved (yes or no)", "Decision (yes/no to accept)"]
)
def test_yes_below_a_header_that_asks_for_it(tmp_path: Path, header: str) -> None:
    """A header with 'yes or no' in it denies nothing."""
    path = workbook(tmp_path / "a.xlsx", S=[["Image ID", "Project ID", header], *ANSWERS])
    findings = sharekit.check(sharekit.read_inventory(path, columns={"status": header}))
    assert findings.rows["disposition"].tolist() == ["planned", "planned"]
