"""What is odd about conditions: no row meets them, or one of their values may be a typo."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from sharekit.core.columns import NAMED, list_some
from sharekit.core.html import shorten

#: Values of a condition, and of a column, between which a resemblance is looked for.
_WANTED: Final = 50
_KNOWN: Final = 1000


def unmet_note(condition: str, wanted: Sequence[str], known: Sequence[str], *, is_met: bool) -> str:
    """Return what is odd about a condition, in one sentence; ``""`` if nothing is.

    Parameters
    ----------
    condition : str
        The condition in words.
    wanted : sequence of str
        The values of which a row must have one; none for other conditions.
    known : sequence of str
        The values of the column that is compared, each once.
    is_met : bool
        Whether any row meets the condition.

    Examples
    --------
    >>> states = ["shared", "private"]
    >>> unmet_note("visibility equals sharde", ["sharde"], states, is_met=False)
    "no row meets visibility equals sharde; did you mean 'shared'?"
    >>> unmet_note("visibility equals shared", ["shared"], states, is_met=True)
    ''
    """
    there = frozenset(known)
    absent = [value for value in wanted[:_WANTED] if value not in there]
    near = [_near(value, known[:_KNOWN]) for value in absent]
    if is_met:
        found = next(((v, n) for v, n in zip(absent, near, strict=True) if n), None)
        return f"no row has {found[0]!r:.80}; did you mean {_either(found[1])}?" if found else ""
    said = f"no row meets {condition}"
    if any(near):
        return f"{said}; did you mean {_either(next(filter(None, near)))}?"
    shown = list_some([repr(shorten(text, 40)) for text in known[:NAMED]], len(known))
    return f"{said}; the column has {shown or 'no values at all'}."


def _near(value: str, known: Sequence[str]) -> list[str]:
    alike = [text for text in known if text.casefold() == value.casefold() or _equal(text, value)]
    return alike or difflib.get_close_matches(value, known, n=NAMED, cutoff=0.75)


def _equal(text: str, value: str) -> bool:
    try:
        return float(text) == float(value)
    except ValueError:
        return False


def _either(names: Sequence[str]) -> str:
    return " or ".join(repr(shorten(name, 80)) for name in names[:NAMED])
