"""Vaults for full-ECS images: what is found before sending is what the cloud itself would say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import sharekit
from sharekit.clouds.cloud import _vault
from sharekit.core.cloud_api import ADVICE, MEANINGS, VAULT_RESOURCES
from sharekit.core.columns import STR
from sharekit.core.errors import CloudRefusedError
from sharekit.simulator.process import Simulator
from sharekit.simulator.seed import Image, Key, Project, Seed, Share, User, Vault
from tests.conftest import FAST

P, OWNER = "a" * 32, "b" * 32
IMAGES = [f"{n:08x}-0000-4000-8000-00000000000e" for n in range(6)]


def vault(number: int, **facts: Any) -> Vault:
    """A vault of the project with room for 100 GB, or as said; IDs that nobody counted up."""
    return Vault(f"{number**2:02}a40000-0000-4000-8000-00000000000a", P, **({"size": 100} | facts))


GOOD = vault(1)
#: What is wrong with a vault -> the finding, and the cloud's own code.
WRONG = {
    "vault-unknown": (replace(vault(2), project_id=OWNER), "IMG.0184"),
    "vault-wrong-type": (vault(3, object_type="disk"), "IMG.0193"),
    "vault-unavailable": (vault(4, status="frozen"), "IMG.0188"),
    "vault-resource-limit": (vault(5, resources=VAULT_RESOURCES), "IMG.0185"),
    "vault-too-small": (vault(6, used=70 * 1024), "IMG.0182"),
}
SEED = Seed(
    projects=(Project(P, "Team A"), Project(OWNER, "Golden")),
    users=(User("u1", "ada", "s3same-47"),),
    keys=(Key("AKADA", "s" * 32, "u1"),),
    images=tuple(Image(i, OWNER, whole_image=True, min_disk=40) for i in IMAGES),
    shares=tuple(Share(i, P) for i in IMAGES),
    vaults=(GOOD, *(one for one, _ in WRONG.values())),
)


@dataclass
class Place:
    """A cloud with full-ECS images, and a folder for lists and ledgers."""

    cloud: Simulator
    folder: Path

    def clouds(self, **changes: Any) -> sharekit.Clouds:
        """Sign in to the project."""
        path = self.cloud.write_clouds_yaml(self.folder / "clouds.yaml")
        entries = yaml.safe_load(path.read_text())["clouds"]
        mine = next(e for e in entries.values() if e["auth"]["project_id"] == P)
        path.write_text(yaml.safe_dump({"clouds": {"mine": mine | changes}}))
        return sharekit.connect("mine", config_file=path)

    def findings(self, *vaults: str, clouds: sharekit.Clouds | None = None) -> sharekit.Findings:
        """Check acceptances of the first images, each with a vault."""
        sheet = self.folder / "shares.csv"
        lines = [f"{i},{P},accepted,{v}" for i, v in zip(IMAGES, vaults, strict=False)]
        sheet.write_text("\n".join(["image_id,project_id,status,vault_id", *lines, ""]))
        return sharekit.check(sharekit.read_inventory(sheet), clouds or self.clouds())

    def run(self, findings: sharekit.Findings, chunk_size: int = 50, **settings: Any) -> Any:
        """Plan, approve, submit; the rows of the report."""
        plan = sharekit.plan(findings, self.folder / "run.ledger", chunk_size=chunk_size)
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        run = sharekit.submit(plan, self.clouds(), settings=replace(FAST, **settings))
        sharekit.report(run, self.folder / "outcomes.csv")
        return pd.read_csv(self.folder / "outcomes.csv", dtype=STR, keep_default_na=False)

    def refused(self, images: list[str], vault_id: str) -> str:
        """Ask the cloud itself; its code, "" if it agrees."""
        (cloud,) = self.clouds().values()
        chunk = {"images": images, "project_id": P, "status": "accepted", "vault_id": vault_id}
        try:
            cloud.send(cloud.call_for(chunk, native=False), cloud.transport.token())
        except CloudRefusedError as refusal:
            return refusal.code
        return ""


@pytest.fixture
def place(_simulator: Simulator, tmp_path: Path) -> Place:
    """The cloud at its beginning."""
    _simulator.reset(SEED, job_seconds=0.02)
    return Place(_simulator, tmp_path)


def rules(findings: sharekit.Findings) -> list[tuple[int, str]]:
    """Row and rule of each finding."""
    return list(zip(findings.frame["row_key"], findings.frame["rule"], strict=True))


def test_what_is_found_is_what_the_cloud_would_say(place: Place) -> None:
    """Each kind of wrong vault is found before sending, and the cloud refuses just those."""
    wrong = [one.id for one, _ in WRONG.values()]
    findings = place.findings(*wrong, GOOD.id)
    assert rules(findings) == list(enumerate(WRONG))
    assert findings.rows["disposition"].tolist() == ["blocked"] * 5 + ["planned"]
    said = [place.refused([IMAGES[n]], one) for n, one in enumerate([*wrong, GOOD.id])]
    assert said == [*(code for _, code in WRONG.values()), ""]
    for (_, code), told in zip(WRONG.values(), findings.frame["suggestion"], strict=True):
        assert told == ADVICE[code]
    assert "at least 40 GB, and 30 GB are free" in findings.frame["message"].iloc[-1]


def test_the_documented_rehearsal(place: Place) -> None:
    """The seed and the shares in the documentation give the findings that it promises."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    chapter = page.partition("## A seed for the simulated cloud")[2]
    seed, _, rest = chapter.partition("```json\n")[2].partition("\n```")
    place.cloud.reset(Seed.from_json(seed.encode()))
    sheet = place.folder / "shares.csv"
    sheet.write_text(rest.partition("```text\n")[2].partition("```")[0])
    config = place.cloud.write_clouds_yaml(place.folder / "clouds.yaml")
    findings = sharekit.check(sharekit.read_inventory(sheet), sharekit.connect(config_file=config))
    assert rules(findings) == [
        (1, "vault-too-small"), (2, "vault-resource-limit"), (3, "vault-wrong-type"),
    ]  # fmt: skip
    assert all(f"`{rule}`" in chapter for _, rule in rules(findings))


