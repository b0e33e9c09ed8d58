"""Policies from a YAML file: names of columns, operators and values, and nothing that runs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

import yaml

from sharekit.core.errors import InputError, UsageError
from sharekit.core.files import shown_name

from .policy import LEAVE, Policies, Policy, policy, read_then

#: No list of policies that a person can oversee is larger.
_MAX_BYTES: Final = 1 << 20
_MAX_LIST_BYTES: Final = 64 << 20
#: What means nothing in YAML, unless it stands in quotation marks.
_NULLS: Final = ("~", "null", "Null", "NULL")
_KEYS: Final = ("policies", "otherwise")
_POLICY_KEYS: Final = ("name", "when", "then", "reason")


class _Loader(yaml.SafeLoader):
    """Reads every scalar as the text that stands there, and refuses a key that stands twice."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as in PyYAML; `0123`, `no` and `1e5` stay what was written

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as in PyYAML
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(
                    f"line {node.start_mark.line + 1} and on: {key!r:.80} stands twice"
                )
        return super().construct_mapping(node, deep=deep)

    def construct_scalar(self, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS:
            raise InputError(
                f"line {node.start_mark.line + 1}: {node.value} is no value; ask for empty cells "
                f"by {{empty: true}}, or put the word in quotation marks"
            )
        return super().construct_scalar(node)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Take `<<` as any other key, since merged keys would hide what decides."""


def read_policies(path: str | PathLike[str]) -> Policies:
    """Read a file of policies.

    The file holds ``policies``, a list of ``name``, ``when`` (column -> condition), ``then`` and
    perhaps ``reason``, and ``otherwise``, which says what becomes of all other rows. A list of
    values may come from a csv: ``one of: {file: owners.csv, column: owner}``, beside this file.

    Raises
    ------
    InputError
        There is no such file, it is no YAML, or something in it is no policy.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "policy.yaml"
    >>> _ = path.write_text('''
    ... policies:
    ...   - name: trusted publishers
    ...     when: {owner: {one of: [0a, 0b]}, before: pending}
    ...     then: accept
    ... otherwise: leave
    ... ''')
    >>> read_policies(path).policies[0].decision
    'accept'
    """
    path = Path(path)
    content = _load(path)
    if not isinstance(content, Mapping) or set(content) - set(_KEYS) or "policies" not in content:
        raise InputError(f"{path}: a file of policies has the keys policies and otherwise.")
    if "otherwise" not in content:
        raise InputError(
            f"{path}: say what becomes of rows that no policy matches: `otherwise: leave` leaves "
            "them as they are, `otherwise: skip` sends nothing for them."
        )
    items = content["policies"]
    if not isinstance(items, list) or not items:
        raise InputError(f"{path}: policies is a list of at least one policy.")
    policies = tuple(_policy(item, number, path) for number, item in enumerate(items, 1))
    names = [one.name for one in policies]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{path}: two policies have the name {twice[0]!r}; give each its own.")
    try:
        otherwise = read_then(content["otherwise"], f"{path}, otherwise")
    except UsageError as error:
        raise InputError(str(error)) from None
    return Policies(policies, otherwise, shown_name(path.name))


def as_policies(
    given: Policies | Policy | Iterable[Policy] | str | PathLike[str], otherwise: str = LEAVE
) -> Policies:
    """Return policies, however they are given: as themselves, in a list, or as a file.

    Raises
    ------
    InputError
        The file holds what is no policy.
    UsageError
        The list holds what is no policy, or two of one name.
    """
    if isinstance(given, Policies):
        return given
    if isinstance(given, str | PathLike):
        return read_policies(given)
    many = given if isinstance(given, Iterable) else ()
    several = (given,) if isinstance(given, Policy) else tuple(many)
    if not several or not all(isinstance(one, Policy) for one in several):
        raise UsageError("Policies are made by sharekit.policy(NAME, then=DECISION, …).")
    if len({one.name for one in several}) < len(several):
        raise UsageError("Two policies have the same name: give each its own.")
    return Policies(several, read_then(otherwise, "otherwise"))


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(text) > _MAX_BYTES:
        raise InputError(
            f"{path} is larger than {_MAX_BYTES >> 20} MiB, so it is no file of policies."
        )
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except InputError as error:
        raise InputError(f"{path}, {error}.") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        raise InputError(f"{place}: this is no YAML: {str(error).splitlines()[0]:.200}.") from None


def _policy(item: Any, number: int, path: Path) -> Policy:
    place = f"{path}, policy {number}"
    if not isinstance(item, Mapping) or not {"name", "then"} <= set(item):
        raise InputError(f"{place}: a policy has name, when, then, and perhaps reason.")
    if unknown := [str(key) for key in item if key not in _POLICY_KEYS]:
        raise InputError(
            f"{place}: {unknown[0]!r:.80} is no part of a policy (name, when, then, reason)."
        )
    when = item.get("when", {})
    if not isinstance(when, Mapping) or not all(
        isinstance(item.get(k, ""), str) for k in ("name", "reason")
    ):
        raise InputError(
            f"{place}: name and reason are texts, and when has a condition for each column."
        )
    bound = {str(column): _with_lists(rule, place, path) for column, rule in when.items()}
    try:
        return policy(item["name"], then=item["then"], reason=item.get("reason", ""), when=bound)
    except RecursionError:
        raise InputError(f"{place}: a condition contains itself.") from None
    except UsageError as error:
        raise InputError(f"{path}: {error}") from None


def _with_lists(rule: Any, place: str, path: Path, depth: int = 0) -> Any:
    """Put the values of a csv where a rule names the csv."""
    if not isinstance(rule, Mapping) or depth > 10:
        return rule
    if set(rule) <= {"file", "column"} and "file" in rule:
        return _values(rule, place, path)
    return {key: _with_lists(value, place, path, depth + 1) for key, value in rule.items()}


def _values(rule: Mapping[str, Any], place: str, path: Path) -> list[str]:
    """Return the values of a column of a csv, every line of which must be as wide as its header."""
    name = rule.get("column", "")
    if not isinstance(rule["file"], str) or not isinstance(name, str):
        raise InputError(f"{place}: file and column are texts.")
    source = path.parent / rule["file"]
    try:
        if source.stat().st_size > _MAX_LIST_BYTES:
            raise InputError(f"{place}: {source} is larger than {_MAX_LIST_BYTES >> 20} MiB.")
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [text.strip() for text in next(reader, [])]
            lines = [(reader.line_num, line) for line in reader if line]
    except (OSError, ValueError, csv.Error) as error:
        wrong = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"{place}: {source} cannot be read: {wrong}.") from None
    if header.count(name) != 1:
        # Without a header, the first value would be lost as its name.
        raise InputError(
            f"{place}: {source} has the columns {', '.join(header)} (a comma separates them, and "
            "the first line names them): name one of them as `column`."
        )
    for number, line in lines:
        if len(line) != len(header):
            raise InputError(
                f"{place}: {source}, line {number} has {len(line)} values for {len(header)} "
                "columns; put values with commas in quotation marks."
            )
    values = [line[header.index(name)].strip() for _, line in lines]
    return [value for value in values if value]
