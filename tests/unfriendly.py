"""Unfriendly clouds: what sharekit says under each behaviour, compared with the cloud's own truth.

A behaviour is a set of faults of the simulator. Each is tried on a run with both sides (projects
that decide, owners that share), with the batch call and with the native one, at four moments:
planning; the preflight of a submission; from its first request on, so that jobs and reading back
meet it; and an audit. Every statement about the cloud is then compared with the simulator's state.
What is open (``claimed``, ``unknown``, ``unread``, ``not-looked-up`` …) is no statement.

``python -m tests.unfriendly`` writes ``docs/explanation/unfriendly.md``.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest import mock

import pandas as pd

import sharekit
from sharekit.audits.baseline import diff, from_audit
from sharekit.core.actions import ABSENT, is_satisfied
from sharekit.core.brakes import Waits, waiting_by
from sharekit.core.columns import STR
from sharekit.core.errors import CloudError
from sharekit.simulator import Faults, Image, Project, Seed, Share, Simulator, User, Vault, start
from sharekit.simulator.seed import invented_id
from tests.conftest import FAST

#: A behaviour -> its faults.
BEHAVIOURS: Final = {
    "no fault at all": "",
    "403 for members": "forbid_members=1",
    "403 for some members": "forbid_members=0.5,seed=3",
    "404 for members where 403 is meant": "hide_members=1",
    "lists of members are empty": "empty_members=1",
    "some lists of members are empty": "empty_members=0.4,seed=7",
    "pending images are listed as accepted": "wrong_state=1",
    "404 for single images": "hide_images=1",
    "404 for single images and members": "hide_images=1,hide_members=1",
    "403 for members, 404 for images": "hide_images=1,forbid_members=1",
    "some pending images are listed as accepted": "wrong_images=0.3",
    "some images are in no listing": "lost_images=0.3",
    "some are in no listing, 404 for members": "lost_images=0.3,hide_members=1",
    "500 for some images, alone": "broken_images=0.2",
    "401 for some images, alone": "refused_images=0.2",
    "429 for some images, alone": "busy_images=0.2",
    "a page of HTML for some images, alone": "page_images=0.2",
    "a redirect for some images, alone": "moved_images=0.2",
    "500 for every page but the first": "broken_page=1,page_cap=4",
    "500 for pages, 404 for members": "broken_page=1,page_cap=4,hide_members=1",
    "pages of 3, without `next`": "page_cap=3",
    "pages of 3, no members": "page_cap=3,forbid_members=1",
    "an empty page before each page": "empty_page=1",
    "some empty pages": "empty_page=0.4,seed=5",
    "each page twice": "repeated_page=1",
    "pages without end": "endless_pages=1",
    "pages without end, 404 for members": "endless_pages=1,hide_members=1",
    "the marker is ignored": "ignore_marker=1,page_cap=4",
    "the marker is ignored, 404 for members": "ignore_marker=1,page_cap=4,hide_members=1",
    "another order on each page": "shuffled_pages=1,page_cap=4",
    "another order, 404 for members": "shuffled_pages=1,page_cap=2,hide_members=1",
    "another order, 403 for members": "shuffled_pages=1,page_cap=4,forbid_members=1",
    "images in every state": "ignore_state=1",
    "images in every state, 403 for members": "ignore_state=1,forbid_members=1",
    "images in some other states": "ignore_state=0.3,seed=2",
    "filters are ignored": "ignore_filters=1",
    "another image is shown": "other_image=1",
    "another project's state is shown": "other_member=1",
    "states that nobody knows": "unknown_state=1",
    "some unknown states": "unknown_state=0.5,seed=4",
    "IDs in upper case": "upper_case=1",
    "upper case, pages of 3": "upper_case=1,page_cap=3",
    "results for other images": "foreign_results=1",
    "another job's state": "other_job=1",
    "jobs fail for some images": "job_partial=0.4,seed=6",
    "jobs fail for some images, reasons empty": "job_partial=0.4,empty_reason=1,seed=6",
    "jobs lie": "false_success=1",
    "jobs name no images": "no_results=1,job_partial=0.3,seed=8",
    "changes are seen 0.3 s late": "lag=0.3",
    "single answers from the past": "cached_looks=1",
    "listings from the past, or of another project": "cached_lists=1",
    "200 without a job": "no_job_id=1",
    "an image has at most 2 projects": "member_quota=2",
    "one project is shut out": "revoke_after=12",
    "one project is shut out at once": "revoke_after=1",
    "garbage now and then": "garbage=0.1,seed=9",
    "responses are lost": "cut_after=0.3,seed=10",
    "reads are to wait for an hour": "read_503=0.1,retry_after=3600,seed=11",
    "requests are to wait for an hour": "p429=0.1,retry_after=3600,seed=12",
}  # fmt: skip
#: ME and OWNER are signed in to; STRANGER owns images that are shared with ME.
ME, OWNER, STRANGER, B, C = (invented_id("project", n) for n in range(5))
_USER = User("u", "ada", "s3same-47")
#: Rules that leave open what the cloud did not show.
_OPEN: Final = ("not-looked-up", "owner-unknown", "vault-unread")


def _id(*parts: object) -> str:
    text = invented_id(*parts)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


@dataclass
class Scene:
    """A cloud's seed and the rows that are about it; ``names`` are the clouds to sign in to."""

    names: tuple[str, ...]
    seed: Seed
    rows: pd.DataFrame


