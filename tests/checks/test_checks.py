"""Every rule finds what it is for, at the right cell, and repairs only what is beyond doubt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

import sharekit
from sharekit.checks.cell_rules import _normalize_ids
from sharekit.checks.cloud_rules import check_region
from sharekit.checks.hits import fullmatch
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.columns import STR
from sharekit.core.fields import UUID
from sharekit.core.rules import RULES, in_shell
from sharekit.reports.report import write_findings
from tests.conftest import World

A, B = "d164b5df-1bc3-4c3f-893e-3e471fd16e64", "0b680482-acaa-4045-b14c-9a8c7dfe9c70"
P = "edc89b490d7d4392898e19b2deb34797"
V = "0f3c1f1a-9d3e-4e59-8a44-2f6b6c0d7a11"
HEADER = ["Image ID", "Project ID", "Decision", "Vault ID", "Full ECS"]


def sheet(tmp_path: Path, *rows: Sequence[object]) -> sharekit.Findings:
    """Check a real workbook with these rows under a title and a header: data from row 3."""
    book = Workbook()
    page = book.active
    assert page is not None
    page.append(["Shares to decide"])
    for line in (HEADER, *rows):
        page.append(list(line))
    book.save(tmp_path / "shares.xlsx")
    return sharekit.check(sharekit.read_inventory(tmp_path / "shares.xlsx"))


def rules(findings: sharekit.Findings) -> list[tuple[str, str]]:
    """Rule and cell of every finding."""
    frame = findings.frame
    return list(zip(frame["rule"], frame["cell"], strict=True))


def test_clean_row_has_no_findings(tmp_path: Path) -> None:
    """A legal row is planned, and nothing is found."""
    findings = sheet(tmp_path, [A, P, "accepted"])
    assert findings.frame.empty
    assert findings.rows["disposition"].tolist() == ["planned"]


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        (f"  {A}", "repaired-blanks"),
        (f"{A}\u00a0", "repaired-blanks"),
        (f"\u200b{A}", "repaired-invisible"),
        (f"{{{A}}}", "repaired-braces"),
        (A.upper(), "repaired-case"),
        (A.replace("-", ""), "repaired-dashes"),
        (A.replace("-", "\u2013"), "repaired-dashes"),
    ],
)
def test_repairs_beyond_doubt(tmp_path: Path, typed: str, rule: str) -> None:
    """What can only be read one way is repaired, recorded at its cell, and planned."""
    findings = sheet(tmp_path, [typed, P, "accepted"])
    assert rules(findings) == [(rule, "A3")]
    assert findings.frame["value"].tolist() == [typed]
    assert findings.rows["image_id"].tolist() == [A]
    assert findings.rows["disposition"].tolist() == ["planned"]


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        (A[:-1], "image-id-format"),
        (A.replace("d", "g"), "image-id-format"),
        (f"\u202e{A}", "bidi-mark"),
        ("d164b5df-1bc34c3f-893e-3e471fd16e64", "image-id-format"),
        ("1.23457E+31", "scientific-number"),
        (1.2345678901234568e31, "number-cell"),
        (True, "boolean-cell"),
        ("#N/A", "error-cell"),
        ("=A1", "formula-without-value"),
        ("", "missing"),
    ],
)
def test_damage_is_an_error_with_its_cell(tmp_path: Path, typed: object, rule: str) -> None:
    """A damaged image ID blocks its row, names its cell, and is never guessed."""
    findings = sheet(tmp_path, [typed, P, "accepted"], [B, P, "accepted"])
    assert (rule, "A3") in rules(findings)
    assert findings.rows["disposition"].tolist() == ["blocked", "planned"]


def test_digits_only_as_text_is_legal(tmp_path: Path) -> None:
    """A project ID of digits only is an ID in a text cell, and an error in a number cell."""
    digits = "12345678901234567890123456789012"
    findings = sheet(tmp_path, [A, digits, "accepted"], [B, float(digits), "accepted"])
    assert rules(findings) == [("number-cell", "B4")]


@pytest.mark.parametrize(("typed", "meant"), [("Accept", "accepted"), ("NO", "rejected")])
def test_status_words(tmp_path: Path, typed: str, meant: str) -> None:
    """An unambiguous word is read as its decision, and that is recorded."""
    findings = sheet(tmp_path, [A, P, typed])
    assert rules(findings) == [("repaired-status", "C3")]
    assert findings.rows["status"].tolist() == [meant]


@pytest.mark.parametrize("typed", ["maybe", "pending", "accepted or rejected"])
def test_unknown_status_blocks(tmp_path: Path, typed: str) -> None:
    """Any other word is an error, never a guess."""
    findings = sheet(tmp_path, [A, P, typed], [B, P, "accepted"])
    assert rules(findings) == [("status-unknown", "C3")]


def test_duplicate_and_conflict(tmp_path: Path) -> None:
    """One decision twice: the second is carried by the first; two decisions: both are blocked."""
    findings = sheet(
        tmp_path,
        [A, P, "accepted"], [A.upper(), P, "yes"], [B, P, "accepted"], [B, P, "rejected"],
    )  # fmt: skip
    assert findings.rows["disposition"].tolist() == ["planned", "duplicate", "blocked", "blocked"]
    assert findings.rows["carried_by"].tolist()[1] == 0
    assert ("conflict", "C5") in rules(findings)
    assert ("conflict", "C6") in rules(findings)
    duplicate = findings.frame[findings.frame["rule"] == "duplicate"]
    assert duplicate["message"].str.endswith("(A3 carries it)").all()
    conflict = findings.frame[findings.frame["rule"] == "conflict"]["message"].tolist()
    assert [text.partition("(")[2] for text in conflict] == ["rejected in C6)", "accepted in C5)"]


def test_swapped_ids_are_not_mended(tmp_path: Path) -> None:
    """An image ID without dashes beside a project ID with them may be either way round."""
    findings = sheet(tmp_path, [A.replace("-", ""), B, "accepted"], [A, P, "accepted"])
    assert rules(findings) == [("ids-swapped", "A3")]
    assert findings.rows["disposition"].tolist() == ["blocked", "planned"]


def test_a_column_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    """A sheet without a mandatory column has one finding, and all its rows are blocked."""
    path = tmp_path / "shares.csv"
    path.write_text(f"image_id,status\n{A},accepted\n{B},accepted\n", encoding="utf-8")
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.frame[["rule", "field", "row_key"]].to_numpy().tolist() == [
        ["column-missing", "project_id", -1]
    ]
    assert findings.rows["disposition"].tolist() == ["blocked", "blocked"]


def test_strict_blocks_the_rows_of_a_hidden_sheet(tmp_path: Path) -> None:
    """A warning about a sheet, taken strictly, blocks each of its rows, with that reason."""
    path = tmp_path / "shares.xlsx"
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        for name, image in (("Seen", A), ("Hidden", B)):
            rows = pd.DataFrame({"image_id": [image], "project_id": [P], "status": ["accepted"]})
            rows.to_excel(book, sheet_name=name, index=False)
        book.sheets["Hidden"].sheet_state = "hidden"
    strict = sharekit.check(sharekit.read_inventory(path), strict=True)
    assert strict.rows["disposition"].tolist() == ["planned", "blocked"]
    run = sharekit.status(sharekit.plan(strict, tmp_path / "run.ledger"))
    assert run.rows["code"].tolist() == ["", "hidden-sheet"]


def test_rows_of_two_files_that_disagree_name_each_other(tmp_path: Path) -> None:
    """Both findings of a conflict across files say where the other row stands."""
    for name, decision in (("a.csv", "accepted"), ("b.csv", "rejected")):
        text = f"image_id,project_id,status\n{A},{P},{decision}\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    findings = sharekit.check(sharekit.read_inventory(tmp_path / "a.csv", tmp_path / "b.csv"))
    lines = findings.frame[findings.frame["rule"] == "conflict"]
    assert [m.partition("(")[2] for m in lines["message"]] == [
        f"rejected in {tmp_path / 'b.csv'} C2)",
        f"accepted in {tmp_path / 'a.csv'} C2)",
    ]


def test_repairs_in_several_files(tmp_path: Path) -> None:
    """Values are repaired wherever they come from."""
    for name in ("a.csv", "b.csv"):
        text = f"image_id,project_id,status\n{A.upper()},{P},accepted\n{B},{P.upper()},yes\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    findings = sharekit.check(sharekit.read_inventory(tmp_path / "a.csv", tmp_path / "b.csv"))
    assert findings.rows["image_id"].tolist() == [A, B, A, B]
    assert findings.rows["project_id"].tolist() == [P] * 4


def test_a_blocked_row_carries_nothing(tmp_path: Path) -> None:
    """Of two equal shares, the one that nothing blocks is sent."""
    findings = sheet(tmp_path, [A, P, "accepted", "", "yes"], [A, P, "accepted", V, "yes"])
    assert findings.rows["disposition"].tolist() == ["blocked", "blocked"]
    assert ("vault-missing", "D3") in rules(findings)


def test_vault_rules(tmp_path: Path) -> None:
    """Accepting a full-ECS image needs a vault; rejecting one takes none, and none is sent."""
    findings = sheet(tmp_path, [A, P, "accepted", "", "yes"], [B, P, "rejected", V, "yes"])
    assert rules(findings) == [("vault-missing", "D3"), ("vault-for-rejection", "D4")]
    assert findings.rows["vault_id"].tolist() == ["", ""]
    assert findings.rows["disposition"].tolist() == ["blocked", "planned"]


def test_vault_not_hex_is_a_warning_or_an_error(tmp_path: Path) -> None:
    """An ID of a vault's shape that is not hexadecimal warns, and blocks when strict."""
    odd = "d14r5tef-1bc3-4c4f-823e-3e471rg65e65"
    findings = sheet(tmp_path, [A, P, "accepted", odd])
    assert rules(findings) == [("vault-id-not-hex", "D3")]
    assert findings.rows["disposition"].tolist() == ["planned"]
    strict = sharekit.check(findings.inventory, strict=True)
    assert strict.frame["severity"].tolist() == ["error"]
    assert strict.rows["disposition"].tolist() == ["blocked"]


