"""A fleet is split, approved, reported and verified as one, and each part is a run by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.checks.findings import Findings
from sharekit.core.errors import (
    ApprovalError,
    InputError,
    LedgerError,
    PlanError,
    SharekitError,
    UsageError,
)
from sharekit.core.fields import SHARE_KEY
from sharekit.fleets import approving, planning, records
from sharekit.fleets.fleet import Fleet
from sharekit.fleets.replacing import share_like, take_back
from sharekit.fleets.split import split
from sharekit.fleets.storage import FLEET_LEDGER, read_fleet, recover
from sharekit.ledger.hashing import tree_paths, tree_root
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import LockHolder, sidecar
from sharekit.plans.approval import ApprovalRequirement, require_approval_of, revoke
from tests.conftest import FAST, World
from tests.interfaces.test_cli import shell
from tests.ledger.test_beside import leave_half_done
from tests.ledger.test_signatures import ADA, BOB, Keys, keys  # noqa: F401 - a fixture
from tests.reports.forger import Forger
from tests.reports.test_tampering import by_script
from tests.runs.test_owner import MINE, OTHER, A, B, cloud_of, rows_of, sheets

Make = Callable[..., World]
HASH = st.binary(min_size=32, max_size=32).map(bytes.hex)


def shares(*projects: str, images: int = 3, status: str = "accepted") -> pd.DataFrame:
    """Rows of some projects, each with the same images."""
    lines = [(image, project, status) for project in projects for image in MINE[:images]]
    return pd.DataFrame(lines, columns=["image_id", "project_id", "status"])


def check(frame: pd.DataFrame) -> Findings:
    """The findings of rows, without a cloud."""
    return sharekit.check(sharekit.read_inventory(frame))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A fleet of three parts with three shares each."""
    return Fleet.plan(check(shares(A, B, OTHER)), tmp_path / "fleet", by="project")


def approve(fleet: Fleet, who: str = "Ada", **more: Any) -> dict[str, Any]:
    """Somebody's approval of a fleet."""
    return fleet.approve(reviewer=who, fingerprint=fleet.fingerprint, **more)


def ledgers(fleet: Fleet) -> list[Path]:
    """The ledgers of the parts."""
    return sorted(fleet.path.glob("part-*.ledger"))


def skip_one(path: Path, who: str = "Bob") -> None:
    """Decide on a row of a part, and plan it again."""
    skipped = pd.DataFrame({"decision": ["skip"], "reason": ["no"]})
    sharekit.review(path, reviewer=who, take=skipped.rename_axis("row_key"))


# -- the tree of hashes ----------------------------------------------------------------------------
@given(st.lists(HASH, min_size=1, max_size=40, unique=True), st.data())
def test_a_path_proves_its_own_leaf_alone(leaves: list[str], data: st.DataObject) -> None:
    """Every leaf's path leads to the root, and from no other hash; another leaf is another root."""
    root, paths = tree_paths(leaves)
    assert all(tree_root(leaf, path) == root for leaf, path in zip(leaves, paths, strict=True))
    n = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(HASH.filter(lambda one: one != leaves[n]))
    assert tree_root(other, paths[n]) != root
    assert tree_paths([*leaves[:n], other, *leaves[n + 1 :]])[0] != root
    # What stands between the leaves is no leaf.
    for path in paths:
        assert all(tree_root(step[1:], path[at:]) != root for at, step in enumerate(path, 1))