@dataclass
class Tally:
    """What was said under a behaviour: statements, the false ones, and what was left open."""

    statements: int = 0
    false: list[str] = field(default_factory=list)
    open: Counter[str] = field(default_factory=Counter)

    def say(self, true: bool, text: str) -> None:
        """Count a statement."""
        self.statements += 1
        if not true:
            self.false.append(text)

    def leave(self, what: str, number: int = 1) -> None:
        """Count what is left open."""
        if number:
            self.open[what] += number


# -- the cloud -------------------------------------------------------------------------------------
@cache
def scene() -> Scene:
    """Shares of every kind, seen from both sides, and some that no row names."""
    decided, offered = _decided(), _offered()
    images, shares, rows = (one + other for one, other in zip(decided, offered, strict=True))
    vaults = tuple(Vault(_id("vault", n), ME) for n in range(8))
    full = [image.id for image in images if image.whole_image]
    rows += [(image, ME, "accepted", vaults[-1].id, "") for image in full]
    projects = tuple(Project(p, f"project {n}") for n, p in enumerate((ME, OWNER, STRANGER, B, C)))
    seed = Seed(projects, (_USER,), (), tuple(images), tuple(shares), vaults)
    columns = ["image_id", "project_id", "status", "vault_id", "owner"]
    return Scene(("project-0", "project-1"), seed, pd.DataFrame(rows, columns=columns, dtype=STR))


_Parts = tuple[list[Image], list[Share], list[tuple[str, ...]]]


def _decided() -> _Parts:
    """Return what a stranger shares with ME, who decides on it."""
    images, shares, rows = [], [], []
    for kind, number, state, status, facts in (
        ("pending", 12, "pending", "accepted", {}),
        ("turned-down", 6, "pending", "rejected", {}),
        ("already", 5, "accepted", "accepted", {}),
        ("moved", 4, "rejected", "accepted", {}),
        ("unnamed", 7, "accepted", "", {}),
        ("hidden", 2, "pending", "accepted", {"hidden": True}),
        ("public", 2, "", "accepted", {"visibility": "public"}),
        ("elsewhere", 3, "", "accepted", {}),
        ("full", 2, "pending", "", {"whole_image": True}),
    ):
        for image in (_id("member", kind, n) for n in range(number)):
            images.append(Image(image, STRANGER, **facts))  # type: ignore[arg-type]
            shares += [Share(image, ME, state)] if state else []
            rows += [(image, ME, status, "", "")] if status else []
    own = _id("member", "own")
    images.append(Image(own, ME))
    rows += [(own, ME, "accepted", "", ""), (_id("nothing", 1), ME, "accepted", "", "")]
    rows.append((_id("member", "pending", 0), ME, "accepted", "", ""))
    return images, shares, rows


