"""Who and what made this: the program, its machine, and the people, whose names it compares.

Two names that a reader cannot tell apart are one person's. Nothing here is secret.
"""

from __future__ import annotations

import functools
import getpass
import platform
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import chain
from typing import Final, Literal

__version__ = "0.1.0"
#: The number of the reports' format: raise it when the values that a report shows change.
REPORT_FORMAT = 1
#: Libraries whose versions are written down.
LIBRARIES = ("pandas", "pyarrow", "fastexcel", "requests", "keystoneauth1", "openstacksdk")
#: The names of all that :func:`environment` has told, in this version or an earlier one.
ENVIRONMENT = ("sharekit", "python", "platform", "host", "user", *LIBRARIES)


def environment() -> dict[str, str]:
    """Versions, platform, machine and user.

    >>> sorted(environment())[:3]
    ['fastexcel', 'host', 'keystoneauth1']
    """
    return {
        "sharekit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node() or "unknown",
        "user": user() or "unknown",
        **{name: version(name) for name in LIBRARIES},
    }


def is_older(made_by: str) -> bool:
    """Return True if a version of sharekit is this one, or one before it.

    >>> is_older(__version__), is_older("0.0.9"), is_older("999.0"), is_older("new")
    (True, True, False, False)
    """
    if made_by == __version__ or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){1,3}", made_by):
        return made_by == __version__
    one, this = ([*map(int, re.findall("[0-9]+", text))] for text in (made_by, __version__))
    return one < this


