"""Forged ledgers of every kind: of owners, of the native API, by policies, carried over, audits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sharekit
from sharekit.audits import storage
from sharekit.core import frame_schemas
from sharekit.interfaces.review import Review
from sharekit.plans.decisions import decide, replan
from sharekit.plans.policies.policy import policy
from sharekit.runs.follow_up import retry
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator
from sharekit.simulator.sample import build_sample, write_workbook
from tests.conftest import FAST
from tests.reports.forger import Forger
from tests.reports.test_forgeries import IMAGE, STRANGER, in_frame, set_body, without
from tests.runs.torture import offers

Forgery = Callable[[Forger], object]
pytestmark = pytest.mark.usefixtures("checked_once")
SAMPLES = Path(__file__).parents[1] / "ledger" / "samples"
KINDS = ("owner", "native", "policies", "follows", "retry", "audit")


def send(plan: sharekit.Plan, clouds: sharekit.Clouds) -> Path:
    """Approve and submit a plan."""
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    sharekit.submit(plan, clouds, settings=FAST)
    return plan.path


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, _simulator: Simulator) -> dict[str, Path]:
    """A ledger of each kind; each is intact."""
    folder = tmp_path_factory.mktemp("kinds")
    sample = build_sample(16, faulty=0.2)
    seed, sheet = offers(sample.seed)
    (folder / "offers.csv").write_text(sheet, encoding="utf-8")
    shares = write_workbook(sample, folder / "shares.xlsx")
    members, owners = (sharekit.read_inventory(f) for f in (shares, folder / "offers.csv"))
    made: dict[str, Path] = {}

    def begin(*, native: bool = False) -> sharekit.Clouds:
        _simulator.reset(seed, job_seconds=0.02, native_only=native)
        return sharekit.connect(config_file=_simulator.write_clouds_yaml(folder / "clouds.yaml"))

    def planned(name: str, inventory: sharekit.Inventory, **options: Any) -> sharekit.Plan:
        findings = sharekit.check(inventory, clouds)
        return sharekit.plan(findings, folder / f"{name}.ledger", chunk_size=4, **options)

    clouds = begin()
    made["owner"] = send(planned("owner", owners), clouds)
    clouds = begin(native=True)
    made["native"] = send(planned("native", members), clouds)
    clouds = begin()
    plan = planned("policies", members)
    Review(plan, clouds, reviewer="Ann", settings=FAST).apply([policy("all", then="reject")])
    made["policies"] = send(replan(plan), clouds)
    clouds = begin()
    first = planned("first", members)
    decide(first, first.rows.index[:6], decision="skip", reason="so", reviewer="Ann")
    _simulator.set_faults(Faults.parse("job_fail=1,seed=3"))
    path = send(replan(first), clouds)
    _simulator.set_faults(Faults())
    made["follows"] = send(planned("follows", members, follows=path), clouds)
    clouds = begin()
    made["retry"] = send(retry(path, folder / "retry.ledger", clouds), clouds)
    audit = sharekit.audit(members, clouds, since=made["owner"])
    made["audit"] = storage.save(audit, folder / "audit.ledger")
    return made


def forger_of(path: Path, folder: Path) -> Forger:
    """Return a copy of a ledger, open to every change."""
    return Forger.read(Path(shutil.copy(path, folder / "forged.ledger")))


@pytest.mark.parametrize("kind", KINDS)
def test_honest_ones_are_intact(honest: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """A ledger of each kind is intact, also where a forger wrote it again as it was."""
    assert sharekit.verify(forger_of(honest[kind], tmp_path).write()).problems == ()


def body_of(kind: str, change: Callable[[dict[str, Any]], object], number: int = 0) -> Forgery:
    """Change the body of an event of a kind."""
    return lambda f: change(f.all(kind)[number].body)


def whole(kind: str, change: Callable[[pd.DataFrame], Any], name: str = "blob") -> Forgery:
    """Change the frame that the last event of a kind names."""
    return lambda f: f.change(f.last(kind), change, name)


def listing(what: str, change: Callable[[pd.DataFrame], Any]) -> Forgery:
    """Change a listing of an audit, and say how many lines it has then."""

    def forge(f: Forger) -> None:
        line = next(line for line in f.all("cloud_listed") if line.body["what"] == what)
        frame = f.frame(line)
        changed = change(frame)
        f.store(line, frame if changed is None else changed)
        line.body["lines"] = len(frame if changed is None else changed)

    return forge


def baseline(**values: str) -> Forgery:
    """Show the first share of the baseline otherwise, as if the project had had it then."""
    return whole(
        "baseline_loaded",
        lambda d: pd.concat([d.iloc[:1].assign(**{"state": "pending"} | values), d.iloc[1:]]),
    )


def cut(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave the first line out."""
    return frame.iloc[1:].reset_index(drop=True)


