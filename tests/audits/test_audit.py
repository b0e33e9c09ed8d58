"""The compliance audit: an inventory against everything the clouds show, and only read."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import yaml

import sharekit
from sharekit.audits import meanings, storage
from sharekit.clouds.cloud import Cloud
from sharekit.clouds.registry import Clouds
from sharekit.core.actions import ABSENT
from sharekit.core.errors import SignInError
from sharekit.core.frame_schemas import SURVEY
from sharekit.reports import audit_document
from sharekit.simulator import Image, Project, Seed, Share, Simulator, User
from tests.conftest import World
from tests.interfaces import test_cli

Make = Callable[..., World]
#: ``ME`` and ``OWNER`` are signed in to; ``BAD`` too, but at a wrong address; the others are not.
ME, OWNER, BAD, FAR, LOST = (c * 32 for c in "0bdfc")
USER = User("u", "ada", "s3same-47")
HEADER = ("image_id", "project_id", "status", "owner", "remark")


def image(number: int) -> str:
    """An image's ID."""
    return f"{number:08x}-0000-4000-8000-000000000001"


#: Name -> the row, and what an audit must say of it: result, code, observed, seen_by.
ROWS: dict[str, tuple[Sequence[str], tuple[str, str, str, str]]] = {
    "accepted": ((image(1), ME, "accepted"), ("agrees", "", "accepted", "project")),
    "rejected": ((image(2), ME, "no"), ("agrees", "", "rejected", "project")),
    "otherwise": ((image(3), ME, "accepted"), ("differs", "", "rejected", "project")),
    "pending": ((image(4), ME, "accepted"), ("undecided", "", "pending", "project")),
    "blank": ((image(5), ME, ""), ("undecided", "", "pending", "project")),
    "blank-decided": ((image(6), ME, ""), ("differs", "", "accepted", "project")),
    "hidden": ((image(7), ME, "accepted"), ("agrees", "", "accepted", "project")),
    "far": ((image(10), ME, "accepted"), ("absent", "not-told", "absent", "project")),
    "never": ((image(99), ME, "accepted"), ("absent", "not-told", "absent", "project")),
    "kept": ((image(11), ME, "accepted"), ("absent", "owner-keeps", "absent", "project")),
    "lacks": ((image(98), ME, "accepted", OWNER), ("absent", "owner-lacks", "absent", "project")),
    "private": ((image(16), ME, "accepted", OWNER), ("absent", "owner-keeps", "absent", "project")),
    "own": ((image(12), ME, "accepted"), ("absent", "own-image", "absent", "project")),
    "public": ((image(13), ME, "accepted"), ("absent", "visible", "", "project")),
    "twice": ((image(1), ME, "accepted"), ("duplicate", "duplicate", "accepted", "project")),
    "damaged": ((image(1)[:-1], ME, "accepted"), ("faulty", "image-id-format", "", "")),
    "unclear": ((image(8), ME, "maybe"), ("faulty", "status-unknown", "accepted", "project")),
    "elsewhere": ((image(1), LOST, "accepted"), ("unread", "no-credentials", "", "")),
    "by its owner": ((image(14), LOST, "accepted"), ("agrees", "", "accepted", "owner")),
    "unreadable": ((image(1), BAD, "accepted"), ("unread", "HTTP404", "", "")),
}
#: Shares that no row names: image, project -> result, observed.
BEYOND = {
    (image(20), ME): ("unlisted", "pending"),
    (image(21), ME): ("unlisted", "accepted"),
    (image(22), FAR): ("shared-out", "rejected"),
}


