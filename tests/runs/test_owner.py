"""The owner's side: what a project owns and shares out, sharing and unsharing in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import sharekit
from sharekit.clouds.cloud import Cloud, ImageShare, Member
from sharekit.core.actions import ACCEPTED, ACTIONS, OWNER_ACTIONS, is_satisfied
from sharekit.core.columns import STR
from sharekit.core.errors import CloudRefusedError
from sharekit.interfaces.notebook.panel import Panel
from sharekit.interfaces.review_filters import RowFilter
from sharekit.plans.chunks import chunks_of, make_chunks
from sharekit.runs import follow_up, read_back, submit
from sharekit.simulator import Faults, Image, Project, Seed, Share, Simulator, User
from sharekit.simulator.seed import DEFAULT_KEY
from tests.conftest import FAST, World
from tests.reports.test_tampering import by_script

Make = Callable[..., World]
ME, A, B, OTHER = (c * 32 for c in "0abf")
MINE = [f"{n:08x}-0000-4000-8000-000000000001" for n in range(7)]
HIDDEN, PRIVATE, FOREIGN = (f"{n:08x}-0000-4000-8000-000000000002" for n in range(3))
USER = User("u", "ada", "s3same-47")


def cloud_of(simulator: Simulator, folder: Path, **settings: object) -> Cloud:
    """The owner's cloud, of :func:`seed`."""
    simulator.reset(seed(), **settings)
    clouds = sharekit.connect(config_file=simulator.write_clouds_yaml(folder / "clouds.yaml"))
    return clouds[ME]


def seed() -> Seed:
    """Return images that are shared with others, a hidden, a private and a foreign one."""
    images = [Image(i, ME, name=f"image-{n}") for n, i in enumerate(MINE)]
    images += [Image(HIDDEN, ME, hidden=True), Image(PRIVATE, ME, visibility="private")]
    images += [Image(FOREIGN, OTHER)]
    shares = [Share(MINE[0], A, ACCEPTED), Share(MINE[0], B), Share(FOREIGN, ME, "accepted")]
    projects = tuple(Project(p, f"project-{p[0]}") for p in (ME, A, B, OTHER))
    return Seed(projects, (USER,), (), tuple(images), tuple(shares), ())