# -- the split -------------------------------------------------------------------------------------
@settings(max_examples=10, deadline=None)
@given(sheets(), st.sampled_from(["project", "1", "2", "7"]))
def test_a_split_keeps_every_row_and_what_becomes_of_it(sheet: pd.DataFrame, by: str) -> None:
    """Each row is in one part, with the same disposition; rows about one share are in one part."""
    with TemporaryDirectory() as folder:
        whole = rows_of(sheet, Path(folder))
    names, parts = split(whole, by)
    found = list(parts)
    assert len(found) == len(names) == len(set(names))
    columns = ["row", *SHARE_KEY, "status", "disposition"]
    together = pd.concat([part.rows[columns].assign(part=n) for n, part in enumerate(found)])
    together = together.sort_values("row", ignore_index=True)
    expected = whole.rows[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(together[columns], expected, check_names=False)
    assert (together.groupby(SHARE_KEY)["part"].nunique() == 1).all()
    assert sum(s.rows for part in found for s in part.inventory.sources) == len(whole.rows)


def test_what_only_all_rows_show_is_found_in_the_parts(tmp_path: Path) -> None:
    """A share decided twice in two files, and IDs counted up across projects, stay blocked."""
    one, two = shares(A, B, images=1), shares(B, images=1, status="rejected")
    for name, frame in (("one.csv", one), ("two.csv", two)):
        frame.to_csv(tmp_path / name, index=False)
    conflict = sharekit.check(sharekit.read_inventory(tmp_path / "one.csv", tmp_path / "two.csv"))
    counted = check(
        shares(A, B, images=1).assign(image_id=[MINE[3][:-2] + n for n in ("98", "99")])
    )
    for n, findings in enumerate((conflict, counted)):
        blocked = int((findings.rows["disposition"] == "blocked").sum())
        assert blocked == (2 if n == 0 else 1)
        made = Fleet.plan(findings, tmp_path / f"fleet-{n}", by="project")
        assert made.status().counts["blocked"] == blocked
        assert made.verify().intact


@pytest.mark.parametrize("by", ["owner", "0", "-1", "", "account", "region", "²"])
def test_what_nothing_can_be_split_by(by: str, tmp_path: Path) -> None:
    """Another word, no number of parts, and what no row is known to have make no fleet."""
    with pytest.raises(UsageError):
        Fleet.plan(check(shares(A)), tmp_path / "fleet", by=by)
    assert [*tmp_path.iterdir()] == []


def test_what_holds_or_broke_a_ledger_names_the_command_of_the_fleet(fleet: Fleet) -> None:
    """An unfinished change, and a lock of another machine, are for `fleet submit`, not `submit`."""
    for path in (ledgers(fleet)[0], fleet.path / FLEET_LEDGER):
        leave_half_done(path)
        for call in (fleet.status, fleet.verify, lambda: fleet.report(fleet.path / "a.csv")):
            with pytest.raises(LedgerError) as error:
                call()
            assert f"`sharekit fleet submit {fleet.path}` takes" in error.value.in_shell
        holder = LockHolder("elsewhere", 7, "bob", "2026-01-01T00:00:00Z")
        sidecar(path, "owner").write_bytes(msgspec.json.encode(holder))
        with pytest.raises(LedgerError) as error:
            recover(fleet.path)
        assert error.value.in_shell.endswith(f"sharekit fleet submit {fleet.path} --take-over")
        recover(fleet.path, take_over=True)
        assert not fleet.status().finished
    sidecar(stray := fleet.path.parent / "own.ledger", "owner").touch()
    recover(stray.parent, take_over=True)
    assert sidecar(stray, "owner").exists()


def test_a_call_for_a_part_that_is_not_there_says_so(fleet: Fleet) -> None:
    """`verify` names a missing part as one; a file is no folder of a fleet."""
    ledgers(fleet)[0].unlink()
    ((_, what),) = fleet.verify().problems
    assert what.endswith("a part of the fleet, is missing: put it back.")
    with pytest.raises(LedgerError, match="is a file: name the folder"):
        Fleet(fleet.path / FLEET_LEDGER).status()


def test_a_fleet_is_planned_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is cut off leaves no folder, or a hidden one that the same call replaces."""
    findings, folder = check(shares(A, B)), tmp_path / "fleet"
    with pytest.raises(PlanError, match="limit of 5"):
        Fleet.plan(findings, folder, by="project", max_images=5)
    with monkeypatch.context() as patch:
        patch.setattr(planning, "plan", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Fleet.plan(findings, folder, by="project")
    assert [*tmp_path.iterdir()] == []
    left = tmp_path / ".fleet.planning"
    left.mkdir()
    (left / "part-x.ledger").write_text("left behind by a process that was killed")
    assert len(ledgers(Fleet.plan(findings, folder, by="project"))) == 2
    assert not left.exists()
    with pytest.raises(LedgerError, match="holds something already"):
        Fleet.plan(findings, folder, by="project")
    left = tmp_path / ".other.planning"
    left.mkdir()
    with Ledger.create(left / FLEET_LEDGER), pytest.raises(LedgerError, match="wait until it has"):
        Fleet.plan(findings, tmp_path / "other", by="project")


# -- the approval ----------------------------------------------------------------------------------
def test_one_approval_approves_every_part_by_itself(fleet: Fleet, tmp_path: Path) -> None:
    """After one approval each part alone is approved and intact; a change voids its own alone."""
    given_ = approve(fleet)
    assert (given_["parts"], given_["images"], given_["approved"]) == (3, 9, 3)
    for path in ledgers(fleet):
        alone = shutil.copy(path, tmp_path / path.name)
        assert [one.reviewer for one in require_approval_of(alone)] == ["Ada"]
        assert sharekit.verify(alone).intact
        assert by_script(alone)
    first, *rest = ledgers(fleet)
    revoke(first, reviewer="Ada")
    skip_one(first)
    with pytest.raises(ApprovalError):
        require_approval_of(first)
    assert all(require_approval_of(path) for path in rest)
    verdict = fleet.verify()
    assert verdict.intact
    assert any("changed since" in what for _, what in verdict.notes)
    # The new fingerprint approves what has none; the others keep what they have.
    assert approve(fleet)["approved"] == 1
    assert all(require_approval_of(path) for path in ledgers(fleet))
    assert fleet.verify().notes == ()
    assert approve(fleet, "Bob")["approved"] == 3


def test_an_interrupted_approval_is_completed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call writes what the parts lack, and no second approval."""
    write, left = approving.write_approval, [2]

    def dies(*arguments: Any) -> Any:
        left[0] -= 1
        return write(*arguments) if left[0] else 1 / 0

    with monkeypatch.context() as patch:
        patch.setattr(approving, "write_approval", dies)
        with pytest.raises(ZeroDivisionError):
            approve(fleet)
    assert any("lacks the approval of Ada" in what for _, what in fleet.verify().notes)
    assert approve(fleet)["approved"] == 2
    assert approve(fleet)["approved"] == 0
    with Ledger.open(fleet.path / FLEET_LEDGER) as ledger:
        assert len(ledger.list_events("fleet_approved")) == 1
    assert fleet.verify().notes == ()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.approve(reviewer="Ada", fingerprint="0" * 12), "is .*, not 0{12}"),
        (lambda f: f.approve(reviewer="Ada", fingerprint=f.fingerprint[:7]), "at least 8"),
        (lambda f: f.approve(reviewer="...", fingerprint=f.fingerprint), "names nobody"),
        (lambda f: ledgers(f)[0].unlink(), "missing"),
        (lambda f: ledgers(f)[0].write_bytes(b"no ledger"), "part-"),
        (lambda f: shutil.copy(ledgers(f)[1], ledgers(f)[0]), "not the ledger"),
        (lambda f: (f.path / FLEET_LEDGER).unlink(), "holds no fleet"),
        (lambda f: shutil.copy(ledgers(f)[0], f.path / FLEET_LEDGER), "holds no fleet"),
    ],
)  # fmt: skip
def test_a_spoiled_fleet_is_one_sentence(
    fleet: Fleet, spoil: Callable[[Fleet], object], message: str
) -> None:
    """What is missing, foreign or mistyped is said in a sentence, and nothing is approved."""
    before = [path.read_bytes() for path in ledgers(fleet)[1:]]

    def call() -> None:
        spoil(fleet)
        approve(fleet)

    with pytest.raises(SharekitError, match=message):
        call()
    assert [path.read_bytes() for path in ledgers(fleet)[-2:]] == before


