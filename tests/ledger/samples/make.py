"""Makes the sample ledgers: ``python -m tests.ledger.samples.make FOLDER``.

They are runs against the simulated cloud, which treats some chunks of the first run otherwise, so
that it has rows of every outcome. Once sharekit is released, the files that are committed beside
this one are never made again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

import sharekit
from sharekit.audits import storage
from sharekit.clouds.cloud import Cloud
from sharekit.core.errors import CloudRefusedError
from sharekit.ledger.ledger import Ledger
from sharekit.plans import approval
from sharekit.runs import follow_up
from sharekit.simulator.faults import Faults
from sharekit.simulator.process import Simulator, start
from sharekit.simulator.sample import build_sample, write_workbook
from tests.conftest import FAST

SAMPLES = ("every-outcome", "audit", "sealed", "undo")
#: What the cloud does with the first chunks. The last project refuses to be read after sending. All
#: chunks but the last are canaries: as some of these are not confirmed, that one is never sent.
_FAULTS = {2: "job_fail=1", 3: "false_success=1", 4: "job_hang=1"}
_SETTINGS = replace(FAST, concurrency=1, job_timeout=1.0, read_back_timeout=1.0, resend_rounds=1)
_ROWS = 40


@contextmanager
def _each_chunk_otherwise(cloud: Simulator, plan: sharekit.Plan) -> Iterator[None]:
    """Let each chunk have its fault while its requests are sent."""
    append, shares, share = Ledger.append, Cloud.shares, Cloud.share
    last, sent = str(plan.chunks["project_id"].iloc[-1]), set()

    def note(ledger: Ledger, kind: str, body: dict[str, Any]) -> Any:
        if kind == "intent":
            chunk = int(body["chunk"].split(".")[0])
            cloud.set_faults(Faults.parse(_FAULTS.get(chunk, "")))
            sent.add(plan.chunks.at[chunk, "project_id"])
        return append(ledger, kind, body)

    def refuse(client: Cloud) -> None:
        if client.project_id == last and last in sent:
            raise CloudRefusedError("this role may not list images", http=403, code="HTTP403")

    def list_shares(client: Cloud, *words: Any, **options: Any) -> Any:
        refuse(client)
        return shares(client, *words, **options)

    def one_share(client: Cloud, image_id: str) -> Any:
        refuse(client)
        return share(client, image_id)

    with (
        mock.patch.object(Ledger, "append", note),
        mock.patch.object(Cloud, "shares", list_shares),
        mock.patch.object(Cloud, "share", one_share),
    ):
        yield
    cloud.set_faults(Faults())


def make(folder: Path) -> None:
    """Write all samples, and the allowed signers."""
    key = folder / "ada"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text(encoding="ascii").split()[:2]
    (folder / "allowed_signers").write_text(f"Ada {' '.join(public)}\n", encoding="ascii")
    sample = build_sample(_ROWS, faulty=0.25)
    with tempfile.TemporaryDirectory() as name, chdir(name), start(sample.seed) as cloud:
        cloud.reset(sample.seed, job_seconds=0.02)
        clouds = sharekit.connect(config_file=cloud.write_clouds_yaml(Path(name) / "clouds.yaml"))
        inventory = sharekit.read_inventory(write_workbook(sample, Path("shares.xlsx")))
        findings = sharekit.check(inventory, clouds)
        plan = sharekit.plan(findings, folder / "every-outcome.ledger", chunk_size=3)
        _every_outcome(plan, clouds, cloud)
        storage.save(sharekit.audit(inventory, clouds), folder / "audit.ledger")
        findings = sharekit.check(_turned(folder / "every-outcome.ledger"), clouds)
        sealed = sharekit.plan(findings, folder / "sealed.ledger")
        sharekit.approve(sealed, reviewer="Ada", fingerprint=sealed.fingerprint, sign=key)
        sharekit.submit(sealed, clouds, settings=FAST)
        approval.seal(folder / "sealed.ledger", key)
        undone = follow_up.undo(folder / "sealed.ledger", folder / "undo.ledger", clouds)
        sharekit.approve(undone, reviewer="Bob", fingerprint=undone.fingerprint)
        sharekit.submit(undone, clouds, settings=FAST)
    key.unlink()
    key.with_suffix(".pub").unlink()


def _turned(ledger: Path) -> sharekit.Inventory:
    """Reject some of the shares that a run accepted."""
    run = sharekit.status(ledger)
    rows = run.plan.rows[(run.rows["outcome"] == "confirmed")]
    rows = rows.loc[rows["status"] == "accepted", ["image_id", "project_id"]].head(4)
    rows.assign(status="rejected").to_csv("turned.csv", index=False)
    return sharekit.read_inventory("turned.csv")


def _every_outcome(plan: sharekit.Plan, clouds: sharekit.Clouds, cloud: Simulator) -> None:
    last = plan.rows.index[plan.rows["disposition"] == "planned"][-1]
    decision = pd.DataFrame({"decision": "skip", "reason": "not ours"}, index=[last])
    sharekit.review(plan, take=decision.rename_axis("row_key"), reviewer="Bob")
    plan = sharekit.status(plan).plan
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    settings = replace(_SETTINGS, canary=len(plan.chunks) - 1)
    with _each_chunk_otherwise(cloud, plan):
        sharekit.submit(plan, clouds, settings=settings)


if __name__ == "__main__":
    with (
        mock.patch("platform.node", return_value="laptop"),
        mock.patch("platform.platform", return_value="Linux"),
        mock.patch("getpass.getuser", return_value="ada"),
    ):
        make(Path(sys.argv[1]).absolute())