def _offered() -> _Parts:
    """Return what OWNER shares, is to share and to unshare."""
    images = [Image(_id("owner", n), OWNER) for n in range(9)]
    images += [Image(_id("public", 0), OWNER, visibility="public"), Image(_id("foreign", 0), C)]
    ids = [image.id for image in images]
    shares = [Share(ids[n], p, "accepted") for n in (0, 1, 2) for p in (ME, B, C)]
    shares += [Share(ids[n], ME) for n in (3, 4)]
    rows = [(ids[n], ME, "unshare", "", OWNER) for n in (0, 1, 3)]
    rows += [(ids[n], p, "unshare", "", OWNER) for n, p in ((0, B), (2, C), (5, ME))]
    rows += [(ids[n], ME, "share", "", OWNER) for n in (5, 6, 7, 2)]
    rows += [(ids[n], B, "share", "", OWNER) for n in (3, 6, 7, 8, 9)]
    # Who owns an image that nobody here owns is no project's to show.
    rows += [(image, B, "share", "", "") for image in (ids[10], _id("nothing", 2))]
    return images, shares, rows  # type: ignore[return-value]


@dataclass
class Truth:
    """The state of the simulated cloud."""

    shares: dict[tuple[str, str], str]

    @classmethod
    def now(cls, cloud: Simulator) -> Truth:
        """Ask the simulator."""
        members = cloud.state()["members"]
        return cls({(m["image_id"], m["project_id"]): m["status"] for m in members})

    def state(self, image: str, project: str) -> str:
        """Return the state of a share."""
        return self.shares.get((image, project), ABSENT)

    def image(self, image: str) -> Image | None:
        """Return an image."""
        return next((one for one in scene().seed.images if one.id == image), None)

    def holds(self, code: str, row: Mapping[Any, Any]) -> bool | None:
        """Return whether what a rule or an absence says of a row is true; None: it says nothing."""
        image, state = self.image(row["image_id"]), self.state(row["image_id"], row["project_id"])
        owner = image.owner if image else ""
        facts = {
            "not-shared": state == ABSENT,
            "own-image": owner == row["project_id"],
            "already": is_satisfied(row["status"], state),
            "not-owned": owner != row["owner"],
            "owner-keeps": owner in (ME, OWNER),
            "owner-lacks": owner != row["owner"],
            "visible": image is not None and image.visibility != "shared",
            "not-shareable": image is not None and image.visibility != "shared",
            "vault-unknown": row.get("vault_id", "") not in {v.id for v in scene().seed.vaults},
            "not-told": state == ABSENT,
        }
        return facts.get(code)


# -- statements ------------------------------------------------------------------------------------
def judge_findings(tally: Tally, findings: sharekit.Findings, truth: Truth) -> None:
    """Compare the findings about the cloud, and the states before, with the truth."""
    rows = findings.rows
    by_key = dict(zip(rows.index, rows.to_dict("records"), strict=True))
    told = findings.frame[["row_key", "rule", "message"]]
    for key, rule, message in told.itertuples(index=False):
        if (holds := truth.holds(rule, by_key[key])) is not None:
            tally.say(holds, f"finding {rule} on {_row(by_key[key])}: {message}")
        elif rule in _OPEN:
            tally.leave(rule)
    _judge_states(tally, rows.assign(state=rows["before"]), truth, "before")


def judge_run(tally: Tally, run: sharekit.Run, before: Truth, after: Truth) -> None:
    """Compare outcomes, and the states before and after, with the truth."""
    rows = run.plan.rows[["image_id", "project_id", "status", "owner", "vault_id"]]
    rows = rows.join(run.rows)
    for row in rows.to_dict("records"):
        state = after.state(row["image_id"], row["project_id"])
        reached, what = is_satisfied(row["status"], state), f"{row['outcome']} {_row(row)}"
        if row["outcome"] in ("confirmed", "already"):
            tally.say(reached, what)
        elif row["outcome"] == "failed":
            tally.say(not reached, f"{what}: {row['reason']}")
        elif row["outcome"] == "contradicted":
            tally.say(reached == (row["claimed"] == "failed"), what)
        elif row["outcome"] == "blocked":
            if (holds := before.holds(row["code"], row)) is not None:
                tally.say(holds, f"{what}: {row['code']}")
            else:
                tally.leave(f"blocked ({row['code']})", row["code"] in _OPEN)
        else:
            tally.leave(row["outcome"], row["outcome"] not in ("duplicate", "skipped"))
    rows = rows.assign(state=rows["observed"].where(rows["outcome"] != "already", ""))
    _judge_states(tally, rows, after, "observed")


