"""The simulator as a process of its own, and a handle on it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

import yaml

from sharekit.core.errors import InputError
from sharekit.core.files import private_opener

from .faults import Faults
from .seed import Seed

_STOP_SECONDS = 5.0
#: Where the parent found the package. The child must find the same one, but no other module there.
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_CHILD: Final = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); import sharekit; del sys.path[0]; "
    "runpy.run_module('sharekit.simulator', run_name='__main__')"
)


def start(seed: Seed, *, faults: Faults | None = None, port: int = 0, **settings: Any) -> Simulator:
    """Start a simulator and return when it is ready.

    Parameters
    ----------
    seed
        What the cloud starts with.
    faults
        What goes wrong from the first request on; nothing by default.
    port
        0 takes a free one.
    **settings
        Changes to ``seed.settings``, for instance ``job_seconds=0.05``.

    Raises
    ------
    InputError
        If the port is taken or a setting does not exist.
    """
    return Simulator(seed.with_settings(**settings), faults or Faults(), port)


class Simulator:
    """A running simulator; leave the ``with`` block, or call :meth:`stop`, to end it.

    Attributes
    ----------
    url : str
        The root of the server, without a trailing slash; the identity service is at ``/v3``.
    seed : Seed
        What the cloud started with.
    """

    def __init__(self, seed: Seed, faults: Faults, port: int) -> None:
        self.seed = self._first = seed
        # -P: nothing of the working directory is run, as a json.py in it.
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-c", _CHILD, _ROOT, str(port), str(faults)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        try:
            # The pipe stays open: its end tells the server that nobody needs it any more.
            self._write(f"{seed.to_json()}\n")
            self.url: str = self._read_url()
        except BaseException:
            self.stop()
            raise

    def __repr__(self) -> str:
        return f"Simulator({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _write(self, text: str) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(text)
                self._process.stdin.flush()

    def _read_url(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise InputError("The simulator did not start; see what it wrote to stderr.")
        reply: dict[str, str] = json.loads(line)
        if "error" in reply:
            raise InputError(reply["error"])
        return reply["url"]

    def stop(self) -> None:
        """End the process and close its pipes; harmless when it has ended already."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def state(self) -> dict[str, Any]:
        """Return what the cloud looks like now.

        Keys: ``members`` (a list of image_id, project_id, status, changes; ``changes`` counts the
        effective ones), ``changes`` (the same of every share that was changed, also of those that
        are gone), ``requests`` (by method and route), ``jobs``, ``unauthorised``,
        ``faults``, and ``log``: each request taken on that meant to change members, with its
        ``request_id``, ``method``, ``path``, ``images``, ``projects``, ``status`` and
        ``effective`` changes.
        """
        return self._control("GET", "state")

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults from now on."""
        self._control("POST", "faults", json.dumps(vars(faults)))

    def reset(self, seed: Seed | None = None, **settings: Any) -> None:
        """Begin anew without faults, far sooner than a new process would.

        With the seed of the process unless another is given; tokens and jobs are forgotten.
        """
        self.seed = (seed or self._first).with_settings(**settings)
        self._control("POST", "seed", self.seed.to_json())

    def set_share(self, image_id: str, project_id: str, status: str) -> None:
        """Change a share behind everybody's back; status ``absent`` withdraws it."""
        body = {"image_id": image_id, "project_id": project_id, "status": status}
        self._control("POST", "members", json.dumps(body))

    def delete_image(self, image_id: str) -> None:
        """Delete an image behind everybody's back."""
        self._control("POST", "members", json.dumps({"image_id": image_id}))

    def clouds_yaml(self, *names: str, user: str = "", sign: bool = False) -> str:
        """Return a ``clouds.yaml`` for this cloud; see :func:`clouds_yaml`."""
        return clouds_yaml(self.seed, self.url, *names, user=user, sign=sign)

    def write_clouds_yaml(self, path: str | Path, *names: str, user: str = "") -> Path:
        """Write that file, for its owner's eyes only, and return its path."""
        return write_privately(path, self.clouds_yaml(*names, user=user))

    def _control(self, method: str, route: str, body: str = "") -> dict[str, Any]:
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        try:
            connection.request(method, f"/simulator/{route}", body.encode())
            response = connection.getresponse()
            content: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise InputError(f"The simulator refused: {content['error']}")
        return content


def write_privately(path: str | Path, text: str) -> Path:
    """Write a text for its owner's eyes only, also where the file is there already."""
    target = Path(path)
    with open(target, "wb", opener=private_opener) as file:
        target.chmod(0o600)
        file.write(text.encode())
    return target


def slug(name: str) -> str:
    """Return a project's name as a key of ``clouds.yaml``.

    Examples
    --------
    >>> slug("Team: Data & Art")
    'team-data-art'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def clouds_yaml(seed: Seed, url: str, *names: str, user: str = "", sign: bool = False) -> str:
    """Return a ``clouds.yaml`` with one cloud for each project, named by :func:`slug`.

    Parameters
    ----------
    seed, url
        The cloud and where it is.
    *names
        Only these clouds; all by default. A name that does not exist is an InputError.
    user
        Who signs in, by name; the first user of the seed by default.
    sign
        Adds the user's access key as ``ak`` and ``sk``.
    """
    person = next((u for u in seed.users if user in ("", u.name)), None)
    if person is None:
        raise InputError(f"The seed has no user {user!r}; add one.")
    key = next((k for k in seed.keys if k.user_id == person.id), None)
    allowed = [p for p in seed.projects if not person.projects or p.id in person.projects]
    clouds: dict[str, dict[str, Any]] = {}
    for project in allowed:
        auth = {
            "auth_url": f"{url}/v3",
            "username": person.name,
            "password": person.password,
            "user_domain_name": person.domain,
            "project_id": project.id,
        }
        entry = {"auth": auth, "region_name": seed.settings.region, "identity_api_version": "3"}
        keys = {"ak": key.access, "sk": key.secret} if sign and key is not None else {}
        clouds[slug(project.name)] = {**entry, **keys}
    if missing := set(names) - clouds.keys():
        raise InputError(f"There is no cloud {min(missing)!r}; there are {', '.join(clouds)}.")
    chosen = {name: clouds[name] for name in names or clouds}
    return yaml.safe_dump({"clouds": chosen}, sort_keys=False)
