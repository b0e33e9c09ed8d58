"""Letters of other alphabets that pass for hexadecimal digits."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: Cyrillic and Greek letters drawn like a hexadecimal digit, or nearly so.
_LIKE: Final = str.maketrans(
    "\u0430\u0410\u0412\u0432\u0441\u0421\u0435\u0415\u0501\u0500\u03b1\u0391\u0392\u03f2\u03f9\u0395"
    "\u0417\u0437\u041e\u043e\u03bf\u039f\u0431\u042c\u044c",
    "aabbcceeddaabcce3300006bb",
) | str.maketrans("OolI", "0011")
#: Invisible marks that turn the order of letters around, or shield them from that.
_TURNS: Final = re.compile("[\u061c\u200f\u202a-\u202e\u2066-\u2069]")
#: The letters of our own alphabet among them.
TYPED: Final = "[OolI]"


def disguised(text: str, grammar: str) -> str:
    """Name the letters that only look like digits, if the text is an ID but for them.

    Examples
    --------
    >>> disguised("9\N{CYRILLIC SMALL LETTER A}f", "[0-9a-f]{3}")
    '9\u0430f: character 2 is CYRILLIC SMALL LETTER A, not a'
    >>> disguised("9lf", "[0-9a-f]{3}")
    '9lf: character 2 is LATIN SMALL LETTER L, not 1'
    >>> disguised("9af", "[0-9a-f]{3}"), disguised("\N{CYRILLIC SMALL LETTER ZHE}", "[0-9a-f]")
    ('', '')
    """
    latin = unicodedata.normalize("NFKC", text.translate(_LIKE)).lower()
    bare = latin.strip()
    if len(latin) != len(text) or not _is_id(bare, grammar):
        return ""
    pairs = enumerate(zip(text, latin, strict=True))
    odd = [i for i, (letter, meant) in pairs if letter.lower() != meant and not letter.isspace()]
    first = odd[0] if odd else len(text)
    if not odd:
        return ""
    name = unicodedata.name(text[first], f"U+{ord(text[first]):04X}")
    more = f" ({len(odd)} such letters)" if len(odd) > 1 else ""
    return f"{text}: character {first + 1} is {name}, not {latin[first]}{more}"


def turned(text: str, grammar: str) -> str:
    """Name the first direction mark, if the text is an ID but for such marks.

    Examples
    --------
    >>> turned("\u202e9af", "[0-9a-f]{3}")
    '\u202e9af: character 1 is RIGHT-TO-LEFT OVERRIDE'
    >>> turned("9af", "[0-9a-f]{3}"), turned("\u202ewhat", "[0-9a-f]{3}")
    ('', '')
    """
    found = _TURNS.search(text)
    if not found or not _is_id(_TURNS.sub("", text).strip().lower(), grammar):
        return ""
    return f"{text}: character {found.start() + 1} is {unicodedata.name(found[0])}"


def _is_id(text: str, grammar: str) -> bool:
    return bool(re.fullmatch(grammar, text) or re.fullmatch(r"[0-9a-f]{32}", text.replace("-", "")))