def judge_audit(tally: Tally, audit: sharekit.Audit, truth: Truth) -> None:
    """Compare the results of an audit with the truth, and its word that all is well."""
    rows = audit.rows.assign(state=audit.rows["observed"])
    for row in rows.to_dict("records"):
        state, what = truth.state(row["image_id"], row["project_id"]), f"audit {row['result']}"
        text = f"{what} {row['code']} on {_row(row)}"
        if row["result"] == "agrees":
            tally.say(is_satisfied(row["status"], state), text)
        elif row["result"] in ("differs", "undecided"):
            tally.say(state not in (ABSENT, row["status"]), text)
        elif row["result"] == "absent":
            tally.say(state == ABSENT and truth.holds(row["code"], row) is not False, text)
        elif row["result"] in ("unlisted", "shared-out"):
            tally.say(state == row["observed"], text)
        elif row["result"] == "unread":
            tally.leave("audit: unread")
    _judge_states(tally, rows, truth, "audit: observed")
    if audit.read_errors.empty:
        ids = (ME, OWNER)
        shown = set(zip(audit.rows["image_id"], audit.rows["project_id"], strict=True))
        for (image, project), state in truth.shares.items():
            one = truth.image(image)
            if project in ids or (one is not None and one.owner in ids):
                tally.say((image, project) in shown, f"a complete audit lacks a share ({state})")
    else:
        tally.leave("audit: projects not read in full", len(audit.read_errors))


def judge_changes(tally: Tally, audit: sharekit.Audit, friendly: sharekit.Audit) -> None:
    """Compare two audits of a cloud in which nothing has changed, whichever came first."""
    for first, second in ((audit, friendly), (friendly, audit)):
        baseline = from_audit("", first.fingerprint, first.rows, first.survey)
        changes = diff(baseline, second.rows, second.survey)
        for one in changes.to_dict("records"):
            true = one["change"] in ("not-told", "now-agrees", "now-drifts")
            tally.say(true, f"change {one['change']}, {one['image_id']:.8} {one['project_id']:.4}")


def _judge_states(tally: Tally, rows: pd.DataFrame, truth: Truth, what: str) -> None:
    for row in rows[rows["state"] != ""].to_dict("records"):
        true = truth.state(row["image_id"], row["project_id"])
        tally.say(row["state"] == true, f"{what} {row['state']} of {_row(row)}: it is {true}")


def _row(row: Mapping[Any, Any]) -> str:
    return f"{row['status']} {row['image_id'][:8]} {row['project_id'][:4]}"


# -- the four moments ------------------------------------------------------------------------------
MOMENTS = ("plan", "submit", "read_back", "audit")


