"""A plan is the same for the same inventory, homogeneous, complete, and bounded."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.core.columns import STR, EncodedColumn
from sharekit.core.errors import ApprovalError, InputError, LedgerError, PlanError, UsageError
from sharekit.ledger.hashing import canonical_json
from sharekit.plans import chunks
from sharekit.plans.chunks import CHUNK_FIELDS, chunks_of
from sharekit.plans.plan import read_plan
from sharekit.simulator.sample import build_sample
from tests.conftest import World
from tests.spreadsheets.workbooks import IMAGE


def inventory(rows: int, faulty: float, shuffle: int | None = None) -> sharekit.Inventory:
    """The sample as an inventory, its rows in another order if asked."""
    sheet = build_sample(rows, faulty=faulty).sheet.astype(STR).replace("nan", "")
    if shuffle is not None:
        sheet = sheet.sample(frac=1, random_state=shuffle)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shares.csv"
        sheet.to_csv(path, index=False)
        return sharekit.read_inventory(path)


def planned(rows: int, faulty: float, size: int, shuffle: int | None = None) -> sharekit.Plan:
    """A plan of the sample."""
    with tempfile.TemporaryDirectory() as folder:
        findings = sharekit.check(inventory(rows, faulty, shuffle))
        return sharekit.plan(findings, Path(folder) / "run.ledger", chunk_size=size)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 120), st.integers(1, 60), st.integers(0, 1000))
def test_order_of_rows_does_not_matter(rows: int, size: int, shuffle: int) -> None:
    """The same inventory in any order of rows has the same fingerprint and the same requests."""
    one, other = planned(rows, 0.2, size), planned(rows, 0.2, size, shuffle)
    assert one.fingerprint == other.fingerprint
    assert list(one.requests()) == list(other.requests())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["a", 'b","c', "\\", "é", IMAGE]), min_size=1, max_size=6))
def test_the_fingerprint_is_that_of_the_requests_as_json(images: list[str]) -> None:
    """Whatever a ledger from elsewhere holds, it is the digest of the requests one by one."""
    columns = [*CHUNK_FIELDS, "owner"]
    rows = pd.DataFrame({name: ['é"x'] * len(images) for name in columns}, dtype=STR)
    chunk = pd.array(range(len(images)), dtype="Int64") // 2 + 1
    rows = rows.assign(image_id=images, chunk=chunk, disposition="planned")
    lines = "".join(canonical_json(request) + "\n" for request in chunks_of(rows).iter_chunks())
    assert chunks_of(rows).fingerprint() == hashlib.sha256(lines.encode()).hexdigest()


@settings(max_examples=15, deadline=None)
@given(st.integers(40, 120), st.sampled_from([0, 40, 63]))
def test_every_way_of_ordering_gives_the_same_requests(rows: int, bits: int) -> None:
    """Numbers that are small or too large to combine: chunks and fingerprint are equal."""
    findings = sharekit.check(inventory(rows, 0.3))
    plain, cut = chunks.make_chunks(findings.rows, 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "_KEY_BITS", bits)
        patch.setattr(chunks, "_MAX_KEY", 1 << max(bits - 1, 8))
        other, again = chunks.make_chunks(findings.rows, 7)
        assert again.fingerprint() == cut.fingerprint() == chunks_of(plain).fingerprint()
        lines = "".join(
            canonical_json(request) + "\n" for request in chunks_of(plain).iter_chunks()
        )
        assert again.fingerprint() == hashlib.sha256(lines.encode()).hexdigest()
    pd.testing.assert_frame_equal(plain, other)


def test_what_was_numbered_is_only_used_for_the_same_column(tmp_path: Path) -> None:
    """An inventory that was made of other rows is checked and planned as it then is."""
    read = inventory(20, 0)
    changed = "12345678-1234-4234-8234-123456789abc"
    rows = read.rows
    row = int(rows.index[rows["status"].str.lower() == "accepted"][0])
    rows.loc[row, "image_id"] = changed
    findings = sharekit.check(replace(read, rows=rows))
    assert findings.rows.loc[row, "image_id"] == changed
    plan = sharekit.plan(findings, tmp_path / "one.ledger")
    assert changed in [i for request in plan.requests() for i in request["body"]["images"]]
    assert read_plan(tmp_path / "one.ledger").fingerprint == plan.fingerprint


def scribble(frame: pd.DataFrame) -> None:
    """Write into a frame in every way that pandas offers."""
    frame.loc[:, "status"] = "rejected"
    frame["disposition"] = "planned"
    frame.iloc[0, frame.columns.get_loc("image_id")] = "changed"
    frame.loc[1, "project_id"] = "f" * 32
    frame["region"].array[0] = "elsewhere"
    frame["row"].array[0] = frame["source"].array[0] = 99
    del frame["owner"]


@pytest.mark.filterwarnings("ignore::pandas.errors.ChainedAssignmentError")
def test_frames_that_were_handed_out_change_no_plan(tmp_path: Path) -> None:
    """What is written into findings, a plan or an inventory stays with whoever wrote it."""
    read = inventory(40, 0.3)
    expected = sharekit.plan(sharekit.check(read), tmp_path / "expected.ledger")
    rows = read.rows
    rows.loc[:, "status"] = "rejected"
    read.rows.loc[:, "status"] = "rejected"
    read.rows["row"].array[0] = 99
    findings = sharekit.check(read)
    scribble(findings.rows)
    findings.rows.loc[:, "status"] = "rejected"
    findings.rows["disposition"] = "planned"
    findings.frame.loc[:, "severity"] = "info"
    findings.inventory.rows.loc[:, "status"] = "rejected"
    plan = sharekit.plan(findings, tmp_path / "run.ledger")
    scribble(plan.rows)
    plan.rows.loc[:, "image_id"] = "changed"
    plan.chunks.loc[:, "project_id"] = "changed"
    for made in (plan, read_plan(plan.path)):
        assert made.fingerprint == expected.fingerprint
        assert made.preview() == expected.preview()
        pd.testing.assert_frame_equal(made.rows, expected.rows)
    with pytest.raises(UsageError, match="not those that sharekit"):
        sharekit.plan(replace(findings, rows=rows), tmp_path / "forged.ledger")
    with pytest.raises(UsageError, match="not those that sharekit"):
        sharekit.plan(read_plan(plan.path).findings, tmp_path / "again.ledger")
    assert not (tmp_path / "forged.ledger").exists()


def test_handing_a_frame_out_costs_nothing(tmp_path: Path) -> None:
    """The copies are shallow: a column that nobody writes to is the very same memory."""
    findings = sharekit.check(inventory(50, 0))
    one, other = (EncodedColumn.encode(findings.rows["image_id"]).codes for _ in range(2))
    assert np.shares_memory(one, other)


def test_decisions_of_nobody_are_not_planned(tmp_path: Path) -> None:
    """Looking ahead with decisions is no way to send them: the plan refuses such findings."""
    read = inventory(5, 0)
    ahead = sharekit.check(read, decisions=pd.DataFrame({"decision": ["Declined"]}, index=[0]))
    assert ahead.rows["status"].iloc[0] == "rejected"
    with pytest.raises(UsageError, match="review"):
        sharekit.plan(ahead, tmp_path / "run.ledger")
    assert not (tmp_path / "run.ledger").exists()
    for index, word in (([0], "maybe"), ([5], "skip"), ([0], 1), (["0"], "skip"), ([-1], "skip")):
        with pytest.raises(UsageError):
            sharekit.check(read, decisions=pd.DataFrame({"decision": [word]}, index=index))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 200), st.integers(1, 60))
def test_chunks_are_homogeneous_and_complete(rows: int, size: int) -> None:
    """Each planned share is in exactly one chunk, no chunk is too large or mixed."""
    plan = planned(rows, 0.3, size)
    sent = plan.rows[plan.rows["disposition"] == "planned"]
    assert sent["chunk"].notna().all()
    assert plan.rows.loc[plan.rows["disposition"] != "planned", "chunk"].isna().all()
    images = [(c["project_id"], i) for c in plan.blocks.iter_chunks() for i in c["images"]]
    assert sorted(images) == sorted(zip(sent["project_id"], sent["image_id"], strict=True))
    assert len(set(images)) == len(images)
    assert (plan.chunks["images"] <= size).all()
    assert (sent.groupby("chunk")[list(CHUNK_FIELDS)].nunique() == 1).all(axis=None)
    assert sum(plan.rows["disposition"].value_counts()) == rows


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_change_changes_the_fingerprint(data: st.DataObject) -> None:
    """One changed value of one planned row gives another fingerprint."""
    plan = planned(30, 0.0, 10)
    row = data.draw(st.integers(0, 29))
    column = data.draw(st.sampled_from(["image_id", "project_id", "status", "vault_id", "chunk"]))
    rows = plan.rows.copy()
    old = rows.at[row, column]
    rows.at[row, column] = old + 1 if column == "chunk" else f"{old}x"
    assert chunks_of(rows).fingerprint() != plan.fingerprint


def test_blast_radius(tmp_path: Path) -> None:
    """A plan larger than the limit is refused, and no ledger is left behind."""
    findings = sharekit.check(inventory(30, 0.0))
    with pytest.raises(PlanError, match="more than the limit of 29"):
        sharekit.plan(findings, tmp_path / "run.ledger", max_images=29)
    assert list(tmp_path.iterdir()) == []


def test_ledger_is_never_overwritten(tmp_path: Path) -> None:
    """An existing file is not overwritten by a new plan."""
    (tmp_path / "run.ledger").write_text("precious")
    with pytest.raises(LedgerError, match="exists already"):
        sharekit.plan(sharekit.check(inventory(3, 0.0)), tmp_path / "run.ledger")
    assert (tmp_path / "run.ledger").read_text() == "precious"


def test_the_ledger_gives_the_plan_back(tmp_path: Path) -> None:
    """What is read from the ledger is what was planned, to the last value."""
    plan = sharekit.plan(sharekit.check(inventory(50, 0.3)), tmp_path / "run.ledger")
    again = read_plan(plan.path)
    pd.testing.assert_frame_equal(again.rows, plan.rows)
    pd.testing.assert_frame_equal(again.chunks, plan.chunks)
    pd.testing.assert_frame_equal(again.findings.frame, plan.findings.frame)
    assert again.counts == plan.counts
    assert again.preview() == plan.preview()


def test_approval_names_the_fingerprint(tmp_path: Path) -> None:
    """Only the plan's own fingerprint, eight digits at least, and a name, make an approval."""
    plan = sharekit.plan(sharekit.check(inventory(5, 0.0)), tmp_path / "run.ledger")
    for reviewer, digits in (("Ada", "0" * 12), ("Ada", plan.fingerprint[:7]), (" ", "0" * 12)):
        with pytest.raises(ApprovalError):
            sharekit.approve(plan, reviewer=reviewer, fingerprint=digits)
    yes = sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint[:8].upper())
    assert (yes.reviewer, yes.fingerprint, yes.images) == ("Ada", plan.fingerprint, 5)


