"""Migrates both databases and makes the first user; runs in the servers' own environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(folder: str, password: str, url: str) -> None:
    """Fill a folder that has the configuration of both servers."""
    programs = Path(sys.executable).parent
    keystone = [str(programs / "keystone-manage"), "--config-file", f"{folder}/keystone.conf"]
    glance = [str(programs / "glance-manage"), "--config-file", f"{folder}/glance-api.conf"]
    migrating = subprocess.Popen([*glance, "db", "sync"])
    owner = ["--keystone-user", "root", "--keystone-group", "root"] if _root() else []
    for words in (
        ["db_sync"],
        ["fernet_setup", *owner],
        ["credential_setup", *owner],
        ["bootstrap", "--bootstrap-password", password, "--bootstrap-region-id", "loopback-1",
         "--bootstrap-public-url", url, "--bootstrap-internal-url", url,
         "--bootstrap-admin-url", url],
    ):  # fmt: skip
        subprocess.run([*keystone, *words], check=True)
    if migrating.wait():
        sys.exit("glance-manage db sync failed")


def _root() -> bool:
    return Path("/root").owner() == "root" and Path("/proc/self").owner() == "root"


if __name__ == "__main__":
    main(*sys.argv[1:])