@dataclass
class Trial:
    """One behaviour of a cloud with or without the batch call."""

    cloud: Simulator
    faults: Faults
    native: bool
    folder: Path
    tally: Tally

    def run(self, moments: Sequence[str]) -> None:
        """Try some of the moments."""
        for moment in moments:
            _reset(self.cloud, native=self.native)
            try:
                with waiting_by(Waits(busy_timeout=1.0, outage_timeout=0.3)):
                    getattr(self, moment)()
            except CloudError as error:
                self.tally.leave(f"{moment}: {type(error).__name__}")

    def plan(self) -> None:
        """Plan under the faults."""
        clouds, truth = self._connect(), Truth.now(self.cloud)
        self.cloud.set_faults(self.faults)
        judge_findings(self.tally, sharekit.check(inventory(), clouds), truth)

    def submit(self) -> None:
        """Submit under the faults what was planned without them."""
        self._submit(lambda: self.cloud.set_faults(self.faults), lambda _: None)

    def read_back(self) -> None:
        """Let the faults begin with the first request that is sent."""
        begun = threading.Event()

        def on_progress(progress: sharekit.Progress) -> None:
            if progress.phase == "sending" and not begun.is_set():
                begun.set()
                self.cloud.set_faults(self.faults)

        self._submit(lambda: None, on_progress)

    def audit(self) -> None:
        """Audit under the faults."""
        clouds, truth = self._connect(), Truth.now(self.cloud)
        self.cloud.set_faults(self.faults)
        audit = sharekit.audit(inventory(), clouds)
        judge_audit(self.tally, audit, truth)
        judge_changes(self.tally, audit, friendly_audit(self.cloud, native=self.native))

    def _submit(
        self, begin: Callable[[], None], on_progress: Callable[[sharekit.Progress], None]
    ) -> None:
        ledger = self.folder / f"{len(list(self.folder.iterdir()))}.ledger"
        ledger.write_bytes(approved_plan(self.cloud, native=self.native))
        clouds, before = self._connect(), Truth.now(self.cloud)
        begin()
        settings = replace(
            FAST, attempts=3, busy_timeout=2.0, outage_timeout=0.3, job_timeout=2.0,
            # Longer than the cloud lags, also on a machine that is busy with other things.
            read_back_timeout=0.4 + 5 * self.faults.lag,
            min_poll_interval=0.03, max_poll_interval=0.1,
        )  # fmt: skip
        runs = []
        try:
            runs.append(sharekit.submit(ledger, clouds, settings=settings, progress=on_progress))
        finally:
            threading.Event().wait(self.faults.lag)
            after, recorded = Truth.now(self.cloud), sharekit.status(ledger)
            runs += [recorded] if not runs or not recorded.rows.equals(runs[0].rows) else []
            for run in runs:
                judge_run(self.tally, run, before, after)

    def _connect(self) -> sharekit.Clouds:
        return _connect(self.cloud, self.folder)


def _reset(cloud: Simulator, *, native: bool) -> None:
    cloud.reset(scene().seed, native_only=native, job_seconds=0.02)


def _connect(cloud: Simulator, folder: Path) -> sharekit.Clouds:
    config = cloud.write_clouds_yaml(folder / "clouds.yaml")
    clouds = sharekit.connect(*scene().names, config_file=config)
    for one in clouds.values():
        one.resolve_api()
    return clouds


@cache
def inventory() -> sharekit.Inventory:
    """Return the rows of the scene, as they are read from a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shares.csv"
        scene().rows.to_csv(path, index=False)
        return sharekit.read_inventory(path)


@cache
def friendly_audit(cloud: Simulator, *, native: bool) -> sharekit.Audit:
    """Return an audit of the scene without any fault."""
    cloud.set_faults(Faults())
    _reset(cloud, native=native)
    with TemporaryDirectory() as folder:
        return sharekit.audit(inventory(), _connect(cloud, Path(folder)))


@cache
def approved_plan(cloud: Simulator, *, native: bool) -> bytes:
    """Return the ledger of the scene's plan, made and approved without any fault."""
    _reset(cloud, native=native)
    with TemporaryDirectory() as folder:
        findings = sharekit.check(inventory(), _connect(cloud, Path(folder)))
        plan = sharekit.plan(findings, Path(folder) / "run.ledger", chunk_size=5)
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        return plan.path.read_bytes()


def try_out(
    cloud: Simulator, name: str, *, native: bool, moments: Sequence[str] = MOMENTS
) -> Tally:
    """Try a behaviour on one kind of cloud, with short pages and pauses."""
    tally = Tally()
    with (
        TemporaryDirectory() as folder,
        mock.patch("sharekit.clouds.cloud.PAGE_SIZE", 10),
        mock.patch.multiple("sharekit.clouds.http", _FIRST_PAUSE=0.01, _LONGEST_PAUSE=0.05,
                            SIGN_IN_WAITS=(0.0, 0.02, 0.04)),
    ):  # fmt: skip
        approved_plan(cloud, native=native)
        Trial(cloud, Faults.parse(BEHAVIOURS[name]), native, Path(folder), tally).run(moments)
    return tally


