"""What a simulated cloud starts with: frozen records, read from and written to JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from sharekit.core.actions import MEMBER_STATES, PENDING
from sharekit.core.cloud_api import VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE, VAULT_STATUS
from sharekit.core.errors import InputError

VISIBILITIES = ("shared", "private", "public")
ROLES = ("member", "reader", "admin")
#: The key that every account has; what it encrypts cannot be shared.
DEFAULT_KEY = "default"


@dataclass(frozen=True)
class Project:
    """A project (tenant); ``id`` is 32 hexadecimal digits."""

    id: str
    name: str
    domain: str = "Default"


@dataclass(frozen=True)
class User:
    """Somebody who signs in by password; ``projects`` empty means every project of the seed.

    ``role`` is ``member`` (may change shares), ``reader`` (may only look) or ``admin`` (Glance also
    lets it decide for other projects, and shows it the members of every image).
    """

    id: str
    name: str
    password: str
    domain: str = "Default"
    role: str = "member"
    projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Key:
    """An access key of a user; with a ``security_token`` it is a temporary one."""

    access: str
    secret: str
    user_id: str
    security_token: str = ""


@dataclass(frozen=True)
class Image:
    """An image and its owner; sizes are ``size`` in bytes and ``min_disk`` in GiB.

    ``key`` names the key it is encrypted with: :data:`DEFAULT_KEY`, another, or ``""`` for none.
    """

    id: str
    owner: str
    name: str = ""
    visibility: str = "shared"
    whole_image: bool = False
    hidden: bool = False
    status: str = "active"
    size: int = 1_073_741_824
    min_disk: int = 40
    created_at: str = "2025-01-01T00:00:00Z"
    key: str = ""


@dataclass(frozen=True)
class Share:
    """One image shared with one project; ``status`` is pending, accepted or rejected."""

    image_id: str
    project_id: str
    status: str = PENDING


@dataclass(frozen=True)
class Vault:
    """A backup vault; ``size`` is in GB, ``used`` in MB, ``resources`` how many it protects."""

    id: str
    project_id: str
    name: str = ""
    object_type: str = VAULT_OBJECT_TYPE
    protect_type: str = VAULT_PROTECT_TYPE
    status: str = VAULT_STATUS
    size: int = 10_000
    used: int = 0
    resources: int = 0


@dataclass(frozen=True)
class Settings:
    """How this cloud behaves when nothing is wrong with it.

    Attributes
    ----------
    token_lifetime : float
        Seconds between a token's ``issued_at`` and its declared ``expires_at``.
    job_seconds : float
        How long a job takes.
    native_only : bool
        A plain OpenStack: no ``cloudimages`` calls, no vaults.
    refuse_in_job : bool
        A bad image or vault makes the job fail, not the request.
    results_api, progress_api : bool
        Whether ``/v1/{project_id}/jobs/{id}`` and ``/v1/cloudimages/job/{id}`` exist.
    region : str
        The region named in the service catalog.
    """

    token_lifetime: float = 86_400.0
    job_seconds: float = 0.3
    native_only: bool = False
    refuse_in_job: bool = False
    results_api: bool = True
    progress_api: bool = True
    region: str = "sim-1"


@dataclass(frozen=True)
class Seed:
    """The whole cloud at the start; checked on construction.

    Raises
    ------
    InputError
        If records contradict each other, for example a share of an image that does not exist.

    Examples
    --------
    >>> seed = Seed(projects=(Project("a" * 32, "one"),))
    >>> Seed.from_json(seed.to_json()) == seed
    True
    """

    projects: tuple[Project, ...] = ()
    users: tuple[User, ...] = ()
    keys: tuple[Key, ...] = ()
    images: tuple[Image, ...] = ()
    shares: tuple[Share, ...] = ()
    vaults: tuple[Vault, ...] = ()
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        projects = _unique("projects", (p.id for p in self.projects))
        _unique("project names", (f"{p.domain}/{p.name}" for p in self.projects))
        users = _unique("users", (u.id for u in self.users))
        _unique("user names", (f"{u.domain}/{u.name}" for u in self.users))
        images = _unique("images", (i.id for i in self.images))
        _unique("keys", (k.access for k in self.keys))
        _unique("vaults", (v.id for v in self.vaults))
        _unique("shares", ((s.image_id, s.project_id) for s in self.shares))
        _known("users.projects", projects, (p for u in self.users for p in u.projects))
        _known("keys.user_id", users, (k.user_id for k in self.keys))
        _known("shares.image_id", images, (s.image_id for s in self.shares))
        _known("shares.project_id", projects, (s.project_id for s in self.shares))
        _known("vaults.project_id", projects, (v.project_id for v in self.vaults))
        _known("shares.status", set(MEMBER_STATES), (s.status for s in self.shares))
        _known("images.visibility", set(VISIBILITIES), (i.visibility for i in self.images))
        _known("users.role", set(ROLES), (u.role for u in self.users))

    def with_settings(self, **changes: Any) -> Seed:
        """Return the same seed with some settings changed; an unknown one is an InputError."""
        merged = {**vars(self.settings), **changes}
        return replace(self, settings=_read({"settings": merged}).settings)

    def to_json(self) -> str:
        """Return the seed as one JSON object on a single line."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Seed:
        """Read a seed; raises InputError naming the record and the field that is wrong."""
        try:
            content = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"The seed is not valid JSON ({error}); correct it.") from error
        return _read(content)

    @classmethod
    def from_file(cls, path: str | Path) -> Seed:
        """Read a seed file; raises InputError when it is missing, unreadable or wrong."""
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise InputError(
                f"The seed {path} cannot be read ({error.strerror}); name an existing JSON file."
            ) from error
        return cls.from_json(text)