def test_cloud_rules(world: Callable[..., World]) -> None:
    """With a cloud, every kind of trouble that only it can tell is found in the sample."""
    w = world(rows=300, faulty=0.3)
    findings = sharekit.check(sharekit.read_inventory(w.shares), w.connect())
    found = set(findings.frame["rule"])
    assert found >= {
        "not-shared", "own-image", "already", "vault-unknown", "vault-unavailable",
        "vault-missing", "no-credentials",
    }  # fmt: skip


def test_full_ecs_by_the_clouds_word(world: Callable[..., World]) -> None:
    """The cloud knows an image for full-ECS although the sheet does not say so: vault needed."""
    w = world(rows=200)
    book = sharekit.read_inventory(w.shares)
    full = w.sample.sheet["Full ECS"] == "yes"
    full &= w.sample.expected["status"] == "accepted"
    assert full.any()
    bare = sharekit.Inventory(
        book.rows.assign(whole_image="", vault_id=""), book.sources, book.cell_issues
    )
    findings = sharekit.check(bare, w.connect())
    missing = findings.frame[findings.frame["rule"] == "vault-missing"]
    assert missing["row_key"].tolist() == full[full].index.tolist()


def test_every_finding_has_its_columns(world: Callable[..., World]) -> None:
    """Each finding names rule, severity, file, sheet, row, what is wrong, and its cell."""
    w = world(rows=200, faulty=0.3)
    frame = sharekit.check(sharekit.read_inventory(w.shares), w.connect()).frame
    for column in ("rule", "severity", "file", "sheet", "message"):
        assert (frame[column] != "").all()
    assert set(frame["rule"]) <= set(RULES)
    assert (frame.loc[frame["row_key"] >= 0, "row"] > 1).all()
    in_column = frame[(frame["row_key"] >= 0) & (frame["column"] != "")]
    numbers = in_column["cell"].str.extract(r"(\d+)$")[0].astype("int64")
    assert (numbers == in_column["row"]).all()