def seed() -> Seed:
    """Everything that the rows name, and the shares beyond them."""
    created = "2026-03-01T00:00:00Z"
    far = (1, 2, 3, 4, 5, 6, 8, 10, 20, 21)
    images = [Image(image(n), FAR, name=f"far-{n}", created_at=created) for n in far]
    images += [
        Image(image(7), FAR, hidden=True),
        Image(image(11), OWNER),
        Image(image(12), ME),
        Image(image(13), FAR, visibility="public"),
        Image(image(14), OWNER),
        Image(image(16), OWNER, visibility="private"),
        Image(image(22), ME, name="=1+1"),
    ]
    states = {1: "accepted", 2: "rejected", 3: "rejected", 6: "accepted", 7: "accepted",
              8: "accepted", 21: "accepted"}  # fmt: skip
    shares = [Share(image(n), ME, states.get(n, "pending")) for n in (*range(1, 9), 20, 21)]
    shares += [Share(image(14), LOST, "accepted"), Share(image(22), FAR, "rejected")]
    projects = tuple(Project(p, f"project-{p[0]}") for p in (ME, OWNER, BAD, FAR, LOST))
    return Seed(projects, (USER,), (), tuple(images), tuple(shares), ())


@dataclass
class Place:
    """A cloud, its inventory, and where an audit's files go."""

    cloud: Simulator
    folder: Path
    shares: Path
    config: Path

    def clouds(self, *names: str) -> sharekit.Clouds:
        """Sign in."""
        return sharekit.connect(
            *(names or ("project-0", "project-b", "project-d")), config_file=self.config
        )

    def inventory(self) -> sharekit.Inventory:
        """Read the rows."""
        return sharekit.read_inventory(self.shares)

    def write(self, rows: Sequence[Sequence[str]]) -> None:
        """Write an inventory."""
        with self.shares.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADER, *(([*row, "", ""])[:5] for row in rows)])


@pytest.fixture(params=["batch", "native"])
def place(world: Make, request: pytest.FixtureRequest) -> Place:
    """The cloud of :func:`seed`, with and without the batch call."""
    made = world()
    made.cloud.reset(seed(), native_only=request.param == "native")
    config = made.cloud.write_clouds_yaml(made.folder / "clouds.yaml")
    entries = yaml.safe_load(config.read_text())
    wrong = f"{made.cloud.url}/nowhere"
    entries["clouds"]["project-d"] |= {
        "ims_endpoint_override": wrong, "image_endpoint_override": wrong,
        "sharekit": {"api": "native"},
    }  # fmt: skip
    config.write_text(yaml.safe_dump(entries))
    here = Place(made.cloud, made.folder, made.folder / "inventory.csv", config)
    here.write([row for row, _ in ROWS.values()])
    return here


def test_every_row_and_every_share_has_its_one_line(place: Place) -> None:
    """Each row says what was observed and no more, and each share beyond the rows is named."""
    found = sharekit.audit(place.inventory(), place.clouds())
    rows = found.rows
    said = rows[["result", "code", "observed", "seen_by"]].apply(tuple, axis=1).tolist()
    for name, got, (_, wanted) in zip(ROWS, said, ROWS.values(), strict=False):
        assert got == wanted, name
    assert rows["row"].tolist() == [*range(2, len(ROWS) + 2), *[0] * len(BEYOND)]
    rest = rows.iloc[len(ROWS) :]
    keys = zip(rest["image_id"], rest["project_id"], strict=True)
    told = zip(rest["result"], rest["observed"], strict=True)
    assert dict(zip(keys, told, strict=True)) == BEYOND
    assert set(rows["result"]) == set(meanings.RESULTS)
    assert (rows["reason"] != "").eq(rows["result"] != "agrees").all()
    # Whose, how old, and by what name: of shadow shares and of what we share out.
    shadow = rest.set_index("image_id").loc[image(20)]
    assert (shadow["owner"], shadow["name"]) == (FAR, "far-20")
    assert shadow["shared_at"] == shadow["image_created_at"] == "2026-03-01T00:00:00Z"
    then = pd.Timestamp(found.survey.taken_at) - pd.Timestamp("2026-03-01T00:00:00Z")
    assert shadow["age_days"] == then.days
    assert rest.set_index("image_id").loc[image(22), ["owner", "name"]].tolist() == [ME, "=1+1"]
    # What could not be read is said, and is no agreement.
    assert found.read_errors[["cloud", "what", "code"]].to_numpy().tolist() == [
        ["project-d", "shares", "HTTP404"]
    ]
    assert found.read_errors["reason"].all()
    assert found.drift == sum(found.counts[name] for name in meanings.DRIFT) > 0
    assert not found.in_sync