def test_images_that_fit_one_by_one_but_not_together(place: Place) -> None:
    """Rows take a vault's room in their order; those it has none left for are not sent."""
    findings = place.findings(*[GOOD.id] * 4)
    assert rules(findings) == [(2, "vault-overcommitted"), (3, "vault-overcommitted")]
    told = findings.frame["message"].tolist()
    assert "at least 120 GB, and 100 GB are free" in told[0]
    assert place.refused(IMAGES[:4], GOOD.id) == "IMG.0182"
    rows = place.run(findings)
    assert rows["outcome"].tolist() == ["confirmed"] * 2 + ["blocked"] * 2
    (mine,) = place.clouds().values()
    left = {v.vault_id: v.free for v in mine.vaults() or ()}
    assert left[GOOD.id] == 20
    assert rules(place.findings(*[GOOD.id] * 3))[2:] == [(2, "vault-too-small")]


def test_copies_of_a_row_without_room(place: Place) -> None:
    """What is carried by a row that has no room is blocked as that row is; skipping makes room."""
    findings = place.findings(*[GOOD.id] * 3)
    sheet = place.folder / "shares.csv"
    sheet.write_text(sheet.read_text() + f"{IMAGES[2]},{P},accepted,{GOOD.id}\n")
    inventory, clouds = sharekit.read_inventory(sheet), place.clouds()
    findings = sharekit.check(inventory, clouds)
    assert findings.rows["disposition"].tolist() == ["planned"] * 2 + ["blocked"] * 2
    assert findings.rows["carried_by"].isna().all()
    skip = pd.DataFrame({"decision": ["skip"]}, index=pd.Index([0], name="row_key"))
    again = sharekit.check(inventory, clouds, snapshot=findings.snapshot, decisions=skip)
    assert again.rows["disposition"].tolist() == ["skipped", "planned", "planned", "duplicate"]


def test_vault_that_fills_after_the_plan(place: Place) -> None:
    """Filled before the last look, a vault blocks its rows; after it, the refusal is explained."""
    findings = place.findings(GOOD.id, GOOD.id)
    assert findings.frame.empty
    place.refused(IMAGES[2:3], GOOD.id)
    place.cloud.state()
    rows = place.run(findings)
    assert rows["outcome"].tolist() == ["confirmed", "blocked"]
    assert rows["code"].tolist() == ["", "vault-overcommitted"]
    assert "at least 80 GB, and 60 GB are free" in rows.at[1, "reason"]


@pytest.mark.parametrize("how", ["request", "job"])
def test_refusal_is_explained(place: Place, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A vault filled after the last look: the row's reason says what it means and what to do."""
    findings = place.findings(GOOD.id, GOOD.id, GOOD.id[:-1] + "b")
    place.cloud.reset(SEED, job_seconds=0.02, refuse_in_job=how == "job")
    look = sharekit.runs.submit.take_snapshot

    def look_then_fill(*args: Any, **kwargs: Any) -> Any:
        seen = look(*args, **kwargs)
        place.refused(IMAGES[3:5], GOOD.id)
        return seen

    monkeypatch.setattr("sharekit.runs.submit.take_snapshot", look_then_fill)
    rows = place.run(findings)
    assert rows["outcome"].tolist() == ["failed", "failed", "blocked"]
    assert rows["code"].tolist() == ["IMG.0182", "IMG.0182", "vault-unknown"]
    assert MEANINGS["IMG.0182"] in rows.at[0, "reason"]
    assert rows.at[0, "reason"].endswith(ADVICE["IMG.0182"])


def test_vaults_that_cannot_be_read(place: Place) -> None:
    """Vaults that nobody could list are said, with the reason; the rows go all the same."""
    url = place.cloud.url
    for changes, why in (
        ({"cbr_endpoint_override": f"{url}/cbr/v3/{OWNER}"}, "BackupService.0403|HTTP403"),
        ({"cbr_endpoint_override": f"{url}/nowhere"}, "HTTP404"),
    ):
        findings = place.findings(GOOD.id, clouds=place.clouds(**changes))
        assert rules(findings) == [(0, "vault-unread")]
        assert findings.frame["message"].str.contains(why).all()
        assert findings.rows["disposition"].tolist() == ["planned"]
    assert place.run(findings)["outcome"].tolist() == ["confirmed"]


def test_vault_in_numbers() -> None:
    """Room is size in GB less what is used in MB; a vault that grows by itself has it endlessly."""
    billing = {"size": 100, "used": 51200, "object_type": "server", "status": "available"}
    told = {"id": "v", "billing": billing, "resources": [{}, {}]}
    assert (_vault(told).free, _vault(told).resources) == (50.0, 2)
    assert _vault({"id": "v", "billing": billing}).resources == -1
    assert _vault({**told, "auto_expand": True}).free == float("inf")
    full = {**told, "auto_expand": True, "billing": {**billing, "used": 102400}}
    assert _vault(full).free == 0
