"""Both servers as processes, and a handle on them: accounts, images, shares, settings."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, urlopen

import openstack
import yaml
from openstack.connection import Connection

from .install import HERE, NOWHERE, PASSWORD, configure, install

REGION = "loopback-1"
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Account:
    """A user with a role in one project; without a role there is no sign-in."""

    name: str
    password: str
    project_id: str

    def auth(self, auth_url: str) -> dict[str, str]:
        """Return what openstacksdk calls ``auth``."""
        return {
            "auth_url": auth_url,
            "username": self.name,
            "password": self.password,
            "user_domain_id": "default",
            "project_id": self.project_id,
        }


@contextmanager
def start(threads: int = 4, token_cache: int = 1, workers: int = 1) -> Iterator[RealCloud]:
    """Install (once), start both servers on free ports, and stop them at the end.

    ``token_cache`` is how many seconds Glance believes a token; as it comes it is 300, which is too
    long to see tokens end. ``workers`` are Glance's processes, each with so many ``threads``; only
    with one of them do :meth:`RealCloud.tune` and :meth:`RealCloud.requests` know of all.

    Raises
    ------
    UnavailableError
        If the servers cannot be installed.
    """
    made = install()
    with tempfile.TemporaryDirectory(prefix="sharekit-openstack-") as name:
        folder = Path(name)
        shutil.copytree(made / "template", folder, dirs_exist_ok=True)
        cloud = RealCloud(folder, made / "venv")
        try:
            cloud.run(threads, token_cache, workers)
            yield cloud
        finally:
            cloud.stop()


class RealCloud:
    """A running Keystone and Glance.

    Attributes
    ----------
    auth_url, image_url : str
        Where they are.
    admin : openstack.connection.Connection
        The cloud's administrator.
    folder : Path
        Databases, files and logs of this run.
    """

    def __init__(self, folder: Path, venv: Path) -> None:
        self.folder, self.venv = folder, venv
        self._sockets = {name: _listening() for name in ("keystone", "glance")}
        self._keystone, self.image_url = (
            f"http://127.0.0.1:{s.getsockname()[1]}" for s in self._sockets.values()
        )
        self.auth_url = f"{self._keystone}/v3"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []

    def run(self, threads: int, token_cache: int = 1, workers: int = 1) -> None:
        """Start both; returns when both answer."""
        configure(self.folder, self.venv, self._keystone, self.image_url, token_cache)
        with closing(sqlite3.connect(self.folder / "keystone.db")) as book, book:
            moved = "UPDATE endpoint SET url = replace(url, ?, ?)"
            book.execute(moved, (NOWHERE, self._keystone))
        if workers > 1:
            with closing(sqlite3.connect(self.folder / "glance.db")) as book:
                # Those that read need not wait for the one that writes.
                book.execute("PRAGMA journal_mode = WAL")
        for name, listening in self._sockets.items():
            for _ in range(workers if name == "glance" else 1):
                self._serve(name, listening, threads)
            # Only the servers listen from now on: if they die, their callers hear so at once.
            listening.close()
        self._answers(self.auth_url, "keystone")
        self.admin = self.connection(Account("admin", PASSWORD, self._admin_project()))
        image = self.admin.identity.create_service(name="glance", type="image")
        for interface in ("public", "internal", "admin"):
            self.admin.identity.create_endpoint(
                service_id=image.id, interface=interface, url=self.image_url, region_id=REGION
            )
        self._answers(f"{self.image_url}/versions", "glance")

    def stop(self) -> None:
        """End both processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        for log in self._logs:
            log.close()

    # -- people ---------------------------------------------------------------------------------
    def account(
        self, role: str = "member", project_id: str = "", user: Account | None = None
    ) -> Account:
        """Make a user with a role in a new project, or either of one that exists."""
        identity, name = self.admin.identity, f"u-{uuid.uuid4().hex[:10]}"
        project_id = project_id or identity.create_project(name=f"p-{name}", domain_id="default").id
        if user is None:
            user = Account(name, uuid.uuid4().hex, project_id)
            identity.create_user(name=name, password=user.password, domain_id="default")
        if role:
            found = identity.find_role(role, ignore_missing=False)
            known = identity.find_user(user.name, ignore_missing=False)
            identity.assign_project_role_to_user(project_id, known.id, found.id)
        return Account(user.name, user.password, project_id)

    def revoke_tokens(self, account: Account) -> None:
        """End every token of a user, as setting a password does (here to the same one)."""
        user = self.admin.identity.find_user(account.name, ignore_missing=False)
        self.admin.identity.update_user(user.id, password=account.password)

    def connection(self, account: Account) -> Connection:
        """Return openstacksdk's own connection."""
        return openstack.connection.Connection(
            auth=account.auth(self.auth_url), region_name=REGION, identity_api_version="3"
        )

    def clouds_yaml(self, **accounts: Account) -> str:
        """Return a ``clouds.yaml`` with an entry for each account."""
        entries = {
            name: {"auth": account.auth(self.auth_url), "region_name": REGION}
            for name, account in accounts.items()
        }
        return yaml.safe_dump({"clouds": entries}, sort_keys=False)

    # -- images ---------------------------------------------------------------------------------
    def share(self, owner: Connection, count: int, *to: Account, hidden: bool = False) -> list[str]:
        """Upload images as their owner and share each with projects, by the API alone."""
        images = []
        for number in range(count):
            image = owner.image.create_image(
                name=f"image-{number}", data=b"bytes", container_format="bare", disk_format="raw",
                visibility="shared", validate_checksum=False, allow_duplicates=True,
            )  # fmt: skip
            if hidden:
                owner.image.update_image(image, is_hidden=True)
            for account in to:
                owner.image.add_member(image, member_id=account.project_id)
            images.append(str(image.id))
        return images

    def share_many(
        self,
        owner: Account,
        count: int,
        *to: Account,
        status: str = "pending",
        hidden: bool = False,
    ) -> list[str]:
        """Write images and shares into Glance's database: thousands would take minutes to upload.

        They are as :meth:`share` leaves them, but for their bytes.
        """
        images = [str(uuid.uuid4()) for _ in range(count)]
        then = "2026-01-01 00:00:00.000000"
        with closing(sqlite3.connect(self.folder / "glance.db", timeout=30)) as book, book:
            book.executemany(
                "INSERT INTO images (id, name, status, visibility, owner, disk_format, "
                "container_format, size, min_disk, min_ram, protected, os_hidden, deleted, "
                "created_at, updated_at) VALUES "
                "(?, ?, 'active', 'shared', ?, 'raw', 'bare', 5, 0, 0, 0, ?, 0, ?, ?)",
                [
                    (id_, f"many-{n}", owner.project_id, hidden, then, then)
                    for n, id_ in enumerate(images)
                ],
            )
            book.executemany(
                "INSERT INTO image_members (image_id, member, can_share, status, deleted, "
                "created_at, updated_at) VALUES (?, ?, 0, ?, 0, ?, ?)",
                [(id_, account.project_id, status, then, then) for id_ in images for account in to],
            )
        return images

    def members(self, *accounts: Account) -> dict[tuple[str, str], str]:
        """What the server itself says: (image, project) to status, hidden images too."""
        found = {}
        for account in accounts:
            with self.connection(account) as connection:
                for status in ("pending", "accepted", "rejected"):
                    for hidden in ("false", "true"):
                        for image in connection.image.images(
                            visibility="shared", member_status=status, os_hidden=hidden, limit=1000
                        ):
                            if image.owner_id != account.project_id:
                                found[str(image.id), account.project_id] = status
        return found

    # -- the servers ----------------------------------------------------------------------------
    def tune(self, **wishes: Any) -> None:
        """Change a running server: ``token_seconds``, ``page`` (longest), ``begin`` (SQLite)."""
        for url, known in (
            (self._keystone, {"token_seconds", "begin"}),
            (self.image_url, {"page", "begin", "forget"}),
        ):
            mine = {name: value for name, value in wishes.items() if name in known}
            if mine:
                _call(f"{url}/realcloud", mine)

    def requests(self, service: str = "image") -> dict[str, int]:
        """How often a service answered what, and to whom: ``{"sharekit PUT 500": 1, …}``."""
        url = self.image_url if service == "image" else self._keystone
        return _call(f"{url}/realcloud")

    def log(self, name: str) -> str:
        """Return what a server has written so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _serve(self, name: str, listening: socket.socket, threads: int) -> None:
        self._logs.append((self.folder / f"{name}.log").open("wb"))
        command = [self.venv / "bin/python", HERE / "serve.py", name, listening.fileno(), threads]
        settings = {f"OS_{n}_CONFIG_DIR": str(self.folder) for n in ("KEYSTONE", "GLANCE")}
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=self._logs[-1],
            stderr=subprocess.STDOUT,
            pass_fds=(listening.fileno(),),
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **settings},
        )
        self._processes.append(process)

    def _answers(self, url: str, name: str) -> None:
        try:
            with urlopen(url, timeout=60):
                return
        except OSError as error:
            if getattr(error, "code", 0) == 300:
                return
            tail = "\n".join(self.log(name).splitlines()[-5:])
            raise RuntimeError(f"{name} does not answer: {error}\n{tail}") from error

    def _admin_project(self) -> str:
        with closing(sqlite3.connect(self.folder / "keystone.db")) as book:
            query = "SELECT id FROM project WHERE name = 'admin' AND is_domain = 0"
            return str(book.execute(query).fetchone()[0])


def _listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(128)
    return made


def _call(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with suppress(ConnectionResetError), urlopen(Request(url, data), timeout=30) as answer:
        return json.load(answer)
    raise RuntimeError(f"{url} does not answer")