def test_a_project_that_cannot_be_signed_in_to(place: Place) -> None:
    """Of an account's projects all are read; one that refuses the sign-in is said, and ends no
    audit of the others."""  # noqa: D205, D209
    known = place.clouds("project-0")

    def refuse() -> Cloud:
        raise SignInError("project-c: no role there.")

    clouds = Clouds(dict(known), {LOST: refuse})
    found = sharekit.audit(place.inventory(), clouds)
    assert found.read_errors[["project_id", "what", "reason"]].to_numpy().tolist() == [
        [LOST, "shares", "project-c: no role there."]
    ]
    there = found.rows[found.rows["project_id"] == LOST]
    assert set(there["code"]) == {"SignInError"}
    assert found.projects_without_credentials == [BAD]
    assert f"gives access to {BAD}." in audit_document.headline(found)
    # Only what somebody decided has a time of its decision, on both sides of a share.
    survey = found.survey
    for frame in (survey.shares[survey.shares["shared_at"] != ""], survey.outgoing):
        decided = frame["state"].isin(["accepted", "rejected"])
        assert ((frame["decided_at"] != "") == decided).all()
        assert len(frame)
    assert found.counts["agrees"] == 3


def test_what_an_owner_records(place: Place) -> None:
    """`share` agrees with any decision of the project, `unshare` with no share; seen by the owner
    alone, too."""  # noqa: D205, D209
    place.write([
        (image(22), FAR, "share"), (image(22), LOST, "share"), (image(14), LOST, "unshare"),
        (image(11), LOST, "unshare"), (image(11), FAR, "accepted"),
    ])  # fmt: skip
    found = sharekit.audit(place.inventory(), place.clouds("project-0", "project-b"))
    rows = found.rows[found.rows["row"] > 0]
    said = rows[["result", "code", "observed", "seen_by"]].apply(tuple, axis=1).tolist()
    assert said == [
        ("agrees", "", "rejected", "owner"), ("absent", "owner-keeps", "absent", "owner"),
        ("differs", "", "accepted", "owner"), ("agrees", "", "absent", "owner"),
        ("absent", "owner-keeps", "absent", "owner"),
    ]  # fmt: skip


def test_an_audit_only_reads(place: Place) -> None:
    """Besides signing in, the server sees nothing but GETs, and no share has changed."""
    before = place.cloud.state()["members"]
    sharekit.audit(place.inventory(), place.clouds())
    state = place.cloud.state()
    requests = {r for r in state["requests"] if r != "POST /v3/auth/tokens"}
    assert len(requests) >= 4
    assert {request.split()[0] for request in requests} == {"GET"}
    assert state["members"] == before
    assert state["log"] == []


def test_a_reader_is_enough_and_an_agreeing_inventory_is_good(place: Place) -> None:
    """Somebody who may only look can audit; where all agrees, the audit is good."""
    look = seed()
    reader = User("u", "ada", "s3same-47", role="reader")
    place.cloud.reset(
        Seed(look.projects, (reader,), (), look.images, look.shares[:2], ()),
        native_only=place.clouds("project-0")[ME].resolve_api() == "native",
    )
    place.write([(image(1), ME, "accepted"), (image(2), ME, "rejected")])
    found = sharekit.audit(place.inventory(), place.clouds("project-0"))
    assert (found.in_sync, found.drift, found.counts["agrees"]) == (True, 0, 2)


def test_the_evidence_of_an_audit_is_read_back(place: Place) -> None:
    """An audit's ledger gives back the same audit, and a changed one is told from it."""
    found = sharekit.audit(place.inventory(), place.clouds())
    kept = storage.save(found, place.folder / "audit.ledger")
    again = storage.load(kept)
    pd.testing.assert_frame_equal(again.rows, found.rows)
    assert again.summary == found.summary
    for name in SURVEY:
        pd.testing.assert_frame_equal(getattr(again.survey, name), getattr(found.survey, name))