_NOISE = ["", " ", "\u00a0", "\u200b", "\t", '"']


@settings(deadline=None)
@given(
    st.uuids(), st.sampled_from([*_NOISE, "{"]), st.sampled_from([*_NOISE, "}"]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_repair_gives_back_the_id(
    image: object, before: str, after: str, upper: bool, bare: bool
) -> None:
    """Whatever noise surrounds an ID, the repaired one is the ID itself."""
    plain = str(image)
    typed = plain.replace("-", "") if bare else plain
    typed = before + (typed.upper() if upper else typed) + after
    fixed, _ = _normalize_ids(pd.Series([typed], dtype=STR), "image_id")
    assert fixed.tolist() == [plain]


@given(st.text(max_size=60))
def test_no_other_text_becomes_an_id(text: str) -> None:
    """A text is left as it is, or its repaired form has the very same hexadecimal digits."""
    fixed, _ = _normalize_ids(pd.Series([text], dtype=STR), "image_id")
    if fullmatch(fixed, UUID).iloc[0]:
        digits = "".join(c for c in text.lower() if c in "0123456789abcdef")
        assert digits.removeprefix("d").endswith(fixed.iloc[0].replace("-", "")) or digits == (
            fixed.iloc[0].replace("-", "")
        )
    elif text.strip():
        assert fixed.tolist() in ([text], [""])


def test_a_damaged_cell_is_never_mended(tmp_path: Path) -> None:
    """The digits of a number get no dashes, so that nothing looks like an ID that nobody wrote."""
    book = openpyxl.Workbook()
    book.active.append(["Image ID", "Project ID", "Status"])
    book.active.append([12345678901234567890123456789012, P, "accepted"])
    book.active.append([A, P, True])
    book.save(tmp_path / "a.xlsx")
    findings = sharekit.check(sharekit.read_inventory(tmp_path / "a.xlsx"))
    assert findings.rows["disposition"].tolist() == ["blocked", "blocked"]
    assert findings.rows["image_id"].tolist() == ["12345678901234569054409354903552", A]
    assert findings.frame["rule"].tolist() == ["number-cell", "boolean-cell"]


@pytest.mark.parametrize("digits", ["910232007847646", "91023200784764612", "1"])
def test_an_id_padded_with_zeros_is_damaged(tmp_path: Path, digits: str) -> None:
    """Digits that a spreadsheet lost and filled up with zeros are no ID, in any column of IDs."""
    lost = digits.ljust(32, "0")
    findings = sheet(tmp_path, [f' ="{lost}"', lost, "accepted", lost])
    assert rules(findings) == [("precision-lost", cell) for cell in ("A3", "B3", "D3")]
    assert findings.rows["disposition"].tolist() == ["blocked"]
    real = "9102320078476461" + "0" * 12 + "1234"
    assert rules(sheet(tmp_path, [A, real, "accepted"])) == []


@pytest.mark.parametrize(
    ("written", "differs"), [("eu-de", False), ("EU-DE", False), ("", False), ("eu-nl", True)]
)
def test_regions_are_compared_without_case(written: str, differs: bool) -> None:
    """A region in capitals is the region; another one is an error."""
    projects = pd.DataFrame({"project_id": [P], "region": ["eu-de"]}, dtype=STR)
    rows = pd.DataFrame({"region": [written], "project_id": [P]}, dtype=STR)
    snapshot = cast("Snapshot", SimpleNamespace(projects=projects))
    hits = check_region(rows, rows["project_id"], snapshot)
    assert hits.keys.tolist() == ([0] if differs else [])


def test_suggestions_are_in_the_callers_language(tmp_path: Path) -> None:
    """Frames suggest arguments of calls, and the shell and files options: never the other way."""
    for rule in RULES.values():
        assert not re.search(r"(^|[ (])--\w", rule.suggestion), rule.name
        assert not re.search(r'[=(][{\["]', in_shell(rule.suggestion).replace('="its', "")), (
            rule.name
        )
    inventory = sharekit.read_inventory([{"image_id": "x", "project_id": "y"}])
    findings = sharekit.check(inventory)
    missing = findings.frame.set_index("rule")["suggestion"]["column-missing"]
    assert 'columns={"status": "its header"}' in missing
    assert '--map status="its header"' in str(findings.in_shell().summary["findings"])
    written = write_findings(findings, tmp_path / "findings.csv").read_text()
    assert "--map status=" in written
    assert "columns=" not in written
