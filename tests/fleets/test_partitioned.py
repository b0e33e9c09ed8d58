"""Files of parquet larger than memory are planned as one list would be, bucket by bucket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import Mock

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.clouds.state.snapshot import take_snapshot
from sharekit.core.errors import InputError, SharekitError, UsageError
from sharekit.core.fields import SHARE_KEY
from sharekit.fleets import elsewhere, partitioned
from sharekit.fleets.fleet import Fleet
from sharekit.fleets.partitioned import Partitioned, is_partitioned
from tests.conftest import World
from tests.fleets.test_fleets import shares
from tests.interfaces.test_cli import shell
from tests.runs.test_owner import ME, MINE, OTHER, A, B, sheets

COLUMNS = ["file", "row", *SHARE_KEY, "status", "disposition"]


@pytest.fixture(autouse=True)
def _small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few rows fill a bucket, and a few more be too many."""
    monkeypatch.setattr(partitioned, "BUCKET_ROWS", 3)
    monkeypatch.setattr(partitioned, "_BATCH", 4)


def write(folder: Path, *frames: pd.DataFrame) -> Path:
    """Frames as files of a folder."""
    folder.mkdir(exist_ok=True)
    for n, frame in enumerate(frames):
        frame.to_parquet(folder / f"{n}.parquet", index=False)
    return folder


def rows_of(findings: sharekit.Findings) -> pd.DataFrame:
    """What becomes of each row, by its file and its number."""
    rows = findings.rows.assign(file=findings.inventory.rows["file"].astype(str))
    return rows[COLUMNS].sort_values(["file", "row"]).reset_index(drop=True)


@settings(max_examples=10, deadline=None)
@given(sheets(), st.integers(0, 60))
def test_buckets_decide_as_the_whole_inventory_does(sheet: pd.DataFrame, cut: int) -> None:
    """Each row of each file is in one bucket, with its number, and becomes what it does at once."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitioned, "BUCKET_ROWS", 12)
        folder = write(Path(name) / "shares", sheet[:cut], sheet[cut:])
        files = [path for path in sorted(folder.iterdir()) if len(pd.read_parquet(path))]
        whole = sharekit.check(sharekit.read_inventory(*files))
        buckets = [found for found, _ in Partitioned.open(str(folder)).buckets(Path(name), "9")]
    together = pd.concat(map(rows_of, buckets)).sort_values(["file", "row"], ignore_index=True)
    pd.testing.assert_frame_equal(together, rows_of(whole), check_names=False, check_dtype=False)


#: IDs that were counted up, across rows, columns and files; of a project; written in other ways.
SERIES = [f"{n:08x}-0000-4000-8000-0000000000{end}" for n in (1, 2) for end in ("98", "99", "a0")]
PROJECTS = [A, B, OTHER, *(f"{'12ab' * 7}00{end}" for end in ("09", "10", "30", "3f"))]
UP_FRONT = [f"{n}bcd{'5e' * 13}0f" for n in (17, 18, 21)]
SPELT = [*SERIES, MINE[0], f" {SERIES[1].upper()} ", PROJECTS[1], SERIES[0].replace("-", ""), ""]
NAMED = [*PROJECTS, *UP_FRONT, f"{{{PROJECTS[3].upper()}}}", SERIES[2], "12" * 16, "x"]


@st.composite
def related(draw: st.DrawFn) -> pd.DataFrame:
    """Rows whose IDs say something about those of other projects."""
    images, projects = st.sampled_from([*SPELT, *SERIES[:1] * 9]), st.sampled_from(NAMED)
    status = st.sampled_from(["accepted", "share", "share", "unshare"])
    owners = st.sampled_from(["", *[ME] * 6, *UP_FRONT, SERIES[3]])
    row = st.tuples(images, projects, status, owners)
    rows = draw(st.lists(row, min_size=9, max_size=16))
    frame = pd.DataFrame(rows, columns=["image_id", "project_id", "status", "owner"])
    return frame.rename(columns={"image_id": draw(st.sampled_from(["image_id", "ID"]))})


def findings_of(*findings: sharekit.Findings) -> pd.DataFrame:
    """Everything that was found of rows; of which file another row is, is not compared."""
    found = []
    for one in findings:
        lines = one.frame[one.frame["row_key"] >= 0]
        keys = lines["row_key"].to_numpy("int64")
        rows = one.rows.assign(file=one.inventory.rows["file"].astype(str))[["file", "row"]]
        said = lines[["rule", "field", "severity", "value", "message"]].astype(str)
        said["message"] = said["message"].str.replace(r"[^\s(]+\.parquet ", "", regex=True)
        found.append(rows.take(keys).reset_index(drop=True).join(said.reset_index(drop=True)))
    together = pd.concat(found)
    return together.sort_values([*together.columns], ignore_index=True)


@settings(max_examples=4, deadline=None)
@given(related(), st.integers(0, 16), st.sampled_from([(), ("counted-up",)]))
def test_what_rows_of_other_buckets_say_is_found(
    sheet: pd.DataFrame, cut: int, confirm: tuple[str, ...]
) -> None:
    """Counted IDs, IDs of another kind and offers to too many: as if all rows were in memory."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sharekit.checks.owner_rules.MAX_PROJECTS", 2)
        patch.setattr(partitioned, "BUCKET_ROWS", 4)
        folder = write(Path(name) / "shares", sheet[:cut], sheet[cut:])
        files = [path for path in sorted(folder.iterdir()) if len(pd.read_parquet(path))]
        try:
            whole = sharekit.check(sharekit.read_inventory(*files), confirm=confirm)
        except SharekitError:
            return  # there is no header, or nothing but blank rows
        shares = Partitioned.open(str(folder)).check(confirm=confirm)
        buckets = [found for found, _ in shares.buckets(Path(name), "9")]
    pd.testing.assert_frame_equal(findings_of(*buckets), findings_of(whole))
    together = pd.concat(map(rows_of, buckets)).sort_values(["file", "row"], ignore_index=True)
    pd.testing.assert_frame_equal(together, rows_of(whole), check_names=False, check_dtype=False)