def other_input(field: str, value: str) -> Forgery:
    """Read a field otherwise than the column of the input says, in the first row."""
    return in_frame("inventory_read", field, value, "rows_blob")


def other_source(name: str, value: Any) -> Forgery:
    """Say something else of the first sheet."""
    return body_of("inventory_read", lambda b: b["sources"][0].update({name: value}))


def swap(name: str) -> Callable[[pd.DataFrame], None]:
    """Exchange the first and the last value of a column."""

    def change(frame: pd.DataFrame) -> None:
        ends = [frame.index[0], frame.index[-1]]
        frame.loc[ends, name] = frame.loc[ends[::-1], name].to_numpy()

    return change


def input_of(header: str, value: str) -> Forgery:
    """Say that a cell of the input held something else."""

    def change(frame: pd.DataFrame) -> None:
        column = next(c for c in frame.columns if c.lower().startswith(f"input.{header}"))
        frame.loc[frame.index[0], column] = value

    return whole("inventory_read", change, "rows_blob")


def revoked(reviewer: str) -> Forgery:
    """Let somebody withdraw the approval, and give it again."""

    def forge(f: Forger) -> None:
        approved = f.last("approved")
        fingerprint = approved.body["fingerprint"]
        body = {"reviewer": reviewer, "note": "", "fingerprint": fingerprint}
        line = f.new("approval_revoked", body, after=approved)
        f.new("approved", dict(approved.body), after=line)

    return forge


def none_of(name: str) -> Forgery:
    """Say that no requests of a kind were made."""
    return lambda f: [line.body["requests"].update({name: 0}) for line in f.all("requests_counted")]