#: Key of a seed -> the kind of its records; ``settings`` is one record.
RECORDS: Final[Mapping[str, Any]] = {
    "projects": Project,
    "users": User,
    "keys": Key,
    "images": Image,
    "shares": Share,
    "vaults": Vault,
    "settings": Settings,
}


def _read(content: Any) -> Seed:
    try:
        seed = msgspec.convert(content, Seed)
    except msgspec.ValidationError as error:
        raise InputError(f"The seed is not as it must be ({error}); correct it.") from error
    _refuse_unknown("The seed", content, RECORDS)
    for name, records in content.items():
        known = RECORDS[name].__dataclass_fields__
        for record in [records] if name == "settings" else records:
            _refuse_unknown(f"“{name}” of the seed", record, known)
    return seed


def _refuse_unknown(where: str, record: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    if unknown := record.keys() - known.keys():
        raise InputError(f"{where} has no field {min(unknown)!r}; it has {', '.join(known)}.")


def _unique(noun: str, values: Iterable[Any]) -> set[Any]:
    distinct: set[Any] = set()
    for value in values:
        if value in distinct:
            raise InputError(f"The seed has {value!r} twice among its {noun}; remove one.")
        distinct.add(value)
    return distinct


def _known(field: str, known: set[Any], values: Iterable[Any]) -> None:
    if missing := set(values) - known:
        raise InputError(f"{field} of the seed names {min(missing)!r}, which does not exist there.")


def invented_id(*parts: object) -> str:
    """Return 32 hexadecimal digits that depend on ``parts`` alone.

    Examples
    --------
    >>> invented_id("project", 1) == invented_id("project", 1)
    True
    """
    return sha256("/".join(map(str, parts)).encode()).hexdigest()[:32]


def operators() -> tuple[tuple[User, ...], tuple[Key, ...]]:
    """Return the users every invented cloud has, one of each role, and their keys."""
    users = (
        User(invented_id("user", "operator"), "operator", "rehearsal"),
        User(invented_id("user", "reader"), "reader", "rehearsal", role="reader"),
        User(invented_id("user", "administrator"), "administrator", "rehearsal", role="admin"),
    )
    keys = tuple(Key(f"SIM{u.name.upper()}", invented_id("secret", u.name), u.id) for u in users)
    return users, keys
