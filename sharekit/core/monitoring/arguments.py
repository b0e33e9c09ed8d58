"""The arguments of public calls, compared with their annotations before anything begins."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache, wraps
from numbers import Integral, Real
from os import PathLike
from typing import Any, Final, ParamSpec, TypeVar, Union, get_args, get_origin

from ..errors import UsageError

_P = ParamSpec("_P")
_R = TypeVar("_R")
#: Simple types -> what a sentence calls them.
_WORDS: Final[dict[Any, str]] = {
    str: "a text", int: "a whole number", float: "a number", bool: "True or False",
    type(None): "None", PathLike: "a path",
}  # fmt: skip
#: What several values of a type are called.
_SEVERAL: Final[dict[Any, str]] = {
    str: "several texts",
    int: "several whole numbers",
    Mapping[str, object]: "several records",
}
#: Types that a step before makes -> that step.
_MAKERS: Final = {
    "Inventory": "sharekit.read_inventory(FILE) makes",
    "Clouds": "sharekit.connect(NAME) makes by signing in",
    "Findings": "sharekit.check(inventory, clouds) makes",
    "Plan": "sharekit.plan(findings, PATH) makes",
    "HasLedger": "sharekit.plan(findings, PATH) makes",
    "Audit": "sharekit.audit(inventory, clouds) makes",
    "Policy": "sharekit.policy(NAME, …, then=DECISION) makes",
}


def checks_arguments(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a public call, so that an argument of another type is one sentence.

    Single values of numpy are handed on as Python's; a text must be one that can be written in
    UTF-8. What holds other values is looked into if it is a list, a tuple or a set. Which words and
    which mappings a call takes is its own to say.

    Examples
    --------
    >>> @checks_arguments
    ... def order(name: str, *, number: int = 1) -> str: return name * number
    >>> order("a", number="2")
    Traceback (most recent call last):
    ...
    sharekit.core.errors.UsageError: order() takes a whole number for number, and not '2'.
    """
    signature = inspect.signature(call)

    @wraps(call)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:  # Python's own sentence names what is missing, or too much
            return call(*args, **kwargs)
        kinds = _kinds(call)
        for name, given in bound.arguments.items():
            bound.arguments[name] = value = _as_python(given)
            for one in _values(signature.parameters[name], value):
                if not _fits(one, kinds[name]):
                    *others, last = dict.fromkeys(_words(kinds[name]))
                    wanted = " or ".join([*filter(None, [", ".join(others)]), last])
                    what = f"takes {wanted} for {name}, and not {_shown(one)}"
                    raise UsageError(f"{_name(call)}() {what}.")
        return call(*bound.args, **bound.kwargs)

    return checked


@cache
def _kinds(call: Callable[..., object]) -> dict[str, Any]:
    """Return the type of each parameter; Any where it cannot be told."""
    try:
        hints = typing.get_type_hints(call)
    except NameError:  # a name that is imported for the type checker alone
        hints = {}
    return {name: hints.get(name, Any) for name in inspect.signature(call).parameters}


def _name(call: Callable[..., object]) -> str:
    """Return the public name of a call."""
    return call.__qualname__.removeprefix("write_")


def _as_python(value: Any) -> Any:
    """Return a number, a truth value or a text of numpy as one of Python."""
    single = type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0
    return value.item() if single else value


def _values(parameter: inspect.Parameter, value: Any) -> Iterator[Any]:
    if parameter.kind is parameter.VAR_POSITIONAL:
        yield from value
    elif parameter.kind is parameter.VAR_KEYWORD:
        yield from value.values()
    else:
        yield value


def _arms(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _fits(value: Any, kind: Any) -> bool:
    """Return True if a value is of a type, as far as this can tell."""
    arms = _arms(kind)
    if isinstance(value, str) and any(get_origin(arm) is PathLike for arm in arms):
        return "\0" not in value  # other names of files are the system's to judge
    return any(_is_one(value, arm) for arm in arms)


def _is_one(value: Any, kind: Any) -> bool:
    origin: Any = get_origin(kind) or kind
    if simple := _SIMPLE.get(origin):
        return simple(value)
    if not isinstance(origin, type) or origin in (Any, Mapping, dict):
        return True
    if getattr(origin, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(origin) if not name.startswith("_"))
    held = [one for one in get_args(kind) if one is not Ellipsis]
    inner = value if isinstance(value, list | tuple | set | frozenset) and len(held) == 1 else ()
    return isinstance(value, origin) and all(_fits(one, held[0]) for one in inner)


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a pair of surrogates
        return False
    return True


#: Types whose values are not just instances of them.
_SIMPLE: Final[dict[Any, Callable[[object], bool]]] = {
    str: _is_text,
    int: lambda value: isinstance(value, Integral) and not isinstance(value, bool),
    float: lambda value: isinstance(value, Real) and not isinstance(value, bool),
}


def _words(kind: Any) -> Iterator[str]:
    """Yield what each type of a union is called in a sentence."""
    for arm in _arms(kind):
        origin: Any = get_origin(arm) or arm
        name = getattr(origin, "__name__", str(origin))
        if origin in _WORDS:
            yield _WORDS[origin]
        elif origin is Callable:
            yield "a function"
        elif name in _MAKERS:
            yield f"the {name.replace('HasLedger', 'Plan')} that {_MAKERS[name]}"
        elif held := [one for one in get_args(arm) if one is not Ellipsis]:
            one = " or ".join(_words(held[0]))
            yield _SEVERAL.get(held[0], f"several times {one}")
        elif origin.__module__.startswith("pandas"):
            yield "an object of pandas"
        else:
            yield f"a value of the type {name}"


def _shown(value: Any) -> str:
    simple = value is None or isinstance(value, str | bytes | bool | Real)
    return f"{value!a:.60}" if simple else f"a value of the type {type(value).__name__}"