COMMON: dict[str, Forgery] = {
    "a project that there is not": other_source("file", "other.xlsx"),
    "another header of images": body_of(
        "inventory_read", lambda b: b["sources"][0]["columns"].update(image_id="project_id")
    ),
    "another number of rows in a sheet": other_source("rows", 1),
    "rows above the header": other_source("header_row", 9_999),
    "another sheet's row": whole(
        "inventory_read",
        lambda d: d.assign(sheet=d["sheet"].cat.rename_categories(lambda name: f"{name} 2")),
        "rows_blob",
    ),
}
RUN: dict[str, Forgery] = {
    "withdrawn by nobody": revoked(""),
    "withdrawn by somebody invisible": revoked("\N{ZERO WIDTH SPACE}"),
    "nothing was read": none_of("read"),
    "another body": body_of("intent", lambda b: b.update(body={"status": "x"})),
    "another host": body_of("intent", lambda b: b.update(url="https://evil.example/")),
    "a stranger in a request": body_of("intent", lambda b: b.update(projects=[STRANGER])),
    "no preflight": lambda f: f.drop(f.first("preflight_checked"), f.first("preflight_snapshot")),
}
FORGERIES: dict[str, dict[str, Forgery]] = {
    "owner": {
        **COMMON, **RUN,
        "no jobs were asked for": none_of("poll"),
        "another owner": whole("planned", lambda d: d.assign(owner=STRANGER), "rows_blob"),
        "another owner in the snapshot": lambda f: f.change(
            f.first("snapshot_taken"), lambda d: d.assign(owner=STRANGER), "owned_blob"
        ),
        "no images of its own": lambda f: f.change(
            f.first("snapshot_taken"), lambda d: d.iloc[:0], "owned_blob"
        ),
        "a member more": body_of("intent", lambda b: b["projects"].append(STRANGER)),
        "a reading from the other side": whole(
            "read_back", lambda d: d.assign(side=d["side"].replace({"owner": "member"}))
        ),
        "shared instead of withdrawn": body_of(
            "intent", lambda b: b.update(method={"POST": "DELETE", "DELETE": "POST"}[b["method"]])
        ),
        "another field read": other_input("project_id", STRANGER),
    },
    "native": {
        **COMMON, **RUN,
        "a job of the native API": body_of("answer", lambda b: b.update(job_id="1" * 32)),
        "called a batch": body_of("intent", lambda b: b.update(api="batch")),
        "another state": body_of("intent", lambda b: b.update(body={"status": "pending"})),
        "another member": body_of(
            "intent", lambda b: b.update(url=b["url"].rsplit("/", 1)[0] + "/" + STRANGER)
        ),
        "another image in the address": body_of(
            "intent", lambda b: b.update(url=b["url"].replace(b["images"][0], IMAGE))
        ),
        "another method": set_body("intent", method="DELETE"),
        "a snapshot of a cloud with batches": whole(
            "preflight_snapshot", lambda d: d.assign(api="batch"), "projects_blob"
        ),
        "http 409 for a yes": set_body("answer", http=409),
        "answered otherwise": body_of(
            "job_done",
            lambda b: b.update(status="accepted" if b["status"] == "rejected" else "rejected"),
        ),
        "answered that nothing changed": set_body("job_done", status="pending"),
        "answered at length": set_body("job_done", status="SUCCESS" * 900),
        "no end of a request": without("job_done"),
        "another number of images": set_body("planned", planned=1),
        "another image read": other_input("image_id", IMAGE),
    },
    "policies": {
        **COMMON, **RUN,
        "another policy": body_of(
            "decided", lambda b: b["policies"]["policies"][0].update(then="skip")
        ),
        "another condition": body_of(
            "decided",
            lambda b: b["policies"]["policies"][0].update(when=[{"column": "row", "equals": "1"}]),
        ),
        "another otherwise": body_of("decided", lambda b: b["policies"].update(otherwise="skip")),
        "another sha256": set_body("decided", policies_sha256="0" * 64),
        "other numbers": body_of("decided", lambda b: b["matched"][0].__setitem__(2, 1)),
        "a policy more in the numbers": body_of(
            "decided", lambda b: b["matched"].append(["more", "skip", 0])
        ),
        "another name": in_frame("decided", "policy", "other"),
        "a row by hand": in_frame("decided", "policy", ""),
        "another decision": in_frame("decided", "decision", "skip"),
        "another reason": in_frame("decided", "reason", "because"),
        "a row less": lambda f: (
            f.change(f.last("decided"), lambda d: d.iloc[1:]),
            f.last("decided").body.update(rows=len(f.frame(f.last("decided")))),
        ),
        "judged after it was decided": set_body("decided", judged_at="2099-01-01T00:00:00.000000Z"),
        "no time of judging": body_of("decided", lambda b: b.pop("judged_at")),
    },
    "follows": {
        **COMMON, **RUN,
        "nothing carried over": lambda f: f.drop(f.first("decided")),
        "another decision carried over": in_frame("decided", "decision", "accept"),
        "another person": set_body("decided", reviewer="Zoe"),
        "another run": set_body("decided", carried_from="other.ledger"),
        "a decision on another row": whole(
            "decided", lambda d: d.set_axis(d.index + 1).rename_axis("row_key")
        ),
        "not carried over": body_of("decided", lambda b: b.pop("carried_from")),
        "it follows on nothing": body_of(
            "created", lambda b: [b.pop(n) for n in ("follows", "follows_kind", "follows_ledger")]
        ),
        "the earlier run skipped nothing": whole(
            "planned", lambda d: d.assign(decision=""), "earlier_blob"
        ),
        "the earlier run had decided more": whole(
            "planned", lambda d: d.assign(decision="skip"), "earlier_blob"
        ),
        "the earlier run is left out": body_of("planned", lambda b: b.pop("earlier_blob")),
    },
    "retry": {
        "withdrawn by nobody": revoked(""),
        "nothing was read": RUN["nothing was read"],
        "another host": RUN["another host"],
        "another image": other_input("image_id", IMAGE),
        "a row of another sheet": COMMON["another sheet's row"],
        "it follows on nothing": body_of(
            "created", lambda b: [b.pop(n) for n in ("follows", "follows_kind", "follows_ledger")]
        ),
        "a kind that there is not": set_body("created", follows_kind="guess"),
        "called an undo": set_body("created", follows_kind="undo"),
        "the earlier run is left out": body_of("planned", lambda b: b.pop("earlier_blob")),
    },
    "audit": {
        **COMMON,
        "a share less": listing("shares", cut),
        "a share in another state": listing("shares", lambda d: d.assign(state="rejected")),
        "a share of another project": listing("shares", lambda d: d.assign(project_id=STRANGER)),
        "another number of lines": body_of("cloud_listed", lambda b: b.update(lines=9_999)),
        "a listing of another time": body_of(
            "cloud_listed", lambda b: b.update(taken_at="2001-01-01T00:00:00.000000Z")
        ),
        "a listing left out": without("cloud_listed"),
        "a listing twice": lambda f: f.new(
            "cloud_listed", f.first("cloud_listed").body, after=f.first("cloud_listed")
        ),
        "another result": whole("audit_recorded", lambda d: d.assign(result="good"), "rows_blob"),
        "results exchanged": whole("audit_recorded", swap("result"), "rows_blob"),
        "a finding less": whole("audit_recorded", cut, "findings_blob"),
        "another drift": set_body("audit_recorded", drift=0),
        "another fingerprint": set_body("audit_recorded", fingerprint="0" * 64),
        "other counts": set_body("audit_recorded", counts={"good": 1}),
        "a baseline of a kind that there is not": body_of(
            "baseline_loaded", lambda b: b.update(kind="x")
        ),
        "a share listed twice": listing("shares", lambda d: pd.concat([d, d.iloc[:1]])),
        "an own image listed twice": listing("owned", lambda d: pd.concat([d, d.iloc[:1]])),
        "a project that was not read": listing("projects", cut),
        "a state, and why it was not read": listing("shares", lambda d: d.assign(unread="x")),
        "listings in another order": lambda f: f.put(
            f.all("cloud_listed")[3], before=f.first("cloud_listed")
        ),
        "a share of the baseline that was not asked about": baseline(image_id=IMAGE),
        "a baseline of no result": baseline(result="fine"),
        "a baseline of no state": baseline(state=""),
        "a baseline seen by nobody": baseline(seen_by="me"),
        "a baseline of a run that knew all": set_body(
            "baseline_loaded", complete_projects=[STRANGER]
        ),
        "an event of a run": lambda f: f.new("stopped", {"why": "x"}, after=f.first("created")),
        "no inventory": without("inventory_read"),
        "another image": other_input("image_id", IMAGE),
        "another project": other_input("project_id", STRANGER),
        "another input": input_of("project", "x"),
        "an input twice": lambda f: f.new(
            "inventory_read", f.first("inventory_read").body, after=f.first("inventory_read")
        ),
        "checked rows otherwise": whole("audit_recorded", swap("image_id")),
    },
}  # fmt: skip