def shell(*arguments: object) -> tuple[int, str, str]:
    """Run the command: its exit code, what it answers, what it says on stderr."""
    done = test_cli.shell(*arguments)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def options(place: Place) -> list[str]:
    """How the command is told about the clouds."""
    names = [word for name in "0bd" for word in ("--cloud", f"project-{name}")]
    return [f"--clouds-yaml={place.config}", *names]


def outs(folder: Path) -> list[str]:
    """Names of everything that an audit can write."""
    return [str(folder / f"audit.{end}") for end in ("xlsx", "html", "csv", "json", "ledger")]


def test_the_command(place: Place) -> None:
    """Exit 1 on drift with every file, JSON as documented; verified, and told apart once edited."""
    first, *more = outs(place.folder)
    signed_in = options(place)
    also = [word for path in more for word in ("-o", path)]
    code, out, _ = shell("audit", place.shares, first, *signed_in, *also, "--json")
    told = json.loads(out)
    assert code == 1
    assert told["files"] == [first, *more]
    assert told["drift"] == sum(told["results"][name] for name in meanings.DRIFT) > 0
    assert told["results"].keys() == meanings.RESULTS.keys()
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert all(f"| `{key}` |" in page for key in told)
    written = json.loads(Path(more[2]).read_text(encoding="utf-8"))
    assert {k: written[k] for k in told if k != "files"} == {
        k: v for k, v in told.items() if k != "files"
    }
    assert len(written["lines"]) == len(ROWS) + len(BEYOND)
    ledger = more.pop()
    code, out, _ = shell("verify", ledger, first, *more)
    assert code == 0, out
    again = place.folder / "again.html"
    assert shell("report", ledger, again)[0] == 0
    assert again.read_bytes() == Path(more[0]).read_bytes()
    workbook = openpyxl.load_workbook(first)
    sheet = workbook["Rows"]
    column = [cell.value for cell in sheet[1]].index("result") + 1
    sheet.cell(2, column).value = "agrees"
    workbook.save(first)
    code, out, _ = shell("verify", ledger, first)
    assert code == 1
    assert "says “agrees”" in out


def test_what_the_command_refuses(place: Place) -> None:
    """An existing file, above all the inventory, is never overwritten; each misuse is a sentence
    and exit 2; where only a project could not be read the exit code is the cloud's."""  # noqa: D205, D209
    signed_in = options(place)
    # Without an OUT of its own the inventory would be the file to write.
    before = place.shares.read_bytes()
    code, _, said = shell("audit", place.shares, *signed_in)
    assert (code, place.shares.read_bytes()) == (2, before)
    assert "exists already" in said
    for wrong in ((place.shares, place.folder / "n.xlsx"), (place.folder / "n.pdf", *signed_in),
                  (place.folder / "no" / "n.xlsx", *signed_in), ()):  # fmt: skip
        code, _, said = shell("audit", *wrong)
        assert (code, "Traceback" in said) == (2, False)
    ledger = storage.save(
        sharekit.audit(None, place.clouds("project-0")), place.folder / "a.ledger"
    )
    for command in (["status"], ["review"], ["approve", "--reviewer=A", "--fingerprint=12345678"]):
        assert "holds an audit" in shell(*command, ledger)[2]
    # Nothing but an unreadable project: the cloud's refusal is the answer.
    args = ("audit", place.folder / "bad.xlsx", "--cloud", "project-d", signed_in[0])
    code, out, _ = shell(*args)
    assert code == 4
    assert "Could not be read: project-d" in out
    assert "result" not in out.split("Could not")[0]
    assert not (place.folder / "bad.xlsx").exists()
    assert "-o NAME.ledger" in shell(*args, "--since", place.folder / "nope.ledger")[2]
    # What is missing is said before what is in the way.
    assert "no such spreadsheet" in shell("audit", "nofile.xlsx", place.shares, *signed_in)[2]