def test_an_approval_that_was_taken_back_is_not_written_again(fleet: Fleet) -> None:
    """After a revocation the fleet has another fingerprint, and the old approval is none."""
    old = approve(fleet)
    first, *rest = ledgers(fleet)
    revoke(first, reviewer="Bob")
    with pytest.raises(ApprovalError, match="fleet's fingerprint is"):
        fleet.approve(reviewer="Ada", fingerprint=old["fingerprint"])
    assert fleet.fingerprint != old["fingerprint"]
    with Ledger.open(first, write=True) as ledger:  # as whoever has the file could do
        again = {**ledger.list_events("approved")[-1].body, "after": ledger.head}
        ledger.append("approved", again)
    with pytest.raises(ApprovalError):
        require_approval_of(first)
    assert sharekit.verify(first).label == "TAMPERED"
    assert all(require_approval_of(path) for path in rest)


def test_a_new_approval_is_written_where_one_was_taken_back(fleet: Fleet) -> None:
    """The same reviewer approves anew, with another note, and only that part has it."""
    approve(fleet, note="first")
    first, *_ = ledgers(fleet)
    revoke(first, reviewer="Ada")
    assert approve(fleet, note="looked again")["approved"] == 1
    assert [one.note for one in require_approval_of(first)] == ["looked again"]
    verdict = fleet.verify()
    assert (verdict.problems, verdict.notes) == ((), ())


