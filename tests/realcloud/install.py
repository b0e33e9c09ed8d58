"""Installs the servers once, and keeps databases that are migrated already."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).parent
HOME = Path(os.environ.get("SHAREKIT_OPENSTACK", HERE.parents[1] / ".openstack"))
CONSTRAINTS = HERE / "constraints.txt"
PACKAGES = ("keystone", "glance", "waitress", "python-openstackclient")
PASSWORD = "loopback-only"
#: Where the catalog points until the ports of a run are known.
NOWHERE = "http://127.0.0.1:1"
_SECONDS = 240

KEYSTONE = """\
[database]
connection = sqlite:///{folder}/keystone.db
sqlite_synchronous = false
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/keys/tokens
[fernet_receipts]
key_repository = {folder}/keys/tokens
[credential]
key_repository = {folder}/keys/credentials
[identity]
password_hash_rounds = 4
"""
GLANCE = """\
[DEFAULT]
enabled_backends = files:file
worker_self_reference_url = {image}
node_staging_uri = file://{folder}/staging
enabled_import_methods = []
[database]
connection = sqlite:///{folder}/glance.db
sqlite_synchronous = false
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[keystone_authtoken]
www_authenticate_uri = {identity}
auth_url = {identity}
auth_type = password
username = admin
password = {password}
project_name = admin
user_domain_id = default
project_domain_id = default
token_cache_time = {token_cache}
[paste_deploy]
flavor = keystone
config_file = {paste}
"""


class UnavailableError(Exception):
    """The servers cannot be installed here; the message says why."""


def install() -> Path:
    """Return a folder with ``venv`` and ``template``; made once for each set of versions."""
    versions = hashlib.sha256()
    for part in (
        CONSTRAINTS.read_text(),
        (HERE / "prepare.py").read_text(),
        sys.version,
        *PACKAGES,
    ):
        versions.update(part.encode())
    folder = HOME / versions.hexdigest()[:12]
    HOME.mkdir(parents=True, exist_ok=True)
    with FileLock(HOME / ".lock"):
        if not (folder / "complete").exists():
            for old in HOME.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            _make(folder)
            (folder / "complete").touch()
    return folder


def _make(folder: Path) -> None:
    python = folder / "venv/bin/python"
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    # Of one package there is no wheel; it is pure Python.
    wheels = ("--only-binary=:all:", "--no-binary=simplegeneric")
    wanted = ("install", "-q", *wheels, "-c", CONSTRAINTS, *PACKAGES)
    try:
        _run(Path(sys.executable).with_name("uv"), "pip", *wanted, "--python", python)
    except (FileNotFoundError, UnavailableError):  # it does not read pip's settings
        # Most of what comes along is never imported, so compiling all of it would be a waste.
        pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
        _run(*pip, *wanted, "--no-compile")
    template = folder / "template"
    configure(template, folder / "venv", NOWHERE, NOWHERE)
    for name in ("keys/tokens", "keys/credentials", "images", "staging", "tasks"):
        (template / name).mkdir(parents=True, mode=0o700)
    _run(python, HERE / "prepare.py", template, PASSWORD, f"{NOWHERE}/v3")


def configure(folder: Path, venv: Path, identity: str, image: str, token_cache: int = 1) -> None:
    """Write the configuration of both servers for one folder and two addresses.

    ``token_cache`` is how many seconds Glance believes a token without asking Keystone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "folder": folder, "identity": f"{identity}/v3", "image": image, "password": PASSWORD,
        "token_cache": token_cache,
        "paste": venv / "etc/glance/glance-api-paste.ini",
    }  # fmt: skip
    (folder / "keystone.conf").write_text(KEYSTONE.format(**facts), encoding="utf-8")
    (folder / "glance-api.conf").write_text(GLANCE.format(**facts), encoding="utf-8")


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{words[0]} took more than {_SECONDS} s") from None
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "WARNING" not in line]
        raise UnavailableError(" ".join(told[-3:])[-500:] or f"{words[0]} failed")