@pytest.mark.parametrize("native", [False, True])
def test_what_a_project_owns(
    world: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    """All own images come page by page, no foreign ones, and the members of each by its owner."""
    monkeypatch.setattr("sharekit.clouds.cloud.PAGE_SIZE", 3)
    mine = cloud_of(world().cloud, tmp_path, native_only=native)
    owned = list(mine.owned())
    assert len(owned) == len({i.image_id for i in owned})
    # IMS knows no hidden images, and Glance no members of private ones.
    assert {i.image_id for i in owned} == {*MINE, HIDDEN if native else PRIVATE}
    assert {(i.owner, i.state) for i in owned} == {(ME, "")}
    found = mine.members(MINE[0])
    assert {(m.project_id, m.state) for m in found} == {(A, "accepted"), (B, "pending")}
    assert all(isinstance(m, Member) and m.created_at <= m.updated_at for m in found)
    assert mine.members(MINE[1]) == []
    # A member sees itself alone.
    assert [m.project_id for m in mine.members(FOREIGN)] == [ME]
    with pytest.raises(CloudRefusedError) as refusal:
        mine.members(MINE[0].replace("8000", "9000"))
    assert refusal.value.http == 404


# -- from rows to requests ------------------------------------------------------------------------
@st.composite
def sheets(draw: st.DrawFn) -> pd.DataFrame:
    """Rows of both sides, in any order: repeated, contradictory, with and without an owner."""
    images, projects = (st.sampled_from(those) for those in (MINE, [A, B, OTHER, ME]))
    owners = st.sampled_from([ME, ME, OTHER, ""])
    row = st.tuples(images, projects, st.sampled_from(ACTIONS), owners)
    rows = draw(st.lists(row, min_size=1, max_size=60))
    return pd.DataFrame(rows, columns=["image_id", "project_id", "status", "owner"])


def rows_of(sheet: pd.DataFrame, folder: Path) -> sharekit.Findings:
    """What the checks say of a sheet, without a cloud."""
    path = folder / "shares.csv"
    sheet.to_csv(path, index=False)
    return sharekit.check(sharekit.read_inventory(path))


@settings(max_examples=30, deadline=None)
@given(sheets(), st.integers(1, 9), st.randoms())
def test_requests_hold_the_plan(sheet: pd.DataFrame, size: int, random: Random) -> None:
    """Each planned act is in exactly one request, and no request holds one that is not planned."""
    with TemporaryDirectory() as folder:
        rows = rows_of(sheet, Path(folder)).rows
    rows, cut = make_chunks(rows, size)
    planned = rows[rows["disposition"] == "planned"]
    sent = []
    for chunk in chunks_of(rows).iter_chunks():
        assert len(chunk["images"]) * len(chunk["projects"]) <= size
        by_owner = chunk["status"] in OWNER_ACTIONS
        assert by_owner or chunk["projects"] == [chunk["project_id"]]
        owner = chunk["project_id"] if by_owner else ""
        shares = product(chunk["images"], chunk["projects"])
        sent += [(chunk["chunk"], *s, chunk["status"], owner) for s in shares]
    acts = planned[["chunk", "image_id", "project_id", "status"]].astype({"chunk": "int64"})
    acts = acts.assign(owner=planned["owner"].where(planned["status"].isin(OWNER_ACTIONS), ""))
    assert sorted(sent) == sorted(acts.itertuples(index=False, name=None))
    assert cut.frame()["images"].sum() == len(planned)
    # The same from the ledger's rows, and whatever the order of the sheet.
    assert chunks_of(rows).fingerprint() == cut.fingerprint()
    order = random.sample(range(len(rows)), len(rows))
    assert make_chunks(rows.iloc[order], size)[1].fingerprint() == cut.fingerprint()
    # What owners do leaves the requests of the other side, and their numbers, as they were.
    decided = rows[~rows["status"].isin(OWNER_ACTIONS)]
    alone, _ = make_chunks(decided, size)
    assert alone["chunk"].equals(decided["chunk"])


@pytest.mark.parametrize(
    ("images", "projects", "requests"),
    [
        (1, 250, [50] * 5),
        (250, 1, [50] * 5),
        (3, 30, [30] * 3),
        (10, 7, [49, 21]),
        (2, 60, [30] * 4),
    ],
)
def test_no_more_requests_than_needed(images: int, projects: int, requests: list[int]) -> None:
    """Images with the same projects fill their requests, and many projects are cut evenly."""
    shares = product(
        [f"image {n:03}" for n in range(images)], [f"{n:032x}" for n in range(projects)]
    )
    rows = pd.DataFrame(shares, columns=["image_id", "project_id"]).assign(
        region="", status="share", owner=ME, vault_id="", whole_image="", disposition="planned"
    )
    assert make_chunks(rows, 50)[1].sizes.tolist() == requests


def test_a_changed_number_makes_no_block() -> None:
    """A ledger that puts two blocks into one request is found out: it gives other requests."""
    shares = [(MINE[0], A), (MINE[0], B), (MINE[1], A)]
    rows = pd.DataFrame(shares, columns=["image_id", "project_id"]).assign(
        region="", status="share", owner=ME, vault_id="", whole_image="", disposition="planned"
    )
    rows, cut = make_chunks(rows, 9)
    assert len(cut.frame()) == 2
    rows["chunk"] = pd.array([1, 1, 1], dtype="Int64")
    assert [len(c["images"]) * len(c["projects"]) for c in chunks_of(rows).iter_chunks()] == [2, 1]
    assert chunks_of(rows).fingerprint() != cut.fingerprint()


# -- rules ----------------------------------------------------------------------------------------
def found(findings: sharekit.Findings) -> set[tuple[int, str]]:
    """Row and rule of each finding that is no repair."""
    frame = findings.frame[findings.frame["severity"] != "repair"]
    return set(zip(frame["row"] - 2, frame["rule"], strict=True))


def test_rules_without_a_cloud(tmp_path: Path) -> None:
    """Only who is named can act; what contradicts itself and what is too much is blocked."""
    sheet = [
        (MINE[0], A, "Share", ME), (MINE[0], A, "accepted", ""),  # two acts, no conflict
        (MINE[1], A, "share", ME), (MINE[1], A, "Un-share", ME),
        (MINE[2], A, "withdraw", ME), (MINE[2], A, "rejected", ""),
        (MINE[3], A, "share", ""), (MINE[3], A, "share", "Team"),
        (MINE[4], ME, "share", ME),
        (MINE[5], A, "add member", ME), (MINE[5], A, "share", ME),
    ]  # fmt: skip
    sheet += [(MINE[6], f"{n * 40503 % 2**32:08x}{n:024x}", "share", ME) for n in range(1, 258)]
    frame = pd.DataFrame(sheet, columns=["image_id", "project_id", "status", "owner"])
    said = found(rows_of(frame, tmp_path))
    expected = {(n, "conflict") for n in (2, 3, 4, 5)}
    expected |= {(6, "owner-unknown"), (7, "owner-unknown"), (8, "share-with-owner")}
    expected |= {(10, "duplicate")} | {(n, "too-many-projects") for n in range(11, 268)}
    assert said == expected


def test_rules_with_a_cloud(world: Make, tmp_path: Path) -> None:
    """The cloud says who owns an image, who has it, how visible it is, and whether encrypted."""
    full, locked, own_key, public = (f"{n:08x}-0000-4000-8000-000000000003" for n in range(4))
    many = tuple(Project(f"{n * 2654435761 % 2**32:08x}{n:024x}", f"p{n}") for n in range(1, 10))
    w = world()
    mine = cloud_of(w.cloud, tmp_path)
    seed = w.cloud.seed
    images = (
        Image(full, ME, whole_image=True), Image(locked, ME, key=DEFAULT_KEY),
        Image(own_key, ME, key="mine"), Image(public, ME, visibility="public"),
    )  # fmt: skip
    shares = tuple(Share(full, p.id) for p in many)
    w.cloud.reset(
        replace(seed, projects=seed.projects + many, images=seed.images + images,
                shares=seed.shares + shares)
    )  # fmt: skip
    names = [name for name, one in yaml.safe_load(w.cloud.clouds_yaml())["clouds"].items()
             if one["auth"]["project_id"] in (ME, A)]  # fmt: skip
    config = w.cloud.write_clouds_yaml(tmp_path / "clouds.yaml")
    clouds = sharekit.connect(*names, config_file=config)
    assert mine.project_id == ME
    sheet = [
        (MINE[0], A, "share", ""), (MINE[0], B, "unshare", ME), (MINE[1], B, "unshare", ""),
        (MINE[1], A, "share", A), (MINE[4], B, "share", B), (FOREIGN, A, "share", ""),
        (MINE[0].replace("8000", "9000"), A, "share", ""), (MINE[2], ME, "share", ""),
        (full, A, "share", ""), (full, many[0].id, "share", ""), (full, B, "share", ""),
        (locked, A, "share", ""), (own_key, A, "share", ""), (public, A, "share", ""),
        (MINE[3], A, "share", ""), (MINE[3], A, "accepted", ""),
    ]  # fmt: skip
    path = tmp_path / "shares.csv"
    columns = ["image_id", "project_id", "status", "owner"]
    pd.DataFrame(sheet, columns=columns).to_csv(path, index=False)
    findings = sharekit.check(sharekit.read_inventory(path), clouds)
    assert found(findings) == {
        (0, "already"), (2, "already"), (3, "not-owned"), (4, "no-credentials"),
        (5, "owner-unknown"), (6, "owner-unknown"), (7, "share-with-owner"),
        (8, "too-many-projects"), (9, "already"), (10, "too-many-projects"), (11, "encrypted"),
        (12, "encrypted"), (13, "not-shareable"), (15, "not-shared"),
    }  # fmt: skip
    assert findings.rows["before"].iloc[[0, 1, 2, 9, 14]].tolist() == [
        "accepted", "pending", "absent", "pending", "absent",
    ]  # fmt: skip
    planned = findings.rows[findings.rows["disposition"] == "planned"]
    assert planned.index.tolist() == [1, 11, 12, 14]
    assert set(planned["owner"]) == {ME}
    said = findings.frame.set_index("row")
    assert f"it is {OTHER}, which no cloud that was named" in said.at[7, "message"]
    assert "no project that was asked shows such an image" in said.at[8, "message"]
    assert "Correct the image ID" in said.at[8, "suggestion"]
    assert said.at[15, "message"].endswith("(it is public)")
    assert said.at[15, "value"] == public
    assert "another row shares it in this very run" in said.at[17, "message"]


# -- the whole road -------------------------------------------------------------------------------
@dataclass
class Road:
    """A cloud with an owner, its sign-ins, and a way from rows to a report."""

    simulator: Simulator
    folder: Path
    clouds: sharekit.Clouds
    seed: Seed

    def plan(self, sheet: Sequence[tuple[str, ...]], **options: int) -> sharekit.Plan:
        """Check with the cloud, plan and approve."""
        path = self.folder / "shares.csv"
        columns = ["image_id", "project_id", "status"]
        pd.DataFrame(sheet, columns=columns).to_csv(path, index=False)
        findings = sharekit.check(sharekit.read_inventory(path), self.clouds)
        plan = sharekit.plan(findings, self.folder / "run.ledger", **options)
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        return plan

    def submit(self, plan: sharekit.Plan) -> pd.DataFrame:
        """Carry it out to its end; the reports' rows, when all of them are as they should be."""
        for _ in range(20):
            with suppress(sharekit.SharekitError):
                if sharekit.submit(plan, self.clouds, settings=FAST).finished:
                    break
        paths = [self.folder / f"report.{end}" for end in ("xlsx", "html", "json", "csv")]
        sharekit.report(plan, *paths)
        verdict = sharekit.verify(plan.path, *paths)
        assert verdict.intact, verdict.problems
        assert by_script(plan.path)
        return pd.read_csv(paths[-1], dtype=STR, keep_default_na=False)

    def shown(self) -> dict[tuple[str, str], str]:
        """What the cloud itself says: (image, project) to state."""
        return {
            (m["image_id"], m["project_id"]): m["status"] for m in self.simulator.state()["members"]
        }


@pytest.fixture
def road(world: Make, tmp_path: Path) -> Callable[..., Road]:
    """Make a :class:`Road`, with faults and settings of the cloud."""

    def make(faults: str = "", **wishes: object) -> Road:
        simulator = world().cloud
        cloud_of(simulator, tmp_path, **({"job_seconds": 0.02} | wishes))
        clouds = sharekit.connect(config_file=tmp_path / "clouds.yaml")
        for one in clouds.values():  # a third of all responses may be lost
            one.transport.read_attempts = 20
        simulator.set_faults(Faults.parse(faults))
        return Road(simulator, tmp_path, clouds, seed())

    return make


_FAULTS = "p503=0.1,cut_after=0.15,cut_before=0.1,flow_control=0.1,job_fail=0.05,no_results=0.5"


@pytest.mark.parametrize(
    ("faults", "wishes"),
    [("", {}), ("", {"native_only": True}), ("", {"refuse_in_job": True}), (_FAULTS, {}),
     (_FAULTS, {"native_only": True}), ("job_partial=0.3", {})],
)  # fmt: skip
def test_whole_road(road: Callable[..., Road], faults: str, wishes: dict[str, bool]) -> None:
    """Every row has its one outcome; what is confirmed is what the cloud itself shows changed."""
    r = road(faults, **wishes)
    before = r.shown()
    sheet = [(i, p, "share") for i in MINE[1:5] for p in (A, B)]
    sheet += [(MINE[0], A, "share"), (MINE[0], B, "unshare"), (MINE[5], A, "unshare")]
    sheet += [(FOREIGN, A, "share"), (FOREIGN, ME, "rejected"), (MINE[6], B, "Share")]
    sheet += [(MINE[6], B, "rejected"), (MINE[6], B, "share")]
    rows = r.submit(r.plan(sheet, chunk_size=4))
    after = r.shown()
    assert len(rows) == len(sheet)
    changed = {s for s in before.keys() | after.keys() if before.get(s) != after.get(s)}
    confirmed = rows[rows["outcome"] == "confirmed"]
    assert set(zip(confirmed["image_id"], confirmed["project_id"], strict=True)) == changed
    for image, project, act in confirmed[["image_id", "project_id", "status"]].to_numpy():
        assert is_satisfied(act, after.get((image, project), "absent"))
    # A share that is there keeps what its project has decided.
    assert after[MINE[0], A] == before[MINE[0], A] == "accepted"
    expected = {8: "already", 10: "already", 14: "blocked", 15: "duplicate"}
    assert {n: rows.at[n, "outcome"] for n in expected} == expected
    rest = set(rows.loc[~rows.index.isin(list(expected)), "outcome"])
    assert rest == ({"confirmed", "failed"} if "partial" in faults else {"confirmed"})


def test_what_changes_before_sending(road: Callable[..., Road]) -> None:
    """A last look takes single shares out of a block; the rest goes, and nothing else."""
    r = road()
    plan = r.plan([(image, project, "share") for image in MINE[1:4] for project in (A, B)])
    assert len(plan.chunks) == 1
    r.simulator.set_share(MINE[2], B, "rejected")
    rows = r.submit(plan)
    assert rows["outcome"].tolist() == ["confirmed"] * 3 + ["already"] + ["confirmed"] * 2
    assert r.shown()[MINE[2], B] == "rejected"
    log = [entry for entry in r.simulator.state()["log"] if entry["method"] == "POST"]
    assert sum(len(e["images"]) * len(e["projects"]) for e in log) == 5


def test_what_becomes_public_is_not_sent(road: Callable[..., Road]) -> None:
    """An image that is public by the time of sending is left out with the reason, on both sides."""
    r = road(native_only=True)
    plan = r.plan([(MINE[1], A, "share"), (MINE[2], A, "share"), (FOREIGN, ME, "rejected")])
    images = [
        replace(image, visibility="public") if image.id in (MINE[1], FOREIGN) else image
        for image in r.seed.images
    ]
    r.simulator.reset(replace(r.seed, images=tuple(images)), native_only=True, job_seconds=0.02)
    rows = r.submit(plan)
    assert rows["outcome"].tolist() == ["blocked", "confirmed", "blocked"]
    assert rows["code"].tolist() == ["not-shareable", "", "not-looked-up"]
    assert rows["reason"].str.contains("public").tolist() == [True, False, True]


def test_what_is_done_already_when_it_is_sent(road: Callable[..., Road]) -> None:
    """A 409 to sharing and a 404 to unsharing claim nothing: unknown, until they are read back."""
    r = road(native_only=True)
    plan = r.plan([(MINE[1], A, "share"), (MINE[0], B, "unshare")])
    look = submit.take_snapshot

    def look_then_do_it(*args: Any, **options: Any) -> Any:
        snapshot = look(*args, **options)
        r.simulator.set_share(MINE[1], A, "pending")
        r.simulator.set_share(MINE[0], B, "absent")
        r.simulator.set_faults(Faults(forbid_members=1.0))
        return snapshot

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submit, "take_snapshot", look_then_do_it)
        run = sharekit.submit(plan, r.clouds, settings=FAST)
    assert run.rows["outcome"].tolist() == ["unknown", "unknown"]
    assert run.rows["claimed"].tolist() == ["", ""]
    assert run.rows["code"].tolist() == ["HTTP409", "HTTP404"]
    r.simulator.set_faults(Faults())
    rows = r.submit(plan)
    assert rows["outcome"].tolist() == ["confirmed", "confirmed"]
    assert run.requests["submit"] == sharekit.status(plan.path).requests["submit"] == 2