def told(f: Forger) -> str:
    """What a ledger says, as a text."""
    return json.dumps([(line.kind, line.at, line.body) for line in f.lines])


@pytest.mark.parametrize(("name", "kind"), [("undo", "retry"), ("undo", "new plan")])
def test_an_undo_is_called_nothing_else(tmp_path: Path, name: str, kind: str) -> None:
    """What is undone is not what the run decided, so that an undo cannot pass for anything else."""
    forger = forger_of(SAMPLES / f"{name}.ledger", tmp_path)
    forger.first("created").body["follows_kind"] = kind
    assert sharekit.verify(forger.write()).label == "TAMPERED"


def test_a_run_that_follows_decides_nothing_for_the_first(tmp_path: Path) -> None:
    """Beside the run that it follows, a ledger holds the decisions of that one and no others."""
    first = shutil.copy(SAMPLES / "sealed.ledger", tmp_path)
    forger = forger_of(SAMPLES / "undo.ledger", tmp_path)
    line = dict.fromkeys(frame_schemas.EARLIER.names, "") | {
        "project_id": STRANGER, "image_id": IMAGE, "side": "member", "asked": "accepted",
        "decision": "skip", "by": "Zoe", "run": "sealed.ledger", "action": "skip",
    }  # fmt: skip
    for planned in forger.all("planned"):
        forger.store(planned, pd.DataFrame([line], dtype="str"), "earlier_blob")
    verdict = sharekit.verify(first, forger.write())
    assert verdict.label == "TAMPERED"
    assert any("earlier decisions are not those of sealed.ledger" in p for _, p in verdict.problems)


@pytest.mark.parametrize(
    "forge",
    [
        lambda f: f.new("sealed", dict(f.last("sealed").body), after=f.last("sealed")),
        lambda f: f.last("sealed").body.update(events=3),
        lambda f: f.drop(f.last("finished")),
    ],
    ids=["twice", "of fewer events", "of no end"],
)
def test_a_seal_that_nobody_can_have_set(tmp_path: Path, forge: Forgery) -> None:
    """A run is sealed once, at its end, with the number of its events."""
    forger = forger_of(SAMPLES / "sealed.ledger", tmp_path)
    forge(forger)
    assert sharekit.verify(forger.write()).label == "TAMPERED"


CASES = [(kind, name) for kind in KINDS for name in FORGERIES[kind]]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_no_kind_of_ledger_can_be_forged(
    honest: dict[str, Path], tmp_path: Path, kind: str, name: str
) -> None:
    """A ledger of any kind, written again as one that sharekit cannot have made, is found."""
    forger = forger_of(honest[kind], tmp_path)
    before = told(forger)
    FORGERIES[kind][name](forger)
    assert before != told(forger)
    assert sharekit.verify(forger.write()).label == "TAMPERED"