def test_a_planner_approves_no_fleet(tmp_path: Path) -> None:
    """Whoever planned the fleet cannot approve it, and nothing is written."""
    fleet = Fleet.plan(check(shares(A, B)), tmp_path / "fleet", by="2", planner="Ada")
    with pytest.raises(ApprovalError, match="somebody else"):
        approve(fleet)
    assert approve(fleet, "Bob")["approved"] == 2


@pytest.mark.needs("ssh-keygen")
def test_one_signature_is_valid_in_every_part(fleet: Fleet, keys: Keys) -> None:  # noqa: F811
    """Each part shows Ada's one signature to be valid; of another approval it is not."""
    approve(fleet, ADA, sign=keys.of(ADA))
    demand = ApprovalRequirement(1, keys.signers)
    for path in ledgers(fleet):
        assert [one.reviewer for one in require_approval_of(path, demand)] == [ADA]
    part = Forger.read(ledgers(fleet)[0])
    part.last("approved").body["fleet"]["note"] = "another"
    part.write()
    with pytest.raises(ApprovalError, match="no valid signature"):
        require_approval_of(part.path, demand)


FORGERIES: dict[str, Callable[[Forger, Forger], object]] = {
    "a path of another part": lambda part, other: (
        part.last("approved")
        .body["fleet"]
        .update(path=other.last("approved").body["fleet"]["path"])
    ),
    "another fleet": lambda part, _: (
        part.last("approved").body["fleet"].update(fingerprint="0" * 64)
    ),
    "somebody else": lambda part, _: part.last("approved").body.update(reviewer="Eve"),
    "no fleet": lambda part, _: part.last("approved").body["fleet"].update(path=[]),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_approval_of_another_plan_is_none(fleet: Fleet, forgery: str) -> None:
    """A part that its fleet's fingerprint does not cover is not approved, and tampered with."""
    approve(fleet)
    first, second, _ = (Forger.read(path) for path in ledgers(fleet))
    FORGERIES[forgery](first, second)
    first.write()
    with pytest.raises(ApprovalError):
        require_approval_of(first.path)
    assert sharekit.verify(first.path).label == "TAMPERED"
    assert fleet.verify().label == "TAMPERED"


@pytest.mark.parametrize(
    "forge",
    [
        lambda f: f.last("fleet_planned").body.update(images=8),
        lambda f: f.last("fleet_planned").body.update(fingerprint="0" * 64),
        lambda f: f.last("fleet_approved").body.update(reviewer="Eve"),
        lambda f: f.last("fleet_approved").body.update(images=1),
        lambda f: f.drop(f.last("fleet_approved")),
        lambda f: f.new("stopped", {"why": "x"}, after=f.lines[-1]),
        lambda f: f.new("fleet_finished", {"parts": []}, after=f.lines[-1]),
        lambda f: f.last("fleet_planned").body["parts"][0].update(name="../part-x"),
    ],
)
def test_a_forged_fleet_is_told(fleet: Fleet, forge: Callable[[Forger], object]) -> None:
    """A fleet's ledger that says otherwise than its parts, with hashes that fit, is not intact."""
    approve(fleet)
    own = Forger.read(fleet.path / FLEET_LEDGER)
    forge(own)
    own.write()
    with suppress(LedgerError):  # a part would lie elsewhere
        assert fleet.verify().label == "TAMPERED"


# -- sent, reported and verified -------------------------------------------------------------------
def test_the_parts_are_sent_apart_and_reported_together(world: Make) -> None:
    """Rows of all parts are in one report in the input's order, and each format is verified."""
    w = world(rows=12)
    findings = sharekit.check(sharekit.read_inventory(w.shares), w.connect())
    fleet = Fleet.plan(findings, w.folder / "fleet", by="2")
    approve(fleet)
    for path in ledgers(fleet)[1:]:
        sharekit.submit(path, w.connect(), settings=FAST)
    files = [w.folder / f"audit.{suffix}" for suffix in ("xlsx", "html", "csv", "json", "parquet")]
    assert fleet.report(*files) == files
    verdict = fleet.verify(*files)
    assert verdict.intact, verdict.problems
    rows = pd.read_parquet(files[-1])
    assert rows["row"].tolist() == findings.inventory.rows["row"].tolist()
    assert rows["outcome"].value_counts().to_dict() == {
        name: n for name, n in fleet.status().counts.items() if n
    }
    assert set(rows["part"]) == {path.stem.removeprefix("part-") for path in ledgers(fleet)}
    parts = pd.read_excel(files[0], sheet_name="Parts", engine="calamine")
    assert parts["rows"].sum() == len(rows)
    csv = files[2].read_text("utf-8-sig")
    files[2].write_text(csv.replace("confirmed", "failed", 1), "utf-8-sig")
    files[-1].write_bytes(files[-1].read_bytes().replace(b"confirmed", b"contirmed"))
    assert fleet.verify(files[2]).label == "TAMPERED"
    assert fleet.verify(files[-1]).label == "UNPROVEN"


def test_what_failed_is_planned_again_part_by_part(world: Make) -> None:
    """A retry of a fleet has the parts with failed rows, which follow on those of the fleet."""
    w = world(rows=8, faults="job_partial=0.6,seed=3")
    findings = sharekit.check(sharekit.read_inventory(w.shares), w.connect())
    fleet = Fleet.plan(findings, w.folder / "fleet", by="3")
    with pytest.raises(PlanError, match="nothing to retry"):
        fleet.retry(w.folder / "early")
    approve(fleet)
    runs = [sharekit.submit(path, w.connect(), settings=FAST) for path in ledgers(fleet)]
    failed = {run.path.name: run.counts["failed"] for run in runs if run.counts["failed"]}
    assert failed
    again = fleet.retry(w.folder / "again", w.connect())
    assert {path.name for path in ledgers(again)} == failed.keys()
    assert sum(part.rows for part in read_fleet(again.path).parts) == sum(failed.values())
    for path in ledgers(again):
        assert sharekit.verify(fleet.path / path.name, path).intact
    assert again.verify().intact


def test_more_rows_than_fit_into_memory_are_reported_part_after_part(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of rows are the same, and verified; what cannot hold all rows is one sentence."""
    whole, files = tmp_path / "whole.csv", [tmp_path / "all.csv", tmp_path / "all.parquet"]
    fleet.report(whole)
    monkeypatch.setattr(records, "MOST_ROWS", 8)
    fleet.report(*files)
    # The parts come in the order of the input here, so the bytes are the same.
    assert files[0].read_bytes() == whole.read_bytes()
    assert len(pd.read_parquet(files[1])) == 9
    assert fleet.verify(*files).intact
    with pytest.raises(UsageError, match=r"all.xlsx: .*write \.csv or \.parquet"):
        fleet.report(*files, tmp_path / "all.xlsx")
    files[0].write_bytes(whole.read_bytes().replace(b"pending", b"blocked", 1))
    assert fleet.verify(*files).label == "TAMPERED"


def test_nobody_signs_in_when_there_is_nothing_to_retry(fleet: Fleet, tmp_path: Path) -> None:
    """The command says so before it reads any clouds.yaml, and makes no folder."""
    said = shell("fleet", "retry", str(fleet.path), str(tmp_path / "new"), "--clouds-yaml", "none")
    assert b"nothing to retry" in said.stderr
    assert not (tmp_path / "new").exists()


def test_an_image_replaces_another(world: Make, tmp_path: Path) -> None:
    """The new image is shared with whom the old one is; the old one goes where that is proved."""
    mine = cloud_of(world().cloud, tmp_path)
    clouds = sharekit.connect(config_file=tmp_path / "clouds.yaml")
    old, new = MINE[0], MINE[1]
    assert share_like(new, old, clouds).rows["project_id"].tolist() == [A, B]
    first = Fleet.plan(sharekit.check(share_like(new, old, clouds), clouds), tmp_path / "f", by="2")
    with pytest.raises(InputError, match="each keeps"):
        take_back(read_fleet(first.path), old)
    approve(first)
    sharekit.submit(ledgers(first)[0], clouds, settings=FAST)
    inventory, kept = take_back(read_fleet(first.path), old)
    assert (inventory.rows["project_id"].tolist(), kept) == ([A], 1)
    second = Fleet.plan(sharekit.check(inventory, clouds), tmp_path / "g", by="project")
    approve(second)
    sharekit.submit(ledgers(second)[0], clouds, settings=FAST)
    assert {m.project_id for m in mine.members(old)} == {B}
    assert {m.project_id for m in mine.members(new)} == {A}
    with pytest.raises(InputError, match="shared with no project"):
        share_like(new, MINE[3], clouds)
    with pytest.raises(InputError, match="owns the image"):
        share_like(new, "f" * 8 + MINE[0][8:], clouds)
    with pytest.raises(UsageError, match="no image ID"):
        share_like("shares.xlsx", old, clouds)