# -- the page --------------------------------------------------------------------------------------
_HEAD = """# Unfriendly clouds: what is said of them

A cloud may respond in well-formed sentences that are not to be relied on. The simulator knows such
behaviours as [faults](../reference/cli.md). Each is tried on a run with both sides (a project that
decides, an owner that shares), with the batch call and with the native one, at four moments:
planning, the preflight of `submit`, from its first request to the end of reading back, and
`audit`. Every finding about the cloud, every outcome, every result and every state is compared with
the simulator's own state. What sharekit leaves open is no statement: the column "left open" counts
it. Pages have at most 10 images here, so that a listing has several.

No client can see more than a cloud shows. Beyond these checks an outcome rests on the cloud's own
listing: of each project's listed images, every reading looks up 20 at random, one of each state,
and up to 200 whose listed state would decide alone (a row that would not be sent, a share that the
listing shows otherwise than the response). If one differs from its listing, all are looked up, and
what still differs is left open, since either may be from the past or be meant for somebody else. By
20 at random, a listing in which 14 % of the states are wrong is found out in 95 of 100 readings
(calculated: 0.86^20 = 0.049); one that is wrong for a few images, and right for those that were
looked up, is not. Nor is a cache whose listings and looks are alike from the past, unless it says
so (`Age`, `Warning`). Lists of members are compared in the same way: of each owner's listed shares
one of each state and 20 at random, and in an audit also 20 images, each with a project at random
that its list lacks. A list of members that is cut off for fewer images may pass for a whole one,
unless a row or another project's listing names the member; a share that the cloud dates more than
a day before an earlier audit is not called newly shared. An owner or a visibility by which a row
would be blocked is looked up alone as well; where no listing shows an image, that look is all.

Two lies cannot be told from the truth by anybody who only asks this cloud, so that under them a
statement may be false. First: an image that no listing of a signed-in project shows, whose single
look names a wrong owner or visibility. Nothing else speaks of it; its row is blocked with that
owner, and nothing is sent for it. Second: copies of a service of which each is from another moment,
if the listing and the looks that confirm it happen to come from the same copy. Then `confirmed` and
`contradicted`, and the results of an audit, are true of that copy alone. To exclude both, compare
with a record that the cloud's operator keeps, or audit again at another time and compare the two.

`python -m tests.unfriendly` tries all of them and writes this page; `make test` tries them as well
(with the native call where it differs: while planning, and from the first request on), and fails if
one statement is false.

| behaviour | faults | left open | statements | false |
|---|---|---|---:|---:|
"""


def lines(tallies: dict[str, Tally]) -> Iterator[str]:
    """Yield a line of the table for each behaviour."""
    for name, tally in tallies.items():
        left = ", ".join(f"{n} {what}" for what, n in sorted(tally.open.items())) or "–"
        faults = f"`{BEHAVIOURS[name]}`" if BEHAVIOURS[name] else "–"
        yield f"| {name} | {faults} | {left} | {tally.statements:,} | {len(tally.false)} |\n"


def measure(name: str) -> Tally:
    """Try a behaviour on both kinds of cloud."""
    with start(scene().seed) as cloud:
        batch, native = (try_out(cloud, name, native=native) for native in (False, True))
    return Tally(
        batch.statements + native.statements, batch.false + native.false, batch.open + native.open
    )


def main(names: list[str]) -> int:
    """Try every behaviour, or the named ones; write the page if it was all of them."""
    tallies = {}
    with ProcessPoolExecutor(2) as pool:
        for name, tally in zip(tried := names or BEHAVIOURS, pool.map(measure, tried), strict=True):
            tallies[name] = tally
            print(next(lines({name: tally})), end="", flush=True)  # noqa: T201 - a program
            for text in tally.false:
                print(f"    FALSE: {text}", flush=True)  # noqa: T201 - a program
    total = sum(tally.statements for tally in tallies.values())
    wrong = sum(len(tally.false) for tally in tallies.values())
    if not names:
        page = _HEAD + "".join(lines(tallies)) + f"| **all** | | | **{total:,}** | **{wrong}** |\n"
        target = Path(__file__).parents[1] / "docs" / "explanation" / "unfriendly.md"
        target.write_text(page, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