def test_both_sides_must_show_it(
    road: Callable[..., Road], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the owner sees a share and its project does not, that is no success."""
    r = road()
    plan = r.plan([(MINE[1], A, "share"), (MINE[1], B, "share")])
    real = read_back.read_back

    def blind(*arguments: Any) -> list[tuple[str, ImageShare]]:
        seen = real(*arguments)
        return [(p, replace(s, state="absent") if p == A else s) for p, s in seen]

    # No cloud of ours shows two sides different things.
    monkeypatch.setattr(read_back, "read_back", blind)
    rows = r.submit(plan)
    assert rows["outcome"].tolist() == ["contradicted", "confirmed"]
    assert rows["observed"].tolist() == ["absent", "pending"]


def test_undo_and_retry(road: Callable[..., Road]) -> None:
    """What was shared is taken back, what was taken back is offered anew and says what is lost."""
    r = road()
    r.simulator.set_share(MINE[1], B, "accepted")
    sheet = [(MINE[2], A, "share"), (MINE[3], A, "share"), (MINE[1], B, "unshare"),
             (MINE[0], B, "unshare")]  # fmt: skip
    plan = r.plan(sheet)
    assert set(r.submit(plan)["outcome"]) == {"confirmed"}
    r.simulator.set_share(MINE[3], A, "accepted")  # its project has decided since
    back = follow_up.undo(plan.path, r.folder / "back.ledger", r.clouds)
    assert back.rows["status"].tolist() == ["unshare", "unshare", "share", "share"]
    assert found(back.findings) == {(1, "undo-state-changed"), (2, "undo-decided")}
    said = back.findings.frame.set_index("rule")
    # The cell's own word, and beside it what the cloud shows.
    assert said.at["undo-state-changed", "value"] == "share"
    told = said.at["undo-state-changed", "message"]
    assert told.endswith("(the run left it pending, now it is accepted)")
    assert said.at["undo-decided", "value"] == "unshare"
    sharekit.approve(back, reviewer="Ada", fingerprint=back.fingerprint)
    rows = r.submit(back)
    assert rows["outcome"].tolist() == ["confirmed", "blocked", "confirmed", "confirmed"]
    assert (MINE[2], A) not in r.shown()
    assert r.shown()[MINE[1], B] == r.shown()[MINE[0], B] == "pending"


def test_retry(road: Callable[..., Road]) -> None:
    """Shares that failed are planned once more, by the same owner."""
    r = road("job_partial=0.6")
    plan = r.plan([(image, project, "share") for image in MINE[1:5] for project in (A, B)])
    failed = r.submit(plan)["outcome"] == "failed"
    assert failed.any()
    r.simulator.set_faults(Faults())
    again = follow_up.retry(plan.path, r.folder / "again.ledger", r.clouds)
    assert set(again.rows["owner"]) == {ME}
    sharekit.approve(again, reviewer="Ada", fingerprint=again.fingerprint)
    assert r.submit(again)["outcome"].tolist() == ["confirmed"] * failed.sum()


def test_decisions_stay_on_their_side(road: Callable[..., Road]) -> None:
    """A reviewer can leave one share out of a block, but not accept for the project."""
    r = road()
    path = r.folder / "shares.csv"
    sheet = [(MINE[n], p, "share") for n in (1, 2) for p in (A, B)]
    pd.DataFrame(sheet, columns=["image_id", "project_id", "status"]).to_csv(path, index=False)
    findings = sharekit.check(sharekit.read_inventory(path), r.clouds)
    plan = sharekit.plan(findings, r.folder / "run.ledger")
    review = sharekit.review(plan, r.clouds)
    for key, word in ((0, "skip"), (1, "accept"), (2, "unshare")):
        review.decide([key], word, reason="because")
    assert review.rows["state"].tolist() == ["skipped", "blocked", "already", "planned"]
    made = review.replan()
    assert made.rows["disposition"].tolist() == ["skipped", "blocked", "already", "planned"]
    assert found(made.findings) == {(1, "wrong-role"), (2, "already")}
    assert review.state.counts["share"] == 1
    wrong = made.findings.frame.set_index("rule").at["wrong-role", "message"]
    assert wrong.endswith("(decided: accept)")


def test_an_owner_sees_shares(road: Callable[..., Road]) -> None:
    """Where owners act, the panel and the shell speak of shares, show with whom, offer to share and
    take back, and show of each row its own request.
    """  # noqa: D205
    r = road(native_only=True)
    path = r.folder / "shares.csv"
    sheet = [(MINE[n], p, "share") for n in (1, 2) for p in (A, B)]
    pd.DataFrame(sheet, columns=["image_id", "project_id", "status"]).to_csv(path, index=False)
    plan = sharekit.plan(
        sharekit.check(sharekit.read_inventory(path), r.clouds), r.folder / "run.ledger"
    )
    review = sharekit.review(plan, r.clouds)
    assert review.state.phrase == "send 4 shares"
    assert plan.by_project.to_dict("records") == [
        {
            "project_id": ME,
            "status": "share",
            "images": 4,
            "requests": 1,
            "shared_with": "2 projects",
            "project_name": "project-0",
            "project_name_source": "sign-in",
        }
    ]
    assert all(
        project in str(review.state.row(key)["request"]) for key, project in enumerate([A, B])
    )
    panel = Panel(review)
    assert panel.desk.deciding.words == ["share", "unshare", "skip", ""]
    panel.act("select", "3")
    panel.act("decide", "unshare", reason="not theirs")
    assert review.rows["state"].tolist() == ["planned"] * 3 + ["already"]
    panel.act("page", 2)
    assert "['3 shares in 3 calls: ', '3 to share']" in str(panel.view)


def test_all_shown_leaves_the_other_side_alone(road: Callable[..., Road]) -> None:
    """Accepting all that is shown decides on the projects' rows, and on none of the owners'."""
    r = road()
    path = r.folder / "shares.csv"
    sheet = [(MINE[1], A, "share"), (MINE[0], B, "rejected"), (MINE[2], B, "unshare")]
    pd.DataFrame(sheet, columns=["image_id", "project_id", "status"]).to_csv(path, index=False)
    findings = sharekit.check(sharekit.read_inventory(path), r.clouds)
    review = sharekit.review(sharekit.plan(findings, r.folder / "run.ledger"), r.clouds)
    shown = review.state.find(RowFilter())
    assert review.state.wrong_role_rows(shown, "Accepted").tolist() == [0, 2]
    assert review.state.wrong_role_rows(shown, "skip").tolist() == []
    Panel(review).act("decide", "accept", reason="because")
    assert review.rows["decision"].tolist() == ["", "accept", ""]
