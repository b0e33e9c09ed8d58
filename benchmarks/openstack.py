"""What accepting images on a real Glance costs through sharekit, and through what people use today.

Keystone and Glance run in processes of their own, on the same machine, with SQLite. Each side has a
project and images of its own on the same servers. `submit` signs in, looks at every image, keeps
its ledger, reads everything back, and its report is written; a bare loop over ``requests`` has its
token already, sends the same calls at the same concurrency, and knows nothing afterwards.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import requests
from requests.adapters import HTTPAdapter

import sharekit
from tests.realcloud import Account, RealCloud, start

from .table import Table

_RATIO = 1.3
_FASTER = 100.0
_COMMANDS = 3
#: As many as there are cores, as in any cloud: one process of Python works on one core at a time.
_WORKERS = 2
_THREADS = 2
#: Seconds for which Glance believes a token without asking again: its own default.
_TOKEN_CACHE = 300


def run(*, images: int = 200, at_once: int = 8, repetitions: int = 7) -> Table:
    """Measure all three in turn; the median counts.

    Parameters
    ----------
    images : int
        How many images each side accepts.
    at_once : int
        Requests under way at once.
    repetitions : int
        How often sharekit and the bare loop are measured, each time on new images.
    """
    with start(_THREADS, _TOKEN_CACHE, _WORKERS) as cloud, tempfile.TemporaryDirectory() as folder:
        owner = cloud.account()
        ours, audited, bare = [], [], []
        for number in range(repetitions):
            where = Path(folder) / str(number)
            where.mkdir()
            wall, whole = _sharekit(cloud, owner, where, images, at_once)
            ours.append(wall)
            audited.append(whole)
            bare.append(_bare_loop(cloud, owner, images, at_once))
        command = _command(cloud, owner)
    ratio = median(a / b for a, b in zip(audited, bare, strict=True))
    alone = median(a / b for a, b in zip(ours, bare, strict=True))
    faster = command * images / median(audited)
    return Table(
        title="A real OpenStack",
        aim=f"{images} images accepted, audit included, in at most {_RATIO} × the time of a bare "
        f"loop, and {_FASTER:g} × sooner than by `openstack image set --accept`",
        met=ratio <= _RATIO and faster >= _FASTER,
        columns=("", "images", "wall s", "ms an image", "÷ bare loop", "sharekit is faster by"),
        rows=[
            _row("sharekit: submit, with ledger and reading back", images, median(ours), alone),
            _row("the same, and audit.xlsx written", images, median(audited), ratio),
            _row("bare requests loop", images, median(bare), 1.0),
            [f"openstack image set --accept, {_COMMANDS} measured", images, command * images,
             command * 1000, command * images / median(bare), faster],
        ],
        notes=[
            f"Keystone in one process, Glance in {_WORKERS}, {_THREADS} threads each, with SQLite, "
            "on the same cores; "
            f"Glance believes a token for {_TOKEN_CACHE} s, as it comes; "
            f"{at_once} requests at once, median of {repetitions} by ratio. Most of it is the "
            "servers' own work.",
        ],
    )  # fmt: skip


def _row(name: str, images: int, wall: float, ratio: float) -> list[object]:
    return [name, images, wall, wall / images * 1000, ratio, ""]


def _sharekit(
    cloud: RealCloud, owner: Account, folder: Path, images: int, at_once: int
) -> tuple[float, float]:
    """Wall seconds of ``submit``, and with the report."""
    account = cloud.account()
    ids = cloud.share_many(owner, images, account)
    sheet, config = folder / "shares.csv", folder / "clouds.yaml"
    lines = [f"{image},{account.project_id},accepted" for image in ids]
    sheet.write_text("\n".join(["image_id,project_id,status", *lines, ""]), encoding="utf-8")
    config.write_text(cloud.clouds_yaml(here=account), encoding="utf-8")
    clouds = sharekit.connect("here", config_file=config)
    findings = sharekit.check(sharekit.read_inventory(sheet), clouds)
    plan = sharekit.plan(findings, folder / "run.ledger")
    sharekit.approve(plan, reviewer="benchmark", fingerprint=plan.fingerprint)
    settings = sharekit.Settings(concurrency=at_once)
    began = time.perf_counter()
    run = sharekit.submit(plan, clouds, settings=settings)
    submitted = time.perf_counter()
    sharekit.report(run, folder / "audit.xlsx")
    ended = time.perf_counter()
    _accepted(cloud, account, images)
    return submitted - began, ended - began


def _bare_loop(cloud: RealCloud, owner: Account, images: int, at_once: int) -> float:
    account = cloud.account()
    ids = cloud.share_many(owner, images, account)
    with cloud.connection(account) as connection, requests.Session() as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=at_once))
        session.headers["X-Auth-Token"] = str(connection.auth_token)

        def accept(image: str) -> None:
            url = f"{cloud.image_url}/v2/images/{image}/members/{account.project_id}"
            session.put(url, json={"status": "accepted"}, timeout=60).raise_for_status()

        began = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(accept, ids))
        wall = time.perf_counter() - began
    _accepted(cloud, account, images)
    return wall


def _command(cloud: RealCloud, owner: Account) -> float:
    """Wall seconds of one call of the command line client."""
    account = cloud.account()
    first, *ids = cloud.share_many(owner, _COMMANDS + 1, account)
    signed_in = {f"OS_{k.upper()}": v for k, v in account.auth(cloud.auth_url).items()}
    environment = {"PATH": os.environ["PATH"], **signed_in, "OS_IDENTITY_API_VERSION": "3"}
    accept = [str(cloud.venv / "bin/openstack"), "image", "set", "--accept"]
    # Python compiles it at the first call, which does not count.
    subprocess.run([*accept, first], check=True, env=environment, capture_output=True)
    began = time.perf_counter()
    for image in ids:
        subprocess.run([*accept, image], check=True, env=environment, capture_output=True)
    wall = time.perf_counter() - began
    _accepted(cloud, account, _COMMANDS + 1)
    return wall / _COMMANDS


def _accepted(cloud: RealCloud, account: Account, images: int) -> None:
    """Only what the server itself shows counts."""
    states = list(cloud.members(account).values())
    if states != ["accepted"] * images:
        raise RuntimeError(f"{states.count('accepted')} of {images} images were accepted")
