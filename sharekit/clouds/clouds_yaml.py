"""``clouds.yaml`` and the files that complete it: where they are, and what they say of an entry.

The files are read here and not by openstacksdk, which skips a file that it cannot parse, logs the
line that it stumbled over, and joins a ``secure.yaml`` of any folder to a ``clouds.yaml`` of any
other. An exception raised here has no cause or context: a parser's own error quotes the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Final

import yaml
from openstack.config.loader import CONFIG_SEARCH_PATH

from sharekit.core.errors import SignInError

from .entry_checks import check_entry

#: The entry that the ``OS_*`` variables make, unless ``OS_CLOUD_NAME`` gives it another name.
ENVIRONMENT: Final = "envvars"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
#: Variables that choose an entry or a file, and the prefixes of those of test suites: openstacksdk
#: makes no entry of them.
_SELECTORS: Final = frozenset(
    "OS_CLOUD OS_CLOUD_NAME OS_CLIENT_CONFIG_FILE OS_CLIENT_SECURE_FILE".split()
)
_OF_TESTS: Final = ("OS_TEST", "OS_STD", "OS_LOG")
#: Start of a YAML error -> what is wrong. The rest of such an error quotes the line.
_YAML_ERRORS: Final = {
    "found character '\\t'": "a tab, where YAML wants spaces,",
    **dict.fromkeys(
        (
            "found character",
            "found undefined alias",
            "found duplicate anchor",
            "found undefined tag",
            "could not determine a constructor",
            "expected alphabetic",
        ),
        "a value that must be in quotes",
    ),
}


@dataclass(frozen=True)
class CloudsYaml:
    """The entries of ``clouds.yaml``, and of the files beside it that complete them.

    Attributes
    ----------
    file, secure : Path or None
        The ``clouds.yaml`` and the ``secure.yaml`` in use.
    folders : tuple of Path
        Folders in which a ``clouds.yaml`` was looked for; the first is the working directory.
    sources : tuple
        Path of each file, and its entries by name, the file that goes before the others last.
    """

    file: Path | None
    secure: Path | None
    folders: tuple[Path, ...]
    sources: tuple[tuple[Path, Mapping[str, Any]], ...] = field(repr=False)

    def names(self) -> list[str]:
        """Return the names of all entries, those of ``clouds.yaml`` in its order."""
        entries = [name for _, clouds in self.sources for name in clouds]
        return list(dict.fromkeys(entries))

    def entry(self, name: str) -> dict[str, Any]:
        """Return the checked settings of an entry, joined from all files and its profile.

        Raises
        ------
        SignInError
            If there is no such entry, or a setting in it has a value that it cannot have.
        """
        parts = [
            check_entry(clouds[name], str(file), name)
            for file, clouds in self.sources
            if name in clouds
        ]
        if not parts and name == environment_name():
            parts = [check_entry(part, "the OS_* variables", name) for part in _variables()]
        if not parts:
            raise self._unknown(name)
        entry: dict[str, Any] = {}
        for part in parts:
            entry = merge(entry, part)
        profile = str(entry.get("profile", entry.get("cloud", "")))
        for file, public in self._public_clouds() if profile else ():
            if profile in public:
                own = {k: v for k, v in entry.items() if k not in ("profile", "cloud")}
                return merge(check_entry(public[profile], str(file), profile), own)
        return entry

    def unjoined(self, name: str) -> Path | None:
        """Return a ``secure.yaml`` of another folder that has this entry, and was not joined."""
        beside = (_first(folder, "secure") for folder in self.folders)
        for path in (_from_variable("OS_CLIENT_SECURE_FILE"), *beside):
            if path and path != self.secure:
                with suppress(Exception):  # it is only a hint
                    if name in _section(path, "clouds", required=False):
                        return path
        return None

    def _public_clouds(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        # The working directory tells no address for an entry of another folder, and its password.
        beside = (self.file.parent,) if self.file else ()
        for folder in dict.fromkeys((*beside, *self.folders[1:])):
            if path := _first(folder, "clouds-public"):
                yield path, _section(path, "public-clouds", required=False)
                return

    def _unknown(self, name: str) -> SignInError:
        if name == environment_name():
            return SignInError(
                "No cloud is named, and no OS_* variables are set: name one of yours."
            )
        if self.file:
            known = (
                f"There is no cloud {name!r} in {self.file}; it has: "
                f"{', '.join(sorted(self.names())) or 'none'}. Name one of them, or the file that "
                "has it:"
            )
        else:
            known = (
                f"There is no cloud {name!r}, for there is no clouds.yaml; looked for in: "
                f"{', '.join(map(str, self.folders))}. Put one there, or name it:"
            )
        return SignInError(known, in_python="config_file=PATH.", in_shell="--clouds-yaml FILE.")


def read_clouds_yaml(
    config_file: str | PathLike[str] | None, secure_file: str | PathLike[str] | None
) -> CloudsYaml:
    """Read ``config_file``, or the ``clouds.yaml`` that openstacksdk's rules find, and its secrets.

    Raises
    ------
    SignInError
        If a file cannot be read, or holds no clouds.
    """
    folders = tuple(dict.fromkeys([Path.cwd(), *map(Path, CONFIG_SEARCH_PATH[1:])]))
    if config_file is not None:
        file: Path | None = Path(config_file)
    else:
        found = (_first(folder, "clouds") for folder in folders)
        file = _from_variable("OS_CLIENT_CONFIG_FILE") or next(filter(None, found), None)
    if secure_file is not None:
        secure: Path | None = Path(secure_file)
    else:
        secure = _first(file.parent, "secure") if file else None
        # A folder that somebody enters must not choose where the password of another one goes.
        if config_file is None and file and file != _first(folders[0], "clouds"):
            secure = _from_variable("OS_CLIENT_SECURE_FILE") or secure
    files = [(path, path is file) for path in (file, secure) if path is not None]
    sources = tuple((path, _section(path, "clouds", required=needed)) for path, needed in files)
    return CloudsYaml(file, secure, folders, sources)


def read_variables() -> CloudsYaml:
    """Return what the ``OS_*`` variables alone say, without any file."""
    return CloudsYaml(None, None, (), ())


def environment_name() -> str:
    """Return the name of the entry that the ``OS_*`` variables make."""
    return os.environ.get("OS_CLOUD_NAME") or ENVIRONMENT


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which those of ``above`` go before, also inside mappings.

    >>> merge({"auth": {"username": "ada"}, "verify": True}, {"auth": {"password": "p"}})
    {'auth': {'username': 'ada', 'password': 'p'}, 'verify': True}
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _variables() -> list[dict[str, str]]:
    """Return the entry that the ``OS_*`` variables make, if they say more than which one to use."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("OS_") and not name.startswith(_OF_TESTS) and name not in _SELECTORS
    }
    if not variables.keys() - {"OS_REGION_NAME"}:
        return []
    return [{name.removeprefix("OS_").lower(): text for name, text in variables.items() if text}]