def test_review_changes_the_plan_and_voids_the_approval(world: Callable[..., World]) -> None:
    """Decisions taken from the sheet make a new plan; the old approval no longer counts."""
    import openpyxl

    w = world(rows=12)
    plan = w.approved()
    out = w.folder / "review.xlsx"
    sharekit.review(plan, out=out)
    book = openpyxl.load_workbook(out)
    page = book[book.sheetnames[0]]
    lines = list(page.iter_rows())
    top = next(i for i, line in enumerate(lines) if line[0].value == "key")
    names = [cell.value for cell in lines[top]]
    lines[top + 1][names.index("decision")].value = "skip"
    lines[top + 2][names.index("decision")].value = "reject"
    lines[top + 3][names.index("decision")].value = "accept"
    book.save(out)
    with pytest.raises(InputError, match="B2, Review!B3 needs a reason"):
        sharekit.review(plan, take=out, reviewer="Bob")
    for line in (1, 2, 3):
        lines[top + line][names.index("reason")].value = "because"
    book.save(out)
    seen = sharekit.review(plan, take=out, reviewer="Bob")
    assert seen.plan.fingerprint != plan.fingerprint
    assert seen.plan.counts["skipped"] == 1
    assert seen.plan.rows["status"].tolist()[1:3] == ["rejected", "accepted"]
    with pytest.raises(ApprovalError, match="changed since Ada approved"):
        sharekit.submit(plan, w.connect())
    sharekit.approve(plan, reviewer="Ada", fingerprint=seen.plan.fingerprint)
    run = sharekit.submit(plan, w.connect())
    assert run.counts["skipped"] == 1
    assert run.succeeded
    with pytest.raises(PlanError, match="can no longer change"):
        sharekit.review(plan, take=out)


def test_review_may_settle_a_conflict(tmp_path: Path) -> None:
    """Skipping one of two conflicting rows frees the other one, and full-ECS rules still hold."""
    image, project = "d164b5df-1bc3-4c3f-893e-3e471fd16e64", "edc89b490d7d4392898e19b2deb34797"
    (tmp_path / "s.csv").write_text(
        f"image_id,project_id,status\n{image},{project},accepted\n{image},{project},rejected\n"
    )
    findings = sharekit.check(sharekit.read_inventory(tmp_path / "s.csv"))
    assert findings.rows["disposition"].tolist() == ["blocked", "blocked"]
    word = pd.DataFrame({"decision": ["skip"], "reason": [""]}, index=[0])
    again = sharekit.check(findings.inventory, decisions=word)
    assert again.rows["disposition"].tolist() == ["skipped", "planned"]


def test_preview_without_a_cloud(tmp_path: Path) -> None:
    """A plan made without a cloud previews method, path and body with the endpoint left open."""
    plan = sharekit.plan(sharekit.check(inventory(3, 0.0)), tmp_path / "run.ledger")
    assert "PUT {ims}/v1/cloudimages/members" in plan.preview()
    assert all(image in plan.preview() for image in plan.rows["image_id"])