def test_the_clouds_are_asked_once_about_each_bucket(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a bucket is compared with is what the clouds showed when the buckets were compared."""
    w = world(rows=12)
    rows = sharekit.read_inventory(w.shares).rows[[*SHARE_KEY, "status", "vault_id"]]
    folder = write(w.folder / "shares", rows)
    clouds = w.connect()
    whole = sharekit.check(sharekit.read_inventory(folder / "0.parquet"), clouds)
    asked = Mock(side_effect=take_snapshot)
    monkeypatch.setattr("sharekit.checks.check.take_snapshot", asked)
    shares = Partitioned.open(str(folder)).check(clouds)
    buckets = [found for found, _ in shares.buckets(w.folder, "9")]
    assert len(buckets) > 1
    pd.testing.assert_frame_equal(findings_of(*buckets), findings_of(whole))
    assert {found.snapshot is None for found in buckets} == {False}
    assert asked.call_count == len(buckets)


def test_ids_that_a_program_has_numbered_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More IDs that are alike than fit into memory are one sentence, and no fleet is made."""
    monkeypatch.setattr(elsewhere, "_MOST_ALIKE", 1)
    one, two = shares(A, B, OTHER, images=3), shares(B, images=1).assign(image_id=SERIES[1])
    folder = write(tmp_path / "shares", one, two, two.assign(image_id=SERIES[2]))
    with pytest.raises(InputError, match="half of their digits in common"):
        Fleet.plan(Partitioned.open(str(folder)), tmp_path / "fleet", by="project")
    assert not (tmp_path / "fleet").exists()


def test_a_share_that_two_files_decide_on_is_found(tmp_path: Path) -> None:
    """Another decision in another file, for an ID that is written otherwise, blocks both rows."""
    other = shares(A, status="rejected", images=1).assign(project_id=f" {A.upper()} ")
    folder = write(tmp_path / "shares", shares(A, B, OTHER, images=1), other)
    fleet = Fleet.plan(Partitioned.open(str(folder)), tmp_path / "fleet", by="project")
    assert fleet.status().counts["blocked"] == 2
    fleet.report(tmp_path / "all.csv")
    lines = pd.read_csv(tmp_path / "all.csv", encoding="utf-8-sig")
    (reason,) = lines.loc[lines["file"].str.endswith("1.parquet"), "reason"]
    assert f"accepted in {folder / '0.parquet'} C2" in reason
    assert fleet.verify().intact


@pytest.mark.parametrize(("by", "names"), [("project", None), ("region", {"eu", "us"}), ("4", 4)])
def test_parts_have_every_row_once(tmp_path: Path, by: str, names: object) -> None:
    """By any split each row is in one part; a folder's name is a column; nothing else stays."""
    for region, project in (("eu", A), ("us", B)):
        (tmp_path / "shares" / f"region={region}").mkdir(parents=True)
        write(tmp_path / "shares" / f"region={region}", shares(project, images=5))
    (tmp_path / "shares" / "_SUCCESS").touch()
    made = Fleet.plan(Partitioned.open(f"{tmp_path}/shares"), tmp_path / "fleet", by=by)
    parts = made.status().parts
    assert parts["rows"].sum() == 10
    assert names in (None, len(parts), {name.partition("-")[0] for name in parts["part"]})
    assert {path.suffix for path in made.path.iterdir()} == {".ledger"}
    made.report(tmp_path / "all.parquet")
    assert set(pd.read_parquet(tmp_path / "all.parquet")["input.region"]) == {"eu", "us"}


def test_a_bucket_of_unknown_regions_is_a_part_of_its_own(tmp_path: Path) -> None:
    """Rows without a region are the rest, also where they fill a bucket; no region is refused."""
    known, unknown = shares(A, images=3).assign(region="eu"), shares(B, images=3).assign(region="")
    folder = write(tmp_path / "shares", known, unknown)
    made = Fleet.plan(Partitioned.open(str(folder)), tmp_path / "fleet", by="region")
    assert {*made.status().parts["part"]} == {"eu", "rest"}
    (folder / "0.parquet").unlink()
    with pytest.raises(UsageError, match="belong to any region"):
        Fleet.plan(Partitioned.open(str(folder)), tmp_path / "none", by="region")
    assert not (tmp_path / "none").exists()


def _cut_off(folder: Path) -> None:
    (folder / "0.parquet").write_bytes((folder / "0.parquet").read_bytes()[:60])


def _numbers(folder: Path) -> None:
    pd.DataFrame({**shares(B), "image_id": 7}).to_parquet(folder / "1.parquet", index=False)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "another file": (lambda f: (f / "notes.txt").write_text("x"), "notes.txt is no parquet file"),
    "no file": (lambda f: (f / "0.parquet").unlink(), "there is no parquet file"),
    "damaged": (_cut_off, "0.parquet cannot be read as parquet"),
    "other columns": (lambda f: shares(B).assign(x="").to_parquet(f / "1.parquet"), "'x'"),
    "other types": (_numbers, "1.parquet cannot be read with"),
    "no IDs": (lambda f: pd.DataFrame({"a": ["b"]}).to_parquet(f / "0.parquet"), "no header"),
    "no rows": (lambda f: shares(B)[:0].to_parquet(f / "0.parquet", index=False), "no rows"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, kind: str) -> None:
    """What is no parquet, damaged or otherwise than the rest is named, and no fleet is made."""
    spoil, message = SPOILT[kind]
    spoil(folder := write(tmp_path / "shares", shares(A)))
    with pytest.raises(SharekitError, match=message) as error:
        Fleet.plan(Partitioned.open(str(folder)), tmp_path / "fleet", by="project")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["shares"]


def test_what_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project, and a part, with more rows than fit is one sentence; so is a split by nothing."""
    monkeypatch.setattr(partitioned, "MOST_ROWS", 4)
    three, five = (write(tmp_path / str(n), shares(A, B, images=n)) for n in (3, 5))
    with pytest.raises(InputError, match="rows of one project are 5"):
        Fleet.plan(Partitioned.open(str(five)), tmp_path / "fleet", by="project")
    with pytest.raises(InputError, match="name more parts"):
        Fleet.plan(Partitioned.open(str(three)), tmp_path / "fleet", by="1")
    with pytest.raises(UsageError, match="split by"):
        Fleet.plan(Partitioned.open(str(three)), tmp_path / "fleet", by="owner")
    assert not (tmp_path / "fleet").exists()


def test_the_command_takes_folders_and_patterns(tmp_path: Path) -> None:
    """`fleet plan` reads a folder, a pattern, and files with more rows than a bucket like that."""
    folder = write(tmp_path / "shares", shares(A, images=2), shares(B, images=2))
    files = sorted(map(str, folder.iterdir()))
    assert is_partitioned(files)
    assert not is_partitioned(files[:1])
    for n, given_ in enumerate((str(folder), f"{folder}/*.parquet")):
        made = shell("fleet", "plan", given_, str(tmp_path / f"fleet-{n}"), "--by", "project")
        assert made.returncode == 0, made.stderr
    missing = shell("fleet", "plan", f"{tmp_path}/none/*", str(tmp_path / "no"), "--by", "project")
    assert b"no parquet file" in missing.stderr
    assert (
        MINE[0]
        in sharekit.status(next((tmp_path / "fleet-0").glob("part-*")))
        .plan.rows["image_id"]
        .tolist()
    )