def user() -> str:
    """The name of the person at work, ``""`` where the system knows none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container, or Windows without USERNAME
        return ""


def utc_now() -> str:
    """Return the time in UTC, to the microsecond, in a form that sorts."""
    return iso_utc(utc_time())


def utc_time() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def shifted(at: str, by: timedelta) -> str:
    """Return the time that is so much after another one, in the form of :func:`utc_now`.

    >>> shifted("2026-12-31T23:59:59Z", timedelta(seconds=1))
    '2027-01-01T00:00:00.000000Z'
    """
    return iso_utc(datetime.fromisoformat(at) + by)


def iso_utc(time: datetime) -> str:
    """Return a time in UTC, of that time zone, in the form of :func:`utc_now`.

    >>> iso_utc(datetime(2026, 12, 31, tzinfo=UTC))
    '2026-12-31T00:00:00.000000Z'
    """
    return time.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


# -- names of people -------------------------------------------------------------------------------
#: Characters without ink that have a category of letters, marks or symbols: fillers, joiners,
#: selectors of variants, the empty Braille cell (Unicode: Default_Ignorable_Code_Point).
_BLANK: Final = frozenset(
    chain(
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *(range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0000, 0xE1000)),
    )
)
#: Controls, format characters, lone surrogates, private and unassigned ones, separators of lines.
_INVISIBLE: Final = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])
#: The list of confusables holds letters with and without accents, and letters like `ϲ` as well.
_FORMS: Final[tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...]] = ("NFC", "NFD", "NFKC", "NFKD")
#: Combining classes of accents and of strokes through a letter; vowel signs have others.
_ACCENTS: Final = frozenset({1, *range(200, 256)})
#: What fonts draw alike, and the list has otherwise: a Cyrillic l and k.
_ALSO: Final = {
    ord("\N{CYRILLIC SMALL LETTER PALOCHKA}"): "l", ord("\N{LATIN SMALL LETTER KRA}"): "k",
}  # fmt: skip
#: How Unicode names a form of a Latin letter, as LATIN LETTER SMALL CAPITAL A.
_FORM_OF: Final = re.compile(r".*(?:LATIN|SYMBOL) .*LETTER (?:.* )?([A-Z]{1,2})(?: WITH .*)?")


def name_error(name: str) -> str:
    r"""Return in one sentence why a text cannot stand for a person; ``""`` if it can.

    >>> name_error("Ada\N{ZERO WIDTH SPACE}")
    "The name 'Ada\\u200b' holds a ZERO WIDTH SPACE, which nobody can see: type it again."
    >>> name_error("..."), name_error("Ada Lovelace")
    ("The name '...' has no letter, so it names nobody.", '')
    """
    if hidden := next((character for character in name if _is_invisible(character)), ""):
        what = unicodedata.name(hidden, f"U+{ord(hidden):04X}")
        return f"The name {name!a:.80} holds a {what}, which nobody can see: type it again."
    return "" if looks(name) else f"The name {name!a:.80} has no letter, so it names nobody."


def looks(name: str) -> frozenset[str]:
    r"""Return how a name can be read; two names look alike if they have one of these in common.

    Characters that Unicode lists as confusable (UTS 39) read alike, capitals as small letters do,
    and so do letters and digits that Unicode names as a form of another. Accents, spaces,
    punctuation and what cannot be seen do not count. A name of nothing else has no looks: it is
    nobody's.

    >>> "ada" in looks("Ada") & looks("\N{CYRILLIC CAPITAL LETTER A}D\N{CYRILLIC CAPITAL LETTER A}")
    True
    >>> "ada" in looks("Ada") & looks("\N{LATIN LETTER SMALL CAPITAL A}da")
    True
    >>> looks("Ada") & looks("Ida"), looks("\N{HANGUL FILLER}")
    (frozenset(), frozenset())
    """
    readings: set[str] = set()
    for form in _FORMS:
        text = unicodedata.normalize(form, name)
        readings |= {_skeleton(text), _skeleton(text).casefold(), _skeleton(text.casefold())}
        readings.add(_skeleton(text.upper()))  # many small letters look like capitals of others
    return frozenset(readings - {""})


def distinct_people(names: Iterable[str]) -> list[str]:
    """Return names in their order, without those that look like one before, or like nothing.

    >>> distinct_people(["Ada", "ADA", "Bob", " "])
    ['Ada', 'Bob']
    """
    people: dict[str, frozenset[str]] = {}
    for name in names:
        if looks(name) and not any(looks(name) & known for known in people.values()):
            people[name] = looks(name)
    return list(people)


def _skeleton(text: str) -> str:
    letters = unicodedata.normalize("NFD", "".join(map(_prototype, text)))
    return "".join(filter(_counts, letters))


@functools.cache
def _prototype(character: str) -> str:
    """Return what stands for all that look like a character, ``""`` if nobody can see it."""
    if _is_invisible(character):
        return ""
    alike = _confusables()
    shown = map(_plain, alike.get(ord(character), character))
    return "".join(shown).translate(alike)


def _plain(character: str) -> str:
    """Return the letter or digit that Unicode names a character as a form of, or that itself."""
    if unicodedata.digit(character, None) is not None:
        return str(unicodedata.digit(character))
    form = None if character.isascii() else _FORM_OF.fullmatch(unicodedata.name(character, ""))
    return form[1].lower() if form else character


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE or ord(character) in _BLANK


def _counts(character: str) -> bool:
    """Return True for what makes a name another one: accents, rings around letters do not."""
    kind = unicodedata.category(character)
    is_accent = kind in ("Me", "Sk") or unicodedata.combining(character) in _ACCENTS
    return kind[0] in "LMNS" and not is_accent and character != "\N{ARABIC TATWEEL}"


@functools.cache
def _confusables() -> dict[int, str]:
    """Map each confusable character to what stands for all that look like it, as `m` to `rn`."""
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415 - 1 MB of JSON

    # The list has both directions; a character with a single entry is not what others look like,
    # unless those two are a pair. Right-to-left ones stand between marks of direction.
    single = {
        one.strip("\N{LEFT-TO-RIGHT MARK}"): entries[0]["c"].strip("\N{LEFT-TO-RIGHT MARK}")
        for one, entries in confusables_data.items()
        if len(entries) == 1
    }
    return {
        ord(one): other
        for one, other in single.items()
        if len(one) == 1 and (single.get(other) != one or len(other) > 1 or other < one)
    } | _ALSO
