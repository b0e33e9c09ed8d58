"""A cloud without a network: a whole run of a million rows against it takes minutes, not hours.

It replaces the responses of the APIs alone. Preflight, requests, jobs, reading back and the ledger
are those of any run, so that `verify` finds nothing to object to in what is left behind.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd

import sharekit
from sharekit.clouds.api_calls import Call
from sharekit.clouds.cloud import Accepted, Cloud, ImageShare, JobState, Vault
from sharekit.clouds.http import Transport
from sharekit.clouds.registry import Clouds
from sharekit.core.actions import ABSENT, PENDING
from sharekit.ledger import ledger as ledgers


class MemoryCloud(Cloud):
    """One project: the state of each image that is shared with it, and its vaults."""

    def hold(self, rows: pd.DataFrame) -> None:
        """Hold as pending what some planned rows of this project name."""
        whole = dict(zip(rows["image_id"], rows["whole_image"] == "yes", strict=True))
        self.images = {
            image: ImageShare(image, PENDING, "0" * 32, "", is_whole, 1, visibility="shared")
            for image, is_whole in whole.items()
        }
        self.states = dict.fromkeys(whole, PENDING)
        self.named = sorted(set(rows["vault_id"]) - {""})
        self.jobs = count(1)

    def shares(self, state: str, *, hidden: bool = False) -> Iterator[ImageShare]:
        """List the images in a state."""
        for image, share in self.images.items():
            if self.states[image] == state and not hidden:
                yield ImageShare(**vars(share) | {"state": state})

    def member_state(self, image_id: str, project_id: str) -> str:
        """Look up one share."""
        return self.states.get(image_id, ABSENT) if project_id == self.project_id else ABSENT

    def vaults(self) -> Iterator[Vault]:
        """List the vaults that the rows name."""
        for vault in self.named:
            yield Vault(vault, "", "server", "backup", "available", 1e9)

    def send(self, call: Call, token: str) -> Accepted:
        """Decide on the images of a batch, at once."""
        body: Mapping[str, Any] = call[2] or {}
        self.states.update(dict.fromkeys(body["images"], body["status"]))
        number = next(self.jobs)
        return Accepted(200, f"req-{number:036x}", f"ff80808{number:025x}")

    def job(self, job_id: str) -> JobState:
        """Every job has ended well."""
        return JobState(done=True, failed=False, status="SUCCESS")


class _Offline(Transport):
    """A session that is always signed in, and asks nobody."""

    def token(self) -> str:
        return "token"


def run(shares: Path, ledger: Path) -> sharekit.Run:
    """Plan, approve and submit to a cloud that shows as pending what the plan names.

    Events are not forced to the disk one by one: that costs time and hardly any CPU.
    """
    plan = sharekit.plan(sharekit.check(sharekit.read_inventory(shares)), ledger)
    rows, ims, clouds = plan.rows[plan.rows["disposition"] == "planned"], "https://ims.example", {}
    for project, of_project in rows.groupby("project_id"):
        offline = _Offline(None, "memory")  # type: ignore[arg-type]  # nothing is asked through it
        cloud = MemoryCloud("memory", str(project), "eu-de", ims, ims, ims, offline, api="batch")
        cloud.hold(of_project)
        clouds[str(project)] = cloud
    sharekit.approve(plan, reviewer="Benchmark", fingerprint=plan.fingerprint)
    settings = sharekit.Settings(min_poll_interval=0.01, max_poll_interval=0.01)
    durable = ledgers.make_durable

    def less_durable(database: sqlite3.Connection, path: Path) -> None:
        durable(database, path)
        database.execute("PRAGMA synchronous = OFF")

    with patch.object(ledgers, "make_durable", less_durable):
        return sharekit.submit(plan, Clouds(clouds), settings=settings)


if __name__ == "__main__":
    run(*map(Path, sys.argv[1:]))