def test_a_changed_ledger_of_an_audit_shows(place: Place) -> None:
    """Rows that do not follow from what was seen are found, though every hash is right; and the
    script of docs/explanation/evidence.md comes to the same verdict on the intact one."""  # noqa: D205, D209
    found = sharekit.audit(place.inventory(), place.clouds())
    good = storage.save(found, place.folder / "good.ledger")
    assert sharekit.verify(good).intact
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "evidence.md").read_text(
        encoding="utf-8"
    )
    script = page.split("```python\n")[1].split("```")[0]
    ran = subprocess.run(
        [sys.executable, "-c", script, str(good)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.split(":")[0]) == (0, "intact"), ran.stderr
    rows = found.rows.copy()
    rows.loc[2, "result"] = "agrees"
    forged = storage.save(dataclasses.replace(found, rows=rows), place.folder / "forged.ledger")
    assert not sharekit.verify(forged).intact


def test_a_report_of_an_audit_is_harmless(place: Place) -> None:
    """No cell of the workbook is a formula, no value becomes markup, a csv calculates nothing."""
    state = seed()
    nasty = '=HYPERLINK("http://x")<script>alert(1)</script>\u202e'
    images = [dataclasses.replace(i, name=nasty) for i in state.images]
    place.cloud.reset(dataclasses.replace(state, images=tuple(images)))
    place.write([(image(1), ME, "accepted", "", "<b>=1+1")])
    found = sharekit.audit(place.inventory(), place.clouds("project-0"))
    paths = sharekit.report(found, *outs(place.folder)[:3])
    book = openpyxl.load_workbook(paths[0])
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
    assert "f" not in {cell.data_type for cell in cells}
    assert nasty in {cell.value for cell in cells}
    page = paths[1].read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>" not in page.split("<main>")[1]
    assert "\u202e" not in page
    text = paths[2].read_text(encoding="utf-8-sig")
    names = [line["name"] for line in csv.DictReader(text.splitlines())]
    assert all(name.startswith("'=") for name in names if name)


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_a_listing_is_an_inventory_to_begin_with(place: Place, form: str) -> None:
    """Without an inventory every share is listed; `plan` reads the file as it is, asks for nothing
    where a decision stands, and takes decisions in review or in the column."""  # noqa: D205, D209
    listing = place.folder / f"listing.{form}"
    cloud = ("--cloud", "project-0", "--clouds-yaml", place.config)
    code, _, _ = shell("audit", listing, *cloud)
    assert code == 0
    inventory = sharekit.read_inventory(listing)
    rows = inventory.rows.set_index("image_id")
    listed = {image(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 20, 21)}
    assert set(rows.index) == listed
    assert rows.loc[image(3), "status"] == "rejected"
    assert rows.loc[image(20), ["status", "owner", "input.seen as"]].tolist() == [
        "",
        FAR,
        "pending",
    ]
    run = place.folder / "run.ledger"
    code, out, _ = shell("plan", listing, run, *cloud, "--json")
    told = json.loads(out)
    assert (told["planned"], told["blocked"], told["skipped"]) == (0, 0, 3)
    assert told["already"] == len(listed) - 3
    findings = sharekit.check(
        inventory,
        place.clouds("project-0"),
        decisions=pd.DataFrame({"decision": "accept"}, index=inventory.rows.index[
            inventory.rows["status"] == ""]),
    )  # fmt: skip
    assert (findings.rows["disposition"] == "planned").sum() == 3


def test_what_changed_since_an_earlier_audit(place: Place) -> None:
    """New, gone, decided, decided otherwise, and what the inventory now records, each by name."""
    clouds = place.clouds()
    first = sharekit.audit(place.inventory(), clouds)
    kept = storage.save(first, place.folder / "first.ledger")
    mine, owner = clouds[ME], clouds[OWNER]
    far = place.clouds("project-f")[FAR]
    for cloud, method, number, who, body in (
        (far, "POST", 10, "", {"member": ME}),
        (far, "DELETE", 1, ME, None),
        (mine, "PUT", 4, ME, {"status": "accepted"}),
        (mine, "PUT", 2, ME, {"status": "accepted"}),
        (owner, "DELETE", 14, LOST, None),
        (owner, "POST", 11, "", {"member": LOST}),
    ):
        url = f"{cloud.image}/v2/images/{image(number)}/members" + (f"/{who}" if who else "")
        cloud.transport.call(method, url, body=body, token=cloud.transport.token())
    rows = [row for row, _ in ROWS.values()]
    place.write([*rows[:3], *rows[4:-1], (image(21), ME, "accepted")])
    second = sharekit.audit(place.inventory(), clouds, since=kept)
    lines = second.changes
    said = {
        (name, share, project): (was, now)
        for name, share, project, was, now in lines[
            ["change", "image_id", "project_id", "was", "now"]
        ].itertuples(index=False)
    }
    assert said == {
        ("newly-shared", image(10), ME): ("absent", "pending"),
        ("newly-shared", image(11), LOST): ("", "pending"),
        ("gone", image(1), ME): ("accepted", "absent"),
        ("gone", image(14), LOST): ("accepted", "absent"),
        ("decided", image(4), ME): ("pending", "accepted"),
        ("decided-otherwise", image(2), ME): ("rejected", "accepted"),
        ("now-agrees", image(21), ME): ("accepted", "accepted"),
    }
    gone = second.rows[(second.rows["image_id"] == image(1)) & (second.rows["code"] != "duplicate")]
    assert "was-shared" in gone["code"].tolist()
    assert sharekit.audit(place.inventory(), clouds, since=first).changes.equals(lines)
    # A project that is not read any more says nothing of what it showed before.
    blind = sharekit.audit(place.inventory(), place.clouds("project-d"), since=kept)
    assert set(blind.changes["change"]) == {"not-told"}


def test_what_changed_since_a_run(world: Make) -> None:
    """A run's ledger is an earlier look too, but only at its own rows."""
    made = world(40)
    run = sharekit.submit(made.approved(), made.connect())
    clouds = made.connect()
    inventory = sharekit.read_inventory(made.shares)
    assert sharekit.audit(inventory, clouds, since=run.path).changes.empty
    share = run.plan.rows.loc[run.rows.index[run.rows["outcome"] == "confirmed"][0]]
    mine = clouds[share["project_id"]]
    url = f"{mine.image}/v2/images/{share['image_id']}/members/{share['project_id']}"
    mine.transport.call("PUT", url, body={"status": "pending"}, token=mine.transport.token())
    found = sharekit.audit(inventory, clouds, since=run.path)
    assert found.changes[["change", "was", "now"]].to_numpy().tolist() == [
        ["undecided-again", share["status"], "pending"]
    ]
    assert found.baseline is not None
    assert found.baseline.complete_projects == ()


def test_every_missing_share_is_looked_up(place: Place) -> None:
    """However many rows no listing shows, each is looked up alone before it is called absent."""
    place.write([(image(100 + n), ME, "accepted") for n in range(250)])
    found = sharekit.audit(place.inventory(), place.clouds("project-0"), owned=False)
    rows = found.rows[found.rows["row"] > 0]
    assert set(rows["code"]) == {"not-told"}
    looked = found.survey.shares.set_index("image_id").loc[rows["image_id"], "looked"]
    assert set(looked) == {"single"}
    assert set(found.survey.projects["owner_code"]) == {"not asked"}
    # No share was looked up, so that a whole column of the workbook is empty.
    assert rows["age_days"].isna().all()
    assert sharekit.report(
        dataclasses.replace(found, rows=found.rows.iloc[:8]), *outs(place.folder)[:4]
    )
    assert found.counts["shared-out"] == 0
    assert ABSENT not in found.rows.loc[found.rows["row"] == 0, "observed"].tolist()