def _from_variable(name: str) -> Path | None:
    path = os.environ.get(name, "")
    return Path(path) if path and Path(path).exists() else None


def _first(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
    return next((path for path in paths if path.exists() and not path.is_dir()), None)


# -- reading a file --------------------------------------------------------------------------------
def _section(path: Path, section: str, *, required: bool) -> Mapping[str, Any]:
    """Return a section of a file, its keys as text; only one that is required cannot be empty."""
    try:
        content = _parse(path)
        reason = ""
    except OSError as error:
        reason = f"{error.strerror}. Check the path"
    except Exception as error:  # noqa: BLE001 - YAML errors, and ValueError for dates like 2026-13-45
        reason = f"{_describe(error)}. Correct the file"
    if reason:
        raise SignInError(f"{path} cannot be read: {reason}.")
    clouds = content.get(section) if isinstance(content, dict) else None
    if clouds is None and not required and isinstance(content, dict | None):
        return {}
    if not isinstance(clouds, dict):
        raise SignInError(f"{path} names no clouds: it needs a `{section}:` section.")
    return {str(name): entry for name, entry in clouds.items()}


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def _describe(error: Exception) -> str:
    """Return what is wrong in a file, without its text, which may hold a password."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        problem = str(error.problem)
        reason = next((why for start, why in _YAML_ERRORS.items() if problem.startswith(start)), "")
        return f"{reason or 'broken YAML'} in line {error.problem_mark.line + 1}"
    if isinstance(error, json.JSONDecodeError):
        return f"broken JSON in line {error.lineno}"
    if isinstance(error, UnicodeDecodeError | yaml.reader.ReaderError):
        return "it is not YAML text"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a value that must be in quotes, such as a date that does not exist"
